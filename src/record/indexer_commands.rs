//! Commands in the index: what the witnesses tell, put together on the index thread.

use super::indexer_queue::Unheard;
use super::witness::Heard;
use crate::cast::{Command, Event, Exec, Payload, Source, Trust, micros, millis};
use crate::container::LeftOut;
use crate::container::fit::{self, Notices};
use crate::exec;
use crate::policy::Redactions;
use crate::shell::commands::{Settled, Tracker, lost_execs};
use crate::shell::said::Said;
use crate::shell::screen::{self, Line, Screen};
use crate::terminal::{self, Shown};
use std::time::Duration;

/// Bytes of commands and programs that one index entry takes; the format's own limit is four times that…
const MAX_BYTES: usize = 8 << 20;
/// …of which this much is kept for commands: programs must not push them out, nor entries that only programs have. Notices have room in
/// any case.
const FOR_COMMANDS: usize = 1 << 20;
/// Bytes of what one index entry tells of commands that run.
const MAX_RUNNING: usize = 4 << 20;
/// Bytes that all entries of a session tell of commands that run, which are told again: above, their programs are sent ahead, and told
/// once. What is told at every border would use up the room of the index.
const SO_FAR: usize = 8 << 20;
/// Longest arguments of a program, bytes, once it gets tight; halved until everything fits, down to the last one.
const LONGEST: usize = 16 << 10;
const LEAST: usize = 64;

/// What has settled and waits for the end of its segment.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    pub(super) commands: Vec<Command>,
    pub(super) execs: Vec<Exec>,
    /// What had not settled when the segment ended, so far.
    pub(super) running: Vec<Command>,
    /// What of it is missing.
    pub(super) running_left_out: LeftOut,
    pub(super) left_out: LeftOut,
    /// Those of commands that are missing.
    notices: Notices,
    /// When the latest of all these programs began.
    latest: Option<u64>,
    bytes: usize,
    /// To how many bytes arguments are shortened, where not everything fits otherwise.
    most: Option<usize>,
}

impl Harvest {
    /// When the latest of its programs began, milliseconds since the start of the session.
    pub(super) fn latest(&self) -> Option<u64> {
        self.latest
    }

    /// Takes what runs in the place of what ran before, as far as it is not more than may be. Gives how many bytes that is.
    fn run(&mut self, mut running: Vec<Command>) -> usize {
        let all = |running: &[Command]| running.iter().map(Command::size).fold(0, usize::saturating_add);
        let programs = running.iter().flat_map(|command| &command.execs);
        self.latest = self.latest.max(programs.map(|exec| exec.time).max());
        let mut left_out = LeftOut::default();
        if all(&running) > MAX_RUNNING {
            for exec in running.iter_mut().flat_map(|command| &mut command.execs) {
                left_out.shortened += u64::from(fit::shorten(&mut exec.argv, LEAST));
            }
        }
        while all(&running) > MAX_RUNNING {
            // The programs go first, the last ones before the others.
            match running.iter_mut().rev().find(|command| !command.execs.is_empty()) {
                Some(last) => {
                    let programs = std::mem::take(&mut last.execs).len();
                    left_out.programs += u64::try_from(programs).unwrap_or(u64::MAX);
                }
                None => {
                    running.pop();
                    left_out.commands += 1;
                }
            }
        }
        let told = all(&running);
        (self.running, self.running_left_out) = (running, left_out);
        told
    }

    fn add(&mut self, settled: Settled) {
        let programs = settled.commands.iter().flat_map(|command| &command.execs).chain(&settled.execs);
        self.latest = self.latest.max(programs.map(|exec| exec.time).max());
        for mut command in settled.commands {
            let execs = std::mem::take(&mut command.execs);
            let size = command.size();
            let of_programs = command.source == Source::Exec && !execs.is_empty();
            let most = if of_programs { MAX_BYTES - FOR_COMMANDS } else { MAX_BYTES };
            while self.bytes.saturating_add(size) > most && self.tighten() {}
            if self.bytes.saturating_add(size) > most {
                command.execs = execs;
                let notices = self.notices.leave(&command, &mut self.left_out);
                self.bytes = notices.iter().map(Command::size).fold(self.bytes, usize::saturating_add);
                self.commands.extend(notices);
                continue;
            }
            self.bytes = self.bytes.saturating_add(size);
            // It may still be here as one that runs, where a border came too late for its segment.
            self.running.retain(|ran| (ran.start, &ran.text) != (command.start, &command.text));
            self.commands.push(command);
            for exec in execs {
                let fitting = self.fitting(exec);
                if let (Some(exec), Some(command)) = (fitting, self.commands.last_mut()) {
                    command.execs.push(exec);
                }
            }
        }
        for exec in settled.execs {
            let fitting = self.fitting(exec);
            self.execs.extend(fitting);
        }
    }

