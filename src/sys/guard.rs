//! What a hardened session does not get: capabilities by name (with `bpf` or `perfmon` the system calls as well, see
//! [`seccomp`]), and by landlock the right to write below one directory and to signal processes outside the
//! session.
//!
//! Everything is prepared in an ordinary process ([`Restrictions::prepare`]) and takes effect between fork and exec
//! ([`Prepared::apply`]), where nothing may be allocated. `no_new_privs` is never set: set-user-id programs work as
//! before. Refuses to pretend: what this kernel cannot do is said by [`landlock_abi`] beforehand, what fails is an error.
//! None of this contains uid 0, which keeps raw disks, the core pattern, cgroups, cron and unit files.
//!
//! Sources: capabilities(7), landlock(7), `linux/capability.h`, `linux/landlock.h`.

use super::fd::owned;
use super::seccomp::{self, Filter};
use super::{Error, Result, check};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The names of capabilities, by their number.
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

/// What a hardened session does without unless told otherwise: `sys_ptrace`, `linux_immutable`, `sys_module`,
/// `sys_rawio`, `bpf`, `perfmon`. Without these the recorder's memory, the append-only attribute and the kernel itself are
/// out of reach of the ordinary tools.
pub const HARDENED: [Capability; 6] =
    [Capability(19), Capability(9), Capability(16), Capability(17), BPF, PERFMON];

const PERFMON: Capability = Capability(38);
const BPF: Capability = Capability(39);
/// What lets memory be locked beyond any limit.
pub(super) const IPC_LOCK: Capability = Capability(14);
/// Limits may be raised.
pub(super) const SYS_RESOURCE: Capability = Capability(24);

/// Whether this process has a capability in effect.
pub(super) fn has(capability: Capability) -> bool {
    let Ok([low, _, _, high, ..]) = capability_sets() else { return false };
    let effective = u64::from(low) | (u64::from(high) << 32);
    effective >> capability.0 & 1 == 1
}

/// `struct __user_cap_header_struct` (linux/capability.h): version 3, and this thread.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// The capabilities of this thread, as two `struct __user_cap_data_struct` of version 3: effective, permitted, inheritable, for the
/// lower and the upper 32 of them.
pub(super) fn capability_sets() -> io::Result<[u32; 6]> {
    let mut sets = [0; 6];
    // SAFETY: the sizes are those of version 3; the kernel reads the first and writes the second.
    check(unsafe { libc::syscall(libc::SYS_capget, CAPABILITY_HEADER.as_ptr(), sets.as_mut_ptr()) })?;
    Ok(sets)
}

impl Capability {
    /// The capability of that name: `CAP_SYS_PTRACE`, `cap_sys_ptrace`, `sys-ptrace`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let bare = name.strip_prefix("cap_").unwrap_or(&name);
        let number = NAMES.iter().position(|known| known.strip_prefix("cap_") == Some(bare))?;
        u8::try_from(number).ok().map(Self)
    }

    /// Its name as `capsh` writes it: `cap_sys_ptrace`.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("cap_unknown")
    }

    /// All names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }
}

/// What a session is kept from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Capabilities it does not have, and cannot get back.
    pub capabilities: Vec<Capability>,
    /// A directory below which it cannot write, remove, make or truncate anything. It must exist. Mounting becomes
    /// impossible, and so do new entries in the directories above it and moves out of them.
    pub no_writing_below: Option<PathBuf>,
    /// Whether processes outside the session are beyond its signals.
    pub no_signals_outside: bool,
}

/// [`Restrictions`], ready to take effect.
#[derive(Debug, Default)]
pub struct Prepared {
    capabilities: Vec<Capability>,
    filter: Option<Filter>,
    ruleset: Option<OwnedFd>,
}

