//! Recordings in a store: `ls`, `show` and `verify`, and what every command says of one that cannot be read.

use crate::home::{Home, Recording, held, never_locked, ran};
use crate::support::peak_memory;
use sealcast::cast::Exec;
use sealcast::container::Extras;
use sealcast::container::frame::{FRAME_LEN, Frame, PROLOGUE_LEN};
use sealcast::crypto::identity;
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

pub(crate) fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn ls_lists_newest_first_with_and_without_an_identity() {
    let home = Home::new();
    let (_, old) = home.record(&Recording::default());
    let later = Recording {
        start: Recording::default().start + 3_600_000,
        close: false,
        user: "bob",
        ..Recording::default()
    };
    let (_, new) = home.record(&later);
    let listed = home.run(&["ls"]).exits(0);
    let rows: Vec<Vec<String>> =
        listed.text().lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    assert_eq!(
        rows[1],
        [
            "2026-11-22 14:03:12",
            "alice → root",
            "web-3",
            "1:02",
            "1",
            "3",
            "sealed",
            &old,
            "OPS-4411 rotate certs"
        ],
        "{listed}"
    );
    assert_eq!(
        (rows[0][1].as_str(), rows[0][6].as_str(), rows[0][7].as_str()),
        ("bob → root", "torn", new.as_str()),
        "{listed}"
    );

    std::fs::rename(home.personal().identity(), home.path("away.txt")).unwrap();
    let public = json(&home.run(&["ls", "--json"]).exits(0).text());
    assert_eq!(
        (&public[1]["user"], &public[1]["state"], &public[1]["reason"]),
        (&"alice".into(), &"sealed".into(), &Value::Null)
    );
    let named = json(&home.run(&["ls", "--json", "-i", "away.txt"]).exits(0).text());
    assert_eq!(named[1]["reason"], "rotate certs");

    let only = |args: &[&str]| home.run(&[&["ls"], args].concat()).exits(0).text().lines().count();
    assert_eq!(only(&["--user", "bob"]), 1);
    assert_eq!(only(&["--as", "root", "--host", "web-3"]), 2);
    assert_eq!(only(&["--since", "2026-11-22 15:00"]), 1);
    assert_eq!(only(&["--until", "2026-11-22"]), 0);
    home.run(&["ls", "--since", "soon"]).exits(2).complains("not a time");
}

/// Its name says that a recorder made it: that it is no recording any more is a verdict, and no mistake of whoever asks.
#[test]
fn a_recording_that_was_emptied_zeroed_or_overwritten_has_a_verdict() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let whole = std::fs::read(&path).unwrap();
    let mut begun = whole.clone();
    begun[..600].fill(0);
    let foreign = [b"hello", &whole[5..]].concat();
    for (content, word, said) in [
        (&[][..], "torn", "ends at byte 0"),
        (&[0; 9], "torn", "zeros follow"),
        (&[0; 4096], "torn", "zeros follow"),
        (&begun, "altered", "byte 0"),
        (b"hello, I am a text", "altered", "byte 0"),
        (&whole[..1], "torn", "ends at byte 1"),
    ] {
        std::fs::write(&path, content).unwrap();
        for args in [&["verify", "--json"][..], &["verify", "--json", path.to_str().unwrap()]] {
            let judged = home.run(args).exits(1);
            let row = &json(&judged.text())[0];
            assert_eq!(row["verdict"], word, "{judged}");
            assert!(row["detail"].as_str().unwrap().contains(said), "{judged}");
        }
    }
    // More zeros than a loss of power leaves.
    std::fs::write(&path, []).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(300 << 20).unwrap();
    let judged = home.run(&["verify", "--json"]).exits(1);
    assert!(judged.text().contains("\"altered\"") && judged.text().contains("zeros"), "{judged}");
    // What its signatures still speak for is judged by them.
    std::fs::write(&path, foreign).unwrap();
    let judged = home.run(&["verify", "--json"]).exits(1);
    assert!(judged.text().contains("the prologue is not the one that was signed"), "{judged}");
    // A file with another name is no recording.
    std::fs::write(home.path("notes.scast"), "hello").unwrap();
    home.run(&["verify", "./notes.scast"]).exits(2).complains("not a sealcast recording");
}

/// Who names an identity wants what it opens: dashes would be taken for "nothing was done".
#[test]
fn ls_says_why_an_identity_that_was_named_opens_none_of_what_is_listed() {
    let home = Home::new();
    home.record(&Recording::default());
    home.run(&["keys", "new", "-o", "other.txt"]).exits(0);
    let refused = home.run(&["ls", "-i", "other.txt"]).exits(0);
    assert!(refused.err.contains("warning: ") && refused.err.contains("other.txt"), "{refused}");
    let opened = home.run(&["ls"]).exits(0);
    assert_eq!(opened.err, "", "{opened}");
}

