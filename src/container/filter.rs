//! The filter of a segment: which texts cannot have stood on the screen.
//!
//! A Bloom filter (Bloom 1970) over the trigrams of the rendered text. It may say "perhaps" too often; it never says no
//! wrongly. Refuses to grow: built in 128 KiB, it is folded to what its content needs and left out when even that is too
//! small.
//!
//! # Bytes
//!
//! ```text
//! byte 0      version and number of hashes: 0x11 = version 1, one hash; anything else = look inside
//! byte 1      b, 9 to 20: the filter has 2^b bits
//! 2^b / 8     bytes; bit i is bit (i mod 8), counted from the least significant, of byte (i / 8)
//! the rest    nothing, or a second filter
//! ```
//!
//! A *trigram* is three neighbouring Unicode scalar values of one line, each folded ([`fold`]). A line of fewer than three has
//! none. With `x = first | second << 21 | third << 42` (64 bits) its hash is the finaliser of MurmurHash3
//! (<https://github.com/aappleby/smhasher>, `fmix64`), arithmetic modulo 2^64:
//!
//! ```text
//! x ^= x >> 33;  x *= 0xff51afd7ed558ccd;  x ^= x >> 33;  x *= 0xc4ceb9fe1a85ec53;  x ^= x >> 33
//! ```
//!
//! and its bit is `x mod 2^b`. So a filter of half the size is the OR of the two halves: the writer builds the largest and
//! halves it for as long as at most [`MOST_FULL`] of its bits are set, and further where it is large beside its segment
//! ([`fitted`]). A text may be in the segment when the bits of all its
//! trigrams are set; a text of fewer than three scalar values always may.
//!
//! Measured on 1 MiB of text each (a log, source code, a listing of packages, a system call trace), 3,000 words of 6 to 16
//! characters that are not in it; "perhaps" is how many of them the filter did not deny, "at best" how many consist of
//! trigrams that are all there:
//!
//! | | trigrams | 1 hash, at most 30 % set | 2 hashes, at most 30 % | 2 hashes, at most 50 % | at best |
//! |---|---|---|---|---|---|
//! | log | 11,436 | 4 KiB, 5.1 % | 8 KiB, 1.9 % | 8 KiB, 1.9 % | 1.2 % |
//! | source | 16,722 | 8 KiB, 47.6 % | 16 KiB, 42.3 % | 8 KiB, 45.9 % | 41.2 % |
//! | packages | 14,459 | 8 KiB, 56.1 % | 16 KiB, 51.9 % | 8 KiB, 54.6 % | 50.8 % |
//! | trace | 7,345 | 4 KiB, 21.0 % | 8 KiB, 16.6 % | 4 KiB, 18.9 % | 15.5 % |
//!
//! The same for small segments (16 KB of a shell session, 20 KB and 9 KB of a build, 13 KB of a table), one hash:
//!
//! | | trigrams | at most 30 % set | at most 50 % | at most 60 % | at most 80 % | at best |
//! |---|---|---|---|---|---|---|
//! | shell | 3,156 | 2 KiB, 4.3 % | 1 KiB, 7.1 % | 512, 13.9 % | 256, 39.3 % | 2.7 % |
//! | build | 1,482 | 1 KiB, 0.2 % | 512, 0.6 % | 256, 2.9 % | 128, 18.2 % | 0.2 % |
//! | build | 996 | 512, 0.3 % | 256, 1.0 % | 256, 1.0 % | 128, 6.3 % | 0.1 % |
//! | table | 2,982 | 2 KiB, 5.4 % | 1 KiB, 8.3 % | 512, 14.8 % | 256, 38.2 % | 3.5 % |
//!
//! Of segments of 200 KB of the sessions of `benches/workloads.py`, made smaller as [`fitted`] does it:
//!
//! | | at most 30 % set | smaller | its share of the segment before |
//! |---|---|---|---|
//! | build | 16,656 bytes, 17.7 % | 6,416, 28.7 % | 7 % |
//! | vim (100 KB) | 4,164, 7.1 % | 1,092, 17.3 % | 4 % |
//! | log | 3,084, 0.1 % | stays: it would be 780, 4.5 % | 2 % |
//!
//! A word has many trigrams, so a second hash buys little, and a third nothing. Sequences of four would deny three times as
//! many words and take four times the room: 11 to 14 % of the compressed segment instead of 4 to 5 %.
//!
//! What is made of digits is different: all trigrams of digits stand in any log. So after the first filter there may be a
//! second one, over hexadecimal digits in a row: see [`super::ids`].

