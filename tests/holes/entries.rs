//! Index entries that cannot be read: what the content of their segments tells is told all the same, and nothing else is lost with them.

use crate::forge::{self, CHECK, CLOSES, DATA, Forge, INDEX, SEG, TABLE};
use crate::sample::{self, Fleet};
use crate::{damage, mend_at, read, with_its_end};
use sealcast::cast::{Command, Payload, Source, Trust};
use sealcast::container::{Cursor, Entry, Error, GivenUp, Reader, frame};
use sealcast::replay::{self, Recording, Source as _};
use sealcast::search;
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use std::io::Cursor as Bytes;

fn start(text: &str) -> Mark {
    Mark::Start(Start { text: Some(text.into()), ..Start::default() })
}

fn end(status: i32) -> Mark {
    Mark::End { status: Some(status), pipe: Vec::new(), cancelled: false }
}

fn of_shell(text: &str, start: u64, end: Option<u64>, exit: i32) -> Command {
    let (source, trust) = (Source::Shell, Trust::Told);
    let (text, exit) = (text.into(), end.map(|_| exit));
    Command { text, start, end, exit, source, trust, ..Command::default() }
}

/// A recording of four segments that was not closed; marks of each, and their seconds. `holes` have an entry that is malformed.
fn with_holes(fleet: &Fleet, holes: &[usize]) -> Forge {
    let marks = [
        vec![(1, start("vi"))],
        vec![
            (2, end(130)),
            (3, start("evil")),
            (4, end(0)),
            (5, start("ls")),
            (6, end(1)),
            (7, start("make")),
        ],
        vec![(8, end(2)), (9, start("tail"))],
        vec![(10, end(3)), (11, start("ls")), (12, end(4))],
    ];
    let listed = [
        Entry { running: vec![of_shell("vi", 1000, None, 0)], ..Entry::default() },
        Entry::default(),
        Entry {
            commands: vec![of_shell("make", 6999, Some(8000), 2)],
            running: vec![of_shell("tail", 9000, None, 0)],
            ..Entry::default()
        },
        Entry {
            commands: vec![of_shell("tail", 9001, Some(10_000), 3), of_shell("ls", 11_000, Some(12_000), 4)],
            ..Entry::default()
        },
    ];
    let mut forge = Forge::begin([5; 32], &fleet.host, &fleet.name, &[]);
    for (number, (marks, mut entry)) in marks.into_iter().zip(listed).enumerate() {
        let mut at = marks[0].0;
        let clocks = serde_json::json!({"at": at * 1000, "utc": 5}).to_string();
        let mut text = format!("{}\n", serde_json::json!([0, "t", clocks]));
        entry.tally.start = at * 1000;
        for (second, mark) in marks {
            let Some(Payload::Other { code, data }) = Said::Mark(mark).kept() else { panic!() };
            text += &format!("{}\n", serde_json::json!([second - at, code, data]));
            at = second;
        }
        (entry.segment, entry.offset) = (u32::try_from(number).unwrap(), forge.bytes.len() as u64);
        (entry.tally.end, entry.tally.utc) = (at * 1000, 5);
        forge.data(SEG, &zstd::bulk::compress(text.as_bytes(), 3).unwrap());
        match holes.contains(&number) {
            true => forge.index(b"no entry"),
            false => forge.index(&forge::packed(&serde_json::to_vec(&entry).unwrap(), &[])),
        }
        forge.check(CLOSES);
    }
    forge
}

/// Those that run across it stand once, and with their ends.
#[test]
fn commands_of_which_the_shell_told_are_listed_where_the_entry_cannot_be_read() {
    let fleet = Fleet::new("web-3");
    let vi = of_shell("vi", 1000, Some(2000), 130);
    let in_hole = [of_shell("evil", 3000, Some(4000), 0), of_shell("ls", 5000, Some(6000), 1)];
    let make = |start| of_shell("make", start, Some(8000), 2);
    let behind = [of_shell("tail", 9001, Some(10_000), 3), of_shell("ls", 11_000, Some(12_000), 4)];
    for (holes, retold, make) in [
        (&[1][..], in_hole.to_vec(), make(6999)),
        (&[1, 2], [&in_hole[..], &[make(7000)]].concat(), make(7000)),
    ] {
        let forge = with_holes(&fleet, holes);
        let open = || {
            let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
            reader.unlock([5; 32]).unwrap();
            reader
        };
        let mut reader = open();
        let of_hole = |entry: &Entry| entry.given_up == Some(GivenUp::Unreadable);
        assert_eq!(reader.entries().iter().filter(|entry| of_hole(entry)).count(), holes.len());
        // However often it is asked.
        for _ in 0..2 {
            assert_eq!(search::retold(&mut reader), retold, "{holes:?}");
            let mut all: Vec<Command> =
                reader.entries().iter().flat_map(|entry| entry.commands.clone()).collect();
            all.extend(retold.clone());
            all.sort_by_key(|command| command.start);
            let expected =
                [std::slice::from_ref(&vi), &in_hole, std::slice::from_ref(&make), &behind].concat();
            assert_eq!(all, expected, "{holes:?}");
            let recording = Recording::new(open()).unwrap();
            let outline = replay::Source::outline(&recording);
            assert_eq!(outline.commands, expected, "{holes:?}");
            assert_eq!(outline.lack, Some("a part of the index cannot be read"), "its programs are unknown");
        }
    }
}

/// The frames of [`damage::small`], closed, and its key; each segment has a few chunks of text.
fn small(fleet: &Fleet) -> (Vec<Vec<u8>>, [u8; 32]) {
    let recorded = damage::small(fleet, "whole", true);
    (damage::split(&recorded.bytes), recorded.root)
}

