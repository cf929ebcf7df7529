//! The state of a terminal: two screens, a cursor, margins, modes; printing, moving and scrolling.
//!
//! The grid behind it is alacritty's, without scrollback: what a screen becomes depends only on what a keyframe holds
//! (the transcript is the long memory). Everything else is kept here, after xterm: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>.

use super::Event;
use super::charset::Charset;
use super::modes::{Mode, Modes};
use super::tape::Tape;
use super::work::Work;
use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::cell::{Cell, Flags};
use std::sync::Arc;
use unicode_width::UnicodeWidthChar;

/// Combining marks kept on one cell; more are dropped.
pub(super) const MAX_MARKS: usize = 8;
/// Events waiting to be drained; more are counted, not kept.
pub(super) const MAX_EVENTS: usize = 1024;

/// What DECSC saves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saved {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) pending: bool,
    pub(super) pen: Cell,
    pub(super) sets: [Charset; 4],
    pub(super) shift: usize,
    pub(super) origin: bool,
}

/// How much text of links is on the screens, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    /// When it was last counted.
    pub(super) standing: usize,
    /// What has come since.
    pub(super) since: usize,
}

/// Everything but the parser.
pub(super) struct Screen {
    pub(super) cols: usize,
    pub(super) rows: usize,
    /// The screen that is shown.
    pub(super) grid: Grid<Cell>,
    /// The one that is not.
    pub(super) other: Grid<Cell>,
    pub(super) on_alt: bool,
    /// Saved cursors of the main and of the alternate screen.
    pub(super) saved: [Saved; 2],
    pub(super) sets: [Charset; 4],
    /// Which of `sets` is invoked into GL.
    pub(super) shift: usize,
    /// A set invoked for the next character only.
    pub(super) single: Option<usize>,
    pub(super) modes: Modes,
    /// Margins, all inclusive, counted from 0.
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) tabs: Vec<bool>,
    pub(super) title: String,
    pub(super) titles: Vec<String>,
    /// DECSCUSR, 0 to 6.
    pub(super) shape: u8,
    /// The last character printed, for REP.
    pub(super) last: Option<char>,
    pub(super) events: Vec<Event>,
    /// Events that did not fit.
    pub(super) missed: u64,
    pub(super) work: Work,
    /// A sequence has ended since the last ESC (see `intake`).
    pub(super) settled: bool,
    /// The beginning of a device control string, to name the query.
    pub(super) device: String,
    pub(super) tape: Option<Box<Tape>>,
    pub(super) links: Links,
    /// What comes is a keyframe.
    pub(super) recreating: bool,
}

impl Screen {
    pub(super) fn new(cols: usize, rows: usize) -> Self {
        Self {
            cols,
            rows,
            grid: Grid::new(rows, cols, 0),
            other: Grid::new(rows, cols, 0),
            on_alt: false,
            saved: Default::default(),
            sets: Default::default(),
            shift: 0,
            single: None,
            modes: Modes::default(),
            top: 0,
            bottom: rows - 1,
            left: 0,
            right: cols - 1,
            tabs: (0..cols).map(|x| x % 8 == 0).collect(),
            title: String::new(),
            titles: Vec::new(),
            shape: 0,
            last: None,
            events: Vec::new(),
            missed: 0,
            work: Work::default(),
            settled: true,
            device: String::new(),
            tape: None,
            links: Links::default(),
            recreating: false,
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        } else {
            self.missed += 1;
        }
    }

    // The cursor.

    #[inline]
    pub(super) fn x(&self) -> usize {
        self.grid.cursor.point.column.0
    }

    #[inline]
    pub(super) fn y(&self) -> usize {
        self.grid.cursor.point.line.0.max(0) as usize
    }

    #[inline]
    pub(super) fn pending(&self) -> bool {
        self.grid.cursor.input_needs_wrap
    }

