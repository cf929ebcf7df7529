//! How much may be done before somebody looks for keys again.

/// Work granted to one call. Counted like [`crate::terminal::Terminal::spent`], in cells that could have been erased
/// meanwhile: a byte that is passed counts one, a printed character four, an event thirty-two, a segment that is opened some thousand. The same on every machine: a
/// slice is some milliseconds on any of today's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    granted: u64,
    spent: u64,
}

/// What an event costs besides its bytes.
pub(super) const EVENT: u64 = 32;
/// What opening a segment costs, whatever is inside: its place in the file, its keys, what it is decompressed with.
pub(super) const OPENED: u64 = 4 << 10;

impl Budget {
    /// So much work; the piece that is in hand when it runs out is finished.
    pub fn new(units: u64) -> Self {
        Self { granted: units, spent: 0 }
    }

    /// Whatever it takes.
    pub fn endless() -> Self {
        Self::new(u64::MAX)
    }

    /// So much has been done.
    pub fn charge(&mut self, units: u64) {
        self.spent = self.spent.saturating_add(units);
    }

    /// Nothing is left.
    pub fn is_spent(&self) -> bool {
        self.spent >= self.granted
    }

    /// What has been done; more than was granted when the last piece was larger than what was left.
    pub fn spent(&self) -> u64 {
        self.spent
    }
}
