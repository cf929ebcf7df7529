//! A directory of recordings: how they are named, made, found and told apart from running ones.
//!
//! Names are `<UTC start>-<id>.scast`, so a plain listing is in order of time and needs no index. A recording gets its
//! final name at once and is locked while it is written: what is locked is running ([`silence`] says what that proves), what is
//! not and has no close is torn. Refuses to overwrite, to follow symbolic links inside the store, and to delete anything.

pub mod cache;
mod file;
mod name;
pub mod period;
pub mod personal;
mod pulse;
pub mod seal;

pub use file::RecordingFile;
pub use name::{ID_LEN, Misnamed, Name, id_text, parse_id};
pub use pulse::silence;

use crate::container::Header;
use crate::sys;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Ending of a recording's file name.
pub const EXTENSION: &str = "scast";

/// Characters of an id that must be typed at least.
pub const SHORTEST: usize = 4;

/// A directory of recordings.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// A recording in a store, or one given by its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// When it began, and its id, as its name says; `None` for a file with another name. Nothing vouches for a name: see
    /// [`Found::misnamed`].
    pub name: Option<Name>,
    /// Where it is.
    pub path: PathBuf,
    /// It lies in a store, under a name that no recorder gives.
    pub stray: bool,
}

/// Why a recording could not be made or found.
#[derive(Debug)]
pub enum Error {
    /// A system call failed.
    System(sys::Error),
    /// The store has no recordings.
    Empty(PathBuf),
    /// No recording in it is named as one, so that none is the last.
    Strays(PathBuf),
    /// There are fewer recordings than were counted back.
    TooFewBack {
        /// How many back were asked for.
        back: usize,
        /// How many recordings there are.
        of: usize,
    },
    /// Neither a file nor the beginning of an id.
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// Several ids begin like this.
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The ids, shortened.
        ids: Vec<String>,
    },
    /// Several files are the recording that is meant.
    Copies {
        /// What was asked for.
        wanted: String,
        /// The files.
        paths: Vec<PathBuf>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::text::escaped;
        match self {
            Self::System(error) => write!(f, "{error}"),
            Self::Empty(dir) => write!(f, "there are no recordings in {}", dir.display()),
            Self::Strays(dir) => write!(f, "no file in {} is named as a recording", dir.display()),
            Self::TooFewBack { back, of } => {
                write!(f, "there is no recording {back} back; the store has {of}")
            }
            Self::NotFound { wanted, dir } => {
                write!(
                    f,
                    "`{}` is neither a file nor the id of a recording in {}",
                    escaped(wanted),
                    dir.display()
                )
            }
            Self::Ambiguous { wanted, ids } => {
                write!(
                    f,
                    "`{}` is the beginning of {} recordings: {}",
                    escaped(wanted),
                    ids.len(),
                    ids.join(", ")
                )
            }
            Self::Copies { wanted, paths } => {
                let all: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                let (count, all) = (paths.len(), all.join(", "));
                write!(f, "`{}` means {count} files: {all}", escaped(wanted))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The display of a system error leaves its reason to its source.
            Self::System(error) => error.source(),
            _ => None,
        }
    }
}

/// Space behind the end of a file that is no more than how a file system rounds, bytes.
const SLACK: u64 = 256 << 10;

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::System(error)
    }
}

impl Store {
    /// The store in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the file of a new recording: mode 0600, locked, open for appending, and nobody's to see before it is
    /// [published](RecordingFile::publish), where the file system can. Makes the directory, mode 0700, when it is missing.
    /// `start` is milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The directory cannot be used or the file cannot be made; a name that is taken is an error, never overwritten.
    pub fn create(&self, start: i64, id: &[u8; 16]) -> Result<RecordingFile, Error> {
        sys::file::create_private_dir(&self.dir)?;
        let path = self.dir.join(Name { start, id: id_text(id) }.file_name());
        let (file, stage) = match sys::file::create_nameless(&self.dir)? {
            Some(file) => (file, file::Stage::Nameless),
            None => (sys::file::create_new(&path)?, file::Stage::Named),
        };
        match sys::lock::try_exclusive(&file) {
            Ok(true) => {}
            Ok(false) => return Err(sys::Error::at("lock", &path, ErrorKind::WouldBlock.into()).into()),
            Err(error) => return Err(sys::Error::at("lock", &path, error.source).into()),
        }
        Ok(RecordingFile::new(path, file, stage))
    }

