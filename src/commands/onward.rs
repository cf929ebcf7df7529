//! A recording read to its end, for who writes or plays all of it: behind what cannot be read it goes on with the next segment, and
//! says so in that place.
//!
//! Each segment has its own key, and most begin with the screen as it stood. Refuses to let what comes behind a hole pass for
//! what came next: it is told before that, and whether the screen is known there.

use super::format::clock;
use crate::cast::{Event, Payload, millis};
use crate::container::{self, Cursor, Lost, Reader};
use crate::error::Error;
use crate::terminal::draws_alike;
use std::fmt;
use std::io::{Read, Seek};
use std::time::Duration;

/// What comes next.
pub(super) enum Step {
    /// An event.
    Event(Event),
    /// Something could not be read here: the words for it.
    Hole(String),
    /// What comes next begins on a screen that is not known.
    Blind,
    /// From here on it is known again: a keyframe of this version.
    Screen(Event),
    /// No more; with the reason where that is not its end.
    End(Option<container::Error>),
}

/// The words for what could not be read.
pub(super) fn told(lost: Lost, error: &dyn fmt::Display) -> String {
    let what = match lost {
        Lost::Events => "here something could not be read",
        Lost::Entry => "what stands before this could be read, its entry in the index could not",
        Lost::Nothing => "what stands before this could be read, but something is wrong with it",
    };
    format!("damaged: {what}: {error}")
}

/// A place in it.
pub(super) struct Onward {
    cursor: Cursor,
    /// Also where something that was shown is missing it goes on.
    goes_on: bool,
    /// Its keyframes are what this version draws.
    alike: bool,
    /// The screen is not known since a hole.
    blind: bool,
    /// That is to be told.
    untold: bool,
    held: Option<Event>,
    holes: u64,
    /// The last segment was read to its end, where something is wrong with it.
    over: bool,
    first: Option<container::Error>,
    /// Where something could not be read, until an event comes.
    told: Option<u64>,
}

impl Onward {
    /// From a segment on. Without `goes_on` it ends where something that was shown cannot be read.
    ///
    /// # Errors
    /// As [`Cursor::new`].
    pub(super) fn new<R: Read + Seek>(
        reader: &Reader<R>,
        segment: usize,
        goes_on: bool,
    ) -> Result<Self, container::Error> {
        let cursor = Cursor::new(reader, segment)?;
        let opening = reader.opening()?;
        let alike = draws_alike(opening.meta.drawing);
        let (blind, untold, held) = (false, false, None);
        Ok(Self {
            cursor,
            goes_on,
            alike,
            blind,
            untold,
            held,
            holes: 0,
            over: false,
            first: None,
            told: None,
        })
    }

    /// Byte offset of the next chunk.
    pub(super) fn offset(&self) -> u64 {
        self.cursor.offset()
    }

    /// What comes next.
    pub(super) fn next<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Step {
        if let Some(event) = self.held.take() {
            return Step::Event(event);
        }
        if self.over {
            return Step::End(None);
        }
        let event = match self.cursor.next(reader) {
            Ok(Some(event)) => event,
            Ok(None) => return Step::End(None),
            Err(error) => return self.hole(reader, error),
        };
        self.told = None;
        // The clocks of a segment stand before its screen.
        if !self.blind || matches!(event.payload, Payload::Anchor(_)) {
            return Step::Event(event);
        }
        if self.alike && matches!(event.payload, Payload::Keyframe(_)) {
            (self.blind, self.untold) = (false, false);
            return Step::Screen(event);
        }
        if std::mem::take(&mut self.untold) {
            self.held = Some(event);
            return Step::Blind;
        }
        Step::Event(event)
    }

    fn hole<R: Read + Seek>(&mut self, reader: &mut Reader<R>, error: container::Error) -> Step {
        // What the system cannot read now it may read another time.
        let again = matches!(error, container::Error::Io { .. });
        let lost = self.cursor.lost(reader, &error);
        if again || !(self.goes_on || lost != Lost::Events) {
            return Step::End(Some(error));
        }
        if !self.cursor.pass_over(reader) {
            // Behind the last one nothing follows.
            self.over = lost == Lost::Nothing && reader.has_end();
            if !self.over {
                return Step::End(Some(error));
            }
        }
        if lost == Lost::Events {
            (self.blind, self.untold) = (true, true);
        }
        // Of a segment whose end is missing, and of one whose beginning is, it is one hole.
        if self.told.is_some() && self.told == error.offset() {
            return self.next(reader);
        }
        self.told = error.offset().filter(|_| lost == Lost::Events);
        self.holes = self.holes.saturating_add(1);
        let told = told(lost, &error);
        self.first.get_or_insert(error);
        Step::Hole(told)
    }

    /// Why not all could be read, with what ended it; `done`, in a word, up to `last`.
    pub(super) fn fault(
        self,
        ended: Option<container::Error>,
        name: &str,
        done: &str,
        last: Duration,
    ) -> Option<Error> {
        let last = clock(millis(last));
        let (said, error) = match (self.first, ended) {
            (None, None) => return None,
            (None, Some(ended)) => (format!("{done} to {last} only"), ended),
            (Some(first), None) if self.holes == 1 => ("not all of it could be read".to_owned(), first),
            (Some(first), None) => {
                (format!("not all of it could be read, in {} places, of which the first", self.holes), first)
            }
            (Some(_), Some(ended)) => {
                let places = crate::text::counted(self.holes, "place");
                (format!("{done} to {last} only, but for {places} before that"), ended)
            }
        };
        Some(Error::from(error).while_doing(format!("{name}: {said}")))
    }
}
