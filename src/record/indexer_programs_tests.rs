//! What becomes of commands and programs: of those that run at a border, and where a thread has failed or stands still.

use super::*;

#[test]
fn programs_are_heard_on_after_the_reading_has_failed() {
    let (trace, tell) = Trace::of_test();
    let redact = Redactions::parse(&["mysql -p*"]).unwrap();
    let heard = Heard { tracker: Tracker::new(None), trace, redact, strict: true };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    indexer.begin(Duration::ZERO);
    indexer.shared.hand(Work::Panic);
    let (mut execs, mut notes) = (Vec::new(), Vec::new());
    for (n, over) in [(1, false), (2, false), (3, true)] {
        tell(exec::Event::Lost { count: 2, why: "full" });
        tell(exec::Event::Lost { count: 3, why: "taken" });
        let argv = ["mysql".to_owned(), format!("-pS3CRET{n}")].to_vec();
        tell(exec::Event::Executed(Exec { pid: n, argv, ..Exec::default() }));
        let end = if over { Payload::Exit(0) } else { Payload::Output(b"x".to_vec()) };
        indexer.event(Event::new(Duration::from_millis(n.into()), end));
        indexer.patience = crate::sys::DEADLINE;
        let extras = indexer.end_segment();
        assert_eq!((extras.given_up, extras.left_out), (Some(GivenUp::Failed), LeftOut::default()));
        assert_eq!(indexer.must_end(), None);
        execs.extend(extras.execs.into_iter().map(|exec| exec.argv.join(" ")));
        let flags = extras.commands.into_iter().flat_map(|command| command.flags);
        notes.extend(flags);
    }
    let missing = ["full", "full", "full", "taken", "taken", "taken"];
    let missing = missing.map(|why| {
        let count = if why == "full" { 2 } else { 3 };
        format!("lost-execs: {count} events of the exec trace are missing ({why})")
    });
    notes.sort();
    assert_eq!(notes, missing);
    assert_eq!(execs, ["mysql -p[redacted]"; 3]);
}

#[test]
fn a_session_that_is_strict_about_programs_ends_where_they_are_no_longer_seen() {
    for strict in [true, false] {
        let (trace, redact) = (Trace::failed_of_test(), Redactions::default());
        let heard = Heard { tracker: Tracker::new(None), trace, redact, strict };
        let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
        assert_eq!(indexer.must_end(), None);
        indexer.begin(Duration::ZERO);
        indexer.event(output(1, b"x"));
        indexer.patience = crate::sys::DEADLINE;
        let told = indexer.end_segment().commands;
        let notes: Vec<_> = told.iter().flat_map(|command| command.notices()).collect();
        assert_eq!(notes, ["lost-execs: the exec trace failed: no program is seen from here on"]);
        assert_eq!(indexer.must_end().is_some(), strict);
        // Once: what comes later tells it no more.
        indexer.event(output(2, b"x"));
        indexer.patience = crate::sys::DEADLINE;
        assert_eq!(indexer.end_segment().commands.len(), 0);
    }
}

/// That of the trace, or that of the index, which hears it.
#[test]
fn a_thread_that_stands_still_is_told_of_and_ends_a_session_that_is_strict_about_programs() {
    for (is_index, strict) in [(false, true), (false, false), (true, true), (true, false)] {
        let ((trace, _go_on), redact) = (Trace::still_of_test(), Redactions::default());
        let turns = trace.turns_of_test();
        let heard = Heard { tracker: Tracker::new(None), trace, redact, strict };
        let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
        indexer.begin(Duration::ZERO);
        let barrier = Arc::new(Barrier::new(2));
        if is_index {
            indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
            assert!(crate::sys::eventually(|| indexer.shared.lock().queue.is_empty()));
        }
        let notes = |indexer: &mut ScreenIndexer, waits: bool| {
            indexer.patience = if waits { crate::sys::DEADLINE } else { Duration::ZERO };
            let told = indexer.end_segment().commands;
            told.iter().flat_map(|command| command.notices()).map(str::to_owned).collect::<Vec<_>>()
        };
        turns.fetch_add(1, Ordering::Relaxed);
        indexer.look_after_trace(Duration::from_secs(100));
        for second in 1..=5 {
            assert_eq!(indexer.must_end(), None, "{second}");
            assert!(!indexer.is_pressed(), "{second}");
            assert_eq!(notes(&mut indexer, !is_index), [""; 0], "{second}");
            turns.fetch_add(u64::from(is_index), Ordering::Relaxed);
            indexer.look_after_trace(Duration::from_secs(100 + second));
        }
        assert_eq!((indexer.must_end().is_some(), indexer.is_pressed()), (strict, true));
        let told =
            "lost-execs: the exec trace does not get on: programs are seen late or not at all until it does";
        assert_eq!(notes(&mut indexer, !is_index), [told]);
        // Once: what comes later tells it no more.
        assert_eq!((notes(&mut indexer, !is_index), indexer.is_pressed()), (vec![], false));
        if is_index {
            barrier.wait();
        }
        // The recording waits for none at the end.
        indexer.event(Event::new(Duration::from_millis(300), Payload::Exit(0)));
        let told = "lost-execs: the exec trace did not get on at the end: programs that it had not told of are not known";
        assert_eq!(notes(&mut indexer, true), [told]);
    }
}

