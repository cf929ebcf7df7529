//! Searching: in what was shown (the rendered screen, full-screen programs included), run, or typed.
//!
//! The transcript is read once from the start, a slice at a time between frames; segments whose filter denies the text are
//! passed over. A hit is a line of the transcript; the moment to show is the first at which the text stands on the screen,
//! which is looked for in slices as well.

use super::pages::Reading;
use crate::replay::{Budget, Replay, Source};
use crate::search::{self, Style};
use crate::terminal::{Kind, Line, Terminal, Typed};
use std::ops::Range;
use std::time::Duration;

/// Most hits that are kept; a search that has more says so.
pub(super) const MOST: usize = 10_000;
/// Events that are replayed at most to find the first moment of a hit.
const CLOSER: usize = 20_000;

/// Where to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// What stood on the screen.
    #[default]
    Screen,
    /// Commands.
    Commands,
    /// Typed input, as far as it was recorded.
    Input,
}

impl Scope {
    /// The next one.
    pub fn next(self) -> Self {
        match self {
            Self::Screen => Self::Commands,
            Self::Commands => Self::Input,
            Self::Input => Self::Screen,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Commands => "commands",
            Self::Input => "input",
        }
    }
}

/// What is searched: the text itself, as batch search takes it; letters match in either case unless one is a capital.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    inner: search::Pattern,
}

impl Pattern {
    /// # Errors
    /// One line for people: it is empty, or too long.
    pub fn new(text: &str) -> Result<Self, String> {
        let inner = search::Pattern::new(text, Style::default()).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_string(), inner })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.inner.is_in(text)
    }

    /// Every place in a text.
    fn all(&self, text: &str) -> Vec<Range<usize>> {
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(at) = text.get(from..).and_then(|rest| self.inner.find(rest)) {
            found.push(from + at.start..from + at.end);
            from += at.end.max(1);
        }
        found
    }

    /// The cells of a screen that match: row, first column, column after the last. Wrapped rows are searched as one line.
    pub fn on_screen(&self, terminal: &Terminal) -> Vec<(u16, u16, u16)> {
        let mut found = Vec::new();
        let (mut text, mut places) = (String::new(), Vec::new());
        for row in 0..terminal.size().1 {
            for (col, cell) in (0..).zip(terminal.cells(row)) {
                if cell.width > 0 {
                    text.push(cell.c);
                    text.extend(cell.marks);
                    places.resize(text.len(), (row, col, col + u16::from(cell.width)));
                }
            }
            if terminal.row_wraps(row) {
                continue;
            }
            for hit in self.all(&text) {
                for (row, from, to) in places.get(hit).unwrap_or_default() {
                    match found.last_mut() {
                        Some((last, _, end)) if last == row && (*end == *from || *end == *to) => *end = *to,
                        _ => found.push((*row, *from, *to)),
                    }
                }
            }
            text.clear();
            places.clear();
        }
        found
    }
}

/// A place where the pattern was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// From when on to look.
    pub first: Duration,
    /// When its text was last written to: by then it stands there.
    pub complete: Duration,
    /// Until when it may have stood there.
    pub last: Duration,
    /// The line, command or input it is in.
    pub text: String,
    /// The line as far as what was found in it reaches.
    pub begins: String,
    /// It was in a full-screen program.
    pub page: bool,
}

/// A search under way.
pub struct Finder {
    /// What is searched.
    pub pattern: Pattern,
    /// Where.
    pub scope: Scope,
    /// Towards the end.
    pub forward: bool,
    /// In order of time.
    pub hits: Vec<Hit>,
    /// There were more than [`MOST`].
    pub more: bool,
    reading: Reading,
    next: usize,
    done: bool,
    /// What had been typed of a line where these segments begin: the next one, and the one before.
    typed: [(usize, Typed); 2],
    showing: Option<Showing>,
}

/// A hit that is being gone to.
struct Showing {
    hit: Hit,
    /// Steps that may still be taken to find the first moment.
    steps: usize,
    /// How many lines stand that begin like its own and are others; first it is gone to before its own began.
    others: Option<usize>,
}

