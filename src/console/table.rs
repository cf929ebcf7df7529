//! Tables: of words for people on a terminal, of fields for programs in a pipe.
//!
//! A table is text when it is printed and makes all cells safe as they come in. Refuses to print: that is
//! [`super::Console::table`].

use super::{Style, fold, safe};
use crate::text::{cells, shorten};
use std::fmt::Display;

/// How a column gives way when the terminal is narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Keeps its width; text to the left.
    Left,
    /// Keeps its width; text to the right.
    Right,
    /// Is shortened, with `…`; text to the left.
    Flexible,
    /// Is shortened, with `…`, before any other, to what still tells names apart; text to the left.
    Yielding,
    /// The last one: as long as it is, on further lines if need be.
    Whole,
}

/// A table.
pub struct Table {
    columns: Vec<(String, Column)>,
    rows: Vec<Vec<(Style, String)>>,
    heading: bool,
}

/// A flexible column is not made narrower than this.
const NARROWEST: usize = 8;
/// Nor one that yields, before the others have: of a fingerprint (`SHA256:…`) nine characters are left.
const TOLD_APART: usize = 17;

impl Table {
    /// A table with these headings.
    pub fn new(columns: &[(&str, Column)]) -> Self {
        Self {
            columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
            rows: Vec::new(),
            heading: true,
        }
    }

    /// The table without its line of headings.
    #[must_use]
    pub fn without_heading(mut self) -> Self {
        self.heading = false;
        self
    }

