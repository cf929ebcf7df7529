//! What is kept of the commands and programs of a segment where not all of them fit: as many as do, and a count of the rest.
//!
//! Arguments are shortened first, the longest ones first; then programs are left out, the last ones first; the commands
//! themselves go last, but for their [`Notices`]. Refuses to be silent about any of it: [`LeftOut`] stands in the index entry.

use super::error::Error;
use super::index::{self, Entry, GivenUp, Packed};
use crate::cast::{Command, Source, Trust, word};
use crate::text::counted;
use serde::{Deserialize, Serialize};

/// To how many bytes the arguments of a program are shortened, one after the other, before any program is left out.
const SHORTER: [usize; 4] = [4096, 1024, 256, 64];
/// How many notices of one kind there are room for in any case.
const MOST_NOTICES: usize = 20;
/// What an argument costs beside its bytes, as [`crate::cast::Exec::size`] counts it.
const ARGUMENT: usize = 24;

/// For what of an entry there is room in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    All,
    /// Only for notices and counts.
    Notices,
    /// Only for counts.
    Counts,
}

/// What was seen and is not in the index, because there was no room for it, or nobody read it in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Commands that are missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub commands: u64,
    /// Programs that are missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub programs: u64,
    /// Programs that are there, of whose arguments the end is missing: their last one says how much.
    #[serde(skip_serializing_if = "is_zero")]
    pub shortened: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl LeftOut {
    /// Whether all is there.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// All that is missing in these entries.
    pub fn of(entries: &[Entry]) -> Self {
        let mut all = Self::default();
        entries.iter().for_each(|entry| all.add(entry.all_left_out()));
        all
    }

    /// Adds what is missing elsewhere.
    pub fn add(&mut self, other: Self) {
        self.commands = self.commands.saturating_add(other.commands);
        self.programs = self.programs.saturating_add(other.programs);
        self.shortened = self.shortened.saturating_add(other.shortened);
    }

    /// For people, as a flag: a word, and what it means here. `None` where nothing is missing.
    pub fn notice(&self) -> Option<String> {
        let of = |n: u64, what: &str| (n > 0).then(|| counted(n, what));
        let missing = [of(self.commands, "command"), of(self.programs, "program")];
        let missing = missing.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let missing = (!missing.is_empty()).then(|| {
            format!("{missing} did not come into the index: there was no room, or no time to read more")
        });
        let shortened =
            of(self.shortened, "program").map(|which| format!("the arguments of {which} are shortened"));
        let parts: Vec<String> = missing.into_iter().chain(shortened).collect();
        (!parts.is_empty()).then(|| format!("left-out: {}", parts.join("; ")))
    }
}

/// The notices of commands for which there is no room: whoever fills the index must not push out what raises the alarm. Of each kind
/// the first ones, so that no kind costs the others their place, and all of them are bounded.
#[derive(Debug, Default)]
pub struct Notices {
    kinds: Vec<String>,
}

impl Notices {
    /// Counts a command as left out, with its programs. Gives what is kept of it: an entry of its notices, if it has any.
    pub fn leave(&mut self, command: &Command, left_out: &mut LeftOut) -> Option<Command> {
        let mut flags = Vec::new();
        for flag in command.notices() {
            let kind = word(flag);
            if self.kinds.iter().filter(|known| *known == kind).count() < MOST_NOTICES {
                self.kinds.push(kind.to_owned());
                flags.push(flag.to_owned());
            }
        }
        let is_all = !flags.is_empty() && command.text.is_empty();
        let commands = u64::from(!is_all);
        left_out.add(LeftOut { commands, programs: count(command.execs.len()), shortened: 0 });
        let Command { start, end, .. } = *command;
        let (source, trust) = (Source::Exec, Trust::Witnessed);
        (!flags.is_empty()).then(|| Command { start, end, source, trust, flags, ..Command::default() })
    }
}

/// What stands in the place of arguments that are not kept.
pub fn more_bytes(count: usize) -> String {
    format!("… {count} more bytes")
}

