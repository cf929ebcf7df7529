//! What the shell says, what the screen had and what the kernel ran, together; and what is left when one of them is
//! silent or lies.

use crate::entries::{PROMPT, Step, check, find, run};
use crate::pty::{Session, Setup};
use sealcast::cast::Command;

const RC: &str = "PS1='@@ '; alias ll='ls -d'; HISTCONTROL=\n";

fn bash(traced: bool, more: &[(&str, &str)], steps: &[Step]) -> Option<Session> {
    let mut files = vec![(".bashrc", RC)];
    files.extend_from_slice(more);
    run(Setup { shell: "bash", files: &files, traced, ..Setup::default() }, steps)
}

fn ran(command: &Command) -> Vec<String> {
    command.execs.iter().map(|e| e.argv.join(" ")).collect()
}

#[test]
fn commands_carry_the_programs_that_ran_for_them() {
    // It runs its program well within the last command, which lets it go on and waits for it.
    const JOB: &str = "{ read x <~/go; /bin/echo late; echo >~/there; } >/dev/null &";
    const LAST: &str = "sleep 1; echo >~/go; until [ -e ~/there ]; do sleep 0.1; done";
    let script = "#!/bin/sh\nid -u >/dev/null\n/bin/true in script\n";
    let steps: &[Step] = &[
        ("ll /", PROMPT),
        ("echo aWQgLWcK | base64 -d | sh", PROMPT),
        ("sh ./x.sh", PROMPT),
        ("cd /usr", PROMPT),
        ("/bin/false", PROMPT),
        ("mkfifo ~/go", PROMPT),
        (JOB, PROMPT),
        ("sleep 0.5", PROMPT),
        (LAST, PROMPT),
    ];
    let Some(session) = bash(true, &[("x.sh", script)], steps) else { return };
    check(
        &session,
        &[
            "told 0 \"ll /\" (alias: `ll` is an alias or a function; it ran `ls -d /`)",
            "told 0 \"echo aWQgLWcK | base64 -d | sh\" [0 0 0] (piped: sh read its commands from a pipe; it ran 1 program: id)",
            "told 0 \"sh ./x.sh\" (script: ./x.sh ran 2 programs: id, true)",
            "told 0 \"cd /usr\"",
            "told 1 \"/bin/false\"",
            "told 0 \"mkfifo ~/go\"",
            &format!("told 0 \"{JOB}\""),
            "told 0 \"sleep 0.5\"",
            &format!("told 0 \"{LAST}\""),
            &format!("exec - \"/bin/echo late\" (background: of `{JOB}`)"),
            "told 7 \"exit 7\"",
        ],
    );
    assert_eq!(ran(find(&session, "sh ./x.sh")), ["sh ./x.sh", "id -u", "/bin/true in script"]);
    let failed = find(&session, "/bin/false");
    assert_eq!(
        (failed.execs.len(), failed.execs[0].exit, failed.execs[0].cwd.as_str()),
        (1, Some(1), "/usr")
    );
    let late = find(&session, "/bin/echo late");
    assert_eq!(ran(late), ["/bin/echo late"]);
    let waited = find(&session, LAST);
    assert!(waited.execs[0].end.unwrap() - waited.execs[0].time >= 900, "{waited:?}");
}

#[test]
fn what_a_prompt_runs_makes_no_entry_of_its_own() {
    let hooks = [
        ("bash", ".bashrc", "PS1='@@ '; PROMPT_COMMAND='/bin/true prompt'\n"),
        ("zsh", ".zshrc", "PS1='@@ '; hook() { /bin/true prompt }; precmd_functions+=(hook)\n"),
    ];
    for (shell, file, rc) in hooks {
        let setup = Setup { shell, files: &[(file, rc)], traced: true, ..Setup::default() };
        let steps: &[Step] = &[("/bin/true one", PROMPT), ("", PROMPT), ("/bin/true two", PROMPT)];
        let Some(session) = run(setup, steps) else { continue };
        let texts: Vec<&str> = session.commands.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(texts, ["/bin/true one", "/bin/true two", "exit 7"], "{}", session.transcript());
        // Older versions of bash have no clock: there the first one can be counted to the command.
        let most = if session.clocks.is_empty() { 2 } else { 1 };
        for text in ["/bin/true one", "/bin/true two"] {
            assert_eq!(ran(find(&session, text))[0], text);
            assert!(find(&session, text).execs.len() <= most, "{shell}: {:?}", find(&session, text));
        }
    }
}

/// The next line is typed while a command runs that has more programs to start.
#[test]
fn programs_belong_to_the_command_that_runs_and_not_to_the_line_that_waits() {
    for (shell, file) in [("bash", ".bashrc"), ("zsh", ".zshrc")] {
        let files = [(file, "PS1='@@ '\n")];
        let setup = Setup { shell, files: &files, traced: true, ..Setup::default() };
        let Some(mut session) = Session::start(&setup) else { continue };
        session.expect(PROMPT);
        session.editing();
        session.quiet();
        session.type_in("/bin/echo b''egun; /bin/sleep 0.6; /bin/true one\r");
        session.expect("begun\r\n");
        session.type_in("/bin/echo two; exit 7\r");
        assert_eq!(session.end().1, Some(7), "{}", session.transcript());
        let ran_for = |text: &str| {
            let found = session.commands.iter().find(|c| c.text.contains(text));
            found.map(ran).unwrap_or_else(|| panic!("{shell}: no `{text}`\n{}", session.transcript()))
        };
        assert_eq!(ran_for("one"), ["/bin/echo begun", "/bin/sleep 0.6", "/bin/true one"], "{shell}");
        assert_eq!(ran_for("two"), ["/bin/echo two"], "{shell}");
    }
}

