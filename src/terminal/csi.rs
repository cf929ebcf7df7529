//! Control sequences: one row for each (ECMA-48, DEC STD 070, xterm).

use super::Event;
use super::modes::Mode;
use super::screen::Screen;
use super::sgr;

/// Parameters as numbers; the first subparameter of each. As many as xterm takes.
struct Numbers([u16; 30], usize);

impl Numbers {
    fn new(params: &vte::Params) -> Self {
        let mut numbers = Self([0; 30], 0);
        for (slot, group) in numbers.0.iter_mut().zip(params.iter()) {
            *slot = group.first().copied().unwrap_or(0);
            numbers.1 += 1;
        }
        numbers
    }

    /// A parameter; 0 where it is absent.
    fn get(&self, index: usize) -> u16 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// A count: absent or 0 means 1.
    fn count(&self, index: usize) -> usize {
        usize::from(self.get(index).max(1))
    }

    fn four(&self, from: usize) -> [u16; 4] {
        [self.get(from), self.get(from + 1), self.get(from + 2), self.get(from + 3)]
    }
}

impl Screen {
    /// Does what a control sequence says; unknown ones do nothing.
    pub(super) fn csi(&mut self, params: &vte::Params, intermediates: &[u8], action: char) {
        let n = Numbers::new(params);
        match (intermediates, action) {
            ([], '@') => self.insert_blanks(n.count(0)),
            ([], 'A') => self.up(n.count(0)),
            ([], 'B' | 'e') => self.down(n.count(0)),
            ([], 'C' | 'a') => self.forward(n.count(0)),
            ([], 'D') => self.back(n.count(0)),
            ([], 'E') => {
                self.down(n.count(0));
                self.carriage_return();
            }
            ([], 'F') => {
                self.up(n.count(0));
                self.carriage_return();
            }
            ([], 'G' | '`') => self.column(n.count(0) - 1),
            ([], 'H' | 'f') => self.goto(n.count(1) - 1, n.count(0) - 1),
            ([], 'I') => self.tab(n.count(0)),
            ([] | [b'?'], 'J') => self.erase_display(n.get(0)),
            ([] | [b'?'], 'K') => self.erase_line(n.get(0)),
            ([], 'L') => self.insert_lines(n.count(0)),
            ([], 'M') => self.delete_lines(n.count(0)),
            ([], 'P') => self.delete_characters(n.count(0)),
            ([], 'S') => self.scroll_region(n.count(0), true),
            // With five parameters it is xterm's highlight tracking.
            ([], 'T') if n.1 <= 1 => self.scroll_region(n.count(0), false),
            ([], '^') => self.scroll_region(n.count(0), false),
            ([], 'X') => self.erase_characters(n.count(0)),
            ([], 'Z') => self.back_tab(n.count(0)),
            ([], 'b') => self.repeat(n.count(0)),
            ([], 'c') => self.tell(Event::Query("DA1".into())),
            ([b'>'], 'c') => self.tell(Event::Query("DA2".into())),
            ([b'='], 'c') => self.tell(Event::Query("DA3".into())),
            ([b'>'], 'q') => self.tell(Event::Query("XTVERSION".into())),
            ([], 'd') => self.row(n.count(0) - 1),
            ([], 'g') => self.clear_tabs(n.get(0)),
            ([], 'h' | 'l') => (0..n.1).for_each(|i| self.set_mode(n.get(i), false, action == 'h')),
            ([b'?'], 'h' | 'l') => (0..n.1).for_each(|i| self.set_mode(n.get(i), true, action == 'h')),
            ([], 'm') => sgr::apply(&mut self.grid.cursor.template, params),
            ([] | [b'?'], 'n') => self.tell(Event::Query(format!("DSR {}", n.get(0)))),
            ([b'$'] | [b'?', b'$'], 'p') => self.tell(Event::Query(format!("DECRQM {}", n.get(0)))),
            ([b'!'], 'p') => self.soft_reset(),
            ([b' '], 'q') => self.shape = n.get(0).min(6) as u8,
            ([], 'r') => self.set_rows(n.get(0), n.get(1)),
            ([], 's') if self.modes.has(Mode::Margins) => self.set_columns(n.get(0), n.get(1)),
            ([], 's') => self.save_cursor(),
            ([], 'u') => self.restore_cursor(),
            ([b'?'], 'u') => self.tell(Event::Query("keyboard".into())),
            ([], 't') => match n.get(0) {
                22 if n.get(1) != 1 => self.push_title(),
                23 if n.get(1) != 1 => self.pop_title(),
                11 | 13..=16 | 18..=21 => self.tell(Event::Query(format!("XTWINOPS {}", n.get(0)))),
                _ => {}
            },
            ([b'$'], 'v') => {
                if let Some(from) = self.area(n.four(0)) {
                    let (above, before) =
                        if self.modes.has(Mode::Origin) { (self.top, self.left) } else { (0, 0) };
                    self.copy(from, n.count(6) - 1 + before, n.count(5) - 1 + above);
                }
            }
            ([b'$'], 'x') => {
                let c = char::from_u32(u32::from(n.get(0)))
                    .filter(|c| matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}'));
                if let (Some(c), Some(area)) = (c, self.area(n.four(1))) {
                    self.fill(area, Some(c));
                }
            }
            ([b'$'], 'z') => {
                if let Some(area) = self.area(n.four(0)) {
                    self.fill(area, None);
                }
            }
            ([b'\''], '}') => self.shift_columns(self.x(), n.count(0), true),
            ([b'\''], '~') => self.shift_columns(self.x(), n.count(0), false),
            _ => {}
        }
    }

    /// CHA and HPA.
    fn column(&mut self, x: usize) {
        let y = self.y();
        if self.modes.has(Mode::Origin) {
            self.goto(x, y.saturating_sub(self.top));
        } else {
            self.place(x, y);
        }
    }

    /// VPA.
    fn row(&mut self, y: usize) {
        let x = self.x();
        if self.modes.has(Mode::Origin) {
            self.goto(x.saturating_sub(self.left), y);
        } else {
            self.place(x, y);
        }
    }

    fn clear_tabs(&mut self, how: u16) {
        match how {
            0 => {
                let x = self.x();
                self.tabs[x] = false;
            }
            3 => self.tabs.fill(false),
            _ => {}
        }
    }

    /// DECSTBM: at least two rows; anything else is ignored.
    fn set_rows(&mut self, top: u16, bottom: u16) {
        let top = usize::from(top.max(1)) - 1;
        let bottom = if bottom == 0 { self.rows } else { usize::from(bottom).min(self.rows) } - 1;
        if top < bottom {
            (self.top, self.bottom) = (top, bottom);
            self.goto(0, 0);
        }
    }

    /// DECSLRM: at least two columns; anything else is ignored.
    fn set_columns(&mut self, left: u16, right: u16) {
        let left = usize::from(left.max(1)) - 1;
        let right = if right == 0 { self.cols } else { usize::from(right).min(self.cols) } - 1;
        if left < right {
            (self.left, self.right) = (left, right);
            self.goto(0, 0);
        }
    }
}
