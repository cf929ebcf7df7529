//! Commands that had not ended, from one index entry to the next.
//!
//! What an entry tells of them holds until the next one tells it again. Refuses to forget what was sealed of one that has not ended
//! where the next entry tells less of it: whoever is recorded can fill an entry.

use super::fit::missing;
use super::index::{Entry, GivenUp};
use crate::cast::{Command, Exec};
use std::collections::{HashMap, HashSet};

impl Entry {
    /// Whether nobody told of them in time. What was late is told with the next one; what failed, never.
    fn missed_running(&self) -> bool {
        use GivenUp::{Failed, Late, Unread, Unreadable};
        matches!(self.given_up, Some(Late | Unread | Failed | Unreadable))
    }

    /// Whether it may tell less of them than there was to tell.
    fn lacks_running(&self) -> bool {
        !self.running_left_out.is_nothing() || (self.missed_running() && self.running.is_empty())
    }

    /// Whether it names for certain the one that began last: an end that comes later is that one's.
    pub(crate) fn names_what_runs(&self) -> bool {
        self.running_left_out.commands == 0 && !self.missed_running()
    }

    /// Takes out those that it tells as ended, too: of one that was late, recorders have told both.
    pub(super) fn drop_ended(&mut self) {
        if !self.running.is_empty() {
            let ended = names(&self.commands);
            self.running.retain(|ran| !ended.contains(&name(ran)));
        }
    }

    /// Takes them out of the entry before, and keeps what of them is missing here.
    pub(super) fn follow(&mut self, before: &mut Self) {
        let told = std::mem::take(&mut before.running);
        let left_out = std::mem::take(&mut before.running_left_out);
        if !self.lacks_running() {
            if before.given_up == Some(GivenUp::Unreadable) {
                // What runs no more ended there: how, the entry would have told.
                let known: HashSet<_> =
                    names(&self.commands).into_iter().chain(names(&self.running)).collect();
                before.commands.extend(told.into_iter().filter(|ran| !known.contains(&name(ran))));
            }
            return;
        }
        if self.running_left_out.is_nothing() {
            self.running_left_out = left_out;
        }
        if self.running.is_empty() && self.commands.is_empty() {
            // Nothing to compare with: of many entries in a row that were late, each hands on the whole list.
            self.running = told;
            return;
        }
        let ended = names(&self.commands);
        let places = self.running.iter().enumerate().map(|(place, c)| ((c.start, c.text.clone()), place));
        let places: HashMap<(u64, String), usize> = places.collect();
        for mut old in told.into_iter().filter(|old| !ended.contains(&name(old))) {
            let name = (old.start, std::mem::take(&mut old.text));
            match places.get(&name).and_then(|place| self.running.get_mut(*place)) {
                Some(new) => keep(&mut new.execs, old.execs),
                None => self.running.push(Command { text: name.1, ..old }),
            }
        }
        self.running.sort_by_key(|command| command.start);
    }
}

/// What a command is known by from one entry to the next.
fn name(command: &Command) -> (u64, &str) {
    (command.start, &command.text)
}

fn names(commands: &[Command]) -> HashSet<(u64, &str)> {
    commands.iter().map(name).collect()
}

