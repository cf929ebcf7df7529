//! A process that is held: whoever has its number later is another, and is not signalled in its place.
//!
//! Sources: pidfd_open(2), pidfd_send_signal(2).

use super::fd;
use super::poll::Set;
use super::signals::Signal;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A process, running or ended.
#[derive(Debug)]
pub(super) struct Pidfd(OwnedFd);

impl Pidfd {
    /// Holds the process that has this number now. An error when there is none, waited for or not.
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: takes numbers only, and makes a descriptor.
        unsafe { fd::owned(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }.map(Self)
    }

    /// That it may not be signalled, or has ended, is nothing that could be mended.
    pub(super) fn signal(&self, signal: Signal) {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: takes an open descriptor and numbers; without facts the kernel makes those of kill(2).
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, nothing, 0) };
    }

    /// Whether it has ended, all of its threads, waited for or not. `None` where the kernel does not say.
    pub(super) fn has_ended(&self) -> Option<bool> {
        let mut set = Set::default();
        let slot = set.add(self, true, false);
        set.wait(Some(Duration::ZERO)).ok()?;
        Some(set.ready(slot).read)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_held_until_after_its_end() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let held = Pidfd::open(child.id()).unwrap();
        assert_eq!(held.has_ended(), Some(false));
        held.signal(super::super::signals::SIGKILL);
        assert!(super::super::eventually(|| held.has_ended() == Some(true)));
        child.wait().unwrap();
        assert_eq!(held.has_ended(), Some(true));
        held.signal(super::super::signals::SIGKILL);
        assert!(Pidfd::open(u32::MAX).is_err());
    }
}
