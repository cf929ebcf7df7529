//! What is shown, looked for in the keys that are held back: which runs of them a character may be an echo of.
//!
//! Refuses to say where an echo is drawn: each run knows that of its own (see `echo`); and when it is too late for one.

use super::cursor;
use super::drawn::{Cell, Did, Drawn};
use super::run::Run;
use super::{BEHIND, LEFT, Typed, Withhold};
use crate::policy::Input;
use std::time::Duration;

impl Withhold {
    /// `bytes` came at `now`, and were shown. Cheap while nothing is held.
    ///
    /// Nothing is too late here: that is for [`Withhold::tick`] to say.
    pub fn shown(&mut self, now: Duration, bytes: &[u8], out: &mut Vec<Typed>) {
        if self.policy == Input::All {
            return;
        }
        self.drawn = now;
        let mut rest = bytes;
        while !self.runs.is_empty() && !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(cursor::PIECE));
            rest = behind;
            self.cursor.follow(piece);
            while let Some(did) = self.cursor.did() {
                match did {
                    Did::Drew(drawn) => {
                        self.see(now, &drawn);
                        // So many in a row are in no doubt, and more would not be looked at.
                        let is_seen = |run: &Run| run.is_field() || run.is_tab();
                        if self.runs.len() >= LEFT / 2 && self.runs.iter().take(LEFT / 2).all(is_seen) {
                            self.settle(now, out);
                        }
                    }
                    Did::Returned(cell) => {
                        self.runs.iter_mut().take(LEFT).for_each(|run| run.echo.returns_from(cell));
                    }
                    Did::NextLine(cell) => {
                        self.next_line(now, cell);
                        self.settle(now, out);
                    }
                    Did::Tabbed(from, to) => {
                        self.runs.iter_mut().take(LEFT).for_each(|run| run.echo.tabbed(from, to));
                    }
                    Did::MovedRight(..) | Did::MovedLeft(..) => {}
                }
            }
        }
        self.cursor.pass(rest);
        self.settle(now, out);
    }

    /// A character was drawn: it is looked for in the runs of typed keys, from the front on. The first run is looked at in
    /// any case; the next one if every run before it was left without an echo, or was shown whole, or was ended by a pause
    /// and does not have the character. (`i` in vi, a pause, then `word`: `i` is a command and is not drawn. The `w` that is
    /// drawn is looked for in the run `i`, and then in the run `word`.) A Tab by itself has no echo, and is passed over. A
    /// run that was seen whole up to a Tab is looked at only if no run behind that Tab has the character: what is drawn
    /// for one of those says nothing against it. Gives how many runs were looked at.
    pub(super) fn see(&mut self, now: Duration, drawn: &Drawn) -> usize {
        let (mut looked, mut paused, mut passed) = (0_usize, 0_usize, false);
        let (mut ends, mut above, mut tabs) = (None, None, false);
        let (mut fields, mut goes_on) = (Vec::new(), false);
        for run in self.runs.iter_mut().take(LEFT) {
            if !passed && run.is_tab() {
                (tabs, paused) = (true, paused.saturating_add(1));
                continue;
            }
            // The one before was seen to its end: this one goes on there.
            if let Some(cell) = ends.take() {
                run.begins_at(cell, tabs);
                break;
            }
            tabs = false;
            if let Some(cell) = above.take() {
                run.echo.follows(cell);
            }
            looked = looked.saturating_add(1);
            if !passed && run.is_field() {
                fields.push(run);
                paused = paused.saturating_add(1);
                continue;
            }
            if run.line {
                run.echo.leaves(drawn);
            }
            let seen = run.echo.see(drawn);
            if run.gone && !seen {
                continue;
            }
            goes_on |= seen && run.echo.is_behind_tabs();
            if seen && run.closed.is_some() && !run.line {
                ends = run.echo.ends_at();
                if run.is_part() {
                    run.echo.rest();
                }
            }
            if seen {
                run.echoed = now;
            }
            above = run.echo.ends_at().filter(|_| run.is_whole());
            if seen && run.echo.is_over() {
                break;
            }
            if !run.echo.is_over() && (seen || !run.is_whole() && !run.is_part()) {
                let passes = run.closed.is_some() && !run.line && !seen && paused < BEHIND;
                if !passes && ends.is_none() {
                    break;
                }
                passed |= passes;
                paused = paused.saturating_add(1);
            }
        }
        // What was typed behind a Tab is drawn where that went: no doubt of what stands before it.
        if !goes_on {
            for run in fields {
                run.echo.see(drawn);
            }
        }
        looked
    }

    /// The cursor went to the next line. A line that was shown is over with that. One that was not may still come,
    /// whole, when a shell shows what was typed before it was ready; whatever else comes now is no echo of it.
    /// Gives how many runs were looked at.
    pub(super) fn next_line(&mut self, now: Duration, cell: Cell) -> usize {
        // It is the end of a line that is stored already, or of the first one that was shown; what still waits for its echo
        // before that has none there.
        let mut over = self.owed.0 > 0;
        self.owed.0 = self.owed.0.saturating_sub(1);
        let shown = |run: &Run| run.line && run.is_seen() && !run.echo.is_over();
        let ends = self.runs.iter().take(LEFT).position(shown).filter(|_| !over);
        let (mut looked, mut tabs) = (0_usize, false);
        for (n, run) in self.runs.iter_mut().take(LEFT).enumerate() {
            looked = looked.saturating_add(1);
            // What was typed after a line that is over now begins here.
            if over && run.is_tab() {
                tabs = true;
                continue;
            }
            if over {
                run.begins_at(cell, tabs);
                break;
            }
            let (was_over, was_left) = (run.echo.is_over(), run.echo.was_left());
            if !was_over && ends.is_some_and(|ends| n < ends) {
                continue;
            }
            if run.line {
                run.echo.leave();
            }
            // A line that is over, or still not shown, is passed by; any other one took the new line.
            if was_over && was_left == run.echo.was_left() {
                continue;
            }
            over = run.line;
            if !over {
                break;
            }
            if !run.echo.was_left() {
                run.echoed = now;
            }
        }
        looked
    }
}
