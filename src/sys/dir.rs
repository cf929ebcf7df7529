//! The names in a directory.
//!
//! What the standard library makes of an entry (a copy of its name, a handle of the directory) costs more than a large store's
//! listing takes otherwise. Refuses to say more than names: nothing is opened, nothing is asked of the files.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// An open directory.
struct Open(*mut libc::DIR);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: the stream was opened, and nobody uses it any more. A failure to close what was only read means nothing.
        unsafe { libc::closedir(self.0) };
    }
}

/// Tells every name in `dir`, in the order in which the file system has them; also `.` and `..`.
///
/// # Errors
/// The system's: it cannot be opened, or not be read to its end.
pub fn names(dir: &Path, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let dir = File::options().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NONBLOCK).open(dir)?;
    names_of(dir.into(), each)
}

/// The same of an open directory, from where it is read.
pub(super) fn names_of(dir: OwnedFd, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    // SAFETY: the descriptor is open, and ours.
    let stream = unsafe { libc::fdopendir(dir.as_raw_fd()) };
    if stream.is_null() {
        return Err(io::Error::last_os_error());
    }
    let open = Open(stream);
    // The stream has it now, and closes it.
    let _ = dir.into_raw_fd();
    loop {
        // The end and a failure look the same, but for this.
        // SAFETY: the place of the calling thread's own `errno`.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: the stream is open, and this thread alone uses it.
        let entry = unsafe { libc::readdir64(open.0) };
        if entry.is_null() {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(0) { Ok(()) } else { Err(error) };
        }
        // SAFETY: the entry is valid until the next call on this stream, and its name ends with a zero. No reference to the
        // whole entry is made: it may be shorter than its type.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) };
        each(name.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_told_and_what_is_no_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut made: Vec<String> =
            (0..3000).map(|n| format!("a file with a long name, number {n}")).collect();
        for name in &made {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        made.extend([".".to_owned(), "..".to_owned()]);
        made.sort();
        let mut told = Vec::new();
        names(dir.path(), &mut |name| told.push(String::from_utf8(name.to_vec()).unwrap())).unwrap();
        told.sort();
        assert_eq!(told, made);
        let file = dir.path().join(&made[2]);
        let kind = |path: &Path| names(path, &mut |_| ()).unwrap_err().kind();
        assert_eq!(kind(&file), io::ErrorKind::NotADirectory);
        assert_eq!(kind(&dir.path().join("nothing")), io::ErrorKind::NotFound);
        assert_eq!(kind(Path::new("a\0b")), io::ErrorKind::InvalidInput);
    }
}
