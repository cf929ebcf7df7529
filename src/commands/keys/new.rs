//! `sealcast keys new`

use crate::commands::{Context, config};
use crate::console::Style;
use crate::crypto::identity;
use crate::crypto::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use crate::store::{period, personal};
use crate::sys;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.output {
        _ if args.period => new_period(context),
        Some(path) => new_identity(context, path, args.passphrase),
        None => new_personal(context, args.passphrase),
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
    let policy = config::of_host()?;
    // A host whose sessions are sealed to another key than that of whoever calls.
    let is_other = policy.is_some() && sys::ids::effective_uid() != 0;
    let (directory, recipients) = match policy {
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
    let sealed = match is_other {
        true => {
            "it is your own, and no recording of this host is sealed to it: that of the host is made as root"
        }
        false => "new recordings are sealed to it",
    };
    context.console.note(format!("made a period key for {}; {sealed}", names.join(", ")));
    if recipients.iter().any(Recipient::is_post_quantum) {
        context.console.remark("warning", Style::Yellow, period::NOT_POST_QUANTUM);
    }
    context.console.whole(made.recipient)?;
    Ok(())
}
