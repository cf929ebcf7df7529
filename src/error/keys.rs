//! What went wrong with keys: recipients, identities, passphrases, signing keys, and the lists they stand in.
//!
//! Refuses to open a key: where one could not be read, it asks whose it is and no more.

use super::{Error, Kind, of_number};
use crate::crypto::{identity, known_keys, recipient, sshsig};
use crate::store::{self, personal};
use std::os::unix::fs::MetadataExt as _;

impl From<store::seal::UnlockError> for Error {
    fn from(error: store::seal::UnlockError) -> Self {
        use store::seal::UnlockError as U;
        let (recipients, told) = match error {
            U::Container(error) => return error.into(),
            U::Unwrap { source: identity::UnwrapError::NoIdentity { ref tried, .. }, ref recipients } => {
                (recipients, Self::from_source(Kind::Key, &error).hint(what_opens(tried)))
            }
            U::Unwrap { ref recipients, .. } => {
                let hint = "name the identity file of one of them with --identity";
                (recipients, Self::from_source(Kind::Key, &error).hint(hint))
            }
        };
        told.names_recipients(recipients)
    }
}

impl Error {
    /// With a hint what names all of these recipients, where the error does not.
    pub(crate) fn names_recipients(self, recipients: &[String]) -> Self {
        match store::seal::names_all(recipients) {
            true => self,
            false => self.hint("`sealcast show REC` names all recipients"),
        }
    }
}

impl From<recipient::ParseError> for Error {
    fn from(error: recipient::ParseError) -> Self {
        let told = Self::from_source(Kind::Usage, &error);
        match error {
            recipient::ParseError::SecretKey => {
                told.hint("`age-keygen -y FILE` shows the recipient of an identity")
            }
            _ => told,
        }
    }
}

impl From<recipient::FileError> for Error {
    fn from(error: recipient::FileError) -> Self {
        let told = Self::from_source(Kind::Input, &error);
        match error {
            recipient::FileError::Line { error: recipient::ParseError::SecretKey, .. } => told.hint(
                "a secret key lies where public ones belong: move it away, and replace it if others saw it",
            ),
            recipient::FileError::Line { .. } | recipient::FileError::Empty => {
                told.hint("a recipients file has one `age1…` or `ssh-…` public key a line")
            }
            recipient::FileError::TooMany(_) => told.hint(FEWER),
            recipient::FileError::TooLong(_) => told,
        }
    }
}

impl From<recipient::WrapError> for Error {
    fn from(error: recipient::WrapError) -> Self {
        let told = Self::from_source(Kind::Key, &error);
        match error {
            recipient::WrapError::NeedsPlugin { .. } => told
                .hint("`sealcast keys new --period` makes a key for which plugins may run now, once")
                .hint(
                    "on a host it does not serve recipients that a label adds: `sealcast config check` tells",
                ),
            recipient::WrapError::PluginMissing(program) => told.hint(install(&program)),
            recipient::WrapError::Plugin { .. } => told.hint(PLUGIN_SPEAKS),
            recipient::WrapError::NoRecipients => {
                told.hint("`sealcast keys new` makes an identity and its recipient")
            }
            recipient::WrapError::TooMany(_) => told.hint(FEWER),
            recipient::WrapError::Mixed | recipient::WrapError::Age(_) => told,
        }
    }
}

impl From<identity::LoadError> for Error {
    fn from(error: identity::LoadError) -> Self {
        let told = Self::from_source(Kind::Key, &error);
        match &error {
            identity::LoadError::Read { path, source }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                let me = crate::sys::ids::effective_uid();
                let mine = me != 0 && std::fs::metadata(path).is_ok_and(|facts| facts.uid() == me);
                match mine {
                    true => told.hint(format!("`chmod 600 {}`", path.display())),
                    false => told.hint("an identity belongs to one person; run this as its owner"),
                }
            }
            identity::LoadError::Read { source, .. } => {
                told.hint(of_number(source).unwrap_or("check the name"))
            }
            identity::LoadError::Content { .. } => told.hint(
                "an identity is what `sealcast keys new` or `age-keygen` makes, or an OpenSSH private key",
            ),
        }
    }
}

