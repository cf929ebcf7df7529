//! Enters of which the cursor leaves no line: those that a full-screen program has, or one that draws none (`read -s`).
//!
//! They would wait for the next lines that are left, which are those of what is typed after it: its entry would have their time, and they would
//! be lines that were typed on. Refuses to forget one whose line may still be on its way: from a distant host a prompt, and what was
//! typed behind it, come late.

use super::Tracker;

/// What is known of the last Enters, those that no output came between.
#[derive(Clone, Copy, Default)]
pub(super) struct Unanswered {
    /// Enters that waited for their lines when the first of them came.
    before: u32,
    /// When that was, milliseconds.
    at: u64,
    /// A full-screen program had the terminal, or it was only one, and no prompt stood there.
    nowhere: bool,
}

impl Unanswered {
    /// The first Enter since output came, while so many wait for their lines.
    pub(super) fn comes(&mut self, time: u64, waiting: u32) {
        (self.before, self.at) = (waiting, time);
    }
}

impl Tracker {
    /// The output after an Enter begins: where a prompt stood there, and none at the Enter before, no line of that one is to come.
    pub(super) fn look_for_unanswered(&mut self) {
        let stood = self.typing.stood.as_ref();
        let is_full = stood.is_none();
        let at_prompt = stood.is_some_and(|stood| self.behind_prompt(&stood.before).is_some());
        let Unanswered { before, at, nowhere } = self.typing.unanswered;
        let came = self.typing.enters.saturating_sub(before);
        if nowhere && before > 0 && came > 0 {
            self.typing.at = at;
            if at_prompt {
                self.typing.enters = came;
            }
        }
        self.typing.unanswered.nowhere = is_full || !at_prompt && came == 1;
    }
}
