//! Which command a program belongs to, and how commands that run are told.

use super::*;

#[test]
fn programs_belong_to_the_command_that_was_entered_before_them() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("one");
    // The kernel is faster than the mark.
    let entered = hand.time;
    hand.tracker.forked(entered * 1_000, 20, 10);
    hand.tracker.executed(exec(entered, 20, 10, &["one"]));
    hand.time += 2;
    hand.told("one");
    hand.tracker.forked((hand.time + 5) * 1_000, 21, 20);
    hand.tracker.executed(exec(hand.time + 6, 21, 20, &["child"]));
    hand.tracker.ended(hand.time + 9, 20, 3);
    let settled = {
        hand.prompt(3);
        hand.time += 5_000;
        hand.tracker.executed(exec(hand.time, 30, 10, &["prompt"]));
        hand.tracker.finish(hand.time, None)
    };
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    let ran: Vec<_> = one.execs.iter().map(|e| (e.argv[0].as_str(), e.exit)).collect();
    assert_eq!(ran, [("one", Some(3)), ("child", None)]);
    assert_eq!(settled.execs.len(), 1);
}

/// The mark of a start is late: what was given to the guess made at Enter is the command's.
#[test]
fn what_was_heard_of_a_line_before_its_start_is_told_stays_with_the_command() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("one");
    for (pid, name) in [(20, "one"), (21, "two")] {
        hand.tracker.forked(hand.time * 1_000 + 900, pid, 10);
        hand.tracker.executed(exec(hand.time, pid, 10, &[name]));
    }
    hand.tracker.withheld();
    hand.time += 200;
    assert_eq!(hand.tracker.drain(hand.time), Settled::default());
    hand.told("one; two");
    hand.prompt(0);
    let settled = hand.tracker.finish(hand.time, None);
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!((one.text.as_str(), argvs(&one.execs)), ("one; two", vec!["one", "two"]));
    assert!(one.flags.iter().any(|flag| flag.starts_with("echo-off: ")), "{:?}", one.flags);
    assert_eq!(settled.execs, []);
}

#[test]
fn what_a_prompt_runs_in_the_millisecond_in_which_a_command_ends_belongs_to_nobody() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("one").told("one");
    let at = hand.time + 4;
    for (micros, pid, name) in [(at * 1_000 + 200, 20, "one"), (at * 1_000 + 700, 21, "hook")] {
        hand.tracker.forked(micros, pid, 10);
        hand.tracker.executed(exec(at, pid, 10, &[name]));
    }
    // The mark is read long after it was sent.
    hand.time = at + 90;
    ends(&mut hand, at * 1_000 + 500);
    let settled = hand.tracker.finish(hand.time, None);
    assert_eq!(argvs(&settled.commands[0].execs), ["one"]);
    assert_eq!(argvs(&settled.execs), ["hook"]);
    assert_eq!(settled.commands[0].end, Some(at + 90));
}

#[test]
fn programs_of_a_command_that_runs_are_its_own_though_the_next_line_has_been_typed() {
    for clock in [true, false] {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types("one").told("one");
        hand.types("two");
        hand.time += 1_000;
        hand.tracker.forked(hand.time * 1_000, 20, 10);
        hand.tracker.executed(exec(hand.time, 20, 10, &["late"]));
        hand.time += 1_000;
        if clock {
            let micros = hand.time * 1_000;
            ends(&mut hand, micros - 300);
            hand.tracker.clock(hand.time * 1_000 - 100);
        } else {
            hand.tracker.mark(
                hand.time,
                Mark::End { status: Some(0), pipe: vec![], cancelled: false },
                &mut hand.screen,
            );
        }
        hand.told("two");
        hand.tracker.forked(hand.time * 1_000 + 400, 21, 10);
        hand.tracker.executed(exec(hand.time, 21, 10, &["two"]));
        let commands = hand.prompt(0).done();
        let ran: Vec<_> = commands.iter().map(|c| (c.text.as_str(), argvs(&c.execs))).collect();
        assert_eq!(ran, [("one", vec!["late"]), ("two", vec!["two"])], "{clock}");
    }
}

#[test]
fn without_a_clock_a_command_begins_when_its_line_was_entered() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("one");
    let entered = hand.time;
    // The line is left, and the mark read, long after.
    hand.time += 40;
    hand.told("one");
    hand.tracker.forked((entered + 10) * 1_000, 20, 10);
    hand.tracker.executed(exec(entered + 10, 20, 10, &["one"]));
    let commands = hand.prompt(0).done();
    assert_eq!(argvs(&commands[0].execs), ["one"]);
}

