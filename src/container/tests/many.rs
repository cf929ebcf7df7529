//! Recordings of very many segments, or of which very much is said: what reading one segment costs does not grow with the rest.

use super::super::keys::STEPS;
use super::*;

fn opened(recorded: &Recorded) -> Reader<Bytes<Vec<u8>>> {
    let mut reader = Reader::open(Bytes::new(recorded.bytes.clone())).unwrap();
    reader.unlock(recorded.root).unwrap();
    reader
}

#[test]
fn a_reader_beside_another_holds_nothing_of_the_recording_twice() {
    let recorded = session(12, 3, true);
    let reader = opened(&recorded);
    let beside = reader.beside(Bytes::new(recorded.bytes.clone()));
    assert!(std::ptr::eq::<Opening>(reader.opening().unwrap(), beside.opening().unwrap()));
    assert!(std::ptr::eq(reader.header(), beside.header()));
    assert!(std::ptr::eq(reader.slots(), beside.slots()));
    assert!(std::ptr::eq(reader.certificate(), beside.certificate()));
}

#[test]
fn what_is_appended_is_seen_by_the_reader_that_looks_and_not_by_one_beside_it() {
    let whole = session(12, 3, true);
    let early = whole.bytes[..whole.bytes.len() / 2].to_vec();
    let mut reader = Reader::open(Bytes::new(early)).unwrap();
    reader.unlock(whole.root).unwrap();
    let before = reader.segments();
    let beside = reader.beside(Bytes::new(whole.bytes.clone()));
    *reader.source_mut() = Bytes::new(whole.bytes.clone());
    assert!(reader.refresh().unwrap());
    assert_eq!((reader.segments(), beside.segments()), (4, before));
    assert!(before < 4 && events_of(&mut reader, 0) == whole.events);
}

#[test]
fn the_way_to_the_key_of_a_segment_is_short_wherever_it_is_and_whoever_asks() {
    let recorded = session(600, 1, true);
    let count = 600;
    let reader = opened(&recorded);
    let (start, mut asked) = (STEPS.get(), 0);
    let mut ask = |segment: usize| {
        Cursor::of_segment(&reader, segment).unwrap();
        Cursor::of_segment(&reader.beside(Bytes::new(Vec::new())), segment).unwrap();
        asked += 2;
    };
    // On, back, and far apart.
    (0..count).for_each(&mut ask);
    (0..count).rev().for_each(&mut ask);
    (0..count).map(|n| n * 367 % count).for_each(&mut ask);
    let steps = STEPS.get() - start;
    assert!(steps < count + 64 * asked, "{steps} steps for {asked} segments");
    // It is the right one all the same.
    for segment in [count - 1, 64, 63, 65, 0, 128, 127, 1] {
        let mut reader = opened(&recorded);
        let first = events_of(&mut reader, segment).swap_remove(0);
        assert_eq!(first, recorded.events[segment], "{segment}");
    }
}
