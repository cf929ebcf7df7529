//! As whom a session runs, and how we get there.
//!
//! Refuses to authenticate anyone: when it takes root to record, we run ourselves through the elevator of the policy
//! (sudo, doas, su, run0), which asks for passwords and knows the rules. What was wanted travels as arguments, never in
//! the environment; the elevated instance reads the same policy, records, and becomes the target user for good. Nothing
//! here is decided by a variable of the person who is recorded, except who the caller is, and that only by the variable
//! which the policy's own elevator sets. Where it set none, nobody gets a session of their own.

mod environment;

use super::users::Users;
use crate::policy::Policy;
use crate::sys::ids::{self, User};
use crate::sys::privileges::Identity;
use crate::sys::stage::Program;
use crate::sys::{self};
use crate::text::sh_quoted;
pub use environment::{MADE_ANEW, kept, kept_in_vain};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Where programs of the system are looked for; nobody's `PATH` is.
const SYSTEM_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Longest reason, ticket, and name or value of a label, in bytes.
const MAX_TEXT: usize = 4096;
/// Most labels.
const MAX_LABELS: usize = 64;
/// Environment variables.
pub type Variables = BTreeMap<OsString, OsString>;

/// What is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// The target's shell.
    #[default]
    Shell,
    /// A line for the target's shell (`-c`).
    Line(OsString),
    /// A program and its arguments; never empty.
    Command(Vec<OsString>),
}

/// A session as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// As this user, by name or number.
    pub user: Option<String>,
    /// With this group, by name or number.
    pub group: Option<String>,
    /// As whoever called, and nobody else.
    pub of_caller: bool,
    /// As at a login: a login shell, in the home directory.
    pub login: bool,
    /// Starting in this directory.
    pub dir: Option<PathBuf>,
    /// Why.
    pub reason: Option<String>,
    /// Ticket of the work order.
    pub ticket: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What is to be run.
    pub what: What,
    /// We have been through the elevator.
    pub elevated: bool,
}

/// Whom a session runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The user.
    pub user: User,
    /// Name of the group that replaces the primary one.
    pub group: Option<String>,
    /// Ids and groups.
    pub identity: Identity,
    /// The shell of the session.
    pub shell: PathBuf,
}

/// Why a session cannot be had.
#[derive(Debug)]
pub enum Error {
    /// No user of that name or number.
    NoUser(String),
    /// No group of that name or number.
    NoGroup(String),
    /// The elevator is not there.
    NoElevator(String),
    /// We have been through the elevator and are still not root.
    StillNotRoot(String),
    /// Claims about who called contradict one another.
    WhoCalled,
    /// The elevator of that name does not say who called.
    Unnamed(String),
    /// The elevator of that name says who called, and did not: most likely something else ran us.
    Another(String),
    /// A reason is needed.
    NoReason,
    /// Something is too long: what, and how many bytes (or labels) are allowed.
    TooLong(&'static str, usize),
    /// The system refused.
    System(sys::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::text::escaped;
        match self {
            Self::NoUser(name) => write!(f, "there is no user `{}`", escaped(name)),
            Self::NoGroup(name) => write!(f, "there is no group `{}`", escaped(name)),
            Self::NoElevator(name) => {
                write!(f, "`{}` of run.elevator is not in the system's directories", escaped(name))
            }
            Self::StillNotRoot(name) => {
                write!(f, "`{}` of run.elevator did not make us root", escaped(name))
            }
            Self::WhoCalled => f.write_str("it cannot be told who called: sudo and doas both say something"),
            Self::Unnamed(name) => {
                write!(f, "it cannot be told who called: `{}` of run.elevator did not say", escaped(name))
            }
            Self::Another(name) => {
                write!(
                    f,
                    "it cannot be told who called: `{}` of run.elevator would have said so, and did not",
                    escaped(name)
                )
            }
            Self::NoReason => f.write_str("a reason is required on this host"),
            Self::TooLong(what, most) => write!(f, "{what} is too long: at most {most} are allowed"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => error.source(),
            _ => None,
        }
    }
}

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::System(error)
    }
}

/// Which kind of elevator a program is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elevator {
    /// Sets SUDO_UID and SUDO_USER, cleans the environment.
    Sudo,
    /// As sudo; changes to the home directory.
    Run0,
    /// Sets DOAS_USER.
    Doas,
    /// Takes one line for a shell, and hands the environment on.
    Su,
    /// Something that takes a command after its own arguments.
    Other,
}

