//! The file of a recording while it is written.
//!
//! It has no name before it has a beginning: whoever lists a store in that moment would find a file that is no recording.

use crate::container::Sink;
use crate::sys;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a new file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has no name.
    Nameless,
    /// It has its name, and nobody knows yet whether it will be a recording.
    Named,
    /// It is a recording.
    Published,
}

/// A new recording's file, locked for as long as it is held.
#[derive(Debug)]
pub struct RecordingFile {
    path: PathBuf,
    file: File,
    stage: Stage,
    /// Bytes that were written to it and not cut off again.
    length: u64,
    /// Whether its file system counts the names of a file: it said that this one had one, once it had.
    counts_names: bool,
    /// Whether it has the append-only attribute.
    append_only: AtomicBool,
    /// Space for the close, held where our own writes cannot use it up.
    ballast: Mutex<Option<File>>,
}

impl RecordingFile {
    pub(super) fn new(path: PathBuf, file: File, stage: Stage) -> Self {
        let (append_only, ballast) = (AtomicBool::new(false), Mutex::new(None));
        Self { path, file, stage, length: 0, counts_names: false, append_only, ballast }
    }

    /// Gives it its name: what it has is the beginning of a recording. One that is dropped before leaves nothing behind.
    ///
    /// # Errors
    /// The name is taken, or the system's.
    pub fn publish(&mut self) -> Result<(), sys::Error> {
        if self.stage == Stage::Nameless {
            sys::file::give_name(&self.file, &self.path)?;
            self.stage = Stage::Named;
        }
        // The name must survive a loss of power as the content does.
        sys::file::sync_dir(self.dir())?;
        self.counts_names = self.file.metadata().is_ok_and(|facts| facts.nlink() > 0);
        self.stage = Stage::Published;
        Ok(())
    }

    /// Whether there is more than the first `length` bytes. That there is less, or no file any more, is an error: what is written
    /// from then on nobody could read.
    fn is_longer(&self, length: u64) -> io::Result<bool> {
        let facts = self.file.metadata()?;
        if self.counts_names && facts.nlink() == 0 {
            return Err(io::Error::other("its file was deleted"));
        }
        if facts.len() < length {
            return Err(io::Error::other("its file was cut"));
        }
        Ok(facts.len() > length)
    }

    fn dir(&self) -> &Path {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        dir.unwrap_or(Path::new("."))
    }

    /// Where it is, or will be once it is published.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds space in reserve behind the end of the file, so that a recording can be closed on a full disk. `false` when the
    /// file system cannot.
    ///
    /// # Errors
    /// There is no room, or the system's.
    pub fn reserve(&self, bytes: u64) -> Result<bool, sys::Error> {
        sys::file::reserve(&self.file, bytes)
    }

    /// Whether [`RecordingFile::make_append_only`] will work.
    pub fn can_be_append_only(&self) -> bool {
        let made = sys::file::set_append_only(&self.file, true);
        matches!(made, Ok(true)) && matches!(sys::file::set_append_only(&self.file, false), Ok(true))
    }

    /// Gives the file the append-only attribute (`chattr +a`), which it keeps: even root must take it away first, and that
    /// is one more thing to be seen. `false` where the file system has none or we may not.
    ///
    /// # Errors
    /// The system's.
    pub fn make_append_only(&self) -> Result<bool, sys::Error> {
        let made = sys::file::set_append_only(&self.file, true)?;
        self.append_only.store(made, Ordering::Relaxed);
        Ok(made)
    }

    /// Holds `bytes` for the close, apart from the reserve behind the end, which our own writes use up. `false` when the
    /// file system cannot.
    ///
    /// # Errors
    /// There is no room, or the system's.
    pub fn hold_ballast(&self, bytes: u64) -> Result<bool, sys::Error> {
        let held = sys::file::ballast(self.dir(), bytes)?;
        let mut ballast = self.ballast.lock().unwrap_or_else(PoisonError::into_inner);
        *ballast = held;
        Ok(ballast.is_some())
    }

    /// Gives the ballast back: the close begins.
    pub fn drop_ballast(&self) {
        self.ballast.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Gives back what recorders held here who are dead (see [`super::Store::give_back`]).
    pub fn give_back(&self) {
        super::Store::new(self.dir()).give_back();
    }

    /// Gives the reserve back.
    ///
    /// # Errors
    /// The system's.
    pub fn release_reserve(&self) -> Result<(), sys::Error> {
        release(&self.file, self.append_only.load(Ordering::Relaxed))
    }

    /// Room left on the file system, bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn free_space(&self) -> Result<u64, sys::Error> {
        Ok(sys::file::free_space(self.dir())?.available)
    }
}

/// Gives the reserve behind the end of a file back; its times stay.
pub(super) fn release(file: &File, append_only: bool) -> Result<(), sys::Error> {
    cutting(file, append_only, sys::file::release_reserve)
}

/// Cuts a file, even to its own length, which is not appending.
fn cutting(
    file: &File,
    append_only: bool,
    cut: impl FnOnce(&File) -> Result<(), sys::Error>,
) -> Result<(), sys::Error> {
    if append_only {
        sys::file::set_append_only(file, false)?;
    }
    let done = cut(file);
    if append_only {
        sys::file::set_append_only(file, true)?;
    }
    done
}

impl Drop for RecordingFile {
    fn drop(&mut self) {
        if self.stage == Stage::Named {
            // What has no beginning is no recording. What stays is reported by whoever lists it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length = self.length.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for RecordingFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn kept(&mut self) -> io::Result<()> {
        match self.is_longer(self.length)? {
            true => Err(io::Error::other("somebody else wrote to its file")),
            false => Ok(()),
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.is_longer(length)?;
        let cut = |file: &File| file.set_len(length).map_err(|e| sys::Error::new("cut", "the recording", e));
        cutting(&self.file, self.append_only.load(Ordering::Relaxed), cut).map_err(|error| error.source)?;
        self.length = length;
        Ok(())
    }

    fn has_room(&mut self, bytes: u64) -> bool {
        self.reserve(bytes).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[test]
    fn a_file_that_was_deleted_or_cut_or_that_others_write_to_is_seen_and_only_what_they_added_can_be_mended()
    {
        let dir = tempfile::tempdir().unwrap();
        let mut recording = Store::new(dir.path()).create(0, &[7; 16]).unwrap();
        recording.write_all(b"begin").unwrap();
        // Without a name, as a rule.
        recording.kept().unwrap();
        recording.publish().unwrap();
        recording.reserve(1 << 20).unwrap();
        recording.kept().unwrap();
        let theirs = File::options().append(true).open(recording.path()).unwrap();
        (&theirs).write_all(b"XXXX").unwrap();
        recording.write_all(b"more").unwrap();
        assert_eq!(recording.kept().unwrap_err().to_string(), "somebody else wrote to its file");
        recording.cut(5).unwrap();
        recording.write_all(b"more").unwrap();
        recording.kept().unwrap();
        assert_eq!(std::fs::read(recording.path()).unwrap(), b"beginmore");
        theirs.set_len(2).unwrap();
        for seen in [recording.kept(), recording.cut(5)] {
            assert_eq!(seen.unwrap_err().to_string(), "its file was cut");
        }
        assert_eq!(theirs.metadata().unwrap().len(), 2, "no zeros are put in its place");
        theirs.set_len(9).unwrap();
        recording.kept().unwrap();
        std::fs::remove_file(recording.path()).unwrap();
        for seen in [recording.kept(), recording.cut(5)] {
            assert_eq!(seen.unwrap_err().to_string(), "its file was deleted");
        }
    }
}
