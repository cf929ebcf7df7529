//! Another size: what it costs, what is told of it, and with which times.

use super::work::Work;
use super::{Line, Terminal, Transcript};
use proptest::prelude::*;
use std::time::Duration;

/// Says to the process that is started by a test that it shall do the test's work.
const CHILD: &str = "SEALCAST_TEST_NARROWED";
/// How the child says what it took, in KiB.
const TOOK: &str = "most memory: ";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Output, or a new size.
type Step<'a> = Result<&'a str, (u16, u16)>;

/// A transcript of output at seconds, between which the size may change; lines as `text first complete last`.
fn told(size: (u16, u16), steps: &[(u64, Step)]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut sink = |line: Line| {
        let (first, complete, last) = (line.first.as_secs(), line.complete.as_secs(), line.last.as_secs());
        lines.push(format!("{} {first} {complete} {last}", line.text));
    };
    let mut transcript = Transcript::new(size.0, size.1);
    for (at, step) in steps {
        match step {
            Ok(text) => transcript.feed(seconds(*at), text.as_bytes(), &mut sink),
            Err((cols, rows)) => transcript.resize(seconds(*at), *cols, *rows, &mut sink),
        }
    }
    transcript.finish(seconds(99), &mut sink);
    lines
}

/// In a process of its own: what others take at the same time is not counted.
#[test]
fn a_window_made_narrow_at_once_takes_no_gigabytes() {
    if std::env::var_os(CHILD).is_some() {
        let mut terminal = Terminal::new(1000, 200);
        terminal.feed("x".repeat(1000 * 200).as_bytes());
        terminal.resize(2, 200);
        assert_eq!((terminal.size(), terminal.fault()), ((2, 200), None));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        println!("{TOOK}{}", most.trim().trim_end_matches("kB").trim());
        return;
    }
    let name = "terminal::resize_tests::a_window_made_narrow_at_once_takes_no_gigabytes";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let most = said.split(TOOK).nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let most = most.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    assert!(most < 200 << 10, "{most} KiB for a screen of 200,000 cells");
}

#[test]
fn of_a_window_made_narrow_nothing_is_lost_however_many_rows_it_makes() {
    // One row would become 30, and 1,000 of them 30,000; and then what is cut, because it is too much.
    for (cols, new) in [(60, 2), (1000, 2), (1000, 30)] {
        let text: Vec<String> = (0..1000).map(|n| format!("{n:0>width$}", width = cols - 1)).collect();
        let mut lines = String::new();
        let mut sink = |line: Line| lines.push_str(&format!("{}\n", line.text));
        let mut transcript = Transcript::new(cols as u16, 1000);
        transcript.feed(seconds(1), text.join("\r\n").as_bytes(), &mut sink);
        transcript.resize(seconds(2), new, 1000, &mut sink);
        transcript.finish(seconds(3), &mut sink);
        for line in &text {
            assert!(lines.contains(line.as_str()), "{} columns to {new}: {line}", cols);
        }
    }
}

#[test]
fn after_a_resize_every_line_has_the_times_at_which_it_stood() {
    let came = |size| {
        told((8, 4), &[(1, Ok("one\r\n")), (2, Ok("two and more\r\n")), (3, Ok("three")), (9, Err(size))])
    };
    // Rows are pushed out, wrapped anew, joined, added.
    for size in [(8, 2), (5, 4), (20, 4), (20, 2), (4, 2), (8, 9), (30, 9)] {
        let mut lines = came(size);
        lines.iter_mut().for_each(|line| line.truncate(line.rfind(' ').unwrap()));
        assert_eq!(lines, ["one 1 1", "two and more 2 2", "three 3 3"], "{size:?}");
    }
    // Rows that were blank are no older than what is written there.
    let lines = told((8, 3), &[(1, Ok("one")), (4, Err((8, 5))), (6, Ok("\x1b[5;1Hfive"))]);
    assert_eq!(lines, ["one 1 1 99", "five 6 6 99"]);
}

#[test]
fn rows_of_the_alternate_screen_that_a_resize_moves_begin_anew() {
    let page = "\x1b[?1049h\x1b[Ha\r\nb\r\nc";
    let lines =
        told((8, 3), &[(1, Ok(page)), (4, Err((8, 2))), (6, Ok("\x1b[2;2Hnew")), (8, Ok("\x1b[?1049l"))]);
    assert_eq!(lines[..3], ["a 1 1 4", "b 1 1 4", "c 1 1 4"]);
    assert!(lines[3..].iter().any(|line| line.starts_with("cnew ")), "{lines:?}");
    for line in &lines[3..] {
        let first: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(first >= 4, "{lines:?}");
    }
}

