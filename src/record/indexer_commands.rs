//! Commands in the index: what the witnesses tell, put together on the index thread.

use super::harvest::Harvest;
use super::indexer_queue::Unheard;
use super::witness::Heard;
use crate::cast::{Command, Event, Exec, Payload, Source, Trust, micros, millis};
use crate::container::LeftOut;
use crate::exec;
use crate::policy::Redactions;
use crate::shell::commands::{Settled, Tracker, lost_execs};
use crate::shell::said::Said;
use crate::shell::screen::{self, Line, Screen};
use crate::terminal::{self, Shown};
use std::time::Duration;

/// Bytes that all entries of a session tell of commands that run, which are told again: above, their programs are sent ahead, and told
/// once. What is told at every border would use up the room of the index.
const SO_FAR: usize = 8 << 20;

/// Makes commands of the events of one session.
pub(super) struct Commands {
    heard: Heard,
    /// The monotonic clock at the start of the session.
    origin: Duration,
    /// Time of the last event.
    last: u64,
    /// Bytes that were told of commands that run.
    so_far: usize,
    exit: Option<i32>,
    finished: bool,
    /// Commands that have settled.
    settled: u64,
    /// Messages of the shell that never came, and were not told yet.
    unheard: Unheard,
    /// It was told that the trace has failed.
    failed: bool,
}

impl Commands {
    pub(super) fn new(heard: Heard, origin: Duration) -> Self {
        Self {
            heard,
            origin,
            last: 0,
            so_far: 0,
            exit: None,
            finished: false,
            settled: 0,
            unheard: Unheard::default(),
            failed: false,
        }
    }

    /// Whether [`Commands::event`] must have this event. Others need only go to the screen.
    pub(super) fn wants(&mut self, event: &Event) -> bool {
        self.last = self.last.max(millis(event.time));
        match &event.payload {
            Payload::Other { .. } => match Said::of(&event.payload) {
                Some(Said::Through(at)) => {
                    self.heard.tracker.output_through(at.saturating_sub(micros(self.origin)));
                    false
                }
                _ => true,
            },
            Payload::Output(_) => self.heard.tracker.awaits_line(),
            Payload::ErrorOutput(_) => false,
            _ => true,
        }
    }

    /// Takes an event on its way to the screen.
    pub(super) fn event(&mut self, event: &Event, shown: &mut Shown, told: &mut impl FnMut(terminal::Line)) {
        let now = millis(event.time);
        let Self { heard: Heard { tracker, .. }, origin, .. } = self;
        let lost = is_lost(shown);
        if lost && tracker.awaits_line() {
            tracker.screen_lost();
        }
        let mut screen = Watched { shown, time: event.time, told, unread: 0 };
        match &event.payload {
            Payload::Output(bytes) if tracker.awaits_line() => {
                tracker.output(now, bytes, &mut screen);
                tracker.entered_unread(now, screen.unread);
            }
            Payload::Other { .. } => match Said::of(&event.payload) {
                Some(Said::Mark(mark)) => tracker.mark(now, mark, &mut screen),
                Some(Said::Hint(hint)) => tracker.hint(now, hint),
                Some(Said::Clock(at)) => tracker.clock(at.saturating_sub(micros(*origin))),
                Some(Said::Held(since)) => {
                    tracker.held(since.map(|since| since.saturating_sub(micros(*origin))));
                }
                Some(Said::Begins) => tracker.begins(&mut screen),
                Some(Said::Entered | Said::Alone) if lost => tracker.entered_unread(now, 1),
                Some(Said::Entered) => tracker.entered(now),
                Some(Said::Alone) => tracker.entered_alone(now),
                Some(Said::Hidden { at, line }) => tracker.hidden(at, line),
                Some(Said::Through(_)) | None => {}
            },
            Payload::Withheld(_) => tracker.withheld(),
            Payload::Exit(status) => self.exit = Some(*status),
            _ => screen.shown.event(event, screen.told),
        }
    }

