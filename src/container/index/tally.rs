//! What is counted of a segment from its events.
//!
//! Refuses to list without an end: what is beyond [`LISTED`] is counted. A list or a histogram that is longer than a writer makes it is
//! refused where it is read.

use crate::cast::{Gap, Missing, Payload};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Most resizes, marks or gaps listed for one segment; more are counted in [`Tally::unlisted`].
pub const LISTED: usize = 1000;
/// Most bytes of the texts of the marks and gaps that are listed for one segment; what comes beyond them is counted, as beyond
/// [`LISTED`]. An entry holds four times as much in all, and with a whole path in the note of each of [`LISTED`] gaps it would be full.
pub(super) const TEXTS: usize = 4 << 20;
/// Buckets of the activity histogram; when they run out, two become one.
pub(super) const BUCKETS: usize = 256;

/// What an index entry counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Time of the first event, milliseconds since the start of the session.
    pub start: u64,
    /// Time of the last event, milliseconds since the start of the session.
    pub end: u64,
    /// Wall clock at the start, milliseconds since 1970-01-01T00:00:00Z.
    pub utc: i64,
    /// Bytes of output, standard error included.
    pub raw: u64,
    /// Bytes of input that were kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub input: u64,
    /// How often input was withheld.
    #[serde(skip_serializing_if = "is_zero")]
    pub withheld: u64,
    /// Bytes or things that gaps say are missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Resizes: time, columns, rows.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "only_listed")]
    pub resizes: Vec<(u64, u16, u16)>,
    /// Marks: time and label.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "only_listed")]
    pub marks: Vec<(u64, String)>,
    /// Gaps: time and reason.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "only_listed")]
    pub gaps: Vec<(u64, Gap)>,
    /// Resizes, marks, gaps and keyframes beyond the first [`LISTED`] of each, and marks and gaps beyond [`TEXTS`].
    #[serde(skip_serializing_if = "is_zero")]
    pub unlisted: u64,
    /// Times of the keyframes inside.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "only_listed")]
    pub keyframes: Vec<u64>,
    /// Exit status of the session, if it ended here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Milliseconds per character of `activity`.
    pub step: u64,
    /// Output over time: per step, the bit length of the byte count as one character (`0`–`9`, `a`–`z`).
    #[serde(deserialize_with = "only_steps")]
    pub activity: String,
    #[serde(skip)]
    buckets: Vec<u64>,
    /// Bytes of the texts that are listed.
    #[serde(skip)]
    texts: usize,
    #[serde(skip)]
    begun: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Tally {
    /// Counts an event that was written at `ms`.
    pub fn count(&mut self, ms: u64, payload: &Payload) {
        if !self.begun {
            self.begun = true;
            (self.start, self.step) = (ms, 1000);
        }
        self.end = ms;
        match payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => self.output(ms, bytes.len() as u64),
            Payload::Input(bytes) => self.input = self.input.saturating_add(bytes.len() as u64),
            Payload::Withheld(count) => self.withheld = self.withheld.saturating_add(u64::from(*count)),
            Payload::Resize { cols, rows } => {
                if self.lists(self.resizes.len(), 0) {
                    self.resizes.push((ms, *cols, *rows));
                }
            }
            Payload::Marker(label) => {
                if self.lists(self.marks.len(), label.len()) {
                    self.marks.push((ms, label.clone()));
                }
            }
            Payload::Gap(gap) => {
                self.lost = self.lost.saturating_add(gap.count);
                let texts = [&gap.why, &gap.of, &gap.note, &gap.sha256].map(String::len);
                if self.lists(self.gaps.len(), texts.into_iter().fold(0, usize::saturating_add)) {
                    self.gaps.push((ms, gap.clone()));
                }
            }
            Payload::Keyframe(_) => {
                if self.lists(self.keyframes.len(), 0) {
                    self.keyframes.push(ms);
                }
            }
            Payload::Exit(status) => self.exit = Some(*status),
            Payload::Anchor(anchor) => {
                if self.utc == 0 {
                    self.utc = anchor.utc;
                }
            }
            Payload::Other { .. } => {}
        }
    }

    /// Whether one more, with texts of so many bytes, is listed where `listed` of its kind are; counts it where it is not.
    fn lists(&mut self, listed: usize, bytes: usize) -> bool {
        let texts = self.texts.saturating_add(bytes);
        let room = listed < LISTED && texts <= TEXTS;
        match room {
            true => self.texts = texts,
            false => self.unlisted = self.unlisted.saturating_add(1),
        }
        room
    }

    fn output(&mut self, ms: u64, bytes: u64) {
        self.raw = self.raw.saturating_add(bytes);
        let since = ms.saturating_sub(self.start);
        let mut at = since.checked_div(self.step).unwrap_or(0);
        while at >= BUCKETS as u64 {
            self.buckets =
                self.buckets.chunks(2).map(|two| two.iter().copied().fold(0, u64::saturating_add)).collect();
            self.step = self.step.saturating_mul(2);
            at = since.checked_div(self.step).unwrap_or(0);
        }
        let at = usize::try_from(at).unwrap_or(0);
        if self.buckets.len() <= at {
            self.buckets.resize(at.saturating_add(1), 0);
        }
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket = bucket.saturating_add(bytes);
        }
    }

    /// What is missing of the recording in the gaps: of those that are not listed, whatever they count.
    pub fn missing(&self) -> Missing {
        let listed = self.gaps.iter().map(|(_, gap)| gap.count).fold(0, u64::saturating_add);
        // What is not listed may be a gap of which nobody knows the count.
        let unknown = self.unlisted > 0 && self.gaps.len() >= LISTED;
        let mut missing = Missing { count: self.lost.saturating_sub(listed), unknown };
        self.gaps.iter().for_each(|(_, gap)| missing.add(gap.missing()));
        missing
    }

    /// Bytes that the lists take, about.
    pub(super) fn size(&self) -> usize {
        let marks = self.marks.iter().map(|(_, label)| label.len().saturating_add(32));
        let gaps = self.gaps.iter().map(|(_, gap)| gap.note.len().saturating_add(120));
        let numbers =
            self.resizes.len().saturating_mul(16).saturating_add(self.keyframes.len().saturating_mul(8));
        marks.chain(gaps).fold(numbers, usize::saturating_add)
    }

    /// The finished count.
    pub fn finish(mut self) -> Self {
        self.activity = self
            .buckets
            .iter()
            .map(|bytes| {
                char::from_digit(u64::BITS.saturating_sub(bytes.leading_zeros()).min(35), 36).unwrap_or('z')
            })
            .collect();
        self.buckets = Vec::new();
        (self.begun, self.texts) = (false, 0);
        self
    }
}

