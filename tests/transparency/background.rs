//! Jobs in the background, and on their way between there and the foreground.

use super::jobs::runs;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::{children, descendants, state, until};
use sealcast::cast::Payload;
use sealcast::sys::signals;
use std::time::Duration;

#[test]
fn a_stopped_wrapper_that_is_continued_in_the_background_leaves_the_terminal_alone() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let done = sandbox.path("done");
    terminal.send(format!(
        "{} sh -c 'echo BEGIN; sleep 1; echo > {}; exec sleep 1000'\r",
        sandbox.wrapper_line(),
        done.display()
    ));
    terminal.wait_for("BEGIN\r\n");
    runs("sleep", terminal.pid());
    terminal.send("\x1a");
    terminal.wait_for("OUTER> ");
    terminal.line("bg", "OUTER> ");
    until("the program to go on", || done.exists().then_some(()));
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
    terminal.wait_for("OUTER> ");
    terminal.line("kill %1; wait %1; echo status $?", "status 143");
}

#[test]
fn started_in_the_background_a_program_that_wants_no_terminal_just_runs() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(
        &format!("{} sh -c 'sleep 0.3; exit 9' & wait $!; echo status $?", sandbox.wrapper_line()),
        "status 9",
    );
}

#[test]
fn started_in_the_background_a_shell_with_jobs_of_its_own_runs_to_its_end() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "bash -c 'set -m; sleep 0.3; echo FI''N'";
    terminal.send(format!("{} {program} & wait $!; echo status $?\r", sandbox.wrapper_line()));
    terminal.wait_for("FIN");
    terminal.wait_for("status 0");
}

#[test]
fn started_in_the_background_a_program_that_reads_is_stopped_and_reads_in_the_foreground() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} sh -c 'read x; echo got $x; exit 7' &", sandbox.wrapper_line()), "OUTER> ");
    let wrapper = last_job(&mut terminal);
    for _ in 0..3 {
        seen_stopped(&mut terminal, wrapper);
        // It asks again, and is stopped again.
        terminal.line("bg", "OUTER> ");
    }
    seen_stopped(&mut terminal, wrapper);
    terminal.line("fg", "read x");
    until("the wrapper to go on", || (state(wrapper) != Some('T')).then_some(()));
    terminal.line("blue", "got blue");
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 7");
}

#[test]
fn a_program_that_runs_in_the_background_reads_once_it_is_brought_to_the_foreground() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "until [ -e go ]; do sleep 0.02; done; read x; echo got $x";
    terminal.send(format!("{} sh -c '{program}' &\r", sandbox.wrapper_line()));
    terminal.wait_for("OUTER> ");
    runs("sleep", terminal.pid());
    terminal.send("fg\r");
    terminal.wait_for("sh -c");
    terminal.wait_raw();
    // The shell does not say that it was brought there: it was not stopped.
    sandbox.file("go", "");
    terminal.line("blue", "got blue");
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 0");
}

