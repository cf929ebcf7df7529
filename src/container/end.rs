//! The end of a closed recording: TABLE and TRAILER, which let it be opened without a walk.
//!
//! Nobody signs them, so they are believed only where they fit everything else at the end: rows that leave out segments, all of
//! them or the last ones, would hide what was recorded from everybody who does not verify. Refuses to read past one
//! thing that does not fit; then the frames are walked from the start. Where no walk comes to the end either, entries of
//! which the chunk is damaged may be passed over: whoever opens the others finds out whether there are as many as there should be.

use super::check;
use super::chunk::{Chunk, read_chunk};
use super::error::Error;
use super::frame::{self, FRAME_LEN, Fields, Frame, Kind};
use super::limits;
use std::io::{Read, Seek};
use std::ops::Range;

/// What the end says of the rest.
pub(super) struct Indexed {
    /// Where each segment's bytes begin.
    pub(super) segments: Vec<u64>,
    /// INDEX chunks in order: the metadata, then the entries of the segments.
    pub(super) chunks: Vec<(u64, Option<Vec<u8>>)>,
    /// Where one of these should be and no whole chunk stands.
    pub(super) damaged: Vec<u64>,
}

/// The final checkpoint, the table, then the index entries where they stand; the metadata stands at `opening`. `None` when the
/// end of the file, of `length` bytes, is not that of a closed recording in every part, but for `most` index entries that are no
/// whole chunks. Never the last one: that it opens in its place tells how many there are.
///
/// # Errors
/// [`Error::Io`]: what stands there is not known, and may well be the end of a closed recording.
pub(super) fn read<R: Read + Seek>(
    source: &mut R,
    opening: u64,
    length: u64,
    most: usize,
) -> Result<Option<Indexed>, Error> {
    let mut failure = None;
    let found = indexed(opening, length, most, &mut |at, until| match read_chunk(source, at, until) {
        Err(error @ Error::Io { .. }) => {
            failure = Some(error);
            None
        }
        chunk => chunk.ok()?,
    });
    failure.map_or(Ok(found), Err)
}

/// The whole chunk that stands at a place, if it ends before another.
type Chunks<'a> = dyn FnMut(u64, u64) -> Option<Chunk> + 'a;

fn indexed(opening: u64, length: u64, most: usize, chunk: &mut Chunks<'_>) -> Option<Indexed> {
    let end = End::read(opening, length, chunk)?;
    let first = end.last.seq.checked_add(1)?;
    let (rows, after) = table_rows(end.table_at..end.trailer_at, first, chunk)?;
    if after != end.trailer.seq {
        return None;
    }
    let meta = chunk(opening, end.table_at)?;
    let opened = opening.checked_add(meta.frame.total())?;
    if meta.frame.kind != Some(Kind::Index) {
        return None;
    }
    let mut chunks = vec![(opening, Some(meta.bytes))];
    let (mut left, mut damaged) = (limits::INDEX, Vec::new());
    // Segments follow each other. Rows that all point to one long entry would otherwise fill memory from a short file.
    let mut begins = frame::PROLOGUE_LEN as u64;
    for (number, row) in (1..).zip(&rows) {
        let (at, next) = (row.entry_at()?, row.offset.checked_add(row.length)?);
        if row.offset != begins || next > end.table_at {
            return None;
        }
        begins = next;
        // A chunk of another length than the row says is not the entry, or the row is not to be trusted.
        let length = u64::from(row.entry);
        let until = at.checked_add(length)?;
        left = left.checked_sub(length)?;
        let entry = match chunk(at, until.min(end.table_at)) {
            Some(entry) if entry.frame.total() == length && entry.frame.kind == Some(Kind::Index) => {
                held(entry.bytes, limits::INDEX.saturating_sub(left))
            }
            None if damaged.len() < most && number < rows.len() => {
                damaged.push(at);
                None
            }
            _ => return None,
        };
        chunks.push((at, entry));
    }
    // The last segment ends with the final checkpoint, or right before it; without one, the metadata does.
    let reaches = match (rows.is_empty(), end.last.flags & frame::CLOSES != 0) {
        (true, closes) => !closes && opened == end.check_at,
        (false, true) => begins == end.table_at,
        (false, false) => begins == end.check_at,
    };
    reaches.then(|| Indexed { segments: rows.iter().map(|row| row.offset).collect(), chunks, damaged })
}

