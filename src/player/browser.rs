//! The store, to choose a recording from.

use super::app::Effect;
use super::prompt::{Prompt, Purpose, Typed};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A recording in the list. Text from recordings and file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// When it began, as it is shown.
    pub when: String,
    /// `alice → root`.
    pub who: String,
    /// Host.
    pub host: String,
    /// How long it is, as it is shown.
    pub length: String,
    /// Number of commands, or `?` for one that cannot be opened.
    pub commands: String,
    /// Exit status.
    pub exit: String,
    /// `sealed`, `torn`, `running`, `locked`…
    pub state: String,
    /// Id, shortened.
    pub id: String,
    /// Why.
    pub why: String,
}

impl Row {
    /// Whether every word of a filter stands somewhere in it, in either case.
    pub fn matches(&self, filter: &str) -> bool {
        let all = [&self.when, &self.who, &self.host, &self.exit, &self.state, &self.id, &self.why]
            .map(|text| text.to_lowercase())
            .join(" ");
        filter.to_lowercase().split_whitespace().all(|word| all.contains(word))
    }
}

/// The list, newest first as it is given.
pub struct Browser {
    pub(super) rows: Vec<Row>,
    pub(super) filter: String,
    pub(super) prompt: Option<Prompt>,
    /// Selected among the rows that match.
    pub(super) selected: usize,
    pub(super) page: usize,
    pub(super) note: Option<String>,
    /// Where it looks.
    pub(super) place: String,
}

impl Browser {
    /// Over these rows; `place` says where they are from.
    pub fn new(rows: Vec<Row>, place: String) -> Self {
        Self { rows, filter: String::new(), prompt: None, selected: 0, page: 10, note: None, place }
    }

    /// Says something below the list.
    pub fn tell(&mut self, note: String) {
        self.note = Some(note);
    }

    /// Indices of the rows that match.
    pub fn matching(&self) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|n| self.rows.get(*n).is_some_and(|row| row.matches(&self.filter)))
            .collect()
    }

    /// Takes a key.
    pub fn key(&mut self, key: &KeyEvent) -> Option<Effect> {
        self.note = None;
        if let Some(prompt) = &mut self.prompt {
            match prompt.key(key) {
                Typed::More => self.filter.clone_from(&prompt.text),
                Typed::Done => self.prompt = None,
                Typed::Cancelled => {
                    self.prompt = None;
                    self.filter.clear();
                }
            }
            self.selected = self.selected.min(self.matching().len().saturating_sub(1));
            return None;
        }
        let matching = self.matching();
        let last = matching.len().saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Some(Effect::Quit),
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Esc if self.filter.is_empty() => return Some(Effect::Quit),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.prompt = Some(Prompt::new(Purpose::Filter, &self.filter)),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.selected = (self.selected + self.page).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(self.page),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = last,
            KeyCode::Enter => return matching.get(self.selected).map(|row| Effect::Open(*row)),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browser() -> Browser {
        let row = |who: &str, host: &str, why: &str| Row {
            who: who.into(),
            host: host.into(),
            why: why.into(),
            ..Row::default()
        };
        Browser::new(
            vec![
                row("alice → root", "web-3", "OPS-4411 rotate certs"),
                row("bob → root", "db-1", ""),
                row("alice → root", "db-1", "backup"),
            ],
            "/store".into(),
        )
    }

    fn press(browser: &mut Browser, keys: &str) -> Option<Effect> {
        let mut last = None;
        for c in keys.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            last = browser.key(&KeyEvent::new(code, KeyModifiers::NONE));
        }
        last
    }

    #[test]
    fn enter_opens_the_row_that_is_selected() {
        assert_eq!(press(&mut browser(), "jj\n"), Some(Effect::Open(2)));
        assert_eq!(press(&mut browser(), "jjjjk\n"), Some(Effect::Open(1)));
        assert_eq!(press(&mut browser(), "Gg\n"), Some(Effect::Open(0)));
    }

    #[test]
    fn a_filter_of_several_words_narrows_the_list() {
        let mut browser = browser();
        press(&mut browser, "G/ALICE db\n");
        assert_eq!(browser.matching(), [2]);
        assert_eq!(press(&mut browser, "\n"), Some(Effect::Open(2)));
        press(&mut browser, "/x\n");
        assert_eq!((browser.matching(), press(&mut browser, "\n")), (vec![], None));
        assert_eq!(browser.key(&KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)), None);
        assert_eq!(browser.matching().len(), 3);
        assert_eq!(press(&mut browser, "q"), Some(Effect::Quit));
    }
}
