//! A directory of recordings, and the keys that belong to it.

pub mod period;
pub mod personal;
