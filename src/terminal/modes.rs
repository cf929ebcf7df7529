//! Modes: one table of what can be set and reset (SM/RM, DECSET/DECRST), with its value after a reset.
//!
//! Modes that only concern input (mouse, bracketed paste, cursor keys) change nothing on the screen; they are kept
//! because a keyframe has to say them and because a player can show them. Synchronized update (2026) is a mode like the
//! others: nothing here ever waits.
//! Source: xterm's control sequences, <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>.

use super::screen::Screen;

/// A mode, as a bit of [`Modes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    Insert,
    LineFeed,
    CursorKeys,
    ReverseScreen,
    Origin,
    Wrap,
    AutoRepeat,
    MouseX10,
    CursorBlink,
    CursorVisible,
    ReverseWrap,
    Keypad,
    Margins,
    MouseClick,
    MouseHighlight,
    MouseDrag,
    MouseAll,
    Focus,
    MouseUtf8,
    MouseSgr,
    AlternateScroll,
    MouseUrxvt,
    MousePixels,
    Meta,
    Paste,
    Synchronized,
    GraphemeClusters,
    ColorScheme,
    InBandResize,
}

/// One row of the table.
pub(super) struct Known {
    /// Its number in SM/RM or DECSET/DECRST.
    pub(super) number: u16,
    /// Whether it is a private one (`?`).
    pub(super) private: bool,
    pub(super) mode: Mode,
    /// Whether it is set after a reset.
    pub(super) initial: bool,
}

const fn known(number: u16, private: bool, mode: Mode, initial: bool) -> Known {
    Known { number, private, mode, initial }
}

/// Every mode that is kept. Alternate screens (47, 1047, 1049) and the saved cursor (1048) are actions, not modes.
pub(super) const TABLE: &[Known] = &[
    known(4, false, Mode::Insert, false),
    known(20, false, Mode::LineFeed, false),
    known(1, true, Mode::CursorKeys, false),
    known(5, true, Mode::ReverseScreen, false),
    known(6, true, Mode::Origin, false),
    known(7, true, Mode::Wrap, true),
    known(8, true, Mode::AutoRepeat, true),
    known(9, true, Mode::MouseX10, false),
    known(12, true, Mode::CursorBlink, false),
    known(25, true, Mode::CursorVisible, true),
    known(45, true, Mode::ReverseWrap, false),
    known(66, true, Mode::Keypad, false),
    known(69, true, Mode::Margins, false),
    known(1000, true, Mode::MouseClick, false),
    known(1001, true, Mode::MouseHighlight, false),
    known(1002, true, Mode::MouseDrag, false),
    known(1003, true, Mode::MouseAll, false),
    known(1004, true, Mode::Focus, false),
    known(1005, true, Mode::MouseUtf8, false),
    known(1006, true, Mode::MouseSgr, false),
    known(1007, true, Mode::AlternateScroll, false),
    known(1015, true, Mode::MouseUrxvt, false),
    known(1016, true, Mode::MousePixels, false),
    known(1034, true, Mode::Meta, false),
    known(2004, true, Mode::Paste, false),
    known(2026, true, Mode::Synchronized, false),
    known(2027, true, Mode::GraphemeClusters, false),
    known(2031, true, Mode::ColorScheme, false),
    known(2048, true, Mode::InBandResize, false),
];

/// The set of modes that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes(u32);

impl Default for Modes {
    fn default() -> Self {
        let mut modes = Self(0);
        for row in TABLE {
            modes.put(row.mode, row.initial);
        }
        modes
    }
}

impl Modes {
    #[inline]
    pub(super) fn has(self, mode: Mode) -> bool {
        self.0 & (1 << mode as u32) != 0
    }

    pub(super) fn put(&mut self, mode: Mode, on: bool) {
        if on {
            self.0 |= 1 << mode as u32;
        } else {
            self.0 &= !(1 << mode as u32);
        }
    }
}

impl Screen {
    /// SM, RM, DECSET and DECRST for one number.
    pub(super) fn set_mode(&mut self, number: u16, private: bool, on: bool) {
        if private {
            match number {
                47 => {
                    self.switch(on);
                    return;
                }
                1047 => {
                    if !on && self.on_alt {
                        self.erase_screen();
                    }
                    self.switch(on);
                    return;
                }
                1048 => return if on { self.save_cursor() } else { self.restore_cursor() },
                1049 => {
                    if on {
                        self.open_alternate();
                    } else if self.switch(false) {
                        self.restore_cursor();
                    }
                    return;
                }
                _ => {}
            }
        }
        let Some(row) = TABLE.iter().find(|row| row.number == number && row.private == private) else {
            return;
        };
        self.modes.put(row.mode, on);
        match row.mode {
            Mode::Origin => self.goto(0, 0),
            Mode::Margins => (self.left, self.right) = (0, self.cols - 1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_one_row_and_a_bit_of_its_own() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!((row.mode as u8) < 32);
            for other in &TABLE[index + 1..] {
                assert_ne!((row.number, row.private), (other.number, other.private));
                assert_ne!(row.mode, other.mode);
            }
        }
    }

    #[test]
    fn a_reset_terminal_wraps_shows_its_cursor_and_little_else() {
        let on: Vec<_> =
            TABLE.iter().filter(|row| Modes::default().has(row.mode)).map(|row| row.number).collect();
        assert_eq!(on, [7, 8, 25]);
    }
}
