//! `sealcast config check | show`

mod elevator;
mod guard;
mod logins;
mod place;
mod program;
mod sealing;
mod session;

pub(super) use guard::restrictions;

use super::Context;
use super::format::size;
use super::recordings::{keys_of_host, public_half, read_text};
use crate::console::{Column, Style, Table};
use crate::container::cert::NAMESPACE;
use crate::crypto::known_keys::Trust;
use crate::error::{Error, Kind, LET_READ, Result};
use crate::exec;
use crate::policy::{self, ExecTrace, Policy, Profile};
use crate::record::take;
use crate::store::Store;
use crate::sys;
use crate::text::escaped;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Check and show the configuration
///
/// On a host with /etc/sealcast/config.toml that file alone decides what is recorded; elsewhere there is personal mode,
/// which needs none.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell everything that is wrong with a configuration
    Check {
        /// The file to check, instead of /etc/sealcast/config.toml
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show the values in force
    Show {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
        /// Show what this file would put in force
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// What is wrong with the configuration (exit code 1 for `check`).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.command {
        Command::Check { file } => check(context, file.as_deref()),
        Command::Show { json, file } => show(context, file.as_deref(), *json),
    }
}

/// The policy of this host; `None` where there is no system mode. Nothing but root's file is looked at.
///
/// # Errors
/// The file is there, but cannot be used.
pub fn of_host() -> Result<Option<Policy>> {
    Ok(Policy::load(Path::new(policy::SYSTEM_FILE), 0)?)
}

/// Reads a file that was named; a draft may belong to whoever checks it.
fn named(path: &Path) -> std::result::Result<Option<Policy>, policy::Error> {
    Policy::load_draft(path, sys::ids::effective_uid())
}

/// There is no such file; only without that of the host there is personal mode.
fn absent(path: &Path) -> Error {
    let told = Error::new(Kind::Input, format!("there is no {}", path.display()));
    match path == Path::new(policy::SYSTEM_FILE) {
        true => told.hint("without it there is personal mode; DEPLOY.md has an example"),
        false => told.hint("check the name"),
    }
}

fn check(context: &Context, file: Option<&Path>) -> Result<()> {
    let path = file.unwrap_or(Path::new(policy::SYSTEM_FILE));
    let loaded = match file {
        Some(path) => named(path),
        None => Policy::load(path, 0),
    };
    let policy = match loaded {
        Ok(Some(policy)) => policy,
        Ok(None) => {
            return Err(absent(path));
        }
        Err(policy::Error::File { path, problems }) => {
            for problem in &problems {
                context.console.remark("error", Style::Red, format!("{}: {problem}", path.display()));
                if let Some(hint) = &problem.hint {
                    context.console.remark("hint", Style::Yellow, hint);
                }
            }
            return Err(Error::new(Kind::No, count(problems.len())));
        }
        Err(error) => {
            // What could be read, and is not good, is a finding.
            let is_finding = match &error {
                policy::Error::NoRecipients { .. } | policy::Error::NeedsPlugin { .. } => true,
                policy::Error::System(cause) => cause.is_of_trust(),
                _ => false,
            };
            let error = Error::from(error);
            if is_finding {
                error.print(&context.console);
                return Err(Error::new(Kind::No, count(1)));
            }
            return Err(error);
        }
    };
    let mut findings = surroundings(&policy);
    if file.is_none() {
        findings.extend(sys::trust::closed_to_others(path, sys::trust::Right::Read).map(|closed| {
            let what = format!("only root can record: others cannot read {}", closed.display());
            Finding { hints: vec![LET_READ.to_owned()], ..Finding::note(what) }
        }));
        if sys::ids::effective_uid() == 0
            && let Ok(ourselves) = std::env::current_exe().and_then(|path| path.canonicalize())
        {
            findings.extend(program::of(&ourselves));
        }
    }
    for Finding { serious, what, hints } in &findings {
        let (word, style) = if *serious { ("error", Style::Red) } else { ("note", Style::Yellow) };
        context.console.remark(word, style, what);
        hints.iter().for_each(|hint| context.console.remark("hint", Style::Yellow, hint));
    }
    match findings.iter().filter(|finding| finding.serious).count() {
        0 => {
            context.console.line(format!("{}: good ({})", path.display(), policy.digest))?;
            Ok(())
        }
        n => Err(Error::new(Kind::No, count(n))),
    }
}

