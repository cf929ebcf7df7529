//! The walk over the frames of a recording from its start, where no table shows what stands where, and on when it has grown.
//!
//! Refuses to go on behind what it does not know the place of. What it finds is opened by whoever has a key.

use super::Reader;
use super::index::{Broken, HOLES};
use crate::container::chunk::{Chunk, read_at, read_chunk};
use crate::container::end::held;
use crate::container::error::Error;
use crate::container::frame::{self, FRAME_LEN, Frame, Kind};
use crate::container::limits;
use crate::container::order::{self, Expect, Order, Skipped};
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
    /// What cannot be read among the segments is passed over: no table shows what stands behind it.
    pub(super) passes_over: bool,
    /// How often what was passed over had no frame to tell where it ends, or was not there.
    pub(super) lost: usize,
    /// Where that was first: what comes behind it may stand elsewhere than it was written.
    pub(super) moved: Option<u64>,
    /// Where the first of what is passed over stands, and what belongs there.
    pub(super) passed: Option<(u64, Order)>,
}

impl Walk {
    /// The trailer has been passed.
    pub(super) fn ended(&self) -> bool {
        self.order.expect() == Expect::Nothing
    }
}

/// How far a walk has come that was sure of all before it, and how much it had found.
struct Sure {
    walk: Walk,
    segments: usize,
    chunks: usize,
    gaps: usize,
}

/// A place where chunks are missing. How many segments are missing with them is known where the next entry opens in its own place.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) at: u64,
    /// Number of the first segment that may be missing as a whole.
    pub(super) segment: usize,
    pub(super) skipped: Skipped,
}

impl Gap {
    /// What is said of it.
    pub(super) fn broken(&self) -> Broken {
        Broken::missing(self.at, &self.skipped.chunks)
    }

