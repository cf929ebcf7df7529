//! A session, recorded: the child in its pseudo-terminal, the loop that copies, and what of it becomes events.
//!
//! The loop never waits for a disk, a cipher or an emulator: it copies to the operator first and hands events to a
//! bounded [`queue`], behind which a recorder seals them.

pub mod capture;
pub mod queue;
pub mod withhold;