/// How many bytes of arguments are missing behind these, as their last one says.
pub fn missing(argv: &[String]) -> Option<usize> {
    argv.last().and_then(|last| last.strip_prefix("… ")?.strip_suffix(" more bytes")?.parse().ok())
}

/// Shortens the arguments of a program, or of the session itself, to about `most` bytes, and says in a last one how many are missing. True when nothing
/// had been missing before.
pub fn shorten(argv: &mut Vec<String>, most: usize) -> bool {
    let known = missing(argv);
    let kept = argv.len().saturating_sub(usize::from(known.is_some()));
    let (mut room, mut gone) = (most, 0usize);
    let mut whole = 0usize;
    for (n, argument) in argv.iter_mut().take(kept).enumerate() {
        let cost = argument.len().saturating_add(ARGUMENT);
        if gone == 0 && cost <= room {
            (room, whole) = (room.saturating_sub(cost), n.saturating_add(1));
            continue;
        }
        // Each argument ended by a zero byte, as the kernel counts them.
        let end = if gone == 0 { argument.floor_char_boundary(room.saturating_sub(ARGUMENT)) } else { 0 };
        gone = gone.saturating_add(argument.len().saturating_sub(end)).saturating_add(1);
        if end > 0 {
            argument.truncate(end);
            // Memory is what this is about.
            argument.shrink_to_fit();
            whole = n.saturating_add(1);
        }
        room = 0;
    }
    if gone == 0 {
        return false;
    }
    argv.truncate(whole);
    argv.push(more_bytes(gone.saturating_add(known.unwrap_or(0))));
    known.is_none()
}

impl Entry {
    /// What was left out, for people: when the segment began (milliseconds since the start of the session), and what.
    pub fn left_out_notice(&self) -> Option<(u64, String)> {
        self.all_left_out().notice().map(|text| (self.tally.start, text))
    }

    /// All that is missing in it, also of commands that run.
    pub fn all_left_out(&self) -> LeftOut {
        let mut all = self.left_out;
        all.add(self.running_left_out);
        all
    }

    /// Whether commands or programs are missing from it, or the ends of their lines and arguments.
    pub fn lacks_commands(&self) -> bool {
        let commands = || self.commands.iter().chain(&self.running);
        let mut execs = self.execs.iter().chain(commands().flat_map(|command| &command.execs));
        self.given_up.is_some_and(GivenUp::lacks_commands)
            || !self.all_left_out().is_nothing()
            || commands().any(Command::is_cut)
            || execs.any(|exec| missing(&exec.argv).is_some())
    }

