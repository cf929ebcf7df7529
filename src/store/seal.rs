//! Keys and recordings brought together: to whom a recording is sealed, who opens one, whose signature it bears.

use super::period::Period;
use crate::container::cert::NAMESPACE;
use crate::container::verify::Origin;
use crate::container::{self, Certificate, Reader, SessionKeys, Slot, SlotKind};
use crate::crypto::chain::Key;
use crate::crypto::digest::sha256;
use crate::crypto::identity::{self, Identities, Tried, UnwrapError, Why};
use crate::crypto::known_keys::{KnownKeys, Trust};
use crate::crypto::recipient::{self, Recipient, WrapError, labels_of};
use crate::crypto::sshsig;
use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Seals the keys of a session: to the period key when there is one that was made for these recipients (they open it
/// then), or else to the recipients themselves. A period key made for others is never used: somebody would be missing, or
/// somebody would read who should not.
///
/// # Errors
/// No recipients, more than a recording has room for, or one that needs a plugin: plugins never run in a recorder.
pub fn slots(
    keys: &SessionKeys,
    recipients: &[Recipient],
    period: Option<&Period>,
) -> Result<Vec<Slot>, WrapError> {
    let Some(period) = period.filter(|period| period.is_for(recipients)) else {
        return Ok(vec![Slot { kind: SlotKind::Root, age: recipient::wrap(recipients, keys.root())? }]);
    };
    recipient::check_room(recipients).map_err(WrapError::TooMany)?;
    let root = recipient::wrap(std::slice::from_ref(&period.recipient), keys.root())?;
    Ok(vec![
        Slot { kind: SlotKind::Period, age: period.sealed.clone() },
        Slot { kind: SlotKind::Root, age: root },
    ])
}

/// How much an identity opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Content,
    /// Metadata and index.
    Index,
}

/// The most recipients that are named where none of the identities opens it; `sealcast show` names them all.
const MOST_NAMED: usize = 5;

/// To whom a recording is sealed, as its header lists them, in a message: not more than have room in one.
pub fn named(recipients: &[String]) -> String {
    first_of(labels_of(recipients))
}

/// Whether [`named`] names all of them, and a refusal does.
pub fn names_all(recipients: &[String]) -> bool {
    recipients.len() <= MOST_NAMED
}

fn first_of(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    if names.is_empty() {
        names.push("nobody".to_owned());
    }
    let named = crate::text::escaped(&names.join(", ")).to_string();
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// Why a recording could not be opened.
#[derive(Debug)]
pub enum UnlockError {
    /// No identity opens it.
    Unwrap {
        /// To whom it is sealed, as its header says.
        recipients: Vec<String>,
        /// Which identity files were tried, and why each did not do.
        source: UnwrapError,
    },
    /// An identity opened a slot, but what was in it does not open the recording, or the index is damaged.
    Container(container::Error),
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What was tried comes first: recipients may be many.
            Self::Unwrap { recipients, source } => {
                let mut names = labels_of(recipients);
                let why = match source {
                    UnwrapError::NoIdentity { slots, tried } => {
                        if names.is_empty() {
                            names = slots.iter().map(ToString::to_string).collect();
                        }
                        identity::all_tried(tried)
                    }
                    other => other.to_string(),
                };
                write!(f, "cannot open the recording: {why}; it is sealed to {}", first_of(names))
            }
            Self::Container(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for UnlockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unwrap { .. } => None,
            Self::Container(error) => error.source(),
        }
    }
}

/// Opens a recording with the first slot that the identities open: the root key, directly or through a period key, or
/// else the index key alone.
///
/// # Errors
/// [`UnlockError`].
pub fn unlock<R: Read + Seek>(
    reader: &mut Reader<R>,
    identities: &Identities,
) -> Result<Access, UnlockError> {
    unlock_by(reader, identities, &|period| identities.unwrap(period))
}

/// Opens many recordings, from many threads. A period key is unwrapped once, whatever number of recordings carries it, and
/// index keys that are known already are not unwrapped at all.
pub struct Opener {
    identities: Identities,
    periods: Mutex<HashMap<[u8; 32], Zeroizing<Vec<u8>>>>,
    /// By file id.
    known: Mutex<HashMap<[u8; 32], Key>>,
    learned: AtomicUsize,
}

impl Opener {
    /// With these identities.
    pub fn new(identities: Identities) -> Self {
        Self { identities, periods: Mutex::default(), known: Mutex::default(), learned: AtomicUsize::new(0) }
    }

