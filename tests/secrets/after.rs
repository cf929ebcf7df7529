//! What is typed right after a secret was read: the next command, which is shown, and is to be stored.

use crate::support::sandbox::Sandbox;
use crate::support::tried::{BUSY, Tried};
use crate::{SECRET, Session, there, tried};

/// A prompt that shows nothing, not even a new line at the end: what comes next stands right behind it.
const PROMPT: &str = r#"
import os, termios, tty
found = termios.tcgetattr(0)
tty.setraw(0)
os.write(1, b"Word: ")
while os.read(0, 1) not in b"\r\n": pass
termios.tcsetattr(0, termios.TCSADRAIN, found)
"#;

#[test]
fn a_command_right_behind_a_prompt_that_shows_nothing() {
    if there("python3") {
        tried(|| {
            let sandbox = Sandbox::new();
            let command = format!("python3 {}", sandbox.file("word.py", PROMPT).display());
            right_behind(&command, &[SECRET, "\r"])
        });
    }
}

#[test]
fn a_command_right_behind_a_secret_that_was_typed_anew() {
    tried(|| right_behind("read -ersp 'Wo''rd: ' x", &["Zq7v", "\x15", SECRET, "\r"]));
}

#[track_caller]
fn right_behind(command: &str, keys: &[&str]) -> Tried {
    let mut session = Session::bash();
    session.terminal.echoed(format!("{command}\r"), "\r\n");
    session.asked("Word: ");
    for keys in keys {
        session.type_unseen(keys);
    }
    session.terminal.wait_for("PROMPT> ");
    session.terminal.read_through(BUSY);
    session.type_slowly("echo open two\r");
    session.terminal.wait_for("\ropen two\r\n");
    session.terminal.wait_for("PROMPT> ");
    session.check(&[command, "echo open two\r"], 1)
}
