//! Names of recordings: `20261122T140312.345Z-01JD4K7QW….scast`.

use super::EXTENSION;
use crate::container::Header;
use jiff::Timestamp;
use std::fmt;

/// Characters of an id.
pub const ID_LEN: usize = 26;
/// Crockford's base 32: no letter can be taken for a digit (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// When a recording began, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Start, milliseconds since 1970-01-01T00:00:00Z.
    pub start: i64,
    /// The id, [`ID_LEN`] characters.
    pub id: String,
}

impl Name {
    /// The file's name.
    pub fn file_name(&self) -> String {
        let start = Timestamp::from_millisecond(self.start).unwrap_or(Timestamp::UNIX_EPOCH);
        // Milliseconds: two recordings of one second must stand in the order in which they began.
        let millisecond = self.start.rem_euclid(1000);
        format!("{}.{millisecond:03}Z-{}.{EXTENSION}", start.strftime("%Y%m%dT%H%M%S"), self.id)
    }

    /// The name that its recorder gave the file of a recording with this header. `None` when the header has no id.
    pub fn of(header: &Header) -> Option<Self> {
        Some(Self { start: header.start, id: id_text(&header.session_bytes()?) })
    }

    /// Whether it is [`Name::of`] this header.
    pub fn fits(&self, header: &Header) -> bool {
        self.start == header.start && parse_id(&self.id).is_some_and(|id| header.session_bytes() == Some(id))
    }

    /// Reads a file's name; `None` when it is not one of ours.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (start, id) = file_name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
        parse_id(id)?;
        let (second, millisecond) = start.strip_suffix('Z')?.split_once('.')?;
        let (day, clock) = second.split_once('T')?;
        let [year, month, day] = digits([4, 2, 2], day)?;
        let [hour, minute, second] = digits([2, 2, 2], clock)?;
        let [millisecond] = digits([3], millisecond)?;
        let small = |number: i16| i8::try_from(number).ok();
        let date = jiff::civil::Date::new(year, small(month)?, small(day)?).ok()?;
        let time = jiff::civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
        let second = jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_second();
        let start = second.checked_mul(1000)?.checked_add(millisecond.into())?;
        Some(Self { start, id: id.to_owned() })
    }

    /// The first eight characters of the id: enough to type.
    pub fn short(&self) -> String {
        self.short_at(8)
    }

    pub(super) fn short_at(&self, len: usize) -> String {
        self.id.chars().take(len).collect()
    }
}

/// A recording whose file is not named as its recorder named it: a name is part of no signature, the header is. Shown, it says
/// so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misnamed {
    /// What the file is named as; `None` for a file in a store whose name is not that of a recording.
    pub named: Option<Name>,
    /// What the header says; `None` when it has no id.
    pub is: Option<Name>,
}

impl fmt::Display for Misnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begun = |name: &Name| match Timestamp::from_millisecond(name.start) {
            Ok(start) => start.to_string(),
            Err(_) => format!("{} ms after 1970", name.start),
        };
        match &self.named {
            Some(name) => write!(f, "its file is named as {}, begun {}", name.id, begun(name))?,
            None => f.write_str("the name of its file is not that of a recording")?,
        }
        match &self.is {
            Some(name) => write!(f, ", but it is {}, begun {}", name.id, begun(name)),
            None => f.write_str(", and its header has no id"),
        }
    }
}

/// An id as text.
pub fn id_text(id: &[u8; 16]) -> String {
    let number = u128::from_be_bytes(*id);
    (0..ID_LEN)
        .rev()
        .map(|place| {
            let digit = (number >> (place * 5)) & 31;
            char::from(ALPHABET[usize::try_from(digit).unwrap_or(0)])
        })
        .collect()
}

/// Numbers of so many decimal digits each, next to each other, and nothing else.
fn digits<const N: usize>(lengths: [usize; N], mut text: &str) -> Option<[i16; N]> {
    let mut numbers = [0_i16; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let (here, after) = text.split_at_checked(length)?;
        text = after;
        for byte in here.bytes() {
            let digit = byte.is_ascii_digit().then_some(i16::from(byte) - i16::from(b'0'))?;
            *number = i16::checked_mul(*number, 10)?.checked_add(digit)?;
        }
    }
    text.is_empty().then_some(numbers)
}

/// The value of each character of [`ALPHABET`]; [`NO_DIGIT`] of all others.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
/// See [`DIGITS`].
const NO_DIGIT: u8 = 0xff;

/// The bytes of an id; `None` when the text is not exactly one.
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != ID_LEN {
        return None;
    }
    let mut number: u128 = 0;
    for (n, c) in text.bytes().enumerate() {
        let digit = DIGITS[usize::from(c)];
        if digit == NO_DIGIT {
            return None;
        }
        // 26 characters hold 130 bits; the first must leave the two that do not fit empty.
        if n == 0 && digit > 7 {
            return None;
        }
        number = (number << 5) | u128::from(digit);
    }
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_come_back_and_others_are_not_ours() {
        for id in [[0; 16], [255; 16], *b"0123456789abcdef"] {
            assert_eq!(parse_id(&id_text(&id)), Some(id));
        }
        let name = Name { start: 1_795_356_192_045, id: id_text(&[9; 16]) };
        assert!(name.file_name().starts_with("20261122T140312.045Z-"), "{}", name.file_name());
        assert_eq!(Name::parse(&name.file_name()), Some(name.clone()));
        for other in [
            "x",
            "20261122T140312Z-.scast",
            "20261122T140312Z-0.scast",
            "20261122T140312.0450Z-09144S2H648H2JCKJRJ0918G4.scast",
            "a.scast",
            "20261122T140312Z-ÄÄ.scast",
            "20261322T140312.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "20260229T140312.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "20261122T240312.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "20261122T140360.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "20261122T1403125.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "2026112T2140312.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "+0261122T140312.045Z-09144S2H648H2JCKJRJ0918G4R.scast",
            "20261122T140312.-45Z-09144S2H648H2JCKJRJ0918G4R.scast",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        let good = "20261122T140312.045Z-09144S2H648H2JCKJRJ0918G4R.scast";
        assert_eq!(
            Name::parse(good).map(|name| name.file_name()).as_deref(),
            Some(good),
            "what is wrong above is not the id"
        );
        assert_eq!(Name::parse(&name.file_name().replace("scast", "cast")), None);
        assert_eq!(parse_id(&"Z".repeat(26)), None, "more than 128 bits");
    }
}
