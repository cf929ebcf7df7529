//! What stands on the screen while nothing is drawn, and beyond the segment that drew it.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event, Payload};
use sealcast::search::{Field, Fields, Hit, Options, Query, Style, Window};
use std::time::Duration;

const START: i64 = 1_000_000;

/// Enough output for the next segment to begin with a keyframe, and then this on a screen of its own.
fn after_bulk(ms: u64, text: &str) -> Event {
    output(ms, &format!("{}\x1b[H\x1b[2J{text}", "bulk\r\n".repeat(500)))
}

/// Something that is not drawn.
fn silence(ms: u64) -> Event {
    Event::new(Duration::from_millis(ms), Payload::Withheld(1))
}

/// By the wall clock as by that of the session, from [`START`] on.
fn plan(events: &[Event]) -> Plan<'_> {
    let clock = |at: u64| START + i64::try_from(at).unwrap();
    let mut plan = Plan { each: events.len(), clock, ..Plan::new((40, 8), events) };
    plan.header.start = START;
    plan
}

/// The hits on the screen in a window, milliseconds of the session.
fn hits(
    made: &Made,
    recording: &sealcast::store::Found,
    text: &str,
    window: (Option<i64>, Option<i64>),
) -> Vec<Hit> {
    let (hits, fault) = answer(made, recording, text, window);
    assert_eq!(fault, None);
    hits
}

/// The same, and what may be missing.
fn answer(
    made: &Made,
    recording: &sealcast::store::Found,
    text: &str,
    (from, to): (Option<i64>, Option<i64>),
) -> (Vec<Hit>, Option<String>) {
    let query = Query::text(text, Style::default(), Fields::of(&[Field::Screen])).unwrap();
    let window = Window { from: from.map(|ms| START + ms), to: to.map(|ms| START + ms) };
    let options = Options { window, ..Options::default() };
    let answer = made.answers(std::slice::from_ref(recording), &query, &options).remove(0);
    (answer.found.map(|found| found.hits).unwrap_or_default(), answer.fault)
}

/// When each came and how long it stood.
fn told(hits: &[Hit]) -> Vec<(u128, Option<u128>)> {
    let ms = |time: Duration| time.as_millis();
    hits.iter().map(|hit| (ms(hit.time.unwrap()), hit.stood.map(ms))).collect()
}

#[test]
fn what_stands_stands_on_while_nothing_is_drawn() {
    let events = [after_bulk(0, "needle\r\n"), silence(1000), silence(50_000)];
    for (more, until) in
        [(vec![], 50_000), (vec![output(70_000, "\x1b[H\x1b[2J"), output(90_000, "end")], 70_000)]
    {
        let made = Made::new();
        let events = [&events[..], &more].concat();
        let recording = made.add(plan(&events));
        for window in [(None, None), (Some(9000), None), (Some(24_000), Some(25_000)), (Some(44_000), None)] {
            let found = hits(&made, &recording, "needle", window);
            assert_eq!(told(&found), [(0, Some(until))], "{window:?}");
        }
        assert_eq!(told(&hits(&made, &recording, "needle", (Some(70_001), None))), []);
    }
}

