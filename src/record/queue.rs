//! The bounded queue between the loop that copies and the thread that seals.
//!
//! Drops nothing. When it is full the loop waits; only the last batch is always taken. It tells how long the oldest batch has waited,
//! or a stalled disk would let a session run on unrecorded until the queue is full. Neither side makes a system call unless the other
//! one sleeps. It carries the way back too: the recorder's words to the operator, and its order to stop.
//!
//! The recorder waits by a timer of the kernel's own, not by a time limit: those obey the slack of the thread's timers, which
//! whoever starts us can choose (`PR_SET_TIMERSLACK`; sudo hands it on), and root inside can change. A slack of years was a
//! recording that is never written, but when the next output comes.

use crate::cast::{Event, Payload};
use crate::sys::alarm::Alarm;
use crate::sys::clock::{self, Turns};
use crate::sys::poll::{Bell, Set};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the recorder has to say to the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Tell the operator, and go on.
    Tell(String),
    /// Tell the operator, take no more input, and hang up the child.
    Stop(String),
}

/// The end of the loop.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    limit: usize,
    /// The time in which the loop has looked.
    turns: Cell<Turns>,
}

/// The end of the recorder.
#[derive(Debug)]
pub struct Intake {
    shared: Arc<Shared>,
    /// What ends a wait in which nothing arrives.
    alarm: RefCell<Alarm>,
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The time is over.
    Yet,
    /// The session is over and everything was received.
    Ever,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the recorder.
    arrived: Bell,
    /// Wakes the loop.
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    /// What waits, and how much time there had been when it was sent.
    batches: VecDeque<(Duration, Vec<Event>)>,
    bytes: usize,
    words: Vec<Word>,
    asked: bool,
    intake_sleeps: bool,
    feed_waits: bool,
    feed_gone: bool,
    intake_gone: bool,
}

/// A queue that holds about `limit` bytes: at least one batch always fits.
///
/// # Errors
/// When there are no descriptors left.
pub fn bounded(limit: usize) -> crate::sys::Result<(Feed, Intake)> {
    let shared = Arc::new(Shared { state: Mutex::default(), arrived: Bell::new()?, bell: Bell::new()? });
    let alarm = RefCell::new(Alarm::new()?);
    Ok((Feed { shared: Arc::clone(&shared), limit, turns: Cell::default() }, Intake { shared, alarm }))
}

/// What an event costs in memory, about.
fn weight(event: &Event) -> usize {
    let data = match &event.payload {
        Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => bytes.capacity(),
        // What the shell tells: whoever is recorded can make that long.
        Payload::Other { code, data } => code.capacity().saturating_add(data.capacity()),
        _ => 64,
    };
    data.saturating_add(std::mem::size_of::<Event>())
}

fn weights(batch: &[Event]) -> usize {
    batch.iter().map(weight).fold(0, usize::saturating_add)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of the other side leaves the state whole: nothing below panics while it changes it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Hands on a batch. Full, it gives the batch back: [`Feed::bell`] rings when there is room. Once the recorder is
    /// gone everything is taken and nothing kept.
    ///
    /// # Errors
    /// The batch itself, when there is no room for it now.
    pub fn send(&self, batch: Vec<Event>) -> Result<(), Vec<Event>> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = weights(&batch);
        let mut state = self.shared.lock();
        if state.intake_gone {
            return Ok(());
        }
        if state.bytes > 0 && state.bytes.saturating_add(bytes) > self.limit {
            state.feed_waits = true;
            return Err(batch);
        }
        self.put(state, batch);
        Ok(())
    }

    /// Hands on the last batch of all, full or not: it is in memory already, and nothing comes after it.
    pub fn send_last(&self, batch: Vec<Event>) {
        let state = self.shared.lock();
        if !state.intake_gone {
            self.put(state, batch);
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, batch: Vec<Event>) {
        state.bytes = state.bytes.saturating_add(weights(&batch));
        state.batches.push_back((self.turns.get().time(), batch));
        if std::mem::take(&mut state.intake_sleeps) {
            drop(state);
            self.shared.arrived.ring();
        }
    }

    /// How long the oldest batch has waited that the recorder has not taken, `now` on the monotonic clock; to be asked at least every
    /// second as long as there is one. From `old` on, [`Feed::bell`] rings when more is taken.
    pub fn oldest(&self, now: Duration, old: Duration) -> Option<Duration> {
        let mut turns = self.turns.get();
        let time = turns.turn(now);
        self.turns.set(turns);
        let mut state = self.shared.lock();
        let age = time.saturating_sub(state.batches.front()?.0);
        state.feed_waits |= age >= old;
        Some(age)
    }

    /// Rings when there is room again, and when the recorder has something to say.
    pub fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// What the recorder had to say since the last time.
    pub fn words(&self) -> Vec<Word> {
        std::mem::take(&mut self.shared.lock().words)
    }

    /// Whether the recorder asked, since the last time, how far the output has been read.
    pub fn asked(&self) -> bool {
        std::mem::take(&mut self.shared.lock().asked)
    }

    /// Whether the recorder is gone: whatever is sent from now on is lost.
    pub fn is_lost(&self) -> bool {
        self.shared.lock().intake_gone
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.lock().feed_gone = true;
        self.shared.arrived.ring();
    }
}

