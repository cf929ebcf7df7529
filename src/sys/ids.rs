//! Who and where we are, as the kernel and the user database tell it.
//!
//! Nothing here reads the environment: what the recorded user can set decides nothing. Facts that a system does not
//! have (no audit, no machine id) are `None`, not errors.

use super::{Error, Result, proc};
use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::path::PathBuf;

/// The value the kernel uses for "not set" in `/proc/self/loginuid` and `sessionid`.
const UNSET: u32 = u32::MAX;
/// Longest entry of the user database that is read, in bytes.
const MAX_ENTRY: usize = 1 << 20;
/// Most ancestors that [`ancestry`] follows.
const MAX_ANCESTORS: usize = 64;
/// Longest environment of another process that is looked through, in bytes.
const MAX_ENVIRONMENT: u64 = 1 << 20;
/// Longest command line of an ancestor that is read and kept, in bytes. It is as long as the process says (`PR_SET_MM_MAP`), and that
/// may be anybody's.
const MAX_CMDLINE: u64 = 4096;

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell; `/bin/sh` when the entry names none.
    pub shell: PathBuf,
}

/// An entry of the group database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
}

/// The ids of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Real, effective and saved user id.
    pub uid: [u32; 3],
    /// Real, effective and saved group id.
    pub gid: [u32; 3],
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// One process above us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Real user id.
    pub uid: u32,
    /// The kernel's short name of it (at most 15 bytes).
    pub name: String,
    /// Its arguments, joined by spaces, at most 4096 bytes; empty when it may not be read.
    pub cmdline: String,
}

/// Effective user id of this process.
pub fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Real user id of this process.
pub fn real_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getuid() }
}

/// All ids of this process.
///
/// # Errors
/// When the kernel does not tell (it always does).
pub fn current() -> Result<Ids> {
    let (mut uid, mut gid) = ([0; 3], [0; 3]);
    let [r, e, s] = &mut uid;
    // SAFETY: three valid places to write to.
    if unsafe { libc::getresuid(r, e, s) } != 0 {
        return Err(Error::last("read the user ids", ""));
    }
    let [r, e, s] = &mut gid;
    // SAFETY: three valid places to write to.
    if unsafe { libc::getresgid(r, e, s) } != 0 {
        return Err(Error::last("read the group ids", ""));
    }
    // SAFETY: with a size of 0 nothing is written.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).map_err(|_| Error::last("read the groups", ""))?];
    // SAFETY: `groups` has room for the `count` ids that are asked for.
    let got = unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(got).map_err(|_| Error::last("read the groups", ""))?);
    Ok(Ids { uid, gid, groups })
}

