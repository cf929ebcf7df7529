//! One recording from its order to its close: the steps, and why they stand in this order.
//!
//! 1. The session is prepared: terminal, signals, and the process that will start the child. No key exists yet, so no
//!    child can have inherited one.
//! 2. The recorder thread starts, and waits: where there is no room for it, no recording has begun.
//! 3. Keys are made and sealed to the recipients, the file is created, header and certificate are written and synced. What
//!    fails up to here fails before anything of the child's has run.
//! 4. The recorder gets to work; then the child starts; then bytes are copied until it is over.
//! 5. The queue ends, the recorder closes the file, and only then do we go.

use super::disk;
use super::queue::{self, Word};
use super::recorder::{self, Indexer, Policy, Recorded};
use super::session::{self, Outcome, Session};
use crate::cast::{Anchor, Header as CastHeader, Term, millis};
use crate::container::cert::NAMESPACE;
use crate::container::{self, Header, Meta, SessionKeys, Setup, Writer};
use crate::crypto::recipient::{Recipient, WrapError};
use crate::crypto::sshsig::Signer;
use crate::store::period::Period;
use crate::store::{self, RecordingFile, Store};
use crate::sys;
use crate::sys::clock::{Turns, monotonic};
use crate::sys::stack::{DEEP, THREAD, apart};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// What is held for the close alone, at most, in bytes: its index is that of the last segment.
const MOST_BALLAST: u64 = 4 << 20;
/// Bytes that may wait between the copying loop and the recorder.
const QUEUE: usize = 512 << 10;
/// How long the recorder may take for what is left at the end before the operator is told what is waited for.
const CLOSES: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What he is told then.
const WAITS: &str = "the session is over: its recording cannot be closed at the moment, and is waited for";

/// What is told of a recorder that panicked.
const FAILED: &str = "the recorder failed unexpectedly";

/// Everything a recording needs to begin.
pub struct Order {
    /// What to run, and how.
    pub session: session::Spec,
    /// Where the recording goes.
    pub store: Store,
    /// To whom it is sealed.
    pub recipients: Vec<Recipient>,
    /// The key of a longer period, when there is one.
    pub period: Option<Period>,
    /// Reads the host's signing key. Called once the session is prepared: the process that will start the child is forked
    /// off before, and must not hold a copy.
    pub signer: ReadSigner,
    /// How it is kept going.
    pub policy: Policy,
    /// The public facts; start, recipients and tool are filled in.
    pub header: Header,
    /// The sealed facts; terminal, size and what the guard really got are filled in.
    pub meta: Meta,
    /// How the recorder guards itself.
    pub guard: Guarding,
}

/// How the recorder guards itself against accidents and against the person it records. What is asked for and cannot be had
/// is no failure: the header says what took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarding {
    /// Memory out of swap.
    pub lock_memory: bool,
    /// The append-only attribute for the file.
    pub append_only: bool,
}

/// What is added once the session is prepared and before its child runs: what stands in the way of the output, what makes
/// the index, and what the header should say of them.
/// An error ends it before anything is run.
pub type Fit<'a> = dyn FnOnce(&mut Session, &mut Meta) -> Result<Box<dyn Indexer>, Error> + 'a;

/// A recording that was made.
#[derive(Debug)]
pub struct Taken {
    /// Where it is.
    pub path: PathBuf,
    /// Its id as text.
    pub id: String,
    /// How the session went.
    pub session: Result<Outcome, session::Error>,
    /// How the recording went.
    pub recorded: Recorded,
}

/// Reads the host's signing key when it is needed.
pub type ReadSigner = Box<dyn FnOnce() -> Result<Signer, Box<dyn std::error::Error + Send + Sync>>>;

