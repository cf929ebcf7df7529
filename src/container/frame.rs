//! The frame around every chunk: 12 bytes that say what follows, a CRC against torn writes, the body.

use super::error::Error;
use super::limits;

/// First bytes of every recording.
pub const MAGIC: [u8; 8] = *b"\x89SC1\r\n\x1a\n";
/// Magic, version, feature bits.
pub const PROLOGUE_LEN: usize = 16;
/// Format version written and read.
pub const MAJOR: u16 = 1;
/// Minor version written. A higher one may only add ancillary chunks, between segments.
pub const MINOR: u16 = 0;
/// First bytes of every chunk.
pub const MARK: [u8; 2] = [0xA7, 0x5E];
/// What is said where that should stand and does not.
pub(super) const NO_MARK: &str = "no chunk begins here (its mark is missing)";
/// The 12 bytes that are authenticated with the body, and the CRC.
pub const FRAME_LEN: usize = 16;
/// Length of the part of a frame that sealed bodies are bound to.
pub const BOUND_LEN: usize = 12;

/// Chunk flag of a CHECK: closes a segment.
pub const CLOSES: u8 = 1;
/// Chunk flag of a CHECK: nothing follows.
pub const FINAL: u8 = 2;
/// Type bit: readers that do not know the type pass over it, where it may stand.
pub const ANCILLARY: u8 = 0x80;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Public header, JSON.
    Header = 0x01,
    /// Slots with the wrapped root key.
    Keys = 0x02,
    /// Statement and signature of the host.
    Cert = 0x03,
    /// First sealed chunk of a segment.
    Seg = 0x10,
    /// Further sealed chunks of a segment.
    Data = 0x11,
    /// Sealed index entry of the segment that ends here (the first one: the sealed metadata).
    Index = 0x12,
    /// Reserved: fresh bytes mixed into the chains.
    Rekey = 0x13,
    /// Signed checkpoint.
    Check = 0x20,
    /// Segment table, in pieces.
    Table = 0x31,
    /// Offsets of the last CHECK and of the table; ends the file.
    Trailer = 0x3F,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Header,
            0x02 => Self::Keys,
            0x03 => Self::Cert,
            0x10 => Self::Seg,
            0x11 => Self::Data,
            0x12 => Self::Index,
            0x20 => Self::Check,
            0x31 => Self::Table,
            0x3F => Self::Trailer,
            _ => return None,
        })
    }
}

/// A frame as read: `kind` is `None` for an ancillary type that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the chunk holds.
    pub kind: Option<Kind>,
    /// Flags, as stored.
    pub flags: u8,
    /// Body length, bytes.
    pub len: u32,
    /// Number of the chunk.
    pub seq: u32,
    /// CRC-32 as stored.
    pub crc: u32,
}

/// The prologue of a version 1 file.
pub fn prologue() -> [u8; PROLOGUE_LEN] {
    let mut bytes = [0; PROLOGUE_LEN];
    let parts =
        MAGIC.into_iter().chain(MAJOR.to_le_bytes()).chain(MINOR.to_le_bytes()).chain(0u32.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    bytes
}

/// Checks a prologue.
///
/// # Errors
/// [`Error::NotARecording`] and [`Error::Version`].
pub fn check_prologue(bytes: &[u8; PROLOGUE_LEN]) -> Result<(), Error> {
    let [magic @ .., m0, m1, _, _, f0, f1, f2, f3] = *bytes;
    if magic != MAGIC {
        return Err(Error::NotARecording);
    }
    let (major, features) = (u16::from_le_bytes([m0, m1]), u32::from_le_bytes([f0, f1, f2, f3]));
    if major != MAJOR || features != 0 {
        return Err(Error::Version { major, features });
    }
    Ok(())
}

/// The minor version that a prologue names.
pub(super) fn minor(prologue: &[u8; PROLOGUE_LEN]) -> u16 {
    let [.., m0, m1, _, _, _, _] = *prologue;
    u16::from_le_bytes([m0, m1])
}

/// The 12 framing bytes of a chunk.
pub fn bound(kind: Kind, flags: u8, len: u32, seq: u32) -> [u8; BOUND_LEN] {
    let [l0, l1, l2, l3] = len.to_le_bytes();
    let [s0, s1, s2, s3] = seq.to_le_bytes();
    let [m0, m1] = MARK;
    [m0, m1, kind as u8, flags, l0, l1, l2, l3, s0, s1, s2, s3]
}

/// CRC-32 (IEEE) of the framing bytes and the body.
pub fn crc(bound: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bound);
    hasher.update(body);
    hasher.finalize()
}

