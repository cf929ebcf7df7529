//! Some of the standard streams are the terminal, others are not: what the terminal is set to, meanwhile and afterwards, and how
//! lines look on it that others write there.

use super::jobs::runs;
use super::pipes::wait;
use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::{DEADLINE, there, until};
use std::time::{Duration, Instant};

/// Reads until the settings of the terminal are right.
#[track_caller]
fn set_to(terminal: &mut Terminal, right: impl Fn(&str) -> bool) {
    let end = Instant::now() + DEADLINE;
    loop {
        let settings = terminal.settings();
        if right(&settings) {
            return;
        }
        let told = || terminal.transcript().escape_ascii().to_string();
        assert!(Instant::now() < end, "the terminal is set to {settings}{}", told());
        terminal.read_for(Duration::from_millis(10));
    }
}

fn has(settings: &str, word: &str) -> bool {
    settings.split(|c: char| c.is_whitespace() || c == ';').any(|found| found == word)
}

#[test]
fn a_neighbour_of_a_shell_in_a_pipeline_shows_lines_that_begin_at_the_left() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    terminal.line(&format!("PS1='INNER''> ' {wrapper} bash --norc -i | tee log"), "INNER> ");
    set_to(&mut terminal, |settings| has(settings, "-icanon"));
    // No prompt comes between the lines.
    let shown = terminal.line("seq 1 3; echo DO''NE; read x", "DONE\r\n");
    assert!(shown.ends_with("1\r\n2\r\n3\r\n"), "{shown:?}");
    terminal.line("", "INNER> ");
    terminal.line("exit", "OUTER> ");
    assert!(std::fs::read_to_string(sandbox.path("log")).unwrap().starts_with("1\n2\n3\nDONE\n"));
}

/// A program that reads a key. Once it is ready it starts nothing more, which could be stopped unseen.
const READS_KEYS: &str = "stty -icanon -echo </dev/tty\necho READY >/dev/tty\n\
    exec dd if=/dev/tty of=/dev/null bs=1 count=1 status=none\n";

/// What the outer shell leaves to a program.
fn left(terminal: &mut Terminal, sandbox: &Sandbox) -> String {
    terminal.line("stty -a >settings; echo TO''LD", "TOLD\r\n");
    terminal.wait_for("OUTER> ");
    std::fs::read_to_string(sandbox.path("settings")).unwrap()
}

#[test]
fn a_terminal_that_others_have_too_is_still_waited_at_by_them() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let shell = terminal.pid().to_string();
    terminal.send(format!("{} cat\r", sandbox.wrapper_line()));
    runs("cat", terminal.pid());
    terminal.wait_raw();
    terminal.line("one", "one\r\none\r\n");
    assert!(wait(&shell, 0..3));
    terminal.send_unseen("\x04");
    until("the end of the recording", || (sandbox.recorded_exit() == Some(0)).then_some(()));
    assert!(wait(&shell, 0..3));
}

#[test]
fn whichever_streams_are_the_terminal_it_is_given_back_as_it_was_found_and_shows_as_its_users_want() {
    // With whether all that is shown on the terminal passes through us.
    let cases = [
        ("$W sh program", true),
        ("$W sh program 2>err", true),
        ("echo | $W sh program", true),
        ("$W sh program | cat", false),
        ("$W sh program 2>err | cat", false),
        ("$W sh program >out", false),
        ("$W sh program >out 2>&1", false),
        ("$W sh program </dev/null | cat", false),
    ];
    for (line, ours) in cases {
        let sandbox = Sandbox::new();
        sandbox.file("program", READS_KEYS);
        let mut terminal = sandbox.shell();
        let before = left(&mut terminal, &sandbox);
        assert!(has(&before, "opost") && has(&before, "onlcr") && has(&before, "icanon"), "{before}");
        let is_raw = |settings: &str| {
            has(settings, "-icanon")
                && has(settings, "-isig")
                && has(settings, if ours { "-opost" } else { "opost" })
        };
        let wrapped = line.replace("$W", &sandbox.wrapper_line());
        terminal.send(format!("{wrapped}\r"));
        terminal.wait_for("READY\r");
        set_to(&mut terminal, is_raw);
        terminal.send("\x1a");
        terminal.wait_for("Stopped");
        terminal.wait_for("OUTER> ");
        assert_eq!(left(&mut terminal, &sandbox), before, "{line}: stopped");
        // The shell names it, and has left its line editor by then.
        terminal.line("fg", "sh program");
        set_to(&mut terminal, is_raw);
        terminal.send("\x03");
        terminal.wait_for("OUTER> ");
        assert_eq!(left(&mut terminal, &sandbox), before, "{line}: interrupted");
        assert_eq!(sandbox.recorded_exit(), Some(130), "{line}");
        terminal.send(format!("{wrapped}\r"));
        terminal.wait_for("READY\r");
        set_to(&mut terminal, is_raw);
        terminal.send("x");
        terminal.wait_for("OUTER> ");
        assert_eq!(left(&mut terminal, &sandbox), before, "{line}: ended");
        assert_eq!(sandbox.recorded_exit(), Some(0), "{line}");
    }
}

