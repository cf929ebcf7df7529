//! Typed secrets, with the programs that ask for them: no byte of a secret is in the recording, and what is typed in
//! the open is.
//!
//! Each case types something innocent first, then a secret where the program asks, then something innocent again.
//!
//! A line in the open is stored only where its echo comes in time, which a busy host may not manage: see [`tried`].
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

mod secrets {
    mod after;
    mod ahead;
    mod drawn;
    mod integrated;
    mod late;
    mod prompts;
    mod uncontrolled;
}

use sealcast::cast::{Event, Payload};
use std::time::Duration;
use support::sandbox::{SIZE, Sandbox};
use support::sshd::of_this_host;
use support::terminal::Terminal;
use support::tried::{BUSY, Missed, Tried};

/// Letters and digits that nothing else in these sessions shows together.
const SECRET: &str = "Zq7vXw9KjU";

/// As much as surely fits in a row, behind a prompt.
const ROW: usize = 60;

/// A shell behind the wrapper.
struct Session {
    sandbox: Sandbox,
    terminal: Terminal,
}

impl Session {
    fn start(shell: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let terminal = Terminal::start(&sandbox.wrapped(shell), SIZE);
        Self { sandbox, terminal }
    }

    fn bash() -> Self {
        let mut session = Self::start(&["bash", "--norc", "-i"]);
        session.terminal.wait_for("PROMPT> ");
        session
    }

    /// Types key by key, as fast as a quick typist and without waiting for an echo.
    #[track_caller]
    fn type_slowly(&mut self, text: &str) {
        for key in text.chars() {
            self.terminal.send(key.to_string());
            self.terminal.read_through(BUSY);
        }
    }

    /// The same where nothing is shown.
    #[track_caller]
    fn type_unseen(&mut self, text: &str) {
        for key in text.chars() {
            self.terminal.send_unseen(key.to_string());
            self.terminal.read_through(BUSY);
        }
    }

    /// Waits until a prompt was shown and the terminal shows no keys: some programs ask first.
    #[track_caller]
    fn asked(&mut self, prompt: &str) {
        self.terminal.wait_for(prompt);
        until_no_echo(&self.terminal);
    }

    /// Types a line in the open, waits until bash has shown it (where it fits in a row), and then for what comes of it, which so
    /// is not found in the line itself.
    #[track_caller]
    fn line(&mut self, line: &str, text: &str) {
        if line.len() <= ROW {
            self.terminal.echoed(line, line);
        } else {
            self.terminal.send(line);
        }
        self.terminal.line("", text);
    }

    /// Ends the shell and checks the recording: `open` are all lines that were typed in the open; nothing else but
    /// Enter and `exit` may be in the input.
    #[track_caller]
    fn check(mut self, open: &[&str], least: u32) -> Tried {
        self.terminal.send("exit\r");
        self.terminal.wait_end();
        let late = self.terminal.late();
        check(&self.sandbox.events(), &[SECRET], open, least, &self.sandbox.everything(), late)
    }

    /// The same where all was typed in the open: nothing is withheld, and nothing else in the input.
    #[track_caller]
    fn check_open(mut self, open: &[&str]) -> Tried {
        self.terminal.send("exit\r");
        self.terminal.wait_end();
        let (events, all) = (self.sandbox.events(), self.sandbox.everything());
        let late = self.terminal.late();
        check(&events, &[SECRET], open, 0, &all, late)?;
        let input = String::from_utf8(self.sandbox.recorded_input()).unwrap();
        let (rest, _) = without(&input, open);
        let withheld = events.iter().any(|event| matches!(event.payload, Payload::Withheld(_)));
        let is_all = rest.is_empty() && !withheld;
        let why = format!("{rest:?} is left, withheld: {withheld}\n{all}");
        if is_all { Ok(()) } else { Err(Missed { why, late }) }
    }
}

/// So many times in all a line in the open may be missing although the host was not busy. (A program can be in the middle of drawing
/// when a key comes.)
const UNEXPLAINED: usize = 2;

