//! Events as lines of asciicast v3, both ways.
//!
//! Written intervals are whole milliseconds; the rounding error is carried on to the next event, so time never drifts
//! by more than half a step. Bytes that are not UTF-8 travel as `[dt,"b","o:BASE64"]`, in the order they came:
//! decoding gives back every byte. Format: <https://docs.asciinema.org/manual/asciicast/v3/>, extended by codes that
//! readers of v3 pass over.

use super::{Event, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::borrow::Cow;
use std::time::Duration;

/// The longest line that is read: a keyframe of the largest screen is far below it.
pub const MAX_LINE: usize = 8 << 20;
/// The most bytes of output or input that one line holds; more are cut into lines of the same time. A control character
/// takes six bytes in JSON, so a line of nothing else still is below [`MAX_LINE`].
pub const MAX_BYTES: usize = 1 << 20;
/// The most bytes of a clock anchor or a gap that is read: a note with the longest path of Linux is far below it, whatever is in that. What
/// is wrong in one is told by repeating it, before anybody can say that it need not be.
pub const MAX_OBJECT: usize = 64 << 10;
/// As many characters are told of what is wrong with a line.
const TOLD: usize = 200;
/// The longest interval that is read, in seconds (about 31 years).
const MAX_INTERVAL: f64 = 1e9;
/// A valid run shorter than this between invalid bytes travels with them: a line of its own would cost more.
const SHORTEST_TEXT: usize = 24;
/// After this many invalid pieces, and when they are as dense as one in this many bytes, the rest is taken for bytes.
const HOPELESS: usize = 32;

/// Why a line could not be read.
#[derive(Debug)]
pub enum LineError {
    /// Not JSON, or not an array of interval, code and data: what is wrong with it, without its text.
    Syntax(String),
    /// The interval is negative, not a number, or absurd.
    Interval(f64),
    /// The data does not fit its code.
    Data {
        /// The event code.
        code: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Longer than [`MAX_LINE`].
    TooLong(usize),
}

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "not an asciicast event: {error}"),
            Self::Interval(value) => write!(f, "interval {value:?} is not between 0 and {MAX_INTERVAL} s"),
            Self::Data { code, what } => write!(f, "event `{}`: {what}", crate::text::escaped(code)),
            Self::TooLong(n) => write!(f, "line of {n} bytes; at most {MAX_LINE} are allowed"),
        }
    }
}

impl std::error::Error for LineError {}

/// The time of an event as lines keep it: to the nearest millisecond.
pub fn stored(time: Duration) -> u64 {
    u64::try_from(time.as_micros().saturating_add(500) / 1000).unwrap_or(u64::MAX)
}

/// Turns events into lines. Holds the time written so far, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    written: u64,
}

impl Encoder {
    /// An encoder whose previous event was at `ms` milliseconds.
    pub fn at(ms: u64) -> Self {
        Self { written: ms }
    }

    /// Time of the last event written, milliseconds since the start of the session.
    pub fn now(&self) -> u64 {
        self.written
    }

