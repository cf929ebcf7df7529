//! Who reads what is typed: where one line ends and the next one begins, and one program behind another.
//!
//! What was withheld of a line casts doubt on the rest of it, and on nothing behind it. An Enter ends a line, but a program may end without
//! one, and the next key is for another: it is told by a prompt, of which the shell tells or which looks like one, or by the
//! alternate screen, which was left.
//!
//! Refuses to decide what is stored.

use super::drawn::Cell;
use super::run::Run;
use super::{LEFT, Withhold};

impl Withhold {
    /// A key is pressed while the cursor rests in this cell. At a prompt that was not there at the last key, whoever read that has gone
    /// on.
    pub(super) fn look_who_reads(&mut self, stands: Cell) {
        if stands == self.stood || !self.cursor.is_prompted() {
            return;
        }
        // What is drawn next may be an echo of what is typed now: that waits for nothing of which nothing was shown so far.
        for run in self.runs.iter_mut().take(LEFT).filter(|run| run.closed.is_some()) {
            run.gone |= run.echo.is_untouched();
        }
        if stands.is_in_row_of(self.stood) {
            return;
        }
        self.end_line();
    }

    /// Whoever read what was typed so far has ended: the program that had the screen, or the one before a prompt.
    pub(super) fn reader_left(&mut self) {
        if let Some(run) = self.runs.back_mut().filter(|run| run.closed.is_none()) {
            run.ends = true;
            // One key that showed nothing is the one that ended it, such as the `q` of a pager: what is typed next is no part of that, and
            // what is drawn next no echo. (More of them may have been typed ahead, and are shown with the rest.)
            // So is one behind the key with Ctrl that leads it, such as the `^B d` of a multiplexer.
            let is_one = matches!(run.bytes.as_slice(), [_] | [b'\0'..=b'\x1a', _]);
            // And so are several, where something was drawn between them, and nothing of them.
            if (is_one || run.answered) && run.echo.is_untouched() && !self.keys.is_within() {
                (run.closed, run.doubtful, run.left) = (Some(run.last.max(self.drawn)), true, true);
            }
        }
        self.end_line();
    }

    /// What is typed from now on is another line.
    fn end_line(&mut self) {
        (self.hides, self.told) = (false, false);
        // What was told of before its end, and more of which was withheld since, is told as what it was.
        if self.unreported.is_none() && self.unreported_as.is_some() {
            self.unreported = Some(self.drawn);
        }
        self.runs.iter_mut().filter(|run| run.closed.is_some()).for_each(|run| run.ends = true);
    }

    /// A prompt comes up: what is typed from now on is another line.
    pub fn begin_line(&mut self) {
        self.line = (false, false);
        self.reader_left();
        self.runs.iter_mut().for_each(|run| run.earlier = run.closed.is_some());
    }

    /// Whether characters were typed since [`Withhold::begin_line`] that were withheld, or of which, up to the end of a line, not all were
    /// shown so far. What was typed before is not looked at, nor what waits behind that line.
    pub fn line_is_unseen(&self) -> bool {
        let runs = || self.runs.iter().filter(|run| !run.earlier);
        let ends = runs().position(|run| run.line).map_or(usize::MAX, |at| at.saturating_add(1));
        self.line.1 || runs().take(ends).any(Run::is_unseen)
    }

    /// Whether characters were typed since [`Withhold::begin_line`], and all of them were shown.
    pub fn line_was_seen(&self) -> bool {
        let (mut shown, mut withheld) = self.line;
        for run in self.runs.iter().filter(|run| !run.earlier) {
            withheld |= run.is_unseen();
            shown |= run.is_seen();
        }
        shown && !withheld
    }
}
