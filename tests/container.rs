//! The container from outside: what is written comes back, and nothing that was changed passes for intact.
#![allow(clippy::unwrap_used)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/skipped.rs"]
mod skipped;

use damage::verdict;
use sample::{Fleet, busy, judge, record};
use sealcast::cast::{Event, Header as CastHeader, Payload};
use sealcast::container::verify::{Tear, Verdict};
use sealcast::container::{Cursor, Error, GivenUp, Reader, SlotKind, cert, frame, verify_content};
use sealcast::crypto::chain::Key;
use sealcast::crypto::digest::sha256;
use sealcast::crypto::seal;
use std::io::{Cursor as Bytes, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

fn fleet() -> Fleet {
    Fleet::new("web-3")
}

/// A closed recording of at least 20 KB.
fn long(fleet: &Fleet) -> sample::Recorded {
    let kinds = [SlotKind::Root, SlotKind::Index];
    let recorded = record(fleet, &kinds, CastHeader::new(80, 24), &busy(11, 390, 300), true);
    assert!(recorded.bytes.len() >= 20_000, "{} bytes", recorded.bytes.len());
    recorded
}

/// What can be relied on to come back: every event, but bytes that are not UTF-8 may be cut in other places.
fn joined(events: &[Event]) -> Vec<(u128, Payload)> {
    let mut all: Vec<(u128, Payload)> = Vec::new();
    for event in events {
        let ms = event.time.as_millis();
        match (all.last_mut(), &event.payload) {
            (Some((at, Payload::Output(before))), Payload::Output(bytes)) if *at == ms => {
                before.extend_from_slice(bytes);
            }
            _ => all.push((ms, event.payload.clone())),
        }
    }
    all
}

fn unlocked(bytes: &[u8], root: [u8; 32]) -> Option<Reader<Bytes<&[u8]>>> {
    let mut reader = Reader::open(Bytes::new(bytes)).ok()?;
    reader.unlock(root).ok()?;
    Some(reader)
}

/// Runs `check` for every number below `n`, on all processors; gives back what it complained of.
fn for_all(n: usize, check: impl Fn(usize) -> Option<String> + Sync) -> Vec<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let check = &check;
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| scope.spawn(move || (part..n).step_by(threads).filter_map(check).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

#[test]
fn an_untouched_recording_is_intact_and_its_content_is_what_was_written() {
    let fleet = fleet();
    let recorded = long(&fleet);
    let report = judge(&recorded.bytes, &fleet.known()).unwrap();
    assert_eq!(report.verdict, Verdict::Intact);
    assert_eq!((report.signed, report.whole), (report.length, report.length));
    let mut reader = unlocked(&recorded.bytes, recorded.root).unwrap();
    assert!(verify_content(&mut reader, |_| ()).unwrap() > 235);
    let (events, fault) = sample::events_of(&mut reader);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(joined(&events), joined(&recorded.events));
}

#[test]
fn every_kind_of_damage_gets_the_verdict_it_must_get_with_its_place() {
    let (fleet, other) = (fleet(), Fleet::new("db-1"));
    let mut wrong = Vec::new();
    for case in damage::cases(&fleet, &other) {
        let found = verdict(&judge(&case.bytes, &fleet.known()));
        let placed = case.expect == "refused" || case.expect == "foreign" || found.contains(" at byte ");
        if !found.starts_with(case.expect) || !placed {
            wrong.push(format!("{} ({}): {found}, not {}", case.name, case.what, case.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without an identity nothing tells such a recording from one that happened so: it is in no kit of what must be found without one.
#[test]
fn whoever_has_the_hosts_key_and_no_identity_signs_nothing_anew_that_an_identity_does_not_find() {
    let fleet = fleet();
    let kinds = [SlotKind::Root, SlotKind::Index];
    let written = record(&fleet, &kinds, CastHeader::new(80, 24), &busy(11, 390, 300), true);
    let killed = &written.bytes[..written.bytes.len() - 3000];
    let all = unlocked(&written.bytes, written.root).unwrap().segments();
    let (certificate, _) = damage::places(&written.bytes)[3];
    assert!(all >= 3);
    for (bytes, segments, close) in [
        (&written.bytes[..], 0, true),
        (&written.bytes, 0, false),
        (&written.bytes, 1, true),
        (&written.bytes, all - 1, true),
        (&written.bytes, 1, false),
        (killed, 1, true),
        (killed, 1, false),
    ] {
        let said = format!("{segments} of {all} segments of {} bytes, closed: {close}", bytes.len());
        let forged = forge::signed_anew(bytes, &fleet.host, segments, close);
        let verdict = judge(&forged, &fleet.known()).unwrap().verdict;
        let consistent = if close { verdict == Verdict::Intact } else { verdict.tear().is_some() };
        assert!(consistent, "{said}: {verdict:?}");
        // Who has no key sees an end like any other.
        let mut reader = Reader::open(Bytes::new(forged.as_slice())).unwrap();
        assert_eq!((reader.is_closed(), reader.is_complete()), (close, close), "{said}");
        reader.unlock_index(written.index).unwrap();
        assert!(!reader.is_closed() && !reader.is_complete(), "{said}");
        let is_found = |error: Option<Error>| match error {
            Some(Error::Format { offset, chunk, what }) => {
                assert_eq!((offset, chunk), (certificate as u64, Some(2)), "{said}: {what}");
                assert!(what.contains("announces another first checkpoint"), "{said}: {what}");
            }
            error => panic!("{said}: {error:?}"),
        };
        is_found(reader.fault());
        reader.unlock(written.root).unwrap();
        is_found(verify_content(&mut reader, |_| ()).err());
        // What is there is what was recorded, and is read.
        assert_eq!((reader.segments(), reader.entries().len()), (segments, segments), "{said}");
        let (events, fault) = sample::events_of(&mut reader);
        // Where there is no segment, no cursor comes to its end.
        is_found(fault.or_else(|| reader.fault().filter(|_| segments == 0)));
        let events = joined(&events);
        assert_eq!(events, joined(&written.events)[..events.len()], "{said}");
        assert!(events.len() >= 20 * segments.min(1), "{said}: {}", events.len());
        let mut beside = reader.beside(Bytes::new(forged.as_slice()));
        assert!(!beside.is_complete() && !reader.refresh().unwrap(), "{said}");
        is_found(beside.fault());
        assert!(!reader.is_closed() && !reader.is_complete(), "{said}");
    }
}

/// Nobody signs the end: whatever it says, it must not hide what stands before it from who only reads.
#[test]
fn an_end_that_was_edited_hides_nothing_from_who_has_a_key() {
    let (fleet, other) = (fleet(), Fleet::new("db-1"));
    let written = damage::small(&fleet, "first recording", true);
    let tallies = |reader: &Reader<Bytes<&[u8]>>| -> Vec<_> {
        reader.entries().iter().map(|entry| (entry.segment, entry.tally.clone())).collect()
    };
    let untouched = tallies(&unlocked(&written.bytes, written.root).unwrap());
    let of_the_end =
        ["table-", "trailer-", "end-parts-", "garbage-after", "zeros-after", "chunk-after", "two-"];
    let mut seen = 0;
    for case in damage::cases(&fleet, &other) {
        if !of_the_end.iter().any(|start| case.name.starts_with(start)) {
            continue;
        }
        let mut reader = Reader::open(Bytes::new(case.bytes.as_slice())).unwrap();
        reader.unlock(sample::root_key(&reader, fleet.identity.as_bytes()).unwrap()).unwrap();
        let said = format!("{} ({})", case.name, case.what);
        assert_eq!(tallies(&reader), untouched, "{said}");
        assert_eq!(reader.segments(), untouched.len(), "{said}");
        assert!(reader.is_complete(), "{said}");
        let (events, fault) = sample::events_of(&mut reader);
        assert!(fault.is_none(), "{said}: {fault:?}");
        assert_eq!(joined(&events), joined(&written.events), "{said}");
        seen += 1;
    }
    assert!(seen >= 16, "{seen} cases");
}

/// Whatever row count and whatever number the parts of the end have: the whole is opened, or it is walked.
#[test]
fn an_end_is_believed_in_both_forms_in_which_it_is_written_and_only_with_its_numbers() {
    let fleet = fleet();
    let forged = |last: u8, segments: u32, skip: bool| {
        let mut forge = forge::Forge::begin([5; 32], &fleet.host, "web-3", &[]);
        for n in 0..segments {
            let flags = if n + 1 == segments { last } else { forge::CLOSES };
            forge.segment(n, "text", flags);
        }
        if last & forge::FINAL == 0 || segments == 0 {
            forge.check(forge::FINAL);
        }
        forge.seq += u32::from(skip);
        forge.finish();
        forge.bytes
    };
    let both = forge::CLOSES | forge::FINAL;
    for (last, segments) in [(both, 3), (forge::CLOSES, 3), (forge::CLOSES, 0)] {
        let bytes = forged(last, segments, false);
        assert_eq!(judge(&bytes, &fleet.known()).unwrap().verdict, Verdict::Intact);
        let reader = unlocked(&bytes, [5; 32]).unwrap();
        assert!(reader.is_closed(), "{last} {segments}");
        assert_eq!(reader.entries().len(), segments as usize);
        let jumped = forged(last, segments, true);
        let reader = unlocked(&jumped, [5; 32]).unwrap();
        assert!(!reader.is_closed() && reader.is_complete(), "{last} {segments}");
        assert_eq!(reader.entries().len(), segments as usize);
    }
}

#[test]
fn every_changed_byte_is_found_where_it_is() {
    let fleet = fleet();
    let (bytes, known) = (long(&fleet).bytes, fleet.known());
    let places = damage::places(&bytes);
    let trailer = places.last().unwrap().0;
    let wrong = for_all(bytes.len(), |at| {
        let (start, _) = *places.iter().rfind(|(start, _)| *start <= at).unwrap();
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let place = if start == 0 { at } else { start } as u64;
        match judge(&changed, &known).map(|report| report.verdict) {
            Ok(Verdict::Altered { offset, .. }) if offset == place => None,
            // A trailer that claims to be longer than the file looks like one that was not written to its end.
            Ok(Verdict::Torn { at, how: Tear::Closing }) if at == place && start == trailer => None,
            other => Some(format!("byte {at}: {other:?}")),
        }
    });
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), bytes.len(), wrong.join("\n"));
}

#[test]
fn every_changed_byte_is_found_by_the_next_signature_when_checksums_are_repaired() {
    let fleet = fleet();
    let recorded = long(&fleet);
    let (bytes, known) = (&recorded.bytes, fleet.known());
    let places = damage::places(bytes);
    let wrong = for_all(bytes.len(), |at| {
        let n = places.iter().rposition(|(start, _)| *start <= at).unwrap();
        let (start, end) = places[n];
        if (start + frame::BOUND_LEN..start + frame::FRAME_LEN).contains(&at) && start > 0 {
            // The checksum itself: repairing it is what changes nothing.
            return None;
        }
        let mut changed = bytes.clone();
        changed[at] = changed[at].wrapping_add(u8::try_from(1 + at * 7 % 255).unwrap());
        if start > 0 {
            damage::mend(&mut changed[start..end]);
        }
        // The signature that covers it: the certificate or the next checkpoint (of a checkpoint, the one after it); after the
        // last one, the chunk itself.
        let signed =
            |(start, _): &&(usize, usize)| *start > 0 && matches!(bytes[start + 2], 3 | forge::CHECK);
        let latest = places[n..].iter().filter(signed).take(2).last().map_or(start, |(start, _)| *start);
        let range = start as u64..=latest.max(at) as u64;
        match judge(&changed, &known).map(|report| report.verdict) {
            Ok(Verdict::Altered { offset, .. }) if range.contains(&offset) => {}
            Ok(Verdict::Torn { at, how: Tear::Closing }) if at == start as u64 && n + 1 == places.len() => {}
            other => return Some(format!("byte {at} ({range:?}): {other:?}")),
        }
        // Whoever reads it all the same gets a prefix of what was written, never anything else.
        if at % 11 == 0
            && let Some(mut reader) = unlocked(&changed, recorded.root)
        {
            let (events, _) = sample::events_of(&mut reader);
            if !joined(&recorded.events).starts_with(&joined(&events)) {
                return Some(format!("byte {at}: an event that was never written"));
            }
        }
        None
    });
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), bytes.len(), wrong.join("\n"));
}

#[test]
fn every_shorter_file_is_torn_and_plays_a_prefix() {
    let fleet = fleet();
    let recorded = long(&fleet);
    let (bytes, known) = (&recorded.bytes, fleet.known());
    let whole = joined(&recorded.events);
    let wrong = for_all(bytes.len(), |length| {
        let cut = &bytes[..length];
        match judge(cut, &known) {
            Err(Error::NotARecording) if length == 0 => return None,
            Ok(report)
                if matches!(report.verdict, Verdict::Torn { at, .. } if at <= length.max(16) as u64)
                    && report.signed <= length as u64 => {}
            other => return Some(format!("length {length}: {}", verdict(&other))),
        }
        if length % 13 == 0
            && let Some(mut reader) = unlocked(cut, recorded.root)
        {
            let (events, fault) = sample::events_of(&mut reader);
            if fault.is_some() || !whole.starts_with(&joined(&events)) {
                return Some(format!("length {length}: not a prefix, {fault:?}"));
            }
        }
        None
    });
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), bytes.len(), wrong.join("\n"));
}

#[test]
fn a_segment_or_an_index_that_lies_is_found_by_who_has_a_key() {
    let fleet = fleet();
    let begin = || forge::Forge::begin([5; 32], &fleet.host, "web-3", &[]);
    let anchor = "[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";
    let whole = zstd::bulk::compress(anchor.as_bytes(), 3).unwrap();
    let entry = |offset: usize| {
        let json = format!(r#"{{"segment":0,"offset":{offset},"utc":5,"step":1000,"activity":""}}"#);
        forge::packed(json.as_bytes(), &[])
    };
    let check = |packed: &[u8], shift: usize| {
        let mut forged = begin();
        let offset = forged.bytes.len() + shift;
        forged.data(forge::SEG, packed);
        forged.index(&entry(offset));
        forged.check(forge::CLOSES | forge::FINAL);
        forged.finish();
        assert_eq!(judge(&forged.bytes, &fleet.known()).unwrap().verdict, Verdict::Intact);
        let mut reader = unlocked(&forged.bytes, [5; 32]).unwrap();
        verify_content(&mut reader, |_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(check(&whole, 0), Ok(1));
    assert!(check(&whole, 1).unwrap_err().contains("stands elsewhere than its index entry says"));
    // Text that ends exactly where the reader's buffer does.
    for length in [128 << 10, 256 << 10] {
        let filled = format!("{anchor}{}\n", "#".repeat(length - anchor.len() - 1));
        assert_eq!(filled.len(), length);
        assert_eq!(check(&zstd::bulk::compress(filled.as_bytes(), 3).unwrap(), 0), Ok(1));
    }
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(anchor.as_bytes()).unwrap();
    encoder.flush().unwrap();
    let unended = encoder.get_ref().clone();
    assert!(check(&unended, 0).unwrap_err().contains("closed in the middle of its text"));
    let half_a_line = zstd::bulk::compress(&[anchor.as_bytes(), b"[0,\"o\""].concat(), 3).unwrap();
    assert!(check(&half_a_line, 0).unwrap_err().contains("closed in the middle of its text"));
}

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

#[test]
fn metadata_that_do_not_open_are_called_that_however_often_they_are_opened() {
    let fleet = fleet();
    let recorded = damage::small(&fleet, "whole", true);
    let (start, end) = damage::places(&recorded.bytes)[4];
    let mut changed = recorded.bytes.clone();
    changed[end - 1] ^= 1;
    damage::mend(&mut changed[start..end]);
    let mut reader = Reader::open(Bytes::new(changed)).unwrap();
    for _ in 0..2 {
        let first = reader.unlock_index(recorded.index).unwrap_err();
        let second = reader.unlock(recorded.root).unwrap_err();
        for error in [first, second] {
            assert!(matches!(error, Error::NotAuthentic { chunk: 3, .. }), "{error}");
        }
    }
}

#[test]
fn a_growing_file_is_followed_to_its_close() {
    let fleet = fleet();
    let recorded = long(&fleet);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    // The wrapped keys are not always of the same length: begin where the first segment has begun.
    let begun = |n: &usize| {
        let reader = Reader::open(std::io::Cursor::new(&recorded.bytes[..*n]));
        reader.is_ok_and(|reader| reader.segments() > 0)
    };
    let start = (2500..recorded.bytes.len()).step_by(331).find(begun).unwrap();
    let (first, mut rest) = recorded.bytes.split_at(start);
    file.write_all(first).unwrap();
    let mut reader = Reader::open(std::fs::File::open(file.path()).unwrap()).unwrap();
    reader.unlock(recorded.root).unwrap();
    let mut cursor = Cursor::new(&reader, 0).unwrap();
    let mut seen = Vec::new();
    loop {
        while let Some(event) = cursor.next(&mut reader).unwrap() {
            if !matches!(event.payload, Payload::Anchor(_)) {
                seen.push(event);
            }
        }
        if rest.is_empty() {
            break;
        }
        assert!(!reader.is_closed());
        let (more, after) = rest.split_at(rest.len().min(331));
        file.write_all(more).unwrap();
        rest = after;
        reader.refresh().unwrap();
    }
    assert!(reader.is_closed());
    assert_eq!(joined(&seen), joined(&recorded.events));
    assert_eq!(reader.entries().len(), reader.segments());
}

/// Whether a program is there; says so when it is not.
fn have(program: &str) -> bool {
    let there =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        skipped::skipped(&format!("{program} is not installed"));
    }
    there
}

/// Runs a program on `input`; panics with everything it said unless it succeeds.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {} {said:?}", output.status);
    output.stdout
}

#[test]
fn stock_ssh_keygen_accepts_the_certificate() {
    if !have("ssh-keygen") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    let reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
    let certificate = reader.certificate();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("signers"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
    std::fs::write(path("signature"), &certificate.signature).unwrap();
    let verify = [
        "-Y",
        "verify",
        "-f",
        &path("signers"),
        "-I",
        "web-3",
        "-n",
        cert::NAMESPACE,
        "-s",
        &path("signature"),
    ];
    let said = run("ssh-keygen", &verify, certificate.text.as_bytes());
    assert!(
        String::from_utf8_lossy(&said).contains("Good \"sealcast-session@v1\" signature for web-3"),
        "{said:?}"
    );
}

#[test]
fn stock_age_opens_a_slot() {
    if !have("age") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    let reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    for (slot, identity, key) in [(0, &fleet.identity, &recorded.root), (1, &fleet.searcher, &recorded.index)]
    {
        std::fs::write(&path, format!("{}\n", identity.as_str())).unwrap();
        let found = run("age", &["-d", "-i", path.to_str().unwrap()], &reader.slots()[slot].age);
        assert_eq!(found, key, "slot {slot}");
    }
}

#[test]
fn stock_zstd_opens_a_decrypted_segment() {
    if !have("zstd") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    assert!(stock_zstd(&recorded).len() > 2);
}

#[test]
fn a_flood_begins_a_frame_of_its_own_in_the_middle_of_a_segment() {
    if !have("zstd") {
        return;
    }
    let recorded = record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &sample::flooded(), true);
    assert_eq!(stock_zstd(&recorded).iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [2]);
    let mut reader = unlocked(&recorded.bytes, recorded.root).unwrap();
    let (events, fault) = sample::events_of(&mut reader);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(joined(&events), joined(&recorded.events));
}

/// A `git diff` is looked at. Were it a flood, whatever is typed after it would be compressed like one.
#[test]
fn a_long_listing_after_a_pause_is_no_flood_and_four_of_them_are() {
    if !have("zstd") {
        return;
    }
    let listing: String =
        (0..2000).map(|n| format!("{n} {} of a long listing\r\n", n * 7919 % 10_007)).collect();
    assert!((50_000..60_000).contains(&listing.len()), "{}", listing.len());
    let again = |n: u64| sample::out(2000 + 100 * n, &listing);
    // Four of them in a row nobody follows.
    for (listings, frames) in [(1, 1), (4, 2)] {
        let mut steps = vec![sample::out(0, "$ ")];
        steps.extend((0..listings).map(again));
        steps.push(sample::out(2900, "$ "));
        let recorded = record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &steps, true);
        assert_eq!(stock_zstd(&recorded).iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [frames]);
    }
}

/// Two segments of a flood, all of it in one second.
fn flood_of(text: &str) -> sample::Recorded {
    let mut steps = vec![sample::out(0, "$ \r\n")];
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(9000).collect();
    for (n, half) in pieces.chunks(pieces.len().div_ceil(2)).enumerate() {
        steps.extend((n > 0).then_some(sample::Step::Cut(2200)));
        steps.extend(half.iter().map(|piece| sample::out(2200, piece)));
    }
    record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &steps, true)
}

