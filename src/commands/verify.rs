//! `sealcast verify [REC…]`

use super::Context;
use super::recordings::{
    LATELY, Reading, WOULD_ASK, clock, held, known_keys, ms, name, no_recordings, shown, size, span,
};
use crate::cast::Payload;
use crate::console::{Column, Style, Table};
use crate::container::verify::{Origin, Report, Tear, Verdict, verify, verify_without_beginning};
use crate::container::{self, Cursor, Header, Reader, verify_content};
use crate::crypto::identity::Identities;
use crate::crypto::known_keys::KnownKeys;
use crate::error::{Context as _, Error, Kind, Result};
use crate::search::audit::{Audit, Lie, audit};
use crate::store::{Found, Name, seal, silence};
use crate::sys::clock::realtime;
use crate::terminal::DRAWING;
use crate::text::counted;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

/// Most differences between index and content that are told of one recording.
const MOST_LIES: usize = 100;
/// A recording that has been silent for longer is not taken for one that is being written, whoever holds its lock.
const LONGEST_SILENCE: Duration = Duration::from_secs(86_400);

/// Check that recordings are what was written
///
/// Needs no identity: signatures cover every byte. With one, the content is read as well, and index, filters and keyframes
/// are compared with what it showed. Without REC, all recordings of the store. Exit status: 0 all intact (or still running), 1 torn, altered, foreign, revoked or renamed, 2 could not be checked, or there is nothing to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings: paths, beginnings of ids, `last`, `last~2`
    #[arg(value_name = "REC")]
    recordings: Vec<String>,
    /// Keys that recordings may be signed with: known_hosts, allowed_signers or public keys; may be given several times
    ///
    /// Your own signing key and this host's key are trusted without it.
    #[arg(short, long, value_name = "FILE")]
    known_keys: Vec<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// What came out for one recording, for people and programs.
pub(super) struct Judged {
    /// `intact`, `running`, `torn`, `altered`, `foreign`, `revoked`; `renamed` for one that would be intact or running under its
    /// own name.
    pub(super) word: &'static str,
    /// Why, and what is still good.
    pub(super) detail: String,
    /// It ends before its close and is not being written, whoever signed it.
    pub(super) cut: bool,
    /// Whether the content was checked, too.
    content: bool,
    /// Why none of the identities opened it.
    locked: Option<Error>,
    /// What the index says and the content does not, in words.
    lies: Vec<String>,
    /// What this version would have drawn or told otherwise, in words, of a recording that another one made.
    differences: Vec<String>,
    /// Segments with a keyframe that could not be compared.
    unchecked: Vec<usize>,
    report: Report,
    /// Byte offset of what is wrong, or where a torn one ends, and the number of the chunk, as far as it has a place.
    place: (Option<u64>, Option<u32>),
    /// Its id, as its header has it.
    id: Option<String>,
    /// What its file is called and what it is, in words, where that differs.
    renamed: Option<String>,
}

impl Judged {
    /// Compares what a file is called with what its header says.
    pub(super) fn compare_name(&mut self, found: &Found, header: &Header) {
        self.id = Name::of(header).map(|name| name.id);
        let Some(misnamed) = found.misnamed(header) else { return };
        if self.is_good() {
            self.detail = format!("{misnamed}; but for its name {}: {}", self.word, self.detail);
            self.word = "renamed";
        } else {
            self.detail.push_str(&format!("; and {misnamed}"));
        }
        self.renamed = Some(misnamed.to_string());
    }

    /// Segments that have their end.
    pub(super) fn segments(&self) -> usize {
        self.report.segments
    }

    /// Whether nothing is wrong.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.word, "intact" | "running")
    }

    /// How it is set off.
    pub(super) fn style(&self) -> Style {
        match self.word {
            "intact" if self.differences.is_empty() && self.unchecked.is_empty() && self.locked.is_none() => {
                Style::Green
            }
            "intact" | "running" | "torn" => Style::Yellow,
            _ => Style::Red,
        }
    }
}

