//! The first line of an asciicast v3 document.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Header of an asciicast v3 document (<https://docs.asciinema.org/manual/asciicast/v3/>): the attributes we write.
/// Attributes we do not know are passed over when reading, as the format asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always 3.
    pub version: u8,
    /// The terminal.
    pub term: Term,
    /// Start, seconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// The command that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Environment that was kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The terminal of a [`Header`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Columns at the start.
    pub cols: u16,
    /// Rows at the start.
    pub rows: u16,
    /// `$TERM`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Header {
    /// A header for a terminal of this size, and nothing else.
    pub fn new(cols: u16, rows: u16) -> Self {
        Self { version: 3, term: Term { cols, rows, kind: None }, ..Self::default() }
    }
}
