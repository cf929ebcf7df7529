//! The loop that copies. One thread, one `poll`, no buffer that grows.
//!
//! Each read of the output goes to the operator first, then into a batch for the recorder. While something is not
//! written it reads no more from where that came: a terminal that does not read slows the child, and keys still pass,
//! because every direction has its own buffer. A full queue to the recorder stops the reading too; one that is not taken from stops keys
//! as well, unless the session is to go on without a recording.

mod ahead;
mod answer;
mod copy;
mod gone;
mod outputs;
mod waits;

use super::batch::Batch;
use super::keyboard::Keyboard;
use super::lane::{Buffer, Sink};
use super::queue::Feed;
use super::session::{Error, Outcome, Screen, Session, Streams, Watch};
use crate::cast::{Gap, Payload, Why};
use crate::policy::OnFailure;
use crate::sys::alarm::Alarm;
use crate::sys::clock;
use crate::sys::poll::{Group, Ready, Set, Slot};
use crate::sys::signals::{self, Arrived, Signal, Signals};
use crate::sys::stage::{Ended, Stage};
use crate::sys::tty::Size;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

/// Size of the buffers. A PTY gives about 4 KiB at a time: larger ones gain nothing.
const BUFFER: usize = 16 << 10;
/// Size of the buffers of streams that pass through pipes: as much as a pipe holds.
const STREAM_BUFFER: usize = 64 << 10;
/// A PTY gives at most this much at once (`N_TTY_BUF_SIZE` - 1 in the kernel). A shorter read has emptied it: it is
/// shown without looking for more.
const SHORT: usize = 4095;
/// A PTY holds far less than this that was not read yet (about 20 KiB).
const UNREAD: usize = 256 << 10;
/// The same with less to spare: once this much was read, all that was in it before has been.
const HOLDS: usize = 64 << 10;
/// How long what is to be noted of a key or of its echo may wait for the echo to be seen. (A time limit so near that the kernel
/// keeps its tick, 1 ms, makes an echo half as long again; this one is not felt.)
const LULL: Duration = Duration::from_millis(5);
/// How often one direction is served before all others are looked at.
const TURNS: usize = 16;
/// After the child's end: how long silence is waited for before what holds the terminal open is left behind.
const SILENCE: Duration = Duration::from_millis(150);
/// The same, where it is a file that is held open. (A pipe is read to its end: so would who reads it, without us.)
const FILE_SILENCE: Duration = Duration::from_secs(1);
/// After the child's end: how long, in all, output of what it left behind is still taken. What the child itself has written is
/// taken to its end, however long that takes: see [`Pump::owed`].
const LINGER: Duration = Duration::from_secs(2);
/// The place of the terminal in [`Pump::owed`], behind those of the streams.
const TERMINAL: usize = 2;
/// A terminal that has taken nothing for so long, as long as what is recorded waits for its flush, stands still…
const STILL: Duration = Duration::from_secs(1);
/// …and so does one that has not taken in this time what one buffer holds.
const SLOW: Duration = Duration::from_secs(10);
/// How long after a key that stops it is waited for the child's stop before what is stopped beside it goes on.
const STOPS: Duration = Duration::from_secs(1);
/// How long it is waited for that the program's file is executed before what is to end it is told it all the same.
const LATE: Duration = Duration::from_secs(1);
/// How often a terminal is looked at of which nobody tells us: one that does not control us, and one behind which we are.
const LOOK: Duration = Duration::from_secs(1);
/// How long a child that was hung up may take to end before it is killed.
const HANG_UP: Duration = Duration::from_secs(2);

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The child is being started, or runs.
    Running,
    /// The child was hung up at this time.
    HungUp { since: Duration, killed: bool },
    /// The child ended; its last output is being fetched.
    Ended { how: Ended, since: Duration },
}

