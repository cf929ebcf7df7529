//! Output as lines of plain text: what could be read, without what the terminal was told.
//!
//! Follows what line editing and progress bars do within a row of a line (carriage return, backspace, tab, erasing, moving to a
//! column), wraps as wide as the terminal was, and drops every other control sequence, whatever its length. What a full-screen program drew is left out, one
//! line stands for it. Refuses to let anything through that could act on a terminal: what remains is printable, and
//! deceptive characters are made visible, and so is the sign of what we say ourselves. Not an emulator: text placed by
//! moving between lines comes in the order it was written. Where the width of what stands in a row is not followed (combining
//! characters, what is made visible), it wraps early: then more stands there than stood on the screen at the end, and not less.

use crate::terminal::{NO_TERMINAL, Terminal, clamp_size};
use crate::text::{is_deceptive, is_deceptive_behind};

/// The longest line, in columns; longer ones are cut into several.
const MAX_COLUMNS: usize = 32 << 10;
/// The most combining characters in a line; one with more is cut into several. They make it longer than its columns, and
/// each is put into its place by moving all that stands behind.
const MAX_COMBINING: usize = 4096;
/// How long a line may become by what is inserted: no terminal is wider, and a few bytes must not make a long line.
const MAX_MOVE: usize = 1024;
/// The most numbers of a control sequence, as in the emulator: one with more does nothing.
const MAX_NUMBERS: usize = 32;
/// As many of them as are modes to it.
const MAX_MODES: usize = 30;

/// Turns output into lines. Holds one line.
pub struct Plain {
    state: State,
    parameters: Parameters,
    /// The beginning of a character that was cut.
    tail: Vec<u8>,
    /// The line in hand, a character a column; the second column of a wide character holds [`FILLER`].
    line: Vec<char>,
    column: usize,
    /// Where in the line the row begins in which the cursor stands: what was wrapped before it stays.
    row: usize,
    /// Columns of a row.
    cols: usize,
    /// How many combining characters it was given.
    combining: usize,
    full_screen: bool,
    done: Vec<String>,
    replaced: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// After an intermediate byte of an escape sequence.
    Intermediate,
    Control,
    /// A string that goes on to its terminator: title, clipboard, image, …
    Text,
    /// In such a string, after an escape.
    TextEscape,
}

/// What stands between the beginning of a control sequence and its last byte, read as the emulator does: whether a full-screen
/// program is left must not depend on how its number is written.
#[derive(Default)]
struct Parameters {
    /// Those that are complete; `None` for what stands behind a colon.
    numbers: Vec<Option<u16>>,
    /// The one in hand.
    number: Option<u16>,
    /// What makes it another sequence.
    marks: Vec<u8>,
    /// There was something.
    begun: bool,
    /// It is one that does nothing.
    wrong: bool,
}

impl Parameters {
    fn new() -> Self {
        Self { number: Some(0), ..Self::default() }
    }

    fn take(&mut self, byte: u8) {
        let first = !std::mem::replace(&mut self.begun, true);
        let over = self.marks.iter().any(|mark| *mark < b'0');
        match byte {
            b'0'..=b';' if over => self.wrong = true,
            b'0'..=b'9' => {
                let digit = u16::from(byte - b'0');
                self.number = self.number.map(|number| number.saturating_mul(10).saturating_add(digit));
            }
            b':' | b';' if self.numbers.len() + 1 < MAX_NUMBERS => {
                self.numbers.push(self.number);
                self.number = (byte == b';').then_some(0);
            }
            b'<'..=b'?' if first => self.marks.push(byte),
            b' '..=b'/' if self.marks.len() < 2 => self.marks.push(byte),
            _ => self.wrong = true,
        }
    }

    /// The numbers; 0 where there is none.
    fn numbers(&self) -> impl Iterator<Item = u16> {
        self.numbers.iter().copied().chain([self.number]).flatten()
    }
}

/// Second column of a wide character.
const FILLER: char = '\0';

/// The sign with which a line of our own begins. No line of a session has it anywhere.
pub const OURS: char = '¶';

/// What stands for a full-screen program.
const FULL_SCREEN: &str = "¶ [full-screen program]";

impl Default for Plain {
    fn default() -> Self {
        Self::new(NO_TERMINAL.0)
    }
}

impl Plain {
    /// From the start of a session, on a terminal with so many columns.
    pub fn new(cols: u16) -> Self {
        Self {
            state: State::default(),
            parameters: Parameters::default(),
            tail: Vec::new(),
            line: Vec::new(),
            column: 0,
            row: 0,
            cols: clamp_size(cols, 1).0.into(),
            combining: 0,
            full_screen: false,
            done: Vec::new(),
            replaced: 0,
        }
    }