#[test]
fn what_stands_where_a_session_goes_on_stands_still() {
    let events = [after_bulk(0, "needle\r\n"), silence(1000), silence(50_000)];
    for (drawn, open) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let made = Made::new();
        let last = output(70_000, "\x1b[H\x1b[2Jother");
        let all = [&events[..], &[last]].concat();
        let mut plan = plan(if drawn { &all } else { &events });
        // The last segment has an entry, or none yet.
        (plan.goes_on, plan.each) = (true, plan.each - open);
        let recording = made.add(plan);
        let stood = drawn.then_some(70_000);
        for window in [(None, None), (Some(9000), None), (Some(44_000), Some(45_000))] {
            assert_eq!(told(&hits(&made, &recording, "needle", window)), [(0, stood)], "{window:?} {drawn}");
        }
        let late = told(&hits(&made, &recording, "needle", (Some(100_000), None)));
        assert_eq!(late.len(), usize::from(!drawn));
        let other = told(&hits(&made, &recording, "other", (Some(100_000), None)));
        assert_eq!(other, drawn.then_some((70_000, None)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_stands_where_a_killed_session_ends_stands_until_then() {
    let events = [after_bulk(0, "needle\r\n"), silence(1000), silence(50_000)];
    // No segment has an entry, or only the last one has none.
    for each in [0, events.len() - 1] {
        let made = Made::new();
        let recording = made.add(Plan { killed: true, each, ..plan(&events) });
        for (from, expected) in
            [(None, vec![(0, Some(50_000))]), (Some(50_001), vec![]), (Some(100_000), vec![])]
        {
            let (found, fault) = answer(&made, &recording, "needle", (from, None));
            assert_eq!(told(&found), expected, "{from:?}, segments: {each}");
            assert!(fault.is_some_and(|fault| fault.contains("not closed")), "{from:?}, segments: {each}");
        }
    }
}

#[test]
fn what_stood_since_before_a_window_has_its_own_time_and_command() {
    let ran = |start: u64, end: u64, text: &str| Command {
        text: text.into(),
        start,
        end: Some(end),
        ..Command::default()
    };
    let events = [
        after_bulk(5000, "$ cat secret\r\n"),
        output(5010, "nee"),
        output(5020, "dle\r\n"),
        // Below it, so that it stands where a segment begins with a screen.
        output(40_000, &format!("$ less other\r\n\x1b[5;8r\x1b[5;1H{}", "more\r\n".repeat(2000))),
        silence(60_000),
        output(70_000, "more"),
        output(80_000, "\x1b[H\x1b[2J"),
        output(90_000, "needle again"),
        output(95_000, "\x1b[H\x1b[2J"),
    ];
    let commands =
        vec![ran(4990, 5090, "cat secret"), ran(39_990, 70_090, "less other"), ran(89_990, 90_090, "again")];
    for each in [events.len(), 0] {
        let made = Made::new();
        let recording = made.add(Plan { each, commands: commands.clone(), ..plan(&events) });
        let (first, again) = ((5020, Some(74_980), "cat secret"), (90_000, Some(5000), "again"));
        for (from, to, expected) in [
            (None, None, &[first, again][..]),
            (Some(20_000), None, &[first, again]),
            (Some(65_000), None, &[first, again]),
            (Some(65_000), Some(66_000), &[first]),
            (Some(75_000), Some(76_000), &[first]),
            (Some(80_001), None, &[again]),
            (Some(82_000), Some(83_000), &[]),
            (None, Some(5020), &[]),
        ] {
            let found = hits(&made, &recording, "needle", (from, to));
            let all: Vec<_> = told(&found).into_iter().zip(&found).collect();
            let all: Vec<_> =
                all.iter().map(|((at, stood), hit)| (*at, *stood, hit.command.as_deref().unwrap())).collect();
            assert_eq!(all, expected, "{from:?} {to:?}, segments: {each}");
        }
    }
}

#[test]
fn what_comes_again_in_a_full_screen_program_stands_there_again() {
    let page = |ms: u64, text: &str| output(ms, &format!("\x1b[H\x1b[2J{text}\x1b[8;1H:"));
    let events = [
        output(0, "$ less f\r\n\x1b[?1049h"),
        page(10, "the needle\r\nand more"),
        page(3000, "page two"),
        // A redraw.
        page(8000, "the needle\r\nand more"),
        page(8500, "and more\r\nthe needle"),
        page(9500, "page two"),
        page(12_000, "the needle\r\nand more"),
        output(15_000, "\x1b[?1049l$ "),
        output(20_000, "exit"),
    ];
    for each in [0, events.len()] {
        let made = Made::new();
        let recording = made.add(Plan { each, ..plan(&events) });
        let hits = |window| told(&hits(&made, &recording, "needle", window));
        let (first, second, third) = ((10, Some(2990)), (8000, Some(1500)), (12_000, Some(3000)));
        for (from, to, expected) in [
            (None, None, &[first, second, third][..]),
            (Some(8100), Some(9000), &[second]),
            (Some(12_000), None, &[third]),
            (Some(4000), Some(7000), &[]),
        ] {
            assert_eq!(hits((from, to)), expected, "{from:?} {to:?}, segments: {each}");
        }
    }
}
