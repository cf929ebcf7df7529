//! Which typed bytes an echo would show, and which are commands to a line editor or answers of the terminal.

use zeroize::Zeroizing;

/// What a typed byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a character that would be shown.
    Shown,
    /// A character that would be shown, and came as a number: a terminal that was asked for it sends every key so.
    Numbered(char),
    /// Several of them at once, or what another key than its own makes of them: [`Keys::composed`] has them.
    Composed,
    /// The same key let go.
    Released,
    /// The end of a line.
    Enter,
    /// A key after which the line is another one (^C, ^D, ^U, ^Z…), or another place (Tab, Up and Down, the pages, a click): what
    /// follows is looked at by itself. The next field of a form may be a password.
    Ends,
    /// Alt and a character: a command, as a rule.
    Alt(char),
    /// Another key, or part of one: cursor keys, Escape, Backspace, an answer of the terminal.
    Control,
}

/// Whether a byte ends a line.
pub(super) fn is_enter(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// A sequence that arrives in more pieces than this was typed key by key.
const SPLIT: u8 = 2;

/// Tells apart the keys in a stream of typed bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    state: State,
    numbers: Numbers,
    /// How often more was to come of a sequence when new bytes arrived; most of all after a pause.
    split: u8,
    /// The beginning of a string, and its length.
    text: ([u8; 5], usize),
    /// It began with `ESC ]`.
    names_itself: bool,
}

/// So many characters at once are read from one key.
const COMPOSED: usize = 16;

/// The numbers of `ESC [`, as far as they tell of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    /// The first ones, between semicolons.
    of: [u32; 4],
    at: usize,
    /// What follows a colon in the second: whether the key was pressed (1), repeated (2) or let go (3).
    event: u32,
    after_colon: bool,
    /// What stands in the third, between colons, and how many they are, which may be more.
    text: [u32; COMPOSED],
    texts: usize,
    /// `<` stands before them.
    is_mouse: bool,
}

impl Numbers {
    fn take(&mut self, byte: u8) {
        let grown = |n: u32| n.saturating_mul(10).saturating_add(u32::from(byte.wrapping_sub(b'0')));
        if self.at == 2 && byte != b';' {
            self.texts = self.texts.max(1).saturating_add(usize::from(byte == b':'));
            if let Some(n) = self.text.get_mut(self.texts.saturating_sub(1)).filter(|_| byte.is_ascii_digit())
            {
                *n = grown(*n);
            }
        }
        match byte {
            b';' => (self.at, self.after_colon) = (self.at.saturating_add(1), false),
            b':' => self.after_colon = true,
            b'<' => self.is_mouse = true,
            b'0'..=b'9' if self.after_colon && self.at == 1 => self.event = grown(self.event),
            b'0'..=b'9' if self.after_colon => {}
            b'0'..=b'9' => {
                if let Some(n) = self.of.get_mut(self.at) {
                    *n = grown(*n);
                }
            }
            _ => {}
        }
    }

    /// What a sequence that ends like this tells of a key: in the protocol of kitty (`u`), as xterm's `modifyOtherKeys` has it
    /// (`27 ; modifiers ; code ~`), or in the input mode of Windows (`key ; ; character ; pressed ; … _`).
    fn key(self, end: u8) -> Kind {
        let [first, second, third, fourth] = self.of;
        let (code, modifiers, released) = match end {
            b'u' => (first, second, self.event == 3),
            b'~' if first == 27 => (third, second, false),
            b'_' => (third, 0, fourth == 0),
            _ if self.leaves(end) => return Kind::Ends,
            _ => return Kind::Control,
        };
        if end == b'u' && self.text.iter().any(|code| *code >= 0x20) {
            return if released { Kind::Released } else { Kind::Composed };
        }
        // Shift, and the two locks: with any other one it is a command.
        let held = modifiers.saturating_sub(1) & !(64 | 128);
        // The protocol's own keys lie in the private use area of Unicode; those of the keypad are characters all the same.
        let c = of_keypad(code).or(char::from_u32(code)).filter(|c| !('\u{e000}'..='\u{f8ff}').contains(c));
        match c {
            Some(c @ ('@'..='_' | 'a'..='z')) if held == 4 && !released => {
                u8::try_from(c).map_or(Kind::Control, |byte| of_control(byte & 0x1f))
            }
            Some(c) if matches!(held, 2 | 3) && !released && !c.is_control() => Kind::Alt(c),
            _ if held > 1 => Kind::Control,
            Some('\r') if !released => Kind::Enter,
            Some('\t' | '\x1b') if !released => Kind::Ends,
            Some(c) if c.is_control() => match end {
                b'_' if !released && self.leaves(end) => Kind::Ends,
                b'_' if !released => u8::try_from(c).map_or(Kind::Control, of_control),
                _ => Kind::Control,
            },
            Some(_) if released => Kind::Released,
            Some(c) if held == 1 => Kind::Numbered(c.to_uppercase().next().unwrap_or(c)),
            Some(c) => Kind::Numbered(c),
            None if !released && self.leaves(end) => Kind::Ends,
            None => Kind::Control,
        }
    }

