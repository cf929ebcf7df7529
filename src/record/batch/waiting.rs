//! When a batch is handed on, and what happens while it cannot be.
//!
//! Refuses to drop anything: where the queue is full, or what waits in it too old, the loop reads no more; where the session is to go
//! on whatever is recorded, not before the queue is full.

use super::Batch;
use crate::record::queue::Word;
use crate::sys::clock;
use crate::sys::poll::Bell;
use std::time::Duration;

/// A batch waits this long for more.
const COMPANY: Duration = Duration::from_millis(50);
/// While the queue is full, this much typed input is still taken, so that ^C passes.
const MOST_INPUT: usize = 64 << 10;

/// What waits for longer than this is not taken by a recorder that merely writes: three flushes, and time for a disk that others keep
/// busy. No more is to happen then than can be recorded.
const OLD: Duration = Duration::from_secs(5);
/// How often that is looked at as long as something waits.
const LOOK: Duration = Duration::from_secs(1);
/// What the operator is told when the session waits for that, and when it does not any longer.
const WAITS: &str = "the recording cannot be written at the moment: the session waits for it";
/// The same where it waits for room alone.
const GOES_ON_YET: &str =
    "the recording cannot be written at the moment: the session goes on until too much waits for it";
/// See [`WAITS`].
const GOES_ON: &str = "the recording is written again: the session goes on";

impl Batch {
    /// Hands the batch on, if there is room.
    pub(in crate::record) fn flush(&mut self) {
        if !self.stuck {
            self.hand_on();
        }
    }

    /// There may be room again.
    pub(in crate::record) fn retry(&mut self) {
        if self.stuck && !self.must_wait() {
            self.hand_on();
        }
    }

    /// Whether the session waits until what waits is taken.
    fn must_wait(&self) -> bool {
        self.waits && self.old
    }

    /// Looks at how old it is what waits, `now`.
    fn look(&mut self, now: Duration) {
        let age = self.feed.oldest(now, OLD);
        self.next_look = age.map(|_| now.saturating_add(LOOK));
        let was_old = std::mem::replace(&mut self.old, age.is_some_and(|age| age >= OLD));
        if self.must_wait() {
            self.stuck = true;
        } else if was_old {
            self.retry();
        }
    }

