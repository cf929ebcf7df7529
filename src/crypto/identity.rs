//! Who can open what was sealed: identity files, and why each of them did or did not open something.
//!
//! Reads age X25519 identities (`AGE-SECRET-KEY-1…`), the same in a passphrase-protected age file (binary or armored),
//! OpenSSH private keys (Ed25519 and RSA, also passphrase-protected) and plugin identities (`AGE-PLUGIN-…`). Passphrases
//! are asked for when they are needed, once per file. Refuses to read without bound: files, age headers, plaintexts and
//! the work of a passphrase all have limits, since any of them may come from somebody else.

use super::prompt::{Callbacks, Prompt, secret};
use super::recipient::{self, Recipient, Slot};
use age::secrecy::ExposeSecret as _;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

mod why;

use why::shown;
pub use why::{LoadError, Tried, UnwrapError, Why, all_tried};

/// The longest identity file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 10;
/// The longest SSH private key that is read, in bytes: RSA with 16384 bits has 12,000.
const MAX_SSH: usize = 32 << 10;
/// The most identities in one file.
const MAX_IDENTITIES: usize = 256;
/// The longest secret that is unwrapped, in bytes: an identity file of a longer period is the longest we make.
const MAX_SECRET: u64 = 64 << 10;
/// What a buffer has more than is read into it: the end is found without a detour over the stack, and without growing.
const SPARE: usize = 64;
/// The largest scrypt work factor that is accepted: 2^20 needs 1 GiB and some seconds. `age -p` uses 18.
const MAX_SCRYPT: u8 = 20;
/// The most bcrypt rounds that are accepted (about half a minute). `ssh-keygen` uses 16.
const MAX_BCRYPT: u32 = 4096;

/// An identity that can unwrap, from any thread.
type Unwrapper = Box<dyn age::Identity + Send + Sync>;

/// The identity files of whoever is reading. Shared between threads; questions are asked once.
pub struct Identities {
    files: Vec<File>,
    /// Where one was looked for and is not, when there is no file.
    absent: Option<PathBuf>,
    prompt: Arc<dyn Prompt>,
}

/// What keeps an identity file from being used by whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: a secret key stands in it.
    Nothing,
    /// A passphrase: it is an encrypted age file.
    Passphrase,
    /// Nothing: it is an SSH key.
    SshNothing,
    /// The passphrase of an SSH key.
    SshPassphrase,
    /// What its plugin asks for: it names only keys that plugins have.
    Plugin,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "without passphrase",
            Self::Passphrase => "with passphrase",
            Self::SshNothing => "SSH key without passphrase",
            Self::SshPassphrase => "SSH key with passphrase",
            Self::Plugin => "plugin",
        })
    }
}

struct File {
    path: PathBuf,
    content: Content,
    /// The identities, once they were needed: unlocking happens (and fails) once.
    unlocked: OnceLock<Result<Unlocked, Why>>,
}

/// The identities of a file that can be used, and why others in it cannot.
struct Unlocked {
    identities: Vec<Unwrapper>,
    missing: Option<Why>,
    /// Who seals to those of them that tell.
    recipients: Vec<Recipient>,
}

enum Content {
    /// Identities a line each.
    Lines(Zeroizing<String>),
    /// A passphrase-protected age file, binary.
    Locked(Vec<u8>),
    /// An OpenSSH private key and its public half.
    Ssh { key: Box<age::ssh::Identity>, public: Box<Recipient> },
}

