//! What keeps this process's memory to itself. None of it stops root; all of it stops accidents.

use super::proc;
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

/// Frees this process of limits, slack of timers and turns that whoever started it has chosen. To be called after what is to keep
/// them was forked, and before there are threads: the recorder and the stage must both be without them, or the one that is
/// not ends when and as late as whoever called likes.
pub fn forget_what_the_caller_chose() {
    wake_in_time();
    lift_limits();
    take_turns_as_usual();
}

/// Frees this process of limits that whoever started it has set: on the length of files, on processor time, memory, the
/// stack and descriptors, and of a wish to be the first to be killed when memory runs out. They are a way to end a recording at a chosen
/// moment, and sudo passes them on. Where it is not allowed to lift them, it takes what there is. Children that are there keep theirs.
fn lift_limits() {
    const DESCRIPTORS: libc::rlim_t = 4096;
    let may = super::guard::has(super::guard::SYS_RESOURCE);
    for resource in [
        libc::RLIMIT_FSIZE,
        libc::RLIMIT_CPU,
        libc::RLIMIT_AS,
        libc::RLIMIT_DATA,
        libc::RLIMIT_STACK,
        libc::RLIMIT_NOFILE,
    ] {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a valid place to write to.
        if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
            continue;
        }
        if may {
            let enough = if resource == libc::RLIMIT_NOFILE { DESCRIPTORS } else { libc::RLIM_INFINITY };
            limit.rlim_max = limit.rlim_max.max(enough);
        }
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: a valid place to read from.
        unsafe { libc::setrlimit(resource, &limit) };
    }
    const FIRST: &str = "self/oom_score_adj";
    let wished = proc::read_to_string(FIRST).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if wished.is_some_and(|wish| wish > 0) {
        // Not to be allowed to changes nothing.
        let _ = proc::write(FIRST, b"0");
    }
}

/// Gives this thread, and those that it starts, the slack that timers have where nobody has chosen one. Whoever started us may
/// have chosen years, and what waits with a time limit would then not wake by it. The child keeps what was found, if it was
/// forked before.
fn wake_in_time() {
    const USUAL: libc::c_ulong = 50_000; // nanoseconds, see `PR_SET_TIMERSLACK(2const)`
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, USUAL, 0, 0, 0) };
}

/// Gives this thread, and those that it starts, the turns on the processors and at the disks that a program has where nobody has
/// chosen others. Whoever started us may have chosen that we get none while anything else wants one, or share a processor with
/// something that never rests: a witness that is late sees less, and sudo passes all of it on. More than the usual, as real time is,
/// is left; so is what we may not change, and what a control group is given. The child keeps what was found, if it was forked before.
fn take_turns_as_usual() {
    const LOWER: [libc::c_long; 2] = [libc::SCHED_BATCH as libc::c_long, libc::SCHED_IDLE as libc::c_long];
    // By their numbers: the C library musl has none of the first two.
    // SAFETY: takes numbers only.
    let class = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
    // The class may come with a flag.
    if LOWER.contains(&(class & !libc::c_long::from(libc::SCHED_RESET_ON_FORK))) {
        let usual = libc::c_int::default();
        // SAFETY: a valid place to read from: the priority, a number, which is 0 in all classes but real time.
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &raw const usual) };
    }
    // What the kernel returns is 20 less the value, so that it is never negative.
    // SAFETY: takes numbers only.
    let nice = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    if (0..20).contains(&nice) {
        // SAFETY: takes numbers only.
        unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 0) };
    }
    // The kernel takes of it those that there are and that we may have.
    let all = [u8::MAX; 1024];
    // SAFETY: a valid place to read from, of the length given.
    unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, all.len(), all.as_ptr()) };
    const WHO_PROCESS: libc::c_long = 1;
    const BY_NICE: libc::c_long = 0; // no class of its own, see `ioprio_set(2)`
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, BY_NICE) };
}

/// What this process makes from now on is its user's alone, and has at least the rights that it asks for: the mask of whoever
/// started us could take those as well, and sudo hands it on. The child keeps what was found, if it was forked before.
pub fn mask_files() {
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(0o077) };
}

/// Whether memory may be locked without a limit: under one, every later allocation beyond it would fail.
pub fn may_lock_memory() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place to write to.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    let unlimited = told && limit.rlim_cur == libc::RLIM_INFINITY;
    unlimited || super::guard::has(super::guard::IPC_LOCK)
}

/// Keeps all memory of this process, now and later, out of swap. `false` when that is [not allowed](may_lock_memory): the
/// process goes on without.
pub fn lock_memory() -> bool {
    if !may_lock_memory() {
        return false;
    }
    // On fault: only what is used is locked, so large reservations do not count.
    // SAFETY: takes numbers only.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) == 0 }
}

#[cfg(test)]
mod tests {
    /// In a child of its own: other tests of this process may want to be looked at, or change ids meanwhile.
    #[test]
    fn memory_is_not_dumped_once_that_is_forbidden() {
        let mut command = std::process::Command::new("/bin/true");
        let check = || {
            super::forbid_core_dumps();
            // SAFETY: takes numbers only.
            let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
            let mut found = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
            // SAFETY: a valid place to write to.
            let told = unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut found) };
            let forbidden = (dumpable, told, found.rlim_cur) == (0, 0, 0);
            if forbidden { Ok(()) } else { Err(std::io::Error::from_raw_os_error(libc::EXDEV)) }
        };
        // SAFETY: `check` only makes system calls.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, check) };
        let status = command.status();
        assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{status:?}");
    }
}
