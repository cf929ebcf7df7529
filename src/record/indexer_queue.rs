//! What stands between the recorder and the thread that makes the index: work, in order and bounded, and answers.
//!
//! When the thread cannot follow, output and input are left out; and what the shell and the keyboard have told, only where that alone
//! is more than may wait: whoever is recorded can make a shell say as much as he likes. It is counted. What the kernel tells does not
//! come this way.

use super::harvest::Harvest;
use super::indexer_commands::Commands;
use crate::cast::{Event, Payload};
use crate::shell::marks::Mark;
use crate::shell::said::Said;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait.
pub(super) const QUEUE: usize = 512 << 10;
/// What an event costs beside its bytes.
const EVENT: usize = 96;

/// What both threads see.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    /// Grows as long as the thread gets on.
    pub(super) turns: Arc<AtomicU64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Work>,
    pub(super) bytes: usize,
    pub(super) answer: Option<Answer>,
    /// Commands that have settled; a segment takes what is there.
    pub(super) harvest: Harvest,
    /// Start (ms) of the latest program in no index entry yet: of a running command since its last snapshot, or still waiting for
    /// its command.
    pub(super) unsealed: Option<u64>,
    /// Commands that there have been.
    pub(super) commands: u64,
    /// What was left out of what the shell and the keyboard have told, since the thread looked last.
    pub(super) unheard: Unheard,
    /// A command or program waits for what is said of its time.
    pub(super) waits: bool,
    /// Nothing more will be asked.
    pub(super) closed: bool,
    /// Nothing more will be answered.
    pub(super) failed: bool,
    /// The reading failed, and programs are heard on by themselves…
    pub(super) hears_on: bool,
    /// …to the end of the session, which has come.
    pub(super) over: bool,
    /// The kernel's trace has failed.
    pub(super) blind: bool,
}

/// Messages of the shell, and of the keyboard, that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unheard {
    /// All of the shell…
    pub(super) marks: u64,
    /// …and of these those that a command starts with.
    pub(super) starts: u64,
    /// Lines that were typed.
    pub(super) lines: u64,
}

impl Unheard {
    pub(super) fn count(&mut self, payload: &Payload) {
        match Said::of(payload) {
            Some(Said::Mark(mark)) => {
                self.marks = self.marks.saturating_add(1);
                self.starts = self.starts.saturating_add(u64::from(matches!(mark, Mark::Start(_))));
            }
            Some(Said::Entered | Said::Alone) => self.lines = self.lines.saturating_add(1),
            _ => {}
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.marks = self.marks.saturating_add(more.marks);
        self.starts = self.starts.saturating_add(more.starts);
        self.lines = self.lines.saturating_add(more.lines);
    }
}

/// What the thread is given to do.
pub(super) enum Work {
    /// The session begins, with witnesses.
    Begin(Box<Commands>),
    Events(Vec<Event>, usize),
    /// Nothing happens on the screen: the kernel's trace is looked at.
    Look,
    /// The rest of this segment is skimmed.
    Skim,
    /// Output or input was left out; whether input was among it.
    Unknown(bool),
    Border(u64),
    /// Asks for the screen alone, numbered like a border.
    Screen(u64),
    #[cfg(test)]
    Panic,
    #[cfg(test)]
    Hold(Arc<std::sync::Barrier>),
}

/// What is to be done with the kernel's trace once the reading has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The session goes on.
    Look,
    /// The session is over: a last time.
    Last,
    /// Nobody asks any more.
    Nobody,
}

/// Whether this is, or comes from, output that nobody answers for, or input: a pipe brings it as fast as a disk reads.
fn can_be_left_out(payload: &Payload) -> bool {
    matches!(payload, Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Input(_))
        || matches!(Said::of(payload), Some(Said::Hint(_)))
}

/// What an event counts for in the queue.
pub(super) fn weight(event: &Event) -> usize {
    let data = match &event.payload {
        Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => bytes.len(),
        Payload::Other { data, .. } => data.len(),
        _ => 0,
    };
    data.saturating_add(EVENT)
}

