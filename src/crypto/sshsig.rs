//! Signatures that stock `ssh-keygen -Y` makes and checks (OpenSSH `PROTOCOL.sshsig`), with Ed25519 keys only.
//!
//! Refuses what it does not need: other key types, hashes other than SHA-256 and SHA-512, another namespace than the
//! one asked for, and any armor but the one OpenSSH writes: one signature has one text.

use crate::sys::stack::{DEEP, apart};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD as BASE64_BARE};
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig};
use std::fmt;
use zeroize::Zeroizing;

/// The longest private key file that is read, in bytes.
pub const MAX_KEY_FILE: usize = 64 << 10;
/// The longest armored signature that is read, in bytes.
const MAX_SIGNATURE: usize = 4096;
/// What an Ed25519 public key starts with on the wire: its type, and the length of what follows.
const WIRE_PREFIX: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

/// Why a signature or a key was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is no OpenSSH private key.
    NotAKey,
    /// It is a public one.
    Public,
    /// The signing key has a passphrase: a recorder has nobody to ask.
    Locked,
    /// Not an Ed25519 key; its type.
    KeyType(String),
    /// Not an Ed25519 public key in OpenSSH's form.
    NotAPublicKey,
    /// The system gave no random numbers.
    Random,
    /// Not an armored SSH signature, or not in the one form OpenSSH writes.
    NotASignature,
    /// Made for another purpose; its namespace.
    Namespace(String),
    /// The signature does not fit message and key.
    Wrong,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey => f.write_str("not an OpenSSH private key"),
            Self::Public => {
                f.write_str("this is a public key: what signs is its secret half, the file without `.pub`")
            }
            Self::Locked => {
                f.write_str("the signing key has a passphrase, and a recorder has nobody to ask for it")
            }
            Self::KeyType(kind) => {
                write!(
                    f,
                    "keys of type {} do not sign recordings, only ssh-ed25519 does",
                    crate::text::escaped(kind)
                )
            }
            Self::NotAPublicKey => f.write_str("not an ssh-ed25519 public key"),
            Self::Random => f.write_str("the system gives no random numbers"),
            Self::NotASignature => f.write_str("not an SSH signature in OpenSSH's form"),
            Self::Namespace(found) => {
                write!(f, "signed for another purpose, `{}`", crate::text::escaped(found))
            }
            Self::Wrong => f.write_str("the signature does not fit"),
        }
    }
}

impl std::error::Error for Error {}

/// A public Ed25519 key of a host (or of a person, in personal mode).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey([u8; 32]);

impl HostKey {
    /// The key itself.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `ssh-ed25519 AAAA… [comment]`.
    ///
    /// # Errors
    /// [`Error::KeyType`] for a key of another type, [`Error::NotAPublicKey`] for anything else.
    pub fn from_openssh(line: &str) -> Result<Self, Error> {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("ssh-ed25519") => {}
            Some(kind) if is_key_type(kind) => return Err(Error::KeyType(kind.to_owned())),
            _ => return Err(Error::NotAPublicKey),
        }
        let wire = words.next().and_then(|blob| BASE64.decode(blob).ok()).ok_or(Error::NotAPublicKey)?;
        let key =
            wire.strip_prefix(WIRE_PREFIX).and_then(|key| key.try_into().ok()).ok_or(Error::NotAPublicKey)?;
        Ok(Self(key))
    }

    fn wire(&self) -> Vec<u8> {
        [WIRE_PREFIX, &self.0].concat()
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_BARE.encode(Sha256::digest(self.wire())))
    }
}

impl fmt::Display for HostKey {
    /// `ssh-ed25519 AAAA…`, without a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh-ed25519 {}", BASE64.encode(self.wire()))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.fingerprint())
    }
}

/// Whether a word is the type of an SSH public key.
pub(super) fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
}

/// A private Ed25519 key that signs. Wiped when dropped.
pub struct Signer {
    /// In an allocation: moving it leaves nothing behind.
    key: Box<PrivateKey>,
    public: HostKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.fingerprint())
    }
}

