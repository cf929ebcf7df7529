//! Writes a recording while the session runs.
//!
//! Order of one flush: lines → zstd (flushed) → padding → seal under a key that is then gone → frame → digest. Nothing is
//! ever changed, and nothing written twice that is durable. A failed write loses nothing: what was encoded waits in memory, in
//! order, until [`Writer::settle`] gets it out and knows it durable; what a disk took and could not keep is written again. Refuses to know paths, clocks or threads: the sink, the time and the moments to act
//! come from the caller.

mod chunks;
mod pace;
mod sink;

use super::cert::{self, Statement};
use super::check::{self, Digests};
use super::error::Error;
use super::filter;
use super::fit::{LeftOut, Room};
use super::frame::{self, Kind};
use super::header::{Header, Meta};
use super::index::{Entry, GivenUp, Packed, Tally};
use super::keys::{Chain, SessionKeys, next_segment};
use super::limits;
use super::opening::{self, Opening};
use super::slots::{self, Slot};
use crate::cast::{Anchor, Command, Event, Exec, Header as CastHeader, Payload, line};
use crate::crypto::chain::Key;
use crate::crypto::digest::{hex, sha256};
use crate::sys::deflate::{Deflate, Directive};
use ed25519_dalek::SigningKey;
use std::time::Duration;

use pace::Pace;
pub use sink::Sink;

/// Most that a compressor takes before it gives something out, bytes: the largest block of zstd.
const BLOCK: u64 = 128 << 10;

/// What a recording says of itself, and to whom it is sealed.
pub struct Setup {
    /// Public header; session id, commitments and algorithm names are filled in by the writer.
    pub header: Header,
    /// Sealed metadata.
    pub meta: Meta,
    /// Header of the cast inside.
    pub cast: CastHeader,
    /// The wrapped keys.
    pub slots: Vec<Slot>,
    /// Head of the store's ledger; empty when there is none.
    pub ledger: String,
}

#[cfg(test)]
impl Setup {
    /// Of a session in a terminal of which nothing else is known, which nobody can open but with its root.
    pub(crate) fn plain() -> Self {
        Self {
            header: Header::default(),
            meta: Meta { cols: 80, rows: 24, ..Meta::default() },
            cast: CastHeader::new(80, 24),
            slots: vec![Slot { kind: slots::SlotKind::Root, age: b"wrapped".to_vec() }],
            ledger: String::new(),
        }
    }
}

/// What the index of a segment holds beside what is counted.
#[derive(Debug, Default)]
pub struct Extras {
    /// Commands that ended in the segment.
    pub commands: Vec<Command>,
    /// Executed programs that belong to no command.
    pub execs: Vec<Exec>,
    /// Commands that have not ended, with their programs so far.
    pub running: Vec<Command>,
    /// What of them is missing here.
    pub running_left_out: LeftOut,
    /// Filter over what the segment showed; empty when it was not made.
    pub filter: Vec<u8>,
    /// Why something of this is missing, if it is.
    pub given_up: Option<GivenUp>,
    /// Commands and programs that were seen and are missing here.
    pub left_out: LeftOut,
}

/// What a closed recording came to.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Bytes written.
    pub length: u64,
    /// Digest over all segments, as the last checkpoint signed it.
    pub digest: [u8; 32],
    /// Number of segments.
    pub segments: usize,
}

/// A recording being written.
pub struct Writer<S: Sink> {
    sink: S,
    file: [u8; 32],
    seq: u32,
    /// Encoded, and not yet durable.
    out: Vec<u8>,
    /// How much of that is written.
    written: usize,
    /// Making it durable has failed: the system may have dropped any of it, and will not say so again.
    doubted: bool,
    /// How the sink was found not to be as it was left, until somebody asks.
    touched: Option<String>,
    /// Length of the file once `out` is written.
    offset: u64,
    /// Bytes of output and input that were taken; of them, those that are certainly in sealed chunks; and in durable ones.
    taken: u64,
    sealed: u64,
    durable: u64,

