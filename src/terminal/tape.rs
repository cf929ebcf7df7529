//! Follows the rows of a screen and notes what stood there before it goes.
//!
//! The screen calls in *before* it changes something. A row that has *settled* (see [`super::Transcript`]) and is then
//! changed is copied first; when it settles again and the new text does not extend the old, the old one is told. Rows that
//! leave, are erased or deleted are told at once. What cannot have been read is not kept: text that was drawn and replaced
//! before it settled. A row that goes is told together with those that it was wrapped from or into, as they stood before: a
//! word across the margin is a word.

mod resize;
mod rows;
mod standing;

pub(super) use resize::Ages;

use super::transcript::{Kind, Line};
use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::Line as Row;
use alacritty_terminal::term::cell::Cell;
use rows::{Part, Saved, State, is_cut, is_gone, text, wraps};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

/// Longest line, in bytes; a longer one is told in pieces.
const MAX_LINE: usize = 64 << 10;
/// What such a piece begins with of the end of the one before it, in bytes: no word is torn.
const OVERLAP: usize = 4 << 10;
/// Longest line of rows that are not scrolled away together, in bytes: of a longer one each row is told with this much around
/// it.
const MAX_JOINED: usize = 16 << 10;
/// Rows remembered per visit of the alternate screen, so that none is told twice.
const WINDOW: usize = 8192;

/// A line whose rows have left only in part.
#[derive(Clone)]
struct Partial {
    number: u64,
    first: Duration,
    complete: Duration,
    text: String,
    /// See [`Line::overlap`].
    overlap: usize,
}

