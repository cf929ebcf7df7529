//! Reading along without drawing what nobody asks for.
//!
//! Most of what is shown in bulk is plain lines that scroll through. Such a line is on the screen what it is in the stream,
//! less its colours; so it can be looked at without an emulator, many at once, and told without being drawn when it is
//! *wanted*. What is told of the wanted lines, and the screen afterwards, are those of [`Shown`] (a test compares the two);
//! only the numbers of lines count what was drawn, and a line that was not has none ([`NO_NUMBER`]). Whatever is more than
//! characters and colours (a tab, a mark on another character, a byte that belongs to none) is drawn, and so is everything near it: a
//! screenful before and two screenfuls after.

use super::charset::Charset;
use super::modes::Mode;
use super::pass::{Passing, is_beginning, plain_lines};
use super::screen::Screen;
use super::shown::stored;
use super::{Line, Shown};
use crate::cast::{Event, Payload};
use std::ops::Range;
use std::time::Duration;

/// How much is looked at together, bytes: the more it is, the later lines are told. It doubles from the smaller to the
/// larger.
const TOGETHER: Range<usize> = 16 << 10..256 << 10;
/// Lines that must be passed over at once to be worth the looking.
const WORTH: usize = 8;
/// The number of a line that was told without being drawn.
pub const NO_NUMBER: u64 = u64::MAX;

/// Which plain lines shall be told. A closure that says so of one line is one.
pub trait Wanted {
    /// Whether this line, without blanks at its end, shall be told; it may be one that is drawn and told anyway. `Some(n)`
    /// tells it, and if it is not drawn, with the time at which its first `n` bytes stood (0: it began) as
    /// [`Line::first`].
    fn line(&mut self, text: &str) -> Option<usize>;

    /// Given many lines, each ended by `\r\n`: where, from the byte `from` on, the next one may be that is wanted. `None`
    /// when no more is.
    fn next(&mut self, _lines: &str, from: usize) -> Option<usize> {
        Some(from)
    }
}

impl<F: FnMut(&str) -> bool> Wanted for F {
    fn line(&mut self, text: &str) -> Option<usize> {
        self(text).then_some(0)
    }
}

/// Reads events like [`Shown`], and tells at least the lines that are wanted.
pub struct Sieve {
    shown: Shown,
    waiting: Vec<u8>,
    /// Where in `waiting` what an event brought begins, and its time.
    marks: Vec<(usize, Duration)>,
    together: usize,
    /// Time of the last event.
    last: Duration,
    /// What has been read ended with the end of a line.
    begins_line: bool,
    passing: Option<Passing>,
}

impl Sieve {
    /// Goes on from what is shown.
    pub fn new(shown: Shown) -> Self {
        Self {
            shown,
            waiting: Vec::new(),
            marks: Vec::new(),
            together: TOGETHER.start,
            last: Duration::ZERO,
            begins_line: false,
            passing: None,
        }
    }

