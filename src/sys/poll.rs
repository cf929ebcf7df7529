//! Waiting for several descriptors at once, and a bell that one thread rings to wake another that waits so.
//!
//! A [`Set`] asks every descriptor each time it waits. What is seldom ready can be in a [`Group`], which costs as much as one.

use super::{Error, Result, fd};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Descriptors to wait for, and what came of it.
#[derive(Default)]
pub struct Set {
    entries: Vec<libc::pollfd>,
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// There is something to read, or the end of it.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
    /// The other side is gone, or the descriptor is in error.
    pub gone: bool,
}

/// A place in a [`Set`], valid until [`Set::clear`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

impl Set {
    /// Forgets all descriptors.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Adds a descriptor, to wait until it can be read or written as asked; that it is gone is always told. The
    /// descriptor must stay open until [`Set::wait`] has returned: a closed one is reported as gone.
    pub fn add(&mut self, fd: impl AsFd, read: bool, write: bool) -> Slot {
        let mut events = 0;
        if read {
            events |= libc::POLLIN;
        }
        if write {
            events |= libc::POLLOUT;
        }
        self.entries.push(libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 });
        Slot(self.entries.len() - 1)
    }

    /// Waits until a descriptor is ready or the time is over (`None`: without an end; rounded up to milliseconds).
    ///
    /// # Errors
    /// What the kernel says; being interrupted is not an error and leaves nothing ready.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<()> {
        let ms = timeout.map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let count = libc::nfds_t::try_from(self.entries.len()).unwrap_or(libc::nfds_t::MAX);
        // SAFETY: `entries` is an array of `count` pollfds that the kernel may write to.
        if unsafe { libc::poll(self.entries.as_mut_ptr(), count, ms) } < 0 {
            let error = io::Error::last_os_error();
            for entry in &mut self.entries {
                entry.revents = 0;
            }
            if !super::interrupted(&error) {
                return Err(Error::new("wait for input and output", "", error));
            }
        }
        Ok(())
    }

    /// What came of a descriptor.
    pub fn ready(&self, slot: Slot) -> Ready {
        let events = self.entries.get(slot.0).map_or(0, |entry| entry.revents);
        Ready {
            // After a hang-up what was written before can still be read: reading tells when it is all.
            read: events & (libc::POLLIN | libc::POLLHUP) != 0,
            write: events & libc::POLLOUT != 0,
            gone: events & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
        }
    }
}

/// Descriptors to read from that are seldom ready, waited for as one (an `epoll`): it can be read when one of them can.
#[derive(Debug)]
pub struct Group {
    fd: OwnedFd,
}

impl Group {
    /// A group of these. They must stay open as long as it is used, or [leave](Group::leave) it.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn of(members: &[BorrowedFd<'_>]) -> Result<Self> {
        // SAFETY: takes numbers only, and makes a descriptor.
        let made = unsafe { fd::owned(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        let group = Self { fd: made.map_err(|e| Error::new("make an epoll", "", e))? };
        for member in members {
            group.change(libc::EPOLL_CTL_ADD, member)?;
        }
        Ok(group)
    }

    /// It is waited for no longer.
    ///
    /// # Errors
    /// It is not in the group.
    pub fn leave(&self, member: impl AsFd) -> Result<()> {
        self.change(libc::EPOLL_CTL_DEL, &member.as_fd())
    }

    fn change(&self, how: libc::c_int, member: &BorrowedFd<'_>) -> Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: `event` is a valid event to read from; the rest are numbers.
        match unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), how, member.as_raw_fd(), &mut event) } {
            0 => Ok(()),
            _ => Err(Error::last("wait for input", "")),
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Wakes a thread that waits in [`Set::wait`] (an `eventfd`).
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
}

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new() -> Result<Self> {
        // SAFETY: takes numbers only, and makes a descriptor.
        let made = unsafe { fd::owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) };
        Ok(Self { fd: made.map_err(|e| Error::new("make an eventfd", "", e))? })
    }

    /// Rings. Heard once, however often it rang.
    pub fn ring(&self) {
        // It fails only when the counter is full: then it rings already.
        let _ = fd::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// Silences it.
    pub fn silence(&self) {
        // It fails only when the bell is silent already.
        let _ = fd::read(&self.fd, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_until_it_is_silenced() {
        let bell = Bell::new().unwrap();
        let heard = || {
            let mut set = Set::default();
            let slot = set.add(&bell, true, false);
            set.wait(Some(Duration::ZERO)).unwrap();
            set.ready(slot).read
        };
        assert!(!heard());
        bell.ring();
        bell.ring();
        assert!(heard() && heard());
        bell.silence();
        assert!(!heard());
    }

    #[test]
    fn a_group_can_be_read_while_one_of_its_members_can() {
        let bells = [Bell::new().unwrap(), Bell::new().unwrap()];
        let group = Group::of(&bells.each_ref().map(Bell::as_fd)).unwrap();
        let heard = || {
            let mut set = Set::default();
            let slot = set.add(&group, true, false);
            set.wait(Some(Duration::ZERO)).unwrap();
            set.ready(slot).read
        };
        assert!(!heard());
        for bell in &bells {
            bell.ring();
            assert!(heard() && heard());
            bell.silence();
            assert!(!heard());
        }
        group.leave(&bells[0]).unwrap();
        bells[0].ring();
        assert!(!heard());
        bells[1].ring();
        assert!(heard());
        assert!(group.leave(&bells[0]).is_err());
    }

    #[test]
    fn a_closed_pipe_is_gone_and_what_is_in_it_can_be_read() {
        let (reader, writer) = io::pipe().unwrap();
        let mut set = Set::default();
        let slot = set.add(&writer, false, true);
        set.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(set.ready(slot), Ready { write: true, ..Ready::default() });
        drop(reader);
        set.wait(Some(Duration::ZERO)).unwrap();
        assert!(set.ready(slot).gone);
    }
}