impl Signer {
    /// Reads a private key file of OpenSSH: Ed25519, without a passphrase.
    ///
    /// # Errors
    /// A key of another type, one with a passphrase, something that is no key.
    pub fn from_openssh(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_KEY_FILE {
            return Err(Error::NotAKey);
        }
        let text = text.trim();
        if text.starts_with("-----BEGIN") && !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            let label = text.lines().next().unwrap_or_default().trim_matches(['-', ' ']);
            return Err(Error::KeyType(label.trim_start_matches("BEGIN ").to_owned()));
        }
        if text.split_whitespace().next().is_some_and(is_key_type) {
            return Err(Error::Public);
        }
        let key = PrivateKey::from_openssh(text).map_err(|_| Error::NotAKey)?;
        if key.is_encrypted() {
            return Err(Error::Locked);
        }
        Self::from_key(key)
    }

    fn from_key(key: PrivateKey) -> Result<Self, Error> {
        match key.key_data() {
            KeypairData::Ed25519(pair) => Ok(Self { public: HostKey(pair.public.0), key: Box::new(key) }),
            other => Err(Error::KeyType(
                other.algorithm().map_or_else(|_| "unknown".into(), |kind| kind.to_string()),
            )),
        }
    }

    /// A new key with this comment.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(comment: &str) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| Error::Random)?;
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        Self::from_key(PrivateKey::new(pair, comment).map_err(|_| Error::NotAKey)?)
    }

    /// The private key as OpenSSH writes it.
    ///
    /// # Errors
    /// [`Error::NotAKey`] when it cannot be encoded.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, Error> {
        self.key.to_openssh(LineEnding::LF).map_err(|_| Error::NotAKey)
    }

    /// The public half.
    pub fn host_key(&self) -> HostKey {
        self.public
    }

    /// Signs `message` for the purpose `namespace`: the armored text that `ssh-keygen -Y verify` checks.
    ///
    /// # Errors
    /// [`Error::Namespace`] for an empty namespace.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, Error> {
        let refused = |_| Error::Namespace(namespace.to_owned());
        let sign = || self.key.sign(namespace, HashAlg::Sha512, message);
        apart(DEEP, sign).and_then(|signature| signature.to_pem(LineEnding::LF)).map_err(refused)
    }
}

/// Checks an armored signature over `message` for the purpose `namespace`, and says whose it is. Whether that key is
/// one to trust is another question ([`super::known_keys`]).
///
/// # Errors
/// Anything but a good Ed25519 signature, made for this namespace, in exactly the text OpenSSH writes.
pub fn verify(armored: &str, namespace: &str, message: &[u8]) -> Result<HostKey, Error> {
    if armored.len() > MAX_SIGNATURE {
        return Err(Error::NotASignature);
    }
    let signature = SshSig::from_pem(armored).map_err(|_| Error::NotASignature)?;
    // One signature has one text: otherwise a byte of a certificate could change unseen.
    let canonical = signature.to_pem(LineEnding::LF).map_err(|_| Error::NotASignature)?;
    if canonical.trim_end() != armored.strip_suffix('\n').unwrap_or(armored)
        || !signature.reserved().is_empty()
    {
        return Err(Error::NotASignature);
    }
    let Some(key) = signature.public_key().ed25519() else {
        return Err(Error::KeyType(signature.public_key().algorithm().to_string()));
    };
    if signature.namespace() != namespace {
        return Err(Error::Namespace(signature.namespace().to_owned()));
    }
    if signature.version() != SshSig::VERSION || signature.algorithm() != ssh_key::Algorithm::Ed25519 {
        return Err(Error::NotASignature);
    }
    let signed =
        SshSig::signed_data(namespace, signature.hash_alg(), message).map_err(|_| Error::NotASignature)?;
    let bytes: [u8; 64] = signature.signature_bytes().try_into().map_err(|_| Error::NotASignature)?;
    let public = ed25519_dalek::VerifyingKey::from_bytes(&key.0).map_err(|_| Error::NotAPublicKey)?;
    public.verify_strict(&signed, &ed25519_dalek::Signature::from_bytes(&bytes)).map_err(|_| Error::Wrong)?;
    Ok(HostKey(key.0))
}

#[cfg(test)]
#[path = "sshsig_tests.rs"]
mod tests;
