//! Runs the fuzz targets on a stable compiler: `cargo run --release --example fuzz -- [TARGET|all] [EXECUTIONS] [SEED]`.
//!
//! Mutates the seeds without looking at coverage (that is what `fuzz/` is for); an input that causes a panic is printed
//! in hexadecimal, and the exit status is 1.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/damage.rs"]
mod damage;
#[path = "../tests/support/forge.rs"]
mod forge;
#[path = "../tests/support/fuzz_targets.rs"]
mod fuzz_targets;
#[path = "../tests/support/sample.rs"]
mod sample;

use fuzz_targets::{TARGETS, mutate};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_else(|| "all".into());
    let executions: u64 = arguments.next().map_or(Ok(100_000), |n| n.parse()).unwrap();
    let seed: u64 = arguments.next().map_or(Ok(1), |n| n.parse()).unwrap();
    let mut failed = false;
    for target in TARGETS.iter().filter(|target| wanted == "all" || target.name == wanted) {
        let seeds = (target.seeds)();
        let (mut dice, begun) = (sample::Dice(seed), Instant::now());
        let (mut panics, mut slowest) = (0u64, Duration::ZERO);
        for _ in 0..executions {
            let input = mutate(&mut dice, &seeds, 1 << 16);
            let start = Instant::now();
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                panics += 1;
                println!("{}: panic on {}", target.name, sealcast::crypto::digest::hex(&input));
            }
            slowest = slowest.max(start.elapsed());
        }
        failed |= panics > 0;
        let rate = executions as f64 / begun.elapsed().as_secs_f64();
        println!(
            "{:<11} {executions} executions, {panics} panics, {rate:.0} a second, slowest {slowest:?}, seed {seed}",
            target.name
        );
    }
    ExitCode::from(u8::from(failed))
}
