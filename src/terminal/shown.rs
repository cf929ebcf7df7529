//! What the events of a recording showed: the one reading that filters, search and verification share.
//!
//! Lines are told as by [`Transcript`], with a settling time of one millisecond: whatever stood on the screen at any time of
//! the recording is told. Times are whole milliseconds, as they are stored, so that the recorder and a reader see the same
//! whatever an event was cut into. A session without a terminal is shown on one of 80 columns. Where no terminal has put a carriage
//! return before it, a line feed begins a new line: see [`Canvas`].

use super::screen::Screen;
use super::{Line, Terminal, Transcript};
use crate::cast::{Event, Payload, line};
use std::borrow::Cow;
use std::time::Duration;

/// Size of the screen where the recording has no terminal.
pub const NO_TERMINAL: (u16, u16) = (80, 24);

/// Whether the size of a recording says that it has no terminal: a line feed begins a new line there.
pub fn is_bare((cols, rows): (u16, u16)) -> bool {
    cols == 0 || rows == 0
}

/// The columns and rows that a recording of this size is drawn on: its own, or [`NO_TERMINAL`].
pub fn drawn_on(size: (u16, u16)) -> (u16, u16) {
    if is_bare(size) { NO_TERMINAL } else { size }
}

/// What a recording is drawn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canvas {
    /// Columns and rows of its terminal at the start; 0 without one.
    pub size: (u16, u16),
    /// Its standard output passed beside the terminal: output is what that was given and what the terminal was, and no event says which.
    /// (A terminal has put its carriage returns, but for a program that has it raw: where such a one means a line feed to go straight
    /// down it is drawn otherwise than it was shown.)
    pub beside: bool,
}

impl Canvas {
    /// Whether a line feed begins a new line in this: standard error has events of its own only where it was not the terminal.
    pub fn is_bare(self, payload: &Payload) -> bool {
        self.is_output_bare() || matches!(payload, Payload::ErrorOutput(_))
    }

    /// The same of output.
    pub fn is_output_bare(self) -> bool {
        is_bare(self.size) || self.beside
    }
}

/// Of a session whose standard output was the terminal, if it had one.
impl From<(u16, u16)> for Canvas {
    fn from(size: (u16, u16)) -> Self {
        Self { size, beside: false }
    }
}

/// Output as it is drawn: where there was no terminal, nothing put a carriage return before a line feed. It is put there, and not
/// asked of the emulator as a mode, which a reset would end.
pub fn with_returns(bytes: &[u8], bare: bool) -> Cow<'_, [u8]> {
    if !bare {
        return Cow::Borrowed(bytes);
    }
    let mut with_returns = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        with_returns.extend_from_slice(text);
        if text.len() < line.len() {
            with_returns.extend_from_slice(b"\r\n");
        }
    }
    Cow::Owned(with_returns)
}

/// Reads events and tells lines.
pub struct Shown {
    reading: Reading,
    canvas: Canvas,
    last: Duration,
}

enum Reading {
    Lines(Box<Transcript>),
    /// Only the screen is followed, and what has not been fed to it.
    Screen(Box<Terminal>, Vec<u8>),
    /// Output was left out. A terminal of the right size, and whether the last byte was an ESC.
    Unknown(Box<Terminal>, bool),
}

/// Full reset (RIS): whatever stood there, and in the middle of whatever sequence, the terminal is as new.
const RESET: &[u8] = b"\x1bc";

/// A time as a recording stores it: rounded to milliseconds.
pub(super) fn stored(time: Duration) -> Duration {
    Duration::from_millis(line::stored(time))
}

impl Shown {
    /// From the start of a recording that is drawn on this.
    pub fn new(canvas: impl Into<Canvas>) -> Self {
        let canvas = canvas.into();
        let (cols, rows) = drawn_on(canvas.size);
        Self::over(Transcript::new(cols, rows), canvas, Duration::ZERO)
    }

    /// From a keyframe at `time`. `canvas` is that of [`Shown::new`], at the start of the recording. `None` when it is no
    /// keyframe.
    pub fn restored(canvas: impl Into<Canvas>, keyframe: &str, time: Duration) -> Option<Self> {
        let time = stored(time);
        Some(Self::over(Transcript::restored(keyframe, time)?, canvas.into(), time))
    }

    fn over(transcript: Transcript, canvas: Canvas, last: Duration) -> Self {
        let transcript = transcript.settling(Duration::from_millis(1));
        Self { reading: Reading::Lines(Box::new(transcript)), canvas, last }
    }

    /// Tells lines of a full-screen program whenever they go, and not once per visit: for whoever asks when something stood there. More
    /// lines, of the same texts.
    pub(crate) fn again(mut self) -> Self {
        if let Some(tape) = self.screen_mut().and_then(|screen| screen.tape.as_mut()) {
            tape.again = true;
        }
        self
    }