/// Runs it.
///
/// # Errors
/// A recording that is not intact (exit code 1), or could not be checked (2).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let found: Vec<Result<Found>> = match &args.recordings[..] {
        [] => {
            let store = args.reading.store(context)?;
            let all = store.list()?;
            // That nothing is wrong with nothing is no answer to whoever misses something.
            if all.is_empty() {
                return Err(no_recordings(&store).while_doing("there is nothing to verify"));
            }
            all.into_iter().map(Ok).collect()
        }
        wanted => wanted.iter().map(|wanted| args.reading.find(context, wanted)).collect(),
    };
    let known = known_keys(context, &args.known_keys)?;
    let identities = args.reading.quiet_identities(context)?;
    let must_open = args.reading.names_identity();
    let (mut bad, mut unchecked, mut unlike) = (0, 0, 0);
    let mut locked = None;
    let mut table = Table::new(&[("ID", Column::Left), ("VERDICT", Column::Left), ("WHY", Column::Whole)]);
    let of = found.len();
    for recording in found {
        let judged = recording
            .and_then(|found| judge(context, &found, &known, &identities).map(|judged| (found, judged)));
        match judged {
            Ok((recording, mut judged)) => {
                // One's own identity, which was not named, need not open what is sealed to others.
                judged.locked = judged.locked.filter(|_| must_open);
                if let Some(why) = &judged.locked {
                    judged.detail.push_str(&format!("; content not checked: {why}"));
                    unchecked += 1;
                }
                bad += usize::from(!judged.is_good());
                unlike += usize::from(!judged.differences.is_empty());
                if args.json {
                    context.console.json(&json_of(&recording, &judged))?;
                } else {
                    let short = judged.id.as_ref().filter(|_| recording.name.is_some());
                    let short = short.and_then(|id| id.get(..8)).map(str::to_owned);
                    table.styled_row(&[
                        (Style::Plain, &short.unwrap_or_else(|| name(&recording))),
                        (judged.style(), &judged.word),
                        (Style::Plain, &judged.detail),
                    ]);
                }
                if let Some(error) = judged.locked {
                    locked.get_or_insert(error.while_doing(name(&recording)));
                }
            }
            Err(error) if of == 1 => return Err(error),
            Err(error) => {
                unchecked += 1;
                error.print(&context.console);
            }
        }
    }
    if !table.is_empty() {
        context.console.table(&table)?;
    }
    if unlike > 0 {
        let whose =
            if of == 1 { "of the recording".to_owned() } else { format!("of {unlike} of {of} recordings") };
        let said = format!(
            "the index {whose} does not fit what this version draws: another version drew it, and `search` does not believe it"
        );
        context.console.remark("note", Style::Yellow, said);
    }
    if args.reading.would_ask(context) {
        context.console.remark(
            "note",
            Style::Plain,
            format!("only signatures were looked at, and not the content: {WOULD_ASK}"),
        );
    }
    let not_intact = || match of {
        1 => "the recording is not intact".to_owned(),
        of => format!("{bad} of {of} recordings are not intact"),
    };
    let hints = locked.as_ref().map_or_else(Vec::new, |error| error.hints().to_vec());
    let failed = match (bad, unchecked, locked) {
        (0, 0, _) => return Ok(()),
        (0, _, Some(error)) if of == 1 => return Err(error),
        (0, n, _) => Error::new(Kind::Input, format!("{n} of {of} recordings could not be checked")),
        (_, 0, _) => Error::new(Kind::No, not_intact()),
        (_, _, _) if of == 1 => {
            Error::new(Kind::No, format!("{}, and its content could not be checked", not_intact()))
        }
        (_, n, _) => Error::new(Kind::No, format!("{}, {n} could not be checked", not_intact())),
    };
    Err(hints.into_iter().fold(failed, Error::hint))
}

