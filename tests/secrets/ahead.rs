//! What is typed before the session has the terminal: the answer to what the program is going to ask for.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::tried::Missed;
use crate::support::{children, state, until};
use crate::{SECRET, there, tried};
use sealcast::cast::Payload;
use sealcast::sys::signals;
use std::time::Instant;

/// A program that is begun by a shell once all this was typed, shown by the terminal and read by nobody.
fn typed_ahead(words: &[&str], keys: &str) -> (Sandbox, Terminal) {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(words);
    let mut shell = sandbox.command("sh");
    shell.args(["-c", "until [ -e go ]; do sleep 0.05; done; \"$0\" \"$@\""]);
    shell.arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&shell, SIZE);
    terminal.send(keys);
    terminal.wait_for(&keys.replace('\r', "\r\n"));
    sandbox.file("go", "");
    (sandbox, terminal)
}

fn withheld(sandbox: &Sandbox) -> u32 {
    let withheld = |payload| if let Payload::Withheld(count) = payload { count } else { 0 };
    sandbox.events().into_iter().map(|event| withheld(event.payload)).sum()
}

/// How often the secret was shown.
fn shown(terminal: &Terminal) -> usize {
    memchr::memmem::find_iter(terminal.transcript(), SECRET).count()
}

/// It is not in the recording, but counted, and was shown as often as without us: as it was typed.
#[track_caller]
fn is_kept(sandbox: &Sandbox, terminal: &Terminal) {
    let all = sandbox.everything();
    assert!(all.contains("\"kind\":\"exit\"") && !all.contains(SECRET), "it was recorded: {all}");
    assert_eq!((withheld(sandbox), shown(terminal)), (1, 1), "{all}");
    assert!(!String::from_utf8(sandbox.recorded_input()).unwrap().contains(SECRET));
}

/// Has its terminal show what is typed for a moment, like any program that has to begin first.
const ASKS: &str = "sleep 0.2; stty -echo; printf 'Wo''rd: '; read x; stty echo; echo ${#x} letters";

#[test]
fn a_secret_that_is_typed_before_the_program_runs_that_reads_it() {
    let (sandbox, mut terminal) = typed_ahead(&["sh", "-c", ASKS], &format!("{SECRET}\r"));
    terminal.wait_for("Word: ");
    terminal.wait_for("10 letters");
    assert!(terminal.wait_end().success());
    is_kept(&sandbox, &terminal);
}

#[test]
fn a_secret_that_is_typed_ahead_of_a_program_that_throws_it_away() {
    if !there("python3") {
        return;
    }
    let asks = "import getpass; print(len(getpass.getpass('Word: ')), 'letters')";
    let (sandbox, mut terminal) = typed_ahead(&["python3", "-c", asks], &format!("{SECRET}\r"));
    terminal.wait_for("Word: ");
    terminal.send_unseen("another\r");
    terminal.wait_for("7 letters");
    assert!(terminal.wait_end().success());
    let all = sandbox.everything();
    assert!(!all.contains(SECRET) && !all.contains("another"), "{all}");
    assert_eq!((withheld(&sandbox), shown(&terminal)), (2, 1), "{all}");
}

#[test]
fn an_answer_that_comes_just_behind_what_the_program_has_thrown_away_reaches_it() {
    if !there("python3") {
        return;
    }
    tried(|| {
        let asks = "import os, termios, time\n\
            open('runs', 'w')\n\
            while not os.path.exists('ask'): time.sleep(0.01)\n\
            settings = termios.tcgetattr(0)\n\
            settings[3] &= ~termios.ECHO\n\
            termios.tcsetattr(0, termios.TCSAFLUSH, settings)\n\
            open('asks', 'w')\n\
            print(len(input()), 'letters')";
        let (sandbox, mut terminal) = typed_ahead(&["python3", "-c", asks], &format!("{SECRET}\r"));
        let is_there = |name: &str| until(name, || sandbox.path(name).exists().then_some(()));
        is_there("runs");
        let shell = terminal.pid();
        let recorder = until("the recorder", || children(shell).first().copied());
        signals::send(recorder, signals::SIGSTOP).unwrap();
        until("the recorder to stand still", || (state(recorder) == Some('T')).then_some(()));
        sandbox.file("ask", "");
        is_there("asks");
        terminal.send_unseen("another\r");
        signals::send(recorder, signals::SIGCONT).unwrap();
        terminal.wait_for("7 letters");
        assert!(terminal.wait_end().success());
        let all = sandbox.everything();
        assert!(!all.contains("another"), "{all}");
        // It is kept back for so long only.
        match (withheld(&sandbox), shown(&terminal)) {
            (2, 1) => assert!(!all.contains(SECRET), "{all}"),
            _ => return Err(Missed { why: all, late: terminal.late() }),
        }
        Ok(())
    });
}

#[test]
fn a_secret_that_is_typed_ahead_of_a_program_that_ends() {
    let (sandbox, mut terminal) = typed_ahead(&["sh", "-c", "sleep 0.2"], &format!("{SECRET}\r"));
    assert!(terminal.wait_end().success());
    is_kept(&sandbox, &terminal);
}

