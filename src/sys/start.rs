//! How this process was found when it began: the runtime of Rust ignores SIGPIPE in every program and opens /dev/null in the place of
//! standard streams that are closed, before `main`. What we start must find both as we did.

use super::signals;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
static CHILD_WAS_IGNORED: AtomicBool = AtomicBool::new(false);
static MASK: AtomicU64 = AtomicU64::new(0);
static WERE_CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

extern "C" fn look() {
    PIPE_WAS_IGNORED.store(signals::is_ignored(signals::SIGPIPE), Relaxed);
    CHILD_WAS_IGNORED.store(signals::is_ignored(signals::SIGCHLD), Relaxed);
    MASK.store(signals::blocked(), Relaxed);
    for (stream, closed) in (0..).zip(&WERE_CLOSED) {
        // SAFETY: takes numbers only; of a descriptor that is closed it says so.
        closed.store(unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0, Relaxed);
    }
}

// SAFETY: what stands in this section is called once, by the C library, before `main`, with arguments that a function may leave
// alone. `look` makes system calls and stores, and needs nothing that the runtime of Rust sets up.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Whether SIGPIPE was ignored. Safe between fork and exec.
pub(super) fn pipe_was_ignored() -> bool {
    PIPE_WAS_IGNORED.load(Relaxed)
}

/// Whether SIGCHLD was ignored. Safe between fork and exec.
pub(super) fn child_was_ignored() -> bool {
    CHILD_WAS_IGNORED.load(Relaxed)
}

/// Which signals were blocked, the first in the lowest bit. Safe between fork and exec.
pub(super) fn mask() -> u64 {
    MASK.load(Relaxed)
}

/// Whether this standard stream (0, 1 or 2) was closed.
pub fn was_closed(stream: RawFd) -> bool {
    let closed = usize::try_from(stream).ok().and_then(|stream| WERE_CLOSED.get(stream));
    closed.is_some_and(|closed| closed.load(Relaxed))
}
