//! Whether what was seen of typed characters is enough.
//!
//! Refuses to look at the output.

use super::{FEW, LONG, Match, State};

impl Match {
    /// Whether nothing of it was drawn so far, wherever that counts. (One of its characters is soon drawn anywhere.)
    pub(in crate::record::withhold) fn is_untouched(&self) -> bool {
        let loose = self.loose.is_some_and(|loose| loose.seen > 1);
        !self.is_over()
            && !self.touched
            && self.seen.count == 0
            && self.piece == 0
            && self.alone.is_none()
            && !self.search
            && !loose
    }

    /// Whether its line was left.
    pub(in crate::record::withhold) fn is_over(&self) -> bool {
        self.state != State::Open
    }

    /// Whether the line was left before it was shown.
    pub(in crate::record::withhold) fn was_left(&self) -> bool {
        self.state == State::Left
    }

    /// Whether no echo is to be expected at all.
    pub(in crate::record::withhold) fn expects_nothing(&self) -> bool {
        self.typed.is_empty()
    }

    /// Whether there is little or nothing that an echo would show.
    pub(in crate::record::withhold) fn is_short(&self) -> bool {
        self.typed.len() <= FEW
    }

    /// Whether an echo would show so much that all of it in its place is no accident.
    pub(in crate::record::withhold) fn is_long(&self) -> bool {
        self.typed.len() >= LONG
    }

    /// Whether it is nothing but stars, as a prompt draws them for any other key too.
    pub(in crate::record::withhold) fn is_stars(&self) -> bool {
        !self.typed.is_empty() && self.typed.iter().all(|byte| *byte == b'*')
    }

    /// Whether a prompt that draws one sign for every key would have shown as much of it: all but a fifth is that sign, and something
    /// was not seen.
    pub(in crate::record::withhold) fn is_masked(&self) -> bool {
        // What more than half of it is, stays.
        let (most, _) = self.typed.iter().fold((0, 0_usize), |(most, more), byte| match more {
            0 => (*byte, 1),
            _ if *byte == most => (most, more.saturating_add(1)),
            _ => (most, more.saturating_sub(1)),
        });
        let same = self.typed.iter().filter(|byte| **byte == most).count();
        let length = self.typed.len();
        self.seen.count < length && same < length && same.saturating_mul(5) >= length.saturating_mul(4)
    }

    /// Whether it is known already that it counts as shown.
    pub(in crate::record::withhold) fn is_settled(&self) -> bool {
        self.was_seen() && (self.state != State::Open || self.seen.next >= self.typed.len())
    }

    /// Whether it counts as shown: at least four fifths of it were seen, and what was not is not its end: a secret that
    /// follows. (Between them not more than three in a row were passed over.) Or all of it stands below another line, with nothing
    /// behind it so far.
    pub(in crate::record::withhold) fn was_shown(&self) -> bool {
        self.was_seen() || self.below.as_ref().is_some_and(|below| below.ends_at(&self.typed).is_some())
    }

    fn was_seen(&self) -> bool {
        match self.state {
            State::Open => {
                let seen = if self.more && !self.search { self.rested } else { self.seen };
                let (alone, end) = self.alone.map_or((0, self.typed.len()), |(at, _)| (1, at));
                let count = seen.count.saturating_add(alone);
                count.saturating_mul(5) >= self.typed.len().saturating_mul(4)
                    && !is_much(self.typed.get(seen.next..end))
            }
            State::Shown => true,
            State::Left => false,
        }
    }
}

/// Whether it is more than one character: none are blanks, which are passed by where they stand already, and brackets and quotes
/// that an editor has closed before.
fn is_much(bytes: Option<&[u8]>) -> bool {
    let is_one = |byte: &&u8| !matches!(byte, b' ' | b')' | b']' | b'}' | b'"' | b'\'' | 0x80..=0xbf);
    bytes.unwrap_or_default().iter().filter(is_one).count() > 1
}