    /// Whether it is a key, or a click, that goes to another place: Up and Down, the pages, and Tab backwards.
    fn leaves(self, end: u8) -> bool {
        let first = self.of[0];
        match end {
            b'A' | b'B' => self.event != 3,
            b'Z' => true,
            b'~' => matches!(first, 5 | 6) && self.event != 3,
            // Not a movement.
            b'M' => self.is_mouse && first & 32 == 0,
            // Of the keypad; by the numbers of Windows.
            b'u' => matches!(first, 57_419..=57_422),
            b'_' => matches!(first, 0x21 | 0x22 | 0x26 | 0x28),
            _ => false,
        }
    }
}

/// What a key of the numeric keypad stands for, by its number in the protocol of kitty (`KP_0` to `KP_SEPARATOR`; what follows
/// them moves the cursor).
fn of_keypad(code: u32) -> Option<char> {
    let key = usize::try_from(code.checked_sub(57_399)?).ok()?;
    "0123456789./*-+\r=,".chars().nth(key)
}

/// The same by the last byte of `ESC O …`, as a keypad in its application mode has it (xterm's `ctlseqs`, VT220 programmer
/// reference, table 3-5). The cursor and function keys of that mode are other letters.
fn of_application_keypad(byte: u8) -> Option<Kind> {
    match byte {
        b'M' => Some(Kind::Enter),
        b' ' => Some(Kind::Numbered(' ')),
        b'X' => Some(Kind::Numbered('=')),
        // `*` to `/` and `0` to `9` stand 64 places before their letters.
        b'j'..=b'y' => Some(Kind::Numbered(char::from(byte & 0x3f))),
        _ => None,
    }
}