/// Verifies one recording: its name, signatures, and the content where `identities` open it.
pub(super) fn judge(
    context: &Context,
    found: &Found,
    known: &KnownKeys,
    identities: &Identities,
) -> Result<Judged> {
    let file = found.open()?;
    let mut judged = judge_file(context, found, &file, known, identities)?;
    // One that has no header to be read was found altered.
    if let Ok(header) = Header::peek(&mut &file) {
        judged.compare_name(found, &header);
    }
    Ok(judged)
}

fn judge_file(
    context: &Context,
    found: &Found,
    file: &File,
    known: &KnownKeys,
    identities: &Identities,
) -> Result<Judged> {
    // Before anything is read: what is written meanwhile must not seem to have waited.
    let now = i64::try_from(ms(realtime())).unwrap_or(i64::MAX);
    let silent = silence(found, file);
    let length = file.metadata().map_or(0, |facts| facts.len());
    let mut progress = context.console.progress(&format!("verifying {}", name(found)), length);
    let report = verify(file, |certificate| seal::certify(known, certificate), |done| progress.at(done));
    drop(progress);
    let report = match report {
        // Whoever empties a recording, or writes over its beginning, leaves its name.
        Err(container::Error::NotARecording) if found.name.is_some() => {
            let report = verify_without_beginning(file).or_say(|| shown(&found.path))?;
            return Ok(describe(report, silent));
        }
        report => report.or_say(|| shown(&found.path))?,
    };
    let mut judged = describe(report, silent);
    if identities.is_empty() || judged.word == "altered" {
        return Ok(judged);
    }
    // What stands behind a tear has been judged: it is no content.
    let length = judged.report.verdict.tear().map_or(judged.report.length, |(at, _)| at);
    let mut reader = match Reader::open(Beginning { file, length }) {
        Ok(reader) => reader,
        Err(error) => {
            judged.faulty(error).or_say(|| shown(&found.path))?;
            return Ok(judged);
        }
    };
    match seal::unlock(&mut reader, identities) {
        Ok(seal::Access::Content) => {
            if let Some(waits) = silent.and_then(|_| unsigned_for(&mut reader, &judged, now)) {
                let doubt =
                    format!("open and locked, and what was recorded {} ago is not signed", span(waits));
                judged = put_in_words(judged.report, silent, Some(doubt));
            }
            check_content(context, &mut reader, &mut judged).or_say(|| shown(&found.path))?;
        }
        Ok(seal::Access::Index) => match reader.fault() {
            Some(error) => judged.faulty(error).or_say(|| shown(&found.path))?,
            None => judged.detail.push_str("; content not checked: the key opens the index only"),
        },
        Err(seal::UnlockError::Container(error)) => {
            judged.faulty(error).or_say(|| shown(&found.path))?;
        }
        Err(error) => judged.locked = Some(error.into()),
    }
    Ok(judged)
}

/// The first bytes of a file, as many as were verified: those of a recording that grows, or that ends in something else.
struct Beginning<'a> {
    file: &'a File,
    length: u64,
}

impl Read for Beginning<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let at = self.file.stream_position()?;
        self.file.take(self.length.saturating_sub(at)).read(to)
    }
}

impl Seek for Beginning<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(match to {
            SeekFrom::End(back) => SeekFrom::Start(self.length.saturating_add_signed(back)),
            to => to,
        })
    }
}

fn check_content(
    context: &Context,
    reader: &mut Reader<Beginning<'_>>,
    judged: &mut Judged,
) -> std::result::Result<(), container::Error> {
    let mut progress = context.console.progress("checking the content", reader.length());
    let checked = verify_content(reader, |done| progress.at(done));
    drop(progress);
    let events = match checked {
        Ok(events) => events,
        Err(error) => return judged.faulty(error),
    };
    judged.content = true;
    judged.detail.push_str(&format!("; content checked, {}", counted(events, "event")));
    if judged.report.verdict.tear().is_some()
        && let Some(last) = last_time(reader)
    {
        judged.detail.push_str(&format!(", the last at {}", clock(last)));
    }
    check_index(context, reader, judged)
}

