//! How a file without a proper end ends: as one whose recorder was stopped does, or otherwise, because it was changed.
//!
//! Refuses to say who stopped it.

use super::chunk::read_at;
use super::error::Error;
use super::frame::{self, FRAME_LEN, Frame};
use super::limits;
use std::io::{Read, Seek, SeekFrom};

/// Whether a file of `length` bytes ends as a recorder leaves it that was stopped while it wrote. At `at` no whole chunk
/// begins. `None` where the file ends so: right there, inside a chunk whose end is missing, or in zeros. Otherwise the
/// reason why it cannot have been left so: 100 bytes at `at` that do not begin with the mark of a chunk, for example, no
/// recorder has written.
pub(super) fn no_tear<R: Read + Seek>(
    source: &mut R,
    at: u64,
    length: u64,
) -> Result<Option<&'static str>, Error> {
    let left = length.saturating_sub(at);
    let mut head = [0; FRAME_LEN];
    let have = usize::try_from(left).unwrap_or(usize::MAX).min(FRAME_LEN);
    let start = head.get_mut(..have).unwrap_or_default();
    read_at(source, at, start)?;
    if have < FRAME_LEN {
        let marked = frame::MARK.iter().zip(start.iter()).all(|(a, b)| a == b);
        let torn = marked || start.iter().all(|byte| *byte == 0);
        return Ok((!torn).then_some(frame::NO_MARK));
    }
    if Frame::parse(&head, at).is_ok_and(|frame| frame.total() > left) {
        return behind(source, at, length);
    }
    Ok((!zero_tail(source, at, length)?).then_some(frame::NO_MARK))
}

/// What stands behind the place where the chunk at `at` begins, which claims to reach past the end, and cannot stand there: a
/// recorder that was stopped inside a chunk has written no other after it.
pub(super) fn behind<R: Read + Seek>(
    source: &mut R,
    at: u64,
    length: u64,
) -> Result<Option<&'static str>, Error> {
    Ok(match next_whole(source, at, length)? {
        Behind::Nothing => None,
        Behind::Chunk(_) => Some("the chunk reaches past the end, but others stand behind it"),
        Behind::TooMuch => Some("the chunk reaches past the end, but more than 64 frames stand behind it"),
    })
}

/// What is found behind a place.
pub(super) enum Behind {
    /// No whole chunk, as far as one may reach.
    Nothing,
    /// The first whole chunk: its offset.
    Chunk(u64),
    /// More frames than are looked at, none of them of a whole chunk so far.
    TooMuch,
}

/// The first whole chunk that begins behind `at`, as far as a chunk that begins there may reach.
pub(super) fn next_whole<R: Read + Seek>(source: &mut R, at: u64, length: u64) -> Result<Behind, Error> {
    /// Frames whose checksum is computed. Sealed bytes look like a frame once in about 2^28: more of them no recorder leaves, and
    /// each can have a body that is nearly all of what is left.
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
        if tried > MOST {
            return Ok(Behind::TooMuch);
        }
        if frame::crc(bound, body) == frame.crc {
            return Ok(Behind::Chunk(begins.saturating_add(place as u64)));
        }
    }
    Ok(Behind::Nothing)
}

