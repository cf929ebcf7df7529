//! What is found and where, what is passed over for it, and what is said of what cannot be searched.

use crate::corpus::{Session, long_session, sessions};
use crate::dice::Dice;
use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event, Exec, Payload};
use sealcast::container::{GivenUp, Header, LeftOut, Meta, Reader, frame};
use sealcast::search::{Condition, Field, Fields, Options, Query, Style};
use sealcast::store::Found;
use sealcast::terminal::Terminal;
use std::time::Duration;

fn step(terminal: &mut Terminal, payload: &Payload) {
    match payload {
        Payload::Output(bytes) => terminal.feed(bytes),
        Payload::Resize { cols, rows } => terminal.resize(*cols, *rows),
        _ => {}
    }
}

/// The screen as it stands at a time, wrapped rows joined, as a replay shows it.
fn screen_at(size: (u16, u16), events: &[Event], time: Duration) -> String {
    let mut terminal = Terminal::new(size.0, size.1);
    let ms = |time: Duration| (time.as_micros() + 500) / 1000;
    events.iter().take_while(|e| ms(e.time) <= ms(time)).for_each(|e| step(&mut terminal, &e.payload));
    joined(&terminal)
}

fn joined(terminal: &Terminal) -> String {
    let mut text = String::new();
    for row in 0..terminal.size().1 {
        text.push_str(&terminal.row_text(row));
        if !terminal.row_wraps(row) {
            text.push('\n');
        }
    }
    text
}

/// Strings that stood on the screen of a session, with the time at which they were seen.
fn strings(session: &Session, count: usize, dice: &mut Dice) -> Vec<String> {
    let mut moments: Vec<usize> = (0..count).map(|_| dice.below(session.events.len())).collect();
    moments.sort_unstable();
    let mut terminal = Terminal::new(session.cols, session.rows);
    let mut strings = Vec::new();
    let mut done = 0;
    for moment in moments {
        while done <= moment {
            step(&mut terminal, &session.events[done].payload);
            done += 1;
        }
        // Only what stands for a millisecond at least can be shown by a replay.
        let next = session.events.get(done).map(|event| event.time);
        let this = session.events[done - 1].time;
        let ms = |time: Duration| (time.as_micros() + 500) / 1000;
        if next.is_some_and(|next| ms(next) == ms(this)) {
            continue;
        }
        let screen = joined(&terminal);
        let lines: Vec<Vec<char>> = screen
            .lines()
            .map(|line| line.trim().chars().collect::<Vec<_>>())
            .filter(|line| line.len() >= 3)
            .collect();
        if lines.is_empty() {
            continue;
        }
        let line = &lines[dice.below(lines.len())];
        let from = dice.below(line.len() - 2);
        let len = (3 + dice.below(20)).min(line.len() - from);
        let text: String = line[from..from + len].iter().collect();
        if !text.trim().is_empty() {
            strings.push(text);
        }
    }
    strings
}

#[test]
fn a_thousand_strings_from_rendered_screens_are_found_where_a_replay_shows_them() {
    let made = Made::new();
    let mut dice = Dice(11);
    let mut tried = 0;
    let mut all: Vec<(Session, usize)> = sessions().into_iter().map(|session| (session, 95)).collect();
    all.push((long_session(), 10));
    for (session, count) in all {
        let recording = made.add(Plan::new(session.size(), &session.events));
        for text in strings(&session, count, &mut dice) {
            tried += 1;
            let hits = made.hits(&recording, &text, Fields::of(&[Field::Screen]));
            assert!(!hits.is_empty(), "{}: {text:?} is not found", session.name);
            let lower = text.to_lowercase();
            let shown = hits.iter().any(|hit| {
                let screen = screen_at(session.size(), &session.events, hit.time.unwrap());
                screen.contains(&text) || screen.to_lowercase().contains(&lower)
            });
            assert!(shown, "{}: {text:?} is not shown at any of {hits:#?}", session.name);
        }
    }
    assert!(tried >= 1000, "only {tried} strings");
}

