//! `sealcast keys new | list | check`

mod check;
mod list;
mod new;

use super::Context;
use crate::error::Result;

/// Make, list and check keys
///
/// A recording is sealed to recipients (public keys) and opened with an identity (a secret key) of one of them. A
/// signing key proves where it was made.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make keys
    ///
    /// Without options: your own identity, recipients file and signing key, where there are none yet.
    New(new::Args),
    /// Show the keys there are
    List(list::Args),
    /// Check that every recipient can be sealed to, and what opens it
    Check(check::Args),
}

/// Runs it.
///
/// # Errors
/// What cannot be made, read or checked; for `check`, a finding (exit code 1).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.command {
        Command::New(args) => new::run(context, args),
        Command::List(args) => list::run(context, args),
        Command::Check(args) => check::run(context, args),
    }
}
