//! Locks on files that only who may write to a file can take.
//!
//! `flock` asks for no more than that a file was opened, for reading too: whoever may read a file could pass for its writer.
//! These are the locks of `fcntl` that belong to the open file (`F_OFD_SETLK`, since Linux 3.15): they last until it is closed
//! everywhere, survive `fork`, and an exclusive one needs a descriptor that is open for writing. Refuses to wait.

use super::{Error, Result};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// A lock of this kind over the whole file, however long it will be.
fn whole(kind: libc::c_int) -> libc::flock {
    // SAFETY: all zeros are a valid `flock`: from the start to the end, of no process (as these locks want it).
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // These constants are small on every system.
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

/// Takes the exclusive lock of a file that is open for writing; it ends with the last descriptor. `false` when another holds
/// it.
///
/// # Errors
/// The file is not open for writing (`EBADF`), or the file system has no locks.
pub fn try_exclusive(file: &File) -> Result<bool> {
    let lock = whole(libc::F_WRLCK);
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the kernel only reads the lock.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        error => Err(Error::new("lock", "a file", error)),
    }
}

/// Whether another holds the exclusive lock of a file. It is only asked for, never taken.
///
/// # Errors
/// The file system has no locks.
pub fn is_exclusive(file: &File) -> Result<bool> {
    let mut lock = whole(libc::F_RDLCK);
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the lock is ours to be written to.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } != 0 {
        return Err(Error::last("ask for the lock of", "a file"));
    }
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests {
    use super::super::eventually;
    use super::*;

    #[test]
    fn who_may_only_read_a_file_can_neither_lock_it_nor_look_as_if() {
        let kept = tempfile::NamedTempFile::new().unwrap();
        let open = |write: bool| File::options().read(true).append(write).open(kept.path()).unwrap();
        let (reader, looker) = (open(false), open(false));
        assert_eq!(try_exclusive(&reader).unwrap_err().source.raw_os_error(), Some(libc::EBADF));
        reader.try_lock().unwrap();
        assert!(!is_exclusive(&looker).unwrap(), "flock is another thing");
        let (writer, second) = (open(true), open(true));
        assert!(try_exclusive(&writer).unwrap());
        assert!(is_exclusive(&looker).unwrap() && !try_exclusive(&second).unwrap());
        let copy = writer.try_clone().unwrap();
        drop(writer);
        assert!(is_exclusive(&looker).unwrap(), "it is held until the last copy is closed");
        drop(copy);
        assert!(eventually(|| !is_exclusive(&looker).unwrap()) && try_exclusive(&second).unwrap());
    }
}