    // The keys of what comes next, and no others. Each in an allocation of its own: a writer is moved about.
    /// The place of the next segment in the content chain. That of the segment in hand would open all of it.
    next_content: Key,
    chunks: Chain,
    index: Chain,
    signing: Box<SigningKey>,
    epoch: u32,
    digests: Digests,
    /// Since when what was captured is sealed and not yet signed.
    unsigned_since: Option<Duration>,
    /// When was last flushed.
    flushed: Duration,

    deflate: Deflate,
    pace: Pace,
    encoder: line::Encoder,
    lines: Vec<u8>,
    /// Compressed and not yet sealed.
    packed: Vec<u8>,
    /// The compressor holds text that it has not given out.
    holds: bool,
    /// Raw bytes in `lines`.
    buffered: usize,

    segment: u32,
    /// The segment in hand, once it has begun.
    open: Option<Segment>,
    /// First lines of the next segment.
    preface: Option<String>,
    /// Bytes of INDEX chunks so far, and of the last one.
    indexed: u64,
    entry_length: u32,
    /// What the index entries come to once they are unpacked; see [`limits::UNPACKED`].
    unpacked: u64,
    table: Vec<u8>,
    segment_offset: u64,
    /// Set once the end has been encoded: only writing is left.
    closed: Option<Closed>,
}

struct Segment {
    tally: Tally,
    begun: Duration,
    last: Duration,
    /// Its SEG chunk's offset, once written.
    offset: Option<u64>,
    /// Raw output up to the last keyframe asked for.
    framed: u64,
}

