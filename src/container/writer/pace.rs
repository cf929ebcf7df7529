//! How a segment is compressed: thoroughly while a person could follow it, and as a flood takes it when it is one.
//!
//! Which of the ways of a flood, what flows tells: see [`limits`]. Refuses to decide what is recorded; whatever is chosen here, a reader
//! reads it.

use super::super::error::Error;
use super::super::limits;
use super::{Sink, Writer};
use crate::sys::deflate::{Directive, Settings};
use crate::sys::memory::wipe;
use std::time::Duration;

/// A way to compress a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// [`limits::FLOOD`].
    Usual,
    /// [`limits::FLOOD_LIGHT`].
    Light,
    /// [`limits::FLOOD_NUMBERED`].
    Numbered,
}

impl Way {
    fn settings(self) -> Settings {
        match self {
            Self::Usual => limits::FLOOD,
            Self::Light => limits::FLOOD_LIGHT,
            Self::Numbered => limits::FLOOD_NUMBERED,
        }
    }
}

/// How far the segment in hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calm,
    /// It has become a flood, and is still compressed as before.
    Rising,
    Flood(Way),
}

/// What decides how a segment is compressed.
#[derive(Debug)]
pub(super) struct Pace {
    state: State,
    /// How the next flood is compressed, and for how many segments more; `None` where that is to be tried.
    next: Option<(Way, u8)>,
    /// Bytes of output and input that may still be compressed thoroughly, at the time of the last event.
    patience: usize,
    patience_at: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            state: State::Calm,
            next: Some((Way::Usual, 0)),
            patience: limits::CALM_FIRST,
            patience_at: Duration::ZERO,
        }
    }

    /// So many bytes came, `now` on the clock of the events.
    pub(super) fn came(&mut self, now: Duration, bytes: usize) {
        if !self.is_calm(now, bytes) && self.state == State::Calm {
            self.state = State::Rising;
        }
    }

    /// Whether these bytes may be compressed thoroughly, as far as time since the last ones goes: see [`limits::CALM`].
    fn is_calm(&mut self, now: Duration, bytes: usize) -> bool {
        let since = now.saturating_sub(self.patience_at);
        self.patience_at = now.max(self.patience_at);
        let regained = since.as_micros().saturating_mul(limits::CALM_RATE as u128) / 1_000_000;
        let regained = usize::try_from(regained).unwrap_or(usize::MAX);
        let patience = self.patience.saturating_add(regained).min(limits::CALM_MOST);
        self.patience = patience.saturating_sub(bytes);
        bytes <= patience
    }

    /// How the flood that has come up is compressed; `None` where that is to be tried.
    fn known(&mut self) -> Option<Way> {
        let (way, left) = self.next.take()?;
        self.next = left.checked_sub(1).map(|left| (way, left));
        Some(way)
    }

    /// The segment ends; `has_shrunk` tells whether it became so many times shorter. Whether it was a flood.
    fn ended(&mut self, has_shrunk: impl Fn(usize) -> bool) -> bool {
        let flood = matches!(std::mem::replace(&mut self.state, State::Calm), State::Flood(_));
        if flood && has_shrunk(limits::NUMBERED) {
            self.next = Some((Way::Numbered, 0));
        } else if !flood || has_shrunk(limits::FLOOD_TRIED_BELOW) {
            // What comes next is nothing of what came before; or no trial tells what becomes of it.
            self.next = Some((Way::Usual, 0));
        }
        flood
    }
}

impl<S: Sink> Writer<S> {
    /// Compresses what waits and all behind it as a flood takes it, where one has come up in the segment in hand.
    pub(super) fn keep_pace(&mut self) -> Result<(), Error> {
        if self.pace.state != State::Rising {
            return Ok(());
        }
        let way = match self.pace.known() {
            Some(way) => way,
            // What is too little to be tried is no reason for what comes later.
            None if self.lines.len() < limits::FLUSH_BYTES => Way::Usual,
            None => {
                let way = self.tried()?;
                self.pace.next = limits::FLOOD_TRIED.checked_sub(1).map(|left| (way, left));
                way
            }
        };
        self.pace.state = State::Flood(way);
        self.settings(way.settings())
    }

    /// Which way does for the lines that wait.
    fn tried(&mut self) -> Result<Way, Error> {
        let [usual, light] = [Way::Usual, Way::Light].map(|way| {
            self.settings(way.settings())?;
            // Of what grows, copies are left behind.
            let mut packed = Vec::with_capacity(self.lines.len().saturating_add(32 << 10));
            let done = self.deflate.compress(&self.lines, &mut packed, Directive::End);
            let length = packed.len();
            wipe(&mut packed);
            done.map(|()| length).map_err(|what| Error::Compression(what.to_owned()))
        });
        let most = usual?.saturating_mul(limits::FLOOD_LIGHT_MOST) / 100;
        Ok(if light? <= most { Way::Light } else { Way::Usual })
    }

