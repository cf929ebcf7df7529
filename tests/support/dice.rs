//! Chance that is the same on every run. There is one for all: the integration tests, the unit tests (as `sys::dice`), the
//! measurements and the examples.
// Each of them uses a part of it.
#![allow(dead_code, unreachable_pub)]

/// Numbers that look like chance, from a seed (Knuth's MMIX).
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    /// A number below `n`, which is 2^31 at most; 0 where there is none.
    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, n: N) -> N {
        let n: u64 = n.try_into().ok().expect("not negative");
        // Of the high bits: the low ones come again soon.
        N::try_from((self.roll() >> 33) % n.max(1)).ok().expect("below a number of that type")
    }

    pub fn byte(&mut self) -> u8 {
        (self.roll() >> 56) as u8
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
