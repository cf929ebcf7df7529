//! `sealcast play [REC]`: the player; with `--plain`, or without a terminal, the text of a session at its own pace.
//!
//! Recorded bytes never reach the viewer's terminal: the player draws cells, and what is printed as plain text is what
//! [`Plain`] makes of them; the few control characters that redraw the line in hand are our own.

use super::Context;
use super::format::{clock, shown};
use super::onward::{Onward, Step};
use super::recordings::Reading;
use super::watch::{self, Start};
use crate::cast::{Payload, millis};
use crate::console::{Console, WriteError};
use crate::container::Opening;
use crate::error::{Context as _, Error, Kind, Result};
use crate::export::NO_SCREEN;
use crate::export::plain::{OURS, Plain};
use crate::player;
use crate::replay::{Recording, Source as _};
use crate::terminal::{Terminal, drawn_on, draws_alike};
use crate::text::shorten;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is worth a word of what was skipped: shorter stretches are added up to it.
const WORTH_TELLING: Duration = Duration::from_secs(5);
/// The same of what is left at the end.
const WORTH_TELLING_LAST: Duration = Duration::from_secs(1);

/// Replay a recording
///
/// On a terminal: the player; F1 tells its keys. Without REC, a list of all recordings to choose from. With --plain: the
/// text at its own pace, line by line, without control sequences; what a full-screen program drew is left out. Recorded
/// bytes never reach your terminal.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording: a path, the beginning of an id, `last`, `last~2`; with `@6:39`, `@90s`, `@50%`, `@14:05Z` or, from its end,
    /// `@-1m` from that time on
    #[arg(value_name = "REC")]
    recording: Option<OsString>,
    /// As plain text
    #[arg(long)]
    plain: bool,
    /// Begin at the end, and follow what is still being recorded
    #[arg(short = 'F', long, conflicts_with = "plain")]
    follow: bool,
    /// So many times faster (or slower, below 1)
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed, allow_negative_numbers = true)]
    speed: f64,
    /// Make pauses no longer than SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    idle_limit: Option<Duration>,
    /// Keys that recordings may be signed with; may be given several times
    ///
    /// The player says whether it was one of them; plain text comes without a verdict.
    #[arg(short, long, value_name = "FILE", conflicts_with = "plain")]
    known_keys: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

fn speed(text: &str) -> std::result::Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=10_000.0).contains(&speed) { Ok(speed) } else { Err("not between 0.01 and 10000".into()) }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a time that can pass".to_owned())
}

/// Runs it.
///
/// # Errors
/// The recording cannot be opened or read on.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let (wanted, time) = place(args.recording.as_deref().unwrap_or(OsStr::new("last")));
    if args.follow || !args.plain && context.console.redraws() {
        let recording = (args.recording.is_some() || args.follow).then(|| wanted.to_owned());
        let start = Start {
            recording,
            at: time,
            follow: args.follow,
            speed: args.speed,
            idle_limit: args.idle_limit,
            known_keys: args.known_keys.clone(),
        };
        return watch::watch(context, &args.reading, &start);
    }
    if !args.known_keys.is_empty() {
        // Said by the parser where --plain was given.
        let what = "the argument '--known-keys <FILE>' cannot be used without a terminal: plain text comes without a verdict";
        return Err(Error::new(Kind::Usage, what).hint("leave it out; `sealcast verify` judges"));
    }
    let (opened, _) = args.reading.open_content(context, wanted)?;
    let (name, no_end) = (shown(&opened.found.path), opened.end_missing());
    let mut reader = opened.reader;
    if reader.segments() == 0 {
        reader.opening().or_say(|| name.clone())?;
        if let Some(fault) = reader.fault() {
            return Err(Error::from(fault).while_doing(name));
        }
        if let Some(why) = no_end {
            context.console.note(format!("{why}: there is nothing to play"));
        }
        return Ok(());
    }
    let mut from = Duration::ZERO;
    if let Some(text) = time {
        let recording = Recording::new(reader)
            .map_err(|error| Error::new(Kind::Input, error.to_string()).while_doing(name.clone()))?;
        let asked = player::parse_first(&text, recording.outline())
            .map_err(|wrong| Error::new(Kind::Usage, wrong).hint(watch::TIMES))?;
        let at = asked.at;
        asked.told().into_iter().for_each(|told| context.console.note(told));
        (reader, from) = (recording.into_reader(), at);
    }
    let reader = &mut reader;
    let mut pace = Pace::new(args.speed, args.idle_limit);
    let size = reader.opening().map_or((0, 0), Opening::size);
    let mut sheet = Sheet::new(&context.console, size);
    // Without a time all of it is played, whatever its index says of where it begins. And whose screen at the beginning of a
    // segment another version drew, its screen is known only from the start.
    let believed = reader.opening().is_ok_and(|opening| draws_alike(opening.meta.drawing));
    let first = if believed && !from.is_zero() { reader.segment_at(millis(from)) } else { 0 };
    let mut onward = Onward::new(reader, first, true)?;
    let mut last = Duration::ZERO;
    let (mut drawn, mut began) = (false, false);
    let mut skipped = Duration::ZERO;
    let ended = loop {
        let event = match onward.next(reader) {
            Step::Event(event) => event,
            Step::Hole(note) => {
                sheet.aside(&format!("[{note}]"))?;
                continue;
            }
            Step::Blind => {
                sheet.aside(&format!("[{NO_SCREEN}]"))?;
                sheet.blank();
                continue;
            }
            Step::Screen(screen) => {
                if let Payload::Keyframe(screen) = &screen.payload {
                    sheet.stands(screen);
                }
                drawn = true;
                if began {
                    sheet.begin()?;
                }
                continue;
            }
            Step::End(ended) => break ended,
        };
        last = event.time;
        let early = event.time < from;
        // Before the first segment nothing stands.
        if let Payload::Keyframe(screen) = &event.payload
            && !drawn
            && first > 0
        {
            sheet.stands(screen);
        }
        // The screen that stands comes behind the clocks of its segment.
        let shows = !early && !matches!(event.payload, Payload::Anchor(_));
        if shows && !std::mem::replace(&mut began, true) {
            sheet.begin()?;
        }
        if !early {
            skipped += pace.wait_for(event.time.saturating_sub(from), || sheet.flush())?;
            if skipped >= WORTH_TELLING {
                sheet.skipped(std::mem::take(&mut skipped))?;
            }
        }
        match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) => {
                drawn = true;
                sheet.output(bytes, early)?;
            }
            Payload::Resize { cols, rows } => sheet.plain.resize(*cols, *rows),
            Payload::Gap(gap) if !early => sheet.aside(&format!("[gap: {gap}]"))?,
            Payload::Marker(label) if !early => sheet.aside(&format!("[mark: {label}]"))?,
            Payload::Exit(status) if !early => sheet.aside(&format!("[exit status {status}]"))?,
            _ => {}
        }
    };
    // What came before a damaged place, or a missing end, is shown to its last character.
    sheet.rest()?;
    if skipped >= WORTH_TELLING_LAST {
        sheet.skipped(skipped)?;
    }
    if let Some(why) = no_end.filter(|_| ended.is_none()) {
        sheet.aside(&format!("[{why}: here, at {}, it ends]", clock(millis(last))))?;
    }
    sheet.flush()?;
    onward.fault(ended, &name, "played", last).map_or(Ok(()), Err)
}

