//! What the parser calls: characters, controls, escape sequences and control strings.
//!
//! Nothing is ever answered: a query in a recording was a question to the operator's terminal, and is told as an
//! [`Event`].

use super::Event;
use super::charset::Charset;
use super::modes::Mode;
use super::screen::{Links, Screen};
use super::snapshot;
use super::work::SEQUENCE;
use crate::text;
use alacritty_terminal::index::Line;
use alacritty_terminal::term::cell::Hyperlink;

/// Longest title, clipboard text, address or query that is told, in bytes; more is cut.
pub(super) const MAX_TOLD: usize = 4 << 10;
/// Longest address of a link, in bytes (the limit of VTE); longer ones are no links.
const MAX_LINK: usize = 2083;
/// Most text of links on the screens, in bytes; when it is used up, text stands there without its link. A screen full of
/// links of an ordinary length is far below it.
pub(super) const MAX_LINKS: usize = 16 << 20;
/// What a link takes besides its text.
const LINK: usize = 128;
/// Titles kept by XTWINOPS 22, as in xterm.
const MAX_TITLES: usize = 10;

/// The text of a control string, cut at a character border.
pub(super) fn told(bytes: &[u8]) -> String {
    let mut told = String::new();
    let bytes = bytes.get(..MAX_TOLD).unwrap_or(bytes);
    for piece in bytes[..bytes.len() - text::incomplete_tail(bytes)].utf8_chunks() {
        told.push_str(piece.valid());
        if !piece.invalid().is_empty() && told.len() + 3 <= MAX_TOLD {
            told.push('\u{fffd}');
        }
    }
    told
}

impl vte::Perform for Screen {
    #[inline]
    fn print(&mut self, c: char) {
        self.settled = true;
        self.work.done += 1;
        // The parser takes DEL for a character; terminals pass over it.
        if c != '\x7f' {
            self.put(c);
        }
    }

    #[inline]
    fn execute(&mut self, byte: u8) {
        self.work.done += 1;
        match byte {
            0x07 => self.tell(Event::Bell),
            0x08 => self.backspace(),
            0x09 => self.tab(1),
            0x0a..=0x0c => {
                self.line_feed();
                if self.modes.has(Mode::LineFeed) {
                    self.carriage_return();
                }
            }
            0x0d => self.carriage_return(),
            0x0e => self.shift = 1,
            0x0f => self.shift = 0,
            // CAN and SUB end whatever sequence was open.
            0x18 | 0x1a => self.settled = true,
            // Nor does anything happen at U+0080 to U+009F (`doc/SCREENS.md`).
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &vte::Params, intermediates: &[u8], ignore: bool, action: char) {
        self.settled = true;
        self.work.done += SEQUENCE;
        if !ignore {
            self.csi(params, intermediates, action);
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        self.settled = true;
        self.work.done += 2;
        if ignore {
            return;
        }
        match (intermediates, byte) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'6') if self.x() == self.left => self.shift_columns(self.left, 1, true),
            ([], b'6') => self.back(1),
            ([], b'9') if self.x() == self.right => self.shift_columns(self.left, 1, false),
            ([], b'9') => self.forward(1),
            ([], b'=') => self.modes.put(Mode::Keypad, true),
            ([], b'>') => self.modes.put(Mode::Keypad, false),
            ([], b'c') => self.reset(),
            ([], b'D') => self.line_feed(),
            ([], b'E') => self.next_line(),
            ([], b'H') => self.set_tab(),
            ([], b'M') => self.reverse_line_feed(),
            ([], b'N') => self.single = Some(2),
            ([], b'O') => self.single = Some(3),
            ([], b'n') => self.shift = 2,
            ([], b'o') => self.shift = 3,
            ([], b'Z') => self.tell(Event::Query("DECID".into())),
            ([b'#'], b'8') => self.alignment(),
            ([set @ b'('..=b'+'], byte) => self.sets[usize::from(set - b'(')] = Charset::designated(byte),
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        self.settled = true;
        self.work.done += 4;
        let [number, rest @ ..] = params else { return };
        let Some(number) = std::str::from_utf8(number).ok().and_then(|n| n.parse::<u16>().ok()) else {
            return;
        };
        let joined = || told(&rest.join(&b';'));
        match number {
            0 | 2 => {
                self.title = joined();
                self.tell(Event::Title(self.title.clone()));
            }
            7 => self.tell(Event::Directory(joined())),
            8 => self.link(rest),
            9 | 99 | 777 => self.tell(Event::Notification(joined())),
            52 => {
                let [selection, data @ ..] = rest else { return };
                let (selection, data) = (told(selection), told(&data.join(&b';')));
                self.tell(if data == "?" {
                    Event::Query(format!("clipboard {selection}"))
                } else {
                    Event::Clipboard { selection, data }
                });
            }
            133 => self.tell(Event::Prompt(joined())),
            4 | 5 | 10..=19 if rest.last() == Some(&&b"?"[..]) => {
                self.tell(Event::Query(format!("colour {number}")))
            }
            // In a keyframe only: whoever writes to the terminal could part words with it that stand together.
            snapshot::PRIVATE if self.recreating => self.recreate(rest),
            _ => {}
        }
    }

    fn hook(&mut self, _: &vte::Params, intermediates: &[u8], _: bool, action: char) {
        self.device.clear();
        self.device.extend(intermediates.iter().map(|byte| char::from(*byte)));
        self.device.push(action);
    }

    fn put(&mut self, byte: u8) {
        if self.device.len() < 256 && byte.is_ascii_graphic() {
            self.device.push(char::from(byte));
        }
    }

    fn unhook(&mut self) {
        self.settled = true;
        self.work.done += 4;
        let device = std::mem::take(&mut self.device);
        self.tell(if device.starts_with("$q") || device.starts_with("+q") {
            Event::Query(format!("DCS {device}"))
        } else {
            Event::Device(device)
        });
    }
}

impl Screen {
    fn backspace(&mut self) {
        // A pending wrap stands beyond the last column, but does not count as a step.
        self.back(1);
    }

