//! How fast time passes while playing: speed, and what is made of idle stretches.
//!
//! No clock: the caller says how much time has passed for the viewer. The time of the recording is always true; an idle
//! stretch is passed over in one visible step, or runs faster and faster.

use std::time::Duration;

/// Speeds that the keys step through, as multiples of true time.
const SPEEDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What is made of a stretch in which nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It takes as long as it took.
    Kept,
    /// It ends after this long.
    Limited(Duration),
    /// Its first second is kept; each doubling after that takes another second.
    Logarithmic,
}

impl Idle {
    /// How long a stretch takes for the viewer at normal speed.
    pub fn shown(self, gap: Duration) -> Duration {
        match self {
            Self::Kept => gap,
            Self::Limited(limit) => gap.min(limit),
            Self::Logarithmic => {
                let secs = gap.as_secs_f64();
                if secs <= 1.0 { gap } else { seconds(1.0 + secs.log2()) }
            }
        }
    }

    /// How far into a stretch the recording is once it has been shown for this long.
    pub fn reached(self, shown: Duration) -> Duration {
        let secs = shown.as_secs_f64();
        match self {
            Self::Logarithmic if secs > 1.0 => seconds((secs - 1.0).min(60.0).exp2()),
            _ => shown,
        }
    }
}

/// Seconds that are known to be neither negative nor absurd.
fn seconds(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(Duration::MAX)
}

/// A duration times a speed.
pub fn scaled(elapsed: Duration, speed: f64) -> Duration {
    seconds(elapsed.as_secs_f64() * speed)
}

/// The next slower or faster speed.
pub fn stepped(speed: f64, faster: bool) -> f64 {
    let next = if faster {
        SPEEDS.iter().find(|s| **s > speed + 1e-9)
    } else {
        SPEEDS.iter().rev().find(|s| **s < speed - 1e-9)
    };
    next.copied().unwrap_or(speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_stretches_are_kept_cut_or_squeezed() {
        let minute = Duration::from_secs(64);
        assert_eq!(Idle::Kept.shown(minute), minute);
        assert_eq!(Idle::Limited(Duration::from_secs(2)).shown(minute), Duration::from_secs(2));
        assert_eq!(Idle::Logarithmic.shown(minute), Duration::from_secs(7));
        assert_eq!(Idle::Logarithmic.shown(Duration::from_millis(300)), Duration::from_millis(300));
    }

    #[test]
    fn squeezed_time_runs_forward_without_a_jump() {
        let mut before = Duration::ZERO;
        for ms in (0..8000).step_by(50) {
            let now = Idle::Logarithmic.reached(Duration::from_millis(ms));
            assert!(now >= before && now - before < Duration::from_secs(8), "{ms}: {before:?} to {now:?}");
            before = now;
        }
        let gap = Duration::from_secs(1000);
        let end = Idle::Logarithmic.reached(Idle::Logarithmic.shown(gap));
        assert!(end.abs_diff(gap) < Duration::from_millis(1), "{end:?}");
    }

    #[test]
    fn speeds_step_and_stop_at_the_ends() {
        assert_eq!(stepped(1.0, true), 1.5);
        assert_eq!(stepped(1.0, false), 0.5);
        assert_eq!(stepped(256.0, true), 256.0);
        assert_eq!(stepped(0.1, false), 0.1);
        assert_eq!(scaled(Duration::from_secs(1), f64::NAN), Duration::ZERO);
    }
}
