//! How a key asks a person for something.
//!
//! Keys never touch a terminal themselves: whoever wants them unlocked hands in a [`Prompt`]. Refuses to keep what was
//! typed longer than it is needed: passphrases are wiped when dropped.

use age::secrecy::SecretString;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Asks a person. Called from any thread, one question at a time.
pub trait Prompt: Send + Sync {
    /// Asks for a passphrase, without echo.
    ///
    /// # Errors
    /// [`PromptError`] when nobody can be asked, or when the person declined.
    fn passphrase(&self, question: &str) -> Result<Zeroizing<String>, PromptError>;

    /// Asks for a line of text that is no secret. Used by plugins only.
    ///
    /// # Errors
    /// [`PromptError`] when nobody can be asked, or when the person declined.
    fn line(&self, question: &str) -> Result<String, PromptError> {
        let _ = question;
        Err(PromptError("nobody to ask".into()))
    }

    /// Shows a message, such as "touch the key". Used by plugins only. `message` is foreign text: escape it.
    fn tell(&self, message: &str) {
        let _ = message;
    }
}

/// Why nobody could be asked, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptError(pub String);

impl std::fmt::Display for PromptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PromptError {}

/// A [`Prompt`] for where there is nobody: every question is an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Prompt for Nobody {
    fn passphrase(&self, _: &str) -> Result<Zeroizing<String>, PromptError> {
        Err(PromptError("there is nobody to ask for a passphrase".into()))
    }
}

/// A [`Prompt`] as the age crate wants it.
#[derive(Clone)]
pub(super) struct Callbacks(pub(super) Arc<dyn Prompt>);

impl age::Callbacks for Callbacks {
    fn display_message(&self, message: &str) {
        self.0.tell(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let question = format!("{message} ({yes} / {})", no.unwrap_or("no"));
        let answer = self.0.line(&question).ok()?;
        let answer = answer.trim();
        Some(
            answer.eq_ignore_ascii_case(yes)
                || answer.eq_ignore_ascii_case("yes")
                || answer.eq_ignore_ascii_case("y"),
        )
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.line(description).ok()
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.passphrase(description).ok().map(secret)
    }
}

/// The age crate's own secret type; the copy it makes is wiped by it.
pub(super) fn secret(text: Zeroizing<String>) -> SecretString {
    SecretString::from(text.as_str())
}
