//! Every way in which a recording must not pass for intact, made on purpose: one defect a case.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::forge::{self, CLOSES, FINAL, Forge};
use crate::sample::{self, Fleet, Recorded};
use sealcast::cast::Header as CastHeader;
use sealcast::container::verify::{Report, Tear, Verdict};
use sealcast::container::{Error, SlotKind, cert, frame};
use sealcast::crypto::chain::Key;
use sealcast::crypto::digest::sha256;
use sealcast::crypto::seal;

/// One defect.
pub struct Case {
    /// Name of its file.
    pub name: String,
    /// What was done to the recording.
    pub what: String,
    /// First word of the verdict it must get.
    pub expect: &'static str,
    pub bytes: Vec<u8>,
}

/// A verdict in one line, place included.
pub fn verdict(result: &Result<Report, Error>) -> String {
    let report = match result {
        Ok(report) => report,
        Err(error) => return format!("refused: {error}"),
    };
    match &report.verdict {
        Verdict::Intact => "intact".to_owned(),
        Verdict::Torn { at, how } => format!("torn at byte {at}: {}", tear(*how)),
        Verdict::Altered { offset, chunk: Some(chunk), what } => {
            format!("altered at byte {offset} (chunk {chunk}): {what}")
        }
        Verdict::Altered { offset, chunk: None, what } => format!("altered at byte {offset}: {what}"),
        Verdict::Foreign { signer, torn: None } => format!("foreign, signed by {signer}"),
        Verdict::Foreign { signer, torn: Some((at, how)) } => {
            format!("foreign, signed by {signer}, torn at byte {at}: {}", tear(*how))
        }
    }
}

fn tear(how: Tear) -> &'static str {
    match how {
        Tear::Border => "between two chunks",
        Tear::Inside => "inside a chunk",
        Tear::Zeros => "zeros follow",
        Tear::Closing => "while it was being closed",
    }
}

/// The chunks of a file, each whole.
pub fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut chunks, mut at) = (Vec::new(), frame::PROLOGUE_LEN);
    while at < bytes.len() {
        let head: [u8; frame::FRAME_LEN] = bytes[at..at + frame::FRAME_LEN].try_into().unwrap();
        let end = at + usize::try_from(frame::Frame::parse(&head, 0).unwrap().total()).unwrap();
        chunks.push(bytes[at..end].to_vec());
        at = end;
    }
    chunks
}

/// Where the prologue and every chunk begin and end.
pub fn places(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut places = vec![(0, frame::PROLOGUE_LEN)];
    for chunk in split(bytes) {
        let start = places.last().unwrap().1;
        places.push((start, start + chunk.len()));
    }
    places
}

/// A file of these chunks as they are.
pub fn join(chunks: &[Vec<u8>]) -> Vec<u8> {
    [frame::prologue().to_vec(), chunks.concat()].concat()
}

/// A file of these chunks, numbered and summed up anew: what an attacker does who knows the format.
pub fn renumber(chunks: &[Vec<u8>]) -> Vec<u8> {
    let fixed: Vec<Vec<u8>> = (0u32..)
        .zip(chunks)
        .map(|(seq, old)| forge::chunk(old[2], old[3], seq, &old[frame::FRAME_LEN..]))
        .collect();
    join(&fixed)
}

/// Repairs the checksum of a chunk.
pub fn mend(chunk: &mut [u8]) {
    let crc = frame::crc(&chunk[..frame::BOUND_LEN], &chunk[frame::FRAME_LEN..]);
    chunk[frame::BOUND_LEN..frame::FRAME_LEN].copy_from_slice(&crc.to_le_bytes());
}

/// A small recording of four segments.
pub fn small(fleet: &Fleet, text: &str, close: bool) -> Recorded {
    let mut steps = small_steps(text);
    if !close {
        steps.pop();
    }
    sample::record(fleet, &[SlotKind::Root], CastHeader::new(80, 24), &steps, close)
}

/// What happens in it.
pub fn small_steps(text: &str) -> Vec<sample::Step> {
    let mut steps = Vec::new();
    for segment in 0..4u64 {
        for second in 0..3u64 {
            let ms = segment * 30_000 + second * 2000;
            steps.push(sample::out(ms, format!("{text} {segment}.{second}\r\n")));
        }
        steps.push(sample::Step::Cut(segment * 30_000 + 9000));
    }
    steps
}

