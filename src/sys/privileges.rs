//! Becoming another user, completely: groups, group ids, user ids, and with them the capabilities; then the proof that
//! there is no way back.

use super::ids::{self, User};
use super::{Error, Result};
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

    /// Whether this process is that already, so that nothing needs to be changed.
    ///
    /// # Errors
    /// When our own ids cannot be read.
    pub fn is_ours(&self) -> Result<bool> {
        let ours = ids::current()?;
        let same_groups = self.groups.iter().all(|g| ours.groups.contains(g) || *g == self.gid)
            && ours.groups.iter().all(|g| self.groups.contains(g));
        Ok(ours.uid == [self.uid; 3] && ours.gid == [self.gid; 3] && same_groups)
    }
}

/// Becomes `identity` for good.
///
/// # Errors
/// When the kernel refuses, or when a way back to the old ids was left. The caller must then end the process: its ids
/// are neither the old nor the new ones.
pub fn become_for_good(identity: &Identity) -> Result<()> {
    change(identity).map_err(|e| Error::new("change to user", identity.uid.to_string(), e))
}

/// [`become_for_good`] without an allocation, for the time between fork and exec.
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
    // The header and the two halves of `struct __user_cap_data_struct` (linux/capability.h, version 3): effective,
    // permitted, inheritable, twice.
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut capabilities = [0u32; 6];
    // SAFETY: the sizes are those of the structures of version 3; the kernel reads the first and writes the second.
    let told = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), capabilities.as_mut_ptr()) };
    let [effective_low, permitted_low, _, effective_high, permitted_high, _] = capabilities;
    if told != 0 || effective_low | permitted_low | effective_high | permitted_high != 0 {
        return refuse();
    }
    Ok(())
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
        if ids::effective_uid() != 0 {
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
}
