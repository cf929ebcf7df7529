//! `sealcast export REC --format …`

use super::draft::Draft;
use super::excerpt::Excerpt;
use super::format::{clock, shown};
use super::onward::{Onward, Step};
use super::part::write;
use super::recordings::{Opened, Reading};
use super::{Context, filter};
use crate::cast::{Command, millis};
use crate::console::{Style as Ink, WriteError, json_safe};
use crate::container::LeftOut;
use crate::error::{Context as _, Error, Kind, Result};
use crate::export::{Exporter, Format, Losses};
use crate::search::{Fields, Query, Style};
use crate::store::seal::{self, Opener};
use crate::sys;
use crate::text::counted;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Convert a recording to a format of others
///
/// What the format cannot carry is said on standard error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording: a path, the beginning of an id, `last`, `last~2`
    #[arg(value_name = "REC")]
    recording: OsString,
    /// The format
    #[arg(short, long, value_enum, default_value_t = Wanted::Cast)]
    format: Wanted,
    /// Write to FILE instead of standard output, which is `-`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only the parts in which PATTERN is found: literal text, as `search` takes it
    ///
    /// The parts follow one another, each with the screen as it stood at its start and a mark that says what was found.
    #[arg(long, value_name = "PATTERN")]
    hits: Option<String>,
    /// PATTERN is a regular expression
    #[arg(short = 'e', long, requires = "hits")]
    regex: bool,
    /// Seconds, whole ones, that are kept before and after a hit
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 5,
        requires = "hits",
        allow_negative_numbers = true,
        value_parser = whole_seconds
    )]
    around: u16,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Wanted {
    /// asciicast v3, for asciinema 3 and later
    Cast,
    /// asciicast v2, for older players
    Cast2,
    /// The bytes of the output, and nothing else
    Raw,
    /// What could be read, line by line
    Text,
    /// Every event as a line of JSON
    Json,
    /// Every command of the index as a line of JSON
    Commands,
}

impl Args {
    /// The file to write; `None` for standard output.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }
}

impl Wanted {
    /// The format of the content; `None` for what comes from the index alone.
    fn of_content(self) -> Option<Format> {
        match self {
            Self::Cast => Some(Format::Cast),
            Self::Cast2 => Some(Format::Cast2),
            Self::Raw => Some(Format::Raw),
            Self::Text => Some(Format::Text),
            Self::Json => Some(Format::Json),
            Self::Commands => None,
        }
    }
}

/// Runs it.
///
/// # Errors
/// The recording cannot be opened or read on, or the output cannot be written.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let console = &context.console;
    if matches!(args.format, Wanted::Raw) && args.file().is_none() && console.is_terminal() {
        return Err(Error::new(Kind::Usage, "recorded bytes could act on your terminal")
            .hint("write them to a file with -o FILE, or use --format text"));
    }
    let Some(format) = args.format.of_content() else {
        if args.hits.is_some() {
            return Err(Error::new(
                Kind::Usage,
                "--hits takes parts of what was shown, not of the list of commands",
            )
            .hint("`sealcast search --in command --json` lists the commands that match"));
        }
        return commands(context, args);
    };
    let (opened, opener) = args.reading.open_content(context, &args.recording)?;
    let (no_end, name) = (opened.end_missing(), opened.name());
    let mut in_part = None;
    let opened = match &args.hits {
        Some(pattern) => {
            let excerpt = find(context, args, pattern, &opened, &opener)?;
            in_part = excerpt.fault.clone().map(|fault| (fault, excerpt.hints.clone()));
            What::Parts(excerpt, opened)
        }
        None => What::Whole(opened),
    };
    let (losses, kept) = match args.file() {
        None if console.is_terminal() => {
            let out = LineSafe { out: console.raw(), line: Vec::new() };
            (export(context, opened, format, out, None)?, Ok(()))
        }
        None => (export(context, opened, format, BufWriter::new(console.raw()), None)?, Ok(())),
        Some(path) => to_file(context, opened, format, path)?,
    };
    if !losses.is_empty() {
        console.remark("note", Ink::Yellow, losses);
    }
    // What a whole export came to is told where its last time is known.
    if let Some(why) = no_end.filter(|_| args.hits.is_some() && in_part.is_none()) {
        console.note(format!("{why}: there may have been more than could be searched"));
    }
    // Only now: what was found is written.
    let in_part = in_part.map_or(Ok(()), |(fault, hints)| {
        let told = Error::new(Kind::Input, format!("{name} could only in part be searched: {fault}"));
        let told = told.hint("what was found is written; there may be more");
        Err(hints.into_iter().fold(told, Error::hint))
    });
    both(in_part, kept)
}