/// How long the first event that no signature covers has waited for one at `now` (milliseconds since 1970-01-01T00:00:00Z), where
/// that is longer than a recorder lets it wait.
fn unsigned_for(reader: &mut Reader<Beginning<'_>>, judged: &Judged, now: i64) -> Option<Duration> {
    let signed = judged.report.signed;
    if judged.cut || signed >= judged.report.whole {
        return None;
    }
    // A checkpoint ends every segment: what waits is in the last one.
    let mut cursor = Cursor::new(reader, reader.segments().checked_sub(1)?).ok()?;
    // A segment ends also where the host slept or its clock was set: the clocks at its beginning hold for all of it.
    let mut clocks = None;
    while let Ok(Some(event)) = cursor.next(reader) {
        if let Payload::Anchor(anchor) = &event.payload {
            clocks = Some(anchor.clone());
        }
        if cursor.offset() > signed {
            let anchor = clocks?;
            let recorded = anchor.utc.saturating_add_unsigned(ms(event.time).saturating_sub(anchor.at));
            let waits = Duration::from_millis(u64::try_from(now.saturating_sub(recorded)).unwrap_or(0));
            return (waits >= LATELY).then_some(waits);
        }
    }
    None
}

/// Draws everything as the recorder did, and compares index, filters and keyframes with what was shown.
fn check_index(
    context: &Context,
    reader: &mut Reader<Beginning<'_>>,
    judged: &mut Judged,
) -> std::result::Result<(), container::Error> {
    let mut progress = context.console.progress("checking the index", reader.segments() as u64);
    let audited = audit(reader, MOST_LIES, |segment| progress.at(segment as u64));
    drop(progress);
    match audited {
        Ok(Audit { lies, differences, unchecked }) => {
            if let [first, more @ ..] = unchecked.as_slice() {
                let more =
                    if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
                judged.detail.push_str(&format!(
                    "; but not the keyframe of segment {first}{more}: drawing what stood there would have cost too much, and \
                     `search` takes the keyframe's word for it"
                ));
            }
            judged.unchecked = unchecked;
            if let [first, more @ ..] = differences.as_slice() {
                let more =
                    if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
                judged.detail.push_str(&format!(
                    "; but its index does not fit what this version draws: {first}{more}{}",
                    maker(reader)
                ));
            }
            judged.differences = differences.iter().map(Lie::to_string).collect();
            judged.lies = lies.iter().map(Lie::to_string).collect();
            match lies.as_slice() {
                [] => {}
                [lie] => judged.lies(&lie.to_string()),
                [lie, more @ ..] => judged.lies(&format!("{lie} (and {} more)", more.len())),
            }
            Ok(())
        }
        Err(error) => judged.faulty(error),
    }
}

/// Who made a recording, where that is not this version.
fn maker(reader: &Reader<Beginning<'_>>) -> String {
    let drawing = reader.opening().map_or(0, |opening| opening.meta.drawing);
    let tool = match reader.header().tool.as_str() {
        "" => "an unknown tool",
        tool => tool,
    };
    match drawing {
        0 => format!("; made by {tool}, which does not say how it draws"),
        drawing => format!("; made by {tool}, which draws as generation {drawing}; this is {DRAWING}"),
    }
}

/// Time of the last event that can be read, milliseconds.
fn last_time(reader: &mut Reader<Beginning<'_>>) -> Option<u64> {
    let mut cursor = Cursor::new(reader, reader.segments().checked_sub(1)?).ok()?;
    let mut last = None;
    while let Ok(Some(event)) = cursor.next(reader) {
        last = Some(ms(event.time));
    }
    last
}

