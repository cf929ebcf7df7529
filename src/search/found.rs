//! What was found so far in one recording: which lines are one hit, and the lines around it.
//!
//! Refuses to read anything: it is given lines as they go.

use super::query::Field;
use super::redraw::{MAX_TEXT, REDRAWN, Stood, Told, clip};
use crate::container::Error;
use crate::terminal::{Kind, Line, NO_NUMBER, Typed};
use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What the lines around the hits of a recording may take, in bytes; once they take it, further hits are counted and not kept.
pub(super) const MAX_AROUND: usize = 64 << 20;

/// What whole lines may take until it is known when hits in them first stood, in bytes; of others only what is told can be looked for.
const MAX_WHOLE: usize = 64 << 20;

/// A place where a term was found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Number of the term in the query.
    pub term: usize,
    /// Screen or input.
    pub field: Field,
    /// When it first stood there.
    pub time: Duration,
    /// When it went.
    pub until: Duration,
    /// How long it did not stand there in between.
    pub away: Duration,
    /// The line.
    pub text: String,
    /// Where in the line.
    pub at: Range<usize>,
    /// Lines before it, oldest first.
    pub before: Vec<Arc<str>>,
    /// Lines after it.
    pub after: Vec<Arc<str>>,
    /// How the line went; `None` for what was typed.
    pub(super) kind: Option<Kind>,
    /// Its [`Line::number`].
    pub(super) number: u64,
    /// It still stood when reading stopped: when it went is not known.
    pub stands: bool,
    /// Since when it stands as it was told; later than `time`, a second reading must find out.
    pub(super) complete: Duration,
    /// For how long it stood as it is told.
    long: Duration,
    /// When it may have come: where no reading can find out when it first stood, with its line.
    pub(super) since: Duration,
    /// The line in which its moment is looked for and where, if that is not what is told.
    line: Option<Box<(String, Range<usize>)>>,
    /// Counts readings that began anew: numbers of lines are those of one reading.
    pub(super) reading: u32,
}

/// What it is in that a line is told.
struct Now {
    reading: u32,
    /// As of [`Findings`].
    moved: u64,
    standing: bool,
    /// The line stood where the reading began.
    stood: bool,
}

/// What a line is a part of.
pub(super) enum Same {
    Nothing,
    /// A hit that is kept, or counted.
    Kept,
    /// One that was put aside, with this line in it.
    Aside(Box<Seen>),
}

/// The last lines that went, and the hits that lines are still to come after, with how many there are.
type AroundNow = (VecDeque<Arc<str>>, Vec<(usize, usize)>);

/// How often a full-screen program was shown.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// Those that were over when this reading began: it counts from there.
    pub(super) over: u32,
    /// All so far.
    pub(super) all: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) hits: Vec<Seen>,
    /// The terms of which there are some.
    pub(super) terms: HashSet<usize>,
    /// Hits that were not kept.
    pub(super) more: u64,
    /// The last of these, so that they are not counted again when they are redrawn.
    pub(super) beyond: VecDeque<Seen>,
    /// The last that were not when they are asked for: a line that goes on from one of these may be.
    aside: VecDeque<Seen>,
    /// Enough was found, and only what still stands is looked at: something may have stood there for longer.
    pub(super) ending: bool,
    /// What is told now stands where reading stopped before the end.
    pub(super) standing: bool,
    /// Segments that were read.
    pub(super) read: usize,
    /// Why not everything was read.
    pub(super) fault: Option<String>,
    /// What was wrong with the recording, where that is why.
    pub(super) damage: Option<Error>,
    /// When the last event came that was read.
    pub(super) last: Option<Duration>,
    pub(super) before: VecDeque<Arc<str>>,
    /// The hits that lines are still to come after, by number, in their order.
    pub(super) open: VecDeque<usize>,
    /// What the lines around hits take, in bytes. Hits share them.
    pub(super) around: usize,
    /// What hits hold of lines that are longer than what is told of them, in bytes.
    whole: usize,
    /// Lines that were compared with hits, to find when these first stood.
    pub(super) compared: usize,
    pub(super) reading: u32,
    /// The first reading of this range.
    first: u32,
    /// When the screen stood that this reading began with: since when its lines stand is not known.
    pub(super) since: Option<Duration>,
    /// Rows that had left in the reading before: by so much the numbers of its lines on the main screen are higher.
    pub(super) moved: u64,
    pub(super) visits: Visits,
    pub(super) cancelled: bool,
    /// The segment after the last range, and what had been typed of a line until then.
    pub(super) typed: (usize, Typed),
}

impl Findings {
    /// A reading begins, with the screen of a keyframe, its time, and whether it is that of a full-screen program.
    pub(super) fn begin(&mut self, keyframe: Option<(Duration, bool)>) {
        self.reading += 1;
        self.since = keyframe.map(|(time, _)| time);
        if keyframe.is_none() {
            // What comes now does not follow.
            self.first = self.reading;
            self.open.clear();
            self.before.clear();
        }
        // Such a program goes on; a reading counts from it on.
        let on = u32::from(keyframe.is_some_and(|(_, paged)| paged));
        self.visits.over = self.visits.all.saturating_sub(on);
    }

