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

use super::heard::{Heard, Missing, is_near};
use super::queue::Segments;
use super::reading::{Step, events};
use crate::cast::{Command, LEFT_OUT, Payload, is_of, millis};
use crate::container::filter::Filter;
use crate::container::{Entry, Error, GivenUp, Reader, limits};
use crate::shell::said::Said;
use crate::terminal::{Line, Shown, Sieve, Terminal, Typed, TypedLine, draws_alike};
use std::cell::RefCell;
use std::fmt;
use std::io::{Read, Seek};

/// As many characters of a line or a command are told of.
const TOLD: usize = 256;
/// As many commands that were told of beside others are kept until it is known whether those stand for them.
const BESIDE: usize = 4096;
/// A command of the index that ends so long after the last event of the recording is one that no recorder writes, milliseconds: what
/// the kernel tells may come when nothing else does, but not much later.
const AFTERWARDS: u64 = 3_600_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is wrong, whichever version looks.
    pub lies: Vec<Lie>,
    /// What is not as this version would have made it. The recording is of another generation, or of a recorder that does not
    /// write what the shell tells.
    pub differences: Vec<Lie>,
    /// What no recorder writes unless its index was late to the very end, and what of the index nobody would believe. It proves nothing.
    pub doubts: Vec<Lie>,
    /// Segments with a keyframe that could not be compared, because drawing what stood there would have cost too much. The index says
    /// that the recorder had lost the screen before, as one does for that; reading went on from the keyframe, as a search does.
    pub unchecked: Vec<usize>,
}

/// Something that the index or a keyframe says and the content does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The filter of this segment denies a line that was shown or typed in it.
    Filter {
        /// Number of the segment.
        segment: usize,
        /// The beginning of the line, from the recording.
        line: String,
    },
    /// A keyframe of this segment is not the screen that stood there.
    Keyframe {
        /// Number of the segment.
        segment: usize,
    },
    /// This segment has more keyframes than a recorder makes.
    Keyframes {
        /// Number of the segment.
        segment: usize,
    },
    /// The index has a command from the shell, of which the shell did not tell.
    Command {
        /// Its start, milliseconds since the start of the session.
        start: u64,
        /// The beginning of its text, from the recording.
        text: String,
    },
    /// The shell told of a command, and the index has none.
    NoCommand {
        /// When, milliseconds since the start of the session.
        start: u64,
        /// The beginning of its text, from the recording.
        text: String,
    },
    /// In the index a command ends before it began, or long after the recording does.
    End {
        /// Its start, milliseconds since the start of the session.
        start: u64,
        /// Its end, likewise.
        end: u64,
        /// The beginning of its text, from the recording.
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
            Self::Keyframes { segment } => {
                write!(f, "segment {segment} has more keyframes than a recorder makes")
            }
            Self::Command { text: of, .. } => {
                write!(f, "the index has a command that was not run: {}", text(of))
            }
            Self::NoCommand { text: of, .. } => {
                write!(f, "the index does not have a command that was run: {}", text(of))
            }
            Self::End { start, end, text: of } if end < start => {
                write!(f, "in the index a command ends before it began: {}", text(of))
            }
            Self::End { text: of, .. } => {
                write!(f, "in the index a command ends after the recording does: {}", text(of))
            }
        }
    }
}

