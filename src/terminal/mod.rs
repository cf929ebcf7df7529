//! The terminal emulator: what a terminal would have shown, given these bytes.
//!
//! A [`Terminal`] eats bytes and has a screen. It answers nothing (a query in a recording was a question to somebody
//! else's terminal; it is told as an [`Event`]), knows no clock, and keeps to bounds whatever it is fed: sizes, payloads,
//! marks per cell, repeat counts and the cost of a byte are all limited. [`Terminal::snapshot`] writes a keyframe; giving
//! its text to [`Terminal::restored`] recreates everything. A [`Transcript`] reads along and tells the text as a person
//! would have read it.
//!
//! Behind it: the grid of `alacritty_terminal` and the parser `vte`, neither of which is visible from outside.

mod cell;
mod charset;
#[cfg(test)]
pub(crate) mod corpus;
mod csi;
mod drawing;
mod edit;
mod intake;
mod modes;
mod pass;
mod perform;
mod resize;
#[cfg(test)]
mod resize_tests;
mod screen;
mod sgr;
mod shown;
mod sieve;
mod skim;
mod snapshot;
mod tape;
#[cfg(test)]
mod tests;
mod transcript;
mod typed;
mod work;

pub use cell::{Cell, Color, Style, Underline};
pub use drawing::{DRAWING, draws_alike};
pub use shown::{Canvas, NO_TERMINAL, Shown, drawn_on, is_bare, with_returns};
pub use sieve::{NO_NUMBER, Sieve, Wanted};
pub use transcript::{Kind, Line, Transcript};
pub use typed::{Typed, TypedLine};

use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::Flags;
use intake::Intake;
use modes::Mode;
use screen::Screen;
use std::panic::{AssertUnwindSafe, catch_unwind};
use work::Work;

/// Smallest and largest number of columns; others are clamped.
pub const COLUMNS: std::ops::RangeInclusive<u16> = 2..=1000;
/// Smallest and largest number of rows; others are clamped.
pub const ROWS: std::ops::RangeInclusive<u16> = 1..=1000;

/// Longest keyframe that is read, in bytes: some thirty times the largest that a recorder keeps.
pub const MAX_KEYFRAME: usize = 4 << 20;
/// Work that recreating the largest screen takes, with something to spare (see [`Terminal::spent`]).
const RECREATION: u64 = 32 << 20;
/// Bytes of a keyframe between two looks at what it has cost.
const RECREATED_AT_ONCE: usize = 16 << 10;

/// A size within the bounds.
pub(crate) fn clamp_size(cols: u16, rows: u16) -> (u16, u16) {
    (cols.clamp(*COLUMNS.start(), *COLUMNS.end()), rows.clamp(*ROWS.start(), *ROWS.end()))
}

/// Something the program said to the terminal besides text. Nothing is done about any of it. Texts come from the
/// recording: they are at most 4 KiB long and must be escaped before they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// BEL.
    Bell,
    /// A new window title (OSC 0 and 2).
    Title(String),
    /// Text for the clipboard (OSC 52), in base64 as it came.
    Clipboard {
        /// Which clipboard: `c`, `p`, …
        selection: String,
        /// The text, in base64.
        data: String,
    },
    /// A question to the terminal, named after its sequence.
    Query(String),
    /// A hyperlink begins (OSC 8).
    Link(String),
    /// A notification (OSC 9, 99, 777).
    Notification(String),
    /// The working directory, as an address (OSC 7).
    Directory(String),
    /// A mark of a prompt (OSC 133).
    Prompt(String),
    /// A device control string, such as a picture; only its beginning.
    Device(String),
}

/// The form of the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A full cell.
    #[default]
    Block,
    /// A line below.
    Underline,
    /// A line before.
    Bar,
}

/// Where the cursor is, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Column, counted from 0.
    pub col: u16,
    /// Row, counted from 0.
    pub row: u16,
    /// Form.
    pub shape: Shape,
    /// Whether it is shown.
    pub visible: bool,
    /// Whether the next character goes to the next line.
    pub pending_wrap: bool,
}

/// A terminal.
pub struct Terminal {
    intake: Intake,
    screen: Screen,
    fault: Option<String>,
}