#[test]
fn commands_of_a_shell_inside_the_shell_are_inferred_and_carry_their_programs() {
    let inner = "bash-5.2# ";
    let version = std::process::Command::new("bash").arg("-c").arg("echo ${BASH_VERSION%.*}").output();
    let inner =
        version.map_or(inner.into(), |v| format!("bash-{}# ", String::from_utf8_lossy(&v.stdout).trim()));
    let steps: &[Step] = &[
        ("bash --norc", &inner),
        ("/bin/uname -s", &inner),
        ("echo Password: ; read x", "Password:\r\n"),
        ("secret answer", &inner),
        ("exit", PROMPT),
        ("/bin/true after", PROMPT),
    ];
    let Some(session) = bash(true, &[], steps) else { return };
    check(
        &session,
        &[
            "told 0 \"bash --norc\"",
            "seen - \"/bin/uname -s\"",
            "seen - \"echo Password: ; read x\"",
            "seen - \"exit\"",
            "told 0 \"/bin/true after\"",
            "told 7 \"exit 7\"",
        ],
    );
    assert_eq!(ran(find(&session, "/bin/uname -s")), ["/bin/uname -s"]);
    assert_eq!(ran(find(&session, "bash --norc")), ["bash --norc"]);
}

#[test]
fn a_shell_that_is_replaced_is_seen_as_the_end_of_the_marks() {
    let steps: &[Step] = &[("exec bash --norc", "# "), ("/bin/uname -s", "# ")];
    let Some(session) = bash(true, &[], steps) else { return };
    let texts: Vec<&str> = session.commands.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(texts, ["exec bash --norc", "/bin/uname -s", "exit 7"], "{}", session.transcript());
    let replaced = &session.commands[0].flags;
    assert!(
        replaced.len() == 1 && replaced[0].starts_with("replaced: the shell became /usr/bin/"),
        "{replaced:?}"
    );
    assert_eq!(ran(&session.commands[1]), ["/bin/uname -s"]);
}

#[test]
fn an_integration_that_is_switched_off_leaves_a_note_and_the_kernels_word() {
    let steps: &[Step] = &[
        ("/bin/true before", PROMPT),
        ("unset PROMPT_COMMAND PS0; PS1=off'$ '", "off$ "),
        ("/bin/uname -s", "off$ "),
        ("/bin/true hidden", "off$ "),
    ];
    let Some(session) = bash(true, &[], steps) else { return };
    check(
        &session,
        &[
            "told 0 \"/bin/true before\"",
            "told - \"unset PROMPT_COMMAND PS0; PS1=off'$ '\" (marks-ended: the shell goes on, but no longer tells what it runs)",
            "seen - \"/bin/uname -s\"",
            "seen - \"/bin/true hidden\"",
            "seen - \"exit 7\"",
        ],
    );
    assert_eq!(ran(find(&session, "/bin/true hidden")), ["/bin/true hidden"]);
}

#[test]
fn overwriting_the_prompt_command_alone_does_not_silence_the_shell() {
    let steps: &[Step] = &[
        ("PROMPT_COMMAND=", PROMPT),
        ("PS1='@@ '; PS0=", PROMPT),
        ("(exit 4)", PROMPT),
        ("PROMPT_COMMAND=true", PROMPT),
        ("(exit 5)", PROMPT),
    ];
    let Some(session) = bash(false, &[], steps) else { return };
    check(
        &session,
        &[
            "told 0 \"PROMPT_COMMAND=\"",
            "told 0 \"PS1='@@ '; PS0=\"",
            "told 4 \"(exit 4)\"",
            "told 0 \"PROMPT_COMMAND=true\"",
            "told 5 \"(exit 5)\"",
            "told 7 \"exit 7\"",
        ],
    );
}

#[test]
fn marks_in_the_output_of_a_program_create_nothing() {
    let forged = [
        "\x1b]7717;00000000000000000000000000000000;C;1;1;6;q;rm\\ -rf\x07",
        "\x1b]7717;00000000000000000000000000000000;D;0;0\x07",
        "\x1b]133;C;cmdline_url=rm\x07forged\x1b]133;D;0\x07",
        "\x1b]633;E;rm -rf /;x\x07\x1b]633;C\x07\x1b]633;D;0\x07",
    ]
    .concat();
    let overlong = format!("\x1b]7717;{}", "5c".repeat(20_000));
    let files = [("hostile", forged.as_str()), ("long", overlong.as_str())];
    let Some(session) = bash(false, &files, &[("cat hostile; echo", PROMPT), ("cat long; echo", PROMPT)])
    else {
        return;
    };
    let flag = "(forged-mark: the output held a mark with a wrong nonce)";
    check(
        &session,
        &[
            &format!("told 0 \"cat hostile; echo\" {flag}"),
            &format!("told 0 \"cat long; echo\" {flag}"),
            "told 7 \"exit 7\"",
        ],
    );
    for content in [forged.as_bytes(), overlong.as_bytes()] {
        assert!(memchr::memmem::find(&session.visible, content).is_some(), "every byte passes");
    }
}

