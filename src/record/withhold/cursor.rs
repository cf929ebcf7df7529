//! Where the cursor stands: an echo is drawn where it stood when the key was pressed.
//!
//! Follows the output of the terminal, which text it draws and in which cell, and keeps none of it. Rows have numbers that
//! move with what stands in them, so that a cell stays the same one when the screen scrolls. While nothing is typed only the
//! end of the output is kept, and followed once a key makes it of interest; where the cursor stood before that is guessed, and
//! right for all that is drawn relative to it. (Sequences: ECMA-48, xterm's `ctlseqs`.)
//!
//! Refuses to be an emulator: what stood in a cell before is not known here.

use super::drawn::{Cell, Did, Drawn, TAB};
use crate::sys::tty::Size;
use std::collections::VecDeque;
use unicode_width::UnicodeWidthChar as _;
use vte::{Params, Perform};

/// So much of the output is kept while nothing is typed, in bytes: enough for the last prompt, or the end of a full screen.
const KEPT: usize = 8 << 10;
/// Output is followed in pieces of this size, in bytes: what they did is kept in memory until it is asked for.
pub(super) const PIECE: usize = 256;
/// A screen is not larger than this here, in cells: what claims to be is followed as if it were not.
const MOST: usize = 1000;
/// What stands before the text that a history is searched for: of readline, behind `(reverse-i` or `(i`, and of zsh in a row of its
/// own below the line, behind `bck` or `fwd`.
const SEARCHES: [&str; 2] = ["-search)`", "-i-search: "];
/// What zsh draws behind that text, for a cursor.
const BEHIND: char = '_';
/// A prompt's sign stands at most this many blanks before what is typed.
pub(super) const BLANKS: usize = 2;

/// Follows the cursor.
#[derive(Default)]
pub(super) struct Cursor {
    parser: vte::Parser,
    screen: Screen,
    /// The end of the output that was not followed yet.
    unread: Vec<u8>,
    /// What lies before that was not followed at all.
    skipped: bool,
}

/// The cursor's part of a screen.
struct Screen {
    /// The numbers of the rows.
    rows: VecDeque<u64>,
    /// Those of the other screen, while the alternate one is shown.
    main: Option<VecDeque<u64>>,
    /// The alternate one was left.
    left: bool,
    fresh: u64,
    cols: usize,
    row: usize,
    col: usize,
    saved: (usize, usize),
    /// The rows that scroll, the last one included.
    region: (usize, usize),
    hidden: bool,
    /// Letters are drawn as lines and corners: the `q` of a box is no echo of a `q`.
    drawing: bool,
    last: char,
    /// The last character of the row that is no blank, and how many blanks came after it.
    sign: (char, usize),
    /// The cell behind the sign of a prompt: a line editor comes back there.
    behind_sign: Option<Cell>,
    /// How much of [`SEARCHES`] was drawn last, the cell behind it, or behind what was drawn there since, and whether that is in a row
    /// of its own.
    search: ([usize; 2], Option<(Cell, bool)>),
    did: VecDeque<Did>,
}

impl Default for Screen {
    fn default() -> Self {
        let mut screen = Self {
            rows: VecDeque::new(),
            main: None,
            left: false,
            fresh: 0,
            cols: 0,
            row: 0,
            col: 0,
            saved: (0, 0),
            region: (0, 0),
            hidden: false,
            drawing: false,
            last: ' ',
            sign: (' ', 0),
            behind_sign: None,
            search: ([0; 2], None),
            did: VecDeque::new(),
        };
        let size = Size::default().assumed();
        screen.resize(size.cols.into(), size.rows.into());
        screen
    }
}

