//! CHECK: a signature over everything so far, by a key that signs once.
//!
//! Each checkpoint announces the public key of the next and is signed by the key the previous one announced; the
//! signing key is wiped as soon as it has signed. Several seals under one key are the silent-truncation hole of
//! systemd's journal (CVE-2023-31438); a checkpoint without its number is its CVE-2023-31439.

use super::frame::Fields;
use crate::crypto::chain::Key;
use crate::crypto::digest::{Digest as _, Sha256, sha256};
use crate::sys::stack::{CIPHER, apart};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

const LABEL: &[u8] = b"sealcast checkpoint v1\0";
/// Length of a CHECK body.
pub(crate) const LEN: usize = 100;

/// What a checkpoint signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) file: &'a [u8; 32],
    pub(crate) epoch: u32,
    pub(crate) seq: u32,
    pub(crate) flags: u8,
    /// Digest of the closed segments.
    pub(crate) closed: &'a [u8; 32],
    /// Digest of this segment's bytes up to the checkpoint.
    pub(crate) running: &'a [u8; 32],
    pub(crate) next: &'a [u8; 32],
}

impl Signed<'_> {
    fn message(&self) -> Vec<u8> {
        let mut message = LABEL.to_vec();
        message.extend_from_slice(self.file);
        message.extend_from_slice(&self.epoch.to_le_bytes());
        message.extend_from_slice(&self.seq.to_le_bytes());
        message.push(self.flags);
        message.extend_from_slice(self.closed);
        message.extend_from_slice(self.running);
        message.extend_from_slice(self.next);
        message
    }

    /// Signs and encodes the body of the chunk.
    pub(crate) fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut body = self.epoch.to_le_bytes().to_vec();
        body.extend_from_slice(self.next);
        let message = self.message();
        body.extend_from_slice(&apart(CIPHER, || key.sign(&message)).to_bytes());
        body
    }

    pub(crate) fn verify(&self, key: &[u8; 32], signature: &[u8; 64]) -> bool {
        // Strict: no weak keys, no second signature for the same message.
        VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(&self.message(), &Signature::from_bytes(signature)).is_ok())
    }
}

/// A checkpoint as stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    pub(crate) epoch: u32,
    pub(crate) next: [u8; 32],
    pub(crate) signature: [u8; 64],
}

pub(crate) fn parse(body: &[u8]) -> Option<Check> {
    let mut fields = Fields(body);
    let check = Check { epoch: fields.u32()?, next: fields.array()?, signature: fields.array()? };
    fields.0.is_empty().then_some(check)
}

/// A fresh signing key, in an allocation: moving it leaves nothing behind.
pub(crate) fn fresh_key() -> Result<Box<SigningKey>, getrandom::Error> {
    let seed = Key::random()?;
    Ok(apart(CIPHER, || Box::new(SigningKey::from_bytes(seed.bytes()))))
}

/// Digests of a file as it grows: of the segment in hand, and of the closed ones folded together.
#[derive(Clone)]
pub(crate) struct Digests {
    segment: Sha256,
    closed: [u8; 32],
}

impl Digests {
    pub(crate) fn new() -> Self {
        Self { segment: Sha256::new(), closed: [0; 32] }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.segment.update(bytes);
    }

    pub(crate) fn segment(&self) -> [u8; 32] {
        self.segment.clone().finalize().into()
    }

    pub(crate) fn closed(&self) -> &[u8; 32] {
        &self.closed
    }

    /// Ends the segment: gives its digest and folds it in.
    pub(crate) fn close(&mut self) -> [u8; 32] {
        let digest = std::mem::replace(&mut self.segment, Sha256::new()).finalize().into();
        self.closed = fold(&self.closed, &digest);
        digest
    }
}

/// H(1 ‖ previous ‖ segment digest).
pub(crate) fn fold(closed: &[u8; 32], segment: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], closed, segment])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stack::reached;

    #[test]
    fn a_signature_and_its_key_reach_no_deeper_than_what_is_overwritten_after_them() {
        let of = &[1; 32];
        let signed = Signed { file: of, epoch: 0, seq: 0, flags: 0, closed: of, running: of, next: of };
        let key = fresh_key().unwrap();
        for reached in [reached(|| drop(fresh_key().unwrap())), reached(|| drop(signed.sign(&key)))] {
            assert!(reached < CIPHER + 4096, "{reached}");
        }
    }
}
