//! What can be asked of, and done to, any descriptor. Nothing here closes a descriptor it was lent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

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
