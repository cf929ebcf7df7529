//! Select Graphic Rendition: the pen (ECMA-48 8.3.117, with the colours and underlines of xterm and kitty).

use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, NamedColor, Rgb};

/// Blinking has no flag in the cells behind us; this bit of theirs is free.
pub(super) const BLINK: Flags = Flags::from_bits_retain(0x8000);

/// Everything of a cell's flags that a pen can set.
pub(super) const PEN: Flags = Flags::from_bits_retain(
    Flags::INVERSE.bits()
        | Flags::BOLD.bits()
        | Flags::ITALIC.bits()
        | Flags::DIM.bits()
        | Flags::HIDDEN.bits()
        | Flags::STRIKEOUT.bits()
        | Flags::ALL_UNDERLINES.bits()
        | BLINK.bits(),
);

pub(super) const DEFAULT_FG: Color = Color::Named(NamedColor::Foreground);
pub(super) const DEFAULT_BG: Color = Color::Named(NamedColor::Background);

/// Applies the parameters of one SGR sequence to the pen. Unknown parameters are passed over.
pub(super) fn apply(pen: &mut Cell, params: &vte::Params) {
    let mut groups = params.iter();
    while let Some(group) = groups.next() {
        let mut plain = || groups.next().and_then(|group| group.first().copied());
        match *group {
            [] | [0] => {
                let link = pen.hyperlink();
                *pen = Cell::default();
                pen.set_hyperlink(link);
            }
            [1] => pen.flags.insert(Flags::BOLD),
            [2] => pen.flags.insert(Flags::DIM),
            [3] => pen.flags.insert(Flags::ITALIC),
            [4] => underline(pen, Flags::UNDERLINE),
            [4, kind] => underline(
                pen,
                match kind {
                    0 => Flags::empty(),
                    2 => Flags::DOUBLE_UNDERLINE,
                    3 => Flags::UNDERCURL,
                    4 => Flags::DOTTED_UNDERLINE,
                    5 => Flags::DASHED_UNDERLINE,
                    _ => Flags::UNDERLINE,
                },
            ),
            [5 | 6] => pen.flags.insert(BLINK),
            [7] => pen.flags.insert(Flags::INVERSE),
            [8] => pen.flags.insert(Flags::HIDDEN),
            [9] => pen.flags.insert(Flags::STRIKEOUT),
            [21] => underline(pen, Flags::DOUBLE_UNDERLINE),
            [22] => pen.flags.remove(Flags::BOLD | Flags::DIM),
            [23] => pen.flags.remove(Flags::ITALIC),
            [24] => underline(pen, Flags::empty()),
            [25] => pen.flags.remove(BLINK),
            [27] => pen.flags.remove(Flags::INVERSE),
            [28] => pen.flags.remove(Flags::HIDDEN),
            [29] => pen.flags.remove(Flags::STRIKEOUT),
            [n @ 30..=37] => pen.fg = Color::Indexed((n - 30) as u8),
            [n @ 40..=47] => pen.bg = Color::Indexed((n - 40) as u8),
            [n @ 90..=97] => pen.fg = Color::Indexed((n - 90 + 8) as u8),
            [n @ 100..=107] => pen.bg = Color::Indexed((n - 100 + 8) as u8),
            [39] => pen.fg = DEFAULT_FG,
            [49] => pen.bg = DEFAULT_BG,
            [59] => pen.set_underline_color(None),
            [what @ (38 | 48 | 58)] => {
                // Semicolons: the colour follows as parameters of its own.
                let color = match plain() {
                    Some(5) => plain().map(|n| Color::Indexed(n.min(255) as u8)),
                    Some(2) => rgb(plain(), plain(), plain()),
                    _ => None,
                };
                paint(pen, what, color);
            }
            [what @ (38 | 48 | 58), 5, n, ..] => paint(pen, what, Some(Color::Indexed(n.min(255) as u8))),
            // With colons a colour space may stand before the three parts.
            [what @ (38 | 48 | 58), 2, r, g, b] | [what @ (38 | 48 | 58), 2, _, r, g, b, ..] => {
                paint(pen, what, rgb(Some(r), Some(g), Some(b)));
            }
            _ => {}
        }
    }
}

fn rgb(r: Option<u16>, g: Option<u16>, b: Option<u16>) -> Option<Color> {
    let part = |n: u16| n.min(255) as u8;
    Some(Color::Spec(Rgb { r: part(r?), g: part(g?), b: part(b?) }))
}

