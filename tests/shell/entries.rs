//! Scripts of real interaction, and exactly the entries that come of them.

use crate::pty::{Session, Setup};
use sealcast::cast::{Command, Source, Trust};
use sealcast::shell::marks::Mark;
use std::os::unix::fs::MetadataExt as _;

pub(crate) const PROMPT: &str = "@@ ";
const MORE: &str = "> ";

/// What is typed, and what is waited for after it. Enter is added unless the text ends in a control key.
pub(crate) type Step<'a> = (&'a str, &'a str);

/// Types everything and ends with `exit 7`.
pub(crate) fn run(setup: Setup, steps: &[Step]) -> Option<Session> {
    run_at(PROMPT, setup, steps)
}

/// The same at another prompt.
pub(crate) fn run_at(prompt: &str, setup: Setup, steps: &[Step]) -> Option<Session> {
    let mut session = Session::start(&setup)?;
    session.expect(prompt);
    let mut before = prompt;
    for (text, then) in steps {
        // What is not typed at a prompt is for a program that runs.
        if std::mem::replace(&mut before, then).ends_with(' ') {
            session.editing();
        }
        // Where times are compared, nobody types within the millisecond.
        if setup.traced {
            session.quiet();
        }
        if let Some(line) = text.strip_suffix('\x03').filter(|line| !line.is_empty()) {
            // An interrupt throws away what is on its way: the line has to be there first.
            session.type_in(line);
            session.expect(line.rsplit(' ').next().unwrap());
            session.quiet();
            session.type_in("\x03");
        } else if text.ends_with(['\x03', '\x04']) {
            session.type_in(text);
        } else {
            // At once: what is typed ahead is shown before the command ends that it waits for.
            session.type_in(&format!("{text}\r"));
        }
        session.expect(then);
    }
    session.editing();
    if setup.traced {
        session.quiet();
    }
    session.type_in("exit 7\r");
    assert_eq!(session.end().1, Some(7), "{}", session.transcript());
    Some(session)
}

/// An entry in one line: how it is known, its text, its status, the pipeline, its flags.
fn shown(command: &Command) -> String {
    let by = match (command.source, command.trust) {
        (Source::Shell, Trust::Told) => "told",
        (Source::Screen, Trust::Inferred) => "seen",
        (Source::Hint, Trust::Untrusted) => "hint",
        (Source::Exec, Trust::Witnessed) => "exec",
        other => panic!("{other:?}: {command:?}"),
    };
    let exit = command.exit.map_or("-".into(), |exit| exit.to_string());
    let pipe: Vec<String> = command.pipe.iter().map(ToString::to_string).collect();
    let mut line = format!("{by} {exit} {:?}", command.text);
    if !pipe.is_empty() {
        line.push_str(&format!(" [{}]", pipe.join(" ")));
    }
    for flag in &command.flags {
        line.push_str(&format!(" ({flag})"));
    }
    line
}

/// In the order in which they began: they come as they settle, and a command that holds others settles after them.
pub(crate) fn in_order(session: &Session) -> Vec<&Command> {
    let mut commands: Vec<&Command> = session.commands.iter().collect();
    commands.sort_by_key(|command| command.start);
    commands
}

pub(crate) fn check(session: &Session, expected: &[&str]) {
    let entries: Vec<String> = in_order(session).into_iter().map(shown).collect();
    assert_eq!(entries, expected, "\n{}", session.transcript());
    for command in &session.commands {
        assert!(command.end.is_none_or(|end| end >= command.start), "{command:?}");
    }
}

pub(crate) fn find<'a>(session: &'a Session, text: &str) -> &'a Command {
    session
        .commands
        .iter()
        .find(|c| c.text == text)
        .unwrap_or_else(|| panic!("no `{text}`\n{}", session.transcript()))
}

const UNSTARTED: &str =
    "unstarted: the shell told no start of it: nothing ran, or it no longer tells what does";

