//! What is typed at prompts, as the screen shows it at Enter.
//!
//! A line is read when the cursor leaves it. Where a prompt ends in it is known from what stood there when typing began, or from
//! the line before, or guessed by its sign. Refuses to take answers to questions for commands.

use super::at_once::AtOnce;
use super::pasted::Pasted;
use super::unanswered::Unanswered;
use super::unstarted::Standing;
use super::{Entry, Place, Span, Tracker, push_flag};
use crate::cast::{Command, Source, Trust};
use crate::shell::screen::Line;
use std::collections::VecDeque;

/// Lines of one command that are kept from the screen.
pub(super) const MAX_LINES: usize = 200;
/// Bytes of one command that are kept from the screen: whoever is recorded can let it go on without end.
const MAX_TEXT: usize = 64 << 10;
/// The flag of one that had more.
pub(super) const LONG: &str = "cut: the lines that follow are not kept";
/// Characters of a line that are quoted in a flag.
const MAX_QUOTED: usize = 80;
/// Status of what was ended by ^C.
pub(super) const INTERRUPTED: i32 = 130;

/// The flag of a command that may have been none.
pub(super) const AHEAD: &str = "ahead: typed while another command ran; that the shell read it is a guess";

/// The flag of a line of which the prompt no longer stood before it when Enter was pressed.
pub(super) const PART: &str =
    "cut: the prompt no longer stood before the line, which may be only a part of it";

/// Characters of a prompt that is known again though it ends in no sign.
pub(super) const LEAST_PROMPT: usize = 3;

/// What prompts end in.
const PROMPT_SIGNS: [char; 9] = ['$', '#', '%', '>', '❯', '➜', 'λ', '»', '›'];

/// Keys, as questions name them.
const KEYS: [&str; 5] = ["<enter>", "<return>", "<ret>", "<cr>", "<space>"];

/// What `read` of fish shows, which wants no command.
const FISH_READS: &str = "read>";

/// What zsh says of an unfinished line before the sign.
const UNFINISHED: [&str; 32] = [
    "always",
    "array",
    "bquote",
    "brace",
    "braceparam",
    "case",
    "cmdand",
    "cmdor",
    "cmdsubst",
    "cond",
    "dquote",
    "elif",
    "elif-then",
    "else",
    "errpipe",
    "for",
    "foreach",
    "function",
    "heredoc",
    "heredocd",
    "if",
    "math",
    "mathsubst",
    "pipe",
    "quote",
    "repeat",
    "select",
    "subsh",
    "then",
    "until",
    "while",
    "cursh",
];

/// What readline shows in the place of the prompt while the history is searched.
const SEARCHES: [&str; 4] =
    ["(reverse-i-search)`", "(i-search)`", "(failed reverse-i-search)`", "(failed i-search)`"];

/// What is being typed.
#[derive(Default)]
pub(super) struct Typing {
    /// What stood before the cursor when typing began: the prompt.
    pub(super) prompt: Option<String>,
    /// The prompt of the line before.
    pub(super) last: String,
    /// Enters whose lines have not been left yet.
    pub(super) enters: u32,
    /// Time of the first of them.
    pub(super) at: u64,
    /// Which of them no line is to come for.
    pub(super) unanswered: Unanswered,
    /// Lines of the command so far.
    pub(super) lines: Vec<String>,
    /// What was pasted as one of several.
    pub(super) pasted: Pasted,
    /// What was pasted as several into a shell inside.
    pub(super) pasted_inside: AtOnce,
    /// The last of them fills the screen.
    pub(super) fills: bool,
    /// Lines that were typed while a command ran, of a shell that tells of no starts: for the shell, if no program has read them.
    pub(super) ahead: VecDeque<String>,
    /// Several lines were ended at once, or while a command ran: programs may have used up their Enters by then.
    pub(super) at_once: bool,
    /// Lines that the cursor has left since the prompt ended, where no Enter is to come for the one that is read there.
    pub(super) drawn: Option<Vec<String>>,
    /// An Enter came, and no output since.
    pub(super) fresh: bool,
    /// The last Enter was the only key since the shell began to read the line.
    pub(super) alone: bool,
    /// The line with the cursor when the last Enter came; `None` in full-screen programs.
    pub(super) stood: Option<Line>,
    /// The line with the cursor before it went to the first column, where a piece of output has ended in that.
    pub(super) returning: Option<Option<Line>>,
    /// The line that was left last, with its prompt, where it was one of a shell or a program inside.
    pub(super) left: String,
    /// Something else stood above the cursor when the last Enter came.
    pub(super) printed: bool,
    /// Number that the next line gets in the history.
    pub(super) number: Option<u64>,
    /// The same, after a start, until the next end is told: of lines that were pasted at once, none comes between.
    pub(super) after: Option<u64>,
}

