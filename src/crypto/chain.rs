//! Keys that only go forward: HKDF for the start of a chain, HMAC-SHA-256 for every step.
//!
//! After Schneier & Kelsey, *Cryptographic Support for Secure Logs on Untrusted Machines* (1998): whoever learns a
//! key learns nothing of the keys before it. Every key is made in an allocation and stays there, so that moving it copies
//! nothing and dropping it wipes the only place; what a step leaves on the stack is overwritten after it.

use crate::sys::stack::{DIGEST, apart};
use hkdf::Hkdf;
use hmac::digest::FixedOutput as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroize as _;

/// 32 secret bytes.
#[derive(Clone)]
pub struct Key(Box<[u8; 32]>);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Key {
    /// A key from bytes that are already secret. Where they were is for the caller to wipe.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Box::new(bytes))
    }

    /// A key that `write` makes in its place.
    fn made(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Self(Box::new([0; 32]));
        apart(DIGEST, || write(&mut key.0));
        key
    }

    /// A fresh key from the system's random number generator.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self(Box::new([0; 32]));
        getrandom::fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The start of a chain: HKDF-SHA256 with this key as input key material.
    pub fn derive(&self, salt: &[u8], info: &[u8]) -> Self {
        Self::made(|key| {
            // 32 bytes is within what HKDF-SHA256 can give (255 × 32), so this cannot fail.
            let _ = Hkdf::<Sha256>::new(Some(salt), self.bytes()).expand(info, key);
        })
    }

    /// The key that follows under `label`: HMAC-SHA-256(self, label).
    pub fn step(&self, label: &[u8]) -> Self {
        Self::made(|key| self.mac(label, key))
    }

    /// A public value that proves knowledge of this key without giving it away.
    pub fn commitment(&self) -> [u8; 32] {
        let mut value = [0; 32];
        apart(DIGEST, || self.mac(b"commitment", &mut value));
        value
    }

    fn mac(&self, label: &[u8], out: &mut [u8; 32]) {
        // HMAC takes a key of any length, so this cannot fail.
        match Hmac::<Sha256>::new_from_slice(self.bytes()) {
            Ok(mut mac) => {
                mac.update(label);
                mac.finalize_into(out.into());
            }
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }

    /// The bytes, for the primitive that uses them.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::hex;
    use crate::sys::stack::reached;

    #[test]
    fn derivation_is_rfc_5869_and_steps_are_rfc_4231() {
        // RFC 5869 has 22-byte input keys; ours are 32, so the vector here was computed with Python's `cryptography`.
        let key = Key::from_bytes([7; 32]);
        assert_eq!(
            hex(key.derive(b"salt", b"content").bytes()),
            "0f709b360ad0fc56c98f629e80906ce06b287cf517927ff558361e28a57160bd"
        );
        assert_eq!(
            hex(key.step(b"next").bytes()),
            "da8d92982995cfc695d5bf0aee71e67be0d4b328f6a11d8231635d2ca8a7496f"
        );
    }

    #[test]
    fn a_step_reaches_no_deeper_than_what_is_overwritten_after_it() {
        let key = Key::from_bytes([7; 32]);
        let steps: [&dyn Fn(); 3] =
            [&|| drop(key.step(b"next")), &|| drop(key.derive(b"salt", b"content")), &|| {
                std::hint::black_box(key.commitment());
            }];
        for step in steps {
            let reached = reached(step);
            assert!(reached < DIGEST + 4096, "{reached}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", Key::from_bytes([1; 32])), "Key(…)");
    }
}
