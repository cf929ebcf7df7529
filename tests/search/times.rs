//! The times of hits, and what is not read of recordings that are not meant.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event, Gap, Payload, Why};
use sealcast::container::Reader;
use sealcast::search::{Field, Fields, Options, Query, Style, Window};
use std::time::Duration;

#[test]
fn a_hit_has_the_time_of_its_own_line_whatever_stands_above_it() {
    let above = ["$ rm /etc/shadow", "# cat /etc/shadow", "$ cat /etc/shadow", "rm", "$ rm /etc/shadow.bak"];
    for (above, segment) in above.into_iter().flat_map(|text| [(text, 100_000), (text, 1)]) {
        let mut events = vec![output(100, &format!("{above}\r\n")), output(500, "$ ")];
        let typed = "rm /etc/shadow";
        // What is typed comes in the same millisecond as its echo, before it.
        events.push(Event::new(Duration::from_millis(5000), Payload::Input(b"r".to_vec())));
        for (n, c) in (0..).zip(typed.chars()) {
            events.push(output(5000 + 10 * n, &c.to_string()));
        }
        events.push(output(6000, "\r\n$ exit\r\n"));
        let made = Made::new();
        let recording = made.add(Plan { segment, ..Plan::new((80, 24), &events) });
        let fields = Fields::of(&[Field::Screen]);
        for (pattern, regex, stood) in [
            ("rm /etc/shadow", false, 5130),
            ("/etc", false, 5060),
            ("r[m]", true, 5010),
            // Since it can be found: what is found has grown since.
            (r"/\w+/\w+", true, 5080),
        ] {
            let style = Style { regex, ..Style::default() };
            let query = Query::text(pattern, style, fields).unwrap();
            let answer =
                made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
            let hits = answer.found.unwrap().hits;
            let line = hits.iter().filter(|hit| hit.text == "$ rm /etc/shadow");
            let times: Vec<_> = line.map(|hit| hit.time.unwrap().as_millis()).collect();
            // The very same line is one hit.
            let own = if above == "$ rm /etc/shadow" { [100] } else { [stood] };
            assert_eq!(times, own, "{pattern} under {above}, segments of {segment}: {hits:#?}");
        }
    }
}

#[test]
fn the_wall_clock_of_a_hit_is_that_of_its_segment() {
    let events = [output(1_000, "before\r\n"), output(20_000, "after\r\n"), output(20_500, "$ ")];
    let made = Made::new();
    // The host slept for an hour in between.
    let clock = |at: u64| 1_000_000 + i64::try_from(at).unwrap() + if at < 10_000 { 0 } else { 3_600_000 };
    let recording = made.add(Plan { segment: 1, clock, ..Plan::new((80, 24), &events) });
    for (text, utc) in [("before", 1_001_000), ("after", 4_620_000)] {
        let query = Query::text(text, Style::default(), Fields::of(&[Field::Screen])).unwrap();
        let answer = made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
        let found = answer.found.unwrap();
        assert_eq!(found.hits.iter().map(|hit| found.wall(hit.time)).collect::<Vec<_>>(), [utc], "{text}");
    }
}

