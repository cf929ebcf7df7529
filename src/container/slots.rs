//! KEYS: the root key, wrapped with age for those who may open the recording.

use super::error::Error;
use super::frame::Fields;
use super::limits;

/// What a slot wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// The root key, to the recipients (or to the period identity of a [`SlotKind::Period`] slot).
    Root,
    /// An identity of a longer period, to the recipients.
    Period,
    /// The start of the index chain alone, for people who may search but not watch.
    Index,
    /// Added by a later version; passed over.
    Other(u8),
}

/// One slot: a binary age file and what it wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What is inside.
    pub kind: SlotKind,
    /// The age file.
    pub age: Vec<u8>,
}

impl SlotKind {
    fn byte(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Period => 2,
            Self::Index => 3,
            Self::Other(byte) => byte,
        }
    }
}

/// Body of a KEYS chunk.
pub(crate) fn encode(slots: &[Slot]) -> Vec<u8> {
    let mut body = Vec::new();
    for slot in slots {
        body.push(slot.kind.byte());
        body.extend_from_slice(&u32::try_from(slot.age.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend_from_slice(&slot.age);
    }
    body
}

/// Reads a KEYS body that stands at `offset`.
pub(crate) fn parse(body: &[u8], offset: u64) -> Result<Vec<Slot>, Error> {
    let mut fields = Fields(body);
    let mut slots = Vec::new();
    while !fields.0.is_empty() {
        let slot = (|| {
            let kind = match fields.u8()? {
                1 => SlotKind::Root,
                2 => SlotKind::Period,
                3 => SlotKind::Index,
                other => SlotKind::Other(other),
            };
            let len = usize::try_from(fields.u32()?).ok()?;
            Some(Slot { kind, age: fields.bytes(len)?.to_vec() })
        })();
        slots.push(slot.ok_or_else(|| Error::format(offset, 1, "a key slot is longer than its chunk"))?);
        if slots.len() > limits::SLOTS {
            return Err(Error::format(offset, 1, format!("more than {} key slots", limits::SLOTS)));
        }
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_and_overlong_ones_are_refused() {
        let slots = [SlotKind::Root, SlotKind::Period, SlotKind::Index, SlotKind::Other(9)]
            .map(|kind| Slot { kind, age: vec![kind.byte(); 5] });
        let body = encode(&slots);
        assert_eq!(parse(&body, 0).unwrap(), slots);
        for cut in [1, 4, 9] {
            assert!(parse(&body[..cut], 0).is_err(), "{cut}");
        }
        assert!(parse(&[1, 255, 255, 255, 255, 0], 0).is_err());
    }
}
