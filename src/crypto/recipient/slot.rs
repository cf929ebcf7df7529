//! To whom an age file is sealed, as far as its header tells without a key.

use super::{BASE64_BARE, Recipient};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The longest age file whose recipients are listed, in bytes: no slot of a recording is longer.
pub const MAX_AGE_FILE: usize = 1 << 20;

/// One recipient of an age file, as far as the file tells: X25519 recipients are anonymous by design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The stanza's type: `X25519`, `ssh-ed25519`, `ssh-rsa`, `p256tag`, `scrypt`, or a plugin's.
    pub kind: String,
    /// The first four bytes of SHA-256 of an SSH recipient's public key, in bare base64, as the stanza has it.
    pub ssh_tag: Option<String>,
}

impl Slot {
    /// Whether this slot is `recipient`'s: `None` where the file does not tell.
    pub fn is_for(&self, recipient: &Recipient) -> Option<bool> {
        let tag = self.ssh_tag.as_ref()?;
        let Some(blob) = recipient.ssh_blob() else { return Some(false) };
        Some(recipient.text.starts_with(&self.kind) && *tag == ssh_tag(&blob))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), &self.ssh_tag) {
            ("X25519", _) => f.write_str("an age key"),
            ("p256tag" | "mlkem768p256tag", _) => f.write_str("a hardware key"),
            ("scrypt", _) => f.write_str("a passphrase"),
            (kind, Some(tag)) => {
                write!(f, "an {} key ({})", crate::text::escaped(kind), crate::text::escaped(tag))
            }
            (kind, None) => write!(f, "a key of type {}", crate::text::escaped(kind)),
        }
    }
}

/// The tag of an SSH public key in an age stanza.
fn ssh_tag(blob: &[u8]) -> String {
    BASE64_BARE.encode(Sha256::digest(blob).get(..4).unwrap_or_default())
}

/// To whom an age file is sealed, from its public header. Nothing is authenticated: for messages to people only.
/// `None` when it is no age file.
pub fn slots(age_file: &[u8]) -> Option<Vec<Slot>> {
    scan(age_file).map(|(slots, _)| slots)
}

/// The slots, and the length of the header in bytes.
pub(in crate::crypto) fn scan(age_file: &[u8]) -> Option<(Vec<Slot>, usize)> {
    let head = age_file.get(..age_file.len().min(MAX_AGE_FILE))?;
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next()?;
    if first != b"age-encryption.org/v1\n" {
        return None;
    }
    let mut length = first.len();
    let mut found = Vec::new();
    for line in lines {
        length = length.saturating_add(line.len());
        if line.starts_with(b"---") {
            return Some((found, length));
        }
        let Some(stanza) = line.strip_prefix(b"-> ") else { continue };
        let mut words = std::str::from_utf8(stanza).ok()?.trim_end_matches('\n').split(' ');
        let kind = words.next()?.to_owned();
        // Stanzas of random types keep readers honest about unknown ones; they are nobody's.
        if kind.ends_with("-grease") {
            continue;
        }
        let ssh_tag = kind.starts_with("ssh-").then(|| words.next().unwrap_or_default().to_owned());
        found.push(Slot { kind, ssh_tag });
    }
    None
}
