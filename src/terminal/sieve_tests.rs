use super::*;
use crate::sys::dice::Dice;
use crate::terminal::corpus::sessions;

fn is_wanted(text: &str) -> bool {
    text.contains("needle") || text.ends_with('7')
}

/// When a line began, was complete and left, and its text.
type Told = ([Duration; 3], String);

/// The screen at the end, and what is left to be spent on it.
type Screen = (Option<String>, ((u64, u64), bool));

/// What is told of wanted lines, in order of time and text; the screen at the end; and how many lines were told at all.
fn read(size: (u16, u16), events: &[Event], sieved: bool) -> (Vec<Told>, Screen, usize) {
    let (mut lines, mut all) = (Vec::new(), 0);
    let mut told = |line: Line| {
        all += 1;
        if is_wanted(&line.text) {
            lines.push(([line.first, line.complete, line.last], line.text));
        }
    };
    let mut shown = Shown::new(size);
    if let Some(screen) = shown.screen_mut() {
        // Nothing is saved up, so that all that is earned counts.
        screen.work = super::super::work::Work::with_credit(0);
    }
    if sieved {
        let mut sieve = Sieve::new(shown);
        for event in events {
            sieve.event(event, &mut is_wanted, &mut told);
        }
        sieve.drain(&mut is_wanted, &mut told);
        shown = sieve.into_shown();
    } else {
        events.iter().for_each(|event| shown.event(event, &mut told));
    }
    let terminal = shown.terminal();
    let screen = (terminal.snapshot(), terminal.screen.work.account());
    shown.finish(&mut told);
    lines.sort();
    (lines, screen, all)
}

fn compare(size: (u16, u16), events: &[Event], what: &str) -> (usize, usize) {
    let (told, screen, all) = read(size, events, false);
    let (sieved, same, fewer) = read(size, events, true);
    assert_eq!(sieved, told, "{what}");
    assert_eq!(same, screen, "{what}");
    (all, fewer)
}

