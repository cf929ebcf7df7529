//! Lists: commands, hits, marks, transcript, help, and what the program said to the terminal.

use super::super::app::{App, Over};
use super::super::hits::NOT_SEARCHED;
use super::super::keymap;
use super::super::pages::Pages;
use super::super::times;
use super::{LEGEND, beginning, bold, colored, dim, frame, reversed, shortened, text};
use crate::cast::millis;
use crate::cast::{Command, Trust};
use crate::replay::Source;
use crate::terminal::Kind;
use crate::text::{counted, escaped};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use std::ops::Range;
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
    let Contents { title, rows, selected, count } = contents(app, area);
    let inner = frame(buffer, area, &title);
    app.places.list = inner;
    app.places.first_row = first(selected.unwrap_or(0), count, inner.height);
    if count == 0 {
        let nothing = match &app.over {
            Over::Transcript(pages) if pages.is_reading() => "reading…",
            // What was gone over in a seek was not heard.
            Over::Hits(_) if app.finder.is_none() => "",
            Over::Events => "nothing in what was played here so far; play it to hear all of it",
            _ => "nothing here",
        };
        text(buffer, inner, 1, 0, nothing, dim());
    }
    for (y, entry) in (0..inner.height).zip(rows) {
        let chosen = selected == Some(app.places.first_row + usize::from(y));
        let mut x = 1;
        if let Some(time) = entry.time {
            x = text(buffer, inner, x, y, &format!("{:>9}  ", times::tenths(time)), dim());
        }
        x = text(buffer, inner, x, y, &entry.tag, dim());
        x = text(buffer, inner, x, y, entry.flag, colored(app.depth, Color::Yellow));
        shortened(buffer, inner, x, y, &escaped(beginning(&entry.text)).to_string(), entry.style);
        if chosen {
            buffer.set_style(Rect { y: inner.y + y, height: 1, ..inner }, reversed());
        }
    }
}

/// What is in view of a list.
struct Contents {
    title: String,
    rows: Vec<Entry>,
    selected: Option<usize>,
    /// Rows of the whole list.
    count: usize,
}

fn contents<S: Source>(app: &App<S>, area: Rect) -> Contents {
    // As many as are in a frame, which leaves one at least.
    let height = area.height.saturating_sub(2).max(1);
    match &app.over {
        Over::None => Contents { title: String::new(), rows: Vec::new(), selected: None, count: 0 },
        Over::Help(from) => help(*from, height),
        Over::Transcript(pages) => transcript(app, pages, height),
        Over::Hits(selected) => hits(app, *selected, height),
        Over::Marks(selected) => marks(app, *selected, height),
        Over::Commands(selected) => commands(app, *selected, height),
        Over::Events => events(app, height),
    }
}

/// The rows of a list that are in view.
fn window(selected: usize, count: usize, height: u16) -> Range<usize> {
    let from = first(selected, count, height);
    from..(from + usize::from(height)).min(count)
}

fn help(from: usize, height: u16) -> Contents {
    let rows = keymap::TABLE.iter().map(|row| Entry {
        time: None,
        tag: format!("{:<22}", row.keys.replace("0 1 2 3 4 5 6 7 8 9", "0 … 9")),
        flag: "",
        text: row.help.to_string(),
        style: Style::new(),
    });
    let count = keymap::TABLE.len();
    let from = from.min(count.saturating_sub(usize::from(height)));
    let title = format!("help · sealcast {} · timeline: {LEGEND}", env!("CARGO_PKG_VERSION"));
    Contents { title, rows: rows.skip(from).collect(), selected: None, count }
}

fn transcript<S: Source>(app: &App<S>, pages: &Pages, height: u16) -> Contents {
    let count = pages.lines().len();
    let range = window(pages.selected, count, height);
    let rows = pages.lines().skip(range.start).take(range.len()).map(|line| Entry {
        time: Some(line.first),
        tag: until(line.first, line.complete)
            + match line.kind {
                Kind::Scrolled | Kind::Final => "  ",
                Kind::Overwritten => "~ ",
                Kind::Cleared => "× ",
                Kind::Page(_) => "▣ ",
            },
        flag: "",
        // The piece before ends with what this one begins with.
        text: beginning(line.text.get(line.overlap..).unwrap_or_default()).to_string(),
        style: match &app.finder {
            Some(finder) if finder.pattern.is_in(&line.text) => colored(app.depth, Color::Yellow),
            _ => Style::new(),
        },
    });
    let doubt = with_dot(pages.doubt());
    let title = format!("transcript{doubt} · Enter goes there · ~ overwritten × cleared ▣ full screen");
    Contents { title, rows: rows.collect(), selected: Some(pages.selected), count }
}

