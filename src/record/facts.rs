//! Who, what, when, where and why: what a recording says of its session.
//!
//! [`Observed::here`] asks the kernel and the user database; [`tell`] makes of it the little that is public
//! ([`Header`]) and the rest that is sealed ([`Meta`]). What a person's environment says (`SUDO_USER`, `SSH_CONNECTION`) is
//! recorded as a claim beside what the kernel says, and decides nothing here. When they disagree both stand there as they
//! are, and where that is about who it was, both in public. Refuses to record the value of a variable that the policy does not name, and secrets in arguments.

use super::elevate::{Target, Variables, What, Wish};
use super::groups::GroupNames;
use super::indexer::ScreenIndexer;
use super::users::Users;
use crate::container::fit::shorten;
use crate::container::{Header, Meta, ORIGIN_WITNESSED};
use crate::policy::{Policy, Profile, duration_text};
use crate::sys::guard::Restrictions;
use crate::sys::ids::{self, Ancestor, User};
use crate::sys::peer::{self, Peer};
use crate::text::Escaped;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Longest claim that is kept, in bytes.
const MAX_TEXT: usize = 4096;
/// Longest command line that is kept, in bytes, about: one word of it, which may be a script, is 128 KiB at most in Linux.
const MAX_ARGV: usize = 192 << 10;
/// Most that is kept of the environment, in bytes of names and values.
const MAX_ENV: usize = 64 << 10;
/// Claims of elevators and of sshd about the caller.
const CLAIMS: &[(&str, &str)] = &[
    ("SUDO_USER", "sudo-user"),
    ("SUDO_UID", "sudo-uid"),
    ("SUDO_GID", "sudo-gid"),
    ("DOAS_USER", "doas-user"),
];

/// What the system tells of the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Host name.
    pub host: String,
    /// Machine id.
    pub machine: String,
    /// Boot id.
    pub boot: String,
    /// Kernel name and release.
    pub kernel: String,
    /// Login uid, and its name: the kernel's word for who logged in.
    pub login: Option<(u32, String)>,
    /// Audit session id.
    pub audit_session: Option<u32>,
    /// Our real user id, and its name.
    pub user: (u32, String),
    /// Names or numbers of our groups.
    pub groups: Vec<String>,
    /// The processes above us, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// The connection of the nearest sshd above us, from its sockets: the kernel's word for where somebody came from. None where there
    /// is no sshd, or its sockets may not be looked at.
    pub peer: Option<Peer>,
    /// `SSH_CONNECTION` in the process that the nearest sshd above us has started, and that process; where there is no sshd, in
    /// the outermost one that has it and may be looked at. A claim: who is logged in chooses the environment of their processes, with
    /// one line (`exec env SSH_CONNECTION=… bash`), and what they are called.
    pub origin: Option<(String, Ancestor)>,
    /// Working directory.
    pub cwd: String,
}

impl Observed {
    /// What the system tells now. Whatever it does not tell stays empty.
    pub fn here(names: &mut GroupNames, users: &mut Users) -> Self {
        let mut name = |uid: u32| {
            let known = users.by_uid(uid).ok().flatten();
            known.map_or_else(|| format!("uid {uid}"), |user| user.name)
        };
        let ancestors = ids::ancestry();
        let claimed = |ancestor: &Ancestor| {
            let value = ids::variable_of(ancestor.pid, "SSH_CONNECTION")?;
            Some((shortened(OsStr::from_bytes(&value)), ancestor.clone()))
        };
        let uid = ids::real_uid();
        Self {
            host: ids::hostname(),
            machine: ids::machine_id().unwrap_or_default(),
            boot: ids::boot_id().unwrap_or_default(),
            kernel: ids::kernel(),
            login: ids::login_uid().map(|uid| (uid, name(uid))),
            audit_session: ids::audit_session(),
            user: (uid, name(uid)),
            groups: ids::current().map(|ids| names.of(&ids.groups)).unwrap_or_default(),
            peer: peer::of_ssh(&ancestors),
            origin: below_sshd(&ancestors).iter().rev().find_map(claimed),
            ancestors,
            cwd: std::env::current_dir().map(|path| shortened(path.as_os_str())).unwrap_or_default(),
        }
    }
}

