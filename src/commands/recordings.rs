//! What every reading command shares: which store, which identities, which keys are trusted, and how things are named.

use super::format::{clock, shown, span};
use super::{Context, config, is_absent};
use crate::cast::{Command, millis};
use crate::console::Style;
use crate::container::{self, Entry, Header, Reader};
use crate::crypto::identity::Identities;
use crate::crypto::known_keys::{self, KnownKeys};
use crate::error::{Context as _, Error, Kind, Result};
use crate::policy::Policy;
use crate::search;
use crate::shell::alone;
use crate::shell::notices::{is_plain, is_unheard, notices};
use crate::store::personal::MAX_PUBLIC;
use crate::store::seal::{Access, Opener, named};
use crate::store::{self, Found, Misnamed, Name, Store, silence};
use crate::sys;
use crate::text;
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

/// The public key of this host's SSH server: recordings of this host are signed with it in system mode.
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// Where to look and with which key.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// An identity file to open recordings with; may be given several times
    ///
    /// Without it, your own identity is used where there is one. `ls`, `show` and `verify` leave it out where it would ask for a
    /// passphrase or run a plugin, or cannot be read; `show --commands` does not.
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// The directory of the recordings
    ///
    /// Without it: that of the host's configuration, or your own where there is none or the host's is closed to you.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// It has been told that the host's store is not looked at.
    #[arg(skip)]
    told: Cell<bool>,
}

/// A recording, open.
pub(super) struct Opened {
    /// Which.
    pub(super) found: Found,
    /// Its reader.
    pub(super) reader: Reader<File>,
    /// Somebody who may write to it holds it, and it has been silent so long; see [`silence`].
    pub(super) silent: Option<Duration>,
    /// Commands that have no index entry; see [`Opened::retell`].
    retold: Vec<Command>,
    /// What is counted in the part that has no index entry; see [`Opened::retell`].
    recounted: Entry,
    /// Its file is not called what it is called.
    pub(super) misnamed: Option<Misnamed>,
}

/// What is known of a recording without checking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has its close.
    Sealed,
    /// It is being written.
    Running,
    /// It has no close, and is not being written; or a part of its index cannot be read.
    Torn,
}

impl State {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Running => "running",
            Self::Torn => "torn",
        }
    }
}

/// Why one's own identity was not used, and what to do.
pub(super) const WOULD_ASK: &str =
    "your own identity would ask for a passphrase, or run a plugin; name it with -i to use it";

/// What is said with a store that cannot be looked at.
const ELSEWHERE: &str = "--store DIR looks in another directory";

impl Reading {
    /// With these identity files and this directory, as they were named.
    pub(super) fn new(identity: &[PathBuf], store: Option<&Path>) -> Self {
        Self { identity: identity.to_vec(), store: store.map(Path::to_path_buf), told: Cell::default() }
    }

    /// The store.
    pub(super) fn store(&self, context: &Context) -> Result<Store> {
        match &self.store {
            Some(dir) => match std::fs::metadata(dir) {
                Ok(found) if found.is_dir() => Ok(Store::new(dir)),
                Ok(_) => Err(Error::new(Kind::Usage, format!("{} is not a directory", dir.display()))
                    .hint("--store names the directory that holds the recordings")),
                Err(error) => Err(sys::Error::at("look for the recordings in", dir, error).into()),
            },
            None => match config::of_host() {
                Ok(None) => Ok(Store::new(context.personal()?.recordings())),
                Ok(Some(policy)) => match std::fs::read_dir(&policy.store.path) {
                    Ok(_) => Ok(Store::new(policy.store.path)),
                    Err(error) if is_absent(&error) => {
                        let error = sys::Error::at("read the store of this host", &policy.store.path, error);
                        Err(Error::from_source(Kind::System, &error)
                            .hint("the first recording makes it: where there should be some, see whether its file system is mounted")
                            .hint(ELSEWHERE))
                    }
                    Err(error) => {
                        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                        let error = sys::Error::at("read the store of this host", &policy.store.path, error);
                        self.personal_instead(context, error.into(), denied)
                    }
                },
                Err(error) => {
                    let error = error.while_doing("the store of this host is not known");
                    self.personal_instead(context, error, true)
                }
            },
        }
    }