impl Elevator {
    fn of(policy: &Policy) -> Self {
        let program = policy.elevator.first().map(Path::new).and_then(Path::file_name);
        match program.and_then(OsStr::to_str) {
            Some("sudo" | "sudo-rs") => Self::Sudo,
            Some("run0") => Self::Run0,
            Some("doas") => Self::Doas,
            Some("su") => Self::Su,
            _ => Self::Other,
        }
    }
}

/// The command that runs us again as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    /// The elevator's program, from the root.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment; ours when absent.
    pub environment: Option<Variables>,
}

/// Whether this takes root that we do not have; `uid` is our user id. Gives the command to run in our place; `None` when we can go on.
///
/// In system mode only root can record. In personal mode root is needed for other users only.
///
/// # Errors
/// [`Error::StillNotRoot`], [`Error::NoElevator`], [`Error::NoUser`], [`Error::TooLong`].
pub fn elevation(
    wish: &Wish,
    policy: &Policy,
    uid: u32,
    ourselves: &Path,
    variables: &Variables,
) -> Result<Option<Elevation>, Error> {
    check_lengths(wish)?;
    if uid == 0 {
        return Ok(None);
    }
    if !policy.is_system() {
        let wanted = wish.user.as_deref().map(|name| find_user(name, &mut Users::default())).transpose()?;
        if wanted.is_none_or(|user| user.uid == uid) && wish.group.is_none() {
            return Ok(None);
        }
    }
    let name = policy.elevator.first().cloned().unwrap_or_default();
    if wish.elevated {
        return Err(Error::StillNotRoot(name));
    }
    let program = find_program(&name).ok_or(Error::NoElevator(name))?;
    let kind = Elevator::of(policy);
    let mut arguments: Vec<OsString> = policy.elevator.iter().skip(1).map(OsString::from).collect();
    let command = again(wish, ourselves, kind);
    let mut environment = None;
    if kind == Elevator::Su {
        if arguments.last().is_none_or(|last| last != "-c" && last != "--command") {
            arguments.push("-c".into());
        }
        let line: Vec<Vec<u8>> = command.iter().map(|word| quoted(word.as_bytes())).collect();
        arguments.push(OsString::from_vec(line.join(&b' ')));
        // su hands the environment on to a root shell.
        environment = Some(kept(policy, variables));
    } else {
        arguments.extend(command);
    }
    Ok(Some(Elevation { program, arguments, environment }))
}

/// Our own command line for the elevated instance.
fn again(wish: &Wish, ourselves: &Path, kind: Elevator) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![ourselves.into(), "run".into(), "--elevated".into()];
    // First, where a rule of sudo can ask for it.
    if wish.of_caller {
        words.push("--self".into());
    }
    let mut option = |name: &str, value: &OsStr| {
        // In one word: a value that begins with a dash stays a value.
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        words.push(word);
    };
    if let Some(user) = &wish.user {
        option("--user", user.as_ref());
    }
    if let Some(group) = &wish.group {
        option("--group", group.as_ref());
    }
    if let Some(dir) = &wish.dir {
        option("--chdir", dir.as_ref());
    } else if kind == Elevator::Run0
        && !wish.login
        && let Ok(here) = std::env::current_dir()
    {
        option("--chdir", here.as_ref());
    }
    if let Some(reason) = &wish.reason {
        option("--reason", reason.as_ref());
    }
    if let Some(ticket) = &wish.ticket {
        option("--ticket", ticket.as_ref());
    }
    for (name, value) in &wish.labels {
        option("--label", format!("{name}={value}").as_ref());
    }
    if let What::Line(line) = &wish.what {
        option("--line", line);
    }
    if wish.login {
        words.push("--login".into());
    }
    if let What::Command(command) = &wish.what {
        words.push("--".into());
        words.extend(command.iter().cloned());
    }
    words
}

fn check_lengths(wish: &Wish) -> Result<(), Error> {
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > MAX_TEXT);
    if long(&wish.reason) {
        return Err(Error::TooLong("the reason", MAX_TEXT));
    }
    if long(&wish.ticket) {
        return Err(Error::TooLong("the ticket", MAX_TEXT));
    }
    if wish.labels.len() > MAX_LABELS {
        return Err(Error::TooLong("the list of labels", MAX_LABELS));
    }
    match wish.labels.iter().any(|(name, value)| name.len().max(value.len()) > MAX_TEXT) {
        true => Err(Error::TooLong("a label", MAX_TEXT)),
        false => Ok(()),
    }
}

