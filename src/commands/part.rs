//! A range of a recording as a recording of its own, for the player's export and `export --hits`.
//!
//! It begins with the screen as it stood there, by the wall clock as it was then. Refuses to let what comes behind a hole pass
//! for what came next, as [`super::onward`] does.

use super::draft::Draft;
use super::format::{clock, shown};
use super::onward::{Step, told};
use crate::cast::{Event, Payload, millis};
use crate::container::{Header, Opening};
use crate::error::{Error, Kind, Result};
use crate::export::{Exporter, Format};
use crate::replay::{self, Outline, Recording, Replay, Source};
use crate::sys;
use crate::terminal::is_bare;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Writes a range of a recording, a segment at a time; gives the line that says so, and what is missing.
pub(super) fn export(
    watched: Recording<File>,
    id: &str,
    from: Duration,
    to: Duration,
    path: &Path,
    out: &mut Draft,
) -> Result<String> {
    let format = match path.extension().and_then(|e| e.to_str()) {
        Some("txt") => Format::Text,
        Some("json" | "jsonl") => Format::Json,
        Some("raw") => Format::Raw,
        _ => Format::Cast,
    };
    let wrote = |error| Error::from(sys::Error::at("write", path, error));
    let mut header = watched.header().clone();
    let mut opening =
        watched.opening().map_err(|error| Error::new(Kind::Input, format!("{id}: {error}")))?.clone();
    let mut replay = Replay::new(watched);
    begin_at(&mut header, &mut opening, replay.outline(), from);
    let screen = screen_at(&mut replay, from);
    let screen_is_unknown = screen.as_ref().is_some_and(is_no_screen);
    sized(&mut opening, replay.terminal().size());
    let mut exporter = Exporter::begin(format, &header, &opening, BufWriter::new(out)).map_err(wrote)?;
    if replay.terminal().overrun() {
        exporter.begins_undrawn(Duration::ZERO).map_err(wrote)?;
    }
    if let Some(screen) = screen {
        exporter.begins_with(&screen).map_err(wrote)?;
    }
    let blind = replay.fault().filter(|_| screen_is_unknown).cloned();
    let mut ends_in_hole = false;
    // Raw output has no place to say it.
    let goes_on = format != Format::Raw;
    let fault = part_of(&mut replay, from..to, goes_on, &mut |step| {
        ends_in_hole = matches!(step, Step::Hole(_));
        write(&mut exporter, step).map_err(wrote)
    })?;
    if !ends_in_hole {
        tell_end(&mut exporter, &mut replay, to);
    }
    let (losses, mut out) = exporter.finish().map_err(wrote)?;
    out.flush().map_err(wrote)?;
    let mut said = format!("{} to {} written to {}", clock(millis(from)), clock(millis(to)), shown(path));
    if !losses.is_empty() {
        said.push_str(&format!("; {losses}"));
    }
    // What a damaged recording still gave is kept, and is not passed off for the whole.
    match fault.or(blind) {
        Some(fault) => Err(Error::new(Kind::Input, format!("not all of {said}: {fault}"))),
        None => Ok(said),
    }
}

/// What is exported begins at this time of a recording, by the wall clock as it was then: the host may have slept before.
pub(super) fn begin_at(header: &mut Header, opening: &mut Opening, outline: &Outline, from: Duration) {
    // What begins with the recording began when its header says, which is signed.
    if from.is_zero() {
        return;
    }
    let plain = header.start.saturating_add(i64::try_from(millis(from)).unwrap_or(i64::MAX));
    let start = outline.wall(from).unwrap_or(plain);
    if let Some(stamp) = &mut opening.cast.timestamp {
        *stamp = start.div_euclid(1000);
    }
    header.start = start;
}

/// What is exported begins with a screen of this size. Where there was no terminal the exporter begins new lines, and goes on to.
pub(super) fn sized(opening: &mut Opening, (cols, rows): (u16, u16)) {
    if !is_bare(opening.size()) {
        (opening.meta.cols, opening.meta.rows) = (cols, rows);
        (opening.cast.term.cols, opening.cast.term.rows) = (cols, rows);
    }
}

/// What stands in place of the screen at which a range begins.
const NO_SCREEN: &str = "damaged: what came before this could not be read, nor the screen as it stood here";

