//! INDEX: what a segment holds, kept apart from it so that listing and searching never open it.
//!
//! What can be counted from the events is counted by [`Tally`], in the writer and again in a full verification: an
//! index that says something else than its content is found out (the systemd journal's was not: CVE-2023-31437).

use super::error::Error;
use super::fit::LeftOut;
use super::frame::Fields;
use super::{limits, told};
use crate::cast::{Command, Exec, Gap, Payload};
use crate::crypto::seal;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::cell::RefCell;
use std::fmt;
use std::io::Read as _;
use std::marker::PhantomData;

/// Most resizes, marks or gaps listed for one segment; more are counted in [`Tally::unlisted`].
pub const LISTED: usize = 1000;
/// Buckets of the activity histogram; when they run out, two become one.
const BUCKETS: usize = 256;

/// Index entry of one segment. Written as JSON it has its commands and programs by columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Number of the segment, from 0.
    pub segment: u32,
    /// Byte offset of its first chunk in the file.
    pub offset: u64,
    /// What is counted from the events.
    pub tally: Tally,
    /// Commands that ended in this segment, or were running when the recording did.
    pub commands: Vec<Command>,
    /// Executed programs that belong to no command.
    pub execs: Vec<Exec>,
    /// Commands that had not ended when the segment did, with their programs so far. They are told again when they end: a reader keeps
    /// those of the last entry only, and what was sealed of them before where that had no room for it.
    pub running: Vec<Command>,
    /// What of them did not fit, where they were not told again.
    pub running_left_out: LeftOut,
    /// Why there is less here than there could be, if there is.
    pub given_up: Option<GivenUp>,
    /// Commands and programs for which there was no room.
    pub left_out: LeftOut,
    /// Bloom filter over what the segment showed; empty = not made, look inside.
    pub filter: Vec<u8>,
}

/// Why a segment has no filter, though one could have been made, or not all of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenUp {
    /// Output came faster than it was worth reading.
    Flood,
    /// What reads the output was late, or left out a flood of binary data or what it would have cost too much to draw: the screen is
    /// not known until a full reset.
    Late,
    /// The same, and lines were typed meanwhile, which nobody can read: commands may be missing.
    Unread,
    /// What reads the output failed: commands may be missing, from then on.
    Failed,
    /// The entry would have been longer than may be, or than the disk had room for: commands are missing.
    TooLong,
    /// For a reason that this version does not know.
    #[serde(other)]
    Other,
}

impl GivenUp {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Late => "late",
            Self::Unread => "unread",
            Self::Failed => "failed",
            Self::TooLong => "too-long",
            Self::Other => "other",
        }
    }

    /// Whether commands may be missing, too. In a flood the screen is followed, and typed lines are read off it; who is late tells with the
    /// next segment, or has it counted.
    pub fn lacks_commands(self) -> bool {
        !matches!(self, Self::Flood | Self::Late)
    }
}

/// The commands of these entries, by start: one that runs long is in the entry of the segment in which it ended.
pub fn commands(entries: &[Entry]) -> Vec<&Command> {
    let mut commands: Vec<&Command> = entries.iter().flat_map(|entry| &entry.commands).collect();
    commands.extend(entries.iter().flat_map(|entry| &entry.running));
    commands.sort_by_key(|command| command.start);
    commands
}

/// Commands and their programs, by columns.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Running<'a> {
    commands: told::Commands<'a>,
    programs: told::Programs<'a>,
}

impl Running<'_> {
    fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// The JSON of an [`Entry`].
#[derive(Serialize)]
struct Wire<'a> {
    segment: u32,
    offset: u64,
    #[serde(flatten)]
    tally: &'a Tally,
    #[serde(skip_serializing_if = "told::Commands::is_empty")]
    commands: told::Commands<'a>,
    #[serde(skip_serializing_if = "told::Programs::is_empty")]
    programs: told::Programs<'a>,
    #[serde(skip_serializing_if = "Running::is_empty")]
    running: Running<'a>,
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    running_left_out: LeftOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_up: Option<GivenUp>,
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    left_out: LeftOut,
}

impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (commands, programs) = told::pack(&self.commands, &self.execs);
        let so_far = told::pack(&self.running, &[]);
        let running = Running { commands: so_far.0, programs: so_far.1 };
        let Self { segment, offset, ref tally, running_left_out, given_up, left_out, .. } = *self;
        let wire = Wire {
            segment,
            offset,
            tally,
            commands,
            programs,
            running,
            running_left_out,
            given_up,
            left_out,
        };
        wire.serialize(serializer)
    }
}

/// The JSON of an [`Entry`] again, but for its [`Tally`]: that is read by itself, because what is flattened is first kept
/// in memory as it comes, however much it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Unwired<C, P, R> {
    segment: u32,
    offset: u64,
    commands: C,
    programs: P,
    running: R,
    running_left_out: LeftOut,
    given_up: Option<GivenUp>,
    left_out: LeftOut,
}