    /// The lines before a hit that comes now.
    pub(super) fn beside(&mut self) -> Vec<Arc<str>> {
        // What nobody else holds has not been counted.
        let fresh = self.before.iter().filter(|line| Arc::strong_count(line) == 1);
        let fresh = fresh.map(|line| line.len()).sum::<usize>();
        self.around += fresh + self.before.len() * size_of::<Arc<str>>();
        self.before.iter().cloned().collect()
    }

    /// A line comes after the hits that wait for it.
    pub(super) fn follow(&mut self, line: &Arc<str>, context: usize) {
        self.around +=
            self.open.len() * size_of::<Arc<str>>() + if self.open.is_empty() { 0 } else { line.len() };
        for at in &self.open {
            if let Some(hit) = self.hits.get_mut(*at) {
                hit.after.push(Arc::clone(line));
            }
        }
        // The first to come is the first to have them all.
        let full = |at: &mut usize| self.hits.get(*at).is_none_or(|hit| hit.after.len() >= context);
        while self.open.pop_front_if(full).is_some() {}
    }

    /// What is found in a line that nothing found before is a part of.
    pub(super) fn seen(&mut self, term: usize, line: &Line, at: &Range<usize>) -> Seen {
        let (length, asked) = (line.text.len(), line.kind != Kind::Scrolled || line.first < line.complete);
        let keeps = asked && length > MAX_TEXT && self.whole.saturating_add(length) <= MAX_WHOLE;
        self.whole += if keeps { length } else { 0 };
        Seen {
            kind: Some(line.kind),
            number: line.number,
            stands: self.standing,
            complete: line.complete,
            long: Stood::of(line).long,
            line: keeps.then(|| Box::new((line.text.clone(), at.clone()))),
            ..Seen::of(term, Field::Screen, line.first..line.last, clip(&line.text, at), self.reading)
        }
    }

    /// When the hits from number `from` on first stood is known, as far as it can be.
    pub(super) fn settled(&mut self, from: usize) {
        self.hits.iter_mut().skip(from).for_each(|hit| hit.line = None);
        self.whole = 0;
    }

    /// Remembers what was not when it is asked for.
    pub(super) fn put_aside(&mut self, seen: Seen) {
        push_last(&mut self.aside, seen);
    }

    /// What is around hits, before lines are told that will be told again.
    pub(super) fn around_now(&self) -> AroundNow {
        let after = |at: &usize| (*at, self.hits.get(*at).map_or(0, |hit| hit.after.len()));
        (self.before.clone(), self.open.iter().map(after).collect())
    }

    /// Those have been told: none of them is around a hit that was found before.
    pub(super) fn around_then(&mut self, (before, open): AroundNow) {
        self.before = before;
        for (at, lines) in &open {
            let told = self.hits.get_mut(*at).map(|hit| hit.after.split_off(hit.after.len().min(*lines)));
            self.forget(told.unwrap_or_default());
        }
        self.open = open.into_iter().map(|(at, _)| at).collect();
    }

    /// A hit that stood where a segment ended goes now: what is around it is what goes before and after it.
    fn around_again(&mut self, at: usize) {
        self.open.retain(|open| *open != at);
        let Some(hit) = self.hits.get_mut(at) else { return };
        let (mut lines, after) = (std::mem::take(&mut hit.before), std::mem::take(&mut hit.after));
        lines.extend(after);
        self.forget(lines);
        let before = self.beside();
        if let Some(hit) = self.hits.get_mut(at) {
            hit.before = before;
            self.open.push_back(at);
        }
    }

    /// Lines are no longer around a hit.
    fn forget(&mut self, lines: Vec<Arc<str>>) {
        for line in lines {
            let own = if Arc::strong_count(&line) == 1 { line.len() } else { 0 };
            self.around = self.around.saturating_sub(own + size_of::<Arc<str>>());
        }
    }

