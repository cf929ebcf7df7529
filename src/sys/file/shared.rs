//! One open file, read by several at once.
//!
//! Refuses to move the place of the file itself: each reader has its own, so that none moves another.

use std::fs::File;
use std::sync::Arc;

/// A file that several read at once, each at a place of its own.
#[derive(Clone, Debug)]
pub struct SharedFile {
    file: Arc<File>,
    at: u64,
}

impl SharedFile {
    /// At its beginning.
    pub fn new(file: File) -> Self {
        Self { file: Arc::new(file), at: 0 }
    }
}

impl std::io::Read for SharedFile {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(self.file.as_ref(), to, self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

impl std::io::Seek for SharedFile {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let (from, by) = match to {
            std::io::SeekFrom::Start(at) => (at, 0),
            std::io::SeekFrom::Current(by) => (self.at, by),
            std::io::SeekFrom::End(by) => (self.file.metadata()?.len(), by),
        };
        self.at = from.checked_add_signed(by).ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn readers_of_a_shared_file_do_not_move_each_other() {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut one = SharedFile::new(file);
        let mut two = one.clone();
        let read = |from: &mut SharedFile, n: usize| {
            let mut bytes = vec![0; n];
            from.read_exact(&mut bytes).map(|()| String::from_utf8(bytes).unwrap()).ok()
        };
        assert_eq!((read(&mut one, 3).unwrap(), read(&mut two, 2).unwrap()), ("012".into(), "01".into()));
        assert_eq!(one.seek(SeekFrom::End(-2)).unwrap(), 8);
        assert_eq!((read(&mut two, 2).unwrap(), read(&mut one, 2).unwrap()), ("23".into(), "89".into()));
        assert_eq!(
            (one.seek(SeekFrom::Current(-4)).unwrap(), two.seek(SeekFrom::Start(99)).unwrap()),
            (6, 99)
        );
        assert_eq!((read(&mut one, 5), read(&mut two, 1)), (None, None), "past the end");
        assert!(one.seek(SeekFrom::Current(-100)).is_err());
    }
}
