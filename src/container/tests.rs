//! The container as a whole: written, read from both ends, tailed. What becomes of damaged ones is in `damaged`.

use super::frame::{self, Kind};
use super::verify::{Origin, Verdict, verify};
use super::*;
use crate::cast::{Anchor, Command, Event, Exec, Header as CastHeader, Payload};
use std::cell::Cell;
use std::io::Cursor as Bytes;
use std::rc::Rc;
use std::time::Duration;

mod damaged;
mod many;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn anchor(at: u64) -> Anchor {
    Anchor { at, utc: 1_700_000_000_000 + i64::try_from(at).unwrap(), boot: 0 }
}

struct Recorded {
    bytes: Vec<u8>,
    root: [u8; 32],
    index: [u8; 32],
    events: Vec<Event>,
}

fn setup() -> Setup {
    Setup {
        header: Header {
            host: "web-3".into(),
            user: "alice".into(),
            target: "root".into(),
            ..Header::default()
        },
        meta: Meta { reason: "because".into(), cols: 80, rows: 24, ..Meta::default() },
        cast: CastHeader::new(80, 24),
        slots: vec![Slot { kind: SlotKind::Root, age: b"wrapped".to_vec() }],
        ledger: String::new(),
    }
}

fn writer() -> (Writer<Vec<u8>>, [u8; 32], [u8; 32]) {
    let keys = SessionKeys::generate().unwrap();
    let (root, index) = (*keys.root(), *keys.index().bytes());
    (Writer::create(Vec::new(), keys, setup(), |_| Ok("SIG".into())).unwrap(), root, index)
}

/// A session of `seconds` seconds, a line a second, a segment every `per_segment` seconds, flushed every second.
fn session(seconds: u64, per_segment: u64, close: bool) -> Recorded {
    let (mut writer, root, index) = writer();
    let mut events = Vec::new();
    for n in 0..seconds {
        if n > 0 && n % per_segment == 0 {
            writer.end_segment(ms(n * 1000), Extras::default()).unwrap();
        }
        writer.begin(anchor(n * 1000), None).unwrap();
        let event =
            Event::new(ms(n * 1000 + 250), Payload::Output(format!("line {n} \u{1b}[1m😀\r\n").into_bytes()));
        writer.push(&event).unwrap();
        events.push(event);
        writer.flush(ms(n * 1000 + 999)).unwrap();
    }
    let bytes = if close {
        let exit = Event::new(ms(seconds * 1000), Payload::Exit(0));
        writer.begin(anchor(seconds * 1000), None).unwrap();
        writer.push(&exit).unwrap();
        events.push(exit);
        writer.finish(ms(seconds * 1000), Extras::default()).map_err(|(e, _)| e).unwrap().1
    } else {
        writer.sink().clone()
    };
    Recorded { bytes, root, index, events }
}

fn judge(bytes: &[u8]) -> verify::Report {
    verify(Bytes::new(bytes), |_| Origin::Trusted("test".into()), |_| ()).unwrap()
}

fn events_of(reader: &mut Reader<Bytes<Vec<u8>>>, from: usize) -> Vec<Event> {
    let mut cursor = Cursor::new(reader, from).unwrap();
    let mut all = Vec::new();
    while let Some(event) = cursor.next(reader).unwrap() {
        if !matches!(event.payload, Payload::Anchor(_)) {
            all.push(event);
        }
    }
    all
}

#[test]
fn a_recording_does_not_begin_with_more_of_its_session_than_a_reader_takes() {
    let begin = |env: Vec<String>| {
        let mut setup = setup();
        setup.meta.env =
            env.into_iter().enumerate().map(|(n, value)| (format!("LC_{n:04}"), value)).collect();
        let keys = SessionKeys::generate().unwrap();
        let root = *keys.root();
        Writer::create(Vec::new(), keys, setup, |_| Ok("SIG".into()))
            .map(|mut writer| (writer.sink().clone(), root))
    };
    // Sixfold as JSON: it is packed to next to nothing, and nobody would unpack it.
    let long = "\u{1}".repeat(4090);
    assert!(matches!(begin(vec![long.clone(); 800]), Err(Error::TooMuch(_))));
    // Nor what is over the limit of a chunk.
    let mut noise = vec![0; 2 << 20];
    getrandom::fill(&mut noise).unwrap();
    let noise: String = noise.iter().map(|byte| char::from(b' ' + byte % 64)).collect();
    assert!(matches!(begin(vec![noise]), Err(Error::TooMuch(_))));
    let (bytes, root) = begin(vec![long; 600]).unwrap();
    let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
    reader.unlock(root).unwrap();
    assert_eq!(reader.opening().unwrap().meta.env.len(), 600);
}

