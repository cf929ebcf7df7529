//! What a cell of the screen shows, in words of our own.

use super::sgr::BLINK;
use alacritty_terminal::term::cell::{Cell as Inner, Flags};
use alacritty_terminal::vte::ansi;

/// A colour as the program asked for it; what it looks like is the viewer's palette's matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// The terminal's own foreground or background.
    #[default]
    Default,
    /// One of 256: 0 to 7 plain, 8 to 15 bright, then the cube and the greys.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// Kinds of underline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Underline {
    /// None.
    #[default]
    None,
    /// One line.
    Single,
    /// Two lines.
    Double,
    /// A wave.
    Curly,
    /// Dots.
    Dotted,
    /// Dashes.
    Dashed,
}

/// How a cell is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Style {
    /// Foreground.
    pub fg: Color,
    /// Background.
    pub bg: Color,
    /// Colour of the underline; `Default` follows the text.
    pub underline_color: Color,
    /// Kind of underline.
    pub underline: Underline,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Blinking.
    pub blink: bool,
    /// Foreground and background exchanged.
    pub inverse: bool,
    /// Concealed: the operator did not see the text, though it stood there.
    pub hidden: bool,
    /// Struck through.
    pub strike: bool,
    /// Part of a hyperlink.
    pub linked: bool,
}

/// One cell of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// The character; a space where nothing stands and in the right half of a wide one.
    pub c: char,
    /// Combining marks on it, at most 8.
    pub marks: &'a [char],
    /// Columns it takes: 1, 2, or 0 for the right half of a wide character.
    pub width: u8,
    /// How it is drawn.
    pub style: Style,
}

fn color(color: ansi::Color) -> Color {
    match color {
        ansi::Color::Indexed(n) => Color::Indexed(n),
        ansi::Color::Spec(c) => Color::Rgb(c.r, c.g, c.b),
        ansi::Color::Named(_) => Color::Default,
    }
}

impl<'a> Cell<'a> {
    pub(super) fn of(cell: &'a Inner) -> Self {
        let flags = cell.flags;
        let has = |flag| flags.contains(flag);
        let underline = match () {
            () if !flags.intersects(Flags::ALL_UNDERLINES) => Underline::None,
            () if has(Flags::DOUBLE_UNDERLINE) => Underline::Double,
            () if has(Flags::UNDERCURL) => Underline::Curly,
            () if has(Flags::DOTTED_UNDERLINE) => Underline::Dotted,
            () if has(Flags::DASHED_UNDERLINE) => Underline::Dashed,
            () => Underline::Single,
        };
        Self {
            c: cell.c,
            marks: cell.zerowidth().unwrap_or_default(),
            width: match () {
                () if has(Flags::WIDE_CHAR) => 2,
                () if has(Flags::WIDE_CHAR_SPACER) => 0,
                () => 1,
            },
            style: Style {
                fg: color(cell.fg),
                bg: color(cell.bg),
                underline_color: cell.underline_color().map_or(Color::Default, color),
                underline,
                bold: has(Flags::BOLD),
                dim: has(Flags::DIM),
                italic: has(Flags::ITALIC),
                blink: has(BLINK),
                inverse: has(Flags::INVERSE),
                hidden: has(Flags::HIDDEN),
                strike: has(Flags::STRIKEOUT),
                linked: cell.hyperlink().is_some(),
            },
        }
    }
}

/// The text of a row, without blanks at its end unless it goes on in the next row.
pub(super) fn text(row: &[Inner], out: &mut String) {
    let whole = row.last().is_some_and(|cell| cell.flags.contains(Flags::WRAPLINE));
    // Blanks at the end are most of most rows.
    let end = row.iter().rposition(|cell| whole || cell.c != ' ').map_or(0, |at| at + 1);
    out.reserve(end);
    for cell in row.get(..end).unwrap_or_default() {
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        out.push(cell.c);
        if let Some(marks) = cell.zerowidth() {
            out.extend(marks);
        }
    }
}