    /// Whether recordings can be made here, as [`Store::create`] would make them; nothing is left behind. Gives what lets others
    /// move the store away, or put another in its place, if there is something: a directory that they can write to, or a link of theirs.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn try_out(&self) -> Result<Option<PathBuf>, Error> {
        Ok(sys::file::try_private_dir(&self.dir)?)
    }

    /// Gives back the space that recorders who died held in reserve behind their recordings, of which no byte changes. To be done
    /// when space is short: every file is looked at. What cannot be given back stays.
    pub fn give_back(&self) {
        for found in self.list().unwrap_or_default() {
            let holds = |facts: std::io::Result<std::fs::Metadata>| {
                facts.is_ok_and(|facts| facts.blocks().saturating_mul(512) > facts.len() + SLACK)
            };
            // Most hold nothing, and are not opened.
            if !holds(found.path.symlink_metadata()) {
                continue;
            }
            let Ok(file) = sys::file::open_append_existing(&found.path) else { continue };
            if holds(file.metadata()) && sys::lock::try_exclusive(&file).unwrap_or(false) {
                // What is append-only refuses to be cut, and is so again afterwards; nothing else becomes it.
                let _ = file::release(&file, sys::file::is_append_only(&file));
            }
        }
    }

    /// Every recording, oldest first as their names say; before them files that end in `.scast` and are not named as a recording
    /// ([`Found::stray`]). A store that does not exist has none. Other names are passed over.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let listed = sys::dir::names(&self.dir, &mut |file_name| {
            let name = std::str::from_utf8(file_name).ok().and_then(Name::parse);
            let ending = file_name.strip_suffix(EXTENSION.as_bytes());
            if ending.is_some_and(|before| before.ends_with(b".")) {
                // In one piece, not grown: there may be very many.
                let mut path = PathBuf::with_capacity(self.dir.as_os_str().len() + file_name.len() + 1);
                path.push(&self.dir);
                path.push(OsStr::from_bytes(file_name));
                found.push(Found { stray: name.is_none(), name, path });
            }
        });
        match listed {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(sys::Error::at("read the store", &self.dir, error).into()),
        }
        found.sort_unstable();
        sort_within_seconds(&mut found);
        Ok(found)
    }

    /// The recording that a person means: a path, the beginning of an id ([`SHORTEST`] characters at least, case does not matter),
    /// `last`, or `last~N` for the N-th before the last.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Ambiguous`], [`Error::Copies`], [`Error::Empty`], [`Error::Strays`],
    /// [`Error::TooFewBack`].
    pub fn find(&self, wanted: &str) -> Result<Found, Error> {
        let back = match wanted.strip_prefix("last") {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('~').and_then(|n| n.parse::<usize>().ok()),
            None => None,
        };
        if let Some(back) = back {
            let mut all = self.list()?;
            let is_empty = all.is_empty();
            all.retain(|found| !found.stray);
            let of = all.len();
            if of == 0 {
                let dir = self.dir.clone();
                return Err(if is_empty { Error::Empty(dir) } else { Error::Strays(dir) });
            }
            return of
                .checked_sub(back.saturating_add(1))
                .map(|at| all.swap_remove(at))
                .ok_or(Error::TooFewBack { back, of });
        }
        Found::by_path(wanted).map_or_else(|| self.find_id(wanted), Ok)
    }

    fn find_id(&self, wanted: &str) -> Result<Found, Error> {
        let prefix = wanted.to_ascii_uppercase();
        let mut matching = Vec::new();
        if prefix.len() >= SHORTEST {
            let all = self.list()?;
            let begins = |name: Option<Name>| name.is_some_and(|name| name.id.starts_with(&prefix));
            matching = all.iter().filter(|found| begins(found.name.clone())).cloned().collect();
            let is_it = |found: &Found| found.header().is_none_or(|header| begins(Name::of(&header)));
            let by_header = |found: &&Found| found.header().is_some_and(|header| begins(Name::of(&header)));
            if matching.iter().all(|found| !is_it(found)) {
                // Not under its own name: then it is looked for by what is signed.
                let really: Vec<Found> = all.iter().filter(by_header).cloned().collect();
                if !really.is_empty() {
                    matching = really;
                }
            } else {
                // A copy under a name that no recorder gives may be the one that is whole. There are few of them.
                let strays = all.iter().filter(|found| found.stray);
                matching.extend(strays.filter(by_header).cloned());
            }
        }
        match matching.len() {
            0 => Err(Error::NotFound { wanted: wanted.to_owned(), dir: self.dir.clone() }),
            1 => Ok(matching.swap_remove(0)),
            _ => {
                let name = |found: &Found| found.header().and_then(|h| Name::of(&h)).or(found.name.clone());
                let names: Vec<_> = matching.iter().filter_map(name).collect();
                let wanted = wanted.to_owned();
                // More of the id would not tell copies from each other.
                if names.iter().all(|name| Some(&name.id) == names.first().map(|first| &first.id)) {
                    let paths = matching.into_iter().map(|found| found.path).collect();
                    return Err(Error::Copies { wanted, paths });
                }
                let names = names.into_iter();
                let ids = names.map(|name| name.short_at(prefix.len() + 4)).collect();
                Err(Error::Ambiguous { wanted, ids })
            }
        }
    }
}

