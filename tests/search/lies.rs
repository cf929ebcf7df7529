//! Indexes and keyframes that lie, of a recorder that can seal whatever it likes: what is found of it, and what is no lie.

use crate::corpus::long_session;
use crate::made::{Made, Plan, output};
use sealcast::cast::{Command, Event, Source};
use sealcast::container::{GivenUp, LeftOut, Meta, Reader};
use sealcast::search::audit::{Audit, Lie, audit};
use sealcast::search::{Field, Fields, Hit, Options, Query, Style};
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use sealcast::terminal::Terminal;
use std::time::Duration;

#[test]
fn filters_and_keyframes_that_lie_are_found_and_honest_ones_are_not() {
    let made = Made::new();
    let session = long_session();
    let lies = |plan: Plan<'_>| {
        let recording = made.add(plan);
        let mut reader = Reader::open(recording.open().unwrap()).unwrap();
        made.opener.open_content(&mut reader).unwrap();
        let audit = audit(&mut reader, 100, |_| ()).unwrap();
        assert_eq!(audit.differences, []);
        audit.lies
    };
    assert_eq!(lies(Plan::new(session.size(), &session.events)), []);
    // A filter that denies everything.
    let mut filter = vec![0; 2 + 64];
    (filter[0], filter[1]) = (0x11, 9);
    let found = lies(Plan { filter: Some(filter), ..Plan::new(session.size(), &session.events) });
    assert!(found.len() >= 3 && found.iter().all(|lie| matches!(lie, Lie::Filter { .. })), "{found:?}");
    // One that denies every row of digits, and nothing else.
    let mut filter = vec![0xff; 2 + 64];
    (filter[0], filter[1]) = (0x11, 9);
    filter.extend([0x22, 0]);
    let filling = "filling the rest of a line\r\n".repeat(1000);
    let events = [output(0, "id=0a1b2c3d\r\n"), output(1000, &filling), output(2000, &filling)];
    let found = lies(Plan { filter: Some(filter), segment: 20_000, ..Plan::new((80, 24), &events) });
    assert!(matches!(found.as_slice(), [Lie::Filter { line, .. }] if line == "id=0a1b2c3d"), "{found:?}");
    let found = lies(Plan { drawn: "forged", ..Plan::new(session.size(), &session.events) });
    assert!(found.iter().any(|lie| matches!(lie, Lie::Keyframe { .. })), "{found:?}");
    // Commands of which the shell told, with integration in force.
    let start = |ms, text: &str| {
        let mark = Mark::Start(Start { text: Some(text.into()), ..Start::default() });
        Event::new(Duration::from_millis(ms), Said::Mark(mark).payload())
    };
    let events = [output(0, "$ "), start(1000, "ls"), start(2000, "id"), output(3000, "end")];
    let ran = |start, text: &str| Command {
        text: text.into(),
        start,
        end: Some(start + 900),
        source: Source::Shell,
        ..Command::default()
    };
    for (commands, shell, expected) in [
        (vec![ran(1000, "ls"), ran(1999, "id")], "bash", vec![]),
        (vec![ran(1000, "ls")], "bash", vec![Lie::NoCommand { start: 2000, text: "id".into() }]),
        (vec![ran(1000, "ls")], "none: commands are inferred from the screen", vec![]),
        (
            vec![ran(1000, "rm"), ran(2000, "id")],
            "bash",
            vec![Lie::Command { start: 1000, text: "rm".into() }],
        ),
    ] {
        let in_force = [("shell-integration".to_owned(), shell.to_owned())].into();
        let meta = Meta { in_force, ..Meta::default() };
        assert_eq!(lies(Plan { commands, meta, ..Plan::new((80, 24), &events) }), expected);
    }
    // A line that the history did not take is no word of the shell's: which it was, the index alone knows. Elsewhere it is a lie.
    let unlisted = Mark::Start(Start { unlisted: true, ..Start::default() });
    let again = Event::new(Duration::from_millis(2000), Said::Mark(unlisted).payload());
    let events_again = [output(0, "$ "), start(1000, "ls"), again, output(3000, "end")];
    for (at, found) in [(2000, 0), (2500, 1)] {
        let commands = vec![ran(1000, "ls"), ran(at, "ls")];
        assert_eq!(lies(Plan { commands, ..Plan::new((80, 24), &events_again) }).len(), found, "{at}");
    }
    // A command that the index counts as left out is not one that it hides. One that was not run is a lie all the same.
    let meta = Meta { in_force: [("shell-integration".into(), "bash".into())].into(), ..Meta::default() };
    let left_out = LeftOut { commands: 1, ..LeftOut::default() };
    for (commands, expected) in [
        (vec![ran(1000, "ls")], vec![]),
        (vec![ran(1000, "rm")], vec![Lie::Command { start: 1000, text: "rm".into() }]),
    ] {
        let plan = Plan { commands, meta: meta.clone(), left_out, ..Plan::new((80, 24), &events) };
        assert_eq!(lies(plan), expected);
    }
}

