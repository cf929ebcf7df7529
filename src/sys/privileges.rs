//! Becoming another user, completely: groups, group ids, user ids, and with them the capabilities; then the proof that
//! there is no way back. And, for the length of one call, acting in the stead of another user: what is done with a
//! descriptor that somebody lent us must not be done with more rights than theirs.

use super::ids::{self, User};
use super::{Error, Result, check, guard};
use std::io;

/// Whom to become. Looked up before a fork, since the user database may live across a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id: real, effective and saved.
    pub uid: u32,
    /// Group id: real, effective and saved.
    pub gid: u32,
    /// Supplementary groups, the primary one included.
    pub groups: Vec<u32>,
}

impl Identity {
    /// A user as at login; `group` replaces the primary group (as `sudo -g` does, the supplementary ones stay).
    ///
    /// # Errors
    /// When the groups cannot be looked up.
    pub fn of(user: &User, group: Option<u32>) -> Result<Self> {
        let groups = ids::groups_of(&user.name, user.gid)?;
        let gid = group.unwrap_or(user.gid);
        let mut groups = groups;
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        Ok(Self { uid: user.uid, gid, groups })
    }
}

/// Becomes `identity` for good, without an allocation: for the time between fork and exec.
///
/// # Errors
/// When the kernel refuses, or when a way back to the old ids was left. The caller must then end the process: its ids
/// are neither the old nor the new ones.
pub(super) fn change(identity: &Identity) -> io::Result<()> {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: an array and its length.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresgid(*gid, *gid, *gid) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresuid(*uid, *uid, *uid) })?;
    prove(*uid, *gid)
}

/// Fails unless every id is the new one, no capability is left and the old ones cannot be had again.
fn prove(uid: u32, gid: u32) -> io::Result<()> {
    let refuse = || Err(io::Error::from_raw_os_error(libc::EPERM));
    let (mut r, mut e, mut s) = (0, 0, 0);
    // SAFETY: three valid places to write to.
    check(unsafe { libc::getresuid(&mut r, &mut e, &mut s) })?;
    if [r, e, s] != [uid; 3] {
        return refuse();
    }
    // SAFETY: three valid places to write to.
    check(unsafe { libc::getresgid(&mut r, &mut e, &mut s) })?;
    if [r, e, s] != [gid; 3] {
        return refuse();
    }
    if uid == 0 {
        return Ok(());
    }
    // SAFETY: takes numbers only; -1 leaves an id alone.
    if unsafe { libc::setresuid(libc::uid_t::MAX, 0, libc::uid_t::MAX) } == 0 {
        return refuse();
    }
    // SAFETY: takes numbers only; -1 leaves an id alone.
    if gid != 0 && unsafe { libc::setresgid(libc::gid_t::MAX, 0, libc::gid_t::MAX) } == 0 {
        return refuse();
    }
    match guard::capability_sets() {
        // Neither in effect nor permitted.
        Ok([0, 0, _, 0, 0, _]) => Ok(()),
        _ => refuse(),
    }
}

/// Rights of this process that whoever called does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lent {
    /// Another user or group is in effect than the real one: by the set-user-id or the set-group-id bit of the file that it runs,
    /// or because what started it left them so.
    Ids,
    /// Capabilities of that file.
    Capabilities,
}

/// Whether this process has rights that whoever called does not have. What the kernel says in `AT_SECURE` is no answer: every
/// login on a host with SELinux sets that too.
///
/// # Errors
/// When the kernel does not tell (it always does).
pub fn lent() -> Result<Option<Lent>> {
    let ids = ids::current()?;
    let [[real, effective, _], [real_group, effective_group, _]] = [ids.uid, ids.gid];
    if real != effective || real_group != effective_group {
        return Ok(Some(Lent::Ids));
    }
    let [_, low, _, _, high, _] =
        guard::capability_sets().map_err(|error| Error::new("read the capabilities", "", error))?;
    let permitted = u64::from(low) | u64::from(high) << 32;
    // Through an exec a caller who is not root hands on what is ambient, and nothing else.
    let handed_on = |number: &u64| {
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, *number, 0, 0) == 1 }
    };
    let is_lent =
        real != 0 && !(0..64).filter(|number| permitted >> number & 1 == 1).all(|number| handed_on(&number));
    Ok(is_lent.then_some(Lent::Capabilities))
}

