//! A shell in a real PTY, with or without our integration, in a home of its own.
//!
//! Not on top of `support::terminal`, at which the recorder and its program are looked at from outside. Here the test is the
//! recorder: it takes the marks out of each piece as it comes, and tells the tracker of pieces, keys and programs with their times.
//! And it starts the shell itself, under the name that a plan gives it (`-bash`): `setsid`, by which that terminal starts
//! a program, could not pass the name on, and would be an exec more in the kernel's trace.
#![allow(unsafe_code, dead_code)]

use crate::support::{DEADLINE, signals, skipped, state};
use sealcast::cast;
use sealcast::exec;
use sealcast::shell::commands::{Settled, Tracker};
use sealcast::shell::integration::{self, Plan};
use sealcast::shell::keys::Keys;
use sealcast::shell::marks::{Filter, Found, Mark, Nonce};
use sealcast::sys::clock;
use sealcast::sys::poll::Set;
use sealcast::terminal::Terminal;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Held while a terminal is opened and its shell started.
static STARTING: Mutex<()> = Mutex::new(());

/// What to start, and in what home.
#[derive(Clone, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) shell: &'a str,
    pub(crate) login: bool,
    /// Files of the home directory.
    pub(crate) files: &'a [(&'a str, &'a str)],
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// Started without us, for comparison.
    pub(crate) bare: bool,
    /// With the kernel's trace.
    pub(crate) traced: bool,
    /// The tracker is told of keys what a recorder tells it.
    pub(crate) unseen: bool,
}

pub(crate) enum Seen {
    Mark(Mark),
    Hint,
}

pub(crate) struct Session {
    pub(crate) home: tempfile::TempDir,
    pub(crate) plan: Plan,
    pub(crate) nonce: Nonce,
    shell: String,
    leader: File,
    child: Child,
    filter: Filter,
    keys: Option<Keys>,
    /// Every byte, marks included.
    pub(crate) raw: Vec<u8>,
    /// Without the marks.
    pub(crate) visible: Vec<u8>,
    pub(crate) seen: Vec<Seen>,
    /// Clocks that came with marks, microseconds since 1970.
    pub(crate) clocks: Vec<u64>,
    pub(crate) tracker: Tracker,
    screen: Terminal,
    pub(crate) commands: Vec<cast::Command>,
    trace: Option<exec::Trace>,
    taken: usize,
    /// By the monotonic clock. One for all: between two looks at it milliseconds can lie.
    begin: Duration,
}

/// A path by which the shell has the name under test (`ash` is busybox).
pub(crate) fn find(shell: &str, home: &Path) -> Option<PathBuf> {
    let look = |name: &str| {
        ["/bin", "/usr/bin", "/usr/local/bin"]
            .iter()
            .map(|d| Path::new(d).join(name))
            .find(|path| path.exists())
    };
    if shell == "ash" {
        let link = home.join("ash");
        std::os::unix::fs::symlink(look("busybox")?, &link).unwrap();
        return Some(link);
    }
    look(shell)
}

impl Session {
    /// `None` when the shell is not installed.
    pub(crate) fn start(setup: &Setup) -> Option<Self> {
        signals::reset();
        let home = tempfile::tempdir().unwrap();
        let program = find(setup.shell, home.path())?;
        let dir = home.path().join("session");
        std::fs::create_dir(&dir).unwrap();
        let user = home.path().join("home");
        std::fs::create_dir(&user).unwrap();
        for (name, content) in setup.files {
            let path = user.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let mut env: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()),
            ("HOME".into(), user.clone().into()),
            ("TERM".into(), "xterm-256color".into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("USER".into(), "root".into()),
            ("SHELL".into(), program.clone().into()),
        ];
        let full = |value: &str| value.replace("~", user.to_str().unwrap());
        env.extend(setup.env.iter().map(|(n, v)| (OsString::from(n), OsString::from(full(v)))));
        let nonce = Nonce::new([0x5c; 16]);
        let look = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let plan = integration::prepare(&program, setup.login, look, &dir, &nonce);
        let mut command = Command::new(&program);
        command.env_clear().envs(env.iter().map(|(n, v)| (n, v))).current_dir(&user);
        if setup.bare {
            command.arg0(&plan.argv[0]);
        } else {
            plan.write(None).unwrap();
            command.arg0(&plan.argv[0]).args(&plan.argv[1..]);
            command.envs(plan.env_set.iter().map(|(n, v)| (n, v)));
        }
        // Another test's shell must not inherit what has not been marked as ours yet.
        let alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let (leader, follower) = open(200, 40);
        let stdio = || Stdio::from(follower.try_clone().unwrap());
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: setsid and ioctl are async-signal-safe and touch no memory of ours.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let begin = clock::monotonic();
        let trace = setup.traced.then(|| {
            // Its times are those of the session.
            exec::Trace::start(exec::Mode::Auto, std::process::id(), begin)
        });
        let trace = match trace {
            Some((trace, availability)) if availability.is_complete() => Some(trace),
            Some((_, availability)) => {
                skipped(&availability.statement);
                return None;
            }
            None => None,
        };
        let child = command.spawn().unwrap();
        drop(follower);
        drop(alone);
        let filter = Filter::new(&nonce);
        let (raw, visible, seen) = (vec![], vec![], vec![]);
        let shell = setup.shell.to_string();
        let mut tracker = Tracker::new(Some(child.id()));
        tracker.follow_output();
        let (screen, commands) = (Terminal::new(200, 40), vec![]);
        Some(Self {
            tracker,
            trace,
            screen,
            commands,
            shell,
            home,
            plan,
            nonce,
            leader,
            child,
            filter,
            keys: setup.unseen.then(Keys::default),
            raw,
            visible,
            seen,
            clocks: vec![],
            taken: 0,
            begin,
        })
    }

