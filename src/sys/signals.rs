//! Signals as something to read, and death by one.
//!
//! Signals are blocked and read from a `signalfd` in the poll loop: no handler runs anywhere, so nothing is
//! interrupted half-way. They must be taken before any other thread exists: a thread that does not block them would
//! die of them. SIGTTIN and SIGTTOU are never taken: their default, stopping us, is what they are for. But only the thread that asks
//! for the terminal answers them ([`Unstopped`]).

use super::{Error, Result, fd};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

pub use libc::{
    SIGABRT, SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGKILL, SIGPIPE, SIGPROF, SIGPWR, SIGQUIT,
    SIGSTKFLT, SIGSTOP, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};

/// A signal's number.
pub type Signal = libc::c_int;

/// The realtime signals, but for the few that the C library keeps for itself.
pub fn realtime() -> std::ops::RangeInclusive<Signal> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Signals that are read instead of acting. Dropped, the mask that was found comes back.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    found: libc::sigset_t,
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// Process that sent it; 0 for the kernel.
    pub sender: u32,
}

impl Signals {
    /// Takes these signals for this thread and all threads it will start.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn take(signals: &[Signal]) -> Result<Self> {
        let set = set_of(signals);
        let found = mask(libc::SIG_BLOCK, &set);
        // SAFETY: `set` is an initialised signal set; with -1 it makes a descriptor.
        match unsafe { fd::owned(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)) } {
            Ok(fd) => Ok(Self { fd, found }),
            Err(error) => {
                mask(libc::SIG_SETMASK, &found);
                Err(Error::new("make a signalfd", "", error))
            }
        }
    }

    /// From here on none of them is answered, nor acts: for a process that knows its exit status and has to say nothing else.
    pub fn keep_blocked(&mut self) {
        self.found = mask(libc::SIG_BLOCK, &set_of(&[]));
    }

    /// The next signal that arrived, if any.
    pub fn next(&self) -> Option<Arrived> {
        let mut facts = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = std::mem::size_of::<libc::signalfd_siginfo>();
        // SAFETY: `size` bytes are written to a place of that size.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), facts.as_mut_ptr().cast(), size) };
        if usize::try_from(got) != Ok(size) {
            return None;
        }
        // SAFETY: the kernel has filled it whole.
        let facts = unsafe { facts.assume_init() };
        Some(Arrived { signal: Signal::try_from(facts.ssi_signo).ok()?, sender: facts.ssi_pid })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        mask(libc::SIG_SETMASK, &self.found);
    }
}

/// While it lives, the thread that made it, and for good the threads that are started meanwhile, are not stopped by SIGTTIN or SIGTTOU.
///
/// A stop that any thread may take is taken by one that [`stop_ourselves`] does not wait for: between its taking and the stop of the
/// others the kernel lets the caller run on, who then finds that nobody has continued him, and believes that nobody could (measured: 8
/// times in 20,000 stops of an idle host). `get_signal` in kernel/signal.c.
pub struct Unstopped {
    found: libc::sigset_t,
}

impl Unstopped {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        Self { found: mask(libc::SIG_BLOCK, &set_of(&[SIGTTIN, SIGTTOU])) }
    }
}

impl Drop for Unstopped {
    fn drop(&mut self) {
        mask(libc::SIG_SETMASK, &self.found);
    }
}

/// Changes the signal mask of this thread and gives the one before.
fn mask(how: libc::c_int, set: &libc::sigset_t) -> libc::sigset_t {
    let mut before = set_of(&[]);
    // SAFETY: both sets are initialised. It fails only for an unknown `how`.
    unsafe { libc::pthread_sigmask(how, set, &mut before) };
    before
}

/// Does something while this signal is blocked for this thread.
pub(super) fn while_blocked<T>(signal: Signal, act: impl FnOnce() -> T) -> T {
    let before = mask(libc::SIG_BLOCK, &set_of(&[signal]));
    let done = act();
    mask(libc::SIG_SETMASK, &before);
    done
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        // SAFETY: an initialised set; an unknown number is refused and changes nothing.
        unsafe { libc::sigaddset(&mut set, *signal) };
    }
    set
}

/// Waits for one of these signals, which must be blocked, no longer than `most` (`None`: without an end). `None` when none has come.
pub(super) fn wait_for(signals: &[Signal], most: Option<std::time::Duration>) -> Option<Arrived> {
    let set = set_of(signals);
    let mut facts = MaybeUninit::<libc::siginfo_t>::zeroed();
    let until = most.map(|most| libc::timespec {
        tv_sec: libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: most.subsec_nanos().into(),
    });
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: an initialised set, a place to write to, and a time or nothing.
    let signal = unsafe { libc::sigtimedwait(&set, facts.as_mut_ptr(), until) };
    if signal <= 0 {
        return None;
    }
    // SAFETY: all zeroes are valid facts, and the kernel has filled them.
    let facts = unsafe { facts.assume_init() };
    // Of the other kinds whoever sends them says who that is.
    let by_process = facts.si_code == libc::SI_USER;
    // SAFETY: facts of this kind have a sender.
    let sender = if by_process { unsafe { facts.si_pid() } } else { 0 };
    Some(Arrived { signal, sender: u32::try_from(sender).unwrap_or(0) })
}