#[test]
fn filters_are_there_and_pass_over_what_they_deny() {
    let made = Made::new();
    let session = long_session();
    let recording = made.add(Plan::new(session.size(), &session.events));
    let query = Query::text("xyzzyplugh", Style::default(), Fields::EVERYWHERE).unwrap();
    let answer = made.answers(&[recording], &query, &Options::default()).remove(0);
    assert!(answer.found.is_none() && answer.segments >= 5, "{answer:?}");
    assert!(answer.read <= 2, "{answer:?}");
}

#[test]
fn of_the_segments_of_a_log_only_that_is_read_which_showed_an_id() {
    let made = Made::new();
    let mixed = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let id = |n: u64| format!("{:08x}", mixed(n));
    let line = |n: u64| {
        let [a, b, c] = [3, 5, 7].map(|by| mixed(n * by) % 100_000);
        format!("Nov 25 15:{:02}:01 app[{a}]: {b} bytes in {c} ms, id={}\r\n", n / 60 % 60, id(n))
    };
    let events: Vec<Event> = (0..30)
        .map(|n| output(n * 1000, &(n * 1000..(n + 1) * 1000).map(line).collect::<String>()))
        .collect();
    let mut plan = Plan::new((80, 24), &events);
    plan.segment = 300_000;
    let recording = made.add(plan);
    let answer = |text: &str| {
        let query = Query::text(text, Style::default(), Fields::EVERYWHERE).unwrap();
        made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0)
    };
    for (text, hits) in
        [(format!("id={}", id(15_500)), 1), (format!("ID={}", id(15_500)), 0), (id(60_000), 0)]
    {
        let answer = answer(&text);
        assert_eq!(answer.found.as_ref().map_or(0, |found| found.hits.len()), hits, "{text}: {answer:?}");
        assert!(answer.segments >= 5 && answer.read * 2 < answer.segments, "{text}: {answer:?}");
    }
}

#[test]
fn what_stands_in_a_line_of_any_length_once_is_one_hit() {
    let made = Made::new();
    let long: String = (10_000..35_000).map(|n| format!("w{n}")).collect();
    let mut events = vec![output(0, "$ cat words\r\n")];
    let chunks = long.as_bytes().chunks(5000).map(|bytes| std::str::from_utf8(bytes).unwrap());
    events.extend((1..).zip(chunks).map(|(n, text)| output(n * 10, text)));
    events.push(output(60_000, "\r\n$ "));
    let recording = made.add(Plan { segment: 1_000_000, ..Plan::new((80, 24), &events) });
    // Some of which stand where it is cut.
    for word in (10_000..34_999).step_by(599) {
        let hits = made.hits(&recording, &format!("w{word}w"), Fields::of(&[Field::Screen]));
        assert_eq!(hits.len(), 1, "{word}");
    }
}

#[test]
fn what_grep_on_raw_bytes_cannot_find_is_found_and_what_was_never_visible_is_not() {
    let made = Made::new();
    let events = [
        output(0, "Perm\x1b[31mitRoot\x1b[0mLogin yes\r\n"),
        output(500, "\x1b[75Cwrapped at the margin\r\n"),
        output(1000, "$ pasw"),
        output(1300, "\x08\x08ssw"),
        output(1500, "d alice\r\n"),
        output(2000, "\x1b[?1049h\x1b[Hinside\x1b[2;1Hthe editor\x1b[1;8Hvim\x1b[3;4Hlate"),
        output(2500, "\x1b[3;1Hcol"),
        output(3000, "\x1b[?1049l"),
        output(
            3500,
            "\x1b]0;titlesecret\x07\x1b]8;;http://linksecret\x1b\\click\x1b]8;;\x1b\\\x1bPdcssecret\x1b\\\r\n",
        ),
        output(4000, "overdrawnsecret\rnothing to see   \r\n"),
        output(4500, "\x1b[8mconcealed\x1b[0m end\r\n"),
    ];
    let recording = made.add(Plan::new((80, 24), &events));
    let raw: Vec<u8> = events
        .iter()
        .flat_map(|e| if let Payload::Output(bytes) = &e.payload { bytes.clone() } else { Vec::new() })
        .collect();
    let raw = String::from_utf8(raw).unwrap();
    for (text, ms) in [
        ("PermitRootLogin", 0),
        ("wrapped at the margin", 500),
        ("passwd alice", 1500),
        ("inside vim", 2000),
        ("collate", 2500),
        ("nothing to see", 4000),
    ] {
        let hits = made.hits(&recording, text, Fields::of(&[Field::Screen]));
        assert_eq!(hits.len(), 1, "{text}: {hits:#?}");
        assert_eq!(hits[0].time, Some(Duration::from_millis(ms)), "{text}: {hits:#?}");
        assert_eq!(&hits[0].text[hits[0].at.clone()], text);
        assert!(
            text.starts_with("nothing") || text.starts_with("wrapped") || !raw.contains(text),
            "{text} is in the raw bytes"
        );
    }
    for text in ["titlesecret", "linksecret", "dcssecret", "overdrawnsecret", "1049", "[31m"] {
        assert!(raw.contains(text));
        assert!(made.hits(&recording, text, Fields::EVERYWHERE).is_empty(), "{text}");
    }
    let vim = made.hits(&recording, "the editor", Fields::of(&[Field::Screen]));
    assert_eq!(vim[0].stood, Some(Duration::from_millis(1000)));
}

