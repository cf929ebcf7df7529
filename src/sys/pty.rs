//! A pseudo-terminal of our own. The leader is ours, the follower is the child's.
//!
//! Opened by portable-pty, which also sets its size. Its writer is never taken: when dropped it types newline and end
//! of file into the child, and a half-typed line was seen to be executed. We write through our own duplicate.

use super::tty::{Settings, Size};
use super::{Error, Result};
use portable_pty::{MasterPty, PtySize};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// What precedes a read in the packet mode of a leader (`TIOCPKT_DATA`, `TIOCPKT_FLUSHREAD`).
const DATA: u8 = 0;
const FLUSH_READ: u8 = 1;

/// Our side of a PTY.
pub struct Leader {
    pair: Box<dyn MasterPty + Send>,
    fd: OwnedFd,
    /// Each read is preceded by a byte of its own (`TIOCPKT`, ioctl_tty(2)).
    packets: Cell<bool>,
    flushed: Cell<bool>,
}

/// A new PTY of this size: the leader, non-blocking, and the follower, to be handed to a child and then closed here.
/// Neither passes through an exec.
///
/// # Errors
/// When no PTY can be had.
pub fn open(size: Size) -> Result<(Leader, OwnedFd)> {
    let failed = |error: io::Error| Error::new("open a pseudo-terminal", "", error);
    let pair = portable_pty::native_pty_system()
        .openpty(in_cells(size))
        .map_err(|e| failed(io::Error::other(e.to_string())))?;
    let raw = pair.master.as_raw_fd().ok_or_else(|| failed(io::ErrorKind::Unsupported.into()))?;
    // SAFETY: `pair.master` keeps the descriptor open for the time of this borrow.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    let fd = borrowed.try_clone_to_owned().map_err(failed)?;
    super::fd::set_nonblocking(&fd, true).map_err(failed)?;
    // The follower through the leader, not by name: /dev/pts may be another one here (a mount namespace).
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags, and makes a descriptor.
    let follower = unsafe { super::fd::owned(libc::ioctl(fd.as_raw_fd(), libc::TIOCGPTPEER, flags)) };
    let follower = follower.map_err(failed)?;
    let (packets, flushed) = (Cell::new(false), Cell::new(false));
    Ok((Leader { pair: pair.master, fd, packets, flushed }, follower))
}

fn in_cells(size: Size) -> PtySize {
    PtySize { rows: size.rows, cols: size.cols, pixel_width: size.width, pixel_height: size.height }
}

impl Leader {
    /// Gives the PTY a new size; the kernel tells the foreground of the follower (SIGWINCH) when it changed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn resize(&self, size: Size) -> Result<()> {
        self.pair
            .resize(in_cells(size))
            .map_err(|e| Error::new("resize the pseudo-terminal", "", io::Error::other(e.to_string())))
    }

    /// The follower's settings.
    ///
    /// # Errors
    /// When the follower is gone.
    pub fn settings(&self) -> Result<Settings> {
        Settings::of(&self.fd)
    }

    /// Reads what the follower shows, into room for more than one byte.
    ///
    /// # Errors
    /// What the kernel says: nothing is there now, or (`EIO`) nobody has the follower open.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = super::fd::read(&self.fd, into)?;
            match into.first().filter(|_| self.packets.get() && count > 0) {
                None => return Ok(count),
                Some(&DATA) if count > 1 => {
                    into.copy_within(1..count, 0);
                    return Ok(count.saturating_sub(1));
                }
                Some(status) => self.note(*status),
            }
        }
    }

    /// From here on it is told (`true`), or told no more, that whoever has the follower throws away what was typed and not read. A wish:
    /// where it cannot be had, nobody is said to have done so.
    pub fn tell_flushes(&self, tell: bool) {
        if tell != self.packets.get() {
            let on = libc::c_int::from(tell);
            // SAFETY: TIOCPKT reads an int; the descriptor is open.
            let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TIOCPKT, &on) } == 0;
            self.packets.set(if done { tell } else { self.packets.get() });
        }
    }

    /// Whether that was done since this is told, or since this was asked last. Nothing of what is shown is read.
    pub fn was_flushed(&self) -> bool {
        let mut status = [0];
        // Before what is shown comes what is told of it, one byte: asked for no more, the kernel gives no more.
        if self.packets.get() && super::fd::read(&self.fd, &mut status).is_ok_and(|count| count > 0) {
            self.note(status[0]);
        }
        self.flushed.take()
    }

    fn note(&self, status: u8) {
        self.flushed.set(self.flushed.get() || status & FLUSH_READ != 0);
    }

    /// The follower's name.
    pub fn follower_name(&self) -> Option<PathBuf> {
        self.pair.tty_name()
    }

    /// The process group in the foreground of the follower.
    pub fn foreground(&self) -> Option<u32> {
        // SAFETY: takes an open descriptor; on a leader it tells the follower's foreground group.
        let group = unsafe { libc::tcgetpgrp(self.fd.as_raw_fd()) };
        u32::try_from(group).ok().filter(|group| *group > 0)
    }
}

