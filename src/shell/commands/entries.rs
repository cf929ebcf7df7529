//! The entries that have not left yet: which of them something belongs to, what each is given, and how they leave.
//!
//! Refuses to hold more than a few, and more programs of one than there is room for: the rest goes on in further entries.

use super::unstarted::Standing;
use super::{Entry, Place, SLACK, Tracker, push_flag};
use crate::cast::{Command, Exec, Source};
use crate::shell::differences;

/// Programs kept with one entry, and bytes of them; a longer list goes on in a further entry.
const MAX_EXECS: usize = 1_000;
const MAX_BYTES: usize = 1 << 20;
/// Entries that may be open at once. More are closed, oldest first.
pub(super) const MAX_ENTRIES: usize = 256;

impl Tracker {
    pub(in crate::shell) fn open(&mut self, command: Command, begin: u64, standing: Standing) -> u64 {
        if self.entries.len() >= MAX_ENTRIES {
            // What anybody may have printed goes first, and what runs last.
            let hint = |e: &&Entry| e.command.source == Source::Hint;
            let first = self.entries.iter().find(hint);
            let first = first.or(self.entries.iter().find(|e| e.closed.is_some())).or(self.entries.first());
            let first = first.map(|e| e.id);
            self.leave(|entry| Some(entry.id) == first);
        }
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let (closed, shown, bytes, era) = (None, Vec::new(), 0, 0);
        let (sent_ahead, solid, given_up, ran, waits, read_on) = (false, false, false, false, None, false);
        self.entries.push(Entry {
            id,
            command,
            begin,
            closed,
            shown,
            bytes,
            sent_ahead,
            standing,
            solid,
            given_up,
            ran,
            era,
            waits,
            read_on,
        });
        id
    }

    pub(in crate::shell) fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// The entry to which the shell's own doings at `time` (microseconds) belong: the latest that had begun and not ended.
    pub(in crate::shell) fn at(&self, time: u64) -> Option<u64> {
        let begun_by = |latest: u64, hint: bool| {
            let running = |e: &&Entry| {
                e.begin <= latest
                    && e.closed.is_none_or(|closed| closed >= time)
                    && (e.command.source == Source::Hint) == hint
            };
            self.entries.iter().filter(running).max_by_key(|e| (e.begin, e.id)).map(|e| e.id)
        };
        // A line can be read a moment after the shell had it. What certainly had begun comes first; what anybody may have printed
        // takes no program from what somebody witnessed.
        let late = time.saturating_add(SLACK);
        begun_by(time, false).or_else(|| begun_by(late, false)).or_else(|| begun_by(time, true))
    }

    /// Gives an entry one more program, and sends a part ahead when there are too many.
    pub(in crate::shell) fn give(&mut self, id: u64, exec: Exec) {
        self.unsealed = self.unsealed.max(Some(exec.time));
        let Some(entry) = self.entry(id) else { return };
        entry.ran = true;
        entry.bytes = entry.bytes.saturating_add(exec.size());
        entry.command.execs.push(exec);
        if entry.command.execs.len() >= MAX_EXECS || entry.bytes >= MAX_BYTES {
            let part = entry.send_ahead();
            self.settled.commands.push(part);
        }
    }

    pub(in crate::shell) fn loose(&mut self, exec: Exec) {
        self.settled.execs.push(exec);
    }

    /// The programs among those that no command explains.
    pub(in crate::shell) fn loose_mut(&mut self) -> &mut Vec<Exec> {
        &mut self.settled.execs
    }

    pub(super) fn flag_current(&mut self, flag: &str) {
        let id = match (self.inner, self.place) {
            (Some(id), _) | (None, Place::Running(id)) => Some(id),
            _ => self.entries.iter().rev().find(|e| e.command.source != Source::Hint).map(|e| e.id),
        };
        if let Some(entry) = id.and_then(|id| self.entry(id)) {
            push_flag(&mut entry.command, flag);
        }
    }

    pub(super) fn leave(&mut self, mut goes: impl FnMut(&Entry) -> bool) {
        let shell = self.processes.shell();
        let (gone, stay): (Vec<Entry>, Vec<Entry>) = self.entries.drain(..).partition(&mut goes);
        self.entries = stay;
        for mut entry in gone {
            self.flag_late(&mut entry);
            self.processes.left(entry.id, &entry.command.text);
            if entry.standing == Standing::Unstarted && !self.judge_unstarted(&mut entry) {
                self.settled.execs.append(&mut entry.command.execs);
                continue;
            }
            differences::flag(&mut entry.command, &entry.shown, shell);
            self.settled.commands.push(entry.command);
        }
    }
}
