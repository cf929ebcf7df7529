//! The marks that our shell integration sends, taken out of the stream of output bytes.
//!
//! A mark is the operating system command `ESC ] 7717 ; NONCE ; KIND … BEL`, private to this program:
//!
//! | mark | meaning |
//! |---|---|
//! | `I;SHELL;VERSION;PID` | the integration is in force in this shell |
//! | `A;WRITING;CWD` | a prompt begins |
//! | `S;STATUS` | the prompt is drawn from here on (bash): status of the last command |
//! | `B;STATUS;NUMBER;COMMANDS;PID` | the prompt ends, typing begins: status of the last command (where no `S` told it), number the next line gets in the history, how many commands the shell has run and one, its process id |
//! | `C;NUMBER;BEFORE;LENGTH;WRITING;TEXT` | a command starts: history number now and as the prompt had it (with a `-` where the history takes every line by itself), length of what stands in TEXT (with a `+` when it was shortened), the text |
//! | `T;CLOCK` | when the shell sent the `C` or `D` that follows: seconds since 1970 with six decimals, after a point or a comma |
//! | `D;STATUS;PIPE` | a command ended (or, in shells without `C`, a prompt comes up): status, statuses of the pipeline; `D;;cancel` when the line was given up |
//!
//! `WRITING` is how the text after it is quoted: `q` as bash and zsh do, `u` in percent writing, `r` raw.
//!
//! The nonce keeps programs that only *print* from forging a mark; it does not stop whoever runs the shell, who can
//! read it. What is not exactly a mark of ours passes on untouched, byte for byte, and creates nothing. An overlong
//! or broken mark is refused as a whole, never cut to fit. The length inside `C` shows when another process wrote
//! into the middle of a mark.
//!
//! Marks of other programs (`OSC 133`, `633`, `7`) stay in the bytes and are reported as [`Hint`]s: anyone can print them.
//!
//! This stands on the way of every byte of output: without an `ESC ]` it costs one search for two bytes.

mod payload;

use crate::crypto::digest::hex;
use memchr::memmem;
use payload::{parse, parse_hint};
use serde::{Deserialize, Serialize};

/// The longest payload of a mark that is accepted, in bytes. The integration shortens command lines to 4,096 bytes,
/// which quoting can make four times as long.
const MAX_MARK: usize = 24 << 10;
/// The longest command of others that is read as a hint, in bytes.
const MAX_HINT: usize = 4 << 10;
/// Where the nonce starts in the introduction of a mark.
const LEAD: &[u8] = b"\x1b]7717;";
const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// What makes a mark ours: 128 random bits in hexadecimal, new for every session.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }

    /// Its 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Nonce {
    /// Not shown: whoever reads it in a log can forge marks.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// A mark with the session's nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The integration is in force.
    Integration {
        /// How it hooked in: `bash`, `bash-preexec`, `bash-readonly`, `zsh`, `fish`, `sh`…
        shell: String,
        /// Version of the shell.
        version: String,
        /// Process id of the shell, in its own pid namespace.
        pid: u32,
    },
    /// A prompt begins.
    Prompt {
        /// Working directory.
        cwd: Option<String>,
    },
    /// The prompt begins to be drawn.
    Status(i32),
    /// The prompt ends; what follows is being typed.
    Typing(AtPrompt),
    /// When the shell sent the mark that follows, by the wall clock: microseconds since 1970-01-01T00:00:00Z. The mark itself
    /// is read later, on a busy host much later.
    Clock(u64),
    /// A command starts.
    Start(Start),
    /// A command ended, or a prompt came up.
    End {
        /// Exit status.
        status: Option<i32>,
        /// Statuses of the parts of a pipeline, empty where the shell does not tell or there was one part.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pipe: Vec<i32>,
        /// The line was given up (`^C`): no command ran.
        #[serde(default, skip_serializing_if = "is_false")]
        cancelled: bool,
    },
}

