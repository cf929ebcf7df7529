//! The screen at any moment of a recording, and time that passes over it.
//!
//! A [`Replay`] stands at a place between two events; its terminal shows everything before. It moves by time, event,
//! command, mark or wall clock, forwards and backwards, and plays on when it is told how much time has passed. It reads one
//! segment at a time, starts from the nearest keyframe, and makes keyframes of its own where a recording has none.
//! Refuses to own a clock, a terminal or a thread, and to hold more than a few segments.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod activity;
mod budget;
mod going;
mod pace;
mod recording;
mod source;
#[cfg(test)]
mod tests;

pub use activity::Activity;
pub use budget::Budget;
pub use pace::{Idle, scaled, stepped};
pub use recording::{Recording, canvas};
pub use source::{Error, Memory, Outline, Segment, Source, Span};

use crate::terminal::{self, Terminal, drawn_on};
use going::{Goal, Next};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Segments kept in memory…
const HELD: usize = 4;
/// …as long as they are not larger than this together; the one in use is always kept.
const HELD_BYTES: usize = 16 << 20;

/// A place between two events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the segment.
    pub segment: usize,
    /// Events of it that have happened.
    pub event: usize,
}

/// How far [`Replay::approach`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is there.
    Arrived,
    /// It needs more calls; it has come to this time.
    Underway(Duration),
}

/// What happened while playing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Events that happened.
    pub events: usize,
    /// Idle time that was passed over, not shown.
    pub skipped: Duration,
    /// There is nothing more.
    pub ended: bool,
}

/// What the program said to the terminal.
#[derive(Debug)]
pub struct Said {
    /// Where the event ends that it was said in, or the last one of what was passed at once: a place, and the bytes behind it.
    pub until: (Place, usize),
    /// When.
    pub time: Duration,
    /// What.
    pub event: terminal::Event,
}

/// Most that is kept of what was said.
const SAID: usize = 1024;

/// A segment in memory.
struct Held {
    number: usize,
    segment: Rc<Segment>,
    /// In bytes.
    size: usize,
}

/// A keyframe made here.
#[derive(Clone)]
struct Own {
    text: Rc<str>,
    /// It knows nothing of what stood before a hole, as [`Replay::blind`].
    blind: bool,
}

/// A recording being looked at.
pub struct Replay<S> {
    source: S,
    terminal: Terminal,
    place: Place,
    /// Bytes of the next event that have happened already: a large one happens in pieces.
    within: usize,
    time: Duration,
    /// Time of the last event that happened.
    base: Duration,
    goal: Option<Goal>,
    /// See [`Replay::is_changed`].
    changed: bool,
    held: VecDeque<Held>,
    own: BTreeMap<Place, Own>,
    own_bytes: usize,
    since_keyframe: usize,
    fault: Option<Error>,
    wrong: Option<Error>,
    /// The screen is not known: since a hole no keyframe has told it.
    blind: bool,
    /// What stood before the hole is still shown.
    stale: bool,
    /// See [`Replay::take_said`].
    said: (Vec<Said>, u64),
}

impl<S: Source> Replay<S> {
    /// At the very start: before the first event.
    pub fn new(source: S) -> Self {
        let size = source.outline().canvas.size;
        Self {
            source,
            terminal: blank(size),
            place: Place::default(),
            within: 0,
            time: Duration::ZERO,
            base: Duration::ZERO,
            goal: None,
            changed: false,
            held: VecDeque::new(),
            own: BTreeMap::new(),
            own_bytes: 0,
            since_keyframe: 0,
            fault: None,
            wrong: None,
            blind: false,
            stale: false,
            said: (Vec::new(), 0),
        }
    }

    /// The screen.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The time of the session at which it stands.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The place at which it stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What is known of the recording.
    pub fn outline(&self) -> &Outline {
        self.source.outline()
    }

    /// The source, to look at.
    pub fn source_ref(&self) -> &S {
        &self.source
    }

    /// The source.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Why events could not be read, the last time it happened.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Why something is wrong with a segment of which all events could be read, the last time it happened.
    pub fn wrong(&self) -> Option<&Error> {
        self.wrong.as_ref()
    }

    /// Whether the screen is the one that stood there, and not one of which a hole may have taken a part.
    pub fn knows_screen(&mut self) -> bool {
        let Place { segment, event } = self.place;
        let here = self.segment(segment);
        let within = event < here.events.len() || !here.lacks_events();
        within && !self.blind
    }

    /// What the program said to the terminal since the last call, oldest first, at most 1024; and how much more there was. Of what was
    /// gone over on the way to somewhere, and not played, it may be a part.
    pub fn take_said(&mut self) -> (Vec<Said>, u64) {
        self.listen();
        std::mem::take(&mut self.said)
    }

    /// Notes where what was said since the last call has come.
    fn listen(&mut self) {
        let (events, missed) = self.terminal.take_events();
        let (until, time) = ((self.place, self.within), self.base);
        let (said, more) = &mut self.said;
        let room = SAID.saturating_sub(said.len());
        let over = events.len().saturating_sub(room) as u64;
        *more = more.saturating_add(missed).saturating_add(over);
        said.extend(events.into_iter().take(room).map(|event| Said { until, time, event }));
    }