#[test]
fn a_word_across_the_margin_is_found_in_a_pager_and_where_it_is_drawn_over() {
    let made = Made::new();
    let (page, line) = ("y".repeat(75), "q".repeat(75));
    let mut events = vec![
        output(500, &format!("\x1b[?1049h\x1b[H{page}pagerneedle and more\r\n:")),
        output(900, "\x1b[24;1Hhelp"),
        output(1500, "\x1b[?1049l"),
        output(2000, &format!("\x1b[5;1H{line}mainneedle")),
        output(3000, "\x1b[5;1Hsomething else\x1b[K"),
    ];
    events.extend((0..90).map(|n| output(4000 + n * 100, &format!("\x1b[9;1H{}", "filling ".repeat(100)))));
    let recording = made.add(Plan::new((80, 24), &events));
    for (text, came, stood) in [("pagerneedle", 500, 1000), ("mainneedle", 2000, 1000)] {
        let hits = made.hits(&recording, text, Fields::of(&[Field::Screen]));
        let times: Vec<_> =
            hits.iter().map(|h| (h.time.unwrap().as_millis(), h.stood.unwrap().as_millis())).collect();
        assert_eq!(times, [(came, stood)], "{text}: {hits:#?}");
    }
}

#[test]
fn redraws_are_one_hit_and_a_text_that_comes_again_later_is_another() {
    let made = Made::new();
    let mut events = Vec::new();
    for n in 0..20 {
        events.push(output(n * 500, &format!("\x1b[H\x1b[2Jload {n}\r\nneedle stands here\r\n")));
    }
    events.push(output(60_000, "\x1b[H\x1b[2J"));
    events.push(output(90_000, "needle stands here\r\n"));
    events.push(output(95_000, "end"));
    let recording = made.add(Plan::new((80, 24), &events));
    let hits = made.hits(&recording, "needle", Fields::of(&[Field::Screen]));
    let times: Vec<_> =
        hits.iter().map(|h| (h.time.unwrap().as_millis(), h.stood.unwrap().as_millis())).collect();
    assert_eq!(times, [(0, 60_000), (90_000, 5000)], "{hits:#?}");
}

#[test]
fn a_text_that_stands_across_segments_is_one_hit() {
    let made = Made::new();
    let mut events = vec![output(0, "needle\r\n")];
    for n in 1..30 {
        events.push(output(n * 1000, &format!("\x1b[5;1H{}", "filling ".repeat(2000))));
    }
    let mut plan = Plan::new((80, 24), &events);
    plan.segment = 100_000;
    let recording = made.add(plan);
    let hits = made.hits(&recording, "needle", Fields::of(&[Field::Screen]));
    assert_eq!(hits.len(), 1, "{hits:#?}");
    assert_eq!(
        (hits[0].time, hits[0].stood.unwrap().as_secs()),
        (Some(Duration::ZERO), 1),
        "it scrolls away"
    );
}

