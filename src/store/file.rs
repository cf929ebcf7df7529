//! The file of a recording while it is written.

use crate::container::Sink;
use crate::sys;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A new recording's file, locked for as long as it is held.
#[derive(Debug)]
pub struct RecordingFile {
    path: PathBuf,
    file: File,
}

impl RecordingFile {
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self { path, file }
    }

    /// Where it is.
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

    /// Gives the reserve back.
    ///
    /// # Errors
    /// The system's.
    pub fn release_reserve(&self) -> Result<(), sys::Error> {
        sys::file::release_reserve(&self.file)
    }

    /// Room left on the file system, bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn free_space(&self) -> Result<u64, sys::Error> {
        Ok(sys::file::free_space(&self.path)?.available)
    }
}

impl Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for RecordingFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
