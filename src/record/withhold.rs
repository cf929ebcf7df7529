//! What of the typed input may be stored. Pure: the clock and the terminal's flags are given by the caller.
//!
//! Two rules, together:
//!
//! 1. While the terminal reads a line without showing it (ECHO off, ICANON on), everything typed is a secret and is
//!    dropped at once.
//! 2. Everything else is held, in memory that is wiped, until Enter, a pause or a limit, and is stored only if at
//!    least four fifths of it came back in the output, its end among them: in order, after it was typed, before the line it ended was
//!    left, and drawn where the cursor stood (or all of it a little later, behind the prompt of a shell; see `echo`).
//!    What is stored was on the screen anyway.
//!
//! (The wiping is complete only under the allocator of `sys::memory`, which also wipes what a growing buffer leaves.)
//!
//! In doubt it withholds. Withheld input is counted, one for each line, and one more where a line takes long: neither its length nor
//! its timing is told.
//! A secret that the program shows is in the output of the recording, which is not this room's to change.
//!
//! Here is what is typed and what is decided of it; what is shown is looked for in `shown`, and `reader` has where a line ends.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod below;
mod cursor;
mod drawn;
mod echo;
mod keys;
mod reader;
mod run;
mod shown;
mod standing;
mod unseen;

use crate::policy::Input;
use cursor::Cursor;
use drawn::Cell;
use keys::{Keys, Kind};
use run::Run;
use std::collections::VecDeque;
use std::time::Duration;
pub use unseen::Unseen;
use zeroize::Zeroizing;

/// A pause of this length ends a run of keys.
const PAUSE: Duration = Duration::from_millis(500);
/// A run of keys is not held longer than this.
const LONGEST: Duration = Duration::from_secs(2);
/// The bytes of one key or answer are not further apart than this.
const WITHIN: Duration = Duration::from_millis(25);
/// Who writes is not done for so long: where the cursor is by then is in the middle of something.
const WRITES: Duration = Duration::from_millis(2);
/// How long the echo of a run is waited for, after its end and after the last sign of it. An idle host needs a few
/// milliseconds, a line to the other side of the world (300) or a busy host (200 beside four builds) most of this.
const ECHO: Duration = Duration::from_millis(500);
/// The same for a line that was typed ahead, behind one that was shown: what that one began may take its time, and then a shell shows the
/// next one.
const AHEAD: Duration = Duration::from_secs(5);
/// A run of keys is not longer than this, in bytes, or than twice this where it ends within an answer of the terminal; a paste is
/// many runs.
const LARGEST: usize = 1024;
/// At most this many runs are held; older ones are decided early, with what was seen. Bounds memory.
const MOST_RUNS: usize = 4096;
/// So many runs behind the one that is waited for are looked at for an echo, when a pause ended those before it: one key that
/// is a command, or two. Bounds the work for each byte of output.
const BEHIND: usize = 2;
/// The same, when the lines before it were left without an echo: what was typed ahead of a program that shows nothing of it.
const LEFT: usize = 32;
/// A line that was withheld is reported after this time at the latest, though its Enter is still to come.
const REPORT: Duration = Duration::from_secs(5);

/// What comes of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// It may be stored.
    Input(Vec<u8>),
    /// This many lines (or parts of lines) were withheld.
    Withheld(u32),
}

/// What a [`Typed::Withheld`] was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// When the first of the keys was pressed.
    pub since: Duration,
    /// A line was ended, or the terminal's settings said that a secret was read. Else they were keys, such as a pager takes.
    pub line: bool,
}

/// Holds back what is typed until it is known whether it may be stored.
// No Debug: it would show what was typed.
pub struct Withhold {
    policy: Input,
    runs: VecDeque<Run>,
    keys: Keys,
    cursor: Cursor,
    /// When anything was last drawn.
    drawn: Duration,
    /// When an echo of a run that is decided was last seen: what was typed behind it is waited for from then on.
    echoed: Duration,
    /// Since when something is unreported.
    unreported: Option<Duration>,
    /// What it was.
    unreported_as: Option<Reported>,
    /// Reported, not fetched yet.
    reported: VecDeque<Reported>,
    /// Something was withheld since [`Withhold::take_hidden`].
    hidden: bool,
    /// What became of the keys typed since [`Withhold::begin_line`]: some were shown, some withheld.
    line: (bool, bool),
    /// What was typed last was shown.
    shows: bool,
    /// So many Tabs were typed last.
    tabs: usize,
    /// So many lines were stored before the cursor left them, the last one at this time.
    owed: (u32, Duration),
    /// Part of the line in hand was withheld.
    hides: bool,
    /// …and that was reported before the line ended.
    told: bool,
    /// Where the cursor stood at the last key.
    stood: Cell,
}

