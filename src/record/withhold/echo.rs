//! Whether typed characters came back in the output, where an echo would be drawn.
//!
//! A typed character counts as seen when it is drawn after its key was pressed, in one of seven places:
//!
//! 1. Where the cursor stood when the key was pressed, or right behind the typed character that was seen last: so does every
//!    terminal, line editor and editor (`l` and then `s` behind a prompt).
//! 2. At the beginning of a row, if the character is the first and only thing that was drawn for the key, and the cursor is
//!    left behind it: `/` and `:` of a pager or an editor.
//! 3. In any row in which typed characters come one by one, as they are typed ([`Loose`]): on a slow line to an editor, `G`
//!    and `A` have not moved the cursor yet when the word behind them is typed.
//! 4. Behind the sign of a prompt, if the whole of a line that was ended is drawn there, in order and with nothing between:
//!    a shell shows so what was typed before it was ready (`ls`, typed while `sleep` ran).
//! 5. Below the line before, if the whole of the next line of a paste is drawn there, and nothing behind it ([`Below`]).
//! 6. In one of the next cells, if it is drawn there first, the cell where the cursor stood keeps what it has, and the cursor is left
//!    behind that: a line editor puts a letter beside the same letter (an `m` into `comand`), where nothing changes but what follows.
//! 7. In the row of a line of which all but the last character was seen, if the whole of the line is drawn there again: fish
//!    indents the word `end` anew at the `d` with which it ends a block.
//!
//! The search in a history (`^R`) has a place of its own, of readline behind a backquote, of zsh below the line, and the cursor in the
//! line that was found.
//!
//! Where other text was drawn behind a typed character, that counts only if the cursor is left right behind the character
//! once nothing more is drawn. Text that is drawn over its place in passing was not typed. Text that is drawn behind the
//! cursor is a suggestion (to `ls`, fish offers the ` -la` of last time), also where the suggestion is what is typed next.
//! (A sign that comes to that place by itself, and is the one that was typed, counts: a spinner, and the key `-`.) Where
//! nothing but typed characters stands between where the cursor was at the first key and where it is, all of those were
//! seen, however often they were drawn.
//!
//! That a letter is *somewhere* in the output means nothing: prompts that are written again at every key, clocks, logs and
//! progress bars have every letter and digit there is.

mod judged;

use super::LARGEST;
use super::below::{Below, Found};
use super::cursor::BLANKS;
use super::drawn::{Cell, Drawn};
use zeroize::Zeroizing;

/// How many typed bytes that were not shown may be passed over at once: keys that are commands (`i` in vi).
const PASSED_OVER: usize = 3;
/// Up to this length it is hidden with what was hidden before it in the same line.
const FEW: usize = 2;
/// So many typed bytes are never drawn one behind the other but as an echo.
const LONG: usize = LARGEST / 2;
/// The shortest text that counts when it is not drawn at the cursor: behind a prompt, later, or below another line.
const PIECE: usize = 2;
/// So many in a row are no accident, where they are not drawn at the cursor…
const ROW: usize = 4;
/// …when keys were pressed so many times meanwhile, and what was not typed yet was not drawn.
const TURNS: usize = 3;

/// So many of the same letter may stand where one is put beside them.
const SAME: usize = 3;

/// A row is kept up to this length, in cells.
const MOST_CELLS: usize = 1000;
/// Cells in which nothing was drawn, and the second one of a wide character.
const NOTHING: char = '\0';
const WIDE: char = '\u{ffff}';

