//! How much of the streams is stored that are not the terminal.
//!
//! What is left out is counted, and said at the end. Refuses to keep a digest of input that is not to be stored: one of few bytes
//! tells what they were.

use super::capture::Stream;
use crate::cast::{Gap, Why};
use crate::crypto::digest::{self, Digest as _, Sha256};
use crate::policy::Input;

/// Counts what is stored, and what is not.
pub(super) struct Limit {
    /// So many bytes of each stream are stored.
    keep: Option<u64>,
    kept: [Kept; 3],
    /// Bytes of standard input that are not to be stored; `None` where they are.
    unwanted: Option<u64>,
}

/// How much of a stream was stored, and the digest of all of it.
#[derive(Default)]
struct Kept {
    stored: u64,
    left_out: u64,
    whole: Sha256,
}

impl Limit {
    pub(super) fn new(keep: Option<u64>, input: Input) -> Self {
        Self { keep, kept: Default::default(), unwanted: (input == Input::None).then_some(0) }
    }

    /// As much of `bytes` as may still be stored of this stream. Where there is a limit all of it goes into the digest,
    /// at once and at the speed of memory: what is left out is not handed to anybody who could do it later.
    pub(super) fn within<'b>(&mut self, stream: Stream, bytes: &'b [u8]) -> &'b [u8] {
        if let Some(unwanted) = self.unwanted.as_mut().filter(|_| stream == Stream::Input) {
            *unwanted = unwanted.saturating_add(bytes.len() as u64);
            return &[];
        }
        let (Some(keep), Some(kept)) = (self.keep, self.kept.get_mut(stream as usize)) else { return bytes };
        kept.whole.update(bytes);
        let room = usize::try_from(keep.saturating_sub(kept.stored)).unwrap_or(usize::MAX);
        let (stored, left_out) = bytes.split_at(room.min(bytes.len()));
        kept.stored = kept.stored.saturating_add(stored.len() as u64);
        kept.left_out = kept.left_out.saturating_add(left_out.len() as u64);
        stored
    }

    /// What was left out, once the session is over.
    pub(super) fn gaps(&mut self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (kept, of) in std::mem::take(&mut self.kept).into_iter().zip(["stdout", "stderr", "stdin"]) {
            if kept.left_out > 0 {
                let note = format!("only the first {} bytes of it are stored", kept.stored);
                let sha256 = digest::hex(&kept.whole.finalize());
                gaps.push(Gap { sha256, ..Gap::new(Why::Capped, of, kept.left_out, note) });
            }
        }
        if let Some(count) = self.unwanted.filter(|count| *count > 0) {
            gaps.push(Gap::new(Why::Unwanted, "stdin", count, "the configuration has no input stored"));
        }
        gaps
    }
}