    /// One's own store in place of the host's, which `error` keeps from being read: for people to whom it is closed (`denied`), who
    /// are told. Whoever should be able to read the host's would take their own for it.
    fn personal_instead(&self, context: &Context, error: Error, denied: bool) -> Result<Store> {
        if !denied || sys::ids::effective_uid() == 0 {
            return Err(error.hint(ELSEWHERE));
        }
        let own = Store::new(context.personal()?.recordings());
        if !self.told.replace(true) {
            let said = format!("{error}: only your own recordings are looked at, in {}", shown(own.dir()));
            context.console.remark("note", Style::Yellow, said);
        }
        Ok(own)
    }

    /// The recording that is meant, without opening it. A path needs no store.
    pub(super) fn find(&self, context: &Context, wanted: &OsStr) -> Result<Found> {
        // An id is text.
        let Some(wanted) = wanted.to_str() else { return Ok(Found::at(Path::new(wanted))) };
        let by_age = wanted == "last" || wanted.starts_with("last~");
        if !by_age && Path::new(wanted).is_dir() {
            return Err(Error::new(
                Kind::Usage,
                format!("cannot open {}: it is a directory", shown(Path::new(wanted))),
            )
            .hint(format!("to look at the recordings in it: --store {}", shown(Path::new(wanted)))));
        }
        if !by_age && let Some(found) = Found::by_path(wanted) {
            return Ok(found);
        }
        self.store(context)?.find(wanted).map_err(|error| match error {
            // What is recorded here goes where they may not look.
            store::Error::Empty(_) if self.told.get() => Error::from_source(Kind::Input, &error).hint(
                "`sealcast run` records into the store of this host; --store DIR looks in another directory",
            ),
            error => error.into(),
        })
    }

    /// The recording that is meant, open, not unlocked.
    pub(super) fn open(&self, context: &Context, wanted: &OsStr) -> Result<Opened> {
        let opened = open(self.find(context, wanted)?)?;
        opened.tell_misnamed(context);
        Ok(opened)
    }

    /// The identities that were named, or one's own.
    pub(super) fn identities(&self, context: &Context) -> Result<Identities> {
        context.identities(&self.identity)
    }

    /// [`Reading::identities`] for commands that can do without: unless the identity was named nobody is asked for a passphrase,
    /// and one that cannot be used is warned of.
    pub(super) fn quiet_identities(&self, context: &Context) -> Result<Identities> {
        let none = || Ok(Identities::load::<&Path>(&[], context.prompt())?);
        match self.identities(context) {
            Ok(identities) if self.asks(&identities) => none(),
            Err(error) if !self.names_identity() => {
                let said = format!("{error}: only what is public is looked at");
                context.console.remark("warning", Style::Yellow, said);
                error.hints().iter().for_each(|hint| context.console.remark("hint", Style::Yellow, hint));
                none()
            }
            read => read,
        }
    }

    /// Whether one's own identity is not used by [`Reading::quiet_identities`] because it would ask.
    pub(super) fn would_ask(&self, context: &Context) -> bool {
        self.identities(context).is_ok_and(|identities| self.asks(&identities))
    }

    fn asks(&self, identities: &Identities) -> bool {
        self.identity.is_empty() && identities.is_locked()
    }

    /// What is sealed (`what`) was asked for, and there is no identity to open it with: why not, and to whom the newest of these
    /// recordings is sealed.
    pub(super) fn no_identity(&self, context: &Context, what: &str, recordings: &[Found]) -> Error {
        let (why, place) = match self.identities(context) {
            Ok(identities) if self.asks(&identities) => {
                ("your own identity would ask for a passphrase, or run a plugin", "")
            }
            Ok(_) => ("there is no identity to open them with", "looked for "),
            // What is wrong with it was told.
            Err(_) => ("your own identity cannot be used", ""),
        };
        let mut said = format!("{what} are sealed, and {why}");
        if let Ok(personal) = context.personal() {
            said.push_str(&format!(" ({place}{})", shown(&personal.identity())));
        }
        let newest = recordings.iter().rev().find_map(|found| Some((found, found.header()?)));
        if let Some((found, header)) = &newest {
            said.push_str(&format!(
                "; {} is sealed to {}",
                real_name(found, header),
                named(&header.recipients)
            ));
        }
        let error = Error::new(Kind::Key, said).hint("name an identity file with --identity FILE");
        error.names_recipients(newest.as_ref().map_or(&[], |(_, header)| &header.recipients))
    }

    /// Whether an identity was named.
    pub(super) fn names_identity(&self) -> bool {
        !self.identity.is_empty()
    }

