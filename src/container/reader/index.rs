//! The sealed metadata and the index of a recording, opened in their turn, and what the entries tell.
//!
//! Refuses to take an entry that does not open in its place, or is malformed, for nothing: where no later one opens in its own place,
//! nobody knows how many are missing, and the recording ends there; where one does, all is known but what it said.

use super::Reader;
use super::walk::{Gap, Walk};
use crate::cast::{Command, millis};
use crate::container::chunk::{open_body, read_chunk, split_bound};
use crate::container::cursor::{Cursor, Lost};
use crate::container::error::Error;
use crate::container::index::{self, Counted, Entry, GivenUp, Tally};
use crate::container::keys::{Chain, Unlocked};
use crate::container::limits;
use crate::container::opening;
use crate::container::order::Expect;
use crate::crypto::chain::Key;
use std::borrow::Cow;
use std::io::{Read, Seek};
use std::ops::Range;
use std::sync::Arc;

/// Says of the JSON of an index entry whether its commands and programs are wanted.
pub type Wanted = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Most index entries that are passed over: the content of each of those segments is read to know what it holds.
pub(super) const HOLES: usize = 16;

/// Bytes of entries that are tried, in all, with one key after the other where others may be missing before them; and as how many a trial
/// counts at least: who opens files of strangers must not wait for long.
const TRIED: usize = 256 << 20;
/// See [`TRIED`].
const TRIAL: usize = 64 << 10;

/// An index entry that is not what was sealed, or is malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) offset: u64,
    /// Number of its chunk, where it is known.
    chunk: Option<u32>,
    /// What is wrong with it. `None`: it is not authentic.
    what: Option<String>,
}

