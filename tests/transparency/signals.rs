//! Signals that are sent to the wrapper.

use super::background::{last_job, seen_stopped};
use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::{descendants, lives, pause, state, there, until};
use sealcast::sys::signals;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// HUP, INT, QUIT, TRAP, ABRT, USR1, USR2, ALRM, TERM, STKFLT, XCPU, VTALRM, PROF, IO, PWR, SYS, and the first and the last of the
/// realtime signals: all that end a program and come from somebody as a rule.
const HANDED_ON: [i32; 18] = [1, 2, 3, 5, 6, 10, 12, 14, 15, 16, 24, 26, 27, 29, 30, 31, 34, 64];

#[test]
fn signals_are_handed_on_to_the_child() {
    for number in HANDED_ON {
        let sandbox = Sandbox::new();
        let script =
            format!("trap 'echo GOT {number}; exit 42' {number}; echo READY; while :; do sleep 0.05; done");
        let mut terminal = sandbox.run(&["sh", "-c", &script]);
        terminal.wait_for("READY");
        signals::send(terminal.pid(), number).unwrap();
        terminal.wait_for(&format!("GOT {number}"));
        assert_eq!(terminal.wait_end().code(), Some(42), "{number}");
    }
}

#[test]
fn without_a_terminal_signals_are_handed_on_too() {
    for number in HANDED_ON {
        let sandbox = Sandbox::new();
        let ready = sandbox.path("ready");
        let script =
            format!("trap 'exit 42' {number}; echo > {}; while :; do sleep 0.05; done", ready.display());
        let mut command = in_a_session_without_terminal(&sandbox, &["sh", "-c", &script]);
        let mut child = command.spawn().unwrap();
        until("the child", || ready.exists().then_some(()));
        signals::send(child.id(), number).unwrap();
        assert_eq!(until("the end", || child.try_wait().unwrap()).code(), Some(42), "{number}");
    }
}

#[test]
fn a_key_that_ends_the_child_ends_the_script_around_it_and_a_signal_does_not() {
    if !there(&["dash"]) {
        return;
    }
    for (key, number) in [("\x03", signals::SIGINT), ("\x1c", signals::SIGQUIT)] {
        let sandbox = Sandbox::new();
        let wrapper = sandbox.wrapper_line();
        let start = |script: &str| {
            let mut command = sandbox.command("dash");
            command.args([
                "-c",
                &format!("ulimit -c 0; for turn in 1 2; do {wrapper} {script}; done; echo AFTER"),
            ]);
            Terminal::start(&command, SIZE)
        };
        let mut terminal = start("sleep 1000");
        until("the program", || {
            let name = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            descendants(terminal.pid()).into_iter().any(|pid| name(pid).trim() == "sleep").then_some(())
        });
        terminal.send_unseen(key);
        assert_eq!(terminal.wait_end().signal(), Some(number));
        assert!(!String::from_utf8_lossy(terminal.transcript()).contains("AFTER"));
        assert_eq!(sandbox.recorded_exit(), Some(128 + number));
        let mut terminal = start(&format!("sh -c 'kill -{number} $$'"));
        terminal.wait_for("AFTER");
        assert!(terminal.wait_end().success());
    }
}

#[test]
fn a_signal_after_a_key_that_the_child_has_caught_does_not_end_the_script_around_it() {
    let sandbox = Sandbox::new();
    let program = "trap 'trap - INT; echo HE''LD' INT; echo READY; while :; do sleep 0.05; done";
    let script = format!("{} sh -c \"{program}\"; echo AFTER", sandbox.wrapper_line());
    let mut command = sandbox.command("sh");
    command.args(["-c", &script]);
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("READY");
    terminal.send("\x03");
    terminal.wait_for("HELD");
    let wrapper = descendants(terminal.pid())[0];
    signals::send(wrapper, signals::SIGINT).unwrap();
    terminal.wait_for("AFTER");
    assert!(terminal.wait_end().success());
    assert_eq!(sandbox.recorded_exit(), Some(130));
}

/// It has a job in the foreground of its terminal, and says when it is interrupted itself.
const HAS_JOB: &str = r#"
import os, signal, subprocess
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
signal.signal(signal.SIGINT, lambda number, frame: os.write(1, b"CHILD\n"))
def front():
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
job = "trap 'echo JOB' INT; echo READY; while kill -0 $PPID; do sleep 0.05; done"
subprocess.Popen(["sh", "-c", job], preexec_fn=front)
while True: signal.pause()
"#;

