//! Files and directories made and opened with care.
//!
//! Refuses to follow a symbolic link where a file is made, to open what is not a regular file where one is meant (a
//! FIFO would hang us, a device would answer us), and to make anything that others can read. Locks are in [`super::lock`]
//! or the standard library's ([`File::lock`]: `flock`), as is `fdatasync` ([`File::sync_data`]).

mod shared;
mod space;

use super::link::not_followed;
use super::{Error, FOLLOW, Result};
use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub use shared::SharedFile;
pub use space::{Space, ballast, free_space, lies_in_memory, release_reserve, reserve};

/// Mode of every file we make.
const FILE_MODE: u32 = 0o600;
/// Mode of every directory we make.
const DIR_MODE: u32 = 0o700;

/// Makes a new file, mode 0600, open for reading and for writing at its end only (`O_APPEND`).
///
/// # Errors
/// When it exists already (`AlreadyExists`), a dangling symbolic link included, or cannot be made.
pub fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(FILE_MODE)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)
        .map_err(|e| Error::at("create", path, e))
}

/// As [`create_new`], in a directory and without a name (`O_TMPFILE`): nobody sees it before [`give_name`], and it is gone
/// with whoever holds it. `None` where the file system has no such thing.
///
/// # Errors
/// When it cannot be made.
pub fn create_nameless(dir: &Path) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    nameless(&mut options, dir).map_err(|e| Error::at("create a file in", dir, e))
}

/// Gives a file that has none its name, without ever replacing another.
///
/// # Errors
/// `AlreadyExists` when the name is taken; whatever else the kernel says.
pub fn give_name(file: &File, path: &Path) -> Result<()> {
    let name = c_path("create", path)?;
    let link = |from: &CStr, flags| {
        // SAFETY: both paths are NUL-terminated strings that outlive the call, and the descriptor is open.
        match unsafe { libc::linkat(file.as_raw_fd(), from.as_ptr(), libc::AT_FDCWD, name.as_ptr(), flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // By its descriptor only who may read every file (CAP_DAC_READ_SEARCH) can; everybody by way of /proc (open(2)).
    let done = link(c"", libc::AT_EMPTY_PATH).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            let shown = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            link(&shown, libc::AT_SYMLINK_FOLLOW)
        }
        _ => Err(error),
    });
    done.map_err(|e| Error::at("create", path, e))
}

/// A file without a name. `None`: a kernel or file system that does not know `O_TMPFILE` (`EISDIR` and `ENOENT` as well).
fn nameless(options: &mut OpenOptions, dir: &Path) -> io::Result<Option<File>> {
    match options.mode(FILE_MODE).custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC).open(dir) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT | libc::EINVAL) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Opens a regular file to read it and to write at its end; makes it, mode 0600, when it does not exist. Whether it
/// was made is told by its length and by what the caller expects in it.
///
/// # Errors
/// When it is a symbolic link or not a regular file, or cannot be opened.
pub fn open_append(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| Error::at("open", path, not_followed(e, path)))?;
    regular(file, path)
}

/// Opens a regular file that exists, to write at its end. Nothing is waited for, and no symbolic link followed.
///
/// # Errors
/// When it is a symbolic link or not a regular file, does not exist, or cannot be opened.
pub fn open_append_existing(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| Error::at("open", path, not_followed(e, path)))?;
    regular(file, path)
}

/// Opens a regular file for reading. Symbolic links are followed: the path is the reader's own.
///
/// # Errors
/// When it is not a regular file, or cannot be opened.
pub fn open_read(path: &Path) -> Result<File> {
    open(path, 0)
}

/// [`open_read`] that refuses a symbolic link as the last part of the path: for names found in a directory that
/// others might write to.
///
/// # Errors
/// When it is a symbolic link or not a regular file, or cannot be opened.
pub fn open_read_nofollow(path: &Path) -> Result<File> {
    open(path, libc::O_NOFOLLOW)
}

fn open(path: &Path, flags: libc::c_int) -> Result<File> {
    // O_NONBLOCK: a FIFO without a writer would make open() wait for one.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| if flags & libc::O_NOFOLLOW == 0 { e } else { not_followed(e, path) })
        .map_err(|e| Error::at("open", path, e))?;
    regular(file, path)
}

/// The file itself when it is a regular one, without `O_NONBLOCK`.
fn regular(file: File, path: &Path) -> Result<File> {
    let facts = file.metadata().map_err(|e| Error::at("examine", path, e))?;
    if facts.is_dir() {
        return Err(Error::at(
            "open",
            path,
            io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"),
        ));
    }
    if !facts.is_file() {
        let what = "it is not a regular file";
        return Err(Error::at("open", path, io::Error::new(io::ErrorKind::InvalidInput, what)));
    }
    super::fd::set_nonblocking(&file, false).map_err(|e| Error::at("open", path, e))?;
    Ok(file)
}

