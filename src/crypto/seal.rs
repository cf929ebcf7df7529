//! Authenticated encryption of one chunk: ChaCha20-Poly1305 (RFC 8439), the nonce in front of the ciphertext.
//!
//! A key seals one chunk. The random nonce is the second line: it protects a virtual machine that was cloned in the
//! middle of a session, where both copies would seal different text under the same key.

use super::chain::Key;
use crate::sys::stack::{CIPHER, apart};
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};

/// Bytes that sealing adds: nonce and tag.
pub const OVERHEAD: usize = NONCE + TAG;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Appends nonce, ciphertext and tag of `plaintext` to `out`.
///
/// # Errors
/// When the system has no randomness to give.
pub fn seal(
    key: &Key,
    associated: &[&[u8]],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), getrandom::Error> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce)?;
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plaintext);
    let body = out.get_mut(start..).unwrap_or_default();
    let (nonce, associated) = (Nonce::from_slice(&nonce), associated.concat());
    // The cipher holds the key, and leaves more of it on the stack.
    let sealed = apart(CIPHER, || {
        ChaCha20Poly1305::new(key.bytes().into()).encrypt_in_place_detached(nonce, &associated, body)
    });
    match sealed {
        Ok(tag) => out.extend_from_slice(&tag),
        // Only a text of 256 GiB is refused; chunks are a million times smaller.
        Err(_) => unreachable!("a chunk is far below the cipher's limit"),
    }
    Ok(())
}

/// Opens what [`seal`] wrote, in place of `sealed`. `None` when it is not authentic.
pub fn open(key: &Key, associated: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE)?;
    let (body, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    let mut plain = body.to_vec();
    ChaCha20Poly1305::new(key.bytes().into())
        .decrypt_in_place_detached(
            Nonce::from_slice(nonce),
            &associated.concat(),
            &mut plain,
            Tag::from_slice(tag),
        )
        .ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_reaches_no_deeper_than_what_is_overwritten_after_it() {
        let key = Key::from_bytes([3; 32]);
        let text = vec![1; 1 << 16];
        let reached = crate::sys::stack::reached(|| seal(&key, &[b"file"], &text, &mut Vec::new()).unwrap());
        assert!(reached < CIPHER + 4096, "{reached}");
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let key = Key::from_bytes([3; 32]);
        let mut sealed = Vec::new();
        seal(&key, &[b"file", b"frame"], b"hello", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(open(&key, &[b"fileframe"], &sealed).unwrap(), b"hello");
        assert!(open(&key, &[b"fileframf"], &sealed).is_none());
        assert!(open(&Key::from_bytes([4; 32]), &[b"file", b"frame"], &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, &[b"file", b"frame"], &bad).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, &[b"file", b"frame"], &sealed[..length]).is_none());
        }
    }
}
