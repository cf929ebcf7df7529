//! A real age plugin on the search path: who runs it, when, and what is said when it is missing or fails.

use crate::home::{Home, Ran, ran};
use bech32::{Bech32, Hrp};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const NAME: &str = "age-plugin-sealtest";
/// See the comment at its beginning.
const PLUGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/plugin/age-plugin-sealtest");
const PATH: &str = "/usr/bin:/bin";

/// A home with the plugin in it, a recipient that needs it, and its identity.
struct Token {
    home: Home,
    recipient: String,
}

impl Token {
    fn new() -> Self {
        let home = Home::new();
        std::fs::create_dir(home.path("bin")).unwrap();
        let plugin = home.path("bin").join(NAME);
        // Not by us: what is open for writing here, a process that another test just starts may still have open, and then it
        // cannot be executed.
        let installed = Command::new("install").args(["-m", "755", PLUGIN]).arg(plugin).status().unwrap();
        assert!(installed.success());
        // Personal keys, whose place the plugin's take.
        home.run(&["keys", "new"]).exits(0);
        let recipient = recipient(b"token one");
        std::fs::write(home.personal().recipients(), format!("{recipient}\n")).unwrap();
        std::fs::write(home.personal().identity(), format!("{}\n", identity(b"token one"))).unwrap();
        Self { home, recipient }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("PATH", format!("{}:{PATH}", self.home.path("bin").display()));
        command
    }

