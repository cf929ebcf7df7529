//! `sealcast search`

use super::Context;
use super::filter::{self, Filters};
use super::format::{offset, other_caller, shown, who};
use super::recordings::{Reading, name, no_recordings, real_name, tell_misnamed, unreadable};
use crate::cast::{Trust, millis};
use crate::console::{Style as Ink, is_read};
use crate::error::{Error, Kind, Result};
use crate::search::{Answer, Field, Fields, Hit, Match, Meanwhile, Options, Query, Style, search_until};
use crate::store::seal::{Opener, UnlockError};
use crate::store::{Found, Name, cache};
use crate::text::counted;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What is said where a file follows `-i`, as an identity does in the other commands that read.
pub(crate) const NO_IDENTITY: &str = "-i is ignore case here; --identity FILE opens with a key";

/// Search what was shown, run and typed
///
/// Looks in what stood on the screen (also inside editors and pagers), in commands and executed programs, in what was
/// typed, and in who, where and why. Exit status 0 with a hit, 1 without, 2 when something could not be searched.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to look for: literal text; capital letters count only when there are some
    #[arg(value_name = "PATTERN")]
    pattern: OsString,
    /// PATTERN is a regular expression
    #[arg(short = 'e', long)]
    regex: bool,
    /// PATTERN is a query: texts, `"quoted texts"`, `/regexes/`, `field:text` and `condition:value` with and, or, not, ( )
    #[arg(short = 'q', long, conflicts_with = "regex")]
    query: bool,
    /// Whole words only
    #[arg(short = 'w', long)]
    word: bool,
    /// Capital letters never count
    #[arg(short = 'i', long)]
    ignore_case: bool,
    /// Where to look: screen, command, exec, input, meta, with commas between them
    #[arg(long = "in", value_name = "FIELDS", value_parser = Fields::parse)]
    fields: Option<Fields>,
    /// Show this many lines before and after a hit on the screen
    #[arg(
        short = 'C',
        long,
        value_name = "LINES",
        default_value_t = 0,
        value_parser = lines_around,
        allow_negative_numbers = true
    )]
    context: u8,
    /// Only what stood, ran or was typed at or after TIME, whenever its recording began
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only what began to stand, ran or was typed before TIME
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Stop after this many hits, or with -l recordings
    #[arg(long, value_name = "N", value_parser = most, allow_negative_numbers = true)]
    limit: Option<u64>,
    /// Only how many hits each recording has
    #[arg(short = 'c', long, conflicts_with_all = ["files", "context", "limit"])]
    count: bool,
    /// Only the files of the recordings that match
    #[arg(short = 'l', long, conflicts_with = "context")]
    files: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// Neither use nor keep index keys in the cache
    #[arg(long)]
    no_cache: bool,
    /// An identity file to open recordings with; may be given several times
    ///
    /// Without it, your own identity is used where there is one.
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// The directory of the recordings
    ///
    /// Without it: that of the host's configuration, or your own where there is none or the host's is closed to you.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
}

fn lines_around(text: &str) -> std::result::Result<u8, String> {
    text.parse().map_err(|_| format!("not a number of lines, {} at most", u8::MAX))
}

fn most(text: &str) -> std::result::Result<u64, String> {
    let most = text.parse().ok().filter(|most| *most > 0);
    most.ok_or_else(|| format!("not a number from 1 to {}", u64::MAX))
}

/// What is counted over all recordings.
#[derive(Default)]
struct Sums {
    hits: u64,
    more: u64,
    /// What counts towards the limit.
    counted: u64,
    /// It was reached.
    limited: bool,
    matching: usize,
    /// Recordings of which no segment was read.
    unread: usize,
    /// Those that could be searched only in part, or could not be read.
    unreadable: usize,
    /// Those that no key opened.
    unopened: usize,
    /// Recordings whose filters are of another version, and were not believed.
    unlike: usize,
    segments: usize,
    read: usize,
    /// What to do about recordings that could not be searched, as far as it was said.
    hints: BTreeSet<String>,
}

