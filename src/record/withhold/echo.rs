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

/// Up to this length what was typed is the first or the last of what was shown for it: in the text of a prompt that is written
/// again at every key (`Password: **`) any one letter is found somewhere.
const FEW: usize = 2;

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
pub(super) struct Output {
    state: Sequence,
    /// Letters are drawn as lines and corners: the `q` of a box is no echo of a `q`.
    drawing: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sequence {
    #[default]
    Ground,
    Escape,
    /// `ESC #` and the like: one byte more.
    One,
    /// `ESC (`: the next byte names a set of characters.
    Charset,
    Parameters,
    Text,
    TextEscape,
}

impl Output {
    /// What the next byte is.
    pub(super) fn next(&mut self, byte: u8) -> Piece {
        use Sequence::{Charset, Escape, Ground, One, Parameters, Text, TextEscape};
        let (state, piece) = match (self.state, byte) {
            (_, 0x18 | 0x1a) => (Ground, Piece::Nothing),
            (Text, 0x1b) => (TextEscape, Piece::Nothing),
            (_, 0x1b) => (Escape, Piece::Nothing),
            (Text, 0x07) => (Ground, Piece::Nothing),
            (Text, _) => (Text, Piece::Nothing),
            (TextEscape | Escape, b'\\') => (Ground, Piece::Nothing),
            (TextEscape | Escape, b'[') => (Parameters, Piece::Nothing),
            (TextEscape | Escape, b']' | b'P' | b'X' | b'^' | b'_') => (Text, Piece::Nothing),
            (TextEscape | Escape, b'(') => (Charset, Piece::Nothing),
            (TextEscape | Escape, 0x20..=0x2f) => (One, Piece::Nothing),
            (TextEscape | Escape, b'D' | b'E') => (Ground, Piece::NextLine),
            (Charset, set) => {
                self.drawing = set == b'0';
                (Ground, Piece::Nothing)
            }
            (TextEscape | Escape | One, _) => (Ground, Piece::Nothing),
            (state, b'\n') => (state, Piece::NextLine),
            (Parameters, 0x40..=0x7e) => (Ground, Piece::Nothing),
            (Parameters, _) => (Parameters, Piece::Nothing),
            (Ground, 0x0e | 0x0f) => {
                self.drawing = byte == 0x0e;
                (Ground, Piece::Nothing)
            }
            (Ground, 0x00..=0x1f | 0x7f) => (Ground, Piece::Nothing),
            (Ground, _) if self.drawing => (Ground, Piece::Nothing),
            (Ground, _) => (Ground, Piece::Shown),
        };
        self.state = state;
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
    /// A line editor is drawing again what it has shown: the next character of that, and how many it has drawn.
    again: usize,
    drawn: usize,
    /// Bytes shown since the last one that was seen, and before: up to it.
    since: usize,
    noise: usize,
    /// The longest stretch of `noise`, and the first: before anything was seen.
    longest: usize,
    lead: usize,
    /// Bytes shown behind the last one, once everything was seen.
    behind: usize,
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
            (self.since, self.drawn) = (0, 0);
        }
        self.behind = 0;
        self.typed.push(byte);
    }

    /// A byte was shown. True when it is one that was typed.
    pub(super) fn see(&mut self, byte: u8) -> bool {
        if self.state == State::Left {
            return self.see_in_one_piece(byte);
        }
        let rest = self.typed.get(self.next..).unwrap_or_default();
        if rest.is_empty() {
            self.behind = self.behind.saturating_add(1);
            return false;
        }
        if rest.first() == Some(&byte) {
            self.hit(0);
            return true;
        }
        let ahead = rest.len().min(PASSED_OVER.saturating_add(1));
        let passed_over = rest.iter().take(ahead).position(|typed| *typed == byte);
        if self.draws_again(byte) {
            return false;
        }
        match passed_over {
            Some(passed_over) => self.hit(passed_over),
            None => self.since = self.since.saturating_add(1),
        }
        passed_over.is_some()
    }

    /// A typed character was seen, `passed_over` of them were not.
    fn hit(&mut self, passed_over: usize) {
        self.next = self.next.saturating_add(passed_over).saturating_add(1);
        self.seen = self.seen.saturating_add(1);
        let since = std::mem::take(&mut self.since).saturating_add(std::mem::take(&mut self.drawn));
        if self.seen == 1 {
            self.lead = since;
        }
        self.noise = self.noise.saturating_add(since);
        self.longest = self.longest.max(since);
    }

    /// Whether a byte belongs to what was seen already, drawn again from its beginning: no text of others. (Its first
    /// keys may have been commands.) What does not come back whole was text of others after all.
    fn draws_again(&mut self, byte: u8) -> bool {
        let seen = self.typed.get(..self.next).unwrap_or_default();
        if self.drawn == 0 || seen.get(self.again) != Some(&byte) {
            self.since = self.since.saturating_add(std::mem::take(&mut self.drawn));
            let begin = seen.iter().take(PASSED_OVER.saturating_add(1)).position(|typed| *typed == byte);
            let Some(begin) = begin else { return false };
            self.again = begin;
        }
        self.again = self.again.saturating_add(1);
        self.drawn = if self.again == self.next { 0 } else { self.drawn.saturating_add(1) };
        true
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

    /// Whether there is little or nothing that an echo would show.
    pub(super) fn is_short(&self) -> bool {
        self.typed.len() <= FEW
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
                let apart = length > 0 && length <= FEW && self.lead > 0 && self.behind > 0;
                enough && !apart && (self.noise <= much || length >= LONG && but_one <= much / 2)
            }
            State::Shown => true,
            State::Left => false,
        }
    }
}
