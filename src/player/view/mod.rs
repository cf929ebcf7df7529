//! What the viewer sees. Everything that came out of a recording is drawn as cells or escaped first: no recorded byte
//! reaches the viewer's terminal.

mod browser;
mod lists;
mod screen;
mod timeline;

pub(super) use browser::browser;

use super::app::{App, Depth, Integrity, Over};
use super::prompt::{Prompt, Purpose};
use super::times;
use crate::replay::{Idle, Source};
use crate::text::{cells, escaped, plural, shorten};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

/// What the signs on the timeline are.
const LEGEND: &str = "◆ hit ● mark ↕ resize ! gap · idle";

/// Narrowest terminal in which commands have a pane of their own.
const PANE_FROM: u16 = 100;

/// Draws the player; gives where the viewer's cursor belongs, if anywhere.
pub(super) fn player<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    if area.width < 10 || area.height < 4 {
        text(buffer, area, 0, 0, "too small", Style::new());
        return None;
    }
    let row = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    header(app, row(0), buffer);
    let keys = u16::from(app.keystrokes && area.height > 8);
    let body = Rect { y: area.y + 1, height: area.height - 3 - keys, ..area };
    body_of(app, body, buffer);
    if keys > 0 {
        keystrokes(app, row(area.height - 3), buffer);
    }
    let line = row(area.height - 2);
    // The legend stands where there is room for it, and in the help.
    let legend_width = if area.width >= 120 { 36 } else { 0 };
    app.places.timeline = Rect { x: line.x + 1, width: line.width - 2 - legend_width, ..line };
    timeline::draw(app, app.places.timeline, buffer);
    if legend_width > 0 {
        text(buffer, line, line.width - legend_width - 1, 0, &format!("  {LEGEND}"), dim());
    }
    let last = row(area.height - 1);
    match &app.prompt {
        Some(prompt) => Some(prompt_line(prompt, last, buffer)),
        None => {
            status(app, last, buffer);
            None
        }
    }
}

pub(super) fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub(super) fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

pub(super) fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// A style in a colour, where there are colours.
pub(super) fn colored(depth: Depth, color: Color) -> Style {
    if depth == Depth::Mono { bold() } else { Style::new().fg(color) }
}

