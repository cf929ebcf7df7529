//! Job control, inside and around the wrapper.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::{children, descendants, lives, state, there, until};
use std::time::Duration;

/// Waits until a program of this name runs below a process. A shell that is stopped between its fork and its exec is
/// stopped for no one to see, with the wrapper as without.
pub(super) fn runs(name: &str, below: u32) {
    until(name, || {
        let names = descendants(below).into_iter();
        let mut names =
            names.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default());
        names.any(|comm| comm.trim() == name).then_some(())
    });
}

#[test]
fn interrupting_inside_ends_the_job_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["bash", "--norc", "-i"]);
    terminal.wait_for("PROMPT> ");
    terminal.send("sleep 1000; echo status $?\r");
    runs("sleep", terminal.pid());
    terminal.send("\x03");
    terminal.wait_for("PROMPT> ");
    terminal.line("echo alive $((40+2))", "alive 42");
}

#[test]
fn stopping_inside_a_shell_stops_the_job_of_that_shell() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.run(&["bash", "--norc", "-i"]);
    terminal.wait_for("PROMPT> ");
    terminal.send("sleep 1000\r");
    runs("sleep", terminal.pid());
    let sleep = descendants(terminal.pid())[2];
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("PROMPT> ");
    until("the job to be stopped", || (state(sleep) == Some('T')).then_some(()));
    terminal.line("jobs", "Stopped");
    terminal.send("fg\r");
    until("the job to go on", || (state(sleep) == Some('S')).then_some(()));
    terminal.send("\x03");
    terminal.line("echo status $?", "status 130");
}

#[test]
fn stopping_a_program_stops_the_wrapper_and_gives_the_terminal_back() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} sh -c 'echo BEGIN; sleep 1000; echo END'\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r\n");
    assert!(terminal.is_raw());
    runs("sleep", terminal.pid());
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("OUTER> ");
    // The shell's own line editor is at work: what counts is what it gives to a program.
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
    terminal.wait_for("OUTER> ");
    terminal.send("fg\r");
    terminal.wait_for("sleep 1000");
    until("raw mode", || terminal.is_raw().then_some(()));
    terminal.send("\x03");
    terminal.wait_for("OUTER> ");
    terminal.line("echo back $((40+2))", "back 42");
}

#[test]
fn a_stopped_wrapper_has_given_the_terminal_back_itself() {
    if !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    // A shell would put its own settings in force and hide what we left. This parent does only what it must.
    let script = r#"
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def group():
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
child = subprocess.Popen(sys.argv[1:], preexec_fn=group)
os.waitpid(child.pid, os.WUNTRACED)
os.tcsetpgrp(0, os.getpgrp())
print("STOPPED", flush=True)
os.system("stty -a")
os.tcsetpgrp(0, child.pid)
os.kill(child.pid, signal.SIGCONT)
os.waitpid(child.pid, 0)
print("OVER", flush=True)
"#;
    let script = sandbox.file("parent.py", script);
    let wrapped = sandbox.wrapped(&["sh", "-c", "echo BEGIN; sleep 1000; exit 0"]);
    let mut command = sandbox.command("python3");
    command.arg(script).arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("BEGIN");
    runs("sleep", terminal.pid());
    terminal.send("\x1a");
    terminal.wait_for("STOPPED");
    terminal.wait_for("\r\nopost");
    terminal.wait_for("isig icanon");
    terminal.wait_raw();
    terminal.send("\x03");
    terminal.wait_for("OVER");
}

#[test]
fn what_is_set_while_a_program_is_stopped_holds_for_it_unless_it_has_set_its_terminal_itself() {
    for (sets, key, status) in [("", "\x18", 130), ("stty intr ^Y; ", "\x19", 130)] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.shell();
        // Once it is ready it starts nothing more, which could be stopped unseen.
        terminal.send(format!("{} sh -c '{sets}echo REA''DY; exec cat'\r", sandbox.wrapper_line()));
        terminal.wait_for("READY\r");
        terminal.send("\x1a");
        terminal.wait_for("Stopped");
        terminal.wait_for("OUTER> ");
        terminal.line("stty intr ^X", "OUTER> ");
        // It reads again, with all that was set by then.
        terminal.line("fg", "exec cat'");
        terminal.wait_raw();
        terminal.line("one", "one\r\none\r\n");
        terminal.send_unseen(key);
        terminal.wait_for("OUTER> ");
        assert_eq!(sandbox.recorded_exit(), Some(status), "{sets}");
        // Outside it is as it was set there.
        assert!(terminal.settings().contains("intr = ^X"), "{}", terminal.settings());
    }
}

