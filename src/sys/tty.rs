//! Terminals: settings, sizes, the foreground, and the way back to the settings that were found.
//!
//! Refuses to query the terminal itself: a terminal that does not answer would make everyone wait. Refuses to change
//! the settings of a terminal whose foreground has gone to someone else.

use super::fd::{self, Access};
use super::stage::standard;
use super::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// A terminal's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Columns; 0 when nobody told the kernel.
    pub cols: u16,
    /// Rows; 0 when nobody told the kernel.
    pub rows: u16,
    /// Width in pixels, mostly 0.
    pub width: u16,
    /// Height in pixels, mostly 0.
    pub height: u16,
}

impl Size {
    /// What programs take it for: where nobody told the kernel, 80 columns and 24 rows, as readline and curses do.
    pub fn assumed(self) -> Self {
        let known = |told, assumed| if told == 0 { assumed } else { told };
        Self { cols: known(self.cols, 80), rows: known(self.rows, 24), ..self }
    }
}

/// The size of the terminal behind `fd`.
///
/// # Errors
/// When it is not a terminal, or gone.
pub fn size(fd: impl AsFd) -> Result<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes a winsize, and `size` is one.
    if unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) } != 0 {
        return Err(Error::last("read the size of the terminal", ""));
    }
    Ok(Size { cols: size.ws_col, rows: size.ws_row, width: size.ws_xpixel, height: size.ws_ypixel })
}

/// The settings of a terminal, as `tcgetattr` gives them.
#[derive(Clone, Copy, Debug)]
pub struct Settings(pub(super) libc::termios);

impl Settings {
    /// The settings of the terminal behind `fd`. On the leader of a PTY these are the follower's.
    ///
    /// # Errors
    /// When it is not a terminal, or gone.
    pub fn of(fd: impl AsFd) -> Result<Self> {
        // SAFETY: an all-zero termios is a valid value of that plain C struct.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place to write to; the descriptor is open while it is borrowed.
        if unsafe { libc::tcgetattr(fd.as_fd().as_raw_fd(), &mut settings) } != 0 {
            return Err(Error::last("read the settings of the terminal", ""));
        }
        Ok(Self(settings))
    }

    /// These settings in raw mode: every byte passes as it is, both ways.
    #[must_use]
    pub fn raw(mut self) -> Self {
        // SAFETY: changes the flags of a termios we own, nothing else.
        unsafe { libc::cfmakeraw(&mut self.0) };
        self
    }

    /// These settings in raw mode as far as it is about what is typed. What becomes of output stays as it is, but for what is
    /// set otherwise in `now` than it `began` (both of another terminal).
    #[must_use]
    pub fn raw_input(self, began: &Self, now: &Self) -> Self {
        let changed = began.0.c_oflag ^ now.0.c_oflag;
        let mut raw = self.raw();
        raw.0.c_oflag = (self.0.c_oflag & !changed) | (now.0.c_oflag & changed);
        raw
    }

    /// Whether output is treated alike.
    pub fn shows_like(&self, other: &Self) -> bool {
        self.0.c_oflag == other.0.c_oflag
    }