impl Cursor {
    /// The terminal has this size now.
    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        let size = Size { cols, rows, ..Size::default() }.assumed();
        self.screen.resize(size.cols.into(), size.rows.into());
    }

    /// Output that nobody waits for.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let last = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
        if self.unread.len().saturating_add(last.len()) > 2 * KEPT {
            let from =
                self.unread.len().saturating_add(last.len()).saturating_sub(KEPT).min(self.unread.len());
            self.unread.drain(..from);
            self.skipped = true;
        }
        self.skipped |= last.len() < bytes.len();
        self.unread.extend_from_slice(last);
    }

    /// Follows what was passed. Whether it went to another line in that.
    pub(super) fn catch_up(&mut self) -> bool {
        let unread = std::mem::take(&mut self.unread);
        let mut bytes = unread.as_slice();
        if std::mem::take(&mut self.skipped) {
            // In the middle of something: from where something begins. So much output has filled the screen.
            let begin = bytes.iter().position(|byte| matches!(byte, 0x1b | b'\n' | b'\r')).unwrap_or(0);
            bytes = bytes.get(begin..).unwrap_or_default();
            self.parser = vte::Parser::new();
            self.screen.lose();
        }
        let mut passed_line = false;
        for piece in bytes.chunks(PIECE) {
            self.follow(piece);
            passed_line |= self.screen.did.iter().any(|did| matches!(did, Did::NextLine(_)));
            self.screen.did.clear();
        }
        passed_line
    }

    /// Follows output, [`PIECE`] bytes at most. What it did is to be asked for with [`Cursor::did`], else it is forgotten.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        self.screen.did.clear();
        self.parser.advance(&mut self.screen, bytes);
    }

    /// The next thing that the output did.
    pub(super) fn did(&mut self) -> Option<Did> {
        self.screen.did.pop_front()
    }

    /// Where it stands; `None` where nobody sees it: a screen is being drawn.
    pub(super) fn seen_at(&self) -> Option<Cell> {
        (!self.screen.hidden).then(|| self.stands_at())
    }

    /// Where the next letter of a search in a history is drawn, if there is one in the row where the cursor stands, or zsh's below.
    pub(super) fn searches_at(&self) -> Option<Cell> {
        let (place, below) = self.screen.search.1?;
        let is_there =
            if below { self.screen.has_below(place) } else { self.stands_at().behind(place).is_some() };
        is_there.then_some(place)
    }

    /// Whether the alternate screen was left since this was asked last: the program that drew there has ended, or makes room for another.
    pub(super) fn has_left(&mut self) -> bool {
        std::mem::take(&mut self.screen.left)
    }

    /// Whether it stands right behind the sign of a prompt.
    pub(super) fn is_prompted(&self) -> bool {
        self.screen.behind_sign == Some(self.stands_at())
    }

    /// Where it stands, seen or not.
    pub(super) fn stands_at(&self) -> Cell {
        self.screen.cell()
    }
}

impl Screen {
    fn resize(&mut self, cols: usize, rows: usize) {
        self.cols = cols.clamp(2, MOST);
        let rows = rows.clamp(1, MOST);
        self.main = None;
        self.rows = (0..rows).map(|_| self.number()).collect();
        self.region = (0, rows.saturating_sub(1));
        self.go(self.row, self.col);
    }

    fn number(&mut self) -> u64 {
        self.fresh = self.fresh.wrapping_add(1);
        self.fresh
    }

    fn renumber(&mut self) {
        self.rows = (0..self.rows.len()).map(|_| self.number()).collect();
    }

    /// What was drawn is not known: the cursor stands where a flood leaves it.
    fn lose(&mut self) {
        self.renumber();
        (self.drawing, self.hidden) = (false, false);
        self.go(MOST, 0);
    }

    fn cell(&self) -> Cell {
        Cell { row: self.rows.get(self.row).copied().unwrap_or_default(), col: self.col }
    }

    fn go(&mut self, row: usize, col: usize) {
        self.row = row.min(self.rows.len().saturating_sub(1));
        self.col = col.min(self.cols.saturating_sub(1));
        self.sign = (' ', 0);
        self.search.0 = [0; 2];
    }

    /// What stands in these rows moves up (or down), by as many rows, and leaves empty ones behind.
    fn scroll(&mut self, from: usize, to: usize, count: usize, up: bool) {
        if from > to || to >= self.rows.len() {
            return;
        }
        for _ in 0..count.min(to.saturating_sub(from).saturating_add(1)) {
            let fresh = self.number();
            let (gone, new) = if up { (from, to) } else { (to, from) };
            self.rows.remove(gone);
            self.rows.insert(new, fresh);
        }
    }

