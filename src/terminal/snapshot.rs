//! A keyframe: escape sequences that recreate a terminal.
//!
//! Standard sequences for all that has one. The rest (which rows belong together, a wrap that is pending, origin mode
//! without its jump, the character that REP repeats) travels in a private control string, `OSC 5379 ; KEY ; VALUE… ST`,
//! that other terminals pass over; so do we, but for what a keyframe says ([`super::Terminal::restored`]).

use super::modes::{Mode, TABLE};
use super::screen::{Saved, Screen};
use super::sgr;
use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use std::fmt::Write as _;

/// Number of the private control string.
pub(super) const PRIVATE: u16 = 5379;

/// Rows that one control string of row marks names at most: the parser keeps 16 parameters.
const ROWS_AT_ONCE: usize = 12;

/// What every keyframe begins with: the size follows.
const SIZE: &str = "\x1b]5379;size;";

/// The size of the terminal that a keyframe recreates: columns and rows. `None` when it is no keyframe of ours.
pub(super) fn size(keyframe: &str) -> Option<(u16, u16)> {
    if keyframe.len() > super::MAX_KEYFRAME {
        return None;
    }
    let (size, _) = keyframe.strip_prefix(SIZE)?.split_once('\x1b')?;
    let (cols, rows) = size.split_once(';')?;
    Some((cols.parse().ok()?, rows.parse().ok()?))
}

/// Writes the keyframe. The parser must be at rest.
pub(super) fn write(screen: &Screen) -> String {
    let mut out = String::with_capacity(4 << 10);
    let (main, alt) =
        if screen.on_alt { (&screen.other, &screen.grid) } else { (&screen.grid, &screen.other) };
    let _ = write!(out, "{SIZE}{};{}\x1b\\\x1bc\x1b[?7l", screen.cols, screen.rows);
    for title in &screen.titles {
        let _ = write!(out, "\x1b]2;{title}\x1b\\\x1b[22;2t");
    }
    if !(screen.titles.is_empty() && screen.title.is_empty()) {
        let _ = write!(out, "\x1b]2;{}\x1b\\", screen.title);
    }
    tabs(screen, &mut out);
    draw(screen, main, &mut out);
    save(&screen.saved[0], &mut out);
    // The hidden main screen keeps the cursor it was left with.
    let left = &main.cursor;
    state(
        &Saved {
            x: left.point.column.0,
            y: left.point.line.0 as usize,
            pending: left.input_needs_wrap,
            ..Saved::default()
        },
        &mut out,
    );
    out.push_str("\x1b[?47h");
    draw(screen, alt, &mut out);
    save(&screen.saved[1], &mut out);
    if !screen.on_alt {
        out.push_str("\x1b[?47l");
    }
    for row in TABLE {
        let on = screen.modes.has(row.mode);
        // Autowrap was switched off for drawing; origin mode comes last.
        if row.mode != Mode::Origin && (on != row.initial || row.mode == Mode::Wrap) {
            let _ = write!(
                out,
                "\x1b[{}{}{}",
                if row.private { "?" } else { "" },
                row.number,
                if on { 'h' } else { 'l' }
            );
        }
    }
    if (screen.top, screen.bottom) != (0, screen.rows - 1) {
        let _ = write!(out, "\x1b[{};{}r", screen.top + 1, screen.bottom + 1);
    }
    if (screen.left, screen.right) != (0, screen.cols - 1) {
        let _ = write!(out, "\x1b[{};{}s", screen.left + 1, screen.right + 1);
    }
    if screen.shape != 0 {
        let _ = write!(out, "\x1b[{} q", screen.shape);
    }
    let _ = write!(out, "\x1b]{PRIVATE};rep;{:x}\x1b\\", screen.last.map_or(0, u32::from));
    let cursor = &screen.grid.cursor;
    let now = Saved {
        x: screen.x(),
        y: screen.y(),
        pending: screen.pending(),
        pen: cursor.template.clone(),
        sets: screen.sets,
        shift: screen.shift,
        origin: screen.modes.has(Mode::Origin),
    };
    state(&now, &mut out);
    match screen.single {
        Some(2) => out.push_str("\x1bN"),
        Some(_) => out.push_str("\x1bO"),
        None => {}
    }
    out
}

/// Sets the cursor with all that DECSC saves.
fn state(saved: &Saved, out: &mut String) {
    for (set, final_byte) in saved.sets.iter().zip(['(', ')', '*', '+']) {
        let _ = write!(out, "\x1b{final_byte}{}", set.byte());
    }
    out.push_str(["\x0f", "\x0e", "\x1bn", "\x1bo"][saved.shift & 3]);
    sgr::write(&saved.pen, out);
    link(saved.pen.hyperlink().as_ref(), out);
    // Absolute only while origin mode is off; then the flags, which do not move it.
    let _ = write!(out, "\x1b]{PRIVATE};origin;0\x1b\\\x1b[{};{}H", saved.y + 1, saved.x + 1);
    if saved.origin {
        let _ = write!(out, "\x1b]{PRIVATE};origin;1\x1b\\");
    }
    if saved.pending {
        let _ = write!(out, "\x1b]{PRIVATE};pending\x1b\\");
    }
}