#[test]
fn commands_input_and_facts_are_fields_of_their_own() {
    let made = Made::new();
    let events = [
        output(0, "$ vim /etc/hosts\r\n"),
        Event::new(Duration::from_millis(900), Payload::Input(b"typedd\x7f text\r".to_vec())),
        output(1000, "127.0.0.1 localhost\r\n"),
        output(5000, "$ "),
    ];
    let mut plan = Plan::new((80, 24), &events);
    plan.commands = vec![Command {
        text: "vim /etc/hosts".into(),
        start: 100,
        end: Some(4000),
        exit: Some(3),
        ..Command::default()
    }];
    plan.meta = Meta { reason: "rotate hosts".into(), ticket: "OPS-7".into(), ..Meta::default() };
    let recording = made.add(plan);
    let found = |text: &str, fields: &[Field]| {
        let hits = made.hits(&recording, text, Fields::of(fields));
        hits.iter().map(|h| (h.field, h.text.clone(), h.exit)).collect::<Vec<_>>()
    };
    assert_eq!(
        found("hosts", &Field::ALL),
        [
            (Field::Meta, "rotate hosts".to_owned(), None),
            (Field::Screen, "$ vim /etc/hosts".to_owned(), None),
            (Field::Command, "vim /etc/hosts".to_owned(), Some(3)),
        ]
    );
    assert_eq!(found("typed text", &[Field::Input]).len(), 1);
    assert!(found("typed text", &[Field::Screen]).is_empty());
    let hit = made.hits(&recording, "localhost", Fields::EVERYWHERE).remove(0);
    assert_eq!(hit.command.as_deref(), Some("vim /etc/hosts"));
    assert_eq!((hit.time, hit.stood), (Some(Duration::from_secs(1)), Some(Duration::from_secs(4))));
}

#[test]
fn conditions_and_texts_combine_and_what_cannot_be_read_is_told() {
    let made = Made::new();
    for (n, (user, text)) in
        [("alice", "apple pear"), ("bob", "apple"), ("alice", "pear")].into_iter().enumerate()
    {
        let events = [output(0, text), output(3000, "\r\n")];
        let mut plan = Plan::new((80, 24), &events);
        plan.header = Header {
            user: user.into(),
            host: "web-3".into(),
            start: i64::try_from(n).unwrap() * 5000,
            ..Header::default()
        };
        made.add(plan);
    }
    let other = Made::new();
    let foreign = other.add(Plan::new((80, 24), &[output(0, "apple"), output(2000, "x")]));
    let mut recordings = made.store.list().unwrap();
    recordings.push(foreign);
    let search = |text: &str| {
        let now = "2026-11-22T14:03:12Z".parse().unwrap();
        let query = Query::parse(text, Style::default(), Fields::EVERYWHERE, now).unwrap();
        let answers = made.answers(&recordings, &query, &Options { workers: 2, ..Options::default() });
        assert!(answers[3].fault.as_ref().is_none_or(|why| why.contains("sealed to")), "{answers:?}");
        let found: Vec<bool> = answers.iter().map(|answer| answer.found.is_some()).collect();
        (found[..3].to_vec(), answers[3].fault.is_some())
    };
    assert_eq!(search("apple"), (vec![true, true, false], true));
    assert_eq!(search("apple and pear"), (vec![true, false, false], true));
    assert_eq!(search("apple not pear"), (vec![false, true, false], true));
    assert_eq!(search("apple user:bob"), (vec![false, true, false], false));
    assert_eq!(search("user:alice min-duration:2s"), (vec![true, false, true], true));
    assert_eq!(search("pear or user:bob"), (vec![true, true, true], true));
}

