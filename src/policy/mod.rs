//! What is recorded, to whom it is sealed, and what happens when it cannot be: the policy of a host or of one person.
//!
//! In system mode it is read from one file that root owns ([`Policy::load`]); its digest stands in the header of every
//! recording. Without that file there is personal mode ([`Policy::personal`]). Refuses to be changed by anything else:
//! no environment variable and no argument is read here, unknown keys are errors, and a file that others could have
//! written is not read at all.

mod error;
mod file;
mod names;
mod nearest;
mod redact;
mod show;
mod units;

pub use error::{Error, Problem};
pub use names::Names;
pub use redact::Redactions;
pub use units::duration_text;

use crate::container::limits;
use crate::crypto::digest;
use crate::crypto::recipient::{Excess, Recipient, check_room};
use crate::crypto::sshsig::{self, Signer};
use crate::sys;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the policy of a host lies.
pub const SYSTEM_FILE: &str = "/etc/sealcast/config.toml";
/// The longest policy that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// What happens when a recording cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The session ends; nothing starts that cannot be recorded.
    #[default]
    Stop,
    /// The session goes on, the operator is told, and the gap is recorded.
    Warn,
}

/// What is recorded of the keys that are typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// What was echoed to the screen.
    #[default]
    Echoed,
    /// Nothing.
    None,
    /// Everything, secrets included.
    All,
}

/// How executed programs are traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecTrace {
    /// The best that works here, stated in the header.
    #[default]
    Auto,
    /// From inside the kernel; nothing starts where that cannot be had.
    Strict,
    /// Not at all.
    Off,
}

/// How the recorder is guarded against the person it records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Not at all.
    None,
    /// Kills, stops, gaps and edits become evident.
    #[default]
    Guarded,
    /// Some of them become impossible too.
    Hardened,
}

/// The profile, and what `hardened` takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The profile.
    pub profile: Profile,
    /// Capabilities that a hardened session does not have.
    pub capabilities: Vec<sys::guard::Capability>,
    /// Whether a hardened session is kept from writing below the store.
    pub landlock: bool,
    /// Whether a hardened session is kept from signalling processes outside itself.
    pub scope: bool,
    /// Longest time without an event before the clocks are recorded.
    pub heartbeat: Duration,
}

/// The heartbeat, unless a policy says otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// Smallest reserve: a quarter of it is held apart for the end of a recording.
const LEAST_RESERVE: u64 = 1 << 20;

/// Where recordings lie, and how much room they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePolicy {
    /// The directory.
    pub path: PathBuf,
    /// Bytes held back for the end of a recording.
    pub reserve: u64,
    /// Free space, in bytes, below which the operator is warned.
    pub low_space: u64,
    /// Retention label, public in every header; empty for none.
    pub retention: String,
}

/// Who can open recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Of every recording.
    pub default: Vec<Recipient>,
    /// Further ones, of recordings with a label (name, value).
    pub by_label: BTreeMap<(String, String), Vec<Recipient>>,
    /// Directory of the period key that stands in for all of them.
    pub period: Option<PathBuf>,
}

impl Recipients {
    /// Whether a recording has room for the most recipients that one can have: the default ones and, of each label, those of the
    /// value that adds the most. What two labels add is counted twice.
    ///
    /// # Errors
    /// How many are too many.
    pub fn check_room(&self) -> Result<(), Excess> {
        let size = |added: &[Recipient], by_length: bool| match by_length {
            true => added.iter().map(Recipient::listed).sum(),
            false => added.len(),
        };
        for by_length in [false, true] {
            let mut most: BTreeMap<&str, Vec<Recipient>> = BTreeMap::new();
            for ((name, _), also) in &self.by_label {
                let added: Vec<_> = also.iter().filter(|r| !self.default.contains(r)).cloned().collect();
                let before = most.entry(name).or_default();
                if size(&added, by_length) > size(before, by_length) {
                    *before = added;
                }
            }
            let all: Vec<_> = self.default.iter().chain(most.values().flatten()).cloned().collect();
            check_room(&all)?;
        }
        Ok(())
    }
}