const BASH: &[Step] = &[
    ("true", PROMPT),
    ("(exit 3)", PROMPT),
    ("", PROMPT),
    ("# a comment", PROMPT),
    ("true | false | (exit 4)", PROMPT),
    ("echo año 日本", PROMPT),
    ("echo 'a\x16\x01b'", PROMPT),
    ("for i in 1 2", MORE),
    ("do echo $i", MORE),
    ("done", PROMPT),
    ("cat <<E", MORE),
    ("hello  there", MORE),
    ("E", PROMPT),
    ("echo first", PROMPT),
    ("!!", PROMPT),
    (" echo hidden", PROMPT),
    ("fi", PROMPT),
    ("echo given up\x03", PROMPT),
    ("sh -c 'echo go; exec sleep 30'", "go\r\n"),
    ("\x03", PROMPT),
    ("sleep 1", PROMPT),
    ("sleep 0.01 &", PROMPT),
    ("cd /", PROMPT),
    ("pwd", PROMPT),
    ("nonexistent-command", PROMPT),
    ("set -e; true", PROMPT),
    ("set +e -u", PROMPT),
];

#[test]
fn entries_of_bash_are_what_was_run() {
    for rc in [
        "",
        "PROMPT_COMMAND='history -a; (exit 9)'\n",
        "PROMPT_COMMAND=('true' 'false')\n",
        "export PROMPT_COMMAND='(exit 9)'\n",
        "PS1='$(exit 3)@@ '\n",
        "PS1='$(exit 3)@@ '; export PROMPT_COMMAND='(exit 9)'\n",
        "p() { PS1=\"[$?] @@ \"; }; PROMPT_COMMAND=p\n",
        "readonly PROMPT_COMMAND='(exit 9)'\n",
        "PS0='started\\n'\n",
        "shopt -s histverify; shopt -u histverify; bind 'set enable-bracketed-paste off'\n",
        "trap 'x=1' DEBUG; set -T\n",
        "set -o vi\n",
    ] {
        let rc = format!("PS1='@@ '; HISTCONTROL=ignorespace\n{rc}");
        let files = [(".bashrc", rc.as_str())];
        // A failing hook and `set -e` end any bash.
        let strict = !rc.contains("exit 9") && !rc.contains("false");
        let steps: Vec<Step> =
            BASH.iter().filter(|step| strict || step.0 != "set -e; true").copied().collect();
        let Some(session) = run(Setup { shell: "bash", files: &files, ..Setup::default() }, &steps) else {
            return;
        };
        let pipe = if rc.contains("port PROMPT_COMMAND") || rc.contains("only PROMPT_COMMAND") {
            ""
        } else {
            " [0 1 4]"
        };
        let pipeline = format!("told 4 \"true | false | (exit 4)\"{pipe}");
        let unparsed = format!("seen 2 \"fi\" ({UNSTARTED})");
        let mut expected = vec![
            "told 0 \"true\"",
            "told 3 \"(exit 3)\"",
            &pipeline,
            "told 0 \"echo año 日本\"",
            "told 0 \"echo 'a\\u{1}b'\"",
            "told 0 \"for i in 1 2; do echo $i; done\"",
            "told 0 \"cat <<E\\nhello  there\\nE\"",
            "told 0 \"echo first\"",
            "told 0 \"echo first\" (expanded: typed as `!!`)",
            "seen 0 \" echo hidden\" (unlisted: the line was kept out of the shell's history)",
            &unparsed,
            "told 130 \"sh -c 'echo go; exec sleep 30'\"",
            "told 0 \"sleep 1\"",
            "told 0 \"sleep 0.01 &\"",
            "told 0 \"cd /\"",
            "told 0 \"pwd\"",
            "told 127 \"nonexistent-command\"",
            "told 0 \"set -e; true\"",
            "told 0 \"set +e -u\"",
            "told 7 \"exit 7\"",
        ];
        expected.retain(|line| strict || !line.contains("set -e; true"));
        check(&session, &expected);
        let slept = find(&session, "sleep 1");
        let took = slept.end.unwrap() - slept.start;
        assert!(took >= 100, "{took} ms");
        let home = session.home.path().join("home");
        assert_eq!(find(&session, "cd /").cwd.as_deref(), home.to_str());
        assert_eq!(find(&session, "pwd").cwd.as_deref(), Some("/"));
    }
}