/// Typed characters, and how far the output has shown them.
#[derive(Default)]
pub(super) struct Match {
    typed: Zeroizing<Vec<u8>>,
    /// Where the cursor stood when they were typed: from which of them on, and the place.
    stood: Vec<(usize, Stood)>,
    /// Where it is to begin, when it was typed before that was known: behind what was typed before it.
    begins: Option<Cell>,
    /// So many Tabs were typed right before it, and for so many of them the cursor went on from there to the next tab stop.
    tabs: (usize, usize),
    /// Where the rest of them begin.
    tabs_at: Option<Cell>,
    /// Blanks from one cell up to another, which may be shown for such a Tab.
    blank: Option<(Cell, Cell)>,
    /// It is what a history is searched for: drawn in a place of its own, with the match behind it, in which the cursor stands.
    search: bool,
    /// How far it was seen, and whether any of it ever was.
    seen: Seen,
    touched: bool,
    /// The same when the cursor was last known to rest, and after each character since; whether something else was drawn
    /// behind the last one.
    rested: Seen,
    fresh: Vec<Seen>,
    more: bool,
    /// Something was drawn since the last key.
    drawn: bool,
    /// Which one was drawn alone, and where the cursor stood behind it.
    alone: Option<(usize, Cell)>,
    /// Which one was drawn first behind where the cursor stood, in a cell that is not that, of how many bytes and cells, and where it
    /// stood.
    beside: Option<(usize, usize, usize, Cell)>,
    loose: Option<Loose>,
    /// What was drawn since, in the row where it begins and from there on: a character for each cell.
    row: Zeroizing<Vec<char>>,
    /// How many bytes of it stand behind the sign of a prompt, where the cursor stood behind them, and how many blanks stand there
    /// that were not typed.
    piece: usize,
    behind: Option<Cell>,
    blanks: usize,
    /// The first cell of a row to which they went on, and how many bytes of it stood there before that.
    edge: Option<(Cell, usize)>,
    below: Option<Below>,
    /// It was found there.
    is_below: bool,
    /// How many bytes of it were drawn one behind the other in its row, and where the cursor stood behind them.
    again: Option<(usize, Cell)>,
    state: State,
}

/// Where the cursor stood when a key was pressed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stood {
    /// The cell, where it was seen.
    cell: Option<Cell>,
    /// Keys that were pressed before were not drawn yet.
    ahead: bool,
}

/// How far typed characters were seen.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The next byte to be seen.
    next: usize,
    /// How many were.
    count: usize,
    /// Where the cursor stood behind the last one.
    after: Option<Cell>,
}

/// Some of the characters in a row, where the cursor did not stand.
#[derive(Clone, Copy)]
struct Loose {
    first: usize,
    next: usize,
    seen: usize,
    after: Cell,
    /// How many had been typed when the last one was drawn, and how often that had changed.
    typed: usize,
    turns: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Its echo is being looked for.
    #[default]
    Open,
    /// Its line was left after it was shown.
    Shown,
    /// Its line was left and it was not shown: only all of it behind a prompt counts from now on.
    Left,
}

impl Match {
    /// Nothing typed yet, behind so many Tabs.
    pub(super) fn behind_tabs(tabs: usize) -> Self {
        Self { tabs: (tabs, 0), ..Self::default() }
    }

    /// A byte was typed that an echo would show, with the cursor at `stood`, if it was seen, and at `stands`.
    pub(super) fn expect(&mut self, byte: u8, stood: Option<Cell>, stands: Cell) {
        // The one that was drawn alone, and the cursor was left behind it.
        if let Some((at, after)) = self.alone.take().filter(|(_, after)| *after == stands) {
            self.hit(at, 1, after);
        }
        self.beside = None;
        // It was not the whole of it that was found below another one.
        if let Some(below) = self.below.as_mut().filter(|below| below.ends_at(&self.typed).is_some()) {
            below.fail();
        }
        self.drawn = false;
        let stood = Stood { cell: stood, ahead: self.seen.next < self.typed.len() };
        if self.stood.last().is_none_or(|(_, last)| *last != stood) {
            self.stood.push((self.typed.len(), stood));
        }
        self.typed.push(byte);
    }

