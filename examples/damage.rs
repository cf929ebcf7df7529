//! Damages a recording in every way of the format's description and prints what `verify` says of each.
//!
//! `cargo run --release --example damage` prints the table, then tries all 255 other values of every byte of a recording
//! of 20 KB, every bit with the checksum repaired, and every shorter length. `-- --quick` prints the table alone.
//! `-- --write DIR` writes the damaged files and the table: that is how `fixtures/damaged` was made.
//!
//! Five million times the whole of `verify` as it is (ten minutes of CPU, spread over all processors): nothing is left out, but what was judged before is not judged again.
//! That is the signature of the certificate, wherever text and signature are those of the undamaged file.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/damage.rs"]
mod damage;
#[path = "../tests/support/forge.rs"]
mod forge;
#[path = "../tests/support/sample.rs"]
mod sample;

use damage::verdict;
use sample::{Fleet, busy, judge, record};
use sealcast::cast::Header as CastHeader;
use sealcast::container::cert::Certificate;
use sealcast::container::verify::{Origin, Report, Tear, Verdict, verify};
use sealcast::container::{Error, SlotKind, frame};
use sealcast::crypto::known_keys::KnownKeys;
use std::io::Cursor;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let option = arguments.next();
    let (fleet, other) = (Fleet::new("web-3"), Fleet::new("db-1"));
    let mut table = String::from("# name\tverdict\twhat was done\n");
    let mut wrong = 0;
    for case in damage::cases(&fleet, &other) {
        let found = verdict(&judge(&case.bytes, &fleet.known()));
        wrong += u64::from(!found.starts_with(case.expect));
        table.push_str(&format!("{}\t{found}\t{}\n", case.name, case.what));
        println!("{:<32} {found}\n{:<32}   ({})", case.name, "", case.what);
        if let (Some("--write"), Some(folder)) = (option.as_deref(), std::env::args().nth(2)) {
            std::fs::write(Path::new(&folder).join(format!("{}.scast", case.name)), &case.bytes).unwrap();
        }
    }
    match (option.as_deref(), arguments.next()) {
        (Some("--write"), Some(folder)) => {
            let folder = Path::new(&folder);
            std::fs::write(folder.join("verdicts.tsv"), table).unwrap();
            std::fs::write(folder.join("known_hosts"), format!("web-3 {}\n", fleet.host.host_key())).unwrap();
        }
        (Some("--quick"), _) => {}
        _ => wrong += exhaustive(&fleet),
    }
    ExitCode::from(u8::from(wrong > 0))
}

/// Every byte, every value, every length. Gives the number of verdicts that are not what they must be.
fn exhaustive(fleet: &Fleet) -> u64 {
    let kinds = [SlotKind::Root];
    let bytes = record(fleet, &kinds, CastHeader::new(80, 24), &busy(11, 560, 150), true).bytes;
    let known = fleet.known();
    let places = damage::places(&bytes);
    println!("\na recording of {} bytes, {} chunks", bytes.len(), places.len() - 1);
    let untouched = judge(&bytes, &known).unwrap().verdict;
    println!("untouched: {untouched:?}");
    let known = &Judge::new(&bytes, &known);
    let begun = Instant::now();
    let flips = sweep(bytes.len(), |at, changed: &mut Vec<u8>| {
        changed.clone_from(&bytes);
        // The chunk it is in, or in the prologue the byte itself.
        let (start, end) = *places.iter().rfind(|(start, _)| *start <= at).unwrap();
        let place = if start == 0 { at } else { start } as u64;
        let mut passed = 0;
        for value in 1..=255u8 {
            changed[at] = bytes[at] ^ value;
            passed += u64::from(match known.judge(changed).map(|report| report.verdict) {
                Ok(Verdict::Altered { offset, .. }) => offset != place,
                // A trailer that claims to be longer than the file looks like one that was not written to its end.
                Ok(Verdict::Torn { at, how: Tear::Closing }) => at != place || end != bytes.len(),
                _ => true,
            });
        }
        passed
    });
    println!(
        "{} single changed bytes, not found, or not where they are: {flips} ({:?})",
        bytes.len() * 255,
        begun.elapsed()
    );
    let begun = Instant::now();
    let mended = sweep(bytes.len(), |at, changed: &mut Vec<u8>| {
        let (start, end) = *places.iter().rfind(|(start, _)| *start <= at).unwrap();
        if start == 0 || (start + frame::BOUND_LEN..start + frame::FRAME_LEN).contains(&at) {
            return 0;
        }
        changed.clone_from(&bytes);
        let mut passed = 0;
        for bit in 0..8 {
            changed[at] = bytes[at] ^ (1 << bit);
            damage::mend(&mut changed[start..end]);
            passed += u64::from(!found_out(&known.judge(changed)));
        }
        passed
    });
    println!(
        "{} flipped bits, checksum repaired, passed as intact: {mended} ({:?})",
        bytes.len() * 8,
        begun.elapsed()
    );
    let begun = Instant::now();
    let cuts = sweep(bytes.len(), |at, cut: &mut Vec<u8>| {
        cut.clone_from(&bytes);
        cut.truncate(at);
        u64::from(
            !matches!(known.judge(cut), Err(Error::NotARecording) if at == 0) && !torn(&known.judge(cut)),
        )
    });
    println!("{} shorter lengths, not reported as torn: {cuts} ({:?})", bytes.len(), begun.elapsed());
    u64::from(untouched != Verdict::Intact) + flips + mended + cuts
}

/// Judges as everybody does, and remembers what came of the undamaged certificate.
struct Judge<'a> {
    known: &'a KnownKeys,
    certificate: Certificate,
    origin: Origin,
}

impl<'a> Judge<'a> {
    fn new(bytes: &[u8], known: &'a KnownKeys) -> Self {
        let seen = std::cell::OnceCell::new();
        let certify = |certificate: &Certificate| {
            let origin = sample::certify(known, certificate);
            seen.set((certificate.clone(), origin.clone())).unwrap();
            origin
        };
        verify(Cursor::new(bytes), certify, |_| ()).unwrap();
        let (certificate, origin) = seen.into_inner().unwrap();
        Self { known, certificate, origin }
    }

    fn judge(&self, bytes: &[u8]) -> Result<Report, Error> {
        let certify = |found: &Certificate| {
            if *found == self.certificate { self.origin.clone() } else { sample::certify(self.known, found) }
        };
        verify(Cursor::new(bytes), certify, |_| ())
    }
}

fn found_out(result: &Result<Report, Error>) -> bool {
    matches!(result, Ok(report) if matches!(report.verdict, Verdict::Altered { .. } | Verdict::Torn { .. }))
}

fn torn(result: &Result<Report, Error>) -> bool {
    matches!(result, Ok(report) if matches!(report.verdict, Verdict::Torn { .. }))
}

fn sweep(n: usize, check: impl Fn(usize, &mut Vec<u8>) -> u64 + Sync) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let check = &check;
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                scope.spawn(move || {
                    let mut buffer = Vec::new();
                    (part..n).step_by(threads).map(|at| check(at, &mut buffer)).sum::<u64>()
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    })
}
