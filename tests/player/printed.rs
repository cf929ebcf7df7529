//! What was recorded, as `search`, `show`, `ls` and `verify` print it on a terminal: it begins no line there, however it was padded.

use crate::home::{Home, Recording};
use crate::support::terminal::Terminal;
use sealcast::cast::{Command, Payload};
use sealcast::sys::tty::Size;
use sealcast::terminal::Terminal as Screen;

/// Words that nobody but the recorded person says.
const FORGED: &str = "FORGED";

/// Text that has a line of its own on a terminal of `cols` columns, wherever on it it begins.
fn padded(cols: usize) -> String {
    let line = format!("{FORGED}{}", " ".repeat(cols - FORGED.len() - 1));
    format!("needle {}{}", line.repeat(2 * cols), "日".repeat(cols))
}

fn recording(cols: usize) -> Recording {
    let mut recording = Recording { cols: 1000, reason: padded(cols).leak(), ..Recording::default() };
    let line = |text: String| Payload::Output(format!("{text}\r\n").into_bytes());
    recording.events.insert(1, (200, line(padded(cols))));
    recording.commands.push(Command {
        text: padded(cols),
        start: 3000,
        end: Some(3300),
        ..Command::default()
    });
    recording
}

/// The rows that a command prints on a terminal, and how it ended. None of them was wrapped by the terminal.
#[track_caller]
fn rows(home: &Home, args: &[&str], cols: u16) -> (Vec<String>, Option<i32>) {
    let size = Size { cols, rows: 24, width: 0, height: 0 };
    let mut terminal = Terminal::start(home.command(args).env("NO_COLOR", "1"), size);
    let code = terminal.wait_end().code();
    let text = String::from_utf8(terminal.transcript().to_vec()).unwrap();
    // As high as all of it: one that goes on in the margin would take more rows than there are lines.
    let lines = text.matches('\n').count();
    let mut screen = Screen::new(cols, u16::try_from(lines + 1).unwrap());
    screen.feed(text.as_bytes());
    let rows = (0..=u16::try_from(lines).unwrap()).map(|row| screen.row_text(row)).collect();
    assert!((0..=u16::try_from(lines).unwrap()).all(|row| !screen.row_wraps(row)), "{args:?}\n{text}");
    (rows, code)
}

const COMMANDS: [&[&str]; 8] = [
    &["search", "--no-cache", "needle"],
    &["search", "--no-cache", "-C", "3", "root@web"],
    &["search", "--no-cache", "-C", "3", "after a minute"],
    &["show"],
    &["show", "--commands"],
    &["ls"],
    &["verify"],
    &["keys", "list"],
];

#[test]
fn what_was_recorded_begins_no_line_of_a_terminal_and_has_no_column_of_ours() {
    for cols in [80, 81, 33] {
        let home = Home::new();
        home.record(&recording(cols));
        for args in COMMANDS {
            let (rows, code) = rows(&home, args, u16::try_from(cols).unwrap());
            assert!(matches!(code, Some(0 | 1)), "{args:?}");
            for row in &rows {
                let forged = row.find(FORGED).is_some_and(|at| row[..at].trim().is_empty());
                assert!(!forged && !row.starts_with('日'), "{args:?} on {cols}\n{}", rows.join("\n"));
            }
        }
    }
    // A mark stands before what goes on, and below the column to which it belongs.
    let home = Home::new();
    home.record(&recording(80));
    let (shown, _) = rows(&home, &["show", "--commands"], 80);
    let at = shown[0].find("COMMAND").unwrap();
    let mark = format!("{}│ ", " ".repeat(at));
    let more: Vec<_> = shown.iter().filter(|row| row.contains(FORGED)).skip(1).collect();
    assert!(more.len() > 10 && more.iter().all(|row| row.starts_with(&mark)), "{}", shown.join("\n"));
}

#[test]
fn a_pipe_has_a_recorded_text_in_one_line() {
    let home = Home::new();
    home.record(&recording(80));
    let text = padded(80);
    for (args, lines, most) in [
        (&["search", "--no-cache", "--in", "screen,command", "needle"][..], 2, usize::MAX),
        (&["show", "--commands"], 2, usize::MAX),
        // A list has as much of a reason as a recorder takes.
        (&["ls"], 1, 4096),
    ] {
        let out = home.run(args).exits(0).text();
        assert_eq!(out.lines().count(), lines, "{out}");
        let shown: String = text.trim_end().chars().take(most).collect();
        assert!(out.lines().last().unwrap().contains(&shown), "{out}");
    }
}

#[test]
fn a_terminal_of_any_width_is_printed_on() {
    let home = Home::new();
    home.record(&recording(80));
    for cols in [0, 1, 2, 3, 4, 5, 9] {
        for args in COMMANDS {
            let size = Size { cols, rows: 24, width: 0, height: 0 };
            let mut terminal = Terminal::start(&home.command(args), size);
            let code = terminal.wait_end().code();
            assert!(matches!(code, Some(0 | 1)), "{args:?} on {cols}: {code:?}");
        }
    }
}
