use crate::home::Home;
use std::os::unix::fs::PermissionsExt;

#[test]
fn first_keys_are_made_once_and_said_so_in_one_sentence() {
    let home = Home::new();
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
    let home = Home::new();
    let none = home.run(&["keys", "check"]).exits(2).complains("No such file");
    let named = none.err.contains("-r FILE names other recipients") && !none.err.contains("check the name");
    assert!(named, "{none}");
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

    std::fs::set_permissions(home.path("other.txt"), PermissionsExt::from_mode(0o640)).unwrap();
    let open = home.run(&["keys", "check", "-i", "other.txt"]).exits(1).complains("cannot be used as it is");
    assert!(open.text().contains("0640"), "{open}");
    std::fs::set_permissions(home.personal().identity(), PermissionsExt::from_mode(0o644)).unwrap();
    let open = home.run(&["keys", "check"]).exits(1).complains("cannot be used as it is");
    assert!(open.text().contains("0644"), "{open}");
}

/// Runs it where nobody can be asked: in a session of its own, which has no controlling terminal.
fn run_unasked(home: &Home, args: &[&str]) -> crate::home::Ran {
    let of_ours = home.command(args);
    let mut command = std::process::Command::new("setsid");
    command.arg("-w").arg(of_ours.get_program()).args(of_ours.get_args()).env_clear();
    command.envs(of_ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.path("")).stdin(std::process::Stdio::null());
    crate::home::ran(&mut command, args)
}

#[test]
fn where_an_identity_could_not_be_tried_it_is_not_said_to_be_kept_elsewhere() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let path = home.personal().identity();
    let plain = std::fs::read_to_string(&path).unwrap();
    let locked = sealcast::crypto::identity::lock(&plain, "secret".to_owned().into()).unwrap();
    std::fs::write(&path, locked.as_bytes()).unwrap();
    let ran = run_unasked(&home, &["keys", "check"]).exits(0);
    assert!(ran.err.contains("no identity here opens new recordings"), "{ran}");
    assert!(ran.err.contains("hint: the passphrase is typed on the terminal this runs on"), "{ran}");
    assert!(!ran.err.contains("elsewhere;"), "{ran}");
}

