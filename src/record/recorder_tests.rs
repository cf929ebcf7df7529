use super::super::queue::{Feed, Word, bounded};
use super::*;
use crate::cast::{Command, Exec, Header as CastHeader};
use crate::container::verify::{Origin, Verdict, verify};
use crate::container::{
    Cursor, Header, Meta, Reader, SessionKeys, Setup, Sink, Slot, SlotKind, verify_content,
};
use crate::sys;
use crate::sys::dice::Dice;
use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[path = "recorder_disk_tests.rs"]
mod disks;
#[path = "recorder_index_tests.rs"]
mod index;

/// A disk of which the test holds the other end.
#[derive(Clone, Default)]
struct Tape {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicU64>,
    reserve: Arc<AtomicU64>,
    /// It cannot make anything durable.
    sick: Arc<AtomicBool>,
    durable: Arc<AtomicUsize>,
    /// Room that recorders hold who are dead.
    dead: Arc<AtomicU64>,
    /// How often it was looked for.
    searched: Arc<AtomicU64>,
    read_only: Arc<AtomicBool>,
    /// Somebody else has written to it.
    touched: Arc<AtomicBool>,
}

impl Tape {
    fn with_room(room: u64) -> Self {
        let tape = Self::default();
        tape.room.store(room, Ordering::SeqCst);
        tape
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::SeqCst).saturating_sub(self.reserve.load(Ordering::SeqCst));
        let n = usize::try_from(room).unwrap().min(bytes.len());
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.fetch_sub(n as u64, Ordering::SeqCst);
        self.bytes.lock().unwrap().extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Tape {
    fn sync(&mut self) -> io::Result<()> {
        if self.sick.load(Ordering::SeqCst) {
            // As a kernel does: what it could not write it drops, and the next time it has nothing to complain of.
            let durable = self.durable.load(Ordering::SeqCst);
            self.bytes.lock().unwrap()[durable..].fill(0);
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.durable.store(self.bytes().len(), Ordering::SeqCst);
        Ok(())
    }

    fn kept(&mut self) -> io::Result<()> {
        match self.touched.load(Ordering::SeqCst) {
            true => Err(io::Error::other("somebody else wrote to its file")),
            false => Ok(()),
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        // What was written since the last look is doubted where somebody else was there.
        let looked_at = !self.touched.swap(false, Ordering::SeqCst);
        let durable = self.durable.fetch_min(length, Ordering::SeqCst);
        assert!(length >= durable || !looked_at, "what is durable stays");
        self.bytes.lock().unwrap().truncate(length);
        Ok(())
    }

    fn has_room(&mut self, bytes: u64) -> bool {
        self.room.load(Ordering::SeqCst) >= bytes
    }
}

impl Disk for Tape {
    fn reserve(&self, bytes: u64) -> Result<bool, sys::Error> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(sys::Error::new("reserve space", "", io::Error::from_raw_os_error(libc::EROFS)));
        }
        if self.room.load(Ordering::SeqCst) < bytes {
            return Err(sys::Error::new("reserve space", "", io::ErrorKind::StorageFull.into()));
        }
        self.reserve.store(bytes, Ordering::SeqCst);
        Ok(true)
    }

    fn release_reserve(&self) -> Result<(), sys::Error> {
        self.reserve.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn give_back(&self) {
        self.searched.fetch_add(1, Ordering::SeqCst);
        self.room.fetch_add(self.dead.swap(0, Ordering::SeqCst), Ordering::SeqCst);
    }

    fn free_space(&self) -> Result<u64, sys::Error> {
        Ok(self.room.load(Ordering::SeqCst))
    }
}

fn writer(tape: &Tape) -> (Writer<Tape>, [u8; 32]) {
    let keys = SessionKeys::generate().unwrap();
    let root = *keys.root();
    let setup = Setup {
        header: Header::default(),
        meta: Meta::default(),
        cast: CastHeader::new(80, 24),
        slots: vec![Slot { kind: SlotKind::Root, age: Vec::new() }],
        ledger: String::new(),
    };
    (Writer::create(tape.clone(), keys, setup, |_| Ok("SIG".into())).unwrap(), root)
}

fn events(tape: &Tape, root: [u8; 32]) -> Vec<Payload> {
    let report = verify(io::Cursor::new(tape.bytes()), |_| Origin::Trusted(String::new()), |_| ()).unwrap();
    assert_eq!(report.verdict, Verdict::Intact);
    let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
    reader.unlock(root).unwrap();
    verify_content(&mut reader, |_| ()).unwrap();
    let mut cursor = Cursor::new(&reader, 0).unwrap();
    let mut all = Vec::new();
    while let Some(event) = cursor.next(&mut reader).unwrap() {
        if !matches!(event.payload, Payload::Anchor(_)) {
            all.push(event.payload);
        }
    }
    all
}

/// A clock that moves on by 100 ms at every look.
fn clock() -> impl Fn() -> Anchor {
    let at = Cell::new(0);
    move || {
        at.set(at.get() + 100);
        Anchor { at: at.get(), utc: 1_000_000 + i64::try_from(at.get()).unwrap(), boot: at.get() }
    }
}

fn output(ms: u64, size: usize) -> Event {
    // Text that does not compress to nothing.
    let mut dice = Dice(ms);
    let text: String = (0..size).map(|_| char::from(b'!' + dice.below(90))).collect();
    Event::new(Duration::from_millis(ms), Payload::Output(text.into_bytes()))
}

const POLICY: Policy = Policy {
    on_failure: OnFailure::Stop,
    flush: crate::container::limits::FLUSH_EVERY,
    reserve: 100_000,
    low_space: 0,
    heartbeat: None,
};

fn feed_all(feed: Feed, events: Vec<Event>) {
    for event in events {
        feed.send(vec![event]).unwrap();
    }
}

#[test]
fn what_goes_in_comes_out_and_the_exit_is_last() {
    let tape = Tape::with_room(1 << 30);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(64 << 20).unwrap();
    let sent: Vec<Event> = (0..200).map(|n| output(n * 50, 9000)).collect();
    let mut all = sent.clone();
    all.push(Event::new(Duration::from_secs(20), Payload::Exit(3)));
    feed_all(feed, all.clone());
    let recorded = record(&intake, writer, &mut NoIndex, POLICY, &clock());
    assert_eq!((recorded.lost, recorded.failure), (0, None));
    assert!(recorded.closed.unwrap().segments >= 2, "a megabyte ends a segment");
    let expected: Vec<Payload> = all.into_iter().map(|e| e.payload).collect();
    assert_eq!(events(&tape, root), expected);
}

/// With words for the index, of which the recording keeps nothing; they are never older than a beat.
#[test]
fn a_silent_session_has_a_heartbeat() {
    let tape = Tape::with_room(1 << 20);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(1 << 20).unwrap();
    let policy = Policy { heartbeat: Some(Duration::from_secs(10)), ..POLICY };
    let looks = Cell::new(0u64);
    let mut feed = Some(feed);
    let feed_cell = std::cell::RefCell::new(&mut feed);
    let clock = || {
        looks.set(looks.get() + 1);
        if looks.get() == 30 {
            feed_cell.borrow_mut().take();
        }
        let at = looks.get() * 2000;
        if let Some(feed) = feed_cell.borrow().as_ref().filter(|_| looks.get().is_multiple_of(4)) {
            let entered = Event::new(Duration::from_millis(at + 10_000), Said::Entered.payload());
            feed.send(vec![entered]).unwrap();
        }
        Anchor { at, utc: 5 + i64::try_from(at).unwrap(), boot: 9 }
    };
    record(&intake, writer, &mut NoIndex, policy, &clock);
    let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
    reader.unlock(root).unwrap();
    let mut cursor = Cursor::new(&reader, 0).unwrap();
    let mut beats = 0;
    while let Some(event) = cursor.next(&mut reader).unwrap() {
        beats += u32::from(matches!(event.payload, Payload::Anchor(_)));
    }
    assert!((4..=20).contains(&beats), "{beats} beats in a minute or two");
}

#[test]
fn a_heartbeat_comes_when_it_is_due_and_not_when_something_is_written() {
    for (heartbeat, flush) in [(2000, 10_000), (1000, 1000)] {
        let tape = Tape::with_room(1 << 20);
        let (writer, root) = writer(&tape);
        let (feed, intake) = bounded(64 << 20).unwrap();
        let duration = Duration::from_millis;
        let policy = Policy { heartbeat: Some(duration(heartbeat)), flush: duration(flush), ..POLICY };
        let (at, feed) = (Cell::new(0u64), std::cell::RefCell::new(Some(feed)));
        let clock = || {
            at.set(at.get() + 10);
            if at.get() >= 60_000 {
                feed.borrow_mut().take();
            }
            // Words for the index alone: nothing happens, and nothing is waited for.
            if let Some(feed) = feed.borrow().as_ref() {
                feed.send(vec![Event::new(duration(at.get()), Said::Entered.payload())]).unwrap();
            }
            Anchor { at: at.get(), utc: i64::try_from(at.get()).unwrap(), boot: at.get() }
        };
        record(&intake, writer, &mut NoIndex, policy, &clock);
        let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
        reader.unlock(root).unwrap();
        let mut cursor = Cursor::new(&reader, 0).unwrap();
        let mut beats = Vec::new();
        while let Some(event) = cursor.next(&mut reader).unwrap() {
            if let Payload::Anchor(anchor) = event.payload {
                beats.push(anchor.at);
            }
        }
        let between: Vec<u64> = beats.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(between.len() as u64 >= 50_000 / heartbeat, "{between:?}");
        assert!(between.iter().all(|ms| (heartbeat..heartbeat + 400).contains(ms)), "{between:?}");
    }
}

#[test]
fn a_recorder_that_was_stopped_says_so() {
    let tape = Tape::with_room(1 << 20);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(1 << 20).unwrap();
    let looks = Cell::new(0u64);
    let feed = std::cell::RefCell::new(Some(feed));
    let clock = || {
        looks.set(looks.get() + 1);
        if looks.get() == 40 {
            feed.borrow_mut().take();
        }
        // Nothing for fourteen seconds, once; a night's sleep, once.
        let at = looks.get() * 500 + if looks.get() > 12 { 14_000 } else { 0 };
        let slept = if looks.get() > 24 { 30_000_000 } else { 0 };
        Anchor { at, utc: i64::try_from(at + slept).unwrap(), boot: at + slept }
    };
    record(&intake, writer, &mut NoIndex, POLICY, &clock);
    let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
    reader.unlock(root).unwrap();
    let mut told = Vec::new();
    for segment in 0..reader.segments() {
        let mut cursor = Cursor::new(&reader, segment).unwrap();
        while let Some(event) = cursor.next(&mut reader).unwrap() {
            if let Payload::Gap(gap) = event.payload {
                told.push(gap.why);
            }
        }
    }
    told.dedup();
    assert_eq!(told, ["paused", "slept"]);
}

/// A clock that goes by the events that come: a marker sets its wall clock ahead, by so many milliseconds.
#[derive(Default)]
struct Timed {
    at: AtomicU64,
    ahead: AtomicI64,
}

impl Timed {
    fn look(&self) -> Anchor {
        let at = self.at.load(Ordering::SeqCst);
        let utc = i64::try_from(at).unwrap() + self.ahead.load(Ordering::SeqCst);
        Anchor { at, utc, boot: at }
    }
}

impl Indexer for &Timed {
    fn event(&mut self, event: Event) {
        // Each comes a second after the one before.
        self.at.store(u64::try_from(event.time.as_millis()).unwrap() + 1000, Ordering::SeqCst);
        if let Payload::Marker(text) = &event.payload {
            self.ahead.fetch_add(text.parse().unwrap(), Ordering::SeqCst);
        }
    }

    fn end_segment(&mut self) -> Extras {
        Extras::default()
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

/// Starts and wall clocks of the segments of a session with these markers among its events, one event a second.
fn segments(markers: &[(u64, &str)], count: u64) -> Vec<(u64, i64)> {
    let tape = Tape::with_room(1 << 30);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(64 << 20).unwrap();
    let event = |n: u64| match markers.iter().find(|(at, _)| *at == n) {
        Some((_, text)) => Event::new(Duration::from_secs(n), Payload::Marker((*text).to_owned())),
        None => output(n * 1000, 100),
    };
    feed_all(feed, (0..count).map(event).collect());
    let clock = Timed { ahead: AtomicI64::new(1_000_000), ..Timed::default() };
    record(&intake, writer, &mut &clock, POLICY, &|| clock.look());
    // What is told of the clock itself comes beside them.
    let of_session = events(&tape, root).into_iter().filter(|payload| !matches!(payload, Payload::Gap(_)));
    assert_eq!(of_session.count(), usize::try_from(count).unwrap());
    let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
    reader.unlock(root).unwrap();
    reader.entries().iter().map(|entry| (entry.tally.start, entry.tally.utc)).collect()
}

#[test]
fn a_segment_ends_where_the_host_slept_or_its_clock_was_set() {
    let hours = 8 * 3_600_000;
    let markers = [(3, "28800000"), (6, "-5000"), (8, "900"), (10, "400")];
    let expected = [
        (0, 1_000_000),
        (4000, 1_004_000 + hours),
        (7000, 1_002_000 + hours),
        // A little is not followed until it has become much.
        (11_000, 1_007_300 + hours),
    ];
    assert_eq!(segments(&markers, 15), expected);
}

#[test]
fn who_sets_the_clock_without_end_makes_no_segment_for_each_time() {
    let markers: Vec<(u64, &str)> = (0..1500).map(|n| (2 * n + 1, "7200000")).collect();
    let found = segments(&markers, 3000);
    let (often, rarely) = (MOVES as usize, 3000 - 2 * MOVES as usize);
    let seconds = usize::try_from(RARELY.as_secs()).unwrap();
    assert!((often..=often + 1 + rarely / seconds).contains(&found.len()), "{} segments", found.len());
    assert!(found.last().unwrap().0 > 2_900_000, "{:?}", found.last());
}
