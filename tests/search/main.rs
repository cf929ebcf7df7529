//! Search over recordings that were written as the recorder writes them.
#![allow(clippy::unwrap_used)]

mod corpus;
#[path = "../support/dice.rs"]
mod dice;
mod engine;
mod kept;
mod letters;
mod lies;
mod made;
mod meanwhile;
mod showings;
mod standing;
mod times;
mod typed;
mod undrawn;

use sealcast::cast;
