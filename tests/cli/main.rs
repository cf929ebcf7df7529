//! The binary from outside: what people type and see, exit codes, and what happens to bad input.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod bad_input;
mod forged;
mod keys;
mod pages;
mod players;
mod plugin;
mod reading;
mod renamed;
mod sandbox;
mod searching;
