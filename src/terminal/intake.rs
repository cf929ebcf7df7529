//! Hands bytes to the parser: bounded, independent of where the chunks are cut, and aware of when a sequence is open.
//!
//! The parser behind it (vte) keeps the payload of a control string without limit, loses a character when a chunk ends
//! inside the one before it, does not tell whether it is in its ground state, and takes a byte that belongs to no character, or
//! is a part of one, for a control of eight bits, which no terminal of UTF-8 does. All four are mended here.

use super::screen::Screen;
use crate::text;
use memchr::memchr;

/// Longest payload of a control string (OSC, DCS, APC, PM, SOS) that is looked at, in bytes. What is longer is cut:
/// the recording has the bytes, the emulator does not need them.
pub(super) const MAX_STRING: usize = 64 << 10;

const ESC: u8 = 0x1b;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const BEL: u8 = 0x07;
/// The string terminator of eight bits, U+009C, in UTF-8. Some terminals end a control string there and some do not: the rest is
/// told rather than swallowed.
const ST: &[u8] = b"\xc2\x9c";
/// The same in seven bits, for the parser, which does not know the other.
const ST_7: &[u8] = b"\x1b\\";

/// Kinds of control string, which differ in what ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Osc,
    Dcs,
    /// APC, PM and SOS: nobody listens.
    Unheard,
}

impl Kind {
    fn ended_by(self, byte: u8) -> bool {
        matches!(byte, ESC | CAN | SUB) || (self == Kind::Osc && byte == BEL)
    }
}

/// Where the stream stands, as far as bounds need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Text or a sequence without payload.
    Plain,
    /// After ESC: the next byte decides.
    Escape,
    /// Inside a control string, this many bytes into its payload.
    Payload(Kind, usize),
}

/// The parser and what it does not tell about itself.
pub(super) struct Intake {
    parser: vte::Parser,
    place: Place,
    /// The beginning of a character whose rest has not come yet.
    held: Vec<u8>,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self { parser: vte::Parser::new(), place: Place::Plain, held: Vec::new() }
    }

    /// Whether no sequence and no character is open. May say no for a moment longer than needed (after a sequence that
    /// the parser ignored), never yes too early.
    pub(super) fn at_rest(&self, screen: &Screen) -> bool {
        self.place == Place::Plain && screen.settled && self.held.is_empty()
    }

    pub(super) fn feed(&mut self, screen: &mut Screen, bytes: &[u8]) {
        if self.held.is_empty() {
            return self.whole_characters(screen, bytes);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(bytes);
        self.whole_characters(screen, &joined);
    }

    fn whole_characters(&mut self, screen: &mut Screen, bytes: &[u8]) {
        let (whole, tail) = bytes.split_at(bytes.len() - text::incomplete_tail(bytes));
        self.held.extend_from_slice(tail);
        let mut rest = whole;
        while let Some(&first) = rest.first() {
            match self.place {
                Place::Plain => {
                    let end = match memchr(ESC, rest) {
                        Some(at) => at + 1,
                        None => rest.len(),
                    };
                    self.plain(screen, &rest[..end]);
                    if rest[end - 1] == ESC {
                        screen.settled = false;
                        self.place = Place::Escape;
                    }
                    rest = &rest[end..];
                }
                Place::Escape => {
                    self.parser.advance(screen, &rest[..1]);
                    if first == ESC {
                        screen.settled = false;
                    }
                    self.place = match first {
                        b']' => Place::Payload(Kind::Osc, 0),
                        b'P' => Place::Payload(Kind::Dcs, 0),
                        b'X' | b'^' | b'_' => Place::Payload(Kind::Unheard, 0),
                        CAN | SUB => Place::Plain,
                        // Executed or ignored in place: the sequence is still to come.
                        0..=0x1f | 0x7f..=0xff => Place::Escape,
                        _ => Place::Plain,
                    };
                    rest = &rest[1..];
                }
                Place::Payload(kind, seen) => {
                    let ends = |at: &usize| kind.ended_by(rest[*at]) || rest[*at..].starts_with(ST);
                    let end = (0..rest.len()).find(ends).unwrap_or(rest.len());
                    let room = MAX_STRING.saturating_sub(seen).min(end);
                    self.payload(screen, kind, &rest[..room]);
                    self.place = Place::Payload(kind, seen.saturating_add(end));
                    if let Some(after) = rest[end..].strip_prefix(ST) {
                        self.parser.advance(screen, ST_7);
                        self.place = Place::Plain;
                        rest = after;
                        continue;
                    }
                    if let Some(&last) = rest.get(end) {
                        self.parser.advance(screen, &[last]);
                        self.place = if last == ESC { Place::Escape } else { Place::Plain };
                        if last == ESC {
                            screen.settled = false;
                        }
                    }
                    rest = &rest[(end + 1).min(rest.len())..];
                }
            }
        }
    }

    /// A part of a control string. In a device control string a byte of 0x9c would be its end to the parser, also in the middle of
    /// a character; nobody looks at more of it than ASCII.
    fn payload(&mut self, screen: &mut Screen, kind: Kind, bytes: &[u8]) {
        if kind == Kind::Dcs {
            bytes.split(|byte| !byte.is_ascii()).for_each(|ascii| self.parser.advance(screen, ascii));
        } else {
            self.parser.advance(screen, bytes);
        }
    }

    /// Text, or the rest of a sequence. A byte of 0x80 to 0x9f that belongs to no character is printed like every other that
    /// does not: as U+FFFD. (Inside a sequence the parser passes over the bytes of both.)
    fn plain(&mut self, screen: &mut Screen, bytes: &[u8]) {
        let (mut told, mut at) = (0, 0);
        while let Err(error) = simdutf8::compat::from_utf8(&bytes[at..]) {
            at += error.valid_up_to();
            let invalid = error.error_len().unwrap_or(bytes.len() - at);
            if matches!(bytes[at..at + invalid], [0x80..=0x9f]) {
                self.parser.advance(screen, &bytes[told..at]);
                self.parser.advance(screen, "\u{fffd}".as_bytes());
                told = at + invalid;
            }
            at += invalid;
        }
        self.parser.advance(screen, &bytes[told..]);
    }
}
