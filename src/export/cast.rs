//! asciicast, versions 3 and 2.
//!
//! Times come from the recording's own clock, whole milliseconds; events that are left out leave their time behind. A
//! character that was cut between two events appears when it is whole. Each maximal run of bytes that begin no character
//! becomes one U+FFFD (as the Unicode standard recommends and most decoders do).

use super::Losses;
use crate::cast::line::{self, push_seconds, push_string};
use crate::cast::{Event, Header, Payload};
use crate::container::Opening;
use crate::replay::canvas;
use crate::terminal::{Canvas, Terminal, drawn_on};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// Which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
}

/// Writes a cast.
pub(super) struct Cast {
    version: Version,
    /// Where there was no terminal to put a carriage return before a line feed, it is put here.
    canvas: Canvas,
    encoder: line::Encoder,
    last: Duration,
    output: Stream,
    error_output: Stream,
    input: Stream,
    lines: Vec<u8>,
}

/// What is left of a stream from the event before.
#[derive(Default)]
struct Stream {
    /// The beginning of a character.
    tail: Vec<u8>,
    /// The last character was a carriage return.
    after_cr: bool,
}

impl Cast {
    pub(super) fn begin(version: Version, opening: &Opening, out: &mut impl Write) -> io::Result<Self> {
        let mut header = opening.cast.clone();
        header.version = 3;
        (header.term.cols, header.term.rows) = drawn_on(opening.size());
        match version {
            Version::V3 => serde_json::to_writer(&mut *out, &header)?,
            Version::V2 => serde_json::to_writer(&mut *out, &v2(&header))?,
        }
        out.write_all(b"\n")?;
        Ok(Self {
            version,
            canvas: canvas(opening),
            encoder: line::Encoder::default(),
            last: Duration::ZERO,
            output: Stream::default(),
            error_output: Stream::default(),
            input: Stream::default(),
            lines: Vec::new(),
        })
    }

    pub(super) fn event(
        &mut self,
        event: &Event,
        losses: &mut Losses,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let time = event.time;
        self.last = time;
        let bare = self.canvas.is_bare(&event.payload);
        match &event.payload {
            Payload::Output(bytes) => {
                let text = self.output.text(bytes, bare, losses);
                self.text(time, "o", &text);
            }
            Payload::ErrorOutput(bytes) => {
                losses.error_output += bytes.len() as u64;
                let text = self.error_output.text(bytes, bare, losses);
                self.text(time, "o", &text);
            }
            Payload::Input(bytes) => {
                let text = self.input.text(bytes, false, losses);
                self.text(time, "i", &text);
            }
            Payload::Resize { cols: 0, .. } | Payload::Resize { rows: 0, .. } => losses.resizes += 1,
            Payload::Resize { cols, rows } => self.line(time, "r", &format!("{cols}x{rows}")),
            Payload::Marker(label) => self.line(time, "m", label),
            Payload::Gap(gap) => {
                losses.gaps += 1;
                self.line(time, "m", &format!("gap: {gap}"));
            }
            Payload::Exit(status) if self.version == Version::V3 => self.line(time, "x", &status.to_string()),
            Payload::Exit(status) => {
                losses.exit = Some(*status);
                // Players take the last event for the end of the session.
                self.line(time, "o", "");
            }
            Payload::Withheld(count) => losses.withheld += u64::from(*count),
            Payload::Other { code, .. } => losses.other(code),
            Payload::Keyframe(_) | Payload::Anchor(_) => {}
        }
        out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        cut: Option<&str>,
        losses: &mut Losses,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match cut {
            Some(note) => self.hole(note, losses, out),
            None => {
                self.rests(losses);
                out.write_all(&self.lines)
            }
        }
    }

    /// Something is missing here, as `note` says: a character that was cut there goes no further.
    pub(super) fn hole(&mut self, note: &str, losses: &mut Losses, out: &mut impl Write) -> io::Result<()> {
        self.rests(losses);
        self.line(self.last, "m", note);
        out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    /// The screen as it stands from here on, whatever stood before it: of its size, where that is known.
    pub(super) fn screen(
        &mut self,
        time: Duration,
        keyframe: &str,
        losses: &mut Losses,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if let Some((cols, rows)) = Terminal::size_of(keyframe) {
            self.event(&Event::new(time, Payload::Resize { cols, rows }), losses, out)?;
        }
        self.event(&Event::new(time, Payload::Output(keyframe.as_bytes().to_vec())), losses, out)
    }

    /// An empty screen from here on.
    pub(super) fn blank(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.line(self.last, "o", "\x1bc");
        out.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    /// What never became a character.
    fn rests(&mut self, losses: &mut Losses) {
        let rests = [(&mut self.output, "o"), (&mut self.error_output, "o"), (&mut self.input, "i")];
        let rests = rests.map(|(stream, code)| (stream.rest(losses), code));
        for (rest, code) in rests {
            self.text(self.last, code, &rest);
        }
    }

    fn text(&mut self, time: Duration, code: &str, text: &str) {
        if !text.is_empty() {
            self.line(time, code, text);
        }
    }

    fn line(&mut self, time: Duration, code: &str, data: &str) {
        match self.version {
            Version::V3 => {
                let payload = Payload::Other { code: code.to_owned(), data: data.to_owned() };
                self.encoder.encode(&Event::new(time, payload), &mut self.lines);
            }
            Version::V2 => {
                self.lines.push(b'[');
                push_seconds(line::stored(time), &mut self.lines);
                self.lines.push(b',');
                push_string(code, &mut self.lines);
                self.lines.push(b',');
                push_string(data, &mut self.lines);
                self.lines.extend_from_slice(b"]\n");
            }
        }
    }
}

impl Stream {
    /// The text of `bytes`, with what was left from before, without what is still incomplete.
    fn text(&mut self, bytes: &[u8], bare: bool, losses: &mut Losses) -> String {
        let mut all = std::mem::take(&mut self.tail);
        all.extend_from_slice(bytes);
        let whole = all.len().saturating_sub(crate::text::incomplete_tail(&all));
        self.tail = all.split_off(whole);
        let text = replaced(&all, losses);
        if bare { self.with_carriage_returns(&text, losses) } else { text }
    }

    fn with_carriage_returns(&mut self, text: &str, losses: &mut Losses) -> String {
        let mut out = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            if c == '\n' && !self.after_cr {
                out.push('\r');
                losses.carriage_returns += 1;
            }
            self.after_cr = c == '\r';
            out.push(c);
        }
        out
    }

    /// What never became a character.
    fn rest(&mut self, losses: &mut Losses) -> String {
        replaced(&std::mem::take(&mut self.tail), losses)
    }
}

fn replaced(bytes: &[u8], losses: &mut Losses) -> String {
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        text.push_str(piece.valid());
        if !piece.invalid().is_empty() {
            text.push('\u{fffd}');
            losses.replaced += piece.invalid().len() as u64;
        }
    }
    text
}

/// Header of version 2.
#[derive(serde::Serialize)]
struct HeaderV2<'a> {
    version: u8,
    width: u16,
    height: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<&'a str, &'a str>,
}

fn v2(header: &Header) -> HeaderV2<'_> {
    let mut env: BTreeMap<&str, &str> =
        header.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if let Some(kind) = &header.term.kind {
        env.insert("TERM", kind);
    }
    HeaderV2 {
        version: 2,
        width: header.term.cols,
        height: header.term.rows,
        timestamp: header.timestamp,
        command: header.command.as_deref(),
        title: header.title.as_deref(),
        env,
    }
}
