//! Reads segments of one recording: lines that were shown and typed, and when a text first stood on the screen.
//!
//! Holds what a screen holds and a few lines, however long the recording is.

use super::found::{Findings, MAX_AROUND, Same, Seen, push_last};
use super::query::{Field, Term};
use super::queue::{Queue, Segments};
use super::redraw::clip;
use crate::cast::{Event, Payload};
use crate::container::{Entry, Error, Lost, Reader};
use crate::sys::file::SharedFile;
use crate::terminal::{Canvas, Kind, Line, Shown, Sieve, Typed, TypedLine, Wanted};
use crate::text::clock;
use std::cell::Cell;
use std::io::{Read, Seek};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Whether a segment begins with a keyframe, as its index says.
pub(super) fn begins_anew(entry: &Entry) -> bool {
    entry.tally.keyframes.first() == Some(&entry.tally.start)
}

/// Whether something was drawn in a segment, as its index says.
pub(super) fn draws(entry: &Entry) -> bool {
    entry.tally.raw > 0 || !entry.tally.resizes.is_empty()
}

/// The ranges of segments to read so that every segment in `wanted` is read from a keyframe on, or from the start; from there,
/// where keyframes are not of this generation (`alike`).
pub(super) fn ranges(wanted: &[bool], entries: &[Entry], alike: bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for segment in (0..wanted.len()).filter(|segment| wanted.get(*segment) == Some(&true)) {
        let start = (0..=segment)
            .rev()
            .find(|at| *at == 0 || alike && entries.get(*at).is_some_and(begins_anew))
            .unwrap_or(0);
        match ranges.last_mut() {
            Some(last) if start <= last.end => last.end = segment + 1,
            _ => ranges.push(start..segment + 1),
        }
    }
    ranges
}

/// Goes through the events of segments, for as long as it is wanted. Gives why something is wrong with the first segment of which
/// nothing that was shown is lost: it is passed over.
pub(super) fn events<R: Read + Seek>(
    reader: &mut Reader<R>,
    mut segments: Segments<'_, R>,
    mut each: impl FnMut(Step<'_>) -> bool,
) -> Result<Option<Error>, Error> {
    let mut passed = None;
    while let Some(cursor) = segments.next(reader)? {
        let (mut begun, mut fresh) = (false, true);
        loop {
            let event = match cursor.next(reader) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) if cursor.lost(reader, &error) != Lost::Events => {
                    passed.get_or_insert(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            if !std::mem::replace(&mut begun, true) && !each(Step::Segment) {
                return Ok(passed);
            }
            let more = match &event.payload {
                Payload::Anchor(_) => continue,
                Payload::Keyframe(text) if fresh => each(Step::Keyframe(text, event.time)),
                _ => each(Step::Event(&event)),
            };
            if !more {
                return Ok(passed);
            }
            fresh = false;
        }
    }
    Ok(passed)
}

/// What comes next.
pub(super) enum Step<'a> {
    Segment,
    Keyframe(&'a str, Duration),
    Event(&'a Event),
}

/// What is looked for in a range.
pub(super) struct Scan<'a> {
    /// The terms; those that are `None` are not looked for.
    pub(super) terms: &'a [Option<&'a Term>],
    /// What the recording is drawn on.
    pub(super) canvas: Canvas,
    /// Lines kept around a hit: on the main screen, those that went before and after it; in a full-screen program those that
    /// stood around it.
    pub(super) context: usize,
    /// Most hits kept.
    pub(super) most: usize,
    /// The first hit of every term is enough.
    pub(super) first_only: bool,
    /// Hits beyond `most` need not be counted, nor beyond this many, which may become fewer meanwhile.
    pub(super) stop: Option<&'a AtomicUsize>,
    /// When a text first stood on the screen is asked; else the time of its line will do.
    pub(super) moments: bool,
    /// Keyframes are what this generation draws. Otherwise everything is read from the start, past them.
    pub(super) alike: bool,
    /// The session goes on: what stands at the end of what there is stands still.
    pub(super) running: bool,
    /// Whether a command began between two times; asked where a text comes again.
    pub(super) begun_between: &'a dyn Fn(Duration, Duration) -> bool,
    /// Whether what was from one time until another is asked for.
    pub(super) within: &'a dyn Fn(Duration, Duration) -> bool,
    /// Who may decode the next segments meanwhile.
    pub(super) queue: &'a Queue,
    /// Told that a segment is begun, after so many that were read.
    pub(super) begins: &'a dyn Fn(usize),
}

/// Which plain lines are wanted: with context every one; without, only those that match.
struct Wants<'a> {
    scan: &'a Scan<'a>,
    enough: &'a Cell<bool>,
    /// Where each term may match next in the lines that are being looked at.
    ahead: Vec<Option<usize>>,
}

