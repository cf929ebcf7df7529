//! Every program that is executed below the session, as the kernel sees it, whatever the shell says.
//!
//! | mechanism | when |
//! |---|---|
//! | programs at the kernel's tracepoints (eBPF), written here instruction by instruction | where the kernel allows it |
//! | process events connector, completed from `/proc` | else, where allowed |
//! | nothing | else: [`Availability`] says so, for the header |
//!
//! Refuses to hold anything up: it watches, it never decides. It does not see what is started for the session by others
//! (at, cron, systemd-run, container daemons), nor builtins of shells, nor code loaded into the kernel.

mod assembler;
mod btf;
mod connector;
mod fields;
mod kernel;
mod left;
#[cfg(test)]
mod of_test;
mod program;
mod pulse;
mod record;

pub use pulse::Pulse;
pub use record::Event;

use crate::cast;
use crate::sys::clock;
use crate::sys::poll::{Bell, Set};
use crate::sys::proc;
use crate::sys::scarce::{self, is_scarce};
use crate::sys::stack::THREAD;
use crate::text;
use btf::BtfError;
use connector::ConnectorTrace;
use kernel::KernelTrace;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the kernel's list of followed processes is compared with what was told of them.
const LOOK: Duration = Duration::from_secs(1);
/// The same while nothing is told: it costs a call for every process.
const QUIET_LOOK: Duration = Duration::from_secs(10);
/// Events that may wait for [`Trace::drain`]…
const WAITING: usize = 65_536;
/// …and bytes of them: who does not fetch them for long must not take the memory of the host.
const WAITING_BYTES: usize = 16 << 20;
/// How long what ends with the session may take to end, before it counts as left running: it is followed for so long.
const GRACE: Duration = Duration::from_millis(100);
/// How long is waited for the trace's thread to end. Root inside can hold it up; whoever waits is waited for as well.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Which mechanisms may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The best that works.
    #[default]
    Auto,
    /// Only the process events connector.
    #[cfg(test)]
    Connector,
    /// None.
    Off,
}

/// What watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Programs at the kernel's tracepoints.
    Ebpf,
    /// The process events connector.
    Connector,
    /// Nothing: neither was available.
    None,
    /// Nothing: switched off.
    Off,
}

impl Mechanism {
    /// As the header of the recording tells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Connector => "connector",
            Self::None => "none",
            Self::Off => "off",
        }
    }
}

/// What was available, as the header of the recording tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// What watches.
    pub mechanism: Mechanism,
    /// One sentence for people: what is seen and what is not, and why nothing better was available.
    pub statement: String,
    /// Why something better could not be started, where the host has it.
    pub scarce: Option<Scarce>,
}

/// Nothing is left of what something takes at the moment: memory, threads, descriptors. Whoever starts us may have chosen that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scarce {
    /// What could not be done, and why, in a few words.
    pub why: String,
    /// The kernel's number for that.
    pub errno: i32,
}

impl Availability {
    /// Whether every program is seen, with its arguments.
    pub fn is_complete(&self) -> bool {
        self.mechanism == Mechanism::Ebpf
    }
}

/// Why a mechanism cannot be had.
#[derive(Debug)]
struct Refusal {
    why: String,
    /// The kernel's number for that.
    errno: Option<i32>,
}

impl Refusal {
    /// What could not be done, and the kernel's reason.
    fn new(what: String, error: &std::io::Error) -> Self {
        Self { why: format!("{what}: {error}"), errno: error.raw_os_error() }
    }
}

impl From<crate::sys::Error> for Refusal {
    fn from(error: crate::sys::Error) -> Self {
        Self { why: text::chain(&error), errno: error.source.raw_os_error() }
    }
}

impl From<BtfError> for Refusal {
    fn from(error: BtfError) -> Self {
        let errno = if let BtfError::Unreadable(_, errno) = error { errno } else { None };
        Self { why: error.to_string(), errno }
    }
}