/// Blocks every signal that can be blocked, for this thread.
pub(super) fn block_all() {
    let mut set = set_of(&[]);
    // SAFETY: an initialised set.
    unsafe { libc::sigfillset(&mut set) };
    mask(libc::SIG_BLOCK, &set);
}

/// Which signals are blocked in this thread, the first in the lowest bit.
pub(super) fn blocked() -> u64 {
    let now = mask(libc::SIG_BLOCK, &set_of(&[]));
    // SAFETY: an initialised set; an unknown number is refused.
    (1..=64)
        .rev()
        .fold(0, |bits, signal| bits << 1 | u64::from(unsafe { libc::sigismember(&now, signal) } == 1))
}

/// Blocks the signals that were blocked when this process began, and no others. Safe between fork and exec.
pub(super) fn restore_mask() {
    let (mut set, bits) = (set_of(&[]), super::start::mask());
    for signal in (1..=64).filter(|signal| bits >> (signal - 1) & 1 == 1) {
        // SAFETY: an initialised set; an unknown number is refused and changes nothing.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    mask(libc::SIG_SETMASK, &set);
}

/// Every signal acts as it did when this process began. Safe between fork and exec. (Of those that we read, none acts
/// differently; one that we ignore ourselves is ignored only after the fork.)
pub(super) fn restore_all() {
    let found = |ignored: bool| if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    act(SIGPIPE, found(super::start::pipe_was_ignored()));
    act(SIGCHLD, found(super::start::child_was_ignored()));
}

fn act(signal: Signal, how: libc::sighandler_t) {
    // SAFETY: SIG_DFL and SIG_IGN run no code of ours. SIGKILL, SIGSTOP and the two that glibc keeps are refused.
    unsafe { libc::signal(signal, how) };
}

/// This signal does nothing from now on, in this process and in children that do not reset it.
pub fn ignore(signal: Signal) {
    act(signal, libc::SIG_IGN);
}

/// Whether this signal is ignored in this process, be it by its own wish or by that of whoever started it (`nohup`).
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: an all-zero sigaction is a valid value of that plain C struct.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is set; a valid place to write to. An unknown number is refused and leaves the default.
    unsafe { libc::sigaction(signal, std::ptr::null(), &mut found) };
    found.sa_sigaction == libc::SIG_IGN
}

/// This signal acts as it does by default.
pub(super) fn default(signal: Signal) {
    act(signal, libc::SIG_DFL);
}

/// A fault ends this process, also one that somebody sent. The standard library catches those of memory, to tell of a stack that has
/// overflowed; any other one is to come again once it has looked away, and that of a sender does not.
pub fn die_of_faults() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        if !is_ignored(signal) {
            default(signal);
        }
    }
}

/// The process or group that may be signalled by this number. 0 stands for our own group, and group 1 for every process there is.
fn target(number: u32) -> Option<libc::pid_t> {
    libc::pid_t::try_from(number).ok().filter(|id| *id > 1)
}

/// Sends a signal to a process group. That nobody is left in it is no error.
///
/// # Errors
/// When we may not.
pub fn send_to_group(group: u32, signal: Signal) -> Result<()> {
    let Some(id) = target(group) else { return Ok(()) };
    // SAFETY: takes numbers only; the group is neither 0 (ours) nor 1 (every process).
    if unsafe { libc::killpg(id, signal) } != 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ESRCH) {
            return Err(Error::new("signal process group", group.to_string(), error));
        }
    }
    Ok(())
}

/// Sends a signal to one process. That it is gone is no error.
///
/// # Errors
/// When we may not.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    let Some(id) = target(pid) else { return Ok(()) };
    // SAFETY: takes numbers only; the process is neither a group nor init.
    if unsafe { libc::kill(id, signal) } != 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ESRCH) {
            return Err(Error::new("signal process", pid.to_string(), error));
        }
    }
    Ok(())
}

/// Stops our whole process group, and returns when we are continued: by SIGTSTP, as ^Z on the terminal would, or by SIGTTOU, as the
/// terminal does when it is taken from the background. (sudo, above us, tells the two apart: where it has the foreground itself it
/// answers the second by giving it to us.) Where nobody could continue us (an orphaned group) the kernel does not stop us, and this
/// returns at once. No other thread may be open to the signal: it is blocked there, or [`Unstopped`].
pub fn stop_ourselves(signal: Signal) {
    let set = set_of(&[signal]);
    // The others of our group first (a sudo or doas above us waits for our stop to stop itself): blocked, the signal
    // waits for us until the mask is opened.
    mask(libc::SIG_BLOCK, &set);
    default(signal);
    to_our_group(signal);
    let before = mask(libc::SIG_UNBLOCK, &set);
    mask(libc::SIG_SETMASK, &before);
}

