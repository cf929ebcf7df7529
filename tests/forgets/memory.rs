//! What stands in the memory of processes: everything they could write to, read from outside.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::io::{Read as _, Seek as _, SeekFrom};

/// One mapping of one process.
pub struct Piece {
    /// Process, program and mapping, for messages.
    pub place: String,
    /// What stands there.
    pub bytes: Vec<u8>,
}

/// Everything a process can write to, as it is now.
pub fn of(pid: u32) -> Vec<Piece> {
    let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let Ok(mut memory) = std::fs::File::open(format!("/proc/{pid}/mem")) else { return Vec::new() };
    let mut pieces = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut bytes).is_ok() {
            let name = fields.nth(3).unwrap_or("anonymous");
            pieces.push(Piece { place: format!("{} ({pid}) {name} {range}", program.trim()), bytes });
        }
    }
    pieces
}

/// How often `needle` stands in the memory of a process, and how much of that memory could be read.
pub fn count(pid: u32, needle: &[u8]) -> (usize, usize) {
    let pieces = of(pid);
    let found = pieces.iter().map(|piece| memchr::memmem::find_iter(&piece.bytes, needle).count());
    (found.sum(), pieces.iter().map(|piece| piece.bytes.len()).sum())
}

/// Where `needle` stands in the memory of a process.
pub fn places(pid: u32, needle: &[u8]) -> Vec<String> {
    let found = of(pid).into_iter().filter(|piece| memchr::memmem::find(&piece.bytes, needle).is_some());
    found.map(|piece| piece.place).collect()
}