/// Whether [`create_private_dir`] would succeed and files could be made there, and what lets others move the directory away or lead to
/// another one: the directory above it, or above a link on the way, that they can write to, or such a link that is theirs. Makes and removes a directory to see, and leaves nothing.
///
/// # Errors
/// What `create_private_dir` would say, or that nothing can be made there.
pub fn try_private_dir(path: &Path) -> Result<Option<PathBuf>> {
    let mut existing = path;
    while fs::symlink_metadata(existing).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && let Some(above) = existing.parent()
    {
        existing = above;
    }
    let real = fs::canonicalize(existing).map_err(|e| of_way("open", existing, e))?;
    if existing == path {
        create_private_dir(path)?;
    }
    let trial = real.join(format!(".sealcast-check-{}", std::process::id()));
    DirBuilder::new()
        .mode(DIR_MODE)
        .create(&trial)
        .map_err(|e| Error::at("make anything in", existing, e))?;
    fs::remove_dir(&trial).map_err(|e| Error::at("remove", &trial, e))?;
    let owner = super::ids::effective_uid();
    if let Some((place, _)) = super::trust::led_by_others(existing, owner)? {
        return Ok(Some(place));
    }
    let above = real.ancestors().skip(usize::from(existing == path));
    let open = super::trust::open_to_others(above, owner)?;
    Ok(open.map(|(dir, _)| dir.to_path_buf()))
}

/// What is to be told of a path that is not there because a link, there or on the way, leads to nothing: what that leads to may not be
/// mounted, and is not to be made anew.
pub fn led_to_nothing(path: &Path) -> Option<Error> {
    let link = path.ancestors().find(|above| above.symlink_metadata().is_ok())?;
    let nothing = link.metadata().err().filter(|error| error.kind() == io::ErrorKind::NotFound)?;
    Some(Error::at(FOLLOW, link, nothing))
}

/// What went wrong with a directory, or with the way to it.
fn of_way(operation: &'static str, path: &Path, error: io::Error) -> Error {
    led_to_nothing(path).unwrap_or_else(|| Error::at(operation, path, error))
}

/// Makes a directory with mode 0700, and those above it that are missing. One that exists must be a directory of ours
/// (or of root) that no one else can write to.
///
/// # Errors
/// When it cannot be made, is not a directory, or could be written by others.
pub fn create_private_dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(|e| of_way("create", path, e))?;
    let facts = fs::symlink_metadata(path).map_err(|e| Error::at("examine", path, e))?;
    let facts = if facts.is_symlink() {
        fs::metadata(path).map_err(|e| Error::at("examine", path, e))?
    } else {
        facts
    };
    match super::trust::writable_by_others(&facts, super::ids::effective_uid()) {
        Some(why) => Err(Error::at("use", path, io::Error::new(io::ErrorKind::PermissionDenied, why))),
        None => Ok(()),
    }
}

/// Makes a new file, mode 0600, with this content, and does not return before it and its name are on the disk.
///
/// # Errors
/// When it exists already, or cannot be written; what was begun is then removed.
pub fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = create_new(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // The file is ours and incomplete: nothing is lost with it, and nothing can be done if it stays.
        let _ = fs::remove_file(path);
        return Err(Error::at("write", path, error));
    }
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// Puts the names in a directory on the disk (`fsync` of the directory). An empty path means the current directory.
///
/// # Errors
/// When it cannot be opened or synced.
pub fn sync_dir(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| Error::at("open", path, e))?;
    dir.sync_all().map_err(|e| Error::at("sync", path, e))
}

/// Gives a file its final name, without ever replacing another (`renameat2`, `RENAME_NOREPLACE`).
///
/// # Errors
/// `AlreadyExists` when the new name is taken; whatever else the kernel says.
pub fn publish(from: &Path, to: &Path) -> Result<()> {
    let (old, new) = (c_path("rename", from)?, c_path("rename", to)?);
    // SAFETY: both paths are NUL-terminated strings that outlive the call.
    let done = unsafe {
        libc::renameat2(libc::AT_FDCWD, old.as_ptr(), libc::AT_FDCWD, new.as_ptr(), libc::RENAME_NOREPLACE)
    };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::last("rename", format!("{} to {}", from.display(), to.display())))
    }
}

const FS_APPEND_FL: libc::c_int = 0x20;

/// The attributes of a file (`lsattr`).
fn attributes(file: &File) -> io::Result<libc::c_int> {
    let mut flags: libc::c_int = 0;
    // SAFETY: FS_IOC_GETFLAGS writes an int (despite the `long` in its name), and `flags` is one.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) } {
        0 => Ok(flags),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a file has the append-only attribute; one has not on a file system that has none.
pub fn is_append_only(file: &File) -> bool {
    attributes(file).is_ok_and(|flags| flags & FS_APPEND_FL != 0)
}

/// Sets or clears the append-only attribute (`chattr +a`), which only root may. `false` when the file system has none
/// or we may not.
///
/// # Errors
/// Whatever else the kernel says.
pub fn set_append_only(file: &File, on: bool) -> Result<bool> {
    let refused = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENOTTY | libc::EOPNOTSUPP | libc::EPERM | libc::EINVAL) => Ok(false),
        _ => Err(Error::new("set the append-only attribute", "", error)),
    };
    let flags = match attributes(file) {
        Ok(flags) => flags,
        Err(error) => return refused(error),
    };
    let wanted = if on { flags | FS_APPEND_FL } else { flags & !FS_APPEND_FL };
    // SAFETY: FS_IOC_SETFLAGS reads an int, and `wanted` is one.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &wanted) } != 0 {
        return refused(io::Error::last_os_error());
    }
    Ok(true)
}