#[test]
fn an_identity_that_was_named_and_could_not_be_tried_was_not_checked() {
    let home = Home::new();
    home.run(&["keys", "new", "-o", "mine.txt"]).exits(0);
    home.run(&["keys", "new"]).exits(0);
    let plain = std::fs::read_to_string(home.path("mine.txt")).unwrap();
    let locked = sealcast::crypto::identity::lock(&plain, "secret".to_owned().into()).unwrap();
    crate::home::write(&home.path("locked.txt"), locked.as_bytes());
    let hrp = bech32::Hrp::parse("AGE-PLUGIN-NOWHERE-").unwrap();
    let plugin = bech32::encode_upper::<bech32::Bech32>(hrp, b"anything").unwrap();
    crate::home::write(&home.path("plugin.txt"), plugin.as_bytes());
    for name in ["locked.txt", "plugin.txt"] {
        std::fs::set_permissions(home.path(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let own = home.personal().identity();
    let own = own.to_str().unwrap();
    for (name, why, hint) in [
        ("locked.txt", "needs its passphrase", "hint: the passphrase is typed"),
        ("plugin.txt", "age-plugin-nowhere", "hint: install `age-plugin-nowhere`"),
    ] {
        // Also where another one opens everything.
        for more in [&[][..], &["-i", own], &["--json"]] {
            let ran = run_unasked(&home, &[&["keys", "check", "-i", name], more].concat()).exits(2);
            let ran = ran.complains("not every identity could be tried: ");
            assert!(ran.err.contains(&format!("{name} (")) && ran.err.contains(why), "{ran}");
            assert!(ran.text().contains("recipient") && ran.err.matches(hint).count() == 1, "{ran}");
        }
    }
}

#[test]
fn a_recipient_that_needs_a_missing_plugin_is_found_by_check() {
    let home = Home::new();
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
    let home = Home::new();
    let made = home.run(&["keys", "new", "--period"]).exits(0);
    assert!(made.text().starts_with("age1"), "{made}");
    let checked = home.run(&["keys", "check"]).exits(0);
    let line = checked.text().lines().find(|line| line.starts_with("period key")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.ends_with("identity.txt")), "{checked}");
    let other = home.run(&["keys", "new", "-o", "other.txt"]).exits(0).text();
    let recipients = std::fs::read_to_string(home.personal().recipients()).unwrap();
    std::fs::write(home.personal().recipients(), recipients + &other).unwrap();
    assert!(home.run(&["keys", "check"]).exits(1).text().contains("made for other recipients"));
    let told = home.run(&["keys", "new", "--period"]).exits(0);
    assert!(!told.err.contains("warning"), "{told}");
    home.run(&["keys", "check"]).exits(0);
    // Those for whom it is made promise more than it does.
    const POST_QUANTUM: &str = include_str!("../../fixtures/recipient-post-quantum.txt");
    std::fs::write(home.personal().recipients(), POST_QUANTUM).unwrap();
    let told = home.run(&["keys", "new", "--period"]).exits(0);
    assert!(
        told.err.contains("warning: a period key is plain X25519: what is sealed to it is not"),
        "{told}"
    );
}

#[test]
fn an_identity_is_never_overwritten_and_a_passphrase_needs_a_terminal() {
    let home = Home::new();
    home.run(&["keys", "new", "-o", "mine.txt"]).exits(0);
    let mode = std::fs::metadata(home.path("mine.txt")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    home.run(&["keys", "new", "-o", "mine.txt"]).exits(2).complains("is there already");
    // A secret key is not for a pipe, nor for a file that nobody meant.
    for word in ["-", "--output=-"] {
        let args: &[&str] = if word == "-" { &["keys", "new", "-o", word] } else { &["keys", "new", word] };
        let ran = home.run(args).exits(2).complains("standard output");
        assert!(ran.out.is_empty() && ran.err.contains("`./-`") && !home.path("-").exists(), "{ran}");
    }
    // No controlling terminal: in a session of its own.
    let mut command = std::process::Command::new("setsid");
    command.args(["-w", env!("CARGO_BIN_EXE_sealcast"), "keys", "new", "--passphrase"]);
    command
        .env_clear()
        .env("HOME", home.path(""))
        .env("PATH", "/usr/bin:/bin")
        .stdin(std::process::Stdio::null());
    let ran = crate::home::ran(&mut command, &["keys", "new", "--passphrase"]).exits(2);
    assert!(ran.complains("a passphrase is needed").err.contains("no terminal"), "no reason");
    assert!(!home.personal().identity().exists());
}

#[test]
fn what_protects_ones_identity_is_told_as_it_is() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let kind = || {
        let listed = home.run(&["keys", "list", "--json"]).exits(0);
        let rows = listed.text();
        let mut rows = rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let row = rows.find(|row| row["what"] == "identity").unwrap_or_else(|| panic!("{listed}"));
        assert!(listed.text().contains("signing key"), "{listed}");
        (row["kind"].as_str().unwrap().to_owned(), listed.err)
    };
    let path = home.personal().identity();
    let plain = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kind(), ("without passphrase".to_owned(), String::new()));
    let locked = sealcast::crypto::identity::lock(&plain, "secret".to_owned().into()).unwrap();
    let mut binary = Vec::new();
    std::io::Read::read_to_end(&mut age::armor::ArmoredReader::new(locked.as_bytes()), &mut binary).unwrap();
    for file in [locked.as_bytes(), &binary] {
        std::fs::write(&path, file).unwrap();
        assert_eq!(kind(), ("with passphrase".to_owned(), String::new()));
    }
    for (passphrase, told) in [("", "SSH key without passphrase"), ("secret", "SSH key with passphrase")] {
        std::fs::remove_file(&path).unwrap();
        let mut keygen = std::process::Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&path);
        if !keygen.status().is_ok_and(|status| status.success()) {
            crate::skipped("there is no ssh-keygen");
            return;
        }
        assert_eq!(kind(), (told.to_owned(), String::new()));
    }
    std::fs::write(&path, "no identity").unwrap();
    let (kind, said) = kind();
    assert_eq!(kind, "unusable");
    assert!(said.contains("identity.txt: line 1 is no identity"), "{said}");
}

