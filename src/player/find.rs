//! Searching: in what was shown (the rendered screen, full-screen programs included), run, or typed.
//!
//! The transcript is read once from the start, a slice at a time between frames; segments whose filter denies the text are
//! passed over. A hit is a line of the transcript; the moment to show is the first at which the text stands on the screen,
//! which is looked for in slices as well.

mod sink;

use super::reading::{Reading, UNREAD};
use crate::cast::Trust;
use crate::replay::{Budget, Outline, Replay, Source};
use crate::search::redraw::{Begun, Stood};
use crate::search::{self, Style};
use crate::terminal::{Kind, Terminal, Typed};
use sink::Sink;
use std::ops::Range;
use std::time::Duration;

/// Most hits that are kept; a search that has more says so.
pub(super) const MOST: usize = 10_000;
/// Events that are replayed at most to find the first moment of a hit.
const CLOSER: usize = 20_000;
/// For how long something stands that was seen, as in batch search: events of one moment are shown together.
const SEEN: Duration = Duration::from_millis(1);
/// The segment of hits in lines that have not gone yet.
const STANDING: usize = usize::MAX;

/// Where to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// What stood on the screen.
    #[default]
    Screen,
    /// Commands, and the programs that the kernel saw.
    Commands,
    /// Typed input, as far as it was recorded.
    Input,
}

impl Scope {
    /// The next one.
    pub fn next(self) -> Self {
        match self {
            Self::Screen => Self::Commands,
            Self::Commands => Self::Input,
            Self::Input => Self::Screen,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Commands => "commands",
            Self::Input => "input",
        }
    }
}

/// What is searched: the text itself, as batch search takes it; letters match in either case unless one is a capital.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    inner: search::Pattern,
}

impl Pattern {
    /// # Errors
    /// One line for people: it is empty, or too long.
    pub fn new(text: &str) -> Result<Self, String> {
        let inner = search::Pattern::new(text, Style::default()).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_string(), inner })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.inner.is_in(text)
    }

    /// Every place in a text.
    fn all(&self, text: &str) -> Vec<Range<usize>> {
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(at) = text.get(from..).and_then(|rest| self.inner.find(rest)) {
            found.push(from + at.start..from + at.end);
            from += at.end.max(1);
        }
        found
    }

    /// The cells of a screen that match: row, first column, column after the last. Wrapped rows are searched as one line.
    pub fn on_screen(&self, terminal: &Terminal) -> Vec<(u16, u16, u16)> {
        let mut found = Vec::new();
        let (mut text, mut places) = (String::new(), Vec::new());
        for row in 0..terminal.size().1 {
            for (col, cell) in (0..).zip(terminal.cells(row)) {
                if cell.width > 0 {
                    text.push(cell.c);
                    text.extend(cell.marks);
                    places.resize(text.len(), (row, col, col + u16::from(cell.width)));
                }
            }
            if terminal.row_wraps(row) {
                continue;
            }
            for hit in self.all(&text) {
                for (row, from, to) in places.get(hit).unwrap_or_default() {
                    match found.last_mut() {
                        Some((last, _, end)) if last == row && (*end == *from || *end == *to) => *end = *to,
                        _ => found.push((*row, *from, *to)),
                    }
                }
            }
            text.clear();
            places.clear();
        }
        found
    }
}

/// A place where the pattern was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// From when on to look.
    pub first: Duration,
    /// When its line came, which stays when it is shown and found to stand there later, was last written to, by which time it
    /// stands there, and until when it may have stood there.
    stood: Stood,
    /// The line, command or input it is in; where it is very long, what is around the match.
    pub text: String,
    /// The line in which its moment is looked for, and where what was found is in it; where that need not be looked for, that alone.
    line: (String, Range<usize>),
    /// It was in a full-screen program.
    pub page: bool,
    /// How far it can be believed, of a command.
    pub trust: Option<Trust>,
    /// How the line went, if it is one of the screen.
    kind: Option<Kind>,
    /// The number of the line, and of the reading of which it is one.
    place: (usize, u64),
    /// The segment during which its line ended.
    of: usize,
}

impl Hit {
    /// By when it stands there.
    pub(super) fn complete(&self) -> Duration {
        self.stood.complete
    }

    /// What was found.
    fn found(&self) -> &str {
        let (line, at) = &self.line;
        line.get(at.clone()).unwrap_or_default()
    }
}

