//! The screen beside the recording: a keyframe for the start of every segment, a filter over what each one showed.
//!
//! The emulator works on a thread of its own (`indexer_thread`), behind a bounded queue. The recorder hands it copies of events in
//! large pieces and waits for it at the border of a segment only, for [`PATIENCE`] at most. What that costs when it is late, when
//! it panics, or when a flood is not worth the work, is a filter or a keyframe, told with the segment ([`GivenUp`]); never an event. A flood of
//! binary data, and output and input that the emulator cannot follow, are left out of its reading; what would cost too much to draw
//! is not drawn. Then the screen is not known until the terminal is reset, and there are no filters and keyframes, but commands and
//! programs are heard on.
//!
//! What is in a filter is exactly what a reader finds: the same reading ([`crate::terminal::Shown`]), started anew from the same keyframe. So
//! where a keyframe was made and not used, there are no filters until one is.

use super::harvest::Harvest;
use super::indexer_commands::Commands;
use super::indexer_queue::{Answer, QUEUE, Shared, State, Work, weight};
use super::indexer_thread;
use super::recorder::Indexer;
use super::sight::Sight;
use super::witness::Heard;
use crate::cast::{Command, Event, Exec, Payload, micros};
use crate::container::{Extras, GivenUp, LeftOut};
use crate::exec::Pulse;
use crate::shell::said::Said;
use crate::sys::{clock, scarce};
use crate::terminal::{Canvas, DRAWING};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// Longest time that the recorder waits in one segment, all waiting together.
const PATIENCE: Duration = Duration::from_millis(50);
/// Stack of the thread, bytes. Pages may be locked, so a large one would be paid for whole.
const STACK: usize = 512 << 10;
/// Bytes that are handed over at once.
const BATCH: usize = 64 << 10;
/// Output per second of the session that is read in full: what is more than plain lines costs thirty times what copying does,
/// and a flood faster than anybody reads must not take the time of the host.
const RATE: u64 = 512 << 10;
/// Output that may come at once. (Twice of it is one segment of a flood more that has a filter, for a fiftieth of the time of 50 MB.)
const BURST: u64 = 1 << 20;
/// Longest wait for the index of the last segment: the trace is stopped for it.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// Output with more than one odd control character in this many bytes is noise: random bytes have two.
const NOISE: usize = 25;
/// Noise counts for this many times its length in a flood, and is then not read at all: it costs forty times what copying does,
/// and shows nothing.
const NOISE_COST: usize = 2;

/// Makes keyframes and filters, and commands where there are witnesses.
pub struct ScreenIndexer {
    shared: Arc<Shared>,
    /// Why there is no thread.
    refused: Option<io::Error>,
    /// The witnesses, until the session begins.
    heard: Option<Heard>,
    /// The session's exit status came by.
    over: bool,
    /// The session ends where programs are no longer seen.
    strict: bool,
    /// Programs that the trace has told of.
    executed: Option<Arc<AtomicU64>>,
    /// What tells whether they are seen.
    sight: Option<Sight>,
    /// The monotonic clock at the start of the session.
    origin: Duration,
    /// How many of [`ScreenIndexer::executed`], and of the commands, are in the index or counted there.
    accounted: LeftOut,
    batch: Vec<Event>,
    batched: usize,
    /// Of these, noise.
    noise: usize,
    /// How far everything has come, to be told behind what waits here.
    through: Option<Event>,
    /// Somebody waits to be told that.
    asked: bool,
    credit: u64,
    refilled: Duration,
    flooded: bool,
    patience: Duration,
    most_patience: Duration,
    rate: u64,
    /// Borders so far.
    borders: u64,
    /// The last border's keyframe, when it is there and was not taken yet.
    keyframe: Option<String>,
    /// The reading began anew where no reader can.
    astray: bool,
}

impl ScreenIndexer {
    /// Generation of what is drawn, for the metadata of the recording.
    pub const DRAWING: u32 = DRAWING;

    /// For a session that is drawn on this. Without a thread to be had, there is no index, and
    /// [`ScreenIndexer::refused`] says why.
    pub fn start(canvas: impl Into<Canvas>) -> Self {
        Self::begin(canvas.into(), false)
    }

    /// Makes the same index, but waits for it however long it takes: for sessions that are written from what was recorded
    /// before.
    pub fn patient(canvas: impl Into<Canvas>) -> Self {
        let mut indexer = Self::begin(canvas.into(), false);
        let most = Duration::from_secs(3600);
        (indexer.patience, indexer.most_patience) = (most, most);
        indexer
    }

    /// [`ScreenIndexer::patient`] that reads floods too: what a session showed does not depend on how fast it was written. Tests of the
    /// search are made with it.
    pub fn unhurried(canvas: impl Into<Canvas>) -> Self {
        let mut indexer = Self::patient(canvas);
        indexer.rate = u64::MAX;
        indexer
    }