    fn next_line(&mut self) {
        let (top, bottom) = self.region;
        if self.row == bottom {
            self.scroll(top, bottom, 1, true);
        } else if self.row.saturating_add(1) < self.rows.len() {
            self.row = self.row.saturating_add(1);
        }
        self.sign = (' ', 0);
    }

    fn tab(&mut self) {
        let from = self.cell();
        self.go(self.row, (self.col / TAB).saturating_add(1).saturating_mul(TAB));
        self.did.push_back(Did::Tabbed(from, self.cell()));
    }

    fn draw(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        let at = self.cell();
        // A sign at the right margin is none.
        let prompted = self.behind_sign == Some(at);
        if width > 0 && self.col.saturating_add(width) > self.cols {
            self.col = 0;
            self.next_line();
        }
        let cell = self.cell();
        self.col = self.col.saturating_add(width).min(self.cols);
        self.sign = if c == ' ' { (self.sign.0, self.sign.1.saturating_add(1)) } else { (c, 0) };
        if is_sign(self.sign.0) && self.sign.1 <= BLANKS {
            self.behind_sign = Some(self.cell());
        } else if self.behind_sign.is_some_and(|sign| cell.is_before(sign)) {
            self.behind_sign = None;
        }
        self.look_for_search(c, at, cell);
        self.last = c;
        if !self.drawing {
            let above = self.row.checked_sub(1).and_then(|above| self.rows.get(above));
            let above = above.map(|row| Cell { row: *row, col: self.cols });
            self.did.push_back(Did::Drew(Drawn { c, at, cell, after: self.cell(), above, prompted }));
        }
    }

    /// A character was drawn: readline draws what it searches for between a backquote and a quote, and zsh before a sign; the cursor
    /// stands elsewhere.
    fn look_for_search(&mut self, c: char, at: Cell, cell: Cell) {
        let (drawn, place) = self.search;
        let mut drawn = drawn;
        for (drawn, text) in drawn.iter_mut().zip(SEARCHES) {
            let goes_on = text.chars().nth(*drawn) == Some(c);
            *drawn = if goes_on { drawn.saturating_add(1) } else { usize::from(text.starts_with(c)) };
        }
        let found = drawn.iter().zip(SEARCHES).position(|(drawn, text)| *drawn == text.len());
        self.search = match (found, place) {
            (Some(which), _) => ([0; 2], Some((self.cell(), which == 1))),
            (_, Some((place, true))) if c == BEHIND && cell.is_before(place) => (drawn, Some((cell, true))),
            (_, Some((place, below))) if place == at && c != if below { BEHIND } else { '\'' } => {
                (drawn, Some((self.cell(), below)))
            }
            (_, Some((place, _))) if cell.is_before(place) => (drawn, None),
            (_, place) => (drawn, place),
        };
    }

    /// Whether the row of that cell is below the cursor's.
    fn has_below(&self, cell: Cell) -> bool {
        self.rows.iter().skip(self.row.saturating_add(1)).any(|row| *row == cell.row)
    }

    /// What stands behind the cursor is cleared, in its row, and with `below` in all that follow: no search goes on there.
    fn clear(&mut self, below: bool) {
        if let Some((place, true)) = self.search.1
            && (place.behind(self.cell()).is_some() || below && self.has_below(place))
        {
            self.search.1 = None;
        }
    }

    fn alternate(&mut self, on: bool) {
        if on && self.main.is_none() {
            self.main = Some(self.rows.clone());
            self.renumber();
        } else if !on && let Some(main) = self.main.take() {
            self.rows = main;
            self.left = true;
        }
    }

    fn save(&mut self) {
        self.saved = (self.row, self.col);
    }

    fn restore(&mut self) {
        self.go(self.saved.0, self.saved.1);
    }