#[test]
fn a_flood_of_numbers_is_compressed_by_its_long_matches_and_one_of_text_by_its_short_ones() {
    if !have("zstd") {
        return;
    }
    let seq: String = (1..400_000).map(|n| format!("{n}\r\n")).collect();
    let mut source = String::new();
    for module in ["container", "record", "terminal"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
        let mut paths: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        let files = paths.iter().filter(|path| path.is_file());
        source.extend(files.map(|path| std::fs::read_to_string(path).unwrap().replace('\n', "\r\n")));
    }
    for text in [&seq, &source] {
        let recorded = flood_of(text);
        let segments = stock_zstd(&recorded);
        assert_eq!(segments.iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [2, 1]);
        // What it is shows in the first segment; the second one is compressed accordingly.
        let half: String = text.chars().skip(text.chars().count() / 2).collect();
        let packed = zstd::bulk::compress(half.as_bytes(), 3).unwrap().len();
        let (first, second) = (segments[0].1, segments[1].1);
        let short = if text == &seq { second * 4 < first * 3 } else { second * 100 < packed * 105 };
        assert!(short, "{first} and {second} bytes, and zstd -3 makes {packed} of the second half");
        let mut reader = unlocked(&recorded.bytes, recorded.root).unwrap();
        let (events, fault) = sample::events_of(&mut reader);
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(joined(&events), joined(&recorded.events));
    }
}