    /// With `always`, every segment has a filter, however small.
    fn begin(canvas: Canvas, always: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let start = || {
            let theirs = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("index".to_owned()).stack_size(STACK);
            thread.spawn(move || indexer_thread::run(&theirs, canvas, always))
        };
        let refused = scarce::insist(start, Result::is_err).err();
        if refused.is_some() {
            shared.fail(false);
        }
        Self {
            shared,
            refused,
            heard: None,
            over: false,
            strict: false,
            executed: None,
            sight: None,
            origin: Duration::ZERO,
            accounted: LeftOut::default(),
            batch: Vec::new(),
            batched: 0,
            through: None,
            asked: false,
            noise: 0,
            credit: BURST,
            refilled: Duration::ZERO,
            flooded: false,
            patience: PATIENCE,
            most_patience: PATIENCE,
            rate: RATE,
            borders: 0,
            keyframe: None,
            astray: false,
        }
    }

    /// With witnesses, who tell of commands.
    pub fn hearing(mut self, heard: Heard) -> Self {
        self.strict = heard.strict;
        self.executed = Some(heard.trace.executed());
        let index = Pulse::new(Arc::clone(&self.shared.turns));
        self.sight = heard.trace.pulse().map(|trace| Sight::new(trace, index));
        self.heard = Some(heard);
        self
    }

    /// Why there is no index, where its thread could not be had.
    pub fn refused(&mut self) -> Option<io::Error> {
        self.refused.take()
    }

    /// Looks whether programs are seen, at this time of the monotonic clock. At the end the trace is stopped; that it has failed is
    /// told by whoever hears it.
    fn look_after_trace(&mut self, now: Duration) {
        if !self.over
            && let Some(sight) = &mut self.sight
            && !self.shared.lock().blind
        {
            sight.look(now, self.origin);
        }
    }

    fn hand_over(&mut self) {
        let (mut events, bytes) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.batched));
        events.extend(self.through.take());
        if events.is_empty() {
            return;
        }
        // Noise in a flood is left out, and not waited for.
        let noise = std::mem::take(&mut self.noise) > bytes / 2 && self.flooded;
        let room = |state: &State| noise || state.bytes + bytes <= QUEUE;
        let mut state = self.shared.wait(&mut self.patience, room);
        if state.failed {
            return;
        }
        if !noise && state.bytes + bytes <= QUEUE {
            state.bytes += bytes;
            state.queue.push_back(Work::Events(events, bytes));
        } else {
            state.leave_out_streams(events);
        }
        self.shared.changed.notify_all();
    }

    /// Hands on a question, numbered, and waits for the answer while there is patience.
    fn ask<'s>(
        shared: &'s Shared,
        borders: &mut u64,
        patience: &mut Duration,
        question: fn(u64) -> Work,
    ) -> (MutexGuard<'s, State>, Option<Answer>) {
        *borders += 1;
        shared.hand(question(*borders));
        let mut state = shared.wait(patience, |state| state.has_answer(*borders));
        let answer = state.take_answer(*borders);
        (state, answer)
    }

    /// What is missing of the commands and programs of this segment: at the end of the session also what was seen and never
    /// came, because it was late or failed.
    fn account(&mut self, commands: &[Command], execs: &[Exec], mut left_out: LeftOut, seen: u64) -> LeftOut {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let of_commands: usize = commands.iter().map(|command| command.execs.len()).sum();
        let all = &mut self.accounted;
        all.add(left_out);
        all.add(LeftOut {
            commands: count(commands.len()),
            programs: count(of_commands + execs.len()),
            shortened: 0,
        });
        if self.over {
            let executed = self.executed.as_ref().map_or(0, |executed| executed.load(Ordering::Relaxed));
            left_out.programs += executed.saturating_sub(all.programs);
            left_out.commands += seen.saturating_sub(all.commands);
            (all.programs, all.commands) = (all.programs.max(executed), all.commands.max(seen));
        }
        left_out
    }

    /// Whether this much output is still worth reading.
    fn afford(&mut self, time: Duration, bytes: usize) -> bool {
        if self.rate == u64::MAX {
            return true;
        }
        let since = micros(time.saturating_sub(self.refilled));
        let earned = since.saturating_mul(self.rate) / 1_000_000;
        if earned > 0 {
            self.refilled = time;
            self.credit = self.credit.saturating_add(earned).min(BURST);
        }
        match self.credit.checked_sub(bytes as u64) {
            Some(left) => {
                self.credit = left;
                true
            }
            None => false,
        }
    }
}

impl Indexer for ScreenIndexer {
    fn begin(&mut self, origin: Duration) {
        self.origin = origin;
        if let Some(heard) = self.heard.take() {
            self.shared.hand(Work::Begin(Box::new(Commands::new(heard, origin))));
        }
    }

    fn tick(&mut self) -> bool {
        if self.executed.is_none() {
            return false;
        }
        self.look_after_trace(clock::monotonic());
        let waits = self.shared.lock().waits;
        if waits {
            self.hand_over();
        }
        self.shared.look();
        self.asked = waits;
        waits
    }

