//! What was typed, line by line, as filters and search read it.
//!
//! A line ends at Return. It is told as it was typed, control characters left out, and once more with its corrections made
//! (Backspace, ^U, ^W), if that is something else. Where a segment ends, what has been typed of a line is told and kept: what
//! is told next begins with it again, so that no word is torn there. A very long line is told in pieces, each of which begins
//! with the end of the one before.

use crate::cast::{Event, Payload};
use std::time::Duration;

/// Longest line, in bytes; a longer one is told in pieces.
const MAX_LINE: usize = 16 << 10;
/// What such a piece begins with of the end of the one before it, in bytes: no less than the longest text that is searched for.
const OVERLAP: usize = 4 << 10;

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedLine {
    /// When its first character was typed, since the start of the session; of a further piece of a very long line, when the
    /// piece before it was full.
    pub first: Duration,
    /// When it ended.
    pub last: Duration,
    /// The text.
    pub text: String,
    /// The text with its corrections made, where that differs.
    pub corrected: Option<String>,
    /// Bytes at the beginning of the two that have been told before.
    told: (usize, usize),
}

impl TypedLine {
    /// Its texts, what was corrected first, each with how many bytes at its beginning have been told before.
    pub fn texts(&self) -> impl Iterator<Item = (&str, usize)> {
        let corrected = self.corrected.as_deref().map(|text| (text, self.told.1));
        corrected.into_iter().chain([(self.text.as_str(), self.told.0)])
    }
}

/// Reads input and tells lines.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    first: Option<Duration>,
    last: Duration,
    /// The first bytes of a character.
    part: Vec<u8>,
    text: String,
    corrected: String,
    /// Bytes at the beginning of the two that have been told.
    told: (usize, usize),
}

impl Typed {
    /// Takes an event; only input matters. Gives whether a line ended in it.
    pub fn event(&mut self, event: &Event, told: &mut impl FnMut(TypedLine)) -> bool {
        let Payload::Input(bytes) = &event.payload else { return false };
        let mut ended = false;
        let mut rest = bytes.as_slice();
        while let Some((byte, after)) = rest.split_first() {
            if matches!(byte, b'\r' | b'\n') {
                self.last = event.time;
                self.finish(told);
                ended = true;
                rest = after;
                continue;
            }
            if self.text.len() >= MAX_LINE {
                self.cut(event.time, told);
            }
            self.first.get_or_insert(event.time);
            self.last = event.time;
            let plain = self.plain(rest);
            if plain == 0 {
                self.byte(*byte);
            }
            rest = rest.get(plain.max(1)..).unwrap_or_default();
        }
        ended
    }

    /// Takes the plain text that comes next, as much as a piece has room for; gives its length.
    fn plain(&mut self, bytes: &[u8]) -> usize {
        if !self.part.is_empty() {
            return 0;
        }
        let room = MAX_LINE.saturating_sub(self.text.len());
        let plain = bytes.iter().take(room).take_while(|byte| matches!(byte, b' '..=b'~')).count();
        let text = bytes.get(..plain).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        self.text.push_str(text);
        self.corrected.push_str(text);
        text.len()
    }

