//! What can be asked of, and done to, any descriptor. Nothing here closes a descriptor it was lent, and none of it gives a
//! descriptor rights that it did not have.

use super::privileges::Stead;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

/// The descriptor that a system call made, by what it returned; the kernel's reason, where that is none.
///
/// # Safety
/// The call has just returned it: if it is a descriptor, nobody else owns it.
pub(super) unsafe fn owned(returned: impl Into<i64>) -> io::Result<OwnedFd> {
    match i32::try_from(returned.into()) {
        // SAFETY: the caller's promise.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What a descriptor is open on, as far as bytes can be passed on through it. A kind stands for what the kernel does not
/// ask at every call who it is that reads or writes, or where it can be answered ([`Stead`], [`send_in_stead`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of a file system that keeps files.
    File,
    /// A pipe or a FIFO.
    Pipe,
    /// A stream socket of the network.
    Socket,
    /// A stream socket of this host, whose other side can ask who it is that writes.
    Local,
    /// Something else: a device, a directory, a file that the kernel makes up when it is read (`/proc`, `/sys`), a socket
    /// whose messages have bounds.
    Other,
}

/// What `fd` is open on.
pub fn kind(fd: impl AsFd) -> Kind {
    match facts(&fd).map(|facts| facts.st_mode & libc::S_IFMT) {
        Some(libc::S_IFREG) if keeps_files(&fd) => Kind::File,
        Some(libc::S_IFIFO) => Kind::Pipe,
        Some(libc::S_IFSOCK) if option(&fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM) => {
            match option(&fd, libc::SO_DOMAIN) {
                Some(libc::AF_INET | libc::AF_INET6) => Kind::Socket,
                Some(libc::AF_UNIX) => Kind::Local,
                _ => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

/// File systems that keep files, by their magic numbers (`linux/magic.h` and the sources of those that are not there). In
/// others (proc, sysfs, cgroup, debugfs, …) a read or a write is a question to the kernel, and who asks matters. What is
/// not known counts as one of those.
const KEEP_FILES: [u32; 41] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs, and memfd
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x6969,      // nfs
    0x517b,      // smbfs
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x6573_5546, // fuse, virtiofs
    0x0102_1997, // 9p
    0x00c3_6400, // ceph
    0x5346_414f, // afs
    0x6b41_4653, // afs, of the kernel
    0x7375_7245, // coda
    0x0bd0_0bd0, // lustre
    0x4750_4653, // gpfs
    0x0116_1970, // gfs2
    0x7461_636f, // ocfs2
    0xa501_fcf5, // vxfs
    0x4d44,      // vfat
    0x2011_bab0, // exfat
    0x5346_544e, // ntfs
    0x7366_746e, // ntfs3
    0x9660,      // iso9660
    0x1501_3346, // udf
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x28cd_3d45, // cramfs
    0x3153_464a, // jfs
    0x5265_4973, // reiserfs
    0x482b,      // hfsplus
    0x3434,      // nilfs
    0xf15f,      // ecryptfs
    0x2405_1905, // ubifs
    0x72b6,      // jffs2
    0x786f_4256, // vboxsf
];

fn keeps_files(fd: impl AsFd) -> bool {
    // SAFETY: an all-zero statfs is a valid value of that plain C struct.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place to write to; the descriptor is open while it is borrowed.
    let told = unsafe { libc::fstatfs(fd.as_fd().as_raw_fd(), &mut facts) } == 0;
    // The magic numbers have 32 bits; the field is wider, and signed, on some machines.
    let magic = facts.f_type as u32;
    told && KEEP_FILES.contains(&magic)
}

/// An option of a socket that is a number.
fn option(fd: impl AsFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    let place = std::ptr::from_mut(&mut value).cast();
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: as many bytes as `size` says may be written to `value`; the descriptor is open while it is borrowed.
    let told = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut size) } == 0;
    told.then_some(value)
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Out of the descriptor.
    Read,
    /// Into it.
    Write,
}

/// Whether `fd` was opened for this direction. What was opened as a mere path was opened for neither.
pub fn allows(fd: impl AsFd, access: Access) -> bool {
    // SAFETY: F_GETFL takes no argument and the descriptor is open while it is borrowed.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    let wanted = match access {
        Access::Read => libc::O_RDONLY,
        Access::Write => libc::O_WRONLY,
    };
    let mode = flags & libc::O_ACCMODE;
    flags >= 0 && flags & libc::O_PATH == 0 && (mode == wanted || mode == libc::O_RDWR)
}

/// Whether two descriptors are one: a copy of the other (`2>&1`), with one offset and one order of what is written. Of a kernel
/// that does not compare them (`kcmp`) it is known only where there is no offset, of pipes and sockets.
pub fn are_one(a: impl AsFd, b: impl AsFd) -> bool {
    const KCMP_FILE: libc::c_long = 0;
    let number = |fd: &dyn AsFd| libc::c_long::from(fd.as_fd().as_raw_fd());
    let me = libc::c_long::from(std::process::id());
    // SAFETY: takes numbers only; both descriptors are open while they are borrowed.
    match unsafe { libc::syscall(libc::SYS_kcmp, me, me, KCMP_FILE, number(&a), number(&b)) } {
        0 => true,
        -1 => match (facts(&a), facts(&b)) {
            (Some(one), Some(other)) => {
                let is_stream = matches!(one.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFSOCK);
                is_stream && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether `fd` is open on /dev/null.
pub fn is_null(fd: impl AsFd) -> bool {
    let is = |facts: libc::stat| {
        facts.st_mode & libc::S_IFMT == libc::S_IFCHR && facts.st_rdev == libc::makedev(1, 3)
    };
    facts(fd).is_some_and(is)
}

/// Whether `fd` is a socket, of whatever kind.
pub fn is_socket(fd: impl AsFd) -> bool {
    facts(fd).is_some_and(|facts| facts.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}

pub(super) fn facts(fd: impl AsFd) -> Option<libc::stat> {
    // SAFETY: an all-zero stat is a valid value of that plain C struct.
    let mut facts: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place to write to; the descriptor is open while it is borrowed.
    let told = unsafe { libc::fstat(fd.as_fd().as_raw_fd(), &mut facts) } == 0;
    told.then_some(facts)
}

/// Reads what is there, up to the size of `into`; 0 is the end. Made again when a signal interrupts it.
///
/// # Errors
/// What the kernel says; `WouldBlock` when nothing is there and the descriptor does not wait.
pub fn read(fd: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: as many bytes as `into` has may be written to it; the descriptor is open while it is borrowed.
        let got = unsafe { libc::read(fd.as_fd().as_raw_fd(), into.as_mut_ptr().cast(), into.len()) };
        if let Ok(got) = usize::try_from(got) {
            return Ok(got);
        }
        let error = io::Error::last_os_error();
        if !super::interrupted(&error) {
            return Err(error);
        }
    }
}

/// Writes what there is room for. Made again when a signal interrupts it.
///
/// # Errors
/// What the kernel says; `WouldBlock` when there is no room and the descriptor does not wait.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: as many bytes as `bytes` has are read from it; the descriptor is open while it is borrowed.
        let put = unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        if let Ok(put) = usize::try_from(put) {
            return Ok(put);
        }
        let error = io::Error::last_os_error();
        if !super::interrupted(&error) {
            return Err(error);
        }
    }
}

/// Writes to a socket what there is room for, without waiting, whatever its own setting.
///
/// # Errors
/// What the kernel says; `WouldBlock` when there is no room.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: as many bytes as `bytes` has are read from it; the descriptor is open while it is borrowed.
    let put = unsafe { libc::send(socket.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(put).map_err(|_| io::Error::last_os_error())
}

/// Writes to a [`Kind::Local`] socket as [`send`] does, in somebody else's name: a reader that asks who wrote
/// (`SO_PASSCRED`) is told the ids that `stead` has, and `pid` as the process. So a logging daemon, at whose socket the
/// output of a session ends, hears of the user and the program of the session, and not of root and the recorder. Our own
/// process is named where `pid` has ended, and where we may not name it: only `CAP_SYS_ADMIN` may name a process of another
/// user (`unix(7)`), and a service or a container may lack that.
///
/// # Errors
/// As [`send`]; that permission is missing, where we may not even tell the ids. Then nothing is written: our own ids would
/// be told.
pub fn send_in_stead(socket: impl AsFd, bytes: &[u8], stead: &Stead, pid: Option<u32>) -> io::Result<usize> {
    // SAFETY: takes nothing and cannot fail.
    let ours = unsafe { libc::getpid() };
    let pid = pid.and_then(|pid| libc::pid_t::try_from(pid).ok()).unwrap_or(ours);
    let (uid, gid) = stead.ids();
    match send_with(&socket, bytes, libc::ucred { pid, uid, gid }) {
        // It has ended, and what it left behind still writes; or we may not name it. A process must be named: it is us.
        Err(e) if pid != ours && matches!(e.raw_os_error(), Some(libc::ESRCH | libc::EPERM)) => {
            send_with(&socket, bytes, libc::ucred { pid: ours, uid, gid })
        }
        sent => sent,
    }
}

fn send_with(socket: impl AsFd, bytes: &[u8], who: libc::ucred) -> io::Result<usize> {
    /// Room for one control message, aligned as its header is.
    #[repr(C)]
    union Control {
        header: libc::cmsghdr,
        bytes: [u8; 64],
    }
    let size = libc::c_uint::try_from(size_of_val(&who)).unwrap_or(0);
    let mut control = Control { bytes: [0; 64] };
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: an all-zero msghdr is a valid value of that plain C struct.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
    message.msg_control = std::ptr::from_mut(&mut control).cast();
    // SAFETY: computes a number from a number: 32 bytes for this structure, and there are 64.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as _;
    // SAFETY: the message has room for one header and this structure, whose fields are plain numbers; the kernel reads them
    // and the bytes, and writes nothing. The descriptor is open while it is borrowed.
    let put = unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_CREDENTIALS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(header).cast::<libc::ucred>().write_unaligned(who);
        libc::sendmsg(socket.as_fd().as_raw_fd(), &message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    usize::try_from(put).map_err(|_| io::Error::last_os_error())
}

/// The same pipe, opened anew to write without waiting: the setting of the one we were given is shared with others
/// and must stay. `None` where that cannot be had, and where the one we were given was not open to be written: opening
/// asks for our rights, which may be more than those of who opened it.
pub fn reopen_to_write(pipe: impl AsFd) -> Option<File> {
    allows(&pipe, Access::Write).then(|| reopen(pipe, OpenOptions::new().write(true))).flatten()
}

/// The same pipe, opened anew to read without waiting; see [`reopen_to_write`].
pub fn reopen_to_read(pipe: impl AsFd) -> Option<File> {
    allows(&pipe, Access::Read).then(|| reopen(pipe, OpenOptions::new().read(true))).flatten()
}

/// What is behind the name of a descriptor that is open both ways, opened anew both ways without waiting; see
/// [`reopen_to_write`]. Of a terminal, that may be another one: `/dev/tty` is a name of many.
pub(super) fn reopen_both_ways(fd: impl AsFd) -> Option<File> {
    let both = allows(&fd, Access::Read) && allows(&fd, Access::Write);
    both.then(|| reopen(fd, OpenOptions::new().read(true).write(true))).flatten()
}

fn reopen(fd: impl AsFd, options: &mut OpenOptions) -> Option<File> {
    let name = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY).open(name).ok()
}

/// Sets or clears `O_NONBLOCK`, a property of the open file that everyone who shares it sees: only for descriptors
/// that we opened ourselves.
///
/// # Errors
/// What `fcntl` says.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: F_GETFL takes no argument and the descriptor is open while it is borrowed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: F_SETFL takes an int and the descriptor is open while it is borrowed.
    if wanted != flags && unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Moves the offset of a file back by `bytes`, so that they are read again. A wish: what has no offset stays.
pub fn back(file: impl AsFd, bytes: usize) {
    if let Ok(bytes) = libc::off_t::try_from(bytes)
        && bytes > 0
    {
        // SAFETY: takes numbers only; the descriptor is open while it is borrowed.
        unsafe { libc::lseek(file.as_fd().as_raw_fd(), -bytes, libc::SEEK_CUR) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn what_asks_who_it_is_that_reads_or_writes_is_no_file() {
        assert_eq!(kind(File::open("/proc/self/stat").unwrap()), Kind::Other);
        assert_eq!(kind(File::open("/sys/class/net/lo/mtu").unwrap()), Kind::Other);
        assert_eq!(kind(File::open("/dev/null").unwrap()), Kind::Other);
        assert_eq!(kind(tempfile::tempfile().unwrap()), Kind::File);
        assert_eq!(kind(UnixStream::pair().unwrap().0), Kind::Local);
        assert_eq!(kind(UnixDatagram::pair().unwrap().0), Kind::Other);
        assert_eq!(kind(std::net::TcpListener::bind("127.0.0.1:0").unwrap()), Kind::Socket);
        assert_eq!(kind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()), Kind::Other);
    }

    #[test]
    fn a_pipe_is_opened_anew_only_in_the_direction_it_was_opened_for() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(reopen_to_read(&reader).is_some() && reopen_to_write(&writer).is_some());
        assert!(reopen_to_write(&reader).is_none() && reopen_to_read(&writer).is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let both = File::options().read(true).write(true).open(&path).unwrap();
        assert!(reopen_to_read(&both).is_some() && reopen_to_write(&both).is_some());
        // No right is needed to open a mere path.
        let path = File::options().read(true).custom_flags(libc::O_PATH).open(&path).unwrap();
        assert!(reopen_to_read(&path).is_none() && reopen_to_write(&path).is_none());
    }

    #[test]
    fn what_is_sent_in_somebodys_stead_arrives() {
        let (from, to) = UnixStream::pair().unwrap();
        let ours = super::super::ids::current().unwrap();
        let stead = Stead::as_told(ours.uid[1], ours.gid[1]);
        // A process that cannot be: as if it had ended. Who lacks a capability is refused before it is looked for.
        assert_eq!(send_in_stead(&from, b"hello", &stead, Some(i32::MAX as u32)).unwrap(), 5);
        drop(from);
        assert_eq!(io::read_to_string(to).unwrap(), "hello");
    }
}
