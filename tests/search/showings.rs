//! What is one hit and what another, how long each stood, and the command during which it did.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event};
use sealcast::search::{Field, Fields, Hit};

fn ran(start: u64, end: Option<u64>, text: &str) -> Command {
    Command { text: text.into(), start, end, ..Command::default() }
}

/// Time, how long it stood, and the command, of each hit on the screen; with one keyframe and with one for each event.
#[track_caller]
fn shown(events: &[Event], commands: &[Command], told: &[(u128, u128, Option<&str>)]) {
    let made = Made::new();
    for segment in [1 << 20, 1] {
        let plan = Plan { segment, commands: commands.to_vec(), ..Plan::new((80, 24), events) };
        let hits = made.hits(&made.add(plan), "needle", Fields::of(&[Field::Screen]));
        let hit =
            |hit: &Hit| (hit.time.unwrap().as_millis(), hit.stood.unwrap().as_millis(), hit.command.clone());
        let found: Vec<_> = hits.iter().map(hit).collect();
        let told: Vec<_> = told.iter().map(|(at, stood, of)| (*at, *stood, of.map(str::to_owned))).collect();
        assert_eq!(found, told, "segments of {segment}: {hits:#?}");
    }
}

#[test]
fn two_full_screen_programs_that_show_the_same_are_two_hits() {
    let events = [
        output(0, "$ vim f\r\n"),
        output(1000, "\x1b[?1049h\x1b[Hthe needle"),
        output(2000, "\x1b[24;1H:q"),
        output(4752, "\x1b[?1049l$ less f\r\n"),
        output(5273, "\x1b[?1049h\x1b[Hthe needle"),
        output(6000, "\x1b[24;1H(END)"),
        output(6500, "\x1b[?1049l$ "),
        output(8000, "exit"),
    ];
    let commands = [ran(900, Some(4752), "vim f"), ran(5200, Some(6500), "less f")];
    shown(&events, &commands, &[(1000, 3752, Some("vim f")), (5273, 1227, Some("less f"))]);
    // Nor does it take an index of commands to know.
    shown(&events, &[], &[(1000, 3752, None), (5273, 1227, None)]);
}

#[test]
fn what_each_command_shows_is_a_hit_of_its_own() {
    let events = [
        output(0, "$ cat f\r\n"),
        output(100, "needle\r\n$ "),
        output(300, "cat f\r\nneedle\r\n$ "),
        output(600, "clear\r\n\x1b[H\x1b[2J$ "),
        output(900, "cat f | tail -3\r\nneedle\r\n$ "),
        output(1200, "clear\r\n\x1b[H\x1b[2J$ "),
        output(1500, "cat f | tail -3\r\nneedle\r\n$ "),
        output(3000, "exit\r\n"),
    ];
    let commands: Vec<Command> = [(90, "cat f"), (290, "cat f"), (590, "clear"), (890, "cat f | tail -3")]
        .into_iter()
        .chain([(1190, "clear"), (1490, "cat f | tail -3")])
        .map(|(start, text)| ran(start, Some(start + 20), text))
        .collect();
    let tail = Some("cat f | tail -3");
    let told = [(100, 500, Some("cat f")), (300, 300, Some("cat f")), (900, 300, tail), (1500, 1500, tail)];
    shown(&events, &commands, &told);
}

#[test]
fn a_line_that_stands_while_commands_run_is_one_hit() {
    let mut events = vec![output(0, "$ "), output(1000, "needle\r\n$ ")];
    events.extend((2..6).map(|n| output(n * 1000, "true\r\n$ ")));
    let commands: Vec<Command> = (1..6).map(|n| ran(n * 1000 - 10, Some(n * 1000), "true")).collect();
    shown(&events, &commands, &[(1000, 4000, Some("true"))]);
}

#[test]
fn the_time_between_two_redraws_is_not_counted() {
    let events = [
        output(0, "needle"),
        output(1000, "\x1b[H\x1b[2J"),
        output(1400, "needle"),
        output(2400, "\x1b[H\x1b[2J"),
        output(4000, "end"),
    ];
    shown(&events, &[], &[(0, 2000, None)]);
    // Wherever commands begin but in between.
    let commands = [ran(0, Some(2400), "watch"), ran(3000, None, "exit")];
    shown(&events, &commands, &[(0, 2000, Some("watch"))]);
}

#[test]
fn a_command_of_unknown_end_holds_until_the_next_one_and_within_its_own() {
    let mut events: Vec<Event> = (0..10).map(|n| output(n * 1000, &format!("needle {n}\r\n"))).collect();
    events.push(output(20_000, "end"));
    let commands = [
        ran(500, Some(4500), "bash"),
        ran(1500, Some(1700), "ls"),
        ran(3500, None, "exit"),
        ran(6500, None, "sleep 9 &"),
        ran(8500, Some(8700), "ls"),
    ];
    let of = ["bash", "bash", "bash", "exit", "", "", "sleep 9 &", "sleep 9 &", ""];
    let lasts = |n: u128| 20_000 - n * 1000;
    let of = std::iter::once("").chain(of).map(|of| Some(of).filter(|of| !of.is_empty()));
    let told: Vec<_> = (0..).zip(of).map(|(n, of)| (n * 1000, lasts(n), of)).collect();
    shown(&events, &commands, &told);
}

#[test]
fn a_line_that_is_changed_in_place_is_one_hit() {
    let events = [
        output(0, "a needle rests 10%"),
        output(700, "\ra needle rests 50%"),
        output(1400, "\ra needle rests 99%\r\n"),
        output(1500, "a needle"),
        output(3000, "\r\nend"),
    ];
    shown(&events, &[], &[(0, 3000, None), (1500, 1500, None)]);
}
