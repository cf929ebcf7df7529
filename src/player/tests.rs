//! Driven as an investigator would: keys in, state and screens out.

use super::app::{App, Depth, Effect, Integrity, Mark, Message, Pan, Title};
use super::view;
use crate::cast::{Anchor, Command, Event, Gap, Payload, Why};
use crate::replay::{Memory, Source};
use crate::terminal::Terminal;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// An hour at web-3: a listing, vim, a change, and a wait.
fn session() -> Memory {
    let mut events = Vec::new();
    let mut terminal = Terminal::new(80, 24);
    let mut at = |time: u64, payload: Payload| {
        if let Payload::Output(bytes) = &payload {
            terminal.feed(bytes);
        }
        events.push(Event::new(ms(time), payload));
        if events.len() % 7 == 0
            && let Some(text) = terminal.snapshot()
        {
            events.push(Event::new(ms(time), Payload::Keyframe(text)));
        }
    };
    let out = |text: &str| Payload::Output(text.as_bytes().to_vec());
    at(0, Payload::Anchor(Anchor { at: 0, utc: 1_795_356_192_000, boot: 0 }));
    at(10, out("root@web-3:~# "));
    at(3_000, Payload::Input(b"ls -la /etc/ssh\r".to_vec()));
    at(3_010, out("ls -la /etc/ssh\r\ntotal 2\r\n-rw-r--r-- 1 root root 3223 sshd_config\r\nroot@web-3:~# "));
    at(12_000, Payload::Input(b"vim /etc/ssh/sshd_config\r".to_vec()));
    at(12_010, out("vim /etc/ssh/sshd_config\r\n\x1b[?1049h\x1b[H\x1b[2J"));
    at(
        12_400,
        out(
            "# Authentication:\r\n\x1b[33mPermit\x1b[32mRootLogin\x1b[m yes\r\nPort 22\x1b[24;1H\x1b[7m\"sshd_config\" 3L\x1b[m\x1b[2;1H",
        ),
    );
    for n in 0..30u64 {
        at(20_000 + n * 10_000, out(&format!("\x1b[5;1Hline {n}\x1b[K\x1b[2;1H")));
    }
    at(390_000, out("\x1b[2;17Hno \x1b[24;1H\x1b[K:wq"));
    at(395_000, out("\x1b[?1049lroot@web-3:~# "));
    at(396_000, Payload::Withheld(1));
    at(
        397_000,
        Payload::Gap(Gap {
            why: "queue-full".into(),
            of: "exec".into(),
            count: 2,
            note: String::new(),
            sha256: String::new(),
        }),
    );
    at(399_000, out("sed -i s/PermitRootLogin.*/PermitRootLogin no/ /etc/ssh/sshd_config\r\nroot@web-3:~# "));
    at(400_000, Payload::Marker("change done".into()));
    at(401_000, Payload::Resize { cols: 100, rows: 30 });
    at(3_600_000, out("exit\r\nlogout\r\n"));
    at(3_600_100, Payload::Exit(0));
    let command = |text: &str, start, end, exit| Command {
        text: text.into(),
        start,
        end: Some(end),
        exit: Some(exit),
        ..Command::default()
    };
    Memory::new((80, 24), Some(1_795_356_192_000), events, 400).with_commands(vec![
        command("ls -la /etc/ssh", 3_010, 3_020, 0),
        command("vim /etc/ssh/sshd_config", 12_010, 395_000, 0),
        command("sed -i s/PermitRootLogin.*/PermitRootLogin no/ /etc/ssh/sshd_config", 399_000, 399_100, 1),
    ])
}

pub(super) fn app() -> App<Memory> {
    let title =
        Title { who: "alice → root".into(), host: "web-3".into(), why: "OPS-4411 rotate certs".into() };
    let mut app = App::new(session(), title, Depth::True, Vec::new());
    app.update(Message::Integrity(0, Integrity::Good("sealed · intact".into())));
    app.playing = false;
    app
}