/// Runs it. Gives the exit status.
///
/// # Errors
/// The query is wrong, or there is nothing to search with.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let begun = Instant::now();
    let conditions = args.filters.conditions(context)?;
    let query = args.query(context)?.and(conditions.iter().cloned());
    let window = filter::window(context, args.from.as_deref(), args.to.as_deref())?;
    let reading = Reading::new(&args.identity, args.store.as_deref());
    let store = reading.store(context)?;
    let recordings = store.list()?;
    if recordings.is_empty() {
        return Err(no_recordings(&store));
    }
    let identities = reading.identities(context)?;
    if identities.is_empty() {
        return Err(reading.no_identity(context, "recordings", &recordings));
    }
    let opener = Opener::new(identities);
    let cached = context.personal().ok().map(|personal| personal.root().join("cache").join("index-keys"));
    let cached = cached.filter(|_| !args.no_cache);
    if let Some(path) = &cached {
        cache::load(path, &opener);
    }
    let limit = args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let usual = Options::default();
    let options = Options {
        context: args.context.into(),
        first_only: args.files,
        limit,
        moments: !args.count,
        window,
        most: limit.map_or(usual.most, |limit| limit.max(usual.most)),
        ..usual
    };
    let mut sums = Sums::default();
    let mut failure = None;
    // Many may be small and one may take long.
    let length = |found: &Found| std::fs::metadata(&found.path).map_or(0, |facts| facts.len());
    let shown = context.console.shows_progress();
    let total = if shown { recordings.iter().map(length).sum() } else { 0 };
    let progress = context.console.progress("searching", total);
    let done = |more| progress.advance(more);
    let meanwhile = Meanwhile { done: &done, ..Meanwhile::default() };
    let mut hear = |found: &Found, answer: Answer| match report(context, args, found, answer, &mut sums) {
        Ok(()) if sums.limited => ControlFlow::Break(()),
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    let told = search_until(&recordings, &opener, &query, &options, meanwhile, &mut hear);
    drop(progress);
    // What was found is found, and what could not be searched was not, whoever reads it.
    let unread = failure.as_ref().is_some_and(|error| error.kind() == Kind::Closed);
    if let Some(error) = failure.filter(|_| !unread) {
        return Err(error);
    }
    if let Some(path) = &cached
        && let Err(error) = cache::save(path, &opener)
    {
        let error = Error::from(error);
        context.console.note(format_args!("index keys are not kept for the next search: {error}"));
    }
    if unread || !is_read(context.console.flush())? {
        return Ok(sums.exit_status());
    }
    context.console.note(sums.line(args.files, told, recordings.len(), begun));
    if sums.matching == 0 && args.ignore_case && Path::new(&args.pattern).is_file() {
        context.console.remark("note", Ink::Yellow, NO_IDENTITY);
    }
    Ok(sums.exit_status())
}

impl Args {
    fn query(&self, context: &Context) -> Result<Query> {
        let Some(pattern) = self.pattern.to_str() else {
            let shown = crate::text::Escaped(self.pattern.as_encoded_bytes());
            return Err(Error::new(Kind::Usage, format!("the pattern is no UTF-8: {shown}"))
                .hint("what stood on a screen is text; bytes that are none were never shown"));
        };
        let style = Style { regex: self.regex, word: self.word, ignore_case: self.ignore_case };
        let fields = self.fields.unwrap_or(Fields::EVERYWHERE);
        let query = match self.query {
            true => Query::parse(pattern, style, fields, Timestamp::now()),
            false => Query::text(pattern, style, fields),
        };
        query.map_err(|error| filter::wrong_query(context, &error, self.query))
    }
}

fn report(context: &Context, args: &Args, found: &Found, answer: Answer, sums: &mut Sums) -> Result<()> {
    sums.segments += answer.segments;
    sums.read += answer.read;
    // What could not be opened was skipped by nothing.
    sums.unread += usize::from(answer.read == 0 && (answer.found.is_some() || answer.fault.is_none()));
    sums.unlike += usize::from(answer.unlike);
    if let Some(why) = &answer.fault {
        let kind = if answer.is_unopened() { &mut sums.unopened } else { &mut sums.unreadable };
        *kind += 1;
        // Also where nothing is found: what there is of it was looked at.
        let what = if answer.found.is_some() || answer.segments > 0 { "only in part" } else { "not" };
        context.console.remark(
            "error",
            Ink::Red,
            format_args!("{} could {what} be searched: {why}", name(found)),
        );
        let error = match answer.trouble {
            Some(UnlockError::Container(error)) => Some(unreadable(found, error)),
            Some(trouble) => Some(Error::from(trouble)),
            None if answer.found.is_none() => found.open().err().map(Error::from),
            None => None,
        };
        if let Some(error) = error {
            error.print_hints(&context.console, &mut sums.hints);
        }
    }
    if let Some(misnamed) = &answer.misnamed {
        tell_misnamed(context, found, misnamed);
    }
    let Some(mut matched) = answer.found else { return Ok(()) };
    sums.matching += 1;
    if let Some(limit) = args.limit {
        let left = usize::try_from(limit.saturating_sub(sums.counted)).unwrap_or(usize::MAX);
        if matched.hits.len() > left {
            matched.hits.truncate(left);
            matched.more = 0;
        }
    }
    sums.counted += matched.counts(args.files) as u64;
    sums.limited = args.limit.is_some_and(|limit| sums.counted >= limit);
    sums.hits += matched.hits.len() as u64;
    sums.more += matched.more;
    if args.files {
        match args.json {
            true => context.console.json(&recording_json(found, &matched))?,
            // Named by a recorder, in a directory of whoever asks.
            false if found.name.is_some() => context.console.whole(found.path.display())?,
            false => context.console.line(found.path.display())?,
        }
    } else if args.count {
        let count = matched.hits.len() as u64 + matched.more;
        match args.json {
            true => context.console.json(&count_json(found, &matched, count))?,
            false => context.console.line(format_args!("{}  {count}", real_name(found, &matched.header)))?,
        }
    } else {
        for hit in &matched.hits {
            match args.json {
                true => context.console.json(&hit_json(found, &matched, hit))?,
                false => print(context, args, found, &matched, hit)?,
            }
        }
        if matched.hits.is_empty() {
            // Conditions alone: the recording itself is the hit.
            match args.json {
                true => context.console.json(&recording_json(found, &matched))?,
                false => context.console.line(format_args!(
                    "{}  {}",
                    real_name(found, &matched.header),
                    who_at(&matched)
                ))?,
            }
        }
    }
    Ok(context.console.flush()?)
}