/// All cases of the list at the end of the format's description but those that need a ledger. `fleet` is trusted,
/// `other` is not.
pub fn cases(fleet: &Fleet, other: &Fleet) -> Vec<Case> {
    let base = small(fleet, "first recording", true);
    let second = small(fleet, "other recording", true);
    let mut cases = Vec::new();
    let chunks = split(&base.bytes);
    of_chunks(&mut cases, &chunks, &split(&second.bytes));
    of_segments(&mut cases, &chunks, &split(&second.bytes));
    of_the_beginning(&mut cases, &base, &chunks, &split(&second.bytes), other);
    of_the_end(&mut cases, &base, &second, &chunks);
    cuts(&mut cases, &base, &small(fleet, "open recording", false), &chunks);
    with_keys(&mut cases, &base, &chunks);
    thieves(&mut cases, fleet, other);
    cases
}

fn add(cases: &mut Vec<Case>, name: &str, what: &str, expect: &'static str, bytes: Vec<u8>) {
    cases.push(Case { name: name.to_owned(), what: what.to_owned(), expect, bytes });
}

/// Two files: with the numbers as they were, and numbered anew.
fn add_both(cases: &mut Vec<Case>, name: &str, what: &str, chunks: &[Vec<u8>]) {
    add(cases, name, what, "altered", join(chunks));
    let what = format!("{what}, all chunks numbered anew");
    add(cases, &format!("{name}-renumbered"), &what, "altered", renumber(chunks));
}

/// Place of the `n`-th chunk of a kind.
fn find(chunks: &[Vec<u8>], kind: u8, n: usize) -> usize {
    chunks.iter().enumerate().filter(|(_, c)| c[2] == kind).nth(n).unwrap().0
}

fn edited(chunks: &[Vec<u8>], at: usize, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut chunks = chunks.to_vec();
    edit(&mut chunks[at]);
    mend(&mut chunks[at]);
    chunks
}

fn of_chunks(cases: &mut Vec<Case>, chunks: &[Vec<u8>], other: &[Vec<u8>]) {
    let data = find(chunks, forge::DATA, 1);
    let mut flipped = chunks.to_vec();
    flipped[data][40] ^= 1;
    add(cases, "bit-flipped", "a bit of a sealed body flipped", "altered", join(&flipped));
    mend(&mut flipped[data]);
    add(
        cases,
        "bit-flipped-crc",
        "a bit of a sealed body flipped, checksum repaired",
        "altered",
        join(&flipped),
    );
    let mut list = chunks.to_vec();
    list.remove(data);
    add_both(cases, "chunk-removed", "a sealed chunk taken out", &list);
    let mut list = chunks.to_vec();
    list.insert(data, chunks[data].clone());
    add_both(cases, "chunk-duplicated", "a sealed chunk twice", &list);
    let mut list = chunks.to_vec();
    list.swap(data, data + 1);
    add_both(cases, "chunks-swapped", "two chunks exchanged", &list);
    let list = edited(chunks, data, |c| c[8] ^= 1);
    add(cases, "chunk-number", "a chunk with another number, checksum repaired", "altered", join(&list));
    let list = edited(chunks, data, |c| c[2] = 0x44);
    add(cases, "type-unknown", "a chunk of an unknown type", "altered", join(&list));
    let list = edited(chunks, data, |c| c[2] = 0x13);
    add(cases, "type-reserved", "a chunk of the reserved type", "altered", join(&list));
    let list = edited(chunks, data, |c| c[2] = 0xC4);
    add(cases, "type-ancillary", "a sealed chunk made one that readers pass over", "altered", join(&list));
    let list = edited(chunks, data, |c| c[3] = 0x40);
    add(cases, "flag-unknown", "an unknown flag", "altered", join(&list));
    let list = edited(chunks, data, |c| c[4..8].copy_from_slice(&[255; 4]));
    add(cases, "length-huge", "a length of 4 GiB", "altered", join(&list));
    let mut list = chunks.to_vec();
    list.insert(data, forge::chunk(0xC4, 0, 0, b"nobody wrote this"));
    add(cases, "chunk-inserted", "an ancillary chunk put in, all numbered anew", "altered", renumber(&list));
    let mut list = chunks.to_vec();
    list[data] = other[data].clone();
    add(cases, "body-foreign", "a chunk from another recording, same number", "altered", join(&list));
    let check = find(chunks, forge::CHECK, 0);
    let mut list = chunks.to_vec();
    list.remove(check);
    add_both(cases, "checkpoint-removed", "a checkpoint taken out", &list);
    let list = edited(chunks, check, |c| c[3] ^= FINAL);
    add(cases, "checkpoint-final", "an early checkpoint made the last one", "altered", join(&list));
    let list = edited(chunks, check, |c| c[16] ^= 1);
    add(cases, "checkpoint-number", "a checkpoint of another epoch", "altered", join(&list));
    let list = edited(chunks, check, |c| c[20] ^= 1);
    add(cases, "checkpoint-next-key", "another next key announced", "altered", join(&list));
}

