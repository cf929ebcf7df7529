//! Command entries, made of what the shell says, of what stood on the screen at Enter, and of what the kernel ran.
//!
//! The [`Tracker`] is fed the events of a session in their order and gives [`Command`]s. It believes each witness as far
//! as its trust goes and no further: a mark with the nonce is the shell's word, a line on the screen is an inference,
//! marks of others are hearsay and are read only where the shell has said nothing itself. Where witnesses differ, the
//! entry says so in its flags; nothing is ever made to agree.
//!
//! Times are milliseconds since the start of the session, but where they decide what belongs together, microseconds. Memory is bounded: entries leave a moment after they end, the
//! list of processes and the programs of one entry have limits.

mod at_once;
mod entries;
mod hints;
mod lines;
mod pasted;
mod prompts;
mod so_far;
mod start;
mod through;
mod unanswered;
mod unread;
mod unstarted;

use super::join::Processes;
use super::marks::Mark;
use super::screen::Screen;
use crate::cast::{Command, Exec, Source, Trust};
use hints::Hinted;
use lines::{INTERRUPTED, Typing};
use prompts::Prompts;
use through::Through;
pub use through::lost_execs;
use unread::Unread;
pub(super) use unstarted::Standing;

/// How long an ended entry waits at least for what is still said of it.
pub const SETTLE: u64 = 300;
/// How far the times of the kernel's trace and those of the session may lie apart, microseconds.
const SLACK: u64 = 3_000;
/// What [`Tracker::drain`] gives.
#[derive(Debug, Default, PartialEq)]
pub struct Settled {
    /// Commands that ended, or are the continuation of one.
    pub commands: Vec<Command>,
    /// Programs that no command explains, such as those a prompt starts.
    pub execs: Vec<Exec>,
}

/// An entry that has not left yet.
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) command: Command,
    /// When the line was entered: the shell knows of it from then on. Microseconds.
    pub(super) begin: u64,
    /// When it ended, microseconds.
    pub(super) closed: Option<u64>,
    /// The lines as they stood on the screen.
    pub(super) shown: Vec<String>,
    /// Of its programs.
    bytes: usize,
    /// Part of it was sent ahead.
    sent_ahead: bool,
    pub(super) standing: Standing,
    /// Its line was typed behind what certainly was a prompt.
    solid: bool,
    /// Only a program makes it a command: it was given up, or may have been read by another.
    given_up: bool,
    /// A program was executed for it, or the shell has counted it.
    pub(super) ran: bool,
    /// Starts that the shell had told of when this one had none.
    era: u64,
    /// Since when it has waited only for a witness that is late, milliseconds.
    waits: Option<u64>,
    /// The shell has run further lines since, of which it did not tell: whatever ends next, nobody knows whether that is this.
    read_on: bool,
}

impl Entry {
    /// The status of what has ended now.
    fn exits(&mut self, status: Option<i32>, pipe: Vec<i32>) {
        let is_its_own = !self.read_on;
        self.command.exit = status.filter(|_| is_its_own);
        self.command.pipe = if is_its_own && pipe.len() > 1 { pipe } else { Vec::new() };
    }
}

/// Where the shell stands, as its marks tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No marks, or no more: a shell without integration, or whatever runs there.
    Unknown,
    /// At a prompt.
    Prompt,
    /// This entry runs.
    Running(u64),
}

/// When something happened, microseconds: exactly, or within the millisecond in which it was read.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    fn of(ms: u64) -> Self {
        let first = ms.saturating_mul(1_000);
        Self { first, last: first.saturating_add(999) }
    }

    fn is_exact(self) -> bool {
        self.first == self.last
    }
}