    /// The recording that is meant, its content unlocked, and what opened it: whoever needs it again asks nobody twice.
    pub(super) fn open_content(&self, context: &Context, wanted: &OsStr) -> Result<(Opened, Opener)> {
        let mut opened = self.open(context, wanted)?;
        let opener = Opener::new(self.identities(context)?);
        let access = opener.open_content(&mut opened.reader).or_say(|| opened.name())?;
        match access {
            Access::Content => Ok((opened, opener)),
            Access::Index => {
                Err(Error::new(Kind::Key, format!("{}: your key opens its index only", opened.name())).hint(
                    "`sealcast show` and `sealcast ls` work with it; to watch, ask one of its recipients",
                ))
            }
        }
    }
}

/// Opens a recording that was found.
pub(super) fn open(found: Found) -> Result<Opened> {
    let file = found.open()?;
    let silent = silence(&found, &file);
    let reader =
        Reader::open(file).map_err(|error| unreadable(&found, error).while_doing(shown(&found.path)))?;
    let misnamed = found.misnamed(reader.header());
    Ok(Opened { found, reader, silent, retold: Vec::new(), recounted: Entry::default(), misnamed })
}

/// Why a recording cannot be read. Whoever empties one, or writes over its beginning, leaves its name.
pub(super) fn unreadable(found: &Found, error: container::Error) -> Error {
    match error {
        container::Error::NotARecording if found.name.is_some() => Error::from_source(Kind::Input, &error)
            .hint("it has the name of one, and is empty, or was written over: `sealcast verify` tells which"),
        error => error.into(),
    }
}

impl Opened {
    /// How it is named in messages.
    pub(super) fn name(&self) -> String {
        real_name(&self.found, self.reader.header())
    }

    /// Its id, as its header has it.
    pub(super) fn id(&self) -> Option<String> {
        Name::of(self.reader.header()).map(|name| name.id)
    }

    /// Warns of a file that is called something else.
    pub(super) fn tell_misnamed(&self, context: &Context) {
        if let Some(misnamed) = &self.misnamed {
            tell_misnamed(context, &self.found, misnamed);
        }
    }

    /// Reads, where the content is unlocked, what the shell told in the last part of one that was not closed, and counts what is in
    /// it: there is no index entry of that.
    pub(super) fn retell(&mut self) {
        let tally = &mut self.recounted.tally;
        self.retold = search::retold_and(&mut self.reader, |event| {
            tally.count(millis(event.time), &event.payload);
        });
    }

    /// As an index entry would have it what [`Opened::retell`] counted: no commands.
    pub(super) fn recounted(&self) -> &Entry {
        &self.recounted
    }

    /// Its commands, by start.
    pub(super) fn commands(&self) -> Vec<&Command> {
        let mut commands = container::commands(self.reader.entries());
        commands.extend(&self.retold);
        commands.sort_by_key(|command| command.start);
        commands
    }

