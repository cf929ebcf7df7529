//! Whether somebody waits for what is typed on a terminal.
//!
//! The kernel tells of a process which system call it is in, with its arguments, to whoever may trace it (`/proc/PID/syscall`,
//! proc(5)): its parents, as a rule. It tells nothing of a program that became somebody else (sudo), nor of a host that forbids
//! tracing; then nobody is known to wait. What a program polls stands in its memory (`/proc/PID/mem`), or is told of its descriptor
//! (epoll, `/proc/PID/fdinfo`), to the same.

use super::proc;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// So many threads are looked at, of all processes together.
const MOST: usize = 256;

/// The calls that poll without a signal mask, which newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const UNMASKED: [libc::c_long; 3] = [libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const UNMASKED: [libc::c_long; 3] = [libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_pwait];

/// So many descriptors are looked at, of those that one call polls (`FD_SETSIZE`).
const POLLED: u64 = 1024;

/// Whether `process`, or one that descends from it, waits in a read of the terminal of this name, or of `/dev/tty`, which is the
/// same to all of them.
pub fn for_terminal(process: u32, name: &Path) -> bool {
    somebody(process, name, |_, call| reads(call))
}

/// The same, also of one that polls it to read (poll, select, epoll), and so may do something else soon.
pub fn for_terminal_or_polls(process: u32, name: &Path) -> bool {
    somebody(process, name, |process, call| reads(call).or_else(|| polled(process, call)))
}

/// Whether a thread of `process`, or of one that descends from it, waits for this terminal: `waits` tells for which descriptors.
fn somebody(process: u32, name: &Path, waits: fn(u32, Call) -> Option<Vec<u32>>) -> bool {
    let is_it = |file: &Path| file == name || file == Path::new("/dev/tty");
    let mut waiting = vec![process];
    let mut looked = 0_usize;
    while let Some(process) = waiting.pop() {
        for thread in threads(process) {
            looked = looked.saturating_add(1);
            if looked > MOST {
                return false;
            }
            let file = |fd: u32| proc::link(&format!("{process}/fd/{fd}"));
            let fds = call(process, thread).and_then(|call| waits(process, call)).unwrap_or_default();
            if fds.into_iter().any(|fd| file(fd).is_ok_and(|file| is_it(&file))) {
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

/// A system call, and the first two of its arguments.
type Call = (libc::c_long, [u64; 2]);

/// The call that a thread is in.
fn call(process: u32, thread: u32) -> Option<Call> {
    let told = proc::read_to_string(&format!("{process}/task/{thread}/syscall")).ok()?;
    let mut words = told.split_ascii_whitespace();
    let call = words.next()?.parse().ok()?;
    let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    Some((call, [argument()?, argument()?]))
}

/// What a thread waits to read from that is in this call, if it does.
fn reads(call: Call) -> Option<Vec<u32>> {
    match call {
        (libc::SYS_read | libc::SYS_readv, [fd, _]) => Some(vec![u32::try_from(fd).ok()?]),
        _ => None,
    }
}

/// What a thread of `process` polls to read from that is in this call, if it does.
fn polled(process: u32, (call, [first, second]): Call) -> Option<Vec<u32>> {
    let [poll, select, epoll] = UNMASKED;
    let memory = |at: u64, size: u64| {
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        proc::open(&format!("{process}/mem")).ok()?.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    };
    if [poll, libc::SYS_ppoll].contains(&call) {
        // struct pollfd: the descriptor, the events that are asked for, those that are answered.
        let entries = memory(first, second.min(POLLED).saturating_mul(8))?;
        let wanted = entries.as_chunks::<8>().0.iter().filter_map(|[a, b, c, d, asks @ .., _, _]| {
            let asks = i16::from_ne_bytes(*asks) & libc::POLLIN != 0;
            u32::try_from(i32::from_ne_bytes([*a, *b, *c, *d])).ok().filter(|_| asks)
        });
        return Some(wanted.collect());
    }
    if [select, libc::SYS_pselect6].contains(&call) {
        // A bit for each descriptor below the first argument, in whole words.
        let words = memory(second, first.min(POLLED).next_multiple_of(64) / 8)?;
        let words: Vec<u64> = words.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        let is_in = |fd: &u32| words.get(*fd as usize / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0);
        return Some((0..u32::try_from(first.min(POLLED)).ok()?).filter(is_in).collect());
    }
    if [epoll, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2].contains(&call) {
        let told = proc::read_to_string(&format!("{process}/fdinfo/{first}")).ok()?;
        let watched = told.lines().filter_map(|line| {
            let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
            let fd = words.next()?.parse().ok()?;
            let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
            (events & libc::EPOLLIN as u32 != 0).then_some(fd)
        });
        return Some(watched.take(POLLED as usize).collect());
    }
    None
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

    #[test]
    fn a_program_that_polls_a_terminal_is_told_from_one_that_polls_something_else() {
        let has_python = Command::new("python3").arg("-c").output().is_ok();
        if !has_python {
            return crate::sys::skipped("python3 is not there");
        }
        let (leader, follower) = pty::open(tty::Size { cols: 80, rows: 24, ..tty::Size::default() }).unwrap();
        let name = leader.follower_name().unwrap();
        // Descriptor 70: not in the first word of a set.
        let begin = "import os, select\nelsewhere, end = os.pipe()\nos.dup2(0, 70)\n\
            def polls(polling, *fds):\n    for fd in fds: polling.register(fd, select.POLLIN)\n    polling.poll()\n";
        let calls = ["select.select([FD], [], [])", "polls(select.poll(), FD)", "polls(select.epoll(), FD)"];
        let of_it = ["70", "elsewhere, 70"].map(|fds| calls.map(|call| call.replace("FD", fds)));
        let others = calls.map(|call| call.replace("FD", "elsewhere"));
        let shown = "select.select([elsewhere], [], [70])".to_owned();
        for (script, expected) in (of_it.into_iter().flatten().map(|script| (script, true)))
            .chain(others.into_iter().chain([shown]).map(|script| (script, false)))
        {
            let mut command = Command::new("python3");
            command
                .args(["-c", &format!("{begin}{script}")])
                .stdin(Stdio::from(follower.try_clone().unwrap()));
            let mut child = command.spawn().unwrap();
            let id = child.id();
            // It sits in a call that polls, whatever.
            let is_there = crate::sys::eventually(|| {
                call(id, id).and_then(|call| polled(id, call)).is_some_and(|fds| !fds.is_empty())
            });
            let seen = for_terminal_or_polls(id, &name);
            let reads = for_terminal(id, &name);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(is_there, "{script}");
            assert_eq!((seen, reads), (expected, false), "{script}");
        }
    }
}
