//! Whether programs are still seen, as the recorder's thread knows it by itself: root inside can hold up one thread alone, that of the
//! trace, or that of the index, which hears it. Refuses to need either of them for what is to be told of it.

use super::indexer_commands::note;
use crate::cast::{Command, millis};
use crate::exec::Pulse;
use std::time::Duration;

/// What tells whether the trace and the index get on.
pub(super) struct Sight {
    trace: Pulse,
    index: Pulse,
    /// One of them stood still at the last look.
    pub(super) is_lost: bool,
    /// An entry that is to be told, once each time that one does.
    pub(super) note: Option<Command>,
}

impl Sight {
    pub(super) fn new(trace: Pulse, index: Pulse) -> Self {
        Self { trace, index, is_lost: false, note: None }
    }

    /// Looks, at this time of the monotonic clock; to be called in every second. The session began at `origin`.
    pub(super) fn look(&mut self, now: Duration, origin: Duration) {
        let (trace, index) = (self.trace.is_still(now), self.index.is_still(now));
        let was_lost = std::mem::replace(&mut self.is_lost, trace || index);
        if self.is_lost && !was_lost {
            let flag = "lost-execs: the exec trace does not get on: programs are seen late or not at all until it does";
            self.note = Some(note(millis(now.saturating_sub(origin)), flag.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn each_time_that_one_of_the_two_stands_still_is_told_once() {
        let second = Duration::from_secs;
        for stands in [0, 1] {
            let turns = [(); 2].map(|()| Arc::new(AtomicU64::new(1)));
            let [trace, index] = turns.clone().map(Pulse::new);
            let mut sight = Sight::new(trace, index);
            let mut told = Vec::new();
            for at in 101..=130 {
                turns[1 - stands].fetch_add(1, Ordering::Relaxed);
                // It goes on for a moment, once.
                turns[stands].fetch_add(u64::from(at == 115), Ordering::Relaxed);
                sight.look(second(at), second(100));
                assert_eq!(sight.is_lost, (106..115).contains(&at) || at >= 120, "{stands} at {at}");
                told.extend(sight.note.take().map(|note| note.start));
            }
            assert_eq!(told, [6_000, 20_000], "{stands}");
        }
    }
}
