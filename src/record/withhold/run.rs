//! Keys that are stored or withheld together: a line, or a part of one that a pause ended.
//!
//! Refuses to decide: it tells what was seen of it, and how long that is waited for.

use super::drawn::Cell;
use super::{AHEAD, ECHO, LONGEST, PAUSE, echo};
use std::time::Duration;
use zeroize::Zeroizing;

/// Keys that are stored or withheld together.
pub(super) struct Run {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The characters of it that an echo would show, and how many of them came back.
    pub(super) echo: echo::Match,
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// When it was closed; nothing is added then.
    pub(super) closed: Option<Duration>,
    /// When a part of its echo was last seen, if ever.
    pub(super) echoed: Duration,
    /// The line before it was shown, and it was typed ahead of what that began: a shell shows it once that is over.
    pub(super) ahead: bool,
    /// It was closed by Enter: it ends a line.
    pub(super) line: bool,
    /// It was closed by Tab.
    pub(super) tab: bool,
    /// It has a sequence of the terminal that was never ended, which is perhaps none, but what somebody typed; or one that
    /// carries the clipboard.
    pub(super) doubtful: bool,
    /// A key was let go that told its number: it is not stored where the key itself is not.
    pub(super) released: bool,
    /// The last character typed with Alt.
    pub(super) alt: Option<char>,
    /// There were different ones.
    pub(super) alts: bool,
    /// It was typed before the line that is being typed now.
    pub(super) earlier: bool,
    /// A key ended it that leaves what was typed, or a prompt came up behind it.
    pub(super) ends: bool,
    /// Something was drawn between its keys: whoever reads it took the first of them.
    pub(super) answered: bool,
    /// Whoever read it has gone on, and has shown nothing of it.
    pub(super) gone: bool,
    /// It is all that was typed to whoever has left the screen, or stood before the prompt that came up.
    pub(super) left: bool,
}

impl Run {
    /// Whether it is a line of which all was seen: what is drawn now, and has no place in it, is no sign of what it lacks.
    pub(super) fn is_whole(&self) -> bool {
        self.line && !self.echo.expects_nothing() && self.echo.is_settled()
    }

    /// Whether it is a part of a line that is too long for one run, and all of it was seen: so much is no accident, and what is drawn
    /// next is the next part, most often in the same piece of output.
    pub(super) fn is_part(&self) -> bool {
        !self.line && self.closed.is_some() && self.echo.is_long() && self.echo.is_settled()
    }

    /// Whether it was all seen up to a Tab: what was typed behind that may be drawn next.
    pub(super) fn is_field(&self) -> bool {
        self.tab && !self.echo.expects_nothing() && self.echo.is_settled()
    }

    /// What was typed before it ends in this cell; between are `tabs` by themselves, or none.
    pub(super) fn begins_at(&mut self, cell: Cell, tabs: bool) {
        if tabs {
            self.echo.begins_behind_tabs_at(cell);
        } else {
            self.echo.begins_at(cell);
        }
    }

    /// Whether it is a Tab by itself: nothing begins or ends with that.
    pub(super) fn is_tab(&self) -> bool {
        self.tab && self.echo.expects_nothing()
    }

    /// Whether it ends within a character.
    pub(super) fn is_cut(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_err_and(|error| error.error_len().is_none())
    }

    /// Whether it has characters that an echo would show, and has not so far.
    pub(super) fn is_unseen(&self) -> bool {
        !self.echo.expects_nothing() && !self.echo.was_shown()
    }

    /// Whether it has some, and they count as shown.
    pub(super) fn is_seen(&self) -> bool {
        !self.echo.expects_nothing() && self.echo.was_shown()
    }

    /// When it is withheld if no more of it is shown, once it is closed. `before`: an echo of what was typed before it was
    /// last seen then. A batch of lines of which none is shown is over at once: nothing that comes later waits for each of them.
    pub(super) fn expires(&self, before: Duration) -> Option<Duration> {
        let wait = if self.ahead { AHEAD } else { ECHO };
        Some(self.waits_from(before)?.saturating_add(wait))
    }

    /// When it is left, if nothing of it is shown at once and a line before it is waited for: what comes later does not wait then.
    pub(super) fn leaves(&self, before: Duration) -> Option<Duration> {
        let due = self.waits_from(before)?.saturating_add(ECHO);
        Some(due).filter(|_| self.line && self.is_unseen() && !self.echo.is_over())
    }

    fn waits_from(&self, before: Duration) -> Option<Duration> {
        Some(self.closed?.max(self.echoed).max(before))
    }

    /// When it is closed, if no key is pressed.
    pub(super) fn closes(&self) -> Duration {
        self.last.saturating_add(PAUSE).min(self.first.saturating_add(LONGEST))
    }
}