impl AsFd for Leader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives a follower to the user who will work on it, as a terminal is given at login: mode 0620, the group unchanged.
///
/// # Errors
/// When we may not.
pub fn give_to(follower: BorrowedFd<'_>, uid: u32) -> Result<()> {
    // SAFETY: takes an open descriptor and numbers; -1 leaves the group alone.
    if unsafe { libc::fchown(follower.as_raw_fd(), uid, libc::gid_t::MAX) } != 0 {
        return Err(Error::last("give the pseudo-terminal to user", uid.to_string()));
    }
    // SAFETY: takes an open descriptor and a mode.
    if unsafe { libc::fchmod(follower.as_raw_fd(), 0o620) } != 0 {
        return Err(Error::last("set the mode of the pseudo-terminal", ""));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::eventually;
    use super::*;
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    #[test]
    fn what_the_follower_writes_arrives_and_the_size_is_the_one_asked_for() {
        let size = Size { cols: 1, rows: 1, width: 0, height: 0 };
        let (leader, follower) = open(size).unwrap();
        assert_eq!(super::super::tty::size(&follower).unwrap(), size);
        leader.resize(Size::default()).unwrap();
        assert_eq!(super::super::tty::size(&follower).unwrap(), Size::default());
        assert!(leader.follower_name().unwrap().starts_with("/dev/pts"));
        File::from(follower.try_clone().unwrap()).write_all(b"hello\n").unwrap();
        let mut reader = File::from(leader.as_fd().try_clone_to_owned().unwrap());
        let mut got = Vec::new();
        let mut piece = [0; 100];
        // The line and its end come in two pieces now and then.
        let is_whole = eventually(|| {
            match reader.read(&mut piece) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => got.extend_from_slice(&piece[..read.unwrap()]),
            }
            got.ends_with(b"\n")
        });
        assert!(is_whole && got == b"hello\r\n", "{}", got.escape_ascii());
        drop(follower);
        let mut end = || reader.read(&mut piece).map_err(|error| error.raw_os_error());
        assert!(eventually(|| end() == Err(Some(libc::EIO))), "{:?}", end());
    }

    #[test]
    fn a_leader_is_told_that_what_was_typed_is_thrown_away_and_reads_no_more_than_what_is_shown() {
        let (leader, follower) = open(Size::default()).unwrap();
        let mut piece = [0; 100];
        let mut shows = |text: &[u8]| {
            File::from(follower.try_clone().unwrap()).write_all(text).unwrap();
            let mut got = Vec::new();
            let is_whole = eventually(|| {
                match leader.read(&mut piece) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    read => got.extend_from_slice(&piece[..read.unwrap()]),
                }
                got == text
            });
            assert!(is_whole, "{}", got.escape_ascii());
        };
        let throw_away = || super::super::tty::forget_typed(&follower);
        throw_away();
        shows(b"before");
        leader.tell_flushes(true);
        shows(b"nothing");
        assert!(!leader.was_flushed());
        // Told by itself, and with what is shown; once.
        for shown in [&b""[..], b"asks"] {
            throw_away();
            shows(shown);
            assert!(leader.was_flushed() && !leader.was_flushed());
        }
        File::from(follower.try_clone().unwrap()).write_all(b"kept").unwrap();
        assert!(!leader.was_flushed());
        let read = || leader.read(&mut [0; 100]).is_ok_and(|count| count == 4);
        assert!(eventually(read), "what was shown is gone");
        leader.tell_flushes(false);
        throw_away();
        shows(b"after");
        assert!(!leader.was_flushed());
    }

    #[test]
    fn a_follower_is_given_to_its_user_as_a_terminal_is_at_login() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if !crate::sys::is_root() {
            return;
        }
        let (_leader, follower) = open(Size::default()).unwrap();
        let file = File::from(follower.try_clone().unwrap());
        // Whatever the mount of devpts has made of it.
        file.set_permissions(std::fs::Permissions::from_mode(0o666)).unwrap();
        let group = file.metadata().unwrap().gid();
        give_to(follower.as_fd(), 4_242).unwrap();
        let facts = file.metadata().unwrap();
        assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (4_242, group, 0o620));
    }

    #[test]
    fn the_leader_tells_the_settings_of_the_follower() {
        let (leader, follower) = open(Size::default()).unwrap();
        let found = leader.settings().unwrap();
        assert!(found.echoes() && found.is_canonical() && !found.reads_secret());
        let mut silent = Settings::of(&follower).unwrap();
        silent.0.c_lflag &= !libc::ECHO;
        silent.apply(&follower).unwrap();
        assert!(leader.settings().unwrap().reads_secret());
        silent.raw().apply(&follower).unwrap();
        assert!(!leader.settings().unwrap().reads_secret());
    }
}
