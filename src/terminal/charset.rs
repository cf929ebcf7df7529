//! Character sets that a program can designate into G0 to G3 (ECMA-35; the sets of the VT100).

/// A designated set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Charset {
    /// ASCII, and with it everything that UTF-8 brings. Final byte `B`.
    #[default]
    Ascii,
    /// DEC special graphics: lines and corners in place of lower-case letters. Final byte `0`.
    Graphics,
    /// United Kingdom: `£` in place of `#`. Final byte `A`.
    British,
}

/// What stands for `_` to `~` in DEC special graphics.
const GRAPHICS: [char; 32] = [
    '\u{a0}', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
    '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

impl Charset {
    /// The set with this final byte; an unknown one counts as ASCII.
    pub(super) fn designated(byte: u8) -> Self {
        match byte {
            b'0' => Self::Graphics,
            b'A' => Self::British,
            _ => Self::Ascii,
        }
    }

    /// The final byte that designates this set.
    pub(super) fn byte(self) -> char {
        match self {
            Self::Ascii => 'B',
            Self::Graphics => '0',
            Self::British => 'A',
        }
    }

    /// The character that `c` means in this set.
    pub(super) fn map(self, c: char) -> char {
        match (self, c) {
            (Self::Graphics, '_'..='~') => {
                GRAPHICS.get((c as usize).saturating_sub('_' as usize)).copied().unwrap_or(c)
            }
            (Self::British, '#') => '£',
            _ => c,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_drawn_with_letters() {
        let drawn: String = "lqkxmj~_".chars().map(|c| Charset::Graphics.map(c)).collect();
        assert_eq!(drawn, "┌─┐│└┘·\u{a0}");
        assert_eq!(Charset::Graphics.map('A'), 'A');
        assert_eq!(Charset::Ascii.map('q'), 'q');
    }
}