impl Typing {
    /// Nothing is known of what is being typed.
    pub(super) fn forget(&mut self) {
        let last = std::mem::take(&mut self.last);
        *self = Self { last, number: self.number, after: self.after, ..Self::default() };
    }
}

impl Tracker {
    /// The cursor is about to leave a line at whose end Enter was pressed; `None` in full-screen programs.
    pub(super) fn line_left(&mut self, time: u64, line: Option<Line>) {
        self.typing.enters = self.typing.enters.saturating_sub(1);
        let prompt = self.typing.prompt.take();
        // Where typing began was seen, and nothing stood there.
        let bare = prompt.as_ref().is_some_and(|prompt| prompt.trim().is_empty());
        let has_prompt =
            self.place == Place::Prompt && self.prompts.last.is_some() && prompt.is_some() && !bare;
        let Some(mut line) = line else { return };
        let whole = cut_beside(&mut line);
        self.first_again(&line);
        let begin = std::mem::replace(&mut self.typing.at, time);
        let alone = self.is_bare_enter(&line);
        let prompt = prompt.or_else(|| alone.then(|| line.before.clone()));
        // Lines that were typed ahead have no prompt of their own: the last one may stand before them again.
        let behind = |p: &str| line.text.strip_prefix(p.trim_end());
        let stands = |p: &str| !p.trim().is_empty() && behind(p).is_some();
        // A prompt that ends with its line, or is none: of whatever looks like one in what stands there, all was typed.
        let nothing = bare && self.place == Place::Prompt && self.prompts.last.is_some();
        let told = prompt.filter(|p| stands(p)).or_else(|| nothing.then(String::new));
        // Some are drawn anew behind the first key, with what took time to find out: the whole one is known of the line before.
        let drawn_anew = |told: &String| {
            self.prompts.last.is_none() && self.typing.last.len() > told.len() && stands(&self.typing.last)
        };
        let told = told.filter(|told| !drawn_anew(told));
        let certain = told.is_some();
        // What goes on with another sign is another prompt: `>>> ` is not `> `.
        let is_longer = |p: &str| behind(p).is_some_and(|behind| behind.starts_with(PROMPT_SIGNS));
        let known = told.or_else(|| Some(self.typing.last.clone()).filter(|p| stands(p) && !is_longer(p)));
        let known_prompt = known.is_some();
        // A line editor of its own has broken the line, or moved it to the side: the prompt does not stand before this part of it.
        let is_part = has_prompt && !known_prompt && !self.sends_start;
        let guessed = || if is_part { "" } else { self.guessed_prompt(&line.text) };
        let prompt = known.unwrap_or_else(|| guessed().to_string());
        let text = match line.text.strip_prefix(prompt.trim_end()) {
            Some(text) if !prompt.is_empty() => text.strip_prefix(' ').unwrap_or(text).to_string(),
            _ => line.text.clone(),
        };
        // What is left then stands on the right.
        let text = if alone { String::new() } else { text };
        let printed = std::mem::take(&mut self.typing.printed);
        let continues = !self.typing.lines.is_empty()
            && match self.place {
                Place::Prompt => prompt.trim_end() == ">",
                // Something was printed since: it goes on with nothing.
                _ => !printed && (goes_on(&prompt) || is_unfinished(&prompt, &self.typing.last)),
            };
        let open = match self.place {
            Place::Prompt => self.entries.iter().rev().find(|e| e.is_guess()).map(|e| e.id),
            _ => self.inner,
        };
        let stood = self.typing.stood.as_ref();
        let is_next = self.typing.pasted_inside.is_several() && is_like(&prompt, &self.typing.last);
        let stood_there = stood_there(stood, &prompt, &text) || is_next;
        // What was typed stood behind the prompt at Enter, or came with it.
        let at_prompt = stood.is_some_and(|stood| stood.before.starts_with(prompt.trim_end()));
        let solid = certain || (!prompt.is_empty() && at_prompt);
        // A shell inside may show what the one before it has shown, whatever that ends in; a question may begin like it
        // (`root@vm ` and `root@vm's password: `).
        let is_whole = line.text.starts_with(&prompt);
        let is_known = known_prompt && !certain && is_whole && prompt.trim().chars().count() >= LEAST_PROMPT;
        let is_read = (is_known || is_prompt(&prompt)) && stood_there;
        self.row_at_once(is_read);
        if self.place != Place::Prompt && !is_read {
            return;
        }
        let open = match open.filter(|_| self.place == Place::Prompt && !self.sends_start && !continues) {
            None => open,
            // Typed at the prompt after all: a program had read what seemed to be typed ahead.
            Some(id) if self.entry(id).is_some_and(|entry| entry.standing == Standing::Ahead) => {
                self.unstart(begin, Span::of(begin), None);
                None
            }
            // A prompt was shown, though the command has not ended: that of a program, or of the shell, which tells no more.
            Some(id) if !bare && stood_there && (known_prompt || is_prompt(&prompt)) => {
                if let Some(entry) = self.entry(id) {
                    entry.standing = Standing::Ran;
                }
                (self.place, self.shown_again) = (Place::Running(id), Some(begin));
                None
            }
            Some(_) => {
                // What looks like a prompt in it is none: nobody has shown one.
                let text = if known_prompt { text } else { line.text };
                if self.typing.ahead.len() < MAX_LINES {
                    self.typing.ahead.push_back(text);
                }
                return;
            }
        };
        self.typing.ahead.clear();
        // In a shell inside what has no room is an entry of its own: who fills one hides none of those that come.
        let full = open.and_then(|id| self.entry(id)).is_some_and(|entry| !has_room(entry, &text));
        let continues = continues && !(full && self.place != Place::Prompt);
        if self.place == Place::Prompt || !continues {
            self.typing.last.clone_from(&prompt);
        }
        if self.place != Place::Prompt {
            self.typing.left.clone_from(&line.text);
            if !continues {
                self.typing.lines.clear();
            }
        }
        let stands = is_whole && (nothing || !prompt.trim().is_empty());
        if self.typing.lines.is_empty() && stands {
            self.typing.pasted.begins(&line.text, &prompt);
        }
        self.typing.pasted.goes_on(continues);
        if self.typing.lines.len() < MAX_LINES {
            self.typing.lines.push(text.clone());
            self.typing.fills = line.fills;
        }
        if continues && let Some(entry) = open.and_then(|id| self.entry(id)) {
            if full {
                push_flag(&mut entry.command, LONG);
            } else {
                entry.command.text.push('\n');
                entry.command.text.push_str(&text);
            }
            return;
        }
        let guess = self.place == Place::Prompt;
        let far = far_right(&line);
        let text = match far.filter(|_| guess && self.sends_start).and_then(|far| text.strip_suffix(far)) {
            Some(typed) => typed.to_owned(),
            None => text,
        };
        if text.trim().is_empty() || text.trim_start().starts_with('#') || (guess && open.is_some()) {
            return;
        }
        let cwd = if guess { self.cwd.clone() } else { None };
        let (source, trust) = (Source::Screen, Trust::Inferred);
        let whole = whole.map(|whole| format!("shown: the screen had `{whole}`"));
        let cut = (is_part || line.fills && !known_prompt).then(|| PART.to_owned());
        let flags = whole.into_iter().chain(cut).collect();
        let command = Command { text, cwd, start: begin, source, trust, flags, ..Command::default() };
        let micros = begin.saturating_mul(1_000).max(self.last_end.first);
        if !guess {
            self.close_inner(micros);
        }
        let id = self.open(command, micros, if guess { Standing::Guess } else { Standing::Ran });
        if !guess {
            self.inner = Some(id);
        } else if let Some(entry) = self.entry(id) {
            entry.solid = solid;
        }
    }

