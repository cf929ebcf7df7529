//! The transcript as it is leafed through: a window of its lines.

use super::reading::{Reading, doubt, earlier};
use crate::replay::{Budget, Replay, Source};
use crate::terminal::Line;
use std::time::Duration;

/// The transcript as it is leafed through: a window of lines around where the viewer is, in the order in which they came to
/// stand. What it takes to go somewhere is read in slices ([`Pages::work`]).
pub(super) struct Pages {
    reading: Reading,
    /// Lines of the segments `first..next`, each with the segment during which it went.
    lines: Vec<(usize, Line)>,
    first: usize,
    next: usize,
    /// The selected line.
    pub(super) selected: usize,
    errand: Option<Errand>,
    /// The line that is looked for where it is to go to a time: when it came, and what it holds.
    sought: Option<(Duration, String)>,
    /// The last segment of `first..next` may have become longer.
    longer: bool,
    /// The segment before, while it is read.
    before: Reading,
    gathered: Gathered,
}

/// Lines of the segment that is being read.
#[derive(Default)]
struct Gathered {
    lines: Vec<Line>,
    /// What they take, in bytes.
    size: usize,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Errand {
    /// To the line that stood there at a time.
    Time(Duration),
    /// So many lines on.
    Move(isize),
    /// To the last line.
    End,
}

/// Lines kept; more are forgotten at the other end, a segment at a time.
const KEPT: usize = 20_000;
/// Most bytes of lines that are kept of a segment.
const GATHERED: usize = 32 << 20;
/// How long a row must have stood to be shown among the lines.
const SETTLE: Duration = Duration::from_millis(100);
/// The segment of lines that have not gone yet.
const STANDING: usize = usize::MAX;
/// A step this long means the start or the end.
const FAR: isize = isize::MAX / 4;

impl Pages {
    /// To be opened where the replay stands, at the line that came then and holds that text (`sought`), if there is one.
    pub(super) fn new<S: Source>(replay: &Replay<S>, sought: Option<(Duration, &str)>) -> Self {
        let sought = sought.map(|(first, text)| (first, text.to_owned()));
        Self { sought, ..Self::at(replay.place().segment, Errand::Time(replay.time())) }
    }

    fn at(segment: usize, errand: Errand) -> Self {
        Self {
            reading: Reading::new(SETTLE),
            lines: Vec::new(),
            first: segment,
            next: segment,
            selected: 0,
            errand: Some(errand),
            sought: None,
            longer: false,
            before: Reading::new(SETTLE),
            gathered: Gathered::default(),
        }
    }

    /// The lines in memory.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.lines.iter().map(|(_, line)| line)
    }

    /// The selected line.
    pub(super) fn line(&self) -> Option<&Line> {
        self.lines.get(self.selected).map(|(_, line)| line)
    }

    /// Selects a line in memory.
    pub(super) fn select(&mut self, line: usize) {
        self.selected = line.min(self.lines.len().saturating_sub(1));
    }

    /// See [`Reading::doubt`].
    pub(super) fn doubt(&self) -> Option<String> {
        doubt(earlier(self.reading.refused, self.before.refused), self.reading.unread || self.before.unread)
    }

    /// Whether it still reads to come where it was sent.
    pub(super) fn is_reading(&self) -> bool {
        self.errand.is_some()
    }

    /// The recording goes on: see [`super::find::Finder::renew`].
    pub(super) fn renew(&mut self, last: usize) {
        self.reading.resume(last);
        self.longer |= self.next > last && self.next > self.first;
    }

    /// Sends the selection somewhere.
    pub(super) fn go<S: Source>(&mut self, replay: &Replay<S>, by: isize) {
        if by <= -FAR {
            *self = Self::at(0, Errand::Move(0));
        } else if by >= FAR {
            *self = Self::at(replay.outline().spans.len().saturating_sub(1), Errand::End);
        } else {
            self.errand = Some(match self.errand {
                Some(Errand::Move(before)) => Errand::Move(before.saturating_add(by)),
                // First things first: it has not come to where it was sent before.
                Some(errand) => errand,
                None => Errand::Move(by),
            });
        }
    }

