//! Lines that were pasted at once into a shell inside, which tells nothing.
//!
//! A line editor shows them one by one, each behind its prompt, and between them what they print: that uses up Enters, so that lines come
//! for which none is left. Refuses to take for one of them what a terminal echoes itself, all at once and before any of them is read: once
//! two stand behind a prompt, the rows between them are no lines. Whatever is not told apart is counted.

use super::lines::{AHEAD, LEAST_PROMPT, is_like, prompt_of};
use super::{Place, Tracker, push_flag};
use crate::shell::screen::Line;

/// What is known of them.
#[derive(Default)]
pub(super) struct AtOnce {
    /// An Enter came while another one waited for its line.
    several: bool,
    /// Enters that rows without a prompt have used up.
    used: u32,
    /// The entry that was running when the first of these was.
    of: Option<u64>,
    /// Rows that stood behind a prompt.
    rows: u32,
}

impl AtOnce {
    /// An Enter comes, and this many wait for their lines.
    pub(super) fn entered(&mut self, waiting: u32) {
        if waiting > 0 {
            self.several = true;
        } else if self.used == 0 {
            *self = Self::default();
        }
    }

    /// Whether there are several.
    pub(super) fn is_several(&self) -> bool {
        self.several
    }

    /// Whether lines may come though no Enter waits for one.
    pub(super) fn awaits(&self) -> bool {
        self.rows > 1 && self.used > 0
    }
}

impl Tracker {
    /// The output after an Enter begins: where a prompt stood there, those before it are over, whether the line was typed there or came
    /// with its Enter.
    pub(super) fn look_at_once(&mut self) {
        let stood =
            self.typing.stood.as_ref().is_some_and(|stood| self.behind_prompt(&stood.before).is_some());
        if self.typing.enters == 1 && stood {
            self.tell_at_once();
        }
    }

    /// The cursor has left a row of which an Enter was expected, with a prompt or without.
    pub(super) fn row_at_once(&mut self, prompted: bool) {
        let at_once = &mut self.typing.pasted_inside;
        if self.place == Place::Prompt || !at_once.several {
            return;
        }
        let count = if prompted { &mut at_once.rows } else { &mut at_once.used };
        *count = count.saturating_add(1);
        if !prompted && at_once.used == 1 {
            at_once.of = self.inner;
        }
        if self.typing.enters == 0 && !at_once.awaits() {
            self.tell_at_once();
        }
    }

    /// The cursor is about to leave a line for which no Enter is left.
    pub(super) fn row_behind(&mut self, time: u64, line: Option<Line>) {
        let Some(line) = line else { return };
        // With as little as `# ` much of what is printed begins.
        let is_long = self.typing.last.trim().chars().count() >= LEAST_PROMPT;
        if !is_long || self.behind_prompt(&line.text).is_none() {
            self.typing.at = time;
            return;
        }
        self.typing.pasted_inside.used = self.typing.pasted_inside.used.saturating_sub(1);
        self.typing.enters = 1;
        let before = self.inner;
        self.line_left(time, Some(line));
        if let Some(entry) = self.inner.filter(|id| before != Some(*id)).and_then(|id| self.entry(id)) {
            push_flag(&mut entry.command, AHEAD);
        }
    }

    /// What stands behind the last prompt, or one like it, with which a line begins.
    pub(super) fn behind_prompt<'a>(&self, line: &'a str) -> Option<&'a str> {
        let last = self.typing.last.trim_end();
        let like = Some(prompt_of(line)).filter(|prompt| is_like(prompt, last));
        line.strip_prefix(Some(last).filter(|last| !last.is_empty() && line.starts_with(last)).or(like)?)
    }

    /// No more of them is to come: what was not told apart is counted.
    pub(super) fn tell_at_once(&mut self) {
        let AtOnce { used, of, rows, .. } = std::mem::take(&mut self.typing.pasted_inside);
        // It may have left.
        let of = of.filter(|id| self.entry(*id).is_some()).or(self.inner).filter(|_| used > 0 && rows > 0);
        if let Some(entry) = of.and_then(|id| self.entry(id)) {
            let more = if used == 1 { "one more line was" } else { &format!("{used} more lines were") };
            let flag = format!(
                "typed-on: {more} typed before the prompt came back: part of it, for a program, or read after it"
            );
            push_flag(&mut entry.command, &flag);
        }
    }
}