    /// A new size; without columns or rows it was not known, as in the emulator. A line that would be wrapped anew ends.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        if cols == 0 || rows == 0 {
            return;
        }
        let cols = usize::from(clamp_size(cols, 1).0);
        let fits = self.row == 0 && self.line.len().max(self.column + 1) <= cols.min(self.cols);
        if cols != self.cols && !fits {
            self.leave_line();
            (self.column, self.row) = (0, 0);
        }
        self.cols = cols;
    }

    /// Goes on from a screen: the line in hand is the one in which its cursor stands; in a full-screen program there is none.
    pub fn standing(screen: &Terminal) -> Self {
        let mut plain = Self { full_screen: screen.is_alternate(), ..Self::new(screen.size().0) };
        let cursor = screen.cursor();
        // A line that was wrapped is one.
        let begins = (0..cursor.row).rev().take_while(|row| screen.row_wraps(*row)).last();
        let ends = (cursor.row..).find(|row| !screen.row_wraps(*row)).unwrap_or(cursor.row);
        let (mut column, mut begin) = (0, 0);
        for row in begins.unwrap_or(cursor.row)..=ends {
            if row == cursor.row {
                begin = plain.line.len();
            }
            for (col, cell) in (0..).zip(screen.cells(row)) {
                if (row, col) == (cursor.row, cursor.col) {
                    // On the right half of a wide one, that has its columns already.
                    column = plain.column.saturating_sub(usize::from(cell.width == 0));
                }
                if cell.width > 0 {
                    std::iter::once(&cell.c).chain(cell.marks).for_each(|c| plain.ground(*c));
                }
            }
            if row == cursor.row && cursor.pending_wrap {
                column = plain.column;
            }
        }
        while plain.line.len() > column && plain.line.last() == Some(&' ') {
            plain.line.pop();
        }
        (plain.column, plain.row) = (column, begin.min(column));
        plain
    }

    /// Whether a full-screen program has the screen; the line that stands for it.
    pub fn full_screen(&self) -> Option<&'static str> {
        self.full_screen.then_some(FULL_SCREEN)
    }

    /// One for a terminal of the same width, with nothing in its line.
    pub fn blank(&self) -> Self {
        Self::new(u16::try_from(self.cols).unwrap_or(u16::MAX))
    }

    /// Takes output; gives the lines that were finished.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut all = std::mem::take(&mut self.tail);
        all.extend_from_slice(bytes);
        let whole = all.len().saturating_sub(crate::text::incomplete_tail(&all));
        self.tail = all.split_off(whole);
        self.take(&all);
        std::mem::take(&mut self.done)
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.utf8_chunks() {
            piece.valid().chars().for_each(|c| self.character(c));
            if !piece.invalid().is_empty() {
                self.replaced += piece.invalid().len() as u64;
                self.character('\u{fffd}');
            }
        }
    }

    /// The line in hand, as far as it goes.
    pub fn unfinished(&self) -> String {
        text_of(&self.line)
    }

    /// Ends: the line in hand, if there is anything in it.
    pub fn finish(&mut self) -> Option<String> {
        let tail = std::mem::take(&mut self.tail);
        self.take(&tail);
        let line = text_of(&std::mem::take(&mut self.line));
        (!line.is_empty()).then_some(line)
    }

    /// Bytes that are no UTF-8, shown as U+FFFD.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    fn character(&mut self, c: char) {
        match (self.state, c) {
            // Cancel and substitute end any sequence.
            (_, '\x18' | '\x1a') => self.state = State::Ground,
            (State::Ground, '\x1b') => self.state = State::Escape,
            (State::Ground, c) => self.ground(c),

            (State::Escape | State::Control | State::Intermediate, '\x1b') => self.state = State::Escape,
            (State::Escape, '[') => {
                self.parameters = Parameters::new();
                self.state = State::Control;
            }
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => self.state = State::Text,
            (State::Escape | State::Intermediate, ' '..='/') => self.state = State::Intermediate,
            // Done, or passed over, in place: the sequence goes on.
            (State::Escape | State::Intermediate | State::Control, c) if !(' '..='~').contains(&c) => {
                if c.is_ascii_control() {
                    self.ground(c);
                }
            }
            (State::Escape, c) => {
                self.state = State::Ground;
                match c {
                    'D' | 'E' => self.end_line(),
                    'c' => self.reset(),
                    _ => {}
                }
            }
            (State::Intermediate, _) => self.state = State::Ground,

            (State::Control, '\x40'..='\x7e') => {
                self.state = State::Ground;
                self.control(c);
            }
            (State::Control, c) => self.parameters.take(u8::try_from(c).unwrap_or(b'?')),

            (State::Text, '\x07' | '\u{9c}') => self.state = State::Ground,
            (State::Text, '\x1b') => self.state = State::TextEscape,
            (State::Text, _) => {}
            (State::TextEscape, '\\') => self.state = State::Ground,
            (State::TextEscape, c) => {
                self.state = State::Escape;
                self.character(c);
            }
        }
    }

    fn ground(&mut self, c: char) {
        match c {
            '\n' | '\x0b' | '\x0c' => self.end_line(),
            '\r' => self.column = self.row,
            '\x08' => self.go(self.x().saturating_sub(1)),
            // What it passes over stays.
            '\t' if self.x() + 1 < self.cols => self.go((self.x() / 8 + 1) * 8),
            '\t' => {}
            c if c.is_ascii_control() => {}
            c if c == OURS || is_deceptive(c) => {
                c.escape_unicode().for_each(|c| self.put(c));
            }
            c => self.put(c),
        }
    }

    fn put(&mut self, c: char) {
        if self.full_screen {
            return;
        }
        let width = unicode_width::UnicodeWidthChar::width(c).unwrap_or(1);
        if self.column + width > MAX_COLUMNS || (width == 0 && self.combining >= MAX_COMBINING) {
            self.end_line();
        }
        if width == 0 {
            self.combining += 1;
            // A combining character belongs to the one before it; it takes no column of its own on a terminal, but
            // losing it would be worse than a shifted column.
            let at = self.column.min(self.line.len());
            self.line.insert(at, c);
            self.column = at + 1;
            return;
        }
        if self.column + width > self.row + self.cols {
            if self.column < self.line.len() {
                // Something stands behind the end of the row: it is not written over.
                self.end_line();
            }
            self.row = self.column;
        }
        self.blank_to(self.column + width);
        self.line[self.column] = c;
        self.line[self.column + 1..self.column + width].fill(FILLER);
        self.column += width;
        // Half of a wide character that was written over is gone.
        if self.line.get(self.column) == Some(&FILLER) {
            self.line[self.column] = ' ';
        }
    }

    /// The column in which the cursor stands; the last one also where it waits for the next character.
    fn x(&self) -> usize {
        (self.column - self.row).min(self.cols - 1)
    }

    /// To a column of the row.
    fn go(&mut self, x: usize) {
        self.column = self.row + x.min(self.cols - 1);
    }

    fn blank_to(&mut self, columns: usize) {
        if self.line.len() < columns {
            self.line.resize(columns, ' ');
        }
    }

    fn end_line(&mut self) {
        (self.column, self.row, self.combining) = (0, 0, 0);
        if !self.full_screen {
            self.done.push(text_of(&std::mem::take(&mut self.line)));
        }
    }

    /// Ends the line if there is something in it: the cursor goes elsewhere.
    fn leave_line(&mut self) {
        if self.line.iter().any(|c| !c.is_whitespace()) {
            self.end_line();
        }
        self.line.clear();
        // The cursor is in the column in which it was.
        (self.column, self.row) = (self.x(), 0);
    }

    fn control(&mut self, last: char) {
        let parameters = std::mem::take(&mut self.parameters);
        if parameters.wrong {
            return;
        }
        let first = usize::from(parameters.numbers().next().unwrap_or(0));
        let count = first.clamp(1, MAX_COLUMNS);
        let end = self.line.len();
        match (parameters.marks.as_slice(), last) {
            ([], 'C' | 'a') => self.go(self.x() + count),
            ([], 'D') => self.go(self.x().saturating_sub(count)),
            ([], 'G' | '`') => self.go(count - 1),
            ([] | [b'?'], 'K') => match first {
                0 => self.line.truncate(self.column),
                1 => self.line[self.row.min(end)..(self.column + 1).min(end)].fill(' '),
                _ => self.line.truncate(self.row),
            },
            ([], 'P') => {
                let from = self.column.min(end);
                self.line.drain(from..(from + count).min(end));
            }
            ([], 'X') => {
                let from = self.column.min(end);
                self.line[from..(from + count).min(end)].fill(' ');
            }
            ([], '@') if self.column < end => {
                let blanks = count.min(MAX_MOVE.saturating_sub(end));
                self.line.splice(self.column..self.column, std::iter::repeat_n(' ', blanks));
            }
            ([], 'A' | 'B' | 'd' | 'E' | 'F' | 'H' | 'f') => {
                self.leave_line();
                if last != 'A' && last != 'B' && last != 'd' {
                    self.column = 0;
                }
            }
            ([] | [b'?'], 'J') if first >= 2 => self.leave_line(),
            ([b'?'], 'h' | 'l') => {
                let mut modes = parameters.numbers().take(MAX_MODES);
                let alternate = modes.any(|mode| matches!(mode, 47 | 1047 | 1049));
                if alternate && (last == 'h') != self.full_screen {
                    self.switch(last == 'h');
                }
            }
            _ => {}
        }
    }

    /// RIS: the main screen, as new.
    fn reset(&mut self) {
        if self.full_screen {
            self.switch(false);
        }
        self.leave_line();
        (self.column, self.row) = (0, 0);
    }

    fn switch(&mut self, full_screen: bool) {
        if full_screen {
            self.leave_line();
            self.done.push(FULL_SCREEN.to_owned());
        }
        self.line.clear();
        (self.column, self.row) = (0, 0);
        self.full_screen = full_screen;
    }
}

fn text_of(line: &[char]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut before = ' ';
    for c in line.iter().copied().filter(|c| *c != FILLER) {
        // Here, and not when it came: what it stood behind then may have been written over since.
        match is_deceptive_behind(before, c) {
            true => text.extend(c.escape_unicode()),
            false => text.push(c),
        }
        before = c;
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
