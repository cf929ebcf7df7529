//! The golden recordings of version 1 and the kit of damaged ones: what was written once is read today as it was then.
#![allow(clippy::unwrap_used)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/second.rs"]
mod second;
#[path = "support/skipped.rs"]
mod skipped;

use sample::{Fleet, busy, flooded, record};
use sealcast::cast::{Gap, Header as CastHeader, Payload, Why};
use sealcast::container::{Error, Reader, SlotKind, verify_content};
use sealcast::crypto::identity::Identities;
use sealcast::crypto::known_keys::KnownKeys;
use second::{second_reader, second_reader_run};
use skipped::skipped;
use std::io::Cursor as Bytes;
use std::path::{Path, PathBuf};
use std::process::Output;

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

#[test]
fn every_way_of_damage_has_its_recording() {
    let told = |name: &str, what: &str| format!("{name}: {what}");
    let kept: Vec<_> = table(&folder("damaged")).iter().map(|line| told(&line[0], &line[2])).collect();
    let made = damage::cases(&Fleet::new("web-3"), &Fleet::new("db-1")).into_iter();
    let missing = made.map(|case| told(&case.name, &case.what)).filter(|case| !kept.contains(case));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}

/// The commands that a golden recording has in its index.
fn told(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{name}.commands"))).unwrap_or_default()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
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
    assert_eq!(lines, 17);
}

#[test]
fn the_second_implementation_says_that_commands_of_a_recording_without_an_end_are_missing() {
    let beside = Beside::new();
    for close in [true, false] {
        let recorded = damage::small(&beside.fleet, "of commands", close);
        let path = beside.folder.path().join("recording");
        std::fs::write(&path, &recorded.bytes).unwrap();
        let identity = beside.folder.path().join("identity");
        let Some(output) = second_reader_run(&path, &identity, &["--commands"]) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("not closed") != close, "closed {close}: {said}");
    }
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

#[test]
fn the_second_implementation_says_of_gaps_what_the_export_says() {
    let beside = Beside::new();
    let gaps = [("undelivered", 7), ("undelivered", 0), ("capped", 7), ("device", 0), ("of-later", 7)];
    let mut steps: Vec<sample::Step> =
        (0..).zip(gaps).map(|(ms, (why, n))| sample::Step::At(ms, sample::gap(why, "stdout", n))).collect();
    let whole =
        Gap { sha256: "0a".repeat(32), ..Gap::new(Why::Capped, "stdout", 7, "only the first 5 bytes") };
    steps.push(sample::Step::At(9, Payload::Gap(whole)));
    let recorded = record(&beside.fleet, &[SlotKind::Root], CastHeader::new(80, 24), &steps, true);
    beside.agree(&recorded.bytes, recorded.root, "gaps");
}

/// A recording and the identity that opens it, in a folder of their own, for the Python reader.
struct Beside {
    fleet: Fleet,
    folder: tempfile::TempDir,
}

impl Beside {
    fn new() -> Self {
        let (fleet, folder) = (Fleet::new("web-3"), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("identity"), format!("{}\n", fleet.identity)).unwrap();
        Self { fleet, folder }
    }

    fn run(&self, bytes: &[u8]) -> Option<Output> {
        let path = self.folder.path().join("recording");
        std::fs::write(&path, bytes).unwrap();
        second_reader_run(&path, &self.folder.path().join("identity"), &[])
    }

    /// Whether both readers give the same for these bytes; `None` when one cannot be run.
    fn agree(&self, bytes: &[u8], root: [u8; 32], what: &str) -> Option<()> {
        let output = self.run(bytes)?;
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
        reader.unlock(root).unwrap();
        assert_eq!(text(&output.stdout), text(&sample::cast_of(&mut reader)), "{what}");
        Some(())
    }
}