    /// What the operator is to be told of that, once.
    pub(in crate::record) fn tells(&mut self) -> Option<&'static str> {
        let (now, before) = (self.old || self.told && self.is_stuck(), self.told);
        self.told = now;
        let begins = if self.waits { WAITS } else { GOES_ON_YET };
        (now != before).then_some(if now { begins } else { GOES_ON })
    }

    fn hand_on(&mut self) {
        if !self.events.is_empty() {
            self.push_through();
        }
        match self.feed.send(std::mem::take(&mut self.events)) {
            Ok(()) => {
                (self.bytes, self.meanwhile) = (0, 0);
                self.stuck = false;
            }
            Err(back) => (self.events, self.stuck) = (back, true),
        }
    }

    /// Whether the queue is full, or too old: nothing more is to be read then.
    pub(in crate::record) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Whether keys may still be taken.
    pub(in crate::record) fn takes_input(&self) -> bool {
        !self.must_wait() && self.meanwhile < MOST_INPUT
    }

    /// Whether the recorder is gone.
    pub(in crate::record) fn is_lost(&self) -> bool {
        self.feed.is_lost()
    }

    /// Whether the recorder wants [`Batch::tell_through`].
    pub(in crate::record) fn asked(&self) -> bool {
        self.feed.asked()
    }

    /// Rings for [`Batch::words`] and [`Batch::retry`].
    pub(in crate::record) fn bell(&self) -> &Bell {
        self.feed.bell()
    }

    /// What the recorder has to say.
    pub(in crate::record) fn words(&self) -> Vec<Word> {
        self.feed.words()
    }

    /// When [`Batch::tick`] has something to do.
    pub(in crate::record) fn deadline(&self) -> Option<Duration> {
        self.company().into_iter().chain(self.next_look).min()
    }

    fn company(&self) -> Option<Duration> {
        (!self.events.is_empty() && !self.stuck).then(|| self.since.saturating_add(COMPANY))
    }

    /// Hands on what has waited for long enough.
    pub(in crate::record) fn tick(&mut self) {
        let now = clock::monotonic();
        if self.company().is_some_and(|due| now >= due) {
            self.flush();
        }
        self.look(now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::FULL;
    use super::*;
    use crate::cast::Payload;
    use crate::policy::Input;
    use crate::record::capture::Stream;
    use crate::record::queue::bounded;

    /// A recorder that takes nothing, or only the oldest now and then; and all of us stopped.
    #[test]
    fn a_session_does_not_go_on_while_what_it_has_told_gets_old_and_a_stop_of_all_makes_nothing_old() {
        let (feed, intake) = bounded(1 << 20).unwrap();
        let start = clock::monotonic();
        let mut batch = Batch::new(feed, start, Input::None, None, None, true);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let show = |batch: &mut Batch| {
            batch.shown(start, clock::monotonic(), Stream::Output, b"a");
            batch.flush();
        };
        batch.look(at(0));
        show(&mut batch);
        // Nobody looks for an hour: a look counts as a second.
        for (look, second) in [0, 1, 3_600, 3_601, 3_602].into_iter().enumerate() {
            batch.look(at(second));
            assert_eq!((batch.is_stuck(), batch.takes_input(), batch.tells()), (false, true, None), "{look}");
            assert!(batch.deadline().unwrap() <= at(second + 1));
        }
        show(&mut batch);
        batch.look(at(3_603));
        assert_eq!((batch.is_stuck(), batch.takes_input(), batch.tells()), (true, false, Some(WAITS)));
        batch.retry();
        batch.look(at(3_604));
        assert_eq!((batch.is_stuck(), batch.tells()), (true, None));
        show(&mut batch);
        // The older one is taken: the next was sent a second before that was seen.
        assert_eq!(intake.receive(Duration::ZERO).unwrap().len(), 1);
        batch.look(at(3_605));
        assert_eq!((batch.is_stuck(), batch.takes_input(), batch.tells()), (false, true, Some(GOES_ON)));
        // What came meanwhile was handed on then.
        for left in [1, 1] {
            assert_eq!(intake.receive(Duration::ZERO).unwrap().len(), left);
        }
        batch.look(at(3_606));
        assert_eq!((batch.deadline(), batch.is_stuck()), (None, false));
    }

    #[test]
    fn a_full_queue_that_gets_old_takes_no_keys_and_where_the_session_is_to_go_on_it_gets_full_at_most() {
        for (waits, told) in [(true, WAITS), (false, GOES_ON_YET)] {
            let (feed, _intake) = bounded(1).unwrap();
            let start = clock::monotonic();
            let mut batch = Batch::new(feed, start, Input::None, None, None, waits);
            for _ in 0..2 {
                batch.shown(start, clock::monotonic(), Stream::Output, b"a");
                batch.flush();
            }
            assert!(batch.is_stuck() && batch.takes_input() && batch.tells().is_none());
            for second in 0..10 {
                batch.look(start + Duration::from_secs(second));
            }
            assert_eq!((batch.is_stuck(), batch.takes_input(), batch.tells()), (true, !waits, Some(told)));
            assert_eq!(batch.tells(), None);
        }
    }

    #[test]
    fn where_the_session_is_to_go_on_it_does_though_it_is_told_that_nothing_is_taken() {
        let (feed, intake) = bounded(1 << 20).unwrap();
        let start = clock::monotonic();
        let mut batch = Batch::new(feed, start, Input::None, None, None, false);
        batch.shown(start, clock::monotonic(), Stream::Output, b"a");
        batch.flush();
        for second in 0..10 {
            batch.look(start + Duration::from_secs(second));
        }
        assert_eq!((batch.tells(), batch.is_stuck(), batch.takes_input()), (Some(GOES_ON_YET), false, true));
        intake.receive(Duration::ZERO).unwrap();
        batch.look(start + Duration::from_secs(10));
        assert_eq!((batch.tells(), batch.deadline()), (Some(GOES_ON), None));
    }

    #[test]
    fn the_end_of_a_session_is_handed_on_however_full_the_queue_is_and_however_old() {
        for waits in [true, false] {
            let (feed, intake) = bounded(1).unwrap();
            let start = clock::monotonic();
            let mut batch = Batch::new(feed, start, Input::None, None, None, waits);
            for byte in [b"a", b"b"] {
                batch.shown(start, clock::monotonic(), Stream::Output, byte);
                batch.flush();
            }
            for second in 0..10 {
                batch.look(start + Duration::from_secs(second));
            }
            batch.finish(3);
            drop(batch);
            let taken = std::iter::from_fn(|| intake.receive(Duration::ZERO).ok()).flatten();
            let taken: Vec<_> = taken.map(|event| event.payload).collect();
            let expected = [Payload::Output(b"a".into()), Payload::Output(b"b".into()), Payload::Exit(3)];
            assert_eq!(taken, expected);
        }
    }

    #[test]
    fn while_the_queue_is_full_keys_pass_up_to_a_limit_however_much_output_waits() {
        let (feed, intake) = bounded(1).unwrap();
        let start = clock::monotonic();
        let mut batch = Batch::new(feed, start, Input::Echoed, None, None, true);
        batch.shown(start, clock::monotonic(), Stream::Output, &[b'x'; FULL]);
        assert!(!batch.is_stuck(), "one batch always fits");
        batch.shown(start, clock::monotonic(), Stream::Output, &[b'x'; FULL]);
        assert!(batch.is_stuck() && batch.takes_input());
        batch.typed(start, b"\x03", false, false);
        assert!(batch.takes_input());
        // Withheld or not.
        batch.typed(start, &[b'a'; MOST_INPUT / 2], true, false);
        assert!(batch.takes_input());
        batch.typed(start, &[b'a'; MOST_INPUT / 2], false, false);
        assert!(!batch.takes_input());
        intake.receive(Duration::ZERO).unwrap();
        batch.retry();
        assert!(!batch.is_stuck() && batch.takes_input());
    }
}
