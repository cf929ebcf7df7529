//! What was typed, line by line, as filters and search read it.
//!
//! A line ends at Return and where a segment ends. It is told as it was typed, control characters left out, and once more
//! with its corrections made (Backspace, ^U, ^W), if that is something else.

use crate::cast::{Event, Payload};
use std::time::Duration;

/// Longest line, in bytes; a longer one is told in pieces.
const MAX_LINE: usize = 16 << 10;

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedLine {
    /// When its first character was typed, since the start of the session.
    pub first: Duration,
    /// When it ended.
    pub last: Duration,
    /// The text.
    pub text: String,
    /// The text with its corrections made, where that differs.
    pub corrected: Option<String>,
}

/// Reads input and tells lines.
#[derive(Debug, Default)]
pub struct Typed {
    first: Option<Duration>,
    last: Duration,
    bytes: Vec<u8>,
}

impl Typed {
    /// Takes an event; only input matters.
    pub fn event(&mut self, event: &Event, told: &mut impl FnMut(TypedLine)) {
        let Payload::Input(bytes) = &event.payload else { return };
        for byte in bytes {
            if matches!(byte, b'\r' | b'\n') || self.bytes.len() >= MAX_LINE {
                self.last = event.time;
                self.finish(told);
            }
            if !matches!(byte, b'\r' | b'\n') {
                self.first.get_or_insert(event.time);
                self.last = event.time;
                self.bytes.push(*byte);
            }
        }
    }

    /// The segment ends: tells what has been typed of a line.
    pub fn finish(&mut self, told: &mut impl FnMut(TypedLine)) {
        let bytes = std::mem::take(&mut self.bytes);
        let Some(first) = self.first.take() else { return };
        let (mut text, mut corrected) = (String::new(), String::new());
        for c in bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars()) {
            match c {
                '\x7f' | '\x08' => drop(corrected.pop()),
                '\x15' => corrected.clear(),
                '\x17' => {
                    let kept = corrected.trim_end_matches(' ');
                    corrected.truncate(kept.rfind(' ').map_or(0, |at| at + 1));
                }
                c if c.is_control() => {}
                c => {
                    text.push(c);
                    corrected.push(c);
                }
            }
        }
        if !text.is_empty() {
            let corrected = Some(corrected).filter(|corrected| *corrected != text && !corrected.is_empty());
            told(TypedLine { first, last: self.last, text, corrected });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_as_typed_and_as_corrected() {
        let mut lines = Vec::new();
        let mut typed = Typed::default();
        for (ms, bytes) in
            [(5, &b"cta\x7f\x7fat x"[..]), (9, b"\rls ab\x17-l\x1b[A\n"), (20, b"\r\xffwho\x15ami")]
        {
            let event = Event::new(Duration::from_millis(ms), Payload::Input(bytes.to_vec()));
            typed.event(&event, &mut |line| lines.push(line));
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
}
