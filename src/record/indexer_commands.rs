//! Commands in the index: what the witnesses tell, put together on the index thread.

use super::witness::Heard;
use crate::cast::{Command, Event, Exec, Payload, Source, Trust};
use crate::exec;
use crate::policy::Redactions;
use crate::shell::commands::{Settled, Tracker};
use crate::shell::said::Said;
use crate::shell::screen::{self, Line, Screen};
use crate::terminal::{self, Shown};
use std::time::Duration;

/// Bytes of commands and programs that one index entry takes; the format's own limit is four times that.
const MAX_BYTES: usize = 8 << 20;

/// What has settled and waits for the end of its segment.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) commands: Vec<Command>,
    pub(super) execs: Vec<Exec>,
    bytes: usize,
    left_out: u64,
}

impl Harvest {
    fn add(&mut self, settled: Settled) {
        for command in settled.commands {
            let size = command.size();
            if self.fits(size) {
                self.commands.push(command);
            }
        }
        for exec in settled.execs {
            let size = exec.size();
            if self.fits(size) {
                self.execs.push(exec);
            }
        }
    }

    fn fits(&mut self, size: usize) -> bool {
        let after = self.bytes.saturating_add(size);
        if after > MAX_BYTES {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        self.bytes = after;
        true
    }

    /// Takes everything; that something did not fit is an entry of its own.
    pub(super) fn take(&mut self) -> (Vec<Command>, Vec<Exec>) {
        let Self { mut commands, execs, left_out, .. } = std::mem::take(self);
        if left_out > 0 {
            let flags = vec![format!("left-out: {left_out} entries did not fit into the index")];
            let (source, trust) = (Source::Exec, Trust::Witnessed);
            let start = commands.last().map_or(0, |last| last.start);
            commands.push(Command { start, source, trust, flags, ..Command::default() });
        }
        (commands, execs)
    }
}

/// Makes commands of the events of one session.
pub(super) struct Commands {
    heard: Heard,
    /// The monotonic clock at the start of the session.
    origin: Duration,
    /// Time of the last event.
    last: u64,
    exit: Option<i32>,
    finished: bool,
}

impl Commands {
    pub(super) fn new(heard: Heard, origin: Duration) -> Self {
        Self { heard, origin, last: 0, exit: None, finished: false }
    }

    /// Whether [`Commands::event`] must have this event. Others need only go to the screen.
    pub(super) fn wants(&mut self, event: &Event) -> bool {
        self.last = self.last.max(ms(event.time));
        match &event.payload {
            Payload::Output(_) => self.heard.tracker.awaits_line(),
            Payload::ErrorOutput(_) => false,
            _ => true,
        }
    }

    /// Takes an event on its way to the screen.
    pub(super) fn event(&mut self, event: &Event, shown: &mut Shown, told: &mut impl FnMut(terminal::Line)) {
        let now = ms(event.time);
        let Self { heard: Heard { tracker, .. }, origin, .. } = self;
        match &event.payload {
            Payload::Output(bytes) if tracker.awaits_line() => {
                tracker.output(now, bytes, &mut Watched { shown, time: event.time, told });
            }
            Payload::Other { .. } => {
                let mut screen = Watched { shown, time: event.time, told };
                match Said::of(&event.payload) {
                    Some(Said::Mark(mark)) => tracker.mark(now, mark, &mut screen),
                    Some(Said::Hint(hint)) => tracker.hint(now, hint),
                    Some(Said::Clock(at)) => tracker.clock(at.saturating_sub(micros(*origin))),
                    Some(Said::Entered) => tracker.entered(now),
                    None => {}
                }
            }
            Payload::Withheld(_) => tracker.withheld(),
            Payload::Exit(status) => self.exit = Some(*status),
            _ => shown.event(event, told),
        }
    }

    /// Fetches what the kernel has told. It is not looked at before the events of the same time have come: they wait to be
    /// handed over in larger pieces.
    pub(super) fn listen(&mut self) {
        let Self { heard: Heard { tracker, trace, redact }, origin, .. } = self;
        trace.drain(|event| hear(tracker, event, *origin, redact));
    }

    /// Fetches what has settled. `all`: every event up to now has come.
    pub(super) fn settle(&mut self, all: bool, harvest: &mut Harvest) {
        if self.finished {
            return;
        }
        self.listen();
        let clock = ms(crate::sys::clock::monotonic().saturating_sub(self.origin));
        if let Some(status) = self.exit {
            self.finished = true;
            self.heard.trace.stop();
            self.listen();
            harvest.add(self.heard.tracker.finish(self.last, Some(status)));
        } else {
            harvest.add(self.heard.tracker.drain(if all { clock.max(self.last) } else { self.last }));
        }
    }
}

/// The trace counts from the start of the clock, commands from the start of the session.
fn hear(tracker: &mut Tracker, event: exec::Event, origin: Duration, redact: &Redactions) {
    let at = |time: u64| time.saturating_sub(ms(origin));
    match event {
        exec::Event::Forked { micros: time, pid, parent } => {
            tracker.forked(time.saturating_sub(micros(origin)), pid, parent);
        }
        exec::Event::Executed(exec) => {
            let (argv, _) = redact.apply(&exec.argv);
            tracker.executed(Exec { time: at(exec.time), argv, ..exec });
        }
        exec::Event::Ended { time, pid, status } => tracker.ended(at(time), pid, status),
        exec::Event::Lost { count, why } => {
            tracker.lost(ms(crate::sys::clock::monotonic().saturating_sub(origin)), count, why)
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The reading that the index makes of the screen, as the tracker sees it.
struct Watched<'a, F: FnMut(terminal::Line)> {
    shown: &'a mut Shown,
    time: Duration,
    told: &'a mut F,
}

impl<F: FnMut(terminal::Line)> Screen for Watched<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.shown.event(&Event::new(self.time, Payload::Output(bytes.to_vec())), self.told);
        }
    }

    fn line(&mut self) -> Option<Line> {
        if self.shown.is_skimming() { None } else { screen::of(self.shown.terminal()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let mut harvest = Harvest::default();
        let exec = Exec { argv: vec!["x".repeat(1 << 20)], ..Exec::default() };
        let settled = Settled { execs: vec![exec; 9], ..Settled::default() };
        harvest.add(settled);
        let (commands, execs) = harvest.take();
        assert_eq!((execs.len(), commands.len()), (7, 1));
        assert_eq!(commands[0].flags, ["left-out: 2 entries did not fit into the index"]);
        assert_eq!(harvest.take(), (vec![], vec![]));
    }

    #[test]
    fn secrets_in_arguments_of_executed_programs_are_left_out() {
        let mut tracker = Tracker::new(None);
        tracker.below(1);
        tracker.command("mysql".into(), None);
        let argv = ["mysql", "-pS3CRET", "db"].map(str::to_owned).to_vec();
        let executed =
            |pid, argv| exec::Event::Executed(Exec { time: 5, pid, ppid: 1, argv, ..Exec::default() });
        let redact = Redactions::parse(&["mysql -p*"]).unwrap();
        hear(&mut tracker, executed(2, argv.clone()), Duration::ZERO, &redact);
        let kept = |tracker: &mut Tracker| {
            let settled = tracker.finish(9, Some(0));
            let of_commands = settled.commands.into_iter().flat_map(|command| command.execs);
            of_commands.chain(settled.execs).map(|exec| exec.argv.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(kept(&mut tracker), ["mysql -p[redacted] db"]);
    }
}
