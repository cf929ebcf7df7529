//! What was taken becomes chunks: compressed, padded, sealed, framed, signed.
//!
//! All of it goes to the memory of the writer, and fails only where that cannot be made. Refuses to write, to read a clock, and
//! to decide when something is due: that is the writer's.

use super::super::check::{self, Signed};
use super::super::end::Row;
use super::super::error::Error;
use super::super::frame::{self, Kind};
use super::super::keys::pad;
use super::super::limits;
use super::{Sink, Writer};
use crate::crypto::chain::Key;
use crate::crypto::seal;
use crate::sys::deflate::{Directive, Settings};
use crate::sys::memory::wipe;
use std::ops::Range;
use std::time::Duration;

impl<S: Sink> Writer<S> {
    /// Compresses the pending lines.
    pub(super) fn pack(&mut self, directive: Directive) -> Result<(), Error> {
        self.keep_pace()?;
        let packed = self.deflate.compress(&self.lines, &mut self.packed, directive);
        wipe(&mut self.lines);
        self.buffered = 0;
        self.holds = directive == Directive::Continue;
        packed.map_err(|what| Error::Compression(what.to_owned()))
    }

    /// Ends the zstd frame in hand, if one has begun, and compresses otherwise from here on.
    pub(super) fn settings(&mut self, settings: Settings) -> Result<(), Error> {
        let switched = self.deflate.switch(settings, &mut self.packed);
        switched.map_err(|what| Error::Compression(what.to_owned()))
    }

    /// Seals what is compressed, as one chunk.
    pub(super) fn seal(&mut self, now: Duration) -> Result<(), Error> {
        // Incompressible text can exceed a chunk only if a caller pushes a megabyte in one event; cut it all the same.
        let mut packed = std::mem::take(&mut self.packed);
        let room = (limits::BODY as usize).saturating_sub(seal::OVERHEAD.saturating_add(limits::PAD));
        let sealed = match packed.len() <= room {
            true => self.segment_chunk(&mut packed),
            false => packed.chunks(room).try_for_each(|part| self.segment_chunk(&mut part.to_vec())),
        };
        wipe(&mut packed);
        self.packed = packed;
        sealed?;
        // What was captured before the last flush is sealed, but for what came late.
        self.unsigned_since.get_or_insert(self.flushed.min(now));
        Ok(())
    }

    /// One chunk of the segment in hand.
    fn segment_chunk(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        let first = self.open.as_ref().is_some_and(|s| s.offset.is_none());
        let kind = if first { Kind::Seg } else { Kind::Data };
        let offset = self.offset;
        let key = self.chunks.key();
        self.sealed_chunk(kind, &key, plain)?;
        if let Some(segment) = &mut self.open {
            segment.offset.get_or_insert(offset);
        }
        Ok(())
    }

    pub(super) fn index_chunk(&mut self, mut plain: Vec<u8>) -> Result<(), Error> {
        let key = self.index.key();
        let length = self.sealed_chunk(Kind::Index, &key, &mut plain)?.len() as u64;
        self.entry_length = u32::try_from(length).unwrap_or(u32::MAX);
        self.indexed = self.indexed.saturating_add(length);
        Ok(())
    }

    /// Pads a text and seals it where it is written from: in a flood each copy is one of all that was shown. The text is wiped.
    fn sealed_chunk(&mut self, kind: Kind, key: &Key, plain: &mut Vec<u8>) -> Result<Range<usize>, Error> {
        pad(plain);
        let framed = self.framed(kind, 0, plain.len().saturating_add(seal::OVERHEAD), |file, bound, out| {
            seal::seal(key, &[file, bound], plain, out)
        });
        wipe(plain);
        framed
    }

    pub(super) fn checkpoint(&mut self, flags: u8) -> Result<(), Error> {
        let next = check::fresh_key()?;
        let last = flags & frame::FINAL != 0;
        let announced = if last { [0; 32] } else { next.verifying_key().to_bytes() };
        let body = Signed {
            file: &self.file,
            epoch: self.epoch,
            seq: self.seq,
            flags,
            closed: self.digests.closed(),
            running: &self.digests.segment(),
            next: &announced,
        }
        .sign(&self.signing);
        // The old key is wiped as it is dropped: it has signed its one checkpoint.
        self.signing = next;
        self.epoch = self.epoch.saturating_add(1);
        self.unsigned_since = None;
        self.chunk(Kind::Check, flags, &body)?;
        if flags & frame::CLOSES != 0 {
            let length = self.offset.saturating_sub(self.segment_offset);
            let (offset, digest) = (self.segment_offset, self.digests.close());
            Row { offset, length, entry: self.entry_length, digest }.encode(&mut self.table);
            self.segment_offset = self.offset;
        }
        Ok(())
    }

    /// Frames what may be longer than a chunk.
    pub(super) fn pieces(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), Error> {
        let (first, mut rest) = bytes.split_at(bytes.len().min(limits::BODY as usize));
        self.chunk(kind, 0, first)?;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(limits::BODY as usize));
            self.chunk(kind, 0, piece)?;
            rest = after;
        }
        Ok(())
    }

    /// Frames a body, and appends it to `out`: gives where it is there.
    pub(super) fn chunk(&mut self, kind: Kind, flags: u8, body: &[u8]) -> Result<Range<usize>, Error> {
        self.framed(kind, flags, body.len(), |_, _, out| {
            out.extend_from_slice(body);
            Ok(())
        })
    }

    /// Frames a body of this length, which `put` appends (it is given the file's id and what the frame says of the body), and
    /// counts it into the digest.
    fn framed(
        &mut self,
        kind: Kind,
        flags: u8,
        length: usize,
        put: impl FnOnce(&[u8], &[u8], &mut Vec<u8>) -> Result<(), getrandom::Error>,
    ) -> Result<Range<usize>, Error> {
        let len = u32::try_from(length).unwrap_or(u32::MAX);
        if len > limits::BODY {
            return Err(Error::format(
                self.offset,
                self.seq,
                format!("a chunk of {len} bytes is over the format's limit"),
            ));
        }
        let next = self.seq.checked_add(1).ok_or_else(|| {
            Error::format(self.offset, self.seq, "the recording has as many chunks as the format allows")
        })?;
        let bound = frame::bound(kind, flags, len, self.seq);
        let start = self.out.len();
        self.out.reserve(length.saturating_add(frame::FRAME_LEN));
        self.out.extend_from_slice(&bound);
        // The check's place: it is taken of what comes behind it.
        self.out.extend_from_slice(&[0; 4]);
        if let Err(error) = put(&self.file, &bound, &mut self.out) {
            self.out.truncate(start);
            return Err(error.into());
        }
        let chunk = self.out.get_mut(start..).unwrap_or_default();
        if let Some((head, body)) = chunk.split_at_mut_checked(frame::FRAME_LEN)
            && let Some(check) = head.last_chunk_mut()
        {
            *check = frame::crc(&bound, body).to_le_bytes();
        }
        self.digests.update(chunk);
        self.offset = self.offset.saturating_add(chunk.len() as u64);
        self.seq = next;
        Ok(start..self.out.len())
    }
}
