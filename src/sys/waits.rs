//! Whether somebody waits for what is typed on a terminal.
//!
//! The kernel tells of a process which system call it is in, with its arguments, to whoever may trace it (`/proc/PID/syscall`,
//! proc(5)): its parents, as a rule. It tells nothing of a program that became somebody else (sudo), nor of a host that forbids
//! tracing; then nobody is known to wait. Programs that wait for several things at once (`poll`) before they read are not seen.

use super::proc;
use std::path::{Path, PathBuf};

/// So many threads are looked at, of all processes together.
const MOST: usize = 256;

/// Whether `process`, or one that descends from it, waits in a read of the terminal of this name, or of `/dev/tty`, which is the
/// same to all of them.
pub fn for_terminal(process: u32, name: &Path) -> bool {
    let mut waiting = vec![process];
    let mut looked = 0_usize;
    while let Some(process) = waiting.pop() {
        for thread in threads(process) {
            looked = looked.saturating_add(1);
            if looked > MOST {
                return false;
            }
            if reads(process, thread).is_some_and(|file| file == name || file == Path::new("/dev/tty")) {
                return true;
            }
            waiting.extend(super::ids::children(process, thread).unwrap_or_default());
        }
    }
    false
}

fn threads(process: u32) -> Vec<u32> {
    let mut threads = proc::numbers(&format!("{process}/task")).unwrap_or_default();
    threads.truncate(MOST);
    threads
}

/// What a thread waits to read from, if it does.
fn reads(process: u32, thread: u32) -> Option<PathBuf> {
    let told = proc::read_to_string(&format!("{process}/task/{thread}/syscall")).ok()?;
    let mut words = told.split_ascii_whitespace();
    let call: libc::c_long = words.next()?.parse().ok()?;
    if call != libc::SYS_read && call != libc::SYS_readv {
        return None;
    }
    let fd = u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    proc::link(&format!("{process}/fd/{fd}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{pty, tty};
    use std::process::{Command, Stdio};

    #[test]
    fn a_program_that_reads_a_terminal_is_known_to_wait_for_it_and_one_that_sleeps_is_not() {
        let (leader, follower) = pty::open(tty::Size { cols: 80, rows: 24, ..tty::Size::default() }).unwrap();
        let name = leader.follower_name().unwrap();
        let started = |script: &str| {
            let mut command = Command::new("sh");
            command
                .args(["-c", script])
                .stdin(Stdio::from(follower.try_clone().unwrap()))
                .stdout(Stdio::null());
            command.spawn().unwrap()
        };
        let (mut reads, mut sleeps) = (started("cat; true"), started("sleep 100; true"));
        let is_seen = crate::sys::eventually(|| for_terminal(reads.id(), &name));
        assert!(is_seen, "nobody is seen to read {}", name.display());
        // Both have their programs: what they start after their terminal is gone, nobody would end.
        let children = |shell: u32| crate::sys::ids::children(shell, shell).unwrap();
        let have_begun = || [&reads, &sleeps].iter().all(|shell| !children(shell.id()).is_empty());
        assert!(crate::sys::eventually(have_begun), "a shell starts nothing");
        assert!(!for_terminal(sleeps.id(), &name) && !for_terminal(reads.id(), Path::new("/dev/pts/none")));
        drop((leader, follower));
        for child in [&mut reads, &mut sleeps] {
            for grandchild in children(child.id()) {
                crate::sys::signals::send(grandchild, crate::sys::signals::SIGKILL).unwrap();
            }
            child.wait().unwrap();
        }
    }
}
