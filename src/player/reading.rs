//! A transcript read in slices, which goes on where it was left: for the search and for leafing.
//!
//! Refuses to keep lines: they are told as they go.

use super::times;
use crate::cast::{Event, Payload};
use crate::replay::{Budget, Replay, Segment, Source};
use crate::terminal::{Canvas, Line, Transcript, drawn_on, with_returns};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// What a line costs besides its bytes, and what each of its bytes costs.
const LINE: (u64, u64) = (64, 4);

/// What is said where something that was to be read could not be.
pub(super) const UNREAD: &str = "a part cannot be read";

/// A transcript under way, which goes on where it was left.
pub(super) struct Reading {
    settle: Duration,
    state: State,
    /// As [`Transcript::refused`], of all that was read: where reading begins anew, no keyframe knows of it.
    pub(super) refused: Option<Duration>,
    /// Something of what was to be read could not be.
    pub(super) unread: bool,
}

enum State {
    /// Nothing has been read that leads on.
    Nowhere,
    /// To read this segment, a keyframe is looked for at the start of that one.
    Looking { wanted: usize, at: usize },
    /// Inside a recording.
    At(Box<At>),
}

struct At {
    settle: Duration,
    transcript: Transcript,
    canvas: Canvas,
    /// The segment that is read, or would be next.
    number: usize,
    segment: Option<Rc<Segment>>,
    /// The event in it, and how many of its bytes have been read.
    event: usize,
    within: usize,
    /// Events of the segment before.
    read: usize,
    /// Events of that are missing.
    holed: bool,
    /// The screen is not known since such a segment: an empty one is drawn on until a keyframe tells it.
    blind: bool,
    /// As [`Transcript::refused`], of what was drawn before that.
    refused: Option<Duration>,
}

impl Reading {
    /// Nothing is read yet. `settle` as in [`Transcript::settling`].
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, state: State::Nowhere, refused: None, unread: false }
    }

    /// Forgets where it is, to begin somewhere else.
    pub(super) fn leave(&mut self) {
        self.state = State::Nowhere;
    }

    /// Reads a segment as far as the budget reaches, and tells the lines that went during it. `true` when the segment has been
    /// read to its end. Behind what cannot be read it begins anew, and what stood before that is told: what is drawn there goes
    /// on from another screen.
    pub(super) fn read<S: Source>(
        &mut self,
        replay: &mut Replay<S>,
        wanted: usize,
        budget: &mut Budget,
        told: &mut impl FnMut(Line),
    ) -> bool {
        loop {
            match &mut self.state {
                State::At(at) if at.number == wanted || (at.segment.is_some() && at.number < wanted) => {
                    let before = at.number < wanted;
                    let done = at.read(replay, budget, &mut |line| {
                        // What went before the segment that is wanted is somebody else's.
                        if !before {
                            told(line);
                        }
                    });
                    self.refused = earlier(self.refused, at.refused());
                    if !done {
                        return false;
                    }
                    self.unread |= at.holed;
                    if !before {
                        if at.holed {
                            self.finish(replay, told);
                        }
                        return true;
                    }
                    if at.holed {
                        let hole = at.number.saturating_sub(1);
                        at.pass_hole(replay.outline().resized_in(hole));
                    }
                    if at.number < wanted {
                        // On to the next one, without looking for a keyframe.
                        at.open(replay, budget);
                    }
                }
                State::Looking { wanted: of, at } if *of == wanted => {
                    let from = *at;
                    match keyframe(replay, from, budget) {
                        Some((transcript, _)) => self.begin(transcript, from, replay, budget),
                        None if from == 0 => {
                            let transcript = blank(replay);
                            self.begin(transcript, 0, replay, budget);
                        }
                        None => *at = from - 1,
                    }
                }
                _ => self.state = State::Looking { wanted, at: wanted },
            }
            if budget.is_spent() {
                return false;
            }
        }
    }

    fn begin<S: Source>(
        &mut self,
        transcript: Transcript,
        number: usize,
        replay: &mut Replay<S>,
        budget: &mut Budget,
    ) {
        let canvas = replay.outline().canvas;
        let transcript = transcript.settling(self.settle);
        let mut at = At {
            settle: self.settle,
            transcript,
            canvas,
            number,
            segment: None,
            event: 0,
            within: 0,
            read: 0,
            holed: false,
            blind: false,
            refused: None,
        };
        at.open(replay, budget);
        self.state = State::At(Box::new(at));
    }

    /// Ends here; tells the lines that still stand.
    pub(super) fn finish<S: Source>(&mut self, replay: &Replay<S>, told: &mut impl FnMut(Line)) {
        if let State::At(at) = std::mem::replace(&mut self.state, State::Nowhere) {
            let span = at.number.checked_sub(1).and_then(|last| replay.outline().spans.get(last));
            at.transcript.finish(span.map_or(Duration::ZERO, |span| span.end), told);
        }
    }

    /// Tells what [`Reading::finish`] would tell now, and may go on.
    pub(super) fn finishing(&self, told: &mut impl FnMut(Line)) {
        if let State::At(at) = &self.state {
            at.transcript.finishing(told);
        }
    }

    /// The recording goes on: this segment, the last one that was known, may have become longer. What has been read of it stays
    /// read.
    pub(super) fn resume(&mut self, number: usize) {
        let State::At(at) = &mut self.state else { return };
        if at.number == number {
            at.segment = None;
        } else if at.number.checked_sub(1) == Some(number) && at.segment.is_none() {
            (at.number, at.event) = (number, at.read);
        }
    }

    /// What there is to say where not all that was read is drawn: who reads, or seeks in vain, must not take it for all there was.
    pub(super) fn doubt(&self) -> Option<String> {
        doubt(self.refused, self.unread)
    }

    /// Whether what is read next does not lead on from what was read last.
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self.state, State::Nowhere)
    }

    /// What stands after the segments that have been read.
    pub(super) fn standing(&self) -> Vec<Line> {
        match &self.state {
            State::At(at) => at.transcript.standing(),
            _ => Vec::new(),
        }
    }
}

