//! Opens a recording: from the end when it was closed, from the start when it was not, and again while it grows.
//!
//! Opening costs two reads at the end of a closed file and one for each segment, or one walk over the frames of an open or
//! torn one. Refuses to
//! decide whether a file is *authentic as a whole*: that is [`super::verify`]. What is read here is authenticated chunk by
//! chunk, with the keys of those who can open it.

mod index;
mod walk;

use super::cert::{self, Certificate};
use super::chunk::{Chunk, begin, first, read_chunk};
use super::end;
use super::error::Error;
use super::frame::{self, Kind};
use super::header::Header;
use super::index::{Counted, Entry};
use super::keys::{Chain, Unlocked};
use super::opening::Opening;
use super::order::{Expect, Order};
use super::slots::{self, Slot};
use super::tear::no_tear;
use crate::crypto::chain::Key;
use crate::crypto::digest::sha256;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

pub use index::Wanted;
use index::{Broken, HOLES};
use walk::{Gap, Walk};

/// A recording, open for reading. What grows with the recording, or with what is said of it, is shared with the readers
/// [beside](Reader::beside) it.
pub struct Reader<R> {
    source: R,
    length: u64,
    front: Arc<Front>,
    /// Where each segment's bytes begin (its first chunk is a few chunks on for the first).
    segments: Arc<Vec<u64>>,
    /// INDEX chunks in order that have not been opened; see [`held`].
    index_chunks: Vec<(u64, Option<Vec<u8>>)>,
    /// Where the first of them stands.
    opening_at: u64,
    closed: bool,
    walk: Walk,
    /// Where it met what is missing, those behind which no entry has opened yet.
    gaps: Vec<Gap>,
    keys: Option<Unlocked>,
    index_chain: Option<Chain>,
    opening: Option<Arc<Opening>>,
    entries: Vec<Entry>,
    /// What they say that a cursor counts.
    counted: Arc<Vec<Option<Counted>>>,
    wanted: Option<Wanted>,
    /// No entry was read without its commands.
    whole: bool,
    /// What the entries came to; see [`limits::UNPACKED`].
    unpacked: u64,
    /// The index entry at which it ends because it does not open, nor one after it.
    broken: Option<Broken>,
    /// Those that do not open while a later one does.
    holes: Vec<Broken>,
    /// The content of such a segment does not come to its end.
    lacks_content: bool,
    /// Those after which none has opened yet.
    unsure: Vec<Broken>,
    /// How many are missing behind the last that is known.
    missing: usize,
    /// Bytes of entries that were tried with later keys.
    tried: usize,
    /// Where the first are missing.
    lacking: Option<Broken>,
    /// The certificate is not the one that the sealed metadata belong to: what is signed says nothing of where the recording ends.
    signed_anew: bool,
}

/// What a recording begins with.
struct Front {
    file: [u8; 32],
    header: Header,
    slots: Vec<Slot>,
    /// Where those stand.
    slots_at: u64,
    certificate: Certificate,
    /// Where that stands.
    certificate_at: u64,
    /// The minor version is one that we do not know.
    is_later: bool,
}

/// Number of the chunk with the wrapped keys.
const KEYS: u32 = 1;
/// Number of the chunk with the certificate.
const CERTIFICATE: u32 = 2;

