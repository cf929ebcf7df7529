//! A program that was hung up has two seconds to end as it likes.

use super::pipes::gaps;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::tried::{Missed, tried};
use crate::support::{children, descendants, lives, until};
use sealcast::sys::signals;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

/// After which it is killed.
const HANG_UP: Duration = Duration::from_secs(2);

/// Hangs up a shell that catches that so; the file `told` is to be there by then. Done with it: what is to come. It ends with 42 by
/// itself, unless it is killed first.
fn ends_by_itself(on_hang_up: &str, done: impl Fn(u32)) {
    tried(0, || {
        let sandbox = Sandbox::new();
        let script =
            format!("trap '{on_hang_up}' HUP; trap 'exit 42' TERM; echo READY; while :; do sleep 0.02; done");
        let mut terminal = sandbox.run(&["sh", "-c", &script]);
        terminal.wait_for("READY");
        let begin = Instant::now();
        terminal.hang_up();
        until("the hang-up", || sandbox.path("told").exists().then_some(()));
        done(terminal.pid());
        terminal.wait_end();
        let exit = sandbox.recorded_exit();
        let late = begin.elapsed().saturating_sub(HANG_UP);
        if exit == Some(42) { Ok(()) } else { Err(Missed { why: format!("it ended with {exit:?}"), late }) }
    });
}

#[test]
fn a_program_that_was_hung_up_is_still_told_of_signals() {
    ends_by_itself("echo >told", |wrapper| signals::send(wrapper, signals::SIGTERM).unwrap());
}

#[test]
fn a_program_that_was_hung_up_does_not_rest() {
    ends_by_itself("echo >told; kill -STOP $$; exit 42", |_| ());
}

/// What the recorder says before the program starts finds no room, so that the terminal is gone by then.
#[test]
fn a_program_that_is_started_when_the_terminal_is_gone_already_is_hung_up() {
    let sandbox = Sandbox::new();
    let line = sandbox.wrapper_line();
    let public = sandbox.path("home/.local/share/sealcast/keys/signing_key.pub");
    std::fs::write(public, "").unwrap();
    assert!(sandbox.command("mkfifo").arg("full").status().unwrap().success());
    let mut pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(sandbox.path("full"))
        .unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    let mut terminal = sandbox.shell();
    // It may hear of it before it could have set a trap: what nobody told it of would kill it two seconds later.
    terminal.send(format!("{line} sleep 1000 2>full\r"));
    let wrapper = wrapper(&terminal);
    until("what will start the program", || (!children(wrapper).is_empty()).then_some(()));
    terminal.hang_up();
    let mut said = Vec::new();
    until("the wrapper's end", || {
        // Until nothing is there at the moment.
        let _ = pipe.read_to_end(&mut said);
        (!lives(wrapper)).then_some(())
    });
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("did not name your signing key"), "nothing held it up: {said}");
    assert_eq!(sandbox.recorded_exit(), Some(128 + signals::SIGHUP), "it was not told");
}

/// The wrapper that a shell in this terminal has started.
fn wrapper(terminal: &Terminal) -> u32 {
    let named = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sealcast")
    };
    until("the wrapper", || children(terminal.pid()).into_iter().find(named))
}

/// The pipe of the program and that of the reader are full, or about to be, when the terminal goes.
#[test]
fn what_a_program_wrote_into_a_pipe_is_recorded_and_arrives_though_the_terminal_is_gone() {
    for on_hang_up in ["trap \"\" HUP", "trap \"exit 5\" HUP", ":"] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.shell();
        sandbox.file("kilobyte", "x".repeat(1024));
        let program =
            format!("{on_hang_up}; for n in $(seq 400); do cat kilobyte || exit; echo $n >taken; done");
        let reader = "trap \"\" HUP; until [ -e go ]; do sleep 0.05; done; cat >got; echo >read";
        terminal.send(format!("{} sh -c '{program}' | sh -c '{reader}'\r", sandbox.wrapper_line()));
        let taken = || -> usize {
            std::fs::read_to_string(sandbox.path("taken"))
                .ok()
                .and_then(|told| told.trim().parse().ok())
                .unwrap_or(0)
        };
        // Each takes 64 KiB, and less where pieces do not fill its pages: they were seen to take 126 together.
        until("the pipes to be full", || (taken() >= 112).then_some(()));
        let wrapper = wrapper(&terminal);
        terminal.hang_up();
        until("the program's end", || (descendants(wrapper).len() < 2).then_some(()));
        sandbox.file("go", "");
        until("the wrapper's end", || (!lives(wrapper)).then_some(()));
        until("the reader's end", || sandbox.path("read").exists().then_some(()));
        let got = std::fs::read(sandbox.path("got")).unwrap().len();
        assert!(got >= taken() << 10, "{on_hang_up}: {got} bytes of {} KiB arrived", taken());
        assert_eq!(sandbox.recorded_output().len(), got, "{on_hang_up}");
        assert!(sandbox.recorded_exit().is_some());
        assert_eq!(gaps(&sandbox), [], "{on_hang_up}");
    }
}

#[test]
fn what_a_program_writes_into_a_file_when_it_is_hung_up_arrives() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "trap \"trap : HUP; echo COMMIT; echo told >&2; exit 7\" HUP; while :; do echo line; sleep 0.02; done";
    terminal.send(format!("{} sh -c '{program}' >out 2>err\r", sandbox.wrapper_line()));
    let written = |name| std::fs::read_to_string(sandbox.path(name)).unwrap_or_default();
    until("the first line", || written("out").contains("line").then_some(()));
    let wrapper = wrapper(&terminal);
    terminal.hang_up();
    until("the wrapper's end", || (!lives(wrapper)).then_some(()));
    assert!(written("out").ends_with("line\nCOMMIT\n"), "{:?}", written("out"));
    // The shell has a word for what its sleep died of.
    assert!(written("err").ends_with("told\n"), "{:?}", written("err"));
    assert_eq!(sandbox.recorded_output(), written("out").as_bytes());
    assert_eq!(sandbox.recorded_errors(), written("err").as_bytes());
    assert_eq!((sandbox.recorded_exit(), gaps(&sandbox)), (Some(7), vec![]));
}

/// It would take what it has for the whole.
#[test]
fn standard_input_does_not_end_because_the_terminal_is_gone() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let feeder = "trap \"\" HUP; echo one; until [ -e go ]; do sleep 0.05; done";
    let program = "trap \"\" HUP; cat >copy; echo >whole";
    terminal.send(format!("sh -c '{feeder}' | {} sh -c '{program}'\r", sandbox.wrapper_line()));
    until("the first line", || (std::fs::read(sandbox.path("copy")).ok()? == b"one\n").then_some(()));
    let wrapper = wrapper(&terminal);
    terminal.hang_up();
    until("the wrapper's end", || (!lives(wrapper)).then_some(()));
    assert!(!sandbox.path("whole").exists(), "it was told of an end that there was not");
    assert_eq!(sandbox.recorded_input(), b"one\n");
    assert!(sandbox.recorded_exit().is_some());
    sandbox.file("go", "");
}