impl From<identity::UnwrapError> for Error {
    fn from(error: identity::UnwrapError) -> Self {
        use identity::UnwrapError as U;
        match &error {
            U::NoIdentity { tried, .. } => Self::from_source(Kind::Key, &error).hint(what_opens(tried)),
            _ => Self::from_source(Kind::Input, &error),
        }
    }
}

/// What to do about more recipients than there is room for.
const FEWER: &str =
    "name fewer, or shorter ones: an `age1…` key has 62 bytes, an `ssh-rsa` one of 4096 bits 720";

/// What to do about a plugin that failed.
const PLUGIN_SPEAKS: &str = "that is what the plugin says; its documentation says what it needs";

/// What to do about a plugin that is missing.
fn install(program: &str) -> String {
    format!("install `{program}`, and see that it is in $PATH")
}

/// What to do where nobody gave a passphrase.
const ASKED_WHERE: &str =
    "the passphrase is typed on the terminal this runs on; --identity names another identity file";

/// What to do when none of these opened it.
fn what_opens(tried: &[identity::Tried]) -> String {
    use identity::Why;
    let missing = tried.iter().find_map(|t| if let Why::PluginMissing(p) = &t.why { Some(p) } else { None });
    if tried.iter().any(|t| t.why == Why::WrongPassphrase) {
        "try again with the right passphrase".to_owned()
    } else if let Some(program) = missing {
        install(program)
    } else if tried.iter().any(|t| matches!(t.why, Why::Plugin(_))) {
        PLUGIN_SPEAKS.to_owned()
    } else if tried.iter().any(|t| matches!(t.why, Why::NoPassphrase(_))) {
        ASKED_WHERE.to_owned()
    } else {
        "name the identity file of one of its recipients with --identity".to_owned()
    }
}

impl From<sshsig::Error> for Error {
    fn from(error: sshsig::Error) -> Self {
        let told = Self::from_source(Kind::Key, &error);
        match error {
            sshsig::Error::Locked => told.hint("`ssh-keygen -p -N '' -f FILE` takes the passphrase away"),
            sshsig::Error::KeyType(_) => told.hint("`ssh-keygen -t ed25519 -f FILE` makes an Ed25519 key"),
            _ => told,
        }
    }
}

impl From<known_keys::LineError> for Error {
    fn from(error: known_keys::LineError) -> Self {
        Self::from_source(Kind::Input, &error)
            .hint("lines are those of known_hosts, of allowed_signers, or public keys; `ssh-keyscan HOST` writes them")
    }
}

impl From<personal::Error> for Error {
    fn from(error: personal::Error) -> Self {
        use personal::Error as P;
        match error {
            P::System(error) => Self::from(error).while_doing("cannot use the keys"),
            P::Recipients { path, source } => {
                Self::from(source).while_doing(format!("recipients file {}", path.display()))
            }
            P::Signer { path, source } => {
                Self::from(source).while_doing(format!("signing key {}", path.display()))
            }
            P::Identity(error) => error.into(),
            P::Wrap(error) => error.into(),
            P::NoHome => Self::from_source(Kind::System, &error).hint("set HOME to your home directory"),
            P::Open { ref path, .. } => {
                Self::from_source(Kind::Key, &error).hint(format!("`chmod 600 {}`", path.display()))
            }
            P::NoRecipients { .. } => {
                Self::from_source(Kind::Key, &error).hint("write its recipient into recipients.txt beside it")
            }
            P::Period(_) => {
                Self::from_source(Kind::Key, &error).hint("`sealcast keys new --period` makes a new pair")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_could_not_be_asked_for_a_passphrase_is_told_where_it_is_asked_for() {
        let hints = |why| {
            let tried = vec![identity::Tried { path: "mine.txt".into(), why }];
            Error::from(identity::UnwrapError::NoIdentity { slots: Vec::new(), tried }).hints().to_vec()
        };
        let nobody = crate::crypto::prompt::PromptError("there is no terminal to ask on".into());
        assert_eq!(hints(identity::Why::NoPassphrase(nobody)), [ASKED_WHERE]);
        assert_eq!(
            hints(identity::Why::NoMatch),
            ["name the identity file of one of its recipients with --identity"]
        );
    }
}
