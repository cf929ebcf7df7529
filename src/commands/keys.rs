//! `sealcast keys new | list | check`

use super::recordings::read_text;
use super::{Context, config};
use crate::console::{Column, Style, Table};
use crate::crypto::identity::{self, Identities, Tried, UnwrapError, Why};
use crate::crypto::recipient::{self, Recipient};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::period::{self, Period};
use crate::store::personal::{self, Personal};
use crate::sys;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

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
    New(New),
    /// Show the keys there are
    List(List),
    /// Check that every recipient can be sealed to, and what opens it
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Protect the new identity with a passphrase
    #[arg(long, conflicts_with = "period")]
    passphrase: bool,
    /// Write the new identity to FILE, and its recipient to standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "period")]
    output: Option<PathBuf>,
    /// Make a key of a longer period, sealed to the recipients
    ///
    /// Recordings are then sealed to this key: one unwrapping serves many of them, and recipients that need a plugin
    /// can be used, because plugins run now and never while something is recorded.
    #[arg(long)]
    period: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// An identity file to try; may be given several times
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// The recipients file to check, instead of your own
    #[arg(short, long, value_name = "FILE")]
    recipients: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// What cannot be made, read or checked; for `check`, a finding (exit code 1).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.command {
        Command::New(args) if args.period => new_period(context),
        Command::New(args) => match &args.output {
            Some(path) => new_identity(context, path, args.passphrase),
            None => new_personal(context, args.passphrase),
        },
        Command::List(args) => list(context, args.json),
        Command::Check(args) => check(context, args),
    }
}

/// Names a signing key after its owner: `alice@web-3`.
fn comment() -> String {
    let user = sys::ids::user_by_uid(sys::ids::effective_uid()).ok().flatten();
    format!("{}@{}", user.map_or_else(|| "sealcast".to_owned(), |user| user.name), sys::ids::hostname())
}

fn new_passphrase(context: &Context) -> Result<Zeroizing<String>> {
    let asked = |question: &str| context.prompt().passphrase(question);
    let refused = |error: crate::crypto::prompt::PromptError| {
        Error::new(Kind::Usage, "a passphrase is needed")
            .hint(format!("run this where it can be typed: {error}"))
    };
    let first = asked("New passphrase: ").map_err(refused)?;
    if first.is_empty() {
        return Err(Error::new(Kind::Usage, "an empty passphrase protects nothing"));
    }
    if *first != *asked("The same again: ").map_err(refused)? {
        return Err(Error::new(Kind::Usage, "the two passphrases differ"));
    }
    Ok(first)
}

fn new_personal(context: &Context, passphrase: bool) -> Result<()> {
    let personal = context.personal()?;
    if personal.recipients().exists() && personal.signing_key().exists() {
        return Err(Error::new(
            Kind::Usage,
            format!("there are keys in {} already", personal.keys().display()),
        )
        .hint("`sealcast keys list` shows them, `sealcast keys new -o FILE` makes another identity"));
    }
    let passphrase = if passphrase { Some(new_passphrase(context)?) } else { None };
    if let Some(made) = personal.ensure(&comment(), passphrase)? {
        context.console.note(made);
    }
    for recipient in personal.read_recipients()? {
        context.console.whole(recipient)?;
    }
    Ok(())
}

fn new_identity(context: &Context, path: &Path, passphrase: bool) -> Result<()> {
    if path.as_os_str() == "-" {
        return Err(Error::new(Kind::Usage, "a secret key is not written to standard output")
            .hint("name a file; `./-` is one of that name"));
    }
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(Kind::Usage, format!("{} is there already", path.display()))
            .hint("an identity is never overwritten: choose another name"));
    }
    let (text, recipient) = personal::identity_file();
    let text = match passphrase {
        true => Zeroizing::new(identity::lock(&text, new_passphrase(context)?)?),
        false => text,
    };
    sys::file::write_new(path, text.as_bytes())?;
    context.console.note(format!(
        "made the identity {}: whoever has it opens what is sealed to its recipient",
        path.display()
    ));
    context.console.whole(recipient)?;
    Ok(())
}

