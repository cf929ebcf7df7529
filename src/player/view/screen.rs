//! The recorded screen, cell by cell.

use super::super::app::{App, Depth};
use super::{frame, text};
use crate::replay::Source;
use crate::terminal::{Cell, Color as Recorded, Style as RecordedStyle, Underline};
use crate::text::{is_deceptive, is_deceptive_behind};
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::num::NonZeroU16;

/// Draws the screen into an area, in a frame that tells its size where there is room for one.
pub(super) fn framed<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    let (cols, rows) = app.replay.terminal().size();
    // Where the screen does not fit, a frame would only cost more of it: the status line tells the size then.
    let fits = area.width >= cols.saturating_add(2) && area.height >= rows.saturating_add(2);
    app.places.framed = fits;
    app.places.screen = area;
    let mut inner = area;
    if fits {
        let outer = Rect { width: cols + 2, height: rows + 2, ..area };
        inner = Rect { x: outer.x + 1, y: outer.y + 1, width: cols, height: rows };
        app.places.screen = inner;
        let title = geometry(app, inner);
        frame(buffer, outer, &title);
    }
    draw(app, inner, buffer);
}

/// The size of the recorded screen, and what part of it is in view.
pub(super) fn geometry<S: Source>(app: &App<S>, inner: Rect) -> String {
    let (cols, rows) = app.replay.terminal().size();
    let mut title = format!("{cols}x{rows}");
    let (x, y) = app.panned();
    if cols > inner.width {
        title.push_str(&format!(" columns {}–{}", x + 1, (x + inner.width).min(cols)));
    }
    if rows > inner.height {
        title.push_str(&format!(" rows {}–{}", y + 1, (y + inner.height).min(rows)));
    }
    if app.replay.terminal().is_alternate() {
        title.push_str(" · full screen");
    }
    title
}

fn draw<S: Source>(app: &App<S>, area: Rect, buffer: &mut Buffer) {
    let terminal = app.replay.terminal();
    if let Some(fault) = terminal.fault() {
        let fault = crate::text::escaped(super::beginning(fault));
        text(buffer, area, 0, 0, &format!("the emulator failed: {fault}"), Style::new());
        text(
            buffer,
            area,
            0,
            1,
            "the recording is not concerned; it goes on at the next keyframe",
            Style::new(),
        );
        return;
    }
    let (pan_x, pan_y) = app.panned();
    let looks = Looks { depth: app.depth, reveal: app.reveal, reversed: terminal.is_reversed() };
    let rows = terminal.size().1.saturating_sub(pan_y).min(area.height);
    for y in 0..rows {
        for (x, cell) in (0..area.width).zip(terminal.cells(pan_y + y).skip(pan_x.into())) {
            let Some(target) = buffer.cell_mut((area.x + x, area.y + y)) else { continue };
            // A wide character that is cut at the edge is a blank.
            let room = area.width - x;
            looks.put(&cell, room, target);
        }
    }
    if let Some(finder) = &app.finder {
        for (row, from, to) in finder.pattern.on_screen(terminal) {
            let Some(y) = row.checked_sub(pan_y).filter(|y| *y < area.height) else { continue };
            let (from, to) = (from.saturating_sub(pan_x), to.saturating_sub(pan_x).min(area.width));
            if from < to {
                let found = if app.depth == Depth::Mono {
                    Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
                } else {
                    Style::new()
                        .fg(Color::Black)
                        .bg(Color::Yellow)
                        .remove_modifier(Modifier::REVERSED | Modifier::DIM)
                };
                buffer
                    .set_style(Rect { x: area.x + from, y: area.y + y, width: to - from, height: 1 }, found);
            }
        }
    }
    let cursor = terminal.cursor();
    if cursor.visible
        && let (Some(x), Some(y)) = (cursor.col.checked_sub(pan_x), cursor.row.checked_sub(pan_y))
        && x < area.width
        && y < area.height
        && let Some(cell) = buffer.cell_mut((area.x + x, area.y + y))
    {
        cell.modifier.toggle(Modifier::REVERSED);
    }
}