impl<S: Sink> Writer<S> {
    /// Writes and syncs everything that stands before the first segment. `sign` gets the text of the statement and
    /// gives back an armored SSH signature in the namespace [`cert::NAMESPACE`].
    ///
    /// # Errors
    /// Randomness, the signature, or the sink; [`Error::TooMuch`], when a reader would not take it.
    pub fn create(
        sink: S,
        keys: SessionKeys,
        setup: Setup,
        sign: impl FnOnce(&str) -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<Self, Error> {
        let Setup { mut header, meta, cast, slots, ledger } = setup;
        keys.commit(&mut header);
        header.cipher = "chacha20poly1305".to_owned();
        header.compression = "zstd".to_owned();
        let header_json = serde_json::to_vec(&header).map_err(Error::Json)?;
        if header_json.len() > limits::HEADER {
            return Err(Error::TooMuch("the public header"));
        }
        if slots.len() > limits::SLOTS {
            return Err(Error::TooMuch("the list of recipients"));
        }
        let content = keys.content();
        let mut writer = Self {
            sink,
            file: [0; 32],
            seq: 0,
            out: frame::prologue().to_vec(),
            offset: frame::PROLOGUE_LEN as u64,
            written: 0,
            doubted: false,
            touched: None,
            chunks: Chain::of_segment(&content),
            next_content: next_segment(&content),
            index: Chain::new(keys.index()),
            signing: check::fresh_key()?,
            epoch: 0,
            digests: Digests::new(),
            taken: 0,
            sealed: 0,
            durable: 0,
            unsigned_since: None,
            flushed: Duration::ZERO,
            deflate: Deflate::new(
                limits::CALM,
                &[limits::FLOOD, limits::FLOOD_LIGHT, limits::FLOOD_NUMBERED],
            )
            .ok_or_else(|| Error::Compression("the workspace could not be made".to_owned()))?,
            pace: Pace::new(),
            encoder: line::Encoder::default(),
            lines: Vec::new(),
            packed: Vec::new(),
            holds: false,
            buffered: 0,
            segment: 0,
            open: None,
            preface: None,
            indexed: 0,
            entry_length: 0,
            unpacked: 0,
            table: Vec::new(),
            segment_offset: frame::PROLOGUE_LEN as u64,
            closed: None,
        };
        drop((keys, content));
        let place = writer.chunk(Kind::Header, 0, &header_json)?;
        let header_chunk = writer.out.get(place).unwrap_or_default().to_vec();
        writer.file = sha256(&[&frame::prologue(), &header_chunk]);
        let place = writer.chunk(Kind::Keys, 0, &slots::encode(&slots))?;
        let keys_chunk = writer.out.get(place).unwrap_or_default();
        let first = writer.signing.verifying_key().to_bytes();
        let statement = Statement {
            host: header.host.clone(),
            session: header.session.clone(),
            header: sha256(&[&header_chunk]),
            keys: sha256(&[keys_chunk]),
            first,
            ledger,
        }
        .text();
        let signature = sign(&statement).map_err(Error::Signing)?;
        writer.chunk(Kind::Cert, 0, &cert::encode(&statement, &signature))?;
        let mut cast_line = serde_json::to_string(&cast).map_err(Error::Json)?;
        cast_line.push('\n');
        writer.preface = Some(cast_line);
        let opening = opening::encode(&Opening { meta, cast, first_checkpoint: Some(hex(&first)) })?;
        writer.index_chunk(opening.ok_or(Error::TooMuch("what it says of its session"))?)?;
        writer.settle()?;
        Ok(writer)
    }

    /// Takes an event. Compresses by itself when [`limits::FLUSH_BYTES`] have come together, and seals and writes at
    /// [`limits::CHUNK_BYTES`].
    ///
    /// The first event of a segment must be a [`Payload::Anchor`]; see [`Writer::begin`].
    ///
    /// # Errors
    /// As [`Writer::settle`]; the event has been taken all the same.
    pub fn push(&mut self, event: &Event) -> Result<(), Error> {
        let (shown, raw) = match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => {
                (bytes.len(), bytes.len())
            }
            Payload::Keyframe(text) => (0, text.len()),
            _ => (0, 0),
        };
        let encoder = &mut self.encoder;
        encoder.encode(event, &mut self.lines);
        let now = encoder.now();
        let segment = self.open.get_or_insert_with(|| Segment {
            tally: Tally::default(),
            begun: event.time,
            last: event.time,
            offset: None,
            framed: 0,
        });
        segment.tally.count(now, &event.payload);
        if !matches!(event.payload, Payload::Anchor(_) | Payload::Keyframe(_)) {
            segment.last = event.time;
        }
        self.taken = self.taken.saturating_add(shown as u64);
        self.pace.came(event.time, shown);
        self.buffered = self.buffered.saturating_add(raw);
        if self.buffered >= limits::FLUSH_BYTES || self.lines.len() >= limits::FLUSH_BYTES.saturating_mul(4) {
            self.pack(Directive::Continue)?;
            if self.packed.len() >= limits::CHUNK_BYTES {
                self.seal(event.time)?;
                // A block at most is still with the compressor.
                self.sealed = self.sealed.max(self.taken.saturating_sub(BLOCK));
                self.drain()?;
            }
        }
        Ok(())
    }

    /// Whether there should be a keyframe now, inside the segment in hand: tells so once.
    pub fn keyframe_due(&mut self) -> bool {
        let Some(segment) = &mut self.open else { return false };
        let due = segment.tally.raw.saturating_sub(segment.framed) >= limits::KEYFRAME_BYTES;
        if due {
            segment.framed = segment.tally.raw;
        }
        due
    }