#[test]
fn a_reason_of_megabytes_costs_a_row_no_more_than_one_that_a_recorder_takes() {
    let home = Home::new();
    let reason: &'static str = String::from("\x7f").repeat(7 << 20).leak();
    home.record(&Recording { reason, ..Recording::default() });
    let row = home.run(&["ls"]).exits(0).text();
    assert!(row.contains("\\x7f\\x7f…") && row.len() < 20_000, "{} bytes", row.len());
    // Programs have it as it is.
    let json: serde_json::Value = serde_json::from_str(&home.run(&["ls", "--json"]).exits(0).text()).unwrap();
    assert_eq!(json["reason"], reason);
}

#[test]
fn an_unreadable_recording_is_named_and_the_others_are_listed() {
    let home = Home::new();
    home.record(&Recording::default());
    let (bad, _) = home.record(&Recording { start: 1_795_000_000_000, ..Recording::default() });
    std::fs::write(&bad, b"hello").unwrap();
    let listed = home.run(&["ls"]).exits(2);
    assert_eq!(listed.text().lines().count(), 1, "{listed}");
    assert!(
        listed.err.contains(bad.to_str().unwrap()) && listed.err.contains("not a sealcast recording"),
        "{listed}"
    );
}

#[test]
fn recordings_are_named_by_path_prefix_and_last() {
    let home = Home::new();
    let (path, id) = home.record(&Recording::default());
    let (_, newer) = home.record(&Recording { start: 1_795_400_000_000, ..Recording::default() });
    for (wanted, expected) in [
        (path.to_str().unwrap(), &id),
        (&id[..6], &id),
        (&id.to_lowercase(), &id),
        ("last", &newer),
        ("last~1", &id),
    ] {
        let shown = json(&home.run(&["show", wanted, "--json"]).exits(0).text());
        assert!(shown[0]["id"].as_str().unwrap().starts_with(expected.as_str()), "{wanted}");
    }
    home.run(&["show", "last~2"]).exits(2).complains("there is no recording 2 back");
    home.run(&["show", "ZZZZZZ"]).exits(2).complains("neither a file nor the id");
}

#[test]
fn show_tells_the_story_and_what_is_public_without_a_key() {
    let home = Home::new();
    home.record(&Recording::default());
    let told = home.run(&["show"]).exits(0);
    for part in [
        "alice → root",
        "web-3",
        "OPS-4411",
        "rotate certs",
        "intact: signed by SHA256:",
        "withheld 2 times",
        "\tls",
    ] {
        assert!(told.text().contains(part), "{part:?} is missing\n{told}");
    }
    std::fs::remove_file(home.personal().identity()).unwrap();
    let public = home.run(&["show"]).exits(0);
    assert!(public.text().contains("alice → root") && !public.text().contains("rotate certs"), "{public}");
    assert!(public.err.contains("no identity file was given"), "{public}");
    home.run(&["show", "--commands"]).exits(2).complains("sealed to");
}