/// A recording and a time in it, as that was typed: `last@6:39`, also `last@@14:05`, since a wall clock may begin so.
fn place(wanted: &OsStr) -> (&OsStr, Option<String>) {
    let bytes = wanted.as_bytes();
    match memchr::memrchr(b'@', bytes) {
        Some(at) if !std::path::Path::new(wanted).exists() => {
            let time = String::from_utf8_lossy(&bytes[at + 1..]);
            match bytes[..at].strip_suffix(b"@") {
                Some(recording) => (OsStr::from_bytes(recording), Some(format!("@{time}"))),
                None => (OsStr::from_bytes(&bytes[..at]), Some(time.into_owned())),
            }
        }
        _ => (wanted, None),
    }
}

/// When to show what.
struct Pace {
    speed: f64,
    idle_limit: Option<Duration>,
    began: Instant,
    /// Time of the session that has been shown.
    shown: Duration,
    /// Time that was left out of it.
    skipped: Duration,
}

impl Pace {
    fn new(speed: f64, idle_limit: Option<Duration>) -> Self {
        Self { speed, idle_limit, began: Instant::now(), shown: Duration::ZERO, skipped: Duration::ZERO }
    }

    /// How long after the beginning it is time for what happened at `time`, and how much of the pause before it is left out.
    fn due(&mut self, time: Duration) -> (Duration, Duration) {
        let pause = time.saturating_sub(self.shown);
        let left_out = self.idle_limit.map_or(Duration::ZERO, |limit| pause.saturating_sub(limit));
        self.skipped += left_out;
        self.shown = self.shown.max(time);
        let due = self.shown.saturating_sub(self.skipped).as_secs_f64() / self.speed;
        (Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX), left_out)
    }

    /// Waits until the moment for what happened at `time`; calls `idle` before it waits at all. Gives how much of the
    /// pause was left out.
    fn wait_for(&mut self, time: Duration, idle: impl FnOnce() -> Result<()>) -> Result<Duration> {
        let (due, left_out) = self.due(time);
        if due > self.began.elapsed() {
            idle()?;
        }
        while let Some(rest) = due.checked_sub(self.began.elapsed()).filter(|rest| !rest.is_zero()) {
            std::thread::park_timeout(rest);
        }
        Ok(left_out)
    }
}

/// Where the text goes: on a terminal the line in hand is shown as it grows, in a pipe (or on a dumb one) once it ends, or something is said
/// between.
struct Sheet<'a> {
    console: &'a Console,
    plain: Plain,
    /// What of the line in hand stands on the terminal, in the last line there.
    drawn: String,
    /// The line in hand as it stands above what was said last. Only what it grows by is shown after that.
    told: String,
}

