//! Where the session of the terminal, or its device, was made in another namespace.

use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;
use crate::support::{children, descendants, skipped, there, until};
use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// Whether this program may make namespaces: a test that says so passes where it may not.
fn allowed(words: &[&str]) -> bool {
    if !there(&words[..1]) {
        return false;
    }
    let tried = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    if !tried.status.success() {
        skipped(&format!("{words:?} is not allowed: {}", String::from_utf8_lossy(&tried.stderr).trim()));
    }
    tried.status.success()
}

/// A pid namespace that somebody else made; gone with this.
struct Elsewhere {
    maker: Child,
    first: u32,
}

impl Elsewhere {
    fn new() -> Self {
        let mut make = Command::new("unshare");
        let maker = make.args(["-fp", "--mount-proc", "sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap();
        let first = until("the namespace", || {
            let first = *children(maker.id()).first()?;
            let name = std::fs::read_to_string(format!("/proc/{first}/comm")).ok()?;
            (name.trim() == "sleep").then_some(first)
        });
        Self { maker, first }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = sealcast::sys::signals::send(self.first, 9);
        let _ = self.maker.wait();
    }
}

/// Waits until a program of this name runs below the terminal.
fn runs(name: &str, terminal: &Terminal) {
    until(name, || {
        let comm = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        descendants(terminal.pid()).into_iter().any(|pid| comm(pid).trim() == name).then_some(())
    });
}

#[test]
fn in_another_pid_namespace_a_shell_has_its_terminal_its_prompt_and_its_jobs() {
    if !allowed(&["unshare", "-fp", "--mount-proc", "true"]) || !there(&["nsenter"]) {
        return;
    }
    let elsewhere = Elsewhere::new();
    let enter = format!("nsenter -m -p -t {}", elsewhere.first);
    for way in ["unshare -fp", "unshare -fp --mount-proc", &enter] {
        let sandbox = Sandbox::new();
        let mut terminal = sandbox.shell();
        let shell = format!("PS1='INNER''> ' {way} {} bash --norc -i", sandbox.wrapper_line());
        terminal.line(&format!("{shell}; echo status $?"), "INNER> ");
        terminal.line("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo AL''L", "ALL\r\n");
        terminal.wait_for("INNER> ");
        for (key, text) in [("\x03", "INNER> "), ("\x1a", "Stopped")] {
            terminal.send("sleep 1000\r");
            runs("sleep", &terminal);
            terminal.send(key);
            terminal.wait_for(text);
        }
        terminal.line("kill -9 %1; disown %1; echo alive $((40+2))", "alive 42");
        terminal.line("exit 3", "status 3");
        terminal.wait_for("OUTER> ");
        terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
        assert_eq!(sandbox.recorded_exit(), Some(3), "{way}");
    }
}

/// A pipe with a name that a shell waits at (`read x <go`) until something is written to it. It starts nothing for that: stopped
/// between a fork and its exec, a shell is stopped for no one to see.
fn gate(sandbox: &Sandbox) -> File {
    let path = sandbox.path("go");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Open for both, so that nobody is waited for here.
    File::options().read(true).write(true).open(path).unwrap()
}

// By nsenter it cannot be tried: continued together with its child, that stops itself once more when it looks too early.
#[test]
fn the_first_program_of_a_pid_namespace_cannot_be_stopped_and_goes_on_behind_the_prompt() {
    if !allowed(&["unshare", "-fp", "true"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let mut gate = gate(&sandbox);
    let script = "echo BEG''IN; read x <go; echo WE''NT; exec sleep 1000";
    terminal.send(format!("unshare -fp {} sh -c \"{script}\"\r", sandbox.wrapper_line()));
    terminal.wait_for("BEGIN\r\n");
    terminal.send("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("OUTER> ");
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
    terminal.wait_for("OUTER> ");
    gate.write_all(b"\n").unwrap();
    terminal.wait_for("WENT");
    // The shell names it, and has left its line editor by then.
    terminal.line("fg", "exec sleep 1000");
    runs("sleep", &terminal);
    terminal.wait_raw();
    terminal.send("\x03");
    terminal.wait_for("OUTER> ");
    terminal.line("echo alive $((40+2))", "alive 42");
}

#[test]
fn in_the_background_of_another_pid_namespace_the_terminal_is_left_alone() {
    if !allowed(&["unshare", "-fp", "true"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let mut gate = gate(&sandbox);
    let script = "stty raw -echo </dev/tty; touch raw; read x <go; echo WE''NT; exec cat";
    terminal.line(&format!("unshare -fp {} sh -c \"{script}\" &", sandbox.wrapper_line()), "OUTER> ");
    until("raw mode inside", || sandbox.path("raw").exists().then_some(()));
    terminal.line("stty -a | tr ';' '\\n'", "isig icanon");
    terminal.wait_for("OUTER> ");
    // Whoever waits for the terminal for ever shows nothing.
    gate.write_all(b"\n").unwrap();
    terminal.wait_for("WENT");
    runs("cat", &terminal);
    terminal.line("kill -9 %1; wait %1; echo alive $((40+2))", "alive 42");
}

#[test]
fn a_terminal_of_the_same_number_and_the_other_side_of_one_are_other_terminals() {
    if !allowed(&["unshare", "-m", "mount", "-t", "devpts", "devpts", "/mnt"]) || !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    // Terminals of another devpts, up to the one that has the number of ours.
    let script = r#"
import fcntl, os, pty, struct, subprocess, sys, termios, tty
TIOCGPTN, TIOCSPTLCK = 0x80045430, 0x40045431
# However many pieces it comes in.
def line(fd):
    read = b""
    while not read.endswith(b"\n"):
        read += os.read(fd, 1000)
    return read
subprocess.run(["mount", "-t", "devpts", "devpts", "/mnt"], check=True)
ours, leaders = os.fstat(0).st_rdev, []
while True:
    leader = os.open("/mnt/ptmx", os.O_RDWR | os.O_NOCTTY)
    leaders.append(leader)
    fcntl.ioctl(leader, TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(leader, TIOCGPTN, bytes(4)))[0]
    follower = os.open(f"/mnt/{number}", os.O_RDWR | os.O_NOCTTY)
    if os.fstat(follower).st_rdev == ours:
        break
    os.close(follower)
tty.setraw(follower)
subprocess.run(sys.argv[1:], stdout=follower, check=True)
print("THERE:", line(leader), flush=True)
# The other side of a terminal that somebody works at, which tells its session to whoever asks.
pid, leader = pty.fork()
if pid == 0:
    tty.setraw(0)
    os.write(1, b"!")
    print("TYPED:", line(0), flush=True)
    os._exit(0)
os.read(leader, 1)
subprocess.run(sys.argv[1:], stdout=leader, check=True)
print(os.read(leader, 1000).decode(), flush=True)
print("OVER", flush=True)
"#;
    let script = sandbox.file("other.py", script);
    let told = "[ -t 0 ] && [ -t 2 ] && [ ! -t 1 ] && echo apart";
    let wrapped = sandbox.wrapped(&["sh", "-c", told]);
    let mut command = sandbox.command("unshare");
    command.args(["-m", "python3"]).arg(script).arg(wrapped.get_program()).args(wrapped.get_args());
    let mut terminal = Terminal::start(&command, crate::support::sandbox::SIZE);
    terminal.wait_for("THERE: b'apart\\n'");
    terminal.wait_for("TYPED: b'apart\\n'");
    terminal.wait_for("OVER");
    assert!(terminal.wait_end().success());
}
