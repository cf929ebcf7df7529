//! Why a policy could not be used.

use crate::crypto::sshsig;
use crate::sys;
use crate::text::and_more;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong in a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong, in lower case and without a full stop.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Why a policy could not be used.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read, or others could have written it.
    System(sys::Error),
    /// Something in it is wrong; at least one problem, in the order of the file.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// Nobody could open the recordings.
    NoRecipients {
        /// The file.
        path: PathBuf,
    },
    /// A recipient needs a plugin, which a recorder does not run, and there is no period key.
    NeedsPlugin {
        /// The file.
        path: PathBuf,
        /// The recipient's label.
        recipient: String,
        /// The program it needs.
        program: String,
    },
    /// The signing key is no usable key.
    Signer {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sshsig::Error,
    },
    /// The signing key can be read by others.
    OpenKey {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::File { path, problems } => match problems.as_slice() {
                [] => write!(f, "{} cannot be used", path.display()),
                [first, rest @ ..] => write!(f, "{}: {first}{}", path.display(), and_more(rest.len())),
            },
            Self::NoRecipients { path } => {
                write!(f, "{} names no recipients: nobody could ever open a recording", path.display())
            }
            Self::NeedsPlugin { path, recipient, program } => write!(
                f,
                "{}: recipient {} needs `{program}`, and a recorder runs no plugins",
                path.display(),
                crate::text::escaped(recipient)
            ),
            Self::Signer { path, .. } => write!(f, "signing key {}", path.display()),
            Self::OpenKey { path, mode } => {
                write!(f, "signing key {} can be read by others (mode {mode:04o})", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its display leaves its reason to its source.
            Self::System(error) => error.source(),
            Self::Signer { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::System(error)
    }
}
