//! What is known of one row: how long its text stands, and the text that stood there before it was changed.
//!
//! Refuses to follow rows as they move, and to tell lines: that is the tape's.

use super::super::cell;
use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::{Cell, Flags};
use std::time::Duration;

/// What is known of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Changed since it last settled.
    pub(super) dirty: bool,
    /// Known to hold no text.
    pub(super) blank: bool,
    /// Since when its text stands there.
    pub(super) first: Duration,
    /// When it was last changed.
    pub(super) changed: Duration,
    /// The settled text that was changed.
    pub(super) saved: Option<Saved>,
    /// The line that its text has been told with, if it is not the row that went; 0 for none.
    pub(super) told: u64,
}

/// The text of a row as it stood before it was changed.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) text: String,
    /// It went on in the next row.
    pub(super) wraps: bool,
    /// Since when there was text, and since when it stood so.
    pub(super) first: Duration,
    pub(super) complete: Duration,
    /// When it was changed.
    pub(super) at: Duration,
    pub(super) told: u64,
}

/// A row as it stood, for the line that it is a part of.
pub(super) struct Part {
    pub(super) y: usize,
    pub(super) text: String,
    pub(super) first: Duration,
    pub(super) complete: Duration,
    pub(super) last: Duration,
    pub(super) told: u64,
    /// The row shows something else now.
    pub(super) replaced: bool,
}

impl State {
    pub(super) fn blank() -> Self {
        Self { blank: true, ..Self::default() }
    }

    pub(super) fn unknown(first: Duration) -> Self {
        Self { first, changed: first, ..Self::default() }
    }
}

pub(super) fn text(grid: &Grid<Cell>, y: usize) -> String {
    let mut out = String::new();
    cell::text(&grid[Row(y as i32)][..], &mut out);
    out
}

pub(super) fn wraps(grid: &Grid<Cell>, line: Row) -> bool {
    grid[line].last().is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE))
}

/// Whether what a row shows now is something else than the text that stood there, not more of it. Of a row that went on in the next
/// one there is no more: what is added stands within the line.
pub(super) fn is_gone(now: &str, saved: &Saved) -> bool {
    if saved.wraps { now != saved.text } else { !now.starts_with(&saved.text) }
}

/// Whether a row went on in the next one, and does not any more.
pub(super) fn is_cut(grid: &Grid<Cell>, y: usize, saved: &Saved) -> bool {
    saved.wraps && !wraps(grid, Row(y as i32))
}