#[test]
fn a_bash_whose_history_takes_every_line_by_itself_is_read_from_the_screen() {
    let files = [(".bashrc", "PS1='@@ '; shopt -u cmdhist\n")];
    let steps = [("for i in 1 2", MORE), ("do true $i", MORE), ("done", PROMPT), ("true", PROMPT)];
    let Some(session) = run(Setup { shell: "bash", files: &files, ..Setup::default() }, &steps) else {
        return;
    };
    check(
        &session,
        &[
            "seen 0 \"for i in 1 2\\ndo true $i\\ndone\" (last-line: the shell told only the last of several lines)",
            "told 0 \"true\"",
            "told 7 \"exit 7\"",
        ],
    );
}

#[test]
fn lines_that_bash_draws_twice_are_no_entry_of_several_lines() {
    for rc in ["shopt -s histverify", "shopt -u cmdhist"] {
        let rc = format!("PS1='@@ '; {rc}\n");
        let files = [(".bashrc", rc.as_str())];
        let setup = Setup { shell: "bash", files: &files, ..Setup::default() };
        let Some(mut session) = Session::start(&setup) else { return };
        session.expect(PROMPT);
        // Pasted; and what is shown with what it means, behind the same prompt, before Enter is pressed again.
        for (typed, then) in [
            ("\x1b[200~echo one\recho two\rfalse\x1b[201~", "false"),
            ("\r", PROMPT),
            ("true !!\r", PROMPT),
            ("\r", PROMPT),
        ] {
            session.editing();
            session.type_in(typed);
            session.expect(then);
        }
        session.editing();
        session.type_in("exit 7\r");
        assert_eq!(session.end().1, Some(7), "{}", session.transcript());
        let expanded = if rc.contains("histverify") { "" } else { " (expanded: typed as `true !!`)" };
        check(
            &session,
            &[
                // Of lines that were pasted at once, bash tells one end.
                "told - \"echo one\"",
                "told - \"echo two\"",
                "told 1 \"false\"",
                &format!("told 0 \"true false\"{expanded}"),
                "told 7 \"exit 7\"",
            ],
        );
    }
}

#[test]
fn a_bash_that_reads_on_what_its_history_leaves_out_gives_no_command_anothers_status() {
    let files = [(".bashrc", "PS1='@@ '; HISTCONTROL=ignoreboth\n")];
    let setup = Setup { shell: "bash", files: &files, ..Setup::default() };
    let Some(mut session) = Session::start(&setup) else { return };
    session.expect(PROMPT);
    for pasted in ["(exit 6)\r  true\r echo one''more", "(exit 4)\r  false | true\rfalse | echo one''more"] {
        session.editing();
        session.type_in(&format!("\x1b[200~{pasted}\x1b[201~"));
        session.expect("''more");
        session.type_in("\r");
        session.expect("onemore");
        session.expect(PROMPT);
    }
    session.editing();
    session.type_in("(exit 5)\r");
    session.expect(PROMPT);
    session.editing();
    session.type_in("\x1b[200~true\r exit 7\x1b[201~");
    session.expect("exit 7");
    session.type_in("\r");
    assert_eq!(session.end().1, Some(7), "{}", session.transcript());
    let read_on = "(read-on: further lines were read before the prompt came back: the status is not known, and programs may be theirs)";
    check(
        &session,
        &[
            &format!("told - \"(exit 6)\" {read_on}"),
            &format!("told - \"(exit 4)\" {read_on}"),
            "told 0 \"false | echo one''more\" [1 0]",
            "told 5 \"(exit 5)\"",
            &format!("told - \"true\" {read_on}"),
        ],
    );
}