    /// Goes on, as far as the budget reaches.
    pub(super) fn work<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        let count = replay.outline().spans.len().max(1);
        while let Some(errand) = self.errand {
            let unread = self.next == self.first;
            let done = match errand {
                _ if unread => {
                    let read = self.after(replay, budget);
                    self.selected = 0;
                    read
                }
                Errand::Time(time) => {
                    let sought = self.sought.take().and_then(|(first, text)| {
                        self.lines
                            .iter()
                            .position(|(_, line)| line.first == first && line.text.contains(&text))
                    });
                    let stood = || self.lines.iter().rposition(|(_, line)| line.first <= time);
                    self.select(sought.or_else(stood).unwrap_or(0));
                    self.errand = None;
                    true
                }
                Errand::End => {
                    self.select(usize::MAX);
                    self.errand = None;
                    true
                }
                Errand::Move(by) => match self.selected.checked_add_signed(by) {
                    None if self.first > 0 => self.before(replay, budget),
                    Some(wanted) if wanted >= self.lines.len() && (self.next < count || self.longer) => {
                        self.after(replay, budget)
                    }
                    wanted => {
                        self.select(wanted.unwrap_or(0));
                        self.errand = None;
                        true
                    }
                },
            };
            if !done || budget.is_spent() {
                return;
            }
        }
    }

    /// Reads the next segment, or what has come to the last one; `true` when it has been read to its end.
    fn after<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) -> bool {
        let (number, gathered) = (self.next - usize::from(self.longer), &mut self.gathered);
        if !self.reading.read(replay, number, budget, &mut |line| gathered.add(line)) {
            return false;
        }
        // What stood at the end of the window goes later, or still stands later: it is shown, and told anew.
        let selected = self.lines.get(self.selected).cloned();
        self.forget(STANDING);
        let lines = std::mem::take(&mut self.gathered).lines;
        self.insert(number, lines);
        (self.next, self.longer) = (number + 1, false);
        let mut standing = self.reading.standing();
        if self.next >= replay.outline().spans.len() {
            standing.clear();
            self.reading.finishing(&mut |line| standing.push(line));
        }
        self.insert(STANDING, standing);
        self.find(selected);
        while self.lines.len() > KEPT && self.first + 1 < self.next {
            self.forget(self.first);
            self.first += 1;
        }
        true
    }

    /// Reads the segment before; `true` when it has been read to its end.
    fn before<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) -> bool {
        let gathered = &mut self.gathered;
        if !self.before.read(replay, self.first - 1, budget, &mut |line| gathered.add(line)) {
            return false;
        }
        self.before.leave();
        let lines = std::mem::take(&mut self.gathered).lines;
        self.first -= 1;
        self.insert(self.first, lines);
        while self.lines.len() > KEPT && self.next > self.first + 1 {
            (self.next, self.longer) = (self.next - 1, false);
            self.forget(self.next);
            self.forget(STANDING);
            self.reading.leave();
        }
        true
    }

    /// Puts lines where they belong; what is selected stays selected.
    fn insert(&mut self, segment: usize, lines: Vec<Line>) {
        let selected = self.lines.get(self.selected).cloned();
        self.lines.extend(lines.into_iter().filter(|line| !line.text.is_empty()).map(|line| (segment, line)));
        self.lines.sort_by_key(|(_, line)| line.first);
        self.find(selected);
    }

    fn forget(&mut self, segment: usize) {
        let selected = self.lines.get(self.selected).cloned();
        self.lines.retain(|(of, _)| *of != segment);
        self.find(selected);
    }

    /// Selects the same line again: where it is gone, or has gone on, the last one that is not later.
    fn find(&mut self, selected: Option<(usize, Line)>) {
        let Some((_, sought)) = selected else { return self.select(self.selected) };
        let same =
            self.lines.iter().position(|(_, line)| line.first == sought.first && line.text == sought.text);
        let near = || self.lines.iter().rposition(|(_, line)| line.first <= sought.first);
        self.select(same.or_else(near).unwrap_or(0));
    }
}

