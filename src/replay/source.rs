//! Where the events come from: segments, each readable on its own, and an outline of all of them.

use super::activity::Activity;
use crate::cast::{Anchor, Command, Event, Exec, Gap, Missing, Payload, millis};
use crate::container::{Entry, Lost, Opening};
use crate::shell::notices::notices;
use crate::shell::said::Retold;
use crate::terminal::Canvas;
use crate::text;
use std::fmt;
use std::time::Duration;

/// Longest time that is believed, the longest interval of a cast: about 31 years.
pub(super) const LONGEST: u64 = 1_000_000_000_000;
/// Most marks, notices, gaps, resizes and clocks that are kept; more of a recording are left out of the timeline and of lists.
pub(super) const LISTED: usize = 100_000;

/// A time of an index in milliseconds. It may be anything: whoever wrote the file may have lied. It is kept small enough to be
/// reckoned with.
pub(super) fn believed(ms: u64) -> Duration {
    Duration::from_millis(ms.min(LONGEST))
}

/// Why a source could not be read, in words for people. Text from the file is escaped already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// The events of one segment, as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// In order of time.
    pub events: Vec<Event>,
    /// Why not all could be read, if something could not.
    pub fault: Option<Error>,
    /// What that took of it.
    pub lost: Lost,
}

impl Segment {
    /// Whether events of it are missing: what comes next goes on from something else.
    pub fn lacks_events(&self) -> bool {
        self.fault.is_some() && self.lost == Lost::Events
    }

    /// What it takes in memory, about, in bytes.
    pub fn size(&self) -> usize {
        self.events.iter().map(size_of_event).fold(0, usize::saturating_add)
    }
}

/// What an event takes in memory, about, in bytes.
pub(super) fn size_of_event(event: &Event) -> usize {
    let more = match &event.payload {
        Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => bytes.len(),
        Payload::Marker(text) | Payload::Keyframe(text) => text.len(),
        Payload::Other { code, data } => code.len().saturating_add(data.len()),
        Payload::Gap(gap) => gap.why.len().saturating_add(gap.note.len()).saturating_add(gap.of.len()),
        Payload::Resize { .. } | Payload::Exit(_) | Payload::Anchor(_) | Payload::Withheld(_) => 0,
    };
    size_of::<Event>().saturating_add(more)
}

/// What is known of a segment without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Time of its first event.
    pub start: Duration,
    /// Time of its last event.
    pub end: Duration,
    /// Whether there may be a keyframe inside.
    pub keyframe: bool,
}

/// What is known of a recording without reading its segments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// What it is drawn on.
    pub canvas: Canvas,
    /// Start, milliseconds since 1970-01-01T00:00:00Z; `None` when it is not known.
    pub utc: Option<i64>,
    /// The segments, in order.
    pub spans: Vec<Span>,
    /// Output over time, of all of them.
    pub activity: Activity,
    /// Commands, by start.
    pub commands: Vec<Command>,
    /// Programs that belong to no command.
    pub execs: Vec<Exec>,
    /// Why commands or programs may be missing there, in words; `None` where the index is whole.
    pub lack: Option<&'static str>,
    /// Resizes: time, columns, rows.
    pub resizes: Vec<(Duration, u16, u16)>,
    /// Marks of the recording itself.
    pub marks: Vec<(Duration, String)>,
    /// Where a witness fell silent, or entries are missing.
    pub notices: Vec<(Duration, String)>,
    /// Gaps.
    pub gaps: Vec<(Duration, Gap)>,
    /// Both clocks, read together: at least one per segment.
    pub anchors: Vec<Anchor>,
    /// How often input was withheld.
    pub withheld: u64,
    /// Bytes of input that were kept.
    pub input: u64,
    /// What is missing in the gaps.
    pub missing: Missing,
    /// Exit status, when the session ended.
    pub exit: Option<i32>,
}

impl Outline {
    /// Time of the last event.
    pub fn duration(&self) -> Duration {
        self.spans.iter().map(|span| span.end).max().unwrap_or_default()
    }

    /// The segment to read for a time: the last one that begins at or before it.
    pub fn segment_at(&self, time: Duration) -> usize {
        self.spans.partition_point(|span| span.start <= time).saturating_sub(1)
    }

    /// The size that the terminal had last in a segment, where that was changed in it: also of one that cannot be read, the index tells.
    pub fn resized_in(&self, number: usize) -> Option<(u16, u16)> {
        let Span { start, end, .. } = self.spans.get(number)?;
        let later = self.resizes.partition_point(|(at, ..)| at <= end);
        // One that changes nothing is none.
        let counts = |(_, cols, rows): &&(Duration, u16, u16)| *cols > 0 && *rows > 0;
        let (at, cols, rows) = self.resizes.get(..later)?.iter().rfind(counts)?;
        (at >= start).then_some((*cols, *rows))
    }