impl Sums {
    fn exit_status(&self) -> u8 {
        match self {
            Self { unreadable: 1.., .. } | Self { unopened: 1.., .. } => 2,
            Self { matching: 1.., .. } => 0,
            _ => 1,
        }
    }

    /// `files`: hits were not counted, since each recording was left at its first one.
    fn line(&self, files: bool, told: usize, of: usize, begun: Instant) -> String {
        let mut line = if files { String::new() } else { counted(self.hits, "hit") };
        if self.more > 0 && !files {
            line.push_str(&format!(" ({} more not shown)", self.more));
        }
        let within = if files { "" } else { " in " };
        line.push_str(&format!("{within}{} of {}", self.matching, counted(of as u64, "recording")));
        let skipped = self.unread;
        let read = self.segments.saturating_sub(self.read);
        line.push_str(&format!(
            " ({skipped} skipped by index; {read} of {} not read)",
            counted(self.segments as u64, "segment")
        ));
        if self.unlike > 0 {
            let n = self.unlike;
            line.push_str(&format!(
                " · {n} drawn by another version, and read without help of their filters"
            ));
        }
        if self.unreadable > 0 {
            line.push_str(&format!(" · {} could not be searched whole", self.unreadable));
        }
        if self.unopened > 0 {
            line.push_str(&format!(" · {} could not be opened", self.unopened));
        }
        if self.limited || told < of {
            line.push_str(" · stopped at the limit");
        }
        line.push_str(&format!(" · {:.2} s", begun.elapsed().as_secs_f64()));
        line
    }
}

/// Where and who.
fn who_at(matched: &Match) -> String {
    format!("{} {}", matched.header.host, who(&matched.header))
}

fn print(context: &Context, args: &Args, found: &Found, matched: &Match, hit: &Hit) -> Result<()> {
    let around = |line: &Arc<str>| context.console.line(format_args!("    {line}"));
    if args.context > 0 && hit.field == Field::Screen {
        hit.before.iter().try_for_each(around)?;
    }
    let when = Timestamp::from_millisecond(matched.wall(hit.time))
        .map_or_else(|_| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let offset = hit.time.map_or_else(|| "-".to_owned(), |time| format!("+{}", offset(millis(time))));
    let exit = hit.exit.map(|exit| format!("  [{exit}]")).unwrap_or_default();
    let doubt = hit.trust.map_or("", Trust::doubt);
    context.console.line(format_args!(
        "{}  {when} {offset}  {}  {:<7}  {}{exit}{doubt}",
        real_name(found, &matched.header),
        who_at(matched),
        hit.field.name(),
        hit.text
    ))?;
    if args.context > 0 && hit.field == Field::Screen {
        hit.after.iter().try_for_each(around)?;
        context.console.line("--")?;
    }
    Ok(())
}

fn count_json(found: &Found, matched: &Match, hits: u64) -> serde_json::Value {
    let id = Name::of(&matched.header).map(|name| name.id);
    json!({ "id": id, "path": found.path.to_string_lossy(), "hits": hits })
}

/// What of a recording as a whole there is to say, as of each hit.
fn recording_json(found: &Found, matched: &Match) -> serde_json::Value {
    json!({
        "id": Name::of(&matched.header).map(|name| name.id),
        "path": found.path.to_string_lossy(),
        "host": matched.header.host,
        "user": matched.header.user,
        "caller": other_caller(&matched.header),
        "target": matched.header.target,
        "start_ms": matched.header.start,
    })
}

fn lines(lines: &[Arc<str>]) -> Vec<&str> {
    lines.iter().map(|line| &**line).collect()
}

fn hit_json(found: &Found, matched: &Match, hit: &Hit) -> serde_json::Value {
    // By its path where its name would lead to another.
    let place = if found.misnamed(&matched.header).is_some() { shown(&found.path) } else { name(found) };
    let at = hit.time.map(|time| format!("{place}@{}", offset(millis(time))));
    let of_hit = json!({
        "field": hit.field.name(),
        "time_ms": hit.time.map(millis),
        "utc_ms": matched.wall(hit.time),
        "stood_ms": hit.stood.map(millis),
        "play": at,
        "text": hit.text,
        "from": hit.at.start,
        "to": hit.at.end,
        "exit": hit.exit,
        "trust": hit.trust,
        "command": hit.command,
        "before": lines(&hit.before),
        "after": lines(&hit.after),
    });
    let mut all = recording_json(found, matched);
    if let (Some(all), serde_json::Value::Object(of_hit)) = (all.as_object_mut(), of_hit) {
        all.extend(of_hit);
    }
    all
}