impl Finder {
    /// Nothing is read yet.
    pub fn new(pattern: Pattern, scope: Scope, forward: bool) -> Self {
        Self {
            pattern,
            scope,
            forward,
            hits: Vec::new(),
            more: false,
            reading: Reading::new(Duration::ZERO),
            next: 0,
            done: false,
            typed: Default::default(),
            showing: None,
        }
    }

    /// Whether everything has been read.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// How much has been read, in percent.
    pub fn percent<S: Source>(&self, replay: &Replay<S>) -> usize {
        self.next.saturating_mul(100) / replay.outline().spans.len().max(1)
    }

    /// Reads on, as far as the budget reaches.
    pub fn step<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        while !self.done && !budget.is_spent() {
            let read = match self.scope {
                Scope::Commands => {
                    for command in replay.outline().commands.clone() {
                        let end = command.end.unwrap_or(command.start);
                        let (start, end) = (Duration::from_millis(command.start), Duration::from_millis(end));
                        self.take((start, start, end), &command.text, false);
                    }
                    self.done = true;
                    return;
                }
                Scope::Screen => self.shown(replay, budget),
                Scope::Input => {
                    self.typed(replay, budget);
                    true
                }
            };
            if read {
                self.next += 1;
                self.done = self.next >= replay.outline().spans.len();
            }
        }
    }

    /// Reads on in the next segment that may have shown it; `true` when it has been read to its end.
    fn shown<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) -> bool {
        let count = replay.outline().spans.len();
        let may = |n: usize| self.pattern.inner.may_be_in(replay.source_ref().filter(n));
        let skipped = (self.next..count).take_while(|n| !may(*n)).count();
        let Self { pattern, hits, more, reading, .. } = self;
        let mut told = |line: Line| {
            let page = matches!(line.kind, Kind::Page(_));
            take(pattern, hits, more, (line.first, line.complete, line.last), &line.text, page);
        };
        if skipped > 0 {
            budget.charge(skipped as u64);
            reading.finish(replay, &mut told);
            self.next += skipped;
        }
        self.next >= count || reading.read(replay, self.next, budget, &mut told)
    }

    /// Input is searched as batch search does: a line at a time, with its corrections made, and as it was typed. A line goes on
    /// where a segment ends; a recording that goes on may be read on from its last segment again.
    fn typed<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        let begun = self.typed.iter().find(|(segment, _)| *segment == self.next);
        let begun = begun.map_or_else(Typed::default, |(_, typed)| typed.clone());
        let (mut typed, mut lines) = (begun.clone(), Vec::new());
        for event in &replay.load(self.next, budget).events {
            typed.event(event, &mut |line| lines.push(line));
        }
        if self.next + 1 >= replay.outline().spans.len() {
            typed.pause(&mut |line| lines.push(line));
        }
        self.typed = [(self.next, begun), (self.next + 1, typed)];
        for line in lines {
            let found = line.texts().find(|(text, told)| self.pattern.inner.find_past(text, *told).is_some());
            if let Some((text, _)) = found {
                self.take((line.first, line.first, line.last), text, false);
            }
        }
    }

    fn take(&mut self, times: (Duration, Duration, Duration), text: &str, page: bool) {
        take(&self.pattern, &mut self.hits, &mut self.more, times, text, page);
    }

    /// The hit to go to from a time: after it when `forward`, else before it.
    pub fn from(&self, time: Duration, forward: bool) -> Option<usize> {
        if forward {
            let at = self.hits.partition_point(|hit| hit.first <= time);
            (at < self.hits.len()).then_some(at)
        } else {
            self.hits.partition_point(|hit| hit.first < time).checked_sub(1)
        }
    }

    /// Sets out for the first moment at which a hit stands on the screen; [`Finder::look`] goes there.
    pub fn show<S: Source>(&mut self, replay: &mut Replay<S>, index: usize) {
        self.showing = self.hits.get(index).map(|hit| {
            let grows = self.scope == Scope::Screen && hit.first < hit.complete;
            let before = hit.first.checked_sub(Duration::from_millis(1)).filter(|_| grows);
            replay.aim(before.unwrap_or(hit.first));
            let others = if before.is_some() { None } else { Some(0) };
            Showing { hit: hit.clone(), steps: if grows { CLOSER } else { 0 }, others }
        });
    }

    /// Whether a hit is being gone to.
    pub fn is_showing(&self) -> bool {
        self.showing.is_some()
    }

    /// The viewer went elsewhere.
    pub fn leave(&mut self) {
        self.showing = None;
    }

    /// Goes on towards the hit that is to be shown, as far as the budget reaches. Nothing while the replay is on its way.
    pub fn look<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        let mut text = String::new();
        while let Some(showing) = &mut self.showing {
            if replay.underway() {
                replay.approach(budget);
            }
            if replay.underway() || budget.is_spent() {
                return;
            }
            let (cols, rows) = replay.terminal().size();
            budget.charge(u64::from(cols) * u64::from(rows));
            if showing.steps == 0 {
                return self.shown_at(replay.time());
            }
            search::screen(replay.terminal(), &mut text);
            let standing = search::lines_like(&text, &showing.hit.begins);
            let Some(others) = showing.others.replace(standing) else {
                replay.aim(showing.hit.first);
                continue;
            };
            if standing > others || replay.time() >= showing.hit.complete {
                return self.shown_at(replay.time());
            }
            if showing.steps < CLOSER && !replay.is_changed() {
                showing.steps = 0;
                replay.aim(showing.hit.complete);
                continue;
            }
            showing.steps -= 1;
            if showing.steps == 0 {
                // Nothing nearer was found.
                replay.aim(showing.hit.complete);
            } else {
                replay.aim_forward();
            }
        }
    }

    /// From now on this is where the hit is: going on from here means going past it.
    fn shown_at(&mut self, time: Duration) {
        let Some(showing) = self.showing.take() else { return };
        if self.scope != Scope::Screen {
            return;
        }
        // It may stand at another place in the list by now: the search goes on meanwhile.
        if let Some(hit) = self.hits.iter_mut().find(|hit| **hit == showing.hit) {
            (hit.first, hit.complete) = (time, time);
        }
        self.hits.sort_by_key(|hit| hit.first);
    }
}

