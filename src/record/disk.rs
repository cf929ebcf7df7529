//! What a recorder asks of its disk beside taking bytes: room that is held from the start, so that a recording can be closed on a
//! disk that has run full.

use crate::container::Sink;
use crate::store::RecordingFile;
use crate::sys;

/// Smallest reserve that is worth holding: what a flood may leave waiting, a short index, checkpoint, table and trailer.
pub const LEAST_RESERVE: u64 = 256 << 10;

/// A sink on a disk that can run full.
pub trait Disk: Sink {
    /// Holds `bytes` behind the end of the file; `false` when the file system cannot.
    ///
    /// # Errors
    /// There is no room.
    fn reserve(&self, bytes: u64) -> Result<bool, sys::Error>;
    /// Gives the reserve back.
    ///
    /// # Errors
    /// The system's.
    fn release_reserve(&self) -> Result<(), sys::Error>;
    /// Gives back what is held for the close alone, if anything is.
    fn drop_ballast(&self) {}
    /// Gives back what recorders hold who are dead. Takes its time.
    fn give_back(&self) {}
    /// Free space, bytes.
    ///
    /// # Errors
    /// The system's.
    fn free_space(&self) -> Result<u64, sys::Error>;
}

impl Disk for RecordingFile {
    fn reserve(&self, bytes: u64) -> Result<bool, sys::Error> {
        RecordingFile::reserve(self, bytes)
    }

    fn release_reserve(&self) -> Result<(), sys::Error> {
        RecordingFile::release_reserve(self)
    }

    fn drop_ballast(&self) {
        RecordingFile::drop_ballast(self);
    }

    fn give_back(&self) {
        RecordingFile::give_back(self);
    }

    fn free_space(&self) -> Result<u64, sys::Error> {
        RecordingFile::free_space(self)
    }
}

/// The least that [`hold_reserve`] holds in place of `bytes`.
pub fn least_reserve(bytes: u64) -> u64 {
    let mut least = bytes;
    while least / 2 >= LEAST_RESERVE {
        least /= 2;
    }
    least
}

/// Holds a reserve of `bytes`, or of half, a quarter… of it on a small file system. Gives what is held; 0 where the file
/// system has no such thing.
///
/// # Errors
/// There is not even room for [`least_reserve`].
pub fn hold_reserve(disk: &impl Disk, bytes: u64) -> Result<u64, sys::Error> {
    let (mut wanted, least) = (bytes, least_reserve(bytes));
    loop {
        match disk.reserve(wanted) {
            Ok(true) => return Ok(wanted),
            Ok(false) => return Ok(0),
            Err(error) if wanted <= least => return Err(error),
            Err(_) => wanted /= 2,
        }
    }
}

/// Whether a failure is of space alone.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_where_there_is_no_space_or_no_more_of_it_for_us() {
        let of = |errno| is_full(&std::io::Error::from_raw_os_error(errno));
        assert_eq!(
            [libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EIO, libc::EROFS].map(of),
            [true, true, false, false, false]
        );
    }
}
