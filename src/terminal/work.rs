//! How much one byte may cost.
//!
//! A sequence of four bytes can erase a million cells. Every character and sequence earns a little credit, large
//! operations spend it; who has none left is not served. Counted in cells, not in seconds: a recording plays the same on
//! every machine and in every cut.

/// Cells that one character or sequence earns.
const EARNED: u64 = 64;
/// Credit that can be saved up, in cells: a few tenths of a second of erasing, five thousand full screens of 200 by 60.
const CREDIT: u64 = 64 << 20;

/// The account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Characters and sequences since the last settlement.
    pub(super) done: u64,
    credit: u64,
    overrun: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self { done: 0, credit: CREDIT, overrun: false }
    }
}

impl Work {
    /// Whether an operation on `cells` cells may be done; spends the credit if so.
    pub(super) fn afford(&mut self, cells: usize) -> bool {
        let earned = std::mem::take(&mut self.done).saturating_mul(EARNED);
        self.credit = self.credit.saturating_add(earned).min(CREDIT);
        match self.credit.checked_sub(cells as u64) {
            Some(left) => {
                self.credit = left;
                true
            }
            None => {
                self.overrun = true;
                false
            }
        }
    }

    /// Whether something was refused.
    pub(super) fn overrun(&self) -> bool {
        self.overrun
    }
}
