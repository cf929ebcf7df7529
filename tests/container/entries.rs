//! Index entries that do not open.

use crate::sample::{self, judge};
use crate::{Bytes, damage, fleet, forge, unlocked};
use sealcast::cast::Payload;
use sealcast::container::verify::Verdict;
use sealcast::container::{Cursor, Error, GivenUp, Reader, verify_content};

/// Where the index entries of a recording stand: of each segment, from where to where.
fn entries_of(bytes: &[u8]) -> Vec<(usize, usize)> {
    let chunks = damage::places(bytes).into_iter().skip(1);
    chunks.filter(|(at, _)| bytes[at + 2] == forge::INDEX).skip(1).collect()
}

/// With one bit of each of these chunks changed, and their checksums `mended` or not.
fn changed_at(whole: &[u8], places: &[(usize, usize)], mended: bool) -> Vec<u8> {
    let mut changed = whole.to_vec();
    for (start, end) in places {
        changed[usize::midpoint(*start, *end)] ^= 1;
        if mended {
            damage::mend(&mut changed[*start..*end]);
        }
    }
    changed
}

#[test]
fn an_index_entry_that_does_not_open_costs_what_it_said_and_nothing_else() {
    let fleet = fleet();
    let recorded = damage::small(&fleet, "whole", true);
    let whole = recorded.bytes.as_slice();
    let mut good = unlocked(whole, recorded.root).unwrap();
    let all = sample::events_of(&mut good).0;
    let places = entries_of(whole);
    for (holes, mended) in [&[0][..], &[1], &[2], &[0, 2], &[1, 2], &[0, 1, 2]]
        .into_iter()
        .flat_map(|holes| [(holes, false), (holes, true)])
    {
        let broken: Vec<_> = holes.iter().map(|hole| places[*hole]).collect();
        let changed = changed_at(whole, &broken, mended);
        let (what, place) = (format!("segments {holes:?}, mended: {mended}"), broken[0].0 as u64);
        // Who has no key knows it by the checksum.
        let mut locked = Reader::open(Bytes::new(changed.as_slice())).unwrap();
        assert!(locked.is_closed() && locked.is_complete() == mended, "{what}");
        assert_eq!(locked.fault().and_then(|fault| fault.offset()), (!mended).then_some(place), "{what}");
        let mut with_index = Reader::open(Bytes::new(changed.as_slice())).unwrap();
        with_index.unlock_index(recorded.index).unwrap();
        let starts: Vec<u64> = with_index.entries().iter().map(|entry| entry.tally.start).collect();
        assert!(starts.is_sorted() && starts.len() == 4, "{what}: {starts:?}");
        with_index.unlock(recorded.root).unwrap();
        for reader in [&mut unlocked(&changed, recorded.root).unwrap(), &mut with_index] {
            assert_eq!((reader.entries().len(), reader.segments()), (4, 4), "{what}");
            assert!(reader.is_closed() && reader.has_end() && !reader.is_complete(), "{what}");
            let fault = reader.fault().unwrap();
            let sealed = matches!(fault, Error::NotAuthentic { .. });
            assert!(fault.offset() == Some(place) && sealed == mended, "{what}: {fault}");
            for (number, (entry, was)) in reader.entries().iter().zip(good.entries()).enumerate() {
                let hole = holes.contains(&number);
                assert_eq!(entry.given_up == Some(GivenUp::Unreadable), hole, "{what}: {number}");
                // What a segment counts is counted again.
                assert!(entry.tally == was.tally && (hole || entry == was), "{what}: {entry:?}");
            }
            for ms in (0..140_000).step_by(500) {
                assert_eq!(reader.segment_at(ms), good.segment_at(ms), "{what}: {ms} ms");
            }
            // Each segment is read to its end, and whoever reads one whose entry is broken is told.
            for number in 0..4 {
                let mut cursor = Cursor::of_segment(reader, number).unwrap();
                let mut events = Vec::new();
                let stopped = loop {
                    match cursor.next(reader) {
                        Ok(Some(event)) if matches!(event.payload, Payload::Anchor(_)) => {}
                        Ok(Some(event)) => events.push(event),
                        Ok(None) => break None,
                        Err(error) => break error.offset(),
                    }
                };
                assert_eq!(events, all[number * 3..number * 3 + 3], "{what}: {number}");
                let told = holes.contains(&number).then(|| places[number].0 as u64);
                assert_eq!(stopped, told, "{what}: {number}");
            }
            let (events, stopped) = sample::events_of(reader);
            assert_eq!(stopped.unwrap().to_string(), fault.to_string(), "{what}");
            assert_eq!(events.len(), (holes[0] + 1) * 3, "{what}");
            assert_eq!(verify_content(reader, |_| ()).unwrap_err().offset(), Some(place), "{what}");
            let mut beside = reader.beside(Bytes::new(changed.as_slice()));
            assert_eq!(sample::events_of(&mut beside).0, events, "{what}");
            assert!(!reader.refresh().unwrap() && reader.fault().is_some(), "{what}");
        }
        let verdict = judge(&changed, &fleet.known()).unwrap().verdict;
        // With a mended checksum the signature that covers it tells.
        let told = matches!(verdict, Verdict::Altered { offset, .. } if mended || offset == place);
        assert!(told, "{what}: {verdict:?}");
    }
}

