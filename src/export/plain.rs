//! Output as lines of plain text: what could be read, without what the terminal was told.
//!
//! Follows what line editing and progress bars do within a line (carriage return, backspace, tab, erasing, moving to a
//! column) and drops every other control sequence, whatever its length. What a full-screen program drew is left out, one
//! line stands for it. Refuses to let anything through that could act on a terminal: what remains is printable, and
//! deceptive characters are made visible, and so is the sign of what we say ourselves. Not an emulator: text placed by
//! moving between lines comes in the order it was written.

use crate::terminal::Terminal;
use crate::text::{is_deceptive, is_deceptive_behind};

/// The longest line, in columns; longer ones are cut into several.
const MAX_COLUMNS: usize = 32 << 10;
/// The most combining characters in a line; one with more is cut into several. They make it longer than its columns, and
/// each is put into its place by moving all that stands behind.
const MAX_COMBINING: usize = 4096;
/// How far a control sequence can move the cursor: no terminal is wider, and a few bytes must not make a long line.
const MAX_MOVE: usize = 1024;
/// The most numbers of a control sequence, as in the emulator: one with more does nothing.
const MAX_NUMBERS: usize = 32;
/// As many of them as are modes to it.
const MAX_MODES: usize = 30;

/// Turns output into lines. Holds one line.
#[derive(Default)]
pub struct Plain {
    state: State,
    parameters: Parameters,
    /// The beginning of a character that was cut.
    tail: Vec<u8>,
    /// The line in hand, a character a column; the second column of a wide character holds [`FILLER`].
    line: Vec<char>,
    column: usize,
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

impl Plain {
    /// Goes on from a screen: the line in hand is the one in which its cursor stands; in a full-screen program there is none.
    pub fn standing(screen: &Terminal) -> Self {
        let mut plain = Self { full_screen: screen.is_alternate(), ..Self::default() };
        let cursor = screen.cursor();
        // A line that was wrapped is one.
        let begins = (0..cursor.row).rev().take_while(|row| screen.row_wraps(*row)).last();
        let ends = (cursor.row..).find(|row| !screen.row_wraps(*row)).unwrap_or(cursor.row);
        let mut column = 0;
        for row in begins.unwrap_or(cursor.row)..=ends {
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
        plain.column = column;
        plain
    }

    /// Whether a full-screen program has the screen; the line that stands for it.
    pub fn full_screen(&self) -> Option<&'static str> {
        self.full_screen.then_some(FULL_SCREEN)
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
            '\r' => self.column = 0,
            '\x08' => self.column = self.column.saturating_sub(1),
            '\t' => {
                let to = (self.column / 8 + 1) * 8;
                while self.column < to && !self.full_screen {
                    self.put(' ');
                }
            }
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
        self.blank_to(self.column + width);
        self.line[self.column] = c;
        self.line[self.column + 1..self.column + width].fill(FILLER);
        self.column += width;
        // Half of a wide character that was written over is gone.
        if self.line.get(self.column) == Some(&FILLER) {
            self.line[self.column] = ' ';
        }
    }

    fn blank_to(&mut self, columns: usize) {
        if self.line.len() < columns {
            self.line.resize(columns, ' ');
        }
    }

