//! What stands inside a mark, once it is known to be one: between the nonce and its end, or in somebody else's command.
//!
//! Refuses what is not exactly as the table of [`super`] has it.

use super::super::quote::decode;
use super::{AtPrompt, Hint, Mark, Start};
use crate::text::{hex_byte, lossless};

/// Reads the payload of a mark: everything between the nonce and `BEL`.
pub(super) fn parse(payload: &[u8]) -> Option<Mark> {
    let mut fields = payload.splitn(2, |b| *b == b';');
    let kind = fields.next()?;
    let rest = fields.next().unwrap_or_default();
    match kind {
        b"I" => {
            let mut fields = rest.split(|b| *b == b';');
            let shell = lossless(fields.next()?);
            let version = lossless(fields.next()?);
            let pid = integer(fields.next()?)?;
            Some(Mark::Integration { shell, version, pid })
        }
        b"A" => {
            let mut fields = rest.splitn(2, |b| *b == b';');
            let cwd = decode(fields.next()?, fields.next()?)?;
            Some(Mark::Prompt { cwd: (!cwd.is_empty()).then(|| lossless(&cwd)) })
        }
        b"B" => {
            let mut fields = rest.split(|b| *b == b';');
            Some(Mark::Typing(AtPrompt {
                status: optional(fields.next().unwrap_or_default())?,
                number: optional(fields.next().unwrap_or_default())?,
                commands: optional(fields.next().unwrap_or_default())?,
                pid: optional(fields.next().unwrap_or_default())?,
            }))
        }
        b"C" => start(rest).map(Mark::Start),
        b"D" => {
            let mut fields = rest.splitn(2, |b| *b == b';');
            let status = fields.next()?;
            let pipe = fields.next().unwrap_or_default();
            let cancelled = pipe == b"cancel";
            let statuses =
                |text: &[u8]| text.split(|b| *b == b' ').map(integer).collect::<Option<Vec<i32>>>();
            let pipe = if cancelled || pipe.is_empty() { Vec::new() } else { statuses(pipe)? };
            let pipe = if pipe.len() > 1 { pipe } else { Vec::new() };
            Some(Mark::End { status: optional(status)?, pipe, cancelled })
        }
        b"S" => integer(rest).map(Mark::Status),
        b"T" => clock(rest).map(Mark::Clock),
        _ => None,
    }
}

/// Seconds, a point (in some languages a comma), six decimals.
fn clock(text: &[u8]) -> Option<u64> {
    let at = text.iter().position(|b| matches!(b, b'.' | b','))?;
    let (seconds, decimals) = (text.get(..at)?, text.get(at.checked_add(1)?..)?);
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if !(1..=12).contains(&seconds.len()) || decimals.len() != 6 || !digits(seconds) || !digits(decimals) {
        return None;
    }
    integer::<u64>(seconds)?.checked_mul(1_000_000)?.checked_add(integer(decimals)?)
}

/// `NUMBER;BEFORE;LENGTH;WRITING;TEXT`. Without a length there is no text: the shell keeps no history.
fn start(rest: &[u8]) -> Option<Start> {
    let mut fields = rest.splitn(5, |b| *b == b';');
    let number = fields.next()?;
    let before = fields.next()?;
    let length = fields.next()?;
    let writing = fields.next()?;
    let text = fields.next()?;
    if length.is_empty() {
        return Some(Start::default());
    }
    let (length, cut) = match length.strip_suffix(b"+") {
        Some(length) => (length, true),
        None => (length, false),
    };
    let (before, by_line) = match before.strip_suffix(b"-") {
        Some(before) => (before, true),
        None => (before, false),
    };
    let mangled = text.len() != integer::<usize>(length)?;
    let text = Some(lossless(&decode(writing, text)?));
    Some(Start {
        text,
        number: optional(number)?,
        before: optional(before)?,
        by_line,
        cut,
        mangled,
        ..Start::default()
    })
}

/// A number, or nothing where there is none.
fn optional<T: std::str::FromStr>(digits: &[u8]) -> Option<Option<T>> {
    if digits.is_empty() { Some(None) } else { integer(digits).map(Some) }
}

fn integer<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads the content of somebody else's command, where it is one of those that speak of prompts and commands.
pub(super) fn parse_hint(content: &[u8]) -> Option<Hint> {
    let mut fields = content.split(|b| *b == b';');
    match (fields.next()?, fields.next()?) {
        (b"133" | b"633", b"A") => Some(Hint::Prompt),
        (b"133" | b"633", b"B") => Some(Hint::Typing),
        (b"133" | b"633", b"C") => Some(Hint::Start(
            fields
                .find_map(|field| field.strip_prefix(b"cmdline_url="))
                .and_then(|t| decode(b"u", t))
                .map(|t| lossless(&t)),
        )),
        (b"133" | b"633", b"D") => Some(Hint::End(fields.next().and_then(integer))),
        // VS Code writes `\\` for a backslash and `\xNN` for what would end a field.
        (b"633", b"E") => Some(Hint::Text(lossless(&hex_escapes(fields.next()?)))),
        (b"633", b"P") => {
            fields.next()?.strip_prefix(b"Cwd=").map(|cwd| Hint::Cwd(lossless(&hex_escapes(cwd))))
        }
        (b"7", url) => {
            let rest = url.strip_prefix(b"file://")?;
            let path = rest.get(rest.iter().position(|b| *b == b'/')?..)?;
            Some(Hint::Cwd(lossless(&decode(b"u", path)?)))
        }
        _ => None,
    }
}

fn hex_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'\\' {
            match tail {
                [b'\\', after @ ..] => rest = after,
                [b'x', high, low, after @ ..] => {
                    if let Some(byte) = hex_byte(*high, *low) {
                        out.push(byte);
                        rest = after;
                        continue;
                    }
                }
                _ => {}
            }
        }
        out.push(*first);
    }
    out
}