#[test]
fn the_status_of_a_bash_is_its_own_whatever_runs_before_our_hooks() {
    let files = [(".bashrc", "PS1='@@ '\n")];
    let steps = [
        (r#"PROMPT_COMMAND="(exit 9); $PROMPT_COMMAND""#, PROMPT),
        (r#"PS1="\$(exit 3)$PS1"; false"#, PROMPT),
        ("(exit 4)", PROMPT),
        ("true", PROMPT),
        ("fi", PROMPT),
    ];
    let Some(session) = run(Setup { shell: "bash", files: &files, ..Setup::default() }, &steps) else {
        return;
    };
    let exits: Vec<_> = session.commands.iter().map(|command| command.exit).collect();
    assert_eq!(exits, [0, 1, 4, 0, 2, 7].map(Some), "{}", session.transcript());
}

#[test]
fn entries_of_zsh_are_what_was_run() {
    let steps: &[Step] = &[
        ("true", PROMPT),
        ("(exit 3)", PROMPT),
        ("", PROMPT),
        ("true | false | (exit 4)", PROMPT),
        ("echo año 日本", PROMPT),
        ("for i in 1 2", MORE),
        ("do echo $i", MORE),
        ("done", PROMPT),
        ("cat <<E", MORE),
        ("hello  there", MORE),
        ("E", PROMPT),
        ("echo first", PROMPT),
        ("!!", PROMPT),
        (" echo hidden", PROMPT),
        ("fi", PROMPT),
        ("echo given up\x03", PROMPT),
        ("sh -c 'echo go; exec sleep 30'", "go\r\n"),
        ("\x03", PROMPT),
        ("sleep 1", PROMPT),
        ("sleep 0.01 &!", PROMPT),
        ("cd /", PROMPT),
        ("pwd", PROMPT),
        ("alias ll=true", PROMPT),
        ("ll", PROMPT),
    ];
    for rc in [
        "",
        "precmd() { (exit 9) }; preexec() { true }\n",
        "precmd_functions=(true)\n",
        "setopt prompt_subst; RPROMPT='right'\n",
    ] {
        let rc = format!("PS1='@@ '; PS2='> '; setopt hist_ignore_space; unsetopt prompt_sp\n{rc}");
        let files = [(".zshrc", rc.as_str())];
        let Some(session) = run(Setup { shell: "zsh", files: &files, ..Setup::default() }, steps) else {
            return;
        };
        let right = if rc.contains("RPROMPT") { " right" } else { "" };
        let unparsed = format!("seen 1 \"fi\" ({UNSTARTED})");
        let repeated = format!("told 0 \"echo first\" (expanded: typed as `!!{right}`)");
        check(
            &session,
            &[
                "told 0 \"true\"",
                "told 3 \"(exit 3)\"",
                "told 4 \"true | false | (exit 4)\" [0 1 4]",
                "told 0 \"echo año 日本\"",
                "told 0 \"for i in 1 2\\ndo echo $i\\ndone\"",
                "told 0 \"cat <<E\\nhello  there\\nE\"",
                "told 0 \"echo first\"",
                &repeated,
                "told 0 \" echo hidden\"",
                &unparsed,
                "told 130 \"sh -c 'echo go; exec sleep 30'\"",
                "told 0 \"sleep 1\"",
                "told 0 \"sleep 0.01 &!\"",
                "told 0 \"cd /\"",
                "told 0 \"pwd\"",
                "told 0 \"alias ll=true\"",
                "told 0 \"ll\"",
                "told 7 \"exit 7\"",
            ],
        );
        assert_eq!(find(&session, "pwd").cwd.as_deref(), Some("/"));
    }
}

#[test]
fn entries_of_fish_are_what_was_run() {
    let config = "function fish_prompt; echo -n '@@ '; end\nset fish_greeting\nfunction fish_title; end\n";
    let files = [(".config/fish/config.fish", config)];
    let steps: &[Step] = &[
        ("true", PROMPT),
        ("false", PROMPT),
        ("", PROMPT),
        ("# a comment", PROMPT),
        ("true | false", PROMPT),
        ("echo año 日本 %41", PROMPT),
        ("begin\r echo one\r echo two\rend", PROMPT),
        ("echo given up\x03", PROMPT),
        ("sh -c 'echo go; exec sleep 30'", "go\r\n"),
        ("\x03", PROMPT),
        ("cd /", PROMPT),
        ("pwd", PROMPT),
    ];
    let Some(session) = run(Setup { shell: "fish", files: &files, ..Setup::default() }, steps) else {
        return;
    };
    check(
        &session,
        &[
            "told 0 \"true\"",
            "told 1 \"false\"",
            // To fish a comment is a command that does nothing.
            "told 1 \"# a comment\"",
            "told 1 \"true | false\" [0 1]",
            "told 0 \"echo año 日本 %41\"",
            "told 0 \"begin\\n echo one\\n echo two\\nend\"",
            "told 130 \"sh -c 'echo go; exec sleep 30'\"",
            "told 0 \"cd /\"",
            "told 0 \"pwd\"",
            "told 7 \"exit 7\"",
        ],
    );
    assert_eq!(find(&session, "pwd").cwd.as_deref(), Some("/"));
}

/// ksh93 and mksh have a file of their own where there is no ENV; and what ENV says is expanded.
#[test]
fn the_start_up_files_of_a_ksh_and_an_env_with_a_variable_are_read() {
    let named = &[("ENV", "$HOME/mine.${nothing-rc}")][..];
    for (shell, file, env) in [
        ("ksh93", ".kshrc", &[][..]),
        ("mksh", ".mkshrc", &[]),
        ("ksh93", "mine.rc", named),
        ("dash", "mine.rc", named),
        ("ash", "mine.rc", named),
    ] {
        let files = [(file, "PS1='@@ '; mine=theirs\n")];
        let setup = Setup { shell, files: &files, env, ..Setup::default() };
        let mut bare = None;
        for recorded in [false, true] {
            let Some(mut session) = Session::start(&Setup { bare: !recorded, ..setup.clone() }) else {
                continue;
            };
            session.expect(PROMPT);
            session.type_in("echo \"it is $mine, [$ENV]\"; exit 3\r");
            session.expect("it is theirs, [");
            let env = session.expect("]\r\n");
            assert_eq!(session.end().1, Some(3), "{shell}");
            let first = bare.get_or_insert_with(|| env.clone());
            assert_eq!(
                env.split(|c| *c == b'/').next_back(),
                first.split(|c| *c == b'/').next_back(),
                "{shell}"
            );
        }
    }
}

#[test]
fn an_env_that_is_no_name_does_not_silence_the_shell() {
    for (shell, env) in [("dash", "/x\\\"y"), ("ash", "`"), ("ksh93", "$("), ("dash", "${HOME")] {
        let setup = Setup { shell, env: &[("ENV", env)], ..Setup::default() };
        let Some(mut session) = Session::start(&setup) else { continue };
        session.wait("the integration", |s| {
            s.marks().iter().any(|mark| matches!(mark, Mark::Integration { .. }))
        });
        session.type_in("exit 3\r");
        assert_eq!(session.end().1, Some(3), "{shell}");
    }
}

#[test]
fn a_ksh_whose_prompt_nobody_has_set_has_its_own() {
    for shell in ["ksh93", "mksh", "dash"] {
        let Some(mut session) = Session::start(&Setup { shell, ..Setup::default() }) else { continue };
        session.expect(if std::fs::metadata("/proc/self").unwrap().uid() == 0 { "# " } else { "$ " });
        session.type_in("exit 3\r");
        assert_eq!(session.end().1, Some(3), "{shell}");
        assert!(session.marks().iter().any(|mark| matches!(mark, Mark::Prompt { .. })), "{shell}");
    }
}

#[test]
fn entries_of_posix_shells_are_inferred_from_the_screen() {
    // Not ksh93: what it shows of a line depends on when it is typed (one run in three differs in one entry).
    for shell in ["dash", "ash", "mksh"] {
        let files = [(".shrc", "PS1='@@ '\n")];
        let steps: &[Step] = &[
            ("true", PROMPT),
            ("(exit 3)", PROMPT),
            ("", PROMPT),
            ("# a comment", PROMPT),
            ("true | false", PROMPT),
            ("for i in 1 2", MORE),
            ("do echo $i", MORE),
            ("done", PROMPT),
            ("cat <<E", MORE),
            ("hello  there", MORE),
            ("E", PROMPT),
            ("echo given up\x03", PROMPT),
            ("sh -c 'echo go; exec sleep 30'", "go\r\n"),
            ("\x03", PROMPT),
            ("cd /", PROMPT),
            ("pwd", PROMPT),
        ];
        let setup = Setup { shell, files: &files, env: &[("ENV", "~/.shrc")], ..Setup::default() };
        let Some(session) = run(setup, steps) else { continue };
        check(
            &session,
            &[
                "seen 0 \"true\"",
                "seen 3 \"(exit 3)\"",
                "seen 1 \"true | false\"",
                "seen 0 \"for i in 1 2\\ndo echo $i\\ndone\"",
                "seen 0 \"cat <<E\\nhello  there\\nE\"",
                "seen 130 \"sh -c 'echo go; exec sleep 30'\"",
                "seen 0 \"cd /\"",
                "seen 0 \"pwd\"",
                "seen 7 \"exit 7\"",
            ],
        );
        assert_eq!(find(&session, "pwd").cwd.as_deref(), Some("/"), "{shell}");
    }
}

#[test]
fn a_line_typed_ahead_to_a_shell_that_tells_of_no_starts_is_an_entry_with_a_flag() {
    let files = [(".shrc", "PS1='@@ '\n")];
    let steps = [
        ("true", PROMPT),
        ("sleep 1\recho typed ahead; (exit 3)", "@@ typed ahead\r\n@@ "),
        ("cat", "\r\n"),
        ("for the program", "for the program\r\n"),
        ("\x04", PROMPT),
        ("pwd", PROMPT),
    ];
    let setup = Setup { shell: "dash", files: &files, env: &[("ENV", "~/.shrc")], ..Setup::default() };
    let Some(session) = run(setup, &steps) else { return };
    check(
        &session,
        &[
            "seen 0 \"true\"",
            "seen 0 \"sleep 1\" (typed-on: one more line was typed before the prompt came back, the first `echo typed ahead; (exit 3)`: part of it, for a program, or read after it)",
            "seen 3 \"echo typed ahead; (exit 3)\" (ahead: typed while another command ran; that the shell read it is a guess)",
            "seen 0 \"cat\" (typed-on: one more line was typed before the prompt came back, the first `for the program`: part of it, for a program, or read after it)",
            "seen 0 \"pwd\"",
            "seen 7 \"exit 7\"",
        ],
    );
}

#[test]
fn a_long_line_of_wide_characters_is_told_in_part_and_breaks_no_mark() {
    let fish = "function fish_prompt; echo -n '@@ '; end\nset fish_greeting\nfunction fish_title; end\n";
    for (shell, file, content) in [
        ("bash", ".bashrc", "PS1='@@ '\n"),
        ("zsh", ".zshrc", "PS1='@@ '; unsetopt prompt_sp\n"),
        ("fish", ".config/fish/config.fish", fish),
    ] {
        // Pasted: an editor that draws the line at every key would take its time.
        let line = format!("\x1b[200~: {}\x1b[201~", "語".repeat(3_000));
        let setup = Setup { shell, files: &[(file, content)], ..Setup::default() };
        let Some(session) = run(setup, &[("true", PROMPT), (&line, PROMPT), ("false", PROMPT)]) else {
            continue;
        };
        let [yes, long, no, exit] = session.commands.as_slice() else {
            panic!("{shell}: {}", session.transcript())
        };
        assert!(long.text.starts_with(": 語語") && long.text.chars().count() >= 1_300, "{}", long.text);
        // (fish breaks lines itself: the last row alone stood on the screen.)
        assert_eq!(long.flags[0], "cut: only the beginning of the line is kept", "{shell}");
        assert!(!long.flags.iter().any(|flag| flag.starts_with("broken-mark")), "{shell}: {:?}", long.flags);
        let flags: Vec<_> = [yes, no, exit].into_iter().flat_map(|command| &command.flags).collect();
        assert!(flags.is_empty(), "{shell}: {flags:?}");
        assert!(memchr::memmem::find(&session.visible, b"7717").is_none(), "{shell}");
    }
}
