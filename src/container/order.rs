//! The order in which chunks stand, for whoever follows them: a reader that passed over a chunk out of its place would pass over
//! what was there before it was changed.
//!
//! Refuses to say whether a chunk is authentic.

use super::check;
use super::error::Error;
use super::frame::{self, Frame, Kind};
use super::limits;
use std::ops::Range;

/// What is said of a SEG and of an INDEX chunk of which there are more than [`limits::SEGMENTS`] and [`limits::INDEX`].
pub(super) const SEGMENTS: &str = "more segments than the format allows";
/// See [`SEGMENTS`].
pub(super) const INDEX: &str = "a longer index than the format allows";

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Header,
    Keys,
    Cert,
    /// The sealed metadata.
    Opening,
    /// A segment begins, or a final checkpoint without one.
    Segment,
    /// More of the segment, its index entry, or a checkpoint.
    More,
    /// The checkpoint that closes the segment.
    Closing,
    Table,
    /// Another piece of the table, or the trailer: a piece as long as a body may be need not be the last.
    Rest,
    Trailer,
    Nothing,
}

impl Expect {
    /// What may come after a chunk with this frame, in a file of this minor version; `None` where it does not belong.
    ///
    /// A chunk of a type that this version does not know is passed over between segments only, and only in a file of a later version,
    /// which nobody without a key makes of an earlier one: sealed chunks are bound to the prologue. Inside a segment it could be
    /// one whose type was changed, where the text has come to the end of a frame.
    pub(super) fn after(self, frame: &Frame, minor: u16) -> Option<Self> {
        let Some(kind) = frame.kind else {
            return (minor > frame::MINOR && self == Self::Segment).then_some(self);
        };
        let (closes, last) = (frame.flags & frame::CLOSES != 0, frame.flags & frame::FINAL != 0);
        if kind == Kind::Check && frame.len as usize != check::LEN {
            return None;
        }
        Some(match (self, kind) {
            (Self::Header, Kind::Header) => Self::Keys,
            (Self::Keys, Kind::Keys) => Self::Cert,
            (Self::Cert, Kind::Cert) => Self::Opening,
            (Self::Opening, Kind::Index) => Self::Segment,
            (Self::Segment, Kind::Seg) | (Self::More, Kind::Data) => Self::More,
            (Self::More, Kind::Index) => Self::Closing,
            (Self::More, Kind::Check) if !closes && !last => Self::More,
            (Self::Segment, Kind::Check) if !closes && last => Self::Table,
            (Self::Closing, Kind::Check) if closes && last => Self::Table,
            (Self::Closing, Kind::Check) if closes => Self::Segment,
            (Self::Table | Self::Rest, Kind::Table) if frame.len == limits::BODY => Self::Rest,
            (Self::Table | Self::Rest, Kind::Table) => Self::Trailer,
            (Self::Rest | Self::Trailer, Kind::Trailer) => Self::Nothing,
            _ => return None,
        })
    }

    /// Whether the final checkpoint has been passed.
    pub(super) fn is_past_final(self) -> bool {
        matches!(self, Self::Table | Self::Rest | Self::Trailer | Self::Nothing)
    }

    /// What is said of a chunk that does not belong where it stands.
    pub(super) fn misplaced(frame: &Frame) -> String {
        match frame.kind {
            None => "a chunk of an unknown type where none may stand".to_owned(),
            Some(Kind::Check) if frame.len as usize != check::LEN => {
                "a checkpoint of the wrong length".to_owned()
            }
            Some(Kind::Check) => "a checkpoint does not belong here".to_owned(),
            Some(kind) => format!("a chunk of type {kind:?} does not belong here"),
        }
    }
}

/// A place among the chunks of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    expect: Expect,
    /// Number of the next chunk, where it is known.
    seq: Option<u32>,
    /// Minor version of the file.
    minor: u16,
}

/// Chunks that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    /// The place behind them.
    pub(super) order: Order,
    /// Their numbers.
    pub(super) chunks: Range<u32>,
    /// The beginning of the segment that goes on behind them is one.
    pub(super) segment: bool,
    /// The entry of the segment before them is one.
    pub(super) entry: bool,
}

impl Order {
    /// Before a chunk of number `seq`; `None`: whatever the first one says. In a file of this minor version.
    pub(super) fn new(expect: Expect, seq: Option<u32>, minor: u16) -> Self {
        Self { expect, seq, minor }
    }

    /// Another place in the same file.
    pub(super) fn elsewhere(self, expect: Expect, seq: Option<u32>) -> Self {
        Self { expect, seq, ..self }
    }

    /// What may come next.
    pub(super) fn expect(&self) -> Expect {
        self.expect
    }

    /// Whether segments stand here, or are to come.
    pub(super) fn is_among_segments(&self) -> bool {
        matches!(self.expect, Expect::Segment | Expect::More | Expect::Closing)
    }

    /// Whether a chunk with this frame has its place before this one.
    pub(super) fn is_behind(&self, frame: &Frame) -> bool {
        self.seq.is_some_and(|seq| frame.seq < seq)
    }

