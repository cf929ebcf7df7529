//! A recording in the formats of others: asciicast 3 and 2, raw output, plain text, JSON lines.
//!
//! Takes events in order and writes to whatever it is given; knows no paths and no keys. Refuses to lose anything
//! silently: what a format cannot carry is counted in [`Losses`].

mod cast;
mod json;
pub mod plain;
mod text;

use crate::cast::{Event, Payload};
use crate::container::Opening;
use crate::replay::canvas;
use crate::shell::said;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// asciicast v3 (<https://docs.asciinema.org/manual/asciicast/v3/>).
    Cast,
    /// asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>).
    Cast2,
    /// The bytes of the output, shown or written beside the terminal, and nothing else.
    Raw,
    /// What could be read, line by line, without control sequences.
    Text,
    /// Every event as a line of JSON; nothing is lost.
    Json,
}

/// What an export of a recording that was not closed ends with, where the format has a place for it: a marker in a cast, a line of
/// kind `open-end` in JSON, a line in brackets in text.
const OPEN_END: &str = "not closed: what comes after this is missing, or was not recorded yet";
/// The same where it goes to an end, which what is missing before it keeps from being proven.
const UNPROVEN: &str = "not closed: something before this is missing or damaged, and so it is not proven that nothing came after it";
/// What an export of a recording that could not be read to its end ends with, in the same places; the kind is `damaged` in JSON.
const DAMAGED: &str = "damaged: what comes after this could not be read";

/// What stands before something behind a hole where the screen as it stood there is not known.
pub const NO_SCREEN: &str = "damaged: nor is the screen known as it stood here; it begins empty";

/// Where an export as text goes on after something that would have cost too much to draw, and where one of a part begins there.
const UNDRAWN: &str = "from here on not all is drawn: it would have cost too much";

/// What the format could not carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bytes that are no UTF-8, replaced by U+FFFD.
    pub replaced: u64,
    /// Times that input was withheld from the recording: the format has no word for it.
    pub withheld: u64,
    /// Gaps: a marker in a cast, a line of its own in text, nothing in raw output.
    pub gaps: u64,
    /// Bytes of standard error that are mixed into the output.
    pub error_output: u64,
    /// Bytes of input left out.
    pub input: u64,
    /// Resizes left out, because the format has no place for them or because a side is zero.
    pub resizes: u64,
    /// Markers left out.
    pub markers: u64,
    /// The exit status was left out.
    pub exit: Option<i32>,
    /// Line feeds that got a carriage return before them, because nothing but a terminal adds it.
    pub carriage_returns: u64,
    /// Marks left out: what the shell told of its commands, and marks of others. Nothing of them was on the screen.
    pub told: u64,
    /// Events of unknown codes left out.
    pub unknown: u64,
    /// Something was not drawn for what it would have cost: what is told of the screen may not be what stood there.
    pub undrawn: bool,
}

impl Losses {
    /// Whether everything was carried.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// An event of a code that is in no cast.
    fn other(&mut self, code: &str) {
        match code {
            said::CODE => self.told += 1,
            _ => self.unknown += 1,
        }
    }
}