/// A word as any shell reads it back, without quotes where it needs none.
fn quoted(word: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+=:,./@%".contains(byte);
    if !word.is_empty() && word.iter().all(plain) && word.first() != Some(&b'=') {
        return word.to_vec();
    }
    sh_quoted(word)
}

/// A program of the system: a path from the root, or a name in its directories.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    if name.is_empty() || name.contains('/') {
        return None;
    }
    SYSTEM_PATH.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// Whom an elevator names, in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    /// By number.
    Uid(&'a str),
    /// By name.
    Name(&'a str),
}

fn text<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.get(OsStr::new(name)).and_then(|value| value.to_str())
}

/// What the policy's own elevator says of who called it.
fn word<'a>(policy: &Policy, variables: &'a Variables) -> Result<Option<Word<'a>>, Error> {
    match Elevator::of(policy) {
        Elevator::Sudo | Elevator::Run0 => match text(variables, "SUDO_UID") {
            // doas always says who called; what it was told to keep may say anything.
            Some(_) if variables.contains_key(OsStr::new("DOAS_USER")) => Err(Error::WhoCalled),
            told => Ok(told.map(Word::Uid)),
        },
        Elevator::Doas => Ok(text(variables, "DOAS_USER").map(Word::Name)),
        Elevator::Su | Elevator::Other => Ok(None),
    }
}

/// Whether the policy's elevator says who called it. Where it does not, nobody can record themselves through it.
pub fn tells_who_called(policy: &Policy) -> bool {
    !matches!(Elevator::of(policy), Elevator::Su | Elevator::Other)
}

/// The user who called: our real user, or, when that is root, whom the policy's own elevator names.
///
/// Where it names nobody, the login user is told, and without one root, when root called us itself. That is no word to give
/// anybody a session by: a process that has no login uid may choose one, and what comes through an elevator is not root's own
/// call. So with [`Wish::of_caller`] it is an error, once there was an elevator.
///
/// # Errors
/// [`Error::WhoCalled`], [`Error::Unnamed`], [`Error::Another`], [`Error::NoUser`], [`Error::System`].
pub fn caller(
    wish: &Wish,
    policy: &Policy,
    real: u32,
    login: Option<u32>,
    variables: &Variables,
    users: &mut Users,
) -> Result<User, Error> {
    let mut by_uid = |uid: u32| users.by_uid(uid)?.ok_or_else(|| Error::NoUser(uid.to_string()));
    if real != 0 {
        return by_uid(real);
    }
    match word(policy, variables)? {
        Some(Word::Uid(uid)) => by_uid(uid.parse().map_err(|_| Error::NoUser(uid.to_owned()))?),
        Some(Word::Name(name)) => ids::user_by_name(name)?.ok_or_else(|| Error::NoUser(name.to_owned())),
        None => {
            let unnamed = || {
                let name = policy.elevator.first().cloned().unwrap_or_default();
                if tells_who_called(policy) { Error::Another(name) } else { Error::Unnamed(name) }
            };
            // Another elevator than the policy's has run us, also where its rule left `--elevated` out.
            let another = ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"].map(OsStr::new);
            let elevated = wish.elevated || another.iter().any(|name| variables.contains_key(*name));
            match login {
                _ if wish.of_caller && elevated => Err(unnamed()),
                Some(login) => by_uid(login),
                None if wish.elevated => Err(unnamed()),
                None => by_uid(0),
            }
        }
    }
}

/// What can be said of a caller whom [`caller`] did not find: the number, where that was told, or that they are unknown.
pub fn nameless(policy: &Policy, real: u32, variables: &Variables) -> String {
    let uid = match word(policy, variables) {
        _ if real != 0 => Some(real),
        Ok(Some(Word::Uid(uid))) => uid.parse().ok(),
        _ => None,
    };
    uid.map_or_else(|| "unknown".to_owned(), |uid| format!("uid {uid}"))
}

fn find_user(name: &str, users: &mut Users) -> Result<User, Error> {
    let found = match name.strip_prefix('#').unwrap_or(name).parse::<u32>() {
        Ok(uid) => users.by_uid(uid)?,
        Err(_) => ids::user_by_name(name)?,
    };
    found.ok_or_else(|| Error::NoUser(name.to_owned()))
}

