//! What opens the player: recordings, verdicts, marks and exports for it.
//!
//! Everything that might ask for a passphrase is done before the terminal is taken. The verdict on the file is found on a
//! thread of its own. Marks are kept beside the recording (see [`marks`]).

use super::draft::Draft;
use super::format::{clock, moment, shown, who};
use super::judged::{Judged, Word, describe};
use super::recordings::{self, Opened, Reading, known_keys, name};
use super::{Context, marks, part};
use crate::cast::millis;
use crate::container::verify::verify as verify_file;
use crate::crypto::known_keys::KnownKeys;
use crate::error::{Context as _, Error, Kind, Result};
use crate::player::{
    self, App, Browser, Depth, Host, Integrity, Mark, Message, Row, Scene, Stage, Title, Unsearched, run,
};
use crate::replay::Recording;
use crate::search::{Meanwhile, Options, search_until};
use crate::store::seal::Opener;
use crate::store::{Found, seal, silence};
use crate::sys::signals::Signals;
use crate::text;
use std::ffi::OsString;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the player starts.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The recording that is meant; without one, the store is shown.
    pub(super) recording: Option<OsString>,
    /// From this time on, as it was typed, paused.
    pub(super) at: Option<String>,
    /// At the end, following what is still being written.
    pub(super) follow: bool,
    /// So many times faster.
    pub(super) speed: f64,
    /// Longer stretches without events are skipped; otherwise the player's own limit holds.
    pub(super) idle_limit: Option<Duration>,
    /// Files of keys that recordings may be signed with.
    pub(super) known_keys: Vec<PathBuf>,
}

/// Where it is written what a time may be.
pub(super) const TIMES: &str =
    "sealcast-play(1) tells what `:` in the player takes; it is the same behind `@`";

type Watched = Recording<File>;

/// Opens the player on the terminal and returns when the viewer leaves.
///
/// # Errors
/// The recording cannot be opened, or the terminal cannot be used.
pub(super) fn watch(context: &Context, reading: &Reading, start: &Start) -> Result<()> {
    if start.follow && !context.console.redraws() {
        return Err(Error::new(Kind::Usage, "following needs a terminal that can be drawn on")
            .hint("`sealcast play --plain` prints what has been recorded so far"));
    }
    let (verdicts, inbox) = channel();
    let mut desk = Desk {
        context,
        opener: Arc::new(Opener::new(reading.identities(context)?)),
        known: Arc::new(known_keys(context, &start.known_keys)?),
        rows: Arc::default(),
        asked: Arc::default(),
        current: None,
        marks: Vec::new(),
        verdicts,
        judged: 0,
        exports: Vec::new(),
    };
    let scene = match &start.recording {
        Some(wanted) => {
            let found = reading.find(context, wanted)?;
            let mut app = desk.open_found(found)?.paced(start.speed, start.idle_limit);
            if start.follow {
                app = app.following();
            } else if let Some(at) = &start.at {
                app = app.at_typed(at).map_err(|wrong| Error::new(Kind::Usage, wrong).hint(TIMES))?;
            }
            Scene::Watching(Box::new(app))
        }
        None => Scene::Browser(Box::new(desk.browser(reading)?)),
    };
    let signals = Signals::take(&[libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT])?;
    let mut stage = Stage::new(context.console.raw()).map_err(stage_error)?;
    let ended = run(&mut stage, scene, &mut desk, &inbox, &|| signals.next().is_some());
    drop(stage);
    desk.finish_exports();
    ended.map_err(stage_error)
}

fn stage_error(error: crate::player::StageError) -> Error {
    Error::new(Kind::System, text::chain(&error)).hint("--plain prints the text without a terminal")
}

/// Opens recordings for the player, and does what it cannot do itself.
struct Desk<'a> {
    context: &'a Context,
    opener: Arc<Opener>,
    known: Arc<KnownKeys>,
    rows: Arc<Vec<Found>>,
    /// Number of the search of the browser's that counts.
    asked: Arc<AtomicU64>,
    /// The recording that is watched.
    current: Option<Found>,
    /// Its marks, as the player last knew of them.
    marks: Vec<Mark>,
    verdicts: Sender<Message>,
    /// Number of the verdict that was asked for last.
    judged: u64,
    /// Exports under way.
    exports: Vec<JoinHandle<()>>,
}