    /// Makes room for a program, if there is any to be made; else counts it.
    fn fitting(&mut self, mut exec: Exec) -> Option<Exec> {
        self.shorten(&mut exec);
        while self.bytes.saturating_add(exec.size()) > MAX_BYTES - FOR_COMMANDS {
            if !self.tighten() {
                self.left_out.programs = self.left_out.programs.saturating_add(1);
                return None;
            }
            self.shorten(&mut exec);
        }
        self.bytes = self.bytes.saturating_add(exec.size());
        Some(exec)
    }

    /// Makes all arguments shorter that are too long by now. False where they are as short as they get.
    fn tighten(&mut self) -> bool {
        let most = self.most.map_or(LONGEST, |most| most / 2);
        if most < LEAST {
            return false;
        }
        self.most = Some(most);
        let mut all = std::mem::take(self);
        let of_commands = all.commands.iter_mut().flat_map(|command| &mut command.execs);
        of_commands
            .chain(&mut all.execs)
            .for_each(|exec| all.left_out.shortened += u64::from(fit::shorten(&mut exec.argv, most)));
        let commands = all.commands.iter().map(Command::size);
        all.bytes = commands.chain(all.execs.iter().map(Exec::size)).fold(0, usize::saturating_add);
        *self = all;
        true
    }

