//! Commands that run, for whoever must not wait for their end: one that runs for hours would keep for hours what the kernel told of it.

use super::unstarted::Standing;
use super::{Entry, Tracker, push_flag};
use crate::cast::{Command, Source, Trust};

impl Entry {
    /// Its programs so far, as an entry of their own; where it has none, that it runs.
    pub(super) fn send_ahead(&mut self) -> Command {
        (self.bytes, self.sent_ahead) = (0, true);
        let mut part = self.command.clone();
        self.command.execs.clear();
        if part.execs.is_empty() {
            // The kernel has seen nothing of it: it is told by whoever told of it.
            push_flag(&mut part, "part: a command that runs, and whose entry follows");
            return part;
        }
        part.source = Source::Exec;
        part.trust = Trust::Witnessed;
        part.flags = vec!["part: more programs of a command whose entry follows".into()];
        part
    }
}

impl Tracker {
    /// Whether it has begun, as far as is known. Of a line that was entered a shell that tells of starts will tell in a moment.
    fn has_begun(&self, entry: &Entry) -> bool {
        let entered = entry.standing == Standing::Guess && !self.sends_start;
        entry.standing == Standing::Ran || entered || !entry.command.execs.is_empty()
    }

    /// The commands that have begun and not settled, as they stand, by start. They are told again when they settle.
    pub fn so_far(&mut self) -> Vec<Command> {
        self.unsealed = None;
        let begun = self.entries.iter().filter(|entry| self.has_begun(entry));
        begun.map(|entry| entry.command.clone()).collect()
    }

    /// The programs of all of these, each as an entry of its own, by start: they are not told again. So is one without programs, once.
    pub fn send_ahead(&mut self) -> Vec<Command> {
        self.unsealed = None;
        let news =
            |entry: &Entry| !entry.command.execs.is_empty() || !entry.sent_ahead && self.has_begun(entry);
        let news: Vec<bool> = self.entries.iter().map(news).collect();
        let news = self.entries.iter_mut().zip(news).filter(|(_, is_news)| *is_news);
        news.map(|(entry, _)| entry.send_ahead()).collect()
    }

    /// Start (ms) of the latest program given to a command since [`Tracker::so_far`] or [`Tracker::send_ahead`] last ran.
    pub fn unsealed(&self) -> Option<u64> {
        self.unsealed
    }
}
