//! A terminal that controls none of those who work at it: `su dave -c`, `runuser -l`, `setsid` and others begin a session of their
//! own, whose streams are still the terminal. It is one all the same: a secret that is typed there is no line of a stream.

use crate::support::host::{Host, SEALCAST, text};
use crate::support::sandbox::{SIZE, Sandbox, events_of};
use crate::support::terminal::Terminal;
use crate::support::{descendants, lives, until};
use crate::{SECRET, there};
use sealcast::cast::Payload;

/// Runs the wrapper at a terminal, in a session that this does not control.
fn apart(sandbox: &Sandbox, words: &[&str]) -> Terminal {
    let wrapped = sandbox.wrapped(words);
    let mut command = sandbox.command("setsid");
    command.arg("--wait").arg(wrapped.get_program()).args(wrapped.get_args());
    Terminal::start(&command, SIZE)
}

/// Asks for a secret where there is a terminal.
const ASKS: &str = "import getpass, os, sys\n\
    print(len(getpass.getpass('Word: ')), 'letters')\n\
    print('at', os.ttyname(0) == os.ttyname(1) == os.ttyname(2))\n\
    sys.exit(7)";

/// Types the secret for a program that [asks](ASKS), at `terminal`.
#[track_caller]
fn answer(terminal: &mut Terminal) {
    // That is shown once there is no echo.
    terminal.wait_for("Word: ");
    terminal.send_unseen(format!("{SECRET}\r"));
    terminal.wait_for("letters");
}

/// The settings of such a terminal that nobody has touched: those of one in which a session begins may be its own by the time they
/// are asked for.
fn untouched(sandbox: &Sandbox) -> String {
    Terminal::start(sandbox.command("sleep").arg("1000"), SIZE).settings()
}

/// The secret was neither shown nor recorded, but counted.
#[track_caller]
fn is_kept(sandbox: &Sandbox, terminal: &Terminal) {
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert!(!shown.contains(SECRET), "it was shown: {shown}");
    let all = sandbox.everything();
    assert!(all.contains("\"kind\":\"exit\"") && !all.contains(SECRET), "it was recorded: {all}");
    assert!(!String::from_utf8(sandbox.recorded_input()).unwrap().contains(SECRET));
    let withheld = |payload| if let Payload::Withheld(count) = payload { Some(count) } else { None };
    let withheld: u32 = sandbox.events().into_iter().filter_map(|event| withheld(event.payload)).sum();
    assert_eq!(withheld, 1, "{all}");
    assert!(all.contains("\"tty\":\"/dev/pts/") || all.contains("\"tty\": \"/dev/pts/"), "{all}");
}

