//! The thread of the indexer: reads the copies of events that it is handed, and answers at the borders of segments.
//!
//! It alone knows the emulator. It waits for work only, never for the recorder; what it refuses is to answer for a screen of which
//! something was left out.

use super::indexer_commands::Commands;
use super::indexer_queue::{Answer, Next, Shared, Work};
use crate::cast::{Event, Payload};
use crate::container::{filter, limits};
use crate::sys::stack::{READING, apart};
use crate::terminal::{Canvas, Line, Shown, Sieve, Typed, TypedLine};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How often the kernel's trace is looked at while nothing happens on the screen.
const LOOK_AT_TRACE: Duration = Duration::from_millis(250);
/// A keyframe is left out until this many times its length was output since the one before.
const WORTH: usize = 8;

/// The thread, for a session that is drawn on this. With `always`, every segment has a filter, however small.
pub(super) fn run(shared: &Shared, canvas: Canvas, always: bool) {
    let mut commands = None;
    // Nothing of the broken state is looked at again but the kernel's trace, which is no part of it.
    let _ = catch_unwind(AssertUnwindSafe(|| read(shared, canvas, always, &mut commands)));
    shared.fail(commands.is_some());
    commands.into_iter().for_each(|commands| hear_on(shared, *commands));
}

fn read(shared: &Shared, canvas: Canvas, always: bool, commands: &mut Option<Box<Commands>>) {
    let mut reading = Reading::new(shared, canvas, always, commands);
    while let Some(work) = shared.next(reading.commands.as_ref().map(|_| LOOK_AT_TRACE)) {
        reading = reading.turn(work);
    }
}

/// The reading has failed, and no command will be told any more. What the kernel tells is heard on to the end of the session.
fn hear_on(shared: &Shared, mut commands: Commands) {
    // Were it to fail as well, nobody is to wait for it.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        loop {
            let next = shared.next_look(LOOK_AT_TRACE);
            if next == Next::Nobody {
                break;
            }
            let mut harvest = std::mem::take(&mut shared.lock().harvest);
            commands.programs(next == Next::Last, &mut harvest);
            let blind = commands.is_blind(&mut harvest);
            let mut state = shared.lock();
            (state.harvest, state.blind) = (harvest, blind);
            if next == Next::Last {
                break;
            }
        }
    }));
    shared.lock().hears_on = false;
    shared.changed.notify_all();
}

/// What has been read of the session.
struct Reading<'a> {
    shared: &'a Shared,
    canvas: Canvas,
    always: bool,
    /// The caller's: they outlive a reading that fails.
    commands: &'a mut Option<Box<Commands>>,
    filter: RefCell<filter::Builder>,
    sieve: Sieve,
    typed: Typed,
    /// Time of the last event.
    last: Duration,
    /// Output of this segment.
    raw: usize,
    /// Output since the last keyframe.
    since: usize,
    /// The reading has lines from the start of the segment on.
    whole: bool,
    /// Output of this segment was left out, or stood on a screen that is not known.
    unknown: bool,
    /// Something was left out of the line that is being typed.
    torn: bool,
    /// Something was left out of a line that was typed in this segment.
    tore: bool,
}

impl<'a> Reading<'a> {
    fn new(
        shared: &'a Shared,
        canvas: Canvas,
        always: bool,
        commands: &'a mut Option<Box<Commands>>,
    ) -> Self {
        Self {
            shared,
            canvas,
            always,
            commands,
            filter: RefCell::default(),
            sieve: Sieve::new(Shown::new(canvas)),
            typed: Typed::default(),
            last: Duration::ZERO,
            raw: 0,
            since: 0,
            whole: true,
            unknown: false,
            torn: false,
            tore: false,
        }
    }

    /// Does a piece of work, and leaves nothing of it on the stack: what comes next may be skimmed, or not be read at all, and would
    /// run over nothing of it for the rest of the session.
    fn turn(self, work: Work) -> Self {
        apart(READING, || self.go_on(work))
    }

