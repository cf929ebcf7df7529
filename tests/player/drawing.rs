//! Nothing but the player's drawing comes to the viewer's terminal, whatever was recorded.

use super::viewer::Viewer;
use crate::home::{self, Home, Recording};
use crate::support::dice::Dice;
use sealcast::cast::{Command as Entry, Payload};
use std::time::Duration;

/// Everything but what a drawing needs.
#[derive(Default)]
struct Forbidden(Vec<String>);

impl vte::Perform for Forbidden {
    fn print(&mut self, c: char) {
        if sealcast::text::is_deceptive(c) {
            self.0.push(format!("printed {c:?}"));
        }
    }
    fn execute(&mut self, byte: u8) {
        if !matches!(byte, b'\r' | b'\n') {
            self.0.push(format!("control {byte:02x}"));
        }
    }
    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, action: char) {
        self.0.push(format!("DCS {action}"));
    }
    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.0.push(format!("OSC {params:?}"));
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.0.push(format!("ESC {}", char::from(byte)));
    }
    fn csi_dispatch(&mut self, params: &vte::Params, intermediates: &[u8], _: bool, action: char) {
        let allowed = match (intermediates, action) {
            ([], 'H' | 'm' | 'J') => true,
            ([b'?'], 'h' | 'l') => {
                params.iter().all(|n| matches!(n, [25 | 1000 | 1002 | 1003 | 1006 | 1015 | 1049]))
            }
            _ => false,
        };
        if !allowed {
            self.0.push(format!("CSI {intermediates:?} {params:?} {action}"));
        }
    }
}

#[track_caller]
pub fn draws_only(transcript: &[u8]) {
    let mut forbidden = Forbidden::default();
    vte::Parser::new().advance(&mut forbidden, transcript);
    assert!(forbidden.0.is_empty(), "written to the viewer's terminal: {:?}", forbidden.0);
}

/// Everything that could act on a terminal or hold up a player, and lies about it in every place that can lie.
fn hostile() -> Recording {
    let mut dice = Dice(9);
    let evil = "\x1b[2J\u{202e}\u{9b}6n\x1b]52;c;ZXZpbA==\x07\x1b]0;t\x07\x1b]8;;http://e\x1b\\x\x1b[?1000h\x1bP$qm\x1b\\\r\n";
    let mut events = vec![(0, Payload::Resize { cols: 65535, rows: 65535 })];
    let sizes = [(0, 0), (1, 1), (90, 30), (65535, 1)];
    for n in 0..40u64 {
        events.push((n * 100, Payload::Output(dice.bytes(9000))));
        events.push((n * 100 + 1, Payload::Output(evil.repeat(9).into_bytes())));
        events.push((n * 100 + 2, Payload::Input(dice.bytes(50))));
        events.push((n * 100 + 3, Payload::Marker(evil.repeat(20))));
        events.push((n * 100 + 4, Payload::Keyframe(format!("\x1b]5379;size;65535;65535\x1b\\{evil}"))));
        let (cols, rows) = sizes[n as usize % sizes.len()];
        events.push((n * 100 + 5, Payload::Resize { cols, rows }));
    }
    let gap = sealcast::cast::Gap {
        why: evil.into(),
        of: evil.into(),
        count: u64::MAX,
        note: evil.into(),
        sha256: evil.into(),
    };
    events.push((4100, Payload::Gap(gap)));
    events.push((5000, Payload::Output(b"\x1bc\x1b[?69l\x1b[rthe end\r\n".to_vec())));
    let command = Entry { text: evil.into(), start: u64::MAX, cwd: Some(evil.into()), ..Entry::default() };
    Recording {
        events,
        commands: vec![command],
        user: "\x1b[2Jmallory\u{202e}",
        host: "\x1b]0;host\x07",
        reason: "\x1b[6n",
        ..Recording::default()
    }
}

#[test]
fn nothing_but_the_players_drawing_is_written_whatever_was_recorded() {
    let home = Home::new();
    let (path, _) = home.record(&hostile());
    // The marks beside it are somebody else's too.
    let marks = r#"[{"at":18446744073709551615,"note":"\u001b[2J\u202e\u009b6n"},{"at":5,"note":"\u001b]0;t\u0007"}]"#;
    home::write(std::path::Path::new(&format!("{}.marks.json", path.display())), marks.as_bytes());
    let mut viewer = Viewer::start(&home, &["play", "last"], (100, 30));
    viewer.shows("intact");
    for keys in [
        "G", ",", ",", ".", "5", "k", "v", "/e\r", "n", "N", "\t", "/x\r", "h", "\r", "t", "G", "g", "q",
        "b", "q", "'", "q", "c", "c",
    ] {
        viewer.terminal.send(keys);
        viewer.terminal.read_for(Duration::from_millis(100));
    }
    viewer.types("H", "help · sealcast");
    viewer.terminal.send("q");
    viewer.types(":0:05\r", "the end");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
    draws_only(viewer.terminal.transcript());
    // The browser lists it.
    let mut viewer = Viewer::start(&home, &["play"], (100, 30));
    viewer.shows("mallory");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    draws_only(viewer.terminal.transcript());
}
