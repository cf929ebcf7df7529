//! Why an identity file cannot be read, and why one did not open something: in words that name files and never repeat a secret.

use super::super::prompt::PromptError;
use super::super::recipient::Slot;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why an identity file could not be read. The file's contents are never part of it.
#[derive(Debug)]
pub enum LoadError {
    /// Reading failed.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds no identity, or one of a kind that cannot be used.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read identity file {}", shown(path)),
            Self::Content { path, why } => write!(f, "identity file {}: {why}", shown(path)),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Content { .. } => None,
        }
    }
}

pub(super) fn shown(path: &Path) -> String {
    crate::text::escaped(&path.to_string_lossy()).to_string()
}

/// Why one identity file did not open something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was looked for, and is not there.
    Absent,
    /// None of its identities is a recipient.
    NoMatch,
    /// The passphrase was wrong.
    WrongPassphrase,
    /// It has a passphrase, and nobody could be asked.
    NoPassphrase(PromptError),
    /// The plugin's program is not in `$PATH`.
    PluginMissing(String),
    /// The plugin failed; its own words (foreign text).
    Plugin(String),
    /// Unlocking it would take more work than is accepted.
    TooMuchWork,
    /// Unlocked, it holds nothing usable.
    Content(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not there"),
            Self::NoMatch => f.write_str("not a recipient"),
            Self::WrongPassphrase => f.write_str("wrong passphrase"),
            Self::NoPassphrase(error) => write!(f, "needs its passphrase, but {error}"),
            Self::PluginMissing(program) => write!(f, "needs `{program}`, which is not in $PATH"),
            Self::Plugin(words) => write!(f, "plugin: {}", crate::text::escaped(words)),
            Self::TooMuchWork => f.write_str("its passphrase takes more work to try than is accepted"),
            Self::Content(why) => f.write_str(why),
        }
    }
}

/// An identity file that was tried, and why it did not open the thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub why: Why,
}

/// What was tried, in words.
pub fn all_tried(tried: &[Tried]) -> String {
    match tried {
        [] => return "no identity file was given".to_owned(),
        [Tried { path, why: Why::Absent }] => {
            return format!("no identity file was given (looked for {})", shown(path));
        }
        _ => {}
    }
    let tried: Vec<String> = tried.iter().map(|t| format!("{} ({})", shown(&t.path), t.why)).collect();
    format!("tried: {}", tried.join(", "))
}

/// Why something sealed could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnwrapError {
    /// It is no age file.
    NotAge(String),
    /// It was opened, but what is inside is damaged: the header or the body is not what its maker wrote.
    Damaged,
    /// What is inside is longer than [`super::MAX_SECRET`], or the file is longer than [`crate::crypto::recipient::MAX_AGE_FILE`].
    TooLong,
    /// No identity opens it.
    NoIdentity {
        /// Whom it is sealed to, as far as it tells.
        slots: Vec<Slot>,
        /// The identity files that were tried, and why each did not open it.
        tried: Vec<Tried>,
    },
}

impl fmt::Display for UnwrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAge(why) => write!(f, "not an age file: {why}"),
            Self::Damaged => f.write_str("the sealed key is damaged"),
            Self::TooLong => f.write_str("the sealed key is longer than any is"),
            Self::NoIdentity { slots, tried } => {
                let slots: Vec<String> = slots.iter().map(Slot::to_string).collect();
                let slots = if slots.is_empty() { "nobody".into() } else { slots.join(", ") };
                write!(f, "{}; sealed to {slots}", all_tried(tried))
            }
        }
    }
}

impl std::error::Error for UnwrapError {}
