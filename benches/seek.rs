//! How long a recording takes to open and to be seen at any moment, whatever its length: one of 1 GB of output, one of 24
//! hours. Prints a table; the recordings are made in a temporary directory first (the large one takes about 150 MB).
//!
//! `cargo bench --bench seek`
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, dead_code)]

#[path = "../tests/support/dice.rs"]
mod dice;
#[path = "../tests/cli/home.rs"]
mod home;
mod sessions;

use dice::Dice;
use home::{Home, Recording as Spec};
use sealcast::cast::{Anchor, Event, Payload};
use sealcast::container::Reader;
use sealcast::crypto::identity::Identities;
use sealcast::crypto::prompt::Nobody;
use sealcast::replay::{Recording, Replay};
use sealcast::store::seal;
use sealcast::terminal::Terminal;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Highest memory so far, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Forgets the highest memory so far.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Events one by one, so that a gigabyte need not be in memory.
fn write(home: &Home, events: impl Iterator<Item = (u64, String)>) -> std::path::PathBuf {
    let (path, ..) = home.record_with(&Spec { events: Vec::new(), ..Spec::default() }, |writer, start| {
        let mut terminal = Terminal::new(80, 24);
        for (ms, text) in events {
            let time = Duration::from_millis(ms);
            if writer.segment_due(time) {
                writer.end_segment(time, sealcast::container::Extras::default()).unwrap();
            }
            let anchor = Anchor { at: ms, utc: start + i64::try_from(ms).unwrap(), boot: 0 };
            if !writer.in_segment() {
                writer.begin(anchor, terminal.snapshot()).unwrap();
            }
            terminal.skim(text.as_bytes());
            writer.push(&Event::new(time, Payload::Output(text.into_bytes()))).unwrap();
        }
    });
    path
}

fn open(home: &Home, path: &Path) -> Recording<File> {
    let identity = home.personal().identity();
    let identities = Identities::load(&[identity], Arc::new(Nobody)).unwrap();
    let mut reader = Reader::open(File::open(path).unwrap()).unwrap();
    seal::unlock(&mut reader, &identities).unwrap();
    Recording::new(reader).unwrap()
}

fn measure(name: &str, home: &Home, path: &Path) {
    forget_peak();
    let before = peak();
    let start = Instant::now();
    let mut replay = Replay::new(open(home, path));
    replay.seek(Duration::ZERO);
    let first = start.elapsed();
    let duration = replay.outline().duration();
    let segments = replay.outline().spans.len();
    let mut times = Vec::new();
    let mut dice = Dice(1);
    for _ in 0..300 {
        let to = duration.mul_f64(dice.below(1u64 << 31) as f64 / (1u64 << 31) as f64);
        let start = Instant::now();
        replay.seek(to);
        times.push(start.elapsed());
        assert!(!replay.terminal().text().trim().is_empty());
    }
    let mut back = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        replay.step_back();
        back.push(start.elapsed());
    }
    times.sort();
    back.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {name} | {:.0} MB, {segments} segments | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        std::fs::metadata(path).unwrap().len() as f64 / 1e6,
        ms(first),
        ms(times[150]),
        ms(times[285]),
        ms(times[299]),
        ms(back[95]),
        (peak() - before) as f64 / 1024.0
    );
}

fn main() {
    println!(
        "| recording | file | first screen, ms | seek p50 | p95 | worst | step back p95 | memory, MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let home = Home::new();
    measure("24 hours", &home, &write(&home, sessions::day()));
    measure("1 GB of log", &home, &write(&home, sessions::log()));
}