#[test]
fn what_stops_a_job_in_the_background_is_taken_by_the_one_thread_that_asks_for_the_terminal() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} sh -c 'touch begun; exec sleep 1000' &", sandbox.wrapper_line()), "OUTER> ");
    let wrapper = last_job(&mut terminal);
    until("the program", || sandbox.path("begun").exists().then_some(()));
    let threads = std::fs::read_dir(format!("/proc/{wrapper}/task")).unwrap();
    let threads: Vec<u32> =
        threads.map(|thread| thread.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    assert!(threads.len() > 2, "{threads:?}");
    for thread in threads {
        let status = std::fs::read_to_string(format!("/proc/{wrapper}/task/{thread}/status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
        // SIGTTIN and SIGTTOU, 21 and 22.
        let both = 0b11 << 20;
        assert_eq!(blocked & both, if thread == wrapper { 0 } else { both }, "{status}");
    }
    terminal.line("kill %1; wait %1; echo status $?", "status 143");
}

/// A shell whose line editor has the terminal, and whose prompt is shown, when the wrapper begins.
fn started_behind_a_prompt(terminal: &mut Terminal, sandbox: &Sandbox, words: &str) {
    let go = sandbox.path("go");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
    terminal.line(&format!("(set +m; {wait}; exec {} {words}) &", sandbox.wrapper_line()), "OUTER> ");
    terminal.wait_raw();
    std::fs::write(go, "").unwrap();
}

#[test]
fn started_in_the_background_behind_a_prompt_a_program_runs_to_its_end() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    started_behind_a_prompt(&mut terminal, &sandbox, "sh -c 'touch begun; sleep 0.3; exit 9'");
    // Without a key: nothing but the wrapper itself asks for the terminal. (Before the program runs, there may be no recording.)
    until("the program", || sandbox.path("begun").exists().then_some(()));
    until("the end of the recording", || (sandbox.recorded_exit() == Some(9)).then_some(()));
    terminal.line("wait %1; echo status $?", "status 9");
}

#[test]
fn started_in_the_background_behind_a_prompt_a_program_reads_lines_in_the_foreground() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    started_behind_a_prompt(&mut terminal, &sandbox, "cat");
    runs("cat", terminal.pid());
    // It reads, and is stopped for it.
    let job = children(terminal.pid())[0];
    seen_stopped(&mut terminal, job);
    terminal.send("fg\r");
    terminal.wait_for("cat");
    terminal.wait_raw();
    // Shown by the terminal, then by the program.
    terminal.send("hello\r");
    terminal.wait_for("hello\r\nhello\r\n");
    terminal.send("\x04");
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 0");
}

#[test]
fn started_in_the_background_a_program_that_wants_the_terminal_stops() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} bash --norc -i &", sandbox.wrapper_line()), "OUTER> ");
    let pid = last_job(&mut terminal);
    seen_stopped(&mut terminal, pid);
    terminal.line("fg", "bash --norc -i");
    terminal.line("echo in $((40+2))", "in 42");
}

/// The number of the job that the shell has just started in the background.
pub(super) fn last_job(terminal: &mut Terminal) -> u32 {
    terminal.send("echo pid=$!=\r");
    terminal.wait_for("pid=");
    terminal.wait_for("pid=");
    terminal.wait_for("=").parse().unwrap()
}

/// Waits until a job is stopped and its shell knows. (One that has not been told yet would continue nothing that it brings
/// to the foreground, and the kernel tells it a moment after the state is there to be read.)
pub(super) fn seen_stopped(terminal: &mut Terminal, job: u32) {
    until("the job to be stopped", || (state(job) == Some('T')).then_some(()));
    until("the shell to know", || {
        terminal.line("echo stopped=$(jobs -sp | wc -l)=", "stopped=$");
        terminal.wait_for("stopped=");
        let stopped = terminal.wait_for("=");
        terminal.wait_for("OUTER> ");
        (stopped == "1").then_some(())
    });
}

#[test]
fn stopped_in_the_background_for_the_keyboard_a_program_is_ended_by_a_signal_and_recorded_to_its_end() {
    // One that becomes raw, and one that ignores what would stop it.
    for (job, program) in [
        "sh -c 'stty raw -echo </dev/tty; exec sleep 1000'",
        "sh -c 'trap \"\" TTOU TTIN; stty raw </dev/tty; exec sleep 1000'",
    ]
    .into_iter()
    .enumerate()
    {
        for (signal, status) in [("TERM", 143), ("HUP", 129)] {
            let sandbox = Sandbox::new();
            let mut terminal = sandbox.shell();
            terminal.line(&format!("{} {program} &", sandbox.wrapper_line()), "OUTER> ");
            let wrapper = last_job(&mut terminal);
            until("the wrapper to be stopped", || (state(wrapper) == Some('T')).then_some(()));
            terminal.line(&format!("kill -{signal} {wrapper}; kill -CONT {wrapper}"), "OUTER> ");
            // The shell must know: of what it believes to be stopped it would not wait for the end.
            until("the end of the wrapper", || state(wrapper).is_none().then_some(()));
            terminal.line(&format!("wait {wrapper}; echo status $?"), &format!("status {status}"));
            assert_eq!(sandbox.recorded_exit(), Some(status), "{job}");
        }
    }
}