    /// These settings as a shell leaves them to a program: whole lines, shown, with keys that signal and line ends
    /// that are translated. For a terminal that was found in the hands of another program.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.0.c_lflag |= libc::ICANON | libc::ECHO | libc::ECHOE | libc::ECHOK | libc::ISIG | libc::IEXTEN;
        self.0.c_iflag |= libc::ICRNL | libc::BRKINT;
        self.0.c_iflag &= !(libc::INLCR | libc::IGNCR);
        self.0.c_oflag |= libc::OPOST | libc::ONLCR;
        self
    }

    /// Puts these settings in force once all output so far has been sent (`TCSADRAIN`); input is kept. From the
    /// background this stops the process with SIGTTOU until it is brought to the foreground, unless that signal is
    /// blocked or ignored.
    ///
    /// # Errors
    /// When it is not a terminal, or gone.
    pub fn apply(&self, fd: impl AsFd) -> Result<()> {
        loop {
            // SAFETY: reads a termios; the descriptor is open while it is borrowed.
            if unsafe { libc::tcsetattr(fd.as_fd().as_raw_fd(), libc::TCSADRAIN, &self.0) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if !super::interrupted(&error) {
                return Err(Error::new("change the settings of the terminal", "", error));
            }
        }
    }

    /// Whether these are the same settings.
    pub fn is(&self, other: &Self) -> bool {
        let of = |s: &Self| (s.0.c_iflag, s.0.c_oflag, s.0.c_cflag, s.0.c_lflag, s.0.c_line, s.0.c_cc);
        of(self) == of(other)
    }

    /// Whether typed characters are shown by the kernel.
    pub fn echoes(&self) -> bool {
        self.0.c_lflag & libc::ECHO != 0
    }

    /// Whether the kernel hands on whole lines.
    pub fn is_canonical(&self) -> bool {
        self.0.c_lflag & libc::ICANON != 0
    }

    /// Whether whole lines are read, and shown by the kernel: nobody has changed that, be it for keys or for a secret.
    pub fn is_plain(&self) -> bool {
        self.is_canonical() && self.echoes()
    }

    /// Whether a secret is being read: whole lines, and not shown. (A line editor such as readline, which shows what
    /// it likes itself, has both off.)
    pub fn reads_secret(&self) -> bool {
        self.is_canonical() && !self.echoes()
    }

    /// The character that means end of file at the start of a line (mostly ^D), if there is one.
    pub fn end_of_file(&self) -> Option<u8> {
        let byte = self.0.c_cc[libc::VEOF];
        // _POSIX_VDISABLE is 0 on Linux.
        (byte != 0).then_some(byte)
    }

    /// The key that stops whoever has the foreground (mostly ^Z), if there is one.
    pub fn stops(&self) -> Option<u8> {
        let byte = self.0.c_cc[libc::VSUSP];
        (byte != 0 && self.0.c_lflag & libc::ISIG != 0).then_some(byte)
    }

    /// The keys that end whoever has the foreground, and by which signal (mostly ^C and ^\\).
    pub fn ends(&self) -> impl Iterator<Item = (u8, super::signals::Signal)> {
        let keys = [(libc::VINTR, libc::SIGINT), (libc::VQUIT, libc::SIGQUIT)];
        let signals = self.0.c_lflag & libc::ISIG != 0;
        keys.map(|(which, signal)| (self.0.c_cc[which], signal))
            .into_iter()
            .filter(move |(byte, _)| signals && *byte != 0)
    }

    /// Whether a line that is read whole ends with this byte; a return is taken for one, however it is translated.
    pub fn ends_line(&self, byte: u8) -> bool {
        let of_its_own = [libc::VEOL, libc::VEOL2, libc::VEOF].map(|which| self.0.c_cc[which]);
        matches!(byte, b'\n' | b'\r') || byte != 0 && of_its_own.contains(&byte)
    }
}

/// The terminal of a session.
#[derive(Debug)]
pub struct Terminal {
    file: File,
    bond: Bond,
}

/// What a terminal is to this process.
#[derive(Clone, Copy, Debug)]
enum Bond {
    /// It controls us.
    Controls,
    /// It was lent to us, as standard input: it neither stops nor signals us.
    Lent {
        /// Its open file is shared with others, and waits.
        waits: bool,
        /// Which process it controls, the nearest above us. (Or us, where there is no `/dev/tty`.)
        above: Option<u32>,
    },
}

impl Terminal {
    /// The terminal of a session that begins here. What is typed must come from a terminal and not from a stream, or nobody could
    /// tell what of it is shown: so it is standard input, where that is one, though it control us or not (`su dave -c`, `setsid`).
    /// Elsewhere the controlling terminal tells whether a session is interactive.
    pub fn of_session() -> Option<Self> {
        let controlling = Self::controlling();
        lent(controlling.as_ref()).and_then(Self::from_lent).or(controlling)
    }

    /// One that was lent to us as standard input. Some standard stream must be this terminal and open both ways: we write to it as
    /// well, and may not have it opened for us with more rights than we were given.
    fn from_lent(input: OwnedFd) -> Option<Self> {
        let streams = [0, 1, 2].into_iter().filter_map(|stream| standard(stream).ok());
        let both = |fd: &OwnedFd| [Access::Read, Access::Write].iter().all(|way| fd::allows(fd, *way));
        let given = streams.into_iter().find(|fd| both(fd) && are_one(&input, fd))?;
        let own = fd::reopen_both_ways(&given).filter(|own| are_one(&given, own));
        Some(match own {
            // It may have been hung up before that, and be somebody else's now.
            Some(file) if is_terminal(&given) => Self::of_lent(file, false),
            _ => Self::of_lent(given.into(), true),
        })
    }