    /// It begins at this cell, if nothing of it was seen so far: what was typed before it ends there.
    pub(super) fn begins_at(&mut self, cell: Cell) {
        if self.seen.count == 0 {
            (self.begins, self.tabs_at, self.tabs.1) = (Some(cell), None, 0);
        }
    }

    /// The same, but for the Tabs between, which begin there.
    pub(super) fn begins_behind_tabs_at(&mut self, cell: Cell) {
        if self.seen.count == 0 {
            (self.begins, self.tabs_at, self.tabs.1) = (None, Some(cell), 0);
        }
    }

    /// The cursor went from one cell to another, at the next tab stop: so does the echo of a Tab.
    pub(super) fn tabbed(&mut self, from: Cell, to: Cell) {
        if self.seen.count == 0 && !self.is_behind_tabs() && self.tabs_begin() == Some(from) {
            self.tabs.1 = self.tabs.1.saturating_add(1);
            let place = Some(to);
            (self.begins, self.tabs_at) = if self.is_behind_tabs() { (place, None) } else { (None, place) };
            self.row.clear();
        }
    }

    /// Where the next of the Tabs before it begins.
    fn tabs_begin(&self) -> Option<Cell> {
        self.begins.or(self.tabs_at).or_else(|| self.start())
    }

    /// A line editor shows a Tab as blanks, up to the next tab stop.
    fn follow_blanks(&mut self, drawn: &Drawn) {
        let from = self.blank.take().filter(|(_, cell)| drawn.is_at(*cell)).map(|(from, _)| from);
        let from = from.or(self.tabs_begin().filter(|start| drawn.is_at(*start)));
        match from.filter(|_| drawn.c == ' ' && !self.is_behind_tabs()) {
            Some(from) if drawn.after.is_tab_stop() => self.tabbed(from, drawn.after),
            from => self.blank = from.map(|from| (from, drawn.after)),
        }
    }

    /// Whether all Tabs that were typed right before it moved the cursor.
    pub(super) fn is_behind_tabs(&self) -> bool {
        self.tabs.1 >= self.tabs.0
    }

    /// The line that was typed before it was seen whole, and ends in this cell.
    pub(super) fn follows(&mut self, above: Cell) {
        if !self.is_below && self.below.as_ref().is_none_or(|below| !below.is_below(above)) {
            self.below = Some(Below::new(above));
        }
    }

    /// Whether it was found below the line that was typed before it, which the cursor has left by then.
    pub(super) fn was_below(&self) -> bool {
        self.is_below
    }

    /// It is what a history is searched for, and drawn from this cell on.
    pub(super) fn searches_at(&mut self, cell: Cell) {
        (self.begins, self.search) = (Some(cell), true);
    }

    /// Where the cursor stood behind all of it, once that was seen.
    pub(super) fn ends_at(&self) -> Option<Cell> {
        self.seen.after.filter(|_| self.seen.next >= self.typed.len())
    }

    /// Nothing more is drawn for now: a key is pressed, or none for a while. The cursor rests there, if it is seen. (Where it
    /// is not, much that was seen counts all the same: a program with a cursor of its own. A letter or two do not.)
    ///
    /// What was drawn behind the cursor is a suggestion, or no echo at all: it is looked for again.
    pub(super) fn rests_at(&mut self, cell: Option<Cell>) {
        if let Some((at, length, width, stood)) = self.beside.take()
            && let Some(after) = cell.filter(|cell| cell.behind(stood) == Some(width))
        {
            self.hit(at, length, after);
        }
        let elsewhere = if cell.is_some() { cell != self.seen.after } else { self.is_short() };
        if self.more && elsewhere && !self.search {
            let before = self.fresh.iter().rev().find(|seen| cell.is_some() && seen.after == cell);
            self.seen = before.copied().unwrap_or(self.rested);
        }
        if let Some(cell) = cell {
            self.stands_before(cell);
        }
        self.rest();
    }

    /// Where the cursor stands now, behind what was seen, it rests.
    pub(super) fn rest(&mut self) {
        self.rested = self.seen;
        self.fresh.clear();
    }

