//! The kernel's announcements of forks, execs and exits (the process events connector).
//!
//! Interface: `include/uapi/linux/cn_proc.h`, `connector.h`, netlink(7). Needs CAP_NET_ADMIN in the first user namespace.

use super::{Error, Result, fd};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
/// Netlink header and connector header.
const HEADERS: usize = 16 + 20;
/// Socket buffer that is asked for, in bytes.
const BUFFER: libc::c_int = 16 << 20;

/// One announcement, as the kernel's number for it and the bytes of `struct proc_event`.
#[derive(Debug)]
pub struct ProcEvents {
    fd: OwnedFd,
}

impl ProcEvents {
    /// Starts to listen.
    ///
    /// # Errors
    /// Without the right to, or when the kernel was built without it.
    pub fn open() -> Result<Self> {
        let operation = "listen to the kernel's process events";
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes numbers only, and makes a descriptor.
        let fd = unsafe { fd::owned(libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR)) };
        let fd = fd.map_err(|e| Error::new(operation, "", e))?;
        let size = BUFFER;
        // SAFETY: the option is an int, and its size is told. A smaller buffer loses events sooner, which is told then.
        unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        // SAFETY: sockaddr_nl is plain data; all zero is a valid value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = CN_IDX_PROC;
        let length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the address lives and has the length that is told.
        if unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
            return Err(Error::last(operation, ""));
        }
        let mut message = Vec::with_capacity(HEADERS + 4);
        message.extend_from_slice(&((HEADERS + 4) as u32).to_ne_bytes());
        message.extend_from_slice(&(libc::NLMSG_DONE as u16).to_ne_bytes());
        message.extend_from_slice(&0_u16.to_ne_bytes());
        for word in [0, std::process::id(), CN_IDX_PROC, CN_VAL_PROC, 0, 0] {
            message.extend_from_slice(&word.to_ne_bytes());
        }
        message.extend_from_slice(&4_u16.to_ne_bytes());
        message.extend_from_slice(&0_u16.to_ne_bytes());
        message.extend_from_slice(&PROC_CN_MCAST_LISTEN.to_ne_bytes());
        // SAFETY: the message lives and has the length that is told.
        if unsafe { libc::send(fd.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) } < 0 {
            return Err(Error::last(operation, ""));
        }
        Ok(Self { fd })
    }

    /// The next announcement (`struct proc_event`), if one is there. Only the kernel's own messages are taken.
    ///
    /// # Errors
    /// `ENOBUFS` when announcements were lost because they were not read in time.
    pub fn next<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        loop {
            // SAFETY: sockaddr_nl is plain data; all zero is a valid value.
            let mut from: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            // SAFETY: buffer and address may be written to and have the lengths that are told.
            let got = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut length,
                )
            };
            let Ok(got) = usize::try_from(got) else {
                let error = std::io::Error::last_os_error();
                match error.kind() {
                    std::io::ErrorKind::WouldBlock => return Ok(None),
                    std::io::ErrorKind::Interrupted => continue,
                    _ => return Err(Error::new("read the kernel's process events", "", error)),
                }
            };
            if from.nl_pid == 0 && got > HEADERS {
                return Ok(buffer.get(HEADERS..got));
            }
        }
    }
}

impl AsFd for ProcEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