fn count(problems: usize) -> String {
    match problems {
        1 => "the configuration cannot be used: one thing is wrong".to_owned(),
        n => format!("the configuration cannot be used: {n} things are wrong"),
    }
}

/// Something that was found where the file is to work.
struct Finding {
    /// It keeps the configuration from working.
    serious: bool,
    /// One sentence.
    what: String,
    /// What to do about it, where the sentence does not say so.
    hints: Vec<String>,
}

impl Finding {
    fn serious(what: impl Into<String>) -> Self {
        Self { serious: true, what: what.into(), hints: Vec::new() }
    }

    fn note(what: impl Into<String>) -> Self {
        Self { serious: false, what: what.into(), hints: Vec::new() }
    }

    /// What a session would be refused for, and the key of the configuration that it is about.
    fn refused(key: &str, error: impl Into<Error>) -> Self {
        let error = error.into();
        Self { hints: error.hints().to_vec(), ..Self::serious(format!("`{key}`: {error}")) }
    }
}

/// What the file speaks of, as it is on this host.
fn surroundings(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    if sys::ids::effective_uid() == 0 {
        found.extend(of_signing_key(policy));
        found.extend(sealing::of(policy));
        found.extend(sealing::to_this_host(policy, Path::new("/etc/ssh")));
        found.extend(place::of(policy));
        found.extend(of_link(policy));
        found.extend(of_room(policy));
        found.extend(of_exec_trace(policy));
        found.extend(guard::tried(policy));
    } else {
        found.push(Finding::note(
            "the signing key, the store and the trace of programs were not tried: only root can",
        ));
    }
    found.extend(elevator::of(policy));
    found.extend(session::of_shell(policy));
    found.extend(session::of_kept_variables(policy));
    found.extend(of_logins());
    found.extend(guard::of(policy));
    // A period key is sealed to the recipients: what opens it is still that one key.
    if policy.recipients.default.len() == 1 {
        found.push(Finding::note(
            "there is one recipient only: without its key nobody can read the recordings",
        ));
    }
    for ((name, value), _) in policy.recipients.by_label.iter().filter(|(_, also)| also.is_empty()) {
        found.push(Finding::note(format!(
            "`recipients.label.\"{}={}\"` adds nobody: `also` names who may read, too",
            escaped(name),
            escaped(value)
        )));
    }
    if !policy.shell_integration && policy.exec_trace == ExecTrace::Off {
        let what =
            "of what is run in a shell no command is listed, nor found by one: nothing tells but the screen";
        found.push(Finding::note(format!("`index`: without integration and trace, {what}")));
    }
    if policy.input == policy::Input::All {
        found.push(Finding::note("`record.input` is \"all\": passwords that are typed are recorded"));
    }
    found
}

fn of_signing_key(policy: &Policy) -> Option<Finding> {
    let key = match policy.read_signer(0) {
        Ok(signer) => signer.host_key(),
        Err(error) => return Some(Finding::refused("signing.key", error)),
    };
    (keys_of_host(Some(policy)).trust(&sys::ids::hostname(), NAMESPACE, &key) != Trust::Trusted).then(|| {
        let (key, public) = (policy.signing_key.display(), public_half(policy));
        Finding::note(format!(
            "`signing.key`: {0} is not its public half: `sealcast verify` on this host calls what it signs foreign: `ssh-keygen -y -f {key} >{0}`",
            public.display()
        ))
    })
}

