//! What the loop has for the recorder: events in the order they happened, handed on in batches.
//!
//! A batch waits a moment for company, so that somebody typing does not wake another thread at every key, and is
//! handed on at once when it is large. When the queue is full it is kept here, and the loop reads no more (`waiting`).

mod waiting;

use super::capture::{Capture, Stream};
use super::limit::Limit;
use super::queue::Feed;
use super::withhold::{Reported, Typed, Unseen, Withhold};
use crate::cast::{Event, Payload, line, micros, millis};
use crate::policy::Input;
use crate::shell::keys::Keys;
use crate::shell::said::Said;
use crate::sys::clock;
use crate::sys::tty::Size;
use std::time::Duration;

/// A batch of this size is handed on at once. Four full buffers: in a flood the recorder is woken every fourth time.
const FULL: usize = 64 << 10;
/// A batch of this many events is handed on at once.
const MANY: usize = 128;
/// Output of one millisecond is one event up to this size.
const TOGETHER: usize = 32 << 10;
/// Ends of lines that are told of one read: a large paste is not typed line by line.
const MOST_LINES: usize = 512;

/// Events on their way to the recorder.
pub(super) struct Batch {
    feed: Feed,
    start: Duration,
    events: Vec<Event>,
    bytes: usize,
    since: Duration,
    /// The queue is full, or what is in it too old.
    stuck: bool,
    /// What was typed since.
    meanwhile: usize,
    /// The session waits for a recorder that does not get on; else for its room alone.
    waits: bool,
    /// What waits has waited for too long.
    old: bool,
    /// When that is looked at next.
    next_look: Option<Duration>,
    /// The operator was told of that.
    told: bool,
    /// Everything that was written to the terminal before has been read, and stands here or was handed on; not told yet.
    through: Option<Duration>,
    capture: Capture,
    keys: Keys,
    withhold: Withhold,
    /// [`Withhold::held_since`] has been told of.
    held_told: bool,
    unseen: Unseen,
    typed: Vec<Typed>,
    limit: Limit,
}

/// Adds output to the event before where a recording could not tell the two apart: the same stream in the same
/// millisecond, up to [`TOGETHER`]. A flood is so kept in a tenth of the events, which is less to write and less to read.
/// Gives the event back where it stands on its own.
fn joined(last: Option<&mut Event>, event: Event) -> Option<Event> {
    let Some(last) = last.filter(|last| line::stored(last.time) == line::stored(event.time)) else {
        return Some(event);
    };
    match (&mut last.payload, &event.payload) {
        (Payload::Output(bytes), Payload::Output(more))
        | (Payload::ErrorOutput(bytes), Payload::ErrorOutput(more))
            if bytes.len().saturating_add(more.len()) <= TOGETHER =>
        {
            // A vector that doubles would take up to twice the room.
            bytes.reserve_exact(more.len());
            bytes.extend_from_slice(more);
            None
        }
        _ => Some(event),
    }
}

impl Batch {
    pub(super) fn new(
        feed: Feed,
        start: Duration,
        input: Input,
        keep: Option<u64>,
        size: Option<Size>,
        waits: bool,
    ) -> Self {
        let (mut withhold, mut unseen) = (Withhold::new(input), Unseen::default());
        if let Some(size) = size {
            withhold.resize(size.cols, size.rows);
            unseen.resize(size.cols, size.rows);
        }
        Self {
            feed,
            start,
            events: Vec::new(),
            bytes: 0,
            since: start,
            stuck: false,
            meanwhile: 0,
            waits,
            old: false,
            next_look: None,
            told: false,
            through: None,
            capture: Capture::default(),
            keys: Keys::default(),
            withhold,
            held_told: false,
            unseen,
            typed: Vec::new(),
            limit: Limit::new(keep, input),
        }
    }

    fn elapsed(&self) -> Duration {
        clock::monotonic().saturating_sub(self.start)
    }

    /// Bytes that the operator was shown, and that were read `at` and `shown` at these times of the monotonic clock. All of them
    /// are stored.
    pub(super) fn shown(&mut self, at: Duration, shown: Duration, stream: Stream, bytes: &[u8]) {
        let now = shown.saturating_sub(self.start);
        self.withhold.shown(at.saturating_sub(self.start), bytes, &mut self.typed);
        self.unseen.shown(bytes);
        self.push_typed(now);
        self.push_bytes(stream, now, bytes);
    }