    /// The cursor leaves that place for another line, or the beginning of its own: behind what was seen, nothing followed.
    pub(super) fn returns_from(&mut self, cell: Cell) {
        if self.seen.after == Some(cell) || self.stands_before(cell) {
            self.rest();
        }
    }

    /// The same for a line that was ended, by a character that is drawn in another row.
    pub(super) fn leaves(&mut self, drawn: &Drawn) {
        if !self.more && self.ends_at().is_some_and(|end| !drawn.is_in_row_of(end)) {
            self.rest();
        }
    }

    /// Where it begins: there, or where the cursor stood for the first of it.
    fn start(&self) -> Option<Cell> {
        self.begins.or_else(|| self.stood.first().and_then(|(_, stood)| stood.cell))
    }

    /// Keeps what is drawn in the row where it begins.
    fn keep(&mut self, drawn: &Drawn) {
        let Some(at) = self.start().and_then(|start| drawn.cell.behind(start)) else { return };
        let width = drawn.after.behind(drawn.cell).unwrap_or(1);
        let end = at.saturating_add(width);
        if width == 0 || end > MOST_CELLS {
            return;
        }
        if self.row.len() < end {
            self.row.resize(end, NOTHING);
        }
        if let Some([first, others @ ..]) = self.row.get_mut(at..end) {
            *first = drawn.c;
            others.fill(WIDE);
        }
    }

    /// Counts all of what stands between where it begins and the cursor, if that is how it begins, and nothing else.
    fn stands_before(&mut self, cell: Cell) -> bool {
        let cells = self.start().and_then(|start| cell.behind(start)).and_then(|cells| self.row.get(..cells));
        let mut length = 0_usize;
        for c in cells.unwrap_or_default().iter().filter(|c| **c != WIDE) {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            if *c == NOTHING || !self.typed.get(length..).is_some_and(|rest| rest.starts_with(bytes)) {
                return false;
            }
            length = length.saturating_add(bytes.len());
        }
        if length < self.seen.count.max(1) {
            return false;
        }
        self.seen = Seen { next: length, count: length, after: Some(cell) };
        self.loose = None;
        true
    }

    /// Where the cursor stood for that one. What was typed ahead of the echo is not drawn before the end of that: an earlier
    /// place is one that is drawn again.
    fn stood(&self, at: usize) -> Option<Cell> {
        let behind = self.stood.partition_point(|(from, _)| *from <= at);
        let (_, stood) = self.stood.get(behind.checked_sub(1)?)?;
        let again = |cell: &Cell| stood.ahead && self.seen.after.is_some_and(|after| cell.is_before(after));
        stood.cell.filter(|cell| !again(cell))
    }

    /// A character was drawn. True when it is one that was typed.
    pub(super) fn see(&mut self, drawn: &Drawn) -> bool {
        let mut bytes = [0; 4];
        let bytes = drawn.c.encode_utf8(&mut bytes).as_bytes();
        self.see_piece(drawn, bytes);
        let below = self.below.as_mut().map_or(Found::Nothing, |below| below.see(drawn, bytes, &self.typed));
        if let Found::Whole(after) = below {
            self.found_below(after);
        }
        if self.state != State::Open {
            return below == Found::Next;
        }
        self.follow_blanks(drawn);
        self.keep(drawn);
        let first = !std::mem::replace(&mut self.drawn, true);
        self.alone = None;
        let ahead = |from: usize| {
            let typed = self.typed.get(from..).unwrap_or_default();
            (0..=PASSED_OVER)
                .filter(move |over| typed.get(*over..).is_some_and(|rest| rest.starts_with(bytes)))
                .map(move |over| from.saturating_add(over))
        };
        let is_there = |at: &usize| {
            let places = [self.seen.after, self.begins, self.stood(*at)];
            places.into_iter().flatten().any(|cell| drawn.is_at(cell))
        };
        let hit = ahead(self.seen.next).find(is_there);
        if let Some(at) = hit {
            self.hit(at, bytes.len(), drawn.after);
            return true;
        }
        let candidate = ahead(self.seen.next).next_back();
        self.look_beside(drawn, bytes, first);
        if first && drawn.is_first() && candidate.is_some() && bytes.len() == 1 {
            let last = self.typed.len().saturating_sub(1);
            self.alone = candidate.filter(|at| *at == last).map(|at| (at, drawn.after));
        }
        let found = self.see_again(drawn, bytes) || self.see_loose(drawn, bytes);
        self.more |= !found && drawn.c != ' ';
        found || below == Found::Next
    }

