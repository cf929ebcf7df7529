//! System calls that are refused, as a filter around a container does it, and what a limit or the host does not give.

use crate::gaps;
use crate::support::host::{Host, SEALCAST, has, text};
use crate::support::{lives, skipped, until};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

/// Runs a program of which one system call is refused: its number and the error, and then arguments that it must have, each behind
/// its place. Sources: seccomp(2), prctl(2).
const REFUSE: &str = r#"
import ctypes, os, struct, sys
call, error, *arguments = map(int, sys.argv[1].split(","))
checks = [(0, call)] + [(16 + 8 * n, value) for n, value in zip(arguments[::2], arguments[1::2])]
program = []
for after, (offset, value) in zip(range(len(checks) - 1, -1, -1), checks):
    program += [(0x20, 0, 0, offset), (0x15, 0, 2 * after + 1, value)]
program += [(0x06, 0, 0, 0x50000 | error), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
libc = ctypes.CDLL(None)
given = struct.pack("HP", len(program), ctypes.addressof(code))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, given, 0, 0):
    sys.exit("there are no filters here")
os.execvp(sys.argv[2], sys.argv[2:])
"#;

/// `pidfd_open` and `close_range`, which have these numbers on every machine, as a kernel refuses them that does not know them, or a
/// filter that forbids them.
pub(super) const PIDFD_OPEN: &str = "434,38";
const CLOSE_RANGE: &str = "436,1";

/// The words that run `words` without this system call, as [`REFUSE`] has it. `None` where that cannot be done.
pub(super) fn without<'a>(host: &Host, call: &'a str, words: &[&'a str]) -> Option<Vec<&'a str>> {
    let refused = |words: &[&'a str]| [&["python3", "-c", REFUSE, call], words].concat();
    if !has("python3") {
        return None;
    }
    let tried = host.run("root", &refused(&["true"]));
    if !tried.status.success() {
        skipped(&format!("no system call can be refused here: {}", text(&tried)));
        return None;
    }
    Some(refused(words))
}

#[test]
fn where_descriptors_cannot_be_closed_at_once_they_are_closed_one_by_one() {
    let Some(host) = Host::start() else { return };
    let script = "readlink /proc/$$/fd/7 || echo CLO''SED";
    let opened = ["sh", "-c", "exec 7</etc/passwd; exec \"$@\"", "sh"];
    let words = [SEALCAST, "run", "--", "sh", "-c", script];
    let Some(words) = without(&host, CLOSE_RANGE, &words) else { return };
    let ran = host.run("root", &[&opened[..], &words].concat());
    assert!(ran.status.success() && text(&ran).contains("CLOSED"), "{}", text(&ran));
}

#[test]
fn what_keeps_the_process_beside_the_program_from_starting_it_is_told() {
    let Some(host) = Host::start() else { return };
    let bare = "mount -t tmpfs none /dev && exec \"$@\"";
    let ran = host.run("root", &["unshare", "-m", "sh", "-c", bare, "sh", SEALCAST, "run", "--", "true"]);
    let told = text(&ran);
    assert_eq!(ran.status.code(), Some(125), "{told}");
    assert!(told.contains("cannot set the stage for true: No such file or directory"), "{told}");
}

/// Refused is a `poll` of one descriptor that does not wait: that is how it is asked whether a process has ended.
#[test]
#[cfg(target_arch = "x86_64")]
fn where_it_cannot_be_seen_that_the_program_has_ended_nobody_is_said_to_have_lied() {
    let Some(host) = Host::start() else { return };
    let words = [SEALCAST, "run", "--", "sh", "-c", "echo READY; read x; exit 3"];
    let Some(words) = without(&host, "7,12,1,1,2,0", &words) else { return };
    let mut terminal = host.terminal("root", &words);
    terminal.wait_for("READY");
    terminal.send("\r");
    assert_eq!(terminal.wait_end().code(), Some(3));
    let gaps = gaps(&host);
    assert!(gaps.iter().all(|gap| gap["why"] != "stage"), "{gaps:?}");
}

fn limit(recorder: u32, limit: &str) {
    let set = Command::new("prlimit").args(["--pid", &recorder.to_string(), limit]).status();
    assert!(set.unwrap().success());
}

#[test]
fn a_session_that_ends_because_the_loop_cannot_go_on_has_a_gap_that_says_so() {
    let Some(host) = Host::start() else { return };
    if !has("prlimit") {
        return;
    }
    let clings = "trap '' HUP TERM; echo pid $$ end; exec sleep 1000";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", clings]);
    terminal.wait_for("pid ");
    let program = terminal.wait_for(" end").parse().unwrap();
    terminal.wait_raw();
    // poll(2) takes no more descriptors than one may have.
    limit(terminal.pid(), "--nofile=0:0");
    terminal.send_unseen("x");
    assert_eq!(terminal.wait_end().code(), Some(125));
    assert_eq!(host.last()["verdict"], "intact");
    let gaps = gaps(&host);
    let told = |gap: &Value| {
        gap["why"] == "stopped" && gap["note"].as_str().is_some_and(|note| note.contains("Invalid argument"))
    };
    assert!(gaps.iter().any(told), "{gaps:?}");
    until("the end of the program", || (!lives(program)).then_some(()));
}

#[test]
fn a_recorder_without_memory_gives_the_terminal_back() {
    let Some(host) = Host::start() else { return };
    if !has("prlimit") {
        return;
    }
    let flood = "echo READY; read x; while :; do seq 1 1000; done";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", flood]);
    terminal.wait_for("READY");
    terminal.wait_raw();
    // It has what it needs for what it does now, and gets no more.
    limit(terminal.pid(), "--as=1");
    terminal.send("\r");
    let status = terminal.wait_end();
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    // Somewhere in it: what shows the flood goes on until the process is gone.
    assert!(status.signal() == Some(6) && shown.contains("there is no memory left"), "{status} {shown}");
    assert!(!terminal.is_raw(), "{}", terminal.settings());
}
