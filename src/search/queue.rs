//! Who does what in a search: recordings are taken in their order, and segments of one that is being read are left to whoever
//! has nothing to do.
//!
//! Refuses to know what is looked for: it holds numbers, answers, and segments that are decoded ahead.

use super::engine::Answer;
use crate::container::{Cursor, Error, Reader};
use crate::sys::file::SharedFile;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Seek};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Text, in bytes, that a segment is decoded ahead to: somewhat more than one holds that was not made to hold more.
const AHEAD: usize = 4 << 20;

/// What is to be done, and what has been done.
pub(super) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
    recordings: usize,
    /// How many answers may wait for an earlier one.
    ahead: usize,
}

#[derive(Default)]
struct Line {
    /// The next recording to look at.
    next: usize,
    told: usize,
    workers: usize,
    /// Recordings that are being looked at.
    looking: usize,
    answers: BTreeMap<usize, Answer>,
    segments: BTreeMap<u64, Stage>,
    ticket: u64,
}

/// How far a segment is that was left to others.
enum Stage {
    Waiting(Box<Segment>),
    /// Somebody decodes it; and whether it is wanted now, as far as it has come.
    Taken(Arc<AtomicBool>),
    /// Decoded; or it could not be, and whoever wants it will see why.
    Read(Option<Box<Cursor>>),
}

/// A segment to be decoded.
pub(super) struct Segment {
    reader: Reader<SharedFile>,
    number: usize,
    wanted: Arc<AtomicBool>,
}

/// Something to do.
pub(super) enum Work {
    /// To look at this recording.
    Recording(usize),
    /// To decode a segment.
    Segment(u64, Box<Segment>),
}