    fn set(&mut self, params: &Params, on: bool) {
        for param in params {
            match param.first() {
                Some(25) => self.hidden = !on,
                Some(47 | 1047) => self.alternate(on),
                Some(1049) if on => {
                    self.save();
                    self.alternate(true);
                }
                Some(1049) => {
                    self.alternate(false);
                    self.restore();
                }
                _ => {}
            }
        }
    }
}

/// Whether a prompt may end with it.
fn is_sign(c: char) -> bool {
    "$#%>❯➜»λ".contains(c)
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        self.draw(c);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x08 => self.go(self.row, self.col.min(self.cols.saturating_sub(1)).saturating_sub(1)),
            0x09 => self.tab(),
            0x0a..=0x0c => {
                self.next_line();
                self.did.push_back(Did::NextLine(self.cell()));
            }
            0x0d => {
                self.did.push_back(Did::Returned(self.cell()));
                self.go(self.row, 0);
            }
            0x0e | 0x0f => self.drawing = byte == 0x0e,
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        if intermediates == b"?" && matches!(action, 'h' | 'l') {
            return self.set(params, action == 'h');
        }
        if !intermediates.is_empty() {
            return;
        }
        let given =
            |n: usize| params.iter().nth(n).and_then(|param| param.first()).copied().filter(|n| *n > 0);
        let count = |n: usize| usize::from(given(n).unwrap_or(1));
        // Rows and columns are told from 1.
        let place = |n: usize| count(n).saturating_sub(1);
        let (n, row, col) = (count(0), self.row, self.col.min(self.cols.saturating_sub(1)));
        match action {
            'A' | 'F' => self.go(row.saturating_sub(n), if action == 'F' { 0 } else { col }),
            'B' | 'E' | 'e' => self.go(row.saturating_add(n), if action == 'E' { 0 } else { col }),
            'C' | 'a' => self.go(row, col.saturating_add(n)),
            'D' => self.go(row, col.saturating_sub(n)),
            'G' | '`' => self.go(row, place(0)),
            'd' => self.go(place(0), col),
            'H' | 'f' => self.go(place(0), place(1)),
            'I' => (0..n.min(self.cols)).for_each(|_| self.tab()),
            'Z' => self.go(row, (col / TAB).saturating_sub(n.saturating_sub(1)).saturating_mul(TAB)),
            'L' | 'M' if row >= self.region.0 => self.scroll(row, self.region.1, n, action == 'M'),
            'S' | 'T' if params.iter().count() < 2 => {
                self.scroll(self.region.0, self.region.1, n, action == 'S')
            }
            'b' => (0..n.min(self.cols)).for_each(|_| self.draw(self.last)),
            'r' => {
                let last = self.rows.len();
                let (top, bottom) = (n.min(last), given(1).map_or(last, usize::from).min(last));
                if top < bottom {
                    self.region = (top.saturating_sub(1), bottom.saturating_sub(1));
                    self.go(0, 0);
                }
            }
            'J' | 'K' => self.clear(action == 'J'),
            '@' => self.did.push_back(Did::MovedRight(self.cell(), n.min(self.cols))),
            'P' => self.did.push_back(Did::MovedLeft(self.cell(), n.min(self.cols))),
            's' if params.iter().count() < 2 => self.save(),
            'u' => self.restore(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        match (intermediates, byte) {
            ([], b'7') => self.save(),
            ([], b'8') => self.restore(),
            ([], b'D' | b'E') => {
                if byte == b'E' {
                    self.col = 0;
                }
                self.next_line();
                self.did.push_back(Did::NextLine(self.cell()));
            }
            ([], b'M') if self.row == self.region.0 => self.scroll(self.region.0, self.region.1, 1, false),
            ([], b'M') => self.go(self.row.saturating_sub(1), self.col),
            ([], b'c') => {
                self.region = (0, self.rows.len().saturating_sub(1));
                self.lose();
                self.go(0, 0);
            }
            ([b'('], set) => self.drawing = set == b'0',
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is drawn last, after all of `output` on a screen of 20 columns and 5 rows.
    fn last(cursor: &mut Cursor, output: &str) -> Drawn {
        let mut last = None;
        for piece in output.as_bytes().chunks(PIECE) {
            cursor.follow(piece);
            while let Some(did) = cursor.did() {
                if let Did::Drew(drawn) = did {
                    last = Some(drawn);
                }
            }
        }
        last.unwrap()
    }

    fn small() -> Cursor {
        let mut cursor = Cursor::default();
        cursor.resize(20, 5);
        cursor
    }

    #[test]
    fn what_is_drawn_where_the_cursor_stood_is_at_that_cell_however_it_came_there() {
        for away in [
            "",
            "\x1b7\x1b[1;10H12:00\x1b8",
            "\x1b[s\x1b[3;1Hx\x1b[u",
            "\r\x1b[Kname: ",
            "\x08\x08: ",
            "\x1b[3D\x1b[2C\x1b[C",
            "\x1b[A\x1b[B",
            "\x1b[2;7H",
            "\x1b[7G",
            "\x1b[?1049h\x1b[Htext\r\n\x1b[?1049l",
            "\x1b(0qqq\x1b(B\x1b[3D",
            "\x1b[m",
        ] {
            let mut cursor = small();
            last(&mut cursor, "one\r\nname: ");
            let stood = cursor.seen_at().unwrap();
            assert!(last(&mut cursor, &format!("{away}a")).is_at(stood), "{away:?}");
        }
        for away in ["x", "\r\n", "\r", "\x1b[2;8H", "\x1b[?1049h\x1b[2;7H", "\x1b[L", "\t"] {
            let mut cursor = small();
            last(&mut cursor, "one\r\nname: ");
            let stood = cursor.seen_at().unwrap();
            assert!(!last(&mut cursor, &format!("{away}a")).is_at(stood), "{away:?}");
        }
    }

    #[test]
    fn a_cell_moves_with_the_screen_when_that_scrolls() {
        let mut cursor = small();
        last(&mut cursor, "\x1b[5;1HPIN: ");
        let stood = cursor.stands_at();
        // The same place on the glass, a line further down in the text.
        assert!(!last(&mut cursor, "\r\n12:04").is_at(stood));
        assert!(!last(&mut cursor, ":").is_at(stood));
        assert!(last(&mut cursor, "\x1b[4;6H1").is_at(stood));
        // Other rows scroll, in a region of their own.
        let mut cursor = small();
        last(&mut cursor, "\x1b[5;1HPIN: ");
        let stood = cursor.stands_at();
        assert!(last(&mut cursor, "\x1b[1;3r\x1b[3;1Hlog\r\nlog\r\n\x1b[r\x1b[5;6H1").is_at(stood));
    }

    #[test]
    fn a_line_that_is_wrapped_goes_on_in_the_next_row() {
        let mut cursor = small();
        last(&mut cursor, "\x1b[5;1H0123456789012345678");
        let nineteenth = last(&mut cursor, "a");
        let wrapped = last(&mut cursor, "b");
        assert!(wrapped.is_at(nineteenth.after) && wrapped.is_first());
        // A line editor makes sure of it by a blank.
        last(&mut cursor, "\r01234567890123456789");
        let end = cursor.stands_at();
        assert!(last(&mut cursor, " \rc").is_at(end) && !last(&mut cursor, "d").is_at(end));
    }

    #[test]
    fn after_a_flood_the_cursor_is_where_the_last_of_it_left_it() {
        let mut cursor = small();
        for chunk in [10_000, 100, 16_000, 3] {
            cursor.pass("some text of a flood, \x1b[31mred\x1b[m\r\n".repeat(chunk / 30 + 1).as_bytes());
        }
        cursor.pass(b"$ ");
        assert!(cursor.unread.len() <= 2 * KEPT);
        cursor.catch_up();
        let stood = cursor.seen_at().unwrap();
        assert_eq!((stood.col, cursor.screen.row), (2, 4));
        let echo = last(&mut cursor, "l");
        assert!(echo.is_at(stood) && echo.prompted);
        cursor.pass(b"\x1b[?25l");
        cursor.catch_up();
        assert_eq!(cursor.seen_at(), None);
    }
}