    fn of_lent(file: File, waits: bool) -> Self {
        let above = number(&file).and_then(super::ids::nearest_at);
        Self { file, bond: Bond::Lent { waits, above } }
    }

    /// Whether it controls us: what happens to it is then told by signals.
    pub fn controls(&self) -> bool {
        matches!(self.bond, Bond::Controls)
    }

    /// Whether a write may wait, for its open file is shared with others.
    pub fn waits(&self) -> bool {
        matches!(self.bond, Bond::Lent { waits: true, .. })
    }

    /// Opens the controlling terminal, if there is one. The open file is our own, so that it can be non-blocking without anyone
    /// else noticing.
    fn controlling() -> Option<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open("/dev/tty")
            .ok()?;
        Some(Self { file, bond: Bond::Controls })
    }

    /// A terminal that is not the controlling one, for tests.
    #[cfg(test)]
    pub(crate) fn of(fd: std::os::fd::OwnedFd) -> Self {
        Self { file: fd.into(), bond: Bond::Controls }
    }

    /// Its real name (`/dev/pts/3`), not `/dev/tty`, where the kernel tells.
    pub fn name(&self) -> Option<PathBuf> {
        let device = number(&self.file)?;
        let (major, minor) = (libc::major(device.into()), libc::minor(device.into()));
        // Documentation/admin-guide/devices.txt: majors 136 to 143 are the followers of Unix98 PTYs, 256 minors each.
        if (136..=143).contains(&major) {
            return Some(format!("/dev/pts/{}", (major - 136) * 256 + minor).into());
        }
        let facts = std::fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/uevent")).ok()?;
        let name = facts.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
        Some(format!("/dev/{name}").into())
    }

    /// The lock of whoever has it in raw mode and will give it back; it lasts as long as this is open. `None` where another session
    /// holds it.
    pub fn claim(&self) -> Option<Claim> {
        let Some(own) = self.by_name() else { return Some(Claim { _own: None }) };
        // Where there are no locks nobody holds one.
        super::lock::try_exclusive(&own).unwrap_or(true).then_some(Claim { _own: Some(own) })
    }

    /// Whether another session has claimed it.
    pub fn is_claimed(&self) -> bool {
        self.by_name().is_some_and(|own| super::lock::is_exclusive(&own).unwrap_or(false))
    }

    /// The file that it is for everybody: that of `/dev/tty` is one for all terminals. `None` where it cannot be had, such as in a
    /// terminal of another user.
    fn by_name(&self) -> Option<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK);
        options.open(self.name()?).ok().filter(|own| self.is(own))
    }

    /// Whether our process group is the one in the foreground. Where that cannot be told from the number of our group (it
    /// has none where it was made in another pid namespace), the kernel is asked by a read of nothing.
    ///
    /// A terminal that was lent to us has a foreground among others: ours is that of whoever above us it controls, such as the su
    /// that waits for us, in front or in the background of a shell. Where nobody was there it is ours, as it would be the
    /// program's. Where who was there has ended it is not: a shell may have it back.
    pub fn is_foreground(&self) -> bool {
        if let Bond::Lent { above, .. } = self.bond {
            let told = |process| super::ids::foreground_at(process, number(&self.file)?);
            return above.is_none_or(|process| told(process).unwrap_or(false));
        }
        // SAFETY: takes nothing and cannot fail.
        let ours = unsafe { libc::getpgrp() };
        if ours == 0 {
            return !super::signals::while_blocked(super::signals::SIGTTIN, || self.refuses_to_be_read());
        }
        // SAFETY: takes a descriptor that is open; fails with -1, which is no process group.
        ours == unsafe { libc::tcgetpgrp(self.file.as_raw_fd()) }
    }

    /// Whether the kernel refuses a read (`EIO`), as it does in the background where it may not stop the process instead
    /// (SIGTTIN is blocked; `__tty_check_change` in drivers/tty/tty_jobctrl.c). Nothing is read.
    fn refuses_to_be_read(&self) -> bool {
        let read = fd::read(&self.file, &mut []);
        read.is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
    }

    /// Whether `fd` is this same terminal, by whatever name it was opened.
    ///
    /// Of one that controls us it is the kernel that compares: it tells the session of a terminal only to a process whose
    /// controlling terminal it is (`tiocgsid` in drivers/tty/tty_jobctrl.c), and to whoever asks at the leader of a PTY, which is no
    /// terminal to us. Which session it tells does not matter: 0, where its first process is in another pid namespace. The number of
    /// the device would not do, of which every mount of devpts has its own first.
    pub fn is(&self, fd: impl AsFd) -> bool {
        if !self.controls() {
            return are_one(&self.file, fd);
        }
        let fd = fd.as_fd();
        let mut session: libc::pid_t = 0;
        // SAFETY: TIOCGSID writes a pid_t, and `session` is one; the descriptor is open while it is borrowed.
        let ours = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGSID as _, &mut session) } == 0;
        ours && !is_leader(fd)
    }

    /// Whether it still answers: a terminal that was hung up does not.
    pub fn is_alive(&self) -> bool {
        Settings::of(&self.file).is_ok()
    }
}