/// Why landlock would guard the store in vain, if so: the directory of a link that leads to it can be written to.
///
/// # Errors
/// The way to the store cannot be looked at.
pub(super) fn led_by_link(policy: &Policy) -> Result<Option<String>> {
    if !policy.guard.landlock || policy.guard.profile != Profile::Hardened {
        return Ok(None);
    }
    let found = sys::trust::first_link(&policy.store.path)?;
    Ok(found.map(|(link, real)| {
        format!(
            "`store.path`: {} is a symbolic link, which a session under `guard.landlock` can lead elsewhere: name the directory itself, {}",
            link.display(),
            real.display()
        )
    }))
}

fn of_link(policy: &Policy) -> Option<Finding> {
    led_by_link(policy).unwrap_or_else(|error| Some(error.to_string())).map(Finding::serious)
}

/// Where the store is, or the directory in which it would be made.
fn place_of_store(policy: &Policy) -> Option<&Path> {
    policy.store.path.ancestors().find(|place| place.is_dir())
}

/// Whether recordings find their room, where the store is or would be made.
fn of_room(policy: &Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(place) = place_of_store(policy) else { return found };
    match take::try_room(&Store::new(place), policy.store.reserve) {
        Ok(take::Room::Held) => {}
        Ok(take::Room::Compared { free, most, least }) => {
            let (at, short) = (place.display(), free < least);
            let [free, most, least] = [free, most, least].map(size);
            found.push(if short {
                Finding::serious(format!(
                    "`store.reserve`: there is no room for a recording: {free} are free in {at}, and it needs {least}"
                ))
            } else {
                Finding::note(format!(
                    "`store.reserve`: not tried, for sessions that run may need the room: {free} are free in {at}, and a recording holds {most}, or {least} where there is less; a quota is not seen by that"
                ))
            });
        }
        Err(take::Error::NoRoom(reason)) => {
            let why = Error::from(reason).while_doing("there is no room for a recording");
            found.push(Finding::refused("store.reserve", why));
            return found;
        }
        // Whether anything can be made there at all was tried before.
        Err(_) => return found,
    }
    let low = "`store.low-space`: less than that is free: whoever is recorded is told that it runs out";
    if sys::file::free_space(place).is_ok_and(|space| space.available < policy.store.low_space) {
        found.push(Finding::note(low));
    }
    found
}

fn of_exec_trace(policy: &Policy) -> Option<Finding> {
    if policy.exec_trace != ExecTrace::Strict {
        return None;
    }
    let (_, availability) = exec::Trace::start(exec::Mode::Auto, std::process::id(), Duration::ZERO);
    (!availability.is_complete())
        .then(|| Finding::serious(format!("`index.exec-trace` is \"strict\": {}", availability.statement)))
}

