//! What the fuzzers call, whichever drives them: `fuzz/` (libFuzzer), `examples/fuzz.rs` (stable), `tests/fuzz_seeds.rs`.
//! A target takes any bytes and must come back without a panic.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::damage;
use crate::forge::{self, CLOSES, FINAL, Forge};
use crate::sample::{self, Dice, Fleet};
use sealcast::cast::{Header as CastHeader, line};
use sealcast::container::verify::{Origin, verify};
use sealcast::container::{Reader, SlotKind, cert, frame, verify_content};
use sealcast::crypto::known_keys::KnownKeys;
use sealcast::crypto::sshsig::{self, Signer};
use sealcast::crypto::{identity, recipient};
use sealcast::search::audit::audit;
use std::io::Cursor as Bytes;
use std::sync::OnceLock;

/// The root key of every recording the fuzzers make.
pub const ROOT: [u8; 32] = [5; 32];

/// A target: its name, itself, its seeds. The first byte of an input chooses among the doors of a target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 5] = [
    Target { name: "container", run: container, seeds: container_seeds },
    Target { name: "header", run: header, seeds: header_seeds },
    Target { name: "sealed", run: sealed, seeds: sealed_seeds },
    Target { name: "cast_lines", run: cast_lines, seeds: cast_seeds },
    Target { name: "keys", run: keys, seeds: key_seeds },
];

/// Door 0: a file as it is; door 1: with the checksums of its chunks repaired, so that more than them is tried.
pub fn container(data: &[u8]) {
    let Some((door, file)) = data.split_first() else { return };
    let mut file = file.to_vec();
    if door & 1 == 1 {
        mend_all(&mut file);
    }
    let judged = verify(Bytes::new(&file), |_| Origin::Trusted(String::new()), |_| ());
    let Ok(mut reader) = Reader::open(Bytes::new(&file)) else { return };
    let length = file.len() as u64;
    assert!(reader.whole() <= length);
    if let Ok(report) = judged {
        assert!(report.signed <= length && report.whole <= length.max(frame::PROLOGUE_LEN as u64));
    }
    read_all(&mut reader);
}

fn read_all(reader: &mut Reader<Bytes<&Vec<u8>>>) {
    if reader.unlock(ROOT).is_ok() {
        let (events, _) = sample::events_of(reader);
        assert!(events.windows(2).all(|two| two[0].time <= two[1].time || reader.segments() > 1));
        let _ = verify_content(reader, |_| ());
        let _ = reader.segment_at(events.len() as u64);
    }
}

fn mend_all(file: &mut [u8]) {
    let mut at = frame::PROLOGUE_LEN;
    while let Some(head) = file.get(at..at + frame::FRAME_LEN) {
        let length = usize::try_from(u32::from_le_bytes(head[4..8].try_into().unwrap())).unwrap();
        let Some(chunk) = file.get_mut(at..at.saturating_add(frame::FRAME_LEN).saturating_add(length)) else {
            return;
        };
        damage::mend(chunk);
        at += chunk.len();
    }
}

/// A recording with this body in place of its header, its slots or its certificate.
pub fn header(data: &[u8]) {
    let Some((door, body)) = data.split_first() else { return };
    if body.len() > 1 << 20 {
        return;
    }
    let place = usize::from(door % 3);
    let mut chunks = beginning()[..3].to_vec();
    chunks[place] = forge::chunk(chunks[place][2], 0, u32::try_from(place).unwrap(), body);
    let file = damage::join(&chunks);
    let _ = verify(Bytes::new(&file), |_| Origin::Trusted(String::new()), |_| ());
    if let Ok(reader) = Reader::open(Bytes::new(&file)) {
        for slot in reader.slots() {
            let _ = recipient::slots(&slot.age);
        }
    }
}

fn beginning() -> &'static Vec<Vec<u8>> {
    static CHUNKS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CHUNKS.get_or_init(|| damage::split(&started().bytes))
}

fn started() -> &'static Forge {
    static FORGE: OnceLock<Forge> = OnceLock::new();
    FORGE.get_or_init(|| {
        let mut forge = bare().clone();
        forge.open();
        forge
    })
}

/// The same without its metadata.
fn bare() -> &'static Forge {
    static FORGE: OnceLock<Forge> = OnceLock::new();
    FORGE
        .get_or_init(|| Forge::bare(ROOT, &Signer::generate("fuzz").unwrap(), "web-3", b"\x01\x04\0\0\0slot"))
}

/// What only somebody with the keys can write: door 0 the packed text of a segment, 1 its text, 2 the plaintext of an
/// index entry, 3 the JSON of one, 4 the plaintext of the metadata, 5 the JSON of them.
pub fn sealed(data: &[u8]) {
    let Some(file) = sealed_file(data) else { return };
    let mut reader = Reader::open(Bytes::new(&file)).unwrap();
    read_all(&mut reader);
    // Of a segment without an entry there is nothing to compare.
    if reader.can_read_content() && !reader.entries().is_empty() {
        let _ = audit(&mut reader, 10, |_| ());
    }
}

/// The clocks that a segment begins with.
const ANCHOR: &[u8] = b"[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";

