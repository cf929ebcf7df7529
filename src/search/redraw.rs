//! What is another hit on the screen, and what a redraw of the one before: the rule that batch search and the player share.
//!
//! Refuses to know where commands come from: it is given when they began.

use crate::cast::{Command, millis};
use crate::terminal::{Kind, Line};
use std::ops::Range;
use std::time::Duration;

/// A text that comes again so soon is a redraw, not another hit.
const REDRAW: Duration = Duration::from_secs(1);
/// How many of the last hits are looked at for the one that is redrawn.
pub(crate) const REDRAWN: usize = 256;

/// Longest text of a hit, in bytes; a longer line is cut around what was found.
pub(crate) const MAX_TEXT: usize = 4096;

/// A line in which something was found, as far as it decides whether another is that hit again.
pub(crate) struct Told<'a> {
    /// How it went.
    pub(crate) kind: Kind,
    /// When it came and went.
    pub(crate) stood: Range<Duration>,
    /// Its text, as [`clip`] has it.
    pub(crate) text: &'a str,
    /// It was overwritten and the other stands in its place, in which what was found reads the same.
    pub(crate) in_place: bool,
}

impl Told<'_> {
    /// Whether a line of which `text` is kept is the same hit: a redraw, where it was shown `by_one` command, or an edit in its
    /// place.
    pub(crate) fn is_redrawn(&self, line: &Line, text: &str, by_one: impl FnOnce() -> bool) -> bool {
        let edited = || self.in_place && alike(self.text, &line.text);
        may_be_redrawn(self.kind, &self.stood, line) && (self.text == text && by_one() || edited())
    }
}

/// When a line came, was last written to, and went; of several that are one hit, when the first of them was last written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stood {
    pub(crate) first: Duration,
    pub(crate) complete: Duration,
    pub(crate) last: Duration,
    /// For how long it stood as it is told.
    pub(crate) long: Duration,
}

impl Stood {
    /// That of a line.
    pub(crate) fn of(line: &Line) -> Self {
        Self::from(line.first, line.complete, line.last)
    }

    /// Of what came, was last written to, and went then.
    pub(crate) fn from(first: Duration, complete: Duration, last: Duration) -> Self {
        Self { first, complete, last, long: last.saturating_sub(complete) }
    }

    /// Another line of the same hit, which reads the `same` or not. Gives whether it came before, so that what was found first
    /// stood in it, and whether its text is the one to tell: of two that is the one that stood for longer.
    pub(crate) fn take_in(&mut self, other: Self, same: bool) -> (bool, bool) {
        let (earlier, longer) = (other.first < self.first, !same && other.long > self.long);
        if earlier {
            (self.first, self.complete) = (other.first, other.complete);
        }
        self.last = self.last.max(other.last);
        if same {
            self.long = self.long.saturating_add(other.long);
        } else if longer {
            self.long = other.long;
        }
        (earlier, longer)
    }
}

/// Whether a line with the text of a hit, which went as `kind` and stood during `time`, may be the hit itself: it comes within a
/// second, by the same visit of a full-screen program or none, and the two did not scroll away one after the other.
fn may_be_redrawn(kind: Kind, time: &Range<Duration>, line: &Line) -> bool {
    line.first <= time.end.saturating_add(REDRAW)
        && line.last.saturating_add(REDRAW) >= time.start
        && match (kind, line.kind) {
            (Kind::Page(visit), Kind::Page(another)) => visit == another,
            (Kind::Page(_), _) | (_, Kind::Page(_)) | (Kind::Scrolled, Kind::Scrolled) => false,
            _ => true,
        }
}

/// Whether one text is an edit of the other: four fifths of the shorter one are the beginning of both.
fn alike(one: &str, other: &str) -> bool {
    let shorter = one.chars().count().min(other.chars().count());
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    same * 5 >= shorter * 4
}

/// The text around a place, not longer than [`MAX_TEXT`], and the place in it.
pub(crate) fn clip(text: &str, at: &Range<usize>) -> (String, Range<usize>) {
    if text.len() <= MAX_TEXT {
        return (text.to_owned(), at.clone());
    }
    let start = text.floor_char_boundary(at.start.saturating_sub(MAX_TEXT / 4));
    let end = text.floor_char_boundary((start + MAX_TEXT).min(text.len()));
    let of = |place: usize| place.clamp(start, end) - start;
    (text.get(start..end).unwrap_or_default().to_owned(), of(at.start)..of(at.end))
}

/// When commands began, in milliseconds and in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(Vec<u64>);

impl Begun {
    /// Those of these commands.
    pub(crate) fn of<'a>(commands: impl Iterator<Item = &'a Command>) -> Self {
        let mut starts: Vec<u64> = commands.map(|command| command.start).collect();
        starts.sort_unstable();
        Self(starts)
    }

    /// Whether one began between two times: what is shown at them, two commands showed.
    pub(crate) fn between(&self, one: Duration, other: Duration) -> bool {
        let until = |time: Duration| {
            let ms = millis(time);
            self.0.partition_point(|start| *start <= ms)
        };
        until(one) != until(other)
    }
}