    /// Puts the cursor on a cell of the screen; margins and origin play no part.
    pub(super) fn place(&mut self, x: usize, y: usize) {
        let (x, y) = (x.min(self.cols - 1), y.min(self.rows - 1));
        self.grid.cursor.point = Point::new(Line(y as i32), Column(x));
        self.grid.cursor.input_needs_wrap = false;
    }

    /// CUP: counted from the origin, and kept inside the margins in origin mode.
    pub(super) fn goto(&mut self, x: usize, y: usize) {
        if self.modes.has(Mode::Origin) {
            let (x, y) = (x.saturating_add(self.left), y.saturating_add(self.top));
            self.place(x.min(self.right), y.min(self.bottom));
        } else {
            self.place(x, y);
        }
    }

    pub(super) fn up(&mut self, n: usize) {
        let limit = if self.y() >= self.top { self.top } else { 0 };
        self.place(self.x(), self.y().saturating_sub(n).max(limit));
    }

    pub(super) fn down(&mut self, n: usize) {
        let limit = if self.y() <= self.bottom { self.bottom } else { self.rows - 1 };
        self.place(self.x(), self.y().saturating_add(n).min(limit));
    }

    pub(super) fn forward(&mut self, n: usize) {
        let limit = self.line_end();
        self.place(self.x().saturating_add(n).min(limit), self.y());
    }

    pub(super) fn back(&mut self, n: usize) {
        let limit = if self.x() >= self.left { self.left } else { 0 };
        self.place(self.x().saturating_sub(n).max(limit), self.y());
    }

    /// The last column that printing reaches from here.
    #[inline]
    pub(super) fn line_end(&self) -> usize {
        if self.x() <= self.right { self.right } else { self.cols - 1 }
    }

    pub(super) fn carriage_return(&mut self) {
        let origin = self.modes.has(Mode::Origin);
        let x = if origin || self.x() >= self.left { self.left } else { 0 };
        self.place(x, self.y());
    }

    pub(super) fn line_feed(&mut self) {
        let (x, y) = (self.x(), self.y());
        if y == self.bottom {
            if (self.left..=self.right).contains(&x) {
                self.scroll_up(self.top, self.bottom, 1);
            }
        } else if y + 1 < self.rows {
            self.grid.cursor.point.line += 1;
        }
        self.grid.cursor.input_needs_wrap = false;
    }

    pub(super) fn reverse_line_feed(&mut self) {
        let (x, y) = (self.x(), self.y());
        if y == self.top {
            if (self.left..=self.right).contains(&x) {
                self.scroll_down(self.top, self.bottom, 1);
            }
        } else if y > 0 {
            self.grid.cursor.point.line -= 1;
        }
        self.grid.cursor.input_needs_wrap = false;
    }

    /// HT, `n` times; at most as many as there are columns.
    pub(super) fn tab(&mut self, n: usize) {
        let end = self.line_end();
        for _ in 0..n.min(self.cols) {
            let x = self.x();
            if x >= end {
                // A tab at the margin leaves a pending wrap alone.
                return;
            }
            let next = (x + 1..end).find(|x| self.tabs[*x]).unwrap_or(end);
            self.place(next, self.y());
        }
    }

    pub(super) fn back_tab(&mut self, n: usize) {
        let limit = if self.modes.has(Mode::Origin) { self.left } else { 0 };
        for _ in 0..n.min(self.cols) {
            let x = self.x();
            let next = (limit..x).rev().find(|x| self.tabs[*x]).unwrap_or(limit.min(x));
            self.place(next, self.y());
        }
    }

    pub(super) fn save_cursor(&mut self) {
        self.saved[usize::from(self.on_alt)] = Saved {
            x: self.x(),
            y: self.y(),
            pending: self.pending(),
            pen: self.grid.cursor.template.clone(),
            sets: self.sets,
            shift: self.shift,
            origin: self.modes.has(Mode::Origin),
        };
    }

