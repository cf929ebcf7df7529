//! See `tests/support/fuzz_targets.rs`.
#![no_main]
#[path = "../../tests/support/damage.rs"]
mod damage;
#[path = "../../tests/support/forge.rs"]
mod forge;
#[path = "../../tests/support/fuzz_targets.rs"]
mod fuzz_targets;
#[path = "../../tests/support/sample.rs"]
mod sample;
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::sealed(data));
