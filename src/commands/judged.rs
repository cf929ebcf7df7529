//! What was found of a recording, in words: for people (`verify`, `show`, the player) and as JSON.
//!
//! Looks at no file: it is given what the file was found to be. Which faults of the content leave a recording torn, and which
//! make it altered, is decided here and nowhere else.

use super::format::size;
use super::recordings::{LATELY, held};
use crate::console::Style;
use crate::container::verify::{Origin, Report, Tear, Verdict};
use crate::container::{self, Header};
use crate::error::Error;
use crate::store::{Found, Name};
use crate::text::counted;
use serde_json::json;
use std::time::Duration;

/// A recording that has been silent for longer is not taken for one that is being written, whoever holds its lock.
const LONGEST_SILENCE: Duration = Duration::from_secs(86_400);

/// What a recording is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Closed, and signed by a key that is trusted.
    Intact,
    /// Good so far, and being written.
    Running,
    /// It ends before its close, and is not being written.
    Torn,
    /// It is not what was signed, or not what was shown.
    Altered,
    /// Signed by a key that is not trusted for its host.
    Foreign,
    /// Signed by a key that is revoked.
    Revoked,
    /// It would be intact or running under its own name.
    Renamed,
}

impl Word {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Running => "running",
            Self::Torn => "torn",
            Self::Altered => "altered",
            Self::Foreign => "foreign",
            Self::Revoked => "revoked",
            Self::Renamed => "renamed",
        }
    }
}

/// What came out for one recording, for people and programs.
pub(super) struct Judged {
    /// What it is, in a word.
    pub(super) word: Word,
    /// Why, and what is still good.
    pub(super) detail: String,
    /// It ends before its close and is not being written, whoever signed it.
    pub(super) cut: bool,
    /// Whether the content was checked, too.
    pub(super) content: bool,
    /// Why none of the identities opened its content.
    pub(super) locked: Option<Error>,
    /// And yet its header lists one of them.
    pub(super) of_ours: bool,
    /// What the index says and the content does not, in words.
    pub(super) lies: Vec<String>,
    /// What this version would have drawn or told otherwise, in words, of a recording that another one made.
    pub(super) differences: Vec<String>,
    /// What no recorder writes, or nobody would believe, and proves nothing, in words.
    pub(super) doubts: Vec<String>,
    /// That executed programs were not watched as that host could have, and why.
    pub(super) unwatched: Option<String>,
    /// Segments with a keyframe that could not be compared.
    pub(super) unchecked: Vec<usize>,
    pub(super) report: Report,
    /// Byte offset of what is wrong, or where a torn one ends, and the number of the chunk, as far as it has a place.
    place: (Option<u64>, Option<u32>),
    /// Its id, as its header has it.
    pub(super) id: Option<String>,
    /// What its file is called and what it is, in words, where that differs.
    renamed: Option<String>,
}

impl Judged {
    /// Compares what a file is called with what its header says.
    pub(super) fn compare_name(&mut self, found: &Found, header: &Header) {
        self.id = Name::of(header).map(|name| name.id);
        let Some(misnamed) = found.misnamed(header) else { return };
        if self.is_good() {
            self.detail = format!("{misnamed}; but for its name {}: {}", self.word.name(), self.detail);
            self.word = Word::Renamed;
        } else {
            self.detail.push_str(&format!("; and {misnamed}"));
        }
        self.renamed = Some(misnamed.to_string());
    }

    /// Says beside the verdict that executed programs were not watched, if it is so.
    pub(super) fn tell_unwatched(&mut self, unwatched: Option<String>) {
        if let Some(why) = &unwatched {
            self.detail.push_str(&format!("; but {why}"));
        }
        self.unwatched = unwatched;
    }

    /// Segments that have their end.
    pub(super) fn segments(&self) -> usize {
        self.report.segments
    }

    /// Whether nothing is wrong.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.word, Word::Intact | Word::Running)
    }

    /// How it is set off.
    pub(super) fn style(&self) -> Style {
        match self.word {
            Word::Intact
                if self.differences.is_empty()
                    && self.doubts.is_empty()
                    && self.unchecked.is_empty()
                    && self.unwatched.is_none()
                    && self.locked.is_none() =>
            {
                Style::Green
            }
            Word::Intact | Word::Running | Word::Torn => Style::Yellow,
            Word::Altered | Word::Foreign | Word::Revoked | Word::Renamed => Style::Red,
        }
    }

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
    pub(super) fn lies(&mut self, what: &str) {
        self.place = (None, None);
        let by = self.signed_but();
        self.alter(format!("{by} the content is wrong: {what}"));
    }

    fn alter(&mut self, detail: String) {
        (self.word, self.detail) = (Word::Altered, detail);
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
pub(super) fn put_in_words(report: Report, silent: Option<Duration>, doubt: Option<String>) -> Judged {
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
        Verdict::Intact => (Word::Intact, format!("{}, {}", signer, extent(&report))),
        Verdict::Torn { how, .. } if grows(*how) => (Word::Running, format!("{signer}, {}", so_far())),
        Verdict::Torn { at, how } => (Word::Torn, ends(*at, *how)),
        Verdict::Altered { offset, chunk, what } => {
            let place = chunk.map_or_else(String::new, |chunk| format!(" (chunk {chunk})"));
            (Word::Altered, format!("at byte {offset}{place}: {what}; {}", good_to(report.signed)))
        }
        Verdict::Foreign { signer, torn } => {
            let revoked = matches!(report.origin, Some(Origin::Revoked(_)));
            let (word, whose) = match revoked {
                true => (Word::Revoked, "which is revoked: whoever has that key could have made all of this"),
                false => (Word::Foreign, "not a key that is trusted for this host"),
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
        of_ours: false,
        lies: Vec::new(),
        differences: Vec::new(),
        doubts: Vec::new(),
        unwatched: None,
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

/// What is printed of it as JSON.
pub(super) fn json_of(found: &Found, judged: &Judged) -> serde_json::Value {
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
        "verdict": judged.word.name(),
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
        "doubts": judged.doubts,
        "index_unchecked": judged.unchecked,
        "unwatched": judged.unwatched,
    })
}
