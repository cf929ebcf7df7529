//! What is asked and told while a search goes on: whether it shall end, and how far it is.

use std::cell::Cell;

/// What is asked and told while a search goes on, by its threads.
#[derive(Clone, Copy)]
pub struct Meanwhile<'a> {
    /// Whether it shall end.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// So many more bytes of the recordings have been read or passed over.
    pub done: &'a (dyn Fn(u64) + Sync),
}

impl Default for Meanwhile<'_> {
    fn default() -> Self {
        Self { stopped: &|| false, done: &|_| {} }
    }
}

/// How far one recording is done with, in bytes of its file.
pub(super) struct Way<'a> {
    done: &'a (dyn Fn(u64) + Sync),
    /// Its length; 0 until it is opened.
    length: Cell<u64>,
    told: Cell<u64>,
}

impl<'a> Way<'a> {
    pub(super) fn new(done: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { done, length: Cell::new(0), told: Cell::new(0) }
    }

    /// It is opened, and so long.
    pub(super) fn is_of(&self, length: u64) {
        self.length.set(length);
    }

    /// So many `of` its segments are done with.
    pub(super) fn at(&self, segments: usize, of: usize) {
        let part = u128::from(self.length.get()) * segments.min(of) as u128 / of.max(1) as u128;
        let reached = u64::try_from(part).unwrap_or(u64::MAX);
        (self.done)(reached.saturating_sub(self.told.replace(reached)));
    }
}