impl Wants<'_> {
    /// Whether no more lines are wanted. The neighbours of the last hits are: what is drawn later would stand in their place.
    fn is_enough(&self) -> bool {
        self.enough.get() && self.scan.context == 0
    }
}

impl Wanted for Wants<'_> {
    fn line(&mut self, text: &str) -> Option<usize> {
        if self.is_enough() {
            return None;
        }
        let mut matches = self.scan.on_screen().filter_map(|term| term.pattern.find(text));
        match matches.next() {
            // When the text stood there that is looked for; of several, each may have stood at another time.
            Some(at) if matches.next().is_none() => Some(at.end),
            Some(_) => Some(0),
            None => (self.scan.context > 0).then_some(0),
        }
    }

    fn next(&mut self, lines: &str, from: usize) -> Option<usize> {
        if self.is_enough() {
            return None;
        }
        if self.scan.context > 0 {
            return Some(from);
        }
        if from == 0 {
            self.ahead.clear();
        }
        // Only terms that were passed look again: one that is nowhere would go to the end each time.
        for (number, term) in self.scan.on_screen().enumerate() {
            match self.ahead.get_mut(number) {
                None => self.ahead.push(term.pattern.next_in(lines, from)),
                Some(Some(at)) if *at < from => self.ahead[number] = term.pattern.next_in(lines, from),
                Some(_) => {}
            }
        }
        self.ahead.iter().flatten().min().copied()
    }
}