/// A session in which this command runs, and what tells it of programs.
fn running(command: &str) -> (ScreenIndexer, impl Fn(exec::Event)) {
    following(command, false)
}

/// The same; in a terminal or without one.
fn following(command: &str, terminal: bool) -> (ScreenIndexer, impl Fn(exec::Event)) {
    let mut tracker = Tracker::new(Some(10));
    tracker.command(command.into(), None);
    if terminal {
        tracker.follow_output();
    }
    let (trace, tell) = Trace::of_test();
    let heard = Heard { tracker, trace, redact: Redactions::default(), strict: false };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    Indexer::begin(&mut indexer, Duration::ZERO);
    (indexer, tell)
}

/// Nothing else knows of them: a command that runs for hours must not keep them for hours.
#[test]
fn the_programs_of_a_command_that_runs_are_told_at_each_border_and_once_more_at_its_end() {
    let (mut indexer, tell) = running("bash silent.sh");
    let mut programs = Vec::new();
    let mut held = Vec::new();
    for n in 1..4u32 {
        let argv = vec!["step".to_owned(), n.to_string()];
        let time = u64::from(n) * 1000;
        tell(exec::Event::Executed(Exec { time, pid: 20 + n, ppid: 10, argv, ..Exec::default() }));
        let is_held = crate::sys::eventually(|| {
            indexer.tick();
            indexer.holds().is_some()
        });
        assert!(is_held, "program {n}");
        held.push(indexer.holds());
        indexer.patience = crate::sys::DEADLINE;
        let Extras { commands, running, left_out, .. } = indexer.end_segment();
        assert_eq!((commands.len(), left_out), (0, LeftOut::default()));
        let running = running.into_iter().map(|command| (command.text, command.execs.len()));
        programs.push(running.collect::<Vec<_>>());
        assert_eq!(indexer.holds(), None, "all of it is told");
    }
    assert_eq!(held, [1, 2, 3].map(|n| Some(Duration::from_secs(n))));
    let expected: [Vec<(String, usize)>; 3] = [1, 2, 3].map(|n| vec![("bash silent.sh".to_owned(), n)]);
    assert_eq!(programs, expected);
    indexer.event(Event::new(Duration::from_secs(9), Payload::Exit(0)));
    indexer.patience = crate::sys::DEADLINE;
    let Extras { commands, running, left_out, .. } = indexer.end_segment();
    let counts: Vec<usize> = commands.iter().map(|command| command.execs.len()).collect();
    assert_eq!((counts, running.len(), left_out), (vec![3], 0, LeftOut::default()));
}

/// Where both borders came too late, one entry tells what ran at the first and what has ended since.
#[test]
fn a_command_that_ended_between_two_borders_that_were_late_is_told_once() {
    let (trace, tell) = Trace::of_test();
    let heard =
        Heard { tracker: Tracker::new(Some(10)), trace, redact: Redactions::default(), strict: false };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    Indexer::begin(&mut indexer, Duration::ZERO);
    let said = |ms: u64, mark| Event::new(Duration::from_millis(ms), Said::Mark(mark).payload());
    let text = Some("cat noise".to_owned());
    indexer.event(said(1_000, Mark::Start(Start { text, ..Start::default() })));
    tell(exec::Event::Executed(Exec { time: 1_001, pid: 20, ppid: 10, ..Exec::default() }));
    let hold = |indexer: &mut ScreenIndexer| {
        indexer.hand_over();
        let barrier = Arc::new(Barrier::new(2));
        indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
        let late = indexer.end_segment();
        assert_eq!(late.given_up, Some(GivenUp::Late));
        barrier.wait();
        let border = indexer.borders;
        drop(indexer.shared.wait(&mut { crate::sys::DEADLINE }, |state| state.has_answer(border)));
        late
    };
    assert_eq!(hold(&mut indexer).running, []);
    assert_eq!(indexer.shared.lock().harvest.running.len(), 1, "too late for its segment");
    indexer.event(said(2_000, Mark::End { status: Some(0), pipe: vec![], cancelled: false }));
    // Of a time in which it has settled.
    indexer.event(output(20_000, b"x"));
    indexer.hand_over();
    assert!(crate::sys::eventually(|| indexer.shared.lock().harvest.commands.len() == 1));
    let Extras { commands, running, .. } = hold(&mut indexer);
    let texts = |of: &[Command]| of.iter().map(|command| command.text.clone()).collect::<Vec<_>>();
    assert_eq!((texts(&commands), texts(&running)), (vec!["cat noise".to_owned()], vec![]));
}

