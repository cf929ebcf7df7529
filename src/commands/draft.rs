//! A file that a command writes for whoever runs it.
//!
//! Has no name while it is written, where the file system can do that: whoever is killed meanwhile leaves nothing that could be
//! taken for the whole. Refuses to replace anything, and to keep what could not be written whole.

use super::format::shown;
use crate::error::{Error, Kind, Result};
use crate::sys;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Other names that are tried where its own was taken meanwhile.
const MOST_BESIDE: u32 = 99;

/// Why a file cannot be made. What has its name and is none is not to be moved away.
fn refused(error: sys::Error, path: &Path) -> Error {
    let hint = match std::fs::metadata(path) {
        _ if error.kind() != io::ErrorKind::AlreadyExists => return error.into(),
        Ok(facts) if facts.is_dir() => "it is a directory: name a file in it",
        Ok(facts) if !facts.is_file() => {
            "it is a device, a pipe or a socket: name a file; without `-o`, `sealcast export` writes to standard output"
        }
        _ => return error.into(),
    };
    Error::from_source(Kind::System, &error).hint(hint)
}

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
    pub(super) fn begin(path: &Path) -> Result<Self> {
        // Made under its name in any case: what is wrong with that is said before the work, not after it. It does not stay there:
        // whoever is killed would leave it, and one that is renamed over another could replace what somebody else put there.
        let named = sys::file::create_new(path).map_err(|error| refused(error, path))?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let nameless = sys::file::create_nameless(dir).ok().flatten();
        let (file, named) = match nameless.filter(|_| std::fs::remove_file(path).is_ok()) {
            Some(file) => (file, false),
            None => (named, true),
        };
        Ok(Self { path: path.to_owned(), file, named, failed: false })
    }

    /// Keeps it, unless a write failed. Where its name was taken meanwhile, it is kept beside what has that now, under the first of its
    /// name with `.1` to `.99` that is free.
    ///
    /// # Errors
    /// The name was taken meanwhile, which says what it is called instead; or the system's.
    pub(super) fn keep(mut self) -> Result<()> {
        if self.failed {
            return Ok(());
        }
        self.file.sync_all().map_err(|error| sys::Error::at("sync", &self.path, error))?;
        if !self.named {
            return sys::file::give_name(&self.file, &self.path).map_err(|taken| self.beside(taken));
        }
        self.named = false;
        Ok(())
    }

    /// Keeps it under another name, where its own was `taken`. Gives what is said of that.
    fn beside(&self, taken: sys::Error) -> Error {
        for number in 1..=MOST_BESIDE {
            if taken.kind() != io::ErrorKind::AlreadyExists {
                break;
            }
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            let name = PathBuf::from(name);
            match sys::file::give_name(&self.file, &name) {
                Ok(()) => {
                    let (own, name) = (shown(&self.path), shown(&name));
                    return Error::new(
                        Kind::System,
                        format!(
                            "{own} was made by somebody else meanwhile, and is left as it is; what was written is in {name}"
                        ),
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(_) => break,
            }
        }
        taken.into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_what_is_no_file_is_not_told_to_move_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for (path, says) in [
            (Path::new("/dev/null"), "writes to standard output"),
            (&link, "writes to standard output"),
            (dir.path(), "name a file in it"),
            (&file, "move the old one away"),
        ] {
            let error = Draft::begin(path).err().unwrap();
            let [hint] = error.hints() else { panic!("{:?}", error.hints()) };
            assert!(hint.contains(says) && error.to_string().contains("File exists"), "{error}: {hint}");
        }
    }

    #[test]
    fn what_was_written_is_not_lost_where_its_name_was_taken_meanwhile_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        if sys::file::create_nameless(dir.path()).unwrap().is_none() {
            sys::skipped("this file system has no files without a name");
            return;
        }
        let path = dir.path().join("part.cast");
        let (beside, free) = (dir.path().join("part.cast.1"), dir.path().join("part.cast.2"));
        let mut draft = Draft::begin(&path).unwrap();
        draft.write_all(b"the work of an hour").unwrap();
        std::fs::write(&path, "mine").unwrap();
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &beside).unwrap();
        let said = draft.keep().unwrap_err().to_string();
        assert!(said.contains("part.cast was made") && said.ends_with("part.cast.2"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(std::fs::read(&free).unwrap(), b"the work of an hour");
        assert!(!dir.path().join("nowhere").exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
