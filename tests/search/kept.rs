//! Which hits are kept and counted, and the lines around them.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Event, Payload};
use sealcast::search::{Field, Fields, Options, Query, Style};
use std::time::Duration;

fn query(text: &str, regex: bool, fields: Fields) -> Query {
    Query::text(text, Style { regex, ..Style::default() }, fields).unwrap()
}

#[test]
fn a_limit_gives_the_earliest_hits_though_others_went_before_them() {
    let many: String = (0..60).map(|n| format!("{n} of the many\r\n")).collect();
    let typed = |ms: u64, text: &str| Event::new(Duration::from_millis(ms), Payload::Input(text.into()));
    let events = [
        // The first line stays, the others scroll below it.
        output(4, "the first of them\r\n\x1b[2;24r\x1b[2;1H"),
        output(3000, "the second of them\r\n"),
        output(8000, &many),
        typed(9000, "late"),
        output(9100, "late"),
        typed(9500, " of it\r"),
        output(9600, " of it\r\n"),
        output(20_000, &many),
        output(30_000, "end"),
    ];
    let made = Made::new();
    for segment in [1, 100_000] {
        let recording = made.add(Plan { segment, ..Plan::new((80, 24), &events) });
        let found = |text: &str, limit: Option<usize>| {
            let query = query(text, false, Fields::EVERYWHERE);
            let options = Options { limit, ..Options::default() };
            let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
            let hits = answer.found.map_or_else(Vec::new, |found| found.hits);
            hits.iter().map(|hit| (hit.time, hit.field, hit.text.clone())).collect::<Vec<_>>()
        };
        for text in [" of the", "of them", "late", "of"] {
            let all = found(text, None);
            assert!(all.is_sorted_by_key(|(time, ..)| *time) && all.len() >= 2, "{all:?}");
            for limit in [1, 2, 3, 20, 61, 200] {
                let some = found(text, Some(limit));
                assert!(some.len() >= limit.min(all.len()), "{limit} of {text}: {some:?}");
                assert!(all.starts_with(&some), "{limit} of {text}: {some:#?} of {all:#?}");
            }
        }
    }
}

#[test]
fn what_is_redrawn_is_counted_once_however_many_hits_are_kept() {
    // A page at a time; every segment begins with the screen as it stood.
    let page = |n: u64| (n * 24..n * 24 + 24).map(|line| format!("{line:06}\r\n")).collect::<String>();
    let events: Vec<Event> = (0..40).map(|n| output(n * 100, &page(n))).collect();
    let made = Made::new();
    let recording = made.add(Plan { segment: 1, ..Plan::new((80, 24), &events) });
    let query = query("^[0-9]{6}$", true, Fields::of(&[Field::Screen]));
    for most in [10, 500, 10_000] {
        let options = Options { most, moments: false, ..Options::default() };
        let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
        let found = answer.found.unwrap();
        assert_eq!(found.hits.len() as u64 + found.more, 960, "{most} are kept");
    }
}

#[test]
fn around_a_hit_in_a_full_screen_program_is_what_stood_around_it() {
    let events = [
        output(0, "$ vim sshd_config\r\n"),
        output(500, "\x1b[?1049h\x1b[2J\x1b[H"),
        // From below, as an editor may draw it.
        output(600, "\x1b[3;1Hgamma line\x1b[2;1HPermitRootLogin yes\x1b[1;1Halpha line"),
        output(2000, "\x1b[24;1H:wq"),
        output(2500, "\x1b[?1049l$ less other\r\n"),
        output(3000, "\x1b[?1049h\x1b[2J\x1b[Hof another page"),
        output(5000, "\x1b[?1049l$ echo PermitRoot\r\n"),
        output(5100, "PermitRoot\r\n$ exit\r\n"),
        output(6000, "end"),
    ];
    let made = Made::new();
    for segment in [1, 100_000] {
        let recording = made.add(Plan { segment, ..Plan::new((80, 24), &events) });
        let query = query("PermitRoot", false, Fields::of(&[Field::Screen]));
        let options = Options { context: 3, ..Options::default() };
        let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
        let hits = answer.found.unwrap().hits;
        let told: Vec<_> =
            hits.iter().map(|hit| (hit.text.as_str(), hit.before.concat(), hit.after.concat())).collect();
        let expected = [
            ("PermitRootLogin yes", "alpha line", "gamma line"),
            ("$ echo PermitRoot", "$ vim sshd_config$ less other", "PermitRoot$ exitend"),
            ("PermitRoot", "$ vim sshd_config$ less other$ echo PermitRoot", "$ exitend"),
        ]
        .map(|(text, before, after)| (text, before.to_owned(), after.to_owned()));
        if segment > 1 {
            assert_eq!(told, expected);
        }
        assert_eq!(told[0], expected[0], "segments of {segment}");
    }
}

#[test]
fn how_long_a_line_stood_is_not_said_where_reading_stopped_before_it_went() {
    let many = "no more of it\r\n".repeat(3000);
    let events = [
        // The first line stays, the others scroll below it.
        output(0, "needle one\r\n\x1b[2;24r\x1b[2;1H"),
        output(300, "needle two\r\n"),
        output(900, &many),
        output(1700, &many),
        output(2500, "end"),
    ];
    let made = Made::new();
    for segment in [1, 1 << 20] {
        let recording = made.add(Plan { segment, ..Plan::new((80, 24), &events) });
        let stood = |limit: Option<usize>| {
            let query = query("needle", false, Fields::of(&[Field::Screen]));
            let options = Options { limit, ..Options::default() };
            let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
            let hits = answer.found.unwrap().hits;
            hits.into_iter().map(|hit| (hit.text, hit.stood)).collect::<Vec<_>>()
        };
        let told = |text: &str, ms: Option<u64>| (text.to_owned(), ms.map(Duration::from_millis));
        let all = stood(None);
        assert_eq!(all, [told("needle one", Some(2500)), told("needle two", Some(600))]);
        assert_eq!(stood(Some(1)), [told("needle one", None)], "segments of {segment}");
    }
}

#[test]
fn the_lines_around_a_hit_are_its_neighbours_where_a_segment_ends_too() {
    // Every fifth is blank, but for the last, which stand at the end.
    let lines: Vec<String> = (1000..4000u64)
        .map(|n| if n % 5 == 0 && n < 3900 { String::new() } else { format!("line {n}") })
        .collect();
    let text = lines.join("\r\n");
    // A segment ends wherever in a line; each begins with a screen.
    let parts: Vec<String> =
        text.as_bytes().chunks(5003).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
    let events: Vec<Event> = (0..).zip(&parts).map(|(n, part)| output(n * 1000, part)).collect();
    let made = Made::new();
    let recording = made.add(Plan { segment: 1, ..Plan::new((40, 8), &events) });
    let query = query("^line [0-9]{4}$", true, Fields::of(&[Field::Screen]));
    for context in [1, 3, 30] {
        let options = Options { context, ..Options::default() };
        let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
        let mut hits = answer.found.unwrap().hits;
        hits.sort_by_key(|hit| hit.text.clone());
        assert_eq!(hits.len(), lines.iter().filter(|line| !line.is_empty()).count());
        for hit in hits {
            let at = lines.iter().position(|line| *line == hit.text).unwrap();
            let told = |around: &[std::sync::Arc<str>]| around.join(";");
            assert_eq!(told(&hit.before), lines[at.saturating_sub(context)..at].join(";"), "{}", hit.text);
            let after = &lines[at + 1..lines.len().min(at + 1 + context)];
            assert_eq!(told(&hit.after), after.join(";"), "{}", hit.text);
        }
    }
}