    /// The identities.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Takes in an index key that was known before; `file` is the SHA-256 of the recording's beginning.
    pub(super) fn know(&self, file: [u8; 32], key: [u8; 32]) {
        lock(&self.known).insert(file, Key::from_bytes(key));
    }

    pub(super) fn learn(&self, file: [u8; 32], key: [u8; 32]) {
        let before = lock(&self.known).insert(file, Key::from_bytes(key));
        self.learned.fetch_add(usize::from(before.is_none()), Ordering::Relaxed);
    }

    /// Index keys by recording.
    pub(super) fn known(&self) -> Vec<([u8; 32], Key)> {
        lock(&self.known).iter().map(|(file, key)| (*file, key.clone())).collect()
    }

    /// How many index keys were unwrapped that were not known.
    pub fn learned(&self) -> usize {
        self.learned.load(Ordering::Relaxed)
    }

    /// Opens metadata and index, and the content where that comes with it.
    ///
    /// # Errors
    /// [`UnlockError`].
    pub fn open_index<R: Read + Seek>(&self, reader: &mut Reader<R>) -> Result<Access, UnlockError> {
        let known = lock(&self.known).get(reader.file_id()).map(|key| *key.bytes());
        // A wrong key in a cache costs a moment, nothing else: what it opens is authenticated.
        if let Some(key) = known
            && reader.unlock_index(key).is_ok()
        {
            return Ok(Access::Index);
        }
        self.open_content(reader)
    }