#[test]
fn hits_are_asked_for_by_the_time_at_which_they_were_and_not_by_that_of_the_recording() {
    let events = [
        output(0, "$ "),
        output(1000, "needle one\r\n"),
        output(5000, "\x1b[H\x1b[2J$ "),
        output(9000, "needle two\r\n"),
        output(20_000, "end"),
    ];
    let ran = |start, end, text: &str| Command { text: text.into(), start, end, ..Command::default() };
    let commands = vec![
        ran(900, Some(1100), "needle --fast"),
        ran(8000, Some(9500), "needle --slow"),
        ran(12_000, None, "needle &"),
    ];
    let at = |ms: i64| 1_000_000 + ms;
    let clock = |at: u64| 1_000_000 + i64::try_from(at).unwrap();
    let now = jiff::Timestamp::UNIX_EPOCH;
    for segment in [1 << 20, 1] {
        let made = Made::new();
        let mut plan = Plan { segment, clock, commands: commands.clone(), ..Plan::new((80, 24), &events) };
        plan.header.start = at(0);
        let recordings = [made.add(plan)];
        let answer = |query: &str, from: Option<i64>, to: Option<i64>, first_only| {
            let query = Query::parse(query, Style::default(), Fields::EVERYWHERE, now).unwrap();
            let window = Window { from: from.map(at), to: to.map(at) };
            let answer = made
                .answers(&recordings, &query, &Options { window, first_only, ..Options::default() })
                .remove(0);
            assert_eq!(answer.fault, None);
            answer
        };
        let all = ["needle --fast", "$ needle one", "needle --slow", "$ needle two", "needle &"];
        for (from, to, told) in [
            (None, None, &all[..]),
            (Some(0), Some(20_000), &all),
            // The line that came then was begun before.
            (None, Some(950), &["needle --fast"]),
            (Some(2000), Some(4000), &["$ needle one"]),
            (Some(6000), Some(8500), &["needle --slow"]),
            (Some(10_000), Some(11_000), &["$ needle two"]),
            (Some(13_000), None, &["$ needle two"]),
            (Some(6000), Some(7000), &[]),
        ] {
            let found = answer("needle", from, to, false).found;
            let hits = found.as_ref().map(|found| found.hits.as_slice()).unwrap_or_default();
            let texts: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
            assert_eq!(texts, told, "{from:?} {to:?} {segment}");
            assert_eq!(answer("needle", from, to, true).found.is_some(), !told.is_empty());
            assert_eq!(answer("not needle", from, to, false).found.is_some(), told.is_empty());
        }
        // Facts and conditions hold of the whole, where it went on then; where it did not, it is not read.
        for (from, to, went_on) in
            [(Some(6000), Some(7000), true), (Some(25_000), None, false), (None, Some(0), false)]
        {
            for query in ["host:web-3", "meta:web-3", "not needle host:web-3"] {
                let answer = answer(query, from, to, false);
                assert_eq!(answer.found.is_some(), went_on, "{query} {from:?} {to:?}: {answer:?}");
                assert!(went_on || answer.read == 0);
            }
        }
    }
}

/// The times of hits, and what is said of what may be missing.
fn asked(made: &Made, recording: &sealcast::store::Found, text: &str, window: Window) -> (Vec<i64>, String) {
    let query = Query::text(text, Style::default(), Fields::of(&[Field::Screen])).unwrap();
    let options = Options { window, ..Options::default() };
    let answer = made.answers(std::slice::from_ref(recording), &query, &options).remove(0);
    let times = answer.found.map(|found| found.hits.iter().map(|hit| found.wall(hit.time)).collect());
    (times.unwrap_or_default(), answer.fault.unwrap_or_default())
}

#[test]
fn what_is_in_no_entry_yet_has_the_clock_of_its_own_segment() {
    let events = [output(1_000, "before\r\n"), output(20_000, "\x1b[H\x1b[2Jafter\r\n")];
    let made = Made::new();
    let clock = |at: u64| 1_000_000 + i64::try_from(at).unwrap() + if at < 10_000 { 0 } else { 3_600_000 };
    let boot = |at: u64| at + if at < 10_000 { 0 } else { 3_600_000 };
    let mut plan = Plan { segment: 10, clock, boot, killed: true, ..Plan::new((80, 24), &events) };
    plan.header.start = 1_000_000;
    // The first segment ends with the first line: the second is in no entry.
    plan.segment = 8;
    let recording = made.add(plan);
    let all = asked(&made, &recording, "after", Window::default());
    assert_eq!(all.0, [4_620_000], "{all:?}");
    let hour = |from, to| asked(&made, &recording, "after", Window { from: Some(from), to: Some(to) });
    assert_eq!(hour(4_600_000, 4_700_000).0, [4_620_000]);
    let early = hour(1_000_000, 1_100_000);
    assert_eq!(early.0, [0; 0], "{early:?}");
}