    fn go_on(mut self, work: Work) -> Self {
        match work {
            Work::Begin(begun) => self.begin(begun),
            // Long lists of programs do not wait for something to happen on the screen.
            Work::Look => self.settle(false),
            Work::Events(events, _) => self.events(&events),
            Work::Skim => return self.skim(),
            Work::Unknown(input) => return self.unknown(input),
            Work::Border(border) => return self.border(border),
            Work::Screen(border) => self.screen(border),
            #[cfg(test)]
            Work::Panic => panic!("asked for by a test"),
            #[cfg(test)]
            Work::Hold(barrier) => drop(barrier.wait()),
        }
        self
    }

    fn begin(&mut self, begun: Box<Commands>) {
        self.shared.lock().commands = begun.seen();
        *self.commands = Some(begun);
    }

    /// Puts what the witnesses have told so far where the next segment finds it.
    fn settle(&mut self, border: bool) {
        let Some(commands) = self.commands else { return };
        let (mut harvest, unheard) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.harvest), std::mem::take(&mut state.unheard))
        };
        commands.unheard(unheard);
        commands.settle(border, &mut harvest);
        let blind = commands.is_blind(&mut harvest);
        let mut state = self.shared.lock();
        (state.harvest, state.commands, state.waits, state.blind) =
            (harvest, commands.seen(), commands.waits(), blind);
        state.unsealed = commands.unsealed();
    }

    fn events(&mut self, events: &[Event]) {
        for event in events {
            self.shared.turn();
            if let Payload::Output(bytes) | Payload::ErrorOutput(bytes) = &event.payload {
                self.raw += bytes.len();
                self.since += bytes.len();
            }
            self.last = event.time;
            let wants = self.commands.as_mut().is_some_and(|commands| commands.wants(event));
            if wants {
                self.drain();
            }
            let filter = &self.filter;
            match self.commands.as_mut().filter(|_| wants) {
                Some(commands) => commands.event(event, self.sieve.shown(), &mut adds(filter)),
                None => self.sieve.event(event, &mut adds_plain(filter), &mut adds(filter)),
            }
            self.torn &= !self.typed.event(event, &mut adds_typed(filter));
        }
        self.settle(false);
    }

    /// Reads what waits in the sieve.
    fn drain(&mut self) {
        self.sieve.drain(&mut adds_plain(&self.filter), &mut adds(&self.filter));
    }

    /// The rest of this segment is skimmed.
    fn skim(mut self) -> Self {
        self.whole = false;
        self.drain();
        Self { sieve: Sieve::new(self.sieve.into_shown().skim()), ..self }
    }

    /// Output or input was left out; whether `input` was among it.
    fn unknown(mut self, input: bool) -> Self {
        (self.whole, self.unknown) = (false, true);
        self.torn |= input;
        self.tore |= input;
        self.drain();
        self.lose_screen()
    }

    fn lose_screen(self) -> Self {
        self.commands.iter_mut().for_each(|commands| commands.screen_lost());
        Self { sieve: Sieve::new(self.sieve.into_shown().unknown()), ..self }
    }

    /// Answers at a border, numbered so, for the segment that ends there.
    fn border(mut self, border: u64) -> Self {
        self.settle(true);
        self.drain();
        let shown = self.sieve.shown();
        let fault = shown.is_known() && shown.terminal().fault().is_some();
        let refused = shown.is_known() && shown.terminal().overrun();
        let since = if shown.is_skimming() { usize::MAX } else { self.since };
        let keyframe = keyframe(shown, since);
        if let Some(text) = &keyframe
            && let Some(new) = Shown::restored(self.canvas, text, self.last)
        {
            let read = std::mem::replace(&mut self.sieve, Sieve::new(new));
            read.into_shown().finish(&mut adds(&self.filter));
            self.since = 0;
        } else {
            // Nobody may read on from here: what stands belongs to this segment as well.
            shown.finishing(&mut adds(&self.filter));
        }
        self.typed.pause(&mut adds_typed(&self.filter));
        let raw = if self.always { filter::LEAST_RAW } else { self.raw as u64 };
        let made = self.filter.borrow_mut().finish(raw);
        let good = self.whole && !self.tore && !fault && !refused;
        if refused {
            self = self.lose_screen();
        }
        self.whole = !self.sieve.shown().is_skimming();
        self.raw = 0;
        let filter = if good { made } else { Vec::new() };
        let unknown = self.unknown || refused || self.tore;
        self.tore = self.torn;
        self.unknown = !self.sieve.shown().is_known();
        self.answer(Answer { border, unknown, filter, keyframe, fault });
        self
    }

    /// Answers with the screen alone, inside a segment.
    fn screen(&mut self, border: u64) {
        self.drain();
        let since = usize::try_from(limits::KEYFRAME_BYTES).unwrap_or(usize::MAX);
        let keyframe = keyframe(self.sieve.shown(), since);
        let unknown = self.unknown;
        self.answer(Answer { border, unknown, filter: Vec::new(), keyframe, fault: false });
    }

    fn answer(&self, answer: Answer) {
        self.shared.lock().answer = Some(answer);
        self.shared.changed.notify_all();
    }
}