    /// With the plugin on the search path.
    fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args), args)
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.home.path("bin").join(format!("{NAME}.mode")), mode).unwrap();
    }

    /// What the plugin was run for since the last time, a line each.
    fn ran(&self) -> Vec<String> {
        let path = self.home.path("bin").join(format!("{NAME}.ran"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }
}

fn recipient(data: &[u8]) -> String {
    bech32::encode::<Bech32>(Hrp::parse("age1sealtest").unwrap(), data).unwrap()
}

fn identity(data: &[u8]) -> String {
    bech32::encode_upper::<Bech32>(Hrp::parse("AGE-PLUGIN-SEALTEST-").unwrap(), data).unwrap()
}

const WRAP: &str = "--age-plugin=recipient-v1";
const UNWRAP: &str = "--age-plugin=identity-v1";

#[test]
fn a_session_is_sealed_to_a_token_without_running_its_plugin_and_read_with_it() {
    let token = Token::new();
    // A recorder runs no plugin, and says what to do instead; nothing has been run.
    let touch = token.home.path("touched");
    let refused = token.run(&["run", "--", "touch", touch.to_str().unwrap()]).exits(125);
    let refused = refused.complains("needs `age-plugin-sealtest`, and a recorder runs no plugins");
    assert!(refused.err.contains("keys new --period") && !touch.exists(), "{refused}");
    assert_eq!(token.ran(), [""; 0]);

    let made = token.run(&["keys", "new", "--period"]).exits(0);
    assert!(made.text().starts_with("age1"), "{made}");
    assert_eq!(token.ran(), [WRAP]);

    // Even one that is there and never answers is not waited for.
    token.mode("die");
    token.run(&["run", "--", "echo", "for the token"]).exits(0);
    assert_eq!(token.ran(), [""; 0]);

    token.mode("");
    let hits = ["export", "--format", "text", "--hits", "token", "last"];
    for args in
        [&["play", "--plain", "--speed", "1000", "last"][..], &["export", "--format", "text", "last"], &hits]
    {
        let read = token.run(args).exits(0);
        assert!(read.text().contains("for the token"), "{read}");
        assert_eq!(token.ran(), [UNWRAP], "{args:?}");
    }
    // Neither needs a key.
    token.run(&["verify", "last"]).exits(0);
    assert_eq!(token.ran(), [""; 0]);
}

#[test]
fn check_asks_the_plugin_and_tells_which_identity_opens_what() {
    let token = Token::new();
    let first = |ran: Ran| serde_json::from_str::<Value>(ran.text().lines().next().unwrap()).unwrap();
    // No session could be sealed to it yet, which so is no good recipient; its plugin and its identity are.
    let found = first(token.run(&["keys", "check", "--json"]).exits(1));
    assert_eq!((&found["what"], &found["good"]), (&"recipient".into(), &false.into()), "{found}");
    assert!(found["wrong"].as_str().unwrap().contains("keys new --period"), "{found}");
    assert!(found["opened_by"].as_str().unwrap().ends_with("identity.txt"), "{found}");
    assert_eq!(token.ran(), [WRAP, UNWRAP]);
    token.run(&["keys", "new", "--period"]).exits(0);
    let good = first(token.run(&["keys", "check", "--json"]).exits(0));
    assert_eq!((&good["what"], &good["good"]), (&"recipient".into(), &true.into()), "{good}");
    assert!(good["opened_by"].as_str().unwrap().ends_with("identity.txt"), "{good}");
    // A period key of other recipients is of no use to it.
    let mine = std::fs::read_to_string(token.home.personal().recipients()).unwrap();
    let other = token.run(&["keys", "new", "-o", "more.txt"]).exits(0).text();
    std::fs::write(token.home.personal().recipients(), format!("{mine}{other}")).unwrap();
    let found = first(token.run(&["keys", "check", "--json"]).exits(1));
    assert!(found["wrong"].as_str().unwrap().contains("keys new --period"), "{found}");
    // Of those in a file that is named it is not known who seals to them.
    std::fs::write(token.home.path("theirs.txt"), mine).unwrap();
    token.run(&["keys", "check", "-r", "theirs.txt"]).exits(0);
    token.run(&["keys", "new", "--period"]).exits(0);
    // Another token.
    let other = token.home.path("other.txt");
    std::fs::write(&other, identity(b"token two")).unwrap();
    // One that others can read is a finding of its own.
    std::fs::set_permissions(&other, PermissionsExt::from_mode(0o600)).unwrap();
    let other = token.run(&["keys", "check", "-i", "other.txt"]).exits(0);
    assert!(other.text().contains("no identity here"), "{other}");
}

#[test]
fn a_plugin_that_is_missing_or_fails_is_named_and_quoted_in_one_line() {
    let token = Token::new();
    token.run(&["keys", "new", "--period"]).exits(0);
    token.run(&["run", "--", "true"]).exits(0);

    let export = ["export", "last"];
    let missing =
        token.home.run(&export).exits(2).complains("needs `age-plugin-sealtest`, which is not in $PATH");
    assert!(missing.err.contains("hint: install `age-plugin-sealtest`"), "{missing}");

    token.mode("refuse");
    token.run(&export).exits(2).complains("plugin: (internal) the token is not plugged in");
    let check = token.run(&["keys", "check"]).exits(1);
    assert!(check.text().contains("the token is not plugged in"), "{check}");
    token
        .run(&["keys", "new", "--period"])
        .exits(2)
        .complains("`age-plugin-sealtest` failed: (internal) the token is not plugged in");

    token.mode("die");
    let dead = token.run(&export).exits(2).complains("plugin: ");
    // Whether it is still there when it is written to is a matter of chance.
    assert!(["unexpectedly died", "Broken pipe"].iter().any(|words| dead.err.contains(words)), "{dead}");
    token.run(&["keys", "new", "--period"]).exits(2).complains("`age-plugin-sealtest` failed: ");

    // It asks for a PIN where nobody can be asked.
    token.mode("ask");
    let mut nobody = Command::new("setsid");
    let alone = token.command(&export);
    nobody.arg("-w").arg(alone.get_program()).args(alone.get_args()).env_clear();
    nobody.envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))));
    nobody.current_dir(token.home.path("")).stdin(std::process::Stdio::null());
    let alone = ran(&mut nobody, &export).exits(2);
    let said: Vec<&str> = alone.err.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(said, ["touch the token", "error", "hint"], "{alone}");
    assert!(alone.err.contains("(internal) no PIN, no key"), "{alone}");

    // The period key of before is still there, and still opens.
    token.mode("");
    token.run(&export).exits(0);
    assert!(token.run(&["keys", "list"]).exits(0).text().contains(&token.recipient[..16]));
}