    /// Takes a byte of the line. Those that are no UTF-8 are passed over.
    fn byte(&mut self, byte: u8) {
        self.part.push(byte);
        match std::str::from_utf8(&self.part) {
            Ok(text) => {
                let c = text.chars().next();
                self.part.clear();
                c.into_iter().for_each(|c| self.character(c));
            }
            // There is more to come of the character.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                self.part.clear();
                // It may begin another one.
                match byte {
                    ..0x80 => self.character(char::from(byte)),
                    0xc2..=0xf4 => self.part.push(byte),
                    _ => {}
                }
            }
        }
    }

    fn character(&mut self, c: char) {
        match c {
            '\x7f' | '\x08' => drop(self.corrected.pop()),
            '\x15' => self.corrected.clear(),
            '\x17' => {
                let kept = self.corrected.trim_end_matches(' ');
                let from = kept.rfind(' ').map_or(0, |at| at + 1);
                self.corrected.truncate(from);
            }
            c if c.is_control() => {}
            c => {
                self.text.push(c);
                self.corrected.push(c);
            }
        }
        // What was taken away changes the line: it is told anew, all of it.
        if self.corrected.len() < self.told.1 {
            self.told.1 = 0;
        }
    }

    /// The line is too long: tells a piece, and keeps the end of it.
    fn cut(&mut self, now: Duration, told: &mut impl FnMut(TypedLine)) {
        self.pause(told);
        for text in [&mut self.text, &mut self.corrected] {
            let from = text.floor_char_boundary(text.len().saturating_sub(OVERLAP));
            text.drain(..from);
        }
        self.told = (self.text.len(), self.corrected.len());
        self.first = Some(now);
    }

    /// The segment ends: tells what has been typed of a line, which goes on.
    pub fn pause(&mut self, told: &mut impl FnMut(TypedLine)) {
        if let Some(line) = self.line() {
            self.told = (self.text.len(), self.corrected.len());
            told(line);
        }
    }

    /// The line ends, or the session: tells what is left of it.
    pub fn finish(&mut self, told: &mut impl FnMut(TypedLine)) {
        let line = self.line();
        *self = Self::default();
        line.into_iter().for_each(told);
    }

    /// The line so far, if it holds something that was not told.
    fn line(&self) -> Option<TypedLine> {
        let first = self.first.filter(|_| !self.text.is_empty())?;
        let told = self.told;
        if told == (self.text.len(), self.corrected.len()) {
            return None;
        }
        let corrected = Some(&self.corrected).filter(|text| **text != self.text && !text.is_empty());
        Some(TypedLine {
            first,
            last: self.last,
            text: self.text.clone(),
            corrected: corrected.cloned(),
            told,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(ms: u64, bytes: &[u8]) -> Event {
        Event::new(Duration::from_millis(ms), Payload::Input(bytes.to_vec()))
    }

    #[test]
    fn lines_are_told_as_typed_and_as_corrected() {
        let mut lines = Vec::new();
        let mut typed = Typed::default();
        for (ms, bytes) in
            [(5, &b"cta\x7f\x7fat x"[..]), (9, b"\rls ab\x17-l\x1b[A\n"), (20, b"\r\xffwho\x15ami")]
        {
            typed.event(&input(ms, bytes), &mut |line| lines.push(line));
        }
        typed.finish(&mut |line| lines.push(line));
        let told: Vec<_> = lines
            .iter()
            .map(|l| (l.first.as_millis(), l.last.as_millis(), l.text.as_str(), l.corrected.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (5, 9, "ctaat x", Some("cat x")),
                (9, 9, "ls ab-l[A", Some("ls -l[A")),
                (20, 20, "whoami", Some("ami"))
            ]
        );
    }

    #[test]
    fn what_is_no_text_is_passed_over_wherever_it_is_split() {
        let bytes =
            "aé\u{1f600}b".bytes().chain(*b"\xe2\x82c\xc3\xc3\xa9\xf0\x9fd\xff\xbfe").collect::<Vec<_>>();
        let expected: String = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).collect();
        for at in 0..=bytes.len() {
            let mut lines = Vec::new();
            let mut typed = Typed::default();
            for bytes in [&bytes[..at], &bytes[at..]] {
                typed.event(&input(1, bytes), &mut |line| lines.push(line));
            }
            typed.finish(&mut |line| lines.push(line));
            assert_eq!((lines.len(), lines[0].text.as_str()), (1, expected.as_str()), "{at}");
        }
    }

    /// What is told: the text, what was corrected, and how much of them was told before.
    fn told(line: &TypedLine) -> Vec<(&str, usize)> {
        line.texts().collect()
    }

    #[test]
    fn a_line_goes_on_where_a_segment_ends() {
        let (mut typed, mut lines) = (Typed::default(), Vec::new());
        typed.event(&input(5, b"echo xIMPORT"), &mut |_| panic!("it has not ended"));
        typed.pause(&mut |line| lines.push(line));
        // Nothing was typed in this one.
        typed.pause(&mut |_| panic!("that was told"));
        typed.event(&input(70, b"\x7f\x7f\x7f\x7f\x7f\x7f\x7fIMPORTANTFILE\r"), &mut |line| lines.push(line));
        typed.event(&input(80, b"ls\r"), &mut |line| lines.push(line));
        assert_eq!(told(&lines[0]), [("echo xIMPORT", 0)]);
        assert_eq!(told(&lines[1]), [("echo IMPORTANTFILE", 0), ("echo xIMPORTIMPORTANTFILE", 12)]);
        assert_eq!((lines[1].first, lines[1].last), (Duration::from_millis(5), Duration::from_millis(70)));
        assert_eq!(told(&lines[2]), [("ls", 0)]);
    }

    #[test]
    fn no_word_of_a_very_long_line_is_torn() {
        // Bytes that are no character, and others that take no room, count for nothing.
        let word = |n: usize| format!("TOKEN-{n:06}-é");
        let line: Vec<u8> = (0..9000).flat_map(|n| [word(n).as_bytes(), b"\x1b\x00 \xff"].concat()).collect();
        let (mut typed, mut lines) = (Typed::default(), Vec::new());
        for (n, bytes) in (0..).zip(line.chunks(1001)) {
            typed.event(&input(n, bytes), &mut |line| lines.push(line));
            if n % 40 == 39 {
                typed.pause(&mut |line| lines.push(line));
            }
        }
        typed.finish(&mut |line| lines.push(line));
        for n in 0..9000 {
            let word = word(n);
            let new = |line: &&TypedLine| {
                line.texts().any(|(text, told)| text.find(&word).is_some_and(|at| at + word.len() > told))
            };
            assert_eq!(lines.iter().filter(new).count(), 1, "{word}");
        }
        assert!(lines.iter().all(|line| line.text.len() < MAX_LINE + 4 && line.corrected.is_none()));
    }
}