    /// What looks like a prompt in a line. In one that goes on, behind a prompt of which the shell tells where it ends, nothing but a sign
    /// does: what stands before a sign may be typed as well.
    fn guessed_prompt<'a>(&self, line: &'a str) -> &'a str {
        let goes_on = self.place == Place::Prompt && self.sends_start && !self.typing.lines.is_empty();
        let is_told = goes_on && self.prompts.last.is_some();
        let prompt = prompt_of(line);
        // Behind `#` stands a comment.
        let may_be_typed = |c| c == '#' || !PROMPT_SIGNS.contains(&c);
        if is_told && prompt.contains(may_be_typed) { "" } else { prompt }
    }

    /// The cursor is about to leave a line behind the prompt, for which no Enter is known.
    pub(super) fn line_drawn(&mut self, line: Option<Line>) {
        let prompt = self.typing.prompt.as_deref().unwrap_or_default().trim_end();
        let typed = line.as_ref().and_then(|line| {
            let typed = line.text.strip_suffix(far_right(line).unwrap_or_default())?.strip_prefix(prompt)?;
            Some(typed.strip_prefix(' ').filter(|_| !prompt.is_empty()).unwrap_or(typed))
        });
        match (&mut self.typing.drawn, typed) {
            (Some(drawn), Some(typed)) if drawn.is_empty() => drawn.push(typed.to_owned()),
            // Several: which of them was read is not known.
            (drawn, _) => *drawn = None,
        }
    }

    /// Whether Enter is all that was typed at a prompt of which the shell does not say where it ends, and nothing but the prompt stood
    /// there: Enter may have been bound to what puts a line there.
    fn is_bare_enter(&self, line: &Line) -> bool {
        let stood = self.typing.stood.as_ref().map(|stood| stood.before.trim_end());
        let added_nothing = stood == Some(line.before.trim_end());
        self.typing.alone && self.place == Place::Prompt && self.prompts.last.is_none() && added_nothing
    }

    /// The flag of a command before whose end further lines were typed, of a shell that tells of no starts.
    pub(super) fn typed_on(&self) -> Option<String> {
        let mut lines = self.typing.ahead.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let first =
            crate::text::escaped(&lines.next()?.chars().take(MAX_QUOTED).collect::<String>()).to_string();
        Some(format!(
            "typed-on: {} before the prompt came back, the first `{first}`: part of it, for a program, or read after it",
            match lines.count() {
                0 => "one more line was typed".to_owned(),
                more => format!("{} more lines were typed", more.saturating_add(1)),
            }
        ))
    }

    /// A prompt came up, and what was typed before it is read by the shell: unless a program has had it. Another prompt without
    /// another line tells; an interrupted one does not.
    pub(super) fn read_ahead(&mut self, time: u64, at: Span, status: Option<i32>) {
        if status == Some(INTERRUPTED) {
            self.typing.ahead.clear();
        }
        while let Some(text) = self.typing.ahead.pop_front() {
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            let (source, trust, flags) = (Source::Screen, Trust::Inferred, vec![AHEAD.into()]);
            let cwd = self.cwd.clone();
            let command = Command { text, cwd, start: time, source, trust, flags, ..Command::default() };
            self.open(command, at.last, Standing::Ahead);
            return;
        }
    }
}