/// Follows one session.
pub struct Tracker {
    place: Place,
    /// The integration said that it is there.
    told: bool,
    /// The shell sends a mark when a command starts, so that a line without one ran nothing.
    sends_start: bool,
    /// Its marks are expected: it was started with the integration.
    expected: bool,
    /// It told of a prompt, a start or an end.
    heard: bool,
    /// Lines were entered.
    entered: bool,
    /// Starts that it has told of.
    starts: u64,
    /// Lines since the last of them that ran all the same.
    unstarted: u32,
    /// An end was told since the last prompt began.
    end_since_prompt: bool,
    /// The last end was told by the prompt alone: the hook that tells directories and numbers is gone.
    hookless: bool,
    /// It was told that ends are not.
    endless: bool,
    prompts: Prompts,
    /// When a prompt was shown again though a command had not ended, of a shell that tells of no starts: milliseconds.
    shown_again: Option<u64>,
    hinted: Hinted,
    cwd: Option<String>,
    typing: Typing,
    pub(super) entries: Vec<Entry>,
    next: u64,
    /// The line last inferred while something else ran.
    inner: Option<u64>,
    /// The entry that the last prompt ended.
    ended: Option<u64>,
    /// When the next mark was sent, where the shell's clock tells: microseconds.
    sent: Option<u64>,
    /// What is known of the withheld input that is told next.
    hidden: Option<(u64, bool)>,
    /// When the last command ended. The next one has not begun before, whenever its line was typed.
    last_end: Span,
    unread: Unread,
    pub(super) processes: Processes,
    pub(super) through: Through,
    /// Processes of no command that were decided on too early.
    early: u64,
    /// See [`Tracker::unsealed`].
    unsealed: Option<u64>,
    settled: Settled,
}

impl Tracker {
    /// A tracker for a session whose shell has this process id, where it is known.
    pub fn new(shell: Option<u32>) -> Self {
        Self {
            place: Place::Unknown,
            told: false,
            sends_start: false,
            expected: false,
            heard: false,
            entered: false,
            starts: 0,
            unstarted: 0,
            end_since_prompt: false,
            hookless: false,
            endless: false,
            prompts: Prompts::default(),
            shown_again: None,
            hinted: Hinted::default(),
            cwd: None,
            typing: Typing::default(),
            entries: Vec::new(),
            next: 0,
            inner: None,
            ended: None,
            sent: None,
            hidden: None,
            last_end: Span::of(0),
            unread: Unread::default(),
            processes: Processes::new(shell),
            through: Through::default(),
            early: 0,
            unsealed: None,
            settled: Settled::default(),
        }
    }

    /// Follows the programs below this process: its first child is the session's shell, or the command of
    /// [`Tracker::command`].
    pub fn below(&mut self, root: u32) {
        self.processes.set_root(root);
    }

    /// The session is one command, not a shell: everything belongs to it.
    pub fn command(&mut self, text: String, cwd: Option<String>) {
        let command =
            Command { text, cwd, source: Source::Argv, trust: Trust::Witnessed, ..Command::default() };
        let id = self.open(command, 0, Standing::Ran);
        self.place = Place::Running(id);
    }

    /// So many bytes of the line of [`Tracker::command`] are not kept.
    pub fn command_lacks(&mut self, bytes: usize) {
        self.flag_current(&format!(
            "cut: only the beginning of the line is kept, without its last {bytes} bytes"
        ));
    }

    /// The shell was started with the integration: that it never tells anything is itself worth telling.
    pub fn expect_marks(&mut self) {
        self.expected = true;
    }

