//! What rots inside a segment of a recording that was not closed: no table shows what stands behind it, and a walk passes over it.

use super::commands::{Desk, of_segment};
use crate::forge::{CHECK, CLOSES, DATA, INDEX, SEG};
use crate::sample::{self, Fleet, Recorded};
use crate::{Bytes, Cursor, Reader, damage, read};
use sealcast::container::GivenUp;

/// The segment of each chunk; the chunks before the first one are of none.
pub(super) fn segments(chunks: &[Vec<u8>]) -> Vec<Option<usize>> {
    let (mut begun, mut of) = (0, None);
    let place = |chunk: &Vec<u8>| {
        if chunk[2] == SEG {
            (of, begun) = (Some(begun), begun + 1);
        }
        of
    };
    chunks.iter().map(place).collect()
}

/// A recording that was not closed, taken apart.
struct Open {
    recorded: Recorded,
    chunks: Vec<Vec<u8>>,
    places: Vec<(usize, usize)>,
    /// See [`segments`].
    of: Vec<Option<usize>>,
}

impl Open {
    fn record() -> Self {
        let recorded = damage::small(&Fleet::new("web-3"), "open", false);
        let (chunks, places) = (damage::split(&recorded.bytes), damage::places(&recorded.bytes));
        let of = segments(&chunks);
        Self { recorded, chunks, places, of }
    }
}

#[test]
fn what_rots_in_a_recording_that_was_not_closed_costs_its_segment_and_no_other() {
    let Open { recorded, chunks, places, of } = Open::record();
    let whole = read(&recorded.bytes, recorded.root, true).0;
    assert_eq!((of.last(), whole.entries.len(), whole.events.len()), (Some(&Some(3)), 3, 12));
    let first = of.iter().position(Option::is_some).unwrap();
    // In the middle; of the mark, the length, the number; and all of the frame and what follows.
    let spots = |(start, end): (usize, usize)| {
        let middle = usize::midpoint(start, end);
        [middle..middle + 1, start..start + 1, start + 4..start + 5, start + 8..start + 9, start..middle]
    };
    for (chunk, spot) in (first..chunks.len()).flat_map(|chunk| (0..5).map(move |spot| (chunk, spot))) {
        let (segment, (start, end)) = (of[chunk].unwrap(), places[chunk + 1]);
        let framed = spot == 0;
        if chunk + 1 == chunks.len() && !framed {
            // It is the last one: so it may look like one that was not written to its end.
            continue;
        }
        let mut bytes = recorded.bytes.clone();
        bytes[spots((start, end))[spot].clone()].iter_mut().for_each(|byte| *byte ^= 0xff);
        let (kind, closes) = (chunks[chunk][2], chunks[chunk][3] & CLOSES != 0);
        let what = format!("spot {spot} of chunk {chunk} of type {kind:#x}, in segment {segment}");
        let (got, fault, complete) = read(&bytes, recorded.root, true);
        let is_place =
            |told: String| [' ', ':'].iter().any(|end| told.contains(&format!("at byte {start}{end}")));
        assert!(fault.is_some_and(is_place) && !complete, "{what}");
        // Without the entry of the last segment that has one, nobody knows how many there are; nor where the frame of the chunk is gone with
        // which that segment ends.
        let ends = segment == 3 || segment == 2 && (kind == INDEX || closes && !framed);
        let mut reader = Reader::open(Bytes::new(&bytes)).unwrap();
        reader.unlock(recorded.root).unwrap();
        let last = segment + usize::from(kind != SEG);
        assert_eq!(reader.segments(), if ends { last } else { 4 }, "{what}");
        let has_entry = kind == CHECK && closes;
        assert_eq!(reader.entries().len(), if ends { segment + usize::from(has_entry) } else { 3 }, "{what}");
        let behind = |event: &&_| whole.events.iter().skip(3 * (segment + 1)).any(|other| other == *event);
        let count = got.events.iter().filter(behind).count();
        assert_eq!(count, if ends { 0 } else { 3 * (3 - segment) }, "{what}");
        // All that was shown stands before its entry, and nothing of it in a checkpoint.
        let shown = got.events.len() - count - 3 * segment;
        let takes_nothing = kind == INDEX || has_entry || kind == CHECK && segment < 3;
        assert!(shown <= 3 && (shown == 3 || !takes_nothing), "{what}: {shown}");
        // Who reads on from one segment into the next is stopped there, and does not come to an end in silence.
        let Some(last) = reader.segments().checked_sub(1) else { continue };
        let mut cursor = Cursor::new(&reader, segment.min(last)).unwrap();
        let stopped = loop {
            match cursor.next(&mut reader) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        assert!(stopped.is_some_and(is_place), "{what}");
    }
}

#[test]
fn many_chunks_in_a_row_that_are_gone_cost_their_segment_and_no_other() {
    let Open { recorded, chunks, places, of } = Open::record();
    let data: Vec<_> = (0..chunks.len()).filter(|n| of[*n] == Some(1) && chunks[*n][2] == DATA).collect();
    assert!(data.len() > 1, "{data:?}");
    let (from, to) = (places[data[0] + 1].0, places[data[data.len() - 1] + 1].1);
    let mut bytes = recorded.bytes.clone();
    bytes[from..to].fill(0);
    let (got, fault, _) = read(&bytes, recorded.root, true);
    assert!(fault.is_some_and(|fault| fault.contains(&format!("at byte {from}: "))));
    let whole = read(&recorded.bytes, recorded.root, true).0;
    assert_eq!((got.entries.len(), &got.events[got.events.len() - 6..]), (3, &whole.events[6..]));
    // With the entry, and with the beginning of the next segment: the entry of that one tells how many are missing.
    let next = (0..chunks.len()).find(|n| of[*n] == Some(2) && chunks[*n][2] == SEG).unwrap();
    for (last, behind) in [(data[data.len() - 1] + 1, 6), (next, 9)] {
        bytes[from..places[last + 1].1].fill(0);
        let (got, fault, complete) = read(&bytes, recorded.root, true);
        assert!(fault.is_some() && !complete, "{fault:?}");
        assert_eq!((&got.entries[0], &got.entries[2]), (&whole.entries[0], &whole.entries[2]));
        assert_eq!(got.entries[1].given_up, Some(GivenUp::Unreadable));
        assert_eq!(got.events[got.events.len() - (12 - behind)..], whole.events[behind..]);
        let before = got.events.len() - (12 - behind);
        assert_eq!(got.events[..before], whole.events[..before]);
    }
}

#[test]
fn the_last_segment_that_ended_is_no_end_where_it_rots() {
    let fleet = Fleet::new("web-3");
    let mut bytes = damage::small(&fleet, "open", false).bytes;
    let places = damage::places(&bytes);
    let last = places.iter().rfind(|(start, _)| bytes[start + 2] == SEG).unwrap().0;
    let before = |(start, _): &&(usize, usize)| *start < last && bytes[start + 2] == DATA;
    let (start, end) = *places.iter().rfind(before).unwrap();
    bytes.truncate(last);
    bytes[usize::midpoint(start, end)] ^= 1;
    let desk = Desk::new(&fleet);
    let (code, said) = desk.said(&bytes, &["export", "-f", "text", "store/recording.scast"]);
    assert!(code == 2 && said.contains(&format!("at byte {start} ")), "{code} {said}");
}

#[test]
fn commands_go_on_behind_what_rots_in_a_recording_that_was_not_closed_and_say_so() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let path = "store/recording.scast";
    let mut bytes = damage::small(&fleet, "open", false).bytes;
    let seconds = [1, 2].map(|segment| of_segment(&bytes, segment, DATA));
    for (start, end) in seconds {
        bytes[usize::midpoint(start, end)] ^= 1;
    }
    for words in [&["export", "-f", "text", path][..], &["play", "--plain", "--speed", "10000", path]] {
        let (code, said) = desk.said(&bytes, words);
        assert!(code == 2 && said.contains("in 2 places, of which the first: at byte "), "{code} {said}");
        for (start, _) in seconds {
            assert!(said.contains(&format!("could not be read: at byte {start} ")), "{words:?}: {said}");
        }
        assert!(
            said.contains("open 2.0") && !said.contains("open 2.2") && said.contains("open 3.2"),
            "{said}"
        );
    }
    let (code, said) = desk.said(&bytes, &["verify", path]);
    assert!(
        code == 1 && said.contains("altered") && said.contains(&seconds[0].0.to_string()),
        "{code} {said}"
    );
    // What reads the index only meets none of it, and names it all the same.
    let named = format!("at byte {} (chunk", seconds[0].0);
    let (_, said) = desk.said(&bytes, &["show", "--commands", path]);
    let told = said.split_once("a part of it cannot be read (").map_or("", |(_, told)| told);
    assert!(
        told.starts_with(&named) && told.contains("), and it was not closed: commands of its last part"),
        "{said}"
    );
    let (code, said) = desk.said(&bytes, &["search", "--in", "command", "no-such-line", "--store", "store"]);
    assert!(code == 2 && said.contains(&named), "{code} {said}");
}

