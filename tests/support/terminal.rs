//! A terminal: a program runs in it, the test types and reads.
//!
//! What is not asked for is not read, so a terminal that nobody looks at is one that does not read.
//!
//! For whatever is run at a terminal and looked at from outside. Where the test itself is the recorder of a shell, see
//! `tests/shell/pty.rs`, which says why it has a terminal of its own.

use super::DEADLINE;
use sealcast::sys::fd;
use sealcast::sys::poll::Set;
use sealcast::sys::pty::{self, Leader};
use sealcast::sys::tty::{Settings, Size};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program in a terminal. Dropped, both are gone.
pub struct Terminal {
    leader: Option<Leader>,
    /// Kept open so that the terminal's settings can be looked at after the program has left it.
    follower: Option<OwnedFd>,
    child: Child,
    transcript: Vec<u8>,
    /// Up to where [`Terminal::wait_for`] has looked.
    looked: usize,
    ended: bool,
    /// When something was typed that was to be answered, and nothing was shown since.
    asked: Option<Instant>,
    late: Duration,
}

impl Terminal {
    /// Starts a program as the leader of a session in a new terminal.
    pub fn start(command: &Command, size: Size) -> Self {
        super::signals::reset();
        let (leader, follower) = pty::open(size).unwrap();
        // setsid takes its standard input as controlling terminal and becomes the program: same process, no shell.
        let mut starter = Command::new("setsid");
        starter.arg("--ctty").arg(command.get_program()).args(command.get_args());
        starter.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                starter.env(name, value);
            }
        }
        if let Some(dir) = command.get_current_dir() {
            starter.current_dir(dir);
        }
        let stream = || Stdio::from(follower.try_clone().unwrap());
        let child = starter.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        drop(starter);
        Self {
            leader: Some(leader),
            follower: Some(follower),
            child,
            transcript: Vec::new(),
            looked: 0,
            ended: false,
            asked: None,
            late: Duration::ZERO,
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn leader(&self) -> &Leader {
        self.leader.as_ref().expect("the terminal was hung up")
    }

    /// Types what something is shown for, such as an echo. Reads meanwhile, so that neither side waits for the other.
    #[track_caller]
    pub fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.asked.get_or_insert_with(Instant::now);
        self.send_unseen(keys);
    }

    /// The longest time in which nothing was shown for what was [typed](Terminal::send).
    pub fn late(&self) -> Duration {
        self.late.max(self.asked.map_or(Duration::ZERO, |asked| asked.elapsed()))
    }

    /// Something was shown.
    fn shown_now(&mut self, bytes: &[u8]) {
        self.transcript.extend_from_slice(bytes);
        if let Some(asked) = self.asked.take() {
            self.late = self.late.max(asked.elapsed());
        }
    }

    /// Types what nothing need be shown for.
    #[track_caller]
    pub fn send_unseen(&mut self, keys: impl AsRef<[u8]>) {
        let mut keys = keys.as_ref();
        let end = Instant::now() + DEADLINE;
        while !keys.is_empty() {
            match fd::write(self.leader(), keys) {
                Ok(count) => keys = &keys[count..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    assert!(
                        Instant::now() < end,
                        "typing stalls with {} bytes left{}",
                        keys.len(),
                        self.shown()
                    );
                    self.read_for(Duration::from_millis(20));
                }
                Err(e) => panic!("typing: {e}{}", self.shown()),
            }
        }
    }

    /// Types without reading anything. Fails when the kernel takes no more.
    #[track_caller]
    pub fn send_blindly(&mut self, keys: impl AsRef<[u8]>) {
        let keys = keys.as_ref();
        assert_eq!(fd::write(self.leader(), keys).unwrap(), keys.len());
    }

    /// Reads what comes within `time`; true when there was something.
    pub fn read_for(&mut self, time: Duration) -> bool {
        let mut set = Set::default();
        set.add(self.leader(), true, false);
        set.wait(Some(time)).unwrap();
        let before = self.transcript.len();
        self.read_now();
        self.transcript.len() > before
    }

    /// Reads what comes until `time` is over: the pace of somebody who types, or looks before the next key.
    pub fn read_through(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|_| !self.ended) {
            self.read_for(left);
        }
    }

    /// Reads at least this many bytes, a few at a time and not fast: so does a terminal at the end of a long line.
    #[track_caller]
    pub fn read_slowly(&mut self, bytes: usize) {
        let end = Instant::now() + DEADLINE;
        let enough = self.transcript.len() + bytes;
        while self.transcript.len() < enough {
            assert!(Instant::now() < end, "waited {DEADLINE:?} for {bytes} bytes{}", self.shown());
            let mut piece = [0; 2048];
            match fd::read(self.leader(), &mut piece) {
                Ok(0) => panic!("the terminal ended{}", self.shown()),
                Ok(count) => self.shown_now(&piece[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => panic!("reading: {e}{}", self.shown()),
            }
            super::pause(Duration::from_millis(1));
        }
    }

    fn read_now(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match fd::read(self.leader.as_ref().unwrap(), &mut buffer) {
                Ok(0) => return self.ended = true,
                Ok(count) => self.shown_now(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    /// Waits until `text` was shown, after whatever was waited for last; gives what was shown before it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let rest = &self.transcript[self.looked..];
            if let Some(at) = memchr::memmem::find(rest, text.as_bytes()) {
                let before = String::from_utf8_lossy(&rest[..at]).into_owned();
                self.looked += at + text.len();
                return before;
            }
            assert!(!self.ended, "the terminal ended before {text:?}{}", self.shown());
            assert!(Instant::now() < end, "waited {DEADLINE:?} for {text:?}{}", self.shown());
            let over = self.child.try_wait().unwrap().is_some();
            if !self.read_for(Duration::from_millis(50)) && over {
                panic!("the program ended before {text:?}{}", self.shown());
            }
        }
    }

    /// Types what is answered at once, and waits for the end of that: only then it is no longer [late](Terminal::late).
    #[track_caller]
    pub fn echoed(&mut self, keys: impl AsRef<[u8]>, text: &str) {
        let asked = Instant::now();
        self.send(keys);
        self.wait_for(text);
        self.late = self.late.max(asked.elapsed());
    }

    /// Types a line and waits for `text`.
    #[track_caller]
    pub fn line(&mut self, line: &str, text: &str) -> String {
        self.send(format!("{line}\r"));
        self.wait_for(text)
    }

    /// Checks that nothing is shown for a while.
    #[track_caller]
    pub fn stays_silent(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let before = self.transcript.len();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.read_for(left.min(Duration::from_millis(20)));
            assert_eq!(self.transcript.len(), before, "something was shown{}", self.shown());
        }
    }

    /// Waits until the program has ended, reading to the end.
    #[track_caller]
    pub fn wait_end(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            if self.leader.is_some() && !self.ended {
                self.read_for(Duration::from_millis(10));
            } else {
                super::pause(Duration::from_millis(10));
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                if self.leader.is_some() {
                    self.read_now();
                }
                return status;
            }
            assert!(Instant::now() < end, "waited {DEADLINE:?} for the end{}", self.shown());
        }
    }

    /// Waits until the program has ended without reading anything.
    #[track_caller]
    pub fn wait_end_blindly(&mut self) -> ExitStatus {
        super::until("the end", || self.child.try_wait().unwrap())
    }

    /// Changes the size.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.leader().resize(Size { cols, rows, width: 0, height: 0 }).unwrap();
    }

    /// Closes the terminal, as its window's close button does.
    pub fn hang_up(&mut self) {
        self.follower = None;
        self.leader = None;
    }

    /// Whether the terminal is in raw mode.
    pub fn is_raw(&self) -> bool {
        let settings = Settings::of(self.leader()).unwrap();
        !settings.is_canonical() && !settings.echoes()
    }

    /// Waits until it is, and reads what is shown meanwhile.
    #[track_caller]
    pub fn wait_raw(&mut self) {
        let end = Instant::now() + DEADLINE;
        loop {
            self.read_for(Duration::from_millis(10));
            if self.is_raw() {
                return;
            }
            assert!(Instant::now() < end, "waited {DEADLINE:?} for raw mode{}", self.shown());
        }
    }

    /// The settings of the terminal, as `stty -a` tells them.
    pub fn settings(&self) -> String {
        let follower = self.follower.as_ref().expect("the terminal was hung up").try_clone().unwrap();
        let told = Command::new("stty").arg("-a").stdin(follower).output().unwrap();
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).unwrap()
    }

    /// All that was shown.
    pub fn transcript(&self) -> &[u8] {
        &self.transcript
    }

    fn shown(&self) -> String {
        let from = self.transcript.len().saturating_sub(20_000);
        let text = self.transcript[from..].escape_ascii().to_string().replace("\\r\\n", "\n");
        format!("\n--- transcript ({} bytes) ---\n{text}\n---", self.transcript.len())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leader = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
