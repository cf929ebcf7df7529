//! Where typed, shown and executed are not the same: what an investigator should look at, as flags with a reason.
//!
//! A flag is a stable word, a colon and a sentence. None of them is an accusation: an alias differs as well.

use super::commands::push_flag;
use crate::cast::{Command, Exec, Source, is_of};
use crate::text::listed;
use std::collections::HashSet;

/// Programs that read their commands from a file or from their input.
const INTERPRETERS: &[&str] = &[
    "sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "ksh93", "mksh", "busybox", "python", "python2",
    "python3", "perl", "ruby", "node", "php", "lua",
];

/// Words at the start of a line that no program is expected for.
const BUILTINS: &[&str] = &[
    ".",
    ":",
    "[",
    "[[",
    "{",
    "(",
    "((",
    "!",
    "alias",
    "and",
    "autoload",
    "begin",
    "bg",
    "bind",
    "bindkey",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "command",
    "compgen",
    "complete",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "emulate",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "for",
    "function",
    "functions",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "noglob",
    "not",
    "or",
    "popd",
    "print",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "rehash",
    "repeat",
    "return",
    "select",
    "set",
    "setopt",
    "shift",
    "shopt",
    "source",
    "status",
    "string",
    "suspend",
    "switch",
    "test",
    "time",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "unsetopt",
    "until",
    "wait",
    "whence",
    "where",
    "which",
    "while",
    "nocorrect",
];

/// Names of programs listed in a flag.
const MAX_NAMES: usize = 8;

/// Adds the flags of an entry that is complete: `shown` are the lines as they stood on the screen, `shell` is the process
/// id of the session's shell.
pub(super) fn flag(command: &mut Command, shown: &[String], shell: Option<u32>) {
    let mut flags = Vec::new();
    let has = |word: &str| command.flags.iter().any(|flag| is_of(flag, word));
    // Where the text is not stored, there is nothing to compare.
    let withheld = has("withheld");
    if command.source == Source::Shell && !withheld {
        flags.extend(typed_and_told(&command.text, shown, has("cut")));
    }
    if command.source != Source::Exec && !withheld {
        flags.extend(named_and_run(&command.text, &command.execs, shell));
    }
    // Of what runs in the background the text is cut, and its program has all of it.
    let whole =
        command.execs.first().filter(|_| command.source == Source::Exec).map(|exec| exec.argv.join(" "));
    flags.extend(bodies(whole.as_deref().unwrap_or(&command.text), &command.execs));
    for flag in flags {
        push_flag(command, &flag);
    }
}

/// Without blanks, to be compared.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether what the shell says it runs is the last of the lines that were entered, and no more: a history that takes every line by
/// itself (`shopt -u cmdhist` in bash) tells no more of a loop than `done`.
pub(super) fn is_last_of(told: &str, shown: &[String]) -> bool {
    let Some((last, before)) = shown.split_last() else { return false };
    let told = squeezed(told);
    let more = |line: &String| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    !told.is_empty() && told == squeezed(last) && before.iter().any(more)
}

/// Whether the one line that was entered is the end of what the shell says it runs.
pub(super) fn is_end_of(told: &str, shown: &[String]) -> bool {
    matches!(shown, [shown] if squeezed(told).ends_with(&squeezed(shown)))
}

/// The line on the screen against the line that the shell says it runs.
fn typed_and_told(told: &str, shown: &[String], cut: bool) -> Option<String> {
    // Several lines are joined by shells in their own ways: only one line is compared.
    let [shown] = shown else { return None };
    let (seen, said) = (squeezed(shown), squeezed(told));
    // A prompt on the right, or a hint of the line editor, may stand beside it.
    if seen.is_empty()
        || seen.contains(&said)
        || (cut && seen.starts_with(said.get(..1_000).unwrap_or(&said)))
    {
        return None;
    }
    // Control characters are drawn as ^X, and what the terminal cannot draw otherwise: no telling.
    if said.chars().any(char::is_control) || told.contains('\n') {
        return None;
    }
    // A prompt on the right stands far from the line.
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if shown.contains('!') || shown.starts_with('^') {
        return Some(format!("expanded: typed as `{shown}`"));
    }
    Some(format!("shown: the screen had `{shown}`"))
}

