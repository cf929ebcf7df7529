//! Personal mode: keys and recordings of one person, under their own data directory.
//!
//! ```text
//! $XDG_DATA_HOME/sealcast/            (~/.local/share/sealcast)          0700
//!     keys/identity.txt               opens the recordings               0600
//!     keys/recipients.txt             to whom new recordings are sealed  0600
//!     keys/signing_key, .pub          signs new recordings               0600
//!     recordings/
//! ```
//!
//! The keys are made on first use. Two first uses at once agree on one set: whoever comes second finds the first one's,
//! and a reader sees a file whole or not at all. Refuses to make a second identity where there are recipients already:
//! whoever took the identity to a safer place must not get another one.

use crate::crypto::identity::{self, Identities, LoadError, Why};
use crate::crypto::prompt::Nobody;
use crate::crypto::recipient::{self, FileError, Recipient, WrapError};
use crate::crypto::sshsig::{self, HostKey, Signer};
use crate::sys;
use crate::sys::stack::{DEEP, apart};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest public half of the signing key, in bytes: hundreds of keys, of which one is in use.
pub const MAX_PUBLIC: u64 = 64 << 10;

/// Why the keys could not be made or read.
#[derive(Debug)]
pub enum Error {
    /// Neither `$HOME` nor `$XDG_DATA_HOME` says, as an absolute path, where the data directory is.
    NoHome,
    /// The system refused.
    System(sys::Error),
    /// The recipients file is not one.
    Recipients {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The signing key cannot be used.
    Signer {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sshsig::Error,
    },
    /// A secret file can be read by others.
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The identity file is not one.
    Identity(LoadError),
    /// There is an identity, but no recipients file, and the identity does not tell its recipient.
    NoRecipients {
        /// The identity file.
        path: PathBuf,
        /// Why it does not tell.
        why: Why,
    },
    /// Sealing failed.
    Wrap(WrapError),
    /// Period key and its public half do not belong together.
    Period(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => {
                f.write_str("cannot tell where your data directory is: neither HOME nor XDG_DATA_HOME is set to an absolute path")
            }
            Self::System(_) => f.write_str("cannot use the keys"),
            Self::Recipients { path, .. } => write!(f, "recipients file {}", path.display()),
            Self::Signer { path, .. } => write!(f, "signing key {}", path.display()),
            Self::Open { path, mode } => {
                write!(f, "{} can be read by others (mode {mode:04o})", path.display())
            }
            Self::Identity(error) => error.fmt(f),
            Self::NoRecipients { path, why } => {
                write!(
                    f,
                    "there is no recipients file, and {} does not tell its recipient: {why}",
                    path.display()
                )
            }
            Self::Wrap(_) => f.write_str("cannot seal the key"),
            Self::Period(path) => write!(f, "{} does not belong to the key beside it", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(source) => Some(source),
            Self::Recipients { source, .. } => Some(source),
            Self::Signer { source, .. } => Some(source),
            Self::Identity(error) => std::error::Error::source(error),
            Self::Wrap(source) => Some(source),
            Self::NoHome | Self::Open { .. } | Self::NoRecipients { .. } | Self::Period(_) => None,
        }
    }
}

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::System(error)
    }
}

/// The data directory of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    root: PathBuf,
}

/// What was made on first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The directory.
    pub directory: PathBuf,
    /// Whether an identity was made (and not only what was missing beside it).
    pub identity: bool,
    /// Whether the recipients file was made: the identity opens what is sealed from now on.
    pub recipients: bool,
    /// Whether the signing key takes the place of another one, which is still trusted.
    pub another_signing_key: bool,
}