/// Opens every segment with stock `zstd` and looks at the cast; gives of how many frames and bytes each consists.
fn stock_zstd(recorded: &sample::Recorded) -> Vec<(usize, usize)> {
    let chunks = damage::split(&recorded.bytes);
    let file = sha256(&[&frame::prologue(), &chunks[0]]);
    let session = Reader::open(Bytes::new(&recorded.bytes)).unwrap().header().session_bytes().unwrap();
    let mut content = Key::from_bytes(recorded.root).derive(&session, b"content");
    let mut chain = content.step(b"seg");
    let (mut packed, mut segments, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in &chunks {
        match chunk[2] {
            forge::SEG | forge::DATA => {
                let (bound, body) = (&chunk[..frame::BOUND_LEN], &chunk[frame::FRAME_LEN..]);
                let mut plain = seal::open(&chain.step(b"key"), &[&file, bound], body).unwrap();
                chain = chain.step(b"next");
                plain.truncate(plain.iter().rposition(|byte| *byte == 0x80).unwrap());
                packed.extend(plain);
            }
            forge::CHECK if chunk[3] & forge::CLOSES != 0 => {
                frames.push((
                    memchr::memmem::find_iter(&packed, &[0x28, 0xb5, 0x2f, 0xfd]).count(),
                    packed.len(),
                ));
                segments.push(run("zstd", &["-d", "-c"], &std::mem::take(&mut packed)));
                content = content.step(b"next");
                chain = content.step(b"seg");
            }
            _ => {}
        }
    }
    let cast = String::from_utf8(segments.concat()).unwrap();
    assert!(cast.starts_with(&format!("{}\n[0,\"t\",", recorded.cast_header)), "{}", &cast[..200]);
    for line in cast.lines().skip(1) {
        let fields: (f64, String, String) = serde_json::from_str(line).unwrap();
        assert_eq!(fields.1.len(), 1, "{line}");
    }
    frames
}
