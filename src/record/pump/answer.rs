//! What the loop does when something happens: a signal, a word of the recorder, news of the child, a hang-up.

use super::{HOLDS, LOOK, Phase, Pump, STILL, STOPS};
use crate::cast::{Gap, Payload, Why};
use crate::policy::OnFailure;
use crate::record::capture::Stream;
use crate::record::lane::Sink;
use crate::record::pauses::Suspension;
use crate::record::queue::Word;
use crate::record::session::{Error, Screen, is_handed_on, tell};
use crate::sys::poll::{Ready, Set};
use crate::sys::signals::{self, Arrived};
use crate::sys::stage::{Ended, Report};
use crate::sys::tty::Size;
use crate::sys::{clock, ids, pipe, tty};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long, at a stop, silence is waited for where somebody may still have a screen to leave.
const LEAVE: Duration = Duration::from_millis(50);

impl Pump<'_> {
    pub(super) fn signal(&mut self, arrived: Arrived) {
        match arrived.signal {
            signals::SIGWINCH => self.resize(),
            signals::SIGCONT => {
                self.keyboard.continued();
                self.lone = false;
                // As the kernel has it: it takes back a stop.
                self.early.retain(|early| early.signal != signals::SIGTSTP);
                self.resume();
            }
            signals::SIGTSTP if matches!(self.phase, Phase::Ended { .. }) => {
                self.suspend_ourselves(signals::SIGTSTP)
            }
            // The stage continues the child when it has done what it was told, which must not come after the stop.
            signals::SIGTSTP if !self.is_known() || self.placing > 0 => self.early.push(arrived),
            signals::SIGTSTP => {
                self.stop_due = Some(clock::monotonic().saturating_add(STOPS));
                self.to_foreground(arrived);
            }
            signals::SIGHUP if self.phase == Phase::Running && self.has_lost_its_terminal() => {
                self.terminal_gone();
            }
            // Started without us the child would ignore it too. (Without a terminal it does.)
            signals::SIGHUP if self.outlives && self.leads => {}
            // The child signals its own group, and we may be in it.
            signal if is_handed_on(signal) && (arrived.sender == 0 || Some(arrived.sender) != self.child) => {
                self.key = None;
                match self.phase {
                    Phase::Running | Phase::HungUp { .. } if self.child.is_none() => self.early.push(arrived),
                    Phase::Running | Phase::HungUp { .. } => {
                        self.keyboard.is_to_end();
                        self.to_foreground(arrived);
                        if signal == signals::SIGHUP {
                            // Stopped, it would not hear it.
                            self.to_child(signals::SIGCONT);
                        }
                    }
                    // The terminal that goes tells it more than once, and that alone is no word of anybody's.
                    Phase::Ended { .. } if signal == signals::SIGHUP && self.is_deserted() => {}
                    Phase::Ended { .. }
                        if signal == signals::SIGHUP && self.has_lost_its_terminal() && !self.outlives =>
                    {
                        self.let_terminal_go();
                    }
                    // Whoever asks us to end now need not wait for what the child left behind.
                    Phase::Ended { .. } => self.give_up_output(),
                }
            }
            _ => {}
        }
    }

    fn give_up_output(&mut self) {
        self.output.ended = true;
        self.record_output();
        self.leave_outputs();
    }

    /// To the child: its whole group where it has one of its own, itself where it shares ours.
    pub(super) fn to_child(&self, signal: signals::Signal) {
        // Once it has ended its number may be somebody else's.
        let Some(child) = self.child.filter(|_| !matches!(self.phase, Phase::Ended { .. })) else { return };
        // That we may not signal it (it changed its user) is nothing we could mend.
        let _ = match &self.screen {
            Some(_) => signals::send_to_group(child, signal),
            None if self.hung_up || self.ordered_end.is_some() => {
                signals::send_to_group(child, signal).and_then(|()| signals::send(child, signal))
            }
            None if self.leads => signals::send_to_group(child, signal),
            None => signals::send(child, signal),
        };
    }

    /// The child's file is still to be executed: what came to end it does not wait for that any longer. A stop does: nobody would be told
    /// of it.
    pub(super) fn end_unknown(&mut self) {
        let (stops, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.early).into_iter().partition(|early| early.signal == signals::SIGTSTP);
        self.early = stops;
        for arrived in others {
            self.signal_unknown(arrived.signal);
        }
    }

    /// Signals the child that the stage has not told of yet. Where it cannot be found, the session ends.
    pub(super) fn signal_unknown(&mut self, signal: signals::Signal) {
        let stage = self.stage.pid();
        match ids::children(stage, stage).filter(|_| ids::proc_is_ours()) {
            Some(children) => {
                // Where there is none it is over, which is about to be told. As in `to_child`.
                let _ = children.first().map(|child| signals::send(*child, signal));
            }
            None => self.end_all(),
        }
    }

    /// What a key of the terminal brought (the kernel sends it) is for whoever has the terminal inside, such as the job of a
    /// shell; anything else for the child.
    fn to_foreground(&self, arrived: Arrived) {
        let by_key = matches!(arrived.signal, signals::SIGINT | signals::SIGQUIT | signals::SIGTSTP);
        let screen = self.screen.as_ref().filter(|_| by_key && arrived.sender == 0 && self.child.is_some());
        let group = screen.and_then(|screen| screen.leader.foreground());
        match group.filter(|group| *group != self.stage.pid()) {
            // As in `to_child`.
            Some(group) => drop(signals::send_to_group(group, arrived.signal)),
            None => self.to_child(arrived.signal),
        }
    }

    /// Lets go on what a key has stopped beside the child, in its group, where the child itself was not stopped. Without us the kernel
    /// would not have stopped it: the group of a shell that a terminal belongs to has nobody who could continue it. Inside it has the
    /// stage. A shell that reads its files (`x=$(hostname -f)`) would wait for its child for ever, and no key would help.
    pub(super) fn wake_beside_child(&mut self) {
        if self.stop_due.is_none_or(|due| clock::monotonic() < due) {
            return;
        }
        self.stop_due = None;
        let Some(child) = self.child.filter(|_| self.phase == Phase::Running) else { return };
        let in_front = |screen: &Screen| screen.leader.foreground() == Some(child);
        // The child's own stop is told by the stage.
        let is_stopped = |pid| ids::place(pid).is_some_and(|place| place.group == child && place.is_stopped);
        let beside = || ids::children(child, child).unwrap_or_default().into_iter().any(is_stopped);
        if self.screen.as_ref().is_some_and(in_front) && !is_stopped(child) && beside() {
            self.to_child(signals::SIGCONT);
        }
    }

    pub(super) fn resize(&mut self) {
        let Some(screen) = &self.screen else { return };
        let Ok(size) = tty::size(&screen.terminal) else { return };
        if self.size == Some(size) {
            return;
        }
        self.size = Some(size);
        // It fails only for a PTY that is gone, which its end tells by itself.
        let _ = screen.leader.resize(size);
        self.note_size(size);
    }

    /// The terminal inside may be larger than the one outside says that it is: `stty` sets it where a serial line tells none, and what
    /// is drawn next goes by it. Smaller it may be told to be, but what the operator sees is not.
    pub(super) fn look_at_size(&mut self) {
        let inside = self.screen.as_ref().and_then(|screen| tty::size(&screen.leader).ok());
        if let (Some(inside), Some(outside)) = (inside, self.size) {
            let (cols, rows) = (inside.cols.max(outside.cols), inside.rows.max(outside.rows));
            self.note_size(Size { cols, rows, ..inside });
        }
    }

    fn note_size(&mut self, size: Size) {
        let cells = |size: Size| (size.cols, size.rows);
        if self.inner.replace(size).map(cells) != Some(cells(size)) {
            self.batch.event(Payload::Resize { cols: size.cols, rows: size.rows });
        }
    }

    /// When a terminal that does not control us is to be looked at: no signal tells of its size, its foreground and its end.
    pub(super) fn look_due(&self) -> Option<Duration> {
        let tells = self.screen.as_ref().is_none_or(|screen| screen.terminal.controls());
        (!tells && self.phase == Phase::Running).then_some(self.next_look)
    }

    /// Looks at it, if that is due, or if keys were `typed`: what they are for may depend on it.
    pub(super) fn look_at_terminal(&mut self, typed: bool) {
        let Some(due) = self.look_due() else { return };
        let now = clock::monotonic();
        if !typed && now < due {
            return;
        }
        self.next_look = now.saturating_add(LOOK);
        if self.has_lost_its_terminal() {
            return self.terminal_gone();
        }
        self.resize();
        if let Some(screen) = self.screen.as_ref().filter(|screen| !screen.terminal.is_foreground()) {
            self.keyboard.resume(&screen.terminal, &screen.leader);
        }
        self.place();
    }

    /// The child was stopped: so are we, until somebody continues us.
    fn suspend(&mut self, signal: signals::Signal) {
        let asks = matches!(signal, signals::SIGTTIN | signals::SIGTTOU);
        if self.screen.is_none() {
            return;
        }
        if asks {
            // In the background it wants the terminal, which it may have by now.
            self.place();
        }
        // Told before the answer of the stage: the child goes on, and is stopped again if it is to be.
        if self.placing > 0 {
            return;
        }
        self.suspend_ourselves(if asks && !self.front { signal } else { signals::SIGTSTP });
    }

    /// We are stopped by this signal, until somebody continues us.
    pub(super) fn suspend_ourselves(&mut self, signal: signals::Signal) {
        self.catch_up();
        if matches!(self.phase, Phase::HungUp { .. }) {
            return;
        }
        self.keyboard.leave();
        self.batch.flush();
        let stopped = clock::monotonic();
        // As late as can be: brought to the foreground by now, a job that was not stopped yet is continued by nobody.
        if signal == signals::SIGTSTP || !self.belongs_in_front() {
            signals::stop_ourselves(signal);
        }
        let seconds = clock::monotonic().saturating_sub(stopped).as_secs();
        if seconds > 0 {
            self.batch.event(Payload::Gap(Suspension { seconds }.gap()));
            // The recorder wonders where the time went.
            self.batch.flush();
        }
        // What came meanwhile comes first: a child that is to end is not to go on, and be stopped again, before it knows.
        let (mut continued, mut again) = (false, None);
        while let Some(arrived) = self.signals.next() {
            match arrived.signal {
                signals::SIGTSTP => again = Some(arrived),
                signal => {
                    if signal == signals::SIGCONT {
                        (continued, again) = (true, None);
                    }
                    self.signal(arrived);
                }
            }
        }
        match again {
            // The kernel lets it take the place of the SIGCONT that came before and was not read: we were continued, and are to stop
            // again. The child, too, goes on first: what comes last counts.
            Some(stop) => {
                if !continued {
                    self.signal(Arrived { signal: signals::SIGCONT, sender: 0 });
                }
                self.signal(stop);
            }
            None if !continued => {
                self.lone = signal != signals::SIGTSTP && !self.belongs_in_front();
                if std::process::id() == 1 {
                    self.keyboard.later();
                }
                self.resume();
            }
            None => {}
        }
    }

    /// Before a stop: shows and records what was written by then. Without us it would be there already, and what the terminal shows
    /// next is the shell's, which knows nothing of a screen that is still to be left. A terminal or a recorder that takes nothing is
    /// not waited for any longer than that is known of it.
    fn catch_up(&mut self) {
        let began = clock::monotonic();
        let end = began.saturating_add(STILL);
        // Stopped by one key, the child need not be the last of its group: what it has started (a pager) may have its screen to leave.
        let parents = |child| ids::children(child, child).is_some_and(|children| !children.is_empty());
        let leave = if self.child.is_some_and(parents) { LEAVE } else { Duration::ZERO };
        let mut silent = began.saturating_add(leave);
        let mut set = Set::default();
        loop {
            let (shows, stuck) = (!self.output.buffer.is_empty(), self.batch.is_stuck());
            let Some(screen) = self.screen.as_ref().filter(|_| shows || !self.output.ended) else { break };
            set.clear();
            let slot = match (shows, stuck) {
                (true, _) => set.add(&screen.terminal, false, true),
                (false, true) => set.add(self.batch.bell(), true, false),
                (false, false) => set.add(&screen.leader, true, false),
            };
            set.add(&self.alarm, true, false);
            let until = if shows || stuck { end } else { silent.min(end) };
            let over = clock::monotonic() >= until;
            // By the alarm, as in `lull`.
            if !over && self.alarm.ring_by(Some(until)).is_err()
                || set.wait(over.then_some(Duration::ZERO)).is_err()
            {
                break;
            }
            let (ready, not) = (set.ready(slot), Ready::default());
            if over && (ready == not || until == end) {
                break;
            }
            match (shows, stuck) {
                _ if ready == not => self.alarm.silence(),
                (true, _) => self.copy_output(ready, not),
                (false, true) => self.words(),
                (false, false) => {
                    self.copy_output(not, ready);
                    silent = clock::monotonic().saturating_add(leave);
                }
            }
        }
        if !self.batch.is_stuck() {
            // What a pipe holds is read at once, and a file has room for it. Who reads a pipe may be stopped like us.
            let (there, not) = (Ready { read: true, ..Ready::default() }, Ready::default());
            self.copy_streams(not, not, [there; 2], [not; 2]);
        }
    }

    /// Whether the child has the foreground of its terminal: where we have that of ours, and where we could not be stopped for it.
    pub(super) fn belongs_in_front(&self) -> bool {
        let is_foreground = |screen: &Screen| screen.terminal.is_foreground();
        self.lone || std::process::id() == 1 || self.screen.as_ref().is_none_or(is_foreground)
    }

    /// Gives the child the foreground of its terminal when we have that of ours, and takes it away when not: then the kernel stops it
    /// itself, exactly where it would without us. The child goes on by that, if it was stopped. True when something was changed.
    pub(super) fn place(&mut self) -> bool {
        let front = self.belongs_in_front();
        if self.screen.is_none() || self.phase != Phase::Running || front == self.front {
            return false;
        }
        self.front = front;
        self.placing = self.placing.saturating_add(1);
        self.stage.place(front);
        true
    }

    /// We were continued: the terminal again, if it is ours, its size, and the child.
    fn resume(&mut self) {
        if let Some(screen) = &self.screen {
            if self.has_lost_its_terminal() {
                self.terminal_gone();
            } else if matches!(self.phase, Phase::Running) {
                self.keyboard.resume(&screen.terminal, &screen.leader);
            }
        }
        self.resize();
        if !self.place() {
            self.to_child(signals::SIGCONT);
        }
    }

    /// What the recorder has to say.
    pub(super) fn words(&mut self) {
        self.batch.bell().silence();
        for word in self.batch.words() {
            match word {
                Word::Tell(text) => self.tell(&text),
                Word::Stop(text) => self.stop(text),
            }
        }
        if self.batch.is_lost() && !self.lost_told {
            self.lost_told = true;
            match self.on_loss {
                _ if self.ordered_end.is_some() => {}
                OnFailure::Stop => self.stop("the recorder failed: the session ends".into()),
                OnFailure::Warn => self.tell("the recorder failed: this session is not recorded any more"),
            }
        }
        self.batch.retry();
        if self.batch.asked() {
            self.tell_through();
        }
    }

    /// The recorder waits for output that may not come: says up to when there was none.
    fn tell_through(&mut self) {
        if self.output.watch.is_none() || self.batch.is_stuck() || !self.output.buffer.is_empty() {
            return;
        }
        let before = clock::monotonic();
        if let Some(screen) = self.screen.as_ref().filter(|_| !self.output.ended) {
            let mut set = Set::default();
            let leader = set.add(&screen.leader, true, false);
            // What is there will be told of by itself.
            if set.wait(Some(Duration::ZERO)).is_err() || set.ready(leader).read {
                return;
            }
        }
        self.batch.through(before);
        self.batch.tell_through();
    }

    fn stop(&mut self, text: String) {
        if self.ordered_end.is_none() {
            self.tell(&text);
            self.ordered_end = Some(text);
            if let Phase::Ended { .. } = self.phase {
                self.give_up_output();
            }
            self.end_all();
            // That was our doing, not the terminal's.
            self.hung_up = false;
        }
    }

    /// A line for the operator; see [`tell`].
    pub(super) fn tell(&self, text: &str) {
        tell(self.screen.as_ref().map(|screen| &screen.terminal), self.streams.stead.clone(), text);
    }

    /// What became of the child.
    pub(super) fn reports(&mut self) -> Result<(), Error> {
        while let Some(report) = self.stage.report() {
            match report {
                Report::Started(pid) => {
                    self.child = Some(pid);
                    self.take_lines();
                    self.keep_ahead();
                    for (_, sink) in self.streams.outputs.iter_mut().flatten() {
                        sink.written_by(pid);
                    }
                    self.signal_early();
                }
                Report::Refused(step, source) => {
                    let (program, dir) = (self.program.clone(), self.dir.clone());
                    return Err(Error::Start { program, dir, step, source });
                }
                Report::Stopped(signal) if matches!(self.phase, Phase::Running) => self.suspend(signal),
                // A child that is to end does not rest first.
                Report::Stopped(_) => self.to_child(signals::SIGCONT),
                Report::Continued => {}
                Report::Placed => {
                    self.placing = self.placing.saturating_sub(1);
                    self.signal_early();
                }
                Report::Ended(how) => {
                    self.ended(how);
                    return Ok(());
                }
                // Somebody killed the stage, or spoke for it. Killed, it has hung the child up; make sure.
                Report::Gone => {
                    self.lose("the process that waits for the program was killed: how the program ended is not known");
                    return Ok(());
                }
                Report::Forged => {
                    self.lose(
                        "somebody told the recorder that the program had ended: it had not, and was killed",
                    );
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What came too early. It may still be that.
    fn signal_early(&mut self) {
        for arrived in std::mem::take(&mut self.early) {
            self.signal(arrived);
        }
    }

    /// Nobody is there any more who could tell of the child: it is killed, and that is told.
    fn lose(&mut self, what: &str) {
        self.batch.event(Payload::Gap(Gap::new(Why::Stage, "session", 0, what)));
        self.tell(what);
        self.stage.kill_all();
        self.end_all();
        self.to_child(signals::SIGKILL);
        self.ended(Ended::Killed(signals::SIGKILL));
    }

    fn ended(&mut self, how: Ended) {
        let now = clock::monotonic();
        // It has no more to say, and its end would be told again and again. (That it was in the group is certain.)
        let _ = self.calm.leave(&self.stage);
        self.phase = Phase::Ended { how, since: now };
        self.last_byte = now;
        let in_pipe = |stream: &Option<(OwnedFd, Sink)>| {
            stream.as_ref().and_then(|(source, _)| pipe::unread(source).ok()).unwrap_or(0)
        };
        let [output, errors] = self.streams.outputs.each_ref().map(in_pipe);
        self.owed = [output, errors, HOLDS];
        self.drop_ahead();
        self.keys.forget();
        self.end_input();
    }

    /// The child reads no more: takes from standard input what it has read, records it, and lets the rest go.
    pub(super) fn end_input(&mut self) {
        let Some(mut input) = self.streams.input.take() else { return };
        let batch = &mut self.batch;
        input.settle(&mut |bytes| batch.input(bytes));
        let (left, mismatched) = (input.left(), input.mismatched());
        if left > 0 {
            let note = format!("the program had not read the last {left} bytes of it when it ended");
            self.gap(Why::Unread, Stream::Input, 0, note);
        }
        if mismatched > 0 {
            let note = format!(
                "{mismatched} bytes that the program read were gone from the pipe, or others, afterwards"
            );
            self.gap(Why::Shared, Stream::Input, 0, note);
        }
    }

    /// Standard input ends here for the child, and it cannot be told why.
    pub(super) fn unreadable(&mut self, error: &io::Error) {
        self.failed = true;
        let stream = Stream::Input;
        self.tell(&format!("cannot read {}: {error}; to the program that was its end", stream.described()));
        self.gap(Why::Unreadable, stream, 0, format!("{error}: to the program that was its end"));
    }

    pub(super) fn gap(&mut self, why: Why, stream: Stream, count: usize, note: String) {
        self.batch.event(Payload::Gap(Gap::new(why, stream.name(), count as u64, note)));
    }
}
