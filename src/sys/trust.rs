//! Files that may decide what we do: who could have written them, and the directories and symbolic links on the way to them.
//!
//! Who may change a link decides which file it is. Refuses whatever someone other than root and the owner could have changed.

use super::{Error, Result, file};
use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// Most links on one way, as in the kernel (`MAXSYMLINKS`).
const MOST: usize = 40;

/// What [`open`] does with a file before it is one that may decide what we do.
const TRUST: &str = "trust";

impl Error {
    /// Whether someone other than root and the owner could have changed what was to be opened.
    pub fn is_of_trust(&self) -> bool {
        self.operation == TRUST
    }
}

/// Whether a program has root's rights, or capabilities, by its file, whoever starts it: a set-user-id bit of root's, or capabilities,
/// on a file system where these count. What cannot be looked at is taken to have them.
pub fn gives_rights(program: &Path) -> bool {
    let Ok(facts) = fs::metadata(program) else { return true };
    let Ok(name) = CString::new(program.as_os_str().as_bytes()) else { return true };
    // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
    let mut system: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and `system` is a valid place to write to.
    let told = unsafe { libc::statvfs(name.as_ptr(), &mut system) } == 0;
    if told && system.f_flag & libc::ST_NOSUID != 0 {
        return false;
    }
    let attribute = c"security.capability";
    // SAFETY: both names end with a zero; nothing is written where no room is given.
    let length = unsafe { libc::getxattr(name.as_ptr(), attribute.as_ptr(), std::ptr::null_mut(), 0) };
    (facts.mode() & libc::S_ISUID != 0 && facts.uid() == 0) || length > 0
}

/// Opens a file that may decide what we do (configuration, keys): it and every directory above it must belong to root
/// or to `owner` and must not be writable by anyone else. So must every symbolic link on the way, and the directories above that:
/// whoever can change one decides which file it is. A sticky directory such as `/tmp` is accepted above the one it is in, and not as
/// that: it keeps others from a file that is there, and lets the first who comes put one there, be it another name of one that is trusted.
///
/// # Errors
/// `PermissionDenied` with the reason when it could have been written by others; as [`file::open_read`] otherwise.
pub fn open(path: &Path, owner: u32) -> Result<File> {
    open_in(path, owner, false)
}

/// As [`open`]; with `sticky`, a file may also be in a sticky directory itself.
fn open_in(path: &Path, owner: u32, sticky: bool) -> Result<File> {
    let real = fs::canonicalize(path).map_err(|e| Error::at("open", path, e))?;
    let opened = file::open_read_nofollow(&real)?;
    let facts = opened.metadata().map_err(|e| Error::at("examine", path, e))?;
    let refuse = |at: &Path, why: String| {
        Err(Error::at(TRUST, at, io::Error::new(io::ErrorKind::PermissionDenied, why)))
    };
    if let Some(why) = writable_by_others(&facts, owner) {
        return refuse(path, why);
    }
    let asked = std::path::absolute(path).map_err(|e| Error::at("open", path, e))?;
    for dir in [asked.parent(), real.parent()].into_iter().flatten().filter(|_| !sticky) {
        let facts = fs::metadata(dir).map_err(|e| Error::at("examine", dir, e))?;
        if let Some(why) = writable_by_others(&facts, owner) {
            return refuse(dir, why);
        }
    }
    if let Some((place, why)) = led_by_others(path, owner)? {
        return refuse(&place, why);
    }
    match open_to_others(real.ancestors().skip(1), owner)? {
        Some((above, why)) => refuse(above, why),
        None => Ok(opened),
    }
}

/// The text of a file that may decide what we do, of no more than `limit` bytes; see [`open`]. It may be a secret.
///
/// # Errors
/// As [`open`]; when it is longer, or no text.
pub fn read(path: &Path, owner: u32, limit: u64) -> Result<Zeroizing<String>> {
    text_of(open(path, owner)?, path, limit)
}

/// As [`read`], for a file that is only looked at and decides nothing: it may be in `/tmp`.
///
/// # Errors
/// As [`read`].
pub fn read_draft(path: &Path, owner: u32, limit: u64) -> Result<Zeroizing<String>> {
    text_of(open_in(path, owner, true)?, path, limit)
}

