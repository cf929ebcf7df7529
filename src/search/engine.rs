//! Goes through recordings: headers first, then indexes, then filters, and inside only where something may be.
//!
//! Worker threads take one recording at a time; answers come in the order of the recordings. Memory is bounded by the
//! number of workers and [`Options::most`], not by the store. What cannot be read is an answer as well. Refuses to know
//! directories, keys' files and output.

use super::condition::{Condition, Indexed};
use super::doubt::Doubt;
use super::found::Findings;
use super::hits::{Earliest, Hit, Match, in_index, of_seen, once_each};
use super::meanwhile::{Meanwhile, Way};
use super::query::{Facts, Field, Query, Term};
use super::queue::{Queue, Work};
use super::reading::{Scan, begins_anew, draws, ranges};
use super::redraw::Begun;
use super::window::{Times, Window};
use crate::cast::Command;
use crate::container::{self, Entry, Header, Opening, Reader, Wanted};
use crate::replay::canvas;
use crate::store::seal::{Access, Opener, UnlockError};
use crate::store::{Found, Misnamed, silence};
use crate::sys::file::SharedFile;
use crate::terminal::{Typed, draws_alike};
use crate::text;
use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Answers that may wait for an earlier one, per worker.
const AHEAD: usize = 4;
/// How long a search for a few hits goes on without workers.
const ALONE: Duration = Duration::from_millis(2);
/// Stack of a worker, bytes.
const STACK: usize = 1 << 20;

/// How a search is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Lines of context around a hit on the screen.
    pub context: usize,
    /// Most hits kept of one recording; more are counted.
    pub most: usize,
    /// Only which recordings match is asked.
    pub first_only: bool,
    /// After this many hits the search ends; more need not be counted, and a recording is left as soon as it has so many. The
    /// recording that brings the last of them may bring more. One that matches counts as one where it brings none, and where
    /// nothing else is asked ([`Options::first_only`]).
    pub limit: Option<usize>,
    /// When a text first stood on the screen is asked, which takes a second reading; else the time of its line will do.
    pub moments: bool,
    /// When what was found must have been. Of what a recording says of itself only that it was going on then is asked.
    pub window: Window,
    /// Worker threads.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        let window = Window::default();
        Self { context: 0, most: 10_000, first_only: false, limit: None, moments: true, window, workers }
    }
}

/// The answer about one recording.
#[derive(Debug)]
pub struct Answer {
    /// The match, if there is one.
    pub found: Option<Match>,
    /// What could not be read, if something could not. What was found is still good.
    pub fault: Option<String>,
    /// Why it could not be opened or read on, where that is what is told.
    pub trouble: Option<UnlockError>,
    /// Segments it has; 0 where it was not opened.
    pub segments: usize,
    /// Segments that were read.
    pub read: usize,
    /// Whether it was passed over on account of what is public alone, without a key.
    pub by_header: bool,
    /// Its filters were made by another generation of the emulator ([`crate::terminal::DRAWING`]) and not believed.
    pub unlike: bool,
    /// Its file is not called what it is called.
    pub misnamed: Option<Misnamed>,
}

impl Answer {
    fn no(segments: usize, read: usize, by_header: bool) -> Self {
        Self {
            found: None,
            fault: None,
            trouble: None,
            segments,
            read,
            by_header,
            unlike: false,
            misnamed: None,
        }
    }

    /// Whether no key opened it, so that nothing of it was looked at but what is public.
    pub fn is_unopened(&self) -> bool {
        matches!(self.trouble, Some(UnlockError::Unwrap { .. }))
    }

    pub(super) fn unreadable(why: impl ToString) -> Self {
        Self { fault: Some(why.to_string()), ..Self::no(0, 0, false) }
    }

    fn unopened(trouble: UnlockError) -> Self {
        let told = Self::unreadable(text::chain(&trouble));
        Self { trouble: Some(trouble), ..told }
    }
}

/// Searches `recordings` and tells the answers in their order, until `told` breaks off. Gives how many were told.
pub fn search(
    recordings: &[Found],
    opener: &Opener,
    query: &Query,
    options: &Options,
    told: &mut dyn FnMut(&Found, Answer) -> ControlFlow<()>,
) -> usize {
    search_until(recordings, opener, query, options, Meanwhile::default(), told)
}