    /// Takes an event. `wanted` is asked of plain lines whether they shall be told, and may see a line that is drawn as well;
    /// all others are told in any case. Lines are told a little later than they go: see [`Sieve::drain`].
    pub fn event(&mut self, event: &Event, wanted: &mut impl Wanted, told: &mut impl FnMut(Line)) {
        self.last = self.last.max(event.time);
        match &event.payload {
            Payload::Output(bytes) if self.shown.can_be_sieved() => {
                self.marks.push((self.waiting.len(), event.time));
                if self.waiting.capacity() - self.waiting.len() < bytes.len() {
                    // Not more than will wait: all of it is wiped in the end.
                    self.waiting.reserve_exact(bytes.len().max(self.together));
                }
                self.waiting.extend_from_slice(bytes);
                if self.waiting.len() >= self.together {
                    self.together = (2 * self.together).min(TOGETHER.end);
                    self.read(false, wanted, told);
                }
            }
            Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. } => {
                self.drain(wanted, told);
                self.begins_line = false;
                self.shown.event(event, told);
            }
            _ => {}
        }
    }

    /// Reads what is waiting; afterwards everything has been told that [`Shown`] would have.
    pub fn drain(&mut self, wanted: &mut impl Wanted, told: &mut impl FnMut(Line)) {
        self.read(true, wanted, told);
        self.shown.reach(self.last);
    }

    /// Reads what is waiting. Unless `whole`, lines that are being passed over may stay: those that would stand on the
    /// screen, and the beginning of the next one.
    fn read(&mut self, whole: bool, wanted: &mut impl Wanted, told: &mut impl FnMut(Line)) {
        if self.waiting.is_empty() {
            // Where everything is skimmed, looking at the screen would draw what waits there.
            return;
        }
        let (mut bytes, mut marks) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.marks));
        let mut feeder = Feeder { shown: &mut self.shown, bytes: &bytes, marks: &marks, told };
        let (cols, rows) = feeder.shown.terminal().size();
        let (cols, rows) = (usize::from(cols), usize::from(rows));
        let mut passing = self.passing.take();
        let mut at = passing.as_ref().map_or(0, Passing::seen);
        while at < bytes.len() || passing.is_some() {
            if let Some(mut pass) = passing.take() {
                at += plain_lines(&bytes[at..]);
                pass.go_on(&mut feeder, at, wanted);
                if !whole && is_beginning(&bytes[at..]) {
                    passing = Some(pass);
                    break;
                }
                pass.leave(&mut feeder);
                self.begins_line = true;
                continue;
            }
            let end = if self.begins_line { at + plain_lines(&bytes[at..]) } else { at };
            let enough = 3 * rows + 1 + WORTH;
            let feeds = memchr::memchr_iter(b'\n', &bytes[at..end]);
            let ends: Vec<usize> = feeds.map(|feed| at + feed + 1).take(enough).collect();
            let from = at;
            if ends.len() < enough {
                at = end + memchr::memchr(b'\n', &bytes[end..]).map_or(bytes.len() - end, |line| line + 1);
                feeder.feed(from..at);
                self.begins_line = bytes[..at].ends_with(b"\r\n");
                continue;
            }
            // After as many lines as there are rows the cursor is in the last one, wherever it was; after as many again nothing
            // stands on the screen but these, in rows that were blank.
            at = ends[2 * rows - 1];
            feeder.feed(from..at);
            if feeder.shown.screen().is_some_and(takes_lines) {
                passing = Passing::begin(&bytes, ends[rows - 1]..at, (cols, rows));
            }
            if passing.is_none() {
                feeder.feed(at..end);
                at = end;
            }
        }
        if let Some(pass) = &mut passing {
            let kept = pass.rebase();
            let first = marks.partition_point(|(from, _)| *from <= kept).saturating_sub(1);
            marks.drain(..first);
            marks.iter_mut().for_each(|(from, _)| *from = from.saturating_sub(kept));
            bytes.drain(..kept);
            (self.waiting, self.marks, self.passing) = (bytes, marks, passing);
        }
    }

    /// What is shown, once everything has been drained.
    pub fn into_shown(self) -> Shown {
        self.shown
    }

    /// See [`Sieve::into_shown`].
    pub fn shown(&mut self) -> &mut Shown {
        &mut self.shown
    }
}

/// Draws what waits.
pub(super) struct Feeder<'a, F: FnMut(Line)> {
    pub(super) shown: &'a mut Shown,
    pub(super) bytes: &'a [u8],
    marks: &'a [(usize, Duration)],
    pub(super) told: &'a mut F,
}

impl<F: FnMut(Line)> Feeder<'_, F> {
    /// Draws a part, every event's share at its time.
    pub(super) fn feed(&mut self, part: Range<usize>) {
        let mut at = part.start;
        while at < part.end {
            let next = self.marks.partition_point(|(from, _)| *from <= at);
            let end = self.marks.get(next).map_or(part.end, |(from, _)| part.end.min(*from));
            self.shown.output_at(self.mark(at), &self.bytes[at..end], self.told);
            at = end;
        }
    }

    fn mark(&self, at: usize) -> Duration {
        let next = self.marks.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).and_then(|mark| self.marks.get(mark)).map_or(Duration::ZERO, |(_, time)| *time)
    }

    /// When the byte at a place came, as it is stored.
    pub(super) fn time(&self, at: usize) -> Duration {
        stored(self.mark(at))
    }
}

/// Whether the next plain line will stand in a row of its own, just as it is, and push the first row off the screen.
fn takes_lines(screen: &Screen) -> bool {
    !screen.on_alt
        && screen.settled
        && (screen.top, screen.bottom) == (0, screen.rows - 1)
        && (screen.left, screen.right) == (0, screen.cols - 1)
        // There is room for a wide character.
        && screen.cols > 1
        && (screen.x(), screen.y(), screen.pending()) == (0, screen.rows - 1, false)
        && screen.single.is_none()
        && screen.sets.get(screen.shift) == Some(&Charset::Ascii)
        && screen.modes.has(Mode::Wrap)
        && !screen.modes.has(Mode::Insert)
        && screen.tape.is_some()
}

#[cfg(test)]
#[path = "sieve_tests.rs"]
mod tests;