#[test]
fn the_second_implementation_reads_a_flood_of_wide_characters_that_is_cut_at_any_chunk() {
    let beside = Beside::new();
    // Three bytes each, and hard to compress: chunks of a flood end where the compressor is, not where a line is.
    let mut dice = sample::Dice(7);
    let mut flood = String::new();
    for n in 0..250_000 {
        flood.push(char::from_u32(0x4e00 + dice.below(20_000)).unwrap());
        if n % 60 == 0 {
            flood.push_str("\r\n");
        }
    }
    let steps: Vec<_> =
        (0u64..).zip(flood.as_bytes().chunks(4093)).map(|(n, part)| sample::out(n, part)).collect();
    let recorded = record(&beside.fleet, &[SlotKind::Root], CastHeader::new(80, 24), &steps, true);
    let cuts: Vec<usize> = damage::places(&recorded.bytes)
        .into_iter()
        .filter(|(start, _)| matches!(recorded.bytes.get(start + 2), Some(&(forge::SEG | forge::DATA))))
        .map(|(_, end)| end)
        .collect();
    assert!(cuts.len() > 4, "{} chunks", cuts.len());
    for cut in cuts {
        let what = format!("cut at byte {cut}");
        if beside.agree(&recorded.bytes[..cut], recorded.root, &what).is_none() {
            return;
        }
    }
}

#[test]
fn the_second_implementation_takes_the_same_bytes_for_the_beginning_of_a_character() {
    let beside = Beside::new();
    // Every way to begin a character, to fail at it, and to be cut: by an event, and by the end.
    let leads = [0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0x80, b'x'];
    let seconds = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
    let mut steps = Vec::new();
    let mut ms = 0;
    let mut say = |bytes: &[u8]| {
        ms += 7;
        steps.push(sample::out(ms, bytes));
    };
    for lead in leads {
        say(&[b'a', lead]);
        say(b"|");
        for second in seconds {
            say(&[b'b', lead, second]);
            say(&[0x80]);
            say(&[b'c', lead, second, 0xbf]);
            say(&[0x80, b'|']);
        }
    }
    for last in [&b"z\xed\xa0"[..], b"z\xed", b"z\xf4\x8f\xbf", b"z\xe2\x82"] {
        let mut steps = steps.clone();
        steps.push(sample::out(100_000, last));
        for (screen, close) in [(CastHeader::new(80, 24), true), (CastHeader::new(0, 0), false)] {
            let recorded = record(&beside.fleet, &[SlotKind::Root], screen, &steps, close);
            if beside.agree(&recorded.bytes, recorded.root, &format!("{last:?} {close}")).is_none() {
                return;
            }
        }
    }
}

#[test]
fn the_second_implementation_refuses_what_its_version_does_not_know() {
    let beside = Beside::new();
    let steps = [sample::out(0, "one\r\n"), sample::out(3000, "two\r\n"), sample::out(6000, "three\r\n")];
    let open = record(&beside.fleet, &[SlotKind::Root], CastHeader::new(80, 24), &steps, false);
    let chunks = damage::split(&open.bytes);
    let number = u32::try_from(chunks.len()).unwrap();
    let with = |kind: u8, flags: u8| {
        let more = forge::chunk(kind, flags, number, b"of a later version");
        [&open.bytes[..], &more].concat()
    };
    if beside.agree(&open.bytes, open.root, "as it was").is_none() {
        return;
    }
    for (kind, flags, why) in [
        (0xC4, 0, "of type 0xc4, does not belong where it stands"),
        (0x44, 0, "is of the unknown type 0x44"),
        (0x13, 0, "is of the unknown type 0x13"),
        (forge::DATA, 4, "has the unknown flags 0x04"),
        (0xC4, 1, "has the unknown flags 0x01"),
        (forge::CHECK, 8, "has the unknown flags 0x08"),
    ] {
        let output = beside.run(&with(kind, flags)).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{kind:#x} {flags}: {said}");
        assert!(said.lines().count() == 1 && output.stdout.is_empty(), "{kind:#x} {flags}: {said}");
    }
}