    /// Whether this line goes on with, or redraws, one that was found before; it is then part of that hit. `beside`: the
    /// lines that go before and after it are asked for.
    pub(super) fn same(
        &mut self,
        term: usize,
        line: &Line,
        at: &Range<usize>,
        beside: bool,
        begun_between: &dyn Fn(Duration, Duration) -> bool,
    ) -> Same {
        // When it came is then not known, and not which command showed it.
        let stood = self.since.is_some_and(|since| line.first <= since);
        let whole = line.text.len() <= MAX_TEXT;
        let (clipped, _) = if whole { (String::new(), 0..0) } else { clip(&line.text, at) };
        let text = if whole { line.text.as_str() } else { clipped.as_str() };
        let found = line.text.get(at.clone()).unwrap_or_default();
        let now = Now { reading: self.reading, moved: self.moved, stood, standing: self.standing };
        let is_same = |hit: &Seen| {
            let Some(kind) = hit.kind.filter(|_| hit.term == term) else { return false };
            if kind == Kind::Scrolled && line.kind == Kind::Scrolled {
                // Most are such, and each of these is a hit of its own.
                return false;
            }
            let place = kind == Kind::Overwritten && hit.reading == now.reading && hit.number == line.number;
            let in_place = place && hit.found() == found;
            let told = Told { kind, stood: hit.time..hit.until, text: &hit.text, in_place };
            stood && hit.stands_as(line, &now) && (hit.found() == found || hit.grew_to(line))
                || told.is_redrawn(line, text, || stood || !begun_between(hit.time, line.first))
        };
        if let Some(hit) = self.beyond.iter_mut().rev().find(|hit| is_same(hit)) {
            hit.take_in(line, at, text, &now);
            return Same::Kept;
        }
        let from = self.hits.len().saturating_sub(REDRAWN.saturating_sub(self.beyond.len()));
        let last = self.hits.get_mut(from..).unwrap_or_default();
        if let Some(place) = last.iter().rposition(&is_same)
            && let Some(hit) = last.get_mut(place)
        {
            let again = stood && hit.kind == Some(Kind::Final) && hit.reading >= self.first;
            hit.take_in(line, at, text, &now);
            if again && beside {
                self.around_again(from + place);
            }
            return Same::Kept;
        }
        let aside = self.aside.iter().rposition(is_same).and_then(|place| self.aside.remove(place));
        aside.map_or(Same::Nothing, |mut seen| {
            seen.take_in(line, at, text, &now);
            Same::Aside(Box::new(seen))
        })
    }
}

impl Seen {
    /// What was found in a text, as it is kept, that came or was typed at the first of these times and was over at the other.
    pub(super) fn of(
        term: usize,
        field: Field,
        stood: Range<Duration>,
        (text, at): (String, Range<usize>),
        reading: u32,
    ) -> Self {
        Self {
            term,
            field,
            time: stood.start,
            until: stood.end,
            away: Duration::ZERO,
            text,
            at,
            before: Vec::new(),
            after: Vec::new(),
            kind: None,
            number: 0,
            stands: false,
            complete: stood.start,
            long: stood.end.saturating_sub(stood.start),
            since: stood.start,
            line: None,
            reading,
        }
    }

    /// The line in which its moment is looked for, and where in it.
    pub(super) fn sought(&self) -> (&str, &Range<usize>) {
        self.line.as_ref().map_or((&self.text, &self.at), |line| (&line.0, &line.1))
    }

    /// What was found.
    fn found(&self) -> &str {
        self.text.get(self.at.clone()).unwrap_or_default()
    }

    /// What is told is another line than the one in which its moment is looked for.
    fn tell_as(&mut self, line: &Line, at: &Range<usize>) {
        let told = clip(&line.text, at);
        let before = (std::mem::replace(&mut self.text, told.0), std::mem::replace(&mut self.at, told.1));
        self.line.get_or_insert_with(|| Box::new(before));
    }

    /// Whether it stood where the reading before ended, and is this line of the one that goes on there.
    fn stands_as(&self, line: &Line, now: &Now) -> bool {
        let (alike, moved) = match (self.kind, line.kind) {
            (Some(Kind::Page(visit)), Kind::Page(another)) => (visit == another, 0),
            (Some(Kind::Page(_)) | None, _) | (_, Kind::Page(_)) => (false, 0),
            _ => (true, now.moved),
        };
        // What the sieve tells has no number, and is over.
        let numbered = ![self.number, line.number].contains(&NO_NUMBER) && self.kind != Some(Kind::Scrolled);
        let place = self.number == line.number.saturating_add(moved) && self.reading + 1 == now.reading;
        now.stood && numbered && alike && place && self.until >= line.first
    }

    /// Whether this line begins like it and goes on.
    fn grew_to(&self, line: &Line) -> bool {
        line.text.starts_with(&self.text) || line.text.starts_with(self.sought().0)
    }

    /// A line that reads `text` is a part of it.
    fn take_in(&mut self, line: &Line, at: &Range<usize>, text: &str, now: &Now) {
        let stands = self.stands_as(line, now);
        let grew = stands && self.text != text && self.grew_to(line);
        let between = line.first.saturating_sub(self.until).max(self.time.saturating_sub(line.last));
        self.away = self.away.saturating_add(between);
        let (first, complete, last, long) = (self.time, self.complete, self.until, self.long);
        let mut stood = Stood { first, complete, last, long };
        let (earlier, longer) = stood.take_in(Stood::of(line), self.text == text);
        if earlier {
            self.line = Some(Box::new(clip(&line.text, at)));
        }
        if longer || grew {
            self.tell_as(line, at);
        }
        if stands {
            (self.reading, self.number) = (now.reading, line.number);
        }
        self.long = stood.long;
        self.since = self.since.min(stood.first);
        (self.time, self.complete, self.until) = (stood.first, stood.complete, stood.last);
        self.stands |= now.standing;
        self.kind = Some(line.kind);
    }
}

/// Adds to the last that may still be redrawn.
pub(super) fn push_last(to: &mut VecDeque<Seen>, seen: Seen) {
    if to.len() >= REDRAWN {
        to.pop_front();
    }
    to.push_back(seen);
}
