//! JSON lines: the whole recording for programs. Nothing is left out and nothing is replaced.
//!
//! The first line describes the recording, every further line is an event: `{"ms":1500,"kind":"output","text":"…"}`.
//! Bytes that are not UTF-8 travel as `"base64"` instead of `"text"`.

use crate::cast::line::stored;
use crate::cast::{Event, Payload};
use crate::container::{Header, Opening};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// Writes the first line.
pub(super) fn begin(header: &Header, opening: &Opening, out: &mut impl Write) -> io::Result<()> {
    line(&json!({"kind": "recording", "header": header, "meta": opening.meta, "cast": opening.cast}), out)
}

/// Writes an event.
pub(super) fn event(event: &Event, out: &mut impl Write) -> io::Result<()> {
    let (kind, mut value) = match &event.payload {
        Payload::Output(bytes) => ("output", bytes_of(bytes)),
        Payload::ErrorOutput(bytes) => ("error-output", bytes_of(bytes)),
        Payload::Input(bytes) => ("input", bytes_of(bytes)),
        Payload::Resize { cols, rows } => ("resize", json!({"cols": cols, "rows": rows})),
        Payload::Marker(label) => ("marker", json!({"label": label})),
        Payload::Exit(status) => ("exit", json!({"status": status})),
        Payload::Keyframe(screen) => ("keyframe", json!({"text": screen})),
        Payload::Anchor(anchor) => ("anchor", json!(anchor)),
        Payload::Withheld(count) => ("withheld", json!({"count": count})),
        Payload::Gap(gap) => ("gap", json!(gap)),
        Payload::Other { code, data } => ("other", json!({"code": code, "data": data})),
    };
    value["kind"] = kind.into();
    value["ms"] = stored(event.time).into();
    line(&value, out)
}

/// Writes what is missing behind the last event: the last line where the recording has no end.
pub(super) fn missing(kind: &str, note: &str, last: Duration, out: &mut impl Write) -> io::Result<()> {
    line(&json!({"kind": kind, "ms": stored(last), "note": note}), out)
}

fn bytes_of(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({"text": text}),
        Err(_) => json!({"base64": BASE64.encode(bytes)}),
    }
}

fn line(value: &Value, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