/// Each that failed is told: where what was written is, and that it is not all.
fn both(one: Result<()>, other: Result<()>) -> Result<()> {
    match (one, other) {
        (Err(one), Err(other)) => Err(one.and(other)),
        (one, other) => one.and(other),
    }
}

fn whole_seconds(text: &str) -> std::result::Result<u16, String> {
    text.parse().map_err(|_| format!("not a number of whole seconds, {} at most", u16::MAX))
}

/// What is exported.
enum What {
    Whole(Opened),
    Parts(Excerpt, Opened),
}

/// Looks for the parts of a recording that are meant, and says how many there are.
fn find(context: &Context, args: &Args, pattern: &str, opened: &Opened, opener: &Opener) -> Result<Excerpt> {
    let style = Style { regex: args.regex, ..Style::default() };
    let query = Query::text(pattern, style, Fields::EVERYWHERE)
        .map_err(|error| filter::wrong_query(context, &error, false))?;
    let around = Duration::from_secs(args.around.into());
    let progress = context.console.progress("searching", opened.reader.length());
    let excerpt = Excerpt::find(&opened.found, opener, &query, around, &progress)?;
    drop(progress);
    let more = match excerpt.more {
        0 => String::new(),
        more => format!("; {more} further hits are left out"),
    };
    context.console.note(format_args!(
        "{} in {}{more}",
        counted(excerpt.hits as u64, "hit"),
        counted(excerpt.parts() as u64, "part")
    ));
    Ok(excerpt)
}

/// The commands of the index; a key that opens the index only is enough.
fn commands(context: &Context, args: &Args) -> Result<()> {
    let mut opened = args.reading.open(context, &args.recording)?;
    let identities = args.reading.identities(context)?;
    seal::unlock(&mut opened.reader, &identities).or_say(|| opened.name())?;
    opened.reader.opening().or_say(|| shown(&opened.found.path))?;
    opened.retell();
    if let Some(text) = LeftOut::of(opened.reader.entries()).notice() {
        context.console.note(text);
    }
    let fault = opened.reader.fault();
    if fault.is_none()
        && let Some(text) = opened.open_end()
    {
        context.console.note(text);
    }
    let kept = write_commands(context, args, opened.commands_and_alone())?;
    // Only now: what could be read is written.
    let read = fault.map_or(Ok(()), |error| {
        let said = format!("{}: not all commands could be read", shown(&opened.found.path));
        Err(Error::from(error).while_doing(said))
    });
    both(read, kept)
}

/// Gives whether what was written got its name.
fn write_commands<'a>(
    context: &Context,
    args: &Args,
    mut commands: impl Iterator<Item = Cow<'a, Command>>,
) -> Result<Result<()>> {
    let Some(path) = args.file() else {
        for command in commands {
            context.console.json(&command)?;
        }
        return Ok(Ok(()));
    };
    let mut file = Draft::begin(path)?;
    let mut out = BufWriter::new(&mut file);
    let written = commands.try_for_each(|command| {
        serde_json::to_writer(&mut out, &command).map_err(io::Error::from)?;
        out.write_all(b"\n")
    });
    written.and_then(|()| out.flush()).map_err(|error| sys::Error::at("write", path, error))?;
    drop(out);
    Ok(kept(context, file, path))
}

