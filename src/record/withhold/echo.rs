//! Whether typed characters came back in the output.

use zeroize::Zeroizing;

/// Text of others that may stand between the echoes, for each typed character. A line editor that colours the word
/// being typed writes it again at every key; a status line adds a few digits.
const NOISE: usize = 8;
/// From this length on, one stretch of other text, however long, is passed over, and half as much of the rest: a program
/// that still draws its screen while its user types already.
const LONG: usize = 6;
/// How many typed characters that were not shown may be passed over at once: keys that are commands (`i` in vi).
const PASSED_OVER: usize = 3;

/// What a byte of output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Part of a control sequence.
    Nothing,
    /// Part of a character on the screen.
    Shown,
    /// The cursor goes to the next line.
    NextLine,
}

/// Tells apart text and control sequences in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Output {
    #[default]
    Ground,
    Escape,
    /// `ESC (` and the like: one byte more.
    One,
    Parameters,
    Text,
    TextEscape,
}

impl Output {
    /// What the next byte is.
    pub(super) fn next(&mut self, byte: u8) -> Piece {
        let (state, piece) = match (*self, byte) {
            (_, 0x18 | 0x1a) => (Self::Ground, Piece::Nothing),
            (Self::Text, 0x1b) => (Self::TextEscape, Piece::Nothing),
            (_, 0x1b) => (Self::Escape, Piece::Nothing),
            (Self::Text, 0x07) => (Self::Ground, Piece::Nothing),
            (Self::Text, _) => (Self::Text, Piece::Nothing),
            (Self::TextEscape | Self::Escape, b'\\') => (Self::Ground, Piece::Nothing),
            (Self::TextEscape | Self::Escape, b'[') => (Self::Parameters, Piece::Nothing),
            (Self::TextEscape | Self::Escape, b']' | b'P' | b'X' | b'^' | b'_') => {
                (Self::Text, Piece::Nothing)
            }
            (Self::TextEscape | Self::Escape, 0x20..=0x2f) => (Self::One, Piece::Nothing),
            (Self::TextEscape | Self::Escape, b'D' | b'E') => (Self::Ground, Piece::NextLine),
            (Self::TextEscape | Self::Escape | Self::One, _) => (Self::Ground, Piece::Nothing),
            (state, b'\n') => (state, Piece::NextLine),
            (Self::Parameters, 0x40..=0x7e) => (Self::Ground, Piece::Nothing),
            (Self::Parameters, _) => (Self::Parameters, Piece::Nothing),
            (Self::Ground, 0x00..=0x1f | 0x7f) => (Self::Ground, Piece::Nothing),
            (Self::Ground, _) => (Self::Ground, Piece::Shown),
        };
        *self = state;
        piece
    }
}

/// Typed characters, and how far the output has shown them.
#[derive(Default)]
pub(super) struct Match {
    typed: Zeroizing<Vec<u8>>,
    /// The next character to be seen.
    next: usize,
    /// How many were seen.
    seen: usize,
    /// Bytes shown since the last one that was seen, and before: up to it.
    since: usize,
    noise: usize,
    /// The longest stretch of `noise`.
    longest: usize,
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Its echo is being looked for.
    #[default]
    Open,
    /// Its line was left after it was shown.
    Shown,
    /// Its line was left and it was not shown: only all of it as the end of another line counts from now on.
    Left,
}

/// The shortest text that counts when it is shown after its line was left.
const PIECE: usize = 3;

impl Match {
    /// A byte was typed that an echo would show.
    pub(super) fn expect(&mut self, byte: u8) {
        // What was shown before this key is no echo of it.
        if self.next == self.typed.len() {
            self.since = 0;
        }
        self.typed.push(byte);
    }

    /// A byte was shown. True when it is one that was typed.
    pub(super) fn see(&mut self, byte: u8) -> bool {
        if self.state == State::Left {
            return self.see_in_one_piece(byte);
        }
        let rest = self.typed.get(self.next..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        let ahead = rest.len().min(PASSED_OVER.saturating_add(1));
        match rest.iter().take(ahead).position(|typed| *typed == byte) {
            Some(passed_over) => {
                self.next = self.next.saturating_add(passed_over).saturating_add(1);
                self.seen = self.seen.saturating_add(1);
                let since = std::mem::take(&mut self.since);
                self.noise = self.noise.saturating_add(since);
                self.longest = self.longest.max(since);
                true
            }
            None => {
                self.since = self.since.saturating_add(1);
                false
            }
        }
    }

    /// Looks for the whole text, without anything in between or behind.
    fn see_in_one_piece(&mut self, byte: u8) -> bool {
        loop {
            if self.typed.get(self.next) == Some(&byte) {
                self.next = self.next.saturating_add(1);
                return true;
            }
            if self.next == 0 {
                return false;
            }
            // The longest beginning that the text so far also ends with (texts are short and this is rare).
            let so_far = self.typed.get(..self.next).unwrap_or_default();
            let shorter =
                (1..so_far.len()).rev().find(|n| so_far.ends_with(so_far.get(..*n).unwrap_or_default()));
            self.next = shorter.unwrap_or(0);
        }
    }

    /// The line was left. What was seen of it so far counts only if it is enough. Afterwards it counts only if it
    /// stands at the end of a line, as a shell shows it: the word `root` in `root@host` is no echo of a password.
    pub(super) fn leave(&mut self) {
        let whole = self.typed.len() >= PIECE && self.next == self.typed.len();
        self.state = match self.state {
            State::Open if !self.was_shown() => State::Left,
            State::Left if !whole => State::Left,
            State::Open | State::Left | State::Shown => State::Shown,
        };
        self.next = 0;
    }

    /// Whether the line was left before it was shown.
    pub(super) fn was_left(&self) -> bool {
        self.state == State::Left
    }

    /// Whether no echo is to be expected at all.
    pub(super) fn expects_nothing(&self) -> bool {
        self.typed.is_empty()
    }

    /// Whether it is known already that it counts as shown.
    pub(super) fn is_settled(&self) -> bool {
        self.was_shown() && (self.state != State::Open || self.next >= self.typed.len())
    }

    /// Whether it counts as shown: at least four fifths of it were seen, without much other text in between.
    pub(super) fn was_shown(&self) -> bool {
        let length = self.typed.len();
        match self.state {
            State::Open => {
                let enough = self.seen.saturating_mul(5) >= length.saturating_mul(4);
                let much = NOISE.saturating_mul(length.saturating_add(1));
                let but_one = self.noise.saturating_sub(self.longest);
                enough && (self.noise <= much || length >= LONG && but_one <= much / 2)
            }
            State::Shown => true,
            State::Left => false,
        }
    }
}