#[test]
fn the_last_segment_that_a_file_can_have_stays_open() {
    let most = u32::try_from(limits::SEGMENTS).unwrap();
    for (closed, due) in [(0, true), (most - 2, true), (most - 1, false), (u32::MAX, false)] {
        let (mut writer, ..) = writer();
        writer.pretend_closed(closed);
        writer.begin(anchor(0), None).unwrap();
        let bytes = vec![b'x'; usize::try_from(limits::SEGMENT_BYTES).unwrap()];
        writer.push(&Event::new(ms(1), Payload::Output(bytes))).unwrap();
        assert_eq!(writer.segment_due(ms(2)), due, "after {closed} segments");
    }
}

#[test]
fn an_index_that_comes_to_more_than_any_recorder_writes_is_refused_and_a_recorder_stops_before() {
    let recorded = |before: u64| {
        let (mut writer, root, _) = writer();
        writer.pretend_unpacked(before);
        writer.begin(anchor(0), None).unwrap();
        let long = Command { text: "long ".repeat(1000), ..Command::default() };
        let flagged = Command { flags: vec!["replaced: x".into()], ..long.clone() };
        let commands = vec![long, flagged];
        let extras = Extras { commands, filter: vec![1], ..Extras::default() };
        (writer.finish(ms(1), extras).map_err(|(e, _)| e).unwrap().1, root)
    };
    let opened = |(bytes, root): (Vec<u8>, [u8; 32]), before: u64| {
        let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
        reader.pretend_unpacked(before);
        reader.unlock(root).unwrap();
        reader.fault().map_or_else(|| Ok(reader.entries().to_vec()), Err)
    };
    let [entry] = &opened(recorded(limits::UNPACKED_FULL), 0).unwrap()[..] else { panic!() };
    assert_eq!((entry.commands.len(), entry.given_up, entry.filter.len()), (2, None, 1));
    let [entry] = &opened(recorded(limits::UNPACKED_FULL + 1), 0).unwrap()[..] else { panic!() };
    assert_eq!((entry.given_up, entry.filter.len()), (Some(GivenUp::TooLong), 0));
    // Nothing but notices pushes out a notice.
    let [notice] = &entry.commands[..] else { panic!("{:?}", entry.commands) };
    assert_eq!((&notice.flags[..], &*notice.text), (&["replaced: x".to_owned()][..], ""));
    assert_eq!(entry.left_out.commands, 2);
    let [entry] = &opened(recorded(limits::NOTICES_FULL + 1), 0).unwrap()[..] else { panic!() };
    assert_eq!(entry.commands.len(), 0);
    assert!(opened(recorded(0), limits::UNPACKED - 32_768).is_ok());
    let error = opened(recorded(0), limits::UNPACKED - 4096).unwrap_err().to_string();
    assert!(error.contains("the index comes to more than 536870912 bytes"), "{error}");
    // Counts alone are paid for by their segment, so that a session of any length stays readable.
    assert!(opened(recorded(limits::NOTICES_FULL + 1), limits::UNPACKED).is_ok());
}

