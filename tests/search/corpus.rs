//! The recorded sessions of `fixtures/screens`.

use sealcast::cast::line::Decoder;
use sealcast::cast::{Event, Header, Payload};
use std::path::Path;
use std::time::Duration;

pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) size: (u16, u16),
    pub(crate) events: Vec<Event>,
}

pub(crate) fn sessions() -> Vec<Session> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/screens");
    let mut paths: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "zst"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} sessions in {}", paths.len(), dir.display());
    paths
        .iter()
        .map(|path| {
            let text = zstd::bulk::decompress(&std::fs::read(path).unwrap(), 4 << 20).unwrap();
            let header: Header = serde_json::from_slice(text.split(|b| *b == b'\n').next().unwrap()).unwrap();
            let mut decoder = Decoder::default();
            let events =
                text.split(|b| *b == b'\n').filter_map(|line| decoder.decode(line).unwrap()).collect();
            Session {
                name: path.file_name().unwrap().to_string_lossy().trim_end_matches(".cast.zst").to_string(),
                size: (header.term.cols, header.term.rows),
                events,
            }
        })
        .collect()
}

/// All sessions one after the other, often enough that segments have filters.
pub(crate) fn long_session() -> Session {
    let (mut events, mut at) = (Vec::new(), Duration::ZERO);
    for session in (0..3).flat_map(|_| sessions()) {
        let start = at + Duration::from_secs(3);
        events.push(Event::new(at, Payload::Resize { cols: session.size.0, rows: session.size.1 }));
        for event in session.events {
            at = start + event.time;
            events.push(Event::new(at, event.payload));
        }
    }
    Session { name: "all".into(), size: (80, 24), events }
}
