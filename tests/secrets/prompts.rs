//! The prompts of programs that people really meet: gpg with each of its ways to ask, passwd, sudo, doas,
//! systemd-ask-password; and full-screen programs whose commands and searches are typed in the open.

use crate::support::host::{Host, ROOT_PASSWORD, SEALCAST, has};
use crate::support::sandbox::{Sandbox, events_of};
use crate::support::terminal::Terminal;
use crate::support::tried::Tried;
use crate::support::{state, until};
use crate::{SECRET, Session, asked, check, there, tried};
use std::time::Duration;

/// Waits until a program of that home waits itself, for a key: a box is drawn to its end before its reader is ready, which the
/// terminal's settings do not tell.
#[track_caller]
fn until_it_reads(sandbox: &Sandbox, name: &str) {
    let home = format!("\0HOME={}\0", sandbox.path("home").display());
    until("the program that asks to wait for a key", || {
        let of = |pid: &u32| {
            let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let environment = [b"\0", environment.as_slice()].concat();
            comm.trim() == name && memchr::memmem::find(&environment, home.as_bytes()).is_some()
        };
        let all = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut states = all.filter(of).filter_map(state).filter(|state| *state != 'Z').peekable();
        (states.peek().is_some() && states.all(|state| state == 'S')).then_some(())
    });
}

/// Starts the agent of that home: gpg itself waits no more than some seconds for it.
#[track_caller]
fn with_an_agent(sandbox: &Sandbox) {
    until("an agent of gpg", || {
        let launched = sandbox.command("gpgconf").args(["--launch", "gpg-agent"]).status().unwrap();
        launched.success().then_some(())
    });
}

/// gpg, which asks through an agent; `pinentry` is the program that does it, none: gpg itself.
#[track_caller]
fn gpg(pinentry: Option<&str>, prompts: &[&str]) {
    if there("gpg") && pinentry.is_none_or(there) {
        tried(|| gpg_once(pinentry, prompts));
    }
}

#[track_caller]
fn gpg_once(pinentry: Option<&str>, prompts: &[&str]) -> Tried {
    let mut session = Session::bash();
    let home = session.sandbox.path("home/.gnupg");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    if let Some(pinentry) = pinentry {
        let line = format!("pinentry-program /usr/bin/{pinentry}\n");
        std::fs::write(home.join("gpg-agent.conf"), line).unwrap();
    }
    with_an_agent(&session.sandbox);
    session.line("export GPG_TTY=$(tty)", "PROMPT> ");
    let loopback = if pinentry.is_none() { " --pinentry-mode loopback" } else { "" };
    let command = format!("echo open one | gpg -q{loopback} --symmetric -o sealed; clear; echo taken $?");
    session.terminal.echoed(format!("{command}\r"), "taken $?\r\n");
    for prompt in prompts {
        session.asked(prompt);
        until_it_reads(&session.sandbox, pinentry.unwrap_or("gpg"));
        session.type_unseen(SECRET);
        session.terminal.send("\r");
    }
    session.terminal.wait_for("taken 0");
    session.terminal.wait_for("PROMPT> ");
    let _ = session.sandbox.command("gpgconf").args(["--kill", "gpg-agent"]).status();
    assert!(session.sandbox.path("sealed").exists());
    let times = u32::try_from(prompts.len()).unwrap();
    session.check(&["export GPG_TTY=$(tty)\r", &command], times)
}

#[test]
fn a_passphrase_for_gpg_on_a_plain_terminal() {
    gpg(Some("pinentry-tty"), &["Passphrase: ", "Repeat: "]);
}

#[test]
fn a_passphrase_for_gpg_in_a_box() {
    gpg(Some("pinentry-curses"), &["<Cancel>", "<Cancel>"]);
}

#[test]
fn a_passphrase_for_gpg_without_an_agent() {
    gpg(None, &["Enter passphrase: "]);
}

#[test]
fn a_passphrase_for_gpg_that_was_told_the_name_of_the_terminal_outside() {
    if !there("gpg") || !there("pinentry-curses") {
        return;
    }
    let sandbox = Sandbox::new();
    let home = sandbox.path("home/.gnupg");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(home.join("gpg-agent.conf"), "pinentry-program /usr/bin/pinentry-curses\n").unwrap();
    with_an_agent(&sandbox);
    let open = sandbox.file("open", "open one\n");
    let mut terminal = sandbox.shell();
    terminal.line("export GPG_TTY=$(tty)", "OUTER> ");
    let gpg = format!("gpg -q --symmetric -o sealed {}; clear; echo taken $?", open.display());
    terminal.send(format!("{} sh -c '{gpg}'\r", sandbox.wrapper_line()));
    for _ in 0..2 {
        terminal.wait_for("<Cancel>");
        until_it_reads(&sandbox, "pinentry-curses");
        for key in SECRET.chars() {
            terminal.send(key.to_string());
            terminal.read_through(Duration::from_millis(30));
        }
        terminal.send("\r");
    }
    terminal.wait_for("taken 0");
    terminal.wait_for("OUTER> ");
    let _ = sandbox.command("gpgconf").args(["--kill", "gpg-agent"]).status();
    assert!(sandbox.path("sealed").exists());
    let input = String::from_utf8(sandbox.recorded_input()).unwrap();
    assert_eq!(input.replace('\r', ""), "", "{}", sandbox.everything());
}