fn of_segments(cases: &mut Vec<Case>, chunks: &[Vec<u8>], other: &[Vec<u8>]) {
    let start = |n| find(chunks, forge::SEG, n);
    let mut list = chunks[..start(1)].to_vec();
    list.extend_from_slice(&chunks[start(2)..]);
    add_both(cases, "segment-removed", "a whole segment taken out", &list);
    let mut list = chunks[..start(0)].to_vec();
    list.extend_from_slice(&chunks[start(1)..]);
    add_both(cases, "segment-first-removed", "the first segment taken out", &list);
    let mut list = chunks[..start(3)].to_vec();
    list.extend_from_slice(&chunks[find(chunks, forge::TABLE, 0)..]);
    add_both(cases, "segment-last-removed", "the last segment taken out, the end kept", &list);
    let mut list = chunks[..start(1)].to_vec();
    for range in [start(2)..start(3), start(1)..start(2), start(3)..chunks.len()] {
        list.extend_from_slice(&chunks[range]);
    }
    add_both(cases, "segments-exchanged", "two segments exchanged", &list);
    let mut list = chunks.to_vec();
    list.splice(start(1)..start(2), other[start(1)..start(2)].to_vec());
    add_both(cases, "segment-grafted", "a segment of another recording in place of one", &list);
}

fn of_the_beginning(
    cases: &mut Vec<Case>,
    base: &Recorded,
    chunks: &[Vec<u8>],
    second: &[Vec<u8>],
    other: &Fleet,
) {
    for (at, name, what) in [
        (0, "header-replaced", "the header of another recording"),
        (1, "slots-replaced", "the key slots of another recording"),
        (2, "certificate-replaced", "the certificate of another recording"),
    ] {
        let mut list = chunks.to_vec();
        list[at] = second[at].clone();
        add(cases, name, what, "altered", join(&list));
    }
    let edit = |c: &mut Vec<u8>| {
        let at = c.windows(5).position(|w| w == b"alice").unwrap();
        c[at..at + 5].copy_from_slice(b"bobby");
    };
    add(cases, "header-edited", "another user in the header", "altered", join(&edited(chunks, 0, edit)));
    // The other host signs the very same statement.
    let body = &chunks[2][frame::FRAME_LEN..];
    let length = usize::try_from(u32::from_le_bytes(body[..4].try_into().unwrap())).unwrap();
    let text = &body[4..4 + length];
    let signature = other.host.sign(cert::NAMESPACE, text).unwrap();
    let mut list = chunks.to_vec();
    list[2] = forge::chunk(3, 0, 2, &[&body[..4], text, signature.as_bytes()].concat());
    add(cases, "certificate-resigned", "the statement signed by another host", "altered", join(&list));
    let signature = other.host.sign("file", text).unwrap();
    list[2] = forge::chunk(3, 0, 2, &[&body[..4], text, signature.as_bytes()].concat());
    add(cases, "certificate-namespace", "a signature made for another purpose", "altered", join(&list));
    for (at, xor, expect, name, what) in [
        (0, 0x80, "altered", "magic", "the first byte changed"),
        (8, 3, "altered", "version-major", "another major version in a file that is signed as version 1"),
        (10, 1, "altered", "version-minor", "another minor version in a file that is signed as 1.0"),
        (12, 1, "altered", "feature-bit", "an unknown feature bit in a file that was signed without"),
    ] {
        let mut bytes = base.bytes.clone();
        bytes[at] ^= xor;
        add(cases, name, what, expect, bytes);
    }
    let mut newer = base.bytes[..600].to_vec();
    newer[8] = 2;
    add(cases, "version-newer", "the beginning of a file of version 2", "refused", newer);
    add(cases, "not-a-recording", "a cast", "refused", b"{\"version\":3}\n[0,\"o\",\"hello\"]\n".to_vec());
}

