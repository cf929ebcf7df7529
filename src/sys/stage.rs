//! Where the child is set up, started and waited for: a process between us and it.
//!
//! The stage is forked off before any key exists, so that neither it nor the child ever holds one in memory, and waits
//! for the word to go: until then nothing of the child's runs. With a terminal it leads the session of the PTY, and
//! the child gets a process group of its own in that session. That is what makes ^Z work for any program: the kernel
//! does not stop a process whose group has no parent in its session, as a child directly below us would be. It stays
//! until it is dropped, so that background jobs of the child keep their terminal while the last output is fetched.
//!
//! When we die the stage is killed by the kernel, and with it the child loses both its terminal and, by SIGHUP, its
//! peace. The stage does nothing but wait: it reads and writes three small pipes and calls `waitpid`.

use super::guard::Restrictions;
use super::harden;
use super::pipe;
use super::privileges::{self, Identity};
use super::signals::{self, Signal};
use super::{Error, Result};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

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
}

/// The child of a stage, as it was told and as the kernel has it.
#[derive(Clone, Copy, Debug)]
struct Child {
    /// What was told. That may have been said by somebody else.
    told: u32,
    /// The first child that the kernel had then, and when it was started: one process and no other.
    first: Option<(u32, u64)>,
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
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
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
                let scene = Scene { control: control_out, reports: report_in.into(), terminal, recorder };
                drop((control_in, report_out));
                scene.play(program, streams)
            }
            pid => {
                drop((control_out, report_in, streams, terminal));
                super::fd::set_nonblocking(&report_out, true)
                    .map_err(|e| Error::new("set the stage for the child", "", e))?;
                Ok(Self { pid, control: Some(control_in.into()), reports: report_out.into(), child: None })
            }
        }
    }

    /// Process id of the stage: the parent of the child to come, and the leader of its session when there is a
    /// terminal.
    pub fn pid(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(0)
    }

    /// Gives the word: the child is started, and the first report tells how that went.
    ///
    /// # Errors
    /// When the stage is gone.
    pub fn go(&mut self) -> Result<()> {
        match &mut self.control {
            Some(control) => control.write_all(b"g").map_err(|e| Error::new("start the child", "", e)),
            None => Ok(()),
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

    /// The report, if it can be so. Where the processes of the stage cannot be seen (`hidepid`, no `/proc` or another namespace's) it
    /// is believed.
    fn checked(&mut self, report: Report) -> Report {
        match report {
            Report::Started(told) if self.child.is_none() => {
                let first = super::ids::children(self.pid(), self.pid()).and_then(|all| all.first().copied());
                let first = first.and_then(|pid| Some((pid, super::ids::started(pid)?)));
                self.child = Some(Child { told, first });
                report
            }
            Report::Ended(_) if self.child.is_some_and(|child| !self.has(child)) => report,
            Report::Refused(..) if self.child.is_none() => report,
            Report::Stopped(_) | Report::Continued | Report::Gone | Report::Forged => report,
            Report::Started(_) | Report::Ended(_) | Report::Refused(..) => Report::Forged,
        }
    }

    /// Whether the stage still has its child, as far as can be seen: it waits for it before it reports its end. Others may have come
    /// since, and are none of its own: a program can give its parent children (`CLONE_PARENT` of `clone(2)`). Which one was said to
    /// have started is no matter where the kernel tells.
    fn has(&self, child: Child) -> bool {
        let of_stage = |pid| super::ids::parent(pid) == Some(self.pid());
        super::ids::proc_is_ours()
            && match child.first {
                Some((pid, started)) => of_stage(pid) && super::ids::started(pid) == Some(started),
                // It was over when it was told, or the kernel does not tell.
                None => match super::ids::children(self.pid(), self.pid()) {
                    Some(children) => !children.is_empty(),
                    None => of_stage(child.told),
                },
            }
    }
}

impl Drop for Stage {
    /// Lets the stage go and waits until it is gone. A child that still runs loses its parent, and by that gets SIGHUP.
    fn drop(&mut self) {
        // Whether it waits for the word, for a child or for this: what it had left to tell is of no interest now.
        drop(self.control.take());
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
        _ => Step::Exec,
    }
}

/// The other side of the fork.
struct Scene {
    control: OwnedFd,
    reports: File,
    terminal: Option<OwnedFd>,
    recorder: libc::pid_t,
}

impl Scene {
    /// Everything the stage does. Leaves by `_exit`, so that nothing of the recorder's is cleaned up twice.
    fn play(self, program: &Program, streams: [OwnedFd; 3]) -> ! {
        let code =
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.acts(program, streams))) {
                Ok(Ok(())) => 0,
                Ok(Err(_)) | Err(_) => 1,
            };
        // SAFETY: ends the process without running anything else.
        unsafe { libc::_exit(code) }
    }

    fn acts(mut self, program: &Program, streams: [OwnedFd; 3]) -> io::Result<()> {
        // Nobody can stop or end the stage by accident; the kernel still can, and does when the recorder dies.
        signals::block_all();
        signals::default(signals::SIGCHLD);
        die_with(self.recorder, signals::SIGKILL)?;
        if let Some(terminal) = &self.terminal {
            // SAFETY: takes nothing. We were just forked, so we lead no group yet and it succeeds.
            check(unsafe { libc::setsid() })?;
            // SAFETY: takes an open terminal that is nobody's controlling terminal, and a number.
            check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        }
        self.close_all_but_ours(&streams)?;
        let mut word = [0];
        if super::fd::read(&self.control, &mut word)? == 0 {
            return Ok(());
        }
        let child = match self.start(program, streams) {
            Ok(pid) => pid,
            Err((step, error)) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                return self.reports.write_all(&encode(b'r', step as i32, errno));
            }
        };
        self.reports.write_all(&encode(b's', child, 0))?;
        self.wait_for(child)?;
        // Stay until dropped: the end of a session leader takes the terminal from what the child left behind.
        super::fd::read(&self.control, &mut word)?;
        Ok(())
    }

    /// The recorder's descriptors are not the stage's: a copy of the leader would keep the PTY alive, a copy of
    /// standard output would keep a reader waiting.
    fn close_all_but_ours(&self, streams: &[OwnedFd; 3]) -> io::Result<()> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        for fd in 0..3 {
            // SAFETY: takes numbers. Descriptors 0 to 2 are owned by nobody on this side of the fork: all of ours
            // were made while those were taken.
            check(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
        }
        let mut ours: Vec<RawFd> = streams.iter().map(|s| s.as_raw_fd()).collect();
        ours.extend([self.control.as_raw_fd(), self.reports.as_raw_fd()]);
        ours.extend(self.terminal.iter().map(|t| t.as_raw_fd()));
        ours.sort_unstable();
        let mut from: RawFd = 3;
        for fd in ours {
            if from < fd {
                close_range(from, fd - 1, 0)?;
            }
            from = from.max(fd.saturating_add(1));
        }
        // `null` goes with the rest.
        std::mem::forget(null);
        close_range(from, RawFd::MAX, 0)
    }

    fn start(
        &self,
        program: &Program,
        streams: [OwnedFd; 3],
    ) -> std::result::Result<libc::pid_t, (Step, io::Error)> {
        let failed = |error: io::Error| (Step::Exec, error);
        let [stdin, stdout, stderr] = streams;
        let mut command = Command::new(&program.path);
        command.args(&program.args).stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(name) = &program.arg0 {
            command.arg0(name);
        }
        if let Some(env) = &program.env {
            command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        }
        let dir = match &program.dir {
            Some(dir) => {
                let nul = |_| (Step::Directory, io::Error::from_raw_os_error(libc::ENOENT));
                Some(CString::new(dir.as_os_str().as_bytes()).map_err(nul)?)
            }
            None => None,
        };
        let restrictions = program.restrictions.prepare().map_err(|e| (Step::Guard, e.source))?;
        let (steps_out, steps_in) = pipe::open().map_err(|e| failed(e.source))?;
        let (identity, umask) = (program.identity.clone(), program.umask);
        let terminal = self.terminal.as_ref().map(|t| t.as_raw_fd());
        let steps = steps_in.as_raw_fd();
        // SAFETY: takes nothing and cannot fail.
        let stage = unsafe { libc::getpid() };
        let act = move || {
            let at = |step: Step| {
                let byte = [step as u8];
                // SAFETY: one byte from a valid place. If it fails, a failure is told as one of another step.
                unsafe { libc::write(steps, byte.as_ptr().cast(), 1) };
            };
            // Taking the foreground from the background would stop us otherwise.
            signals::block_all();
            at(Step::Terminal);
            if let Some(terminal) = terminal {
                // SAFETY: takes numbers only.
                check(unsafe { libc::setpgid(0, 0) })?;
                // SAFETY: the terminal is still open here; takes numbers only.
                check(unsafe { libc::tcsetpgrp(terminal, libc::getpid()) })?;
            }
            // What was ignored above us stays so, with a terminal as without (nohup; a script that shields a step of its own).
            signals::restore_all();
            harden::restore_core_limit();
            // Before the change of user, which may leave no right to restrict anything.
            at(Step::Guard);
            restrictions.apply()?;
            at(Step::Identity);
            if let Some(identity) = &identity {
                privileges::change(identity)?;
            }
            at(Step::Directory);
            if let Some(dir) = &dir {
                // SAFETY: a NUL-terminated string.
                check(unsafe { libc::chdir(dir.as_ptr()) })?;
            }
            if let Some(umask) = umask {
                // SAFETY: takes a number only.
                unsafe { libc::umask(umask) };
            }
            at(Step::Exec);
            // After the change of user, which forgets it.
            die_with(stage, signals::SIGHUP)?;
            // Not closed but marked: one of them tells the stage that the exec failed.
            close_range(3, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)?;
            signals::restore_mask();
            Ok(())
        };
        // SAFETY: `act` makes system calls on data made before the fork; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(act) };
        match command.spawn() {
            Ok(child) => Ok(libc::pid_t::try_from(child.id()).unwrap_or(0)),
            Err(error) => {
                drop(steps_in);
                let mut done = Vec::new();
                let _ = File::from(steps_out).read_to_end(&mut done);
                Err((step(i32::from(done.last().copied().unwrap_or(0))), error))
            }
        }
    }

    fn wait_for(&mut self, child: libc::pid_t) -> io::Result<()> {
        loop {
            let mut status = 0;
            // SAFETY: a valid place to write to.
            if unsafe { libc::waitpid(child, &mut status, libc::WUNTRACED | libc::WCONTINUED) } < 0 {
                let error = io::Error::last_os_error();
                if super::interrupted(&error) {
                    continue;
                }
                return Err(error);
            }
            if libc::WIFSTOPPED(status) {
                self.reports.write_all(&encode(b't', libc::WSTOPSIG(status), 0))?;
            } else if libc::WIFCONTINUED(status) {
                self.reports.write_all(&encode(b'c', 0, 0))?;
            } else {
                self.leave_terminal();
                let report = if libc::WIFSIGNALED(status) {
                    encode(b'k', libc::WTERMSIG(status), 0)
                } else {
                    encode(b'e', libc::WEXITSTATUS(status), 0)
                };
                return self.reports.write_all(&report);
            }
        }
    }

    /// Takes the foreground, so that our end hangs up nobody but us: jobs the child left in its group live on, as
    /// they would without us. Then closes the terminal, so that the last output is followed by its end.
    fn leave_terminal(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            // SAFETY: takes numbers and an open descriptor; SIGTTOU is blocked. If the terminal was hung up there is
            // no foreground to take.
            unsafe { libc::tcsetpgrp(terminal.as_raw_fd(), libc::getpgrp()) };
        }
    }
}

