//! The start of a command, as the shell tells it, beside what the screen shows of its line.
//!
//! Refuses to believe a text that is that of another line: then the screen's is taken, and the entry says so.

use super::lines::{AHEAD, LONG, PART};
use super::unstarted::Standing;
use super::{Place, Span, Tracker, push_flag};
use crate::cast::{Command, Source, Trust, is_unread};
use crate::shell::differences;
use crate::shell::marks::{Start, UNLISTED};
use crate::shell::screen::Screen;

/// The flag of the first command of which no end was told.
const ENDLESS: &str = "marks-ended: the shell goes on, but no longer tells how commands end";
/// The flag of a command with which the shell has read lines that it tells nothing of.
const READ_ON: &str = "read-on: further lines were read before the prompt came back: the status is not known, and programs may be theirs";

impl Tracker {
    /// Whether a line that was read off the screen while a command ran is the one that the shell tells of now. Of several lines
    /// shells make one in their own ways.
    fn is_line_of(&self, inner: u64, told: &str) -> bool {
        let entry = self.entries.iter().find(|entry| entry.id == inner);
        let first = entry.and_then(|entry| entry.command.text.lines().next()).map(str::trim);
        first.is_some_and(|first| !first.is_empty() && told.trim_start().starts_with(first))
    }

    /// The lines that were entered, of which the first may have had something beside it: the guess that was made of it has not.
    fn without_right(&self, shown: &[String]) -> Vec<String> {
        let mut lines = shown.to_vec();
        let guess = self.entries.iter().find(|entry| entry.is_guess());
        let typed = guess.and_then(|entry| entry.command.text.lines().next());
        if let (Some(first), Some(typed)) = (lines.first_mut(), typed)
            && first.strip_prefix(typed).is_some_and(|right| right.starts_with("    "))
        {
            typed.clone_into(first);
        }
        lines
    }

    /// Of the lines that were read off the screen for this entry, this one and those behind it start only now.
    fn is_not_of(&mut self, id: u64, told: &str) {
        let Some(entry) = self.entry(id).filter(|entry| entry.command.source == Source::Screen) else {
            return;
        };
        // From the second line on: the first has started by now.
        let mut at = entry.command.text.find('\n');
        while let Some(end) = at {
            let rest = entry.command.text.get(end.saturating_add(1)..).unwrap_or_default();
            if rest.strip_prefix(told).is_some_and(|behind| behind.is_empty() || behind.starts_with('\n')) {
                return entry.command.text.truncate(end);
            }
            at = rest.find('\n').map(|next| end.saturating_add(1).saturating_add(next));
        }
    }

    fn tell_endless(&mut self, id: u64) {
        if !std::mem::replace(&mut self.endless, true)
            && let Some(entry) = self.entry(id)
        {
            push_flag(&mut entry.command, ENDLESS);
        }
    }

