//! How far an entry is known to have been a command, and what becomes of lines of which the shell told no start.
//!
//! A shell that tells when a command starts tells nothing of a comment, of a line that it cannot parse, and of one that was given up.
//! Nor does it of any line once its hook is gone: then what ran must not be taken for what did not. Refuses to throw away a line
//! that certainly was typed at a prompt, unless it was given up and no program ran for it: it is an entry with a flag. Of any other
//! the programs are kept, as those of no command.

use super::{Entry, MARKS_ENDED, Place, Span, Tracker, push_flag};
use crate::shell::commands::lines::INTERRUPTED;

/// The flag of such a line.
pub(super) const UNSTARTED: &str =
    "unstarted: the shell told no start of it: nothing ran, or it no longer tells what does";

/// How far it is known that an entry was a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::shell) enum Standing {
    /// It was one.
    Ran,
    /// Not yet confirmed by a mark: Enter was pressed at a prompt, and no more is known.
    Guess,
    /// A guess of which not even that is known: it was typed while another command ran.
    Ahead,
    /// The next prompt is there, and no mark has confirmed it. Whether a program ran for it is known a moment later.
    Unstarted,
}

impl Entry {
    pub(super) fn is_guess(&self) -> bool {
        matches!(self.standing, Standing::Guess | Standing::Ahead)
    }
}

impl Tracker {
    /// The line that was entered last at a prompt, and has not been confirmed.
    pub(super) fn guess(&self) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.standing == Standing::Guess)
    }

    /// Nothing more will confirm what is still a guess. Gives one of them.
    pub(super) fn unstart(&mut self, time: u64, at: Span, status: Option<i32>) -> Option<u64> {
        let (sends_start, era) = (self.sends_start, self.starts);
        let mut last = None;
        for entry in self.entries.iter_mut().filter(|e| e.is_guess()) {
            if sends_start && entry.standing == Standing::Guess {
                push_flag(&mut entry.command, UNSTARTED);
            } else {
                // Another line, or none, was read: only a program can tell otherwise.
                (entry.solid, entry.given_up) = (true, true);
            }
            (entry.standing, entry.era, entry.closed) = (Standing::Unstarted, era, Some(at.last));
            (entry.command.end, entry.command.exit) = (Some(time), status);
            last = Some(entry.id);
        }
        last
    }

    /// Whether such a line is an entry. Where it certainly ran, or two did, and no start was told since: then the shell has stopped to
    /// tell of starts, and from now on is taken for one that never does.
    pub(super) fn judge_unstarted(&mut self, entry: &mut Entry) -> bool {
        // Where the prompt ends is not known: what ran may be the prompt's own, and what stood there nothing but the prompt.
        // Of what nobody could read it is not known either whether it was a line at all.
        let is_unread = entry.command.is_unread();
        if !is_unread && (!entry.solid || (entry.given_up && !entry.ran)) {
            return false;
        }
        let exit = entry.command.exit;
        // What the shell cannot parse fails; where history has no such event, the status is that of the line before.
        let succeeded = exit == Some(0) && !is_unread && !entry.command.text.contains('!');
        let runs = (entry.ran || succeeded) && exit != Some(INTERRUPTED);
        if self.sends_start && runs && entry.era == self.starts {
            self.unstarted = self.unstarted.saturating_add(1);
            if self.starts == 0 || self.unstarted > 1 {
                push_flag(&mut entry.command, MARKS_ENDED);
                self.sends_start = false;
            }
        }
        true
    }

    /// The session is over, and a prompt was shown before the last command had ended, in a shell that tells of no starts. Where the
    /// kernel saw no program that could have shown it, the shell did.
    pub(super) fn judge_shown_again(&mut self) {
        let Some(since) = self.shown_again else { return };
        let Place::Running(id) = self.place else { return };
        if self.processes.shell().is_some() && self.entry(id).is_some_and(|entry| !entry.ran) {
            self.marks_ended(since, MARKS_ENDED);
        }
    }
}