    /// Adds a row; cells beyond the columns are left out, missing ones are empty.
    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.styled_row(&cells.iter().map(|cell| (Style::Plain, *cell)).collect::<Vec<_>>());
    }

    /// [`Table::row`] with a style for each cell.
    pub fn styled_row(&mut self, cells: &[(Style, &dyn Display)]) {
        let cells = cells.iter().take(self.columns.len()).map(|(style, cell)| (*style, safe(cell)));
        self.rows.push(cells.collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn plain(&self) -> String {
        let lines = self.rows.iter().map(|row| {
            let mut line = row.iter().map(|(_, cell)| cell.as_str()).collect::<Vec<_>>().join("\t");
            line.push('\n');
            line
        });
        lines.collect()
    }

    pub(super) fn folded(&self, width: usize, colour: bool) -> String {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| cells(name)).collect();
        for row in &self.rows {
            for (width, (_, cell)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cells(cell));
            }
        }
        for ((_, kind), width) in self.columns.iter().zip(&mut widths) {
            if *kind == Column::Whole {
                *width = 0;
            }
        }
        // The last column gives way first, where it is flexible and none yields to it, then the widest other one, and at last the last
        // one whole: it says why, which stands elsewhere too, and the others say who and where.
        let gaps = 2 * self.columns.len().saturating_sub(1);
        let is_flexible = |n: usize| self.columns.get(n).is_some_and(|(_, kind)| *kind == Column::Flexible);
        let last = Some(self.columns.len().saturating_sub(1)).filter(|last| is_flexible(*last));
        let yielding = self.columns.iter().position(|(_, kind)| *kind == Column::Yielding);
        while widths.iter().sum::<usize>() + gaps > width {
            let above = |n: &usize, least: usize| widths.get(*n).is_some_and(|width| *width > least);
            let others = (0..widths.len()).filter(|n| is_flexible(*n) && Some(*n) != last);
            let gives = yielding
                .filter(|n| above(n, TOLD_APART))
                .or_else(|| last.filter(|n| above(n, NARROWEST)))
                .or_else(|| yielding.filter(|n| above(n, NARROWEST)))
                .or_else(|| others.filter(|n| above(n, NARROWEST)).max_by_key(|n| widths.get(*n).copied()))
                .or_else(|| last.filter(|n| above(n, 0)));
            match gives.and_then(|n| widths.get_mut(n)) {
                Some(width) => *width -= 1,
                None => break,
            }
        }
        let heading: Vec<_> = self.columns.iter().map(|(name, _)| (Style::Bold, name.clone())).collect();
        let mut out = String::new();
        for row in self.heading.then_some(&heading).into_iter().chain(&self.rows) {
            self.fold_row(row, &widths, width, colour, &mut out);
        }
        out
    }

    fn fold_row(
        &self,
        row: &[(Style, String)],
        widths: &[usize],
        width: usize,
        colour: bool,
        out: &mut String,
    ) {
        let mut parts = Vec::new();
        let (mut owed, mut at, mut indent) = (0, 0, 0);
        for (((_, kind), width), (style, cell)) in self.columns.iter().zip(widths).zip(row) {
            let cell = if *kind == Column::Whole {
                indent = at;
                cell.clone()
            } else {
                shorten(cell, *width)
            };
            let missing = width.saturating_sub(cells(&cell));
            let before = if *kind == Column::Right { missing } else { 0 };
            parts.push((Style::Plain, " ".repeat(owed + before)));
            parts.push((*style, cell));
            owed = missing - before + 2;
            at += width + 2;
        }
        // No blanks at the end: they would make a line on a narrow terminal, and nobody sees them on a wide one.
        while parts.last().is_some_and(|(_, text)| text.trim_matches(' ').is_empty()) {
            parts.pop();
        }
        let parts: Vec<_> = parts.iter().map(|(style, text)| (*style, text.as_str())).collect();
        out.push_str(&fold::fold(&parts, indent, width, colour));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::Abilities;
    use super::super::tests::{TERMINAL, console};
    use super::*;

    #[test]
    fn in_a_narrow_table_what_stands_last_gives_way_first_and_whole() {
        let mut table =
            Table::new(&[("WHO", Column::Flexible), ("STATE", Column::Left), ("WHY", Column::Flexible)]);
        table.row(&[&"alice → operator", &"sealed", &"OPS-4411 rotate the keys"]);
        let row = |width| table.folded(width, false).lines().nth(1).unwrap().to_owned();
        assert_eq!(row(50), "alice → operator  sealed  OPS-4411 rotate the keys");
        assert_eq!(row(40), "alice → operator  sealed  OPS-4411 rota…");
        assert_eq!(row(30), "alice → ope…  sealed  OPS-441…");
        assert_eq!(row(16), "alice →…  sealed");
    }

    #[test]
    fn a_column_that_yields_leaves_the_others_whole() {
        let mut table = Table::new(&[
            ("KEY", Column::Yielding),
            ("STATE", Column::Flexible),
            ("OPENED BY", Column::Flexible),
        ]);
        table.row(&[&"root@vm (ssh-ed25519)", &"good", &"no identity here"]);
        let row = |width| table.folded(width, false).lines().nth(1).unwrap().to_owned();
        assert_eq!(row(46), "root@vm (ssh-ed25519)  good   no identity here");
        assert_eq!(row(42), "root@vm (ssh-ed2…  good   no identity here");
        assert_eq!(row(37), "root@vm (ssh-ed2…  good   no identit…");
        assert_eq!(row(28), "root@vm (s…  good   no iden…");
    }

    fn table() -> Table {
        let mut table = Table::new(&[("WHO", Column::Left), ("N", Column::Right), ("WHY", Column::Flexible)]);
        table.row(&[&"alice", &1, &"a reason that is much too long for this terminal"]);
        table.row(&[&"ボブ", &1000, &"evil\x1b[2J\n"]);
        table
    }

    #[test]
    fn a_table_folds_to_the_terminal_and_is_plain_in_a_pipe() {
        let (terminal, out, _) = console(Abilities { colour: false, ..TERMINAL });
        terminal.table(&table()).unwrap();
        let lines: Vec<String> = out.text().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "WHO       N  WHY");
        assert_eq!(lines[1], "alice     1  a reason that is much too …");
        assert_eq!(lines[2], "ボブ   1000  evil\\x1b[2J\\n");
        assert!(lines.iter().all(|line| cells(line) <= 40), "{lines:?}");

        let (pipe, out, _) = console(Abilities::default());
        pipe.table(&table()).unwrap();
        assert_eq!(
            out.text(),
            "alice\t1\ta reason that is much too long for this terminal\nボブ\t1000\tevil\\x1b[2J\\n\n"
        );
    }
}