impl Intake {
    /// The next batch, in the order it was sent; waits for it up to `timeout`.
    ///
    /// # Errors
    /// [`Nothing`], when the time or the session is over.
    pub fn receive(&self, timeout: Duration) -> Result<Vec<Event>, Nothing> {
        let due = clock::monotonic().saturating_add(timeout);
        loop {
            let mut state = self.shared.lock();
            if let Some((_, batch)) = state.batches.pop_front() {
                state.bytes = state.bytes.saturating_sub(weights(&batch));
                // Half empty: ringing at every batch would wake the loop for each one it can send.
                if state.feed_waits && state.batches.len() <= 1 {
                    state.feed_waits = false;
                    drop(state);
                    self.shared.bell.ring();
                }
                return Ok(batch);
            }
            if state.feed_gone {
                return Err(Nothing::Ever);
            }
            if clock::monotonic() >= due {
                state.intake_sleeps = false;
                return Err(Nothing::Yet);
            }
            state.intake_sleeps = true;
            drop(state);
            self.sleep(due);
        }
    }

    /// Sleeps until something may have arrived, or until `due` on the monotonic clock; sometimes not so long.
    fn sleep(&self, due: Duration) {
        let mut alarm = self.alarm.borrow_mut();
        let mut set = Set::default();
        let arrived = set.add(&self.shared.arrived, true, false);
        let rings = set.add(&*alarm, true, false);
        if alarm.ring_by(Some(due)).is_err() || set.wait(None).is_err() {
            // The kernel will not let us wait: what arrives is still taken, and written in time.
            return std::thread::yield_now();
        }
        if set.ready(arrived).read {
            self.shared.arrived.silence();
        }
        if set.ready(rings).read {
            alarm.silence();
        }
    }

    /// Says something to the loop, which passes it to the operator.
    pub fn say(&self, word: Word) {
        self.shared.lock().words.push(word);
        self.shared.bell.ring();
    }

    /// Asks the loop to say how far it has read, though nothing comes.
    pub fn ask(&self) {
        self.shared.lock().asked = true;
        self.shared.bell.ring();
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.intake_gone = true;
        state.batches.clear();
        drop(state);
        self.shared.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{DEADLINE, skipped};

    fn batch(n: u8, size: usize) -> Vec<Event> {
        vec![Event::new(Duration::from_millis(n.into()), Payload::Output(vec![n; size]))]
    }

    #[test]
    fn batches_arrive_in_order_and_the_end_is_told() {
        let (feed, intake) = bounded(1 << 20).unwrap();
        let thread = std::thread::spawn(move || {
            let mut got = Vec::new();
            loop {
                match intake.receive(DEADLINE) {
                    Ok(events) => got.extend(events),
                    Err(nothing) => return (got, nothing),
                }
            }
        });
        for n in 0..100 {
            feed.send(batch(n, 10)).unwrap();
        }
        drop(feed);
        let (got, nothing) = thread.join().unwrap();
        let sent: Vec<Event> = (0..100).flat_map(|n| batch(n, 10)).collect();
        assert_eq!((got, nothing), (sent, Nothing::Ever));
    }

    #[test]
    fn a_full_queue_gives_the_batch_back_and_rings_when_there_is_room() {
        let (feed, intake) = bounded(1000).unwrap();
        feed.send(batch(1, 600)).unwrap();
        let back = feed.send(batch(2, 600)).unwrap_err();
        assert_eq!(back, batch(2, 600));
        assert_eq!(intake.receive(DEADLINE).unwrap(), batch(1, 600));
        let mut set = crate::sys::poll::Set::default();
        let slot = set.add(feed.bell(), true, false);
        set.wait(Some(DEADLINE)).unwrap();
        assert!(set.ready(slot).read);
        feed.send(back).unwrap();
    }

    #[test]
    fn what_the_shell_tells_takes_its_room_in_the_queue() {
        let (feed, _intake) = bounded(1000).unwrap();
        let mark = |data: &str| Payload::Other { code: "c".into(), data: data.into() };
        let batch = |size| vec![Event::new(Duration::ZERO, mark(&"x".repeat(size)))];
        feed.send(batch(500)).unwrap();
        assert!(feed.send(batch(500)).is_err());
        feed.send(batch(10)).unwrap();
    }

    #[test]
    fn one_batch_always_fits_however_large() {
        let (feed, _intake) = bounded(10).unwrap();
        feed.send(batch(1, 1000)).unwrap();
        assert!(feed.send(batch(2, 1)).is_err());
    }

    #[test]
    fn a_recorder_that_is_gone_is_noticed_and_never_waited_for() {
        let (feed, intake) = bounded(10).unwrap();
        feed.send(batch(1, 1000)).unwrap();
        intake.say(Word::Stop("disk full".into()));
        drop(intake);
        assert!(feed.is_lost());
        assert_eq!(feed.words(), [Word::Stop("disk full".into())]);
        feed.send(batch(2, 1000)).unwrap();
    }

    #[test]
    fn an_empty_queue_says_not_yet() {
        let (_feed, intake) = bounded(10).unwrap();
        assert_eq!(intake.receive(Duration::from_millis(1)), Err(Nothing::Yet));
    }

    #[test]
    fn a_slack_of_years_in_the_threads_timers_does_not_prolong_a_wait() {
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // `PID/task/TID`; a thread has this file only by its own number.
            let this = std::fs::read_link("/proc/thread-self").unwrap();
            let file = std::path::Path::new("/proc").join(this.file_name().unwrap()).join("timerslack_ns");
            if let Err(error) = std::fs::write(&file, "1000000000000000000") {
                skipped(&format!("{}: {error}", file.display()));
                return told.send(Err(Nothing::Yet)).unwrap();
            }
            let (_feed, intake) = bounded(10).unwrap();
            told.send(intake.receive(Duration::from_millis(1))).unwrap();
        });
        assert_eq!(hears.recv_timeout(DEADLINE), Ok(Err(Nothing::Yet)));
    }
}
