//! A recording file as a source: the index tells the outline, a segment is opened when it is looked at.

use super::budget::OPENED;
use super::source::{Error, LISTED, Outline, Segment, Source, Span, believed as ms, label_of, size_of_event};
use crate::cast::{Anchor, Command};
use crate::container::{self, Cursor, Entry, GivenUp, Header, Opening, Reader};
use crate::shell::holes;
use crate::terminal::{Canvas, draws_alike};
use crate::text;
use std::io::{Read, Seek};
use std::time::Duration;

/// Most that is read of a segment, in bytes of memory. A recorder ends a segment after a few MiB of output, whose events take a
/// few times that: what is larger was not made by one.
const SEGMENT: usize = 64 << 20;
/// How much is read, in bytes of memory, to count segments that have no index entry; of the rest only the first event is
/// looked at.
const COUNTED: usize = 64 << 20;
/// What looking at a segment costs at least, in the same measure.
const GLANCE: usize = OPENED as usize;
/// Most segments that are looked at for that; those beyond are taken to be where the last one was.
const GLANCED: usize = 4096;

/// A recording that has been unlocked.
pub struct Recording<R> {
    reader: Reader<R>,
    outline: Outline,
    /// The outline of the segments that have an index entry; the rest is read and counted.
    indexed: Outline,
    entries: usize,
    /// Commands of segments whose entry cannot be read.
    in_holes: Vec<Command>,
    written: Option<Written>,
}

/// Tells whether somebody still writes a recording.
type Written = Box<dyn Fn() -> bool + Send>;

fn told(error: &container::Error) -> Error {
    Error(text::chain(error))
}

/// What a recording is drawn on that begins so.
pub fn canvas(opening: &Opening) -> Canvas {
    Canvas { size: opening.size(), beside: opening.has_output_beside() }
}

impl<R: Read + Seek> Recording<R> {
    /// Over a reader whose content has been unlocked.
    ///
    /// # Errors
    /// The content is locked, or the sealed metadata cannot be read.
    pub fn new(reader: Reader<R>) -> Result<Self, Error> {
        if !reader.can_read_content() {
            return Err(told(&container::Error::Locked));
        }
        let opening = reader.opening().map_err(|e| told(&e))?;
        let indexed = Outline {
            canvas: canvas(opening),
            utc: Some(reader.header().start).filter(|start| *start != 0),
            ..Outline::default()
        };
        let (outline, in_holes) = (indexed.clone(), Vec::new());
        let mut recording = Self { reader, outline, indexed, entries: 0, in_holes, written: None };
        recording.survey();
        Ok(recording)
    }

    /// `written` tells whether somebody still writes it; without, that is believed until it is closed.
    pub fn watched(self, written: impl Fn() -> bool + Send + 'static) -> Self {
        Self { written: Some(Box::new(written)), ..self }
    }

    /// The public header.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// The sealed metadata.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn opening(&self) -> Result<&Opening, Error> {
        self.reader.opening().map_err(|e| told(&e))
    }

    /// Whether it was closed in order.
    pub fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// The reader underneath.
    pub fn reader(&mut self) -> &mut Reader<R> {
        &mut self.reader
    }

    /// Gives the reader back.
    pub fn into_reader(self) -> Reader<R> {
        self.reader
    }

    /// Brings the outline up to date with the index, and counts what has no entry.
    fn survey(&mut self) {
        if self.reader.entries().len() > self.entries {
            // Before these are added: what ended there has its end from then on.
            self.in_holes = holes::commands(&mut self.reader);
        }
        for entry in self.reader.entries().iter().skip(self.entries) {
            add(&mut self.indexed, entry);
        }
        self.entries = self.reader.entries().len();
        self.outline = self.indexed.clone();
        // An end that is told later is of none of these: they stand before the others.
        self.outline.commands.splice(0..0, self.in_holes.iter().cloned());
        let running = self.reader.entries().last().map(|entry| entry.running.iter().cloned());
        self.outline.commands.extend(running.into_iter().flatten());
        // An end that the part without an entry begins with is of the last one that runs, where that is known.
        let mut ends = self.reader.entries().last().is_some_and(Entry::names_what_runs);
        let mut left = COUNTED;
        for number in self.entries..self.reader.segments() {
            if left > 0 {
                // What cannot be read is an empty span; looking at it tells why.
                let segment = self.segment(number).unwrap_or_default();
                left = left.saturating_sub(segment.size().saturating_add(GLANCE));
                self.outline.count(&segment.events, std::mem::replace(&mut ends, true));
            } else {
                let glanced = number.saturating_sub(self.entries) < GLANCED;
                let start = if glanced { self.first_time(number) } else { None };
                self.outline.pass(start);
            }
        }
        self.outline.commands.sort_by_key(|command| command.start);
        self.outline.note(self.reader.opening().ok(), self.reader.entries());
        self.outline.lack = self.lack();
    }

    /// See [`Outline::lack`].
    fn lack(&self) -> Option<&'static str> {
        let entries = self.reader.entries();
        let any = |lacks: fn(&Entry) -> bool| entries.iter().any(lacks);
        let begins = || self.reader.opening().is_ok_and(|opening| opening.meta.lacks_arguments());
        match () {
            () if any(|entry| entry.given_up == Some(GivenUp::Unreadable)) => {
                Some("a part of the index cannot be read")
            }
            () if any(Entry::lacks_commands) => Some("the index lacks commands or arguments"),
            () if !self.reader.is_complete() => Some("the last part is in no index"),
            () if begins() => Some("of what it was told to run only the beginning is kept"),
            () => None,
        }
    }

    /// The time of a segment's first event.
    fn first_time(&mut self, number: usize) -> Option<Duration> {
        let mut cursor = Cursor::of_segment(&self.reader, number).ok()?;
        Some(cursor.next(&mut self.reader).ok()??.time)
    }
}