/// [`search`], which also ends soon after it is to be [stopped](Meanwhile::stopped), wherever it is: nothing more is told then.
pub fn search_until(
    recordings: &[Found],
    opener: &Opener,
    query: &Query,
    options: &Options,
    meanwhile: Meanwhile<'_>,
    told: &mut dyn FnMut(&Found, Answer) -> ControlFlow<()>,
) -> usize {
    let Meanwhile { stopped, done } = meanwhile;
    let asks = query.asks_for();
    let cancel = AtomicBool::new(false);
    let cancelled = || cancel.load(Ordering::Relaxed) || stopped();
    // Hits that are still asked for.
    let left = AtomicUsize::new(options.limit.unwrap_or(usize::MAX));
    let workers = options.workers.clamp(1, recordings.len().max(1));
    let queue = Queue::new(recordings.len(), AHEAD * workers);
    let looking = Looking { opener, query, asks: &asks, options, left: &left, queue: &queue, done };
    let work = || {
        while let Some(work) = queue.next(&cancelled) {
            match work {
                Work::Recording(number) => {
                    let answer =
                        recordings.get(number).map(|recording| looking.answer(recording, &cancelled));
                    queue.answered(number, answer.unwrap_or_else(|| Answer::no(0, 0, false)));
                }
                Work::Segment(ticket, segment) => {
                    let decode = std::panic::AssertUnwindSafe(|| segment.decode(&cancelled));
                    queue.decoded(ticket, std::panic::catch_unwind(decode).ok().flatten());
                }
            }
        }
        queue.leave();
    };
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let hired = Cell::new(0);
        // Where a few hits are enough, the first recordings often bring them: nobody is called to help before that has taken
        // longer than calling.
        let hire = |most: usize| {
            if hired.get() >= most || (options.limit.is_some() && begun.elapsed() < ALONE) {
                return;
            }
            for _ in hired.replace(most)..most {
                queue.enter();
                let builder = std::thread::Builder::new().name("search".to_owned()).stack_size(STACK);
                if builder.spawn_scoped(scope, work).is_err() {
                    queue.leave();
                }
            }
        };
        let mut number = 0;
        while let Some(recording) = recordings.get(number) {
            hire(workers);
            if queue.take(number) {
                let answer = looking.answer(recording, &|| {
                    hire(workers - 1);
                    stopped()
                });
                queue.answered(number, answer);
            }
            // Without one, whoever took it has stopped.
            let Some(answer) = queue.answer(number) else { break };
            if stopped() {
                // It may have been cut short.
                break;
            }
            let hits = answer.found.as_ref().map_or(0, |found| found.counts(options.first_only));
            let still = left.load(Ordering::Relaxed).saturating_sub(hits);
            // At zero, the others stop by themselves.
            left.store(still, Ordering::Relaxed);
            let flow = told(recording, answer);
            number += 1;
            queue.told(number);
            if flow.is_break() || still == 0 {
                break;
            }
        }
        cancel.store(true, Ordering::Relaxed);
        queue.wake();
        number
    })
}

/// Whether these conditions hold of what is public, as far as it tells.
pub fn header_allows(conditions: &[Condition], header: &Header) -> bool {
    conditions.iter().all(|condition| condition.by_header(header) != Some(false))
}

/// What all recordings are looked at with.
struct Looking<'a> {
    opener: &'a Opener,
    query: &'a Query,
    asks: &'a Wanted,
    options: &'a Options,
    left: &'a AtomicUsize,
    queue: &'a Queue,
    done: &'a (dyn Fn(u64) + Sync),
}

impl Looking<'_> {
    fn answer(&self, recording: &Found, cancelled: &dyn Fn() -> bool) -> Answer {
        let way = Way::new(self.done);
        // A fault in one recording must not end the search.
        let look = || look(recording, self, &way, cancelled);
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look))
            .unwrap_or_else(|_| Answer::unreadable("reading it failed unexpectedly"));
        way.at(1, 1);
        answer
    }
}

fn look(recording: &Found, looking: &Looking<'_>, way: &Way<'_>, cancelled: &dyn Fn() -> bool) -> Answer {
    let file = match recording.open() {
        Ok(file) => file,
        Err(error) => return Answer::unreadable(text::chain(&error)),
    };
    way.is_of(file.metadata().map_or(0, |facts| facts.len()));
    let running = silence(recording, &file).is_some();
    let mut file = SharedFile::new(file);
    // What is public is asked first, without opening the rest.
    let terms = vec![None; looking.query.terms().len()];
    if let Ok(header) = Header::peek(&mut file)
        && (looking.query.truth(Facts::Header(&header), &terms) == Some(false)
            || !looking.options.window.has(header.start, i64::MAX))
    {
        return Answer { misnamed: recording.misnamed(&header), ..Answer::no(0, 0, true) };
    }
    let reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(error) => return Answer::unopened(UnlockError::Container(error)),
    };
    let misnamed = recording.misnamed(reader.header());
    Answer { misnamed, ..look_in(recording, reader, running, looking, way, cancelled) }
}