#[test]
fn at_a_terminal_that_does_not_control_us_a_secret_is_neither_shown_nor_recorded() {
    if !there("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    let before = untouched(&sandbox);
    let mut terminal = apart(&sandbox, &["python3", "-c", ASKS]);
    answer(&mut terminal);
    assert_eq!(terminal.wait_end().code(), Some(7));
    is_kept(&sandbox, &terminal);
    assert_eq!(terminal.settings(), before);
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert!(shown.contains("at True") && shown.contains("10 letters"), "{shown}");
}

#[test]
fn at_a_terminal_that_is_not_the_one_that_controls_us_a_secret_is_neither_shown_nor_recorded() {
    if !there("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    let other = Terminal::start(sandbox.command("sleep").arg("1000"), SIZE);
    let name = std::fs::read_link(format!("/proc/{}/fd/0", other.pid())).unwrap();
    let mut command = sandbox.command("sh");
    let wrapper = sandbox.wrapper_line();
    let redirected = format!("exec {wrapper} python3 -c \"$0\" <>{} >&0 2>&0", name.display());
    command.args(["-c", &redirected, ASKS]);
    let before = other.settings();
    let (mut controlling, mut other) = (Terminal::start(&command, SIZE), other);
    answer(&mut other);
    assert_eq!(controlling.wait_end().code(), Some(7));
    is_kept(&sandbox, &other);
    assert_eq!(other.settings(), before);
    assert_eq!(controlling.transcript(), b"");
}

#[test]
fn a_terminal_that_does_not_control_us_is_one_to_the_program_and_has_its_size() {
    let sandbox = Sandbox::new();
    let script = "tty; stty size; read x; stty size; until test \"$(stty size)\" = '20 60'; do sleep 0.05; done; echo GR''EW";
    let mut terminal = apart(&sandbox, &["sh", "-c", script]);
    terminal.wait_for("/dev/pts/");
    terminal.wait_for("24 80\r\n");
    assert!(terminal.is_raw());
    // It is known before the key that was typed after it…
    terminal.resize(100, 30);
    terminal.send("\r");
    terminal.wait_for("30 100\r\n");
    // …and where none is typed.
    terminal.resize(60, 20);
    terminal.wait_for("GREW\r\n");
    assert!(terminal.wait_end().success());
    assert!(!terminal.is_raw());
    let size = |payload| if let Payload::Resize { cols, rows } = payload { Some((cols, rows)) } else { None };
    let sizes: Vec<_> = sandbox.events().into_iter().filter_map(|event| size(event.payload)).collect();
    assert_eq!(sizes, [(100, 30), (60, 20)]);
}

#[test]
fn keys_of_a_terminal_that_does_not_control_us_signal_the_program() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo INT''ERRUPTED; exit 3' INT; echo READY; while :; do echo tick; sleep 0.05; done";
    let mut terminal = apart(&sandbox, &["sh", "-c", script]);
    terminal.wait_for("READY\r\n");
    // Nobody is there who could continue us: as without a shell that knows jobs, it goes on.
    terminal.send("\x1a");
    terminal.wait_for("^Z");
    // For a moment the terminal is as it was found, and the next key would be for all that have it.
    for _ in 0..5 {
        terminal.wait_for("tick\r\n");
    }
    terminal.wait_raw();
    terminal.send("\x03");
    terminal.wait_for("INTERRUPTED\r\n");
    assert_eq!(terminal.wait_end().code(), Some(3));
    assert!(!terminal.is_raw());
}

#[test]
fn the_end_of_a_terminal_that_does_not_control_us_is_the_end_of_the_session() {
    for script in ["echo READY; exec sleep 1000", "trap '' HUP; echo READY; while :; do sleep 1; done"] {
        let sandbox = Sandbox::new();
        let mut terminal = apart(&sandbox, &["sh", "-c", script]);
        terminal.wait_for("READY\r\n");
        let all = descendants(terminal.pid());
        terminal.hang_up();
        until("the end of the session", || (!all.iter().any(|pid| lives(*pid))).then_some(()));
        assert!(sandbox.recorded_exit().is_some());
    }
}

#[test]
fn in_the_background_of_a_terminal_that_does_not_control_us_what_is_typed_is_the_shells() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    // The program goes on as it would without us, and reads.
    let script = "echo BEG''UN; read x; echo got $x; exit 3";
    terminal.send(format!("setsid --wait {wrapper} sh -c \"{script}\" &\r").replace("$x", "\\$x"));
    terminal.wait_for("BEGUN");
    for n in 0..3 {
        terminal.line(&format!("echo shell''-{n}; stty -a"), &format!("shell-{n}\r\n"));
        assert!(terminal.wait_for(" echo ").contains(" icanon "));
        terminal.wait_for("OUTER> ");
    }
    terminal.line("fg", "setsid");
    terminal.wait_raw();
    terminal.send("some words\r");
    terminal.wait_for("got some words\r\n");
    terminal.wait_for("OUTER> ");
    terminal.line("echo status $?", "status 3\r\n");
    let recorded = String::from_utf8(sandbox.recorded_input()).unwrap();
    assert!(!recorded.contains("shell"), "{recorded:?}");
}

#[test]
fn behind_whom_nobody_is_left_a_session_whose_input_is_no_terminal_leaves_it_to_the_shell() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let wrapper = sandbox.wrapper_line();
    let script = "echo BEG''UN; until test -e go; do sleep 0.05; done; echo EN''DED";
    terminal.send(format!("setsid -f {wrapper} sh -c \"{script}\" </dev/null\r"));
    terminal.wait_for("BEGUN");
    for n in 0..3 {
        terminal.line(&format!("echo shell''-{n}; stty -a"), &format!("shell-{n}\r\n"));
        assert!(terminal.wait_for(" echo ").contains(" icanon "));
        terminal.wait_for("OUTER> ");
    }
    terminal.send("touch go\r");
    terminal.wait_for("ENDED");
    let mut export = sandbox.command(env!("CARGO_BIN_EXE_sealcast"));
    export.args(["export", "last"]);
    until("the end of the recording", || export.output().unwrap().status.success().then_some(()));
    assert!(sandbox.recorded_input().is_empty());
}