#[test]
fn recipients_that_a_recording_has_no_room_for_are_told_by_the_check_and_by_whatever_uses_them() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let mine = std::fs::read_to_string(home.personal().recipients()).unwrap();
    let comment = "x".repeat(1000);
    let keys: String = (1..80_u8)
        .map(|n| {
            let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
            blob.extend(ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key().as_bytes());
            let blob = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, blob);
            format!("ssh-ed25519 {blob} {comment}\n")
        })
        .collect();
    std::fs::write(home.personal().recipients(), mine + &keys).unwrap();
    let said = "recipients.txt: 80 recipients come to ";
    home.run(&["keys", "check"]).exits(2).complains(said);
    home.run(&["keys", "new", "--period"]).exits(2).complains(said);
    home.run(&["run", "--", "true"]).exits(125).complains(said);
}

/// What `keys list` or `keys check` tells of keys of this kind, a JSON object each.
fn told(home: &Home, command: &str, what: &str) -> Vec<serde_json::Value> {
    let ran = home.run(&["keys", command, "--json"]);
    let rows = ran.text();
    let rows = rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.filter(|row| row["what"] == what).collect()
}

#[test]
fn what_another_signing_key_signs_is_ones_own_and_so_is_what_was_signed_before() {
    let home = Home::new();
    home.run(&["run", "--", "echo", "first"]).exits(0);
    let public = || std::fs::read_to_string(home.personal().signing_key_pub()).unwrap();
    let first = public();
    std::fs::remove_file(home.personal().signing_key()).unwrap();
    let second = home.run(&["run", "--", "echo", "second"]).exits(0);
    assert!(second.err.contains("made a new signing key in"), "{second}");
    home.run(&["verify"]).exits(0);
    assert!(public().ends_with(&first) && public().lines().count() == 2, "{}", public());

    // One that somebody put there.
    let other = sealcast::crypto::sshsig::Signer::generate("other").unwrap();
    std::fs::write(home.personal().signing_key(), other.to_openssh().unwrap().as_bytes()).unwrap();
    let found = home.run(&["keys", "check"]).exits(1);
    assert!(found.text().contains("signing_key.pub does not name it"), "{found}");
    let third = home.run(&["run", "--", "echo", "third"]).exits(0);
    assert!(third.err.contains("signing_key.pub did not name your signing key"), "{third}");
    home.run(&["verify"]).exits(0);
    home.run(&["keys", "check"]).exits(0);
    let fourth = home.run(&["run", "--", "echo", "fourth"]).exits(0);
    assert!(fourth.err.is_empty() && public().lines().count() == 3, "{fourth}{}", public());
}

#[test]
fn a_public_half_that_cannot_be_written_keeps_nobody_from_recording_and_is_told() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let path = home.personal().signing_key_pub();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let ran = home.run(&["run", "--", "echo", "recorded"]).exits(0);
    assert!(ran.err.contains("warning: ") && ran.err.contains("can be written by everyone"), "{ran}");
    let found = home.run(&["keys", "check"]).exits(1);
    assert!(found.text().contains("can be written by everyone"), "{found}");
}

#[test]
fn where_the_public_half_of_the_signing_key_is_missing_verify_says_so_and_the_next_run_makes_it() {
    let home = Home::new();
    home.run(&["run", "--", "echo", "first"]).exits(0);
    std::fs::remove_file(home.personal().signing_key_pub()).unwrap();
    let foreign = home.run(&["verify"]).exits(1);
    assert!(foreign.text().contains("foreign"), "{foreign}");
    assert!(foreign.err.contains("warning: your own signing key is not trusted here"), "{foreign}");
    assert!(foreign.err.contains("signing_key.pub"), "{foreign}");
    home.run(&["keys", "check"]).exits(1);
    home.run(&["run", "--", "echo", "second"]).exits(0);
    home.run(&["verify"]).exits(0);
}