#[test]
fn a_segment_that_was_read_ahead_beside_gives_the_same_events() {
    let recorded = session(40, 7, true);
    let mut reader = Reader::open(Bytes::new(recorded.bytes.clone())).unwrap();
    reader.unlock(recorded.root).unwrap();
    let rest = |reader: &mut Reader<_>, mut cursor: Cursor| {
        let mut all = Vec::new();
        while let Some(event) = cursor.next(reader).unwrap() {
            all.push(event);
        }
        all
    };
    for segment in 0..reader.segments() {
        let cursor = Cursor::of_segment(&reader, segment).unwrap();
        let expected = rest(&mut reader, cursor);
        assert!(expected.len() > 1, "{segment}");
        for most in [0, 1, 100, 1 << 20] {
            let mut beside = reader.beside(Bytes::new(recorded.bytes.clone()));
            let mut cursor = Cursor::of_segment(&beside, segment).unwrap();
            cursor.read_ahead(&mut beside, most, &|| false).unwrap();
            drop(beside);
            assert_eq!(rest(&mut reader, cursor), expected, "{segment} {most}");
        }
        let mut cursor = Cursor::of_segment(&reader, segment).unwrap();
        cursor.read_ahead(&mut reader, 1 << 20, &|| true).unwrap();
        assert_eq!(rest(&mut reader, cursor), expected, "{segment}, stopped at once");
    }
    // What cannot be read is said by whoever reads ahead.
    let mut damaged = recorded.bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let mut beside = reader.beside(Bytes::new(damaged));
    let fails = (0..beside.segments()).filter(|segment| {
        let mut cursor = Cursor::of_segment(&beside, *segment).unwrap();
        cursor.read_ahead(&mut beside, 1 << 20, &|| false).is_err()
    });
    assert_eq!(fails.count(), 1);
}

#[test]
fn a_closed_recording_is_intact_and_gives_back_every_event() {
    let recorded = session(40, 7, true);
    let report = judge(&recorded.bytes);
    assert_eq!(report.verdict, Verdict::Intact);
    assert_eq!((report.segments, report.signed), (6, recorded.bytes.len() as u64));
    let mut reader = Reader::open(Bytes::new(recorded.bytes.clone())).unwrap();
    assert!(reader.is_closed());
    assert!(matches!(reader.opening(), Err(Error::Locked)));
    reader.unlock(recorded.root).unwrap();
    assert_eq!(reader.opening().unwrap().meta.reason, "because");
    assert_eq!((reader.segments(), reader.entries().len()), (6, 6));
    assert_eq!(events_of(&mut reader, 0), recorded.events);
    assert!(verify_content(&mut reader, |_| ()).unwrap() > 40);
    for segment in 0..6 {
        let from = reader.entries()[segment].tally.start;
        let expected: Vec<_> = recorded.events.iter().filter(|e| e.time >= ms(from)).cloned().collect();
        assert_eq!(events_of(&mut reader, segment), expected, "from segment {segment}");
        assert_eq!(reader.segment_at(from), segment);
    }
}

#[test]
fn an_empty_session_is_a_recording_too() {
    let (writer, root, _) = writer();
    let (_, bytes) = writer.finish(ms(5), Extras::default()).map_err(|(e, _)| e).unwrap();
    assert_eq!(judge(&bytes).verdict, Verdict::Intact);
    let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
    reader.unlock(root).unwrap();
    assert_eq!(reader.segments(), 0);
    assert_eq!(verify_content(&mut reader, |_| ()).unwrap(), 0);
}

#[test]
fn the_index_key_opens_the_index_and_nothing_else() {
    let recorded = session(10, 5, true);
    let mut reader = Reader::open(Bytes::new(recorded.bytes)).unwrap();
    reader.unlock_index(recorded.index).unwrap();
    assert_eq!(reader.entries().len(), 2);
    assert!(matches!(Cursor::new(&reader, 0), Err(Error::Locked)));
    assert!(matches!(reader.unlock([0; 32]), Err(Error::WrongKey)));
}