/// Tries a case again, as long as nothing is wrong but that lines typed in the open are missing: a program that shows one later
/// than it is waited for, on a busy host, proves nothing about who waits. Secrets are nowhere in any of the tries.
#[track_caller]
fn tried(case: impl Fn() -> Tried) {
    support::tried::tried(UNEXPLAINED, case);
}

/// The terminal of the shell below the wrapper.
fn below(terminal: &Terminal) -> std::fs::File {
    let below = support::descendants(terminal.pid());
    std::fs::File::open(format!("/proc/{}/fd/0", below[1])).unwrap()
}

/// Waits until the terminal of the shell below the wrapper shows no keys.
#[track_caller]
fn until_no_echo(terminal: &Terminal) {
    let tty = below(terminal);
    support::until("the terminal to show no keys", || {
        (!sealcast::sys::tty::Settings::of(&tty).unwrap().echoes()).then_some(())
    });
}

/// Checks what was recorded: the secrets nowhere in `shown`, which is everything that the recording holds, and not in the bytes
/// of its events; all lines of `open` in the input, nothing else but Enter and `exit` there, and at least so many lines withheld. `late`: how late the host was.
#[track_caller]
fn check(
    events: &[Event],
    secrets: &[&str],
    open: &[&str],
    least: u32,
    shown: &str,
    late: Duration,
) -> Tried {
    let (mut input, mut output, mut withheld) = (Vec::new(), Vec::new(), 0);
    for event in events {
        match &event.payload {
            Payload::Input(bytes) => input.extend_from_slice(bytes),
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => output.extend_from_slice(bytes),
            Payload::Withheld(count) => withheld += count,
            _ => {}
        }
    }
    assert!(shown.contains("\"kind\":\"exit\"") && shown.contains("\"meta\":{"), "not everything: {shown}");
    for secret in secrets {
        assert!(memchr::memmem::find(&output, secret.as_bytes()).is_none(), "a secret was shown\n{shown}");
        assert!(!shown.contains(secret), "a secret is in the recording\n{shown}");
    }
    let input = String::from_utf8(input).unwrap();
    let (rest, missing) = without(&input, open);
    assert!(rest.is_empty() || least == 0, "{rest:?} is left of the input {input:?}\n{shown}");
    assert!(withheld >= least, "{withheld} withheld, at least {least} expected\n{shown}");
    let why = format!("{missing:?} is missing in {input:?}\n{shown}");
    if missing.is_empty() { Ok(()) } else { Err(Missed { why, late }) }
}

/// What is left of the input once these lines are taken out, and `exit`, and what was stored of those that are not there as a
/// whole; Enter does not count. And those.
fn without<'a>(input: &str, open: &[&'a str]) -> (String, Vec<&'a str>) {
    let mut rest = input.to_owned();
    let (there, missing): (Vec<&str>, Vec<&str>) = open.iter().partition(|line| {
        let found = rest.contains(**line);
        rest = rest.replacen(**line, "", 1);
        found
    });
    drop(there);
    let is_part = |piece: &str, line: &str| {
        let mut letters = line.chars();
        piece.chars().all(|c| letters.any(|letter| letter == c))
    };
    let rest = rest.replace("exit\r", "");
    let other = rest.split('\r').filter(|piece| !missing.iter().any(|line| is_part(piece, line)));
    (other.collect(), missing)
}

/// Whether a program is there; a test of one that is not says so and passes.
fn there(program: &str) -> bool {
    support::there(&[program])
}

/// In bash: a command that asks, the secret, and what shows that it was taken.
#[track_caller]
fn asked(command: &str, prompt: &str, taken: &str) {
    tried(|| asked_once(command, prompt, taken));
}

#[track_caller]
fn asked_once(command: &str, prompt: &str, taken: &str) -> Tried {
    // (What is no program is a word of the shell.)
    let program = command.split(' ').next().unwrap_or_default();
    if ["python3", "openssl", "gpg", "age", "ssh-keygen"].contains(&program) && !there(program) {
        return Ok(());
    }
    let mut session = Session::bash();
    session.line("echo open one", "PROMPT> ");
    // To the end of the line, so that the prompt is not found in the command itself.
    session.terminal.echoed(format!("{command}\r"), "\r\n");
    session.asked(prompt);
    session.type_unseen(SECRET);
    session.terminal.send("\r");
    session.terminal.wait_for(taken);
    session.terminal.wait_for("PROMPT> ");
    session.line("echo open two", "PROMPT> ");
    session.check(&["echo open one\r", command, "echo open two\r"], 1)
}

