//! How large recordings become: `cargo run --release --example sizes -- SESSION.cast…`.
//!
//! Takes asciicast files (version 2 or 3; `benches/workloads.py DIR` makes five), writes each as a recorder does, on its clock, with its
//! flushes, keyframes and filters, and prints its size beside that of `zstd -3` of the raw output.
//!
//! Takes recordings too (`benches/live.py SEALCAST DIR` makes four; the identity is looked for where the store of a person has it),
//! and says what the marks of the shell, the index of commands, and the filters cost: each is written anew with and without them.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/sample.rs"]
mod sample;

use sealcast::cast::{Anchor, Event, Header as CastHeader, Payload, line};
use sealcast::container::{
    Cursor, Entry, Extras, Header, Meta, Reader, SessionKeys, Setup, SlotKind, Writer, cert, limits,
};
use sealcast::crypto::identity::Identities;
use sealcast::crypto::prompt::Nobody;
use sealcast::record::{Indexer, ScreenIndexer};
use sealcast::shell::said;
use sealcast::store::seal::Opener;
use std::fs::File;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let (recordings, casts): (Vec<String>, Vec<String>) =
        paths.into_iter().partition(|path| path.ends_with(".scast"));
    if !casts.is_empty() {
        of_casts(&casts);
    }
    if !recordings.is_empty() {
        of_recordings(&recordings);
    }
}

fn of_casts(paths: &[String]) {
    println!(
        "{:<10} {:>8} {:>11} {:>10} {:>10} {:>6} {:>9}",
        "session", "seconds", "raw", "zstd -3", "recording", "ratio", "segments"
    );
    let (mut all_zstd, mut all) = (0, 0);
    for path in paths {
        let events = read(path);
        let raw: Vec<u8> = events
            .iter()
            .filter_map(|event| {
                if let Payload::Output(bytes) = &event.payload { Some(bytes.as_slice()) } else { None }
            })
            .collect::<Vec<_>>()
            .concat();
        let packed = zstd::bulk::compress(&raw, 3).unwrap().len();
        let (size, segments) = write(&events);
        let seconds = events.last().map_or(0, |event| event.time.as_secs());
        let name = Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
        println!(
            "{name:<10} {seconds:>8} {:>11} {packed:>10} {size:>10} {:>6.2} {segments:>9}",
            raw.len(),
            size as f64 / packed as f64
        );
        (all_zstd, all) = (all_zstd + packed, all + size);
    }
    println!("{:<10} {:>11} {all_zstd:>10} {all:>10} {:>6.2}", "all", "", all as f64 / all_zstd as f64);
}

/// The events of a cast. Times of version 2 count from the start, those of version 3 from the event before.
fn read(path: &str) -> Vec<Event> {
    let lines = std::io::BufReader::new(std::fs::File::open(path).unwrap()).lines();
    let (mut events, mut decoder, mut absolute) = (Vec::new(), line::Decoder::default(), false);
    for text in lines.map(Result::unwrap) {
        if text.starts_with('{') {
            absolute = text.contains("\"version\": 2") || text.contains("\"version\":2");
            continue;
        }
        if absolute {
            decoder = line::Decoder::default();
        }
        events.extend(decoder.decode(text.as_bytes()).unwrap());
    }
    events
}

/// What of a recording is written again.
#[derive(Clone, Copy)]
struct Parts {
    marks: bool,
    commands: bool,
    filters: bool,
}

fn of_recordings(paths: &[String]) {
    println!(
        "{:<10} {:>7} {:>8} {:>6} {:>8} {:>8} {:>7} {:>9} {:>8} {:>9}",
        "session",
        "seconds",
        "commands",
        "execs",
        "bare",
        "+ marks",
        "+ index",
        "+ filters",
        "together",
        "raw zstd"
    );
    // Without anything, and what each adds.
    let mut all = [0_u64; 5];
    let (mut all_commands, mut all_execs) = (0, 0);
    for path in paths {
        let (segments, entries) = parts(path);
        let execs: usize = entries
            .iter()
            .map(|entry| entry.execs.len() + entry.commands.iter().map(|c| c.execs.len()).sum::<usize>())
            .sum();
        let raw: Vec<u8> = segments
            .iter()
            .flatten()
            .filter_map(
                |event| if let Payload::Output(bytes) = &event.payload { Some(bytes.clone()) } else { None },
            )
            .collect::<Vec<_>>()
            .concat();
        let size = |marks, commands, filters| again(&segments, &entries, Parts { marks, commands, filters });
        let bare = size(false, false, false);
        let with = [
            bare,
            size(true, false, false),
            size(false, true, false),
            size(false, false, true),
            size(true, true, true),
        ];
        let commands = entries.iter().map(|entry| entry.commands.len()).sum::<usize>();
        all.iter_mut().zip(with).for_each(|(all, with)| *all += with);
        (all_commands, all_execs) = (all_commands + commands, all_execs + execs);
        // Folders of `live.py`: SESSION/.local/share/sealcast/recordings/NAME.
        let name = Path::new(path).ancestors().nth(5).and_then(Path::file_name).unwrap_or_default();
        let seconds = segments.last().and_then(|s| s.last()).map_or(0, |event| event.time.as_secs());
        let packed = zstd::bulk::compress(&raw, 3).unwrap().len();
        row(&name.to_string_lossy(), &seconds.to_string(), (commands, execs), with, &packed.to_string());
    }
    row("all", "", (all_commands, all_execs), all, "");
}

