//! `/proc`, as it was before anything of a session ran.
//!
//! Root in a session can mount something over it, or over the directory of one process in it: who reads it by its path would then
//! find nobody, or whoever that shows. So it is opened once, and read by that descriptor ever after. Where the kernel lets us that is
//! an instance of our own, whose mount has ended: nothing can be mounted in it, and the numbers in it are those of our pid
//! namespace. Else it is what was found at `/proc`. (Whoever may mount nothing is seldom above one who may.)
//!
//! Sources: proc(5), fsopen(2), fsmount(2).

use super::dir;
use super::fd::owned;
use std::ffi::{CStr, CString, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

/// `FSOPEN_CLOEXEC` and `FSMOUNT_CLOEXEC`.
const CLOEXEC: libc::c_long = 1;
/// `FSCONFIG_CMD_CREATE`.
const CREATE: libc::c_long = 6;
/// `MOUNT_ATTR_NOSUID`, `MOUNT_ATTR_NODEV` and `MOUNT_ATTR_NOEXEC`.
const ATTRIBUTES: libc::c_long = 0b1110;

static HELD: OnceLock<Option<OwnedFd>> = OnceLock::new();

/// Opens it, if that has not been done: to be called before anything runs that could cover it. The descriptor, where there is one:
/// it stays open, and does not pass an exec.
pub(super) fn hold() -> Option<RawFd> {
    let held = HELD.get_or_init(|| our_own().or_else(|_| at(libc::AT_FDCWD, c"/proc", libc::O_PATH)).ok());
    held.as_ref().map(|held| held.as_raw_fd())
}

/// An instance of our own.
fn our_own() -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated string, and a number. It makes a descriptor.
    let made = unsafe { owned(libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), CLOEXEC)) }?;
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: takes an open descriptor and numbers; this command takes neither a key nor a value.
    if unsafe { libc::syscall(libc::SYS_fsconfig, made.as_raw_fd(), CREATE, none, none, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes an open descriptor and numbers, and makes a descriptor.
    let mount = unsafe { owned(libc::syscall(libc::SYS_fsmount, made.as_raw_fd(), CLOEXEC, ATTRIBUTES)) }?;
    // With the descriptor of the mount it ends, and is one for whoever has its directory open only: since Linux 6.15 another one could
    // be moved onto it, through `/proc/PID/fd` of ours.
    at(mount.as_raw_fd(), c".", libc::O_PATH | libc::O_DIRECTORY)
}

fn at(dir: RawFd, path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated string that outlives the call, and numbers: a descriptor that is not open is an error. It makes a
    // descriptor.
    unsafe { owned(libc::openat(dir, path.as_ptr(), flags | libc::O_CLOEXEC)) }
}

fn held() -> io::Result<RawFd> {
    hold().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "there is no /proc"))
}

fn opened(path: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
    at(held()?, &CString::new(path)?, flags)
}

/// Opens a file in it to be read, by its path below it: `self/status`.
///
/// # Errors
/// The kernel's.
pub fn open(path: &str) -> io::Result<File> {
    opened(path, libc::O_RDONLY).map(File::from)
}

/// What kind of file something in it is, or leads to, and whose; it need not be readable.
pub(super) fn metadata(path: &str) -> io::Result<Metadata> {
    File::from(opened(path, libc::O_PATH)?).metadata()
}

/// What a file in it says.
///
/// # Errors
/// The kernel's.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a file in it says, as text.
///
/// # Errors
/// The kernel's, and where it is no UTF-8.
pub fn read_to_string(path: &str) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes to a file in it.
pub(super) fn write(path: &str, bytes: &[u8]) -> io::Result<()> {
    File::from(opened(path, libc::O_WRONLY)?).write_all(bytes)
}

/// Where a link in it leads, as the kernel tells it: in no more than `PATH_MAX` bytes.
///
/// # Errors
/// The kernel's.
pub fn link(path: &str) -> io::Result<PathBuf> {
    let (dir, path) = (held()?, CString::new(path)?);
    let mut target = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: a NUL-terminated string, and a place of the size that is told.
    let got = unsafe { libc::readlinkat(dir, path.as_ptr(), target.as_mut_ptr().cast(), target.len()) };
    target.truncate(usize::try_from(got).map_err(|_| io::Error::last_os_error())?);
    Ok(OsString::from_vec(target).into())
}

/// The names in a directory in it that are numbers, in the order in which the kernel tells them: processes in `.`, threads in
/// `1/task`, descriptors in `1/fd`.
///
/// # Errors
/// The kernel's.
pub fn numbers(path: &str) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    dir::names_of(opened(path, libc::O_RDONLY | libc::O_DIRECTORY)?, &mut |name| {
        numbers.extend(std::str::from_utf8(name).ok().and_then(|name| name.parse::<u32>().ok()));
    })?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Since Linux 6.15 a mount that is nowhere takes another one.
    #[test]
    fn nothing_can_be_mounted_in_an_instance_of_our_own() {
        let Ok(own) = our_own() else { return super::super::skipped("no file system can be mounted here") };
        // SAFETY: NUL-terminated strings and numbers; descriptors that are not open are errors.
        let mounted = |onto: &CStr| unsafe {
            let none = std::ptr::null::<libc::c_char>();
            let made = libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), CLOEXEC);
            libc::syscall(libc::SYS_fsconfig, made, CREATE, none, none, 0);
            let mount = libc::syscall(libc::SYS_fsmount, made, CLOEXEC, ATTRIBUTES);
            const FROM_EMPTY_PATH: libc::c_long = 4;
            let at = libc::c_long::from(libc::AT_FDCWD);
            assert!(made >= 0 && mount >= 0);
            let moved =
                libc::syscall(libc::SYS_move_mount, mount, c"".as_ptr(), at, onto.as_ptr(), FROM_EMPTY_PATH);
            libc::close(mount as RawFd);
            libc::close(made as RawFd);
            moved == 0
        };
        for name in ["1", "self"] {
            let onto = format!("/proc/self/fd/{}/{name}", own.as_raw_fd());
            assert!(!mounted(&CString::new(onto).unwrap()), "{name}");
        }
        assert!(at(own.as_raw_fd(), c"1/stat", libc::O_RDONLY).is_ok());
    }

    #[test]
    fn what_is_read_is_what_proc_tells_and_what_is_not_there_is_an_error() {
        let us = std::process::id();
        assert_eq!(link("self").unwrap().to_str(), Some(&*us.to_string()));
        assert_eq!(link(&format!("{us}/exe")).unwrap(), std::env::current_exe().unwrap());
        assert!(numbers(".").unwrap().contains(&us) && numbers("self/task").unwrap().contains(&us));
        assert!(read_to_string("self/status").unwrap().starts_with("Name:"));
        write("self/comm", &read("self/comm").unwrap()).unwrap();
        for gone in ["4294967295/stat", "self/no-such-file"] {
            assert_eq!(read(gone).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(numbers("self/status").unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(read("a\0b").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn root_reads_an_instance_that_is_mounted_nowhere() {
        if super::super::ids::effective_uid() != 0 {
            return super::super::skipped("only root may make an instance of /proc");
        }
        let Ok(own) = our_own() else {
            return super::super::skipped("no instance of /proc can be made here");
        };
        use std::os::unix::fs::MetadataExt as _;
        let device = |file: &File| file.metadata().unwrap().dev();
        let found = File::open("/proc").unwrap();
        assert_ne!(device(&own.into()), device(&found));
        assert_ne!(device(&open(".").unwrap()), device(&found));
    }
}