impl fmt::Display for Made {
    /// One friendly sentence: where the keys are, and what losing them means.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.directory.display();
        if self.identity {
            write!(
                f,
                "made your keys in {place}: keep a copy of identity.txt in a safe place, without it nobody can ever \
                 read your recordings; signing_key proves they are yours"
            )
        } else {
            match self.another_signing_key {
                true => write!(
                    f,
                    "made a new signing key in {place}: what is signed with the one before stays trusted as yours"
                )?,
                false => write!(f, "made the missing keys in {place}")?,
            }
            // Whoever made the identity failed before this was said.
            match self.recipients {
                true => f.write_str("; keep a copy of identity.txt in a safe place, without it nobody can ever read your recordings"),
                false => Ok(()),
            }
        }
    }
}

impl Personal {
    /// Personal mode under `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Personal mode as the values of `$HOME` and `$XDG_DATA_HOME` have it. A relative `$XDG_DATA_HOME` is passed over,
    /// as the XDG base directory specification asks.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn from_environment(home: Option<&OsStr>, xdg_data_home: Option<&OsStr>) -> Result<Self, Error> {
        let absolute = |value: Option<&OsStr>| {
            value.map(Path::new).filter(|path| path.is_absolute()).map(Path::to_owned)
        };
        let data = absolute(xdg_data_home).or_else(|| absolute(home).map(|home| home.join(".local/share")));
        Ok(Self::at(data.ok_or(Error::NoHome)?.join("sealcast")))
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The directory of the recordings.
    pub fn recordings(&self) -> PathBuf {
        self.root.join("recordings")
    }

    /// The identity file.
    pub fn identity(&self) -> PathBuf {
        self.keys().join("identity.txt")
    }

    /// The recipients file.
    pub fn recipients(&self) -> PathBuf {
        self.keys().join("recipients.txt")
    }

    /// The signing key. Its public half lies beside it, with `.pub`.
    pub fn signing_key(&self) -> PathBuf {
        self.keys().join("signing_key")
    }

    /// The public half of the signing key.
    pub fn signing_key_pub(&self) -> PathBuf {
        self.keys().join("signing_key.pub")
    }

    /// Makes what is missing: the directories, an identity with its recipients file, a signing key. `None` when nothing
    /// was. `comment` names the signing key, such as `alice@web-3`; `passphrase` protects a new identity.
    ///
    /// # Errors
    /// [`Error`].
    pub fn ensure(
        &self,
        comment: &str,
        passphrase: Option<Zeroizing<String>>,
    ) -> Result<Option<Made>, Error> {
        sys::file::create_private_dir(&self.root)?;
        sys::file::create_private_dir(&self.recordings())?;
        sys::file::create_private_dir(&self.keys())?;
        if [self.recipients(), self.signing_key(), self.signing_key_pub()].iter().all(|path| path.exists()) {
            return Ok(None);
        }
        // Whoever goes on to record must not have them in memory, nor must a process that is forked off then.
        apart(DEEP, || {
            let _lock = lock(&self.keys())?;
            let recipients = !self.recipients().exists();
            let another_signing_key = !self.signing_key().exists() && self.signing_key_pub().exists();
            let signing = self.ensure_signing_key(comment)?;
            // Last: once there are recipients, it has been said what the identity is for.
            let identity = self.ensure_recipients(passphrase)?;
            let made = || Made { directory: self.keys(), identity, recipients, another_signing_key };
            Ok((recipients || signing).then(made))
        })
    }

    /// Whether an identity was made.
    fn ensure_recipients(&self, passphrase: Option<Zeroizing<String>>) -> Result<bool, Error> {
        if self.recipients().exists() {
            return Ok(false);
        }
        let path = self.identity();
        let (recipients, made) = if path.exists() {
            let identities = Identities::load(&[&path], Arc::new(Nobody)).map_err(Error::Identity)?;
            let mut told = identities.recipients();
            match told.pop() {
                Some((_, Ok(recipients))) if !recipients.is_empty() => (recipients, false),
                Some((_, Err(why))) => return Err(Error::NoRecipients { path, why }),
                _ => return Err(Error::NoRecipients { path, why: Why::Content("it needs a plugin".into()) }),
            }
        } else {
            let (text, recipient) = identity_file();
            let text = match passphrase {
                Some(passphrase) => Zeroizing::new(identity::lock(&text, passphrase).map_err(Error::Wrap)?),
                None => text,
            };
            place(&path, text.as_bytes())?;
            (vec![recipient], true)
        };
        let lines: String = recipients.iter().map(|recipient| format!("{recipient}\n")).collect();
        place(
            &self.recipients(),
            format!("# New recordings are sealed to these, one a line.\n{lines}").as_bytes(),
        )?;
        Ok(made)
    }