/// A flood with interruptions, in events that cut it anywhere.
fn flood(dice: &mut Dice) -> Vec<Event> {
    let mut bytes = Vec::new();
    for _ in 0..12 {
        for _ in 0..dice.below(700) {
            let line = match dice.below(12) {
                0 => String::new(),
                1 => format!("\x1b[3{}m{} needle\x1b[0m", dice.below(8), dice.below(99)),
                2 => format!(
                    "\x1b[4{};1m{} long {}",
                    dice.below(8),
                    dice.below(99),
                    "x".repeat(dice.below(300))
                ),
                3 if dice.below(40) == 0 => format!("tab\tneedle {}", dice.below(9)),
                4 if dice.below(40) == 0 => {
                    ["e\u{301}", "\u{200b}", "\u{85}", "\u{fe0f}", "\u{1f1e9}\u{200d}"][dice.below(5)]
                        .to_owned()
                        + " needle"
                }
                4 => format!("ünïcode needle {}", dice.below(9)),
                6 => {
                    let words =
                        ["日本語", "🦀", "\u{ad}", "é", "wide ", "\u{a0}", "\x1b[32m한국어\x1b[m", "  "];
                    let mut line: String =
                        (0..dice.below(60)).map(|_| words[dice.below(words.len())]).collect();
                    line += ["7", " ", "needle", "語"][dice.below(4)];
                    line
                }
                7 if dice.below(40) == 0 => "\u{fffd}\u{e000}needle\u{10ffff}".to_owned(),
                5 => format!("  trailing {}   ", dice.below(9)),
                _ => format!("line {} of a log", dice.below(10_000)),
            };
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(if dice.below(200) == 0 { b"\n" } else { b"\r\n" });
        }
        let interruption = [
            "$ prompt ",
            "\x1b[H\x1b[2J",
            "\x1b[5;10r",
            "\x1b[r\x1b[24;1H",
            "\x1b(0",
            "\x1b(B",
            "\x1b[4h",
            "\x1b[4l",
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[3;7Hneedle in the middle",
            "\x1b[3b",
            "over\rneedle\r\n",
            "\x1b[1;31",
        ];
        bytes.extend_from_slice(interruption[dice.below(interruption.len())].as_bytes());
    }
    let mut events = Vec::new();
    let (mut rest, mut ms) = (bytes.as_slice(), 0);
    while !rest.is_empty() {
        let (part, after) = rest.split_at((1 + dice.below(6000)).min(rest.len()));
        ms += [0, 0, 1, 1, 5, 400][dice.below(6)];
        events.push(Event::new(Duration::from_millis(ms), Payload::Output(part.to_vec())));
        rest = after;
    }
    events
}

#[test]
fn wanted_lines_their_times_and_the_screen_are_those_of_a_full_reading() {
    let mut dice = Dice(5);
    let (mut all, mut fewer) = (0, 0);
    for round in 0..35 {
        let size = [(80, 24), (20, 3), (132, 50), (7, 1), (1, 4), (2, 5), (3, 2)][round % 7];
        let (drawn, sieved) = compare(size, &flood(&mut dice), &format!("round {round}"));
        (all, fewer) = (all + drawn, fewer + sieved);
    }
    assert!(fewer * 20 < all * 19, "{fewer} of {all} lines were told");
}

#[test]
fn short_lines_over_what_stood_there_before_show_what_is_left_of_it() {
    let at =
        |ms: u64, text: String| Event::new(Duration::from_millis(ms), Payload::Output(text.into_bytes()));
    let screenful: String = (0..23).map(|n| format!("secret needle {n}7\r\n")).collect();
    for (home, lines) in
        [("\x1b[H\r\n", 200), ("\x1b[12;1H\n\r", 300), ("\x1b[H\x1b[2K\r\n", 81), ("\r", 300)]
    {
        for every in [usize::MAX, 1, 7] {
            let mut events = vec![at(0, screenful.clone()), at(1000, home.to_owned())];
            events.extend((0..lines).map(|n| at(1000 + (n / every) as u64, "a\r\n".to_owned())));
            compare((80, 24), &events, &format!("{home:?}, {lines} lines, {every} in a millisecond"));
        }
    }
}

#[test]
fn recorded_sessions_are_read_as_they_were() {
    for session in sessions() {
        compare((session.cols, session.rows), &session.events, &session.name);
    }
}

#[test]
fn nearly_nothing_of_a_flood_is_drawn() {
    for line in [
        "lines of a log, in which one is a needle or ends so",
        "Zeilen über 日本語 \u{1b}[32mund\u{1b}[0m 🦀, in welchen einmal eine Nadel steht, und die über den Rand hinausgehen",
    ] {
        let text: String = (0..20_000).map(|n| format!("{n} {line}\r\n")).collect();
        let event = Event::new(Duration::ZERO, Payload::Output(text.into_bytes()));
        let mut told = 0;
        let mut sieve = Sieve::new(Shown::new((80, 24)));
        sieve.event(&event, &mut |text: &str| text.starts_with("77 "), &mut |_| told += 1);
        sieve.drain(&mut |_: &str| false, &mut |_| told += 1);
        assert!((1..120).contains(&told), "{told} of 20,000 lines were drawn");
    }
}

#[test]
fn of_a_line_that_is_not_drawn_the_time_is_told_at_which_what_is_wanted_of_it_stood() {
    struct Needles;
    impl Wanted for Needles {
        fn line(&mut self, text: &str) -> Option<usize> {
            text.find("needle").map(|at| at + "needle".len())
        }

        fn next(&mut self, lines: &str, from: usize) -> Option<usize> {
            lines[from..].find("needle").map(|at| from + at)
        }
    }
    let flood: String = (0..2000).map(|n| format!("line {n} \x1b[3{}mof a log\r\n", n % 8)).collect();
    let pieces =
        [(0, flood.as_str()), (5, "\x1b[1ma nee"), (7, "d\x1b[0mle, and "), (9, "more\r\n"), (20, &flood)];
    let mut sieve = Sieve::new(Shown::new((80, 24)));
    let mut lines = Vec::new();
    for (ms, text) in pieces {
        let event = Event::new(Duration::from_millis(ms), Payload::Output(text.as_bytes().to_vec()));
        sieve.event(&event, &mut Needles, &mut |line| lines.push(line));
    }
    sieve.drain(&mut Needles, &mut |line| lines.push(line));
    lines.retain(|line| line.text.contains("needle"));
    let at = Duration::from_millis;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((line.first, line.complete, line.last), (at(7), at(7), at(20)));
    assert_eq!((line.text.as_str(), line.number), ("a needle, and more", NO_NUMBER));
}