/// A trace, running on its own thread until it is finished or dropped.
pub struct Trace {
    events: Receiver<Event>,
    waiting: Arc<Waiting>,
    running: Option<Running>,
}

/// The thread of a trace.
struct Running {
    bell: Arc<Bell>,
    thread: std::thread::JoinHandle<()>,
    /// Nothing comes here: it breaks when the thread ends, however it does.
    ends: Receiver<()>,
}

/// What was sent and not yet fetched.
#[derive(Default)]
struct Waiting {
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Programs that were sent, fetched or not.
    executed: Arc<AtomicU64>,
    /// All that was seen before was sent: microseconds of the monotonic clock.
    through: AtomicU64,
    /// Grows as long as the thread gets on, in every [`LOOK`].
    turns: Arc<AtomicU64>,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.events.load(Ordering::Relaxed) < WAITING && self.bytes.load(Ordering::Relaxed) < WAITING_BYTES
    }

    fn sent(&self, size: usize, is_program: bool) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.executed.fetch_add(u64::from(is_program), Ordering::Relaxed);
    }

    fn fetched(&self, size: usize) {
        self.events.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

/// Bytes that an event takes, about.
fn size(event: &Event) -> usize {
    size_of::<Event>().saturating_add(if let Event::Executed(exec) = event { exec.size() } else { 0 })
}

enum Witness {
    Kernel(Box<KernelTrace>),
    Connector(ConnectorTrace),
}

impl Witness {
    /// What is ready to be read where something was told.
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kernel(trace) => trace.as_fd(),
            Self::Connector(trace) => trace.as_fd(),
        }
    }

    /// Gives what was told, and says whether that was all.
    fn read(&mut self, give: impl FnMut(Event)) -> bool {
        match self {
            Self::Kernel(trace) => {
                trace.read(give);
                trace.is_empty()
            }
            Self::Connector(trace) => {
                trace.read(give);
                true
            }
        }
    }

    /// How long after a look the next one is due; `None` where there is no list to compare with.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Kernel(trace) if trace.is_quiet() => Some(QUIET_LOOK),
            Self::Kernel(_) => Some(LOOK),
            Self::Connector(_) => None,
        }
    }

    /// Compares what was told with the kernel's list.
    fn look(&mut self, give: impl FnMut(Event)) {
        if let Self::Kernel(trace) = self {
            trace.look(give);
        }
    }

    /// Whether anything runs below the process that is followed, by what was told.
    fn has_any(&self) -> bool {
        match self {
            Self::Kernel(trace) => trace.has_any(),
            Self::Connector(trace) => trace.has_any(),
        }
    }

    /// Gives the last of what was told, and those that still run.
    fn finish(self, give: impl FnMut(Event)) -> Vec<u32> {
        match self {
            Self::Kernel(trace) => trace.finish(give),
            Self::Connector(trace) => trace.finish(),
        }
    }
}

impl Trace {
    /// Starts to follow process `root` and all that it starts from now on. Best started before the session's shell, with
    /// the recorder's own process: then nothing the shell does is missed, its own start included. `zero` is the
    /// monotonic clock at the start of the session.
    ///
    /// Never fails: what was not available is said. Where there was [nothing left](Availability::scarce) for it, it is tried again for a
    /// second.
    pub fn start(mode: Mode, root: u32, zero: Duration) -> (Self, Availability) {
        scarce::insist(
            || Self::try_start(mode, root, zero),
            |(_, availability)| availability.scarce.is_some(),
        )
    }

    fn try_start(mode: Mode, root: u32, zero: Duration) -> (Self, Availability) {
        // Bounded by a count and not by its room: a bounded channel takes all of its room (8 MiB) at once.
        let (sender, events) = channel();
        let waiting = Arc::new(Waiting::default());
        let (witness, availability) = choose(mode, root, zero);
        let (witness, availability) = match witness {
            None => (None, availability),
            Some(witness) => match run(witness, sender, Arc::clone(&waiting)) {
                Ok(running) => (Some(running), availability),
                Err(refusal) => (None, none(&[refusal])),
            },
        };
        if witness.is_none() {
            waiting.through.store(u64::MAX, Ordering::Release);
        }
        (Self { events, waiting, running: witness }, availability)
    }

