//! Room on a file system: how much there is, and how some of it is held so that the end of a recording can be written on a full disk.
//!
//! Refuses to make a file longer, and to leave one behind that has a name.

use super::super::{Error, Result, ids};
use super::{c_path, nameless};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Reserves `bytes` behind the end of the file without making it longer, so that the end of a recording can be
/// written on a full disk. `false` when the file system cannot reserve.
///
/// # Errors
/// `StorageFull` when there is no room; whatever else the kernel says.
pub fn reserve(file: &File, bytes: u64) -> Result<bool> {
    let end = file.metadata().map_err(|e| Error::new("examine", "the recording", e))?.len();
    let offset = libc::off_t::try_from(end).unwrap_or(libc::off_t::MAX);
    let length = libc::off_t::try_from(bytes.max(1)).unwrap_or(libc::off_t::MAX);
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed.
        if unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, offset, length) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(false),
            _ => return Err(Error::new("reserve space", "", error)),
        }
    }
}

/// Gives back what [`reserve`] reserved behind the end of the file. Its content and its times stay.
///
/// # Errors
/// When the file cannot be cut to its own length.
pub fn release_reserve(file: &File) -> Result<()> {
    let end = file.metadata().and_then(|facts| {
        file.set_len(facts.len())?;
        file.set_times(std::fs::FileTimes::new().set_modified(facts.modified()?))
    });
    end.map_err(|e| Error::new("release reserved space", "", e))
}

/// Holds `bytes` of the file system of `dir` in a file without a name (`O_TMPFILE`), given back when it is dropped. `None`
/// where the file system has no such thing.
///
/// # Errors
/// `StorageFull` when there is no room; whatever else the kernel says.
pub fn ballast(dir: &Path, bytes: u64) -> Result<Option<File>> {
    let made =
        nameless(OpenOptions::new().write(true), dir).map_err(|e| Error::at("reserve space in", dir, e))?;
    let Some(file) = made else { return Ok(None) };
    Ok(reserve(&file, bytes)?.then_some(file))
}

/// Room on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write (for a user other than root, without what is kept for root).
    pub available: u64,
    /// Size of the file system in bytes.
    pub total: u64,
}

/// Room on the file system that holds `path`.
///
/// # Errors
/// When `path` does not exist or the kernel does not tell.
pub fn free_space(path: &Path) -> Result<Space> {
    let name = c_path("examine the file system of", path)?;
    // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and `facts` is a valid place to write to.
    if unsafe { libc::statvfs(name.as_ptr(), &mut facts) } != 0 {
        return Err(Error::last("examine the file system of", path.display().to_string()));
    }
    let blocks = if ids::effective_uid() == 0 { facts.f_bfree } else { facts.f_bavail };
    Ok(Space {
        available: blocks.saturating_mul(facts.f_frsize),
        total: facts.f_blocks.saturating_mul(facts.f_frsize),
    })
}

/// Whether what is written below `path` lies in memory alone (tmpfs, ramfs), and is gone after a restart of the host.
///
/// # Errors
/// When `path` does not exist or the kernel does not tell.
pub fn lies_in_memory(path: &Path) -> Result<bool> {
    const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
    let name = c_path("examine the file system of", path)?;
    // SAFETY: an all-zero statfs is a valid value of that plain C struct.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and `facts` is a valid place to write to.
    if unsafe { libc::statfs(name.as_ptr(), &mut facts) } != 0 {
        return Err(Error::last("examine the file system of", path.display().to_string()));
    }
    // The magic numbers have 32 bits; the field is wider, and signed, on some machines.
    Ok(IN_MEMORY.contains(&(facts.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::super::create_new;
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn ballast_takes_room_and_has_no_name() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let Some(ballast) = ballast(dir.path(), 8 << 20).unwrap() else {
            crate::sys::skipped("this file system cannot");
            return;
        };
        // Not by what is free: others use this file system too.
        let facts = ballast.metadata().unwrap();
        assert!(facts.blocks() * 512 >= 8 << 20, "{} blocks", facts.blocks());
        assert_eq!(facts.mode() & 0o777, 0o600);
        // Without a name, it is gone with the last descriptor.
        assert_eq!((facts.nlink(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }

    #[test]
    fn reserved_space_does_not_make_the_file_longer() {
        let dir = tempfile::tempdir().unwrap();
        let file = create_new(&dir.path().join("f")).unwrap();
        (&file).write_all(b"abc").unwrap();
        if reserve(&file, 1 << 20).unwrap() {
            let facts = file.metadata().unwrap();
            assert_eq!(facts.len(), 3);
            assert!(facts.blocks() * 512 >= 1 << 20, "{} blocks", facts.blocks());
            release_reserve(&file).unwrap();
            assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20);
        }
    }

    #[test]
    fn what_lies_in_memory_is_known() {
        let is = |path: &str| lies_in_memory(Path::new(path)).ok();
        assert_eq!([is("/dev/shm"), is("/proc"), is("/no/such/place")], [Some(true), Some(false), None]);
    }

    #[test]
    fn free_space_is_below_the_size_of_the_file_system() {
        let space = free_space(Path::new("/")).unwrap();
        assert!(space.available > 0 && space.available < space.total, "{space:?}");
        assert!(free_space(Path::new("/no/such/place")).is_err());
    }
}
