//! The marks of investigators, kept beside a recording in `NAME.scast.marks.json`, never in it.
//!
//! Several may watch the same recording: what each changes is done to what the file holds by then, under its lock.

use super::format::shown;
use crate::error::{Error, Kind, Result};
use crate::player::Mark;
use crate::sys;
use crate::sys::poll::Set;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest file of marks that is read, bytes.
const MAX: u64 = 1 << 20;
/// How long it is waited for another who changes the file, which is done in a moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the marks of a recording are kept.
pub(super) fn path_of(recording: &Path) -> PathBuf {
    beside(recording, ".marks.json")
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(more);
    name.into()
}

/// The marks in a file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Mark>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    read_from(&sys::file::open_read_nofollow(path)?, path)
}

fn read_from(file: &File, path: &Path) -> Result<Vec<Mark>> {
    use std::io::Read as _;
    let mut text = String::new();
    file.take(MAX).read_to_string(&mut text).map_err(|e| sys::Error::at("read", path, e))?;
    if text.is_empty() {
        // Made by somebody who did not come to write it.
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).map_err(|error| {
        Error::new(Kind::Input, format!("{}: {error}", shown(path)))
            .hint("it holds marks that were set in the player; move it away to watch without them")
    })
}

/// Keeps the marks `after` of one who knew of `before`: what was added and taken away is done to what others have written
/// meanwhile. Gives what the file now holds.
pub(super) fn keep(path: &Path, before: &[Mark], after: &[Mark]) -> Result<Vec<Mark>> {
    keep_within(PATIENCE, path, before, after)
}

fn keep_within(patience: Duration, path: &Path, before: &[Mark], after: &[Mark]) -> Result<Vec<Mark>> {
    let file = locked(path, patience)?;
    let marks = changed(read_from(&file, path)?, before, after);
    write(path, &marks)?;
    Ok(marks)
}

/// The file, made where there is none, locked until it is closed. Who replaces it does so under its lock, so that only what still
/// has the name counts.
fn locked(path: &Path, patience: Duration) -> Result<File> {
    let end = Instant::now() + patience;
    loop {
        let file = sys::file::open_append(path)?;
        // On a file system without locks, what others write in the same moment may be lost.
        let is_locked = sys::lock::try_exclusive(&file).unwrap_or(true);
        let inode = |facts: std::fs::Metadata| (facts.dev(), facts.ino());
        let named = path.symlink_metadata().map(inode).ok();
        if is_locked && named.is_some() && named == file.metadata().map(inode).ok() {
            return Ok(file);
        }
        if Instant::now() >= end {
            return Err(Error::new(Kind::System, format!("{}: somebody else is changing it", shown(path)))
                .hint("set the mark again"));
        }
        Set::default().wait(Some(Duration::from_millis(10)))?;
    }
}

/// What somebody made of `before`, done to `marks`.
fn changed(mut marks: Vec<Mark>, before: &[Mark], after: &[Mark]) -> Vec<Mark> {
    for gone in without(before, after) {
        if let Some(at) = marks.iter().position(|mark| *mark == gone) {
            marks.remove(at);
        }
    }
    marks.extend(without(after, before));
    marks.sort_by_key(|mark| mark.at);
    marks
}

/// What of `some` is not in `others`; of two alike, each counts.
fn without(some: &[Mark], others: &[Mark]) -> Vec<Mark> {
    let mut left = some.to_vec();
    for other in others {
        if let Some(at) = left.iter().position(|mark| mark == other) {
            left.remove(at);
        }
    }
    left
}

/// Whole or not at all: written beside it first.
fn write(path: &Path, marks: &[Mark]) -> Result<()> {
    let new = beside(path, ".new");
    // One that a crash left behind.
    let _ = std::fs::remove_file(&new);
    let text =
        serde_json::to_vec_pretty(marks).map_err(|error| Error::new(Kind::System, error.to_string()))?;
    sys::file::write_new(&new, &text)?;
    std::fs::rename(&new, path).map_err(|e| sys::Error::at("rename", &new, e))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at: u64, note: &str) -> Mark {
        Mark { at, note: note.into() }
    }

    #[test]
    fn what_two_investigators_do_to_marks_is_both_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(&dir.path().join("a.scast"));
        let old = [mark(1, "old"), mark(9, "older")];
        assert_eq!(keep(&path, &[], &old).unwrap(), old);
        // Both have read it. One adds, the other adds the same and takes one away.
        assert_eq!(keep(&path, &old, &[mark(1, "old"), mark(5, "x"), mark(9, "older")]).unwrap().len(), 3);
        let both = keep(&path, &old, &[mark(3, "mine"), mark(5, "x"), mark(9, "older")]).unwrap();
        assert_eq!(both, [mark(3, "mine"), mark(5, "x"), mark(5, "x"), mark(9, "older")]);
        assert_eq!(read(&path).unwrap(), both);
        assert_eq!(keep(&path, &both, &[]).unwrap(), []);
    }

    #[test]
    fn a_file_that_another_changes_or_that_is_none_of_marks_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        assert_eq!(read(&path).unwrap(), []);
        keep(&path, &[], &[mark(1, "first")]).unwrap();
        let held = locked(&path, Duration::ZERO).unwrap();
        let error = keep_within(Duration::ZERO, &path, &[], &[mark(2, "second")]).unwrap_err();
        assert!(error.to_string().contains("somebody else is changing it"), "{error}");
        drop(held);
        assert_eq!(read(&path).unwrap(), [mark(1, "first")]);
        std::fs::write(&path, "[{").unwrap();
        assert!(keep(&path, &[], &[mark(2, "second")]).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[{");
    }
}
