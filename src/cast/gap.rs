//! What is missing in a recording, and why.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The words for why; doc/FORMAT.md says what is missing for each.
const WORDS: [&str; 16] = [
    "write-failed",
    "stopped",
    "capped",
    "unwanted",
    "unread",
    "shared",
    "device",
    UNDELIVERED,
    "unreadable",
    "stage",
    "paused",
    "suspended",
    "slept",
    "clock",
    "touched",
    LEFT,
];
/// What is missing is not missing in the recording.
const UNDELIVERED: &str = "undelivered";
/// What comes after those that were counted is missing too.
const LEFT: &str = "left";
/// Nothing but time is missing, or nothing at all.
const OF_NOTHING: [&str; 7] = ["unread", "shared", "paused", "suspended", "slept", "clock", "touched"];

/// What is missing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The reason, as a stable word: `write-failed`, `stopped`, `capped`, `unwanted`, `unread`, `shared`, `device`, `undelivered`,
    /// `unreadable`, `stage`, `paused`, `suspended`, `slept`, `clock`, `touched`, `left`; doc/FORMAT.md says what each is of.
    pub why: String,
    /// The stream or subsystem concerned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub of: String,
    /// How many bytes (or things) are missing, here or (`undelivered`) where they were to go; 0 when nothing is, or nobody knows.
    #[serde(default)]
    pub count: u64,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// SHA-256, in hexadecimal, of the whole stream of which a part was left out (`capped`); empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

impl Gap {
    /// A gap with these fields and no digest.
    pub fn new(why: &str, of: &str, count: u64, note: impl Into<String>) -> Self {
        Self { why: why.to_owned(), of: of.to_owned(), count, note: note.into(), sha256: String::new() }
    }

    /// Whether its reason is one that this version knows: of others there may be any number.
    pub fn is_known(&self) -> bool {
        WORDS.contains(&self.why.as_str())
    }

    /// What of the recording is missing in it.
    pub fn missing(&self) -> Missing {
        let why = self.why.as_str();
        if why == UNDELIVERED || OF_NOTHING.contains(&why) {
            return Missing::default();
        }
        Missing { count: self.count, unknown: self.count == 0 || why == LEFT }
    }
}

impl fmt::Display for Gap {
    /// One line: `capped (stdout), 7 missing: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        if !self.of.is_empty() {
            write!(f, " ({})", self.of)?;
        }
        if self.count > 0 {
            let how = if self.why == UNDELIVERED { "not delivered" } else { "missing" };
            write!(f, ", {} {how}", self.count)?;
        }
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
        }
        Ok(())
    }
}

/// How much is missing of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Bytes, or things, that were counted.
    pub count: u64,
    /// There is more, and nobody knows how much.
    pub unknown: bool,
}

impl Missing {
    /// Adds what is missing in others, without overflow.
    pub fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.unknown |= other.unknown;
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.unknown) {
            (0, false) => f.write_str("nothing missing"),
            (0, true) => f.write_str("unknown how much is missing"),
            (count, false) => write!(f, "{count} missing"),
            (count, true) => write!(f, "{count} or more missing"),
        }
    }
}
