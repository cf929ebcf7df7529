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
            session.type_in(line);
            session.type_in("\r");
            seen.push(if at + 1 == lines.len() { session.end() } else { (session.expect(PROMPT), None) });
        }
        // Temporary directories differ; nothing else may.
        let home = session.home.path().to_str().unwrap().as_bytes().to_vec();
        let same_home = |bytes: &[u8]| replace(bytes, &home, b"HOME");
        steps.push(seen.iter().map(|(bytes, code)| (same_home(bytes), *code)).collect());
        recorded = Some(session);
    }
    let recorded = recorded.unwrap();
    for (at, (bare, ours)) in steps[0].iter().zip(&steps[1]).enumerate() {
        let line = if at == 0 { "start" } else { lines[at - 1] };
        assert!(
            bare == ours,
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
    "declare -p HISTFILE HISTCONTROL HISTTIMEFORMAT IFS OPTIND SHLVL",
    "fi",
    "echo $?",
    "# a comment",
    "echo $?",
    "compgen -v | grep -v __sealcast | grep -v -e ^PS0 -e ^PROMPT_COMMAND -e ^BASH_ | sort | tr '\\n' ' '",
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
        for env in [&[][..], &[("ENV", "~/.shrc"), ("HISTFILE", "~/own")]] {
            let setup = Setup { shell: "bash", login: true, files, env, bare: false };
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