/// The loop and everything it holds.
pub(super) struct Pump<'a> {
    signals: &'a Signals,
    stage: Stage,
    program: OsString,
    dir: Option<PathBuf>,
    on_loss: OnFailure,
    /// Gone once the child was hung up, or the terminal of a session that goes on without it.
    screen: Option<Screen>,
    /// There was a terminal at the start: the child leads a process group of its own.
    leads: bool,
    /// The session goes on without its terminal.
    outlives: bool,
    terminal_out: Option<Sink>,
    size: Option<Size>,
    /// Of the terminal inside, as it was recorded last: whoever is in it can change it.
    inner: Option<Size>,
    /// When a terminal that tells nothing is looked at again.
    next_look: Duration,
    /// When it was looked at last, somebody else was in its foreground, or it was gone already.
    behind: bool,
    keyboard: Keyboard,
    keys: Buffer,
    /// Of the keys in the buffer nothing was handed on yet.
    fresh: bool,
    /// What was typed before the program ran, and all behind it, is kept back.
    ahead: Option<ahead::Ahead>,
    /// Of the keys in the buffer, while they are not recorded: when they were read, and whether as a secret.
    typed: Option<(Duration, bool)>,
    output: Output<'a>,
    streams: Streams,
    stream_buffers: [Buffer; 2],
    batch: Batch,
    child: Option<u32>,
    /// When the word to start it was given.
    began: Duration,
    /// The child was given the foreground of its terminal.
    front: bool,
    /// Foreground changes that the stage has not confirmed. Each continues the child: earlier stops are void, later ones wait in
    /// [`Pump::early`].
    placing: u32,
    /// Nobody can bring us to the foreground (our group is orphaned): the child has that of its terminal all the same.
    lone: bool,
    /// Signals that came before the child was there, and stops that wait.
    early: Vec<Arrived>,
    /// A stop was sent to whoever has the foreground inside: until when that is to be the child's stop. See [`STOPS`].
    stop_due: Option<Duration>,
    /// The signal of the key that was last to end the child, if nobody has sent one since.
    key: Option<Signal>,
    phase: Phase,
    /// Wakes the loop when something is due although nothing happens.
    alarm: Alarm,
    /// The signals, the bell, the alarm, and until its end the stage: at a key none of them is asked.
    calm: Group,
    last_byte: Duration,
    /// When a stream last took something of what was written to it.
    handed: Duration,
    /// Once the child has ended: how much of what it has written may still be unread, in the terminal and in the pipes.
    owed: [usize; 3],
    /// The last look at everything that can give output found nothing. Time alone does not tell: on a busy host we may
    /// be late ourselves.
    quiet: bool,
    /// How much was read since the echo of a key is overdue.
    overdue: usize,
    /// The terminal stands still, or did and there is more to read: no echo is there in time. Keys still pass.
    blind: bool,
    hung_up: bool,
    /// The recorder ordered the end, and said why.
    ordered_end: Option<String>,
    lost_told: bool,
    /// A stream could not be handed on to its end, and that was told.
    failed: bool,
}

/// The output of the terminal on its way: read, perhaps watched, shown, then recorded.
struct Output<'a> {
    buffer: Buffer,
    watch: Option<&'a mut Box<dyn Watch>>,
    /// What a watch made of the bytes, to be recorded once they are shown.
    pieces: Vec<Recorded>,
    /// When it was read.
    at: Duration,
    /// When the terminal last took something of it.
    taken: Duration,
    /// When it was shown, where it is recorded later.
    shown: Option<Duration>,
    ended: bool,
    /// A time, and how much was read since: see [`HOLDS`].
    since: (Duration, usize),
    /// Everything that was written before has been read, and is recorded with what is in the buffer.
    through: Option<Duration>,
}

enum Recorded {
    Bytes(usize),
    Event(Payload),
}

/// Places in the poll set.
#[derive(Default)]
struct Slots {
    calm: Option<Slot>,
    terminal: Option<Slot>,
    leader: Option<Slot>,
    input: Option<Slot>,
    input_sink: Option<Slot>,
    sources: [Option<Slot>; 2],
    sinks: [Option<Slot>; 2],
}

