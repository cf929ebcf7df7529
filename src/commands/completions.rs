//! `sealcast completions SHELL`

use super::Context;
use crate::console::WriteError;
use crate::error::Result;
use std::io::Write as _;

/// Print completions for a shell
///
/// The script goes to standard output: `sealcast completions bash > /etc/bash_completion.d/sealcast`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which shell
    shell: clap_complete::Shell,
}

/// Prints them. `root` is the whole command line's description.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(context: &Context, args: &Args, root: &mut clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, root, "sealcast", &mut script);
    context.console.raw().write_all(&script).map_err(WriteError::from)?;
    Ok(())
}
