//! What was typed at a shell and what came of it: the marks that shells send, the start-up files that make them send
//! them, and the command entries that are made of the marks.
//!
//! Refuses to change how the operator's shell behaves, to touch their files, and to believe what a program prints.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod alone;
pub mod commands;
mod differences;
pub mod holes;
pub mod integration;
mod join;
pub mod keys;
pub mod marks;
pub mod notices;
mod quote;
pub mod said;
pub mod screen;
