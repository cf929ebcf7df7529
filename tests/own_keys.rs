//! One's own keys, for somebody who is not root: at a terminal, and where files and directories are closed or open.
//!
//! Needs root, to make that somebody; says so and passes where there is none.
#![allow(clippy::unwrap_used)]

mod support;

use support::host::{Host, SEALCAST, text};

const KEYS: &str = "/home/alice/.local/share/sealcast/keys";

/// What `alice` is told, on a host without a configuration, and with which exit code it ends.
struct Alice(Host);

impl Alice {
    fn start() -> Option<Self> {
        let host = Host::start()?;
        std::fs::remove_file(host.etc("sealcast/config.toml")).unwrap();
        let alice = Self(host);
        alice.does("exec /opt/bin/sealcast keys new");
        Some(alice)
    }

    #[track_caller]
    fn does(&self, script: &str) {
        let ran = self.0.run("alice", &["sh", "-c", script]);
        assert!(ran.status.success(), "{script}: {}", text(&ran));
    }

    fn sealcast(&self, words: &[&str]) -> (i32, String) {
        let ran = self.0.run("alice", &[&[SEALCAST][..], words].concat());
        (ran.status.code().unwrap_or_else(|| panic!("{}", text(&ran))), text(&ran))
    }
}

#[test]
fn keys_that_cannot_be_looked_for_are_not_told_as_none() {
    let Some(alice) = Alice::start() else { return };
    for closed in ["$HOME/.local/share/sealcast", KEYS] {
        alice.does(&format!("chmod 0 {closed}"));
        let (code, said) = alice.sealcast(&["keys", "list"]);
        assert!(code == 2 && said.contains("Permission denied"), "{closed}: {said}");
        assert!(!said.contains("there are no keys"), "{closed}: {said}");
        alice.does(&format!("chmod 700 {closed}"));
    }
}

#[test]
fn whoever_owns_what_is_refused_is_not_sent_to_its_owner() {
    let Some(alice) = Alice::start() else { return };
    let open = "it can be written by everyone (mode 0";
    for (change, back, words, why, hint) in [
        (
            format!("chmod 666 {KEYS}/recipients.txt"),
            "chmod 600",
            &["keys", "check"][..],
            open,
            "`chmod go-w`",
        ),
        (format!("chmod 777 {KEYS}"), "chmod 700", &["run", "--", "true"], open, "`chmod go-w`"),
        (
            format!("chmod 500 {KEYS}/../recordings"),
            "chmod 700",
            &["run", "--", "true"],
            "Permission denied",
            "`ls -ld`",
        ),
    ] {
        alice.does(&change);
        let (code, said) = alice.sealcast(words);
        assert!(code != 0 && said.contains(why) && !said.contains("only its owner"), "{change}: {said}");
        let hints: Vec<&str> = said.lines().filter(|line| line.starts_with("hint: ")).collect();
        assert!(hints.len() == 1 && hints[0].contains(hint), "{change}: {said}");
        alice.does(&format!("{back} {}", change.rsplit(' ').next().unwrap()));
    }
}

#[test]
fn at_a_terminal_keys_are_told_from_each_other_and_their_files_by_name() {
    let Some(alice) = Alice::start() else { return };
    alice.does(&format!(
        "for key in one two; do ssh-keygen -q -t ed25519 -N '' -C root@vm -f $key; cat $key.pub >>{KEYS}/recipients.txt; done"
    ));
    let print = |key: &str| {
        let told = text(&alice.0.run("alice", &["ssh-keygen", "-l", "-f", key]));
        told.split(' ').nth(1).unwrap().to_owned()
    };
    let mut terminal = alice.0.terminal("alice", &[SEALCAST, "keys", "list"]);
    assert!(terminal.wait_end().success());
    let shown = String::from_utf8(terminal.transcript().to_vec()).unwrap();
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("recipients.txt")).collect();
    assert_eq!(rows.len(), 3, "{shown}");
    for (row, key) in rows[1..].iter().zip(["one", "two"]) {
        assert!(row.contains(&print(key)[..20]), "{shown}");
    }
    assert!(shown.contains("signing_key") && shown.contains("~/.local/share/sealcast/keys"), "{shown}");
    let mut terminal = alice.0.terminal("alice", &[SEALCAST, "keys", "check"]);
    assert!(terminal.wait_end().success());
    let shown = String::from_utf8(terminal.transcript().to_vec()).unwrap();
    assert!(["one", "two"].iter().all(|key| shown.contains(&print(key)[..16])), "{shown}");
}
