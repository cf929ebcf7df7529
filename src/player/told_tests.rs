//! What the player says of where it is, and of what is over: an investigator takes silence for a yes.

use super::app::{App, Depth, Effect, Integrity, Message, Over, Title};
use super::hits::NOT_SEARCHED;
use super::tests::{self, drawn, ms, rest, types};
use super::view;
use crate::cast::{Anchor, Command, Event, Gap, Payload, Trust, Why};
use crate::replay::{Error, Memory, Outline, Segment, Source};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Asks for an export with this instead of the range that is offered.
fn exports(app: &mut App<Memory>, range: &str) -> Vec<Effect> {
    assert_eq!(types(app, "e"), []);
    app.update(Message::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    types(app, range)
}

#[test]
fn a_time_outside_is_said_to_be_and_the_nearest_is_shown() {
    // From 14:03:12 to 15:03:12, UTC.
    for (text, at, told) in [
        ("99:00:00", 3_600_100, "it ends at 1:00:00.1, before 99:00:00.0"),
        ("0:99:00", 3_600_100, "it ends at 1:00:00.1, before 1:39:00.0"),
        ("23:59Z", 3_600_100, "it ends at 15:03:12Z, before 23:59:00Z"),
        ("12:00Z", 0, "it began at 14:03:12Z, after 12:00:00Z"),
        ("2026-11-20 00:00", 0, "it began at 2026-11-22 14:03:12Z, after 2026-11-20 00:00:00Z"),
    ] {
        let mut app = tests::app();
        types(&mut app, &format!("5:{text}\n"));
        rest(&mut app);
        let note = app.note.clone();
        assert_eq!((app.replay.time(), note), (ms(at), Some((told.to_string(), true))), "{text}");
        let begun = tests::app().at_typed(text).unwrap();
        assert_eq!(begun.note, Some((told.to_string(), true)), "{text}");
        // What begins outside cannot be exported; what reaches over the end ends there.
        let mut app = tests::app();
        assert_eq!(exports(&mut app, &format!("{text}..50% x\n")), [], "{text}");
        assert_eq!(app.note, Some((told.to_string(), true)), "{text}");
    }
    let mut app = tests::app();
    let asked = exports(&mut app, "50%..99:00:00\n");
    let [Effect::Export { from, to, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((*from, *to), (ms(1_800_050), ms(3_600_100)));
    types(&mut app, ":14:03Z\n");
    assert_eq!(app.note, None);
    assert!(tests::app().at_typed("noon").is_err());
}

#[test]
fn what_the_program_said_is_not_heard_again_on_the_way_back() {
    let output = |at, text: &str| Event::new(ms(at), Payload::Output(text.as_bytes().to_vec()));
    let events = vec![
        output(0, "$ vim"),
        output(3100, "\x1b[c"),
        output(9000, "one"),
        output(10_000, "two"),
        output(11_000, "three"),
    ];
    let memory = Memory::new((80, 24), None, events, 1_000_000);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    types(&mut app, ":10\n");
    rest(&mut app);
    assert_eq!(
        (app.replay.time(), app.heard.len()),
        (ms(10_000), 0),
        "what is gone over in a jump is not heard"
    );
    types(&mut app, ",");
    rest(&mut app);
    assert_eq!((app.replay.time(), heard(&app)), (ms(9000), Vec::new()));
    // Forward, each frame has what came in it.
    types(&mut app, "g.");
    rest(&mut app);
    let asked = vec![(ms(3100), "asked: DA1".to_owned())];
    assert_eq!((app.replay.time(), heard(&app)), (ms(3100), asked.clone()));
    types(&mut app, "..");
    assert_eq!((app.replay.time(), heard(&app)), (ms(10_000), asked));
}

#[test]
fn a_line_that_was_typed_after_hours_has_the_time_at_which_it_was() {
    let events = [(1000, "$ "), (2000, "rm a"), (2100, "\r\n$ "), (7_201_000, "rm -rf /srv\r\n$ ")];
    let events = events.map(|(at, text)| Event::new(ms(at), Payload::Output(text.into())));
    let memory = Memory::new((80, 24), None, events.to_vec(), 1_000_000);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    types(&mut app, "/rm\n");
    rest(&mut app);
    assert_eq!(app.replay.time(), ms(2000));
    for (list, first) in [("h", "0:02.0    $ rm a"), ("t", "0:01.0  – 0:02.0    $ rm a")] {
        types(&mut app, "g");
        rest(&mut app);
        types(&mut app, list);
        rest(&mut app);
        let shown = drawn(&mut app, 80, 24).0;
        for line in [first, "0:02.1  – 2:00:01.0    $ rm -rf /srv"] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        types(&mut app, "j\n");
        rest(&mut app);
        assert_eq!(app.replay.time(), ms(7_201_000), "{list}");
    }
}

#[test]
fn a_line_in_pieces_is_told_once_in_the_transcript() {
    let long: String = (10_000..40_000).map(|n| n.to_string()).collect();
    let events = [Event::new(ms(0), Payload::Output(long.clone().into_bytes()))];
    let memory = Memory::new((40, 3), None, events.to_vec(), 1_000_000);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    types(&mut app, "t");
    rest(&mut app);
    let shown = drawn(&mut app, 80, 24).0;
    let begins = shown.lines().filter_map(|line| line.split_once("0:00.0    ").map(|(_, text)| &text[..40]));
    let at: Vec<usize> = begins.map(|text| long.find(text).unwrap()).collect();
    // Rows to 64 KiB; where they end the next ones begin.
    assert_eq!(at.get(..2), Some(&[0, 65_560][..]), "{shown}");
}

fn heard(app: &App<Memory>) -> Vec<(Duration, String)> {
    app.heard.iter().map(|heard| (heard.time, heard.text.clone())).collect()
}

#[test]
fn a_stretch_that_is_played_twice_was_heard_once() {
    let events = [(100, "\x07"), (100, "\x07\x07"), (1030, "\x1b[c"), (1050, "\x07"), (2000, "the end")];
    let events = events.map(|(at, text)| Event::new(ms(at), Payload::Output(text.into())));
    for segment in [1, 1_000_000] {
        let memory = Memory::new((80, 24), None, events.to_vec(), segment);
        let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
        let bell = |at| (ms(at), "bell".to_owned());
        let all = vec![bell(100), bell(100), bell(100), (ms(1030), "asked: DA1".to_owned()), bell(1050)];
        // Another tick each time, a beginning within, and a frame at a time.
        for (from, tick) in [("g", 30), ("g", 700), (":0:01\n", 40), ("g", 3000)] {
            types(&mut app, from);
            rest(&mut app);
            app.playing = true;
            while app.playing {
                let _ = app.update(Message::Tick(ms(tick)));
            }
            let mut told = heard(&app);
            told.sort();
            assert_eq!(told.len(), all.len(), "{segment} {from:?} {tick}: {told:?}");
        }
        types(&mut app, "g.....");
        rest(&mut app);
        assert_eq!(heard(&app), all, "{segment}");
    }
}

#[test]
fn the_signs_of_the_timeline_are_in_the_help_where_they_are_not_beside_it() {
    for width in [80, 120] {
        let mut app = tests::app();
        let legend = "◆ hit ● mark ↕ resize ! gap · idle";
        assert_eq!(drawn(&mut app, width, 24).0.contains(legend), width == 120);
        types(&mut app, "H");
        let (help, _) = drawn(&mut app, width, 24);
        assert!(help.lines().nth(1).is_some_and(|title| title.contains(legend)), "{help}");
    }
}

#[test]
fn a_note_that_does_not_fit_says_that_it_goes_on() {
    let mut app = tests::app();
    for (note, width, end) in [
        ("0:00.0 to 0:10 written to part.txt; 1 time input was withheld", 62, "input was withheld"),
        ("0:00.0 to 0:10 written to part.txt; 1 time input was withheld", 61, "input was withhe…"),
        ("0:00.0 to 0:10 written to 世界.txt", 29, " written to …"),
        ("0:00.0 to 0:10 written to 世界.txt", 30, " to 世…"),
    ] {
        app.note = Some((note.to_owned(), false));
        let (screen, _) = drawn(&mut app, width, 24);
        let last = screen.lines().last().unwrap_or_default().trim_end();
        assert!(last.ends_with(end), "{width}: {last:?}");
    }
}

#[test]
fn the_first_line_has_the_beginning_that_is_signed() {
    // What `ls` and `show` say; the clock of the session started when the program did.
    let mut app = App::new(
        Memory::new(
            (80, 24),
            Some(1_795_356_191_200),
            vec![
                Event::new(ms(0), Payload::Anchor(Anchor { at: 0, utc: 1_795_356_192_100, boot: 0 })),
                Event::new(ms(10), Payload::Output(b"$ ".to_vec())),
            ],
            400,
        ),
        Title::default(),
        Depth::True,
        Vec::new(),
    );
    app.playing = false;
    let (screen, _) = drawn(&mut app, 100, 30);
    assert!(screen.contains("2026-11-22 14:03:11Z") && screen.contains("14:03:12Z"), "{screen}");
}

/// A session that is closed by its recorder after it was looked at so many times.
struct Closing(Memory, usize, Option<i32>);

impl Source for Closing {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }
    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        self.0.segment(number)
    }
    fn is_ended(&self) -> bool {
        self.1 == 0
    }
    fn refresh(&mut self) -> Result<bool, Error> {
        let closes = self.1 == 1;
        self.1 = self.1.saturating_sub(1);
        if let Some(status) = self.2.filter(|_| closes) {
            self.0.push(vec![Event::new(ms(900), Payload::Exit(status))]);
        }
        Ok(closes)
    }
}

fn closing(after: usize, exit: Option<i32>) -> App<Closing> {
    let first = Event::new(ms(10), Payload::Output(b"$ exit".to_vec()));
    let mut memory = Memory::new((80, 24), None, vec![first], 1);
    if let Some(status) = exit.filter(|_| after == 0) {
        memory.push(vec![Event::new(ms(900), Payload::Exit(status))]);
    }
    App::new(Closing(memory, after, exit), Title::default(), Depth::True, Vec::new())
}

#[test]
fn what_is_not_found_in_a_session_that_goes_on_is_not_found_so_far() {
    let mut app = closing(2, Some(0)).following();
    for (ends, told) in
        [(false, "“ls” was not found so far in: screen"), (true, "“ls” was not found in: screen")]
    {
        while ends && app.grows {
            app.update(Message::Tick(ms(250)));
        }
        types(&mut app, "/ls\n");
        for _ in 0..10 {
            app.update(Message::Work);
        }
        assert_eq!(app.note, Some((told.to_owned(), true)));
    }
}

#[test]
fn whoever_follows_is_told_that_the_session_has_ended() {
    for (exit, told) in [(Some(5), "the session has ended: exit status 5"), (None, "the session has ended")] {
        let ended = Some((told.to_string(), false));
        let mut app = closing(3, exit).following();
        let (mut effects, mut ticks) = (Vec::new(), 0);
        while effects.is_empty() && ticks < 100 {
            assert!(app.follow && app.note.is_none(), "{ticks}");
            effects = app.update(Message::Tick(ms(250)));
            ticks += 1;
        }
        assert_eq!((effects.as_slice(), app.note.clone()), ([Effect::Judge].as_slice(), ended.clone()));
        assert!(!app.follow && !app.grows);
        // Nothing moves any more, and it is at the end.
        for _ in 0..10 {
            app.update(Message::Tick(ms(250)));
        }
        assert_eq!((app.playing, app.replay.time()), (false, app.replay.outline().duration()));
        // One that ended long ago is not followed at all, whether asked for at the start or by a key.
        let mut app = closing(0, exit).following();
        assert!(!app.follow && !app.playing && app.note == ended, "{:?}", app.note);
        app.update(Message::Key(KeyEvent::from(KeyCode::Home)));
        assert_eq!(app.note, None);
        app.update(Message::Key(KeyEvent::from(KeyCode::Char('F'))));
        assert!(!app.follow && !app.playing && app.note == ended, "{:?}", app.note);
        assert_eq!(app.replay.time(), app.replay.outline().duration());
    }
}

#[test]
fn a_hit_that_went_by_is_said_to_have_also_where_the_search_came_round() {
    let lines: String = (0..40).map(|n| format!("line {n}.\r\n")).collect();
    let out = |at, text: &str| Event::new(ms(at), Payload::Output(text.into()));
    let memory = Memory::new((80, 24), None, vec![out(1_000, &lines), out(9_000, "end")], 1);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    let by = "it went by within one frame: t shows it in the transcript";
    let note = |app: &App<Memory>| app.note.clone().map_or_else(String::new, |(told, _)| told);
    types(&mut app, "/line 12.\n");
    rest(&mut app);
    assert_eq!((app.replay.time(), note(&app)), (ms(1_000), by.to_string()));
    // And there it is to be seen at once.
    types(&mut app, "t");
    rest(&mut app);
    let Over::Transcript(pages) = &app.over else { panic!("no transcript") };
    assert_eq!(pages.line().map(|line| line.text.as_str()), Some("line 12."));
    types(&mut app, "q");
    for keys in ["n", "N", "G/line 12.\n"] {
        types(&mut app, keys);
        rest(&mut app);
        let both = format!("{by}; “line 12.”: from the other end");
        assert_eq!((app.replay.time(), note(&app)), (ms(1_000), both), "{keys}");
    }
    types(&mut app, "G/line 39.\n");
    rest(&mut app);
    assert_eq!(note(&app), "“line 39.”: from the other end");
}

#[test]
fn what_was_not_drawn_for_its_cost_is_not_denied() {
    let out = |at, text: &str| Event::new(ms(at), Payload::Output(text.into()));
    let erased = format!("{}\x1b[HXXXXXXXXXXXXXXXX", "\x1b[2J".repeat(3300));
    let doubt = "not all is drawn from 0:02.0 on";
    for segment in [1 << 20, 1] {
        let events = vec![
            out(0, "before\r\n"),
            out(2_000, &erased),
            out(3_000, "\x1b[2J\x1b[Hdrop\x1b[Ctable\x1b[Cusers"),
            out(4_000, "\x1bcthe end\r\n"),
            out(5_000, "$ "),
        ];
        let memory = Memory::new((200, 60), None, events, segment);
        let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
        app.playing = false;
        types(&mut app, "/table users\n");
        rest(&mut app);
        let denied = "“table users” was not found in: screen";
        assert_eq!(app.note, Some((format!("{doubt}; {denied}"), true)), "segments of {segment}");
        // What is searched stays in view when the note is gone.
        types(&mut app, ".");
        let (screen, _) = drawn(&mut app, 120, 30);
        assert!(screen.contains("match 0/0? “table users”"), "{screen}");
        // The lists say so whatever they show.
        for (key, title) in [("h", "0 hits · in: screen"), ("Gt", "transcript")] {
            types(&mut app, key);
            rest(&mut app);
            let (screen, _) = drawn(&mut app, 80, 24);
            assert!(screen.contains(&format!("{title} · {doubt}")), "{screen}");
            types(&mut app, "q");
        }
        // What was typed is not drawn.
        tests::press(&mut app, KeyCode::Tab);
        types(&mut app, "/table users\n");
        rest(&mut app);
        let told = "“table users” was not found in: commands".to_string();
        assert_eq!(app.note, Some((told, true)), "segments of {segment}");
    }
}

/// Below 100 columns there is no pane, and of a long line its end is not in view.
#[test]
fn what_is_doubtful_of_a_command_stands_before_its_line_however_long_that_is() {
    let of = |flags: &[&str], trust| Command {
        text: format!("apt-get update #{}", "=".repeat(300)),
        flags: flags.iter().map(|flag| flag.to_string()).collect(),
        trust,
        ..Command::default()
    };
    let commands = vec![of(&["echo-off"], Trust::Told), of(&[], Trust::Inferred), of(&[], Trust::Told)];
    let memory = Memory::new((80, 24), None, vec![Event::new(ms(0), Payload::Output(b"$ ".to_vec()))], 1);
    let mut app = App::new(memory.with_commands(commands), Title::default(), Depth::True, Vec::new());
    app.playing = false;
    drawn(&mut app, 90, 10);
    types(&mut app, "c");
    let (screen, _) = drawn(&mut app, 90, 10);
    let line = |n: usize| screen.lines().filter(|line| line.contains("apt-get")).nth(n).unwrap_or_default();
    assert!(line(0).contains("⚠ apt-get") && line(1).contains("? apt-get"), "{screen}");
    assert!(!line(2).contains(['⚠', '?']), "{screen}");
    // Nor is one taken for whole of which only the beginning is in view.
    let is_cut =
        |screen: &str| screen.lines().filter(|line| line.contains("apt-get") && line.ends_with("…│")).count();
    assert_eq!(is_cut(&screen), 3, "{screen}");
    let (beside, _) = drawn(&mut app, 120, 10);
    types(&mut app, "q");
    assert_eq!(is_cut(&beside), 3, "{beside}");
    let (beside, _) = drawn(&mut app, 120, 10);
    assert_eq!(is_cut(&beside), 3, "{beside}");
}

/// A session whose file becomes shorter while it is followed; its recorder holds it as long as the flag says.
struct Cut(Memory, Arc<AtomicBool>);

impl Source for Cut {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }
    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        self.0.segment(number)
    }
    fn is_ended(&self) -> bool {
        false
    }
    fn is_written(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
    fn refresh(&mut self) -> Result<bool, Error> {
        Err(Error("the file became shorter".into()))
    }
}

