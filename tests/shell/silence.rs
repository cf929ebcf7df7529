//! What is listed when a shell stops to tell what it runs, or tells a part: by a setting, by accident, or on purpose.

use crate::entries::{PROMPT, Step, find, run};
use crate::pty::{Session, Setup};
use sealcast::cast::{Command, Trust};
use sealcast::shell::marks::Mark;

fn texts(session: &Session) -> Vec<&str> {
    let mut commands: Vec<&Command> = session.commands.iter().collect();
    commands.sort_by_key(|command| command.start);
    commands.into_iter().map(|command| command.text.as_str()).collect()
}

fn silenced(session: &Session) -> bool {
    session.commands.iter().any(|command| command.notices().any(|flag| flag.starts_with("marks-ended")))
}

#[test]
fn a_bash_that_cannot_tell_what_starts_is_read_from_the_screen_and_the_kernel() {
    for (name, rc) in [
        ("exported", "export PS0=''\n"),
        ("readonly", "readonly PS0\n"),
        ("not expanded", "shopt -u promptvars\n"),
    ] {
        let rc = format!("PS1='@@ '\n{rc}");
        let setup = Setup { shell: "bash", files: &[(".bashrc", &rc)], traced: true, ..Setup::default() };
        let steps: &[Step] =
            &[("/bin/true one", PROMPT), ("cd /usr", PROMPT), ("(exit 3)", PROMPT), ("", PROMPT)];
        let Some(session) = run(setup, steps) else { return };
        let all = ["/bin/true one", "cd /usr", "(exit 3)", "exit 7"];
        assert_eq!(texts(&session), all, "{name}\n{}", session.transcript());
        assert_eq!(find(&session, "(exit 3)").exit, Some(3), "{name}\n{}", session.transcript());
        let one = find(&session, "/bin/true one");
        assert_eq!((one.trust, one.execs.len()), (Trust::Inferred, 1), "{name}: {one:?}");
        assert!(silenced(&session), "{name}: {:?}\n{}", session.commands, session.transcript());
    }
}

#[test]
fn what_a_shell_is_told_to_forget_hides_no_command_that_follows() {
    let (bash, zsh) = ("PS1='@@ '\n", "PS1='@@ '; unsetopt prompt_sp\n");
    let fish = "function fish_prompt; echo -n '@@ '; end\nset fish_greeting\nfunction fish_title; end\n";
    for (shell, file, rc, line, tells) in [
        ("bash", ".bashrc", bash, "export PS0=", false),
        ("bash", ".bashrc", bash, "__sealcast_pre() { :; }", false),
        ("bash", ".bashrc", bash, "readonly t c n s p v", true),
        ("zsh", ".zshrc", zsh, "preexec_functions=()", true),
        ("zsh", ".zshrc", zsh, "unset preexec_functions", true),
        ("fish", ".config/fish/config.fish", fish, "functions -e __sealcast_preexec", false),
    ] {
        let setup = Setup { shell, files: &[(file, rc)], traced: true, ..Setup::default() };
        let steps: &[Step] =
            &[("true", PROMPT), (line, PROMPT), ("/bin/true one", PROMPT), ("/bin/true two", PROMPT)];
        let Some(session) = run(setup, steps) else { continue };
        let all = ["true", line, "/bin/true one", "/bin/true two", "exit 7"];
        assert_eq!(texts(&session), all, "{shell}: {line}\n{}", session.transcript());
        for text in ["/bin/true one", "/bin/true two"] {
            let command = find(&session, text);
            let trust = if tells { Trust::Told } else { Trust::Inferred };
            assert_eq!((command.trust, command.execs.len()), (trust, 1), "{shell}: {line}: {command:?}");
        }
        assert_eq!(silenced(&session), !tells, "{shell}: {line}: {:?}", session.commands);
    }
}

#[test]
fn each_command_is_one_entry_with_its_status_though_the_prompt_command_is_gone() {
    for line in ["unset PROMPT_COMMAND", "PROMPT_COMMAND=()"] {
        let files = [(".bashrc", "PS1='@@ '\n")];
        let steps: &[Step] = &[(line, PROMPT), ("false", PROMPT), ("(exit 4)", PROMPT), ("", PROMPT)];
        let Some(session) = run(Setup { shell: "bash", files: &files, ..Setup::default() }, steps) else {
            return;
        };
        assert_eq!(texts(&session), [line, "false", "(exit 4)", "exit 7"], "{}", session.transcript());
        let exits = ["false", "(exit 4)"].map(|text| find(&session, text).exit);
        assert_eq!(exits, [Some(1), Some(4)], "{}", session.transcript());
    }
}

#[test]
fn a_dash_with_a_prompt_of_its_own_is_read_on_from_the_screen() {
    let setup = Setup {
        shell: "dash",
        files: &[(".shrc", "PS1='@@ '\n")],
        env: &[("ENV", "~/.shrc")],
        traced: true,
        ..Setup::default()
    };
    let steps: &[Step] = &[("PS1=off'$ '", "off$ "), ("/bin/true one", "off$ "), ("false", "off$ ")];
    let Some(session) = run(setup, steps) else { return };
    assert_eq!(
        texts(&session),
        ["PS1=off'$ '", "/bin/true one", "false", "exit 7"],
        "{}",
        session.transcript()
    );
    let prompt = find(&session, "PS1=off'$ '");
    assert_eq!((prompt.exit, prompt.execs.len()), (None, 0), "{prompt:?}");
    assert!(silenced(&session), "{:?}", session.commands);
    assert_eq!(find(&session, "/bin/true one").execs.len(), 1);
}

/// `set -a` left on by a start-up file exports whatever is defined after it.
#[test]
fn no_child_is_given_the_nonce_though_everything_is_exported() {
    let shrc = &[("ENV", "~/.shrc")][..];
    for (shell, file, rc, env) in [
        ("bash", ".bashrc", "PS1='@@ '; export -n PS1; set -a\n", &[][..]),
        ("zsh", ".zshenv", "setopt allexport\n", &[]),
        ("dash", ".shrc", "PS1='@@ '; set -a\n", shrc),
        ("ash", ".shrc", "PS1='@@ '; set -a\n", shrc),
        ("mksh", ".shrc", "PS1='@@ '; set -a\n", shrc),
    ] {
        let files = [(file, rc), (".zshrc", "PS1='@@ '; typeset +x PS1; unsetopt prompt_sp\n")];
        let setup = Setup { shell, files: &files, env, ..Setup::default() };
        let steps: &[Step] = &[
            ("true", PROMPT),
            ("echo \"n=$(env | grep -c -e 5c5c5c5c -e __sealcast_).\"", PROMPT),
            ("later=1; echo \"m=$(env | grep -c ^later=).\"", PROMPT),
        ];
        let Some(session) = run(setup, steps) else { continue };
        let shown = String::from_utf8_lossy(&session.visible).into_owned();
        assert!(shown.contains("n=0."), "{shell}: a child has them\n{}", session.transcript());
        assert!(shown.contains("m=1."), "{shell}: what it was told to do\n{}", session.transcript());
        let told = |mark: &&&Mark| matches!(mark, Mark::End { .. });
        assert!(session.marks().iter().filter(told).count() > 2, "{shell}: it tells nothing");
    }
}
