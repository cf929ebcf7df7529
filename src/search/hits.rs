//! What was found, as it is told: of the index, and of what stood on the screen or was typed.
//!
//! Refuses to read anything: it is given what was read.

use super::found::Seen;
use super::query::{Field, Term};
use super::window::wall;
use crate::cast::{Command, Exec, Trust, millis};
use crate::container::{self, Entry, Header, Opening};
use crate::shell::alone;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Something that was looked for, found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Number of the term in the query.
    pub term: usize,
    /// Where.
    pub field: Field,
    /// When it first stood on the screen, was run or was typed, since the start of the session. `None` for facts of the
    /// whole recording.
    pub time: Option<Duration>,
    /// How long it stood there, without the time between redraws, or ran; `None` when that is not known.
    pub stood: Option<Duration>,
    /// The line.
    pub text: String,
    /// Where in the line.
    pub at: Range<usize>,
    /// Exit status, of a command or program.
    pub exit: Option<i32>,
    /// How far an entry can be believed: of commands, and of programs, which the kernel saw.
    pub trust: Option<Trust>,
    /// The command during which it happened.
    pub command: Option<String>,
    /// Lines before it.
    pub before: Vec<Arc<str>>,
    /// Lines after it.
    pub after: Vec<Arc<str>>,
}

/// A recording that matches.
#[derive(Clone, Debug)]
pub struct Match {
    /// Its public header.
    pub header: Header,
    /// The hits, in order of time.
    pub hits: Vec<Hit>,
    /// Hits beyond [`super::Options::most`].
    pub more: u64,
    /// Both clocks at the beginnings of segments, in order: milliseconds since the start of the session, and since
    /// 1970-01-01T00:00:00Z.
    pub clocks: Vec<(u64, i64)>,
}

impl Match {
    /// The wall clock at a time of the session, milliseconds since 1970-01-01T00:00:00Z, reckoned from the beginning of its
    /// segment: in between the host may have slept, or its clock have been set. At the very start without a time.
    pub fn wall(&self, time: Option<Duration>) -> i64 {
        time.map_or(self.header.start, |time| wall(&self.clocks, self.header.start, time))
    }

    /// What it counts towards [`super::Options::limit`].
    pub fn counts(&self, first_only: bool) -> usize {
        if first_only { 1 } else { self.hits.len().max(1) }
    }
}

/// Which command it was during which something happened, asked in the order of time.
pub(super) struct Course<'a> {
    /// Those that have not begun, by start.
    coming: std::vec::IntoIter<&'a Command>,
    /// Those that have, and until when each ran, milliseconds; the last to begin is the last.
    running: Vec<(&'a Command, u64)>,
}

impl<'a> Course<'a> {
    /// Of these commands, by start.
    pub(super) fn new(commands: Vec<&'a Command>) -> Self {
        Self { coming: commands.into_iter(), running: Vec::new() }
    }

    /// The last to begin of those that ran at `ms`, which is not before what was asked last. When one ended of which that is not
    /// known, nobody can say: it counts until the next one begins, and no longer than the one during which it began.
    pub(super) fn at(&mut self, ms: u64) -> Option<&'a Command> {
        while self.coming.as_slice().first().is_some_and(|next| next.start <= ms) {
            let Some(next) = self.coming.next() else { break };
            while self.running.pop_if(|(of, until)| of.end.is_none() || *until <= next.start).is_some() {}
            let within = self.running.last().map_or(u64::MAX, |(_, until)| *until);
            self.running.push((next, next.end.unwrap_or(within)));
        }
        while self.running.pop_if(|(_, until)| *until < ms).is_some() {}
        self.running.last().map(|(of, _)| *of)
    }
}

/// What was seen inside, as hits, with the commands during which it was.
pub(super) fn of_seen(mut seen: Vec<Seen>, commands: Vec<&Command>) -> impl Iterator<Item = Hit> {
    seen.sort_by_key(|seen| seen.time);
    let mut course = Course::new(commands);
    seen.into_iter().map(move |seen| {
        let ms = millis(seen.time);
        Hit {
            term: seen.term,
            field: seen.field,
            time: Some(seen.time),
            stood: (!seen.stands).then(|| seen.until.saturating_sub(seen.time).saturating_sub(seen.away)),
            text: seen.text,
            at: seen.at,
            exit: None,
            trust: None,
            command: course.at(ms).map(|command| command.text.clone()),
            before: seen.before,
            after: seen.after,
        }
    })
}

/// Several texts of a query found in one line or command at one time are one hit: that of the first of them. What one text found
/// several times stays that often.
pub(super) fn once_each(hits: &mut Vec<Hit>) {
    let (mut times, mut told) = (HashMap::new(), HashSet::new());
    let is_new: Vec<bool> = hits
        .iter()
        .map(|hit| {
            let place = (hit.time, hit.field, hit.text.as_str());
            let times = times.entry((hit.term, place)).or_insert(0u64);
            *times += 1;
            told.insert((place, *times))
        })
        .collect();
    let mut is_new = is_new.into_iter();
    hits.retain(|_| is_new.next().unwrap_or(true));
}

/// The earliest hits of a term in the index, of which there may be millions: never twice as many as are kept.
pub(super) struct Earliest {
    hits: Vec<Hit>,
    most: usize,
    more: u64,
}

impl Earliest {
    /// None yet, and `most` are kept.
    pub(super) fn new(most: usize) -> Self {
        Self { hits: Vec::new(), most, more: 0 }
    }

    fn push(&mut self, hit: Hit) {
        if self.hits.len() >= self.most.saturating_mul(2) {
            self.cut();
        }
        self.hits.push(hit);
    }

