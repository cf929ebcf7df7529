//! The recorder: takes events from the queue, seals them, and decides what happens when they cannot be written (`failing`).
//!
//! Runs on a thread of its own. The copying loop never waits for the disk but through the full queue; this thread never
//! touches the terminal but through words. Policy `stop`: the moment space runs short the session is told to end, and the
//! reserve that was held back from the start pays for the rest of it and for the close. Policy `warn`: what cannot be
//! written is counted, the operator is told, and the count is an event as soon as writing works again.

mod failing;

use super::disk::Disk;
use super::pauses::Pauses;
use super::queue::{Intake, Nothing};
use crate::cast::{Anchor, Event, Gap, Payload, Why, millis};
use crate::container::{Closed, Extras, Writer, limits};
use crate::policy::OnFailure;
use crate::shell::said::Said;
use std::time::Duration;

/// How a recording is kept going.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What happens on failure.
    pub on_failure: OnFailure,
    /// How often what happened is sealed and written; not zero.
    pub flush: Duration,
    /// Bytes held in reserve for the close; 0 holds none.
    pub reserve: u64,
    /// Free space, in bytes, below which the operator is warned once.
    pub low_space: u64,
    /// Longest time without an event before both clocks are recorded; `None` for never.
    pub heartbeat: Option<Duration>,
}

/// How far the wall clock may go from where a segment began by it, milliseconds: one that is steered a little is not followed.
const MOVED: u64 = 1000;
/// How often in a session that is followed at once: whoever sets the clock without end makes no segment without end…
const MOVES: u32 = 1000;
/// …and only after this long from then on. What takes its time is not done more often, either.
const RARELY: Duration = Duration::from_secs(10);

/// How often the indexer is looked after, however seldom is flushed: it tells after how many looks a witness stands still.
const LOOK: Duration = Duration::from_secs(1);

/// How often, at the ends of segments, code is let go of: each time takes as long as a fiftieth of a segment of a flood, for every
/// thread of the process has to forget where it was.
const RELEASE: Duration = Duration::from_secs(1);

/// What the index is made of: fed with every event in order, asked at the borders of segments. Its failure costs an index
/// entry, never an event; it must not wait.
pub trait Indexer: Send {
    /// The session begins: the monotonic clock reads `origin`.
    fn begin(&mut self, _origin: Duration) {}
    /// Called about every second and at each flush, also when nothing happens. True: ask the loop how far output has come.
    fn tick(&mut self) -> bool {
        false
    }
    /// Why the session must end now, though it is recorded.
    fn must_end(&mut self) -> Option<String> {
        None
    }
    /// An event was recorded.
    fn event(&mut self, event: Event);
    /// When the latest program began, since the start of the session, of those that no index entry has yet; `None`: each is in one.
    fn holds(&mut self) -> Option<Duration> {
        None
    }
    /// Whether there is something to be sealed at once: its segment may have long to go.
    fn is_pressed(&mut self) -> bool {
        false
    }
    /// The segment ends here: what its index entry holds.
    fn end_segment(&mut self) -> Extras;
    /// Escape sequences that recreate the screen as it stands now, at a border.
    fn keyframe(&mut self) -> Option<String>;
    /// The same inside a segment.
    fn keyframe_inside(&mut self) -> Option<String> {
        None
    }
}

/// No index beyond what the writer counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIndex;

impl Indexer for NoIndex {
    fn event(&mut self, _: Event) {}

    fn end_segment(&mut self) -> Extras {
        Extras::default()
    }

    fn keyframe(&mut self) -> Option<String> {
        None
    }
}

/// How a recording ended.
#[derive(Debug)]
pub struct Recorded {
    /// What was closed; `None` when even the close could not be written.
    pub closed: Option<Closed>,
    /// Bytes of the session that are not in the recording; where it could not be closed, at most.
    pub lost: u64,
    /// The failure that stopped or interrupted it, in words.
    pub failure: Option<String>,
    /// Whatever failed, the session went on to its own end, and the recording with it.
    pub went_on: bool,
}

