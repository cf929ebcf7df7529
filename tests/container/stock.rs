//! What stock tools make of a recording, and how its floods are compressed, as a stock zstd tells.

use crate::sample::{self, record};
use crate::{Bytes, damage, fleet, forge, joined, long, skipped, unlocked};
use sealcast::cast::Header as CastHeader;
use sealcast::container::{Reader, SlotKind, cert, frame};
use sealcast::crypto::chain::Key;
use sealcast::crypto::digest::sha256;
use sealcast::crypto::seal;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether a program is there; says so when it is not.
fn have(program: &str) -> bool {
    let there =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        skipped::skipped(&format!("{program} is not installed"));
    }
    there
}

/// Runs a program on `input`; panics with everything it said unless it succeeds.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {} {said:?}", output.status);
    output.stdout
}

#[test]
fn stock_ssh_keygen_accepts_the_certificate() {
    if !have("ssh-keygen") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    let reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
    let certificate = reader.certificate();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("signers"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
    std::fs::write(path("signature"), &certificate.signature).unwrap();
    let verify = [
        "-Y",
        "verify",
        "-f",
        &path("signers"),
        "-I",
        "web-3",
        "-n",
        cert::NAMESPACE,
        "-s",
        &path("signature"),
    ];
    let said = run("ssh-keygen", &verify, certificate.text.as_bytes());
    assert!(
        String::from_utf8_lossy(&said).contains("Good \"sealcast-session@v1\" signature for web-3"),
        "{said:?}"
    );
}

#[test]
fn stock_age_opens_a_slot() {
    if !have("age") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    let reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    for (slot, identity, key) in [(0, &fleet.identity, &recorded.root), (1, &fleet.searcher, &recorded.index)]
    {
        std::fs::write(&path, format!("{}\n", identity.as_str())).unwrap();
        let found = run("age", &["-d", "-i", path.to_str().unwrap()], &reader.slots()[slot].age);
        assert_eq!(found, key, "slot {slot}");
    }
}

#[test]
fn stock_zstd_opens_a_decrypted_segment() {
    if !have("zstd") {
        return;
    }
    let fleet = fleet();
    let recorded = long(&fleet);
    assert!(stock_zstd(&recorded).len() > 2);
}

#[test]
fn a_flood_begins_a_frame_of_its_own_in_the_middle_of_a_segment() {
    if !have("zstd") {
        return;
    }
    let recorded = record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &sample::flooded(), true);
    assert_eq!(stock_zstd(&recorded).iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [2]);
    let mut reader = unlocked(&recorded.bytes, recorded.root).unwrap();
    let (events, fault) = sample::events_of(&mut reader);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(joined(&events), joined(&recorded.events));
}

/// A `git diff` is looked at. Were it a flood, whatever is typed after it would be compressed like one.
#[test]
fn a_long_listing_after_a_pause_is_no_flood_and_four_of_them_are() {
    if !have("zstd") {
        return;
    }
    let listing: String =
        (0..2000).map(|n| format!("{n} {} of a long listing\r\n", n * 7919 % 10_007)).collect();
    assert!((50_000..60_000).contains(&listing.len()), "{}", listing.len());
    let again = |n: u64| sample::out(2000 + 100 * n, &listing);
    // Four of them in a row nobody follows.
    for (listings, frames) in [(1, 1), (4, 2)] {
        let mut steps = vec![sample::out(0, "$ ")];
        steps.extend((0..listings).map(again));
        steps.push(sample::out(2900, "$ "));
        let recorded = record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &steps, true);
        assert_eq!(stock_zstd(&recorded).iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [frames]);
    }
}

/// Two segments of a flood, all of it in one second.
fn flood_of(text: &str) -> sample::Recorded {
    let mut steps = vec![sample::out(0, "$ \r\n")];
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(9000).collect();
    for (n, half) in pieces.chunks(pieces.len().div_ceil(2)).enumerate() {
        steps.extend((n > 0).then_some(sample::Step::Cut(2200)));
        steps.extend(half.iter().map(|piece| sample::out(2200, piece)));
    }
    record(&fleet(), &[SlotKind::Root], CastHeader::new(80, 24), &steps, true)
}

#[test]
fn a_flood_of_numbers_is_compressed_by_its_long_matches_and_one_of_text_by_its_short_ones() {
    if !have("zstd") {
        return;
    }
    let seq: String = (1..400_000).map(|n| format!("{n}\r\n")).collect();
    let mut source = String::new();
    for module in ["container", "record", "terminal"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
        let mut paths: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        let files = paths.iter().filter(|path| path.is_file());
        source.extend(files.map(|path| std::fs::read_to_string(path).unwrap().replace('\n', "\r\n")));
    }
    for text in [&seq, &source] {
        let recorded = flood_of(text);
        let segments = stock_zstd(&recorded);
        assert_eq!(segments.iter().map(|(frames, _)| *frames).collect::<Vec<_>>(), [2, 1]);
        // What it is shows in the first segment; the second one is compressed accordingly.
        let half: String = text.chars().skip(text.chars().count() / 2).collect();
        let packed = zstd::bulk::compress(half.as_bytes(), 3).unwrap().len();
        let (first, second) = (segments[0].1, segments[1].1);
        let short = if text == &seq { second * 4 < first * 3 } else { second * 100 < packed * 105 };
        assert!(short, "{first} and {second} bytes, and zstd -3 makes {packed} of the second half");
        let mut reader = unlocked(&recorded.bytes, recorded.root).unwrap();
        let (events, fault) = sample::events_of(&mut reader);
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(joined(&events), joined(&recorded.events));
    }
}

/// Opens every segment with stock `zstd` and looks at the cast; gives of how many frames and bytes each consists.
fn stock_zstd(recorded: &sample::Recorded) -> Vec<(usize, usize)> {
    let chunks = damage::split(&recorded.bytes);
    let file = sha256(&[&frame::prologue(), &chunks[0]]);
    let session = Reader::open(Bytes::new(&recorded.bytes)).unwrap().header().session_bytes().unwrap();
    let mut content = Key::from_bytes(recorded.root).derive(&session, b"content");
    let mut chain = content.step(b"seg");
    let (mut packed, mut segments, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in &chunks {
        match chunk[2] {
            forge::SEG | forge::DATA => {
                let (bound, body) = (&chunk[..frame::BOUND_LEN], &chunk[frame::FRAME_LEN..]);
                let mut plain = seal::open(&chain.step(b"key"), &[&file, bound], body).unwrap();
                chain = chain.step(b"next");
                plain.truncate(plain.iter().rposition(|byte| *byte == 0x80).unwrap());
                packed.extend(plain);
            }
            forge::CHECK if chunk[3] & forge::CLOSES != 0 => {
                frames.push((
                    memchr::memmem::find_iter(&packed, &[0x28, 0xb5, 0x2f, 0xfd]).count(),
                    packed.len(),
                ));
                segments.push(run("zstd", &["-d", "-c"], &std::mem::take(&mut packed)));
                content = content.step(b"next");
                chain = content.step(b"seg");
            }
            _ => {}
        }
    }
    let cast = String::from_utf8(segments.concat()).unwrap();
    assert!(cast.starts_with(&format!("{}\n[0,\"t\",", recorded.cast_header)), "{}", &cast[..200]);
    for line in cast.lines().skip(1) {
        let fields: (f64, String, String) = serde_json::from_str(line).unwrap();
        assert_eq!(fields.1.len(), 1, "{line}");
    }
    frames
}
