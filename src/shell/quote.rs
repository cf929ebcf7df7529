//! How shells write a string so that it survives the way through a terminal, undone.
//!
//! Three writings reach us: `q`, the quoting of bash (`printf %q`, `${x@Q}`) and zsh (`${(qqqq)x}`); `u`, the percent
//! writing of fish (`string escape --style=url`); `r`, raw, from shells that can do nothing better.
//! Sources: bash `lib/sh/strtrans.c` and `shquote.c`, the fish and zsh manuals.

use crate::text::hex_byte;

/// Undoes one of the three writings. `None` when the text is not validly written: it is then nobody's command.
pub(super) fn decode(writing: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    match writing {
        b"q" => unquote(text),
        b"u" => percent(text),
        b"r" => Some(text.to_vec()),
        _ => None,
    }
}

fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => out.push(rest.next()?),
            b'\'' => loop {
                match rest.next()? {
                    b'\'' => break,
                    other => out.push(other),
                }
            },
            b'$' if rest.peek() == Some(&b'\'') => {
                rest.next();
                ansi_c(&mut rest, &mut out)?;
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// The inside of `$'…'`, its closing quote included.
fn ansi_c(rest: &mut std::iter::Peekable<impl Iterator<Item = u8>>, out: &mut Vec<u8>) -> Option<()> {
    loop {
        match rest.next()? {
            b'\'' => return Some(()),
            b'\\' => match rest.next()? {
                b'n' => out.push(b'\n'),
                b't' => out.push(b'\t'),
                b'r' => out.push(b'\r'),
                b'a' => out.push(7),
                b'b' => out.push(8),
                b'v' => out.push(11),
                b'f' => out.push(12),
                b'e' | b'E' => out.push(27),
                b'x' => out.push(u8::try_from(number(rest, None, 16, 2)?).ok()?),
                b'u' => push_char(number(rest, None, 16, 4)?, out)?,
                b'U' => push_char(number(rest, None, 16, 8)?, out)?,
                b'c' => out.push(rest.next()?.to_ascii_uppercase() & 0x1f),
                digit @ b'0'..=b'7' => out.push(u8::try_from(number(rest, Some(digit), 8, 3)? & 0xff).ok()?),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

fn push_char(code: u32, out: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4];
    out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
    Some(())
}

/// Up to `most` digits of base `radix`; at least one.
fn number(
    rest: &mut std::iter::Peekable<impl Iterator<Item = u8>>,
    first: Option<u8>,
    radix: u32,
    most: usize,
) -> Option<u32> {
    let mut value = 0_u32;
    let mut seen = 0_usize;
    if let Some(digit) = first {
        value = char::from(digit).to_digit(radix)?;
        seen = 1;
    }
    while seen < most {
        let Some(digit) = rest.peek().and_then(|b| char::from(*b).to_digit(radix)) else { break };
        rest.next();
        value = value.checked_mul(radix)?.checked_add(digit)?;
        seen = seen.saturating_add(1);
    }
    (seen > 0).then_some(value)
}

fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        out.push(hex_byte(rest.next()?, rest.next()?)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writing_of_the_shells_comes_back() {
        for (writing, written, meant) in [
            ("q", r"echo\ a\;b", "echo a;b"),
            ("q", r"$'a\nb\tc\E[0m'", "a\nb\tc\x1b[0m"),
            ("q", r"$'\303\251t\303\251'", "été"),
            ("q", r"'it'\''s'", "it's"),
            ("q", r"''", ""),
            ("q", r"plain", "plain"),
            ("q", r"cost=\$5", "cost=$5"),
            ("q", r"$'\u00e9\M'", "éM"),
            ("u", "/tmp/a%20b%0Ac", "/tmp/a b\nc"),
            ("r", "/tmp/%41", "/tmp/%41"),
        ] {
            assert_eq!(
                decode(writing.as_bytes(), written.as_bytes()).as_deref(),
                Some(meant.as_bytes()),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_not_validly_written_is_refused() {
        for (writing, written) in [
            ("q", "'open"),
            ("q", r"$'open"),
            ("q", r"tail\"),
            ("q", r"$'\x'"),
            ("u", "%4"),
            ("u", "%zz"),
            ("z", "a"),
        ] {
            assert_eq!(decode(writing.as_bytes(), written.as_bytes()), None, "{written}");
        }
    }
}
