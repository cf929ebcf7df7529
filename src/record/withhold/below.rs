//! The next line of a paste: drawn below the one before it, wherever an editor begins it there.
//!
//! A shell that continues a line indents it, an editor puts its cursor to the next row without a new line, and readline draws what
//! has no room left over and over in the last row. So what was typed behind a line that was seen whole may also begin at the first
//! character that is drawn in the row below the end of that, or at the beginning of the same row. Then all of it must stand there, in
//! order, cell behind cell, and nothing behind it: a prompt that begins like a secret does not end like one.
//!
//! Refuses to judge what is short or a number, and what is not below a line that was seen whole.

use super::drawn::{Cell, Drawn};
use super::echo::is_too_short;

/// Looks for a line below another one.
pub(super) struct Below {
    /// Where the other one ends.
    above: Cell,
    /// How many bytes stand there, and where the cursor stood behind them.
    piece: usize,
    after: Option<Cell>,
    /// Something else stands there.
    failed: bool,
}

/// What a drawn character was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not the next one.
    Nothing,
    /// The next one that was typed.
    Next,
    /// One that stands elsewhere, after all that was typed: that ends in this cell.
    Whole(Cell),
}

impl Below {
    /// Below a line that ends in this cell.
    pub(super) fn new(above: Cell) -> Self {
        Self { above, piece: 0, after: None, failed: false }
    }

    /// Whether it is looked for below that one.
    pub(super) fn is_below(&self, above: Cell) -> bool {
        self.above == above
    }

    /// It is something else.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// A character was drawn, `bytes`; `typed` is what is looked for.
    pub(super) fn see(&mut self, drawn: &Drawn, bytes: &[u8], typed: &[u8]) -> Found {
        if self.failed {
            return Found::Nothing;
        }
        let whole = self.ends_at(typed);
        let is_next = match self.after {
            Some(after) => drawn.is_at(after),
            // Blanks before it indent it, or clear what stood there, unless they were typed.
            None => drawn.is_below(self.above) && (drawn.c != ' ' || typed.first() == Some(&b' ')),
        };
        match whole {
            Some(after) if !is_next && drawn.cell.behind(after).is_none() => return Found::Whole(after),
            // Blanks clear what stood there.
            Some(_) if drawn.c == ' ' => return Found::Nothing,
            None if !is_next => return Found::Nothing,
            _ => {}
        }
        if typed.get(self.piece..).is_some_and(|rest| rest.starts_with(bytes)) {
            self.piece = self.piece.saturating_add(bytes.len());
            self.after = Some(drawn.after);
            return Found::Next;
        }
        // In the row of the other one that is drawn again, as a rule.
        self.failed = !drawn.is_in_row_of(self.above);
        (self.piece, self.after) = (0, None);
        Found::Nothing
    }

    /// Where it ends, if all of it stands there and counts.
    pub(super) fn ends_at(&self, typed: &[u8]) -> Option<Cell> {
        let is_word = typed.iter().any(|byte| !byte.is_ascii_digit());
        self.after.filter(|_| is_word && !is_too_short(typed) && self.piece == typed.len())
    }
}
