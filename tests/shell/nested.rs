//! Shells inside the recorded shell, which tell nothing: what they are given is inferred, with its programs as far as they
//! run below the session.

use crate::entries::{PROMPT, Step, find, in_order, run};
use crate::pty::{Session, Setup};
use crate::support::skipped;
use crate::support::sshd::of_this_host;
use sealcast::cast::{Command as Told, Source, Trust};
use std::process::{Command, Stdio};

const FILES: &[(&str, &str)] = &[(".bashrc", "PS1='@@ '\n")];

/// The prompt of a bash without start-up files.
fn inner() -> String {
    let version = Command::new("bash").arg("-c").arg("echo ${BASH_VERSION%.*}").output().unwrap().stdout;
    format!("bash-{}# ", String::from_utf8(version).unwrap().trim())
}

fn works(words: &[&str]) -> bool {
    let status = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    let works = status.is_ok_and(|output| output.status.success());
    if !works {
        skipped(&format!("`{}` does not work here", words.join(" ")));
    }
    works
}

fn ran(command: &Told) -> Vec<String> {
    command.execs.iter().map(|e| e.argv.join(" ")).collect()
}

/// Leaves the shell inside, at its prompt, and the one around it.
fn leave(session: &mut Session, inner: &str) {
    for prompt in [inner, PROMPT] {
        session.expect(prompt);
        session.quiet();
        session.type_in("exit 7\r");
    }
    assert_eq!(session.end().1, Some(7), "{}", session.transcript());
}

/// A bash that `outer` starts, and a command in it.
fn nested(outer: &str) -> Option<Session> {
    let inner = inner();
    let steps: &[Step] =
        &[(outer, &inner), ("/bin/uname -s", &inner), ("exit", PROMPT), ("/bin/true after", PROMPT)];
    let setup = Setup { shell: "bash", files: FILES, traced: true, ..Setup::default() };
    let session = run(setup, steps)?;
    // Not the flags: the start-up files of this host's root may run anything.
    let commands = in_order(&session);
    let seen: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.source, c.trust)).collect();
    let (told, inferred) = ((Source::Shell, Trust::Told), (Source::Screen, Trust::Inferred));
    assert_eq!(
        seen,
        [
            (outer, told.0, told.1),
            ("/bin/uname -s", inferred.0, inferred.1),
            ("exit", inferred.0, inferred.1),
            ("/bin/true after", told.0, told.1),
            ("exit 7", told.0, told.1),
        ],
        "{}",
        session.transcript()
    );
    assert_eq!(ran(find(&session, "/bin/true after")), ["/bin/true after"]);
    Some(session)
}

#[test]
fn a_shell_of_su_is_inferred_with_its_programs() {
    if works(&["su", "root", "-c", "true"])
        && let Some(session) = nested("su root --session-command='bash --norc -i'")
    {
        assert_eq!(ran(find(&session, "/bin/uname -s")), ["/bin/uname -s"]);
    }
}

#[test]
fn a_shell_of_sudo_is_inferred_with_its_programs() {
    if works(&["sudo", "-n", "true"])
        && let Some(session) = nested("sudo -i bash --norc -i")
    {
        assert_eq!(ran(find(&session, "/bin/uname -s")), ["/bin/uname -s"]);
    }
}

/// What is found by ^R stands behind no prompt when Enter comes.
#[test]
fn a_line_recalled_by_a_search_in_a_shell_inside_has_an_entry_and_its_programs() {
    let setup = Setup { shell: "bash", files: FILES, traced: true, unseen: true, ..Setup::default() };
    let Some(mut session) = Session::start(&setup) else { return };
    let inner = inner();
    session.expect(PROMPT);
    for (line, then) in [("bash --norc -i", &*inner), ("/bin/uname -s", &*inner), ("/bin/true", &*inner)] {
        session.editing();
        session.quiet();
        session.type_in(&format!("{line}\r"));
        session.expect(then);
    }
    session.quiet();
    session.type_in("\x12unam");
    session.expect("(reverse-i-search)");
    session.quiet();
    session.type_in("\r");
    session.expect("Linux\r\n");
    leave(&mut session, &inner);
    let commands = in_order(&session);
    let seen: Vec<_> = commands.iter().map(|c| c.text.as_str()).collect();
    let lines = ["bash --norc -i", "/bin/uname -s", "/bin/true", "/bin/uname -s", "exit 7", "exit 7"];
    assert_eq!(seen, lines, "{}", session.transcript());
    assert_eq!(ran(commands[3]), ["/bin/uname -s"]);
    assert_eq!(ran(commands[2]), ["/bin/true"]);
}