impl Identities {
    /// Reads the identity files at `paths`. Passphrases are not asked for yet.
    ///
    /// # Errors
    /// The first file that cannot be read or holds no identity we can use.
    pub fn load<P: AsRef<Path>>(paths: &[P], prompt: Arc<dyn Prompt>) -> Result<Self, LoadError> {
        let files = paths.iter().map(|path| File::read(path.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { files, absent: None, prompt })
    }

    /// No identity: none was named, and there is none at `path`, which is told to whoever needs one.
    pub fn absent(path: PathBuf, prompt: Arc<dyn Prompt>) -> Self {
        Self { files: Vec::new(), absent: Some(path), prompt }
    }

    /// Identities from the text of an identity file that is in memory already, named `name` in messages.
    ///
    /// # Errors
    /// As [`Identities::load`].
    pub fn from_text(name: &Path, text: &[u8], prompt: Arc<dyn Prompt>) -> Result<Self, LoadError> {
        Ok(Self { files: vec![File::parse(name, text)?], absent: None, prompt })
    }

    /// Whether there is no identity file at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether using them may mean to ask for a passphrase, or to run a plugin.
    pub fn is_locked(&self) -> bool {
        self.files.iter().any(|file| match &file.content {
            Content::Lines(text) => {
                lines(text).any(|(_, line)| age::x25519::Identity::from_str(line).is_err())
            }
            Content::Locked(_) => true,
            Content::Ssh { key, .. } => matches!(key.as_ref(), age::ssh::Identity::Encrypted(_)),
        })
    }

    /// What protects each file, in the order they are tried; nothing is unlocked for it.
    pub fn protections(&self) -> impl Iterator<Item = Protection> {
        self.files.iter().map(|file| match &file.content {
            Content::Lines(text) => {
                let plain = lines(text).any(|(_, line)| age::x25519::Identity::from_str(line).is_ok());
                if plain { Protection::Nothing } else { Protection::Plugin }
            }
            Content::Locked(_) => Protection::Passphrase,
            Content::Ssh { key, .. } => match key.as_ref() {
                age::ssh::Identity::Encrypted(_) => Protection::SshPassphrase,
                _ => Protection::SshNothing,
            },
        })
    }

    /// The files, in the order they are tried.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// The files that were to be used and could not be, all or part of them: whether they open a thing nobody knows.
    pub fn untried(&self) -> Vec<Tried> {
        let files = self.files.iter().filter_map(|file| {
            let why = match file.unlocked.get()? {
                Ok(unlocked) => unlocked.missing.clone()?,
                Err(why) => why.clone(),
            };
            Some(Tried { path: file.path.clone(), why })
        });
        files.collect()
    }

    /// Opens an age file with the first identity that can.
    ///
    /// # Errors
    /// [`UnwrapError`]; for each identity file it says why that one did not do.
    pub fn unwrap(&self, age_file: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        self.unwrap_by(age_file).map(|(_, secret)| secret)
    }

    /// [`Identities::unwrap`] that also tells which file opened it.
    ///
    /// # Errors
    /// As [`Identities::unwrap`].
    pub fn unwrap_by(&self, age_file: &[u8]) -> Result<(&Path, Zeroizing<Vec<u8>>), UnwrapError> {
        let slots = checked_slots(age_file)?;
        let absent = self.absent.iter().map(|path| Tried { path: path.clone(), why: Why::Absent });
        let mut tried: Vec<Tried> = absent.collect();
        for file in &self.files {
            match file.open(age_file, &slots, &self.prompt) {
                Ok(secret) => return Ok((&file.path, secret)),
                Err(Outcome::Fatal(error)) => return Err(error),
                Err(Outcome::Not(why)) => tried.push(Tried { path: file.path.clone(), why }),
            }
        }
        Err(UnwrapError::NoIdentity { slots, tried })
    }

    /// What the recipients of these identities are, where that can be told; unlocks the files. One result a file.
    pub fn recipients(&self) -> Vec<(PathBuf, Result<Vec<Recipient>, Why>)> {
        self.files.iter().map(|file| (file.path.clone(), file.recipients(&self.prompt))).collect()
    }
}

/// Opens an age file with one age X25519 identity in its text form (what a KEYS slot of kind 2 holds).
///
/// # Errors
/// [`UnwrapError`], with no file among those tried.
pub fn unwrap_with(identity: &str, age_file: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    let slots = checked_slots(age_file)?;
    let Ok(identity) = age::x25519::Identity::from_str(identity.trim()) else {
        return Err(UnwrapError::NoIdentity { slots, tried: Vec::new() });
    };
    match open_with(&[Box::new(identity)], age_file) {
        Ok(secret) => Ok(secret),
        Err(Outcome::Fatal(error)) => Err(error),
        Err(Outcome::Not(_)) => Err(UnwrapError::NoIdentity { slots, tried: Vec::new() }),
    }
}

/// A new age X25519 identity: its secret text and its recipient.
pub fn generate() -> (Zeroizing<String>, Recipient) {
    let identity = age::x25519::Identity::generate();
    let text = Zeroizing::new(identity.to_string().expose_secret().to_owned());
    let recipient = Recipient::from_x25519(&identity.to_public());
    (text, recipient)
}

/// Protects the text of an identity file with a passphrase: an armored age file, as `age -p -a` makes it. Takes about a
/// second, on purpose.
///
/// # Errors
/// When the age library fails.
pub fn lock(text: &str, passphrase: Zeroizing<String>) -> Result<String, recipient::WrapError> {
    let mut recipient = age::scrypt::Recipient::new(secret(passphrase));
    // Fast machines must not make files that slower ones refuse.
    recipient.set_work_factor(18);
    age::encrypt_and_armor(&recipient, text.as_bytes())
        .map_err(|error| recipient::WrapError::Age(recipient::one_line(&error.to_string())))
}

fn checked_slots(age_file: &[u8]) -> Result<Vec<Slot>, UnwrapError> {
    if age_file.len() > recipient::MAX_AGE_FILE {
        return Err(UnwrapError::TooLong);
    }
    let slots =
        recipient::slots(age_file).ok_or_else(|| UnwrapError::NotAge("its header is not one".into()))?;
    // Every slot costs every identity a multiplication on a curve.
    if slots.len() > recipient::MAX_RECIPIENTS { Err(UnwrapError::TooLong) } else { Ok(slots) }
}

enum Outcome {
    /// This file does not open it; another may.
    Not(Why),
    /// The sealed thing itself is bad: no other file will do better.
    Fatal(UnwrapError),
}

fn open_with(identities: &[Unwrapper], age_file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Outcome> {
    use age::DecryptError as E;
    let (_, header) = recipient::scan(age_file).unwrap_or_default();
    let (header, rest) = age_file.split_at_checked(header).unwrap_or((&[], age_file));
    let decryptor = age::Decryptor::new_buffered(AgeFile { header, rest })
        .map_err(|error| Outcome::Fatal(UnwrapError::NotAge(recipient::one_line(&error.to_string()))))?;
    let reader =
        decryptor.decrypt(identities.iter().map(|i| i.as_ref() as &dyn age::Identity)).map_err(|error| {
            match error {
                E::NoMatchingKeys => Outcome::Not(Why::NoMatch),
                E::KeyDecryptionFailed => Outcome::Not(Why::WrongPassphrase),
                E::ExcessiveWork { .. } => Outcome::Not(Why::TooMuchWork),
                E::Plugin(errors) => Outcome::Not(Why::Plugin(recipient::plugin_words(&errors))),
                E::PluginResolve(_) => Outcome::Not(Why::PluginMissing("age-plugin-…".into())),
                E::Io(error) => Outcome::Not(Why::Plugin(recipient::one_line(&error.to_string()))),
                // A stanza that is meant for us and does not open, or a header whose MAC is wrong.
                E::DecryptionFailed | E::InvalidMac | E::InvalidHeader => {
                    Outcome::Fatal(UnwrapError::Damaged)
                }
                other => Outcome::Fatal(UnwrapError::NotAge(recipient::one_line(&other.to_string()))),
            }
        })?;
    bounded(reader, age_file.len()).map_err(Outcome::Fatal)
}

/// An age file whose header is handed over in one piece. The age library's readers begin to parse anew after every byte
/// or, buffered, after every line: they take minutes over a header of a megabyte.
struct AgeFile<'a> {
    header: &'a [u8],
    rest: &'a [u8],
}

impl std::io::Read for AgeFile<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.header.is_empty() { self.rest.read(to) } else { self.header.read(to) }
    }
}

