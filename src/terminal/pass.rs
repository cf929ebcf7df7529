//! Plain lines that are passed over: looked at in the stream, told when they are wanted, and not drawn.
//!
//! While it goes on, the emulator stands still. What it will show is known from the bytes: the last lines of them, as many as
//! there is room for. They are drawn when it ends, over what stood there before, which was told long ago. Refuses to begin
//! where a line would not stand in rows of its own, just as it is.

use super::screen::columns;
use super::sieve::{Feeder, NO_NUMBER, Wanted};
use super::skim::{collect_colours, colour_len};
use super::work::SEQUENCE;
use super::{Kind, Line};
use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

/// Longest line that is passed over, bytes with its colours.
const LONGEST: usize = 4096;

/// Lines are being passed over. Places are in the bytes that wait.
pub(super) struct Passing {
    cols: usize,
    rows: usize,
    /// Whole plain lines up to here.
    seen: usize,
    /// From here on they would stand on the screen; all before have been told.
    standing: usize,
    /// The line before: nothing before it is needed any more.
    kept: usize,
    /// What was drawn before this began ends here.
    drawn: usize,
    /// Colours that were set before `kept`, after `drawn`.
    colours: Vec<u8>,
    /// What drawing all that has been passed over would have counted for, in characters.
    passed: u64,
    /// The last of them that is printed: it can be repeated (REP).
    last: Option<char>,
}

impl Passing {
    /// After `head` was drawn, plain lines that fill the screen. Of the first of them rows may have left it: it is told from here, and by
    /// nobody else, since what the emulator knows of it goes while it is mute. `None` where they do not fill it.
    pub(super) fn begin(bytes: &[u8], head: Range<usize>, (cols, rows): (usize, usize)) -> Option<Self> {
        let (mut standing, mut room) = (head.end, rows.saturating_sub(1));
        while room > 0 && standing > head.start {
            let start = line_start(bytes, head.start, standing);
            room = room.saturating_sub(rows_of(&bytes[start..standing], cols));
            standing = start;
        }
        (room == 0).then(|| Self {
            cols,
            rows,
            seen: head.end,
            standing,
            kept: standing,
            drawn: head.end,
            colours: Vec::new(),
            passed: 0,
            last: None,
        })
    }

    /// Where to go on.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// Passes over the plain lines up to `end`; those that leave the screen are told if they are wanted.
    pub(super) fn go_on<F: FnMut(Line)>(
        &mut self,
        feeder: &mut Feeder<'_, F>,
        end: usize,
        wanted: &mut impl Wanted,
    ) {
        self.seen = end;
        let (mut standing, mut room) = (end, self.rows.saturating_sub(1));
        while room > 0 && standing > self.standing {
            let start = line_start(feeder.bytes, self.standing, standing);
            room = room.saturating_sub(rows_of(&feeder.bytes[start..standing], self.cols));
            standing = start;
        }
        if standing <= self.standing {
            return;
        }
        self.tell(feeder, self.standing..standing, wanted);
        // One more line is drawn than stands, so that the first row has the background that it should have.
        let kept = line_start(feeder.bytes, self.standing, standing);
        let gone = feeder.bytes.get(self.kept.max(self.drawn)..kept).unwrap_or_default();
        let text = strip(gone);
        self.passed = self.passed.saturating_add(text.chars().count() as u64);
        self.last = text.chars().rfind(|c| *c >= ' ').or(self.last);
        let sequences = collect_colours(gone, &mut self.colours);
        self.passed = self.passed.saturating_add(sequences.saturating_mul(SEQUENCE));
        (self.standing, self.kept) = (standing, kept);
    }

    /// Tells which of these lines are wanted.
    fn tell<F: FnMut(Line)>(
        &self,
        feeder: &mut Feeder<'_, F>,
        lines: Range<usize>,
        wanted: &mut impl Wanted,
    ) {
        let raw = &feeder.bytes[lines.clone()];
        let text = strip(raw);
        // Where the line begins that was told last, in the text and in the bytes.
        let (mut from, mut text_at, mut raw_at) = (0, 0, 0);
        while let Some(found) = wanted.next(&text, from).filter(|found| *found < text.len()) {
            let start = line_start(text.as_bytes(), from, found + 1);
            let end = line_end(text.as_bytes(), found);
            let line = text[start..end].trim_end_matches(['\r', '\n']);
            let shown = self.without_blanks(line);
            if let Some(until) = wanted.line(shown) {
                raw_at = match text.len() == raw.len() {
                    true => start,
                    false => {
                        let printed = raw_at + raw_len(&raw[raw_at..], start - text_at);
                        line_start(raw, raw_at, printed + 1)
                    }
                };
                text_at = start;
                self.tell_one(feeder, lines.start + raw_at, (line, shown), until);
            }
            from = end;
        }
    }

