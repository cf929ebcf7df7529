//! Going from hit to hit of what is searched.
//!
//! Refuses to search and to wait for it: it goes to what the finder has, and says where that is not known yet.

use super::app::App;
use super::find::{Arrival, Finder, Pattern};
use crate::replay::Source;

/// What is said of hits before a search.
pub(super) const NOT_SEARCHED: &str = "nothing has been searched: / searches";
/// What is said behind the pattern where the search came round.
const ROUND: &str = ": from the other end";

impl<S: Source> App<S> {
    /// Shows the hit that was searched, once it is known.
    pub(super) fn show_wanted(&mut self) {
        let Some(finder) = self.finder.as_ref().filter(|_| self.wanted) else { return };
        let (now, forward) = (self.replay.time(), finder.forward);
        let found = finder.from(now, forward);
        if !finder.is_done() && (found.is_none() || !forward) {
            return;
        }
        self.wanted = false;
        match found {
            Some(index) => self.go_to_hit(index),
            None => self.wrapped(forward),
        }
    }

    fn wrapped(&mut self, forward: bool) {
        let Some(finder) = &self.finder else { return };
        let text = crate::text::escaped(finder.pattern.text()).to_string();
        let Some(last) = finder.hits.len().checked_sub(1) else {
            let doubt =
                finder.doubt(self.replay.outline()).map_or_else(String::new, |doubt| format!("{doubt}; "));
            let source = self.replay.source_ref();
            // It stays there to be read while more comes.
            let so_far = if !source.is_ended() && source.is_written() { " so far" } else { "" };
            let denied = format!("{doubt}“{text}” was not found{so_far} in: {}", finder.scope.name());
            self.note = Some((denied, true));
            return;
        };
        self.note = Some((format!("“{text}”{ROUND}"), false));
        self.go_to_hit(if forward { 0 } else { last });
    }

    /// Searches, and shows the first hit once it is known.
    pub(super) fn seek_hits(&mut self, pattern: Pattern, forward: bool) {
        self.finder = Some(Finder::new(pattern, self.scope, forward));
        self.wanted = true;
        self.playing = false;
        self.remember();
    }

    pub(super) fn next_hit(&mut self, same: bool) {
        let Some(finder) = &self.finder else {
            match self.offered.clone() {
                Some(pattern) => self.seek_hits(pattern, same),
                None => self.note = Some((NOT_SEARCHED.to_string(), false)),
            }
            return;
        };
        let forward = finder.forward == same;
        self.playing = false;
        match finder.from(self.replay.time(), forward) {
            Some(index) => {
                self.remember();
                self.go_to_hit(index);
            }
            None if finder.is_done() => {
                self.remember();
                self.wrapped(forward);
            }
            None => self.note = Some(("still searching".to_string(), false)),
        }
    }

    fn go_to_hit(&mut self, index: usize) {
        self.follow = false;
        if let Some(finder) = &mut self.finder {
            finder.show(&mut self.replay, index);
            finder.look(&mut self.replay, &mut self.budget);
        }
        self.arrived();
    }

    pub(super) fn arrived(&mut self) {
        self.replay.take_said();
        match self.finder.as_mut().and_then(Finder::take_arrival) {
            None => {}
            Some(Arrival::Stands(row, from, to)) => self.pan_to(row, from, to),
            Some(Arrival::PassedBy) => {
                let mut told = "it went by within one frame: t shows it in the transcript".to_string();
                // That the search came round is not lost over it.
                if let Some((round, _)) = self.note.take().filter(|(said, _)| said.ends_with(ROUND)) {
                    told = format!("{told}; {round}");
                }
                self.note = Some((told, false));
            }
        }
    }

    pub(super) fn show_hit(&mut self, index: usize) {
        self.remember();
        self.playing = false;
        self.go_to_hit(index);
    }
}
