//! What was typed before the program ran.
//!
//! It may be the answer to what the program asks for without an echo. The terminal inside shows what is typed until the program has
//! switched that off: so it is kept back until the program is seen to want it. It has changed its terminal, or waits for a line.
//! Meanwhile it obeys what the kernel would make of it: a program that throws away what was typed before it asks, and a key that
//! signals, take it back.
//!
//! (Of a program that is seen to do neither, which may only look now and then, it is not kept back for long.)

use super::Pump;
use crate::record::session::Screen;
use crate::sys::poll::Set;
use crate::sys::tty::Settings;
use crate::sys::{clock, fd, waits};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long it is kept back at most, from when the program is known to run.
const MOST: Duration = Duration::from_secs(2);
/// How often it is looked at who waits.
const LOOK: Duration = Duration::from_millis(20);
/// From when on, since the program is known to run, one that polls its terminal waits for it, too: before it asks for a secret it may
/// do so for a moment.
const GRACE: Duration = Duration::from_millis(300);

/// It is kept back.
pub(super) struct Ahead {
    until: Duration,
    grace: Duration,
    next_look: Duration,
}

impl Ahead {
    /// When it is to be looked at again.
    pub(super) fn due(&self) -> Duration {
        self.next_look.min(self.until)
    }
}

/// What is to become of it.
enum Fate {
    Waits,
    Wanted,
    ThrownAway,
    /// From this byte on it is wanted: that one signals, and takes back what was typed before.
    TakenBack(usize),
}

impl Pump<'_> {
    /// The program is known to run. Where the keyboard is ours, what was typed by now is kept back.
    pub(super) fn keep_ahead(&mut self) {
        let Some(screen) = &self.screen else { return };
        let mut set = Set::default();
        while self.keyboard.is_raw() && self.keys.has_room() {
            set.clear();
            let slot = set.add(&screen.terminal, true, false);
            if set.wait(Some(Duration::ZERO)).is_err() || !set.ready(slot).read || set.ready(slot).gone {
                break;
            }
            // Whatever it is, it is told where keys are read.
            let Ok(count @ 1..) = fd::read(&screen.terminal, self.keys.room()) else { break };
            self.keys.filled(count);
            self.fresh = true;
        }
        if self.keyboard.is_raw() && !self.keys.is_empty() {
            let now = clock::monotonic();
            self.ahead = Some(Ahead {
                until: now.saturating_add(MOST),
                grace: now.saturating_add(GRACE),
                next_look: now,
            });
        } else {
            screen.leader.tell_flushes(false);
        }
    }

    /// Whether it is kept back still.
    pub(super) fn keeps_ahead(&mut self) -> bool {
        match self.fate() {
            None => return false,
            Some(Fate::Waits) => return true,
            Some(Fate::Wanted) => {}
            // What comes next is kept back in its turn.
            Some(Fate::ThrownAway) => {
                self.drop_kept();
                return true;
            }
            Some(Fate::TakenBack(at)) => {
                let (before, rest) = self.keys.whole().split_at(at);
                self.batch.typed(clock::monotonic(), before, true, self.blind);
                let rest = Zeroizing::new(rest.to_vec());
                self.keys.put(&rest);
            }
        }
        self.release_ahead();
        false
    }

    fn fate(&mut self) -> Option<Fate> {
        let ahead = self.ahead.as_mut()?;
        let (Some(screen), Some(child)) = (&self.screen, self.child) else { return Some(Fate::Wanted) };
        let Ok(theirs) = screen.leader.settings() else { return Some(Fate::Wanted) };
        let now = clock::monotonic();
        let mut wanted = !theirs.is_plain() || now >= ahead.until;
        if !wanted && now >= ahead.next_look {
            ahead.next_look = now.saturating_add(LOOK);
            let waits = if now >= ahead.grace { waits::for_terminal_or_polls } else { waits::for_terminal };
            wanted = screen.leader.follower_name().is_some_and(|name| waits(child, &name));
        }
        // Asked last: who throws it away does so before he changes the settings, or waits.
        Some(match last_signal(&theirs, self.keys.whole()) {
            _ if screen.leader.was_flushed() => Fate::ThrownAway,
            Some(at) => Fate::TakenBack(at),
            None if wanted => Fate::Wanted,
            None => Fate::Waits,
        })
    }

    /// Drops what the program has thrown away, before more is read: that is the answer to what it asks. It is kept back in its turn: the
    /// echo is switched off only then.
    pub(super) fn drop_flushed(&mut self) {
        let was_flushed = |screen: &Screen| screen.leader.was_flushed();
        if self.ahead.is_some() && self.screen.as_ref().is_some_and(was_flushed) {
            self.drop_kept();
        }
    }

    /// Nobody is to read it any more.
    pub(super) fn drop_ahead(&mut self) {
        self.drop_kept();
        self.release_ahead();
    }

    /// That something was typed is told.
    fn drop_kept(&mut self) {
        if self.ahead.is_some() && !self.keys.is_empty() {
            self.batch.typed(clock::monotonic(), self.keys.whole(), true, self.blind);
            self.keys.forget();
            self.fresh = false;
        }
    }

    fn release_ahead(&mut self) {
        self.ahead = None;
        if let Some(screen) = &self.screen {
            screen.leader.tell_flushes(false);
        }
    }
}

/// Where the last of the keys stands that signals whoever has a terminal with these settings.
fn last_signal(theirs: &Settings, keys: &[u8]) -> Option<usize> {
    let signals = |key: &u8| theirs.stops() == Some(*key) || theirs.ends().any(|(byte, _)| byte == *key);
    keys.iter().rposition(signals)
}
