use crate::sandbox::Sandbox;
use std::os::unix::fs::PermissionsExt;

#[test]
fn first_keys_are_made_once_and_said_so_in_one_sentence() {
    let home = Sandbox::new();
    let made = home.run(&["keys", "new"]).exits(0);
    assert!(made.text().starts_with("age1") && made.text().lines().count() == 1, "{made}");
    assert!(made.err.contains("identity.txt") && made.err.lines().count() == 1, "{made}");
    home.run(&["keys", "new"]).exits(2).complains("there are keys in");
    let listed = home.run(&["keys", "list"]).exits(0);
    let words: Vec<String> =
        listed.text().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert_eq!(words, ["recipient", "identity", "signing key"], "{listed}");
}

#[test]
fn check_says_which_identity_opens_what_and_finds_open_permissions() {
    let home = Sandbox::new();
    home.run(&["keys", "check"]).exits(2).complains("No such file");
    home.run(&["keys", "new"]).exits(0);
    let good = home.run(&["keys", "check", "--json"]).exits(0);
    let first: serde_json::Value = serde_json::from_str(good.text().lines().next().unwrap()).unwrap();
    assert_eq!((&first["what"], &first["good"]), (&"recipient".into(), &true.into()), "{good}");
    assert!(first["opened_by"].as_str().unwrap().ends_with("identity.txt"), "{good}");

    home.run(&["keys", "new", "-o", "other.txt"]).exits(0);
    let strangers = home.run(&["keys", "check", "-i", "other.txt"]).exits(0);
    assert!(
        strangers.text().contains("no identity here") && strangers.err.contains("other.txt"),
        "{strangers}"
    );

    std::fs::set_permissions(home.personal().identity(), PermissionsExt::from_mode(0o644)).unwrap();
    let open = home.run(&["keys", "check"]).exits(1).complains("cannot be used as it is");
    assert!(open.text().contains("0644"), "{open}");
}

#[test]
fn a_recipient_that_needs_a_missing_plugin_is_found_by_check() {
    let home = Sandbox::new();
    home.run(&["keys", "new"]).exits(0);
    let hrp = bech32::Hrp::parse("age1nowhere").unwrap();
    let plugin = bech32::encode::<bech32::Bech32>(hrp, b"anything").unwrap();
    let mine = std::fs::read_to_string(home.personal().recipients()).unwrap();
    std::fs::write(home.personal().recipients(), format!("{mine}{plugin}\n")).unwrap();
    let found = home.run(&["keys", "check"]).exits(1).complains("cannot be used");
    assert!(found.text().contains("`age-plugin-nowhere` is not in $PATH"), "{found}");
    home.run(&["keys", "new", "--period"]).exits(2).complains("age-plugin-nowhere");
}

#[test]
fn a_period_key_is_made_for_the_recipients() {
    let home = Sandbox::new();
    let made = home.run(&["keys", "new", "--period"]).exits(0);
    assert!(made.text().starts_with("age1"), "{made}");
    let checked = home.run(&["keys", "check"]).exits(0);
    let line = checked.text().lines().find(|line| line.starts_with("period key")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.ends_with("identity.txt")), "{checked}");
    let other = home.run(&["keys", "new", "-o", "other.txt"]).exits(0).text();
    let recipients = std::fs::read_to_string(home.personal().recipients()).unwrap();
    std::fs::write(home.personal().recipients(), recipients + &other).unwrap();
    assert!(home.run(&["keys", "check"]).exits(1).text().contains("made for other recipients"));
    home.run(&["keys", "new", "--period"]).exits(0);
    home.run(&["keys", "check"]).exits(0);
}

#[test]
fn an_identity_is_never_overwritten_and_a_passphrase_needs_a_terminal() {
    let home = Sandbox::new();
    home.run(&["keys", "new", "-o", "mine.txt"]).exits(0);
    let mode = std::fs::metadata(home.path("mine.txt")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    home.run(&["keys", "new", "-o", "mine.txt"]).exits(2).complains("is there already");
    // No controlling terminal: in a session of its own.
    let mut command = std::process::Command::new("setsid");
    command.args(["-w", env!("CARGO_BIN_EXE_sealcast"), "keys", "new", "--passphrase"]);
    command
        .env_clear()
        .env("HOME", home.path(""))
        .env("PATH", "/usr/bin:/bin")
        .stdin(std::process::Stdio::null());
    let ran = crate::sandbox::ran(&mut command, &["keys", "new", "--passphrase"]).exits(2);
    assert!(ran.complains("a passphrase is needed").err.contains("no terminal"), "no reason");
    assert!(!home.personal().identity().exists());
}
