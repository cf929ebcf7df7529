//! What was typed is found wherever it was torn: where a segment ends, and in a line of any length.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Event, Payload};
use sealcast::container::Reader;
use sealcast::search::audit::audit;
use sealcast::search::{Field, Fields, Options, Query, Style};
use std::time::Duration;

fn input(ms: u64, text: &str) -> Event {
    Event::new(Duration::from_millis(ms), Payload::Input(text.as_bytes().to_vec()))
}

fn typed() -> Fields {
    Fields::of(&[Field::Input])
}

/// Output that ends a segment and makes its filter worth keeping, and holds nothing that is looked for.
fn filling(ms: u64) -> Event {
    output(ms, &format!("filling {ms} of the screen\r\n").repeat(400))
}

#[test]
fn a_line_that_goes_on_where_a_segment_ends_is_found_whole() {
    let fields = typed();
    let typed = ["ls\r", "echo IMP", "", "ORT", "ANTF", "ILE\rpwd\rsudo vi", "", "", "po\r", "uptime\r"];
    let events: Vec<Event> = (1u64..)
        .zip(typed)
        .flat_map(|(n, text)| {
            let typed = (!text.is_empty()).then(|| input(n * 1000, text));
            typed.into_iter().chain([filling(n * 1000 + 500)])
        })
        .collect();
    let made = Made::new();
    let recording = made.add(Plan { segment: 1, ..Plan::new((80, 24), &events) });
    let mut reader = Reader::open(recording.open().unwrap()).unwrap();
    made.opener.open_content(&mut reader).unwrap();
    assert_eq!(reader.segments(), typed.len());
    let filters = reader.entries().iter().filter(|entry| !entry.filter.is_empty()).count();
    assert_eq!(filters, typed.len(), "the filters are asked");
    let found = audit(&mut reader, 100, |_| ()).unwrap();
    assert_eq!((found.lies, found.differences), (vec![], vec![]));
    for (text, line, first) in [
        ("IMPORTANTFILE", "echo IMPORTANTFILE", 2000),
        ("echo IMPORTANTFILE", "echo IMPORTANTFILE", 2000),
        ("ANTFILE", "echo IMPORTANTFILE", 2000),
        ("visudo", "sudo vipo", 0),
        ("vipo", "sudo vipo", 6000),
        ("uptime", "uptime", 10_000),
    ] {
        let query = Query::text(text, Style::default(), fields).unwrap();
        let answer = made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
        assert!(answer.read < reader.segments() / 2, "{text}: {} segments were read", answer.read);
        let hits = answer.found.map_or_else(Vec::new, |found| found.hits);
        let told: Vec<_> = hits.iter().map(|hit| (hit.text.as_str(), hit.time)).collect();
        let expected = (first > 0).then_some((line, Some(Duration::from_millis(first))));
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{text}");
    }
    // What stands in the part that was told where its segment ended is not told again of the rest of the line.
    for (text, count) in [("echo IMP", 1), ("sudo", 1)] {
        let hits = made.hits(&recording, text, fields);
        assert_eq!(hits.len(), count, "{text}: {hits:?}");
    }
}

#[test]
fn every_word_of_a_very_long_line_is_found() {
    let word = |n: usize| format!("TOKEN-{n:06}-Z");
    let line: String = (0..8000).map(|n| word(n) + " ").collect();
    // Piped in; a terminal takes no such line.
    let events: Vec<Event> = (0u64..)
        .zip(line.as_bytes().chunks(4096))
        .map(|(ms, piece)| input(ms, std::str::from_utf8(piece).unwrap()))
        .chain([output(5000, "done\r\n")])
        .collect();
    let made = Made::new();
    let recording = made.add(Plan::new((80, 24), &events));
    for n in [0, 1, 1090, 1091, 1092, 2183, 2184, 2185, 3275, 3276, 3277, 7999] {
        assert_eq!(made.hits(&recording, &word(n), typed()).len(), 1, "{n}");
    }
}