fn look_in(
    recording: &Found,
    mut reader: Reader<SharedFile>,
    running: bool,
    looking: &Looking<'_>,
    way: &Way<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Answer {
    let Looking { opener, query, asks, options, left, .. } = *looking;
    reader.only_if(Arc::clone(asks));
    let mut terms = vec![None; query.terms().len()];
    let mut access = match opener.open_index(&mut reader) {
        Ok(access) => access,
        Err(error) => return Answer::unopened(error),
    };
    let opening = match reader.opening() {
        Ok(opening) => opening.clone(),
        Err(error) => return Answer::unopened(UnlockError::Container(error)),
    };
    let open = !reader.is_complete() && !query.terms().is_empty();
    // When what has no index entry was, and what the shell told of it, stands in the content.
    if open
        && access == Access::Index
        && let Ok(open) = content(recording, opener, asks)
    {
        (reader, access) = (open, Access::Content);
    }
    let times = Times::of(&mut reader, options.window, open);
    let mut retold = Vec::new();
    if open && query.asks_about_commands() {
        retold = crate::search::retold(&mut reader);
    }
    let (segments, complete) = (reader.segments(), reader.is_complete());
    if complete && !times.set && !times.went_on() {
        return Answer::no(segments, 0, false);
    }
    let subject = Subject {
        recording,
        looking,
        way,
        access,
        header: reader.header().clone(),
        alike: draws_alike(opening.meta.drawing),
        opening,
        times,
        retold,
        complete,
        running,
        whole: OnceCell::new(),
    };
    let (mut hits, mut more): (Vec<Hit>, u64) = (Vec::new(), 0);
    for (number, term) in query.terms().iter().enumerate() {
        let (found, beyond) = subject.in_index(number, term, reader.entries());
        if !found.is_empty() {
            terms[number] = Some(true);
        }
        more += if term.told { beyond } else { 0 };
        hits.extend(found);
    }
    let damage = reader.damage();
    let doubt = Doubt::of(&subject.known(&reader), damage, &subject.times);
    // Where each term may be, inside.
    let mut wanted = vec![false; segments];
    let mut sought: Vec<Option<&Term>> = vec![None; terms.len()];
    for (number, term) in query.terms().iter().enumerate() {
        let decided = terms[number] == Some(true);
        if decided && (options.first_only || !term.told) {
            continue;
        }
        let places = places(term, reader.entries(), segments, subject.alike);
        if places.is_empty() {
            if !doubt.may_lack(term) {
                terms[number].get_or_insert(false);
            }
        } else {
            sought[number] = Some(term);
            places.into_iter().for_each(|segment| wanted[segment] = true);
        }
    }
    let so_far = query.truth(Facts::Index(subject.known(&reader)), &terms);
    if so_far == Some(false) {
        return Answer::no(segments, 0, false);
    }
    // Until when it is known what was shown. Where its last part has no entry, only reading it tells.
    let last = reader.entries().last().filter(|_| reader.entries().len() == segments);
    let read_to = last.map(|entry| Duration::from_millis(entry.tally.end));
    let mut inside = Inside { read_to, ..Inside::default() };
    // Facts of the whole recording come first.
    let of_whole = hits.iter().filter(|hit| hit.time.is_none() && query.terms()[hit.term].told).count();
    let enough = options.first_only || (options.limit.is_some() && of_whole >= left.load(Ordering::Relaxed));
    if sought.iter().any(Option::is_some) && !(so_far == Some(true) && enough) {
        subject.read_inside(&mut reader, &sought, &wanted, &mut inside, cancelled);
        let found = &inside.found;
        for (number, term) in terms.iter_mut().enumerate() {
            let seen = found.hits.iter().any(|hit| hit.term == number);
            // What could not be read might have held it.
            if seen {
                *term = Some(true);
            } else if term.is_none() && found.fault.is_none() && !doubt.may_lack(&query.terms()[number]) {
                *term = Some(false);
            }
        }
    }
    let truth = query.truth(Facts::Index(subject.known(&reader)), &terms);
    let found = &mut inside.found;
    // Whether one that was not closed went on then is not known, unless something is found that was then.
    let went_on = running || subject.times.went_on() || !found.hits.is_empty();
    let truth = truth.filter(|holds| !holds || went_on || hits.iter().any(|hit| hit.time.is_some()));
    let incomplete = match truth {
        Some(true) => query.terms().iter().any(|term| doubt.may_lack(term)) && !options.first_only,
        Some(false) => false,
        None => true,
    };
    if incomplete && found.fault.is_none() {
        (found.fault, found.damage) = doubt.why(inside.read_to, query.asks_the_index());
    }
    let (fault, read, unlike) = (found.fault.take(), found.read, inside.unlike);
    let trouble = found.damage.take().map(UnlockError::Container);
    if truth != Some(true) {
        return Answer { fault, trouble, unlike, ..Answer::no(segments, read, false) };
    }
    inside.found.more += more;
    let found = Some(subject.matched(&reader, hits, inside));
    Answer { found, fault, trouble, segments, read, by_header: false, unlike, misnamed: None }
}

/// A recording whose index is open.
struct Subject<'a> {
    recording: &'a Found,
    looking: &'a Looking<'a>,
    way: &'a Way<'a>,
    access: Access,
    header: Header,
    opening: Opening,
    times: Times,
    /// Commands of which the shell told in what has no index entry, where they are asked for.
    retold: Vec<Command>,
    /// Its filters and keyframes are what this generation of the emulator draws.
    alike: bool,
    complete: bool,
    running: bool,
    /// The same with its whole index, once that is asked for.
    whole: OnceCell<Option<Reader<File>>>,
}

