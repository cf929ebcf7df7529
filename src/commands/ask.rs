//! Questions to the person at the terminal, without echo where the answer is secret.
//!
//! Standard input is read for an answer only where it is a terminal: it may be a pipe with something else in it. Refuses to ask
//! where there is no terminal.

use crate::console::Console;
use crate::crypto::prompt::{Prompt, PromptError};
use crate::sys::poll::Set;
use crate::sys::tty::{forget_typed, to_ask_on};
use crate::text::escaped;
use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::{Zeroize as _, Zeroizing};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1024;
/// What was pasted behind an answer has come when nothing more came for this long. (More than the kernel takes at once
/// arrives in parts.)
const QUIET: Duration = Duration::from_millis(100);

/// Asks on the terminal.
pub(super) struct Terminal {
    console: Arc<Console>,
    /// One question at a time.
    asking: Mutex<()>,
}

impl Terminal {
    pub(super) fn new(console: Arc<Console>) -> Self {
        Self { console, asking: Mutex::new(()) }
    }

    /// Asks for a line that is no secret: the bytes of it, which are text only where the terminal is one of UTF-8.
    pub(super) fn answer(&self, question: &str) -> Result<Vec<u8>, PromptError> {
        let _one = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tty = self.open()?;
        write!(tty, "{} ", escaped(question)).map_err(lost)?;
        let answer = read_answer(&tty);
        // Whoever reads the terminal next may be a shell of root's.
        forget_the_rest(&tty);
        answer
    }

    fn open(&self) -> Result<File, PromptError> {
        // What was said before must stand before the question.
        let _ = self.console.flush();
        to_ask_on().map_err(|_| PromptError("there is no terminal to ask on".into()))
    }
}

/// The terminal in raw mode; as it was before when dropped.
struct NoEcho;

