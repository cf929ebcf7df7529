//! Where the child is set up, started and waited for: a process between us and it.
//!
//! The stage is forked off before any key exists, so that neither it nor the child ever holds one in memory, and waits
//! for the word to go: until then nothing of the child's runs. With a terminal it leads the session of the PTY, and
//! the child gets a process group of its own in that session. That is what makes ^Z work for any program: the kernel
//! does not stop a process whose group has no parent in its session, as a child directly below us would be. It stays
//! until it is dropped, so that background jobs of the child keep their terminal while the last output is fetched.
//!
//! When we die, however that comes, the stage ends what runs of the session (see [`remains`]) and then itself: nothing goes on
//! unrecorded for longer than that takes. So it is in a session of its own also without a terminal: what kills our process group (sudo
//! does, on SIGALRM) does not reach it. A recorder that is stopped or hangs is left alone. Until then the stage does nothing but
//! wait: it writes to a small pipe, and takes three signals, each of which counts only from whom it is to come from.
//!
//! And it gives the foreground of the PTY to the child, or takes it away, as the recorder finds itself in the foreground of the
//! operator's terminal or not: nobody outside a session can. A fourth signal says that there is such a word in its pipe.

mod scene;

use super::guard::Restrictions;
use super::pidfd::Pidfd;
use super::poll::Set;
use super::privileges::Identity;
use super::signals::{self, Signal};
use super::{Error, Result, clock, ids, pipe, proc, remains};
use scene::Scene;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

/// What the kernel tells the stage when the recorder dies.
const LOST: Signal = signals::SIGUSR1;
/// What the recorder tells the stage when the session is to end.
const CLEAR: Signal = signals::SIGUSR2;
/// What the recorder tells the stage when there are words for it, such as [`FRONT`].
const HEED: Signal = signals::SIGURG;
/// A word: the child has the foreground of its terminal.
const FRONT: u8 = b'f';
/// A word: it has not.
const BACK: u8 = b'b';
/// How long the stage may take to begin to end the session.
const ADOPTED: Duration = Duration::from_secs(2);
/// How long the stage is waited for that ends a session: longer than that takes.
const CLEARED: Duration = Duration::from_secs(8);
/// How often it is looked where `poll(2)` is refused.
const LOOK: Duration = Duration::from_millis(20);

/// What to run, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// A path, or a name to be looked for in the `PATH` of [`Program::env`].
    pub path: OsString,
    /// What it is told to be called (`-bash` for a login shell); [`Program::path`] when absent.
    pub arg0: Option<OsString>,
    /// Its arguments, its own name not included.
    pub args: Vec<OsString>,
    /// Its whole environment; ours when absent.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// Where it starts, entered as the user it runs as; where we are when absent.
    pub dir: Option<PathBuf>,
    /// Whom it runs as; as us when absent.
    pub identity: Option<Identity>,
    /// Its file mode mask; ours when absent.
    pub umask: Option<u32>,
    /// What it, and all it will ever start, is kept from.
    pub restrictions: Restrictions,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
}

impl Ended {
    /// As a shell tells it: the exit code, or 128 + n for signal n.
    pub fn status(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => signal.saturating_add(128),
        }
    }
}

/// What a child could not be started at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Taking the terminal.
    Terminal = 1,
    /// Becoming the user.
    Identity = 2,
    /// Entering the directory.
    Directory = 3,
    /// Running the program.
    Exec = 4,
    /// Taking away what the guard forbids.
    Guard = 5,
    /// Setting the stage.
    Stage = 6,
}