impl<'a> Sheet<'a> {
    fn new(console: &'a Console, size: (u16, u16)) -> Self {
        Self { console, plain: Plain::new(drawn_on(size).0), drawn: String::new(), told: String::new() }
    }

    fn write(&self, text: &str) -> Result<()> {
        self.console.raw().write_all(text.as_bytes()).map_err(WriteError::from)?;
        Ok(())
    }

    /// What is shown goes on from the screen of a keyframe. One that is none has nothing to go on from.
    fn stands(&mut self, keyframe: &str) {
        if let Some(screen) = Terminal::restored(keyframe) {
            self.plain = Plain::standing(&screen);
            self.told.clear();
        }
    }

    /// What is shown goes on from a screen on which nothing stands.
    fn blank(&mut self) {
        self.plain = self.plain.blank();
        self.told.clear();
    }

    /// From here on it is shown: what a full-screen program draws that has begun before is left out, and that is to be said.
    fn begin(&mut self) -> Result<()> {
        self.plain.full_screen().map_or(Ok(()), |told| self.write(&format!("{told}\n")))
    }

    fn output(&mut self, bytes: &[u8], early: bool) -> Result<()> {
        let lines = self.plain.feed(bytes);
        if early {
            return Ok(());
        }
        for line in lines {
            let grown = self.grown(&line);
            self.draw(grown)?;
            // One that does not grow any more has ended above.
            if self.told.is_empty() || !grown.is_empty() {
                self.write("\n")?;
            }
            self.drawn.clear();
            self.told.clear();
        }
        if self.console.redraws() {
            let line = self.plain.unfinished();
            self.draw(&shorten(self.grown(&line), self.console.width().saturating_sub(1)))?;
        }
        Ok(())
    }

    /// What of a line does not stand above already. One that was written over is another.
    fn grown<'l>(&self, line: &'l str) -> &'l str {
        line.strip_prefix(self.told.as_str()).unwrap_or(line)
    }

    /// Makes the terminal's line read `line`.
    fn draw(&mut self, line: &str) -> Result<()> {
        match line.strip_prefix(self.drawn.as_str()) {
            Some(more) => self.write(more)?,
            None => self.write(&format!("\r\x1b[K{line}"))?,
        }
        self.drawn = line.to_owned();
        Ok(())
    }

    /// Shows a line in hand to where it has come, and goes to the next one.
    fn leave(&mut self, line: &str) -> Result<()> {
        self.draw(self.grown(line))?;
        if !self.drawn.is_empty() {
            self.write("\n")?;
            self.drawn.clear();
        }
        Ok(())
    }

    /// A line of our own, where it happened: behind what was shown before.
    fn aside(&mut self, text: &str) -> Result<()> {
        let line = self.plain.unfinished();
        self.leave(&line)?;
        self.told = line;
        self.console.styled(crate::console::Style::Dim, format_args!("{OURS} {text}"))?;
        Ok(())
    }

    /// So much was left out since this was said last, all in all.
    fn skipped(&mut self, time: Duration) -> Result<()> {
        self.aside(&format!("[{} without output skipped]", clock(millis(time))))
    }

    fn flush(&self) -> Result<()> {
        Ok(self.console.flush()?)
    }

    /// What is left of the line in hand.
    fn rest(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.plain).finish().unwrap_or_default();
        self.leave(&line)?;
        self.told.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_recording_is_told_from_its_name() {
        let placed = |text| {
            let (recording, time) = place(OsStr::new(text));
            (recording.to_str().unwrap(), time.unwrap_or_default())
        };
        assert_eq!(placed("last@0:02"), ("last", "0:02".to_owned()));
        assert_eq!(placed("last~2@12:38:30Z"), ("last~2", "12:38:30Z".to_owned()));
        assert_eq!(placed("last@@12:38"), ("last", "@12:38".to_owned()));
        assert_eq!(placed("last"), ("last", String::new()));
    }

    #[test]
    fn pauses_are_limited_and_the_rest_keeps_its_pace() {
        let (seconds, ms) = (Duration::from_secs, Duration::from_millis);
        let mut pace = Pace::new(2.0, Some(seconds(2)));
        assert_eq!(pace.due(seconds(1)), (ms(500), Duration::ZERO));
        assert_eq!(pace.due(seconds(3600)), (ms(1500), seconds(3597)));
        assert_eq!(pace.due(seconds(3602)), (ms(2500), Duration::ZERO));
        let mut pace = Pace::new(1000.0, Some(seconds(2)));
        let wait = |pace: &mut Pace, seconds| pace.wait_for(Duration::from_secs(seconds), || Ok(())).unwrap();
        assert_eq!(wait(&mut pace, 1), Duration::ZERO);
        assert_eq!(wait(&mut pace, 3600), seconds(3597));
        assert_eq!(wait(&mut pace, 3602), Duration::ZERO);
        assert!(pace.began.elapsed() >= ms(5));
        assert_eq!(pace.shown.saturating_sub(pace.skipped), seconds(5));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        assert!(["0", "-1", "nan", "inf", "x"].iter().all(|text| speed(text).is_err()));
        assert!(["-1", "nan", "1e400", "x"].iter().all(|text| seconds(text).is_err()));
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
    }
}