/// With its commands and programs.
type Told = Unwired<told::Commands<'static>, told::Programs<'static>, Running<'static>>;
/// Of which nothing is made but what is counted.
type Bare = Unwired<Option<IgnoredAny>, Option<IgnoredAny>, Option<IgnoredAny>>;

/// What of an entry everybody compares who reads its segment: whoever puts checkpoints in the place of its last chunks, which takes
/// no key, makes it say less than was sealed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Offset of its SEG chunk.
    pub(super) offset: u64,
    /// Bytes of output…
    pub(super) raw: u64,
    /// …and of input that was kept.
    pub(super) input: u64,
    /// Time of the last event, milliseconds since the start of the session.
    pub(super) end: u64,
}

impl Counted {
    /// Counts an event as [`Tally::count`] does.
    pub(super) fn count(&mut self, ms: u64, payload: &Payload) {
        self.end = ms;
        match payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                self.raw = self.raw.saturating_add(bytes.len() as u64);
            }
            Payload::Input(bytes) => self.input = self.input.saturating_add(bytes.len() as u64),
            _ => {}
        }
    }
}

impl Entry {
    /// What is compared by everybody who reads the segment.
    pub(super) fn counted(&self) -> Counted {
        let Self { offset, tally: Tally { raw, input, end, .. }, .. } = *self;
        Counted { offset, raw, input, end }
    }

    /// Bytes that the commands and programs take, about.
    fn told_size(&self) -> usize {
        let commands = self.commands.iter().chain(&self.running);
        let commands = commands.map(Command::size).fold(0, usize::saturating_add);
        self.execs.iter().map(Exec::size).fold(commands, usize::saturating_add)
    }

    /// Whether a reader would take the commands: they are within [`limits::TOLD`].
    fn is_readable(&self) -> bool {
        self.told_size() <= limits::TOLD
    }

