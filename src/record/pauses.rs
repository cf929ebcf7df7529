//! Times in which the recorder did not run, told by its own clocks. Pure: the clocks are read by the caller.
//!
//! Whoever is root can stop a recorder, put the host to sleep and set its clock. None of it loses what was shown, and all of it
//! is good to know for whoever reads the times of a recording. Refuses to say why a recorder did not get on: it cannot know.

use crate::cast::{Anchor, Gap, Why};

/// Milliseconds that it may be late without a word: a host can be busy.
const LATE: u64 = 5_000;
/// Milliseconds by which clocks may part without a word, since it was last told: they are read one after the other, and are slewed.
const PARTED: i64 = 2_000;

/// The session itself was stopped (`^Z`), and the recorder with it, for so many whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspension {
    pub(super) seconds: u64,
}

impl Suspension {
    const BEFORE: &str = "the program was stopped, and the recorder with it, for ";
    const BEHIND: &str = " s";

    /// What is recorded of it.
    pub(super) fn gap(self) -> Gap {
        Gap::new(Why::Suspended, "session", 0, format!("{}{}{}", Self::BEFORE, self.seconds, Self::BEHIND))
    }

    /// The one that a gap tells of; `None` where it says something else.
    fn of(gap: &Gap) -> Option<Self> {
        let note = gap.note.strip_prefix(Self::BEFORE).filter(|_| gap.reason() == Some(Why::Suspended))?;
        let seconds = note.strip_suffix(Self::BEHIND)?.parse().ok()?;
        Some(Self { seconds })
    }
}

/// The clocks as they stood at the last look.
pub(super) struct Pauses {
    seen: Anchor,
    /// How far the wall clock was ahead of that of the boot, which goes on while the host sleeps, when that was last told. What was
    /// not told adds up: else a clock could be set in steps as small as one likes.
    ahead: i64,
    /// A pause, its first and last millisecond, told at the next look: by then the loop has said whether the session was stopped.
    held: Option<(u64, u64)>,
    /// When the session was stopped, in the same way, as far as it may have to do with that or with the next.
    stops: Vec<(u64, u64)>,
}

impl Pauses {
    pub(super) fn new(now: Anchor) -> Self {
        let ahead = now.ahead_of_boot();
        Self { seen: now, ahead, held: None, stops: Vec::new() }
    }

    /// What the loop says at `time`, in milliseconds of the session: it may be that the session was stopped until now.
    pub(super) fn hear(&mut self, time: u64, gap: &Gap) {
        if let Some(Suspension { seconds }) = Suspension::of(gap) {
            // They are whole ones.
            let long = seconds.saturating_add(1).saturating_mul(1000);
            self.stops.push((time.saturating_sub(long), time));
        }
    }

    /// What was held back, at the end: as far as no stop of the session explains it, and not what a stop before or after it would.
    pub(super) fn last(&mut self) -> Option<Gap> {
        let (from, to) = self.held.take()?;
        let within = |(begun, over): &(u64, u64)| (*over).min(to).saturating_sub((*begun).max(from));
        let known = self.stops.iter().map(within).fold(0, u64::saturating_add);
        let late = to.saturating_sub(from).saturating_sub(known);
        (late > LATE).then(|| {
            let what = "it was stopped, its disk stood still, or the host had no time for it";
            gap(Why::Paused, format!("the recorder did not get on for {}: {what}", seconds(late)))
        })
    }

    /// What is to be told at a look that was due at `due`, in milliseconds of the session.
    pub(super) fn look(&mut self, now: Anchor, due: u64) -> Vec<Gap> {
        let seen = &self.seen;
        let late = now.at.saturating_sub(due);
        let went = signed(now.at).saturating_sub(signed(seen.at));
        // The clock of the session stands still while the host sleeps; that of the boot does not.
        let slept = signed(now.boot).saturating_sub(signed(seen.boot)).saturating_sub(went);
        let set = now.ahead_of_boot().saturating_sub(self.ahead);
        let before = seen.at;
        let mut told: Vec<Gap> = self.last().into_iter().collect();
        self.stops.retain(|(_, over)| *over > before);
        self.held = (late > LATE).then_some((due, now.at));
        if set.abs() > PARTED {
            self.ahead = now.ahead_of_boot();
        }
        self.seen = now;
        if slept > PARTED {
            told.push(gap(Why::Slept, format!("the host slept for {}", seconds(slept.unsigned_abs()))));
        }
        if set.abs() > PARTED {
            let way = if set > 0 { "forward" } else { "back" };
            let what = format!("the wall clock was set {way} by {}", seconds(set.unsigned_abs()));
            told.push(gap(Why::Clock, what));
        }
        told
    }
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{} s", milliseconds.saturating_add(500) / 1000)
}