/// The processes between us and the nearest sshd that runs as root, the nearest to us first: of `sudo`, `bash`, `sshd`
/// (alice's), `sshd` (root's) and `init` these are `sudo` and `bash`. The outermost of them (`bash`) got its variable from
/// sshd; those nearer to us were started by the person. sshd and what lies above it do not count: who started sshd by hand
/// has left a variable of their own there. Where there is no sshd, all ancestors. An sshd is known by the name that a
/// process has given itself: good enough to find a claim.
fn below_sshd(ancestors: &[Ancestor]) -> &[Ancestor] {
    let is_sshd = |ancestor: &Ancestor| {
        ancestor.name.strip_prefix("sshd").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let Some(roots) = ancestors.iter().position(|ancestor| ancestor.uid == 0 && is_sshd(ancestor)) else {
        return ancestors;
    };
    // Between root's and the session lies one that runs as the person.
    let below = ancestors.get(..roots).unwrap_or_default();
    let own = below.iter().rev().take_while(|ancestor| is_sshd(ancestor)).count();
    below.get(..below.len().saturating_sub(own)).unwrap_or_default()
}

/// Everything that a recording says of its session, before the session has begun. `caller` is who called (see
/// [`super::elevate::caller`]). Time, session id, terminal and recipients are filled in by whoever writes the recording.
pub fn tell(
    observed: &Observed,
    wish: &Wish,
    target: &Target,
    caller: &str,
    policy: &Policy,
    variables: &Variables,
) -> (Header, Meta) {
    let variable = |name: &str| variables.get(OsStr::new(name)).map(|value| shortened(value));
    let (argv, redacted) = argv(wish, target, policy);
    let (env, left_out) = environment(policy, variables);
    let login = observed.login.as_ref().map(|(_, name)| name);
    let header = Header {
        host: observed.host.clone(),
        machine: observed.machine.clone(),
        user: login.map_or(caller, String::as_str).to_owned(),
        caller: login.filter(|login| *login != caller).map(|_| caller.to_owned()).unwrap_or_default(),
        target: target.user.name.clone(),
        retention: policy.store.retention.clone(),
        policy: policy.digest.clone(),
        ..Header::default()
    };
    let cwd = match (&wish.dir, wish.login) {
        (Some(dir), _) => shortened(dir.as_os_str()),
        (None, true) => shortened(target.user.home.as_os_str()),
        (None, false) => observed.cwd.clone(),
    };
    let peer = observed.peer.as_ref().map(|peer| peer.connection.clone());
    let claimed = claimed_origin(observed, variables);
    let meta = Meta {
        argv,
        cwd,
        reason: wish.reason.clone().unwrap_or_default(),
        ticket: wish.ticket.clone().unwrap_or_default(),
        labels: policy.labels_with(&wish.labels),
        env,
        term: variable("TERM").unwrap_or_default(),
        origin: peer.or(claimed).unwrap_or_default(),
        identity: identity(observed, target, caller, variables),
        ancestry: observed.ancestors.iter().map(|a| format!("{} {}", a.pid, a.name)).collect(),
        kernel: observed.kernel.clone(),
        boot: observed.boot.clone(),
        drawing: ScreenIndexer::DRAWING,
        in_force: in_force(policy, redacted, left_out),
        ..Meta::default()
    };
    (header, meta)
}

/// Where somebody came from, as an environment says: whoever is logged in can have it say anything.
fn claimed_origin(observed: &Observed, variables: &Variables) -> Option<String> {
    let variable = |name: &str| variables.get(OsStr::new(name)).map(|value| shortened(value));
    let found = observed.origin.as_ref().map(|(origin, _)| origin.clone());
    found.or_else(|| variable("SSH_CONNECTION")).or_else(|| variable("SSH_CLIENT"))
}

/// Whether a claim names the other side that the kernel knows. What else it says may be missing (`SSH_CLIENT`), or of another address
/// of this host, behind a router; and an address may come with the interface.
fn is_same_side(claim: &str, connection: &str) -> bool {
    let side = |text: &str| {
        let mut words = text.split(' ');
        let address = words.next()?.split('%').next()?.parse::<std::net::IpAddr>().ok()?;
        Some((address.to_canonical(), words.next()?.parse::<u16>().ok()?))
    };
    side(claim).is_some_and(|claimed| side(connection) == Some(claimed))
}

/// The command line without its secrets, and how many there were.
fn argv(wish: &Wish, target: &Target, policy: &Policy) -> (Vec<String>, u32) {
    let words: Vec<String> = match &wish.what {
        What::Shell => vec![shortened(target.shell.as_os_str())],
        What::Line(line) => vec![shortened(target.shell.as_os_str()), "-c".to_owned(), readable(line)],
        What::Command(words) => words.iter().map(|word| readable(word)).collect(),
    };
    let (mut words, redacted) = policy.redact.apply(&words);
    // After the redaction: what was cut off could have shown where a secret begins.
    shorten(&mut words, MAX_ARGV);
    (words, redacted)
}

/// The variables that the policy keeps, except the values it withholds: of those, that they were there. And how many there was no
/// room for: whoever is recorded chooses them, and more than a reader takes would make the recording unreadable.
fn environment(policy: &Policy, variables: &Variables) -> (BTreeMap<String, String>, usize) {
    let (mut room, mut left_out) = (MAX_ENV, 0_usize);
    let named = variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value)));
    let kept = named.filter(|(name, _)| policy.keep.contains(name) && name.len() <= MAX_TEXT);
    let told = kept.filter_map(|(name, value)| {
        let value = if policy.withhold.contains(name) { "[withheld]".to_owned() } else { shortened(value) };
        let Some(left) = room.checked_sub(name.len().saturating_add(value.len())) else {
            left_out = left_out.saturating_add(1);
            return None;
        };
        room = left;
        Some((name.to_owned(), value))
    });
    (told.collect(), left_out)
}

