//! Going somewhere: in slices, from the nearest keyframe, whatever is in between.

use super::budget::{Budget, EVENT};
use super::{Own, Place, Progress, Replay, Segment, Source, blank};
use crate::cast::{Event, Payload};
use crate::terminal::{Terminal, with_returns};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that are drawn or skimmed at once.
const PIECE: usize = 64 << 10;
/// Output bytes replayed between keyframes that are made here.
pub(super) const OWN_EVERY: usize = 256 << 10;
/// Keyframes made here that are kept, in bytes.
const OWN_BYTES: usize = 8 << 20;
/// What a keyframe has cost that was given up (see [`Terminal::restored`]).
const GIVEN_UP: u64 = 32 << 20;

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// To a time, everything that happened at it included.
    Time(Duration),
    /// To before the last event before this place that changed the screen.
    Back(Place),
    /// To after the next event from this place on that changes it.
    Forward(Place),
    /// To a place, from the last keyframe before `from`; that one is looked for.
    Keyframe { to: Place, time: Option<Duration>, from: Place },
    /// To a place, from here. The time to show there, when it is later than that of the last event.
    Straight { to: Place, time: Option<Duration> },
}

impl Goal {
    fn place(to: Place, time: Option<Duration>) -> Self {
        Self::Keyframe { to, time, from: to }
    }
}

impl<S: Source> Replay<S> {
    /// Goes to a time, however far.
    pub fn seek(&mut self, time: Duration) {
        self.aim(time);
        self.arrive();
    }

    /// One event forward that changes the screen (or, at the end, nothing). `false` at the end.
    pub fn step_forward(&mut self) -> bool {
        let before = self.place;
        self.aim_forward();
        self.arrive();
        self.place > before && self.changed
    }

    /// Back to before the last event that changed the screen. `false` at the start.
    pub fn step_back(&mut self) -> bool {
        self.aim_back();
        self.arrive();
        self.changed
    }

    fn arrive(&mut self) {
        while self.approach(&mut Budget::endless()) != Progress::Arrived {}
    }

    /// Sets out for a time, everything that happened at it included; [`Replay::approach`] goes there.
    pub fn aim(&mut self, time: Duration) {
        self.goal = Some(Goal::Time(time));
    }

    /// Sets out for after the next event that changes the screen; see [`Replay::is_changed`].
    pub fn aim_forward(&mut self) {
        self.goal = Some(Goal::Forward(self.place));
    }

    /// Sets out for before the last event that changed the screen; see [`Replay::is_changed`].
    pub fn aim_back(&mut self) {
        // Of an event that has been shown in part, the beginning is before it.
        self.changed = self.within > 0;
        self.goal =
            Some(if self.within > 0 { Goal::place(self.place, None) } else { Goal::Back(self.place) });
    }

    /// Whether there was an event to step over, the last time it stepped.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Whether it is on its way.
    pub fn underway(&self) -> bool {
        self.goal.is_some()
    }

    /// Goes on towards where it was sent, as far as the budget reaches.
    pub fn approach(&mut self, budget: &mut Budget) -> Progress {
        while let Some(goal) = self.goal {
            self.goal = match goal {
                Goal::Time(time) => {
                    let time = time.min(self.outline().duration());
                    let segment = self.outline().segment_at(time);
                    let event = self.load(segment, budget).events.partition_point(|event| event.time <= time);
                    Some(Goal::place(Place { segment, event }, Some(time)))
                }
                Goal::Back(place) => self.look_back(place, budget),
                Goal::Forward(place) => self.look_forward(place, budget),
                Goal::Keyframe { to, time, from } => Some(self.look_for_keyframe(to, time, from, budget)),
                Goal::Straight { to, time } => {
                    if self.pass(to, budget) {
                        self.time = time.unwrap_or(self.base).max(self.base);
                        None
                    } else {
                        Some(goal)
                    }
                }
            };
            if self.goal.is_some() && budget.is_spent() {
                return Progress::Underway(self.time);
            }
        }
        Progress::Arrived
    }