/// The screen, where it is known and worth a keyframe after so much output: nothing was left out of it, and nothing refused for its
/// cost. Whoever is recorded can bring about either, and must not make a recording say what did not stand there.
fn keyframe(shown: &mut Shown, since: usize) -> Option<String> {
    let terminal = shown.is_known().then(|| shown.terminal())?;
    let screen = if terminal.overrun() { None } else { terminal.snapshot() };
    screen.filter(|text| since >= WORTH * text.len())
}

fn adds(filter: &RefCell<filter::Builder>) -> impl FnMut(Line) {
    |line| filter.borrow_mut().add(&line.text)
}

/// Plain lines are taken in without being drawn.
fn adds_plain(filter: &RefCell<filter::Builder>) -> impl FnMut(&str) -> bool {
    |line| {
        filter.borrow_mut().add(line);
        false
    }
}

fn adds_typed(filter: &RefCell<filter::Builder>) -> impl FnMut(TypedLine) {
    |line| line.texts().for_each(|(text, _)| filter.borrow_mut().add(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stack::{leaves, reached};
    use crate::terminal::corpus;

    fn output(bytes: &[u8]) -> Work {
        Work::Events(vec![Event::new(Duration::ZERO, Payload::Output(bytes.to_vec()))], bytes.len())
    }

    #[test]
    fn what_was_read_is_not_left_on_the_stack() {
        let text: String = (0..3000).map(|n| format!("OLD-SECRET {n}\r\n")).collect();
        for length in [600, text.len()] {
            let (shared, mut commands) = (Shared::default(), None);
            let mut reading = Some(Reading::new(&shared, (80, 24).into(), false, &mut commands));
            let left = leaves(b"OLD-SECRET", || {
                for work in [output(&text.as_bytes()[..length]), Work::Unknown(false), Work::Border(1)] {
                    reading = reading.take().map(|reading| reading.turn(work));
                }
            });
            assert_eq!(left, 0, "{length}");
        }
    }

    #[test]
    fn reading_reaches_no_deeper_than_what_is_overwritten_after_it() {
        for session in corpus::sessions() {
            let (shared, mut commands) = (Shared::default(), None);
            let mut reading =
                Some(Reading::new(&shared, (session.cols, session.rows).into(), true, &mut commands));
            let reached = reached(|| {
                let events = || Work::Events(session.events.clone(), 0);
                for work in
                    [events(), Work::Screen(1), Work::Border(2), Work::Skim, events(), Work::Border(3)]
                {
                    reading = reading.take().map(|reading| reading.turn(work));
                }
            });
            // Between this and the work are frames that hold the reading, and a piece of work.
            assert!(reached < READING + 8192, "{reached} for {}", session.name);
        }
    }
}
