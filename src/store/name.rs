//! Names of recordings: `20261122T140312.345Z-01JD4K7QW….scast`.

use super::EXTENSION;
use jiff::Timestamp;

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

    /// Reads a file's name; `None` when it is not one of ours.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (start, id) = file_name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
        parse_id(id)?;
        let (second, millisecond) = start.strip_suffix('Z')?.split_once('.')?;
        if millisecond.len() != 3 || !millisecond.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let second = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", second).ok()?;
        let second = jiff::tz::TimeZone::UTC.to_timestamp(second).ok()?.as_second();
        let start = second.checked_mul(1000)?.checked_add(millisecond.parse().ok()?)?;
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

/// The bytes of an id; `None` when the text is not exactly one.
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != ID_LEN {
        return None;
    }
    let mut number: u128 = 0;
    for (n, c) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == c)?;
        // 26 characters hold 130 bits; the first must leave the two that do not fit empty.
        if n == 0 && digit > 7 {
            return None;
        }
        number = (number << 5) | u128::try_from(digit).ok()?;
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
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert_eq!(Name::parse(&name.file_name().replace("scast", "cast")), None);
        assert_eq!(parse_id(&"Z".repeat(26)), None, "more than 128 bits");
    }
}
