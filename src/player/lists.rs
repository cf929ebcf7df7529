//! Lists over the screen, and the marks that one of them shows: what a key does in them.
//!
//! Refuses to change the marks of a recording: only the viewer's own can be taken away.

use super::app::{App, Effect, Over};
use super::keymap;
use crate::cast::millis;
use crate::replay::Source;
use crossterm::event::{KeyCode, KeyEvent};
use std::time::Duration;

impl<S: Source> App<S> {
    /// Keys of an open list. `false` when the key means what it means elsewhere.
    pub(super) fn list_key(&mut self, key: &KeyEvent, effects: &mut Vec<Effect>) -> bool {
        let page = isize::try_from(self.places.list.height.max(2)).unwrap_or(isize::MAX) - 1;
        let by = match key.code {
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::Up => -1,
            KeyCode::PageDown | KeyCode::Char(' ') => page,
            KeyCode::PageUp => -page,
            KeyCode::Home | KeyCode::Char('g') => isize::MIN / 2,
            KeyCode::End | KeyCode::Char('G') => isize::MAX / 2,
            KeyCode::Enter => 0,
            KeyCode::Delete if matches!(self.over, Over::Marks(_)) => return self.delete_mark(effects),
            _ => return false,
        };
        match std::mem::replace(&mut self.over, Over::None) {
            Over::None => return false,
            Over::Events if by == 0 => {}
            Over::Events => self.over = Over::Events,
            Over::Help(at) => {
                if by != 0 {
                    self.over = Over::Help(moved(at, by, keymap::TABLE.len()));
                }
            }
            Over::Transcript(mut pages) => {
                if by == 0 {
                    // When it came its place may have held nothing but a prompt.
                    if let Some(complete) = pages.line().map(|line| line.complete) {
                        self.jump(complete);
                        self.playing = false;
                    }
                } else {
                    pages.go(&self.replay, by);
                    pages.work(&mut self.replay, &mut self.budget);
                    self.over = Over::Transcript(pages);
                }
            }
            Over::Hits(at) => {
                let count = self.finder.as_ref().map_or(0, |finder| finder.hits.len());
                if by == 0 {
                    self.show_hit(at);
                } else {
                    self.over = Over::Hits(moved(at, by, count));
                }
            }
            Over::Marks(at) => {
                let marks = self.all_marks();
                if by != 0 {
                    self.over = Over::Marks(moved(at, by, marks.len()));
                } else if let Some((time, ..)) = marks.get(at) {
                    self.jump(*time);
                }
            }
            Over::Commands(at) => {
                let commands = &self.replay.outline().commands;
                if by != 0 {
                    self.over = Over::Commands(moved(at, by, commands.len()));
                } else if let Some(command) = commands.get(at) {
                    let start = Duration::from_millis(command.start);
                    self.jump(start);
                }
            }
        }
        true
    }

    fn delete_mark(&mut self, effects: &mut Vec<Effect>) -> bool {
        if let Over::Marks(at) = self.over
            && let Some((time, note, true)) = self.all_marks().get(at)
        {
            self.marks.retain(|mark| mark.at != millis(*time) || mark.note != *note);
            effects.push(Effect::SaveMarks(self.marks.clone()));
        }
        true
    }

    /// The viewer's marks and those of the recording: time, text, whether the viewer's.
    pub(super) fn all_marks(&self) -> Vec<(Duration, String, bool)> {
        let own = self.marks.iter().map(|mark| (Duration::from_millis(mark.at), mark.note.clone(), true));
        let recorded = self.replay.outline().marks.iter().map(|(at, label)| (*at, label.clone(), false));
        // Where a witness fell silent is to be seen by whoever looks at marks only.
        let notices = self.replay.outline().notices.iter().map(|(at, text)| (*at, text.clone(), false));
        let mut all: Vec<_> = own.chain(recorded).chain(notices).collect();
        all.sort_by_key(|(at, ..)| *at);
        all
    }
}

/// A list position moved by some rows.
fn moved(at: usize, by: isize, count: usize) -> usize {
    at.saturating_add_signed(by).min(count.saturating_sub(1))
}
