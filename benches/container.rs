//! Sealing, opening, verifying a recording; opening just its index.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/support/sample.rs"]
mod sample;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sample::{Dice, Fleet, Step, out, record};
use sealcast::cast::Header as CastHeader;
use sealcast::container::verify::{Origin, verify};
use sealcast::container::{Cursor, Reader, SlotKind, verify_content};
use std::hint::black_box;
use std::io::Cursor as Bytes;
use std::time::Duration;

/// 16 MB of log lines in reads of 4 KiB, a segment every megabyte.
fn bulk() -> (Vec<Step>, u64) {
    let mut dice = Dice(9);
    let (mut steps, mut raw, mut text) = (Vec::new(), 0u64, String::new());
    for n in 0..150_000u64 {
        let (worker, took) = (dice.below(16), dice.below(9973));
        text.push_str(&format!(
            "2026-11-25T14:03:{:02}Z INFO worker-{worker} request {n} of user {:x} took {took} ms\r\n",
            n % 60,
            dice.below(1 << 20)
        ));
        if text.len() >= 4096 {
            raw += text.len() as u64;
            steps.push(out(n / 60, std::mem::take(&mut text)));
            if steps.len() % 256 == 0 {
                steps.push(Step::Cut(n / 60));
            }
        }
    }
    (steps, raw)
}

/// Ten minutes at a prompt: small writes, a flush every second.
fn interactive() -> Vec<Step> {
    let mut dice = Dice(4);
    let mut steps = Vec::new();
    for n in 0..2000u64 {
        let (one, two) = (dice.below(1u64 << 31), dice.below(1u64 << 31));
        let text = format!("\u{1b}[1;31mroot@web-3\u{1b}[0m:~# ls {one:x}{two:x}\r\n");
        steps.push(out(n * 300, &text[..4 + dice.below(text.len() - 4)]));
    }
    steps
}

fn container(c: &mut Criterion) {
    let fleet = Fleet::new("web-3");
    let (steps, raw) = bulk();
    let screen = || CastHeader::new(80, 24);
    let write = |steps: &[Step]| record(&fleet, &[SlotKind::Root, SlotKind::Index], screen(), steps, true);
    let recorded = write(&steps);
    let bytes = &recorded.bytes;
    let mut group = c.benchmark_group("container");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));

    group.throughput(Throughput::Bytes(raw));
    group.bench_function("write bulk (raw bytes)", |b| b.iter(|| black_box(write(&steps).bytes.len())));
    group.bench_function("read bulk (raw bytes)", |b| {
        b.iter(|| {
            let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
            reader.unlock(recorded.root).unwrap();
            let (mut cursor, mut count) = (Cursor::new(&reader, 0).unwrap(), 0);
            while cursor.next(&mut reader).unwrap().is_some() {
                count += 1;
            }
            black_box(count)
        });
    });
    group.bench_function("verify content (raw bytes)", |b| {
        b.iter(|| {
            let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
            reader.unlock(recorded.root).unwrap();
            black_box(verify_content(&mut reader, |_| ()).unwrap())
        });
    });
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("verify (file bytes)", |b| {
        b.iter(|| {
            black_box(verify(Bytes::new(bytes), |_| Origin::Trusted(String::new()), |_| ()).unwrap().signed)
        });
    });
    let few = interactive();
    let length: u64 = few
        .iter()
        .map(
            |step| {
                if let Step::At(_, sealcast::cast::Payload::Output(b)) = step { b.len() as u64 } else { 0 }
            },
        )
        .sum();
    group.throughput(Throughput::Bytes(length));
    group.bench_function("write interactive, 600 flushes (raw bytes)", |b| {
        b.iter(|| black_box(write(&few).bytes.len()))
    });

    group.throughput(Throughput::Elements(1));
    group.bench_function("open the index", |b| {
        b.iter(|| {
            let mut reader = Reader::open(Bytes::new(bytes)).unwrap();
            reader.unlock_index(recorded.index).unwrap();
            black_box(reader.entries().len())
        });
    });
    let mut unlocked = Reader::open(Bytes::new(bytes)).unwrap();
    unlocked.unlock(recorded.root).unwrap();
    group.bench_function("seek to the middle", |b| {
        b.iter(|| {
            let mut cursor = Cursor::new(&unlocked, unlocked.segments() / 2).unwrap();
            black_box(cursor.next(&mut unlocked).unwrap().unwrap().time)
        });
    });
    group.bench_function("open for writing, 1 recipient", |b| {
        b.iter(|| black_box(record(&fleet, &[SlotKind::Root], screen(), &[], false).bytes.len()))
    });
    group.finish();
}

criterion_group!(benches, container);
criterion_main!(benches);
