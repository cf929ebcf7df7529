//! What the recorder asks of its index, and does where that has something to say: it ends the session or the segment.

use super::*;

/// After some events a witness is lost without which there is to be no session.
struct Losing(u32);

impl Indexer for Losing {
    fn event(&mut self, _: Event) {
        self.0 = self.0.saturating_sub(1);
    }

    fn must_end(&mut self) -> Option<String> {
        (self.0 == 0).then(|| "nobody watches".to_owned())
    }

    fn end_segment(&mut self) -> Extras {
        Extras::default()
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn a_session_that_may_not_go_on_is_stopped_and_recorded_to_its_end() {
    for on_failure in [OnFailure::Stop, OnFailure::Warn] {
        let tape = Tape::with_room(1 << 30);
        let (writer, root) = writer(&tape);
        let (feed, intake) = bounded(64 << 20).unwrap();
        let sent: Vec<Event> = (0..50).map(|n| output(n * 100, 10)).collect();
        for event in sent {
            feed.send(vec![event]).unwrap();
        }
        feed.send(vec![Event::new(Duration::from_secs(6), Payload::Exit(129))]).unwrap();
        let recorded = std::thread::scope(|scope| {
            let policy = Policy { on_failure, ..POLICY };
            let recorder = scope.spawn(move || record(&intake, writer, &mut Losing(5), policy, &clock()));
            let words = |feed: &Feed| {
                let mut set = crate::sys::poll::Set::default();
                set.add(feed.bell(), true, false);
                set.wait(Some(crate::sys::DEADLINE)).unwrap();
                feed.bell().silence();
                feed.words()
            };
            assert_eq!(words(&feed), [Word::Stop("nobody watches".into())]);
            drop(feed);
            recorder.join().unwrap()
        });
        assert_eq!((recorded.lost, recorded.failure.as_deref()), (0, Some("nobody watches")));
        let all = events(&tape, root);
        assert_eq!(all.iter().filter(|p| matches!(p, Payload::Output(_))).count(), 50);
        let gaps: Vec<_> =
            all.iter().filter_map(|p| if let Payload::Gap(gap) = p { Some(gap) } else { None }).collect();
        assert_eq!(
            gaps.iter().map(|gap| (gap.why.as_str(), gap.note.as_str())).collect::<Vec<_>>(),
            [("stopped", "nobody watches")]
        );
    }
}

/// Runs a program every twenty seconds, of which nobody tells but the kernel.
struct Silent<'a> {
    at: &'a AtomicU64,
    told: u64,
}

impl Silent<'_> {
    const EVERY: u64 = 20_000;

    fn latest(&self) -> u64 {
        self.at.load(Ordering::SeqCst) / Self::EVERY
    }
}