/// What the operator is told before a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Banner {
    /// The usual line, with the reason.
    #[default]
    Usual,
    /// Nothing.
    Silent,
    /// This text.
    Text(String),
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The file it came from; `None` in personal mode.
    pub file: Option<PathBuf>,
    /// SHA-256 of that file in hexadecimal; empty in personal mode.
    pub digest: String,
    /// Where recordings lie.
    pub store: StorePolicy,
    /// Who can open them.
    pub recipients: Recipients,
    /// The SSH key that signs them.
    pub signing_key: PathBuf,
    /// What is recorded of typed keys.
    pub input: Input,
    /// How much of what was shown may be lost when the recorder is killed.
    pub flush: Duration,
    /// How many bytes of each stream that is not the terminal are stored; everything when absent.
    pub stream_limit: Option<u64>,
    /// What happens when that fails.
    pub on_failure: OnFailure,
    /// Secrets in arguments.
    pub redact: Redactions,
    /// Program and arguments through which others than root become root; the program is a path or a name to be looked
    /// for in the system's directories.
    pub elevator: Vec<String>,
    /// Whether nothing starts without a reason.
    pub require_reason: bool,
    /// What the operator is told.
    pub banner: Banner,
    /// The shell of sessions without a command, in place of the user's own.
    pub shell: Option<PathBuf>,
    /// Labels of every recording; an operator cannot change them.
    pub labels: BTreeMap<String, String>,
    /// Variables that reach the session from the caller's environment and are recorded.
    pub keep: Names,
    /// Variables whose values are never recorded, in upper or lower case.
    pub withhold: Names,
    /// Whether shells are asked to tell where commands begin and end.
    pub shell_integration: bool,
    /// How programs are traced.
    pub exec_trace: ExecTrace,
    /// How the recorder is guarded.
    pub guard: Guard,
}

/// Arguments that hold secrets, unless a policy says otherwise.
const REDACT: &[&str] = &[
    "--*password*=*",
    "--*password *",
    "--*password-command *",
    "--*passwd*=*",
    "--*passwd *",
    "--*passphrase*=*",
    "--*passphrase *",
    "--*token*=*",
    "--*token *",
    "--*secret*=*",
    "--*secret *",
    "--*secret*key *",
    "--*api-key=*",
    "--*api-key *",
    "mysql -p*",
    "mysqldump -p*",
    "mysqladmin -p*",
    "mariadb -p*",
    "mariadb-dump -p*",
    "sshpass -p*",
    "sshpass -p *",
    "curl -u *",
    "curl -u*",
    "curl --user *",
    "curl --user=*",
    "curl *authorization:*",
    "curl *cookie:*",
    "curl *-token:*",
    "curl *api-key:*",
    "wget *authorization:*",
    "docker login -p *",
    "podman login -p *",
    "openssl pass:*",
    "openssl -k *",
    "smbclient -U *",
    "smbclient -U*%*",
    "smbclient --user=*%*",
    "redis-cli -a *",
    "useradd -p *",
    "useradd -p*",
    "usermod -p *",
    "usermod -p*",
    "*PASSWORD=*",
    "*PASSWD=*",
    "*PASSPHRASE=*",
    "*PASS=*",
    "*SECRET=*",
    "*SECRET_KEY=*",
    "*SECRET_ACCESS_KEY=*",
    "*API_KEY=*",
    "*TOKEN=*",
    "*MYSQL_PWD=*",
    "://*@",
];
/// Variables that reach a session, unless a policy says otherwise.
const KEEP: &[&str] = &["LANG", "LANGUAGE", "LC_*", "TERM", "COLORTERM", "TZ"];
/// Variables that are never recorded, unless a policy says otherwise.
const WITHHOLD: &[&str] = &["*TOKEN*", "*SECRET*", "*PASS*", "*KEY*", "*CREDENTIAL*"];

impl Policy {
    /// Everything at its default, with the store in `store`; no recipients.
    fn defaults(store: PathBuf, signing_key: PathBuf) -> Self {
        Self {
            file: None,
            digest: String::new(),
            store: StorePolicy {
                path: store,
                reserve: 64 << 20,
                low_space: 512 << 20,
                retention: String::new(),
            },
            recipients: Recipients::default(),
            signing_key,
            input: Input::Echoed,
            flush: limits::FLUSH_EVERY,
            stream_limit: None,
            on_failure: OnFailure::Stop,
            // The list is ours and its test reads it: it cannot fail.
            redact: Redactions::parse(REDACT).unwrap_or_default(),
            elevator: vec!["sudo".into(), "--".into()],
            require_reason: false,
            banner: Banner::Usual,
            shell: None,
            labels: BTreeMap::new(),
            keep: Names::new(KEEP.iter().copied()),
            withhold: Names::new(WITHHOLD.iter().copied()).in_any_case(),
            shell_integration: true,
            exec_trace: ExecTrace::Auto,
            guard: Guard {
                profile: Profile::Guarded,
                capabilities: sys::guard::HARDENED.to_vec(),
                landlock: false,
                scope: false,
                heartbeat: HEARTBEAT,
            },
        }
    }

    /// Personal mode: no guard, no banner, a small reserve, no warning about space.
    pub fn personal(store: PathBuf, signing_key: PathBuf, recipients: Vec<Recipient>, keys: PathBuf) -> Self {
        let mut policy = Self::defaults(store, signing_key);
        policy.recipients = Recipients { default: recipients, by_label: BTreeMap::new(), period: Some(keys) };
        policy.store.reserve = LEAST_RESERVE;
        policy.store.low_space = 0;
        policy.guard.profile = Profile::None;
        policy.banner = Banner::Silent;
        policy
    }

