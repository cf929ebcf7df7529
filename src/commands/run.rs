//! `sealcast run`: a shell or a command, recorded.

use super::{Context, ask, config};
use crate::console::{Console, Style};
use crate::container::limits;
use crate::error::{Error, Kind, Result};
use crate::exec;
use crate::policy::{Banner, ExecTrace, OnFailure, Policy, Profile};
use crate::record::elevate::{self, Elevation, Target, What, Wish};
use crate::record::facts::{self, Observed};
use crate::record::groups::GroupNames;
use crate::record::users::Users;
use crate::record::witness::{Wanted, Witnesses};
use crate::record::{self, Guarding, Order, ScreenIndexer, Taken, session};
use crate::shell::notices::unwatched;
use crate::store::personal::{self, Personal};
use crate::store::{Store, period};
use crate::sys::guard::Restrictions;
use crate::sys::privileges::Stead;
use crate::sys::stage::Ended;
use crate::sys::{self, ids};
use crate::terminal::Canvas;
use crate::text;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Run a shell or a command and record it
///
/// Without a command, a shell is run. On a host with /etc/sealcast/config.toml it runs as root, or as the user given with
/// -u, and whoever is not root is led through sudo, doas, su or run0, as that file says. Without that file it runs as
/// yourself, and records into your own directory; with -u for somebody else, or with -g, it goes through sudo, and records
/// into root's directory, with root's keys. The exit status is that of what was run; 125 when recording could not begin, 126
/// when the command cannot be executed, 127 when it is not found.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run as this user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Run with this group
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// Run as whoever called, and as nobody else
    ///
    /// For rules that let people record their own sessions: with it no other user and no other group is possible.
    #[arg(long = "self", conflicts_with_all = ["user", "group"])]
    of_caller: bool,
    /// Start in this directory
    #[arg(short = 'D', long, value_name = "DIR")]
    chdir: Option<PathBuf>,
    /// Run the shell as a login shell, in the home directory
    #[arg(short = 'i', long)]
    login: bool,
    /// Why: goes into the recording, sealed; as an argument it can be seen in `ps` and in sudo's log
    #[arg(long, value_name = "TEXT", value_parser = any_text())]
    reason: Option<String>,
    /// Ticket of the work order: goes into the recording, sealed
    #[arg(long, value_name = "ID", value_parser = any_text())]
    ticket: Option<String>,
    /// A label: goes into the recording, sealed; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = any_text().try_map(label))]
    labels: Vec<(String, String)>,
    /// Run what ssh was asked for
    ///
    /// For `ForceCommand sealcast run --ssh` in sshd_config: runs the command of the ssh client, or a login shell, as
    /// whoever logged in.
    #[arg(long, conflicts_with_all = ["user", "group", "line", "command"])]
    ssh: bool,
    /// Have the shell run this line
    #[arg(long, value_name = "LINE", conflicts_with = "command")]
    line: Option<OsString>,
    /// We come from the elevator of the configuration
    #[arg(long, hide = true)]
    elevated: bool,
    /// What to run
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A text of any bytes: a terminal need not be one of UTF-8.
fn any_text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| text::lossless(text.as_bytes()))
}

fn label(text: String) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