/// As it is drawn, with what is blank at its end.
fn first_line<S: Source>(app: &mut App<S>, width: u16) -> String {
    let area = Rect::new(0, 0, width, 24);
    let mut buffer = Buffer::empty(area);
    view::player(app, area, &mut buffer);
    (0..width).map(|x| buffer[(x, 0)].symbol()).collect()
}

#[test]
fn what_is_cut_while_it_is_followed_is_judged_anew_and_again_when_nobody_writes_it_any_more() {
    let written = Arc::new(AtomicBool::new(true));
    let memory = Memory::new((80, 24), None, vec![Event::new(ms(0), Payload::Output(b"$ ".to_vec()))], 400);
    let source = Cut(memory, Arc::clone(&written));
    let mut app = App::new(source, Title::default(), Depth::True, Vec::new()).following();
    let later = |app: &mut App<Cut>| app.update(Message::Tick(ms(1_000)));
    assert_eq!(later(&mut app), [Effect::Judge]);
    assert_eq!(app.note, Some(("the file became shorter".into(), true)));
    app.update(Message::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::NONE)));
    app.update(Message::Integrity(0, Integrity::Doubtful("running".into())));
    let line = first_line(&mut app, 80);
    assert!(line.contains("not read on") && line.contains("running"), "after the next key, too: {line}");
    assert_eq!(later(&mut app), []);
    written.store(false, Ordering::Relaxed);
    assert_eq!(later(&mut app), [Effect::Judge]);
    assert_eq!(later(&mut app), []);
    assert!(first_line(&mut app, 80).contains("not read on"));
}