#[test]
fn a_damaged_segment_is_told_and_the_rest_is_searched() {
    let made = Made::new();
    let mut events = vec![output(0, "needle one\r\n")];
    for n in 1..40 {
        events.push(output(n * 1000, &format!("{n} {}\r\n", "filling ".repeat(1000))));
    }
    events.push(output(50_000, "needle two\r\n"));
    let recording = made.add(Plan::new((80, 24), &events));
    let mut bytes = std::fs::read(&recording.path).unwrap();
    let reader = Reader::open(std::io::Cursor::new(bytes.clone())).unwrap();
    assert!(reader.segments() >= 3);
    // Of the first segment, what is sealed of its content.
    let mut at = frame::PROLOGUE_LEN;
    let segment = loop {
        let head = bytes[at..at + frame::FRAME_LEN].try_into().unwrap();
        let chunk = frame::Frame::parse(&head, 0).unwrap();
        let end = at + usize::try_from(chunk.total()).unwrap();
        if chunk.kind == Some(frame::Kind::Seg) {
            break at..end;
        }
        at = end;
    };
    bytes[segment.end - 1] ^= 1;
    std::fs::write(&recording.path, bytes).unwrap();
    let query = Query::text("needle", Style::default(), Fields::EVERYWHERE).unwrap();
    let answer = made.answers(&[recording], &query, &Options::default()).remove(0);
    let found = answer.found.unwrap();
    assert!(answer.fault.is_some_and(|why| why.contains(&format!("at byte {} ", segment.start))));
    let hits: Vec<&str> = found.hits.iter().map(|hit| &*hit.text).collect();
    assert_eq!(hits, ["needle two"]);
}

#[test]
fn lines_around_dense_hits_are_all_there_and_take_no_more_than_there_is_room_for() {
    let made = Made::new();
    let query = Query::text("of many", Style::default(), Fields::of(&[Field::Screen])).unwrap();
    let found = |lines: usize, context| {
        let text: String = (0..lines).map(|n| format!("line {n} of many\r\n")).collect();
        let recording = made.add(Plan::new((80, 24), &[output(0, &text), output(1000, "end")]));
        let options = Options { context, ..Options::default() };
        made.answers(std::slice::from_ref(&recording), &query, &options).remove(0).found.unwrap()
    };
    let some = found(400, 100);
    for (n, hit) in some.hits.iter().enumerate() {
        // The last line, of the end, is none of them.
        assert_eq!((hit.before.len(), hit.after.len()), (n.min(100), (400 - n).min(100)), "{n}");
        assert!(
            hit.after.first().is_none_or(|line| n == 399 || **line == *format!("line {} of many", n + 1))
        );
    }
    // Not even pointers to them.
    let many = found(9_500, 255);
    let pointers: usize = many.hits.iter().map(|hit| hit.before.len() + hit.after.len()).sum();
    assert!(pointers * size_of::<&str>() < 65 << 20, "{pointers}");
    assert_eq!(many.hits.len() as u64 + many.more, 9_500);
    assert!(many.more > 0 && many.hits.iter().rev().take(300).all(|hit| hit.after.len() == 255));
}

#[test]
fn a_text_is_found_behind_more_hits_of_another_than_are_kept() {
    let made = Made::new();
    let text: String = (0..50).map(|n| format!("alpha {n}\r\n")).collect();
    let events = [output(0, &text), output(500, "beta\r\n"), output(1000, "end")];
    let recording = made.add(Plan::new((80, 24), &events));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let query = Query::parse("alpha and beta", Style::default(), Fields::of(&[Field::Screen]), now).unwrap();
    for (most, context, first_only) in [(10, 0, false), (10, 3, false), (10, 0, true)] {
        let options = Options { most, context, first_only, ..Options::default() };
        let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
        let found = answer.found.unwrap_or_else(|| panic!("{most} {context} {first_only}"));
        assert!(found.hits.len() <= most);
    }
}

#[test]
fn hits_can_be_limited_counted_and_given_context() {
    let made = Made::new();
    let text: String = (0..500).map(|n| format!("line {n} of many\r\n")).collect();
    let recording = made.add(Plan::new((80, 24), &[output(0, &text), output(1000, "end")]));
    let query = Query::text("of many", Style::default(), Fields::of(&[Field::Screen])).unwrap();
    let options = Options { most: 10, context: 2, ..Options::default() };
    let found = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0).found.unwrap();
    assert_eq!((found.hits.len(), found.more), (10, 490));
    assert_eq!(found.hits[5].before.join("; "), "line 3 of many; line 4 of many");
    assert_eq!(found.hits[5].after.join("; "), "line 6 of many; line 7 of many");
    let options = Options { first_only: true, ..Options::default() };
    let answer = made.answers(&[recording], &query, &options).remove(0);
    assert!(answer.found.is_some());
}