    /// Looks for the last one that was typed beside where it was to be drawn.
    fn look_beside(&mut self, drawn: &Drawn, bytes: &[u8], first: bool) {
        let last = self.typed.len().saturating_sub(bytes.len());
        let width = drawn.after.behind(drawn.cell).unwrap_or(1);
        let stood = self.stood(last);
        if first && self.seen.next == last && self.typed.get(last..) == Some(bytes) {
            let same = width..=width.saturating_mul(SAME);
            let is_near = |stood: &Cell| drawn.cell.behind(*stood).is_some_and(|cells| same.contains(&cells));
            self.beside = stood.filter(is_near).map(|stood| (last, bytes.len(), width, stood));
        } else if stood.is_some_and(|stood| drawn.cell == stood || drawn.cell.is_before(stood)) {
            self.beside = None;
        }
    }

    /// All of it stands below the line that was typed before it, and ends in this cell.
    fn found_below(&mut self, after: Cell) {
        let length = self.typed.len();
        self.seen = Seen { next: length, count: length, after: Some(after) };
        self.rest();
        (self.more, self.is_below, self.below) = (false, true, None);
        if self.state == State::Left {
            self.state = State::Shown;
        }
    }

    /// Looks for all of it in the row in which all but its last character was seen. True when it was found to be there, up to this
    /// character.
    fn see_again(&mut self, drawn: &Drawn, bytes: &[u8]) -> bool {
        let place = self.again.take();
        let is_last = |rest: &[u8]| std::str::from_utf8(rest).is_ok_and(|rest| rest.chars().count() == 1);
        let missing = self.typed.get(self.seen.next..).unwrap_or_default();
        let seen = self.seen.count.saturating_add(missing.len()) >= self.typed.len();
        let Some(end) = self.seen.after.filter(|_| seen && self.seen.count >= FEW && is_last(missing)) else {
            return false;
        };
        let begins = drawn.is_in_row_of(end) && self.typed.starts_with(bytes);
        let length = match place.filter(|(_, after)| drawn.is_at(*after)) {
            Some((length, _)) if self.typed.get(length..).is_some_and(|rest| rest.starts_with(bytes)) => {
                length.saturating_add(bytes.len())
            }
            _ if begins => bytes.len(),
            _ => return false,
        };
        self.again = Some((length, drawn.after));
        if length < self.typed.len() {
            return false;
        }
        self.seen = Seen { next: length, count: length, after: Some(drawn.after) };
        self.fresh.push(self.seen);
        self.more = false;
        true
    }

    /// The character at `at` was seen, of `length` bytes.
    fn hit(&mut self, at: usize, length: usize, after: Cell) {
        self.touched = true;
        self.seen = Seen {
            next: at.saturating_add(length),
            count: self.seen.count.saturating_add(length),
            after: Some(after),
        };
        self.fresh.push(self.seen);
        self.more = false;
        (self.loose, self.beside) = (None, None);
    }