impl Judged {
    /// The content cannot be read on. Where it ends before it has any, that is no news: it is torn.
    pub(super) fn faulty(&mut self, error: container::Error) -> std::result::Result<(), container::Error> {
        match error {
            container::Error::Io { .. } => return Err(error),
            container::Error::Truncated { .. } if self.report.verdict.tear().is_some() => {
                self.detail.push_str("; it ends before its content");
                return Ok(());
            }
            _ => {}
        }
        self.place = (error.offset(), error.chunk());
        let signed = self.report.signed;
        match error.offset() {
            // Whoever may write to the file can have put it there.
            Some(at) if at >= signed => {
                let by = self.signer().map_or_else(String::new, |signer| format!("{signer}, and "));
                self.alter(format!(
                    "{by}after the last signature the content is wrong: {error}; {}",
                    good_to(signed)
                ));
            }
            Some(at) => {
                let by = self.signed_but();
                self.alter(format!("{by} the content is wrong: {error}; {}", good_to(at)));
            }
            None => self.lies(&error.to_string()),
        }
        Ok(())
    }

    /// The signatures are good, and yet the index is not what it should be, at no one place: whoever could open it made it so.
    fn lies(&mut self, what: &str) {
        self.place = (None, None);
        let by = self.signed_but();
        self.alter(format!("{by} the content is wrong: {what}"));
    }

    fn alter(&mut self, detail: String) {
        (self.word, self.detail) = ("altered", detail);
    }

    /// Who signed it, where that is nobody who is trusted.
    fn signer(&self) -> Option<String> {
        match &self.report.origin {
            Some(Origin::Unknown(print)) => Some(format!("signed by {print}, which is not known")),
            Some(Origin::Revoked(print)) => Some(format!("signed by {print}, which is revoked")),
            _ => None,
        }
    }

    fn signed_but(&self) -> String {
        match (self.signer(), self.report.signed < self.report.whole) {
            (Some(signer), _) => format!("{signer}, and"),
            (None, true) => format!("signed up to byte {}, but", self.report.signed),
            (None, false) => "signed, but".to_owned(),
        }
    }
}

/// How much of a recording is good.
fn good_to(byte: u64) -> String {
    match byte {
        0 => "nothing before it is signed".to_owned(),
        byte => format!("good up to byte {byte}"),
    }
}

/// Why a recording that ends before its close and has been silent for so long, held by somebody who may write to it, is taken
/// for one that is not being written; `None` where it is. Nobody but a recorder can sign, and one that is at work has signed what
/// it wrote within seconds.
fn doubt(report: &Report, silent: Duration) -> Option<String> {
    if silent >= LATELY && report.signed < report.whole {
        return Some(format!("{} and not signed since", held(silent)));
    }
    (silent >= LONGEST_SILENCE).then(|| held(silent))
}

/// Puts a verdict in words. `silent`: how long it has been silent, of a recording that somebody holds who may write to it.
pub(super) fn describe(report: Report, silent: Option<Duration>) -> Judged {
    let doubt = silent.and_then(|silent| doubt(&report, silent));
    put_in_words(report, silent, doubt)
}