/// Counted, not timed. A pair of the largest sizes takes a fiftieth of a second, and a recording of ten kilobytes can have millions.
#[test]
fn no_storm_of_sizes_is_dear_and_what_stood_before_and_comes_after_it_is_told() {
    const CREDIT: u64 = 4 << 20;
    for between in ["", "\x1b[?1049h", "x"] {
        let mut transcript = Transcript::new(200, 60);
        transcript.terminal_mut().screen.work = Work::with_resizing(CREDIT);
        let mut lines = Vec::new();
        transcript.feed(seconds(0), b"before\r\n", &mut |line| lines.push(line.text));
        let sizes = [(1000, 1000), (3, 1000), (1000, 1), (80, 24)];
        for (cols, rows) in sizes.into_iter().cycle().take(400) {
            transcript.resize(seconds(1), cols, rows, &mut |line| lines.push(line.text));
            transcript.feed(seconds(1), between.as_bytes(), &mut |line| lines.push(line.text));
        }
        let terminal = transcript.terminal();
        assert!(terminal.overrun(), "{between:?}");
        // The columns are right whatever was paid for: by them text is wrapped.
        assert_eq!(terminal.size(), (80, 24), "{between:?}");
        let most = CREDIT + 400 * (64 << 10);
        assert!(terminal.spent() < most, "{between:?}: {}", terminal.spent());
        let after = "after ".repeat(12);
        transcript.feed(seconds(2), format!("\r\n{after}").as_bytes(), &mut |line| lines.push(line.text));
        assert_eq!(transcript.terminal().row_text(transcript.terminal().cursor().row), after.trim_end());
        transcript.finish(seconds(3), &mut |line| lines.push(line.text));
        for text in ["before", after.trim_end()] {
            assert!(lines.iter().any(|line| line == text), "{between:?}: {text:?} in {} lines", lines.len());
        }
    }
}

#[test]
fn a_size_that_could_not_be_paid_for_comes_with_fewer_rows_until_it_can() {
    let mut terminal = Terminal::new(80, 24);
    terminal.feed(b"\x1b[31mbefore");
    terminal.screen.work = Work::with_resizing(0);
    terminal.resize(1000, 1000);
    let (cols, rows) = terminal.size();
    assert!(cols == 1000 && (1..50).contains(&rows) && terminal.overrun(), "{rows}");
    assert_eq!((terminal.row_text(0).as_str(), terminal.cursor().row), ("", 0));
    // Sixty-four cells a character.
    terminal.feed(&b"x".repeat(70_000));
    terminal.resize(1000, 1000);
    assert_eq!(terminal.size(), (1000, 1000));
    assert!(terminal.row_text(0).starts_with("xxx"));
}

#[test]
fn whoever_pulls_at_a_large_window_for_a_while_loses_nothing() {
    let mut terminal = Terminal::new(400, 100);
    for n in 0..300 {
        terminal.resize(400 - n, 100 - n / 4);
        terminal.feed(b"\r\x1b[K[user@host ~]$ ");
    }
    assert!(!terminal.overrun());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Each line is written in one second, and stays itself through whatever sizes.
    #[test]
    fn no_size_gives_a_line_the_time_of_another(
        steps in proptest::collection::vec(prop_oneof![
            3 => (1usize..30, 0usize..4).prop_map(|(narrow, wide)| Ok((narrow, wide))),
            2 => (2u16..40, 1u16..9).prop_map(Err),
        ], 1..40),
    ) {
        let mut lines: Vec<Line> = Vec::new();
        let mut transcript = Transcript::new(20, 4);
        let mut wrote = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let at = seconds(n as u64);
            match step {
                Ok((narrow, wide)) => {
                    let text = format!("<{n}{}{}>", "x".repeat(*narrow), "日".repeat(*wide));
                    transcript.feed(at, format!("{text}\r\n").as_bytes(), &mut |line| lines.push(line));
                    wrote.push((at, text));
                }
                Err((cols, rows)) => transcript.resize(at, *cols, *rows, &mut |line| lines.push(line)),
            }
        }
        transcript.finish(seconds(1000), &mut |line| lines.push(line));
        for (at, text) in wrote {
            let found: Vec<&Line> = lines.iter().filter(|line| line.text.contains(&text)).collect();
            prop_assert!(!found.is_empty(), "{text} of {lines:?}");
            for line in found {
                prop_assert_eq!((&line.text, line.first, line.complete), (&text, at, at), "{:?}", lines);
            }
        }
    }
}
