//! How far the witnesses have been heard.
//!
//! The marks of the shell come through the terminal, which can be slow or stopped; what the kernel saw comes by a thread of its own,
//! which can be late. No clock tells that either is through: whoever hands it over says so, behind what it tells. A program is given to
//! a command only when all output of its time has come, and an ended command leaves only when the kernel's word of its time has come
//! too. Refuses to wait for ever, and to be silent about it: what was decided before is flagged.

use super::{Entry, SETTLE, Tracker, push_flag};
use crate::cast::{Command, Source, Trust};

/// How long an ended entry waits for a witness that is late, once everything else is there, milliseconds of the session.
const PATIENCE: u64 = 5_000;
/// How long a program waits at most for the output of its time, by what the trace tells of the time, microseconds. A terminal that
/// takes nothing keeps the loop from reading, and the loop can stand still: what the kernel has told is not to wait for ever in memory.
/// Longer than the longest flush, at which the recorder asks.
const LONGEST: u64 = 15_000_000;
/// Looks at the trace that lie further apart than this, microseconds: all of us were stopped, and whoever reads the output has his turn first.
const STOPPED: u64 = 5_000_000;
/// How long an ended entry waits at most for what becomes of keys of its time, microseconds: longer than whoever withholds them waits.
const HELD: u64 = 15_000_000;
/// How much earlier than it is told the time of an event in the kernel can have been taken, microseconds.
const EARLIER: u64 = 10_000;

/// The flag of a command that did not wait any longer.
pub(super) const LATE: &str = "late: a witness was late: programs of it may stand elsewhere, or others' here";

/// The flag of events of the exec trace that are missing.
pub fn lost_execs(count: u64, why: &str) -> String {
    format!("lost-execs: {count} events of the exec trace are missing ({why})")
}

/// How far. Microseconds of the session; `u64::MAX` where nothing is to come.
pub(in crate::shell) struct Through {
    output: u64,
    trace: u64,
    /// Since when the trace has been looked at without a stop.
    since: u64,
    /// Of keys from then on it is not known yet whether they are withheld.
    held: Option<u64>,
}

impl Default for Through {
    fn default() -> Self {
        Self { output: u64::MAX, trace: u64::MAX, since: 0, held: None }
    }
}

impl Through {
    /// The last millisecond of which all output has come.
    pub(in crate::shell) fn output(&self) -> Option<u64> {
        if self.output == u64::MAX { Some(u64::MAX) } else { (self.output / 1_000).checked_sub(1) }
    }

    /// The last millisecond of which no output is waited for any longer, come or not.
    pub(super) fn decided(&self) -> Option<u64> {
        let goes = self.trace < u64::MAX && self.trace.saturating_sub(self.since) >= LONGEST;
        self.output().max(goes.then(|| self.trace.saturating_sub(LONGEST) / 1_000))
    }

    fn has(&self, closed: u64) -> bool {
        closed <= self.output && closed.saturating_add(EARLIER) <= self.trace
    }
}

impl Tracker {
    /// Marks come by a terminal: [`Tracker::output_through`] tells how far they have come. Else no process waits for them.
    pub fn follow_output(&mut self) {
        self.through.output = 0;
    }

    /// All output that was written before `micros` (microseconds since the start of the session) has been told.
    pub fn output_through(&mut self, micros: u64) {
        self.through.output = self.through.output.max(micros);
    }

    /// All that the kernel saw before `micros` (microseconds since the start of the session) has been told. Until the first call
    /// nobody waits for it.
    pub fn trace_through(&mut self, micros: u64) {
        let through = &mut self.through;
        if through.trace == u64::MAX || micros > through.trace.saturating_add(STOPPED) {
            through.since = micros;
        }
        through.trace = micros;
    }

    /// Of keys that were pressed from `since` on (microseconds since the start of the session) it is not known yet whether they are
    /// withheld; none: of all it is.
    pub fn held(&mut self, since: Option<u64>) {
        self.through.held = since;
    }

    /// Events of the exec trace are missing, and why.
    pub fn lost(&mut self, time: u64, count: u64, why: &str) {
        let flag = lost_execs(count, why);
        let (source, trust) = (Source::Exec, Trust::Witnessed);
        let command = Command { start: time, source, trust, flags: vec![flag], ..Command::default() };
        self.settled.commands.push(command);
    }

    /// It stands at the command that was the last.
    pub(super) fn tell_left_running(&mut self, now: u64) {
        let Some(flag) = self.processes.left_running.take() else { return };
        match self.settled.commands.iter_mut().max_by_key(|command| command.start) {
            Some(last) => push_flag(last, &flag),
            None => {
                let (source, trust) = (Source::Exec, Trust::Witnessed);
                let told = Command { start: now, source, trust, flags: vec![flag], ..Command::default() };
                self.settled.commands.push(told);
            }
        }
    }

    /// Whether something waits to be decided, or to leave.
    pub fn waits(&self) -> bool {
        self.processes.has_waiting() || self.entries.iter().any(|entry| entry.closed.is_some())
    }

    /// Lets go what has settled at `now`, milliseconds.
    pub(super) fn leave_settled(&mut self, now: u64) {
        // All output before has come: so has what else was said before.
        let now = self.through.output().filter(|through| *through < u64::MAX).map_or(now, |to| now.max(to));
        let horizon = now.saturating_sub(SETTLE).saturating_mul(1_000);
        let through = &self.through;
        let goes = |entry: &mut Entry| {
            let closed = entry.closed.filter(|closed| *closed <= horizon)?;
            let waits = horizon < closed.saturating_add(HELD);
            if waits && through.held.is_some_and(|since| since <= closed) {
                return None;
            }
            if !through.has(closed) {
                // Counted from the first look: whoever was stopped altogether has not waited.
                let since = *entry.waits.get_or_insert(now);
                if now < since.saturating_add(PATIENCE) {
                    return None;
                }
            }
            Some(entry.id)
        };
        let ready: Vec<u64> = self.entries.iter_mut().filter(|e| !e.is_guess()).filter_map(goes).collect();
        if !ready.is_empty() {
            self.leave(|entry| ready.contains(&entry.id));
        }
    }

    /// Flags an entry that leaves before all is told of it.
    pub(super) fn flag_late(&self, entry: &mut Entry) {
        if entry.closed.is_some_and(|closed| !self.through.has(closed)) {
            push_flag(&mut entry.command, LATE);
        }
    }

    /// A process had to be decided on before the output of its time had come.
    pub(in crate::shell) fn decided_early(&mut self, id: Option<u64>) {
        match id.and_then(|id| self.entry(id)) {
            Some(entry) => push_flag(&mut entry.command, LATE),
            None => self.early = self.early.saturating_add(1),
        }
    }

    /// Tells of processes whose command is not known for that.
    pub(super) fn tell_early(&mut self, start: u64) {
        let count = std::mem::take(&mut self.early);
        if count > 0 {
            let flag = format!(
                "lost-execs: the commands of {count} processes are not known: the output of their time came too late"
            );
            let (source, trust, flags) = (Source::Exec, Trust::Witnessed, vec![flag]);
            self.settled.commands.push(Command { start, source, trust, flags, ..Command::default() });
        }
    }
}