    /// A line without the blanks at its end: those of its last row.
    fn without_blanks<'a>(&self, line: &'a str) -> &'a str {
        let blank_from = line.trim_end_matches(' ').len();
        if blank_from == line.len() {
            return line;
        }
        let last_row = wraps(line, self.cols).last().unwrap_or(0);
        &line[..blank_from.max(last_row)]
    }

    /// Tells the line whose bytes begin at `at`, and whose text is this with blanks and without.
    fn tell_one<F: FnMut(Line)>(
        &self,
        feeder: &mut Feeder<'_, F>,
        at: usize,
        (text, shown): (&str, &str),
        until: usize,
    ) {
        let bytes = feeder.bytes;
        let end = line_end(bytes, at);
        // When the n-th byte of the line came.
        let when = |n: usize| feeder.time(at + raw_len(&bytes[at..end], n));
        let written = when(text.len().saturating_sub(1));
        let (first, complete) = match (shown.len() - shown.trim_start_matches(' ').len(), until) {
            _ if text.is_empty() => (Duration::ZERO, Duration::ZERO),
            (_, 1..) => {
                let stood = when(until.min(text.len()) - 1);
                (stood, stood)
            }
            // A row of blanks begins anew with each of them.
            (blanks, _) if blanks == shown.len() => (written, written),
            // A row of blanks changes once more where the next one begins.
            (blanks, _) => (when(last_byte(text, blanks.min(self.cols))), written),
        };
        let line = Line {
            number: NO_NUMBER,
            kind: Kind::Scrolled,
            first,
            complete,
            last: self.leaves(feeder, end),
            text: shown.to_owned(),
            overlap: 0,
            goes_on: false,
        };
        (feeder.told)(line);
    }

    /// When the row leaves the screen that is full at `end`, where its line feed stands before.
    fn leaves<F: FnMut(Line)>(&self, feeder: &Feeder<'_, F>, end: usize) -> Duration {
        let mut at = end;
        let mut scrolls = self.rows.saturating_sub(1);
        while scrolls > 0 && at < self.seen {
            let next = line_end(feeder.bytes, at);
            let line = &feeder.bytes[at..next];
            let further = rows_of(line, self.cols).saturating_sub(1);
            if scrolls <= further {
                let text = strip(line);
                let wrap = wraps(&text, self.cols).nth(scrolls - 1).unwrap_or_default();
                return feeder.time(at + raw_len(line, last_byte(&text, wrap)));
            }
            scrolls -= further + 1;
            at = next;
        }
        feeder.time(at.saturating_sub(1))
    }

    /// Draws what stands on the screen now.
    pub(super) fn leave<F: FnMut(Line)>(self, feeder: &mut Feeder<'_, F>) {
        let time = feeder.time(self.kept);
        feeder.shown.output_at(time, &self.colours, feeder.told);
        if let Some(screen) = feeder.shown.screen_mut() {
            // The colours have been counted where they stood.
            let again = SEQUENCE * memchr::memchr_iter(0x1b, &self.colours).count() as u64;
            screen.work.done = screen.work.done.saturating_add(self.passed).saturating_sub(again);
            screen.last = self.last.or(screen.last);
        }
        // What is pushed out has been told.
        feeder.shown.mute(true);
        feeder.feed(self.kept..self.seen);
        feeder.shown.mute(false);
    }

    /// The bytes before this place are not needed; from now on places are counted from there.
    pub(super) fn rebase(&mut self) -> usize {
        let kept = self.kept;
        for place in [&mut self.seen, &mut self.standing, &mut self.kept, &mut self.drawn] {
            *place = place.saturating_sub(kept);
        }
        kept
    }
}

/// Where the line begins that ends at `end`, after its line feed; not before `from`.
fn line_start(bytes: &[u8], from: usize, end: usize) -> usize {
    memchr::memrchr(b'\n', &bytes[from..end.saturating_sub(1).max(from)]).map_or(from, |feed| from + feed + 1)
}

/// Where the line ends that begins at `at`, after its line feed.
fn line_end(bytes: &[u8], at: usize) -> usize {
    at + memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len() - at, |feed| feed + 1)
}

