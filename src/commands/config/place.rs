//! Where the store is: whether recordings can be made there, who can list them, and what else is there.

use super::{Finding, place_of_store};
use crate::policy::Policy;
use crate::store::{EXTENSION, Store};
use crate::sys;
use std::path::Path;

/// Directories of the system that hold what others need, and must never be closed to them.
const SHARED: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
];

pub(super) fn of(policy: &Policy) -> Vec<Finding> {
    let path = &policy.store.path;
    let apart = "`store.path`: give the store a directory of its own";
    // However it is written, and whatever links lead there.
    if path.canonicalize().is_ok_and(|real| SHARED.iter().any(|shared| real == Path::new(shared))) {
        return vec![Finding::serious(format!("{apart}: {} is one of the system", path.display()))];
    }
    let above = match Store::new(path).try_out() {
        Ok(above) => above,
        Err(error) => return vec![Finding::refused("store.path", error)],
    };
    let mut found = Vec::new();
    if let Some(above) = &above {
        found.push(Finding::note(format!(
            "`store.path`: others can write to {}, and so move the recordings away or put others in their place",
            above.display()
        )));
    }
    if place_of_store(policy).is_some_and(|place| sys::file::lies_in_memory(place).unwrap_or(false)) {
        found.push(Finding::note(format!(
            "`store.path`: {} lies in memory (tmpfs): all recordings are gone once this host is restarted; name a directory on a disk",
            path.display()
        )));
    }
    if holds_others(path) {
        let what = format!("{apart}: there is more in {} than recordings", path.display());
        found.push(Finding::note(what));
    } else if above.is_none() && matches!(sys::trust::mode_for_others(path), Ok(Some(_))) {
        found.push(Finding::note(format!(
            "`store.path`: others can list {0}, and watch the recordings grow: `chmod 700 {0}`",
            path.display()
        )));
    }
    found
}

/// Whether a directory holds anything but recordings, what the check itself makes, and what every new file system has.
fn holds_others(dir: &Path) -> bool {
    let mut others = false;
    let (ending, marks) = (format!(".{EXTENSION}"), format!(".{EXTENSION}.marks.json"));
    // One that is not there holds nothing.
    let _ = sys::dir::names(dir, &mut |name| {
        let ours = name.ends_with(ending.as_bytes())
            || name.ends_with(marks.as_bytes())
            || name.starts_with(b".sealcast-")
            || name == b"lost+found";
        others |= !ours && name != b"." && name != b"..";
    });
    others
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn found(store: &Path) -> Vec<(bool, String)> {
        let recipient = crate::store::personal::identity_file().1;
        let text = format!("[store]\npath = {store:?}\n[recipients]\ndefault = [\"{recipient}\"]\n");
        let policy = Policy::parse(Path::new("/x"), &text).unwrap();
        let all = super::super::surroundings(&policy).into_iter();
        all.filter(|f| f.what.starts_with("`store.path`")).map(|f| (f.serious, f.what)).collect()
    }

    #[test]
    fn a_store_in_memory_is_told() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root looks at the store of a host");
        }
        for (place, told) in [("/dev/shm/no/such", true), ("/var/no/such", false)] {
            let found = found(Path::new(place));
            assert!(found.iter().all(|(serious, _)| !serious), "{found:?}");
            assert_eq!(found.iter().any(|(_, what)| what.contains("lies in memory")), told, "{found:?}");
        }
    }

    #[test]
    fn only_a_directory_of_recordings_alone_is_to_be_closed_to_others() {
        if crate::sys::ids::effective_uid() != 0 {
            return crate::sys::skipped("only root looks at the store of a host");
        }
        for place in ["/", "/usr", "/etc", "/var/lib", "/usr/../var/lib/", "/home", "/run"] {
            let found = found(Path::new(place));
            let is_told =
                |(serious, told): &(bool, String)| *serious && told.contains("directory of its own");
            assert!(found.iter().any(is_told), "{place}: {found:?}");
            assert!(!found.iter().any(|(_, told)| told.contains("chmod")), "{place}: {found:?}");
        }
        let dir = tempfile::tempdir_in("/var").unwrap();
        let told = |mode| {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let notes = found(dir.path());
            assert!(notes.iter().all(|(serious, _)| !serious), "{notes:?}");
            let told: String = notes.into_iter().map(|(_, told)| told).collect();
            (told.contains("chmod 700"), told.contains("directory of its own"))
        };
        assert_eq!(told(0o755), (true, false));
        std::fs::create_dir(dir.path().join("lost+found")).unwrap();
        std::fs::write(dir.path().join("20261124T101112Z-01ARZ3NDEKTSV4RRFFQ69G5FAV.scast"), "").unwrap();
        assert_eq!((told(0o755), told(0o700)), ((true, false), (false, false)));
        std::fs::write(dir.path().join("20261124T101112Z-01ARZ3NDEKTSV4RRFFQ69G5FAV.scast.marks.json"), "")
            .unwrap();
        assert_eq!(told(0o755), (true, false));
        std::fs::write(dir.path().join("dpkg"), "").unwrap();
        assert_eq!((told(0o755), told(0o700)), ((false, true), (false, true)));
    }
}
