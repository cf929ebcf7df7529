//! Commands that run, for whoever must not wait for their end: one that runs for hours would keep for hours what the kernel told of it.

use super::{Entry, Tracker};
use crate::cast::{Command, Source, Trust};

impl Entry {
    /// Its programs so far, as an entry of their own.
    pub(super) fn send_ahead(&mut self) -> Command {
        self.bytes = 0;
        let mut part = self.command.clone();
        self.command.execs.clear();
        part.source = Source::Exec;
        part.trust = Trust::Witnessed;
        part.flags = vec!["part: more programs of a command whose entry follows".into()];
        part
    }
}

impl Tracker {
    /// The commands that have programs and have not settled, as they stand, by start. They are told again when they settle.
    pub fn so_far(&mut self) -> Vec<Command> {
        self.unsealed = None;
        let ran = self.entries.iter().filter(|entry| !entry.command.execs.is_empty());
        ran.map(|entry| entry.command.clone()).collect()
    }

    /// The programs of all of these, each as an entry of its own, by start: they are not told again.
    pub fn send_ahead(&mut self) -> Vec<Command> {
        self.unsealed = None;
        let ran = self.entries.iter_mut().filter(|entry| !entry.command.execs.is_empty());
        ran.map(Entry::send_ahead).collect()
    }

    /// When the latest program of a command began of which nothing was told since, neither by these two nor at its end:
    /// milliseconds since the start of the session.
    pub fn unsealed(&self) -> Option<u64> {
        self.unsealed
    }
}
