//! Where bytes go, and the one buffer in front of it.
//!
//! Nothing is read while the buffer holds something that was not written: that is the whole of back-pressure. Sinks
//! that are shared with others are never made non-blocking; they are written in pieces that cannot wait instead.
//!
//! What we were given is used in the stead of who the child runs as, where that is not us: without us the child would read
//! and write it itself, and nothing must come of it that the child could not have.

use crate::sys::fd::{self, Kind};
use crate::sys::poll::Set;
use crate::sys::privileges::Stead;
use crate::sys::tty::{Terminal, is_terminal};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A pipe that polls as writable takes this much without waiting (`PIPE_BUF`, POSIX).
pub(super) const PIPE_BUF: usize = 4096;
/// A terminal that polls as writable takes this much without waiting, of what it does not translate (`WAKEUP_CHARS` in
/// drivers/tty/n_tty.c, and of a PTY the least that it makes room for).
const TERMINAL_ROOM: usize = 256;

/// Where bytes go.
pub(super) struct Sink {
    fd: OwnedFd,
    how: How,
    stead: Option<Stead>,
    /// The process whose output it is.
    writer: Option<u32>,
    /// Somebody reads at its other end, to the end.
    reader: bool,
}

enum How {
    /// The descriptor is our own and does not wait.
    Ours,
    /// A socket, asked not to wait at every call.
    Socket,
    /// A socket of this host, asked not to wait either, and told who writes.
    Local,
    /// A file, which always has room, or an error.
    File,
    /// Shared with others: at most [`PIPE_BUF`] bytes at once.
    Shared,
    /// A terminal shared with others: less than that at once, see [`of_terminal_room`].
    Terminal,
}

impl Sink {
    /// The terminal of a session.
    pub(super) fn of_terminal(terminal: &Terminal) -> io::Result<Self> {
        let fd = terminal.as_fd().try_clone_to_owned()?;
        let how = if terminal.waits() { How::Terminal } else { How::Ours };
        Ok(Self { fd, how, stead: None, writer: None, reader: false })
    }

    /// A descriptor that we were given and that others may share, to be written in somebody's `stead`.
    pub(super) fn shared(fd: OwnedFd, stead: Option<Stead>) -> Self {
        let kind = fd::kind(&fd);
        let reader = matches!(kind, Kind::Pipe | Kind::Socket | Kind::Local);
        let (fd, how) = match kind {
            Kind::Pipe => match fd::reopen_to_write(&fd) {
                Some(own) => (own.into(), How::Ours),
                None => (fd, How::Shared),
            },
            Kind::Socket => (fd, How::Socket),
            Kind::Local => (fd, How::Local),
            Kind::File => (fd, How::File),
            Kind::Other if is_terminal(&fd) => (fd, How::Terminal),
            Kind::Other => (fd, How::Shared),
        };
        Self { fd, how, stead, writer: None, reader }
    }

    /// Whether somebody reads at its other end, who learns of the end only when everybody has closed it: a file and a
    /// terminal have nobody who waits.
    pub(super) fn has_reader(&self) -> bool {
        self.reader
    }

    /// Which process writes what is to be written.
    pub(super) fn written_by(&mut self, process: u32) {
        self.writer = Some(process);
    }

    /// Whether a write may wait although none is wanted: only after poll said that there is room.
    fn needs_poll(&self) -> bool {
        matches!(self.how, How::Shared | How::Terminal)
    }

    /// Writes what there is room for now. What there is no room for is not written: nobody waits for it.
    pub(super) fn offer(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && self.takes() {
            let Ok(count @ 1..) = self.write(rest) else { return };
            rest = rest.get(count..).unwrap_or_default();
        }
    }

    /// Whether a write does not wait now.
    fn takes(&self) -> bool {
        if !self.needs_poll() {
            return true;
        }
        let mut set = Set::default();
        let slot = set.add(self, false, true);
        // Where nobody is there any more, that is the answer to it.
        set.wait(Some(Duration::ZERO)).is_ok() && (set.ready(slot).write || set.ready(slot).gone)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match (&self.how, &self.stead) {
            // Of a pipe and of the network nobody can tell who wrote.
            (How::Ours, _) => fd::write(&self.fd, bytes),
            (How::Local, Some(stead)) => fd::send_in_stead(&self.fd, bytes, stead, self.writer),
            (How::Socket | How::Local, _) => fd::send(&self.fd, bytes),
            (How::File, stead) => in_stead(stead.as_ref(), || fd::write(&self.fd, bytes)),
            (How::Shared, stead) => {
                let piece = bytes.get(..PIPE_BUF).unwrap_or(bytes);
                in_stead(stead.as_ref(), || fd::write(&self.fd, piece))
            }
            (How::Terminal, stead) => {
                let piece = of_terminal_room(bytes);
                in_stead(stead.as_ref(), || fd::write(&self.fd, piece))
            }
        }
    }
}

/// What of it a terminal takes without waiting that polls as writable. A line end and a tab go by themselves: it may make more of them
/// (`OPOST`), and has room for that only when nothing came before.
fn of_terminal_room(bytes: &[u8]) -> &[u8] {
    let most = bytes.get(..TERMINAL_ROOM).unwrap_or(bytes);
    let plain = most.iter().position(|byte| b"\n\r\t".contains(byte)).unwrap_or(most.len());
    most.get(..plain.max(1)).unwrap_or(most)
}