    fn look_back(&mut self, from: Place, budget: &mut Budget) -> Option<Goal> {
        self.changed = false;
        let segment = self.load(from.segment, budget);
        let before = segment.events.get(..from.event).unwrap_or(&segment.events);
        if let Some(event) = before.iter().rposition(|event| changes_screen(&event.payload)) {
            self.changed = true;
            return Some(Goal::place(Place { segment: from.segment, event }, None));
        }
        let before = from.segment.checked_sub(1)?;
        Some(Goal::Back(Place { segment: before, event: usize::MAX }))
    }

    fn look_forward(&mut self, from: Place, budget: &mut Budget) -> Option<Goal> {
        self.changed = false;
        let segment = self.load(from.segment, budget);
        let after = segment.events.get(from.event..).unwrap_or_default();
        if let Some(more) = after.iter().position(|event| changes_screen(&event.payload)) {
            self.changed = true;
            let to =
                Place { segment: from.segment, event: from.event.saturating_add(more).saturating_add(1) };
            return Some(Goal::Straight { to, time: None });
        }
        let next = from.segment.saturating_add(1);
        if next < self.outline().spans.len() {
            return Some(Goal::Forward(Place { segment: next, event: 0 }));
        }
        // Nothing more changes it, but time goes on to the end.
        let to = Place { segment: from.segment, event: segment.events.len() };
        Some(Goal::Straight { to, time: None })
    }

    /// Looks at one segment for the last keyframe before `from`; begins there when it is nearer than what is shown.
    fn look_for_keyframe(
        &mut self,
        to: Place,
        time: Option<Duration>,
        from: Place,
        budget: &mut Budget,
    ) -> Goal {
        budget.charge(1);
        let own = self.own.range(..=to).next_back().map(|(place, _)| *place).unwrap_or_default();
        let mut found = own;
        if from.segment >= own.segment {
            let may = self.source.draws_alike();
            let recorded = if may && self.outline().spans.get(from.segment).is_some_and(|span| span.keyframe)
            {
                let segment = self.load(from.segment, budget);
                let before = segment.events.get(..from.event).unwrap_or(&segment.events);
                before.iter().rposition(
                    |event| matches!(&event.payload, Payload::Keyframe(text) if Terminal::is_keyframe(text)),
                )
            } else {
                None
            };
            found = match (recorded, from.segment.checked_sub(1)) {
                (Some(event), _) => own.max(Place { segment: from.segment, event }),
                (None, Some(before)) if from.segment > own.segment => {
                    return Goal::Keyframe { to, time, from: Place { segment: before, event: usize::MAX } };
                }
                (None, _) => own,
            };
        }
        let passed = to < self.place || (self.within > 0 && to == self.place);
        if (passed || found > self.place) && !self.restore(found, budget) {
            // It is none after all: on to the one before.
            return Goal::Keyframe { to, time, from: found };
        }
        Goal::Straight { to, time }
    }

    /// Shows the keyframe at a place, or the very start. `false` when what is there is no keyframe.
    fn restore(&mut self, place: Place, budget: &mut Budget) -> bool {
        let own = self.own.get(&place);
        let blind = own.is_some_and(|own| own.blind);
        let keyframe = match own {
            Some(own) => Some(Rc::clone(&own.text)),
            None if !self.source.draws_alike() => None,
            None => {
                match self.load(place.segment, budget).events.get(place.event).map(|event| &event.payload) {
                    Some(Payload::Keyframe(text)) => Some(Rc::from(text.as_str())),
                    _ => None,
                }
            }
        };
        let terminal = match keyframe {
            Some(text) => {
                let Some(terminal) = Terminal::restored(&text) else {
                    budget.charge(GIVEN_UP);
                    if place > Place::default() {
                        return false;
                    }
                    return self.begin_anew();
                };
                budget.charge(cells(&terminal).saturating_add(text.len() as u64).saturating_mul(4));
                terminal
            }
            None => return self.begin_anew(),
        };
        self.terminal = terminal;
        self.stand_at(place);
        self.blind = blind;
        true
    }