/// What a shell says at the end of its prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtPrompt {
    /// Status of the last command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The number that the next line gets in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// How many commands the shell has run, and one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<u64>,
    /// Process id of the shell, in its own pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// What a shell says when a command starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The command line, where the shell can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Number of the last line in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The number this line was to have, as it stood at the prompt. A smaller [`Start::number`] tells that the line
    /// did not enter the history, so that the text is another one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The history takes every line by itself: of a command of several lines, the text is the last.
    #[serde(skip_serializing_if = "is_false")]
    pub by_line: bool,
    /// Only the beginning of the text was sent.
    #[serde(skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Other bytes got into the text on its way.
    #[serde(skip_serializing_if = "is_false")]
    pub mangled: bool,
    /// The line was typed without being shown, like a password: [`WITHHELD`] stands for its text.
    #[serde(skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// In what a recording keeps, where the numbers are gone: the line did not enter the history, so that its text was not told.
    #[serde(skip_serializing_if = "is_false")]
    pub unlisted: bool,
}

/// The flag of a command whose line the shell's history did not take.
pub(super) const UNLISTED: &str = "unlisted: the line was kept out of the shell's history";

/// What stands for the text of a line that was typed without being shown.
pub const WITHHELD: &str = "[withheld]";

impl Start {
    /// Forgets the text, and everything that tells of it: not even its length is kept.
    pub fn withhold(&mut self) {
        let (number, before) = (self.number, self.before);
        let text = Some(WITHHELD.to_owned());
        *self = Self { text, number, before, withheld: true, ..Self::default() };
    }

    /// Whether the line did not enter the history: the text is that of the line which did last.
    pub fn is_of_another(&self) -> bool {
        self.number.zip(self.before).is_some_and(|(now, before)| now < before)
    }

    /// Forgets the text, which is [that of another line](Start::is_of_another), and everything that tells of it.
    pub fn forget_other(&mut self) {
        (self.text, self.cut, self.mangled) = (None, false, false);
    }

    /// The same as a recording keeps it: without the numbers, and without the text of another line.
    pub fn kept(mut self) -> Self {
        if self.is_of_another() && !self.withheld {
            (self.text, self.cut, self.mangled, self.unlisted) = (None, false, false, true);
        }
        (self.number, self.before, self.by_line) = (None, None, false);
        self
    }

    /// What is wrong with the text, as flags of the command.
    pub(super) fn flags(&self) -> Vec<String> {
        let cut = self.cut.then_some("cut: only the beginning of the line is kept");
        let mangled = self.mangled.then_some("mangled: something else was written into the shell's words");
        let withheld = self.withheld.then_some("withheld: the line was typed without being shown");
        let unlisted = self.unlisted.then_some(UNLISTED);
        cut.into_iter().chain(mangled).chain(withheld).chain(unlisted).map(str::to_owned).collect()
    }
}

fn is_false(is: &bool) -> bool {
    !is
}

/// Something anyone can print. Never more than a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// A prompt begins (`133;A`).
    Prompt,
    /// Typing begins (`133;B`).
    Typing,
    /// A command starts (`133;C`), with its text where the terminal protocol carries one (`cmdline_url`).
    Start(Option<String>),
    /// A command ended (`133;D`), with its status.
    End(Option<i32>),
    /// The command line (`633;E`).
    Text(String),
    /// The working directory (`7`, `633;P;Cwd=`).
    Cwd(String),
    /// A mark like ours with another nonce: a forgery, or a recording inside the recording.
    Forged,
    /// A mark with our nonce that is broken or too long. It was left in the output.
    Broken,
}

/// What [`Filter::feed`] finds, in the order of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Bytes for the terminal and for the recording.
    Bytes(&'a [u8]),
    /// A mark of ours, which stood here.
    Mark(Mark),
    /// A hint, whose bytes end here and are part of the bytes.
    Hint(Hint),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between sequences.
    Ground,
    /// The last `matched` bytes are the beginning of a mark's introduction, and held back.
    Intro,
    /// Inside a mark of ours; introduction and payload are held back.
    Mark,
    /// Inside somebody else's command, whose bytes pass on.
    Foreign,
}