    /// Appends the lines of `event`, each ended by `\n`: one, or several where output or input is not all UTF-8 or has more
    /// than [`MAX_BYTES`]. Time never goes backwards: an earlier event is written at the time of the one before it.
    ///
    /// Text that is not output or input is never cut: a marker or a keyframe of more than [`MAX_LINE`] would not be read.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match &event.payload {
            Payload::Output(bytes) => self.bytes(event.time, 'o', bytes, out),
            Payload::ErrorOutput(bytes) => self.bytes(event.time, 'e', bytes, out),
            Payload::Input(bytes) => self.bytes(event.time, 'i', bytes, out),
            Payload::Resize { cols, rows } => self.text(event.time, "r", &format!("{cols}x{rows}"), out),
            Payload::Marker(label) => self.text(event.time, "m", label, out),
            Payload::Exit(status) => self.text(event.time, "x", &status.to_string(), out),
            Payload::Keyframe(screen) => self.text(event.time, "k", screen, out),
            Payload::Anchor(anchor) => self.json(event.time, "t", anchor, out),
            Payload::Withheld(count) => self.text(event.time, "w", &count.to_string(), out),
            Payload::Gap(gap) => self.json(event.time, "g", gap, out),
            Payload::Other { code, data } => self.text(event.time, code, data, out),
        }
    }

    fn json(&mut self, time: Duration, code: &str, value: &impl serde::Serialize, out: &mut Vec<u8>) {
        // These types hold strings and integers only: they always serialise.
        let data = serde_json::to_string(value).unwrap_or_default();
        self.text(time, code, &data, out);
    }

    fn bytes(&mut self, time: Duration, code: char, bytes: &[u8], out: &mut Vec<u8>) {
        let mut buffer = [0; 4];
        let code_text: &str = code.encode_utf8(&mut buffer);
        let mut rest = bytes;
        while rest.len() > MAX_BYTES {
            let (piece, after) = rest.split_at(border(rest, MAX_BYTES));
            self.piece(time, code_text, piece, out);
            rest = after;
        }
        self.piece(time, code_text, rest, out);
    }

    /// At most [`MAX_BYTES`].
    fn piece(&mut self, time: Duration, code_text: &str, bytes: &[u8], out: &mut Vec<u8>) {
        if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
            return self.text(time, code_text, text, out);
        }
        for run in runs(bytes) {
            match run {
                Run::Text(text) => self.text(time, code_text, text, out),
                Run::Bytes(bytes) => {
                    self.interval(time, out);
                    out.extend_from_slice(b",\"b\",\"");
                    out.extend_from_slice(code_text.as_bytes());
                    out.push(b':');
                    push_base64(bytes, out);
                    out.extend_from_slice(b"\"]\n");
                }
            }
        }
    }

    fn text(&mut self, time: Duration, code: &str, data: &str, out: &mut Vec<u8>) {
        self.interval(time, out);
        out.push(b',');
        push_string(code, out);
        out.push(b',');
        push_string(data, out);
        out.extend_from_slice(b"]\n");
    }

    fn interval(&mut self, time: Duration, out: &mut Vec<u8>) {
        let now = stored(time);
        let interval = now.saturating_sub(self.written);
        self.written = self.written.max(now);
        out.push(b'[');
        push_seconds(interval, out);
    }
}

fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.resize(from.saturating_add(bytes.len().div_ceil(3).saturating_mul(4)), b'=');
    // There is room for exactly as much.
    let _ = BASE64.encode_slice(bytes, out.get_mut(from..).unwrap_or_default());
}

