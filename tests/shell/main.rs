//! Real shells in real terminals: what the integration tells, and that it changes nothing.

mod pty;
mod unchanged;