#[test]
fn verify_has_the_right_word_and_exit_code_for_each_state() {
    let home = Home::new();
    let (path, _) = home.record(&Recording { start: now(), ..Recording::default() });
    let verdict = |args: &[&str], code| {
        json(&home.run(&[&["verify", "--json"], args].concat()).exits(code).text())[0].clone()
    };
    let intact = verdict(&["last"], 0);
    assert_eq!((&intact["verdict"], &intact["content_checked"]), (&"intact".into(), &true.into()));
    assert_eq!(intact["trusted"], true);

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(verdict(&["last"], 1)["verdict"], "torn");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    std::fs::write(&path, &altered).unwrap();
    let found = verdict(&["last"], 1);
    assert_eq!(found["verdict"], "altered");
    assert!(found["offset"].as_u64().unwrap() <= whole.len() as u64 / 2, "{found}");
    home.run(&["verify", "last"]).exits(1);
    std::fs::write(&path, &whole).unwrap();

    // A list of keys that others can write proves as much as they like.
    let keys = home.personal().keys();
    for (mode, is_told) in [(0o777, true), (0o700, false)] {
        std::fs::set_permissions(&keys, PermissionsExt::from_mode(mode)).unwrap();
        let told = home.run(&["verify", "last"]).exits(0);
        let warned = told.err.contains("warning: others can say which keys count as your own: cannot trust ");
        assert_eq!(warned, is_told, "{told}");
    }

    // Without any key it is the same, but for the content.
    std::fs::rename(home.personal().identity(), home.path("away.txt")).unwrap();
    assert_eq!(verdict(&["last"], 0)["content_checked"], false);
    std::fs::rename(home.personal().signing_key_pub(), home.path("signer.pub")).unwrap();
    assert_eq!(verdict(&["last"], 1)["verdict"], "foreign");
    assert_eq!(verdict(&["last", "-k", "signer.pub"], 0)["verdict"], "intact");
    let other_host = format!("db-1 {}", std::fs::read_to_string(home.path("signer.pub")).unwrap());
    std::fs::write(home.path("hosts"), other_host).unwrap();
    assert_eq!(verdict(&["last", "-k", "hosts"], 1)["verdict"], "foreign");
    // What ssh-keyscan writes where a host does not answer, or has keys of other kinds only.
    for none in ["", "# web-3:22 SSH-2.0-OpenSSH\nweb-3 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==\n"] {
        std::fs::write(home.path("scanned"), none).unwrap();
        let told = home.run(&["verify", "last", "-k", "scanned"]).exits(1);
        assert!(told.err.contains("note: scanned: no key is in it"), "{told}");
        let told = home.run(&["verify", "last", "-k", "hosts"]).exits(1);
        assert!(!told.err.contains("no key is in it"), "{told}");
    }
    // A key that was taken back made something that is still as it was made.
    let revoked = std::fs::read_to_string(home.path("signer.pub")).unwrap();
    std::fs::write(home.path("revoked"), format!("{revoked}@revoked * {revoked}")).unwrap();
    let found = verdict(&["last", "-k", "revoked", "-i", "away.txt"], 1);
    assert_eq!((&found["verdict"], &found["content_checked"]), (&"revoked".into(), &true.into()), "{found}");
    assert_eq!((&found["trusted"], &found["offset"]), (&false.into(), &serde_json::Value::Null), "{found}");
    let detail = found["detail"].as_str().unwrap();
    assert!(
        detail.contains("consistent, but signed by SHA256:") && detail.contains(", which is revoked: "),
        "{detail}"
    );
    // A foreign one is looked at no less: where it ends, and what it holds.
    let away = ["last", "-i", "away.txt"];
    assert_eq!(verdict(&away, 1)["content_checked"], true);
    let cut = &whole[..whole.len() - 300];
    std::fs::write(&path, cut).unwrap();
    let found = verdict(&away, 1);
    assert_eq!((&found["verdict"], found["offset"].is_u64()), (&"foreign".into(), true), "{found}");
    let detail = found["detail"].as_str().unwrap();
    let torn = format!("; and torn: ends at byte {} without a close: ", found["offset"]);
    assert!(detail.contains("signed by SHA256:") && detail.contains(&torn), "{detail}");
    assert!(detail.contains("; content checked, "), "{detail}");
    assert!(home.run(&["show"]).exits(0).text().contains(&torn));
    let file = held(&path);
    let detail = verdict(&away, 1)["detail"].to_string();
    assert!(detail.contains("still being written") && !detail.contains("torn"), "{detail}");
    drop(file);
    std::fs::write(&path, &whole).unwrap();
    home.run(&["verify", "last", "-k", "signer.pub", "-i", "nowhere.txt"]).exits(2).complains("nowhere.txt");
}

/// Milliseconds since 1970-01-01T00:00:00Z.
fn now() -> i64 {
    i64::try_from(sealcast::sys::clock::realtime().as_millis()).unwrap()
}

#[test]
fn a_report_that_cannot_be_written_is_told_also_where_something_is_wrong() {
    let home = Home::new();
    home.record(&Recording { close: false, ..Recording::default() });
    let args = ["verify", "last"];
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let told = ran(home.command(&args).stdout(full), &args).exits(1);
    let errors: Vec<&str> = told.err.lines().filter(|line| line.starts_with("error: ")).collect();
    let [verdict, lost] = errors.as_slice() else { panic!("{told}") };
    assert!(verdict.contains("the recording is not intact") && lost.contains("No space left"), "{told}");
}

