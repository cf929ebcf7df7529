//! Lines that were typed while the screen was not known: output was left out, and until a full reset nobody can say what stands there.
//!
//! Whether such a line was a command, and which, nobody knows but the shell, where it tells. Refuses to be silent about the others: at a
//! prompt of the session's shell each is an entry without a text, with its status and programs; elsewhere, where most may be
//! answers to a program or keys in an editor, they are counted.

use super::{Place, Standing, Tracker};
use crate::cast::{Command, Source, Trust};

/// Those that were not told yet.
#[derive(Default)]
pub(super) struct Unread {
    lines: u64,
    /// When the first of them was ended, milliseconds.
    since: u64,
}

/// An entry for so many.
pub(super) fn unread(start: u64, lines: u64) -> Command {
    let (source, trust, flags) = (Source::Screen, Trust::Inferred, vec![Command::unread(lines)]);
    Command { start, source, trust, flags, ..Command::default() }
}

impl Tracker {
    /// Lines were ended by the operator, and the screen is not known: [`Tracker::entered`] for whoever can read none.
    pub fn entered_unread(&mut self, time: u64, lines: u64) {
        if lines == 0 {
            return;
        }
        self.entered = true;
        let micros = time.saturating_mul(1_000).max(self.last_end.first);
        let is_prompt = self.place == Place::Prompt;
        if is_prompt && !self.entries.iter().any(|entry| entry.is_guess()) {
            let command = Command { cwd: self.cwd.clone(), ..unread(time, lines) };
            self.open(command, micros, Standing::Guess);
            return;
        }
        if !is_prompt {
            // What is run from now on is not of the line that was read last.
            self.close_inner(micros);
        }
        if self.unread.lines == 0 {
            self.unread.since = time;
        }
        self.unread.lines = self.unread.lines.saturating_add(lines);
    }

    /// The screen is not known from here on: nor will be what the cursor has not left yet.
    pub fn screen_lost(&mut self) {
        let (lines, at) = (self.typing.enters, self.typing.at);
        self.typing.forget();
        self.entered_unread(at, lines.into());
    }

    /// Tells how many there were, where no entry of its own says so. Once for a segment: a full-screen program has many.
    pub fn tell_unread(&mut self) {
        let Unread { lines, since } = std::mem::take(&mut self.unread);
        if lines > 0 {
            self.settled.commands.push(unread(since, lines));
        }
    }
}
