//! Reading along without drawing what nobody asks for.
//!
//! Most of what is shown in bulk is plain lines that scroll through. Such a line is on the screen what it is in the stream,
//! less its colours; so it can be looked at without an emulator, and drawn only when it is *wanted*. What is told of the
//! wanted lines, and the screen afterwards, are those of [`Shown`] (a test compares the two); only the numbers of lines count
//! what was drawn. Whatever is more than ASCII text and colours is drawn, and so is everything near it: a screenful before
//! and a screenful after.

use super::charset::Charset;
use super::modes::Mode;
use super::screen::Screen;
use super::skim::{collect_colours, colour_len};
use super::{Line, Shown};
use crate::cast::{Event, Payload};
use std::ops::Range;
use std::time::Duration;

/// How much is looked at together, bytes: the more it is, the less is drawn around it, and the later lines are told. It
/// doubles from the smaller to the larger.
const TOGETHER: Range<usize> = 16 << 10..256 << 10;
/// Longest line that is passed over, bytes with its colours.
const LONGEST: usize = 4096;
/// Lines that must be passed over at once to be worth the looking.
const WORTH: usize = 8;

/// Reads events like [`Shown`], and tells at least the lines that are wanted.
pub struct Sieve {
    shown: Shown,
    waiting: Vec<u8>,
    /// Where in `waiting` what an event brought begins, and its time.
    marks: Vec<(usize, Duration)>,
    together: usize,
    /// Time of the last event.
    last: Duration,
}

impl Sieve {
    /// Goes on from what is shown.
    pub fn new(shown: Shown) -> Self {
        let together = TOGETHER.start;
        Self { shown, waiting: Vec::new(), marks: Vec::new(), together, last: Duration::ZERO }
    }

    /// Takes an event. `wanted` is asked of plain lines whether they shall be told, and may see a line that is drawn as well;
    /// all others are told in any case. Lines are told a little later than they go: see [`Sieve::drain`].
    pub fn event(
        &mut self,
        event: &Event,
        wanted: &mut impl FnMut(&str) -> bool,
        told: &mut impl FnMut(Line),
    ) {
        self.last = self.last.max(event.time);
        match &event.payload {
            Payload::Output(bytes) if self.shown.can_be_sieved() => {
                self.marks.push((self.waiting.len(), event.time));
                self.waiting.extend_from_slice(bytes);
                if self.waiting.len() >= self.together {
                    self.together = (2 * self.together).min(TOGETHER.end);
                    self.drain(wanted, told);
                }
            }
            Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. } => {
                self.drain(wanted, told);
                self.shown.event(event, told);
            }
            _ => {}
        }
    }

    /// Reads what is waiting; afterwards everything has been told that [`Shown`] would have.
    pub fn drain(&mut self, wanted: &mut impl FnMut(&str) -> bool, told: &mut impl FnMut(Line)) {
        if self.waiting.is_empty() {
            // Where everything is skimmed, looking at the screen would draw what waits there.
            return self.shown.reach(self.last);
        }
        let (bytes, marks) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.marks));
        let mut feeder = Feeder { shown: &mut self.shown, bytes: &bytes, marks: &marks, told };
        let rows = usize::from(feeder.shown.terminal().size().1);
        let (mut at, mut begins_line) = (0, false);
        let (mut ends, mut text) = (Vec::new(), String::new());
        while at < bytes.len() {
            ends.clear();
            let mut end = at;
            while begins_line && let Some(len) = plain_line(&bytes[end..]) {
                end += len;
                ends.push(end);
            }
            if ends.len() < 2 * rows + 1 + WORTH {
                end += memchr::memchr(b'\n', &bytes[end..]).map_or(bytes.len() - end, |line| line + 1);
                feeder.feed(at..end);
                begins_line = bytes[..end].ends_with(b"\r\n");
                at = end;
                continue;
            }
            // After as many lines as there are rows, nothing stands on the screen but these.
            feeder.feed(at..ends[rows - 1]);
            if feeder.shown.screen().is_some_and(takes_lines) {
                let tail = feeder.tail(&ends, rows, end);
                feeder.middle(&ends[rows - 1..tail], &mut text, wanted);
                feeder.feed(ends[tail - 1]..end);
            } else {
                feeder.feed(ends[rows - 1]..end);
            }
            at = end;
        }
        self.shown.reach(self.last);
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

struct Feeder<'a, F: FnMut(Line)> {
    shown: &'a mut Shown,
    bytes: &'a [u8],
    marks: &'a [(usize, Duration)],
    told: &'a mut F,
}

