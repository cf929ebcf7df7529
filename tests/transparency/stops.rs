//! Who stops with a program that is stopped, what it finds when it goes on, and what a recording says of the time in between.

use super::background::waits;
use super::jobs::runs;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::{children, descendants, state, until};
use sealcast::cast::Payload;
use sealcast::sys::{signals, tty};

/// Stops by a key what has the foreground; the shell says so.
fn stopped_by_key(terminal: &mut Terminal) {
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("OUTER> ");
}

#[test]
fn whoever_waits_for_the_wrapper_in_its_process_group_is_stopped_and_goes_on_with_it() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    // As sudo and every script do.
    terminal.send(format!("sh -c \"{} sleep 1000; exit 7\"\r", sandbox.wrapper_line()));
    runs("sleep", terminal.pid());
    let [script, wrapper, _, sleep] = descendants(terminal.pid())[..] else { panic!("not four") };
    stopped_by_key(&mut terminal);
    // The shell waits for the script alone.
    let are = |wanted| [script, wrapper, sleep].iter().all(|pid| state(*pid) == Some(wanted)).then_some(());
    until("all of it to be stopped", || are('T'));
    terminal.send("fg\r");
    until("all of it to go on", || are('S'));
    signals::send(sleep, signals::SIGKILL).unwrap();
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 7");
}

#[test]
fn a_terminal_that_was_resized_while_a_program_was_stopped_has_its_new_size_when_that_goes_on() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} cat\r", sandbox.wrapper_line()));
    runs("cat", terminal.pid());
    let cat = *descendants(terminal.pid()).last().unwrap();
    stopped_by_key(&mut terminal);
    // The kernel tells the foreground, which is the shell.
    terminal.resize(132, 50);
    terminal.send("fg\r");
    until("the size", || {
        let inside = std::fs::File::open(format!("/proc/{cat}/fd/0")).ok()?;
        let size = tty::size(inside).ok()?;
        ((size.cols, size.rows) == (132, 50)).then_some(())
    });
    terminal.wait_raw();
    terminal.send_unseen("\x04");
    // (The shell has drawn its prompt again for the size.)
    until("the end of the recording", || (sandbox.recorded_exit() == Some(0)).then_some(()));
    let resize = Payload::Resize { cols: 132, rows: 50 };
    assert!(sandbox.events().iter().any(|event| event.payload == resize));
}

#[test]
fn for_how_long_a_program_was_stopped_is_recorded() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} sleep 1000\r", sandbox.wrapper_line()));
    runs("sleep", terminal.pid());
    stopped_by_key(&mut terminal);
    // Whole seconds are told.
    terminal.line("sleep 1.1", "OUTER> ");
    // The shell reads its lines in raw mode, too: it has left that when it names the job.
    terminal.line("fg", "sleep 1000");
    terminal.wait_raw();
    terminal.send_unseen("\x03");
    terminal.wait_for("OUTER> ");
    let gaps = sandbox.events().into_iter().filter_map(|event| match event.payload {
        Payload::Gap(gap) if gap.why == "suspended" => Some(gap.note),
        _ => None,
    });
    let [note] = gaps.collect::<Vec<_>>().try_into().unwrap();
    let seconds = note.strip_prefix("the program was stopped, and the recorder with it, for ");
    let seconds = seconds.and_then(|rest| rest.strip_suffix(" s")).and_then(|number| number.parse().ok());
    assert!(seconds.is_some_and(|seconds: u64| seconds >= 1), "{note}");
}

/// In a pipeline the keyboard becomes ours only once it is seen that the program wants it. Until then keys come as signals.
#[test]
fn a_key_that_comes_as_a_signal_is_for_the_job_that_has_the_terminal_inside() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "touch begun; until [ -e go ]; do sleep 0.02; done; set -m; tail -f /dev/null; exit";
    let neighbour = "(trap \"\" INT; exec cat)";
    terminal.send(format!("{} bash -c '{program}' | {neighbour}\r", sandbox.wrapper_line()));
    until("the program", || sandbox.path("begun").exists().then_some(()));
    let is_ours = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sealcast")
    };
    let wrapper = children(terminal.pid()).into_iter().find(is_ours).unwrap();
    // It does not see that.
    signals::send(wrapper, signals::SIGSTOP).unwrap();
    until("the wrapper to be stopped", || (state(wrapper) == Some('T')).then_some(()));
    sandbox.file("go", "");
    runs("tail", terminal.pid());
    terminal.send_unseen("\x03");
    until("the signal", || waits(signals::SIGINT, wrapper).then_some(()));
    signals::send(wrapper, signals::SIGCONT).unwrap();
    // The shell ends as its job did.
    terminal.wait_for("OUTER> ");
    assert_eq!(sandbox.recorded_exit(), Some(130));
}
