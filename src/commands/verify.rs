//! `sealcast verify [REC…]`

use super::Context;
use super::format::{clock, moment, shown, span};
use super::judged::{Judged, Word, describe, json_of, put_in_words};
use super::recordings::{LATELY, Reading, WOULD_ASK, known_keys, name, no_recordings};
use crate::cast::{Payload, millis};
use crate::console::{Column, Style, Table, is_read};
use crate::container::verify::{verify, verify_without_beginning};
use crate::container::{self, Cursor, Header, Reader, verify_content};
use crate::crypto::identity::Identities;
use crate::crypto::known_keys::KnownKeys;
use crate::error::{Context as _, Error, Kind, Result};
use crate::search::audit::{Audit, Lie, audit};
use crate::shell::notices::unwatched;
use crate::store::{Found, seal, silence};
use crate::sys::clock::realtime;
use crate::terminal::DRAWING;
use crate::text::{and_more, counted};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

/// The clock of a session starts no further from the start in its header, milliseconds, unless somebody set it in that moment.
const CLOCKS_APART: u64 = 600_000;
/// Most differences between index and content that are told of one recording.
const MOST_LIES: usize = 100;

/// Check that recordings are what was written
///
/// Needs no identity: signatures cover every byte. With one, the content is read as well, and index, filters and keyframes
/// are compared with what it showed. Without REC, all recordings of the store. Exit status: 0 all intact (or still running), 1 torn, altered, foreign, revoked or renamed, 2 could not be checked, or there is nothing to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recordings: paths, beginnings of ids, `last`, `last~2`
    #[arg(value_name = "REC")]
    recordings: Vec<OsString>,
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
    let of = found.len();
    let mut count = Count { of, unseen: of, ..Count::default() };
    let mut unlike = 0;
    let mut table = Table::new(&[("ID", Column::Left), ("VERDICT", Column::Left), ("WHY", Column::Whole)]);
    for recording in found {
        count.unseen -= 1;
        let judged = recording
            .and_then(|found| judge(context, &found, &known, &identities).map(|judged| (found, judged)));
        match judged {
            Ok((recording, mut judged)) => {
                // One's own identity, which was not named, need not open what is sealed to others, nor more than their index.
                judged.locked = judged.locked.filter(|_| must_open || judged.of_ours);
                if let Some(why) = &judged.locked {
                    judged.detail.push_str(&format!("; content not checked: {why}"));
                    count.unchecked += 1;
                }
                count.bad += usize::from(!judged.is_good());
                count.altered |= judged.word == Word::Altered;
                if judged.word == Word::Foreign {
                    count.of_foreign.extend(recording.header().map(|header| header.host));
                }
                unlike += usize::from(!judged.differences.is_empty());
                let mut read = true;
                if args.json {
                    read = is_read(context.console.json(&json_of(&recording, &judged)))?;
                } else {
                    let short = judged.id.as_ref().filter(|_| recording.name.is_some());
                    let short = short.and_then(|id| id.get(..8)).map(str::to_owned);
                    table.styled_row(&[
                        (Style::Plain, &short.unwrap_or_else(|| name(&recording))),
                        (judged.style(), &judged.word.name()),
                        (Style::Plain, &judged.detail),
                    ]);
                }
                if let Some(error) = judged.locked {
                    count.locked.get_or_insert(error.while_doing(name(&recording)));
                }
                if !read {
                    break;
                }
            }
            Err(error) if of == 1 => return Err(error),
            Err(error) => {
                count.unchecked += 1;
                error.print(&context.console);
            }
        }
    }
    if !table.is_empty() {
        // Though nobody reads it, everything was looked at: the verdict holds.
        is_read(context.console.table(&table))?;
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
    count.answer()
}

/// What was found of the recordings that were asked for.
#[derive(Default)]
struct Count {
    /// How many were asked for.
    of: usize,
    /// Not intact.
    bad: usize,
    /// One of those is altered.
    altered: bool,
    /// Whose content could not be checked, or nothing of which could be read.
    unchecked: usize,
    /// Not looked at, as nobody reads the output any more.
    unseen: usize,
    /// Why the first content that should have been opened was not.
    locked: Option<Error>,
    /// The hosts of those that a foreign key signed.
    of_foreign: BTreeSet<String>,
}

/// How a line of FILE names a host whose name has letters that part lines or mean something else there.
fn in_a_line(host: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-._:".contains(letter);
    match host.chars().all(plain) {
        true => String::new(),
        false => {
            let written: String =
                host.chars().map(|letter| if plain(letter) { letter } else { '?' }).collect();
            format!(" (which a line there has as {written})")
        }
    }
}

