//! Files and directories made and opened with care.
//!
//! Refuses to follow a symbolic link where a file is made, to open what is not a regular file where one is meant (a
//! FIFO would hang us, a device would answer us), and to make anything that others can read. Locks are in [`super::lock`]
//! or the standard library's ([`File::lock`]: `flock`), as is `fdatasync` ([`File::sync_data`]).

use super::link::not_followed;
use super::{Error, Result};
use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let real = fs::canonicalize(existing).map_err(|e| Error::at("open", existing, e))?;
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

/// Makes a directory with mode 0700, and those above it that are missing. One that exists must be a directory of ours
/// (or of root) that no one else can write to.
///
/// # Errors
/// When it cannot be made, is not a directory, or could be written by others.
pub fn create_private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .map_err(|e| Error::at("create", path, e))?;
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

/// Reserves `bytes` behind the end of the file without making it longer, so that the end of a recording can be
/// written on a full disk. `false` when the file system cannot reserve.
///
/// # Errors
/// `StorageFull` when there is no room; whatever else the kernel says.
pub fn reserve(file: &File, bytes: u64) -> Result<bool> {
    let end = file.metadata().map_err(|e| Error::new("examine", "the recording", e))?.len();
    let offset = libc::off_t::try_from(end).unwrap_or(libc::off_t::MAX);
    let length = libc::off_t::try_from(bytes.max(1)).unwrap_or(libc::off_t::MAX);
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed.
        if unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, offset, length) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(false),
            _ => return Err(Error::new("reserve space", "", error)),
        }
    }
}

/// Gives back what [`reserve`] reserved behind the end of the file. Its content and its times stay.
///
/// # Errors
/// When the file cannot be cut to its own length.
pub fn release_reserve(file: &File) -> Result<()> {
    let end = file.metadata().and_then(|facts| {
        file.set_len(facts.len())?;
        file.set_times(std::fs::FileTimes::new().set_modified(facts.modified()?))
    });
    end.map_err(|e| Error::new("release reserved space", "", e))
}

/// Holds `bytes` of the file system of `dir` in a file without a name (`O_TMPFILE`), given back when it is dropped. `None`
/// where the file system has no such thing.
///
/// # Errors
/// `StorageFull` when there is no room; whatever else the kernel says.
pub fn ballast(dir: &Path, bytes: u64) -> Result<Option<File>> {
    let made =
        nameless(OpenOptions::new().write(true), dir).map_err(|e| Error::at("reserve space in", dir, e))?;
    let Some(file) = made else { return Ok(None) };
    Ok(reserve(&file, bytes)?.then_some(file))
}

/// Room on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write (for a user other than root, without what is kept for root).
    pub available: u64,
    /// Size of the file system in bytes.
    pub total: u64,
}

/// Room on the file system that holds `path`.
///
/// # Errors
/// When `path` does not exist or the kernel does not tell.
pub fn free_space(path: &Path) -> Result<Space> {
    let name = c_path("examine the file system of", path)?;
    // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and `facts` is a valid place to write to.
    if unsafe { libc::statvfs(name.as_ptr(), &mut facts) } != 0 {
        return Err(Error::last("examine the file system of", path.display().to_string()));
    }
    let blocks = if super::ids::effective_uid() == 0 { facts.f_bfree } else { facts.f_bavail };
    Ok(Space {
        available: blocks.saturating_mul(facts.f_frsize),
        total: facts.f_blocks.saturating_mul(facts.f_frsize),
    })
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
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn ballast_takes_room_and_has_no_name() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let Some(ballast) = ballast(dir.path(), 8 << 20).unwrap() else {
            super::super::skipped("this file system cannot");
            return;
        };
        // Not by what is free: others use this file system too.
        let facts = ballast.metadata().unwrap();
        assert!(facts.blocks() * 512 >= 8 << 20, "{} blocks", facts.blocks());
        assert_eq!(facts.mode() & 0o777, 0o600);
        // Without a name, it is gone with the last descriptor.
        assert_eq!((facts.nlink(), std::fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }

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

    #[test]
    fn reserved_space_does_not_make_the_file_longer() {
        let dir = tempfile::tempdir().unwrap();
        let file = create_new(&dir.path().join("f")).unwrap();
        (&file).write_all(b"abc").unwrap();
        if reserve(&file, 1 << 20).unwrap() {
            let facts = file.metadata().unwrap();
            assert_eq!(facts.len(), 3);
            assert!(facts.blocks() * 512 >= 1 << 20, "{} blocks", facts.blocks());
            release_reserve(&file).unwrap();
            assert!(file.metadata().unwrap().blocks() * 512 < 1 << 20);
        }
    }

    #[test]
    fn free_space_is_below_the_size_of_the_file_system() {
        let space = free_space(Path::new("/")).unwrap();
        assert!(space.available > 0 && space.available < space.total, "{space:?}");
        assert!(free_space(Path::new("/no/such/place")).is_err());
    }
}