pub(super) fn press<S: Source>(app: &mut App<S>, code: KeyCode) -> Vec<Effect> {
    app.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Types characters; `\n` is Enter.
pub(super) fn types<S: Source>(app: &mut App<S>, keys: &str) -> Vec<Effect> {
    let code = |c| if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
    keys.chars().flat_map(|c| press(app, code(c))).collect()
}

/// Lets work be done until there is none.
pub(super) fn rest<S: Source>(app: &mut App<S>) {
    for _ in 0..200 {
        app.update(Message::Tick(Duration::ZERO));
    }
}

pub(super) fn drawn<S: Source>(app: &mut App<S>, width: u16, height: u16) -> (String, Buffer) {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::player(app, area, &mut buffer);
    let lines: Vec<String> = (0..height)
        .map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += (unicode_width::UnicodeWidthStr::width(symbol) as u16).max(1);
            }
            line.trim_end().to_string()
        })
        .collect();
    (lines.join("\n"), buffer)
}

#[test]
fn keys_move_through_time_and_every_jump_can_be_undone() {
    let mut app = app();
    let mut stood = vec![app.replay.time()];
    for (code, want) in [
        (KeyCode::Right, 5_000),
        (KeyCode::Up, 65_000),
        (KeyCode::Down, 5_000),
        (KeyCode::Left, 0),
        (KeyCode::PageUp, 360_010),
        (KeyCode::PageDown, 0),
        (KeyCode::Char('5'), 1_800_050),
        (KeyCode::Char('G'), 3_600_100),
        (KeyCode::Char('g'), 0),
        (KeyCode::End, 3_600_100),
        (KeyCode::Home, 0),
        (KeyCode::Char(']'), 3_010),
        (KeyCode::Char(']'), 12_010),
        (KeyCode::Char(']'), 399_000),
        (KeyCode::Char('['), 12_010),
    ] {
        press(&mut app, code);
        assert_eq!(app.replay.time(), ms(want), "{code:?}");
        stood.push(ms(want));
    }
    stood.pop();
    while let Some(before) = stood.pop() {
        press(&mut app, KeyCode::Backspace);
        assert_eq!(app.replay.time(), before);
    }
    press(&mut app, KeyCode::Backspace);
    assert_eq!(app.note, Some(("no jump to undo".into(), false)));
}

#[test]
fn a_time_is_typed_and_a_wrong_one_is_explained() {
    let mut app = app();
    types(&mut app, ":6:39\n");
    assert_eq!(app.replay.time(), ms(399_000));
    types(&mut app, ":14:09:52Z\n");
    assert_eq!(app.replay.time(), ms(400_000));
    types(&mut app, ":noon\n");
    assert!(app.note.as_ref().is_some_and(|(note, wrong)| *wrong && note.contains("6:39")), "{:?}", app.note);
    assert_eq!(app.replay.time(), ms(400_000));
    types(&mut app, ":1");
    press(&mut app, KeyCode::Esc);
    assert!(app.prompt.is_none());
}

#[test]
fn a_hit_outside_of_the_view_is_panned_to_until_another_moment_is_shown() {
    let mut app = app();
    drawn(&mut app, 60, 8);
    // vim wrote it into the second row and went on to the last one.
    types(&mut app, "/permitrootlogin no\n");
    rest(&mut app);
    assert_eq!(app.replay.time(), ms(390_000));
    let (text, _) = drawn(&mut app, 60, 8);
    assert!(text.contains("PermitRootLogin no") && !text.contains(":wq"), "{text}");
    types(&mut app, "G");
    let (text, _) = drawn(&mut app, 60, 8);
    assert!(text.contains("logout"), "the cursor is followed again:\n{text}");
    // Where it is in view, nothing moves.
    let mut app = self::app();
    drawn(&mut app, 60, 30);
    types(&mut app, "/permitrootlogin no\n");
    rest(&mut app);
    assert_eq!((app.replay.time(), app.pan), (ms(390_000), Pan::Cursor));
}

#[test]
fn a_string_that_was_only_shown_inside_vim_is_found_marked_and_exported() {
    let mut app = app();
    assert_eq!(types(&mut app, "/permitrootlogin yes\n"), []);
    rest(&mut app);
    assert_eq!(app.replay.time(), ms(12_400));
    assert!(app.replay.terminal().is_alternate());
    // The command before it.
    types(&mut app, "[");
    assert_eq!(app.replay.time(), ms(3_010));
    let effects = types(&mut app, "mbefore the change\n");
    assert_eq!(effects, [Effect::SaveMarks(vec![Mark { at: 3_010, note: "before the change".into() }])]);
    types(&mut app, "]]");
    let effects = types(&mut app, "e part.cast\n");
    assert_eq!(
        effects,
        [Effect::Export { from: ms(3_000), to: ms(399_000), file: Some("part.cast".into()) }]
    );
    // The mark is a place to go to.
    types(&mut app, "'\n");
    assert_eq!(app.replay.time(), ms(3_010));
}