/// Reads a list, and refuses more than [`LISTED`] as soon as they come.
fn only_listed<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Listing<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Listing<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {LISTED}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(next) = seq.next_element()? {
                if list.len() >= LISTED {
                    return Err(A::Error::invalid_length(list.len().saturating_add(1), &self));
                }
                list.push(next);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Listing(PhantomData))
}

/// Reads the histogram, and refuses more than [`BUCKETS`].
fn only_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let steps = String::deserialize(deserializer)?;
    match steps.len() <= BUCKETS {
        true => Ok(steps),
        false => Err(D::Error::invalid_length(steps.len(), &"at most a step for each bucket")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cast::Why;

    pub(in crate::container::index) fn tally(events: impl IntoIterator<Item = (u64, Payload)>) -> Tally {
        let mut tally = Tally::default();
        for (ms, payload) in events {
            tally.count(ms, &payload);
        }
        tally.finish()
    }

    #[test]
    fn activity_of_a_long_segment_stays_small_and_adds_up() {
        let mut tally = Tally::default();
        for second in 0..5000u64 {
            tally.count(second * 1000, &Payload::Output(vec![0; 3]));
        }
        let tally = tally.finish();
        assert!(tally.activity.len() <= BUCKETS && tally.activity.len() > 100, "{}", tally.activity);
        assert_eq!((tally.raw, tally.step), (15_000, 32_000));
    }

    #[test]
    fn a_storm_of_resizes_is_counted_not_listed() {
        let tally = tally((0..5000).map(|n| (n, Payload::Resize { cols: 80, rows: 24 })));
        assert_eq!((tally.resizes.len(), tally.unlisted), (LISTED, 4000));
        assert_eq!(tally.missing(), Missing::default());
    }

    #[test]
    fn texts_are_listed_as_far_as_an_entry_has_room_for_them_and_the_others_are_counted() {
        let mark = |bytes: usize| Payload::Marker("x".repeat(bytes));
        let full = tally([(1, mark(TEXTS - 1)), (2, mark(2)), (3, mark(1)), (4, mark(1)), (5, mark(0))]);
        assert_eq!(full.marks.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(full.unlisted, 2);
        // What a recorder can come to: a gap for each that is listed, with the longest path of Linux in its note.
        let note = "p".repeat(4096);
        let gaps = (0..LISTED as u64).map(|n| (n, Payload::Gap(Gap::new(Why::Stage, "", 0, note.as_str()))));
        let listed = tally(gaps).gaps.len();
        assert!(listed >= LISTED, "{listed}");
    }

    #[test]
    fn of_gaps_that_are_not_listed_nobody_says_that_they_hold_all_that_is_missing() {
        let gap = |why| Payload::Gap(Gap::new(why, "session", 0, String::new()));
        let slept = || (0..LISTED as u64).map(|n| (n, gap(Why::Slept)));
        assert_eq!(tally(slept()).missing(), Missing::default());
        assert!(tally(slept().chain([(9000, gap(Why::Left))])).missing().unknown);
    }
}