/// What the stage tells.
#[derive(Debug)]
pub enum Report {
    /// The child runs; its process id, which is its process group's too when there is a terminal.
    Started(u32),
    /// The child could not be started. Nothing of it ran.
    Refused(Step, io::Error),
    /// The child was stopped by this signal.
    Stopped(Signal),
    /// The child goes on.
    Continued,
    /// The child has the foreground of its terminal, or has it no more, as was wanted, and goes on, if it was stopped.
    Placed,
    /// The child ended.
    Ended(Ended),
    /// The stage itself was killed by someone.
    Gone,
    /// Somebody else wrote into the pipe of the stage (root can, and may be who is recorded): what was told is not so.
    Forged,
}

/// The process that waits for the word to start the child.
#[derive(Debug)]
pub struct Stage {
    pid: libc::pid_t,
    control: Option<File>,
    reports: File,
    /// The child, once it was started.
    child: Option<Child>,
    /// It was told to end the session.
    clears: bool,
}

/// The child of a stage, as the kernel has it: what is told of it may be said by somebody else.
#[derive(Debug)]
struct Child {
    /// The number of the first child that there was when it was told, and that process; nothing where it was over, or nothing can be seen.
    first: Option<(u32, Pidfd)>,
}

/// Size of a report on its pipe: a kind and two numbers.
const REPORT: usize = 9;

impl Stage {
    /// Sets the stage: forks, and returns with the child not started yet. `streams` become its standard input, output
    /// and error; `terminal` (the follower of a PTY) its controlling terminal.
    ///
    /// # Errors
    /// When there is more than one thread (a fork would copy locks that nobody opens), or no process can be had.
    pub fn set(program: &Program, streams: [OwnedFd; 3], terminal: Option<OwnedFd>) -> Result<Self> {
        proc::hold();
        let threads = proc::numbers("self/task").map_or(1, |threads| threads.len());
        if threads > 1 {
            let why = format!("{threads} threads exist already");
            return Err(Error::new("set the stage for the child", "", io::Error::other(why)));
        }
        let (control_out, control_in) = pipe::open()?;
        let (report_out, report_in) = pipe::open()?;
        // SAFETY: takes nothing and cannot fail.
        let recorder = unsafe { libc::getpid() };
        // SAFETY: there is one thread, so no lock is held by one that does not exist on the other side. The child
        // never returns from `wait_for_word`.
        match unsafe { libc::fork() } {
            -1 => Err(Error::last("fork", "")),
            0 => {
                let scene = Scene {
                    control: Some(control_out),
                    reports: report_in.into(),
                    terminal,
                    recorder,
                    away: None,
                };
                drop((control_in, report_out));
                scene.play(program, streams)
            }
            pid => {
                drop((control_out, report_in, streams, terminal));
                super::fd::set_nonblocking(&report_out, true)
                    .map_err(|e| Error::new("set the stage for the child", "", e))?;
                Ok(Self {
                    pid,
                    control: Some(control_in.into()),
                    reports: report_out.into(),
                    child: None,
                    clears: false,
                })
            }
        }
    }

    /// Process id of the stage: the parent of the child to come, and the leader of its session when there is a
    /// terminal.
    pub fn pid(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(0)
    }

    /// Gives the word: the child is started, and the first report tells how that went. `front` says whether it has the foreground
    /// of its terminal, if there is one.
    ///
    /// # Errors
    /// When the stage is gone.
    pub fn go(&mut self, front: bool) -> Result<()> {
        match &mut self.control {
            Some(control) => {
                let word = if front { FRONT } else { BACK };
                control.write_all(&[word]).map_err(|e| Error::new("start the child", "", e))
            }
            None => Ok(()),
        }
    }

    /// Gives the foreground of its terminal to the child (`front`), or to whom the child had given it, or takes it away, and lets the
    /// child go on. That this is done is [reported](Report::Placed). Of a stage that is gone another report tells.
    pub fn place(&mut self, front: bool) {
        let word = if front { FRONT } else { BACK };
        if let Some(control) = &mut self.control
            && control.write_all(&[word]).is_ok()
        {
            // SAFETY: takes numbers only. The process is ours and was not waited for, so its id is still its own.
            unsafe { libc::kill(self.pid, HEED) };
        }
    }

