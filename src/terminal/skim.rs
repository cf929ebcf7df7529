//! Text that scrolls through too fast to be read, without drawing it.
//!
//! A flood of plain lines leaves on the screen only its end. [`Terminal::skim`] draws that end and remembers the colours set
//! before it; the screen is afterwards exactly what [`Terminal::feed`] would have made, and so is what has been earned (tests
//! compare the two): where one is refused something, so is the other. Whatever is more than lines and colours is fed.

use super::Terminal;
use super::modes::Mode;
use super::screen::Screen;
use super::work::SEQUENCE;

/// How much of a flood is looked at together.
const TOGETHER: usize = 64 << 10;
/// How many bytes are looked at at once.
const BLOCK: usize = 32;

impl Terminal {
    /// [`Terminal::skim`] for pieces of a flood that come one after the other: `waiting` holds what has not been fed yet, at
    /// most about 64 KiB more than `bytes`. While nothing but plain lines come, all but the last of them are forgotten without
    /// being drawn. To see the screen, feed it what is waiting with [`Terminal::skim`].
    pub(super) fn skim_on(&mut self, waiting: &mut Vec<u8>, bytes: &[u8]) {
        waiting.extend_from_slice(bytes);
        if waiting.len() < TOGETHER {
            return;
        }
        match self.skim_to_last(waiting) {
            Some((colours, from)) if colours.len() + waiting.len() - from < TOGETHER / 2 => {
                waiting.splice(..from, colours);
            }
            last => {
                self.feed_last(waiting, last);
                waiting.clear();
            }
        }
    }

    /// [`Terminal::feed_guarded`] for large pieces of which only the screen at the end matters. Events of what is passed over
    /// are not raised: there are none in plain text.
    pub fn skim(&mut self, bytes: &[u8]) {
        let last = self.skim_to_last(bytes);
        self.feed_last(bytes, last);
    }

    fn feed_last(&mut self, bytes: &[u8], last: Option<(Vec<u8>, usize)>) {
        if let Some((colours, from)) = last {
            self.feed_guarded(&colours);
            self.feed_guarded(&bytes[from..]);
        }
    }

    /// Skims all but the lines that are last where nothing but plain lines comes from there on: the colours that are to be fed before
    /// them, and where they begin.
    fn skim_to_last(&mut self, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            // What the piece before has begun, a character or a sequence, seldom goes on beyond its line.
            if !self.intake.at_rest(&self.screen) {
                at += self.feed_line(rest);
                continue;
            }
            let plain = &rest[..plain_len(rest)];
            if scrolls_whole(&self.screen) {
                let (colours, from) = end_of(plain, self.screen.rows, self.screen.y());
                self.pass_over(&plain[..from], &colours);
                if plain.len() == rest.len() {
                    return Some((colours, at + from));
                }
                self.feed_guarded(&colours);
                self.feed_guarded(&plain[from..]);
            } else {
                self.feed_guarded(plain);
            }
            // Nor does what is more than lines and colours.
            at += plain.len() + self.feed_line(&rest[plain.len()..]);
        }
        None
    }

    /// Feeds the line at the start, with its line feed if it has one. How long it is.
    fn feed_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        self.feed_guarded(&bytes[..end]);
        end
    }

    /// Does what drawing the plain text that is passed over would have: goes to the start of a line, as its last one ends so, and
    /// earns as much, but for the colours of it that are yet to be drawn. Nobody counts while more cannot be saved up, as in
    /// nearly every flood.
    fn pass_over(&mut self, passed: &[u8], colours: &[u8]) {
        if passed.is_empty() {
            return;
        }
        // What follows may be line feeds alone, which stay in their column.
        self.screen.carriage_return();
        let work = &mut self.screen.work;
        if !work.is_full() {
            work.done = work.done.saturating_add(drawn(passed).saturating_sub(drawn(colours)));
        }
    }
}

/// How much is done to draw plain text: every character, control and byte that belongs to none counts, and every sequence.
fn drawn(plain: &[u8]) -> u64 {
    let (mut done, mut rest) = (0, plain);
    while !rest.is_empty() {
        let (text, from) = rest.split_at(memchr::memchr(0x1b, rest).unwrap_or(rest.len()));
        let pieces = text.utf8_chunks();
        done += pieces
            .map(|piece| (piece.valid().chars().count() + usize::from(!piece.invalid().is_empty())) as u64)
            .sum::<u64>();
        done += if from.is_empty() { 0 } else { SEQUENCE };
        rest = &from[passing_len(from).unwrap_or(from.len())..];
    }
    done
}