/// How cells are shown.
pub(super) struct Looks {
    pub(super) depth: Depth,
    pub(super) reveal: bool,
    /// The whole screen is in reverse.
    pub(super) reversed: bool,
}

impl Looks {
    /// Puts a recorded cell into a cell of the view.
    pub(super) fn put(&self, cell: &Cell<'_>, room: u16, target: &mut ratatui::buffer::Cell) {
        target.reset();
        let style = &cell.style;
        let mut shown = self.style(style);
        let invisible =
            style.hidden || (style.fg == style.bg && style.fg != Recorded::Default && cell.c != ' ');
        let deceptive = cell.marks.iter().any(|c| is_deceptive_behind(cell.c, *c)) || !shows(cell.c);
        if self.reveal && (invisible || deceptive) {
            // Reverse and underlined, in no colour of the recording: it can be told from anything recorded.
            shown = Style::new().add_modifier(Modifier::REVERSED | Modifier::UNDERLINED | Modifier::BOLD);
        }
        target.set_style(shown);
        if cell.width == 0 || (cell.width == 2 && room < 2) {
            target.set_char(' ');
            return;
        }
        if style.hidden && !self.reveal {
            target.set_char(' ');
        } else if !shows(cell.c) {
            target.set_char(if self.reveal { '¿' } else { ' ' });
        } else {
            let mut symbol = String::from(cell.c);
            symbol.extend(cell.marks.iter().filter(|c| shows(**c) && !is_variation(**c)));
            target.set_symbol(&symbol);
        }
        if let Some(width) = NonZeroU16::new(cell.width.into())
            && (cell.width > 1 || !cell.marks.is_empty())
        {
            target.set_diff_option(CellDiffOption::ForcedWidth(width));
        }
    }

    fn style(&self, style: &RecordedStyle) -> Style {
        let mut shown = Style::new().fg(self.color(style.fg)).bg(self.color(style.bg));
        for (set, modifier) in [
            (style.bold, Modifier::BOLD),
            (style.dim, Modifier::DIM),
            (style.italic, Modifier::ITALIC),
            (style.underline != Underline::None || style.linked, Modifier::UNDERLINED),
            (style.inverse != self.reversed, Modifier::REVERSED),
            (style.strike, Modifier::CROSSED_OUT),
        ] {
            if set {
                shown = shown.add_modifier(modifier);
            }
        }
        shown
    }

    fn color(&self, color: Recorded) -> Color {
        match (self.depth, color) {
            (_, Recorded::Default) | (Depth::Mono, _) => Color::Reset,
            (Depth::True, Recorded::Rgb(r, g, b)) => Color::Rgb(r, g, b),
            (Depth::True | Depth::Indexed, Recorded::Indexed(n)) => Color::Indexed(n),
            (Depth::Indexed, Recorded::Rgb(r, g, b)) => Color::Indexed(nearest(r, g, b)),
            (Depth::Sixteen, Recorded::Indexed(n)) if n < 16 => Color::Indexed(n),
            (Depth::Sixteen, Recorded::Indexed(n)) => {
                let (r, g, b) = rgb(n);
                Color::Indexed(of_sixteen(r, g, b))
            }
            (Depth::Sixteen, Recorded::Rgb(r, g, b)) => Color::Indexed(of_sixteen(r, g, b)),
        }
    }
}

/// Whether a character may be drawn as it is.
fn shows(c: char) -> bool {
    !c.is_control() && !is_deceptive(c)
}

