//! The tape over a change of size: what is cut off is told before, and what stays keeps its age.
//!
//! Refuses to know how the screen moves its rows: it looks at them before and after.

use super::super::cell;
use super::super::transcript::Kind;
use super::rows::{State, wraps};
use super::{Partial, Tape};
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::Cell;
use std::time::Duration;

/// Since when the lines of the main screen have text, and since when as they stand: to know them again after a resize, which keeps
/// their order. As they begin: nothing stood there.
#[derive(Default)]
pub(in crate::terminal) struct Ages {
    of: Vec<(Duration, Duration)>,
    /// One for each row, not for each line.
    as_rows: bool,
}

impl Tape {
    /// The screens are about to have `rows` rows: tells what will be cut off; all of the main one, where that is 0. Since when
    /// the lines of the main screen stand, or its rows if they stay rows.
    pub(in crate::terminal) fn before_resize(
        &mut self,
        shown: &Grid<Cell>,
        hidden: &Grid<Cell>,
        rows: usize,
        as_rows: bool,
    ) -> Ages {
        let shows_alt = self.on_alt;
        let (main, alt) = if shows_alt { (hidden, shown) } else { (shown, hidden) };
        if shows_alt {
            self.stirred = Some(Duration::ZERO);
            self.settle(alt);
            self.vanish(alt, 0..self.alt.len(), Kind::Overwritten);
        }
        self.on_alt = false;
        self.stirred = Some(Duration::ZERO);
        self.settle(main);
        // The cursor's row stays on the screen; what stands below the new last row goes.
        let moved = (main.cursor.point.line.0.max(0) as usize + 1).saturating_sub(rows);
        let kept = if rows == 0 { 0 } else { rows + moved };
        self.vanish(main, kept..self.main.len(), Kind::Overwritten);
        self.on_alt = shows_alt;
        let mut ages = Ages { of: Vec::new(), as_rows };
        let mut goes_on = false;
        for (y, state) in self.main.iter().enumerate() {
            let first = if state.blank { self.now } else { state.first };
            // What is cut stands as it is from now on only.
            let changed = if rows == 0 { self.now } else { state.changed };
            match ages.of.last_mut() {
                Some(line) if goes_on => *line = (line.0.min(first), line.1.max(changed)),
                _ => ages.of.push((first, changed)),
            }
            goes_on = !as_rows && wraps(main, Row(y as i32));
        }
        ages
    }

    /// The screens have been given `rows` rows; those that were pushed out of the main one stand above its row 0, and are told.
    pub(in crate::terminal) fn resized(&mut self, main: &Grid<Cell>, rows: usize, ages: Ages) {
        let (now, gone) = (self.now, main.history_size());
        let mut ages_of_rows = Vec::with_capacity(gone + rows);
        let mut nth = 0;
        for y in 0..gone + rows {
            ages_of_rows.push(ages.of.get(nth).copied().unwrap_or((now, now)));
            nth += usize::from(ages.as_rows || !wraps(main, Row(y as i32 - gone as i32)));
        }
        for (offset, (first, complete)) in ages_of_rows.drain(..gone).enumerate() {
            let line = Row(offset as i32 - gone as i32);
            let mut current = String::new();
            cell::text(&main[line][..], &mut current);
            let number = self.evicted + offset as u64;
            let part = Partial { number, first, complete, text: current, overlap: 0 };
            self.go_on(part, wraps(main, line), Kind::Scrolled);
        }
        self.evicted += gone as u64;
        self.main = ages_of_rows
            .into_iter()
            .map(|(first, changed)| State { changed, ..State::unknown(first) })
            .collect();
        // What stood on the alternate one was told before it was cut and moved.
        self.alt = vec![State::unknown(now); rows].into();
    }
}
