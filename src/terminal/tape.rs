//! Follows the rows of a screen and notes what stood there before it goes.
//!
//! The screen calls in *before* it changes something. A row that has *settled* (see [`super::Transcript`]) and is then
//! changed is copied first; when it settles again and the new text does not extend the old, the old one is told. Rows that
//! leave, are erased or deleted are told at once. What cannot have been read is not kept: text that was drawn and replaced
//! before it settled.

use super::cell;
use super::transcript::{Kind, Line};
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::{Cell, Flags};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Longest line, in bytes; a longer one is told in pieces.
const MAX_LINE: usize = 64 << 10;
/// Rows remembered per visit of the alternate screen, so that none is told twice.
const WINDOW: usize = 8192;

/// What is known of a row.
#[derive(Clone, Debug, Default)]
struct State {
    /// Changed since it last settled.
    dirty: bool,
    /// Known to hold no text.
    blank: bool,
    /// Since when its text stands there.
    first: Duration,
    /// When it was last changed.
    changed: Duration,
    /// The settled text that was changed, since when it had stood so, and when that was.
    saved: Option<(String, Duration, Duration)>,
}

impl State {
    fn blank() -> Self {
        Self { blank: true, ..Self::default() }
    }

    fn unknown(first: Duration) -> Self {
        Self { first, changed: first, ..Self::default() }
    }
}

/// A line whose rows have left only in part.
#[derive(Clone)]
struct Partial {
    number: u64,
    first: Duration,
    complete: Duration,
    text: String,
}

/// The rows of both screens.
#[derive(Clone)]
pub(super) struct Tape {
    pub(super) now: Duration,
    pub(super) out: Vec<Line>,
    /// Rows that have left the top of the main screen.
    evicted: u64,
    page: u32,
    on_alt: bool,
    main: VecDeque<State>,
    alt: VecDeque<State>,
    /// Something is dirty.
    stirred: bool,
    seen: HashSet<u64>,
    order: VecDeque<u64>,
    partial: Option<Partial>,
    /// Lines that go now have been told already.
    pub(super) muted: bool,
}

fn text(grid: &Grid<Cell>, y: usize) -> String {
    let mut out = String::new();
    cell::text(&grid[Row(y as i32)][..], &mut out);
    out
}

fn wraps(grid: &Grid<Cell>, line: Row) -> bool {
    grid[line].last().is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE))
}

impl Tape {
    /// For screens of this many rows, whose text counts as standing since `now`; `evicted` rows have left before.
    pub(super) fn new(rows: usize, on_alt: bool, now: Duration, evicted: u64) -> Self {
        let rows = vec![State::unknown(now); rows];
        Self {
            now,
            out: Vec::new(),
            evicted,
            page: u32::from(on_alt),
            on_alt,
            main: rows.clone().into(),
            alt: rows.into(),
            stirred: false,
            seen: HashSet::new(),
            order: VecDeque::new(),
            partial: None,
            muted: false,
        }
    }

    /// The rows of a line have left in part.
    pub(super) fn is_within_line(&self) -> bool {
        self.partial.is_some()
    }

    fn states(&mut self) -> &mut VecDeque<State> {
        if self.on_alt { &mut self.alt } else { &mut self.main }
    }

    /// A row is about to change.
    #[inline]
    pub(super) fn touch(&mut self, grid: &Grid<Cell>, y: usize) {
        let states = if self.on_alt { &mut self.alt } else { &mut self.main };
        if states.get(y).is_some_and(|state| !state.dirty) {
            self.stir(grid, y);
        }
    }

    fn stir(&mut self, grid: &Grid<Cell>, y: usize) {
        let now = self.now;
        self.stirred = true;
        let Some(state) = self.states().get_mut(y) else { return };
        state.dirty = true;
        let before = std::mem::replace(&mut state.changed, now);
        let old = if std::mem::take(&mut state.blank) { String::new() } else { text(grid, y) };
        if old.is_empty() {
            state.first = now;
        } else {
            state.saved = Some((old, before, now));
        }
    }

    /// Tells the text that stood in a row before it was changed, unless the row still begins with it.
    fn weigh(&mut self, y: usize, current: &str) {
        let kind = if self.on_alt { Kind::Page(self.page) } else { Kind::Overwritten };
        let number = self.number(y);
        let Some(state) = self.states().get_mut(y) else { return };
        if let Some((old, complete, at)) = state.saved.take()
            && !current.starts_with(&old)
        {
            let first = std::mem::replace(&mut state.first, at);
            self.tell(Line { number, kind, first, complete, last: at, text: old });
        }
    }

    /// Since when there is text in a row, and since when it is as it stands.
    fn since(&self, y: usize) -> (Duration, Duration) {
        let states = if self.on_alt { &self.alt } else { &self.main };
        states.get(y).map_or((self.now, self.now), |state| (state.first, state.changed))
    }

