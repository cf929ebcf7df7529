//! A session from its preparation to its end.
//!
//! The order is part of the safety: [`prepare`] takes the signals, opens the PTY with the user's own settings and
//! size, and sets the stage, all before any thread or key exists. Then the recording is made by the caller, header
//! written and synced. Only then [`Session::run`] starts the child and copies until it is over.
//!
//! The terminal decides ([`Terminal::of_session`]): where there is one the child gets a PTY, and those standard streams that are the
//! terminal become it; the others, and all of them where there is none, pass through pipes, byte for byte.

use super::feeding::Feeding;
use super::lane::Sink;
use super::pump::Pump;
use super::queue::Feed;
use crate::cast::Payload;
use crate::policy::{Input, OnFailure};
use crate::sys::fd::{Access, Kind};
use crate::sys::privileges::{Identity, Stead};
use crate::sys::pty::Leader;
use crate::sys::signals::{self, Signal, Signals};
use crate::sys::stage::{Ended, Program, Stage, Step, standard, useless};
use crate::sys::tty::{Settings, Size, Terminal};
use crate::sys::{self, pipe, pty};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// A session as it is meant.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// What to run, and as whom.
    pub program: Program,
    /// What is stored of what is typed.
    pub input: Input,
    /// What is done when the recorder is lost without a word (it panicked), and with a socket that cannot be recorded.
    pub on_loss: OnFailure,
    /// How many bytes of each stream that is not the terminal are stored; the rest is counted, and the SHA-256 of the
    /// whole stream recorded. No limit when absent.
    pub keep: Option<u64>,
}

