//! Reads events in order, from the start of a segment to wherever the file ends, and on when it has grown.

use super::chunk::Chunk;
use super::error::Error;
use super::frame::{self, Kind};
use super::index::Counted;
use super::keys::{Chain, next_segment};
use super::limits;
use super::order::{Expect, Order};
use super::reader::Reader;
use crate::cast::{Event, Payload, line, millis};
use crate::crypto::chain::Key;
use std::collections::VecDeque;
use std::io::{Read, Seek};
use std::time::Duration;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

/// How much is decompressed at a time: a small chunk can hold very much text.
const STEP: usize = 128 << 10;
/// The same as long as chunks hold less: most recordings are small.
const SMALL_STEP: usize = 16 << 10;

/// How far a segment may begin before the time that the one before it reached, milliseconds. A recorder never begins one before that,
/// whatever its clocks do: time would run backwards, and what was added later would pass for earlier.
const ROUNDING: u64 = 1;

/// What a fault took of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// Events, as far as anybody knows.
    #[default]
    Events,
    /// Its entry in the index, and nothing else.
    Entry,
    /// Nothing: as many events are there as its entry counts. It is not closed, or stands elsewhere than the entry says.
    Nothing,
}

/// A place in a recording. Holds what fits into 128 KiB of text, and one line.
pub struct Cursor {
    offset: u64,
    /// What may stand there.
    order: Order,
    content: Key,
    segment: usize,
    inside: Option<Inside>,
    ready: VecDeque<Event>,
    until: Option<usize>,
    /// Where the segment's first sealed chunk was.
    began: u64,
    /// The time that the segment before it reached, milliseconds; 0 where none was read.
    reached: u64,
    /// What stopped the decompression, until the events before it have been given out.
    fault: Option<Error>,
    /// What was met in the segment and took nothing of it, until all of it has been given out; and how often.
    met: Option<Error>,
    meetings: usize,
    /// The room that the segment before took.
    spare: Option<Room>,
}

/// What a segment is decompressed in: some megabytes, which are taken over by the next one.
struct Room {
    inflate: Decoder<'static>,
    buffer: Vec<u8>,
}

impl Room {
    fn new() -> Result<Self, Error> {
        let fail = |e: std::io::Error| Error::Compression(e.to_string());
        let mut inflate = Decoder::new().map_err(fail)?;
        inflate.set_parameter(DParameter::WindowLogMax(limits::WINDOW_LOG_MAX)).map_err(fail)?;
        Ok(Self { inflate, buffer: vec![0; SMALL_STEP] })
    }

    /// For another text. The parameters stay.
    fn again(mut self) -> Result<Self, Error> {
        self.inflate.reinit().map_err(|e| Error::Compression(e.to_string()))?;
        Ok(self)
    }
}

struct Inside {
    chunks: Chain,
    room: Room,
    decoder: line::Decoder,
    /// What has been opened and not yet decompressed, up to `taken`; and where it stood.
    packed: Vec<u8>,
    taken: usize,
    more: bool,
    /// The compressed text has come to its end.
    ended: bool,
    place: (u64, u32),
    rest: Vec<u8>,
    plain: u64,
    anchored: bool,
    /// The header of the cast may come: with the first line of the recording.
    may_head: bool,
    /// What the segment before reached, milliseconds.
    reached: u64,
    /// What its index entry must say of it. (Where it began, the cursor knows.)
    counted: Counted,
}

impl Cursor {
    /// At the start of `segment`, to the end of the recording. What stands before the first one and does not belong there is met, too.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NoSegment`].
    pub fn new<R: Read + Seek>(reader: &Reader<R>, segment: usize) -> Result<Self, Error> {
        let cursor = Self::at(reader, segment)?;
        let offset = reader.hole_before_all().filter(|_| segment == 0).unwrap_or(cursor.offset);
        Ok(Self { offset, ..cursor })
    }