#[test]
fn a_growing_file_is_followed_without_starting_again() {
    let whole = session(30, 7, true);
    let mut reader = Reader::open(Growing { bytes: whole.bytes.clone(), visible: 2000, at: 0 }).unwrap();
    reader.unlock(whole.root).unwrap();
    let mut cursor = Cursor::new(&reader, 0).unwrap();
    let mut seen = Vec::new();
    loop {
        while let Some(event) = cursor.next(&mut reader).unwrap() {
            if !matches!(event.payload, Payload::Anchor(_)) {
                seen.push(event);
            }
        }
        let source = reader.source_mut();
        if source.visible == whole.bytes.len() {
            break;
        }
        source.visible = (source.visible + 97).min(whole.bytes.len());
        reader.refresh().unwrap();
    }
    assert_eq!(seen, whole.events);
    assert!(reader.is_closed());
}

struct Growing {
    bytes: Vec<u8>,
    visible: usize,
    at: usize,
}

impl std::io::Read for Growing {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.at.min(self.visible)..self.visible];
        let n = rest.len().min(to.len());
        to[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

impl std::io::Seek for Growing {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            std::io::SeekFrom::Start(n) => usize::try_from(n).unwrap(),
            std::io::SeekFrom::End(n) => {
                self.visible.checked_add_signed(isize::try_from(n).unwrap()).unwrap()
            }
            std::io::SeekFrom::Current(n) => self.at.checked_add_signed(isize::try_from(n).unwrap()).unwrap(),
        };
        Ok(self.at as u64)
    }
}

/// Whose `left`-th read from now on fails, and no other.
struct Failing {
    bytes: Bytes<Vec<u8>>,
    left: Rc<Cell<usize>>,
}

impl std::io::Read for Failing {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        self.left.set(self.left.get().wrapping_sub(1));
        if self.left.get() == 0 { Err(std::io::Error::other("the disk failed")) } else { self.bytes.read(to) }
    }
}