    /// Whether a key, or its public half, was made.
    fn ensure_signing_key(&self, comment: &str) -> Result<bool, Error> {
        let path = self.signing_key();
        let broken = |source| Error::Signer { path: path.clone(), source };
        let signer = if path.exists() {
            self.read_signer()?
        } else {
            let signer = Signer::generate(comment).map_err(broken)?;
            place(&path, signer.to_openssh().map_err(broken)?.as_bytes())?;
            signer
        };
        self.add_public(&signer.host_key(), comment)
    }

    /// What the public half of the signing key holds; nothing where there is none.
    fn read_public(&self) -> Result<Zeroizing<String>, Error> {
        match read_trusted(&self.signing_key_pub(), MAX_PUBLIC) {
            Err(Error::System(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Zeroizing::default()),
            read => read,
        }
    }

    /// Whether the public half of the signing key names this key, so that what it signs is trusted as one's own.
    ///
    /// # Errors
    /// When it cannot be read, or can be written by others.
    pub fn names_signer(&self, key: &HostKey) -> Result<bool, Error> {
        Ok(names(&self.read_public()?, key))
    }

    /// Makes the public half of the signing key name this key, and says whether it did not. What it named before stays: those keys
    /// signed recordings that are one's own as well. `comment` is that of the key.
    ///
    /// # Errors
    /// [`Error`].
    pub fn name_signer(&self, key: &HostKey, comment: &str) -> Result<bool, Error> {
        if self.names_signer(key)? {
            return Ok(false);
        }
        let _lock = lock(&self.keys())?;
        self.add_public(key, comment)
    }

    /// [`Personal::name_signer`]. Call with the lock held.
    fn add_public(&self, key: &HostKey, comment: &str) -> Result<bool, Error> {
        let before = self.read_public()?;
        if names(&before, key) {
            return Ok(false);
        }
        let path = self.signing_key_pub();
        // The key in use comes first: some programs look at the first line only.
        let draft = draft(&path, format!("{key} {comment}\n{}", before.as_str()).as_bytes())?;
        std::fs::rename(&draft, &path).map_err(|e| sys::Error::at("rename", &draft, e))?;
        sys::file::sync_dir(&self.keys())?;
        Ok(true)
    }

    /// To whom new recordings are sealed.
    ///
    /// # Errors
    /// When the file is missing, is not a recipients file, or can be written by others.
    pub fn read_recipients(&self) -> Result<Vec<Recipient>, Error> {
        let path = self.recipients();
        let text = read_trusted(&path, recipient::MAX_FILE as u64)?;
        recipient::parse_file(&text).map_err(|source| Error::Recipients { path, source })
    }

    /// The key that signs new recordings.
    ///
    /// # Errors
    /// When the file is missing, is no usable key, or can be read by others.
    pub fn read_signer(&self) -> Result<Signer, Error> {
        let path = self.signing_key();
        let text = read_trusted(&path, sshsig::MAX_KEY_FILE as u64)?;
        private(&path)?;
        Signer::from_openssh(&text).map_err(|source| Error::Signer { path, source })
    }
}

/// Whether one of the lines of a public half is this key.
fn names(public: &str, key: &HostKey) -> bool {
    public.lines().any(|line| HostKey::from_openssh(line).as_ref() == Ok(key))
}

/// A new identity in the form `age-keygen` writes, and its recipient.
pub fn identity_file() -> (Zeroizing<String>, Recipient) {
    let (secret, recipient) = identity::generate();
    (Zeroizing::new(format!("# public key: {recipient}\n{}\n", secret.as_str())), recipient)
}

/// That a secret file can be read by its owner alone.
///
/// # Errors
/// [`Error::Open`] when it cannot, [`Error::System`] when it cannot be examined.
pub fn private(path: &Path) -> Result<(), Error> {
    match sys::trust::mode_for_others(path)? {
        None => Ok(()),
        Some(mode) => Err(Error::Open { path: path.to_owned(), mode }),
    }
}

/// A file of ours or of root's that nobody else can write, as text.
pub(super) fn read_trusted(path: &Path, limit: u64) -> Result<Zeroizing<String>, Error> {
    Ok(sys::trust::read(path, sys::ids::effective_uid(), limit)?)
}

/// Held while the keys are changed. The file stays: removing it would let two hold two of them.
pub(super) fn lock(keys: &Path) -> Result<File, Error> {
    let path = keys.join(".lock");
    let file = sys::file::open_append(&path)?;
    file.lock().map_err(|e| sys::Error::at("lock", &path, e))?;
    Ok(file)
}

/// Gives a file its content and its name in one step. Call with the lock held.
fn place(path: &Path, content: &[u8]) -> Result<(), Error> {
    let draft = draft(path, content)?;
    sys::file::publish(&draft, path).inspect_err(|_| drop(std::fs::remove_file(&draft)))?;
    sys::file::sync_dir(path.parent().unwrap_or(Path::new("/")))?;
    Ok(())
}

/// The content under a name of its own beside `path`, on the disk.
pub(super) fn draft(path: &Path, content: &[u8]) -> Result<PathBuf, Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    // A draft of someone who died: we hold the lock, so nobody is writing it.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(sys::Error::at("remove", &draft, error).into());
        }
        _ => {}
    }
    sys::file::write_new(&draft, content)?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_data_directory_is_where_xdg_says() {
        let at = |home: Option<&str>, xdg: Option<&str>| {
            Personal::from_environment(home.map(OsStr::new), xdg.map(OsStr::new)).map(|p| p.root)
        };
        assert_eq!(at(Some("/home/a"), None).unwrap(), Path::new("/home/a/.local/share/sealcast"));
        assert_eq!(at(Some("/home/a"), Some("/data")).unwrap(), Path::new("/data/sealcast"));
        assert_eq!(at(Some("/home/a"), Some("data")).unwrap(), Path::new("/home/a/.local/share/sealcast"));
        assert!(matches!(at(None, Some("")), Err(Error::NoHome)));
        assert!(matches!(at(Some(""), None), Err(Error::NoHome)));
    }

    #[test]
    fn first_use_makes_private_keys_that_work_and_the_next_one_makes_none() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("a/sealcast"));
        let made = personal.ensure("me@here", None).unwrap().unwrap();
        assert!(made.identity && made.to_string().contains("identity.txt"), "{made}");
        assert!(made.to_string().contains(personal.keys().to_str().unwrap()));
        for file in
            [personal.identity(), personal.recipients(), personal.signing_key(), personal.signing_key_pub()]
        {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        for dir in [personal.root().to_owned(), personal.keys(), personal.recordings()] {
            assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        }
        let sealed = recipient::wrap(&personal.read_recipients().unwrap(), b"x").unwrap();
        let identities = Identities::load(&[personal.identity()], Arc::new(Nobody)).unwrap();
        assert_eq!(identities.unwrap(&sealed).unwrap().as_slice(), b"x");
        let public = std::fs::read_to_string(personal.signing_key_pub()).unwrap();
        assert_eq!(public, format!("{} me@here\n", personal.read_signer().unwrap().host_key()));
        assert_eq!(personal.ensure("me@here", None).unwrap(), None);
    }

    #[test]
    fn a_first_use_that_failed_halfway_says_at_the_next_what_losing_the_identity_means() {
        // A directory in the place of its draft is as good as a full disk.
        for failing in ["identity.txt.new", "recipients.txt.new", "signing_key.new", "signing_key.pub.new"] {
            let dir = tempfile::tempdir().unwrap();
            let personal = Personal::at(dir.path().join("sealcast"));
            let in_the_way = personal.keys().join(failing);
            std::fs::create_dir_all(&in_the_way).unwrap();
            for dir in [personal.root().to_owned(), personal.keys()] {
                std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
            }
            assert!(matches!(personal.ensure("me", None), Err(Error::System(_))), "{failing}");
            std::fs::remove_dir(&in_the_way).unwrap();
            let said = personal.ensure("me", None).unwrap().unwrap().to_string();
            assert!(said.contains("without it nobody can ever read your recordings"), "{failing}: {said}");
            assert_eq!(personal.ensure("me", None).unwrap(), None);
        }
    }

    #[test]
    fn many_first_uses_at_once_agree_on_one_set_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("sealcast"));
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let made = personal.ensure("me", None).unwrap();
                        // Whoever returns finds everything in place.
                        (
                            made,
                            personal.read_recipients().unwrap(),
                            personal.read_signer().unwrap().host_key(),
                        )
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(made.iter().filter(|(made, ..)| made.is_some()).count(), 1);
        assert!(made.iter().all(|(_, recipients, key)| *recipients == made[0].1 && *key == made[0].2));
    }

    #[test]
    fn what_is_missing_is_made_again_but_never_a_second_identity() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("sealcast"));
        personal.ensure("me", None).unwrap();
        let recipients = personal.read_recipients().unwrap();
        std::fs::remove_file(personal.recipients()).unwrap();
        assert!(!personal.ensure("me", None).unwrap().is_none_or(|made| made.identity));
        assert_eq!(personal.read_recipients().unwrap(), recipients);
        std::fs::remove_file(personal.identity()).unwrap();
        assert_eq!(personal.ensure("me", None).unwrap(), None);
        assert!(!personal.identity().exists());
    }

    #[test]
    fn many_who_find_another_signing_key_at_once_name_it_once_beside_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("sealcast"));
        personal.ensure("me", None).unwrap();
        let before = std::fs::read_to_string(personal.signing_key_pub()).unwrap();
        let other = Signer::generate("").unwrap().host_key();
        assert!(!personal.names_signer(&other).unwrap());
        let added = std::thread::scope(|scope| {
            let name = || personal.name_signer(&other, "me").unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(name)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        let now = std::fs::read_to_string(personal.signing_key_pub()).unwrap();
        assert_eq!((added, now), (1, format!("{other} me\n{before}")));
        assert!(personal.names_signer(&personal.read_signer().unwrap().host_key()).unwrap());
        assert_eq!(mode(&personal.signing_key_pub()), 0o600);
    }

    #[test]
    fn keys_that_others_can_reach_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("sealcast"));
        personal.ensure("me", None).unwrap();
        let set =
            |path: PathBuf, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(personal.signing_key(), 0o640);
        assert!(matches!(personal.read_signer(), Err(Error::Open { mode: 0o640, .. })));
        set(personal.recipients(), 0o622);
        assert!(matches!(personal.read_recipients(), Err(Error::System(_))));
        set(personal.root().to_owned(), 0o777);
        assert!(matches!(personal.ensure("me", None), Err(Error::System(_))));
    }

    #[test]
    fn a_passphrase_protects_a_new_identity() {
        let dir = tempfile::tempdir().unwrap();
        let personal = Personal::at(dir.path().join("sealcast"));
        personal.ensure("me", Some(Zeroizing::new("pw".into()))).unwrap();
        let text = std::fs::read_to_string(personal.identity()).unwrap();
        assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{text}");
        std::fs::remove_file(personal.recipients()).unwrap();
        assert!(matches!(personal.ensure("me", None), Err(Error::NoRecipients { .. })));
    }
}