impl Desk<'_> {
    /// What is being exported when the viewer leaves is brought to its end.
    fn finish_exports(&mut self) {
        for export in self.exports.drain(..) {
            if !export.is_finished() {
                self.context.console.note("finishing the export");
            }
            // Its own failure has been told as far as anybody listens.
            let _ = export.join();
        }
    }

    fn unlocked(&self, found: Found) -> Result<(Opened, Watched)> {
        let Opened { found, mut reader, silent, .. } = recordings::open(found)?;
        let access = self.opener.open_content(&mut reader).or_say(|| name(&found))?;
        if access == seal::Access::Index {
            return Err(Error::new(Kind::Key, format!("{}: your key opens its index only", name(&found)))
                .hint("to watch, ask one of its recipients"));
        }
        let mut again = recordings::open(found)?;
        again.silent = silent;
        let watched = Recording::new(reader)
            .map_err(|error| Error::new(Kind::Input, format!("{}: {error}", again.name())))?;
        let (found, file) = (again.found.clone(), again.found.open()?);
        Ok((again, watched.watched(move || silence(&found, &file).is_some())))
    }

    fn open_found(&mut self, found: Found) -> Result<App<Watched>> {
        let (opened, watched) = self.unlocked(found)?;
        let header = watched.header();
        let why = watched.opening().map(|opening| opening.meta.why());
        let title = Title { who: who(header), host: header.host.clone(), why: why.unwrap_or_default() };
        let marks = marks::read(&marks::path_of(&opened.found.path));
        self.marks = marks.as_ref().cloned().unwrap_or_default();
        let mut app = App::new(watched, title, depth(self.context), self.marks.clone());
        if let Err(error) = marks {
            app.warn(format!("the marks beside it are not shown: {error}"));
        }
        app.awaits(self.judge_on_a_thread(&opened));
        self.current = Some(opened.found);
        Ok(app)
    }

    /// Finds the verdict on a thread of its own, which may outlive the watching, and sends it to the player under the number
    /// that this gives.
    fn judge_on_a_thread(&mut self, opened: &Opened) -> u64 {
        self.judged += 1;
        let number = self.judged;
        let (known, verdicts) = (Arc::clone(&self.known), self.verdicts.clone());
        let (silent, found, header) = (opened.silent, opened.found.clone(), opened.reader.header().clone());
        let file = opened.found.open();
        // A thread that could not be started leaves the verdict open, and the header says so.
        let _ = std::thread::Builder::new().name("verdict".into()).spawn(move || {
            let judged = file.map_err(|error| error.to_string()).and_then(|file| {
                verify_file(&file, |certificate| seal::certify(&known, certificate), |_| {})
                    .map(|report| {
                        let mut judged = describe(report, silent);
                        judged.compare_name(&found, &header);
                        judged
                    })
                    .map_err(|error| error.to_string())
            });
            let integrity = match judged {
                Ok(judged) => verdict(&judged),
                Err(error) => Integrity::Bad(format!("not checked: {error}")),
            };
            // The player may have been left already.
            let _ = verdicts.send(Message::Integrity(number, integrity));
        });
        number
    }

    /// The list of the store. One recording is opened at once, so that a passphrase is asked for now and not later.
    fn browser(&mut self, reading: &Reading) -> Result<Browser> {
        let store = reading.store(self.context)?;
        let (mut rows, mut all) = (Vec::new(), Vec::new());
        for found in store.list()?.into_iter().rev() {
            rows.push(match recordings::open(found.clone()) {
                Ok(opened) => self.row(opened),
                Err(error) => {
                    let id = name(&found);
                    Row { id, state: "damaged".into(), why: error.to_string(), ..Row::default() }
                }
            });
            all.push(found);
        }
        self.rows = Arc::new(all);
        Ok(Browser::new(rows, shown(store.dir())))
    }

    fn row(&self, mut opened: Opened) -> Row {
        let asks = !self.opener.identities().is_empty();
        let opens = asks.then(|| self.opener.open_index(&mut opened.reader));
        let unlocked = opens.as_ref().is_some_and(std::result::Result::is_ok);
        let header = opened.reader.header();
        let mut row = Row {
            when: moment(header.start),
            who: who(header),
            host: header.host.clone(),
            state: opened.state_told(),
            id: opened.name(),
            ..Row::default()
        };
        if unlocked {
            let entries = opened.reader.entries();
            row.length = opened.length_told(entries.last().map(|entry| entry.tally.end));
            let count = || entries.iter().map(|entry| entry.commands.len()).sum();
            let commands = opened.reader.opening().is_ok().then(count);
            row.commands = opened.commands_told(commands, opened.has_alarm(&opened.notices()));
            row.exit =
                entries.iter().rev().find_map(|e| e.tally.exit).map_or("-".into(), |exit| exit.to_string());
            if let Ok(opening) = opened.reader.opening() {
                row.why = opening.meta.why();
            }
        } else if let Some(Err(seal::UnlockError::Container(fault))) = opens {
            row.state.push_str(", damaged");
            row.why = fault.to_string();
        } else {
            row.state.push_str(" 🔒");
        }
        row
    }

    /// Begins an export on a thread of its own, which tells how it ended.
    fn begin_export(&mut self, from: Duration, to: Duration, file: Option<&str>) -> Result<String> {
        let found = self.current.clone().ok_or_else(|| Error::new(Kind::Usage, "no recording is open"))?;
        let id = name(&found);
        let (_, watched) = self.unlocked(found)?;
        let path = match file.filter(|file| !file.is_empty()) {
            Some(file) => PathBuf::from(file),
            None => {
                let part = |time: Duration| clock(millis(time)).replace(':', ".");
                PathBuf::from(format!("{}-{}-{}.cast", id.replace('/', "_"), part(from), part(to)))
            }
        };
        let mut out = Draft::begin(&path)?;
        let said = format!("exporting to {}", shown(&path));
        let verdicts = self.verdicts.clone();
        let export = std::thread::Builder::new().name("export".into()).spawn(move || {
            let told = part::export(watched, &id, from, to, &path, &mut out);
            // Also what a damaged recording still gave.
            let told = out.keep().and(told);
            let _ = verdicts.send(Message::Told(told.map_err(|error| error.to_string())));
        });
        self.exports
            .push(export.map_err(|e| Error::new(Kind::System, format!("cannot start a thread: {e}")))?);
        Ok(said)
    }
}

