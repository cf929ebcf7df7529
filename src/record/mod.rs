//! A session, recorded: the child in its pseudo-terminal, the loop that copies, and what of it becomes events.
//!
//! The loop never waits for a disk, a cipher or an emulator: it copies to the operator first and hands events to a
//! bounded [`queue`], behind which a recorder seals them.

mod batch;
pub mod capture;
pub mod disk;
pub mod elevate;
pub mod facts;
pub mod indexer;
mod indexer_commands;
mod indexer_queue;
mod keyboard;
mod lane;
mod pauses;
mod pump;
pub mod queue;
pub mod recorder;
pub mod session;
mod sight;
pub mod start_dir;
pub mod take;
pub mod withhold;
pub mod witness;

pub use disk::Disk;
pub use indexer::ScreenIndexer;
pub use recorder::{Indexer, NoIndex, Policy, Recorded};
pub use take::{Error, Fit, Guarding, Order, ReadSigner, Taken, take};
