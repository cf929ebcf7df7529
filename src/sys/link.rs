//! Symbolic links that are not followed, told from a chain of links without an end: the kernel says `ELOOP` of both.
//!
//! Refuses to say where a link leads: whoever made it may have chosen that to mislead.

use std::fs;
use std::io;
use std::path::Path;

/// The reason why a symbolic link was not opened; it stands in the [`io::Error`].
#[derive(Debug)]
pub(super) struct NotFollowed;

impl std::fmt::Display for NotFollowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it is a symbolic link, which is not followed")
    }
}

impl std::error::Error for NotFollowed {}

/// What opening a path with `O_NOFOLLOW` failed with (open(2)): [`NotFollowed`] where its last part is a link.
pub(super) fn not_followed(error: io::Error, path: &Path) -> io::Error {
    let is_link = || fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
    match error.raw_os_error() {
        Some(libc::ELOOP) if is_link() => io::Error::new(io::ErrorKind::InvalidInput, NotFollowed),
        _ => error,
    }
}

impl super::Error {
    /// Whether it was a symbolic link where none is followed.
    pub fn is_of_link(&self) -> bool {
        self.source.get_ref().is_some_and(|reason| reason.is::<NotFollowed>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_is_told_from_a_chain_without_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let [link, first, second] = ["link", "first", "second"].map(|name| dir.path().join(name));
        symlink("/dev/null", &link).unwrap();
        symlink(&first, &second).unwrap();
        symlink(&second, &first).unwrap();
        for error in [
            file::open_read_nofollow(&link).unwrap_err(),
            file::open_read_nofollow(&first).unwrap_err(),
            file::open_append(&link).unwrap_err(),
            file::open_append_existing(&link).unwrap_err(),
        ] {
            assert!(error.is_of_link() && error.source.to_string().contains("symbolic link"), "{error:?}");
        }
        for error in [
            // Followed, it has no end; and what lies behind such a one is no link.
            file::open_read(&first).unwrap_err(),
            file::open_read_nofollow(&first.join("file")).unwrap_err(),
            file::open_read_nofollow(&dir.path().join("nothing")).unwrap_err(),
        ] {
            assert!(!error.is_of_link() && error.source.raw_os_error().is_some(), "{error:?}");
        }
    }
}
