//! Lines of which the shell tells though nobody saw them.
//!
//! With the echo switched off, `export TOKEN=…` is typed like a password and shown like one: not at all. The keys are
//! withheld; but the shell knows the line, and tells it when it runs. Then its text is as secret as its keys. It is forgotten
//! here, before anything is stored, where
//!
//! 1. something was withheld since the command before began (a line may have been typed ahead), or a line was forgotten before
//!    in this session, which the shell's history has and a key brings back;
//! 2. and not every key typed since the prompt came up was shown, or there was none that would be;
//! 3. and the text does not stand in what was shown since then, neither as it was drawn nor as it stands: a line editor draws what is
//!    changed of a line, and not the line. Of bytes that are no characters the terminal shows that they are there, and
//!    not which: the whole text has to stand there then.
//!
//! In doubt it is forgotten. Where the history did not take a line, the shell tells the text of the one before, which does not stand there: it
//! is forgotten alike, but that is not told of the line, unless keys of its own were not shown, or nothing was drawn behind the prompt.
//!
//! Refuses to judge what programs print, hints of others included: that is in the output of the recording.

use super::Withhold;
use super::cursor::Cursor;
use super::drawn::Did;
use super::standing::Standing;
use crate::shell::marks::Mark;
use crate::shell::said::Said;
use crate::text::hex_byte;
use memchr::memmem;

/// Most that is kept of what was shown, bytes: a line of which the shell tells is 4 KiB at most, and may be drawn a few times.
const MOST: usize = 32 << 10;

/// What was shown since the prompt came up.
#[derive(Default)]
pub struct Unseen {
    /// Without control sequences and blanks.
    shown: Vec<u8>,
    standing: Standing,
    output: Cursor,
    /// Columns and rows of the terminal.
    size: (u16, u16),
    /// How much of it the prompt is.
    prompt: usize,
    /// The shell is at a prompt, as far as it tells.
    at_prompt: bool,
    /// A line was forgotten.
    forgot: bool,
    /// Something was withheld before a line of which the shell did not tell: the next one that it tells of is to be judged by that.
    hidden: bool,
    /// The last text that was stored.
    stored: Option<String>,
}