#[test]
fn stopped_by_force_and_continued_in_the_background_the_wrapper_leaves_the_keys_to_the_shell() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} sh -c 'echo BEGIN; exec sleep 1000'\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r\n");
    runs("sleep", terminal.pid());
    let wrapper = children(terminal.pid())[0];
    signals::send(wrapper, signals::SIGSTOP).unwrap();
    terminal.wait_for("Stopped");
    terminal.wait_for("OUTER> ");
    terminal.line("bg", "OUTER> ");
    for number in 0..5 {
        terminal.line(&format!("echo key $((40+{number}))"), &format!("key 4{number}"));
        terminal.wait_for("OUTER> ");
    }
    terminal.line("jobs", "Running");
    terminal.line("kill %1; wait %1; echo status $?", "status 143");
}

#[test]
fn a_program_that_nobody_can_bring_to_the_foreground_runs_on_when_it_wants_the_keyboard() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let line = "stty raw </dev/tty; echo WAN\"\"TED >/dev/tty; sleep 0.3; echo LA\"\"ST >/dev/tty; exit 5";
    // The subshell is gone at once, and with it whoever could continue the job.
    terminal.send(format!("({} sh -c '{line}' &)\r", sandbox.wrapper_line()));
    terminal.wait_for("WANTED");
    terminal.wait_for("LAST");
    until("the end of the recording", || (sandbox.recorded_exit() == Some(5)).then_some(()));
    let recorded = sandbox.recorded_output();
    assert!(recorded.ends_with(b"LAST\n"), "{}", recorded.escape_ascii());
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
}

#[test]
fn what_nobody_can_give_keys_is_told_when_the_terminal_is_gone() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let line = "stty raw </dev/tty; echo WAN\"\"TED >/dev/tty; exec cat </dev/tty";
    terminal.send(format!("({} sh -c '{line}' &)\r", sandbox.wrapper_line()));
    terminal.wait_for("WANTED");
    terminal.hang_up();
    // By what it reads, or by a signal where it had the foreground inside.
    until("the end of the recording", || sandbox.recorded_exit().map(|_| ()));
}

#[test]
fn what_reads_keys_is_told_when_the_terminal_is_gone_that_the_shell_outside_has_taken_back() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let line = "stty raw; echo WAN\"\"TED; exec cat";
    terminal.send(format!("bash -c '{} sh -c '\\''{line}'\\''; true'\r", sandbox.wrapper_line()));
    terminal.wait_for("WANTED");
    runs("cat", terminal.pid());
    // The one that would bring it back.
    signals::send(children(terminal.pid())[0], signals::SIGKILL).unwrap();
    terminal.wait_for("OUTER> ");
    terminal.hang_up();
    until("the end of the recording", || sandbox.recorded_exit().map(|_| ()));
}

#[test]
fn a_job_that_wants_no_terminal_goes_on_when_its_terminal_is_gone() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let line =
        format!("{} sh -c 'exec sleep 1000' >/dev/null & disown; echo status $?", sandbox.wrapper_line());
    terminal.line(&line, "status 0");
    runs("sleep", terminal.pid());
    let wrapper = children(terminal.pid())[0];
    let program = *descendants(wrapper).last().unwrap();
    terminal.hang_up();
    let has_terminal = || {
        let files = std::fs::read_dir(format!("/proc/{wrapper}/fd")).unwrap();
        let mut files = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        files.any(|file| file.starts_with("/dev/ptmx") || file.starts_with("/dev/pts/ptmx"))
    };
    until("the wrapper to let the terminal go", || (!has_terminal()).then_some(()));
    signals::send(program, signals::SIGUSR1).unwrap();
    until("the end of the recording", || sandbox.recorded_exit().map(|_| ()));
    assert_eq!(sandbox.recorded_exit(), Some(128 + signals::SIGUSR1));
    let gone = |payload| match payload {
        Payload::Gap(gap) => gap.note.starts_with("the terminal is gone: "),
        _ => false,
    };
    assert!(sandbox.events().into_iter().any(|event| gone(event.payload)), "{:?}", sandbox.events());
}

