//! `sealcast follow [REC]`: the player at the end of a session that is still running.

use super::Context;
use super::recordings::Reading;
use super::watch::{self, Start};
use crate::error::Result;
use std::ffi::OsString;
use std::path::PathBuf;

/// Watch a session while it is recorded
///
/// Opens the player at the end of the recording and shows what is written as it comes; it can be rewound meanwhile. What is
/// shown is behind the session by the recorder's flush interval.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording: a path, the beginning of an id, `last`, `last~2`
    #[arg(value_name = "REC", default_value = "last")]
    recording: OsString,
    /// Keys that recordings may be signed with; may be given several times
    #[arg(short, long, value_name = "FILE")]
    known_keys: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs it.
///
/// # Errors
/// There is no terminal, or the recording cannot be opened.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let start = Start {
        recording: Some(args.recording.clone()),
        at: None,
        follow: true,
        speed: 1.0,
        idle_limit: None,
        known_keys: args.known_keys.clone(),
    };
    watch::watch(context, &args.reading, &start)
}