/// A line of the table; `with`: without anything, with marks, index, filters, all of it.
fn row(name: &str, seconds: &str, (commands, execs): (usize, usize), with: [u64; 5], packed: &str) {
    let [bare, marks, index, filters, together] = with;
    let percent = |size: u64| 100.0 * (size as f64 / bare as f64 - 1.0);
    println!(
        "{name:<10} {seconds:>7} {commands:>8} {execs:>6} {bare:>8} {:>7.1}% {:>6.1}% {:>8.1}% {:>7.1}% {packed:>9}",
        percent(marks),
        percent(index),
        percent(filters),
        percent(together)
    );
}

/// The events of each segment, and the index.
fn parts(path: &str) -> (Vec<Vec<Event>>, Vec<Entry>) {
    let keys = Path::new(path).ancestors().nth(2).unwrap().join("keys/identity.txt");
    let opener = Opener::new(Identities::load(&[keys], Arc::new(Nobody)).unwrap());
    let mut reader = Reader::open(File::open(path).unwrap()).unwrap();
    opener.open_content(&mut reader).unwrap();
    let segments = (0..reader.segments()).map(|segment| {
        let mut cursor = Cursor::of_segment(&reader, segment).unwrap();
        let mut events = Vec::new();
        while let Some(event) = cursor.next(&mut reader).unwrap() {
            events.push(event);
        }
        events
    });
    let segments = segments.collect();
    (segments, reader.entries().to_vec())
}

/// Writes a recording again, with these parts of it, and gives the size.
fn again(segments: &[Vec<Event>], entries: &[Entry], parts: Parts) -> u64 {
    let mut writer = writer();
    let mut next = limits::grid(limits::FLUSH_EVERY);
    let mut last = Extras::default();
    for (number, events) in segments.iter().enumerate() {
        if number > 0 {
            let now = events.first().map_or(next, |event| event.time);
            writer.end_segment(now, std::mem::take(&mut last)).unwrap();
        }
        for event in events {
            while next <= event.time {
                writer.flush(next).unwrap();
                next += limits::grid(limits::FLUSH_EVERY);
            }
            let is_mark = matches!(&event.payload, Payload::Other { code, .. } if code == said::CODE);
            if parts.marks || !is_mark {
                writer.push(event).unwrap();
            }
        }
        let entry = entries.get(number).cloned().unwrap_or_default();
        if parts.commands {
            (last.commands, last.execs) = (entry.commands, entry.execs);
        }
        if parts.filters {
            last.filter = entry.filter;
        }
    }
    let (closed, _) = writer.finish(next, last).map_err(|(error, _)| error).unwrap();
    closed.length
}

fn writer() -> Writer<Vec<u8>> {
    let fleet = sample::Fleet::new("web-3");
    let keys = SessionKeys::generate().unwrap();
    let slots = fleet.slots(&keys, &[SlotKind::Root]);
    let header = Header {
        host: "web-3".into(),
        recipients: vec![fleet.recipients[0].to_string()],
        ..Header::default()
    };
    let setup = Setup {
        header,
        meta: Meta { cols: 80, rows: 24, ..Meta::default() },
        cast: CastHeader::new(80, 24),
        slots,
        ledger: String::new(),
    };
    let sign = |text: &str| fleet.host.sign(cert::NAMESPACE, text.as_bytes()).map_err(Into::into);
    Writer::create(Vec::new(), keys, setup, sign).unwrap()
}

fn write(events: &[Event]) -> (u64, usize) {
    let mut writer = writer();
    let mut indexer = ScreenIndexer::start((80, 24));
    let mut next = limits::grid(limits::FLUSH_EVERY);
    let at = |now: Duration| {
        let ms = u64::try_from(now.as_millis()).unwrap();
        Anchor { at: ms, utc: sample::START + i64::try_from(ms).unwrap(), boot: 0 }
    };
    for event in events {
        while next <= event.time {
            writer.flush(next).unwrap();
            if writer.segment_due(next) {
                let extras = indexer.end_segment();
                writer.end_segment(next, extras).unwrap();
            }
            next += limits::grid(limits::FLUSH_EVERY);
        }
        if !writer.in_segment() {
            writer.begin(at(event.time), indexer.keyframe()).unwrap();
        }
        indexer.event(event.clone());
        writer.push(event).unwrap();
        if writer.segment_due(event.time) {
            let extras = indexer.end_segment();
            writer.end_segment(event.time, extras).unwrap();
        }
    }
    let extras = if writer.in_segment() { indexer.end_segment() } else { Extras::default() };
    let (closed, _) = writer.finish(next, extras).map_err(|(error, _)| error).unwrap();
    (closed.length, closed.segments)
}
