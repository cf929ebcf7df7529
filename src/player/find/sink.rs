//! Takes what is searched line by line, and keeps the hits in it, in order of time: what was redrawn is one.
//!
//! Refuses to read anything: it is given lines as they go.

use super::{Hit, MOST, Pattern, STANDING};
use crate::cast::{Exec, Trust};
use crate::search::redraw::{Begun, REDRAWN, Stood, Told, clip};
use crate::shell::alone;
use crate::terminal::{Kind, Line};
use std::time::Duration;

/// Where hits go.
pub(super) struct Sink<'a> {
    pub(super) pattern: &'a Pattern,
    pub(super) hits: &'a mut Vec<Hit>,
    pub(super) more: &'a mut bool,
    pub(super) shown: &'a [(Duration, String, Duration)],
    pub(super) begun: &'a Begun,
    pub(super) anew: &'a mut usize,
}

impl Sink<'_> {
    /// A line of the screen. One that was redrawn, or rewritten around the match, is one hit, not many.
    pub(super) fn line(&mut self, line: &Line, of: usize) {
        let Some(hit) = self.hit(Stood::of(line), (&line.text, line.overlap), of) else { return };
        let (page, place) = (matches!(line.kind, Kind::Page(_)), (*self.anew, line.number));
        let hit = Hit { page, kind: Some(line.kind), place, ..hit };
        let at = self.hits.partition_point(|other| other.first <= hit.first);
        let is_it = |other: &Hit| {
            let Some(kind) = other.kind else { return false };
            let stood = other.stood.first..other.stood.last;
            let in_place = kind == Kind::Overwritten && other.place == place && other.found() == hit.found();
            let told = Told { kind, stood, text: &other.text, in_place };
            told.is_redrawn(line, &hit.text, || !self.begun.between(other.stood.first, line.first))
        };
        let near = at.saturating_sub(REDRAWN)..at.saturating_add(REDRAWN).min(self.hits.len());
        let Some(place) = near.rev().find(|place| self.hits.get(*place).is_some_and(is_it)) else {
            return self.keep(Some(hit));
        };
        // What still stands is told again when it has gone.
        if of == STANDING {
            return;
        }
        let mut one = self.hits.remove(place);
        let (earlier, longer) = one.stood.take_in(hit.stood, one.text == hit.text);
        if earlier {
            (one.first, one.line) = (hit.first, hit.line);
        }
        if longer {
            one.text = hit.text;
        }
        one.kind = hit.kind;
        self.keep(Some(one));
    }

    pub(super) fn program(&mut self, exec: &Exec) {
        // What it calls itself is not told without its file.
        let line = alone::arguments(exec);
        let text = if self.pattern.is_in(&line) { &line } else { &exec.path };
        self.ran((exec.time, exec.end), text, Trust::Witnessed);
    }

    /// Something that ran: its start and end in milliseconds.
    pub(super) fn ran(&mut self, (start, end): (u64, Option<u64>), text: &str, trust: Trust) {
        let (start, end) = (Duration::from_millis(start), Duration::from_millis(end.unwrap_or(start)));
        let hit = self.hit(Stood::from(start, start, end), (text, 0), 0);
        self.keep(hit.map(|hit| Hit { trust: Some(trust), ..hit }));
    }

    /// A text, of which so many bytes at its beginning have been looked at before, as a hit, if it is one.
    pub(super) fn hit(&self, mut stood: Stood, (text, past): (&str, usize), of: usize) -> Option<Hit> {
        let found = self.pattern.inner.find_past(text, past)?;
        let line = if stood.first < stood.complete {
            (text.to_owned(), found.clone())
        } else {
            (text.get(found.clone()).unwrap_or_default().to_owned(), 0..found.len())
        };
        let text = clip(text, &found).0;
        let shown = self.shown.iter().find(|(of, said, _)| *of == stood.first && *said == text);
        let mut first = stood.first;
        if let Some((.., time)) = shown {
            (first, stood.complete) = (*time, *time);
        }
        let (page, place) = (false, Default::default());
        Some(Hit { first, stood, text, line, page, trust: None, kind: None, place, of })
    }

    /// Puts a hit into its place.
    pub(super) fn keep(&mut self, hit: Option<Hit>) {
        let Some(hit) = hit else { return };
        if self.hits.len() >= MOST {
            *self.more = true;
            return;
        }
        let at = self.hits.partition_point(|other| other.first <= hit.first);
        self.hits.insert(at, hit);
    }
}