impl At {
    fn open<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        self.segment = Some(replay.load(self.number, budget));
    }

    /// Reads on in the segment; `true` at its end: the next one is then the one to read.
    fn read<S: Source>(
        &mut self,
        replay: &mut Replay<S>,
        budget: &mut Budget,
        told: &mut impl FnMut(Line),
    ) -> bool {
        if self.segment.is_none() {
            self.open(replay, budget);
        }
        let Some(segment) = self.segment.clone() else { return true };
        let alike = replay.source_ref().draws_alike();
        while let Some(event) = segment.events.get(self.event) {
            if budget.is_spent() {
                return false;
            }
            let before = self.transcript.terminal().spent();
            let mut lines = 0u64;
            let mut counted = |line: Line| {
                lines = lines.saturating_add(LINE.0).saturating_add(LINE.1 * line.text.len() as u64);
                told(line);
            };
            self.one(event, alike, &mut counted);
            let spent = self.transcript.terminal().spent().saturating_sub(before);
            budget.charge(spent.saturating_add(lines).saturating_add(LINE.0));
        }
        self.holed = segment.lacks_events();
        self.number = self.number.saturating_add(1);
        (self.read, self.event, self.within) = (self.event, 0, 0);
        self.segment = None;
        true
    }

    /// As [`Transcript::refused`], of all that it has read.
    fn refused(&self) -> Option<Duration> {
        earlier(self.refused, self.transcript.refused())
    }

    /// What comes next goes on from a screen that is not known, and not from the one that stood before. `resized`: to what size its
    /// terminal was changed meanwhile.
    fn pass_hole(&mut self, resized: Option<(u16, u16)>) {
        let (cols, rows) = resized.unwrap_or(self.transcript.terminal().size());
        self.refused = self.refused();
        self.transcript = Transcript::new(cols, rows).settling(self.settle);
        self.blind = true;
    }

    /// Reads an event, or a piece of it when it is large. `alike`: its keyframes are what this version draws.
    fn one(&mut self, event: &Event, alike: bool, told: &mut impl FnMut(Line)) {
        match &event.payload {
            Payload::Keyframe(text) if self.blind && alike => {
                if let Some(transcript) = Transcript::restored(text, event.time) {
                    self.refused = self.refused();
                    let transcript = transcript.settling(self.settle);
                    std::mem::replace(&mut self.transcript, transcript).finish(event.time, told);
                    self.blind = false;
                }
            }
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                let rest = bytes.get(self.within..).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                self.transcript.feed(
                    event.time,
                    &with_returns(piece, self.canvas.is_bare(&event.payload)),
                    told,
                );
                // Nobody asks for the terminal's events.
                self.transcript.take_events();
                self.within = self.within.saturating_add(piece.len());
                if self.within < bytes.len() {
                    return;
                }
            }
            Payload::Resize { cols, rows } => self.transcript.resize(event.time, *cols, *rows, told),
            _ => {}
        }
        (self.event, self.within) = (self.event.saturating_add(1), 0);
    }
}

pub(super) fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

pub(super) fn doubt(refused: Option<Duration>, unread: bool) -> Option<String> {
    let refused = refused.map(|since| format!("not all is drawn from {} on", times::tenths(since)));
    let unread = unread.then(|| UNREAD.to_owned());
    refused.into_iter().chain(unread).reduce(|refused, unread| format!("{refused}; {unread}"))
}

fn blank<S: Source>(replay: &Replay<S>) -> Transcript {
    let (cols, rows) = drawn_on(replay.outline().canvas.size);
    Transcript::new(cols, rows)
}

/// The keyframe that a segment begins with, and its time.
fn keyframe<S: Source>(
    replay: &mut Replay<S>,
    number: usize,
    budget: &mut Budget,
) -> Option<(Transcript, Duration)> {
    /// What a keyframe may cost that is none.
    const TRIED: u64 = 32 << 20;
    budget.charge(1);
    let alike = replay.source_ref().draws_alike();
    if number == 0 || !alike || !replay.outline().spans.get(number).is_some_and(|span| span.keyframe) {
        return None;
    }
    let segment = replay.load(number, budget);
    for event in &segment.events {
        match &event.payload {
            Payload::Keyframe(text) => {
                let transcript = Transcript::restored(text, event.time);
                budget.charge(if transcript.is_some() { 8 * text.len() as u64 } else { TRIED });
                return transcript.map(|transcript| (transcript, event.time));
            }
            // A keyframe after the first output is no beginning.
            Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. } => break,
            _ => {}
        }
    }
    None
}