/// [`describe`], where it is known why a recording that somebody holds is not being written (`doubt`), or that it is.
fn put_in_words(report: Report, silent: Option<Duration>, doubt: Option<String>) -> Judged {
    let signer = match &report.origin {
        Some(Origin::Trusted(print)) => format!("signed by {print}"),
        Some(Origin::Unknown(print)) => format!("signed by {print}, which is not known"),
        Some(Origin::Revoked(print)) => format!("signed by {print}, which is revoked"),
        Some(Origin::Bad(_)) | None => "not signed".to_owned(),
    };
    let so_far = || match silent.filter(|silent| *silent >= LATELY) {
        None => format!("{} so far", extent(&report)),
        Some(silent) => format!("{} so far; {}", extent(&report), held(silent)),
    };
    let may_grow = |how: Tear| silent.is_some() && matches!(how, Tear::Border | Tear::Inside);
    let grows = |how: Tear| may_grow(how) && doubt.is_none();
    let ends = |at: u64, how| {
        let cause = match doubt.as_deref().filter(|_| may_grow(how)) {
            Some(held) => format!("{held}: the recorder stands still, or another program holds it"),
            None => cause(how).to_owned(),
        };
        format!("ends at byte {at} without a close: {cause}; {}", good_to(report.signed))
    };
    let (word, detail) = match &report.verdict {
        Verdict::Intact => ("intact", format!("{}, {}", signer, extent(&report))),
        Verdict::Torn { how, .. } if grows(*how) => ("running", format!("{signer}, {}", so_far())),
        Verdict::Torn { at, how } => ("torn", ends(*at, *how)),
        Verdict::Altered { offset, chunk, what } => {
            let place = chunk.map_or_else(String::new, |chunk| format!(" (chunk {chunk})"));
            ("altered", format!("at byte {offset}{place}: {what}; {}", good_to(report.signed)))
        }
        Verdict::Foreign { signer, torn } => {
            let revoked = matches!(report.origin, Some(Origin::Revoked(_)));
            let (word, whose) = match revoked {
                true => ("revoked", "which is revoked: whoever has that key could have made all of this"),
                false => ("foreign", "not a key that is trusted for this host"),
            };
            let whose =
                format!("consistent, but signed by {signer}{} {whose}", if revoked { "," } else { ":" });
            let detail = match torn {
                None => whose,
                Some((_, how)) if grows(*how) => format!("{whose}; still being written, {}", so_far()),
                Some((at, how)) => format!("{whose}; and torn: {}", ends(*at, *how)),
            };
            (word, detail)
        }
    };
    let cut = report.verdict.tear().is_some_and(|(_, how)| !grows(how));
    let place = match &report.verdict {
        Verdict::Altered { offset, chunk, .. } => (Some(*offset), *chunk),
        verdict => (verdict.tear().map(|(at, _)| at), None),
    };
    Judged {
        word,
        detail,
        cut,
        content: false,
        locked: None,
        lies: Vec::new(),
        differences: Vec::new(),
        unchecked: Vec::new(),
        report,
        place,
        id: None,
        renamed: None,
    }
}

/// What may have made a recording end so.
fn cause(how: Tear) -> &'static str {
    match how {
        Tear::Border => "the recorder was killed, its disk failed, or the end was cut off",
        Tear::Inside => {
            "the recorder was killed while it wrote, its disk was full or failed, or the end was cut off"
        }
        Tear::Zeros => {
            "zeros follow: power was lost before the data reached the disk, or somebody put them there"
        }
        Tear::Closing => "everything is there and signed, only the index at the end is missing",
    }
}

fn extent(report: &Report) -> String {
    format!("{} in {}", size(report.length), counted(report.segments as u64, "segment"))
}

fn json_of(found: &Found, judged: &Judged) -> serde_json::Value {
    let report = &judged.report;
    let (offset, chunk) = judged.place;
    let (signer, trusted) = match &report.origin {
        Some(Origin::Trusted(print)) => (Some(print.as_str()), true),
        Some(Origin::Unknown(print) | Origin::Revoked(print)) => (Some(print.as_str()), false),
        Some(Origin::Bad(_)) | None => (None, false),
    };
    json!({
        "id": judged.id,
        "renamed": judged.renamed,
        "path": found.path.to_string_lossy(),
        "verdict": judged.word,
        "detail": judged.detail,
        "offset": offset,
        "chunk": chunk,
        "length": report.length,
        "signed": report.signed,
        "chunks": report.chunks,
        "segments": report.segments,
        "checkpoints": report.checkpoints,
        "signer": signer,
        "trusted": trusted,
        "content_checked": judged.content,
        "index_lies": judged.lies,
        "index_differs": judged.differences,
        "index_unchecked": judged.unchecked,
    })
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