impl Terminal {
    /// A reset terminal of this size, in cells, clamped to [`COLUMNS`] and [`ROWS`].
    pub fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = clamp_size(cols, rows);
        Self { intake: Intake::new(), screen: Screen::new(cols.into(), rows.into()), fault: None }
    }

    /// The terminal that a keyframe recreates, size included; `None` when the text is not a keyframe of ours: it is longer
    /// than [`MAX_KEYFRAME`], or costs more than recreating a screen does. Events that this raises are dropped.
    pub fn restored(keyframe: &str) -> Option<Self> {
        let (cols, rows) = snapshot::size(keyframe)?;
        let mut terminal = Self::new(cols, rows);
        terminal.screen.work = Work::with_credit(RECREATION);
        terminal.screen.recreating = true;
        for piece in keyframe.as_bytes().chunks(RECREATED_AT_ONCE) {
            terminal.feed_guarded(piece);
            if terminal.overrun() || terminal.spent() > RECREATION {
                return None;
            }
        }
        terminal.screen.work = Work::default();
        terminal.screen.recreating = false;
        terminal.take_events();
        Some(terminal)
    }

    /// Whether the text is a keyframe of ours, without reading all of it.
    pub fn is_keyframe(text: &str) -> bool {
        snapshot::size(text).is_some()
    }

    /// The size of the terminal that a keyframe recreates: columns and rows. `None` when it is no keyframe of ours.
    pub fn size_of(keyframe: &str) -> Option<(u16, u16)> {
        snapshot::size(keyframe)
    }

    /// Takes what the program wrote. Where it is cut into pieces makes no difference.
    ///
    /// May panic if the grid behind it has a fault; [`Terminal::feed_guarded`] does not.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.intake.feed(&mut self.screen, bytes);
    }

    /// [`Terminal::feed`], but a panic makes this a terminal of the same size that says so ([`Terminal::fault`]) and takes
    /// nothing any more.
    pub fn feed_guarded(&mut self, bytes: &[u8]) {
        self.guarded(|terminal| terminal.feed(bytes));
    }

    /// A new size, in cells, clamped as in [`Terminal::new`]. The main screen is wrapped anew, the alternate one is cut; so is
    /// a large main one that becomes very narrow at once. No columns or no rows mean that the size was not known: what stands
    /// there stays as it is. A panic is treated as in [`Terminal::feed_guarded`].
    pub fn resize(&mut self, cols: u16, rows: u16) {
        if cols == 0 || rows == 0 {
            return;
        }
        let (cols, rows) = clamp_size(cols, rows);
        self.guarded(|terminal| terminal.screen.resize(cols.into(), rows.into()));
    }

    /// The screen, when no sequence and no character is open and nothing is broken.
    fn screen_at_rest(&self) -> Option<&Screen> {
        (self.fault.is_none() && self.intake.at_rest(&self.screen)).then_some(&self.screen)
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if self.fault.is_some() {
            return;
        }
        // Nothing of the broken state is looked at again: it is replaced.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown fault");
            let (cols, rows) = self.size();
            *self = Self::new(cols, rows);
            self.fault = Some(what.to_string());
        }
    }

    /// Why this terminal shows nothing any more, if it does not: a fault in the emulator. The recording is not concerned.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether something was not drawn because it would have cost too much: the screen may differ from the operator's.
    pub fn overrun(&self) -> bool {
        self.screen.work.overrun()
    }

    /// All work so far, counted in cells that could have been erased meanwhile: the same on every machine. For those who
    /// work in slices. A piece of 16 KiB may cost some 35 million, a tenth of a second or two.
    pub fn spent(&self) -> u64 {
        self.screen.work.spent()
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        (self.screen.cols as u16, self.screen.rows as u16)
    }

    /// The cell at a row and a column, both counted from 0; `None` outside the screen.
    #[cfg(test)]
    pub(crate) fn cell(&self, row: u16, col: u16) -> Option<Cell<'_>> {
        self.cells(row).nth(col.into())
    }

    /// The cells of a row from left to right; none outside the screen.
    pub fn cells(&self, row: u16) -> impl Iterator<Item = Cell<'_>> {
        self.inner(row).iter().map(Cell::of)
    }

    fn inner(&self, row: u16) -> &[alacritty_terminal::term::cell::Cell] {
        if usize::from(row) < self.screen.rows { &self.screen.grid[Row(row.into())][..] } else { &[] }
    }

    /// Where the hyperlink of a cell leads, if it has one. Text from the recording.
    #[cfg(test)]
    pub(crate) fn link(&self, row: u16, col: u16) -> Option<String> {
        self.inner(row).get(usize::from(col))?.hyperlink().map(|link| link.uri().to_string())
    }

    /// The text of a row, without blanks at its end (unless [`Terminal::row_wraps`]); empty outside the screen.
    pub fn row_text(&self, row: u16) -> String {
        let mut out = String::new();
        self.row_text_to(row, &mut out);
        out
    }

    /// Appends [`Terminal::row_text`].
    pub fn row_text_to(&self, row: u16, out: &mut String) {
        cell::text(self.inner(row), out);
    }

    /// Whether a row goes on in the next one: one long line, wrapped at the margin.
    pub fn row_wraps(&self, row: u16) -> bool {
        self.inner(row).last().is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE))
    }

    /// The text of the whole screen, a line for each row, blanks at the ends left out.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for row in 0..self.size().1 {
            cell::text(self.inner(row), &mut out);
            out.push('\n');
        }
        out
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            col: self.screen.x() as u16,
            row: self.screen.y() as u16,
            shape: match self.screen.shape {
                3 | 4 => Shape::Underline,
                5 | 6 => Shape::Bar,
                _ => Shape::Block,
            },
            visible: self.screen.modes.has(Mode::CursorVisible),
            pending_wrap: self.screen.pending(),
        }
    }

    /// The window title. Text from the recording.
    #[cfg(test)]
    pub(crate) fn title(&self) -> &str {
        &self.screen.title
    }

    /// Whether the alternate screen is shown, as by full-screen programs.
    pub fn is_alternate(&self) -> bool {
        self.screen.on_alt
    }

    /// Whether the whole screen is shown in reverse (DECSCNM).
    pub fn is_reversed(&self) -> bool {
        self.screen.modes.has(Mode::ReverseScreen)
    }

    /// Events since the last call, oldest first, at most 1024; and how many more there were.
    pub fn take_events(&mut self) -> (Vec<Event>, u64) {
        (std::mem::take(&mut self.screen.events), std::mem::take(&mut self.screen.missed))
    }

    /// A keyframe: escape sequences that make a new terminal of this size into this one. `None` while a sequence or a
    /// character is unfinished (a few bytes later it is not) and after a fault.
    pub fn snapshot(&self) -> Option<String> {
        (self.fault.is_none() && self.intake.at_rest(&self.screen)).then(|| snapshot::write(&self.screen))
    }
}