#[test]
fn the_lines_around_the_last_hit_that_is_wanted_are_its_neighbours() {
    let made = Made::new();
    let text: String = (0..6000).map(|n| format!("line {n}\r\n")).collect();
    let recording = made.add(Plan::new((80, 24), &[output(0, &text), output(1000, "end")]));
    let query = Query::text("line 500", Style::default(), Fields::of(&[Field::Screen])).unwrap();
    for limit in [1, 2, 5] {
        let options = Options { context: 3, limit: Some(limit), ..Options::default() };
        let found = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0).found.unwrap();
        for hit in &found.hits {
            let number: u32 = hit.text.trim_start_matches("line ").parse().unwrap();
            let lines = |numbers: std::ops::Range<u32>| {
                numbers.map(|n| format!("line {n}")).collect::<Vec<_>>().join("; ")
            };
            assert_eq!(hit.before.join("; "), lines(number - 3..number), "{limit}");
            assert_eq!(hit.after.join("; "), lines(number + 1..number + 4), "{limit}");
        }
    }
}

#[test]
fn the_same_is_found_in_the_same_order_however_many_work_and_whatever_the_limit() {
    let made = Made::new();
    let log = |number: u64| {
        let line = |n: u64| match n % 97 {
            0 => format!("{n} \x1b[1merror\x1b[0m of recording {number}\r\n"),
            _ => format!("{n} all is well, here as there, and {} times\r\n", n * 7919 % 1000),
        };
        let part = |n: u64| output(n * 100, &(n * 500..(n + 1) * 500).map(line).collect::<String>());
        let events: Vec<Event> = (0..24).map(part).collect();
        let mut plan = Plan::new((80, 24), &events);
        plan.segment = 60_000;
        plan.header.start = i64::try_from(number).unwrap() * 1000;
        made.add(plan)
    };
    let mut recordings: Vec<Found> = (1..=5).map(log).collect();
    // One that cannot be opened, and one that has nothing.
    recordings.insert(2, Found { name: None, path: recordings[0].path.with_extension("gone"), stray: false });
    recordings.insert(3, made.add(Plan::new((80, 24), &[output(0, "nothing to see")])));
    let query = Query::text("error", Style::default(), Fields::of(&[Field::Screen])).unwrap();
    let found = |options: &Options| {
        let answers = made.answers(&recordings, &query, options);
        let told = answers.len();
        let hits = answers.into_iter().filter_map(|answer| answer.found).flat_map(|found| found.hits);
        (hits.map(|hit| (hit.time, hit.text)).collect::<Vec<_>>(), told)
    };
    let (all, told) = found(&Options { workers: 1, ..Options::default() });
    assert_eq!((all.len(), told), (5 * 124, 7));
    for workers in [1, 2, 5] {
        assert_eq!(found(&Options { workers, ..Options::default() }), (all.clone(), told), "{workers}");
        for (limit, recordings) in [(1, 1), (100, 1), (124, 1), (125, 2), (300, 5), (5 * 124, 7), (9999, 7)] {
            let (hits, told) = found(&Options { workers, limit: Some(limit), ..Options::default() });
            assert_eq!(told, recordings, "{workers} for {limit}");
            assert!(
                hits.len() >= limit.min(all.len()) && all.starts_with(&hits),
                "{workers} for {limit}: {hits:?}"
            );
        }
    }
}