#[test]
fn a_standard_output_that_is_full_is_told_once_with_what_to_do() {
    let home = Home::new();
    home.record(&Recording::default());
    for line in [
        "ls",
        "ls --json",
        "show last",
        "search -l ls",
        "search ls",
        "play --plain last",
        "verify last",
        "export last",
        "export last --hits ls",
        "export last --format commands",
        "keys list",
        "completions bash",
        "--help",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let told = ran(home.command(&args).stdout(full), &args).exits(2);
        let lines = |word: &str| told.err.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!((lines("error: "), lines("hint: ")), (1, 1), "{told}");
        let said = "error: cannot write to standard output: No space left";
        assert!(told.err.contains(said) && told.err.contains("hint: make room"), "{told}");
    }
}

#[test]
fn verify_goes_through_the_whole_store_and_counts() {
    let home = Home::new();
    home.run(&["verify"]).exits(2).complains("there is nothing to verify: there are no recordings in ");
    std::fs::create_dir(home.path("empty")).unwrap();
    home.run(&["verify", "--store", "empty"]).exits(2).complains("no recordings in empty");
    home.run(&["search", "x", "--store", "empty"]).exits(2).complains("no recordings in empty");
    home.record(&Recording::default());
    home.record(&Recording { start: 1_795_400_000_000, close: false, ..Recording::default() });
    let (bad, _) = home.record(&Recording { start: 1_795_500_000_000, ..Recording::default() });
    // The beginning of one of a version to come.
    std::fs::write(&bad, [&std::fs::read(&bad).unwrap()[..8], &[2, 0, 0, 0, 0, 0, 0, 0]].concat()).unwrap();
    let all = home.run(&["verify"]).exits(1);
    let words: Vec<String> =
        all.text().lines().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect();
    assert_eq!(words, ["intact", "torn"], "{all}");
    assert!(all.err.contains("1 of 3 recordings are not intact, 1 could not be checked"), "{all}");
    // A name that is not found keeps nothing else from being checked.
    let some = home.run(&["verify", "nosuch", "last~2", "missing.scast"]).exits(2);
    assert!(some.text().contains("\tintact\t") && some.err.contains("nosuch"), "{some}");
    assert!(some.err.contains("2 of 3 recordings could not be checked"), "{some}");
    home.run(&["verify", "nosuch"]).exits(2).complains("nosuch");
}

#[test]
fn a_recording_that_is_being_written_is_running_and_not_a_finding() {
    let home = Home::new();
    let (path, _) = home.record(&Recording { start: now(), close: false, ..Recording::default() });
    let counts_all = || json(&home.run(&["ls", "--json"]).exits(0).text())[0]["complete"].clone();
    // Torn, then running: what the table says with a `+`.
    assert_eq!(counts_all(), false);
    let file = held(&path);
    assert_eq!(counts_all(), false);
    let listed = home.run(&["ls"]).exits(0);
    assert!(listed.text().contains("\trunning\t"), "{listed}");
    let verdict = home.run(&["verify", "last"]).exits(0);
    assert!(verdict.text().contains("\trunning\t"), "{verdict}");
    drop(file);
    never_locked(&path);
    home.run(&["verify", "last"]).exits(1);
}

/// "It was cut" would be another story than "it was changed", and `verify` is where the place is told.
#[test]
fn metadata_that_were_changed_are_not_told_as_cut_off() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let whole = std::fs::read(&path).unwrap();
    // The fourth chunk.
    let place = (0..3).fold(PROLOGUE_LEN, |at, _| {
        let frame = Frame::parse(whole[at..at + FRAME_LEN].try_into().unwrap(), 0).unwrap();
        at + usize::try_from(frame.total()).unwrap()
    });
    let mut bytes = whole.clone();
    bytes[place + FRAME_LEN + 5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for args in
        [&["export", "last"][..], &["search", "ls"], &["ls", "--exit", "0"], &["ls"], &["ls", "--json"]]
    {
        let said = home.run(args).exits(2).err;
        assert!(said.contains("checksum") && said.contains("sealcast verify"), "{args:?}: {said}");
    }
    assert!(home.run(&["ls"]).exits(2).text().contains("web-3"), "what is public is listed");
    let shown = home.run(&["show", "last"]).exits(2).complains("what is sealed could not be read");
    assert!(shown.text().contains("altered") && !shown.text().contains("sealed:"), "{shown}");
    std::fs::write(&path, &whole[..place + FRAME_LEN + 5]).unwrap();
    let said = home.run(&["export", "last"]).exits(2).err;
    assert!(said.contains("it was cut before anything"), "{said}");
}