    /// Begins a segment: both clocks, and the screen if there is one to restore. Does nothing inside a segment.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn begin(&mut self, mut anchor: Anchor, keyframe: Option<String>) -> Result<(), Error> {
        if self.open.is_some() {
            return Ok(());
        }
        // A segment is read on its own from its anchor: the two ways to its times must agree.
        anchor.at = anchor.at.max(self.encoder.now());
        if let Some(preface) = self.preface.take() {
            self.lines.extend_from_slice(preface.as_bytes());
        }
        let time = Duration::from_millis(anchor.at);
        self.push(&Event::new(time, Payload::Anchor(anchor)))?;
        match keyframe {
            Some(screen) => self.push(&Event::new(time, Payload::Keyframe(screen))),
            None => Ok(()),
        }
    }

    /// Whether a segment has begun.
    pub fn in_segment(&self) -> bool {
        self.open.is_some()
    }

    /// Seals what has been taken, writes it, and makes it durable. It is signed as well where something captured would
    /// otherwise wait for its signature longer than [`limits::CHECK_EVERY`]. The next flush is taken to come as long after
    /// this one as this one came after the last: with a flush every 4 s, what was captured at 0 s is signed at 8 s, since
    /// 12 s would be too late.
    ///
    /// # Errors
    /// As [`Writer::settle`].
    pub fn flush(&mut self, now: Duration) -> Result<(), Error> {
        if !self.lines.is_empty() || self.holds {
            self.pack(Directive::Flush)?;
        }
        if !self.packed.is_empty() {
            self.seal(now)?;
        }
        self.sealed = self.taken;
        let next = now.saturating_add(now.saturating_sub(self.flushed));
        self.flushed = now;
        if self.unsigned_since.is_some_and(|since| next.saturating_sub(since) > limits::CHECK_EVERY) {
            self.checkpoint(0)?;
        }
        self.settle()
    }

    /// Whether a segment is in hand that may end before the recording does. The last that a file can have
    /// ([`limits::SEGMENTS`]: after two terabytes of output) stays open to the end: a reader would refuse one more.
    pub fn may_end_segment(&self) -> bool {
        self.open.is_some() && (self.segment as usize).saturating_add(1) < limits::SEGMENTS
    }

    /// Whether the segment in hand should end now (see [`limits`]), and may.
    pub fn segment_due(&self, now: Duration) -> bool {
        let Some(segment) = self.open.as_ref().filter(|_| self.may_end_segment()) else { return false };
        let raw = segment.tally.raw.saturating_add(segment.tally.input);
        let age = now.saturating_sub(segment.begun);
        let idle = now.saturating_sub(segment.last);
        raw >= limits::SEGMENT_BYTES
            || (age >= limits::SEGMENT_LONG && raw >= limits::SEGMENT_LONG_BYTES)
            || (idle >= limits::SEGMENT_IDLE && raw >= limits::SEGMENT_IDLE_BYTES)
            || (age >= limits::SEGMENT_ANY && raw > 0)
    }

    /// Ends the segment in hand: its last bytes, its index entry, its checkpoint. The compression window and the keys of
    /// the segment are wiped. Does nothing outside a segment.
    ///
    /// # Errors
    /// As [`Writer::settle`].
    pub fn end_segment(&mut self, now: Duration, extras: Extras) -> Result<(), Error> {
        self.finish_segment(now, extras, frame::CLOSES)?;
        self.drain()
    }

    fn finish_segment(&mut self, now: Duration, extras: Extras, flags: u8) -> Result<(), Error> {
        if self.open.is_none() {
            if flags & frame::FINAL != 0 {
                self.checkpoint(frame::FINAL)?;
            }
            return Ok(());
        }
        self.pack(Directive::End)?;
        self.end_pace()?;
        self.seal(now)?;
        self.sealed = self.taken;
        let Some(segment) = self.open.take() else { return Ok(()) };
        let mut entry = Entry {
            segment: self.segment,
            offset: segment.offset.unwrap_or(self.offset),
            tally: segment.tally.finish(),
            commands: extras.commands,
            execs: extras.execs,
            running: extras.running,
            running_left_out: extras.running_left_out,
            given_up: extras.given_up,
            left_out: extras.left_out,
            filter: extras.filter,
        };
        let stored = self.offset.saturating_sub(entry.offset);
        let past = |index, unpacked| self.indexed > index || self.unpacked > unpacked;
        let mut packed = entry.fit(if past(limits::NOTICES_FULL, limits::NOTICES_FULL) {
            Room::Counts
        } else if past(limits::INDEX_FULL, limits::UNPACKED_FULL) {
            Room::Notices
        } else {
            Room::All
        })?;
        // What the disk has no room for waits in memory, and the end of the recording behind it.
        for less in [Room::Notices, Room::Counts] {
            let more = packed.plain.len().saturating_add(self.waiting()).saturating_add(self.table.len());
            if packed.plain.len() <= limits::ENTRY_SMALL
                || self.sink.has_room(more.saturating_add(limits::ENTRY_SMALL) as u64)
            {
                break;
            }
            packed = entry.fit(less)?;
        }
        let Packed { mut plain, unpacked } = packed;
        self.unpacked = self.unpacked.saturating_add(unpacked);
        // What is not the filter of the entry weighs as well.
        let filter = plain.split_off(plain.len().saturating_sub(entry.filter.len()));
        plain.extend_from_slice(&filter::fitted(filter, entry.tally.raw, stored, plain.len() as u64));
        self.index_chunk(plain)?;
        self.checkpoint(flags)?;
        self.segment = self.segment.saturating_add(1);
        self.chunks = Chain::of_segment(&self.next_content);
        self.next_content = next_segment(&self.next_content);
        Ok(())
    }

    /// Ends the recording: last segment, final checkpoint, table, trailer; synced.
    ///
    /// # Errors
    /// As [`Writer::settle`]; calling again goes on where it failed.
    pub fn finish(mut self, now: Duration, extras: Extras) -> Result<(Closed, S), (Error, Box<Self>)> {
        match self.close(now, extras) {
            Ok(closed) => Ok((closed, self.sink)),
            Err(error) => Err((error, Box::new(self))),
        }
    }

    fn close(&mut self, now: Duration, extras: Extras) -> Result<Closed, Error> {
        let closed = match self.closed.clone() {
            Some(closed) => closed,
            None => self.encode_end(now, extras)?,
        };
        self.closed = Some(closed.clone());
        self.settle()?;
        Ok(closed)
    }

    fn encode_end(&mut self, now: Duration, extras: Extras) -> Result<Closed, Error> {
        self.finish_segment(now, extras, frame::CLOSES | frame::FINAL)?;
        let check_len = (frame::FRAME_LEN as u64).saturating_add(check::LEN as u64);
        let check_at = self.offset.saturating_sub(check_len);
        let table_at = self.offset;
        let table = std::mem::take(&mut self.table);
        self.pieces(Kind::Table, &table)?;
        let mut trailer = Vec::new();
        for offset in [check_at, table_at] {
            trailer.extend_from_slice(&offset.to_le_bytes());
        }
        trailer.extend_from_slice(super::TRAILER_END);
        let digest = *self.digests.closed();
        self.chunk(Kind::Trailer, 0, &trailer)?;
        let segments = usize::try_from(self.segment).unwrap_or(usize::MAX);
        Ok(Closed { length: self.offset, digest, segments })
    }

    /// Length of the file, with what waits.
    pub fn length(&self) -> u64 {
        self.offset
    }

    /// Time of the last event taken, milliseconds since the start of the session.
    pub fn now(&self) -> u64 {
        self.encoder.now()
    }

    /// The sink, for example to give back space that was held in reserve.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// As if so many segments had been closed.
    #[cfg(test)]
    pub(super) fn pretend_closed(&mut self, segments: u32) {
        self.segment = segments;
    }

    /// As if the index entries so far came to so much.
    #[cfg(test)]
    pub(super) fn pretend_unpacked(&mut self, bytes: u64) {
        self.unpacked = bytes;
    }

    /// As if time had been there: what a recorder says that is not the one that wrote what stands before.
    #[cfg(test)]
    pub(super) fn pretend_time(&mut self, ms: u64) {
        self.encoder = line::Encoder::at(ms);
    }

    /// As if this were a line of the text.
    #[cfg(test)]
    pub(super) fn pretend_line(&mut self, line: &str) {
        self.lines.extend_from_slice(line.as_bytes());
    }

    #[cfg(test)]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    #[cfg(test)]
    pub(super) fn running_digest(&self) -> [u8; 32] {
        self.digests.segment()
    }

    #[cfg(test)]
    pub(super) fn file_id(&self) -> &[u8; 32] {
        &self.file
    }

    #[cfg(test)]
    pub(super) fn signing_key(&self) -> &SigningKey {
        &self.signing
    }
}
