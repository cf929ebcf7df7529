//! Which commands of the index the shell told of, found out while the recording is read.
//!
//! Holds a few numbers for each command of the index and nothing of what the shell tells, however much that is: a recording of a
//! few kilobytes can have it tell of millions of commands. Refuses to keep texts: it has digests of them, under a key that is
//! drawn anew each time, so that nobody can make two that are taken for each other.

use crate::cast::{Command, Source, millis};
use crate::container::Entry;
use crate::shell::marks::Mark;
use crate::shell::said::Said;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How far a command's time and that of the event that told of it may lie apart, milliseconds: one is cut off, the other
/// rounded so that the sum is right.
const SLACK: u64 = 3;

/// Commands of the index that began in the same millisecond under the same text.
struct Run {
    text: u64,
    start: u64,
    /// When the last one ended, of all of this text that began no later; `u64::MAX`: one has not ended.
    ends: u64,
    /// The shell told of it.
    told: bool,
}

/// A command that the shell told of and the index does not have under its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// When it was told of, milliseconds since the start of the session.
    pub(super) start: u64,
    /// What was told.
    pub(super) text: String,
    /// The index has another one that began about then, which may stand for it: see [`Heard::untold`].
    pub(super) beside: bool,
}

/// The commands of an index, and which of them were heard of.
pub(super) struct Heard {
    key: RandomState,
    /// By text, then start.
    runs: Vec<Run>,
    /// Starts of all commands, and whether a line began there that the shell's history did not take. What that line was is not among the
    /// events: where the history was told to leave out what it has, the line is the same as its last one, and the index has it from there.
    starts: Vec<(u64, bool)>,
    /// The text of the last start, until an end is heard. A shell that tells it again before that has run more of what it told then.
    runs_now: Option<u64>,
    any: bool,
}

impl Heard {
    /// Of these entries, before anything was heard.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let key = RandomState::new();
        // What had not ended when what makes the index was late last is told as that.
        let commands = || entries.iter().flat_map(|entry| entry.commands.iter().chain(&entry.running));
        let mut starts: Vec<(u64, bool)> = commands().map(|command| (command.start, false)).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut runs: Vec<Run> = commands()
            .map(|command| Run {
                text: key.hash_one(&command.text),
                start: command.start,
                ends: command.end.unwrap_or(u64::MAX),
                told: false,
            })
            .collect();
        runs.sort_unstable_by_key(|run| (run.text, run.start));
        let mut before = None;
        for run in &mut runs {
            if let Some((text, ends)) = before
                && text == run.text
            {
                run.ends = run.ends.max(ends);
            }
            before = Some((run.text, run.ends));
        }
        // The last of those that began together ends last.
        runs.dedup_by(|next, first| {
            let same = (next.text, next.start) == (first.text, first.start);
            first.ends = if same { next.ends } else { first.ends };
            same
        });
        Self { key, runs, starts, runs_now: None, any: false }
    }

    /// Hears what was said at `time`. Gives a command that the index does not have.
    pub(super) fn hear(&mut self, time: Duration, said: Said) -> Option<Missing> {
        let start = match said {
            Said::Mark(Mark::Start(start)) => start,
            Said::Mark(Mark::End { .. }) => {
                self.runs_now = None;
                return None;
            }
            _ => return None,
        };
        let ms = millis(time);
        match start.text {
            Some(text) => {
                self.any = true;
                let digest = self.key.hash_one(&text);
                // At whatever time: such a start may be read at the very end. An index that hides a command behind this hides no more than
                // that it ran again, and can do so only in a shell that does not tell of ends.
                let again = self.runs_now.replace(digest) == Some(digest);
                let known = self.told(ms, &text) || again || self.lasts(ms, &text);
                (!known).then(|| Missing { start: ms, text, beside: self.begins(ms) })
            }
            None => {
                if start.unlisted {
                    let near = near(ms);
                    let from = self.starts.partition_point(|(at, _)| at < near.start());
                    let here = self.starts.iter_mut().skip(from).take_while(|(at, _)| at <= near.end());
                    here.for_each(|(_, unlisted)| *unlisted = true);
                }
                None
            }
        }
    }

    /// Whether the shell told of any command by its text.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Whether the index has a command from the shell of which the shell did not tell when it began.
    pub(super) fn is_forged(&self, command: &Command) -> bool {
        let unlisted = || {
            let at = self.starts.binary_search_by_key(&command.start, |(start, _)| *start);
            at.is_ok_and(|at| self.starts.get(at).is_some_and(|(_, unlisted)| *unlisted))
        };
        let told = || {
            let wanted = (self.key.hash_one(&command.text), command.start);
            let at = self.runs.binary_search_by_key(&wanted, |run| (run.text, run.start));
            at.is_ok_and(|at| self.runs.get(at).is_some_and(|run| run.told))
        };
        command.source == Source::Shell && !told() && !unlisted()
    }

    /// Marks the commands of this text that began about now; gives whether there are any.
    fn told(&mut self, ms: u64, text: &str) -> bool {
        let (text, near) = (self.key.hash_one(text), near(ms));
        let from = self.runs.partition_point(|run| (run.text, run.start) < (text, *near.start()));
        let runs = self.runs.iter_mut().skip(from);
        let here = runs.take_while(|run| run.text == text && run.start <= *near.end());
        here.fold(false, |_, run| {
            run.told = true;
            true
        })
    }

    /// When those commands of the index began, in order, of which nothing was heard under their text: each may stand for one that was told
    /// of under another. Those that were heard of stand for themselves.
    pub(super) fn untold(&self) -> Vec<u64> {
        let mut starts: Vec<u64> = self.runs.iter().filter(|run| !run.told).map(|run| run.start).collect();
        starts.sort_unstable();
        starts
    }

    /// Whether a command of the index began about now.
    fn begins(&self, ms: u64) -> bool {
        let near = near(ms);
        let from = self.starts.partition_point(|(at, _)| at < near.start());
        self.starts.get(from).is_some_and(|(at, _)| at <= near.end())
    }

    /// Whether a command of this text ran then. One line that holds several commands is one entry, under the text of the line.
    fn lasts(&self, ms: u64, text: &str) -> bool {
        let text = self.key.hash_one(text);
        let after = self.runs.partition_point(|run| (run.text, run.start) <= (text, *near(ms).end()));
        let last = after.checked_sub(1).and_then(|last| self.runs.get(last));
        last.is_some_and(|run| run.text == text && run.ends >= ms)
    }
}

