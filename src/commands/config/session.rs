//! What a session begins with: the shell inside, and the variables that it keeps.

use super::Finding;
use super::program::changed_by_others;
use crate::policy::{Names, Policy};
use crate::record::elevate::{MADE_ANEW, kept_in_vain};
use crate::sys::trust;
use crate::text::escaped;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Shells that are named to give nobody one.
const RUNS_NOTHING: [&str; 4] = ["false", "true", "nologin", "sync"];

/// Variables that name a program, a line or a file of options which others run or follow. There are good reasons to keep some of them.
const CHOOSES_PROGRAMS: [&str; 28] = [
    "BROWSER",
    "CVS_RSH",
    "EDITOR",
    "EXINIT",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "LESS",
    "LESSCLOSE",
    "LESSKEYIN",
    "LESSOPEN",
    "MAKEFLAGS",
    "MANPAGER",
    "MYVIMRC",
    "PAGER",
    "RSYNC_RSH",
    "SSH_ASKPASS",
    "SUDO_EDITOR",
    "SYSTEMD_EDITOR",
    "SYSTEMD_PAGER",
    "TAR_OPTIONS",
    "VIMINIT",
    "VISUAL",
];

/// What is wrong with the shell that the configuration names, or strange for one.
pub(super) fn of_shell(policy: &Policy) -> Vec<Finding> {
    let Some(shell) = policy.shell.as_deref() else { return Vec::new() };
    let told = format!("`run.shell`: {}", shell.display());
    if let Some(why) = no_shell(shell) {
        return vec![Finding::serious(format!("{told} {why}"))];
    }
    let mut found = Vec::new();
    let name = shell.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if RUNS_NOTHING.contains(&name) {
        found.push(Finding::note(format!(
            "{told} runs nothing: a session without a command ends at once, and so does every login with this program as its shell"
        )));
    } else if is_listed(Path::new("/etc/shells"), shell) == Some(false) {
        found.push(Finding::note(format!(
            "{told} is not in /etc/shells: it must be one that runs a line with `-c`"
        )));
    }
    found.extend(changed_by_others(shell, &told).map(Finding::note));
    if let Some(closed) = trust::closed_to_others(shell, trust::Right::Execute) {
        found.push(Finding::note(format!(
            "{told}: only sessions of root can run it (`chmod 755 {}`)",
            closed.display()
        )));
    }
    found
}

/// Why a file is no shell to be run; `None` when it may be one.
fn no_shell(shell: &Path) -> Option<&'static str> {
    let ourselves = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    match std::fs::metadata(shell) {
        Err(_) => Some("is not there"),
        Ok(facts) if !facts.is_file() || facts.permissions().mode() & 0o111 == 0 => {
            Some("cannot be executed")
        }
        Ok(_) if shell.canonicalize().ok() == ourselves => {
            Some("is this program: it would record itself without end")
        }
        Ok(_) => None,
    }
}

/// Whether a list of shells has this one, or one that is the same file; `None` where there is no list.
fn is_listed(list: &Path, shell: &Path) -> Option<bool> {
    let list = std::fs::read(list).ok()?;
    let list = String::from_utf8_lossy(&list);
    let real = shell.canonicalize().ok();
    let is_it = |listed: &Path| listed == shell || (real.is_some() && listed.canonicalize().ok() == real);
    Some(list.lines().map(str::trim).filter(|line| line.starts_with('/')).any(|line| is_it(Path::new(line))))
}

/// Variables that are kept in vain, or dangerous to keep, and what is no name of one.
pub(super) fn of_kept_variables(policy: &Policy) -> Vec<Finding> {
    let (in_vain, everything) = kept_in_vain(policy);
    let mut found: Vec<_> = in_vain
        .into_iter()
        .map(|name| {
            let why = match MADE_ANEW.contains(&name) {
                true => "every session has its own",
                false => "it can make programs run something else",
            };
            Finding::note(format!("`run.env.keep`: `{name}` is never kept: {why}"))
        })
        .collect();
    for (key, names) in [("keep", &policy.keep), ("withhold", &policy.withhold)] {
        found.extend(names.of_nothing().map(|name| {
            let what = "names stand there as they are, and `*` for anything";
            Finding::note(format!("`run.env.{key}`: no variable is called `{}`: {what}", escaped(name)))
        }));
    }
    if everything {
        let what = "keeps all that whoever calls has set, but for what is known to make shells run something else: name what is needed";
        found.push(Finding::note(format!("`run.env.keep`: \"*\" {what}")));
    } else {
        let chosen = policy.keep.patterns().iter().filter(|pattern| {
            let pattern = Names::new([pattern.as_str()]);
            CHOOSES_PROGRAMS.iter().any(|name| pattern.contains(name))
        });
        let chosen: Vec<_> = chosen.map(|pattern| format!("`{}`", escaped(pattern))).collect();
        if !chosen.is_empty() {
            let what = "whoever calls chooses by it what other programs run: keep it only for those who may run everything";
            found.push(Finding::note(format!("`run.env.keep`: {}: {what}", chosen.join(", "))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(run: &str) -> Policy {
        let recipient = crate::store::personal::identity_file().1;
        let text = format!("[recipients]\ndefault = [\"{recipient}\"]\n[run]\n{run}\n");
        Policy::parse(Path::new("/x"), &text).unwrap()
    }

    #[test]
    fn a_shell_that_runs_nothing_or_is_none_or_that_others_can_change_is_told() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (ours, closed) = (dir.path().join("false"), dir.path().join("sh"));
        for (file, mode) in [(&ours, 0o777), (&closed, 0o700)] {
            std::fs::write(file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let told = |shell: &Path| {
            let found = of_shell(&policy(&format!("shell = \"{}\"", shell.display())));
            assert!(found.iter().all(|finding| !finding.serious));
            found.into_iter().map(|finding| finding.what).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(Path::new("/bin/sh")), "");
        assert!(told(Path::new("/bin/false")).contains("runs nothing"));
        assert!(told(Path::new("/usr/bin/env")).contains("not in /etc/shells"));
        assert!(told(&ours).contains("others can change it"), "{}", told(&ours));
        assert!(told(&closed).contains("only sessions of root can run it"), "{}", told(&closed));
    }

    #[test]
    fn a_shell_is_listed_under_any_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let (list, link) = (dir.path().join("shells"), dir.path().join("link"));
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        assert_eq!(is_listed(&list, &link), None);
        for (text, listed) in [("# /bin/sh\n", false), ("\n/bin/sh \n", true), ("/nonexistent\n", false)] {
            std::fs::write(&list, text).unwrap();
            assert_eq!(is_listed(&list, &link), Some(listed), "{text}");
        }
    }

    #[test]
    fn variables_with_which_whoever_calls_chooses_what_programs_run_are_told() {
        let told = |keep: &str| {
            let found = of_kept_variables(&policy(&format!("env = {{ keep = [{keep}] }}")));
            let found = found.into_iter().map(|finding| finding.what);
            found.filter(|what| what.contains("chooses by it")).collect::<Vec<_>>().join("\n")
        };
        let noted = told("\"LANG\", \"EDITOR\", \"LESS*\", \"LC_*\"");
        assert!(noted.starts_with("`run.env.keep`: `EDITOR`, `LESS*`: whoever calls"), "{noted}");
        assert_eq!(told("\"LANG\", \"LC_*\", \"SSH_TTY\", \"TZ\""), "");
        assert_eq!(told("\"*\""), "", "all of it is told of in other words");
        assert!(of_kept_variables(&Policy { keep: Names::new(["LANG"]), ..policy("") }).is_empty());
    }
}
