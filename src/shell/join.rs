//! Which program belongs to which command: what the kernel saw, joined with what the shell and the screen told.
//!
//! A process belongs to the command that its parent belonged to when it was forked; a child of the shell itself belongs to
//! the command that was running (or had been entered) at that time. What the kernel tells waits until all output of its time has
//! come, because the marks of the shell take the longer way, through the terminal. Both the amount and the time that may wait are
//! bounded; what must be decided early is flagged.

use super::commands::{MARKS_ENDED, Standing, Tracker, push_flag};
use crate::cast::{Command, Exec, Source, Trust};
use crate::text;
use std::collections::{HashMap, VecDeque};

/// Processes that are remembered at once; the kernel's own limit is usually lower.
const MAX_PROCESSES: usize = 65_536;
/// Events of processes that may wait for their marks…
const MAX_WAITING: usize = 65_536;
/// …and bytes of the programs among them.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// What the kernel told of a process.
enum Told {
    Forked { micros: u64, pid: u32, parent: u32 },
    Ran(Exec),
    Ended { pid: u32, status: i32 },
}

/// Characters that are kept of a command that has left, for what its jobs run later.
const MAX_BEGINNING: usize = 200;

/// Who belongs where.
pub(super) struct Processes {
    /// The process whose first child is the shell.
    root: Option<u32>,
    shell: Option<u32>,
    /// The shell has been executed: what it executes now replaces it.
    started: bool,
    /// Process to entry; none where it certainly belongs to no command.
    owner: HashMap<u32, Option<u64>>,
    /// How the texts of entries begin that have left while processes of theirs may live on.
    texts: HashMap<u64, String>,
    waiting: VecDeque<(u64, Told)>,
    waiting_bytes: usize,
    /// What is said of those that are left running.
    pub(super) left_running: Option<String>,
}

impl Told {
    fn size(&self) -> usize {
        if let Self::Ran(exec) = self { exec.size() } else { 0 }
    }
}

impl Processes {
    pub(super) fn new(shell: Option<u32>) -> Self {
        Self {
            root: None,
            shell,
            started: shell.is_some(),
            owner: HashMap::new(),
            texts: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            left_running: None,
        }
    }

    pub(super) fn set_root(&mut self, root: u32) {
        self.root = Some(root);
    }

    pub(super) fn shell(&self) -> Option<u32> {
        self.shell
    }

    /// An entry has left; what its processes run from now on is told separately.
    pub(super) fn left(&mut self, id: u64, text: &str) {
        if self.owner.values().any(|owner| *owner == Some(id)) {
            self.texts.insert(id, text::beginning(text, MAX_BEGINNING));
        }
    }