    /// Output, without the marks, on its way to the screen: this feeds it.
    pub fn output(&mut self, time: u64, bytes: &[u8], screen: &mut impl Screen) {
        if std::mem::take(&mut self.typing.fresh) {
            self.typing.stood = screen.line();
            self.typing.printed = screen.above(1).first().is_some_and(|above| *above != self.typing.left);
            self.look_for_unanswered();
            self.look_at_once();
        }
        let mut rest = bytes;
        while self.awaits_line() && (!self.prompts.drawing || self.takes_rows()) {
            let newline = memchr::memchr(b'\n', rest);
            let line = newline.and_then(|at| rest.get(..at)).unwrap_or(rest);
            let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last.saturating_add(1));
            let (drawn, returns) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            screen.feed(drawn);
            if !drawn.is_empty() {
                self.typing.returning = None;
            }
            rest = returns;
            // The cursor is looked at before it goes to the first column: the line feed may come with the next piece.
            let Some(newline) = newline else {
                if !returns.is_empty() {
                    self.typing.returning.get_or_insert_with(|| screen.line());
                }
                break;
            };
            let left = self.typing.returning.take().unwrap_or_else(|| screen.line());
            if self.prompts.drawing {
                self.row_left(time, left);
            } else if self.typing.enters > 0 {
                self.line_left(time, left);
            } else if self.typing.drawn.is_none() {
                self.row_behind(time, left);
            } else {
                self.line_drawn(left);
            }
            let ended = newline.saturating_sub(end).saturating_add(1);
            screen.feed(rest.get(..ended).unwrap_or_default());
            rest = rest.get(ended..).unwrap_or_default();
        }
        if self.prompts.drawing && !rest.is_empty() {
            self.typing.returning = None;
        }
        screen.feed(rest);
    }

    /// Keys that were typed. Only whether and where lines are ended is looked at; nothing of them is kept. Whoever has no
    /// keys, only the times at which lines were ended, calls [`Tracker::entered`] instead.
    pub fn input(&mut self, time: u64, bytes: &[u8], screen: &mut impl Screen) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    if self.typing.enters == 0 && self.typing.prompt.is_none() {
                        self.typing.prompt = screen.line().map(|line| line.before);
                    }
                    self.entered(time);
                }
                // ^C gives the line up.
                3 => self.typing.forget(),
                _ if self.typing.prompt.is_none() && self.typing.enters == 0 => {
                    self.typing.prompt = Some(screen.line().map(|line| line.before).unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    /// The first key is pressed of the line that the shell reads: what stands before the cursor is its prompt. Of a shell that tells
    /// where its prompt ends nothing more is known by that.
    pub fn begins(&mut self, screen: &mut impl Screen) {
        if self.place == Place::Prompt && self.prompts.last.is_none() && self.typing.enters == 0 {
            self.typing.prompt = screen.line().map(|line| line.before);
        }
    }

    /// A line was ended by the operator.
    pub fn entered(&mut self, time: u64) {
        self.typing.at_once = self.typing.enters > 0 || matches!(self.place, Place::Running(_));
        self.typing.drawn = None;
        self.typing.pasted_inside.entered(self.typing.enters);
        if !self.typing.fresh {
            self.typing.unanswered.comes(time, self.typing.enters);
        }
        if self.typing.enters == 0 {
            (self.typing.at, self.typing.returning) = (time, None);
        }
        self.typing.enters = self.typing.enters.saturating_add(1);
        (self.typing.fresh, self.typing.alone) = (true, false);
        // A prompt whose end is never told is not drawn for ever.
        self.prompts.drawn();
        self.entered = true;
    }

    /// A line was ended by the operator, and Enter was the only key since the shell began to read it.
    pub fn entered_alone(&mut self, time: u64) {
        self.entered(time);
        self.typing.alone = true;
    }

    /// Whether the line that the cursor leaves next is of interest: then [`Tracker::output`] must be given the output.
    pub fn awaits_line(&self) -> bool {
        self.typing.enters > 0 || self.typing.drawn.is_some() || self.typing.pasted_inside.awaits()
    }

    /// What [`Tracker::withheld`] is told of next: when the first key of it was pressed, milliseconds, and whether a line was ended
    /// with it, or read as a secret. Else they were keys for a program that draws the screen itself, or such.
    pub fn hidden(&mut self, at: u64, line: bool) {
        self.hidden = Some((at, line));
    }

    /// Input was withheld from the recording: something was typed that the screen did not show. It may be told long after.
    pub fn withheld(&mut self) {
        let told = self.hidden.take();
        let flag = match told {
            Some((_, false)) => "keys: some were pressed that the screen did not show",
            _ => "echo-off: input was typed that the screen did not show",
        };
        match told.and_then(|(at, line)| self.with_keys(at, line)).and_then(|id| self.entry(id)) {
            Some(entry) => push_flag(&mut entry.command, flag),
            // The command that had the keys has left. A line is not to be lost for that, keys are.
            None if told.is_some_and(|(_, line)| !line) => {}
            None => self.flag_current(flag),
        }
    }

    /// The entry that keys from `at` on (milliseconds) were typed for: what ran then; or, where they end a line, what that began.
    fn with_keys(&self, at: u64, line: bool) -> Option<u64> {
        let at = at.saturating_mul(1_000);
        let begun = |e: &&Entry| line && e.begin >= at && e.command.source != Source::Hint;
        let next = || self.entries.iter().filter(begun).min_by_key(|e| (e.begin, e.id)).map(|e| e.id);
        self.at(at).or_else(next)
    }

    /// When the mark that follows was sent, microseconds since the start of the session: by the shell's clock, so a hint. It
    /// is believed as far as it lies between the end of the last command and the moment the mark was read, and only decides
    /// what belongs to which command: the times of an entry are those of the recording.
    pub fn clock(&mut self, micros: u64) {
        self.sent = Some(micros);
    }

    /// A mark with the session's nonce.
    pub fn mark(&mut self, time: u64, mark: Mark, screen: &mut impl Screen) {
        let read = Span::of(time);
        let at = match self.sent.take() {
            Some(sent) if (self.last_end.first..=read.last).contains(&sent) => {
                Span { first: sent, last: sent }
            }
            _ => read,
        };
        self.heard |= !matches!(mark, Mark::Clock(_) | Mark::Integration { .. });
        if matches!(mark, Mark::Prompt { .. } | Mark::Start(_) | Mark::End { .. }) {
            self.prompt_has_no_end();
        }
        match mark {
            Mark::Clock(_) => {}
            Mark::Integration { shell, pid, .. } => {
                (self.told, self.prompts.pid) = (true, Some(pid));
                self.sends_start = matches!(shell.as_str(), "bash" | "bash-preexec" | "zsh" | "fish");
            }
            Mark::Prompt { cwd } => {
                // fish tells of an end only where something ran, and by another hook.
                if !std::mem::take(&mut self.end_since_prompt) && self.place == Place::Prompt {
                    self.unstart(time, at, None);
                    self.forget_lines();
                }
                self.prompts.begins();
                self.cwd = cwd.or(self.cwd.take());
                if self.place == Place::Unknown {
                    self.place = Place::Prompt;
                }
            }
            Mark::Status(status) => self.prompts.status = Some(status),
            Mark::Typing(told) => self.typing_begins(time, at, told, screen),
            Mark::Start(start) => {
                self.sends_start = true;
                self.starts = self.starts.saturating_add(1);
                self.unstarted = 0;
                self.start(time, at, start, screen);
            }
            Mark::End { status, pipe, cancelled } => {
                (self.end_since_prompt, self.hookless) = (true, false);
                (self.prompts.end_since_typing, self.endless) = (true, false);
                self.end(time, at, status, pipe, cancelled);
                self.place = Place::Prompt;
            }
        }
    }

    /// Commands that are known of and have not settled.
    pub fn running(&self) -> usize {
        self.entries.iter().filter(|entry| entry.standing == Standing::Ran).count()
    }

    /// Entries that have settled at `now`.
    pub fn drain(&mut self, now: u64) -> Settled {
        if let Some(until) = self.through.decided() {
            self.run_processes(until);
        }
        self.leave_settled(now);
        self.tell_early(now);
        std::mem::take(&mut self.settled)
    }

    /// The session is over: everything that is left. `status` is that of the shell itself.
    pub fn finish(&mut self, now: u64, status: Option<i32>) -> Settled {
        self.prompt_has_no_end();
        self.tell_at_once();
        // The session is over: nothing more comes.
        self.through = Through::default();
        self.run_processes(u64::MAX);
        self.tell_early(now);
        let last = match self.place {
            // A prompt was shown in it, and lines were typed there: nobody knows whose end this is.
            Place::Running(_) if self.shown_again.is_some() => {
                self.judge_shown_again();
                None
            }
            Place::Running(id) => Some(id),
            // The line that ended a shell which marks no starts (`exit`).
            Place::Prompt if !self.sends_start => self.guess().map(|e| e.id),
            _ => None,
        };
        if let Some(entry) = last.and_then(|id| self.entry(id)) {
            entry.standing = Standing::Ran;
            entry.command.end = Some(now);
            entry.exits(status, Vec::new());
        }
        self.unstart(now, Span::of(now), None);
        self.leave(|_| true);
        self.tell_unread();
        self.tell_left_running(now);
        if self.expected && self.entered && !self.heard {
            let (source, trust, flags) = (Source::Screen, Trust::Inferred, vec![TOLD_NOTHING.to_owned()]);
            self.settled.commands.push(Command { source, trust, flags, ..Command::default() });
        }
        std::mem::take(&mut self.settled)
    }

    fn end(&mut self, time: u64, at: Span, status: Option<i32>, pipe: Vec<i32>, cancelled: bool) {
        self.tell_at_once();
        self.close_inner(at.last);
        self.last_end = at;
        let ended = match self.place {
            Place::Running(id) => Some(id),
            _ if self.sends_start || cancelled => None,
            _ => {
                let interrupted = status == Some(INTERRUPTED);
                let read = |e: &&Entry| e.is_guess() && !(e.standing == Standing::Ahead && interrupted);
                self.entries.iter().find(read).map(|e| e.id)
            }
        };
        let more = self.typed_on();
        if let Some(entry) = ended.and_then(|id| self.entry(id)) {
            let more = more.filter(|_| entry.standing != Standing::Ahead);
            entry.standing = Standing::Ran;
            entry.closed = Some(at.last);
            entry.command.end = Some(time);
            entry.exits(status, pipe);
            more.iter().for_each(|flag| push_flag(&mut entry.command, flag));
        }
        self.shown_again = None;
        let given_up = cancelled || status == Some(INTERRUPTED);
        if given_up {
            self.entries.iter_mut().filter(|e| e.is_guess()).for_each(|e| e.given_up = true);
        }
        let unstarted = self.unstart(time, at, status);
        self.ended = ended.or(unstarted);
        self.forget_lines();
        (self.typing.after, self.typing.drawn) = (None, None);
        self.read_ahead(time, at, status);
    }

    /// Whether the shell told by its clock when the last command ended.
    pub(super) fn ended_exactly(&self) -> bool {
        self.last_end.is_exact()
    }

    fn close_inner(&mut self, micros: u64) {
        if let Some(entry) = self.inner.take().and_then(|id| self.entry(id)) {
            entry.closed = Some(micros);
        }
    }

    /// The marks of the shell have ended, though it goes on: seen from the kernel, or because it became another program.
    pub(super) fn marks_ended(&mut self, time: u64, flag: &str) {
        let last = match self.place {
            Place::Running(id) => Some(id),
            Place::Prompt if !self.sends_start => self.guess().map(|e| e.id),
            _ => None,
        };
        if let Some(entry) = last.and_then(|id| self.entry(id)) {
            entry.standing = Standing::Ran;
            push_flag(&mut entry.command, flag);
            entry.closed = Some(Span::of(time).last);
        }
        (self.place, self.shown_again) = (Place::Unknown, None);
    }

    /// The shell executed something else in its own place.
    pub(super) fn shell_replaced(&mut self, time: u64, flag: &str) {
        if self.told {
            self.marks_ended(time, flag);
        }
    }

    /// Whether something else than the shell's own prompt was typed at while an entry ran, before `time` (microseconds).
    pub(super) fn inner_began_before(&self, time: u64) -> bool {
        let latest = time.saturating_add(SLACK);
        let Place::Running(running) = self.place else { return false };
        let inner =
            |e: &Entry| e.id > running && e.command.source == Source::Screen && e.standing == Standing::Ran;
        self.told && self.entries.iter().any(|e| inner(e) && e.begin <= latest)
    }
}

/// The flag of a shell that goes on without its marks.
pub(super) const MARKS_ENDED: &str = "marks-ended: the shell goes on, but no longer tells what it runs";
/// The flag of a session whose shell told nothing.
pub(super) const TOLD_NOTHING: &str = "silent: the shell was to tell what it runs, and never did";

/// Adds a flag once.
pub(super) fn push_flag(command: &mut Command, flag: &str) {
    if !command.flags.iter().any(|known| known == flag) {
        command.flags.push(flag.to_string());
    }
}

#[cfg(test)]
use entries::MAX_ENTRIES;
#[cfg(test)]
use lines::AHEAD;
#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
