//! Search over recordings.

pub mod condition;
mod literals;
pub mod pattern;
pub mod query;
pub mod when;
