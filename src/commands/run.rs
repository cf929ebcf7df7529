//! `sealcast run`: a shell or a command, recorded.

use super::Context;
use crate::container::{Header, Meta};
use crate::error::{Error, Kind, Result};
use crate::record::{self, OnFailure, Order, ScreenIndexer, Taken, session};
use crate::store::{Store, period};
use crate::sys::stage::{Ended, Program};
use crate::sys::{self, ids};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Run a shell or a command and record it
///
/// Without a command, your login shell is run. The exit status is that of what was run; 125 when recording could not
/// begin, 126 when the command cannot be executed, 127 when it is not found.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Start in this directory
    #[arg(short = 'D', long, value_name = "DIR")]
    chdir: Option<PathBuf>,
    /// Run the shell as a login shell
    #[arg(short = 'i', long)]
    login: bool,
    /// Why: goes into the recording, sealed
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Ticket of the work order: goes into the recording, sealed
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// A label: goes into the recording, sealed
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// What to run
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn label(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

/// Space held back in personal mode for the close of a recording.
const RESERVE: u64 = 1 << 20;

/// Runs the command. Gives the exit status of what was run; does not return when that died of a signal.
///
/// # Errors
/// The recording could not begin, or the command could not be started.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let personal = context.personal()?;
    let user = ids::user_by_uid(ids::effective_uid())?;
    let name = user.as_ref().map_or_else(|| format!("uid {}", ids::effective_uid()), |u| u.name.clone());
    let host = ids::hostname();
    if let Some(made) = personal.ensure(&format!("{name}@{host}"), None::<Zeroizing<String>>)? {
        context.console.note(made);
    }
    let program = program(args, user.as_ref());
    let order = Order {
        meta: meta(context, args, &program),
        header: Header {
            host,
            machine: ids::machine_id().unwrap_or_default(),
            user: name.clone(),
            target: name,
            ..Header::default()
        },
        session: session::Spec { program, ..session::Spec::default() },
        store: Store::new(personal.recordings()),
        recipients: personal.read_recipients()?,
        period: period::read(&personal.keys())?,
        signer: personal.read_signer()?,
        policy: record::Policy {
            on_failure: OnFailure::Stop,
            reserve: RESERVE,
            low_space: 0,
            heartbeat: None,
        },
    };
    let taken = record::take(
        order,
        Box::new(|session, _| Box::new(ScreenIndexer::start(session.size().unwrap_or((0, 0))))),
    )?;
    finish(context, &taken)
}

/// What to run: the command, or the user's shell.
fn program(args: &Args, user: Option<&ids::User>) -> Program {
    let dir = args.chdir.clone();
    if let Some((path, rest)) = args.command.split_first() {
        return Program { path: path.clone(), args: rest.to_vec(), dir, ..Program::default() };
    }
    let shell = user.map_or_else(|| PathBuf::from("/bin/sh"), |u| u.shell.clone());
    let arg0 = args.login.then(|| {
        let mut dashed = OsString::from("-");
        dashed.push(shell.file_name().unwrap_or(OsStr::new("sh")));
        dashed
    });
    let dir = dir.or_else(|| user.filter(|_| args.login).map(|u| u.home.clone()));
    Program { path: shell.into_os_string(), arg0, dir, ..Program::default() }
}

fn meta(context: &Context, args: &Args, program: &Program) -> Meta {
    let text = |os: &OsStr| crate::text::Escaped(os.as_encoded_bytes()).to_string();
    let argv = std::iter::once(program.path.as_os_str()).chain(program.args.iter().map(OsString::as_os_str));
    let cwd = args.chdir.clone().or_else(|| std::env::current_dir().ok());
    Meta {
        argv: argv.map(text).collect(),
        cwd: cwd.as_deref().map(Path::as_os_str).map(text).unwrap_or_default(),
        reason: args.reason.clone().unwrap_or_default(),
        ticket: args.ticket.clone().unwrap_or_default(),
        labels: args.labels.iter().cloned().collect(),
        term: context.environment.term.as_deref().map(text).unwrap_or_default(),
        ancestry: ids::ancestry().iter().map(|a| format!("{} {}", a.pid, a.name)).collect(),
        kernel: ids::kernel(),
        boot: ids::boot_id().unwrap_or_default(),
        in_force: BTreeMap::from([
            ("input".to_owned(), "echoed".to_owned()),
            ("on-failure".to_owned(), "stop".to_owned()),
        ]),
        ..Meta::default()
    }
}

/// What is left to say, and the exit status. Dies of the child's signal.
fn finish(context: &Context, taken: &Taken) -> Result<u8> {
    if let Some(failure) = &taken.recorded.failure {
        let console = &context.console;
        let state = match &taken.recorded.closed {
            Some(_) => "the recording is closed and good up to that moment",
            None => "the recording is good up to its last flush; `sealcast verify` says how far",
        };
        console.remark("error", crate::console::Style::Red, format_args!("recording failed: {failure}"));
        if taken.recorded.lost > 0 {
            console.note(format_args!("{} bytes of the session are not recorded", taken.recorded.lost));
        }
        console.remark(
            "hint",
            crate::console::Style::Yellow,
            format_args!("{state}: {}", taken.path.display()),
        );
    }
    match &taken.session {
        Ok(outcome) => match outcome.ended {
            Ended::Exited(code) => Ok(u8::try_from(code & 0xff).unwrap_or(125)),
            Ended::Killed(signal) => {
                let _ = context.console.flush();
                sys::signals::die_of(signal);
                // Only a signal that cannot kill us returns.
                Ok(u8::try_from(Ended::Killed(signal).status() & 0xff).unwrap_or(125))
            }
        },
        Err(error) => {
            let kind = match error.exit_code() {
                127 => Kind::CommandNotFound,
                126 => Kind::NotExecutable,
                _ => Kind::System,
            };
            Err(Error::from_source(kind, error))
        }
    }
}
