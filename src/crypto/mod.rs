//! Keys, AEAD, signatures and digests: thin rooms around well-kept crates.
//!
//! Refuses to invent: every primitive is somebody else's, reviewed and named in its room's head.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod chain;
pub mod digest;
pub mod identity;
pub mod known_keys;
pub mod prompt;
pub mod recipient;
pub mod seal;
pub mod sshsig;

#[cfg(test)]
mod hostile_tests;
