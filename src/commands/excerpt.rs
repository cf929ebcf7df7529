//! The parts of a recording in which something is found, for `export --hits`.
//!
//! Each part begins with the screen as it stood there, so that it plays by itself; a mark says what was found and when.

use super::format::clock;
use super::onward::Step;
use super::part::{begin_at, is_no_screen, part_of, screen_at, sized, tell_end, write};
use super::recordings::{Opened, name};
use crate::cast::{Event, Payload, Trust, millis};
use crate::console::Progress;
use crate::error::{Error, HOW_MUCH_IS_GOOD, Kind, Result};
use crate::export::{Exporter, Format, Losses};
use crate::replay::{Recording, Replay};
use crate::search::{Hit, Meanwhile, Options, Query, search_until};
use crate::store::Found;
use crate::store::seal::Opener;
use crate::terminal::Terminal;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::{ControlFlow, Range};
use std::time::Duration;

/// Longest text of a mark, in characters.
const LABEL: usize = 120;

/// A part, and the hits in it.
struct Part {
    range: Range<Duration>,
    label: String,
}

/// What is written and what it came to.
pub(super) struct Excerpt {
    parts: Vec<Part>,
    /// Hits in them.
    pub(super) hits: usize,
    /// Hits that were counted and not kept.
    pub(super) more: u64,
    /// Why there may be more than was found.
    pub(super) fault: Option<String>,
    /// What to do about that.
    pub(super) hints: Vec<String>,
}

impl Excerpt {
    /// Looks for a query in a recording; every hit with a time is shown for `around` before and after it.
    ///
    /// # Errors
    /// Nothing is found, or it cannot be searched.
    pub(super) fn find(
        found: &Found,
        opener: &Opener,
        query: &Query,
        around: Duration,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let mut answer = None;
        let done = |more| progress.advance(more);
        let meanwhile = Meanwhile { done: &done, ..Meanwhile::default() };
        let one = std::slice::from_ref(found);
        search_until(one, opener, query, &Options::default(), meanwhile, &mut |_, told| {
            answer = Some(told);
            ControlFlow::Continue(())
        });
        let answer = answer.ok_or_else(|| Error::new(Kind::System, "nothing was searched"))?;
        let (fault, looked) = (answer.fault, answer.segments > 0);
        let hints = answer.trouble.map_or_else(Vec::new, |trouble| Error::from(trouble).hints().to_vec());
        let (hits, more) = answer.found.map(|found| (found.hits, found.more)).unwrap_or_default();
        let parts = parts(&hits, around);
        if parts.is_empty() {
            if let Some(fault) = fault {
                let what = if looked {
                    "only in part be searched, and nothing was found"
                } else {
                    "not be searched"
                };
                let what = format!("{} could {what}: {fault}", name(found));
                return Err(hints.into_iter().fold(Error::new(Kind::Input, what), Error::hint));
            }
            let what = match hits.len() {
                0 => "nothing like that is in the recording",
                _ => "it is found in what the recording says of itself, and at no time",
            };
            return Err(Error::new(Kind::No, what));
        }
        Ok(Self { parts, hits: hits.iter().filter(|hit| hit.time.is_some()).count(), more, fault, hints })
    }

    /// How many parts it has.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// How long they are together, milliseconds; where they end with the recording somewhat more.
    pub(super) fn length(&self) -> u64 {
        self.parts.iter().map(|Part { range, .. }| millis(range.end.saturating_sub(range.start))).sum()
    }

