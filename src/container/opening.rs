//! The sealed metadata as they stand in the file: the first INDEX chunk.

use super::error::Error;
use super::header::Meta;
use super::index::{fits, json_of, pack, unpack};
use super::limits;
use crate::cast::Header as CastHeader;
use crate::crypto::digest::hex;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The sealed metadata: first thing in the index chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Who, what, where and why.
    pub meta: Meta,
    /// Header line of the cast inside.
    pub cast: CastHeader,
    /// Public key of the first checkpoint, hexadecimal. It stands in the certificate as well, but whoever has the host's key can sign
    /// another one; nobody without an identity seals other metadata to what is recorded. Earlier recorders told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_checkpoint: Option<String>,
}

impl Opening {
    /// Whether it goes with a certificate that announces this key for the first checkpoint.
    pub(super) fn announces(&self, first: &[u8; 32]) -> bool {
        self.first_checkpoint.as_ref().is_none_or(|told| *told == hex(first))
    }

    /// Columns and rows of the terminal at the start, 0 without one. Where it did not say them, the cast has those of the screen. Where
    /// it did, the cast has a size as well; every reader takes this one, or what one of them shows another would not find.
    pub fn size(&self) -> (u16, u16) {
        match (self.meta.cols, self.meta.rows) {
            (0, _) | (_, 0) => (self.cast.term.cols, self.cast.term.rows),
            told => told,
        }
    }

    /// Whether standard output passed beside the terminal.
    pub fn has_output_beside(&self) -> bool {
        self.meta.beside.iter().any(|name| name == "stdout")
    }
}

/// The plaintext of the first INDEX chunk; `None` where a reader would not take it, because it is too long or too much.
pub(super) fn encode(opening: &Opening) -> Result<Option<Vec<u8>>, Error> {
    let json = json_of(opening)?;
    if json.len() > limits::ENTRY || !is_light(&json) {
        return Ok(None);
    }
    let plain = pack(&json, &[])?;
    Ok(fits(&plain).then_some(plain))
}

/// Reads what [`encode`] made. `None` when it is malformed or over the limits.
pub(super) fn decode(plain: &[u8]) -> Option<Opening> {
    let (json, _) = unpack(plain)?;
    is_light(&json).then(|| serde_json::from_slice(&json).ok())?
}

/// Whether what is made of this JSON is within [`limits::META`].
fn is_light(json: &[u8]) -> bool {
    let mut left = limits::META;
    let mut reader = serde_json::Deserializer::from_slice(json);
    Weighing(&mut left).deserialize(&mut reader).is_ok()
}

/// What may still come, in bytes. Everything is weighed and nothing kept: a few kilobytes can hold millions of empty texts, each of
/// which takes more memory than it has bytes.
struct Weighing<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Weighing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weighing<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        /// What it takes besides its bytes.
        const TEXT: usize = 24;
        let left = self.0.checked_sub(text.len().saturating_add(TEXT));
        *self.0 = left.ok_or_else(|| E::custom("it comes to more than may be"))?;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Weighing(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Weighing(self.0))?.is_some() {
            map.next_value_seed(Weighing(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metadata with so many texts of these bytes in them.
    fn words(count: usize, text: &str) -> Opening {
        let meta = Meta { argv: vec![text.to_owned(); count], ..Meta::default() };
        Opening { meta, cast: CastHeader::new(80, 24), ..Opening::default() }
    }

    fn sealed(opening: &Opening) -> Vec<u8> {
        pack(&json_of(opening).unwrap(), &[]).unwrap()
    }

    #[test]
    fn the_cast_has_the_size_of_a_terminal_that_does_not_say_it_and_of_no_other() {
        for (told, cast, size) in [
            ((90, 30), (80, 24), (90, 30)),
            ((0, 0), (80, 24), (80, 24)),
            ((0, 30), (80, 30), (80, 30)),
            ((0, 0), (0, 0), (0, 0)),
        ] {
            let meta = Meta { cols: told.0, rows: told.1, ..Meta::default() };
            let cast = CastHeader::new(cast.0, cast.1);
            assert_eq!(Opening { meta, cast, ..Opening::default() }.size(), size);
        }
    }

    #[test]
    fn metadata_come_back() {
        let mut opening = words(3, "ls");
        opening.meta.labels.insert("env".into(), "prod".into());
        opening.cast.timestamp = Some(-1);
        opening.first_checkpoint = Some("ab".repeat(32));
        assert_eq!(decode(&encode(&opening).unwrap().unwrap()), Some(opening));
    }

    #[test]
    fn metadata_of_very_many_texts_or_of_very_long_ones_are_not_made_whoever_wrote_them() {
        for (count, text, fine) in [
            (limits::META / 24 - 100, "", true),
            (limits::META / 24, "", false),
            (5_000_000, "", false),
            (1, &*"x".repeat(limits::META - 10_000), true),
            (1, &*"x".repeat(limits::META), false),
        ] {
            let opening = words(count, text);
            assert_eq!(decode(&sealed(&opening)).is_some(), fine, "{count} of {} bytes", text.len());
            assert_eq!(encode(&opening).unwrap().is_some(), fine, "{count} of {} bytes", text.len());
        }
        let many: Vec<String> = (0..400_000).map(|n| format!(r#""{n:x}":"""#)).collect();
        let with = |meta: &str| {
            let json = format!(r#"{{"meta":{meta},"cast":{{"version":3,"term":{{"cols":80,"rows":24}}}}}}"#);
            decode(&pack(json.as_bytes(), &[]).unwrap())
        };
        assert_eq!(with(&format!(r#"{{"labels":{{{}}}}}"#, many.join(","))), None);
        // What a later version may say is weighed as well, and passed over.
        assert_eq!(
            with(r#"{"reason":"why","later":[1.5,true,null,-1,{"a":"b"}]}"#).unwrap().meta.reason,
            "why"
        );
        assert_eq!(with(&format!(r#"{{"later":{{{}}}}}"#, many.join(","))), None);
    }
}
