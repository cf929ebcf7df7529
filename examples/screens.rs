//! Prints the screens of recordings as JSON lines: `{"name":…,"event":…,"rows":[…]}`, at the events asked for.
//!
//! Usage: `cargo run --example screens -- EVENTS FILE.cast.zst…`, where EVENTS is how many screens per recording. Used by
//! `fixtures/screens/compare.py` to compare the emulator with tmux and pyte.
#![allow(clippy::print_stdout)]

use sealcast::cast::line::Decoder;
use sealcast::cast::{Header, Payload};
use sealcast::terminal::Terminal;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let wanted: usize = args.next().ok_or("how many screens?")?.parse()?;
    for path in args {
        let text = zstd::bulk::decompress(&std::fs::read(&path)?, 256 << 20)?;
        let header: Header =
            serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap_or_default())?;
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            events.extend(decoder.decode(line)?);
        }
        let mut terminal = Terminal::new(header.term.cols, header.term.rows);
        for (index, event) in events.iter().enumerate() {
            match &event.payload {
                Payload::Output(bytes) => terminal.feed_guarded(bytes),
                Payload::Resize { cols, rows } => terminal.resize(*cols, *rows),
                _ => {}
            }
            if (1..=wanted).any(|n| events.len() * n / wanted == index + 1) {
                let (cols, rows) = terminal.size();
                let rows: Vec<Vec<String>> = (0..rows)
                    .map(|row| {
                        terminal
                            .cells(row)
                            .map(|cell| match cell.width {
                                0 => String::new(),
                                _ => std::iter::once(cell.c).chain(cell.marks.iter().copied()).collect(),
                            })
                            .collect()
                    })
                    .collect();
                println!("{}", serde_json::json!({"path": path, "event": index, "cols": cols, "rows": rows}));
            }
        }
    }
    Ok(())
}