#[test]
fn where_the_index_was_given_up_nothing_is_denied() {
    let made = Made::new();
    let session = long_session();
    let text = strings(&session, 20, &mut Dice(3)).remove(0);
    let honest = made.add(Plan::new(session.size(), &session.events));
    let times = |recording: &Found| {
        let hits = made.hits(recording, &text, Fields::of(&[Field::Screen]));
        hits.iter().map(|hit| hit.time).collect::<Vec<_>>()
    };
    let query =
        |text: &str, fields: &[Field]| Query::text(text, Style::default(), Fields::of(fields)).unwrap();
    let expected = times(&honest);
    assert!(!expected.is_empty());
    for (reason, fault) in [(GivenUp::Flood, false), (GivenUp::Late, false), (GivenUp::Failed, true)] {
        let plan = Plan { given_up: Some(reason), ..Plan::new(session.size(), &session.events) };
        let recording = made.add(plan);
        let mut reader = Reader::open(recording.open().unwrap()).unwrap();
        made.opener.open_index(&mut reader).unwrap();
        assert!(reader.entries().iter().all(|entry| entry.given_up == Some(reason)));
        assert_eq!(times(&recording), expected, "{reason:?}");
        let answer = |query: &Query| {
            made.answers(std::slice::from_ref(&recording), query, &Options::default()).remove(0)
        };
        // A command may have been run of which nothing is known.
        let told = answer(&query("xyzzyplugh", &[Field::Command]));
        assert_eq!((told.fault.is_some(), told.found.is_some()), (fault, false), "{told:?}");
        assert_eq!(answer(&query("xyzzyplugh", &[Field::Screen])).fault, None);
    }
}

#[test]
fn where_programs_or_arguments_were_left_out_nothing_is_denied() {
    let made = Made::new();
    let events = [output(0, "hello\r\n"), output(1000, "end")];
    let query = |field| Query::text("xyzzyplugh", Style::default(), Fields::of(&[field])).unwrap();
    for (left_out, fault) in [
        (LeftOut::default(), false),
        (LeftOut { programs: 1, ..LeftOut::default() }, true),
        (LeftOut { shortened: 1, ..LeftOut::default() }, true),
        (LeftOut { commands: 1, ..LeftOut::default() }, true),
    ] {
        let recording = made.add(Plan { left_out, ..Plan::new((80, 24), &events) });
        let answer = |field| {
            made.answers(std::slice::from_ref(&recording), &query(field), &Options::default()).remove(0)
        };
        for field in [Field::Command, Field::Exec] {
            assert_eq!(answer(field).fault.is_some(), fault, "{left_out:?}");
        }
        assert_eq!(answer(Field::Screen).fault, None, "{left_out:?}");
    }
}

#[test]
fn a_query_asks_for_commands_as_the_flag_does_also_for_what_a_script_ran() {
    let made = Made::new();
    let exec = Exec {
        argv: ["sed", "-n", "1p"].map(str::to_owned).to_vec(),
        path: "/usr/bin/sed".into(),
        ..Exec::default()
    };
    let script = Command { text: "./script".into(), execs: vec![exec], ..Command::default() };
    let events = [output(0, "hello\r\n"), output(1000, "end")];
    let recording = made.add(Plan { commands: vec![script], ..Plan::new((80, 24), &events) });
    let now = Default::default();
    let found = |query: &Query| {
        let answer = made.answers(std::slice::from_ref(&recording), query, &Options::default()).remove(0);
        assert_eq!(answer.fault, None);
        answer.found.map(|found| found.hits.iter().map(|hit| hit.field).collect::<Vec<_>>())
    };
    let parse = |text: &str, fields| Query::parse(text, Style::default(), fields, now).unwrap();
    let asked = |text: &str| found(&parse(text, Fields::EVERYWHERE));
    let flag = Condition::parse("command", "sed -n", now).unwrap();
    assert!(found(&Query::conditions([flag])).is_some());
    assert_eq!(asked("command:\"sed -n\""), Some(vec![Field::Exec]));
    assert_eq!(asked("command:/s[e]d/"), Some(vec![Field::Exec]));
    assert_eq!(asked("command:script"), Some(vec![Field::Command]));
    assert_eq!(asked("hello not command:sed"), None);
    assert_eq!(asked("hello not command:awk"), Some(vec![Field::Screen]));
    // The field alone.
    assert_eq!(found(&parse("sed", Fields::of(&[Field::Command]))), None);
}