#[test]
fn systemd_asks_with_stars_and_without() {
    if there("systemd-ask-password") {
        asked("systemd-ask-password Word: | wc -c", "Word:", "11\r\n");
        asked("systemd-ask-password --echo=no Word: | wc -c", "Word:", "11\r\n");
    }
}

/// A session of root on a host of its own, in which bob has a password and is asked for it.
struct Bob {
    host: Host,
    terminal: Terminal,
}

/// His password before `passwd`.
const OLD: &str = "Wp4-nHt8sYc2";
/// What bob is run with.
const AS_BOB: &str = "setpriv --reuid bob --regid bob --init-groups";

impl Bob {
    fn start(rules: &str) -> Option<Self> {
        let host = Host::start()?;
        let script = format!("set -e; echo 'bob:{OLD}' | chpasswd\n{rules}");
        let ran = host.run("root", &["sh", "-c", &script]);
        assert!(ran.status.success(), "{ran:?}");
        let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "bash", "--norc", "-i"]);
        terminal.wait_for("# ");
        let mut bob = Self { host, terminal };
        bob.line("PS1='IN'; PS1=\"$PS1> \"", "IN> ");
        Some(bob)
    }

    #[track_caller]
    fn line(&mut self, line: &str, text: &str) {
        self.terminal.line(line, text);
    }

    /// Waits for a prompt that shows no keys and types a secret.
    #[track_caller]
    fn answer(&mut self, prompt: &str, secret: &str) {
        self.terminal.wait_for(prompt);
        crate::until_no_echo(&self.terminal);
        for key in secret.chars() {
            self.terminal.send_unseen(key.to_string());
            self.terminal.read_through(Duration::from_millis(30));
        }
        self.terminal.send("\r");
    }

    #[track_caller]
    fn check(mut self, secrets: &[&str], open: &[&str], least: u32) -> Tried {
        self.terminal.send("exit\r");
        self.terminal.wait_end();
        let last = self.host.last_id();
        let told = |words: &[&str]| {
            let words = [&[SEALCAST], words, &["-i", "/etc/sealcast/identity", &last]].concat();
            String::from_utf8(self.host.run("root", &words).stdout).unwrap()
        };
        let events = told(&["export", "-f", "json"]);
        let everything =
            [events.clone(), told(&["export", "-f", "commands"]), told(&["show", "--json"])].join("\n");
        let open = [&["PS1='IN'; PS1=\"$PS1> \"\r"], open].concat();
        check(&events_of(&events), secrets, &open, least, &everything, self.terminal.late())
    }
}

#[test]
fn passwd_asks_three_times() {
    tried(|| {
        if !has("passwd") {
            return Ok(());
        }
        let Some(mut bob) = Bob::start("") else { return Ok(()) };
        let passwd = format!("{AS_BOB} passwd");
        bob.terminal.send(format!("{passwd}\r"));
        bob.answer("Current password: ", OLD);
        bob.answer("New password: ", SECRET);
        bob.answer("Retype new password: ", SECRET);
        bob.terminal.wait_for("updated successfully");
        bob.terminal.wait_for("IN> ");
        bob.line("echo open two", "IN> ");
        bob.check(&[OLD, SECRET], &[&passwd, "echo open two\r"], 3)
    });
}

#[test]
fn sudo_asks_for_a_password_with_stars_and_without() {
    if !has("sudo") {
        return;
    }
    for feedback in ["!pwfeedback", "pwfeedback"] {
        tried(|| {
            let rules = format!(
                "printf 'Defaults:bob {feedback}, lecture=never\\nbob ALL=(root) /usr/bin/id\\n' >/etc/sudoers.d/bob; chmod 440 /etc/sudoers.d/bob"
            );
            let Some(mut bob) = Bob::start(&rules) else { return Ok(()) };
            let sudo = format!("{AS_BOB} sudo -k id");
            bob.terminal.send(format!("{sudo}\r"));
            // Once wrong, once right.
            bob.answer("password for bob: ", SECRET);
            bob.answer("password for bob: ", OLD);
            bob.terminal.wait_for("uid=0(root)");
            bob.terminal.wait_for("IN> ");
            bob.line("echo open two", "IN> ");
            bob.check(&[OLD, SECRET], &[&sudo, "echo open two\r"], 2)
        });
    }
}

