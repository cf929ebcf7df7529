//! Chunks as they are read from a file: the first of them, one at a place, and what is sealed in one.
//!
//! Refuses to give a chunk that is not whole or whose checksum does not match, and to make room for a length that neither the
//! format nor the file allows. What a chunk means where it stands is for whoever follows them.

use super::error::Error;
use super::frame::{self, BOUND_LEN, FRAME_LEN, Frame, Kind};
use super::keys::unpad;
use crate::crypto::chain::Key;
use crate::crypto::seal;
use std::io::{Read, Seek, SeekFrom};

/// A chunk as stored, CRC checked.
pub(crate) struct Chunk {
    pub(crate) frame: Frame,
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(FRAME_LEN..).unwrap_or_default()
    }

    pub(crate) fn bound(&self) -> &[u8] {
        self.bytes.get(..BOUND_LEN).unwrap_or_default()
    }

    /// The padded plaintext, without its padding.
    pub(crate) fn open(&self, key: &Key, file: &[u8; 32]) -> Option<Vec<u8>> {
        open_body(key, file, self.bound(), self.body())
    }
}

pub(super) fn open_body(key: &Key, file: &[u8; 32], bound: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = seal::open(key, &[file, bound], body)?;
    unpad(&mut plain)?;
    Some(plain)
}

pub(super) fn split_bound(chunk: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((chunk.get(..BOUND_LEN)?, chunk.get(FRAME_LEN..)?))
}

pub(crate) fn read_at<R: Read + Seek>(source: &mut R, offset: u64, to: &mut [u8]) -> Result<(), Error> {
    source.seek(SeekFrom::Start(offset)).map_err(Error::io("read the recording"))?;
    source.read_exact(to).map_err(Error::io("read the recording"))
}

/// The length of the file, and its prologue.
pub(super) fn begin<R: Read + Seek>(source: &mut R) -> Result<(u64, [u8; frame::PROLOGUE_LEN]), Error> {
    let length = source.seek(SeekFrom::End(0)).map_err(Error::io("find the end of the recording"))?;
    let mut prologue = [0; frame::PROLOGUE_LEN];
    let have = usize::try_from(length).unwrap_or(usize::MAX).min(prologue.len());
    let start = prologue.get_mut(..have).unwrap_or_default();
    read_at(source, 0, start)?;
    if !frame::MAGIC.starts_with(start.get(..have.min(frame::MAGIC.len())).unwrap_or_default()) || have == 0 {
        return Err(Error::NotARecording);
    }
    if have < frame::PROLOGUE_LEN {
        return Err(Error::Truncated { length, what: "prologue" });
    }
    frame::check_prologue(&prologue)?;
    Ok((length, prologue))
}

/// One of the chunks that every recording begins with.
pub(super) fn first<R: Read + Seek>(
    source: &mut R,
    offset: u64,
    length: u64,
    (kind, seq, what): (Kind, u32, &'static str),
) -> Result<Chunk, Error> {
    let chunk = read_chunk(source, offset, length)?.ok_or(Error::Truncated { length, what })?;
    if chunk.frame.kind != Some(kind) || chunk.frame.seq != seq {
        let what = format!("not the {what} that every recording begins with");
        return Err(Error::format(offset, chunk.frame.seq, what));
    }
    Ok(chunk)
}

/// The chunk at `offset` of a file of `length` bytes. `None` when the file ends inside it or at its start.
pub(crate) fn read_chunk<R: Read + Seek>(
    source: &mut R,
    offset: u64,
    length: u64,
) -> Result<Option<Chunk>, Error> {
    let left = length.saturating_sub(offset);
    if left < FRAME_LEN as u64 {
        return Ok(None);
    }
    let mut head = [0; FRAME_LEN];
    read_at(source, offset, &mut head)?;
    let frame = Frame::parse(&head, offset)?;
    if frame.total() > left {
        return Ok(None);
    }
    let mut bytes = head.to_vec();
    // Bounded: the frame was checked against the limit of its type and against the file.
    bytes.resize(FRAME_LEN.saturating_add(frame.len as usize), 0);
    source
        .read_exact(bytes.get_mut(FRAME_LEN..).unwrap_or_default())
        .map_err(Error::io("read the recording"))?;
    let chunk = Chunk { frame, bytes };
    if frame::crc(chunk.bound(), chunk.body()) != frame.crc {
        return Err(Error::format(offset, frame.seq, "the chunk's checksum does not match"));
    }
    Ok(Some(chunk))
}
