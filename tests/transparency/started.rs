//! The program runs, and the recorder has not been told yet: on a busy host the process between them may be late.

use super::background::waits;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::{children, descendants, lives, skipped, state, there, until};
use sealcast::sys::signals::{SIGCONT, SIGHUP, SIGINT, SIGSTOP, SIGTERM, SIGTSTP, send};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Keeps a program from being executed (its lease must be given back first) until its standard input ends.
const KEEPS: &str = r#"
import fcntl, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
program = open(sys.argv[1])
fcntl.fcntl(program, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("kept", flush=True)
signal.sigwait([signal.SIGIO])
print("wanted", flush=True)
sys.stdin.read()
"#;

/// Nothing is shown for so long that whatever looks at the terminal again and again has looked, and an echo is overdue.
const A_WHILE: Duration = Duration::from_millis(700);

/// A program of which the recorder is not told that it runs.
struct Untold {
    sandbox: Sandbox,
    terminal: Terminal,
    keeper: Child,
    wrapper: u32,
    stage: u32,
}

impl Untold {
    /// Runs it, by this line of a shell. `None` where it cannot be kept from being told.
    fn run(line: &str, program: &str) -> Option<Self> {
        let mut untold = Self::kept(line, program)?;
        let stage = untold.stage;
        send(stage, SIGSTOP).unwrap();
        until("the stage to be stopped", || (state(stage) == Some('T')).then_some(()));
        if !children(stage).iter().all(|pid| comm(*pid) == "sealcast") {
            skipped("the kernel has taken the lease back: it waits for some time only");
            return None;
        }
        untold.let_it_run();
        Some(untold)
    }

    /// The same, up to where its file is to be executed: that waits until it is let run.
    fn kept(line: &str, program: &str) -> Option<Self> {
        if !there(&["python3"]) {
            return None;
        }
        let sandbox = Sandbox::new();
        let path = sandbox.file("program", program);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        let mut keeper = sandbox.command("python3");
        keeper.args(["-c", KEEPS]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut told = BufReader::new(keeper.stdout.take().unwrap()).lines();
        if told.next().and_then(Result::ok).as_deref() != Some("kept") {
            skipped("files cannot be leased here");
            let _ = keeper.wait();
            return None;
        }
        let mut terminal = sandbox.shell();
        terminal.send(format!("echo BE''GIN; {}\r", line.replace("$W", &sandbox.wrapper_line())));
        terminal.wait_for("BEGIN\r\n");
        assert_eq!(told.next().unwrap().unwrap(), "wanted");
        let is_ours = |pid: &u32| comm(*pid) == "sealcast";
        let wrapper = descendants(terminal.pid()).into_iter().find(is_ours).unwrap();
        let stage = children(wrapper).into_iter().find(|pid| !children(*pid).is_empty()).unwrap();
        Some(Self { sandbox, terminal, keeper, wrapper, stage })
    }

    fn let_it_run(&mut self) {
        drop(self.keeper.stdin.take());
    }

    /// Waits until it has made this file.
    fn made(&self, file: &str) {
        until(file, || self.sandbox.path(file).exists().then_some(()));
    }

    fn tell(&self) {
        send(self.stage, SIGCONT).unwrap();
    }

    /// The shell says that it is stopped, and brings it to the foreground, where a key ends it.
    #[track_caller]
    fn is_stopped_and_goes_on(&mut self) {
        let terminal = &mut self.terminal;
        terminal.wait_for("Stopped");
        terminal.wait_for("OUTER> ");
        terminal.line("fg", "./program");
        terminal.wait_raw();
        terminal.send("\x03");
        terminal.wait_for("OUTER> ");
        assert_eq!(self.sandbox.recorded_exit(), Some(130));
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = send(self.stage, SIGCONT);
    }
}

fn comm(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
fn what_is_drawn_before_it_is_known_to_run_is_shown_as_it_wants_it() {
    let draws = "#!/bin/sh\nstty -icanon -echo -onlcr </dev/tty\nprintf 'draws\\ndown' >/dev/tty\n\
        echo >drawn\nexec dd if=/dev/tty of=/dev/null bs=1 count=1 status=none\n";
    let Some(mut untold) = Untold::run("$W ./program | cat", draws) else { return };
    untold.made("drawn");
    untold.terminal.stays_silent(A_WHILE);
    untold.tell();
    untold.terminal.wait_for("draws\ndown");
    untold.terminal.send_unseen("x");
    untold.terminal.wait_for("OUTER> ");
    assert_eq!(untold.sandbox.recorded_output(), b"draws\ndown");
}

#[test]
fn what_is_typed_before_it_is_known_to_run_and_is_echoed_is_recorded() {
    let Some(mut untold) = Untold::run("$W ./program", "#!/bin/sh\nread x\necho got $x\n") else { return };
    untold.terminal.send_unseen("abc");
    untold.terminal.stays_silent(A_WHILE);
    untold.tell();
    untold.terminal.wait_for("abc");
    untold.terminal.line("", "got abc");
    untold.terminal.wait_for("OUTER> ");
    assert_eq!(untold.sandbox.recorded_input(), b"abc\r");
}

/// It wants the keyboard, and has seen to it that the kernel does not stop it in the background.
const WANTS_KEYS: &str = "#!/bin/sh\ntrap '' TTOU TTIN\nstty raw </dev/tty\necho >wants\nexec sleep 1000\n";

#[test]
fn in_the_background_a_signal_that_comes_before_it_is_known_to_run_ends_it() {
    let Some(mut untold) = Untold::run("$W ./program &", WANTS_KEYS) else { return };
    untold.terminal.wait_for("OUTER> ");
    untold.made("wants");
    untold.terminal.stays_silent(A_WHILE);
    let wrapper = untold.wrapper;
    untold.terminal.line(&format!("kill -TERM {wrapper}; kill -CONT {wrapper}"), "OUTER> ");
    untold.tell();
    until("the end of the wrapper", || (!lives(wrapper)).then_some(()));
    untold.terminal.line(&format!("wait {wrapper}; echo status $?"), "status 143");
    assert_eq!(untold.sandbox.recorded_exit(), Some(143));
}

#[test]
fn a_stop_that_comes_before_it_is_known_to_run_stops_it() {
    let Some(mut untold) = Untold::run("$W ./program", "#!/bin/sh\necho >runs\nexec sleep 1000\n") else {
        return;
    };
    untold.made("runs");
    send(untold.wrapper, SIGTSTP).unwrap();
    untold.terminal.stays_silent(A_WHILE);
    untold.tell();
    untold.is_stopped_and_goes_on();
}

#[test]
fn a_stop_that_is_taken_back_before_it_is_known_to_run_stops_nothing() {
    let reads = "#!/bin/sh\necho >runs\nread x\necho got $x\n";
    let Some(mut untold) = Untold::run("$W ./program", reads) else { return };
    untold.made("runs");
    // Each is read before what follows.
    for signal in [SIGTSTP, SIGCONT] {
        send(untold.wrapper, signal).unwrap();
        until("it to be read", || (!waits(signal, untold.wrapper)).then_some(()));
    }
    untold.tell();
    untold.terminal.wait_raw();
    untold.terminal.line("abc", "got abc");
    untold.terminal.wait_for("OUTER> ");
}

#[test]
fn a_stop_that_is_typed_before_its_file_is_executed_stops_it() {
    let Some(mut untold) = Untold::kept("$W ./program", "#!/bin/sh\nexec sleep 1000\n") else { return };
    // It has the foreground of its terminal by now, and is open to signals, but nobody can be told that it was stopped.
    untold.terminal.send_unseen("\x1a");
    untold.terminal.stays_silent(A_WHILE);
    untold.let_it_run();
    untold.is_stopped_and_goes_on();
}

#[test]
fn a_stop_that_is_typed_long_before_its_file_is_executed_stops_it() {
    let Some(mut untold) = Untold::kept("$W ./program", "#!/bin/sh\nexec sleep 1000\n") else { return };
    untold.terminal.send_unseen("\x1a");
    untold.terminal.stays_silent(A_WHILE * 2);
    untold.let_it_run();
    untold.is_stopped_and_goes_on();
}

#[test]
fn what_is_typed_long_before_its_file_is_executed_is_read_and_recorded() {
    let Some(mut untold) = Untold::kept("$W ./program", "#!/bin/sh\nread x\necho got $x\n") else { return };
    untold.terminal.send_unseen("ab");
    untold.terminal.stays_silent(A_WHILE * 2);
    untold.terminal.send_unseen("c");
    untold.terminal.stays_silent(A_WHILE);
    untold.let_it_run();
    untold.terminal.wait_for("abc");
    untold.terminal.line("", "got abc");
    untold.terminal.wait_for("OUTER> ");
    assert_eq!(untold.sandbox.recorded_input(), b"abc\r");
}

/// Leaves word that its file was executed: the kernel takes a lease back after some time.
const RAN: &str = "#!/bin/sh\necho >ran\nexec sleep 1000\n";

#[test]
fn a_key_that_ends_it_does_not_wait_until_its_file_is_executed() {
    for (key, status) in [("\x03", 130), ("\x1c", 131)] {
        let Some(mut untold) = Untold::kept("$W ./program", RAN) else { return };
        // Neither what was typed ahead nor a stop, both of which wait, keeps the key from being seen.
        untold.terminal.send_unseen("abc\x1a");
        untold.terminal.stays_silent(A_WHILE * 2);
        untold.terminal.send_unseen(key);
        untold.terminal.wait_for("OUTER> ");
        assert!(!untold.sandbox.path("ran").exists());
        assert_eq!(untold.sandbox.recorded_exit(), Some(status));
    }
}

#[test]
fn a_signal_that_ends_it_does_not_wait_until_its_file_is_executed() {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let Some(mut untold) = Untold::kept("$W ./program", RAN) else { return };
        send(untold.wrapper, signal).unwrap();
        untold.terminal.wait_for("OUTER> ");
        assert!(!untold.sandbox.path("ran").exists());
        assert_eq!(untold.sandbox.recorded_exit(), Some(128 + signal));
    }
}

#[test]
fn in_the_background_a_signal_that_ends_it_does_not_wait_until_its_file_is_executed() {
    let Some(mut untold) = Untold::kept("$W ./program &", RAN) else { return };
    untold.terminal.wait_for("OUTER> ");
    let wrapper = untold.wrapper;
    untold.terminal.line(&format!("kill -TERM {wrapper}; wait {wrapper}; echo status $?"), "status 143");
    assert!(!untold.sandbox.path("ran").exists());
    assert_eq!(untold.sandbox.recorded_exit(), Some(143));
}