/// The first word of the line against the programs that ran.
fn named_and_run(text: &str, execs: &[Exec], shell: Option<u32>) -> Option<String> {
    let word = text.split_whitespace().find(|word| !is_assignment(word))?;
    let word = word.trim_end_matches([';', '&', '|']);
    if BUILTINS.contains(&word)
        || word.starts_with(['(', '{', '"', '\'', '$', '`', '\\', '<', '>', '~', '#'])
        // Of a line that the history did not take, what the screen has is what was typed: `!!` stands there for the line before.
        || word.starts_with(['!', '^'])
        || word.contains(['(', '*', '?', '/'])
    {
        return None;
    }
    let direct = |e: &&Exec| shell.is_none_or(|shell| e.ppid == shell || e.pid == shell);
    let first = execs.iter().find(direct).or(execs.first())?;
    let name = basename(word);
    // A script is named by its interpreter's first operand.
    let names =
        |e: &Exec| basename(&e.path) == name || e.argv.iter().take(3).any(|arg| basename(arg) == name);
    if execs.iter().any(names) {
        return None;
    }
    Some(format!("alias: `{word}` is an alias or a function; it ran `{}`", first.argv.join(" ")))
}

/// Programs whose commands did not stand on the line: scripts, and interpreters that read a pipe.
fn bodies(text: &str, execs: &[Exec]) -> Vec<String> {
    let mut flags = Vec::new();
    for exec in execs {
        if exec.path.starts_with("/memfd:") || exec.path.ends_with(" (deleted)") {
            flags.push(format!("fileless: {} ran from memory or from a file that is gone", exec.path));
        } else if exec.path.starts_with(Exec::UNREACHABLE) {
            flags.push(format!("fileless: {} ran from what is not mounted for it", exec.path));
        }
        let name = basename(&exec.path);
        if !INTERPRETERS.contains(&name) {
            continue;
        }
        let Some(body) = body_of(name, &exec.argv) else { continue };
        let ran = || ran_below(exec, execs);
        match body {
            Some(script) => {
                if let Some(ran) = ran() {
                    flags.push(format!("script: {} ran {ran}", listed(script)));
                }
            }
            None if reads_a_pipe(exec, text, execs) => {
                let ran = ran().unwrap_or_else(|| "no program".into());
                let called = listed(basename(exec.argv.first().unwrap_or(&exec.path)));
                flags.push(format!("piped: {called} read its commands from a pipe; it ran {ran}"));
            }
            None => {}
        }
    }
    flags
}

/// The file that an interpreter reads its commands from, if it has one; `None` where they are among its arguments, or it is none.
fn body_of<'a>(name: &str, argv: &'a [String]) -> Option<Option<&'a str>> {
    // Letters of options behind which commands or a module stand, a value, or a value in the same word.
    let (inline, value, glued) = match name {
        name if name.starts_with("python") => ("cm", "WXQ", ""),
        "perl" => ("eE", "I", "MmiFx0lCD"),
        "ruby" => ("e", "IrCE", "WxiFK0T"),
        "node" => ("ep", "r", ""),
        "php" => ("r", "dczS", ""),
        "lua" => ("e", "l", ""),
        "fish" => ("c", "Cdop", ""),
        _ => ("c", "oO", ""),
    };
    let mut words = argv.iter().map(String::as_str);
    let called = words.next().map(basename);
    if called == Some("busybox") && !words.next().is_some_and(|applet| INTERPRETERS.contains(&applet)) {
        return None;
    }
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix(['-', '+']) else { return Some(Some(word)) };
        match letters.trim_start_matches('-') {
            "" if word == "-" && inline != "c" => return Some(None),
            "" => return Some(words.next()),
            "command" | "eval" | "print" => return None,
            "rcfile" | "init-file" | "init-command" | "require" => _ = words.next(),
            // They read their input, and what follows is for that.
            "s" if inline == "c" => return Some(None),
            // Long ones that bash takes with one dash, too.
            "norc" | "noprofile" | "noediting" | "posix" | "login" | "restricted" | "verbose" => {}
            long if letters.starts_with('-') => {
                if ["command=", "eval=", "print="].iter().any(|option| long.starts_with(option)) {
                    return None;
                }
            }
            _ => {
                let ends = letters
                    .char_indices()
                    .find(|(_, c)| [inline, value, glued].iter().any(|of| of.contains(*c)));
                match ends {
                    Some((_, c)) if inline.contains(c) && word.starts_with('-') => return None,
                    Some((at, c)) if value.contains(c) && at.saturating_add(1) == letters.len() => {
                        words.next();
                    }
                    _ => {}
                }
            }
        }
    }
    Some(None)
}

/// An interpreter without a file on a line that gives it one otherwise: behind a `|`, by name or beside another program of the same
/// parent that was started in the same moment. That programs start together says nothing by itself: a terminal multiplexer
/// starts its shell beside others too.
fn reads_a_pipe(exec: &Exec, text: &str, execs: &[Exec]) -> bool {
    if text.contains("<(") || text.contains("<<") {
        return true;
    }
    let text = text.replace("||", ";");
    let Some((_, behind)) = text.split_once('|') else { return false };
    let beside = |e: &Exec| e.pid != exec.pid && e.ppid == exec.ppid && e.time.abs_diff(exec.time) <= 100;
    let name = basename(&exec.path);
    behind.split(['|', '&']).any(|part| part.split_whitespace().any(|word| basename(word) == name))
        || execs.iter().any(beside)
}