    /// The next report, if one is there. To be waited for with [`AsFd`].
    pub fn report(&mut self) -> Option<Report> {
        let mut bytes = [0; REPORT];
        loop {
            match self.reports.read(&mut bytes) {
                // A report is written at once and is small enough to arrive whole.
                Ok(REPORT) => return Some(self.checked(decode(bytes))),
                Ok(0) => return Some(Report::Gone),
                Ok(_) => return Some(Report::Forged),
                Err(e) if super::interrupted(&e) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Report::Gone),
            }
        }
    }

    /// Ends the session: what runs of it is hung up, and killed two seconds later, by the stage, which is waited for when this is
    /// dropped. On return nothing can get away any more by losing its parent.
    pub fn clear(&mut self) {
        if std::mem::replace(&mut self.clears, true) {
            return;
        }
        // SAFETY: takes numbers only. The process is ours and was not waited for, so its id is still its own.
        unsafe { libc::kill(self.pid, CLEAR) };
        if let Some(control) = &self.control {
            // It closes its end, or is gone; waiting for that longer would only give the session more time.
            let mut set = Set::default();
            set.add(control, false, false);
            if set.wait(Some(ADOPTED)).is_err() {
                std::thread::park_timeout(LOOK);
            }
        }
    }

    /// Kills what runs of the session at once: for when the stage cannot be relied on.
    pub fn kill_all(&self) {
        let first = self.child.as_ref().and_then(|child| child.first.as_ref());
        let still = first.filter(|(pid, held)| match held.has_ended() {
            Some(ended) => !ended,
            // Where that is not known the number may be another's by now.
            None => ids::parent(*pid) == Some(self.pid()),
        });
        remains::kill(self.pid(), still.map(|(pid, _)| *pid));
    }

    /// Whether the stage has ended by itself.
    fn wait_until_cleared(&mut self) -> bool {
        let end = clock::monotonic().saturating_add(CLEARED);
        while let Some(left) = end.checked_sub(clock::monotonic()) {
            match self.report() {
                Some(Report::Gone) => return true,
                Some(_) => {}
                None => {
                    let mut set = Set::default();
                    set.add(&self.reports, true, false);
                    if set.wait(Some(left)).is_err() {
                        // The stage needs nothing of ours, and to kill it now would leave what clings to its life.
                        std::thread::park_timeout(LOOK.min(left));
                    }
                }
            }
        }
        false
    }

    /// The report, if it can be so. Where the processes of the stage cannot be seen (`hidepid`, no `/proc` or another namespace's) it
    /// is believed.
    fn checked(&mut self, report: Report) -> Report {
        match report {
            Report::Started(told) if self.child.is_none() => {
                let first = match ids::children(self.pid(), self.pid()) {
                    Some(children) => children.first().copied(),
                    // The kernel does not tell them.
                    None => Some(told),
                };
                let held = first.and_then(|pid| Some((pid, Pidfd::open(pid).ok()?)));
                // Held first: then the number is still that of the process that is asked about.
                let first = held.filter(|(pid, _)| ids::parent(*pid) == Some(self.pid()));
                self.child = Some(Child { first });
                report
            }
            // A stage that clears has other children too, and is waited for in any case.
            Report::Ended(_) if self.clears || self.child.as_ref().is_some_and(|child| !self.has(child)) => {
                report
            }
            Report::Refused(..) if self.child.is_none() => report,
            Report::Stopped(_) | Report::Continued | Report::Placed | Report::Gone | Report::Forged => report,
            Report::Started(_) | Report::Ended(_) | Report::Refused(..) => Report::Forged,
        }
    }

    /// Whether the stage still has its child, as far as can be seen: it waits for it before it reports its end. Others may have come
    /// since, and are none of its own: a program can give its parent children (`CLONE_PARENT` of `clone(2)`). Which one was said to
    /// have started is no matter where the kernel tells.
    fn has(&self, child: &Child) -> bool {
        match &child.first {
            // Nobody is said to have lied for what is not known.
            Some((_, held)) => held.has_ended() == Some(false),
            None => {
                ids::proc_is_ours()
                    && ids::children(self.pid(), self.pid()).is_some_and(|children| !children.is_empty())
            }
        }
    }
}

