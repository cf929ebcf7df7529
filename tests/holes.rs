//! Whoever changes a frame, which needs no key, gets no reader to say less in silence: what is missing is an error, or is told.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

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

mod holes {
    mod both;
    mod commands;
    mod cut;
    mod entries;
    mod rotten;
}

use forge::{CHECK, CLOSES, DATA, FINAL, Forge, INDEX, SEG, TABLE, TRAILER};
use sample::{Fleet, Recorded, record};
use sealcast::cast::{Event, Header as CastHeader, Payload};
use sealcast::container::verify::Verdict;
use sealcast::container::{Cursor, Entry, Reader, SlotKind, frame};
use second::second_reader_of_many;
use skipped::skipped;
use std::io::{Cursor as Bytes, Write as _};

const OPEN_END: &str = "not closed: what comes after this is missing";

/// A recording and one change of it.
struct Change {
    what: String,
    /// Number of the chunk that was changed.
    chunk: usize,
    bytes: Vec<u8>,
}

/// Repairs the checksum of the chunk at `start`, as long as it says that it is, where that is in the file.
fn mend_at(bytes: &mut [u8], start: usize) {
    let length = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().unwrap());
    let end = start + frame::FRAME_LEN + usize::try_from(length).unwrap();
    if let Some(chunk) = bytes.get_mut(start..end) {
        damage::mend(chunk);
    }
}

/// A file of these chunks, at the end of which they are said to stand where they do.
fn with_its_end(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut list = chunks.to_vec();
    let places = damage::places(&damage::join(chunks));
    let mut rows = Vec::new();
    let (mut begun, mut entry, mut check) = (frame::PROLOGUE_LEN, 0, 0);
    for (chunk, (start, end)) in list.iter_mut().zip(places.into_iter().skip(1)) {
        let seq = u32::from_le_bytes(chunk[8..12].try_into().unwrap());
        match chunk[2] {
            INDEX => entry = u32::try_from(end - start).unwrap(),
            CHECK => {
                check = start;
                if chunk[3] & CLOSES != 0 {
                    let [at, length] = [begun, end - begun].map(|n| (n as u64).to_le_bytes());
                    rows.extend([&at[..], &length, &entry.to_le_bytes(), &[0; 32]].concat());
                    begun = end;
                }
            }
            TABLE => {
                *chunk = forge::chunk(TABLE, 0, seq, &rows);
                begun = start;
            }
            TRAILER => {
                let offsets = [check, begun].map(|n| (n as u64).to_le_bytes()).concat();
                *chunk = forge::chunk(TRAILER, 0, seq, &[&offsets[..], b"SC1END"].concat());
            }
            _ => {}
        }
    }
    damage::join(&list)
}