impl Queue {
    /// For so many recordings.
    pub(super) fn new(recordings: usize, ahead: usize) -> Self {
        Self { line: Mutex::default(), moved: Condvar::new(), recordings, ahead }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; `None` when there will be nothing more, or when it is `cancelled`.
    pub(super) fn next(&self, cancelled: &dyn Fn() -> bool) -> Option<Work> {
        let mut line = self.lock();
        loop {
            if cancelled() {
                return None;
            }
            let taken = line.segments.iter_mut().find_map(|(ticket, stage)| match stage {
                Stage::Waiting(segment) => {
                    let taken = Stage::Taken(Arc::clone(&segment.wanted));
                    Some((*ticket, std::mem::replace(stage, taken)))
                }
                _ => None,
            });
            if let Some((ticket, Stage::Waiting(segment))) = taken {
                return Some(Work::Segment(ticket, segment));
            }
            // Far ahead of what has been told nobody works: answers would pile up.
            if line.next < self.recordings.min(line.told.saturating_add(self.ahead)) {
                line.looking += 1;
                line.next += 1;
                return Some(Work::Recording(line.next - 1));
            }
            if line.next >= self.recordings && line.looking == 0 {
                return None;
            }
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the caller, who is no worker, shall look at this recording: nobody has begun to, and nobody else is there.
    pub(super) fn take(&self, number: usize) -> bool {
        let mut line = self.lock();
        let free = line.workers == 0 && line.next == number;
        if free {
            line.next += 1;
            line.looking += 1;
        }
        free
    }

    /// A recording that was taken has been looked at.
    pub(super) fn answered(&self, number: usize, answer: Answer) {
        let mut line = self.lock();
        line.answers.insert(number, answer);
        line.looking = line.looking.saturating_sub(1);
        drop(line);
        self.moved.notify_all();
    }

    /// Waits for the answer about a recording. `None` when nobody works on it any more.
    pub(super) fn answer(&self, number: usize) -> Option<Answer> {
        let waiting = |line: &mut Line| !line.answers.contains_key(&number) && line.workers > 0;
        let mut line = self.moved.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        line.answers.remove(&number)
    }

    /// The answers about so many recordings have been told.
    pub(super) fn told(&self, recordings: usize) {
        self.lock().told = recordings;
        self.moved.notify_all();
    }

    /// Another worker comes.
    pub(super) fn enter(&self) {
        self.lock().workers += 1;
    }

    /// A worker goes.
    pub(super) fn leave(&self) {
        self.lock().workers -= 1;
        self.moved.notify_all();
    }

    /// Something outside has changed that somebody may wait for.
    pub(super) fn wake(&self) {
        // Under the lock, or it would be missed by whoever has just looked.
        drop(self.lock());
        self.moved.notify_all();
    }

    /// Leaves a segment to whoever has time, and gives the ticket to take it back with.
    fn leave_to_others(&self, segment: Segment) -> u64 {
        let mut line = self.lock();
        line.ticket += 1;
        let ticket = line.ticket;
        line.segments.insert(ticket, Stage::Waiting(Box::new(segment)));
        drop(line);
        self.moved.notify_all();
        ticket
    }

    /// A segment has been decoded, or could not be.
    pub(super) fn decoded(&self, ticket: u64, cursor: Option<Cursor>) {
        let mut line = self.lock();
        if let Some(stage) = line.segments.get_mut(&ticket) {
            *stage = Stage::Read(cursor.map(Box::new));
        }
        drop(line);
        self.moved.notify_all();
    }

    /// Takes a segment back: as far as it is decoded, if somebody has begun to.
    fn take_back(&self, ticket: u64) -> Option<Box<Cursor>> {
        let taken = |line: &mut Line| match line.segments.get(&ticket) {
            Some(Stage::Taken(wanted)) => {
                wanted.store(true, Ordering::Relaxed);
                true
            }
            _ => false,
        };
        let mut line = self.moved.wait_while(self.lock(), taken).unwrap_or_else(PoisonError::into_inner);
        match line.segments.remove(&ticket) {
            Some(Stage::Read(cursor)) => cursor,
            _ => None,
        }
    }

    fn forget(&self, ticket: u64) {
        if let Some(Stage::Taken(wanted)) = self.lock().segments.remove(&ticket) {
            wanted.store(true, Ordering::Relaxed);
        }
    }
}

impl Segment {
    /// Decodes it, until it is wanted or `cancelled`.
    pub(super) fn decode(mut self: Box<Self>, cancelled: &dyn Fn() -> bool) -> Option<Cursor> {
        let mut cursor = Cursor::of_segment(&self.reader, self.number).ok()?;
        let wanted = Arc::clone(&self.wanted);
        let stopped = || wanted.load(Ordering::Relaxed) || cancelled();
        cursor.read_ahead(&mut self.reader, AHEAD, &stopped).ok()?;
        Some(cursor)
    }
}

type Beside<R> = fn(&Reader<R>) -> Reader<SharedFile>;

/// The segments of a range, one after the other, of which the next ones may be decoded by others meanwhile.
pub(super) struct Segments<'a, R> {
    /// To whom segments are left, and another reader for them. Without, nothing is left to others.
    others: Option<(&'a Queue, Beside<R>)>,
    cursor: Option<Box<Cursor>>,
    at: usize,
    end: usize,
    /// Tickets of the segments after the one at hand.
    left: VecDeque<u64>,
}

impl<R> Segments<'_, R> {
    /// Of this range, nothing left to others.
    pub(super) fn alone(range: &Range<usize>) -> Self {
        Self { others: None, cursor: None, at: range.start, end: range.end, left: VecDeque::new() }
    }
}

impl<'a> Segments<'a, SharedFile> {
    /// Of this range.
    pub(super) fn shared(queue: &'a Queue, range: &Range<usize>) -> Self {
        let beside: Beside<SharedFile> = |reader| reader.beside(reader.source().clone());
        let mut segments = Self::alone(range);
        segments.others = Some((queue, beside));
        segments
    }
}

impl<R: Read + Seek> Segments<'_, R> {
    /// A cursor over the next segment, that ends where it ends.
    ///
    /// # Errors
    /// As [`Cursor::new`].
    pub(super) fn next(&mut self, reader: &Reader<R>) -> Result<Option<&mut Cursor>, Error> {
        /// Segments that are left to others at a time.
        const LEFT: usize = 2;
        if self.at >= self.end {
            return Ok(None);
        }
        let number = self.at;
        self.at += 1;
        let decoded = match (self.left.pop_front(), self.others) {
            (Some(ticket), Some((queue, _))) => queue.take_back(ticket),
            _ => None,
        };
        let cursor = match (decoded, self.cursor.take()) {
            (Some(cursor), _) => cursor,
            (None, Some(mut cursor)) if cursor.segment() == number => {
                cursor.go_on();
                cursor
            }
            _ => Box::new(Cursor::of_segment(reader, number)?),
        };
        if let Some((queue, beside)) = self.others {
            while self.left.len() < LEFT && self.at + self.left.len() < self.end {
                let number = self.at + self.left.len();
                self.left.push_back(queue.leave_to_others(Segment {
                    reader: beside(reader),
                    number,
                    wanted: Arc::default(),
                }));
            }
        }
        Ok(Some(self.cursor.insert(cursor)))
    }
}

impl<R> Drop for Segments<'_, R> {
    fn drop(&mut self) {
        if let Some((queue, _)) = self.others {
            self.left.iter().for_each(|ticket| queue.forget(*ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Anchor, Event, Payload};
    use crate::container::{Extras, SessionKeys, Setup, Writer};
    use std::time::Duration;

    const NOBODY: &dyn Fn() -> bool = &|| false;

    fn recorded(segments: u64) -> Reader<SharedFile> {
        let keys = SessionKeys::generate().unwrap();
        let root = *keys.root();
        let mut writer = Writer::create(Vec::new(), keys, Setup::plain(), |_| Ok("SIG".into())).unwrap();
        for n in 0..segments {
            let time = Duration::from_secs(n);
            writer.begin(Anchor { at: n * 1000, utc: 1, boot: 1 }, None).unwrap();
            writer.push(&Event::new(time, Payload::Output(format!("line {n}\r\n").into_bytes()))).unwrap();
            if n + 1 < segments {
                writer.end_segment(time, Extras::default()).unwrap();
            }
        }
        let end = Duration::from_secs(segments);
        let (_, bytes) = writer.finish(end, Extras::default()).map_err(|(error, _)| error).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let mut reader = Reader::open(SharedFile::new(file)).unwrap();
        reader.unlock(root).unwrap();
        reader
    }

    fn events(reader: &mut Reader<SharedFile>, mut segments: Segments<'_, SharedFile>) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(cursor) = segments.next(reader).unwrap() {
            while let Some(event) = cursor.next(reader).unwrap() {
                all.push(event);
            }
        }
        all
    }

    #[test]
    fn segments_that_others_decode_or_fail_to_or_leave_alone_give_the_same_events() {
        let mut reader = recorded(9);
        let range = 1..reader.segments();
        let expected = events(&mut reader, Segments::alone(&range));
        assert_eq!(expected.len(), 2 * range.len());
        // Whoever helps decodes, fails, or is not there, in turn.
        for turn in 0..3 {
            let queue = Queue::new(0, 0);
            let mut segments = Segments::shared(&queue, &range);
            let (mut all, mut helped) = (Vec::new(), turn);
            while let Some(cursor) = segments.next(&reader).unwrap() {
                while let Some(event) = cursor.next(&mut reader).unwrap() {
                    all.push(event);
                }
                helped += 1;
                if helped % 3 < 2
                    && let Some(Work::Segment(ticket, segment)) = queue.next(NOBODY)
                {
                    queue.decoded(ticket, (helped % 3 == 0).then(|| segment.decode(NOBODY).unwrap()));
                }
            }
            assert_eq!(all, expected, "{turn}");
            drop(segments);
            assert!(queue.lock().segments.is_empty());
        }
    }

    #[test]
    fn what_nobody_wants_any_more_is_forgotten_whoever_decodes_it() {
        let mut reader = recorded(4);
        let queue = Queue::new(0, 0);
        let mut segments = Segments::shared(&queue, &(0..4));
        segments.next(&reader).unwrap();
        let Some(Work::Segment(ticket, segment)) = queue.next(NOBODY) else {
            panic!("nothing is left to others")
        };
        drop(segments);
        queue.decoded(ticket, segment.decode(NOBODY));
        assert!(queue.lock().segments.is_empty() && queue.next(NOBODY).is_none());
        assert_eq!(events(&mut reader, Segments::shared(&queue, &(0..4))).len(), 8);
    }

    #[test]
    fn recordings_are_taken_in_order_and_not_too_far_ahead() {
        let queue = Queue::new(5, 2);
        let number = || match queue.next(NOBODY) {
            Some(Work::Recording(number)) => Some(number),
            _ => None,
        };
        assert_eq!((number(), number()), (Some(0), Some(1)));
        queue.enter();
        assert!(!queue.take(2), "there is a worker");
        queue.answered(1, Answer::unreadable("one"));
        queue.answered(0, Answer::unreadable("zero"));
        assert_eq!(queue.answer(0).and_then(|answer| answer.fault).as_deref(), Some("zero"));
        queue.told(1);
        assert_eq!(number(), Some(2));
        queue.leave();
        assert!(queue.take(3) && !queue.take(3));
        assert!(queue.answer(3).is_none(), "nobody works on it");
        assert!(queue.next(&|| true).is_none());
    }
}