fn text_of(file: File, path: &Path, limit: u64) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(limit + 1).read_to_string(&mut text).map_err(|e| Error::at("read", path, e))?;
    if text.len() as u64 > limit {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes"));
        return Err(Error::at("read", path, error));
    }
    Ok(text)
}

/// What lets someone other than root and `owner` choose where a path leads, and why: a symbolic link on the way that is theirs, or a
/// directory above one.
pub(super) fn led_by_others(path: &Path, owner: u32) -> Result<Option<(PathBuf, String)>> {
    for link in on_the_way(path).map_err(|e| Error::at("open", path, e))? {
        let of = fs::symlink_metadata(&link).map_err(|e| Error::at("examine", &link, e))?.uid();
        if of != 0 && of != owner {
            return Ok(Some((link, format!("it is a link that belongs to user {of}"))));
        }
        if let Some((above, why)) = open_to_others(link.ancestors().skip(1), owner)? {
            return Ok(Some((above.to_path_buf(), why)));
        }
    }
    Ok(None)
}

/// The first of these directories that someone other than root and `owner` can change, and why. A sticky one of root's, such as
/// `/tmp`, lets nobody touch what is another's.
pub(super) fn open_to_others<'p>(
    dirs: impl Iterator<Item = &'p Path>,
    owner: u32,
) -> Result<Option<(&'p Path, String)>> {
    for dir in dirs {
        let facts = fs::symlink_metadata(dir).map_err(|e| Error::at("examine", dir, e))?;
        let sticky = facts.mode() & libc::S_ISVTX != 0 && facts.uid() == 0;
        if let Some(why) = writable_by_others(&facts, owner)
            && !sticky
        {
            return Ok(Some((dir, why)));
        }
    }
    Ok(None)
}

/// What others than the owner of a file and its group may need to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read it.
    Read = 0o004,
    /// To run it, or to go through a directory.
    Execute = 0o001,
}

/// The file, or the first directory above it, that keeps others than its owner and group from this; `None` where they can, or where it
/// is not there.
pub fn closed_to_others(path: &Path, right: Right) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let closed =
        |path: &Path, right: Right| fs::metadata(path).is_ok_and(|facts| facts.mode() & right as u32 == 0);
    if closed(&real, right) {
        return Some(real);
    }
    real.ancestors().skip(1).find(|dir| closed(dir, Right::Execute)).map(Path::to_path_buf)
}

/// The mode of a file or a directory, if it gives others than its owner any right.
///
/// # Errors
/// When it cannot be examined.
pub fn mode_for_others(path: &Path) -> Result<Option<u32>> {
    let mode = fs::metadata(path).map_err(|e| Error::at("examine", path, e))?.mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// Why something could be changed by someone other than root and `owner`, if so.
pub(super) fn writable_by_others(facts: &fs::Metadata, owner: u32) -> Option<String> {
    if facts.uid() != 0 && facts.uid() != owner {
        return Some(format!("it belongs to user {}", facts.uid()));
    }
    let mode = facts.mode() & 0o7777;
    let by = match mode & 0o022 {
        0 => return None,
        0o020 => "its group",
        _ => "everyone",
    };
    Some(format!("it can be written by {by} (mode {mode:04o})"))
}

/// The first symbolic link on the way to a file or a directory, and the path without any; what is not there yet counts as what it will
/// be. `None` where there is none.
///
/// # Errors
/// What is there cannot be looked at.
pub fn first_link(path: &Path) -> Result<Option<(PathBuf, PathBuf)>> {
    let failed = |e| Error::at("open", path, e);
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(path);
    let Some(link) = on_the_way(there).map_err(failed)?.into_iter().next() else { return Ok(None) };
    let real = fs::canonicalize(there).map_err(failed)?;
    Ok(Some((
        link,
        real.components().chain(path.strip_prefix(there).into_iter().flat_map(Path::components)).collect(),
    )))
}

/// Every symbolic link on the way, the last one included, in a directory that is named without any.
///
/// # Errors
/// Something on the way does not exist or cannot be looked at; more links than the kernel follows.
fn on_the_way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut place = PathBuf::from("/");
    let mut ahead = steps(&std::path::absolute(path)?);
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            place.pop();
            continue;
        }
        let next = place.join(step);
        if !next.symlink_metadata()?.is_symlink() {
            place = next;
            continue;
        }
        let target = next.read_link()?;
        if target.is_absolute() {
            place = PathBuf::from("/");
        }
        let mut before = steps(&target);
        before.append(&mut ahead);
        ahead = before;
        found.push(next);
        if found.len() > MOST {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
    }
    Ok(found)
}