/// What was read of it, and found there.
#[derive(Default)]
struct Inside {
    found: Findings,
    /// Commands of which the shell told in what has no index entry, where nobody asks for them.
    late: Vec<Command>,
    /// Until when it is known what was shown.
    read_to: Option<Duration>,
    /// Its filters were not believed.
    unlike: bool,
}

impl Subject<'_> {
    /// What its index tells.
    fn known<'b>(&'b self, reader: &'b Reader<SharedFile>) -> Indexed<'b> {
        Indexed {
            header: &self.header,
            opening: &self.opening,
            entries: reader.entries(),
            retold: &self.retold,
            complete: self.complete,
            running: self.running,
        }
    }

    /// Finds a term in header and index. Gives the earliest hits, and how many more there are.
    fn in_index(&self, number: usize, term: &Term, entries: &[Entry]) -> (Vec<Hit>, u64) {
        let mut hits = Earliest::new(self.looking.options.most);
        let within = |first, last| self.times.within(first, last);
        let facts = (&self.header, &self.opening);
        in_index(number, term, facts, entries, &self.retold, &within, &mut hits);
        hits.into_parts()
    }

    fn whole(&self) -> Option<&Reader<File>> {
        self.whole.get_or_init(|| with_commands(self.recording, self.looking.opener)).as_ref()
    }

    /// Reads the segments that are `wanted`, for the terms that are `sought` there. `reader` is the one of the content from then on.
    fn read_inside(
        &self,
        reader: &mut Reader<SharedFile>,
        sought: &[Option<&Term>],
        wanted: &[bool],
        inside: &mut Inside,
        cancelled: &dyn Fn() -> bool,
    ) {
        let Looking { opener, query, asks, options, left, queue, .. } = *self.looking;
        let (found, late) = (&mut inside.found, &mut inside.late);
        if self.access == Access::Index {
            match content(self.recording, opener, asks) {
                Ok(open) => *reader = open,
                Err(why) => {
                    found.fault = Some(why);
                    return;
                }
            }
        }
        if !(self.complete || options.first_only || query.asks_about_commands()) {
            *late = crate::search::retold(reader);
        }
        let begun: OnceCell<Begun> = OnceCell::new();
        let of = |entries: &[Entry]| {
            Begun::of(container::commands(entries).into_iter().chain(&self.retold).chain(&*late))
        };
        if reader.has_all_commands() {
            begun.get_or_init(|| of(reader.entries()));
        }
        let begun_between = |one, other| {
            begun.get_or_init(|| of(self.whole().map_or(&[], Reader::entries))).between(one, other)
        };
        let window = options.window;
        let scan = Scan {
            terms: sought,
            canvas: canvas(&self.opening),
            context: options.context,
            most: options.most,
            // Whether a text came before the end of the window, in a line that began there, only its moment tells.
            first_only: options.first_only && window.to.is_none(),
            // With several terms what is further on may decide.
            stop: (options.limit.is_some() && sought.len() == 1 && window.to.is_none()).then_some(left),
            moments: options.moments || window.to.is_some(),
            alike: self.alike,
            running: self.running && !self.complete,
            begun_between: &begun_between,
            within: &|first, last| self.times.within(first, last),
            queue,
            begins: &|read| self.way.at(read, wanted.len()),
        };
        inside.unlike = !self.alike && reader.entries().iter().any(|entry| !entry.filter.is_empty());
        for range in ranges(wanted, reader.entries(), self.alike) {
            let (mut part, mut blind) = (Some(range.clone()), None);
            while let Some(now) = part.take() {
                let stopped = scan.range(reader, now, blind, found, cancelled);
                if cancelled() || scan.has_enough(found) {
                    break;
                }
                // Behind what cannot be read: on an empty screen until it is known again. What was being typed is not.
                if let Some((behind, size)) = stopped.filter(|(behind, _)| *behind < range.end) {
                    found.typed = (behind, Typed::default());
                    (part, blind) = (Some(behind..range.end), Some(size));
                }
            }
            if cancelled() || scan.has_enough(found) {
                break;
            }
        }
        found.hits.retain(|seen| self.times.within(seen.since, seen.until));
        let to_its_end = wanted.last() == Some(&true) && !scan.has_enough(found);
        inside.read_to = inside.read_to.or(found.last.filter(|_| to_its_end));
    }

    /// What was found, as it is told, of what the index has and what was seen.
    fn matched(self, reader: &Reader<SharedFile>, mut hits: Vec<Hit>, inside: Inside) -> Match {
        let Inside { mut found, late, .. } = inside;
        let Looking { query, options, .. } = *self.looking;
        let mut entries = reader.entries();
        if !found.hits.is_empty() && !reader.has_all_commands() {
            // Only now it is of interest during which command it was seen.
            entries = self.whole().map_or(entries, Reader::entries);
        }
        found.hits.retain(|seen| query.terms()[seen.term].told);
        hits.retain(|hit| query.terms()[hit.term].told);
        let mut commands = container::commands(entries);
        commands.extend(self.retold.iter().chain(&late));
        commands.sort_by_key(|command| command.start);
        hits.extend(of_seen(found.hits, commands));
        hits.sort_by_key(|hit| (hit.time, hit.field));
        once_each(&mut hits);
        let over = hits.len().saturating_sub(options.most);
        hits.truncate(options.most);
        Match { header: self.header, hits, more: found.more + over as u64, clocks: self.times.clocks }
    }
}

