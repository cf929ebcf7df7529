//! The binary from outside: what people type and see, exit codes, and what happens to bad input.
#![allow(clippy::unwrap_used)]

mod asked;
mod bad_input;
mod denied;
#[path = "../support/forge.rs"]
mod forge;
mod forged;
mod gaps;
mod home;
mod identities;
mod kept;
mod keys;
mod pages;
mod players;
mod playing;
mod plugin;
mod reading;
mod renamed;
mod searching;
#[path = "../support/second.rs"]
mod second;
mod signed_anew;
mod sizes;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use support::{dice, skipped};
