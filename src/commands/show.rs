//! `sealcast show REC`

use super::Context;
use super::format::{clock, moment, shown, size, who};
use super::judged::{Judged, Word};
use super::recordings::{Opened, Reading, WOULD_ASK, known_keys};
use super::verify::{judge, tell_last_signed};
use crate::cast::{Command, Gap, Missing, Source};
use crate::console::{Column, Style, Table};
use crate::container::{Entry, GivenUp, Header, LeftOut, Meta, ORIGIN_WITNESSED, Opening};
use crate::crypto::recipient::told_of;
use crate::error::{Context as _, Error, HOW_MUCH_IS_GOOD, Kind, Result};
use crate::shell::alone;
use crate::shell::notices::{is_over, is_plain, kind, of_gaps};
use crate::store::seal;
use crate::terminal::is_bare;
use crate::text::counted;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Tell the story of a recording
///
/// Who, when, where and why, whether it is intact, and what was run. Without an identity: what is public.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording: a path, the beginning of an id, `last`, `last~2`
    #[arg(value_name = "REC", default_value = "last")]
    recording: OsString,
    /// Only the commands
    #[arg(long)]
    commands: bool,
    /// Keys that recordings may be signed with; may be given several times
    #[arg(short, long, value_name = "FILE")]
    known_keys: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Runs it.
///
/// # Errors
/// The recording cannot be read; a named identity does not open it.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let mut opened = args.reading.open(context, &args.recording)?;
    let must_open = args.reading.names_identity() || args.commands;
    let identities =
        if must_open { args.reading.identities(context)? } else { args.reading.quiet_identities(context)? };
    let mut damaged = None;
    let locked = match seal::unlock(&mut opened.reader, &identities) {
        Ok(_) => None,
        // It is not locked: what there is of it is told, and that it is not intact.
        Err(seal::UnlockError::Container(fault)) if !must_open => {
            damaged = Some(fault);
            None
        }
        // Not that there was none.
        Err(_) if !must_open && args.reading.would_ask(context) => Some(Error::new(Kind::Key, WOULD_ASK)),
        Err(error) => Some(Error::from(error)),
    };
    opened.retell();
    match locked {
        Some(error) if must_open => Err(error.while_doing(opened.name())),
        _ if args.commands => commands(context, &mut opened, args.json),
        locked => {
            let known = known_keys(context, &args.known_keys)?;
            // Whether the content fits its index is asked of `verify`; here the signatures are enough.
            let none = crate::crypto::identity::Identities::load::<PathBuf>(&[], context.prompt())?;
            let mut judged = judge(context, &opened.found, &known, &none)?;
            if judged.word == Word::Altered && locked.is_none() {
                tell_last_signed(&mut judged, &opened.found.open()?, &identities);
            }
            // But what was met on the way is not called intact.
            let unread = damaged.is_some();
            if locked.is_none()
                && judged.word != Word::Altered
                && let Some(fault) = damaged.or_else(|| opened.reader.fault())
            {
                judged.faulty(fault).or_say(|| opened.name())?;
            }
            if args.json {
                whole_json(context, &opened, &judged)?;
            } else {
                story(context, &mut opened, &judged, locked)?;
            }
            match unread {
                false => Ok(()),
                true => Err(Error::new(Kind::Input, "what is sealed could not be read")
                    .while_doing(opened.name())
                    .hint(HOW_MUCH_IS_GOOD)),
            }
        }
    }
}

/// Notices of one kind that are told one by one.
const MOST_NOTICES: usize = 5;

/// The notices to tell one by one, and how many more there are of which kind: none is to be hidden behind many of another.
fn folded(notices: &[(u64, String)]) -> (Vec<&(u64, String)>, BTreeMap<&str, usize>) {
    let (mut told, mut counts) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for notice in notices {
        let kind = kind(&notice.1);
        let count = counts.entry(kind).or_default();
        *count += 1;
        if *count <= MOST_NOTICES {
            told.push(notice);
        }
    }
    counts.values_mut().for_each(|count| *count = count.saturating_sub(MOST_NOTICES));
    counts.retain(|_, more| *more > 0);
    (told, counts)
}