/// Adds what an index entry tells.
fn add(outline: &mut Outline, entry: &Entry) {
    let tally = &entry.tally;
    let (start, end, step) = (ms(tally.start), ms(tally.end), ms(tally.step));
    // Of what is not listed, anything may be there.
    let keyframe = !tally.keyframes.is_empty() || tally.unlisted > 0;
    outline.spans.push(Span { start, end, keyframe });
    for (n, c) in (0..).zip(tally.activity.chars()) {
        let at = step.saturating_mul(n).saturating_add(start).min(end);
        outline.activity.add(at, c.to_digit(36).unwrap_or(0) as u8);
    }
    outline.commands.extend(entry.commands.iter().cloned());
    outline.execs.extend(entry.execs.iter().cloned());
    list(&mut outline.resizes, tally.resizes.iter().map(|(at, cols, rows)| (ms(*at), *cols, *rows)));
    list(&mut outline.marks, tally.marks.iter().map(|(at, label)| (ms(*at), label_of(label))));
    list(&mut outline.gaps, tally.gaps.iter().map(|(at, gap)| (ms(*at), gap.clone())));
    if tally.utc != 0 {
        list(&mut outline.anchors, [Anchor { at: tally.start, utc: tally.utc, boot: 0 }].into_iter());
    }
    outline.withheld = outline.withheld.saturating_add(tally.withheld);
    outline.input = outline.input.saturating_add(tally.input);
    outline.missing.add(tally.missing());
    outline.exit = tally.exit.or(outline.exit);
}

/// Adds as much to a list as it may hold.
fn list<T>(list: &mut Vec<T>, more: impl Iterator<Item = T>) {
    list.extend(more.take(LISTED.saturating_sub(list.len())));
}

impl<R: Read + Seek> Source for Recording<R> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        let mut cursor = Cursor::of_segment(&self.reader, number).map_err(|e| told(&e))?;
        let mut segment = Segment::default();
        let mut size = 0usize;
        loop {
            match cursor.next(&mut self.reader) {
                Ok(Some(event)) => {
                    size = size.saturating_add(size_of_event(&event));
                    if size > SEGMENT {
                        let mib = SEGMENT >> 20;
                        segment.fault = Some(Error(format!(
                            "segment {number} is larger than {mib} MiB: its end is not shown"
                        )));
                        return Ok(segment);
                    }
                    segment.events.push(event);
                }
                Ok(None) => return Ok(segment),
                Err(error) => {
                    segment.lost = cursor.lost(&self.reader, &error);
                    segment.fault = Some(told(&error));
                    return Ok(segment);
                }
            }
        }
    }

    fn is_ended(&self) -> bool {
        self.reader.is_closed()
    }

    fn is_written(&self) -> bool {
        self.written.as_ref().is_none_or(|written| written())
    }

    fn draws_alike(&self) -> bool {
        self.reader.opening().is_ok_and(|opening| draws_alike(opening.meta.drawing))
    }

    fn filter(&self, number: usize) -> &[u8] {
        if !self.draws_alike() {
            // What another generation drew denies nothing that this one shows.
            return &[];
        }
        self.reader.entries().get(number).map(|entry| entry.filter.as_slice()).unwrap_or_default()
    }

    fn refresh(&mut self) -> Result<bool, Error> {
        let more = self.reader.refresh().map_err(|e| told(&e))?;
        if more {
            self.survey();
        }
        Ok(more)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::LONGEST;
    use super::*;
    use crate::container::Tally;

    #[test]
    fn an_index_that_lies_is_kept_within_bounds() {
        let mut tally = Tally::default();
        (tally.start, tally.end, tally.step) = (u64::MAX, u64::MAX, u64::MAX);
        tally.activity = "z".repeat(9000);
        tally.marks = vec![(u64::MAX, "m".repeat(1 << 20))];
        tally.resizes = vec![(u64::MAX, 0, 0); LISTED + 5];
        let mut outline = Outline::default();
        add(&mut outline, &Entry { tally, ..Entry::default() });
        assert_eq!((outline.activity.steps().count(), outline.resizes.len()), (1, LISTED));
        assert!(outline.marks[0].1.len() < 1000 && outline.duration() <= Duration::from_millis(LONGEST));
    }

    #[test]
    fn what_very_many_segments_say_of_their_activity_takes_a_few_kilobytes_together() {
        let told = |activity: &str| {
            let mut outline = Outline::default();
            for n in 0..2000 {
                let mut tally = Tally::default();
                (tally.start, tally.end, tally.step) = (n * 600_000, (n + 1) * 600_000, 2000);
                tally.activity = activity.to_owned();
                add(&mut outline, &Entry { tally, ..Entry::default() });
            }
            format!("{outline:?}").len()
        };
        let more = told(&"5".repeat(256)) - told("");
        assert!(more < 64 << 10, "{more} bytes more are told of");
    }
}