fn hits<S: Source>(app: &App<S>, selected: usize, height: u16) -> Contents {
    if app.finder.is_none() {
        let title = NOT_SEARCHED.to_owned();
        return Contents { title, rows: Vec::new(), selected: None, count: 0 };
    }
    let hits = app.finder.as_ref().map(|finder| finder.hits.as_slice()).unwrap_or_default();
    let doubt = with_dot(app.finder.as_ref().and_then(|finder| finder.doubt(app.replay.outline())));
    let rows = hits.get(window(selected, hits.len(), height)).unwrap_or_default().iter().map(|hit| Entry {
        time: Some(hit.first),
        tag: until(hit.first, hit.complete()) + if hit.page { "▣ " } else { "  " },
        flag: flag_of(&[], hit.trust),
        text: with_doubt(hit.trust, &hit.text),
        style: Style::new(),
    });
    let title = format!("{} · in: {}{doubt}", counted(hits.len() as u64, "hit"), app.scope.name());
    Contents { title, rows: rows.collect(), selected: Some(selected), count: hits.len() }
}

fn marks<S: Source>(app: &App<S>, selected: usize, height: u16) -> Contents {
    let marks = app.all_marks();
    let rows = marks.get(window(selected, marks.len(), height)).unwrap_or_default().iter().map(
        |(time, note, own)| Entry {
            time: Some(*time),
            tag: if *own { "● ".to_string() } else { "recorded ".to_string() },
            flag: "",
            text: beginning(note).to_string(),
            style: Style::new(),
        },
    );
    let title = "marks · Enter goes there · Delete removes".to_string();
    Contents { title, rows: rows.collect(), selected: Some(selected), count: marks.len() }
}

fn commands<S: Source>(app: &App<S>, selected: usize, height: u16) -> Contents {
    let commands = &app.replay.outline().commands;
    let rows =
        commands.get(window(selected, commands.len(), height)).unwrap_or_default().iter().map(|command| {
            Entry {
                time: Some(Duration::from_millis(command.start)),
                tag: exit_of(command.exit),
                flag: flag_of(&command.flags, Some(command.trust)),
                text: with_flags(command),
                style: Style::new(),
            }
        });
    let title = counted(commands.len() as u64, "command");
    Contents { title, rows: rows.collect(), selected: Some(selected), count: commands.len() }
}

fn events<S: Source>(app: &App<S>, height: u16) -> Contents {
    let count = app.heard.len();
    let rows = app.heard.iter().skip(count.saturating_sub(height.into())).map(|heard| Entry {
        time: Some(heard.time),
        tag: String::new(),
        flag: "",
        text: heard.text.clone(),
        style: Style::new(),
    });
    let title = "asked of the terminal in what was played here (nothing was done)".to_string();
    Contents { title, rows: rows.collect(), selected: None, count }
}

/// By when a line stood as it is told, where that is another time than the one at which it began: a prompt may stand for hours.
fn until(first: Duration, complete: Duration) -> String {
    const APART: Duration = Duration::from_secs(1);
    match complete.saturating_sub(first) {
        apart if apart >= APART => format!("– {}  ", times::tenths(complete)),
        _ => String::new(),
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

/// The commands beside the screen, those that run marked.
pub(super) fn command_pane<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    let inner = frame(buffer, area, "commands");
    let commands = &app.replay.outline().commands;
    let now = millis(app.replay.time());
    let last = commands.partition_point(|command| command.start <= now).checked_sub(1);
    // Of one of which it is not known when it ended: until the next one began.
    let runs = |n: usize, command: &Command| match command.end {
        Some(end) => command.start <= now && now <= end,
        None => last == Some(n),
    };
    let from = first(last.unwrap_or(0), commands.len(), inner.height);
    for (y, (n, command)) in (0..inner.height).zip(commands.iter().enumerate().skip(from)) {
        let (sign, style) = if runs(n, command) { ("▶", bold()) } else { (" ", Style::new()) };
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
        shortened(buffer, inner, x, y, &escaped(beginning(&command.text)).to_string(), style);
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
