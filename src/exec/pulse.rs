//! Whether the thread of a trace gets on, or one that hears it, as somebody sees it who looks from another thread: root inside can hold
//! up one thread alone.

use crate::sys::clock::Turns;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a thread may stand still that makes a turn in every second.
const MOST: Duration = Duration::from_secs(5);

/// What tells whether a thread gets on.
pub struct Pulse {
    turns: Arc<AtomicU64>,
    /// Turns at the last look.
    seen: u64,
    /// The time in which somebody has looked…
    looked: Turns,
    /// …and how much of it there had been when a new one was seen.
    since: Duration,
}

impl Pulse {
    /// By what grows with every turn that it makes.
    pub fn new(turns: Arc<AtomicU64>) -> Self {
        Self { turns, seen: 0, looked: Turns::default(), since: Duration::ZERO }
    }

    /// Whether it stands still, at this time of the monotonic clock; to be asked in every second.
    pub fn is_still(&mut self, now: Duration) -> bool {
        let turns = self.turns.load(Ordering::Relaxed);
        let time = self.looked.turn(now);
        if std::mem::replace(&mut self.seen, turns) != turns {
            self.since = time;
        }
        time.saturating_sub(self.since) >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_stands_still_that_makes_no_turn_in_five_seconds_of_somebody_who_looks() {
        let turns = Arc::new(AtomicU64::new(1));
        let mut pulse = Pulse::new(Arc::clone(&turns));
        let mut at = |millis| pulse.is_still(Duration::from_millis(millis));
        assert!(!(0..20).any(|n| at(n * 250)), "less than five seconds since the first look");
        turns.store(2, Ordering::Relaxed);
        assert!(!at(5_000));
        // Asleep, or stopped, for an hour.
        assert!(![3_600_000, 7_200_000, 10_800_000, 14_400_000].into_iter().any(&mut at));
        assert!(at(14_401_000) && at(14_401_001));
        turns.store(3, Ordering::Relaxed);
        assert!(!at(14_402_000));
    }
}