#[test]
fn read_s_of_bash() {
    asked("read -rsp 'Name it: ' x; echo; echo ${#x} letters", "Name it: ", "10 letters");
}

#[test]
fn read_e_s_of_bash_which_shows_nothing_in_raw_mode() {
    asked("read -er -s -p 'Word: ' x; echo; echo ${#x} letters", "Word: ", "10 letters");
}

#[test]
fn read_s_of_zsh() {
    if there("zsh") {
        asked("zsh -fc 'read -s \"x?Word: \"; echo; echo ${#x} letters'", "Word: ", "10 letters");
    }
}

#[test]
fn read_s_of_fish() {
    if there("fish") {
        asked("fish --no-config -c 'read -s -P Word: x; string length $x'", "Word:", "10\r\n");
    }
}

#[test]
fn echo_off_in_a_plain_shell() {
    asked(
        "sh -c 'stty -echo; printf Word:; read x; stty echo; echo; echo ${#x} letters'",
        "Word:",
        "10 letters",
    );
}

#[test]
fn what_is_read_without_an_echo_is_withheld_although_the_program_shows_it() {
    tried(|| {
        // The settings alone tell that it is a secret here: all of it comes back at once, as an echo would.
        let mut session = Session::bash();
        let command = "sh -c 'stty -echo; printf Word:; read x; printf %s- $x; stty echo'";
        session.terminal.send(format!("{command}\r"));
        session.terminal.wait_for("stty echo'");
        session.asked("Word:");
        session.terminal.send("pineapple\r");
        session.terminal.wait_for("pineapple-");
        session.terminal.wait_for("PROMPT> ");
        session.line("echo open two", "PROMPT> ");
        session.check(&[command, "echo open two\r"], 1)
    });
}

#[test]
fn getpass_of_python() {
    asked("python3 -c 'import getpass; x = getpass.getpass(); print(len(x), 10)'", "Password: ", "10 10");
}

/// A prompt that reads key by key in raw mode and writes `answer` (a string of Python) after each.
fn raw_prompt(answer: &str) -> String {
    r#"
import os, sys, termios, tty
found = termios.tcgetattr(0)
tty.setraw(0)
sys.stdout.write("Word: "); sys.stdout.flush()
got = b""
while True:
    key = os.read(0, 1)
    if key in (b"\r", b"\n"): break
    got += key
    sys.stdout.write("ANSWER"); sys.stdout.flush()
termios.tcsetattr(0, termios.TCSADRAIN, found)
print(); print(len(got), "letters")
"#
    .replace("ANSWER", answer)
}

#[test]
fn a_prompt_with_stars_in_raw_mode() {
    let sandbox = Sandbox::new();
    let script = raw_prompt("*");
    let file = sandbox.file("stars.py", script);
    asked(&format!("python3 {}", file.display()), "Word: ", "10 letters");
}

#[test]
fn a_prompt_written_in_two_pieces() {
    asked(
        "sh -c 'stty -echo; printf Pass; sleep 0.1; printf word:; read x; stty echo; echo ${#x} letters'",
        "word:",
        "10 letters",
    );
}

#[test]
fn output_between_the_keys() {
    tried(|| {
        let command = "sh -c 'stty -echo; (for n in 1 2 3 4 5 6 7 8; do echo job at work Zq7 $n; sleep 0.05; done) & \
                       printf Word:; read x; stty echo; echo ${#x} letters'";
        let mut session = Session::bash();
        session.terminal.send(format!("{command}\r"));
        session.terminal.wait_for("letters'");
        session.asked("Word:");
        session.type_unseen(SECRET);
        session.terminal.send("\r");
        session.terminal.wait_for("10 letters");
        session.terminal.wait_for("PROMPT> ");
        session.check(&[command], 1)
    });
}

