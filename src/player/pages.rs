//! Reads a recording as text: lines of the transcript, in slices.

use super::times;
use crate::cast::{Event, Payload};
use crate::replay::{Budget, Replay, Segment, Source};
use crate::terminal::{Canvas, Line, Transcript, drawn_on, with_returns};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// What a line costs besides its bytes, and what each of its bytes costs.
const LINE: (u64, u64) = (64, 4);

/// What is said where something that was to be read could not be.
pub(super) const UNREAD: &str = "a part cannot be read";

/// A transcript under way, which goes on where it was left.
pub(super) struct Reading {
    settle: Duration,
    state: State,
    /// As [`Transcript::refused`], of all that was read: where reading begins anew, no keyframe knows of it.
    refused: Option<Duration>,
    /// Something of what was to be read could not be.
    unread: bool,
}

enum State {
    /// Nothing has been read that leads on.
    Nowhere,
    /// To read this segment, a keyframe is looked for at the start of that one.
    Looking { wanted: usize, at: usize },
    /// Inside a recording.
    At(Box<At>),
}

struct At {
    transcript: Transcript,
    canvas: Canvas,
    /// The segment that is read, or would be next.
    number: usize,
    segment: Option<Rc<Segment>>,
    /// The event in it, and how many of its bytes have been read.
    event: usize,
    within: usize,
    /// Events of the segment before.
    read: usize,
    /// That could not be read to its end.
    holed: bool,
}

impl Reading {
    /// Nothing is read yet. `settle` as in [`Transcript::settling`].
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, state: State::Nowhere, refused: None, unread: false }
    }

    /// Forgets where it is, to begin somewhere else.
    fn leave(&mut self) {
        self.state = State::Nowhere;
    }

    /// Reads a segment as far as the budget reaches, and tells the lines that went during it. `true` when the segment has been
    /// read to its end. Behind what cannot be read it begins anew, and what stood before that is told: what is drawn there goes
    /// on from another screen.
    pub(super) fn read<S: Source>(
        &mut self,
        replay: &mut Replay<S>,
        wanted: usize,
        budget: &mut Budget,
        told: &mut impl FnMut(Line),
    ) -> bool {
        loop {
            match &mut self.state {
                State::At(at) if at.number == wanted || (at.segment.is_some() && at.number < wanted) => {
                    let before = at.number < wanted;
                    let done = at.read(replay, budget, &mut |line| {
                        // What went before the segment that is wanted is somebody else's.
                        if !before {
                            told(line);
                        }
                    });
                    self.refused = earlier(self.refused, at.transcript.refused());
                    if !done {
                        return false;
                    }
                    self.unread |= at.holed;
                    if !before {
                        if at.holed {
                            self.finish(replay, told);
                        }
                        return true;
                    }
                    if at.number < wanted {
                        // On to the next one, without looking for a keyframe.
                        at.open(replay, budget);
                    }
                }
                State::Looking { wanted: of, at } if *of == wanted => {
                    let from = *at;
                    match keyframe(replay, from, budget) {
                        Some((transcript, _)) => self.begin(transcript, from, replay, budget),
                        None if from == 0 => {
                            let transcript = blank(replay);
                            self.begin(transcript, 0, replay, budget);
                        }
                        None => *at = from - 1,
                    }
                }
                _ => self.state = State::Looking { wanted, at: wanted },
            }
            if budget.is_spent() {
                return false;
            }
        }
    }

    fn begin<S: Source>(
        &mut self,
        transcript: Transcript,
        number: usize,
        replay: &mut Replay<S>,
        budget: &mut Budget,
    ) {
        let canvas = replay.outline().canvas;
        let transcript = transcript.settling(self.settle);
        let mut at =
            At { transcript, canvas, number, segment: None, event: 0, within: 0, read: 0, holed: false };
        at.open(replay, budget);
        self.state = State::At(Box::new(at));
    }

    /// Ends here; tells the lines that still stand.
    pub(super) fn finish<S: Source>(&mut self, replay: &Replay<S>, told: &mut impl FnMut(Line)) {
        if let State::At(at) = std::mem::replace(&mut self.state, State::Nowhere) {
            let span = at.number.checked_sub(1).and_then(|last| replay.outline().spans.get(last));
            at.transcript.finish(span.map_or(Duration::ZERO, |span| span.end), told);
        }
    }

    /// Tells what [`Reading::finish`] would tell now, and may go on.
    pub(super) fn finishing(&self, told: &mut impl FnMut(Line)) {
        if let State::At(at) = &self.state {
            at.transcript.finishing(told);
        }
    }

    /// The recording goes on: this segment, the last one that was known, may have become longer. What has been read of it stays
    /// read.
    pub(super) fn resume(&mut self, number: usize) {
        let State::At(at) = &mut self.state else { return };
        if at.number == number {
            at.segment = None;
        } else if at.number.checked_sub(1) == Some(number) && at.segment.is_none() {
            (at.number, at.event) = (number, at.read);
        }
    }

    /// What there is to say where not all that was read is drawn: who reads, or seeks in vain, must not take it for all there was.
    pub(super) fn doubt(&self) -> Option<String> {
        doubt(self.refused, self.unread)
    }

    /// Whether what is read next does not lead on from what was read last.
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self.state, State::Nowhere)
    }

    /// What stands after the segments that have been read.
    fn standing(&self) -> Vec<Line> {
        match &self.state {
            State::At(at) => at.transcript.standing(),
            _ => Vec::new(),
        }
    }
}

