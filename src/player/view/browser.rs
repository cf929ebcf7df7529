//! The list of recordings.

use super::super::app::Unsearched;
use super::super::browser::{Browser, Row};
use super::{beginning, bold, dim, prompt_line, reversed, shortened, text};
use crate::text::{cells, escaped};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget as _};

/// The widest a state is drawn where it says more than a word: `torn, renamed`, `running, 12 min silent`.
const WIDEST_STATE: usize = 24;

/// Columns: heading, width, and what stands there. The last one takes the rest.
type Column = (&'static str, u16, fn(&Row) -> &str);
const COLUMNS: [Column; 9] = [
    ("WHEN (UTC)", 21, |row| &row.when),
    ("WHO", 18, |row| &row.who),
    ("HOST", 12, |row| &row.host),
    ("LENGTH", 9, |row| &row.length),
    ("CMDS", 5, |row| &row.commands),
    ("EXIT", 5, |row| &row.exit),
    ("STATE", 9, |row| &row.state),
    ("ID", 9, |row| &row.id),
    ("WHY", 200, |row| &row.why),
];

/// Columns left out of a narrow terminal, first to go first.
const NARROW: [&str; 3] = ["CMDS", "ID", "EXIT"];

/// Columns before a filter that is typed: its label.
const LABEL: usize = 9;

/// Draws the list; gives where the viewer's cursor belongs, if anywhere.
pub(in crate::player) fn browser(browser: &mut Browser, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    if area.width < 20 || area.height < 5 {
        text(buffer, area, 0, 0, "too small", Style::new());
        return None;
    }
    let matching = browser.matching().to_vec();
    buffer.set_style(row(0), reversed());
    let place = escaped(&browser.place).to_string();
    let searching = if browser.searching { " · searching…" } else { "" };
    let count = format!("recordings · {} of {}{searching} · {place}", matching.len(), browser.rows.len());
    text(buffer, row(0), 1, 0, &count, reversed());
    let dropped = if area.width >= 100 { 0 } else { NARROW.len() };
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|(name, ..)| !NARROW.iter().take(dropped).any(|n| n == name)).collect();
    // Without the column of the commands their doubt stands with the state.
    let told = |column: &Column, row: &Row| match column.0 {
        "STATE" if dropped > 0 && row.commands.ends_with('!') => format!("{} !", row.state),
        _ => (column.2)(row).to_owned(),
    };
    let longest = browser.rows.iter().map(|row| row.state.chars().count() + 3).max().unwrap_or(0);
    let state = u16::try_from(longest.min(WIDEST_STATE)).unwrap_or(0);
    // What names do not need is left to what stands behind them.
    let needed = |column: &Column| {
        let longest = browser.rows.iter().map(|row| cells((column.2)(row)) + 2).max().unwrap_or(0);
        u16::try_from(longest.max(column.0.len() + 2)).map_or(column.1, |needed| needed.min(column.1))
    };
    let widths: Vec<u16> = columns
        .iter()
        .map(|column| match column.0 {
            "STATE" => column.1.max(state),
            "WHO" | "HOST" => needed(column),
            _ => column.1,
        })
        .collect();
    let mut line = |area: Rect, cells: &dyn Fn(&Column) -> String, style: Style| {
        let mut x = 1;
        for (column, width) in columns.iter().zip(&widths) {
            let cell = Rect { width: area.width.min(x + width - 1), ..area };
            shortened(buffer, cell, x, 0, &cells(column), style);
            x += width;
        }
    };
    line(row(1), &|column| column.0.to_string(), bold());
    let height = area.height - 3;
    browser.page = usize::from(height);
    let from = browser
        .selected
        .saturating_sub(usize::from(height) / 2)
        .min(matching.len().saturating_sub(height.into()));
    let mut chosen = None;
    for (y, (n, index)) in (2..2 + height).zip(matching.iter().enumerate().skip(from)) {
        let Some(found) = browser.rows.get(*index) else { continue };
        line(row(y), &|column| escaped(beginning(&told(column, found))).to_string(), Style::new());
        if n == browser.selected {
            chosen = Some(row(y));
        }
    }
    if let Some(chosen) = chosen {
        buffer.set_style(chosen, reversed());
    }
    if matching.is_empty() {
        let told = if browser.searching { "none so far: searching…" } else { "no recording matches" };
        text(buffer, row(2), 1, 0, told, dim());
    }
    let last = row(area.height - 1);
    if let Some(prompt) = &browser.prompt {
        if let Some(wrong) = &browser.wrong {
            // Above the place that is meant.
            let before = browser.filter.get(..wrong.at.start).unwrap_or_default().chars().count();
            let told = format!("▾ {}", escaped(&wrong.to_string()));
            let width = told.chars().count();
            let from = LABEL + before;
            let from = if from + width < usize::from(area.width) { from } else { LABEL };
            let above = row(area.height - 2);
            text(buffer, above, 0, 0, &" ".repeat(area.width.into()), Style::new());
            text(buffer, above, u16::try_from(from).unwrap_or(0), 0, &told, bold());
        }
        return Some(prompt_line(prompt, last, buffer));
    }
    let wrong = browser.wrong.as_ref().map(|wrong| {
        let hint = wrong.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
        format!("filter “{}”: {wrong}{hint}", browser.filter)
    });
    if let Some(note) = browser.note.as_ref().or(wrong.as_ref()) {
        // Whole, over the end of the list: what it leads to may stand at its end, and the next key takes it away.
        let lines = folded(&escaped(beginning(note)).to_string(), usize::from(area.width - 2));
        let from = area.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(u16::MAX)).max(2);
        Clear.render(Rect { y: area.y + from, height: area.height - from, ..area }, buffer);
        for (y, line) in (from..area.height).zip(&lines) {
            text(buffer, row(y), 1, 0, line, dim());
        }
        return None;
    }
    let note = match browser.filter.is_empty() {
        true => "Enter opens · / filters · q leaves".to_string(),
        false => {
            let Unsearched { in_part, unopened } = browser.unsearched;
            let state: String = [(in_part, "searched whole"), (unopened, "opened")]
                .into_iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!(" · {n} could not be {what}"))
                .collect();
            format!("filter “{}”{state} · Esc shows all", escaped(&browser.filter))
        }
    };
    shortened(buffer, last, 1, 0, &note, dim());
    None
}

/// The lines of a text, none wider than `width`: broken at spaces, or inside a word that is wider.
fn folded(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for c in text.chars() {
        line.push(c);
        if cells(&line) > width {
            let from = line.rfind(' ').map_or(line.len() - c.len_utf8(), |space| space + 1);
            let rest = line.split_off(from);
            lines.push(std::mem::replace(&mut line, rest));
        }
    }
    lines.push(line);
    lines
}
