//! What is secret in a recording that is being made: worked out from the file, with the identity that opens it, in every
//! form in which it could lie about in memory.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use super::memory::Piece;
use super::sample::root_key;
use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use sealcast::container::{Reader, SlotKind, frame};
use sealcast::crypto::chain::Key;
use sealcast::crypto::digest::Sha256;
use std::collections::HashMap;
use std::str::FromStr as _;

/// Half of a key: enough to tell it, and not missed when the other half has been overwritten.
const HALF: usize = 16;

/// Secrets that must not be found, or that must.
#[derive(Default)]
pub struct Secrets {
    /// What is looked for, and what it is.
    needles: HashMap<[u8; HALF], String>,
    /// Whether some needle begins with these two bytes.
    begins: Vec<bool>,
}

impl Secrets {
    /// Adds a secret in pieces of 16 bytes; a rest is left out.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.begins.resize(1 << 16, false);
        for half in bytes.as_chunks::<HALF>().0 {
            self.begins[usize::from(u16::from_le_bytes([half[0], half[1]]))] = true;
            self.needles.insert(*half, name.to_owned());
        }
    }

    /// Adds a key of a chain: itself, and what HMAC makes of it first, which is as good as the key.
    fn add_key(&mut self, name: &str, key: &Key) {
        self.add(name, key.bytes());
        for (pad, byte) in [("inner", 0x36), ("outer", 0x5c)] {
            let mut block = [byte; 64];
            block.iter_mut().zip(key.bytes()).for_each(|(block, key)| *block ^= key);
            self.add(&format!("{name}, {pad} block"), &block[..32]);
            let state = compressed(START, &block);
            // As an array of words, and as the registers of the processor's own instructions hold it.
            for order in [[0, 1, 2, 3, 4, 5, 6, 7], [5, 4, 1, 0, 7, 6, 3, 2]] {
                let bytes: Vec<u8> = order.iter().flat_map(|word| state[*word].to_le_bytes()).collect();
                self.add(&format!("{name}, {pad} state"), &bytes);
            }
        }
    }

    /// What of them stands in these pieces of memory, and where.
    pub fn found_in(&self, pieces: &[Piece]) -> Vec<String> {
        let mut found = Vec::new();
        for piece in pieces {
            for (page, at) in piece.bytes.chunks(4096).zip((0..).step_by(4096)) {
                if page.iter().all(|byte| *byte == 0) {
                    continue;
                }
                let end = piece.bytes.len().min(at + page.len() + HALF - 1);
                for (window, offset) in piece.bytes[at..end].windows(HALF).zip(at..) {
                    if self.begins[usize::from(u16::from_le_bytes([window[0], window[1]]))]
                        && let Some(name) = self.needles.get(window)
                    {
                        found.push(format!("{name} in {} at +{offset:#x}", piece.place));
                    }
                }
            }
        }
        found
    }
}

/// What a recording says of itself at some moment: the keys of what is sealed, and those that come next.
pub struct Known {
    /// Whoever has one of these can read or forge what is sealed and signed already.
    pub past: Secrets,
    /// The keys of the next chunk, the next index entry, the next segment: a recorder must have them.
    pub next: Vec<(&'static str, Key)>,
    /// Public keys of the checkpoints: of those that are written, and last of the one to come.
    pub checkpoints: Vec<[u8; 32]>,
    /// Segments that have ended.
    pub segments: usize,
}

impl Known {
    /// Reads a recording that grows. `identity` is the text of an age identity file.
    pub fn of(file: &[u8], identity: &str) -> Option<Self> {
        let reader = Reader::open(std::io::Cursor::new(file)).ok()?;
        let whole = usize::try_from(reader.whole()).ok()?;
        let root = root_key(&reader, identity.as_bytes())?;
        let session = reader.header().session_bytes()?;
        let first = reader.certificate().statement.first;
        let mut past = Secrets::default();
        let root = Key::from_bytes(root);
        past.add_key("the root key", &root);
        for slot in reader.slots().iter().filter(|slot| slot.kind == SlotKind::Root) {
            wrapping(&mut past, &slot.age, identity);
        }
        let (mut content, mut index) = (root.derive(&session, b"content"), root.derive(&session, b"index"));
        let mut chain = content.step(b"seg");
        // The segment in hand: the key it began with is as good as those of all its chunks.
        past.add_key("content(0)", &content);
        let (mut segment, mut chunk, mut entry) = (0, 0, 0);
        let mut checkpoints = vec![first];
        for bytes in chunks(&file[..whole]) {
            match bytes[2] {
                0x10 | 0x11 => {
                    past.add_key(&format!("chain({segment}, {chunk})"), &chain);
                    past.add(
                        &format!("the key of chunk {chunk} of segment {segment}"),
                        chain.step(b"key").bytes(),
                    );
                    (chain, chunk) = (chain.step(b"next"), chunk + 1);
                }
                0x12 => {
                    past.add_key(&format!("index({entry})"), &index);
                    past.add(&format!("the key of index {entry}"), index.step(b"key").bytes());
                    (index, entry) = (index.step(b"next"), entry + 1);
                }
                0x20 => {
                    checkpoints.push(bytes[frame::FRAME_LEN + 4..][..32].try_into().unwrap());
                    if bytes[3] & frame::CLOSES != 0 {
                        (content, segment, chunk) = (content.step(b"next"), segment + 1, 0);
                        past.add_key(&format!("content({segment})"), &content);
                        chain = content.step(b"seg");
                    }
                }
                _ => {}
            }
        }
        let next = vec![
            ("the next chunk", chain),
            ("the next index entry", index),
            ("the next segment", content.step(b"next")),
        ];
        Some(Self { past, next, checkpoints, segments: segment })
    }

