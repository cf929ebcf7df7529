//! Lists: commands, hits, marks, transcript, help, and what the program said to the terminal.

use super::super::app::{App, Over};
use super::super::find::Finder;
use super::super::keymap;
use super::super::times;
use super::{beginning, bold, colored, dim, frame, reversed, text};
use crate::cast::{Command, Trust};
use crate::replay::{Source, millis};
use crate::terminal::Kind;
use crate::text::{counted, escaped};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use std::time::Duration;

/// One row of a list.
struct Entry {
    time: Option<Duration>,
    tag: String,
    /// In front of the text, where no text can push it out of the view.
    flag: &'static str,
    text: String,
    style: Style,
}

/// The first row to show so that `selected` is in view.
fn first(selected: usize, count: usize, height: u16) -> usize {
    let height = usize::from(height.max(1));
    selected.saturating_sub(height / 2).min(count.saturating_sub(height))
}

pub(super) fn draw<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    let (title, entries, selected, count) = contents(app, area);
    let inner = frame(buffer, area, &title);
    app.places.list = inner;
    app.places.first_row = first(selected.unwrap_or(0), count, inner.height);
    if count == 0 {
        let nothing = match &app.over {
            Over::Transcript(pages) if pages.is_reading() => "reading…",
            // What was gone over in a seek was not heard.
            Over::Events => "nothing in what was played here so far; play it to hear all of it",
            _ => "nothing here",
        };
        text(buffer, inner, 1, 0, nothing, dim());
    }
    for (y, entry) in (0..inner.height).zip(entries) {
        let chosen = selected == Some(app.places.first_row + usize::from(y));
        let mut x = 1;
        if let Some(time) = entry.time {
            x = text(buffer, inner, x, y, &format!("{:>9}  ", times::tenths(time)), dim());
        }
        x = text(buffer, inner, x, y, &entry.tag, dim());
        x = text(buffer, inner, x, y, entry.flag, colored(app.depth, Color::Yellow));
        text(buffer, inner, x, y, &escaped(beginning(&entry.text)).to_string(), entry.style);
        if chosen {
            buffer.set_style(Rect { y: inner.y + y, height: 1, ..inner }, reversed());
        }
    }
}

/// Title, the rows in view, the selected row, and how many there are.
fn contents<S: Source>(app: &App<S>, area: Rect) -> (String, Vec<Entry>, Option<usize>, usize) {
    let height = area.height.saturating_sub(2);
    let plain = Style::new();
    let window = |selected, count| {
        let from = first(selected, count, height);
        from..(from + usize::from(height)).min(count)
    };
    match &app.over {
        Over::None => (String::new(), Vec::new(), None, 0),
        Over::Help(from) => {
            let rows = keymap::TABLE.iter().map(|row| Entry {
                time: None,
                tag: format!("{:<22}", row.keys.replace("0 1 2 3 4 5 6 7 8 9", "0 … 9")),
                flag: "",
                text: row.help.to_string(),
                style: plain,
            });
            let count = keymap::TABLE.len();
            let from = (*from).min(count.saturating_sub(usize::from(height)));
            (format!("help · sealcast {}", env!("CARGO_PKG_VERSION")), rows.skip(from).collect(), None, count)
        }
        Over::Transcript(pages) => {
            let count = pages.lines().len();
            let range = window(pages.selected, count);
            let rows = pages.lines().skip(range.start).take(range.len()).map(|line| Entry {
                time: Some(line.first),
                tag: match line.kind {
                    Kind::Scrolled | Kind::Final => "  ".to_string(),
                    Kind::Overwritten => "~ ".to_string(),
                    Kind::Cleared => "× ".to_string(),
                    Kind::Page(_) => "▣ ".to_string(),
                },
                flag: "",
                text: beginning(&line.text).to_string(),
                style: match &app.finder {
                    Some(finder) if finder.pattern.is_in(&line.text) => colored(app.depth, Color::Yellow),
                    _ => plain,
                },
            });
            let doubt = with_dot(pages.doubt());
            let title =
                format!("transcript{doubt} · Enter goes there · ~ overwritten × cleared ▣ full screen");
            (title, rows.collect(), Some(pages.selected), count)
        }
        Over::Hits(selected) => {
            let hits = app.finder.as_ref().map(|finder| finder.hits.as_slice()).unwrap_or_default();
            let doubt = with_dot(app.finder.as_ref().and_then(Finder::doubt));
            let rows = hits.get(window(*selected, hits.len())).unwrap_or_default().iter().map(|hit| Entry {
                time: Some(hit.first),
                tag: if hit.page { "▣ ".to_string() } else { "  ".to_string() },
                flag: flag_of(&[], hit.trust),
                text: with_doubt(hit.trust, &hit.text),
                style: plain,
            });
            (
                format!("{} · in: {}{doubt}", counted(hits.len() as u64, "hit"), app.scope.name()),
                rows.collect(),
                Some(*selected),
                hits.len(),
            )
        }
        Over::Marks(selected) => {
            let marks = app.all_marks();
            let rows = marks.get(window(*selected, marks.len())).unwrap_or_default().iter().map(
                |(time, note, own)| Entry {
                    time: Some(*time),
                    tag: if *own { "● ".to_string() } else { "recorded ".to_string() },
                    flag: "",
                    text: beginning(note).to_string(),
                    style: plain,
                },
            );
            (
                "marks · Enter goes there · Delete removes".to_string(),
                rows.collect(),
                Some(*selected),
                marks.len(),
            )
        }
        Over::Commands(selected) => {
            let commands = &app.replay.outline().commands;
            let rows =
                commands.get(window(*selected, commands.len())).unwrap_or_default().iter().map(|command| {
                    Entry {
                        time: Some(Duration::from_millis(command.start)),
                        tag: exit_of(command.exit),
                        flag: flag_of(&command.flags, Some(command.trust)),
                        text: with_flags(command),
                        style: plain,
                    }
                });
            (counted(commands.len() as u64, "command"), rows.collect(), Some(*selected), commands.len())
        }
        Over::Events => {
            let count = app.heard.len();
            let rows = app.heard.iter().skip(count.saturating_sub(height.into())).map(|(time, what)| Entry {
                time: Some(*time),
                tag: String::new(),
                flag: "",
                text: what.clone(),
                style: plain,
            });
            (
                "asked of the terminal in what was played here (nothing was done)".to_string(),
                rows.collect(),
                None,
                count,
            )
        }
    }
}