fn identity(
    observed: &Observed,
    target: &Target,
    caller: &str,
    variables: &Variables,
) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let mut add = |key: &str, value: String| drop(told.insert(key.to_owned(), value));
    if let Some((uid, name)) = &observed.login {
        add("login-uid", uid.to_string());
        add("login-user", name.clone());
    }
    if let Some(session) = observed.audit_session {
        add("audit-session", session.to_string());
    }
    add("uid", observed.user.0.to_string());
    add("user", observed.user.1.clone());
    add("groups", cut(observed.groups.join(" ")));
    add("caller", caller.to_owned());
    for (variable, key) in CLAIMS {
        if let Some(value) = variables.get(OsStr::new(variable)) {
            add(key, shortened(value));
        }
    }
    add("target-user", target.user.name.clone());
    add("target-uid", target.identity.uid.to_string());
    add("target-gid", target.identity.gid.to_string());
    if let Some(group) = &target.group {
        add("target-group", group.clone());
    }
    if let Some(peer) = &observed.peer {
        add("origin-from", format!("{ORIGIN_WITNESSED} {} {}", peer.sshd.pid, peer.sshd.name));
        let claim = claimed_origin(observed, variables);
        if let Some(claim) = claim.filter(|claim| !is_same_side(claim, &peer.connection)) {
            add("origin-claimed", claim);
        }
    } else if let Some((_, ancestor)) = &observed.origin {
        add("origin-from", format!("environment of {} {}", ancestor.pid, ancestor.name));
    }
    told
}

/// What the policy asks for. What is known only later (what the kernel granted) is added by whoever learns it.
fn in_force(policy: &Policy, redacted: u32, left_out: usize) -> BTreeMap<String, String> {
    let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let mut told = BTreeMap::from([
        ("mode".to_owned(), if policy.is_system() { "system" } else { "personal" }.to_owned()),
        ("input".to_owned(), policy.input.to_string()),
        ("on-failure".to_owned(), policy.on_failure.to_string()),
        ("guard".to_owned(), policy.guard.profile.to_string()),
        ("redacted-arguments".to_owned(), redacted.to_string()),
        ("require-reason".to_owned(), yes(policy.require_reason)),
    ]);
    if left_out > 0 {
        told.insert("left-out-variables".to_owned(), left_out.to_string());
    }
    if policy.guard.profile != Profile::None {
        told.insert("heartbeat".to_owned(), duration_text(policy.guard.heartbeat));
    }
    told
}

/// States the groups of who called and of whom the session runs as, by the group database. Our own, which are told as well, are
/// root's where an elevator ran us. Of a caller whose groups cannot be looked up none are told.
pub fn tell_groups(meta: &mut Meta, names: &mut GroupNames, caller: Option<&User>, target: &Target) {
    let mut add = |key: &str, groups: &[u32]| {
        // Each takes two bytes at least: more of them would not be told.
        let groups = groups.get(..MAX_TEXT / 2).unwrap_or(groups);
        meta.identity.insert(key.to_owned(), cut(names.of(groups).join(" ")));
    };
    let of = |caller: &User| match *caller == target.user && target.group.is_none() {
        // They were looked up for the session, and no wish has added to them.
        true => Some(target.identity.groups.clone()),
        false => ids::groups_of(&caller.name, caller.gid).ok(),
    };
    if let Some(groups) = caller.and_then(of) {
        add("caller-groups", &groups);
    }
    add("target-groups", &target.identity.groups);
}

/// States what a session is kept from.
pub fn tell_restrictions(meta: &mut Meta, restrictions: &Restrictions) {
    let mut add = |key: &str, value: String| drop(meta.in_force.insert(key.to_owned(), value));
    let names: Vec<&str> = restrictions.capabilities.iter().map(|capability| capability.name()).collect();
    add("without-capabilities", names.join(" "));
    add(
        "without-system-calls",
        if restrictions.refuses_bpf() { "bpf perf_event_open" } else { "" }.to_owned(),
    );
    let below = restrictions.no_writing_below.as_ref();
    add("landlock", below.map_or_else(|| "no".to_owned(), |path| shortened(path.as_os_str())));
    add("scope", if restrictions.no_signals_outside { "yes" } else { "no" }.to_owned());
}

/// Bytes as text that can be shown; what is not UTF-8 stays readable.
fn readable(text: &OsStr) -> String {
    match text.to_str() {
        Some(text) => text.to_owned(),
        None => Escaped(text.as_bytes()).to_string(),
    }
}

fn shortened(text: &OsStr) -> String {
    cut(readable(text))
}

/// At most [`MAX_TEXT`] bytes of a text; that something is missing shows.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Our own program, from the root.
///
/// # Errors
/// When the kernel does not tell.
pub fn own_program() -> std::io::Result<std::path::PathBuf> {
    std::env::current_exe().map(|path| {
        // A program that was replaced while it runs is the new one from now on.
        let bytes = path.as_os_str().as_bytes();
        let bare = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        Path::new(OsStr::from_bytes(bare)).to_owned()
    })
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
