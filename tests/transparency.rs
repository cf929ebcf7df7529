//! The operator notices nothing: a program behind the wrapper behaves as it does without it.
//!
//! Every case drives real programs in a real terminal.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

mod transparency {
    mod background;
    mod ends;
    mod hung_up;
    mod jobs;
    mod namespaces;
    mod neighbours;
    mod pipes;
    mod readers;
    mod screen;
    mod signals;
    mod started;
    mod stops;
    mod streams;
}
