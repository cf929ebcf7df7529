//! Three clocks of the kernel. Refuses to be a hidden input: whoever needs the time is given it by its caller, and
//! only the outermost layer reads it here.

use std::time::Duration;

/// Time since an unspecified start, never set back; stands still while the host is suspended (`CLOCK_MONOTONIC`).
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Time since the host was started, suspension included (`CLOCK_BOOTTIME`).
pub fn boottime() -> Duration {
    read(libc::CLOCK_BOOTTIME)
}

/// Time since 1970-01-01T00:00:00Z as the host believes it; can be set by anyone who may (`CLOCK_REALTIME`).
/// A clock set before 1970 reads as zero.
pub fn realtime() -> Duration {
    read(libc::CLOCK_REALTIME)
}

/// Time as it goes by for somebody who looks in turns whether another one gets on. When he was held up, because all of us were stopped,
/// had no processor or slept, the turn counts for a second at most: the other one is to have his own before it is said that he
/// does not get on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    last: Duration,
    time: Duration,
}

/// What a turn counts for at most.
const TURN: Duration = Duration::from_secs(1);

impl Turns {
    /// A turn, `now` on the monotonic clock. Gives how much time there was in all turns.
    pub fn turn(&mut self, now: Duration) -> Duration {
        let since = now.saturating_sub(std::mem::replace(&mut self.last, now));
        self.time = self.time.saturating_add(since.min(TURN));
        self.time
    }

    /// How much time there was in all turns.
    pub fn time(self) -> Duration {
        self.time
    }
}

/// [`realtime`] and [`monotonic`] as they stand at one moment: what lies between two looks is less than a millisecond, or where the
/// host is too busy for that, as little as it was in a few tries.
pub fn wall_and_monotonic() -> (Duration, Duration) {
    beside(monotonic, realtime)
}

fn beside(
    mut monotonic: impl FnMut() -> Duration,
    mut wall: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    const NEAR: Duration = Duration::from_millis(1);
    const TRIES: usize = 5;
    let looks = std::iter::repeat_with(|| {
        let (before, wall, after) = (monotonic(), wall(), monotonic());
        let apart = after.saturating_sub(before);
        // Half way: the error is half of what lies between at most.
        (apart, wall, before.saturating_add(apart / 2))
    });
    let mut best = (Duration::MAX, Duration::ZERO, Duration::ZERO);
    for look in looks.take(TRIES) {
        best = if look.0 < best.0 { look } else { best };
        if best.0 <= NEAR {
            break;
        }
    }
    (best.1, best.2)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the kernel to write to. The call fails only for a clock it does not know,
    // and then leaves zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back() {
        let times: Vec<_> = (0..1000).map(|_| monotonic()).collect();
        assert!(times.is_sorted() && times[0] > Duration::ZERO);
    }

    #[test]
    fn two_clocks_are_looked_at_again_where_something_came_between() {
        let ms = Duration::from_millis;
        let looks = |times: &[u64]| {
            let (mut at, mut tries) = (times.iter(), 0);
            let both = beside(
                || ms(*at.next().unwrap()),
                || {
                    tries += 1;
                    ms(1_000 + tries)
                },
            );
            (both, tries)
        };
        assert_eq!(looks(&[5, 5]), ((ms(1_001), ms(5)), 1));
        // Taken away from the processor before the wall clock was read, and after.
        assert_eq!(looks(&[5, 95, 96, 97]), ((ms(1_002), Duration::from_micros(96_500)), 2));
        // Never undisturbed: the nearest.
        let all = [0, 50, 60, 70, 80, 120, 130, 180, 190, 290];
        assert_eq!(looks(&all), ((ms(1_002), ms(65)), 5));
    }

    #[test]
    fn boot_time_includes_at_least_the_monotonic_time() {
        let before = monotonic();
        assert!(boottime() >= before);
    }

    #[test]
    fn real_time_is_the_wall_clock_of_the_standard_library() {
        let theirs = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(realtime().abs_diff(theirs) < super::super::DEADLINE);
    }
}