    /// `time`: when the mark was read, milliseconds, as the event of the recording has it; `at`: when it happened.
    pub(super) fn start(&mut self, time: u64, at: Span, start: Start, screen: &mut impl Screen) {
        let (mut shown, is_part) = self.take_lines(screen);
        if shown.is_empty() {
            // Its Enter was not echoed (`stty -echo`): what the cursor leaves next is the first line of its output.
            self.typing.enters = self.typing.enters.saturating_sub(1);
        }
        let fills = std::mem::take(&mut self.typing.fills);
        let drawn = self.typing.drawn.take().unwrap_or_default();
        let typing = &self.typing;
        let entered = typing.at > 0 && !shown.is_empty() && !at.is_exact();
        let begin = if entered { typing.at.saturating_mul(1_000).min(at.first) } else { at.first };
        let begin = begin.max(self.last_end.first);
        let number = start.before.filter(|_| !self.hookless).or(typing.number);
        // The history did not take this line (a leading blank, a rule of the user's): its last line is another one, but where the
        // same was entered again. Where the screen does not tell, nobody does.
        let unlisted = start.number.zip(number).is_some_and(|(now, before)| now < before);
        // Nothing starts for a comment: what was pasted behind it does.
        let unlisted = unlisted || start.number.is_some() && start.text.as_deref().is_some_and(is_comment);
        let screen_text = if shown.is_empty() { drawn } else { self.without_right(&shown) }.join("\n");
        let flags = start.flags();
        let withheld = start.withheld;
        let told = start.text.filter(|text| {
            let again = !text.trim().is_empty() && text.trim() == screen_text.trim();
            withheld || !unlisted || again
        });
        // Lines are drawn twice where they were pasted, or shown expanded first: the history says whether it took more than one.
        let expected = number.max(typing.number).max(typing.after);
        let more = start.number.zip(expected).map_or(0, |(now, expected)| now.saturating_sub(expected));
        let several = start.by_line && more > 0;
        let last_only = several && told.as_deref().is_some_and(|text| differences::is_last_of(text, &shown));
        let (source, trust) = (Source::Shell, Trust::Told);
        let mut command = Command { start: time, cwd: self.cwd.clone(), source, trust, ..Command::default() };
        match told.filter(|_| !last_only) {
            Some(text) => command.text = text,
            None => {
                command.text.clone_from(&screen_text);
                (command.source, command.trust) = (Source::Screen, Trust::Inferred);
                if unlisted {
                    command.flags.push(UNLISTED.into());
                }
                if is_part {
                    command.flags.push(PART.into());
                }
                if last_only {
                    command.flags.push("last-line: the shell told only the last of several lines".into());
                }
            }
        }
        command.flags.extend(flags);
        if let Place::Running(id) = self.place {
            let typed = self.inner.filter(|inner| self.is_line_of(*inner, &command.text));
            // Of lines that were pasted at once the history did not take this one, so that its last line is still the one before. The
            // screen has this one; an entry of its own would stand under a text that is another one's.
            let last = self.typing.after.map(|after| after.saturating_sub(1));
            let is_told = start.number.is_some_and(|now| last.is_none_or(|last| now <= last));
            let again = self.entry(id).is_some_and(|e| is_told && e.command.text == command.text);
            // Or nobody tells which of those it is that stand there already.
            let among =
                self.entry(id).is_some_and(|e| e.command.source == Source::Screen && e.shown.len() > 1);
            let among = among && shown.is_empty() && command.text.is_empty();
            if shown.is_empty() && command.source == Source::Shell {
                self.is_not_of(id, &command.text);
            }
            if typed.is_none() && (again || among) {
                if let Some(entry) = self.entry(id) {
                    entry.read_on = true;
                    push_flag(&mut entry.command, READ_ON);
                }
                return;
            }
            self.end(time, at, None, Vec::new(), false);
            // It was typed at a prompt of the shell, which had not told that the command before had ended.
            if let Some(entry) = typed.and_then(|typed| self.entry(typed)) {
                (entry.standing, entry.closed) = (Standing::Guess, None);
                self.tell_endless(id);
            }
        }
        self.close_inner(at.last);
        // The guess made at Enter is confirmed: it keeps its identity, since programs may hang on it already.
        let id = match self.entries.iter_mut().find(|e| e.is_guess()) {
            Some(entry) => {
                entry.standing = Standing::Ran;
                let guess = std::mem::replace(&mut entry.command, command);
                // What was heard of it since Enter is of this command.
                entry.command.execs = guess.execs;
                let told = entry.command.source == Source::Shell;
                let of_line = |flag: &str| {
                    flag.starts_with("shown: ") || flag == PART || flag == LONG || is_unread(flag)
                };
                let holds = |flag: &&String| *flag != AHEAD && !(told && of_line(flag));
                guess.flags.iter().filter(holds).for_each(|flag| push_flag(&mut entry.command, flag));
                // Without the shell's clock, it has begun when Enter was pressed: that is known from the guess.
                if at.is_exact() {
                    entry.begin = begin;
                }
                entry.id
            }
            None => self.open(command, begin, Standing::Ran),
        };
        if let Some(entry) = self.entry(id) {
            if fills && differences::is_end_of(&entry.command.text, &shown) {
                // What stood before it has left the screen: there is nothing to compare it with.
                shown.clear();
            }
            entry.shown = shown;
        }
        self.typing.after = start.number.map(|number| number.saturating_add(1));
        self.place = Place::Running(id);
        self.ended = None;
    }
}

/// Whether there is nothing else in it.
fn is_comment(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| line.starts_with('#'))
}