impl Count {
    /// The answer to whoever asked whether all are intact: no goes before not known.
    fn answer(self) -> Result<()> {
        let Self { of, bad, altered, unchecked, unseen, locked, of_foreign } = self;
        let not_intact = || match of {
            1 => "the recording is not intact".to_owned(),
            of => format!("{bad} of {of} recordings are not intact"),
        };
        let mut hints = locked.as_ref().map_or_else(Vec::new, |error| error.hints().to_vec());
        if let Some(host) = of_foreign.first() {
            hints.push(format!(
                "-k FILE trusts a key for the host that a recording names, here {host}{}{}; keys that it had before belong in FILE too",
                in_a_line(host),
                and_more(of_foreign.len().saturating_sub(1))
            ));
        }
        if altered {
            let what = "leave an altered file as it is: only its good part is as it was written; of the rest `sealcast play` and `sealcast \
                        export -f text` show what can be read, and say where something is missing";
            hints.push(what.to_owned());
        }
        if unseen > 0 {
            let (kind, found) = match bad {
                0 => (Kind::Input, format!("{unseen} of {of} recordings")),
                _ => (Kind::No, format!("{}, {unseen}", not_intact())),
            };
            let told =
                Error::new(kind, format!("{found} were not looked at: nobody reads the output any more"));
            return Err(hints.into_iter().fold(told, Error::hint));
        }
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
    let now = i64::try_from(millis(realtime())).unwrap_or(i64::MAX);
    let silent = silence(found, file);
    let length = file.metadata().map_or(0, |facts| facts.len());
    let progress = context.console.progress(&format!("verifying {}", name(found)), length);
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
    if identities.is_empty() {
        return Ok(judged);
    }
    if judged.word == Word::Altered {
        tell_last_signed(&mut judged, file, identities);
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
            None => {
                let told = Error::new(Kind::Key, "the key opens the index only");
                judged.locked =
                    Some(told.hint("the content is opened by the identity of one of its recipients"));
            }
        },
        Err(seal::UnlockError::Container(error)) => {
            judged.faulty(error).or_say(|| shown(&found.path))?;
        }
        Err(error) => {
            judged.of_ours = seal::is_of_ours(&error, identities);
            judged.locked = Some(error.into());
        }
    }
    if judged.word != Word::Altered {
        judged.tell_unwatched(reader.opening().ok().and_then(|opening| unwatched(&opening.meta)));
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

/// Up to when an altered recording is good: bytes are told by the file, and what happened by its times.
pub(super) fn tell_last_signed(judged: &mut Judged, file: &File, identities: &Identities) {
    if let Some(last) = last_signed(file, judged.report.signed, identities) {
        judged.detail.push_str(&format!(", the last event before that at {}", clock(last)));
    }
}

/// The time of the last event before the byte up to which an altered recording is signed, milliseconds; `None` where nothing is, or
/// none of the identities opens it. What is signed ends where a recorder may have been stopped.
fn last_signed(file: &File, signed: u64, identities: &Identities) -> Option<u64> {
    let mut reader = Reader::open(Beginning { file, length: signed }).ok()?;
    let access = seal::unlock(&mut reader, identities).ok()?;
    (access == seal::Access::Content).then(|| last_time(&mut reader))?
}

fn check_content(
    context: &Context,
    reader: &mut Reader<Beginning<'_>>,
    judged: &mut Judged,
) -> std::result::Result<(), container::Error> {
    let progress = context.console.progress("checking the content", reader.length());
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
            let recorded = clocks?.wall(millis(event.time))?;
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
    let progress = context.console.progress("checking the index", reader.segments() as u64);
    let audited = audit(reader, MOST_LIES, |segment| progress.at(segment as u64));
    drop(progress);
    match audited {
        Ok(Audit { lies, differences, doubts, unchecked }) => {
            let mut doubts: Vec<String> = doubts.iter().map(Lie::to_string).collect();
            doubts.extend(began_apart(reader));
            if let [first, more @ ..] = doubts.as_slice() {
                judged.detail.push_str(&format!("; but {first}{}", and_more(more.len())));
            }
            judged.doubts = doubts;
            if let [first, more @ ..] = unchecked.as_slice() {
                let more = and_more(more.len());
                judged.detail.push_str(&format!(
                    "; but not the keyframe of segment {first}{more}: drawing what stood there would have cost too much, and \
                     `search` takes the keyframe's word for it"
                ));
            }
            judged.unchecked = unchecked;
            if let [first, more @ ..] = differences.as_slice() {
                let more = and_more(more.len());
                judged.detail.push_str(&format!(
                    "; but its index does not fit what this version draws: {first}{more}{}",
                    maker(reader)
                ));
            }
            judged.differences = differences.iter().map(Lie::to_string).collect();
            judged.lies = lies.iter().map(Lie::to_string).collect();
            match lies.as_slice() {
                [] => {}
                [lie, more @ ..] => judged.lies(&format!("{lie}{}", and_more(more.len()))),
            }
            Ok(())
        }
        Err(error) => judged.faulty(error),
    }
}

/// That a recording does not begin when its header says, by the first clock in it. A header is written, and made durable, before the
/// clock of the session starts: a disk may take its time.
fn began_apart(reader: &Reader<Beginning<'_>>) -> Option<String> {
    let first = reader.entries().first().filter(|entry| entry.segment == 0 && entry.tally.utc != 0)?;
    let (start, clock) = (reader.header().start, first.tally.utc.saturating_sub_unsigned(first.tally.start));
    (clock.abs_diff(start) > CLOCKS_APART).then(|| {
        format!(
            "its header says that it began at {}, and the first clock in it that it was {}",
            moment(start),
            moment(clock)
        )
    })
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
        last = Some(millis(event.time));
    }
    last
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