/// The end of the index is gone, and a final checkpoint stands before it: nothing says that a part of the recording is in no index.
#[test]
fn of_what_rots_before_an_end_that_is_not_proven_no_more_is_said_to_be_missing() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut bytes = damage::small(&fleet, "whole", true).bytes;
    let places = damage::places(&bytes);
    let (start, end) = of_segment(&bytes, 1, DATA);
    bytes.truncate(places[places.len() - 1].0);
    let show = ["show", "--commands", "store/recording.scast"];
    let (_, said) = desk.said(&bytes, &show);
    assert!(!said.contains("in no index"), "{said}");
    bytes[usize::midpoint(start, end)] ^= 1;
    let (_, said) = desk.said(&bytes, &show);
    let told = format!("a part of it cannot be read (at byte {start} (chunk");
    assert!(
        said.contains(&told) && said.contains("): that its index has all its commands is not proven"),
        "{said}"
    );
    assert!(!said.contains("in no index"), "{said}");
}

#[test]
fn a_search_goes_on_behind_what_rots_in_the_part_that_has_no_entry() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut steps = damage::small_steps("whole");
    // So much that a keyframe is worth its place at the beginning of the last segment.
    steps.insert(9, sample::out(60_100, "\x1b[K".repeat(4000)));
    let mut bytes = sample::drawn(&fleet, &steps).bytes;
    let places = damage::places(&bytes);
    let of_type = |kind: u8| {
        let these = places.iter().skip(1).filter(|(start, _)| bytes[start + 2] == kind);
        these.copied().collect::<Vec<_>>()
    };
    let (begun, entry) = (of_type(SEG)[2].0, of_type(INDEX)[4].0);
    let (start, end) = *of_type(DATA).iter().find(|(start, _)| *start > begun).unwrap();
    bytes.truncate(entry);
    bytes[usize::midpoint(start, end)] ^= 1;
    // What was shown in between stood on the screen with which it begins.
    for text in ["whole 3.2", "whole 2.2"] {
        let (code, said) = desk.said(&bytes, &["search", "--in", "screen", text, "--store", "store"]);
        let what = format!("{text}: {code} {said}");
        assert!(code == 2 && said.contains(&format!("only in part be searched: at byte {start} ")), "{what}");
        assert_eq!(said.matches(text).count(), 1, "{what}");
    }
}
