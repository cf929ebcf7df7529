//! Witnesses that are late: the terminal, and the kernel's trace.

use super::*;
use crate::shell::commands::through::LATE;

/// At a prompt of a shell in a terminal, all output so far heard.
fn prompted() -> Hand {
    let mut hand = Hand::new();
    hand.tracker.follow_output();
    hand.integrated("bash").prompt(0);
    hand.tracker.output_through(hand.time * 1_000 + 1_000);
    hand
}

fn runs(hand: &mut Hand, micros: u64, pid: u32, name: &str) {
    hand.tracker.forked(micros, pid, 10);
    hand.tracker.executed(exec(micros / 1_000, pid, 10, &[name]));
}

/// What the mark says was sent before a flood, and read behind it.
#[test]
fn a_program_waits_for_the_marks_of_its_time_however_late_they_are() {
    let mut hand = prompted();
    let began = hand.time + 100;
    runs(&mut hand, began * 1_000 + 500, 20, "one");
    runs(&mut hand, (began + 300) * 1_000, 21, "hook");
    for _ in 0..3 {
        hand.time += 1_000;
        hand.shows("the job of another line\r\n");
        // Only what was written before has been read.
        hand.tracker.output_through(began * 1_000);
        assert_eq!(hand.tracker.drain(hand.time), Settled::default());
        assert!(hand.tracker.waits());
    }
    hand.tracker.clock(began * 1_000);
    hand.told("one");
    ends(&mut hand, (began + 200) * 1_000);
    hand.tracker.output_through((began + 400) * 1_000);
    hand.time += 1_000;
    let settled = hand.tracker.drain(hand.time);
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!((one.text.as_str(), argvs(&one.execs), one.flags.len()), ("one", vec!["one"], 0));
    assert_eq!(argvs(&settled.execs), ["hook"]);
    assert!(!hand.tracker.waits());
}

/// A prompt in raw mode: that its keys were no echo is known half a second later, when the next command runs.
#[test]
fn an_ended_command_waits_until_it_is_known_what_becomes_of_its_keys() {
    let mut hand = prompted();
    let pressed = hand.types("ask").told("ask").time + 500;
    hand.prompt(0).types("sleep 9").told("sleep 9");
    for _ in 0..2 {
        hand.time += 1_000;
        hand.tracker.held(Some(pressed * 1_000));
        hand.tracker.output_through(hand.time * 1_000);
        assert_eq!(hand.tracker.drain(hand.time), Settled::default());
    }
    hand.tracker.hidden(pressed, true);
    hand.tracker.withheld();
    hand.tracker.held(None);
    let settled = hand.tracker.drain(hand.time);
    let [ask] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!((ask.text.as_str(), ask.flags.len()), ("ask", 1), "{ask:?}");
    assert!(ask.flags[0].starts_with("echo-off"), "{ask:?}");
    // Keys of a later time are no reason to wait, nor is anything for ever.
    hand.prompt(0);
    hand.tracker.held(Some(hand.time * 1_000 + 1_000));
    hand.time += 1_000;
    hand.tracker.output_through(hand.time * 1_000);
    assert_eq!(hand.tracker.drain(hand.time).commands.len(), 1);
    hand.types("more").told("more");
    hand.tracker.held(Some(hand.time * 1_000));
    hand.prompt(0);
    hand.time += 20_000;
    hand.tracker.output_through(hand.time * 1_000);
    let settled = hand.tracker.drain(hand.time);
    assert!(settled.commands.len() == 1 && settled.commands[0].flags.is_empty(), "{settled:?}");
}

/// The thread that fetches them had no processor, while a later command fills the screen.
#[test]
fn an_ended_command_waits_for_what_the_kernel_saw_of_its_time() {
    let mut hand = prompted();
    hand.tracker.trace_through(hand.time * 1_000);
    hand.types("one").told("one").prompt(0);
    let ended = hand.time;
    for _ in 0..3 {
        hand.time += 1_000;
        hand.tracker.output_through(hand.time * 1_000);
        hand.tracker.trace_through((ended - 1) * 1_000);
        assert_eq!(hand.tracker.drain(hand.time), Settled::default());
    }
    runs(&mut hand, (ended - 900) * 1_000, 20, "one");
    hand.tracker.trace_through((ended + 20) * 1_000);
    let settled = hand.tracker.drain(hand.time);
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!((argvs(&one.execs), one.flags.len()), (vec!["one"], 0));
}