#[test]
fn keys_are_given_whole_where_a_program_reads_them() {
    let home = Home::new();
    home.run(&["keys", "new", "--period"]).exits(0);
    let text = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let mine = text(home.personal().recipients()).lines().last().unwrap().to_owned();
    let keys: Vec<String> = (1..3_u8)
        .map(|n| {
            let seed = ed25519_dalek::SigningKey::from_bytes(&[n; 32]);
            let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20", &seed.verifying_key().as_bytes()[..]].concat();
            let blob = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, blob);
            format!("ssh-ed25519 {blob} root@vm")
        })
        .collect();
    let all = format!("{mine}\n{}\n", keys.join("\n"));
    std::fs::write(home.personal().recipients(), all).unwrap();
    let signing = home.personal().read_signer().unwrap().host_key().to_string();
    let period = text(home.personal().keys().join("period.pub")).lines().last().unwrap().to_owned();
    for command in ["list", "check"] {
        let of = |what: &str| {
            let rows = told(&home, command, what);
            rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of("recipient"), [&mine[..], &keys[0], &keys[1]], "{command}");
        assert_eq!((of("signing key"), of("period key")), (vec![signing.clone()], vec![period.clone()]));
    }
    let listed = home.run(&["keys", "list"]).exits(0).text();
    assert!(keys.iter().chain([&mine, &signing]).all(|key| listed.contains(key.as_str())), "{listed}");
}

#[test]
fn check_sends_to_new_only_whoever_has_no_recipients() {
    let home = Home::new();
    let hints_at_new = || home.run(&["keys", "check"]).exits(2).err.contains("keys new");
    assert!(hints_at_new());
    home.run(&["keys", "new"]).exits(0);
    std::fs::write(home.personal().recipients(), "no recipient\n").unwrap();
    assert!(!hints_at_new());
    std::fs::set_permissions(home.personal().recipients(), PermissionsExt::from_mode(0o666)).unwrap();
    assert!(!hints_at_new());
}

#[test]
fn keys_that_are_named_are_checked_without_a_home() {
    let home = Home::new();
    let recipient = home.run(&["keys", "new", "-o", "mine.txt"]).exits(0).text();
    std::fs::write(home.path("recipients.txt"), recipient).unwrap();
    for args in [
        &["keys", "check", "-i", "mine.txt", "-r", "recipients.txt"][..],
        &["keys", "check", "-r", "recipients.txt"],
    ] {
        crate::home::ran(home.command(args).env_remove("HOME"), args).exits(0);
    }
    let args = ["keys", "check", "-i", "mine.txt"];
    crate::home::ran(home.command(&args).env_remove("HOME"), &args).exits(2).complains("neither HOME");
}

/// Whoever asks what there is, asks most often because something is wrong with it.
#[test]
fn what_cannot_be_used_is_listed_as_that_and_the_others_are_listed_too() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let kinds = || {
        let listed = home.run(&["keys", "list", "--json"]).exits(0);
        let rows = listed
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<serde_json::Value>>();
        let of = |what: &str| {
            rows.iter().filter(|row| row["what"] == what).map(|row| row["kind"].to_string()).collect()
        };
        let kinds: [Vec<String>; 3] = ["recipient", "identity", "signing key"].map(of);
        (kinds.map(|kinds| kinds == ["\"unusable\""]), listed.err)
    };
    assert_eq!(kinds(), ([false; 3], String::new()));
    std::fs::write(home.personal().recipients(), "no recipient\n").unwrap();
    let (unusable, said) = kinds();
    assert_eq!(unusable, [true, false, false], "{said}");
    assert!(said.contains("recipients.txt: line 1"), "{said}");
    std::fs::write(home.personal().signing_key(), "no key\n").unwrap();
    let (unusable, said) = kinds();
    assert_eq!(unusable, [true, false, true], "{said}");
    assert!(said.contains("signing_key"), "{said}");
    let checked = home.run(&["keys", "check"]).exits(2);
    assert!(!checked.text().contains("SSH Ed25519"), "{checked}");
    std::fs::write(home.personal().keys().join("period.pub"), "no key\n").unwrap();
    let listed = home.run(&["keys", "list"]).exits(0);
    assert!(listed.text().contains("period key") && listed.text().contains("identity"), "{listed}");
}