    // Commands.

    /// The start of the command before, or of the one that has been running for more than two seconds.
    pub fn command_before(&self) -> Option<Duration> {
        before(self.outline().commands.iter().map(|command| Duration::from_millis(command.start)), self.time)
    }

    /// The start of the next command.
    pub fn command_after(&self) -> Option<Duration> {
        let starts = self.outline().commands.iter().map(|command| Duration::from_millis(command.start));
        starts.filter(|start| *start > self.time).min()
    }

    // Playing.

    /// Lets `elapsed` pass, the viewer's time multiplied by the speed, as far as the budget reaches: what comes too fast is shown
    /// in the next call.
    pub fn play_within(&mut self, elapsed: Duration, idle: Idle, budget: &mut Budget) -> Played {
        let mut played = Played::default();
        let mut left = elapsed;
        while !budget.is_spent() {
            let segment = match self.enter(budget) {
                Next::In(segment) => segment,
                Next::Later => break,
                Next::Nothing => {
                    played.ended = true;
                    break;
                }
            };
            let Some(event) = segment.events.get(self.place.event) else { break };
            let gap = event.time.saturating_sub(self.base);
            let shown = idle.shown(self.time.saturating_sub(self.base));
            let needed = idle.shown(gap).saturating_sub(shown);
            if needed > left {
                self.time =
                    self.base.saturating_add(idle.reached(shown.saturating_add(left))).min(event.time);
                break;
            }
            left = left.saturating_sub(needed);
            // Counted once, when the event begins.
            if matches!(idle, Idle::Limited(_)) && self.within == 0 {
                played.skipped = played.skipped.saturating_add(gap.saturating_sub(idle.shown(gap)));
            }
            self.apply(event, budget);
            self.listen();
            played.events = played.events.saturating_add(usize::from(self.within == 0));
        }
        played
    }

    // Reading.

    /// A segment; empty when it cannot be read, which [`Replay::fault`] then tells.
    pub fn segment(&mut self, number: usize) -> Rc<Segment> {
        self.load(number, &mut Budget::endless())
    }

    /// [`Replay::segment`]; reading it is charged.
    pub fn load(&mut self, number: usize, budget: &mut Budget) -> Rc<Segment> {
        if let Some(at) = self.held.iter().position(|held| held.number == number) {
            // The most recently used is last.
            if let Some(entry) = self.held.remove(at) {
                self.held.push_back(entry);
            }
        } else {
            let read = if number < self.outline().spans.len() {
                self.source.segment(number)
            } else {
                Ok(Segment::default())
            };
            let segment = read.unwrap_or_else(|fault| Segment { fault: Some(fault), ..Segment::default() });
            match &segment.fault {
                Some(_) if segment.lacks_events() => self.fault.clone_from(&segment.fault),
                Some(fault) => self.wrong = Some(fault.clone()),
                None => {}
            }
            let size = segment.size();
            // A byte read costs about as much as one that is passed.
            budget.charge((size as u64).saturating_add(budget::OPENED));
            self.held.push_back(Held { number, segment: Rc::new(segment), size });
            while self.held.len() > HELD
                || (self.held.len() > 1 && self.held.iter().map(|held| held.size).sum::<usize>() > HELD_BYTES)
            {
                self.held.pop_front();
            }
        }
        self.held.back().map(|held| Rc::clone(&held.segment)).unwrap_or_default()
    }

    /// Reads one neighbour of the current segment that is not in memory yet: for moments in which nothing else is to do.
    /// `false` when both are there.
    pub fn prefetch(&mut self) -> bool {
        // Where segments are so large that one would push out the other, they are read when they are needed.
        if self.held.iter().any(|held| held.size > HELD_BYTES / HELD) {
            return false;
        }
        let here = self.place.segment;
        let wanted = [here.checked_add(1), here.checked_sub(1)];
        for number in wanted.into_iter().flatten() {
            if number < self.outline().spans.len() && !self.held.iter().any(|held| held.number == number) {
                self.segment(number);
                return true;
            }
        }
        false
    }

    /// Takes in what a running session has written since. `true` when there is more.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let last = self.outline().spans.len().saturating_sub(1);
        let more = self.source.refresh()?;
        if more {
            self.held.retain(|held| held.number < last);
        }
        Ok(more)
    }
}

fn blank(size: (u16, u16)) -> Terminal {
    let (cols, rows) = drawn_on(size);
    Terminal::new(cols, rows)
}

/// The last of `times` where it is more than two seconds before `now`, or else the one before the last, if there is one.
fn before(times: impl Iterator<Item = Duration> + Clone, now: Duration) -> Option<Duration> {
    const NEAR: Duration = Duration::from_secs(2);
    let last = times.clone().filter(|start| *start <= now).max()?;
    if now.saturating_sub(last) > NEAR {
        return Some(last);
    }
    times.filter(|start| *start < last).max().or(Some(last).filter(|last| *last < now))
}
