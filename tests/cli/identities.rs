//! Identities that open nothing, and what is said and done all the same.

use crate::home::{Home, Recording, write};
use crate::support::terminal::Terminal;
use sealcast::crypto::identity;
use sealcast::crypto::recipient::Recipient;
use sealcast::crypto::sshsig::Signer;
use sealcast::sys::tty::Size;
use serde_json::Value;

/// A home with `other.txt`, the identity of nobody.
fn with_another() -> Home {
    let home = Home::new();
    write(&home.path("other.txt"), identity::generate().0.as_bytes());
    home
}

#[test]
fn the_verdict_of_the_signatures_stands_though_the_identity_that_was_named_opens_nothing() {
    let home = with_another();
    let damaged = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/damaged");
    let known = format!("{damaged}/known_hosts");
    for (name, verdict) in [("host-other", "foreign"), ("trailer-missing", "torn"), ("never-closed", "torn")]
    {
        let path = format!("{damaged}/{name}.scast");
        let verify = |more: &[&str]| home.run(&[&["verify", "-k", &known, &path], more].concat()).exits(1);
        assert!(verify(&[]).text().contains(verdict));
        let ran = verify(&["-i", "other.txt"]).complains("not intact");
        assert!(ran.text().contains(verdict) && ran.text().contains("content not checked: "), "{ran}");
        let told: Value = serde_json::from_str(&verify(&["-i", "other.txt", "--json"]).text()).unwrap();
        assert_eq!((&told["verdict"], &told["content_checked"]), (&verdict.into(), &false.into()));
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains("other.txt (not a recipient)"), "{detail}");
        assert!(
            !detail.contains("sealed to :") && !detail.contains("no identity file was given"),
            "{detail}"
        );
    }

    home.record(&Recording::default());
    let ran = home.run(&["verify", "last", "-i", "other.txt"]).exits(2).complains("other.txt");
    assert!(ran.text().contains("intact") && ran.text().contains("content not checked: "), "{ran}");
    // Of several, too: what is wrong with one is no less wrong.
    let foreign = format!("{damaged}/host-other.scast");
    let ran = home.run(&["verify", "-i", "other.txt", "last", &foreign]).exits(1);
    let ran = ran.complains("1 of 2 recordings are not intact, 2 could not be checked");
    assert_eq!(ran.text().lines().count(), 2, "{ran}");
}

#[test]
fn what_is_public_is_told_though_ones_own_identity_cannot_be_used() {
    for what in ["garbage", "nothing", "a directory"] {
        let home = Home::new();
        home.record(&Recording::default());
        let path = home.personal().identity();
        std::fs::remove_file(&path).unwrap();
        match what {
            "garbage" => write(&path, b"garbage"),
            "nothing" => write(&path, b""),
            _ => std::fs::create_dir(&path).unwrap(),
        }
        let path = path.to_str().unwrap();
        for (args, shown) in [
            (&["ls"][..], "alice"),
            (&["verify"], "intact"),
            (&["verify", "--json"], "intact"),
            (&["show"], "alice"),
        ] {
            let ran = home.run(args).exits(0);
            assert!(ran.text().contains(shown), "{what}: {ran}");
            assert_eq!(ran.err.matches("warning: ").count(), 1, "{what}: {ran}");
            assert!(ran.err.contains(path) && ran.err.contains("hint: "), "{what}: {ran}");
        }
        home.run(&["show", "--commands"]).exits(2).complains("identity.txt");
        for command in ["ls", "verify", "show"] {
            home.run(&[command, "-i", path]).exits(2).complains("identity.txt");
        }
    }
}

#[test]
fn where_ones_own_keys_are_not_it_is_told_which_file_was_looked_for() {
    let home = Home::new();
    home.record(&Recording::default());
    let personal = home.personal();
    for linked in [false, true] {
        for path in [personal.identity(), personal.signing_key(), personal.signing_key_pub()] {
            std::fs::remove_file(&path).ok();
            if linked {
                std::os::unix::fs::symlink("/nowhere/key", &path).unwrap();
            }
        }
        let looked = format!("looked for {}", personal.identity().display());
        for args in [&["play", "--plain", "last"][..], &["export", "last"], &["show", "--commands"]] {
            let ran = home.run(args).exits(2).complains("no identity file was given");
            assert!(ran.err.contains(&looked), "{ran}");
        }
        for args in [&["show"][..], &["search", "after"]] {
            let ran = home.run(args);
            assert!(ran.err.contains(&looked), "{ran}");
        }
        // Of a key that is somewhere else it is told that it is not trusted; of one that never was there is nothing to say.
        let ran = home.run(&["verify"]).exits(1);
        assert_eq!(ran.err.contains("your own signing key is not trusted here"), linked, "{ran}");
    }
}

#[test]
fn what_was_tried_comes_before_to_whom_it_is_sealed_and_keys_are_named_in_short() {
    let home = with_another();
    let ssh = |n: usize| -> Recipient {
        let key = Signer::generate("test").unwrap().host_key();
        format!("{key} root@web-{n}").parse().unwrap()
    };
    home.record(&Recording { recipients: Some((1..=8).map(ssh).collect()), ..Recording::default() });
    for command in [&["export", "last"][..], &["show", "--commands", "last"]] {
        let ran = home.run(&[command, &["-i", "other.txt"]].concat()).exits(2).complains("sealed to");
        let line = ran.err.lines().next().unwrap();
        assert!(line.find("other.txt (not a recipient)") < line.find("sealed to"), "{ran}");
        assert!(line.contains("root@web-1 (ssh-ed25519)") && !line.contains("AAAA"), "{ran}");
        assert!(line.len() < 300, "{} bytes\n{ran}", line.len());
    }
}