    /// Whether nothing is seen any more, though nobody has stopped it: its thread has failed.
    pub fn has_failed(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.thread.is_finished())
    }

    /// What tells whether it gets on, where there is a thread that should.
    pub fn pulse(&self) -> Option<Pulse> {
        self.running.as_ref().map(|_| Pulse::new(Arc::clone(&self.waiting.turns)))
    }

    /// How many executed programs were told of so far, fetched or not; goes on to count.
    pub fn executed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.waiting.executed)
    }

    /// The time of the monotonic clock before which all that was seen can be fetched, for a caller that looks here first and fetches
    /// then; where there is no trace, or no more, nothing is to come. It goes on once a second, and whenever something happens.
    pub fn through(&self) -> Duration {
        Duration::from_micros(self.waiting.through.load(Ordering::Acquire))
    }

    /// Gives what has happened since the last call to `each`, without waiting. Events of one processor come in order; those
    /// of several nearly so.
    pub fn drain(&self, mut each: impl FnMut(Event)) {
        for event in self.events.try_iter() {
            self.waiting.fetched(size(&event));
            each(event);
        }
    }

    /// Stops, and gives the rest.
    pub fn finish(mut self, each: impl FnMut(Event)) {
        self.stop();
        self.drain(each);
    }

    /// Stops; what was seen until now can still be drained. Gives whether that is all: its thread may not get on, and is then not
    /// waited for.
    pub fn stop(&mut self) -> bool {
        let Some(Running { bell, thread, ends }) = self.running.take() else { return true };
        bell.ring();
        if ends.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            return false;
        }
        // A panic there ends the trace, not the session.
        let _ = thread.join();
        true
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.stop();
    }
}

fn choose(mode: Mode, root: u32, zero: Duration) -> (Option<Witness>, Availability) {
    let mut refused = Vec::new();
    if mode == Mode::Off {
        let statement = "executed programs were not watched: switched off".into();
        return (None, Availability { mechanism: Mechanism::Off, statement, scarce: None });
    }
    let named = |name: &str, refusal: Refusal| Refusal { why: format!("{name}: {}", refusal.why), ..refusal };
    if mode == Mode::Auto {
        match KernelTrace::start(root, zero) {
            Ok(trace) => {
                let statement =
                    "every program executed below the session was watched from inside the kernel (eBPF), while the session lasted, but \
                    where a `lost-execs` among its commands says otherwise"
                        .into();
                return (
                    Some(Witness::Kernel(Box::new(trace))),
                    Availability { mechanism: Mechanism::Ebpf, statement, scarce: None },
                );
            }
            Err(refusal) => refused.push(named("eBPF", refusal)),
        }
    }
    match ConnectorTrace::start(root, zero) {
        Ok(trace) => {
            let mut statement = "executed programs were watched through the kernel's process events, while the session lasted; \
                arguments of short-lived ones can be missing"
                .to_string();
            if !refused.is_empty() {
                statement.push_str(&format!(" ({})", joined(&refused)));
            }
            let scarce = of_scarce(&refused);
            (
                Some(Witness::Connector(trace)),
                Availability { mechanism: Mechanism::Connector, statement, scarce },
            )
        }
        Err(refusal) => {
            refused.push(named("process events", refusal));
            (None, none(&refused))
        }
    }
}

/// Whether this process is in the first namespace of its kind: `user`, `pid`. The kernel numbers those once for all.
fn in_first_namespace(kind: &str, number: u32) -> Result<(), Refusal> {
    let path = format!("self/ns/{kind}");
    match proc::link(&path) {
        Ok(link) if link.as_os_str() == format!("{kind}:[{number}]").as_str() => Ok(()),
        Ok(_) => Err(Refusal { why: format!("not in the first {kind} namespace"), errno: None }),
        Err(error) => Err(Refusal::new(format!("cannot read /proc/{path}"), &error)),
    }
}

