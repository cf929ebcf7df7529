//! Real shells in real terminals: what the integration tells, and that it changes nothing.

mod entries;
mod pty;
mod unchanged;