/// Whether a line that looks like one typed at a prompt stood there when Enter came: what a pager draws afterwards may look like
/// anything. A prompt may be drawn anew, and shorter, at Enter; what was typed stays.
fn stood_there(at_enter: Option<&Line>, prompt: &str, text: &str) -> bool {
    let Some(Line { text: whole, before: at_enter, .. }) = at_enter else { return false };
    let before = prompt_of(at_enter);
    let typed = at_enter.get(before.len()..).unwrap_or_default().trim();
    at_enter.starts_with(prompt.trim_end())
        || (is_prompt(before) && !typed.is_empty() && text.trim_start().starts_with(typed))
        || was_searched(whole, text)
}

/// Whether this is what readline shows while the history is searched (^R), with this line found. At Enter it draws the prompt again.
fn was_searched(at_enter: &str, text: &str) -> bool {
    let text = text.trim();
    let found = at_enter.strip_suffix(text).is_some_and(|before| before.ends_with("': "));
    !text.is_empty() && found && SEARCHES.iter().any(|search| at_enter.starts_with(search))
}

/// Cuts a line at the cursor where what stands behind it is the remains of a box, such as a dialog leaves behind, and gives the whole
/// line. Anything else may be part of what was typed: Enter can be pressed in the middle of a line.
fn cut_beside(line: &mut Line) -> Option<String> {
    let behind = line.text.strip_prefix(line.before.as_str())?;
    let is_box = |c: char| ('\u{2500}'..='\u{259f}').contains(&c);
    if line.before.trim().is_empty() || !behind.trim_start().starts_with(is_box) {
        return None;
    }
    let whole = line.text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.text.truncate(line.before.trim_end().len());
    Some(whole)
}