    pub(super) fn restore_cursor(&mut self) {
        let saved = self.saved[usize::from(self.on_alt)].clone();
        self.modes.put(Mode::Origin, saved.origin);
        self.sets = saved.sets;
        self.shift = saved.shift;
        self.grid.cursor.template = saved.pen;
        if saved.origin {
            self.place(saved.x.clamp(self.left, self.right), saved.y.clamp(self.top, self.bottom));
        } else {
            self.place(saved.x, saved.y);
        }
        self.grid.cursor.input_needs_wrap = saved.pending && self.x() == saved.x;
    }

    // The two screens.

    /// Shows the alternate screen or the main one. The cursor is one for both. `false` when that is not within the budget.
    pub(super) fn switch(&mut self, to_alt: bool) -> bool {
        // The transcript reads the whole screen that goes.
        if to_alt != self.on_alt && !self.afford(self.rows * self.cols) {
            return false;
        }
        self.turn(to_alt, false);
        true
    }

    /// Saves the cursor and shows the alternate screen, erased: what was left on it is at no time to be seen.
    pub(super) fn open_alternate(&mut self) {
        self.save_cursor();
        if self.on_alt {
            self.erase_screen();
        } else if self.afford(2 * self.rows * self.cols) {
            self.turn(true, true);
            self.grid.reset_region(..);
        }
    }

    fn turn(&mut self, to_alt: bool, erased: bool) {
        if to_alt == self.on_alt {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.switch(&self.grid, to_alt, erased);
        }
        self.other.cursor = self.grid.cursor.clone();
        std::mem::swap(&mut self.grid, &mut self.other);
        self.on_alt = to_alt;
    }

    // Printing.

    pub(super) fn put(&mut self, c: char) {
        let set = self.single.take().unwrap_or(self.shift);
        let c = match self.sets[set & 3] {
            Charset::Ascii => c,
            set => set.map(c),
        };
        let width = columns(c);
        if width == 0 {
            return self.mark(c);
        }
        self.last = Some(c);
        self.glyph(c, width);
    }

    /// Prints the last character again.
    pub(super) fn repeat(&mut self, n: usize) {
        let Some(c) = self.last else { return };
        let width = columns(c).max(1);
        let n = n.min(self.cols * self.rows);
        // A printed cell costs about four erased ones, and as much again where lines scroll away.
        if self.afford(8 * n) {
            for _ in 0..n {
                self.glyph(c, width);
            }
        }
    }

    /// Adds a combining mark to the character before the cursor.
    fn mark(&mut self, c: char) {
        let (mut x, y) = (self.x(), self.y());
        if !self.pending() {
            let Some(before) = x.checked_sub(1) else { return };
            x = before;
        }
        self.touch(y);
        let row = &mut self.grid[Line(y as i32)];
        if row[Column(x)].flags.contains(Flags::WIDE_CHAR_SPACER) && x > 0 {
            x -= 1;
        }
        let cell = &mut row[Column(x)];
        if cell.zerowidth().map_or(0, <[char]>::len) < MAX_MARKS {
            cell.push_zerowidth(c);
        }
    }

    #[inline]
    fn glyph(&mut self, c: char, width: usize) {
        let wraps = self.modes.has(Mode::Wrap);
        if self.pending() {
            if wraps {
                self.wrap();
            } else {
                self.grid.cursor.input_needs_wrap = false;
            }
        }
        let end = self.line_end();
        if width == 2 && self.x() + 1 > end {
            if !wraps || end == self.left || end == 0 {
                // No room for it, and nowhere to go.
                self.grid.cursor.input_needs_wrap = true;
                return;
            }
            if end == self.cols - 1 {
                self.touch(self.y());
                self.write(' ', Flags::LEADING_WIDE_CHAR_SPACER);
            }
            self.wrap();
        }
        if self.modes.has(Mode::Insert) && self.afford(self.cols / 4) {
            self.insert_cells(width);
        }
        let (end, y) = (self.line_end(), self.y());
        self.touch(y);
        if width == 1 {
            self.write(c, Flags::empty());
        } else {
            self.write(c, Flags::WIDE_CHAR);
            self.grid.cursor.point.column += 1;
            self.write(' ', Flags::WIDE_CHAR_SPACER);
        }
        if self.grid.cursor.point.column.0 < end {
            self.grid.cursor.point.column += 1;
        } else {
            self.grid.cursor.input_needs_wrap = true;
        }
    }

