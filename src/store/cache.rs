//! Index keys that were unwrapped before, kept on the investigator's machine so that the next search need not unwrap them
//! again. Never needed for a right answer: what they open is authenticated, and whatever is wrong with the file means no
//! cache.
//!
//! An index key opens metadata and index of one recording, not its content. The file is sealed to the investigator's own
//! recipients: `u32` length (little-endian) of an age file with a random key, the age file, then nonce, ciphertext and tag
//! (see [`crate::crypto::seal`]) of 64 bytes a recording: SHA-256 of its beginning (prologue and header) and the key. The
//! digest is what invalidates it: another recording has another one. Written whole under a new key, and renamed.

use super::personal::{self, Error};
use super::seal::Opener;
use crate::crypto::chain::Key;
use crate::crypto::recipient::{self, Recipient};
use crate::crypto::seal;
use crate::sys;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Most keys kept.
const MOST: usize = 65_536;
/// Bytes of one record.
const RECORD: usize = 64;
/// What the sealed part is bound to.
const LABEL: &[u8] = b"sealcast index keys 1";

/// Teaches an opener the keys in the file, if it can be read and opened.
pub fn load(path: &Path, opener: &Opener) {
    let Ok(file) = sys::trust::open(path, sys::ids::effective_uid()) else { return };
    let mut bytes = Vec::new();
    let most = recipient::MAX_AGE_FILE + MOST * RECORD + 1024;
    if file.take(most as u64).read_to_end(&mut bytes).is_err() {
        return;
    }
    for record in open(&bytes, opener).unwrap_or_default().chunks_exact(RECORD) {
        if let Some((file, key)) = record.split_first_chunk::<32>()
            && let Ok(key) = <[u8; 32]>::try_from(key)
        {
            opener.know(*file, key);
        }
    }
}

fn open(bytes: &[u8], opener: &Opener) -> Option<Zeroizing<Vec<u8>>> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (wrapped, sealed) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let key: [u8; 32] = opener.identities().unwrap(wrapped).ok()?.as_slice().try_into().ok()?;
    seal::open(&Key::from_bytes(key), &[LABEL], sealed).map(Zeroizing::new)
}

/// Keeps what the opener knows, when it has learned something since.
///
/// # Errors
/// None of the identities has a recipient that can be told, or writing failed. Nothing depends on it.
pub fn save(path: &Path, opener: &Opener) -> Result<(), Error> {
    if opener.learned() == 0 {
        return Ok(());
    }
    let recipients: Vec<Recipient> = opener
        .identities()
        .recipients()
        .into_iter()
        .filter_map(|(_, recipients)| recipients.ok())
        .flatten()
        .filter(|recipient| recipient.needs_plugin().is_none())
        .collect();
    let key = Key::random()
        .map_err(|error| sys::Error::at("make a key for", path, std::io::Error::other(error)))?;
    let wrapped = recipient::wrap(&recipients, key.bytes()).map_err(Error::Wrap)?;
    let mut plain = Zeroizing::new(Vec::new());
    for (file, key) in opener.known().into_iter().take(MOST) {
        plain.extend_from_slice(&file);
        plain.extend_from_slice(key.bytes());
    }
    let mut bytes = u32::try_from(wrapped.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    bytes.extend_from_slice(&wrapped);
    seal::seal(&key, &[LABEL], &plain, &mut bytes)
        .map_err(|error| sys::Error::at("seal", path, std::io::Error::other(error)))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    sys::file::create_private_dir(dir)?;
    let _lock = personal::lock(dir)?;
    let draft = personal::draft(path, &bytes)?;
    std::fs::rename(&draft, path).map_err(|e| sys::Error::at("rename", &draft, e))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::{self, Identities};
    use crate::crypto::prompt::Nobody;
    use std::sync::Arc;

    fn opener(secret: &str) -> Opener {
        Opener::new(Identities::from_text(Path::new("mine"), secret.as_bytes(), Arc::new(Nobody)).unwrap())
    }

    #[test]
    fn keys_come_back_for_their_owner_and_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache").join("index-keys");
        let (mine, _) = identity::generate();
        let (other, _) = identity::generate();
        let first = opener(&mine);
        first.learn([1; 32], [2; 32]);
        first.learn([3; 32], [4; 32]);
        save(&path, &first).unwrap();
        let second = opener(&mine);
        load(&path, &second);
        let mut known: Vec<_> =
            second.known().into_iter().map(|(file, key)| (file[0], key.bytes()[0])).collect();
        known.sort_unstable();
        assert_eq!((known, second.learned()), (vec![(1, 2), (3, 4)], 0));
        let stranger = opener(&other);
        load(&path, &stranger);
        assert!(stranger.known().is_empty());
        let stored = std::fs::read(&path).unwrap();
        assert!(!stored.windows(32).any(|w| w == [2; 32] || w == [1; 32]), "nothing is readable");
        for at in [0, 10, stored.len() / 2, stored.len() - 1] {
            let mut bad = stored.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            let third = opener(&mine);
            load(&path, &third);
            assert!(third.known().is_empty(), "byte {at}");
        }
    }

    #[test]
    fn nothing_is_written_when_nothing_was_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index-keys");
        save(&path, &opener(&identity::generate().0)).unwrap();
        assert!(!path.exists());
    }
}
