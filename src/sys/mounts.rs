//! The other ways to a directory: what it lies on can be mounted in several places.
//!
//! Refuses to guess: where the table of mounts cannot be read, nobody knows how many ways there are.
//!
//! Sources: proc_pid_mountinfo(5), proc_pid_fdinfo(5).

use super::{Error, Result, proc};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A line of the table of mounts.
struct Mount {
    id: String,
    /// The file system, by its numbers: a directory's own may be others (btrfs).
    of: String,
    /// The directory of that file system which is mounted…
    root: PathBuf,
    /// …and where.
    at: PathBuf,
}

/// Every other path to a directory, or to something in it, by mounts that are there for this thread. `dir` is absolute and goes
/// through no link.
///
/// # Errors
/// The system's, or a table of mounts that does not have the one of the directory.
pub(super) fn other_ways(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::at("find every way to", dir, error);
    let opened = fs::File::open(dir).map_err(failed)?;
    let told = format!("thread-self/fdinfo/{}", opened.as_raw_fd());
    let told = proc::read_to_string(&told).map_err(failed)?;
    let id = told.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap_or_default().trim();
    let table = proc::read("thread-self/mountinfo").map_err(failed)?;
    let found = ways(dir, id, &table).ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENOENT)))?;
    let facts = opened.metadata().map_err(failed)?;
    // What something else is mounted over leads nowhere.
    let leads = |way: &(PathBuf, bool)| {
        let there = fs::symlink_metadata(&way.0);
        there.is_ok_and(|of| !way.1 || (of.dev(), of.ino()) == (facts.dev(), facts.ino()))
    };
    Ok(found.into_iter().filter(leads).map(|(way, _)| way).collect())
}

/// The ways by this table, if it has the mount of the directory, and of each whether it leads to the directory itself.
fn ways(dir: &Path, id: &str, table: &[u8]) -> Option<Vec<(PathBuf, bool)>> {
    let mounts: Vec<Mount> = table.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect();
    let own = mounts.iter().find(|mount| mount.id == id)?;
    let inside = joined(&own.root, dir.strip_prefix(&own.at).ok()?);
    let mut found = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.of == own.of) {
        let way = match inside.strip_prefix(&mount.root) {
            Ok(rest) => (joined(&mount.at, rest), true),
            Err(_) if mount.root.starts_with(&inside) => (mount.at.clone(), false),
            Err(_) => continue,
        };
        if !way.0.starts_with(dir) && !found.contains(&way) {
            found.push(way);
        }
    }
    Some(found)
}

/// Without the slash that an empty path would add.
fn joined(path: &Path, rest: &Path) -> PathBuf {
    path.components().chain(rest.components()).collect()
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
        let (id, _parent, of) = (text()?, text()?, text()?);
        let mut path = || Some(PathBuf::from(OsString::from_vec(unescaped(fields.next()?))));
        Some(Self { id, of, root: path()?, at: path()? })
    }
}

/// Blanks and the like are written as three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 8:2 / /var rw,relatime shared:2 - ext4 /dev/sda2 rw
23 21 8:2 /lib /srv/a\040copy rw - ext4 /dev/sda2 rw
24 21 8:2 /lib/store/one.scast /srv/one rw - ext4 /dev/sda2 rw
25 21 8:2 /log /srv/log rw - ext4 /dev/sda2 rw
26 21 8:2 /lib/storeroom /srv/room rw - ext4 /dev/sda2 rw
27 22 8:2 /lib/store/old /var/lib/store/new rw - ext4 /dev/sda2 rw
28 21 8:1 / /mnt rw - ext4 /dev/sda1 rw
29 21 8:2 / /again rw - ext4 /dev/sda2 rw
";

    #[test]
    fn every_mount_that_leads_to_a_directory_or_into_it_is_a_way() {
        let found = ways(Path::new("/var/lib/store"), "22", TABLE).unwrap();
        let found: Vec<_> = found.iter().map(|(way, whole)| (way.to_str().unwrap(), *whole)).collect();
        assert_eq!(found, [("/srv/a copy/store", true), ("/srv/one", false), ("/again/lib/store", true)]);
        // A file system of its own, which is mounted once; one that is not in the table.
        assert!(ways(Path::new("/"), "21", TABLE).unwrap().is_empty());
        assert_eq!(ways(Path::new("/var"), "99", TABLE), None);
        assert_eq!(ways(Path::new("/var"), "22", TABLE).unwrap().len(), 5);
    }

    #[test]
    fn names_are_read_as_they_are() {
        for (told, name) in
            [(r"a\040b\134\012", "a b\\\n"), (r"\04", r"\04"), ("040", "040"), (r"\777", r"\777")]
        {
            assert_eq!(unescaped(told.as_bytes()), name.as_bytes(), "{told}");
        }
    }

    #[test]
    fn a_directory_that_is_mounted_once_has_no_other_way() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let dir = dir.path().canonicalize().unwrap();
        assert!(other_ways(&dir).unwrap().iter().all(|way| way != &dir));
        assert!(other_ways(&dir.join("none")).is_err());
    }
}