impl fmt::Display for Losses {
    /// One line: `12 bytes that are no UTF-8 became U+FFFD; …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |n: u64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let parts = [
            some(
                self.replaced,
                "byte that is no UTF-8 became U+FFFD",
                "bytes that are no UTF-8 became U+FFFD",
            ),
            some(self.withheld, "time input was withheld", "times input was withheld"),
            some(self.gaps, "gap in the recording", "gaps in the recording"),
            some(self.error_output, "byte of standard error mixed in", "bytes of standard error mixed in"),
            some(self.input, "byte of input left out", "bytes of input left out"),
            some(self.resizes, "resize left out", "resizes left out"),
            some(self.markers, "marker left out", "markers left out"),
            self.exit.map(|status| format!("exit status {status} left out")),
            some(self.carriage_returns, "carriage return added", "carriage returns added"),
            some(self.told, "mark of the shell left out", "marks of the shell left out"),
            some(self.unknown, "event of an unknown code left out", "events of unknown codes left out"),
            self.undrawn.then(|| "not all is drawn: it would have cost too much".to_owned()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

/// Writes one recording in one format.
pub struct Exporter<W: Write> {
    out: W,
    inner: Inner,
    losses: Losses,
    /// Time of the last event.
    last: Duration,
    /// Why the recording has no end, where it has none: that is to be said.
    cut: Option<Cut>,
}

/// Why an export has no end.
#[derive(Clone, Copy)]
enum Cut {
    Open,
    Unproven,
    Damaged,
}

impl Cut {
    fn note(self) -> &'static str {
        match self {
            Self::Open => OPEN_END,
            Self::Unproven => UNPROVEN,
            Self::Damaged => DAMAGED,
        }
    }

    /// The kind of its line of JSON.
    fn kind(self) -> &'static str {
        match self {
            Self::Open | Self::Unproven => "open-end",
            Self::Damaged => "damaged",
        }
    }
}

enum Inner {
    Cast(cast::Cast),
    Raw,
    Text(Box<text::Text>),
    Json,
}

impl<W: Write> Exporter<W> {
    /// Begins: writes what the format has at its head.
    ///
    /// # Errors
    /// The writer's.
    pub fn begin(
        format: Format,
        header: &crate::container::Header,
        opening: &Opening,
        mut out: W,
    ) -> io::Result<Self> {
        let inner = match format {
            Format::Cast => Inner::Cast(cast::Cast::begin(cast::Version::V3, opening, &mut out)?),
            Format::Cast2 => Inner::Cast(cast::Cast::begin(cast::Version::V2, opening, &mut out)?),
            Format::Raw => Inner::Raw,
            Format::Text => Inner::Text(Box::new(text::Text::begin(canvas(opening)))),
            Format::Json => {
                json::begin(header, opening, &mut out)?;
                Inner::Json
            }
        };
        Ok(Self { out, inner, losses: Losses::default(), last: Duration::ZERO, cut: None })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The writer's.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.last = event.time;
        match &mut self.inner {
            Inner::Cast(cast) => cast.event(event, &mut self.losses, &mut self.out),
            Inner::Raw => {
                if let Some(bytes) = shown(event, &mut self.losses) {
                    self.out.write_all(bytes)?;
                }
                Ok(())
            }
            Inner::Text(text) => match shown(event, &mut self.losses) {
                Some(bytes) => text.output(event, bytes, &mut self.out),
                None => text.event(event, &mut self.out),
            },
            Inner::Json => json::event(event, &mut self.out),
        }
    }

    /// What comes next begins with this event, the screen as it stood there: a keyframe as output, or a mark in its place. Only an
    /// export as text tells it from what a program showed there and then.
    ///
    /// # Errors
    /// The writer's.
    pub fn begins_with(&mut self, screen: &Event) -> io::Result<()> {
        match (&mut self.inner, &screen.payload) {
            (Inner::Text(text), Payload::Output(keyframe)) => {
                self.last = screen.time;
                text.screen(screen, keyframe, &mut self.out)
            }
            _ => self.event(screen),
        }
    }

    /// What comes next, at this time, begins with a screen of which not all is drawn: told before it, where the format has a place
    /// for it, since what writes or draws it has not come to that itself.
    ///
    /// # Errors
    /// The writer's.
    pub fn begins_undrawn(&mut self, time: Duration) -> io::Result<()> {
        self.losses.undrawn = true;
        match &mut self.inner {
            Inner::Text(text) => text.begins_undrawn(),
            Inner::Raw => {}
            Inner::Cast(_) | Inner::Json => {
                return self.event(&Event::new(time, Payload::Marker(UNDRAWN.to_owned())));
            }
        }
        Ok(())
    }