    fn begin_anew(&mut self) -> bool {
        self.terminal = blank(self.outline().canvas.size);
        self.stand_at(Place::default());
        true
    }

    fn stand_at(&mut self, place: Place) {
        (self.place, self.within, self.since_keyframe) = (place, 0, 0);
        (self.blind, self.stale) = (false, false);
        self.base = self.time_before(place);
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

    /// Lets everything happen up to a place. Of what is only passed the end decides: it is skimmed in large pieces. `false`
    /// when the budget ended first.
    fn pass(&mut self, to: Place, budget: &mut Budget) -> bool {
        let last = self.outline().spans.len().saturating_sub(1);
        let to = if to.segment > last { Place { segment: last, event: usize::MAX } } else { to };
        let mut passed = Vec::new();
        while self.place < to {
            let segment = self.load(self.place.segment, budget);
            let end = segment.events.len();
            let until = if self.place.segment == to.segment { to.event.min(end) } else { end };
            while self.place.event < until {
                let Some(event) = segment.events.get(self.place.event) else { break };
                self.clear_stale(event);
                match &event.payload {
                    Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                        let rest = bytes.get(self.within..).unwrap_or_default();
                        let piece = rest.get(..PIECE.saturating_sub(passed.len())).unwrap_or(rest);
                        let bare = self.outline().canvas.is_bare(&event.payload);
                        passed.extend_from_slice(&with_returns(piece, bare));
                        self.part_of(event, piece.len(), bytes.len(), budget);
                        if passed.len() >= PIECE || self.since_keyframe >= OWN_EVERY {
                            self.skim(&mut passed, budget);
                        }
                    }
                    _ => {
                        self.skim(&mut passed, budget);
                        self.apply(event, budget);
                    }
                }
                if budget.is_spent() && self.place < to {
                    self.skim(&mut passed, budget);
                    return false;
                }
            }
            self.skim(&mut passed, budget);
            if self.place.segment >= to.segment {
                break;
            }
            self.enter_behind(&segment);
            if budget.is_spent() && self.place < to {
                return false;
            }
        }
        true
    }

    /// So many of an event's bytes have happened, `all` of which there are.
    fn part_of(&mut self, event: &Event, bytes: usize, all: usize, budget: &mut Budget) {
        budget.charge(bytes as u64);
        self.since_keyframe = self.since_keyframe.saturating_add(bytes);
        self.within = self.within.saturating_add(bytes);
        self.time = self.time.max(event.time);
        if self.within >= all {
            self.happened(event, budget);
        }
    }

    /// An event has happened to its end.
    fn happened(&mut self, event: &Event, budget: &mut Budget) {
        budget.charge(EVENT);
        self.within = 0;
        self.place.event = self.place.event.saturating_add(1);
        self.base = self.base.max(event.time);
        self.time = self.base;
    }

    /// Shows what was only passed.
    fn skim(&mut self, passed: &mut Vec<u8>, budget: &mut Budget) {
        if !passed.is_empty() {
            let before = self.terminal.spent();
            self.terminal.skim(passed);
            budget.charge(self.terminal.spent().saturating_sub(before));
            passed.clear();
        }
        self.keep(budget);
    }

