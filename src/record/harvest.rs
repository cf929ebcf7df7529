//! What has settled of a segment, within the room that its index entry has.
//!
//! Shortens arguments before it leaves a program out, and programs before commands. Refuses to leave anything out without counting it.

use crate::cast::{Command, Exec, Source};
use crate::container::LeftOut;
use crate::container::fit::{self, Notices};
use crate::shell::commands::Settled;

/// Bytes of commands and programs that one index entry takes; the format's own limit is four times that…
const MAX_BYTES: usize = 8 << 20;
/// …of which this much is kept for commands: programs must not push them out, nor entries that only programs have. Notices have room in
/// any case.
const FOR_COMMANDS: usize = 1 << 20;
/// Bytes of what one index entry tells of commands that run.
const MAX_RUNNING: usize = 4 << 20;
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
    pub(super) fn run(&mut self, mut running: Vec<Command>) -> usize {
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

    pub(super) fn add(&mut self, settled: Settled) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::indexer_commands::note;

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
}