#[test]
fn nothing_waits_for_ever_and_what_did_not_wait_is_flagged() {
    let mut hand = prompted();
    hand.tracker.trace_through(0);
    hand.types("one").told("one").prompt(0);
    // Both were stopped: that is not waiting.
    hand.time += 3_600_000;
    hand.tracker.output_through(hand.time * 1_000);
    assert_eq!(hand.tracker.drain(hand.time), Settled::default());
    assert_eq!(hand.tracker.drain(hand.time + 4_900), Settled::default());
    let settled = hand.tracker.drain(hand.time + 5_100);
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!(one.flags, [LATE]);
    // At the end of the session nothing is to come.
    hand.types("two").told("two").prompt(0);
    let commands = hand.done();
    assert_eq!((commands[0].text.as_str(), commands[0].flags.len()), ("two", 0));
}

#[test]
fn more_processes_than_can_wait_are_decided_on_and_that_is_told() {
    let mut hand = prompted();
    hand.types("one");
    let begin = hand.time;
    hand.told("one");
    hand.tracker.output_through(begin * 1_000 + 500);
    for n in 0..70_000_u32 {
        hand.tracker.forked(begin * 1_000 + 2_000 + u64::from(n), 100 + n, 10);
    }
    ends(&mut hand, begin * 1_000 + 900);
    let settled = hand.tracker.finish(hand.time + 100, None);
    let [one] = settled.commands.as_slice() else { panic!("{settled:?}") };
    assert_eq!((one.text.as_str(), one.flags.as_slice()), ("one", &[LATE.to_owned()][..]));
    // Of no command, as far as was known.
    let mut hand = prompted();
    let time = hand.time * 1_000;
    ends(&mut hand, time);
    for n in 0..70_000_u32 {
        hand.tracker.forked(hand.time * 1_000 + 90_000 + u64::from(n), 100 + n, 10);
    }
    let told = hand.tracker.drain(hand.time).commands;
    assert!(told[0].flags[0].starts_with("lost-execs: the commands of "), "{told:?}");
}

/// Of a terminal that takes nothing nobody tells how far its output is.
#[test]
fn a_program_does_not_wait_for_ever_for_a_terminal_that_stands_still_and_a_stop_of_all_is_no_wait() {
    let mut hand = prompted();
    let began = hand.time + 100;
    let micros = |ms: u64| (began + ms) * 1_000;
    let ran = |settled: Settled| argvs(&settled.execs).iter().map(ToString::to_string).collect::<Vec<_>>();
    hand.tracker.trace_through(micros(0));
    runs(&mut hand, micros(0), 20, "one");
    assert_eq!(hand.tracker.latest_waiting(), Some(began));
    // Looks at the trace, a second apart; and then none for an hour.
    for look in 1..=14 {
        hand.tracker.trace_through(micros(look * 1_000));
        assert_eq!(hand.tracker.drain(hand.time), Settled::default(), "{look}");
    }
    runs(&mut hand, micros(3_000_000), 21, "meanwhile");
    for look in 3_600..3_615 {
        hand.tracker.trace_through(micros(look * 1_000));
        assert_eq!(hand.tracker.drain(hand.time), Settled::default(), "{look}");
    }
    runs(&mut hand, micros(3_614_000), 22, "two");
    hand.tracker.trace_through(micros(3_615_000));
    let settled = hand.tracker.drain(hand.time);
    let flag = |settled: &Settled| settled.commands.iter().flat_map(|c| c.flags.clone()).collect::<Vec<_>>();
    let [lost] = flag(&settled).try_into().unwrap();
    assert!(lost.starts_with("lost-execs: the commands of 2 processes are not known"), "{lost}");
    assert_eq!(ran(settled), ["one", "meanwhile"]);
    assert!(hand.tracker.waits());
    assert_eq!(hand.tracker.latest_waiting(), Some(began + 3_614_000));
    // The output goes on.
    hand.tracker.output_through(micros(3_616_000));
    let settled = hand.tracker.drain(hand.time);
    assert_eq!((flag(&settled).len(), ran(settled)), (0, vec!["two".to_owned()]));
    assert_eq!(hand.tracker.latest_waiting(), None);
}
