//! What becomes of a recording when its disk runs full, or takes what it cannot keep.

use super::super::super::disk::hold_reserve;
use super::*;

#[test]
fn a_disk_that_fills_up_stops_the_session_and_loses_nothing_of_it() {
    let tape = Tape::with_room(340_000);
    let (writer, root) = writer(&tape);
    let held = hold_reserve(&tape, POLICY.reserve).unwrap();
    let (feed, intake) = bounded(64 << 20).unwrap();
    feed_all(
        feed,
        (0..40)
            .map(|n| output(n * 400, 9000))
            .chain([Event::new(Duration::from_secs(17), Payload::Exit(129))])
            .collect(),
    );
    let recorded = record(&intake, writer, &mut NoIndex, Policy { reserve: held, ..POLICY }, &clock());
    let failure = recorded.failure.unwrap();
    assert!(failure.contains("disk is full") || failure.contains("cannot write the recording"), "{failure}");
    assert_eq!(recorded.lost, 0, "the reserve paid for the rest");
    let all = events(&tape, root);
    assert_eq!(all.iter().filter(|p| matches!(p, Payload::Output(_))).count(), 40);
    assert!(all.iter().any(|p| matches!(p, Payload::Gap(gap) if gap.why == "stopped")));
}

#[test]
fn with_warn_the_gap_is_counted_to_the_byte_and_recording_goes_on() {
    let tape = Tape::with_room(60_000);
    let (writer, root) = writer(&tape);
    let policy = Policy { on_failure: OnFailure::Warn, reserve: 0, ..POLICY };
    let (feed, intake) = bounded(64 << 20).unwrap();
    let clock = clock();
    let room = Arc::clone(&tape.room);
    let looks = Cell::new(0);
    let looked = || {
        looks.set(looks.get() + 1);
        // Somebody makes room after a while.
        if looks.get() == 250 {
            room.store(1 << 20, Ordering::SeqCst);
        }
        clock()
    };
    // What is for the index alone is never recorded, so it is not missing either.
    let entered = |n| Event::new(Duration::from_millis(n * 100), Said::Entered.payload());
    feed_all(
        feed,
        (0..200)
            .flat_map(|n| [output(n * 100, 3000), entered(n)])
            .chain([Event::new(Duration::from_secs(25), Payload::Exit(0))])
            .collect(),
    );
    let recorded = record(&intake, writer, &mut NoIndex, policy, &looked);
    assert!(recorded.lost > 0);
    let all = events(&tape, root);
    let kept: u64 = all.iter().map(|p| if let Payload::Output(b) = p { b.len() as u64 } else { 0 }).sum();
    let gaps: u64 = all.iter().map(|p| if let Payload::Gap(g) = p { g.count } else { 0 }).sum();
    assert_eq!(kept + gaps, 200 * 3000, "every byte is recorded or counted");
    assert_eq!(gaps, recorded.lost);
    assert_eq!(all.last(), Some(&Payload::Exit(0)));
}

#[test]
fn what_was_lost_is_told_with_its_own_cause_and_not_with_an_earlier_failure_that_was_mended() {
    let tape = Tape::with_room(1 << 20);
    let (writer, root) = writer(&tape);
    let policy = Policy { on_failure: OnFailure::Warn, reserve: 0, ..POLICY };
    let (feed, intake) = bounded(64 << 20).unwrap();
    let feed = std::cell::RefCell::new(Some(feed));
    let (clock, looks) = (clock(), Cell::new(0));
    let looked = || {
        looks.set(looks.get() + 1);
        let now: u64 = looks.get();
        let send = |n| feed.borrow().as_ref().unwrap().send(vec![output(now * 100, n)]).unwrap();
        match now {
            2 => tape.touched.store(true, Ordering::SeqCst),
            60 => {
                tape.room.store(0, Ordering::SeqCst);
                send(9000);
            }
            // The disk is full by then.
            120 => send(9000),
            180 => tape.room.store(1 << 20, Ordering::SeqCst),
            240 => drop(feed.borrow_mut().take()),
            n if n < 50 => send(100),
            _ => {}
        }
        clock()
    };
    let recorded = record(&intake, writer, &mut NoIndex, policy, &looked);
    let gaps = gaps(&events(&tape, root));
    let causes: Vec<_> = gaps.iter().map(|gap| (gap.why.as_str(), gap.count)).collect();
    assert_eq!(causes, [("touched", 0), ("write-failed", recorded.lost)], "{gaps:?}");
    assert!(recorded.lost > 0 && gaps[1].note.contains("disk is full"), "{gaps:?}");
    assert!(recorded.failure.as_ref().unwrap().contains("disk is full"), "{:?}", recorded.failure);
}