    /// The frame of the segment has ended: the next one begins calm.
    pub(super) fn end_pace(&mut self) -> Result<(), Error> {
        match self.pace.ended(|times| self.deflate.has_shrunk(times)) {
            true => self.settings(limits::CALM),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::verify::{Origin, Verdict, verify};
    use super::super::{Extras, Setup};
    use super::*;
    use crate::cast::{Anchor, Event, Payload};
    use crate::container::SessionKeys;
    use std::io::Cursor;

    /// What becomes of each segment of a flood of these pieces, over and over, to so many bytes, after one of `calm` text. It is read
    /// back.
    fn states(pieces: &[Vec<u8>], bytes: usize, calm: bool) -> Vec<State> {
        let keys = SessionKeys::generate().unwrap();
        let mut writer = Writer::create(Vec::new(), keys, Setup::plain(), |_| Ok("SIG".into())).unwrap();
        let (mut now, mut states, mut done) = (Duration::ZERO, Vec::new(), 0);
        let anchor = |now: Duration| Anchor { at: now.as_millis().try_into().unwrap(), utc: 0, boot: 0 };
        if calm {
            writer.begin(anchor(now), None).unwrap();
            writer.push(&Event::new(now, Payload::Output(b"a prompt\r\n".into()))).unwrap();
            writer.end_segment(now, Extras::default()).unwrap();
        }
        for piece in pieces.iter().cycle() {
            now += Duration::from_millis(1);
            writer.begin(anchor(now), None).unwrap();
            writer.push(&Event::new(now, Payload::Output(piece.clone()))).unwrap();
            done += piece.len();
            let last = done >= bytes;
            if last || writer.segment_due(now) {
                states.push(writer.pace.state);
                writer.end_segment(now, Extras::default()).unwrap();
            }
            if last {
                break;
            }
        }
        let bytes = writer.finish(now, Extras::default()).map_err(|(e, _)| e).unwrap().1;
        let report = verify(Cursor::new(bytes), |_| Origin::Trusted("test".into()), |_| ()).unwrap();
        assert_eq!(report.verdict, Verdict::Intact);
        states
    }

    fn dice(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    fn noise() -> Vec<Vec<u8>> {
        let mut dice = dice(3);
        (0..200).map(|_| (0..2048).flat_map(|_| dice().to_le_bytes()).collect()).collect()
    }

    fn words() -> Vec<Vec<u8>> {
        let mut dice = dice(5);
        let words =
            ["über", "日本語", "kernel:", "\x1b[32mok\x1b[0m", "/usr/lib/x86_64-linux-gnu", "error", "0x7f"];
        let mut line = || {
            let words: Vec<&str> = (0..9).map(|_| words[(dice() >> 32) as usize % words.len()]).collect();
            format!("{} 0.{}\r\n", words.join(" "), dice())
        };
        (0..200).map(|_| (0..120).map(|_| line()).collect::<String>().into_bytes()).collect()
    }

    /// All of our own: two segments of it.
    fn source() -> Vec<Vec<u8>> {
        let (mut dirs, mut files) =
            (vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")], Vec::new());
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { dirs.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        let text: String = files.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        text.replace('\n', "\r\n").into_bytes().chunks(8000).map(<[u8]>::to_vec).collect()
    }

    fn numbers() -> Vec<Vec<u8>> {
        let text: String = (100_000..1_600_000).map(|n| format!("{n}\r\n")).collect();
        text.into_bytes().chunks(16_000).map(<[u8]>::to_vec).collect()
    }

    const SEGMENT: usize = limits::SEGMENT_BYTES as usize;

    #[test]
    fn of_a_flood_that_goes_on_that_way_is_taken_that_costs_less_and_makes_no_more() {
        let of = |pieces: &[Vec<u8>]| states(pieces, 4 * SEGMENT, false);
        // Of the first segment nothing is known.
        let [usual, light, numbered] = [Way::Usual, Way::Light, Way::Numbered].map(State::Flood);
        assert_eq!(of(&noise())[..3], [usual, light, light]);
        assert_eq!(of(&words())[..3], [usual, light, light]);
        assert_eq!(of(&source())[..3], [usual, usual, usual]);
        assert_eq!(of(&numbers())[..3], [usual, numbered, numbered]);
    }

    #[test]
    fn what_was_tried_holds_for_some_segments_and_what_changes_meanwhile_is_tried_then() {
        let [usual, light] = [Way::Usual, Way::Light].map(State::Flood);
        let mut pieces = noise().into_iter().cycle().take(3 * SEGMENT / 16_384).collect::<Vec<_>>();
        pieces.extend(source().into_iter().cycle().take(12 * SEGMENT / 8000));
        let states = states(&pieces, 13 * SEGMENT, false);
        let tried = 2 + usize::from(limits::FLOOD_TRIED);
        assert_eq!(states[0], usual, "of it nothing is known");
        assert!(states[1..tried].iter().all(|state| *state == light), "{states:?}");
        assert!(states[tried..].iter().all(|state| *state == usual), "{states:?}");
    }

    #[test]
    fn a_flood_that_is_over_says_nothing_of_the_next_and_what_can_be_followed_is_none() {
        assert_eq!(states(&noise(), SEGMENT, true), [State::Flood(Way::Usual)]);
        assert_eq!(states(&noise(), 20_000, true), [State::Calm]);
        let mut pace = Pace::new();
        pace.next = None;
        assert!(!pace.ended(|_| false));
        assert_eq!(pace.known(), Some(Way::Usual));
        assert_eq!(pace.known(), None);
    }
}