#[test]
fn hits_are_stepped_through_in_both_directions_and_round_the_ends() {
    let mut app = app();
    types(&mut app, "/PermitRootLogin\n");
    rest(&mut app);
    assert_eq!(app.finder.as_ref().unwrap().hits.len(), 3);
    let mut went = vec![app.replay.time().as_millis()];
    for key in ['n', 'n', 'n', 'N', 'N'] {
        types(&mut app, &key.to_string());
        went.push(app.replay.time().as_millis());
    }
    assert_eq!(went, [12_400, 390_000, 399_000, 12_400, 399_000, 390_000]);
    types(&mut app, "?sshd_config\n");
    rest(&mut app);
    assert!(app.replay.time() < ms(390_000), "{:?}", app.replay.time());
    types(&mut app, "/not there\n");
    rest(&mut app);
    assert_eq!(app.note, Some(("“not there” was not found in: screen".into(), true)));
}

#[test]
fn commands_and_input_are_searched_when_asked() {
    let mut app = app();
    press(&mut app, KeyCode::Tab);
    types(&mut app, "/sed\n");
    rest(&mut app);
    assert_eq!(app.replay.time(), ms(399_000));
    press(&mut app, KeyCode::Tab);
    types(&mut app, "g/ls -la\n");
    rest(&mut app);
    assert_eq!(app.replay.time(), ms(3_000));
}

#[test]
fn playing_shows_the_true_time_and_says_what_it_skips() {
    let mut app = app();
    types(&mut app, " ");
    app.update(Message::Tick(ms(1_500)));
    assert_eq!(app.replay.time(), ms(1_500));
    app.update(Message::Tick(ms(1_000)));
    assert!(drawn(&mut app, 80, 24).0.contains("idle skipped"));
    types(&mut app, "G=+");
    assert_eq!(app.speed, 1.5);
    app.update(Message::Tick(ms(100)));
    assert!(!app.playing, "it stops at the end");
    types(&mut app, " ");
    assert_eq!((app.replay.time(), app.playing), (Duration::ZERO, true), "and begins anew");
}

#[test]
fn frames_are_stepped_forward_and_back() {
    let mut app = app();
    types(&mut app, ":0:12.2\n.");
    assert_eq!(app.replay.time(), ms(12_400));
    types(&mut app, ",");
    assert_eq!(app.replay.time(), ms(12_010));
    types(&mut app, "g,");
    assert_eq!(app.note, Some(("the start".into(), false)));
}

#[test]
fn the_transcript_leads_to_a_moment() {
    let mut app = app();
    types(&mut app, "G");
    app.playing = false;
    types(&mut app, "tg");
    let (text, _) = drawn(&mut app, 100, 30);
    assert!(text.contains("transcript") && text.contains("root@web-3:~# ls -la /etc/ssh"), "{text}");
    types(&mut app, "j\n");
    assert_eq!(app.replay.time(), ms(3_010));
    assert!(drawn(&mut app, 100, 30).0.contains("┌"), "the screen is back");
}

#[test]
fn integrity_and_what_is_missing_are_always_in_view() {
    let mut app = app();
    for (width, height) in [(80, 24), (120, 40), (200, 60), (40, 10)] {
        let first = |app: &mut App<Memory>| drawn(app, width, height).0.lines().next().unwrap().to_string();
        for verdict in [
            Integrity::Good("sealed · intact".into()),
            Integrity::Bad("ALTERED".into()),
            Integrity::Doubtful("torn".into()),
        ] {
            app.update(Message::Integrity(0, verdict.clone()));
            for key in ["t", "h", "'", "b", "H", "v"] {
                app.over = super::app::Over::None;
                types(&mut app, key);
                assert!(first(&mut app).contains(verdict.text()), "{width}x{height} {}", first(&mut app));
            }
            app.over = super::app::Over::None;
        }
        if width >= 80 {
            assert!(first(&mut app).contains("⚠ 1 withheld · 1 gap · 2 lost"), "{}", first(&mut app));
        }
    }
}

