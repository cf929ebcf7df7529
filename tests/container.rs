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

mod container {
    mod entries;
    mod stock;
}

use damage::verdict;
use sample::{Fleet, busy, judge, record};
use sealcast::cast::{Event, Header as CastHeader, Payload};
use sealcast::container::verify::{Tear, Verdict};
use sealcast::container::{Cursor, Error, Reader, SlotKind, frame, verify_content};
use std::io::{Cursor as Bytes, Write as _};

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