#[test]
fn the_verdict_is_whole_whatever_else_there_is_to_warn_of() {
    let gap = |n: u64| {
        let (why, count) = if n == 0 { (Why::Left, 0) } else { (Why::Capped, u64::from(n == 1) * 5) };
        Event::new(ms(n), Payload::Gap(Gap::new(why, "stdout", count, "")))
    };
    let withheld = Event::new(ms(20), Payload::Withheld(12));
    let mut events: Vec<Event> = (0..10).map(gap).collect();
    events.push(withheld);
    let source = Cut(Memory::new((80, 24), None, events, 400), Arc::new(AtomicBool::new(true)));
    let mut app = App::new(source, Title::default(), Depth::True, Vec::new()).following();
    app.update(Message::Tick(ms(1_000)));
    for verdict in ["ALTERED", "running", "signed by an unknown key"] {
        app.update(Message::Integrity(0, Integrity::Bad(verdict.into())));
        for width in [200, 120, 80, 60, 40, 30, 28, 20, 12] {
            let line = first_line(&mut app, width);
            let verdict: String = format!("✘ {verdict}").chars().take(width.into()).collect();
            assert!(line.contains(&verdict), "{width}: {line}");
            // That there is more to know is seen where there is any room for it.
            let rest = usize::from(width).saturating_sub(verdict.chars().count());
            assert!(rest < 6 || line.contains('⚠'), "{width}: {line}");
            if width >= 80 {
                assert!(line.contains("12 w") && line.contains("10 g") && line.contains("5+ l"), "{line}");
            }
        }
    }
}