impl Scan<'_> {
    /// Reads a range and adds what it finds; `blind`, where the screen at its start is not known, on an empty one of this size. Gives
    /// the first segment behind the one at which it stopped, where that cannot be read, and the size of its terminal there.
    pub(super) fn range(
        &self,
        reader: &mut Reader<SharedFile>,
        range: Range<usize>,
        blind: Option<(u16, u16)>,
        found: &mut Findings,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<(usize, (u16, u16))> {
        let (from, before) = (found.hits.len(), found.read);
        found.begin(None);
        let enough = Cell::new(self.has_enough(found));
        let mut wanted = Wants { scan: self, enough: &enough, ahead: Vec::new() };
        let mut shown = Sieve::new(self.empty(blind).again());
        let mut blank = blind.is_some() || range.start == 0;
        // A keyframe knows nothing of what was not drawn before it.
        let mut refused = None;
        let mut fault = None;
        let begun = self.begun(reader, &range, &found.typed, cancelled).unwrap_or_else(|error| {
            fault = Some(error.to_string());
            Some(Typed::default())
        });
        let types = begun.is_some();
        let mut typed = begun.unwrap_or_default();
        // Where the first hit of a recording may be the last that is wanted, nobody decodes what comes after it.
        let segments =
            if self.first_only { Segments::alone(&range) } else { Segments::shared(self.queue, &range) };
        let read = events(reader, segments, |step| {
            match step {
                Step::Segment => {
                    (self.begins)(found.read);
                    found.read += 1;
                }
                Step::Keyframe(..) if !self.alike => {}
                Step::Keyframe(text, time) => match Shown::restored(self.canvas, text, time) {
                    Some(mut new) => {
                        if blank {
                            shown.drain(&mut wanted, &mut |line| self.line(line, found, &enough));
                        }
                        let paged = new.terminal().is_alternate();
                        let mut old = std::mem::replace(&mut shown, Sieve::new(new.again())).into_shown();
                        // What stood there stood until now, however long nothing came.
                        old.reach(time);
                        refused = refused.or(old.refused());
                        let moved = old.first_number();
                        if blank {
                            // What stands is told to be found, and told again when it goes.
                            let around = found.around_now();
                            old.finish(&mut |line| self.line(line, found, &enough));
                            found.around_then(around);
                        }
                        blank = true;
                        found.begin(Some((time, paged)));
                        found.moved = moved;
                    }
                    None => {
                        fault = Some("a keyframe is not one".to_owned());
                        return false;
                    }
                },
                Step::Event(event) => {
                    found.last = Some(event.time);
                    if !blank {
                        fault = Some("the screen at the start of a segment is missing".to_owned());
                        return false;
                    }
                    shown.event(event, &mut wanted, &mut |line| self.line(line, found, &enough));
                    typed.event(event, &mut |line| self.typed(&line, found));
                }
            }
            found.cancelled = cancelled();
            !found.cancelled && !self.has_enough(found)
        });
        typed.pause(&mut |line| self.typed(&line, found));
        // A line that began before a range without input goes on behind it.
        if types {
            found.typed = (range.end, typed);
        }
        // Of what was found the earliest is asked for, and what stands since before it is told only now.
        let told = found.hits.len();
        found.ending = self.has_enough(found);
        enough.set(false);
        let over = found.cancelled || (found.ending && self.first_only);
        if !over {
            shown.drain(&mut wanted, &mut |line| self.line(line, found, &enough));
        }
        let mut shown = shown.into_shown();
        if let Some(why) = shown.terminal().fault() {
            fault.get_or_insert(format!("the screen could not be drawn: {why}"));
        }
        found.standing = found.ending || read.is_err();
        if !found.standing && !found.cancelled && fault.is_none() {
            // Nothing is drawn until then, and what stands there stays.
            let until = self.next_drawn(reader, range.end);
            found.standing = until.is_none();
            shown.reach(until.unwrap_or(Duration::MAX));
        }
        let (last, stood) = (shown.last(), shown.terminal().size());
        if let Some(since) = refused.or(shown.refused())
            && self.on_screen().next().is_some()
            && (self.within)(since, last.max(since))
        {
            let since = clock::tenths(since);
            fault.get_or_insert(format!(
                "drawing all of it would have cost too much: from {since} on more may have stood there"
            ));
        }
        if blank && !over {
            shown.finish(&mut |line| self.line(line, found, &enough));
        }
        found.standing = false;
        // One whose beginning cannot be read has not been counted, and is tried once more, unless it is the first.
        let next = range.start.saturating_add(found.read.saturating_sub(before).max(1));
        // Of what happened in it the index may tell.
        let resized = reader.entries().get(next.saturating_sub(1)).and_then(|entry| {
            // One that changes nothing is none.
            entry.tally.resizes.iter().rfind(|(_, cols, rows)| *cols > 0 && *rows > 0)
        });
        let size = resized.map_or(stood, |(_, cols, rows)| (*cols, *rows));
        let behind = read.is_err().then_some((next, size));
        if let Some(error) = read.unwrap_or_else(Some) {
            fault.get_or_insert(error.to_string());
            found.damage.get_or_insert(error);
        }
        if found.fault.is_none() {
            found.fault = fault;
        }
        if !found.cancelled {
            self.moments(reader, (range, blind), found, from, cancelled);
        }
        found.settled(from);
        if found.ending && !self.first_only {
            found.hits.sort_by_key(|hit| (hit.time, hit.field));
            found.hits.truncate(told);
        }
        behind
    }

    /// An empty screen: that of the start, or one of this size.
    pub(super) fn empty(&self, size: Option<(u16, u16)>) -> Shown {
        let mut shown = Shown::new(self.canvas);
        if let Some((cols, rows)) = size {
            shown.event(&Event::new(Duration::ZERO, Payload::Resize { cols, rows }), &mut |_| ());
        }
        shown
    }

    /// When something may be drawn again after the segments before number `from`, or the recording ends; `None` where the session
    /// goes on and nothing has been.
    fn next_drawn(&self, reader: &Reader<SharedFile>, from: usize) -> Option<Duration> {
        let entries = reader.entries();
        let later = entries.get(from..).unwrap_or_default();
        let next = later.iter().find(|entry| draws(entry)).map(|entry| entry.tally.start);
        let still = self.running && entries.len().max(from) >= reader.segments();
        // Where no segment has an entry, all were read: it ends with the last event.
        let end = || (!still).then(|| entries.last().map_or(0, |entry| entry.tally.end));
        next.or_else(end).map(Duration::from_millis)
    }

    /// What had been typed of a line where a range begins, as far as it asks for input: a line goes on where a segment ends. Of
    /// the segments before, those are read in which something was typed, back to the last in which a line ended, or to `before`.
    /// `None`: nothing is typed in the range, or asked of what is.
    fn begun(
        &self,
        reader: &mut Reader<SharedFile>,
        range: &Range<usize>,
        before: &(usize, Typed),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Typed>, Error> {
        let asked = self.terms.iter().flatten().any(|term| term.fields.has(Field::Input));
        let typed =
            |segment: &usize| reader.entries().get(*segment).is_none_or(|entry| entry.tally.input > 0);
        if !asked || !range.clone().any(|segment| typed(&segment)) {
            return Ok(None);
        }
        let earlier: Vec<usize> = (before.0..range.start).filter(typed).collect();
        // Gives whether a line ended. Lines are told to nobody: their segments have denied them.
        let mut read = |segment: usize, typed: &mut Typed| {
            let mut ended = false;
            events(reader, Segments::alone(&(segment..segment + 1)), |step| {
                if let Step::Event(event) = step {
                    ended |= typed.event(event, &mut |_| ());
                }
                !cancelled()
            })?;
            Ok::<bool, Error>(ended)
        };
        let (mut begun, mut from) = (before.1.clone(), 0);
        for (at, segment) in earlier.iter().enumerate().rev() {
            let mut last = Typed::default();
            if read(*segment, &mut last)? {
                (begun, from) = (last, at + 1);
                break;
            }
        }
        for segment in earlier.iter().skip(from) {
            read(*segment, &mut begun)?;
        }
        Ok(Some(begun))
    }

    /// The terms that are looked for on the screen.
    fn on_screen(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().flatten().copied().filter(|term| term.fields.has(Field::Screen))
    }

    /// Whether reading on makes no difference.
    pub(super) fn has_enough(&self, found: &Findings) -> bool {
        if self.stop.is_some_and(|left| found.hits.len() >= self.most.min(left.load(Ordering::Relaxed))) {
            return true;
        }
        self.first_only
            && self
                .terms
                .iter()
                .enumerate()
                .all(|(number, term)| term.is_none() || found.hits.iter().any(|hit| hit.term == number))
    }

    fn line(&self, mut line: Line, found: &mut Findings, enough: &Cell<bool>) {
        if let Kind::Page(visit) = &mut line.kind {
            *visit = visit.saturating_add(found.visits.over);
            found.visits.all = found.visits.all.max(*visit);
        }
        let main = !matches!(line.kind, Kind::Page(_));
        let beside: Option<Arc<str>> = (self.context > 0 && main).then(|| clip(&line.text, &(0..0)).0.into());
        if let Some(beside) = &beside {
            found.follow(beside, self.context);
        }
        for (number, term) in self.terms.iter().enumerate() {
            let Some(term) = term.filter(|term| term.fields.has(Field::Screen)) else { continue };
            // Of a piece of a very long line, what the piece before it ended with has been looked at.
            let Some(at) = term.pattern.find_past(&line.text, line.overlap) else { continue };
            let mut seen = match found.same(number, &line, &at, beside.is_some(), self.begun_between) {
                Same::Kept => continue,
                Same::Aside(seen) => *seen,
                Same::Nothing => found.seen(number, &line, &at),
            };
            // What it was as a whole: its beginning may have been told long ago.
            if !(self.within)(seen.time, seen.until) {
                found.put_aside(seen);
                continue;
            }
            let room = found.hits.len() < self.most && found.around < MAX_AROUND;
            // One of each term: whether there is any may decide.
            let kept = found.terms.insert(number) || room || found.ending;
            if main && kept {
                seen.before = found.beside();
            }
            if kept {
                if beside.is_some() {
                    found.open.push_back(found.hits.len());
                }
                found.hits.push(seen);
            } else {
                found.more += 1;
                push_last(&mut found.beyond, seen);
            }
            enough.set(!found.ending && self.has_enough(found));
        }
        if let Some(beside) = beside {
            if found.before.len() >= self.context {
                found.before.pop_front();
            }
            found.before.push_back(beside);
        }
    }

    fn typed(&self, line: &TypedLine, found: &mut Findings) {
        for (number, term) in self.terms.iter().enumerate() {
            let Some(term) = term.filter(|term| term.fields.has(Field::Input)) else { continue };
            let find = |(text, told)| Some((text, term.pattern.find_past(text, told)?));
            let found_at = line.texts().find_map(find).filter(|_| (self.within)(line.first, line.last));
            let Some((text, at)) = found_at else { continue };
            if !found.terms.insert(number) && found.hits.len() >= self.most {
                found.more += 1;
                continue;
            }
            let typed = line.first..line.last;
            found.hits.push(Seen::of(number, Field::Input, typed, clip(text, &at), found.reading));
        }
    }
}