/// Shows lines as a plain program does, draws as an editor does (a line end is a step down), then is plain again and says
/// something on its standard output. It goes on at a key, or where there is a file `seen`: what was shown was seen by then.
const DRAWS: &str = r#"
import os, termios, time
tty = os.open("/dev/tty", os.O_RDWR)
found, mode = termios.tcgetattr(tty), termios.tcgetattr(tty)
os.write(tty, b"plain\nlines\n")
mode[1] &= ~termios.ONLCR
mode[3] &= ~(termios.ICANON | termios.ECHO)
for n in range(2):
    termios.tcsetattr(tty, termios.TCSADRAIN, mode)
    os.write(tty, b"draws\ndown-%d" % n)
    os.read(tty, 1)
    termios.tcsetattr(tty, termios.TCSADRAIN, found)
    os.write(1, b"says\nthis-%d\n" % n)
    if n == 0:
        while not os.path.exists("seen"): time.sleep(0.01)
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(tty, termios.TCSADRAIN, [*found[:3], mode[3], *found[4:]])
        os.write(tty, b"hides\nkeys\n")
        os.read(tty, 1)
"#;

/// What is shown of a line of a shell. A line end that is translated twice shows as one does.
fn shown(sandbox: &Sandbox, line: &str) -> String {
    let mut command = sandbox.command("bash");
    command.args(["-c", line]);
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("down-0");
    terminal.send("x");
    if !line.contains('>') || line.contains("2>") {
        terminal.wait_for("this-0");
    } else {
        let out = sandbox.path("out");
        until("what is said", || std::fs::read_to_string(&out).ok()?.contains("this-0").then_some(()));
    }
    sandbox.file("seen", "");
    terminal.wait_for("keys\r");
    terminal.send("x");
    terminal.wait_for("down-1");
    terminal.send("x");
    let status = terminal.wait_end();
    assert!(status.success(), "{line}: {}", terminal.transcript().escape_ascii());
    String::from_utf8(terminal.transcript().to_vec()).unwrap().replace("\r\r\n", "\r\n")
}

#[test]
fn whichever_streams_are_the_terminal_lines_and_drawings_look_as_without_us() {
    if !there(&["python3"]) {
        return;
    }
    for line in [
        "$W python3 program",
        "$W python3 program 2>err",
        "echo | $W python3 program",
        "$W python3 program | cat",
        "$W python3 program 2>err | cat",
        "$W python3 program >out",
        "$W python3 program </dev/null | cat",
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("program", DRAWS);
        let without = shown(&sandbox, &line.replace("$W ", ""));
        for file in ["out", "seen"] {
            let _ = std::fs::remove_file(sandbox.path(file));
        }
        let with = shown(&sandbox, &line.replace("$W", &sandbox.wrapper_line()));
        assert_eq!(with, without, "{line}");
    }
}

/// What a session shows on the terminal and writes beside it, with this behind its command line.
fn beside(sandbox: &Sandbox, redirected: &str) -> serde_json::Value {
    let script = "echo on-screen >/dev/tty; echo one; echo two; echo bad >&2; echo worse >&2; seq 20000";
    let line = format!("{} sh -c '{script}' {redirected}", sandbox.wrapper_line());
    let mut command = sandbox.command("sh");
    command.args(["-c", &line]);
    assert!(Terminal::start(&command, SIZE).wait_end().success());
    // The index fits what is drawn of it.
    sandbox.told(&["verify", "last"]);
    serde_json::from_str(&sandbox.told(&["show", "--json", "last"])).unwrap()
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn what_passes_beside_the_terminal_is_told_and_its_lines_begin_at_the_left() {
    let told_of = [
        ("", serde_json::Value::Null),
        (">out", serde_json::json!(["stdout"])),
        ("2>err", serde_json::json!(["stderr"])),
        (">out 2>&1", serde_json::json!(["stdout", "stderr"])),
        (">out 2>err </dev/zero", serde_json::json!(["stdout", "stderr"])),
        ("<in", serde_json::json!(["stdin"])),
    ];
    for (redirected, names) in told_of {
        let sandbox = Sandbox::new();
        sandbox.file("in", "");
        let story = beside(&sandbox, redirected);
        assert_eq!(story["meta"]["beside"], names, "{redirected}: {story}");
        let text = sandbox.told(&["export", "last", "-f", "text"]);
        for line in ["on-screen", "one", "two", "bad", "worse", "1", "20000"] {
            // Two pipes: the other one may have come to the middle of a line by then.
            let behind = |told: &str| line == "bad" && told.strip_suffix(line).is_some_and(is_number);
            assert!(
                text.lines().any(|told| told == line || behind(told)),
                "{redirected}: {line}: {text:.200}"
            );
        }
        let cast = sandbox.told(&["export", "last", "-f", "cast"]);
        assert!(cast.contains(r"19999\r\n20000\r\n") && !cast.contains(r"9\n"), "{redirected}");
        let hits = sandbox.told(&["search", "--in", "screen", "--json", "worse"]);
        let hit: serde_json::Value = serde_json::from_str(hits.lines().next().unwrap()).unwrap();
        assert_eq!(hit["text"], "worse", "{redirected}: {hits}");
        let shown = sandbox.told(&["show", "last"]);
        assert_eq!(shown.contains("beside it"), !names.is_null(), "{redirected}: {shown}");
    }
}