/// Asks a shell's way, having said what the terminal is.
const ASKS_A_LINE: &str =
    "tty; stty size; stty -echo; printf 'Wo''rd: '; read x; stty echo; echo ${#x} letters; exit 7";

/// The secret is not on the screen nor in what was exported, but counted.
#[track_caller]
fn is_kept_on(terminal: &Terminal, exported: &str) {
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert!(!shown.contains(SECRET) && shown.contains("24 80") && shown.contains("10 letters"), "{shown}");
    assert!(!exported.contains(SECRET), "{exported}");
    let withheld = |payload| matches!(payload, Payload::Withheld(1));
    assert!(events_of(exported).into_iter().any(|event| withheld(event.payload)), "{exported}");
}

#[test]
fn what_su_has_a_login_shell_run_has_the_terminal() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nrequire-reason = true\n");
    // Here su begins a session of its own, and so does the shell below it whatever else it is called by.
    for words in
        [&["su", "dave", "-c", ASKS_A_LINE][..], &["setsid", "-w", "su", "-", "dave", "-c", ASKS_A_LINE]]
    {
        let before = host.terminal("root", &["sleep", "1000"]).settings();
        let mut terminal = host.terminal("root", words);
        terminal.wait_for("session:");
        terminal.line("tidying up", "/dev/pts/");
        answer(&mut terminal);
        assert_eq!(terminal.wait_end().code(), Some(7));
        assert_eq!(terminal.settings(), before);
        let shown = host.last();
        let told =
            |path: &str| shown.pointer(path).and_then(|told| told.as_str()).unwrap_or_default().to_owned();
        assert!(told("/meta/tty").starts_with("/dev/pts/"), "{shown}");
        assert_eq!(told("/meta/reason"), "tidying up");
        let words = [SEALCAST, "export", "-f", "json", "-i", "/etc/sealcast/identity", &host.last_id()];
        is_kept_on(&terminal, &text(&host.run("root", &words)));
    }
}

/// As whoever has no right to open it, and was only lent it: su leaves it root's.
#[test]
fn a_terminal_that_may_not_be_opened_is_used_as_it_was_lent() {
    let Some(host) = Host::start() else { return };
    std::fs::remove_file(host.etc("sealcast/config.toml")).unwrap();
    let line = format!("exec {SEALCAST} run -- sh -c \"$0\"");
    // More than a terminal holds.
    let script = format!("seq 1 30000; {ASKS_A_LINE}");
    let before = host.terminal("root", &["sleep", "1000"]).settings();
    let mut terminal = host.terminal("root", &["su", "bob", "-c", &line, &script]);
    terminal.wait_for("30000\r\n");
    terminal.wait_for("/dev/pts/");
    answer(&mut terminal);
    assert_eq!(terminal.wait_end().code(), Some(7));
    assert_eq!(terminal.settings(), before);
    let exported = host.run("bob", &[SEALCAST, "export", "-f", "json", "last"]);
    is_kept_on(&terminal, &text(&exported));
}

#[test]
fn a_terminal_that_can_only_be_read_is_the_programs_alone() {
    let sandbox = Sandbox::new();
    let script = "stty -echo; read x; stty echo; echo ${#x} letters";
    let line = format!("setsid --wait {} sh -c \"$0\" <$(tty) >out 2>&1", sandbox.wrapper_line());
    let mut terminal = Terminal::start(sandbox.command("sh").args(["-c", &line, script]), SIZE);
    until("the terminal to show no keys", || terminal.settings().contains(" -echo ").then_some(()));
    terminal.send_unseen(format!("{SECRET}\r"));
    assert!(terminal.wait_end().success());
    let said = std::fs::read_to_string(sandbox.path("out")).unwrap();
    assert!(said.ends_with("10 letters\n"), "{said}");
    let all = sandbox.everything();
    assert!(!all.contains(SECRET) && sandbox.recorded_input().is_empty(), "{all}");
    let is_told =
        |payload| matches!(payload, Payload::Gap(gap) if (&*gap.why, &*gap.of) == ("device", "stdin"));
    assert!(sandbox.events().into_iter().any(|event| is_told(event.payload)), "{all}");
    assert!(!String::from_utf8_lossy(terminal.transcript()).contains(SECRET));
}