    /// Plaintext of the INDEX chunk, with as much as fits and as there is room for; what does not is taken out and
    /// counted.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub(super) fn fit(&mut self, room: Room) -> Result<Packed, Error> {
        if room == Room::All {
            if let Some(packed) = index::encode_entry(self)? {
                return Ok(packed);
            }
            // What runs is told again when it ends.
            let execs = self.running.iter_mut().flat_map(|command| &mut command.execs);
            let shortened = count(execs.filter_map(|exec| shorten(&mut exec.argv, 64).then_some(())).count());
            self.running_left_out.add(LeftOut { shortened, ..LeftOut::default() });
            if let Some(packed) = index::encode_entry(self)? {
                return Ok(packed);
            }
            self.leave_programs_of_running();
            if let Some(packed) = index::encode_entry(self)? {
                return Ok(packed);
            }
            self.leave_running();
            if let Some(packed) = index::encode_entry(self)? {
                return Ok(packed);
            }
            for most in SHORTER {
                let execs = self.commands.iter_mut().flat_map(|command| &mut command.execs);
                let shortened = execs
                    .chain(&mut self.execs)
                    .filter_map(|exec| shorten(&mut exec.argv, most).then_some(()));
                self.left_out.shortened = self.left_out.shortened.saturating_add(count(shortened.count()));
                if let Some(packed) = index::encode_entry(self)? {
                    return Ok(packed);
                }
            }
            let mut programs = self.programs();
            while programs > 0 {
                programs /= 2;
                self.keep_programs(programs);
                if let Some(packed) = index::encode_entry(self)? {
                    return Ok(packed);
                }
            }
            let mut most = self.commands.len();
            while most > 0 {
                most /= 2;
                self.keep_commands(most);
                if let Some(packed) = index::encode_entry(self)? {
                    return Ok(packed);
                }
            }
        }
        // An entry must never cost the recording: what is too long to index is looked for inside.
        self.keep_programs(0);
        self.leave_running();
        self.filter = Vec::new();
        self.given_up = Some(GivenUp::TooLong);
        if room != Room::Counts {
            self.keep_commands(0);
            if let Some(packed) = index::encode_entry(self)? {
                return Ok(packed);
            }
        }
        let commands = count(std::mem::take(&mut self.commands).len());
        self.left_out.add(LeftOut { commands, ..LeftOut::default() });
        index::encode_counts(self)
    }

    /// Leaves out the programs of commands that run.
    fn leave_programs_of_running(&mut self) {
        let programs = self.running.iter_mut().map(|command| count(std::mem::take(&mut command.execs).len()));
        let programs = programs.fold(0, u64::saturating_add);
        if programs > 0 {
            // Shortened or not, they are not there.
            self.running_left_out.shortened = 0;
        }
        self.running_left_out.add(LeftOut { programs, ..LeftOut::default() });
    }

    /// Leaves out these commands.
    fn leave_running(&mut self) {
        self.leave_programs_of_running();
        let commands = count(std::mem::take(&mut self.running).len());
        self.running_left_out.add(LeftOut { commands, ..LeftOut::default() });
    }

    /// Leaves out all commands but the first `most`, and all notices; they have no programs any more.
    fn keep_commands(&mut self, most: usize) {
        let gone = self.commands.split_off(most.min(self.commands.len()));
        let mut notices = Notices::default();
        self.commands.extend(gone.iter().filter_map(|command| notices.leave(command, &mut self.left_out)));
        self.given_up.get_or_insert(GivenUp::TooLong);
    }

    fn programs(&self) -> usize {
        let of_commands = self.commands.iter().map(|command| command.execs.len());
        of_commands.fold(self.execs.len(), usize::saturating_add)
    }

    /// Leaves out all programs but the first `most`, and with them the entries that only they had.
    fn keep_programs(&mut self, most: usize) {
        let before = self.programs();
        let mut left = most;
        let mut notices = Notices::default();
        for mut command in std::mem::take(&mut self.commands) {
            let had = !command.execs.is_empty();
            command.execs.truncate(left);
            left = left.saturating_sub(command.execs.len());
            if had && command.execs.is_empty() && command.source == Source::Exec {
                self.commands.extend(notices.leave(&command, &mut self.left_out));
            } else {
                self.commands.push(command);
            }
        }
        self.execs.truncate(left);
        let gone = count(before.saturating_sub(self.programs()));
        self.left_out.programs = self.left_out.programs.saturating_add(gone);
        if gone > 0 {
            self.given_up.get_or_insert(GivenUp::TooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Command, Exec, Source};
    use crate::container::limits;

    fn exec(argv: &[&str]) -> Exec {
        Exec { argv: argv.iter().map(|arg| (*arg).to_owned()).collect(), ..Exec::default() }
    }

    #[test]
    fn arguments_are_cut_at_the_end_and_the_last_one_says_how_much_is_missing() {
        let long = "x".repeat(100);
        for (argv, most, expected, newly) in [
            (vec!["a", "b"], 50, vec!["a", "b"], false),
            (vec!["a", "b"], 49, vec!["a", "… 2 more bytes"], true),
            (vec!["a", &long, "b"], 59, vec!["a", "xxxxxxxxxx", "… 93 more bytes"], true),
            (vec!["a", "añb"], 51, vec!["a", "a", "… 4 more bytes"], true),
            (vec!["a", &long], 0, vec!["… 103 more bytes"], true),
            (vec!["a", &long, "… 5 more bytes"], 59, vec!["a", "xxxxxxxxxx", "… 96 more bytes"], false),
            (vec!["a", "… 5 more bytes"], 25, vec!["a", "… 5 more bytes"], false),
            (vec![], 0, vec![], false),
        ] {
            let mut exec = exec(&argv);
            assert_eq!(
                (shorten(&mut exec.argv, most), &exec.argv),
                (newly, &expected.iter().map(|s| (*s).to_owned()).collect())
            );
        }
    }

    /// Hexadecimal digits that no compression makes less than half as long.
    fn noise(seed: u64, length: usize) -> String {
        let mut dice = crate::sys::dice::Dice(seed);
        (0..length).map(|_| char::from_digit(u32::from(dice.byte() >> 4), 16).unwrap()).collect()
    }

    fn commands(count: usize, programs: usize, argument: impl Fn(u64) -> String) -> Entry {
        let exec = |n: usize| exec(&["/bin/true", &argument(n as u64)]);
        let command = |n: usize| Command {
            text: format!("line {n}"),
            execs: (n * programs..(n + 1) * programs).map(exec).collect(),
            ..Command::default()
        };
        Entry { commands: (0..count).map(command).collect(), filter: vec![7; 100], ..Entry::default() }
    }

    #[test]
    fn of_what_does_not_fit_as_much_is_kept_as_does_and_the_rest_is_counted() {
        for (name, mut entry) in [
            ("noise", commands(2, 400, |n| noise(n, 8192))),
            ("escapes", commands(3, 140, |_| "\x1b".repeat(8192))),
            ("short noise, many", commands(2, 15_000, |n| noise(n, 64))),
            ("more than a reader takes", commands(1, 2_100, |_| "x".repeat(16_000))),
        ] {
            let before = entry.clone();
            let plain = entry.fit(Room::All).unwrap().plain;
            assert!(plain.len() < limits::BODY as usize, "{name}");
            let index::Decoded { entry: read, whole, .. } =
                index::decode_entry(&plain, |_| true).expect(name);
            assert!(whole && read == entry && read.filter == before.filter, "{name}");
            let left = read.left_out;
            assert_eq!(read.commands.len(), before.commands.len(), "{name}");
            assert_eq!(read.programs() as u64 + left.programs, before.programs() as u64, "{name}");
            assert!(read.programs() > 0 && (left.programs > 0 || left.shortened > 0), "{name}: {left:?}");
            assert_eq!(read.given_up, (left.programs > 0).then_some(GivenUp::TooLong), "{name}");
        }
    }

    /// It is told again when it ends, if the recorder lives so long.
    #[test]
    fn what_is_left_out_of_commands_that_run_is_counted_by_itself() {
        let running = |programs, length| commands(1, programs, |n| noise(n, length)).commands;
        let full = || commands(80, 1, |n| noise(n, 2_000));
        let left_out = |commands, programs, shortened| LeftOut { commands, programs, shortened };
        let mut paths = running(40_000, 0);
        for (n, exec) in paths.iter_mut().flat_map(|command| &mut command.execs).enumerate() {
            exec.path = noise(n as u64, 64);
        }
        let mut long = full();
        for (n, command) in long.commands.iter_mut().enumerate() {
            command.text = noise(n as u64, 60_000);
        }
        for (what, entry, runs, programs, expected) in [
            ("all fits", full(), running(3, 100), 3, left_out(0, 0, 0)),
            ("arguments", full(), running(300, 8_000), 300, left_out(0, 0, 300)),
            ("programs", full(), paths, 0, left_out(0, 40_000, 0)),
            ("all", long, running(3, 8_000), 0, left_out(1, 3, 0)),
        ] {
            let mut entry = Entry { running: runs, ..entry };
            let read = index::decode_entry(&entry.fit(Room::All).unwrap().plain, |_| true).unwrap().entry;
            assert_eq!(read.running_left_out, expected, "{what}");
            assert!(read == entry, "{what}");
            assert_eq!(read.running.len() as u64 + expected.commands, 1, "{what}");
            let kept = read.running.iter().map(|command| command.execs.len()).sum::<usize>();
            assert_eq!(kept, programs, "{what}");
            assert_eq!(read.left_out.is_nothing(), what != "all", "{what}: {:?}", read.left_out);
        }
        let mut entry = Entry { running: running(2, 5), ..full() };
        let plain = entry.fit(Room::Counts).unwrap().plain;
        let read = index::decode_entry(&plain, |_| false).unwrap().entry;
        assert_eq!((read.running.len(), read.running_left_out), (0, left_out(1, 2, 0)));
        assert_eq!(read.all_left_out(), left_out(81, 82, 0));
    }

    #[test]
    fn what_cannot_be_kept_at_all_is_counted() {
        let mut entry = commands(3, 5, |_| String::new());
        let plain = entry.fit(Room::Counts).unwrap().plain;
        let read = index::decode_entry(&plain, |_| true).unwrap().entry;
        assert_eq!(read.left_out, LeftOut { commands: 3, programs: 15, shortened: 0 });
        assert_eq!((read.given_up, read.commands.len(), read.filter.len()), (Some(GivenUp::TooLong), 0, 0));
        let mut entry = commands(80, 1, |_| String::new());
        for (n, command) in entry.commands.iter_mut().enumerate() {
            command.text = noise(n as u64, 60_000);
        }
        let read = index::decode_entry(&entry.fit(Room::All).unwrap().plain, |_| true).unwrap().entry;
        let kept = read.commands.len() as u64;
        assert!(kept > 0 && kept < 80, "{kept}");
        assert_eq!(read.left_out, LeftOut { commands: 80 - kept, programs: 80, shortened: 0 });
    }

    /// What the kernel alone tells of is no more than its programs; a notice is kept when everything else has gone.
    #[test]
    fn the_commands_of_the_shell_stay_longer_than_the_programs_and_notices_stay() {
        let mut entry = commands(4_000, 1, |n| noise(n, 64));
        for (n, command) in entry.commands.iter_mut().enumerate() {
            command.text = noise(n as u64, 800);
            command.source = Source::Exec;
        }
        let typed = Command { text: "echo hidden >file".into(), ..Command::default() };
        entry.commands.push(typed.clone());
        let flags = vec!["alias: x".to_owned(), "left-running: x".to_owned()];
        entry.commands.push(Command { flags, ..entry.commands[0].clone() });
        let read = index::decode_entry(&entry.fit(Room::All).unwrap().plain, |_| true).unwrap().entry;
        assert!(read.commands.contains(&typed));
        assert_eq!(read.commands.last().unwrap().flags, ["left-running: x"]);
        let kept = read.commands.len() as u64;
        assert!(kept > 1_000, "{kept}");
        // Of the one that is flagged the text is missing.
        assert_eq!(read.left_out.commands, 4_000 + 1 + 1 - kept + 1);
        let programs = read.programs() as u64;
        assert_eq!((programs, read.left_out.programs), (kept - 2, 4_001 - programs));

        let mut entry = commands(80, 1, |_| String::new());
        for (n, command) in entry.commands.iter_mut().enumerate() {
            command.text = noise(n as u64, 60_000);
        }
        entry.commands[79].flags = vec!["replaced: x".to_owned()];
        let read = index::decode_entry(&entry.fit(Room::All).unwrap().plain, |_| true).unwrap().entry;
        assert_eq!(read.commands.last().unwrap().flags, ["replaced: x"]);
        assert_eq!(read.left_out.commands, 80 - read.commands.len() as u64 + 1);
        for (room, flags) in [(Room::Notices, vec!["replaced: x"]), (Room::Counts, vec![])] {
            let read = index::decode_entry(&entry.fit(room).unwrap().plain, |_| true).unwrap().entry;
            let kept: Vec<&str> = read.commands.iter().flat_map(|command| command.notices()).collect();
            assert_eq!((kept, read.filter.len()), (flags, 0), "{room:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_told_in_one_line() {
        let notice = |commands, programs, shortened| LeftOut { commands, programs, shortened }.notice();
        assert_eq!(notice(0, 0, 0), None);
        assert_eq!(
            notice(0, 1, 0).unwrap(),
            "left-out: 1 program did not come into the index: there was no room, or no time to read more"
        );
        assert_eq!(
            notice(2, 30, 400).unwrap(),
            "left-out: 2 commands and 30 programs did not come into the index: there was no room, or no time to read more; the arguments of 400 programs are shortened"
        );
    }
}
