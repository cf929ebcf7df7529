//! Several lines that were pasted into bash in one piece.
//!
//! Readline draws them twice: marked, and at Enter, or at the first key, as they are, from the first on. What was drawn first has used
//! up their Enters. So they are read where they stand when the command starts. Refuses to take for one of them what stood above: where
//! the first of them cannot be found, the entry says that it may be a part.

use super::{Place, Tracker};
use crate::shell::commands::lines::MAX_LINES;
use crate::shell::screen::{Line, Screen};

/// What is known of them.
#[derive(Default)]
pub(super) struct Pasted {
    /// The first line of the command with its prompt, as it stood there.
    first: Option<String>,
    /// The prompt before it, without blanks at the end.
    prompt: String,
    /// Lines that the cursor had left when the first was drawn once more; 0: it was not.
    drawn: usize,
    /// One of them had a prompt of its own.
    has_goes_on: bool,
}

impl Pasted {
    /// The first of them is left.
    pub(super) fn begins(&mut self, first: &str, prompt: &str) {
        if self.drawn == 0 {
            (self.first, self.prompt) = (Some(first.to_owned()), prompt.trim_end().to_owned());
        }
    }

    /// Any of them is left, which `has_prompt` of those that go on.
    pub(super) fn goes_on(&mut self, has_prompt: bool) {
        self.has_goes_on |= has_prompt;
    }

    /// What was typed in the first of them.
    fn typed<'a>(&self, line: &'a str) -> Option<&'a str> {
        let typed = line.strip_prefix(&self.prompt)?;
        Some(if self.prompt.is_empty() { typed } else { typed.strip_prefix(' ').unwrap_or(typed) })
    }
}

impl Tracker {
    /// The cursor leaves this line, which may be the first once more.
    pub(super) fn first_again(&mut self, line: &Line) {
        let is_typed_at = self.place == Place::Prompt && self.prompts.last.is_some();
        if is_typed_at
            && !self.typing.lines.is_empty()
            && self.typing.pasted.first.as_ref() == Some(&line.text)
        {
            let drawn = std::mem::take(&mut self.typing.lines).len();
            self.typing.pasted.drawn = self.typing.pasted.drawn.max(drawn);
        }
    }

    /// The prompt is drawn again. As behind a list of completions: what was entered since was none of its lines. Or below a line that
    /// was expanded first. Where it is drawn over itself, or the screen was cleared, they were.
    pub(super) fn drawn_again(&mut self, screen: &mut impl Screen) {
        let drawn = std::mem::take(&mut self.typing.lines).len();
        let Some(first) = self.typing.pasted.first.as_ref().filter(|_| drawn > 0) else { return };
        if screen.line().is_some_and(|line| line.text == *first) || !screen.above(drawn).contains(first) {
            self.typing.pasted.drawn = self.typing.pasted.drawn.max(drawn);
        }
    }

    /// Whatever was entered is no line of the next command.
    pub(super) fn forget_lines(&mut self) {
        self.typing.pasted = Pasted::default();
        self.typing.lines.clear();
    }

    /// The lines of the command that starts; and whether they may be a part of them.
    pub(super) fn take_lines(&mut self, screen: &mut impl Screen) -> (Vec<String>, bool) {
        let lines = std::mem::take(&mut self.typing.lines);
        let pasted = std::mem::take(&mut self.typing.pasted);
        let (drawn, one_more) = (pasted.drawn, pasted.drawn.saturating_add(1));
        let Some(first) = &pasted.first else { return (lines, false) };
        // From the last of them up.
        let above = screen.above(one_more.saturating_add(lines.len()).min(MAX_LINES));
        if drawn == 0 {
            // More than the screen has rows are drawn anyhow.
            let is_lost = lines.len() > 1 && !pasted.has_goes_on && !above.contains(first);
            return (lines, is_lost);
        }
        let line = |count: usize| count.checked_sub(1).and_then(|last| above.get(last));
        // Behind the last of them there may be an empty one, which the cursor does not leave; and some may have been added.
        let counts = [one_more, drawn].into_iter().chain(one_more.saturating_add(1)..=above.len());
        let edited = || {
            line(one_more).is_some_and(|line| !pasted.prompt.is_empty() && line.starts_with(&pasted.prompt))
        };
        let count = counts
            .into_iter()
            .find(|count| line(*count) == Some(first))
            .or_else(|| edited().then_some(one_more));
        let Some(count) = count else { return (lines, true) };
        let read = above.iter().take(count).rev().enumerate().map(|(at, line)| match at {
            0 => pasted.typed(line).unwrap_or(line),
            // What goes on behind them has a prompt of its own.
            _ if at >= one_more => line.strip_prefix("> ").unwrap_or(line),
            _ => line,
        });
        let mut read: Vec<String> = read.map(str::to_owned).collect();
        while read.len() > 1 && read.last().is_some_and(String::is_empty) {
            read.pop();
        }
        (read, false)
    }
}