    /// Opens everything that the identities open.
    ///
    /// # Errors
    /// [`UnlockError`].
    pub fn open_content<R: Read + Seek>(&self, reader: &mut Reader<R>) -> Result<Access, UnlockError> {
        let access = unlock_by(reader, &self.identities, &|period| {
            let digest = sha256(&[period]);
            if let Some(text) = lock(&self.periods).get(&digest) {
                return Ok(text.clone());
            }
            let text = self.identities.unwrap(period)?;
            lock(&self.periods).insert(digest, text.clone());
            Ok(text)
        })?;
        if let Some(key) = reader.index_key() {
            self.learn(*reader.file_id(), key);
        }
        Ok(access)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the age file of a period slot.
type Unwrap<'a> = dyn Fn(&[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> + 'a;

fn unlock_by<R: Read + Seek>(
    reader: &mut Reader<R>,
    identities: &Identities,
    unwrap_period: &Unwrap<'_>,
) -> Result<Access, UnlockError> {
    let slots = reader.slots().to_vec();
    let of = |kind| slots.iter().filter(move |slot| slot.kind == kind);
    let mut failure = None;
    let mut keep = |error| {
        // A slot that is damaged says more than one that is sealed to others.
        if failure.is_none() || !matches!(error, UnwrapError::NoIdentity { .. }) {
            failure = Some(error);
        }
    };
    let has_period = of(SlotKind::Period).next().is_some();
    let mut period_opened = false;
    for period in of(SlotKind::Period) {
        match unwrap_period(&period.age) {
            Ok(text) => {
                period_opened = true;
                let Ok(text) = std::str::from_utf8(&text) else { continue };
                for root in of(SlotKind::Root) {
                    match identity::unwrap_with(text, &root.age) {
                        Ok(key) => return open_root(reader, &key),
                        Err(error) => keep(error),
                    }
                }
            }
            Err(error) => keep(error),
        }
    }
    for root in of(SlotKind::Root) {
        match identities.unwrap(&root.age) {
            Ok(key) => return open_root(reader, &key),
            // Sealed to the period key, which is nobody's identity: what the period slot said is the better answer.
            Err(UnwrapError::NoIdentity { .. }) if has_period => {}
            Err(error) => keep(error),
        }
    }
    for index in of(SlotKind::Index) {
        match identities.unwrap(&index.age) {
            Ok(key) => {
                reader.unlock_index(key_of(&key)?).map_err(UnlockError::Container)?;
                return Ok(Access::Index);
            }
            Err(error) => keep(error),
        }
    }
    // Where it is sealed to nobody, nothing was there to be tried.
    let source = failure.unwrap_or_else(|| UnwrapError::NoIdentity {
        slots: Vec::new(),
        tried: identities.paths().map(|path| Tried { path: path.to_owned(), why: Why::NoMatch }).collect(),
    });
    let recipients = reader.header().recipients.clone();
    // A kind of slots that a later version knows may be theirs: there is none in ours.
    if reader.is_of_later_version() && slots.iter().any(|slot| matches!(slot.kind, SlotKind::Other(_))) {
        return Err(UnlockError::Unwrap { recipients, source });
    }
    if period_opened {
        return Err(UnlockError::Container(reader.period_opens_nothing()));
    }
    match shut_out(&recipients, identities, &source) {
        Some(name) => Err(UnlockError::Container(reader.shuts_out(&name))),
        None => Err(UnlockError::Unwrap { recipients, source }),
    }
}

/// Whether the header lists a recipient of an identity that could be used and did not open anything: whoever has it need not name it to
/// miss what it does not open.
pub fn is_of_ours(error: &UnlockError, identities: &Identities) -> bool {
    let UnlockError::Unwrap { recipients, source } = error else { return false };
    shut_out(recipients, identities, source).is_some()
}

/// The recipient among these, those that the header lists, that an identity has which could be used and did not open anything. Whoever
/// has the host's key can seal other slots, or none, and sign them: the header they must leave, as what is sealed is bound to it.
fn shut_out(listed: &[String], identities: &Identities, failure: &UnwrapError) -> Option<String> {
    let was_used = |path: &Path| match failure {
        UnwrapError::NoIdentity { tried, .. } => {
            tried.iter().any(|tried| tried.path == path && matches!(tried.why, Why::NoMatch))
        }
        // It failed before all were asked, and nobody is asked for a passphrase now.
        _ => !identities.is_locked(),
    };
    if !identities.paths().any(was_used) {
        return None;
    }
    let used = identities.recipients().into_iter().filter(|(path, _)| was_used(path));
    let own: Vec<Recipient> = used.filter_map(|(_, recipients)| recipients.ok()).flatten().collect();
    let mut listed = listed.iter().filter_map(|listed| listed.parse::<Recipient>().ok());
    listed.find(|listed| own.contains(listed)).map(|recipient| recipient.label())
}

fn open_root<R: Read + Seek>(
    reader: &mut Reader<R>,
    key: &Zeroizing<Vec<u8>>,
) -> Result<Access, UnlockError> {
    reader.unlock(key_of(key)?).map_err(UnlockError::Container)?;
    Ok(Access::Content)
}

fn key_of(bytes: &[u8]) -> Result<[u8; 32], UnlockError> {
    bytes.try_into().map_err(|_| UnlockError::Container(container::Error::WrongKey))
}

/// Checks the signature of a certificate, and whose it is, against the keys that are known.
pub fn certify(known: &KnownKeys, certificate: &Certificate) -> Origin {
    let key = match sshsig::verify(&certificate.signature, NAMESPACE, certificate.text.as_bytes()) {
        Ok(key) => key,
        Err(error) => return Origin::Bad(error.to_string()),
    };
    let fingerprint = key.fingerprint();
    match known.trust(&certificate.statement.host, NAMESPACE, &key) {
        Trust::Trusted => Origin::Trusted(fingerprint),
        Trust::Revoked => Origin::Revoked(fingerprint),
        Trust::OtherHost(hosts) => Origin::Unknown(format!("{fingerprint} (known for {})", hosts.join(", "))),
        Trust::OtherPurpose => Origin::Unknown(format!("{fingerprint} (known, but not for recordings)")),
        Trust::Unknown => Origin::Unknown(fingerprint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Header as CastHeader;
    use crate::container::verify::{Verdict, verify};
    use crate::container::{Extras, Header, Meta, Setup, Writer};
    use crate::crypto::prompt::Nobody;
    use crate::crypto::sshsig::Signer;
    use std::io::Cursor;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn recorded(slots_of: impl FnOnce(&SessionKeys) -> Vec<Slot>, signer: &Signer) -> Vec<u8> {
        let keys = SessionKeys::generate().unwrap();
        let setup = Setup {
            slots: slots_of(&keys),
            header: Header {
                host: "web-3".into(),
                recipients: vec!["age1somebody".into()],
                ..Header::default()
            },
            meta: Meta::default(),
            cast: CastHeader::new(80, 24),
            ledger: String::new(),
        };
        let writer =
            Writer::create(Vec::new(), keys, setup, |text| Ok(signer.sign(NAMESPACE, text.as_bytes())?))
                .unwrap();
        writer.finish(Duration::ZERO, Extras::default()).map_err(|(e, _)| e).unwrap().1
    }

    fn identities(text: &str) -> Identities {
        Identities::from_text(Path::new("mine.txt"), text.as_bytes(), Arc::new(Nobody)).unwrap()
    }

    #[test]
    fn the_public_header_has_room_for_as_many_recipients_as_are_allowed_whatever_else_stands_in_it() {
        // What is escaped takes the most.
        let longest = |bytes: usize| "\u{1}".repeat(bytes);
        let header = Header {
            session: "0".repeat(32),
            cipher: "chacha20poly1305".into(),
            compression: "zstd".into(),
            content: "0".repeat(64),
            index: "0".repeat(64),
            recipients: Vec::new(),
            start: i64::MIN,
            host: longest(64),
            machine: "0".repeat(32),
            user: longest(256),
            caller: longest(256),
            target: longest(256),
            retention: longest(256),
            tool: "sealcast 1000.1000.1000".into(),
            policy: "0".repeat(64),
        };
        let others = serde_json::to_vec(&header).unwrap().len();
        assert!(others + recipient::MAX_LISTED <= container::limits::HEADER, "{others}");
    }

    #[test]
    fn a_recipient_opens_everything_a_searcher_the_index_and_a_stranger_is_told_whose_it_is() {
        let signer = Signer::generate("test").unwrap();
        let (mine, recipient) = identity::generate();
        let (searcher, search_recipient) = identity::generate();
        let (stranger, _) = identity::generate();
        let bytes = recorded(
            |keys| {
                let mut slots = slots(keys, &[recipient], None).unwrap();
                let age = recipient::wrap(&[search_recipient], keys.index().bytes()).unwrap();
                slots.push(Slot { kind: SlotKind::Index, age });
                slots
            },
            &signer,
        );
        let open = |text: &str| {
            let mut reader = Reader::open(Cursor::new(bytes.clone())).unwrap();
            unlock(&mut reader, &identities(text))
        };
        assert_eq!(open(&mine).unwrap(), Access::Content);
        assert_eq!(open(&searcher).unwrap(), Access::Index);
        let told = open(&stranger).unwrap_err().to_string();
        assert!(told.contains("age1somebody") && told.contains("mine.txt"), "{told}");
    }

    #[test]
    fn a_period_key_opens_for_the_recipients_it_was_made_for() {
        let dir = tempfile::tempdir().unwrap();
        let signer = Signer::generate("test").unwrap();
        let (mine, recipient) = identity::generate();
        let prompt: Arc<dyn crate::crypto::prompt::Prompt> = Arc::new(Nobody);
        let period =
            super::super::period::make(dir.path(), std::slice::from_ref(&recipient), &prompt).unwrap();
        let bytes = recorded(|keys| slots(keys, &[recipient], Some(&period)).unwrap(), &signer);
        let mut reader = Reader::open(Cursor::new(bytes.clone())).unwrap();
        assert_eq!(unlock(&mut reader, &identities(&mine)).unwrap(), Access::Content);
        let mut reader = Reader::open(Cursor::new(bytes)).unwrap();
        assert!(unlock(&mut reader, &identities(&identity::generate().0)).is_err());
    }

    #[test]
    fn a_period_key_made_before_a_recipient_was_added_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (_, old) = identity::generate();
        let (added, recipient) = identity::generate();
        let prompt: Arc<dyn crate::crypto::prompt::Prompt> = Arc::new(Nobody);
        let period = super::super::period::make(dir.path(), std::slice::from_ref(&old), &prompt).unwrap();
        let recipients = [old, recipient];
        let signer = Signer::generate("test").unwrap();
        let bytes = recorded(|keys| slots(keys, &recipients, Some(&period)).unwrap(), &signer);
        let mut reader = Reader::open(Cursor::new(bytes)).unwrap();
        assert_eq!(unlock(&mut reader, &identities(&added)).unwrap(), Access::Content);
    }

    #[test]
    fn a_recording_is_intact_for_who_knows_its_host_and_foreign_for_others() {
        let signer = Signer::generate("test").unwrap();
        let (_, recipient) = identity::generate();
        let bytes = recorded(|keys| slots(keys, &[recipient], None).unwrap(), &signer);
        let judge =
            |known: &KnownKeys| verify(Cursor::new(&bytes), |c| certify(known, c), |_| ()).unwrap().verdict;
        let known = KnownKeys::parse(&format!("web-3 {}\n", signer.host_key())).unwrap();
        assert_eq!(judge(&known), Verdict::Intact);
        let other = KnownKeys::parse(&format!("db-1 {}\n", signer.host_key())).unwrap();
        assert!(matches!(judge(&other), Verdict::Foreign { .. }));
        assert!(matches!(judge(&KnownKeys::default()), Verdict::Foreign { .. }));
        let revoked = KnownKeys::parse(&format!("web-3 {0}\n@revoked * {0}\n", signer.host_key())).unwrap();
        assert!(matches!(judge(&revoked), Verdict::Foreign { .. }));
    }
}
