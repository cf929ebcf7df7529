//! Standard input that is not the terminal, on its way to the child.
//!
//! Refuses to rob the loop around a session of what the child does not read, and to record anything but what the child was given.

use super::lane::{Buffer, PIPE_BUF, in_stead};
use crate::sys::fd::{self, Kind};
use crate::sys::pipe;
use crate::sys::privileges::Stead;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
    /// It ended because it could not be read, or not be handed on, any more.
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

    /// Why the source could not be read, or not be handed on, to its end.
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
            && self.sink.is_some()
            && match self.kind {
                Kind::Pipe | Kind::File => self.turn_lent(record),
                Kind::Socket | Kind::Local | Kind::Other => self.turn_other(record),
            };
        if !goes_on {
            self.settle(record);
        }
        goes_on
    }

    /// Reads what there is now into the buffer, or looks at it. The error is whether there may be more later.
    fn fill(&mut self) -> Result<(), bool> {
        let (source, room) = (&self.source, self.buffer.room());
        let copied = match &self.look {
            Some(look) => look.at(source, room),
            None => in_stead(self.stead.as_ref(), || fd::read(source, room)),
        };
        match copied {
            Ok(0) => Err(false),
            Ok(count) => {
                self.buffer.filled(count);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(true),
            Err(e) => {
                self.failure = Some(e);
                Err(false)
            }
        }
    }

    /// From where what the child does not read is to be found by others.
    fn turn_lent(&mut self, record: &mut dyn FnMut(&[u8])) -> bool {
        if self.given > 0 {
            // Small as it is, the child's pipe has room only when the child has read it all.
            return match self.sink.as_ref().map_or(Ok(0), pipe::unread) {
                // Whether more may be given is asked anew: what was recorded may have been the last there was room for.
                Ok(0) => {
                    self.was_read(self.given, record);
                    true
                }
                Ok(_) => true,
                Err(error) => self.cannot_go_on(error),
            };
        }
        if self.buffer.is_empty()
            && let Err(goes_on) = self.fill()
        {
            return goes_on;
        }
        let Some(sink) = &self.sink else { return false };
        let rest = self.buffer.rest();
        match fd::write(sink, rest.get(..PIPE_BUF).unwrap_or(rest)) {
            Ok(count) => {
                self.buffer.wrote(count);
                self.given = count;
                true
            }
            Err(error) => self.cannot_go_on(error),
        }
    }

    /// The child's pipe takes nothing. True where it may later: the child has filled it itself. That the child reads no more is no
    /// failure.
    fn cannot_go_on(&mut self, error: io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock => return true,
            io::ErrorKind::BrokenPipe => {}
            _ => self.failure = Some(io::Error::other(format!("it cannot be handed on ({error})"))),
        }
        false
    }

    fn turn_other(&mut self, record: &mut dyn FnMut(&[u8])) -> bool {
        if self.buffer.is_empty() {
            self.buffer.forget();
            if let Err(goes_on) = self.fill() {
                return goes_on;
            }
            record(self.buffer.whole());
        }
        let Some(sink) = &self.sink else { return false };
        while !self.buffer.is_empty() {
            match fd::write(sink, self.buffer.rest()) {
                Ok(count) => self.buffer.wrote(count),
                Err(error) => return self.cannot_go_on(error),
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
    use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

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

    #[test]
    fn what_cannot_be_handed_on_is_not_taken_for_a_child_that_reads_no_more() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\n").unwrap();
        file.rewind().unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        (&theirs).write_all(b"one\n").unwrap();
        for source in [OwnedFd::from(file), ours.into()] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let mut feeding = Feeding::new(source, full.into(), None).unwrap();
            assert!(!feeding.turn(false, &mut |_| ()));
            let told = feeding.take_failure().unwrap().to_string();
            assert!(told.contains("No space left on device"), "{told}");
        }
    }
}
