//! Where a part of a recording cannot be read: what is told of it, and what is shown and found behind it.

use super::app::{App, Depth, Message, Title};
use super::tests::{drawn, ms, press, rest, types};
use crate::cast::{Command, Event, Payload};
use crate::replay::{Error, Memory, Outline, Replay, Segment, Source};
use crate::terminal::Terminal;
use crossterm::event::KeyCode;

/// A session of which one segment cannot be read.
struct Damaged(Memory);

impl Source for Damaged {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }
    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        if number == 1 { Err(Error("at byte 9: no chunk".into())) } else { self.0.segment(number) }
    }
    fn refresh(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

fn out(at: u64, text: &str) -> Event {
    Event::new(ms(at), Payload::Output(text.into()))
}

/// A keyframe of a screen on which a prompt stands.
fn prompt(at: u64) -> Event {
    let mut stood = Terminal::new(80, 24);
    stood.feed(b"$ ");
    Event::new(ms(at), Payload::Keyframe(stood.snapshot().unwrap()))
}

/// A player of these events, that does not play by itself.
fn paused(events: Vec<Event>) -> App<Damaged> {
    let source = Damaged(Memory::new((80, 24), None, events, 1));
    let mut app = App::new(source, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    app
}

/// What its transcript shows, some lines down.
fn transcript(app: &mut App<Damaged>) -> String {
    types(app, "gt");
    for _ in 0..5 {
        press(app, KeyCode::Down);
        rest(app);
    }
    drawn(app, 80, 24).0
}

#[test]
fn a_part_that_cannot_be_read_is_told_when_the_player_comes_to_it() {
    let mut app = paused(vec![out(0, "one"), out(9, "two"), out(18, "three")]);
    app.update(Message::Work);
    assert_eq!(app.note, None);
    app.jump(ms(18));
    app.update(Message::Work);
    let told = Some(("a part cannot be read: at byte 9: no chunk".to_owned(), true));
    assert_eq!(app.note, told);
    // Once: whatever is said next is not overwritten by it.
    app.update(Message::Told(Ok("written".into())));
    assert_eq!(app.note, Some(("written".to_owned(), false)));
}

#[test]
fn behind_what_cannot_be_read_is_searched_what_stood_there_and_nothing_is_denied_flatly() {
    let events = vec![
        out(0, "\x1b[?1049hin the editor"),
        Event::new(ms(0), Payload::Input(b"vi".to_vec())),
        out(9, "\x1b[?1049l$ "),
        prompt(18),
        out(18, "rm hosts"),
    ];
    let mut app = paused(events);
    types(&mut app, "/editor\n");
    rest(&mut app);
    let hits = |app: &App<Damaged>| app.finder.as_ref().unwrap().hits.clone();
    assert_eq!(hits(&app).iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>(), ["in the editor"]);
    types(&mut app, "/rm\n");
    rest(&mut app);
    let found = hits(&app);
    assert_eq!((found.len(), found[0].text.as_str(), found[0].page), (1, "$ rm hosts", false));
    types(&mut app, "/cp\n");
    rest(&mut app);
    let told = "a part cannot be read; “cp” was not found in: screen".to_owned();
    assert_eq!(app.note, Some((told, true)));
    let screen = transcript(&mut app);
    assert!(
        screen.contains("transcript · a part cannot be read") && screen.contains(" $ rm hosts"),
        "{screen}"
    );
    assert!(screen.contains("▣ in the editor") && !screen.contains("▣ $ rm"), "{screen}");
    types(&mut app, "q");
    for scope in ["commands", "input"] {
        press(&mut app, KeyCode::Tab);
        types(&mut app, "/cp\n");
        rest(&mut app);
        let doubt = if scope == "input" { "a part cannot be read; " } else { "" };
        assert_eq!(app.note, Some((format!("{doubt}“cp” was not found in: {scope}"), true)));
    }
}

#[test]
fn behind_what_cannot_be_read_the_terminal_has_the_size_to_which_it_was_changed_there() {
    let resized = Event::new(ms(9), Payload::Resize { cols: 120, rows: 30 });
    let wide = "\x1b[20;100Hneedle\x1b[20;106Hwork";
    let mut app = paused(vec![out(0, "one"), resized, out(9, "lost"), out(18, wide), out(27, "three")]);
    types(&mut app, "/needlework\n");
    rest(&mut app);
    let found: Vec<_> = app.finder.as_ref().unwrap().hits.iter().map(|hit| hit.text.trim()).collect();
    assert_eq!(found, ["needleworkthree"]);
    assert_eq!((app.replay.time(), app.replay.terminal().size()), (ms(18), (120, 30)));
    assert_eq!(app.replay.terminal().row_text(19).trim(), "needlework");
}

#[test]
fn no_command_is_denied_flatly_where_the_index_lacks_some_and_no_hits_are_called_all() {
    let text = || "uptime".to_owned();
    let memory = Memory::new((80, 24), None, vec![out(0, "$ uptime")], 1);
    let memory = memory.with_commands(vec![Command { text: text(), ..Command::default() }]);
    let mut app = paused(vec![]);
    app.replay = Replay::new(Damaged(memory.lacking("a part of the index cannot be read")));
    press(&mut app, KeyCode::Tab);
    types(&mut app, "/cp\n");
    rest(&mut app);
    let told = "a part of the index cannot be read; “cp” was not found in: commands".to_owned();
    assert_eq!(app.note, Some((told, true)));
    types(&mut app, "/uptime\n");
    rest(&mut app);
    types(&mut app, "h");
    let screen = drawn(&mut app, 80, 24).0;
    assert!(screen.contains("1 hit · in: commands · a part of the index cannot be read"), "{screen}");
    assert!(screen.contains("match 1/1? “uptime”"), "{screen}");
    // What was shown is searched whole.
    types(&mut app, "q");
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Tab);
    types(&mut app, "/cp\n");
    rest(&mut app);
    assert_eq!(app.note, Some(("“cp” was not found in: screen".to_owned(), true)));
}

#[test]
fn behind_what_cannot_be_read_no_line_is_found_that_stood_before_it_also_where_no_keyframe_follows_at_once() {
    let events = vec![
        out(0, "one needle"),
        out(9, "lost"),
        out(18, "two needle"),
        prompt(27),
        out(27, "three needle"),
    ];
    let mut app = paused(events);
    types(&mut app, "/needle\n");
    rest(&mut app);
    let found: Vec<_> = app.finder.as_ref().unwrap().hits.iter().map(|hit| hit.text.clone()).collect();
    assert_eq!(found, ["one needle", "two needle", "$ three needle"]);
    let screen = transcript(&mut app);
    for line in [" one needle", " two needle", " $ three needle"] {
        assert_eq!(
            screen.lines().filter(|row| row.trim_end_matches([' ', '│']).ends_with(line)).count(),
            1,
            "{line}: {screen}"
        );
    }
}
