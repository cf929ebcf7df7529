//! What was said about commands, as an event of the recording: marks taken out of the output keep their place in time.
//!
//! Event code `c`; the data is JSON. A reader that does not know it passes over it, as over every code it does not know.

use super::marks::{Hint, Mark};
use crate::cast::{Command, Event, Payload, Source, Trust, millis};
use serde::{Deserialize, Serialize};

/// Most that [`Retold`] keeps, as [`Command::size`] counts it; what comes later is not kept.
const RETOLD: usize = 8 << 20;

/// The flag of a command whose start was told as that of the one before was, with no end between them.
const AGAIN: &str = "told-again: as the line before, of which no end was told: the same once more, or one that the history did not take; the status is not known";

/// The event code.
pub const CODE: &str = "c";

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// By the shell, with the session's nonce.
    Mark(Mark),
    /// By anyone.
    Hint(Hint),
    /// When the mark that follows was sent, as far as the shell's clock is to be believed: microseconds of the monotonic clock.
    Clock(u64),
    /// By the recorder: everything that was written to the terminal before has come. Microseconds of the monotonic clock.
    Through(u64),
    /// By the recorder: of keys that were pressed from then on it is not known yet whether they are withheld; none: of all it is.
    /// Microseconds of the monotonic clock.
    Held(Option<u64>),
    /// By the operator: the first key of a line is pressed (nothing of it is in it).
    Begins,
    /// By the operator: a line was ended (nothing of the line is in it).
    Entered,
    /// By the operator: a line was ended, and Enter was the only key (see [`super::keys`]).
    Alone,
    /// By the recorder, of the withheld input that is told next: when its first key was pressed, milliseconds since the start of the
    /// session, and whether a line was ended with it, or read as a secret.
    Hidden {
        /// When.
        at: u64,
        /// Not only keys.
        line: bool,
    },
}

impl Said {
    /// As an event's payload.
    pub fn payload(&self) -> Payload {
        // Strings and numbers only: this always serialises.
        let data = serde_json::to_string(self).unwrap_or_default();
        Payload::Other { code: CODE.into(), data }
    }

    /// What of it a recording keeps, as an event's payload. The rest is of use to the index alone, and can be told again from the output: it would
    /// cost more than it says.
    pub fn kept(&self) -> Option<Payload> {
        let kept = match self {
            Self::Mark(Mark::Start(start)) => {
                return Some(Self::Mark(Mark::Start(start.clone().kept())).payload());
            }
            Self::Mark(mark) => matches!(mark, Mark::Integration { .. } | Mark::End { .. }),
            Self::Hint(hint) => matches!(hint, Hint::Forged | Hint::Broken),
            Self::Clock(_) | Self::Through(_) | Self::Held(_) => false,
            Self::Begins | Self::Entered | Self::Alone | Self::Hidden { .. } => false,
        };
        kept.then(|| self.payload())
    }

    /// Whether a payload only tells how far everything else has come.
    pub fn is_through(payload: &Payload) -> bool {
        matches!(Self::of(payload), Some(Self::Through(_)))
    }

    /// Read from a payload; `None` when it is something else.
    pub fn of(payload: &Payload) -> Option<Self> {
        match payload {
            Payload::Other { code, data } if code == CODE => serde_json::from_str(data).ok(),
            _ => None,
        }
    }
}

/// The commands of which the shell told, made of its words alone, for what has no index entry. Less is known of them than an index
/// says: neither their directory nor their programs, nor whether their text fits what stood on the screen.
#[derive(Debug, Default)]
pub struct Retold {
    commands: Vec<Command>,
    bytes: usize,
    /// The last one runs.
    runs: bool,
    /// Its start was told again: it may be another line, which nobody told of.
    again: bool,
    /// A start was told, or an end…
    begun: bool,
    /// …which, where it was before any start, is that of what ran before: time, status, and those of a pipeline.
    over: Option<(u64, Option<i32>, Vec<i32>)>,
}