/// A session of `count` outputs of 100 bytes, recorded to a disk that is sick from the look at the clock `sick` until the one `well`:
/// what was said to the operator, how it was recorded, and what of it.
fn on_a_sick_disk(count: u64, sick: u64, well: u64) -> (Vec<Word>, Recorded, Vec<Payload>) {
    let tape = Tape::with_room(1 << 30);
    let (writer, root) = writer(&tape);
    let policy = Policy { on_failure: OnFailure::Warn, flush: Duration::from_millis(200), ..POLICY };
    let (feed, intake) = bounded(64 << 20).unwrap();
    let feed = std::cell::RefCell::new(Some(feed));
    let (clock, looks, words) = (clock(), Cell::new(0), std::cell::RefCell::new(Vec::new()));
    let looked = || {
        looks.set(looks.get() + 1);
        let mut feed = feed.borrow_mut();
        if let Some(feed) = &*feed {
            words.borrow_mut().extend(feed.words());
            if looks.get() <= count {
                feed.send(vec![output(looks.get() * 100, 100)]).unwrap();
            }
        }
        if looks.get() == sick {
            tape.sick.store(true, Ordering::SeqCst);
        }
        if looks.get() == well {
            tape.sick.store(false, Ordering::SeqCst);
        }
        if looks.get() == well.max(count) + 50 {
            assert_eq!(tape.durable.load(Ordering::SeqCst), tape.bytes().len(), "it was not asked again");
            feed.take();
        }
        clock()
    };
    let recorded = record(&intake, writer, &mut NoIndex, policy, &looked);
    let words = words.take();
    (words, recorded, events(&tape, root))
}

#[test]
fn what_a_disk_could_not_make_durable_is_written_again_and_what_came_meanwhile_is_counted() {
    let (words, recorded, events) = on_a_sick_disk(150, 40, 90);
    let [Word::Tell(told), Word::Tell(again)] = &words[..] else { panic!("{words:?}") };
    assert!(told.contains("NOT BEING RECORDED: cannot make the recording durable"), "{told}");
    assert!(!told.contains("space") && again.contains("recording again"), "{told} {again}");
    assert!(recorded.closed.is_some() && recorded.failure.unwrap().contains("durable"));
    let kept: u64 = events.iter().map(|p| if let Payload::Output(b) = p { b.len() as u64 } else { 0 }).sum();
    let gaps = gaps(&events);
    assert!(recorded.lost > 0 && kept + recorded.lost == 15_000, "{kept} {gaps:?}");
    let [gap] = &gaps[..] else { panic!("{gaps:?}") };
    assert_eq!((gap.why.as_str(), gap.count), ("write-failed", recorded.lost));
    // It stands where it ended: from where on nothing could be stored it must say. (50 looks, of 100 ms each and more in between.)
    let seconds =
        gap.note.strip_prefix("nothing could be stored for ").and_then(|rest| rest.split_once(" s: "));
    let Some((seconds, why)) = seconds else { panic!("{}", gap.note) };
    assert!((4..=10).contains(&seconds.parse::<u64>().unwrap()) && why.contains("durable"), "{}", gap.note);
}

fn gaps(events: &[Payload]) -> Vec<Gap> {
    events.iter().filter_map(|p| if let Payload::Gap(gap) = p { Some(gap.clone()) } else { None }).collect()
}