/// Why a recording could not even begin. Nothing of the child's has run.
#[derive(Debug)]
pub enum Error {
    /// The terminal, a pipe or a process could not be had.
    Session(session::Error),
    /// The keys could not be sealed to the recipients.
    Wrap(WrapError),
    /// The signing key could not be read.
    Signer(Box<dyn std::error::Error + Send + Sync>),
    /// The file could not be made.
    Store(store::Error),
    /// Its beginning could not be written.
    Container(container::Error),
    /// There is no room for a recording.
    NoRoom(sys::Error),
    /// Executed programs cannot be watched as they must be: why, in one sentence.
    Unwatched(String),
    /// Nothing is left for what watches executed programs, or makes the index, and no session is to start without.
    Scarce {
        /// What could not be started, and why, in a few words.
        why: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::Wrap(error) => error.fmt(f),
            Self::Signer(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Container(error) => error.fmt(f),
            Self::NoRoom(_) => f.write_str("there is no room for a recording"),
            Self::Unwatched(why) => write!(f, "not every executed program could be watched: {why}"),
            Self::Scarce { why, .. } => write!(f, "what watches executed programs cannot be started: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Session(error) => error.source(),
            Self::Wrap(error) => error.source(),
            Self::Signer(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::Container(error) => error.source(),
            Self::NoRoom(error) => Some(error),
            Self::Unwatched(_) => None,
            Self::Scarce { source, .. } => Some(source),
        }
    }
}

/// Records a session. Returns when the child has ended and the file is closed. `begun` is called once there is a recording,
/// its header synced, and before the child is started.
///
/// # Errors
/// [`Error`]: it could not begin. What goes wrong later is in [`Taken`].
pub fn take(order: Order, fit: Box<Fit<'_>>, begun: impl FnOnce()) -> Result<Taken, Error> {
    let Order { session, store, recipients, period, signer, policy, header, meta, guard } = order;
    sys::memory::one_arena();
    let mut session = session::prepare(session).map_err(Error::Session)?;
    // After the stage was forked: it, and the child, are not concerned. Before there are threads and witnesses: whoever starts us
    // must not choose by a limit which of them there are.
    sys::harden::forget_what_the_caller_chose();
    sys::harden::mask_files();
    let (header, mut meta) = (header, meta);
    // What stops us in the background is the loop's to take, which is this thread: whoever else took it would let the loop run on.
    let unstopped = sys::signals::Unstopped::begin();
    let indexer = fit(&mut session, &mut meta)?;
    if guard.lock_memory {
        in_force(&mut meta, "locked-memory", sys::harden::lock_memory());
    }
    let start = sys::clock::realtime();
    let (feed, intake) = queue::bounded(QUEUE).map_err(|e| Error::Session(e.into()))?;
    let (hand_over, work) = mpsc::sync_channel::<(Writer<RecordingFile>, Policy, Duration)>(1);
    let (ends, ended) = mpsc::channel();
    let recorder = std::thread::Builder::new()
        .name("recorder".to_owned())
        .stack_size(THREAD)
        .spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            let mut indexer = indexer;
            // Nothing comes where a recording could not begin.
            let Ok((writer, policy, origin)) = work.recv() else {
                return Recorded::nothing(None);
            };
            indexer.begin(origin);
            let clock = || clock(origin);
            let recorded = catch_unwind(AssertUnwindSafe(|| {
                recorder::record(&intake, writer, indexer.as_mut(), policy, &clock)
            }));
            recorded.unwrap_or_else(|_| {
                // What was sealed stays good; the loop learns that nobody records any more when the queue is dropped.
                let why = FAILED.to_owned();
                intake.say(Word::Tell(why.clone()));
                Recorded::nothing(Some(why))
            })
        })
        .map_err(|e| Error::Session(sys::Error::new("start the recorder thread", "", e).into()))?;
    let beginning = Beginning { start, recipients, period, signer, policy, header, meta, guard };
    let (writer, path, id, policy) = begin(&store, &session, beginning)?;
    // Neither the secret half of the signing key nor what the start left behind is needed any more.
    sys::memory::trim();
    sys::memory::release_code();
    // One for all: on a busy host milliseconds lie between two looks, and what the shell and the kernel tell would not be of one
    // time. Were the recorder gone already, the loop would see it.
    let origin = sys::clock::monotonic();
    let _ = hand_over.send((writer, policy, origin));
    drop(hand_over);
    drop(unstopped);
    begun();
    let outcome = session.run(feed, origin);
    if !ends_in_time(&ended) {
        session.tell(WAITS);
    }
    let recorded = recorder.join().unwrap_or_else(|_| Recorded::nothing(Some(FAILED.to_owned())));
    Ok(Taken { path, id, session: outcome, recorded })
}

/// Waits up to [`CLOSES`] for the recorder. False if it has not ended by then.
fn ends_in_time(ended: &mpsc::Receiver<()>) -> bool {
    let mut turns = Turns::default();
    let begun = turns.turn(monotonic());
    while turns.turn(monotonic()).saturating_sub(begun) < CLOSES {
        if ended.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Disconnected) {
            return true;
        }
    }
    false
}

/// Both clocks, and the time since `origin` on the monotonic one.
fn clock(origin: Duration) -> Anchor {
    Anchor {
        at: millis(sys::clock::monotonic().saturating_sub(origin)),
        utc: i64::try_from(sys::clock::realtime().as_millis()).unwrap_or(i64::MAX),
        boot: millis(sys::clock::boottime()),
    }
}

/// States what took effect.
fn in_force(meta: &mut Meta, what: &str, is: bool) {
    meta.in_force.insert(what.to_owned(), if is { "yes" } else { "no" }.to_owned());
}

type Begun = (Writer<RecordingFile>, PathBuf, String, Policy);

