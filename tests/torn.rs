//! What is said of recordings that have no proper end: being written, killed, cut, and held by somebody who is no recorder.
#![allow(clippy::unwrap_used)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/sample.rs"]
mod sample;

use sample::{Fleet, Recorded};
use sealcast::cast::Header as CastHeader;
use sealcast::container::{Reader, SlotKind};
use sealcast::store::{RecordingFile, Store};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

/// A store with one recording that was not closed.
struct Desk {
    dir: tempfile::TempDir,
    recording: Recorded,
    path: PathBuf,
    /// Held as long as it is being written.
    writer: Option<RecordingFile>,
}

impl Desk {
    /// The first `length` bytes of a recording of three segments and a part of a fourth, or all of it.
    fn new(length: impl FnOnce(&[u8]) -> usize) -> Self {
        let fleet = Fleet::new("web-3");
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("identity"), &*fleet.identity).unwrap();
        std::fs::write(path("known"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
        let recording = damage::small(&fleet, "open recording", false);
        let header = Reader::open(std::io::Cursor::new(&recording.bytes)).unwrap().header().clone();
        let id = header.session_bytes().unwrap();
        let mut writer = Store::new(path("store")).create(header.start, &id).unwrap();
        writer.write_all(&recording.bytes[..length(&recording.bytes)]).unwrap();
        writer.publish().unwrap();
        let path = writer.path().to_owned();
        Self { dir, recording, path, writer: Some(writer) }
    }

    /// With an end that is signed, that of a segment, or with the beginning of the next, which still waits for its signature.
    fn cut(signed: bool) -> Self {
        Self::new(|bytes| {
            let chunks = damage::split(bytes);
            let begins = chunks.iter().rposition(|chunk| chunk[2] == forge::SEG).unwrap();
            assert_eq!(chunks[begins - 1][2], forge::CHECK);
            damage::places(bytes)[begins + usize::from(!signed)].1
        })
    }

    /// Its recorder has gone. A copy takes its place: a program that another test starts at this moment holds the lock until it is
    /// executed.
    fn let_go(&mut self) {
        self.writer = None;
        let copy = self.path.with_extension("copy");
        std::fs::copy(&self.path, &copy).unwrap();
        std::fs::rename(&copy, &self.path).unwrap();
    }

    fn sealcast(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sealcast"))
            .args(words)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// As if the last write had been so long ago.
    fn age(&self, age: Duration) {
        let file = File::options().append(true).open(&self.path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// Exit status, and what `verify` says.
    fn verify(&self, path: &str) -> (i32, String) {
        let done = self.sealcast(&["verify", "-k", "known", path]);
        (done.status.code().unwrap(), said(&done))
    }
}

impl Desk {
    /// Exit status, and what `verify` says with an identity.
    fn opened(&self, path: &str) -> (i32, serde_json::Value) {
        let done = self.sealcast(&["verify", "--json", "-k", "known", "-i", "identity", path]);
        let verdict = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", said(&done)));
        (done.status.code().unwrap(), verdict)
    }
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn who_may_only_read_a_torn_recording_cannot_make_it_look_as_if_it_were_running() {
    let mut desk = Desk::cut(true);
    desk.let_go();
    let path = desk.path.to_str().unwrap().to_owned();
    let reader = File::open(&desk.path).unwrap();
    reader.lock().unwrap();
    let (code, verdict) = desk.verify(&path);
    assert!(code == 1 && verdict.contains("torn"), "{code} {verdict}");
    let listed = said(&desk.sealcast(&["ls", "--store", "store", "-i", "identity"]));
    assert!(listed.contains("torn") && !listed.contains("running"), "{listed}");
    // Whoever has a copy may write to it, but it is not the recording.
    let copy = desk.dir.path().join("copy.scast");
    std::fs::copy(&desk.path, &copy).unwrap();
    let held = File::options().append(true).open(&copy).unwrap();
    assert!(sealcast::sys::lock::try_exclusive(&held).unwrap());
    let (code, verdict) = desk.verify(copy.to_str().unwrap());
    assert!(code == 1 && verdict.contains("torn"), "{code} {verdict}");
}

#[test]
fn a_recording_that_is_held_counts_as_running_as_long_as_a_recorder_could_have_been_silent() {
    for (signed, minutes, expected, words) in [
        (true, 0, 0, &["running", "so far"][..]),
        (false, 0, 0, &["running", "so far"]),
        (true, 90, 0, &["running", "open and locked, last written 90 min ago"]),
        (false, 90, 1, &["torn", "open and locked, last written 90 min ago and not signed since"]),
        (true, 3 * 24 * 60, 1, &["torn", "open and locked, last written 3 days ago"]),
    ] {
        let desk = Desk::cut(signed);
        desk.age(MINUTE * minutes);
        let (code, verdict) = desk.verify(desk.path.to_str().unwrap());
        let all = words.iter().all(|word| verdict.contains(word));
        assert!(code == expected && all, "signed {signed}, {minutes} min: {code} {verdict}");
        let listed = said(&desk.sealcast(&["ls", "--store", "store", "-i", "identity"]));
        let silent = format!("running, {minutes} min silent");
        assert_eq!(listed.contains(&silent), minutes == 90, "{listed}");
        assert!(listed.contains("running"), "{listed}");
    }
    let desk = Desk::cut(true);
    desk.age(MINUTE * 90);
    let told = said(&desk.sealcast(&["show", "-i", "identity", "--commands", desk.path.to_str().unwrap()]));
    assert!(
        told.contains("it is open and locked, last written 90 min ago: commands of its last part"),
        "{told}"
    );
    assert!(desk.recording.bytes.len() > 1000);
}

#[test]
fn what_still_waits_for_a_signature_after_minutes_is_torn_for_whoever_can_open_it_however_fresh_the_file_looks()
 {
    // It was recorded in January.
    for (signed, expected) in [(true, "running"), (false, "torn")] {
        let desk = Desk::cut(signed);
        desk.age(Duration::ZERO);
        let path = desk.path.to_str().unwrap();
        let (code, verdict) = desk.verify(path);
        assert!(code == 0 && verdict.contains("running"), "without an identity: {code} {verdict}");
        let (code, verdict) = desk.opened(path);
        let told = (&verdict["verdict"], code);
        assert_eq!(told, (&expected.into(), i32::from(!signed)), "signed {signed}: {verdict}");
        let detail = verdict["detail"].as_str().unwrap();
        let waits =
            detail.contains("open and locked, and what was recorded ") && detail.contains(" is not signed");
        assert_eq!(waits, !signed, "{detail}");
        assert!(detail.contains("; content checked, "), "{detail}");
    }
}

#[test]
fn whoever_signed_is_not_blamed_for_what_stands_after_the_last_signature() {
    for flipped in [false, true] {
        let mut desk = Desk::cut(!flipped);
        desk.let_go();
        let mut chunks = damage::split(&std::fs::read(&desk.path).unwrap());
        // Nobody needs a key for either.
        if flipped {
            let last = chunks.last_mut().unwrap();
            *last.last_mut().unwrap() ^= 1;
            damage::mend(last);
        } else {
            let seq = u32::try_from(chunks.len()).unwrap();
            // A segment begins behind a signature that closed one; any other is followed by more of the same.
            let closes = chunks.last().unwrap()[3] & forge::CLOSES != 0;
            let kind = if closes { forge::SEG } else { forge::DATA };
            chunks.push(forge::chunk(kind, 0, seq, &[7; 200]));
        }
        let bytes = damage::join(&chunks);
        let (place, chunk) = (bytes.len() - chunks.last().unwrap().len(), chunks.len() - 1);
        std::fs::write(&desk.path, bytes).unwrap();
        let (code, verdict) = desk.opened(desk.path.to_str().unwrap());
        assert_eq!((&verdict["verdict"], code), (&"altered".into(), 1), "{verdict}");
        let told = ["offset", "chunk", "signed"].map(|key| verdict[key].as_u64());
        assert_eq!(told, [place, chunk, place].map(|n| u64::try_from(n).ok()), "{verdict}");
        let told = format!(
            "after the last signature the content is wrong: at byte {place} (chunk {chunk}): the sealed content is not what was written; good up to byte {place}"
        );
        assert_eq!(verdict["detail"], told, "{verdict}");
    }
}

#[test]
fn an_index_that_is_wrong_after_the_last_signature_is_told_to_who_may_only_search() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::cut(true);
    let steps = [sample::out(0, "one"), sample::Step::Cut(500), sample::out(900, "two")];
    let kinds = [SlotKind::Root, SlotKind::Index];
    let whole = sample::record(&fleet, &kinds, CastHeader::new(80, 24), &steps, true).bytes;
    let chunks = damage::split(&whole);
    let last = chunks.iter().rposition(|chunk| chunk[2] == forge::INDEX).unwrap();
    let path = |name: &str| desk.dir.path().join(name);
    std::fs::write(path("searcher"), &*fleet.searcher).unwrap();
    std::fs::write(path("hosts"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
    for (changed, code, told) in [
        (0, 1, "torn".to_owned()),
        (
            1,
            1,
            format!(
                "after the last signature the content is wrong: at byte {}",
                damage::places(&whole)[last + 1].0
            ),
        ),
    ] {
        let mut kept = chunks[..=last].to_vec();
        *kept[last].last_mut().unwrap() ^= changed;
        damage::mend(&mut kept[last]);
        std::fs::write(path("searched.scast"), damage::join(&kept)).unwrap();
        let done = desk.sealcast(&["verify", "-k", "hosts", "-i", "searcher", "searched.scast"]);
        let said = said(&done);
        let alone = said.contains("the key opens the index only");
        assert!(
            done.status.code() == Some(code) && said.contains(&told) && alone == (changed == 0),
            "{said}"
        );
    }
}

#[test]
fn what_is_kept_of_a_damaged_recording_that_was_closed_says_itself_that_it_is_cut() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::cut(true);
    let write = |name: &str| desk.dir.path().join(name);
    std::fs::write(write("identity"), &*fleet.identity).unwrap();
    let mut bytes = damage::small(&fleet, "whole", true).bytes;
    let last = damage::split(&bytes).iter().rposition(|chunk| chunk[2] == forge::SEG).unwrap();
    let place = damage::places(&bytes)[last + 1].0 + 40;
    bytes[place] ^= 1;
    std::fs::write(write("damaged.scast"), bytes).unwrap();
    let note = "damaged: what comes after this could not be read";
    for (format, end) in [
        ("cast", format!(",\"m\",\"{note}\"]")),
        ("cast2", format!(",\"m\",\"{note}\"]")),
        ("json", format!("{{\"kind\":\"damaged\",\"ms\":64000,\"note\":\"{note}\"}}")),
        ("text", format!("[{note}]")),
        ("raw", "whole 2.2".to_owned()),
    ] {
        let kept = format!("kept.{format}");
        let words = ["export", "-i", "identity", "-f", format, "-o", &kept, "damaged.scast"];
        let done = desk.sealcast(&words);
        assert_eq!(done.status.code(), Some(2), "{}", said(&done));
        let text = std::fs::read_to_string(write(&kept)).unwrap();
        assert!(text.trim_end().ends_with(&end) && text.contains("whole 2.2"), "{format}: {text}");
    }
}

/// Standard output and standard error of an export or a replay that succeeds.
fn both(desk: &Desk, words: &[&str]) -> (String, String) {
    let done = desk.sealcast(words);
    assert!(done.status.success(), "{words:?}: {}", said(&done));
    let [out, err] = [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (out, err)
}

#[test]
fn what_is_exported_or_played_of_a_recording_without_an_end_says_that_it_has_none() {
    for (held, why) in [(true, "it is being recorded"), (false, "it was not closed")] {
        let mut desk = Desk::cut(false);
        if !held {
            desk.let_go();
        }
        let path = desk.path.to_str().unwrap().to_owned();
        let export = |format: &str| both(&desk, &["export", "-i", "identity", "-f", format, &path]);
        for (format, end) in [
            ("cast", "\"m\",\"not closed: what comes after this is missing, or was not recorded yet\"]"),
            ("cast2", "\"m\",\"not closed: what comes after this is missing, or was not recorded yet\"]"),
            ("json", "\"kind\":\"open-end\""),
            ("text", "¶ [not closed: what comes after this is missing, or was not recorded yet]"),
            ("raw", "open recording 3."),
        ] {
            let (out, err) = export(format);
            let last = out.lines().last().unwrap();
            assert!(last.contains(end), "{format}: {last}");
            let told = err.contains(&format!("{why}: exported up to 1:3"));
            assert!(told, "{format}: {err}");
        }
        let (out, _) = both(&desk, &["play", "--plain", "--speed", "10000", "-i", "identity", &path]);
        let last = out.lines().last().unwrap();
        assert!(last.starts_with(&format!("¶ [{why}: here, at 1:3")), "{out}");
        // Of one that was not closed, that is an error: parts of it are in no index.
        if held {
            let parts = ["export", "-i", "identity", "--hits", "recording 1", &path];
            let (_, err) = both(&desk, &parts);
            assert!(
                err.contains(&format!("{why}: there may have been more than could be searched")),
                "{err}"
            );
        }
    }
}

#[test]
fn what_is_exported_or_played_of_a_closed_recording_ends_as_it_did() {
    let fleet = Fleet::new("web-3");
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk { path: dir.path().join("closed.scast"), ..Desk::cut(true) };
    std::fs::write(desk.dir.path().join("identity"), &*fleet.identity).unwrap();
    std::fs::write(&desk.path, damage::small(&fleet, "whole", true).bytes).unwrap();
    let path = desk.path.to_str().unwrap();
    for format in ["cast", "cast2", "json"] {
        let (out, err) = both(&desk, &["export", "-i", "identity", "-f", format, path]);
        assert!(out.lines().last().unwrap().contains("whole 3.2"), "{out}");
        assert!(!err.contains("exported up to"), "{err}");
    }
    let (out, _) = both(&desk, &["play", "--plain", "--speed", "10000", "-i", "identity", path]);
    assert!(out.trim_end().ends_with("whole 3.2"), "{out}");
}

#[test]
fn what_show_counts_of_a_recording_without_an_end_is_no_more_than_the_least() {
    // Cut inside its first segment, so that nothing is in the index yet.
    let desk = Desk::new(|bytes| {
        let chunks = damage::split(bytes);
        let data = chunks.iter().position(|chunk| chunk[2] == forge::DATA).unwrap();
        damage::places(bytes)[data + 1].1
    });
    let path = desk.path.to_str().unwrap();
    let (told, _) = both(&desk, &["show", "-i", "identity", path]);
    assert!(told.contains("40 B or more of output in 0 segments and one without an end"), "{told}");
    assert!(told.contains("UTC, for 0:02.0 or more"), "{told}");
    let json = |words: &[&str]| {
        let done = desk.sealcast(words);
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"))
    };
    let told = json(&["verify", "--json", "-i", "identity", path]);
    assert_eq!(told["segments"], 0, "{told}");
    let told = json(&["show", "--json", "-i", "identity", path]);
    assert_eq!((&told["complete"], &told["output_bytes"]), (&false.into(), &40.into()), "{told}");
    let closed = desk.dir.path().join("closed.scast");
    let fleet = Fleet::new("web-3");
    std::fs::write(desk.dir.path().join("identity"), &*fleet.identity).unwrap();
    std::fs::write(&closed, damage::small(&fleet, "whole", true).bytes).unwrap();
    let (told, _) = both(&desk, &["show", "-i", "identity", closed.to_str().unwrap()]);
    assert!(told.contains("132 B of output in 4 segments") && !told.contains("or more"), "{told}");
}

#[test]
fn a_file_that_claims_a_length_that_no_loss_of_power_leaves_is_altered_at_once() {
    let mut desk = Desk::new(|bytes| bytes.len());
    desk.let_go();
    File::options().append(true).open(&desk.path).unwrap().set_len(1 << 40).unwrap();
    let told = "more than 256 MiB of zeros follow, and no loss of power leaves so many";
    let path = desk.path.to_str().unwrap();
    for (words, status) in [(&["verify", path][..], 1), (&["show", path], 0), (&["export", path], 2)] {
        let done = desk.sealcast(&[words, &["--identity", "identity"]].concat());
        let text = format!("{words:?} {done:?}");
        assert!(text.contains(told) || words[0] == "show", "{text}");
        assert_eq!(done.status.code(), Some(status), "{text}");
    }
}

#[test]
fn show_calls_a_recording_no_more_intact_than_its_index_that_it_reads() {
    let (fleet, desk) = (Fleet::new("web-3"), Desk::cut(true));
    let root = [5; 32];
    let age = sealcast::crypto::recipient::wrap(&fleet.recipients, &root).unwrap();
    let slot = [&[1][..], &u32::try_from(age.len()).unwrap().to_le_bytes(), &age].concat();
    std::fs::write(desk.dir.path().join("identity"), &*fleet.identity).unwrap();
    std::fs::write(desk.dir.path().join("known"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
    let told = |entry: &str| {
        let mut forge = forge::Forge::begin(root, &fleet.host, &fleet.name, &slot);
        let entry = entry.replace("HERE", &forge.bytes.len().to_string());
        let clocks = "[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";
        forge.data(forge::SEG, &zstd::bulk::compress(clocks.as_bytes(), 3).unwrap());
        forge.index(&forge::packed(entry.as_bytes(), &[]));
        forge.check(forge::CLOSES | forge::FINAL);
        forge.finish();
        std::fs::write(desk.dir.path().join("forged.scast"), &forge.bytes).unwrap();
        let words = ["--json", "-k", "known", "-i", "identity", "forged.scast"];
        ["verify", "show"].map(|command| {
            let done = desk.sealcast(&[&[command], &words[..]].concat());
            let json: serde_json::Value =
                serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", self::said(&done)));
            (json["verdict"].clone(), json["detail"].as_str().unwrap().to_owned())
        })
    };
    let [(verified, _), (shown, detail)] = told(r#"{"offset":HERE,"utc":5,"step":1000}"#);
    assert_eq!((&verified, &shown), (&"intact".into(), &"intact".into()), "{detail}");
    let [verified, shown] = told("{");
    assert!(verified.0 == "altered" && verified.1.contains("the index entry is malformed"), "{verified:?}");
    assert_eq!(shown, verified);
}