fn new_period(context: &Context) -> Result<()> {
    let (directory, recipients) = match config::of_host()? {
        // Root makes the key of the host; everybody else their own.
        // With those that its own labels add, as every session has them.
        Some(policy) if sys::ids::effective_uid() == 0 => match &policy.recipients.period {
            Some(directory) => (directory.clone(), policy.recipients_for(&policy.labels)),
            None => {
                return Err(Error::new(
                    Kind::Usage,
                    "the host's configuration names no directory for a period key",
                )
                .hint("set `period = \"/etc/sealcast/period\"` under [recipients]"));
            }
        },
        _ => {
            let personal = context.personal()?;
            if let Some(made) = personal.ensure(&comment(), None)? {
                context.console.note(made);
            }
            (personal.keys(), personal.read_recipients()?)
        }
    };
    let made = period::make(&directory, &recipients, &context.prompt())?;
    let names: Vec<String> = recipients.iter().map(Recipient::label).collect();
    context
        .console
        .note(format!("made a period key for {}; new recordings are sealed to it", names.join(", ")));
    if recipients.iter().any(Recipient::is_post_quantum) {
        context.console.remark("warning", Style::Yellow, period::NOT_POST_QUANTUM);
    }
    context.console.whole(made.recipient)?;
    Ok(())
}