impl NoEcho {
    fn begin() -> Result<Self, PromptError> {
        crossterm::terminal::enable_raw_mode()
            .map(|()| Self)
            .map_err(|error| PromptError(format!("the terminal's echo cannot be turned off: {error}")))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

fn lost(error: std::io::Error) -> PromptError {
    PromptError(format!("the terminal cannot be read: {error}"))
}

impl Prompt for Terminal {
    fn passphrase(&self, question: &str) -> Result<Zeroizing<String>, PromptError> {
        let _one = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tty = self.open()?;
        let silent = NoEcho::begin()?;
        write!(tty, "{}", escaped(question)).map_err(lost)?;
        let answer = read_secret(&mut tty);
        drop(silent);
        let _ = writeln!(tty);
        answer
    }

    fn line(&self, question: &str) -> Result<String, PromptError> {
        String::from_utf8(self.answer(question)?)
            .map_err(|_| PromptError("what was typed is no UTF-8 text".into()))
    }

    fn tell(&self, message: &str) {
        self.console.note(message);
    }
}

/// Reads a line from a terminal that gives whole ones.
fn read_answer(tty: impl std::io::Read) -> Result<Vec<u8>, PromptError> {
    let mut line = Vec::new();
    let mut reader = std::io::BufReader::new(tty.take(MAX_ANSWER as u64));
    match reader.read_until(b'\n', &mut line).map_err(lost)? {
        0 => Err(PromptError("no answer was given".into())),
        _ if line.ends_with(b"\n") => {
            while matches!(line.last(), Some(b'\r' | b'\n')) {
                line.pop();
            }
            Ok(line)
        }
        MAX_ANSWER => Err(PromptError(format!("the answer is longer than {MAX_ANSWER} bytes"))),
        _ => Err(PromptError("the answer was not ended with Enter".into())),
    }
}

/// Forgets what was typed or pasted behind an answer.
fn forget_the_rest(tty: &File) {
    let mut set = Set::default();
    loop {
        forget_typed(tty);
        set.clear();
        let more = set.add(tty, true, false);
        let waited = set.wait(Some(QUIET));
        if waited.is_err() || !set.ready(more).read || set.ready(more).gone {
            // What is there now is no whole line: it did not wake us.
            return forget_typed(tty);
        }
    }
}

/// Reads up to Enter from a terminal in raw mode, with the editing keys people use blindly: backspace, ^U, ^C, ^D.
fn read_secret(tty: &mut impl std::io::Read) -> Result<Zeroizing<String>, PromptError> {
    // Reserved whole, so that growing leaves no copy behind.
    let mut typed = Zeroizing::new(String::with_capacity(MAX_ANSWER));
    let mut character = Zeroizing::new(Vec::with_capacity(4));
    let mut byte = [0];
    // A byte at a time: what is typed behind Enter belongs to whoever reads the terminal next.
    while read_one(tty, &mut byte)? {
        match byte[0] {
            b'\r' | b'\n' => return Ok(typed),
            0x03 => return Err(PromptError("it was interrupted".into())),
            0x04 if typed.is_empty() => return Err(PromptError("no passphrase was given".into())),
            0x04 => return Ok(typed),
            0x15 => typed.zeroize(),
            0x08 | 0x7f => drop(typed.pop()),
            byte => {
                character.push(byte);
                if let Ok(whole) = std::str::from_utf8(&character) {
                    typed.push_str(whole);
                    character.clear();
                } else if character.len() >= 4 {
                    return Err(PromptError("what was typed is no UTF-8 text".into()));
                }
            }
        }
        if typed.len() > MAX_ANSWER - 4 {
            return Err(PromptError("the passphrase is too long".into()));
        }
    }
    Err(PromptError("the terminal has gone".into()))
}

/// Whether there was a byte.
fn read_one(tty: &mut impl std::io::Read, byte: &mut [u8; 1]) -> Result<bool, PromptError> {
    loop {
        match tty.read(byte) {
            Ok(n) => return Ok(n == 1),
            Err(error) if crate::sys::interrupted(&error) => {}
            Err(error) => return Err(lost(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Result<String, String> {
        read_secret(&mut &keys[..]).map(|secret| secret.as_str().to_owned()).map_err(|error| error.0)
    }

    #[test]
    fn an_answer_is_a_whole_line_or_none() {
        let answer = |bytes: &[u8]| read_answer(bytes).map_err(|error| error.0);
        assert_eq!(answer(b"disk is full\nrest").unwrap(), b"disk is full");
        assert_eq!(answer(b"m\xe4\xdf\r\n").unwrap(), b"m\xe4\xdf");
        assert_eq!(answer(&[&[b'x'; MAX_ANSWER - 1][..], b"\n"].concat()).unwrap().len(), MAX_ANSWER - 1);
        assert!(answer(&[&[b'x'; MAX_ANSWER][..], b"\n"].concat()).unwrap_err().contains("longer than 1024"));
        assert!(answer(b"disk is").unwrap_err().contains("Enter"));
        assert!(answer(b"").unwrap_err().contains("no answer"));
    }

    #[test]
    fn a_secret_is_typed_blindly_with_the_usual_editing_keys() {
        assert_eq!(typed(b"open sesame\rrest").unwrap(), "open sesame");
        assert_eq!(typed("añ\u{7f}n\u{7f}ñox\x08\r".as_bytes()).unwrap(), "año");
        assert_eq!(typed(b"wrong\x15right\n").unwrap(), "right");
        assert_eq!(typed(b"ab\x04").unwrap(), "ab");
        assert_eq!(typed(b"\r").unwrap(), "");
        assert!(typed(b"ab\x03").unwrap_err().contains("interrupted"));
        assert!(typed(b"\x04").is_err());
        assert!(typed(b"ab").unwrap_err().contains("gone"));
        assert!(typed(b"\xff\xff\xff\xff\r").is_err());
        assert!(typed(&[b'a'; 2000]).unwrap_err().contains("too long"));
    }
}
