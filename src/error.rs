//! What went wrong, as the person at the keyboard is told: the kind, the exit code, one line, and what to do next.
//!
//! The rooms below have small errors of their own; here they become an [`Error`] with the chain of their causes and a
//! hint. Refuses to print in two ways: [`Error::print`] is the only printer of a whole one (`error: …`, causes joined by `: `, then
//! `hint: …`).

mod keys;

use crate::console::{Console, Style, WriteError};
use crate::container;
use crate::policy;
use crate::record::{elevate, session};
use crate::store;
use crate::sys::stage::Step;
use crate::text;
use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// What kind of failure it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer is no: nothing found, altered. Exit code 1.
    No,
    /// The command line asks for something that makes no sense. Exit code 2.
    Usage,
    /// A file is not what it should be. Exit code 2.
    Input,
    /// A key is missing or does not fit. Exit code 2.
    Key,
    /// The system refused. Exit code 2.
    System,
    /// Standard output takes no more: what was said is lost. Exit code 2.
    Unwritten,
    /// The command to be recorded is there, but cannot be executed. Exit code 126.
    NotExecutable,
    /// The command to be recorded was not found. Exit code 127.
    CommandNotFound,
    /// Whoever read our output has gone. Exit code 0, without a word.
    Closed,
}

/// A failure, ready to be told.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    /// What happened, and its causes.
    what: String,
    hints: Vec<String>,
}

/// Result of everything a command does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure of this kind; `what` happened, in lower case and without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hints: Vec::new() }
    }

    /// A failure of this kind with the causes of `error`.
    pub fn from_source(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(kind, text::chain(error))
    }

    /// Says what was being done when this happened.
    #[must_use]
    pub fn while_doing(mut self, what: impl Into<String>) -> Self {
        self.what = format!("{}: {}", what.into(), self.what);
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says that this went wrong as well.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.what = format!("{}; {}", self.what, other.what);
        self.hints.extend(other.hints);
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The exit code of a command that fails so. `run` stands in for another program: its own failures are 125.
    pub fn exit_code(&self, of_run: bool) -> u8 {
        match self.kind {
            Kind::Closed => 0,
            Kind::NotExecutable => 126,
            Kind::CommandNotFound => 127,
            _ if of_run => 125,
            Kind::No => 1,
            Kind::Usage | Kind::Input | Kind::Key | Kind::System | Kind::Unwritten => 2,
        }
    }

    /// Tells it on standard error.
    pub fn print(&self, console: &Console) {
        if self.kind == Kind::Closed {
            return;
        }
        console.remark("error", Style::Red, self);
        for hint in &self.hints {
            console.remark("hint", Style::Yellow, hint);
        }
    }

    /// Tells what can be done about it, but for what was `said` of another already: there may be many of a kind.
    pub fn print_hints(&self, console: &Console, said: &mut BTreeSet<String>) {
        for hint in &self.hints {
            if said.insert(hint.clone()) {
                console.remark("hint", Style::Yellow, hint);
            }
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Adds what was being done, on the way up.
pub trait Context<T> {
    /// What was being done, such as `cannot read recipients file /etc/x`.
    ///
    /// # Errors
    /// The failure itself.
    fn or_say(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn or_say(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().while_doing(what()))
    }
}

/// What to do about errors that the standard library has no word for, or one that says less.
fn of_number(error: &std::io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EMFILE => Some("`ulimit -n` says how many files may be open at once: raise it"),
        libc::ELOOP => Some("`ls -l` shows its links: they lead to one another, and to no file"),
        libc::ENXIO => Some("it is a socket, or a device that is not there: name a file"),
        libc::EFBIG => Some("a limit on the length of files is in the way: raise it (`ulimit -f`)"),
        _ => None,
    }
}

/// The same of what stands anywhere among the causes.
fn of_cause(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(hint) = cause.downcast_ref::<std::io::Error>().and_then(of_number) {
            return Some(hint);
        }
        next = cause.source();
    }
    None
}

/// What to do about a link that leads to nothing.
const LEADS_TO_NOTHING: &str =
    "it is a symbolic link that leads to nothing: what it leads to may not be mounted";

/// What to do about a recording that is damaged.
pub const HOW_MUCH_IS_GOOD: &str = "`sealcast verify` says how much of it is good";

/// What root does where others cannot read what they need to.
pub const LET_READ: &str = "root makes files readable with `chmod 644`, directories with `chmod 755`";

/// What to do about what is no file.
const NAME_A_FILE: &str = "name a file";

/// What to do about a file that is to be read as text, and is none.
const NO_TEXT: &str = "what is in it is no text: see that it is the file that is meant";

/// What to do where there is no room.
const MAKE_ROOM: &str = "make room, or choose another place";

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        use std::io::ErrorKind as Io;
        let WriteError::Io(source) = &error else { return Self::new(Kind::Closed, error.to_string()) };
        let hint = match source.kind() {
            Io::StorageFull | Io::QuotaExceeded => MAKE_ROOM,
            _ => "see where standard output leads, or send it elsewhere",
        };
        Self::from_source(Kind::Unwritten, &error).hint(hint)
    }
}