fn of_logins() -> Vec<Finding> {
    match std::env::current_exe().and_then(|path| path.canonicalize()) {
        Ok(ourselves) => {
            let found = logins::ways_around(Path::new("/etc"), &ourselves);
            found.into_iter().map(Finding::note).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn show(context: &Context, file: Option<&Path>, as_json: bool) -> Result<()> {
    let policy = match file {
        Some(path) => named(path)?,
        None => of_host()?,
    };
    let policy = match policy {
        Some(policy) => policy,
        None if let Some(path) = file => return Err(absent(path)),
        None => {
            let personal = context.personal()?;
            let recipients =
                if personal.recipients().exists() { personal.read_recipients()? } else { Vec::new() };
            Policy::personal(personal.recordings(), personal.signing_key(), recipients, personal.keys())
        }
    };
    // Whoever compares hosts compares keys: a comment, or the beginning of one, can be anybody's.
    let values = policy.values(as_json || !context.console.is_terminal());
    if as_json {
        for (key, value) in values {
            context.console.json(&json!({"key": key, "value": value}))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&[("KEY", Column::Left), ("VALUE", Column::Whole)]);
    for (key, value) in &values {
        table.row(&[key, value]);
    }
    context.console.table(&table)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A host with the store in a place of its own; what else is not there is told as well.
    fn notes(more: &str) -> Vec<String> {
        let recipient = crate::store::personal::identity_file().1;
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[store]\npath = \"{0}\"\n[recipients]\ndefault = [\"{recipient}\"]\nperiod = \"{0}\"\n{more}",
            dir.path().display()
        );
        let policy = Policy::parse(Path::new("/x"), &text).unwrap();
        let found = surroundings(&policy).into_iter();
        found.filter(|finding| !finding.serious).map(|finding| finding.what).collect()
    }

    #[test]
    fn a_shell_that_cannot_be_run_or_is_this_program_and_a_store_that_others_list_are_told() {
        let serious = |shell: &str| {
            let recipient = crate::store::personal::identity_file().1;
            let text = format!("[recipients]\ndefault = [\"{recipient}\"]\n[run]\nshell = \"{shell}\"\n");
            let mut found = surroundings(&Policy::parse(Path::new("/x"), &text).unwrap());
            found.retain(|finding| finding.serious && finding.what.starts_with("`run.shell`"));
            found.pop().map(|finding| finding.what)
        };
        let ourselves = std::env::current_exe().unwrap();
        assert_eq!(serious("/bin/sh"), None);
        for (shell, why) in [
            ("/etc/passwd", "cannot be executed"),
            ("/nonexistent/sh", "is not there"),
            (&*ourselves.display().to_string(), "would record itself"),
        ] {
            let told = serious(shell).unwrap_or_default();
            assert!(told.contains(why), "{shell}: {told}");
        }
        let dir = tempfile::tempdir().unwrap();
        for (mode, open) in [(0o700, false), (0o750, true), (0o755, true), (0o711, true)] {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(sys::trust::mode_for_others(dir.path()).unwrap().is_some(), open, "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_others_cannot_read_is_told() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (inner, file) = (dir.path().join("inner"), dir.path().join("inner/config.toml"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&file, "").unwrap();
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let closed = || sys::trust::closed_to_others(&file, sys::trust::Right::Read);
        set(dir.path(), 0o755);
        for (of_dir, of_file, told) in [
            (0o755, 0o644, None),
            (0o755, 0o600, Some(&file)),
            (0o700, 0o644, Some(&inner)),
            (0o711, 0o644, None),
        ] {
            set(&inner, of_dir);
            set(&file, of_file);
            assert_eq!(closed().as_ref(), told, "{of_dir:o} {of_file:o}");
        }
    }

    #[test]
    fn a_guard_that_takes_no_effect_is_told() {
        let told = |more: &str, name: &str| {
            let found = format!("`guard.{name}` takes effect only with `profile = \"hardened\"`");
            notes(more).iter().any(|note| note.starts_with(&found))
        };
        for (name, value) in
            [("landlock", "true"), ("scope", "true"), ("capabilities", "[\"cap_sys_admin\"]")]
        {
            let set = format!("{name} = {value}\n");
            assert!(told(&format!("[guard]\n{set}"), name), "{name}");
            assert!(told(&format!("[guard]\nprofile = \"none\"\n{set}"), name), "{name}");
            assert!(!told(&format!("[guard]\nprofile = \"hardened\"\n{set}"), name), "{name}");
            assert!(!told("", name), "{name}");
        }
    }

    #[test]
    fn a_hardened_host_of_which_nothing_is_taken_away_or_nothing_leaves_is_told() {
        let told = |more: &str| {
            let notes = notes(&format!("[guard]\n{more}\n"));
            ["nothing is taken away", "copy them away"].map(|word| {
                notes.iter().any(|note| note.starts_with("`guard.profile`") && note.contains(word))
            })
        };
        assert_eq!(told("profile = \"hardened\""), [false, true]);
        assert_eq!(told("profile = \"hardened\"\ncapabilities = []"), [true, true]);
        assert_eq!(told("profile = \"hardened\"\ncapabilities = []\nscope = true"), [false, true]);
        assert_eq!(told("profile = \"guarded\"\ncapabilities = []"), [false, false]);
    }

    #[test]
    fn variables_that_are_never_kept_and_a_star_for_all_are_told() {
        let told = |keep: &str| {
            let mut found = notes(&format!("[run]\nenv = {{ keep = [{keep}] }}\n"));
            found.retain(|note| note.starts_with("`run.env.keep`"));
            found
        };
        let found = told("\"LANG\", \"LD_PRELOAD\", \"PS1\", \"XDG_CONFIG_HOME\", \"LD_*\", \"PATH\"");
        assert_eq!(found.len(), 5, "{found:?}");
        assert!(found[0].contains("`LD_PRELOAD` is never kept"), "{found:?}");
        assert!(found[4].contains("`PATH` is never kept: every session has its own"), "{found:?}");
        assert!(told("\"*\"")[0].contains("name what is needed"));
        assert!(told("\"LC_*\", \"TERM\"").is_empty() && told("\"\"").is_empty());
    }

    #[test]
    fn what_no_variable_is_called_is_told() {
        let told = |env: &str| {
            let mut found = notes(&format!("[run]\nenv = {{ {env} }}\n"));
            found.retain(|note| note.contains("no variable is called"));
            found
        };
        for name in ["$LANG", "LANG=C", "LC_ALL LANG", "LC_ALL,LANG", "LC_?", " LANG", "${LANG}"] {
            let [keep, withhold] =
                ["keep", "withhold"].map(|key| told(&format!("{key} = [\"A*\", \"{name}\"]")));
            assert!(keep.len() == 1 && keep[0].starts_with("`run.env.keep`"), "{name}: {keep:?}");
            assert!(withhold.len() == 1 && withhold[0].contains(&format!("called `{name}`")), "{withhold:?}");
        }
        assert_eq!(told("keep = [\"LC_*\", \"a.b-c\", \"BASH_FUNC_x%%\"], withhold = [\"*pass*\"]"), [""; 0]);
    }

    #[test]
    fn that_no_commands_are_listed_is_told() {
        let told = |integration: bool, trace: &str| {
            let more = format!("[index]\nshell-integration = {integration}\nexec-trace = \"{trace}\"\n");
            notes(&more).iter().any(|note| note.starts_with("`index`: "))
        };
        let all = [told(false, "off"), told(true, "off"), told(false, "auto"), told(true, "auto")];
        assert_eq!(all, [true, false, false, false]);
    }

    #[test]
    fn a_label_that_adds_no_reader_is_told() {
        let recipient = crate::store::personal::identity_file().1;
        for (also, count) in [("", 1), ("also = []", 1), (&*format!("also = [\"{recipient}\"]"), 0)] {
            let told = notes(&format!("[recipients.label.\"env=prod\"]\n{also}\n"));
            let told =
                told.iter().filter(|note| note.starts_with("`recipients.label.\"env=prod\"` adds nobody"));
            assert_eq!(told.count(), count, "{also}");
        }
    }

    #[test]
    fn an_elevator_that_does_not_say_who_called_is_told() {
        let told = |elevator: &str| {
            let found = notes(&format!("[run]\nelevator = [{elevator}]\n"));
            found.iter().any(|note| note.contains("does not say who called"))
        };
        for elevator in ["\"/opt/bin/sudo.ws\", \"--\"", "\"env\"", "\"su\", \"root\", \"-c\""] {
            assert!(told(elevator), "{elevator}");
        }
        for elevator in ["\"sudo\", \"--\"", "\"/usr/bin/doas\"", "\"run0\"", "\"sudo-rs\""] {
            assert!(!told(elevator), "{elevator}");
        }
    }

    #[test]
    fn a_single_recipient_is_told_also_where_a_period_key_stands_between() {
        let told = notes("");
        assert!(told.iter().any(|note| note.starts_with("there is one recipient only: ")), "{told:?}");
    }
}
