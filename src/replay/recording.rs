//! A recording file as a source: the index tells the outline, a segment is opened when it is looked at.

use super::source::{Error, Outline, Segment, Source, Span};
use crate::cast::Anchor;
use crate::container::{self, Cursor, Entry, Header, Opening, Reader};
use std::io::{Read, Seek};
use std::time::Duration;

/// A recording that has been unlocked.
pub struct Recording<R> {
    reader: Reader<R>,
    outline: Outline,
    /// The outline of the segments that have an index entry; the rest is read and counted.
    indexed: Outline,
    entries: usize,
}

fn told(error: &container::Error) -> Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Error(text)
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
        let meta = &reader.opening().map_err(|e| told(&e))?.meta;
        let indexed = Outline {
            size: (meta.cols, meta.rows),
            utc: Some(reader.header().start).filter(|start| *start != 0),
            ..Outline::default()
        };
        let mut recording = Self { reader, outline: indexed.clone(), indexed, entries: 0 };
        recording.survey();
        Ok(recording)
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

    /// Brings the outline up to date with the index, and counts what has no entry.
    fn survey(&mut self) {
        for entry in self.reader.entries().iter().skip(self.entries) {
            add(&mut self.indexed, entry);
        }
        self.entries = self.reader.entries().len();
        self.outline = self.indexed.clone();
        for number in self.entries..self.reader.segments() {
            // What cannot be read is an empty span; looking at it tells why.
            let events = self.segment(number).map(|segment| segment.events).unwrap_or_default();
            self.outline.count(&events);
        }
        self.outline.commands.sort_by_key(|command| command.start);
    }
}

/// Adds what an index entry tells.
fn add(outline: &mut Outline, entry: &Entry) {
    let tally = &entry.tally;
    let ms = Duration::from_millis;
    outline.spans.push(Span {
        start: ms(tally.start),
        end: ms(tally.end),
        activity: tally.activity.chars().map(|c| c.to_digit(36).unwrap_or(0) as u8).collect(),
        step: ms(tally.step.max(1)),
        // Of what is not listed, anything may be there.
        keyframe: !tally.keyframes.is_empty() || tally.unlisted > 0,
    });
    outline.commands.extend(entry.commands.iter().cloned());
    outline.resizes.extend(tally.resizes.iter().map(|(at, cols, rows)| (ms(*at), *cols, *rows)));
    outline.marks.extend(tally.marks.iter().map(|(at, label)| (ms(*at), label.clone())));
    outline.gaps.extend(tally.gaps.iter().map(|(at, gap)| (ms(*at), gap.clone())));
    if tally.utc != 0 {
        outline.anchors.push(Anchor { at: tally.start, utc: tally.utc, boot: 0 });
    }
    outline.withheld = outline.withheld.saturating_add(tally.withheld);
    outline.input = outline.input.saturating_add(tally.input);
    outline.lost = outline.lost.saturating_add(tally.lost);
    outline.exit = tally.exit.or(outline.exit);
}

impl<R: Read + Seek> Source for Recording<R> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        let mut cursor = Cursor::of_segment(&self.reader, number).map_err(|e| told(&e))?;
        let mut segment = Segment::default();
        loop {
            match cursor.next(&mut self.reader) {
                Ok(Some(event)) => segment.events.push(event),
                Ok(None) => return Ok(segment),
                Err(error) => {
                    segment.fault = Some(told(&error));
                    return Ok(segment);
                }
            }
        }
    }

    fn is_ended(&self) -> bool {
        self.reader.is_closed()
    }

    fn filter(&self, number: usize) -> &[u8] {
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