    /// The wall clock at a time of the session, milliseconds since 1970-01-01T00:00:00Z.
    pub fn wall(&self, time: Duration) -> Option<i64> {
        let ms = millis(time);
        let before = self.anchors.partition_point(|anchor| anchor.at <= ms);
        match self.anchors.get(before.saturating_sub(1)) {
            Some(anchor) => anchor.wall(ms),
            None => Anchor { at: 0, utc: self.utc?, boot: 0 }.wall(ms),
        }
    }

    /// When it began, milliseconds since 1970-01-01T00:00:00Z: as its header says, which is signed. The clock of the session starts
    /// when the program does, so that [`Outline::wall`] of its zero is a little later.
    pub fn began(&self) -> Option<i64> {
        self.utc.or_else(|| self.wall(Duration::ZERO))
    }

    /// The time of the session at a wall clock: the first at which it showed that; else the start for what is before it, a time
    /// behind the end for what is after that. What no clock of the session showed in between, because the host slept or its clock
    /// was set, is when that was over.
    pub fn at_wall(&self, utc: i64) -> Option<Duration> {
        let start = || Some(Anchor { at: 0, utc: self.utc?, boot: 0 });
        let (first, last) = match (self.anchors.first(), self.anchors.last()) {
            (Some(first), Some(last)) => (first.clone(), last.clone()),
            _ => (start()?, start()?),
        };
        let by = |anchor: &Anchor| anchor.at.saturating_add_signed(utc.saturating_sub(anchor.utc));
        let shown = self.shown_at(utc).next().map(millis);
        let passed = || {
            let two = self.anchors.iter().zip(self.anchors.iter().skip(1));
            two.clone()
                .find(|(before, after)| before.utc <= utc && utc < after.utc)
                .map(|(_, after)| after.at)
        };
        let outside = || by(if utc < first.utc { &first } else { &last });
        Some(Duration::from_millis(shown.or_else(passed).unwrap_or_else(outside)))
    }

    /// Every time of the session at which its wall clock showed this: where it was set back, there may be several.
    pub fn shown_at(&self, utc: i64) -> impl Iterator<Item = Duration> {
        let end = millis(self.duration());
        let nexts = self.anchors.iter().skip(1).map(Some).chain([None]);
        self.anchors.iter().zip(nexts).filter_map(move |(anchor, next)| {
            let at = anchor.at.saturating_add_signed(utc.saturating_sub(anchor.utc));
            let within = next.map_or(at <= end, |next| at < next.at);
            (within && anchor.utc <= utc).then(|| Duration::from_millis(at))
        })
    }

    /// Notes where a witness fell silent, or entries are missing, now that the commands are known.
    pub(super) fn note(&mut self, opening: Option<&Opening>, entries: &[Entry]) {
        let commands: Vec<_> = self.commands.iter().collect();
        let told = notices(opening, &commands, entries).into_iter().take(LISTED);
        self.notices = told.map(|(at, text)| (believed(at), label_of(&text))).collect();
    }

    /// A segment that is there and was not looked into, as number `spans.len()`; `start` is the time of its first event,
    /// where that is known.
    pub fn pass(&mut self, start: Option<Duration>) {
        let end = self.spans.last().map_or(Duration::ZERO, |span| span.end);
        let start = start.unwrap_or(end).max(end);
        self.spans.push(Span { start, end: start, keyframe: true });
    }