/// See [`Terminal::claim`]. Empty where there can be no lock.
#[derive(Debug)]
pub struct Claim {
    _own: Option<File>,
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Forgets what was typed on a terminal and not read yet (`TCIFLUSH`). A wish: what is no terminal has nothing typed on it.
pub fn forget_typed(terminal: impl AsFd) {
    // SAFETY: takes numbers only; the descriptor is open while it is borrowed.
    unsafe { libc::tcflush(terminal.as_fd().as_raw_fd(), libc::TCIFLUSH) };
}

/// Standard input, where it is a terminal that can be read, and not the controlling one.
fn lent(controlling: Option<&Terminal>) -> Option<OwnedFd> {
    let is = |fd: &OwnedFd| is_terminal(fd) && !is_leader(fd) && fd::allows(fd, Access::Read);
    standard(0).ok().filter(is).filter(|fd| !controlling.is_some_and(|terminal| terminal.is(fd)))
}

/// Where whoever is at the terminal is asked something: as for a session, but it waits. (It is standard input, where that is a
/// terminal, of which crossterm changes the settings.)
///
/// # Errors
/// There is no terminal; or it was lent to us in the background, where no signal keeps us from what is typed for others.
pub fn to_ask_on() -> io::Result<File> {
    match lent(Terminal::controlling().as_ref()).filter(|fd| fd::allows(fd, Access::Write)) {
        Some(lent) => {
            let terminal = Terminal::of_lent(lent.into(), true);
            if terminal.is_foreground() { Ok(terminal.file) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }
        None => File::options().read(true).write(true).open("/dev/tty"),
    }
}

/// Whether `fd` is the leader of a PTY, which is no terminal to us.
pub fn is_leader(fd: impl AsFd) -> bool {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes an unsigned int, and `number` is one; it fails for all but leaders. The descriptor is open while it is
    // borrowed.
    let told = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGPTN as _, &mut number) };
    told == 0
}

/// The number of the device that a terminal is, also where it was opened as `/dev/tty`.
fn number(fd: impl AsFd) -> Option<u32> {
    let mut device: libc::c_uint = 0;
    // SAFETY: TIOCGDEV writes an unsigned int, and `device` is one; the descriptor is open while it is borrowed.
    let told = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGDEV as _, &mut device) } == 0;
    told.then_some(device)
}

/// Whether two descriptors are one terminal. Every mount of devpts has numbers of its own: they must be of one file system. (So one
/// that was opened as `/dev/tty` is not known again by its name.)
fn are_one(one: impl AsFd, other: impl AsFd) -> bool {
    let device = |fd: &dyn AsFd| fd::facts(fd.as_fd()).map(|facts| facts.st_dev);
    let of = |fd: &dyn AsFd| Some((number(fd.as_fd())?, device(fd)?));
    !is_leader(&other) && of(&one).is_some() && of(&one) == of(&other)
}

/// Whether `fd` is a terminal, controlling or not.
pub fn is_terminal(fd: impl AsFd) -> bool {
    Settings::of(fd).is_ok()
}

