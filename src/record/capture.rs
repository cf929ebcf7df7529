//! Bytes and the time they came at, made into events. Pure: no clock, no descriptor.
//!
//! Reads end where the kernel's buffers end, in the middle of a character as like as not. The beginning of one, at
//! most three bytes, is held back until the next bytes of the same stream, so that a character is stored as text and
//! with the time at which it was complete. Nothing is changed or left out.

use crate::cast::{Event, Payload};
use crate::text::incomplete_tail;
use std::time::Duration;

/// A stream of bytes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What the terminal was given; standard output where there is none.
    Output,
    /// Standard error where it is not the terminal.
    Error,
    /// What was typed; standard input where it is not the terminal.
    Input,
}

impl Stream {
    /// What it is called where machines read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "stdout",
            Self::Error => "stderr",
            Self::Input => "stdin",
        }
    }

    /// What it is called where people read.
    pub fn described(self) -> &'static str {
        match self {
            Self::Output => "standard output",
            Self::Error => "standard error",
            Self::Input => "standard input",
        }
    }

    fn payload(self, bytes: Vec<u8>) -> Payload {
        match self {
            Self::Output => Payload::Output(bytes),
            Self::Error => Payload::ErrorOutput(bytes),
            Self::Input => Payload::Input(bytes),
        }
    }
}

/// The beginnings of characters that are held back, one place for each stream.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    held: [Vec<u8>; 3],
}

impl Capture {
    /// The event of `bytes`, which arrived at `time` after the start. `None` when all of it is held back.
    pub fn bytes(&mut self, stream: Stream, time: Duration, mut bytes: Vec<u8>) -> Option<Event> {
        let held = &mut self.held[stream as usize];
        if !held.is_empty() {
            bytes.splice(..0, held.drain(..));
        }
        let tail = incomplete_tail(&bytes);
        if tail > 0 {
            held.extend(bytes.drain(bytes.len().saturating_sub(tail)..));
        }
        (!bytes.is_empty()).then(|| Event::new(time, stream.payload(bytes)))
    }

    /// What is still held back, at the end of the session or of a stream: it stays as it is.
    pub fn rest(&mut self, time: Duration) -> Vec<Event> {
        let streams = [Stream::Output, Stream::Error, Stream::Input];
        let rest = streams.into_iter().filter_map(|stream| {
            let bytes = std::mem::take(&mut self.held[stream as usize]);
            (!bytes.is_empty()).then(|| Event::new(time, stream.payload(bytes)))
        });
        rest.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_millis(7);

    fn output(events: &[Event]) -> Vec<Vec<u8>> {
        let bytes = events.iter().map(|e| match &e.payload {
            Payload::Output(bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        });
        bytes.collect()
    }

    fn fed(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut capture = Capture::default();
        let mut events: Vec<Event> =
            pieces.iter().filter_map(|p| capture.bytes(Stream::Output, NOW, p.to_vec())).collect();
        events.extend(capture.rest(NOW));
        output(&events)
    }

    #[test]
    fn a_character_split_over_reads_is_stored_whole() {
        assert_eq!(fed(&[b"a\xf0\x9f", b"\xa6", b"\x80b"]), [b"a".to_vec(), "🦀b".as_bytes().to_vec()]);
    }

    #[test]
    fn an_incomplete_character_at_the_end_is_stored_as_it_is() {
        assert_eq!(fed(&[b"a\xe2\x80"]), [b"a".to_vec(), b"\xe2\x80".to_vec()]);
        assert_eq!(fed(&[b"\xff\xff"]), [b"\xff\xff".to_vec()]);
    }

    #[test]
    fn streams_do_not_complete_one_another() {
        let mut capture = Capture::default();
        assert_eq!(capture.bytes(Stream::Output, NOW, b"\xc3".to_vec()), None);
        let error = capture.bytes(Stream::Error, NOW, b"\xb1".to_vec()).unwrap();
        assert_eq!(error.payload, Payload::ErrorOutput(b"\xb1".to_vec()));
        let input = capture.bytes(Stream::Input, NOW, b"x".to_vec()).unwrap();
        assert_eq!(input.payload, Payload::Input(b"x".to_vec()));
        let output = capture.bytes(Stream::Output, NOW, b"\xb1".to_vec()).unwrap();
        assert_eq!(output.payload, Payload::Output("ñ".as_bytes().to_vec()));
        assert!(capture.rest(NOW).is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_comes_out_in_order_and_text_is_never_cut(
            text in "\\PC{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..20), cut in 1..7usize
        ) {
            let whole = [text.as_bytes(), &bytes].concat();
            let pieces: Vec<&[u8]> = whole.chunks(cut).collect();
            prop_assert_eq!(fed(&pieces).concat(), whole);
            let texts: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            prop_assert!(fed(&texts).iter().all(|piece| std::str::from_utf8(piece).is_ok()));
        }
    }
}