    /// Among the segments, before the chunk that belongs here, or before a later one: what lies between cannot be read. `None` where no such
    /// chunk can come later, or how many segments come before it could never be known.
    pub(super) fn skipped_to(&self, frame: &Frame) -> Option<Skipped> {
        let first = self.seq.filter(|_| self.is_among_segments())?;
        let count = frame.seq.checked_sub(first)?;
        let is_final = frame.flags & frame::FINAL != 0;
        if frame.kind.is_none() || is_final && count > 0 {
            return None;
        }
        let (mut expect, mut segment, mut entry) = (self.expect, false, false);
        for _ in 0..=count.min(Self::ROUND) {
            if expect.after(frame, self.minor).is_some() {
                let order = self.elsewhere(expect, Some(frame.seq));
                return Some(Skipped { order, chunks: first..frame.seq, segment, entry });
            }
            expect = match expect {
                Expect::More => Expect::Closing,
                Expect::Closing => Expect::Segment,
                _ => Expect::More,
            };
            entry |= expect == Expect::Closing;
            segment |= expect == Expect::More;
        }
        None
    }

    /// Chunks after which every one of a segment may come.
    const ROUND: u32 = 3;

    /// Passes a chunk that stands at `offset`.
    ///
    /// # Errors
    /// [`Error::Format`]: it does not belong here. Nothing is passed then.
    pub(super) fn pass(&mut self, frame: &Frame, offset: u64) -> Result<(), Error> {
        let fault = |what: String| Error::format(offset, frame.seq, what);
        if let Some(seq) = self.seq.filter(|seq| *seq != frame.seq) {
            return Err(fault(format!("chunk {} stands where chunk {seq} belongs", frame.seq)));
        }
        let expect = self.expect.after(frame, self.minor).ok_or_else(|| fault(Expect::misplaced(frame)))?;
        let seq = frame.seq.checked_add(1);
        let seq = seq.ok_or_else(|| fault("more chunks than the format allows".to_owned()))?;
        *self = Self { expect, seq: Some(seq), ..*self };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Option<Kind>, flags: u8, seq: u32) -> Frame {
        let len = if kind == Some(Kind::Check) { check::LEN as u32 } else { 64 };
        Frame { kind, flags, len, seq, crc: 0 }
    }

    #[test]
    fn chunks_pass_in_the_order_of_the_format_and_in_no_other() {
        let chunks = [
            (Some(Kind::Header), 0),
            (Some(Kind::Keys), 0),
            (Some(Kind::Cert), 0),
            (Some(Kind::Index), 0),
            (Some(Kind::Seg), 0),
            (Some(Kind::Data), 0),
            (Some(Kind::Check), 0),
            (Some(Kind::Index), 0),
            (Some(Kind::Check), frame::CLOSES),
            (None, 0),
            (Some(Kind::Check), frame::FINAL),
            (Some(Kind::Table), 0),
            (Some(Kind::Trailer), 0),
        ];
        let walk = |list: &[(Option<Kind>, u8)]| {
            let mut order = Order::new(Expect::Header, Some(0), frame::MINOR + 1);
            let passed = |(seq, (kind, flags)): (u32, &(Option<Kind>, u8))| {
                order.pass(&frame(*kind, *flags, seq), 0).is_ok()
            };
            (0..).zip(list).map(passed).take_while(|passed| *passed).count()
        };
        assert_eq!(walk(&chunks), chunks.len());
        for at in 0..chunks.len() {
            let mut without = chunks.to_vec();
            without.remove(at);
            // Of these a file may have any number, also none.
            let any = matches!(chunks[at], (None, _) | (Some(Kind::Data), _) | (Some(Kind::Check), 0));
            let passed = walk(&without);
            // After the last one nothing need follow.
            assert_eq!(passed == without.len(), any || at + 1 == chunks.len(), "without {at}: {passed}");
        }
    }

    #[test]
    fn a_chunk_with_another_number_and_a_checkpoint_of_another_length_do_not_pass() {
        let mut order = Order::new(Expect::Segment, None, frame::MINOR);
        order.pass(&frame(Some(Kind::Seg), 0, 9), 0).unwrap();
        assert!(order.pass(&frame(Some(Kind::Data), 0, 11), 0).is_err());
        assert!(order.pass(&frame(Some(Kind::Data), 0, 9), 0).is_err());
        let long = Frame { len: 101, ..frame(Some(Kind::Check), 0, 10) };
        assert!(order.pass(&long, 0).unwrap_err().to_string().contains("of the wrong length"));
        order.pass(&frame(Some(Kind::Check), 0, 10), 0).unwrap();
    }

    #[test]
    fn an_unknown_type_passes_between_segments_of_a_later_version_and_nowhere_else() {
        use Expect::{Cert, Closing, Header, Keys, More, Nothing, Opening, Rest, Segment, Table, Trailer};
        let all = [Header, Keys, Cert, Opening, Segment, More, Closing, Table, Rest, Trailer, Nothing];
        let passes =
            |minor| all.iter().filter(move |expect| expect.after(&frame(None, 0, 0), minor).is_some());
        assert_eq!(passes(frame::MINOR).count(), 0);
        assert_eq!(passes(frame::MINOR + 1).collect::<Vec<_>>(), [&Segment]);
    }

    #[test]
    fn a_table_goes_on_after_a_piece_as_long_as_a_body_may_be_and_after_no_other() {
        let piece = |len| Frame { len, ..frame(Some(Kind::Table), 0, 0) };
        let after = |expect: Expect, len| expect.after(&piece(len), frame::MINOR);
        assert_eq!(after(Expect::Table, limits::BODY), Some(Expect::Rest));
        assert_eq!(after(Expect::Rest, 0), Some(Expect::Trailer));
        assert_eq!(after(Expect::Trailer, 0), None);
        let trailer = frame(Some(Kind::Trailer), 0, 0);
        assert_eq!(Expect::Rest.after(&trailer, frame::MINOR), Some(Expect::Nothing));
        assert_eq!(Expect::Table.after(&trailer, frame::MINOR), None);
    }
}