/// Numbers of the chunks of this type, in order; of the entries, without the metadata.
fn of_type(chunks: &[Vec<u8>], kind: u8) -> Vec<usize> {
    let all = (0..chunks.len()).filter(|n| chunks[*n][2] == kind);
    all.skip(usize::from(kind == INDEX)).collect()
}

/// Changes numbers in the table: its row, the place in there, by how much.
fn change_table(bytes: &mut [u8], changes: &[(usize, usize, i64)]) {
    let table = damage::places(bytes).into_iter().skip(1).find(|(at, _)| bytes[at + 2] == TABLE).unwrap().0;
    for (row, place, by) in changes {
        let at = table + frame::FRAME_LEN + row * 52 + place;
        let length = if *place == 16 { 4 } else { 8 };
        let mut number = [0; 8];
        number[..length].copy_from_slice(&bytes[at..at + length]);
        let changed = u64::from_le_bytes(number).checked_add_signed(*by).unwrap().to_le_bytes();
        bytes[at..at + length].copy_from_slice(&changed[..length]);
    }
    mend_at(bytes, table);
}

/// The first row ends with the metadata, as if they were its entry; the second has the rest.
#[test]
fn a_table_that_makes_a_hole_where_none_is_hides_nothing_of_what_a_walk_finds() {
    let fleet = Fleet::new("web-3");
    let (chunks, root) = small(&fleet);
    let places = damage::places(&damage::join(&chunks));
    let (meta, meta_end) = places[4];
    let entry = |number: usize| places[of_type(&chunks, INDEX)[number] + 1];
    let (honest, ..) = read(&damage::join(&chunks), root, false);
    let mut forged = damage::join(&chunks);
    let check = frame::FRAME_LEN + 100;
    let end = meta_end + check;
    let second = of_type(&chunks, CHECK).into_iter().find(|n| chunks[*n][3] & CLOSES != 0).unwrap();
    let by = i64::try_from(places[second + 1].1 - end).unwrap();
    let longer = i64::try_from(meta_end - meta).unwrap() - i64::try_from(entry(0).1 - entry(0).0).unwrap();
    change_table(&mut forged, &[(0, 8, -by), (0, 16, longer), (1, 0, -by), (1, 8, by)]);
    for by_segment in [false, true] {
        let (got, fault, complete) = read(&forged, root, by_segment);
        assert!(got == honest && fault.is_none() && complete, "{fault:?}");
    }
    // Where a chunk is damaged besides, all is read that stands before it.
    let data = *of_type(&chunks, DATA).iter().find(|n| **n > of_type(&chunks, INDEX)[2]).unwrap();
    forged[places[data + 1].0 + 30] ^= 1;
    let (got, fault, complete) = read(&forged, root, false);
    let place = format!("at byte {} ", places[data + 1].0);
    assert!(!complete && fault.is_some_and(|fault| fault.contains(&place)));
    assert!(got.events.len() >= 9 && honest.events.starts_with(&got.events), "{}", got.events.len());
}

/// By the table alone an entry stands there.
#[test]
fn an_entry_that_cannot_be_read_before_the_text_of_its_segment_ends_is_damage_to_what_was_shown() {
    let fleet = Fleet::new("web-3");
    let (chunks, root) = small(&fleet);
    let places = damage::places(&damage::join(&chunks));
    let entries = of_type(&chunks, INDEX);
    let data: Vec<usize> =
        of_type(&chunks, DATA).into_iter().filter(|n| entries[1] < *n && *n < entries[2]).collect();
    // A chunk of text is damaged, and the row says that the entry begins there.
    let mut longer = damage::join(&chunks);
    let first = places[data[0] + 1].0;
    longer[first + 30] ^= 1;
    let by = i64::try_from(places[entries[2] + 1].0 - first).unwrap();
    change_table(&mut longer, &[(2, 16, by)]);
    // The last chunks of text are gone, and the entry damaged.
    let mut without = chunks.clone();
    let middle = without[entries[2]].len() / 2;
    without[entries[2]][middle] ^= 1;
    damage::mend(&mut without[entries[2]]);
    for chunk in data.iter().skip(1).rev() {
        without.remove(*chunk);
    }
    let without = with_its_end(&without);
    // Only the entry is.
    let mut damaged = damage::join(&chunks);
    damaged[places[entries[2] + 1].0 + 30] ^= 1;
    for (what, bytes, lacks) in
        [("a longer entry", longer, true), ("no last chunks", without, true), ("the entry", damaged, false)]
    {
        let mut reader = Reader::open(Bytes::new(&bytes)).unwrap();
        reader.unlock(root).unwrap();
        assert_eq!((reader.entries().len(), reader.lacks_content()), (4, lacks), "{what}");
        let mut cursor = Cursor::of_segment(&reader, 2).unwrap();
        let error = loop {
            match cursor.next(&mut reader) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{what}: it ends in silence"),
                Err(error) => break error,
            }
        };
        let short =
            matches!(&error, Error::Format { what, .. } if what.contains("text ends before its entry"));
        assert_eq!(short, lacks, "{what}: {error}");
        assert_eq!(error.offset(), reader.fault().unwrap().offset(), "{what}");
        let (events, _) = sample::events_of(&mut reader);
        assert!(events.len() >= 6 && (events.len() < 9) == lacks, "{what}: {}", events.len());
        // The player passes over it, and calls nothing unreadable that it shows.
        let segment = Recording::new(reader).unwrap().segment(2).unwrap();
        assert!(segment.fault.is_some() && segment.lacks_events() == lacks, "{what}: {:?}", segment.fault);
    }
}
