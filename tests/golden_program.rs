//! The golden recordings through the program, with every key there is: what was written once is still called what it was.
#![allow(clippy::unwrap_used)]

#[path = "support/sample.rs"]
mod sample;

use sealcast::container::Reader;
use std::io::Cursor as Bytes;
use std::path::{Path, PathBuf};
use std::process::Command;

fn v1() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(v1().join(name)).unwrap()
}

/// Runs the program on a golden recording, with everything by which it is known and opened.
fn program(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealcast"));
    command.args(arguments).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
    let output = command.current_dir(v1()).stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_program_says_of_golden_recordings_with_their_keys_what_was_said_when_they_were_written() {
    let home = tempfile::tempdir().unwrap();
    let (mut unlike, table) = (Vec::new(), String::from_utf8(read("verdicts.tsv")).unwrap());
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, identity, expected, _] = columns[..] else { panic!("{line:?}") };
        let file = format!("{name}.scast");
        let (code, told, said) =
            program(home.path(), &["verify", "--json", "-k", "known_hosts", "-i", identity, &file]);
        let verdict: serde_json::Value =
            serde_json::from_str(&told).unwrap_or_else(|_| panic!("{name}: {said}"));
        let word = expected.split(' ').next().unwrap();
        assert_eq!((&verdict["verdict"], code), (&word.into(), Some(i32::from(word != "intact"))), "{told}");
        assert_eq!(verdict["content_checked"], true, "{told}");
        assert_eq!(verdict["index_lies"], serde_json::json!([]), "{told}");
        if verdict["index_differs"] != serde_json::json!([]) {
            assert!(said.contains("does not fit what this version draws"), "{said}");
            unlike.push(name);
        }
    }
    // Those were drawn by hand, and have commands of which no shell told.
    let by_hand =
        ["terminal", "index-slot", "period-slot", "ssh-recipient", "commands", "never-closed", "torn"];
    assert_eq!(unlike, by_hand, "a recording of this generation differs: see src/terminal/drawing.rs");
    // What was compared in the one that was not.
    let mut reader = Reader::open(Bytes::new(read("drawn.scast"))).unwrap();
    reader.unlock(sample::root_key(&reader, &read("identity.txt")).unwrap()).unwrap();
    let filters: Vec<usize> = reader.entries().iter().map(|entry| entry.filter.len()).collect();
    assert!(filters.len() == 3 && filters[0] > 64, "{filters:?}");
    assert_eq!(reader.entries()[1].tally.keyframes, [reader.entries()[1].tally.start]);
}

#[test]
fn the_parts_of_golden_recordings_in_which_something_is_found_can_be_exported() {
    let home = tempfile::tempdir().unwrap();
    for (name, wanted) in
        [("terminal", "/etc/fstab"), ("index-slot", "日本語"), ("drawn", "a line typed in vi")]
    {
        let file = format!("{name}.scast");
        let (code, told, said) =
            program(home.path(), &["export", "--hits", wanted, "-i", "identity.txt", &file]);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(told.lines().count() > 3 && told.contains(wanted), "{told}");
    }
}