/// Every type, every flag, the lengths that hide something, another order, and checkpoints in its place, of every chunk.
fn changes(bytes: &[u8]) -> Vec<Change> {
    let (chunks, places) = (damage::split(bytes), damage::places(bytes));
    let mut all = Vec::new();
    for (chunk, (start, end)) in places.iter().copied().skip(1).enumerate() {
        let kind = bytes[start + 2];
        let mut with = |what: String, edit: &dyn Fn(&mut [u8])| {
            let mut changed = bytes.to_vec();
            edit(&mut changed[start..start + frame::BOUND_LEN]);
            mend_at(&mut changed, start);
            let what = format!("chunk {chunk} of type {kind:#x}: {what}");
            all.push(Change { what, chunk, bytes: changed });
        };
        let types = [1, 2, 3, SEG, DATA, INDEX, 0x13, CHECK, TABLE, TRAILER, 0x44, kind | 0x80, 0xC4];
        for new in types.into_iter().filter(|new| *new != kind) {
            let flags: &[u8] = if new == CHECK { &[0, CLOSES, FINAL, CLOSES | FINAL] } else { &[0] };
            for flags in flags {
                with(format!("type {new:#x}, flags {flags}"), &|head| (head[2], head[3]) = (new, *flags));
            }
        }
        for flags in (0..=4).filter(|flags| *flags != bytes[start + 3]) {
            with(format!("flags {flags}"), &|head| head[3] = flags);
        }
        with("no mark".to_owned(), &|head| head[0] ^= 1);
        with("another number".to_owned(), &|head| head[8] ^= 1);
        let body = |until: usize| u32::try_from(until - start - frame::FRAME_LEN).unwrap();
        let mut lengths = vec![0, body(end) - 1.min(body(end)), body(end) + 1, body(end) + 64, 1 << 20];
        // Up to the end of one of the next chunks, up to the end of the file, and past it.
        lengths.extend(places.iter().skip(chunk + 2).take(3).map(|(_, end)| body(*end)));
        lengths.extend([body(bytes.len()), body(bytes.len()) + 1, body(end) | 0xf0000, (1 << 20) + 1, !0]);
        for length in lengths.into_iter().filter(|length| *length != body(end)) {
            with(format!("length {length}"), &|head| head[4..8].copy_from_slice(&length.to_le_bytes()));
        }
        let mut changed = bytes.to_vec();
        changed[end - 1] ^= 1;
        let what = format!("chunk {chunk} of type {kind:#x}: another last byte");
        all.push(Change { what, chunk, bytes: changed });
        let mut list = chunks.clone();
        if matches!(kind, SEG | DATA) {
            // With all that follow in the segment: the text may have come to the end of a frame before them.
            let rest = list.iter_mut().enumerate().skip(chunk).take_while(|(_, chunk)| chunk[2] != INDEX);
            let mut last = chunk;
            for (place, sealed) in rest.filter(|(_, chunk)| matches!(chunk[2], SEG | DATA)) {
                let number = u32::from_le_bytes(sealed[8..12].try_into().unwrap());
                *sealed = forge::chunk(CHECK, 0, number, &[1; 100]);
                last = place;
            }
            let what =
                format!("chunk {chunk} of type {kind:#x}: checkpoints from here to the end of its segment");
            all.push(Change { what, chunk: last, bytes: with_its_end(&list) });
            list = chunks.clone();
        }
        let mut reordered = |what: &str, list: &[Vec<u8>]| {
            for (how, bytes) in [("", damage::join(list)), (", renumbered", damage::renumber(list))] {
                let what = format!("chunk {chunk} of type {kind:#x}: {what}{how}");
                all.push(Change { what, chunk, bytes });
            }
        };
        list.remove(chunk);
        reordered("taken out", &list);
        list.insert(chunk, chunks[chunk].clone());
        list.insert(chunk, chunks[chunk].clone());
        reordered("twice", &list);
        list.remove(chunk);
        if chunk > 0 {
            list.swap(chunk - 1, chunk);
            reordered("before the one before it", &list);
        }
    }
    let mut changed = bytes.to_vec();
    let announced = changed.windows(16).position(|bytes| bytes == b"first-checkpoint").unwrap();
    changed[announced] ^= 1;
    mend_at(&mut changed, places[3].0);
    all.push(Change { what: "a certificate that announces no key".to_owned(), chunk: 2, bytes: changed });
    all
}

/// What a reading command gets of a recording.
#[derive(Debug, Default, PartialEq)]
struct Got {
    events: Vec<Event>,
    entries: Vec<Entry>,
}

/// All that is read, from the start to the end or (as the player and the search do) segment by segment, and why there is no
/// more, where that is told.
fn read(bytes: &[u8], root: [u8; 32], by_segment: bool) -> (Got, Option<String>, bool) {
    let mut got = Got::default();
    let mut reader = match Reader::open(Bytes::new(bytes)) {
        Ok(reader) => reader,
        Err(error) => return (got, Some(error.to_string()), false),
    };
    if let Err(error) = reader.unlock(root) {
        return (got, Some(error.to_string()), false);
    }
    got.entries = reader.entries().to_vec();
    let mut fault = reader.opening().err().map(|error| error.to_string());
    if !by_segment {
        let (events, error) = sample::events_of(&mut reader);
        got.events = events;
        fault = fault.or(error.map(|error| error.to_string()));
    } else {
        for segment in 0..reader.segments() {
            let mut cursor = Cursor::of_segment(&reader, segment).unwrap();
            loop {
                match cursor.next(&mut reader) {
                    Ok(Some(event)) if matches!(event.payload, Payload::Anchor(_)) => {}
                    Ok(Some(event)) => got.events.push(event),
                    Ok(None) => break,
                    Err(error) => {
                        fault.get_or_insert(error.to_string());
                        break;
                    }
                }
            }
        }
    }
    if reader.segments() == 0 || by_segment {
        fault = fault.or(reader.fault().map(|fault| fault.to_string()));
    }
    let complete = reader.is_complete();
    (got, fault, complete)
}