/// Goes to where a range begins; gives the screen as it stood there, or a mark where it cannot be known.
pub(super) fn screen_at<S: Source>(replay: &mut Replay<S>, from: Duration) -> Option<Event> {
    replay.seek(from);
    // A keyframe is not possible inside a sequence: then the part begins a little later.
    for _ in 0..1000 {
        if replay.terminal().snapshot().is_some() || !replay.step_forward() {
            break;
        }
    }
    if !replay.knows_screen() {
        return Some(Event::new(Duration::ZERO, Payload::Marker(NO_SCREEN.to_owned())));
    }
    let screen = replay.terminal().snapshot()?;
    Some(Event::new(Duration::ZERO, Payload::Output(screen.into_bytes())))
}

/// The events from where the replay stands up to the end of a range, counted from its start. One segment is held at a time. Gives the
/// first reason why something of them could not be read; without `goes_on` it ends there.
pub(super) fn part_of<S: Source>(
    replay: &mut Replay<S>,
    range: Range<Duration>,
    goes_on: bool,
    each: &mut impl FnMut(Step) -> Result<()>,
) -> Result<Option<replay::Error>> {
    let Range { start: from, end: to } = range;
    let place = replay.place();
    let outline = replay.outline();
    let (begins, last) = (outline.segment_at(from), outline.segment_at(to));
    // Where nothing of the range can be read in the segment in which it begins, the replay may stand in a later one.
    let within = outline.spans.get(begins).is_some_and(|span| span.end >= from);
    let first = if within { begins.min(place.segment) } else { place.segment };
    let alike = replay.source_ref().draws_alike();
    let (mut blind, mut untold, mut fault) = (!replay.knows_screen(), false, None);
    for number in first..=last {
        let skip = match number.cmp(&place.segment) {
            std::cmp::Ordering::Less => usize::MAX,
            std::cmp::Ordering::Equal => place.event,
            std::cmp::Ordering::Greater => 0,
        };
        let segment = replay.segment(number);
        for event in segment.events.iter().skip(skip).take_while(|event| event.time <= to) {
            let later = || Event::new(event.time.saturating_sub(from), event.payload.clone());
            match &event.payload {
                Payload::Keyframe(_) if blind && alike => {
                    (blind, untold) = (false, false);
                    each(Step::Screen(later()))?;
                    continue;
                }
                Payload::Keyframe(_) => continue,
                // The clocks of a segment stand before its screen.
                Payload::Anchor(_) => {}
                _ if std::mem::take(&mut untold) => each(Step::Blind)?,
                _ => {}
            }
            each(Step::Event(later()))?;
        }
        // Behind the end of the range nothing of it is missing.
        let reached = segment.events.last().is_none_or(|event| event.time <= to);
        if let Some(error) = segment.fault.as_ref().filter(|_| reached && (number != begins || within)) {
            fault.get_or_insert_with(|| error.clone());
            each(Step::Hole(told(segment.lost, error)))?;
            // One that it has passed already tells nothing of the screen on which it stands.
            if segment.lacks_events() && number >= place.segment {
                (blind, untold) = (true, true);
                if !goes_on {
                    break;
                }
            }
        }
    }
    Ok(fault)
}

/// Writes what comes next.
pub(super) fn write<W: Write>(exporter: &mut Exporter<W>, step: Step) -> io::Result<()> {
    match step {
        Step::Event(event) => exporter.event(&event),
        Step::Hole(note) => exporter.hole(&note),
        Step::Blind => exporter.goes_on_blind(),
        Step::Screen(screen) => exporter.goes_on_from(&screen),
        Step::End(_) => Ok(()),
    }
}

/// Whether this stands in place of a screen that is not known.
pub(super) fn is_no_screen(event: &Event) -> bool {
    matches!(&event.payload, Payload::Marker(text) if text == NO_SCREEN)
}

