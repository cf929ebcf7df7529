//! Whether filters, keyframes and commands say what the content says.
//!
//! A reader believes them to save work; who checks a recording does not. Everything is read from the start, as the recorder
//! read it: a filter that denies what was shown, or a keyframe that is another screen than the one before it, is found. So is
//! a command that the index has from the shell and the shell did not tell of, or the other way about: what the shell tells
//! stands among the events. Refuses to judge what the content cannot tell: the kernel's trace, and lines that were inferred
//! from the screen.
//!
//! What is drawn depends on the emulator. Only where the recording says that this generation of it drew filters and keyframes
//! ([`crate::terminal::DRAWING`]) is one that differs a lie; else the two emulators may differ, and it is told as that.

use super::queue::Segments;
use super::reading::{Step, events};
use crate::cast::{Command, Payload, Source};
use crate::container::filter::Filter;
use crate::container::{Entry, Error, GivenUp, Reader};
use crate::shell::marks::Mark;
use crate::shell::said::Said;
use crate::terminal::{Line, Shown, Sieve, Typed, TypedLine, draws_alike};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Seek};
use std::time::Duration;

/// How far a command's time and that of the event that told of it may lie apart, milliseconds: one is cut off, the other
/// rounded so that the sum is right.
const SLACK: u64 = 3;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is wrong, whichever version looks.
    pub lies: Vec<Lie>,
    /// What is not as this version would have made it. The recording is of another generation, or of a recorder that does not
    /// write what the shell tells.
    pub differences: Vec<Lie>,
}

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
    /// A keyframe of this segment is not the screen that stood there.
    Keyframe {
        /// Number of the segment.
        segment: usize,
    },
    /// The index has a command from the shell, of which the shell did not tell.
    Command {
        /// Its start, milliseconds since the start of the session.
        start: u64,
        /// Its text, from the recording.
        text: String,
    },
    /// The shell told of a command, and the index has none.
    NoCommand {
        /// When, milliseconds since the start of the session.
        start: u64,
        /// Its text, from the recording.
        text: String,
    },
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| crate::text::escaped(&text.chars().take(60).collect::<String>()).to_string();
        match self {
            Self::Filter { segment, line } => {
                write!(f, "the filter of segment {segment} denies what it showed: {}", text(line))
            }
            Self::Keyframe { segment } => {
                write!(f, "a keyframe of segment {segment} is not the screen that stood there")
            }
            Self::Command { text: of, .. } => {
                write!(f, "the index has a command that was not run: {}", text(of))
            }
            Self::NoCommand { text: of, .. } => {
                write!(f, "the index does not have a command that was run: {}", text(of))
            }
        }
    }
}

/// Reads a recording whose content is unlocked and tells the first lie of each segment, then those about commands, at most
/// `most` together. `progress` is given the number of the segment that is begun.
///
/// # Errors
/// The content cannot be read.
pub fn audit<R: Read + Seek>(
    reader: &mut Reader<R>,
    most: usize,
    mut progress: impl FnMut(usize),
) -> Result<Audit, Error> {
    let cast = &reader.opening()?.cast;
    let size = (cast.term.cols, cast.term.rows);
    let filters: Vec<Vec<u8>> = reader.entries().iter().map(|entry| entry.filter.clone()).collect();
    let mut told = Told::default();
    let lies: RefCell<Vec<Lie>> = RefCell::default();
    let check = |segment: usize, line: &str| {
        let denied = filters
            .get(segment)
            .and_then(|bytes| Filter::read(bytes))
            .is_some_and(|filter| !filter.may_hold_text(line));
        let same = |lie: &Lie| matches!(lie, Lie::Filter { segment: of, .. } if *of == segment);
        if denied && !lies.borrow().iter().rev().any(same) {
            lies.borrow_mut().push(Lie::Filter { segment, line: line.to_owned() });
        }
    };
    let check_typed =
        |segment: usize, line: &TypedLine| line.texts().for_each(|(text, _)| check(segment, text));
    // A plain line need not be drawn to be checked.
    let looked_at = |segment: usize| {
        let check = &check;
        move |line: &str| {
            check(segment, line);
            false
        }
    };
    let mut keyframes = Vec::new();
    let mut shown = Sieve::new(Shown::new(size));
    let mut typed = Typed::default();
    let mut segment: Option<usize> = None;
    let range = 0..reader.segments();
    events(reader, Segments::alone(&range), |step| {
        let number = segment.unwrap_or(0);
        match step {
            Step::Segment => {
                shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
                typed.pause(&mut |line| check_typed(number, &line));
                segment = Some(segment.map_or(0, |number| number + 1));
                progress(segment.unwrap_or(0));
            }
            Step::Keyframe(text, time) => {
                // Where an operation was refused for its cost, two readings from different starts may differ.
                let terminal = shown.shown().terminal();
                let same = terminal.overrun() || terminal.snapshot().as_deref() == Some(text);
                match Shown::restored(size, text, time) {
                    Some(new) if same => {
                        let old = std::mem::replace(&mut shown, Sieve::new(new)).into_shown();
                        old.finish(&mut |line: Line| check(number.saturating_sub(1), &line.text));
                    }
                    _ => keyframes.push(Lie::Keyframe { segment: number }),
                }
            }
            Step::Event(event) => {
                if let Some(said) = Said::of(&event.payload) {
                    told.hear(event.time, said);
                }
                if let Payload::Keyframe(text) = &event.payload {
                    shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
                    let terminal = shown.shown().terminal();
                    if !terminal.overrun() && terminal.snapshot().as_deref() != Some(text) {
                        keyframes.push(Lie::Keyframe { segment: number });
                    }
                }
                shown.event(event, &mut looked_at(number), &mut |line| check(number, &line.text));
                typed.event(event, &mut |line| check_typed(number, &line));
            }
        }
        true
    })?;
    let number = segment.unwrap_or(0);
    shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
    shown.into_shown().finish(&mut |line| check(number, &line.text));
    typed.finish(&mut |line| check_typed(number, &line));
    let mut lies = lies.into_inner();
    lies.extend(keyframes);
    let meta = &reader.opening()?.meta;
    let integration = meta.in_force.get("shell-integration");
    let marks = integration.is_some_and(|shell| shell != "off" && !shell.starts_with("none"));
    // The first recorders had commands from the shell in the index and nothing of them among the events.
    let tells = meta.drawing > 0 || integration.is_some() || !told.starts.is_empty();
    lies.extend(told.compare(reader.entries(), marks && reader.is_closed()));
    lies.truncate(most);
    let alike = draws_alike(meta.drawing);
    let (lies, differences) = lies.into_iter().partition(|lie| match lie {
        Lie::Filter { .. } | Lie::Keyframe { .. } => alike,
        Lie::Command { .. } => tells,
        Lie::NoCommand { .. } => true,
    });
    Ok(Audit { lies, differences })
}

