//! A recorded shell and an unrecorded one, given the same lines, show the same bytes and leave the same way.

use crate::pty::{Session, Setup};
use sealcast::shell::marks::Mark;

const PROMPT: &str = "@@ ";

/// Types `lines` one by one at prompts, with and without us, and compares everything visible. An empty `lines` entry
/// is an empty Enter. The shell must be gone after the last line.
fn same(name: &str, setup: Setup, lines: &[&str]) -> Option<Session> {
    let mut recorded = None;
    let mut steps: Vec<Vec<(Vec<u8>, Option<i32>)>> = Vec::new();
    for bare in [true, false] {
        let mut session = Session::start(&Setup { bare, ..setup.clone() })?;
        let mut seen = vec![(session.expect(PROMPT), None)];
        for (at, line) in lines.iter().enumerate() {
            session.editing();
            session.type_in(line);
            session.type_in("\r");
            seen.push(if at + 1 == lines.len() { session.end() } else { (session.expect(PROMPT), None) });
        }
        // Temporary directories differ; nothing else may.
        let home = session.home.path().to_str().unwrap().as_bytes().to_vec();
        // The other shells echo (and colour) a line when they come to it, sometimes twice: what comes after it is compared.
        let after_echo = |bytes: &[u8], line: &str| match setup.shell {
            "bash" => 0,
            "fish" => memchr::memmem::find(bytes, b"\r\n").unwrap_or(0),
            _ => memchr::memmem::rfind(bytes, format!("{line}\r\n").as_bytes()).unwrap_or(0),
        };
        let line_of = |at: usize| if at == 0 { "" } else { lines[at - 1] };
        let compared = |(at, (bytes, code)): (usize, &(Vec<u8>, Option<i32>))| {
            let mut seen = replace(&bytes[after_echo(bytes, line_of(at))..], &home, b"HOME");
            if setup.shell == "fish" {
                // It goes to the left edge once more or not, as it happens to know that it stands there.
                seen = replace(&replace(&replace(&seen, b"\r\n", b"\n"), b"\r", b""), b"\n", b"\r\n");
            }
            (seen, *code)
        };
        steps.push(seen.iter().enumerate().map(compared).collect());
        recorded = Some(session);
    }
    let recorded = recorded.unwrap();
    for (at, (bare, ours)) in steps[0].iter().zip(&steps[1]).enumerate() {
        let line = if at == 0 { "start" } else { lines[at - 1] };
        // When a session's leader ends, Linux hangs its terminal up and discards what the other side has not been given
        // yet (pty_flush_buffer): of the last line, either run may have lost a tail.
        let alike = match at == lines.len() {
            true => (bare.0.starts_with(&ours.0) || ours.0.starts_with(&bare.0)) && bare.1 == ours.1,
            false => bare == ours,
        };
        assert!(
            alike,
            "{name}: after `{line}`\nunrecorded: {} {:?}\nrecorded:   {} {:?}\neverything:\n{}",
            sealcast::text::Escaped(&bare.0),
            bare.1,
            sealcast::text::Escaped(&ours.0),
            ours.1,
            recorded.transcript()
        );
    }
    assert!(
        recorded.marks().iter().any(|mark| matches!(mark, Mark::Integration { .. })),
        "{name}: no integration\n{}",
        recorded.transcript()
    );
    Some(recorded)
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    for found in memchr::memmem::find_iter(bytes, from) {
        out.extend_from_slice(&bytes[at..found]);
        out.extend_from_slice(to);
        at = found + from.len();
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

/// Lines that show what a bash is made of.
const BASH_PROBES: &[&str] = &[
    "",
    "(exit 3)",
    "echo $?",
    "true | false | (exit 4)",
    "echo ${PIPESTATUS[*]} $?",
    "echo \"$-\" $0 $BASHOPTS $SHELLOPTS",
    "set -o",
    "shopt",
    "env | sort | grep -v -e ^_= -e ^PS1 -e __sealcast",
    "trap -p; alias; echo $HISTCMD",
    "ls /proc/self/fd",
    "history",
    "echo $_",
    "for i in 1 2",
    "do echo $i",
    "done",
    "declare -p HISTFILE HISTCONTROL HISTTIMEFORMAT IFS OPTIND SHLVL MAILCHECK",
    "fi",
    "echo $?",
    "# a comment",
    "echo $?",
    "compgen -v | grep -v __sealcast | grep -v -e ^PS0 -e ^PROMPT_COMMAND -e ^BASH_ -e ^FUNCNAME | sort | tr '\\n' ' '",
    "compgen -A function | grep -v __sealcast",
    "exit 7",
];

#[test]
fn a_recorded_bash_behaves_as_an_unrecorded_one() {
    let ps1 = "PS1='@@ ' PS2='@@ '\n";
    for (name, rc) in [
        ("plain", ""),
        ("prompt command", "PROMPT_COMMAND='x=$?; history -a; (exit $x)'\n"),
        ("prompt command that fails", "PROMPT_COMMAND='false'\n"),
        ("prompt command array", "PROMPT_COMMAND=('echo one' 'echo two $?')\n"),
        ("prompt command with an end", "PROMPT_COMMAND='echo one $?;'\n"),
        ("exported prompt command", "export PROMPT_COMMAND='echo one $?'\n"),
        ("readonly prompt command", "readonly PROMPT_COMMAND='echo one $?'\n"),
        ("readonly everything", "readonly PROMPT_COMMAND='echo $?' PS0='start '\nPS1='@@ '; readonly PS1\n"),
        ("exported ps1", "export PS1\n"),
        ("ps0", "PS0='\\! started\\n'\n"),
        ("starship", "p() { local s=$?; PS1=\"[$s ${PIPESTATUS[*]}] @@ \"; return $s; }\nPROMPT_COMMAND=p\n"),
        ("set -u", "set -u\nunset HISTCONTROL\n"),
        ("ifs", "IFS=_:\n"),
        ("no history", "set +o history\n"),
        (
            "history control",
            "HISTCONTROL=ignoreboth:erasedups HISTTIMEFORMAT='%F '\nreadonly HISTTIMEFORMAT\n",
        ),
        ("prompts not expanded", "shopt -u promptvars\n"),
        ("cmdhist off", "shopt -u cmdhist; shopt -s lithist; set -o vi\n"),
        ("noclobber", "set -o noclobber -o noglob -o nounset\n"),
        ("locale", "export LC_ALL=en_US.ISO-8859-1; readonly LC_ALL\n"),
        ("aliases", "alias printf=false builtin=false local=false set=false unset=false return=false\n"),
        ("functions", "printf() { echo mine; }; history() { echo mine; }\n"),
        ("err trap", "trap 'echo ERR' ERR; set -E\n"),
    ] {
        let rc = format!("{ps1}{rc}");
        let files = [(".bashrc", rc.as_str())];
        let Some(session) =
            same(name, Setup { shell: "bash", files: &files, ..Setup::default() }, BASH_PROBES)
        else {
            return;
        };
        let texts: Vec<Option<&str>> = session
            .marks()
            .iter()
            .filter_map(|m| match m {
                Mark::Start(start) => Some(start.text.as_deref()),
                _ => None,
            })
            .collect();
        let expected = match name {
            "readonly everything" | "prompts not expanded" => None,
            "no history" | "history control" => Some(None),
            _ => Some(Some("exit 7")),
        };
        assert_eq!(texts.last().copied(), expected, "{name}: {texts:?}");
    }
}

#[test]
fn a_login_bash_reads_its_files_in_order_and_leaves_posix_mode() {
    let profile = "echo profile; PS1='@@ ' PS2='@@ '; [ -r ~/.bashrc ] && . ~/.bashrc\n";
    for files in [
        &[(".bash_profile", profile), (".bashrc", "echo rc\n"), (".profile", "echo never\n")][..],
        &[(".bash_login", profile), (".profile", "echo never\n")],
        &[(".profile", profile)],
    ] {
        for env in [&[][..], &[("ENV", "~/.shrc"), ("HISTFILE", "~/own"), ("MAILCHECK", "5")]] {
            let setup = Setup { shell: "bash", login: true, files, env, ..Setup::default() };
            let mut probes = BASH_PROBES.to_vec();
            probes.insert(1, "shopt -q login_shell; echo $? $ENV $POSIXLY_CORRECT");
            same("login", setup, &probes);
        }
    }
}

#[test]
fn strict_modes_in_start_up_files_are_survived_and_kept() {
    for (rc, lines) in [
        ("PS1='@@ '; set -eu\n", &["echo $-", "true", "false"][..]),
        ("PS1='@@ '; set -eu; PROMPT_COMMAND='true'\n", &["echo $-", "true", "echo $unset"]),
        ("PS1='@@ '; PS4='+ '; set -x\n", &["echo hello", "false", "exit"]),
        ("PS1='@@ '; PS4='+ '; set -eux\n", &["echo hello", "true", "false"]),
        ("PS1='@@ '; set -euo pipefail\n", &["echo hello", "true | cat", "false | cat"]),
    ] {
        let files = [(".bashrc", rc)];
        same(rc, Setup { shell: "bash", files: &files, ..Setup::default() }, lines);
    }
}

/// With `set -e`, what fails in a start-up file ends the shell; that its last command, which was allowed to fail, did so does not.
#[test]
fn a_strict_start_up_file_ends_the_shell_where_it_ends_an_unrecorded_one() {
    for (shell, file) in [
        ("bash", ".bashrc"),
        ("bash", ".profile"),
        ("sh", ".shrc"),
        ("dash", ".shrc"),
        ("ash", ".shrc"),
        ("mksh", ".shrc"),
        ("mksh", ".mkshrc"),
    ] {
        let login = file == ".profile";
        let env = if file == ".shrc" { &[("ENV", "~/.shrc")][..] } else { &[] };
        for last in ["[ -f /nope ] && echo x", "false || true; false && :"] {
            let content = format!("PS1='@@ '; set -e; {last}\n");
            let files = [(file, content.as_str())];
            let setup = Setup { shell, login, files: &files, env, ..Setup::default() };
            same(&format!("{shell}: {last}"), setup, &["echo $-", "exit 7"]);
        }
        for fails in ["false\necho more", "(exit 4)", "f() { [ -f /nope ] && echo x; }; f\necho more"] {
            let content = format!("PS1='@@ '; set -e; echo begun; {fails}\n");
            let files = [(file, content.as_str())];
            let mut ends = Vec::new();
            for bare in [true, false] {
                let setup = Setup { shell, login, files: &files, env, bare, ..Setup::default() };
                let Some(mut session) = Session::start(&setup) else { continue };
                session.expect("begun\r\n");
                ends.push(session.end());
            }
            assert!(ends.windows(2).all(|ends| ends[0] == ends[1]), "{shell}: {fails}: {ends:?}");
        }
    }
}

#[test]
fn a_recorded_zsh_behaves_as_an_unrecorded_one() {
    let probes = &[
        "",
        "(exit 3)",
        "echo $?",
        "true | false | (exit 4)",
        "echo $pipestatus $?",
        "setopt; echo $- $0 $ZDOTDIR ${+ZDOTDIR}",
        "env | sort | grep -v ^_=",
        "alias; trap; echo $HISTCMD $HISTFILE",
        "ls /proc/self/fd",
        "fc -l 1",
        "for i in 1 2",
        "do echo $i",
        "done",
        "nonexistent-command",
        "echo $?",
        "print -l ${(k)functions:#__sealcast*}",
        "echo $funcstack $options[xtrace]",
        "exit 7",
    ];
    let base = "PS1='@@ ' PS2='@@ '; unsetopt prompt_sp; unsetopt zle_bracketed_paste 2>/dev/null\n";
    for (name, rc) in [
        ("plain", ""),
        ("hooks", "precmd() { echo pre $? }; preexec() { echo exec $1 }\n"),
        ("hook lists", "p() { echo pre $?; false }; precmd_functions=(p); preexec_functions=(p)\n"),
        ("ksh arrays and sh word split", "setopt ksh_arrays sh_word_split\n"),
        ("nounset", "setopt no_unset\n"),
        ("prompt of their own", "setopt prompt_subst; precmd() { PS1=\"[$? $pipestatus] @@ \" }\n"),
        ("history options", "HISTSIZE=100 SAVEHIST=100; setopt hist_ignore_space hist_ignore_all_dups\n"),
        ("aliases", "alias print=false builtin=false typeset=false\n"),
        ("functions", "print() { false }\n"),
    ] {
        for (login, file) in [(false, ".zshrc"), (true, ".zprofile"), (false, "dot/.zshrc")] {
            let rc = format!("{base}{rc}");
            let zshenv = "echo env\n";
            let files = [
                (file, rc.as_str()),
                (".zshenv", zshenv),
                ("dot/.zshenv", zshenv),
                (".zlogin", "echo login\n"),
            ];
            let env: &[_] = if file.starts_with("dot") { &[("ZDOTDIR", "~/dot")] } else { &[] };
            // Without a .zshrc zsh asks its questions of a new user.
            let mut all = files.to_vec();
            if login {
                all.push((".zshrc", "echo rc\n"));
            }
            let Some(session) =
                same(name, Setup { shell: "zsh", login, files: &all, env, ..Setup::default() }, probes)
            else {
                return;
            };
            let last = session.marks().iter().rev().find_map(|m| match m {
                Mark::Start(start) => start.text.clone(),
                _ => None,
            });
            assert_eq!(last.as_deref(), Some("exit 7"), "{name}\n{}", session.transcript());
        }
    }
    for (rc, lines) in
        [("set -e", &["echo $-", "true", "false"][..]), ("set -x", &["echo $-", "false", "exit"])]
    {
        let rc = format!("{base}PS4='+ '; {rc}\n");
        same(&rc, Setup { shell: "zsh", files: &[(".zshrc", &rc)], ..Setup::default() }, lines);
    }
}

#[test]
fn a_recorded_fish_behaves_as_an_unrecorded_one() {
    let config = "function fish_prompt; echo -n \"$status @@ \"; end\nset fish_greeting\n\
        function fish_title; end\nset -g fish_autosuggestion_enabled 0\n";
    for (name, more) in [
        ("plain", ""),
        (
            "hooks",
            "function h --on-event fish_preexec; echo pre $argv; end\nfunction i --on-event fish_postexec; echo post $status; end\n",
        ),
        ("right prompt", "function fish_right_prompt; echo right; end\n"),
    ] {
        let config = format!("{config}{more}");
        let files = [(".config/fish/config.fish", config.as_str())];
        for login in [true, false] {
            let lines = &[
                "false",
                "true | false",
                "echo $pipestatus $status",
                "env | sort | grep -v ^_=",
                "ls /proc/self/fd",
                "status is-login; echo $status",
                "functions --names | string match -v '__sealcast*' | wc -l",
                "nonexistent-command",
                "echo $status",
                "exit 7",
            ];
            same(name, Setup { shell: "fish", login, files: &files, ..Setup::default() }, lines);
        }
    }
}

#[test]
fn recorded_posix_shells_behave_as_unrecorded_ones() {
    // Not ksh93: it draws its prompt a varying number of times. What it does is compared in `entries`.
    for shell in ["dash", "ash", "mksh", "sh"] {
        let lines = &[
            "",
            "(exit 3)",
            "echo $?",
            "echo $- $0 $ENV",
            "env | sort | grep -v ^_=",
            "alias",
            "ls /proc/self/fd",
            "for i in 1 2",
            "do echo $i",
            "done",
            "nonexistent-command",
            "echo $?",
            "cd /; cd - >/dev/null",
            "set -u; echo $?",
            "exit 7",
        ];
        let ps = "PS1='@@ '; PS2='@@ '\n";
        for (login, files, env) in [
            (false, &[(".shrc", ps)][..], &[("ENV", "~/.shrc")][..]),
            (true, &[(".profile", ps)], &[]),
            (false, &[(".shrc", "PS1='@@ '; PS2='@@ '; set -u\n")], &[("ENV", "~/.shrc")]),
            (
                false,
                &[(".shrc", "PS1='[$? $PWD] @@ '; PS2='@@ '; alias ll='ls -l'\n")],
                &[("ENV", "~/.shrc")],
            ),
        ] {
            same(shell, Setup { shell, login, files, env, ..Setup::default() }, lines);
        }
    }
}