    /// Reads the policy of a host from text.
    ///
    /// # Errors
    /// [`Error::File`] with everything that is wrong in it, [`Error::NoRecipients`], [`Error::NeedsPlugin`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let defaults = Self::defaults("/var/lib/sealcast".into(), "/etc/ssh/ssh_host_ed25519_key".into());
        let mut policy =
            file::read(text, defaults).map_err(|problems| Error::File { path: path.to_owned(), problems })?;
        policy.file = Some(path.to_owned());
        policy.digest = digest::hex(&digest::sha256(&[text.as_bytes()]));
        if policy.recipients.default.is_empty() {
            return Err(Error::NoRecipients { path: path.to_owned() });
        }
        policy.check_plugins(path)?;
        Ok(policy)
    }

    /// Reads the policy of a host from its file, which must belong to root (or to `owner`) and be writable by nobody
    /// else. `None` when there is no such file.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be read or trusted; as [`Policy::parse`].
    pub fn load(path: &Path, owner: u32) -> Result<Option<Self>, Error> {
        Self::load_by(sys::trust::read, path, owner)
    }

    /// As [`Policy::load`], of a draft that is only to be looked at: it may be in `/tmp`.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn load_draft(path: &Path, owner: u32) -> Result<Option<Self>, Error> {
        Self::load_by(sys::trust::read_draft, path, owner)
    }

    fn load_by(
        read: fn(&Path, u32, u64) -> sys::Result<Zeroizing<String>>,
        path: &Path,
        owner: u32,
    ) -> Result<Option<Self>, Error> {
        let is_missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        if path.metadata().is_err_and(|error| is_missing(&error)) {
            // A link that leads to nothing is a mistake to be told, not the absence of a policy.
            return sys::file::led_to_nothing(path).map_or(Ok(None), |error| Err(error.into()));
        }
        Self::parse(path, &read(path, owner, MAX_FILE)?).map(Some)
    }

    /// A recorder runs no plugins: recipients that need one can be used only through a period key.
    fn check_plugins(&self, path: &Path) -> Result<(), Error> {
        if self.recipients.period.is_some() {
            return Ok(());
        }
        let all = self.recipients.default.iter().chain(self.recipients.by_label.values().flatten());
        match all.filter_map(|r| Some((r.label(), r.needs_plugin()?))).next() {
            None => Ok(()),
            Some((recipient, program)) => {
                Err(Error::NeedsPlugin { path: path.to_owned(), recipient, program })
            }
        }
    }

    /// Whether this is the policy of a host.
    pub fn is_system(&self) -> bool {
        self.file.is_some()
    }

    /// The labels of a recording: the operator's, and over them the policy's own.
    pub fn labels_with(&self, operators: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = operators.clone();
        labels.extend(self.labels.clone());
        labels
    }

    /// Labels of the operator that do not count, because the policy's own of the same name have another value: each, and that value.
    pub fn overruled<'a>(
        &'a self,
        operators: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        operators.iter().filter_map(|(name, value)| {
            let own = self.labels.get(name).filter(|own| *own != value)?;
            Some((name.as_str(), value.as_str(), own.as_str()))
        })
    }

    /// Who can open a recording with these labels: the default recipients always, and those of its labels. Labels add
    /// readers, they never take one away: whoever is recorded chooses labels.
    pub fn recipients_for(&self, labels: &BTreeMap<String, String>) -> Vec<Recipient> {
        let mut chosen = self.recipients.default.clone();
        for ((name, value), recipients) in &self.recipients.by_label {
            if labels.get(name) == Some(value) {
                chosen.extend(recipients.iter().filter(|r| !chosen.contains(r)).cloned().collect::<Vec<_>>());
            }
        }
        chosen
    }

    /// The key that signs recordings, read from [`Policy::signing_key`]; it must belong to root or to `owner`, and be
    /// readable by nobody else.
    ///
    /// # Errors
    /// [`Error::System`], [`Error::Signer`], [`Error::OpenKey`].
    pub fn read_signer(&self, owner: u32) -> Result<Signer, Error> {
        let path = &self.signing_key;
        let text = sys::trust::read(path, owner, sshsig::MAX_KEY_FILE as u64)?;
        // First: nobody is told to close a public key, which is open as it should be.
        let signer =
            Signer::from_openssh(&text).map_err(|source| Error::Signer { path: path.clone(), source })?;
        match sys::trust::mode_for_others(path)? {
            Some(mode) => Err(Error::OpenKey { path: path.clone(), mode }),
            None => Ok(signer),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
