//! One file per subcommand: its arguments as typed, and its body.
//!
//! Here, and nowhere below, the environment is read and a person is asked. Engines get arguments as meant.

mod ask;
pub mod completions;
pub mod config;
mod draft;
mod excerpt;
pub mod export;
mod filter;
pub mod follow;
mod format;
mod judged;
pub mod keys;
pub mod ls;
mod marks;
mod onward;
mod part;
pub mod play;
mod recordings;
pub mod run;
pub mod search;
pub mod shell;
pub mod show;
pub mod verify;
mod watch;

use crate::console::Console;
use crate::crypto::identity::Identities;
use crate::crypto::prompt::Prompt;
use crate::error::Result;
use crate::store::personal::Personal;
use crate::sys;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the process was given besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Its environment variables.
    pub variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// `$NO_COLOR` is set and not empty (<https://no-color.org>).
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// `$TERM` names a terminal without control sequences, or none.
    pub fn is_dumb(&self) -> bool {
        self.get("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb")
    }
}

/// What every command works with.
pub struct Context {
    /// Where it speaks.
    pub console: Arc<Console>,
    /// Where it is.
    pub environment: Environment,
}

impl Context {
    /// Personal mode of whoever runs us.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn personal(&self) -> Result<Personal> {
        let environment = &self.environment;
        Ok(Personal::from_environment(environment.get("HOME"), environment.get("XDG_DATA_HOME"))?)
    }

    /// A path as it is shown: on a terminal with `~` for the home directory, in a pipe whole.
    pub(crate) fn short_path(&self, path: &Path) -> String {
        let home = self.environment.get("HOME").map(Path::new).filter(|home| home.is_absolute());
        match home.and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) if self.console.is_terminal() => format!("~/{}", rest.display()),
            _ => path.display().to_string(),
        }
    }

    /// Asks on the controlling terminal.
    pub fn prompt(&self) -> Arc<dyn Prompt> {
        Arc::new(ask::Terminal::new(Arc::clone(&self.console)))
    }

    /// The identity files that were named, or else the personal one where there is one.
    ///
    /// # Errors
    /// When a named one cannot be read, or the personal one cannot be looked for.
    pub fn identities(&self, named: &[PathBuf]) -> Result<Identities> {
        let ([], Ok(personal)) = (named, self.personal()) else {
            return Ok(Identities::load(named, self.prompt())?);
        };
        let own = personal.identity();
        match own.metadata() {
            Ok(_) => Ok(Identities::load(&[own], self.prompt())?),
            Err(error) if is_absent(&error) => Ok(Identities::absent(own, self.prompt())),
            Err(error) => Err(sys::Error::at("look for", &own, error).into()),
        }
    }
}

/// Whether this says that there is no such file. Of a directory that is closed it is not known.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
