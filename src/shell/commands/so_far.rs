//! Commands that run, for whoever must not wait for their end: one that runs for hours would keep for hours what the kernel told of it.

use super::Tracker;
use crate::cast::Command;

impl Tracker {
    /// The commands that have programs and have not settled, as they stand, by start. They are told again when they settle.
    pub fn so_far(&mut self) -> Vec<Command> {
        self.unsealed = None;
        let ran = self.entries.iter().filter(|entry| !entry.command.execs.is_empty());
        ran.map(|entry| entry.command.clone()).collect()
    }

    /// When the latest program of a command began of which nothing was told since, neither by [`Tracker::so_far`] nor at its end:
    /// milliseconds since the start of the session.
    pub fn unsealed(&self) -> Option<u64> {
        self.unsealed
    }
}
