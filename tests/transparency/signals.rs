//! Signals that are sent to the wrapper.

use crate::support::sandbox::Sandbox;
use crate::support::{descendants, lives, until};
use sealcast::sys::signals;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

#[test]
fn signals_are_handed_on_to_the_child() {
    let names = [("HUP", 1), ("INT", 2), ("QUIT", 3), ("TERM", 15), ("USR1", 10), ("USR2", 12), ("ALRM", 14)];
    for (name, number) in names {
        let sandbox = Sandbox::new();
        let script =
            format!("trap 'echo GOT {name}; exit 42' {name}; echo READY; while :; do sleep 0.05; done");
        let mut terminal = sandbox.run(&["sh", "-c", &script]);
        terminal.wait_for("READY");
        signals::send(terminal.pid(), number).unwrap();
        terminal.wait_for(&format!("GOT {name}"));
        assert_eq!(terminal.wait_end().code(), Some(42), "{name}");
    }
}

#[test]
fn without_a_terminal_signals_are_handed_on_too() {
    for (name, number) in [("HUP", 1), ("INT", 2), ("TERM", 15), ("USR1", 10)] {
        let sandbox = Sandbox::new();
        let ready = sandbox.path("ready");
        let script =
            format!("trap 'exit 42' {name}; echo > {}; while :; do sleep 0.05; done", ready.display());
        let mut command = in_a_session_without_terminal(&sandbox, &["sh", "-c", &script]);
        let mut child = command.spawn().unwrap();
        until("the child", || ready.exists().then_some(()));
        signals::send(child.id(), number).unwrap();
        assert_eq!(until("the end", || child.try_wait().unwrap()).code(), Some(42), "{name}");
    }
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
    let sandbox = Sandbox::new();
    let mut command = in_a_session_without_terminal(&sandbox, &["sleep", "1000"]);
    let mut child = command.spawn().unwrap();
    let sleep = until("the child", || descendants(child.id()).get(1).copied());
    signals::send(sleep, signals::SIGSTOP).unwrap();
    signals::send(child.id(), signals::SIGHUP).unwrap();
    assert_eq!(until("the end", || child.try_wait().unwrap()).signal(), Some(1));
    assert!(!lives(sleep));
}

/// The wrapper around a command line, with pipes and without a controlling terminal.
fn in_a_session_without_terminal(sandbox: &Sandbox, words: &[&str]) -> std::process::Command {
    let wrapped = sandbox.wrapped(words);
    let mut command = sandbox.command("setsid");
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
