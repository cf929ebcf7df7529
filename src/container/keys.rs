//! The chains of one session: content by segment and chunk, index by entry. Old keys are gone once a chain has moved on.

use super::error::Error;
use super::header::Header;
use super::limits;
use crate::crypto::chain::Key;
use crate::crypto::digest::{hex, unhex};
use std::sync::{Arc, Mutex, PoisonError};

/// What a new session starts from. Wrap [`SessionKeys::root`] (and, for people who may search but not watch,
/// [`SessionKeys::index`]) to the recipients, then hand the whole to the writer, which wipes the root.
pub struct SessionKeys {
    session: [u8; 16],
    root: Key,
}

impl SessionKeys {
    /// Fresh keys and a fresh session id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, Error> {
        let mut session = [0; 16];
        getrandom::fill(&mut session)?;
        Ok(Self { session, root: Key::random()? })
    }

    /// The session id.
    pub fn session(&self) -> &[u8; 16] {
        &self.session
    }

    /// The root key: opens everything.
    pub fn root(&self) -> &[u8; 32] {
        self.root.bytes()
    }

    /// The start of the index chain: opens metadata, index and filters only.
    pub fn index(&self) -> Key {
        index_start(&self.root, &self.session)
    }

    pub(crate) fn content(&self) -> Key {
        content_start(&self.root, &self.session)
    }

    /// Writes session id and commitments into a header.
    pub(crate) fn commit(&self, header: &mut Header) {
        header.session = hex(&self.session);
        header.content = hex(&self.content().commitment());
        header.index = hex(&self.index().commitment());
    }
}

fn content_start(root: &Key, session: &[u8; 16]) -> Key {
    root.derive(session, b"content")
}

fn index_start(root: &Key, session: &[u8; 16]) -> Key {
    root.derive(session, b"index")
}

/// What opens a recording, checked against the commitments of its header.
#[derive(Clone)]
pub(crate) struct Unlocked {
    pub(crate) content: Option<Content>,
    pub(crate) index: Key,
}

impl Unlocked {
    /// From the root key: everything opens.
    pub(crate) fn with_root(header: &Header, root: [u8; 32]) -> Result<Self, Error> {
        let session = header.session_bytes().ok_or(Error::WrongKey)?;
        let root = Key::from_bytes(root);
        let content = content_start(&root, &session);
        if Some(content.commitment()) != unhex(&header.content) {
            return Err(Error::WrongKey);
        }
        let index = Self::with_index(header, *index_start(&root, &session).bytes())?.index;
        Ok(Self { content: Some(Content::new(content)), index })
    }

    /// From the index key: metadata and index open, content does not.
    pub(crate) fn with_index(header: &Header, index: [u8; 32]) -> Result<Self, Error> {
        let index = Key::from_bytes(index);
        if Some(index.commitment()) != unhex(&header.index) {
            return Err(Error::WrongKey);
        }
        Ok(Self { content: None, index })
    }
}

/// The content chain of a recording that is read, whose places are asked for in any order. Clones share the way that was gone.
#[derive(Clone)]
pub(crate) struct Content(Arc<Mutex<Vec<Key>>>);

impl Content {
    /// Every so many places one is kept: a file may have a million segments, and who looks for one may open each of them, also from the
    /// last to the first.
    const KEPT: usize = 64;

    fn new(start: Key) -> Self {
        Self(Arc::new(Mutex::new(vec![start])))
    }

    /// The place of a segment.
    pub(crate) fn at(&self, segment: usize) -> Option<Key> {
        let on = |mut key: Key, steps: usize| {
            (0..steps).for_each(|_| key = next_segment(&key));
            key
        };
        let (kept, rest) = (segment.checked_div(Self::KEPT)?, segment.checked_rem(Self::KEPT)?);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while places.len() <= kept {
            let next = on(places.last()?.clone(), Self::KEPT);
            places.push(next);
        }
        let before = places.get(kept)?.clone();
        drop(places);
        Some(on(before, rest))
    }
}

/// A chain that gives one key per step.
#[derive(Clone)]
pub(crate) struct Chain(Key);

impl Chain {
    pub(crate) fn new(start: Key) -> Self {
        Self(start)
    }

    /// The chain of the chunks of a segment, from the segment's place in the content chain.
    pub(crate) fn of_segment(content: &Key) -> Self {
        Self(content.step(b"seg"))
    }

    /// The key of this step; the chain moves on.
    pub(crate) fn key(&mut self) -> Key {
        let key = self.0.step(b"key");
        self.0 = self.0.step(b"next");
        key
    }
}

/// The place of the next segment in the content chain.
pub(crate) fn next_segment(content: &Key) -> Key {
    #[cfg(test)]
    STEPS.set(STEPS.get().saturating_add(1));
    content.step(b"next")
}

#[cfg(test)]
thread_local! {
    /// How often this thread has called [`next_segment`].
    pub(crate) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Pads a plaintext with 0x80 00… to a multiple of [`limits::PAD`].
pub(crate) fn pad(plain: &mut Vec<u8>) {
    plain.push(0x80);
    let len = plain.len().next_multiple_of(limits::PAD);
    plain.resize(len, 0);
}

/// Takes the padding off; `None` when there is none.
pub(crate) fn unpad(plain: &mut Vec<u8>) -> Option<()> {
    while plain.last() == Some(&0) {
        plain.pop();
    }
    (plain.pop() == Some(0x80)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_comes_off_whatever_it_was_put_on() {
        for n in 0..200 {
            for tail in [0u8, 0x80, 1] {
                let text = vec![tail; n];
                let mut padded = text.clone();
                pad(&mut padded);
                assert_eq!(padded.len() % limits::PAD, 0);
                assert!(padded.len() > n);
                unpad(&mut padded).unwrap();
                assert_eq!(padded, text);
            }
        }
        assert!(unpad(&mut vec![0; 64]).is_none());
    }

    #[test]
    fn keys_that_do_not_belong_to_a_header_are_refused() {
        let keys = SessionKeys::generate().unwrap();
        let mut header = Header::default();
        keys.commit(&mut header);
        assert!(Unlocked::with_root(&header, *keys.root()).is_ok());
        assert!(Unlocked::with_index(&header, *keys.index().bytes()).is_ok());
        assert!(Unlocked::with_root(&header, *keys.index().bytes()).is_err());
        assert!(Unlocked::with_index(&header, *keys.root()).is_err());
        let other = SessionKeys::generate().unwrap();
        assert!(Unlocked::with_root(&header, *other.root()).is_err());
    }
}