    fn end_line(&mut self) {
        (self.column, self.combining) = (0, 0);
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
            ([], 'C' | 'a') => self.column = (self.column + count).min(MAX_MOVE.max(self.column)),
            ([], 'D') => self.column = self.column.saturating_sub(count),
            ([], 'G' | '`') => self.column = (count - 1).min(MAX_MOVE),
            ([] | [b'?'], 'K') => match first {
                0 => self.line.truncate(self.column),
                1 => self.line[..(self.column + 1).min(end)].fill(' '),
                _ => self.line.clear(),
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
        self.column = 0;
    }

    fn switch(&mut self, full_screen: bool) {
        if full_screen {
            self.leave_line();
            self.done.push(FULL_SCREEN.to_owned());
        }
        self.line.clear();
        self.column = 0;
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(output: &[u8]) -> Vec<String> {
        let mut plain = Plain::default();
        let mut lines = plain.feed(output);
        lines.extend(plain.finish());
        lines
    }

    /// What stood before it was a sign of warning, which it belonged to.
    #[test]
    fn a_selector_whose_symbol_was_written_over_is_made_visible() {
        assert_eq!(lines("aa\u{26a0}\u{fe0f}\n".as_bytes()), ["aa\u{26a0}\u{fe0f}"]);
        assert_eq!(lines("aa\u{26a0}\u{fe0f}\rxrm\n".as_bytes()), ["xrm\\u{fe0f}"]);
    }

    #[test]
    fn colours_titles_and_the_clipboard_disappear_and_the_text_stays() {
        let output = b"\x1b]0;title\x07\x1b[1;32mroot@web\x1b[0m:\x1b[34m~\x1b[m# ls\r\n\x1b]52;c;QUJD\x1b\\a  b\r\n\x1bP1q~~\x1b\\c\x1b(B\r\n";
        assert_eq!(lines(output), ["root@web:~# ls", "a  b", "c"]);
    }

    #[test]
    fn corrections_within_a_line_end_as_they_stood() {
        assert_eq!(lines(b"lx\x08s -l\r\n"), ["ls -l"]);
        assert_eq!(lines(b" 10%\r 50%\r100%\x1b[K done\n"), ["100% done"]);
        assert_eq!(lines(b"abcdef\x1b[3D\x1b[K\x1b[1Gx\n"), ["xbc"]);
        assert_eq!(lines(b"abc\x1b[2Gx\x1b[1P\n"), ["ax"]);
        assert_eq!(lines(b"a\tb\n"), ["a       b"]);
        assert_eq!(lines("日本\x08\x08x\n".as_bytes()), ["日x"]);
        assert_eq!(lines("日本\rx\n".as_bytes()), ["x 本"]);
    }

    #[test]
    fn a_full_screen_program_is_one_line() {
        assert_eq!(
            lines(b"$ vim\r\n\x1b[?1049h\x1b[2J\x1b[Hlots\r\nof\r\ntext\x1b[?1049l$ exit\r\n"),
            ["$ vim", FULL_SCREEN, "$ exit"]
        );
    }

    #[test]
    fn a_full_screen_program_is_left_however_that_is_written() {
        let after = |sequence: &str| lines(format!("a\r\n\x1b[?1049hdrawn{sequence}b\r\n").as_bytes());
        let long = format!("\x1b[?{}1049l", "0".repeat(100));
        let last = format!("\x1b[?{}47l", "1;".repeat(29));
        for left in ["\x1bc", "\x1b[?47l", "\x1b[?01047l", "\x1b[?01049l", "\x1b[?25;1049l", &long, &last]
            .into_iter()
            .chain([
                "\x1b[?1049:1l",
                "\x1b\n[?1049l",
                "\x1b日[?1049l",
                "\x1b[?日1049l",
                "\x1b(\nB\x1b[?1049l",
            ])
        {
            assert_eq!(after(left), ["a", FULL_SCREEN, "b"], "{left:?}");
        }
        let many = format!("\x1b[?{}1049l", "1;".repeat(32));
        for stays in
            ["\x1b[!p", "\x1b[1049l", "\x1b[?1049$l", "\x1b[?1049?l", "\x1b[?1:1049l", "\x1b#c", &many]
        {
            assert_eq!(after(stays), ["a", FULL_SCREEN], "{stays:?}");
        }
    }

    #[test]
    fn invalid_and_cut_bytes_are_shown_as_such_and_counted() {
        let mut plain = Plain::default();
        let crab = "🦀".as_bytes();
        assert!(plain.feed(&crab[..2]).is_empty());
        assert_eq!(plain.feed(&[&crab[2..], b"\xff\n\xe2"].concat()), ["🦀\u{fffd}"]);
        assert_eq!(plain.finish().unwrap(), "\u{fffd}");
        assert_eq!(plain.replaced(), 2);
        assert_eq!(lines("a\u{202e}b\u{9b}\n".as_bytes()), ["a\\u{202e}b\\u{9b}"]);
    }

    #[test]
    fn whoever_begins_with_a_screen_has_the_line_in_hand_as_it_stands() {
        // So many columns of it fill a row.
        let full = "x".repeat(20);
        for begun in [
            "",
            "one\r\n",
            "one\r\n$ ",
            "$ 日本e\u{301} on",
            "$ abc\x1b[2D",
            "日本\x1b[D",
            &full,
            &full.repeat(2),
            &format!("one\r\n{full}and on\x1b[A"),
            "\x1b[?1049h\x1b[Hdrawn",
        ] {
            let mut screen = crate::terminal::Terminal::new(20, 5);
            screen.feed(begun.as_bytes());
            let (mut from_start, mut from_screen) = (Plain::default(), Plain::standing(&screen));
            from_start.feed(begun.replace("\x1b[A", "\x1b[7G").as_bytes());
            assert_eq!(from_screen.unfinished(), from_start.unfinished(), "{begun:?}");
            assert_eq!(from_screen.full_screen(), from_start.full_screen(), "{begun:?}");
            for more in [&b"z"[..], b"\x1b[K\n", b"\x1b[?1049lafter\n"] {
                assert_eq!(from_screen.feed(more), from_start.feed(more), "{begun:?}");
                assert_eq!(from_screen.unfinished(), from_start.unfinished(), "{begun:?}");
            }
        }
    }

    #[test]
    fn endless_sequences_and_lines_take_bounded_memory() {
        let mut plain = Plain::default();
        plain.feed(b"\x1b]");
        plain.feed(b"\x1b[");
        for bytes in [[b'1'; 1000], [b';'; 1000], [b'?'; 1000], [b' '; 1000]] {
            assert!(plain.feed(&bytes).is_empty());
        }
        assert!(plain.parameters.numbers.len() < MAX_NUMBERS && plain.parameters.marks.len() <= 2);
        let long = plain.feed(&[b"\x18".as_slice(), &vec![b'x'; MAX_COLUMNS * 3]].concat());
        assert_eq!(long.len(), 2);
        let moved = lines(b"\x1b[99999999999C\x1b[999999999@\x1b[32760Cxx\n");
        assert_eq!(moved, [" ".repeat(MAX_MOVE) + "xx"]);
        // Characters without a column, from the start of the line again and again: all are kept, in lines that end.
        let marks = lines("\r\u{301}".repeat(MAX_COMBINING * 3).as_bytes());
        assert_eq!(marks, vec!["\u{301}".repeat(MAX_COMBINING); 3]);
    }

    proptest! {
        #[test]
        fn nothing_but_printable_text_comes_out_of_anything(
            chunks in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..40),
                    "(\u{1b}\\[[0-9;?]{0,6}[@-~]|\u{1b}[@-_]|[\u{0}-\u{a0}]|日){0,20}".prop_map(String::into_bytes),
                ],
                0..20,
            )
        ) {
            let mut plain = Plain::default();
            let mut all = Vec::new();
            for chunk in &chunks {
                all.extend(plain.feed(chunk));
                all.push(plain.unfinished());
            }
            all.extend(plain.finish());
            for line in all {
                prop_assert!(!line.chars().any(|c| c.is_control() || crate::text::is_deceptive(c)), "{line:?}");
            }
        }