#[test]
fn what_somebody_else_wrote_into_the_file_is_told_in_it_however_soon_the_session_ends() {
    for on_failure in [OnFailure::Stop, OnFailure::Warn] {
        for looks in [2, 50] {
            let tape = Tape::with_room(1 << 30);
            let (writer, root) = writer(&tape);
            let (feed, intake) = bounded(1 << 20).unwrap();
            feed.send(vec![output(0, 100)]).unwrap();
            let feed = Cell::new(Some(feed));
            let (clock, seen) = (clock(), Cell::new(0));
            let looked = || {
                seen.set(seen.get() + 1);
                if seen.get() == 2 {
                    tape.touched.store(true, Ordering::SeqCst);
                }
                if seen.get() == looks {
                    feed.take();
                }
                clock()
            };
            let recorded = record(&intake, writer, &mut NoIndex, Policy { on_failure, ..POLICY }, &looked);
            let gaps = gaps(&events(&tape, root));
            let touched: Vec<&Gap> = gaps.iter().filter(|gap| gap.why == "touched").collect();
            let [gap] = touched[..] else { panic!("{on_failure} {looks}: {gaps:?}") };
            assert_eq!((gap.count, gap.note.as_str()), (0, "somebody else wrote to its file"));
            assert!(recorded.failure.unwrap().contains("somebody else"), "{on_failure} {looks}");
            assert_eq!(recorded.lost, 0);
        }
    }
}

/// Nothing new comes: not even a signature is due.
#[test]
fn a_disk_that_could_not_make_something_durable_is_asked_again() {
    let (words, recorded, events) = on_a_sick_disk(10, 1, 50);
    let [Word::Tell(told), Word::Tell(_)] = &words[..] else { panic!("{words:?}") };
    assert!(told.contains("cannot make the recording durable") && !told.contains("space"), "{told}");
    assert!(recorded.closed.is_some());
    assert!(!events.is_empty());
}

#[test]
fn room_that_dead_recorders_hold_is_taken_before_a_disk_counts_as_full() {
    for (on_failure, reserve) in [(OnFailure::Stop, POLICY.reserve), (OnFailure::Warn, 0)] {
        let tape = Tape::with_room(200_000);
        tape.dead.store(1 << 20, Ordering::SeqCst);
        let (writer, root) = writer(&tape);
        let reserve = if reserve > 0 { hold_reserve(&tape, reserve).unwrap() } else { 0 };
        let (feed, intake) = bounded(64 << 20).unwrap();
        feed_all(feed, (0..40).map(|n| output(n * 400, 9000)).collect());
        let policy = Policy { on_failure, reserve, ..POLICY };
        let recorded = record(&intake, writer, &mut NoIndex, policy, &clock());
        assert_eq!((recorded.lost, recorded.failure), (0, None), "{on_failure}");
        assert_eq!(events(&tape, root).len(), 40);
    }
}

/// A session of one output, and what was said to the operator of a disk with which this is done at each look at the clock.
fn quiet_on(tape: &Tape, policy: Policy, done: impl Fn(u64)) -> (Vec<Word>, Recorded) {
    let (writer, _) = writer(tape);
    let (feed, intake) = bounded(1 << 20).unwrap();
    feed.send(vec![output(0, 100)]).unwrap();
    let feed = std::cell::RefCell::new(Some(feed));
    let (clock, looks, words) = (clock(), Cell::new(0), std::cell::RefCell::new(Vec::new()));
    let looked = || {
        looks.set(looks.get() + 1);
        words.borrow_mut().extend(feed.borrow().iter().flat_map(Feed::words));
        done(looks.get());
        if looks.get() == 90 {
            feed.borrow_mut().take();
        }
        clock()
    };
    let recorded = record(&intake, writer, &mut NoIndex, policy, &looked);
    (words.take(), recorded)
}