    /// Takes an event and tells the lines that went with it.
    pub fn event(&mut self, event: &Event, told: &mut impl FnMut(Line)) {
        self.last = self.last.max(stored(event.time));
        match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                self.output(&with_returns(bytes, self.canvas.is_bare(&event.payload)), told);
            }
            Payload::Resize { cols, rows } => match &mut self.reading {
                Reading::Lines(transcript) => transcript.resize(self.last, *cols, *rows, told),
                Reading::Screen(terminal, waiting) => {
                    terminal.skim(&std::mem::take(waiting));
                    terminal.resize(*cols, *rows);
                }
                Reading::Unknown(terminal, _) => terminal.resize(*cols, *rows),
            },
            _ => {}
        }
    }

    /// Whether output is drawn as it comes, and lines are told.
    pub(super) fn can_be_sieved(&self) -> bool {
        !self.canvas.is_output_bare() && !self.is_skimming()
    }

    /// [`Shown::event`] for output, without an event. Only where [`Shown::can_be_sieved`].
    pub(super) fn output_at(&mut self, time: Duration, bytes: &[u8], told: &mut impl FnMut(Line)) {
        self.reach(time);
        self.output(bytes, told);
    }

    /// It is at least so late.
    pub(crate) fn reach(&mut self, time: Duration) {
        self.last = self.last.max(stored(time));
    }

    /// The [number](Line::number) of a line in the first row of the main screen; of one that tells lines.
    pub(crate) fn first_number(&self) -> u64 {
        match &self.reading {
            Reading::Lines(transcript) => transcript.evicted(),
            Reading::Screen(..) | Reading::Unknown(..) => 0,
        }
    }

    /// Time of the last event, or what was [reached](Shown::reach).
    pub(crate) fn last(&self) -> Duration {
        self.last
    }

    /// The screen, where lines are told and no sequence is open.
    pub(super) fn screen(&self) -> Option<&Screen> {
        match &self.reading {
            Reading::Lines(transcript) => transcript.terminal().screen_at_rest(),
            Reading::Screen(..) | Reading::Unknown(..) => None,
        }
    }

    pub(super) fn screen_mut(&mut self) -> Option<&mut Screen> {
        match &mut self.reading {
            Reading::Lines(transcript) => Some(transcript.screen_mut()),
            Reading::Screen(..) | Reading::Unknown(..) => None,
        }
    }

    /// From now on, until it is taken back, what leaves the screen is not told.
    pub(super) fn mute(&mut self, muted: bool) {
        if let Some(tape) = self.screen_mut().and_then(|screen| screen.tape.as_mut()) {
            tape.muted = muted;
        }
    }

    fn output(&mut self, bytes: &[u8], told: &mut impl FnMut(Line)) {
        match &mut self.reading {
            Reading::Lines(transcript) => {
                transcript.feed(self.last, bytes, told);
                // Nobody asks for the terminal's events.
                transcript.take_events();
            }
            Reading::Screen(terminal, waiting) => {
                terminal.skim_on(waiting, bytes);
                terminal.take_events();
            }
            Reading::Unknown(terminal, escape) => {
                let after = match memchr::memmem::rfind(bytes, RESET) {
                    Some(at) => Some(at + RESET.len()),
                    None => (*escape && bytes.starts_with(b"c")).then_some(1),
                };
                *escape = bytes.last().map_or(*escape, |byte| *byte == RESET[0]);
                if let Some(after) = after {
                    let (cols, rows) = terminal.size();
                    self.reading = Reading::Screen(Box::new(Terminal::new(cols, rows)), Vec::new());
                    self.output(&bytes[after..], told);
                }
            }
        }
    }

    /// From here on tells nothing, follows the screen only, and passes over what scrolls through: a tenth of the work.
    pub fn skim(self) -> Self {
        let reading = match self.reading {
            Reading::Lines(transcript) => Reading::Screen(Box::new(transcript.into_terminal()), Vec::new()),
            other => other,
        };
        Self { reading, ..self }
    }

    /// Output is left out here. From here on tells nothing and does not know the screen, until a full reset makes it anew:
    /// then it skims.
    pub fn unknown(self) -> Self {
        let (cols, rows) = match &self.reading {
            Reading::Lines(transcript) => transcript.terminal().size(),
            Reading::Screen(terminal, _) | Reading::Unknown(terminal, _) => terminal.size(),
        };
        // What stood on the old screen is forgotten: it may be a long time until the next one.
        Self { reading: Reading::Unknown(Box::new(Terminal::new(cols, rows)), false), ..self }
    }

    /// Whether [`Shown::terminal`] is what a reader sees; see [`Shown::unknown`].
    pub fn is_known(&self) -> bool {
        !matches!(self.reading, Reading::Unknown(..))
    }

    /// Whether it tells nothing any more; see [`Shown::skim`].
    pub fn is_skimming(&self) -> bool {
        matches!(self.reading, Reading::Screen(..) | Reading::Unknown(..))
    }

    /// The terminal as it stands, where it is known.
    pub fn terminal(&mut self) -> &Terminal {
        match &mut self.reading {
            Reading::Lines(transcript) => transcript.terminal(),
            Reading::Screen(terminal, waiting) => {
                if !waiting.is_empty() {
                    terminal.skim(&std::mem::take(waiting));
                    terminal.take_events();
                }
                terminal
            }
            Reading::Unknown(terminal, _) => terminal,
        }
    }

    /// See [`Transcript::refused`]; of one that tells lines.
    pub fn refused(&self) -> Option<Duration> {
        match &self.reading {
            Reading::Lines(transcript) => transcript.refused(),
            Reading::Screen(..) | Reading::Unknown(..) => None,
        }
    }

    /// Tells what [`Shown::finish`] would tell now, and goes on.
    pub fn finishing(&self, told: &mut impl FnMut(Line)) {
        if let Reading::Lines(transcript) = &self.reading {
            transcript.finishing(told);
        }
    }

    /// Tells what still stands at the time of the last event: the end.
    pub fn finish(self, told: &mut impl FnMut(Line)) {
        if let Reading::Lines(transcript) = self.reading {
            transcript.finish(self.last, told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(canvas: impl Into<Canvas>, events: &[(u64, Payload)]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut told = |line: Line| lines.push(line.text);
        let mut shown = Shown::new(canvas);
        for (micros, payload) in events {
            shown.event(&Event::new(Duration::from_micros(*micros), payload.clone()), &mut told);
        }
        shown.finish(&mut told);
        lines
    }

    fn output(text: &str) -> Payload {
        Payload::Output(text.as_bytes().to_vec())
    }

    #[test]
    fn without_a_terminal_a_line_feed_begins_a_new_line_and_standard_error_is_shown_too() {
        let told =
            lines((0, 0), &[(0, output("one\ntwo\r\n")), (9, Payload::ErrorOutput(b"bad\n".to_vec()))]);
        assert_eq!(told, ["one", "two", "bad"]);
    }

    #[test]
    fn what_passed_beside_the_terminal_begins_new_lines_too() {
        let events = [(0, output("one\ntwo\r\n")), (9, Payload::ErrorOutput(b"bad\nworse\n".to_vec()))];
        assert_eq!(lines((80, 24), &events), ["one", "   two", "bad", "worse"]);
        let beside = Canvas { size: (80, 24), beside: true };
        assert_eq!(lines(beside, &events), ["one", "two", "bad", "worse"]);
    }

    #[test]
    fn what_stood_for_a_millisecond_is_told_and_how_an_event_was_cut_makes_no_difference() {
        assert_eq!(lines((20, 2), &[(0, output("10%")), (1000, output("\r20%"))]), ["10%", "20%"]);
        let whole = lines((20, 2), &[(0, output("10%\r20%"))]);
        assert_eq!(whole, ["20%"]);
        assert_eq!(lines((20, 2), &[(0, output("10%")), (400, output("\r20%"))]), whole);
    }

    #[test]
    fn after_a_gap_the_screen_is_known_again_from_a_full_reset_on() {
        let event = |text: &str| Event::new(Duration::ZERO, output(text));
        let mut drawn = Shown::new((80, 24));
        // In the middle of a title, on the alternate screen, with margins.
        drawn.event(&event("one\x1b[?1049h\x1b[3;9r\x1b]0;a tit"), &mut |_| ());
        let mut left = Shown::new((80, 24)).unknown();
        let after = [
            "le\x1b[4h\x1b(0qqq \x1b",
            "[c\x1b",
            "c\x1b[31mtwo\r\n",
            "three\x1b[",
            "2;5Hfour \x1bc\x1b",
            "c five",
        ];
        for (number, text) in after.into_iter().enumerate() {
            drawn.event(&event(text), &mut |_| ());
            left.event(&event(text), &mut |_| panic!("{text:?} is told"));
            assert_eq!((left.is_known(), left.is_skimming()), (number >= 2, true), "{text:?}");
            if left.is_known() {
                assert_eq!(left.terminal().snapshot(), drawn.terminal().snapshot(), "{text:?}");
                assert_eq!(left.terminal().text(), drawn.terminal().text(), "{text:?}");
            }
        }
        let mut left = left.unknown();
        assert!(!left.is_known());
        left.event(&Event::new(Duration::ZERO, Payload::Resize { cols: 30, rows: 7 }), &mut |_| ());
        left.event(&event("\x1bc"), &mut |_| ());
        assert_eq!((left.is_known(), left.terminal().size()), (true, (30, 7)));
    }

    #[test]
    fn skimming_follows_the_screen_and_tells_nothing() {
        let text: String = (0..9000).map(|n| format!("line {n}\r\n")).collect();
        let event = Event::new(Duration::ZERO, output(&text));
        let mut told = 0;
        let (mut drawn, mut skimmed) = (Shown::new((80, 24)), Shown::new((80, 24)).skim());
        for shown in [&mut drawn, &mut skimmed] {
            shown.event(&event, &mut |_| told += 1);
            shown.event(&Event::new(Duration::ZERO, output("$ ")), &mut |_| told += 1);
        }
        assert_eq!(told, 9000 - 23);
        assert!(skimmed.is_skimming() && !drawn.is_skimming());
        assert_eq!(skimmed.terminal().snapshot(), drawn.terminal().snapshot());
    }
}
