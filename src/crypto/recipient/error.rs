//! Why a recipient could not be read, or nothing be sealed to it.

use super::{MAX_FILE, MAX_LINE, MAX_LISTED, MAX_RECIPIENTS};
use std::fmt;

/// Why a line is no recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Nothing that starts like a recipient.
    Unknown,
    /// A secret key where a public one belongs: it must never be repeated in a message.
    SecretKey,
    /// It starts like a recipient, but something is wrong with it.
    Invalid {
        /// What it starts like.
        kind: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Longer than any recipient is.
    TooLong(usize),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not a recipient (age1…, ssh-ed25519 … or ssh-rsa …)"),
            Self::SecretKey => f.write_str("this is a secret key, a recipient is a public one"),
            Self::Invalid { kind, why } => write!(f, "not a valid {kind}: {why}"),
            Self::TooLong(n) => write!(f, "{n} bytes, a recipient has at most {MAX_LINE}"),
        }
    }
}

impl std::error::Error for ParseError {}

/// More recipients than a recording has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// More than [`MAX_RECIPIENTS`].
    Number(usize),
    /// They come to more than [`MAX_LISTED`].
    Length {
        /// How many they are.
        recipients: usize,
        /// What they come to, bytes.
        bytes: usize,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n} recipients, at most {MAX_RECIPIENTS} are possible"),
            Self::Length { recipients, bytes } => write!(
                f,
                "{recipients} recipients come to {bytes} bytes with their comments, and a recording has room for {MAX_LISTED}"
            ),
        }
    }
}

/// Why a recipients file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// A line is no recipient.
    Line {
        /// Its number, from 1.
        line: usize,
        /// Why.
        error: ParseError,
    },
    /// More than [`MAX_FILE`] bytes.
    TooLong(usize),
    /// More than a recording has room for.
    TooMany(Excess),
    /// None at all.
    Empty,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, error } => write!(f, "line {line}: {error}"),
            Self::TooLong(n) => write!(f, "{n} bytes, a recipients file has at most {MAX_FILE}"),
            Self::TooMany(excess) => excess.fmt(f),
            Self::Empty => f.write_str("there is no recipient in it"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// Why a secret could not be wrapped.
#[derive(Debug)]
pub enum WrapError {
    /// No recipient was given.
    NoRecipients,
    /// More than a recording has room for.
    TooMany(Excess),
    /// This recipient needs a plugin, and none may run here.
    NeedsPlugin {
        /// The recipient's label.
        recipient: String,
        /// The program it needs.
        program: String,
    },
    /// The plugin's program is not in `$PATH`.
    PluginMissing(String),
    /// A plugin failed.
    Plugin {
        /// The programs that were run, in backquotes.
        programs: String,
        /// The words of the one that failed (foreign text).
        words: String,
    },
    /// Post-quantum and ordinary recipients do not mix: age refuses, because the weakest decides.
    Mixed,
    /// The age library failed.
    Age(String),
}

impl fmt::Display for WrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipients => f.write_str("no recipient was given"),
            Self::TooMany(excess) => excess.fmt(f),
            Self::NeedsPlugin { recipient, program } => {
                write!(f, "recipient {recipient} needs `{program}`, and a recorder runs no plugins")
            }
            Self::PluginMissing(program) => write!(f, "`{program}` is not in $PATH"),
            Self::Plugin { programs, words } => {
                write!(f, "{programs} failed: {}", crate::text::escaped(words))
            }
            Self::Mixed => f.write_str("post-quantum recipients cannot be mixed with others in one file"),
            Self::Age(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for WrapError {}