#[test]
fn a_mark_with_the_right_nonce_that_is_broken_stays_in_the_output() {
    let mark = format!("\x1b]7717;{};C;1;1;9;q;ls\nrm\x07", "5c".repeat(16));
    let Some(session) =
        bash(false, &[("hostile", &mark)], &[("stty -onlcr; cat hostile; stty onlcr", PROMPT)])
    else {
        return;
    };
    let flags: Vec<&String> = session.commands.iter().flat_map(|c| &c.flags).collect();
    assert_eq!(
        flags,
        ["broken-mark: the output held a mark that is broken or too long"],
        "{}",
        session.transcript()
    );
    assert!(memchr::memmem::find(&session.visible, mark.as_bytes()).is_some());
}

#[test]
fn the_command_that_ends_a_strict_shell_has_its_status() {
    let files = [(".bashrc", RC)];
    let mut session = Session::start(&Setup { shell: "bash", files: &files, ..Setup::default() }).unwrap();
    for line in ["set -e", "(exit 9)"] {
        session.expect(PROMPT);
        session.editing();
        session.type_in(line);
        session.type_in("\r");
    }
    assert_eq!(session.end().1, Some(9), "{}", session.transcript());
    check(&session, &["told 0 \"set -e\"", "told 9 \"(exit 9)\""]);
}

#[test]
fn a_shell_without_integration_is_read_from_the_screen_and_the_kernel() {
    let setup = Setup {
        shell: "bash",
        files: &[(".bashrc", "PS1='box$ '\n")],
        bare: true,
        traced: true,
        ..Setup::default()
    };
    let Some(mut session) = Session::start(&setup) else { return };
    for line in ["/bin/uname -s", "", "true | /bin/cat > /dev/null", "exit 7"] {
        session.expect("box$ ");
        session.editing();
        session.quiet();
        session.type_in(line);
        session.type_in("\r");
    }
    assert_eq!(session.end().1, Some(7), "{}", session.transcript());
    check(
        &session,
        &["seen - \"/bin/uname -s\"", "seen - \"true | /bin/cat > /dev/null\"", "seen - \"exit 7\""],
    );
    assert_eq!(ran(find(&session, "/bin/uname -s")), ["/bin/uname -s"]);
    assert_eq!(ran(find(&session, "true | /bin/cat > /dev/null")), ["/bin/cat"]);
}

/// bash-preexec (fixtures/bash-preexec) has the user's hooks in lists of its own, and sets the DEBUG trap.
#[test]
fn where_the_user_has_bash_preexec_ours_is_one_more_of_its_hooks() {
    let rc = "PS1='@@ '; HISTCONTROL=; . ~/bash-preexec.sh\n\
        precmd_functions+=(mine); mine() { echo precmd $?; }\n\
        preexec_functions+=(theirs); theirs() { echo \"preexec $1\"; }\n";
    let files =
        [(".bashrc", rc), ("bash-preexec.sh", include_str!("../../fixtures/bash-preexec/bash-preexec.sh"))];
    let steps: &[Step] = &[
        ("(exit 3)", PROMPT),
        ("", PROMPT),
        ("true | false | (exit 4)", PROMPT),
        ("for i in 1 2; do /bin/true $i; done", PROMPT),
        ("cd /usr", PROMPT),
    ];
    for traced in [false, true] {
        let setup = Setup { shell: "bash", files: &files, traced, ..Setup::default() };
        let Some(session) = run(setup, steps) else { continue };
        check(
            &session,
            &[
                "told 3 \"(exit 3)\"",
                "told 4 \"true | false | (exit 4)\" [0 1 4]",
                "told 0 \"for i in 1 2; do /bin/true $i; done\"",
                "told 0 \"cd /usr\"",
                "told 7 \"exit 7\"",
            ],
        );
        let by = session.marks().into_iter().find_map(|mark| match mark {
            sealcast::shell::marks::Mark::Integration { shell, .. } => Some(shell.clone()),
            _ => None,
        });
        assert_eq!(by.as_deref(), Some("bash-preexec"));
        for said in ["precmd 3\r\n", "precmd 4\r\n", "preexec cd /usr\r\n"] {
            assert!(
                memchr::memmem::find(&session.visible, said.as_bytes()).is_some(),
                "{said}: {}",
                session.transcript()
            );
        }
        if traced {
            let looped = find(&session, "for i in 1 2; do /bin/true $i; done");
            assert_eq!(ran(looped), ["/bin/true 1", "/bin/true 2"]);
        }
    }
}