impl Unseen {
    /// The terminal has this size, in cells.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.size = (cols, rows);
        self.output.resize(cols, rows);
    }

    /// `bytes` were shown.
    pub fn shown(&mut self, bytes: &[u8]) {
        if !self.at_prompt {
            return;
        }
        for &byte in bytes {
            if self.shown.len() >= MOST {
                return;
            }
            self.output.follow(&[byte]);
            while let Some(did) = self.output.did() {
                match did {
                    Did::Drew(drawn) => {
                        self.standing.drew(&drawn);
                        if drawn.c != ' ' {
                            self.shown.extend_from_slice(drawn.c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                    }
                    Did::MovedRight(from, cells) => self.standing.moved_right(from, cells),
                    Did::MovedLeft(from, cells) => self.standing.moved_left(from, cells),
                    Did::Returned(_) | Did::NextLine(_) | Did::Tabbed(..) => {}
                }
            }
        }
    }

    /// Takes what the shell told, and gives what may be stored of it.
    pub fn told(&mut self, said: Said, withhold: &mut Withhold) -> Said {
        match said {
            Said::Mark(Mark::Start(mut start)) => {
                let hidden = withhold.take_hidden() || self.hidden || self.forgot;
                let seen = |text| withhold.line_was_seen() || self.has(text) || self.has_undecodable(text);
                let is_of_another = start.is_of_another();
                if hidden && start.text.as_deref().is_some_and(|text| !seen(text)) {
                    let drawn = self.shown.len() > self.prompt;
                    if is_of_another && drawn && !withhold.line_is_unseen() {
                        self.forgot |= self.stored != start.text;
                        start.forget_other();
                    } else {
                        start.withhold();
                        self.forgot = true;
                    }
                }
                self.hidden = hidden && is_of_another;
                if !is_of_another && !start.withheld {
                    self.stored.clone_from(&start.text);
                }
                self.at_prompt = false;
                Said::Mark(Mark::Start(start))
            }
            Said::Mark(Mark::End { .. } | Mark::Prompt { .. }) => {
                self.begin();
                withhold.begin_line();
                said
            }
            // A prompt that is drawn again, after a list of completions that was too long to keep, has the whole line behind it.
            Said::Mark(Mark::Typing(_)) => {
                if self.shown.len() >= MOST {
                    self.begin();
                }
                self.prompt = self.shown.len();
                said
            }
            said => said,
        }
    }

    fn begin(&mut self) {
        // Freed, it is overwritten: nothing of what was shown then is asked for again.
        self.shown = Vec::new();
        self.standing = Standing::default();
        self.output = Cursor::default();
        self.output.resize(self.size.0, self.size.1);
        self.prompt = 0;
        self.at_prompt = true;
    }

    /// Whether a line stands there: its words in their order, but for a fifth of it. Shells join lines in ways of their own, and
    /// write control characters as two.
    fn has(&self, text: &str) -> bool {
        holds(&self.shown, text) || holds(self.standing.text().as_bytes(), text)
    }

    /// The same of a line that holds bytes that are no characters: whole, at one place, with as many of them between all the others.
    fn has_undecodable(&self, text: &str) -> bool {
        let is_drawn = |c: &char| !c.is_whitespace() && !c.is_control();
        let drawn: String = as_drawn(text).chars().filter(is_drawn).collect();
        let known = drawn.chars().filter(|c| *c != char::REPLACEMENT_CHARACTER).count();
        let mut sign = [0; 4];
        let sign = char::REPLACEMENT_CHARACTER.encode_utf8(&mut sign).as_bytes();
        let stands = |at: usize| {
            let end = at.saturating_add(drawn.len());
            let (before, behind) = (self.shown.get(..at), self.shown.get(end..));
            before.is_some_and(|shown| !shown.ends_with(sign))
                && behind.is_some_and(|shown| !shown.starts_with(sign))
        };
        known >= 2 && memmem::find_iter(&self.shown, drawn.as_bytes()).any(stands)
    }
}

fn holds(shown: &[u8], text: &str) -> bool {
    let (mut all, mut found, mut from) = (0_usize, 0_usize, 0_usize);
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || c == ';') {
        all = all.saturating_add(word.len());
        let rest = shown.get(from..).unwrap_or_default();
        if let Some(at) = memmem::find(rest, word.as_bytes()) {
            found = found.saturating_add(word.len());
            from = from.saturating_add(at).saturating_add(word.len());
        }
    }
    found.saturating_mul(5) >= all.saturating_mul(4)
}