/// Each of them is drawn once it is read, and uses up what was known of it before that.
#[test]
fn of_lines_that_are_pasted_at_once_into_a_shell_inside_none_is_missing() {
    let lines =
        ["/bin/ls -d / /bin /etc", "A=1", "cd /", "/bin/echo one", "B=2", "echo two", "/bin/true last"];
    for shell in ["bash --norc -i", "zsh -f -i"] {
        if !works(&[shell.split(' ').next().unwrap(), "-c", "true"]) {
            continue;
        }
        let setup = Setup { shell: "bash", files: FILES, unseen: true, ..Setup::default() };
        let Some(mut session) = Session::start(&setup) else { return };
        session.expect(PROMPT);
        session.editing();
        session.quiet();
        session.type_in(&format!("PS1='in # ' {shell}\r"));
        session.expect("in # ");
        session.quiet();
        session.type_in(&format!("{}\r", lines.join("\r")));
        session.expect("/bin/true last");
        leave(&mut session, "in # ");
        let commands = in_order(&session);
        let seen: Vec<_> = commands.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(seen[1..seen.len() - 2], lines, "{shell}: {}", session.transcript());
    }
}

/// zsh shows that a line was not finished, and begins another for its prompt without a newline.
#[test]
fn a_line_below_output_without_a_newline_is_read_without_what_stands_above_it() {
    if !works(&["zsh", "-c", "true"]) {
        return;
    }
    let (zsh, inner) = ("PROMPT='in%# ' zsh -f", "in# ");
    let steps: &[Step] = &[
        (zsh, inner),
        ("printf 'no newline'", inner),
        ("/bin/true here", inner),
        ("exit", PROMPT),
        ("/bin/true after", PROMPT),
    ];
    let setup = Setup { shell: "bash", files: FILES, unseen: true, ..Setup::default() };
    let Some(session) = run(setup, steps) else { return };
    let commands = in_order(&session);
    let seen: Vec<_> = commands.iter().map(|c| c.text.as_str()).collect();
    let lines = [zsh, "printf 'no newline'", "/bin/true here", "exit", "/bin/true after", "exit 7"];
    assert_eq!(seen, lines, "{}", session.transcript());
}

#[test]
fn a_shell_behind_ssh_is_inferred_and_its_programs_are_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let Some((_server, ssh)) = of_this_host(dir.path()) else { return };
    if !works(&["sh", "-c", &format!("{ssh} true")]) {
        return;
    }
    let Some(session) = nested(&format!("{ssh} bash --norc -i")) else { return };
    assert_eq!(ran(find(&session, "/bin/uname -s")), [""; 0]);
}

/// Its lines are not inferred: tmux draws them itself, and leaves none with a line feed.
#[test]
fn programs_of_a_shell_in_tmux_are_seen() {
    if !works(&["tmux", "-V"]) {
        return;
    }
    let name = format!("sealcast-{}", std::process::id());
    let outer = format!("tmux -L {name} -f /dev/null new bash --norc -i");
    let inner = inner();
    let steps: &[Step] =
        &[(&outer, &inner), ("/bin/uname -s", "Linux"), ("exit", PROMPT), ("/bin/true after", PROMPT)];
    let setup = Setup { shell: "bash", files: FILES, traced: true, ..Setup::default() };
    let Some(session) = run(setup, steps) else { return };
    let all: Vec<String> = session.commands.iter().flat_map(ran).collect();
    assert!(all.contains(&"/bin/uname -s".to_string()), "{all:?}\n{}", session.transcript());
    assert_eq!(ran(find(&session, "/bin/true after")), ["/bin/true after"]);
}
