//! The end of a prompt, as the shell tells it. bash tells with it how many commands it has run, so that what ran without another word
//! is known.
//!
//! Refuses to take for a prompt of the session's shell what a shell inside shows, which was given ours, or a command
//! (`echo "${PS1@P}"`).

use super::lines::MAX_LINES;
use super::unread::unread;
use super::unstarted::Standing;
use super::{MARKS_ENDED, Place, Span, Tracker, push_flag};
use crate::shell::marks::AtPrompt;
use crate::shell::screen::{Line, Screen};

/// The last one, and what was told since.
#[derive(Default)]
pub(super) struct Prompts {
    /// The shell, as it told itself.
    pub(super) pid: Option<u32>,
    pub(super) last: Option<AtPrompt>,
    /// Status of the last command, as it was told where this one began.
    pub(super) status: Option<i32>,
    /// An end was told since then.
    pub(super) end_since_typing: bool,
    /// It is being drawn: no line in it was typed, if its end is told.
    pub(super) drawing: bool,
    /// The end of this one, or of the one before, was told.
    ended: bool,
    /// Rows of it that the cursor has left, and when (milliseconds), as many as lines had been entered before it.
    rows: Vec<(u64, Option<Line>)>,
    /// Starts that had been told then.
    starts: u64,
}

impl Prompts {
    /// It begins, with what hooks write before it. That its end is told, too, is expected where that of the one before was.
    pub(super) fn begins(&mut self) {
        self.drawing = std::mem::take(&mut self.ended);
    }

    /// It was drawn to its end, or another line was entered meanwhile.
    pub(super) fn drawn(&mut self) {
        self.drawing = false;
        self.rows.clear();
    }
}

impl Tracker {
    /// Whether what is written next is a row of a prompt, if the end of that is told.
    pub(super) fn takes_rows(&self) -> bool {
        let rows = self.prompts.rows.len();
        let is_less = u32::try_from(rows).is_ok_and(|rows| rows < self.typing.enters);
        self.prompts.drawing && is_less && rows < MAX_LINES
    }

    pub(super) fn row_left(&mut self, time: u64, line: Option<Line>) {
        self.prompts.rows.push((time, line));
    }

    /// Something else was told than the end of the prompt: what the cursor has left since it began were no rows of it, but the lines
    /// that had been entered.
    pub(super) fn prompt_has_no_end(&mut self) {
        self.prompts.drawing = false;
        for (time, line) in std::mem::take(&mut self.prompts.rows) {
            self.line_left(time, line);
        }
    }

    pub(super) fn typing_begins(&mut self, time: u64, at: Span, told: AtPrompt, screen: &mut impl Screen) {
        self.prompts.drawn();
        self.prompts.ended = true;
        let last = self.prompts.last;
        // Of a prompt of several lines only the last is drawn again.
        let status = told.status.or(self.prompts.status.take()).or(last.and_then(|last| last.status));
        let told = AtPrompt { status, ..told };
        let is_running = matches!(self.place, Place::Running(_));
        let counts = told.commands.zip(last.and_then(|last| last.commands));
        let foreign = told.pid.zip(self.prompts.pid).is_some_and(|(pid, ours)| pid != ours);
        if foreign || counts.is_some_and(|(now, then)| now < then || (is_running && now == then)) {
            return;
        }
        let end_told = std::mem::take(&mut self.prompts.end_since_typing);
        let untold_end = self.place == Place::Prompt && !end_told && counts.is_some();
        let since = self.last_end.first.max(self.typing.at.saturating_mul(1_000)).min(at.last);
        let again = untold_end && last == Some(told);
        if again {
            let none = self.unstart(time, at, None);
            if let Some(entry) = none.and_then(|id| self.entry(id)) {
                entry.solid = false;
            }
            self.drawn_again(screen);
        } else if is_running || untold_end {
            // The hook that tells of ends is gone, and with it the one that tells the directory; the prompt still knows the status.
            self.end(time, at, told.status, Vec::new(), false);
            (self.hookless, self.cwd) = (true, None);
        }
        let ended = self.ended.take();
        // Of all that the shell tells, this status is the one no hook of the user's can have changed.
        if let (Some(status), Some(id)) = (told.status, ended)
            && let Some(entry) = self.entry(id)
        {
            entry.command.exit = Some(status).filter(|_| !entry.read_on);
        }
        let started = self.starts.saturating_sub(self.prompts.starts);
        let ran = counts.map_or(0, |(now, then)| now.saturating_sub(then).saturating_sub(started));
        if ran > 0 && self.place != Place::Unknown {
            self.ran_unstarted(time, at, since, ended, told.status, ran);
        }
        (self.prompts.last, self.prompts.starts) = (Some(told), self.starts);
        self.place = Place::Prompt;
        self.typing.number = told.number;
        // Also of what was typed ahead: it is drawn behind this prompt.
        self.typing.prompt = screen.line().map(|line| line.before);
        if self.typing.at_once && self.typing.enters == 0 && self.sends_start {
            (self.typing.drawn, self.typing.returning) = (Some(Vec::new()), None);
        }
    }

    /// So many commands ran since the last prompt of which no start was told.
    fn ran_unstarted(
        &mut self,
        time: u64,
        at: Span,
        since: u64,
        ended: Option<u64>,
        status: Option<i32>,
        ran: u64,
    ) {
        let sends_start = self.sends_start;
        match ended.and_then(|id| self.entry(id)) {
            Some(entry) if entry.standing == Standing::Unstarted => entry.ran = true,
            Some(_) if !sends_start => {}
            // It may be the one that put the hooks away.
            Some(entry) => push_flag(&mut entry.command, MARKS_ENDED),
            // Nobody could read the line.
            None => {
                let mut command = unread(since / 1_000, ran);
                (command.end, command.exit) = (Some(time), status);
                let id = self.open(command, since, Standing::Unstarted);
                let era = self.starts;
                if let Some(entry) = self.entry(id) {
                    (entry.ran, entry.era, entry.closed) = (true, era, Some(at.last));
                }
            }
        }
    }
}
