//! What keeps this process's memory to itself. None of it stops root; all of it stops accidents.

use std::sync::OnceLock;

/// The soft limit of core dumps that was found, to be given back to the child.
static FOUND: OnceLock<libc::rlimit> = OnceLock::new();

/// No core dumps: not as a file, not into a pipe of the kernel's core handler, and no attaching by other processes of
/// the same user (`PR_SET_DUMPABLE` 0, which also covers `/proc/PID/mem`). Children that exec are not concerned, but
/// inherit the limit: the stage gives it back.
pub fn forbid_core_dumps() {
    let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut found) } == 0 {
        let lowered = libc::rlimit { rlim_cur: 0, rlim_max: found.rlim_max };
        // SAFETY: a valid place to read from. The soft limit alone is lowered, which is always allowed.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &lowered) };
        FOUND.get_or_init(|| found);
    }
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

/// Undoes [`forbid_core_dumps`] in this process, which is about to become another program.
pub fn allow_core_dumps() {
    restore_core_limit();
}

/// Undoes the limit of [`forbid_core_dumps`] in a child. Safe between fork and exec.
pub(super) fn restore_core_limit() {
    if let Some(found) = FOUND.get() {
        // SAFETY: a valid place to read from.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, found) };
    }
}

/// Keeps all memory of this process, now and later, out of swap. `false` when that is not allowed without a limit: the
/// process goes on without. Under a limit every later allocation beyond it would fail.
pub fn lock_memory() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place to write to.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    let unlimited = told && limit.rlim_cur == libc::RLIM_INFINITY;
    if !unlimited && !super::guard::has(super::guard::IPC_LOCK) {
        return false;
    }
    // On fault: only what is used is locked, so large reservations do not count.
    // SAFETY: takes numbers only.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) == 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_not_dumped_once_that_is_forbidden() {
        super::forbid_core_dumps();
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }, 0);
        let mut found = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: a valid place to write to.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut found) }, 0);
        assert_eq!(found.rlim_cur, 0);
        // SAFETY: takes numbers only; other tests of this process may want to be looked at.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
    }
}