/// How many commands are known from whom.
fn told_by(opened: &Opened) -> String {
    let words = [
        (Source::Argv, "its arguments"),
        (Source::Shell, "the shell"),
        (Source::Screen, "the screen"),
        (Source::Exec, "the kernel alone"),
        (Source::Hint, "marks of others"),
    ];
    let commands = opened.commands();
    let of = |source| commands.iter().filter(|command| command.source == source).count();
    let counted = words.into_iter().map(|(source, who)| (of(source), who)).filter(|(count, _)| *count > 0);
    counted.map(|(count, who)| format!("{who} {count}")).collect::<Vec<_>>().join(", ")
}

/// What is counted over all segments.
#[derive(Default)]
struct Sums {
    length: u64,
    raw: u64,
    input: u64,
    withheld: u64,
    missing: Missing,
    gaps: usize,
    marks: usize,
    exit: Option<i32>,
    /// Segments that have less of an index than they could have, by reason.
    given_up: BTreeMap<GivenUp, usize>,
    /// Commands and programs for which there was no room.
    left_out: LeftOut,
}

impl Sums {
    /// Of what the index has, and of what is not in it yet.
    fn of_all(opened: &Opened) -> Self {
        Self::of(opened.reader.entries().iter().chain([opened.recounted()]))
    }

    /// Whoever may seal may say any number, so that none is added to overflow.
    fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut sums = Self::default();
        for entry in entries {
            let tally = &entry.tally;
            sums.length = sums.length.max(tally.end);
            sums.raw = sums.raw.saturating_add(tally.raw);
            sums.input = sums.input.saturating_add(tally.input);
            sums.withheld = sums.withheld.saturating_add(tally.withheld);
            sums.missing.add(tally.missing());
            sums.gaps += tally.gaps.len();
            sums.marks += tally.marks.len();
            sums.exit = tally.exit.or(sums.exit);
            sums.left_out.add(entry.all_left_out());
            if let Some(reason) = entry.given_up {
                *sums.given_up.entry(reason).or_default() += 1;
            }
        }
        sums
    }
}

fn story(context: &Context, opened: &mut Opened, judged: &Judged, locked: Option<Error>) -> Result<()> {
    let console = &context.console;
    let header = opened.reader.header();
    let opening = opened.reader.opening().ok();
    let mut told = Table::new(&[("", Column::Left), ("", Column::Whole)]);
    let mut tell = |name: &str, value: &str| {
        if !value.is_empty() {
            told.styled_row(&[(Style::Dim, &name), (Style::Plain, &value)]);
        }
    };
    tell("recording", &opened.id().unwrap_or_default());
    tell("file", &shown(&opened.found.path));
    tell("who", &who(header));
    tell("host", &header.host);
    let sums = Sums::of_all(opened);
    let began = moment(header.start);
    if opening.is_some() {
        let length = length(sums.length, opened.reader.is_complete(), &opened.commands());
        // To whom the index alone opens.
        let known = match (length, opened.reader.is_complete()) {
            (0, false) => "for how long is in no index".to_owned(),
            _ => format!("for {}{}", clock(length), or_more(opened)),
        };
        tell("when", &format!("{began} UTC, {known}"));
    } else {
        tell("when", &format!("{began} UTC"));
    }
    if let Some(opening) = opening {
        tell_meta(opening, &mut tell);
        tell("exit status", &sums.exit.map_or_else(String::new, |status| status.to_string()));
        tell("held", &held(opened, judged, &sums));
        tell("told by", &told_by(opened));
        tell("of no command", &alone::names(opened.reader.entries()));
    }
    let whole = !console.is_terminal();
    let names: Vec<String> = header.recipients.iter().map(|listed| told_of(listed, whole)).collect();
    tell("sealed to", &names.join(", "));
    tell("made by", &header.tool);
    tell("retention", &header.retention);
    tell("policy", &header.policy);
    console.table(&told.without_heading())?;
    console.styled(judged.style(), format!("{}: {}", judged.word.name(), judged.detail))?;
    if let Some(error) = locked {
        console.note(format!("the rest is sealed: {error}"));
        return Ok(());
    }
    let mut notices = opened.notices();
    notices.extend(of_gaps(opened.reader.entries()).chain(of_gaps(std::slice::from_ref(opened.recounted()))));
    notices.sort_by_key(|(at, _)| *at);
    let (told, more) = folded(&notices);
    for (at, text) in told {
        let style = if is_plain(text) { Style::Plain } else { Style::Yellow };
        let when = if is_over(text) { "until" } else { "from" };
        let on = if is_over(text) { "" } else { " on" };
        console.styled(style, format!("{when} {}{on}: {text}", clock(*at)))?;
    }
    for (kind, more) in more {
        console.styled(Style::Yellow, format!("and {more} more of `{kind}`"))?;
    }
    if !opened.commands().is_empty() {
        console.line("")?;
        commands(context, opened, false)?;
    }
    Ok(())
}

