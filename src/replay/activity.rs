//! When how much was shown, over all of a recording: a few kilobytes, however many segments it has and whatever they say.

use super::source::believed;
use crate::cast::millis;
use std::time::Duration;

/// Steps that are kept; when they run out, two become one.
const STEPS: u64 = 4096;

/// Output over time: of each step what was most, as the bit length of a number of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    most: Vec<u8>,
    /// Two to so many milliseconds are a step.
    doubled: u32,
}

impl Activity {
    /// At this time that much was shown.
    pub(super) fn add(&mut self, time: Duration, bits: u8) {
        if bits == 0 {
            return;
        }
        let ms = millis(time).min(millis(believed(u64::MAX)));
        while self.step(ms) >= STEPS {
            self.most = self.most.chunks(2).map(|two| two.iter().copied().max().unwrap_or(0)).collect();
            self.doubled = self.doubled.saturating_add(1);
        }
        let at = usize::try_from(self.step(ms)).unwrap_or(0);
        self.most.resize(self.most.len().max(at.saturating_add(1)), 0);
        if let Some(most) = self.most.get_mut(at) {
            *most = bits.max(*most);
        }
    }

    fn step(&self, ms: u64) -> u64 {
        ms.checked_shr(self.doubled).unwrap_or(0)
    }

    /// The steps in which something was shown: when each begins, and what was most.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, u8)> {
        let all = (0_u64..).zip(&self.most).filter(|(_, bits)| **bits > 0);
        all.map(|(n, bits)| (Duration::from_millis(n.checked_shl(self.doubled).unwrap_or(0)), *bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn what_is_short_is_told_to_the_millisecond_and_of_a_step_the_most() {
        let mut activity = Activity::default();
        for (at, bits) in [(0, 3), (4095, 7), (2, 0), (4095, 5)] {
            activity.add(ms(at), bits);
        }
        assert_eq!(activity.steps().collect::<Vec<_>>(), [(ms(0), 3), (ms(4095), 7)]);
        activity.add(ms(4096), 9);
        assert_eq!(activity.steps().collect::<Vec<_>>(), [(ms(0), 3), (ms(4094), 7), (ms(4096), 9)]);
    }

    #[test]
    fn it_stays_small_and_near_the_truth_however_long_it_goes_on() {
        let mut activity = Activity::default();
        for n in 0..100_000 {
            activity.add(ms(n * 777), if n % 1000 == 0 { 9 } else { 1 });
        }
        let steps: Vec<_> = activity.steps().collect();
        assert!((2000..=4096).contains(&steps.len()), "{}", steps.len());
        let (last, length) = (99_999 * 777, 1 << activity.doubled);
        assert!(length <= last / 2000 && steps.last().unwrap().0 > ms(last - length));
        let peaks: Vec<_> = steps.iter().filter(|(_, bits)| *bits == 9).map(|(time, _)| *time).collect();
        assert_eq!(peaks.len(), 100);
        for (peak, n) in peaks.into_iter().zip(0..) {
            let truth = ms(n * 777_000);
            assert!(peak <= truth && truth - peak < ms(length), "{truth:?} is told as {peak:?}");
        }
        // Where time itself is a lie, too.
        activity.add(Duration::MAX, 1);
        assert!(activity.steps().count() <= 4096 && activity.steps().last().unwrap().0 > ms(last));
    }
}
