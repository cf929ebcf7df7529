//! The guard: what of it takes no effect, what this host cannot do, and what a session is kept from.

use super::{Finding, place_of_store};
use crate::error::{Error, Kind};
use crate::policy::{HEARTBEAT, Policy, Profile};
use crate::store::Store;
use crate::sys;
use crate::sys::guard::Restrictions;
use std::path::Path;

/// What of the guard takes no effect, or cannot be had from this kernel.
pub(super) fn of(policy: &Policy) -> Vec<Finding> {
    let abi = sys::guard::landlock_abi().unwrap_or(0);
    let profile = policy.guard.profile;
    let mut found = Vec::new();
    for (wanted, name, needed) in [
        (policy.guard.landlock, "landlock", sys::guard::ABI_PATHS),
        (policy.guard.scope, "scope", sys::guard::ABI_SIGNALS),
        (policy.guard.capabilities != sys::guard::HARDENED, "capabilities", 0),
    ] {
        if wanted && profile != Profile::Hardened {
            found.push(Finding::note(format!(
                "`guard.{name}` takes effect only with `profile = \"hardened\"`; it is \"{profile}\""
            )));
        } else if wanted && abi < needed {
            found.push(Finding::serious(format!(
                "`guard.{name}` needs landlock {needed}; this kernel has {abi}"
            )));
        }
    }
    if profile == Profile::None && policy.guard.heartbeat != HEARTBEAT {
        let what = "takes effect only with `profile = \"guarded\"` or \"hardened\"; it is \"none\"";
        found.push(Finding::note(format!("`guard.heartbeat` {what}")));
    }
    if profile == Profile::Hardened {
        let guard = &policy.guard;
        if guard.capabilities.is_empty() && !guard.landlock && !guard.scope {
            let what = "it is \"hardened\", but nothing is taken away: that is \"guarded\"";
            found.push(Finding::note(format!("`guard.profile`: {what}")));
        }
        // What else copies them is not to be seen from here.
        let what = "a hardened host needs a witness outside: sealcast lets no recording leave the host by itself, so copy them away as they are written";
        found.push(Finding::note(format!("`guard.profile`: {what}")));
    }
    found
}

/// What a hardened session whose store is in `store` is kept from, as far as this kernel has it.
pub(in crate::commands) fn restrictions(policy: &Policy, store: &Path) -> Restrictions {
    let abi = sys::guard::landlock_abi().unwrap_or(0);
    Restrictions {
        capabilities: policy.guard.capabilities.clone(),
        no_writing_below: (policy.guard.landlock && abi >= sys::guard::ABI_PATHS).then(|| store.to_owned()),
        no_signals_outside: policy.guard.scope && abi >= sys::guard::ABI_SIGNALS,
    }
}

/// What of the guard does not take effect when it is tried, as a session would: root in a container need not have the rights for it.
pub(super) fn tried(policy: &Policy) -> Vec<Finding> {
    let profile = policy.guard.profile;
    let mut found = Vec::new();
    if profile == Profile::None {
        return found;
    }
    let Some(place) = place_of_store(policy) else { return found };
    if profile == Profile::Hardened
        && let Err(error) = restrictions(policy, place).try_out()
    {
        found.push(Finding::refused("guard.profile", untried(error)));
    }
    let lacks = |what: &str| Finding::note(format!("`guard.profile` is \"{profile}\", but {what}"));
    if !sys::harden::may_lock_memory() {
        found.push(lacks(
            "the recorder's memory can come to swap: locking it takes cap_ipc_lock, or no limit on it (`ulimit -l`)",
        ));
    }
    // Whether anything can be made there is told elsewhere.
    if Store::new(place).create(0, &[0; 16]).is_ok_and(|file| !file.can_be_append_only()) {
        found.push(lacks(&format!(
            "recordings in {} cannot be append-only: its file system does not have that, or root lacks cap_linux_immutable",
            place.display()
        )));
    }
    found
}

/// That a hardened session cannot begin. Where it is for want of rights, without what is usually to be done where root is refused something.
fn untried(error: sys::Error) -> Error {
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return error.into();
    }
    let hint = "it is \"hardened\", which takes cap_sys_admin and cap_setpcap: root lacks them in most containers, and no session begins there";
    Error::from_source(Kind::System, &error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_no_session_has_is_told() {
        let told = |text: &str| {
            let recipient = crate::store::personal::identity_file().1;
            let text = format!("[recipients]\ndefault = [\"{recipient}\"]\n[guard]\n{text}\n");
            let found = of(&Policy::parse(Path::new("/x"), &text).unwrap());
            found.iter().any(|finding| !finding.serious && finding.what.starts_with("`guard.heartbeat`"))
        };
        assert!(told("profile = \"none\"\nheartbeat = \"5s\""));
        for good in ["profile = \"none\"\nheartbeat = \"10s\"", "heartbeat = \"5s\""] {
            assert!(!told(good), "{good}");
        }
    }

    #[test]
    fn capabilities_are_said_to_lack_where_something_is_not_permitted_alone() {
        for (number, lacks) in [
            (libc::EPERM, true),
            (libc::EACCES, true),
            (libc::EAGAIN, false),
            (libc::ENOMEM, false),
            (libc::E2BIG, false),
        ] {
            let source = std::io::Error::from_raw_os_error(number);
            let error =
                untried(sys::Error { operation: "restrict a process", subject: String::new(), source });
            let told = error.hints().iter().any(|hint| hint.contains("cap_sys_admin"));
            assert!(told == lacks && error.to_string().contains("restrict a process"), "{number}: {error}");
        }
    }
}