impl At {
    fn open<S: Source>(&mut self, replay: &mut Replay<S>, budget: &mut Budget) {
        self.segment = Some(replay.load(self.number, budget));
    }

    /// Reads on in the segment; `true` at its end: the next one is then the one to read.
    fn read<S: Source>(
        &mut self,
        replay: &mut Replay<S>,
        budget: &mut Budget,
        told: &mut impl FnMut(Line),
    ) -> bool {
        if self.segment.is_none() {
            self.open(replay, budget);
        }
        let Some(segment) = self.segment.clone() else { return true };
        while let Some(event) = segment.events.get(self.event) {
            if budget.is_spent() {
                return false;
            }
            let before = self.transcript.terminal().spent();
            let mut lines = 0u64;
            let mut counted = |line: Line| {
                lines = lines.saturating_add(LINE.0).saturating_add(LINE.1 * line.text.len() as u64);
                told(line);
            };
            self.one(event, &mut counted);
            let spent = self.transcript.terminal().spent().saturating_sub(before);
            budget.charge(spent.saturating_add(lines).saturating_add(LINE.0));
        }
        self.holed = segment.fault.is_some();
        self.number = self.number.saturating_add(1);
        (self.read, self.event, self.within) = (self.event, 0, 0);
        self.segment = None;
        true
    }

    /// Reads an event, or a piece of it when it is large.
    fn one(&mut self, event: &Event, told: &mut impl FnMut(Line)) {
        match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                let rest = bytes.get(self.within..).unwrap_or_default();
                let piece = rest.get(..PIECE).unwrap_or(rest);
                self.transcript.feed(
                    event.time,
                    &with_returns(piece, self.canvas.is_bare(&event.payload)),
                    told,
                );
                // Nobody asks for the terminal's events.
                self.transcript.take_events();
                self.within = self.within.saturating_add(piece.len());
                if self.within < bytes.len() {
                    return;
                }
            }
            Payload::Resize { cols, rows } => self.transcript.resize(event.time, *cols, *rows, told),
            _ => {}
        }
        (self.event, self.within) = (self.event.saturating_add(1), 0);
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn doubt(refused: Option<Duration>, unread: bool) -> Option<String> {
    let refused = refused.map(|since| format!("not all is drawn from {} on", times::tenths(since)));
    let unread = unread.then(|| UNREAD.to_owned());
    refused.into_iter().chain(unread).reduce(|refused, unread| format!("{refused}; {unread}"))
}

fn blank<S: Source>(replay: &Replay<S>) -> Transcript {
    let (cols, rows) = drawn_on(replay.outline().canvas.size);
    Transcript::new(cols, rows)
}

/// The keyframe that a segment begins with, and its time.
fn keyframe<S: Source>(
    replay: &mut Replay<S>,
    number: usize,
    budget: &mut Budget,
) -> Option<(Transcript, Duration)> {
    /// What a keyframe may cost that is none.
    const TRIED: u64 = 32 << 20;
    budget.charge(1);
    let alike = replay.source_ref().draws_alike();
    if number == 0 || !alike || !replay.outline().spans.get(number).is_some_and(|span| span.keyframe) {
        return None;
    }
    let segment = replay.load(number, budget);
    for event in &segment.events {
        match &event.payload {
            Payload::Keyframe(text) => {
                let transcript = Transcript::restored(text, event.time);
                budget.charge(if transcript.is_some() { 8 * text.len() as u64 } else { TRIED });
                return transcript.map(|transcript| (transcript, event.time));
            }
            // A keyframe after the first output is no beginning.
            Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. } => break,
            _ => {}
        }
    }
    None
}

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
    use crate::cast::Event;
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