/// Lets one more user read a file, and nobody else: an access control list of that one name (`acl(5)`; the form of the attribute is
/// that of the kernel's `posix_acl_xattr.h`, version 2). The file stays ours, so that they can neither change nor grow it.
///
/// # Errors
/// The system's; also where the file system keeps no such lists.
pub fn let_read(file: &File, uid: u32) -> io::Result<()> {
    const READ: u16 = 4;
    const NOBODY: u32 = u32::MAX;
    // Its owner, the user, its group, the most that a name or the group may, others.
    let entries =
        [(1_u16, READ, NOBODY), (2, READ, uid), (4, 0, NOBODY), (0x10, READ, NOBODY), (0x20, 0, NOBODY)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, may, id) in entries {
        list.extend_from_slice(&tag.to_le_bytes());
        list.extend_from_slice(&may.to_le_bytes());
        list.extend_from_slice(&id.to_le_bytes());
    }
    let name = c"system.posix_acl_access";
    // SAFETY: the name ends with a zero, and the list is as long as is said.
    let rc = unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), list.as_ptr().cast(), list.len(), 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_path(operation: &'static str, path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        Error::at(
            operation,
            path,
            io::Error::new(io::ErrorKind::InvalidInput, "the name contains a NUL byte"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_never_replaces_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        create_new(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let link = dir.path().join("link");
        symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(create_new(&link).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn what_is_written_goes_to_the_end_only() {
        use std::os::unix::fs::FileExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = create_new(&path).unwrap();
        (&file).write_all(b"one").unwrap();
        file.write_all_at(b"two", 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"onetwo");
    }

    #[test]
    fn a_fifo_or_a_directory_is_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let name = CString::new(fifo.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name is NUL-terminated.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(open_read(&fifo).unwrap_err().source.to_string().contains("not a regular file"));
        assert!(open_read(dir.path()).unwrap_err().source.to_string().contains("directory"));
        assert!(open_read(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn an_opened_file_is_left_blocking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_new(&path, b"x").unwrap();
        let file = open_read(&path).unwrap();
        // SAFETY: the descriptor is open.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
    }

    #[test]
    fn a_link_is_followed_only_where_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("f"), dir.path().join("l"));
        write_new(&path, b"x").unwrap();
        symlink(&path, &link).unwrap();
        assert!(open_read(&link).is_ok());
        assert!(open_read_nofollow(&link).is_err());
        assert!(open_append(&link).is_err());
    }

    #[test]
    fn a_private_directory_is_made_with_those_above_it_and_refused_when_open_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_private_dir(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        create_private_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(create_private_dir(&path).is_err());
    }

    #[test]
    fn a_directory_that_is_reached_by_a_link_that_others_can_change_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (store, others) = (dir.join("store"), dir.join("others"));
        for dir in [&store, &others] {
            DirBuilder::new().mode(DIR_MODE).create(dir).unwrap();
        }
        let link = others.join("link");
        symlink(&store, &link).unwrap();
        let ways = [link.clone(), link.join("deeper"), link.join("deeper/still")];
        for way in &ways {
            assert_eq!(try_private_dir(way).unwrap(), None, "{}", way.display());
        }
        fs::set_permissions(&others, fs::Permissions::from_mode(0o777)).unwrap();
        for way in &ways {
            assert_eq!(try_private_dir(way).unwrap().as_ref(), Some(&others), "{}", way.display());
        }
        assert_eq!(try_private_dir(&store).unwrap(), None);
    }

    #[test]
    fn a_nameless_file_gets_a_name_that_is_free_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut file) = create_nameless(dir.path()).unwrap() else {
            super::super::skipped("this file system cannot");
            return;
        };
        file.write_all(b"all of it").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let [taken, free] = ["taken", "free"].map(|name| dir.path().join(name));
        std::fs::write(&taken, "other").unwrap();
        assert_eq!(give_name(&file, &taken).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        give_name(&file, &free).unwrap();
        assert_eq!([&taken, &free].map(|path| std::fs::read(path).unwrap()), [&b"other"[..], b"all of it"]);
        assert_eq!(std::fs::metadata(&free).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn publishing_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b, c) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        write_new(&a, b"a").unwrap();
        write_new(&b, b"b").unwrap();
        assert_eq!(publish(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        publish(&a, &c).unwrap();
        assert_eq!((fs::read(&b).unwrap(), fs::read(&c).unwrap()), (b"b".to_vec(), b"a".to_vec()));
    }
}