impl Withhold {
    /// Nothing typed yet.
    pub fn new(policy: Input) -> Self {
        Self {
            policy,
            runs: VecDeque::new(),
            keys: Keys::default(),
            cursor: Cursor::default(),
            drawn: Duration::ZERO,
            echoed: Duration::ZERO,
            unreported: None,
            unreported_as: None,
            reported: VecDeque::new(),
            hidden: false,
            line: (false, false),
            shows: false,
            tabs: 0,
            owed: (0, Duration::ZERO),
            hides: false,
            told: false,
            stood: Cell::default(),
        }
    }

    /// The terminal has this size, in cells.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.cursor.resize(cols, rows);
    }

    /// `bytes` were typed at `now`. `secret`: the terminal's settings say that a secret is being read, looked at
    /// before the bytes are handed on.
    pub fn typed(&mut self, now: Duration, bytes: &[u8], secret: bool, out: &mut Vec<Typed>) {
        if self.policy == Input::All {
            if !bytes.is_empty() {
                out.push(Typed::Input(bytes.to_vec()));
            }
            return;
        }
        self.close(now);
        if secret {
            self.drop_at_once(now, bytes, out);
            return;
        }
        let last = self.runs.back().map(|run| run.last);
        // An Escape by itself leaves what was typed before it: an editor's text, a field.
        if self.keys.start(last.is_some_and(|last| now >= last.saturating_add(WITHIN)))
            && let Some(run) = self.runs.back_mut()
        {
            run.closed = run.closed.or(Some(now));
            run.ends = true;
        }
        let passed_line = self.cursor.catch_up();
        if self.runs.is_empty() && (passed_line || now >= self.owed.1.saturating_add(ECHO)) {
            self.owed.0 = 0;
        }
        let (stood, stands) = (self.cursor.seen_at(), self.cursor.stands_at());
        let search = self.cursor.searches_at();
        if now >= self.drawn.saturating_add(WRITES) {
            if let Some(run) = self.runs.back_mut() {
                run.echo.rests_at(stood);
            }
            self.look_who_reads(stands);
        }
        if self.cursor.has_left() {
            self.reader_left();
        }
        if let Some(run) = self.runs.back_mut() {
            run.answered |= self.drawn > run.last;
        }
        self.stood = stands;
        for &byte in bytes {
            let within = self.keys.is_within();
            let carries = self.keys.carries_text();
            let kind = self.keys.next(byte);
            let carries = carries || self.keys.carries_text();
            let composed = (kind == Kind::Composed).then(|| self.keys.composed());
            let is_new = !self.is_open();
            let (goes_on, is_within) = (within && is_new, self.keys.is_within());
            let run = self.open_run(now);
            run.bytes.push(byte);
            run.last = now;
            if let Some(place) = search.filter(|_| is_new) {
                run.echo.searches_at(place);
            }
            // The rest of a sequence that was too long for one.
            run.doubtful |= goes_on;
            match kind {
                Kind::Shown => run.echo.expect(byte, stood, stands),
                Kind::Numbered(c) => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| run.echo.expect(byte, stood, stands));
                }
                Kind::Composed => {
                    let composed = composed.as_deref().map(String::as_bytes).unwrap_or_default();
                    composed.iter().for_each(|byte| run.echo.expect(*byte, stood, stands));
                }
                Kind::Alt(c) => run.alts |= run.alt.replace(c).is_some_and(|before| before != c),
                Kind::Released => run.released = true,
                Kind::Enter => {
                    run.closed = Some(now);
                    run.line = true;
                    run.doubtful |= within;
                }
                Kind::Ends => {
                    run.closed = Some(now);
                    run.tab = byte == b'\t';
                    run.ends = true;
                }
                Kind::Control => {}
            }
            run.doubtful |= carries;
            // Not within a character, nor within a key, but for what can be none.
            let ends = !(is_within || run.bytes.len() >= LARGEST && run.is_cut());
            if run.bytes.len() >= if ends { LARGEST } else { 2 * LARGEST } {
                run.closed = run.closed.or(Some(now));
                run.doubtful |= is_within;
            }
            self.tabs = if run.tab { self.tabs.saturating_add(1) } else { 0 };
        }
        while self.runs.len() > MOST_RUNS {
            self.decide(now, out);
        }
        self.settle(now, out);
    }

    /// Whether something was withheld since this was asked last, or would be if no more of it were shown than up to now.
    pub fn take_hidden(&mut self) -> bool {
        std::mem::take(&mut self.hidden) || self.runs.iter().any(Run::is_unseen)
    }

    /// When the first key was pressed that is held back, or was withheld and not told of.
    pub fn held_since(&self) -> Option<Duration> {
        let untold = self.unreported_as.map(|part| part.since);
        self.runs.front().map(|run| run.first).into_iter().chain(untold).min()
    }

    /// When [`Withhold::tick`] has something to do, if ever.
    pub fn deadline(&self) -> Option<Duration> {
        let run = self.runs.front().map(|run| {
            let leaves =
                self.runs.iter().take(LEFT).filter(|_| run.ahead).filter_map(|run| run.leaves(self.echoed));
            leaves.chain(run.expires(self.echoed)).min().unwrap_or_else(|| run.closes())
        });
        let report = self.unreported.map(|since| since.saturating_add(REPORT));
        match (run, report) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Closes and decides what is due at `now`.
    ///
    /// Call it only once everything that came by then was given to [`Withhold::shown`]: who calls may be late too, and what was
    /// echoed in time and waits to be read is no less an echo.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Typed>) {
        self.close(now);
        if self.runs.front().is_some_and(|run| run.ahead) {
            let due = |run: &&mut Run| run.leaves(self.echoed).is_some_and(|due| now >= due);
            self.runs.iter_mut().take(LEFT).filter(due).for_each(|run| run.echo.leave());
        }
        while let Some(run) = self.runs.front()
            && run.expires(self.echoed).is_some_and(|due| now >= due)
        {
            self.decide(now, out);
        }
        self.settle(now, out);
        if self.unreported.is_some_and(|since| now >= since.saturating_add(REPORT)) {
            // Once is enough before the end of a line: how often would tell how long it takes.
            if self.told {
                self.unreported = None;
            } else {
                self.report(out);
                self.told = self.hides;
            }
        }
    }

    /// Closes a run that was ended by a pause, or is held for long enough.
    fn close(&mut self, now: Duration) {
        if let Some(run) = self.runs.back_mut()
            && run.closed.is_none()
        {
            let due = run.closes();
            if now >= due {
                run.closed = Some(due);
                run.echo.rests_at(self.cursor.seen_at());
                run.doubtful |= self.keys.is_within();
                self.keys.give_up();
            }
        }
    }

    /// The session is over, or nothing is shown any more: decides everything with what was seen.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Typed>) {
        if let Some(run) = self.runs.back_mut().filter(|run| run.closed.is_none()) {
            run.doubtful |= self.keys.is_within();
        }
        self.keys.give_up();
        while !self.runs.is_empty() {
            self.decide(now, out);
        }
        self.report(out);
    }

    /// Rule 1: nothing is held, nothing remembered but that it happened.
    fn drop_at_once(&mut self, now: Duration, bytes: &[u8], out: &mut Vec<Typed>) {
        // What was typed before and is still open ends here; it was typed to someone else.
        while !self.runs.is_empty() {
            self.decide(now, out);
        }
        self.hide(now, now, true);
        (self.hidden, self.line.1) = (true, true);
        if bytes.iter().any(|byte| keys::is_enter(*byte)) {
            self.report(out);
            self.told = false;
        }
        self.hides = !bytes.last().is_some_and(|byte| keys::is_enter(*byte));
    }

    fn is_open(&self) -> bool {
        self.runs.back().is_some_and(|run| run.closed.is_none())
    }

    fn open_run(&mut self, now: Duration) -> &mut Run {
        let open = self.runs.pop_back_if(|run| run.closed.is_none());
        self.runs.push_back_mut(open.unwrap_or_else(|| Run {
            bytes: Zeroizing::default(),
            echo: echo::Match::behind_tabs(self.tabs),
            first: now,
            last: now,
            closed: None,
            echoed: Duration::ZERO,
            ahead: false,
            line: false,
            tab: false,
            doubtful: false,
            released: false,
            alt: None,
            alts: false,
            earlier: false,
            ends: false,
            answered: false,
            gone: false,
            left: false,
        }))
    }

    /// Decides at the front whatever needs no more waiting: keys that no echo would show, and lines that came back
    /// whole.
    fn settle(&mut self, now: Duration, out: &mut Vec<Typed>) {
        while let Some(run) = self.runs.front()
            && run.closed.is_some()
            && (run.echo.is_settled() || run.echo.expects_nothing() || run.doubtful)
        {
            self.decide(now, out);
        }
    }

    /// Decides the run at the front.
    fn decide(&mut self, now: Duration, out: &mut Vec<Typed>) {
        let few = self.runs.len() <= LEFT;
        let Some(run) = self.runs.pop_front() else { return };
        let ends = run.line || run.ends;
        self.decide_run(now, run, few, out);
        if ends {
            (self.hides, self.told) = (false, false);
        }
    }

    fn decide_run(&mut self, now: Duration, mut run: Run, few: bool, out: &mut Vec<Typed>) {
        self.echoed = self.echoed.max(run.echoed);
        // In a line of which something was withheld, keys without an echo (a backspace, say) would tell of it, and a letter or two are
        // found anywhere.
        let hides = self.hides && !(run.ends && run.echo.expects_nothing()) || self.unreported.is_some();
        let hidden = hides && run.echo.is_short() && !run.line;
        // So are commands with Alt, different ones, where nothing is known to be shown.
        let alone = (run.released || run.alts && !self.shows) && run.echo.expects_nothing();
        let stars = run.echo.is_stars() && !self.shows || run.echo.is_masked();
        let shown = run.echo.was_shown() && !hidden && !alone && !stars && !run.doubtful;
        self.shows = !run.line && if run.echo.expects_nothing() { self.shows } else { shown };
        if shown {
            if run.echo.was_below() {
                self.owed.0 = 0;
            }
            let end = run.echo.ends_at().filter(|_| run.is_whole());
            let next = self.runs.iter_mut().take(LEFT).find(|run| !run.is_tab());
            if let (Some(cell), Some(next)) = (end, next) {
                next.echo.follows(cell);
            }
            // What is more than is looked at would keep what is typed later from being seen.
            if let Some(next) = self.runs.front_mut().filter(|_| few) {
                next.ahead = run.line && next.line;
            }
            if run.line && !run.echo.is_over() {
                self.owed = (self.owed.0.saturating_add(1), now);
            }
            // Enter alone, after a pause: it ends the line of which something was withheld.
            if let Some(part) = self.unreported_as.as_mut().filter(|_| run.echo.expects_nothing()) {
                part.line |= run.line;
            }
            self.report(out);
            self.line.0 |= !run.earlier && !run.echo.expects_nothing();
            return self.input(out, std::mem::take(&mut *run.bytes));
        }
        self.hide(now, run.first, run.line);
        self.hides |= run.is_unseen();
        (self.hidden, self.line.1) = (true, self.line.1 || !run.earlier);
        // Of what was left nothing is to come.
        if run.line || run.left {
            self.report(out);
        }
        if run.line {
            // That a line ended is plain to see in the output.
            let enter = run.bytes.last().copied().filter(|byte| keys::is_enter(*byte));
            if let Some(byte) = enter {
                self.input(out, vec![byte]);
            }
        }
    }

    /// Adds input to what comes out, in as few pieces as can be.
    fn input(&self, out: &mut Vec<Typed>, more: Vec<u8>) {
        match out.last_mut() {
            _ if self.policy == Input::None => {}
            Some(Typed::Input(bytes)) => bytes.extend_from_slice(&more),
            _ => out.push(Typed::Input(more)),
        }
    }

    /// Something is withheld at `now` that was typed from `first` on; a line that is ended counts for more than keys before it.
    fn hide(&mut self, now: Duration, first: Duration, line: bool) {
        self.unreported.get_or_insert(now);
        let part = self.unreported_as.get_or_insert(Reported { since: first, line });
        if line && !part.line {
            *part = Reported { since: first, line };
        }
    }

    /// What was reported, the first of it that was not asked for yet. What was typed at once is told of once.
    pub fn take_reported(&mut self) -> Option<Reported> {
        self.reported.pop_front()
    }

    fn report(&mut self, out: &mut Vec<Typed>) {
        let part = self.unreported_as.take();
        self.unreported = None;
        if part.is_some() && self.policy == Input::Echoed {
            self.reported.extend(part.filter(|part| self.reported.back() != Some(part)));
            match out.last_mut() {
                Some(Typed::Withheld(count)) => *count = count.saturating_add(1),
                _ => out.push(Typed::Withheld(1)),
            }
        }
    }
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod gone_on_tests;
#[cfg(test)]
mod noise_tests;
#[cfg(test)]
mod paste_tests;
#[cfg(test)]
mod places_tests;
#[cfg(test)]
mod shell_tests;
#[cfg(test)]
mod stored_tests;
#[cfg(test)]
mod tests;
