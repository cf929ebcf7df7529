//! `sealcast keys check`

use crate::commands::recordings::read_text;
use crate::commands::{Context, config};
use crate::console::{Column, Style, Table};
use crate::crypto::identity::{Identities, Tried, UnwrapError, Why};
use crate::crypto::recipient::{self, Recipient};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::period::{self, Period};
use crate::store::personal::{self, Personal};
use crate::sys;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
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
    personal.read_recipients().map_err(|error| match error {
        personal::Error::System(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let told = Error::from_source(Kind::System, &cause).while_doing("cannot use the keys");
            // Where a host has its configuration, new recordings are sealed to nobody's own keys.
            let told = match config::of_host() {
                Ok(None) => told.hint("`sealcast keys new` makes keys"),
                _ => told
                    .hint("`sealcast config check` looks at the keys of this host; these would be your own"),
            };
            told.hint("-r FILE names other recipients, such as those that an identity of yours is to open")
        }
        // What is damaged or open to others it would not make anew.
        error => error.into(),
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
    use crate::crypto::identity;
    use crate::crypto::prompt::{Prompt, PromptError};
    use std::sync::Arc;
    use zeroize::Zeroizing;

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