    fn at<R: Read + Seek>(reader: &Reader<R>, segment: usize) -> Result<Self, Error> {
        let (offset, content) = reader.segment_start(segment)?;
        // By the table at the end the first segment begins with the file.
        let order = match offset == frame::PROLOGUE_LEN as u64 {
            true => reader.order().elsewhere(Expect::Header, Some(0)),
            false => reader.order().elsewhere(Expect::Segment, None),
        };
        Ok(Self {
            offset,
            order,
            content,
            segment,
            inside: None,
            ready: VecDeque::new(),
            until: None,
            began: offset,
            reached: 0,
            fault: None,
            met: None,
            meetings: 0,
            spare: None,
        })
    }

    /// At the start of `segment`, to its end.
    ///
    /// # Errors
    /// As [`Cursor::new`].
    pub fn of_segment<R: Read + Seek>(reader: &Reader<R>, segment: usize) -> Result<Self, Error> {
        Ok(Self { until: Some(segment.saturating_add(1)), ..Self::at(reader, segment)? })
    }

    /// Goes on after the end of a segment, to the end of the next one.
    pub(crate) fn go_on(&mut self) {
        self.until = Some(self.segment.saturating_add(1));
    }

    /// Goes to the start of the next segment, behind a place at which [`Cursor::next`] failed: each has its own key, so that what is
    /// read there is authentic and in its place whatever came before. `false` where none is known.
    pub(crate) fn pass_over<R: Read + Seek>(&mut self, reader: &Reader<R>) -> bool {
        let reached = self.inside.as_ref().map_or(0, |inside| inside.counted.end).max(self.reached);
        let next = Self::at(reader, reader.segment_behind(self.segment, self.offset));
        // Time does not run backwards over the hole either.
        next.map(|next| *self = Self { reached, ..next }).is_ok()
    }

    /// Number of the segment that is being read.
    pub fn segment(&self) -> usize {
        self.segment
    }

    /// Byte offset of the next chunk.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on until about `most` bytes of events wait to be given out, or the end is reached, or it is `stopped`. Then
    /// [`Cursor::segment`] may be ahead of the event that is given out next.
    ///
    /// # Errors
    /// As [`Cursor::next`]; what was read before is lost then.
    pub fn read_ahead<R: Read + Seek>(
        &mut self,
        reader: &mut Reader<R>,
        most: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let (mut read, mut bytes) = (VecDeque::new(), 0_usize);
        while bytes < most && !stopped() {
            let Some(event) = self.next(reader)? else { break };
            let length = match &event.payload {
                Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => bytes.len(),
                Payload::Keyframe(text) => text.len(),
                _ => 0,
            };
            bytes = bytes.saturating_add(length).saturating_add(size_of::<Event>());
            read.push_back(event);
        }
        read.append(&mut self.ready);
        self.ready = read;
        Ok(())
    }

    /// The next event. `None` at the end of what is there; after [`Reader::refresh`] there may be more.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`], [`Error::Format`], [`Error::Io`]: what follows cannot be read, or does not belong there. Everything
    /// before it has been given out, and also what follows in the segment, where nothing of that is missing.
    pub fn next<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<Option<Event>, Error> {
        match self.advance(reader) {
            Ok(Some(event)) => Ok(Some(event)),
            Err(error @ Error::Io { .. }) => Err(error),
            // The first that is wrong with a segment is what is told of it.
            other => self.met.take().map_or(other, Err),
        }
    }