/// The user of that name, if there is one.
///
/// # Errors
/// When the user database cannot be asked.
pub fn user_by_name(name: &str) -> Result<Option<User>> {
    let Ok(c_name) = CString::new(name) else { return Ok(None) };
    user("look up user", name, |entry, buffer, found| {
        // SAFETY: the name is NUL-terminated; the other places are valid for the sizes given.
        unsafe { libc::getpwnam_r(c_name.as_ptr(), entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// The user with that id, if there is one.
///
/// # Errors
/// When the user database cannot be asked.
pub fn user_by_uid(uid: u32) -> Result<Option<User>> {
    user("look up user", &uid.to_string(), |entry, buffer, found| {
        // SAFETY: all places are valid for the sizes given.
        unsafe { libc::getpwuid_r(uid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// The group of that name, if there is one.
///
/// # Errors
/// When the group database cannot be asked.
pub fn group_by_name(name: &str) -> Result<Option<Group>> {
    let Ok(c_name) = CString::new(name) else { return Ok(None) };
    group("look up group", name, |entry, buffer, found| {
        // SAFETY: the name is NUL-terminated; the other places are valid for the sizes given.
        unsafe { libc::getgrnam_r(c_name.as_ptr(), entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// The group with that id, if there is one.
///
/// # Errors
/// When the group database cannot be asked.
pub fn group_by_gid(gid: u32) -> Result<Option<Group>> {
    group("look up group", &gid.to_string(), |entry, buffer, found| {
        // SAFETY: all places are valid for the sizes given.
        unsafe { libc::getgrgid_r(gid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// The groups a user gets at login, the primary one (`gid`) included: what `initgroups` would set. To be asked before
/// a fork: the answer may come from the network.
///
/// # Errors
/// When the group database gives no end of groups.
pub fn groups_of(name: &str, gid: u32) -> Result<Vec<u32>> {
    let c_name = CString::new(name).map_err(|_| {
        Error::new(
            "look up the groups of",
            name,
            io::Error::new(io::ErrorKind::InvalidInput, "NUL in a name"),
        )
    })?;
    let mut room = 64;
    loop {
        let mut groups = vec![0; room];
        let mut count = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
        // SAFETY: `groups` has room for `count` ids; the name is NUL-terminated.
        let got = unsafe { libc::getgrouplist(c_name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        if got >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups);
        }
        if room > 65_536 {
            let error = io::Error::new(io::ErrorKind::InvalidData, "more than 65536 groups");
            return Err(Error::new("look up the groups of", name, error));
        }
        room = room.saturating_mul(2).max(usize::try_from(count).unwrap_or(0));
    }
}

/// Asks a `get…_r` function with a buffer that grows until it is large enough.
fn ask<Entry>(
    operation: &'static str,
    who: &str,
    mut call: impl FnMut(*mut Entry, &mut [libc::c_char], *mut *mut Entry) -> libc::c_int,
) -> Result<Option<(Entry, Vec<libc::c_char>)>> {
    let mut size = 1024;
    loop {
        let mut buffer = vec![0; size];
        let mut entry = MaybeUninit::<Entry>::zeroed();
        let mut found = std::ptr::null_mut();
        match call(entry.as_mut_ptr(), &mut buffer, &mut found) {
            // SAFETY: the call has filled `entry`, which started as zeroes: valid for a C struct of numbers and
            // pointers.
            0 if !found.is_null() => return Ok(Some((unsafe { entry.assume_init() }, buffer))),
            // POSIX: "not found" is success without an entry; some systems use one of these codes for it.
            0 | libc::ENOENT | libc::ESRCH | libc::EPERM => return Ok(None),
            libc::EINTR => {}
            libc::ERANGE if size < MAX_ENTRY => size *= 2,
            code => return Err(Error::new(operation, who, io::Error::from_raw_os_error(code))),
        }
    }
}

fn user(
    operation: &'static str,
    who: &str,
    call: impl FnMut(*mut libc::passwd, &mut [libc::c_char], *mut *mut libc::passwd) -> libc::c_int,
) -> Result<Option<User>> {
    let Some((entry, _buffer)) = ask(operation, who, call)? else { return Ok(None) };
    // The strings of `entry` lie in `_buffer`, which lives until the end of this function.
    let shell = string(entry.pw_shell);
    Ok(Some(User {
        name: string(entry.pw_name),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: string(entry.pw_dir).into(),
        shell: if shell.is_empty() { "/bin/sh".into() } else { shell.into() },
    }))
}

fn group(
    operation: &'static str,
    who: &str,
    call: impl FnMut(*mut libc::group, &mut [libc::c_char], *mut *mut libc::group) -> libc::c_int,
) -> Result<Option<Group>> {
    let Some((entry, _buffer)) = ask(operation, who, call)? else { return Ok(None) };
    Ok(Some(Group { name: string(entry.gr_name), gid: entry.gr_gid }))
}

/// A copy of a C string of the user database; empty for none.
fn string(text: *const libc::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the user database gives NUL-terminated strings that live in the caller's buffer.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The user id given at login, which survives su, sudo and doas; `None` when audit never set one (daemons, containers).
pub fn login_uid() -> Option<u32> {
    audit_value("self/loginuid")
}

/// The audit session id, the same in all processes of one login.
pub fn audit_session() -> Option<u32> {
    audit_value("self/sessionid")
}

fn audit_value(path: &str) -> Option<u32> {
    proc::read_to_string(path).ok()?.trim().parse().ok().filter(|id| *id != UNSET)
}

/// The host name.
pub fn hostname() -> String {
    uname(|names| &names.nodename)
}

/// Kernel name and release: `Linux 6.18.44`.
pub fn kernel() -> String {
    // What uname(2) tells is another release for whoever was started so (personality(2), `UNAME26`).
    let release = proc::read_to_string("sys/kernel/osrelease").ok();
    let release = release.map_or_else(|| uname(|names| &names.release), |told| told.trim().to_owned());
    format!("{} {release}", uname(|names| &names.sysname))
}

fn uname(field: impl Fn(&libc::utsname) -> &[libc::c_char]) -> String {
    // SAFETY: an all-zero utsname is a valid value of that plain C struct.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: a valid place to write to; the call cannot fail otherwise, and zeroes give an empty string.
    unsafe { libc::uname(&mut names) };
    let bytes: Vec<u8> = field(&names).iter().map(|c| c.to_ne_bytes()[0]).take_while(|c| *c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The machine id of systemd or D-Bus: 32 hexadecimal digits.
pub fn machine_id() -> Option<String> {
    let read = |path| fs::read_to_string(path).ok();
    let id =
        read("/etc/machine-id").or_else(|| read("/var/lib/dbus/machine-id"))?.trim().to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// A random id of this start of the host, from the kernel.
pub fn boot_id() -> Option<String> {
    Some(proc::read_to_string("sys/kernel/random/boot_id").ok()?.trim().to_string())
        .filter(|id| id.len() == 36)
}

/// The processes above this one, the parent first, as far as they can be seen.
pub fn ancestry() -> Vec<Ancestor> {
    let mut found = Vec::new();
    // SAFETY: takes nothing and cannot fail.
    let mut pid = u32::try_from(unsafe { libc::getppid() }).unwrap_or(0);
    while pid > 0 && found.len() < MAX_ANCESTORS {
        let Some((ancestor, parent)) = ancestor(pid) else { break };
        found.push(ancestor);
        pid = parent;
    }
    found
}

/// The value of a variable in the environment that a process was started with (it can have overwritten it since);
/// `None` when it has none, or may not be looked at.
pub fn variable_of(pid: u32, name: &str) -> Option<Vec<u8>> {
    let environment = beginning(&format!("{pid}/environ"), MAX_ENVIRONMENT).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|v| v.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    value.map(<[u8]>::to_vec)
}

/// When a process was started, in ticks of the kernel's clock since the start of the host: with its id, and the pid namespace that this
/// is of, it is one process and no other. `None` when there is none, or it cannot be seen.
pub fn started(pid: u32) -> Option<u64> {
    of_process(pid, 22)
}

/// The parent of a process. `None` when there is no such process, or it cannot be seen.
pub fn parent(pid: u32) -> Option<u32> {
    of_process(pid, 4)
}

/// The children that a thread has started (the first of a process has the number of the process); `None` when it cannot be seen, or
/// the kernel does not tell.
pub fn children(pid: u32, thread: u32) -> Option<Vec<u32>> {
    let list = proc::read_to_string(&format!("{pid}/task/{thread}/children")).ok()?;
    list.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

/// Whether the numbers of processes in `/proc` are ours: it may be that of another pid namespace.
pub fn proc_is_ours() -> bool {
    proc::link("self").is_ok_and(|own| own.as_os_str().to_str() == Some(&std::process::id().to_string()))
}

/// Where a process stands, as the kernel tells it at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its parent; 0 for one of another pid namespace.
    pub parent: u32,
    /// The leader of its process group; 0 for one of another pid namespace.
    pub group: u32,
    /// The leader of its session; 0 for one of another pid namespace.
    pub session: u32,
    /// See [`started`].
    pub started: u64,
    /// Nothing of it runs any more: it ended, and was not waited for.
    pub is_over: bool,
    /// A signal has stopped it.
    pub is_stopped: bool,
}

/// Where a process stands. `None` when there is no such process, or it cannot be seen.
pub fn place(pid: u32) -> Option<Place> {
    let fields = stat(pid)?;
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field.checked_sub(2)?)?.parse::<u64>().ok();
    let id = |field| u32::try_from(number(field)?).ok();
    // Of a process whose first thread has ended the others may go on.
    let is_over = matches!(*fields.get(1)?, "Z" | "X") && number(20)? <= 1;
    let is_stopped = *fields.get(1)? == "T";
    Some(Place { parent: id(4)?, group: id(5)?, session: id(6)?, started: number(22)?, is_over, is_stopped })
}

/// The nearest process, of us and those above, that the terminal of this number (`TIOCGDEV`) controls.
pub(super) fn nearest_at(terminal: u32) -> Option<u32> {
    let above = |pid: &u32| parent(*pid).filter(|parent| *parent > 0);
    std::iter::successors(Some(std::process::id()), above)
        .take(MAX_ANCESTORS)
        .find(|pid| foreground_at(*pid, terminal).is_some())
}

/// Whether a process is in the foreground of the terminal of this number. `None` when that does not control it.
pub(super) fn foreground_at(pid: u32, terminal: u32) -> Option<bool> {
    let fields = stat(pid)?;
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    // All three are signed there, the number of the terminal too.
    let number = |field: usize| fields.get(field.checked_sub(2)?)?.parse::<i32>().ok();
    (number(7)? == terminal.cast_signed()).then_some(number(5)? == number(8)?)
}

/// Field 4 or a later one of `proc_pid_stat(5)`, counted as there.
fn of_process<T: std::str::FromStr>(pid: u32, field: usize) -> Option<T> {
    stat(pid)?.split_ascii_whitespace().nth(field.checked_sub(2)?)?.parse().ok()
}

/// What `proc_pid_stat(5)` tells from the bracket on that ends field 2.
fn stat(pid: u32) -> Option<String> {
    let stat = proc::read(&format!("{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything; behind the last one are fields 3, 4…
    let fields = stat.get(stat.iter().rposition(|byte| *byte == b')')?..)?;
    Some(std::str::from_utf8(fields).ok()?.to_owned())
}

/// The number of the pid namespace that this process is in; `None` where it cannot be seen.
pub fn pid_namespace() -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(proc::open("self/ns/pid").ok()?.metadata().ok()?.ino())
}

/// The first bytes of a file of `/proc`, `most` of them.
fn beginning(path: &str, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    proc::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A process and its parent's id.
fn ancestor(pid: u32) -> Option<(Ancestor, u32)> {
    let status = proc::read(&format!("{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let parent = field("PPid:")?.parse().ok()?;
    let uid = field("Uid:")?.split_whitespace().next()?.parse().ok()?;
    let cmdline = beginning(&format!("{pid}/cmdline"), MAX_CMDLINE).unwrap_or_default();
    let words: Vec<_> = cmdline.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    let cmdline = words.join(" ").trim_end().to_string();
    Some((Ancestor { pid, uid, name: field("Name:")?.to_string(), cmdline }, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_when_it_was_started() {
        let started = |pid| started(pid).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(started(child.id()) >= started(std::process::id()) && started(1) > 0);
        let place = place(child.id()).unwrap();
        assert_eq!((place.parent, place.started), (std::process::id(), started(child.id())));
        assert_eq!((place.session, place.is_over), (super::place(place.parent).unwrap().session, false));
        child.kill().unwrap();
        assert!(crate::sys::eventually(|| super::place(child.id()).unwrap().is_over));
        child.wait().unwrap();
        assert_eq!(super::started(u32::MAX), None);
        assert_eq!(pid_namespace(), pid_namespace());
        assert!(pid_namespace().unwrap() > 0);
    }

    #[test]
    fn root_is_found_by_name_and_by_id() {
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_uid(0).unwrap().unwrap(), root);
        assert!(root.home.is_absolute() && root.shell.is_absolute());
        assert_eq!(group_by_gid(0).unwrap().unwrap().name, "root");
        assert_eq!(group_by_name("root").unwrap().unwrap().gid, 0);
    }

    #[test]
    fn nobody_of_that_name_is_an_answer_not_an_error() {
        assert_eq!(user_by_name("no-such-user-here").unwrap(), None);
        assert_eq!(user_by_name("nul\0inside").unwrap(), None);
        assert_eq!(user_by_uid(4_000_000_123).unwrap(), None);
        assert_eq!(group_by_name("no-such-group-here").unwrap(), None);
    }

    #[test]
    fn the_groups_of_a_user_include_the_primary_one() {
        assert!(groups_of("root", 0).unwrap().contains(&0));
        assert_eq!(groups_of("no-such-user-here", 77).unwrap(), [77]);
    }

    #[test]
    fn our_ids_agree_with_proc() {
        let ids = current().unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("Uid:")).unwrap();
        let numbers: Vec<u32> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        assert_eq!(numbers[..3], ids.uid);
    }

    #[test]
    fn the_host_has_a_name_and_a_kernel() {
        assert!(!hostname().is_empty());
        assert!(kernel().starts_with("Linux "), "{}", kernel());
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn a_variable_of_another_process_is_found_by_its_whole_name() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env_clear()
            .env("XPATH", "no")
            .env("PATH", "/bin:/usr/bin")
            .env("EMPTY", "")
            .spawn()
            .unwrap();
        // Whoever started it goes on before its variables are there.
        let is_begun = crate::sys::eventually(|| variable_of(child.id(), "PATH").is_some());
        let found = ["PATH", "EMPTY", "XPAT", "HOME"].map(|name| variable_of(child.id(), name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_begun);
        assert_eq!(found, [Some(b"/bin:/usr/bin".to_vec()), Some(Vec::new()), None, None]);
    }

    #[test]
    fn the_ancestry_starts_with_the_parent_and_ends_at_the_top() {
        let above = ancestry();
        assert_eq!(above[0].pid, std::os::unix::process::parent_id());
        assert!(!above[0].name.is_empty());
        assert!(above.len() < MAX_ANCESTORS);
    }
}