/// Version of landlock in this kernel; `None` when it has none. Paths need 3 (truncation), signals need 6.
pub fn landlock_abi() -> Option<u32> {
    // SAFETY: with this flag the call takes no structure and returns the version.
    let version = unsafe { libc::syscall(CREATE_RULESET, std::ptr::null::<u8>(), 0_usize, 1_u32) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Version of landlock from which writing below a directory can be forbidden, truncation included.
pub const ABI_PATHS: u32 = 3;
/// Version of landlock from which signals can be kept inside.
pub const ABI_SIGNALS: u32 = 6;

const CREATE_RULESET: libc::c_long = 444;
const ADD_RULE: libc::c_long = 445;
const RESTRICT_SELF: libc::c_long = 446;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: libc::c_int = 1;
/// `LANDLOCK_SCOPE_SIGNAL`.
const SCOPE_SIGNAL: u64 = 1 << 1;
/// Rights that files have: write and truncate.
const OF_FILES: u64 = (1 << 1) | (1 << 14);
/// Rights that change a file system: write, remove (directory, file), make (character device, directory, file, socket,
/// FIFO, block device, symbolic link), move between directories, truncate. Reading and executing stay free.
const OF_WRITERS: u64 = OF_FILES | (0b11 << 4) | (0b111_1111 << 6) | (1 << 13);

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed_access: u64,
    parent_fd: libc::c_int,
}

impl Restrictions {
    /// Whether there is nothing to restrict.
    pub fn is_empty(&self) -> bool {
        self.capabilities.is_empty() && self.no_writing_below.is_none() && !self.no_signals_outside
    }

    /// Whether the system calls `bpf` and `perf_event_open` are refused: without one of their capabilities, where this
    /// program knows the machine's calls.
    pub fn refuses_bpf(&self) -> bool {
        seccomp::KNOWN && self.capabilities.iter().any(|capability| [BPF, PERFMON].contains(capability))
    }

    /// Makes everything ready. Only a process with `CAP_SYS_ADMIN` can let a landlock take effect.
    ///
    /// # Errors
    /// When the kernel has no landlock of the version that is needed (see [`landlock_abi`]), or a directory on the way to
    /// the forbidden one cannot be read.
    pub fn prepare(&self) -> Result<Prepared> {
        let ruleset = match (&self.no_writing_below, self.no_signals_outside) {
            (None, false) => None,
            (below, signals) => Some(ruleset(below.as_deref(), signals)?),
        };
        let filter = self.refuses_bpf().then(Filter::without_bpf);
        Ok(Prepared { capabilities: self.capabilities.clone(), filter, ruleset })
    }

    /// Lets them take effect on a process that is made for it, and does nothing: whether a session could begin with them here.
    ///
    /// # Errors
    /// What the kernel says; as [`Restrictions::prepare`].
    pub fn try_out(&self) -> Result<()> {
        let prepared = self.prepare()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: `apply` makes system calls only.
        unsafe { command.pre_exec(move || prepared.apply()) };
        let mut child = command.spawn().map_err(|e| Error::new("restrict a process", "", e))?;
        // How it ends does not matter.
        let _ = child.wait();
        Ok(())
    }
}

impl Prepared {
    /// Takes effect on this process and everything it will ever start; cannot be undone. Makes system calls only: safe
    /// between fork and exec. To be called before a change of user.
    ///
    /// The capabilities leave the bounding, inheritable and ambient sets at once, the permitted one with the next exec.
    ///
    /// # Errors
    /// What the kernel says; the process must then not go on.
    pub fn apply(&self) -> io::Result<()> {
        if let Some(ruleset) = &self.ruleset {
            // SAFETY: takes an open descriptor and no flags.
            check(unsafe { libc::syscall(RESTRICT_SELF, ruleset.as_raw_fd(), 0_u32) })?;
        }
        if let Some(filter) = &self.filter {
            filter.apply()?;
        }
        if self.capabilities.is_empty() {
            return Ok(());
        }
        for Capability(number) in &self.capabilities {
            // SAFETY: takes numbers only.
            if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(*number), 0, 0, 0) } != 0 {
                let error = io::Error::last_os_error();
                // A kernel that does not know a capability cannot give it.
                if error.raw_os_error() != Some(libc::EINVAL) {
                    return Err(error);
                }
            }
        }
        // SAFETY: takes numbers only.
        check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
        self.leave_inheritable()
    }

    /// For uid 0 an exec gives the bounding *and* the inheritable set.
    fn leave_inheritable(&self) -> io::Result<()> {
        let mut sets = capability_sets()?;
        for Capability(number) in &self.capabilities {
            let bit = 1_u32 << (number % 32);
            if let Some(inheritable) = sets.get_mut(if *number < 32 { 2 } else { 5 }) {
                *inheritable &= !bit;
            }
        }
        // SAFETY: the sizes are those of version 3; the kernel reads both.
        check(unsafe { libc::syscall(libc::SYS_capset, CAPABILITY_HEADER.as_ptr(), sets.as_ptr()) })
    }
}