    pub(super) fn next_line(&mut self) {
        self.line_feed();
        self.carriage_return();
    }

    fn set_tab(&mut self) {
        let x = self.x();
        self.tabs[x] = true;
    }

    /// OSC 8: `params ; address`; an empty address ends the link.
    fn link(&mut self, rest: &[&[u8]]) {
        let [params, address @ ..] = rest else { return };
        let address = address.join(&b';');
        if address.is_empty() || address.len() > MAX_LINK {
            return self.grid.cursor.template.set_hyperlink(None);
        }
        let id =
            params.split(|byte| *byte == b':').find_map(|pair| pair.strip_prefix(b"id=")).unwrap_or_default();
        let (id, address) = (told(if id.len() > 250 { b"" } else { id }), told(&address));
        self.tell(Event::Link(address.clone()));
        let link = self.has_room_for(id.len() + address.len()).then(|| Hyperlink::new(Some(id), address));
        self.grid.cursor.template.set_hyperlink(link);
    }

    /// Whether a link of so many bytes may stand on the screen. What stands there is counted now and then: links go with
    /// the text that they are on, and nobody says so.
    fn has_room_for(&mut self, bytes: usize) -> bool {
        self.links.since += bytes + LINK;
        if self.links.since >= MAX_LINKS / 4 {
            self.work.note(2 * self.cols * self.rows);
            self.links = Links { standing: self.standing_links(), since: bytes + LINK };
        }
        let fits = self.links.standing + self.links.since <= MAX_LINKS;
        if !fits {
            self.work.refuse();
        }
        fits
    }

    pub(super) fn standing_links(&self) -> usize {
        let mut bytes = 0;
        for grid in [&self.grid, &self.other] {
            let mut before = None;
            for cell in
                (0..self.rows).flat_map(|y| &grid[Line(y as i32)][..]).filter(|cell| cell.extra.is_some())
            {
                let link = cell.hyperlink();
                if let Some(link) = link.as_ref().filter(|_| link != before) {
                    bytes += link.id().len() + link.uri().len() + LINK;
                }
                before = link;
            }
        }
        bytes
    }

    pub(super) fn push_title(&mut self) {
        if self.titles.len() < MAX_TITLES {
            self.titles.push(self.title.clone());
        }
    }

    pub(super) fn pop_title(&mut self) {
        if let Some(title) = self.titles.pop() {
            self.title = title;
            self.tell(Event::Title(self.title.clone()));
        }
    }
}
