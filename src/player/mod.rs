//! The player: what an investigator sees of a recording, and the browser of the store.
//!
//! State ([`App`], [`Browser`]), pure updates that give effects, and a view that draws cells. Recorded bytes never reach the
//! viewer's terminal: they go through the emulator, and what comes out is drawn cell by cell with deceptive characters left
//! out. Refuses to change a recording: marks are kept beside it, by whoever gives a [`Host`].

mod app;
mod browser;
mod find;
mod hits;
#[cfg(test)]
mod hole_tests;
#[cfg(test)]
mod hostile_tests;
mod keymap;
mod lists;
mod mouse;
mod pages;
mod prompt;
mod reading;
mod stage;
#[cfg(test)]
mod tests;
mod times;
#[cfg(test)]
mod told_tests;
mod update;
mod view;

pub use app::{App, Depth, Effect, IDLE_LIMIT, Integrity, Mark, Message, Scene, Title, Unsearched};
pub use browser::{Browser, Row, query};
pub use find::{Finder, Hit, Pattern, Scope};
pub use keymap::{Action, Binding, TABLE as KEYS};
pub use stage::{Host, Stage, StageError, run};
pub use times::{Asked, parse_first};