fn of_the_end(cases: &mut Vec<Case>, base: &Recorded, second: &Recorded, chunks: &[Vec<u8>]) {
    let [table, trailer] = [forge::TABLE, forge::TRAILER].map(|kind| find(chunks, kind, 0));
    let index = find(chunks, forge::INDEX, 2);
    let replaced = |at: usize, body: &[u8]| {
        let mut list = chunks.to_vec();
        list[at] = forge::chunk(list[at][2], 0, u32::try_from(at).unwrap(), body);
        join(&list)
    };
    let body = |at: usize| chunks[at][frame::FRAME_LEN..].to_vec();
    let list = edited(chunks, index, |c| c[50] ^= 1);
    add(cases, "index-inline", "an index entry changed where it stands", "altered", join(&list));
    add(
        cases,
        "table-row-removed",
        "a segment missing in the table",
        "altered",
        replaced(table, &body(table)[52..]),
    );
    let rows = body(table);
    // A row: offset, length, length of the entry, digest.
    let joined = {
        let length = |row: usize| u64::from_le_bytes(rows[row * 52 + 8..row * 52 + 16].try_into().unwrap());
        let both = length(0) + length(1);
        [&rows[..8], &both.to_le_bytes(), &rows[52 + 16..]].concat()
    };
    for (name, what, rows) in [
        ("table-row-last-removed", "the last segment missing in the table", &rows[..rows.len() - 52]),
        ("table-emptied", "no segment in the table", &[]),
        ("table-rows-joined", "the first two segments one in the table", &joined),
    ] {
        add(cases, name, what, "altered", replaced(table, rows));
    }
    let first = places(&base.bytes)[find(chunks, forge::CHECK, 0) + 1].0 as u64;
    for (name, what, place, to) in [
        ("trailer-check", "the trailer points to an early checkpoint", 0, first),
        ("trailer-table", "the trailer points to an early checkpoint for the table", 8, first),
    ] {
        let mut pointers = body(trailer);
        pointers[place..place + 8].copy_from_slice(&to.to_le_bytes());
        add(cases, name, what, "altered", replaced(trailer, &pointers));
    }
    let list = edited(chunks, table, |c| c[16] ^= 1);
    add(cases, "table-changed", "another offset in the table", "altered", join(&list));
    let list = edited(chunks, table, |c| c[32] ^= 1);
    add(cases, "table-entry", "another length of an index entry in the table", "altered", join(&list));
    let list = edited(chunks, trailer, |c| c[16] ^= 1);
    add(cases, "trailer-changed", "another offset in the trailer", "altered", join(&list));
    let list = edited(chunks, trailer, |c| *c.last_mut().unwrap() ^= 1);
    add(cases, "trailer-mark", "the mark of the end changed", "altered", join(&list));
    let mut list = chunks.to_vec();
    list.remove(trailer);
    add(cases, "trailer-missing", "the trailer cut off", "torn", join(&list));
    let mut list = chunks.to_vec();
    list.swap(table, trailer);
    add_both(cases, "end-parts-exchanged", "table and trailer exchanged", &list);
    let with = |tail: &[u8]| [&base.bytes, tail].concat();
    add(cases, "garbage-after", "bytes after the end", "altered", with(b"\nmore"));
    add(cases, "zeros-after", "zeros after the end", "altered", with(&[0; 512]));
    add(
        cases,
        "chunk-after",
        "a chunk after the end",
        "altered",
        with(&forge::chunk(0xC4, 0, u32::try_from(chunks.len()).unwrap(), b"more")),
    );
    add(cases, "two-files-joined", "two recordings in one file", "altered", with(&second.bytes));
}

