//! What anybody may have printed: marks of others, without the session's nonce.
//!
//! They are heard only where the shell itself tells nothing, and make entries of their own beside those of the witnesses. Refuses
//! to begin, end or change an entry that is not theirs: any output can hold them.

use super::unstarted::Standing;
use super::{Span, Tracker};
use crate::cast::{Command, Source, Trust};
use crate::shell::marks::Hint;

/// What they have told.
#[derive(Default)]
pub(super) struct Hinted {
    /// The entry that runs, as they say.
    id: Option<u64>,
    text: Option<String>,
    cwd: Option<String>,
}

impl Tracker {
    /// What anybody may have printed. Read only where the shell itself tells nothing.
    pub fn hint(&mut self, time: u64, hint: Hint) {
        match hint {
            Hint::Forged => self.flag_current("forged-mark: the output held a mark with a wrong nonce"),
            Hint::Broken => {
                self.flag_current("broken-mark: the output held a mark that is broken or too long")
            }
            _ if self.told => {}
            Hint::Prompt | Hint::Typing => {}
            Hint::Text(text) => self.hinted.text = Some(text),
            Hint::Cwd(cwd) => self.hinted.cwd = Some(cwd),
            Hint::Start(text) => {
                self.end_hinted(time, None);
                let text = text.or(self.hinted.text.take());
                let text = text.unwrap_or_else(|| self.typing.lines.join("\n"));
                let (source, trust, cwd) = (Source::Hint, Trust::Untrusted, self.hinted.cwd.clone());
                let command = Command { text, cwd, start: time, source, trust, ..Command::default() };
                let id = self.open(command, Span::of(time).first, Standing::Ran);
                self.hinted.id = Some(id);
            }
            Hint::End(status) => self.end_hinted(time, status),
        }
    }

    fn end_hinted(&mut self, time: u64, status: Option<i32>) {
        if let Some(entry) = self.hinted.id.take().and_then(|id| self.entry(id)) {
            entry.closed = Some(Span::of(time).last);
            (entry.command.end, entry.command.exit) = (Some(time), status);
        }
    }
}
