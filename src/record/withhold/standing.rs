//! What stands in the rows of a screen: a character that was drawn over is gone, and what was moved along its row is where it is now.
//!
//! Refuses to be an emulator: what is cleared otherwise stays, and so does what scrolled away.

use super::drawn::{Cell, Drawn};
use std::collections::BTreeMap;

/// Most that is kept, in cells, blank ones included.
const MOST: usize = 32 << 10;
/// A cell in which nothing was drawn, or the second one of a wide character.
const NOTHING: char = ' ';

/// The rows in which something was drawn.
#[derive(Default)]
pub(super) struct Standing {
    rows: BTreeMap<u64, Vec<char>>,
    cells: usize,
}

impl Standing {
    /// A character was drawn.
    pub(super) fn drew(&mut self, drawn: &Drawn) {
        let width = drawn.after.behind(drawn.cell).unwrap_or(1);
        let end = drawn.cell.col.saturating_add(width);
        let more = end.saturating_sub(self.rows.get(&drawn.cell.row).map_or(0, Vec::len));
        if !self.has_room(more) {
            return;
        }
        self.cells = self.cells.saturating_add(more);
        let row = self.rows.entry(drawn.cell.row).or_default();
        if more > 0 {
            row.resize(end, NOTHING);
        }
        if let Some([first, others @ ..]) = row.get_mut(drawn.cell.col..end) {
            *first = drawn.c;
            others.fill(NOTHING);
        }
    }

    /// What stands in that cell and behind it was moved to the right, by so many cells.
    pub(super) fn moved_right(&mut self, from: Cell, cells: usize) {
        let room = self.has_room(cells);
        if let Some(row) = self.rows.get_mut(&from.row).filter(|row| room && from.col < row.len()) {
            row.splice(from.col..from.col, std::iter::repeat_n(NOTHING, cells));
            self.cells = self.cells.saturating_add(cells);
        }
    }

    /// The same to the left, over what stood there.
    pub(super) fn moved_left(&mut self, from: Cell, cells: usize) {
        if let Some(row) = self.rows.get_mut(&from.row).filter(|row| from.col < row.len()) {
            let gone = row.drain(from.col..from.col.saturating_add(cells).min(row.len())).len();
            self.cells = self.cells.saturating_sub(gone);
        }
    }

    fn has_room(&self, cells: usize) -> bool {
        self.cells.saturating_add(cells) <= MOST
    }

    /// All of it, row by row, without blanks.
    pub(super) fn text(&self) -> String {
        self.rows.values().flatten().filter(|c| **c != NOTHING).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{cursor::Cursor, drawn::Did};
    use super::*;

    fn standing(cols: u16, output: &str, times: usize) -> Standing {
        let (mut cursor, mut standing) = (Cursor::default(), Standing::default());
        cursor.resize(cols, 24);
        for _ in 0..times {
            cursor.follow(output.as_bytes());
            while let Some(did) = cursor.did() {
                match did {
                    Did::Drew(drawn) => standing.drew(&drawn),
                    Did::MovedRight(from, cells) => standing.moved_right(from, cells),
                    Did::MovedLeft(from, cells) => standing.moved_left(from, cells),
                    _ => {}
                }
            }
        }
        standing
    }

    #[test]
    fn what_was_drawn_over_is_gone_and_what_was_moved_is_where_it_went() {
        for (output, text) in [
            ("abc\x08\x08X", "aXc"),
            ("abc\x08\x08\x1b[2@XY", "aXYbc"),
            ("abcd\r\x1b[C\x1b[2P", "ad"),
            ("abcd\r\x1b[999P\x1b[999@", ""),
            ("日本語\r\x1b[2P", "本語"),
            ("abc  \r\x1b[C ", "ac"),
            ("ab\r\ncd\x1b[A\x1b[2Ge", "aecd"),
        ] {
            assert_eq!(standing(80, output, 1).text(), text, "{output:?}");
        }
    }

    #[test]
    fn of_rows_without_end_no_more_is_kept_than_there_is_room_for() {
        let standing = standing(1000, "\r\nx\x1b[999C \x1b[2G\x1b[999@y\x1b[3P\x1b[999@", 1000);
        let all: usize = standing.rows.values().map(Vec::len).sum();
        assert!(all == standing.cells && (MOST / 2..=MOST).contains(&all), "{all}, {}", standing.cells);
    }
}
