//! Our own program: who could change it, who can run it, and whether its file gives rights.

use super::Finding;
use crate::sys::trust;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What is wrong with the file of `program`, which every session of a host runs as root.
pub(super) fn of(program: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let told = program.display();
    let bits = program.metadata().map_or(0, |facts| facts.permissions().mode()) & 0o6000;
    if bits != 0 || trust::gives_rights(program) {
        let mut lent = Finding::serious(format!(
            "{told} has a set-user-id bit, a set-group-id bit or capabilities: everybody whom that gives rights is refused every session"
        ));
        lent.hints.push(format!("`chmod ug-s {told}`, `setcap -r {told}`"));
        found.push(lent);
    }
    if let Some(changed) = changed_by_others(program, &told) {
        let what = "it, and every directory above it, must belong to root and be writable by root alone";
        found.push(Finding::note(format!("{changed}: {what}")));
    }
    if let Some(closed) = trust::closed_to_others(program, trust::Right::Execute) {
        found.push(Finding::note(format!(
            "only root can record: others cannot run {told} (`chmod 755 {}`)",
            closed.display()
        )));
    }
    found
}

/// That others can change a program that root runs, and how; `None` where they cannot.
pub(super) fn changed_by_others(program: &Path, told: &dyn fmt::Display) -> Option<String> {
    let error = trust::open(program, 0).err().filter(|error| error.is_of_trust())?;
    let why = crate::text::chain(&error);
    Some(format!("{told} is run as root, and others can change it ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_others_can_change_or_not_run_or_that_lends_rights_is_told() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root can install a program");
        }
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let program = dir.path().join("sealcast");
        std::fs::write(&program, "").unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (of_dir, mode, serious, says) in [
            (0o755, 0o755, false, None),
            (0o755, 0o775, false, Some("others can change it (cannot trust")),
            (0o777, 0o755, false, Some("others can change it (cannot trust")),
            (0o755, 0o750, false, Some("others cannot run")),
            (0o755, 0o744, false, Some("others cannot run")),
            (0o755, 0o711, false, None),
            (0o700, 0o755, false, Some("others cannot run")),
            (0o755, 0o2755, true, Some("set-group-id bit")),
            (0o755, 0o4755, true, Some("set-user-id bit")),
        ] {
            set(dir.path(), of_dir);
            set(&program, mode);
            let found = of(&program);
            let told: Vec<_> = found.iter().map(|found| (found.serious, &*found.what)).collect();
            match says {
                None => assert_eq!(told, [], "{mode:o}"),
                Some(says) => {
                    assert!(told.len() == 1 && told[0].0 == serious && told[0].1.contains(says), "{told:?}");
                }
            }
        }
    }
}