/// A search under way.
pub struct Finder {
    /// What is searched.
    pub pattern: Pattern,
    /// Where.
    pub scope: Scope,
    /// Towards the end.
    pub forward: bool,
    /// In order of time.
    pub hits: Vec<Hit>,
    /// There were more than [`MOST`].
    pub more: bool,
    /// When commands began, of so many.
    begun: (Option<usize>, Begun),
    reading: Reading,
    /// How often reading began anew.
    anew: usize,
    /// The segment to read next, or the command or program.
    next: usize,
    done: bool,
    /// What is read has changed: after it, everything is to be read again.
    again: bool,
    /// Hits that were shown, by `since` and text, and when they stood there: they may be found again.
    shown: Vec<(Duration, String, Duration)>,
    /// Some of what was typed could not be read.
    unread: bool,
    /// What had been typed of a line where these segments begin: the next one, and the one before.
    typed: [(usize, Typed); 2],
    showing: Option<Showing>,
    /// The hit that was gone to last: its place in the list then, when its line came, and its text.
    at: Option<(usize, Duration, String)>,
    /// Where it stands, until that is asked for.
    arrival: Option<Arrival>,
}

/// The screen of the hit that was gone to is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It stands in these cells of a row: row, first column, column after the last. Of several the one nearest to the cursor,
    /// which is where a line has just been written.
    Stands(u16, u16, u16),
    /// It does not stand there: of many lines that came at once only the last ones do.
    PassedBy,
}

/// A hit that is being gone to.
struct Showing {
    hit: Hit,
    /// Steps that may still be taken to find the first moment.
    steps: usize,
    /// How many lines stand that begin like its own and are others; first it is gone to before its own began.
    others: Option<usize>,
}

impl Finder {
    /// Nothing is read yet.
    pub fn new(pattern: Pattern, scope: Scope, forward: bool) -> Self {
        Self {
            pattern,
            scope,
            forward,
            hits: Vec::new(),
            more: false,
            begun: Default::default(),
            reading: Reading::new(SEEN),
            anew: 0,
            next: 0,
            done: false,
            again: false,
            shown: Vec::new(),
            unread: false,
            typed: Default::default(),
            showing: None,
            at: None,
            arrival: None,
        }
    }

    /// Whether everything has been read.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// What there is to say where what is searched could be searched only in part.
    pub(super) fn doubt(&self, outline: &Outline) -> Option<String> {
        match self.scope {
            Scope::Screen => self.reading.doubt(),
            Scope::Commands => outline.lack.map(str::to_owned),
            Scope::Input => self.unread.then(|| UNREAD.to_owned()),
        }
    }

    /// How much has been read, in percent.
    pub fn percent<S: Source>(&self, replay: &Replay<S>) -> usize {
        let all = self.parts(replay).max(1);
        self.next.min(all).saturating_mul(100) / all
    }

    /// How many segments there are to read, or commands and programs.
    fn parts<S: Source>(&self, replay: &Replay<S>) -> usize {
        let outline = replay.outline();
        match self.scope {
            Scope::Commands => outline.commands.len().saturating_add(outline.execs.len()),
            Scope::Screen | Scope::Input => outline.spans.len(),
        }
    }

    /// The recording goes on: `last`, the last segment that was known, may have become longer, and others may have come.
    pub fn renew(&mut self, last: usize) {
        let from = match self.scope {
            // What stood at the end may go on to stand.
            Scope::Screen => {
                self.reading.resume(last);
                STANDING
            }
            Scope::Input => last,
            Scope::Commands if !self.done => {
                self.again = true;
                return;
            }
            Scope::Commands => 0,
        };
        self.hits.retain(|hit| hit.of < from);
        self.begun.0 = None;
        self.next = self.next.min(if self.scope == Scope::Commands { 0 } else { last });
        self.done = false;
    }