impl std::io::BufRead for AgeFile<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        Ok(if self.header.is_empty() { self.rest } else { self.header })
    }

    fn consume(&mut self, amount: usize) {
        if self.header.is_empty() { self.rest.consume(amount) } else { self.header.consume(amount) }
    }

    /// As much as asked for and, at the start, more: the whole header.
    fn read_until(&mut self, end: u8, to: &mut Vec<u8>) -> std::io::Result<usize> {
        if self.header.is_empty() {
            return self.rest.read_until(end, to);
        }
        let header = std::mem::take(&mut self.header);
        to.extend_from_slice(header);
        Ok(header.len())
    }
}

/// Reads at most [`MAX_SECRET`] bytes, and not more than the `sealed` ones they were in. The buffer is reserved whole, so that
/// no copy is left behind by growing; not larger than it must be, since all of it is wiped.
fn bounded(reader: impl std::io::Read, sealed: usize) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.min(MAX_SECRET as usize).saturating_add(SPARE)));
    reader.take(MAX_SECRET + 1).read_to_end(&mut plain).map_err(|_| UnwrapError::Damaged)?;
    if plain.len() as u64 > MAX_SECRET {
        return Err(UnwrapError::TooLong);
    }
    Ok(plain)
}

impl File {
    fn read(path: &Path) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        // Reserved whole, see `bounded`. What is no file (a pipe) has no length to tell.
        let length =
            file.metadata().ok().filter(std::fs::Metadata::is_file).map_or(MAX_FILE, |facts| facts.len());
        let mut bytes =
            Zeroizing::new(Vec::with_capacity((length.min(MAX_FILE) as usize).saturating_add(SPARE)));
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::parse(path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        let content =
            Content::parse(bytes).map_err(|why| LoadError::Content { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), content, unlocked: OnceLock::new() })
    }

    fn open(
        &self,
        age_file: &[u8],
        slots: &[Slot],
        prompt: &Arc<dyn Prompt>,
    ) -> Result<Zeroizing<Vec<u8>>, Outcome> {
        // An SSH recipient leaves its tag: no passphrase is asked for in vain.
        if let Content::Ssh { public, .. } = &self.content
            && !slots.iter().any(|slot| slot.is_for(public) == Some(true))
        {
            return Err(Outcome::Not(Why::NoMatch));
        }
        match self.unlock(prompt) {
            // Nobody knows whether the one that could not be tried would have opened it.
            Ok(Unlocked { identities, missing: Some(why), .. }) => match open_with(identities, age_file) {
                Err(Outcome::Not(Why::NoMatch)) => Err(Outcome::Not(why.clone())),
                opened => opened,
            },
            Ok(Unlocked { identities, missing: None, .. }) => open_with(identities, age_file),
            Err(why) => Err(Outcome::Not(why.clone())),
        }
    }

    fn unlock(&self, prompt: &Arc<dyn Prompt>) -> &Result<Unlocked, Why> {
        self.unlocked.get_or_init(|| match &self.content {
            Content::Lines(text) => identities(text, prompt),
            Content::Locked(age_file) => identities(&self.plain(age_file, prompt)?, prompt),
            Content::Ssh { key, .. } => {
                let identities: Vec<Unwrapper> = vec![Box::new(self.ssh(key, prompt)?)];
                Ok(Unlocked { identities, missing: None, recipients: Vec::new() })
            }
        })
    }

    fn ask(&self, prompt: &Arc<dyn Prompt>) -> Result<Zeroizing<String>, Why> {
        prompt.passphrase(&format!("Passphrase of {}: ", shown(&self.path))).map_err(Why::NoPassphrase)
    }

    fn plain(&self, age_file: &[u8], prompt: &Arc<dyn Prompt>) -> Result<Zeroizing<String>, Why> {
        let mut identity = age::scrypt::Identity::new(secret(self.ask(prompt)?));
        identity.set_max_work_factor(MAX_SCRYPT);
        let plain = match open_with(&[Box::new(identity)], age_file) {
            Ok(plain) => plain,
            Err(Outcome::Not(why)) => return Err(why),
            // With scrypt a wrong passphrase and a damaged file look the same.
            Err(Outcome::Fatal(UnwrapError::Damaged)) => return Err(Why::WrongPassphrase),
            Err(Outcome::Fatal(error)) => return Err(Why::Content(error.to_string())),
        };
        match std::str::from_utf8(&plain) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(Why::Content("what is inside is no identity file".into())),
        }
    }

    fn ssh(&self, key: &age::ssh::Identity, prompt: &Arc<dyn Prompt>) -> Result<age::ssh::Identity, Why> {
        match key {
            age::ssh::Identity::Encrypted(locked) => match locked.decrypt(secret(self.ask(prompt)?)) {
                Ok(key) => Ok(key.into()),
                Err(_) => Err(Why::WrongPassphrase),
            },
            other => Ok(other.clone()),
        }
    }

    fn recipients(&self, prompt: &Arc<dyn Prompt>) -> Result<Vec<Recipient>, Why> {
        match &self.content {
            // Once it is open nobody is asked again.
            Content::Lines(_) | Content::Locked(_) => match self.unlock(prompt) {
                Ok(unlocked) => Ok(unlocked.recipients.clone()),
                Err(why) => Err(why.clone()),
            },
            Content::Ssh { public, .. } => Ok(vec![public.as_ref().clone()]),
        }
    }
}

