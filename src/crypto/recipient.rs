//! To whom a secret is sealed: age recipients, as people write them.
//!
//! What [`wrap`] makes is an ordinary binary age file (<https://c2sp.org/age>): stock `age -d` opens it. Refuses to run
//! a plugin unless asked by name ([`wrap_with_plugins`]): the recorder never does, a plugin is foreign code.

use super::prompt::{Callbacks, Prompt};
use crate::sys::stack::{DEEP, apart};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD as BASE64_BARE};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::Arc;

mod error;
mod slot;

pub use error::{Excess, FileError, ParseError, WrapError};
pub(super) use slot::scan;
pub use slot::{MAX_AGE_FILE, Slot, slots};

/// The longest recipients file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;
/// The most recipients one secret is sealed to: their slots must fit into one chunk of a recording.
pub const MAX_RECIPIENTS: usize = 500;
/// The most bytes that the recipients of one recording come to, as its public header lists them (JSON). The header has 64 KiB;
/// the rest is for what else stands in it.
pub const MAX_LISTED: usize = 56 << 10;
/// The longest recipient, in bytes (a post-quantum one has about 2,000).
const MAX_LINE: usize = 16 << 10;
/// What is wrong with a key that more than a comment stands behind.
const FOLLOWED: &str = "something follows the key";

/// Somebody (or some hardware) that can open what was wrapped. Equal when the key is equal, whatever the comment.
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    text: String,
    comment: String,
}

#[derive(Clone)]
enum Key {
    X25519(age::x25519::Recipient),
    Tag(age::tag::Recipient),
    PostQuantumTag(Box<age::tagpq::Recipient>),
    Ssh(Box<age::ssh::Recipient>),
    Plugin(age::plugin::Recipient),
}

/// Whether a recording has room for all of these recipients, in its key slots and in its public header.
///
/// # Errors
/// How many are too many.
pub fn check_room(recipients: &[Recipient]) -> Result<(), Excess> {
    if recipients.len() > MAX_RECIPIENTS {
        return Err(Excess::Number(recipients.len()));
    }
    let bytes: usize = recipients.iter().map(Recipient::listed).sum();
    if bytes > MAX_LISTED {
        return Err(Excess::Length { recipients: recipients.len(), bytes });
    }
    Ok(())
}

impl FromStr for Recipient {
    type Err = ParseError;

    /// Reads one recipient: `age1…` (X25519), `age1tag1…` and `age1tagpq1…` (hardware keys, native), `age1NAME1…`
    /// (plugins), `ssh-ed25519 …` and `ssh-rsa …` public key lines with an optional comment.
    fn from_str(line: &str) -> Result<Self, ParseError> {
        let line = line.trim();
        if line.len() > MAX_LINE {
            return Err(ParseError::TooLong(line.len()));
        }
        let upper = line.get(..15).unwrap_or(line).to_ascii_uppercase();
        if upper.starts_with("AGE-SECRET-KEY-")
            || upper.starts_with("AGE-PLUGIN-")
            || (upper.starts_with("-----BEGIN") && !line.contains("PUBLIC KEY"))
        {
            return Err(ParseError::SecretKey);
        }
        if line.starts_with("ssh-") || line.starts_with("ecdsa-") || line.starts_with("sk-") {
            return Self::ssh(line);
        }
        if !line.starts_with("age1") {
            return Err(ParseError::Unknown);
        }
        let invalid = |kind| move |why: &str| ParseError::Invalid { kind, why: why.to_owned() };
        if line.contains(char::is_whitespace) {
            return Err(invalid("age recipient")(FOLLOWED));
        }
        let key = if line.starts_with("age1tagpq1") {
            Key::PostQuantumTag(Box::new(line.parse().map_err(invalid("hardware recipient"))?))
        } else if line.starts_with("age1tag1") {
            Key::Tag(line.parse().map_err(invalid("hardware recipient"))?)
        } else {
            match line.parse::<age::x25519::Recipient>() {
                Ok(key) => Key::X25519(key),
                // Bech32 separates the name from the data with the last `1`: more than the first means a plugin's name.
                Err(_) if line.rfind('1') > Some(3) => {
                    Key::Plugin(line.parse().map_err(invalid("plugin recipient"))?)
                }
                Err(why) => return Err(invalid("age recipient")(why)),
            }
        };
        Ok(Self { key, text: line.to_owned(), comment: String::new() })
    }
}

