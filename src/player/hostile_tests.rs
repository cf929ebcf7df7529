//! Recordings made by somebody who wants the player to hang, to fail, or to do something. Counted in units of work, never
//! timed: `benches/viewer.rs` prints the times of recordings of 200 MB.

use super::app::{App, Depth, Mark, Message, Over, SLICE, Title};
use super::view;
use crate::cast::{Command, Event, Gap, Payload};
use crate::replay::Memory;
use crate::sys::dice::Dice;
use crate::terminal::Terminal;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

/// The dearest piece that is done whole: what an emulator may have saved up (see `terminal::work`), twice, and what a
/// keyframe costs that is given up. A quarter of a second or less in what is shipped.
const PIECE: u64 = 120 << 20;

fn out(ms: u64, bytes: impl Into<Vec<u8>>) -> Event {
    Event::new(Duration::from_millis(ms), Payload::Output(bytes.into()))
}

fn random(count: usize) -> Vec<u8> {
    Dice(11).bytes(count)
}

/// Name, size, events, bytes of a segment.
type Hostile = (&'static str, (u16, u16), Vec<Event>, usize);

fn recordings() -> Vec<Hostile> {
    let bombs = [
        "\x1b[41m\x1b[2J\x1b#8",
        "\x1bc",
        "\x1b[?1049h\x1b#8\x1b[?1049l",
        "x\x1b[4000000000b",
        "\x1b[65535;65535H\x1b[65535L\x1b[65535S\x1b[65535T",
        "\x1b[1;1;65535;65535;1;2;2;1$v",
        "\x1b]8;;http://evil.example/\x07l\x1b]52;c;ZXZpbA==\x07\x1b]0;t\x07\x1b[6n\x07",
    ];
    let bomb = |ms: u64, n: usize| out(ms, bombs[n % bombs.len()].repeat(8));
    let parameters: String = (0..3000)
        .map(|n| {
            format!(
                "\x1b[{};{}{}",
                "9".repeat(n % 40),
                "1;".repeat(n % 90),
                char::from(b'@' + (n % 63) as u8)
            )
        })
        .collect();
    let sizes = [(65535, 65535), (0, 0), (1, 1), (65535, 1), (1, 65535), (80, 24)];
    let resize = |ms: u64, n: usize| {
        let (cols, rows) = sizes[n % sizes.len()];
        Event::new(Duration::from_millis(ms), Payload::Resize { cols, rows })
    };
    let forged = Terminal::new(1000, 1000).snapshot().unwrap() + &"\x1b[2J\x1b#8".repeat(20);
    let keyframe =
        |ms: u64, text: &str| Event::new(Duration::from_millis(ms), Payload::Keyframe(text.into()));
    let evil = "\x1b[2J\u{202e}\u{9b}6n\x1b]52;c;ZXZpbA==\x07";
    let marker = |ms: u64, text: String| Event::new(Duration::from_millis(ms), Payload::Marker(text));
    vec![
        ("random bytes in one event", (80, 24), vec![out(0, random(600_000))], 1 << 20),
        (
            "random bytes in small events",
            (80, 24),
            random(300_000).chunks(37).zip(0..).map(|(bytes, ms)| out(ms, bytes)).collect(),
            64 << 10,
        ),
        ("bombs", (200, 100), (0..21).map(|n| bomb(n * 10, n as usize)).collect(), 300),
        ("bombs of the largest size", (65535, 65535), (0..3).map(|n| bomb(5, n)).collect(), 1 << 20),
        ("bombs on nothing", (0, 0), (0..70).map(|n| bomb(n, n as usize)).collect(), 4000),
        ("bombs on a cell", (1, 1), (0..70).map(|n| bomb(n, n as usize)).collect(), 4000),
        ("huge parameters", (80, 24), vec![out(0, parameters)], 1 << 20),
        (
            "sizes",
            (0, 0),
            (0..12).flat_map(|n| [resize(n, n as usize), out(n, "text 日本\r\n".repeat(9))]).collect(),
            500,
        ),
        (
            "forged keyframes",
            (80, 24),
            (0..4)
                .flat_map(|n| {
                    [keyframe(n, &forged), keyframe(n, "\x1b]5379;size;9;"), out(n, format!("line {n}\r\n"))]
                })
                .collect(),
            20,
        ),
        (
            "forged marks",
            (80, 24),
            (0..3000)
                .map(|n| marker(n, format!("{evil}{n}")))
                .chain([marker(3000, evil.repeat(100_000)), out(3001, "end")])
                .collect(),
            1,
        ),
        (
            "nothing to see",
            (80, 24),
            std::iter::once(out(0, "x"))
                .chain((0..20_000).map(|n| Event::new(Duration::from_millis(n), Payload::Withheld(u32::MAX))))
                .chain([Event::new(
                    Duration::from_secs(30),
                    Payload::Gap(Gap {
                        why: evil.into(),
                        of: evil.into(),
                        count: u64::MAX,
                        note: evil.into(),
                        sha256: String::new(),
                    }),
                )])
                .collect(),
            1,
        ),
        (
            "a paste",
            (80, 24),
            vec![Event::new(Duration::ZERO, Payload::Input(vec![b'\x1b'; 3 << 20])), out(1, "x")],
            1,
        ),
    ]
}

/// Does what a message does, and checks what it cost and what is drawn.
#[track_caller]
fn update(app: &mut App<Memory>, name: &str, message: Message) {
    let what = format!("{message:?}");
    app.update(message);
    let spent = app.budget.spent();
    assert!(spent <= 2 * SLICE + PIECE, "{name}: {what} cost {spent}");
}

#[track_caller]
fn draw(app: &mut App<Memory>, name: &str) {
    let area = Rect::new(0, 0, 90, 24);
    let mut buffer = Buffer::empty(area);
    view::player(app, area, &mut buffer);
    for cell in buffer.content() {
        let harmless = |c: char| !c.is_control() && !crate::text::is_deceptive(c);
        assert!(cell.symbol().chars().all(harmless), "{name}: {:?} is drawn", cell.symbol());
    }
}

#[test]
fn no_message_costs_more_than_a_slice_and_a_piece_whatever_is_recorded() {
    for (name, size, events, bytes) in recordings() {
        let evil = "\x1b[2J".repeat(1000);
        let command = Command { text: evil.clone(), start: u64::MAX, ..Command::default() };
        let memory = Memory::new(size, Some(i64::MAX), events, bytes).with_commands(vec![command]);
        let title = Title { who: evil.clone(), host: evil.clone(), why: evil.clone() };
        let mut app = App::new(memory, title, Depth::True, vec![Mark { at: u64::MAX, note: evil }]);
        assert!(app.budget.spent() <= 2 * SLICE + PIECE, "{name}: opening cost {}", app.budget.spent());
        // A screen of a million cells is slow to draw in a debug build.
        let keys: &[&str] = if size.0 > 1000 {
            &["G,", "gtG", "q/x\n"]
        } else {
            &[
                "",
                "G",
                ",,",
                "g..",
                "5",
                "/line 7\n",
                "nN",
                "\t/x\n",
                "tG",
                "gj",
                "qk",
                "v'",
                "qb",
                "qc",
                "qh",
                "q",
                "e\n",
            ]
        };
        for keys in keys {
            for c in keys.chars() {
                let code = match c {
                    '\n' => KeyCode::Enter,
                    '\t' => KeyCode::Tab,
                    c => KeyCode::Char(c),
                };
                update(&mut app, name, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
                update(&mut app, name, Message::Tick(Duration::from_millis(33)));
                for _ in 0..20 {
                    if app.is_working() {
                        update(&mut app, name, Message::Work);
                    }
                }
            }
            draw(&mut app, name);
        }
        // Whatever it was doing, it leaves when it is told to.
        app.over = Over::None;
        app.prompt = None;
        let quit = app.update(Message::Key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert_eq!(quit, [super::Effect::Quit], "{name}");
        assert_eq!(app.replay.terminal().fault(), None, "{name}");
    }
}

#[test]
fn a_long_way_in_a_single_event_is_gone_in_slices_and_to_the_same_screen() {
    let text: String = (0..60_000).map(|n| format!("\x1b[3{}mline {n}\x1b[K\r\n", n % 8)).collect();
    let memory = Memory::new(
        (80, 24),
        None,
        vec![out(0, "start\r\n"), out(1000, text.clone()), out(2000, "end")],
        1 << 30,
    );
    let mut app = App::new(memory, Title::default(), Depth::True, Vec::new());
    app.playing = false;
    app.update(Message::Key(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::NONE)));
    // Cancelled in the middle, and gone again.
    app.update(Message::Key(KeyEvent::new(KeyCode::Char('g'), KeyModifiers::NONE)));
    assert_eq!(app.replay.terminal().row_text(0), "start");
    app.update(Message::Key(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::NONE)));
    while app.is_working() {
        app.update(Message::Work);
    }
    let mut whole = Terminal::new(80, 24);
    whole.feed(format!("start\r\n{text}end").as_bytes());
    assert_eq!(app.replay.terminal().snapshot(), whole.snapshot());
}
