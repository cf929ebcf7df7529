//! Lines that are longer than a terminal is wide, folded by us.
//!
//! Left to the terminal, text that came out of a recording could be padded to its width, and what follows would stand where a line
//! of ours begins. So every line that goes on begins with a mark. Refuses to trust widths: what a terminal may or may not give a
//! cell of its own is counted as if it did, so that a line is folded early rather than by the terminal.

use super::{Style, paint};
use unicode_width::UnicodeWidthChar as _;

/// What a line begins with that goes on.
const MARK: &str = "│ ";
const MARK_CELLS: usize = 2;
/// Least cells behind a mark that does not stand at the edge.
const ROOM: usize = 20;
/// Most accents that are kept with their letter.
const ACCENTS: usize = 4;

/// `parts` as one line, which goes on below where it is longer than `width`: `indent` blanks from the edge, where there is room for
/// that. A terminal that has no room for the mark and a character is one of which nothing can be promised: each has a line there.
pub(super) fn fold(parts: &[(Style, &str)], indent: usize, width: usize, colour: bool) -> String {
    let indent = if indent + MARK_CELLS + ROOM <= width { indent } else { 0 };
    let (mut out, mut used) = (String::new(), 0);
    for (style, text) in parts {
        let mut begins = 0;
        for (at, c) in text.char_indices() {
            // A letter and its accents stay together.
            let behind = text[at..].chars().skip(1).take_while(|c| is_accent(*c)).take(ACCENTS);
            let accents = if is_accent(c) { 0 } else { behind.count() };
            if used > 0 && used + cells(c) + accents > width {
                out.push_str(&paint(*style, &text[begins..at], colour));
                out.push_str(&format!("\n{:indent$}{}", "", paint(Style::Dim, MARK, colour)));
                (begins, used) = (at, indent + MARK_CELLS);
            }
            used += cells(c);
        }
        out.push_str(&paint(*style, &text[begins..], colour));
    }
    // No blanks at the end: nobody sees them.
    out.truncate(out.trim_end_matches(' ').len());
    out
}

/// The most cells that a terminal gives a character. The console of Linux gives one to an accent too.
fn cells(c: char) -> usize {
    c.width().unwrap_or(1).max(1)
}

fn is_accent(c: char) -> bool {
    c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str, indent: usize, width: usize) -> String {
        fold(&[(Style::Plain, text)], indent, width, false)
    }

    #[test]
    fn what_is_padded_to_the_width_of_the_terminal_begins_no_line() {
        let blanks = " ".repeat(6);
        assert_eq!(plain(&format!("patch{blanks} intact"), 0, 12), format!("patch{blanks} \n│ intact"));
        assert_eq!(plain("one\u{3000}日本語", 0, 7), "one\u{3000}日\n│ 本語");
        assert_eq!(plain("e\u{301}tudie\u{301}", 0, 7), "e\u{301}tudi\n│ e\u{301}");
        assert_eq!(plain("as wide", 0, 7), "as wide");
        assert_eq!(plain("trailing   ", 0, 9), "trailing \n│");
    }

    #[test]
    fn what_goes_on_stands_below_its_column_where_there_is_room_and_keeps_its_colour() {
        let text = "x".repeat(30);
        let parts = [(Style::Plain, "0:01  "), (Style::Red, text.as_str())];
        let lines = |width| fold(&parts, 6, width, false);
        assert_eq!(lines(28), format!("0:01  {}\n      │ {}", "x".repeat(22), "x".repeat(8)));
        assert_eq!(lines(27), format!("0:01  {}\n│ {}", "x".repeat(21), "x".repeat(9)));
        let painted = format!(
            "0:01  \x1b[31m{}\x1b[0m\n      \x1b[2m│ \x1b[0m\x1b[31m{}\x1b[0m",
            "x".repeat(22),
            "x".repeat(8)
        );
        assert_eq!(fold(&parts, 6, 28, true), painted);
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_terminal_and_nothing_is_lost(
            text in "(\\PC|日|é|\u{301}|\u{300}| ){0,60}", indent in 0usize..40, width in 0usize..60
        ) {
            let folded = plain(&text, indent, width);
            let mut lines = folded.split('\n');
            let mut all = lines.next().unwrap_or_default().to_owned();
            for line in lines {
                all.push_str(line.trim_start_matches(' ').trim_start_matches('│').strip_prefix(' ').unwrap_or_default());
            }
            prop_assert_eq!(all.trim_end_matches(' '), text.trim_end_matches(' '));
            if width >= MARK_CELLS + 2 {
                prop_assert!(folded.split('\n').all(|line| line.chars().map(cells).sum::<usize>() <= width), "{folded}");
            }
        }
    }
}