impl Recorded {
    /// Nothing was closed; what failed, where something did.
    pub(super) fn nothing(failure: Option<String>) -> Self {
        Self { closed: None, lost: 0, failure, went_on: false }
    }
}

/// Records until the session is over, then closes. `clock` reads both clocks; the reserve must be held already (see
/// [`super::disk::hold_reserve`]; `policy.reserve` is then what it gave).
pub fn record<S: Disk>(
    intake: &Intake,
    writer: Writer<S>,
    indexer: &mut dyn Indexer,
    policy: Policy,
    clock: &dyn Fn() -> Anchor,
) -> Recorded {
    let mut recorder = Recorder {
        writer,
        indexer,
        policy,
        clock,
        intake,
        state: State::Writing,
        lost: 0,
        lost_now: 0,
        losing: Duration::ZERO,
        failure: None,
        loses: None,
        warned: None,
        low_space_told: false,
        last_event: Duration::ZERO,
        shown: Duration::ZERO,
        held: None,
        unseen: None,
        wall: 0,
        looked: Duration::ZERO,
        released: Duration::ZERO,
        moves: 0,
        asked: None,
        exit: None,
        pauses: Pauses::new(clock()),
    };
    recorder.begin(Duration::ZERO);
    let (mut next_tick, mut next_look) = (policy.flush, LOOK);
    loop {
        let (now, next) = (recorder.now(), next_tick.min(next_look));
        let due = recorder.next_beat().map_or(next, |beat| beat.min(next));
        match intake.receive(due.saturating_sub(now)) {
            Ok(events) => {
                for event in events {
                    recorder.event(event);
                }
            }
            Err(Nothing::Yet) => {}
            Err(Nothing::Ever) => break,
        }
        let now = recorder.now();
        if now >= next {
            recorder.look(now);
            next_look = now.saturating_add(LOOK);
        }
        if recorder.next_beat().is_some_and(|beat| now >= beat) {
            recorder.beat(now);
        }
        if now >= next_tick {
            recorder.tick(now, next_tick);
            // The grid is fixed: a flush never tells when a key was pressed.
            while next_tick <= now {
                next_tick = next_tick.saturating_add(policy.flush.max(Duration::from_millis(1)));
            }
        }
    }
    recorder.close()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// Policy stop: the session is ending; the reserve pays.
    Ending,
    /// Nothing can be written for now; events are counted.
    Losing,
}

struct Recorder<'a, S: Disk> {
    writer: Writer<S>,
    indexer: &'a mut dyn Indexer,
    policy: Policy,
    clock: &'a dyn Fn() -> Anchor,
    intake: &'a Intake,
    state: State,
    lost: u64,
    /// Lost since the last gap was recorded.
    lost_now: u64,
    /// When the first of it came.
    losing: Duration,
    failure: Option<String>,
    /// Why something was lost, last: the first failure may have been another, and mended.
    loses: Option<String>,
    /// What the operator was warned of last.
    warned: Option<String>,
    low_space_told: bool,
    last_event: Duration,
    /// When anything last happened that an event shows.
    shown: Duration,
    /// Since when a program is known of that no index entry has.
    held: Option<Duration>,
    /// The same of one of which nothing could be seen.
    unseen: Option<Duration>,
    /// How far the wall clock was ahead of the session's when the segment in hand began, milliseconds.
    wall: i64,
    /// When [`Recorder::wall`] last held.
    looked: Duration,
    /// When code was let go of.
    released: Duration,
    /// Segments ended because the clock had moved.
    moves: u32,
    /// When [`Recorder::give_back`] last ran after a failed write.
    asked: Option<Duration>,
    /// The exit status, when it came while nothing could be written.
    exit: Option<Event>,
    pauses: Pauses,
}

