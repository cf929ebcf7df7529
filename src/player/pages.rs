//! Reads a recording as text: lines of the transcript, segment by segment.

use crate::cast::Payload;
use crate::replay::{Replay, Source};
use crate::terminal::{Line, NO_TERMINAL, Transcript};
use std::time::Duration;

/// A transcript under way, which goes on where it was left.
#[derive(Default)]
pub(super) struct Reading {
    /// The transcript, and the segment it would read next.
    under_way: Option<(usize, Transcript)>,
}

impl Reading {
    /// The lines that went during a segment; at the last one, those that still stand as well. `settle` as in
    /// [`Transcript::settling`].
    pub(super) fn lines<S: Source>(
        &mut self,
        replay: &mut Replay<S>,
        segment: usize,
        settle: Duration,
    ) -> Vec<Line> {
        let (mut from, mut transcript) = match self.under_way.take() {
            Some((next, transcript)) if next == segment => (next, transcript),
            _ => start(replay, segment, settle),
        };
        let last = segment + 1 >= replay.outline().spans.len();
        let mut lines = Vec::new();
        while from <= segment {
            lines.clear();
            let mut told = |line| lines.push(line);
            let read = replay.source().segment(from).unwrap_or_default();
            for event in &read.events {
                match &event.payload {
                    Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                        transcript.feed(event.time, bytes, &mut told)
                    }
                    Payload::Resize { cols, rows } => transcript.resize(event.time, *cols, *rows, &mut told),
                    _ => {}
                }
            }
            from += 1;
        }
        if last {
            let end = replay.outline().duration();
            transcript.finish(end, &mut |line| lines.push(line));
        } else {
            self.under_way = Some((from, transcript));
        }
        lines
    }
}

impl Reading {
    /// Ends here; gives the lines that still stand.
    pub(super) fn close<S: Source>(&mut self, replay: &Replay<S>) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some((next, transcript)) = self.under_way.take() {
            let span = next.checked_sub(1).and_then(|last| replay.outline().spans.get(last));
            transcript.finish(span.map_or(Duration::ZERO, |span| span.end), &mut |line| lines.push(line));
        }
        lines
    }

    /// What stands after the segments that have been read.
    fn standing(&self) -> Vec<Line> {
        self.under_way.as_ref().map(|(_, transcript)| transcript.standing()).unwrap_or_default()
    }
}

/// A transcript at the last segment, at or before this one, that begins with a keyframe.
fn start<S: Source>(replay: &mut Replay<S>, segment: usize, settle: Duration) -> (usize, Transcript) {
    let (cols, rows) = replay.outline().size;
    let bare = cols == 0 || rows == 0;
    let (from, mut transcript, time) = from_keyframe(replay, segment).unwrap_or_else(|| {
        let (cols, rows) = if bare { NO_TERMINAL } else { (cols, rows) };
        (0, Transcript::new(cols, rows), Duration::ZERO)
    });
    if bare {
        // Without a terminal, nothing turned a line feed into a new line (LNM).
        transcript.feed(time, b"\x1b[20h", &mut |_| {});
    }
    (from, transcript.settling(settle))
}

fn from_keyframe<S: Source>(replay: &mut Replay<S>, segment: usize) -> Option<(usize, Transcript, Duration)> {
    for from in (1..=segment).rev() {
        if !replay.outline().spans.get(from).is_some_and(|span| span.keyframe) {
            continue;
        }
        let read = replay.source().segment(from).unwrap_or_default();
        for event in &read.events {
            match &event.payload {
                Payload::Keyframe(text) => {
                    if let Some(transcript) = Transcript::restored(text, event.time) {
                        return Some((from, transcript, event.time));
                    }
                }
                // A keyframe after the first output is no beginning.
                Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. } => break,
                _ => {}
            }
        }
    }
    None
}

/// The transcript as it is leafed through: a window of lines around where the viewer is, in the order in which they came to
/// stand.
pub(super) struct Pages {
    reading: Reading,
    /// Lines of the segments `first..next`, each with the segment during which it went.
    lines: Vec<(usize, Line)>,
    first: usize,
    next: usize,
    /// The selected line.
    pub(super) selected: usize,
}