pub use raw::RawMode;
pub(super) use raw::give_back;

/// Raw mode, and the way back from it on every way out.
mod raw {
    use super::{Settings, Terminal};
    use crate::sys::Result;
    use std::os::fd::AsRawFd as _;
    use std::sync::{Mutex, Once, PoisonError};
    use std::thread::ThreadId;

    /// What the panic hook needs to restore the terminal before the message is written.
    struct Saved {
        terminal: Terminal,
        found: Settings,
        thread: ThreadId,
    }

    // The terminal is one for the whole process, and so is the panic hook.
    static SAVED: Mutex<Option<Saved>> = Mutex::new(None);
    static HOOK: Once = Once::new();

    /// The terminal in raw mode for as long as this lives. Dropped, also by a panic, the settings that were found come
    /// back, if the terminal is still ours. (Death by SIGKILL leaves it raw: `reset` is then the operator's remedy.)
    #[derive(Debug)]
    pub struct RawMode {
        found: Settings,
        raw: Settings,
    }

    impl RawMode {
        /// Puts the terminal in raw mode: `raw`. `found` are the settings to come back to.
        ///
        /// # Errors
        /// When the terminal is gone.
        pub fn enter(terminal: &Terminal, found: Settings, raw: Settings) -> Result<Self> {
            HOOK.call_once(|| {
                let before = std::panic::take_hook();
                std::panic::set_hook(Box::new(move |panic| {
                    restore(Some(std::thread::current().id()));
                    before(panic);
                }));
            });
            let file = terminal.file.try_clone();
            let file = file.map_err(|e| crate::sys::Error::new("duplicate the terminal", "", e))?;
            let copy = Terminal { file, bond: terminal.bond };
            let saved = Saved { terminal: copy, found, thread: std::thread::current().id() };
            *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
            let mode = Self { found, raw };
            raw.apply(terminal)?;
            Ok(mode)
        }
    }

    impl RawMode {
        /// Raw mode again, after someone else had the terminal.
        ///
        /// # Errors
        /// When the terminal is gone.
        pub fn renew(&self, terminal: &Terminal) -> Result<()> {
            self.raw.apply(terminal)
        }

        /// The settings to come back to.
        pub fn found(&self) -> Settings {
            self.found
        }

        /// Whether output is treated as `raw` does.
        pub fn shows_like(&self, raw: &Settings) -> bool {
            self.raw.shows_like(raw)
        }

        /// Raw mode of another kind from here on: `raw`, of the same terminal.
        ///
        /// # Errors
        /// When the terminal is gone.
        pub fn change(&mut self, terminal: &Terminal, raw: Settings) -> Result<()> {
            raw.apply(terminal)?;
            self.raw = raw;
            Ok(())
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            restore(None);
        }
    }

    /// Restores the terminal for whoever ends the process at once, be it for want of memory: makes nothing, and waits for nobody.
    pub(in crate::sys) fn give_back() {
        let Ok(saved) = SAVED.try_lock() else { return };
        let Some(Saved { terminal, found, .. }) = saved.as_ref() else { return };
        let terminal = terminal.file.as_raw_fd();
        // SAFETY: takes nothing, or a descriptor that is open: it is held with the lock. Of a terminal that does not control us it fails.
        let (ours, front) = unsafe { (libc::getpgrp(), libc::tcgetpgrp(terminal)) };
        if front == ours || front < 0 {
            // SAFETY: reads a termios; the descriptor is open.
            unsafe { libc::tcsetattr(terminal, libc::TCSANOW, &found.0) };
        }
    }

    /// Restores the terminal once; `thread` restricts it to the thread that entered raw mode.
    fn restore(thread: Option<ThreadId>) {
        // try_lock: a panic while the lock is held must not wait for itself.
        let mut saved = match SAVED.try_lock() {
            Ok(saved) => saved,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        if let Some(inner) = saved.as_ref()
            && thread.is_none_or(|id| id == inner.thread)
            && let Some(Saved { terminal, found, .. }) = saved.take()
            && terminal.is_foreground()
        {
            // The terminal may be gone: then there is nothing to restore.
            let _ = found.apply(&terminal);
        }
    }
}