#[test]
fn what_proves_nothing_and_no_recorder_writes_is_a_doubt() {
    let made = Made::new();
    let start = |ms, text: &str| {
        let mark = Mark::Start(Start { text: Some(text.into()), ..Start::default() });
        Event::new(Duration::from_millis(ms), Said::Mark(mark).payload())
    };
    let events =
        [output(0, "$ "), start(1000, "ls"), start(2000, "id"), start(2002, "who"), output(3000, "end")];
    let ran = |start, end, text: &str| {
        let (text, end) = (text.into(), Some(end));
        Command { text, start, end, source: Source::Shell, ..Command::default() }
    };
    let (ls, id, who) = (ran(1000, 1900, "ls"), ran(2000, 2002, "id"), ran(2001, 2900, "who"));
    let all = [ls.clone(), id.clone(), who.clone()];
    let gone = |start, text: &str| Lie::NoCommand { start, text: text.into() };
    let ends = |end, text: &str| Lie::End { start: 1000, end, text: text.into() };
    let late = Some(GivenUp::Late);
    for (commands, given_up, expected) in [
        (all.to_vec(), None, vec![]),
        (all.to_vec(), late, vec![]),
        // Another one began about then, which was told of as well.
        (vec![ls.clone(), id.clone()], None, vec![gone(2002, "who")]),
        (vec![ls.clone(), who.clone()], None, vec![gone(2000, "id")]),
        // The index says that it was late, which is no reason to have less but at the end.
        (vec![ls.clone()], late, vec![gone(2000, "id"), gone(2002, "who")]),
        (vec![ls.clone(), id.clone()], late, vec![gone(2002, "who")]),
        // One that says that it lacks commands is believed.
        (vec![ls], Some(GivenUp::Failed), vec![]),
        (vec![ran(1000, 999, "ls"), id.clone(), who.clone()], None, vec![ends(999, "ls")]),
        (vec![ran(1000, 3_603_001, "ls"), id.clone(), who.clone()], None, vec![ends(3_603_001, "ls")]),
        (vec![ran(1000, 3_603_000, "ls"), id, who], None, vec![]),
    ] {
        let meta = Meta { in_force: [("shell-integration".into(), "bash".into())].into(), ..Meta::default() };
        let recording = made.add(Plan { commands, meta, given_up, ..Plan::new((80, 24), &events) });
        let mut reader = Reader::open(recording.open().unwrap()).unwrap();
        made.opener.open_content(&mut reader).unwrap();
        let found = audit(&mut reader, 100, |_| ()).unwrap();
        assert_eq!(found, Audit { doubts: expected, ..Audit::default() });
    }
}