    /// Goes to the next line because this one is full, and remembers that the two belong together.
    fn wrap(&mut self) {
        let (y, end) = (self.y(), self.line_end());
        if end == self.cols - 1 {
            self.touch(y);
            self.grid[Line(y as i32)][Column(end)].flags.insert(Flags::WRAPLINE);
        }
        self.line_feed();
        self.carriage_return();
    }

    /// Writes one cell at the cursor, mending a wide character that it cuts in two.
    #[inline]
    fn write(&mut self, c: char, extra: Flags) {
        let point = self.grid.cursor.point;
        let pen = &self.grid.cursor.template;
        let new = Cell {
            c,
            fg: pen.fg,
            bg: pen.bg,
            flags: pen.flags | extra,
            extra: pen.extra.as_ref().map(Arc::clone),
        };
        let row = &mut self.grid[point.line];
        let cell = &mut row[point.column];
        let wide = cell.flags & (Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER);
        *cell = new;
        if wide.is_empty() {
            return;
        }
        let x = point.column.0;
        let half = if wide.contains(Flags::WIDE_CHAR) { x + 1 } else { x.wrapping_sub(1) };
        let other = if wide.contains(Flags::WIDE_CHAR) { Flags::WIDE_CHAR_SPACER } else { Flags::WIDE_CHAR };
        if half < row.len() && row[Column(half)].flags.contains(other) {
            blank_half(&mut row[Column(half)]);
        }
    }

    /// Says that a row is about to change.
    #[inline]
    pub(super) fn touch(&mut self, y: usize) {
        if let Some(tape) = &mut self.tape {
            tape.touch(&self.grid, y);
        }
    }

    // Scrolling.

    /// Whether a large operation on this many cells is within the budget; if not, it is not done and the terminal says
    /// from then on that it gave up.
    pub(super) fn afford(&mut self, cells: usize) -> bool {
        self.work.afford(cells)
    }

    /// Whether rows may be scrolled. The whole screen costs nothing; a part of it a little for each row; one between left
    /// and right margins is copied, which must stay cheap for the panes of a window and dear for a thousand columns.
    fn afford_scroll(&mut self, top: usize, bottom: usize) -> bool {
        let rows = bottom + 1 - top;
        if self.full_width() {
            return rows == self.rows || self.afford(rows);
        }
        let area = rows * (self.right + 1 - self.left);
        self.afford(area.saturating_mul(area) / 40_000)
    }

    fn full_width(&self) -> bool {
        self.left == 0 && self.right == self.cols - 1
    }

    /// Moves rows `top..=bottom` up by `n`, inside the left and right margins.
    pub(super) fn scroll_up(&mut self, top: usize, bottom: usize, n: usize) {
        let n = n.min(bottom + 1 - top);
        if n == 0 || !self.afford_scroll(top, bottom) {
            return;
        }
        if self.full_width() {
            self.work.note(n * self.cols);
            if let Some(tape) = &mut self.tape {
                tape.scroll_up(&self.grid, top, bottom, n);
            }
            self.grid.scroll_up(&(Line(top as i32)..Line(bottom as i32 + 1)), n);
        } else {
            self.shift_rows(top, bottom, |y| (y + n <= bottom).then_some(y + n), false);
        }
    }