#[test]
fn a_clock_that_cannot_be_right_is_not_believed() {
    // Ahead of the moment the mark was read; before the command before ended.
    for (lie, believed) in
        [(u64::MAX, false), (9_000_000_000, false), (1_500_000, false), (0, false), (4_500_000, true)]
    {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types("one").told("one").prompt(0).types("two").told("two");
        hand.time += 1_000;
        hand.tracker.forked(4_600_000, 20, 10);
        hand.tracker.executed(exec(4_600, 20, 10, &["late"]));
        ends(&mut hand, lie);
        let settled = hand.tracker.finish(hand.time, None);
        let (ours, nobodys) = (settled.commands[1].execs.len(), settled.execs.len());
        assert_eq!((ours, nobodys), if believed { (0, 1) } else { (1, 0) }, "{lie}");
        assert_eq!((settled.commands[1].start, settled.commands[1].end), (4_000, Some(hand.time)));
    }
}

#[test]
fn a_command_with_very_many_programs_comes_in_parts() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("make").told("make");
    for n in 0..2_500 {
        hand.tracker.executed(exec(hand.time, 100 + n, 10, &["cc"]));
    }
    let commands = hand.prompt(0).done();
    let counts: Vec<usize> = commands.iter().map(|c| c.execs.len()).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
    assert!(commands[..2].iter().all(|c| c.source == Source::Exec && c.flags[0].starts_with("part: ")));
}

/// Nothing else has them when their segment ends: what the shell told of them is among the events of a segment that nobody reads for it.
#[test]
fn commands_that_run_are_told_with_programs_or_without() {
    let texts = |commands: Vec<Command>| commands.into_iter().map(|c| c.text).collect::<Vec<_>>();
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("evil; read x").told("evil; read x");
    assert_eq!(texts(hand.tracker.so_far()), ["evil; read x"]);
    // It has ended, and not left: for the next entry of the index.
    hand.prompt(0);
    assert_eq!(texts(hand.tracker.so_far()), ["evil; read x"]);
    hand.tracker.drain(hand.time + 1_000);
    assert_eq!(hand.tracker.so_far(), []);
    // Entered, and the shell has not told that it began.
    hand.types("vi");
    assert_eq!(hand.tracker.so_far(), []);
    let mut posix = Hand::new();
    posix.prompt(0).types("vi");
    assert_eq!(texts(posix.tracker.so_far()), ["vi"]);
}

#[test]
fn of_a_command_that_runs_is_told_ahead_once_that_it_does_and_each_program() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("evil; read x").told("evil; read x");
    let ahead = hand.tracker.send_ahead();
    assert!(ahead[0].flags[0].starts_with("part: "), "{ahead:?}");
    assert_eq!(
        (ahead[0].source, ahead[0].text.as_str(), ahead[0].end),
        (Source::Shell, "evil; read x", None)
    );
    assert_eq!(hand.tracker.send_ahead(), []);
    hand.tracker.executed(exec(hand.time, 20, 10, &["cp"]));
    hand.tracker.drain(hand.time);
    let ahead = hand.tracker.send_ahead();
    assert_eq!((ahead[0].source, ahead[0].execs.len()), (Source::Exec, 1));
    assert_eq!(hand.tracker.send_ahead(), []);
    let commands = hand.prompt(0).done();
    assert_eq!((commands.len(), commands[0].execs.len(), commands[0].flags.len()), (1, 0, 0));
}

#[test]
fn what_is_missing_in_the_trace_is_an_entry() {
    let mut hand = Hand::new();
    hand.tracker.lost(5, 12, "full");
    let commands = hand.done();
    assert_eq!(commands[0].flags, ["lost-execs: 12 events of the exec trace are missing (full)"]);
}

#[test]
fn a_session_of_one_command_is_one_entry_with_all_its_programs() {
    let mut tracker = Tracker::new(None);
    tracker.below(5);
    tracker.command("make all".into(), Some("/src".into()));
    tracker.forked(1, 6, 5);
    tracker.executed(exec(2, 6, 5, &["make"]));
    tracker.forked(3, 7, 6);
    tracker.executed(exec(4, 7, 6, &["cc"]));
    tracker.ended(5, 7, 0);
    let commands = tracker.finish(9, Some(2)).commands;
    let [make] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((make.source, make.exit, make.end, make.execs.len()), (Source::Argv, Some(2), Some(9), 2));
}