use super::ids;

/// Version 1 and one hash.
const KIND: u8 = 0x11;
/// Smallest and largest size, log2 of bits.
const LEAST: u32 = 9;
/// See [`LEAST`].
const MOST: u32 = 20;
/// Share of bits that may be set, in thousandths.
pub const MOST_FULL: u64 = 300;
/// The same where the filter would weigh more than it saves: in a segment of less than [`SMALL_RAW`] bytes of output of which
/// it takes more than one byte in [`SHARE`].
pub const MOST_FULL_SMALL: u64 = 600;
/// Output, in bytes, from which on looking inside costs more than a large filter.
pub const SMALL_RAW: u64 = 256 << 10;
/// See [`MOST_FULL_SMALL`].
pub const SHARE: u64 = 50;
/// Output, in bytes, below which a segment has no filter: reading it costs hardly more than asking its filter would.
pub const LEAST_RAW: u64 = 8 << 10;
/// How many characters that were folded are kept.
const PLACES: usize = 256;
/// Largest filter, bytes.
pub const MAX_LEN: usize = 2 + (1 << MOST) / 8 + ids::MAX_LEN;

/// What a character counts as, so that upper and lower case are one.
///
/// Its upper-case mapping if that is one scalar value (else itself), and of that the lower-case mapping if that is one
/// (else itself). Four characters whose simple case folding (Unicode `CaseFolding.txt`, status S) is not reached so are
/// folded by name. Characters that a case-insensitive search takes for each other count as the same.
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        '\u{1fd3}' => return '\u{390}',
        '\u{1fe3}' => return '\u{3b0}',
        '\u{fb05}' => return '\u{fb06}',
        '\u{1e9e}' => return '\u{df}',
        _ => {}
    }
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

/// The hashes of a line's trigrams, in order, repeated ones too.
pub fn trigrams(line: &str) -> impl Iterator<Item = u64> + '_ {
    hashes(line.chars().map(fold))
}

/// The same of characters that are folded already. Three take 21 bits each.
fn hashes(folded: impl Iterator<Item = char>) -> impl Iterator<Item = u64> {
    let mut three = 0;
    folded.enumerate().filter_map(move |(n, c)| {
        three = three >> 21 | u64::from(c) << 42;
        (n >= 2).then(|| mixed(three))
    })
}