    fn shorten(&mut self, exec: &mut Exec) {
        if self.most.is_some_and(|most| fit::shorten(&mut exec.argv, most)) {
            self.left_out.shortened = self.left_out.shortened.saturating_add(1);
        }
    }
}

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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3,200 programs with 8 KB of arguments each: what a build with long lists, or somebody who means to fill the index, runs.
    #[test]
    fn arguments_are_shortened_before_a_program_is_left_out() {
        let mut harvest = Harvest::default();
        let exec = |n: usize| Exec {
            argv: vec!["/bin/true".into(), n.to_string(), "x".repeat(8 << 10)],
            ..Exec::default()
        };
        let command = |n: usize| Command { execs: (n..n + 400).map(exec).collect(), ..Command::default() };
        let execs = vec![exec(0)];
        harvest.add(Settled { commands: (0..8).map(|n| command(n * 400)).collect(), execs });
        let of_commands = harvest.commands.iter().map(|command| command.execs.len()).sum::<usize>();
        assert_eq!((harvest.commands.len(), of_commands, harvest.execs.len()), (8, 3_200, 1));
        assert_eq!(harvest.left_out, LeftOut { shortened: 3_201, ..LeftOut::default() });
        let (first, last) = (&harvest.commands[0].execs[0].argv, &harvest.commands[7].execs[399].argv);
        assert_eq!((first[1].as_str(), last[1].as_str()), ("0", "3199"));
        assert!(last[2].len() > 1_000 && last[3].ends_with(" more bytes"), "{last:?}");
        assert!(first[2].capacity() < 8 << 10, "what is cut off is given back");
        let size = |harvest: &Harvest| {
            let commands = harvest.commands.iter().map(Command::size);
            commands.chain(harvest.execs.iter().map(Exec::size)).sum::<usize>()
        };
        assert!(size(&harvest) == harvest.bytes && harvest.bytes <= MAX_BYTES);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_commands_keep_their_place() {
        let mut harvest = Harvest::default();
        let execs = vec![Exec { path: "/x".repeat(1 << 10), ..Exec::default() }; 10_000];
        harvest.add(Settled { execs, ..Settled::default() });
        let kept = harvest.execs.len();
        assert!((3_000..4_000).contains(&kept), "{kept}");
        assert_eq!(harvest.left_out, LeftOut { programs: 10_000 - kept as u64, ..LeftOut::default() });
        let command =
            Command { text: "x".repeat(400_000), execs: vec![Exec::default()], ..Command::default() };
        harvest.add(Settled { commands: vec![command; 3], ..Settled::default() });
        assert_eq!(harvest.commands.len(), 2);
        assert_eq!((harvest.left_out.commands, harvest.left_out.programs), (1, 10_000 - kept as u64 + 3));
    }

    /// Each program of a job in the background is an entry of its own, with as long a text as it likes.
    #[test]
    fn what_runs_in_the_background_leaves_the_commands_of_the_shell_their_room() {
        let mut harvest = Harvest::default();
        let late = |length: usize| Command {
            text: "x".repeat(length),
            source: Source::Exec,
            execs: vec![Exec { argv: vec!["x".repeat(length)], ..Exec::default() }],
            ..Command::default()
        };
        for length in [16_000, 1_000, 100, 1] {
            let mut commands = vec![late(length); 5_000];
            commands.push(Command { text: format!("echo {length}"), ..Command::default() });
            harvest.add(Settled { commands, ..Settled::default() });
        }
        let typed = harvest.commands.iter().filter(|command| command.source != Source::Exec).count();
        assert_eq!((typed, harvest.execs.len()), (4, 0));
        let left_out = harvest.left_out;
        assert_eq!(harvest.commands.len() as u64 + left_out.commands, 4 * 5_001);
        let programs = harvest.commands.iter().map(|command| command.execs.len() as u64).sum::<u64>();
        assert!(left_out.commands > 0 && programs + left_out.programs == 4 * 5_000, "{left_out:?}");
    }

    #[test]
    fn notices_are_told_where_there_is_no_room_for_anything() {
        let mut harvest = Harvest::default();
        let full = Command { text: "x".repeat(MAX_BYTES / 8), ..Command::default() };
        let flagged = |text: &str, flag: &str| Command {
            text: text.into(),
            end: Some(9),
            flags: vec!["alias: x".into(), flag.into()],
            ..Command::default()
        };
        harvest.add(Settled { commands: vec![full; 7], ..Settled::default() });
        while harvest.left_out.commands == 0 {
            harvest.add(Settled {
                commands: vec![Command { text: "fills it".into(), ..Command::default() }],
                ..Settled::default()
            });
        }
        let mut commands = vec![note(5, "lost-execs: x".into()), flagged("exec sh", "replaced: x")];
        commands.extend(vec![note(5, Command::unread(1)); 10_000]);
        commands.push(flagged("exit", "left-running: x"));
        let (before, known) = (harvest.left_out.commands, harvest.commands.len());
        harvest.add(Settled { commands, ..Settled::default() });
        let told = &harvest.commands[known..];
        let of = |command: &Command| (command.text.clone(), command.end, command.flags.join(", "));
        assert!(told.len() < 100, "{}", told.len());
        assert_eq!(of(&told[0]), (String::new(), None, "lost-execs: x".into()));
        assert_eq!(of(&told[1]), (String::new(), Some(9), "replaced: x".into()));
        assert_eq!(of(&told[told.len() - 1]), (String::new(), Some(9), "left-running: x".into()));
        // Those of which more is missing than what they say, and those that say what many have said.
        let unread = told.len() as u64 - 3;
        assert_eq!(harvest.left_out.commands - before, 2 + 10_000 - unread);
    }

    #[test]
    fn what_does_not_fit_of_commands_that_run_is_counted() {
        let mut harvest = Harvest::default();
        let exec = |length| Exec { argv: vec!["x".repeat(length)], ..Exec::default() };
        let command = |execs| Command { text: "x".repeat(20_000), execs, ..Command::default() };
        assert!(harvest.run(vec![command(vec![exec(8 << 10); 100])]) > 800 << 10);
        assert_eq!(harvest.running_left_out, LeftOut::default());
        harvest.run(vec![command(vec![exec(8 << 10); 1_000])]);
        assert_eq!(harvest.running_left_out, LeftOut { shortened: 1_000, ..LeftOut::default() });
        harvest.run([vec![command(vec![exec(8); 5])], vec![command(vec![]); 250]].concat());
        let left_out = harvest.running_left_out;
        assert_eq!((left_out.programs, harvest.running.len() as u64 + left_out.commands), (5, 251));
        assert!(left_out.commands > 0 && harvest.running.len() > 200, "{left_out:?}");
        // What one tells holds until the next.
        harvest.run(vec![]);
        assert_eq!((harvest.running.len(), harvest.running_left_out), (0, LeftOut::default()));
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
