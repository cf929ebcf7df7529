//! What is missing in a recording, and why.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why something is missing; doc/FORMAT.md says what is for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It could not be stored.
    WriteFailed,
    /// The session was ended; what came after is missing.
    Stopped,
    /// Only the beginning of a stream is stored.
    Capped,
    /// No input is to be stored.
    Unwanted,
    /// The program had not read it.
    Unread,
    /// Another program reads there as well.
    Shared,
    /// The program has the stream as it is.
    Device,
    /// It stands in the recording, and did not arrive where it was to go.
    Undelivered,
    /// Standard input could not be read on.
    Unreadable,
    /// Nobody is there any more who could tell of the program.
    Stage,
    /// The recorder did not get on.
    Paused,
    /// The session was stopped, and the recorder with it.
    Suspended,
    /// The host slept.
    Slept,
    /// The wall clock was set.
    Clock,
    /// Somebody else wrote to the file.
    Touched,
    /// Something that the program left has a stream open still: more is missing than was counted.
    Left,
}

impl Why {
    const ALL: [Self; 16] = [
        Self::WriteFailed,
        Self::Stopped,
        Self::Capped,
        Self::Unwanted,
        Self::Unread,
        Self::Shared,
        Self::Device,
        Self::Undelivered,
        Self::Unreadable,
        Self::Stage,
        Self::Paused,
        Self::Suspended,
        Self::Slept,
        Self::Clock,
        Self::Touched,
        Self::Left,
    ];

    /// The reason of this word; `None` for one of a later version.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }

    /// Its word, which does not change.
    pub fn word(self) -> &'static str {
        match self {
            Self::WriteFailed => "write-failed",
            Self::Stopped => "stopped",
            Self::Capped => "capped",
            Self::Unwanted => "unwanted",
            Self::Unread => "unread",
            Self::Shared => "shared",
            Self::Device => "device",
            Self::Undelivered => "undelivered",
            Self::Unreadable => "unreadable",
            Self::Stage => "stage",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Slept => "slept",
            Self::Clock => "clock",
            Self::Touched => "touched",
            Self::Left => "left",
        }
    }

    /// Whether nothing but time is missing, or nothing at all.
    pub fn is_of_nothing(self) -> bool {
        matches!(
            self,
            Self::Unread
                | Self::Shared
                | Self::Paused
                | Self::Suspended
                | Self::Slept
                | Self::Clock
                | Self::Touched
        )
    }

    /// Whether it is no matter of where the streams go, but of who or what kept the recorder from its work, or its clocks from going.
    pub fn hinders(self) -> bool {
        matches!(
            self,
            Self::WriteFailed
                | Self::Stopped
                | Self::Stage
                | Self::Paused
                | Self::Slept
                | Self::Clock
                | Self::Touched
        )
    }

    /// Whether the gap stands where what it tells of is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::WriteFailed | Self::Paused | Self::Suspended | Self::Slept)
    }
}

/// What is missing, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The reason, as the word of [`Why`]; a later version may have others.
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
    pub fn new(why: Why, of: &str, count: u64, note: impl Into<String>) -> Self {
        Self {
            why: why.word().to_owned(),
            of: of.to_owned(),
            count,
            note: note.into(),
            sha256: String::new(),
        }
    }

    /// Its reason, if that is one that this version knows: of others there may be any number.
    pub fn reason(&self) -> Option<Why> {
        Why::of(&self.why)
    }

    /// What of the recording is missing in it.
    pub fn missing(&self) -> Missing {
        match self.reason() {
            // What is missing is not missing in the recording.
            Some(Why::Undelivered) => Missing::default(),
            Some(why) if why.is_of_nothing() => Missing::default(),
            // What comes after those that were counted is missing too.
            Some(Why::Left) => Missing { count: self.count, unknown: true },
            _ => Missing { count: self.count, unknown: self.count == 0 },
        }
    }
}

impl fmt::Display for Gap {
    /// One line: `capped (stdout), 7 missing: …; SHA-256 of all of it: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        if !self.of.is_empty() {
            write!(f, " ({})", self.of)?;
        }
        if self.count > 0 {
            let how = if self.reason() == Some(Why::Undelivered) { "not delivered" } else { "missing" };
            write!(f, ", {} {how}", self.count)?;
        }
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
        }
        if !self.sha256.is_empty() {
            write!(f, "; SHA-256 of all of it: {}", self.sha256)?;
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
