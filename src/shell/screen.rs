//! The line on which the cursor stands: what a person saw when they pressed Enter.

use crate::terminal::{Style, Terminal};

/// One logical line of the screen: rows that wrap into one another count as one, but where only the sign of output without a newline
/// does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// All of it, without blanks at the end.
    pub text: String,
    /// The part before the cursor, blanks included.
    pub before: String,
    /// It fills the screen: of one that is longer, this is the end.
    pub fills: bool,
}

/// Whatever shows the output. A recording does it with an emulator; tests may do it with less.
pub trait Screen {
    /// Takes output.
    fn feed(&mut self, bytes: &[u8]);
    /// The line with the cursor; `None` when there is no telling, or a full-screen program has the terminal.
    fn line(&mut self) -> Option<Line>;
    /// The lines above the one with the cursor, from that up: no more than `count`, and none where there is no telling.
    fn above(&mut self, count: usize) -> Vec<String> {
        let _ = count;
        Vec::new()
    }
}

/// No screen: nothing can be inferred.
impl Screen for () {
    fn feed(&mut self, _: &[u8]) {}
    fn line(&mut self) -> Option<Line> {
        None
    }
}

impl Screen for Terminal {
    fn feed(&mut self, bytes: &[u8]) {
        self.feed_guarded(bytes);
    }

    fn line(&mut self) -> Option<Line> {
        of(self)
    }

    fn above(&mut self, count: usize) -> Vec<String> {
        above(self, count)
    }
}

/// The line with the cursor on this terminal; `None` in full-screen programs and after a fault.
pub fn of(terminal: &Terminal) -> Option<Line> {
    if terminal.is_alternate() || terminal.fault().is_some() {
        return None;
    }
    let cursor = terminal.cursor();
    let first = first_row(terminal, cursor.row);
    let mut line = Line::default();
    let mut row = first;
    loop {
        let taken = usize::from(cursor.col).saturating_add(usize::from(cursor.pending_wrap));
        for (col, cell) in terminal.cells(row).enumerate() {
            if cell.width == 0 {
                continue;
            }
            for c in std::iter::once(cell.c).chain(cell.marks.iter().copied()) {
                line.text.push(c);
                if row < cursor.row || (row == cursor.row && col < taken) {
                    line.before.push(c);
                }
            }
        }
        if !terminal.row_wraps(row) {
            line.fills = first == 0 && row.saturating_add(1) == terminal.size().1;
            break;
        }
        row = row.saturating_add(1);
    }
    line.text.truncate(line.text.trim_end().len());
    Some(line)
}

/// See [`Screen::above`]. Of one that begins above the screen it is the end.
pub fn above(terminal: &Terminal, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if terminal.is_alternate() || terminal.fault().is_some() {
        return lines;
    }
    let mut below = first_row(terminal, terminal.cursor().row);
    while let Some(last) = below.checked_sub(1).filter(|_| lines.len() < count) {
        below = first_row(terminal, last);
        let text: String = (below..=last).map(|row| terminal.row_text(row)).collect();
        lines.push(text.trim_end().to_owned());
    }
    lines
}

/// The first of the rows that wrap into this one.
fn first_row(terminal: &Terminal, mut row: u16) -> u16 {
    let joined = |above| terminal.row_wraps(above) && !is_unfinished(terminal, above);
    while row.checked_sub(1).is_some_and(joined) {
        row = row.saturating_sub(1);
    }
    row
}

/// Whether a row ends in the sign that zsh and fish put behind output without a newline. Blanks follow it beyond the margin, so that the
/// prompt gets a row of its own. It is drawn as typed text is not: what is pasted into zsh is inverse, too.
fn is_unfinished(terminal: &Terminal, row: u16) -> bool {
    let last = terminal.cells(row).filter(|cell| cell.width > 0 && cell.c != ' ').last();
    last.is_some_and(|cell| match cell.c {
        '⏎' => cell.style != Style::default(),
        '%' | '#' => cell.style.inverse && cell.style.bold,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &str) -> Line {
        let mut terminal = Terminal::new(10, 4);
        Screen::feed(&mut terminal, bytes.as_bytes());
        Screen::line(&mut terminal).unwrap()
    }

    #[test]
    fn the_blank_after_a_prompt_counts_as_before_the_cursor() {
        assert_eq!(line("old\r\n$ "), Line { text: "$".into(), before: "$ ".into(), fills: false });
        assert_eq!(line("$ ls\x08"), Line { text: "$ ls".into(), before: "$ l".into(), fills: false });
    }

    #[test]
    fn wrapped_rows_and_wide_characters_are_one_line() {
        let wrapped = line("$ 日本語 0123456789\x1b[2D");
        assert_eq!(wrapped.text, "$ 日本語 0123456789");
        assert_eq!(wrapped.before, "$ 日本語 01234567");
        assert_eq!(line("$ 01234567").before, "$ 01234567");
    }

    #[test]
    fn a_prompt_below_output_without_a_newline_is_a_line_of_its_own() {
        let typed = Line { text: "$ ls".into(), before: "$ ls".into(), fills: false };
        let blanks = " ".repeat(9);
        for sign in ["\x1b[1m\x1b[7m%\x1b[27m\x1b[1m\x1b[0m", "\x1b[1;7m#\x1b[0m", "\x1b[2m⏎\x1b[m"] {
            for output in ["", "abc", "012345678"] {
                assert_eq!(line(&format!("{output}{sign}{blanks}\r \r\x1b[J$ ls")), typed, "{output}{sign}");
            }
        }
        // What was typed goes on below.
        for above in
            ["$ 50%     ", "$ \x1b[7m5%\x1b[0m 0    ", "$ \x1b[7m1234567#\x1b[0m", "$ 1234567⏎", "$ 1234567 "]
        {
            assert_eq!(line(&format!("{above}> x")).before.chars().count(), 13);
        }
    }

    #[test]
    fn a_full_screen_program_shows_no_line() {
        let mut terminal = Terminal::new(10, 4);
        Screen::feed(&mut terminal, b"\x1b[?1049h$ vim");
        assert_eq!(Screen::line(&mut terminal), None);
    }
}