/// Keeps of the programs that were told of a command before what is missing in those that are told now. Both are the first ones, of
/// one list; or a part of that was sent ahead in between, and has no place in the index.
fn keep(new: &mut Vec<Exec>, mut old: Vec<Exec>) {
    if !old.iter().zip(new.iter()).all(|(old, new)| (old.time, old.pid) == (new.time, new.pid)) {
        old.append(new);
        *new = old;
        return;
    }
    let rest = old.split_off(new.len().min(old.len()));
    for (new, old) in new.iter_mut().zip(old) {
        // What says how much is missing can be longer than that was.
        if missing(&old.argv) < missing(&new.argv) {
            new.argv = old.argv;
        }
    }
    new.extend(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::LeftOut;

    fn exec(time: u64, argument: &str) -> Exec {
        Exec { time, pid: 7, argv: vec![argument.into()], ..Exec::default() }
    }

    fn command(text: &str, execs: &[Exec]) -> Command {
        Command { text: text.into(), start: 5, execs: execs.to_vec(), ..Command::default() }
    }

    fn entry(running: &[Command], left_out: u64) -> Entry {
        let running_left_out = LeftOut { programs: left_out, ..LeftOut::default() };
        Entry { running: running.to_vec(), running_left_out, ..Entry::default() }
    }

    #[test]
    fn what_was_sealed_of_a_command_that_runs_stays_where_the_next_entry_had_no_room_for_it() {
        let (cp, cut, rm) = (exec(6, "cp /etc/shadow"), exec(6, "… 14 more bytes"), exec(8, "rm"));
        let sealed = entry(&[command("evil", &[cp.clone(), rm.clone()])], 0);
        for (what, mut next, expected) in [
            ("all of it is left out", entry(&[], 1), vec![command("evil", &[cp.clone(), rm.clone()])]),
            ("programs", entry(&[command("evil", &[])], 2), vec![command("evil", &[cp.clone(), rm.clone()])]),
            (
                "arguments, and one is new",
                entry(&[command("evil", &[cut.clone(), rm.clone(), exec(9, "x")])], 1),
                vec![command("evil", &[cp.clone(), rm.clone(), exec(9, "x")])],
            ),
            (
                "a part",
                entry(&[command("evil", &[exec(9, "x")])], 1),
                vec![command("evil", &[cp.clone(), rm.clone(), exec(9, "x")])],
            ),
            (
                "a short argument",
                entry(&[command("evil", &[cp.clone(), exec(8, "… 3 more bytes")])], 1),
                vec![command("evil", &[cp.clone(), rm.clone()])],
            ),
            (
                "of another",
                entry(&[command("vi", &[])], 1),
                vec![command("vi", &[]), command("evil", &[cp, rm])],
            ),
            (
                "nothing",
                entry(&[command("evil", &[cut])], 0),
                vec![command("evil", &[exec(6, "… 14 more bytes")])],
            ),
            ("it is no more", entry(&[], 0), vec![]),
        ] {
            let mut before = sealed.clone();
            next.follow(&mut before);
            assert_eq!(next.running, expected, "{what}");
            assert_eq!(before.running, [], "{what}");
        }
    }

    #[test]
    fn what_has_ended_runs_no_more_and_what_was_left_out_is_told_as_long_as_it_runs() {
        let mut before = entry(&[command("evil", &[]), command("vi", &[])], 3);
        let mut next = entry(&[], 1);
        next.commands = vec![Command { end: Some(9), ..command("evil", &[]) }];
        next.follow(&mut before);
        assert_eq!((next.running.as_slice(), next.running_left_out.programs), (&[command("vi", &[])][..], 1));
        let mut late = Entry { given_up: Some(GivenUp::Late), ..Entry::default() };
        late.follow(&mut next);
        assert_eq!(
            (late.running.len(), late.running_left_out.programs, next.running_left_out.programs),
            (1, 1, 0)
        );
        let mut whole = entry(&[], 0);
        whole.follow(&mut late);
        assert_eq!((whole, late.running.len()), (Entry::default(), 0));
    }

    #[test]
    fn what_ran_before_an_entry_that_cannot_be_read_and_runs_no_more_behind_it_ended_there() {
        let mut before =
            entry(&[command("evil", &[exec(6, "rm")]), command("vi", &[]), command("top", &[])], 0);
        let mut hole = Entry { given_up: Some(GivenUp::Unreadable), ..Entry::default() };
        hole.follow(&mut before);
        assert_eq!((hole.running.len(), hole.commands.len(), before.running.len()), (3, 0, 0));
        let mut next = entry(&[command("top", &[])], 0);
        next.commands = vec![Command { end: Some(9), ..command("vi", &[]) }];
        next.follow(&mut hole);
        assert_eq!(hole.commands, [command("evil", &[exec(6, "rm")])]);
        assert_eq!((hole.running.len(), next.running.as_slice()), (0, &[command("top", &[])][..]));
    }
}