        #[test]
        fn a_full_screen_program_is_where_the_emulator_has_one(
            pieces in proptest::collection::vec(
                prop_oneof![
                    "\u{1b}\\[\\??0{0,3}(47|1047|1049|25|65536)?[;:]?(47|1047|1049|4)?[ $?<]{0,2}[hl]".prop_map(String::into_bytes),
                    "\u{1b}\\[\\?(1049|;){1,40}[hl]".prop_map(String::into_bytes),
                    "(\u{1b}[c\\[\\]PX(#]|[?;:1049hlc\\\\!p日\u{9c}\u{7f}\u{85}\u{0}-\u{1b}]){0,6}".prop_map(String::into_bytes),
                    proptest::collection::vec(any::<u8>(), 0..3),
                ],
                0..12,
            )
        ) {
            let bytes = pieces.concat();
            let (mut plain, mut terminal) = (Plain::default(), crate::terminal::Terminal::new(20, 5));
            plain.feed(&bytes);
            terminal.feed(&bytes);
            prop_assert_eq!(plain.full_screen, terminal.is_alternate(), "{:?}", String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn how_the_output_was_cut_makes_no_difference(
            bytes in "(\u{1b}\\[[0-9;?]{0,6}[@-~]|\u{1b}[@-_]|[\u{0}-\u{a0}]|日){0,40}", cut in 0usize..200
        ) {
            let bytes = bytes.as_bytes();
            let cut = cut.min(bytes.len());
            let mut plain = Plain::default();
            let mut split = plain.feed(&bytes[..cut]);
            split.extend(plain.feed(&bytes[cut..]));
            split.extend(plain.finish());
            prop_assert_eq!(split, lines(bytes));
        }
    }
}