/// What line editors may have on the right, far from what is typed.
fn far_right(line: &Line) -> Option<&str> {
    line.text.strip_prefix(line.before.as_str()).filter(|behind| behind.starts_with("    "))
}

/// The part of a line that looks like a prompt: up to the first prompt sign with a blank after it.
pub(super) fn prompt_of(line: &str) -> &str {
    let end = line.char_indices().find_map(|(at, c)| {
        let after = at.checked_add(c.len_utf8())?;
        (PROMPT_SIGNS.contains(&c) && line.get(after..)?.starts_with(' ')).then_some(after)
    });
    end.and_then(|end| line.get(..end)).unwrap_or_default()
}

/// Whether a prompt looks like that of the same shell as the last one: it begins and ends alike, as where the directory is another.
pub(super) fn is_like(prompt: &str, last: &str) -> bool {
    let (prompt, last) = (prompt.trim_end(), last.trim_end());
    let same = prompt.chars().zip(last.chars()).take_while(|(a, b)| a == b).count();
    is_prompt(prompt) && same >= LEAST_PROMPT && prompt.chars().last() == last.chars().last()
}

/// Whether this is what shells and programs inside show before a line with which the one before goes on: `> `, `for then> `, `    -> `.
fn goes_on(prompt: &str) -> bool {
    let Some(state) = prompt.trim().strip_suffix('>') else { return false };
    let is_zsh = || state.split(' ').all(|word| UNFINISHED.contains(&word));
    state.is_empty() || state.chars().all(|c| "-.'\"`".contains(c)) || is_zsh()
}

/// Whether this is what psql shows where the statement behind the last prompt goes on: `db-# ` or `db(*# ` behind `db=# `.
fn is_unfinished(prompt: &str, last: &str) -> bool {
    let before = |prompt: &str, states: &[char]| {
        let state = prompt.trim_end().strip_suffix(['#', '>'])?;
        // How the transaction stands.
        let state =
            state.strip_suffix(['*', '!', '?']).filter(|state| state.ends_with(states)).unwrap_or(state);
        state.strip_suffix(states).map(str::to_owned)
    };
    let database = before(prompt, &['-', '*', '\'', '"', '$', '(']);
    database.is_some_and(|name| !name.is_empty() && before(last, &['=', '^', '@']) == Some(name))
}

/// Whether a line that goes on is kept with the entry before it. Behind one that was not, none is.
fn has_room(entry: &Entry, line: &str) -> bool {
    let command = &entry.command;
    command.text.len().saturating_add(line.len()) < MAX_TEXT && !command.flags.iter().any(|flag| flag == LONG)
}

/// Whether this looks like what programs show before they read a command: shells, but also `mysql> ` and `>>> `. What
/// asks a question (`Password:`, `Continue? `), or for a key (`Press <Enter> `), does not.
fn is_prompt(text: &str) -> bool {
    let text = text.trim_end();
    let last = text.rsplit(' ').next().unwrap_or_default();
    text.ends_with(PROMPT_SIGNS)
        && text != FISH_READS
        && !KEYS.iter().any(|key| key.eq_ignore_ascii_case(last))
}
