//! Where a word of a shell ends, and where a command does: as much of its grammar as that takes.

/// Reads on in a command line, once from its beginning to its end.
pub(super) struct Script<'a> {
    text: &'a str,
    at: usize,
    /// What closes the quotes, substitutions and comments that are open, the innermost last.
    open: Vec<char>,
    escaped: bool,
    before: char,
    /// How many commands have ended, those in quotes and substitutions aside.
    pub(super) ended: usize,
}

impl<'a> Script<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new(), escaped: false, before: '\n', ended: 0 }
    }

    /// Reads on to there.
    pub(super) fn read_to(&mut self, at: usize) {
        while self.at < at && self.step() {}
    }

    /// Reads on to the end of the word, or of the quotes that we are in, and what is written together with them. That is the
    /// end of the text where they are never closed.
    pub(super) fn end_of_word(&mut self) -> usize {
        let mut quote = self.open.last().copied().filter(|open| matches!(open, '\'' | '"'));
        // They were none, such as the apostrophe of a text between the lines: here some are opened, and not closed.
        if quote.is_some() && self.next() == quote {
            self.open.pop();
            quote = None;
        }
        let level = self.open.len() - usize::from(quote.is_some());
        while let Some(next) = self.next() {
            let is_outer = self.open.len() == level && !self.escaped;
            if is_outer && (ends_word(next) || self.open.last() == Some(&next)) {
                break;
            }
            self.step();
        }
        match quote {
            Some(quote) if self.before == quote && self.open.len() == level => self.at - 1,
            _ => self.at,
        }
    }

    fn next(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn step(&mut self) -> bool {
        let Some(c) = self.next() else { return false };
        self.at += c.len_utf8();
        if std::mem::take(&mut self.escaped) {
            self.before = '\\';
            return true;
        }
        match (self.open.last().copied(), c) {
            (Some('\n'), '\n') => {
                self.open.pop();
                self.ended += 1;
            }
            (Some('\''), '\'') => drop(self.open.pop()),
            (Some('\'' | '\n'), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(closing), c) if closing == c => drop(self.open.pop()),
            (_, '"' | '`') => self.open.push(c),
            (within, '\'') if within != Some('"') => self.open.push(c),
            (within, '(') if self.before == '$' || within == Some(')') => self.open.push(')'),
            (within, '{') if self.before == '$' || within == Some('}') => self.open.push('}'),
            // A comment.
            (None, '#') if self.before.is_whitespace() => self.open.push('\n'),
            (None, ';' | '&' | '|' | '\n') if self.before != '>' => self.ended += 1,
            _ => {}
        }
        self.before = c;
        true
    }
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || ";&|)<>".contains(c)
}
