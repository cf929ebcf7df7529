//! The fuzz targets' seeds, and some thousands of changed ones, as part of every test run.
#![allow(clippy::unwrap_used)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/fuzz_targets.rs"]
mod fuzz_targets;
#[path = "support/sample.rs"]
mod sample;

use fuzz_targets::{TARGETS, Target, mutate};
use sealcast::container::{Reader, commands};
use std::io::Cursor as Bytes;

const MUTATED: usize = 3000;

fn drive(name: &str) {
    let target: &Target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.run)(seed);
    }
    let mut dice = sample::Dice(0x5EA1_CA57);
    for n in 0..MUTATED {
        let input = mutate(&mut dice, &seeds, 1 << 16);
        let outcome = std::panic::catch_unwind(|| (target.run)(&input));
        assert!(outcome.is_ok(), "input {n}: {}", sealcast::crypto::digest::hex(&input));
    }
}

#[test]
fn any_file_is_judged_and_read_without_a_panic() {
    drive("container");
}

#[test]
fn any_header_slots_and_certificate_are_read_without_a_panic() {
    drive("header");
}

#[test]
fn anything_sealed_is_read_without_a_panic() {
    drive("sealed");
}

#[test]
fn any_cast_line_is_read_without_a_panic_and_comes_back() {
    drive("cast_lines");
}

#[test]
fn any_key_text_is_read_without_a_panic() {
    drive("keys");
}

#[test]
fn the_seeds_of_what_is_sealed_are_read_to_their_end() {
    let target = TARGETS.iter().find(|target| target.name == "sealed").unwrap();
    for seed in (target.seeds)() {
        let file = fuzz_targets::sealed_file(&seed).unwrap();
        let mut reader = Reader::open(Bytes::new(&file)).unwrap();
        reader.unlock(fuzz_targets::ROOT).unwrap();
        match seed[0] {
            0 | 1 => assert!(sample::events_of(&mut reader).0.len() > 20),
            2 | 3 => {
                let commands = commands(reader.entries());
                let told: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.execs.len())).collect();
                let ended = [("ls | sort", 2), ("ls | sort", 2), ("sleep 9", 0), ("sleep 9", 0)];
                assert_eq!(told, [&ended[..], &[("vi", 1)]].concat());
            }
            _ => assert_eq!(reader.opening().unwrap().meta.beside, ["stdin", "stdout"]),
        }
    }
}