#[test]
fn output_between_the_keys_of_a_prompt_in_raw_mode() {
    let sandbox = Sandbox::new();
    let script = raw_prompt(r"another job says something about this and that, quite a lot\r\n");
    let file = sandbox.file("noise.py", script);
    asked(&format!("python3 {}", file.display()), "Word: ", "10 letters");
}

#[test]
fn two_secrets_pasted_at_once() {
    tried(|| {
        let mut session = Session::bash();
        session.line("echo open one", "PROMPT> ");
        // The prompt tells that it is `read` that has switched the echo off, and no longer the shell.
        let command = "read -rsp 'Two: ' x; read -rs y; echo ${#x} and ${#y}";
        session.terminal.send(format!("{command}\r"));
        session.terminal.wait_for("\r\n");
        session.asked("Two: ");
        session.terminal.send(format!("{SECRET}\r{SECRET}\r"));
        session.terminal.wait_for("10 and 10");
        session.terminal.wait_for("PROMPT> ");
        session.line("echo open two", "PROMPT> ");
        session.check(&["echo open one\r", command, "echo open two\r"], 1)
    });
}

#[test]
fn a_passphrase_for_a_key() {
    tried(|| {
        if !there("ssh-keygen") {
            return Ok(());
        }
        let mut session = Session::bash();
        let key = session.sandbox.path("key");
        let line = format!("ssh-keygen -q -t ed25519 -f {}\r", key.display());
        session.terminal.send(&line);
        for prompt in ["no passphrase): ", "again: "] {
            session.asked(prompt);
            session.type_unseen(SECRET);
            session.terminal.send("\r");
        }
        session.terminal.wait_for("PROMPT> ");
        assert!(key.exists());
        session.check(&[&line], 2)
    });
}

#[test]
fn a_passphrase_for_age() {
    tried(|| {
        if !there("age") {
            return Ok(());
        }
        let mut session = Session::bash();
        let command = "echo x | age -p -o /dev/null";
        session.terminal.send(format!("{command}\r"));
        for prompt in ["Enter passphrase", "Confirm passphrase"] {
            session.asked(prompt);
            session.type_unseen(SECRET);
            session.terminal.send("\r");
        }
        session.terminal.wait_for("PROMPT> ");
        session.check(&[command], 2)
    });
}

#[test]
fn a_password_for_openssl() {
    asked("openssl passwd -1 -noverify | cut -c1-3", "Password: ", "$1$");
}

#[test]
fn a_password_box_of_whiptail() {
    if there("whiptail") {
        boxed("whiptail --passwordbox Word 10 40 2>/dev/null; clear; echo taken", "Word");
    }
}

#[test]
fn a_password_box_of_dialog() {
    if there("dialog") {
        boxed("dialog --passwordbox Word 10 40 2>/dev/null; clear; echo taken", "Word");
        boxed("dialog --insecure --passwordbox Word 10 40 2>/dev/null; clear; echo taken", "Word");
    }
}

#[track_caller]
fn boxed(command: &str, prompt: &str) {
    tried(|| boxed_once(command, prompt));
}

#[track_caller]
fn boxed_once(command: &str, prompt: &str) -> Tried {
    let mut session = Session::bash();
    session.terminal.echoed(format!("{command}\r"), "taken\r\n");
    session.terminal.wait_for(prompt);
    session.terminal.wait_for("ancel");
    session.type_unseen(SECRET);
    session.terminal.send("\r");
    session.terminal.wait_for("taken");
    session.terminal.wait_for("PROMPT> ");
    session.line("echo open two", "PROMPT> ");
    session.check(&[command, "echo open two\r"], 1)
}

#[test]
fn su_to_another_user() {
    tried(|| {
        // As root su asks nothing: ask as somebody else, from inside.
        if !support::is_root() || !there("setpriv") {
            return Ok(());
        }
        let mut session = Session::bash();
        let su = "setpriv --reuid 65534 --clear-groups su root -c id\r";
        session.terminal.send(su);
        session.asked("Password: ");
        session.type_unseen(SECRET);
        session.terminal.send("\r");
        session.terminal.wait_for("Authentication failure");
        session.terminal.wait_for("PROMPT> ");
        session.line("echo open two", "PROMPT> ");
        session.check(&[su, "echo open two\r"], 1)
    });
}