#[test]
fn an_interrupt_that_somebody_sends_is_for_the_child_and_not_for_its_job() {
    if !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["python3", "-c", HAS_JOB]);
    terminal.wait_for("READY");
    signals::send(terminal.pid(), signals::SIGINT).unwrap();
    let before = terminal.wait_for("CHILD");
    assert!(!before.contains("JOB"), "{before}");
    signals::send(terminal.pid(), signals::SIGTERM).unwrap();
    assert_eq!(terminal.wait_end().signal(), Some(signals::SIGTERM));
}

#[test]
fn a_signal_that_ends_the_child_ends_the_wrapper() {
    for number in [2, 3, 15] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.run(&["sleep", "1000"]);
        until("the child", || (descendants(terminal.pid()).len() == 2).then_some(()));
        // The second one below us is the program only once it was executed.
        until("the program", || {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", descendants(terminal.pid()).get(1)?))
                .ok()?;
            (name.trim() == "sleep").then_some(())
        });
        signals::send(terminal.pid(), number).unwrap();
        let status = terminal.wait_end();
        assert_eq!((status.signal(), status.core_dumped()), (Some(number), false));
        assert_eq!(sandbox.recorded_exit(), Some(128 + number));
    }
}

#[test]
fn a_shell_that_ignores_a_request_to_end_goes_on() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["bash", "--norc", "-i"]);
    terminal.wait_for("PROMPT> ");
    signals::send(terminal.pid(), signals::SIGTERM).unwrap();
    terminal.line("echo alive $((40+2))", "alive 42");
}

#[test]
fn a_hang_up_signal_alone_does_not_kill_who_ignores_it() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["sh", "-c", "trap '' HUP; echo READY; read x; echo got $x"]);
    terminal.wait_for("READY");
    signals::send(terminal.pid(), signals::SIGHUP).unwrap();
    terminal.line("abc", "got abc");
    assert!(terminal.wait_end().success());
}

#[test]
fn a_child_that_was_stopped_hears_the_hang_up() {
    // A signal that nobody catches ends a stopped process by itself. One that is caught is not heard before it goes on.
    let sandbox = Sandbox::new();
    let ready = sandbox.path("ready");
    let script = format!("trap 'exit 42' HUP; echo > {}; while :; do sleep 0.05; done", ready.display());
    let mut command = in_a_session_without_terminal(&sandbox, &["sh", "-c", &script]);
    let mut child = command.spawn().unwrap();
    until("the child", || ready.exists().then_some(()));
    let shell = descendants(child.id())[1];
    signals::send(shell, signals::SIGSTOP).unwrap();
    until("it to be stopped", || (state(shell) == Some('T')).then_some(()));
    signals::send(child.id(), signals::SIGHUP).unwrap();
    assert_eq!(until("the end", || child.try_wait().unwrap()).code(), Some(42));
    assert!(!lives(shell));
}

#[test]
fn continued_in_the_background_and_stopped_at_once_a_program_that_reads_stays_stopped() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} cat &", sandbox.wrapper_line()), "OUTER> ");
    let wrapper = last_job(&mut terminal);
    // A stop that comes before the other was read takes it back: which of the two happens is left to chance.
    for _ in 0..8 {
        seen_stopped(&mut terminal, wrapper);
        for signal in [signals::SIGCONT, signals::SIGTSTP] {
            signals::send_to_group(wrapper, signal).unwrap();
        }
    }
    seen_stopped(&mut terminal, wrapper);
    terminal.send("fg\r");
    until("raw mode", || {
        terminal.read_for(Duration::from_millis(10));
        (state(wrapper) != Some('T') && terminal.is_raw()).then_some(())
    });
    terminal.send("hello\r");
    terminal.wait_for("hello\r\nhello\r\n");
    terminal.send("\x04");
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 0");
}

#[test]
fn a_signal_that_a_child_sends_to_its_group_does_not_come_back_to_it() {
    let sandbox = Sandbox::new();
    // Without a terminal it shares our group. The trap would count a second one.
    let script =
        "n=0; trap 'n=$((n+1))' USR1; kill -USR1 0; for i in 1 2 3 4 5 6; do sleep 0.1; done; exit $((40+n))";
    let mut child = in_a_session_without_terminal(&sandbox, &["sh", "-c", script]).spawn().unwrap();
    assert_eq!(until("the end", || child.try_wait().unwrap()).code(), Some(41));
}

