//! What can be wrong with a file, always with the place.

use std::fmt;
use std::io;

/// Why a recording could not be written, opened or read.
#[derive(Debug)]
pub enum Error {
    /// The file does not begin like a recording.
    NotARecording,
    /// The file ends inside what every recording begins with.
    Truncated {
        /// Length of the file, bytes.
        length: u64,
        /// What was being read.
        what: &'static str,
    },
    /// A later format.
    Version {
        /// Major version found.
        major: u16,
        /// Incompatible-feature bits found.
        features: u32,
    },
    /// Bytes that the format does not allow.
    Format {
        /// Byte offset in the file.
        offset: u64,
        /// Number of the chunk, where there is one.
        chunk: Option<u32>,
        /// What was found and what is allowed.
        what: String,
    },
    /// There is more to write of this than the format allows.
    TooMuch(&'static str),
    /// A sealed chunk is not what its key sealed.
    NotAuthentic {
        /// Byte offset in the file.
        offset: u64,
        /// Number of the chunk.
        chunk: u32,
    },
    /// The key does not belong to this recording.
    WrongKey,
    /// The content was asked for before a key was given.
    Locked,
    /// A segment that the recording does not have.
    NoSegment {
        /// Number asked for.
        segment: usize,
        /// How many there are.
        of: usize,
    },
    /// Reading or writing failed.
    Io {
        /// What was being done.
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The system has no randomness to give.
    Random(getrandom::Error),
    /// The host's key could not sign the certificate.
    Signing(Box<dyn std::error::Error + Send + Sync>),
    /// The compressor or decompressor gave up.
    Compression(String),
    /// Something cannot be written as JSON.
    Json(serde_json::Error),
}

impl Error {
    pub(crate) fn format(offset: u64, chunk: impl Into<Option<u32>>, what: impl Into<String>) -> Self {
        Self::Format { offset, chunk: chunk.into(), what: what.into() }
    }

    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// Byte offset of the fault, where the fault has a place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Format { offset, .. } | Self::NotAuthentic { offset, .. } => Some(*offset),
            Self::Truncated { length, .. } => Some(*length),
            _ => None,
        }
    }

    /// Number of the chunk with the fault, where it is known.
    pub fn chunk(&self) -> Option<u32> {
        match self {
            Self::Format { chunk, .. } => *chunk,
            Self::NotAuthentic { chunk, .. } => Some(*chunk),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("not a sealcast recording"),
            Self::Truncated { length, what } => {
                write!(f, "the file ends at byte {length}, inside the {what}")
            }
            Self::Version { major: 0, .. } => {
                f.write_str("of a format that never was (0; this one reads format 1)")
            }
            Self::Version { major, features } => {
                write!(
                    f,
                    "made by a newer sealcast (format {major}, feature bits {features:#x}; this one reads format 1)"
                )
            }
            Self::Format { offset, chunk: Some(chunk), what } => {
                write!(f, "at byte {offset} (chunk {chunk}): {what}")
            }
            Self::Format { offset, chunk: None, what } => write!(f, "at byte {offset}: {what}"),
            Self::TooMuch(what) => {
                write!(f, "the recording cannot begin: {what} is longer than a recording may hold")
            }
            Self::NotAuthentic { offset, chunk } => {
                write!(f, "at byte {offset} (chunk {chunk}): the sealed content is not what was written")
            }
            Self::WrongKey => f.write_str("the key does not belong to this recording"),
            Self::Locked => f.write_str("the recording is sealed and no key has been given"),
            Self::NoSegment { segment, of } => {
                write!(f, "there is no segment {segment}; the recording has {of}")
            }
            Self::Io { operation, source } => write!(f, "cannot {operation}: {source}"),
            Self::Random(error) => write!(f, "the system has no randomness to give: {error}"),
            Self::Signing(error) => write!(f, "cannot sign the certificate: {error}"),
            Self::Compression(what) => write!(f, "compression failed: {what}"),
            Self::Json(error) => write!(f, "cannot write JSON: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Signing(error) => Some(error.as_ref()),
            Self::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}