    /// Fetches what the kernel has told. It waits until all output of the same time has come.
    pub(super) fn listen(&mut self) {
        let Self { heard: Heard { tracker, trace, redact, .. }, origin, .. } = self;
        // Before: what comes while it is fetched has been told to be there.
        let through = trace.through();
        trace.drain(|event| hear(tracker, event, *origin, redact));
        tracker.trace_through(micros(through.saturating_sub(*origin)));
    }

    /// Whether something waits for what is said of its time.
    pub(super) fn waits(&self) -> bool {
        !self.finished && self.heard.tracker.waits()
    }

    /// Commands that there have been, as far as is known.
    pub(super) fn seen(&self) -> u64 {
        self.settled.saturating_add(u64::try_from(self.heard.tracker.running()).unwrap_or(u64::MAX))
    }

    /// When the latest program began that only a running command has, or that waits to be decided on, milliseconds.
    pub(super) fn unsealed(&self) -> Option<u64> {
        self.heard.tracker.unsealed().max(self.heard.tracker.latest_waiting())
    }

    /// So many messages of the shell were left out on their way.
    pub(super) fn unheard(&mut self, unheard: Unheard) {
        self.unheard.add(unheard);
    }

    /// Once for a segment: whoever is recorded can bring it about again and again.
    fn tell_unheard(&mut self, harvest: &mut Harvest) {
        let Unheard { marks, starts, lines } = std::mem::take(&mut self.unheard);
        self.heard.tracker.entered_unread(self.last, lines);
        if marks == 0 {
            return;
        }
        let flag = format!("lost-marks: {marks} messages of the shell came faster than they could be read");
        self.settled = self.settled.saturating_add(starts);
        harvest.left_out.commands = harvest.left_out.commands.saturating_add(starts);
        self.note(flag, harvest);
    }

    /// Whether the kernel's trace has failed; tells it once.
    pub(super) fn is_blind(&mut self, harvest: &mut Harvest) -> bool {
        if !self.failed && self.heard.trace.has_failed() {
            self.failed = true;
            let flag = "lost-execs: the exec trace failed: no program is seen from here on".to_owned();
            self.note(flag, harvest);
        }
        self.failed
    }

    /// Stops the trace, and tells where it cannot be waited for.
    fn stop(&mut self, harvest: &mut Harvest) {
        if !self.heard.trace.stop() {
            let flag = "lost-execs: the exec trace did not get on at the end: programs that it had not told of are not known";
            self.note(flag.to_owned(), harvest);
        }
    }

    /// Output was left out: the screen is not known from here on.
    pub(super) fn screen_lost(&mut self) {
        self.heard.tracker.screen_lost();
    }

    fn note(&mut self, flag: String, harvest: &mut Harvest) {
        self.settled = self.settled.saturating_add(1);
        harvest.add(Settled { commands: vec![note(self.last, flag)], ..Settled::default() });
    }

    /// The reading has failed: fetches what the kernel has told of programs, which are of no command. `over`: for the last time.
    pub(super) fn programs(&mut self, over: bool, harvest: &mut Harvest) {
        if over {
            self.finished = true;
            self.stop(harvest);
        }
        let Self { heard: Heard { trace, redact, .. }, origin, .. } = self;
        let (mut execs, mut flags) = (Vec::new(), Vec::new());
        trace.drain(|event| match event {
            exec::Event::Executed(exec) => execs.push(of_session(exec, *origin, redact)),
            exec::Event::Left { count, names } => flags.push(left_running(count, &names)),
            exec::Event::Lost { count, why } => flags.push(lost_execs(count, why)),
            exec::Event::Forked { .. } | exec::Event::Ended { .. } => {}
        });
        harvest.add(Settled { execs, ..Settled::default() });
        flags.into_iter().for_each(|flag| self.note(flag, harvest));
    }