/// Whether there is a process of this number, ours or not, ended and not waited for included.
pub fn exists(pid: u32) -> bool {
    let Ok(id) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: takes numbers only; no signal is sent.
    let found = id > 0 && unsafe { libc::kill(id, 0) } == 0;
    // Not to be allowed to signal it says that it is there.
    found || id > 0 && io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Ends this process by a signal, so that whoever waits for us sees what became of the child. No core is dumped: it
/// would hold what was recorded. Returns only if the signal does not end a process.
pub fn die_of(signal: Signal) {
    super::harden::forbid_core_dumps();
    default(signal);
    // SAFETY: takes nothing and cannot fail.
    let me = unsafe { libc::getpid() };
    // SAFETY: takes numbers only.
    unsafe { libc::kill(me, signal) };
    mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
}

/// The same, of a signal that came by a key: without us the terminal would have sent it to our whole process group, such as the script
/// that runs us in a loop.
pub fn die_of_key(signal: Signal) {
    // For us once the others have it.
    mask(libc::SIG_BLOCK, &set_of(&[signal]));
    super::harden::forbid_core_dumps();
    to_our_group(signal);
    die_of(signal);
}

/// To all of our process group, ourselves included.
fn to_our_group(signal: Signal) {
    // SAFETY: takes numbers only; 0 means our own group.
    unsafe { libc::kill(0, signal) };
}

/// A signal's name without `SIG`; `None` for one that has no common name.
pub fn name(signal: Signal) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "HUP",
        libc::SIGINT => "INT",
        libc::SIGQUIT => "QUIT",
        libc::SIGILL => "ILL",
        libc::SIGTRAP => "TRAP",
        libc::SIGABRT => "ABRT",
        libc::SIGBUS => "BUS",
        libc::SIGFPE => "FPE",
        libc::SIGKILL => "KILL",
        libc::SIGUSR1 => "USR1",
        libc::SIGSEGV => "SEGV",
        libc::SIGUSR2 => "USR2",
        libc::SIGPIPE => "PIPE",
        libc::SIGALRM => "ALRM",
        libc::SIGTERM => "TERM",
        libc::SIGCHLD => "CHLD",
        libc::SIGCONT => "CONT",
        libc::SIGSTOP => "STOP",
        libc::SIGTSTP => "TSTP",
        libc::SIGTTIN => "TTIN",
        libc::SIGTTOU => "TTOU",
        libc::SIGXCPU => "XCPU",
        libc::SIGXFSZ => "XFSZ",
        libc::SIGVTALRM => "VTALRM",
        libc::SIGPROF => "PROF",
        libc::SIGWINCH => "WINCH",
        libc::SIGIO => "IO",
        libc::SIGPWR => "PWR",
        libc::SIGSYS => "SYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_signal_is_read_once_and_does_not_act() {
        let signals = Signals::take(&[SIGUSR1]).unwrap();
        assert_eq!(signals.next(), None);
        // SAFETY: sends a signal to this very thread, which blocks it.
        unsafe { libc::pthread_kill(libc::pthread_self(), SIGUSR1) };
        let arrived = signals.next().unwrap();
        assert_eq!((arrived.signal, arrived.sender), (SIGUSR1, std::process::id()));
        assert_eq!(signals.next(), None);
    }

    #[test]
    fn a_blocked_signal_is_waited_for_and_who_sent_it_is_told() {
        while_blocked(SIGUSR2, || {
            assert_eq!(wait_for(&[SIGUSR2], Some(std::time::Duration::ZERO)), None);
            // SAFETY: as above.
            unsafe { libc::pthread_kill(libc::pthread_self(), SIGUSR2) };
            let arrived = wait_for(&[SIGUSR2, SIGUSR1], None).unwrap();
            assert_eq!((arrived.signal, arrived.sender), (SIGUSR2, std::process::id()));
        });
    }

    #[test]
    fn an_ignored_signal_is_known_as_such() {
        // Rust ignores SIGPIPE in every program. SIGWINCH does nothing by default, and that is not the same.
        assert!(is_ignored(SIGPIPE) && !is_ignored(SIGWINCH) && !is_ignored(0));
    }

    /// By the numbers alone: a call that the guard lets through would end every process of the host, if root runs this.
    #[test]
    fn nobody_is_signalled_by_a_number_that_stands_for_many() {
        assert_eq!([0, 1, u32::MAX].map(target), [None; 3]);
        assert_eq!(target(2), Some(2));
    }
}