/// Whether everything from some place in the chunk at `at` on is zeros, as after a loss of power: data that had been
/// given to the system but had not reached the disk.
///
/// # Errors
/// Reading failed; or there are more zeros than a loss of power leaves ([`Error::Format`]): a file can claim any length without
/// having anything on the disk, and nobody should have to wait for it to be read.
pub(super) fn zero_tail<R: Read + Seek>(source: &mut R, at: u64, length: u64) -> Result<bool, Error> {
    /// Fewer stand at the end of a chunk by themselves now and then: one that was changed elsewhere would pass for a tear.
    const FEWEST: usize = 4;
    /// A recorder makes durable every second what it wrote.
    const MOST: u64 = 256 << 20;
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut head = [0; FRAME_LEN];
    let left = length.saturating_sub(at);
    if left < FRAME_LEN as u64 {
        return Ok(false);
    }
    // Where there are no zeros at the end, nothing else need be read.
    let mut last = [0; FEWEST];
    let have = usize::try_from(left).unwrap_or(usize::MAX).min(FEWEST);
    let end = last.get_mut(..have).unwrap_or_default();
    read_at(source, length.saturating_sub(have as u64), end)?;
    if end.iter().any(|byte| *byte != 0) {
        return Ok(false);
    }
    // What stands before the zeros must be the beginning of one chunk, and of no second one.
    read_at(source, at, &mut head)?;
    let written = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    let begun = match Frame::parse(&head, at) {
        Ok(frame) => frame.total(),
        Err(_) if written < FRAME_LEN && frame::MARK.iter().zip(&head).take(written).all(|(a, b)| a == b) => {
            FRAME_LEN as u64
        }
        Err(_) => return Ok(false),
    };
    let mut place = at.saturating_add(begun);
    source.seek(SeekFrom::Start(place)).map_err(Error::io("read the recording"))?;
    let (most, mut buffer) = (place.saturating_add(MOST), vec![0; ZEROS.len()]);
    while place < length {
        if place >= most {
            let what =
                format!("more than {} MiB of zeros follow, and no loss of power leaves so many", MOST >> 20);
            return Err(Error::format(at, None, what));
        }
        let n = source.read(&mut buffer).map_err(Error::io("read the recording"))?;
        let part = buffer.get(..n).unwrap_or_default();
        if part.is_empty() || ZEROS.get(..n) != Some(part) {
            return Ok(part.is_empty());
        }
        place = place.saturating_add(n as u64);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// A file that is zeros but for a few bytes, and how much of it was read.
    struct Sparse {
        bytes: Vec<(u64, u8)>,
        length: u64,
        at: u64,
        read: u64,
    }

    impl Sparse {
        fn new(bytes: &[(u64, u8)], length: u64) -> Self {
            Self { bytes: bytes.to_vec(), length, at: 0, read: 0 }
        }
    }

    impl Read for Sparse {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = (to.len() as u64).min(self.length - self.at);
            to[..n as usize].fill(0);
            for (place, byte) in self.bytes.iter().filter(|(place, _)| (self.at..self.at + n).contains(place))
            {
                to[(place - self.at) as usize] = *byte;
            }
            (self.at, self.read) = (self.at + n, self.read + n);
            Ok(n as usize)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.at = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(back) => self.length.saturating_add_signed(back),
                SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            };
            Ok(self.at)
        }
    }

    /// The frame of a chunk of `len` bytes of body, from `at` on.
    fn frame(at: u64, len: u32) -> Vec<(u64, u8)> {
        let bound = frame::bound(frame::Kind::Data, 0, len, 1);
        (at..).zip(bound.into_iter().chain([9; 4])).collect()
    }

    #[test]
    fn zeros_are_told_from_what_was_changed_by_where_they_begin() {
        const AT: u64 = 1000;
        let also = |more: &[(u64, u8)]| [frame(AT, 500), more.to_vec()].concat();
        let end = AT + FRAME_LEN as u64 + 500;
        for (bytes, length, expected) in [
            (vec![], AT + 15, false),
            (vec![], AT + 16, true),
            (vec![], AT + 5000, true),
            (frame(AT, 500), 3000, true),
            (frame(AT, 500)[..1].to_vec(), 3000, true),
            (frame(AT, 500)[..2].to_vec(), 3000, true),
            (vec![(AT, 0xA8)], 3000, false),
            (vec![(AT + 5, 1)], 3000, false),
            (also(&[(end - 1, 1)]), 3000, true),
            (also(&[(end, 1)]), 3000, false),
            (also(&[(end - 1, 1)]), end + 3, false),
            (also(&[(end - 1, 1)]), end + 4, true),
            (also(&[(end - 4, 1)]), end, false),
            (also(&[(end - 5, 1)]), end, true),
            (also(&[(200_000, 1)]), 300_000, false),
            (also(&[(299_999, 1)]), 300_000, false),
        ] {
            let told = zero_tail(&mut Sparse::new(&bytes, length), AT, length);
            assert_eq!(told.unwrap(), expected, "{bytes:?} of {length}");
        }
    }

    #[test]
    fn a_file_that_claims_any_length_is_not_read_to_its_end() {
        for bytes in [vec![], frame(1000, 500)] {
            let mut file = Sparse::new(&bytes, u64::MAX);
            let told = zero_tail(&mut file, 1000, u64::MAX).unwrap_err().to_string();
            assert!(told.contains("more than 256 MiB of zeros follow"), "{told}");
            assert!(file.read <= 257 << 20, "{}", file.read);
        }
        // Something behind them, or at the end: there is nothing to be counted.
        for place in [100_000, u64::MAX - 1] {
            let mut file = Sparse::new(&[frame(1000, 500), vec![(place, 1)]].concat(), u64::MAX);
            assert!(!zero_tail(&mut file, 1000, u64::MAX).unwrap());
            assert!(file.read <= 200_000, "{}", file.read);
        }
    }
}
