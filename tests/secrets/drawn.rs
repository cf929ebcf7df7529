//! Secrets that consist of what prompts and logs consist of: words, typed at prompts that are written again at every key, and
//! codes of digits, typed while something counts and tells the time beside them.

use crate::support::sandbox::Sandbox;
use crate::support::tried::{Missed, Tried};
use crate::{Session, there, tried, without};
use std::time::Duration;

/// A prompt that reads key by key in raw mode. At each key it is written again, with a star for each; meanwhile a log of
/// numbers is written, if it is wanted, and what came before it stays where it was.
const PROMPT: &str = r#"
import os, sys, termios, time, tty, select
label, log = sys.argv[1], len(sys.argv) > 2
found = termios.tcgetattr(0)
tty.setraw(0)
os.write(1, label.encode())
got, n = b"", 0
while True:
    if not select.select([0], [], [], 0.02)[0]:
        n += 1
        if log:
            line = "\r\n%s.%03d GET /item/%d 200 %d" % (time.strftime("%H:%M:%S"), n, n * 7919 % 10007, n * 104729 % 99991)
            os.write(1, line.encode())
        continue
    key = os.read(0, 1)
    if key in (b"\r", b"\n"): break
    got += key
    if not log: os.write(1, ("\r\x1b[K" + label + "*" * len(got)).encode())
termios.tcsetattr(0, termios.TCSADRAIN, found)
print(); print("taken", len(got))
"#;

/// Ends the shell. Nothing of what is left of the input, once these lines are taken out, may be one of these characters.
fn check(session: Session, open: &[&str], secret: impl Fn(char) -> bool) -> Tried {
    let Session { sandbox, mut terminal } = session;
    terminal.send("exit\r");
    terminal.wait_end();
    let input = String::from_utf8(sandbox.recorded_input()).unwrap();
    let (left, missing) = without(&input, open);
    assert!(!left.contains(secret), "{left:?} is left of {input:?}\n{}", sandbox.everything());
    let why = || format!("{missing:?} is missing\n{}", sandbox.everything());
    if missing.is_empty() { Ok(()) } else { Err(Missed { why: why(), late: terminal.late() }) }
}

/// Types key by key, so that something is drawn between them.
#[track_caller]
fn type_in_time(session: &mut Session, text: &str) {
    for key in text.chars() {
        session.terminal.send_unseen(key.to_string());
        session.terminal.read_through(Duration::from_millis(60));
    }
}

/// Types all of them, one after the other, at the prompt.
#[track_caller]
fn typed_at(label: &str, log: &str, secrets: &[&str]) {
    tried(|| typed_once_at(label, log, secrets));
}

#[track_caller]
fn typed_once_at(label: &str, log: &str, secrets: &[&str]) -> Tried {
    let mut session = Session::bash();
    let script = session.sandbox.file("prompt.py", PROMPT);
    let line = format!("python3 {} '{label}' {log}", script.display());
    for secret in secrets {
        session.terminal.send(format!("{line}\r"));
        session.terminal.wait_for("\r\n");
        session.terminal.wait_for(label);
        type_in_time(&mut session, secret);
        session.terminal.send("\r");
        session.terminal.wait_for(&format!("taken {}", secret.len()));
        session.terminal.wait_for("PROMPT> ");
    }
    session.line("echo open two", "PROMPT> ");
    let open: Vec<&str> = secrets.iter().map(|_| line.as_str()).chain(["echo open two\r"]).collect();
    check(session, &open, |_| true)
}

#[test]
fn words_typed_at_a_prompt_that_is_written_again_at_every_key_are_withheld() {
    typed_at("? Enter your password: ", "", &["content", "person", "operator", "restarts"]);
    typed_at("Enter passphrase for key: ", "", &["kernel", "shorter", "otherssea"]);
}

#[test]
fn codes_typed_while_a_log_is_written_are_withheld() {
    typed_at("Code: ", "log", &["482915", "259038", "117203", "1403", "20010101"]);
}

#[test]
fn a_code_typed_into_tmux_beside_a_pane_with_a_log_is_withheld() {
    tried(|| {
        if !there("tmux") {
            return Ok(());
        }
        let mut session = Session::bash();
        let socket = session.sandbox.path("tmux");
        let log = "while sleep 0.05; do echo $(date +%T.%N) GET /item/$RANDOM 200 $RANDOM; done";
        let log = session.sandbox.file("log.sh", log);
        let tmux = format!(
            "tmux -f /dev/null -S {} new \"PS1='INNER''> ' bash --norc -i\" \\; split-window -hd bash {}",
            socket.display(),
            log.display()
        );
        session.line(&tmux, "INNER> ");
        // The prompt is not found in the line itself, whatever tmux draws, and how often.
        let read = "read -rsp C''ode: x; echo; echo ${#x} digits";
        for code in ["482915", "259038", "730164"] {
            session.terminal.line(read, "Code:");
            type_in_time(&mut session, code);
            session.line("", "6 digits");
            session.terminal.wait_for("INNER> ");
        }
        let sandbox: &Sandbox = &session.sandbox;
        let mut kill = sandbox.command("tmux");
        assert!(kill.arg("-S").arg(&socket).arg("kill-server").status().unwrap().success());
        session.terminal.wait_for("PROMPT> ");
        check(session, &[&tmux], |c| "123456789".contains(c))
    });
}