impl<S: Disk> Recorder<'_, S> {
    fn now(&self) -> Duration {
        Duration::from_millis((self.clock)().at)
    }

    /// Both clocks as they stood at `time`.
    fn anchor(&self, time: Duration) -> Anchor {
        let mut anchor = (self.clock)();
        let at = millis(time);
        let since = anchor.at.saturating_sub(at);
        anchor.at = at;
        anchor.utc = anchor.utc.saturating_sub_unsigned(since);
        anchor.boot = anchor.boot.saturating_sub(since);
        anchor
    }

    fn begin(&mut self, time: Duration) {
        let anchor = self.anchor(time);
        self.begin_with(anchor);
    }

    fn begin_with(&mut self, anchor: Anchor) {
        self.wall = anchor.ahead_of_session();
        self.looked = Duration::from_millis(anchor.at);
        let keyframe = self.indexer.keyframe();
        let begun = self.writer.begin(anchor, keyframe);
        self.check(begun);
    }

    /// Whether what happens at `time` is no longer by the wall clock of the segment in hand: the host has slept, or its clock was
    /// set. What had happened when the two were last seen to agree still is.
    fn wall_moved(&mut self, time: Duration) -> bool {
        let now = (self.clock)();
        if now.ahead_of_session().abs_diff(self.wall) <= MOVED {
            self.looked = Duration::from_millis(now.at);
            return false;
        }
        let age = time.saturating_sub(self.looked);
        let often = self.moves >= MOVES && age < RARELY;
        time > self.looked && !often && self.writer.may_end_segment()
    }

    /// Ends the segment in hand where its wall clock no longer holds: a reader has the times of a segment from its beginning.
    fn follow_wall(&mut self, time: Duration) {
        if self.writer.in_segment() && self.wall_moved(time) {
            self.moves = self.moves.saturating_add(1);
            self.end_segment(time);
        }
    }

    fn event(&mut self, event: Event) {
        let said = Said::of(&event.payload);
        if matches!(said, Some(Said::Through(_) | Said::Held(_))) {
            // Nothing has happened.
            if self.state != State::Losing {
                self.indexer.event(event);
            }
            return;
        }
        let time = event.time;
        if let Payload::Gap(gap) = &event.payload {
            self.pauses.hear(millis(time), gap);
        }
        // For the index alone: a recording in which nothing else comes has had no event.
        let kept = said.as_ref().map(Said::kept);
        if !matches!(kept, Some(None)) {
            self.last_event = self.last_event.max(time);
            // That something was typed unseen shows nothing of what comes of it.
            let shows = !matches!(event.payload, Payload::Withheld(_));
            self.shown = if shows { self.shown.max(time) } else { self.shown };
        }
        if self.state == State::Losing {
            self.count_lost(&event);
            return;
        }
        self.follow_wall(time);
        if !self.writer.in_segment() {
            self.begin(time);
        }
        let pushed = match kept {
            None => self.writer.push(&event),
            Some(Some(payload)) => self.writer.push(&Event::new(time, payload)),
            Some(None) => {
                self.indexer.event(event);
                return;
            }
        };
        self.check(pushed);
        self.indexer.event(event);
        if self.writer.segment_due(time) {
            self.end_segment(time);
        } else if self.writer.keyframe_due()
            && let Some(screen) = self.indexer.keyframe_inside()
        {
            let pushed = self.writer.push(&Event::new(time, Payload::Keyframe(screen)));
            self.check(pushed);
        }
    }

    /// Whether a program has waited for its index entry long enough: what the kernel tells stands nowhere else, and where nothing is
    /// shown no segment would end.
    fn has_held_long(&mut self, now: Duration) -> bool {
        if let Some(began) = self.indexer.holds() {
            self.held.get_or_insert(now);
            if began > self.shown.saturating_add(limits::QUIET) {
                self.unseen.get_or_insert(now);
            }
        }
        let waits = |since: Option<Duration>, most| since.is_some_and(|at| now.saturating_sub(at) >= most);
        waits(self.unseen, limits::SEGMENT_HELD) || waits(self.held, limits::SEGMENT_ANY)
    }

    fn end_segment(&mut self, now: Duration) {
        (self.held, self.unseen) = (None, None);
        let extras = self.indexer.end_segment();
        let ended = self.writer.end_segment(now, extras);
        self.check(ended);
        // What is used again comes back in microseconds; what the kernel maps around it, and what was used once, would pile up to a
        // megabyte.
        if now >= self.released.saturating_add(RELEASE) {
            self.released = now;
            crate::sys::memory::release_code();
        }
    }

    /// When both clocks are to be recorded if nothing happens before.
    fn next_beat(&self) -> Option<Duration> {
        let every = self.policy.heartbeat.filter(|_| self.state != State::Losing)?;
        Some(self.last_event.saturating_add(every))
    }

    fn beat(&mut self, now: Duration) {
        self.follow_wall(now);
        self.last_event = now;
        let anchor = self.anchor(now);
        if self.writer.in_segment() {
            let beat = self.writer.push(&Event::new(now, Payload::Anchor(anchor)));
            self.check(beat);
        } else {
            self.begin_with(anchor);
        }
    }

    fn look(&mut self, now: Duration) {
        if self.indexer.tick() {
            self.intake.ask();
        }
        if self.state == State::Writing
            && let Some(why) = self.indexer.must_end()
        {
            self.must_end(now, why);
        }
    }

    fn tick(&mut self, now: Duration, due: Duration) {
        if self.state == State::Losing {
            self.try_again(now);
            return;
        }
        self.follow_wall(now);
        for gap in self.pauses.look((self.clock)(), millis(due)) {
            self.push_gap(now, gap);
        }
        let flushed = self.writer.flush(now);
        self.check(flushed);
        if self.state != State::Losing {
            self.record_touched(now);
        }
        let wanted = self.has_held_long(now) || self.indexer.is_pressed();
        if wanted && !self.writer.in_segment() {
            self.begin(now);
        }
        if self.writer.segment_due(now) || wanted && self.writer.may_end_segment() {
            self.end_segment(now);
        }
        self.watch_space();
    }

    fn push_gap(&mut self, now: Duration, gap: Gap) {
        if !self.writer.in_segment() {
            self.begin(now);
        }
        let pushed = self.writer.push(&Event::new(now, Payload::Gap(gap)));
        self.check(pushed);
    }

    fn close(mut self) -> Recorded {
        let now = self.now().max(self.last_event);
        if self.policy.reserve > 0 {
            let _ = self.writer.sink().release_reserve();
        }
        if let Some(gap) = self.pauses.last()
            && self.state != State::Losing
        {
            self.push_gap(now, gap);
        }
        self.writer.sink().drop_ballast();
        if self.state == State::Losing {
            // One more try: what was held has just been given back. Whether it works shows when the file is closed.
            let _ = self.writer.settle();
        }
        if let Some(why) = self.failure.clone()
            && self.policy.on_failure == OnFailure::Stop
            && self.lost_now == 0
        {
            self.push_gap(now, Gap::new(Why::Stopped, "session", 0, why));
        }
        // Nobody has looked since the last flush, which in a short session there was not.
        if let Err(error) = self.writer.look() {
            let _ = self.writer.settle();
            self.failure.get_or_insert_with(|| error.to_string());
        }
        self.record_gap(now);
        self.record_touched(now);
        if let Some(exit) = self.exit.take() {
            let pushed = self.writer.push(&exit);
            self.check(pushed);
        }
        // The end runs through code that the session did not: it would come on top of all that is mapped by now.
        crate::sys::memory::release_code();
        let extras = self.indexer.end_segment();
        // What the disk could not make durable it may have dropped: it is written once more.
        let finished = self.writer.finish(now, extras);
        match finished.or_else(|(_, writer)| writer.finish(now, Extras::default())) {
            Ok((closed, _)) => {
                let went_on = match self.state {
                    State::Writing => true,
                    State::Ending => false,
                    State::Losing => self.policy.on_failure == OnFailure::Warn && self.lost == 0,
                };
                let failure = self.loses.filter(|_| self.lost > 0).or(self.failure);
                Recorded { closed: Some(closed), lost: self.lost, failure, went_on }
            }
            Err((error, writer)) => {
                let failure = self.loses.or(self.failure).unwrap_or_else(|| error.to_string());
                let lost = self.lost.saturating_add(writer.in_danger());
                Recorded { closed: None, lost, failure: Some(failure), went_on: false }
            }
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
