//! The times of hits, and what is not read of recordings that are not meant.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Event, Payload};
use sealcast::container::Reader;
use sealcast::search::{Field, Fields, Options, Query, Style};
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
            (r"/\w+/\w+", true, 5130),
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
