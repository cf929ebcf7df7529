//! A line that is typed: for times, searches, notes and ranges.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest line, in characters.
const MAX: usize = 500;

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A time to go to.
    Goto,
    /// What to search; whether forward.
    Find {
        /// Towards the end.
        forward: bool,
    },
    /// The note of a mark.
    Mark,
    /// A range and a file.
    Export,
    /// The filter of the browser.
    Filter,
}

/// A line being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// What for.
    pub(super) purpose: Purpose,
    /// What has been typed.
    pub(super) text: String,
    /// Characters before the cursor.
    pub(super) cursor: usize,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// The line goes on.
    More,
    /// The line is done.
    Done,
    /// It was given up.
    Cancelled,
}

impl Prompt {
    /// With a text to begin with.
    pub(super) fn new(purpose: Purpose, text: &str) -> Self {
        Self { purpose, text: text.to_string(), cursor: text.chars().count() }
    }

    fn at(&self, chars: usize) -> usize {
        self.text.char_indices().nth(chars).map_or(self.text.len(), |(at, _)| at)
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: &KeyEvent) -> Typed {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Cancelled,
            KeyCode::Char('c') if control => return Typed::Cancelled,
            KeyCode::Char('u') if control => {
                self.text = self.text.split_off(self.at(self.cursor));
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => {
                let before = &self.text[..self.at(self.cursor)];
                let kept = before.trim_end().rfind(' ').map_or(0, |space| space + 1);
                let kept = before[..kept].chars().count();
                let (from, to) = (self.at(kept), self.at(self.cursor));
                self.text.replace_range(from..to, "");
                self.cursor = kept;
            }
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.chars().count(),
            KeyCode::Char(_) if control => {}
            KeyCode::Char(c) if self.text.chars().count() < MAX => {
                self.text.insert(self.at(self.cursor), c);
                self.cursor += 1;
            }
            KeyCode::Backspace if self.cursor == 0 && self.text.is_empty() => return Typed::Cancelled,
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.at(self.cursor));
            }
            KeyCode::Delete if self.at(self.cursor) < self.text.len() => {
                self.text.remove(self.at(self.cursor));
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.chars().count()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.chars().count(),
            _ => {}
        }
        Typed::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[(KeyCode, KeyModifiers)]) -> (String, Typed) {
        let mut prompt = Prompt::new(Purpose::Mark, "");
        let mut last = Typed::More;
        for (code, modifiers) in keys {
            last = prompt.key(&KeyEvent::new(*code, *modifiers));
        }
        (prompt.text, last)
    }

    #[test]
    fn a_line_is_edited_as_elsewhere() {
        let none = KeyModifiers::NONE;
        let text = |text: &'static str| text.chars().map(move |c| (KeyCode::Char(c), none));
        let mut keys: Vec<_> = text("año nuevx").collect();
        keys.extend([
            (KeyCode::Backspace, none),
            (KeyCode::Char('o'), none),
            (KeyCode::Home, none),
            (KeyCode::Delete, none),
        ]);
        keys.extend(text("A"));
        assert_eq!(typed(&keys).0, "Año nuevo");
        keys.extend([(KeyCode::End, none), (KeyCode::Char('w'), KeyModifiers::CONTROL)]);
        assert_eq!(typed(&keys).0, "Año ");
        keys.push((KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(typed(&keys).0, "");
        assert_eq!(typed(&[(KeyCode::Enter, none)]).1, Typed::Done);
        assert_eq!(typed(&[(KeyCode::Backspace, none)]).1, Typed::Cancelled);
    }
}