#[test]
fn a_clock_that_showed_a_time_twice_is_told_with_the_other_moment() {
    // 16:04:10Z; set back by four seconds after five.
    let utc = 1_795_363_450_000;
    let anchor = |at: u64, utc| Event::new(ms(at), Payload::Anchor(Anchor { at, utc, boot: 0 }));
    let out = |at, text: &str| Event::new(ms(at), Payload::Output(text.as_bytes().to_vec()));
    let events = vec![
        anchor(0, utc),
        out(1_000, "one"),
        anchor(5_000, utc + 1_000),
        out(6_000, "two"),
        out(9_000, "three"),
    ];
    let app = || {
        let memory = Memory::new((80, 24), Some(utc), events.clone(), 1);
        App::new(memory, Title::default(), Depth::True, Vec::new())
    };
    for (text, at, told) in [
        ("16:04:13Z", 3_000, Some("the clock showed this twice: also at 0:07.0")),
        ("16:04:10Z", 0, None),
        ("0:07", 7_000, None),
    ] {
        let mut watched = app();
        watched.playing = false;
        types(&mut watched, &format!(":{text}\n"));
        rest(&mut watched);
        let told = told.map(|told| (told.to_owned(), true));
        assert_eq!((watched.replay.time(), &watched.note), (ms(at), &told), "{text}");
        assert_eq!(app().at_typed(text).unwrap().note, told, "{text}");
    }
    // It is a place like any other to what is exported.
    let mut watched = app();
    assert!(matches!(exports(&mut watched, "16:04:13Z..0:08 x\n").as_slice(), [Effect::Export { .. }]));
}