impl<'a> Pump<'a> {
    /// Takes what the session has prepared. A session runs once.
    pub(super) fn new(session: &'a mut Session, feed: Feed, start: Duration) -> Result<Self, Error> {
        let Some(stage) = session.stage.take() else {
            let again = io::Error::other("it was run already");
            return Err(crate::sys::Error::new("run the session", "", again).into());
        };
        let spec = &session.spec;
        let waits = spec.on_loss == OnFailure::Stop;
        let batch = Batch::new(feed, start, spec.input, spec.keep, session.size, waits);
        let alarm = Alarm::new()?;
        let calm = [session.signals.as_fd(), batch.bell().as_fd(), alarm.as_fd(), stage.as_fd()];
        let calm = Group::of(&calm)?;
        let screen = session.screen.take();
        let terminal_out = match &screen {
            Some(screen) => {
                let sink = Sink::of_terminal(&screen.terminal);
                Some(sink.map_err(|e| crate::sys::Error::new("duplicate the terminal", "", e))?)
            }
            None => None,
        };
        let keyboard = Keyboard::new(screen.as_ref(), stage.pid());
        Ok(Self {
            signals: &session.signals,
            stage,
            program: session.spec.program.path.clone(),
            dir: session.spec.program.dir.clone(),
            on_loss: session.spec.on_loss,
            keyboard,
            terminal_out,
            size: session.size,
            inner: session.size,
            next_look: start,
            behind: false,
            leads: screen.is_some(),
            outlives: session.outlives,
            keys: Buffer::new(4 << 10),
            fresh: false,
            ahead: None,
            typed: None,
            output: Output {
                buffer: Buffer::new(BUFFER),
                watch: session.watch.as_mut(),
                pieces: Vec::new(),
                at: start,
                taken: start,
                shown: None,
                ended: screen.is_none(),
                since: (start, 0),
                through: None,
            },
            screen,
            streams: std::mem::take(&mut session.streams),
            stream_buffers: [Buffer::new(STREAM_BUFFER), Buffer::new(STREAM_BUFFER)],
            batch,
            child: None,
            began: start,
            front: true,
            placing: 0,
            lone: false,
            early: Vec::new(),
            stop_due: None,
            key: None,
            phase: Phase::Running,
            alarm,
            calm,
            last_byte: start,
            handed: start,
            owed: [0; 3],
            quiet: false,
            overdue: 0,
            blind: false,
            hung_up: false,
            ordered_end: None,
            lost_told: false,
            failed: false,
        })
    }

    /// Starts the child and copies until it is over. However that goes, what happened is recorded to its end, and with
    /// which status: a program that could not be started, or a loop that could not go on, is no reason to say nothing.
    pub(super) fn run(mut self) -> Result<Outcome, Error> {
        let ended = self.begin().and_then(|()| self.copy().inspect_err(|error| self.cut(error)));
        let status = match &ended {
            Ok(ended) => ended.status(),
            Err(error) => {
                self.end_all();
                i32::from(error.exit_code())
            }
        };
        self.last_output();
        // The kernel would have signalled all who are with us in front.
        let in_front = |screen: &Screen| screen.terminal.controls() && screen.terminal.is_foreground();
        let by_key = matches!(&ended, Ok(Ended::Killed(signal)) if self.key == Some(*signal))
            && self.screen.as_ref().is_some_and(in_front);
        self.keyboard.leave();
        self.batch.finish(status);
        Ok(Outcome {
            ended: ended?,
            by_key,
            hung_up: self.hung_up,
            stopped: self.ordered_end.take(),
            failed: self.failed,
        })
    }

