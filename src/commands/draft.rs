//! A file that a command writes for whoever runs it.
//!
//! Has no name while it is written, where the file system can do that: whoever is killed meanwhile leaves nothing that could be
//! taken for the whole. Refuses to replace anything, and to keep what could not be written whole.

use crate::sys;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is kept only when that is said.
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    /// It has its name already.
    named: bool,
    /// A write failed: whoever wrote was told.
    failed: bool,
}

impl Draft {
    /// Begins a new file, which only we can read.
    ///
    /// # Errors
    /// It exists already, or cannot be made.
    pub(super) fn begin(path: &Path) -> sys::Result<Self> {
        // Made under its name in any case: what is wrong with that is said before the work, not after it.
        let named = sys::file::create_new(path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let nameless = sys::file::create_nameless(dir).ok().flatten();
        let (file, named) = match nameless.filter(|_| std::fs::remove_file(path).is_ok()) {
            Some(file) => (file, false),
            None => (named, true),
        };
        Ok(Self { path: path.to_owned(), file, named, failed: false })
    }

    /// Keeps it, unless a write failed.
    ///
    /// # Errors
    /// The name was taken meanwhile, or the system's.
    pub(super) fn keep(mut self) -> sys::Result<()> {
        if self.failed {
            return Ok(());
        }
        self.file.sync_all().map_err(|error| sys::Error::at("sync", &self.path, error))?;
        if !self.named {
            return sys::file::give_name(&self.file, &self.path);
        }
        self.named = false;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.named {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wrote = self.file.write(bytes);
        self.failed |= wrote.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        wrote
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
