//! What can be asked of, and done to, any descriptor. Nothing here closes a descriptor it was lent.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;

/// What a descriptor is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A pipe or a FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A device, a directory, something else.
    Other,
}

/// What `fd` is open on.
pub fn kind(fd: impl AsFd) -> Kind {
    match facts(fd).map(|facts| facts.st_mode & libc::S_IFMT) {
        Some(libc::S_IFREG) => Kind::File,
        Some(libc::S_IFIFO) => Kind::Pipe,
        Some(libc::S_IFSOCK) => Kind::Socket,
        _ => Kind::Other,
    }
}

/// Whether `fd` is open on /dev/null.
pub fn is_null(fd: impl AsFd) -> bool {
    let is = |facts: libc::stat| {
        facts.st_mode & libc::S_IFMT == libc::S_IFCHR && facts.st_rdev == libc::makedev(1, 3)
    };
    facts(fd).is_some_and(is)
}

fn facts(fd: impl AsFd) -> Option<libc::stat> {
    // SAFETY: an all-zero stat is a valid value of that plain C struct.
    let mut facts: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place to write to; the descriptor is open while it is borrowed.
    let told = unsafe { libc::fstat(fd.as_fd().as_raw_fd(), &mut facts) } == 0;
    told.then_some(facts)
}

/// Reads what is there, up to the size of `into`; 0 is the end. Made again when a signal interrupts it.
///
/// # Errors
/// What the kernel says; `WouldBlock` when nothing is there and the descriptor does not wait.
pub fn read(fd: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: as many bytes as `into` has may be written to it; the descriptor is open while it is borrowed.
        let got = unsafe { libc::read(fd.as_fd().as_raw_fd(), into.as_mut_ptr().cast(), into.len()) };
        if let Ok(got) = usize::try_from(got) {
            return Ok(got);
        }
        let error = io::Error::last_os_error();
        if !super::interrupted(&error) {
            return Err(error);
        }
    }
}

/// Writes what there is room for. Made again when a signal interrupts it.
///
/// # Errors
/// What the kernel says; `WouldBlock` when there is no room and the descriptor does not wait.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: as many bytes as `bytes` has are read from it; the descriptor is open while it is borrowed.
        let put = unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        if let Ok(put) = usize::try_from(put) {
            return Ok(put);
        }
        let error = io::Error::last_os_error();
        if !super::interrupted(&error) {
            return Err(error);
        }
    }
}

/// Writes to a socket what there is room for, without waiting, whatever its own setting.
///
/// # Errors
/// What the kernel says; `WouldBlock` when there is no room.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: as many bytes as `bytes` has are read from it; the descriptor is open while it is borrowed.
    let put = unsafe { libc::send(socket.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(put).map_err(|_| io::Error::last_os_error())
}

/// The same pipe, opened anew to write without waiting: the setting of the one we were given is shared with others
/// and must stay. `None` where that cannot be had.
pub fn reopen_to_write(pipe: impl AsFd) -> Option<File> {
    reopen(pipe, OpenOptions::new().write(true))
}

/// The same pipe, opened anew to read without waiting; see [`reopen_to_write`].
pub fn reopen_to_read(pipe: impl AsFd) -> Option<File> {
    reopen(pipe, OpenOptions::new().read(true))
}

fn reopen(pipe: impl AsFd, options: &mut OpenOptions) -> Option<File> {
    let name = format!("/proc/self/fd/{}", pipe.as_fd().as_raw_fd());
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(name).ok()
}

/// Sets or clears `O_NONBLOCK`, a property of the open file that everyone who shares it sees: only for descriptors
/// that we opened ourselves.
///
/// # Errors
/// What `fcntl` says.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: F_GETFL takes no argument and the descriptor is open while it is borrowed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: F_SETFL takes an int and the descriptor is open while it is borrowed.
    if wanted != flags && unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Moves the offset of a file back by `bytes`, so that they are read again. A wish: what has no offset stays.
pub fn back(file: impl AsFd, bytes: usize) {
    if let Ok(bytes) = libc::off_t::try_from(bytes)
        && bytes > 0
    {
        // SAFETY: takes numbers only; the descriptor is open while it is borrowed.
        unsafe { libc::lseek(file.as_fd().as_raw_fd(), -bytes, libc::SEEK_CUR) };
    }
}