/// Variation selectors change the width of what they follow on some terminals.
fn is_variation(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Steps of the colour cube (xterm's 256 colours).
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of 256 colours: of the cube, or of the greys.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    let step = |v: u8| (0..6u8).min_by_key(|i| STEPS[usize::from(*i)].abs_diff(v)).unwrap_or(0);
    let cube = (step(r), step(g), step(b));
    let at = |i: u8| STEPS[usize::from(i)];
    let distance = |x: (u8, u8, u8)| {
        let d = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        d(x.0, r) + d(x.1, g) + d(x.2, b)
    };
    let average = (u32::from(r) + u32::from(g) + u32::from(b)) / 3;
    let grey = (average.saturating_sub(3) / 10).min(23) as u8;
    let level = 8 + grey * 10;
    if distance((level, level, level)) < distance((at(cube.0), at(cube.1), at(cube.2))) {
        232 + grey
    } else {
        16 + 36 * cube.0 + 6 * cube.1 + cube.2
    }
}

/// What a colour of the cube or a grey looks like.
fn rgb(n: u8) -> (u8, u8, u8) {
    if n >= 232 {
        let level = 8 + (n - 232) * 10;
        return (level, level, level);
    }
    let n = n.saturating_sub(16);
    let at = |i: u8| STEPS[usize::from(i % 6)];
    (at(n / 36), at(n / 6), at(n))
}

/// The nearest of 16 colours: which parts are strong, and whether it is bright.
fn of_sixteen(r: u8, g: u8, b: u8) -> u8 {
    let most = r.max(g).max(b);
    let least = r.min(g).min(b);
    if most < 48 {
        return 0;
    }
    if most - least < 32 {
        return match most {
            0..=85 => 8,
            86..=200 => 7,
            _ => 15,
        };
    }
    let strong = |v: u8| u8::from(v > most / 2);
    strong(r) + 2 * strong(g) + 4 * strong(b) + if most > 180 { 8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Terminal;

    fn put(input: &str, reveal: bool, depth: Depth) -> ratatui::buffer::Cell {
        let mut terminal = Terminal::new(20, 2);
        terminal.feed(input.as_bytes());
        let mut target = ratatui::buffer::Cell::default();
        Looks { depth, reveal, reversed: false }.put(&terminal.cell(0, 0).unwrap(), 20, &mut target);
        target
    }

    #[test]
    fn bidi_and_zero_width_characters_never_reach_the_viewer() {
        for hidden in ['\u{202e}', '\u{200b}', '\u{200d}', '\u{2066}', '\u{feff}', '\u{e0041}'] {
            for reveal in [false, true] {
                let cell = put(&format!("a{hidden}b"), reveal, Depth::True);
                assert_eq!(cell.symbol(), "a", "{hidden:?}");
                assert_eq!(cell.modifier.contains(Modifier::REVERSED), reveal, "{hidden:?}");
            }
        }
    }

    #[test]
    fn a_soft_hyphen_has_a_cell_of_its_own_and_is_not_handed_on() {
        assert_eq!(put("\u{ad}b", false, Depth::True).symbol(), " ");
        assert_eq!(put("\u{ad}b", true, Depth::True).symbol(), "¿");
    }

    #[test]
    fn concealed_text_is_blank_until_it_is_asked_for() {
        assert_eq!(put("\x1b[8mx", false, Depth::True).symbol(), " ");
        assert_eq!(put("\x1b[8mx", true, Depth::True).symbol(), "x");
        let camouflaged = put("\x1b[31;41mx", true, Depth::True);
        assert_eq!((camouflaged.symbol(), camouflaged.fg), ("x", Color::Reset));
    }

    #[test]
    fn colours_are_what_the_viewer_has() {
        let orange = "\x1b[38;2;255;135;0mx";
        assert_eq!(put(orange, false, Depth::True).fg, Color::Rgb(255, 135, 0));
        assert_eq!(put(orange, false, Depth::Indexed).fg, Color::Indexed(208));
        assert_eq!(put(orange, false, Depth::Sixteen).fg, Color::Indexed(11));
        assert_eq!(put(orange, false, Depth::Mono).fg, Color::Reset);
        assert_eq!(put("\x1b[38;2;128;128;128mx", false, Depth::Indexed).fg, Color::Indexed(244));
        assert_eq!(put("\x1b[31mx", false, Depth::Sixteen).fg, Color::Indexed(1));
    }
}