impl Found {
    /// The one at this path, whatever that is called.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().and_then(OsStr::to_str).and_then(Name::parse);
        Self { name, path: path.to_path_buf(), stray: false }
    }

    /// The one that is meant by this text, where that is a path: there is such a file, or it is written as nothing else is. It needs no
    /// store.
    pub fn by_path(wanted: &str) -> Option<Self> {
        let path = Path::new(wanted);
        let found = Self::at(path);
        let is_path = path.components().count() > 1
            || (path.extension().is_some() && found.name.is_none())
            || path.exists();
        is_path.then_some(found)
    }

    /// Opens the file for reading; nothing but a regular file is opened.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn open(&self) -> Result<File, Error> {
        Ok(match self.name.is_some() || self.stray {
            true => sys::file::open_read_nofollow(&self.path)?,
            false => sys::file::open_read(&self.path)?,
        })
    }

    /// What a recording with this header is called, where its file is called something else. A file that was given by its path
    /// may be called anything that no recording is called.
    pub fn misnamed(&self, header: &Header) -> Option<Misnamed> {
        let wrong = self.name.as_ref().map_or(self.stray, |name| !name.fits(header));
        wrong.then(|| Misnamed { named: self.name.clone(), is: Name::of(header) })
    }

    /// The public header, where it can be read. Nothing else is.
    pub fn header(&self) -> Option<Header> {
        Header::peek(&mut self.open().ok()?).ok()
    }
}

