//! The key of a longer period: made while a person is there (plugins may run), used by recorders without one.
//!
//! `period.age` holds an age identity sealed to the recipients; `period.pub` its recipient, and the digest of
//! `period.age`, so that a pair torn by a crash is never used: a recording sealed to one half and carrying the other
//! could not be opened. A recording carries its own copy (KEYS, kind 2): replacing the pair loses nothing.

use super::personal::{Error, draft, lock, read_trusted};
use crate::crypto::prompt::Prompt;
use crate::crypto::recipient::{self, Recipient};
use crate::crypto::{digest, identity};
use crate::sys;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest `period.pub`, in bytes.
const MAX_PUB: u64 = 64 << 10;
/// What stands before the digest in `period.pub`.
const DIGEST: &str = "# sha256 of period.age: ";
/// What stands before the digest of the recipients.
const RECIPIENTS: &str = "# sha256 of its recipients: ";

/// A period key as a recorder needs it.
#[derive(Clone, Debug)]
pub struct Period {
    /// The age file with the identity, sealed to the recipients (KEYS slot of kind 2).
    pub sealed: Vec<u8>,
    /// To this the root keys of recordings are sealed (KEYS slot of kind 1).
    pub recipient: Recipient,
    /// Digest of the recipients it was made for.
    made_for: String,
}

impl Period {
    /// Whether it was made for exactly these recipients: one that was added since could not open what is sealed to it,
    /// and one that was taken away still could.
    pub fn is_for(&self, recipients: &[Recipient]) -> bool {
        self.made_for == digest_of(recipients)
    }
}

/// Whatever the order, and whatever their comments.
fn digest_of(recipients: &[Recipient]) -> String {
    let mut keys: Vec<String> = recipients.iter().map(Recipient::key_text).collect();
    keys.sort();
    keys.dedup();
    digest(keys.join("\n").as_bytes())
}

/// What is told where a period key stands in for a recipient that is post-quantum, as it is not.
pub const NOT_POST_QUANTUM: &str =
    "a period key is plain X25519: what is sealed to it is not post-quantum, though its recipients are";

/// Where the sealed half lies in a directory of keys.
pub fn sealed_path(keys: &Path) -> PathBuf {
    keys.join("period.age")
}

/// Where the public half lies in a directory of keys.
pub fn public_path(keys: &Path) -> PathBuf {
    keys.join("period.pub")
}

/// Makes a new period key for `recipients` in the directory `keys`, in place of the one before. Runs the plugins that
/// recipients need.
///
/// # Errors
/// When sealing or writing fails; the pair before is then still in place, or neither is used.
pub fn make(keys: &Path, recipients: &[Recipient], prompt: &Arc<dyn Prompt>) -> Result<Period, Error> {
    let (secret, recipient) = identity::generate();
    let sealed = recipient::wrap_with_plugins(recipients, secret.as_bytes(), prompt).map_err(Error::Wrap)?;
    let mut public = String::from("# Recordings are sealed to this key, and this key, in period.age, to:\n");
    for recipient in recipients {
        public.push_str(&format!("#   {}\n", crate::text::escaped(&recipient.told(true))));
    }
    let made_for = digest_of(recipients);
    public.push_str(&format!("{RECIPIENTS}{made_for}\n{DIGEST}{}\n{recipient}\n", digest(&sealed)));
    sys::file::create_private_dir(keys)?;
    let _lock = lock(keys)?;
    let (sealed_path, public_path) = (sealed_path(keys), public_path(keys));
    let drafts = (draft(&sealed_path, &sealed)?, draft(&public_path, public.as_bytes())?);
    for (from, to) in [(drafts.0, sealed_path), (drafts.1, public_path)] {
        std::fs::rename(&from, &to).map_err(|e| sys::Error::at("rename", &from, e))?;
    }
    sys::file::sync_dir(keys)?;
    Ok(Period { sealed, recipient, made_for })
}

/// The period key in the directory `keys`; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or the two halves do not belong together.
pub fn read(keys: &Path) -> Result<Option<Period>, Error> {
    let public_path = public_path(keys);
    if !public_path.exists() {
        return Ok(None);
    }
    let lock = lock(keys)?;
    let public = read_trusted(&public_path, MAX_PUB)?;
    let path = sealed_path(keys);
    let mut sealed = Vec::new();
    sys::trust::open(&path, sys::ids::effective_uid())?
        .take(recipient::MAX_AGE_FILE as u64 + 1)
        .read_to_end(&mut sealed)
        .map_err(|e| sys::Error::at("read", &path, e))?;
    drop(lock);
    let named = public.lines().find_map(|line| line.strip_prefix(DIGEST));
    if named != Some(digest(&sealed).as_str()) {
        return Err(Error::Period(public_path));
    }
    let mut recipients = recipient::parse_file(&public)
        .map_err(|source| Error::Recipients { path: public_path.clone(), source })?;
    match (recipients.pop(), recipients.is_empty()) {
        (Some(recipient), true) => {
            let made_for = public.lines().find_map(|line| line.strip_prefix(RECIPIENTS)).unwrap_or_default();
            Ok(Some(Period { sealed, recipient, made_for: made_for.to_owned() }))
        }
        _ => Err(Error::Period(public_path)),
    }
}

fn digest(bytes: &[u8]) -> String {
    digest::hex(&digest::sha256(&[bytes]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::{Identities, unwrap_with};
    use crate::crypto::prompt::Nobody;

    #[test]
    fn a_recipient_opens_the_period_key_and_with_it_what_was_sealed_to_the_period() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, recipient) = identity::generate();
        let prompt: Arc<dyn Prompt> = Arc::new(Nobody);
        assert!(read(dir.path()).unwrap().is_none());
        let made = make(dir.path(), &[recipient], &prompt).unwrap();
        let period = read(dir.path()).unwrap().unwrap();
        assert_eq!((&period.sealed, &period.recipient), (&made.sealed, &made.recipient));

        let slot = recipient::wrap(&[period.recipient], b"root").unwrap();
        let mine = Identities::from_text(Path::new("me"), secret.as_bytes(), Arc::clone(&prompt)).unwrap();
        let opened = mine.unwrap(&period.sealed).unwrap();
        assert_eq!(unwrap_with(std::str::from_utf8(&opened).unwrap(), &slot).unwrap().as_slice(), b"root");
    }

    #[test]
    fn it_is_for_its_recipients_in_any_order_and_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let prompt: Arc<dyn Prompt> = Arc::new(Nobody);
        let [a, b, c] = [0; 3].map(|_| identity::generate().1);
        make(dir.path(), &[a.clone(), b.clone()], &prompt).unwrap();
        let period = read(dir.path()).unwrap().unwrap();
        assert!(period.is_for(&[a.clone(), b.clone()]) && period.is_for(&[b.clone(), a.clone(), b.clone()]));
        assert!(
            !period.is_for(std::slice::from_ref(&a)) && !period.is_for(&[a, b, c]) && !period.is_for(&[])
        );
    }

    #[test]
    fn halves_that_do_not_belong_together_are_never_used() {
        let dir = tempfile::tempdir().unwrap();
        let (_, recipient) = identity::generate();
        let prompt: Arc<dyn Prompt> = Arc::new(Nobody);
        make(dir.path(), std::slice::from_ref(&recipient), &prompt).unwrap();
        let old = std::fs::read(public_path(dir.path())).unwrap();
        make(dir.path(), &[recipient], &prompt).unwrap();
        assert!(read(dir.path()).unwrap().is_some());
        std::fs::write(public_path(dir.path()), old).unwrap();
        assert!(matches!(read(dir.path()), Err(Error::Period(_))));
    }
}