    /// Bytes that went to standard output or error, where it is not the terminal: stored up to the limit.
    pub(super) fn streamed(&mut self, stream: Stream, bytes: &[u8]) {
        let bytes = self.limit.within(stream, bytes);
        let now = clock::monotonic();
        self.shown(now, now, stream, bytes);
    }

    /// Bytes that were typed on the terminal, and read `at` that time of the monotonic clock: before anything that they brought about.
    /// `blind`: nothing is shown now, so no echo of them either.
    pub(super) fn typed(&mut self, at: Duration, bytes: &[u8], secret: bool, blind: bool) {
        let now = at.saturating_sub(self.start);
        let before = self.bytes;
        if self.keys.begin_line() && !secret {
            self.push(Event::new(now, Said::Begins.payload()), 64);
        }
        // That a line was ended shows on the screen; what was typed does not follow from it.
        let lines = self.keys.typed(bytes).into_iter().take(if secret { 0 } else { MOST_LINES });
        for alone in lines {
            let said = if alone { Said::Alone } else { Said::Entered };
            self.push(Event::new(now, said.payload()), 64);
        }
        self.withhold.typed(now, bytes, secret || blind, &mut self.typed);
        self.push_typed(now);
        if self.is_stuck() {
            // Held back or on its way: of both there is an end.
            let more = bytes.len().saturating_add(self.bytes.saturating_sub(before));
            self.meanwhile = self.meanwhile.saturating_add(more);
        }
        self.send_if_full();
    }

