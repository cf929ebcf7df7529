//! A second writer of the format, from its description alone, for what the library's writer would never write: it keeps
//! every key, signs what it is told to, and seals any text.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use ed25519_dalek::{Signer as _, SigningKey};
use sealcast::container::{Header, cert, frame};
use sealcast::crypto::chain::Key;
use sealcast::crypto::digest::{Digest as _, Sha256, hex, sha256};
use sealcast::crypto::seal;
use sealcast::crypto::sshsig::Signer;

pub const SEG: u8 = 0x10;
pub const DATA: u8 = 0x11;
pub const INDEX: u8 = 0x12;
pub const CHECK: u8 = 0x20;
pub const TABLE: u8 = 0x31;
pub const TRAILER: u8 = 0x3F;
pub const CLOSES: u8 = 1;
pub const FINAL: u8 = 2;

/// A recording being forged.
#[derive(Clone)]
pub struct Forge {
    pub bytes: Vec<u8>,
    pub seq: u32,
    pub file: [u8; 32],
    pub epoch: u32,
    content: Key,
    chunks: Key,
    index: Key,
    segment: Sha256,
    closed: [u8; 32],
    segment_at: u64,
    check_at: u64,
    /// Length of the last INDEX chunk.
    entry: usize,
    table: Vec<u8>,
}

