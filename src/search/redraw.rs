//! What is another hit on the screen, and what a redraw of the one before: the rule that batch search and the player share.
//!
//! Refuses to know where commands come from: it is given when they began.

use crate::cast::Command;
use crate::terminal::{Kind, Line};
use std::ops::Range;
use std::time::Duration;

/// A text that comes again so soon is a redraw, not another hit.
const REDRAW: Duration = Duration::from_secs(1);
/// How many of the last hits are looked at for the one that is redrawn.
pub(crate) const REDRAWN: usize = 256;

/// Whether a line with the text of a hit, which went as `kind` and stood during `time`, may be the hit itself: it comes within a
/// second, by the same visit of a full-screen program or none, and the two did not scroll away one after the other.
pub(crate) fn may_be_redrawn(kind: Kind, time: &Range<Duration>, line: &Line) -> bool {
    line.first <= time.end.saturating_add(REDRAW)
        && line.last.saturating_add(REDRAW) >= time.start
        && match (kind, line.kind) {
            (Kind::Page(visit), Kind::Page(another)) => visit == another,
            (Kind::Page(_), _) | (_, Kind::Page(_)) | (Kind::Scrolled, Kind::Scrolled) => false,
            _ => true,
        }
}

/// Whether one text is an edit of the other: four fifths of the shorter one are the beginning of both.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    let shorter = one.chars().count().min(other.chars().count());
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    same * 5 >= shorter * 4
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
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            self.0.partition_point(|start| *start <= ms)
        };
        until(one) != until(other)
    }
}