    fn advance<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if let Some(inside) = self.inside.as_mut().filter(|inside| inside.more) {
                let (offset, chunk) = inside.place;
                if let Err(what) = inside.step(&mut self.ready) {
                    self.fault = Some(Error::format(offset, chunk, what));
                    inside.more = false;
                }
                continue;
            }
            if let Some(fault) = self.fault.take() {
                // Nothing after it can be read: the text before it is missing.
                self.until = Some(0);
                return Err(fault);
            }
            if let Some(until) = self.until.filter(|until| self.segment >= *until) {
                if until == 0 || self.segment < reader.segments() {
                    return Ok(None);
                }
                // Behind the last segment nobody else looks.
                return self.ends(reader.end_fault());
            }
            if self.order.expect().is_past_final() && self.segment >= reader.segments() && reader.has_end() {
                return Ok(None);
            }
            if self.inside.is_none() && reader.is_missing(self.segment) {
                return Err(Error::format(self.offset, None, "all of a segment is missing here"));
            }
            let chunk = match reader.chunk(self.offset) {
                Ok(Some(chunk)) => chunk,
                Err(error @ Error::Io { .. }) => return Err(error),
                // By the table, or by its frame alone, an entry stands here.
                Err(error) if reader.is_hole(&error) && !self.is_at_its_end() => {
                    let what = "the segment's text ends before its entry";
                    return Err(Error::format(self.offset, error.chunk(), what));
                }
                unread => match self.stops(reader, unread) {
                    Err(fault) if !reader.is_hole(&fault) => {
                        self.go_on_behind(reader, fault)?;
                        continue;
                    }
                    ends => return ends,
                },
            };
            let mut order = self.order;
            if let Err(fault) = order.pass(&chunk.frame, self.offset) {
                self.go_on_behind(reader, fault)?;
                continue;
            }
            let after = self.offset.saturating_add(chunk.frame.total());
            match chunk.frame.kind {
                Some(Kind::Seg | Kind::Data) => {
                    let inside = match self.inside.take() {
                        Some(inside) => self.inside.insert(inside),
                        None => {
                            let room = self.spare.take().map_or_else(Room::new, Room::again)?;
                            self.inside.insert(Inside::new(&self.content, room, self.segment, self.reached))
                        }
                    };
                    let key = inside.chunks.key();
                    let fault = Error::NotAuthentic { offset: self.offset, chunk: chunk.frame.seq };
                    if chunk.frame.kind == Some(Kind::Seg) {
                        self.began = self.offset;
                    }
                    inside.packed = chunk.open(&key, reader.file_id()).ok_or(fault)?;
                    (inside.taken, inside.more) = (0, true);
                    inside.place = (self.offset, chunk.frame.seq);
                }
                Some(Kind::Check) if chunk.frame.flags & frame::CLOSES != 0 => {
                    if self.inside.as_ref().is_some_and(|inside| !inside.ended || !inside.rest.is_empty()) {
                        let what = "the segment is closed in the middle of its text";
                        return Err(Error::format(self.offset, chunk.frame.seq, what));
                    }
                    let Some(sealed) = reader.counted(self.segment) else {
                        // Its entry was written after the reader looked last; or it cannot be read.
                        return self.ends(reader.fault());
                    };
                    let counted = self.inside.as_ref().map(|inside| inside.counted).unwrap_or_default();
                    if sealed != (Counted { offset: self.began, ..counted }) {
                        let number = self.segment;
                        let what = match sealed == (Counted { offset: sealed.offset, ..counted }) {
                            true => format!("segment {number} stands elsewhere than its index entry says"),
                            false => {
                                format!("the index entry of segment {number} does not match its content")
                            }
                        };
                        return Err(Error::format(self.offset, chunk.frame.seq, what));
                    }
                    if let Some(met) = self.met.take() {
                        return Err(met);
                    }
                    self.meetings = 0;
                    self.reached = counted.end;
                    self.content = next_segment(&self.content);
                    self.segment = self.segment.saturating_add(1);
                    self.spare = self.inside.take().map(|inside| inside.room);
                }
                Some(Kind::Table | Kind::Trailer) if self.segment < reader.segments() => {
                    let what = "the recording ends before its last segment";
                    return Err(Error::format(self.offset, chunk.frame.seq, what));
                }
                Some(Kind::Table | Kind::Trailer) => {
                    self.until = Some(0);
                    return self.ends(reader.end_fault());
                }
                _ => {}
            }
            (self.offset, self.order) = (after, order);
        }
    }

    /// Goes on in the segment behind what is wrong here, where nothing of the text was there: the next chunk of it opens with its key, or
    /// what comes ends it, and its entry tells whether that is all.
    ///
    /// # Errors
    /// What is wrong, where it does not go on.
    fn go_on_behind<R: Read + Seek>(&mut self, reader: &mut Reader<R>, fault: Error) -> Result<(), Error> {
        /// Looking takes time, so not more often in a segment.
        const MOST: usize = 16;
        if self.inside.is_none() || matches!(fault, Error::Io { .. }) || self.offset >= reader.whole() {
            return Err(fault);
        }
        let mut at = self.offset;
        let (chunk, order) = loop {
            if self.meetings >= MOST {
                return Err(fault);
            }
            let chunk = match reader.whole_at_or_behind(at)? {
                Some((place, chunk)) if place < reader.whole() => {
                    // Each look behind what is no chunk, too.
                    self.meetings = self.meetings.saturating_add(usize::from(place != at));
                    at = place;
                    chunk
                }
                _ => return Err(fault),
            };
            if !self.order.is_behind(&chunk.frame) {
                match self.order.skipped_to(&chunk.frame) {
                    Some(skipped) if !skipped.segment && !skipped.entry => break (chunk, skipped.order),
                    _ => return Err(fault),
                }
            }
            at = at.saturating_add(chunk.frame.total());
        };
        let Some(inside) = self.inside.as_ref() else { return Err(fault) };
        let is_next = match chunk.frame.kind {
            Some(Kind::Data) => chunk.open(&inside.chunks.clone().key(), reader.file_id()).is_some(),
            Some(Kind::Index | Kind::Check) => true,
            _ => false,
        };
        if !is_next {
            return Err(fault);
        }
        self.met.get_or_insert(fault);
        self.meetings = self.meetings.saturating_add(1);
        (self.offset, self.order) = (at, order);
        Ok(())
    }

    /// Gives each event that is left to `each`.
    ///
    /// # Errors
    /// As [`Cursor::next`], where it stopped.
    pub(crate) fn read_on<R: Read + Seek>(
        &mut self,
        reader: &mut Reader<R>,
        mut each: impl FnMut(&Event),
    ) -> Result<(), Error> {
        while let Some(event) = self.next(reader)? {
            each(&event);
        }
        Ok(())
    }

    /// What an error at which [`Cursor::next`] ended took of the segment.
    pub(crate) fn lost<R: Read + Seek>(&self, reader: &Reader<R>, error: &Error) -> Lost {
        let inside = self.inside.as_ref().filter(|_| self.is_at_its_end());
        let is_all = |(inside, sealed): (&Inside, Counted)| {
            sealed == Counted { offset: sealed.offset, ..inside.counted }
        };
        match inside.zip(reader.counted(self.segment)).is_some_and(is_all) {
            _ if reader.is_hole(error) => Lost::Entry,
            true => Lost::Nothing,
            // Between two segments, both of which have their place.
            false if self.inside.is_none() && reader.is_before(self.segment, self.offset) => Lost::Nothing,
            false => Lost::Events,
        }
    }

    /// Whether the text of the segment has been read to its end.
    fn is_at_its_end(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.ended && inside.rest.is_empty())
    }

    /// No whole chunk stands here. Where there must be one, and where the file does not just end, that is an error: what is there
    /// and cannot be read must not look like the end.
    fn stops<R: Read + Seek>(
        &mut self,
        reader: &mut Reader<R>,
        unread: Result<Option<Chunk>, Error>,
    ) -> Result<Option<Event>, Error> {
        let goes_on = self.offset < reader.whole() || self.segment.saturating_add(1) < reader.segments();
        if reader.is_closed() || goes_on {
            let what = "the chunk reaches past the end, but the recording goes on";
            return Err(unread.err().unwrap_or_else(|| Error::format(self.offset, None, what)));
        }
        self.ends(reader.end_fault())
    }

    /// The end, unless something stands there. That is told once.
    fn ends(&mut self, fault: Option<Error>) -> Result<Option<Event>, Error> {
        match fault {
            None => Ok(None),
            Some(fault) => {
                self.until = Some(0);
                Err(fault)
            }
        }
    }
}

