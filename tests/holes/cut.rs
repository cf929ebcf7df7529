//! Chunks that are missing, or stand there twice, and bytes that nobody wrote: all behind them stands elsewhere than it was written, and
//! is read all the same.

use super::commands::{Desk, of_segment};
use super::rotten::segments;
use crate::forge::{CHECK, CLOSES, DATA, FINAL, INDEX, SEG};
use crate::sample::{Fleet, Recorded};
use crate::{Bytes, Cursor, OPEN_END, Reader, damage, read, with_its_end};
use sealcast::container::GivenUp;
use std::ops::Range;

/// A recording of four segments of three events, taken apart; the last one of an open one has no end.
struct Whole {
    recorded: Recorded,
    chunks: Vec<Vec<u8>>,
    places: Vec<(usize, usize)>,
    /// The segment of each chunk.
    of: Vec<Option<usize>>,
    entries: usize,
}

impl Whole {
    fn record(close: bool) -> Self {
        let recorded = damage::small(&Fleet::new("web-3"), "whole", close);
        let (chunks, places) = (damage::split(&recorded.bytes), damage::places(&recorded.bytes));
        let of = segments(&chunks);
        Self { recorded, chunks, places, of, entries: if close { 4 } else { 3 } }
    }

    /// The chunks of the segments, up to the last that one with an end may lack.
    fn within(&self) -> Range<usize> {
        let first = self.of.iter().position(Option::is_some).unwrap();
        let last = match self.entries {
            4 => self.chunks.iter().position(|chunk| chunk[2] == CHECK && chunk[3] & FINAL != 0).unwrap(),
            _ => self.chunks.len(),
        };
        first..last
    }

    /// Where a chunk begins.
    fn at(&self, chunk: usize) -> usize {
        self.places[chunk + 1].0
    }

    fn is(&self, chunk: usize, kind: u8) -> bool {
        self.chunks[chunk][2] == kind
    }

    fn closes(&self, chunk: usize) -> bool {
        self.is(chunk, CHECK) && self.chunks[chunk][3] & CLOSES != 0
    }
}

#[test]
fn chunks_that_are_cut_out_cost_their_segments_and_no_others() {
    for close in [true, false] {
        let all = Whole::record(close);
        let whole = read(&all.recorded.bytes, all.recorded.root, true).0;
        assert_eq!((whole.entries.len(), whole.events.len()), (all.entries, 12));
        let within = all.within();
        for range in within.clone().flat_map(|from| (from + 1..=within.end).map(move |to| from..to)) {
            // The last entry is among them, or the end of the last segment that has one: so nobody knows what comes behind.
            let last = all.entries - 1;
            let is_last = |n: usize| {
                let ends = all.is(n, INDEX) || all.closes(n);
                all.of[n] == Some(last) && ends || !close && all.of[n] == Some(3)
            };
            if range.clone().any(is_last) {
                continue;
            }
            let mut bytes = all.recorded.bytes.clone();
            bytes.drain(all.at(range.start)..all.at(range.end));
            let what = format!("closed: {close}, without the chunks {range:?}");
            let (got, fault, complete) = read(&bytes, all.recorded.root, true);
            let place = all.at(range.start);
            let fault = fault.unwrap_or_default();
            assert!(
                [' ', ':'].iter().any(|end| fault.contains(&format!("at byte {place}{end}"))),
                "{what}: {fault}"
            );
            assert!(!complete, "{what}");
            for segment in 0..4 {
                let missing = |of_kind: &dyn Fn(usize) -> bool| {
                    range.clone().find(|n| all.of[*n] == Some(segment) && of_kind(*n))
                };
                let events = &whole.events[3 * segment..3 * segment + 3];
                let there = events.iter().filter(|event| got.events.contains(event)).count();
                let lost = missing(&|n| all.is(n, SEG) || all.is(n, DATA));
                let kept = if lost.is_some() { 0..=3 } else { 3..=3 };
                assert!(kept.contains(&there), "{what}: {there} of segment {segment}");
                let Some(entry) = whole.entries.get(segment) else { continue };
                match missing(&|n| all.is(n, INDEX)) {
                    None => assert_eq!(got.entries.get(segment), Some(entry), "{what}"),
                    Some(_) => assert_eq!(got.entries[segment].given_up, Some(GivenUp::Unreadable), "{what}"),
                }
            }
            // None that is shown is shown twice, or was not there.
            assert!(
                got.events.len() <= 12 && got.events.iter().all(|event| whole.events.contains(event)),
                "{what}"
            );
            // Who reads on from the beginning is stopped there, and does not come to an end in silence.
            let mut reader = Reader::open(Bytes::new(&bytes)).unwrap();
            reader.unlock(all.recorded.root).unwrap();
            let mut cursor = Cursor::new(&reader, 0).unwrap();
            let stopped = loop {
                match cursor.next(&mut reader) {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break error.offset(),
                }
            };
            assert_eq!(stopped, Some(place as u64), "{what}");
        }
    }
}

