//! Looks for a text in all recordings of a directory, as a library does it:
//! `cargo run --example grep_store -- IDENTITY DIRECTORY TEXT`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use sealcast::crypto::identity::Identities;
use sealcast::crypto::prompt::Nobody;
use sealcast::search::{Fields, Options, Query, Style, search};
use sealcast::store::Store;
use sealcast::store::seal::Opener;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [identity, directory, text] = arguments.as_slice() else {
        return Err("usage: grep_store IDENTITY DIRECTORY TEXT".into());
    };
    let opener = Opener::new(Identities::load(&[identity], Arc::new(Nobody))?);
    let query = Query::text(text, Style::default(), Fields::EVERYWHERE)?;
    let recordings = Store::new(directory).list()?;
    search(&recordings, &opener, &query, &Options::default(), &mut |found, answer| {
        if let Some(fault) = &answer.fault {
            eprintln!("{}: {fault}", found.path.display());
        }
        for hit in answer.found.iter().flat_map(|found| &found.hits) {
            let time = hit.time.map_or(0.0, |time| time.as_secs_f64());
            // Recorded text must not act on the terminal that shows it.
            println!("{}: {time:.3} s: {}", found.path.display(), sealcast::text::escaped(&hit.text));
        }
        ControlFlow::Continue(())
    });
    Ok(())
}
