//! The one vocabulary of the house: what happened in a session, and when.
//!
//! An [`Event`] is a time since the start of the session and a [`Payload`]. Stored and exchanged, it is one line of
//! asciicast v3 ([`mod@line`]). Refuses to lose anything: bytes that are not UTF-8, withheld input and gaps all have a
//! line of their own.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod command;
mod gap;
mod header;
pub mod line;

pub use command::{Command, Exec, LEFT_OUT, LEFT_RUNNING, SILENT, Source, Trust, is_of, is_unread, word};
pub use gap::{Gap, Missing, Why};
pub use header::{Header, Term};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Something that happened at a moment of the session.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Time since the start of the session, on the monotonic clock.
    pub time: Duration,
    /// What happened.
    pub payload: Payload,
}

/// What can happen in a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Bytes that the terminal (or, without one, standard output) was given. Code `o`.
    Output(Vec<u8>),
    /// Bytes of standard error, where there is no terminal to merge it with the output. Code `e` (ours).
    ErrorOutput(Vec<u8>),
    /// Bytes that were typed (or, without a terminal, arrived on standard input). Code `i`.
    Input(Vec<u8>),
    /// The terminal has a new size, in character cells. Code `r`.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// A mark with a label. Code `m`.
    Marker(String),
    /// The main child ended with this exit status (128 + n for signal n). Code `x`.
    Exit(i32),
    /// Escape sequences that recreate the whole screen as it stands at this moment. Code `k` (ours).
    Keyframe(String),
    /// Both clocks at this moment, written at the start of every segment. Code `t` (ours).
    Anchor(Anchor),
    /// Typed input was withheld from the recording, this many times. Neither length nor timing is kept. Code `w` (ours).
    Withheld(u32),
    /// Something is missing from here on, or was shortened, and why. Code `g` (ours).
    Gap(Gap),
    /// An event of a code this version does not know: kept as it is.
    Other {
        /// The code.
        code: String,
        /// The data.
        data: String,
    },
}

/// Session time and wall clock, read together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Milliseconds since the start of the session, monotonic clock.
    pub at: u64,
    /// Wall clock, milliseconds since 1970-01-01T00:00:00Z.
    pub utc: i64,
    /// Milliseconds of `CLOCK_BOOTTIME`, which goes on while the host is suspended; 0 when not known.
    #[serde(default)]
    pub boot: u64,
}

impl Anchor {
    /// The wall clock at a time of the session, milliseconds, reckoned from this one. `None` where no clock shows that.
    pub fn wall(&self, ms: u64) -> Option<i64> {
        let since = i64::try_from(ms).ok()?.checked_sub(i64::try_from(self.at).ok()?)?;
        self.utc.checked_add(since)
    }

    /// Milliseconds by which the wall clock is ahead of the time since the host was started, sleep included: what changes that is
    /// somebody who sets the clock.
    pub fn ahead_of_boot(&self) -> i64 {
        self.utc.saturating_sub_unsigned(self.boot)
    }

    /// Milliseconds by which the wall clock is ahead of the session's, which stands still while the host sleeps.
    pub fn ahead_of_session(&self) -> i64 {
        self.utc.saturating_sub_unsigned(self.at)
    }
}

/// Whole milliseconds, as times of a recording are counted. How lines keep them is [`line::stored`]: to the nearest one.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Event {
    /// An event at `time`.
    pub fn new(time: Duration, payload: Payload) -> Self {
        Self { time, payload }
    }
}
