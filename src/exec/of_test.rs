//! Traces for the tests of others: of what the test tells, and of a thread that fails or stands still.

use super::{Event, Running, Trace, Waiting, size};
use crate::sys::poll::Bell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};

impl Trace {
    /// What grows as long as it gets on.
    pub(crate) fn turns_of_test(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.waiting.turns)
    }

    /// A trace that has failed.
    pub(crate) fn failed_of_test() -> Self {
        let trace = Self::running_of_test(|| ());
        while !trace.has_failed() {
            std::thread::yield_now();
        }
        trace
    }

    /// A trace that stands still until it is told to end.
    pub(crate) fn still_of_test() -> (Self, Sender<()>) {
        let (go_on, waits) = channel();
        (Self::running_of_test(move || assert!(waits.recv().is_err())), go_on)
    }

    fn running_of_test(body: impl FnOnce() + Send + 'static) -> Self {
        let (ended, ends) = channel();
        let thread = std::thread::spawn(move || {
            let _ended: Sender<()> = ended;
            body();
        });
        let mut trace = Self::of_test().0;
        trace.running = Some(Running { bell: Arc::new(Bell::new().unwrap()), thread, ends });
        trace
    }

    /// A trace of what a test tells.
    pub(crate) fn of_test() -> (Self, impl Fn(Event)) {
        let (sender, events) = channel();
        let waiting = Arc::new(Waiting { through: AtomicU64::new(u64::MAX), ..Waiting::default() });
        let theirs = Arc::clone(&waiting);
        let tell = move |event: Event| {
            theirs.sent(size(&event), matches!(event, Event::Executed(_)));
            let _ = sender.send(event);
        };
        (Self { events, waiting, running: None }, tell)
    }
}