/// Gives also whether what was written got its name.
fn to_file(context: &Context, opened: What, format: Format, path: &Path) -> Result<(Losses, Result<()>)> {
    let mut file = Draft::begin(path)?;
    // Also what a recording gave that cannot be read on is kept, whatever the reason.
    match export(context, opened, format, BufWriter::new(&mut file), Some(path)) {
        Ok(losses) => Ok((losses, kept(context, file, path))),
        Err(unread) => Err(match file.keep() {
            Ok(()) => unread,
            Err(taken) => unread.and(taken),
        }),
    }
}

fn kept(context: &Context, file: Draft, path: &Path) -> Result<()> {
    file.keep()?;
    context.console.note(format!("wrote {}", shown(path)));
    Ok(())
}

/// Writes it to a file, or, without one, to standard output.
fn export(
    context: &Context,
    what: What,
    format: Format,
    mut out: impl Write,
    file: Option<&Path>,
) -> Result<Losses> {
    let wrote = |error: io::Error| match file {
        None => Error::from(WriteError::from(error)),
        Some(path) => Error::from(sys::Error::at("write to", path, error)),
    };
    let mut opened = match what {
        What::Whole(opened) => opened,
        What::Parts(excerpt, opened) => {
            let progress = context.console.progress("exporting", excerpt.length());
            let losses = excerpt.write(opened, format, &mut out, &progress, &wrote);
            drop(progress);
            out.flush().map_err(wrote)?;
            return losses;
        }
    };
    let no_end = opened.end_missing();
    let reader = &mut opened.reader;
    let opening = reader.opening().or_say(|| shown(&opened.found.path))?.clone();
    let mut exporter = Exporter::begin(format, reader.header(), &opening, out).map_err(wrote)?;
    let progress = context.console.progress("exporting", reader.length());
    let mut last = Duration::ZERO;
    let (ended, onward) = if reader.segments() > 0 {
        // Nothing in raw output could say that something is missing in between: what came behind would pass for what came next.
        let mut onward = Onward::new(reader, 0, format != Format::Raw)?;
        let ended = loop {
            let step = match onward.next(reader) {
                Step::End(ended) => break ended,
                step => step,
            };
            if let Step::Event(event) = &step {
                last = event.time;
            }
            write(&mut exporter, step).map_err(wrote)?;
            progress.at(onward.offset());
        };
        (ended, Some(onward))
    } else {
        (reader.fault(), None)
    };
    drop(progress);
    // What is kept says itself that it is not whole.
    match (&ended, reader.has_end()) {
        (Some(_), _) => exporter.is_damaged(),
        (None, false) if reader.ends_unproven() => exporter.ends_unproven(),
        (None, false) => exporter.has_no_end(),
        (None, true) => {}
    }
    let (losses, _) = exporter.finish().map_err(wrote)?;
    if let Some(why) = no_end.filter(|_| ended.is_none()) {
        context.console.note(format!("{why}: exported up to {}, where it ends", clock(millis(last))));
    }
    let name = shown(&opened.found.path);
    let fault = match onward {
        Some(onward) => onward.fault(ended, &name, "exported", last),
        None => ended
            .map(|ended| Error::from(ended).while_doing(format!("{name}: exported to {} only", clock(0)))),
    };
    let Some(fault) = fault else { return Ok(losses) };
    if !losses.is_empty() {
        context.console.remark("note", Ink::Yellow, losses);
    }
    Err(fault)
}

/// Lines of JSON or text for a terminal: nothing in them acts on it.
struct LineSafe<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Write for LineSafe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let text = String::from_utf8_lossy(&self.line);
                self.out.write_all(json_safe(&text).as_bytes())?;
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_a_terminal_cannot_act_on_it() {
        let mut safe = LineSafe { out: Vec::new(), line: Vec::new() };
        for piece in ["[1,\"o\",\"\u{9b}3", "1m\u{202e}\"]\n[2", "]\n"] {
            safe.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(safe.out, b"[1,\"o\",\"\\u009b31m\\u202e\"]\n[2]\n");
    }
}
