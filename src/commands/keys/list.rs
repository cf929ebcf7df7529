//! `sealcast keys list`

use crate::commands::Context;
use crate::console::{Column, Style, Table};
use crate::crypto::identity::Identities;
use crate::error::{Error, Result};
use crate::store::period;
use crate::sys;
use serde_json::json;
use std::path::Path;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let personal = context.personal()?;
    let at_terminal = context.console.is_terminal() && !args.json;
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
    if args.json {
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