    /// Its commands, and an entry for each program that no command explains, by start; those are made when their turn comes.
    pub(super) fn commands_and_alone(&self) -> impl Iterator<Item = Cow<'_, Command>> {
        let mut commands = self.commands().into_iter().peekable();
        let mut alone = alone::commands(self.reader.entries()).peekable();
        std::iter::from_fn(move || match (commands.peek(), alone.peek()) {
            (Some(command), Some(program)) if program.start < command.start => alone.next().map(Cow::Owned),
            (Some(_), _) => commands.next().map(Cow::Borrowed),
            (None, _) => alone.next().map(Cow::Owned),
        })
    }

    /// Where a witness fell silent, entries are missing, or something was left running, as far as it is open.
    pub(super) fn notices(&self) -> Vec<(u64, String)> {
        let mut all = notices(self.reader.opening().ok(), &self.commands(), self.reader.entries());
        all.extend(notices(None, &[], slice::from_ref(&self.recounted)));
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// Whether one of its notices is more than to be known, or a stream is missing as a whole.
    pub(super) fn has_alarm(&self, notices: &[(u64, String)]) -> bool {
        notices.iter().any(|(_, text)| !is_plain(text)) || is_unheard(self.reader.entries())
    }

    /// Why its end is not that of the session; `None` where it is.
    pub(super) fn end_missing(&self) -> Option<String> {
        match (self.reader.is_closed(), self.silent) {
            (true, _) => None,
            // It was ended once: what stands behind that is something else now.
            (false, None) if self.reader.has_end() => {
                Some("its end is not that of a closed recording (`sealcast verify` says more)".to_owned())
            }
            (false, None) if self.reader.ends_unproven() => {
                Some("its end is not proven, as something before it is missing or damaged".to_owned())
            }
            (false, None) => Some("it was not closed".to_owned()),
            (false, Some(silent)) if silent < LATELY => Some("it is being recorded".to_owned()),
            (false, Some(silent)) => Some(format!("it is {}", held(silent))),
        }
    }

    /// What is said where its commands are listed and the index does not have them all.
    pub(super) fn open_end(&mut self) -> Option<String> {
        if self.reader.is_complete() {
            return None;
        }
        let fault = self.reader.index_fault();
        let hole = fault.map(|fault| format!("a part of its index cannot be read ({fault})"));
        let passed = self.reader.passed_over();
        let passed = passed.map(|fault| format!("a part of it cannot be read ({fault})"));
        let unproven = self.reader.ends_unproven();
        if hole.is_none() && unproven {
            return passed.map(|part| format!("{part}: that its index has all its commands is not proven"));
        }
        let end = match self.reader.end_fault() {
            _ if self.reader.has_end() || unproven => None,
            Some(fault) => Some(format!("it cannot be read on ({fault})")),
            None => self.end_missing(),
        };
        let end = match (passed, end) {
            (Some(passed), Some(end)) => Some(format!("{passed}, and {end}")),
            (_, end) => end,
        };
        let lost = match hole.is_some() && self.reader.lacks_content() {
            true => "; what was shown there may be missing, too",
            false => "",
        };
        let reached = self.reader.entries().last().map(|entry| clock(entry.tally.end));
        let since = reached.map_or_else(String::new, |reached| format!(" (from {reached} on)"));
        let (why, parts) = match (hole, end) {
            (Some(hole), Some(end)) => {
                (format!("{hole}, and {end}"), format!("that part and of its last one{since}"))
            }
            (Some(hole), None) if unproven => (hole, "that part, and of more perhaps,".to_owned()),
            (Some(hole), None) => (hole, "that part".to_owned()),
            (None, end) => (end?, format!("its last part{since}")),
        };
        let what = match self.reader.can_read_content() {
            true => "only those of which the shell told are listed",
            false => "your key opens its index only",
        };
        Some(format!("{why}: commands of {parts} are in no index, and {what}{lost}"))
    }

    /// Its length in a list: the last segment of one that was not closed is in no index. `None`: it is not known.
    pub(super) fn length_told(&self, length: Option<u64>) -> String {
        match (length, self.reader.is_closed()) {
            (Some(length), true) => clock(length),
            (Some(length), _) => format!("{}+", clock(length)),
            (None, _) => "-".into(),
        }
    }

    /// How many commands it has, in a list: there may be more where the index does not have them all. With an exclamation
    /// mark where there is an [alarm](Opened::has_alarm).
    pub(super) fn commands_told(&self, commands: Option<usize>, alarm: bool) -> String {
        let mark = if alarm { "!" } else { "" };
        match commands {
            Some(commands) if !self.reader.is_complete() => format!("{commands}+{mark}"),
            Some(commands) => format!("{commands}{mark}"),
            None => "-".into(),
        }
    }

    /// Its state.
    pub(super) fn state(&self) -> State {
        match (self.silent, self.reader.is_closed()) {
            // Closed it was; but a part of its index is gone.
            (_, true) if !self.reader.is_complete() => State::Torn,
            (_, true) => State::Sealed,
            (Some(_), false) => State::Running,
            (None, false) => State::Torn,
        }
    }

    /// Its state as it is listed, with its silence where it is long.
    pub(super) fn state_told(&self) -> String {
        let state = match (self.state(), self.silent) {
            (State::Running, Some(silent)) if silent >= LATELY => format!("running, {} silent", span(silent)),
            (state, _) => state.name().to_owned(),
        };
        if self.misnamed.is_some() { format!("{state}, renamed") } else { state }
    }
}

/// A recorder that has something to write does so within seconds, and one in `guarded` always has. After this long without a
/// write, that it is being written is told with a doubt.
pub(super) const LATELY: Duration = Duration::from_secs(120);

/// What is known of a recording that is written, perhaps, and has been silent.
pub(super) fn held(silent: Duration) -> String {
    format!("open and locked, last written {} ago", span(silent))
}