    /// Lets the event at this place happen, or a piece of it when it is large.
    pub(super) fn apply(&mut self, event: &Event, budget: &mut Budget) {
        self.clear_stale(event);
        let before = self.terminal.spent();
        match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                let rest = bytes.get(self.within..).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                let bare = self.outline().canvas.is_bare(&event.payload);
                self.terminal.feed_guarded(&with_returns(piece, bare));
                self.part_of(event, piece.len(), bytes.len(), budget);
            }
            payload => {
                match payload {
                    Payload::Resize { cols, rows } => self.terminal.resize(*cols, *rows),
                    Payload::Keyframe(text) if self.source.draws_alike() => {
                        self.since_keyframe = 0;
                        // After a fault a keyframe makes it good again, and behind what could not be read it tells what stood there.
                        if self.terminal.fault().is_some() || self.blind {
                            budget.charge(GIVEN_UP);
                            if let Some(terminal) = Terminal::restored(text) {
                                self.terminal = terminal;
                                (self.blind, self.stale) = (false, false);
                            }
                        }
                    }
                    _ => {}
                }
                self.happened(event, budget);
            }
        }
        budget.charge(self.terminal.spent().saturating_sub(before));
        self.keep(budget);
    }

    /// Goes on to the segment behind this one, in which it stands.
    fn enter_behind(&mut self, segment: &Segment) {
        if segment.lacks_events() {
            (self.blind, self.stale) = (true, true);
            if let Some((cols, rows)) = self.outline().resized_in(self.place.segment) {
                self.terminal.resize(cols, rows);
            }
        }
        self.place = Place { segment: self.place.segment.saturating_add(1), event: 0 };
    }

    /// Behind a hole nothing is shown of what stood before it: what comes there is drawn on an empty screen, if not on the one
    /// that a keyframe tells. (The clocks of a segment stand before its screen.)
    fn clear_stale(&mut self, event: &Event) {
        let tells = match event.payload {
            Payload::Anchor(_) => true,
            Payload::Keyframe(_) => self.source.draws_alike(),
            _ => false,
        };
        if self.stale && !tells {
            self.terminal = blank(self.terminal.size());
            self.stale = false;
        }
    }

    /// Makes a keyframe here, where the recording has had none for a while.
    fn keep(&mut self, budget: &mut Budget) {
        if self.since_keyframe < OWN_EVERY || self.within > 0 || self.stale {
            return;
        }
        // A keyframe would not say that something was not drawn: whoever begins there would take the screen for the right one.
        if self.own.contains_key(&self.place) || self.terminal.overrun() {
            self.since_keyframe = 0;
            return;
        }
        budget.charge(cells(&self.terminal).saturating_mul(4));
        let Some(text) = self.terminal.snapshot() else { return };
        self.since_keyframe = 0;
        if text.len() > OWN_BYTES / 4 {
            return;
        }
        self.own_bytes = self.own_bytes.saturating_add(text.len());
        self.own.insert(self.place, Own { text: text.into(), blind: self.blind });
        // Every other one goes when they become too many: what is left still spans everything.
        while self.own_bytes > OWN_BYTES && self.own.len() > 1 {
            let mut odd = false;
            self.own.retain(|_, _| {
                odd = !odd;
                odd
            });
            self.own_bytes = self.own.values().map(|own| own.text.len()).sum();
        }
    }

    /// The segment with the next event, stepping over the ends of segments.
    pub(super) fn enter(&mut self, budget: &mut Budget) -> Next {
        loop {
            let segment = self.load(self.place.segment, budget);
            if self.place.event < segment.events.len() {
                return Next::In(segment);
            }
            let next = self.place.segment.saturating_add(1);
            if next >= self.outline().spans.len() {
                return Next::Nothing;
            }
            self.enter_behind(&segment);
            budget.charge(EVENT);
            if budget.is_spent() {
                return Next::Later;
            }
        }
    }
}

/// Where the next event is.
pub(super) enum Next {
    In(Rc<Segment>),
    Nothing,
    Later,
}

fn cells(terminal: &Terminal) -> u64 {
    let (cols, rows) = terminal.size();
    u64::from(cols).saturating_mul(rows.into())
}

fn changes_screen(payload: &Payload) -> bool {
    matches!(payload, Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. })
}