/// A whole chunk: frame, checksum, body.
pub fn chunk(kind: u8, flags: u8, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xA7, 0x5E, kind, flags];
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(seq.to_le_bytes());
    bytes.extend(frame::crc(&bytes, body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// The signing key of an epoch: a forger knows them all.
pub fn signing_key(epoch: u32) -> SigningKey {
    SigningKey::from_bytes(&sha256(&[b"forged epoch", &epoch.to_le_bytes()]))
}

/// What the plaintext of an INDEX chunk is: length of the packed JSON, the packed JSON, the filter.
pub fn packed(json: &[u8], filter: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(json, 3).unwrap();
    [&u32::try_from(packed.len()).unwrap().to_le_bytes(), packed.as_slice(), filter].concat()
}

/// What whoever has the host's signing key, and no identity, makes of a recording: its sealed chunks up to the end of so many segments
/// as they are, and the certificate and everything after it that is signed made anew. `close`: with an end.
pub fn signed_anew(bytes: &[u8], host: &Signer, segments: usize, close: bool) -> Vec<u8> {
    signed_anew_with(bytes, host, segments, close, None)
}

/// [`signed_anew`] with these key slots in place of those that are there.
pub fn signed_anew_with(
    bytes: &[u8],
    host: &Signer,
    segments: usize,
    close: bool,
    slots: Option<&[u8]>,
) -> Vec<u8> {
    let none = || Key::from_bytes([0; 32]);
    let mut forge = Forge {
        bytes: bytes[..frame::PROLOGUE_LEN].to_vec(),
        seq: 0,
        file: [0; 32],
        epoch: 0,
        content: none(),
        chunks: none(),
        index: none(),
        segment: Sha256::new(),
        closed: [0; 32],
        segment_at: frame::PROLOGUE_LEN as u64,
        check_at: 0,
        entry: 0,
        table: Vec::new(),
    };
    let (mut at, mut ended, mut keys) = (frame::PROLOGUE_LEN, 0, String::new());
    loop {
        let (kind, flags) = (bytes[at + 2], bytes[at + 3]);
        let length = usize::try_from(u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap())).unwrap();
        let body = &bytes[at + frame::FRAME_LEN..][..length];
        at += frame::FRAME_LEN + length;
        match kind {
            SEG if ended == segments => break,
            0x03 => {
                let said = usize::try_from(u32::from_le_bytes(body[..4].try_into().unwrap())).unwrap();
                let text = String::from_utf8(body[4..4 + said].to_vec()).unwrap();
                let first = hex(signing_key(0).verifying_key().as_bytes());
                let line = |line: &str| match line.split_once(": ") {
                    Some(("first-checkpoint", _)) => format!("first-checkpoint: {first}\n"),
                    Some(("keys-sha256", _)) => format!("keys-sha256: {keys}\n"),
                    _ => format!("{line}\n"),
                };
                let text: String = text.lines().map(line).collect();
                let signature = host.sign(cert::NAMESPACE, text.as_bytes()).unwrap();
                forge.chunk(kind, flags, &[&body[..4], text.as_bytes(), signature.as_bytes()].concat());
            }
            CHECK => {
                ended += usize::from(flags & CLOSES != 0);
                let last = close && ended == segments;
                forge.check(flags & CLOSES | if last { FINAL } else { 0 });
                if last {
                    break;
                }
            }
            kind => {
                let body = slots.filter(|_| kind == 0x02).unwrap_or(body);
                let chunk = forge.chunk(kind, flags, body);
                match kind {
                    0x02 => keys = hex(&sha256(&[&chunk])),
                    0x01 => forge.file = sha256(&[&forge.bytes[..frame::PROLOGUE_LEN], &chunk]),
                    INDEX => forge.entry = chunk.len(),
                    _ => {}
                }
            }
        }
    }
    if close && segments == 0 {
        forge.check(FINAL);
    }
    if close {
        forge.finish();
    }
    forge.bytes
}

impl Forge {
    /// Prologue, header, slots, certificate, sealed metadata.
    pub fn begin(root: [u8; 32], host: &Signer, name: &str, slots: &[u8]) -> Self {
        let mut forge = Self::bare(root, host, name, slots);
        forge.open();
        forge
    }

    /// The sealed metadata.
    pub fn open(&mut self) {
        let first = hex(signing_key(0).verifying_key().as_bytes());
        let opening = format!(
            r#"{{"meta":{{"cols":80,"rows":24}},"cast":{{"version":3,"term":{{"cols":80,"rows":24}}}},"first_checkpoint":"{first}"}}"#
        );
        self.index(&packed(opening.as_bytes(), &[]));
    }

    /// [`Forge::begin`] without the sealed metadata.
    pub fn bare(root: [u8; 32], host: &Signer, name: &str, slots: &[u8]) -> Self {
        Self::of_version(0, root, host, name, slots)
    }

    /// [`Forge::bare`] of a minor version.
    pub fn of_version(minor: u8, root: [u8; 32], host: &Signer, name: &str, slots: &[u8]) -> Self {
        let mut prologue = frame::prologue();
        prologue[10] = minor;
        let session = [7; 16];
        let root = Key::from_bytes(root);
        let (content, index) = (root.derive(&session, b"content"), root.derive(&session, b"index"));
        let header = Header {
            session: hex(&session),
            cipher: "chacha20poly1305".into(),
            compression: "zstd".into(),
            content: hex(&content.commitment()),
            index: hex(&index.commitment()),
            host: name.into(),
            ..Header::default()
        };
        let mut forge = Self {
            bytes: prologue.to_vec(),
            seq: 0,
            file: [0; 32],
            epoch: 0,
            chunks: content.step(b"seg"),
            content,
            index,
            segment: Sha256::new(),
            closed: [0; 32],
            segment_at: 16,
            check_at: 0,
            entry: 0,
            table: Vec::new(),
        };
        let head = forge.chunk(0x01, 0, &serde_json::to_vec(&header).unwrap());
        forge.file = sha256(&[&prologue, &head]);
        let keys = forge.chunk(0x02, 0, slots);
        let text = format!(
            "sealcast session v1\nhost: {name}\nsession: {}\nheader-sha256: {}\nkeys-sha256: {}\nfirst-checkpoint: {}\nledger-head: -\n",
            hex(&session),
            hex(&sha256(&[&head])),
            hex(&sha256(&[&keys])),
            hex(signing_key(0).verifying_key().as_bytes()),
        );
        let signature = host.sign(cert::NAMESPACE, text.as_bytes()).unwrap();
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        forge.chunk(0x03, 0, &[&length, text.as_bytes(), signature.as_bytes()].concat());
        forge
    }

    /// Appends any chunk and counts it into the digest.
    pub fn chunk(&mut self, kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let bytes = chunk(kind, flags, self.seq, body);
        self.seq += 1;
        self.segment.update(&bytes);
        self.bytes.extend(&bytes);
        bytes
    }

    fn sealed(&mut self, kind: u8, key: &Key, plain: &[u8]) -> Vec<u8> {
        let mut padded = plain.to_vec();
        padded.push(0x80);
        padded.resize(padded.len().next_multiple_of(64), 0);
        let length = u32::try_from(padded.len() + seal::OVERHEAD).unwrap();
        let mut bound = vec![0xA7, 0x5E, kind, 0];
        bound.extend(length.to_le_bytes());
        bound.extend(self.seq.to_le_bytes());
        let mut body = Vec::new();
        seal::seal(key, &[&self.file, &bound], &padded, &mut body).unwrap();
        self.chunk(kind, 0, &body)
    }

    /// Seals a piece of a segment's packed text. The first of a segment is a SEG.
    pub fn data(&mut self, kind: u8, packed: &[u8]) {
        let key = self.chunks.step(b"key");
        self.chunks = self.chunks.step(b"next");
        self.sealed(kind, &key, packed);
    }

    /// Seals the plaintext of an index entry.
    pub fn index(&mut self, plain: &[u8]) {
        let key = self.index.step(b"key");
        self.index = self.index.step(b"next");
        self.entry = self.sealed(INDEX, &key, plain).len();
    }

    /// An index entry that nobody can open.
    pub fn unsealed_index(&mut self, body: &[u8]) {
        self.entry = self.chunk(INDEX, 0, body).len();
    }

    /// Length of the last INDEX chunk, as a row of the table tells it.
    pub fn entry(&self) -> u32 {
        u32::try_from(self.entry).unwrap()
    }

    /// A checkpoint as it should be.
    pub fn check(&mut self, flags: u8) {
        let epoch = self.epoch;
        let next =
            if flags & FINAL == 0 { signing_key(epoch + 1).verifying_key().to_bytes() } else { [0; 32] };
        self.check_with(flags, epoch, &signing_key(epoch), next);
    }

    /// A checkpoint that claims `epoch` and is signed by `key`.
    pub fn check_with(&mut self, flags: u8, epoch: u32, key: &SigningKey, next: [u8; 32]) {
        let mut message = b"sealcast checkpoint v1\0".to_vec();
        message.extend(self.file);
        message.extend(epoch.to_le_bytes());
        message.extend(self.seq.to_le_bytes());
        message.push(flags);
        message.extend(self.closed);
        message.extend::<[u8; 32]>(self.segment.clone().finalize().into());
        message.extend(next);
        let body = [&epoch.to_le_bytes()[..], &next, &key.sign(&message).to_bytes()].concat();
        self.check_at = self.bytes.len() as u64;
        self.chunk(CHECK, flags, &body);
        self.epoch = epoch + 1;
        if flags & CLOSES != 0 {
            let digest: [u8; 32] = std::mem::take(&mut self.segment).finalize().into();
            self.closed = sha256(&[&[1], &self.closed, &digest]);
            self.table.extend(self.segment_at.to_le_bytes());
            self.table.extend((self.bytes.len() as u64 - self.segment_at).to_le_bytes());
            self.table.extend(u32::try_from(self.entry).unwrap().to_le_bytes());
            self.table.extend(digest);
            self.segment_at = self.bytes.len() as u64;
            self.content = self.content.step(b"next");
            self.chunks = self.content.step(b"seg");
        }
    }

    /// A segment of one line of output, its index entry, its checkpoint.
    pub fn segment(&mut self, number: u32, text: &str, flags: u8) {
        self.segment_with(number, text, flags, |_, _| ());
    }

    /// [`Forge::segment`] with more in it: `before` is called before its SEG (0), INDEX (1) and CHECK (2).
    pub fn segment_with(&mut self, number: u32, text: &str, flags: u8, before: impl Fn(&mut Self, usize)) {
        before(self, 0);
        let at = u64::from(number) * 1000;
        let lines = format!(
            "[{},\"t\",\"{{\\\"at\\\":{at},\\\"utc\\\":5,\\\"boot\\\":0}}\"]\n[0,\"o\",\"{text}\"]\n",
            u8::from(number > 0)
        );
        let offset = self.bytes.len();
        self.data(SEG, &zstd::bulk::compress(lines.as_bytes(), 3).unwrap());
        let entry = format!(
            r#"{{"segment":{number},"offset":{offset},"start":{at},"end":{at},"utc":5,"raw":{},"step":1000,"activity":"{:x}"}}"#,
            text.len(),
            usize::BITS - text.len().leading_zeros(),
        );
        before(self, 1);
        self.index(&packed(entry.as_bytes(), &[]));
        before(self, 2);
        self.check(flags);
    }

    /// Table, trailer.
    pub fn finish(&mut self) {
        let table_at = self.bytes.len() as u64;
        let table = self.table.clone();
        self.pieces(TABLE, &table);
        let mut trailer = Vec::new();
        for offset in [self.check_at, table_at] {
            trailer.extend(offset.to_le_bytes());
        }
        trailer.extend(b"SC1END");
        self.chunk(TRAILER, 0, &trailer);
    }

    fn pieces(&mut self, kind: u8, bytes: &[u8]) {
        if bytes.is_empty() {
            self.chunk(kind, 0, &[]);
        }
        for piece in bytes.chunks(1 << 20) {
            self.chunk(kind, 0, piece);
        }
    }
}