/// What there is to say, in a title.
fn with_dot(doubt: Option<String>) -> String {
    doubt.map_or_else(String::new, |doubt| format!(" · {doubt}"))
}

/// An exit status in four columns.
fn exit_of(exit: Option<i32>) -> String {
    exit.map_or("    ".to_string(), |status| format!("{status:>3} "))
}

/// The commands beside the screen, the running one marked.
pub(super) fn command_pane<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    let inner = frame(buffer, area, "commands");
    let commands = &app.replay.outline().commands;
    let now = millis(app.replay.time());
    let current = commands.partition_point(|command| command.start <= now).checked_sub(1);
    let from = first(current.unwrap_or(0), commands.len(), inner.height);
    for (y, (n, command)) in (0..inner.height).zip(commands.iter().enumerate().skip(from)) {
        let (sign, style) = if current == Some(n) { ("▶", bold()) } else { (" ", Style::new()) };
        let x = text(buffer, inner, 0, y, sign, style);
        let x = text(
            buffer,
            inner,
            x,
            y,
            &format!("{:>7} ", times::short(Duration::from_millis(command.start))),
            dim(),
        );
        let failed = command.exit.is_some_and(|status| status != 0);
        let x = text(
            buffer,
            inner,
            x,
            y,
            &exit_of(command.exit),
            if failed { colored(app.depth, Color::Red) } else { dim() },
        );
        let flag = flag_of(&command.flags, Some(command.trust));
        let x = text(buffer, inner, x, y, flag, colored(app.depth, Color::Yellow));
        text(buffer, inner, x, y, &escaped(beginning(&command.text)).to_string(), style);
    }
    app.places.commands = inner;
    app.places.first_command = from;
}

/// Whether there is something to say of a command, or doubt of it: [`with_flags`] has the words.
fn flag_of(flags: &[String], trust: Option<Trust>) -> &'static str {
    match trust.map_or("", Trust::doubt) {
        _ if !flags.is_empty() => "⚠ ",
        "" => "",
        _ => "? ",
    }
}

/// The line, and what there is to say of it.
fn with_flags(command: &Command) -> String {
    let flags: String = command.flags.iter().map(|flag| format!("  ⚠ {flag}")).collect();
    format!("{}{flags}", with_doubt(Some(command.trust), &command.text))
}

/// The line, and how far it can be believed, where there is doubt.
fn with_doubt(trust: Option<Trust>, text: &str) -> String {
    format!("{}{}", beginning(text), trust.map_or("", Trust::doubt))
}
