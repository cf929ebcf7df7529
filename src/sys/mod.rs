//! The only room with `unsafe`: terminals, processes, signals, identities and files as the kernel has them.
//!
//! Every block states what makes it sound. Nothing here knows what a recording is.
#![allow(unsafe_code, reason = "what the kernel offers is asked for here, and nowhere else")]

pub mod alarm;
pub mod bpf;
pub mod clock;
pub mod deflate;
pub mod dir;
pub mod fd;
pub mod file;
pub mod guard;
pub mod harden;
pub mod ids;
mod link;
pub mod lock;
pub mod memory;
mod mounts;
pub mod netlink;
pub mod peer;
mod pidfd;
pub mod pipe;
pub mod poll;
pub mod privileges;
pub mod proc;
pub mod pty;
mod remains;
pub mod scarce;
pub mod seccomp;
pub mod signals;
pub mod stack;
pub mod stage;
pub mod start;
pub mod trust;
pub mod tty;
pub mod waits;

use std::fmt;
use std::io;
use std::path::Path;

/// A system call that failed: what was tried, on what, and what the kernel said.
///
/// Shown, it reads `cannot open /path`; the kernel's reason is its [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error {
    /// What was tried, as a verb: `open`, `lock`, `change to user 1000`.
    pub operation: &'static str,
    /// On what: mostly a path; empty when the operation says it all.
    pub subject: String,
    /// The kernel's reason.
    pub source: io::Error,
}

/// What an [`Error`] says was tried with a symbolic link that leads to nothing.
pub const FOLLOW: &str = "follow";

#[cfg(test)]
#[path = "../../tests/support/dice.rs"]
pub(crate) mod dice;

/// How long anything may take in a test: long enough for a loaded machine. A test that passes does not wait for it.
#[cfg(test)]
pub(crate) const DEADLINE: std::time::Duration = std::time::Duration::from_secs(120);

/// Says that a test does not test, and why: not by way of what the test harness keeps to itself.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    io::Write::write_all(&mut io::stderr(), format!("skipped: {why}\n").as_bytes()).unwrap();
}

/// Whether root runs the tests; a test that only root can make says so and passes.
#[cfg(test)]
pub(crate) fn is_root() -> bool {
    let root = ids::effective_uid() == 0;
    if !root {
        skipped("only root can");
    }
    root
}

/// Whether something comes true, and be it after a while. In tests, what follows when the last copy of a descriptor is closed
/// does not follow at once: other tests of the same program start processes meanwhile, which have copies of all that is open until
/// they execute something.
#[cfg(test)]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + DEADLINE;
    while !condition() {
        let pause = Some(std::time::Duration::from_millis(5));
        if std::time::Instant::now() > end || poll::Set::default().wait(pause).is_err() {
            return false;
        }
    }
    true
}

/// Result of the calls of this room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The failure of `operation` on `subject`.
    pub fn new(operation: &'static str, subject: impl Into<String>, source: io::Error) -> Self {
        Self { operation, subject: subject.into(), source }
    }

    /// The failure of `operation` on a file.
    pub fn at(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::new(operation, path.display().to_string(), source)
    }

    /// The failure of `operation` as errno tells it.
    pub(crate) fn last(operation: &'static str, subject: impl Into<String>) -> Self {
        Self::new(operation, subject, io::Error::last_os_error())
    }

    /// The kind of the kernel's reason.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        match self.subject.as_str() {
            "" => Ok(()),
            // A path is untrusted text: it must not act on the terminal that shows the message.
            hostile if hostile.contains(char::is_control) => write!(f, " {}", hostile.escape_debug()),
            plain => write!(f, " {plain}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether a system call did what it was asked, by what it returned. Makes no allocation.
fn check(returned: impl Into<i64>) -> io::Result<()> {
    if returned.into() >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a call was interrupted by a signal and is to be made again: not a failure, and not an end of file.
pub fn interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