/// The lines of an identity file that are no comments, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number.saturating_add(1), line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn identities(text: &str, prompt: &Arc<dyn Prompt>) -> Result<Unlocked, Why> {
    check_lines(text).map_err(Why::Content)?;
    let mut found: Vec<Unwrapper> = Vec::new();
    let mut missing = None;
    let mut recipients = Vec::new();
    for (_, line) in lines(text) {
        if let Ok(identity) = age::x25519::Identity::from_str(line) {
            recipients.push(Recipient::from_x25519(&identity.to_public()));
            found.push(Box::new(identity));
        } else if let Ok(identity) = age::plugin::Identity::from_str(line) {
            let name = identity.plugin().to_owned();
            match age::plugin::IdentityPluginV1::new(&name, &[identity], Callbacks(Arc::clone(prompt))) {
                Ok(plugin) => found.push(Box::new(plugin)),
                Err(_) => missing = Some(Why::PluginMissing(format!("age-plugin-{name}"))),
            }
        }
    }
    match missing {
        Some(why) if found.is_empty() => Err(why),
        missing => Ok(Unlocked { identities: found, missing, recipients }),
    }
}

/// Whether every line is an identity. The error names the line's number, never its text.
fn check_lines(text: &str) -> Result<(), String> {
    let mut count = 0_usize;
    for (number, line) in lines(text) {
        let good =
            age::x25519::Identity::from_str(line).is_ok() || age::plugin::Identity::from_str(line).is_ok();
        if !good {
            let post_quantum = line.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-PQ-");
            let recipient = line.parse::<Recipient>().is_ok();
            return Err(match (post_quantum, recipient) {
                (true, _) => format!("line {number} is a post-quantum identity, which is not supported yet"),
                (_, true) => format!("line {number} is a recipient (a public key), not an identity"),
                _ => format!("line {number} is no identity"),
            });
        }
        count = count.saturating_add(1);
    }
    match count {
        0 => Err("there is no identity in it".into()),
        n if n > MAX_IDENTITIES => Err(format!("{n} identities, at most {MAX_IDENTITIES} are read")),
        _ => Ok(()),
    }
}

