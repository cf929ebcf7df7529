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
use std::time::Duration;

impl<S: Sink> Writer<S> {
    /// Compresses the pending lines.
    pub(super) fn pack(&mut self, directive: Directive) -> Result<(), Error> {
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
        let packed = std::mem::take(&mut self.packed);
        let room = (limits::BODY as usize).saturating_sub(seal::OVERHEAD.saturating_add(limits::PAD));
        for part in packed.chunks(room) {
            let first = self.open.as_ref().is_some_and(|s| s.offset.is_none());
            let kind = if first { Kind::Seg } else { Kind::Data };
            let offset = self.offset;
            let key = self.chunks.key();
            self.sealed_chunk(kind, &key, part.to_vec())?;
            if let Some(segment) = &mut self.open {
                segment.offset.get_or_insert(offset);
            }
        }
        self.packed = packed;
        wipe(&mut self.packed);
        // What was captured before the last flush is sealed, but for what came late.
        self.unsigned_since.get_or_insert(self.flushed.min(now));
        Ok(())
    }

    pub(super) fn index_chunk(&mut self, plain: Vec<u8>) -> Result<(), Error> {
        let key = self.index.key();
        let chunk = self.sealed_chunk(Kind::Index, &key, plain)?;
        self.entry_length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        self.indexed = self.indexed.saturating_add(chunk.len() as u64);
        Ok(())
    }

    fn sealed_chunk(&mut self, kind: Kind, key: &Key, mut plain: Vec<u8>) -> Result<Vec<u8>, Error> {
        pad(&mut plain);
        let len = u32::try_from(plain.len().saturating_add(seal::OVERHEAD)).unwrap_or(u32::MAX);
        let bound = frame::bound(kind, 0, len, self.seq);
        let mut body = Vec::with_capacity(plain.len().saturating_add(seal::OVERHEAD));
        let sealed = seal::seal(key, &[&self.file, &bound], &plain, &mut body);
        wipe(&mut plain);
        sealed?;
        self.chunk(kind, 0, &body)
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
            closed: self.running.closed(),
            running: &self.running.digest(),
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
            let (offset, digest) = (self.segment_offset, self.running.close());
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

    /// Frames a body, counts it into the digest and appends it to `out`; gives back the whole chunk.
    pub(super) fn chunk(&mut self, kind: Kind, flags: u8, body: &[u8]) -> Result<Vec<u8>, Error> {
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        if len > limits::BODY {
            return Err(Error::format(
                self.offset,
                self.seq,
                format!("a chunk of {len} bytes is over the format's limit"),
            ));
        }
        let bound = frame::bound(kind, flags, len, self.seq);
        let mut chunk = Vec::with_capacity(body.len().saturating_add(frame::FRAME_LEN));
        chunk.extend_from_slice(&bound);
        chunk.extend_from_slice(&frame::crc(&bound, body).to_le_bytes());
        chunk.extend_from_slice(body);
        self.running.update(&chunk);
        self.offset = self.offset.saturating_add(chunk.len() as u64);
        self.seq = self.seq.checked_add(1).ok_or_else(|| {
            Error::format(self.offset, self.seq, "the recording has as many chunks as the format allows")
        })?;
        self.out.extend_from_slice(&chunk);
        Ok(chunk)
    }
}
