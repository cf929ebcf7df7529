//! The binary: arguments and environment go in, an exit code comes out.

use sealcast::commands::Environment;
use std::process::ExitCode;

fn main() -> ExitCode {
    sealcast::cli::main(std::env::args_os(), Environment::of_process())
}