#[test]
fn what_a_regex_finds_in_a_line_was_there_before_the_line_grew() {
    let events = [
        output(0, "$ backup\r\n"),
        output(1000, "Backing up db1 ... "),
        output(7000, "done\r\n"),
        output(8000, "Backing up db2 ... "),
        output(9000, "done\r\n$ "),
    ];
    let made = Made::new();
    for segment in [1 << 20, 1] {
        let clock = |at: u64| i64::try_from(at).unwrap();
        let mut plan = Plan { segment, clock, ..Plan::new((80, 24), &events) };
        plan.header.start = 0;
        let recording = made.add(plan);
        for (pattern, to, told) in [
            ("^Backing up .*", None, &[1000, 8000][..]),
            ("^Backing up .*", Some(5000), &[1000]),
            ("^Backing up .*", Some(1000), &[]),
            (r"\.\.\.[a-z ]*", Some(8500), &[1000, 8000]),
            ("done|up db2", Some(8500), &[7000, 8000]),
        ] {
            let style = Style { regex: true, ..Style::default() };
            let query = Query::text(pattern, style, Fields::of(&[Field::Screen])).unwrap();
            let options = Options { window: Window { from: None, to }, ..Options::default() };
            let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
            let hits = answer.found.map(|found| found.hits).unwrap_or_default();
            let times: Vec<_> = hits.iter().map(|hit| hit.time.unwrap().as_millis()).collect();
            assert_eq!(times, told, "{pattern} before {to:?}, segments of {segment}: {hits:#?}");
        }
    }
}

#[test]
fn what_stands_in_a_line_longer_than_the_screen_has_the_time_at_which_it_came() {
    let json: String = (0..80).map(|n| format!("{{\"id\":{n},\"name\":\"user{n}\"}},")).collect();
    let (wide, zeros) = (format!("{:03000} KEYWORDX {:01500}", 0, 0), format!("{:0100} HIDEME ", 0));
    let above = "filler\r\n".repeat(30);
    for (size, above, line, more, texts) in [
        // Most of it has scrolled away before anybody saw it.
        (
            (80, 24),
            "$ cat one.json\r\n",
            &json,
            "echo later",
            &["{\"id\":0,", "\"user40\"", "\"user79\""][..],
        ),
        // It is told from the middle on.
        ((200, 50), "", &wide, " appended", &["KEYWORDX"]),
        ((80, 24), &above, &wide, " appended", &["KEYWORDX"]),
        // The beginning of a wrapped line has scrolled away.
        ((20, 5), &above, &zeros, "x", &["HIDEME"]),
    ] {
        let events = [
            output(0, above),
            output(200, line),
            output(6000, more),
            output(6050, "\r\n$ "),
            output(9000, "exit"),
        ];
        let made = Made::new();
        let mut plan = Plan { clock: |at| i64::try_from(at).unwrap(), ..Plan::new(size, &events) };
        plan.header.start = 0;
        let recording = made.add(plan);
        for text in texts {
            for (from, to, told) in
                [(None, None, true), (Some(1000), Some(3000), true), (None, Some(150), false)]
            {
                let (times, fault) = asked(&made, &recording, text, Window { from, to });
                let expected: &[i64] = if told { &[200] } else { &[] };
                assert_eq!((&times[..], &*fault), (expected, ""), "{text} {from:?} {to:?} {size:?}");
            }
        }
    }
}

#[test]
fn where_it_is_not_known_when_a_text_first_stood_it_may_have_while_its_line_did() {
    // It came and went at once, in a line that had begun before.
    let events = [
        output(0, "$ \r\nworking: "),
        output(5000, &format!("needle{}", "\r\nmore".repeat(30))),
        output(9000, "exit"),
    ];
    let made = Made::new();
    let mut plan = Plan { clock: |at| i64::try_from(at).unwrap(), ..Plan::new((80, 24), &events) };
    plan.header.start = 0;
    let recording = made.add(plan);
    for (from, to, told) in
        [(None, None, &[5000][..]), (Some(1000), Some(3000), &[5000]), (Some(5001), None, &[])]
    {
        let (times, _) = asked(&made, &recording, "needle", Window { from, to });
        assert_eq!(times, told, "{from:?} {to:?}");
    }
}

const EARLIER: i64 = -600_000_000_000;
const LATER: i64 = 300_000_000_000;

/// A clock that is set by so much for twenty seconds.
fn moved<const BY: i64>(at: u64) -> i64 {
    900_000_000_000 + i64::try_from(at).unwrap() + if (10_000..30_000).contains(&at) { BY } else { 0 }
}

