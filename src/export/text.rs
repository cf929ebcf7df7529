//! The text of a session as a person would have read it, by the emulator's own account: the same text that search finds,
//! but for what stood too shortly to be read.
//!
//! Wrapped rows are one line. What was overwritten or cleared after it could be read is there, in the order in which it
//! went; the pages of a full-screen program are set off with `| `, behind what stood when it took the screen. What is said here
//! begins with a sign that no line of a session has.

use super::UNDRAWN;
use super::plain::OURS;
use crate::cast::{Event, Payload};
use crate::terminal::{Canvas, Kind, Line, Transcript, drawn_on, with_returns};
use crate::text::{Escaped, incomplete_tail};
use std::io::{self, Write};
use std::time::Duration;

/// Cells of screens that are looked at, and bytes that are written, to have what stands before something that is told behind it: what
/// may be told ten thousand times (the hits of a search) is, on a screen of 80 by 24 or of 200 by 60, but not on one of a million
/// cells. What is told then is told before what stands, and says so. As many for the programs that took the whole screen: a session
/// that takes it a hundred thousand times loses the place of those, and not that of its gaps.
const LOOKED_AT: usize = 1 << 28;

/// Writes lines as they go.
pub(super) struct Text {
    transcript: Transcript,
    canvas: Canvas,
    last: Duration,
    /// The visit to the alternate screen that was told last.
    visit: u32,
    /// What was cut off the last output, to count what is no UTF-8.
    tail: Vec<u8>,
    replaced: u64,
    /// It was written that not all is drawn.
    undrawn: bool,
    /// It is to be, once what stood before is written.
    begins_undrawn: bool,
    /// The cells of the screen, and what may still be looked at for what is told, and for visits. See [`LOOKED_AT`].
    cells: usize,
    left: usize,
    left_for_visits: usize,
    /// Up to when what stood is written.
    written: Option<Duration>,
    /// The line that went last was of that.
    passed: bool,
    /// A piece of a very long line was written last, and no line feed: the rest may follow.
    open: bool,
}

impl Text {
    pub(super) fn begin(canvas: Canvas) -> Self {
        let (cols, rows) = drawn_on(canvas.size);
        Self {
            transcript: Transcript::new(cols, rows),
            canvas,
            last: Duration::ZERO,
            visit: 0,
            tail: Vec::new(),
            replaced: 0,
            undrawn: false,
            begins_undrawn: false,
            cells: usize::from(cols).saturating_mul(rows.into()),
            left: LOOKED_AT,
            left_for_visits: LOOKED_AT,
            written: None,
            passed: false,
            open: false,
        }
    }

    /// Takes an event that is output: these bytes.
    pub(super) fn output(&mut self, event: &Event, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        self.last = self.last.max(event.time);
        let bare = self.canvas.is_bare(&event.payload);
        self.count(bytes);
        // Every sequence that shows the alternate screen ends with this letter: what stands then has not been changed by what follows.
        for piece in bytes.split_inclusive(|byte| *byte == b'h') {
            let mut told = Vec::new();
            self.transcript.feed(self.last, &with_returns(piece, bare), &mut |line| told.push(line));
            // Titles, queries and the clipboard are no text.
            self.transcript.take_events();
            self.write(told, out)?;
            if self.transcript.visits() > self.visit {
                self.visit = self.transcript.visits();
                self.tell("full-screen program", true, out)?;
            }
        }
        Ok(())
    }

    /// What comes next begins with this screen, a keyframe, of which nothing comes at this time: it stood there before. What went
    /// of that, and programs that had it and have ended, are no part of it.
    pub(super) fn screen(&mut self, event: &Event, keyframe: &[u8], out: &mut impl Write) -> io::Result<()> {
        let at = self.last.max(event.time);
        let restored = std::str::from_utf8(keyframe).ok().and_then(|text| Transcript::restored(text, at));
        let Some(transcript) = restored else { return self.output(event, keyframe, out) };
        self.count(keyframe);
        self.begin_with(at, transcript, out)
    }

    /// What comes next begins on an empty screen of the same size.
    pub(super) fn blank(&mut self, out: &mut impl Write) -> io::Result<()> {
        let (cols, rows) = self.transcript.terminal().size();
        self.begin_with(self.last, Transcript::new(cols, rows), out)
    }

    fn begin_with(&mut self, at: Duration, transcript: Transcript, out: &mut impl Write) -> io::Result<()> {
        self.last = at;
        let mut told = Vec::new();
        let before = std::mem::replace(&mut self.transcript, transcript);
        before.finish(at, &mut |line| told.push(line));
        self.write(told, out)?;
        let (cols, rows) = self.transcript.terminal().size();
        self.cells = usize::from(cols).saturating_mul(rows.into());
        self.visit = self.transcript.visits();
        if self.transcript.terminal().is_alternate() {
            self.tell("full-screen program", true, out)?;
        }
        Ok(())
    }