/// Lets an export end by saying so where a range up to `to` ends with what has been recorded so far.
pub(super) fn tell_end<W: Write>(
    exporter: &mut Exporter<W>,
    replay: &mut Replay<Recording<File>>,
    to: Duration,
) {
    if to < replay.outline().duration() {
        return;
    }
    let reader = replay.source().reader();
    match reader.has_end() {
        true => {}
        false if reader.ends_unproven() => exporter.ends_unproven(),
        false => exporter.has_no_end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Anchor, Header as CastHeader};
    use crate::replay::{Memory, Segment};

    #[test]
    fn a_part_begins_by_the_wall_clock_of_its_own_segment() {
        let anchor = |at, utc| Anchor { at, utc, boot: 0 };
        // The host slept for a day after ten seconds.
        let slept = vec![anchor(0, 5_000), anchor(10_000, 86_415_000)];
        for (anchors, from, start) in [
            (slept.clone(), 3_000, 8_000),
            (slept.clone(), 12_000, 86_417_000),
            (slept, 0, 5_834),
            (Vec::new(), 12_000, 17_834),
            (Vec::new(), 4_962, 10_796),
        ] {
            let mut header = Header { start: 5_834, ..Header::default() };
            let mut opening = Opening::default();
            opening.cast.timestamp = Some(5);
            let outline = Outline { anchors, ..Outline::default() };
            begin_at(&mut header, &mut opening, &outline, Duration::from_millis(from));
            assert_eq!((header.start, opening.cast.timestamp), (start, Some(start / 1000)), "{from}");
        }
    }

    #[test]
    fn a_part_of_what_had_no_terminal_has_none_and_one_of_a_terminal_without_a_size_has_its_screen() {
        for (told, cast, size) in
            [((0, 0), (0, 0), (0, 0)), ((0, 0), (80, 24), (100, 30)), ((80, 24), (80, 24), (100, 30))]
        {
            let mut opening = Opening { cast: CastHeader::new(cast.0, cast.1), ..Opening::default() };
            (opening.meta.cols, opening.meta.rows) = told;
            sized(&mut opening, (100, 30));
            assert_eq!(opening.size(), size, "{told:?} {cast:?}");
        }
    }

    /// Three segments of ten lines, one a second; of the second one only four lines can be read.
    struct Holed(Memory);

    impl Source for Holed {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }

        fn segment(&mut self, number: usize) -> std::result::Result<Segment, replay::Error> {
            let mut segment = self.0.segment(number)?;
            if number == 1 {
                segment.events.truncate(4);
                segment.fault = Some(replay::Error("a hole".to_owned()));
            }
            Ok(segment)
        }

        fn refresh(&mut self) -> std::result::Result<bool, replay::Error> {
            Ok(false)
        }
    }

    #[test]
    fn a_part_goes_on_behind_a_hole_where_that_can_be_said_and_begins_without_a_screen_behind_one() {
        let line = |n: u64| Event::new(Duration::from_secs(n), Payload::Output(format!("{n:02}\r\n").into()));
        let part = |from, to, goes_on| {
            let memory = Memory::new((80, 40), None, (0..30).map(line).collect(), 40);
            assert_eq!(memory.outline().spans.len(), 3);
            let mut replay = Replay::new(Holed(memory));
            let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
            let screen = screen_at(&mut replay, from).unwrap();
            let mut shown = String::new();
            let ended = part_of(&mut replay, from..to, goes_on, &mut |step| {
                shown.push_str(&match step {
                    Step::Event(Event { payload: Payload::Output(bytes), .. }) => {
                        String::from_utf8(bytes).unwrap().replace("\r\n", " ")
                    }
                    Step::Hole(note) => {
                        note.replace("damaged: here something could not be read: ", "") + ", "
                    }
                    Step::Blind => "blind: ".to_owned(),
                    _ => panic!("something else"),
                });
                Ok(())
            })
            .unwrap();
            (shown, is_no_screen(&screen), ended.is_some())
        };
        let told = |text: &str, blind, fault| (text.to_owned(), blind, fault);
        for goes_on in [true, false] {
            let behind = |text: &str| if goes_on { format!("blind: 20 21 {text}") } else { String::new() };
            assert_eq!(part(6, 9, goes_on), told("07 08 09 ", false, false));
            let over = format!("08 09 10 11 12 13 a hole, {}", behind("22 "));
            assert_eq!(part(7, 22, goes_on), told(&over, false, true));
            assert_eq!(part(11, 21, goes_on), told(&format!("12 13 a hole, {}", behind("")), false, true));
            // Inside the hole, and behind it.
            assert_eq!(part(16, 21, goes_on), told(&format!("a hole, {}", behind("")), true, true));
            assert_eq!(part(22, 25, goes_on), told("23 24 25 ", true, false));
        }
    }
}