fn gap(why: Why, note: String) -> Gap {
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

    /// What is told of a pause of 18 s, from 2 to 20 s, where the session was stopped for `seconds` until `over`, and that is heard
    /// before or after the look.
    fn told_beside_a_stop(seconds: u64, over: u64, heard_before: bool) -> Vec<String> {
        let anchor = |at| Anchor { at, utc: i64::try_from(at).unwrap(), boot: at };
        let mut pauses = Pauses::new(anchor(1000));
        let look = |pauses: &mut Pauses, at, due| {
            let told = pauses.look(anchor(at), due).into_iter();
            told.map(|gap| format!("{}: {}", gap.why, gap.note)).collect::<Vec<_>>()
        };
        if heard_before {
            pauses.hear(over, &Suspension { seconds }.gap());
        }
        assert_eq!(look(&mut pauses, 20_000, 2000), [""; 0]);
        if !heard_before {
            pauses.hear(over, &Suspension { seconds }.gap());
        }
        let told = look(&mut pauses, over.max(20_000) + 1000, over.max(20_000) + 1000);
        assert_eq!(look(&mut pauses, 60_000, 60_000), [""; 0]);
        told
    }

    #[test]
    fn a_pause_that_the_loop_explains_is_told_by_nobody_else() {
        for heard_before in [true, false] {
            assert_eq!(told_beside_a_stop(18, 20_000, heard_before), [""; 0]);
            // A busy host.
            assert_eq!(told_beside_a_stop(15, 18_000, heard_before), [""; 0]);
        }
    }

    #[test]
    fn a_stop_explains_no_more_of_a_pause_than_its_own_time() {
        let paused = |seconds| {
            format!(
                "paused: the recorder did not get on for {seconds} s: it was stopped, its disk stood still, or the host had no time for it"
            )
        };
        for heard_before in [true, false] {
            assert_eq!(told_beside_a_stop(4, 20_000, heard_before), [paused(13)]);
        }
        // Afterwards, and at most the second by which a whole one may be too short.
        assert_eq!(told_beside_a_stop(8, 29_000, false), [paused(18)]);
        let other = Gap::new(Why::Paused, "session", 0, "for 18 s");
        let stop = Suspension { seconds: 18 };
        assert_eq!((Suspension::of(&stop.gap()), Suspension::of(&other)), (Some(stop), None));
    }

    #[test]
    fn a_clock_that_is_set_in_small_steps_is_told_once_for_all_that_it_moved() {
        let told = |step: i64, looks: i64| {
            let anchor =
                |n: i64| Anchor { at: 1000 * n as u64, utc: (1000 + step) * n, boot: 1000 * n as u64 };
            let mut pauses = Pauses::new(anchor(0));
            let told = (1..=looks).flat_map(|n| pauses.look(anchor(n), 1000 * n as u64)).collect::<Vec<_>>();
            told.into_iter().map(|gap| format!("{}: {}", gap.why, gap.note)).collect::<Vec<_>>()
        };
        assert_eq!(told(-1_900, 5), vec!["clock: the wall clock was set back by 4 s"; 2]);
        assert_eq!(told(700, 9), vec!["clock: the wall clock was set forward by 2 s"; 3]);
        // A clock that is off by a second in a day.
        assert_eq!(told(0, 1000), [""; 0]);
        let slow =
            |n: i64| Anchor { at: 86_400_000 * n as u64, utc: 86_401_000 * n, boot: 86_400_000 * n as u64 };
        let mut pauses = Pauses::new(slow(0));
        let told = (1..=30).map(|n| pauses.look(slow(n), slow(n).at).len()).sum::<usize>();
        assert_eq!(told, 10);
        // Short sleeps are no setting of the clock, however many.
        let naps = |n: i64| Anchor { at: 1000 * n as u64, utc: 2500 * n, boot: 2500 * n as u64 };
        let mut pauses = Pauses::new(naps(0));
        assert!((1..=30).all(|n| pauses.look(naps(n), naps(n).at).is_empty()));
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