    /// The loop cannot go on: what comes is recorded no more. (Of what could not be started nothing comes.)
    fn cut(&mut self, error: &Error) {
        if let Error::System(error) = error {
            let note = format!("{error}: {}", error.source);
            self.batch.event(Payload::Gap(Gap::new(Why::Stopped, "session", 0, note)));
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        // The terminal first: started in the background, this is where we are stopped like any other program.
        // With lines in it that waits for the child's start: where there is none they are for whoever reads there next.
        if let Some(screen) = self.screen.as_ref().filter(|screen| !self.has_lines(screen)) {
            self.keyboard.begin(&screen.terminal, &screen.leader)?;
        }
        for of in std::mem::take(&mut self.streams.handed) {
            let what = if of == "stdin" { "reads" } else { "writes" };
            self.batch.event(Payload::Gap(Gap::new(
                Why::Device,
                of,
                0,
                format!("the program {what} it by itself: it is neither a file nor a pipe"),
            )));
        }
        if let Some(screen) = &self.screen {
            screen.leader.tell_flushes(true);
        }
        self.front = self.belongs_in_front();
        self.began = clock::monotonic();
        Ok(self.stage.go(self.front)?)
    }

    fn copy(&mut self) -> Result<Ended, Error> {
        let mut set = Set::default();
        loop {
            self.batch.tick();
            // Nothing goes on where the recording has failed, or the session ends.
            if let Some(text) = self.batch.tells()
                && (self.batch.is_stuck() || self.ordered_end.is_none() && self.phase == Phase::Running)
            {
                self.tell(text);
            }
            if let Some(ended) = self.time_is_over() {
                self.leave_outputs();
                return Ok(ended);
            }
            // Only then is everything of the terminal in the set that can give output. Who does not read a stream holds up that alone.
            let looks = !self.batch.is_stuck() && self.output.buffer.is_empty() && self.is_known();
            let shows = self.is_showing();
            let slots = self.fill(&mut set);
            let overdue = if looks || self.blind { self.overdue() } else { None };
            if overdue.is_none() {
                self.alarm.ring_by(self.due(looks))?;
            }
            let before = clock::monotonic();
            let had_ended = matches!(self.phase, Phase::Ended { .. });
            set.wait(overdue.map(|_| Duration::ZERO))?;
            let ready = |slot: Option<Slot>| slot.map_or(Ready::default(), |slot| set.ready(slot));
            if ready(slots.calm).read {
                self.stir()?;
            }
            if self.is_late() {
                self.take_lines();
                self.end_unknown();
            }
            // Keys before output: in a flood ^C must not stand in the line.
            let (terminal, mut leader) = (ready(slots.terminal), ready(slots.leader));
            let nothing = looks && !leader.read && !slots.sources.iter().any(|slot| ready(*slot).read);
            // Not of a look before its end: it may have written in between.
            self.quiet = nothing && !shows && had_ended;
            if looks && !shows && had_ended {
                let [output, errors] = slots.sources.map(|slot| ready(slot).read);
                for (owed, more) in self.owed.iter_mut().zip([output, errors, leader.read]) {
                    // What was read to its end, or is closed, gave nothing.
                    *owed = if more { *owed } else { 0 };
                }
            }
            if looks && !leader.read && self.output.watch.is_some() {
                self.batch.through(before);
            }
            self.look_for_blindness(looks && !leader.read, terminal.write);
            if let Some(at) = overdue
                && (nothing || self.blind || self.overdue >= UNREAD)
            {
                self.batch.give_up(at);
                self.overdue = 0;
            }
            self.look_at_terminal(terminal.read);
            self.copy_keys(terminal);
            if self.is_known() && self.typed.is_some() && self.keys.is_empty() && !leader.read {
                leader.read = self.is_echoed() || self.lull();
            }
            self.copy_output(terminal, leader);
            self.note_keys();
            self.copy_streams(
                ready(slots.input),
                ready(slots.input_sink),
                slots.sources.map(ready),
                slots.sinks.map(ready),
            );
            if let Some(screen) = &self.screen
                && matches!(self.phase, Phase::Running)
                // Before that it would stop us for what the child wants, and nobody hands on what is to end it.
                && self.child.is_some()
                && self.keyboard.watch(&screen.terminal, &screen.leader, self.child)
            {
                self.suspend_ourselves(signals::SIGTTOU);
            }
            self.wake_beside_child();
            // A shell that brings a job to the foreground which was not stopped may say nothing.
            if !self.front || self.lone {
                self.place();
                // Nor is the background told of a new size.
                self.resize();
            }
            if slots.terminal.is_none() {
                self.look_behind();
            }
        }
    }

    /// Sleeps until something comes, for a moment at most: once a key was handed on, until its echo is there, and once that was
    /// shown, so that whoever reads the terminal may see it. What is to be noted of both takes as long as all the rest of their way,
    /// and often the very processor on which that goes on. True when there is output.
    fn lull(&mut self) -> bool {
        // By the alarm: a time limit obeys the slack of our timers, which root inside can change (see `queue`).
        let end = clock::monotonic().saturating_add(LULL);
        let Some(screen) = self.screen.as_ref().filter(|_| self.alarm.ring_by(Some(end)).is_ok()) else {
            return false;
        };
        let mut set = Set::default();
        set.add(&self.calm, true, false);
        set.add(&screen.terminal, true, false);
        let leader = set.add(&screen.leader, true, false);
        // What fails here fails again, and is told, where the loop waits.
        set.wait(None).is_ok() && set.ready(leader).read
    }

    /// Whether there is output already. The kernel's own echo is there once a key was written: it needs no alarm.
    fn is_echoed(&self) -> bool {
        let Some(screen) = &self.screen else { return false };
        let mut set = Set::default();
        let leader = set.add(&screen.leader, true, false);
        set.wait(Some(Duration::ZERO)).is_ok() && set.ready(leader).read
    }

    /// Something came of what is seldom ready.
    fn stir(&mut self) -> Result<(), Error> {
        let mut set = Set::default();
        let signals = set.add(self.signals, true, false);
        let alarm = set.add(&self.alarm, true, false);
        let bell = set.add(self.batch.bell(), true, false);
        let stage = (!matches!(self.phase, Phase::Ended { .. })).then(|| set.add(&self.stage, true, false));
        set.wait(Some(Duration::ZERO))?;
        if set.ready(signals).read {
            while let Some(arrived) = self.signals.next() {
                self.signal(arrived);
            }
        }
        if set.ready(alarm).read {
            self.alarm.silence();
        }
        if set.ready(bell).read {
            self.words();
        }
        if stage.is_some_and(|stage| set.ready(stage).read) {
            self.reports()?;
        }
        Ok(())
    }

    /// Something of the child's is about to be shown, by us or by who reads it: the terminal treats it as the child wants.
    fn before_output(&mut self) {
        if let Some(screen) = &self.screen {
            let child = self.child.filter(|_| matches!(self.phase, Phase::Running));
            self.keyboard.before_output(&screen.terminal, &screen.leader, child);
        }
    }

    /// Whether something was read that was not written yet.
    fn is_showing(&self) -> bool {
        !self.output.buffer.is_empty() || self.stream_buffers.iter().any(|buffer| !buffer.is_empty())
    }

    /// How long silence must be to count.
    fn silence(&self) -> Duration {
        if self.streams.outputs.iter().any(Option::is_some) { FILE_SILENCE } else { SILENCE }
    }

    /// Whether there is nothing more to wait for.
    fn time_is_over(&mut self) -> Option<Ended> {
        let now = clock::monotonic();
        match self.phase {
            Phase::Running => None,
            Phase::HungUp { since, killed } => {
                if now < since.saturating_add(HANG_UP * if killed { 2 } else { 1 }) {
                    return None;
                }
                if killed {
                    // Not even SIGKILL ended it: it hangs in the kernel, and nobody can wait for that.
                    self.end_input();
                    return Some(Ended::Killed(signals::SIGKILL));
                }
                self.to_child(signals::SIGKILL);
                self.phase = Phase::HungUp { since, killed: true };
                None
            }
            Phase::Ended { how, since } => {
                let open = !self.output.ended || self.streams.outputs.iter().any(Option::is_some);
                let silent = self.quiet && now >= self.last_byte.max(since).saturating_add(self.silence());
                let over = silent || now >= since.saturating_add(LINGER) && self.owed == [0; 3];
                let deserted = self.deserted_until().is_some_and(|until| now >= until);
                let over = over || deserted;
                let stuck = self.is_showing() && !deserted || self.batch.is_stuck();
                if open && self.is_waited_for() {
                    if over {
                        // It may take long, and nobody is there for the keys: ^C must be ^C.
                        self.keyboard.leave();
                    }
                    return None;
                }
                (!stuck && (!open || over)).then_some(how)
            }
        }
    }
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        // Also on the way out by an error or a panic: no child is left behind that nobody watches.
        if !matches!(self.phase, Phase::Ended { .. }) {
            self.to_child(signals::SIGHUP);
            self.to_child(signals::SIGCONT);
            self.stage.clear();
        }
    }
}
