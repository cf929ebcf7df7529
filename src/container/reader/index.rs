//! The sealed metadata and the index of a recording, opened in their turn, and what the entries tell.
//!
//! Refuses to go on behind an entry that does not open in its place, or is malformed: the recording ends there.

use super::{Reader, Walk};
use crate::cast::Command;
use crate::container::chunk::{open_body, read_chunk, split_bound};
use crate::container::error::Error;
use crate::container::index::{self, Entry};
use crate::container::keys::{Chain, Unlocked};
use crate::container::limits;
use crate::container::opening;
use crate::container::order::Expect;
use std::io::{Read, Seek};
use std::sync::Arc;

/// Says of the JSON of an index entry whether its commands and programs are wanted.
pub type Wanted = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// An index entry that is not what was sealed, or is malformed: the recording ends there, as at a chunk that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) offset: u64,
    chunk: u32,
    /// What is wrong with it, once it is open.
    what: Option<String>,
}

impl Broken {
    pub(super) fn error(&self) -> Error {
        let Self { offset, chunk, ref what } = *self;
        match what {
            Some(what) => Error::format(offset, chunk, what.clone()),
            None => Error::NotAuthentic { offset, chunk },
        }
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Opens everything. Where an index entry does not open, the recording ends there, and [`Reader::fault`] says why.
    ///
    /// # Errors
    /// [`Error::WrongKey`]; or the sealed metadata are damaged.
    pub fn unlock(&mut self, root: [u8; 32]) -> Result<(), Error> {
        self.unlocked(Unlocked::with_root(&self.front.header, root)?)
    }

    /// Opens metadata and index only.
    ///
    /// # Errors
    /// As [`Reader::unlock`].
    pub fn unlock_index(&mut self, index: [u8; 32]) -> Result<(), Error> {
        self.unlocked(Unlocked::with_index(&self.front.header, index)?)
    }

    fn unlocked(&mut self, keys: Unlocked) -> Result<(), Error> {
        if self.opening.is_some() {
            // Both keys are those of the header, so the index is open already.
            if keys.content.is_some() {
                self.keys = Some(keys);
            }
            return Ok(());
        }
        self.keys = Some(keys);
        let before = self.unpacked;
        let read = match self.read_index_anew() {
            // Each entry opens in its place only: a table that joins segments into one points past entries.
            Err(Error::NotAuthentic { .. }) if self.closed && !self.walk.ended() => {
                (self.closed, self.whole, self.unpacked) = (false, true, before);
                (self.segments, self.index_chunks) = (Arc::default(), Vec::new());
                self.follow()?;
                self.look_for_final()?;
                self.read_index_anew()
            }
            read => read,
        };
        read.or_else(|error| self.end_at(&error).ok_or(error))?;
        // Where the file does not end before them, they are not cut off but damaged.
        let damaged = if self.opening.is_none() { self.fault() } else { None };
        damaged.map_or(Ok(()), Err)
    }

    /// Ends the recording at the index entry that does not open. `None`: it is the metadata, or nothing is wrong with an entry.
    pub(super) fn end_at(&mut self, error: &Error) -> Option<()> {
        self.opening.as_ref()?;
        let what = match error {
            Error::NotAuthentic { .. } => None,
            Error::Format { what, .. } => Some(what.clone()),
            _ => return None,
        };
        let broken = Broken { offset: error.offset()?, chunk: error.chunk()?, what };
        let order = self.walk.order.elsewhere(Expect::More, Some(broken.chunk));
        self.walk = Walk { offset: broken.offset, order, complete: false, ..self.walk };
        Arc::make_mut(&mut self.segments).truncate(self.entries.len().saturating_add(1));
        (self.closed, self.broken) = (false, Some(broken));
        Some(())
    }

    fn read_index_anew(&mut self) -> Result<(), Error> {
        self.index_chain = self.keys.as_ref().map(|keys| Chain::new(keys.index.clone()));
        (self.opening, self.entries, self.counted) = (None, Vec::new(), Arc::default());
        self.read_index()
    }

    /// From now on index entries are read without their commands and programs where `wanted` says no: making them takes most
    /// of the time of opening an index. The JSON has the texts of commands and the arguments and paths of programs as strings,
    /// paths perhaps without their last part, arguments perhaps each by itself; any character perhaps by its number (`\u0073`).
    pub fn only_if(&mut self, wanted: Wanted) {
        self.wanted = Some(wanted);
    }

    /// Whether all entries have the commands and programs that they should have; see [`Reader::only_if`].
    pub fn has_all_commands(&self) -> bool {
        self.whole
    }

    /// Index entries of the segments that were ended; one less than [`Reader::segments`] when the last one was not. Only the last
    /// one has commands that were running. Empty without a key.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Commands that had not ended, for whoever knows more of them than the index; none where one may be missing.
    pub(crate) fn running_mut(&mut self) -> &mut [Command] {
        let last = self.entries.last_mut().filter(|last| last.names_what_runs());
        last.map_or(&mut [], |last| &mut last.running)
    }

    /// Number of the segment to read for the time `ms` (milliseconds since the start of the session).
    pub fn segment_at(&self, ms: u64) -> usize {
        let after = self.entries.partition_point(|entry| entry.tally.start <= ms);
        let found = after.saturating_sub(1);
        // Past the last entry the time may lie in a segment that has none yet.
        match self.entries.get(found) {
            Some(entry)
                if after == self.entries.len() && ms > entry.tally.end && self.segments.len() > after =>
            {
                after
            }
            _ => found,
        }
    }

    /// Opens the index chunks that have not been opened yet. Where the metadata do not open, all are kept, as for a first time.
    pub(super) fn read_index(&mut self) -> Result<(), Error> {
        let Some(mut chain) = self.index_chain.take() else { return Ok(()) };
        let chunks = std::mem::take(&mut self.index_chunks);
        let read = chunks.iter().try_for_each(|(offset, bytes)| match bytes {
            Some(bytes) => self.read_index_chunk(&mut chain, *offset, bytes),
            None => {
                let gone = || Error::format(*offset, None, "the chunk is no longer there");
                let chunk = read_chunk(&mut self.source, *offset, self.length)?.ok_or_else(gone)?;
                self.read_index_chunk(&mut chain, *offset, &chunk.bytes)
            }
        });
        self.index_chain = Some(chain);
        if self.opening.is_none() {
            self.index_chunks = chunks;
        }
        read
    }

    fn read_index_chunk(&mut self, chain: &mut Chain, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let (bound, body) =
            split_bound(bytes).ok_or_else(|| Error::format(offset, None, "a chunk without a body"))?;
        let seq = u32::from_le_bytes(bound.get(8..12).and_then(|s| s.try_into().ok()).unwrap_or_default());
        let plain = open_body(&chain.key(), &self.front.file, bound, body)
            .ok_or(Error::NotAuthentic { offset, chunk: seq })?;
        let malformed = || Error::format(offset, seq, "the index entry is malformed");
        if self.opening.is_none() {
            let opening = opening::decode(&plain).ok_or_else(malformed)?;
            self.signed_anew = !opening.announces(&self.front.certificate.statement.first);
            self.opening = Some(Arc::new(opening));
            return Ok(());
        }
        let wanted = |json: &[u8]| self.wanted.as_ref().is_none_or(|wanted| wanted(json));
        let read = index::decode_entry(&plain, wanted).ok_or_else(malformed)?;
        // A few bytes of compressed text can be many megabytes, in one entry after the other.
        self.unpacked = self.unpacked.saturating_add(read.unpacked);
        if self.unpacked > limits::UNPACKED {
            let what =
                format!("the index comes to more than {} bytes, which no recorder writes", limits::UNPACKED);
            return Err(Error::format(offset, seq, what));
        }
        Arc::make_mut(&mut self.counted).push(read.entry.counted());
        let mut entry = read.entry;
        entry.drop_ended();
        if let Some(before) = self.entries.last_mut() {
            entry.follow(before);
        }
        self.entries.push(entry);
        self.whole &= read.whole;
        Ok(())
    }
}
