//! Times in which the recorder did not run, told by its own clocks. Pure: the clocks are read by the caller.
//!
//! Whoever is root can stop a recorder, put the host to sleep and set its clock. None of it loses what was shown, and all of it
//! is good to know for whoever reads the times of a recording. Refuses to say why a recorder did not get on: it cannot know.

use crate::cast::{Anchor, Gap};

/// Milliseconds that it may be late without a word: a host can be busy.
const LATE: u64 = 5_000;
/// Milliseconds by which clocks may part between two looks without a word: they are read one after the other, and are slewed.
const PARTED: i64 = 2_000;

/// Why there is a gap where the session itself was stopped (`^Z`), and the recorder with it.
pub(super) const SUSPENDED: &str = "suspended";

/// The clocks as they stood at the last look.
pub(super) struct Pauses {
    seen: Anchor,
    /// A pause that is told at the next look: by then the loop has said whether the session was stopped.
    held: Option<Gap>,
}

impl Pauses {
    pub(super) fn new(now: Anchor) -> Self {
        Self { seen: now, held: None }
    }

    /// The loop has said that the session was stopped.
    pub(super) fn explained(&mut self) {
        self.held = None;
    }

    /// What was held back, at the end.
    pub(super) fn last(&mut self) -> Option<Gap> {
        self.held.take()
    }

    /// What is to be told at a look that was due at `due`, in milliseconds of the session.
    pub(super) fn look(&mut self, now: Anchor, due: u64) -> Vec<Gap> {
        let seen = &self.seen;
        let late = now.at.saturating_sub(due);
        let went = signed(now.at).saturating_sub(signed(seen.at));
        // The clock of the session stands still while the host sleeps; that of the boot does not.
        let slept = signed(now.boot).saturating_sub(signed(seen.boot)).saturating_sub(went);
        let slept = if slept > PARTED { slept } else { 0 };
        let set = now.utc.saturating_sub(seen.utc).saturating_sub(went).saturating_sub(slept);
        self.seen = now;
        let mut told: Vec<Gap> = self.held.take().into_iter().collect();
        if late > LATE {
            let what = "it was stopped, its disk stood still, or the host had no time for it";
            self.held =
                Some(gap("paused", format!("the recorder did not get on for {}: {what}", seconds(late))));
        }
        if slept > 0 {
            told.push(gap("slept", format!("the host slept for {}", seconds(slept.unsigned_abs()))));
        }
        if set.abs() > PARTED {
            let way = if set > 0 { "forward" } else { "back" };
            let what = format!("the wall clock was set {way} by {}", seconds(set.unsigned_abs()));
            told.push(gap("clock", what));
        }
        told
    }
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

fn seconds(milliseconds: u64) -> String {
    format!("{} s", milliseconds.saturating_add(500) / 1000)
}

fn gap(why: &str, note: String) -> Gap {
    Gap::new(why, "recorder", 0, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seen: (u64, i64, u64), now: (u64, i64, u64), due: u64) -> Vec<String> {
        let anchor = |(at, utc, boot)| Anchor { at, utc, boot };
        let mut pauses = Pauses::new(anchor(seen));
        let mut gaps = pauses.look(anchor(now), due);
        gaps.extend(pauses.last());
        gaps.into_iter().map(|gap| format!("{}: {}", gap.why, gap.note)).collect()
    }

    #[test]
    fn a_pause_that_the_loop_explains_is_told_by_nobody_else() {
        let anchor = |at| Anchor { at, utc: 0, boot: at };
        for explained in [true, false] {
            let mut pauses = Pauses::new(anchor(1000));
            assert_eq!(pauses.look(Anchor { utc: 19_000, ..anchor(20_000) }, 2000).len(), 0);
            if explained {
                pauses.explained();
            }
            let later = pauses.look(Anchor { utc: 20_000, ..anchor(21_000) }, 21_000);
            assert_eq!(
                later.iter().map(|gap| gap.why.as_str()).collect::<Vec<_>>(),
                if explained { vec![] } else { vec!["paused"] }
            );
        }
    }

    #[test]
    fn what_a_recorder_missed_is_told_and_a_busy_host_is_not() {
        let seen = (10_000, 1_000_000, 70_000);
        assert_eq!(told(seen, (11_000, 1_001_000, 71_000), 11_000), [""; 0]);
        // A host that is slow, and a clock that is slewed.
        assert_eq!(told(seen, (15_000, 1_006_500, 76_000), 11_000), [""; 0]);
        assert_eq!(
            told(seen, (25_000, 1_015_000, 85_000), 11_000),
            [
                "paused: the recorder did not get on for 14 s: it was stopped, its disk stood still, or the host had no time for it"
            ]
        );
        assert_eq!(
            told(seen, (11_000, 29_801_000, 28_871_000), 11_000),
            ["slept: the host slept for 28800 s"]
        );
        assert_eq!(
            told(seen, (11_000, 1_601_000, 71_000), 11_000),
            ["clock: the wall clock was set forward by 600 s"]
        );
        assert_eq!(
            told(seen, (11_000, 401_000, 71_000), 11_000),
            ["clock: the wall clock was set back by 600 s"]
        );
        // Both at once: asleep for a minute, then set back by five.
        assert_eq!(
            told(seen, (11_000, 761_000, 131_000), 11_000),
            ["slept: the host slept for 60 s", "clock: the wall clock was set back by 300 s"]
        );
    }
}