    fn must_end(&mut self) -> Option<String> {
        let is_lost =
            self.sight.as_ref().is_some_and(|sight| sight.is_lost) || self.shared.lock().has_lost_sight();
        (self.strict && is_lost).then(|| "executed programs are no longer watched".to_owned())
    }

    fn holds(&mut self) -> Option<Duration> {
        self.shared.lock().latest().map(Duration::from_millis)
    }

    fn is_pressed(&mut self) -> bool {
        self.sight.as_ref().is_some_and(|sight| sight.note.is_some())
    }

    fn event(&mut self, event: Event) {
        if Said::is_through(&event.payload) {
            // It is of no segment.
            self.through = Some(event);
            if std::mem::take(&mut self.asked) {
                self.hand_over();
            }
            return;
        }
        // A segment has begun without the screen that was made for it.
        self.astray |= self.keyframe.take().is_some();
        let mut noise = false;
        let bytes = match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                noise = is_noise(bytes);
                bytes.len()
            }
            // Typed text is never a flood that is worth passing over.
            Payload::Resize { .. } | Payload::Withheld(_) | Payload::Input(_) => 0,
            Payload::Exit(_) => {
                self.over = true;
                0
            }
            Payload::Other { data, .. } => data.len(),
            _ => return,
        };
        let cost = if noise { bytes * NOISE_COST } else { bytes };
        if !self.flooded && !self.afford(event.time, cost) {
            self.flooded = true;
            self.hand_over();
            self.shared.hand(Work::Skim);
        }
        self.batched += weight(&event);
        self.noise += if noise { bytes } else { 0 };
        self.batch.push(event);
        if self.batched >= BATCH {
            self.hand_over();
        }
    }

    fn end_segment(&mut self) -> Extras {
        self.astray |= self.keyframe.take().is_some();
        self.hand_over();
        if self.over {
            self.patience = self.patience.max(LAST_PATIENCE);
        }
        let (mut state, answer) =
            Self::ask(&self.shared, &mut self.borders, &mut self.patience, Work::Border);
        let failed = state.failed;
        if failed && self.over {
            drop(state);
            self.shared.hear_out(LAST_PATIENCE);
            state = self.shared.lock();
        }
        // Whether the screen was in time or not: what has been told is told.
        let Harvest { mut commands, execs, running, running_left_out, left_out, .. } =
            std::mem::take(&mut state.harvest);
        let seen = state.commands;
        drop(state);
        let left_out = self.account(&commands, &execs, left_out, seen);
        let unread = commands.iter().chain(&running).any(Command::is_unread);
        commands.extend(self.sight.as_mut().and_then(|sight| sight.note.take()));
        self.patience = self.most_patience;
        let flooded = std::mem::take(&mut self.flooded);
        let Some(answer) = answer else {
            // It will begin anew where it has told nobody.
            self.astray |= !failed;
            let given_up = Some(match () {
                () if failed => GivenUp::Failed,
                () if unread => GivenUp::Unread,
                () => GivenUp::Late,
            });
            let filter = Vec::new();
            return Extras { commands, execs, running, running_left_out, filter, given_up, left_out };
        };
        self.keyframe = answer.keyframe;
        let filter = if self.astray { Vec::new() } else { answer.filter };
        let given_up = match () {
            () if answer.fault => Some(GivenUp::Failed),
            () if unread => Some(GivenUp::Unread),
            () if answer.unknown => Some(GivenUp::Late),
            () if flooded => Some(GivenUp::Flood),
            () if self.astray => Some(GivenUp::Late),
            () => None,
        };
        Extras { commands, execs, running, running_left_out, filter, given_up, left_out }
    }

    fn keyframe_inside(&mut self) -> Option<String> {
        self.hand_over();
        Self::ask(&self.shared, &mut self.borders, &mut self.patience, Work::Screen).1?.keyframe
    }

    fn keyframe(&mut self) -> Option<String> {
        if self.keyframe.is_none() {
            // It may have come after all, and nothing has happened since.
            let mut state = self.shared.lock();
            if self.batch.is_empty() {
                self.keyframe = state.take_answer(self.borders).and_then(|answer| answer.keyframe);
            }
        }
        let keyframe = self.keyframe.take()?;
        self.astray = false;
        Some(keyframe)
    }
}

impl Drop for ScreenIndexer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue = VecDeque::new();
        self.shared.changed.notify_all();
    }
}

/// Whether output is the contents of a binary file, as far as its beginning shows: where one byte in [`NOISE`] is a control
/// character that neither text nor a program for the screen has.
fn is_noise(output: &[u8]) -> bool {
    // NUL to ACK, DLE to SUB, FS to US: not BEL to SI, nor ESC.
    let odd = |byte: &&u8| matches!(byte, 0..=6 | 0x10..=0x1a | 0x1c..=0x1f);
    let beginning = &output[..output.len().min(512)];
    beginning.iter().filter(odd).count() > beginning.len() / NOISE
}

#[cfg(test)]
#[path = "indexer_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "unread_tests.rs"]
mod unread_tests;
