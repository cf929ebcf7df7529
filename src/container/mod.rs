//! The sealed file format, version 1 (`doc/FORMAT.md`).
//!
//! One append-only file per session: framed chunks, sealed under keys that only go forward, signed by keys that sign
//! once, certified by the host. Works on `Read + Seek` and `Write`; refuses to open a path, to read a clock, or to
//! allocate for a length it has not checked.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod cert;
mod check;
mod chunk;
mod content;
mod cursor;
mod end;
mod error;
pub mod filter;
pub mod fit;
pub mod frame;
mod header;
pub mod ids;
pub mod index;
mod keys;
pub mod limits;
mod opening;
mod order;
mod reader;
mod running;
mod slots;
mod tear;
#[cfg(test)]
mod tests;
mod told;
pub mod verify;
mod writer;

pub use cert::Certificate;
pub use content::verify_content;
pub use cursor::{Cursor, Lost};
pub use error::Error;
pub use fit::LeftOut;
pub use header::{Header, Meta, ORIGIN_WITNESSED};
pub use index::{Entry, GivenUp, Tally, commands};
pub use keys::SessionKeys;
pub use opening::Opening;
pub use reader::{Reader, Wanted};
pub use slots::{Slot, SlotKind};
pub use writer::{Closed, Extras, Setup, Sink, Writer};

/// Last bytes of a closed recording.
pub const TRAILER_END: &[u8; 6] = b"SC1END";
/// Length of the trailer chunk, frame included.
pub const TRAILER_LEN: u64 = 16 + 22;