/// Whether one of these times, which are in order, is about this one.
pub(super) fn is_near(times: &[u64], ms: u64) -> bool {
    let near = near(ms);
    let from = times.partition_point(|at| at < near.start());
    times.get(from).is_some_and(|at| at <= near.end())
}

/// About this time.
fn near(ms: u64) -> RangeInclusive<u64> {
    ms.saturating_sub(SLACK)..=ms.saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::marks::Start;

    fn ran(start: u64, end: Option<u64>, text: &str) -> Command {
        Command { text: text.into(), start, end, source: Source::Shell, ..Command::default() }
    }

    fn start(text: Option<&str>, unlisted: bool) -> Said {
        Said::Mark(Mark::Start(Start { text: text.map(str::to_owned), unlisted, ..Start::default() }))
    }

    fn end() -> Said {
        Said::Mark(Mark::End { status: Some(0), pipe: vec![], cancelled: false })
    }

    #[test]
    fn a_command_is_found_by_its_text_where_it_began_and_while_it_ran() {
        let commands = vec![
            ran(1000, Some(1900), "ls"),
            ran(1000, Some(5000), "ls"),
            ran(1500, Some(1600), "ls"),
            ran(3000, None, "id; who"),
        ];
        let mut heard = Heard::new(&[Entry { commands: commands.clone(), ..Entry::default() }]);
        assert!(!heard.any() && commands.iter().all(|command| heard.is_forged(command)));
        let mut missing = |ms, text: &str| {
            heard.hear(Duration::from_millis(ms), end());
            heard.hear(Duration::from_millis(ms), start(Some(text), false))
        };
        let gone = |start, text: &str, beside| Some(Missing { start, text: text.into(), beside });
        assert_eq!(missing(997, "ls"), None);
        // Something else began then, and that it is not what was told is found in the index.
        assert_eq!(missing(1503, "rm"), gone(1503, "rm", true));
        assert_eq!(missing(2000, "ls"), None, "the second one still runs");
        assert_eq!(missing(5001, "ls"), gone(5001, "ls", false));
        assert_eq!(missing(2500, "id; who"), gone(2500, "id; who", false));
        assert_eq!(missing(9000, "id; who"), None);
        // "ls" of 1000 was heard of; the other two may be what was told under other names.
        assert_eq!(heard.untold(), [1500, 3000]);
        assert!(is_near(&heard.untold(), 1503) && !is_near(&heard.untold(), 1000));
        let forged = |heard: &Heard| commands.iter().map(|c| heard.is_forged(c)).collect::<Vec<_>>();
        assert!(heard.any());
        assert_eq!(forged(&heard), [false, false, true, true]);
        assert_eq!(heard.hear(Duration::from_millis(1501), start(None, true)), None);
        assert_eq!(forged(&heard), [false, false, false, true]);
    }

    #[test]
    fn a_text_that_is_told_again_before_an_end_is_the_same_command_whenever_it_is_read() {
        let commands = vec![ran(577, Some(584), "echo a"), ran(900, Some(910), "rm")];
        let mut heard = Heard::new(&[Entry { commands: commands.clone(), ..Entry::default() }]);
        let mut missing = |ms, said| {
            heard.hear(Duration::from_millis(ms), said).filter(|gone| !gone.beside).map(|gone| gone.start)
        };
        for at in [578, 585, 585, 700] {
            assert_eq!(missing(at, start(Some("echo a"), false)), None);
        }
        assert_eq!(missing(700, end()), None);
        assert_eq!(missing(703, start(Some("echo a"), false)), Some(703), "it has ended");
        // Nor is it another one.
        assert_eq!(missing(900, start(Some("rm"), false)), None);
        assert_eq!(missing(915, start(Some("echo a"), false)), Some(915));
        assert_eq!(missing(916, start(Some("rm"), false)), Some(916));
        assert!(commands.iter().all(|command| !heard.is_forged(command)));
    }
}