/// Takes marks out of a stream that may be split anywhere.
pub struct Filter {
    intro: Vec<u8>,
    state: State,
    matched: usize,
    payload: Vec<u8>,
    /// How many of the bytes held back came with earlier calls, and so are not in the present slice.
    carried: usize,
    /// Content of somebody else's command so far; `None` when it grew too long.
    foreign: Option<Vec<u8>>,
    /// `ESC` came inside somebody else's command: `\` would end it.
    ending: bool,
    finder: memmem::Finder<'static>,
}

impl Filter {
    /// A filter for the marks that carry this nonce.
    pub fn new(nonce: &Nonce) -> Self {
        let mut intro = LEAD.to_vec();
        intro.extend_from_slice(nonce.as_str().as_bytes());
        intro.push(b';');
        Self {
            intro,
            state: State::Ground,
            matched: 0,
            payload: Vec::new(),
            carried: 0,
            foreign: None,
            ending: false,
            finder: memmem::Finder::new(b"\x1b]"),
        }
    }

    /// Bytes held back at this moment because they are, so far, a mark of ours.
    pub fn held(&self) -> usize {
        match self.state {
            State::Intro => self.matched,
            State::Mark => self.intro.len().saturating_add(self.payload.len()),
            State::Ground | State::Foreign => 0,
        }
    }

    /// Whether [`Filter::feed`] would give these bytes on as they are, and nothing else.
    pub fn passes(&self, bytes: &[u8]) -> bool {
        self.state == State::Ground && self.next_start(bytes).is_none()
    }