/// A text as a terminal draws it, which has one sign for all that it cannot decode; see [`crate::text::lossless`].
fn as_drawn(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', b'x', high, low, after @ ..] => hex_byte(*high, *low).map(|byte| (byte, after)),
            _ => None,
        };
        let (byte, after) = escaped.filter(|(byte, _)| !byte.is_ascii()).unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Withhold;
    use super::*;
    use crate::policy::Input;
    use crate::shell::marks::{AtPrompt, Start, WITHHELD};
    use std::time::Duration;

    struct Shell {
        withhold: Withhold,
        unseen: Unseen,
        now: u64,
    }

    impl Shell {
        fn new(input: Input) -> Self {
            Self { withhold: Withhold::new(input), unseen: Unseen::default(), now: 0 }
        }

        fn types(&mut self, keys: &str, secret: bool) {
            self.now += 1;
            let now = Duration::from_millis(self.now);
            self.withhold.typed(now, keys.as_bytes(), secret, &mut Vec::new());
        }

        fn shows(&mut self, text: &str) {
            self.now += 1;
            self.withhold.shown(Duration::from_millis(self.now), text.as_bytes(), &mut Vec::new());
            self.unseen.shown(text.as_bytes());
        }

        fn prompt(&mut self) {
            let end = Mark::End { status: Some(0), pipe: vec![], cancelled: false };
            self.unseen.told(Said::Mark(end), &mut self.withhold);
            self.shows("\x1b]0;title\x07@@ ");
            self.unseen.told(Said::Mark(Mark::Typing(AtPrompt::default())), &mut self.withhold);
        }

        fn tells(&mut self, text: &str) -> Start {
            self.tells_before(text, None)
        }

        /// The last line of a history that took nothing since.
        fn tells_again(&mut self, text: &str) -> Start {
            self.tells_before(text, Some(5))
        }

        fn tells_before(&mut self, text: &str, before: Option<u64>) -> Start {
            let (text, number) = (Some(text.into()), Some(4));
            let start = Start { text, number, before, cut: true, ..Start::default() };
            match self.unseen.told(Said::Mark(Mark::Start(start)), &mut self.withhold) {
                Said::Mark(Mark::Start(start)) => start,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A shell at its prompt: what was typed unseen before it came, what was typed into it, and shown, before it tells `text`.
    fn told(input: Input, before: &str, typed: &str, shown: &str, text: &str) -> Start {
        let mut shell = Shell::new(input);
        if !before.is_empty() {
            shell.types(before, true);
        }
        shell.prompt();
        shell.types(typed, false);
        shell.shows(shown);
        shell.tells(text)
    }

    const LINE: &str = "export TOKEN=hunter2Kx9secret";

    #[test]
    fn the_text_of_a_line_that_was_typed_unseen_is_forgotten() {
        let typed = format!("{LINE}\r");
        for (before, typed, shown) in [
            ("", typed.as_str(), "\r\n"),
            ("", &typed, "a job has done something: export\r\n"),
            // Typed ahead, while something else read it without an echo.
            (&typed, "", "\r\n"),
        ] {
            let start = told(Input::Echoed, before, typed, shown, LINE);
            assert_eq!((start.text.as_deref(), start.withheld, start.cut), (Some(WITHHELD), true, false));
            assert_eq!(start.number, Some(4));
        }
    }

    #[test]
    fn the_text_of_a_line_that_was_shown_stays_however_it_came_there() {
        let secret = "hunter2\r";
        for (typed, shown, text) in [
            ("ls -l\r", "ls -l\r\n", "ls -l"),
            // Corrected; taken from the history; expanded, which the shell shows; several lines; a control character.
            ("lss\x7f -l\r", "lss\x08 \x08 -l\r\n", "ls -l"),
            ("\x1b[A\r", "ls -l\r\n", "ls -l"),
            ("!!\r", "!!\r\nls -l\r\n", "ls -l"),
            ("for i in 1\rdo id\rdone\r", "for i in 1\r\n> do id\r\n> done\r\n", "for i in 1; do id; done"),
            ("echo a\x16\x01bcd\r", "echo a^Abcd\r\n", "echo a\x01bcd"),
        ] {
            let start = told(Input::Echoed, secret, typed, shown, text);
            assert_eq!((start.text.as_deref(), start.withheld), (Some(text), false), "{typed:?}");
        }
        // Nothing was withheld: a shell may know a line that it never showed.
        assert_eq!(told(Input::Echoed, "", "\x1b[A\r", "\r\n", LINE).text.as_deref(), Some(LINE));
        assert_eq!(told(Input::All, "", LINE, "\r\n", LINE).text.as_deref(), Some(LINE));
        assert_eq!(told(Input::None, "", LINE, "\r\n", LINE).text.as_deref(), Some(WITHHELD));
        assert_eq!(told(Input::None, "", LINE, LINE, LINE).text.as_deref(), Some(LINE));
    }

    #[test]
    fn lines_that_were_typed_ahead_unseen_are_all_forgotten_and_none_comes_back_by_a_key() {
        let mut shell = Shell::new(Input::Echoed);
        shell.types("first=1\rsecond=2\r", true);
        for line in ["first=1", "second=2"] {
            shell.prompt();
            shell.shows("\r\n");
            assert!(shell.tells(line).withheld, "{line}");
        }
        // In the open; then from the history, with the echo off, hours later.
        for (keys, shown, line, withheld) in [
            ("ls\r", "ls\r\n", "ls", false),
            ("\x1b[A\r", "\r\n", "second=2", true),
            ("ls\r", "ls\r\n", "ls", false),
        ] {
            shell.prompt();
            shell.types(keys, false);
            shell.shows(shown);
            assert_eq!(shell.tells(line).withheld, withheld, "{line}");
            shell.now += 10_000;
        }
    }

    #[test]
    fn a_line_that_the_history_did_not_take_is_not_told_as_unseen_because_the_next_one_is_not_shown_yet() {
        let mut shell = Shell::new(Input::Echoed);
        shell.prompt();
        shell.types("touch a\r  rm a\r  echo b\r  echo c\r", false);
        shell.shows("touch a\r\n");
        assert_eq!(shell.tells("touch a").text.as_deref(), Some("touch a"));
        for line in ["  rm a\r\n", "  echo b\r\n", "  echo c\r\n"] {
            shell.prompt();
            shell.shows(line);
            let start = shell.tells_again("touch a");
            assert!(!start.withheld && start.text.is_none_or(|text| text == "touch a"), "{line}");
        }
        // Nor has any line after that to be shown for it.
        assert!(!shell.unseen.forgot);
        // But one that was typed unseen is.
        for text in ["touch a", LINE] {
            shell.prompt();
            shell.types(&format!(" {LINE}\r"), false);
            shell.shows("\r\n");
            assert!(shell.tells_again(text).withheld, "{text}");
        }
    }

    /// As a multiplexer takes them when it is left (^B d): the prompt is there long before a pause ends what was typed.
    #[test]
    fn keys_that_ended_a_program_are_none_of_the_line_behind_it() {
        for (typed, shown, withheld) in [(" rm a\r", " rm a\r\n", false), (" rm a\r", "\r\n", true)] {
            let mut shell = Shell::new(Input::Echoed);
            shell.types("\x02d", false);
            shell.prompt();
            shell.now += 1_000;
            shell.types(typed, false);
            shell.shows(shown);
            assert_eq!(shell.tells_again("tmux").withheld, withheld, "{shown:?}");
        }
        // Nor are they known to be of another where the line was typed with them.
        let mut shell = Shell::new(Input::Echoed);
        shell.types("secret", false);
        shell.prompt();
        shell.types("s\r", false);
        shell.shows("x\r\n");
        assert!(shell.tells_again("tmux").withheld);
    }

    #[test]
    fn lines_behind_one_that_the_history_did_not_take_are_forgotten_as_ever() {
        // What the history had last was told before, or not.
        for known in ["stty -echo", "of another session"] {
            let mut shell = Shell::new(Input::Echoed);
            shell.prompt();
            shell.types("stty -echo\r", false);
            shell.shows("stty -echo\r\n");
            shell.tells("stty -echo");
            shell.types(" a=1\r b=2\rexport T=hunter2\rexport U=hunter3\r", true);
            for _ in 0..2 {
                shell.now += 60_000;
                shell.prompt();
                shell.shows("\r\n");
                let start = shell.tells_again(known);
                assert!(start.withheld && !start.cut, "{start:?}");
            }
            for text in ["export T=hunter2", "export U=hunter3"] {
                shell.now += 60_000;
                shell.prompt();
                shell.shows("\r\n");
                assert!(shell.tells(text).withheld, "{text}");
            }
        }
    }

    #[test]
    fn a_line_with_bytes_that_are_no_characters_was_shown_where_they_were_drawn_as_such() {
        let line: &[u8] = b"kill -0 $$ #\xff";
        for (line, shown, has) in [
            (line, line, true),
            (b"echo caf\xe9 \xfcber\xe2\x82", b"echo caf\xe9 \xfcber\xe2\x82", true),
            // Which ones, nobody can see, but how many, and between what.
            (line, b"kill -0 $$ #\xfe", true),
            (line, b"kill -0 $$ #\xff\xfe", false),
            (line, b"kill -0 $$ #", false),
            (line, b"kill -0 $$ \xff#", false),
            (b"k -0 $$ #\xff\xfe\xfd", b"k -0 $$ #\xff", false),
            // A secret, and something of the kind that anybody printed.
            (b"\xe1\xe2\xe3\xe4", b"\xe1\xe2\xe3\xe4", false),
            (b"export T=\xe1\xe2\xe3\xe4", b"\xe1\xe2\xe3\xe4", false),
        ] {
            let mut shell = Shell::new(Input::Echoed);
            shell.types("hunter2\r", true);
            shell.prompt();
            shell.unseen.shown(shown);
            shell.unseen.shown(b"\r\n");
            let start = shell.tells(&crate::text::lossless(line));
            assert_eq!(!start.withheld, has, "{line:?} {shown:?}");
        }
    }

    #[test]
    fn a_line_between_whose_letters_suggestions_were_drawn_was_shown() {
        let mut shell = Shell::new(Input::Echoed);
        // Read without the terminal's help, a moment before.
        shell.types("hunter2\r", false);
        shell.shows("\r\n");
        shell.prompt();
        for (key, shown) in
            [("g", "grep foo\x1b[7D"), ("i", "ip\x08"), ("t", "t stash\x1b[6D"), ("\r", "\r\n")]
        {
            shell.types(key, false);
            shell.shows(shown);
        }
        assert!(!holds(&shell.unseen.shown, "git"));
        assert!(!shell.tells("git").withheld);
    }

    #[test]
    fn a_line_that_was_changed_by_keys_that_no_screen_shows_was_shown_as_it_stands() {
        // As bash and zsh draw what is changed in vi mode.
        for (drawn, keys, change, text) in [
            ("echo opem two", "\x1bFmrn", "\x08\x08\x08\x08\x08n\x08", "echo open two"),
            ("echo opeen one", "\x1bFex", "\x08\x08\x08\x08\x08\x08\x1b[1P", "echo open one"),
            ("echo oen six", "\x1bFoap", "\x08\x08\x08\x08\x08\x08\x08\x1b[C\x1b[1@p", "echo open six"),
            ("echo oen six", "\x1bFoap", "\x1b[7D\x1b[1Cpen six\x1b[6D", "echo open six"),
            ("echo wörd: 日本語", "\x1b0wx", "\r\x1b[8C\x1b[1P\x1b[m", "echo örd: 日本語"),
        ] {
            let mut shell = Shell::new(Input::Echoed);
            shell.unseen.resize(80, 24);
            shell.prompt();
            shell.types(drawn, false);
            shell.shows(drawn);
            shell.now += 1000;
            shell.types(&format!("{keys}\r"), false);
            shell.shows(&format!("{change}\r\n"));
            assert_eq!(shell.tells(text).text.as_deref(), Some(text), "{change:?}");
        }
        // What was not drawn is not there, wherever the cursor was.
        let mut shell = Shell::new(Input::Echoed);
        shell.prompt();
        shell.types(&format!("{LINE}\r"), false);
        shell.shows(&format!("export TOKEN=\x1b[{}@\x1b[40C\r\n", LINE.len()));
        assert!(shell.tells(LINE).withheld);
    }

    #[test]
    fn a_line_that_stands_behind_a_long_list_of_completions_was_shown() {
        let (mut withhold, mut unseen) = (Withhold::new(Input::None), Unseen::default());
        let prompt = Said::Mark(Mark::Typing(AtPrompt::default()));
        unseen.told(Said::Mark(Mark::Prompt { cwd: None }), &mut withhold);
        unseen.shown("completion ".repeat(MOST).as_bytes());
        assert_eq!(unseen.shown.len(), MOST);
        unseen.told(prompt.clone(), &mut withhold);
        unseen.shown(b"ls -l");
        unseen.told(prompt, &mut withhold);
        assert!(unseen.has("ls -l"));
    }
}