/// An INDEX chunk as it waits to be opened, `so_far` bytes of them with this one: whole, or just where it stands, to be read again then. Who
/// looks at files of strangers must not hold what they claim to have.
pub(super) fn held(chunk: Vec<u8>, so_far: u64) -> Option<Vec<u8>> {
    (so_far <= limits::INDEX_HELD).then_some(chunk)
}

/// What the trailer points to.
struct End {
    /// Frame of the final checkpoint.
    last: Frame,
    check_at: u64,
    table_at: u64,
    trailer_at: u64,
    /// Frame of the trailer.
    trailer: Frame,
}

impl End {
    /// `None` where something else stands in one of these places, or behind `opening` there is no room for them.
    fn read(opening: u64, length: u64, chunk: &mut Chunks<'_>) -> Option<Self> {
        let trailer_at = length.checked_sub(super::TRAILER_LEN).filter(|at| *at >= opening)?;
        let trailer = chunk(trailer_at, length)?;
        if trailer.frame.kind != Some(Kind::Trailer) {
            return None;
        }
        let [check_at, table_at] = trailer_offsets(trailer.body())?;
        let ascending = [opening, check_at, table_at, trailer_at];
        if ascending.windows(2).any(|pair| matches!(pair, [a, b] if a > b)) {
            return None;
        }
        let last = chunk(check_at, table_at)?.frame;
        let fits = last.kind == Some(Kind::Check)
            && last.flags & frame::FINAL != 0
            && last.len as usize == check::LEN
            && check_at.checked_add(last.total()) == Some(table_at);
        fits.then_some(Self { last, check_at, table_at, trailer_at, trailer: trailer.frame })
    }
}

/// The offsets of the final checkpoint and of the table, from a trailer's body.
pub(super) fn trailer_offsets(body: &[u8]) -> Option<[u64; 2]> {
    let mut fields = Fields(body);
    let offsets = [fields.u64()?, fields.u64()?];
    (fields.0 == super::TRAILER_END).then_some(offsets)
}

/// A row of the segment table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Length of its INDEX chunk, which ends where its closing CHECK begins.
    pub(super) entry: u32,
    pub(super) digest: [u8; 32],
}

impl Row {
    /// Length, bytes.
    const LEN: usize = 8 + 8 + 4 + 32;

    /// Where its INDEX chunk begins.
    fn entry_at(&self) -> Option<u64> {
        let check = (FRAME_LEN as u64).checked_add(check::LEN as u64)?;
        let before = self.length.checked_sub(check)?.checked_sub(u64::from(self.entry))?;
        self.offset.checked_add(before)
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.offset.to_le_bytes());
        to.extend_from_slice(&self.length.to_le_bytes());
        to.extend_from_slice(&self.entry.to_le_bytes());
        to.extend_from_slice(&self.digest);
    }
}

/// The rows of the table whose pieces fill `range`, numbered from `seq`; and the number that follows. `None` when anything else
/// stands there.
fn table_rows(range: Range<u64>, seq: u32, chunk: &mut Chunks<'_>) -> Option<(Vec<Row>, u32)> {
    let (mut joined, mut at, mut seq) = (Vec::new(), range.start, seq);
    while at < range.end {
        let piece = chunk(at, range.end)?;
        if piece.frame.kind != Some(Kind::Table) || piece.frame.seq != seq {
            return None;
        }
        joined.extend_from_slice(piece.body());
        (at, seq) = (at.checked_add(piece.frame.total())?, seq.checked_add(1)?);
        if joined.len() > limits::SEGMENTS.saturating_mul(Row::LEN) {
            return None;
        }
    }
    let mut fields = Fields(&joined);
    let mut rows = Vec::new();
    while !fields.0.is_empty() {
        let (offset, length, entry) = (fields.u64()?, fields.u64()?, fields.u32()?);
        rows.push(Row { offset, length, entry, digest: fields.array()? });
    }
    Some((rows, seq))
}