    pub(super) fn event(&mut self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        self.last = self.last.max(event.time);
        let what = match &event.payload {
            Payload::Resize { cols, rows } => return self.resize(*cols, *rows, out),
            Payload::Gap(gap) => format!("gap: {gap}"),
            Payload::Marker(label) => format!("mark: {label}"),
            Payload::Exit(status) => format!("exit status {status}"),
            _ => return Ok(()),
        };
        self.tell(&what, false, out)
    }

    /// Something is missing here, as `what` says: a character that was cut there goes no further.
    pub(super) fn hole(&mut self, what: &str, out: &mut impl Write) -> io::Result<()> {
        self.replaced += std::mem::take(&mut self.tail).len() as u64;
        self.tell(what, false, out)
    }

    fn resize(&mut self, cols: u16, rows: u16, out: &mut impl Write) -> io::Result<()> {
        if cols == 0 || rows == 0 {
            // A terminal that does not know its size; no screen is that small.
            return Ok(());
        }
        let mut told = Vec::new();
        self.transcript.resize(self.last, cols, rows, &mut |line| told.push(line));
        self.cells = usize::from(cols).saturating_mul(rows.into());
        self.write(told, out)
    }

    /// A line of our own, behind all that stands; a line that goes on behind it is written again, whole. `enters`: one of a visit
    /// that begins, before what stands on the screen that it shows.
    fn tell(&mut self, what: &str, enters: bool, out: &mut impl Write) -> io::Result<()> {
        let what = safe(what);
        let left = if enters { &mut self.left_for_visits } else { &mut self.left };
        let Some(rest) = left.checked_sub(self.cells) else {
            return self.say(&format!("{what}; what stood on the screen then follows"), out);
        };
        let mut told = Vec::new();
        self.transcript.finishing(&mut |line| told.push(line));
        *left = rest.saturating_sub(told.iter().map(|line| line.text.len()).sum());
        let (behind, before) =
            told.into_iter().partition(|line| enters && matches!(line.kind, Kind::Page(_)));
        self.write(before, out)?;
        self.say(&what, out)?;
        self.write(behind, out)?;
        (self.written, self.passed) = (Some(self.last), true);
        // What comes at the same time did not stand.
        self.last = self.last.saturating_add(Duration::from_nanos(1));
        Ok(())
    }

    fn say(&mut self, what: &str, out: &mut impl Write) -> io::Result<()> {
        self.end_line(out)?;
        writeln!(out, "{OURS} [{what}]")
    }

    fn end_line(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.open) { writeln!(out) } else { Ok(()) }
    }

    /// Whether something was not drawn, and so not written, for what it would have cost.
    pub(super) fn is_undrawn(&self) -> bool {
        self.undrawn
    }

    /// What comes next begins with a screen of which not all is drawn.
    pub(super) fn begins_undrawn(&mut self) {
        self.begins_undrawn = true;
    }

    /// Writes what still stands; gives how many bytes were no UTF-8.
    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<u64> {
        let replaced = self.replaced + self.tail.len() as u64;
        let mut told = Vec::new();
        let (transcript, last) = (self.transcript, self.last);
        transcript.finish(last, &mut |line| told.push(line));
        self.transcript = Transcript::new(2, 1);
        self.write(told, out)?;
        self.end_line(out)?;
        Ok(replaced)
    }

    fn write(&mut self, lines: Vec<Line>, out: &mut impl Write) -> io::Result<()> {
        for line in lines {
            // No time is known of a blank row: it goes with the line before.
            if !line.text.is_empty() {
                self.passed = self.written.is_some_and(|until| line.complete <= until);
            }
            if self.passed {
                continue;
            }
            let rest = line.text.get(line.overlap..).filter(|_| self.open && line.overlap > 0);
            if rest.is_none() {
                self.end_line(out)?;
            }
            let text = safe(rest.unwrap_or(&line.text));
            let sign = if matches!(line.kind, Kind::Page(_)) { "| " } else { "" };
            write!(out, "{sign}{text}")?;
            self.open = true;
            if !line.goes_on {
                self.end_line(out)?;
            }
        }
        let undrawn = self.begins_undrawn || self.transcript.refused().is_some();
        if undrawn && !std::mem::replace(&mut self.undrawn, true) {
            self.say(UNDRAWN, out)?;
        }
        Ok(())
    }

    fn count(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.tail);
        all.extend_from_slice(bytes);
        let whole = all.len() - incomplete_tail(&all);
        self.tail = all.split_off(whole);
        self.replaced += all.utf8_chunks().map(|piece| piece.invalid().len() as u64).sum::<u64>();
    }
}

/// What no line of our own can be taken for.
fn safe(text: &str) -> String {
    Escaped(text.as_bytes()).to_string().replace(OURS, &OURS.escape_unicode().to_string())
}
