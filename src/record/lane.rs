//! One direction of copying: a source, a sink, and one buffer between them.
//!
//! Nothing is read while the buffer holds something that was not written: that is the whole of back-pressure. Sinks
//! that are shared with others are never made non-blocking; they are written in pieces that cannot wait instead.
//!
//! What we were given is used in the stead of who the child runs as, where that is not us: without us the child would read
//! and write it itself, and nothing must come of it that the child could not have.

use crate::sys::fd::{self, Kind};
use crate::sys::pipe;
use crate::sys::poll::Set;
use crate::sys::privileges::Stead;
use crate::sys::tty::{Terminal, is_terminal};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A pipe that polls as writable takes this much without waiting (`PIPE_BUF`, POSIX).
const PIPE_BUF: usize = 4096;
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

fn in_stead<T>(stead: Option<&Stead>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
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
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    /// The last `count` bytes that were written.
    fn last_written(&self, count: usize) -> &[u8] {
        self.bytes.get(self.from.saturating_sub(count)..self.from).unwrap_or_default()
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
            let rest = self.bytes.get(self.from..self.to).unwrap_or_default();
            match write(rest) {
                Ok(0) => return Written::Waits,
                Ok(count) => {
                    self.from = self.from.saturating_add(count);
                    // Less than was offered: it is full, and asking again would be idle.
                    if count < rest.len() && polled.is_none() {
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

/// Standard input that is not the terminal, on its way to the child's.
///
/// The child must not be robbed of what it does not read: `while read host; do sealcast run -- check "$host"; done`
/// shares its standard input with the loop around it. In a pipe, bytes are looked at (`tee`) and taken only once the
/// child has read them; in a file, the offset goes back at the end over what the child left unread.
///
/// What is recorded is what the child was given, out of our own memory. What stands in a pipe is in the hands of others: who
/// reads there too may put other bytes in the place of those, and who gave it a page of his own (`vmsplice`) writes to that
/// when he likes. So the child has a copy, and what is taken from the source afterwards is only compared with it.
pub(super) struct Feeding {
    source: OwnedFd,
    kind: Kind,
    stead: Option<Stead>,
    /// Our end of the child's pipe; `None` once closed.
    sink: Option<File>,
    buffer: Buffer,
    /// From a pipe: where it is looked at.
    look: Option<Look>,
    /// From a pipe or a file: so many bytes, the last that were written to the child, are not recorded yet: it has not read them
    /// all. In a pipe they are still in the source.
    given: usize,
    left: usize,
    mismatched: u64,
    /// It ended because it could not be read any more.
    failure: Option<io::Error>,
}

/// A pipe of our own for what stands in another, and what was taken from that.
struct Look {
    pipe: (OwnedFd, OwnedFd),
    taken: Buffer,
}

impl Look {
    fn new() -> io::Result<Self> {
        let pipe = pipe::open().map_err(io::Error::other)?;
        pipe::set_capacity(&pipe.1, PIPE_BUF);
        fd::set_nonblocking(&pipe.0, true)?;
        Ok(Self { pipe, taken: Buffer::new(PIPE_BUF) })
    }

    /// Copies what stands at the head of `source`, and leaves it there.
    fn at(&self, source: &OwnedFd, room: &mut [u8]) -> io::Result<usize> {
        let count = pipe::tee(source, &self.pipe.1, room.len())?;
        let copy = room.get_mut(..count).unwrap_or_default();
        // Less would leave what comes next behind what is left.
        match count == 0 || fd::read(&self.pipe.0, copy)? == count {
            true => Ok(count),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Takes from `source` what was looked at. False when that is not what stands there now.
    fn take(&mut self, source: &OwnedFd, seen: &[u8]) -> bool {
        let room = self.taken.room().get_mut(..seen.len()).unwrap_or_default();
        let count = fd::read(source, room).unwrap_or(0);
        self.taken.filled(count);
        let same = self.taken.whole() == seen;
        self.taken.forget();
        same
    }
}

/// What a turn of [`Feeding`] wants to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Feeding {
    /// From `source`, which is read in somebody's `stead`, to `sink`, which becomes non-blocking and as small as a pipe can
    /// be: what is in it counts as not read.
    pub(super) fn new(source: OwnedFd, sink: OwnedFd, stead: Option<Stead>) -> io::Result<Self> {
        let kind = fd::kind(&source);
        fd::set_nonblocking(&sink, true)?;
        if matches!(kind, Kind::Pipe | Kind::File) {
            pipe::set_capacity(&sink, PIPE_BUF);
        }
        let size = if kind == Kind::Pipe { PIPE_BUF } else { 16 << 10 };
        let look = if kind == Kind::Pipe { Some(Look::new()?) } else { None };
        // Somebody else may read from the same pipe, and take what was there a moment ago: that must not be waited for,
        // wherever a description of our own can be had.
        let own = if kind == Kind::Pipe { fd::reopen_to_read(&source) } else { None };
        let source = own.map_or(source, OwnedFd::from);
        let (sink, buffer) = (Some(sink.into()), Buffer::new(size));
        Ok(Self { source, kind, stead, sink, buffer, look, given: 0, left: 0, mismatched: 0, failure: None })
    }

    pub(super) fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    pub(super) fn sink(&self) -> Option<&File> {
        self.sink.as_ref()
    }

    /// How many of the bytes that were recorded, the last of them, the child was given and did not read.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Bytes that the child has read and that were not in the source any more, or not as they had been, when they were to be
    /// taken from there: somebody else has the same pipe.
    pub(super) fn mismatched(&self) -> u64 {
        self.mismatched
    }

    /// Why the source could not be read to its end.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    pub(super) fn wants(&self) -> Wants {
        let pending = self.given > 0 || !self.buffer.is_empty();
        Wants { read: !pending, write: pending }
    }

    /// Copies what can be copied now; hands what the child was given to `record`. False when it is over.
    pub(super) fn turn(&mut self, gone: bool, record: &mut dyn FnMut(&[u8])) -> bool {
        let goes_on = !gone
            && match self.kind {
                Kind::Pipe | Kind::File => self.turn_lent(record),
                Kind::Socket | Kind::Local | Kind::Other => self.turn_other(record),
            };
        if !goes_on {
            self.settle(record);
        }
        goes_on
    }

    /// From where what the child does not read is to be found by others.
    fn turn_lent(&mut self, record: &mut dyn FnMut(&[u8])) -> bool {
        let Some(sink) = &self.sink else { return false };
        if self.given > 0 {
            // Small as it is, the child's pipe has room only when the child has read it all.
            return match pipe::unread(sink) {
                // Whether more may be given is asked anew: what was recorded may have been the last there was room for.
                Ok(0) => {
                    self.was_read(self.given, record);
                    true
                }
                Ok(_) => true,
                Err(_) => false,
            };
        }
        if self.buffer.is_empty() {
            let (source, room) = (&self.source, self.buffer.room());
            let copied = match &self.look {
                Some(look) => look.at(source, room),
                None => in_stead(self.stead.as_ref(), || fd::read(source, room)),
            };
            match copied {
                Ok(0) => return false,
                Ok(count) => self.buffer.filled(count),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) => {
                    self.failure = Some(e);
                    return false;
                }
            }
        }
        let rest = self.buffer.rest();
        match fd::write(sink, rest.get(..PIPE_BUF).unwrap_or(rest)) {
            Ok(count) => {
                self.buffer.from = self.buffer.from.saturating_add(count);
                self.given = count;
                true
            }
            // The child reads no more, unless it has filled its pipe itself.
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn turn_other(&mut self, record: &mut dyn FnMut(&[u8])) -> bool {
        let Some(sink) = &self.sink else { return false };
        if self.buffer.is_empty() {
            self.buffer.forget();
            let (source, room) = (&self.source, self.buffer.room());
            match in_stead(self.stead.as_ref(), || fd::read(source, room)) {
                Ok(0) => return false,
                Ok(count) => self.buffer.filled(count),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) => {
                    self.failure = Some(e);
                    return false;
                }
            }
            record(self.buffer.whole());
        }
        while !self.buffer.is_empty() {
            match fd::write(sink, self.buffer.rest()) {
                Ok(count) => self.buffer.from = self.buffer.from.saturating_add(count),
                // Otherwise the child reads no more.
                Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// The child is done reading: takes from the source what it read, and leaves what it did not. That is recorded all the same:
    /// it had it in its pipe, where one can look without reading, as we do.
    pub(super) fn settle(&mut self, record: &mut dyn FnMut(&[u8])) {
        let Some(sink) = self.sink.take() else { return };
        let unread = pipe::unread(&sink).unwrap_or(0);
        match self.kind {
            Kind::Pipe | Kind::File => {
                self.left = unread.min(self.given);
                self.was_read(self.given.saturating_sub(self.left), record);
                if self.left > 0 {
                    record(self.buffer.last_written(self.left));
                }
                if self.kind == Kind::File {
                    fd::back(&self.source, self.left.saturating_add(self.buffer.left()));
                }
            }
            Kind::Socket | Kind::Local | Kind::Other => {
                self.left = unread.saturating_add(self.buffer.left());
            }
        }
        self.buffer.forget();
    }

    /// The child has read the first `count` of the bytes it was given last.
    fn was_read(&mut self, count: usize, record: &mut dyn FnMut(&[u8])) {
        let read = self.buffer.last_written(self.given).get(..count).unwrap_or_default();
        if !read.is_empty() {
            record(read);
            if let Some(look) = &mut self.look
                && !look.take(&self.source, read)
            {
                self.mismatched = self.mismatched.saturating_add(read.len() as u64);
            }
        }
        self.given = self.given.saturating_sub(count);
        if self.given == 0 && self.buffer.is_empty() {
            self.buffer.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tty::{Settings, Size};
    use crate::sys::{self, pty};
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

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

    #[test]
    fn what_the_child_has_read_is_recorded_and_more_is_copied_only_when_it_is_asked_for_again() {
        let (ours, theirs) = (pipe::open().unwrap(), pipe::open().unwrap());
        let (mut from, mut child) = (File::from(ours.1), File::from(theirs.0));
        let mut feeding = Feeding::new(ours.0, theirs.1, None).unwrap();
        let mut recorded = Vec::new();
        let (reads, writes) = (Wants { read: true, write: false }, Wants { read: false, write: true });
        for byte in [b'a', b'b'] {
            from.write_all(&[byte; PIPE_BUF]).unwrap();
        }
        for byte in [b'a', b'b'] {
            assert_eq!(feeding.wants(), reads);
            for _ in 0..2 {
                assert!(feeding.turn(false, &mut |_| panic!("it has read nothing")));
                assert_eq!(feeding.wants(), writes);
            }
            let mut read = [0; PIPE_BUF];
            child.read_exact(&mut read).unwrap();
            assert!(feeding.turn(false, &mut |bytes| recorded.extend_from_slice(bytes)));
            assert_eq!((read, recorded.as_slice()), ([byte; PIPE_BUF], &read[..]));
            assert_eq!(
                pipe::unread(feeding.sink().unwrap()).unwrap(),
                0,
                "nobody asked whether there is room"
            );
            recorded.clear();
        }
        drop(from);
        assert_eq!(feeding.wants(), reads);
        assert!(!feeding.turn(false, &mut |_| panic!("there was no more")));
    }

    #[test]
    fn a_file_of_which_a_child_that_has_ended_read_nothing_stands_where_it_stood() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\ntwo\n").unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        let (theirs, sink) = pipe::open().unwrap();
        let mut feeding = Feeding::new(file.try_clone().unwrap().into(), sink, None).unwrap();
        // Its end comes between the look at its pipe and what is written to that.
        drop(theirs);
        assert!(!feeding.turn(false, &mut |_| ()));
        feeding.settle(&mut |_| ());
        let mut left = String::new();
        file.read_to_string(&mut left).unwrap();
        assert_eq!(left, "two\n");
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