/// A landlock that allows every way of writing beside the paths to `below`, and none below it.
fn ruleset(below: Option<&Path>, signals: bool) -> Result<OwnedFd> {
    let needed = if signals { ABI_SIGNALS } else { ABI_PATHS };
    let found = landlock_abi();
    if found.is_none_or(|abi| abi < needed) {
        let what = match found {
            None => "this kernel has no landlock".to_owned(),
            Some(abi) => format!("landlock version {needed} is needed, this kernel has {abi}"),
        };
        return Err(Error::new("restrict the session", "", io::Error::new(io::ErrorKind::Unsupported, what)));
    }
    let attributes = Ruleset {
        handled_access_fs: if below.is_some() { OF_WRITERS } else { 0 },
        handled_access_net: 0,
        scoped: if signals { SCOPE_SIGNAL } else { 0 },
    };
    // Older kernels know a shorter structure, and refuse a longer one unless the rest is zero.
    let size = std::mem::size_of::<Ruleset>();
    // SAFETY: the structure lives through the call, and its size is given. It makes a descriptor.
    let ruleset = unsafe { owned(libc::syscall(CREATE_RULESET, &raw const attributes, size, 0_u32)) };
    let ruleset = ruleset.map_err(|e| Error::new("restrict the session", "", e))?;
    if let Some(below) = below {
        let below = std::fs::canonicalize(below).map_err(|e| Error::at("open", below, e))?;
        let mut ways = super::mounts::other_ways(&below)?;
        ways.push(below);
        let above: BTreeSet<&Path> = ways.iter().flat_map(|way| way.ancestors().skip(1)).collect();
        let places = ways.iter().map(PathBuf::as_path).chain(above.iter().copied());
        let closed = places.map(place).collect::<Result<_>>()?;
        for dir in above {
            allow_beside(&ruleset, dir, &closed)?;
        }
    }
    Ok(ruleset)
}

/// A file by its numbers: what is allowed is allowed wherever it is mounted.
type Place = (u64, u64);

fn place(path: &Path) -> Result<Place> {
    let facts = std::fs::symlink_metadata(path).map_err(|e| Error::at("examine", path, e))?;
    Ok((facts.dev(), facts.ino()))
}

/// Allows everything in `dir` except what is closed.
fn allow_beside(ruleset: &OwnedFd, dir: &Path, closed: &BTreeSet<Place>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::at("read", dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::at("read", dir, e))?;
        let path = entry.path();
        // What a symbolic link leads to is allowed or not where it lies.
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if is_link {
            continue;
        }
        match allow(ruleset, &path, closed) {
            // Gone since it was listed, or of a kind that has no rules.
            Err(e) if matches!(e.source.raw_os_error(), Some(libc::ENOENT | libc::EBADFD)) => {}
            result => result?,
        }
    }
    Ok(())
}

