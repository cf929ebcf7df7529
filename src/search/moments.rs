//! When what was found first stood on the screen, and what stood around it then: a second reading, of the screen alone.

use super::found::{Findings, MAX_AROUND, Seen};
use super::pattern::Pattern;
use super::query::Field;
use super::queue::Segments;
use super::reading::{Scan, Step, begins_anew, events};
use super::redraw::clip;
use crate::cast::Payload;
use crate::container::{Entry, Reader};
use crate::sys::file::SharedFile;
use crate::terminal::{Kind, Shown, Terminal};
use memchr::memmem::Finder;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Most lines that may be compared with hits in one recording, some seconds: whoever is recorded can let hundreds of lines grow letter
/// by letter. What is not found by then has the time of its line.
const MOST_COMPARED: usize = 100_000_000;

impl Scan<'_> {
    /// Finds for the hits from number `from` on when their text first stood on the screen: not the line, but what was found
    /// in it, and there: the same text may stand higher up. As for [`Scan::range`], what is before a range that is read blind cannot be.
    pub(super) fn moments(
        &self,
        reader: &mut Reader<SharedFile>,
        (range, blind): (Range<usize>, Option<(u16, u16)>),
        found: &mut Findings,
        from: usize,
        cancelled: &dyn Fn() -> bool,
    ) {
        if self.first_only || !self.moments || found.compared > MOST_COMPARED {
            return;
        }
        let mut waiting: Vec<usize> = (from..found.hits.len())
            .filter(|at| {
                let of_screen = |hit: &&Seen| hit.field == Field::Screen && hit.time < hit.until;
                let asked = |hit: &Seen| hit.time < hit.complete || self.around(hit);
                found.hits.get(*at).filter(of_screen).is_some_and(asked)
            })
            .collect();
        if waiting.is_empty() {
            return;
        }
        waiting.sort_by_key(|at| found.hits.get(*at).map(|hit| hit.time));
        // From the last segment that begins with a screen before the first of them came: before the range, where the line of one had
        // been told before and was then not asked for.
        let first = waiting.first().and_then(|at| found.hits.get(*at)).map_or(Duration::ZERO, |hit| hit.time);
        let before = |entry: &Entry| {
            self.alike && begins_anew(entry) && Duration::from_millis(entry.tally.start) <= first
        };
        let entries = reader.entries();
        let earliest = blind.map_or(0, |_| range.start);
        let start = (earliest..range.end).rev().find(|segment| entries.get(*segment).is_some_and(before));
        let range = start.unwrap_or(earliest)..range.end;
        let mut waiting = Waiting {
            scan: self,
            hits: &mut found.hits,
            room: &mut found.around,
            compared: &mut found.compared,
            waiting: waiting.into_iter().map(|at| (at, 0)).collect(),
            crowded: Vec::new(),
            given: HashSet::new(),
            text: String::new(),
        };
        // Only the screen is followed: what scrolls through while nothing is waited for is not drawn.
        let mut shown = self.empty(blind).skim();
        let (mut last, mut changed, mut anew) = (None, true, false);
        // What cannot be read has been told of already.
        let _ = events(reader, Segments::alone(&range), |step| match step {
            Step::Segment => true,
            Step::Keyframe(..) if !self.alike => true,
            Step::Keyframe(text, time) => {
                let more = match last {
                    Some(before) if before < time => waiting.look(&mut shown, before, time, changed, anew),
                    _ => true,
                };
                if let Some(new) = Shown::restored(self.canvas, text, time) {
                    shown = new.skim();
                }
                (last, changed, anew) = (Some(time), true, true);
                more
            }
            Step::Event(event) => {
                // Events of one millisecond are one: a replay shows them together. What is typed is no reason to look.
                let more = match last.replace(event.time) {
                    Some(before) if before < event.time => {
                        let (changed, anew) = (std::mem::take(&mut changed), std::mem::take(&mut anew));
                        waiting.look(&mut shown, before, event.time, changed, anew)
                    }
                    _ => true,
                };
                changed |= matches!(
                    event.payload,
                    Payload::Output(_) | Payload::ErrorOutput(_) | Payload::Resize { .. }
                );
                shown.event(event, &mut |_| ());
                more && !cancelled()
            }
        });
        if let Some(time) = last {
            waiting.look(&mut shown, time, time, changed, anew);
        }
        let mut crowded = waiting.crowded;
        crowded.sort_unstable();
        found.more += crowded.len() as u64;
        for at in crowded.into_iter().rev() {
            found.hits.remove(at);
        }
    }

    fn pattern(&self, hit: &Seen) -> Option<&Pattern> {
        self.terms.get(hit.term).copied().flatten().map(|term| &term.pattern)
    }

    /// Whether the lines are asked for that stood around it.
    fn around(&self, hit: &Seen) -> bool {
        self.context > 0 && matches!(hit.kind, Some(Kind::Page(_)))
    }
}