fn tell_meta(opening: &Opening, tell: &mut impl FnMut(&str, &str)) {
    let meta = &opening.meta;
    tell("ticket", &meta.ticket);
    tell("reason", &meta.reason);
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    tell("labels", &pairs(&meta.labels));
    tell("command", &meta.argv.join(" "));
    tell("directory", &meta.cwd);
    // A serial line has a terminal without a size, and where the kernel does not tell, one without a name.
    let terminal = match (meta.cols, meta.rows) {
        (0, 0) if meta.tty.is_empty() && is_bare(opening.size()) => "none".to_owned(),
        (cols, rows) => format!("{cols}x{rows} {} {}", meta.term, meta.tty),
    };
    tell("terminal", terminal.trim_end());
    if !meta.beside.is_empty() {
        tell("beside it", &format!("{} (a pipe or a file)", meta.beside.join(" ")));
    }
    let witnessed = meta.identity.get("origin-from").is_some_and(|from| from.starts_with(ORIGIN_WITNESSED));
    tell(if witnessed { "came from" } else { "says it came from" }, &meta.origin);
    tell("says it came from", meta.identity.get("origin-claimed").map_or("", String::as_str));
    tell("identity", &pairs(&meta.identity));
    for (n, pair) in one_by_one(&meta.in_force).iter().enumerate() {
        tell(if n == 0 { "in force" } else { "" }, pair);
    }
}

/// `name=value` each, what is a sentence last.
fn one_by_one(map: &BTreeMap<String, String>) -> Vec<String> {
    let (sentences, words): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| value.contains(' '));
    words.into_iter().chain(sentences).map(|(name, value)| format!("{name}={value}")).collect()
}

/// How long it is, milliseconds; where its end is missing, at least this: the index does not have the last part, but what the shell
/// told in it may be known.
fn length(indexed: u64, is_complete: bool, commands: &[&Command]) -> u64 {
    let known = commands.iter().map(|command| command.end.unwrap_or(command.start));
    if is_complete { indexed } else { known.fold(indexed, u64::max) }
}

/// What is counted comes from the index, which does not have the last part of what has no end.
fn or_more(opened: &Opened) -> &'static str {
    if opened.reader.is_complete() { "" } else { " or more" }
}

fn held(opened: &Opened, judged: &Judged, sums: &Sums) -> String {
    // As `verify` counts them: those that have their end. Where they are damaged it does not come to all, of which each has an entry.
    let (all, indexed) = (opened.reader.segments(), opened.reader.entries().len());
    let ended = match judged.word {
        _ if opened.reader.is_closed() => all,
        Word::Altered => indexed.max(judged.segments()),
        _ => judged.segments(),
    };
    let segments = counted(ended as u64, "segment");
    let last = if all > ended { " and one without an end" } else { "" };
    let output = format!("{}{} of output", size(sums.raw), or_more(opened));
    let mut parts = vec![format!("{output} in {segments}{last}")];
    if sums.input > 0 {
        parts.push(format!("{} of input", size(sums.input)));
    }
    if sums.withheld > 0 {
        parts.push(format!("input withheld {}", counted(sums.withheld, "time")));
    }
    if sums.marks > 0 {
        parts.push(counted(sums.marks as u64, "mark"));
    }
    if sums.gaps > 0 {
        let mut missing = sums.missing;
        missing.unknown |= !opened.reader.is_complete();
        parts.push(format!("{}{}, {missing}", counted(sums.gaps as u64, "gap"), or_more(opened)));
    }
    if !sums.given_up.is_empty() {
        let reasons: Vec<String> =
            sums.given_up.iter().map(|(reason, n)| format!("{} {n}", reason.word())).collect();
        let of: usize = sums.given_up.values().sum();
        parts.push(format!("{of} without a full index ({})", reasons.join(", ")));
    }
    parts.join(", ")
}