impl Broken {
    /// `None`: nothing is wrong with an entry.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let what = match error {
            Error::NotAuthentic { .. } => None,
            Error::Format { what, .. } => Some(what.clone()),
            _ => return None,
        };
        Some(Self { offset: error.offset()?, chunk: error.chunk(), what })
    }

    /// Of chunks that are missing.
    pub(super) fn missing(offset: u64, chunks: &Range<u32>) -> Self {
        let last = chunks.end.saturating_sub(1);
        let what = match chunks.len() {
            1 => "the chunk is missing here".to_owned(),
            _ => format!("the chunks from this one to {last} are missing here"),
        };
        Self { offset, chunk: Some(chunks.start), what: Some(what) }
    }

    pub(super) fn error(&self) -> Error {
        let Self { offset, chunk, ref what } = *self;
        match (what, chunk) {
            (None, Some(chunk)) => Error::NotAuthentic { offset, chunk },
            (what, chunk) => Error::format(offset, chunk, what.clone().unwrap_or_default()),
        }
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Opens everything. Where an index entry does not open, nor one after it, the recording ends there; where a later one does, what is
    /// known of that segment is what its content tells. [`Reader::fault`] says where, and why.
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
                self.recount()?;
            }
            return Ok(());
        }
        self.keys = Some(keys);
        let before = self.unpacked;
        let mut read = self.read_index_anew();
        let doubted = if read.is_ok() { !self.holes.is_empty() } else { !self.unsure.is_empty() };
        if doubted && self.closed && !self.walk.ended() {
            read = self.read_by_frames(read, before);
        }
        read.or_else(|error| self.end_at(&error).ok_or(error))?;
        self.recount()?;
        // Where the file does not end before them, they are not cut off but damaged.
        let damaged = if self.opening.is_none() { self.fault() } else { None };
        damaged.map_or(Ok(()), Err)
    }

    /// Opens the index by the frames where an entry did not open to which the table points. Each opens in its place only, and a table that
    /// joins segments into one, or cuts them elsewhere, points to other chunks. `by_table`: what came of that one. It is kept, with its
    /// holes, where later entries opened in their places and a walk, which stops before the end, has found nothing else.
    fn read_by_frames(&mut self, by_table: Result<(), Error>, unpacked: u64) -> Result<(), Error> {
        let (segments, walk) = (std::mem::take(&mut self.segments), self.walk);
        self.index_chunks = Vec::new();
        self.follow()?;
        let (same, whole) = if by_table.is_ok() { self.is_as_walked()? } else { (false, false) };
        if same && !self.walk.order.expect().is_past_final() {
            (self.segments, self.walk, self.index_chunks) = (segments, walk, Vec::new());
            return by_table;
        }
        (self.whole, self.unpacked) = (true, unpacked);
        self.closed = whole && self.walk.ended();
        self.look_for_final()?;
        self.read_index_anew()
    }

    /// Ends the recording at the index entry that does not open. `None`: it is the metadata, or nothing is wrong with an entry.
    pub(super) fn end_at(&mut self, error: &Error) -> Option<()> {
        self.opening.as_ref()?;
        let broken = Broken::of(error)?;
        self.unsure.clear();
        let order = self.walk.order.elsewhere(Expect::More, Some(broken.chunk?));
        self.walk = Walk { offset: broken.offset, order, complete: false, ..self.walk };
        Arc::make_mut(&mut self.segments).truncate(self.entries.len().saturating_add(1));
        (self.closed, self.broken) = (false, Some(broken));
        Some(())
    }

    fn read_index_anew(&mut self) -> Result<(), Error> {
        self.index_chain = self.keys.as_ref().map(|keys| Chain::new(keys.index.clone()));
        (self.opening, self.entries, self.counted) = (None, Vec::new(), Arc::default());
        (self.holes, self.unsure) = (Vec::new(), Vec::new());
        (self.missing, self.lacking) = (0, None);
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
    /// one has commands that were running. One that cannot be read says so ([`GivenUp::Unreadable`]), and what its content tells
    /// where that is open. Empty without a key.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Commands that had not ended, for whoever knows more of them than the index; none where one may be missing.
    pub(crate) fn running_mut(&mut self) -> &mut [Command] {
        let last = self.entries.last_mut().filter(|last| last.names_what_runs());
        last.map_or(&mut [], |last| &mut last.running)
    }

    /// Commands of the entry of this segment: of one that cannot be read, those that ran before it and run no more behind it.
    pub(crate) fn ended_in(&mut self, segment: usize) -> &mut [Command] {
        self.entries.get_mut(segment).map_or(&mut [], |entry| &mut entry.commands)
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
    ///
    /// # Errors
    /// Reading failed; the first entry that does not open and has none after it that does; or there is more than a reader takes.
    pub(super) fn read_index(&mut self) -> Result<(), Error> {
        let Some(mut chain) = self.index_chain.take() else { return Ok(()) };
        let chunks = std::mem::take(&mut self.index_chunks);
        let read = chunks.iter().try_for_each(|(offset, bytes)| {
            let known = self.gaps.partition_point(|gap| gap.at <= *offset);
            let gaps: Vec<Gap> = self.gaps.drain(..known).collect();
            let read = match bytes {
                Some(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
                None => self.read_index_chunk(*offset).map(Cow::Owned),
            };
            let opened = self.opened(&mut chain, &gaps, *offset, read);
            if self.opening.is_none() {
                return self.take_opening(opened?);
            }
            match opened.and_then(|opened| self.decoded(opened)) {
                Ok(read) => self.take_entry(*offset, read),
                Err(error) => self.pass_over(error),
            }
        });
        self.index_chain = Some(chain);
        if self.opening.is_none() {
            self.index_chunks = chunks;
        }
        // Nor does anything tell how many are missing where none comes behind them.
        let lacks = self.gaps.iter().filter(|gap| gap.skipped.entry && self.opening.is_some());
        let lacking = lacks.map(Gap::broken).next();
        let unsure = || self.unsure.first().or(lacking.as_ref()).map(Broken::error);
        match read {
            Err(error @ Error::Io { .. }) => Err(error),
            read => unsure().map_or(read, Err),
        }
    }

    /// The whole chunk that stands where an index entry should.
    pub(super) fn read_index_chunk(&mut self, offset: u64) -> Result<Vec<u8>, Error> {
        let gone = || Error::format(offset, None, "no whole chunk stands here");
        Ok(read_chunk(&mut self.source, offset, self.length)?.ok_or_else(gone)?.bytes)
    }

    /// Opens an index chunk with the key of its place, which it has whether it opens or not. Behind `gaps` that may be a later one: so it
    /// becomes known how many entries, and segments, are missing there.
    fn opened(
        &mut self,
        chain: &mut Chain,
        gaps: &[Gap],
        offset: u64,
        bytes: Result<Cow<'_, [u8]>, Error>,
    ) -> Result<Opened, Error> {
        let least = gaps.iter().filter(|gap| gap.skipped.entry).count();
        (0..least).for_each(|_| drop(chain.key()));
        for gap in gaps.iter().filter(|gap| gap.skipped.entry) {
            self.lack(gap, 1);
        }
        let (key, mut later) = (chain.key(), chain.clone());
        let bytes = bytes?;
        let opened = self.plain(&key, offset, &bytes);
        let Some(largest) = gaps.iter().max_by_key(|gap| gap.skipped.chunks.len()) else { return opened };
        let most = gaps.iter().map(Gap::most).fold(0, usize::saturating_add);
        let price = bytes.len().max(TRIAL);
        if opened.is_err() {
            for more in 1..=most.saturating_sub(least) {
                self.tried = self.tried.saturating_add(price);
                if self.tried > TRIED {
                    break;
                }
                if let Ok(opened) = self.plain(&later.key(), offset, &bytes) {
                    *chain = later;
                    self.lack_segments(largest, more);
                    return Ok(opened);
                }
            }
        }
        opened
    }

    /// So many entries are missing in a gap.
    fn lack(&mut self, gap: &Gap, count: usize) {
        self.missing = self.missing.saturating_add(count);
        self.lacking.get_or_insert_with(|| gap.broken());
    }

    /// So many segments are missing in a gap, from their beginnings to their ends.
    fn lack_segments(&mut self, gap: &Gap, count: usize) {
        self.lack(gap, count);
        let segments = Arc::make_mut(&mut self.segments);
        let place = gap.segment.min(segments.len());
        segments.splice(place..place, std::iter::repeat_n(gap.at, count));
        self.gaps.iter_mut().for_each(|later| later.segment = later.segment.saturating_add(count));
    }

    /// The plaintext of an index chunk, and its place.
    fn plain(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<Opened, Error> {
        let (bound, body) =
            split_bound(bytes).ok_or_else(|| Error::format(offset, None, "a chunk without a body"))?;
        let chunk = u32::from_le_bytes(bound.get(8..12).and_then(|s| s.try_into().ok()).unwrap_or_default());
        let plain = open_body(key, &self.front.file, bound, body);
        Ok(Opened { offset, chunk, plain: plain.ok_or(Error::NotAuthentic { offset, chunk })? })
    }

    fn take_opening(&mut self, opened: Opened) -> Result<(), Error> {
        let opening = opening::decode(&opened.plain).ok_or_else(|| opened.is_malformed())?;
        self.signed_anew = !opening.announces(&self.front.certificate.statement.first);
        self.opening = Some(Arc::new(opening));
        Ok(())
    }

    fn decoded(&self, opened: Opened) -> Result<(u32, index::Decoded), Error> {
        let wanted = |json: &[u8]| self.wanted.as_ref().is_none_or(|wanted| wanted(json));
        let read = index::decode_entry(&opened.plain, wanted).ok_or_else(|| opened.is_malformed())?;
        Ok((opened.chunk, read))
    }

    /// Keeps an entry, and a place for each of those before it that did not open, or are missing: now it is known how many those are.
    fn take_entry(&mut self, offset: u64, (chunk, read): (u32, index::Decoded)) -> Result<(), Error> {
        // A few bytes of compressed text can be many megabytes, in one entry after the other.
        self.unpacked = self.unpacked.saturating_add(read.unpacked);
        if self.unpacked > limits::UNPACKED {
            let what =
                format!("the index comes to more than {} bytes, which no recorder writes", limits::UNPACKED);
            return Err(Error::format(offset, chunk, what));
        }
        let unread = self.missing.saturating_add(self.unsure.len());
        for _ in 0..unread {
            let number = self.entries.len();
            let reached = self.entries.last().map_or(0, |before| before.tally.end);
            let mut entry = Entry {
                segment: u32::try_from(number).unwrap_or(u32::MAX),
                offset: self.segments.get(number).copied().unwrap_or_default(),
                given_up: Some(GivenUp::Unreadable),
                ..Entry::default()
            };
            (entry.tally.start, entry.tally.end) = (reached, reached);
            self.push_entry(None, entry);
        }
        self.missing = 0;
        self.holes.append(&mut self.unsure);
        self.push_entry(Some(read.entry.counted()), read.entry);
        self.whole &= read.whole;
        Ok(())
    }

    fn push_entry(&mut self, counted: Option<Counted>, mut entry: Entry) {
        Arc::make_mut(&mut self.counted).push(counted);
        entry.drop_ended();
        if let Some(before) = self.entries.last_mut() {
            entry.follow(before);
        }
        self.entries.push(entry);
    }

    fn pass_over(&mut self, error: Error) -> Result<(), Error> {
        let broken = Broken::of(&error).ok_or(error)?;
        let count = self.holes.len().saturating_add(self.unsure.len());
        let error = broken.error();
        self.unsure.push(broken);
        if count < HOLES { Ok(()) } else { Err(error) }
    }

    /// Counts of the segments whose entry cannot be read what their content tells, where that is open.
    pub(super) fn recount(&mut self) -> Result<(), Error> {
        let all = if self.holes.is_empty() || !self.can_read_content() { 0 } else { self.entries.len() };
        for number in 0..all {
            let uncounted =
                |entry: &&Entry| entry.given_up == Some(GivenUp::Unreadable) && entry.tally.step == 0;
            if self.entries.get(number).filter(uncounted).is_none() {
                continue;
            }
            let mut cursor = Cursor::of_segment(self, number)?;
            let mut tally = Tally::default();
            let mut any = false;
            // Where it ends, its entry stands: whoever reads it is told why that cannot be read.
            let read = cursor.read_on(self, |event| {
                tally.count(millis(event.time), &event.payload);
                any = true;
            });
            self.lacks_content |= read.is_err_and(|error| cursor.lost(self, &error) == Lost::Events);
            if let Some(entry) = self.entries.get_mut(number).filter(|_| any) {
                entry.tally = tally.finish();
            }
        }
        Ok(())
    }
}

/// What an index chunk holds.
struct Opened {
    offset: u64,
    /// Number of the chunk.
    chunk: u32,
    plain: Vec<u8>,
}

impl Opened {
    fn is_malformed(&self) -> Error {
        Error::format(self.offset, self.chunk, "the index entry is malformed")
    }
}