#[test]
fn an_index_entry_behind_which_none_opens_ends_the_recording() {
    let fleet = fleet();
    let recorded = damage::small(&fleet, "whole", true);
    let whole = recorded.bytes.as_slice();
    let places = entries_of(whole);
    // The table joins the segments with the second and the third entry, and the walk stops at the first of them.
    let joined = |entry: u32| {
        let (trailer, table) = (whole.len() - 38, whole.len() - 38 - 16 - 4 * 52);
        let mut rows = whole[table + 16..trailer].to_vec();
        let length = |row: usize| u64::from_le_bytes(rows[row * 52 + 8..row * 52 + 16].try_into().unwrap());
        let both = (length(1) + length(2)).to_le_bytes();
        rows[52 + 8..52 + 16].copy_from_slice(&both);
        rows[52 + 16..52 + 20].copy_from_slice(&entry.to_le_bytes());
        rows.drain(2 * 52..3 * 52);
        let number = |at: usize| u32::from_le_bytes(whole[at + 8..at + 12].try_into().unwrap());
        let offsets = &whole[trailer + 16..trailer + 32];
        let end = [
            forge::chunk(forge::TABLE, 0, number(table), &rows),
            forge::chunk(forge::TRAILER, 0, number(trailer), &[offsets, b"SC1END"].concat()),
        ];
        let rest = [&whole[..table], &end.concat()].concat();
        changed_at(&rest, &places[1..2], false)
    };
    let length = |(start, end): (usize, usize)| u32::try_from(end - start).unwrap();
    for (what, changed, at) in [
        ("the last one", changed_at(whole, &places[3..], false), 3),
        ("the last one, mended", changed_at(whole, &places[3..], true), 3),
        ("the last two, mended", changed_at(whole, &places[2..], true), 2),
        ("a table that joins", joined(length(places[2])), 1),
        ("a table that joins, without an entry", joined(length(places[2]) + 64), 1),
    ] {
        let mut reader = unlocked(&changed, recorded.root).unwrap();
        assert_eq!((reader.entries().len(), reader.segments()), (at, at + 1), "{what}");
        assert!(!reader.is_closed() && !reader.is_complete(), "{what}");
        let fault = reader.fault().unwrap();
        assert_eq!(fault.offset(), Some(places[at].0 as u64), "{what}: {fault}");
        let (events, stopped) = sample::events_of(&mut reader);
        assert_eq!(stopped.unwrap().to_string(), fault.to_string(), "{what}");
        assert_eq!(events.len(), (at + 1) * 3, "{what}");
        assert!(!reader.refresh().unwrap() && reader.fault().is_some(), "{what}");
        let mut reader = Reader::open(Bytes::new(changed.as_slice())).unwrap();
        reader.unlock_index(recorded.index).unwrap();
        reader.unlock(recorded.root).unwrap();
        assert_eq!((reader.entries().len(), sample::events_of(&mut reader).0), (at, events), "{what}");
    }
}

#[test]
fn index_entries_of_a_recording_that_was_not_closed_are_passed_over_as_well() {
    let fleet = fleet();
    let recorded = damage::small(&fleet, "open", false);
    let places = entries_of(&recorded.bytes);
    // The checksum is right: a walk goes on behind it.
    let changed = changed_at(&recorded.bytes, &places[1..2], true);
    let mut reader = unlocked(&changed, recorded.root).unwrap();
    assert_eq!((reader.entries().len(), reader.segments()), (3, 4));
    assert!(!reader.has_end() && !reader.is_complete());
    assert_eq!(reader.fault().unwrap().offset(), Some(places[1].0 as u64));
    assert_eq!(reader.entries()[1].given_up, Some(GivenUp::Unreadable));
}