#[test]
fn room_that_dead_recorders_hold_is_taken_where_others_have_used_up_what_is_held_anew() {
    let tape = Tape::with_room(1 << 20);
    let (words, recorded) = quiet_on(&tape, POLICY, |look| {
        if look == 30 {
            tape.room.store(POLICY.reserve / 2, Ordering::SeqCst);
            tape.dead.store(1 << 20, Ordering::SeqCst);
        }
    });
    assert_eq!((words, recorded.failure), (vec![], None));
    assert_eq!(tape.dead.load(Ordering::SeqCst), 0);
}

#[test]
fn what_lasts_is_told_to_the_operator_once() {
    let tape = Tape::with_room(1 << 20);
    let low = Policy { low_space: 1 << 30, ..POLICY };
    let (words, _) = quiet_on(&tape, low, |_| ());
    assert_eq!(words, [Word::Tell("space for recordings is running out on this host".to_owned())]);
    // Somebody writes to the file again and again.
    let warn = Policy { on_failure: OnFailure::Warn, ..POLICY };
    let (words, _) = quiet_on(&tape, warn, |look| tape.touched.store(look > 1, Ordering::SeqCst));
    let [Word::Tell(told)] = &words[..] else { panic!("{words:?}") };
    assert!(told.starts_with("the recording may be lost: "), "{told}");
}

/// It takes its time: every recording is looked at.
#[test]
fn on_a_disk_that_is_full_all_the_time_the_room_of_the_dead_is_looked_for_rarely() {
    let tape = Tape::with_room(60_000);
    let (writer, _) = writer(&tape);
    let flush = Duration::from_millis(200);
    let policy = Policy { on_failure: OnFailure::Warn, reserve: 0, flush, ..POLICY };
    let (feed, intake) = bounded(64 << 20).unwrap();
    let feed = std::cell::RefCell::new(Some(feed));
    let (clock, looks) = (clock(), Cell::new(0));
    let looked = || {
        looks.set(looks.get() + 1);
        // Somebody dies before each look, who held room for a little.
        tape.dead.store(9_000, Ordering::SeqCst);
        let mut feed = feed.borrow_mut();
        if let Some(feed) = &*feed {
            feed.words();
            feed.send(vec![output(looks.get() * 100, 9000)]).unwrap();
        }
        if looks.get() == 300 {
            feed.take();
        }
        clock()
    };
    record(&intake, writer, &mut NoIndex, policy, &looked);
    let (searched, tens) = (tape.searched.load(Ordering::SeqCst), looks.get() / 100);
    assert!((2..=tens + 1).contains(&searched), "{searched} times in {tens}0 seconds");
}

/// Knows of more programs than there is room for.
struct Told;

impl Indexer for Told {
    fn event(&mut self, _: Event) {}

