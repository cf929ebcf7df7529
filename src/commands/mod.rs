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
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
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
    /// When a named one cannot be read.
    pub fn identities(&self, named: &[PathBuf]) -> Result<Identities> {
        let paths = match (named, self.personal()) {
            ([], Ok(personal)) if personal.identity().exists() => vec![personal.identity()],
            (named, _) => named.to_vec(),
        };
        Ok(Identities::load(&paths, self.prompt())?)
    }
}