/// What a control character is, but for the end of a line.
fn of_control(byte: u8) -> Kind {
    match byte {
        // ^C ^D ^G ^L ^Q ^R ^S ^U ^X ^Y ^Z ^\ and Tab: the line is redrawn, left or completed. ^N and ^P: Down and Up.
        0x03 | 0x04 | 0x07 | 0x09 | 0x0c | 0x0e | 0x10..=0x13 | 0x15 | 0x18..=0x1a | 0x1c => Kind::Ends,
        _ => Kind::Control,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After `ESC [`; the byte is the first after it.
    First,
    /// In the parameters of `ESC [`.
    Parameters,
    /// After `ESC O`.
    Single,
    /// In the three bytes of an old mouse report (`ESC [ M`); the number is how many are to come.
    Mouse(u8),
    /// The same in one that tells of a click.
    Click(u8),
    /// In a string (`ESC ]`, `ESC P`, `ESC _`, `ESC ^`): an answer of the terminal.
    Text,
    /// In a string, after ESC.
    TextEscape,
}

impl Keys {
    /// New bytes arrived at once, or after a `pause` that no terminal makes within a sequence. An Escape that ended the ones
    /// before was the key itself: then this is true, and what was typed ends with it.
    pub(super) fn start(&mut self, pause: bool) -> bool {
        let escaped = self.state == State::Escape;
        if escaped {
            self.state = State::Ground;
        }
        let split = if pause { SPLIT } else { 1 };
        self.split = if self.is_within() { self.split.saturating_add(split) } else { 0 };
        escaped
    }

    /// Whether a sequence has begun that has not ended: a key, an answer of the terminal, or Alt and a key with what was typed
    /// after it.
    pub(super) fn is_within(&self) -> bool {
        !matches!(self.state, State::Ground | State::Escape)
    }

    /// Whether there is text in what has begun, or may be: an answer (`ESC ]`) has the clipboard in it, which a program asked for
    /// (52 and 5522), or a title, or whatever else is no colour; or what should be one sequence comes key by key; or a key has
    /// more characters than are read.
    pub(super) fn carries_text(&self) -> bool {
        match self.state {
            State::Ground | State::Escape => false,
            _ if self.split >= SPLIT => true,
            State::Text | State::TextEscape => self.names_itself && !self.tells_a_colour(),
            State::Parameters => self.numbers.texts > COMPOSED,
            _ => false,
        }
    }

    /// Whether the string is one of those that answer with a colour (xterm's `ctlseqs`; 21 is kitty's), as far as it is known.
    fn tells_a_colour(&self) -> bool {
        let begin = self.text.0.get(..self.text.1).unwrap_or_default();
        let digits = begin.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (begin.get(..digits), begin.get(digits)) {
            (Some(_), None) => digits <= 2,
            (Some(b"4" | b"5" | b"21"), Some(b';')) => true,
            (Some([b'1', _]), Some(b';')) => true,
            _ => false,
        }
    }

    /// The characters of a [`Kind::Composed`] that has just been told.
    pub(super) fn composed(&self) -> Zeroizing<String> {
        let text = self.numbers.text.iter().filter(|code| **code >= 0x20);
        Zeroizing::new(text.filter_map(|code| char::from_u32(*code)).collect())
    }

    /// Nothing more comes of what has begun.
    pub(super) fn give_up(&mut self) {
        self.state = State::Ground;
    }

    /// What the next byte is.
    pub(super) fn next(&mut self, byte: u8) -> Kind {
        use State::{Click, Escape, First, Ground, Mouse, Parameters, Single, Text, TextEscape};
        let (state, kind) = match (self.state, byte) {
            (Ground, 0x1b) => (Escape, Kind::Control),
            (Ground, b'\r' | b'\n') => (Ground, Kind::Enter),
            (Ground, 0x00..=0x1f | 0x7f) => (Ground, of_control(byte)),
            (Ground, _) => (Ground, Kind::Shown),
            (Escape, b'[') => {
                self.numbers = Numbers::default();
                (First, Kind::Control)
            }
            (Escape, b'O') => (Single, Kind::Control),
            (Escape, b']' | b'P' | b'_' | b'^') => {
                self.text.1 = 0;
                self.names_itself = byte == b']';
                (Text, Kind::Control)
            }
            (Escape, 0x1b) => (Escape, Kind::Control),
            (Escape, b'\r' | b'\n') => (Ground, Kind::Enter),
            // Alt and a key.
            (Escape, 0x21..=0x7e) => (Ground, Kind::Alt(char::from(byte))),
            (Escape, _) => (Ground, Kind::Control),
            (First, b'M') => (Mouse(3), Kind::Control),
            (First | Parameters, 0x40..=0x7e) => (Ground, self.numbers.key(byte)),
            (First | Parameters, 0x20..=0x3f) => {
                self.numbers.take(byte);
                (Parameters, Kind::Control)
            }
            (Single, b'A' | b'B') => (Ground, Kind::Ends),
            (Single, 0x20..=0x7e) => (Ground, of_application_keypad(byte).unwrap_or(Kind::Control)),
            // Not a sequence after all: whatever this byte is, it stands for itself.
            (First | Parameters | Single, _) => {
                self.state = Ground;
                return self.next(byte);
            }
            (Mouse(1), _) => (Ground, Kind::Control),
            // A click, neither a movement nor its end.
            (Mouse(3), b' '..=b'"') => (Click(2), Kind::Control),
            (Click(1), _) => (Ground, Kind::Ends),
            (Click(n), _) => (Click(n.saturating_sub(1)), Kind::Control),
            (Mouse(n), _) => (Mouse(n.saturating_sub(1)), Kind::Control),
            (Text, 0x07) | (TextEscape, b'\\') => (Ground, Kind::Control),
            (Text, 0x1b) => (TextEscape, Kind::Control),
            // A string that never ends would hide everything that follows: Enter ends it.
            (Text | TextEscape, b'\r' | b'\n') => (Ground, Kind::Enter),
            (Text | TextEscape, _) => {
                if let Some(place) = self.text.0.get_mut(self.text.1) {
                    *place = byte;
                    self.text.1 = self.text.1.saturating_add(1);
                }
                (Text, Kind::Control)
            }
        };
        self.state = state;
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut keys = Keys::default();
        keys.start(false);
        let shown = bytes.iter().filter(|byte| keys.next(**byte) == Kind::Shown).copied().collect();
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn cursor_keys_mouse_reports_and_answers_are_not_characters() {
        assert_eq!(shown(b"a\x1b[Ab\x1bOPc\x1b[1;5Cd\x1b[<0;10;20Me\x1b[M !!f"), "abcdef");
        assert_eq!(shown(b"a\x1b]11;rgb:0/0/0\x1b\\b\x1bP1$r0m\x1b\\c\x1b[200~paste\x1b[201~"), "abcpaste");
        assert_eq!(shown(b"\x1bbx\x7fy"), "xy");
    }

    #[test]
    fn keys_that_come_as_numbers_are_characters() {
        let kinds = |bytes: &str| {
            let mut keys = Keys::default();
            let all = bytes.bytes().map(|byte| keys.next(byte)).filter(|kind| *kind != Kind::Control);
            all.collect::<Vec<_>>()
        };
        let kitty = "\x1b[115u\x1b[115;1:3u\x1b[97;2u\x1b[252;1:1u\x1b[97;5u\x1b[57441u\x1b[127u\x1b[13u";
        assert_eq!(
            kinds(kitty),
            [Kind::Numbered('s'), Kind::Released, Kind::Numbered('A'), Kind::Numbered('ü'), Kind::Enter]
        );
        assert_eq!(kinds("\x1b[27;2;65~\x1b[27;5;65~\x1b[5~\x1b[200~"), [Kind::Numbered('A'), Kind::Ends]);
        assert_eq!(
            kinds("\x1b[83;31;115;1;0;1_\x1b[83;31;115;0;0;1_"),
            [Kind::Numbered('s'), Kind::Released]
        );
        assert_eq!(kinds("\x1b[99999999999999999999;;;;;;1u\x1b[1;1:1:1:1:1u"), []);
    }

    #[test]
    fn the_keys_of_the_numeric_keypad_are_characters_in_every_mode() {
        let told = |bytes: String| {
            let mut keys = Keys::default();
            let all = bytes.bytes().map(|byte| keys.next(byte)).filter(|kind| *kind != Kind::Control);
            all.map(|kind| match kind {
                Kind::Numbered(c) => c,
                Kind::Enter => '\r',
                Kind::Released => '^',
                // Up and Down.
                Kind::Ends => '|',
                other => panic!("{other:?}"),
            })
            .collect::<String>()
        };
        let kitty = (57_399..=57_440).map(|code| format!("\x1b[{code}u\x1b[{code};129:3u")).collect();
        assert_eq!(told(kitty), "0^1^2^3^4^5^6^7^8^9^.^/^*^-^+^\r=^,^||||");
        let application = (b' '..=b'~').map(|byte| format!("\x1bO{}", char::from(byte))).collect();
        assert_eq!(told(application), " ||\r=*+,-./0123456789");
        assert_eq!(told("\x1b[57400;5u".into()), "", "with Ctrl it is a command");
    }

    #[test]
    fn an_escape_by_itself_is_a_key_by_itself() {
        let mut keys = Keys::default();
        keys.start(false);
        assert_eq!(keys.next(0x1b), Kind::Control);
        keys.start(false);
        assert_eq!(keys.next(b'j'), Kind::Shown);
    }

    #[test]
    fn nothing_that_begins_like_a_string_hides_the_lines_after_it() {
        assert_eq!(shown(b"\x1b]never ends\rsecret"), "secret");
    }
}