impl Indexer for Silent<'_> {
    fn event(&mut self, _: Event) {}

    fn holds(&mut self) -> Option<Duration> {
        let latest = self.latest();
        (latest > self.told).then(|| Duration::from_millis(latest * Self::EVERY))
    }

    fn end_segment(&mut self) -> Extras {
        let latest = self.latest();
        let execs = (self.told + 1..=latest).map(|n| Exec { time: n * Self::EVERY, ..Exec::default() });
        let extras = Extras { execs: execs.collect(), ..Extras::default() };
        self.told = latest;
        extras
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

/// A session of which the recorder is killed after so many seconds: what is left. With these events every so many seconds.
fn killed(
    after: u64,
    at: &AtomicU64,
    indexer: &mut dyn Indexer,
    every: u64,
    events: impl Fn(u64) -> Vec<Event>,
) -> Reader<io::Cursor<Vec<u8>>> {
    let tape = Tape::with_room(1 << 30);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(1 << 20).unwrap();
    let told = Cell::new(0);
    let (feed, killed) = (std::cell::RefCell::new(Some(feed)), std::cell::RefCell::new(Vec::new()));
    let clock = || {
        let now = at.fetch_add(100, Ordering::SeqCst) + 100;
        if let Some(feed) = feed.borrow().as_ref()
            && now >= told.get() + every * 1000
        {
            told.set(now);
            feed.send(events(now)).unwrap();
        }
        if now == after * 1000 {
            *killed.borrow_mut() = tape.bytes();
            feed.borrow_mut().take();
        }
        Anchor { at: now, utc: i64::try_from(now).unwrap(), boot: now }
    };
    // Each look at the clock is a flush: nothing is waited for.
    let policy = Policy { flush: Duration::from_millis(100), ..POLICY };
    record(&intake, writer, indexer, policy, &clock);
    let mut reader = Reader::open(io::Cursor::new(killed.into_inner())).unwrap();
    reader.unlock(root).unwrap();
    assert!(!reader.is_complete());
    reader
}

/// The same of silent programs, in the sixteenth minute: how many segments it has, and when the latest program began that is in the
/// index, seconds.
fn silent(every: u64, events: impl Fn(u64) -> Vec<Event>) -> (usize, u64) {
    let at = AtomicU64::new(0);
    let reader = killed(960, &at, &mut Silent { at: &at, told: 0 }, every, events);
    let latest = reader.entries().iter().flat_map(|entry| &entry.execs).map(|exec| exec.time / 1000).max();
    (reader.entries().len(), latest.unwrap_or(0))
}

#[test]
fn of_what_runs_in_silence_a_kill_takes_a_minute_and_little_more() {
    let (segments, latest) = silent(1, |_| Vec::new());
    assert!(latest >= 960 - 60 - 2 * 20, "{latest} of 960 s, {segments} segments");
    assert!(segments <= 960 / 60, "{segments}");
}

#[test]
fn of_what_runs_while_something_is_shown_a_kill_takes_ten_minutes_and_no_segment_is_made_for_it() {
    let (segments, latest) = silent(1, |now| vec![output(now, 10)]);
    assert!(segments <= 2 && latest >= 960 - 600 - 2 * 20, "{latest} of 960 s, {segments} segments");
}

/// Somebody types at a terminal that shows nothing of it.
#[test]
fn that_something_was_typed_unseen_does_not_make_what_runs_then_seen() {
    let typed = |now| {
        let at = Duration::from_millis(now);
        let hidden = Said::Hidden { at: now, line: true };
        [Said::Entered.payload(), hidden.payload(), Payload::Withheld(1)]
            .map(|payload| Event::new(at, payload))
            .to_vec()
    };
    let (segments, latest) = silent(1, typed);
    assert!(latest >= 960 - 60 - 2 * 20 && segments <= 960 / 60, "{latest} of 960 s, {segments} segments");
}

/// Counts the seconds in which nobody looks at it.
struct Looked<'a> {
    at: &'a AtomicU64,
    last: u64,
    longest: u64,
}

impl Indexer for Looked<'_> {
    fn tick(&mut self) -> bool {
        let now = self.at.load(Ordering::SeqCst);
        self.longest = self.longest.max(now - std::mem::replace(&mut self.last, now));
        false
    }

    fn event(&mut self, _: Event) {}

    fn end_segment(&mut self) -> Extras {
        Extras::default()
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

/// It tells whether the kernel's word of programs is still heard.
#[test]
fn the_indexer_is_looked_after_in_every_second_however_seldom_is_flushed() {
    let tape = Tape::with_room(1 << 30);
    let (writer, _) = writer(&tape);
    let (feed, intake) = bounded(1 << 20).unwrap();
    // While there is something to take, nothing is waited for.
    feed_all(feed, (0..300).map(|n| output(n * 100, 10)).collect());
    let at = AtomicU64::new(0);
    let clock = || {
        let now = at.fetch_add(100, Ordering::SeqCst) + 100;
        Anchor { at: now, utc: i64::try_from(now).unwrap(), boot: now }
    };
    let mut indexer = Looked { at: &at, last: 0, longest: 0 };
    record(&intake, writer, &mut indexer, Policy { flush: Duration::from_secs(10), ..POLICY }, &clock);
    assert!(indexer.last > 30_000 && indexer.longest < 2_000, "{} ms of {}", indexer.longest, indexer.last);
}

/// From the twentieth second on it has something to tell that cannot wait.
struct Pressed<'a> {
    at: &'a AtomicU64,
    is_told: bool,
}

impl Indexer for Pressed<'_> {
    fn event(&mut self, _: Event) {}

    fn is_pressed(&mut self) -> bool {
        !self.is_told && self.at.load(Ordering::SeqCst) >= 20_000
    }

    fn end_segment(&mut self) -> Extras {
        let is_told = std::mem::replace(&mut self.is_told, true);
        let note = (!is_told).then(|| Command { start: 20_000, ..Command::default() });
        Extras { commands: note.into_iter().collect(), ..Extras::default() }
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn what_cannot_wait_is_in_the_index_at_the_next_flush_whether_anything_is_shown_or_not() {
    for shows in [false, true] {
        let at = AtomicU64::new(0);
        let events = |now| if shows { vec![output(now, 10)] } else { Vec::new() };
        let reader = killed(30, &at, &mut Pressed { at: &at, is_told: false }, 1, events);
        let told: Vec<u64> =
            reader.entries().iter().flat_map(|entry| &entry.commands).map(|note| note.start).collect();
        assert_eq!((told, reader.entries().len()), (vec![20_000], 1), "{shows}");
    }
}