/// Most commands of a table, which is held whole: a session of a year has fewer.
const LISTED: usize = 100_000;

fn commands(context: &Context, opened: &mut Opened, as_json: bool) -> Result<()> {
    let open_end = opened.open_end();
    if let Some(text) = &open_end {
        context.console.note(text);
    }
    if as_json {
        for command in opened.commands() {
            context.console.json(command)?;
        }
        return Ok(());
    }
    let mut table = Table::new(&[
        ("AT", Column::Right),
        ("LENGTH", Column::Right),
        ("EXIT", Column::Right),
        ("COMMAND", Column::Whole),
    ]);
    let listed = opened.commands();
    if let Some(more @ 1..) = listed.len().checked_sub(LISTED) {
        context
            .console
            .note(format!("{more} more commands are not listed; `sealcast export -f commands` has them all"));
    }
    for command in listed.into_iter().take(LISTED) {
        let length =
            command.end.map_or_else(|| "-".to_owned(), |end| clock(end.saturating_sub(command.start)));
        let exit = command.exit.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let style = match command.exit {
            Some(0) | None => Style::Plain,
            Some(_) => Style::Red,
        };
        let doubt = command.trust.doubt();
        let flags = command.flags.iter().map(|flag| format!("  [{flag}]")).collect::<String>();
        // Neither the shell nor the screen had one: its flags say why.
        let text = if command.text.is_empty() { "(no text)" } else { command.text.as_str() };
        table.styled_row(&[
            (Style::Plain, &clock(command.start)),
            (Style::Plain, &length),
            (style, &exit),
            (Style::Plain, &format!("{text}{doubt}{flags}")),
        ]);
    }
    match LeftOut::of(opened.reader.entries()).notice() {
        Some(text) => context.console.note(text),
        None if table.is_empty() && open_end.is_none() => context.console.note("no commands were noticed"),
        None => {}
    }
    context.console.table(&table)?;
    Ok(())
}

/// All that is known of a recording. It is written as it is looked at, and is nowhere a tree of values: how many commands there
/// are was up to whoever was recorded.
#[derive(serde::Serialize)]
struct Whole<'a> {
    id: Option<String>,
    renamed: Option<String>,
    path: Cow<'a, str>,
    state: &'a str,
    complete: bool,
    verdict: &'a str,
    detail: &'a str,
    size: u64,
    header: &'a Header,
    meta: Option<&'a Meta>,
    length_ms: Option<u64>,
    output_bytes: Option<u64>,
    input_bytes: Option<u64>,
    withheld: Option<u64>,
    gaps: Option<usize>,
    gap_list: Option<Vec<GapAt<'a>>>,
    exit: Option<i32>,
    notices: Option<Vec<Notice>>,
    index_given_up: Option<&'a BTreeMap<GivenUp, usize>>,
    left_out: Option<&'a LeftOut>,
    commands: Option<Vec<&'a Command>>,
    programs_of_no_command: Option<Alone<'a>>,
}

/// The programs of these entries that no command explains, as a list.
struct Alone<'a>(&'a [Entry]);

impl serde::Serialize for Alone<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(alone::commands(self.0))
    }
}

#[derive(serde::Serialize)]
struct GapAt<'a> {
    at_ms: u64,
    #[serde(flatten)]
    gap: &'a Gap,
}

#[derive(serde::Serialize)]
struct Notice {
    at_ms: u64,
    text: String,
}