/// Hits of which it is not known when their text first stood on the screen.
struct Waiting<'a> {
    scan: &'a Scan<'a>,
    hits: &'a mut Vec<Seen>,
    /// What the lines around hits take, in bytes.
    room: &'a mut usize,
    compared: &'a mut usize,
    /// Their numbers, by time; of each, how many lines stand that begin like its own and are others.
    waiting: Vec<(usize, usize)>,
    /// Hits for whose surroundings there is no more room, but for one of each term.
    crowded: Vec<usize>,
    given: HashSet<usize>,
    /// The screen.
    text: String,
}

impl Waiting<'_> {
    /// Looks at the screen as it stands from `time` until `next`; gives whether there is more to wait for.
    fn look(&mut self, shown: &mut Shown, time: Duration, next: Duration, changed: bool, anew: bool) -> bool {
        let Self { scan, hits, room, compared, waiting, crowded, given, text } = self;
        let time_of = |(at, _): &(usize, usize)| hits.get(*at).map_or(Duration::MAX, |hit| hit.time);
        let near = waiting.iter().take_while(|waits| time_of(waits) <= next).count();
        if waiting.iter().take(near).any(|waits| changed || time < time_of(waits)) {
            screen(shown.terminal(), text);
            let lines = Lines::of(text, shown.terminal());
            let whole = |(at, _): &(usize, usize)| hits.get(*at).map_or("", |hit| hit.sought().0);
            let cost = waiting.iter().take(near).map(|waits| lines.cost(whole(waits)));
            **compared = compared.saturating_add(cost.sum());
            if **compared > MOST_COMPARED {
                return false;
            }
            let mut rows: Vec<Arc<str>> = Vec::new();
            let mut place = 0;
            waiting.retain_mut(|(at, others)| {
                place += 1;
                let Some(hit) = hits.get_mut(*at).filter(|_| place <= near) else { return true };
                let pattern = scan.pattern(hit);
                let (whole, place) = hit.sought();
                let like = || lines.read_as(whole).filter(|line| is_like(line, whole, place, pattern));
                let standing = like().count();
                if time < hit.time {
                    *others = standing;
                    return true;
                }
                if anew && time == hit.time {
                    // What stood there before is not known, but this line was not yet what it came to be.
                    let grows = |line: &&str| whole.starts_with(*line) && whole != *line;
                    let own = like().filter(grows).count();
                    *others = standing.saturating_sub(own.min(1));
                }
                let stands = standing > *others;
                if stands || time >= hit.complete {
                    hit.time = time.min(hit.complete);
                    if stands {
                        hit.since = hit.time;
                    }
                    if scan.around(hit) && !given.insert(hit.term) && **room >= MAX_AROUND {
                        crowded.push(*at);
                    } else if scan.around(hit) {
                        if rows.is_empty() {
                            rows = lines.rows();
                            **room += rows.iter().map(|row| row.len()).sum::<usize>();
                        }
                        (hit.before, hit.after) = around(&rows, &lines, hit, pattern, scan.context);
                        **room += (hit.before.len() + hit.after.len()) * size_of::<Arc<str>>();
                    }
                    return false;
                }
                *others = standing;
                true
            });
        }
        !waiting.is_empty()
    }
}