/// Milliseconds as seconds, in the shortest decimal form: `0`, `1.5`, `0.012`.
pub fn push_seconds(ms: u64, out: &mut Vec<u8>) {
    out.extend_from_slice((ms / 1000).to_string().as_bytes());
    let rest = ms % 1000;
    if rest > 0 {
        out.push(b'.');
        let digits = [rest / 100, rest / 10 % 10, rest % 10];
        out.extend(digits.map(|digit| b'0' | u8::try_from(digit).unwrap_or(0)));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Appends a JSON string, as serde_json writes it (a test compares the two), in a third of its time: a recorder does this to
/// all that is shown.
pub fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                let digit = |half: u8| b"0123456789abcdef".get(usize::from(half)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

/// How far there is nothing that JSON escapes. Eight bytes are looked at together (Mycroft's test for a zero byte: what it marks
/// wrongly is above a byte marked rightly, so the first mark is right).
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
    let mut at = 0;
    while let Some((block, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let x = u64::from_le_bytes(*block);
        let controls = x.wrapping_sub(ONES * 0x20) & !x & HIGHS;
        let marks = controls | zeros(x ^ (ONES * 0x22)) | zeros(x ^ (ONES * 0x5c));
        if marks != 0 {
            return at.saturating_add((marks.trailing_zeros() / 8) as usize);
        }
        at = at.saturating_add(8);
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(special))
        .map_or(bytes.len(), |found| at.saturating_add(found))
}

/// Where to cut so that at most `most` bytes come before, and no character is cut in two; what is no UTF-8 is cut anywhere.
fn border(bytes: &[u8], most: usize) -> usize {
    let begins = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (most.saturating_sub(3)..=most).rev().find(begins).unwrap_or(most)
}

enum Run<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Cuts bytes into runs of text and of bytes that are not; a short text between invalid bytes stays with them. What turns
/// out to be no text at all (every 32nd byte invalid, or more) is not looked at to its end: finding crumbs of text in random
/// bytes took an eighth of a recorder's time.
fn runs(bytes: &[u8]) -> Vec<Run<'_>> {
    let mut found: Vec<Run<'_>> = Vec::new();
    let mut raw_from: Option<usize> = None;
    let mut at = 0usize;
    let mut invalid = 0usize;
    for piece in bytes.utf8_chunks() {
        if invalid >= HOPELESS && at < invalid.saturating_mul(HOPELESS) {
            raw_from.get_or_insert(at);
            break;
        }
        let text = piece.valid();
        let text_end = at.saturating_add(text.len());
        if text.len() >= SHORTEST_TEXT {
            if let Some(from) = raw_from.take() {
                found.push(Run::Bytes(bytes.get(from..at).unwrap_or_default()));
            }
            found.push(Run::Text(text));
        } else if !text.is_empty() && raw_from.is_none() {
            raw_from = Some(at);
        }
        if !piece.invalid().is_empty() {
            invalid = invalid.saturating_add(1);
            raw_from.get_or_insert(text_end);
        }
        at = text_end.saturating_add(piece.invalid().len());
    }
    if let Some(from) = raw_from {
        found.push(Run::Bytes(bytes.get(from..).unwrap_or_default()));
    }
    found
}

/// Seconds, as they stand in a line.
struct Interval(f64);

impl<'de> serde::Deserialize<'de> for Interval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl serde::de::Visitor<'_> for Number {
            type Value = Interval;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of seconds")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Interval, E> {
                Ok(Interval(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Interval, E> {
                Ok(Interval(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Interval, E> {
                Ok(Interval(value))
            }

            /// Without this it would be repeated, six times as long and several times in memory.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Interval, E> {
                Err(E::custom("a text is no number of seconds"))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// Turns lines into events. Holds the time read so far.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    micros: u64,
}

impl Decoder {
    /// A decoder whose previous event was at `time`.
    pub fn at(time: Duration) -> Self {
        Self { micros: super::micros(time) }
    }

    /// Time of the last event read.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// Reads one line (with or without its `\n`). A comment (`#`) or an empty line gives `None`, as does a header line.
    ///
    /// # Errors
    /// [`LineError`] when the line is not an event; the decoder's time is then unchanged.
    pub fn decode(&mut self, line: &[u8]) -> Result<Option<Event>, LineError> {
        if line.len() > MAX_LINE {
            return Err(LineError::TooLong(line.len()));
        }
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b"{") {
            return Ok(None);
        }
        if let Some((micros, payload)) = as_written(line) {
            self.micros = self.micros.saturating_add(micros);
            return Ok(Some(Event { time: Duration::from_micros(self.micros), payload }));
        }
        #[derive(serde::Deserialize)]
        struct Raw<'a>(Interval, #[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);
        // A text in its place would be repeated in the error.
        if !line.starts_with(b"[") {
            return Err(LineError::Syntax("it is no list".to_owned()));
        }
        let Raw(Interval(interval), code, data) = serde_json::from_slice(line)
            .map_err(|error| LineError::Syntax(crate::text::beginning(&error.to_string(), TOLD)))?;
        if !(0.0..=MAX_INTERVAL).contains(&interval) {
            return Err(LineError::Interval(interval));
        }
        // In range by the check above, so the cast keeps the value.
        let micros = self.micros.saturating_add((interval * 1e6).round() as u64);
        let payload = payload(&code, data)?;
        self.micros = micros;
        Ok(Some(Event { time: Duration::from_micros(micros), payload }))
    }
}

/// Output as [`Encoder`] writes it, in a fraction of the time that reading any JSON takes: the interval in microseconds, and
/// the payload. `None` where anything is written in another way.
fn as_written(line: &[u8]) -> Option<(u64, Payload)> {
    let line = line.strip_prefix(b"[")?;
    let (interval, rest) = line.split_at_checked(memchr::memchr(b',', line)?)?;
    let mut parts = interval.splitn(2, |byte| *byte == b'.');
    let (seconds, part) = (parts.next()?, parts.next());
    // Few enough digits that nothing overflows.
    let usual = |digits: &[u8], most: usize| {
        (1..=most).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
    };
    let zero_first = seconds.len() > 1 && seconds.starts_with(b"0");
    if !usual(seconds, 9) || zero_first || part.is_some_and(|part| !usual(part, 3)) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(*digit & 15)))
    };
    let unit = |part: &[u8]| [0, 100_000, 10_000, 1000].get(part.len()).copied().unwrap_or(0);
    let micros = number(seconds)
        .saturating_mul(1_000_000)
        .saturating_add(part.map_or(0, |part| number(part).saturating_mul(unit(part))));
    let data = rest.strip_prefix(br#","o",""#)?.strip_suffix(br#""]"#)?;
    Some((micros, Payload::Output(unescaped(data)?)))
}

/// What a JSON string says of which this stands between the quotes; `None` where it is none, or says it in a rare way.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().fold(false, |control, byte| control | (*byte < 0x20)) {
        return None;
    }
    std::str::from_utf8(text).ok()?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    // One seldom comes alone: lines end with two.
    let next = |rest: &[u8]| match rest.first() {
        Some(b'\\') => Some(0),
        _ => memchr::memchr2(b'\\', b'"', rest),
    };
    while let Some(at) = next(rest) {
        let (plain, after) = rest.split_at_checked(at)?;
        out.extend_from_slice(plain);
        let (byte, len) = match after.get(..2)? {
            br"\n" => (b'\n', 2),
            br"\r" => (b'\r', 2),
            br"\t" => (b'\t', 2),
            br#"\""# => (b'"', 2),
            br"\\" => (b'\\', 2),
            br"\u" => {
                let [b'0', b'0', high @ (b'0' | b'1'), low] = after.get(2..6)? else { return None };
                let low = char::from(*low).to_digit(16)?;
                let high = u32::from(high.checked_sub(b'0')?);
                (u8::try_from(high << 4 | low).ok()?, 6)
            }
            _ => return None,
        };
        out.push(byte);
        rest = after.get(len..)?;
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn payload(code: &str, data: Cow<'_, str>) -> Result<Payload, LineError> {
    let wrong = |what| LineError::Data { code: code.to_owned(), what };
    Ok(match code {
        "o" => Payload::Output(data.into_owned().into_bytes()),
        "e" => Payload::ErrorOutput(data.into_owned().into_bytes()),
        "i" => Payload::Input(data.into_owned().into_bytes()),
        "b" => {
            let (of, encoded) = data.split_once(':').ok_or_else(|| wrong("no stream before the colon"))?;
            let bytes = BASE64.decode(encoded).map_err(|_| wrong("not base64"))?;
            match of {
                "o" => Payload::Output(bytes),
                "e" => Payload::ErrorOutput(bytes),
                "i" => Payload::Input(bytes),
                _ => return Err(wrong("unknown stream")),
            }
        }
        "r" => {
            let (cols, rows) = data.split_once('x').ok_or_else(|| wrong("not COLSxROWS"))?;
            let cols = cols.parse().map_err(|_| wrong("columns are not a number up to 65535"))?;
            let rows = rows.parse().map_err(|_| wrong("rows are not a number up to 65535"))?;
            Payload::Resize { cols, rows }
        }
        "m" => Payload::Marker(data.into_owned()),
        "x" => Payload::Exit(data.trim().parse().map_err(|_| wrong("not a number"))?),
        "k" => Payload::Keyframe(data.into_owned()),
        "t" => Payload::Anchor(object(&data).ok_or_else(|| wrong("not a clock anchor"))?),
        "w" => Payload::Withheld(data.parse().map_err(|_| wrong("not a count"))?),
        "g" => Payload::Gap(object(&data).ok_or_else(|| wrong("not a gap"))?),
        _ => Payload::Other { code: code.to_owned(), data: data.into_owned() },
    })
}

/// What a JSON object says, of at most [`MAX_OBJECT`]. (A list of its values in their order would be read as well.)
fn object<T: serde::de::DeserializeOwned>(data: &str) -> Option<T> {
    let is_one = data.len() <= MAX_OBJECT && data.trim_start().starts_with('{');
    is_one.then(|| serde_json::from_str(data).ok())?
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