fn save(saved: &Saved, out: &mut String) {
    state(saved, out);
    // Back to plain drawing.
    let _ = write!(out, "\x1b7\x1b]{PRIVATE};origin;0\x1b\\\x0f\x1b(B");
}

fn link(link: Option<&Hyperlink>, out: &mut String) {
    match link {
        Some(link) if link.id().is_empty() => {
            let _ = write!(out, "\x1b]8;;{}\x1b\\", link.uri());
        }
        Some(link) => {
            let _ = write!(out, "\x1b]8;id={};{}\x1b\\", link.id(), link.uri());
        }
        None => out.push_str("\x1b]8;;\x1b\\"),
    }
}

fn tabs(screen: &Screen, out: &mut String) {
    if screen.tabs.iter().enumerate().all(|(x, set)| *set == (x % 8 == 0)) {
        return;
    }
    out.push_str("\x1b[3g");
    for (x, _) in screen.tabs.iter().enumerate().filter(|(_, set)| **set) {
        let _ = write!(out, "\x1b[{}G\x1bH", x + 1);
    }
}

/// Draws one screen, autowrap being off and the screen blank.
fn draw(screen: &Screen, grid: &Grid<Cell>, out: &mut String) {
    const MARKS: Flags = Flags::WRAPLINE.union(Flags::LEADING_WIDE_CHAR_SPACER);
    let plain = Cell::default();
    let mut pen = Cell::default();
    out.push_str("\x1b[m\x1b]8;;\x1b\\");
    for y in 0..screen.rows {
        let row = &grid[Line(y as i32)][..];
        let Some(end) = row.iter().rposition(|cell| !same(cell, &plain)) else { continue };
        let _ = write!(out, "\x1b[{}H", y + 1);
        let mut x = 0;
        while x <= end {
            let cell = &row[x];
            let erased = Cell { bg: cell.bg, ..Cell::default() };
            if same(cell, &erased) {
                // Blanks are erased or passed over, as they came.
                let run = row[x..].iter().take_while(|next| same(next, &erased)).count();
                if cell.bg != plain.bg {
                    change(&mut pen, &erased, out);
                    let _ = write!(out, "\x1b[{run}X");
                }
                x += run;
                if x <= end {
                    let _ = write!(out, "\x1b[{}G", x + 1);
                }
                continue;
            }
            change(&mut pen, cell, out);
            out.push(cell.c);
            out.extend(cell.zerowidth().into_iter().flatten());
            x += if cell.flags.contains(Flags::WIDE_CHAR) { 2 } else { 1 };
        }
    }
    for (flag, key) in [(Flags::WRAPLINE, "wrap"), (Flags::LEADING_WIDE_CHAR_SPACER, "lead")] {
        let marked: Vec<String> = (0..screen.rows)
            .filter(|y| grid[Line(*y as i32)][Column(screen.cols - 1)].flags.intersects(MARKS & flag))
            .map(|y| y.to_string())
            .collect();
        for rows in marked.chunks(ROWS_AT_ONCE) {
            let _ = write!(out, "\x1b]{PRIVATE};{key};{}\x1b\\", rows.join(";"));
        }
    }
    out.push_str("\x1b[m\x1b]8;;\x1b\\");
}

/// Equal but for the marks that travel on their own.
fn same(a: &Cell, b: &Cell) -> bool {
    const KEPT: Flags = sgr::PEN.union(Flags::WIDE_CHAR).union(Flags::WIDE_CHAR_SPACER);
    a.c == b.c && a.bg == b.bg && a.fg == b.fg && a.flags & KEPT == b.flags & KEPT && a.extra == b.extra
}

/// Changes the pen to that of `cell`.
fn change(pen: &mut Cell, cell: &Cell, out: &mut String) {
    let (before, after) = (pen.hyperlink(), cell.hyperlink());
    if pen.fg != cell.fg
        || pen.bg != cell.bg
        || pen.flags & sgr::PEN != cell.flags & sgr::PEN
        || pen.underline_color() != cell.underline_color()
    {
        sgr::write(cell, out);
    }
    if before != after {
        link(after.as_ref(), out);
    }
    *pen = cell.clone();
}

impl Screen {
    /// Reads the private control string. Whatever it says, nothing but this screen is concerned.
    pub(super) fn recreate(&mut self, params: &[&[u8]]) {
        let [key, values @ ..] = params else { return };
        let number = |value: &[u8], radix| {
            std::str::from_utf8(value).ok().and_then(|text| u32::from_str_radix(text, radix).ok())
        };
        let first = |radix| values.first().and_then(|value| number(value, radix));
        match *key {
            b"rep" => {
                self.last = first(16).and_then(char::from_u32).filter(|c| *c != '\0' && !c.is_control())
            }
            b"origin" => self.modes.put(Mode::Origin, first(10) == Some(1)),
            b"pending" => self.grid.cursor.input_needs_wrap = true,
            b"wrap" | b"lead" => {
                let flag = if *key == b"wrap" { Flags::WRAPLINE } else { Flags::LEADING_WIDE_CHAR_SPACER };
                for y in values.iter().filter_map(|value| number(value, 10)) {
                    if (y as usize) < self.rows {
                        let last = Column(self.cols - 1);
                        self.grid[Line(y as i32)][last].flags.insert(flag);
                    }
                }
            }
            _ => {}
        }
    }
}
