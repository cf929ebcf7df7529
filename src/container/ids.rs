//! The second filter of a segment: which hexadecimal digits cannot have stood in a row on the screen.
//!
//! An id is rare, and its trigrams are not. Of every [`WINDOW`] hexadecimal digits in a row (in either case) one piece of
//! [`PIECE`] is put into a Bloom filter: that with the smallest hash (winnowing: Schleimer, Wilkerson, Aiken 2003). Which one
//! depends on these digits alone, so whoever looks for [`WINDOW`] of them or more can ask for it, wherever in a longer row they
//! stood. Refuses to grow: see [`SHARE`].
//!
//! # Bytes
//!
//! ```text
//! byte 0      0x22 = version 2, two hashes; anything else = look inside
//! byte 1      b, 9 to 20: the filter has 2^b bits; or 0: it has none, and no piece is in it
//! the rest    2^b / 8 bytes; bit i is bit (i mod 8), counted from the least significant, of byte (i / 8)
//! ```
//!
//! The hash of a piece is `fmix64` (see [`super::filter`]) of its six digits as small ASCII letters, first digit lowest: `d0 | d1
//! << 8 | … | d5 << 40`. Of pieces with the same hash any is the smallest. Its bits are `hash mod 2^b` and `(hash >> 32) mod
//! 2^b`.
//!
//! What it can deny, computed on 1.4 MB of text as it was shown, with two hashes, of an id of eight digits that is not there;
//! one filter over digits with the points and colons between them (addresses, times) is set beside it:
//!
//! | | rows of digits | pieces | of the compressed segment | not denied | with points and colons: pieces |
//! |---|---|---|---|---|---|
//! | log, an id in each line | 16,404 | 16,395 | 3.7 % | 4.9 % | 70,687 |
//! | build (addresses of symbols) | 450 | 2,259 | 1.9 % | 17.9 % | 4,267 |
//! | packages | 288 | 300 | 0.1 % | 3 % | 35,188 |
//!
//! In the store of `benches/search.sh` the logs grow by 2.5 %, and 199 of 3,920 segments are read for an id that is nowhere. In a
//! build the index of its programs takes the room, and there is no second filter.
//!
//! Addresses and times would take all the room that there is and more: 70,687 pieces in 5 % of the segment are 2.5 bits each,
//! of which 30 % are not denied.

use super::filter::{fullness, halved, mixed};

/// Version 2 and two hashes.
const KIND: u8 = 0x22;
/// Digits of a piece.
const PIECE: usize = 6;
/// Digits of which one piece is kept.
pub const WINDOW: usize = 8;
/// Pieces among them.
const PIECES: usize = WINDOW - PIECE + 1;
/// Smallest and largest size, log2 of bits.
const LEAST: u32 = 9;
/// See [`LEAST`].
const MOST: u32 = 20;
/// Share of bits that may be set where there is room, in thousandths.
const ROOMY: u64 = 250;
/// Share of bits that may be set at all.
const MOST_FULL: u64 = 600;
/// Both filters and the index together may take one byte in so many of a segment with them, or this filter is halved.
pub const SHARE: u64 = 21;
/// Largest filter, bytes.
pub const MAX_LEN: usize = 2 + (1 << MOST) / 8;

/// The hashes of the pieces that are kept of a text.
pub fn pieces(text: &str) -> impl Iterator<Item = u64> + '_ {
    let mut bytes = text.bytes();
    let mut ring = [u64::MAX; PIECES];
    let (mut digits, mut row, mut last) = (0_u64, 0_usize, None);
    std::iter::from_fn(move || {
        for byte in bytes.by_ref() {
            if !byte.is_ascii_hexdigit() {
                (row, last) = (0, None);
                continue;
            }
            digits = (digits >> 8) | u64::from(byte.to_ascii_lowercase()) << (8 * (PIECE - 1));
            row = row.saturating_add(1);
            if row < PIECE {
                continue;
            }
            if let Some(slot) = ring.get_mut(row % PIECES) {
                *slot = mixed(digits);
            }
            if row < WINDOW {
                continue;
            }
            let least = ring.iter().min().copied();
            if last != least {
                last = least;
                return least;
            }
        }
        None
    })
}

fn bits(hash: u64, mask: u64) -> [u64; 2] {
    [hash & mask, (hash >> 32) & mask]
}

/// A filter in the making: 128 KiB.
#[derive(Debug)]
pub(super) struct Builder {
    bytes: Vec<u8>,
    any: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self { bytes: vec![0; (1 << MOST) / 8], any: false }
    }
}

impl Builder {
    /// Takes in a line.
    pub(super) fn add(&mut self, line: &str) {
        for hash in pieces(line) {
            self.any = true;
            for bit in bits(hash, (1 << MOST) - 1) {
                // Below 2^20.
                if let Some(byte) = self.bytes.get_mut((bit >> 3) as usize) {
                    *byte |= 1 << (bit & 7);
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.any) {
            self.bytes.fill(0);
        }
    }

    /// Appends the filter, unless more bits are set than may be.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let mut size = MOST;
        if !self.any {
            return out.extend_from_slice(&[KIND, 0]);
        }
        let mut now = self.bytes.clone();
        if fullness(&now) > MOST_FULL {
            return;
        }
        while size > LEAST {
            let half = halved(&now);
            if fullness(&half) > ROOMY {
                break;
            }
            now = half;
            size = size.saturating_sub(1);
        }
        out.extend_from_slice(&[KIND, u8::try_from(size).unwrap_or(0)]);
        out.extend_from_slice(&now);
    }
}

/// The same filter in `room` bytes; empty when it would be too full there.
pub(super) fn fitted(bytes: Vec<u8>, room: u64) -> Vec<u8> {
    let Some(([_, size], bits)) = bytes.split_first_chunk::<2>() else { return bytes };
    let (mut size, mut now) = (*size, bits.to_vec());
    while now.len() as u64 > room && u32::from(size) > LEAST {
        now = halved(&now);
        size = size.saturating_sub(1);
    }
    if size > 0 && (now.len() as u64 > room || fullness(&now) > MOST_FULL) {
        return Vec::new();
    }
    [&[KIND, size], now.as_slice()].concat()
}

/// A filter as it was stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter<'a> {
    bits: &'a [u8],
    mask: u64,
}