/// Runs the command. Gives the exit status of what was run; does not return when that died of a signal, or when it takes an
/// elevator to record.
///
/// # Errors
/// The recording could not begin, or the command could not be started.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    // Before anything secret is in memory.
    sys::harden::forbid_core_dumps();
    let variables = &context.environment.variables;
    let ourselves =
        facts::own_program().map_err(|e| Error::from(sys::Error::new("find our own program", "", e)))?;
    if args.ssh && context.environment.get("SSH_CONNECTION").is_none() {
        // A shell in place of what was asked for would run what is meant to be read by that.
        let what = "it cannot be told what ssh was asked for, and nothing was run: SSH_CONNECTION is not set";
        return Err(Error::new(Kind::Usage, what)
            .hint("`run --ssh` is for ForceCommand in sshd_config, by itself: not behind an elevator, nor in a session that is recorded already"));
    }
    let wish = wish(args, variables);
    // One of them would be lost.
    if wish.labels.len() < args.labels.len() {
        return Err(Error::new(Kind::Usage, "a label is given twice").hint("give each KEY once"));
    }
    let policy = match config::of_host() {
        Ok(Some(policy)) => policy,
        Ok(None) => personal_policy(context)?,
        Err(error) => return Err(unbegun(error)),
    };
    let uid = ids::effective_uid();
    let elevation = elevate::elevation(&wish, &policy, uid, &ourselves, variables);
    if let Some(elevation) = elevation.map_err(|error| unbegun(error.into()))? {
        return Err(unbegun(become_root(context, &elevation)));
    }
    let wanted = Wanted {
        integration: policy.shell_integration,
        redact: policy.redact.clone(),
        trace: match policy.exec_trace {
            ExecTrace::Off => exec::Mode::Off,
            ExecTrace::Auto | ExecTrace::Strict => exec::Mode::Auto,
        },
        strict: policy.exec_trace == ExecTrace::Strict,
        on_failure: policy.on_failure,
    };
    for (name, value, own) in policy.overruled(&wish.labels) {
        let said = format!("the label {name}={value} does not count: this host has {name}={own}");
        context.console.remark("warning", Style::Yellow, said);
    }
    let (given, of_host) = (matches!(wish.what, What::Command(_)), policy.is_system());
    let (mut order, banner) = order(context, wish, policy, &ourselves).map_err(unbegun)?;
    let banner = if sys::tty::is_terminal(std::io::stderr()) { banner } else { Vec::new() };
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::new(Kind::System, format!("cannot get randomness: {error}")))?;
    let on_failure = order.policy.on_failure;
    let program = &mut order.session.program;
    let mut witnesses = Witnesses::enlist(wanted, program, given, &record::start_dir::place(), random);
    let taken = record::take(
        order,
        Box::new(|session, meta| {
            let heard = witnesses.call(session, meta)?;
            let beside = session.beside().contains(&"stdout");
            let mut indexer = ScreenIndexer::start(Canvas { size: session.screen_size(), beside });
            indexer.refused().map_or(Ok(()), |why| witnesses.unheard(why, meta))?;
            if let Some(why) = unwatched(meta) {
                context.console.remark("warning", Style::Yellow, why);
            }
            Ok(Box::new(indexer.hearing(heard)))
        }),
        // Not before it is true.
        || banner.iter().for_each(|line| context.console.note(line)),
    )
    .map_err(|error| refused(error, of_host))?;
    // What they left on the disk goes now: we may be about to die of the child's signal.
    drop(witnesses);
    finish(context, taken, on_failure)
}

/// Says that nothing was run; and why, but to who asked for what cannot be.
fn unbegun(error: Error) -> Error {
    match error.kind() {
        Kind::Closed => error,
        Kind::Usage => error.while_doing("nothing was run"),
        _ => error.while_doing("nothing was run, because recording could not begin"),
    }
}

/// Why nothing was run, and, on a host with a configuration, what in it would have had it run.
fn refused(error: record::Error, of_host: bool) -> Error {
    let with_warn = match &error {
        record::Error::Scarce { .. } => Some("it runs, and the recording says what was not watched"),
        record::Error::Session(session::Error::Unrecorded(_)) => Some("it runs unrecorded"),
        _ => None,
    };
    let told = Error::from(error);
    match with_warn.filter(|_| of_host) {
        Some(how) => told.hint(format!("with on-failure = \"warn\" in the configuration {how}")),
        None => told,
    }
}

/// The arguments as they are meant.
fn wish(args: &Args, variables: &elevate::Variables) -> Wish {
    let original =
        variables.get(std::ffi::OsStr::new("SSH_ORIGINAL_COMMAND")).filter(|line| !line.is_empty());
    let what = match (&args.line, original) {
        (Some(line), _) => What::Line(line.clone()),
        (None, Some(line)) if args.ssh => What::Line(line.clone()),
        _ if !args.command.is_empty() => What::Command(args.command.clone()),
        _ => What::Shell,
    };
    Wish {
        user: args.user.clone(),
        group: args.group.clone(),
        of_caller: args.of_caller || args.ssh,
        login: args.login || (args.ssh && what == What::Shell),
        dir: args.chdir.clone(),
        reason: args.reason.clone(),
        ticket: args.ticket.clone(),
        labels: args.labels.iter().cloned().collect(),
        what,
        elevated: args.elevated,
    }
}

/// Where a login begins when its user cannot enter the home directory, which is no reason to lock anybody out: in `/`, as behind
/// login(1) and sshd(8), and that is said. `None` where all is as it should be.
fn begin_elsewhere(context: &Context, of_caller: bool, target: &Target) -> Result<Option<PathBuf>> {
    let home = &target.user.home;
    // Of what cannot be entered nothing inside is told. An empty name is that of no directory, and not of where we are.
    let enter = || match home.as_os_str().is_empty() {
        true => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it has no name")),
        false => std::fs::metadata(home.join(".")).map(drop),
    };
    let entered = match Stead::of(Some(&target.identity))? {
        Some(stead) => stead.act(enter),
        None => enter(),
    };
    let Err(error) = entered else { return Ok(None) };
    let elsewhere = PathBuf::from("/");
    // Whoever logged this user in has said so, and left us there.
    let was_said = of_caller && std::env::current_dir().is_ok_and(|here| here == elsewhere);
    if !was_said {
        let said =
            format!("cannot enter the home directory {}: {error}; the session begins in /", home.display());
        context.console.remark("warning", Style::Yellow, said);
    }
    Ok(Some(elsewhere))
}

