//! Erasing, inserting, deleting and rectangles.

use super::modes::Mode;
use super::screen::Screen;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};

/// A rectangle of the screen; both corners belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) bottom: usize,
    pub(super) right: usize,
}

impl Area {
    fn cells(self) -> usize {
        (self.bottom + 1 - self.top) * (self.right + 1 - self.left)
    }
}

impl Screen {
    fn blank(&self) -> Cell {
        Cell { bg: self.grid.cursor.template.bg, ..Cell::default() }
    }

    /// Blanks columns `from..to` of a row with the background of the pen.
    fn erase_cells(&mut self, y: usize, from: usize, to: usize) {
        let to = to.min(self.cols);
        if from >= to {
            return;
        }
        self.work.note(to - from);
        self.touch(y);
        self.part_wide(y, from);
        self.part_wide(y, to);
        let blank = self.blank();
        if from == 0 && to == self.cols {
            let line = Line(y as i32);
            self.grid.reset_region(line..line + 1);
        } else {
            self.grid[Line(y as i32)][Column(from)..Column(to)].fill(blank);
        }
    }

    fn erase_rows(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.cleared(&self.grid, from, to - 1);
        }
        self.grid.reset_region(Line(from as i32)..Line(to as i32));
    }

    /// ED.
    pub(super) fn erase_display(&mut self, how: u16) {
        let (x, y) = (self.x(), self.y());
        let cells = match how {
            0 => (self.rows - y) * self.cols,
            1 => (y + 1) * self.cols,
            2 => self.rows * self.cols,
            _ => return,
        };
        if !self.afford(cells) {
            return;
        }
        match how {
            0 if (x, y) == (0, 0) => self.erase_rows(0, self.rows),
            0 => {
                self.erase_cells(y, x, self.cols);
                self.erase_rows(y + 1, self.rows);
            }
            1 => {
                self.erase_rows(0, y);
                self.erase_cells(y, 0, x + 1);
            }
            _ => self.erase_rows(0, self.rows),
        }
        if how != 2 {
            self.grid.cursor.input_needs_wrap = false;
        }
    }

    /// ED 2, whatever called for it.
    pub(super) fn erase_screen(&mut self) {
        self.erase_display(2);
    }

    /// EL. With a wrap pending, nothing stands to the right: as in tmux and alacritty (xterm erases the last character).
    pub(super) fn erase_line(&mut self, how: u16) {
        let (x, y) = (self.x(), self.y());
        match how {
            0 if self.pending() => {}
            0 => self.erase_cells(y, x, self.cols),
            1 => self.erase_cells(y, 0, x + 1),
            2 => self.erase_cells(y, 0, self.cols),
            _ => {}
        }
    }

    /// ECH.
    pub(super) fn erase_characters(&mut self, n: usize) {
        let (x, y) = (self.x(), self.y());
        self.erase_cells(y, x, x.saturating_add(n));
        self.grid.cursor.input_needs_wrap = false;
    }

    /// Makes room for `n` cells at the cursor, up to the right margin.
    pub(super) fn insert_cells(&mut self, n: usize) {
        let (x, y) = (self.x(), self.y());
        if (self.left..=self.right).contains(&x) {
            self.shift_right(y, x, n);
        }
    }

    /// ICH.
    pub(super) fn insert_blanks(&mut self, n: usize) {
        self.insert_cells(n);
        self.grid.cursor.input_needs_wrap = false;
    }

    /// DCH.
    pub(super) fn delete_characters(&mut self, n: usize) {
        let (x, y) = (self.x(), self.y());
        if (self.left..=self.right).contains(&x) {
            self.shift_left(y, x, n);
        }
        self.grid.cursor.input_needs_wrap = false;
    }

    fn shift_right(&mut self, y: usize, x: usize, n: usize) {
        let end = self.right + 1;
        let n = n.min(end - x);
        self.work.note(end - x);
        self.touch(y);
        self.part_wide(y, x);
        self.part_wide(y, end - n);
        self.part_wide(y, end);
        let blank = self.blank();
        let cells = &mut self.grid[Line(y as i32)][Column(x)..Column(end)];
        cells.rotate_right(n);
        cells[..n].fill(blank);
        self.unwrap_row(y);
    }

    fn shift_left(&mut self, y: usize, x: usize, n: usize) {
        let end = self.right + 1;
        let n = n.min(end - x);
        self.work.note(end - x);
        self.touch(y);
        self.part_wide(y, x);
        self.part_wide(y, x + n);
        self.part_wide(y, end);
        let blank = self.blank();
        let cells = &mut self.grid[Line(y as i32)][Column(x)..Column(end)];
        cells.rotate_left(n);
        let kept = cells.len() - n;
        cells[kept..].fill(blank);
        self.unwrap_row(y);
    }

    /// Marks of a wrapped line belong to the last column and may not travel.
    fn unwrap_row(&mut self, y: usize) {
        for cell in &mut self.grid[Line(y as i32)][..] {
            cell.flags.remove(Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER);
        }
    }

    /// IL.
    pub(super) fn insert_lines(&mut self, n: usize) {
        let (x, y) = (self.x(), self.y());
        let inside = (self.top..=self.bottom).contains(&y) && (self.left..=self.right).contains(&x);
        if inside && self.afford((self.bottom + 1 - y) * self.cols) {
            self.scroll_down(y, self.bottom, n);
            self.carriage_return();
        }
    }

    /// DL.
    pub(super) fn delete_lines(&mut self, n: usize) {
        let (x, y) = (self.x(), self.y());
        let inside = (self.top..=self.bottom).contains(&y) && (self.left..=self.right).contains(&x);
        if inside && self.afford((self.bottom + 1 - y) * self.cols) {
            self.scroll_up(y, self.bottom, n);
            self.carriage_return();
        }
    }

    /// SU and SD.
    pub(super) fn scroll_region(&mut self, n: usize, up: bool) {
        if !self.afford((self.bottom + 1 - self.top) * self.cols) {
            return;
        }
        if up {
            self.scroll_up(self.top, self.bottom, n);
        } else {
            self.scroll_down(self.top, self.bottom, n);
        }
    }

    /// DECIC and DECDC; DECBI and DECFI at the margins.
    pub(super) fn shift_columns(&mut self, x: usize, n: usize, insert: bool) {
        let y = self.y();
        let inside = (self.top..=self.bottom).contains(&y) && (self.left..=self.right).contains(&x);
        if inside && self.afford((self.bottom + 1 - self.top) * self.cols) {
            for y in self.top..=self.bottom {
                if insert { self.shift_right(y, x, n) } else { self.shift_left(y, x, n) }
            }
        }
    }

    /// DECALN: margins and origin as new, the cursor home, the screen full of `E`.
    pub(super) fn alignment(&mut self) {
        if !self.afford(self.rows * self.cols) {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.cleared(&self.grid, 0, self.rows - 1);
        }
        (self.top, self.bottom, self.left, self.right) = (0, self.rows - 1, 0, self.cols - 1);
        self.modes.put(Mode::Origin, false);
        self.place(0, 0);
        for y in 0..self.rows {
            self.touch(y);
            self.grid[Line(y as i32)][..].fill(Cell { c: 'E', ..Cell::default() });
        }
    }

    /// The rectangle that four parameters name: counted from 1, 0 meaning the edge, inside the margins in origin mode.
    pub(super) fn area(&self, given: [u16; 4]) -> Option<Area> {
        let origin = self.modes.has(Mode::Origin);
        let (above, before) = if origin { (self.top, self.left) } else { (0, 0) };
        let (last_row, last_col) =
            if origin { (self.bottom, self.right) } else { (self.rows - 1, self.cols - 1) };
        let start = |n: u16, offset: usize| usize::from(n.max(1)) - 1 + offset;
        let end = |n: u16, offset: usize, last: usize| {
            if n == 0 { last } else { (usize::from(n) - 1 + offset).min(last) }
        };
        let area = Area {
            top: start(given[0], above),
            left: start(given[1], before),
            bottom: end(given[2], above, last_row),
            right: end(given[3], before, last_col),
        };
        (area.top <= area.bottom && area.left <= area.right).then_some(area)
    }

    /// DECFRA and DECERA: fills with a character in the pen's colours, or with blanks.
    pub(super) fn fill(&mut self, area: Area, with: Option<char>) {
        if !self.afford(area.cells()) {
            return;
        }
        let cell = match with {
            Some(c) => Cell { c, ..self.grid.cursor.template.clone() },
            None => self.blank(),
        };
        for y in area.top..=area.bottom {
            self.touch(y);
            self.part_wide(y, area.left);
            self.part_wide(y, area.right + 1);
            self.grid[Line(y as i32)][Column(area.left)..Column(area.right + 1)].fill(cell.clone());
        }
    }

    /// DECCRA: copies a rectangle to where its upper left corner is given (counted from 0).
    pub(super) fn copy(&mut self, from: Area, x: usize, y: usize) {
        if x >= self.cols || y >= self.rows || !self.afford(from.cells().saturating_mul(2)) {
            return;
        }
        let width = (from.right + 1 - from.left).min(self.cols - x);
        let height = (from.bottom + 1 - from.top).min(self.rows - y);
        let block: Vec<Vec<Cell>> = (from.top..from.top + height)
            .map(|row| {
                let mut cells =
                    self.grid[Line(row as i32)][Column(from.left)..Column(from.left + width)].to_vec();
                for cell in &mut cells {
                    cell.flags.remove(Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER);
                }
                // A wide character is copied whole or not at all.
                if let Some(first) = cells.first_mut()
                    && first.flags.contains(Flags::WIDE_CHAR_SPACER)
                {
                    *first = Cell::default();
                }
                if let Some(last) = cells.last_mut()
                    && last.flags.contains(Flags::WIDE_CHAR)
                {
                    *last = Cell::default();
                }
                cells
            })
            .collect();
        for (offset, cells) in block.iter().enumerate() {
            let row = y + offset;
            self.touch(row);
            self.part_wide(row, x);
            self.part_wide(row, x + width);
            self.grid[Line(row as i32)][Column(x)..Column(x + width)].clone_from_slice(cells);
        }
    }
}
