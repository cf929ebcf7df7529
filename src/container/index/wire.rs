//! An index entry as it stands in the file: JSON, its commands and programs by columns, packed, with the filter behind it.
//!
//! Refuses to write what a reader would not take, and to unpack or make more than [`limits`] has room for.

use super::super::error::Error;
use super::super::fit::LeftOut;
use super::super::frame::Fields;
use super::super::{limits, told};
use super::tally::Tally;
use super::{Entry, GivenUp};
use crate::crypto::seal;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::Read as _;

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

/// The plaintext of an INDEX chunk (see [`pack`]) of a segment, and what it counts for [`limits::UNPACKED`].
pub(in crate::container) struct Packed {
    pub(in crate::container) plain: Vec<u8>,
    pub(in crate::container) unpacked: u64,
}

/// Whether it is a body of a chunk once it is sealed.
pub(in crate::container) fn fits(plain: &[u8]) -> bool {
    plain.len().saturating_add(limits::PAD).saturating_add(seal::OVERHEAD) <= limits::BODY as usize
}

/// The plaintext of an entry; `None` where a reader would not take it, because it is too long in one way or another.
pub(in crate::container) fn encode_entry(entry: &Entry) -> Result<Option<Packed>, Error> {
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
pub(in crate::container) fn encode_counts(entry: &Entry) -> Result<Packed, Error> {
    let json = json_of(entry)?;
    Ok(Packed { plain: pack(&json, &[])?, unpacked: entry.unpacked(json.len()) })
}

pub(in crate::container) fn json_of(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(Error::Json)
}

/// The plaintext of an INDEX chunk: length of the packed JSON, the packed JSON, the filter.
pub(in crate::container) fn pack(json: &[u8], filter: &[u8]) -> Result<Vec<u8>, Error> {
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
pub(in crate::container) fn unpack(plain: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
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
    use super::super::tally::tests::tally;
    use super::super::tally::{BUCKETS, LISTED};
    use super::*;
    use crate::cast::{Command, Exec, Payload};
    use std::io::Write as _;

    fn decoded(plain: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<(Entry, bool)> {
        decode_entry(plain, wanted).map(|decoded| (decoded.entry, decoded.whole))
    }

    fn decode_all(plain: &[u8]) -> Option<(Entry, bool)> {
        decoded(plain, |_| true)
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
    fn more_activity_than_a_writer_counts_is_refused_wanted_or_not() {
        for (steps, fine) in [(BUCKETS, true), (BUCKETS + 1, false)] {
            let json = format!(r#"{{"segment":0,"step":1000,"activity":"{}"}}"#, "5".repeat(steps));
            for wanted in [true, false] {
                assert_eq!(read_entry(json.as_bytes(), wanted).is_some(), fine, "{steps}, {wanted}");
            }
        }
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
