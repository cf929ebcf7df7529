//! What is said where something would have cost too much to draw.

use crate::made::{Made, Plan, output};
use sealcast::cast::{Event, Payload};
use sealcast::search::{Field, Fields, Options, Query, Style};
use std::time::Duration;

#[test]
fn what_was_not_drawn_for_its_cost_is_not_denied() {
    let erased = format!("{}\x1b[HXXXXXXXXXXXXXXXX", "\x1b[2J".repeat(3300));
    let events = [
        output(0, "before\r\n"),
        Event::new(Duration::from_millis(1000), Payload::Input(b"typed\r".to_vec())),
        output(2000, &erased),
        output(3000, "\x1b[2J\x1b[Hdrop\x1b[Ctable\x1b[Cusers"),
        // From here on the recorder knows the screen again.
        output(4000, "\x1bcthe end\r\n"),
        output(5000, "$ "),
        output(6000, "exit"),
    ];
    let made = Made::new();
    for segment in [1 << 20, 1] {
        let recording = made.add(Plan { segment, ..Plan::new((200, 60), &events) });
        let asked = |text: &str, field: Field, first_only: bool| {
            let query = Query::text(text, Style::default(), Fields::of(&[field])).unwrap();
            let options = Options { first_only, ..Options::default() };
            let answer = made.answers(std::slice::from_ref(&recording), &query, &options).remove(0);
            (answer.found.is_some(), answer.fault)
        };
        for (text, first_only) in
            [("drop table users", false), ("drop table users", true), ("the end", false)]
        {
            let (found, fault) = asked(text, Field::Screen, first_only);
            let told = fault.as_ref().is_some_and(|why| why.contains("cost too much: from 0:02.0 on"));
            assert!(found == (text == "the end") && told, "{text}, segments of {segment}: {found} {fault:?}");
        }
        assert!(asked("before", Field::Screen, false).0);
        // What was typed is not drawn.
        for (text, found) in [("typed", true), ("nowhere", false)] {
            assert_eq!(asked(text, Field::Input, false), (found, None), "{text}");
        }
    }
}