fn cuts(cases: &mut Vec<Case>, base: &Recorded, open: &Recorded, chunks: &[Vec<u8>]) {
    let until = |n: usize| join(&chunks[..n]);
    let data = find(chunks, forge::DATA, 1);
    let last = find(chunks, forge::TABLE, 0);
    add(cases, "cut-at-border", "cut between two chunks", "torn", until(data));
    let inside = [until(data), chunks[data][..30].to_vec()].concat();
    add(cases, "cut-inside", "cut inside a chunk", "torn", inside);
    let inside = [until(data), chunks[data][..7].to_vec()].concat();
    add(cases, "cut-inside-frame", "cut inside the frame of a chunk", "torn", inside);
    add(
        cases,
        "cut-after-checkpoint",
        "cut after a checkpoint",
        "torn",
        until(find(chunks, forge::CHECK, 1) + 1),
    );
    add(cases, "cut-after-last-checkpoint", "cut after the last checkpoint", "torn", until(last));
    add(cases, "cut-in-slots", "cut inside the key slots", "torn", base.bytes[..700].to_vec());
    add(cases, "cut-in-prologue", "cut inside the prologue", "torn", base.bytes[..9].to_vec());
    add(cases, "empty", "an empty file", "refused", Vec::new());
    add(cases, "never-closed", "a recorder that was killed", "torn", open.bytes.clone());
    let zeros = [open.bytes.clone(), vec![0; 2048]].concat();
    add(cases, "zero-tail", "zeros where data should be, after a loss of power", "torn", zeros);
    let mut hole = open.bytes.clone();
    let from = hole.len() - 90;
    hole[from..].fill(0);
    add(cases, "zero-hole", "the last bytes are zeros, after a loss of power", "torn", hole);
    let mut hole = base.bytes.clone();
    let from = join(&chunks[..data]).len() + 20;
    hole[from..from + 64].fill(0);
    add(cases, "zeros-inside", "zeros in the middle of a closed recording", "altered", hole);
}

/// Someone who may decrypt seals other text under the right keys.
fn with_keys(cases: &mut Vec<Case>, base: &Recorded, chunks: &[Vec<u8>]) {
    let session = {
        let header: sealcast::container::Header =
            serde_json::from_slice(&chunks[0][frame::FRAME_LEN..]).unwrap();
        header.session_bytes().unwrap()
    };
    let file = sha256(&[&frame::prologue(), &chunks[0]]);
    let content = Key::from_bytes(base.root).derive(&session, b"content");
    let key = content.step(b"seg").step(b"key");
    let at = find(chunks, forge::SEG, 0);
    let (bound, body) = (&chunks[at][..frame::BOUND_LEN], &chunks[at][frame::FRAME_LEN..]);
    let mut plain = seal::open(&key, &[&file, bound], body).unwrap();
    let end = plain.len() - 1;
    plain[end] ^= 0x80;
    let mut body = Vec::new();
    seal::seal(&key, &[&file, bound], &plain, &mut body).unwrap();
    let mut list = chunks.to_vec();
    list[at] = forge::chunk(forge::SEG, 0, u32::try_from(at).unwrap(), &body);
    add(cases, "reencrypted", "other text sealed by someone who can decrypt", "altered", join(&list));
}

/// The recorder is seized while it runs: the thief has the key of the next checkpoint, and no older one.
fn thieves(cases: &mut Vec<Case>, fleet: &Fleet, other: &Fleet) {
    let host = &fleet.host;
    let mut genuine = Forge::begin([5; 32], host, &fleet.name, &[]);
    let mut past = Vec::new();
    for number in 0..4 {
        past.push(genuine.clone());
        genuine.segment(number, "what was really done", CLOSES);
    }
    let seized = genuine.epoch;
    let zero = [0; 32];
    for (name, epoch) in [("seized-cut-back", 2), ("seized-cut-back-epoch", seized)] {
        let mut forged = past[2].clone();
        forged.check_with(FINAL, epoch, &forge::signing_key(seized), zero);
        forged.finish();
        add(cases, name, "cut back by a thief and closed with the seized key", "altered", forged.bytes);
    }
    let mut forged = past[2].clone();
    forged.data(
        forge::SEG,
        &zstd::bulk::compress(b"[0,\"t\",\"{\\\"at\\\":2000,\\\"utc\\\":5}\"]\n", 3).unwrap(),
    );
    forged.index(&forge::packed(br#"{"segment":2}"#, &[]));
    forged.check_with(CLOSES | FINAL, 2, &forge::signing_key(seized), zero);
    forged.finish();
    add(cases, "seized-rewritten", "the past written anew with the seized key", "altered", forged.bytes);
    let mut twice = past[2].clone();
    twice.check_with(FINAL, 2, &forge::signing_key(1), zero);
    twice.finish();
    add(
        cases,
        "checkpoint-key-reused",
        "a second checkpoint signed with a key that has signed",
        "altered",
        twice.bytes,
    );
    let mut strange = Forge::begin([5; 32], &other.host, &fleet.name, &[]);
    strange.segment(0, "somebody else's session", CLOSES | FINAL);
    strange.finish();
    add(cases, "host-other", "a whole recording signed by another host's key", "foreign", strange.bytes);
}
