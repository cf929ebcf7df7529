//! The golden recordings of version 1 and the kit of damaged ones: what was written once is read today as it was then.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/sample.rs"]
mod sample;

use sample::{Fleet, busy, flooded, record};
use sealcast::cast::Header as CastHeader;
use sealcast::container::verify::verify_content;
use sealcast::container::{Error, Reader, SlotKind};
use sealcast::crypto::identity::Identities;
use sealcast::crypto::known_keys::KnownKeys;
use std::io::Cursor as Bytes;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn known(folder: &Path) -> KnownKeys {
    KnownKeys::parse(&String::from_utf8(read(folder, "known_hosts")).unwrap()).unwrap()
}

/// The lines of a table, each cut at its tabs.
fn table(folder: &Path) -> Vec<Vec<String>> {
    let text = String::from_utf8(read(folder, "verdicts.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Every recording in a folder must be in its table, and the other way round.
fn complete(folder: &Path, table: &[Vec<String>]) {
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".scast").map(str::to_owned))
        .collect();
    let mut listed: Vec<String> = table.iter().map(|line| line[0].clone()).collect();
    there.sort();
    listed.sort();
    assert_eq!(there, listed);
}

#[test]
fn golden_recordings_are_verified_opened_and_exported_as_when_they_were_written() {
    let v1 = folder("v1");
    let (known, table) = (known(&v1), table(&v1));
    complete(&v1, &table);
    for line in &table {
        let [name, identity, expected, _] = line.as_slice() else { panic!("{line:?}") };
        let bytes = read(&v1, &format!("{name}.scast"));
        assert_eq!(damage::verdict(&sample::judge(&bytes, &known)), *expected, "{name}");
        let mut reader = Reader::open(Bytes::new(&bytes)).unwrap();
        reader.unlock(sample::root_key(&reader, &read(&v1, identity)).expect(name)).unwrap();
        verify_content(&mut reader, |_| ()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(reader.opening().unwrap().meta.ticket, "OPS-4711");
        let expected = read(&v1, &format!("{name}.cast"));
        assert_eq!(text(&sample::cast_of(&mut reader)), text(&expected), "{name}");
        assert_eq!(sample::told_of(&reader), told(&v1, name), "{name}");
    }
}

#[test]
fn the_key_of_a_searcher_opens_the_index_of_a_golden_recording_and_nothing_else() {
    let v1 = folder("v1");
    let mut reader = Reader::open(Bytes::new(read(&v1, "index-slot.scast"))).unwrap();
    let nobody = std::sync::Arc::new(sealcast::crypto::prompt::Nobody);
    let searcher =
        Identities::from_text(Path::new("searcher.txt"), &read(&v1, "searcher.txt"), nobody).unwrap();
    let slot = reader.slots().iter().find(|slot| slot.kind == SlotKind::Index).unwrap().clone();
    let key = searcher.unwrap(&slot.age).unwrap();
    assert!(searcher.unwrap(&reader.slots()[0].age).is_err());
    reader.unlock_index(key.as_slice().try_into().unwrap()).unwrap();
    let marks: Vec<_> = reader.entries().iter().flat_map(|entry| entry.tally.marks.clone()).collect();
    assert_eq!(marks, [(31_500, "before the change".to_owned())]);
    assert!(matches!(sample::events_of(&mut reader), (events, Some(Error::Locked)) if events.is_empty()));
}

#[test]
fn damaged_recordings_get_exactly_the_verdicts_of_their_table() {
    let damaged = folder("damaged");
    let (known, table) = (known(&damaged), table(&damaged));
    complete(&damaged, &table);
    assert!(table.len() > 60);
    for line in &table {
        let [name, expected, what] = line.as_slice() else { panic!("{line:?}") };
        let found = damage::verdict(&sample::judge(&read(&damaged, &format!("{name}.scast")), &known));
        assert_eq!(found, *expected, "{name} ({what})");
        assert_ne!(found, "intact", "{name} ({what})");
    }
}

/// The commands that a golden recording has in its index.
fn told(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{name}.commands"))).unwrap_or_default()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs the Python reader; `None` when what it needs is not installed.
fn second_reader(recording: &Path, identity: &Path, options: &[&str]) -> Option<Vec<u8>> {
    let needs = "import zstandard, cryptography.hazmat.primitives.ciphers.aead";
    let there = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !there("python3", &["-c", needs]) || !there("age", &["--version"]) {
        eprintln!("skipped: python3 with cryptography and zstandard, and age, are not all installed");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/read_recording.py");
    let output = Command::new("python3")
        .arg(script)
        .args(options)
        .arg("-i")
        .arg(identity)
        .arg(recording)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", recording.display());
    Some(output.stdout)
}

#[test]
fn the_second_implementation_reads_every_golden_recording_byte_for_byte() {
    let v1 = folder("v1");
    for line in table(&v1) {
        let path = v1.join(format!("{}.scast", line[0]));
        let Some(found) = second_reader(&path, &v1.join(&line[1]), &[]) else { return };
        assert_eq!(text(&found), text(&read(&v1, &format!("{}.cast", line[0]))), "{}", line[0]);
    }
}

#[test]
fn the_second_implementation_reads_a_segment_that_is_compressed_in_two_ways() {
    let fleet = Fleet::new("web-3");
    let recorded = record(&fleet, &[SlotKind::Root], CastHeader::new(80, 24), &flooded(), true);
    let folder = tempfile::tempdir().unwrap();
    let (path, identity) = (folder.path().join("flood.scast"), folder.path().join("identity"));
    std::fs::write(&path, &recorded.bytes).unwrap();
    std::fs::write(&identity, format!("{}\n", fleet.identity)).unwrap();
    let Some(found) = second_reader(&path, &identity, &[]) else { return };
    let mut reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
    reader.unlock(recorded.root).unwrap();
    assert_eq!(text(&found), text(&sample::cast_of(&mut reader)));
    assert!(found.len() > 300 << 10, "{} bytes", found.len());
}

#[test]
fn the_second_implementation_reads_the_commands_of_golden_recordings() {
    let v1 = folder("v1");
    let values = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut lines = 0;
    for line in table(&v1) {
        let path = v1.join(format!("{}.scast", line[0]));
        let Some(found) = second_reader(&path, &v1.join(&line[1]), &["--commands"]) else { return };
        let expected = values(&told(&v1, &line[0]));
        assert_eq!(values(text(&found)), expected, "{}", line[0]);
        lines += expected.len();
    }
    assert_eq!(lines, 6);
}

#[test]
fn the_second_implementation_and_the_export_agree_on_long_sessions_closed_or_cut_anywhere() {
    let fleet = Fleet::new("web-3");
    let folder = tempfile::tempdir().unwrap();
    let (identity, path) = (folder.path().join("identity"), folder.path().join("recording"));
    std::fs::write(&identity, &*fleet.identity).unwrap();
    for (seed, screen) in [(1, CastHeader::new(80, 24)), (2, CastHeader::new(0, 0))] {
        let whole = record(&fleet, &[SlotKind::Root], screen, &busy(seed, 600, 700), true);
        for length in [whole.bytes.len(), whole.bytes.len() / 2, whole.bytes.len() / 7] {
            let bytes = &whole.bytes[..length];
            std::fs::write(&path, bytes).unwrap();
            let Some(found) = second_reader(&path, &identity, &[]) else { return };
            let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
            reader.unlock(whole.root).unwrap();
            let ours = sample::cast_of(&mut reader);
            assert!(text(&ours).lines().count() > 20);
            assert_eq!(text(&found), text(&ours), "seed {seed}, {length} bytes");
        }
    }
}
