//! Cases that a busy host can spoil. Such a one is tried again; but that the host was busy must be seen, or it is counted: a loss that
//! comes now and then, on a host that has time, is what these cases are to find.

use super::skipped::say;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What came of a case, unless it failed for good.
pub type Tried<T = ()> = Result<T, Missed>;

/// A case that was not as it is to be.
#[derive(Debug)]
pub struct Missed {
    /// What was missing.
    pub why: String,
    /// How late the host was, at the most: for how long something did not come that comes at once.
    pub late: Duration,
}

/// A host that is later than this is busy: keys are typed so far apart, and what is later is shown together with what comes of the
/// next key. One that has time needs a few milliseconds for a key and its echo.
pub const BUSY: Duration = Duration::from_millis(30);
/// How often a case is tried, where the host is busy each time.
const TIMES: usize = 8;

/// Tries a case up to eight times. Where it was missed although the host was not busy, that may be so no more than `most` times in all
/// the cases of this program.
#[track_caller]
pub fn tried(most: usize, case: impl Fn() -> Tried) {
    static UNEXPLAINED: AtomicUsize = AtomicUsize::new(0);
    let mut all = Vec::new();
    while let Err(Missed { why, late }) = case() {
        say(&format!("tried, late by {late:?}: {why}"));
        if late < BUSY {
            let count = UNEXPLAINED.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(
                count <= most,
                "missed {count} times on a host that was not busy, now by {late:?}: {why}"
            );
        }
        all.push(format!("late by {late:?}: {why}"));
        assert!(all.len() < TIMES, "{TIMES} times: {}", all.join("\n"));
    }
}
