//! The other side of the fork: what the stage does.

use super::{BACK, CLEAR, FRONT, HEED, LOST, Program, Step, encode, step};
use crate::sys::signals::{self, Arrived, Signal};
use crate::sys::{check, fd, harden, pipe, privileges, proc, remains};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What the stage has.
pub(super) struct Scene {
    /// From the recorder: the word to go. Closed once the stage ends the session.
    pub(super) control: Option<OwnedFd>,
    /// To the recorder.
    pub(super) reports: File,
    /// The follower of the PTY, until the child has ended.
    pub(super) terminal: Option<OwnedFd>,
    /// Its parent.
    pub(super) recorder: libc::pid_t,
    /// Who had the foreground of the terminal when it was taken away.
    pub(super) away: Option<libc::pid_t>,
}

impl Scene {
    /// Everything the stage does. Leaves by `_exit`, so that nothing of the recorder's is cleaned up twice.
    pub(super) fn play(self, program: &Program, streams: [OwnedFd; 3]) -> ! {
        let code =
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.acts(program, streams))) {
                Ok(Ok(())) => 0,
                Ok(Err(_)) | Err(_) => 1,
            };
        // SAFETY: ends the process without running anything else.
        unsafe { libc::_exit(code) }
    }

    fn acts(mut self, program: &Program, streams: [OwnedFd; 3]) -> io::Result<()> {
        let has_terminal = self.terminal.is_some();
        let set = self.set(&streams);
        let mut word = [0];
        if self.control.as_ref().map_or(Ok(0), |control| fd::read(control, &mut word))? == 0 {
            return Ok(());
        }
        let set = set.and_then(|()| self.listen()).map_err(|error| (Step::Stage, error));
        let child = match set.and_then(|()| self.start(program, streams, word != [BACK])) {
            Ok(pid) => pid,
            Err((step, error)) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                return self.reports.write_all(&encode(b'r', step as i32, errno));
            }
        };
        if !has_terminal {
            // The child stays in the session and the group that we were in, as it would be without us.
            // SAFETY: takes nothing. We lead no group, so it succeeds.
            check(unsafe { libc::setsid() })?;
        }
        // What whoever started us has chosen is the child's, which has it by now. It must not keep us from ending it.
        harden::forget_what_the_caller_chose();
        let child = match self.reports.write_all(&encode(b's', child, 0)) {
            Ok(()) => self.attend(child),
            Err(_) => Some(child),
        };
        self.clear(child);
        Ok(())
    }

    /// What comes before the word. What of it fails is told once that has come: before, the recorder does not listen.
    fn set(&self, streams: &[OwnedFd; 3]) -> io::Result<()> {
        // Nobody can stop or end the stage by accident. Until there is something to end it dies with the recorder.
        signals::block_all();
        signals::default(signals::SIGCHLD);
        die_with(self.recorder, signals::SIGKILL)?;
        if let Some(terminal) = &self.terminal {
            // SAFETY: takes nothing. We were just forked, so we lead no group yet and it succeeds.
            check(unsafe { libc::setsid() })?;
            // SAFETY: takes an open terminal that is nobody's controlling terminal, and a number.
            check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        }
        self.close_all_but_ours(streams)
    }

    /// From here on the recorder's death is told, and its words are not waited for.
    fn listen(&self) -> io::Result<()> {
        die_with(self.recorder, LOST)?;
        self.control.as_ref().map_or(Ok(()), |control| fd::set_nonblocking(control, true))
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
        ours.push(self.reports.as_raw_fd());
        ours.extend(self.control.iter().map(|control| control.as_raw_fd()));
        ours.extend(self.terminal.iter().map(|t| t.as_raw_fd()));
        ours.extend(proc::hold());
        ours.sort_unstable();
        let mut from: RawFd = 3;
        for fd in ours {
            if from < fd {
                close(from, fd - 1)?;
            }
            from = from.max(fd.saturating_add(1));
        }
        // `null` goes with the rest.
        std::mem::forget(null);
        close(from, RawFd::MAX)
    }

    fn start(
        &self,
        program: &Program,
        streams: [OwnedFd; 3],
        front: bool,
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
        // Where they cannot be marked at once, as is asked of one that is never open, it is each up to the highest.
        let refused = close_range(RawFd::MAX, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC).is_err();
        let highest = refused.then(|| proc::numbers("self/fd").ok()?.into_iter().max()).flatten();
        let highest = highest.and_then(|highest| RawFd::try_from(highest).ok());
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
                if front {
                    // SAFETY: the terminal is still open here; takes numbers only.
                    check(unsafe { libc::tcsetpgrp(terminal, libc::getpid()) })?;
                }
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
            close_range(3, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC).or_else(|error| {
                for fd in 3..=highest.ok_or(error)? {
                    // SAFETY: takes numbers only. Of one that is not open there is nothing to mark.
                    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
                }
                Ok::<_, io::Error>(())
            })?;
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

    /// Tells what becomes of the child, until the session has to end, and stays until then: our end takes the terminal from what the
    /// child left behind. Gives the child if it was not waited for yet.
    fn attend(&mut self, child: libc::pid_t) -> Option<libc::pid_t> {
        // Of a word that came before our signals were blocked none has told.
        self.heed(child);
        let mut runs = Some(child);
        loop {
            while let Some(child) = runs {
                let mut status = 0;
                let flags = libc::WUNTRACED | libc::WCONTINUED | libc::WNOHANG;
                // SAFETY: a valid place to write to. It is our child, so this fails only when it is gone already.
                let found = unsafe { libc::waitpid(child, &mut status, flags) };
                if found == 0 {
                    break;
                }
                if found < 0 || !(libc::WIFSTOPPED(status) || libc::WIFCONTINUED(status)) {
                    runs = None;
                }
                if found < 0 || self.tell(status).is_err() {
                    return runs;
                }
            }
            let arrived = signals::wait_for(&[signals::SIGCHLD, LOST, CLEAR, HEED], None);
            if arrived.as_ref().is_some_and(|arrived| arrived.signal == HEED) {
                if let Some(child) = runs {
                    self.heed(child);
                }
                continue;
            }
            // Whose death it is that the kernel tells is whose the signal is. That process may seem to be there still: a thread of
            // it that waits for a disk ends when that answers.
            let is_word = |arrived: &Arrived| {
                arrived.signal != signals::SIGCHLD
                    && libc::pid_t::try_from(arrived.sender) == Ok(self.recorder)
            };
            // SAFETY: takes nothing and cannot fail.
            if arrived.as_ref().is_some_and(is_word) || unsafe { libc::getppid() } != self.recorder {
                return runs;
            }
        }
    }

    /// Does what the recorder wants done with the foreground: all of it, for one signal may stand for many words.
    fn heed(&mut self, child: libc::pid_t) {
        let mut word = [0];
        while self.control.as_ref().is_some_and(|control| matches!(fd::read(control, &mut word), Ok(1))) {
            if matches!(word, [FRONT | BACK]) {
                self.place(child, word == [FRONT]);
                // Where the recorder is gone there is nobody to be told.
                let _ = self.reports.write_all(&encode(b'p', 0, 0));
            }
        }
    }

    /// Gives the foreground to the child, or to whom it was taken from, or takes it away: without one, the child's group is in the
    /// background and is treated by the kernel like any other there. What was stopped goes on by that.
    fn place(&mut self, child: libc::pid_t, front: bool) {
        let Some(terminal) = self.terminal.as_ref().map(|terminal| terminal.as_raw_fd()) else { return };
        // SAFETY: takes nothing and cannot fail.
        let ours = unsafe { libc::getpgrp() };
        // SAFETY: takes an open descriptor. Of a terminal that was hung up it tells -1, and there is nothing to give.
        let now = unsafe { libc::tcgetpgrp(terminal) };
        // SAFETY: takes numbers and an open descriptor; SIGTTOU is blocked. A group that is gone is refused.
        let give = |group| unsafe { libc::tcsetpgrp(terminal, group) } == 0;
        if !front && now != ours {
            self.away = Some(now);
            give(ours);
        } else if front && now == ours && !self.away.take().is_some_and(give) {
            give(child);
        }
        // SAFETY: takes numbers only. The child leads that group, and was not waited for.
        unsafe { libc::killpg(child, signals::SIGCONT) };
    }

    /// Tells what became of the child, by its status as of wait(2).
    fn tell(&mut self, status: libc::c_int) -> io::Result<()> {
        let report = if libc::WIFSTOPPED(status) {
            encode(b't', libc::WSTOPSIG(status), 0)
        } else if libc::WIFCONTINUED(status) {
            encode(b'c', 0, 0)
        } else {
            self.leave_terminal();
            if libc::WIFSIGNALED(status) {
                encode(b'k', libc::WTERMSIG(status), 0)
            } else {
                encode(b'e', libc::WEXITSTATUS(status), 0)
            }
        };
        self.reports.write_all(&report)
    }

    /// Ends what runs of the session.
    fn clear(&mut self, child: Option<libc::pid_t>) {
        remains::adopt();
        drop(self.control.take());
        remains::clear(child.and_then(|child| u32::try_from(child).ok()), |pid, status| {
            if Some(pid) == child {
                // Where the recorder is gone there is nobody to be told.
                let _ = self.tell(status);
            }
        });
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

/// Closes all descriptors from one to another. One by one where an old kernel, or a filter of system calls, refuses that.
fn close(from: RawFd, to: RawFd) -> io::Result<()> {
    close_range(from, to, 0).or_else(|error| {
        let open = proc::numbers("self/fd").map_err(|_| error)?;
        let open = open.into_iter().filter_map(|fd| RawFd::try_from(fd).ok());
        for fd in open.filter(|fd| (from..=to).contains(fd)) {
            // SAFETY: takes a number; the caller owns what is closed. That by which they were found is closed already.
            unsafe { libc::close(fd) };
        }
        Ok(())
    })
}

fn close_range(from: RawFd, to: RawFd, flags: libc::c_uint) -> io::Result<()> {
    let (Ok(from), Ok(to)) = (libc::c_uint::try_from(from), libc::c_uint::try_from(to)) else {
        return Ok(());
    };
    let flags = libc::c_int::try_from(flags).unwrap_or(0);
    // SAFETY: takes numbers only; the caller owns what is closed.
    check(unsafe { libc::close_range(from, to, flags) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stage::REPORT;

    /// A stage, what gives it words, and what takes its reports. Its recorder is nobody who could be its parent.
    fn scene() -> (Scene, File, File) {
        let ((control, words), (told, reports)) = (pipe::open().unwrap(), pipe::open().unwrap());
        for fd in [&control, &told] {
            fd::set_nonblocking(fd, true).unwrap();
        }
        let scene = Scene {
            control: Some(control),
            reports: reports.into(),
            terminal: None,
            recorder: 0,
            away: None,
        };
        (scene, words.into(), told.into())
    }

    /// How many words it has answered.
    fn answered(told: &File) -> usize {
        let mut reports = [0; 200 * REPORT];
        let count = fd::read(told, &mut reports).unwrap_or(0);
        assert!(
            reports.chunks_exact(REPORT).take(count / REPORT).all(|report| report.first() == Some(&b'p'))
        );
        count / REPORT
    }

    #[test]
    fn one_signal_stands_for_all_the_words_that_wait() {
        let (mut scene, mut words, told) = scene();
        words.write_all(&[FRONT; 150]).unwrap();
        scene.heed(0);
        assert_eq!(answered(&told), 150);
        scene.heed(0);
        assert_eq!(answered(&told), 0);
    }

    #[test]
    fn a_word_is_heeded_whose_signal_came_before_signals_were_blocked() {
        let (mut scene, mut words, told) = scene();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = libc::pid_t::try_from(child.id()).unwrap();
        words.write_all(&[FRONT]).unwrap();
        let left = signals::while_blocked(LOST, || {
            // SAFETY: sends a signal to this very thread, which blocks it.
            unsafe { libc::pthread_kill(libc::pthread_self(), LOST) };
            // It finds that its recorder is not its parent.
            scene.attend(pid)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((left, answered(&told)), (Some(pid), 1));
    }
}