    /// Of those of one time the first that came stay, as in the order in which they are told.
    fn cut(&mut self) {
        self.hits.sort_by_key(|hit| (hit.time, hit.field));
        self.more += self.hits.len().saturating_sub(self.most) as u64;
        self.hits.truncate(self.most);
    }

    /// They, and how many more there were.
    pub(super) fn into_parts(mut self) -> (Vec<Hit>, u64) {
        if self.hits.len() > self.most {
            self.cut();
        }
        (self.hits, self.more)
    }
}

/// Finds a term in header and index: what was `within` a time, from and until.
pub(super) fn in_index(
    number: usize,
    term: &Term,
    (header, opening): (&Header, &Opening),
    entries: &[Entry],
    retold: &[Command],
    within: &dyn Fn(Duration, Duration) -> bool,
    hits: &mut Earliest,
) {
    let mut hit = |field,
                   text: &str,
                   start: Option<u64>,
                   end: Option<u64>,
                   (exit, trust): (Option<i32>, Option<Trust>),
                   command: Option<&Command>| {
        if let Some(at) = term.pattern.find_within(text) {
            let time = start.map(Duration::from_millis);
            let stood = start.zip(end).map(|(start, end)| Duration::from_millis(end.saturating_sub(start)));
            if time.is_some_and(|time| !within(time, time.saturating_add(stood.unwrap_or_default()))) {
                return;
            }
            let command = command.map(|command| command.text.clone());
            let (before, after) = (Vec::new(), Vec::new());
            hits.push(Hit {
                term: number,
                field,
                time,
                stood,
                text: text.to_owned(),
                at,
                exit,
                trust,
                command,
                before,
                after,
            });
        }
    };
    if term.fields.has(Field::Meta) {
        let meta = &opening.meta;
        let argv = meta.argv.join(" ");
        let facts = [
            &header.host,
            &header.user,
            &header.caller,
            &header.target,
            &argv,
            &meta.cwd,
            &meta.reason,
            &meta.ticket,
            &meta.tty,
            &meta.origin,
        ];
        facts.into_iter().for_each(|fact| hit(Field::Meta, fact, None, None, (None, None), None));
        for (key, value) in meta.labels.iter().chain(&meta.env).chain(&meta.identity) {
            hit(Field::Meta, &format!("{key}={value}"), None, None, (None, None), None);
        }
        for (at, label) in entries.iter().flat_map(|entry| &entry.tally.marks) {
            hit(Field::Meta, label, Some(*at), None, (None, None), None);
        }
    }
    let mut exec = |exec: &Exec, command: Option<&Command>| {
        let text = alone::arguments(exec);
        let text = if term.pattern.find_within(&text).is_some() { text } else { exec.path.clone() };
        hit(Field::Exec, &text, Some(exec.time), exec.end, (exec.exit, Some(Trust::Witnessed)), command);
    };
    if term.fields.has(Field::Exec) {
        for entry in entries {
            entry.execs.iter().for_each(|program| exec(program, None));
            for command in entry.commands.iter().chain(&entry.running) {
                command.execs.iter().for_each(|program| exec(program, Some(command)));
            }
        }
    }
    if term.fields.has(Field::Command) {
        for command in container::commands(entries).into_iter().chain(retold) {
            let state = (command.exit, Some(command.trust));
            hit(Field::Command, &command.text, Some(command.start), command.end, state, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(ms: u64) -> Hit {
        Hit {
            term: 0,
            field: Field::Exec,
            time: Some(Duration::from_millis(ms)),
            stood: None,
            text: String::new(),
            at: 0..0,
            exit: None,
            trust: None,
            command: None,
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    #[test]
    fn what_several_texts_found_in_one_place_is_one_hit_and_what_one_found_twice_is_two() {
        let of = |term: usize, ms: u64, text: &str| Hit { term, text: text.into(), ..hit(ms) };
        let screen = Hit { field: Field::Screen, ..of(1, 5, "rm var") };
        let mut hits = vec![
            of(0, 5, "rm var"),
            of(1, 5, "rm var"),
            of(1, 5, "rm var"),
            of(2, 5, "rm var"),
            screen,
            of(1, 5, "cd var"),
            of(1, 6, "rm var"),
        ];
        once_each(&mut hits);
        let told: Vec<_> = hits.iter().map(|hit| (hit.term, hit.field, hit.text.as_str())).collect();
        let (exec, screen) = (Field::Exec, Field::Screen);
        assert_eq!(
            told,
            [
                (0, exec, "rm var"),
                (1, exec, "rm var"),
                (1, screen, "rm var"),
                (1, exec, "cd var"),
                (1, exec, "rm var")
            ]
        );
    }

    #[test]
    fn of_any_number_of_hits_the_earliest_are_held_and_the_others_counted() {
        for (most, of) in [(10, 1000), (10, 10), (10, 11), (1, 5), (usize::MAX, 20)] {
            let mut hits = Earliest::new(most);
            for n in 0..of {
                hits.push(hit(n * 7919 % of));
                assert!(hits.hits.len() <= most.saturating_mul(2), "{most} of {of}");
            }
            let (held, more) = hits.into_parts();
            let times: Vec<_> = held.iter().filter_map(|hit| hit.time.map(millis)).collect();
            let kept = of.min(u64::try_from(most).unwrap());
            let mut sorted = times.clone();
            sorted.sort_unstable();
            assert_eq!((sorted, more), ((0..kept).collect(), of - kept), "{most} of {of}");
        }
    }
}
