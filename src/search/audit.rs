//! Whether filters and keyframes say what the content says.
//!
//! A reader believes them to save work; who checks a recording does not. Everything is read from the start, as the recorder
//! read it: a filter that denies what was shown, or a keyframe that is another screen than the one before it, is found.

use super::reading::{Step, events};
use crate::container::filter::Filter;
use crate::container::{Error, Reader};
use crate::terminal::{Line, Shown, Typed};
use std::io::{Read, Seek};

/// Something that the index or a keyframe says and the content does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The filter of this segment denies a line that was shown or typed in it.
    Filter {
        /// Number of the segment.
        segment: usize,
        /// The line, from the recording.
        line: String,
    },
    /// The keyframe at the start of this segment is not the screen that stood there.
    Keyframe {
        /// Number of the segment.
        segment: usize,
    },
}

/// Reads a recording whose content is unlocked and tells the first lie of each segment, at most `most`.
///
/// # Errors
/// The content cannot be read.
pub fn audit<R: Read + Seek>(reader: &mut Reader<R>, most: usize) -> Result<Vec<Lie>, Error> {
    let cast = &reader.opening()?.cast;
    let size = (cast.term.cols, cast.term.rows);
    let filters: Vec<Vec<u8>> = reader.entries().iter().map(|entry| entry.filter.clone()).collect();
    let mut lies: Vec<Lie> = Vec::new();
    let mut check = |segment: usize, line: &str| {
        let denied = filters
            .get(segment)
            .and_then(|bytes| Filter::read(bytes))
            .is_some_and(|filter| !filter.may_hold_text(line));
        let told =
            lies.iter().rev().any(|lie| matches!(lie, Lie::Filter { segment: of, .. } if *of == segment));
        if denied && !told {
            lies.push(Lie::Filter { segment, line: line.to_owned() });
        }
    };
    let mut keyframes = Vec::new();
    let mut shown = Shown::new(size);
    let mut typed = Typed::default();
    let mut segment: Option<usize> = None;
    let range = 0..reader.segments();
    events(reader, &range, |step| {
        match step {
            Step::Segment => {
                typed.finish(&mut |line| check(segment.unwrap_or(0), &line.text));
                segment = Some(segment.map_or(0, |number| number + 1));
            }
            Step::Keyframe(text, time) => {
                let number = segment.unwrap_or(0);
                let before = shown.terminal().snapshot();
                match Shown::restored(size, text, time) {
                    Some(new) if before.as_deref() == Some(text) => {
                        let mut line = |line: Line| check(number.saturating_sub(1), &line.text);
                        std::mem::replace(&mut shown, new).finish(&mut line);
                    }
                    _ => keyframes.push(Lie::Keyframe { segment: number }),
                }
            }
            Step::Event(event) => {
                let number = segment.unwrap_or(0);
                shown.event(event, &mut |line| check(number, &line.text));
                typed.event(event, &mut |line| check(number, &line.text));
            }
        }
        true
    })?;
    shown.finish(&mut |line| check(segment.unwrap_or(0), &line.text));
    lies.extend(keyframes);
    lies.truncate(most);
    Ok(lies)
}
