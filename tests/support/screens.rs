//! The recorded sessions of `fixtures/screens`, for the crate and for whoever tests it from outside: who includes this has its
//! `cast` at the root.

use crate::cast::line::Decoder;
use crate::cast::{Event, Header};
use std::path::{Path, PathBuf};

/// A recorded session.
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) cols: u16,
    pub(crate) rows: u16,
    pub(crate) events: Vec<Event>,
}

/// All of them, by name.
pub(crate) fn sessions() -> Vec<Session> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/screens");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "zst"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} sessions in {}", paths.len(), dir.display());
    paths
        .iter()
        .map(|path| {
            let packed = std::fs::read(path).unwrap();
            let text = zstd::bulk::decompress(&packed, 4 << 20).unwrap();
            let header: Header = serde_json::from_slice(text.split(|b| *b == b'\n').next().unwrap()).unwrap();
            let mut decoder = Decoder::default();
            let events =
                text.split(|b| *b == b'\n').filter_map(|line| decoder.decode(line).unwrap()).collect();
            Session {
                name: path.file_name().unwrap().to_string_lossy().trim_end_matches(".cast.zst").to_string(),
                cols: header.term.cols,
                rows: header.term.rows,
                events,
            }
        })
        .collect()
}
