//! INDEX: what a segment holds, kept apart from it so that listing and searching never open it.
//!
//! What can be counted from the events is counted by [`Tally`], in the writer and again in a full verification: an
//! index that says something else than its content is found out (the systemd journal's was not: CVE-2023-31437). Refuses to know
//! how an entry stands in the file: that is `wire`'s.

mod tally;
mod wire;

use super::fit::LeftOut;
use super::limits;
use crate::cast::{Command, Exec, Payload};
use serde::{Deserialize, Serialize};

pub use tally::{LISTED, Tally};
pub(crate) use wire::{Decoded, decode_entry};
pub(super) use wire::{Packed, encode_counts, encode_entry, fits, json_of, pack, unpack};

/// Index entry of one segment. Written as JSON it has its commands and programs by columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Number of the segment, from 0.
    pub segment: u32,
    /// Byte offset of its first chunk in the file.
    pub offset: u64,
    /// What is counted from the events.
    pub tally: Tally,
    /// Commands that ended in this segment, or were running when the recording did.
    pub commands: Vec<Command>,
    /// Executed programs that belong to no command.
    pub execs: Vec<Exec>,
    /// Commands that had not ended when the segment did, with their programs so far. They are told again when they end: a reader keeps
    /// those of the last entry only, and what was sealed of them before where that had no room for it.
    pub running: Vec<Command>,
    /// What of them did not fit, where they were not told again.
    pub running_left_out: LeftOut,
    /// Why there is less here than there could be, if there is.
    pub given_up: Option<GivenUp>,
    /// Commands and programs for which there was no room.
    pub left_out: LeftOut,
    /// Bloom filter over what the segment showed; empty = not made, look inside.
    pub filter: Vec<u8>,
}

/// Why a segment has no filter, though one could have been made, or not all of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenUp {
    /// Output came faster than it was worth reading.
    Flood,
    /// What reads the output was late, or left out a flood of binary data or what it would have cost too much to draw: the screen is
    /// not known until a full reset.
    Late,
    /// The same, and lines were typed meanwhile, which nobody can read; or a shell ran some of which it did not tell: commands may be
    /// missing.
    Unread,
    /// What reads the output failed: commands may be missing, from then on.
    Failed,
    /// The entry would have been longer than may be, or than the disk had room for: commands are missing.
    TooLong,
    /// Its entry cannot be read: commands are missing, and nothing is known of it but what its content tells. No recorder writes that.
    #[serde(skip_deserializing)]
    Unreadable,
    /// For a reason that this version does not know.
    #[serde(other)]
    Other,
}

impl GivenUp {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Late => "late",
            Self::Unread => "unread",
            Self::Failed => "failed",
            Self::TooLong => "too-long",
            Self::Unreadable => "unreadable",
            Self::Other => "other",
        }
    }

    /// Whether commands may be missing, too. In a flood the screen is followed, and typed lines are read off it; who is late tells with the
    /// next segment, or has it counted.
    pub fn lacks_commands(self) -> bool {
        !matches!(self, Self::Flood | Self::Late)
    }
}

/// The commands of these entries, by start: one that runs long is in the entry of the segment in which it ended.
pub fn commands(entries: &[Entry]) -> Vec<&Command> {
    let mut commands: Vec<&Command> = entries.iter().flat_map(|entry| &entry.commands).collect();
    commands.extend(entries.iter().flat_map(|entry| &entry.running));
    commands.sort_by_key(|command| command.start);
    commands
}

/// What of an entry everybody compares who reads its segment: whoever puts checkpoints in the place of its last chunks, which takes
/// no key, makes it say less than was sealed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Offset of its SEG chunk.
    pub(super) offset: u64,
    /// Bytes of output…
    pub(super) raw: u64,
    /// …and of input that was kept.
    pub(super) input: u64,
    /// Time of the last event, milliseconds since the start of the session.
    pub(super) end: u64,
}

impl Counted {
    /// Counts an event as [`Tally::count`] does.
    pub(super) fn count(&mut self, ms: u64, payload: &Payload) {
        self.end = ms;
        match payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                self.raw = self.raw.saturating_add(bytes.len() as u64);
            }
            Payload::Input(bytes) => self.input = self.input.saturating_add(bytes.len() as u64),
            _ => {}
        }
    }
}

impl Entry {
    /// What is compared by everybody who reads the segment.
    pub(super) fn counted(&self) -> Counted {
        let Self { offset, tally: Tally { raw, input, end, .. }, .. } = *self;
        Counted { offset, raw, input, end }
    }

    /// Bytes that the commands and programs take, about.
    fn told_size(&self) -> usize {
        let commands = self.commands.iter().chain(&self.running);
        let commands = commands.map(Command::size).fold(0, usize::saturating_add);
        self.execs.iter().map(Exec::size).fold(commands, usize::saturating_add)
    }

    /// Whether a reader would take the commands: they are within [`limits::TOLD`].
    fn is_readable(&self) -> bool {
        self.told_size() <= limits::TOLD
    }

    /// What it counts for [`limits::UNPACKED`], with `json` bytes of JSON.
    fn unpacked(&self, json: usize) -> u64 {
        let bytes = json.saturating_add(self.told_size()).saturating_add(self.tally.size());
        (bytes as u64).saturating_sub(limits::UNPACKED_FREE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_in_the_order_in_which_they_began() {
        let of = |starts: &[u64]| Entry {
            commands: starts.iter().map(|start| Command { start: *start, ..Command::default() }).collect(),
            ..Entry::default()
        };
        let entries = [of(&[2, 5]), of(&[]), of(&[0, 3])];
        let starts: Vec<u64> = commands(&entries).iter().map(|command| command.start).collect();
        assert_eq!(starts, [0, 2, 3, 5]);
    }
}
