//! A program beside the wrapper, in the same pipeline, asks for a password on the terminal that both have: it is the
//! neighbour's, whole, and nothing of it is shown or recorded.

use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::there;

/// Waits for a file, if one is named, asks as sudo does, without an echo and byte by byte, and says how much it was told. The file
/// `asking` is there once the terminal shows no keys, and the prompt.
const NEIGHBOUR: &str = r#"
import os, sys, termios, time
while sys.argv[1:] and not os.path.exists(sys.argv[1]): time.sleep(0.02)
tty = os.open("/dev/tty", os.O_RDWR)
found, hiding = termios.tcgetattr(tty), termios.tcgetattr(tty)
hiding[3] &= ~(termios.ECHO | termios.ECHONL)
termios.tcsetattr(tty, termios.TCSAFLUSH, hiding)
os.write(2, b"Neighbour: ")
open("asking", "w").close()
got = b""
while not got.endswith(b"\n"):
    got += os.read(tty, 1)
    # As on a busy host: whoever else reads has time for it.
    if len(got) == 1: time.sleep(0.3)
termios.tcsetattr(tty, termios.TCSADRAIN, found)
os.write(2, b"\r\ntold %d\r\n" % len(got))
open("done", "w").close()
sys.stdin.read()
"#;

const SECRET: &str = "Zq7vXw9KjU";

/// A shell's script that waits for a file.
fn wait_for(file: &str) -> String {
    format!("until test -e {file}; do sleep 0.02; done")
}

/// A shell, and how the neighbour is run there. `None` without Python.
fn beside_a_neighbour() -> Option<(Sandbox, Terminal, String)> {
    if !there(&["python3"]) {
        return None;
    }
    let sandbox = Sandbox::new();
    let neighbour = format!("python3 {}", sandbox.file("neighbour.py", NEIGHBOUR).display());
    let terminal = sandbox.shell();
    Some((sandbox, terminal, neighbour))
}

/// Answers the neighbour: it is told all of the password, and nothing of it is shown or recorded.
fn answer(sandbox: &Sandbox, terminal: &mut Terminal) {
    terminal.send(format!("{SECRET}\r"));
    let shown = terminal.wait_for("told 11\r");
    assert!(!shown.contains(&SECRET[1..]), "{shown:?}");
    terminal.wait_for("OUTER> ");
    let recorded = sandbox.everything();
    assert!(recorded.contains("\"kind\":\"exit\"") && !recorded.contains(&SECRET[1..]), "{recorded}");
}

#[test]
fn the_password_that_a_neighbour_asks_for_is_its_own() {
    let Some((sandbox, mut terminal, neighbour)) = beside_a_neighbour() else { return };
    let (wrapper, waits) = (sandbox.wrapper_line(), wait_for("done"));
    terminal.send(format!("{wrapper} sh -c 'touch begun; {waits}' | {neighbour} begun\r"));
    terminal.wait_for("Neighbour: ");
    answer(&sandbox, &mut terminal);
}

#[test]
fn the_password_that_a_neighbour_asks_for_already_is_its_own() {
    let Some((sandbox, mut terminal, neighbour)) = beside_a_neighbour() else { return };
    let wrapper = sandbox.wrapper_line();
    let inside = "stty -a </dev/tty >&2; echo BEG''UN >&2; cat";
    let waits = wait_for("asking");
    terminal.send(format!("{neighbour} </dev/null | ({waits}; {wrapper} sh -c \"{inside}\")\r"));
    terminal.wait_for("Neighbour: ");
    let found = terminal.wait_for("BEGUN\r");
    // That the neighbour has switched it off is not the program's affair; nor is it ours.
    assert!(found.contains(" echo ") && !terminal.is_raw(), "{found:?}");
    answer(&sandbox, &mut terminal);
}