/// Personal mode, its keys not made or read yet.
fn personal_policy(context: &Context) -> Result<Policy> {
    let personal = context.personal()?;
    Ok(Policy::personal(personal.recordings(), personal.signing_key(), Vec::new(), personal.keys()))
}

/// Runs the elevator in our place. Returns only when that fails.
fn become_root(context: &Context, elevation: &Elevation) -> Error {
    // Nothing that was said may be lost, or be said twice.
    if let Err(error) = context.console.flush() {
        return error.into();
    }
    let mut command = std::process::Command::new(&elevation.program);
    command.args(&elevation.arguments);
    if let Some(environment) = &elevation.environment {
        command.env_clear().envs(environment);
    }
    sys::harden::allow_core_dumps();
    let error = command.exec();
    sys::Error::at("run", &elevation.program, error).into()
}

/// Everything a recording needs to begin, and what the operator is told once it has begun.
fn order(
    context: &Context,
    mut wish: Wish,
    policy: Policy,
    ourselves: &Path,
) -> Result<(Order, Vec<String>)> {
    let variables = &context.environment.variables;
    if policy.require_reason && !wish.reason.as_deref().is_some_and(text::is_seen) {
        wish.reason = Some(ask_reason(context)?);
    }
    let mut names = GroupNames::default();
    let mut users = Users::default();
    let observed = Observed::here(&mut names, &mut users);
    let called = elevate::caller(&wish, &policy, ids::real_uid(), ids::login_uid(), variables, &mut users);
    let (caller, unknown) = match called {
        Ok(caller) => (Some(caller), None),
        Err(error) if wish.of_caller => return Err(error.into()),
        Err(error) => (None, Some(error.to_string())),
    };
    let caller_name = match &caller {
        Some(caller) => caller.name.clone(),
        None => elevate::nameless(&policy, ids::real_uid(), variables),
    };
    let target = elevate::target(&wish, &policy, caller.as_ref(), ourselves, &mut users)?;
    if wish.login && wish.dir.is_none() {
        wish.dir = begin_elsewhere(context, wish.of_caller, &target)?;
    }
    let (header, mut meta) = facts::tell(&observed, &wish, &target, &caller_name, &policy, variables);
    facts::tell_groups(&mut meta, &mut names, caller.as_ref(), &target);
    // Who called decides nothing here, and stands in the recording as unknown, with the reason.
    if let Some(why) = unknown {
        meta.identity.insert("caller-unknown".to_owned(), why);
    }
    let mut program = elevate::program(&wish, &target, &policy, variables);
    if policy.guard.profile == Profile::Hardened {
        program.restrictions = restrictions(&policy)?;
        facts::tell_restrictions(&mut meta, &program.restrictions);
    }
    let banner = banner(&policy, wish.reason.as_deref());
    let (recipients, period, signer): (_, _, record::ReadSigner) = if policy.is_system() {
        let period = match &policy.recipients.period {
            Some(dir) => Some(period::read(dir)?.ok_or_else(|| {
                Error::new(Kind::Key, format!("there is no period key in {}", dir.display()))
                    .hint("`sealcast keys new --period`, as root, makes one")
            })?),
            None => None,
        };
        let reader = policy.clone();
        (policy.recipients_for(&meta.labels), period, Box::new(move || Ok(reader.read_signer(0)?)))
    } else {
        let personal = context.personal()?;
        let comment = format!("{}@{}", observed.user.1, observed.host);
        if let Some(made) = personal.ensure(&comment, None::<Zeroizing<String>>)? {
            if wish.elevated {
                context.console.note(
                    "another user or group takes root, who records: with keys and a directory of root's own",
                );
            }
            context.console.note(made);
        }
        let (recipients, period) = (personal.read_recipients()?, period::read(&personal.keys())?);
        let console = Arc::clone(&context.console);
        let read_signer = move || {
            let signer = personal.read_signer()?;
            tell_public(&console, &personal, personal.name_signer(&signer.host_key(), &comment));
            Ok(signer)
        };
        (recipients, period, Box::new(read_signer))
    };
    let guarded = policy.guard.profile != Profile::None;
    let order = Order {
        session: session::Spec {
            program,
            input: policy.input,
            on_loss: policy.on_failure,
            keep: policy.stream_limit,
        },
        store: Store::new(policy.store.path),
        recipients,
        period,
        signer,
        policy: record::Policy {
            on_failure: policy.on_failure,
            flush: limits::grid(policy.flush),
            reserve: policy.store.reserve,
            low_space: policy.store.low_space,
            heartbeat: guarded.then_some(policy.guard.heartbeat),
        },
        header,
        meta,
        guard: Guarding { lock_memory: guarded, append_only: guarded },
    };
    Ok((order, banner))
}

