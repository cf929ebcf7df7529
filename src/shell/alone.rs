//! Programs that no command explains: those of the shell's own start, of its prompt, of a key that somebody bound to one.
//!
//! The index has them beside its commands. Who lists commands lists these too, or counts them by name: what runs from a prompt or
//! a key is else found only by who knows its name already. Refuses to guess to which command they could belong.

use super::differences;
use crate::cast::{Command, Exec, Source, Trust};
use crate::container::Entry;
use crate::text::listed;
use std::collections::HashMap;

/// The flag of an entry that is made of such a program.
const NO_COMMAND: &str =
    "no-command: the shell's start, its prompt or a key ran it, or a line that nobody told of";
/// Names that [`names`] tells at most.
const MAX_NAMES: usize = 16;

/// An entry for each of them, by start: its text are the program's arguments. Each is made when its turn comes: it is a copy, and how
/// many there are was up to whoever was recorded.
pub fn commands(entries: &[Entry]) -> impl Iterator<Item = Command> {
    let mut all: Vec<&Exec> = programs(entries).collect();
    all.sort_by_key(|exec| exec.time);
    all.into_iter().map(command)
}

/// How many there are.
pub fn count(entries: &[Entry]) -> usize {
    programs(entries).count()
}

/// How many there are, and their names: those that ran most seldom first, with how often where it was more than once. Empty when there
/// is none.
pub fn names(entries: &[Entry]) -> String {
    // In the order in which they first ran. Whoever is recorded chooses them: there may be very many.
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut names: Vec<(String, usize)> = Vec::new();
    for exec in programs(entries) {
        let name = name(exec);
        let place = *places.entry(name.clone()).or_insert(names.len());
        match names.get_mut(place) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => names.push((name, 1)),
        }
    }
    names.sort_by_key(|(_, count)| *count);
    let all: usize = names.iter().map(|(_, count)| count).sum();
    let more = names.len().saturating_sub(MAX_NAMES);
    let told = names.iter().take(MAX_NAMES).map(|(name, count)| match count {
        1 => name.clone(),
        count => format!("{name} {count}"),
    });
    match (told.collect::<Vec<_>>().join(", "), more) {
        (told, _) if told.is_empty() => told,
        (told, 0) => format!("{all}: {told}"),
        (told, more) => format!("{all}: {told}, and {more} more names"),
    }
}

/// The name of a program, as one of a list: of its file. What it calls itself is whatever who started it liked; where that is
/// another name, or it is not where a system's programs are, the whole file is told.
fn name(exec: &Exec) -> String {
    let path = exec.path.as_str();
    match misnamed(exec) {
        Some(path) => format!("{} ({})", listed(called(exec)), listed(path)),
        // Those of many in one go by what they are called.
        None if path.is_empty() || is_many(path) => listed(called(exec)).into_owned(),
        None if is_of_the_system(path) => listed(differences::basename(path)).into_owned(),
        None => listed(path).into_owned(),
    }
}

/// Whether a file stands where nobody but the system puts programs.
fn is_of_the_system(path: &str) -> bool {
    const DIRECTORIES: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
    path.rsplit_once('/').is_some_and(|(directory, _)| DIRECTORIES.contains(&directory))
}

/// Whether a file is many programs in one.
fn is_many(path: &str) -> bool {
    ["busybox", "toybox", "coreutils"].contains(&differences::basename(path)) && is_of_the_system(path)
}

/// The arguments of a program, with its file behind them where it calls itself something else.
pub fn arguments(exec: &Exec) -> String {
    let argv = exec.argv.join(" ");
    match misnamed(exec) {
        _ if exec.argv.is_empty() => exec.path.clone(),
        Some(path) => format!("{argv} ({path})"),
        None => argv,
    }
}

/// The file of a program that calls itself something else. That of many programs in one goes by what it is called, so that it cannot
/// be another.
fn misnamed(exec: &Exec) -> Option<&str> {
    let path = exec.path.as_str();
    let alike = exec.argv.is_empty() || called(exec) == differences::basename(path);
    (!path.is_empty() && !alike && !is_many(path)).then_some(path)
}