/// Whoever runs us, in personal mode, be there an entry for them or none: a container can be run with any number.
fn us(users: &mut Users) -> Result<User, Error> {
    let uid = ids::effective_uid();
    if let Some(user) = users.by_uid(uid)? {
        return Ok(user);
    }
    let [_, gid, _] = ids::current()?.gid;
    let home = std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
    Ok(User { name: format!("uid {uid}"), uid, gid, home, shell: "/bin/sh".into() })
}

fn find_group(name: &str) -> Result<ids::Group, Error> {
    let found = match name.strip_prefix('#').unwrap_or(name).parse::<u32>() {
        Ok(gid) => ids::group_by_gid(gid)?,
        Err(_) => ids::group_by_name(name)?,
    };
    found.ok_or_else(|| Error::NoGroup(name.to_owned()))
}

/// Whom the session runs as: the caller when that is wished, else the wished user, else root in system mode and
/// ourselves in personal mode. `ourselves` is our own program, which is nobody's shell inside a session.
///
/// # Errors
/// [`Error::NoUser`], [`Error::NoGroup`], [`Error::System`]; [`Error::WhoCalled`] when the caller is wished and not given.
pub fn target(
    wish: &Wish,
    policy: &Policy,
    caller: Option<&User>,
    ourselves: &Path,
    users: &mut Users,
) -> Result<Target, Error> {
    let user = match &wish.user {
        _ if wish.of_caller => caller.cloned().ok_or(Error::WhoCalled)?,
        Some(name) => find_user(name, users)?,
        None if policy.is_system() => find_user("root", users)?,
        None => us(users)?,
    };
    let group = wish.group.as_deref().map(find_group).transpose()?;
    let identity = Identity::of(&user, group.as_ref().map(|group| group.gid))?;
    let is_ourselves = |shell: &Path| match (shell.canonicalize(), ourselves.canonicalize()) {
        (Ok(shell), Ok(ourselves)) => shell == ourselves,
        _ => false,
    };
    let shell = match &policy.shell {
        // A login shell that records itself begins another, which begins another: until the store is full.
        Some(shell) if !is_ourselves(shell) => shell.clone(),
        _ if is_ourselves(&user.shell) => find_program("bash").unwrap_or_else(|| "/bin/sh".into()),
        _ => user.shell.clone(),
    };
    Ok(Target { user, group: group.map(|group| group.name), identity, shell })
}

/// The program that is run, as whom, where, and with which environment. In personal mode, and as ourselves, the
/// environment and the ids stay as they are.
pub fn program(wish: &Wish, target: &Target, policy: &Policy, variables: &Variables) -> Program {
    let shell = target.shell.clone().into_os_string();
    let called = |mark: &str| {
        let mut name = OsString::from(mark);
        name.push(target.shell.file_name().unwrap_or(OsStr::new("sh")));
        Some(name)
    };
    let (path, args) = match &wish.what {
        What::Command(words) if wish.login => {
            let line: Vec<Vec<u8>> = words.iter().map(|word| quoted(word.as_bytes())).collect();
            (shell, vec!["-c".into(), OsString::from_vec(line.join(&b' '))])
        }
        What::Command(words) => match words.split_first() {
            Some((path, args)) => (path.clone(), args.to_vec()),
            None => (shell, Vec::new()),
        },
        What::Line(line) => (shell, vec!["-c".into(), line.clone()]),
        What::Shell => (shell, Vec::new()),
    };
    let as_we_are = !policy.is_system() && wish.group.is_none() && target.user.uid == ids::effective_uid();
    Program {
        path,
        // As login(1), sshd(8) and su(1) call a shell: a line of it finds that in $0, and its errors begin with it.
        arg0: match &wish.what {
            _ if wish.login => called("-"),
            What::Line(_) => called(""),
            What::Command(_) | What::Shell => None,
        },
        args,
        env: (!as_we_are).then(|| environment::of_session(target, policy, variables).into_iter().collect()),
        dir: wish.dir.clone().or_else(|| wish.login.then(|| target.user.home.clone())),
        identity: (!as_we_are).then(|| target.identity.clone()),
        ..Program::default()
    }
}

#[cfg(test)]
#[path = "elevate_tests.rs"]
mod tests;