/// Why an RSA key that is sound cannot be used, where its size is the reason.
pub(super) fn wrong_size(error: &age::ssh::ParseRecipientKeyError) -> Option<&'static str> {
    use age::ssh::ParseRecipientKeyError as Why;
    match error {
        Why::RsaModulusTooLarge => Some("RSA keys of more than 4096 bits are not supported"),
        Why::RsaModulusTooSmall => Some("RSA keys of less than 2048 bits are too weak"),
        _ => None,
    }
}

impl Recipient {
    pub(super) fn from_x25519(key: &age::x25519::Recipient) -> Self {
        Self { text: key.to_string(), key: Key::X25519(key.clone()), comment: String::new() }
    }

    fn ssh(line: &str) -> Result<Self, ParseError> {
        use age::ssh::ParseRecipientKeyError as Why;
        let mut words = line.splitn(3, char::is_whitespace);
        let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim());
        let comment = words.next().unwrap_or_default().trim().to_owned();
        let text = format!("{kind} {blob}");
        match text.parse::<age::ssh::Recipient>() {
            // The parser stops where the key ends: anything glued to it must not pass.
            Ok(key) if key.to_string() == text => Ok(Self { key: Key::Ssh(Box::new(key)), text, comment }),
            Ok(_) => Err(ParseError::Invalid { kind: "SSH key", why: FOLLOWED.into() }),
            Err(error) => {
                let why = match error {
                    Why::Unsupported(kind) => format!(
                        "keys of type {} cannot be encrypted to (ssh-ed25519 and ssh-rsa can)",
                        crate::text::escaped(&kind)
                    ),
                    error if let Some(why) = wrong_size(&error) => why.into(),
                    _ if kind != "ssh-ed25519" && kind != "ssh-rsa" => format!(
                        "keys of type {} cannot be encrypted to (ssh-ed25519 and ssh-rsa can)",
                        crate::text::escaped(kind)
                    ),
                    _ => "it is damaged".into(),
                };
                Err(ParseError::Invalid { kind: "SSH key", why })
            }
        }
    }

    /// A short name for people: `alice@laptop (ssh-ed25519)`, `age1ql3z7hjy5…`. Foreign text: escape it when showing.
    pub fn label(&self) -> String {
        match &self.key {
            Key::Ssh(_) => {
                let kind = self.text.split(' ').next().unwrap_or_default();
                if self.comment.is_empty() {
                    format!("{kind} {}", self.fingerprint().unwrap_or_default())
                } else {
                    format!("{} ({kind})", self.comment)
                }
            }
            Key::Plugin(key) => {
                format!("{}… (plugin {})", self.head(key.plugin().len().saturating_add(8)), key.plugin())
            }
            Key::Tag(_) | Key::PostQuantumTag(_) => format!("{}… (hardware)", self.head(18)),
            Key::X25519(_) => format!("{}…", self.head(13)),
        }
    }

    /// A name that no other key has, for people: `SHA256:… alice@laptop` of an SSH key, or else the key itself. Foreign text, as
    /// [`Recipient::label`].
    pub fn full_name(&self) -> String {
        match self.fingerprint() {
            Some(fingerprint) => format!("{fingerprint} {}", self.comment).trim_end().to_owned(),
            None => self.text.clone(),
        }
    }

    /// As whoever wants to know who can read is told: all of it (`whole`), or what has room on a terminal and of an SSH key still tells
    /// it from any other. Foreign text, as [`Recipient::label`].
    pub fn told(&self, whole: bool) -> String {
        match self.key {
            _ if whole => self.to_string(),
            Key::Ssh(_) => self.full_name(),
            _ => self.label(),
        }
    }

    fn head(&self, chars: usize) -> &str {
        self.text.get(..chars).unwrap_or(&self.text)
    }

    /// How long it is in the list of a public header (JSON), bytes.
    pub fn listed(&self) -> usize {
        serde_json::Value::from(self.to_string()).to_string().len().saturating_add(1)
    }

    /// The plugin program that this recipient needs (`age-plugin-NAME`), when it needs one.
    pub fn needs_plugin(&self) -> Option<String> {
        match &self.key {
            Key::Plugin(key) => Some(format!("age-plugin-{}", key.plugin())),
            _ => None,
        }
    }

    /// Whether what is sealed to it withstands a post-quantum adversary, as age's hybrid kinds do: the native hardware key, and the
    /// one that a plugin of age's own serves.
    pub fn is_post_quantum(&self) -> bool {
        matches!(&self.key, Key::PostQuantumTag(_)) || self.text.starts_with("age1pq1")
    }

    /// The key alone, without a comment.
    pub fn key_text(&self) -> String {
        self.text.clone()
    }

    /// What kind of key it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.key {
            Key::X25519(_) => "X25519",
            Key::Tag(_) => "hardware (P-256)",
            Key::PostQuantumTag(_) => "hardware (ML-KEM-768 + P-256)",
            Key::Ssh(_) if self.text.starts_with("ssh-rsa") => "SSH RSA",
            Key::Ssh(_) => "SSH Ed25519",
            Key::Plugin(_) => "plugin",
        }
    }

    /// The public key of an SSH recipient, as on the wire.
    fn ssh_blob(&self) -> Option<Vec<u8>> {
        matches!(self.key, Key::Ssh(_)).then(|| BASE64.decode(self.text.split(' ').nth(1)?).ok()).flatten()
    }

    /// `SHA256:…` of an SSH recipient, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> Option<String> {
        Some(format!("SHA256:{}", BASE64_BARE.encode(Sha256::digest(self.ssh_blob()?))))
    }
}