/// Reads a recording whose content is unlocked and tells the first lie of each segment about its filter and about its keyframes,
/// then those about commands, at most `most` together. `progress` is given the number of the segment that is begun.
///
/// Holds what a search holds and a few numbers for each segment and command of the index: what the content says can be millions of
/// times as long as the file.
///
/// # Errors
/// The content cannot be read.
pub fn audit<R: Read + Seek>(
    reader: &mut Reader<R>,
    most: usize,
    mut progress: impl FnMut(usize),
) -> Result<Audit, Error> {
    let opening = reader.opening()?;
    let canvas = crate::replay::canvas(opening);
    let marks = opening.meta.telling_shell().is_some();
    let (drawing, integrated) =
        (opening.meta.drawing, opening.meta.in_force.contains_key("shell-integration"));
    let filters: Vec<Vec<u8>> = reader.entries().iter().map(|entry| entry.filter.clone()).collect();
    let told = marks && reader.is_closed();
    let whole = told && has_every_command(reader.entries(), false);
    let whole_or_late = told && has_every_command(reader.entries(), true);
    let (mut heard, mut unheard, mut beside) = (Heard::new(reader.entries()), Vec::new(), Vec::new());
    let mut last = 0;
    let lies: RefCell<Vec<Lie>> = RefCell::default();
    let check = |segment: usize, line: &str| {
        let denied = filters
            .get(segment)
            .and_then(|bytes| Filter::read(bytes))
            .is_some_and(|filter| !filter.may_hold_text(line));
        let same = |lie: &Lie| matches!(lie, Lie::Filter { segment: of, .. } if *of == segment);
        if denied && lies.borrow().len() < most && !lies.borrow().iter().rev().any(same) {
            lies.borrow_mut().push(Lie::Filter { segment, line: beginning(line) });
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
    let mut keyframes = Keyframes::new(reader.entries(), most);
    let mut shown = Sieve::new(Shown::new(canvas));
    let mut typed = Typed::default();
    let mut segment: Option<usize> = None;
    let range = 0..reader.segments();
    let passed = events(reader, Segments::alone(&range), |step| {
        let number = segment.unwrap_or(0);
        match step {
            Step::Segment => {
                shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
                typed.pause(&mut |line| check_typed(number, &line));
                segment = Some(segment.map_or(0, |number| number + 1));
                keyframes.begin(segment.unwrap_or(0));
                progress(segment.unwrap_or(0));
            }
            Step::Keyframe(text, time) => {
                if keyframes.may_go_on(text, shown.shown().terminal()) {
                    match Shown::restored(canvas, text, time) {
                        Some(new) => {
                            let old = std::mem::replace(&mut shown, Sieve::new(new)).into_shown();
                            old.finish(&mut |line: Line| check(number.saturating_sub(1), &line.text));
                            keyframes.gone_on();
                        }
                        None => keyframes.wrong(Lie::Keyframe { segment: number }),
                    }
                }
            }
            Step::Event(event) => {
                last = millis(event.time);
                if let Some(said) = Said::of(&event.payload)
                    && let Some(Missing { start, text, beside: near }) = heard.hear(event.time, said)
                    && whole_or_late
                {
                    let (missing, most) = if near { (&mut beside, BESIDE) } else { (&mut unheard, most) };
                    if missing.len() < most {
                        missing.push(Lie::NoCommand { start, text: beginning(&text) });
                    }
                }
                match &event.payload {
                    Payload::Output(bytes) | Payload::ErrorOutput(bytes) => keyframes.output(bytes.len()),
                    Payload::Keyframe(text) if keyframes.another() => {
                        shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
                        keyframes.compare(text, shown.shown().terminal());
                    }
                    _ => {}
                }
                shown.event(event, &mut looked_at(number), &mut |line| check(number, &line.text));
                typed.event(event, &mut |line| check_typed(number, &line));
            }
        }
        true
    })?;
    passed.map_or(Ok(()), Err)?;
    let number = segment.unwrap_or(0);
    shown.drain(&mut looked_at(number), &mut |line| check(number, &line.text));
    shown.into_shown().finish(&mut |line| check(number, &line.text));
    typed.finish(&mut |line| check_typed(number, &line));
    let mut lies = lies.into_inner();
    lies.extend(keyframes.lies);
    let commands = reader.entries().iter().flat_map(|entry| &entry.commands);
    let forged = commands.filter(|command| heard.is_forged(command)).take(most);
    lies.extend(forged.map(|command| Lie::Command { start: command.start, text: beginning(&command.text) }));
    let untold = heard.untold();
    beside.retain(|lie| !matches!(lie, Lie::NoCommand { start, .. } if is_near(&untold, *start)));
    let mut doubts = match whole {
        true => Vec::new(),
        false => std::mem::take(&mut unheard),
    };
    lies.extend(unheard);
    lies.truncate(most);
    doubts.extend(beside);
    let entries = reader.entries().iter();
    let commands = entries.flat_map(|entry| entry.commands.iter().chain(&entry.running));
    doubts.extend(commands.filter_map(|command| absurd_end(command, last)));
    doubts.truncate(most);
    // The first recorders had commands from the shell in the index and nothing of them among the events.
    let tells = drawing > 0 || integrated || heard.any();
    let alike = draws_alike(drawing);
    let (lies, differences) = lies.into_iter().partition(|lie| match lie {
        Lie::Filter { .. } | Lie::Keyframe { .. } | Lie::Keyframes { .. } => alike,
        Lie::Command { .. } => tells,
        Lie::NoCommand { .. } | Lie::End { .. } => true,
    });
    // Nobody goes on from those of another generation.
    let unchecked = if alike { keyframes.unchecked } else { Vec::new() };
    Ok(Audit { lies, differences, doubts, unchecked })
}

/// Whether all that the shell told of should be in the index. What did not fit says so, and so does what failed. What was late is told
/// with the next segment, so that only at the very end something may be missing for that: `late` says that it is no reason.
fn has_every_command(entries: &[Entry], late: bool) -> bool {
    let excuses = |reason| match reason {
        GivenUp::Flood => false,
        GivenUp::Late => !late,
        _ => true,
    };
    let waived = |entry: &Entry| entry.left_out.commands > 0 || entry.given_up.is_some_and(excuses);
    let left_out = |command: &Command| command.flags.iter().any(|flag| is_of(flag, LEFT_OUT));
    !entries.iter().any(waived) && !entries.iter().flat_map(|entry| &entry.commands).any(left_out)
}

/// What is said of a command that cannot have ended when the index says, in a recording whose last event is at `last` (milliseconds).
fn absurd_end(command: &Command, last: u64) -> Option<Lie> {
    let (start, end) = (command.start, command.end?);
    let absurd = end < start || end > last.saturating_add(AFTERWARDS);
    absurd.then(|| Lie::End { start, end, text: beginning(&command.text) })
}

/// As much of a text as is told of it.
fn beginning(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// Compares keyframes with the screen, as many as a recorder makes and the first that is wrong in each segment: a look at a large
/// screen takes milliseconds, and a keyframe a few bytes of the file.
struct Keyframes {
    most: usize,
    /// Segments that say why they have less of an index than they could have.
    gave_up: Vec<bool>,
    segment: usize,
    /// Output of the segment in hand, bytes, and keyframes inside it.
    raw: u64,
    inside: u64,
    /// A recorder that lost the screen since the one that was gone on from says so.
    excused: bool,
    /// The segment in hand has a wrong one.
    found: bool,
    lies: Vec<Lie>,
    unchecked: Vec<usize>,
}

impl Keyframes {
    fn new(entries: &[Entry], most: usize) -> Self {
        let gave_up = entries.iter().map(|entry| entry.given_up.is_some()).collect();
        let (lies, unchecked) = (Vec::new(), Vec::new());
        Self { most, gave_up, segment: 0, raw: 0, inside: 0, excused: false, found: false, lies, unchecked }
    }

    /// A segment begins.
    fn begin(&mut self, segment: usize) {
        self.excused |= segment > 0 && self.gives_up();
        (self.segment, self.raw, self.inside, self.found) = (segment, 0, 0, false);
    }

    fn output(&mut self, bytes: usize) {
        self.raw = self.raw.saturating_add(bytes as u64);
    }

    /// Whether the segment in hand says so, or has no entry that could.
    fn gives_up(&self) -> bool {
        self.gave_up.get(self.segment).is_none_or(|gave_up| *gave_up)
    }

    fn wrong(&mut self, lie: Lie) {
        if !std::mem::replace(&mut self.found, true) && self.lies.len() < self.most {
            self.lies.push(lie);
        }
    }

    /// Whether a keyframe at the start of a segment is what the reading goes on from, as a search does.
    fn may_go_on(&mut self, text: &str, stood: &Terminal) -> bool {
        self.fits(text, stood, self.excused)
    }

    /// It did.
    fn gone_on(&mut self) {
        self.excused = false;
    }

    /// Whether another one inside a segment is to be compared.
    fn another(&mut self) -> bool {
        self.inside = self.inside.saturating_add(1);
        // By half of one more: a character that is not whole yet may stand behind the keyframe.
        let room = self.raw.saturating_add(limits::KEYFRAME_BYTES / 2);
        if self.inside.saturating_mul(limits::KEYFRAME_BYTES) > room {
            self.wrong(Lie::Keyframes { segment: self.segment });
        }
        !self.found
    }

    fn compare(&mut self, text: &str, stood: &Terminal) {
        self.fits(text, stood, self.excused || self.gives_up());
    }

    /// Where an operation was refused for its cost, two readings from different starts may differ. A recorder makes no keyframe
    /// from then on until its own reading has begun anew, after a reset or where the screen came too late, and `excused` it is
    /// where the index says that it lost the screen.
    fn fits(&mut self, text: &str, stood: &Terminal, excused: bool) -> bool {
        if stood.snapshot().as_deref() == Some(text) {
            return true;
        }
        let segment = self.segment;
        if !(stood.overrun() && excused) {
            self.wrong(Lie::Keyframe { segment });
            return false;
        }
        if self.unchecked.last() != Some(&segment) && self.unchecked.len() < self.most {
            self.unchecked.push(segment);
        }
        true
    }
}