/// As much of a text as can be in view at all: what a recording holds may be megabytes long.
pub(super) fn beginning(text: &str) -> &str {
    const LONGEST: usize = 4000;
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Writes a line at a place inside an area, cut at its edge; gives the column after it.
pub(super) fn text(buffer: &mut Buffer, area: Rect, x: u16, y: u16, line: &str, style: Style) -> u16 {
    if x >= area.width || y >= area.height {
        return x;
    }
    let (end, _) = buffer.set_stringn(area.x + x, area.y + y, line, usize::from(area.width - x), style);
    end - area.x
}

/// [`text`], of which what has no room is seen to be missing: it ends in `…` then.
pub(super) fn shortened(buffer: &mut Buffer, area: Rect, x: u16, y: u16, line: &str, style: Style) -> u16 {
    text(buffer, area, x, y, &shorten(line, usize::from(area.width.saturating_sub(x))), style)
}

/// Writes a line that ends at the right edge; gives the column where it begins.
fn text_right(buffer: &mut Buffer, area: Rect, line: &str, style: Style) -> u16 {
    let width = u16::try_from(cells(line)).unwrap_or(u16::MAX);
    let x = area.width.saturating_sub(width);
    text(buffer, area, x, 0, line, style);
    x
}

fn header<S: Source>(app: &App<S>, area: Rect, buffer: &mut Buffer) {
    let outline = app.replay.outline();
    let gaps = outline.gaps.len() as u64;
    let lost = match (outline.missing.count, outline.missing.unknown) {
        (0, true) => "?".to_owned(),
        (count, true) => format!("{count}+"),
        (count, false) => count.to_string(),
    };
    let (withheld, gaps_word) = (outline.withheld.to_string(), plural(gaps, "gap"));
    let counts = [(withheld, "withheld"), (gaps.to_string(), &gaps_word), (lost, "lost")];
    // In words, and where there is little room, with a letter.
    let mut warnings = Vec::new();
    for (count, words) in counts.iter().filter(|(count, _)| count != "0") {
        warnings.push([format!("{count} {words}"), format!("{count} {}", words.get(..1).unwrap_or(words))]);
    }
    for (is, words, short) in [
        (app.stopped, "not read on", "stopped"),
        (app.replay.terminal().overrun(), "screen may differ", "differs"),
        (app.replay.fault().is_some(), "unreadable parts", "unread"),
    ] {
        if is {
            warnings.push([words.to_owned(), short.to_owned()]);
        }
    }
    let (sign, style) = match &app.integrity {
        Integrity::Checking => ("… ", dim()),
        Integrity::Good(_) => ("✔ ", colored(app.depth, Color::Green)),
        Integrity::Doubtful(_) => ("⚠ ", colored(app.depth, Color::Yellow)),
        Integrity::Bad(_) => ("✘ ", colored(app.depth, Color::Red).add_modifier(Modifier::BOLD)),
    };
    let mut right = format!("{sign}{} ", app.integrity.text());
    let room = usize::from(area.width).saturating_sub(cells(&right));
    let warnings = warned(&warnings, area.width < 80, room);
    let commands = outline.commands.len() as u64;
    if commands > 0 && area.width >= 60 {
        // As in the list: there is something to say of what the list of commands may lack.
        let doubt = if outline.notices.is_empty() { "" } else { "!" };
        let told = format!("· {commands}{doubt} {} ", plural(commands, "cmd"));
        if cells(&warnings) + cells(&told) <= room {
            right.push_str(&told);
        }
    }
    right.insert_str(0, &warnings);
    buffer.set_style(area, reversed());
    // The verdict is always whole; the title takes what is left.
    let from = text_right(buffer, area, &right, style.add_modifier(Modifier::REVERSED));
    if !warnings.is_empty() {
        let style = colored(app.depth, Color::Yellow).add_modifier(Modifier::REVERSED);
        text(buffer, area, from, 0, &warnings, style);
    }
    let mut title = vec![app.title.who.clone(), app.title.host.clone()];
    title.extend(outline.began().and_then(times::date));
    title.push(app.title.why.clone());
    title.retain(|part| !part.is_empty());
    let left = Rect { width: from.saturating_sub(1), ..area };
    shortened(buffer, left, 1, 0, &escaped(beginning(&title.join(" · "))).to_string(), reversed());
}

/// The warnings before the verdict, each in words and in short: in no more columns than there are.
fn warned(warnings: &[[String; 2]], short: bool, room: usize) -> String {
    let line = |[words, letter]: &[String; 2], short| format!("{} · ", if short { letter } else { words });
    let all = |short| warnings.iter().map(|each| line(each, short)).collect::<String>();
    for short in [short, true] {
        let line = if warnings.is_empty() { String::new() } else { format!("⚠ {}", all(short)) };
        if cells(&line) <= room {
            return line;
        }
    }
    let mut said = String::from("⚠ ");
    for each in warnings.iter().map(|each| line(each, true)) {
        if cells(&said) + cells(&each) + cells("… ") > room {
            break;
        }
        said.push_str(&each);
    }
    said.push_str("… ");
    if cells(&said) <= room { said } else { String::new() }
}

fn body_of<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    app.places.list = Rect::default();
    if !matches!(app.over, Over::None) {
        app.places.commands = Rect::default();
        return lists::draw(app, area, buffer);
    }
    let pane = if app.pane && area.width >= PANE_FROM && !app.replay.outline().commands.is_empty() {
        (area.width / 4).clamp(32, 60)
    } else {
        0
    };
    let left = Rect { width: area.width - pane, ..area };
    screen::framed(app, left, buffer);
    app.places.commands = Rect::default();
    if pane > 0 {
        let right = Rect { x: area.x + left.width, width: pane, ..area };
        lists::command_pane(app, right, buffer);
    }
}

/// A frame with a title; gives what is inside.
pub(super) fn frame(buffer: &mut Buffer, area: Rect, title: &str) -> Rect {
    if area.width < 2 || area.height < 2 {
        return area;
    }
    // Of two rows the second is for what is inside, and outside of the area nothing is written.
    let (right, bottom) = (area.width - 1, (area.height - 1).max(2));
    for x in 1..right {
        for y in [0, bottom] {
            text(buffer, area, x, y, "─", dim());
        }
    }
    for y in 1..bottom {
        for x in [0, right] {
            text(buffer, area, x, y, "│", dim());
        }
    }
    for (x, y, corner) in [(0, 0, "┌"), (right, 0, "┐"), (0, bottom, "└"), (right, bottom, "┘")] {
        text(buffer, area, x, y, corner, dim());
    }
    let top = Rect { width: area.width.saturating_sub(2), ..area };
    text(buffer, top, 2, 0, &format!(" {title} "), bold());
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: bottom - 1 }
}

