//! How a session ends, and what is left behind.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::tried::{Missed, tried};
use crate::support::{children, cpu_time, descendants, is_root, lives, pause, skipped, state, there, until};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_exit_code_of_the_child_is_ours() {
    for code in [0, 1, 3, 128, 255] {
        let sandbox = Sandbox::new();
        let status = sandbox.run(&["sh", "-c", &format!("exit {code}")]).wait_end();
        assert_eq!((status.code(), sandbox.recorded_exit()), (Some(code), Some(code)));
    }
}

#[test]
fn the_signal_that_ended_the_child_ends_us_without_a_core() {
    for (name, signal) in [("TERM", 15), ("KILL", 9), ("HUP", 1), ("SEGV", 11), ("ABRT", 6)] {
        let sandbox = Sandbox::new();
        // Cores are allowed, so that one that is dumped is seen. (Not of the child: that is its own affair.)
        let script = format!("ulimit -c 0; kill -{name} $$");
        let wrapped = sandbox.wrapped(&["sh", "-c", &script]);
        let mut command = sandbox.command("bash");
        command.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
        command.arg(wrapped.get_program()).args(wrapped.get_args());
        let status = Terminal::start(&command, SIZE).wait_end();
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{name}: {status}");
        assert_eq!(sandbox.recorded_exit(), Some(128 + signal));
    }
}

#[test]
fn a_program_that_is_not_there_gives_127_and_one_that_cannot_run_126() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["no-such-program"]);
    terminal.wait_for("cannot run no-such-program: No such file");
    assert_eq!(terminal.wait_end().code(), Some(127));
    // That nothing ran is to be seen in the recording too.
    assert_eq!(sandbox.recorded_exit(), Some(127));
    let script = sandbox.file("script", "#!/bin/sh\n");
    let mut terminal = sandbox.run(&[script.to_str().unwrap()]);
    terminal.wait_for("Permission denied");
    assert_eq!(terminal.wait_end().code(), Some(126));
    assert_eq!(sandbox.recorded_exit(), Some(126));
    assert!(!terminal.is_raw());
}

/// Words for a shell: does something with every pipe (`$fd`) that its parent, the stage, writes to.
fn for_each_pipe(what: &str) -> String {
    let writes = "sed -n 's/^flags:.*\\(.\\)$/\\1/p' /proc/$PPID/fdinfo/${fd##*/}";
    format!(
        "for fd in /proc/$PPID/fd/*; do case $(readlink $fd) in pipe:*) [ \"$({writes})\" = 1 ] && {what};; esac; done"
    )
}

/// Words for a shell: writes a report of the stage.
fn forged(report: &str) -> String {
    for_each_pipe(&format!("printf '{report}' >$fd"))
}

#[test]
fn who_speaks_for_the_process_that_waits_for_the_program_ends_nothing_unseen() {
    // Only root may look at the descriptors of the stage, and only root is recorded who can.
    if !is_root() {
        return;
    }
    let zeros = "\\0".repeat(8);
    for report in [
        format!("e{zeros}"),
        format!("k\\011{}", "\\0".repeat(7)),
        format!("r\\004{}", "\\0".repeat(7)),
        "x".into(),
    ] {
        let sandbox = Sandbox::new();
        let script = format!("trap '' HUP; {}; echo $$ >pid; sleep 1000", forged(&report));
        let mut terminal = sandbox.run(&["sh", "-c", &script]);
        let status = terminal.wait_end();
        assert_eq!(status.signal(), Some(9), "{report}: {}", terminal.transcript().escape_ascii());
        let all = sandbox.everything();
        assert!(all.contains("\"stage\"") && all.contains("somebody told the recorder"), "{report}: {all}");
        let pid = std::fs::read_to_string(sandbox.path("pid")).ok().and_then(|pid| pid.trim().parse().ok());
        until("the end of the program", || pid.is_none_or(|pid: u32| !lives(pid)).then_some(()));
    }
}