/// The recording, opened anew with a key to its content.
fn content(recording: &Found, opener: &Opener, asks: &Wanted) -> Result<Reader<SharedFile>, String> {
    let file = recording.open().map_err(|error| text::chain(&error))?;
    let mut reader = Reader::open(SharedFile::new(file)).map_err(|error| text::chain(&error))?;
    reader.only_if(Arc::clone(asks));
    match opener.open_content(&mut reader) {
        Ok(Access::Content) => Ok(reader),
        Ok(Access::Index) => Err("the key opens its index only: what it showed was not searched".to_owned()),
        Err(error) => Err(text::chain(&error)),
    }
}

/// The recording, opened anew with its whole index. `None` when that fails now, though it did not before.
fn with_commands(recording: &Found, opener: &Opener) -> Option<Reader<File>> {
    let mut reader = Reader::open(recording.open().ok()?).ok()?;
    opener.open_index(&mut reader).ok()?;
    Some(reader)
}

/// The segments of which what they showed or were typed must be read for a term. After one that may hold it, those too that go on from
/// its screen: a filter has what a full-screen program showed once per visit, and it may have come again.
fn places(term: &Term, entries: &[Entry], segments: usize, alike: bool) -> Vec<usize> {
    let screen = term.fields.has(Field::Screen);
    let mut before = false;
    let is_place = |segment: &usize| {
        let entry = entries.get(*segment);
        before &= screen && !entry.is_some_and(begins_anew);
        let holds = may_hold(term, entry, alike);
        let goes_on = before && entry.is_some_and(draws);
        before |= screen && holds;
        holds || goes_on
    };
    (0..segments).filter(is_place).collect()
}

/// Whether a segment with this index entry (`None`: it has none yet) may have shown or been typed the term. `alike`: its filter
/// is believed.
fn may_hold(term: &Term, entry: Option<&Entry>, alike: bool) -> bool {
    let Some(entry) = entry else {
        return term.fields.has(Field::Screen) || term.fields.has(Field::Input);
    };
    let shown = term.fields.has(Field::Screen) && draws(entry);
    let typed = term.fields.has(Field::Input) && entry.tally.input > 0;
    (shown || typed) && (!alike || term.pattern.may_be_in(&entry.filter))
}