    fn end_segment(&mut self) -> Extras {
        let argv = |n| match output(n, 1000).payload {
            Payload::Output(text) => vec![String::from_utf8(text).unwrap()],
            _ => Vec::new(),
        };
        let execs = (0..400).map(|n| Exec { argv: argv(n), ..Exec::default() }).collect();
        Extras { execs, filter: vec![1; 1000], ..Extras::default() }
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

#[test]
fn an_index_for_which_there_is_no_room_is_counted_and_does_not_cost_the_end() {
    for (room, programs) in [(150_000, 0), (1 << 20, 400)] {
        let tape = Tape::with_room(room);
        let (writer, root) = writer(&tape);
        let (feed, intake) = bounded(64 << 20).unwrap();
        feed_all(feed, (0..10).map(|n| output(n * 400, 3000)).collect());
        let policy = Policy { on_failure: OnFailure::Warn, reserve: 0, ..POLICY };
        let recorded = record(&intake, writer, &mut Told, policy, &clock());
        assert!(recorded.closed.is_some(), "{:?}", recorded.failure);
        assert_eq!((recorded.lost, events(&tape, root).len()), (0, 10));
        let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
        reader.unlock(root).unwrap();
        let [entry] = reader.entries() else { panic!("{} entries", reader.entries().len()) };
        assert_eq!((entry.execs.len() as u64, entry.left_out.programs), (programs, 400 - programs));
    }
}

#[test]
fn what_is_told_of_a_disk_is_what_the_disk_says() {
    let tape = Tape::with_room(1 << 20);
    let (writer, root) = writer(&tape);
    tape.read_only.store(true, Ordering::SeqCst);
    let (feed, intake) = bounded(64 << 20).unwrap();
    feed_all(feed, (0..10).map(|n| output(n * 400, 3000)).collect());
    let recorded = record(&intake, writer, &mut NoIndex, POLICY, &clock());
    let failure = recorded.failure.unwrap();
    assert!(failure.contains("Read-only") && !failure.contains("full"), "{failure}");
    assert!(!events(&tape, root).is_empty());
}

/// How much output can be read of a recording that has no end.
fn bytes_of_output(tape: &Tape, root: [u8; 32]) -> u64 {
    let mut reader = Reader::open(io::Cursor::new(tape.bytes())).unwrap();
    reader.unlock(root).unwrap();
    // There may be nothing at all.
    let Ok(mut cursor) = Cursor::new(&reader, 0) else { return 0 };
    let mut bytes = 0;
    while let Ok(Some(event)) = cursor.next(&mut reader) {
        bytes += if let Payload::Output(text) = event.payload { text.len() as u64 } else { 0 };
    }
    bytes
}

#[test]
fn what_waited_for_a_disk_that_never_came_back_counts_as_lost() {
    // From the beginning, and after a flood of which most is on the disk.
    for (sick, floods) in [(3, 0), (60, 40)] {
        let tape = Tape::with_room(1 << 30);
        let (writer, root) = writer(&tape);
        let (feed, intake) = bounded(64 << 20).unwrap();
        let (clock, looks) = (clock(), Cell::new(0));
        let looked = || {
            looks.set(looks.get() + 1);
            tape.sick.store(looks.get() >= sick, Ordering::SeqCst);
            clock()
        };
        let flood = (0..floods).map(|n| output(n, 50_000));
        feed_all(feed, flood.chain((0..20).map(|n| output(1000 + n * 50, 6000))).collect());
        let policy = Policy { on_failure: OnFailure::Warn, reserve: 0, ..POLICY };
        let recorded = record(&intake, writer, &mut NoIndex, policy, &looked);
        assert!(recorded.closed.is_none());
        let (all, kept) = (floods * 50_000 + 20 * 6000, bytes_of_output(&tape, root));
        let told = kept + recorded.lost;
        assert!((all..all + (128 << 10)).contains(&told), "{kept} {} of {all}", recorded.lost);
    }
}

#[test]
fn a_disk_that_stays_full_leaves_what_was_sealed() {
    let tape = Tape::with_room(30_000);
    let (writer, root) = writer(&tape);
    let (feed, intake) = bounded(64 << 20).unwrap();
    feed_all(feed, (0..60).map(|n| output(n * 300, 9000)).collect());
    let recorded = record(&intake, writer, &mut NoIndex, Policy { reserve: 0, ..POLICY }, &clock());
    assert!(recorded.closed.is_none());
    let kept = bytes_of_output(&tape, root);
    // What the compressor held is not told from what it gave out: it counts as lost.
    assert!(
        (60 * 9000..60 * 9000 + (128 << 10)).contains(&(kept + recorded.lost)),
        "{kept} {}",
        recorded.lost
    );
    let report = verify(io::Cursor::new(tape.bytes()), |_| Origin::Trusted(String::new()), |_| ()).unwrap();
    assert!(matches!(report.verdict, Verdict::Torn { .. }), "{:?}", report.verdict);
}

#[test]
fn a_small_disk_gets_a_small_reserve_and_one_without_any_room_is_refused() {
    assert_eq!(hold_reserve(&Tape::with_room(300_000), 1 << 20).unwrap(), 262_144);
    assert!(hold_reserve(&Tape::with_room(10_000), 1 << 20).is_err());
}