    /// Moves rows `top..=bottom` down by `n`, inside the left and right margins.
    pub(super) fn scroll_down(&mut self, top: usize, bottom: usize, n: usize) {
        let n = n.min(bottom + 1 - top);
        if n == 0 || !self.afford_scroll(top, bottom) {
            return;
        }
        if self.full_width() {
            self.work.note(n * self.cols);
            if let Some(tape) = &mut self.tape {
                tape.scroll_down(&self.grid, top, bottom, n);
            }
            self.grid.scroll_down(&(Line(top as i32)..Line(bottom as i32 + 1)), n);
        } else {
            self.shift_rows(top, bottom, |y| y.checked_sub(n).filter(|from| *from >= top), true);
        }
    }

    /// Copies the part between the margins from the row that `from` names, or blanks it.
    fn shift_rows(
        &mut self,
        top: usize,
        bottom: usize,
        from: impl Fn(usize) -> Option<usize>,
        upwards: bool,
    ) {
        let (left, right) = (self.left, self.right);
        let blank = Cell { bg: self.grid.cursor.template.bg, ..Cell::default() };
        let order: Vec<usize> =
            if upwards { (top..=bottom).rev().collect() } else { (top..=bottom).collect() };
        for &y in &order {
            self.touch(y);
            self.part_wide(y, left);
            self.part_wide(y, right + 1);
        }
        for y in order {
            let cells = match from(y) {
                Some(source) => self.grid[Line(source as i32)][Column(left)..Column(right + 1)].to_vec(),
                None => vec![blank.clone(); right + 1 - left],
            };
            self.grid[Line(y as i32)][Column(left)..Column(right + 1)].clone_from_slice(&cells);
        }
    }

    /// Makes blanks of a wide character that lies across the border before column `x`.
    pub(super) fn part_wide(&mut self, y: usize, x: usize) {
        if x == 0 || x >= self.cols {
            return;
        }
        let row = &mut self.grid[Line(y as i32)];
        if row[Column(x)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            blank_half(&mut row[Column(x)]);
            blank_half(&mut row[Column(x - 1)]);
        }
    }

    // Reset.

    /// RIS: as new, but for what was told, what was spent, and whether this is a keyframe.
    pub(super) fn reset(&mut self) {
        // Both screens are made anew, which takes longer than erasing them.
        if !self.afford(8 * self.rows * self.cols) {
            return;
        }
        self.turn(false, false);
        if let Some(tape) = &mut self.tape {
            tape.cleared(&self.grid, 0, self.rows - 1);
        }
        let mut new = Self::new(self.cols, self.rows);
        new.events = std::mem::take(&mut self.events);
        new.missed = self.missed;
        new.work = self.work;
        new.tape = self.tape.take();
        new.recreating = self.recreating;
        *self = new;
    }

    /// DECSTR: modes, margins, pen, charsets and saved cursors as new; text, cursor, tabs and title stay.
    pub(super) fn soft_reset(&mut self) {
        for mode in
            [Mode::Insert, Mode::Origin, Mode::CursorKeys, Mode::Keypad, Mode::Margins, Mode::ReverseWrap]
        {
            self.modes.put(mode, false);
        }
        for mode in [Mode::CursorVisible, Mode::Wrap] {
            self.modes.put(mode, true);
        }
        (self.top, self.bottom, self.left, self.right) = (0, self.rows - 1, 0, self.cols - 1);
        self.grid.cursor.template = Cell::default();
        self.sets = Default::default();
        (self.shift, self.single) = (0, None);
        self.saved = Default::default();
    }
}

/// Columns that a character takes; 0 for a mark on the one before it. A soft hyphen is shown, as by xterm and tmux, though Unicode
/// gives it no width.
pub(super) fn columns(c: char) -> usize {
    match c {
        ' '..='~' | '\u{ad}' => 1,
        c => c.width().unwrap_or(1).min(2),
    }
}

/// What remains of a wide character that lost its other half.
pub(super) fn blank_half(cell: &mut Cell) {
    cell.c = ' ';
    cell.flags.remove(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER);
    if let Some(link) = cell.extra.as_ref().map(|_| (cell.underline_color(), cell.hyperlink())) {
        cell.extra = None;
        cell.set_underline_color(link.0);
        cell.set_hyperlink(link.1);
    }
}