impl Partial {
    /// What has left, as a line that goes now.
    fn line(self, kind: Kind, last: Duration, goes_on: bool) -> Line {
        let Self { number, first, complete, text, overlap } = self;
        Line { number, kind, first, complete, last, text, overlap, goes_on }
    }
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
    /// What is dirty has been changed at this time or later; `None` when nothing is.
    stirred: Option<Duration>,
    seen: HashSet<u64>,
    order: VecDeque<u64>,
    partial: Option<Partial>,
    /// Lines of rows that did not all go, so far.
    joined: u64,
    /// Lines that go now have been told already.
    pub(super) muted: bool,
    /// Lines of a page are told whenever they go, and not once per visit.
    pub(super) again: bool,
    /// Rows that were looked at to join lines.
    #[cfg(test)]
    pub(super) looked: std::cell::Cell<usize>,
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
            stirred: None,
            seen: HashSet::new(),
            order: VecDeque::new(),
            partial: None,
            joined: 0,
            muted: false,
            again: false,
            #[cfg(test)]
            looked: std::cell::Cell::default(),
        }
    }

    /// How often the alternate screen has been entered.
    pub(super) fn visits(&self) -> u32 {
        self.page
    }

    /// Rows that have left the top of the main screen.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn states(&mut self) -> &mut VecDeque<State> {
        if self.on_alt { &mut self.alt } else { &mut self.main }
    }

    fn states_ref(&self) -> &VecDeque<State> {
        if self.on_alt { &self.alt } else { &self.main }
    }

    /// A row is about to change.
    #[inline]
    pub(super) fn touch(&mut self, grid: &Grid<Cell>, y: usize) {
        let states = if self.on_alt { &mut self.alt } else { &mut self.main };
        match states.get_mut(y) {
            Some(state) if state.dirty => state.changed = self.now,
            Some(_) => self.stir(grid, y),
            None => {}
        }
    }

    fn stir(&mut self, grid: &Grid<Cell>, y: usize) {
        let now = self.now;
        self.stirred.get_or_insert(now);
        let Some(state) = self.states().get_mut(y) else { return };
        state.dirty = true;
        let told = std::mem::take(&mut state.told);
        let complete = std::mem::replace(&mut state.changed, now);
        let text = if std::mem::take(&mut state.blank) { String::new() } else { text(grid, y) };
        if text.is_empty() {
            state.first = now;
        } else {
            let (wraps, first) = (wraps(grid, Row(y as i32)), state.first);
            state.saved = Some(Saved { text, wraps, first, complete, at: now, told });
        }
    }

    /// Tells the text that stood in these rows before they were changed, unless a row still begins with it. `stays` says of a
    /// row whether what it shows now counts.
    fn weigh(
        &mut self,
        grid: &Grid<Cell>,
        rows: impl Iterator<Item = usize>,
        stays: impl Fn(&State) -> bool,
    ) {
        let (mut changed, mut going) = (Vec::new(), Vec::new());
        for y in rows {
            let Some(state) = self.states_ref().get(y) else { break };
            let Some(saved) = &state.saved else { continue };
            let now = if stays(state) { text(grid, y) } else { String::new() };
            let goes = is_gone(&now, saved);
            changed.push((y, goes, now.len() == saved.text.len()));
            if goes || is_cut(grid, y, saved) {
                going.push(y);
            }
        }
        // Rows below this one are near to the last that was told of.
        let mut near = 0;
        for (at, y) in going.iter().copied().enumerate() {
            // What stood around a row between two that are near each other stood around these. A line is not joined anew for
            // each of its rows.
            if y < near && going.get(at + 1).is_some_and(|next| *next < near) {
                continue;
            }
            let line = self.around(grid, y, |tape, y| tape.before(grid, y));
            near = near_to(&line.0, y);
            self.tell_joined(line, Kind::Overwritten);
        }
        // Only now: a row may be part of what its neighbours were part of.
        for (y, goes, same) in changed {
            let Some(state) = self.states().get_mut(y) else { break };
            match state.saved.take() {
                Some(saved) if goes => state.first = saved.at,
                Some(saved) => state.told = if same { saved.told } else { 0 },
                None => {}
            }
        }
    }

    /// What stood in a row before it was changed, and whether it went on in the next one. `None` when nothing could be read.
    fn before(&self, grid: &Grid<Cell>, y: usize) -> Option<(Part, bool)> {
        let state = self.states_ref().get(y)?;
        match &state.saved {
            Some(saved) => {
                let Saved { text, wraps, first, complete, at, told } = saved;
                let (text, first, complete, last, told) = (text.clone(), *first, *complete, *at, *told);
                let replaced = is_cut(grid, y, saved) || is_gone(&self::text(grid, y), saved);
                Some((Part { y, text, first, complete, last, told, replaced }, *wraps))
            }
            None if state.dirty => None,
            None => self.current(grid, y),
        }
    }

    /// What stands in a row, and whether it goes on in the next one. `None` when nothing can be read.
    fn current(&self, grid: &Grid<Cell>, y: usize) -> Option<(Part, bool)> {
        let state = self.states_ref().get(y)?;
        if state.blank || (state.dirty && self.on_alt) {
            return None;
        }
        let (first, complete, last, told) = (state.first, state.changed, self.now, state.told);
        let (text, replaced) = (text(grid, y), false);
        Some((Part { y, text, first, complete, last, told, replaced }, wraps(grid, Row(y as i32))))
    }

    /// The rows of the line that row `y` is a part of, as `look` sees them, in order; and whether it is cut at either end.
    fn around(
        &self,
        grid: &Grid<Cell>,
        y: usize,
        look: impl Fn(&Self, usize) -> Option<(Part, bool)>,
    ) -> (Vec<Part>, [bool; 2]) {
        let mut line = VecDeque::new();
        let mut cut = [false; 2];
        let Some((part, mut goes_on)) = look(self, y) else { return (Vec::new(), cut) };
        let mut length = part.text.len();
        line.push_back(part);
        let mut at = y;
        while let Some(above) = at.checked_sub(1) {
            // Most rows stand alone: what tells that is looked at before the text is.
            if !self.may_wrap(grid, above) {
                break;
            }
            let Some((part, true)) = look(self, above) else { break };
            length += part.text.len();
            if length > MAX_JOINED {
                cut[0] = true;
                break;
            }
            line.push_front(part);
            at = above;
        }
        length = line.back().map_or(0, |part| part.text.len());
        at = y;
        while goes_on {
            at += 1;
            let Some((part, wraps)) = look(self, at) else { break };
            length += part.text.len();
            if length > MAX_JOINED {
                cut[1] = true;
                break;
            }
            line.push_back(part);
            goes_on = wraps;
        }
        #[cfg(test)]
        self.looked.set(self.looked.get() + line.len());
        (line.into(), cut)
    }

    fn may_wrap(&self, grid: &Grid<Cell>, y: usize) -> bool {
        let saved = self.states_ref().get(y).and_then(|state| state.saved.as_ref());
        saved.map_or_else(|| wraps(grid, Row(y as i32)), |saved| saved.wraps)
    }

    /// Tells a line that goes, unless all of it has been told, and remembers that of its rows; not of one at which it is cut,
    /// whose neighbour it may be told with.
    fn tell_joined(&mut self, (line, cut): (Vec<Part>, [bool; 2]), kind: Kind) {
        let Some(first_row) = line.first().map(|part| part.y) else { return };
        let told = line.first().map_or(0, |part| part.told);
        let has_left = first_row == 0 && !self.on_alt && self.partial.is_some();
        if told > 0 && !has_left && line.iter().all(|part| part.told == told) {
            return;
        }
        self.joined += 1;
        let id = self.joined;
        let kind = if self.on_alt { Kind::Page(self.page) } else { kind };
        let (mut number, mut text, mut overlap) = (self.number(first_row), String::new(), 0);
        let (mut first, mut complete, mut last) = (Duration::MAX, Duration::ZERO, Duration::MAX);
        if has_left && let Some(partial) = &self.partial {
            (number, first, complete) = (partial.number, partial.first, partial.complete);
            text.clone_from(&partial.text);
            overlap = partial.overlap;
        }
        let rows = line.len();
        for (n, part) in line.into_iter().enumerate() {
            text.push_str(&part.text);
            (first, complete) = (first.min(part.first), complete.max(part.complete));
            last = last.min(part.last);
            let whole = !(n == 0 && cut[0] || n + 1 == rows && cut[1]);
            if let Some(state) = self.states().get_mut(part.y) {
                match &mut state.saved {
                    // If that is what was told, and not what came after it.
                    Some(saved) if whole && saved.text == part.text => saved.told = id,
                    None if whole && !state.dirty => state.told = id,
                    _ => {}
                }
            }
        }
        if !text.is_empty() {
            self.tell(Line { number, kind, first, complete, last, text, overlap, goes_on: false });
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
        if let Kind::Page(_) = line.kind
            && !self.again
        {
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
        if self.stirred.take().is_none() {
            return;
        }
        self.weigh(grid, 0..self.states_ref().len(), |_| true);
        self.states().iter_mut().for_each(|state| state.dirty = false);
    }

    /// Rows that have not changed after `then` have been readable.
    pub(super) fn settle_rows(&mut self, grid: &Grid<Cell>, then: Duration) {
        if self.stirred.is_none_or(|since| since > then) {
            return;
        }
        let still = |state: &State| state.dirty && state.changed <= then;
        let states = self.states_ref().iter().enumerate();
        let rows: Vec<usize> = states.filter(|(_, state)| still(state)).map(|(y, _)| y).collect();
        self.weigh(grid, rows.iter().copied(), |_| true);
        let states = self.states();
        states.iter_mut().filter(|state| still(state)).for_each(|state| state.dirty = false);
        self.stirred = states.iter().filter(|state| state.dirty).map(|state| state.changed).min();
    }

    /// Tells rows of the main screen as lines, wrapped rows joined, blank ones too.
    fn lines(&mut self, grid: &Grid<Cell>, rows: impl Iterator<Item = usize>, kind: Kind) {
        for y in rows {
            self.weigh(grid, y..y + 1, |_| true);
            // The states are those of the main screen whenever this is called.
            let (first, complete) = self.since(y);
            let part = Partial { number: self.number(y), first, complete, text: text(grid, y), overlap: 0 };
            self.go_on(part, wraps(grid, Row(y as i32)), kind);
        }
    }

    /// A row leaves, after those that it was wrapped from: tells the line unless it goes on, or is long enough.
    fn go_on(&mut self, row: Partial, goes_on: bool, kind: Kind) {
        let next = (row.number + 1, row.first, row.complete);
        let line = match self.partial.take() {
            Some(mut line) => {
                line.text.push_str(&row.text);
                Partial { complete: row.complete.max(line.complete), ..line }
            }
            None => row,
        };
        if goes_on && line.text.len() < MAX_LINE {
            self.partial = Some(line);
        } else if kind == Kind::Scrolled || !line.text.is_empty() {
            if goes_on {
                let from = line.text.floor_char_boundary(line.text.len().saturating_sub(OVERLAP));
                let text = line.text[from..].to_owned();
                let (number, first, complete) = next;
                self.partial = Some(Partial { number, first, complete, overlap: text.len(), text });
            }
            self.tell(line.line(kind, self.now, goes_on));
        }
    }

    /// Ends a line that waits for rows which will not come.
    fn flush(&mut self, kind: Kind) {
        if let Some(line) = self.partial.take() {
            self.tell(line.line(kind, self.now, false));
        }
    }

    /// Rows are deleted or erased: tells what could be read in them.
    fn vanish(&mut self, grid: &Grid<Cell>, rows: Range<usize>, kind: Kind) {
        let on_alt = self.on_alt;
        self.part(grid, rows.start, kind);
        self.part(grid, rows.end, kind);
        // On the alternate screen what has not settled does not count; on the main one what stands now does as well.
        self.tell_lines(grid, rows.clone(), kind, |tape, y| tape.before(grid, y), on_alt);
        self.weigh(grid, rows.clone(), |_| !on_alt);
        if !on_alt {
            self.tell_lines(grid, rows, kind, |tape, y| tape.current(grid, y), true);
        }
    }

    /// Tells the lines that rows are a part of; unless `all`, only those of which something has been replaced.
    fn tell_lines(
        &mut self,
        grid: &Grid<Cell>,
        rows: Range<usize>,
        kind: Kind,
        look: impl Fn(&Self, usize) -> Option<(Part, bool)>,
        all: bool,
    ) {
        let mut next = rows.start;
        for y in rows {
            if y >= next {
                let (line, cut) = self.around(grid, y, &look);
                next = line.last().map_or(y, |part| part.y) + usize::from(!cut[1]);
                if all || line.iter().any(|part| part.replaced) {
                    self.tell_joined((line, cut), kind);
                }
            }
        }
    }

    /// Row `y` and the one above are about to be parted: tells the line that goes from one into the other. Above row 0 are those
    /// that have left.
    fn part(&mut self, grid: &Grid<Cell>, y: usize, kind: Kind) {
        let goes_on = match y.checked_sub(1) {
            Some(above) => y < self.states_ref().len() && self.may_wrap(grid, above),
            None => !self.on_alt && self.partial.is_some(),
        };
        if !goes_on {
            return;
        }
        let on_alt = self.on_alt;
        self.tell_lines(grid, y..y + 1, kind, |tape, y| tape.before(grid, y), on_alt);
        if on_alt {
            return;
        }
        self.weigh(grid, y.saturating_sub(1)..y + 1, |_| true);
        self.tell_lines(grid, y..y + 1, kind, |tape, y| tape.current(grid, y), true);
        if y == 0 {
            match self.current(grid, 0) {
                Some((part, _)) if !part.text.is_empty() => self.partial = None,
                _ => self.flush(kind),
            }
        }
    }

    /// Rows `from..=to` are about to be erased whole.
    pub(super) fn cleared(&mut self, grid: &Grid<Cell>, from: usize, to: usize) {
        self.vanish(grid, from..to + 1, Kind::Cleared);
        for y in from..=to {
            if let Some(state) = self.states().get_mut(y) {
                *state = State::blank();
            }
        }
    }

    /// Rows `top..=bottom` are about to move up by `n`.
    pub(super) fn scroll_up(&mut self, grid: &Grid<Cell>, top: usize, bottom: usize, n: usize) {
        if top == 0 && !self.on_alt {
            if (0..n).any(|y| self.may_wrap(grid, y)) {
                self.tell_lines(grid, 0..n, Kind::Overwritten, |tape, y| tape.before(grid, y), false);
            }
            self.lines(grid, 0..n, Kind::Scrolled);
            self.evicted += n as u64;
        } else {
            self.vanish(grid, top..top + n, Kind::Overwritten);
        }
        self.part(grid, bottom + 1, Kind::Overwritten);
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
        self.vanish(grid, bottom + 1 - n..bottom + 1, Kind::Overwritten);
        self.part(grid, top, Kind::Overwritten);
        let states = self.states();
        for _ in 0..n {
            if states.remove(bottom).is_some() {
                states.insert(top, State::blank());
            }
        }
    }

    /// The other screen is about to be shown; `grid` is the one that is shown now. `erased` is one that is not shown as it was
    /// left, but erased.
    pub(super) fn switch(&mut self, grid: &Grid<Cell>, to_alt: bool, erased: bool) {
        self.settle(grid);
        if to_alt {
            self.page += 1;
            self.seen.clear();
            self.order.clear();
            let state = if erased { State::blank() } else { State::unknown(self.now) };
            self.alt.iter_mut().for_each(|row| row.clone_from(&state));
        } else {
            self.vanish(grid, 0..self.alt.len(), Kind::Overwritten);
        }
        self.on_alt = to_alt;
        self.stirred = Some(Duration::ZERO);
    }
}

/// The row behind those of a line that are near below row `y`, itself included: half as far as the line is joined.
fn near_to(line: &[Part], y: usize) -> usize {
    let mut length = 0;
    let below = line.iter().filter(|part| part.y >= y).take_while(|part| {
        length += part.text.len();
        length <= MAX_JOINED / 2
    });
    below.last().map_or(y, |part| part.y) + 1
}