fn allow(ruleset: &OwnedFd, path: &Path, closed: &BTreeSet<Place>) -> Result<()> {
    let failed = |error| Error::at("allow writing to", path, error);
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| failed(io::Error::from_raw_os_error(libc::ENOENT)))?;
    let flags = libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: a NUL-terminated string that outlives the call. It makes a descriptor.
    let opened = std::fs::File::from(unsafe { owned(libc::open(name.as_ptr(), flags)) }.map_err(failed)?);
    let facts = opened.metadata().map_err(failed)?;
    if closed.contains(&(facts.dev(), facts.ino())) {
        return Ok(());
    }
    let allowed_access = if facts.is_dir() { OF_WRITERS } else { OF_FILES };
    let rule = Beneath { allowed_access, parent_fd: opened.as_raw_fd() };
    // SAFETY: the structure lives through the call and has the layout of this type of rule.
    let added = unsafe { libc::syscall(ADD_RULE, ruleset.as_raw_fd(), PATH_BENEATH, &raw const rule, 0_u32) };
    if added == 0 { Ok(()) } else { Err(failed(io::Error::last_os_error())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `script` says when it is run by a shell with these restrictions.
    fn under(restrictions: &Restrictions, script: &str) -> String {
        let prepared = restrictions.prepare().unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]);
        let apply = move || {
            // As some who start containers do: all that is permitted may be inherited.
            let mut sets = capability_sets()?;
            (sets[2], sets[5]) = (sets[1], sets[4]);
            // SAFETY: the sizes are those of version 3; the kernel reads both.
            check(unsafe { libc::syscall(libc::SYS_capset, CAPABILITY_HEADER.as_ptr(), sets.as_ptr()) })?;
            prepared.apply()
        };
        // SAFETY: `apply` makes system calls only.
        unsafe { command.pre_exec(apply) };
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn capabilities_are_known_by_their_names() {
        for name in ["CAP_SYS_PTRACE", "cap_sys_ptrace", "sys-ptrace", "SYS_PTRACE"] {
            assert_eq!(Capability::from_name(name), Some(Capability(19)), "{name}");
        }
        assert_eq!(Capability::from_name("sys-trace"), None);
        assert_eq!(Capability::from_name("cap_cap_kill"), None);
        let named = HARDENED.map(Capability::name).join(" ");
        let expected = "cap_sys_ptrace cap_linux_immutable cap_sys_module cap_sys_rawio cap_bpf cap_perfmon";
        assert_eq!(named, expected);
    }

    #[test]
    fn a_root_without_capabilities_cannot_get_them_back_by_an_exec() {
        if !super::super::is_root() {
            return;
        }
        // Someone else's process: to look into it needs CAP_SYS_PTRACE.
        let mut other = std::process::Command::new("sleep").arg("60").uid(65_534).spawn().unwrap();
        let script =
            format!("sh -c 'cat /proc/self/status; exec </proc/{}/mem && echo opened' 2>&1", other.id());
        let none = under(&Restrictions::default(), &script);
        let some =
            under(&Restrictions { capabilities: HARDENED.to_vec(), ..Restrictions::default() }, &script);
        other.kill().unwrap();
        other.wait().unwrap();
        let bits = |text: &str, set: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(set)).unwrap_or_else(|| panic!("{text}"));
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let gone = HARDENED.iter().fold(0, |bits, c| bits | (1_u64 << c.0));
        assert_eq!(bits(&none, "CapPrm:") & !gone, bits(&some, "CapPrm:"), "{none}\n{some}");
        for set in ["CapPrm:", "CapBnd:", "CapInh:", "CapAmb:"] {
            assert_eq!(bits(&some, set) & gone, 0, "{set} {some}");
        }
        assert!(none.contains("\nopened"), "an unrestricted root can look: {none}");
        assert!(!some.contains("\nopened") && some.contains("Permission denied"), "{some}");
    }

    #[test]
    fn what_admin_stands_in_for_is_refused_and_set_user_id_programs_still_work() {
        if !super::super::is_root() {
            return;
        }
        // bpf(BPF_MAP_CREATE) without a structure is EINVAL or EFAULT to who may, perf_event_open likewise.
        let script = r#"perl -MErrno -e '$p=0; for ([bpf=>$ARGV[0],0,0,0],[perf=>$ARGV[1],0,-1,-1,-1,0])
            { ($n,$call,@c)=@$_; syscall($call,@c); print "$n ", $!{EPERM} ? "refused" : "passes", "\n" }' $CALLS;
            chmod 755 $DIR && install -m 4755 $(command -v id) $DIR/id; setpriv --reuid 65534 --clear-groups $DIR/id -u"#;
        let dir = tempfile::tempdir().unwrap();
        let calls = if cfg!(target_arch = "aarch64") { "280 241" } else { "321 298" };
        let script = script.replace("$CALLS", calls).replace("$DIR", &dir.path().display().to_string());
        let held =
            under(&Restrictions { capabilities: HARDENED.to_vec(), ..Restrictions::default() }, &script);
        assert!(held.starts_with("bpf refused\nperf refused\n0\n"), "{held}");
        let free = under(&Restrictions::default(), &script);
        assert!(free.starts_with("bpf passes\nperf passes\n0\n"), "{free}");
        let other = Restrictions { capabilities: vec![Capability(9)], ..Restrictions::default() };
        assert_eq!(under(&other, &script), free);
    }

    #[test]
    fn nothing_can_be_written_below_the_forbidden_directory_but_beside_it() {
        if !super::super::is_root() || landlock_abi().is_none_or(|abi| abi < ABI_PATHS) {
            super::super::skipped(&format!("landlock {:?}", landlock_abi()));
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        std::fs::create_dir(&store).unwrap();
        std::fs::create_dir(dir.path().join("beside")).unwrap();
        std::fs::write(store.join("old"), "old").unwrap();
        let script = format!(
            "cd {}; for c in 'echo x >>store/old' 'rm store/old' 'echo x >store/new' 'truncate -s0 store/old' \
             'mv store/old beside/' 'mount --bind beside store' 'mv store gone'; do \
             sh -c \"$c\" 2>/dev/null && echo \"worked: $c\"; done; \
             cat store/old && echo y >beside/new && rm beside/new && echo y >/dev/shm/$$ && rm /dev/shm/$$ && echo fine",
            dir.path().display()
        );
        let restrictions = Restrictions { no_writing_below: Some(store), ..Restrictions::default() };
        assert_eq!(under(&restrictions, &script), "oldfine\n");
        // And without: the script itself can do these things, so the test can fail.
        let free = under(&Restrictions::default(), &script);
        assert!(free.contains("worked: echo x >>store/old"), "{free}");
    }

    #[test]
    fn processes_outside_cannot_be_signalled_and_those_inside_can() {
        if !super::super::is_root() || landlock_abi().is_none_or(|abi| abi < ABI_SIGNALS) {
            super::super::skipped(&format!("landlock {:?}", landlock_abi()));
            return;
        }
        let script = format!(
            "kill -0 {} 2>/dev/null && echo outside; sleep 9 & kill $! && echo inside",
            std::process::id()
        );
        let restrictions = Restrictions { no_signals_outside: true, ..Restrictions::default() };
        assert_eq!(under(&restrictions, &script), "inside\n");
        assert_eq!(under(&Restrictions::default(), &script), "outside\ninside\n");
    }
}