/// The commands of which the shell told, by time.
#[derive(Default)]
struct Told {
    starts: BTreeMap<u64, Vec<String>>,
    /// When lines began that the shell's history did not take. What they were is not among the events: where the history was told to leave
    /// out what it has, the line is the same as its last one, and the index has it from there.
    unlisted: BTreeSet<u64>,
}

impl Told {
    fn hear(&mut self, time: Duration, said: Said) {
        let Said::Mark(Mark::Start(start)) = said else { return };
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match start.text {
            Some(text) => self.starts.entry(ms).or_default().push(text),
            None if start.unlisted => drop(self.unlisted.insert(ms)),
            None => {}
        }
    }

    /// `whole`: whatever the shell told of should be in the index.
    fn compare(self, entries: &[Entry], whole: bool) -> Vec<Lie> {
        let commands = || entries.iter().flat_map(|entry| &entry.commands);
        let forged = commands().filter(|command| command.source == Source::Shell && !self.has(command));
        let mut lies: Vec<Lie> =
            forged.map(|command| Lie::Command { start: command.start, text: command.text.clone() }).collect();
        // What did not fit says so, and so does what was late or failed.
        let waived = |entry: &Entry| {
            entry.left_out.commands > 0 || entry.given_up.is_some_and(|reason| reason != GivenUp::Flood)
        };
        let whole = whole && !entries.iter().any(waived);
        if whole && !commands().any(|c| c.flags.iter().any(|flag| flag.starts_with("left-out:"))) {
            let mut starts: Vec<u64> = commands().map(|command| command.start).collect();
            starts.sort_unstable();
            let begins = |ms: u64| {
                let from = starts.partition_point(|start| *start < ms.saturating_sub(SLACK));
                starts.get(from).is_some_and(|start| *start <= ms.saturating_add(SLACK))
            };
            // One line that holds several commands is one entry, under the text of the line.
            let runs = |ms: u64, text: &str| {
                let until = ms.saturating_add(SLACK);
                let spans = |c: &&Command| c.start <= until && c.end.is_none_or(|end| end >= ms);
                commands().filter(spans).any(|command| command.text == text)
            };
            for (ms, texts) in &self.starts {
                let missing = texts.iter().filter(|text| !begins(*ms) && !runs(*ms, text));
                lies.extend(missing.map(|text| Lie::NoCommand { start: *ms, text: text.clone() }));
            }
        }
        lies
    }

    /// Whether the shell told of this command when it began.
    fn has(&self, command: &Command) -> bool {
        let about = command.start.saturating_sub(SLACK)..=command.start.saturating_add(SLACK);
        self.starts.range(about.clone()).any(|(_, texts)| texts.contains(&command.text))
            || self.unlisted.range(about).next().is_some()
    }
}