impl Inside {
    fn new(content: &Key, room: Room, segment: usize, reached: u64) -> Self {
        Self {
            chunks: Chain::of_segment(content),
            room,
            decoder: line::Decoder::default(),
            packed: Vec::new(),
            taken: 0,
            more: false,
            ended: false,
            place: (0, 0),
            rest: Vec::new(),
            plain: 0,
            anchored: false,
            may_head: segment == 0,
            reached,
            counted: Counted::default(),
        }
    }

    /// Decompresses the next piece of the chunk in hand.
    fn step(&mut self, ready: &mut VecDeque<Event>) -> Result<(), String> {
        let mut buffer = std::mem::take(&mut self.room.buffer);
        let left = self.packed.get(self.taken..).unwrap_or_default();
        let (mut input, mut output) = (InBuffer::around(left), OutBuffer::around(buffer.as_mut_slice()));
        let hint = self
            .room
            .inflate
            .run(&mut input, &mut output)
            .map_err(|e| format!("the sealed text does not decompress: {e}"))?;
        let (taken, produced) = (input.pos(), output.pos());
        if taken == 0 && produced == 0 && !left.is_empty() {
            return Err("bytes after the end of the sealed text".to_owned());
        }
        self.ended = hint == 0;
        self.taken = self.taken.saturating_add(taken);
        self.more = self.taken < self.packed.len() || (produced == buffer.len() && !self.ended);
        self.plain = self.plain.saturating_add(produced as u64);
        if self.plain > limits::SEGMENT_PLAIN {
            return Err(format!("a segment of more than {} bytes", limits::SEGMENT_PLAIN));
        }
        let read = self.lines(buffer.get(..produced).unwrap_or_default(), ready);
        if produced == buffer.len() && produced < STEP {
            buffer.clear();
            buffer.resize(STEP, 0);
        }
        self.room.buffer = buffer;
        read
    }

