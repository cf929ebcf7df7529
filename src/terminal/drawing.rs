//! Which generation of the drawing this is: what a recording that was made by another version can be asked.
//!
//! Filters and keyframes are what the emulator made of the output when it was recorded, and filters hold what was made of the
//! input as well ([`super::Typed`]). Every change of what is made of the same bytes is a new generation, and the recorder
//! writes the number of its own into the recording. A reader of another generation neither believes what was drawn then, nor
//! calls it a lie: it draws everything itself. (The filters of the second deny what was typed across the end of a segment.)

/// The generation of this version. To be raised by one with every change after which some output or input gives another filter or
/// another keyframe than before; golden recordings and a digest over real sessions are there to notice one
/// (`tests/golden_program.rs`, and the tests of this module). 0 is for recordings that do not say.
pub const DRAWING: u32 = 6;

/// Whether what a recorder of this generation drew is what this version draws, byte for byte. Only then are its filters and
/// keyframes believed without a look, and only then is one that differs a lie.
pub fn draws_alike(generation: u32) -> bool {
    generation == DRAWING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Payload;
    use crate::crypto::digest::{hex, sha256};
    use crate::terminal::corpus::{self, Session};
    use crate::terminal::{Shown, Terminal};

    /// What is drawn of some sessions: the lines that a filter is made of, and a keyframe every so many events.
    fn drawn(sessions: &[Session]) -> Vec<u8> {
        let mut all = Vec::new();
        for session in sessions {
            let mut shown = Shown::new((session.cols, session.rows));
            let mut terminal = Terminal::new(session.cols, session.rows);
            let mut tell =
                |line: crate::terminal::Line| all.extend_from_slice(format!("{}\n", line.text).as_bytes());
            let mut keyframes = String::new();
            for (number, event) in session.events.iter().enumerate() {
                shown.event(event, &mut tell);
                match &event.payload {
                    Payload::Output(bytes) => terminal.feed(bytes),
                    Payload::Resize { cols, rows } => terminal.resize(*cols, *rows),
                    _ => {}
                }
                if number % 64 == 63 {
                    keyframes.extend(terminal.snapshot());
                }
            }
            shown.finish(&mut tell);
            keyframes.extend(terminal.snapshot());
            all.extend_from_slice(keyframes.as_bytes());
        }
        all
    }

    #[test]
    fn a_generation_draws_what_it_always_drew() {
        let found = hex(&sha256(&[&drawn(&corpus::sessions())]));
        let of_this_generation = "f56bf63ce0a2b4b8623efc9f1e172f5f1ab76d7685139d259740034ae7af90db";
        assert_eq!(
            found, of_this_generation,
            "what is drawn of fixtures/screens is not what generation {DRAWING} drew: if that is meant, raise DRAWING by one and put this digest here"
        );
    }

    #[test]
    fn nothing_is_alike_that_does_not_say_so() {
        assert!(draws_alike(DRAWING) && !draws_alike(0) && !draws_alike(DRAWING + 1));
    }
}
