//! The store, to choose a recording from.
//!
//! Its filter is a query as `sealcast search -q` takes it. While it is typed, headers and indexes are asked; after Enter also
//! what was shown and typed. What stands in the columns of the list counts as well. Searching is somebody else's work: see
//! [`Effect::Narrow`].

use super::app::{Effect, Message, Unsearched};
use super::find::Pattern;
use super::prompt::{Prompt, Purpose, Typed};
use crate::search::{Field, Fields, Query, QueryError, Style};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;

/// What the browser's filter asks for; `inside`: also in what was shown and typed.
///
/// # Errors
/// Where it is not understood, and why.
pub fn query(filter: &str, inside: bool) -> Result<Query, QueryError> {
    let quick = Fields::of(&[Field::Meta, Field::Command, Field::Exec]);
    let fields = if inside { Fields::EVERYWHERE } else { quick };
    Query::parse(filter, Style::default(), fields, Timestamp::now())
}

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
    /// The filter as it is typed.
    pub(super) filter: String,
    /// The filter that holds: the last one that was understood.
    pub(super) good: String,
    /// Why what is typed is not understood.
    pub(super) wrong: Option<QueryError>,
    /// Indices of the rows that match: in their columns, which are looked at once for a filter, and those that a search has found.
    matching: Vec<usize>,
    /// Number of that search.
    asked: u64,
    pub(super) searching: bool,
    /// Recordings that could not be searched.
    pub(super) unsearched: Unsearched,
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
        Self {
            matching: (0..rows.len()).collect(),
            rows,
            filter: String::new(),
            good: String::new(),
            wrong: None,
            asked: 0,
            searching: false,
            unsearched: Unsearched::default(),
            prompt: None,
            selected: 0,
            page: 10,
            note: None,
            place,
        }
    }

    /// Says something below the list.
    pub fn tell(&mut self, note: String) {
        self.note = Some(note);
    }

    /// Indices of the rows that match, in order.
    pub fn matching(&self) -> &[usize] {
        &self.matching
    }

    /// What a search of a recording may be for, where the filter is one text and nothing else.
    pub(super) fn sought(&self) -> Option<Pattern> {
        let text = self.good.trim();
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let is_one = match quoted {
            Some(text) => !text.contains('"'),
            None => !text.contains(|c: char| c.is_whitespace() || ":\"/()".contains(c)),
        };
        is_one.then(|| Pattern::new(quoted.unwrap_or(text)).ok()).flatten()
    }

    /// Takes in what a search has found. What is selected stays selected.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Matches(asked, row) if *asked == self.asked => {
                if let Err(place) = self.matching.binary_search(row) {
                    let moves = place <= self.selected && self.selected < self.matching.len();
                    self.matching.insert(place, *row);
                    self.selected += usize::from(moves);
                }
            }
            Message::Searched(asked, unsearched) if *asked == self.asked => {
                (self.searching, self.unsearched) = (false, *unsearched);
            }
            _ => {}
        }
    }

    /// The filter has changed, or is done (`inside`): asks for what it means, if it can be understood.
    fn narrow(&mut self, inside: bool) -> Option<Effect> {
        let empty = self.filter.trim().is_empty();
        self.wrong = if empty { None } else { query(&self.filter, inside).err() };
        if self.wrong.is_some() {
            return None;
        }
        self.good.clone_from(&self.filter);
        self.matching =
            (0..).zip(&self.rows).filter(|(_, row)| row.matches(&self.good)).map(|(n, _)| n).collect();
        self.asked += 1;
        (self.searching, self.unsearched) = (!empty, Unsearched::default());
        self.selected = self.selected.min(self.matching.len().saturating_sub(1));
        Some(Effect::Narrow { asked: self.asked, filter: self.good.trim().to_owned(), inside })
    }

    /// Takes a key.
    pub fn key(&mut self, key: &KeyEvent) -> Option<Effect> {
        self.note = None;
        if let Some(prompt) = &mut self.prompt {
            match prompt.key(key) {
                Typed::More if prompt.text == self.filter => return None,
                Typed::More => self.filter.clone_from(&prompt.text),
                Typed::Done => {
                    self.prompt = None;
                    return self.narrow(true);
                }
                Typed::Cancelled => {
                    self.prompt = None;
                    self.filter.clear();
                }
            }
            return self.narrow(false);
        }
        let last = self.matching.len().saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Some(Effect::Quit),
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Esc if self.filter.is_empty() => return Some(Effect::Quit),
            KeyCode::Esc => {
                self.filter.clear();
                return self.narrow(false);
            }
            KeyCode::Char('/') => self.prompt = Some(Prompt::new(Purpose::Filter, &self.filter)),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.selected = (self.selected + self.page).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(self.page),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = last,
            KeyCode::Enter => return self.matching.get(self.selected).map(|row| Effect::Open(*row)),
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

    fn drawn(browser: &mut Browser) -> String {
        let area = ratatui::layout::Rect::new(0, 0, 80, 8);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        super::super::view::browser(browser, area, &mut buffer);
        let line = |y| (0..80).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n";
        (0..8).map(line).collect()
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
        assert_eq!((browser.matching().len(), press(&mut browser, "\n")), (0, None));
        let esc = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(browser.key(&esc), Some(Effect::Narrow { filter, .. }) if filter.is_empty()));
        assert_eq!(browser.matching().len(), 3);
        assert_eq!(press(&mut browser, "q"), Some(Effect::Quit));
    }

    #[test]
    fn what_is_typed_is_asked_of_the_index_and_after_enter_of_everything() {
        let mut browser = browser();
        let asked = press(&mut browser, "/exit:!0 o");
        let narrow = |asked, inside| Effect::Narrow { asked, filter: "exit:!0 o".into(), inside };
        let Some(Effect::Narrow { asked: number, .. }) = asked.clone() else { panic!("{asked:?}") };
        assert_eq!(asked, Some(narrow(number, false)));
        assert!(browser.searching && browser.matching().is_empty());
        assert_eq!(press(&mut browser, "\n"), Some(narrow(number + 1, true)));
        // An answer to the first question comes too late.
        browser.hear(&Message::Matches(number, 0));
        browser.hear(&Message::Searched(number, Unsearched::default()));
        assert!(browser.searching && browser.matching().is_empty());
        for row in [1, 2] {
            browser.hear(&Message::Matches(number + 1, row));
        }
        press(&mut browser, "j");
        browser.hear(&Message::Matches(number + 1, 0));
        let unsearched = Unsearched { in_part: 1, unopened: 2 };
        browser.hear(&Message::Searched(number + 1, unsearched));
        assert_eq!((browser.matching(), browser.selected), (&[0, 1, 2][..], 2), "what was selected stays so");
        assert!(!browser.searching && browser.unsearched == unsearched);
        let screen = drawn(&mut browser);
        let told = "1 could not be searched whole · 2 could not be opened";
        assert!(screen.contains(told), "{screen}");
    }

    #[test]
    fn a_filter_of_one_text_is_what_a_recording_may_be_searched_for() {
        for (filter, sought) in [
            ("permit", Some("permit")),
            (" permit-root ", Some("permit-root")),
            ("\"permit root\"", Some("permit root")),
            ("permit root", None),
            ("\"permit\" \"root\"", None),
            ("user:alice", None),
            ("screen:permit", None),
            ("/per?mit/", None),
            ("(permit)", None),
            ("", None),
        ] {
            let mut browser = browser();
            press(&mut browser, &format!("/{filter}\n"));
            assert_eq!(browser.sought().as_ref().map(Pattern::text), sought, "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said_and_the_list_stays_as_it_was() {
        let mut browser = browser();
        press(&mut browser, "/bob ");
        assert_eq!(press(&mut browser, "colour:red"), None);
        assert_eq!(browser.wrong.as_ref().map(|error| error.at.clone()), Some(4..10));
        assert_eq!(browser.good, "bob colour", "what was understood last holds");
        assert_eq!(press(&mut browser, "\n"), None);
        assert!(browser.wrong.is_some());
        browser.key(&KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        assert!(browser.wrong.is_none() && browser.matching().len() == 3);
    }

    #[test]
    fn columns_are_looked_at_once_for_a_filter_however_many_answers_come() {
        let row = |n: usize| Row { who: format!("user {}", n % 2), ..Row::default() };
        let mut browser = Browser::new((0..1000).map(row).collect(), "/store".into());
        press(&mut browser, "/1\njj");
        let odd: Vec<usize> = (0..1000).filter(|n| n % 2 == 1).collect();
        assert_eq!((browser.matching().to_vec(), browser.selected), (odd.clone(), 2));
        // Were they looked at again, none would match.
        browser.rows.iter_mut().for_each(|row| row.who.clear());
        for n in [4, 998, 5, 0, 4] {
            browser.hear(&Message::Matches(browser.asked, n));
        }
        let mut more = [odd, vec![4, 998, 0]].concat();
        more.sort_unstable();
        assert_eq!(
            (browser.matching().to_vec(), browser.selected),
            (more, 4),
            "the fifth row stays selected"
        );
    }

    #[test]
    fn as_long_as_it_is_searched_nothing_is_denied() {
        let mut browser = browser();
        // While it is typed, and after it.
        for keys in ["/needle", "\n"] {
            press(&mut browser, keys);
            let screen = drawn(&mut browser);
            assert!(screen.contains("searching") && !screen.contains("no recording matches"), "{screen}");
            browser.hear(&Message::Searched(browser.asked, Unsearched::default()));
            let screen = drawn(&mut browser);
            assert!(!screen.contains("searching") && screen.contains("no recording matches"), "{screen}");
        }
    }

    #[test]
    fn names_leave_their_room_to_the_reason_and_what_is_cut_is_seen_to_be() {
        let mut browser = browser();
        let screen = drawn(&mut browser);
        assert!(screen.contains("OPS-4411 rotate"), "{screen}");
        browser.rows[0].why = format!("rotate certs {}; and more", "=".repeat(100));
        let screen = drawn(&mut browser);
        assert!(screen.contains("rotate certs =") && screen.contains("=…\n"), "{screen}");
        // Why a filter is not understood is told to its end.
        press(&mut browser, "/colour:red\n");
        let screen = drawn(&mut browser);
        assert!(screen.contains("min-duration"), "{screen}");
    }
}