    fn lines(&mut self, mut text: &[u8], ready: &mut VecDeque<Event>) -> Result<(), String> {
        while let Some(end) = memchr::memchr(b'\n', text) {
            let (line, after) = text.split_at(end);
            text = after.get(1..).unwrap_or_default();
            if self.rest.is_empty() {
                self.line(line, ready)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(&whole, ready)?;
            }
        }
        self.rest.extend_from_slice(text);
        if self.rest.len() > line::MAX_LINE {
            return Err(format!("a line of more than {} bytes", line::MAX_LINE));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], ready: &mut VecDeque<Event>) -> Result<(), String> {
        // The header of the cast inside. Any other would be passed over in silence.
        let may_head = std::mem::take(&mut self.may_head);
        if line.trim_ascii_start().starts_with(b"{") {
            return if may_head { Ok(()) } else { Err("a second header of the cast".to_owned()) };
        }
        let Some(mut event) = self.decoder.decode(line).map_err(|e| e.to_string())? else { return Ok(()) };
        if !self.anchored {
            let Payload::Anchor(anchor) = &event.payload else {
                return Err("a segment without its clocks".to_owned());
            };
            // The first interval reaches back to the segment before; the anchor says where that leads.
            if anchor.at.saturating_add(ROUNDING) < self.reached {
                let (at, reached) = (anchor.at, self.reached);
                return Err(format!(
                    "the segment begins at {at} ms, before the {reached} ms of the one before it"
                ));
            }
            let at = Duration::from_millis(anchor.at);
            self.decoder = line::Decoder::at(at);
            event.time = at;
            self.anchored = true;
        }
        self.counted.count(millis(event.time), &event.payload);
        ready.push_back(event);
        Ok(())
    }
}