    /// Counts a segment's events into the outline, as its number `spans.len()`. With `ends`, the end of a command that they begin with
    /// is that of the last one in the outline, if it runs.
    pub fn count(&mut self, events: &[Event], ends: bool) {
        /// Steps of a second kept for a segment; the rest of a longer one is one step.
        const STEPS: u64 = 4096;
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            let at = self.spans.last().map_or(Duration::ZERO, |span| span.end);
            return self.spans.push(Span { start: at, end: at, ..Span::default() });
        };
        let mut bytes: Vec<u64> = Vec::new();
        let mut retold = Retold::default();
        for event in events {
            retold.event(event);
            match &event.payload {
                Payload::Output(data) | Payload::ErrorOutput(data) => {
                    let at = event.time.saturating_sub(first.time).as_secs().min(STEPS);
                    let at = usize::try_from(at).unwrap_or(0);
                    bytes.resize(bytes.len().max(at.saturating_add(1)), 0);
                    if let Some(bytes) = bytes.get_mut(at) {
                        *bytes = bytes.saturating_add(data.len() as u64);
                    }
                }
                Payload::Input(data) => self.input = self.input.saturating_add(data.len() as u64),
                Payload::Withheld(count) => self.withheld = self.withheld.saturating_add(u64::from(*count)),
                Payload::Resize { cols, rows } => self.resizes.push((event.time, *cols, *rows)),
                Payload::Marker(label) => self.marks.push((event.time, label_of(label))),
                Payload::Gap(gap) => {
                    self.missing.add(gap.missing());
                    self.gaps.push((event.time, gap.clone()));
                }
                Payload::Anchor(anchor) => self.anchors.push(anchor.clone()),
                Payload::Exit(status) => self.exit = Some(*status),
                Payload::Keyframe(_) | Payload::Other { .. } => {}
            }
        }
        if ends {
            retold.end(&mut self.commands);
        }
        self.commands.extend(retold.finish());
        for (second, n) in (0..).zip(&bytes) {
            let at = first.time.saturating_add(Duration::from_secs(second));
            self.activity.add(at, u64::BITS.saturating_sub(n.leading_zeros()) as u8);
        }
        let keyframe = events.iter().any(|event| matches!(event.payload, Payload::Keyframe(_)));
        self.spans.push(Span { start: first.time, end: last.time, keyframe });
    }
}

/// As much of a mark's label as is looked at.
pub(super) fn label_of(label: &str) -> String {
    text::beginning(label, 500)
}

/// A recording as replay reads it.
pub trait Source {
    /// What is known of all of it.
    fn outline(&self) -> &Outline;

    /// Reads one segment. What can be read of a damaged one is given, with its fault.
    ///
    /// # Errors
    /// Nothing of the segment can be read at all.
    fn segment(&mut self, number: usize) -> Result<Segment, Error>;

    /// The filter over what a segment showed, as its index has it; empty when there is none: then look inside.
    fn filter(&self, _number: usize) -> &[u8] {
        &[]
    }

    /// Whether its keyframes are what this version draws (see [`crate::terminal::draws_alike`]). Others are passed over.
    fn draws_alike(&self) -> bool {
        true
    }

    /// Whether nothing more can come: the recording was closed in order.
    fn is_ended(&self) -> bool {
        true
    }

    /// Whether somebody still writes it, as far as can be told.
    fn is_written(&self) -> bool {
        true
    }

    /// Takes in what was written since, for a session that runs. Gives whether anything was; segments from the last one
    /// known may have changed.
    ///
    /// # Errors
    /// The file cannot be read any more.
    fn refresh(&mut self) -> Result<bool, Error>;
}

/// A recording that is in memory: for imports and tests.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    outline: Outline,
    segments: Vec<Vec<Event>>,
}

impl Memory {
    /// From events for a terminal of this size, cut into segments of at least `bytes` bytes of output each.
    pub fn new(size: (u16, u16), utc: Option<i64>, events: Vec<Event>, bytes: usize) -> Self {
        let mut memory = Self {
            outline: Outline { canvas: size.into(), utc, ..Outline::default() },
            segments: Vec::new(),
        };
        let mut segment = Vec::new();
        let mut held = 0_usize;
        for event in events {
            if let Payload::Output(data) = &event.payload {
                held = held.saturating_add(data.len());
            }
            segment.push(event);
            if held >= bytes {
                held = 0;
                memory.push(std::mem::take(&mut segment));
            }
        }
        if !segment.is_empty() || memory.segments.is_empty() {
            memory.push(segment);
        }
        memory
    }

    /// Adds a segment, as a running session does.
    pub fn push(&mut self, events: Vec<Event>) {
        self.outline.count(&events, true);
        self.outline.note(None, &[]);
        self.segments.push(events);
    }

    /// Gives the commands, which no event tells.
    pub fn with_commands(mut self, commands: Vec<Command>) -> Self {
        self.outline.commands = commands;
        self.outline.note(None, &[]);
        self
    }

    /// Says that commands may be missing, and why.
    #[cfg(test)]
    pub(crate) fn lacking(mut self, lack: &'static str) -> Self {
        self.outline.lack = Some(lack);
        self
    }

    /// Gives programs that belong to no command, which no event tells.
    #[cfg(test)]
    pub(crate) fn with_execs(mut self, execs: Vec<Exec>) -> Self {
        self.outline.execs = execs;
        self
    }
}