    /// Bytes of standard input that the child was given, where it is not the terminal: stored up to the limit.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        let bytes = self.limit.within(Stream::Input, bytes);
        self.push_bytes(Stream::Input, self.elapsed(), bytes);
    }

    /// Anything else. What the shell tells of a line that was typed unseen goes no further than this.
    pub(super) fn event(&mut self, payload: Payload) {
        if let Payload::Resize { cols, rows } = payload {
            self.withhold.resize(cols, rows);
            self.unseen.resize(cols, rows);
        }
        let payload = match Said::of(&payload) {
            Some(said) => {
                if let Said::Mark(mark) = &said {
                    self.keys.told(mark);
                }
                self.unseen.told(said, &mut self.withhold).payload()
            }
            None => payload,
        };
        let bytes = if let Payload::Other { data, .. } = &payload { data.len() } else { 0 };
        let event = Event::new(self.elapsed(), payload);
        self.push(event, bytes.saturating_add(64));
        self.send_if_full();
    }

    fn push_bytes(&mut self, stream: Stream, now: Duration, bytes: &[u8]) {
        if let Some(event) = self.capture.bytes(stream, now, bytes.to_vec()) {
            self.push(event, bytes.len());
        }
        self.send_if_full();
    }

    fn push_typed(&mut self, now: Duration) {
        for typed in std::mem::take(&mut self.typed) {
            match typed {
                Typed::Input(bytes) => {
                    let count = bytes.len();
                    if let Some(event) = self.capture.bytes(Stream::Input, now, bytes) {
                        self.push(event, count);
                    }
                }
                Typed::Withheld(count) => {
                    while let Some(Reported { since, line }) = self.withhold.take_reported() {
                        let at = millis(since);
                        self.push(Event::new(now, Said::Hidden { at, line }.payload()), 64);
                    }
                    self.push(Event::new(now, Payload::Withheld(count)), 64);
                }
            }
        }
    }

    fn push(&mut self, event: Event, bytes: usize) {
        if self.events.is_empty() {
            self.since = clock::monotonic();
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(event) = joined(self.events.last_mut(), event) {
            self.events.push(event);
        }
    }

    fn send_if_full(&mut self) {
        if self.bytes >= FULL || self.events.len() >= MANY {
            self.flush();
        }
    }

    /// Everything that was written to the terminal before this time of the monotonic clock has been read and recorded. It is told with
    /// what is handed on next.
    pub(super) fn through(&mut self, time: Duration) {
        self.through = self.through.max(Some(time));
    }

    /// Tells so at once.
    pub(super) fn tell_through(&mut self) {
        self.push_through();
        self.flush();
    }

    fn push_through(&mut self) {
        let Some(time) = self.through.take() else { return };
        let (at, held) = (time.saturating_sub(self.start), self.withhold.held_since());
        // Before: what is through may leave. Each time, since any of them may be lost on its way.
        self.held_told |= held.is_some();
        if self.held_told {
            let since = held.map(|since| micros(since.saturating_add(self.start)));
            self.push(Event::new(at, Said::Held(since).payload()), 64);
        }
        self.push(Event::new(at, Said::Through(micros(time)).payload()), 64);
    }

    /// Until when the echo of what was typed last is waited for, if something was.
    pub(super) fn echo_deadline(&self) -> Option<Duration> {
        self.withhold.deadline().map(|due| due.saturating_add(self.start))
    }

    /// Gives up waiting for what was to be there by `at`: all that was written until then has been [`Batch::shown`].
    pub(super) fn give_up(&mut self, at: Duration) {
        self.withhold.tick(at.saturating_sub(self.start), &mut self.typed);
        self.push_typed(self.elapsed());
    }

    /// Nothing is shown any more: of all that was typed no more will be seen than was.
    pub(super) fn give_up_all(&mut self) {
        let now = self.elapsed();
        self.withhold.finish(now, &mut self.typed);
        self.push_typed(now);
    }

    /// The session is over: everything that was held back, what was left out, and the exit status. Nothing comes after it that
    /// would have to wait for the recorder: it is handed on whether there is room or not.
    pub(super) fn finish(&mut self, status: i32) {
        let now = self.elapsed();
        self.withhold.finish(now, &mut self.typed);
        self.push_typed(now);
        for event in self.capture.rest(now) {
            self.push(event, 64);
        }
        for gap in self.limit.gaps() {
            self.push(Event::new(now, Payload::Gap(gap)), 64);
        }
        self.push(Event::new(now, Payload::Exit(status)), 64);
        self.push_through();
        self.feed.send_last(std::mem::take(&mut self.events));
        self.stuck = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::marks::Mark;

    #[test]
    fn how_far_the_output_was_read_is_told_behind_it_and_without_any_when_asked() {
        let (feed, intake) = crate::record::queue::bounded(1 << 20).unwrap();
        let start = clock::monotonic();
        let mut batch = Batch::new(feed, start, Input::None, None, None, true);
        let received = || {
            intake
                .receive(Duration::ZERO)
                .ok()
                .map(|events| events.into_iter().map(|event| event.payload).collect::<Vec<_>>())
        };
        let micros = |ms: u64| start + Duration::from_millis(ms);
        let through = |ms: u64| Said::Through(micros(ms).as_micros().try_into().unwrap()).payload();
        batch.through(micros(7));
        batch.flush();
        assert_eq!(received(), None, "nobody is woken for it");
        batch.shown(start, clock::monotonic(), Stream::Output, b"a");
        batch.through(micros(9));
        batch.through(micros(8));
        batch.flush();
        assert_eq!(received(), Some(vec![Payload::Output(b"a".into()), through(9)]));
        batch.shown(start, clock::monotonic(), Stream::Output, b"b");
        batch.flush();
        assert_eq!(received(), Some(vec![Payload::Output(b"b".into())]));
        assert!(!batch.asked());
        intake.ask();
        assert!(batch.asked() && !batch.asked());
        batch.through(micros(10));
        batch.tell_through();
        assert_eq!(received(), Some(vec![through(10)]));
    }

    /// What comes of what is done with a batch of a session that began at the time given.
    fn told(size: Option<Size>, done: impl FnOnce(&mut Batch, Duration)) -> Vec<Payload> {
        let (feed, intake) = crate::record::queue::bounded(1 << 20).unwrap();
        let start = clock::monotonic();
        let mut batch = Batch::new(feed, start, Input::Echoed, None, size, true);
        done(&mut batch, start);
        batch.finish(0);
        drop(batch);
        let events = std::iter::from_fn(|| intake.receive(Duration::ZERO).ok()).flatten();
        events.map(|event| event.payload).collect()
    }

    #[test]
    fn what_is_typed_over_the_margin_of_a_terminal_that_was_resized_is_known_again() {
        for (cols, known) in [(20, true), (40, false)] {
            let line = b"twenty-six letters of a name";
            let size = Size { cols: 80, rows: 24, ..Size::default() };
            let payloads = told(Some(size), |batch, start| {
                batch.event(Payload::Resize { cols, rows: 24 });
                batch.shown(start, start, Stream::Output, b"name: ");
                batch.typed(start, line, false, false);
                // A line editor of a terminal of 20 columns goes to the next row by itself.
                let (first, rest) = line.split_at(14);
                batch.shown(start, start, Stream::Output, &[first, b"\r\n", rest].concat());
                batch.typed(start, b"\r", false, false);
                batch.shown(start, start, Stream::Output, b"\r\n");
            });
            let typed: Vec<u8> = payloads
                .into_iter()
                .filter_map(|payload| if let Payload::Input(bytes) = payload { Some(bytes) } else { None })
                .flatten()
                .collect();
            assert_eq!(typed.starts_with(line), known, "{cols}: {}", typed.escape_ascii());
        }
    }

    #[test]
    fn what_is_typed_at_a_terminal_that_stands_still_is_withheld_whatever_is_shown_later() {
        for blind in [false, true] {
            let payloads = told(None, |batch, start| {
                batch.typed(start, b"hunter2\r", false, blind);
                batch.shown(start, start, Stream::Output, b"hunter2\r\n");
            });
            assert_eq!(payloads.contains(&Payload::Input(b"hunter2\r".into())), !blind, "{payloads:?}");
            assert_eq!(payloads.contains(&Payload::Withheld(1)), blind, "{payloads:?}");
        }
    }

    #[test]
    fn that_a_secret_was_entered_is_not_told() {
        for secret in [false, true] {
            let payloads = told(None, |batch, start| batch.typed(start, b"one\rtwo\r", secret, false));
            let entered = payloads.iter().filter(|payload| **payload == Said::Entered.payload()).count();
            assert_eq!(entered, if secret { 0 } else { 2 });
        }
    }

    #[test]
    fn of_a_hundred_lines_that_are_pasted_each_is_told_of() {
        let paste = "ls\r".repeat(100);
        let payloads = told(None, |batch, start| batch.typed(start, paste.as_bytes(), false, false));
        let entered = payloads.iter().filter(|payload| **payload == Said::Entered.payload()).count();
        assert_eq!(entered, 100);
    }

    #[test]
    fn whether_enter_was_the_only_key_at_a_prompt_is_told() {
        let end = Said::Mark(Mark::End { status: Some(0), pipe: Vec::new(), cancelled: false });
        let payloads = told(None, |batch, start| {
            for typed in ["ls\r", "\r", "id", "\r", "\r"] {
                batch.typed(start, typed.as_bytes(), false, false);
                if typed.ends_with('\r') {
                    batch.event(end.payload());
                }
            }
        });
        let said = payloads.iter().filter_map(Said::of);
        let lines: Vec<Said> = said.filter(|said| matches!(said, Said::Entered | Said::Alone)).collect();
        assert_eq!(lines, [Said::Entered, Said::Alone, Said::Entered, Said::Alone]);
    }

    #[test]
    fn output_of_one_stream_in_one_millisecond_is_one_event_and_nothing_else_is_joined() {
        let at = |micros, payload| Event::new(Duration::from_micros(micros), payload);
        let out = |text: &str| Payload::Output(text.into());
        let mut events = vec![at(5_500, out("a"))];
        for event in [
            at(6_499, out("b")),
            at(6_500, out("c")),
            at(6_601, Payload::ErrorOutput("d".into())),
            at(6_602, Payload::ErrorOutput("e".into())),
            at(6_603, out("f")),
            at(6_604, Payload::Input("g".into())),
            at(6_605, Payload::Input("h".into())),
            at(6_606, Payload::Resize { cols: 1, rows: 1 }),
            at(6_607, out("i")),
        ] {
            let alone = joined(events.last_mut(), event);
            events.extend(alone);
        }
        let expected = [
            at(5_500, out("ab")),
            at(6_500, out("c")),
            at(6_601, Payload::ErrorOutput("de".into())),
            at(6_603, out("f")),
            at(6_604, Payload::Input("g".into())),
            at(6_605, Payload::Input("h".into())),
            at(6_606, Payload::Resize { cols: 1, rows: 1 }),
            at(6_607, out("i")),
        ];
        assert_eq!(events, expected);
    }
}
