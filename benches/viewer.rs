//! The player as an investigator has it: the shipped binary in a real terminal. How long until its first frame is complete,
//! until a seek is shown, and until a key is answered while it works through a recording that was made to hold it up; and how
//! much memory it took. The recordings are made in a temporary directory first (the largest takes about 200 MB).
//!
//! `cargo bench --bench viewer [-- NAME…]` (names as in the first column)
//!
//! Wall time is what a viewer waits; on a busy machine most of it may be others' work, so the player's own time on a
//! processor is printed beside it.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, dead_code, unreachable_pub)]

#[path = "../tests/cli/home.rs"]
mod home;
mod sessions;
#[path = "../tests/support/mod.rs"]
mod support;

use home::{Home, Recording as Spec};
use sealcast::cast::{Anchor, Event, Payload};
use sealcast::sys::tty::Size;
use sealcast::terminal::Terminal as Screen;
use std::time::{Duration, Instant};
use support::dice::Dice;
use support::terminal::Terminal;

const COLS: u16 = 120;
const ROWS: u16 = 40;

/// The player in a terminal, and what stands there.
struct Viewer {
    terminal: Terminal,
    screen: Screen,
    fed: usize,
}

/// Wall time and time on a processor.
#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
struct Took {
    wall: f64,
    own: f64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} ({:.0})", self.wall, self.own)
    }
}

impl Viewer {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(args);
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        let terminal = Terminal::start(&command, Size { cols: COLS, rows: ROWS, width: 0, height: 0 });
        Self { terminal, screen: Screen::new(COLS, ROWS), fed: 0 }
    }

    fn read(&mut self) {
        self.terminal.read_for(Duration::from_millis(20));
        let transcript = self.terminal.transcript();
        self.screen.feed(&transcript[self.fed..]);
        self.fed = transcript.len();
    }

    /// Waits until a row says something; what it took since `from`.
    fn waits(&mut self, from: (Instant, f64), row: u16, says: impl Fn(&str) -> bool) -> Took {
        let end = Instant::now() + Duration::from_secs(120);
        while !says(&self.screen.row_text(row)) {
            assert!(Instant::now() < end, "waited for row {row} of\n{}", self.screen.text());
            self.read();
        }
        Took { wall: from.0.elapsed().as_secs_f64() * 1e3, own: self.on_processor() - from.1 }
    }

    fn now(&self) -> (Instant, f64) {
        (Instant::now(), self.on_processor())
    }

    /// Milliseconds that the player's main thread has been on a processor.
    fn on_processor(&self) -> f64 {
        let pid = self.terminal.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
    }

    /// Highest memory so far, MiB.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.terminal.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn last_row(&self) -> String {
        self.screen.row_text(ROWS - 1)
    }
}

/// Events one by one, so that a gigabyte need not be in memory. `keyframes` as a recorder makes them.
fn write(home: &Home, events: impl Iterator<Item = (u64, Payload)>, keyframes: bool) -> String {
    let (_, id) = home.record_with(&Spec { events: Vec::new(), ..Spec::default() }, |writer, start| {
        let mut terminal = Screen::new(80, 24);
        for (ms, payload) in events {
            let time = Duration::from_millis(ms);
            if writer.segment_due(time) {
                writer.end_segment(time, sealcast::container::Extras::default()).unwrap();
            }
            let anchor = Anchor { at: ms, utc: start + i64::try_from(ms).unwrap(), boot: 0 };
            if !writer.in_segment() {
                writer.begin(anchor, if keyframes { terminal.snapshot() } else { None }).unwrap();
            }
            if let (true, Payload::Output(bytes)) = (keyframes, &payload) {
                terminal.skim(bytes);
            }
            writer.push(&Event::new(time, payload)).unwrap();
        }
    });
    id
}

fn shown(session: impl Iterator<Item = (u64, String)>) -> impl Iterator<Item = (u64, Payload)> {
    session.map(|(at, text)| (at, Payload::Output(text.into_bytes())))
}

/// 200 MB of one kind of trouble, in events of 4 KB; the screen as large as it gets, but for what is random.
fn hostile(kind: &'static str) -> impl Iterator<Item = (u64, Payload)> {
    const PIECE: usize = 4096;
    let largest = Payload::Resize { cols: 65535, rows: 65535 };
    let first = (kind != "random bytes").then_some((0, largest));
    let mut dice = Dice(5);
    let again = match kind {
        "erasing" => "\x1b[41m\x1b[2J\x1b#8\x1b[42m\x1b[2J",
        "resetting" => "x\x1bc",
        "screens" => "\x1b[?1049h\x1b#8\x1b[?1049l\x1b[?47hx\x1b[?47l",
        "scrolling" => {
            "\x1b[41m\n\x1b[42m\n\x1b[2;999r\x1b[999;1H\n\x1b[9L\x1b[9M\x1b[9S\x1b[9T\x1b[?69h\x1b[2;999s\n\x1b[?69l\x1b[r"
        }
        "parameters" => {
            "x\x1b[4000000000b\x1b[65535;65535H\x1b[65535P\x1b[65535@\x1b[65535X\x1b[1;1;65535;65535;1;2;2;1$v\x1b[65535'}"
        }
        "links and marks" => {
            "\x1b]8;id=ABCDEFGH;http://evil.example/ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ\x07l\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}"
        }
        _ => "what stands between two marks\r\n",
    };
    first.into_iter().chain((0..(200 << 20) / PIECE as u64).map(move |n| {
        let mut bytes = Vec::with_capacity(PIECE + 200);
        while bytes.len() < PIECE {
            match kind {
                "random bytes" => bytes.push(dice.byte()),
                "links and marks" => {
                    let id = format!("{:08x}", dice.below(1u64 << 31));
                    bytes.extend_from_slice(again.replace("ABCDEFGH", &id).as_bytes());
                }
                "sizes" => bytes.extend_from_slice(b"some text that wraps \xe6\x97\xa5\r\n"),
                _ => bytes.extend_from_slice(again.as_bytes()),
            }
        }
        if kind == "sizes" && n % 2 == 1 {
            let sizes = [(65535, 65535), (0, 0), (1, 1), (65535, 1), (1, 65535), (80, 24), (2, 1000)];
            let (cols, rows) = sizes[(n / 2) as usize % sizes.len()];
            return (n, Payload::Resize { cols, rows });
        }
        if kind == "marks" && n % 2 == 1 {
            return (n, Payload::Marker("\x1b[2J\u{202e}\x1b]52;c;ZXZpbA==\x07".repeat(200)));
        }
        (n, Payload::Output(bytes))
    }))
}