impl Frame {
    /// Reads a frame that stands at `offset`. The CRC is checked later, with the body.
    ///
    /// # Errors
    /// [`Error::Format`]: no mark, an unknown type or flag, or a length over [`limits::BODY`].
    pub fn parse(bytes: &[u8; FRAME_LEN], offset: u64) -> Result<Self, Error> {
        let [m0, m1, kind, flags, l0, l1, l2, l3, s0, s1, s2, s3, c0, c1, c2, c3] = *bytes;
        if [m0, m1] != MARK {
            return Err(Error::format(offset, None, NO_MARK));
        }
        let seq = u32::from_le_bytes([s0, s1, s2, s3]);
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let known = Kind::from_byte(kind);
        if known.is_none() && kind & ANCILLARY == 0 {
            return Err(Error::format(offset, seq, format!("unknown chunk type {kind:#04x}")));
        }
        let allowed = if known == Some(Kind::Check) { CLOSES | FINAL } else { 0 };
        if flags & !allowed != 0 {
            return Err(Error::format(offset, seq, format!("unknown chunk flags {flags:#04x}")));
        }
        if len > limits::BODY {
            let what = format!("chunk of {len} bytes; at most {} are allowed", limits::BODY);
            return Err(Error::format(offset, seq, what));
        }
        Ok(Self { kind: known, flags, len, seq, crc: u32::from_le_bytes([c0, c1, c2, c3]) })
    }

    /// Length of frame and body, bytes.
    pub fn total(&self) -> u64 {
        u64::from(self.len).saturating_add(FRAME_LEN as u64)
    }
}

/// Reads little-endian integers and slices off the front of a body; `None` when it is too short.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back() {
        let bytes = bound(Kind::Check, FINAL, 100, 7);
        let mut full = [0; FRAME_LEN];
        full[..BOUND_LEN].copy_from_slice(&bytes);
        full[BOUND_LEN..].copy_from_slice(&crc(&bytes, b"x").to_le_bytes());
        let frame = Frame::parse(&full, 0).unwrap();
        assert_eq!((frame.kind, frame.flags, frame.len, frame.seq), (Some(Kind::Check), FINAL, 100, 7));
    }

    #[test]
    fn unknown_critical_types_flags_and_lengths_are_refused_and_ancillary_types_are_not() {
        let with = |kind: u8, flags: u8, len: u32| {
            let mut full = [0; FRAME_LEN];
            full[..BOUND_LEN].copy_from_slice(&bound(Kind::Data, flags, len, 1));
            full[2] = kind;
            Frame::parse(&full, 9)
        };
        assert!(with(0x44, 0, 1).unwrap_err().to_string().contains("unknown chunk type 0x44"));
        assert_eq!(with(0xC4, 0, 1).unwrap().kind, None);
        assert!(with(0x13, 0, 1).is_err(), "REKEY is reserved");
        assert!(with(0x11, 1, 1).is_err());
        assert!(with(0x11, 0, limits::BODY + 1).is_err());
        assert!(with(0xC4, 0, u32::MAX).is_err());
    }

    #[test]
    fn a_prologue_of_another_format_or_version_is_refused() {
        assert!(check_prologue(&prologue()).is_ok());
        let mut newer = prologue();
        newer[8] = 2;
        assert!(matches!(check_prologue(&newer), Err(Error::Version { major: 2, .. })));
        let mut feature = prologue();
        feature[15] = 1;
        assert!(matches!(check_prologue(&feature), Err(Error::Version { features: 0x0100_0000, .. })));
        let mut other = prologue();
        other[0] = b'{';
        assert!(matches!(check_prologue(&other), Err(Error::NotARecording)));
        let mut minor = prologue();
        minor[10] = 9;
        assert_eq!((super::minor(&prologue()), super::minor(&minor)), (MINOR, 9));
        assert!(check_prologue(&minor).is_ok(), "a higher minor version only adds what may be passed over");
    }
}