#[test]
fn where_a_line_or_arguments_were_cut_nothing_is_denied() {
    let made = Made::new();
    let events = [output(0, "hello\r\n"), output(1000, "end")];
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let exec = |argv: &[&str]| Exec { argv: words(argv), path: "/bin/sh".into(), ..Exec::default() };
    let cut = "cut: only the beginning of the line is kept";
    let command = |flag: &str, argv: &[&str]| Command {
        text: "sh -c".into(),
        flags: if flag.is_empty() { Vec::new() } else { words(&[flag]) },
        execs: vec![exec(argv)],
        ..Command::default()
    };
    let old = format!("{}…", "x".repeat(4096));
    for (what, command, argv, of_commands, of_facts) in [
        ("nothing", command("", &["sh", "… more"]), words(&["sh", "-c", "…"]), false, false),
        ("the line", command(cut, &["sh"]), words(&["sh"]), true, false),
        ("arguments", command("", &["sh", "… 9 more bytes"]), words(&["sh"]), true, false),
        ("the session's", command("", &["sh"]), words(&["sh", "… 9 more bytes"]), true, true),
        // As recorders cut them once.
        ("a word", command("", &["sh"]), words(&["sh", "-c", &old]), true, true),
        ("words", command("", &["sh"]), [vec!["x".repeat(1000); 65], words(&["…"])].concat(), true, true),
    ] {
        let meta = Meta { argv, ..Meta::default() };
        let recording = made.add(Plan { commands: vec![command], meta, ..Plan::new((80, 24), &events) });
        let answer = |query: &Query| {
            made.answers(std::slice::from_ref(&recording), query, &Options::default()).remove(0)
        };
        for (field, faulty) in [
            (Field::Command, of_commands),
            (Field::Exec, of_commands),
            (Field::Meta, of_facts),
            (Field::Screen, false),
            (Field::Input, false),
        ] {
            let query = Query::text("xyzzyplugh", Style::default(), Fields::of(&[field])).unwrap();
            let answer = answer(&query);
            assert_eq!(
                (answer.fault.is_some(), answer.found.is_some()),
                (faulty, false),
                "{what}, {field:?}"
            );
        }
        let now = Default::default();
        let query = |text| Query::parse(text, Style::default(), Fields::EVERYWHERE, now).unwrap();
        assert_eq!(answer(&query("command:xyzzyplugh")).fault.is_some(), of_commands, "{what}");
        assert!(answer(&query("command:sh")).found.is_some(), "{what}");
    }
}

#[test]
fn behind_a_segment_that_cannot_be_read_the_search_goes_on_from_the_next_screen_that_is_known() {
    let made = Made::new();
    let filling = "filling the rest of a line\r\n".repeat(1000);
    let events: Vec<_> = (0..5).map(|n| output(n * 1000, &format!("{filling}needle {n}\r\n"))).collect();
    let recording = made.add(Plan { each: 5, ..Plan::new((80, 24), &events) });
    let whole = std::fs::read(&recording.path).unwrap();
    let mut reader = Reader::open(recording.open().unwrap()).unwrap();
    made.opener.open_content(&mut reader).unwrap();
    let entries = reader.entries();
    assert!(entries.len() == 5 && entries[1..].iter().all(|entry| !entry.tally.keyframes.is_empty()));
    for damaged in [&[1][..], &[1, 2], &[0], &[1, 3]] {
        let mut bytes = whole.clone();
        for segment in damaged {
            bytes[usize::try_from(entries[*segment].offset).unwrap() + 40] ^= 1;
        }
        std::fs::write(&recording.path, bytes).unwrap();
        let query = Query::text("needle", Style::default(), Fields::of(&[Field::Screen])).unwrap();
        let answer = made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
        let place = format!("at byte {} ", entries[damaged[0]].offset);
        assert!(answer.fault.is_some_and(|fault| fault.contains(&place)), "{damaged:?}");
        let hits = answer.found.unwrap().hits;
        let found: Vec<usize> =
            (0..5).filter(|n| hits.iter().any(|hit| hit.text.contains(&format!("needle {n}")))).collect();
        let expected: Vec<usize> = (0..5).filter(|n| !damaged.contains(n)).collect();
        // What stood at the start of a segment behind one may be from inside it: a keyframe tells.
        assert!(expected.iter().all(|n| found.contains(n)), "{damaged:?}: {found:?}");
    }
}