impl Content {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("more than {MAX_FILE} bytes: no identity file is that long"));
        }
        if bytes.starts_with(b"age-encryption.org/v1\n") {
            return Self::locked(bytes.to_vec());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text, so no identity file".to_owned())?;
        let start = text.trim_start();
        if start.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") {
            let mut binary = Vec::new();
            age::armor::ArmoredReader::new(start.as_bytes())
                .take(MAX_FILE)
                .read_to_end(&mut binary)
                .map_err(|_| "its armor is damaged".to_owned())?;
            return Self::locked(binary);
        }
        if start.starts_with("-----BEGIN") {
            return Self::ssh(start);
        }
        check_lines(text)?;
        Ok(Self::Lines(Zeroizing::new(text.to_owned())))
    }

    fn locked(binary: Vec<u8>) -> Result<Self, String> {
        match recipient::slots(&binary) {
            Some(slots) if matches!(&slots[..], [slot] if slot.kind == "scrypt") => Ok(Self::Locked(binary)),
            Some(_) => Err("it is encrypted to recipients, not with a passphrase".into()),
            None => Err("it is a damaged age file".into()),
        }
    }

    fn ssh(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SSH {
            return Err(format!("{} bytes, an SSH private key has at most {MAX_SSH}", text.len()));
        }
        if let Ok(key) = ssh_key::PrivateKey::from_openssh(text.trim_end())
            && let ssh_key::Kdf::Bcrypt { rounds, .. } = key.kdf()
            && *rounds > MAX_BCRYPT
        {
            return Err(format!("{rounds} bcrypt rounds, at most {MAX_BCRYPT} are accepted"));
        }
        let damaged = |_| "it is no private key we can read (OpenSSH format, Ed25519 or RSA)".to_owned();
        let text = unwrapped_pem(text)?;
        let key = age::ssh::Identity::from_buffer(text.as_bytes(), None).map_err(damaged)?;
        if let age::ssh::Identity::Unsupported(why) = &key {
            use age::ssh::UnsupportedKey as U;
            return Err(match why {
                U::EncryptedPem => {
                    "its old PEM encryption is weak; `ssh-keygen -p -f FILE` converts it".into()
                }
                U::EncryptedSsh(cipher) => {
                    format!(
                        "its cipher {} is not supported; `ssh-keygen -p -Z aes256-ctr -f FILE` converts it",
                        crate::text::escaped(cipher)
                    )
                }
                U::Hardware(_) => "it is a security key's handle: it signs, but it cannot decrypt".into(),
                U::Type(kind) => {
                    format!(
                        "keys of type {} cannot decrypt (Ed25519 and RSA can)",
                        crate::text::escaped(kind)
                    )
                }
            });
        }
        let public = age::ssh::Recipient::try_from(key.clone()).map_err(|error| {
            recipient::wrong_size(&error).unwrap_or("its public half is damaged").to_owned()
        })?;
        let public = public.to_string().parse().map_err(|error: recipient::ParseError| error.to_string())?;
        Ok(Self::Ssh { key: Box::new(key), public: Box::new(public) })
    }
}

/// The same key with its base64 in one line: the parser of the age library begins anew at every line, and takes minutes
/// over a short file with many of them.
fn unwrapped_pem(text: &str) -> Result<Zeroizing<String>, String> {
    let mut whole = Zeroizing::new(String::with_capacity(text.len().saturating_add(2)));
    for line in text.lines().map(str::trim_end) {
        if line.starts_with("Proc-Type:") {
            return Err("its old PEM encryption is weak; `ssh-keygen -p -f FILE` converts it".into());
        }
        if line.starts_with("-----END") {
            whole.push('\n');
        }
        whole.push_str(line);
        if line.starts_with("-----") {
            whole.push('\n');
        }
    }
    Ok(whole)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