#[test]
fn whoever_has_no_identity_is_told_which_there_would_have_been_and_to_whom_it_is_sealed() {
    let home = Home::new();
    home.record(&Recording::default());
    let recipient = home.personal().read_recipients().unwrap()[0].label();
    let path = home.personal().identity();
    let plain = std::fs::read_to_string(&path).unwrap();
    let refused = |args: &[&str], why: &str| {
        let ran = home.run(args).exits(2).complains(&format!("is sealed to {recipient}"));
        let line = ran.err.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(line.contains(path.to_str().unwrap()) && line.contains(why), "{ran}");
    };
    let locked = identity::lock(&plain, "secret".to_owned().into()).unwrap();
    write(&path, locked.as_bytes());
    refused(&["ls", "--exit", "0"], "would ask for a passphrase");
    // It is no recording of others either.
    for args in [&["ls"][..], &["ls", "--json"]] {
        let told = home.run(args).exits(0);
        assert!(told.err.contains("your own identity would ask for a passphrase"), "{told}");
    }
    write(&path, b"garbage");
    refused(&["ls", "--exit", "0"], "cannot be used");
    std::fs::remove_file(&path).unwrap();
    refused(&["ls", "--exit", "0"], "there is no identity");
    refused(&["search", "anything"], "there is no identity");
}

#[test]
fn recipients_of_one_name_are_told_apart() {
    let home = with_another();
    let keys: Vec<_> = (0..2).map(|_| Signer::generate("test").unwrap().host_key()).collect();
    let recipients: Vec<Recipient> =
        keys.iter().map(|key| format!("{key} root@vm").parse().unwrap()).collect();
    home.record(&Recording { recipients: Some(recipients), ..Recording::default() });
    let ran = home.run(&["export", "last", "-i", "other.txt"]).exits(2).complains("sealed to");
    assert!(keys.iter().all(|key| ran.err.contains(&key.fingerprint())), "{ran}");
}

#[test]
fn a_named_identity_that_opens_the_index_only_leaves_the_content_unchecked() {
    let home = Home::new();
    let golden = |name: &str| format!("{}/fixtures/v1/{name}", env!("CARGO_MANIFEST_DIR"));
    let (recording, searcher) = (golden("index-slot.scast"), golden("searcher.txt"));
    let known = golden("known_hosts");
    home.run(&["verify", "-k", &known, &recording]).exits(0);
    let ran = home.run(&["verify", "-k", &known, "-i", &searcher, &recording]).exits(2);
    let ran = ran.complains("the key opens the index only");
    assert!(ran.text().contains("intact") && ran.text().contains("content not checked: "), "{ran}");
}

#[test]
fn who_can_read_is_told_so_that_a_key_in_the_place_of_another_is_seen() {
    let home = Home::new();
    home.record(&Recording::default());
    let (_, age) = identity::generate();
    let ssh = || -> Recipient {
        let key = Signer::generate("test").unwrap().host_key();
        format!("{key} head-of-security@corp").parse().unwrap()
    };
    let recipients = [age, ssh(), ssh()];
    let lines = recipients.each_ref().map(ToString::to_string);
    std::fs::write(home.personal().recipients(), lines.join("\n")).unwrap();
    home.record(&Recording { recipients: Some(recipients.to_vec()), ..Recording::default() });
    for args in
        [&["config", "show"][..], &["config", "show", "--json"], &["show", "last"], &["show", "--json"]]
    {
        let told = home.run(args).exits(0).text();
        lines.iter().for_each(|line| assert!(told.contains(line), "{args:?} lacks {line}: {told}"));
    }
    let size = Size { cols: 300, rows: 60, width: 0, height: 0 };
    for args in [&["config", "show"][..], &["show", "last"]] {
        let mut terminal = Terminal::start(home.command(args).env("NO_COLOR", "1"), size);
        assert!(terminal.wait_end().success());
        let told = String::from_utf8_lossy(terminal.transcript()).into_owned();
        let short = recipients.each_ref().map(|key| key.fingerprint().unwrap_or_else(|| key.label()));
        short.iter().for_each(|name| assert!(told.contains(name), "{args:?} lacks {name}: {told}"));
        assert!(told.contains("head-of-security@corp") && !told.contains(&lines[0]), "{told}");
    }
}

/// Dashes would be taken for what is sealed to others, or for nothing.
#[test]
fn ls_does_not_keep_quiet_about_an_identity_that_was_named_and_could_not_be_tried() {
    let home = Home::new();
    home.record(&Recording::default());
    let (secret, other) = identity::generate();
    let start = Recording::default().start + 86_400_000;
    let (_, id) = home.record(&Recording { start, recipients: Some(vec![other]), ..Recording::default() });
    let locked = identity::lock(&secret, "secret".to_owned().into()).unwrap();
    std::fs::write(home.path("locked.txt"), locked).unwrap();
    let mine = home.personal().identity();
    let named = ["ls", "-i", mine.to_str().unwrap(), "-i", "locked.txt"];
    let ran = home.run(&named).exits(2).complains(&format!("{id}: cannot open the recording: "));
    assert!(ran.err.contains("locked.txt (") && ran.text().lines().count() == 2, "{ran}");
    // Where all that is listed was opened, it was not needed.
    let ran = home.run(&[&named[..], &["--until", "2026-11-23"]].concat()).exits(0);
    assert_eq!((ran.text().lines().count(), ran.err.as_str()), (1, ""), "{ran}");
}
