//! The symbolic links on the way to a file: who may change one of them decides which file it is.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Most links on one way, as in the kernel (`MAXSYMLINKS`).
const MOST: usize = 40;

/// Every symbolic link on the way, the last one included, in a directory that is named without any.
///
/// # Errors
/// Something on the way does not exist or cannot be looked at; more links than the kernel follows.
pub(super) fn on_the_way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut place = PathBuf::from("/");
    let mut ahead = steps(&std::path::absolute(path)?);
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            place.pop();
            continue;
        }
        let next = place.join(step);
        if !next.symlink_metadata()?.is_symlink() {
            place = next;
            continue;
        }
        let target = next.read_link()?;
        if target.is_absolute() {
            place = PathBuf::from("/");
        }
        let mut before = steps(&target);
        before.append(&mut ahead);
        ahead = before;
        found.push(next);
        if found.len() > MOST {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
    }
    Ok(found)
}

/// The names of a path, and `..`.
fn steps(path: &Path) -> VecDeque<OsString> {
    let step = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_found_in_the_order_in_which_they_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (a, b) = (dir.join("a"), dir.join("b"));
        std::fs::create_dir_all(a.join("deep")).unwrap();
        std::fs::write(a.join("file"), "").unwrap();
        symlink("a/deep", &b).unwrap();
        symlink(b.join("../file"), dir.join("c")).unwrap();
        assert!(on_the_way(&a.join("file")).unwrap().is_empty());
        assert_eq!(on_the_way(&b.join("../file")).unwrap(), std::slice::from_ref(&b));
        assert_eq!(on_the_way(&dir.join("c")).unwrap(), [dir.join("c"), b]);
        symlink("loop", dir.join("loop")).unwrap();
        assert_eq!(on_the_way(&dir.join("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(on_the_way(&dir.join("nothing")).is_err());
    }
}
