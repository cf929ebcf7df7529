//! When something was by the wall clock, and whether that is when hits are asked for.
//!
//! Refuses to judge clocks: a host that sets its own is believed, segment by segment. That one was set back is told: what was
//! done then has a time at which it was not done.

use crate::cast::Payload;
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
pub(super) fn clocks(entries: &[Entry]) -> Vec<(u64, i64)> {
    let tallies = entries.iter().map(|entry| &entry.tally).filter(|tally| tally.utc != 0);
    tallies.map(|tally| (tally.start, tally.utc)).collect()
}

/// Both clocks at the beginning of the first segment without an entry: of a session that goes on, or was not closed. `None` where there
/// is none, or where it cannot be read.
pub(super) fn open_clock<R: Read + Seek>(reader: &mut Reader<R>) -> Option<(u64, i64)> {
    let first = reader.entries().len();
    if !reader.can_read_content() || first >= reader.segments() {
        return None;
    }
    let mut cursor = Cursor::of_segment(reader, first).ok()?;
    match cursor.next(reader).ok()??.payload {
        Payload::Anchor(anchor) if anchor.utc != 0 => Some((anchor.at, anchor.utc)),
        _ => None,
    }
}

/// Whether the wall clock was set back by more than a network's corrections take, between two of these beginnings or between
/// the start of the session and the first. (A host that slept has its clock go ahead of the session's.)
pub(super) fn went_back(clocks: &[(u64, i64)], start: i64) -> bool {
    const CORRECTED: i64 = 2000;
    let ahead = |(at, utc): &(u64, i64)| utc.saturating_sub(i64::try_from(*at).unwrap_or(i64::MAX));
    let all: Vec<i64> = std::iter::once(start).chain(clocks.iter().map(ahead)).collect();
    all.windows(2).any(|two| matches!(two, [before, after] if before.saturating_sub(*after) > CORRECTED))
}

/// The wall clock at a time of a session that began at `start`, reckoned from the beginning of its segment.
pub(super) fn wall(clocks: &[(u64, i64)], start: i64, time: Duration) -> i64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let before = clocks.partition_point(|(at, _)| *at <= ms);
    let clock = before.checked_sub(1).and_then(|last| clocks.get(last));
    let (at, utc) = clock.copied().unwrap_or((0, start));
    utc.saturating_add(i64::try_from(ms.saturating_sub(at)).unwrap_or(i64::MAX))
}