/// It waits for the output of its time, which may come late or never.
#[test]
fn a_program_that_waits_is_held_and_the_word_that_was_asked_for_is_handed_on_at_once() {
    let (mut indexer, tell) = following("bash silent.sh", true);
    tell(exec::Event::Executed(Exec { time: 1000, pid: 20, ppid: 10, ..Exec::default() }));
    assert!(crate::sys::eventually(|| indexer.tick()));
    assert_eq!(indexer.holds(), Some(Duration::from_secs(1)));
    let through = Said::Through(2_000_000).payload();
    indexer.event(Event::new(Duration::from_secs(2), through));
    assert!(crate::sys::eventually(|| !indexer.shared.lock().waits), "it is told at the next flush");
    assert_eq!(indexer.holds(), Some(Duration::from_secs(1)));
}

/// What is told again at every border must not use up the room of the index.
#[test]
fn programs_of_a_command_that_runs_on_and_on_are_told_ahead_once_and_not_at_every_border() {
    let (mut indexer, tell) = running("setup; journalctl -f");
    for pid in 0..60u32 {
        let argv = vec!["step".to_owned(), "x".repeat(8 << 10)];
        tell(exec::Event::Executed(Exec { time: 1000, pid: 20 + pid, ppid: 10, argv, ..Exec::default() }));
    }
    assert!(crate::sys::eventually(|| {
        indexer.tick();
        indexer.holds().is_some()
    }));
    let (mut again, mut once, mut silent) = (0, Vec::new(), 0);
    for _ in 0..40 {
        indexer.patience = crate::sys::DEADLINE;
        let Extras { commands, running, left_out, .. } = indexer.end_segment();
        assert_eq!(left_out, LeftOut::default());
        silent += usize::from(commands.is_empty() && running.is_empty());
        again += running.iter().map(Command::size).sum::<usize>();
        once.extend(commands.into_iter().map(|command| command.execs.len()));
    }
    assert!((8 << 20..9 << 20).contains(&again), "{again}");
    assert!(once == [60] && silent > 20, "{once:?} {silent}");
    indexer.event(Event::new(Duration::from_secs(9), Payload::Exit(0)));
    indexer.patience = crate::sys::DEADLINE;
    let Extras { commands, running, left_out, .. } = indexer.end_segment();
    let counts: Vec<usize> = commands.iter().map(|command| command.execs.len()).collect();
    assert_eq!((counts, running.len(), left_out), (vec![0], 0, LeftOut::default()));
}

/// Its mark stands in a segment that nobody reads again for it: it would be in no list until its end, and for ever if the recorder is
/// killed.
#[test]
fn a_command_without_programs_is_told_at_each_border_until_it_ends() {
    let (trace, _) = Trace::of_test();
    let heard =
        Heard { tracker: Tracker::new(Some(10)), trace, redact: Redactions::default(), strict: false };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    Indexer::begin(&mut indexer, Duration::ZERO);
    let said = |ms: u64, mark| Event::new(Duration::from_millis(ms), Said::Mark(mark).payload());
    let text = Some(": evil; read x".to_owned());
    indexer.event(said(1_000, Mark::Start(Start { text, ..Start::default() })));
    let mut told = Vec::new();
    for n in 2..5 {
        indexer.event(output(n * 1_000, b"line\r\n"));
        indexer.patience = crate::sys::DEADLINE;
        let Extras { commands, running, .. } = indexer.end_segment();
        assert_eq!(commands, []);
        told.extend(running.into_iter().map(|command| (command.text, command.start, command.end)));
    }
    assert_eq!(told, vec![(": evil; read x".to_owned(), 1_000, None); 3]);
    indexer.event(said(6_000, Mark::End { status: Some(0), pipe: vec![], cancelled: false }));
    indexer.event(Event::new(Duration::from_secs(9), Payload::Exit(0)));
    indexer.patience = crate::sys::DEADLINE;
    let Extras { commands, running, .. } = indexer.end_segment();
    assert_eq!((commands.len(), running.len()), (1, 0));
}