    /// Waits until the shell's line editor has the terminal: what is typed earlier is echoed by the kernel as well.
    /// dash has none.
    pub(crate) fn editing(&mut self) {
        if matches!(self.shell.as_str(), "dash" | "sh") {
            return;
        }
        let until = Instant::now() + DEADLINE;
        while self.is_canonical() {
            assert!(
                Instant::now() < until,
                "no line editor came; everything that came:\n{}",
                self.transcript()
            );
            let _ = self.receive(Instant::now() + Duration::from_millis(2));
        }
    }

    /// Waits until the shell has nothing more to say and sleeps, so that an interrupt meets it waiting for a key: on a busy machine
    /// it may only be late.
    pub(crate) fn quiet(&mut self) {
        let until = Instant::now() + DEADLINE;
        while self.receive(Instant::now() + Duration::from_millis(150)).is_ok()
            || state(self.pid()) != Some('S')
        {
            assert!(
                Instant::now() < until,
                "it does not get to wait for a key; everything that came:\n{}",
                self.transcript()
            );
        }
    }

    fn is_canonical(&self) -> bool {
        // SAFETY: termios is plain data, and tcgetattr fills it through a pointer to a live local.
        let (rc, flags) = unsafe {
            let mut flags: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(self.leader.as_raw_fd(), &mut flags), flags)
        };
        rc == 0 && flags.c_lflag & libc::ICANON != 0
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        let now = self.now();
        match &mut self.keys {
            None => self.tracker.input(now, text.as_bytes(), &mut self.screen),
            Some(keys) => {
                if keys.begin_line() {
                    self.tracker.begins(&mut self.screen);
                }
                for alone in keys.typed(text.as_bytes()) {
                    if alone { self.tracker.entered_alone(now) } else { self.tracker.entered(now) }
                }
            }
        }
        self.leader.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        clock::monotonic().saturating_sub(self.begin).as_millis().try_into().unwrap()
    }

    fn hear(&mut self) {
        let Self { trace: Some(trace), tracker, begin, .. } = self else { return };
        let through = trace.through();
        trace.drain(|event| match event {
            exec::Event::Forked { micros, pid, parent } => tracker.forked(micros, pid, parent),
            exec::Event::Executed(exec) => tracker.executed(exec),
            exec::Event::Ended { time, pid, status } => tracker.ended(time, pid, status),
            exec::Event::Left { .. } => {}
            exec::Event::Lost { count, why } => panic!("{count} events lost: {why}"),
        });
        tracker.trace_through(through.saturating_sub(*begin).as_micros().try_into().unwrap_or(u64::MAX));
    }

    fn keep(&mut self, settled: Settled) {
        self.commands.extend(settled.commands);
    }

    fn is_readable(&self, within: Duration) -> bool {
        let mut set = Set::default();
        let leader = set.add(&self.leader, true, false);
        set.wait(Some(within)).unwrap();
        set.ready(leader).read
    }

    fn receive(&mut self, until: Instant) -> Result<(), RecvTimeoutError> {
        let before = clock::monotonic();
        if !self.is_readable(Duration::ZERO) {
            self.tracker.output_through(before.saturating_sub(self.begin).as_micros().try_into().unwrap());
            if !self.is_readable(until.saturating_duration_since(Instant::now())) {
                return Err(RecvTimeoutError::Timeout);
            }
        }
        let mut bytes = vec![0; 16 << 10];
        // EIO is the end: nobody holds the follower any more.
        let Ok(count @ 1..) = self.leader.read(&mut bytes) else {
            return Err(RecvTimeoutError::Disconnected);
        };
        bytes.truncate(count);
        let now = self.now();
        let Self { visible, seen, clocks, keys, tracker, screen, filter, begin, .. } = self;
        filter.feed(&bytes, |found| match found {
            Found::Bytes(piece) => {
                visible.extend_from_slice(piece);
                tracker.output(now, piece, screen);
            }
            Found::Mark(Mark::Clock(sent)) => {
                clocks.push(sent);
                let (wall, monotonic) = clock::wall_and_monotonic();
                let ago = wall.saturating_sub(Duration::from_micros(sent));
                tracker.clock(
                    monotonic.saturating_sub(*begin).saturating_sub(ago).as_micros().try_into().unwrap(),
                );
            }
            Found::Mark(mark) => {
                seen.push(Seen::Mark(mark.clone()));
                keys.iter_mut().for_each(|keys| keys.told(&mark));
                tracker.mark(now, mark, screen);
            }
            Found::Hint(hint) => {
                seen.push(Seen::Hint);
                tracker.hint(now, hint);
            }
        });
        self.hear();
        let settled = self.tracker.drain(now);
        self.keep(settled);
        self.raw.extend_from_slice(&bytes);
        Ok(())
    }

    /// Waits until `done` holds; the failure shows everything that came.
    pub(crate) fn wait(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(self) {
            if let Err(error) = self.receive(until) {
                panic!("waiting for {what}: {error}; everything that came:\n{}", self.transcript());
            }
        }
    }

    /// Waits until `text` appears after what was taken before, and takes it; gives the visible bytes up to its end.
    pub(crate) fn expect(&mut self, text: &str) -> Vec<u8> {
        let found =
            |s: &Self| memchr::memmem::find(&s.visible[s.taken..], text.as_bytes()).map(|at| at + text.len());
        self.wait(&format!("{text:?}"), |s| found(s).is_some());
        let end = self.taken + found(self).unwrap();
        let piece = self.visible[self.taken..end].to_vec();
        self.taken = end;
        piece
    }

    /// Waits until the shell and its terminal are gone; gives the rest of the visible bytes and the exit code.
    pub(crate) fn end(&mut self) -> (Vec<u8>, Option<i32>) {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.receive(until) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => {
                    panic!("waiting for the end: {error}; everything that came:\n{}", self.transcript())
                }
            }
        }
        let rest = self.visible[self.taken..].to_vec();
        self.taken = self.visible.len();
        let code = self.child.wait().unwrap().code();
        if let Some(trace) = &mut self.trace {
            // At the end of a session its thread is not waited for that long.
            let now = clock::monotonic();
            crate::support::until("the trace", || (trace.through() >= now).then_some(()));
            trace.stop();
        }
        self.hear();
        let settled = self.tracker.finish(self.now(), code);
        self.keep(settled);
        (rest, code)
    }

    pub(crate) fn marks(&self) -> Vec<&Mark> {
        self.seen.iter().filter_map(|s| if let Seen::Mark(mark) = s { Some(mark) } else { None }).collect()
    }

    pub(crate) fn transcript(&self) -> String {
        sealcast::text::Escaped(&self.raw).to_string().replace("\\r\\n", "\\r\\n\n")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both pass through no exec from the first moment on: other tests start programs that live long. (What `sys::pty::open` gives is
/// marked so a moment after it was opened, which is enough for a program that has no other thread yet.)
fn open(cols: u16, rows: u16) -> (File, OwnedFd) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes flags and gives a descriptor, or -1.
    let leader = unsafe { libc::posix_openpt(flags) };
    assert!(leader >= 0, "posix_openpt: {}", std::io::Error::last_os_error());
    // SAFETY: we have just been given it, and nobody else owns it.
    let leader = unsafe { File::from_raw_fd(leader) };
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    let raw = leader.as_raw_fd();
    // SAFETY: calls on a terminal that we own; the pointer is to a live local.
    let follower = unsafe {
        assert_eq!((libc::grantpt(raw), libc::unlockpt(raw)), (0, 0), "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ioctl(raw, libc::TIOCSWINSZ, &raw const size), 0);
        libc::ioctl(raw, libc::TIOCGPTPEER, flags)
    };
    assert!(follower >= 0, "TIOCGPTPEER: {}", std::io::Error::last_os_error());
    // SAFETY: as above.
    (leader, unsafe { OwnedFd::from_raw_fd(follower) })
}