/// Something that stands in the way of the output, before it reaches the terminal and the recording: it can take
/// bytes out (the marks of a shell integration) and put events in. Called from the loop: it must be quick and must
/// not wait.
pub trait Watch {
    /// Whether [`Watch::output`] would pass these bytes on as they are and do nothing else: then it need not be called.
    fn passes(&self, bytes: &[u8]) -> bool;
    /// Passes `bytes` on, in order, to `pass`; what is held back must come out later or be an event.
    fn output(&mut self, bytes: &[u8], pass: &mut dyn FnMut(Piece<'_>));
    /// The output is over: passes on what was held back.
    fn finish(&mut self, pass: &mut dyn FnMut(Piece<'_>));
}

/// What a [`Watch`] passes on.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Bytes for the terminal and for the recording.
    Bytes(&'a [u8]),
    /// An event for the recording alone.
    Event(Payload),
}

/// Why a session could not be held.
#[derive(Debug)]
pub enum Error {
    /// The system refused something.
    System(sys::Error),
    /// This standard stream is a socket of which nothing could be recorded, and what cannot be recorded is not to run.
    Unrecorded(&'static str),
    /// The program could not be started; nothing of it ran.
    Start {
        /// Its name as it was given.
        program: OsString,
        /// Where it was to start, when that was asked for.
        dir: Option<PathBuf>,
        /// What could not be done.
        step: Step,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The exit code for it: 127 when the program was not found, 126 when it could not be executed, 125 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start { step: Step::Exec, source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Start { step: Step::Exec, .. } => 126,
            _ => 125,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Unrecorded(stream) => {
                write!(f, "{stream} is a socket that cannot be recorded: what passes through it is no stream")
            }
            Self::Start { dir: Some(dir), step: Step::Directory, .. } => {
                write!(f, "cannot enter the directory {}", crate::text::escaped(&dir.to_string_lossy()))
            }
            Self::Start { program, step, .. } => {
                let what = match step {
                    Step::Terminal => "give the terminal to",
                    Step::Identity => "change the user for",
                    Step::Directory => "enter the directory for",
                    Step::Exec => "run",
                    Step::Guard => "restrict, as the guard profile wants it,",
                    Step::Stage => "set the stage for",
                };
                write!(f, "cannot {what} {}", crate::text::escaped(&program.to_string_lossy()))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            Self::Unrecorded(_) => None,
            Self::Start { source, .. } => Some(source),
        }
    }
}

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::System(error)
    }
}

/// How a session went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the child ended.
    pub ended: Ended,
    /// It died of the signal of a key, which the terminal has sent nobody but it: whoever is in the foreground with us waits for that.
    pub by_key: bool,
    /// The operator's terminal went away, and the child was hung up.
    pub hung_up: bool,
    /// The recorder ordered the end, and said why.
    pub stopped: Option<String>,
    /// Standard input could not be read to its end, or not all that was written to an output be handed on; that was told,
    /// and is a gap in the recording. Being left by a reader is no such failure.
    pub failed: bool,
}

impl Outcome {
    /// The exit code for a child that ended with `code`: that, unless it knows nothing of a failure that was ours to tell.
    pub fn exit_code(&self, code: i32) -> u8 {
        match u8::try_from(code & 0xff).unwrap_or(125) {
            0 if self.failed => 125,
            code => code,
        }
    }
}

/// Signals that are handed on to the child, and with them all that are [realtime](signals::realtime): whatever would end us and
/// comes from somebody. (Those of a fault of our own do not. Who aborts, as we may, unblocks that signal for himself first; the
/// kernel does so for a trap.)
const HANDED_ON: [Signal; 16] = [
    signals::SIGHUP,
    signals::SIGINT,
    signals::SIGQUIT,
    signals::SIGTRAP,
    signals::SIGABRT,
    signals::SIGTERM,
    signals::SIGALRM,
    signals::SIGUSR1,
    signals::SIGUSR2,
    signals::SIGSTKFLT,
    signals::SIGIO,
    signals::SIGPROF,
    signals::SIGVTALRM,
    signals::SIGXCPU,
    signals::SIGPWR,
    signals::SIGSYS,
];

/// Whether a signal is handed on to the child.
pub(super) fn is_handed_on(signal: Signal) -> bool {
    HANDED_ON.contains(&signal) || signals::realtime().contains(&signal)
}

/// The terminal of a session, and the PTY that stands in for it.
pub(super) struct Screen {
    pub(super) terminal: Terminal,
    pub(super) leader: Leader,
    /// Standard input is the terminal.
    pub(super) keyboard: bool,
    /// Standard output is the terminal.
    pub(super) display: bool,
}

/// The streams that pass through pipes.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) input: Option<Feeding>,
    /// Names of those that the child has as they are: nothing of them is recorded.
    pub(super) handed: Vec<&'static str>,
    /// Names of those that pass through pipes.
    pub(super) beside: Vec<&'static str>,
    /// Whom we stand in for towards those we were given.
    pub(super) stead: Option<Stead>,
    /// Standard output and standard error: the child's pipe, and ours.
    pub(super) outputs: [Option<(OwnedFd, Sink)>; 2],
}

/// A session that is ready to begin. Keep it until the recording is closed: it holds the signals, and a signal that
/// ends the process would leave the recording open.
pub struct Session {
    pub(super) spec: Spec,
    pub(super) signals: Signals,
    pub(super) screen: Option<Screen>,
    pub(super) streams: Streams,
    pub(super) stage: Option<Stage>,
    pub(super) size: Option<Size>,
    pub(super) watch: Option<Box<dyn Watch>>,
    /// Whoever started us wants the session to go on without its terminal (`nohup`).
    pub(super) outlives: bool,
    stage_pid: u32,
}

/// Prepares a session: nothing of the child's runs yet. Must be called before there is a second thread or a key.
///
/// # Errors
/// When the system refuses a PTY, a pipe or a process; [`Error::Unrecorded`].
pub fn prepare(mut spec: Spec) -> Result<Session, Error> {
    let mut taken: Vec<Signal> = HANDED_ON.into_iter().chain(signals::realtime()).collect();
    taken.extend([signals::SIGTSTP, signals::SIGCONT, signals::SIGWINCH]);
    let signals = Signals::take(&taken)?;
    let (screen, follower, size) = match Terminal::of_session() {
        Some(terminal) => {
            // Once: what changes after that is compared with this.
            let size = sys::tty::size(&terminal)?;
            let (screen, follower) = stand_in(terminal, size, &spec)?;
            rename_terminal(&mut spec.program, screen.terminal.name(), screen.leader.follower_name());
            (Some(screen), Some(follower), Some(size))
        }
        None => (None, None, None),
    };
    let (streams, theirs) = connect(screen.as_ref(), follower.as_ref(), spec.program.identity.as_ref())?;
    if spec.on_loss == OnFailure::Stop {
        refuse_sockets(&theirs)?;
    }
    let stage = Stage::set(&spec.program, theirs, follower)?;
    // A file size limit must be an error that is told, not our death.
    signals::ignore(signals::SIGXFSZ);
    signals::die_of_faults();
    if std::process::id() == 1 {
        // Nobody stops the first process of a pid namespace: from the background it would ask for the terminal for ever. Of
        // these two, ignored, it is refused instead.
        signals::ignore(signals::SIGTTIN);
        signals::ignore(signals::SIGTTOU);
    }
    let stage_pid = stage.pid();
    // Ignored or not, a signal that is taken is read: that it is to be ignored we must see to ourselves.
    let outlives = signals::is_ignored(signals::SIGHUP);
    Ok(Session { spec, signals, screen, streams, stage: Some(stage), size, watch: None, outlives, stage_pid })
}

/// A PTY with the settings and this size of the terminal it stands in for.
fn stand_in(terminal: Terminal, size: Size, spec: &Spec) -> Result<(Screen, OwnedFd), Error> {
    let (leader, follower) = pty::open(size)?;
    let is_terminal = |stream| standard(stream).is_ok_and(|fd| terminal.is(&fd));
    let keyboard = is_terminal(0);
    let display = is_terminal(1);
    let found = Settings::of(&terminal)?;
    // In a pipeline a pager may have it raw already, or sudo without an echo. In the background it is in the hands of the
    // foreground, such as the shell that shows its prompt meanwhile, or beside us in it another session. That is theirs, not the
    // child's.
    let is_ours = || keyboard && display && terminal.is_foreground() && !terminal.is_claimed();
    let ours = found.is_plain() || is_ours();
    let ours = if ours { found } else { found.plain() };
    ours.apply(&follower)?;
    if let Some(identity) = &spec.program.identity {
        pty::give_to(std::os::fd::AsFd::as_fd(&follower), identity.uid)?;
    }
    Ok((Screen { terminal, leader, keyboard, display }, follower))
}

/// Variables in which programs look for the name of the terminal: gpg-agent(1) wants the first one set by hand, sshd sets the
/// second.
const NAMES_TERMINAL: [&str; 2] = ["GPG_TTY", "SSH_TTY"];

/// Where the environment names the operator's terminal, it names the child's instead. A program that opens the terminal by that
/// name (pinentry does) would compete with us for what is typed: a passphrase would come to it in part, and in part be echoed.
fn rename_terminal(program: &mut Program, outer: Option<PathBuf>, inner: Option<PathBuf>) {
    let (Some(outer), Some(inner)) = (outer, inner) else { return };
    let names = |name: &OsString, value: &OsString| {
        NAMES_TERMINAL.iter().any(|terminal| name == terminal) && outer.as_os_str() == value
    };
    let env = match program.env.take() {
        Some(env) => env,
        None if std::env::vars_os().any(|(name, value)| names(&name, &value)) => {
            std::env::vars_os().collect()
        }
        None => return,
    };
    let renamed = env.into_iter().map(|(name, value)| match names(&name, &value) {
        true => (name, inner.clone().into_os_string()),
        false => (name, value),
    });
    program.env = Some(renamed.collect());
}

/// What becomes of a standard stream that is not the terminal of the session.
enum Way {
    /// It passes through a pipe of ours.
    Through,
    /// The child has it as it is: it is asked for things that a pipe does not know, or it matters who reads or writes it.
    AsItIs,
    /// The same, and nothing can be missed by it: it is `/dev/null`.
    Mute,
    /// It is not open in this direction, which must stay the error it is. In the other it would be a stream of which nothing is
    /// recorded: the child has something else that gives this error.
    Useless,
}

fn way(fd: &OwnedFd, access: Access) -> Way {
    match sys::fd::kind(fd) {
        _ if !sys::fd::allows(fd, access) => Way::Useless,
        Kind::File | Kind::Pipe | Kind::Socket | Kind::Local => Way::Through,
        Kind::Other if sys::fd::is_null(fd) && access == Access::Read => Way::Mute,
        // What is typed there would be stored, shown or not.
        Kind::Other if access == Access::Read && is_typed_at(fd) => Way::AsItIs,
        Kind::Other if sys::fd::is_null(fd) || sys::tty::is_terminal(fd) => Way::Through,
        Kind::Other => Way::AsItIs,
    }
}

/// Whether it is a terminal, and not the leader of one, of which what was shown is read.
fn is_typed_at(fd: &OwnedFd) -> bool {
    sys::tty::is_terminal(fd) && !sys::tty::is_leader(fd)
}

/// Our side and the child's side of the three standard streams, of a child that runs as `identity`.
fn connect(
    screen: Option<&Screen>,
    follower: Option<&OwnedFd>,
    identity: Option<&Identity>,
) -> Result<(Streams, [OwnedFd; 3]), Error> {
    let duplicate =
        |fd: &OwnedFd| fd.try_clone().map_err(|e| sys::Error::new("duplicate a descriptor", "", e));
    let as_terminal = |fd: &OwnedFd| match (screen, follower) {
        (Some(screen), Some(follower)) if screen.terminal.is(fd) => Some(duplicate(follower)),
        _ => None,
    };
    // Programs open theirs by name, and a pipe that is made by us is not open to the user they run as.
    let lend = |theirs: &OwnedFd, access| identity.iter().for_each(|_| pipe::allow_by_name(theirs, access));
    let mut streams = Streams { stead: Stead::of(identity)?, ..Streams::default() };
    let ours = standard(0)?;
    let stdin = match (as_terminal(&ours), way(&ours, Access::Read)) {
        (Some(follower), _) => follower?,
        (None, Way::Through) => {
            let (theirs, sink) = pipe::open()?;
            lend(&theirs, Access::Read);
            let feeding = Feeding::new(ours, sink, streams.stead.clone());
            streams.input = Some(feeding.map_err(|e| sys::Error::new("relay standard input", "", e))?);
            streams.beside.push("stdin");
            theirs
        }
        (None, Way::AsItIs) => {
            streams.handed.push("stdin");
            ours
        }
        (None, Way::Mute) => ours,
        (None, Way::Useless) => useless(0)?,
    };
    let mut output = |stream: usize, ours: OwnedFd, name| -> Result<OwnedFd, Error> {
        match (as_terminal(&ours), way(&ours, Access::Write)) {
            (Some(follower), _) => Ok(follower?),
            (None, Way::Through) => {
                let (source, theirs) = pipe::open()?;
                lend(&theirs, Access::Write);
                sys::fd::set_nonblocking(&source, true)
                    .map_err(|e| sys::Error::new("relay an output", "", e))?;
                streams.outputs[stream] = Some((source, Sink::shared(ours, streams.stead.clone())));
                streams.beside.push(name);
                Ok(theirs)
            }
            (None, Way::AsItIs) => {
                streams.handed.push(name);
                Ok(ours)
            }
            (None, Way::Mute) => Ok(ours),
            (None, Way::Useless) => Ok(useless(1)?),
        }
    };
    let (ours, errors) = (standard(1)?, standard(2)?);
    // One descriptor stays one: through two pipes what was written to them would come in another order.
    let both = sys::fd::are_one(&ours, &errors);
    let stdout = output(0, ours, "stdout")?;
    let stderr = if both { duplicate(&stdout)? } else { output(1, errors, "stderr")? };
    for names in [&mut streams.handed, &mut streams.beside] {
        if both && names.contains(&"stdout") {
            names.push("stderr");
        }
    }
    Ok((streams, [stdin, stdout, stderr]))
}

/// Whoever calls chooses the streams, and must not choose so that nothing is recorded: a socket that the child would have as it
/// is makes a terminal of theirs. All of its ends are both ways, so that the one on standard input is an output as well.
fn refuse_sockets(theirs: &[OwnedFd; 3]) -> Result<(), Error> {
    let named = ["standard input", "standard output", "standard error"];
    match theirs.iter().zip(named).find(|(fd, _)| sys::fd::is_socket(fd)) {
        Some((_, stream)) => Err(Error::Unrecorded(stream)),
        None => Ok(()),
    }
}

impl Session {
    /// The size of the terminal at the start as it says it, in cells; `None` where there is no terminal.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size.map(|size| (size.cols, size.rows))
    }

    /// The columns and rows of what is drawn at the start: what the terminal does not say is as programs take it to be then. 0 where
    /// there is no terminal.
    pub fn screen_size(&self) -> (u16, u16) {
        self.size.map_or((0, 0), |size| {
            let assumed = size.assumed();
            (assumed.cols, assumed.rows)
        })
    }

    /// Names of the standard streams (`stdin`, `stdout`, `stderr`) that pass beside the terminal, through us; none where there is no
    /// terminal.
    pub fn beside(&self) -> &[&'static str] {
        if self.screen.is_some() { &self.streams.beside } else { &[] }
    }

    /// The name of the operator's terminal.
    pub fn terminal_name(&self) -> Option<PathBuf> {
        self.screen.as_ref().and_then(|screen| screen.terminal.name())
    }

    /// The name of the terminal that the child gets.
    pub fn follower_name(&self) -> Option<PathBuf> {
        self.screen.as_ref().and_then(|screen| screen.leader.follower_name())
    }

    /// The process that will be the child's parent: everything of the session descends from it.
    pub fn root_pid(&self) -> u32 {
        self.stage_pid
    }

    /// Puts something in the way of the terminal's output.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.watch = Some(watch);
    }