impl Retold {
    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        let now = millis(event.time);
        match Said::of(&event.payload) {
            Some(Said::Mark(Mark::Start(start))) => {
                self.begun = true;
                let (mut flags, unlisted) = (start.flags(), start.unlisted);
                let (source, trust) = (Source::Shell, Trust::Told);
                let text = start.text.unwrap_or_default();
                let runs = std::mem::take(&mut self.runs);
                self.again = false;
                if let Some(command) = self.commands.last_mut().filter(|_| runs) {
                    self.again = !text.is_empty() && command.text == text;
                    // How it ended nobody told.
                    command.end = Some(now);
                }
                if self.again {
                    flags.push(AGAIN.to_owned());
                }
                let command = Command { text, start: now, source, trust, flags, ..Command::default() };
                self.bytes = self.bytes.saturating_add(command.size());
                self.runs = (unlisted || !command.text.is_empty()) && self.bytes <= RETOLD;
                if self.runs {
                    self.commands.push(command);
                }
            }
            Some(Said::Mark(Mark::End { status, pipe, .. })) if !self.begun => {
                self.begun = true;
                self.over = Some((now, status, pipe));
            }
            Some(Said::Mark(Mark::End { status, pipe, .. })) => {
                let runs = std::mem::take(&mut self.runs);
                if let Some(command) = self.commands.last_mut().filter(|_| runs) {
                    command.end = Some(now);
                    if !self.again {
                        (command.exit, command.pipe) = (status, pipe);
                    }
                }
            }
            _ => {}
        }
    }

    /// Ends, where that was told, the last of these commands of which the shell told: it ran before all of this.
    pub fn end(&mut self, before: &mut [Command]) {
        let last = before.iter_mut().rev().find(|command| command.source == Source::Shell);
        if let Some(last) = last.filter(|last| last.end.is_none())
            && let Some((end, exit, pipe)) = self.over.take()
        {
            (last.end, last.exit) = (Some(end), exit);
            last.pipe = if pipe.len() > 1 { pipe } else { Vec::new() };
        }
    }

    /// The commands, by start.
    pub fn finish(self) -> Vec<Command> {
        self.commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::marks::{AtPrompt, Start};
    use std::time::Duration;

    #[test]
    fn commands_are_made_of_what_the_shell_said_alone() {
        let start = |text: &str, cut| Mark::Start(Start { text: Some(text.into()), cut, ..Start::default() });
        let end = |status| Mark::End { status: Some(status), pipe: vec![], cancelled: false };
        let long = "x".repeat(RETOLD);
        let mut retold = Retold::default();
        let unlisted = Mark::Start(Start { unlisted: true, ..Start::default() });
        // The end of one that began before; one that ended; one without a text; one that still runs; one that is too long.
        let said = [
            end(9),
            start("ls", false),
            end(2),
            Mark::Start(Start::default()),
            end(7),
            unlisted,
            end(1),
            start("vi", true),
        ];
        for (second, mark) in said.into_iter().enumerate() {
            let payload = Said::Mark(mark).kept().unwrap();
            retold.event(&Event::new(Duration::from_secs(second as u64), payload));
        }
        retold.event(&Event::new(Duration::from_secs(19), Said::Mark(start(&long, false)).payload()));
        retold.event(&Event::new(Duration::from_secs(20), Said::Mark(end(1)).payload()));
        let ran = |text: &str, source| Command { text: text.into(), source, ..Command::default() };
        let mut before = [ran("sh", Source::Shell), ran("tail", Source::Shell), ran("q", Source::Screen)];
        retold.end(&mut before);
        retold.end(&mut before[..1]);
        assert_eq!(before.map(|c| (c.end, c.exit)), [(None, None), (Some(0), Some(9)), (None, None)]);
        let made = retold.finish();
        let told: Vec<_> = made.iter().map(|c| (c.text.as_str(), c.start, c.end, c.exit)).collect();
        assert_eq!(
            told,
            [
                ("ls", 1000, Some(2000), Some(2)),
                ("", 5000, Some(6000), Some(1)),
                ("vi", 7000, Some(19_000), None)
            ]
        );
        assert_eq!((made[0].source, made[1].flags.len(), made[2].flags.len()), (Source::Shell, 1, 1));
    }

    #[test]
    fn a_start_that_is_told_again_says_so_and_has_no_status() {
        let start = |text: &str| Mark::Start(Start { text: Some(text.into()), ..Start::default() });
        let end = |status| Mark::End { status: Some(status), pipe: vec![0, status], cancelled: false };
        let unlisted = || Mark::Start(Start { unlisted: true, ..Start::default() });
        let mut retold = Retold::default();
        let said =
            [start("one"), start("two"), start("two"), end(7), start("two"), end(1), unlisted(), unlisted()];
        for (second, mark) in said.into_iter().enumerate() {
            let payload = Said::Mark(mark).kept().unwrap();
            retold.event(&Event::new(Duration::from_secs(second as u64), payload));
        }
        let made = retold.finish();
        let told: Vec<_> = made.iter().map(|c| (c.text.as_str(), c.start, c.end, c.exit)).collect();
        assert_eq!(
            told,
            [
                ("one", 0, Some(1000), None),
                ("two", 1000, Some(2000), None),
                ("two", 2000, Some(3000), None),
                ("two", 4000, Some(5000), Some(1)),
                ("", 6000, Some(7000), None),
                ("", 7000, None, None)
            ]
        );
        let again: Vec<_> =
            made.iter().map(|c| c.flags.iter().any(|flag| flag.starts_with("told-again: "))).collect();
        assert_eq!((again, made[2].pipe.len()), (vec![false, false, true, false, false, false], 0));
    }

    #[test]
    fn what_was_said_comes_back_from_the_event() {
        for said in [
            Said::Mark(Mark::Start(Start {
                text: Some("ls \x1b\n".into()),
                number: Some(4),
                ..Start::default()
            })),
            Said::Mark(Mark::End { status: Some(1), pipe: vec![0, 1], cancelled: false }),
            Said::Mark(Mark::Typing(AtPrompt::default())),
            Said::Hint(Hint::Forged),
            Said::Hint(Hint::Start(Some("x".into()))),
            Said::Clock(17),
            Said::Through(18),
            Said::Held(None),
            Said::Held(Some(19)),
            Said::Begins,
            Said::Entered,
            Said::Alone,
            Said::Hidden { at: 4, line: false },
        ] {
            assert_eq!(Said::of(&said.payload()), Some(said));
        }
        let start = |number| Start {
            text: Some("ls".into()),
            number: Some(number),
            before: Some(4),
            ..Start::default()
        };
        let kept = |data: &str| Some(Payload::Other { code: "c".into(), data: data.into() });
        let told = kept(r#"{"mark":{"start":{"text":"ls"}}}"#);
        assert_eq!(Said::Mark(Mark::Start(start(4))).kept(), told);
        // The history's last line is another one.
        let unlisted = kept(r#"{"mark":{"start":{"unlisted":true}}}"#);
        assert_eq!(Said::Mark(Mark::Start(start(3))).kept(), unlisted);
        assert_eq!(
            (Said::Entered.kept(), Said::Clock(4).kept(), Said::Through(4).kept()),
            (None, None, None)
        );
        assert_eq!(Said::Hidden { at: 4, line: true }.kept(), None, "no timing of keys is kept");
        assert_eq!(Said::of(&Payload::Marker("\"entered\"".into())), None);
        assert_eq!(Said::of(&Payload::Other { code: "c".into(), data: "?".into() }), None);
    }
}