#[test]
fn a_key_that_signals_takes_back_the_secret_before_it_at_once() {
    tried(|| {
        let script = "trap 'echo INT''ERRUPTED; exit 3' INT; echo RU''NS; while :; do sleep 0.05; done";
        let (sandbox, mut terminal) = typed_ahead(&["sh", "-c", script], &format!("{SECRET}\r"));
        terminal.wait_for("RUNS");
        terminal.echoed("\x03", "INTERRUPTED");
        assert_eq!(terminal.wait_end().code(), Some(3));
        // It is kept back for so long only.
        match shown(&terminal) {
            1 => is_kept(&sandbox, &terminal),
            _ => return Err(Missed { why: sandbox.everything(), late: terminal.late() }),
        }
        Ok(())
    });
}

/// Reads a line as lines are read, behind a prompt.
const READS: &str =
    "sleep 0.2; printf 'PRO''MPT> '; read x; echo got $x; printf 'PRO''MPT> '; read x; echo got $x";

#[test]
fn lines_that_are_typed_ahead_in_the_open_are_shown_where_they_are_read_and_stored() {
    tried(|| {
        let (sandbox, mut terminal) = typed_ahead(&["sh", "-c", READS], "open one\ropen two\r");
        terminal.wait_for("PROMPT> open one\r\nopen two\r\n");
        terminal.wait_for("got open two\r\n");
        assert!(terminal.wait_end().success());
        let input = String::from_utf8(sandbox.recorded_input()).unwrap();
        if input == "open one\ropen two\r" || input == "open one\nopen two\n" {
            return Ok(());
        }
        let why = format!("{input:?} {}", sandbox.everything());
        Err(Missed { why, late: terminal.late() })
    });
}

#[test]
fn lines_that_are_typed_ahead_of_a_program_that_only_looks_for_them_reach_it() {
    if !there("python3") {
        return;
    }
    let looks = "import select, sys\n\
        open('looks', 'w')\n\
        while not select.select([sys.stdin], [], [], 0.05)[0]: pass\n\
        print('got', sys.stdin.readline().strip())";
    let (sandbox, mut terminal) = typed_ahead(&["python3", "-c", looks], "open one\r");
    until("the program to look", || sandbox.path("looks").exists().then_some(()));
    terminal.send("more\r");
    terminal.wait_for("open one\r\n");
    terminal.wait_for("got open one\r\n");
    assert!(terminal.wait_end().success());
}

#[test]
fn a_line_that_is_typed_ahead_of_a_program_that_polls_for_it_reaches_it_before_its_time_is_over() {
    if !there("bash") {
        return;
    }
    tried(|| {
        let script = "read -t 1.5 x && echo got $x || echo defa''ult";
        let (sandbox, mut terminal) = typed_ahead(&["bash", "-c", script], "yes\r");
        assert!(terminal.wait_end().success());
        if terminal.transcript().ends_with(b"got yes\r\n") {
            return Ok(());
        }
        let why = format!("{} {}", terminal.transcript().escape_ascii(), sandbox.everything());
        Err(Missed { why, late: terminal.late() })
    });
}

#[test]
fn a_secret_that_is_typed_ahead_of_a_program_that_polls_for_a_moment_before_it_asks() {
    if !there("bash") {
        return;
    }
    tried(|| {
        let asks = "read -t 0.1 x || { stty -echo; read x; stty echo; }; echo ${#x} letters";
        let (sandbox, mut terminal) = typed_ahead(&["bash", "-c", asks], &format!("{SECRET}\r"));
        let begun = Instant::now();
        terminal.wait_for(" letters");
        let took = begun.elapsed();
        assert!(terminal.wait_end().success());
        match shown(&terminal) {
            1 => is_kept(&sandbox, &terminal),
            // It has a third of a second to ask, on whatever host.
            _ => return Err(Missed { why: sandbox.everything(), late: took }),
        }
        Ok(())
    });
}

#[test]
fn a_secret_that_is_typed_ahead_of_a_program_that_polls_something_else_before_it_asks() {
    if !there("python3") {
        return;
    }
    tried(|| {
        // As who asks a host first.
        let asks = "import os, select, termios\n\
            select.select([os.pipe()[0]], [], [], 0.7)\n\
            settings = termios.tcgetattr(0)\n\
            settings[3] &= ~termios.ECHO\n\
            termios.tcsetattr(0, termios.TCSANOW, settings)\n\
            print(len(input()), 'letters')";
        let (sandbox, mut terminal) = typed_ahead(&["python3", "-c", asks], &format!("{SECRET}\r"));
        terminal.wait_for("10 letters");
        assert!(terminal.wait_end().success());
        // It is kept back for so long only.
        match shown(&terminal) {
            1 => is_kept(&sandbox, &terminal),
            _ => return Err(Missed { why: sandbox.everything(), late: terminal.late() }),
        }
        Ok(())
    });
}