impl From<crate::sys::Error> for Error {
    fn from(error: crate::sys::Error) -> Self {
        use std::io::ErrorKind as Io;
        let told = Self::from_source(Kind::System, &error);
        match error.kind() {
            _ if error.is_of_link() => told.hint("put the file itself in its place"),
            _ if error.operation == crate::sys::FOLLOW => told.hint(LEADS_TO_NOTHING),
            _ if let Some(hint) = of_number(&error.source) => told.hint(hint),
            Io::ReadOnlyFilesystem => told.hint("the file system is mounted read-only; choose another place"),
            Io::StorageFull | Io::QuotaExceeded => told.hint(MAKE_ROOM),
            Io::AlreadyExists => told.hint("choose another name, or move the old one away"),
            Io::NotFound | Io::NotADirectory => told.hint("check the name"),
            // Root needs no rights: what forbids it is something else, such as a recording around this one.
            Io::PermissionDenied
                if error.source.raw_os_error().is_some() && crate::sys::ids::effective_uid() == 0 =>
            {
                told.hint("not even root may do this here: this session is guarded (`landlock`), or its file system forbids it")
            }
            // Ours would not be refused for its owner: somebody gave it away, or opened it.
            Io::PermissionDenied if crate::sys::ids::effective_uid() == 0 => {
                told.hint("`chown root` it and `chmod go-w` it, once you know who changed it")
            }
            Io::PermissionDenied if error.source.raw_os_error().is_none() => told.hint(
                "it must belong to you or to root, and nobody else may write to it: `chmod go-w` it, once you know who changed it",
            ),
            // Also what is one's own: its mode forbids it then.
            Io::PermissionDenied => {
                told.hint("`ls -ld` it and the directories above it: they show who may do this")
            }
            Io::IsADirectory | Io::InvalidInput => told.hint(NAME_A_FILE),
            Io::InvalidData if error.operation == "read" => told.hint(NO_TEXT),
            Io::NotSeekable | Io::Unsupported => told.hint("use a file on an ordinary file system"),
            _ => told,
        }
    }
}

