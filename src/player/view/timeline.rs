//! The recording in one line: where something happened, and where the viewer is.

use super::super::app::App;
use super::colored;
use crate::replay::Source;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::time::Duration;

/// Activity, from little to much.
const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The column of a time.
fn column(time: Duration, duration: Duration, width: u16) -> u16 {
    if duration.is_zero() {
        return 0;
    }
    let part = time.as_secs_f64() / duration.as_secs_f64();
    ((part * f64::from(width - 1)).round() as u16).min(width - 1)
}

pub(super) fn draw<S: Source>(app: &App<S>, area: Rect, buffer: &mut Buffer) {
    if area.width == 0 {
        return;
    }
    let outline = app.replay.outline();
    let duration = outline.duration();
    let mut activity = vec![0u8; area.width.into()];
    for (time, bits) in outline.activity.steps() {
        let at = column(time, duration, area.width);
        if let Some(most) = activity.get_mut(usize::from(at)) {
            *most = bits.max(*most);
        }
    }
    let mut put = |x: u16, symbol: &str, style: Style| {
        if let Some(cell) = buffer.cell_mut((area.x + x, area.y)) {
            cell.set_symbol(symbol).set_style(style);
        }
    };
    for (x, bits) in (0..).zip(&activity) {
        match bits {
            0 => put(x, "·", Style::new().add_modifier(Modifier::DIM)),
            bits => {
                // From a few bytes to a megabyte, in eight steps.
                let level = usize::from(bits.saturating_sub(2) / 3).min(LEVELS.len() - 1);
                put(x, LEVELS.get(level).copied().unwrap_or("█"), Style::new());
            }
        }
    }
    let at = |time| column(time, duration, area.width);
    for (time, ..) in &outline.resizes {
        put(at(*time), "↕", colored(app.depth, Color::Cyan));
    }
    for (time, _) in &outline.gaps {
        put(at(*time), "!", colored(app.depth, Color::Red));
    }
    for hit in app.finder.iter().flat_map(|finder| &finder.hits) {
        put(at(hit.first), "◆", colored(app.depth, Color::Yellow));
    }
    let own = app.marks.iter().map(|mark| Duration::from_millis(mark.at));
    for time in outline.marks.iter().chain(&outline.notices).map(|(time, _)| *time).chain(own) {
        put(at(time), "●", colored(app.depth, Color::Green));
    }
    let here = at(app.replay.time());
    if let Some(cell) = buffer.cell_mut((area.x + here, area.y)) {
        cell.modifier.insert(Modifier::REVERSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_recording_are_the_ends_of_the_line() {
        let hour = Duration::from_secs(3600);
        assert_eq!(
            (column(Duration::ZERO, hour, 80), column(hour, hour, 80), column(hour / 2, hour, 81)),
            (0, 79, 40)
        );
        assert_eq!(column(hour, Duration::ZERO, 80), 0);
    }
}