impl<'a> Filter<'a> {
    /// Reads a filter; `None` when it is none that this version understands.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let ([KIND, size], bits) = bytes.split_first_chunk::<2>()? else { return None };
        let size = u32::from(*size);
        let whole = (LEAST..=MOST).contains(&size) && bits.len() == (1 << size) / 8;
        let none = size == 0 && bits.is_empty();
        (whole || none).then(|| Self { bits, mask: (1_u64 << size).wrapping_sub(1) })
    }

    /// Whether a piece with this hash may be in it.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        bits(hash, self.mask)
            .into_iter()
            .all(|bit| self.bits.get((bit >> 3) as usize).is_some_and(|byte| byte & (1 << (bit & 7)) != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter;
    use super::*;
    use proptest::prelude::*;

    fn made(lines: &[String]) -> Vec<u8> {
        let mut builder = filter::Builder::default();
        lines.iter().for_each(|line| builder.add(line));
        builder.finish(1 << 20)
    }

    fn ids(n: u64) -> impl Iterator<Item = String> {
        (0..n).map(|n| format!("{:08x}", mixed(n + 1) >> 32))
    }

    #[test]
    fn the_bytes_are_what_the_module_head_says() {
        // The hash was computed with a second implementation, in Python.
        assert_eq!(pieces("xx 123456x").count(), 0, "too short a row");
        let hashes: Vec<u64> = pieces("id=0A1b2c3d,").collect();
        let digits = |text: &str| mixed(text.bytes().rev().fold(0, |x, byte| x << 8 | u64::from(byte)));
        let all = [digits("0a1b2c"), digits("a1b2c3"), digits("1b2c3d")];
        assert_eq!(hashes, [*all.iter().min().unwrap()]);
        assert_eq!(digits("0a1b2c"), 0xe1fb_2416_ff12_e4e9);
        let bytes = made(&["id=0a1b2c3d".to_owned()]);
        let (first, second) = bytes.split_at(2 + 64);
        assert_eq!((first[0], &second[..2], second.len()), (0x11, [0x22, 9].as_slice(), 2 + 64));
        let set: Vec<u64> =
            (0..512).filter(|i| second[2 + i / 8] & (1 << (i % 8)) != 0).map(|i| i as u64).collect();
        let mut expected = [hashes[0] % 512, (hashes[0] >> 32) % 512];
        expected.sort_unstable();
        assert_eq!(set, expected);
        assert_eq!(made(&["none".to_owned()])[66..], [0x22, 0]);
    }

    #[test]
    fn an_id_that_is_not_there_is_denied_although_its_trigrams_are() {
        let lines: Vec<String> = ids(16_000).map(|id| format!("request id={id} done")).collect();
        let bytes = made(&lines);
        let filter = filter::Filter::read(&bytes).unwrap();
        assert!(lines.iter().all(|line| filter.may_hold_text(line)));
        let others: Vec<String> = ids(18_000).skip(16_000).collect();
        let passed = others.iter().filter(|id| filter.may_hold_text(id)).count();
        assert!(passed < 200, "{passed} of 2000");
        let small = filter::fitted(bytes.clone(), 1 << 20, 300_000, 0);
        assert!(small.len() < bytes.len() && small.len() * 21 < 300_000, "{} {}", small.len(), bytes.len());
        let filter = filter::Filter::read(&small).unwrap();
        assert!(lines.iter().all(|line| filter.may_hold_text(line)));
        let passed = others.iter().filter(|id| filter.may_hold_text(id)).count();
        assert!(passed < 400, "{passed} of 2000");
        // Where there is no room, only the first is left.
        let first = filter::fitted(bytes, 1 << 20, 1000, 0);
        assert!(filter::Filter::read(&first).unwrap().may_hold_piece(1));
    }

    #[test]
    fn damaged_and_unknown_second_filters_deny_nothing() {
        let good = made(&["id=0a1b2c3d".to_owned()]);
        for cut in 67..good.len() {
            assert!(filter::Filter::read(&good[..cut]).is_none(), "{cut}");
        }
        for (at, value) in [(66, 0x23), (66, 0x12), (67, 8), (67, 21), (67, 0)] {
            let mut other = good.clone();
            other[at] = value;
            assert!(filter::Filter::read(&other).is_none(), "{at} {value}");
        }
        assert!(
            filter::Filter::read(&good[..66]).unwrap().may_hold_piece(1),
            "one alone is a filter as well"
        );
    }

    proptest! {
        #[test]
        fn no_part_of_a_line_is_denied(
            lines in proptest::collection::vec("([0-9a-fA-F]{0,20}[ :.g-]?){0,4}", 0..20), at in any::<proptest::sample::Index>(),
            from in 0usize..40, len in 0usize..40,
        ) {
            let bytes = made(&lines);
            let read = filter::Filter::read(&bytes).unwrap();
            if !lines.is_empty() {
                let part: String = at.get(&lines).chars().skip(from).take(len).collect();
                prop_assert!(read.may_hold_text(&part));
                prop_assert!(read.may_hold_text(&part.to_uppercase()));
            }
        }
    }
}