    /// Writes the parts one after the other, each with its marks at its start. `progress` is of their length; `wrote` puts a failure to write in words.
    ///
    /// # Errors
    /// The recording cannot be read, or the output cannot be written.
    pub(super) fn write(
        self,
        opened: Opened,
        format: Format,
        out: impl Write,
        progress: &Progress<'_>,
        wrote: &dyn Fn(io::Error) -> Error,
    ) -> Result<Losses> {
        let Opened { found, reader, .. } = opened;
        let failed = |why: &dyn fmt::Display| Error::new(Kind::Input, format!("{}: {why}", name(&found)));
        let mut header = reader.header().clone();
        let mut opening = reader.opening().map_err(|error| failed(&error))?.clone();
        let watched = Recording::new(reader).map_err(|error| failed(&error))?;
        let mut replay: Replay<Recording<File>> = Replay::new(watched);
        let first = self.parts.first().map_or(Duration::ZERO, |part| part.range.start);
        begin_at(&mut header, &mut opening, replay.outline(), first);
        let mut screen = screen_at(&mut replay, first);
        let mut size = replay.terminal().size();
        sized(&mut opening, size);
        let mut exporter = Exporter::begin(format, &header, &opening, out).map_err(wrote)?;
        let mut begins = Duration::ZERO;
        let end = self.parts.last().map_or(Duration::ZERO, |part| part.range.end);
        let (mut fault, mut ends_in_hole) = (None, false);
        for (number, Part { range, label }) in self.parts.into_iter().enumerate() {
            if number > 0 {
                screen = screen_at(&mut replay, range.start);
            }
            if screen.as_ref().is_some_and(is_no_screen) {
                fault = fault.or_else(|| replay.fault().cloned());
            }
            if replay.terminal().overrun() {
                exporter.begins_undrawn(begins).map_err(wrote)?;
            }
            let later = |event: &Event| Event::new(event.time.saturating_add(begins), event.payload.clone());
            if number > 0 {
                let (cols, rows) = replay.terminal().size();
                if (cols, rows) != std::mem::replace(&mut size, (cols, rows)) {
                    let event = Event::new(Duration::ZERO, Payload::Resize { cols, rows });
                    exporter.event(&later(&event)).map_err(wrote)?;
                }
            }
            progress.at(millis(begins));
            let label = Event::new(Duration::ZERO, Payload::Marker(label));
            exporter.event(&later(&label)).map_err(wrote)?;
            if let Some(screen) = screen.take() {
                exporter.begins_with(&later(&screen)).map_err(wrote)?;
            }
            // Behind a hole raw output has no place to say that the screen is not known.
            let mut mute = false;
            let ended = part_of(&mut replay, range.clone(), true, &mut |step| {
                ends_in_hole = matches!(step, Step::Hole(_));
                match &step {
                    Step::Blind => mute = format == Format::Raw,
                    Step::Screen(_) => mute = false,
                    _ => {}
                }
                let step = match step {
                    Step::Event(event) => Step::Event(later(&event)),
                    Step::Screen(screen) => Step::Screen(later(&screen)),
                    other => other,
                };
                if let Step::Event(event) | Step::Screen(event) = &step {
                    progress.at(millis(event.time));
                    size = size_from(event).unwrap_or(size);
                }
                // The session does not end where a part does.
                let exits = matches!(&step, Step::Event(Event { payload: Payload::Exit(_), .. }));
                if mute || exits { Ok(()) } else { write(&mut exporter, step).map_err(wrote) }
            })?;
            fault = fault.or(ended);
            begins = begins.saturating_add(range.end.saturating_sub(range.start));
        }
        if !ends_in_hole {
            tell_end(&mut exporter, &mut replay, end);
        }
        // What could be read is whole for those who play it.
        let (losses, _) = exporter.finish().map_err(wrote)?;
        fault.map_or(Ok(losses), |fault| Err(failed(&fault).hint(HOW_MUCH_IS_GOOD)))
    }
}

/// The size that the screen has from here on, where this changes it.
fn size_from(event: &Event) -> Option<(u16, u16)> {
    match &event.payload {
        Payload::Resize { cols, rows } => Some((*cols, *rows)),
        Payload::Keyframe(screen) => Terminal::size_of(screen),
        _ => None,
    }
}

/// The parts around hits, those that overlap as one.
fn parts(hits: &[Hit], around: Duration) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut timed: Vec<(Duration, &Hit)> = hits.iter().filter_map(|hit| Some((hit.time?, hit))).collect();
    timed.sort_by_key(|(time, _)| *time);
    for (time, hit) in timed {
        let range = time.saturating_sub(around)..time.saturating_add(around);
        match parts.last_mut() {
            Some(last) if range.start <= last.range.end => last.range.end = range.end,
            _ => {
                let text: String = hit.text.chars().take(LABEL).collect();
                let doubt = hit.trust.map_or("", Trust::doubt).replace("  ", " ");
                let label = format!("{} {}: {text}{doubt}", clock(millis(time)), hit.field.name());
                parts.push(Part { range, label });
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Field;

    fn hit(seconds: Option<u64>) -> Hit {
        Hit {
            term: 0,
            field: Field::Screen,
            time: seconds.map(Duration::from_secs),
            stood: None,
            text: "needle".into(),
            at: 0..6,
            exit: None,
            trust: None,
            command: None,
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    #[test]
    fn parts_that_overlap_are_one_and_none_begins_before_the_recording() {
        let hits = [hit(None), hit(Some(70)), hit(Some(2)), hit(Some(11)), hit(Some(60))];
        let told = |around| {
            let seconds = |part: &Part| (part.range.start.as_secs(), part.range.end.as_secs());
            parts(&hits, Duration::from_secs(around)).iter().map(seconds).collect::<Vec<_>>()
        };
        assert_eq!(told(5), [(0, 16), (55, 75)]);
        assert_eq!(told(1), [(1, 3), (10, 12), (59, 61), (69, 71)]);
        assert_eq!(parts(&hits, Duration::ZERO)[0].label, "0:02.0 screen: needle");
        assert!(parts(&hits[..1], Duration::from_secs(9)).is_empty());
    }
}