fn whole_json(context: &Context, opened: &Opened, judged: &Judged) -> Result<()> {
    let opening = opened.reader.opening().ok();
    let sums = Sums::of_all(opened);
    let known = opening.is_some();
    context.console.json(&Whole {
        id: opened.id(),
        renamed: opened.misnamed.as_ref().map(ToString::to_string),
        path: opened.found.path.to_string_lossy(),
        state: opened.state().name(),
        complete: opened.reader.is_complete(),
        verdict: judged.word.name(),
        detail: &judged.detail,
        size: opened.reader.length(),
        header: opened.reader.header(),
        meta: opening.map(|opening| &opening.meta),
        length_ms: known.then(|| length(sums.length, opened.reader.is_complete(), &opened.commands())),
        output_bytes: known.then_some(sums.raw),
        input_bytes: known.then_some(sums.input),
        withheld: known.then_some(sums.withheld),
        gaps: known.then_some(sums.gaps),
        gap_list: known.then(|| {
            let entries = opened.reader.entries().iter().chain([opened.recounted()]);
            let gaps = entries.flat_map(|entry| &entry.tally.gaps);
            gaps.map(|(at_ms, gap)| GapAt { at_ms: *at_ms, gap }).collect()
        }),
        exit: sums.exit,
        notices: known.then(|| {
            let told = opened.notices().into_iter();
            told.map(|(at_ms, text)| Notice { at_ms, text }).collect()
        }),
        index_given_up: known.then_some(&sums.given_up),
        left_out: known.then_some(&sums.left_out),
        commands: known.then(|| opened.commands()),
        programs_of_no_command: known.then_some(Alone(opened.reader.entries())),
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Tally;

    #[test]
    fn a_session_that_is_not_over_lasts_at_least_to_its_last_command() {
        let at = |start, end| Command { start, end, ..Command::default() };
        let (ended, runs) = (at(1_000, Some(9_000)), at(21_000, None));
        assert_eq!(length(0, false, &[&ended, &runs]), 21_000);
        assert_eq!(length(0, false, &[&ended]), 9_000);
        assert_eq!(length(30_000, false, &[&ended, &runs]), 30_000);
        assert_eq!(length(5_000, true, &[&ended, &runs]), 5_000, "the index is whole");
    }

    #[test]
    fn what_was_in_force_is_told_one_by_one_and_sentences_come_last() {
        let map = [("guard", "none"), ("exec-trace-note", "seen by the kernel"), ("input", "echoed")];
        let map = map.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(one_by_one(&map), ["guard=none", "input=echoed", "exec-trace-note=seen by the kernel"]);
    }

    #[test]
    fn no_notices_however_many_hide_those_of_another_kind() {
        let of = |at: u64, text: &str| (at, text.to_owned());
        let mut notices: Vec<_> = (0..8).map(|at| of(at, "left-out: the arguments are shortened")).collect();
        notices.extend([of(8, "replaced: x"), of(9, "paused: y"), of(9, "left-running: z")]);
        let (told, more) = folded(&notices);
        let told: Vec<_> = told.into_iter().map(|(at, text)| (*at, text.as_str())).collect();
        let first = (0..5).map(|at| (at, "left-out: the arguments are shortened"));
        let others = [(8, "replaced: x"), (9, "paused: y"), (9, "left-running: z")];
        assert_eq!(told, first.chain(others).collect::<Vec<_>>());
        assert_eq!(more, [("left-out", 3)].into());
    }

    #[test]
    fn counts_that_no_recorder_writes_add_up_to_no_panic() {
        let most = u64::MAX;
        let mut tally = Tally::default();
        (tally.raw, tally.input, tally.withheld, tally.lost, tally.end) = (most, most, most, most, most);
        let left_out = LeftOut { commands: most, programs: most, shortened: most };
        let entry = Entry { tally, left_out, ..Entry::default() };
        let sums = Sums::of(&[entry.clone(), entry]);
        assert_eq!([sums.raw, sums.input, sums.withheld, sums.missing.count, sums.length], [most; 5]);
        assert!(sums.left_out.notice().is_some());
    }
}
