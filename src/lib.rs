//! sealcast: a body camera for privileged shells.
//!
//! A recording is written encrypted to the investigators, signed from its first byte, forward-secure, and readable to
//! its last flush at any moment. This library is what the `sealcast` binary is made of: layers that only ever use
//! the layers below them (see `doc/ARCHITECTURE.md`; `tests/architecture.rs` enforces it).
//!
//! Who wants to read recordings from a program comes in by one of three doors:
//!
//! - [`store`] finds recordings in a directory, and [`store::seal`] opens them with an identity ([`crypto::identity`]);
//! - [`container::Reader`] reads one, its index and by [`container::Cursor`] its events, and [`container::verify`] judges it;
//! - [`search`] looks for texts and conditions in many.
//!
//! `examples/root_commands.rs` and `examples/grep_store.rs` do so in some forty lines each. [`replay`] and [`export`] go on from a
//! reader. The other modules are public for the binary, its tests and its measurements, and may change with every version; those
//! of which a reader of recordings needs no type are not documented.

pub mod cast;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod commands;
#[doc(hidden)]
pub mod console;
pub mod container;
pub mod crypto;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod exec;
pub mod export;
#[doc(hidden)]
pub mod player;
#[doc(hidden)]
pub mod policy;
#[doc(hidden)]
pub mod record;
pub mod replay;
pub mod search;
#[doc(hidden)]
pub mod shell;
pub mod store;
#[doc(hidden)]
pub mod sys;
pub mod terminal;
pub mod text;
