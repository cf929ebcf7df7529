//! The session's own shell, which tells of its commands: what is typed unseen is neither among them, nor in what they are made of.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::tried::Tried;
use crate::support::until;
use crate::{SECRET, Session, below, check, there, tried};
use sealcast::cast::Payload;
use sealcast::sys::pipe::unread;
use serde_json::Value;

/// The start-up file of each shell, which sets the prompt.
fn start(shell: &str) -> Option<Session> {
    if !there(shell) {
        return None;
    }
    let sandbox = Sandbox::new();
    for dir in ["home/.config", "home/.config/fish"] {
        std::fs::create_dir(sandbox.path(dir)).unwrap();
    }
    let (file, content) = match shell {
        "bash" => ("home/.bashrc", "PS1='PROMPT> '\n"),
        "zsh" => ("home/.zshrc", "PS1='PROMPT> '\n"),
        "fish" => (
            "home/.config/fish/config.fish",
            "function fish_prompt; echo -n 'PROMPT> '; end\nset fish_greeting\nfunction fish_title; end\n",
        ),
        _ => ("home/.shrc", "PS1='PROMPT> '\n"),
    };
    sandbox.file(file, content);
    let mut command = sandbox.wrapped(&[shell]);
    command.env_remove("PS1").env("ENV", sandbox.path("home/.shrc"));
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("PROMPT> ");
    let mut session = Session { sandbox, terminal };
    session.terminal.line("echo open one", "open one\r\n");
    session.terminal.wait_for("PROMPT> ");
    Some(session)
}

/// What the shell runs while something is typed ahead that nobody sees.
const WAIT: &str = "sh -c 'stty -echo; printf G%s O; until test -e done; do sleep 0.05; done'";

impl Session {
    /// Starts `command` behind [`WAIT`], types `ahead`, and lets it go on.
    fn type_ahead(&mut self, command: &str, ahead: &str) {
        self.terminal.send(format!("{WAIT}; {command}\r"));
        self.terminal.wait_for("GO");
        self.type_unseen(ahead);
        self.terminal.send("\r");
        let tty = below(&self.terminal);
        until("what is typed ahead to wait inside", || {
            (unread(&tty).unwrap() == ahead.len() + 1).then_some(())
        });
        self.sandbox.file("done", "");
    }

    /// Ends the shell, checks that the secret is nowhere and that these lines in the open are there, and gives the commands: the
    /// text, who told it, and the flags.
    fn end(mut self, open: &[&str], least: u32) -> Tried<Vec<String>> {
        self.terminal.send("exit\r");
        self.terminal.wait_end();
        let everything = self.sandbox.everything();
        // What was typed in the open is a command with a text only if its echo came in time.
        let open: Vec<String> =
            ["echo open one"].iter().chain(open).map(|line| format!("{line}\r")).collect();
        let open: Vec<&str> = open.iter().map(String::as_str).collect();
        let all = check(&self.sandbox.events(), &[SECRET], &open, 0, &everything, self.terminal.late());
        let withheld = self.sandbox.events().into_iter().map(|event| match event.payload {
            Payload::Withheld(count) => count,
            _ => 0,
        });
        assert!(withheld.sum::<u32>() >= least, "{everything}");
        let lines = everything.lines().filter(|line| !line.is_empty());
        let commands = lines.filter_map(|line| {
            let command: Value = serde_json::from_str(line).unwrap();
            let flags = command["flags"].as_array().cloned().unwrap_or_default();
            let flags = flags.iter().filter_map(|flag| flag.as_str()?.split(':').next()).collect::<Vec<_>>();
            // The start of the shell itself, which the kernel saw.
            if flags.contains(&"no-command") {
                return None;
            }
            Some(format!("{} {} {flags:?}", command["source"].as_str()?, command["text"].as_str()?))
        });
        let commands = commands.collect();
        all.map(|()| commands)
    }
}

/// Ends a session of bash in which lines were typed while nothing was shown, this in front of most of them, at a prompt and ahead of one.
fn typed_unseen(mut session: Session, blank: &str) -> Tried<Vec<String>> {
    session.terminal.line("stty -echo", "PROMPT> ");
    for unseen in [&format!("{blank}export TOKEN={SECRET}"), &format!("{blank}stty echo")] {
        session.type_unseen(unseen);
        session.terminal.line("", "PROMPT> ");
    }
    session.terminal.line("echo ${#TOKEN} letters", "10 letters");
    session.terminal.wait_for("PROMPT> ");
    session.type_ahead("true", &format!("{blank}export AHEAD={SECRET}\rexport MORE={SECRET}"));
    for _ in 0..3 {
        session.terminal.wait_for("PROMPT> ");
    }
    session.terminal.line("stty echo", "PROMPT> ");
    session.terminal.line("echo ${#AHEAD} ahead ${#MORE}", "10 ahead 10");
    session.terminal.wait_for("PROMPT> ");
    let line = format!("{WAIT}; true");
    let open = ["stty -echo", "echo ${#TOKEN} letters", &line, "echo ${#AHEAD} ahead ${#MORE}", "exit"];
    session.end(&open, 5)
}

#[test]
fn a_command_that_bash_runs_unseen_is_an_entry_without_a_text() {
    tried(bash_runs_unseen);
}

