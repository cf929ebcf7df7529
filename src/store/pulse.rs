//! Whether a recording is still being written, as far as the file system can tell.
//!
//! What a recorder writes is locked as long as it lives, with a lock that only who may write to the file can take. That proves
//! no more than this: somebody who may write to the file has it open. So only a recording under its proper name is believed
//! to be running, and how long ago it was written to is told with it. Refuses to say that a recorder is *at work*: whoever judges a
//! recording compares its signatures, too (a recorder signs within seconds).

use super::Found;
use crate::sys;
use std::fs::File;
use std::time::{Duration, SystemTime};

/// Of a recording that is being written: how long it has been silent, the time since its file was last changed. `None` when nobody
/// is writing it: its lock is not held, or its name is not that of a recording. A file from the future, on a server whose clock is
/// another one's, has been silent for as long as it is ahead.
pub fn silence(found: &Found, file: &File) -> Option<Duration> {
    found.name.as_ref()?;
    if !sys::lock::is_exclusive(file).unwrap_or(false) {
        return None;
    }
    let changed = file.metadata().and_then(|facts| facts.modified()).ok()?;
    let now = SystemTime::now();
    Some(now.duration_since(changed).unwrap_or_else(|ahead| ahead.duration()))
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use crate::sys::eventually;

    #[test]
    fn a_recording_runs_while_who_may_write_holds_it_under_its_own_name_and_its_silence_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let mut recording = store.create(0, &[7; 16]).unwrap();
        recording.publish().unwrap();
        let found = store.find("last").unwrap();
        let file = found.open().unwrap();
        assert!(silence(&found, &file).is_some_and(|silent| silent < Duration::from_secs(600)));
        let writer = File::options().append(true).open(&found.path).unwrap();
        let hour = Duration::from_secs(3600);
        for changed in [SystemTime::now() - hour, SystemTime::now() + hour] {
            writer.set_modified(changed).unwrap();
            let silent = silence(&found, &file).unwrap();
            assert!(silent.abs_diff(hour) < Duration::from_secs(600), "{silent:?}");
        }
        let copy = Found { name: None, path: dir.path().join("copy.scast"), stray: false };
        std::fs::hard_link(&found.path, &copy.path).unwrap();
        assert_eq!(silence(&copy, &copy.open().unwrap()), None);
        drop(recording);
        assert!(eventually(|| silence(&found, &file).is_none()));
        file.try_lock().unwrap();
        assert_eq!(silence(&found, &found.open().unwrap()), None, "reading is no writing");
    }
}