/// Whether a signal waits for a process.
pub(super) fn waits(signal: i32, pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let waiting = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    u64::from_str_radix(waiting.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

/// A program that was stopped and is continued, in the foreground or in the background, where it was not before; the process between it
/// and the wrapper is held still, with the word of that waiting for it. Gives the wrapper, that process, and the program.
fn continued_with_the_stage_held_still(terminal: &mut Terminal, sandbox: &Sandbox, front: bool) -> [u32; 3] {
    terminal.send(format!("{} sh -c 'echo BEG''IN; exec sleep 1000'\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r\n");
    runs("sleep", terminal.pid());
    let wrapper = children(terminal.pid())[0];
    let [stage, program] = descendants(wrapper)[..] else { panic!("{:?}", descendants(wrapper)) };
    terminal.send("\x1a");
    terminal.wait_for("OUTER> ");
    seen_stopped(terminal, wrapper);
    if front {
        terminal.line("bg", "OUTER> ");
        until("the program to go on", || (state(program) == Some('S')).then_some(()));
        signals::send_to_group(wrapper, signals::SIGTSTP).unwrap();
        seen_stopped(terminal, wrapper);
    }
    signals::send(stage, signals::SIGSTOP).unwrap();
    until("the stage to be held", || (state(stage) == Some('T')).then_some(()));
    if front {
        terminal.send("fg\r");
    } else {
        signals::send_to_group(wrapper, signals::SIGCONT).unwrap();
    }
    until("a word for the stage", || waits(signals::SIGURG, stage).then_some(()));
    [wrapper, stage, program]
}

/// Stops a job, and waits until it has read that.
fn stop(wrapper: u32) {
    signals::send_to_group(wrapper, signals::SIGTSTP).unwrap();
    let has_read = || !waits(signals::SIGTSTP, wrapper) && state(wrapper) == Some('S');
    until("the stop to be read", || has_read().then_some(()));
}

#[test]
fn a_stop_that_follows_where_a_program_was_just_continued_stops_it_again() {
    for (front, key) in [(false, false), (true, false), (true, true)] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.shell();
        let [wrapper, stage, program] = continued_with_the_stage_held_still(&mut terminal, &sandbox, front);
        if key {
            terminal.send_unseen("\x1a");
            // Were it not left there it would be read by now.
            terminal.read_through(Duration::from_millis(50));
        } else {
            stop(wrapper);
        }
        signals::send(stage, signals::SIGCONT).unwrap();
        seen_stopped(&mut terminal, wrapper);
        assert_eq!(state(program), Some('T'), "{front} {key}");
        terminal.send("fg\r");
        until("the program to go on", || {
            terminal.read_for(Duration::from_millis(10));
            (state(program) == Some('S') && terminal.is_raw()).then_some(())
        });
        terminal.send("\x03");
        terminal.wait_for("OUTER> ");
        terminal.line("echo status $?", "status 130");
    }
}

#[test]
fn a_stop_that_waits_for_the_stage_ends_with_it() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let [wrapper, stage, program] = continued_with_the_stage_held_still(&mut terminal, &sandbox, false);
    stop(wrapper);
    signals::send(stage, signals::SIGKILL).unwrap();
    until("the end of the program", || state(program).is_none().then_some(()));
    until("the end of the wrapper", || state(wrapper).is_none().then_some(()));
    terminal.line(&format!("wait {wrapper}; echo status $?"), "status 137");
    assert_eq!(sandbox.recorded_exit(), Some(137));
}
