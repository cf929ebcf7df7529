//! A session, recorded: the child in its pseudo-terminal, the loop that copies, and what of it becomes events.
//!
//! The loop never waits for a disk, a cipher or an emulator: it copies to the operator first and hands events to a
//! bounded [`queue`], behind which a recorder seals them.
//!
//! - One recording from order to close: `take`; of it, the terminal and the child: `session`; as whom: `elevate`; what is
//!   said of it: `facts`, with `users` and names of `groups`.
//! - The loop that copies: `pump`, over a `lane` for each direction, and `feeding` where standard input is not the terminal;
//!   whose the keyboard is: `keyboard`.
//! - What of it becomes events: `capture`, of the keys `withhold`, and of streams up to their `limit`. They are handed on by
//!   `batch`, through the `queue`.
//! - The thread that seals: `recorder`; what it asks of its `disk`; when it stood still: `pauses`; whether programs are
//!   seen: `sight`.
//! - The thread of the screen, with keyframes and filters: `indexer_thread`, and of commands `indexer_commands`, who have room for
//!   so much in the `harvest` of a segment; `indexer` asks it, through the `indexer_queue`.
//! - What else is heard: `witness` (the shell and the kernel), with the shell's files in `start_dir`.

mod batch;
pub mod capture;
pub mod disk;
pub mod elevate;
pub mod facts;
mod feeding;
pub mod groups;
mod harvest;
pub mod indexer;
mod indexer_commands;
mod indexer_queue;
mod indexer_thread;
mod keyboard;
mod lane;
mod limit;
mod pauses;
mod pump;
pub mod queue;
pub mod recorder;
pub mod session;
mod sight;
pub mod start_dir;
pub mod take;
pub mod users;
pub mod withhold;
pub mod witness;

pub use disk::Disk;
pub use indexer::ScreenIndexer;
pub use recorder::{Indexer, NoIndex, Policy, Recorded};
pub use take::{Error, Fit, Guarding, Order, ReadSigner, Taken, take};