#[test]
fn an_editor_can_be_stopped_and_continued() {
    if !there(&["vim"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let file = sandbox.path("text");
    terminal.send(format!("{} vim -u NONE -N {}\r", sandbox.wrapper_line(), file.display()));
    terminal.wait_for("[New]");
    terminal.send("ihello\x1b");
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("OUTER> ");
    terminal.send("fg\r");
    terminal.wait_for("hello");
    terminal.send("a world\x1b:wq\r");
    terminal.wait_for("OUTER> ");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "hello world\n");
}

/// A program that leaves its screen when it is stopped by a key, and says when it goes on.
const LEAVES: &str = r#"
import os, signal
def leave(number, frame):
    os.write(1, b"LEFT")
    os.kill(os.getpid(), signal.SIGSTOP)
    os.write(1, b"BACK")
signal.signal(signal.SIGTSTP, leave)
os.write(1, b"READY")
while True:
    signal.pause()
"#;

#[test]
fn what_a_program_shows_last_before_it_is_stopped_is_shown_before_the_shell_says_so() {
    if !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let script = sandbox.file("leaves.py", LEAVES);
    terminal.send(format!("{} python3 {}\r", sandbox.wrapper_line(), script.display()));
    terminal.wait_for("READY");
    // Which of the two is found first is left to chance.
    for _ in 0..12 {
        terminal.send("\x1a");
        let shown = terminal.wait_for("Stopped");
        assert!(shown.contains("LEFT"), "{shown:?}");
        terminal.wait_for("OUTER> ");
        terminal.send("fg\r");
        terminal.wait_for("BACK");
    }
}

#[test]
fn a_stopped_program_has_what_it_wrote_in_its_file() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "for i in 1 2 3 4 5 6 7 8; do echo $i; kill -STOP $$; done";
    terminal.send(format!("{} sh -c '{program}' >lines\r", sandbox.wrapper_line()));
    for line in 1..=8 {
        terminal.wait_for("Stopped");
        terminal.wait_for("OUTER> ");
        let written = std::fs::read_to_string(sandbox.path("lines")).unwrap();
        assert_eq!(written.lines().count(), line, "{written:?}");
        terminal.send("fg\r");
    }
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 0");
}

#[test]
fn a_terminal_that_nobody_reads_does_not_keep_a_flood_from_being_stopped() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} yes\r", sandbox.wrapper_line()));
    terminal.wait_for("y\r\ny\r\n");
    runs("yes", terminal.pid());
    let wrapper = children(terminal.pid())[0];
    // From here on.
    terminal.send_blindly("\x1a");
    until("the wrapper to be stopped", || (state(wrapper) == Some('T')).then_some(()));
}

#[test]
fn a_shell_that_suspends_itself_suspends_the_wrapper() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} bash --norc -i", sandbox.wrapper_line()), "OUTER> ");
    terminal.line("PS1='INNER'; PS1=\"$PS1> \"", "INNER> ");
    terminal.line("suspend", "Stopped");
    terminal.wait_for("OUTER> ");
    terminal.line("fg", "INNER> ");
    terminal.line("echo in $((40+2))", "in 42");
    terminal.wait_for("INNER> ");
    terminal.line("exit 3", "OUTER> ");
    terminal.line("echo status $?", "status 3");
}

#[test]
fn a_key_that_stops_what_the_files_of_a_shell_start_does_not_end_the_session() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", go.display());
    let file = sandbox.file("rc", format!("x=$(echo BEG''UN >&2; {wait}; echo a)\nPS1=\"INNER$x> \"\n"));
    let shell = ["bash", "--rcfile", file.to_str().unwrap(), "-i"];
    // As the shell of a terminal, and as a command of another shell.
    for inside in [false, true] {
        let mut terminal = if inside { sandbox.shell() } else { sandbox.run(&shell) };
        if inside {
            terminal.send(format!("{} {}\r", sandbox.wrapper_line(), shell.join(" ")));
        }
        terminal.wait_for("BEGUN");
        terminal.send("\x1a");
        terminal.wait_for("^Z");
        std::fs::write(&go, "").unwrap();
        terminal.wait_for("INNERa> ");
        terminal.line("echo in $((40+2))", "in 42");
        terminal.line("exit", "exit");
        std::fs::remove_file(&go).unwrap();
    }
}