/// How many rows a plain line takes.
fn rows_of(line: &[u8], cols: usize) -> usize {
    let length = line.len().saturating_sub(2);
    if length <= cols {
        return 1;
    }
    let text = strip(line);
    1 + wraps(text.trim_end_matches(['\r', '\n']), cols).count()
}

/// Where in the text of a line a row begins, but the first: where there is no room left for a character.
fn wraps(text: &str, cols: usize) -> impl Iterator<Item = usize> + '_ {
    let ascii = text.is_ascii();
    let (mut characters, mut row, mut column) = (text.char_indices(), 0, 0);
    std::iter::from_fn(move || {
        if ascii {
            row += cols.max(1);
            return (row < text.len()).then_some(row);
        }
        characters.find_map(|(at, c)| {
            column += columns(c);
            let wraps = column > cols;
            if wraps {
                column = columns(c);
            }
            wraps.then_some(at)
        })
    })
}

/// Where the character ends that begins at this byte: with that it is drawn.
fn last_byte(text: &str, at: usize) -> usize {
    let length = text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    at + length - 1
}

/// How many bytes there are before the `n`-th byte of the text, counted from 0: colours before it count.
fn raw_len(raw: &[u8], n: usize) -> usize {
    let (mut at, mut left) = (0, n);
    loop {
        let rest = raw.get(at..).unwrap_or_default();
        let text = memchr::memchr(0x1b, rest).unwrap_or(rest.len());
        if left < text || rest.is_empty() {
            return at + left.min(text);
        }
        left -= text;
        at += text;
        at += raw.get(at..).map_or(0, |colour| colour_len(colour).unwrap_or(colour.len()));
    }
}

/// The text of plain lines: without colours.
fn strip(lines: &[u8]) -> Cow<'_, str> {
    // UTF-8 throughout, or they would not be plain.
    let text = |bytes| simdutf8::basic::from_utf8(bytes).unwrap_or_default();
    if memchr::memchr(0x1b, lines).is_none() {
        return Cow::Borrowed(text(lines));
    }
    let mut out = String::with_capacity(lines.len());
    let mut rest = lines;
    while let Some(escape) = memchr::memchr(0x1b, rest) {
        let (before, from) = rest.split_at(escape);
        out.push_str(text(before));
        rest = &from[colour_len(from).unwrap_or(from.len())..];
    }
    out.push_str(text(rest));
    Cow::Owned(out)
}

/// Length of the plain lines at the start: nothing but characters that take a column or two, colours, and carriage return and line
/// feed at the end of each.
pub(super) fn plain_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        // Many at once: as many as end within the longest that one may be.
        let Some(feed) = memchr::memrchr(b'\n', &rest[..rest.len().min(LONGEST)]) else { return at };
        let lines = &rest[..=feed];
        if is_plain(lines) {
            at += lines.len();
            continue;
        }
        let end = at + lines.len();
        while at < end {
            match plain_line(&bytes[at..]) {
                Some(len) => at += len,
                None => return at,
            }
        }
    }
}

/// Whether lines are ASCII text without colours. Written so that the compiler looks at many bytes at once.
fn is_plain(lines: &[u8]) -> bool {
    let pair = |before: u8, byte: u8| {
        let ends = (before == b'\r') == (byte == b'\n');
        ends & (matches!(byte, b' '..=b'~') | (byte == b'\r') | (byte == b'\n'))
    };
    let after = lines.get(1..).unwrap_or_default();
    lines.first().is_some_and(|first| pair(0, *first))
        && lines.iter().zip(after).fold(true, |plain, (before, byte)| plain & pair(*before, *byte))
}

/// Length of the line at the start, with its end, if it is plain.
fn plain_line(bytes: &[u8]) -> Option<usize> {
    let feed = memchr::memchr(b'\n', bytes.get(..LONGEST).unwrap_or(bytes))?;
    let line = bytes.get(..feed)?.strip_suffix(b"\r")?;
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += match byte {
            b' '..=b'~' => 1,
            0x1b => colour_len(&line[at..])?,
            0x80.. => characters_len(&line[at..])?,
            _ => return None,
        };
    }
    Some(feed + 1)
}

/// Length of the characters at the start that are not ASCII, if they are characters, and neither marks on others nor controls.
fn characters_len(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..length]).ok()?;
    text.chars().all(|c| c >= '\u{a0}' && columns(c) > 0).then_some(length)
}

/// Whether this may be the beginning of a plain line whose end has not come yet.
pub(super) fn is_beginning(bytes: &[u8]) -> bool {
    bytes.len() < LONGEST && memchr::memchr(b'\n', bytes).is_none()
}
