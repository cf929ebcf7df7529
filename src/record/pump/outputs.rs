//! Standard output and error where they are not the terminal: how long they are waited for, and what becomes of what is in them when
//! they are let go.

use super::{Phase, Pump, SLOW};
use crate::cast::Why;
use crate::record::capture::Stream;
use crate::record::lane::{Sink, Written};
use crate::sys::poll::Set;
use crate::sys::{fd, pipe};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

impl Pump<'_> {
    /// Whether the terminal was lost that the session does not go on without: nobody is there any more who could ask it to end.
    pub(super) fn is_deserted(&self) -> bool {
        self.leads && self.screen.is_none() && !self.outlives
    }

    /// Whether an output goes to somebody who waits for its end. Without us that would be the end of all that hold it open,
    /// and not that of the child: it is waited for here too, whose end is told later. Who does not want to wait asks us to
    /// end, as he would ask the reader; where nobody is there any more who could, that is not waited for.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.is_deserted() && self.streams.outputs.iter().flatten().any(|(_, sink)| sink.has_reader())
    }

    /// Until when a reader is waited for, at the end of a session that has lost its terminal, if it takes nothing of what was written
    /// until then.
    pub(super) fn deserted_until(&self) -> Option<Duration> {
        let Phase::Ended { since, .. } = self.phase else { return None };
        let waits = self.is_deserted() && self.is_showing();
        waits.then(|| self.handed.max(since).saturating_add(SLOW))
    }

    /// Lets go of the outputs that something the child left behind still holds open, or that nobody takes any more, and says so.
    pub(super) fn leave_outputs(&mut self) {
        let left = self.drop_outputs(
            "what the program left running has it open still: what it writes there is lost from here on",
        );
        if !left.is_empty() {
            let names: Vec<_> = left.iter().map(|stream| stream.described()).collect();
            let names = names.join(" and ");
            self.tell(&format!(
                "the program left something running: what that writes to {names} is lost from here on"
            ));
        }
    }

    /// Lets go of the outputs. What was written to them by now is recorded, where that goes, and what of it was not handed on is told;
    /// so is, with this note, that more may be written. Gives those for which that is so.
    pub(super) fn drop_outputs(&mut self, note: &str) -> Vec<Stream> {
        let mut left = Vec::new();
        for (n, stream) in [Stream::Output, Stream::Error].into_iter().enumerate() {
            let Some((source, sink)) = self.streams.outputs[n].take() else { continue };
            let Some(buffer) = self.stream_buffers.get_mut(n) else { continue };
            let mut kept = buffer.left();
            if !buffer.is_empty() {
                self.batch.streamed(stream, buffer.whole());
                buffer.forget();
            }
            if self.ordered_end.is_none() && !self.batch.is_stuck() {
                let to = Some(&sink).filter(|_| kept == 0);
                kept = kept.saturating_add(self.drain(n, stream, &source, to));
            }
            if kept > 0 {
                self.failed = true;
                let what = stream.described();
                self.tell(&format!(
                    "{what} was not waited for any longer: {kept} bytes did not arrive there"
                ));
                let note = "so many of the bytes recorded before did not arrive: it was not waited for any longer that they are taken";
                self.gap(Why::Undelivered, stream, kept, note.to_owned());
            }
            let lost = pipe::unread(&source).unwrap_or(0);
            if lost > 0 || has_writers(&source) {
                self.gap(Why::Left, stream, lost, note.to_owned());
                left.push(stream);
            }
        }
        left
    }

    /// Records what was written to an output and is not read yet, and hands on of it what there is room for now. Gives how many bytes
    /// were not handed on.
    pub(super) fn drain(&mut self, n: usize, stream: Stream, source: &OwnedFd, to: Option<&Sink>) -> usize {
        let Some(buffer) = self.stream_buffers.get_mut(n) else { return 0 };
        let (mut unread, mut kept) = (pipe::unread(source).unwrap_or(0), 0_usize);
        while unread > 0 {
            let Ok(count @ 1..) = fd::read(source, buffer.room()) else { break };
            buffer.filled(count);
            // A reader who has gone has missed nothing.
            let is_gone = to.filter(|_| kept == 0).is_some_and(|sink| buffer.write(sink) == Written::Gone);
            kept = kept.saturating_add(if is_gone { 0 } else { buffer.left() });
            self.batch.streamed(stream, buffer.whole());
            buffer.forget();
            unread = unread.saturating_sub(count);
        }
        kept
    }

    /// What the child has written does not arrive, and it cannot be told why: the operator is told, and the recording.
    pub(super) fn undelivered(&mut self, stream: Stream, count: usize, error: &io::Error) {
        self.failed = true;
        self.tell(&format!(
            "cannot write {}: {error}; {count} bytes did not arrive there",
            stream.described()
        ));
        let note =
            format!("{error}: so many of the bytes recorded before did not arrive, and none after them");
        self.gap(Why::Undelivered, stream, count, note);
    }
}

/// Whether somebody has the other end of this pipe open.
fn has_writers(source: &OwnedFd) -> bool {
    let mut set = Set::default();
    let slot = set.add(source, true, false);
    set.wait(Some(Duration::ZERO)).is_ok() && !set.ready(slot).gone
}