    /// Reads on, as far as the budget reaches.
    pub fn step<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        let commands = &replay.outline().commands;
        if self.begun.0 != Some(commands.len()) {
            self.begun = (Some(commands.len()), Begun::of(commands.iter()));
        }
        while !self.done && !budget.is_spent() {
            let read = self.next >= self.parts(replay)
                || match self.scope {
                    Scope::Screen => self.read(replay, budget),
                    Scope::Input => self.typed(replay, budget),
                    Scope::Commands => self.ran(replay, budget),
                };
            if read {
                self.next = self.next.saturating_add(1);
                self.done = self.next >= self.parts(replay);
                if self.done {
                    self.end();
                }
            }
        }
    }

    /// Everything has been read, as far as it goes.
    fn end(&mut self) {
        let (mut sink, reading) = self.split();
        reading.finishing(&mut |line| sink.line(&line, STANDING));
        if std::mem::take(&mut self.again) {
            self.renew(0);
        }
    }

    fn split(&mut self) -> (Sink<'_>, &mut Reading) {
        let Self { pattern, hits, more, shown, begun: (_, begun), reading, anew, .. } = self;
        (Sink { pattern, hits, more, shown, begun, anew }, reading)
    }

    /// Reads on in the next segment that may have shown it; `true` when it has been read to its end.
    fn read<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) -> bool {
        let count = replay.outline().spans.len();
        let may = |n: usize| self.pattern.inner.may_be_in(replay.source_ref().filter(n));
        let skipped = (self.next..count).take_while(|n| !may(*n)).count();
        let before = self.next;
        self.next = self.next.saturating_add(skipped);
        let next = self.next;
        let (mut sink, reading) = self.split();
        if skipped > 0 {
            budget.charge(skipped as u64);
            reading.finish(replay, &mut |line| sink.line(&line, before));
            *sink.anew = sink.anew.saturating_add(1);
        }
        let read = next >= count || reading.read(replay, next, budget, &mut |line| sink.line(&line, next));
        // Behind what could not be read.
        *sink.anew = sink.anew.saturating_add(usize::from(read && reading.is_nowhere()));
        read
    }

    /// Looks at the next command and its programs, or at the next of the programs that belong to none, as batch search does.
    fn ran<S: Source>(&mut self, replay: &Replay<S>, budget: &mut Budget) -> bool {
        let (outline, at) = (replay.outline(), self.next);
        let mut sink = self.split().0;
        if let Some(command) = outline.commands.get(at) {
            budget.charge(command.size() as u64);
            sink.ran((command.start, command.end), &command.text, command.trust);
            command.execs.iter().for_each(|exec| sink.program(exec));
        } else if let Some(exec) = outline.execs.get(at.saturating_sub(outline.commands.len())) {
            budget.charge(exec.size() as u64);
            sink.program(exec);
        }
        true
    }

    /// Input is searched as batch search does: a line at a time, with its corrections made, and as it was typed. A line goes on
    /// where a segment ends; a recording that goes on may be read on from its last segment again.
    fn typed<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) -> bool {
        let begun = self.typed.iter().find(|(segment, _)| *segment == self.next);
        let begun = begun.map_or_else(Typed::default, |(_, typed)| typed.clone());
        let (mut typed, mut lines) = (begun.clone(), Vec::new());
        let segment = replay.load(self.next, budget);
        self.unread |= segment.lacks_events();
        for event in &segment.events {
            typed.event(event, &mut |line| lines.push(line));
        }
        if self.next + 1 >= replay.outline().spans.len() {
            typed.pause(&mut |line| lines.push(line));
        }
        self.typed = [(self.next, begun), (self.next + 1, typed)];
        let of = self.next;
        let mut sink = self.split().0;
        for line in lines {
            let found = line.texts().find(|(text, told)| sink.pattern.inner.find_past(text, *told).is_some());
            if let Some(text) = found {
                let stood = Stood::from(line.first, line.first, line.last);
                let hit = sink.hit(stood, text, of);
                sink.keep(hit);
            }
        }
        true
    }

    /// The hit that was shown last, if it is one of this time.
    pub(super) fn current(&self, time: Duration) -> Option<usize> {
        let (index, since, text) = self.at.as_ref()?;
        let of = |at: &usize| {
            self.hits
                .get(*at)
                .is_some_and(|hit| hit.first == time && hit.stood.first == *since && hit.text == *text)
        };
        // It may stand at another place in the list by now.
        let from = self.hits.partition_point(|hit| hit.first < time);
        let to = self.hits.partition_point(|hit| hit.first <= time);
        (from..to).filter(of).min_by_key(|at| at.abs_diff(*index))
    }

    /// The hit that was shown last, if it is one of this time, or else the last one before.
    pub(super) fn nearest(&self, time: Duration) -> Option<usize> {
        self.current(time).or_else(|| self.hits.iter().rposition(|hit| hit.first <= time))
    }

    /// When the line of the hit that is shown came, and what is found of it, if it is one of the screen.
    pub(super) fn line_at(&self, time: Duration) -> Option<(Duration, &str)> {
        let hit = self.hits.get(self.current(time)?)?;
        (self.scope == Scope::Screen).then_some((hit.stood.first, &hit.text))
    }

    /// The hit to go to from a time: after it when `forward`, else before it. Of several of one time, the next to the one that was
    /// shown last.
    pub fn from(&self, time: Duration, forward: bool) -> Option<usize> {
        if let Some(current) = self.current(time) {
            return if forward {
                Some(current + 1).filter(|at| *at < self.hits.len())
            } else {
                current.checked_sub(1)
            };
        }
        if forward {
            let at = self.hits.partition_point(|hit| hit.first <= time);
            (at < self.hits.len()).then_some(at)
        } else {
            self.hits.partition_point(|hit| hit.first < time).checked_sub(1)
        }
    }

    /// Sets out for the first moment at which a hit stands on the screen; [`Finder::look`] goes there.
    pub fn show<S: Source>(&mut self, replay: &mut Replay<S>, index: usize) {
        self.at = self.hits.get(index).map(|hit| (index, hit.stood.first, hit.text.clone()));
        self.showing = self.hits.get(index).map(|hit| {
            let grows = self.scope == Scope::Screen && hit.first < hit.stood.complete;
            let before = hit.first.checked_sub(Duration::from_millis(1)).filter(|_| grows);
            replay.aim(before.unwrap_or(hit.first));
            let others = if before.is_some() { None } else { Some(0) };
            Showing { hit: hit.clone(), steps: if grows { CLOSER } else { 0 }, others }
        });
    }

    /// Whether a hit is being gone to.
    pub fn is_showing(&self) -> bool {
        self.showing.is_some()
    }

    /// The viewer went elsewhere.
    pub fn leave(&mut self) {
        self.showing = None;
    }

    /// Goes on towards the hit that is to be shown, as far as the budget reaches. Nothing while the replay is on its way.
    pub fn look<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        let mut text = String::new();
        while let Some(showing) = &mut self.showing {
            if replay.underway() {
                replay.approach(budget);
            }
            if replay.underway() || budget.is_spent() {
                return;
            }
            let (cols, rows) = replay.terminal().size();
            budget.charge(u64::from(cols) * u64::from(rows));
            if showing.steps == 0 {
                return self.arrive(replay);
            }
            search::screen(replay.terminal(), &mut text);
            let (line, place) = &showing.hit.line;
            let lines = search::Lines::of(&text, replay.terminal());
            budget.charge(lines.cost(line) as u64);
            let standing = lines.like(line, place.end);
            let Some(others) = showing.others.replace(standing) else {
                replay.aim(showing.hit.first);
                continue;
            };
            if standing > others || replay.time() >= showing.hit.stood.complete {
                return self.arrive(replay);
            }
            if showing.steps < CLOSER && !replay.is_changed() {
                showing.steps = 0;
                replay.aim(showing.hit.stood.complete);
                continue;
            }
            showing.steps -= 1;
            if showing.steps == 0 {
                // Nothing nearer was found.
                replay.aim(showing.hit.stood.complete);
            } else {
                replay.aim_forward();
            }
        }
    }

    /// The screen is the one that shows the hit, if any does.
    fn arrive<S: Source>(&mut self, replay: &Replay<S>) {
        if self.showing.is_some() && self.scope == Scope::Screen {
            let terminal = replay.terminal();
            let cursor = terminal.cursor().row;
            let nearest =
                self.pattern.on_screen(terminal).into_iter().min_by_key(|(row, ..)| row.abs_diff(cursor));
            self.arrival =
                Some(nearest.map_or(Arrival::PassedBy, |(row, from, to)| Arrival::Stands(row, from, to)));
        }
        self.shown_at(replay.time());
    }

    /// Where the hit that was gone to last stands on the screen that was reached. Told once.
    pub fn take_arrival(&mut self) -> Option<Arrival> {
        self.arrival.take()
    }

    /// From now on this is where the hit is: going on from here means going past it.
    fn shown_at(&mut self, time: Duration) {
        let Some(showing) = self.showing.take() else { return };
        if self.scope != Scope::Screen {
            return;
        }
        let Hit { stood: Stood { first: since, .. }, text, .. } = showing.hit;
        let is_it = |hit: &Hit| hit.stood.first == since && hit.text == text;
        let place = self.at.as_ref().map(|(index, ..)| *index);
        let place = place.filter(|at| self.hits.get(*at).is_some_and(is_it));
        // It may stand at another place in the list by now: the search goes on meanwhile.
        let place = place.or_else(|| self.hits.iter().position(is_it));
        if let Some(hit) = place.and_then(|at| self.hits.get_mut(at)) {
            (hit.first, hit.stood.complete) = (time, time);
        }
        self.hits.sort_by_key(|hit| hit.first);
        self.shown.retain(|(of, said, _)| (*of, said) != (since, &text));
        self.shown.push((since, text, time));
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