/// A line feed on the last row pushes the whole screen up, and costs nothing; nor does a character.
fn scrolls_whole(screen: &Screen) -> bool {
    !screen.on_alt
        && (screen.top, screen.bottom) == (0, screen.rows - 1)
        && (screen.left, screen.right) == (0, screen.cols - 1)
        && screen.single.is_none()
        && !screen.modes.has(Mode::Insert)
}

/// How far there is nothing but printed text, tabs, line ends, colours (SGR) and erasing within the line (EL: `grep --color` and
/// compilers). Bytes of UTF-8 count as text, and so do those that belong to no character, but C1 controls do not.
fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += ordinary_len(&bytes[at..]);
        at += match bytes.get(at) {
            Some(0x1b) => match passing_len(&bytes[at..]) {
                Some(len) => len,
                None => return at,
            },
            // What could be the beginning of a C1 control, whole or cut off by the end, or half of a character.
            Some(0xc2) if matches!(bytes.get(at + 1), Some(0xa0..=0xbf)) => 2,
            _ => return at,
        };
    }
}

/// How far no byte needs a look of its own.
fn ordinary_len(bytes: &[u8]) -> usize {
    let special = |block: &[u8; BLOCK]| block.iter().fold(false, |special, byte| special | is_special(*byte));
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let at = blocks.iter().take_while(|block| !special(block)).count() * BLOCK;
    at + bytes[at..].iter().take_while(|byte| !is_special(**byte)).count()
}

/// Whether a byte needs a look of its own. Written so that the compiler looks at many at once.
fn is_special(byte: u8) -> bool {
    let control = (byte < 0x20) & (byte != b'\t') & (byte != b'\r') & (byte != b'\n');
    control | (byte == 0x7f) | (byte == 0xc2)
}

/// Length of the SGR sequence at the start.
pub(super) fn colour_len(bytes: &[u8]) -> Option<usize> {
    let body = bytes.strip_prefix(b"\x1b[")?;
    let parameters = body.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    (body.get(parameters) == Some(&b'm')).then_some(parameters + 3)
}

/// The same, or of one that erases in its line: both leave nothing behind once the line has scrolled away, but the pen.
fn passing_len(bytes: &[u8]) -> Option<usize> {
    colour_len(bytes).or_else(|| {
        let body = bytes.strip_prefix(b"\x1b[")?;
        let parameter = usize::from(matches!(body.first(), Some(b'0'..=b'2')));
        (body.get(parameter) == Some(&b'K')).then_some(parameter + 3)
    })
}

/// Appends the colours set in plain lines, from the last reset on: nothing before it matters. Gives how many sequences there were.
pub(super) fn collect_colours(plain: &[u8], colours: &mut Vec<u8>) -> u64 {
    let reset = memchr::memrchr_iter(0x1b, plain).find(|at| is_reset(&plain[*at..]));
    let (before, mut rest) = plain.split_at(reset.unwrap_or(0));
    let mut sequences = memchr::memchr_iter(0x1b, before).count() as u64;
    if reset.is_some() {
        colours.clear();
    }
    while let Some(escape) = memchr::memchr(0x1b, rest) {
        sequences += 1;
        let from = &rest[escape..];
        let (colour, after) = from.split_at(passing_len(from).unwrap_or(from.len()));
        if !colour.ends_with(b"K") {
            colours.extend_from_slice(colour);
        }
        rest = after;
    }
    sequences
}