#[test]
fn what_is_called_lost_is_what_is_missing_as_far_as_anybody_knows() {
    let gap = |why, count| Payload::Gap(Gap::new(why, "stdout", count, ""));
    for (gaps, told) in [
        (vec![gap(Why::Undelivered, 2656)], "⚠ 1 gap · … "),
        (vec![gap(Why::Undelivered, 2656), gap(Why::Capped, 7)], "⚠ 2 gaps · 7 lost · … "),
        (vec![gap(Why::Device, 0)], "⚠ 1 gap · ? lost · … "),
        (vec![gap(Why::Capped, 7), gap(Why::Left, 0)], "⚠ 2 gaps · 7+ lost · … "),
    ] {
        let events = gaps.into_iter().map(|payload| Event::new(Duration::ZERO, payload)).collect();
        let mut app = App::new(Memory::new((80, 24), None, events, 1), Title::default(), Depth::True, vec![]);
        let first = drawn(&mut app, 80, 24).0.lines().next().unwrap().to_owned();
        assert!(first.contains(told), "{told:?}: {first}");
    }
}

#[test]
fn the_mouse_seeks_on_the_timeline_and_in_the_commands() {
    let mut app = app();
    drawn(&mut app, 120, 40);
    let click = |column, row| {
        Message::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row,
            modifiers: KeyModifiers::NONE,
        })
    };
    let line = app.places.timeline;
    app.update(click(line.x + line.width - 1, line.y));
    assert_eq!(app.replay.time(), ms(3_600_100));
    app.update(click(line.x, line.y));
    assert_eq!(app.replay.time(), Duration::ZERO);
    let commands = app.places.commands;
    app.update(click(commands.x + 3, commands.y + 1));
    assert_eq!(app.replay.time(), ms(12_010));
    let wheel =
        MouseEvent { kind: MouseEventKind::ScrollDown, column: 5, row: 5, modifiers: KeyModifiers::NONE };
    app.update(Message::Mouse(wheel));
    assert_eq!(app.replay.time(), ms(17_010));
}

#[test]
fn a_larger_screen_pans_and_says_what_part_is_in_view() {
    let mut app = app();
    types(&mut app, "G");
    let (text, _) = drawn(&mut app, 60, 8);
    assert!(text.contains("logout") && !text.contains("total 2"), "the cursor is in view:\n{text}");
    types(&mut app, "{{{{{{");
    let (text, _) = drawn(&mut app, 60, 8);
    assert!(text.contains("ls -la /etc/ssh") && !text.contains("logout"), "{text}");
    types(&mut app, ">");
    assert_eq!(app.panned().0, 15);
    types(&mut app, "<<|");
    assert!(drawn(&mut app, 60, 8).0.contains("logout"));
}

#[test]
fn leaving_closes_what_is_open_first() {
    let mut app = app();
    assert_eq!(types(&mut app, "tq"), []);
    assert_eq!(types(&mut app, "q"), [Effect::Quit]);
    let control_c = Message::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    types(&mut app, "t");
    assert_eq!(app.update(control_c), [Effect::Quit]);
    assert_eq!(app.update(Message::Leave), [Effect::Quit]);
    let mut app = app.of_browser(None);
    assert_eq!(types(&mut app, "qq"), [Effect::Close]);
}

#[test]
fn nothing_but_cells_is_drawn_of_a_hostile_recording() {
    let hostile = "\x1b]0;evil\x07\x1b]52;c;ZXZpbA==\x07\u{202e}abc\u{200b}\x1b[6n\u{9b}31m\x1bP$qm\x1b\\";
    let events = vec![
        Event::new(ms(0), Payload::Output(hostile.as_bytes().to_vec())),
        Event::new(ms(1), Payload::Input(hostile.as_bytes().to_vec())),
        Event::new(ms(2), Payload::Marker(hostile.into())),
    ];
    let command = Command { text: hostile.into(), ..Command::default() };
    let memory = Memory::new((40, 5), None, events, 1).with_commands(vec![command]);
    assert_eq!(memory.outline().marks.len(), 1);
    let title = Title { who: hostile.into(), host: hostile.into(), why: hostile.into() };
    let mut app = App::new(memory, title, Depth::True, vec![Mark { at: 0, note: hostile.into() }]);
    app.update(Message::Tick(ms(500)));
    for keys in ["", "k", "v", "t", "q'", "qh", "qc", "cqb", "q/abc\n"] {
        types(&mut app, keys);
        rest(&mut app);
        for (width, height) in [(120, 40), (40, 10)] {
            let (_, buffer) = drawn(&mut app, width, height);
            for cell in buffer.content() {
                assert!(
                    cell.symbol().chars().all(|c| !c.is_control() && !crate::text::is_deceptive(c)),
                    "{keys:?}: {:?}",
                    cell.symbol()
                );
            }
        }
    }
    let heard: Vec<&str> = app.heard.iter().map(|heard| heard.text.as_str()).collect();
    assert!(heard.is_empty() || heard.iter().any(|text| text.contains("clipboard")), "{heard:?}");
}