/// [`Recipient::told`] of a recipient as the header of a recording lists it; what is none, as it is.
pub fn told_of(listed: &str, whole: bool) -> String {
    listed.parse::<Recipient>().map_or_else(|_| listed.to_owned(), |recipient| recipient.told(whole))
}

/// [`Recipient::label`] of a recipient as the header of a recording lists it; what is none, as it is.
fn label_of(listed: &str) -> String {
    listed.parse::<Recipient>().map_or_else(|_| listed.to_owned(), |recipient| recipient.label())
}

/// The label of each of them; where that is the same of several, [`Recipient::full_name`].
pub fn labels_of(listed: &[String]) -> Vec<String> {
    let labels: Vec<String> = listed.iter().map(|listed| label_of(listed)).collect();
    let names = listed.iter().zip(&labels).map(|(listed, label)| {
        let alike = labels.iter().filter(|other| *other == label).count();
        let recipient = listed.parse::<Recipient>().ok().filter(|_| alike > 1);
        recipient.map_or_else(|| label.clone(), |recipient| recipient.full_name())
    });
    names.collect()
}

impl fmt::Display for Recipient {
    /// The line it was read from, tidied.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.comment.is_empty() {
            write!(f, " {}", self.comment)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

/// Reads a recipients file: one recipient a line, blank lines and lines that start with `#` are passed over, as is what stands
/// behind a `#` after an age key (the comment of an SSH key is part of it). Repeated recipients are kept once.
///
/// # Errors
/// The first line that is no recipient, a file without any, a file over the limits, more than a recording has room for.
pub fn parse_file(text: &str) -> Result<Vec<Recipient>, FileError> {
    if text.len() > MAX_FILE {
        return Err(FileError::TooLong(text.len()));
    }
    let mut found: Vec<Recipient> = Vec::new();
    // Some editors begin a file with a byte-order mark.
    for (number, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = match line.split_once('#') {
            Some((key, _)) if line.starts_with("age1") && key.ends_with(char::is_whitespace) => key,
            _ => line,
        };
        let recipient =
            line.parse().map_err(|error| FileError::Line { line: number.saturating_add(1), error })?;
        if !found.contains(&recipient) {
            found.push(recipient);
        }
    }
    check_room(&found).map_err(FileError::TooMany)?;
    if found.is_empty() { Err(FileError::Empty) } else { Ok(found) }
}

/// Seals `secret` to every one of `recipients`: a binary age file that any one of them opens.
///
/// # Errors
/// No or too many recipients, or one that needs a plugin.
pub fn wrap(recipients: &[Recipient], secret: &[u8]) -> Result<Vec<u8>, WrapError> {
    if let Some((recipient, program)) = recipients.iter().find_map(|r| Some((r.label(), r.needs_plugin()?))) {
        return Err(WrapError::NeedsPlugin { recipient, program });
    }
    apart(DEEP, || seal(recipients, Vec::new(), secret))
}

/// [`wrap`], and runs the plugins that recipients need; `prompt` carries their questions.
///
/// # Errors
/// As [`wrap`]; a plugin that is missing or fails.
pub fn wrap_with_plugins(
    recipients: &[Recipient],
    secret: &[u8],
    prompt: &Arc<dyn Prompt>,
) -> Result<Vec<u8>, WrapError> {
    let keys: Vec<age::plugin::Recipient> = recipients
        .iter()
        .filter_map(|r| if let Key::Plugin(key) = &r.key { Some(key.clone()) } else { None })
        .collect();
    let mut names: Vec<&str> = keys.iter().map(|key| key.plugin()).collect();
    names.sort_unstable();
    names.dedup();
    let mut plugins: Vec<(String, Box<dyn age::Recipient>)> = Vec::new();
    for name in names {
        let plugin = age::plugin::RecipientPluginV1::new(name, &keys, &[], Callbacks(Arc::clone(prompt)))
            .map_err(|_| WrapError::PluginMissing(format!("age-plugin-{name}")))?;
        plugins.push((format!("`age-plugin-{name}`"), Box::new(plugin)));
    }
    seal(recipients, plugins, secret)
}

fn seal(
    recipients: &[Recipient],
    plugins: Vec<(String, Box<dyn age::Recipient>)>,
    secret: &[u8],
) -> Result<Vec<u8>, WrapError> {
    check_room(recipients).map_err(WrapError::TooMany)?;
    let native = recipients.iter().filter_map(|r| match &r.key {
        Key::X25519(key) => Some(key as &dyn age::Recipient),
        Key::Tag(key) => Some(key as _),
        Key::PostQuantumTag(key) => Some(key.as_ref() as _),
        Key::Ssh(key) => Some(key.as_ref() as _),
        Key::Plugin(_) => None,
    });
    let all = native.chain(plugins.iter().map(|(_, plugin)| plugin.as_ref()));
    let failed = |words| {
        let programs: Vec<&str> = plugins.iter().map(|(program, _)| program.as_str()).collect();
        WrapError::Plugin { programs: programs.join(" or "), words }
    };
    let encryptor = age::Encryptor::with_recipients(all).map_err(|error| match error {
        age::EncryptError::MissingRecipients => WrapError::NoRecipients,
        age::EncryptError::IncompatibleRecipients { .. } => WrapError::Mixed,
        age::EncryptError::Plugin(errors) => failed(plugin_words(&errors)),
        // Only a plugin reads and writes anything here: it died, or does not speak as plugins do.
        age::EncryptError::Io(error) => failed(one_line(&error.to_string())),
        other => WrapError::Age(one_line(&other.to_string())),
    })?;
    let io = |error: std::io::Error| WrapError::Age(error.to_string());
    let room = recipients.len().saturating_mul(128).saturating_add(secret.len()).saturating_add(256);
    let mut sealed = Vec::with_capacity(room);
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(io)?;
    writer.write_all(secret).map_err(io)?;
    writer.finish().map_err(io)?;
    Ok(sealed)
}

/// What plugins said, in one line.
pub(super) fn plugin_words(errors: &[impl fmt::Display]) -> String {
    errors.iter().map(|error| one_line(&error.to_string())).collect::<Vec<_>>().join("; ")
}

/// The age library's messages have several lines and invisible isolating characters; ours have neither.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !crate::text::is_deceptive(*c)).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "recipient_tests.rs"]
mod tests;