/// The wrapper around a command line, with pipes and without a controlling terminal.
fn in_a_session_without_terminal(sandbox: &Sandbox, words: &[&str]) -> std::process::Command {
    let wrapped = sandbox.wrapped(words);
    let mut command = sandbox.command("setsid");
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_child_ignores_and_blocks_what_it_would_without_us() {
    // Rust programs ignore SIGPIPE; what is started by one must not by that: `yes | head` would go on for ever.
    let script = "grep -E 'Sig(Ign|Blk)' /proc/self/status";
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["sh", "-c", script]);
    assert!(terminal.wait_end().success());
    assert_eq!(blocked_and_ignored(terminal.transcript()), [0, 0]);

    let output = in_a_session_without_terminal(&sandbox, &["sh", "-c", script]).output().unwrap();
    assert_eq!(blocked_and_ignored(&output.stdout), [0, 0]);

    // What is ignored above us stays ignored: a script that shields a step of its own, a service manager.
    let mut terminal = sandbox.shell();
    terminal.send("trap '' INT PIPE\r");
    terminal.line(&format!("{} sh -c \"{script}; echo E''ND\"", sandbox.wrapper_line()), "END");
    let transcript = String::from_utf8_lossy(terminal.transcript()).into_owned();
    let told = transcript.rsplit_once("SigBlk").unwrap().1;
    assert_eq!(blocked_and_ignored(format!("SigBlk{told}").as_bytes()), [0, 1 << 1 | 1 << 12]);

    // Without a terminal, too, as with nohup.
    let wrapped = in_a_session_without_terminal(&sandbox, &["sh", "-c", script]);
    let mut command = sandbox.command("bash");
    command
        .args(["-c", "trap '' HUP PIPE; exec \"$0\" \"$@\""])
        .arg(wrapped.get_program())
        .args(wrapped.get_args());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(blocked_and_ignored(&output.stdout), [0, 1 | 1 << 12]);
}

/// All that are blocked, which in what a test starts is none. Of the ignored, those that have names (1 to 31): what runs the
/// tests may ignore others.
fn blocked_and_ignored(status: &[u8]) -> [u64; 2] {
    let text = String::from_utf8_lossy(status);
    [("SigBlk:", u64::MAX), ("SigIgn:", 0x7fff_ffff)].map(|(name, looked_at)| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
        u64::from_str_radix(line.trim(), 16).unwrap() & looked_at
    })
}

#[test]
fn a_request_to_end_that_comes_during_the_start_ends_everything() {
    for (step, terminal) in (0..24).flat_map(|step| [(step, true), (step, false)]) {
        let sandbox = Sandbox::new();
        let words = ["sleep", "1000"];
        let moment = std::time::Duration::from_millis(3 * step);
        let (status, below) = if terminal {
            let mut terminal = sandbox.run(&words);
            pause(moment);
            let below = descendants(terminal.pid());
            signals::send(terminal.pid(), signals::SIGTERM).unwrap();
            let status = terminal.wait_end();
            assert!(!terminal.is_raw(), "{moment:?}");
            (status, below)
        } else {
            let mut child = in_a_session_without_terminal(&sandbox, &words).spawn().unwrap();
            pause(moment);
            let below = descendants(child.id());
            signals::send(child.id(), signals::SIGTERM).unwrap();
            (until("the end", || child.try_wait().unwrap()), below)
        };
        assert_eq!(status.signal(), Some(15), "{moment:?}, with a terminal: {terminal}");
        until("the end of what was started", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
    }
}

#[test]
fn a_recorder_that_was_stopped_says_for_how_long() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["sh", "-c", "echo BEGIN; read line; exit 4"]);
    terminal.wait_for("BEGIN");
    let kill = |signal: &str| {
        assert!(Command::new("kill").args([signal, &terminal.pid().to_string()]).status().unwrap().success());
    };
    kill("-STOP");
    // What is looked for is a time: longer than any host is taken to be busy.
    pause(Duration::from_secs(8));
    kill("-CONT");
    terminal.send("\r");
    assert_eq!(terminal.wait_end().code(), Some(4));
    let all = sandbox.everything();
    assert!(all.contains("paused: the recorder did not get on for"), "{all}");
}
