//! Another size: the main screen is wrapped anew, the alternate one is cut.
//!
//! The size of a window is whatever its owner says, and wrapping a wide screen anew for a narrow one takes room that grows with
//! the square of its width: each row that is made keeps the room of all that was to the right of it. Where that is too much, the
//! main screen is cut too, as xterm cuts it.
//!
//! A change of size is a line of ten bytes in a recording, and can cost what ten thousand letters do. So each is paid for, out of a
//! credit of its own ([`super::work`]). Where that does not suffice the screen is told, and begins anew, blank: with the columns that
//! it has now, which decide how text is wrapped, and with no more rows than cost little. That is an overrun like every other.

use super::screen::{Screen, blank_half};
use super::tape::Ages;
use alacritty_terminal::grid::{Grid, GridCell};
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::cell::{Cell, Flags};

/// Most cells that wrapping anew may take room for, some 48 MB; a screen of 200 by 100 can become 2 columns wide with less.
const MAX_REFLOW: usize = 2 << 20;

/// What a row costs beside its cells, in cells: it is an allocation.
const ROW: usize = 16;
/// Cells, rows included, of a screen that is begun anew though it cannot be paid for.
const BLANK: usize = 8 << 10;

/// What a screen of this size costs to make, in cells.
fn cost(cols: usize, rows: usize) -> usize {
    (cols + ROW) * rows
}

/// What it takes to wrap a screen anew, at most.
#[derive(Clone, Copy, Debug, Default)]
struct Reflow {
    /// Cells for which there is room meanwhile.
    cells: usize,
    /// Rows that it makes.
    rows: usize,
}

impl Reflow {
    fn of(grid: &Grid<Cell>, rows: usize, cols: usize) -> Self {
        // A wide character may leave the last column empty.
        let fits = (cols - 1).max(1);
        let mut all = Self::default();
        for y in 0..rows {
            let row = &grid[Line(y as i32)];
            let used = row[..].iter().rposition(|cell| !cell.is_empty()).map_or(0, |at| at + 1);
            // What is left of a row, and left, and left, until it fits.
            all.cells += used * (used / fits + 1) / 2 + row.len();
            all.rows += used / fits + 1;
        }
        // Up to the cursor blanks are wrapped as well.
        all.rows += grid.cursor.point.column.0 / fits + 1;
        all
    }
}

impl Screen {
    /// Changes the size as a terminal does: the main screen is wrapped anew, the alternate one is cut. So is the main one, after
    /// it was told, when to wrap it anew would take too much room. What cannot be paid for, see the head of this module.
    pub(super) fn resize(&mut self, cols: usize, rows: usize) {
        if (cols, rows) == (self.cols, self.rows) {
            return;
        }
        // Both screens are gone through several times.
        let all = 4 * cost(self.cols, self.rows).max(cost(cols, rows));
        if !self.work.afford_resizing(all) {
            return self.begin_anew(cols, rows.min(BLANK / cost(cols, 1)).max(1));
        }
        let main = if self.on_alt { &self.other } else { &self.grid };
        let reflow = Reflow::of(main, self.rows, cols.min(self.cols));
        let too_large = cols < self.cols && reflow.cells > MAX_REFLOW;
        let cut = too_large || !self.work.afford_resizing(reflow.cells);
        let mut tape = self.tape.take();
        let ages = tape.as_mut().map(|tape| {
            let as_rows = cut || cols == self.cols;
            tape.before_resize(&self.grid, &self.other, if cut { 0 } else { rows }, as_rows)
        });
        let (main, alt) =
            if self.on_alt { (&mut self.other, &mut self.grid) } else { (&mut self.grid, &mut self.other) };
        if !self.on_alt {
            // The cursor of the hidden alternate screen would decide what is cut; where it was last is no reason.
            alt.cursor.point = Point::default();
            alt.cursor.input_needs_wrap = false;
        }
        // Rows that no longer fit are caught in a scrollback of the moment, for the transcript.
        main.update_history(reflow.rows + self.rows + rows);
        main.resize(!cut, rows, cols);
        if let (Some(tape), Some(ages)) = (&mut tape, ages) {
            tape.resized(main, rows, ages);
        }
        main.clear_history();
        main.update_history(0);
        main.truncate();
        alt.resize(false, rows, cols);
        alt.truncate();
        self.tape = tape;
        self.fit(cols, rows);
    }

    /// Both screens are blank from now on; what stood there was told.
    fn begin_anew(&mut self, cols: usize, rows: usize) {
        self.work.note(2 * cost(cols, rows));
        let mut tape = self.tape.take();
        if let Some(tape) = &mut tape {
            tape.before_resize(&self.grid, &self.other, 0, true);
        }
        for grid in [&mut self.grid, &mut self.other] {
            let mut blank = Grid::new(rows, cols, 0);
            std::mem::swap(&mut blank.cursor, &mut grid.cursor);
            *grid = blank;
        }
        if let Some(tape) = &mut tape {
            let main = if self.on_alt { &self.other } else { &self.grid };
            tape.resized(main, rows, Ages::default());
        }
        self.tape = tape;
        self.fit(cols, rows);
    }

    /// Everything else has the size that both screens have by now.
    fn fit(&mut self, cols: usize, rows: usize) {
        (self.cols, self.rows) = (cols, rows);
        for grid in [&mut self.grid, &mut self.other] {
            mend(grid, cols, rows);
        }
        (self.top, self.bottom, self.left, self.right) = (0, rows - 1, 0, cols - 1);
        let old = self.tabs.len();
        self.tabs.resize(cols, false);
        for x in old..cols {
            self.tabs[x] = x % 8 == 0;
        }
        for saved in &mut self.saved {
            (saved.x, saved.y) = (saved.x.min(cols - 1), saved.y.min(rows - 1));
            saved.pending &= saved.x == cols - 1;
        }
    }
}

/// After a resize: every wide character whole, the cursor on the screen.
fn mend(grid: &mut Grid<Cell>, cols: usize, rows: usize) {
    for y in 0..rows {
        let row = &mut grid[Line(y as i32)];
        for x in 0..cols {
            let flags = row[Column(x)].flags;
            let alone = match () {
                () if flags.contains(Flags::WIDE_CHAR) => {
                    x + 1 >= cols || !row[Column(x + 1)].flags.contains(Flags::WIDE_CHAR_SPACER)
                }
                () if flags.contains(Flags::WIDE_CHAR_SPACER) => {
                    x == 0 || !row[Column(x - 1)].flags.contains(Flags::WIDE_CHAR)
                }
                () => false,
            };
            if alone {
                blank_half(&mut row[Column(x)]);
            }
            if x + 1 < cols && flags.intersects(Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER) {
                row[Column(x)].flags.remove(Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER);
            }
        }
    }
    let cursor = &mut grid.cursor;
    cursor.point.line = Line(cursor.point.line.0.clamp(0, rows as i32 - 1));
    cursor.point.column = Column(cursor.point.column.0.min(cols - 1));
    cursor.input_needs_wrap &= cursor.point.column.0 == cols - 1;
}