#[test]
fn a_keyframe_after_what_cost_too_much_is_compared_or_said_not_to_be() {
    let made = Made::new();
    let audited = |plan: Plan<'_>| {
        let recording = made.add(plan);
        let mut reader = Reader::open(recording.open().unwrap()).unwrap();
        made.opener.open_content(&mut reader).unwrap();
        audit(&mut reader, 100, |_| ()).unwrap()
    };
    let size = (200, 60);
    let filling = "filling the rest of a line\r\n".repeat(1000);
    let erased = "\x1b[2J".repeat(5000);
    let drawn = |text: &str| {
        let mut terminal = Terminal::new(size.0, size.1);
        terminal.feed(text.as_bytes());
        terminal.snapshot().unwrap()
    };
    // What would have cost too much is refused in the first segment; no recorder makes a keyframe then.
    let events = [output(0, &erased), output(1000, &filling), output(2000, &filling)];
    let plan = || Plan { segment: 20_000, ..Plan::new(size, &events) };
    assert_eq!(audited(plan()), Audit::default());
    let forged = || Plan { keyframe: Some(drawn("forged")), ..plan() };
    let found = audited(Plan { hides: true, ..forged() });
    assert_eq!(found.lies.first(), Some(&Lie::Keyframe { segment: 1 }), "{found:?}");
    // The index says that the screen was lost: one may have been made after a reset. It is told, and what follows goes on from it.
    let found = audited(forged());
    assert_eq!(found.unchecked, [1], "{found:?}");
    assert_eq!(found.lies, [Lie::Keyframe { segment: 2 }], "the third is not what follows from the second");
    // An honest one is made after a reset, by a recorder that has spent nothing since. What it could do and we cannot is no lie; where
    // we can do the same, it is compared.
    let after =
        |n: usize| format!("\x1bc{}\x1b[Hsecret\x1b[2J\x1b[Hx{}", "\x1b[2J".repeat(n), "\x1b[m".repeat(100));
    for (n, unchecked) in [(100, vec![]), (200, vec![3])] {
        let events =
            [output(0, &erased), output(1000, &filling), output(2000, &after(n)), output(3000, &filling)];
        let found = audited(Plan { segment: 600, ..Plan::new(size, &events) });
        assert_eq!(found, Audit { unchecked, ..Audit::default() }, "{n}");
    }
}

#[test]
fn what_another_generation_drew_is_no_lie_and_is_not_believed() {
    let made = Made::new();
    let filling = "filling the rest of a line\r\n".repeat(1000);
    let events: Vec<Event> = (0..5).map(|n| output(n * 1000, &format!("needle {n}\r\n{filling}"))).collect();
    let plan = || Plan { segment: 20_000, ..Plan::new((80, 24), &events) };
    let screen = Fields::of(&[Field::Screen]);
    let told = |hits: Vec<Hit>| hits.into_iter().map(|hit| (hit.time, hit.text)).collect::<Vec<_>>();
    let expected = told(made.hits(&made.add(plan()), "needle", screen));
    assert_eq!(expected.len(), 5);
    // A filter that denies everything, and keyframes that show something else.
    let mut filter = vec![0; 2 + 64];
    (filter[0], filter[1]) = (0x11, 9);
    for drawing in [0, sealcast::terminal::DRAWING + 1] {
        let filter = Some(filter.clone());
        let recording = made.add(Plan { filter, drawn: "forged", drawing, ..plan() });
        let mut reader = Reader::open(recording.open().unwrap()).unwrap();
        made.opener.open_content(&mut reader).unwrap();
        let found = audit(&mut reader, 100, |_| ()).unwrap();
        assert_eq!(found.lies, []);
        let of = |wanted: fn(&Lie) -> bool| found.differences.iter().filter(|lie| wanted(lie)).count();
        assert!(of(|lie| matches!(lie, Lie::Filter { .. })) >= 3, "{found:?}");
        assert!(of(|lie| matches!(lie, Lie::Keyframe { .. })) >= 3, "{found:?}");
        let query = Query::text("needle", Style::default(), screen).unwrap();
        let answer = made.answers(std::slice::from_ref(&recording), &query, &Options::default()).remove(0);
        assert_eq!((answer.fault, answer.unlike, answer.read), (None, true, reader.segments()));
        assert_eq!(told(answer.found.unwrap().hits), expected);
        assert_eq!(made.hits(&recording, "forged", screen).len(), 0);
    }
    // Of this generation it is believed, and `verify` finds the lie.
    let denying = made.add(Plan { filter: Some(filter), ..plan() });
    assert!(made.hits(&denying, "needle", screen).len() < expected.len());
}