/// Does it in somebody's stead, or as ourselves.
pub(super) fn in_stead<T>(stead: Option<&Stead>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match stead {
        Some(stead) => stead.act(act),
        None => act(),
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Bytes on their way to a sink. One buffer, refilled only when it is empty.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything.
    All,
    /// The sink takes no more now.
    Waits,
    /// Nobody is there any more to take it.
    Gone,
    /// The sink refuses it, with this error of the kernel.
    Failed(i32),
}

impl Buffer {
    pub(super) fn new(size: usize) -> Self {
        Self { bytes: vec![0; size].into_boxed_slice(), from: 0, to: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Everything that was read into it, whether it was written already or not.
    pub(super) fn whole(&self) -> &[u8] {
        self.bytes.get(..self.to).unwrap_or_default()
    }

    /// What of it was not written.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    /// The last `count` bytes that were written.
    pub(super) fn last_written(&self, count: usize) -> &[u8] {
        self.bytes.get(self.from.saturating_sub(count)..self.from).unwrap_or_default()
    }

    /// So much more of it was written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.from = self.from.saturating_add(count);
    }

    /// How much of it was not written.
    pub(super) fn left(&self) -> usize {
        self.to.saturating_sub(self.from)
    }

    /// Room behind what is in it.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.to..).unwrap_or_default()
    }

    pub(super) fn has_room(&self) -> bool {
        self.to < self.bytes.len()
    }

    /// `count` bytes of the room were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.to = self.to.saturating_add(count).min(self.bytes.len());
    }

    /// Replaces what is in it.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.forget();
        let count = bytes.len().min(self.bytes.len());
        if let (Some(into), Some(from)) = (self.bytes.get_mut(..count), bytes.get(..count)) {
            into.copy_from_slice(from);
        }
        self.to = count;
    }

    /// Replaces what is in it, however long.
    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        if bytes.len() > self.bytes.len() {
            self.to = bytes.len();
            self.bytes = bytes.into_boxed_slice();
            self.from = 0;
        } else {
            self.put(&bytes);
        }
    }

    /// Forgets what is in it and wipes it: what comes next may never reach so far.
    pub(super) fn forget(&mut self) {
        self.bytes.get_mut(..self.to).unwrap_or_default().fill(0);
        (self.from, self.to) = (0, 0);
    }

    /// Nothing of it is to be written any more; it is still there to be looked at.
    pub(super) fn take_all(&mut self) {
        self.from = self.to;
    }

    /// Writes what is left to a descriptor of our own, which does not wait.
    pub(super) fn write_to(&mut self, fd: impl AsFd) -> Written {
        self.write_with(|bytes| fd::write(&fd, bytes), None)
    }

    /// Writes what is left.
    pub(super) fn write(&mut self, sink: &Sink) -> Written {
        self.write_with(|bytes| sink.write(bytes), Some(sink).filter(|sink| sink.needs_poll()))
    }

    /// `polled`: it takes less at once than it may have room for, and is asked before each.
    fn write_with(&mut self, write: impl Fn(&[u8]) -> io::Result<usize>, polled: Option<&Sink>) -> Written {
        while self.from < self.to {
            if polled.is_some_and(|sink| !sink.takes()) {
                return Written::Waits;
            }
            match write(self.rest()) {
                Ok(0) => return Written::Waits,
                Ok(count) => {
                    self.wrote(count);
                    // Less than was offered: it is full, and asking again would be idle.
                    if !self.is_empty() && polled.is_none() {
                        return Written::Waits;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Written::Waits,
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Written::Gone,
                Err(e) => return Written::Failed(e.raw_os_error().unwrap_or_default()),
            }
        }
        Written::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tty::{Settings, Size};
    use crate::sys::{self, pty};

    /// Less may come from then on, and never reach so far again.
    #[test]
    fn what_a_buffer_forgets_is_no_longer_in_it() {
        let mut buffer = Buffer::new(64);
        buffer.put(b"OLD-SECRET");
        buffer.take_all();
        buffer.forget();
        assert_eq!(buffer.room(), [0; 64]);
        buffer.put(b"OLD-SECRET");
        buffer.put(b"new");
        buffer.forget();
        assert_eq!(buffer.room(), [0; 64]);
    }

    /// More than it holds, in lines, for it to translate or not.
    #[test]
    fn a_terminal_that_stands_still_is_not_waited_for() {
        let text: String = (0..400).map(|n| format!("{}\t|\r\n", "x".repeat(n % 90))).collect();
        for raw in [true, false] {
            let (leader, follower) = pty::open(Size::default()).unwrap();
            let found = Settings::of(&follower).unwrap();
            (if raw { found.raw() } else { found.plain() }).apply(&follower).unwrap();
            let (says, said) = std::sync::mpsc::channel();
            let text = text.clone();
            let writer = std::thread::spawn(move || {
                let sink = Sink::shared(follower, None);
                let mut buffer = Buffer::new(text.len());
                // What it takes it may take late.
                for _ in 0..20_000 {
                    if buffer.is_empty() {
                        buffer.put(text.as_bytes());
                    }
                    buffer.write(&sink);
                }
                says.send(buffer.is_empty()).unwrap();
            });
            assert_eq!(said.recv_timeout(sys::DEADLINE), Ok(false), "it was waited for");
            drop(leader);
            writer.join().unwrap();
        }
    }
}