#[test]
fn a_list_of_hits_before_any_search_denies_nothing() {
    let mut app = tests::app();
    types(&mut app, "h");
    let (screen, _) = drawn(&mut app, 80, 24);
    assert!(screen.contains(NOT_SEARCHED) && !screen.contains("0 hits"), "{screen}");
    types(&mut app, "q/no such thing\n");
    rest(&mut app);
    types(&mut app, "h");
    let (screen, _) = drawn(&mut app, 80, 24);
    assert!(screen.contains("0 hits · in: screen"), "{screen}");
}

#[test]
fn only_commands_that_run_are_marked_as_running() {
    let command = |text: &str, start, end| Command { text: text.into(), start, end, ..Command::default() };
    let commands = vec![
        command("bash", 1_000, Some(90_000)),
        command("make", 2_000, Some(5_000)),
        command("nohup agent", 20_000, None),
        command("ls", 40_000, Some(40_100)),
    ];
    let events = (0..10).map(|n| Event::new(ms(n * 10_000), Payload::Output(b"$ ".to_vec()))).collect();
    let memory = Memory::new((40, 24), None, events, 1_000_000).with_commands(commands);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    for (at, running) in [
        (":0\n", &[][..]),
        (":3\n", &["bash", "make"]),
        (":10\n", &["bash"]),
        // When it ended is not known: until the next one began.
        (":30\n", &["bash", "nohup agent"]),
        (":50\n", &["bash"]),
    ] {
        types(&mut app, at);
        rest(&mut app);
        let (screen, _) = drawn(&mut app, 120, 24);
        let marked: Vec<_> = screen.lines().filter(|line| line.contains('▶')).collect();
        let are = marked.iter().zip(running).all(|(line, text)| line.contains(text));
        assert!(are && marked.len() == running.len(), "{at} {screen}");
    }
}

#[test]
fn the_list_of_hits_opens_at_the_one_that_is_shown_and_has_a_row_on_the_smallest_terminal() {
    let lines = [(1_000, "one match\r\n"), (5_000, "two match\r\n"), (9_000, "three match\r\n")];
    let events = lines.map(|(at, text)| Event::new(ms(at), Payload::Output(text.into())));
    let memory = Memory::new((80, 24), None, events.to_vec(), 1_000_000);
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    types(&mut app, "g/match\n");
    rest(&mut app);
    types(&mut app, "n");
    rest(&mut app);
    types(&mut app, "h");
    let (screen, _) = drawn(&mut app, 30, 5);
    assert!(screen.contains("two match"), "{screen}");
    assert!(matches!(app.over, Over::Hits(1)), "{screen}");
    // After the last moment of one it is still the last that came.
    types(&mut app, "q:8\nh");
    rest(&mut app);
    assert!(matches!(app.over, Over::Hits(1)));
}
