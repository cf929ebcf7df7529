//! The mouse: the timeline, commands and rows of lists.

use super::app::{App, Over};
use super::update::shifted;
use crate::replay::Source;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use std::time::Duration;

impl<S: Source> App<S> {
    /// A click or a turn of the wheel.
    pub(super) fn mouse(&mut self, mouse: &MouseEvent) {
        let inside = |area: ratatui::layout::Rect| area.contains((mouse.column, mouse.row).into());
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left)
                if inside(self.places.timeline) =>
            {
                let area = self.places.timeline;
                let part = f64::from(mouse.column - area.x) / f64::from((area.width.max(2)) - 1);
                self.jump(self.replay.outline().duration().mul_f64(part));
            }
            MouseEventKind::Down(MouseButton::Left) if inside(self.places.list) => {
                let row = self.places.first_row + usize::from(mouse.row - self.places.list.y);
                match &mut self.over {
                    Over::Hits(at) | Over::Marks(at) | Over::Commands(at) => *at = row,
                    Over::Transcript(pages) => pages.select(row),
                    _ => {}
                }
                self.list_key(&KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE), &mut Vec::new());
            }
            MouseEventKind::Down(MouseButton::Left) if inside(self.places.commands) => {
                let row = self.places.first_command + usize::from(mouse.row - self.places.commands.y);
                if let Some(command) = self.replay.outline().commands.get(row) {
                    let start = Duration::from_millis(command.start);
                    self.jump(start);
                }
            }
            MouseEventKind::ScrollDown | MouseEventKind::ScrollUp => {
                let up = mouse.kind == MouseEventKind::ScrollUp;
                if matches!(self.over, Over::None) {
                    self.jump(shifted(self.replay.time(), Duration::from_secs(5), up));
                } else {
                    for _ in 0..3 {
                        let code = if up { KeyCode::Up } else { KeyCode::Down };
                        self.list_key(&KeyEvent::new(code, KeyModifiers::NONE), &mut Vec::new());
                    }
                }
            }
            _ => {}
        }
    }
}
