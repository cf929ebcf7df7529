//! Search over recordings that were written as the recorder writes them.
#![allow(clippy::unwrap_used)]

mod corpus;
mod engine;
mod kept;
mod made;
mod times;
mod typed;