/// The lines above and below a hit on a screen of these, which are kept as `rows`. None where it does not stand there alone in its row.
fn around(
    rows: &[Arc<str>],
    lines: &Lines<'_>,
    hit: &Seen,
    pattern: Option<&Pattern>,
    count: usize,
) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
    let row = usize::try_from(hit.number).unwrap_or(usize::MAX);
    let (whole, place) = hit.sought();
    // Of several that begin like it the nearest to its row: where rows are joined, it stands higher up here.
    let like = lines.read_as(whole).enumerate().filter(|(_, line)| is_like(line, whole, place, pattern));
    let Some(at) = like.map(|(at, _)| at).min_by_key(|at| at.abs_diff(row)) else {
        return Default::default();
    };
    let (above, below) = (rows.get(..at).unwrap_or_default(), rows.get(at + 1..).unwrap_or_default());
    (above[above.len().saturating_sub(count)..].to_vec(), below[..below.len().min(count)].to_vec())
}

/// Whether a line begins like the `whole` one of a hit, up to the end of what was found in it at `place`; or of what was found in it
/// before it grew, as a regular expression finds less in less.
fn is_like(line: &str, whole: &str, place: &Range<usize>, pattern: Option<&Pattern>) -> bool {
    let part = whole.get(..place.end).unwrap_or(whole);
    if line.starts_with(part) {
        return true;
    }
    let same = line.bytes().zip(part.bytes()).take_while(|(one, other)| one == other).count();
    let grew = |at: Range<usize>| at.start == place.start && at.end <= same;
    same > place.start && pattern.and_then(|pattern| pattern.find(line)).is_some_and(grew)
}

/// The lines of a screen.
pub(crate) struct Lines<'a> {
    text: &'a str,
    count: usize,
    /// The topmost, where it goes on over several rows: of one that is longer than the screen the beginning has scrolled away.
    top: Option<Finder<'a>>,
}

impl<'a> Lines<'a> {
    /// Of a terminal whose [`screen`] has this text.
    pub(crate) fn of(text: &'a str, terminal: &Terminal) -> Self {
        let top = text.lines().next().map(str::trim_end);
        let top = top.filter(|top| terminal.row_wraps(0) && !top.is_empty());
        Self { text, count: terminal.size().1.into(), top: top.map(Finder::new) }
    }

    /// What it costs to look for a line among them, in lines that are compared.
    pub(crate) fn cost(&self, whole: &str) -> usize {
        self.count + if self.top.is_some() { whole.len() / 16 } else { 0 }
    }

    /// As they are kept around hits.
    fn rows(&self) -> Vec<Arc<str>> {
        self.text.lines().map(|line| clip(line.trim_end(), &(0..0)).0.into()).collect()
    }

    /// How many of them read like this line up to its byte `end`.
    pub(crate) fn like(&self, whole: &str, end: usize) -> usize {
        let part = whole.get(..end).unwrap_or(whole);
        self.read_as(whole).filter(|line| line.starts_with(part)).count()
    }

    /// The lines as they read if the topmost is a part of this one: from its beginning on, which has scrolled away.
    fn read_as<'b>(&'b self, whole: &'b str) -> impl Iterator<Item = &'b str> {
        let part = |top: &Finder<'_>| Some(top.find(whole.as_bytes())? + top.needle().len());
        let top = self.top.as_ref().and_then(part).and_then(|end| whole.get(..end));
        self.text.lines().enumerate().map(move |(row, line)| top.filter(|_| row == 0).unwrap_or(line))
    }
}

/// The text of the screen, wrapped rows joined, in place of what `out` held.
pub(crate) fn screen(terminal: &Terminal, out: &mut String) {
    out.clear();
    for row in 0..terminal.size().1 {
        terminal.row_text_to(row, out);
        if !terminal.row_wraps(row) {
            out.push('\n');
        }
    }
}
