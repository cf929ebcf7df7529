//! What output did to a screen, and in which cells.
//!
//! Refuses to know what stood there before.

/// Tab stops are so many cells apart.
pub(super) const TAB: usize = 8;

/// A place on the screen. At the right margin `col` is the number of columns: the next character goes to the next line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) row: u64,
    pub(super) col: usize,
}

impl Cell {
    /// Whether it is further to the left in the same row.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.row == other.row && self.col < other.col
    }

    /// Whether it is in the same row.
    pub(super) fn is_in_row_of(self, other: Self) -> bool {
        self.row == other.row
    }

    /// Whether it is at a tab stop.
    pub(super) fn is_tab_stop(self) -> bool {
        self.col.is_multiple_of(TAB)
    }

    /// How many cells it is behind `other`, in the same row.
    pub(super) fn behind(self, other: Self) -> Option<usize> {
        self.col.checked_sub(other.col).filter(|_| self.row == other.row)
    }
}

/// A character that was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) c: char,
    /// Where the cursor stood before.
    pub(super) at: Cell,
    /// The cell it went to: the same one, but at the right margin.
    pub(super) cell: Cell,
    /// Where the cursor stood behind it.
    pub(super) after: Cell,
    /// The end of the row above.
    pub(super) above: Option<Cell>,
    /// The sign of a prompt stands right before it.
    pub(super) prompted: bool,
}

impl Drawn {
    /// Whether it was drawn in that cell.
    pub(super) fn is_at(&self, cell: Cell) -> bool {
        self.at == cell || self.cell == cell || self.is_first() && self.above == Some(cell)
    }

    /// Whether it is in the row below that cell, or the first one of the same row, which the cursor has left for that.
    pub(super) fn is_below(&self, cell: Cell) -> bool {
        self.above.is_some_and(|above| above.row == cell.row) || self.is_first() && self.is_in_row_of(cell)
    }

    /// Whether it is in the same row.
    pub(super) fn is_in_row_of(&self, cell: Cell) -> bool {
        self.cell.is_in_row_of(cell)
    }

    /// Whether it is the first one of its row.
    pub(super) fn is_first(&self) -> bool {
        self.cell.col == 0
    }
}

/// What a byte of output did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// It drew a character.
    Drew(Drawn),
    /// It put the cursor to the beginning of its row, which stood there before.
    Returned(Cell),
    /// It put the cursor to the next line, there.
    NextLine(Cell),
    /// It put the cursor from there to the next tab stop.
    Tabbed(Cell, Cell),
    /// It moved what stands in that cell and behind it to the right, by so many cells.
    MovedRight(Cell, usize),
    /// The same to the left, over what stood there.
    MovedLeft(Cell, usize),
}