/// Says what became of the public half of one's own signing key. That it cannot be had keeps nobody from recording: the
/// recording is signed all the same, and can be verified once the key is trusted.
fn tell_public(console: &Console, personal: &Personal, added: std::result::Result<bool, personal::Error>) {
    match added {
        Ok(false) => {}
        Ok(true) => console.note(format!(
            "{} did not name your signing key, and does now: what it signs is trusted as yours, and so is what the keys before it signed",
            personal.signing_key_pub().display()
        )),
        Err(error) => {
            let said = format!("`sealcast verify` may not take this recording for yours: {}", Error::from(error));
            console.remark("warning", Style::Yellow, said);
        }
    }
}

/// What a hardened session is kept from, as far as this kernel can do it.
fn restrictions(policy: &Policy) -> Result<Restrictions> {
    if let Some(why) = config::led_by_link(policy)? {
        return Err(Error::new(Kind::Input, why));
    }
    Ok(config::restrictions(policy, &policy.store.path))
}

fn ask_reason(context: &Context) -> Result<String> {
    let refused = || Error::from(elevate::Error::NoReason);
    let answer =
        ask::Terminal::new(Arc::clone(&context.console)).answer("Reason for this session:").map_err(
            |error| refused().hint(format!("{error}: it must be an argument; over ssh, `ssh -t` gives one")),
        )?;
    match text::lossless(&answer).trim() {
        reason if text::is_seen(reason) => Ok(reason.to_owned()),
        _ => Err(refused()),
    }
}

/// The lines before the session. Only those of the configuration may be several: a reason is the caller's.
fn banner(policy: &Policy, reason: Option<&str>) -> Vec<String> {
    match (&policy.banner, reason) {
        (Banner::Silent, _) => Vec::new(),
        (Banner::Text(text), _) => text.lines().map(str::to_owned).collect(),
        (Banner::Usual, Some(reason)) => {
            vec![format!("this session is recorded for security; reason: {reason}")]
        }
        (Banner::Usual, None) => vec!["this session is recorded for security".to_owned()],
    }
}

/// What is left to say, and the exit status. Dies of the child's signal.
fn finish(context: &Context, taken: Taken, on_failure: OnFailure) -> Result<u8> {
    let (console, recorded) = (&context.console, &taken.recorded);
    let mut unrecorded = false;
    if let Some(failure) = recorded.failure.as_ref().filter(|_| recorded.went_on && recorded.lost == 0) {
        console.note(format_args!(
            "all that the session showed is recorded, though it was in danger ({failure}): {}",
            taken.path.display()
        ));
    } else if let Some(failure) = &recorded.failure {
        let state = match &recorded.closed {
            _ if matches!(taken.path.try_exists(), Ok(false)) => "the recording is no longer there",
            Some(_) if recorded.went_on => "the recording went on, and has the rest",
            Some(_) => "the recording is closed and good up to that moment",
            None => "`sealcast verify` says how far the recording is good",
        };
        // Who wants nothing to go on without a recording is not told that all is well.
        unrecorded = on_failure == OnFailure::Stop;
        console.remark("error", Style::Red, format_args!("recording failed: {failure}"));
        if recorded.lost > 0 {
            let most = if recorded.closed.is_some() { "" } else { "up to " };
            console.note(format_args!("{most}{} bytes of the session are not recorded", recorded.lost));
        }
        console.remark("hint", Style::Yellow, format_args!("{state}: {}", taken.path.display()));
    }
    match taken.session {
        Ok(outcome) => match outcome.ended {
            Ended::Exited(code) => Ok(match outcome.exit_code(code) {
                0 if unrecorded => 125,
                code => code,
            }),
            Ended::Killed(signal) => {
                let _ = context.console.flush();
                // Only now: the recording is closed.
                if outcome.by_key {
                    sys::signals::die_of_key(signal);
                }
                sys::signals::die_of(signal);
                // Only a signal that cannot kill us returns.
                Ok(u8::try_from(Ended::Killed(signal).status() & 0xff).unwrap_or(125))
            }
        },
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_configuration_is_not_told_what_to_write_there() {
        let scarce = || record::Error::Scarce {
            why: "no thread".into(),
            source: std::io::Error::from_raw_os_error(11),
        };
        let socket = || record::Error::Session(session::Error::Unrecorded("standard output"));
        let told = |error: record::Error, of_host| refused(error, of_host).hints().join("\n");
        for (host, own) in
            [(told(scarce(), true), told(scarce(), false)), (told(socket(), true), told(socket(), false))]
        {
            assert!(host.contains("on-failure = \"warn\" in the configuration"), "{host}");
            assert!(!own.is_empty() && !own.contains("configuration"), "{own}");
        }
    }
}
