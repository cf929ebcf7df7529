//! Real shells in real terminals: what the integration tells, and that it changes nothing.
#![allow(clippy::unwrap_used)]

mod entries;
mod nested;
mod pty;
mod silence;
#[path = "../support/mod.rs"]
mod support;
mod unchanged;
mod witnesses;