impl Drop for Stage {
    /// Lets the stage go and waits until it is gone. A child that still runs loses its parent, and by that gets SIGHUP, unless the
    /// session was to be [cleared](Stage::clear).
    fn drop(&mut self) {
        // Whether it waits for the word, for a child or for this: what it had left to tell is of no interest now.
        drop(self.control.take());
        if self.clears && !self.wait_until_cleared() {
            self.kill_all();
        }
        // SAFETY: takes numbers only. The process is ours and was not waited for, so its id is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: a valid place to write to.
        while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0
            && super::interrupted(&io::Error::last_os_error())
        {}
    }
}

impl AsFd for Stage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reports.as_fd()
    }
}

fn encode(kind: u8, a: i32, b: i32) -> [u8; REPORT] {
    let mut bytes = [kind; REPORT];
    bytes[1..5].copy_from_slice(&a.to_ne_bytes());
    bytes[5..].copy_from_slice(&b.to_ne_bytes());
    bytes
}

fn decode(bytes: [u8; REPORT]) -> Report {
    let [kind, a0, a1, a2, a3, b0, b1, b2, b3] = bytes;
    let a = i32::from_ne_bytes([a0, a1, a2, a3]);
    let b = i32::from_ne_bytes([b0, b1, b2, b3]);
    match kind {
        b's' => Report::Started(u32::try_from(a).unwrap_or(0)),
        b'r' => Report::Refused(step(a), io::Error::from_raw_os_error(b)),
        b't' => Report::Stopped(a),
        b'c' => Report::Continued,
        b'p' => Report::Placed,
        b'e' => Report::Ended(Ended::Exited(a)),
        b'k' => Report::Ended(Ended::Killed(a)),
        _ => Report::Forged,
    }
}

fn step(number: i32) -> Step {
    match number {
        1 => Step::Terminal,
        2 => Step::Identity,
        3 => Step::Directory,
        5 => Step::Guard,
        6 => Step::Stage,
        _ => Step::Exec,
    }
}

/// Lets go of a standard stream of ours: it is `/dev/null` from here on. Whoever is at its other end learns that nothing
/// more comes, or is taken, while we still run.
pub fn let_go(stream: RawFd) {
    // Without it everything is as it was: the other end learns it when we end.
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        // SAFETY: takes numbers. Standard streams are owned by nobody in particular, and stay open.
        unsafe { libc::dup2(null.as_raw_fd(), stream) };
    }
}

/// Something that cannot be used in the direction of this standard stream, and goes nowhere in the other.
///
/// # Errors
/// When there are no descriptors left.
pub fn useless(stream: RawFd) -> Result<OwnedFd> {
    let useless = File::options().read(stream != 0).write(stream == 0).open("/dev/null");
    useless.map(OwnedFd::from).map_err(|e| Error::new("open", "/dev/null", e))
}

/// A copy of a standard stream of ours, to be handed to a child as it is. Of one that was closed when we began: something that cannot
/// be used in its direction, which is the same error to the child.
///
/// # Errors
/// When there are no descriptors left.
pub fn standard(stream: RawFd) -> Result<OwnedFd> {
    if super::start::was_closed(stream) {
        return useless(stream);
    }
    // SAFETY: only borrowed for the time of the call; a closed descriptor is an error of `dup`, not a fault.
    let fd = unsafe { BorrowedFd::borrow_raw(stream) };
    fd.try_clone_to_owned().map_err(|e| Error::new("duplicate standard stream", stream.to_string(), e))
}