const HOSTILE: [&str; 9] = [
    "random bytes",
    "erasing",
    "resetting",
    "screens",
    "scrolling",
    "parameters",
    "links and marks",
    "sizes",
    "marks",
];

fn at(times: &[Took], part: f64) -> Took {
    let mut wall: Vec<f64> = times.iter().map(|took| took.wall).collect();
    let mut own: Vec<f64> = times.iter().map(|took| took.own).collect();
    wall.sort_by(f64::total_cmp);
    own.sort_by(f64::total_cmp);
    let index = ((times.len() - 1) as f64 * part) as usize;
    Took { wall: wall[index], own: own[index] }
}

/// As the player writes a time.
fn tenths(tenths: u64) -> String {
    let (hours, minutes, secs) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60);
    let short =
        if hours > 0 { format!("{hours}:{minutes:02}:{secs:02}") } else { format!("{minutes}:{secs:02}") };
    format!("{short}.{}", tenths % 10)
}

fn honest(name: &str, home: &Home, id: &str) {
    let mut first = Vec::new();
    for _ in 0..10 {
        let start = Instant::now();
        let mut viewer = Viewer::start(home, &["play", id]);
        first.push(viewer.waits((start, 0.0), ROWS - 1, |row| row.contains("F1 help")));
        viewer.terminal.send("q");
        viewer.terminal.wait_end();
    }
    let mut viewer = Viewer::start(home, &["play", id]);
    // The verdict has been found, and what it takes is in the figure.
    viewer.waits(viewer.now(), 0, |row| row.contains("intact"));
    let row = viewer.last_row();
    let end = row.split(" / ").nth(1).unwrap().split_whitespace().next().unwrap();
    let seconds = end.split(':').fold(0u64, |sum, part| sum * 60 + part.parse::<u64>().unwrap());
    viewer.terminal.send(" ");
    let (mut seeks, mut dice) = (Vec::new(), Dice(3));
    for _ in 0..200 {
        let to = tenths(dice.below(seconds * 10));
        let from = viewer.now();
        viewer.terminal.send(format!(":{to}\r"));
        seeks.push(viewer.waits(from, ROWS - 1, |row| row.contains(&format!("⏸ {to} /"))));
    }
    println!(
        "| {name} | {} | {} | {} | {} | {} | {:.0} |",
        at(&first, 0.5),
        at(&first, 1.0),
        at(&seeks, 0.5),
        at(&seeks, 0.95),
        at(&seeks, 1.0),
        viewer.memory()
    );
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
}

/// Asks for help and closes it while the player is busy with what was asked before.
fn troubled(kind: &str, home: &Home, id: &str) {
    let start = Instant::now();
    let mut viewer = Viewer::start(home, &["play", id]);
    let first = viewer.waits((start, 0.0), ROWS - 1, |row| row.contains("F1 help"));
    let mut answers = Vec::new();
    for keys in ["", "G", "g", "5", "/not to be found\r", "t", "G", ",", "..", "G", "N"] {
        viewer.terminal.send(keys);
        for _ in 0..12 {
            let from = viewer.now();
            viewer.terminal.send("H");
            answers.push(viewer.waits(from, 1, |row| row.contains("help · sealcast")));
            let from = viewer.now();
            viewer.terminal.send("q");
            answers.push(viewer.waits(from, 1, |row| !row.contains("help · sealcast")));
        }
    }
    let memory = viewer.memory();
    let from = viewer.now();
    viewer.terminal.send("\x03");
    assert!(viewer.terminal.wait_end().success());
    println!(
        "| {kind} | {first} | {} | {} | {} | {:.0} | {memory:.0} |",
        at(&answers, 0.5),
        at(&answers, 0.95),
        at(&answers, 1.0),
        from.0.elapsed().as_secs_f64() * 1e3,
    );
}

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name == wanted);
    let home = Home::new();
    println!("Milliseconds of wall time (of the player's own time on a processor).\n");
    println!("| recording | first frame p50 | worst of 10 | seek p50 | p95 | worst of 200 | memory, MiB |");
    println!("|---|---|---|---|---|---|---|");
    if is("24 hours") {
        honest("24 hours", &home, &write(&home, shown(sessions::day()), true));
    }
    if is("1 GB of log") {
        honest("1 GB of log", &home, &write(&home, shown(sessions::log()), true));
    }
    println!(
        "\n| 200 MB of | first frame | a key is answered, p50 | p95 | worst of 264 | leaving | memory, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for kind in HOSTILE.into_iter().filter(|kind| is(kind)) {
        let home = Home::new();
        troubled(kind, &home, &write(&home, hostile(kind), false));
    }
}