/// ssh to this host, with a key; the far side has a terminal of its own and ours is raw all the time.
#[test]
fn a_secret_typed_through_ssh() {
    tried(|| {
        let mut session = Session::bash();
        let Some((_server, line)) = of_this_host(&session.sandbox.path("")) else { return Ok(()) };
        let ssh = format!("{line} bash --norc -i\r");
        session.terminal.send(&ssh);
        session.terminal.wait_for("# ");
        let prompt = "PS1='FAR'; PS1=\"$PS1> \"";
        session.line(prompt, "FAR> ");
        session.type_slowly("echo open far");
        session.line("", "open far\r\n");
        session.terminal.wait_for("FAR> ");
        let read = "read -rsp Word: x; echo; echo ${#x} letters";
        session.line(read, "\r\n");
        session.terminal.wait_for("Word:");
        session.type_unseen(SECRET);
        session.line("", "10 letters");
        session.terminal.wait_for("FAR> ");
        let su = "setpriv --reuid 65534 --clear-groups su root -c id";
        session.line(su, "Password: ");
        session.type_unseen(SECRET);
        session.line("", "failure");
        session.terminal.wait_for("FAR> ");
        session.line("exit", "PROMPT> ");
        session.check(&[&ssh, prompt, "echo open far\r", read, su], 2)
    });
}

#[test]
fn a_password_for_ssh_itself() {
    tried(|| {
        let mut session = Session::bash();
        let Some((_server, line)) = of_this_host(&session.sandbox.path("")) else { return Ok(()) };
        let line = line.replace("-i ", "-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -i ");
        session.terminal.send(format!("{line}\r"));
        session.asked("password: ");
        session.type_unseen(SECRET);
        session.line("", "PROMPT> ");
        session.line("echo open two", "PROMPT> ");
        session.check(&[&line, "echo open two\r"], 1)
    });
}

#[test]
fn what_is_typed_in_the_open_is_recorded() {
    let prompt = "function fish_prompt; echo -n 'PROMPT> '; end";
    let fish = ["fish", "--no-config", "-C", prompt];
    for shell in [&["bash", "--norc", "-i"][..], &["zsh", "-f"], &fish, &["dash", "-i"]] {
        if !there(shell[0]) {
            continue;
        }
        tried(|| {
            let mut session = Session::start(shell);
            // fish asks the terminal who it is; nobody answers, and it goes on.
            session.terminal.wait_for("PROMPT> ");
            for line in ["echo one two three", "ls -la /etc/hostname"] {
                session.type_slowly(line);
                session.line("", "\r\n");
                session.terminal.wait_for(line.split(' ').next_back().unwrap());
                session.terminal.wait_for("PROMPT> ");
            }
            session.check_open(&["echo one two three\r", "ls -la /etc/hostname\r"])
        });
    }
}

#[test]
fn text_typed_into_an_editor_and_a_search_are_recorded() {
    tried(|| {
        if !there("vim") {
            return Ok(());
        }
        let mut session = Session::bash();
        let file = session.sandbox.path("text");
        session.line(&format!("vim -u NONE -N {}", file.display()), "[New]");
        session.terminal.echoed("i", "-- INSERT --");
        session.type_slowly("some words typed into a file");
        // The row of the mode is cleared. (And `:` is drawn there: alone, for who is late draws it with what comes next.)
        session.terminal.echoed("\x1b", "\x1b[24;1H\x1b[K");
        session.terminal.echoed(":", ":");
        session.type_slowly("wq");
        session.line("", "PROMPT> ");
        session.line("seq 1 500 | less", ":");
        session.terminal.echoed("/", "/");
        session.type_slowly("321");
        session.line("", "321");
        session.terminal.send("q");
        session.terminal.wait_for("PROMPT> ");
        session.check(&["some words typed into a file", ":wq\r", "/321\r"], 0)
    });
}
