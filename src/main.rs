//! The binary: arguments and environment go in, an exit code comes out.

use sealcast::commands::Environment;
use std::process::ExitCode;

/// What a recorder frees, it wipes.
#[global_allocator]
static ALLOCATOR: sealcast::sys::memory::ZeroOnFree = sealcast::sys::memory::ZeroOnFree;

fn main() -> ExitCode {
    sealcast::cli::main(std::env::args_os(), Environment::of_process())
}
