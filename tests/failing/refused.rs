//! System calls that are refused, as a filter around a container does it, and what a limit or the host does not give.

use crate::support::host::{Host, SEALCAST, has, text};
use crate::support::skipped;

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

/// `pidfd_open`, which has this number on every machine, as a kernel refuses it that does not know it.
pub(super) const PIDFD_OPEN: &str = "434,38";

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