fn list(context: &Context, as_json: bool) -> Result<()> {
    let personal = context.personal()?;
    let at_terminal = context.console.is_terminal() && !as_json;
    // A terminal has no room for a whole key; a program, or whoever keeps the list, wants no other.
    let key = |whole: String, short: String| if at_terminal { short } else { whole };
    let mut rows: Vec<[String; 4]> = Vec::new();
    // The others are listed all the same.
    let unusable = |rows: &mut Vec<[String; 4]>, what, file: &Path, error: Error| {
        rows.push(row(what, "unusable", "", file));
        context.console.remark("warning", Style::Yellow, error);
    };
    if is_there(&personal.recipients())? {
        match personal.read_recipients() {
            Ok(recipients) => rows.extend(recipients.iter().map(|recipient| {
                let key = key(recipient.to_string(), recipient.full_name());
                row("recipient", recipient.kind(), &key, &personal.recipients())
            })),
            Err(error) => unusable(&mut rows, "recipient", &personal.recipients(), error.into()),
        }
    }
    if is_there(&personal.identity())? {
        let identities = Identities::load(&[personal.identity()], context.prompt());
        match identities {
            Ok(read) => {
                let kind: String = read.protections().map(|protection| protection.to_string()).collect();
                rows.push(row("identity", &kind, "", &personal.identity()));
            }
            Err(error) => unusable(&mut rows, "identity", &personal.identity(), error.into()),
        }
    }
    if is_there(&personal.signing_key())? {
        match personal.read_signer() {
            Ok(signer) => {
                let signing = signer.host_key();
                let key = key(signing.to_string(), signing.fingerprint());
                rows.push(row("signing key", "SSH Ed25519", &key, &personal.signing_key()));
            }
            Err(error) => unusable(&mut rows, "signing key", &personal.signing_key(), error.into()),
        }
    }
    let sealed = period::sealed_path(&personal.keys());
    match period::read(&personal.keys()) {
        Ok(None) => {}
        Ok(Some(period)) => rows.push(row("period key", "X25519", &period.recipient.key_text(), &sealed)),
        Err(error) => unusable(&mut rows, "period key", &sealed, error.into()),
    }
    if rows.is_empty() {
        context.console.note(format!(
            "there are no keys in {}; `sealcast keys new` makes them",
            personal.keys().display()
        ));
        return Ok(());
    }
    if as_json {
        for [what, kind, key, file] in rows {
            context.console.json(&json!({"what": what, "kind": kind, "key": key, "file": file}))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&[
        ("WHAT", Column::Left),
        ("KIND", Column::Left),
        ("KEY", Column::Flexible),
        ("FILE", Column::Left),
    ]);
    for [what, kind, key, file] in &rows {
        // All are in one directory, which is told once.
        let name = Path::new(file).file_name().filter(|_| at_terminal);
        table.row(&[what, kind, key, &name.map_or(file.as_str().into(), |name| name.to_string_lossy())]);
    }
    context.console.table(&table)?;
    if at_terminal {
        context.console.note(format!("in {}", context.short_path(&personal.keys())));
    }
    Ok(())
}

/// Whether there is something under this name. Where a directory is closed, that is not known.
fn is_there(path: &Path) -> Result<bool> {
    Ok(path.try_exists().map_err(|e| sys::Error::at("look for", path, e))?)
}

fn row(what: &str, kind: &str, key: &str, file: &Path) -> [String; 4] {
    [what.to_owned(), kind.to_owned(), key.to_owned(), file.display().to_string()]
}

/// What `check` found about one key.
struct Finding {
    what: &'static str,
    name: String,
    /// The key itself, where it could be read.
    key: Option<String>,
    kind: String,
    /// Why it cannot be used; `None` when it can.
    wrong: Option<String>,
    /// The file that opens what is sealed to it.
    opened_by: Option<PathBuf>,
    /// Why nothing here does.
    not_opened: Option<String>,
    /// The identities of which that is not known: they could not be tried.
    untried: Vec<Tried>,
}

impl Finding {
    /// Something good, until `wrong` is said of it.
    fn new(what: &'static str, name: String, kind: &str, wrong: Option<String>) -> Self {
        let kind = kind.to_owned();
        Self { what, name, key: None, kind, wrong, opened_by: None, not_opened: None, untried: Vec::new() }
    }

    fn of_key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// Tries to open what is sealed to it.
    fn opened(mut self, identities: &Identities, sealed: &[u8]) -> Self {
        match identities.unwrap_by(sealed) {
            Ok((path, _)) => self.opened_by = Some(path.to_owned()),
            Err(UnwrapError::NoIdentity { tried, .. }) => {
                self.untried = tried
                    .into_iter()
                    .filter(|tried| !matches!(tried.why, Why::NoMatch | Why::Absent))
                    .collect();
                let why = self.untried.first().map(|tried| tried.why.to_string());
                self.not_opened = Some(why.unwrap_or_else(|| "no identity here".to_owned()));
            }
            Err(error) => self.not_opened = Some(error.to_string()),
        }
        self
    }
}

/// A plugin may run here, and not while something is recorded.
const NEEDS_PERIOD: &str =
    "a recorder runs no plugins, so it needs a period key; `sealcast keys new --period` makes one";

/// What is sealed to each recipient to see whether it opens again.
const PROBE: &[u8] = b"sealcast keys check";

fn check(context: &Context, args: &Check) -> Result<()> {
    // Whoever names all of them needs no home.
    let (recipients, own) = match &args.recipients {
        Some(path) => (read_recipients(path)?, None),
        None => {
            let personal = context.personal()?;
            (own_recipients(&personal)?, Some(personal))
        }
    };
    let identities = context.identities(&args.identity)?;
    let mut found: Vec<Finding> = Vec::new();
    for recipient in &recipients {
        let alike = recipients.iter().filter(|other| other.label() == recipient.label()).count();
        let name = if alike > 1 { recipient.full_name() } else { recipient.label() };
        found.push(check_recipient(context, recipient, name, &identities));
    }
    if let Some(personal) = &own {
        let period = period::read(&personal.keys());
        if !matches!(&period, Ok(Some(period)) if period.is_for(&recipients)) {
            for (finding, _) in found.iter_mut().zip(&recipients).filter(|(_, r)| r.needs_plugin().is_some())
            {
                finding.wrong.get_or_insert_with(|| NEEDS_PERIOD.to_owned());
            }
        }
        found.extend(check_period(period, &recipients, &identities));
        found.extend(check_signing_key(personal));
        found.extend(check_permissions(&[
            personal.root().to_owned(),
            personal.keys(),
            period::sealed_path(&personal.keys()),
        ]));
    }
    // Whatever is tried is looked at, also where nothing of it is ours.
    let tried = match &args.identity[..] {
        [] => context.personal().iter().map(Personal::identity).collect(),
        named => named.to_vec(),
    };
    found.extend(check_permissions(&tried));
    report(context, &found, args.json)?;
    let untried = untried(&found, &identities);
    // What was named is to be tried. Of one's own, that it asks is no fault: it is told, and no more.
    let failed = (!untried.is_empty() && !args.identity.is_empty()).then(|| not_tried(&untried));
    if !args.json {
        let to_try = if failed.is_some() { None } else { Some(what_to_try(&untried)) };
        explain(context, &found, &identities, to_try.as_deref());
    }
    let wrong = match found.iter().filter(|finding| finding.wrong.is_some()).count() {
        0 => return failed.map_or(Ok(()), Err),
        1 => "one key cannot be used as it is".to_owned(),
        n => format!("{n} keys cannot be used as they are"),
    };
    let found = |wrong| Error::new(Kind::No, wrong).hint("the list says why; nothing was changed");
    Err(match failed {
        Some(failed) => found(format!("{wrong}, and {failed}")).hint(what_to_try(&untried)),
        None => found(wrong),
    })
}

/// All identities that could not be tried, each once: also where another one opened everything.
fn untried(found: &[Finding], identities: &Identities) -> Vec<Tried> {
    let mut all = identities.untried();
    for tried in found.iter().flat_map(|finding| &finding.untried) {
        if all.iter().all(|other| other.path != tried.path) {
            all.push(tried.clone());
        }
    }
    all
}

fn not_tried(untried: &[Tried]) -> Error {
    let all: Vec<String> =
        untried.iter().map(|tried| format!("{} ({})", tried.path.display(), tried.why)).collect();
    Error::new(Kind::Key, format!("not every identity could be tried: {}", all.join(", ")))
        .hint(what_to_try(untried))
}

/// What to do where no identity here opens new recordings, of which these could not be tried.
fn what_to_try(untried: &[Tried]) -> String {
    if untried.is_empty() {
        return "good, if the identities are kept elsewhere; check them there with -i FILE".to_owned();
    }
    let error = Error::from(UnwrapError::NoIdentity { slots: Vec::new(), tried: untried.to_vec() });
    error.hints().first().cloned().unwrap_or_default()
}

fn own_recipients(personal: &Personal) -> Result<Vec<Recipient>> {
    personal.read_recipients().map_err(|error| {
        let is_missing =
            matches!(&error, personal::Error::System(cause) if cause.kind() == io::ErrorKind::NotFound);
        let told = Error::from(error);
        // What is damaged or open to others it would not make anew.
        if is_missing { told.hint("`sealcast keys new` makes keys") } else { told }
    })
}

fn read_recipients(path: &Path) -> Result<Vec<Recipient>> {
    let text = read_text(path, recipient::MAX_FILE as u64)?;
    recipient::parse_file(&text).or_say(|| format!("recipients file {}", path.display()))
}

fn check_recipient(
    context: &Context,
    recipient: &Recipient,
    name: String,
    identities: &Identities,
) -> Finding {
    let found =
        |wrong| Finding::new("recipient", name, recipient.kind(), wrong).of_key(recipient.to_string());
    match recipient::wrap_with_plugins(std::slice::from_ref(recipient), PROBE, &context.prompt()) {
        Ok(sealed) => found(None).opened(identities, &sealed),
        Err(error) => found(Some(error.to_string())),
    }
}

fn check_period(
    period: std::result::Result<Option<Period>, personal::Error>,
    recipients: &[Recipient],
    identities: &Identities,
) -> Option<Finding> {
    let found = |name, wrong| Finding::new("period key", name, "X25519", wrong);
    match period {
        Ok(None) => None,
        Ok(Some(period)) => {
            let stale = "made for other recipients than there are now; `keys new --period` makes a new one";
            let wrong = (!period.is_for(recipients)).then(|| stale.to_owned());
            let found = found(period.recipient.label(), wrong).of_key(period.recipient.key_text());
            Some(found.opened(identities, &period.sealed))
        }
        Err(error) => Some(found(String::new(), Some(Error::from(error).to_string()))),
    }
}

fn check_signing_key(personal: &Personal) -> Option<Finding> {
    let path = personal.signing_key();
    let found = |name, wrong| Finding::new("signing key", name, "SSH Ed25519", wrong);
    match personal.read_signer() {
        _ if !path.exists() => None,
        Ok(signer) => {
            let key = signer.host_key();
            let wrong = match personal.names_signer(&key) {
                Ok(true) => None,
                Ok(false) => {
                    Some("signing_key.pub does not name it; the next `sealcast run` adds it".to_owned())
                }
                Err(error) => Some(Error::from(error).to_string()),
            };
            Some(found(key.fingerprint(), wrong).of_key(key.to_string()))
        }
        Err(error) => {
            let wrong = Some(Error::from(error).to_string());
            Some(Finding::new("signing key", path.display().to_string(), "unusable", wrong))
        }
    }
}

fn check_permissions(places: &[PathBuf]) -> Vec<Finding> {
    let open = places.iter().filter_map(|path| {
        let mode = sys::trust::mode_for_others(path).ok()??;
        let (name, wrong) = (path.display().to_string(), "others can reach it".to_owned());
        Some(Finding::new("permissions", name, &format!("{mode:04o}"), Some(wrong)))
    });
    open.collect()
}

fn report(context: &Context, found: &[Finding], as_json: bool) -> Result<()> {
    if as_json {
        for finding in found {
            context.console.json(&json!({
                "what": finding.what, "name": finding.name, "key": finding.key, "kind": finding.kind, "good": finding.wrong.is_none(),
                "wrong": finding.wrong,
                "opened_by": finding.opened_by.as_ref().map(|path| path.to_string_lossy()),
                "not_opened": finding.not_opened,
            }))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&[
        ("WHAT", Column::Left),
        ("KEY", Column::Yielding),
        ("KIND", Column::Left),
        ("STATE", Column::Flexible),
        ("OPENED BY", Column::Flexible),
    ]);
    for finding in found {
        let (style, state) = match &finding.wrong {
            None => (Style::Green, "good"),
            Some(why) => (Style::Red, why.as_str()),
        };
        let opened = match &finding.opened_by {
            Some(path) => context.short_path(path),
            None => finding.not_opened.clone().unwrap_or_default(),
        };
        let plain = Style::Plain;
        table.styled_row(&[
            (plain, &finding.what),
            (plain, &finding.name),
            (plain, &finding.kind),
            (style, &state),
            (plain, &opened),
        ]);
    }
    context.console.table(&table)?;
    Ok(())
}

/// Says what the findings mean, and what to do where nothing was opened.
fn explain(context: &Context, found: &[Finding], identities: &Identities, to_try: Option<&str>) {
    let console = &context.console;
    let recipients = || found.iter().filter(|finding| finding.what == "recipient");
    let opened: Vec<String> =
        recipients().filter_map(|finding| Some(context.short_path(finding.opened_by.as_ref()?))).collect();
    if opened.is_empty() {
        let tried: Vec<String> = identities.paths().map(|path| context.short_path(path)).collect();
        let tried =
            if tried.is_empty() { "none was tried".into() } else { format!("tried: {}", tried.join(", ")) };
        console.remark("note", Style::Yellow, format!("no identity here opens new recordings ({tried})"));
        if let Some(to_try) = to_try {
            console.remark("hint", Style::Yellow, to_try);
        }
    } else {
        console.remark(
            "note",
            Style::Plain,
            format!("who loses {} cannot open recordings any more", opened.join(" and ")),
        );
        if recipients().count() == 1 {
            console.remark(
                "hint",
                Style::Yellow,
                "there is one recipient only: keep a copy of its identity in a safe place",
            );
        }
    }
    if found.iter().any(|finding| finding.what == "permissions") {
        console.remark("hint", Style::Yellow, "`chmod go= FILE` keeps others out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prompt::{Prompt, PromptError};
    use std::sync::Arc;

    struct Wrong;

    impl Prompt for Wrong {
        fn passphrase(&self, _: &str) -> std::result::Result<Zeroizing<String>, PromptError> {
            Ok("wrong".to_owned().into())
        }
    }

    #[test]
    fn after_a_wrong_passphrase_there_is_something_to_try_and_after_no_match_there_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (text, recipient) = personal::identity_file();
        let sealed = recipient::wrap(std::slice::from_ref(&recipient), PROBE).unwrap();
        let path = dir.path().join("identity.txt");
        let to_try = |content: &str| {
            std::fs::write(&path, content).unwrap();
            let identities = Identities::load(std::slice::from_ref(&path), Arc::new(Wrong)).unwrap();
            let found = Finding::new("recipient", String::new(), "", None).opened(&identities, &sealed);
            assert!(found.not_opened.is_some() && found.opened_by.is_none());
            what_to_try(&found.untried)
        };
        let locked = identity::lock(&text, "right".to_owned().into()).unwrap();
        assert_eq!(to_try(&locked), "try again with the right passphrase");
        assert!(to_try(&personal::identity_file().0).contains("elsewhere"));
    }
}