    /// Something is missing here, as `note` says: written in its place, where the format has one for it.
    ///
    /// # Errors
    /// The writer's.
    pub fn hole(&mut self, note: &str) -> io::Result<()> {
        match &mut self.inner {
            Inner::Cast(cast) => cast.hole(note, &mut self.losses, &mut self.out),
            Inner::Raw => Ok(()),
            Inner::Text(text) => text.hole(note, &mut self.out),
            Inner::Json => json::missing("damaged", note, self.last, &mut self.out),
        }
    }

    /// What comes next, behind a [hole](Exporter::hole), begins on a screen that is not known: told, and on an empty one.
    ///
    /// # Errors
    /// The writer's.
    pub fn goes_on_blind(&mut self) -> io::Result<()> {
        self.hole(NO_SCREEN)?;
        match &mut self.inner {
            Inner::Cast(cast) => cast.blank(&mut self.out),
            Inner::Text(text) => text.blank(&mut self.out),
            Inner::Raw | Inner::Json => Ok(()),
        }
    }

    /// What comes next begins with this screen, a keyframe of the recording: what was shown before it is not known. In JSON that is an
    /// event like any other.
    ///
    /// # Errors
    /// The writer's.
    pub fn goes_on_from(&mut self, screen: &Event) -> io::Result<()> {
        self.last = screen.time;
        let Payload::Keyframe(keyframe) = &screen.payload else { return self.event(screen) };
        match &mut self.inner {
            Inner::Json => json::event(screen, &mut self.out),
            Inner::Cast(cast) => cast.screen(screen.time, keyframe, &mut self.losses, &mut self.out),
            Inner::Text(text) => text.screen(screen, keyframe.as_bytes(), &mut self.out),
            Inner::Raw => self.out.write_all(keyframe.as_bytes()),
        }
    }

    /// From now on what is written says at its end that the recording has none.
    pub fn has_no_end(&mut self) {
        self.cut = Some(Cut::Open);
    }

    /// From now on what is written says at its end that nobody knows whether that is the end of the recording.
    pub fn ends_unproven(&mut self) {
        self.cut = Some(Cut::Unproven);
    }

    /// From now on what is written says at its end that the recording cannot be read on, whether it has an end or not.
    pub fn is_damaged(&mut self) {
        self.cut = Some(Cut::Damaged);
    }

    /// Ends, and tells what could not be carried.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<(Losses, W)> {
        match self.inner {
            Inner::Cast(cast) => cast.finish(self.cut.map(Cut::note), &mut self.losses, &mut self.out)?,
            Inner::Text(text) => {
                self.losses.undrawn |= text.is_undrawn();
                self.losses.replaced = text.finish(&mut self.out)?;
                // They were followed, or told: nothing about them is lost but themselves.
                (self.losses.resizes, self.losses.markers, self.losses.exit) = (0, 0, None);
                if let Some(cut) = self.cut {
                    writeln!(self.out, "{} [{}]", plain::OURS, cut.note())?;
                }
            }
            Inner::Json => {
                if let Some(cut) = self.cut {
                    json::missing(cut.kind(), cut.note(), self.last, &mut self.out)?;
                }
            }
            Inner::Raw => {}
        }
        self.out.flush()?;
        Ok((self.losses, self.out))
    }
}

/// The bytes of an event that are output; anything else is counted as lost.
fn shown<'a>(event: &'a Event, losses: &mut Losses) -> Option<&'a [u8]> {
    match &event.payload {
        Payload::Output(bytes) => return Some(bytes),
        Payload::ErrorOutput(bytes) => {
            losses.error_output += bytes.len() as u64;
            return Some(bytes);
        }
        Payload::Input(bytes) => losses.input += bytes.len() as u64,
        Payload::Resize { .. } => losses.resizes += 1,
        Payload::Marker(_) => losses.markers += 1,
        Payload::Exit(status) => losses.exit = Some(*status),
        Payload::Withheld(count) => losses.withheld += u64::from(*count),
        Payload::Gap(_) => losses.gaps += 1,
        Payload::Other { code, .. } => losses.other(code),
        // The reader's own bookkeeping: every format is whole without it.
        Payload::Keyframe(_) | Payload::Anchor(_) => {}
    }
    None
}

#[cfg(test)]
mod tests;
