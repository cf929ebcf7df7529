//! The walk over the frames of a recording from its start, where no table shows what stands where, and on when it has grown.
//!
//! Refuses to go on behind what it does not know the place of. What it finds is opened by whoever has a key.

use super::Reader;
use super::index::HOLES;
use crate::container::chunk::{read_at, read_chunk};
use crate::container::end::held;
use crate::container::error::Error;
use crate::container::frame::{self, FRAME_LEN, Frame, Kind};
use crate::container::limits;
use crate::container::order::{self, Expect, Order};
use crate::container::tear::{Behind, next_whole};
use crate::container::verify::reaches_final;
use std::io::{Read, Seek};
use std::sync::Arc;

/// How far the frames of an open file have been followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub(super) offset: u64,
    /// What may stand there.
    pub(super) order: Order,
    /// Bytes of INDEX chunks so far.
    pub(super) index: u64,
    /// The final checkpoint has been passed, and is signed.
    pub(super) complete: bool,
    /// What cannot be read inside a segment is passed over: no table shows what stands behind it.
    pub(super) passes_over: bool,
    /// How often what was passed over had no frame to tell where it ends.
    pub(super) lost: usize,
    /// Where the first of it stands.
    pub(super) passed: Option<u64>,
}

impl Walk {
    /// The trailer has been passed.
    pub(super) fn ended(&self) -> bool {
        self.order.expect() == Expect::Nothing
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Why the first segment cannot be read whole that was passed over on the way to the end of a recording which is not closed.
    pub(crate) fn passed_over(&mut self) -> Option<Error> {
        let at = self.walk.passed.filter(|_| !self.closed)?;
        match self.chunk(at) {
            Ok(_) => Some(Error::format(at, None, "no chunk stands here that belongs here")),
            Err(error) => Some(error),
        }
    }

    /// Whether it goes to the frame of a final checkpoint, which what was passed over keeps from being proven.
    pub(crate) fn ends_unproven(&self) -> bool {
        self.walk.passed.is_some() && !self.has_end() && self.walk.order.expect().is_past_final()
    }

    /// Finds out whether a final checkpoint that a walk has passed is signed. Nothing else tells one that a recorder wrote from one
    /// that somebody put where the session was cut off. That takes a pass over the whole file, which only one needs that was
    /// stopped, or changed, in its last bytes.
    pub(super) fn look_for_final(&mut self) -> Result<(), Error> {
        if !self.closed && !self.walk.complete && self.walk.order.expect().is_past_final() {
            self.walk.complete = reaches_final(&mut self.source, self.length)?;
        }
        Ok(())
    }

    /// Walks the frames from where the last walk ended. Stops, without an error, where no whole chunk follows that belongs there, nor
    /// one that [it passes over](Walk::passes_over).
    pub(super) fn follow(&mut self) -> Result<(), Error> {
        // Where it came to a chunk that it passes over, of a segment that may have no end.
        let mut doubted = None;
        let walked = self.walk_on(&mut doubted);
        // Nothing goes on behind the last segment, and what is wrong with it is what is wrong with the end.
        if let Some((walk, segments, chunks)) = doubted {
            self.walk = walk;
            Arc::make_mut(&mut self.segments).truncate(segments);
            self.index_chunks.truncate(chunks);
        }
        walked
    }

    fn walk_on(&mut self, doubted: &mut Option<(Walk, usize, usize)>) -> Result<(), Error> {
        while !self.walk.ended() && self.broken.is_none() {
            let at = self.walk.offset;
            let (frame, bytes) = match read_chunk(&mut self.source, at, self.length) {
                Ok(Some(chunk)) => (chunk.frame, Some(chunk.bytes)),
                Err(error @ Error::Io { .. }) => return Err(error),
                _ => {
                    let sure = (self.walk, self.segments.len(), self.index_chunks.len());
                    if let Some(frame) = self.rotten(at)? {
                        doubted.get_or_insert(sure);
                        (frame, None)
                    } else if let Some(behind) = self.found_behind(at)? {
                        doubted.get_or_insert(sure);
                        self.walk = behind;
                        continue;
                    } else {
                        break;
                    }
                }
            };
            let mut order = self.walk.order;
            if order.pass(&frame, at).is_err() {
                break;
            }
            match frame.kind {
                Some(Kind::Seg) => {
                    if self.segments.len() >= limits::SEGMENTS {
                        return Err(Error::format(at, frame.seq, order::SEGMENTS));
                    }
                    Arc::make_mut(&mut self.segments).push(at);
                }
                Some(Kind::Index) => {
                    self.walk.index = self.walk.index.saturating_add(frame.total());
                    if self.walk.index > limits::INDEX {
                        return Err(Error::format(at, frame.seq, order::INDEX));
                    }
                    let chunk = bytes.and_then(|bytes| held(bytes, self.walk.index));
                    self.index_chunks.push((at, chunk));
                }
                Some(Kind::Check) if frame.flags & frame::CLOSES != 0 => {
                    let passed = doubted.take().map(|(walk, ..)| walk.offset);
                    self.walk.passed = self.walk.passed.or(passed);
                }
                _ => {}
            }
            (self.walk.offset, self.walk.order) = (at.saturating_add(frame.total()), order);
        }
        Ok(())
    }

    /// The frame of the chunk of a segment that stands at `at`, where a walk passes over it: it belongs there, and so does the whole chunk
    /// behind its end. Whoever reads that segment meets it; here it hides no more than one would whose checksum was repaired.
    fn rotten(&mut self, at: u64) -> Result<Option<Frame>, Error> {
        let mut order = self.walk.order;
        let left = self.length.saturating_sub(at);
        if !self.walk.passes_over || order.expect() == Expect::Opening || left < FRAME_LEN as u64 {
            return Ok(None);
        }
        let mut head = [0; FRAME_LEN];
        read_at(&mut self.source, at, &mut head)?;
        let Ok(frame) = Frame::parse(&head, at) else { return Ok(None) };
        let is_of_segment = matches!(frame.kind, Some(Kind::Seg | Kind::Data | Kind::Index | Kind::Check));
        if !is_of_segment || frame.flags & frame::FINAL != 0 || order.pass(&frame, at).is_err() {
            return Ok(None);
        }
        let behind = at.saturating_add(frame.total());
        match read_chunk(&mut self.source, behind, self.length) {
            Ok(Some(next)) => Ok(order.pass(&next.frame, behind).is_ok().then_some(frame)),
            Err(error @ Error::Io { .. }) => Err(error),
            _ => Ok(None),
        }
    }

    /// The walk at the first whole chunk behind `at`, where nothing tells how long what stands there is: it is a later one of the same
    /// segment. Of other segments nobody would know how many are between. Looking takes time, so not for more than [`HOLES`] places.
    fn found_behind(&mut self, at: u64) -> Result<Option<Walk>, Error> {
        let walk = self.walk;
        if !walk.passes_over || walk.order.expect() != Expect::More || walk.lost >= HOLES {
            return Ok(None);
        }
        let Behind::Chunk(offset, frame) = next_whole(&mut self.source, at, self.length)? else {
            return Ok(None);
        };
        let order = walk.order.skipped_to(&frame);
        Ok(order.map(|order| Walk { offset, order, lost: walk.lost.saturating_add(1), ..walk }))
    }
}
