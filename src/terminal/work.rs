//! How much one byte may cost.
//!
//! A sequence of four bytes can erase a million cells. Every character and sequence earns a little credit, large
//! operations spend it; who has none left is not served. Counted in cells, not in seconds: a recording plays the same on
//! every machine and in every cut.

/// Cells that one character or sequence earns.
const EARNED: u64 = 64;
/// Credit that can be saved up, in cells: a tenth of a second or two of erasing, 2,700 full screens of 200 by 60.
pub(super) const CREDIT: u64 = 32 << 20;
/// The same for changes of size, which have a credit of their own: whoever pulls at a window changes it a hundred times and prints
/// little meanwhile. A third of a second or half; 160 of the largest window that fits a screen of four thousand pixels, at once.
pub(super) const RESIZING: u64 = 128 << 20;
/// Cells that could be erased while one character is printed.
const CHARACTER: u64 = 4;
/// What a control sequence counts for, in characters.
pub(super) const SEQUENCE: u64 = 4;

/// The account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Characters and sequences since the last settlement.
    pub(super) done: u64,
    credit: u64,
    resizing: u64,
    overrun: bool,
    /// Everything up to the last settlement, in erased cells; for those who work in slices. Nothing is refused for it.
    spent: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self::with_credit(CREDIT)
    }
}

impl Work {
    /// With this much credit saved up.
    pub(super) fn with_credit(credit: u64) -> Self {
        Self { done: 0, credit, resizing: RESIZING, overrun: false, spent: 0 }
    }

    /// With this much credit for changes of size.
    #[cfg(test)]
    pub(super) fn with_resizing(resizing: u64) -> Self {
        Self { resizing, ..Self::default() }
    }

    /// Books what was earned.
    fn settle(&mut self) {
        let done = std::mem::take(&mut self.done);
        self.spent = self.spent.saturating_add(done.saturating_mul(CHARACTER));
        let earned = done.saturating_mul(EARNED);
        self.credit = self.credit.saturating_add(earned).min(CREDIT);
        self.resizing = self.resizing.saturating_add(earned).min(RESIZING);
    }

    /// Whether an operation on `cells` cells may be done; spends the credit if so.
    pub(super) fn afford(&mut self, cells: usize) -> bool {
        self.settle();
        let left = self.credit.checked_sub(cells as u64);
        self.credit = left.unwrap_or(self.credit);
        self.served(left.is_some(), cells)
    }

    /// The same of a change of size.
    pub(super) fn afford_resizing(&mut self, cells: usize) -> bool {
        self.settle();
        let left = self.resizing.checked_sub(cells as u64);
        self.resizing = left.unwrap_or(self.resizing);
        self.served(left.is_some(), cells)
    }

    fn served(&mut self, served: bool, cells: usize) -> bool {
        if served {
            self.note(cells);
        } else {
            self.overrun = true;
        }
        served
    }

    /// Cells that could be paid for now, and those of changes of size.
    fn available(&self) -> (u64, u64) {
        let earned = self.done.saturating_mul(EARNED);
        let of = |credit: u64, most: u64| credit.saturating_add(earned).min(most);
        (of(self.credit, CREDIT), of(self.resizing, RESIZING))
    }

    /// Whether more cannot be saved up: what is earned now makes no difference.
    pub(super) fn is_full(&self) -> bool {
        self.available() == (CREDIT, RESIZING)
    }

    /// What decides what will be refused: what could be paid for, and whether something was refused.
    #[cfg(test)]
    pub(super) fn account(&self) -> ((u64, u64), bool) {
        (self.available(), self.overrun)
    }

    /// Whether something was refused.
    pub(super) fn overrun(&self) -> bool {
        self.overrun
    }

    /// Something else than work was refused, because of the room it would take.
    pub(super) fn refuse(&mut self) {
        self.overrun = true;
    }

    /// Work that is served in any case.
    #[inline]
    pub(super) fn note(&mut self, cells: usize) {
        self.spent = self.spent.saturating_add(cells as u64);
    }

    /// All work so far, in erased cells.
    pub(super) fn spent(&self) -> u64 {
        self.spent.saturating_add(self.done.saturating_mul(CHARACTER))
    }
}