/// Who a root process acts for when it reads or writes what that somebody could have read or written without it.
#[derive(Clone, Debug)]
pub struct Stead {
    identity: Identity,
    ours: Identity,
}

impl Stead {
    /// Somebody's stead; `None` where there is nothing to change: for root, and where we have no rights to lend.
    ///
    /// # Errors
    /// When our own ids cannot be read.
    pub fn of(identity: Option<&Identity>) -> Result<Option<Self>> {
        let Some(identity) = identity.filter(|identity| identity.uid != 0) else { return Ok(None) };
        let ours = ids::current()?;
        let [[_, uid, _], [_, gid, _]] = [ours.uid, ours.gid];
        let ours = Identity { uid, gid, groups: ours.groups };
        Ok((uid == 0).then(|| Self { identity: identity.clone(), ours }))
    }

    #[cfg(test)]
    pub(super) fn as_told(uid: u32, gid: u32) -> Self {
        let identity = Identity { uid, gid, groups: vec![gid] };
        Self { ours: identity.clone(), identity }
    }

    /// User and group id.
    pub fn ids(&self) -> (u32, u32) {
        (self.identity.uid, self.identity.gid)
    }

    /// Does something with the effective ids, the groups and the (missing) capabilities of that user, and takes ours back.
    /// Only this thread is concerned, and its real and saved ids stay: nobody gets the right to signal it. Whether memory may
    /// be dumped (`PR_SET_DUMPABLE`) stays as it is, too.
    ///
    /// # Errors
    /// What `act` says; or the kernel, when it lets us not become that user (then nothing was done) or not come back.
    pub fn act<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let kept = Dumpable::now();
        // Groups first: without the user id of root they cannot be changed any more.
        let assumed = assume(&self.identity, false);
        kept.restore();
        let done = assumed.and_then(|()| act());
        let back = assume(&self.ours, true);
        kept.restore();
        done.and_then(|done| back.map(|()| done))
    }
}

/// Whether our memory may be dumped. With every change of an effective id the kernel sets that to what the host has in
/// `fs.suid_dumpable` (`prctl(2)`), which is 2 where core dumps go to a handler: they would hold our keys.
struct Dumpable(libc::c_int);

impl Dumpable {
    fn now() -> Self {
        // SAFETY: takes numbers only.
        Self(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) })
    }

    fn restore(&self) {
        // The kernel takes 0 and 1, and refuses 2, which nobody but itself may set.
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_long::from(self.0), 0, 0, 0) };
    }
}

#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