fn keystrokes<S: Source>(app: &mut App<S>, area: Rect, buffer: &mut Buffer) {
    let typed = app.recent_input(usize::from(area.width));
    let x = text(buffer, area, 0, 0, " typed: ", dim());
    if typed.is_empty() {
        text(buffer, area, x, 0, "nothing recorded here", dim());
    } else {
        text(buffer, area, x, 0, &typed, bold());
    }
}

fn status<S: Source>(app: &App<S>, area: Rect, buffer: &mut Buffer) {
    let (time, outline) = (app.replay.time(), app.replay.outline());
    let sign = match () {
        () if app.replay.underway() => "…",
        () if app.follow => "⏺",
        () if app.playing => "⏵",
        () => "⏸",
    };
    let narrow = area.width < 100;
    let mut parts = vec![format!("{sign} {} / {}", times::tenths(time), times::short(outline.duration()))];
    parts.extend(outline.wall(time).and_then(times::clock));
    // What is as usual needs no words where there is little room for them.
    if !(narrow && app.speed == 1.0) {
        parts.push(format!("{}x", app.speed));
    }
    if let Some(finder) = &app.finder {
        let pattern = escaped(finder.pattern.text()).to_string();
        let at = finder.nearest(time).map_or(0, |at| at + 1);
        let more = if finder.more { "+" } else { "" };
        let count = finder.hits.len();
        parts.push(if finder.is_done() {
            let doubt = if finder.doubt(outline).is_some() { "?" } else { "" };
            format!("match {at}/{count}{more}{doubt} “{pattern}”")
        } else {
            format!("searching {}% {count} “{pattern}”", finder.percent(&app.replay))
        });
    }
    if app.follow {
        parts.push("following".to_string());
    }
    if app.reveal {
        parts.push("hidden shown".to_string());
    }
    match (app.idle, app.skipped) {
        (_, Some((skipped, _))) => parts.push(format!("» {} idle skipped", times::short(skipped))),
        (Idle::Kept, _) => parts.push("all idle".to_string()),
        (Idle::Limited(super::app::IDLE_LIMIT), _) if narrow => {}
        (Idle::Limited(limit), _) => parts.push(format!("idle > {}s skipped", limit.as_secs())),
        (Idle::Logarithmic, _) => parts.push("idle squeezed".to_string()),
    }
    let (words, style) = match &app.note {
        Some((note, true)) => (escaped(beginning(note)).to_string(), colored(app.depth, Color::Red)),
        Some((note, false)) => (escaped(beginning(note)).to_string(), bold()),
        None => (parts.join("   "), Style::new()),
    };
    // On the right stands what there is room for.
    let mut right = vec!["F1 help ".to_string()];
    if !app.places.framed && matches!(app.over, Over::None) {
        right.insert(0, screen::geometry(app, app.places.screen) + "   F1 help ");
    }
    let words = shorten(&words, usize::from(area.width).saturating_sub(1));
    let end = text(buffer, area, 1, 0, &words, style);
    if let Some(line) =
        right.iter().find(|line| usize::from(end) + 2 + cells(line) <= usize::from(area.width))
    {
        text_right(buffer, area, line, dim());
    }
}

/// The line that is being typed; gives where the cursor belongs.
pub(super) fn prompt_line(prompt: &Prompt, area: Rect, buffer: &mut Buffer) -> Position {
    let label = match prompt.purpose {
        Purpose::Goto => "go to: ",
        Purpose::Find { forward: true } => "/",
        Purpose::Find { forward: false } => "?",
        Purpose::Mark => "note: ",
        Purpose::Export => "export: ",
        Purpose::Filter => "filter: ",
    };
    let x = text(buffer, area, 1, 0, label, bold());
    // A long line is shown from where its cursor is.
    let room = usize::from(area.width.saturating_sub(x + 1)).max(1);
    let skip = (prompt.cursor + 1).saturating_sub(room);
    let shown: String = prompt.text.chars().skip(skip).collect();
    text(buffer, area, x, 0, &escaped(&shown).to_string(), Style::new());
    let before: String = prompt.text.chars().skip(skip).take(prompt.cursor - skip).collect();
    let width = cells(&escaped(&before).to_string());
    Position::new((area.x + x).saturating_add(width as u16).min(area.right() - 1), area.y)
}