/// The recording in which it stands; an entry twice, as one is compared with the one before.
pub fn sealed_file(data: &[u8]) -> Option<Vec<u8>> {
    let (door, data) = data.split_first()?;
    if data.len() > 1 << 19 {
        return None;
    }
    let pack = |text: &[u8]| zstd::bulk::compress(text, 1).unwrap();
    let door = door % 6;
    let mut forge = if door < 4 { started().clone() } else { bare().clone() };
    match door {
        0 => forge.data(forge::SEG, data),
        1 => forge.data(forge::SEG, &pack(&[ANCHOR, data].concat())),
        2 | 3 => {
            let plain = if door == 2 { data.to_vec() } else { forge::packed(data, b"filter") };
            for flags in [CLOSES, CLOSES | FINAL] {
                forge.data(forge::SEG, &pack(ANCHOR));
                forge.index(&plain);
                forge.check(flags);
            }
            forge.finish();
        }
        4 => forge.index(data),
        _ => forge.index(&forge::packed(data, &[])),
    }
    Some(forge.bytes)
}

/// Lines of a cast; what can be read is written again and must come back the same.
pub fn cast_lines(data: &[u8]) {
    let (mut decoder, mut encoder, mut again) =
        (line::Decoder::default(), line::Encoder::default(), line::Decoder::default());
    for text in data.split(|byte| *byte == b'\n') {
        let Ok(Some(event)) = decoder.decode(text) else { continue };
        let mut written = Vec::new();
        encoder.encode(&event, &mut written);
        let lines: Vec<_> = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let back: Vec<_> = lines.iter().map(|line| again.decode(line).unwrap().unwrap().payload).collect();
        if lines.len() == 1 {
            assert_eq!(back, [event.payload]);
        }
    }
}

