//! What is one hit and what another, how long each stood, and the command during which it did.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event};
use sealcast::search::{Field, Fields, Hit, Options, Query, Style, Window};

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

const LOAD: &str = "node web-3.example.org  uptime and load of the cluster, state=";

#[test]
fn what_stands_on_while_its_line_is_edited_stood_from_the_first_version_on() {
    let events = [
        output(2, &format!("{LOAD}1 needle")),
        // For longer than the one before.
        output(4009, &format!("\r{LOAD}2 needle")),
        output(9011, "\r\x1b[2K"),
        output(12_000, "end"),
    ];
    shown(&events, &[], &[(2, 9009, None)]);
    let made = Made::new();
    let mut plan = Plan { clock: |at| i64::try_from(at).unwrap(), ..Plan::new((80, 24), &events) };
    plan.header.start = 0;
    let recording = made.add(plan);
    let query = Query::text("needle", Style::default(), Fields::of(&[Field::Screen])).unwrap();
    for (from, to, told) in [(1000, 3000, true), (8000, 8500, true), (9500, 9600, false)] {
        let window = Window { from: Some(from), to: Some(to) };
        let options = Options { window, ..Options::default() };
        let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
        assert_eq!(answer.found.is_some(), told, "{from} {to}");
    }
}

/// The hits of a regular expression on the screen: what was found, when, and for how long.
fn matched(events: &[Event], pattern: &str) -> Vec<(String, u128, u128)> {
    let made = Made::new();
    let recording = made.add(Plan::new((80, 24), events));
    let style = Style { regex: true, ..Style::default() };
    let query = Query::text(pattern, style, Fields::of(&[Field::Screen])).unwrap();
    let answer = made.answers(&[recording], &query, &Options::default()).remove(0);
    let hit = |hit: &Hit| {
        let found = hit.text[hit.at.clone()].to_owned();
        (found, hit.time.unwrap().as_millis(), hit.stood.unwrap().as_millis())
    };
    answer.found.unwrap().hits.iter().map(hit).collect()
}

#[test]
fn what_reads_otherwise_in_a_line_that_is_edited_is_another_hit() {
    let names = ["alpha", "bravo", "charlie", "delta", "echo"];
    let deleting = "Deleting the files of the production database, now at: ";
    // In one row, and in a line of two rows of which the other stands on.
    for deleting in [deleting.to_owned(), format!("{:045}{deleting}", 0)] {
        let mut events: Vec<Event> = (0..)
            .zip(names)
            .map(|(n, name)| output(n * 400, &format!("\x1b[H{deleting}{name}.db\x1b[K")))
            .collect();
        events.push(output(2000, "\x1b[H\x1b[J"));
        events.push(output(5000, "end"));
        let found = matched(&events, r"at: \w+\.db");
        let all: Vec<_> = (0..).zip(names).map(|(n, name)| (format!("at: {name}.db"), n * 400)).collect();
        assert_eq!(found.iter().map(|(text, at, _)| (text.clone(), *at)).collect::<Vec<_>>(), all);
        assert!(found.iter().all(|(.., stood)| *stood == 400), "{found:?}");
    }
}

#[test]
fn a_meter_that_counts_is_one_hit_however_long() {
    let turn = |n: u64| output(n * 10, &format!("\rfetching the needle from the mirror {n:6}"));
    let mut events: Vec<Event> = (0..5000).map(turn).collect();
    events.push(output(60_000, "\r\x1b[K"));
    shown(&events, &[], &[(0, 60_000, None)]);
    // Each count is one of its own where it is what is looked for.
    assert_eq!(matched(&events, "mirror +[0-9]+").len(), 5000);
}

#[test]
fn a_line_that_goes_on_behind_the_end_of_a_segment_is_one_hit_as_it_came_to_stand() {
    // Enough for the next segment to begin with a keyframe.
    let bulk = "bulk\r\n".repeat(500);
    for screen in ["\x1b[H\x1b[2J", "", "\x1b[?1049h\x1b[3;1H"] {
        let events = [
            output(0, &format!("{bulk}{screen}a needle, one o")),
            output(1000, "f ma"),
            output(2000, &format!("{bulk}{screen}the needle, t")),
            output(3000, "wo of many\x1b[1;1H"),
            output(4000, "\x1b[?1049l\x1b[2J"),
            output(5000, "end"),
        ];
        for each in [events.len(), 0] {
            let made = Made::new();
            let recording = made.add(Plan { each, ..Plan::new((80, 24), &events) });
            for (pattern, found) in
                [("needle", ["needle"; 2]), (r"needle, \w+", ["needle, one", "needle, two"])]
            {
                let style = Style { regex: true, ..Style::default() };
                let query = Query::text(pattern, style, Fields::of(&[Field::Screen])).unwrap();
                let answer =
                    made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
                let hits = answer.found.unwrap().hits;
                let hit = |hit: &Hit| {
                    let found = hit.text[hit.at.clone()].to_owned();
                    (hit.text.clone(), found, hit.time.unwrap().as_millis())
                };
                let [one, two] = found.map(str::to_owned);
                let all = [
                    ("a needle, one of ma".to_owned(), one, 0),
                    ("the needle, two of many".to_owned(), two, 2000),
                ];
                let mut found: Vec<_> = hits.iter().map(hit).collect();
                for hit in &mut found {
                    hit.0 = hit.0.trim_end_matches("bulk").to_owned();
                }
                assert_eq!(found, all, "{pattern} {screen:?} {each}");
            }
        }
    }
}