impl<R: Read + Seek> Reader<R> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`Error::NotARecording`], [`Error::Version`], [`Error::Truncated`], [`Error::Format`] where the beginning is not
    /// what every recording begins with. A damaged end is not an error: what is whole is read.
    pub fn open(mut source: R) -> Result<Self, Error> {
        let (length, prologue) = begin(&mut source)?;
        let mut offset = frame::PROLOGUE_LEN as u64;
        let mut next = |kind: Kind, seq: u32, what: &'static str| {
            let chunk = first(&mut source, offset, length, (kind, seq, what))?;
            let at = offset;
            offset = offset.saturating_add(chunk.frame.total());
            Ok::<_, Error>((at, chunk))
        };
        let (at, head) = next(Kind::Header, 0, "header")?;
        let header = Header::parse(head.body(), at)?;
        let (at, keys) = next(Kind::Keys, KEYS, "key slots")?;
        let (slots, slots_at) = (slots::parse(keys.body(), at)?, at);
        let (at, cert) = next(Kind::Cert, CERTIFICATE, "certificate")?;
        let (certificate, certificate_at) = (cert::parse(cert.body(), at)?, at);
        let file = sha256(&[&prologue, &head.bytes]);
        let is_later = frame::minor(&prologue) > frame::MINOR;
        let mut reader = Self {
            source,
            length,
            front: Arc::new(Front { file, header, slots, slots_at, certificate, certificate_at, is_later }),
            segments: Arc::default(),
            index_chunks: Vec::new(),
            opening_at: offset,
            closed: false,
            walk: Walk {
                offset,
                order: Order::new(Expect::Opening, Some(3), frame::minor(&prologue)),
                index: 0,
                complete: false,
                passes_over: false,
                lost: 0,
                moved: None,
                passed: None,
            },
            gaps: Vec::new(),
            keys: None,
            index_chain: None,
            opening: None,
            entries: Vec::new(),
            counted: Arc::default(),
            wanted: None,
            whole: true,
            unpacked: 0,
            broken: None,
            holes: Vec::new(),
            lacks_content: false,
            unsure: Vec::new(),
            missing: 0,
            tried: 0,
            lacking: None,
            signed_anew: false,
        };
        let begins = reader.walk;
        if !reader.open_from_end(0)? {
            reader.follow()?;
            // Where its end knows of more than a walk comes to, what is damaged between them is passed over.
            let stopped = !reader.walk.order.expect().is_past_final();
            match stopped && reader.open_from_end(HOLES)? {
                true => reader.walk = begins,
                false => {
                    reader.walk.passes_over = true;
                    reader.follow()?;
                    reader.look_for_final()?;
                }
            }
        }
        Ok(reader)
    }

    /// The public header.
    pub fn header(&self) -> &Header {
        &self.front.header
    }

    /// The wrapped keys.
    pub fn slots(&self) -> &[Slot] {
        &self.front.slots
    }

    /// That no slot opens with the key of `recipient`, whom the header lists.
    pub(crate) fn shuts_out(&self, recipient: &str) -> Error {
        let what = format!(
            "the header says that it is sealed to {}, and none of the key slots opens with that key: header or slots are not what the \
             recorder wrote",
            crate::text::escaped(recipient)
        );
        Error::format(self.front.slots_at, KEYS, what)
    }

    /// That the key of a longer period is there and opens no slot, which is what it is there for.
    pub(crate) fn period_opens_nothing(&self) -> Error {
        let what = "the key of its period opens, and none of the key slots opens with what is in it: they are not what the recorder wrote";
        Error::format(self.front.slots_at, KEYS, what)
    }

    /// Whether it is of a later minor version than we know, or says so: what is sealed is bound to that.
    pub(crate) fn is_of_later_version(&self) -> bool {
        self.front.is_later
    }

    /// The host's statement and signature, not checked here.
    pub fn certificate(&self) -> &Certificate {
        &self.front.certificate
    }

    /// Whether the recording was closed: it has its final parts where they belong. With a key, also that they go with the sealed
    /// metadata: otherwise they were made by somebody else.
    pub fn is_closed(&self) -> bool {
        self.closed && !self.signed_anew
    }

    /// Whether all has its place in the index: [it has its end](Reader::has_end), and every entry can be read. While it is recorded, and
    /// where the recorder was killed, the last segment has no entry, and a command that has not ended is in none.
    pub fn is_complete(&self) -> bool {
        self.has_end() && self.holes.is_empty()
    }

    /// Whether it ends where the session did. Where the end is not that of a closed recording, this is so only for a final checkpoint
    /// with a good signature.
    pub fn has_end(&self) -> bool {
        (self.closed || self.walk.complete) && !self.signed_anew
    }

    /// Length of the file when it was opened or last refreshed, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes up to which chunks were found that belong where they stand.
    pub fn whole(&self) -> u64 {
        if self.closed { self.length } else { self.walk.offset }
    }

    /// Number of segments, the one being written included.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether the content can be read, not only the index.
    pub fn can_read_content(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.content.is_some())
    }

    /// The sealed metadata.
    ///
    /// # Errors
    /// [`Error::Locked`] without a key; [`Error::Truncated`] when the file ends before it.
    pub fn opening(&self) -> Result<&Opening, Error> {
        if self.keys.is_none() {
            return Err(Error::Locked);
        }
        self.opening.as_deref().ok_or(Error::Truncated { length: self.length, what: "sealed metadata" })
    }

    /// Takes in what has been appended since. Gives whether anything was.
    ///
    /// # Errors
    /// Reading failed, or the file became shorter.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let length =
            self.source.seek(SeekFrom::End(0)).map_err(Error::io("find the end of the recording"))?;
        if length < self.length {
            let what = format!("the file became shorter while it was read ({} bytes before)", self.length);
            return Err(Error::format(length, None, what));
        }
        let before = self.walk.offset;
        self.length = length;
        if !self.closed {
            self.follow()?;
            self.read_index().or_else(|error| self.end_at(&error).ok_or(error))?;
            self.recount()?;
            if self.walk.offset != before {
                self.closed = self.walk.ended() && self.fits_its_end()?;
                self.look_for_final()?;
            }
        }
        Ok(self.walk.offset != before)
    }

    /// What it reads from.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// A reader of the same recording, as far as it is known now, that reads the same bytes from another `source`. It opens what
    /// this one opens, but the index entries do not come along.
    pub fn beside<S: Read + Seek>(&self, source: S) -> Reader<S> {
        Reader {
            source,
            length: self.length,
            front: Arc::clone(&self.front),
            segments: Arc::clone(&self.segments),
            index_chunks: Vec::new(),
            opening_at: self.opening_at,
            closed: self.closed,
            walk: self.walk,
            gaps: Vec::new(),
            keys: self.keys.clone(),
            index_chain: None,
            opening: self.opening.clone(),
            entries: Vec::new(),
            counted: Arc::clone(&self.counted),
            wanted: None,
            whole: false,
            unpacked: self.unpacked,
            broken: self.broken.clone(),
            holes: self.holes.clone(),
            lacks_content: self.lacks_content,
            unsure: Vec::new(),
            missing: 0,
            tried: 0,
            lacking: self.lacking.clone(),
            signed_anew: self.signed_anew,
        }
    }

    /// The source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// As if the index entries so far had come to so much.
    #[cfg(test)]
    pub(super) fn pretend_unpacked(&mut self, bytes: u64) {
        self.unpacked = bytes;
    }

    #[cfg(test)]
    pub(super) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// By the table at the end. `false` when the end is not that of a closed recording, but for so many index entries.
    fn open_from_end(&mut self, most: usize) -> Result<bool, Error> {
        let found = end::read(&mut self.source, self.opening_at, self.length, most)?;
        let Some(indexed) = found else { return Ok(false) };
        for at in indexed.damaged {
            let unread = self.read_index_chunk(at).err();
            self.holes.extend(unread.as_ref().and_then(Broken::of));
        }
        (self.segments, self.index_chunks, self.closed) = (Arc::new(indexed.segments), indexed.chunks, true);
        Ok(true)
    }

    /// Whether the end that a walk has come to is that of a closed recording.
    fn fits_its_end(&mut self) -> Result<bool, Error> {
        let found = end::read(&mut self.source, self.opening_at, self.length, 0)?;
        Ok(found.is_some_and(|indexed| indexed.segments.len() == self.segments.len()))
    }

    /// Whether the table has the entries that a walk has found, as far as it came, and whether it has no more.
    fn is_as_walked(&mut self) -> Result<(bool, bool), Error> {
        let found = end::read(&mut self.source, self.opening_at, self.length, HOLES)?;
        let table = found.map(|indexed| indexed.chunks).unwrap_or_default();
        let (here, more) = (self.index_chunks.len(), table.len() > self.index_chunks.len());
        let places = table.iter().map(|(at, _)| at).take(here);
        let same = places.eq(self.index_chunks.iter().map(|(at, _)| at));
        Ok((same, same && !more))
    }

    /// Whether an error is that an index entry was met that cannot be read: the content of its segment has been read to its end, and there
    /// are more.
    pub(crate) fn is_hole(&self, error: &Error) -> bool {
        Broken::of(error).is_some_and(|broken| self.holes.contains(&broken))
    }

    /// Whether the content of a segment whose index entry cannot be read is known to be damaged, too: what was shown may be missing.
    pub fn lacks_content(&self) -> bool {
        self.lacks_content
    }

    /// Why an index entry cannot be read, the first of them; or [what is wrong with its end](Reader::end_fault).
    pub fn fault(&mut self) -> Option<Error> {
        self.index_fault().filter(|_| !self.signed_anew).or_else(|| self.end_fault())
    }

    /// Why the entry of a segment behind which others can be read cannot be read itself: the first that is damaged, or is missing.
    pub(crate) fn index_fault(&self) -> Option<Error> {
        self.holes.first().or(self.lacking.as_ref()).map(Broken::error)
    }

    /// Why what stands behind the last chunk that could be read cannot be read, or why its end is not to be believed; `None` where the
    /// file just ends there, as it does where the recorder was stopped or is at work, and where nothing is missing.
    pub(crate) fn end_fault(&mut self) -> Option<Error> {
        if self.has_end() {
            return None;
        }
        if self.signed_anew {
            let what = "the certificate announces another first checkpoint than the sealed metadata: it was made anew, and all signatures \
                        with it";
            return Some(Error::format(self.front.certificate_at, CERTIFICATE, what));
        }
        if let Some(broken) = &self.broken {
            return Some(broken.error());
        }
        let at = self.walk.offset;
        match self.chunk(at) {
            Ok(Some(chunk)) => {
                let mut order = self.walk.order;
                order.pass(&chunk.frame, at).err()
            }
            Err(error @ Error::Io { .. }) => Some(error),
            unread => match no_tear(&mut self.source, at, self.length) {
                Ok(None) => None,
                Ok(Some(what)) => Some(unread.err().unwrap_or_else(|| Error::format(at, None, what))),
                Err(error) => Some(error),
            },
        }
    }

    /// [What is wrong](Reader::fault), or else why a segment cannot be read that was passed over on the way to the end.
    pub(crate) fn damage(&mut self) -> Option<Error> {
        self.fault().or_else(|| self.passed_over())
    }

    /// The chunk at `offset`; `None` when it is not whole.
    pub(crate) fn chunk(&mut self, offset: u64) -> Result<Option<Chunk>, Error> {
        let mut broken = self.broken.iter().chain(&self.holes);
        if let Some(broken) = broken.find(|broken| broken.offset == offset) {
            return Err(broken.error());
        }
        read_chunk(&mut self.source, offset, self.length)
    }

    /// What the index says that a cursor counts in this segment, and where it begins: behind what is missing, where it does; `None` where its entry is not known yet, or cannot be read.
    pub(super) fn counted(&self, segment: usize) -> Option<Counted> {
        let sealed = self.counted.get(segment).copied().flatten()?;
        let begins = self.segments.get(segment).copied().unwrap_or_default();
        match self.walk.moved {
            Some(moved) if moved <= begins && !self.closed => Some(Counted { offset: begins, ..sealed }),
            _ => Some(sealed),
        }
    }

    /// Start of the index chain, once the recording has been unlocked: it opens metadata and index, never the content.
    pub(crate) fn index_key(&self) -> Option<[u8; 32]> {
        self.keys.as_ref().map(|keys| *keys.index.bytes())
    }

    pub(crate) fn file_id(&self) -> &[u8; 32] {
        &self.front.file
    }

    /// The place of the walk, which knows the version of the file.
    pub(super) fn order(&self) -> Order {
        self.walk.order
    }

    /// Whether all of a segment is missing: the next one begins where it should.
    pub(super) fn is_missing(&self, segment: usize) -> bool {
        let place = |segment: usize| self.segments.get(segment);
        place(segment).is_some_and(|begins| place(segment.saturating_add(1)) == Some(begins))
    }

    /// Where what is passed over begins that stands before the first segment.
    pub(super) fn hole_before_all(&self) -> Option<u64> {
        self.walk.moved.filter(|moved| !self.closed && self.is_before(0, *moved))
    }

    /// Whether a place lies before this segment.
    pub(super) fn is_before(&self, segment: usize, offset: u64) -> bool {
        self.segments.get(segment).is_some_and(|begins| offset < *begins)
    }

    /// The segment behind a place before this one, or in it, that cannot be read. It may be missing itself, which is an error of its own.
    pub(super) fn segment_behind(&self, segment: usize, offset: u64) -> usize {
        if self.is_before(segment, offset) { segment } else { segment.saturating_add(1) }
    }

    /// Where the bytes of a segment begin, and its place in the content chain.
    pub(crate) fn segment_start(&self, segment: usize) -> Result<(u64, Key), Error> {
        let none = Error::NoSegment { segment, of: self.segments.len() };
        let offset = *self.segments.get(segment).ok_or(none)?;
        let keys = self.keys.as_ref().ok_or(Error::Locked)?;
        let content = keys.content.as_ref().and_then(|content| content.at(segment)).ok_or(Error::Locked)?;
        Ok((offset, content))
    }
}

impl Header {
    /// Reads the public header alone, from a prologue and one chunk: who asks nothing else does not open the recording, however
    /// long it is.
    ///
    /// # Errors
    /// As [`Reader::open`], of these two.
    pub fn peek<R: Read + Seek>(source: &mut R) -> Result<Self, Error> {
        let (length, _) = begin(source)?;
        let at = frame::PROLOGUE_LEN as u64;
        Self::parse(first(source, at, length, (Kind::Header, 0, "header"))?.body(), at)
    }
}
