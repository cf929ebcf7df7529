//! The recorded sessions of `fixtures/screens`.

#[path = "../support/screens.rs"]
mod screens;

pub(crate) use screens::{Session, sessions};
use sealcast::cast::{Event, Payload};
use std::time::Duration;

impl Session {
    pub(crate) fn size(&self) -> (u16, u16) {
        (self.cols, self.rows)
    }
}

/// All sessions one after the other, often enough that segments have filters.
pub(crate) fn long_session() -> Session {
    let (mut events, mut at) = (Vec::new(), Duration::ZERO);
    for session in (0..3).flat_map(|_| sessions()) {
        let start = at + Duration::from_secs(3);
        events.push(Event::new(at, Payload::Resize { cols: session.cols, rows: session.rows }));
        for event in session.events {
            at = start + event.time;
            events.push(Event::new(at, event.payload));
        }
    }
    Session { name: "all".into(), cols: 80, rows: 24, events }
}