    /// Starts the child and copies until it is over. Times are counted from `start` of the monotonic clock. On return, whatever
    /// happened, the terminal is restored and [`Feed`] is dropped: by that the recorder knows it has everything.
    ///
    /// # Errors
    /// When the child cannot be started, or the loop cannot go on; the child is then hung up.
    pub fn run(&mut self, feed: Feed, start: Duration) -> Result<Outcome, Error> {
        let outcome = Pump::new(self, feed, start).and_then(Pump::run);
        // Who asks us to end while the recording is closed is too late to have any part in how the child ended.
        self.signals.keep_blocked();
        outcome
    }

    /// A line for the operator, once the child has ended.
    pub fn tell(&self, text: &str) {
        if let Ok(stead) = Stead::of(self.spec.program.identity.as_ref()) {
            tell(Terminal::of_session().as_ref(), stead, text);
        }
    }
}

/// A line for the operator, on the terminal or, where there is none, on standard error, in somebody's stead. It is not waited for:
/// who does not read what he is told must not hold up a session that has to end.
pub(super) fn tell(terminal: Option<&Terminal>, stead: Option<Stead>, text: &str) {
    let text = crate::text::escaped(text);
    match terminal {
        // In raw mode a newline alone would not return the carriage. What cannot be told cannot be told.
        Some(terminal) => {
            if let Ok(sink) = Sink::of_terminal(terminal) {
                sink.offer(format!("\r\nsealcast: {text}\r\n").as_bytes());
            }
        }
        None => {
            if let Ok(stderr) = standard(2) {
                Sink::shared(stderr, stead).offer(format!("sealcast: {text}\n").as_bytes());
            }
        }
    }
}
