//! sealcast: a body camera for privileged shells.
//!
//! A recording is written encrypted to the investigators, signed from its first byte, forward-secure, and readable to
//! its last flush at any moment. This library is what the `sealcast` binary is made of: layers that only ever use
//! the layers below them (see `doc/ARCHITECTURE.md`; `tests/architecture.rs` enforces it).

pub mod cast;
pub mod cli;
pub mod commands;
pub mod console;
pub mod container;
pub mod crypto;
pub mod error;
pub mod exec;
pub mod export;
pub mod player;
pub mod policy;
pub mod record;
pub mod replay;
pub mod search;
pub mod shell;
pub mod store;
pub mod sys;
pub mod terminal;
pub mod text;