#[test]
fn who_covers_proc_speaks_for_that_process_no_better() {
    if !is_root() || !there(&["unshare", "mount"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let script = format!(
        "trap '' HUP; {}; mount -t tmpfs none /proc && echo >covered; printf 'e{}' >&4; echo $$ >pid; sleep 1000",
        for_each_pipe("exec 4>$fd"),
        "\\0".repeat(8)
    );
    let wrapped = sandbox.wrapped(&["sh", "-c", &script]);
    let mut command = sandbox.command("unshare");
    command.arg("-m").arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, SIZE);
    let status = terminal.wait_end();
    if !sandbox.path("covered").exists() {
        return skipped("nothing can be mounted here");
    }
    assert_eq!(status.signal(), Some(9), "{}", terminal.transcript().escape_ascii());
    let all = sandbox.everything();
    assert!(all.contains("\"stage\"") && all.contains("somebody told the recorder"), "{all}");
    let pid = std::fs::read_to_string(sandbox.path("pid")).ok().and_then(|pid| pid.trim().parse().ok());
    until("the end of the program", || pid.is_none_or(|pid: u32| !lives(pid)).then_some(()));
}

#[test]
fn where_proc_is_that_of_another_namespace_a_program_ends_as_anywhere() {
    if !is_root() || !there(&["unshare"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["sh", "-c", "seq 1 20000; exit 3"]);
    let mut command = sandbox.command("unshare");
    command.arg("-fp").arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, SIZE);
    let status = terminal.wait_end();
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert_eq!(status.code(), Some(3), "{}", shown.escape_debug());
    // All of it, and as lines of a terminal: whoever ends last, nothing of that is lost.
    let all: String = (1..=20_000).map(|n| format!("{n}\r\n")).collect();
    assert!(
        shown == all,
        "{} bytes: …{}",
        shown.len(),
        shown[shown.len().saturating_sub(500)..].escape_debug()
    );
    assert_eq!(sandbox.recorded_output(), all.as_bytes());
    assert_eq!(sandbox.recorded_exit(), Some(3));
}

#[test]
fn that_the_process_that_waits_for_the_program_was_killed_is_told() {
    let sandbox = Sandbox::new();
    let status = sandbox.run(&["sh", "-c", "kill -9 $PPID; sleep 1000"]).wait_end();
    assert_eq!((status.signal(), sandbox.recorded_exit()), (Some(9), Some(137)));
    let all = sandbox.everything();
    assert!(all.contains("how the program ended is not known"), "{all}");
}

#[test]
fn the_last_words_of_a_program_are_shown_and_recorded() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["sh", "-c", "seq 1 20000; printf LAST"]);
    assert!(terminal.wait_end().success());
    terminal.wait_for("20000\r\nLAST");
    assert_eq!(sandbox.recorded_output(), terminal.transcript());
}

#[test]
fn end_of_file_ends_a_program_that_reads() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["cat"]);
    terminal.send("hello\r");
    terminal.wait_for("hello\r\nhello\r\n");
    terminal.send("\x04");
    assert!(terminal.wait_end().success());
}

/// Starts it once `go` is there, in a terminal that has the keys by then, to the last of them (`shown`), and nobody has read them.
fn typed_ahead(sandbox: &Sandbox, wrapped: &Command, keys: &str, shown: &str) -> Terminal {
    let mut command = sandbox.command("sh");
    let script = "until [ -e go ]; do sleep 0.05; done; \"$0\" \"$@\"; code=$?; head -n 1 >left; exit $code";
    command.args(["-c", script]);
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.send(keys);
    terminal.wait_for(shown);
    sandbox.file("go", "");
    terminal
}

#[test]
fn end_of_file_that_is_typed_ahead_is_the_end_of_file() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["sh", "-c", "cat >got"]);
    let mut terminal = typed_ahead(&sandbox, &wrapped, "one\rtwo\x04\x04more\r", "more\r\n");
    until("the end of the program", || sandbox.path("left").exists().then_some(()));
    terminal.send("left\r");
    let status = terminal.wait_end();
    assert!(status.success(), "{status}: {}", terminal.transcript().escape_ascii());
    assert_eq!(std::fs::read_to_string(sandbox.path("got")).unwrap(), "one\ntwo");
}

#[test]
fn an_end_of_file_alone_is_recorded_where_all_that_is_typed_is() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped_with(&["--input", "all"], &["cat"]);
    // Nothing is shown of it: ^R shows the line again, and is none of it.
    let mut terminal = typed_ahead(&sandbox, &wrapped, "\x04\x12", "^R\r\n");
    until("the end of the program", || sandbox.path("left").exists().then_some(()));
    terminal.send("left\r");
    let status = terminal.wait_end();
    assert!(status.success(), "{status}: {}", terminal.transcript().escape_ascii());
    assert_eq!(sandbox.recorded_input(), b"\x04");
}