impl Gathered {
    /// Keeps a line, unless there are more of a segment than anybody can look at: then it is said.
    fn add(&mut self, mut line: Line) {
        if self.size > GATHERED {
            return;
        }
        self.size = self.size.saturating_add(size_of::<Line>()).saturating_add(line.text.len());
        if self.size > GATHERED {
            line.text = "[more lines than can be shown; sealcast export --format text has them]".to_owned();
        }
        self.lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Event, Payload};
    use crate::replay::Memory;
    use crate::terminal::Terminal;

    fn numbered(count: u64, bytes: usize) -> Replay<Memory> {
        let mut terminal = Terminal::new(40, 5);
        let mut events = Vec::new();
        for n in 0..count {
            let time = Duration::from_millis(n * 200);
            if n % 10 == 0 {
                events.push(Event::new(time, Payload::Keyframe(terminal.snapshot().unwrap())));
            }
            let text = format!("line {n}\r\n");
            terminal.feed(text.as_bytes());
            events.push(Event::new(time, Payload::Output(text.into_bytes())));
        }
        Replay::new(Memory::new((40, 5), None, events, bytes))
    }

    /// Goes, in small slices.
    fn go(pages: &mut Pages, replay: &mut Replay<Memory>, by: isize) {
        pages.go(replay, by);
        while pages.is_reading() {
            pages.work(replay, &mut Budget::new(100));
        }
    }

    fn opened(replay: &mut Replay<Memory>) -> Pages {
        let mut pages = Pages::new(replay, None);
        pages.work(replay, &mut Budget::endless());
        pages
    }

    #[test]
    fn every_line_is_met_once_going_down_and_going_up() {
        let mut replay = numbered(200, 100);
        let mut pages = opened(&mut replay);
        let mut down = vec![pages.line().unwrap().text.clone()];
        for _ in 0..199 {
            go(&mut pages, &mut replay, 1);
            down.push(pages.line().unwrap().text.clone());
        }
        let want: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
        assert_eq!(down, want);
        replay.seek(Duration::from_millis(150 * 200));
        let mut pages = opened(&mut replay);
        assert!(pages.line().unwrap().first <= Duration::from_millis(150 * 200));
        for _ in 0..200 {
            go(&mut pages, &mut replay, -1);
        }
        assert_eq!(pages.line().unwrap().text, "line 0");
        go(&mut pages, &mut replay, 1000);
        assert_eq!(pages.line().unwrap().text, "line 199");
        go(&mut pages, &mut replay, isize::MIN / 2);
        assert_eq!(pages.line().unwrap().text, "line 0");
        go(&mut pages, &mut replay, isize::MAX / 2);
        assert_eq!(pages.line().unwrap().text, "line 199");
    }

    #[test]
    fn what_comes_to_a_running_session_is_met_when_it_is_there() {
        for bytes in [1, 70, 1 << 20] {
            let whole = numbered(60, 1).source().clone();
            let events: Vec<Event> = (0..whole.outline().spans.len())
                .flat_map(|n| whole.clone().segment(n).unwrap().events)
                .collect();
            let known = |count: usize| Memory::new((40, 5), None, events[..count].to_vec(), bytes);
            let mut replay = Replay::new(known(3));
            let mut pages = opened(&mut replay);
            let mut met = vec![pages.line().unwrap().text.clone()];
            for count in 4..=events.len() {
                let last = replay.outline().spans.len() - 1;
                replay = Replay::new(known(count));
                pages.renew(last);
                go(&mut pages, &mut replay, 1);
                met.push(pages.line().unwrap().text.clone());
            }
            met.dedup();
            let want: Vec<String> = (0..60).map(|n| format!("line {n}")).collect();
            assert_eq!(met, want, "{bytes}");
        }
    }
}
