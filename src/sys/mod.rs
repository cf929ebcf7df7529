//! The only room with `unsafe`: terminals, processes, signals, identities and files as the kernel has them.
//!
//! Every block states what makes it sound. Nothing here knows what a recording is.
#![allow(unsafe_code)]