#[test]
fn a_recording_for_somebody_else_says_for_whom_and_which_identities_were_tried() {
    let home = Home::new();
    let (_, somebody) = identity::generate();
    home.record(&Recording { recipients: Some(vec![somebody.clone()]), ..Recording::default() });
    let mine = home.personal().identity();
    for command in
        [vec!["export", "last"], vec!["play", "--plain", "last"], vec!["show", "--commands", "last"]]
    {
        let ran = home.run(&command).exits(2).complains("sealed to");
        assert!(ran.err.contains(&somebody.label()[..12]), "{ran}");
        assert!(ran.err.contains(&format!("{} (not a recipient)", mine.display())), "{ran}");
    }
    home.run(&["ls"]).exits(0);
    home.run(&["verify", "last"]).exits(0);
    let refused = home.run(&["verify", "last", "-i", mine.to_str().unwrap()]).exits(2).complains("sealed to");
    assert!(!refused.err.contains(" more") && !refused.err.contains("sealcast show"), "{refused}");
}

#[test]
fn where_not_all_recipients_are_named_it_is_said_what_names_them() {
    let home = Home::new();
    let others: Vec<_> = (0..7).map(|_| identity::generate().1).collect();
    home.record(&Recording { recipients: Some(others.clone()), ..Recording::default() });
    let names_not_all = |command: &[&str]| {
        let refused = home.run(command).exits(2).complains(" and 2 more");
        assert!(refused.err.contains("hint: `sealcast show REC` names all recipients"), "{refused}");
    };
    names_not_all(&["export", "last"]);
    std::fs::remove_file(home.personal().identity()).unwrap();
    names_not_all(&["ls", "--command", "x"]);
    let shown = home.run(&["show", "last"]).exits(0).text();
    for other in &others {
        assert!(shown.contains(&other.label()[..12]), "{other}\n{shown}");
    }
}

#[test]
fn an_identity_that_would_ask_is_not_used_unasked_and_that_is_said() {
    let home = Home::new();
    home.record(&Recording::default());
    let path = home.personal().identity();
    let plain = std::fs::read_to_string(&path).unwrap();
    let locked = sealcast::crypto::identity::lock(&plain, "secret".to_owned().into()).unwrap();
    std::fs::write(&path, locked.as_bytes()).unwrap();
    for args in [&["show", "last"][..], &["verify", "last"]] {
        let ran = home.run(args).exits(0);
        assert!(ran.err.contains("name it with -i to use it") && !ran.err.contains("no identity"), "{ran}");
    }
    let ran = home.run(&["verify", "last"]).exits(0);
    assert!(ran.err.contains("only signatures were looked at"), "{ran}");
}

#[test]
fn where_a_condition_is_sealed_it_is_said_for_whom_and_nothing_counts_as_skipped() {
    let home = Home::new();
    let (_, somebody) = identity::generate();
    home.record(&Recording { recipients: Some(vec![somebody.clone()]), ..Recording::default() });
    let ran = home.run(&["ls", "--command", "x"]).exits(2);
    assert!(ran.err.contains("whether it is meant cannot be told: "), "{ran}");
    assert!(ran.err.contains(&somebody.label()[..12]) && ran.err.contains("not a recipient"), "{ran}");
    let ran = home.run(&["search", "x"]).exits(2);
    assert!(ran.err.contains("(0 skipped by index;") && ran.err.contains("1 could not be opened"), "{ran}");
    // Of many what to do is said once.
    home.record(&Recording { recipients: Some(vec![somebody]), ..Recording::default() });
    for args in [&["ls", "--command", "x"][..], &["search", "x"]] {
        let ran = home.run(args).exits(2);
        let said = ["not a recipient", "hint: "].map(|word| ran.err.matches(word).count());
        assert_eq!(said, [2, 1], "{ran}");
        let read = ran.err.contains("could not be read");
        assert!(
            !read && (args[0] != "ls" || ran.err.contains("error: 2 recordings may be meant or not")),
            "{ran}"
        );
    }
}

/// How many programs no command explains was up to whoever was recorded, or made the file.
#[test]
fn of_programs_that_no_command_explains_no_copies_are_held() {
    const MOST: u64 = 80 << 10;
    let home = Home::new();
    let program = |time| Exec { time, path: "/x".into(), argv: vec!["x".into()], ..Exec::default() };
    home.record_with(&Recording::default(), |writer, _| {
        let extras = Extras { execs: (0..100_000).map(program).collect(), ..Extras::default() };
        writer.end_segment(Duration::from_secs(63), extras).unwrap();
    });
    for arguments in [&["show", "--json", "last"][..], &["export", "-f", "commands", "last"]] {
        let mut child = home.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        // It cannot write all of it, and when it begins to write it has what it holds.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let peak = peak_memory(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(peak < MOST, "{arguments:?}: {peak} KiB");
    }
}