#[test]
fn what_was_put_in_costs_nothing_and_is_told() {
    for close in [true, false] {
        let all = Whole::record(close);
        let whole = read(&all.recorded.bytes, all.recorded.root, true).0;
        let within = all.within();
        let twice = within.clone().flat_map(|from| (from + 1..within.end).map(move |to| from..to));
        // Nothing of it a chunk, also where there is much.
        let strange = within.clone().flat_map(|chunk| [chunk..chunk, chunk..chunk]);
        for (number, range) in twice.chain(strange).enumerate() {
            // What is wrong with the last segment of one without an end is what is wrong with its end.
            if !close && all.of[range.end] == Some(3) {
                continue;
            }
            let place = all.at(range.end);
            let put = match range.is_empty() {
                true => vec![b'x'; [7, 70_000][number % 2]],
                false => all.chunks[range.clone()].concat(),
            };
            let mut bytes = all.recorded.bytes.clone();
            bytes.splice(place..place, put);
            let what = format!("closed: {close}, the chunks {range:?} twice");
            let (got, fault, complete) = read(&bytes, all.recorded.root, true);
            assert!(!complete, "{what}");
            assert_eq!(got.entries, whole.entries, "{what}");
            // Between two segments nothing is missing, nor does anybody meet it who reads one.
            let between = all.of[range.end - 1].is_none() || all.closes(range.end - 1);
            assert_eq!(fault.is_none(), between, "{what}: {fault:?}");
            assert_eq!(got.events, whole.events, "{what}");
            // Who reads all of it meets it wherever it stands.
            let (_, fault, _) = read(&bytes, all.recorded.root, false);
            assert!(fault.is_some_and(|fault| fault.contains(&format!("at byte {place}"))), "{what}");
        }
    }
}

#[test]
fn commands_go_on_behind_what_is_cut_out_of_a_closed_recording_and_say_so() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let path = "store/recording.scast";
    let whole = damage::small(&fleet, "whole", true).bytes;
    let (second, third) = (of_segment(&whole, 1, DATA), of_segment(&whole, 2, DATA));
    let begins = of_segment(&whole, 1, SEG).0;
    let next = of_segment(&whole, 2, SEG).0;
    for (cut, gone) in [(second.0..second.1, "1.2"), (begins..next, "1.0"), (second.0..third.1, "2.0")] {
        let mut bytes = whole.clone();
        bytes.drain(cut.clone());
        let place = format!("at byte {}", cut.start);
        for words in [
            &["export", "-f", "text", path][..],
            &["export", "-f", "cast", path],
            &["play", "--plain", "--speed", "10000", path],
        ] {
            let (code, said) = desk.said(&bytes, words);
            let what = format!("{cut:?} {words:?}: {code} {said}");
            assert!(code == 2 && said.contains("not all of it could be read: at byte "), "{what}");
            assert_eq!(said.matches("damaged: here something could not be read").count(), 1, "{what}");
            assert!(said.contains(&format!("could not be read: {place}")), "{what}");
            assert!(!said.contains(&format!("whole {gone}")) && said.contains("whole 3.2"), "{what}");
            // It goes to an end of which nobody says that something is missing behind it.
            assert!(!said.contains(OPEN_END) && said.contains("proven"), "{what}");
        }
        let (code, said) = desk.said(&bytes, &["verify", path]);
        assert!(code == 1 && said.contains("altered") && said.contains(&place), "{code} {said}");
        let (_, said) = desk.said(&bytes, &["show", "--commands", path]);
        assert!(said.contains(&place) && !said.contains("not closed"), "{said}");
        assert!(said.contains("are in no index") == (cut.end > second.1), "{said}");
        let (code, said) = desk.said(&bytes, &["search", "--in", "screen", "whole 3.1", "--store", "store"]);
        assert!(code == 2 && said.contains(&place) && said.contains("1 hit"), "{code} {said}");
        let (code, said) = desk.said(&bytes, &["export", "--hits", "whole 3.1", "-f", "text", path]);
        assert!(code == 2 && said.contains("whole 3.1") && said.contains(&place), "{code} {said}");
    }
}

