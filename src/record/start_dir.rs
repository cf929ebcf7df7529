//! The directory with the start-up files of a recorded shell: where it lies, and that it goes, whatever becomes of the recorder.
//!
//! Its name says whose it is: pid namespace, process id, when that process was started, and 128 random bits. A recorder that was
//! killed leaves it behind, with a nonce that is worth nothing any more; the next one clears it away. Refuses to touch what is
//! not named so, is not ours, could be written by others, or belongs to a process that is alive or cannot be seen from here.

use crate::sys::{dir, ids, signals};
use std::ffi::OsStr;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What all names begin with.
const BEGIN: &str = "sealcast";

/// A place for start-up files that goes away with the next start of the host.
pub fn place() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute() && dir.is_dir());
    let run = Path::new("/run");
    match runtime {
        _ if ids::effective_uid() == 0 && run.is_dir() => run.to_path_buf(),
        Some(dir) => dir,
        None => std::env::temp_dir(),
    }
}

/// A directory of this process. Dropped, it is gone.
pub(super) struct StartDir(PathBuf);

impl StartDir {
    /// Makes a new one in `place`, its name ending in `random`. `passable`: others may open files in it whose names they know (the
    /// files say who may read them); nobody else may write in it, or see what is there.
    ///
    /// # Errors
    /// In words: it cannot be made; or we cannot tell who we are, so that another recorder could take it for left behind.
    pub(super) fn create(place: &Path, random: &str, passable: bool) -> Result<Self, String> {
        let pid = std::process::id();
        let (Some(namespace), Some(started)) = (ids::pid_namespace(), ids::started(pid)) else {
            return Err("cannot read in /proc when we were started".to_owned());
        };
        let path = place.join(format!("{BEGIN}-{namespace}-{pid}-{started}-{random}"));
        let told = |error: io::Error| {
            format!("cannot make {}: {error}", crate::text::escaped(&path.to_string_lossy()))
        };
        DirBuilder::new().mode(0o700).create(&path).map_err(told)?;
        let dir = Self(path.clone());
        if passable {
            std::fs::set_permissions(&path, Permissions::from_mode(0o711)).map_err(told)?;
        }
        Ok(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StartDir {
    fn drop(&mut self) {
        // It holds only our own few files; a file left behind is worth nothing once the session is over.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes from `place` what recorders left behind that are gone. What cannot be removed stays.
pub(super) fn clear(place: &Path) {
    let mut left = Vec::new();
    // A place that cannot be read is told of by whoever writes in it.
    let _ = dir::names(place, &mut |name| {
        if is_left_behind(name, ids::started) {
            left.push(place.join(OsStr::from_bytes(name)));
        }
    });
    let ours = |path: &PathBuf| {
        let what = std::fs::symlink_metadata(path);
        what.is_ok_and(|what| what.is_dir() && what.uid() == ids::effective_uid() && what.mode() & 0o022 == 0)
    };
    for path in left.iter().filter(|path| ours(path)) {
        // Another recorder may be faster. Links inside are not followed.
        let _ = std::fs::remove_dir_all(path);
    }
}

/// Whether a name is one of ours, of a process of this pid namespace that is no more. `when` tells when a process was started.
/// What cannot be seen may be there all the same: a recorder forbids core dumps, and with `hidepid` that hides it from who runs it.
fn is_left_behind(name: &[u8], when: impl Fn(u32) -> Option<u64>) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let mut parts = name.split('-');
    let (begin, random) = (parts.next(), parts.next_back());
    let numbers: Option<Vec<u64>> = parts.map(|part| part.parse().ok()).collect();
    let Some([namespace, pid, started]) = numbers.as_deref() else { return false };
    let named = begin == Some(BEGIN)
        && random.is_some_and(|r| r.len() == 32 && r.bytes().all(|b| b.is_ascii_hexdigit()));
    let Ok(pid) = u32::try_from(*pid) else { return false };
    // Without /proc nothing can be said of anybody.
    named
        && ids::pid_namespace() == Some(*namespace)
        && when(std::process::id()).is_some()
        && when(pid).map_or_else(|| !signals::exists(pid), |when| when != *started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_recorder_left_behind_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let random = "0a".repeat(16);
        let (namespace, pid) = (ids::pid_namespace().unwrap(), std::process::id());
        let started = ids::started(pid).unwrap();
        let live = StartDir::create(place.path(), &random, true).unwrap();
        assert_eq!(std::fs::metadata(live.path()).unwrap().mode() & 0o777, 0o711);
        let name = |namespace, pid, started| format!("sealcast-{namespace}-{pid}-{started}-{random}");
        // A process that is no more, and one whose number was given to another.
        let gone = [name(namespace, u32::MAX, 7), name(namespace, pid, started + 1)];
        let open = name(namespace, u32::MAX, 8);
        let stays = [
            &name(namespace + 1, u32::MAX, 7),
            &format!("sealcast-{random}"),
            &format!("sealcast-{namespace}-{pid}-7-short"),
            &format!("other-{namespace}-{}-7-{random}", u32::MAX),
            &open,
        ];
        for name in gone.iter().chain(stays) {
            std::fs::create_dir(place.path().join(name)).unwrap();
            std::fs::write(place.path().join(name).join("start.bash"), "").unwrap();
        }
        std::fs::set_permissions(place.path().join(&open), Permissions::from_mode(0o777)).unwrap();
        let link = name(namespace, u32::MAX, 9);
        std::os::unix::fs::symlink(place.path().join(stays[0]), place.path().join(&link)).unwrap();
        clear(place.path());
        for name in stays.into_iter().chain([&link]) {
            assert!(place.path().join(name).join("start.bash").exists(), "{name}");
        }
        assert!(live.path().is_dir());
        assert!(gone.iter().all(|name| !place.path().join(name).exists()));
        let path = live.path().to_path_buf();
        drop(live);
        assert!(!path.exists());
    }
    #[test]
    fn a_recorder_that_cannot_be_seen_is_not_taken_for_gone() {
        let (namespace, us) = (ids::pid_namespace().unwrap(), std::process::id());
        let name = |pid: u32| format!("sealcast-{namespace}-{pid}-7-{}", "0a".repeat(16)).into_bytes();
        // As with `hidepid`: nobody can be seen but who looks.
        let hidden = |pid: u32| ids::started(pid).filter(|_| pid == us);
        // Whoever started us is alive, ours or not.
        let parent = std::os::unix::process::parent_id();
        assert!(!is_left_behind(&name(parent), hidden));
        assert!(is_left_behind(&name(parent), ids::started), "started at another time");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(!is_left_behind(&name(child.id()), hidden), "not waited for yet");
        child.wait().unwrap();
        assert!(is_left_behind(&name(child.id()), hidden));
        assert!(is_left_behind(&name(u32::MAX), hidden));
        // Without /proc nothing is said of anybody.
        assert!(!is_left_behind(&name(child.id()), |_| None));
    }
}