#[test]
fn every_size_can_be_drawn() {
    let mut app = app();
    types(&mut app, "/root\n");
    rest(&mut app);
    for keys in ["", "k", "t", "qh", "q'", "qb", "q:", "1"] {
        types(&mut app, keys);
        for width in [0, 1, 5, 10, 20, 40, 79, 80, 100, 121, 200] {
            for height in [0, 1, 3, 4, 5, 10, 24, 60] {
                drawn(&mut app, width, height);
            }
        }
    }
}

/// The three sizes of the product page, kept as they were looked at and found good.
#[test]
fn the_screens_are_as_they_were_found_good() {
    for (name, width, height, depth) in [
        ("80x24", 80, 24, Depth::True),
        ("120x40", 120, 40, Depth::Indexed),
        ("200x60", 200, 60, Depth::Mono),
    ] {
        let mut app = app();
        app.depth = depth;
        types(&mut app, "/PermitRootLogin\n");
        rest(&mut app);
        let (watching, _) = drawn(&mut app, width, height);
        types(&mut app, "H");
        let (help, _) = drawn(&mut app, width, height);
        types(&mut app, "qh");
        let (hits, _) = drawn(&mut app, width, height);
        types(&mut app, "qt");
        let (transcript, _) = drawn(&mut app, width, height);
        let all = [watching, help, hits, transcript].join("\n\n");
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/player")
            .join(format!("{name}.txt"));
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(all.trim_end(), want.trim_end(), "{name} now looks like this:\n{all}");
    }
}

/// A screen as a literal display of a manual page.
fn mdoc(screen: &str) -> String {
    let line = |line: &str| {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        format!("{guard}{}", line.replace('\\', "\\e"))
    };
    screen.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_screens_of_readme_and_manual_are_those_that_are_drawn() {
    let mut missing = Vec::new();
    for (file, width, height) in [("README.md", 110, 16), ("man/sealcast-play.1", 72, 16)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let mut app = app();
        types(&mut app, "/PermitRootLogin\n");
        rest(&mut app);
        let (watching, _) = drawn(&mut app, width, height);
        types(&mut app, "t");
        let (transcript, _) = drawn(&mut app, width, height);
        for screen in [watching, transcript] {
            let screen = if file.starts_with("man") { mdoc(&screen) } else { screen };
            if !text.contains(&screen) {
                missing.push(format!("##### {file} should show\n{screen}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}\n#####", missing.join("\n"));
}

#[test]
fn a_recorder_that_is_gone_ends_the_following_and_its_last_words_are_taken_in() {
    use crate::replay::{Error, Outline, Segment};
    /// Somebody writes it for as long as something is left to be written, and one last time after that.
    struct Left(Memory, Vec<Option<&'static str>>);
    impl Source for Left {
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
            self.1.len() > 1
        }
        fn refresh(&mut self) -> Result<bool, Error> {
            let Some(Some(text)) = self.1.pop() else { return Ok(false) };
            let end = self.0.outline().duration() + ms(10);
            self.0.push(vec![Event::new(end, Payload::Output(text.into()))]);
            Ok(true)
        }
    }
    let first = Event::new(ms(0), Payload::Output(b"first ".to_vec()));
    let source = Left(Memory::new((80, 24), None, vec![first], 1), vec![Some("last"), None, Some("more ")]);
    let mut app = App::new(source, Title::default(), Depth::True, Vec::new()).following();
    let (mut effects, mut ticks) = (Vec::new(), 0);
    while effects.is_empty() && ticks < 100 {
        assert!(app.follow && app.note.is_none());
        effects = app.update(Message::Tick(ms(250)));
        ticks += 1;
    }
    assert_eq!(effects, [Effect::Judge], "after {ticks}");
    assert_eq!(app.note, Some(("torn here: its recorder is gone".into(), true)));
    assert!(!app.follow && !app.grows);
    for _ in 0..100 {
        app.update(Message::Tick(ms(250)));
    }
    assert_eq!(app.replay.terminal().row_text(0), "first more last");
}
