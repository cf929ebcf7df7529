//! Every key of the player, once: what it does, and how help and manual say so.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for while a recording is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Pause or go on.
    Pause,
    /// Seconds forward or back.
    Seconds(i64),
    /// A tenth forward or back.
    Tenth(i8),
    /// To a tenth of the recording.
    Part(u8),
    /// To the start.
    Start,
    /// To the end.
    End,
    /// Ask for a time.
    Goto,
    /// One frame back.
    FrameBack,
    /// One frame forward.
    FrameForward,
    /// Slower.
    Slower,
    /// Faster.
    Faster,
    /// Normal speed.
    Normal,
    /// Previous command.
    CommandBefore,
    /// Next command.
    CommandAfter,
    /// Cut idle stretches, or keep them.
    Idle,
    /// Squeeze idle stretches, or keep them.
    Logarithmic,
    /// Search forward.
    Find,
    /// Search back.
    FindBack,
    /// Next hit in the direction of the search.
    Next,
    /// Next hit in the other direction.
    Previous,
    /// What is searched.
    Scope,
    /// List of hits.
    Hits,
    /// Command pane.
    Commands,
    /// Transcript.
    Transcript,
    /// Keystrokes.
    Keystrokes,
    /// Set a mark.
    Mark,
    /// List of marks.
    Marks,
    /// Undo the last seek.
    Undo,
    /// Pan to the left.
    PanLeft,
    /// Pan to the right.
    PanRight,
    /// Pan up.
    PanUp,
    /// Pan down.
    PanDown,
    /// Pan with the cursor again.
    PanCursor,
    /// Export a range.
    Export,
    /// Follow a running session.
    Follow,
    /// Make deceptive and hidden text visible.
    Reveal,
    /// What the program said to the terminal.
    Events,
    /// Help.
    Help,
    /// Leave.
    Quit,
}

/// One row of the table.
pub struct Binding {
    /// Keys that do it, as written in help and manual; a space between them.
    pub keys: &'static str,
    /// What they do, in the same order.
    pub actions: &'static [Action],
    /// How it is explained.
    pub help: &'static str,
}

const fn row(keys: &'static str, actions: &'static [Action], help: &'static str) -> Binding {
    Binding { keys, actions, help }
}

/// The table.
pub const TABLE: &[Binding] = &[
    row("Space", &[Action::Pause], "pause, or go on"),
    row("Left Right", &[Action::Seconds(-5), Action::Seconds(5)], "5 seconds back or forward"),
    row("Down Up", &[Action::Seconds(-60), Action::Seconds(60)], "a minute back or forward"),
    row("PgDn PgUp", &[Action::Tenth(-1), Action::Tenth(1)], "a tenth of the recording back or forward"),
    row(
        "0 1 2 3 4 5 6 7 8 9",
        &[
            Action::Part(0),
            Action::Part(1),
            Action::Part(2),
            Action::Part(3),
            Action::Part(4),
            Action::Part(5),
            Action::Part(6),
            Action::Part(7),
            Action::Part(8),
            Action::Part(9),
        ],
        "to that tenth of the recording",
    ),
    row("g G", &[Action::Start, Action::End], "to the start, to the end"),
    row(":", &[Action::Goto], "to a time: 6:39, +30, 50%, 14:05Z"),
    row(", .", &[Action::FrameBack, Action::FrameForward], "one frame back or forward"),
    row("- + =", &[Action::Slower, Action::Faster, Action::Normal], "slower, faster, normal speed"),
    row("[ ]", &[Action::CommandBefore, Action::CommandAfter], "previous, next command"),
    row("i", &[Action::Idle], "skip idle stretches longer than 2 seconds, or not"),
    row("l", &[Action::Logarithmic], "squeeze idle stretches, or not"),
    row("/ ?", &[Action::Find, Action::FindBack], "search forward, back"),
    row("n N", &[Action::Next, Action::Previous], "next hit in that direction, in the other"),
    row("Tab", &[Action::Scope], "search what was shown, run, or typed"),
    row("h", &[Action::Hits], "list of hits"),
    row("c", &[Action::Commands], "commands"),
    row("t", &[Action::Transcript], "transcript; Enter goes to a line"),
    row("k", &[Action::Keystrokes], "keystrokes"),
    row("m '", &[Action::Mark, Action::Marks], "set a mark, list of marks"),
    row("Backspace", &[Action::Undo], "back to before the last jump"),
    row("< >", &[Action::PanLeft, Action::PanRight], "pan sideways over a larger screen"),
    row("{ } |", &[Action::PanUp, Action::PanDown, Action::PanCursor], "pan up, down, with the cursor again"),
    row("e", &[Action::Export], "export FROM..TO FILE"),
    row("F", &[Action::Follow], "follow a running session"),
    row("v", &[Action::Reveal], "show hidden and deceptive characters"),
    row("b", &[Action::Events], "what the program asked of the terminal"),
    row("F1 H", &[Action::Help, Action::Help], "this help"),
    row("q Esc", &[Action::Quit, Action::Quit], "leave, or close what is open"),
];

/// The key of a name in the table.
fn code(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    Some(match name {
        "Space" => KeyCode::Char(' '),
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Tab" => KeyCode::Tab,
        "Backspace" => KeyCode::Backspace,
        "Esc" => KeyCode::Esc,
        "F1" => KeyCode::F(1),
        _ => match (chars.next(), chars.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => return None,
        },
    })
}

/// What a key asks for.
pub(super) fn action(key: &KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    match key.code {
        KeyCode::Home => return Some(Action::Start),
        KeyCode::End => return Some(Action::End),
        _ => {}
    }
    TABLE.iter().find_map(|row| {
        let at = row.keys.split(' ').position(|name| code(name) == Some(key.code))?;
        row.actions.get(at).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_is_a_key_and_does_one_thing() {
        let mut seen = Vec::new();
        for row in TABLE {
            assert_eq!(row.keys.split(' ').count(), row.actions.len(), "{}", row.keys);
            for (name, wanted) in row.keys.split(' ').zip(row.actions) {
                let key = code(name).unwrap_or_else(|| panic!("`{name}` is no key"));
                assert!(!seen.contains(&key), "`{name}` does two things");
                seen.push(key);
                assert_eq!(action(&KeyEvent::new(key, KeyModifiers::NONE)), Some(*wanted), "{name}");
            }
        }
    }

    #[test]
    fn the_manual_tells_every_key() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man/sealcast-play.1");
        let page = std::fs::read_to_string(page).unwrap();
        let lines: Vec<&str> = page.lines().collect();
        for row in TABLE {
            assert!(lines.contains(&row.help), "the manual does not tell: {} {}", row.keys, row.help);
        }
    }

    #[test]
    fn control_c_leaves_and_other_control_keys_do_nothing() {
        let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(action(&control('c')), Some(Action::Quit));
        assert_eq!(action(&control('e')), None);
    }
}