impl<F: FnMut(Line)> Feeder<'_, F> {
    /// Draws a part, every event's share at its time.
    fn feed(&mut self, part: Range<usize>) {
        let mut at = part.start;
        while at < part.end {
            let next = self.marks.partition_point(|(from, _)| *from <= at);
            let end = self.marks.get(next).map_or(part.end, |(from, _)| part.end.min(*from));
            self.shown.output_at(self.time(at), &self.bytes[at..end], self.told);
            at = end;
        }
    }

    fn time(&self, at: usize) -> Duration {
        let next = self.marks.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).and_then(|mark| self.marks.get(mark)).map_or(Duration::ZERO, |(_, time)| *time)
    }

    /// From which line on all are drawn: enough to fill the screen, with a character among them (it can be repeated, REP).
    fn tail(&self, ends: &[usize], rows: usize, end: usize) -> usize {
        let mut tail = ends.len() - rows - 1;
        let mut plain = String::new();
        while tail > rows {
            strip(&self.bytes[ends[tail - 1]..end], &mut plain);
            if plain.bytes().any(|byte| byte >= b' ') {
                break;
            }
            tail -= 1;
        }
        tail
    }

    /// Passes over the lines between these places, but for those that are wanted.
    fn middle(&mut self, ends: &[usize], text: &mut String, wanted: &mut impl FnMut(&str) -> bool) {
        let mut colours = Vec::new();
        let mut passed = 0;
        for place in ends.windows(2) {
            let part = place[0]..place[1];
            let line = &self.bytes[part.clone()];
            strip(line, text);
            if wanted(text.trim_end_matches(' ')) {
                self.catch_up(&mut colours, &mut passed, part.start);
                self.feed(part);
                continue;
            }
            passed += text.len() as u64 + 2;
            collect_colours(line, &mut colours);
        }
        let end = ends.last().copied().unwrap_or_default();
        self.catch_up(&mut colours, &mut passed, end);
    }

    /// What was passed over has set colours, and earned what characters earn.
    fn catch_up(&mut self, colours: &mut Vec<u8>, passed: &mut u64, at: usize) {
        let time = self.time(at.min(self.bytes.len().saturating_sub(1)));
        self.shown.output_at(time, colours, self.told);
        colours.clear();
        if let Some(screen) = self.shown.screen_mut() {
            screen.work.done = screen.work.done.saturating_add(std::mem::take(passed));
        }
    }
}

/// Whether the next plain line will stand in a row of its own, just as it is, and push the first row off the screen.
fn takes_lines(screen: &Screen) -> bool {
    !screen.on_alt
        && screen.settled
        && (screen.top, screen.bottom) == (0, screen.rows - 1)
        && (screen.left, screen.right) == (0, screen.cols - 1)
        && (screen.x(), screen.y(), screen.pending()) == (0, screen.rows - 1, false)
        && screen.single.is_none()
        && screen.sets.get(screen.shift) == Some(&Charset::Ascii)
        && screen.modes.has(Mode::Wrap)
        && !screen.modes.has(Mode::Insert)
}

/// Length of the line at the start, with its end, if it is nothing but ASCII text, colours, and carriage return and line feed
/// at its end.
fn plain_line(bytes: &[u8]) -> Option<usize> {
    let feed = memchr::memchr(b'\n', bytes.get(..LONGEST).unwrap_or(bytes))?;
    let line = bytes.get(..feed)?.strip_suffix(b"\r")?;
    if line.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        return Some(feed + 1);
    }
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += match byte {
            b' '..=b'~' => 1,
            0x1b => colour_len(&line[at..])?,
            _ => return None,
        };
    }
    Some(feed + 1)
}

/// The text of plain lines: without colours, and without the end of the last one.
fn strip(lines: &[u8], text: &mut String) {
    text.clear();
    let lines = lines.strip_suffix(b"\r\n").unwrap_or(lines);
    let mut rest = lines;
    while let Some(escape) = memchr::memchr(0x1b, rest) {
        let (before, from) = rest.split_at(escape);
        // ASCII throughout.
        text.push_str(std::str::from_utf8(before).unwrap_or_default());
        rest = &from[colour_len(from).unwrap_or(from.len())..];
    }
    text.push_str(std::str::from_utf8(rest).unwrap_or_default());
}

#[cfg(test)]
#[path = "sieve_tests.rs"]
mod tests;
