//! The recorded sessions of `fixtures/screens`, for tests.

#[path = "../../tests/support/screens.rs"]
mod screens;

use crate::cast::{Event, Payload};
pub(crate) use screens::{Session, sessions};

/// The last item of the corpus: a log of about so many bytes, as a busy daemon writes it, in a terminal of 120 by 40. Made
/// anew each time; `compare.py` makes the same.
pub(crate) fn log(bytes: usize) -> Session {
    let (mut events, mut made, mut n) = (Vec::new(), 0, 0u64);
    while made < bytes {
        let mut text = String::new();
        while text.len() < 4096 {
            let level = if n % 7 == 0 { "\x1b[33mWARN\x1b[0m" } else { "INFO" };
            let who = if n % 97 == 0 { "日本語" } else { "worker" };
            let more =
                if n % 11 == 0 { "; this took so long that the line goes on past the margin" } else { "" };
            let (minute, second) = (n / 60 % 60, n % 60);
            text.push_str(&format!(
                "2026-11-25T14:{minute:02}:{second:02}Z {level} {who}-{}\trequest {n} took {} ms{more}\r\n",
                n % 16,
                n * 7919 % 311
            ));
            n += 1;
        }
        made += text.len();
        let time = std::time::Duration::from_millis(events.len() as u64 * 4);
        events.push(Event::new(time, Payload::Output(text.into_bytes())));
    }
    Session { name: "log".into(), cols: 120, rows: 40, events }
}

impl Session {
    /// Feeds the events from `from` on to a terminal.
    pub(crate) fn play(&self, terminal: &mut super::Terminal, from: usize) {
        for event in &self.events[from..] {
            step(terminal, &event.payload);
        }
    }
}

/// What one event does to a terminal.
pub(crate) fn step(terminal: &mut super::Terminal, payload: &Payload) {
    match payload {
        Payload::Output(bytes) => terminal.feed(bytes),
        Payload::Resize { cols, rows } => terminal.resize(*cols, *rows),
        _ => {}
    }
}

mod tests {
    use super::*;
    use crate::sys::dice::Dice;
    use crate::terminal::{Kind, Terminal, Transcript};
    use std::time::Duration;

    /// Cuts a session in 200 places: a keyframe from there, and the rest, are the whole.
    fn two_hundred_cuts(session: &Session) {
        let mut whole = Terminal::new(session.cols, session.rows);
        session.play(&mut whole, 0);
        let want = whole.snapshot();
        let mut dice = Dice(7);
        let (mut done, mut tries) = (0, 0);
        // A cut inside a sequence gives no keyframe: then it is taken a little later, as the recorder does.
        while done < 200 && tries < 2000 {
            tries += 1;
            let event = dice.below(session.events.len());
            let Payload::Output(bytes) = &session.events[event].payload else { continue };
            let mut terminal = Terminal::new(session.cols, session.rows);
            for before in &session.events[..event] {
                step(&mut terminal, &before.payload);
            }
            let mut cut = dice.below(bytes.len() + 1);
            terminal.feed(&bytes[..cut]);
            while terminal.snapshot().is_none() && cut < bytes.len() {
                terminal.feed(&bytes[cut..=cut]);
                cut += 1;
            }
            let Some(keyframe) = terminal.snapshot() else { continue };
            done += 1;
            let mut restored = Terminal::restored(&keyframe).unwrap();
            restored.feed(&bytes[cut..]);
            session.play(&mut restored, event + 1);
            assert_eq!(restored.snapshot(), want, "{}: event {event}, byte {cut}", session.name);
            assert_eq!(restored.text(), whole.text(), "{}: event {event}, byte {cut}", session.name);
        }
        assert!(done == 200, "{}: only {done} cuts of {tries}", session.name);
    }

    #[test]
    fn two_hundred_cuts_in_every_session_restore_and_the_rest_are_the_whole() {
        sessions().iter().for_each(two_hundred_cuts);
        two_hundred_cuts(&log(100_000));
    }

    /// `cargo test --release --lib fifty_megabytes -- --ignored`: some five minutes.
    #[test]
    #[ignore = "goes through 50 MB four hundred times"]
    fn two_hundred_cuts_in_fifty_megabytes_of_log() {
        two_hundred_cuts(&log(50_000_000));
    }

    #[test]
    fn every_session_is_the_same_byte_by_byte() {
        for session in sessions() {
            let mut whole = Terminal::new(session.cols, session.rows);
            session.play(&mut whole, 0);
            let mut bytewise = Terminal::new(session.cols, session.rows);
            for event in &session.events {
                match &event.payload {
                    Payload::Output(bytes) => bytes.iter().for_each(|byte| bytewise.feed(&[*byte])),
                    payload => step(&mut bytewise, payload),
                }
            }
            assert_eq!(whole.snapshot(), bytewise.snapshot(), "{}", session.name);
        }
    }

    /// Lines of the whole transcript, with settling time zero: everything that stood between two events.
    fn transcript(session: &Session, settle: Duration) -> Vec<crate::terminal::Line> {
        let mut lines = Vec::new();
        let mut told = |line| lines.push(line);
        let mut transcript = Transcript::new(session.cols, session.rows).settling(settle);
        for event in &session.events {
            match &event.payload {
                Payload::Output(bytes) => transcript.feed(event.time, bytes, &mut told),
                Payload::Resize { cols, rows } => transcript.resize(event.time, *cols, *rows, &mut told),
                _ => {}
            }
        }
        assert_eq!(transcript.terminal().fault(), None, "{}", session.name);
        transcript.finish(session.events.last().map_or(Duration::ZERO, |event| event.time), &mut told);
        lines
    }

    #[test]
    fn whatever_stood_on_the_screen_after_an_event_is_in_the_transcript() {
        for session in sessions() {
            let lines = transcript(&session, Duration::ZERO);
            let all: String = lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
            let mut terminal = Terminal::new(session.cols, session.rows);
            for (index, event) in session.events.iter().enumerate() {
                step(&mut terminal, &event.payload);
                if matches!(event.payload, Payload::Resize { .. }) {
                    continue;
                }
                for row in 0..terminal.size().1 {
                    let text = terminal.row_text(row);
                    assert!(
                        all.contains(text.trim_end()),
                        "{}: row {row} after event {index} is missing: {text:?}\n{all}",
                        session.name
                    );
                }
            }
            for line in &lines {
                assert!(line.first <= line.last, "{}: {line:?}", session.name);
            }
        }
    }

    #[test]
    fn no_page_of_a_full_screen_program_is_told_twice() {
        for session in sessions() {
            let lines = transcript(&session, Duration::from_millis(100));
            let pages: Vec<_> = lines.iter().filter(|line| matches!(line.kind, Kind::Page(_))).collect();
            let mut seen = std::collections::HashSet::new();
            for line in pages {
                assert!(seen.insert((line.kind, &line.text)), "{}: {line:?}", session.name);
            }
        }
    }
}