/// Texts that name or prove keys: door 0 an SSH signature, 1 known keys, 2 recipients, 3 an age file's head, 4 a private
/// key, 5 an identity file.
pub fn keys(data: &[u8]) {
    let Some((door, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match door % 6 {
        0 => {
            let _ = sshsig::verify(&text, cert::NAMESPACE, b"statement");
        }
        1 => {
            if let Ok(known) = KnownKeys::parse(&text) {
                static KEY: OnceLock<sshsig::HostKey> = OnceLock::new();
                let key = KEY.get_or_init(|| Signer::generate("fuzz").unwrap().host_key());
                known.trust("web-3.example.org", cert::NAMESPACE, key);
            }
        }
        2 => {
            for found in recipient::parse_file(&text).unwrap_or_default() {
                let (_, _, _) = (found.label(), found.kind(), found.fingerprint());
            }
        }
        3 => {
            for slot in recipient::slots(data).unwrap_or_default() {
                let _ = slot.to_string();
            }
        }
        4 => {
            let _ = Signer::from_openssh(&text);
        }
        _ => {
            let nobody = std::sync::Arc::new(sealcast::crypto::prompt::Nobody);
            let _ = identity::Identities::from_text(std::path::Path::new("fuzz"), data, nobody);
        }
    }
}

fn with_doors(doors: u8, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (0..doors).flat_map(|door| inputs.iter().map(move |input| [&[door], input.as_slice()].concat())).collect()
}

fn container_seeds() -> Vec<Vec<u8>> {
    let mut closed = started().clone();
    closed.segment(0, "one", CLOSES);
    closed.segment(1, "two", CLOSES);
    let open = closed.bytes.clone();
    closed.segment(2, "three", CLOSES | FINAL);
    closed.finish();
    let mut empty = started().clone();
    empty.check(FINAL);
    empty.finish();
    with_doors(2, &[closed.bytes, open, empty.bytes])
}

fn header_seeds() -> Vec<Vec<u8>> {
    let chunks = beginning();
    (0u8..3).map(|at| [&[at], &chunks[usize::from(at)][frame::FRAME_LEN..]].concat()).collect()
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    let (header, lines) = cast_text();
    let anchored = [header.as_slice(), ANCHOR, &lines].concat();
    vec![
        [&[0], zstd::bulk::compress(&anchored, 3).unwrap().as_slice()].concat(),
        [&[1], lines.as_slice()].concat(),
        [&[2], forge::packed(ENTRY, b"filter").as_slice()].concat(),
        [&[3], ENTRY].concat(),
        [&[4], forge::packed(METADATA, &[]).as_slice()].concat(),
        [&[5], METADATA].concat(),
    ]
}

/// An index entry with something of everything.
const ENTRY: &[u8] = br#"{"segment":0,"offset":1500,"start":0,"end":9,"utc":5,"raw":3,"input":1,"withheld":2,"lost":4,"resizes":[[1,80,24]],"marks":[[2,"m"]],"gaps":[[3,{"why":"capped","of":"stdout","count":4,"note":"n","sha256":"0a"}]],"keyframes":[0],"unlisted":1,"exit":0,"step":1000,"activity":"2","commands":{"text":["ls | \u0073ort","sleep 9"],"start":[1,1],"took":[1,null],"programs":[2,0],"exit":[[0,2]],"cwd":[[0,"/root"],[1,null]],"pipe":[[0,[0,2]]],"flags":[[1,["alias: x","left-running: y"]]],"by":[[1,["screen","inferred"]]]},"programs":{"files":["/bin","/tmp/evil"],"file":[-1,1,0],"args":["ls -l",["sort",""],"x"],"start":[0,1,7],"took":[1,0,null],"pid":[70,1,1],"parent":[-2,0,1],"exit":[[1,2]],"cwd":[[1,"/tmp"]],"user":[[1,[0,1000]]]},"running":{"commands":{"text":["vi"],"start":[3],"took":[null],"programs":[1],"cwd":[[0,"/"]]},"programs":{"files":["/bin"],"file":[-1],"args":["vi"],"start":[0],"took":[null],"pid":[9],"parent":[-8]}},"running_left_out":{"programs":1},"given_up":"late","left_out":{"commands":1,"programs":2,"shortened":3}}"#;
/// Sealed metadata with something of everything.
const METADATA: &[u8] = br#"{"meta":{"argv":["bash","-l"],"cwd":"/root","reason":"why","ticket":"OPS-1","labels":{"env":"prod"},"env":{"LANG":"C"},"term":"xterm","cols":0,"rows":24,"tty":"/dev/pts/3","beside":["stdin","stdout"],"origin":"192.0.2.1 5 192.0.2.2 22","identity":{"origin-from":"socket of 7"},"ancestry":["7 sshd"],"kernel":"6.1","boot":"b","drawing":6,"in_force":{"input":"echoed","unwatched":"x"}},"cast":{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":-1,"title":"t"},"first_checkpoint":"00"}"#;

/// The first line of a cast, and the others.
fn cast_text() -> (Vec<u8>, Vec<u8>) {
    let fleet = Fleet::new("web-3");
    let recorded =
        sample::record(&fleet, &[SlotKind::Root], CastHeader::new(80, 24), &sample::busy(3, 40, 900), true);
    let (mut text, mut encoder) = (Vec::new(), line::Encoder::default());
    for event in &recorded.events {
        encoder.encode(event, &mut text);
    }
    (format!("{}\n", recorded.cast_header).into_bytes(), text)
}

fn cast_seeds() -> Vec<Vec<u8>> {
    let (header, lines) = cast_text();
    let text = [header, lines].concat();
    let mut seeds: Vec<_> = text.chunks(700).map(<[u8]>::to_vec).collect();
    seeds.push(b"[0,\"k\",\"\\u001bc\"]\n[1e9,\"g\",\"{\\\"why\\\":\\\"capped\\\"}\"]\n[0.001,\"b\",\"o:/w==\"]\n# c\n".to_vec());
    seeds
}

fn key_seeds() -> Vec<Vec<u8>> {
    let fleet = Fleet::new("web-3");
    let signature = fleet.host.sign(cert::NAMESPACE, b"statement").unwrap();
    let public = fleet.host.host_key().to_string();
    let known =
        format!("# c\nweb-3,!db* namespaces=\"a,b\" {public}\n@revoked * {public}\n[web-3]:22 {public} x\n");
    let readers = format!("{}\n# c\n{public}\n", fleet.recipients[0]);
    let age = recipient::wrap(&fleet.recipients, &ROOT).unwrap();
    let private = fleet.host.to_openssh().unwrap().to_string();
    let texts = [signature, known, readers].map(String::into_bytes).into_iter();
    let all = texts.chain([age, private.into_bytes(), format!("{}\n", fleet.identity).into_bytes()]);
    (0u8..).zip(all).map(|(door, text)| [&[door], text.as_slice()].concat()).collect()
}

/// Words of the formats, put in here and there.
const WORDS: [&[u8]; 18] = [
    b"\xA7\x5E",
    b"SC1END",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\u0000",
    b"1e308",
    b"-1",
    b"18446744073709551616",
    b"\n",
    b"\xed\xa0\x80",
    b"-> X25519 ",
    b"ssh-ed25519 ",
    b"@revoked ",
];

/// Changes an input in one to four places.
pub fn mutate(dice: &mut Dice, seeds: &[Vec<u8>], limit: usize) -> Vec<u8> {
    let mut data = seeds[dice.below(seeds.len())].clone();
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(data.len());
        let span = dice.below(9).min(data.len() - at.min(data.len()));
        match dice.below(9) {
            0 => data[at..at + span].fill(dice.byte()),
            1 => drop(data.drain(at..at + span)),
            2 => {
                let word = WORDS[dice.below(WORDS.len())];
                data.splice(at..at, word.iter().copied());
            }
            3 => {
                let word = WORDS[dice.below(WORDS.len())];
                let end = (at + word.len()).min(data.len());
                data.splice(at..end, word.iter().copied());
            }
            4 => {
                let piece = data[at..at + span].repeat(1 + dice.below(40));
                data.splice(at..at, piece);
            }
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                let to = (from + dice.below(200)).min(other.len());
                data.splice(at.., other[from..to].iter().copied());
            }
            6 => data.truncate(at),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
        if data.is_empty() {
            data.push(0);
        }
    }
    data.truncate(limit);
    data
}