impl From<container::Error> for Error {
    fn from(error: container::Error) -> Self {
        use container::Error as C;
        let kind = match error {
            C::WrongKey | C::Locked => Kind::Key,
            C::Io { .. } | C::Random(_) => Kind::System,
            _ => Kind::Input,
        };
        let told = Self::from_source(kind, &error);
        match error {
            _ if let Some(hint) = of_cause(&error) => told.hint(hint),
            C::NotARecording => told.hint("recordings end in .scast; `sealcast ls` shows which there are"),
            C::Version { major: 0, .. } => {
                told.hint("its beginning is not what was written: look for another copy of it")
            }
            C::Version { .. } => told.hint("open it with the newer version that made it"),
            C::Truncated { .. } => {
                told.hint("it was cut before anything that was recorded: look for another copy of it")
            }
            C::Format { .. } | C::NotAuthentic { .. } => told.hint(HOW_MUCH_IS_GOOD),
            C::TooMuch(_) => told
                .hint("give fewer and shorter labels, or keep fewer variables (run.env.keep) or recipients"),
            C::Locked => told.hint("name your identity file with --identity"),
            _ => told,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::System(ref cause) if cause.is_of_link() => Self::from_source(Kind::System, &error)
                .hint("what lies in a store is the recording itself: name the file to which it leads"),
            store::Error::System(error) => error.into(),
            store::Error::Empty(_) => {
                Self::from_source(Kind::Input, &error).hint("`sealcast run` makes the first one")
            }
            store::Error::Strays(_) => Self::from_source(Kind::Input, &error)
                .hint("`sealcast ls` shows what there is: name the path of the one that is meant"),
            store::Error::Ambiguous { .. } => {
                Self::from_source(Kind::Usage, &error).hint("type more of the id")
            }
            store::Error::Copies { .. } => Self::from_source(Kind::Usage, &error)
                .hint("they have the same id: name the path of the one that is meant"),
            store::Error::NotFound { ref wanted, .. } => {
                let mut told = Self::from_source(Kind::Input, &error);
                if wanted.contains('@') {
                    told = told.hint("`@` and a time are for `sealcast play` only");
                } else if wanted.chars().count() < store::SHORTEST {
                    let said = format!("an id is named by {} of its characters at least", store::SHORTEST);
                    told = told.hint(said);
                }
                told.hint("`sealcast ls` shows what there is")
            }
            store::Error::TooFewBack { .. } => {
                Self::from_source(Kind::Input, &error).hint("`sealcast ls` shows what there is")
            }
        }
    }
}

impl From<crate::record::Error> for Error {
    fn from(error: crate::record::Error) -> Self {
        use crate::record::Error as R;
        match error {
            R::Wrap(error) => error.into(),
            R::Store(error) => error.into(),
            R::Container(error) => error.into(),
            R::Signer(_) | R::NoRoom(_) | R::Scarce { .. } if let Some(hint) = of_cause(&error) => {
                Self::from_source(Kind::System, &error).hint(hint)
            }
            R::Signer(_) => Self::from_source(Kind::Key, &error)
                .hint("an Ed25519 key without a passphrase, readable by its owner alone: `sealcast config check` looks at that of a host, `sealcast keys check` at your own"),
            R::Session(error) => error.into(),
            R::Unwatched(_) => Self::from_source(Kind::System, &error)
                .hint("the configuration has exec-trace = \"strict\"; \"auto\" records what can be seen, and says what that is"),
            R::Scarce { .. } => Self::from_source(Kind::System, &error)
                .hint("memory, processes or descriptors have run out, on this host or in the control group that it was started from"),
            R::NoRoom(_) => Self::from_source(Kind::System, &error)
                .hint("make room on the file system of the store"),
        }
        .while_doing("nothing was run, because recording could not begin")
    }
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.exit_code() {
            127 => Kind::CommandNotFound,
            126 => Kind::NotExecutable,
            _ => Kind::System,
        };
        let told = Self::from_source(kind, &error);
        if matches!(error, session::Error::Unrecorded(_)) {
            return told
                .hint("give it a pipe, a file, a terminal or a stream socket of this host or the network");
        }
        let told = match of_cause(&error) {
            // What is not executed is told of as such.
            Some(hint) if kind == Kind::System => told.hint(hint),
            _ => told,
        };
        let session::Error::Start { step, source, .. } = error else { return told };
        match (step, source.kind()) {
            (Step::Directory, _) => {
                told.hint("with -D it starts in a directory that the user it runs as can enter")
            }
            (Step::Guard, _) => told.hint(
                "the guard profile of the configuration takes rights that are missing here: `sealcast config check` tells which",
            ),
            (Step::Exec, Io::NotFound) => {
                told.hint("check the name, PATH, and in a script the interpreter that its first line names")
            }
            (Step::Exec, Io::PermissionDenied) => {
                told.hint("it must be a file that the user it runs as may execute; `ls -l` shows who may")
            }
            (Step::Exec, Io::WouldBlock) => told.hint(
                "there are as many processes as may be: end some, or raise what limits them (`ulimit -u`, TasksMax of systemd)",
            ),
            (Step::Exec, Io::OutOfMemory) => {
                told.hint("memory has run out, on this host or in the control group that it was started from")
            }
            (Step::Exec, Io::ArgumentListTooLong) => {
                told.hint("its arguments and its environment are too long together: give them by a file or a pipe")
            }
            (Step::Exec, Io::ExecutableFileBusy) => {
                told.hint("somebody has it open to write it: try again once that is done")
            }
            (Step::Exec, _) => {
                told.hint("a program for this machine, or a script whose first line names its interpreter")
            }
            _ => told,
        }
    }
}

