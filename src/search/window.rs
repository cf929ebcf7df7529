//! When something was by the wall clock, and whether that is when hits are asked for.
//!
//! Refuses to judge clocks: a host that sets its own is believed, segment by segment. That one was set is told: what was done
//! then has a time at which it was not done.

use crate::cast::{Anchor, Payload, Why, millis};
use crate::container::{Cursor, Entry, Reader};
use std::io::{Read, Seek};
use std::time::Duration;

/// From when on and until when hits are asked for, milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Only what still stood, ran or was typed at or after this moment.
    pub from: Option<i64>,
    /// Only what began before this one.
    pub to: Option<i64>,
}

impl Window {
    /// Whether what was from `first` until `last`, both included, is asked for.
    pub fn has(&self, first: i64, last: i64) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }
}

/// Both clocks at the beginnings of segments, in order; see [`super::Match::clocks`].
fn clocks(entries: &[Entry]) -> Vec<(u64, i64)> {
    let tallies = entries.iter().map(|entry| &entry.tally).filter(|tally| tally.utc != 0);
    tallies.map(|tally| (tally.start, tally.utc)).collect()
}

/// The clocks at the beginning of a segment, from its content. `None` where it cannot be read.
fn anchor<R: Read + Seek>(reader: &mut Reader<R>, segment: usize) -> Option<Anchor> {
    if !reader.can_read_content() || segment >= reader.segments() {
        return None;
    }
    let mut cursor = Cursor::of_segment(reader, segment).ok()?;
    match cursor.next(reader).ok()??.payload {
        Payload::Anchor(anchor) if anchor.utc != 0 => Some(anchor),
        _ => None,
    }
}

/// More than a network's corrections take, milliseconds.
const CORRECTED: i64 = 2000;

/// Whether the wall clock was set, by more than that: back, as these beginnings and the start of the session show, also in steps;
/// or either way, as the recorder saw. (A host that slept has its clock go ahead of the session's, too.)
fn was_set(clocks: &[(u64, i64)], start: i64, entries: &[Entry]) -> bool {
    let told = |entry: &Entry| entry.tally.gaps.iter().any(|(_, gap)| gap.reason() == Some(Why::Clock));
    let mut most = start;
    let mut back = |(at, utc): &(u64, i64)| {
        let ahead = utc.saturating_sub(i64::try_from(*at).unwrap_or(i64::MAX));
        most = most.max(ahead);
        most.saturating_sub(ahead) > CORRECTED
    };
    clocks.iter().any(&mut back) || entries.iter().any(told)
}

/// Whether the wall clock was set between two looks at it, either way.
fn parted(one: &Anchor, other: &Anchor) -> bool {
    one.ahead_of_boot().abs_diff(other.ahead_of_boot()) > CORRECTED.unsigned_abs()
}

/// What one recording tells of the wall clock, and when hits are asked for.
pub(super) struct Times {
    window: Window,
    /// When its session began.
    start: i64,
    /// See [`super::Match::clocks`].
    pub(super) clocks: Vec<(u64, i64)>,
    /// Its clock was set, and when something was is asked.
    pub(super) set: bool,
    /// It may have been where there is no index entry, and nobody can look.
    unclocked: bool,
    /// Until when it is known that it went on.
    known_to: i64,
}

impl Times {
    /// `open`: there may be something without an index entry, of which only the content knows when it was.
    pub(super) fn of<R: Read + Seek>(reader: &mut Reader<R>, window: Window, open: bool) -> Self {
        let start = reader.header().start;
        let mut clocks = clocks(reader.entries());
        // The clock may have been set where there is no entry.
        let (mut unclocked, mut open_set) = (false, false);
        if open {
            let number = reader.entries().len();
            let open = anchor(reader, number);
            unclocked = open.is_none() && number < reader.segments();
            if let (Some(open), Some(last)) = (&open, number.checked_sub(1)) {
                open_set = anchor(reader, last).is_some_and(|last| parted(&last, open));
            }
            clocks.extend(open.map(|open| (open.at, open.utc)));
        }
        let windowed = window != Window::default();
        let set = windowed && (open_set || was_set(&clocks, start, reader.entries()));
        let end = |entry: &Entry| wall(&clocks, start, Duration::from_millis(entry.tally.end));
        let known_to = reader.entries().iter().map(end).fold(start, i64::max);
        Self { window, start, clocks, set, unclocked: windowed && unclocked, known_to }
    }

    /// Whether what was from one time of the session until another is asked for.
    pub(super) fn within(&self, first: Duration, last: Duration) -> bool {
        let wall = |time| wall(&self.clocks, self.start, time);
        self.window == Window::default() || self.window.has(wall(first), wall(last))
    }

    /// Whether the session is known to have been going on when something is asked for.
    pub(super) fn went_on(&self) -> bool {
        self.window.has(self.start, self.known_to)
    }

    /// Whether something is asked for that may have come after what is known of it.
    pub(super) fn asks_beyond(&self) -> bool {
        self.set || self.window.to.is_none_or(|to| to > self.known_to)
    }

    /// Whether when something was may be told wrong.
    pub(super) fn is_unsure(&self) -> bool {
        self.set || self.unclocked
    }
}

/// The wall clock at a time of a session that began at `start`, reckoned from the beginning of its segment.
pub(super) fn wall(clocks: &[(u64, i64)], start: i64, time: Duration) -> i64 {
    let ms = millis(time);
    let before = clocks.partition_point(|(at, _)| *at <= ms);
    let clock = before.checked_sub(1).and_then(|last| clocks.get(last));
    let (at, utc) = clock.copied().unwrap_or((0, start));
    Anchor { at, utc, boot: 0 }.wall(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_in_small_steps_was_set_back() {
        // Fifteen times 1.9 s, each after a segment of a minute.
        let crept: Vec<(u64, i64)> =
            (0..15).map(|n: i64| (60_000 * n as u64, 1_000_000 + 60_000 * n - 1_900 * n)).collect();
        assert!(was_set(&crept, 1_000_000, &[]));
        // Set forward in between, which may be sleep.
        let ahead = [(0, 1_000_000), (1_000, 9_001_000), (2_000, 9_000_500), (3_000, 8_999_700)];
        assert!(was_set(&ahead, 1_000_000, &[]));
        // What a network corrects, to and fro.
        let slewed: Vec<(u64, i64)> =
            (0..1000).map(|n: i64| (1000 * n as u64, 1000 * n + n % 2 * 1_500)).collect();
        assert!(!was_set(&slewed, 0, &[]));
    }
}