fn none(refused: &[Refusal]) -> Availability {
    let statement = format!("executed programs were not watched: {}", joined(refused));
    Availability { mechanism: Mechanism::None, statement, scarce: of_scarce(refused) }
}

fn joined(refused: &[Refusal]) -> String {
    refused.iter().map(|refusal| refusal.why.as_str()).collect::<Vec<_>>().join("; ")
}

/// The first that would be there, were there enough for it.
fn of_scarce(refused: &[Refusal]) -> Option<Scarce> {
    refused.iter().find_map(|Refusal { why, errno }| {
        let errno = errno.filter(|errno| is_scarce(*errno))?;
        Some(Scarce { why: why.clone(), errno })
    })
}

/// Reads the witness on a thread of its own until the bell rings.
fn run(witness: Witness, sender: Sender<Event>, waiting: Arc<Waiting>) -> Result<Running, Refusal> {
    let bell = Arc::new(Bell::new()?);
    let heard = Arc::clone(&bell);
    let (ended, ends) = channel();
    let body = move || {
        let _ended: Sender<()> = ended;
        let mut witness = witness;
        let mut slow = 0_u64;
        let mut looked = clock::monotonic();
        // Whether there was room. A receiver that is gone needs none.
        let send = |event: Event| {
            // A turn takes long where much happens.
            waiting.turns.fetch_add(1, Ordering::Relaxed);
            let room = waiting.has_room();
            let (size, is_program) = (size(&event), matches!(event, Event::Executed(_)));
            if room {
                // Counted before it can be fetched.
                waiting.sent(size, is_program);
                // Nobody is there any more: nothing waits.
                if sender.send(event).is_err() {
                    waiting.fetched(size);
                }
            }
            room
        };
        let mut give = |event: Event| {
            // What did not fit before is told as soon as there is room again.
            if slow > 0 && send(Event::Lost { count: slow, why: "slow" }) {
                slow = 0;
            }
            if !send(event) {
                slow = slow.saturating_add(1);
            }
        };
        let mut set = Set::default();
        // Once it is to stop: until when what ends with the session is followed.
        let mut until = None;
        loop {
            waiting.turns.fetch_add(1, Ordering::Relaxed);
            set.clear();
            set.add(witness.fd(), true, false);
            // A bell that was rung rings on.
            let stop = until.is_none().then(|| set.add(&*heard, true, false));
            let wait = until.map_or(LOOK, |until: Duration| until.saturating_sub(clock::monotonic()));
            let failed = set.wait(Some(wait)).is_err();
            let before = cast::micros(clock::monotonic());
            if witness.read(&mut give) {
                waiting.through.store(before, Ordering::Release);
            }
            if witness.pause().is_some_and(|pause| clock::monotonic() >= looked.saturating_add(pause)) {
                looked = clock::monotonic();
                witness.look(&mut give);
            }
            if stop.is_some_and(|stop| set.ready(stop).read) {
                until = Some(clock::monotonic().saturating_add(GRACE));
            }
            if failed || until.is_some_and(|until| !witness.has_any() || clock::monotonic() >= until) {
                break;
            }
        }
        let running = witness.finish(&mut give);
        // The last words, for which there is room.
        let lost = (slow > 0).then_some(Event::Lost { count: slow, why: "slow" });
        for event in lost.into_iter().chain(left::told(&running)) {
            let size = size(&event);
            waiting.sent(size, false);
            if sender.send(event).is_err() {
                waiting.fetched(size);
            }
        }
        waiting.through.store(u64::MAX, Ordering::Release);
    };
    let thread = std::thread::Builder::new().name("exec-trace".into()).stack_size(THREAD).spawn(body);
    let thread = thread.map_err(|error| Refusal::new("cannot start a thread".into(), &error))?;
    Ok(Running { bell, thread, ends })
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
