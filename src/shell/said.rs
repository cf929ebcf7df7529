//! What was said about commands, as an event of the recording: marks taken out of the output keep their place in time.
//!
//! Event code `c`; the data is JSON. A reader that does not know it passes over it, as over every code it does not know.

use super::marks::{Hint, Mark, Start};
use crate::cast::Payload;
use serde::{Deserialize, Serialize};

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
    /// By the operator: a line was ended (nothing of the line is in it).
    Entered,
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
            // The numbers of the history tell which line the text is of: that has been judged when it was told.
            Self::Mark(Mark::Start(start)) => {
                return Some(
                    Self::Mark(Mark::Start(Start { number: None, before: None, ..start.clone() })).payload(),
                );
            }
            Self::Mark(mark) => matches!(mark, Mark::Integration { .. } | Mark::End { .. }),
            Self::Hint(hint) => matches!(hint, Hint::Forged | Hint::Broken),
            Self::Clock(_) | Self::Entered => false,
        };
        kept.then(|| self.payload())
    }

    /// Read from a payload; `None` when it is something else.
    pub fn of(payload: &Payload) -> Option<Self> {
        match payload {
            Payload::Other { code, data } if code == CODE => serde_json::from_str(data).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_comes_back_from_the_event() {
        for said in [
            Said::Mark(Mark::Start(Start {
                text: Some("ls \x1b\n".into()),
                number: Some(4),
                ..Start::default()
            })),
            Said::Mark(Mark::End { status: Some(1), pipe: vec![0, 1], cancelled: false }),
            Said::Mark(Mark::Typing { status: None, number: None }),
            Said::Hint(Hint::Forged),
            Said::Hint(Hint::Start(Some("x".into()))),
            Said::Clock(17),
            Said::Entered,
        ] {
            assert_eq!(Said::of(&said.payload()), Some(said));
        }
        let start = Start { text: Some("ls".into()), number: Some(4), before: Some(4), ..Start::default() };
        let kept = Payload::Other { code: "c".into(), data: r#"{"mark":{"start":{"text":"ls"}}}"#.into() };
        assert_eq!(Said::Mark(Mark::Start(start)).kept(), Some(kept));
        assert_eq!((Said::Entered.kept(), Said::Clock(4).kept()), (None, None));
        assert_eq!(Said::of(&Payload::Marker("\"entered\"".into())), None);
        assert_eq!(Said::of(&Payload::Other { code: "c".into(), data: "?".into() }), None);
    }
}