#[test]
fn a_clock_that_was_set_back_hides_nothing_without_a_word() {
    let events = [
        output(1_000, "one\r\n"),
        output(20_000, "\x1b[H\x1b[2Jevil deed\r\n"),
        output(40_000, "\x1b[H\x1b[2Jafter\r\n"),
    ];
    // Twenty years earlier; ten years later, as if what follows went on until then.
    for (moved, clock) in [(EARLIER, moved::<EARLIER> as fn(u64) -> i64), (LATER, moved::<LATER>)] {
        for killed in [false, true] {
            let made = Made::new();
            let mut plan = Plan { segment: 1, clock, killed, ..Plan::new((80, 24), &events) };
            plan.header.start = 900_000_000_000;
            let recording = made.add(plan);
            let window = Window { from: Some(899_999_000_000), to: Some(900_001_000_000) };
            for text in ["evil deed", "nowhere"] {
                let (times, fault) = asked(&made, &recording, text, window);
                let told = fault.contains("clock was set") || killed && fault.contains("not closed");
                assert!(told, "{text} {moved} {killed}: {times:?} {fault}");
            }
            // Where no time is asked for there is nothing to be said of clocks.
            let (times, fault) = asked(&made, &recording, "evil deed", Window::default());
            assert!(
                times == [900_000_020_000 + moved] && !fault.contains("clock was set"),
                "{times:?} {fault}"
            );
        }
    }
}

#[test]
fn a_clock_that_was_set_forward_hides_nothing_without_a_word_and_sleep_is_none() {
    let clock =
        |at: u64| 900_000_000_000 + i64::try_from(at).unwrap() + if at < 10_000 { 0 } else { 3 * 3_600_000 };
    let slept = |at: u64| at + if at < 10_000 { 0 } else { 3 * 3_600_000 };
    for (set, goes_on) in [(true, false), (true, true), (false, false), (false, true)] {
        let (why, boot) =
            if set { (Why::Clock, (|at: u64| at) as fn(u64) -> u64) } else { (Why::Slept, slept as _) };
        let gap = Gap::new(why, "recorder", 0, "by 10800 s");
        let events = [
            output(1_000, "one\r\n"),
            Event::new(Duration::from_millis(20_000), Payload::Gap(gap)),
            output(20_000, "\x1b[H\x1b[2Jevil deed\r\n"),
        ];
        // While it goes on, what was shown then and the gap are in no entry.
        let made = Made::new();
        let mut plan = Plan { clock, boot, goes_on, ..Plan::new((80, 24), &events) };
        plan.segment = if goes_on { 5 } else { 1 };
        plan.header.start = 900_000_000_000;
        let recording = made.add(plan);
        for text in ["evil deed", "nowhere"] {
            let window = Window { from: Some(900_000_000_000), to: Some(900_000_060_000) };
            let (times, fault) = asked(&made, &recording, text, window);
            assert!(times.is_empty(), "{times:?}");
            assert_eq!(fault.contains("clock was set"), set, "{text} {goes_on}: {fault}");
        }
    }
}

#[test]
fn of_a_recording_that_is_not_meant_nothing_but_the_header_is_read() {
    let made = Made::new();
    let recording = made.add(Plan::new((80, 24), &[output(0, "text")]));
    // Nothing but the prologue and the header is left, so that whoever reads on notices.
    let whole = std::fs::read(&recording.path).unwrap();
    let header = Reader::open(std::io::Cursor::new(&whole)).unwrap().header().clone();
    let head = 16 + 16 + u32::from_le_bytes(whole[16 + 4..16 + 8].try_into().unwrap()) as usize;
    std::fs::write(&recording.path, &whole[..head]).unwrap();
    assert_eq!(recording.header(), Some(header));
    for (query, read_on) in
        [("text host:web-3", true), ("text host:other", false), ("text since:2999-01-01", false)]
    {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let query = Query::parse(query, Style::default(), Fields::EVERYWHERE, now).unwrap();
        let answer = made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
        assert_eq!((answer.fault.is_some(), answer.by_header), (read_on, !read_on), "{answer:?}");
    }
}