    /// Those of the next keys that stand in these pieces of memory.
    pub fn next_found_in(&self, pieces: &[Piece]) -> usize {
        let there =
            |key: &Key| pieces.iter().any(|piece| memchr::memmem::find(&piece.bytes, key.bytes()).is_some());
        self.next.iter().filter(|(_, key)| there(key)).count()
    }
}

/// The chunks of a file that ends with a whole one.
fn chunks(file: &[u8]) -> Vec<&[u8]> {
    let (mut chunks, mut rest) = (Vec::new(), &file[frame::PROLOGUE_LEN..]);
    while let Some(head) = rest.first_chunk() {
        let total = usize::try_from(frame::Frame::parse(head, 0).unwrap().total()).unwrap();
        let (chunk, after) = rest.split_at(total);
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// What opens an age file: its file key, and the key of its text.
fn wrapping(secrets: &mut Secrets, sealed: &[u8], identity: &str) {
    struct Spy(age::x25519::Identity, std::cell::Cell<[u8; 16]>);
    impl age::Identity for Spy {
        fn unwrap_stanza(
            &self,
            stanza: &age_core::format::Stanza,
        ) -> Option<Result<age_core::format::FileKey, age::DecryptError>> {
            let key = self.0.unwrap_stanza(stanza)?;
            if let Ok(key) = &key {
                self.1.set(*age_core::secrecy::ExposeSecret::expose_secret(key));
            }
            Some(key)
        }
    }
    let identity = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let spy = Spy(age::x25519::Identity::from_str(identity).unwrap(), std::cell::Cell::new([0; 16]));
    age::decrypt(&spy, sealed).unwrap();
    let key = spy.1.get();
    secrets.add("the file key of the slot", &key);
    // After the line of the header's own code: the nonce, and the text.
    let line = memchr::memmem::find(sealed, b"\n--- ").unwrap() + 1;
    let nonce = line + sealed[line..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut payload = [0; 32];
    Hkdf::<Sha256>::new(Some(&sealed[nonce..nonce + 16]), &key).expand(b"payload", &mut payload).unwrap();
    secrets.add("the payload key of the slot", &payload);
}

/// An age identity: its text, and the number in it.
pub fn identity(text: &str) -> Secrets {
    let mut secrets = Secrets::default();
    let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let (_, scalar) = bech32::decode(line).unwrap();
    secrets.add("the identity", &scalar);
    let text = line.trim_start_matches("AGE-SECRET-KEY-1");
    for from in 0..HALF {
        secrets.add("the text of the identity", &text.as_bytes()[from..]);
        secrets.add("the text of the identity", &text.to_lowercase().as_bytes()[from..]);
    }
    secrets
}

/// A signing key in OpenSSH's form: its seed, what signing makes of that, and the text it is read from.
pub fn signing_key(text: &str) -> Secrets {
    use base64::Engine as _;
    use sha2::Digest as _;
    let mut secrets = Secrets::default();
    let key = ssh_key::PrivateKey::from_openssh(text).unwrap();
    let seed = key.key_data().ed25519().unwrap().private.to_bytes();
    secrets.add("the seed of the signing key", &seed);
    let mut expanded: [u8; 64] = sha2::Sha512::digest(seed).into();
    secrets.add("the expanded signing key", &expanded);
    (expanded[0], expanded[31]) = (expanded[0] & 0xf8, expanded[31] & 0x7f | 0x40);
    secrets.add("the expanded signing key, clamped", &expanded);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('-')).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(lines.concat()).unwrap();
    let at = memchr::memmem::find(&decoded, &seed).unwrap();
    let (from, to) = (at.div_ceil(3) * 4, (at + seed.len()) / 3 * 4);
    let mut begin = 0;
    for line in lines {
        let part = from.max(begin)..to.min(begin + line.len());
        if part.len() >= HALF {
            for skip in 0..part.len() - HALF {
                let text = &line.as_bytes()[part.start - begin + skip..part.end - begin];
                secrets.add("the text of the signing key", text);
            }
        }
        begin += line.len();
    }
    secrets
}

/// Which of the checkpoints' signing keys stand in these pieces of memory, by their number, and where.
pub fn signers_in(pieces: &[Piece], checkpoints: &[[u8; 32]]) -> Vec<(usize, String)> {
    let (mut tried, mut found) = (std::collections::HashSet::new(), Vec::new());
    for piece in pieces {
        // On a stack anything can stand anywhere; what is allocated stands at whole words.
        let step = if piece.place.contains("[heap]") { 8 } else { 1 };
        for (page, at) in piece.bytes.chunks(4096).zip((0..).step_by(4096)) {
            if page.iter().all(|byte| *byte == 0) {
                continue;
            }
            let end = piece.bytes.len().min(at + page.len() + 31);
            for (window, offset) in piece.bytes[at..end].windows(32).zip(at..).step_by(step) {
                let seed: &[u8; 32] = window.try_into().unwrap();
                if !could_be_random(seed) || !tried.insert(*seed) {
                    continue;
                }
                let public = SigningKey::from_bytes(seed).verifying_key().to_bytes();
                if let Some(epoch) = checkpoints.iter().position(|key| *key == public) {
                    found.push((epoch, format!("{} at +{offset:#x}", piece.place)));
                }
            }
        }
    }
    println!("{} signing keys tried", tried.len());
    found
}

/// Leaves out text, tables, addresses and what is mostly zeros; of random keys one in three million.
fn could_be_random(bytes: &[u8; 32]) -> bool {
    let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
    if !(3..=29).contains(&high) || bytes.iter().filter(|byte| **byte == 0 || **byte == 0xff).count() > 6 {
        return false;
    }
    let mut seen = [0_u64; 4];
    bytes.iter().for_each(|byte| seen[usize::from(byte >> 6)] |= 1 << (byte & 63));
    seen.iter().map(|bits| bits.count_ones()).sum::<u32>() >= 20
}

/// What SHA-256 starts from: the fractions of the square roots of the first primes (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The state of SHA-256 after one more block (FIPS 180-4, 6.2.2): no library gives it away.
fn compressed(state: [u32; 8], block: &[u8; 64]) -> [u32; 8] {
    let mut words: Vec<u32> = block.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
    for i in 16..64 {
        let (a, b) = (words[i - 15], words[i - 2]);
        let small = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
        let other = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
        words.push(words[i - 16].wrapping_add(small).wrapping_add(words[i - 7]).wrapping_add(other));
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for (word, constant) in words.into_iter().zip(constants()) {
        let sum = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let first =
            h.wrapping_add(sum).wrapping_add(e & f ^ !e & g).wrapping_add(constant).wrapping_add(word);
        let sum = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let second = sum.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(first), c, b, a, first.wrapping_add(second));
    }
    let mut sums = state.into_iter().zip([a, b, c, d, e, f, g, h]);
    std::array::from_fn(|_| sums.next().map_or(0, |(x, y)| x.wrapping_add(y)))
}

/// The first 32 bits of the fractions of the cube roots of the first 64 primes.
fn constants() -> impl Iterator<Item = u32> {
    let prime = |n: &u128| !(2..*n).any(|d| n.is_multiple_of(d));
    (2..).filter(prime).take(64).map(|prime| {
        // The whole part and 32 bits of the fraction of the cube root, by halving.
        let (mut low, mut high) = (0_u128, 1 << 36);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if middle * middle * middle <= prime << 96 { low = middle } else { high = middle }
        }
        (low & 0xffff_ffff) as u32
    })
}

#[test]
fn the_state_of_sha_256_is_that_of_the_library() {
    // Padding makes a block of 55 bytes at most: the state after it is the digest.
    let mut block = [0_u8; 64];
    block[..3].copy_from_slice(b"abc");
    (block[3], block[63]) = (0x80, 24);
    let digest: Vec<u8> = compressed(START, &block).iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(digest, sealcast::crypto::digest::sha256(&[b"abc"]));
}
