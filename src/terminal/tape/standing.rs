//! What stands on the screens, as lines: looked at in between, or told at the end.
//!
//! Refuses to forget anything by looking.

use super::super::transcript::{Kind, Line};
use super::Tape;
use super::rows::{State, text, wraps};
use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

impl Tape {
    /// What stands now, as lines: those of the main screen, then those of the alternate one if it is shown.
    pub(in crate::terminal) fn standing(&self, shown: &Grid<Cell>, hidden: &Grid<Cell>) -> Vec<Line> {
        let main = if self.on_alt { hidden } else { shown };
        let mut lines = Self::stand(main, &self.main, self.evicted, Kind::Final, self.now);
        if self.on_alt {
            lines.extend(Self::stand(shown, &self.alt, 0, Kind::Page(self.page), self.now));
        }
        lines
    }

    /// What stands on one screen, whose first row has the number `base`.
    fn stand(
        grid: &Grid<Cell>,
        states: &VecDeque<State>,
        base: u64,
        kind: Kind,
        last: Duration,
    ) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let mut goes_on = false;
        for (y, state) in states.iter().enumerate() {
            let current = text(grid, y);
            match lines.last_mut() {
                Some(line) if goes_on => {
                    line.text.push_str(&current);
                    line.complete = line.complete.max(state.changed);
                }
                _ => {
                    let (number, first, complete) = (base + y as u64, state.first, state.changed);
                    let (text, overlap, goes_on) = (current, 0, false);
                    lines.push(Line { number, kind, first, complete, last, text, overlap, goes_on });
                }
            }
            goes_on = wraps(grid, Row(y as i32));
        }
        lines.retain(|line| !line.text.is_empty());
        lines
    }

    /// Tells what stands at the end.
    pub(in crate::terminal) fn finish(&mut self, shown: &Grid<Cell>, hidden: &Grid<Cell>) {
        let main = if self.on_alt {
            self.switch(shown, false, false);
            hidden
        } else {
            shown
        };
        self.stirred = Some(Duration::ZERO);
        self.settle(main);
        let last = (0..self.main.len()).rev().find(|y| !text(main, *y).is_empty());
        if let Some(last) = last {
            self.lines(main, 0..last + 1, Kind::Final);
        }
        self.flush(Kind::Final);
    }
}