impl Source for Memory {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        let events =
            self.segments.get(number).ok_or_else(|| Error(format!("there is no segment {number}")))?;
        Ok(Segment { events: events.clone(), ..Segment::default() })
    }

    fn refresh(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchored() -> Outline {
        let anchors = [(0, 1_000_000), (10_000, 1_010_000), (20_000, 2_000_000)];
        Outline {
            anchors: anchors.iter().map(|(at, utc)| Anchor { at: *at, utc: *utc, boot: 0 }).collect(),
            spans: vec![Span { end: Duration::from_secs(30), ..Span::default() }],
            ..Outline::default()
        }
    }

    #[test]
    fn the_wall_clock_follows_the_nearest_anchor_before() {
        let outline = anchored();
        for (secs, utc) in [(0, 1_000_000), (5, 1_005_000), (15, 1_015_000), (25, 2_005_000)] {
            assert_eq!(outline.wall(Duration::from_secs(secs)), Some(utc));
            assert_eq!(outline.at_wall(utc), Some(Duration::from_secs(secs)));
        }
        assert_eq!(outline.at_wall(0), Some(Duration::ZERO));
        // The host slept from 20 s on, if not before.
        assert_eq!(outline.at_wall(1_500_000), Some(Duration::from_secs(20)));
        assert_eq!(outline.at_wall(2_030_000), Some(Duration::from_secs(50)), "behind the end");
        assert!(outline.at_wall(i64::MAX) > Some(outline.duration()));
        assert_eq!(Outline::default().wall(Duration::ZERO), None);
    }

    #[test]
    fn a_moment_is_where_a_clock_showed_it_also_where_that_was_set_back() {
        // Set back by an hour after ten seconds, then forward by two, of which the host slept one or not.
        let anchors = [(0, 10_000_000), (10_000, 6_410_000), (20_000, 13_620_000)];
        let outline = Outline {
            anchors: anchors.iter().map(|(at, utc)| Anchor { at: *at, utc: *utc, boot: 0 }).collect(),
            spans: vec![Span { end: Duration::from_secs(30), ..Span::default() }],
            ..Outline::default()
        };
        for (utc, ms) in [
            (10_000_000, 0),
            (10_005_000, 5_000),
            (6_410_000, 10_000),
            (6_413_000, 13_000),
            (13_620_000, 20_000),
            (13_630_000, 30_000),
            // Shown by none: when that was over.
            (10_011_000, 20_000),
            (7_000_000, 20_000),
            // Before it, and after it.
            (6_000_000, 0),
            (13_640_000, 40_000),
        ] {
            assert_eq!(outline.at_wall(utc), Some(Duration::from_millis(ms)), "{utc}");
        }
        // What two showed is where it was first.
        let twice = Outline {
            anchors: vec![Anchor { at: 0, utc: 5_000, boot: 0 }, Anchor { at: 10_000, utc: 12_000, boot: 0 }],
            ..outline
        };
        assert_eq!(twice.at_wall(13_000), Some(Duration::from_millis(8_000)));
        assert_eq!(twice.at_wall(15_000), Some(Duration::from_millis(13_000)));
    }

    #[test]
    fn it_began_when_its_header_says_and_not_when_its_clock_started() {
        let began = |utc| Outline { utc, ..anchored() }.began();
        assert_eq!((began(Some(999_200)), began(None)), (Some(999_200), Some(1_000_000)));
        assert_eq!(Outline::default().began(), None);
    }

    #[test]
    fn an_outline_counts_what_it_is_given() {
        let event = |ms, payload| Event::new(Duration::from_millis(ms), payload);
        let memory = Memory::new(
            (80, 24),
            None,
            vec![
                event(0, Payload::Output(vec![0; 100])),
                event(2500, Payload::Output(vec![0; 3])),
                event(2600, Payload::Withheld(2)),
                event(3000, Payload::Resize { cols: 9, rows: 9 }),
                event(4000, Payload::Exit(3)),
            ],
            100,
        );
        let outline = memory.outline();
        assert_eq!(outline.spans.len(), 2);
        let activity: Vec<_> = outline.activity.steps().collect();
        assert_eq!(activity, [(Duration::ZERO, 7), (Duration::from_millis(2500), 2)]);
        assert_eq!(
            (outline.withheld, outline.exit, outline.duration()),
            (2, Some(3), Duration::from_secs(4))
        );
        assert_eq!(outline.segment_at(Duration::from_millis(2499)), 0);
        assert_eq!(outline.segment_at(Duration::from_millis(2500)), 1);
    }

    #[test]
    fn what_the_shell_told_is_a_command_where_there_is_no_index() {
        use crate::shell::marks::{Mark, Start};
        use crate::shell::said::Said;
        let mark = Mark::Start(Start { text: Some("uptime".into()), ..Start::default() });
        let events = vec![Event::new(Duration::from_secs(3), Said::Mark(mark).payload())];
        let memory = Memory::new((80, 24), None, events, 1);
        let told: Vec<_> = memory.outline.commands.iter().map(|c| (c.text.as_str(), c.start)).collect();
        assert_eq!(told, [("uptime", 3000)]);
    }
}