/// Names tell the second only; ids are random. Recordings of one second are put in the order in which their files were
/// made, where the file system tells.
fn sort_within_seconds(found: &mut [Found]) {
    let second = |found: &Found| found.name.as_ref().map(|name| name.start);
    for same in found.chunk_by_mut(|a, b| second(a) == second(b)).filter(|same| same.len() > 1) {
        same.sort_by_cached_key(|found| {
            let facts = found.path.symlink_metadata().ok()?;
            facts.created().or_else(|_| facts.modified()).ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventually;

    fn made(store: &Store, start: i64, id: [u8; 16]) -> RecordingFile {
        let mut file = store.create(start, &id).unwrap();
        file.publish().unwrap();
        file
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("recordings"));
        (dir, store)
    }

    #[test]
    fn recordings_are_found_by_path_prefix_and_age() {
        let (_dir, store) = store();
        assert!(matches!(store.find("last"), Err(Error::Empty(_))));
        let mut ids = [[1u8; 16], [2; 16], [2; 16]];
        ids[2][15] = 9;
        for (n, id) in ids.iter().enumerate() {
            made(&store, 1_700_000_000_000 + i64::try_from(n).unwrap() * 1000, *id);
        }
        let id = |n: usize| store.find(&format!("last~{n}")).unwrap().name.unwrap().id;
        assert_eq!([id(2), id(1), id(0)], ids.map(|i| id_text(&i)));
        assert!(matches!(store.find("last~3"), Err(Error::TooFewBack { back: 3, of: 3 })));
        let whole = id_text(&ids[0]);
        for wanted in [&whole[..8], &whole.to_lowercase()[..5], &whole] {
            assert_eq!(store.find(wanted).unwrap().name.unwrap().id, whole);
        }
        assert!(matches!(store.find(&id_text(&ids[1])[..8]), Err(Error::Ambiguous { .. })));
        assert!(matches!(store.find("zzzz"), Err(Error::NotFound { .. })));
        assert!(
            matches!(store.find(&whole[..3]), Err(Error::NotFound { .. })),
            "three characters are too few"
        );
        let path = store.find("last").unwrap().path;
        assert_eq!(store.find(path.to_str().unwrap()).unwrap().path, path);
    }

    #[test]
    fn recordings_of_the_same_second_are_in_the_order_in_which_they_were_made() {
        let (_dir, store) = store();
        let ids: Vec<[u8; 16]> = [9u8, 1, 5, 3, 7].map(|n| [n; 16]).to_vec();
        for id in &ids {
            let before = std::time::SystemTime::now();
            made(&store, 1_700_000_000_000, *id);
            // File times move in steps of the kernel's clock: wait for the next one.
            let later = |at: std::time::SystemTime| at > before + std::time::Duration::from_millis(20);
            while !later(std::time::SystemTime::now()) {
                std::thread::yield_now();
            }
        }
        let listed = store.list().unwrap().into_iter().map(|found| found.name.unwrap().id);
        assert_eq!(listed.collect::<Vec<_>>(), ids.iter().map(id_text).collect::<Vec<_>>());
    }

    #[test]
    fn a_taken_name_is_refused_and_a_recording_is_private_and_locked() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, store) = store();
        let file = made(&store, 0, [7; 16]);
        let again = store.create(0, &[7; 16]).and_then(|mut file| Ok(file.publish()?)).unwrap_err();
        assert!(again.to_string().starts_with("cannot create "), "{again}");
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(store.dir()), mode(file.path())), (0o700, 0o600));
        let found = store.find("last").unwrap();
        let reader = found.open().unwrap();
        assert!(silence(&found, &reader).is_some());
        drop(file);
        assert!(eventually(|| silence(&found, &reader).is_none()));
    }

    #[test]
    fn what_is_given_up_before_it_has_a_beginning_leaves_nothing_behind() {
        let (_dir, store) = store();
        let file = store.create(0, &[7; 16]).unwrap();
        let listed = std::fs::read_dir(store.dir()).unwrap().count();
        drop(file);
        assert_eq!(std::fs::read_dir(store.dir()).unwrap().count(), 0);
        // Where the file system can, it was not to be seen at all.
        let can = sys::file::create_nameless(store.dir()).unwrap().is_some();
        assert_eq!(listed, usize::from(!can));
    }

    #[test]
    fn space_is_given_back_of_recordings_alone_and_nothing_else_is_opened_or_waited_for() {
        let (dir, store) = store();
        let dead = made(&store, 0, [1; 16]);
        let reserved = dead.reserve(4 << 20);
        if !matches!(reserved, Ok(true)) {
            sys::skipped(&format!("no space can be reserved: {reserved:?}"));
            return;
        }
        let held = |path: &Path| std::fs::metadata(path).unwrap().blocks() * 512;
        let path = dead.path().to_owned();
        let name =
            |n: u8| store.dir().join(Name { start: 1000 * i64::from(n), id: id_text(&[n; 16]) }.file_name());
        // What is behind a link is nobody's recording.
        let other = dir.path().join("other");
        let file = File::create(&other).unwrap();
        assert!(sys::file::reserve(&file, 4 << 20).unwrap());
        std::os::unix::fs::symlink(&other, name(2)).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(name(3)).status().unwrap();
        assert!(fifo.success());
        // On a thread: a FIFO that is opened carelessly waits for ever.
        let give_back = || {
            let (done, waiting) = std::sync::mpsc::channel();
            let store = store.clone();
            std::thread::spawn(move || {
                store.give_back();
                done.send(())
            });
            waiting.recv_timeout(crate::sys::DEADLINE).expect("it waits for something");
        };
        give_back();
        assert!(held(&path) >= 4 << 20, "its recorder still lives");
        drop(dead);
        let given_back = || {
            give_back();
            held(&path) < 1 << 20
        };
        assert!(eventually(given_back), "{}", held(&path));
        assert!(held(&other) >= 4 << 20, "{}", held(&other));
        // A recorder that finds no room asks as well, and keeps its own.
        let (dead, live) = (made(&store, 4000, [4; 16]), made(&store, 5000, [5; 16]));
        assert!([&dead, &live].iter().all(|file| file.reserve(4 << 20).unwrap()));
        let path = dead.path().to_owned();
        drop(dead);
        std::fs::remove_file(name(3)).unwrap();
        let given_back = || {
            live.give_back();
            held(&path) < 1 << 20
        };
        assert!(eventually(given_back) && held(live.path()) >= 4 << 20, "{}", held(&path));
        assert!(!sys::file::is_append_only(&File::open(&path).unwrap()));
    }

    #[test]
    fn what_is_append_only_stays_so_when_its_space_is_given_back() {
        let (_dir, store) = store();
        let dead = made(&store, 0, [1; 16]);
        let path = dead.path().to_owned();
        // Needs root and a file system that has the attribute.
        let (reserved, made) = (dead.reserve(4 << 20), dead.make_append_only());
        if !matches!((&reserved, &made), (Ok(true), Ok(true))) {
            sys::skipped(&format!("reserved: {reserved:?}, append-only: {made:?}"));
            return;
        }
        drop(dead);
        let held = || std::fs::metadata(&path).unwrap().blocks() * 512;
        eventually(|| {
            store.give_back();
            held() < 1 << 20
        });
        let file = File::open(&path).unwrap();
        let (kept, held) = (sys::file::is_append_only(&file), held());
        // It must go, whatever came out: nobody could remove the file otherwise.
        sys::file::set_append_only(&file, false).unwrap();
        assert!(kept && held < 1 << 20, "{kept} {held}");
    }

    #[test]
    fn a_symbolic_link_in_the_store_is_not_followed() {
        let (dir, store) = store();
        std::fs::create_dir_all(store.dir()).unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "x").unwrap();
        std::os::unix::fs::symlink(
            &secret,
            store.dir().join(Name { start: 0, id: id_text(&[1; 16]) }.file_name()),
        )
        .unwrap();
        assert!(store.find("last").unwrap().open().is_err());
    }
}