/// Three segments, the last of which is longer than recorded data waits for a signature.
fn steps(text: &str) -> Vec<sample::Step> {
    let mut steps = Vec::new();
    for (segment, seconds) in [(0, 3), (1, 3), (2, 14)] {
        steps.extend((0..seconds).map(|n| {
            let ms = segment * 30_000 + n * 1700;
            sample::out(ms, format!("{text} {segment}.{n}\r\n"))
        }));
        if segment < 2 {
            steps.push(sample::Step::Cut(segment * 30_000 + 29_000));
        }
    }
    steps
}

/// Three segments, in each of which the text comes to the end of a frame where a chunk ends that is not the last: nothing in it says that
/// more follows. The first recorders could be brought to write that.
fn of_two_frames(fleet: &Fleet) -> Recorded {
    let mut forge = Forge::begin([5; 32], &fleet.host, &fleet.name, &[]);
    for number in 0..3 {
        let lines = |from: usize| {
            (from..from + 3).map(|n| format!("[0,\"o\",\"whole {number}.{n}\\r\\n\"]\n")).collect::<String>()
        };
        let at = number * 1000;
        let clocks = format!("[{},\"t\",\"{{\\\"at\\\":{at},\\\"utc\\\":5}}\"]\n", u8::from(number > 0));
        let offset = forge.bytes.len();
        for (kind, text) in [(SEG, clocks + &lines(0)), (DATA, lines(3))] {
            forge.data(kind, &zstd::bulk::compress(text.as_bytes(), 3).unwrap());
        }
        let raw = 6 * "whole 0.0\r\n".len();
        let entry =
            format!(r#"{{"segment":{number},"offset":{offset},"start":{at},"end":{at},"raw":{raw}}}"#);
        forge.index(&forge::packed(entry.as_bytes(), &[]));
        forge.check(if number == 2 { CLOSES | FINAL } else { CLOSES });
    }
    forge.finish();
    let (events, cast_header) = (Vec::new(), String::new());
    Recorded { bytes: forge.bytes, root: [5; 32], index: [0; 32], events, cast_header }
}

/// Closed in both forms in which that is done, with a segment whose text comes to an end before its last chunk, and not closed.
fn recordings(fleet: &Fleet) -> [(&'static str, Recorded); 4] {
    let of = |steps: &[sample::Step], close| {
        record(fleet, &[SlotKind::Root], CastHeader::new(80, 24), steps, close)
    };
    [
        ("closed after a segment", damage::small(fleet, "whole", true)),
        ("closed with a segment", of(&steps("whole"), true)),
        ("with two frames in a segment", of_two_frames(fleet)),
        ("torn", of(&steps("open"), false)),
    ]
}

#[test]
fn no_change_of_a_frame_makes_a_reader_give_less_in_silence() {
    let fleet = Fleet::new("web-3");
    let mut wrong = Vec::new();
    for (name, recorded) in recordings(&fleet) {
        let closed = name != "torn";
        let chunks = damage::split(&recorded.bytes);
        let last = chunks.iter().rposition(|chunk| matches!(chunk[2], SEG | DATA)).unwrap();
        let whole = read(&recorded.bytes, recorded.root, false);
        assert!(whole.1.is_none() && whole.2 == closed && whole.0.events.len() > 10, "{name}: {whole:?}");
        let all = changes(&recorded.bytes);
        assert!(all.len() > 500, "{} changes", all.len());
        for change in all {
            for by_segment in [false, true] {
                let (got, fault, complete) = read(&change.bytes, recorded.root, by_segment);
                let what = format!("{name}, {}, by segment: {by_segment}", change.what);
                if fault.is_some() {
                    continue;
                }
                // What nothing follows may be missing as the end of a torn recording may be.
                let end = !closed && change.chunk >= last;
                if got.events != whole.0.events && !end {
                    wrong.push(format!("{what}: {} of {} events", got.events.len(), whole.0.events.len()));
                }
                if got.entries != whole.0.entries {
                    let (few, all) = (got.entries.len(), whole.0.entries.len());
                    wrong.push(format!("{what}: {few} of {all} index entries"));
                }
                if complete && !closed {
                    wrong.push(format!("{what}: counts as whole"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// Two segments of a minor version, with a chunk of an unknown type before one of the three of the second ([`Forge::segment_with`]).
fn of_version(fleet: &Fleet, minor: u8, place: usize) -> Vec<u8> {
    let mut forge = Forge::of_version(minor, [5; 32], &fleet.host, &fleet.name, &[]);
    forge.open();
    for (number, flags) in [(0, CLOSES), (1, CLOSES | FINAL)] {
        forge.segment_with(number, "whole", flags, |forge, part| {
            if number == 1 && part == place {
                forge.chunk(0xC4, 0, b"of a later version");
            }
        });
    }
    forge.finish();
    forge.bytes
}

#[test]
fn a_chunk_of_an_unknown_type_is_passed_over_between_segments_of_a_later_version_only() {
    let fleet = Fleet::new("web-3");
    // Before a segment, before its index entry, before its checkpoint.
    for (minor, place) in (0..=1).flat_map(|minor| (0..3).map(move |place| (minor, place))) {
        let (bytes, passes) = (of_version(&fleet, minor, place), (minor, place) == (1, 0));
        let what = format!("minor version {minor}, place {place}");
        let verdict = sample::judge(&bytes, &fleet.known()).unwrap().verdict;
        assert_eq!(verdict == Verdict::Intact, passes, "{what}: {verdict:?}");
        let (got, fault, complete) = read(&bytes, [5; 32], false);
        assert_eq!(fault.is_none(), passes, "{what}: {fault:?}");
        assert!(!passes || got.events.len() == 2 && complete, "{what}: {got:?}");
        let Some(told) = second_reader_of_many(&[&bytes], &[5; 32]) else { continue };
        assert_eq!(told[0].0, passes, "{what}: {}", told[0].1);
    }
}

/// A checkpoint, a table and a trailer that nobody signed, after the end of a recording of so many chunks.
fn forged_end(chunks: usize, flags: u8) -> [Vec<u8>; 3] {
    let seq = u32::try_from(chunks).unwrap();
    let check = forge::chunk(CHECK, flags, seq, &[1; 100]);
    let table = forge::chunk(TABLE, 0, seq + 1, &[]);
    let trailer = forge::chunk(TRAILER, 0, seq + 2, &[&[0; 16][..], b"SC1END"].concat());
    [check, table, trailer]
}

#[test]
fn a_final_checkpoint_that_nobody_signed_closes_nothing() {
    let fleet = Fleet::new("web-3");
    let [.., (_, torn)] = recordings(&fleet);
    let chunks = damage::split(&torn.bytes);
    let closes = |chunk: &Vec<u8>| chunk[2] == CHECK && chunk[3] & CLOSES != 0;
    // Inside a segment, and where one has ended, which is the place for it.
    let border = chunks.iter().rposition(closes).unwrap() + 1;
    for end in [chunks.len(), border] {
        for flags in [FINAL, FINAL | CLOSES] {
            let parts = forged_end(end, flags);
            let whole = damage::join(&chunks[..end]);
            for more in 1..=3 {
                let bytes = [&whole[..], &parts[..more].concat()].concat();
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(&whole).unwrap();
                let mut reader = Reader::open(std::fs::File::open(file.path()).unwrap()).unwrap();
                reader.unlock(torn.root).unwrap();
                file.write_all(&bytes[whole.len()..]).unwrap();
                reader.refresh().unwrap();
                let what = format!("{end} chunks, flags {flags}, {more} parts");
                assert!(!reader.is_closed() && !reader.is_complete(), "{what}, as it grew");
                let reader = Reader::open(Bytes::new(&bytes)).unwrap();
                assert!(!reader.is_closed() && !reader.is_complete(), "{what}");
            }
        }
    }
    // The same place signed is the end, with a table or without.
    let [(_, closed), ..] = recordings(&fleet);
    let chunks = damage::split(&closed.bytes);
    let check = chunks.iter().rposition(|chunk| chunk[2] == CHECK).unwrap();
    for end in check + 1..chunks.len() {
        let reader = Reader::open(Bytes::new(damage::join(&chunks[..end]))).unwrap();
        assert!(!reader.is_closed() && reader.is_complete(), "{end} chunks");
    }
}