/// There is nothing in a store of which something was asked.
pub(super) fn no_recordings(store: &Store) -> Error {
    Error::new(Kind::Input, format!("there are no recordings in {}", shown(store.dir())))
        .hint("--store names the directory that holds the recordings")
}

/// Warns of a recording whose file is called something else.
pub(super) fn tell_misnamed(context: &Context, found: &Found, misnamed: &Misnamed) {
    let said = format!("{}: {misnamed}", shown(&found.path));
    context.console.remark("warning", Style::Red, said);
}

/// The short id of a recording, as its header has it; the path of one that has none, or whose file is not named as a
/// recording.
pub(super) fn real_name(found: &Found, header: &Header) -> String {
    match (&found.name, Name::of(header)) {
        (Some(_), Some(name)) => name.short(),
        _ => name(found),
    }
}

/// The short id of a recording as the name of its file has it, or else its path.
pub(super) fn name(found: &Found) -> String {
    found.name.as_ref().map_or_else(|| shown(&found.path), |name| name.short())
}

/// The host's policy where there is one that can be read. One that is broken must not keep anybody from reading.
fn system_policy(context: &Context) -> Option<Policy> {
    config::of_host().unwrap_or_else(|error| {
        context.console.remark(
            "warning",
            Style::Yellow,
            format!("the host's configuration is passed over: {error}"),
        );
        None
    })
}

/// The keys that recordings may be signed with: those in `files`, one's own, and this host's.
pub(super) fn known_keys(context: &Context, files: &[PathBuf]) -> Result<KnownKeys> {
    let mut known = KnownKeys::default();
    for path in files {
        let text = read_text(path, known_keys::MAX_FILE as u64)?;
        let named = KnownKeys::parse(&text).or_say(|| shown(path))?;
        // What ssh-keyscan leaves of a host that did not answer, or was asked for another kind.
        if named.is_empty() {
            let said =
                format!("{}: no key is in it that could sign a recording, which takes Ed25519", shown(path));
            context.console.remark("note", Style::Yellow, said);
            context.console.remark("hint", Style::Yellow, "`ssh-keyscan -t ed25519 HOST` writes such keys");
        }
        known.extend(named);
    }
    if let Ok(personal) = context.personal() {
        let path = personal.signing_key_pub();
        match read_text(&path, MAX_PUBLIC) {
            Ok(text) => {
                // No session would begin with it.
                if let Err(error) = sys::trust::open(&path, sys::ids::effective_uid())
                    && error.is_of_trust()
                {
                    let said =
                        format!("others can say which keys count as your own: {}", text::chain(&error));
                    context.console.remark("warning", Style::Yellow, said);
                }
                known.extend(KnownKeys::parse(&text).or_say(|| shown(&path))?);
            }
            // Nobody would see why their own recordings are foreign.
            Err(error) if [&path, &personal.signing_key()].into_iter().any(|path| may_be(path)) => {
                let said = format!("your own signing key is not trusted here: {error}");
                context.console.remark("warning", Style::Yellow, said);
                context.console.remark("hint", Style::Yellow, "`sealcast keys check` looks at it");
            }
            Err(_) => {}
        }
    }
    known.extend(keys_of_host(system_policy(context).as_ref()));
    Ok(known)
}

/// Whether there is something under this name, a link to nowhere too, or that is not known.
fn may_be(path: &Path) -> bool {
    path.symlink_metadata().map_or_else(|error| !is_absent(&error), |_| true)
}

/// The signing keys that are trusted on this host for its own recordings: that of its SSH server, and the one that signs.
pub(super) fn keys_of_host(policy: Option<&Policy>) -> KnownKeys {
    let mut known = KnownKeys::default();
    for path in [Some(PathBuf::from(HOST_KEY)), policy.map(public_half)].into_iter().flatten() {
        // A host key of another kind signs nothing; a damaged one is not ours to complain of here.
        if let Ok(text) = read_text(&path, 4096)
            && let Ok(own) = KnownKeys::of_host(&sys::ids::hostname(), &text)
        {
            known.extend(own);
        }
    }
    known
}

/// Where the public half of the key that signs is looked for.
pub(super) fn public_half(policy: &Policy) -> PathBuf {
    let mut public = policy.signing_key.clone().into_os_string();
    public.push(".pub");
    public.into()
}

/// The text of a file, and of no more of it than tells that it is longer than `limit` bytes.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let file = sys::file::open_read(path)?;
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(|e| sys::Error::at("read", path, e))?;
    Ok(text)
}