/// This process gets `signal` when its parent dies, which must be `parent`: had it died already, nobody would tell.
fn die_with(parent: libc::pid_t, signal: Signal) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) })?;
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::getppid() } == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

fn close_range(from: RawFd, to: RawFd, flags: libc::c_uint) -> io::Result<()> {
    let (Ok(from), Ok(to)) = (libc::c_uint::try_from(from), libc::c_uint::try_from(to)) else {
        return Ok(());
    };
    let flags = libc::c_int::try_from(flags).unwrap_or(0);
    // SAFETY: takes numbers only; the caller owns what is closed.
    check(unsafe { libc::close_range(from, to, flags) })
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

/// A copy of a standard stream of ours, to be handed to a child as it is. Of one that was closed when we began: something that cannot
/// be used in its direction, which is the same error to the child.
///
/// # Errors
/// When there are no descriptors left.
pub fn standard(stream: RawFd) -> Result<OwnedFd> {
    if super::start::was_closed(stream) {
        let useless = File::options().read(stream != 0).write(stream == 0).open("/dev/null");
        return useless.map(OwnedFd::from).map_err(|e| Error::new("open", "/dev/null", e));
    }
    // SAFETY: only borrowed for the time of the call; a closed descriptor is an error of `dup`, not a fault.
    let fd = unsafe { BorrowedFd::borrow_raw(stream) };
    fd.try_clone_to_owned().map_err(|e| Error::new("duplicate standard stream", stream.to_string(), e))
}
