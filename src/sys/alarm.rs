//! A moment that is waited for together with descriptors (a `timerfd`).
//!
//! The time limit of `poll` sets a timer of the kernel and takes it back at every wait; where a hypervisor has its hand
//! in timers, that is a tenth of the time from a key to its echo. An alarm is set once, ahead, and is left alone as
//! long as what is waited for is not earlier: it may ring too early, never too late.

use super::{Error, Result, fd};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Wakes whoever waits for it with [`Set`](super::poll::Set), at the moment it was set for or before.
#[derive(Debug)]
pub struct Alarm {
    fd: OwnedFd,
    /// When it will ring, on the monotonic clock.
    set: Option<Duration>,
}

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new() -> Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes numbers only, and makes a descriptor.
        let made = unsafe { fd::owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)) };
        Ok(Self { fd: made.map_err(|e| Error::new("make a timer", "", e))?, set: None })
    }

    /// Sees to it that it rings at `due` on the monotonic clock, at the latest. `None`: nothing is waited for.
    ///
    /// # Errors
    /// What the kernel says; never with a sound clock.
    pub fn ring_by(&mut self, due: Option<Duration>) -> Result<()> {
        // Zero would switch it off.
        let Some(due) = due.map(|due| due.max(Duration::from_nanos(1))) else { return Ok(()) };
        if self.set.is_some_and(|set| set <= due) {
            return Ok(());
        }
        let moment = libc::timespec {
            tv_sec: libc::time_t::try_from(due.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: due.subsec_nanos().into(),
        };
        let once =
            libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: moment };
        // SAFETY: `once` is a valid setting to read from; the old one is not asked for.
        let done = unsafe {
            libc::timerfd_settime(self.fd.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &once, std::ptr::null_mut())
        };
        if done < 0 {
            return Err(Error::last("set a timer", ""));
        }
        self.set = Some(due);
        Ok(())
    }

    /// It rang and was heard: it is not set any more.
    pub fn silence(&mut self) {
        // It fails only when it did not ring.
        let _ = fd::read(&self.fd, &mut [0; 8]);
        self.set = None;
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{clock, poll::Set};
    use super::*;

    fn rings(alarm: &Alarm, within: Duration) -> bool {
        let mut set = Set::default();
        let slot = set.add(alarm, true, false);
        set.wait(Some(within)).unwrap();
        set.ready(slot).read
    }

    #[test]
    fn it_rings_at_its_time_and_once() {
        let mut alarm = Alarm::new().unwrap();
        assert!(!rings(&alarm, Duration::ZERO));
        let due = clock::monotonic() + Duration::from_millis(20);
        alarm.ring_by(Some(due)).unwrap();
        assert!(rings(&alarm, crate::sys::DEADLINE) && clock::monotonic() >= due);
        alarm.silence();
        assert!(!rings(&alarm, Duration::from_millis(30)));
    }

    #[test]
    fn a_later_moment_leaves_it_and_an_earlier_one_does_not() {
        let mut alarm = Alarm::new().unwrap();
        let now = clock::monotonic();
        alarm.ring_by(Some(now + Duration::from_secs(1000))).unwrap();
        assert!(!rings(&alarm, Duration::from_millis(10)));
        // What is over, even since the beginning of time, rings at once.
        alarm.ring_by(Some(Duration::ZERO)).unwrap();
        alarm.ring_by(Some(now + Duration::from_secs(1000))).unwrap();
        alarm.ring_by(None).unwrap();
        assert!(rings(&alarm, crate::sys::DEADLINE));
    }
}