impl From<elevate::Error> for Error {
    fn from(error: elevate::Error) -> Self {
        use elevate::Error as E;
        let kind = match error {
            E::NoUser(_) | E::NoGroup(_) | E::NoReason | E::TooLong(..) => Kind::Usage,
            _ => Kind::System,
        };
        let told = Self::from_source(kind, &error);
        match error {
            _ if let Some(hint) = of_cause(&error) => told.hint(hint),
            E::NoUser(_) => told.hint("`getent passwd` shows which there are"),
            E::NoGroup(_) => told.hint("`getent group` shows which there are"),
            E::NoReason => told.hint("say why with --reason TEXT"),
            E::NoElevator(_) => told.hint("run.elevator in the configuration names sudo, doas, su or run0"),
            E::StillNotRoot(_) => told.hint("it must run the command it is given as root"),
            E::Unnamed(_) => told.hint(
                "with --self, --ssh and as a login shell it must be sudo, run0 or doas, called by that name",
            ),
            E::WhoCalled | E::Another(_) => {
                told.hint("use the elevator of the configuration, and no other around it")
            }
            _ => told,
        }
    }
}

impl From<policy::Error> for Error {
    fn from(error: policy::Error) -> Self {
        use policy::Error as P;
        let mend = "`sealcast config check` tells everything that is wrong with it";
        match &error {
            P::System(cause) if cause.is_of_trust() => Self::from_source(Kind::Input, &error)
                .hint("a file that is trusted, and every directory above it, must belong to root and be writable by root alone"),
            P::System(cause) if cause.operation == crate::sys::FOLLOW => {
                Self::from_source(Kind::System, &error).hint(LEADS_TO_NOTHING)
            }
            P::System(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                Self::from_source(Kind::System, &error)
                    .hint("name an SSH Ed25519 key as `key` in [signing]; `ssh-keygen -t ed25519 -N '' -f FILE` makes one")
            }
            // Of a key, which root reads, that would be said of the wrong file.
            P::System(cause)
                if cause.kind() == std::io::ErrorKind::PermissionDenied
                    && crate::sys::ids::effective_uid() != 0 =>
            {
                let told = Self::from_source(Kind::System, &error);
                told.hint(format!("everybody who records must be able to read it: {LET_READ}"))
            }
            P::System(cause) => {
                let told = Self::from_source(Kind::System, &error);
                match cause.kind() {
                    std::io::ErrorKind::IsADirectory | std::io::ErrorKind::InvalidInput => told.hint(NAME_A_FILE),
                    std::io::ErrorKind::InvalidData => told.hint(NO_TEXT),
                    _ => told,
                }
            }
            P::File { problems, .. } => {
                let told = Self::from_source(Kind::Input, &error);
                match problems.first().and_then(|problem| problem.hint.clone()) {
                    Some(hint) if problems.len() == 1 => told.hint(hint),
                    Some(hint) => told.hint(hint).hint(mend),
                    None => told.hint(mend),
                }
            }
            P::NoRecipients { .. } => Self::from_source(Kind::Key, &error)
                .hint("give `default` in [recipients] the public keys of those who may read recordings"),
            P::NeedsPlugin { .. } => Self::from_source(Kind::Key, &error)
                .hint("`sealcast keys new --period` makes a key for which plugins may run now, once")
                .hint("name its directory as `period` in [recipients]"),
            P::Signer { .. } => Self::from_source(Kind::Key, &error).hint(
                "`ssh-keygen -t ed25519 -N '' -f FILE` makes such a key; name it as `key` in [signing]",
            ),
            P::OpenKey { path, .. } => {
                Self::from_source(Kind::Key, &error).hint(format!("`chmod 600 {}`", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn causes_are_joined_and_not_repeated() {
        let source = io::Error::from_raw_os_error(30);
        let error: Error = crate::sys::Error::new("create", "/x", source).into();
        assert_eq!(error.to_string(), "cannot create /x: Read-only file system (os error 30)");
        assert_eq!(error.hints(), ["the file system is mounted read-only; choose another place"]);
        let error = error.while_doing("cannot make keys");
        assert_eq!(
            error.to_string(),
            "cannot make keys: cannot create /x: Read-only file system (os error 30)"
        );
    }

    #[test]
    fn whoever_has_a_bad_signing_key_is_sent_to_the_check_that_looks_at_it() {
        let error = Error::from(crate::record::Error::Signer("it is encrypted".into()));
        let [hint] = error.hints() else { panic!("{:?}", error.hints()) };
        let host = hint.find("`sealcast config check` looks at that of a host");
        assert!(host < hint.find("`sealcast keys check` at your own") && host.is_some(), "{hint}");
    }

    #[test]
    fn whoever_has_a_configuration_that_is_a_link_to_nothing_is_not_sent_for_a_key() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", dir.path().join("link")).unwrap();
        let me = crate::sys::ids::effective_uid();
        for way in ["link", "link/config.toml"] {
            let error = Error::from(policy::Policy::load(&dir.path().join(way), me).unwrap_err());
            let [hint] = error.hints() else { panic!("{way}: {:?}", error.hints()) };
            assert!(
                error.to_string().starts_with("cannot follow ") && hint.contains("leads to nothing"),
                "{hint}"
            );
        }
    }

    #[test]
    fn what_keeps_a_program_from_being_executed_is_not_blamed_on_the_program() {
        for (errno, says) in [
            (libc::EAGAIN, "`ulimit -u`"),
            (libc::ENOMEM, "memory has run out"),
            (libc::E2BIG, "too long together"),
            (libc::ETXTBSY, "open to write it"),
            (libc::ENOEXEC, "a program for this machine"),
        ] {
            let source = io::Error::from_raw_os_error(errno);
            let error = session::Error::Start { program: "x".into(), dir: None, step: Step::Exec, source };
            let error = Error::from(error);
            let [hint] = error.hints() else { panic!("{:?}", error.hints()) };
            assert!(hint.contains(says), "{errno}: {hint}");
            assert_eq!(error.exit_code(true), 126);
        }
    }

    #[test]
    fn every_kind_has_its_exit_code() {
        let code = |kind, run| Error::new(kind, "x").exit_code(run);
        assert_eq!(
            [Kind::No, Kind::Usage, Kind::Input, Kind::Key, Kind::System].map(|k| code(k, false)),
            [1, 2, 2, 2, 2]
        );
        assert_eq!(
            [Kind::No, Kind::Usage, Kind::Input, Kind::Key, Kind::System].map(|k| code(k, true)),
            [125; 5]
        );
        assert_eq!(
            [Kind::NotExecutable, Kind::CommandNotFound, Kind::Closed].map(|k| code(k, true)),
            [126, 127, 0]
        );
    }

    #[test]
    fn a_closed_pipe_is_no_word_and_no_failure() {
        let error: Error = WriteError::from(io::Error::from(io::ErrorKind::BrokenPipe)).into();
        assert_eq!((error.kind(), error.exit_code(false)), (Kind::Closed, 0));
    }
}