    /// Most entries that are missing.
    pub(super) fn most(&self) -> usize {
        /// Chunks of a segment: its first, its entry, its last checkpoint.
        const SHORTEST: usize = 3;
        self.skipped.chunks.len().div_ceil(SHORTEST)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Why the first segment cannot be read whole that was passed over on the way to the end of a recording which is not closed.
    pub(crate) fn passed_over(&mut self) -> Option<Error> {
        let (at, mut order) = self.walk.passed.filter(|_| !self.closed)?;
        let misplaced = match self.chunk(at) {
            Ok(Some(chunk)) => order.pass(&chunk.frame, at).err(),
            Ok(None) => None,
            Err(error) => return Some(error),
        };
        misplaced.or_else(|| Some(Error::format(at, None, "no chunk stands here that belongs here")))
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
        if let Some(sure) = doubted {
            self.walk = sure.walk;
            Arc::make_mut(&mut self.segments).truncate(sure.segments);
            self.index_chunks.truncate(sure.chunks);
            self.gaps.truncate(sure.gaps);
        }
        walked
    }

    fn walk_on(&mut self, doubted: &mut Option<Sure>) -> Result<(), Error> {
        // Where what begins that is being passed over.
        let mut hole = None;
        while !self.walk.ended() && self.broken.is_none() {
            let at = self.walk.offset;
            let read = match read_chunk(&mut self.source, at, self.length) {
                Err(error @ Error::Io { .. }) => return Err(error),
                read => read.ok().flatten(),
            };
            let mut order = self.walk.order;
            let mut belongs = |chunk: &Chunk| order.pass(&chunk.frame, at).is_ok();
            let (frame, bytes) = match read {
                Some(chunk) if belongs(&chunk) => (chunk.frame, Some(chunk.bytes)),
                unfit => {
                    let sure = Sure {
                        walk: self.walk,
                        segments: self.segments.len(),
                        chunks: self.index_chunks.len(),
                        gaps: self.gaps.len(),
                    };
                    let rotten = if unfit.is_none() { self.rotten(at)? } else { None };
                    let begins = *hole.get_or_insert(at);
                    if rotten.is_none() && !self.goes_on_behind(begins, at, unfit.map(|chunk| chunk.frame))? {
                        break;
                    }
                    doubted.get_or_insert(sure);
                    let Some(frame) = rotten else { continue };
                    order.pass(&frame, at)?;
                    (frame, None)
                }
            };
            hole = None;
            match frame.kind {
                Some(Kind::Seg) => self.begin_segment(at, frame.seq)?,
                Some(Kind::Index) => {
                    self.walk.index = self.walk.index.saturating_add(frame.total());
                    if self.walk.index > limits::INDEX {
                        return Err(Error::format(at, frame.seq, order::INDEX));
                    }
                    let chunk = bytes.and_then(|bytes| held(bytes, self.walk.index));
                    self.index_chunks.push((at, chunk));
                }
                Some(Kind::Check) if frame.flags & frame::CLOSES != 0 => {
                    let passed = doubted.take().map(|sure| (sure.walk.offset, sure.walk.order));
                    self.walk.passed = self.walk.passed.or(passed);
                }
                _ => {}
            }
            (self.walk.offset, self.walk.order) = (at.saturating_add(frame.total()), order);
        }
        Ok(())
    }

    fn begin_segment(&mut self, at: u64, seq: u32) -> Result<(), Error> {
        if self.segments.len() >= limits::SEGMENTS {
            return Err(Error::format(at, seq, order::SEGMENTS));
        }
        Arc::make_mut(&mut self.segments).push(at);
        Ok(())
    }

    /// The frame of the chunk of a segment that stands at `at`, where a walk passes over it: it belongs there, and so does the whole chunk
    /// behind its end. Whoever reads that segment meets it; here it hides no more than one would whose checksum was repaired.
    fn rotten(&mut self, at: u64) -> Result<Option<Frame>, Error> {
        let order = self.walk.order;
        let left = self.length.saturating_sub(at);
        if !self.walk.passes_over || order.expect() == Expect::Opening || left < FRAME_LEN as u64 {
            return Ok(None);
        }
        let mut head = [0; FRAME_LEN];
        read_at(&mut self.source, at, &mut head)?;
        let Ok(frame) = Frame::parse(&head, at) else { return Ok(None) };
        let is_of_segment = matches!(frame.kind, Some(Kind::Seg | Kind::Data | Kind::Index | Kind::Check));
        if !is_of_segment || frame.flags & frame::FINAL != 0 {
            return Ok(None);
        }
        Ok(self.goes_on(order, at, &frame)?.then_some(frame))
    }

    /// Whether a chunk with this frame belongs at `at`, before which is this place in the order, and the whole one behind its end does.
    fn goes_on(&mut self, mut order: Order, at: u64, frame: &Frame) -> Result<bool, Error> {
        if order.pass(frame, at).is_err() {
            return Ok(false);
        }
        let behind = at.saturating_add(frame.total());
        match read_chunk(&mut self.source, behind, self.length) {
            Ok(Some(next)) => Ok(order.pass(&next.frame, behind).is_ok()),
            Err(error @ Error::Io { .. }) => Err(error),
            _ => Ok(false),
        }
    }

    /// The first whole chunk that begins at a place or behind it, as far as one that begins there may reach.
    pub(crate) fn whole_at_or_behind(&mut self, at: u64) -> Result<Option<(u64, Chunk)>, Error> {
        let place = match read_chunk(&mut self.source, at, self.length) {
            Ok(Some(chunk)) => return Ok(Some((at, chunk))),
            Err(error @ Error::Io { .. }) => return Err(error),
            _ => next_whole(&mut self.source, at, self.length)?,
        };
        let Behind::Chunk(place) = place else { return Ok(None) };
        let chunk = read_chunk(&mut self.source, place, self.length)?;
        Ok(chunk.map(|chunk| (place, chunk)))
    }

    /// Goes on where the chunk that belongs at `at` does not stand there, but perhaps the whole one with this frame: over one that came
    /// before; to a later one, where what follows it does, too: those between are missing; or else to the first whole chunk behind it.
    /// What is passed over so `begins` there. `false`: there is none. Looking takes time, so not at more than [`HOLES`] places.
    fn goes_on_behind(&mut self, begins: u64, at: u64, whole: Option<Frame>) -> Result<bool, Error> {
        let order = self.walk.order;
        if !self.walk.passes_over || !order.is_among_segments() {
            return Ok(false);
        }
        if let Some(frame) = whole.filter(|frame| order.is_behind(frame)) {
            self.walk.offset = at.saturating_add(frame.total());
            self.walk.moved.get_or_insert(begins);
            return Ok(true);
        }
        if self.walk.lost >= HOLES {
            return Ok(false);
        }
        if let Some(frame) = whole
            && let Some(skipped) = order.skipped_to(&frame)
            && self.goes_on(skipped.order, at, &frame)?
        {
            let segment = self.segments.len();
            if skipped.segment {
                self.begin_segment(begins, frame.seq)?;
            }
            self.walk.order = skipped.order;
            self.gaps.push(Gap { at: begins, segment, skipped });
        } else {
            let Behind::Chunk(offset) = next_whole(&mut self.source, at, self.length)? else {
                return Ok(false);
            };
            self.walk.offset = offset;
        }
        self.walk.moved.get_or_insert(begins);
        self.walk.lost = self.walk.lost.saturating_add(1);
        Ok(true)
    }
}