    /// Fetches what has settled; how late this thread is decides nothing. `border`: for the end of a segment.
    pub(super) fn settle(&mut self, border: bool, harvest: &mut Harvest) {
        if border || self.exit.is_some() {
            self.tell_unheard(harvest);
        }
        if self.finished {
            return;
        }
        self.listen();
        if border {
            self.heard.tracker.tell_unread();
        }
        let settled = if let Some(status) = self.exit {
            self.finished = true;
            self.stop(harvest);
            self.listen();
            self.heard.tracker.finish(self.last, Some(status))
        } else {
            self.heard.tracker.drain(self.last)
        };
        let commands = u64::try_from(settled.commands.len()).unwrap_or(u64::MAX);
        self.settled = self.settled.saturating_add(commands);
        harvest.add(settled);
        if !border {
            return;
        }
        if self.so_far < SO_FAR {
            self.so_far = self.so_far.saturating_add(harvest.run(self.heard.tracker.so_far()));
        } else {
            let commands = self.heard.tracker.send_ahead();
            let parts = u64::try_from(commands.len()).unwrap_or(u64::MAX);
            self.settled = self.settled.saturating_add(parts);
            (harvest.running, harvest.running_left_out) = (Vec::new(), LeftOut::default());
            harvest.add(Settled { commands, ..Settled::default() });
        }
    }
}

/// An entry that nobody ran, for what it says.
pub(super) fn note(start: u64, flag: String) -> Command {
    let (source, trust) = (Source::Exec, Trust::Witnessed);
    Command { start, source, trust, flags: vec![flag], ..Command::default() }
}

/// The trace counts from the start of the clock, commands from the start of the session.
fn hear(tracker: &mut Tracker, event: exec::Event, origin: Duration, redact: &Redactions) {
    let at = |time: u64| time.saturating_sub(millis(origin));
    match event {
        exec::Event::Forked { micros: time, pid, parent } => {
            tracker.forked(time.saturating_sub(micros(origin)), pid, parent);
        }
        exec::Event::Executed(exec) => tracker.executed(of_session(exec, origin, redact)),
        exec::Event::Ended { time, pid, status } => tracker.ended(at(time), pid, status),
        exec::Event::Lost { count, why } => {
            tracker.lost(millis(crate::sys::clock::monotonic().saturating_sub(origin)), count, why)
        }
        exec::Event::Left { count, names } => tracker.left_running(left_running(count, &names)),
    }
}

/// What is said of those that the session left running.
fn left_running(count: u64, names: &str) -> String {
    let (processes, were) = if count == 1 { ("process", "was") } else { ("processes", "were") };
    format!("left-running: {count} {processes} {were} still running when the session ended: {names}")
}

/// A program in the time of the session, and without its secrets.
fn of_session(exec: Exec, origin: Duration, redact: &Redactions) -> Exec {
    let (argv, _) = redact.apply(&exec.argv);
    Exec { time: exec.time.saturating_sub(millis(origin)), argv, ..exec }
}

/// The reading that the index makes of the screen, as the tracker sees it.
struct Watched<'a, F: FnMut(terminal::Line)> {
    shown: &'a mut Shown,
    time: Duration,
    told: &'a mut F,
    /// Lines that were asked for and could not be read.
    unread: u64,
}

/// Whether what stands there may be something else than what the operator sees: output was left out, or refused for what it would have
/// cost. That goes for the segment in which it was refused as well, which may be long.
fn is_lost(shown: &mut Shown) -> bool {
    !shown.is_known() || shown.terminal().overrun()
}

impl<F: FnMut(terminal::Line)> Screen for Watched<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.shown.event(&Event::new(self.time, Payload::Output(bytes.to_vec())), self.told);
        }
    }

    fn line(&mut self) -> Option<Line> {
        // In a flood as well: the screen is followed, though nothing of it is told.
        if is_lost(self.shown) {
            self.unread = self.unread.saturating_add(1);
            return None;
        }
        screen::of(self.shown.terminal())
    }

    fn above(&mut self, count: usize) -> Vec<String> {
        if is_lost(self.shown) { Vec::new() } else { screen::above(self.shown.terminal(), count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