/// What a file begins with, of the [`Order`], once the session is prepared.
struct Beginning {
    start: Duration,
    recipients: Vec<Recipient>,
    period: Option<Period>,
    signer: ReadSigner,
    policy: Policy,
    header: Header,
    meta: Meta,
    guard: Guarding,
}

fn begin(store: &Store, session: &Session, beginning: Beginning) -> Result<Begun, Error> {
    let Beginning { start, recipients, period, signer, mut policy, mut header, mut meta, guard } = beginning;
    let keys = SessionKeys::generate().map_err(Error::Container)?;
    let slots = store::seal::slots(&keys, &recipients, period.as_ref()).map_err(Error::Wrap)?;
    header.start = i64::try_from(start.as_millis()).unwrap_or(i64::MAX);
    header.recipients = recipients.iter().map(Recipient::to_string).collect();
    header.tool = format!("sealcast {}", env!("CARGO_PKG_VERSION"));
    (meta.cols, meta.rows) = session.size().unwrap_or((0, 0));
    let (cols, rows) = session.screen_size();
    meta.tty = session.terminal_name().map(|p| p.display().to_string()).unwrap_or_default();
    meta.beside = session.beside().iter().map(|name| (*name).to_owned()).collect();
    let cast = CastHeader {
        version: 3,
        term: Term { cols, rows, kind: Some(meta.term.clone()).filter(|t| !t.is_empty()) },
        timestamp: Some(header.start.div_euclid(1000)),
        command: Some(meta.argv.join(" ")).filter(|c| !c.is_empty()),
        ..CastHeader::default()
    };
    // Before the file: a key that cannot be read leaves none behind.
    let signer = apart(DEEP, signer).map_err(Error::Signer)?;
    let file = store.create(header.start, keys.session()).map_err(Error::Store)?;
    let path = file.path().to_path_buf();
    let id = store::id_text(keys.session());
    let append_only = guard.append_only && file.can_be_append_only();
    if guard.append_only {
        in_force(&mut meta, "append-only", append_only);
    }
    let setup = Setup { header, meta, cast, slots, ledger: String::new() };
    let sign = |text: &str| Ok(signer.sign(NAMESPACE, text.as_bytes())?);
    let written = hold_room(store, &file, policy.reserve)
        .map(|held| policy.reserve = held)
        .and_then(|()| Writer::create(file, keys, setup, sign).map_err(Error::Container));
    let mut writer = written?;
    writer.sink().publish().map_err(|error| Error::Store(error.into()))?;
    if append_only {
        // It worked a moment ago. Should it not work now, the recording is as good without.
        let _ = writer.sink().make_append_only();
    }
    Ok((writer, path, id, policy))
}

/// How it was found out whether a recording has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It was held for a moment.
    Held,
    /// What is free was compared with what a recording holds, and with the least without which it does not begin; all in bytes.
    /// Quotas are not seen by that.
    Compared {
        /// This much is free.
        free: u64,
        /// This much a recording holds.
        most: u64,
        /// It makes do with this much.
        least: u64,
    },
}

/// Whether a recording would find its room in this store: a reserve of so many bytes. It is held only where there is plenty, for a
/// moment: with less a session that runs could be ended because it wants to write at that moment. Nothing of it stays held.
///
/// # Errors
/// [`Error::Store`], [`Error::NoRoom`].
pub fn try_room(store: &Store, reserve: u64) -> Result<Room, Error> {
    let space = || sys::file::free_space(store.dir()).map_err(|error| Error::Store(error.into()));
    let apart = apart_of(reserve);
    let (most, least) = (reserve.saturating_add(apart), disk::least_reserve(reserve).saturating_add(apart));
    let mut found = space()?;
    if found.available < least {
        // As a recording would before it gives up.
        store.give_back();
        found = space()?;
    }
    // A file system that has no size does not say what is free either.
    if found.total > 0 && found.available / 2 < most {
        return Ok(Room::Compared { free: found.available, most, least });
    }
    let file = store.create(0, &[0; 16]).map_err(Error::Store)?;
    hold_room(store, &file, reserve).map(|_| Room::Held)
}

/// What of a reserve is held apart for the close.
fn apart_of(reserve: u64) -> u64 {
    (reserve / 4).clamp(disk::LEAST_RESERVE, MOST_BALLAST)
}

/// Holds the reserve, and a part of it apart for the close. Gives what is held.
fn hold_room(store: &Store, file: &RecordingFile, reserve: u64) -> Result<u64, Error> {
    if reserve == 0 {
        return Ok(0);
    }
    let apart = apart_of(reserve);
    let hold = || {
        file.hold_ballast(apart)?;
        disk::hold_reserve(file, reserve)
    };
    let held = hold().or_else(|_| {
        // Recorders that were killed may have left theirs.
        store.give_back();
        hold()
    });
    held.map_err(Error::NoRoom)
}