fn is_reset(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1b[m") || bytes.starts_with(b"\x1b[0m")
}

/// Where the part begins that decides what stands on a screen of `rows` rows with the cursor in row `y`, and the colours set before it.
///
/// The first line feeds from there bring the cursor to the last row; the next ones push up every row that held something else.
fn end_of(plain: &[u8], rows: usize, y: usize) -> (Vec<u8>, usize) {
    let mut feeds = 0;
    let decides = (2 * rows).saturating_sub(1 + y);
    for at in memchr::memrchr_iter(b'\n', plain) {
        feeds += 1;
        if feeds <= decides || at == 0 || plain[at - 1] != b'\r' {
            continue;
        }
        let (before, kept) = plain.split_at(at + 1);
        // The last character printed must be among what is kept: it can be repeated (REP).
        if !prints(kept) {
            continue;
        }
        let mut colours = Vec::new();
        collect_colours(before, &mut colours);
        return (colours, at + 1);
    }
    (Vec::new(), 0)
}

fn prints(plain: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = plain.get(at) {
        match byte {
            0x1b => at += passing_len(&plain[at..]).unwrap_or(1),
            0x21..=0x7e => return true,
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::work::Work;
    use super::*;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            20 => "[ -~]{0,30}",
            5 => "\\PC{0,20}",
            5 => (0..120u8, "[a-z ]{0,9}").prop_map(|(n, text)| format!("\x1b[{n}m{text}\t|")),
            5 => ("[a-z ]{0,9}", 0..4usize, "[a-z ]{0,15}")
                .prop_map(|(one, n, two)| format!("{one}\x1b[41m\x1b[{}K{two}", ["", "0", "1", "2"][n])),
            2 => Just("\x1b[0mback to normal".to_owned()),
            2 => Just("\x1b[38;5;9;48:2::1:2:3mcolours\x1b[m".to_owned()),
            1 => Just(String::new()),
            1 => Just("\u{9b}2J".to_owned()),
            1 => prop_oneof![
                Just("\x1b[2;4r"), Just("\x1b[r"), Just("\x1b[?1049h"), Just("\x1b[?1049l"), Just("\x1b[5b"),
                Just("\x1b[H"), Just("\x1b[4h"), Just("\x1b[4l\x1b[2J"), Just("\x1b[2J"), Just("\x1b(0qqq"), Just("\x1b[?7l"), Just("\x1bN"), Just("\x1b7"),
                Just("\x07"), Just("\x1b]0;title\x07"), Just("\x1b[?69h\x1b[3;9s"), Just("\x0e"), Just("a\x08b"),
            ].prop_map(str::to_owned),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        let end = prop_oneof![20 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
        proptest::collection::vec((line(), end), 0..90)
            .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn a_skimmed_screen_is_the_drawn_one(texts in proptest::collection::vec(text(), 1..4), cut in 0usize..5, rows in 1u16..9,
            stray in proptest::option::of(0x80u8..=0xff)) {
            let (mut skimmed, mut drawn) = (Terminal::new(20, rows), Terminal::new(20, rows));
            // Nothing is saved up, so that all that is earned counts.
            (skimmed.screen.work, drawn.screen.work) = (Work::with_credit(200), Work::with_credit(200));
            for text in &texts {
                // Cut anywhere, also inside a sequence or a character; and not all of it text.
                let mut bytes = text.as_bytes()[..text.len().saturating_sub(cut)].to_vec();
                if let Some(byte) = stray.filter(|_| !bytes.is_empty()) {
                    let at = usize::from(byte) * 31 % bytes.len();
                    bytes.insert(at, byte);
                }
                let bytes = bytes.as_slice();
                skimmed.skim(bytes);
                drawn.feed_guarded(bytes);
                prop_assert_eq!(skimmed.text(), drawn.text());
                prop_assert_eq!(skimmed.snapshot(), drawn.snapshot());
                prop_assert_eq!(skimmed.screen.work.account(), drawn.screen.work.account());
            }
        }
    }

    #[test]
    fn after_what_is_passed_over_a_line_feed_alone_stays_in_the_first_column() {
        let (mut skimmed, mut drawn, mut in_pieces) =
            (Terminal::new(20, 1), Terminal::new(20, 1), Terminal::new(20, 1));
        let text = format!("{}{}A", "line\r\n".repeat(12_000), "\n".repeat(3));
        for terminal in [&mut skimmed, &mut drawn, &mut in_pieces] {
            terminal.feed(b"ab");
        }
        drawn.feed(text.as_bytes());
        skimmed.skim(text.as_bytes());
        let mut waiting = Vec::new();
        in_pieces.skim_on(&mut waiting, text.as_bytes());
        in_pieces.skim(&waiting);
        assert_eq!((skimmed.snapshot(), in_pieces.snapshot()), (drawn.snapshot(), drawn.snapshot()));
    }

    #[test]
    fn what_is_passed_over_earns_what_it_would_have_earned_drawn() {
        let lines = |n: usize| {
            let line =
                |n: usize| format!("\x1b[3{}mline {n} – of \x1b[Ka flood\x1b[m\tthat scrolls\r\n", n % 8);
            (0..n)
                .flat_map(|n| [line(n).into_bytes(), b"\x88\xe2\x82\r\n".to_vec()].concat())
                .collect::<Vec<u8>>()
        };
        let (cols, rows) = (80, 25);
        let erases = (super::super::work::CREDIT / (cols * rows)) as usize;
        let (cols, rows) = (cols as u16, rows as u16);
        let mut waiting = Vec::new();
        let (mut drawn, mut skimmed, mut in_pieces) =
            (Terminal::new(cols, rows), Terminal::new(cols, rows), Terminal::new(cols, rows));
        // All that was saved up is spent; what the flood earns pays for the rest, and only just.
        for bytes in
            [lines(9000), b"\x1b[2J".repeat(erases), lines(3000), b"\x1b[2J".repeat(erases), lines(50)]
        {
            drawn.feed_guarded(&bytes);
            skimmed.skim(&bytes);
            bytes.chunks(3000).for_each(|piece| in_pieces.skim_on(&mut waiting, piece));
            assert_eq!(skimmed.screen.work.account(), drawn.screen.work.account());
        }
        in_pieces.skim(&waiting);
        assert_eq!(in_pieces.screen.work.account(), drawn.screen.work.account());
        assert!(drawn.overrun(), "so that the first refusal is the same one");
        assert_eq!((skimmed.snapshot(), in_pieces.snapshot()), (drawn.snapshot(), drawn.snapshot()));
    }

    #[test]
    fn bytes_that_are_no_text_do_what_they_do_when_they_are_drawn() {
        // CP437: 0x88 is an ê; it is printed, and passed over.
        let mut text = b"abcde\x88te\r\n".to_vec();
        (0..400).for_each(|n| text.extend_from_slice(format!("line {n}\r\n").as_bytes()));
        assert_eq!(plain_len(&text), text.len());
        let (mut skimmed, mut drawn) = (Terminal::new(80, 24), Terminal::new(80, 24));
        skimmed.skim(&text);
        drawn.feed_guarded(&text);
        assert_eq!(skimmed.snapshot(), drawn.snapshot());
    }

    #[test]
    fn a_flood_in_pieces_ends_in_the_same_screen_and_most_of_it_is_never_drawn() {
        let (mut skimmed, mut drawn) = (Terminal::new(80, 24), Terminal::new(80, 24));
        let mut waiting = Vec::new();
        let mut most = 0;
        for n in 0..40 {
            let mut text: String = (0..200)
                .map(|m| format!("\x1b[3{}mline {n} {m} of a log of some length\r\n", m % 8))
                .collect();
            if n % 16 == 9 {
                text.push_str("a\x08b\x1b[2;10r\x1b[5;5Hin the middle\x1b[r\x1b[24;1H");
            }
            skimmed.skim_on(&mut waiting, text.as_bytes());
            most = most.max(waiting.len());
            drawn.feed_guarded(text.as_bytes());
            if n == 8 {
                assert_eq!(skimmed.text().trim(), "", "over 64 KiB of lines and nothing was drawn");
            }
            if n % 7 == 3 && n > 8 {
                skimmed.skim(&std::mem::take(&mut waiting));
                assert_eq!(skimmed.snapshot(), drawn.snapshot(), "{n}");
            }
        }
        skimmed.skim(&waiting);
        assert_eq!(skimmed.snapshot(), drawn.snapshot());
        assert!(most < TOGETHER, "{most} bytes waited");
    }

    #[test]
    fn most_of_a_flood_is_passed_over() {
        let flood: String =
            (0..1000).map(|n| format!("\x1b[32m\x1b[Kline {n}\x1b[0m\x1b[K of a build\r\n")).collect();
        assert_eq!(plain_len(flood.as_bytes()), flood.len());
        for (y, lines) in [(0, 47), (23, 24)] {
            let (colours, from) = end_of(flood.as_bytes(), 24, y);
            assert_eq!(flood[from..].lines().count(), lines);
            assert_eq!(colours, b"\x1b[0m");
        }
    }
}
