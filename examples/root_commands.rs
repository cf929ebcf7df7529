//! Every command that was run as root in the last week, as JSON lines. Opens indexes only, no content:
//! `cargo run --example root_commands -- IDENTITY DIRECTORY`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use sealcast::container::Reader;
use sealcast::crypto::identity::Identities;
use sealcast::crypto::prompt::Nobody;
use sealcast::search::Condition;
use sealcast::search::engine::header_allows;
use sealcast::store::Store;
use sealcast::store::seal::Opener;
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [identity, directory] = arguments.as_slice() else {
        return Err("usage: root_commands IDENTITY DIRECTORY".into());
    };
    let opener = Opener::new(Identities::load(&[identity], Arc::new(Nobody))?);
    let now = jiff::Timestamp::now();
    let conditions = [Condition::parse("since", "7d", now)?, Condition::parse("as", "root", now)?];
    for found in Store::new(directory).list()? {
        let mut reader = Reader::open(found.open()?)?;
        if !header_allows(&conditions, reader.header()) {
            continue;
        }
        if let Err(error) = opener.open_index(&mut reader) {
            eprintln!("{}: {error}", found.path.display());
            continue;
        }
        let header = reader.header();
        for command in reader.entries().iter().flat_map(|entry| &entry.commands) {
            println!(
                "{}",
                serde_json::json!({
                    "session": header.session, "host": header.host, "user": header.user,
                    "utc_ms": header.start.saturating_add_unsigned(command.start), "command": command.text,
                    "cwd": command.cwd, "exit": command.exit, "trust": command.trust,
                })
            );
        }
    }
    Ok(())
}