/// Keeps a hit, if the text is one.
fn take(
    pattern: &Pattern,
    hits: &mut Vec<Hit>,
    more: &mut bool,
    (first, complete, last): (Duration, Duration, Duration),
    text: &str,
    page: bool,
) {
    let Some(found) = pattern.inner.find(text) else { return };
    if hits.len() >= MOST {
        *more = true;
        return;
    }
    let begins = text.get(..found.end).unwrap_or(text).to_owned();
    let text: String = text.chars().take(500).collect();
    let at = hits.partition_point(|hit| hit.first <= first);
    // A line that was rewritten around the match is one hit, not many.
    let near = hits.get(at.saturating_sub(1)).is_some_and(|hit| hit.text == text && hit.last >= first);
    if !near {
        hits.insert(at, Hit { first, complete, last, text, begins, page });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Event, Payload};
    use crate::replay::Memory;

    fn replay(pieces: &[(u64, &str)]) -> Replay<Memory> {
        let events = pieces
            .iter()
            .map(|(ms, text)| {
                Event::new(Duration::from_millis(*ms), Payload::Output(text.as_bytes().to_vec()))
            })
            .collect();
        Replay::new(Memory::new((20, 4), None, events, 10))
    }

    fn all(replay: &mut Replay<Memory>, text: &str) -> Finder {
        let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Screen, true);
        while !finder.is_done() {
            finder.step(replay, &mut Budget::new(50));
        }
        finder
    }

    #[test]
    fn small_letters_match_capitals_and_not_the_other_way() {
        let pattern = |text| Pattern::new(text).unwrap();
        assert!(pattern("permit").is_in("PermitRootLogin") && !pattern("Permit").is_in("permitrootlogin"));
        assert!(pattern("a.c").is_in("xa.cx") && !pattern("a.c").is_in("abc"));
        assert!(Pattern::new("").is_err());
    }

    #[test]
    fn what_is_coloured_wrapped_or_composed_is_found_where_it_stands() {
        let mut replay = replay(&[
            (0, "\x1b[31mPer\x1b[32mmit and a (long word) unbreakable"),
            (100, "\x1b[4;1H\x1b[4;6Hyes\x1b[4;5Hd"),
        ]);
        replay.seek(Duration::from_millis(100));
        // The screen is 20 columns wide.
        let on_screen = |text: &str| Pattern::new(text).unwrap().on_screen(replay.terminal());
        assert_eq!(on_screen("permit"), [(0, 0, 6)]);
        assert_eq!(on_screen("long word"), [(0, 14, 20), (1, 0, 3)]);
        assert_eq!(on_screen("dyes"), [(3, 4, 8)]);
        assert_eq!(on_screen("31m"), []);
    }

    #[test]
    fn a_hit_is_the_first_moment_it_stood_on_the_screen() {
        let mut replay =
            replay(&[(0, "$ "), (100, "se"), (200, "cret"), (300, "\r\x1b[K$ "), (900, "gone\r\n")]);
        let mut finder = all(&mut replay, "secret");
        assert_eq!(finder.hits.len(), 1);
        finder.show(&mut replay, 0);
        while finder.is_showing() {
            finder.look(&mut replay, &mut Budget::new(50));
        }
        assert_eq!(
            (replay.time(), replay.terminal().row_text(0).as_str()),
            (Duration::from_millis(200), "$ secret")
        );
        assert_eq!(finder.from(replay.time(), true), None);
        assert_eq!(finder.from(Duration::from_millis(800), false), Some(0));
    }

    #[test]
    fn a_hit_is_looked_for_in_its_own_line_and_not_in_one_that_says_the_same() {
        for first in ["$ cat it now", "# rm it"] {
            let pieces =
                [(0, first), (100, "\r\n$ "), (900, "cat"), (1000, " "), (1100, "it"), (1300, "\r\n")];
            let mut replay = replay(&pieces);
            let mut finder = all(&mut replay, "it");
            let mut times = Vec::new();
            for hit in 0..2 {
                finder.show(&mut replay, hit);
                while finder.is_showing() {
                    finder.look(&mut replay, &mut Budget::new(50));
                }
                times.push(replay.time().as_millis());
            }
            assert_eq!(times, [0, 1100], "{first}");
        }
    }

    #[test]
    fn full_screen_programs_are_searched() {
        let mut replay = replay(&[
            (0, "$ vim\r\n"),
            (100, "\x1b[?1049h\x1b[Hneedle here"),
            (500, "\x1b[?1049l"),
            (600, "$ "),
        ]);
        let finder = all(&mut replay, "needle");
        assert_eq!(
            (finder.hits.len(), finder.hits[0].page, finder.hits[0].first),
            (1, true, Duration::from_millis(100))
        );
    }

    #[test]
    fn segments_whose_filter_denies_it_are_not_read() {
        use crate::container::filter::Builder;
        use crate::replay::{Error, Outline, Segment};
        /// Tells filters, and fails the test when a denied segment is read.
        struct Filtered(Memory, Vec<Vec<u8>>, std::rc::Rc<std::cell::RefCell<Vec<usize>>>);
        impl Source for Filtered {
            fn outline(&self) -> &Outline {
                self.0.outline()
            }
            fn segment(&mut self, number: usize) -> Result<Segment, Error> {
                self.2.borrow_mut().push(number);
                self.0.segment(number)
            }
            fn filter(&self, number: usize) -> &[u8] {
                &self.1[number]
            }
            fn refresh(&mut self) -> Result<bool, Error> {
                Ok(false)
            }
        }
        let texts = ["apples and pears", "oranges", "a needle in hay", "bananas"];
        let (mut events, mut filters, mut terminal) = (Vec::new(), Vec::new(), Terminal::new(40, 5));
        for (n, text) in (0..).zip(texts) {
            let time = Duration::from_secs(n);
            events.push(Event::new(time, Payload::Keyframe(terminal.snapshot().unwrap())));
            let text = format!("\x1b[2J\x1b[H{text}");
            terminal.feed(text.as_bytes());
            events.push(Event::new(time, Payload::Output(text.clone().into_bytes())));
            let mut builder = Builder::default();
            builder.add(&text);
            filters.push(builder.finish(1 << 20));
        }
        let read = std::rc::Rc::default();
        let source = Filtered(Memory::new((40, 5), None, events, 1), filters, std::rc::Rc::clone(&read));
        let mut replay = Replay::new(source);
        let mut finder = Finder::new(Pattern::new("needle").unwrap(), Scope::Screen, true);
        read.borrow_mut().clear();
        while !finder.is_done() {
            finder.step(&mut replay, &mut Budget::new(50));
        }
        assert_eq!(finder.hits.len(), 1);
        assert_eq!(finder.hits[0].first, Duration::from_secs(2));
        assert!(read.borrow().iter().all(|segment| *segment == 2), "{:?}", read.borrow());
    }

    #[test]
    fn typed_input_is_searched_by_the_line() {
        let events = [(0, "su"), (50, "do ls\r"), (90, "x\x1b[A\r")].map(|(ms, text)| {
            Event::new(Duration::from_millis(ms), Payload::Input(text.as_bytes().to_vec()))
        });
        let mut replay = Replay::new(Memory::new((20, 4), None, events.to_vec(), 10));
        let mut finder = Finder::new(Pattern::new("sudo").unwrap(), Scope::Input, true);
        finder.step(&mut replay, &mut Budget::new(50));
        assert_eq!((finder.hits[0].text.as_str(), finder.hits[0].first), ("sudo ls", Duration::ZERO));
        assert!(finder.is_done());
    }

    #[test]
    fn a_line_that_was_typed_across_the_end_of_a_segment_is_found_once() {
        let pieces = [(0, "ls\recho IMPORT"), (50, "ANT"), (90, "FILE\rcat IMP"), (120, "ORTANT")];
        let events = pieces.map(|(ms, text)| {
            let time = Duration::from_millis(ms);
            let typed = Payload::Input(text.as_bytes().to_vec());
            [Event::new(time, typed), Event::new(time, Payload::Output(b".".to_vec()))]
        });
        for segment in [1, 2, 10] {
            let mut replay = Replay::new(Memory::new((20, 4), None, events.as_flattened().to_vec(), segment));
            for (text, lines) in [
                ("IMPORTANTFILE", vec!["echo IMPORTANTFILE"]),
                ("IMPORT", vec!["echo IMPORTANTFILE", "cat IMPORTANT"]),
            ] {
                let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Input, true);
                while !finder.is_done() {
                    finder.step(&mut replay, &mut Budget::new(50));
                }
                assert_eq!(finder.hits.iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>(), lines);
            }
        }
    }

    #[test]
    fn typed_input_is_found_as_it_was_corrected() {
        let events =
            [(0, "cta\x7f\x7fat /etc/sha"), (50, "w\x7fdow\r"), (90, "nothing\x15ls\r")].map(|(ms, text)| {
                Event::new(Duration::from_millis(ms), Payload::Input(text.as_bytes().to_vec()))
            });
        let mut replay = Replay::new(Memory::new((20, 4), None, events.to_vec(), 10));
        for (text, line) in [("cat /etc/shadow", "cat /etc/shadow"), ("nothing", "nothingls")] {
            let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Input, true);
            finder.step(&mut replay, &mut Budget::new(50));
            assert_eq!(finder.hits.iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>(), [line]);
        }
    }
}
