//! Pipes: looking without taking (`tee`), what is left unread, sizes.

use super::fd::Access;
use super::{Error, Result};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// A pipe: the end to read and the end to write. Neither passes through an exec.
///
/// # Errors
/// When there are no descriptors left.
pub fn open() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: two descriptors are written to a place for two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(Error::last("make a pipe", ""));
    }
    // SAFETY: the kernel has just given us both; nobody else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Lets whoever has an end of a pipe of ours open it by name too (`/dev/stdin`, `/dev/stdout`, which are links into `/proc/self/fd`),
/// in the direction `access` and in no other. The kernel follows such a name only for who may trace the process, so that nobody
/// gets more by it than they have. The pipe is not given away: its owner could allow himself the other direction, and take back
/// what he wrote before it was recorded. A wish: where a policy of the host forbids it, they cannot be opened by name.
pub fn allow_by_name(end: impl AsFd, access: Access) {
    let mode = match access {
        Access::Read => 0o644,
        Access::Write => 0o622,
    };
    // SAFETY: takes an open descriptor and a mode.
    unsafe { libc::fchmod(end.as_fd().as_raw_fd(), mode) };
}

/// Sets how much a pipe holds, in bytes (rounded up to whole pages). A wish: what the kernel does not allow is left.
pub fn set_capacity(fd: impl AsFd, bytes: usize) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: takes numbers only.
    unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// Bytes that are in a pipe and were not read yet; either end can ask.
///
/// # Errors
/// When it is not a pipe.
pub fn unread(fd: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes an int, and `bytes` is one.
    if unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &mut bytes) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Copies up to `most` bytes from one pipe to another without taking them from the first, never waiting. 0 means the
/// end: nothing there and nobody left to write.
///
/// # Errors
/// `WouldBlock` when there is nothing to copy or no room for it; what the kernel says, otherwise.
pub fn tee(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_fd().as_raw_fd(), to.as_fd().as_raw_fd());
    // SAFETY: takes descriptors that are open while they are borrowed, and numbers.
    let got = unsafe { libc::tee(from, to, most, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_is_copied_stays_to_be_read() {
        let (from, source) = open().unwrap();
        let (out, to) = open().unwrap();
        assert_eq!(tee(&from, &to, 10).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        File::from(source).write_all(b"hello").unwrap();
        assert_eq!(tee(&from, &to, 10).unwrap(), 5);
        assert_eq!((unread(&from).unwrap(), unread(&to).unwrap()), (5, 5));
        drop(to);
        let mut copies = [String::new(), String::new()];
        File::from(out).read_to_string(&mut copies[0]).unwrap();
        File::from(from).read_to_string(&mut copies[1]).unwrap();
        assert_eq!(copies, ["hello", "hello"]);
    }

    #[test]
    fn the_end_of_a_pipe_is_told() {
        let (from, source) = open().unwrap();
        let (_out, to) = open().unwrap();
        drop(source);
        assert_eq!(tee(&from, &to, 10).unwrap(), 0);
    }
}
