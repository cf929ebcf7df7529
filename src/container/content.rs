//! Checks the content of a recording with the key: that all of it can be read, and that the index says what is there.
//!
//! Refuses to say who wrote it and whether all of it is there: that takes no key, and is [`super::verify`].

use super::cursor::Cursor;
use super::error::Error;
use super::index;
use super::reader::Reader;
use crate::cast::millis;
use std::io::{Read, Seek};

/// Verifies the content of an unlocked recording: every chunk opens, every line parses, and every index entry says what
/// its segment holds. Gives the number of events.
///
/// # Errors
/// The first fault, with its place.
pub fn verify_content<R: Read + Seek>(
    reader: &mut Reader<R>,
    mut progress: impl FnMut(u64),
) -> Result<u64, Error> {
    reader.opening()?;
    let mut count = 0u64;
    if reader.segments() == 0 {
        return reader.fault().map_or(Ok(count), Err);
    }
    let mut cursor = Cursor::of_segment(reader, 0)?;
    for segment in 0..reader.segments() {
        // One cursor all the way: the chain is followed once, not from its start for every segment.
        if segment > 0 {
            cursor.go_on();
        }
        let offset = cursor.offset();
        let mut tally = index::Tally::default();
        while let Some(event) = cursor.next(reader)? {
            tally.count(millis(event.time), &event.payload);
            count = count.saturating_add(1);
        }
        progress(cursor.offset());
        let Some(entry) = reader.entries().get(segment) else { continue };
        // What everybody compares, the cursor has compared.
        if usize::try_from(entry.segment) != Ok(segment) || entry.tally != tally.finish() {
            return Err(Error::format(
                offset,
                None,
                format!("the index entry of segment {segment} does not match its content"),
            ));
        }
    }
    Ok(count)
}
