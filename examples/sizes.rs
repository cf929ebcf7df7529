//! How large recordings become: `cargo run --release --example sizes -- SESSION.cast…`.
//!
//! Takes asciicast files (version 2 or 3; `benches/workloads.py DIR` makes five), writes each as a recorder does, on its clock, with a flush
//! every second, keyframes and filters, and prints its size beside that of `zstd -3` of the raw output.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/sample.rs"]
mod sample;

use sealcast::cast::{Anchor, Event, Header as CastHeader, Payload, line};
use sealcast::container::{Extras, Header, Meta, SessionKeys, Setup, SlotKind, Writer, cert, limits};
use sealcast::record::{Indexer, ScreenIndexer};
use std::io::BufRead as _;
use std::time::Duration;

fn main() {
    println!(
        "{:<10} {:>8} {:>11} {:>10} {:>10} {:>6} {:>9}",
        "session", "seconds", "raw", "zstd -3", "recording", "ratio", "segments"
    );
    let (mut all_zstd, mut all) = (0, 0);
    for path in std::env::args().skip(1) {
        let events = read(&path);
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
        let name = std::path::Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
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

fn write(events: &[Event]) -> (u64, usize) {
    let fleet = sample::Fleet::new("web-3");
    let keys = SessionKeys::generate().unwrap();
    let slots = fleet.slots(&keys, &[SlotKind::Root]);
    let header = Header {
        host: "web-3".into(),
        recipients: vec![fleet.recipients[0].to_string()],
        ..Header::default()
    };
    let setup =
        Setup { header, meta: Meta::default(), cast: CastHeader::new(80, 24), slots, ledger: String::new() };
    let sign = |text: &str| fleet.host.sign(cert::NAMESPACE, text.as_bytes()).map_err(Into::into);
    let mut writer = Writer::create(Vec::new(), keys, setup, sign).unwrap();
    let mut indexer = ScreenIndexer::start((80, 24));
    let mut next = limits::FLUSH_EVERY;
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
            next += limits::FLUSH_EVERY;
        }
        if !writer.in_segment() {
            writer.begin(at(event.time), indexer.keyframe()).unwrap();
        }
        indexer.event(event);
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