/// Changes the effective ids and the groups of this thread, and of no other: libc would change those of all threads.
fn assume(identity: &Identity, user_first: bool) -> io::Result<()> {
    let keep = libc::c_long::from(-1i8);
    let [uid, gid] = [identity.uid, identity.gid].map(libc::c_long::from);
    let user = || {
        // SAFETY: takes numbers only; -1 leaves an id alone.
        check(unsafe { libc::syscall(SETRESUID, keep, uid, keep) })
    };
    if user_first {
        user()?;
    }
    // SAFETY: a length and an array that has it.
    check(unsafe { libc::syscall(SETGROUPS, identity.groups.len(), identity.groups.as_ptr()) })?;
    // SAFETY: takes numbers only; -1 leaves an id alone.
    check(unsafe { libc::syscall(SETRESGID, keep, gid, keep) })?;
    if user_first { Ok(()) } else { user() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_comes_with_the_groups_of_a_login() {
        let root = ids::user_by_name("root").unwrap().unwrap();
        let identity = Identity::of(&root, Some(12_345)).unwrap();
        assert_eq!((identity.uid, identity.gid), (0, 12_345));
        assert!(identity.groups.contains(&0) && identity.groups.contains(&12_345));
    }

    #[test]
    fn the_proof_fails_while_we_are_someone_else() {
        let other = ids::effective_uid().wrapping_add(1);
        assert!(prove(other, 1).is_err());
    }

    /// As root, in a child of its own: the ids of this process must stay as they are.
    #[test]
    fn a_root_that_became_another_user_cannot_come_back() {
        if !super::super::is_root() {
            return;
        }
        let identity = Identity { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "id -u; id -g; id -G; grep CapEff /proc/self/status"]);
        // SAFETY: `change` only makes system calls.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, move || change(&identity));
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "65534\n65534\n65534\nCapEff:\t0000000000000000\n");
    }

    /// In a child of its own. Whoever started us may have seen to it that a change of user takes no capability away.
    #[test]
    fn a_root_that_would_keep_a_capability_does_not_go_on_as_another_user() {
        if !super::super::is_root() {
            return;
        }
        let identity = Identity { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        let mut command = std::process::Command::new("/bin/true");
        let check = move || {
            // SAFETY: takes numbers only.
            check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })?;
            change(&identity)
        };
        // SAFETY: `check` only makes system calls.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, check) };
        let refused = command.status().map_err(|error| error.raw_os_error());
        assert_eq!(refused.unwrap_err(), Some(libc::EPERM));
    }

    /// In a child of its own: it is a property of the whole process.
    #[test]
    fn what_is_done_in_somebodys_stead_leaves_core_dumps_forbidden() {
        if !super::super::is_root() {
            return;
        }
        let them = Identity { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        let stead = Stead::of(Some(&them)).unwrap().unwrap();
        // Whatever the host's own setting is, one of them is not it.
        for before in [0, 1] {
            let stead = stead.clone();
            let mut command = std::process::Command::new("/bin/true");
            let check = move || {
                Dumpable(before).restore();
                let inside = stead.act(|| Ok(Dumpable::now().0))?;
                let same = (inside, Dumpable::now().0) == (before, before);
                // An error without an allocation.
                if same { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EXDEV)) }
            };
            // SAFETY: `check` only makes system calls.
            unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, check) };
            let status = command.status();
            assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{before}: {status:?}");
        }
    }

    #[test]
    fn what_is_done_in_somebodys_stead_is_done_with_their_rights_and_by_this_thread_alone() {
        use std::io::{Seek as _, Write as _};
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if !super::super::is_root() {
            return;
        }
        let them = Identity { uid: 65_534, gid: 65_534, groups: vec![65_534] };
        assert!(Stead::of(None).unwrap().is_none());
        assert!(Stead::of(Some(&Identity { uid: 0, ..them.clone() })).unwrap().is_none());
        let stead = Stead::of(Some(&them)).unwrap().unwrap();
        let before = ids::current().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut write = |stead: Option<&Stead>| {
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o4777)).unwrap();
            file.rewind().unwrap();
            match stead {
                Some(stead) => stead.act(|| file.write_all(b"x")).unwrap(),
                None => file.write_all(b"x").unwrap(),
            }
            file.as_file().metadata().unwrap().mode() & 0o7777
        };
        // Who has no right to give a program root's rights takes them from it by writing to it.
        assert_eq!((write(Some(&stead)), write(None)), (0o777, 0o4777));
        let others = || std::thread::spawn(|| ids::current().unwrap().uid).join().unwrap();
        let (inside, opened) = stead
            .act(|| Ok((ids::current().unwrap(), std::fs::File::open("/etc/shadow").map(drop))))
            .unwrap();
        assert_eq!((inside.uid, inside.gid), ([0, 65_534, 0], [before.gid[0], 65_534, before.gid[2]]));
        assert!(opened.is_err());
        let after = ids::current().unwrap();
        assert_eq!((after.uid, after.gid, &after.groups), (before.uid, before.gid, &before.groups));
        assert_eq!(others(), before.uid);
        assert!(std::fs::File::open("/etc/shadow").is_ok(), "the capabilities are back");
    }
}