/// The names of a path, and `..`.
fn steps(path: &Path) -> VecDeque<OsString> {
    let step = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_file_that_others_can_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        file::write_new(&path, b"").unwrap();
        let me = super::super::ids::effective_uid();
        assert!(open(&path, me).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        let error = open(&path, me).unwrap_err();
        assert!(error.source.to_string().contains("its group"), "{}", error.source);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open(&path, me).unwrap_err().source.to_string().contains("everyone"));
    }

    #[test]
    fn a_link_that_others_can_change_makes_no_file_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let (real, others) = (dir.path().join("real"), dir.path().join("open"));
        for dir in [&real, &others] {
            fs::create_dir(dir).unwrap();
        }
        file::write_new(&real.join("config"), b"").unwrap();
        // To the file; to the directory; by way of another link.
        symlink(real.join("config"), others.join("file")).unwrap();
        symlink("../real", others.join("dir")).unwrap();
        symlink(others.join("file"), real.join("again")).unwrap();
        let me = super::super::ids::effective_uid();
        let ways = [others.join("file"), others.join("dir/config"), real.join("again")];
        for way in &ways {
            open(way, me).unwrap();
        }
        fs::set_permissions(&others, fs::Permissions::from_mode(0o777)).unwrap();
        for way in &ways {
            let error = open(way, me).unwrap_err();
            assert!(error.source.to_string().contains("everyone"), "{}: {}", way.display(), error.source);
        }
        open(&real.join("config"), me).unwrap();
    }

    #[test]
    fn a_sticky_directory_is_accepted_above_the_one_that_a_file_or_its_link_is_in_and_not_as_that() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, own) = (dir.path().join("shared"), dir.path().join("shared/own"));
        for dir in [&shared, &own] {
            fs::create_dir(dir).unwrap();
        }
        file::write_new(&own.join("config"), b"").unwrap();
        fs::hard_link(own.join("config"), shared.join("config")).unwrap();
        symlink("own/config", shared.join("link")).unwrap();
        symlink("../config", own.join("link")).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        if fs::metadata(&shared).unwrap().uid() != 0 {
            super::super::skipped("only root has a sticky directory that is trusted");
            return;
        }
        let open = |path: PathBuf| open(&path, 0).map(drop).map_err(|error| error.source.to_string());
        assert_eq!(open(own.join("config")), Ok(()));
        for refused in [shared.join("config"), shared.join("link"), own.join("link")] {
            let why = Err("it can be written by everyone (mode 1777)".to_owned());
            assert_eq!(open(refused.clone()), why, "{}", refused.display());
            // To be looked at only, it may be there.
            assert!(read_draft(&refused, 0, 10).is_ok(), "{}", refused.display());
        }
        fs::set_permissions(own.join("config"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(read_draft(&shared.join("config"), 0, 10).is_err());
    }

    #[test]
    fn links_are_found_in_the_order_in_which_they_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (a, b) = (dir.join("a"), dir.join("b"));
        std::fs::create_dir_all(a.join("deep")).unwrap();
        std::fs::write(a.join("file"), "").unwrap();
        symlink("a/deep", &b).unwrap();
        symlink(b.join("../file"), dir.join("c")).unwrap();
        assert!(on_the_way(&a.join("file")).unwrap().is_empty());
        assert_eq!(on_the_way(&b.join("../file")).unwrap(), std::slice::from_ref(&b));
        assert_eq!(on_the_way(&dir.join("c")).unwrap(), [dir.join("c"), b]);
        symlink("loop", dir.join("loop")).unwrap();
        assert_eq!(on_the_way(&dir.join("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(on_the_way(&dir.join("nothing")).is_err());
    }
}