    /// What it counts for [`limits::UNPACKED`], with `json` bytes of JSON.
    fn unpacked(&self, json: usize) -> u64 {
        let bytes = json.saturating_add(self.told_size()).saturating_add(self.tally.size());
        (bytes as u64).saturating_sub(limits::UNPACKED_FREE)
    }
}

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
    /// Resizes, marks and gaps beyond the first [`LISTED`] of each.
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
                if listed(&self.resizes, &mut self.unlisted) {
                    self.resizes.push((ms, *cols, *rows));
                }
            }
            Payload::Marker(label) => {
                if listed(&self.marks, &mut self.unlisted) {
                    self.marks.push((ms, label.clone()));
                }
            }
            Payload::Gap(gap) => {
                self.lost = self.lost.saturating_add(gap.count);
                if listed(&self.gaps, &mut self.unlisted) {
                    self.gaps.push((ms, gap.clone()));
                }
            }
            Payload::Keyframe(_) => {
                if listed(&self.keyframes, &mut self.unlisted) {
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

    /// Bytes that the lists take, about.
    fn size(&self) -> usize {
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
        self.begun = false;
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

fn listed<T>(list: &[T], unlisted: &mut u64) -> bool {
    let room = list.len() < LISTED;
    if !room {
        *unlisted = unlisted.saturating_add(1);
    }
    room
}

/// The plaintext of an INDEX chunk (see [`pack`]) of a segment, and what it counts for [`limits::UNPACKED`].
pub(super) struct Packed {
    pub(super) plain: Vec<u8>,
    pub(super) unpacked: u64,
}

/// Whether it is a body of a chunk once it is sealed.
pub(super) fn fits(plain: &[u8]) -> bool {
    plain.len().saturating_add(limits::PAD).saturating_add(seal::OVERHEAD) <= limits::BODY as usize
}

/// The plaintext of an entry; `None` where a reader would not take it, because it is too long in one way or another.
pub(super) fn encode_entry(entry: &Entry) -> Result<Option<Packed>, Error> {
    if !entry.is_readable() {
        return Ok(None);
    }
    let json = json_of(entry)?;
    if json.len() > limits::ENTRY {
        return Ok(None);
    }
    let plain = pack(&json, &entry.filter)?;
    let unpacked = entry.unpacked(json.len());
    Ok(fits(&plain).then_some(Packed { plain, unpacked }))
}

/// The same for an entry of which there is nothing but the counts, however long it is.
pub(super) fn encode_counts(entry: &Entry) -> Result<Packed, Error> {
    let json = json_of(entry)?;
    Ok(Packed { plain: pack(&json, &[])?, unpacked: entry.unpacked(json.len()) })
}

pub(super) fn json_of(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|e| Error::Compression(e.to_string()))
}

/// The plaintext of an INDEX chunk: length of the packed JSON, the packed JSON, the filter.
pub(super) fn pack(json: &[u8], filter: &[u8]) -> Result<Vec<u8>, Error> {
    let level = if json.len() > limits::INDEX_SHORT { limits::INDEX_LONG_LEVEL } else { limits::INDEX_LEVEL };
    let packed = zstd::bulk::compress(json, level).map_err(|e| Error::Compression(e.to_string()))?;
    let mut plain = u32::try_from(packed.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    plain.extend_from_slice(&packed);
    plain.extend_from_slice(filter);
    Ok(plain)
}

/// An entry as it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) entry: Entry,
    /// Nothing of it was left out, because it was not wanted.
    pub(crate) whole: bool,
    /// What it counts for [`limits::UNPACKED`].
    pub(crate) unpacked: u64,
}

/// Reads an entry; without its commands and programs where `wanted` says no to the JSON.
pub(crate) fn decode_entry(plain: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<Decoded> {
    let (json, filter) = unpack(plain)?;
    let (entry, whole) = read_entry(&json, wanted(&json))?;
    let unpacked = entry.unpacked(json.len());
    Some(Decoded { entry: Entry { filter, ..entry }, whole, unpacked })
}

/// The entry that is told by this JSON, with no filter, and whether all of it was read.
fn read_entry(json: &[u8], wanted: bool) -> Option<(Entry, bool)> {
    let tally = serde_json::from_slice(json).ok()?;
    if wanted {
        serde_json::from_slice::<told::Weights>(json).ok()?.fit().then_some(())?;
        let told: Told = serde_json::from_slice(json).ok()?;
        let Told { segment, offset, commands, programs, running, running_left_out, given_up, left_out } =
            told;
        let (commands, execs) = told::spread(commands, programs)?;
        let (running, _) = told::spread(running.commands, running.programs)?;
        let filter = Vec::new();
        let entry = Entry {
            segment,
            offset,
            tally,
            commands,
            execs,
            running,
            running_left_out,
            given_up,
            left_out,
            filter,
        };
        return (entry.running.is_empty() || entry.is_readable()).then_some((entry, true));
    }
    let bare: Bare = serde_json::from_slice(json).ok()?;
    let Bare { segment, offset, commands, programs, running, running_left_out, given_up, left_out } = bare;
    let whole = commands.is_none() && programs.is_none() && running.is_none();
    Some((Entry { segment, offset, tally, running_left_out, given_up, left_out, ..Entry::default() }, whole))
}

thread_local! {
    /// Kept, because one takes longer to make than most entries to decompress.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

/// The JSON and the filter.
pub(super) fn unpack(plain: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut fields = Fields(plain);
    let len = usize::try_from(fields.u32()?).ok()?;
    let packed = fields.bytes(len)?;
    let json = match zstd::zstd_safe::get_frame_content_size(packed) {
        Ok(Some(size)) => {
            let size = usize::try_from(size).ok().filter(|size| *size <= limits::ENTRY)?;
            DECOMPRESSOR.with_borrow_mut(|zstd| zstd.as_mut()?.decompress(packed, size).ok())?
        }
        // Another writer may not have known the length when it began.
        _ => {
            let mut json = Vec::new();
            let mut decoder = zstd::stream::read::Decoder::new(packed).ok()?;
            decoder.window_log_max(limits::WINDOW_LOG_MAX).ok()?;
            decoder.take(limits::ENTRY as u64).read_to_end(&mut json).ok()?;
            json
        }
    };
    Some((json, fields.0.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn commands_are_in_the_order_in_which_they_began() {
        let of = |starts: &[u64]| Entry {
            commands: starts.iter().map(|start| Command { start: *start, ..Command::default() }).collect(),
            ..Entry::default()
        };
        let entries = [of(&[2, 5]), of(&[]), of(&[0, 3])];
        let starts: Vec<u64> = commands(&entries).iter().map(|command| command.start).collect();
        assert_eq!(starts, [0, 2, 3, 5]);
    }

    fn decoded(plain: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<(Entry, bool)> {
        decode_entry(plain, wanted).map(|decoded| (decoded.entry, decoded.whole))
    }

    fn decode_all(plain: &[u8]) -> Option<(Entry, bool)> {
        decoded(plain, |_| true)
    }

    fn tally(events: impl IntoIterator<Item = (u64, Payload)>) -> Tally {
        let mut tally = Tally::default();
        for (ms, payload) in events {
            tally.count(ms, &payload);
        }
        tally.finish()
    }

    #[test]
    fn an_entry_comes_back_with_its_filter() {
        let tally = tally([(5, Payload::Output(b"hello".to_vec())), (2500, Payload::Exit(0))]);
        assert_eq!((tally.start, tally.end, tally.raw, tally.exit), (5, 2500, 5, Some(0)));
        assert_eq!(tally.activity, "3");
        let entry = Entry { segment: 3, offset: 99, tally, filter: vec![1, 2, 3], ..Entry::default() };
        let plain = pack(&json_of(&entry).unwrap(), &entry.filter).unwrap();
        assert_eq!(decode_all(&plain), Some((entry, true)));
        for cut in 0..plain.len() - 3 {
            assert!(decode_all(&plain[..cut]).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn commands_that_are_not_wanted_are_left_out_and_nothing_else() {
        let commands = vec![Command { text: "uptime".into(), ..Command::default() }];
        let tally = tally([(5, Payload::Output(b"hello".to_vec())), (2500, Payload::Exit(0))]);
        let given_up = Some(GivenUp::Flood);
        let filter = vec![1, 2];
        let entry = Entry { segment: 3, offset: 99, tally, commands, given_up, filter, ..Entry::default() };
        let plain = pack(&json_of(&entry).unwrap(), &entry.filter).unwrap();
        let has = |text: &str, json: &[u8]| String::from_utf8_lossy(json).contains(text);
        assert_eq!(decoded(&plain, |json| has("uptime", json)), Some((entry.clone(), true)));
        let bare = Entry { commands: Vec::new(), ..entry };
        assert_eq!(decoded(&plain, |json| has("downtime", json)), Some((bare.clone(), false)));
        let plain = pack(&json_of(&bare).unwrap(), &bare.filter).unwrap();
        assert_eq!(decoded(&plain, |_| false), Some((bare, true)), "there was nothing to leave out");
    }

    #[test]
    fn a_reason_of_a_later_version_is_read() {
        let (entry, _) = read_entry(br#"{"given_up":"too-tired"}"#, true).unwrap();
        assert_eq!(entry.given_up, Some(GivenUp::Other));
        for reason in [GivenUp::Flood, GivenUp::Late, GivenUp::Unread, GivenUp::Failed, GivenUp::TooLong] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
        }
    }

    #[test]
    fn an_entry_whose_length_is_not_told_is_read_as_well() {
        let entry = Entry { segment: 7, ..Entry::default() };
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&serde_json::to_vec(&entry).unwrap()).unwrap();
        encoder.flush().unwrap();
        let packed = encoder.finish().unwrap();
        assert!(matches!(zstd::zstd_safe::get_frame_content_size(&packed), Ok(None)));
        let mut plain = u32::try_from(packed.len()).unwrap().to_le_bytes().to_vec();
        plain.extend_from_slice(&packed);
        assert_eq!(decode_all(&plain), Some((entry, true)));
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
    fn more_activity_than_a_writer_counts_is_refused_wanted_or_not() {
        for (steps, fine) in [(BUCKETS, true), (BUCKETS + 1, false)] {
            let json = format!(r#"{{"segment":0,"step":1000,"activity":"{}"}}"#, "5".repeat(steps));
            for wanted in [true, false] {
                assert_eq!(read_entry(json.as_bytes(), wanted).is_some(), fine, "{steps}, {wanted}");
            }
        }
    }

    #[test]
    fn a_storm_of_resizes_is_counted_not_listed() {
        let tally = tally((0..5000).map(|n| (n, Payload::Resize { cols: 80, rows: 24 })));
        assert_eq!((tally.resizes.len(), tally.unlisted), (LISTED, 4000));
    }

    #[test]
    fn a_list_that_no_writer_would_write_is_refused_wanted_or_not() {
        for (list, item) in [
            ("resizes", "[0,0,0]"),
            ("marks", r#"[0,""]"#),
            ("gaps", r#"[0,{"why":""}]"#),
            ("keyframes", "0"),
        ] {
            for (count, fine) in [(LISTED, true), (LISTED + 1, false)] {
                let items = vec![item; count].join(",");
                let json = format!(r#"{{"segment":0,"{list}":[{items}]}}"#);
                for wanted in [true, false] {
                    assert_eq!(
                        read_entry(json.as_bytes(), wanted).is_some(),
                        fine,
                        "{count} {list}, {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn reader_and_writer_count_the_same_for_an_entry_and_what_is_not_made_is_not_counted() {
        let tally = tally((0..300).map(|n| (n, Payload::Marker("a label".into()))));
        let exec = Exec { argv: vec!["x".repeat(3000)], ..Exec::default() };
        let commands = vec![Command { execs: vec![exec; 10], ..Command::default() }];
        let entry = Entry { tally, commands, ..Entry::default() };
        let packed = encode_entry(&entry).unwrap().unwrap();
        let (all, bare) =
            [true, false].map(|wanted| decode_entry(&packed.plain, |_| wanted).unwrap().unpacked).into();
        assert_eq!(packed.unpacked, all);
        assert!(all > 60_000 && bare > 30_000 && bare < all - 30_000, "{all} {bare}");
        assert_eq!(encode_counts(&Entry::default()).unwrap().unpacked, 0);
    }
}
