//! The screen at any moment of a recording, and time that passes over it.
//!
//! A [`Replay`] stands at a place between two events; its terminal shows everything before. It moves by time, event,
//! command, mark or wall clock, forwards and backwards, and plays on when it is told how much time has passed. It reads one
//! segment at a time, starts from the nearest keyframe, and makes keyframes of its own where a recording has none.
//! Refuses to own a clock, a terminal or a thread, and to hold more than a few segments.

mod pace;
mod recording;
mod source;
#[cfg(test)]
mod tests;

pub use pace::{Idle, SPEEDS, scaled, stepped};
pub use recording::Recording;
pub use source::{Error, Memory, Outline, Segment, Source, Span, millis};

use crate::cast::{Event, Payload};
use crate::terminal::{NO_TERMINAL, Terminal};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Segments kept in memory.
const HELD: usize = 4;
/// Bytes that are skimmed at once.
const SKIM: usize = 64 << 10;
/// Output bytes replayed between keyframes that are made here.
const OWN_EVERY: usize = 256 << 10;
/// Keyframes made here that are kept, in bytes.
const OWN_BYTES: usize = 8 << 20;

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

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Goal {
    /// The place.
    place: Place,
    /// The time to show there, when it is later than that of the last event.
    time: Option<Duration>,
    /// The nearest keyframe has been looked for.
    begun: bool,
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

/// A recording being looked at.
pub struct Replay<S> {
    source: S,
    terminal: Terminal,
    place: Place,
    time: Duration,
    /// Time of the last event that happened.
    base: Duration,
    goal: Option<Goal>,
    held: VecDeque<(usize, Rc<Segment>)>,
    own: BTreeMap<Place, Rc<str>>,
    own_bytes: usize,
    since_keyframe: usize,
    fault: Option<Error>,
}

impl<S: Source> Replay<S> {
    /// At the very start: before the first event.
    pub fn new(source: S) -> Self {
        let size = source.outline().size;
        Self {
            source,
            terminal: blank(size),
            place: Place::default(),
            time: Duration::ZERO,
            base: Duration::ZERO,
            goal: None,
            held: VecDeque::new(),
            own: BTreeMap::new(),
            own_bytes: 0,
            since_keyframe: 0,
            fault: None,
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

    /// Why something could not be read, the last time it happened.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Events of the terminal since the last call; see [`Terminal::take_events`].
    pub fn take_events(&mut self) -> (Vec<crate::terminal::Event>, u64) {
        self.terminal.take_events()
    }

    // Going somewhere.

    /// Goes to a time, however far.
    pub fn seek(&mut self, time: Duration) {
        self.aim(time);
        while self.approach(usize::MAX) != Progress::Arrived {}
    }

    /// Goes to a place, however far.
    pub fn seek_place(&mut self, place: Place) {
        let segment = place.segment.min(self.outline().spans.len().saturating_sub(1));
        let event = place.event.min(self.segment(segment).events.len());
        self.goal = Some(Goal { place: Place { segment, event }, time: None, begun: false });
        while self.approach(usize::MAX) != Progress::Arrived {}
    }

    /// Sets out for a time, everything that happened at it included; [`Replay::approach`] goes there.
    pub fn aim(&mut self, time: Duration) {
        let time = time.min(self.outline().duration());
        let segment = self.outline().segment_at(time);
        let event = self.segment(segment).events.partition_point(|event| event.time <= time);
        self.goal = Some(Goal { place: Place { segment, event }, time: Some(time), begun: false });
    }

    /// Whether it is on its way.
    pub fn underway(&self) -> bool {
        self.goal.is_some()
    }

    /// Goes on towards where it was sent, replaying about `bytes` bytes at most.
    pub fn approach(&mut self, bytes: usize) -> Progress {
        let Some(goal) = self.goal else { return Progress::Arrived };
        let target = goal.place;
        if !goal.begun {
            self.goal = Some(Goal { begun: true, ..goal });
            let keyframe = self.nearest_keyframe(target);
            if target < self.place || keyframe > self.place {
                self.restore(keyframe);
            }
        }
        let mut left = bytes;
        // Of what is only passed, the end decides: it is skimmed in large pieces.
        let mut passed = Vec::new();
        while self.place < target {
            let segment = self.segment(self.place.segment);
            let until =
                if self.place.segment == target.segment { target.event } else { segment.events.len() };
            while let Some(event) = segment.events.get(self.place.event).filter(|_| self.place.event < until)
            {
                let size = match &event.payload {
                    Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                        passed.extend_from_slice(bytes);
                        self.passed(event, bytes.len());
                        if passed.len() >= SKIM || self.since_keyframe >= OWN_EVERY {
                            self.skim(&mut passed);
                        }
                        bytes.len()
                    }
                    _ => {
                        self.skim(&mut passed);
                        self.apply(event)
                    }
                };
                left = left.saturating_sub(size.max(1));
                if left == 0 && self.place < target {
                    self.skim(&mut passed);
                    return Progress::Underway(self.time);
                }
            }
            self.skim(&mut passed);
            if self.place.segment == target.segment {
                break;
            }
            self.place = Place { segment: self.place.segment + 1, event: 0 };
        }
        self.goal = None;
        self.time = goal.time.unwrap_or(self.base).max(self.base);
        Progress::Arrived
    }

    /// The last place at or before `target` that can be shown without what is before it.
    fn nearest_keyframe(&mut self, target: Place) -> Place {
        let own = self.own.range(..=target).next_back().map(|(place, _)| *place).unwrap_or_default();
        for segment in (own.segment..=target.segment).rev() {
            if !self.outline().spans.get(segment).is_some_and(|span| span.keyframe) {
                continue;
            }
            let until = if segment == target.segment { target.event } else { usize::MAX };
            let found = self
                .segment(segment)
                .events
                .iter()
                .enumerate()
                .take(until)
                .rev()
                .find(|(_, event)| matches!(&event.payload, Payload::Keyframe(text) if Terminal::is_keyframe(text)))
                .map(|(event, _)| Place { segment, event });
            if let Some(found) = found {
                return found.max(own);
            }
        }
        own
    }

    /// Shows the keyframe at a place, or the very start.
    fn restore(&mut self, place: Place) {
        let keyframe = match self.own.get(&place) {
            Some(text) => Some(Rc::clone(text)),
            None => match self.segment(place.segment).events.get(place.event).map(|event| &event.payload) {
                Some(Payload::Keyframe(text)) => Some(Rc::from(text.as_str())),
                _ => None,
            },
        };
        self.since_keyframe = 0;
        match keyframe.as_deref().and_then(Terminal::restored) {
            Some(mut terminal) => {
                new_lines(self.outline().size, &mut terminal);
                self.terminal = terminal;
                self.place = place;
            }
            None => {
                self.terminal = blank(self.outline().size);
                self.place = Place::default();
            }
        }
        self.base = self.time_before(self.place);
        self.time = self.base;
    }

    /// The time of the last event before a place.
    fn time_before(&mut self, place: Place) -> Duration {
        if let Some(event) = place.event.checked_sub(1) {
            return self.segment(place.segment).events.get(event).map_or(Duration::ZERO, |event| event.time);
        }
        let before = place.segment.checked_sub(1).and_then(|before| self.outline().spans.get(before));
        before.map_or(Duration::ZERO, |span| span.end)
    }

    /// An event has happened that had this many bytes.
    fn passed(&mut self, event: &Event, size: usize) {
        self.place.event += 1;
        self.base = self.base.max(event.time);
        self.time = self.base;
        self.since_keyframe += size;
    }

    /// Shows what was only passed.
    fn skim(&mut self, passed: &mut Vec<u8>) {
        if !passed.is_empty() {
            self.terminal.skim(passed);
            passed.clear();
        }
        if self.since_keyframe >= OWN_EVERY {
            self.keep();
        }
    }

    /// Lets one event happen; gives the bytes it had.
    fn apply(&mut self, event: &Event) -> usize {
        let size = match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                self.terminal.feed_guarded(bytes);
                bytes.len()
            }
            Payload::Resize { cols, rows } => {
                self.terminal.resize(*cols, *rows);
                // As much work as drawing the screen.
                usize::from(*cols).saturating_mul(usize::from(*rows)).min(1 << 20)
            }
            Payload::Keyframe(_) => {
                self.since_keyframe = 0;
                // After a fault a keyframe makes it good again.
                if let (Some(_), Payload::Keyframe(text)) = (self.terminal.fault(), &event.payload)
                    && let Some(terminal) = Terminal::restored(text)
                {
                    self.terminal = terminal;
                }
                0
            }
            _ => 0,
        };
        self.passed(event, size);
        if self.since_keyframe >= OWN_EVERY {
            self.keep();
        }
        size
    }

    /// Makes a keyframe here, where the recording has had none for a while.
    fn keep(&mut self) {
        if self.own.contains_key(&self.place) {
            self.since_keyframe = 0;
            return;
        }
        let Some(text) = self.terminal.snapshot() else { return };
        self.since_keyframe = 0;
        self.own_bytes += text.len();
        self.own.insert(self.place, text.into());
        // Every other one goes when they become too many: what is left still spans everything.
        while self.own_bytes > OWN_BYTES && self.own.len() > 1 {
            let mut odd = false;
            self.own.retain(|_, _| {
                odd = !odd;
                odd
            });
            self.own_bytes = self.own.values().map(|text| text.len()).sum();
        }
    }

    // Single steps.

    /// One event forward that changes the screen (or, at the end, nothing). `false` at the end.
    pub fn step_forward(&mut self) -> bool {
        while let Some(event) = self.next_event() {
            self.enter_next();
            self.apply(&event);
            if changes_screen(&event.payload) {
                return true;
            }
        }
        false
    }

    /// Back to before the last event that changed the screen. `false` at the start.
    pub fn step_back(&mut self) -> bool {
        let mut place = self.place;
        loop {
            while place.event > 0 {
                place.event -= 1;
                let segment = self.segment(place.segment);
                if segment.events.get(place.event).is_some_and(|event| changes_screen(&event.payload)) {
                    self.seek_place(place);
                    return true;
                }
            }
            let Some(before) = place.segment.checked_sub(1) else { return false };
            place = Place { segment: before, event: self.segment(before).events.len() };
        }
    }

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

    /// Lets `elapsed` pass: the viewer's time multiplied by the speed.
    pub fn play(&mut self, elapsed: Duration, idle: Idle) -> Played {
        let mut played = Played::default();
        let mut left = elapsed;
        /// Events and bytes at a time: a viewer must be able to stop what comes too fast.
        const MOST: (usize, usize) = (100_000, 1 << 20);
        let mut bytes = 0;
        while played.events < MOST.0 && bytes < MOST.1 {
            let Some(event) = self.next_event() else {
                played.ended = true;
                break;
            };
            let gap = event.time.saturating_sub(self.base);
            let shown = idle.shown(self.time.saturating_sub(self.base));
            let needed = idle.shown(gap).saturating_sub(shown);
            if needed > left {
                self.time = self.base.saturating_add(idle.reached(shown + left)).min(event.time);
                break;
            }
            left -= needed;
            if matches!(idle, Idle::Limited(_)) {
                played.skipped += gap.saturating_sub(idle.shown(gap));
            }
            self.enter_next();
            bytes += self.apply(&event);
            played.events += 1;
        }
        played
    }

    /// The next event, without letting it happen.
    pub fn next_event(&mut self) -> Option<Event> {
        let place = self.next_place()?;
        self.segment(place.segment).events.get(place.event).cloned()
    }

    fn next_place(&mut self) -> Option<Place> {
        let mut place = self.place;
        loop {
            if place.event < self.segment(place.segment).events.len() {
                return Some(place);
            }
            place = Place { segment: place.segment + 1, event: 0 };
            if place.segment >= self.outline().spans.len() {
                return None;
            }
        }
    }

    /// Steps over the end of a segment, so that the next event is in the one that is entered.
    fn enter_next(&mut self) {
        if let Some(place) = self.next_place() {
            self.place = place;
        }
    }

    // Reading.

    /// A segment; empty when it cannot be read, which [`Replay::fault`] then tells.
    pub fn segment(&mut self, number: usize) -> Rc<Segment> {
        if let Some(at) = self.held.iter().position(|(held, _)| *held == number) {
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
            let segment = read.unwrap_or_else(|fault| Segment { events: Vec::new(), fault: Some(fault) });
            if segment.fault.is_some() {
                self.fault.clone_from(&segment.fault);
            }
            self.held.push_back((number, Rc::new(segment)));
            if self.held.len() > HELD {
                self.held.pop_front();
            }
        }
        self.held.back().map(|(_, segment)| Rc::clone(segment)).unwrap_or_default()
    }

    /// Reads one neighbour of the current segment that is not in memory yet: for moments in which nothing else is to do.
    /// `false` when both are there.
    pub fn prefetch(&mut self) -> bool {
        let here = self.place.segment;
        let wanted = [Some(here + 1), here.checked_sub(1)];
        for number in wanted.into_iter().flatten() {
            if number < self.outline().spans.len() && !self.held.iter().any(|(held, _)| *held == number) {
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
            self.held.retain(|(number, _)| *number < last);
        }
        Ok(more)
    }
}

fn blank(size: (u16, u16)) -> Terminal {
    let (cols, rows) = if size.0 == 0 || size.1 == 0 { NO_TERMINAL } else { size };
    let mut terminal = Terminal::new(cols, rows);
    new_lines(size, &mut terminal);
    terminal
}

/// Without a terminal, nothing turned a line feed into a new line: ours does (LNM).
fn new_lines(size: (u16, u16), terminal: &mut Terminal) {
    if size.0 == 0 || size.1 == 0 {
        terminal.feed_guarded(b"\x1b[20h");
    }
}

fn changes_screen(payload: &Payload) -> bool {
    matches!(payload, Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. })
}

/// The last of `times` that is more than two seconds before `now`, or else the one before the last.
fn before(times: impl Iterator<Item = Duration>, now: Duration) -> Option<Duration> {
    const NEAR: Duration = Duration::from_secs(2);
    times.filter(|start| *start < now.saturating_sub(NEAR) || (*start < now && now < NEAR)).max()
}