    /// Looks for some of it in a row. True when it was found to be one.
    fn see_loose(&mut self, drawn: &Drawn, bytes: &[u8]) -> bool {
        let length = self.typed.len();
        if let Some(loose) = &mut self.loose
            && drawn.is_at(loose.after)
        {
            let rest = self.typed.get(loose.next..).unwrap_or_default();
            if rest.starts_with(bytes) {
                loose.next = loose.next.saturating_add(bytes.len());
                loose.seen = loose.seen.saturating_add(1);
                loose.after = drawn.after;
                loose.turns = loose.turns.saturating_add(usize::from(loose.typed != length));
                loose.typed = length;
                let found = *loose;
                if found.seen >= ROW && found.turns >= TURNS {
                    let seen = found.next.saturating_sub(found.first);
                    self.hit(found.first, seen, drawn.after);
                    return true;
                }
                return false;
            }
            // Other text stands there. Nothing does where the cursor of a program's own is drawn.
            if drawn.c == ' ' && rest.is_empty() {
                return false;
            }
            self.loose = None;
        }
        if self.loose.is_none_or(|loose| loose.seen < 2) {
            let begin = (self.seen.next..=self.seen.next.saturating_add(PASSED_OVER))
                .find(|at| self.typed.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
            if let Some(first) = begin {
                let next = first.saturating_add(bytes.len());
                let turn = Loose { first, next, seen: 1, after: drawn.after, typed: length, turns: 1 };
                self.loose = Some(turn);
            }
        }
        false
    }

    /// Looks for all of it behind the sign of a prompt.
    fn see_piece(&mut self, drawn: &Drawn, bytes: &[u8]) {
        let mut behind =
            self.behind.replace(drawn.after).is_some_and(|after| self.piece > 0 && drawn.is_at(after));
        let wraps = behind && drawn.is_first();
        // A line editor makes sure of the wrap by a blank, or by what comes next, and draws there again.
        match self.edge {
            _ if wraps => self.edge = Some((drawn.cell, self.piece)),
            Some((cell, piece)) if !behind && self.piece > 0 && drawn.cell == cell => {
                (self.piece, behind) = (piece, true);
            }
            _ => {}
        }
        let goes_on = self.typed.get(self.piece..).is_some_and(|rest| rest.starts_with(bytes));
        let blank = drawn.c == ' ' && self.typed.iter().take(self.piece).all(|byte| *byte == b' ');
        if behind && goes_on {
            self.piece = self.piece.saturating_add(bytes.len());
        } else if behind && blank && self.blanks < BLANKS {
            // Those of the prompt came first, and were taken for the first ones that were typed.
            self.blanks = self.blanks.saturating_add(1);
        } else if drawn.prompted && self.typed.starts_with(bytes) {
            (self.piece, self.blanks) = (bytes.len(), 0);
        } else if self.piece > 0 {
            // Blanks behind it clear what stood there.
            if drawn.c == ' ' && (wraps || self.piece == self.typed.len()) {
                return;
            }
            self.piece = if goes_on { self.piece.saturating_add(bytes.len()) } else { 0 };
        }
    }

    /// The line was left. What was seen of it so far counts only if it is enough.
    pub(super) fn leave(&mut self) {
        // A number stands at the end of many a line, and blanks do.
        let is_word = self.typed.trim_ascii_start().iter().any(|byte| !byte.is_ascii_digit());
        let whole = is_word && !is_too_short(&self.typed) && self.piece == self.typed.len();
        if whole {
            self.seen.count = self.piece;
        }
        if let Some(after) = self.below.as_ref().and_then(|below| below.ends_at(&self.typed)) {
            self.found_below(after);
        }
        self.state = match self.state {
            State::Open if !whole && !self.was_shown() => State::Left,
            State::Left if !whole => State::Left,
            State::Open | State::Left | State::Shown => State::Shown,
        };
        self.piece = 0;
    }
}

/// Whether it is too short to count where it is not drawn at the cursor. A bracket that stands alone, as in programs, is no secret.
pub(super) fn is_too_short(typed: &[u8]) -> bool {
    typed.len() < PIECE && !matches!(typed, b"{" | b"}" | b"(" | b")" | b"[" | b"]")
}
