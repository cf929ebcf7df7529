//! How a file without a proper end ends: as one whose recorder was stopped does, or otherwise, because it was changed.
//!
//! Refuses to say who stopped it.

use super::error::Error;
use super::frame::{self, FRAME_LEN, Frame};
use super::limits;
use super::reader::read_at;
use std::io::{Read, Seek, SeekFrom};

/// Whether a file of `length` bytes, in which no whole chunk begins at `at`, ends there as a write that was stopped leaves it: at that
/// place, inside a chunk of which the end is missing, or in zeros.
pub(super) fn is_tear<R: Read + Seek>(source: &mut R, at: u64, length: u64) -> Result<bool, Error> {
    let left = length.saturating_sub(at);
    let mut head = [0; FRAME_LEN];
    let have = usize::try_from(left).unwrap_or(usize::MAX).min(FRAME_LEN);
    let start = head.get_mut(..have).unwrap_or_default();
    read_at(source, at, start)?;
    if have < FRAME_LEN {
        let marked = frame::MARK.iter().zip(start.iter()).all(|(a, b)| a == b);
        return Ok(marked || start.iter().all(|byte| *byte == 0));
    }
    if Frame::parse(&head, at).is_ok_and(|frame| frame.total() > left) {
        return Ok(!chunk_behind(source, at, length)?);
    }
    zero_tail(source, at, length)
}

/// Whether a whole chunk stands anywhere behind the place where the chunk at `at` begins, which claims to reach past the end: a
/// recorder that was stopped inside a chunk has written no other after it.
pub(super) fn chunk_behind<R: Read + Seek>(source: &mut R, at: u64, length: u64) -> Result<bool, Error> {
    /// Frames whose checksum is computed. Sealed bytes look like a frame once in about 2^28.
    const MOST: usize = 64;
    let begins = at.saturating_add(1);
    let longest = u64::from(limits::BODY).saturating_add(FRAME_LEN as u64);
    let mut behind = vec![0; usize::try_from(length.saturating_sub(begins).min(longest)).unwrap_or(0)];
    read_at(source, begins, &mut behind)?;
    let mut tried = 0_usize;
    for place in memchr::memmem::find_iter(&behind, &frame::MARK) {
        let rest = behind.get(place..).unwrap_or_default();
        let Some((head, body)) = rest.split_first_chunk::<FRAME_LEN>() else { break };
        let Ok(frame) = Frame::parse(head, 0) else { continue };
        let Some(body) = body.get(..frame.len as usize) else { continue };
        tried = tried.saturating_add(1);
        let bound = head.get(..frame::BOUND_LEN).unwrap_or_default();
        if tried > MOST || frame::crc(bound, body) == frame.crc {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether everything from some place in the chunk at `at` on is zeros, as after a loss of power: data that had been
/// given to the system but had not reached the disk.
pub(super) fn zero_tail<R: Read + Seek>(source: &mut R, at: u64, length: u64) -> Result<bool, Error> {
    const FEWEST: u64 = 64;
    let (mut head, mut buffer) = ([0; FRAME_LEN], vec![0; 64 << 10]);
    if length.saturating_sub(at) < FRAME_LEN as u64 {
        return Ok(false);
    }
    read_at(source, at, &mut head)?;
    source.seek(SeekFrom::Start(at)).map_err(Error::io("read the recording"))?;
    // Where the last byte that is not zero ends.
    let (mut place, mut end) = (at, at);
    loop {
        let n = source.read(&mut buffer).map_err(Error::io("read the recording"))?;
        let part = buffer.get(..n).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        if let Some(last) = part.iter().rposition(|b| *b != 0) {
            end = place.saturating_add(last as u64).saturating_add(1);
        }
        place = place.saturating_add(n as u64);
    }
    if length.saturating_sub(end) < FEWEST && end != at {
        return Ok(false);
    }
    // What stands before the zeros must be the beginning of one chunk, and of no second one.
    let written = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    if written < FRAME_LEN {
        return Ok(head.iter().zip(&frame::MARK).take(written).all(|(a, b)| a == b));
    }
    Ok(Frame::parse(&head, at).is_ok_and(|frame| end <= at.saturating_add(frame.total())))
}