/// The names of what ran below a process; `None` when nothing did.
fn ran_below(top: &Exec, execs: &[Exec]) -> Option<String> {
    let mut below: HashSet<u32> = HashSet::from([top.pid]);
    let mut names: Vec<&str> = Vec::new();
    let mut count = 0_usize;
    for exec in execs.iter().filter(|e| e.time >= top.time && !std::ptr::eq(*e, top)) {
        if below.contains(&exec.ppid) || (exec.pid == top.pid) {
            below.insert(exec.pid);
            count = count.saturating_add(1);
            let name = basename(&exec.path);
            if names.len() <= MAX_NAMES && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let more = if names.len() > MAX_NAMES { ", …" } else { "" };
    names.truncate(MAX_NAMES);
    let names = names.into_iter().map(listed).collect::<Vec<_>>().join(", ");
    let programs = if count == 1 { "program" } else { "programs" };
    (count > 0).then(|| format!("{count} {programs}: {names}{more}"))
}

pub(super) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_start_matches('-')
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(pid: u32, ppid: u32, argv: &[&str]) -> Exec {
        let argv: Vec<String> = argv.iter().map(|a| (*a).to_string()).collect();
        Exec {
            time: u64::from(pid),
            pid,
            ppid,
            path: format!("/usr/bin/{}", basename(&argv[0])),
            argv,
            ..Exec::default()
        }
    }

    fn flags(text: &str, shown: &[&str], execs: Vec<Exec>) -> Vec<String> {
        let mut command = Command { text: text.into(), source: Source::Shell, execs, ..Command::default() };
        let shown: Vec<String> = shown.iter().map(|s| (*s).to_string()).collect();
        flag(&mut command, &shown, Some(1));
        command.flags
    }

    #[test]
    fn an_alias_is_told_with_what_it_ran() {
        let ran = || vec![exec(10, 1, &["ls", "--color", "-l"])];
        assert_eq!(
            flags("ll /tmp", &[], ran()),
            ["alias: `ll` is an alias or a function; it ran `ls --color -l`"]
        );
        assert_eq!(flags("ls /tmp", &["ls /tmp"], ran()), [""; 0]);
        assert_eq!(flags("LANG=C /bin/ls", &[], ran()), [""; 0]);
        assert_eq!(flags("for i in 1; do ls; done", &[], ran()), [""; 0]);
        assert_eq!(flags("ll", &[], vec![]), [""; 0]);
        // What they stand for only the shell's own words could tell.
        assert_eq!(flags("!!", &[], ran()), [""; 0]);
        assert_eq!(flags("^x^ls", &[], ran()), [""; 0]);
        assert_eq!(flags("!l -a", &[], ran()), [""; 0]);
    }

    #[test]
    fn a_script_is_told_with_what_was_in_it() {
        let ran = vec![
            exec(10, 1, &["bash", "./x.sh"]),
            exec(11, 10, &["id"]),
            exec(12, 10, &["curl", "x"]),
            exec(13, 12, &["id"]),
        ];
        assert_eq!(flags("./x.sh", &[], ran), ["script: ./x.sh ran 3 programs: id, curl"]);
    }

    #[test]
    fn a_script_is_told_apart_from_what_options_take() {
        let told = |argv: &[&str]| flags(".", &[], vec![exec(10, 1, argv), exec(11, 10, &["id"])]);
        for (argv, script) in [
            (&["bash", "-e", "x.sh"][..], "x.sh"),
            (&["sh", "x.sh", "-e", "prod", "-c"], "x.sh"),
            (&["bash", "-eo", "pipefail", "x.sh"], "x.sh"),
            (&["bash", "+O", "extglob", "--", "x.sh"], "x.sh"),
            (&["bash", "--norc", "-x", "x.sh"], "x.sh"),
            (&["python3", "-W", "ignore", "-u", "x.py", "-c", "f"], "x.py"),
            (&["perl", "-w", "-Mstrict", "x.pl", "-e"], "x.pl"),
            (&["busybox", "sh", "x.sh"], "x.sh"),
        ] {
            assert_eq!(told(argv), [format!("script: {script} ran 1 program: id")], "{argv:?}");
        }
        for argv in [
            &["bash", "-rcfile", ".bashrc"][..],
            &["bash", "--rcfile", ".bashrc"],
            &["bash", "-lc", "id; ls"],
            &["sh", "-ec", "id"],
            &["zsh", "-o", "extendedglob"],
            &["python3", "-Ic", "import os"],
            &["python3", "-m", "venv", "v"],
            &["perl", "-ne", "system q(id)"],
            &["node", "--eval=1"],
            &["fish", "--command", "id"],
            &["busybox", "ash"],
            &["busybox", "vi", "f"],
            &["python3", "-", "f"],
        ] {
            assert_eq!(told(argv), [""; 0], "{argv:?}");
        }
        let piped = vec![exec(10, 1, &["cat", "x"]), exec(11, 1, &["bash", "-s", "--", "prod"])];
        let told = "piped: bash read its commands from a pipe; it ran no program";
        assert_eq!(flags("cat x | bash -s -- prod", &[], piped), [told]);
    }

    #[test]
    fn a_name_that_could_be_taken_for_several_or_for_what_is_said_of_it_is_in_quotes() {
        let ran = |argv: &[&str]| vec![exec(10, 1, argv), exec(12, 10, &["id, ls"]), exec(13, 10, &["a\nb"])];
        let told = r#"2 programs: "id, ls", "a\nb""#;
        let script = "x ran 1 program: true #";
        assert_eq!(flags(".", &[], ran(&["sh", script])), [format!("script: {script:?} ran {told}")]);
        let piped = format!(r#"piped: "sh, ls" read its commands from a pipe; it ran {told}"#);
        let mut beside = ran(&["sh, ls"]);
        beside[0].path = "/bin/sh".into();
        assert_eq!(flags("echo | sh", &[], beside), [piped]);
    }

    #[test]
    fn a_shell_that_reads_a_pipe_is_told_with_what_it_ran() {
        let ran = vec![exec(10, 1, &["base64", "-d"]), exec(11, 1, &["sh"]), exec(12, 11, &["id", "-u"])];
        let flag = "piped: sh read its commands from a pipe; it ran 1 program: id";
        assert_eq!(flags("echo aWQgLXUK | base64 -d | sh", &[], ran.clone()), [flag]);
        assert_eq!(flags("echo aWQgLXUK | base64 -d | $S", &[], ran), [flag]);
        assert_eq!(flags("sh", &[], vec![exec(11, 1, &["sh"]), exec(500, 11, &["id"])]), [""; 0]);
    }

    #[test]
    fn a_pipe_behind_what_is_kept_of_a_text_is_told_as_well() {
        let line = format!("{}; curl x | bash", "x".repeat(300));
        let execs = vec![exec(10, 1, &["sh", "-c", &line]), exec(11, 10, &["bash"]), exec(12, 11, &["id"])];
        let mut command =
            Command { text: "sh -c xxx…".into(), source: Source::Exec, execs, ..Command::default() };
        flag(&mut command, &[], Some(1));
        assert_eq!(command.flags, ["piped: bash read its commands from a pipe; it ran 1 program: id"]);
    }

    #[test]
    fn a_shell_that_starts_beside_another_program_reads_no_pipe_where_the_line_has_none() {
        let ran = || vec![exec(10, 1, &["utempter", "add"]), exec(11, 1, &["bash"]), exec(12, 11, &["id"])];
        for line in ["tmux new", "(sleep 1 & bash --norc)", "false || bash"] {
            let piped = flags(line, &[], ran()).into_iter().find(|flag| flag.starts_with("piped"));
            assert_eq!(piped, None, "{line}");
        }
        for line in ["f < <(x)", "bash << E", "cat x | bash", "cat x |& $S", "false || cat x | bash"] {
            assert!(flags(line, &[], ran()).iter().any(|flag| flag.starts_with("piped: bash ")), "{line}");
        }
    }

    #[test]
    fn what_the_screen_had_is_told_when_the_shell_says_something_else() {
        assert_eq!(flags("sudo rm x", &["sudo !!"], vec![]), ["expanded: typed as `sudo !!`"]);
        assert_eq!(flags("ls", &["rm -rf /srv"], vec![]), ["shown: the screen had `rm -rf /srv`"]);
        assert_eq!(flags("ls -l", &["ls -l                 12:30:01"], vec![]), [""; 0]);
        assert_eq!(flags("for i in 1; do echo; done", &["for i in 1", "do echo", "done"], vec![]), [""; 0]);
        assert_eq!(flags("ls", &[], vec![]), [""; 0]);
    }

    #[test]
    fn a_program_in_memory_is_told() {
        let mut ran = exec(10, 1, &["x"]);
        ran.path = "/memfd:x (deleted)".into();
        assert_eq!(
            flags("./y x", &[], vec![ran]),
            ["fileless: /memfd:x (deleted) ran from memory or from a file that is gone"]
        );
        let mut ran = exec(10, 1, &["true"]);
        ran.path = "(unreachable)/usr/bin/true".into();
        assert_eq!(
            flags("true", &[], vec![ran]),
            ["fileless: (unreachable)/usr/bin/true ran from what is not mounted for it"]
        );
    }
}