#[test]
fn doas_asks_for_a_password() {
    tried(|| {
        if !has("doas") {
            return Ok(());
        }
        let rules = "echo 'permit bob as root cmd id' >>/etc/doas.conf";
        let Some(mut bob) = Bob::start(rules) else { return Ok(()) };
        let doas = format!("{AS_BOB} doas id");
        bob.terminal.send(format!("{doas}\r"));
        bob.answer("password: ", OLD);
        bob.terminal.wait_for("uid=0(root)");
        bob.terminal.wait_for("IN> ");
        bob.line("echo open two", "IN> ");
        bob.check(&[OLD], &[&doas, "echo open two\r"], 1)
    });
}

#[test]
fn su_asks_for_roots_password() {
    tried(|| {
        let Some(mut bob) = Bob::start("") else { return Ok(()) };
        let su = format!("{AS_BOB} su root -c id");
        bob.terminal.send(format!("{su}\r"));
        bob.answer("Password: ", ROOT_PASSWORD);
        bob.terminal.wait_for("uid=0(root)");
        bob.terminal.wait_for("IN> ");
        bob.line("echo open two", "IN> ");
        bob.check(&[ROOT_PASSWORD], &[&su, "echo open two\r"], 1)
    });
}

#[test]
fn a_filter_typed_into_top_and_a_search_in_htop_are_recorded() {
    tried(|| {
        let mut session = Session::bash();
        let mut open = Vec::new();
        if there("top") {
            session.line("top -d 60", "PID USER");
            session.terminal.send("o");
            session.terminal.wait_for("FLD?VAL");
            // It writes the whole line again at every key.
            session.type_slowly("COMMAND=a-program-of-that-name");
            session.line("", "PID USER");
            session.terminal.send("q");
            session.terminal.wait_for("PROMPT> ");
            open.extend(["top -d 60\r", "COMMAND=a-program-of-that-name\r"]);
        }
        if there("htop") {
            // One process alone: others of the host might be found.
            session.line("htop -d 100 -p $$", "Quit");
            session.terminal.send("/");
            session.terminal.wait_for("Cancel");
            // Until all is drawn, and the key that shows nothing is no longer waited for.
            while session.terminal.read_for(Duration::from_secs(1)) {}
            // Nothing has that: the screen behind it is not drawn again, which would be other text without end.
            session.type_slowly("~of-that-name");
            session.line("", "Quit");
            session.terminal.send("q");
            session.terminal.wait_for("PROMPT> ");
            open.extend(["htop -d 100 -p $$\r", "~of-that-name\r"]);
        }
        session.check(&open, 0)
    });
}

#[test]
fn a_secret_asked_for_inside_tmux_is_withheld() {
    tried(|| {
        if !there("tmux") {
            return Ok(());
        }
        let mut session = Session::bash();
        let socket = session.sandbox.path("tmux");
        // The prompt inside must not be found in the line that starts it.
        let tmux =
            format!("tmux -f /dev/null -S {} new \"PS1='INNER''> ' bash --norc -i\"", socket.display());
        session.line(&tmux, "INNER> ");
        session.type_slowly("echo open one");
        session.line("", "open one");
        session.terminal.wait_for("INNER> ");
        let read = "read -rsp W''ord: x; echo; echo ${#x} letters";
        // What tmux draws, and how often, is its own affair.
        session.terminal.line(read, "Word:");
        session.type_unseen(SECRET);
        session.line("", "10 letters");
        session.terminal.line("exit", "[exited]");
        session.terminal.wait_for("PROMPT> ");
        session.check(&[&tmux, "echo open one\r", read], 1)
    });
}

#[test]
fn a_pin_in_a_form_of_dialog_is_withheld_behind_a_name_that_is_shown() {
    if !there("dialog") {
        return;
    }
    for stars in ["", "--insecure "] {
        let form = "--mixedform Login 12 60 4 Name 1 1 '' 1 10 30 0 0 PIN 2 1 '' 2 10 30 0 1";
        let command = format!("dialog {stars}{form} 2>/dev/null; clear; echo taken");
        let (name, pin) = ("alice@example.com", "ZqKj");
        tried(|| {
            let mut session = Session::bash();
            session.terminal.send(format!("{command}\r"));
            session.terminal.wait_for("taken\r\n");
            session.terminal.wait_for("ancel");
            until_it_reads(&session.sandbox, "dialog");
            session.type_slowly(name);
            session.terminal.send("\x1bOB");
            session.type_unseen(pin);
            session.terminal.send("\r");
            session.terminal.wait_for("taken");
            session.terminal.wait_for("PROMPT> ");
            session.line("echo open two", "PROMPT> ");
            session.terminal.send("exit\r");
            session.terminal.wait_end();
            let open = [&command, name, "\x1bOB", "echo open two\r"];
            let late = session.terminal.late();
            check(&session.sandbox.events(), &[pin], &open, 1, &session.sandbox.everything(), late)
        });
    }
}