    fn number(&self, y: usize) -> u64 {
        if self.on_alt { y as u64 } else { self.evicted + y as u64 }
    }

    fn tell(&mut self, line: Line) {
        if self.muted {
            return;
        }
        if let Kind::Page(_) = line.kind {
            let mut hasher = DefaultHasher::new();
            line.text.hash(&mut hasher);
            let hash = hasher.finish();
            if !self.seen.insert(hash) {
                return;
            }
            self.order.push_back(hash);
            if self.order.len() > WINDOW
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        self.out.push(line);
    }

    /// What stands now has been readable.
    pub(super) fn settle(&mut self, grid: &Grid<Cell>) {
        if !std::mem::take(&mut self.stirred) {
            return;
        }
        for y in 0..self.states().len() {
            let Some(state) = self.states().get_mut(y) else { break };
            if !std::mem::take(&mut state.dirty) {
                continue;
            }
            if state.saved.is_some() {
                let current = text(grid, y);
                self.weigh(y, &current);
            }
        }
    }

    /// The screens are about to have `rows` rows: tells what will be cut off.
    pub(super) fn before_resize(&mut self, shown: &Grid<Cell>, hidden: &Grid<Cell>, rows: usize) {
        let shows_alt = self.on_alt;
        let (main, alt) = if shows_alt { (hidden, shown) } else { (shown, hidden) };
        if shows_alt {
            self.stirred = true;
            self.settle(alt);
            (0..self.alt.len()).for_each(|y| self.vanish(alt, y));
        }
        self.on_alt = false;
        self.stirred = true;
        self.settle(main);
        // The cursor's row stays on the screen; what stands below the new last row goes.
        let moved = (main.cursor.point.line.0.max(0) as usize + 1).saturating_sub(rows);
        (rows + moved..self.main.len()).for_each(|y| self.vanish(main, y));
        self.on_alt = shows_alt;
    }

    /// Tells rows of the main screen as lines, wrapped rows joined, blank ones too.
    fn lines(&mut self, grid: &Grid<Cell>, rows: impl Iterator<Item = usize>, kind: Kind) {
        for y in rows {
            let mut current = text(grid, y);
            self.weigh(y, &current);
            let number = self.number(y);
            let (first, complete) = self.since(y);
            // The states are those of the main screen whenever this is called.
            let (number, first, complete) = match self.partial.take() {
                Some(mut partial) => {
                    partial.text.push_str(&current);
                    current = partial.text;
                    (partial.number, partial.first, complete.max(partial.complete))
                }
                None => (number, first, complete),
            };
            if wraps(grid, Row(y as i32)) && current.len() < MAX_LINE {
                self.partial = Some(Partial { number, first, complete, text: current });
            } else if kind == Kind::Scrolled || !current.is_empty() {
                self.tell(Line { number, kind, first, complete, last: self.now, text: current });
            }
        }
    }

    /// Ends a line that waits for rows which will not come.
    fn flush(&mut self, kind: Kind) {
        if let Some(Partial { number, first, complete, text }) = self.partial.take() {
            self.tell(Line { number, kind, first, complete, last: self.now, text });
        }
    }

    /// A row is deleted or erased: tells what could be read in it.
    fn vanish(&mut self, grid: &Grid<Cell>, y: usize) {
        let settled = self.states().get(y).is_some_and(|state| !state.dirty && !state.blank);
        if !settled && self.on_alt {
            return self.weigh(y, "");
        }
        let current = text(grid, y);
        self.weigh(y, &current);
        if !current.is_empty() {
            let kind = if self.on_alt { Kind::Page(self.page) } else { Kind::Overwritten };
            let (first, complete) = self.since(y);
            let (number, last) = (self.number(y), self.now);
            self.tell(Line { number, kind, first, complete, last, text: current });
        }
    }

    /// Rows `from..=to` are about to be erased whole.
    pub(super) fn cleared(&mut self, grid: &Grid<Cell>, from: usize, to: usize) {
        if self.on_alt {
            (from..=to).for_each(|y| self.vanish(grid, y));
        } else {
            // A row known to be blank costs nothing.
            let rows: Vec<usize> =
                (from..=to).filter(|y| self.main.get(*y).is_some_and(|state| !state.blank)).collect();
            self.lines(grid, rows.into_iter(), Kind::Cleared);
            self.flush(Kind::Cleared);
        }
        for y in from..=to {
            if let Some(state) = self.states().get_mut(y) {
                *state = State::blank();
            }
        }
    }

    /// Rows `top..=bottom` are about to move up by `n`.
    pub(super) fn scroll_up(&mut self, grid: &Grid<Cell>, top: usize, bottom: usize, n: usize) {
        if top == 0 && !self.on_alt {
            self.lines(grid, 0..n, Kind::Scrolled);
            self.evicted += n as u64;
        } else {
            (top..top + n).for_each(|y| self.vanish(grid, y));
        }
        let states = self.states();
        for _ in 0..n {
            if top == 0 && bottom + 1 == states.len() {
                states.pop_front();
                states.push_back(State::blank());
            } else if states.remove(top).is_some() {
                states.insert(bottom, State::blank());
            }
        }
    }

    /// Rows `top..=bottom` are about to move down by `n`.
    pub(super) fn scroll_down(&mut self, grid: &Grid<Cell>, top: usize, bottom: usize, n: usize) {
        (bottom + 1 - n..=bottom).for_each(|y| self.vanish(grid, y));
        let states = self.states();
        for _ in 0..n {
            if states.remove(bottom).is_some() {
                states.insert(top, State::blank());
            }
        }
    }

    /// The other screen is about to be shown; `grid` is the one that is shown now.
    pub(super) fn switch(&mut self, grid: &Grid<Cell>, to_alt: bool) {
        self.settle(grid);
        if to_alt {
            self.page += 1;
            self.seen.clear();
            self.order.clear();
            let first = self.now;
            self.alt.iter_mut().for_each(|state| *state = State::unknown(first));
        } else {
            (0..self.alt.len()).for_each(|y| self.vanish(grid, y));
        }
        self.on_alt = to_alt;
        self.stirred = true;
    }

    /// A resize pushed rows out of the main screen; they stand above row 0 of `main`.
    pub(super) fn squeezed_out(&mut self, main: &Grid<Cell>) {
        let rows = main.history_size();
        let first = self.main.front().map_or(self.now, |state| state.first);
        let (kind, complete, last) = (Kind::Scrolled, self.now, self.now);
        for offset in 0..rows {
            let line = Row(offset as i32 - rows as i32);
            let mut current = String::new();
            cell::text(&main[line][..], &mut current);
            let number = self.evicted + offset as u64;
            let (number, first, current) = match self.partial.take() {
                Some(partial) => (partial.number, partial.first, partial.text + &current),
                None => (number, first, current),
            };
            if wraps(main, line) && current.len() < MAX_LINE {
                self.partial = Some(Partial { number, first, complete, text: current });
            } else {
                self.tell(Line { number, kind, first, complete, last, text: current });
            }
        }
        self.evicted += rows as u64;
        let gone = rows.min(self.main.len());
        self.main.drain(..gone);
    }

    /// The screens now have this many rows.
    pub(super) fn resized(&mut self, rows: usize) {
        let now = self.now;
        for states in [&mut self.main, &mut self.alt] {
            states.resize(rows, State::unknown(now));
            for state in states.iter_mut() {
                *state = State { changed: now, ..State::unknown(state.first) };
            }
        }
    }

    /// What stands now, as lines: those of the main screen, then those of the alternate one if it is shown.
    pub(super) fn standing(&self, shown: &Grid<Cell>, hidden: &Grid<Cell>) -> Vec<Line> {
        let (main, alt) = if self.on_alt { (hidden, Some(shown)) } else { (shown, None) };
        let mut lines: Vec<Line> = Vec::new();
        let mut goes_on = false;
        for (y, state) in self.main.iter().enumerate() {
            let current = text(main, y);
            match lines.last_mut() {
                Some(line) if goes_on => {
                    line.text.push_str(&current);
                    line.complete = line.complete.max(state.changed);
                }
                _ => lines.push(Line {
                    number: self.evicted + y as u64,
                    kind: Kind::Final,
                    first: state.first,
                    complete: state.changed,
                    last: self.now,
                    text: current,
                }),
            }
            goes_on = wraps(main, Row(y as i32));
        }
        for (grid, (y, state)) in
            alt.into_iter().flat_map(|grid| self.alt.iter().enumerate().map(move |row| (grid, row)))
        {
            let kind = Kind::Page(self.page);
            lines.push(Line {
                number: y as u64,
                kind,
                first: state.first,
                complete: state.changed,
                last: self.now,
                text: text(grid, y),
            });
        }
        lines.retain(|line| !line.text.is_empty());
        lines
    }

    /// Tells what stands at the end.
    pub(super) fn finish(&mut self, shown: &Grid<Cell>, hidden: &Grid<Cell>) {
        let main = if self.on_alt {
            self.switch(shown, false);
            hidden
        } else {
            shown
        };
        self.stirred = true;
        self.settle(main);
        let last = (0..self.main.len()).rev().find(|y| !text(main, *y).is_empty());
        if let Some(last) = last {
            self.lines(main, 0..last + 1, Kind::Final);
        }
        self.flush(Kind::Final);
    }
}