fn bash_runs_unseen() -> Tried {
    let Some(session) = start("bash") else { return Ok(()) };
    let commands = typed_unseen(session, "")?;
    let texts: Vec<&str> = commands.iter().map(|c| c.rsplit_once(" [").unwrap().0).collect();
    let wait = format!("shell {WAIT}; true");
    let expected = [
        "shell echo open one",
        "shell stty -echo",
        "shell [withheld]",
        "shell [withheld]",
        "shell echo ${#TOKEN} letters",
        &wait,
        "shell [withheld]",
        "shell [withheld]",
        "shell [withheld]",
        "shell echo ${#AHEAD} ahead ${#MORE}",
        "shell exit",
    ];
    assert_eq!(texts, expected, "{commands:#?}");
    let unseen = |c: &&String| c.contains("[withheld]");
    assert!(commands.iter().filter(unseen).all(|c| c.contains("\"withheld\"")), "{commands:#?}");
    Ok(())
}

#[test]
fn lines_that_the_history_of_bash_leaves_out_are_nowhere_if_nobody_saw_them() {
    tried(bash_leaves_out);
}

fn bash_leaves_out() -> Tried {
    let Some(mut session) = start("bash") else { return Ok(()) };
    session.terminal.line("HISTCONTROL=ignorespace", "PROMPT> ");
    let commands = typed_unseen(session, " ")?;
    let withheld = commands.iter().filter(|command| command.starts_with("shell [withheld] ")).count();
    assert!(withheld >= 4, "{commands:#?}");
    Ok(())
}

#[test]
fn a_line_that_dash_reads_unseen_is_nowhere() {
    tried(dash_reads_unseen);
}

fn dash_reads_unseen() -> Tried {
    let Some(mut session) = start("dash") else { return Ok(()) };
    session.terminal.line("stty -echo", "PROMPT> ");
    session.type_unseen(&format!("TOKEN={SECRET}"));
    session.terminal.line("", "PROMPT> ");
    session.terminal.line("stty echo", "PROMPT> ");
    session.terminal.line("echo ${#TOKEN} letters", "10 letters");
    session.terminal.wait_for("PROMPT> ");
    session.type_ahead("true", &format!("AHEAD={SECRET}"));
    for _ in 0..2 {
        session.terminal.wait_for("PROMPT> ");
    }
    session.terminal.line("stty echo", "PROMPT> ");
    session.terminal.line("echo ${#AHEAD} ahead", "10 ahead");
    session.terminal.wait_for("PROMPT> ");
    session.end(&[], 4).map(drop)
}

#[test]
fn a_line_that_is_changed_in_the_vi_mode_of_a_shell_keeps_its_text() {
    for (shell, mode) in [("bash", "set -o vi"), ("zsh", "bindkey -v")] {
        tried(|| changed_in_vi_mode(shell, mode));
    }
}

fn changed_in_vi_mode(shell: &str, mode: &str) -> Tried {
    let Some(mut session) = start(shell) else { return Ok(()) };
    session.terminal.line(mode, "PROMPT> ");
    for (line, keys, told) in
        [("echo opem two", "Fmrn", "open two\r\n"), ("echo oen three", "Foap", "open three\r\n")]
    {
        session.terminal.echoed(line, line);
        session.terminal.send("\x1b");
        // An Escape that a letter follows at once is Alt and that letter, to the shell.
        session.terminal.read_for(std::time::Duration::from_secs(1));
        session.type_unseen(keys);
        session.terminal.line("", told);
        session.terminal.wait_for("PROMPT> ");
    }
    let commands = session.end(&[mode], 2)?;
    for line in ["echo open two", "echo open three"] {
        let text = format!("shell {line} ");
        assert!(commands.iter().any(|command| command.starts_with(&text)), "{commands:#?}");
    }
    Ok(())
}

/// In the shell itself, at once and typed ahead.
#[track_caller]
fn reads(shell: &str, read: &str, length: impl Fn(&str) -> String) {
    tried(|| reads_once(shell, read, &length));
}

#[track_caller]
fn reads_once(shell: &str, read: &str, length: impl Fn(&str) -> String) -> Tried {
    let Some(mut session) = start(shell) else { return Ok(()) };
    session.terminal.send(format!("{}\r", read.replace("NAME", "asked")));
    // Not the prompt in the line itself.
    session.asked("Word: ");
    session.type_unseen(SECRET);
    session.terminal.line("", "PROMPT> ");
    session.terminal.line(&length("asked"), "10\r\n");
    session.terminal.wait_for("PROMPT> ");
    session.type_ahead(&read.replace("NAME", "ahead"), SECRET);
    session.terminal.wait_for("PROMPT> ");
    session.terminal.line(&length("ahead"), "10\r\n");
    session.terminal.wait_for("PROMPT> ");
    let read = read.replace("NAME", "asked");
    let commands = session.end(&[&read], 2)?;
    let read = format!("shell {read}");
    assert!(commands.iter().any(|command| command.starts_with(&read)), "{commands:#?}");
    Ok(())
}

#[test]
fn what_the_sessions_own_bash_reads_is_nowhere() {
    reads("bash", "read -rsp 'Wo''rd: ' NAME", |name| format!("echo ${{#{name}}}"));
}

#[test]
fn what_the_sessions_own_zsh_reads_is_nowhere() {
    reads("zsh", "read -rs 'NAME?Wo''rd: '", |name| format!("echo ${{#{name}}}"));
}

#[test]
fn what_the_sessions_own_fish_reads_is_nowhere() {
    reads("fish", "read -s -P 'Wo''rd: ' NAME", |name| format!("string length ${name}"));
}