fn paint(pen: &mut Cell, what: u16, color: Option<Color>) {
    match (what, color) {
        (38, Some(color)) => pen.fg = color,
        (48, Some(color)) => pen.bg = color,
        (58, Some(color)) => pen.set_underline_color(Some(color)),
        _ => {}
    }
}

fn underline(pen: &mut Cell, kind: Flags) {
    pen.flags.remove(Flags::ALL_UNDERLINES);
    pen.flags.insert(kind);
}

/// Writes the sequence that makes a reset pen into this one (without its link).
pub(super) fn write(pen: &Cell, out: &mut String) {
    use std::fmt::Write as _;
    const PLAIN: &[(Flags, &str)] = &[
        (Flags::BOLD, ";1"),
        (Flags::DIM, ";2"),
        (Flags::ITALIC, ";3"),
        (Flags::UNDERLINE, ";4"),
        (Flags::DOUBLE_UNDERLINE, ";4:2"),
        (Flags::UNDERCURL, ";4:3"),
        (Flags::DOTTED_UNDERLINE, ";4:4"),
        (Flags::DASHED_UNDERLINE, ";4:5"),
        (BLINK, ";5"),
        (Flags::INVERSE, ";7"),
        (Flags::HIDDEN, ";8"),
        (Flags::STRIKEOUT, ";9"),
    ];
    out.push_str("\x1b[0");
    for (flag, code) in PLAIN {
        if pen.flags.contains(*flag) {
            out.push_str(code);
        }
    }
    let colors = [
        (38, Some(pen.fg), DEFAULT_FG),
        (48, Some(pen.bg), DEFAULT_BG),
        (58, pen.underline_color(), DEFAULT_FG),
    ];
    for (what, color, default) in colors {
        let Some(color) = color else { continue };
        if color == default {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = match color {
            Color::Indexed(n) if n < 8 && what != 58 => write!(out, ";{}", what - 8 + i32::from(n)),
            Color::Indexed(n) if n < 16 && what != 58 => write!(out, ";{}", what + 52 - 8 + i32::from(n)),
            Color::Indexed(n) => write!(out, ";{what}:5:{n}"),
            Color::Spec(c) => write!(out, ";{what}:2::{}:{}:{}", c.r, c.g, c.b),
            Color::Named(_) => Ok(()),
        };
    }
    out.push('m');
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Take(Cell);
    impl vte::Perform for Take {
        fn csi_dispatch(&mut self, params: &vte::Params, _: &[u8], _: bool, _: char) {
            apply(&mut self.0, params);
        }
    }

    fn pen(sequence: &str) -> Cell {
        let mut take = Take(Cell::default());
        vte::Parser::new().advance(&mut take, sequence.as_bytes());
        take.0
    }

    #[test]
    fn colours_are_read_with_colons_and_with_semicolons() {
        for (sequence, want) in [
            ("\x1b[38;5;200m", Color::Indexed(200)),
            ("\x1b[38:5:200m", Color::Indexed(200)),
            ("\x1b[38;2;1;2;3m", Color::Spec(Rgb { r: 1, g: 2, b: 3 })),
            ("\x1b[38:2:1:2:3m", Color::Spec(Rgb { r: 1, g: 2, b: 3 })),
            ("\x1b[38:2::1:2:3m", Color::Spec(Rgb { r: 1, g: 2, b: 3 })),
            ("\x1b[31m", Color::Indexed(1)),
            ("\x1b[97m", Color::Indexed(15)),
            ("\x1b[31;39m", DEFAULT_FG),
        ] {
            assert_eq!(pen(sequence).fg, want, "{sequence:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_pen() {
        for sequence in [
            "\x1b[m",
            "\x1b[1;2;3;4;5;7;8;9m",
            "\x1b[4:3;58:2::9:8:7m",
            "\x1b[21;38;5;3;48;5;255m",
            "\x1b[31;102;58;5;1m",
            "\x1b[38;2;0;0;0;48;2;255;255;255m",
        ] {
            let first = pen(sequence);
            let mut text = String::new();
            write(&first, &mut text);
            assert_eq!(pen(&text), first, "{sequence:?} was written as {text:?}");
        }
    }

    #[test]
    fn unknown_and_cut_off_parameters_change_nothing() {
        assert_eq!(pen("\x1b[38;2;1m"), Cell::default());
        assert_eq!(pen("\x1b[38m\x1b[38;9m\x1b[999m"), Cell::default());
    }
}