/// What the thread has to say at a border.
pub(super) struct Answer {
    pub(super) border: u64,
    /// Output or input was left out, or the screen is not known since it was.
    pub(super) unknown: bool,
    pub(super) filter: Vec<u8>,
    pub(super) keyframe: Option<String>,
    pub(super) fault: bool,
}

impl State {
    /// Whether no program is seen any more, though the session goes on.
    pub(super) fn has_lost_sight(&self) -> bool {
        !self.over && (self.blind || self.failed && !self.hears_on)
    }

    /// When the latest program began that is in no index entry, milliseconds.
    pub(super) fn latest(&self) -> Option<u64> {
        self.harvest.latest().max(self.unsealed)
    }

    /// Whether the thread has come to this border.
    pub(super) fn has_answer(&self, border: u64) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.border == border)
    }

    pub(super) fn take_answer(&mut self, border: u64) -> Option<Answer> {
        if self.has_answer(border) { self.answer.take() } else { None }
    }

    /// Queues these events without the output and input among them, and without what anyone can say by output; leaves out what
    /// waits there as well, back to the last border. Of the rest, what is more than may wait is left out and counted, the latest
    /// first: all but the size of the terminal and the end of the session.
    pub(super) fn leave_out_streams(&mut self, events: Vec<Event>) {
        let here = |work: &Work| !matches!(work, Work::Events(..) | Work::Skim | Work::Unknown(_));
        let border = self.queue.iter().rposition(here).map_or(0, |at| at + 1);
        let (mut rest, mut typed) = (Vec::new(), false);
        for work in self.queue.split_off(border) {
            match work {
                Work::Events(events, bytes) => {
                    self.bytes -= bytes;
                    rest.extend(events);
                }
                Work::Unknown(before) => typed |= before,
                _ => {}
            }
        }
        rest.extend(events);
        typed |= rest.iter().any(|event| matches!(event.payload, Payload::Input(_)));
        rest.retain(|event| !can_be_left_out(&event.payload));
        let room = QUEUE.saturating_sub(self.bytes);
        let (mut kept, mut bytes, mut size, mut end) = (Vec::new(), 0, None, None);
        let (mut held, mut through) = (None, None);
        for event in rest {
            let more = weight(&event);
            match (&event.payload, Said::of(&event.payload)) {
                (Payload::Exit(_), _) => end = Some(event),
                // The last word of how far everything has come says all that those before it said.
                (_, Some(Said::Through(_))) => through = Some(event),
                (_, Some(Said::Held(_))) => held = Some(event),
                _ if bytes + more <= room => {
                    bytes += more;
                    kept.push(event);
                }
                // One that is not said changes nothing on the screen, and must not take the place of the one before.
                (Payload::Resize { cols: 1.., rows: 1.. }, _) => size = Some(event),
                (payload, _) => {
                    typed |= matches!(payload, Payload::Withheld(_));
                    self.unheard.count(payload);
                }
            }
        }
        for event in held.into_iter().chain(through).chain(size).chain(end) {
            bytes += weight(&event);
            kept.push(event);
        }
        self.bytes += bytes;
        self.queue.push_back(Work::Unknown(typed));
        self.queue.push_back(Work::Events(kept, bytes));
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready`, for as long as there is patience.
    pub(super) fn wait(
        &self,
        patience: &mut Duration,
        ready: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let begun = Instant::now();
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), *patience, |state| !(ready(state) || state.failed))
            .unwrap_or_else(PoisonError::into_inner);
        *patience = patience.saturating_sub(begun.elapsed());
        state
    }

    /// The thread makes a turn.
    pub(super) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// The next piece of work; [`Work::Look`] when `every` has passed without one.
    pub(super) fn next(&self, every: Option<Duration>) -> Option<Work> {
        self.turn();
        let idle = |state: &mut State| state.queue.is_empty() && !state.closed && !state.failed;
        let mut state = match every {
            None => self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner),
            Some(every) => {
                let waited = self.changed.wait_timeout_while(self.lock(), every, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if state.failed || state.closed {
            return None;
        }
        if state.queue.is_empty() {
            return Some(Work::Look);
        }
        let work = state.queue.pop_front();
        if let Some(Work::Events(_, bytes)) = &work {
            state.bytes -= bytes;
            self.changed.notify_all();
        }
        work
    }

    /// Has the trace looked at, if nothing is to be done anyway. The thread does so by itself, but its own time limit obeys the
    /// slack of its timers, which root can change.
    pub(super) fn look(&self) {
        let mut state = self.lock();
        if !state.failed && state.queue.is_empty() {
            state.queue.push_back(Work::Look);
        }
        self.changed.notify_all();
    }

    /// Waits until it is time to look at the trace again, after the reading has failed.
    pub(super) fn next_look(&self, every: Duration) -> Next {
        self.turn();
        let state = self.lock();
        let state = if state.closed || state.over {
            state
        } else {
            self.changed.wait_timeout(state, every).unwrap_or_else(PoisonError::into_inner).0
        };
        match () {
            () if state.closed => Next::Nobody,
            () if state.over => Next::Last,
            () => Next::Look,
        }
    }

    /// The session is over: waits for the last programs where the reading has failed and they are still heard, for `most`.
    pub(super) fn hear_out(&self, most: Duration) {
        let mut state = self.lock();
        state.over = true;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(state, most, |state| state.hears_on));
    }

    pub(super) fn hand(&self, work: Work) {
        let mut state = self.lock();
        if !state.failed {
            state.queue.push_back(work);
            self.changed.notify_all();
        }
    }

    /// Nothing more will be read. `hears_on`: programs are, by [`Shared::next_look`].
    pub(super) fn fail(&self, hears_on: bool) {
        let mut state = self.lock();
        state.hears_on = hears_on;
        state.failed = true;
        state.queue = VecDeque::new();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_words_of_how_far_it_is_the_last_is_kept_where_output_is_left_out() {
        let at = |n: u64, payload| Event::new(Duration::from_millis(n), payload);
        let mut state = State::default();
        for n in 0..50_000 {
            let events = vec![
                at(n, Payload::Output(vec![b'x'; 100])),
                at(n, Said::Held(Some(n)).payload()),
                at(n, Said::Through(n).payload()),
                at(n, Payload::Input(b"y".into())),
            ];
            state.leave_out_streams(events);
            assert!(state.bytes < 1_000, "{n}: {} bytes", state.bytes);
        }
        state.leave_out_streams(vec![at(9, Payload::Withheld(1))]);
        let Some(Work::Events(events, _)) = state.queue.pop_back() else { panic!() };
        let last = [Said::Held(Some(49_999)), Said::Through(49_999)].map(|said| at(49_999, said.payload()));
        assert_eq!(events, [&[at(9, Payload::Withheld(1))], &last[..]].concat());
    }

    #[test]
    fn where_nothing_more_may_wait_the_last_size_that_was_said_is_kept() {
        let at = |n: u64, cols, rows| Event::new(Duration::from_millis(n), Payload::Resize { cols, rows });
        let mut state = State { bytes: QUEUE, ..State::default() };
        state.leave_out_streams(vec![at(1, 90, 20), at(2, 100, 30), at(3, 0, 0), at(4, 0, 30)]);
        let Some(Work::Events(events, _)) = state.queue.pop_back() else { panic!() };
        assert_eq!(events, [at(2, 100, 30)]);
    }

    #[test]
    fn the_thread_makes_a_turn_with_every_look_also_once_the_reading_has_failed() {
        let shared = Shared::default();
        assert!(matches!(shared.next(Some(Duration::ZERO)), Some(Work::Look)));
        shared.fail(true);
        assert_eq!(shared.next_look(Duration::ZERO), Next::Look);
        assert_eq!(shared.turns.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_trace_is_looked_at_when_it_is_time_however_late_the_thread_would_wake_by_itself() {
        let shared = Arc::new(Shared::default());
        let (theirs, (told, hears)) = (Arc::clone(&shared), std::sync::mpsc::channel());
        let year = Duration::from_secs(365 * 24 * 3600);
        std::thread::spawn(move || {
            while let Some(work) = theirs.next(Some(year)) {
                told.send(matches!(work, Work::Look)).unwrap();
            }
        });
        for _ in 0..2 {
            shared.look();
            assert_eq!(hears.recv_timeout(crate::sys::DEADLINE), Ok(true));
        }
        shared.fail(false);
        shared.look();
        assert!(shared.lock().queue.is_empty());
    }
}