impl Host<Watched> for Desk<'_> {
    fn open(&mut self, row: usize) -> std::result::Result<App<Watched>, String> {
        let found = self.rows.get(row).cloned().ok_or("there is no such row")?;
        self.open_found(found).map_err(|error| error.to_string())
    }

    fn narrow(&mut self, asked: u64, filter: &str, inside: bool) {
        // Whoever searches for an earlier question ends.
        self.asked.store(asked, Ordering::Relaxed);
        // The browser asks only for what is understood.
        let Ok(query) = player::query(filter, inside) else { return };
        let (rows, opener, current) =
            (Arc::clone(&self.rows), Arc::clone(&self.opener), Arc::clone(&self.asked));
        let answers = self.verdicts.clone();
        let usual = Options::default();
        let options = Options {
            first_only: true,
            moments: false,
            most: 1,
            // One is left to the player.
            workers: usual.workers.saturating_sub(1).max(1),
            ..usual
        };
        // A thread that could not be started leaves what stands in the columns.
        let _ = std::thread::Builder::new().name("filter".into()).spawn(move || {
            let stopped = || current.load(Ordering::Relaxed) != asked;
            let (mut row, mut unsearched) = (0, Unsearched::default());
            let meanwhile = Meanwhile { stopped: &stopped, ..Meanwhile::default() };
            search_until(&rows, &opener, &query, &options, meanwhile, &mut |_, answer| {
                let kind = match answer.is_unopened() {
                    true => &mut unsearched.unopened,
                    false => &mut unsearched.in_part,
                };
                *kind += usize::from(answer.fault.is_some());
                let told = answer.found.is_none() || answers.send(Message::Matches(asked, row)).is_ok();
                row += 1;
                // The player may have been left already.
                if told { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            if !stopped() {
                let _ = answers.send(Message::Searched(asked, unsearched));
            }
        });
    }

    fn judge(&mut self) -> Option<u64> {
        // A recording that cannot be opened any more keeps the verdict it had.
        let opened = recordings::open(self.current.clone()?).ok()?;
        Some(self.judge_on_a_thread(&opened))
    }

    fn save_marks(&mut self, marks: &[Mark]) -> std::result::Result<Vec<Mark>, String> {
        let Some(found) = &self.current else { return Err("no recording is open".into()) };
        let kept = marks::keep(&marks::path_of(&found.path), &self.marks, marks);
        self.marks = kept.map_err(|error| format!("the mark is not kept: {error}"))?;
        Ok(self.marks.clone())
    }

    fn export(
        &mut self,
        from: Duration,
        to: Duration,
        file: Option<&str>,
    ) -> std::result::Result<String, String> {
        self.begin_export(from, to, file).map_err(|error| error.to_string())
    }
}

/// The verdict in the words of the header line.
fn verdict(judged: &Judged) -> Integrity {
    match judged.word {
        Word::Intact => Integrity::Good("sealed · intact".into()),
        Word::Running => Integrity::Doubtful("running".into()),
        Word::Torn => Integrity::Doubtful("torn".into()),
        Word::Foreign if judged.cut => Integrity::Bad("signed by an unknown key · torn".into()),
        Word::Foreign => Integrity::Bad("signed by an unknown key".into()),
        Word::Revoked if judged.cut => Integrity::Bad("signed by a revoked key · torn".into()),
        Word::Revoked => Integrity::Bad("signed by a revoked key".into()),
        Word::Altered | Word::Renamed => Integrity::Bad(judged.word.name().to_uppercase()),
    }
}

/// The colours of the viewer's terminal, as far as the environment tells.
fn depth(context: &Context) -> Depth {
    let of = |name: &str| context.environment.get(name).unwrap_or_default().to_string_lossy();
    let (term, color) = (of("TERM"), of("COLORTERM"));
    match () {
        () if context.environment.no_color() => Depth::Mono,
        () if matches!(&*color, "truecolor" | "24bit") || term.contains("direct") => Depth::True,
        () if term.contains("256") => Depth::Indexed,
        () => Depth::Sixteen,
    }
}