/// Behind what is wrong but took nothing a missing segment was passed over without a word, and raw bytes were joined over it.
#[test]
fn a_segment_that_is_missing_behind_what_took_nothing_is_told() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let path = "store/recording.scast";
    let whole = damage::small(&fleet, "whole", true).bytes;
    let (begins, next) = (of_segment(&whole, 1, SEG).0, of_segment(&whole, 2, SEG).0);
    // The checkpoint that closes the one before.
    let closing = damage::places(&whole).into_iter().find(|(_, end)| *end == begins).unwrap().0;
    let without_checkpoint = [&whole[..closing], &whole[next..]].concat();
    let with_more = [&whole[..closing], b"x", &whole[closing..begins], &whole[next..]].concat();
    for (what, bytes) in [("without", without_checkpoint), ("more", with_more)] {
        for words in [&["export", "-f", "text", path][..], &["play", "--plain", "--speed", "10000", path]] {
            let (code, said) = desk.said(&bytes, words);
            assert_eq!(code, 2, "{what} {words:?}: {said}");
            assert!(said.contains("whole 0.2") && said.contains("whole 3.2"), "{what} {words:?}: {said}");
            assert!(!said.contains("whole 1."), "{what} {words:?}: {said}");
            assert!(said.contains("damaged: here something could not be read"), "{what} {words:?}: {said}");
        }
        let (code, said) = desk.said(&bytes, &["export", "-f", "raw", path]);
        assert!(code == 2 && said.contains("whole 0.2") && !said.contains("whole 2."), "{what}: {said}");
    }
}

/// Each look for a chunk takes time: whoever puts garbage in between must not have a reader look without end.
#[test]
fn what_was_put_in_piece_by_piece_is_looked_through_a_few_times_and_no_more() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let path = "store/recording.scast";
    let chunks = damage::split(&damage::small(&fleet, "whole", true).bytes);
    let of = segments(&chunks);
    let data = (0..chunks.len()).find(|n| of[*n] == Some(1) && chunks[*n][2] == DATA).unwrap();
    // What is no whole chunk, and an older one, over and over.
    let old = chunks.iter().find(|chunk| chunk[2] == DATA).unwrap();
    let mut rotten = old.clone();
    *rotten.last_mut().unwrap() ^= 1;
    for (pieces, read_on) in [(3, true), (40, false)] {
        let mut all = chunks.clone();
        all.splice(data..data, (0..2 * pieces).map(|n| [&rotten, old][n % 2].clone()));
        // A table that fits needs no walk, which would have an end of its own.
        let (code, said) = desk.said(&with_its_end(&all), &["export", "-f", "text", path]);
        assert_eq!(code, 2, "{pieces}: {said}");
        assert_eq!(said.contains("whole 1.2"), read_on, "{pieces}: {said}");
        assert!(said.contains("whole 1.0") && said.contains("whole 3.2"), "{pieces}: {said}");
    }
}

#[test]
fn a_checkpoint_inside_a_segment_that_rots_takes_nothing_that_was_shown() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    for close in [true, false] {
        let mut bytes = damage::small(&fleet, "whole", close).bytes;
        let (start, end) = of_segment(&bytes, 1, CHECK);
        assert_eq!(bytes[start + 3] & CLOSES, 0);
        bytes[usize::midpoint(start, end)] ^= 1;
        for words in [
            &["export", "-f", "text", "store/recording.scast"][..],
            &["export", "-f", "raw", "store/recording.scast"],
            &["play", "--plain", "--speed", "10000", "store/recording.scast"],
        ] {
            let (code, said) = desk.said(&bytes, words);
            let what = format!("closed: {close}, {words:?}: {code} {said}");
            let lines = (0..12).filter(|n| said.contains(&format!("whole {}.{}", n / 3, n % 3))).count();
            assert!(code == 2 && lines == 12 && said.contains(&format!("at byte {start} ")), "{what}");
            assert!(
                !said.contains("here something could not be read") && !said.contains("begins empty"),
                "{what}"
            );
        }
    }
}