pub(super) fn mixed(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Characters that were folded, and what they count as, each at a place that it shares with others: a text has few different ones, and
/// looking one up in Unicode's tables takes ten times as long.
#[derive(Debug)]
struct Folds(Vec<(char, char)>);

impl Default for Folds {
    fn default() -> Self {
        Self(vec![('\0', '\0'); PLACES])
    }
}

impl Folds {
    fn of(&mut self, c: char) -> char {
        if c.is_ascii() {
            return c.to_ascii_lowercase();
        }
        match self.0.get_mut(c as usize % PLACES) {
            Some(place) if place.0 == c => place.1,
            Some(place) => {
                *place = (c, fold(c));
                place.1
            }
            None => fold(c),
        }
    }
}

/// A filter in the making: 256 KiB.
#[derive(Debug)]
pub struct Builder {
    words: Vec<u64>,
    ids: ids::Builder,
    folds: Folds,
}

impl Default for Builder {
    fn default() -> Self {
        Self { words: vec![0; (1 << MOST) / 64], ids: ids::Builder::default(), folds: Folds::default() }
    }
}

impl Builder {
    /// Takes in a line of rendered text.
    pub fn add(&mut self, line: &str) {
        self.ids.add(line);
        let Self { words, folds, .. } = self;
        match line.is_ascii() {
            // A byte for a character.
            true => hashes(line.bytes().map(|byte| byte.to_ascii_lowercase().into()))
                .for_each(|hash| set(words, hash)),
            false => hashes(line.chars().map(|c| folds.of(c))).for_each(|hash| set(words, hash)),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.ids.clear();
        // They tell of the text.
        self.folds.0.fill(('\0', '\0'));
    }

    /// The filter of a segment with this many bytes of output, folded; empty (look inside) when the segment is too small or
    /// more bits are set than may be. Forgets everything.
    pub fn finish(&mut self, raw: u64) -> Vec<u8> {
        if raw < LEAST_RAW {
            self.clear();
            return Vec::new();
        }
        let set = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let fits = |set: u64, size: u32| set.saturating_mul(1000) <= MOST_FULL << size;
        let mut size = MOST;
        let mut out = Vec::new();
        if fits(set(&self.words), size) {
            while size > LEAST {
                let half = (1_usize << size) / 128;
                let (low, high) = self.words.split_at_mut(half);
                let union = low.iter().zip(high.iter()).map(|(a, b)| u64::from((a | b).count_ones())).sum();
                if !fits(union, size.saturating_sub(1)) {
                    break;
                }
                for (a, b) in low.iter_mut().zip(high.iter()) {
                    *a |= b;
                }
                size = size.saturating_sub(1);
            }
            let words = (1_usize << size) / 64;
            out.reserve_exact(words.saturating_mul(8).saturating_add(2));
            out.extend_from_slice(&[KIND, u8::try_from(size).unwrap_or(0)]);
            for word in self.words.iter().take(words) {
                out.extend_from_slice(&word.to_le_bytes());
            }
            self.ids.finish(&mut out);
        }
        self.clear();
        out
    }
}

/// Sets the bit of a hash.
fn set(words: &mut [u64], hash: u64) {
    // Both are below 2^20.
    let (word, bit) = ((hash >> 6) as usize & ((1 << (MOST - 6)) - 1), hash & 63);
    if let Some(word) = words.get_mut(word) {
        *word |= 1 << bit;
    }
}

/// A filter as it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    bits: &'a [u8],
    mask: u64,
    ids: Option<ids::Filter<'a>>,
}

/// How many of a thousand bits are set; of none, all.
pub(super) fn fullness(bits: &[u8]) -> u64 {
    let set: u64 = bits.iter().map(|byte| u64::from(byte.count_ones())).sum();
    set.saturating_mul(125).checked_div(bits.len() as u64).unwrap_or(1000)
}

/// A filter of half the size: the OR of its halves.
pub(super) fn halved(bits: &[u8]) -> Vec<u8> {
    let (low, high) = bits.split_at(bits.len() / 2);
    low.iter().zip(high).map(|(low, high)| low | high).collect()
}

/// Length of the first filter of these bytes.
fn first_len(bytes: &[u8]) -> Option<usize> {
    let [KIND, size, ..] = bytes else { return None };
    let size = u32::from(*size);
    (LEAST..=MOST).contains(&size).then(|| ((1_usize << size) / 8).saturating_add(2))
}

/// The same filter, as small as its segment wants it: of `raw` bytes of output, that were sealed into `stored` bytes, of which
/// `beside` are taken by other things that are not its content. The first filter is halved as [`MOST_FULL_SMALL`] says; the second
/// until both and what is beside take no more than a part of `stored`, or left out.
pub fn fitted(mut bytes: Vec<u8>, raw: u64, stored: u64, beside: u64) -> Vec<u8> {
    let Some(first) = first_len(&bytes).filter(|first| *first <= bytes.len()) else { return bytes };
    let second = bytes.split_off(first);
    if raw < SMALL_RAW {
        bytes = halved_for(bytes, stored / SHARE);
    }
    if !second.is_empty() {
        let room = (stored / ids::SHARE).saturating_sub(beside).saturating_sub(bytes.len() as u64);
        bytes.extend_from_slice(&ids::fitted(second, room));
    }
    bytes
}

/// A first filter that is halved until it takes at most `room` bytes, as far as it does not become too full.
fn halved_for(mut bytes: Vec<u8>, room: u64) -> Vec<u8> {
    while bytes.len() as u64 > room
        && let [KIND, size, bits @ ..] = bytes.as_slice()
        && u32::from(*size) > LEAST
    {
        let half = halved(bits);
        if fullness(&half) > MOST_FULL_SMALL {
            break;
        }
        bytes = [&[KIND, size.saturating_sub(1)], half.as_slice()].concat();
    }
    bytes
}

impl<'a> Filter<'a> {
    /// Reads a filter; `None` when there is none, or none that this version understands: then the segment must be looked
    /// into.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(first_len(bytes)?)?;
        let bits = first.get(2..)?;
        let ids = match second {
            [] => None,
            second => Some(ids::Filter::read(second)?),
        };
        Some(Self { bits, mask: (bits.len() as u64).saturating_mul(8).wrapping_sub(1), ids })
    }

    /// Whether a piece of hexadecimal digits with this hash (see [`super::ids::pieces`]) may be in it.
    pub fn may_hold_piece(&self, hash: u64) -> bool {
        self.ids.is_none_or(|ids| ids.may_hold(hash))
    }

    /// Whether a trigram with this hash (see [`trigrams`]) may be in it.
    pub fn may_hold(&self, hash: u64) -> bool {
        let at = hash & self.mask;
        self.bits.get((at >> 3) as usize).is_none_or(|byte| byte & (1 << (at & 7)) != 0)
    }

    /// Whether a line that holds this text may be in it.
    pub fn may_hold_text(&self, text: &str) -> bool {
        trigrams(text).all(|hash| self.may_hold(hash))
            && ids::pieces(text).all(|hash| self.may_hold_piece(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(first: u64, second: u64, third: u64) -> u64 {
        mixed(first | (second << 21) | (third << 42))
    }

    fn filter(lines: &[String]) -> Vec<u8> {
        let mut builder = Builder::default();
        lines.iter().for_each(|line| builder.add(line));
        let mut bytes = builder.finish(SMALL_RAW);
        // The second one has tests of its own.
        bytes.truncate(first_len(&bytes).unwrap_or(0));
        bytes
    }

    #[test]
    fn the_bytes_are_what_the_module_head_says() {
        // Computed once with a second implementation of a dozen lines of Python.
        let bytes = filter(&["aBc".to_owned()]);
        assert_eq!(bytes.len(), 2 + 64);
        assert_eq!(bytes[..2], [0x11, 9]);
        let set: Vec<usize> = (0..512).filter(|i| bytes[2 + i / 8] & (1 << (i % 8)) != 0).collect();
        assert_eq!(set, [usize::try_from(hash(97, 98, 99) % 512).unwrap()]);
        assert_eq!(hash(97, 98, 99), 0xfe1e_6591_cf9b_c0b1);
    }

    #[test]
    fn characters_that_a_search_without_case_takes_for_each_other_count_as_the_same() {
        use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
        for c in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            for range in class.iter() {
                for other in range.start()..=range.end() {
                    assert_eq!(fold(other), fold(c), "{c:?} {other:?}");
                }
            }
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
        }
    }

    #[test]
    fn what_a_filter_was_made_of_is_forgotten_with_it() {
        let mut builder = Builder::default();
        builder.add("geheim: ÄÖÜ 日本語");
        assert!(builder.folds.0.contains(&('Ä', 'ä')));
        builder.finish(LEAST_RAW);
        assert_eq!(builder.folds.0, Folds::default().0);
    }

    #[test]
    fn damaged_and_unknown_filters_deny_nothing() {
        let good = filter(&["some text".to_owned()]);
        for cut in 0..good.len() {
            assert!(Filter::read(&good[..cut]).is_none(), "{cut}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(Filter::read(&longer).is_none());
        for (at, value) in [(0, 0x21), (0, 0x12), (1, 8), (1, 21), (1, 255)] {
            let mut other = good.clone();
            other[at] = value;
            assert!(Filter::read(&other).is_none(), "{at} {value}");
        }
    }

    #[test]
    fn too_many_trigrams_give_no_filter_rather_than_one_that_denies_nothing() {
        let mut dice = crate::sys::dice::Dice(1);
        let mut line =
            || (0..250).map(|_| char::from_u32(0x4e00 + dice.below(20_000)).unwrap()).collect::<String>();
        let noise: Vec<String> = (0..4000).map(|_| line()).collect();
        assert!(filter(&noise).is_empty());
        let some = filter(&noise[..200]);
        let read = Filter::read(&some).unwrap();
        assert!((100..=300).contains(&fullness(read.bits)), "{}", fullness(read.bits));
    }

    #[test]
    fn a_tiny_segment_has_no_filter_and_a_small_one_as_full_a_one_as_its_size_asks_for() {
        let lines: Vec<String> = (0..2000_u64).map(|n| format!("{n} {:x}", n * 7919 * 7919)).collect();
        let of = |raw| {
            let mut builder = Builder::default();
            lines.iter().for_each(|line| builder.add(line));
            builder.finish(raw)
        };
        assert!(of(LEAST_RAW - 1).is_empty());
        let whole = of(LEAST_RAW);
        let first = first_len(&whole).unwrap();
        assert!(first < whole.len(), "there is a second one");
        let full = |bytes: &[u8]| fullness(Filter::read(bytes).unwrap().bits);
        assert!(full(&whole) <= MOST_FULL);
        let len = |bytes: &[u8]| first_len(bytes).unwrap();
        // Room enough; too large a segment; no room at all.
        let room = (first as u64) * SHARE;
        assert_eq!(len(&fitted(whole.clone(), LEAST_RAW, room, 0)), first);
        assert_eq!(len(&fitted(whole.clone(), SMALL_RAW, 0, 0)), first);
        let half = fitted(whole.clone(), LEAST_RAW, room - 1, 0);
        assert!(len(&half) < first, "{} {first}", len(&half));
        let least = fitted(whole, SMALL_RAW - 1, 0, 0);
        assert!(
            len(&least) <= len(&half) && (MOST_FULL / 2..=MOST_FULL_SMALL).contains(&full(&least)),
            "{}",
            full(&least)
        );
        let read = Filter::read(&least).unwrap();
        assert!(lines.iter().all(|line| read.may_hold_text(line)));
        assert!(!read.may_hold_text("nothing of the kind"));
    }

    proptest! {
        #[test]
        fn no_part_of_a_line_is_denied_whatever_its_case(
            lines in proptest::collection::vec("\\PC{0,40}", 0..40), at in any::<proptest::sample::Index>(),
            from in 0usize..40, len in 0usize..40, how in 0u8..3,
        ) {
            let bytes = filter(&lines);
            let read = Filter::read(&bytes).unwrap();
            prop_assert!(bytes.len() == 2 + 64 || fullness(read.bits) >= 150 - 5, "{}", fullness(read.bits));
            prop_assert!(fullness(read.bits) <= 300);
            if !lines.is_empty() {
                let part: String = at.get(&lines).chars().skip(from).take(len).collect();
                prop_assert!(read.may_hold_text(&part));
                let simple = |c: char| match how {
                    1 => single(c.to_uppercase()).unwrap_or(c),
                    2 => single(c.to_lowercase()).unwrap_or(c),
                    _ => c,
                };
                let other: String = part.chars().map(simple).collect();
                let same = other.chars().map(fold).eq(part.chars().map(fold));
                prop_assert!(!same || read.may_hold_text(&other));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in "\\PC{0,9}") {
            if let Some(filter) = Filter::read(&bytes) {
                filter.may_hold_text(&text);
            }
        }
    }
}
