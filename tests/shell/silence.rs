//! What is listed when a shell stops to tell what it runs, or tells a part: by a setting, by accident, or on purpose.

use crate::entries::{PROMPT, Step, find, in_order, run, run_at};
use crate::pty::{Session, Setup};
use sealcast::cast::Trust;
use sealcast::shell::marks::Mark;

fn texts(session: &Session) -> Vec<&str> {
    in_order(session).into_iter().map(|command| command.text.as_str()).collect()
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
        ("bash", ".bashrc", bash, "unset PS0 PROMPT_COMMAND", false),
        ("bash", ".bashrc", bash, "unset -f __sealcast_pre __sealcast_cmd __sealcast_mend", false),
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

/// None of these lines is in the history, and their statuses are alike: the count of commands tells of them.
#[test]
fn each_line_is_an_entry_where_the_prompt_of_bash_alone_tells() {
    let files = [(".bashrc", "PS1='@@ '; HISTCONTROL=ignorespace\n")];
    let lines = ["unset PS0 PROMPT_COMMAND", " (exit 1)", " kill -0 0 || false", " (exit 1) "];
    let steps: Vec<Step> = lines.iter().flat_map(|line| [(*line, PROMPT), ("", PROMPT)]).collect();
    let setup = Setup { shell: "bash", files: &files, ..Setup::default() };
    let Some(session) = run(setup, &steps) else { return };
    let texts: Vec<&str> = texts(&session).into_iter().map(str::trim).collect();
    let all: Vec<&str> = lines.iter().map(|line| line.trim()).chain(["exit 7"]).collect();
    assert_eq!(texts, all, "{}", session.transcript());
    assert!(silenced(&session), "{:?}", session.commands);
}

/// As the `activate` of a Python environment does.
#[test]
fn a_prompt_that_is_exported_later_tells_no_child_the_nonce_nor_a_childs_prompt_as_ours() {
    let files = [(".bashrc", "PS1='@@ '\n")];
    const SIGN: &str = "@@ x# ";
    let exports = "PS1=${PS1/@@ /@@ 'x'# }; export PS1";
    let both = format!("{exports}; bash --norc");
    let inside: &[Step] = &[("/bin/true in", SIGN), ("exit", SIGN), ("/bin/true out", SIGN)];
    for start in [&[(exports, SIGN), ("bash --norc", SIGN)][..], &[(both.as_str(), SIGN)]] {
        let setup = Setup { shell: "bash", files: &files, traced: true, ..Setup::default() };
        let count = [("echo n=$(env | grep -c 5c5c5c5c).", "n=0.\r\n")];
        let steps = [start, inside, &count].concat();
        let Some(session) = run(setup, &steps) else { return };
        let all: Vec<&str> = steps.iter().map(|(text, _)| *text).chain(["exit 7"]).collect();
        assert_eq!(texts(&session), all, "{}", session.transcript());
        let known = ["/bin/true in", "exit", "/bin/true out"].map(|text| find(&session, text).trust);
        assert_eq!(known, [Trust::Inferred, Trust::Inferred, Trust::Told], "{}", session.transcript());
        assert!(!silenced(&session), "{:?}", session.commands);
    }
}

#[test]
fn a_line_is_one_entry_in_a_bash_that_tells_what_starts_and_no_more_what_ends() {
    let files = [(".bashrc", "PS1='@@ '\n")];
    let steps: &[Step] = &[
        ("unset PROMPT_COMMAND; PS1=off'$ '", "off$ "),
        ("/bin/true one", "off$ "),
        ("false", "off$ "),
        ("false", "off$ "),
    ];
    let setup = Setup { shell: "bash", files: &files, traced: true, ..Setup::default() };
    let Some(session) = run(setup, steps) else { return };
    let all: Vec<&str> = steps.iter().map(|(text, _)| *text).chain(["exit 7"]).collect();
    assert_eq!(texts(&session), all, "{}", session.transcript());
    assert_eq!(find(&session, "/bin/true one").execs.len(), 1, "{:?}", session.commands);
    assert!(session.commands.iter().all(|command| command.trust == Trust::Told), "{:?}", session.commands);
    assert!(silenced(&session), "{:?}", session.commands);
}

/// What is shown behind our mark was taken for typed.
#[test]
fn what_is_added_to_the_prompt_of_bash_belongs_to_it() {
    let files = [(".bashrc", "PS1='@@ '; HISTCONTROL=ignorespace\n")];
    let steps: &[Step] = &[("PS1=${PS1}he'y> '", "hey> "), (" echo sp", "hey> ")];
    let setup = Setup { shell: "bash", files: &files, ..Setup::default() };
    let Some(session) = run(setup, steps) else { return };
    let texts: Vec<&str> = texts(&session).into_iter().map(str::trim).collect();
    assert_eq!(texts, [steps[0].0, "echo sp", "exit 7"], "{}", session.transcript());
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

/// As the default theme of oh-my-zsh has it. What a recorder tells of keys has to do.
#[test]
fn enter_alone_is_no_line_of_a_zsh_whose_prompt_goes_on_behind_its_sign() {
    for sign in ["\u{279c}", ">"] {
        for (line, tells) in [("true", true), ("typeset -ar preexec_functions=()", false)] {
            let rc = format!("PROMPT='{sign}  %~ '; RPROMPT='right'; unsetopt prompt_sp\n");
            let files = [(".zshrc", rc.as_str())];
            let setup = Setup { shell: "zsh", files: &files, unseen: true, ..Setup::default() };
            // The last of a prompt, with what stands on the right: its editor reads a line.
            let at = "\x1b[?2004h";
            let enter: Step = ("", at);
            let steps: &[Step] = &[
                enter,
                enter,
                (line, at),
                enter,
                ("given up\x03", at),
                // What was rubbed out is none either.
                ("ls\x15", at),
                enter,
                ("kill -0 $$", at),
                enter,
                ("kill -0 1", at),
            ];
            let Some(session) = run_at(at, setup, steps) else { return };
            let exit = "exit 7";
            assert_eq!(texts(&session), [line, "kill -0 $$", "kill -0 1", exit], "{}", session.transcript());
            assert_eq!(silenced(&session), !tells, "{sign} {line}: {:?}", session.commands);
        }
    }
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
