//! How fast the emulator and the transcript eat a bulk log and edits.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealcast::terminal::{Terminal, Transcript};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

/// About 4 MB of log lines, some coloured, some longer than the screen is wide.
fn log() -> String {
    let mut text = String::new();
    for n in 0..40_000 {
        let level = if n % 7 == 0 { "\x1b[33mWARN\x1b[0m" } else { "INFO" };
        let _ = write!(
            text,
            "2026-11-25T14:03:{:02}Z {level} worker-{} request {n} took {} ms",
            n % 60,
            n % 16,
            n * 7 % 311
        );
        text.push_str(if n % 11 == 0 {
            " and was followed by a rather long explanation that goes on past the margin\r\n"
        } else {
            "\r\n"
        });
    }
    text
}

/// A full-screen program that redraws a row here and there.
fn edits() -> String {
    let mut text = String::from("\x1b[?1049h\x1b[2J");
    for n in 0..60_000 {
        let _ = write!(text, "\x1b[{};{}H\x1b[3{}m{:>5}%\x1b[K", n % 40 + 1, n % 7 + 1, n % 8, n % 100);
    }
    text
}

fn speed(c: &mut Criterion) {
    for (name, text) in [("log", log()), ("edits", edits())] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
        group.bench_function("terminal", |b| {
            b.iter(|| {
                let mut terminal = Terminal::new(120, 40);
                text.as_bytes().chunks(4096).for_each(|chunk| terminal.feed(chunk));
                black_box(terminal.text());
            });
        });
        for settle in [0, 100] {
            group.bench_function(format!("transcript, {settle} ms"), |b| {
                b.iter(|| {
                    let mut transcript = Transcript::new(120, 40).settling(Duration::from_millis(settle));
                    let mut lines = 0;
                    for (n, chunk) in text.as_bytes().chunks(4096).enumerate() {
                        transcript.feed(Duration::from_millis(n as u64), chunk, &mut |line| {
                            lines += line.text.len()
                        });
                    }
                    black_box(lines);
                });
            });
        }
    }
}

criterion_group!(benches, speed);
criterion_main!(benches);