/// Lines kept; more are forgotten at the other end, a segment at a time.
const KEPT: usize = 20_000;
/// How long a row must have stood to be shown among the lines.
const SETTLE: Duration = Duration::from_millis(100);
/// The segment of lines that have not gone yet.
const STANDING: usize = usize::MAX;
/// A step this long means the start or the end.
const FAR: isize = isize::MAX / 4;

impl Pages {
    /// Opened where the replay stands.
    pub(super) fn new<S: Source>(replay: &mut Replay<S>) -> Self {
        let mut pages = Self::at(replay, replay.place().segment);
        let time = replay.time();
        pages.selected = pages.lines.iter().rposition(|(_, line)| line.first <= time).unwrap_or(0);
        pages
    }

    fn at<S: Source>(replay: &mut Replay<S>, segment: usize) -> Self {
        let mut pages = Self {
            reading: Reading::default(),
            lines: Vec::new(),
            first: segment,
            next: segment,
            selected: 0,
        };
        pages.after(replay);
        pages.selected = 0;
        pages
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

    /// Moves the selection, reading on where the lines end.
    pub(super) fn go<S: Source>(&mut self, replay: &mut Replay<S>, by: isize) {
        let count = replay.outline().spans.len();
        if by <= -FAR {
            *self = Self::at(replay, 0);
            return;
        }
        if by >= FAR {
            *self = Self::at(replay, count.saturating_sub(1));
            return self.select(usize::MAX);
        }
        loop {
            match self.selected.checked_add_signed(by) {
                None if self.first > 0 => self.before(replay),
                Some(wanted) if wanted >= self.lines.len() && self.next < count => self.after(replay),
                wanted => return self.select(wanted.unwrap_or(0)),
            }
        }
    }

    /// Reads the next segment.
    fn after<S: Source>(&mut self, replay: &mut Replay<S>) {
        // What stood at the end of the window goes later, or still stands later: it is shown, and told anew.
        let selected = self.lines.get(self.selected).cloned();
        self.forget(STANDING);
        let lines = self.reading.lines(replay, self.next, SETTLE);
        self.insert(self.next, lines);
        let standing = self.reading.standing();
        self.insert(STANDING, standing);
        self.find(selected);
        self.next += 1;
        while self.lines.len() > KEPT && self.first + 1 < self.next {
            self.forget(self.first);
            self.first += 1;
        }
    }

    /// Reads the segment before.
    fn before<S: Source>(&mut self, replay: &mut Replay<S>) {
        self.first -= 1;
        let lines = Reading::default().lines(replay, self.first, SETTLE);
        self.insert(self.first, lines);
        while self.lines.len() > KEPT && self.next > self.first + 1 {
            self.next -= 1;
            self.forget(self.next);
            self.forget(STANDING);
            self.reading = Reading::default();
        }
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

    #[test]
    fn every_line_is_met_once_going_down_and_going_up() {
        let mut replay = numbered(200, 100);
        let mut pages = Pages::new(&mut replay);
        let mut down = vec![pages.line().unwrap().text.clone()];
        for _ in 0..199 {
            pages.go(&mut replay, 1);
            down.push(pages.line().unwrap().text.clone());
        }
        let want: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
        assert_eq!(down, want);
        replay.seek(Duration::from_millis(150 * 200));
        let mut pages = Pages::new(&mut replay);
        assert!(pages.line().unwrap().first <= Duration::from_millis(150 * 200));
        for _ in 0..200 {
            pages.go(&mut replay, -1);
        }
        assert_eq!(pages.line().unwrap().text, "line 0");
        pages.go(&mut replay, 1000);
        assert_eq!(pages.line().unwrap().text, "line 199");
        pages.go(&mut replay, isize::MIN / 2);
        assert_eq!(pages.line().unwrap().text, "line 0");
        pages.go(&mut replay, isize::MAX / 2);
        assert_eq!(pages.line().unwrap().text, "line 199");
    }
}