#[test]
fn what_is_typed_ahead_is_left_to_the_next_where_the_program_cannot_be_started() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["no-such-program"]);
    let mut terminal = typed_ahead(&sandbox, &wrapped, "one\r", "one\r\n");
    terminal.wait_for("cannot run no-such-program");
    until("the end of the program", || sandbox.path("left").exists().then_some(()));
    terminal.send("two\r");
    assert_eq!(terminal.wait_end().code(), Some(127));
    assert_eq!(std::fs::read_to_string(sandbox.path("left")).unwrap(), "one\n");
}

#[test]
fn end_of_file_within_a_line_hands_it_on_also_where_the_keyboard_is_shared() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    terminal.send(format!(
        "{wrapper} sh -c 'echo REA''DY >&2; exec cat' | dd bs=1 conv=ucase status=none; echo E''ND\r"
    ));
    terminal.wait_for("READY\r");
    terminal.send_unseen("abc\x04");
    terminal.wait_for("ABC");
    // A line that ends as lines do is whole: the next one is the end.
    terminal.send_unseen("def\r");
    terminal.wait_for("DEF");
    terminal.send_unseen("\x04");
    terminal.wait_for("END\r");
}

#[test]
fn a_terminal_that_disappears_takes_the_shell_with_it_and_the_recording_is_ended() {
    let sandbox = Sandbox::new();
    // A shell that ignores what it is told, and a job of it that does too.
    let mut terminal =
        sandbox.run(&["bash", "-c", "trap '' HUP TERM; echo READY; while :; do sleep 1; done"]);
    terminal.wait_for("READY");
    let below = descendants(terminal.pid());
    assert!(below.len() >= 2, "{below:?}");
    terminal.hang_up();
    terminal.wait_end();
    until("the shell's end", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
    assert!(sandbox.recorded_exit().is_some());
}

#[test]
fn a_terminal_that_disappears_is_noticed_when_nothing_is_read_from_it_or_shown() {
    let sandbox = Sandbox::new();
    // Keys belong to nobody here, so that the signal is the only news of it; and the program does not care for signals.
    let script = "trap '' HUP TERM; echo READY; while :; do sleep 1; done";
    let line = format!("sleep 1000 | {} sh -c \"{script}\"", sandbox.wrapper_line());
    let mut command = sandbox.command("sh");
    command.args(["-c", &line]);
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("READY");
    let below = descendants(terminal.pid());
    assert!(below.len() >= 3, "{below:?}");
    terminal.hang_up();
    terminal.wait_end();
    until("the end of all", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
    assert!(sandbox.recorded_exit().is_some());
}

#[test]
fn waiting_for_the_end_is_no_work() {
    // Both ask for seconds of waiting. A loop that does not sleep would use most of them.
    let little = Duration::from_millis(500);
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&[
        "bash",
        "-c",
        "trap '' HUP TERM; echo READY; while :; do read -t 60 < <(sleep 60); done",
    ]);
    terminal.wait_for("READY");
    let (pid, before) = (terminal.pid(), cpu_time(terminal.pid()).unwrap());
    let mut after = before;
    terminal.hang_up();
    until("the end of a program that clings to its life", || {
        after = cpu_time(pid).unwrap_or(after);
        (!lives(pid)).then_some(())
    });
    assert!(after - before < little, "{:?} for a program that was hung up", after - before);

    // A terminal that is not read, and a program that ends when it takes no more.
    let script = "echo READY; read x; seq 1000000 & sleep 0.5; kill $!; exit 6";
    let mut terminal = sandbox.run(&["sh", "-c", script]);
    terminal.wait_for("READY");
    let child = descendants(terminal.pid())[1];
    terminal.send_blindly("\r");
    until("the program's end", || (!lives(child)).then_some(()));
    let before = cpu_time(terminal.pid()).unwrap();
    pause(Duration::from_secs(2));
    let after = cpu_time(terminal.pid()).unwrap();
    assert!(after - before < little, "{:?} for a terminal that is not read", after - before);
    assert_eq!(terminal.wait_end().code(), Some(6));
}

#[test]
fn an_interactive_shell_ends_at_once_when_its_terminal_disappears() {
    // Of the hang-up, not killed after the time it is given. A shell that does not get on for so long proves nothing.
    tried(1, || {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.run(&["bash", "--norc", "-i"]);
        terminal.wait_for("PROMPT> ");
        let below = descendants(terminal.pid());
        let shell = below[1];
        terminal.hang_up();
        // Until when it was seen to wait for a processor or a disk; where nobody could look, it may have done so.
        let (begin, mut late) = (Instant::now(), Duration::ZERO);
        let mut looked = begin;
        until("the shell's end", || {
            let could = looked.elapsed() < Duration::from_millis(100);
            looked = Instant::now();
            let state = state(shell);
            if matches!(state, Some('R' | 'D')) || !could && state.is_some() {
                late = begin.elapsed();
            }
            (!lives(shell)).then_some(())
        });
        terminal.wait_end();
        until("the end of all", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
        let exit = sandbox.recorded_exit();
        let why = format!("it ended with {exit:?}");
        if exit == Some(129) { Ok(()) } else { Err(Missed { why, late }) }
    });
}

#[test]
fn a_recorder_that_is_killed_takes_the_shell_with_it() {
    // Those of a fault as well, from the first one on: nobody catches them.
    for signal in [libc::SIGKILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.run(&["bash", "--norc", "-i"]);
        terminal.wait_for("PROMPT> ");
        let below = descendants(terminal.pid());
        assert!(below.len() >= 2, "{below:?}");
        sealcast::sys::signals::send(terminal.pid(), signal).unwrap();
        assert_eq!(terminal.wait_end_blindly().signal(), Some(signal));
        until("the shell's end", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
    }
}

#[test]
fn a_recorder_that_is_killed_hangs_up_a_child_without_a_terminal_too() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.wrapped(&["sleep", "1000"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let sleep = until("the child", || {
        let below = descendants(child.id());
        (below.len() == 2).then(|| below[1])
    });
    child.kill().unwrap();
    child.wait().unwrap();
    until("its end", || (!lives(sleep)).then_some(()));
}

/// Nobody is there who could see that it must end, but the kernel: the one who waits for it is gone, and the recorder stands still.
#[test]
fn a_child_without_a_terminal_is_hung_up_by_the_end_of_who_waits_for_it() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.wrapped(&["sleep", "1000"]);
    let mut wrapper = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let [stage, sleep] = until("the child", || {
        let below = descendants(wrapper.id()).try_into().ok();
        let is_executed = |below: &[u32; 2]| {
            std::fs::read_to_string(format!("/proc/{}/comm", below[1])).is_ok_and(|comm| comm == "sleep\n")
        };
        below.filter(is_executed)
    });
    for (pid, signal) in [(wrapper.id(), libc::SIGSTOP), (stage, libc::SIGKILL)] {
        sealcast::sys::signals::send(pid, signal).unwrap();
    }
    until("its end", || (!lives(sleep)).then_some(()));
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
}

#[test]
fn a_half_typed_line_is_never_executed() {
    for way in ["hang-up", "kill", "term", "fail"] {
        let sandbox = Sandbox::new();
        let (victim, trace) = (sandbox.path("victim"), sandbox.path("trace"));
        std::fs::write(&victim, "precious").unwrap();
        let options: &[&str] = if way == "fail" { &["--fail-after", "2000"] } else { &[] };
        let command = sandbox.wrapped_with(options, &["bash", "--norc", "-i"]);
        let mut terminal = Terminal::start(&command, SIZE);
        terminal.wait_for("PROMPT> ");
        let below = descendants(terminal.pid());
        terminal.line(&format!("trap 'echo bye > {}' EXIT", trace.display()), "PROMPT> ");
        terminal.send(format!("rm -f {}", victim.display()));
        terminal.wait_for("victim");
        match way {
            "hang-up" => terminal.hang_up(),
            "kill" => sealcast::sys::signals::send(terminal.pid(), 9).unwrap(),
            // An interactive shell ignores SIGTERM; a hang-up it does not.
            // Told again until it listens: bash may miss one that comes just before it reads the next key.
            "term" => until("the wrapper's end", || {
                let _ = sealcast::sys::signals::send(terminal.pid(), 1);
                terminal.read_for(Duration::from_millis(300));
                (!lives(terminal.pid())).then_some(())
            }),
            // Output makes the recorder fail while the line stands half typed.
            _ => {
                let shell = below[1];
                let tty = std::fs::read_link(format!("/proc/{shell}/fd/0")).unwrap();
                std::fs::write(tty, "x".repeat(4000)).unwrap();
            }
        }
        terminal.wait_end();
        until("the shell's end", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
        assert!(victim.exists(), "{way}: the line was executed");
    }
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for_and_lives_on() {
    let sandbox = Sandbox::new();
    let pid_file = sandbox.path("pid");
    let script = format!("sleep 1000 & echo $! > {}; echo DONE", pid_file.display());
    let mut terminal = sandbox.run(&["sh", "-c", &script]);
    terminal.wait_for("DONE");
    assert!(terminal.wait_end().success());
    let sleep: u32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    // It would die within the blink of an eye, if it did.
    pause(Duration::from_millis(100));
    assert!(lives(sleep), "the job was hung up");
    sealcast::sys::signals::send(sleep, 9).unwrap();
}

#[test]
fn what_a_program_leaves_writing_cannot_hold_us() {
    let sandbox = Sandbox::new();
    let pid_file = sandbox.path("pid");
    let script = format!("trap '' HUP; yes flood & echo $! > {}", pid_file.display());
    let mut terminal = sandbox.run(&["sh", "-c", &script]);
    assert!(terminal.wait_end().success());
    let yes: u32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    until("the end of the flood", || (!lives(yes)).then_some(()));
}

#[test]
fn what_a_program_leaves_saying_something_now_and_then_cannot_hold_us() {
    // Oftener than silence counts, and in all far less than a terminal or a pipe holds.
    let drips = "(trap \"\" HUP PIPE; while :; do echo drip; sleep 0.05; done) & echo $! >pid; echo DONE";
    for into in ["", ">out", "2>out"] {
        let sandbox = Sandbox::new();
        let line = format!("{} sh -c '{drips}' {into}", sandbox.wrapper_line());
        let mut command = sandbox.command("sh");
        command.args(["-c", &format!("{line}; exit 3")]);
        let mut terminal = Terminal::start(&command, SIZE);
        let status = terminal.wait_end();
        assert_eq!(status.code(), Some(3), "{into}: {}", terminal.transcript().escape_ascii());
        assert!(!terminal.is_raw());
        assert_eq!(sandbox.recorded_exit(), Some(0), "{into}");
        let pid: u32 = std::fs::read_to_string(sandbox.path("pid")).unwrap().trim().parse().unwrap();
        let _ = sealcast::sys::signals::send(pid, 9);
    }
}

#[test]
fn who_waits_for_the_reader_of_what_is_left_writing_gives_the_keyboard_back() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    // The program has taken the keyboard, and leaves that to whoever comes next.
    let script = "stty -echo -icanon </dev/tty; echo >begun; until [ -e seen ]; do sleep 0.05; done; \
                  (until [ -e go ]; do echo drip; sleep 0.05; done) &";
    terminal.send(format!("{} sh -c '{script}' | cat >out; echo O''VER\r", sandbox.wrapper_line()));
    // Until then it is the shell itself that reads in raw mode.
    until("the program", || sandbox.path("begun").exists().then_some(()));
    terminal.wait_raw();
    sandbox.file("seen", "");
    until("the keyboard", || {
        terminal.read_for(Duration::from_millis(10));
        (!terminal.is_raw()).then_some(())
    });
    sandbox.file("go", "");
    terminal.wait_for("OVER\r");
}

#[test]
fn what_was_written_just_before_the_end_is_all_shown_by_a_terminal_that_is_slow() {
    let sandbox = Sandbox::new();
    // More than is held between us and it; and somebody goes on, so that it is not the end of the terminal that tells.
    let script = "(trap '' HUP; while :; do echo drip; sleep 0.05; done) & echo $! >pid; \
                  seq 10000 19999; echo >written; exit 3";
    let mut terminal = sandbox.run(&["sh", "-c", script]);
    while !sandbox.path("written").exists() {
        terminal.read_for(Duration::from_millis(1));
    }
    let below = descendants(terminal.pid());
    // Nothing is read until it has ended, and for longer than is waited for the others.
    until("the program's end", || below.get(1).is_none_or(|child| !lives(*child)).then_some(()));
    pause(Duration::from_secs(3));
    assert_eq!(terminal.wait_end().code(), Some(3));
    let shown = String::from_utf8_lossy(terminal.transcript()).replace("drip\r\n", "");
    let all: String = (10_000..20_000).map(|n| format!("{n}\r\n")).collect();
    assert!(
        shown == all,
        "{} bytes: …{}",
        shown.len(),
        shown[shown.len().saturating_sub(500)..].escape_debug()
    );
    let pid: u32 = std::fs::read_to_string(sandbox.path("pid")).unwrap().trim().parse().unwrap();
    let _ = sealcast::sys::signals::send(pid, 9);
}

#[test]
fn the_terminal_is_as_it_was_found_after_every_way_out() {
    let ways: [(&str, &[&str], &[&str]); 4] = [
        ("exit", &[], &["true"]),
        ("signal", &[], &["sh", "-c", "kill -KILL $$"]),
        ("panic", &["--panic-at", "PANIC"], &["sh", "-c", "echo PANIC; sleep 1000"]),
        ("failure", &["--fail-after", "1000"], &["sh", "-c", "seq 1 1000; sleep 1000"]),
    ];
    for (way, options, words) in ways {
        let sandbox = Sandbox::new();
        let command = sandbox.wrapped_with(options, words);
        let mut terminal = Terminal::start(&command, SIZE);
        terminal.wait_end();
        assert!(!terminal.is_raw(), "{way}: the terminal is still raw");
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["sleep", "1000"]);
    until("raw mode", || terminal.is_raw().then_some(()));
    until("the child", || (descendants(terminal.pid()).len() == 2).then_some(()));
    sealcast::sys::signals::send(terminal.pid(), 15).unwrap();
    assert_eq!(terminal.wait_end().signal(), Some(15));
    assert!(!terminal.is_raw());
}

#[test]
fn a_panic_leaves_no_child_behind_and_its_message_can_be_read() {
    let sandbox = Sandbox::new();
    let command =
        // It clings to its life.
        sandbox.wrapped_with(&["--panic-at", "PANIC"], &["sh", "-c", "trap '' HUP; read x; echo PANIC; sleep 1000"]);
    let mut terminal = Terminal::start(&command, SIZE);
    let below = until("the child", || Some(descendants(terminal.pid())).filter(|below| below.len() == 2));
    terminal.send("\r");
    terminal.wait_for("panicked at");
    // The terminal was restored before the message: its lines begin at the left.
    terminal.wait_for("\r\n");
    terminal.wait_end();
    until("the child's end", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
}

#[test]
fn a_recorder_that_fails_ends_the_session_and_says_why() {
    let sandbox = Sandbox::new();
    let command =
        sandbox.wrapped_with(&["--fail-after", "1000"], &["sh", "-c", "seq 1 1000; exec sleep 1000"]);
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("sealcast: the recording cannot be written: no space left\r\n");
    assert!(!terminal.wait_end().success());
}

#[test]
fn a_recorder_that_is_lost_ends_the_session_or_is_told_of_by_policy() {
    for (policy, ends) in [("stop", true), ("warn", false)] {
        let sandbox = Sandbox::new();
        let options = ["--fail-after", "0", "--on-loss", policy];
        let command = sandbox.wrapped_with(&options, &["sh", "-c", "echo one; read x; echo two; exit 5"]);
        let mut terminal = Terminal::start(&command, SIZE);
        terminal.wait_for("sealcast: the recorder failed");
        if ends {
            assert!(terminal.wait_end().signal().is_some());
        } else {
            terminal.line("", "two");
            assert_eq!(terminal.wait_end().code(), Some(5));
        }
    }
}

#[test]
fn the_stage_is_gone_with_the_session_and_nothing_is_left_open() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["sh", "-c", "ls /proc/self/fd; echo; echo END"]);
    // A descriptor that whoever called left open is not the child's either.
    let mut command = sandbox.command("bash");
    command.args(["-c", "exec 7</dev/null; exec \"$0\" \"$@\""]);
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, SIZE);
    let shown = terminal.wait_for("END");
    // 0, 1, 2 and the directory itself.
    assert!(shown.split_whitespace().eq(["0", "1", "2", "3"]), "{shown}");
    assert!(terminal.wait_end().success());
    assert!(children(terminal.pid()).is_empty());
}