/// What a program calls itself.
fn called(exec: &Exec) -> &str {
    exec.argv.first().map_or("", |name| differences::basename(name))
}

fn programs(entries: &[Entry]) -> impl Iterator<Item = &Exec> {
    entries.iter().flat_map(|entry| &entry.execs)
}

fn command(exec: &Exec) -> Command {
    let mut command = Command {
        text: arguments(exec),
        cwd: (!exec.cwd.is_empty()).then(|| exec.cwd.clone()),
        start: exec.time,
        end: exec.end,
        exit: exec.exit,
        source: Source::Exec,
        trust: Trust::Witnessed,
        flags: vec![NO_COMMAND.to_owned()],
        execs: vec![exec.clone()],
        ..Command::default()
    };
    differences::flag(&mut command, &[], None);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(time: u64, argv: &[&str], path: &str) -> Exec {
        let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
        Exec { time, argv, path: path.to_owned(), exit: Some(3), ..Exec::default() }
    }

    #[test]
    fn each_program_that_no_command_explains_is_an_entry_and_is_counted_by_name() {
        let hook = || exec(9, &["./hook", "-x"], "/srv/hook");
        let hidden = exec(4, &["x"], "/memfd:x (deleted)");
        let entry = |execs| Entry { execs, ..Entry::default() };
        let entries = [entry(vec![hook(), hidden]), entry(vec![hook()])];
        let made: Vec<_> = commands(&entries).collect();
        let told: Vec<_> = made.iter().map(|c| (c.text.as_str(), c.start, c.exit, c.flags.len())).collect();
        let hidden = "x (/memfd:x (deleted))";
        assert_eq!(
            told,
            [(hidden, 4, Some(3), 2), ("./hook -x", 9, Some(3), 1), ("./hook -x", 9, Some(3), 1)]
        );
        assert!(
            made.iter().all(|c| (c.source, c.trust, c.execs.len()) == (Source::Exec, Trust::Witnessed, 1))
        );
        assert_eq!(
            (count(&entries), names(&entries).as_str()),
            (3, "3: x (\"/memfd:x (deleted)\"), /srv/hook 2")
        );
        assert_eq!(names(&[]), "");
        let many: Vec<Exec> = (0..20).map(|n| exec(n, &["x"], &format!("/bin/{n}/x{n}"))).collect();
        assert!(names(&[entry(many)]).ends_with(", x (/bin/15/x15), and 4 more names"));
    }

    #[test]
    fn a_program_is_named_by_its_file_which_it_does_not_choose_like_its_name() {
        for (argv, path, told) in [
            (&["/usr/bin/dircolors", "-b"][..], "/usr/bin/dircolors", "1: dircolors"),
            (&["-bash"], "/usr/bin/bash", "1: bash"),
            (&["dircolors"], "/tmp/evil", "1: dircolors (/tmp/evil)"),
            (&["x, bash 9"], "/tmp/evil", "1: \"x, bash 9\" (/tmp/evil)"),
            (&["a, b 7"], "/tmp/a, b 7", "1: \"/tmp/a, b 7\""),
            (&["./dircolors"], "/tmp/dircolors", "1: /tmp/dircolors"),
            (&["sh"], "/usr/bin/dash", "1: sh (/usr/bin/dash)"),
            (&["ls"], "/bin/busybox", "1: ls"),
            (&["ls"], "/usr/bin/busybox", "1: ls"),
            (&["ls"], "/tmp/busybox", "1: ls (/tmp/busybox)"),
            (&["ls"], "", "1: ls"),
            (&[], "/tmp/evil", "1: /tmp/evil"),
        ] {
            let entry = Entry { execs: vec![exec(1, argv, path)], ..Entry::default() };
            assert_eq!(names(&[entry]), told, "{argv:?} {path}");
        }
        assert_eq!(arguments(&exec(1, &["ls", "-l"], "/tmp/evil")), "ls -l (/tmp/evil)");
        assert_eq!(arguments(&exec(1, &["-bash", "-i"], "/bin/bash")), "-bash -i");
    }
}