#[test]
fn a_stopped_wrapper_and_its_child_end_when_the_terminal_disappears() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} sh -c 'echo BEGIN; sleep 1000'\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r\n");
    runs("sleep", terminal.pid());
    let below = descendants(terminal.pid());
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.hang_up();
    until("the end of all", || (!below.iter().any(|pid| lives(*pid))).then_some(()));
}

#[test]
fn a_job_that_is_to_survive_the_terminal_does_and_is_recorded_to_its_end() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let script = "echo FIRST; until [ -e go ]; do sleep 0.05; done; echo LAST; exit 5";
    terminal.send(format!("nohup {} sh -c '{script}' >log 2>&1 &\r", sandbox.wrapper_line()));
    let log = || std::fs::read_to_string(sandbox.path("log")).unwrap_or_default();
    until("the program", || log().contains("FIRST").then_some(()));
    let wrapper = children(terminal.pid())[0];
    let has_terminal = || {
        let open = std::fs::read_dir(format!("/proc/{wrapper}/fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.ends_with("ptmx"))
    };
    assert!(has_terminal());
    // The shell is hung up, and hangs up its jobs.
    terminal.hang_up();
    terminal.wait_end();
    until("the terminal to be let go", || (!has_terminal()).then_some(()));
    assert!(lives(wrapper), "{}", log());
    sandbox.file("go", "");
    until("the end", || (!lives(wrapper)).then_some(()));
    assert!(log().ends_with("LAST\n"), "{}", log());
    assert_eq!(sandbox.recorded_output(), b"FIRST\nLAST\n");
    assert_eq!(sandbox.recorded_exit(), Some(5));
}

#[test]
fn in_a_pipeline_the_keys_belong_to_the_pager() {
    if !there(&["less"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} seq 1 1000 | less\r", sandbox.wrapper_line()));
    terminal.wait_for("23\r");
    terminal.wait_for(":");
    for _ in 0..5 {
        terminal.send("G");
        terminal.wait_for("1000");
        terminal.send("g");
        terminal.wait_for("23\r");
    }
    terminal.send("q");
    terminal.wait_for("OUTER> ");
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
}

#[test]
fn a_pager_behind_a_pipe_gets_its_keys() {
    if !there(&["less"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("seq 1 1000 | {} less\r", sandbox.wrapper_line()));
    terminal.wait_for("23\r");
    terminal.wait_for(":");
    until("the keyboard", || terminal.is_raw().then_some(()));
    terminal.send("G");
    terminal.wait_for("1000");
    terminal.send("q");
    terminal.wait_for("OUTER> ");
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
}

#[test]
fn interrupting_a_pipeline_interrupts_all_of_it() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.send(format!("{} sh -c 'echo BEGIN >&2; sleep 1000' | cat\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r");
    runs("sleep", terminal.pid());
    terminal.send("\x03");
    terminal.wait_for("OUTER> ");
    assert!(descendants(terminal.pid()).is_empty());
    assert_eq!(sandbox.recorded_exit(), Some(130));
}

#[test]
fn interrupting_a_job_of_a_shell_in_a_pipeline_ends_that_job_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    terminal
        .send(format!("PS1='INNER''> ' {wrapper} bash --norc -i | tee {}\r", sandbox.path("log").display()));
    terminal.wait_for("INNER> ");
    for (key, text) in [("\x03", "INNER> "), ("\x1a", "Stopped")] {
        until("the keyboard", || terminal.is_raw().then_some(()));
        terminal.send("sleep 1000\r");
        runs("sleep", terminal.pid());
        // The job has the terminal from here on, and with it the keyboard.
        until("the keyboard", || terminal.is_raw().then_some(()));
        terminal.send(key);
        terminal.wait_for(text);
    }
    // A shell does not let itself be left while it has a stopped job, and may not know yet that it is dead.
    terminal.line("kill -9 %1; disown %1; echo alive $((40+2))", "alive 42");
    terminal.line("exit", "OUTER> ");
}

#[test]
fn a_line_is_the_childs_where_it_waits_for_one_whatever_its_input_is() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    for from in ["echo one |", "</dev/null"] {
        terminal.send(format!("{from} {wrapper} sh -c 'echo ASK''S; read x </dev/tty; echo got $x'\r"));
        terminal.wait_for("ASKS\r");
        terminal.line("blue", "got blue");
        terminal.wait_for("OUTER> ");
    }
    if std::path::Path::new("/usr/bin/xargs").exists() {
        terminal.send(format!("echo one | {wrapper} xargs -p echo it is\r"));
        terminal.wait_for("?...");
        terminal.line("y", "it is one");
        terminal.wait_for("OUTER> ");
    }
    // The neighbour's otherwise.
    terminal.send(format!(
        "sh -c 'echo ASK''S >&2; read x </dev/tty; echo $x' | {wrapper} sed 's/^/theirs: /'\r"
    ));
    terminal.wait_for("ASKS\r");
    terminal.line("red", "theirs: red");
}

#[test]
fn a_password_asked_for_inside_a_pipeline_is_not_shown() {
    if !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let script = "import getpass,sys; p=getpass.getpass(); print(len(p), \"letters\")";
    terminal.send(format!("{} python3 -c '{script}' | cat\r", sandbox.wrapper_line()));
    terminal.wait_for("Password: ");
    until("the keyboard", || terminal.is_raw().then_some(()));
    terminal.send("hunter2\r");
    let shown = terminal.wait_for("7 letters");
    assert!(!shown.contains("hunter2"), "{shown}");
    terminal.wait_for("OUTER> ");
    assert!(!String::from_utf8_lossy(&sandbox.recorded_input()).contains("hunter2"));
}

#[test]
fn stopping_the_wrapper_from_outside_does_not_lose_the_terminal() {
    let sandbox = Sandbox::new();
    let mut terminal =
        Terminal::start(&sandbox.wrapped(&["sh", "-c", "echo BEGIN; read x; echo got $x"]), SIZE);
    // To its end: the end of the line may come by itself.
    terminal.wait_for("BEGIN\r\n");
    sealcast::sys::signals::send(terminal.pid(), sealcast::sys::signals::SIGSTOP).unwrap();
    until("the wrapper to be stopped", || (state(terminal.pid()) == Some('T')).then_some(()));
    terminal.send("abc\r");
    terminal.stays_silent(Duration::from_millis(100));
    sealcast::sys::signals::send(terminal.pid(), sealcast::sys::signals::SIGCONT).unwrap();
    terminal.wait_for("got abc");
    assert!(terminal.wait_end().success());
}

#[test]
fn while_a_reader_is_waited_for_the_keyboard_is_the_operators_again() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    // Standard error goes to somebody who waits for its end, which what is left running keeps away.
    let program = "sleep 1000 & echo $! >left; exec true";
    terminal.send(format!("{} sh -c '{program}' 2> >(cat >told)\r", sandbox.wrapper_line()));
    let left = until("what is left running", || {
        std::fs::read_to_string(sandbox.path("left")).ok()?.trim().parse::<u32>().ok()
    });
    let is = |pid: u32, name: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let wrapper = children(terminal.pid()).into_iter().find(|pid| is(*pid, "sealcast")).unwrap();
    until("the program's end", || {
        let ends = |pid: u32| !is(pid, "sh") && !is(pid, "true");
        descendants(wrapper).into_iter().all(ends).then_some(())
    });
    // Keys that come before it is given back are nobody's.
    let mut press = |key: &str, what: &str, done: &dyn Fn() -> bool| {
        until(what, || {
            terminal.send(key);
            terminal.read_for(Duration::from_millis(50));
            done().then_some(())
        });
    };
    press("\x1a", "^Z to stop it", &|| state(wrapper) == Some('T'));
    press("fg\r", "fg to continue it", &|| state(wrapper) != Some('T'));
    press("\x03", "^C to end the wait", &|| !lives(wrapper));
    // The last ^C may still be on its way, and takes what is typed before it with it.
    until("the shell", || {
        terminal.send("echo alive $((40+2))\r");
        terminal.read_for(Duration::from_millis(50));
        String::from_utf8_lossy(terminal.transcript()).contains("alive 42").then_some(())
    });
    assert!(lives(left));
    sealcast::sys::signals::send(left, 9).unwrap();
    assert_eq!(sandbox.recorded_exit(), Some(0));
}