    /// Adds one; when too many wait, gives the time up to which they cannot wait any longer.
    fn wait(&mut self, time: u64, told: Told) -> Option<u64> {
        self.waiting_bytes = self.waiting_bytes.saturating_add(told.size());
        self.waiting.push_back((time, told));
        let half = self.waiting.len() / 2;
        let too_many = self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
        too_many.then(|| self.waiting.get(half).map_or(0, |(time, _)| *time))
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the latest program began that waits, milliseconds.
    fn latest(&self) -> Option<u64> {
        let ran = |told: &Told| matches!(told, Told::Ran(_));
        self.waiting.iter().rev().find(|(_, told)| ran(told)).map(|(time, _)| *time)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn own(&mut self, pid: u32, id: Option<u64>) {
        if self.owner.len() < MAX_PROCESSES || self.owner.contains_key(&pid) {
            let before = self.owner.insert(pid, id);
            if before != Some(id) {
                self.forget(before.flatten());
            }
        }
    }

    /// A process is no longer of an entry: where it was the last one, nothing is told of that any more.
    fn forget(&mut self, id: Option<u64>) {
        if let Some(id) = id
            && self.texts.contains_key(&id)
            && !self.owner.values().any(|other| *other == Some(id))
        {
            self.texts.remove(&id);
        }
    }
}

impl Tracker {
    /// The kernel saw a fork below the session's shell. `micros`: microseconds since the start of the session.
    pub fn forked(&mut self, micros: u64, pid: u32, parent: u32) {
        self.wait(micros / 1_000, Told::Forked { micros, pid, parent });
    }

    /// The kernel saw a program being executed; its end is told by [`Tracker::ended`].
    pub fn executed(&mut self, exec: Exec) {
        self.wait(exec.time, Told::Ran(exec));
    }

    /// The kernel saw a process end; `status` is 128 + n for signal n.
    pub fn ended(&mut self, time: u64, pid: u32, status: i32) {
        self.wait(time, Told::Ended { pid, status });
    }

    /// Processes run on when the session ends, and the kernel is no longer asked: the flag that says so. Told with the end.
    pub fn left_running(&mut self, flag: String) {
        self.processes.left_running = Some(flag);
    }

    /// When the latest program began that waits for the output of its time, milliseconds since the start of the session.
    pub fn latest_waiting(&self) -> Option<u64> {
        self.processes.latest()
    }

    fn wait(&mut self, time: u64, told: Told) {
        if let Some(until) = self.processes.wait(time, told) {
            self.run_processes(until);
        }
    }

    /// Takes what was told of processes up to a time.
    pub(super) fn run_processes(&mut self, until: u64) {
        let through = self.through.output();
        while self.processes.waiting.front().is_some_and(|(time, _)| *time <= until) {
            let Some((time, told)) = self.processes.waiting.pop_front() else { return };
            self.processes.waiting_bytes = self.processes.waiting_bytes.saturating_sub(told.size());
            let early = through.is_none_or(|through| time > through);
            match told {
                Told::Forked { pid, parent, .. } if Some(parent) == self.processes.root => {
                    self.processes.shell.get_or_insert(pid);
                }
                Told::Forked { micros, pid, parent } => {
                    let id = self.owner_at(micros, parent);
                    // Where the times of the commands are known, that there is none is an answer.
                    if id.is_some() || self.ended_exactly() {
                        if early && Some(parent) == self.processes.shell {
                            self.decided_early(id);
                        }
                        self.processes.own(pid, id);
                    }
                }
                Told::Ran(exec) => {
                    if early && !self.processes.owner.contains_key(&exec.pid) {
                        self.decided_early(self.at(time.saturating_mul(1_000)));
                    }
                    self.ran(time, exec);
                }
                Told::Ended { pid, status } => self.process_ended(time, pid, status),
            }
        }
    }

    /// The entry to which a new child of `parent` belongs; `time` in microseconds.
    fn owner_at(&mut self, time: u64, parent: u32) -> Option<u64> {
        if Some(parent) == self.processes.shell {
            if self.inner_began_before(time) {
                // The shell reads commands itself again, and says nothing of it.
                self.marks_ended(time / 1_000, MARKS_ENDED);
            }
            return self.at(time);
        }
        let id = (*self.processes.owner.get(&parent)?)?;
        // A shell inside the session: what it runs belongs to the line that was entered in it.
        let inner = self
            .at(time)
            .filter(|at| *at > id && self.entry(*at).is_some_and(|e| e.command.source == Source::Screen));
        Some(inner.unwrap_or(id))
    }

    fn ran(&mut self, time: u64, exec: Exec) {
        if Some(exec.pid) == self.processes.shell {
            let replaced = std::mem::replace(&mut self.processes.started, true);
            let id = self.at(time.saturating_mul(1_000));
            if replaced && id.is_some() {
                let flag = format!("replaced: the shell became {}, which tells nothing", exec.path);
                self.shell_replaced(time, &flag);
            }
            return match id {
                Some(id) => self.give(id, exec),
                None => self.loose(exec),
            };
        }
        let known = self.processes.owner.get(&exec.pid).copied();
        let Some(id) = known.unwrap_or_else(|| self.owner_at(time.saturating_mul(1_000), exec.ppid)) else {
            self.loose(exec);
            return;
        };
        self.processes.own(exec.pid, Some(id));
        if self.entry(id).is_some() {
            self.give(id, exec);
            return;
        }
        // The entry has left: a job in the background. What it runs later gets an entry of its own.
        let text = self.processes.texts.get(&id).cloned().unwrap_or_default();
        let mut command = Command {
            // The program has all of it.
            text: text::beginning(&exec.argv.join(" "), MAX_BEGINNING),
            cwd: (!exec.cwd.is_empty()).then(|| exec.cwd.clone()),
            start: time,
            source: Source::Exec,
            trust: Trust::Witnessed,
            ..Command::default()
        };
        push_flag(&mut command, &format!("background: of `{text}`"));
        let micros = time.saturating_mul(1_000);
        let late = self.open(command, micros, Standing::Ran);
        if let Some(entry) = self.entry(late) {
            entry.closed = Some(micros);
        }
        self.processes.own(exec.pid, Some(late));
        self.give(late, exec);
    }

    fn process_ended(&mut self, time: u64, pid: u32, status: i32) {
        let owner = self.processes.owner.remove(&pid);
        let last = |execs: &mut Vec<Exec>| {
            if let Some(exec) = execs.iter_mut().rev().find(|e| e.pid == pid && e.end.is_none()) {
                exec.end = Some(time);
                exec.exit = Some(status);
            }
        };
        let Some(id) = owner.flatten() else { return last(self.loose_mut()) };
        if let Some(entry) = self.entry(id) {
            last(&mut entry.command.execs);
        } else {
            self.processes.forget(Some(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that never ends and goes on as one program after the other, and one that runs many which end at once.
    #[test]
    fn of_a_job_no_more_is_kept_than_what_its_processes_were_last() {
        let mut tracker = Tracker::new(Some(10));
        let exec = |time, pid| Exec { time, pid, ppid: 10, argv: vec!["ü".repeat(300)], ..Exec::default() };
        tracker.command("job".into(), None);
        tracker.forked(1_000, 20, 10);
        tracker.finish(2, None);
        assert_eq!(tracker.processes.texts.values().collect::<Vec<_>>(), ["job"]);
        for n in 1..100 {
            let time = n * 1_000;
            tracker.executed(exec(time, 20));
            tracker.forked(time * 1_000 + 1, 21, 20);
            tracker.executed(exec(time + 1, 21));
            tracker.ended(time + 2, 21, 0);
            let told = tracker.finish(time + 900, None).commands;
            let told: Vec<_> = told.iter().map(|c| (c.text.chars().count(), c.execs.len())).collect();
            assert_eq!(told, [(MAX_BEGINNING + 1, 2)]);
            assert_eq!(tracker.processes.texts.len(), 1);
        }
        tracker.ended(200_000, 20, 0);
        tracker.finish(200_001, None);
        assert_eq!(tracker.processes.texts.len(), 0);
    }

    #[test]
    fn of_a_command_that_has_left_no_more_is_kept_than_is_told() {
        let mut processes = Processes::new(None);
        processes.own(7, Some(1));
        processes.left(1, &"ü".repeat(100_000));
        processes.left(2, "nothing of it lives");
        let kept: Vec<_> =
            processes.texts.values().map(|text| (text.chars().count(), text.capacity() < 1000)).collect();
        assert_eq!(kept, [(MAX_BEGINNING + 1, true)]);
    }
}