    /// Takes the next bytes of the output and gives what is in them to `found`, in order.
    pub fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        self.carried = self.held();
        // Everything before `passed` has been given on; what follows it is passable up to where holding back began.
        let mut passed = 0;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.state == State::Ground {
                match self.next_start(rest) {
                    Some(offset) => at = at.saturating_add(offset),
                    None => break,
                }
                self.hold();
            } else if let Some(byte) = rest.first() {
                self.step(*byte, bytes, at, &mut passed, &mut found);
            }
            at = at.saturating_add(1);
        }
        // What is not held back goes out now.
        let held_here = self.held().saturating_sub(self.carried);
        let end = bytes.len().saturating_sub(held_here);
        if let Some(rest) = bytes.get(passed..end).filter(|rest| !rest.is_empty()) {
            found(Found::Bytes(rest));
        }
    }

    /// The stream is over: gives on what was held back for a mark that will not come.
    pub fn finish(&mut self, mut found: impl FnMut(Found<'_>)) {
        self.carried = self.held();
        self.release(&mut found);
        self.state = State::Ground;
    }

    /// Where an introduction may begin in bytes that lie between sequences.
    fn next_start(&self, rest: &[u8]) -> Option<usize> {
        self.finder.find(rest).or_else(|| {
            let last = rest.len().saturating_sub(1);
            (rest.last() == Some(&ESC)).then_some(last)
        })
    }

    fn hold(&mut self) {
        self.state = State::Intro;
        self.matched = 1;
        self.payload.clear();
    }

    /// Gives on the held bytes that are not in the present slice; those that are count as passable again.
    fn release(&mut self, found: &mut impl FnMut(Found<'_>)) {
        let lead = self.intro.get(..self.carried.min(self.matched)).unwrap_or_default();
        if !lead.is_empty() {
            found(Found::Bytes(lead));
        }
        let body = self.payload.get(..self.carried.saturating_sub(self.matched)).unwrap_or_default();
        if !body.is_empty() {
            found(Found::Bytes(body));
        }
        self.carried = 0;
        self.matched = 0;
        self.payload.clear();
    }

    fn step(
        &mut self,
        byte: u8,
        bytes: &[u8],
        at: usize,
        passed: &mut usize,
        found: &mut impl FnMut(Found<'_>),
    ) {
        let give = |from: &mut usize, to: usize, found: &mut dyn FnMut(Found<'_>)| {
            if let Some(piece) = bytes.get(*from..to).filter(|piece| !piece.is_empty()) {
                found(Found::Bytes(piece));
            }
            *from = to;
        };
        match self.state {
            State::Ground => {}
            State::Intro => {
                if self.intro.get(self.matched) == Some(&byte) {
                    self.matched = self.matched.saturating_add(1);
                    if self.matched == 2 {
                        self.ending = false;
                        self.foreign = Some(Vec::new());
                    }
                    if self.matched == self.intro.len() {
                        self.state = State::Mark;
                    }
                    return;
                }
                let matched = self.matched;
                let content = self.intro.get(2..matched).unwrap_or_default().to_vec();
                self.release(found);
                if matched >= LEAD.len() {
                    give(passed, at, found);
                    found(Found::Hint(Hint::Forged));
                }
                if matched >= 2 {
                    // `ESC ]` of somebody else: from here on it is theirs, and this byte is the next of it.
                    self.foreign = (matched < LEAD.len()).then_some(content);
                    self.state = State::Foreign;
                    self.step(byte, bytes, at, passed, found);
                } else if byte == ESC {
                    self.ending = false;
                    self.hold();
                } else {
                    self.state = State::Ground;
                    if byte == b'\\' && std::mem::take(&mut self.ending) {
                        give(passed, at.saturating_add(1), found);
                        self.tell_hint(found);
                    }
                    self.ending = false;
                }
            }
            State::Mark => match byte {
                BEL => match parse(&self.payload) {
                    Some(mark) => {
                        // The mark began in this slice unless part of it was carried.
                        if self.carried == 0 {
                            give(passed, at.saturating_sub(self.held()), found);
                        }
                        *passed = at.saturating_add(1);
                        self.carried = 0;
                        self.matched = 0;
                        // A command with what it was told: freed, it is overwritten.
                        self.payload = Vec::new();
                        self.state = State::Ground;
                        found(Found::Mark(mark));
                    }
                    None => self.refuse(at.saturating_add(1), bytes, passed, found),
                },
                0..=0x1f | 0x7f => {
                    self.refuse(at, bytes, passed, found);
                    if byte == ESC {
                        self.hold();
                    }
                }
                _ if self.payload.len() >= MAX_MARK => self.refuse(at, bytes, passed, found),
                _ => self.payload.push(byte),
            },
            State::Foreign => match byte {
                BEL => {
                    give(passed, at.saturating_add(1), found);
                    self.tell_hint(found);
                    self.state = State::Ground;
                }
                ESC => {
                    self.ending = true;
                    self.hold();
                }
                // CAN and SUB end a sequence in every terminal.
                0x18 | 0x1a => self.state = State::Ground,
                _ => match self.foreign.as_mut().filter(|content| content.len() < MAX_HINT) {
                    Some(content) => content.push(byte),
                    // Too long for a hint: nothing more to learn from it.
                    None => {
                        self.foreign = None;
                        self.state = State::Ground;
                    }
                },
            },
        }
    }

    /// A mark that is not one after all: its bytes pass on, and that it stood there is told.
    fn refuse(&mut self, end: usize, bytes: &[u8], passed: &mut usize, found: &mut impl FnMut(Found<'_>)) {
        self.release(found);
        if let Some(piece) = bytes.get(*passed..end).filter(|piece| !piece.is_empty()) {
            found(Found::Bytes(piece));
        }
        *passed = end;
        self.state = State::Ground;
        found(Found::Hint(Hint::Broken));
    }

    fn tell_hint(&mut self, found: &mut impl FnMut(Found<'_>)) {
        if let Some(hint) = self.foreign.take().and_then(|content| parse_hint(&content)) {
            found(Found::Hint(hint));
        }
    }
}

#[cfg(test)]
#[path = "marks_tests.rs"]
mod tests;