impl std::io::Seek for Failing {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_read_that_fails_is_an_error_and_no_end_that_is_missing() {
    let recorded = session(10, 5, true);
    let open = |left| {
        Reader::open(Failing { bytes: Bytes::new(recorded.bytes.clone()), left: Rc::new(Cell::new(left)) })
    };
    let reads = usize::MAX - open(0).unwrap().into_inner().left.get() + 1;
    assert!(reads > 10, "{reads}");
    for left in 1..=reads {
        match open(left) {
            Err(Error::Io { .. }) => {}
            Err(error) => panic!("read {left} of {reads}: {error}"),
            Ok(reader) => panic!("read {left} of {reads}: closed: {}", reader.is_closed()),
        }
    }
}

/// A table is longer than a chunk from 20,165 segments on.
#[test]
#[ignore = "takes a minute: cargo test --release --lib a_table_longer_than_a_chunk -- --ignored"]
fn a_table_longer_than_a_chunk_stands_in_pieces() {
    let recorded = session(20_200, 1, true);
    assert_eq!(judge(&recorded.bytes).verdict, Verdict::Intact);
    let mut reader = Reader::open(Bytes::new(recorded.bytes)).unwrap();
    reader.unlock(recorded.root).unwrap();
    assert!(reader.is_closed());
    assert_eq!((reader.segments(), reader.entries().len()), (20_201, 20_201));
}

#[test]
fn a_failed_write_loses_nothing() {
    /// Takes `room` bytes, then says the disk is full.
    struct Full {
        bytes: Vec<u8>,
        room: usize,
    }
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.bytes.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Sink for Full {
        fn sync(&mut self) -> std::io::Result<()> {
            Ok(())
        }
        fn cut(&mut self, _: u64) -> std::io::Result<()> {
            unreachable!("everything is durable at once")
        }
    }
    let keys = SessionKeys::generate().unwrap();
    let root = *keys.root();
    let full = Full { bytes: Vec::new(), room: 3000 };
    let mut writer = Writer::create(full, keys, setup(), |_| Ok("SIG".into())).unwrap();
    writer.begin(anchor(0), None).unwrap();
    let mut failed = false;
    for n in 0..50u64 {
        writer.push(&Event::new(ms(n * 1000), Payload::Output(vec![b'x'; 40]))).unwrap();
        failed |= writer.flush(ms(n * 1000)).is_err();
    }
    assert!(failed && writer.waiting() > 0);
    let (error, mut writer) = match writer.finish(ms(50_000), Extras::default()) {
        Err(failed) => failed,
        Ok(_) => panic!("finished on a full disk"),
    };
    assert!(error.to_string().contains("cannot write the recording"), "{error}");
    writer.sink().room = 1 << 20;
    let (closed, sink) = writer.finish(ms(50_000), Extras::default()).map_err(|(e, _)| e).unwrap();
    assert_eq!(closed.length, sink.bytes.len() as u64);
    assert_eq!(judge(&sink.bytes).verdict, Verdict::Intact);
    let mut reader = Reader::open(Bytes::new(sink.bytes)).unwrap();
    reader.unlock(root).unwrap();
    assert_eq!(events_of(&mut reader, 0).len(), 50);
}

/// By the time of the session, whatever the clock says: a session of two minutes, a line every quarter of a second.
#[test]
fn what_was_captured_has_its_signature_after_ten_seconds_however_rarely_it_is_flushed() {
    for (flush, signed) in [(250, 12), (1000, 12), (3000, 13), (5000, 12), (7000, 17), (10_000, 12)] {
        let (mut writer, ..) = writer();
        let mut oldest = None;
        for at in (250..=120_000).step_by(250) {
            writer.begin(anchor(at), None).unwrap();
            writer.push(&Event::new(ms(at), Payload::Output(b"x".to_vec()))).unwrap();
            let oldest_before = *oldest.get_or_insert(at);
            assert!(
                at - oldest_before <= 10_000,
                "flushed every {flush} ms: unsigned since {oldest_before} at {at}"
            );
            if at % flush == 0 {
                let before = writer.epoch();
                writer.flush(ms(at)).unwrap();
                if writer.epoch() > before {
                    oldest = None;
                }
            }
        }
        assert_eq!(writer.epoch(), signed, "flushed every {flush} ms");
    }
}

#[test]
fn what_is_not_a_recording_is_refused_in_words() {
    for (bytes, expected) in [
        (b"{\"version\":2}\n[0,\"o\",\"x\"]".to_vec(), "not a sealcast recording"),
        (b"".to_vec(), "not a sealcast recording"),
        (b"\x89SC1\r\n".to_vec(), "the file ends at byte 6, inside the prologue"),
        (frame::prologue().to_vec(), "the file ends at byte 16, inside the header"),
        ([&frame::prologue()[..8], &[2, 0, 0, 0, 0, 0, 0, 0], &[0; 50]].concat(), "made by a newer sealcast"),
    ] {
        let error = Reader::open(Bytes::new(bytes)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn commands_that_ran_when_a_segment_ended_are_those_of_the_last_entry() {
    let running = |programs: usize| Command {
        text: "make".into(),
        start: 1,
        execs: vec![
            Exec { path: "/bin/cc".into(), argv: vec!["cc".into()], time: 1, ..Exec::default() };
            programs
        ],
        ..Command::default()
    };
    let (mut writer, root, _) = writer();
    for (n, extras) in [
        Extras { running: vec![running(1)], ..Extras::default() },
        Extras { running: vec![running(2)], ..Extras::default() },
        Extras { given_up: Some(GivenUp::Late), ..Extras::default() },
        Extras { commands: vec![running(3)], ..Extras::default() },
        // As a recorder has written it once: late twice, it told both of what had run and of what had ended since.
        Extras { commands: vec![running(4)], running: vec![running(2)], ..Extras::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let at = u64::try_from(n).unwrap() * 1000;
        writer.begin(anchor(at), None).unwrap();
        writer.end_segment(ms(at + 500), extras).unwrap();
        let mut reader = Reader::open(Bytes::new(writer.sink().clone())).unwrap();
        reader.unlock(root).unwrap();
        let told: Vec<usize> = commands(reader.entries()).iter().map(|command| command.execs.len()).collect();
        // What was late is told with the next one.
        let expected = [vec![1], vec![2], vec![2], vec![3], vec![3, 4]];
        assert_eq!(told, expected[n], "{n}");
        verify_content(&mut reader, |_| ()).unwrap();
    }
}
