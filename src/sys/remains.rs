//! What is left of a session once it has to end: found in `/proc`, hung up, and killed if it clings to its life.
//!
//! It is everything of the session of one process, and everything that descends from that. What is neither has made itself a
//! daemon, or is somebody else's: it is left alone. So is everything where `/proc` is missing or that of another namespace, but
//! for the child itself.
//!
//! What forks and ends at once, again and again, is another process by the time that all have been looked at. So those that are the
//! newest are looked at by their numbers, which the kernel gives in turn. Many such chains, each of which starts the others anew, can
//! be quicker for as long as they are chased: no call of the kernel's kills a session.
//!
//! Sources: proc(5), `PR_SET_CHILD_SUBREAPER(2const)`.

use super::pidfd::Pidfd;
use super::signals::{self, Signal};
use super::{clock, ids, proc};
use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// How long what was hung up may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long, from the hang-up on, it is looked for what was not killed yet. Then the rest hangs in the kernel, and ends when that
/// lets it go.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How often it is looked for what is not our child and ends without a word to us, before and after it is killed.
const LOOK: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(20)];

/// So many numbers are looked at, from the one that was given last on, by who chases…
const NEWEST: u32 = 32;
/// …and so many times in a row must nothing be found.
const NOTHING: u32 = 100;

/// A process, and no other that has its number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Process {
    pid: u32,
    started: u64,
}

impl Process {
    /// That it may not be signalled, or is gone, is nothing that could be mended.
    fn signal(self, signal: Signal) {
        let held = Pidfd::open(self.pid);
        // Whoever has the number now is held; so it is asked now whether that is the one that was found.
        if ids::started(self.pid) == Some(self.started) {
            send(held, self.pid, signal);
        }
    }
}

/// Signals a process that was looked at while it was held. Where none can be held (a filter of system calls or an old kernel does not
/// let us, or there are no descriptors left) it goes by its number, which it had a moment ago: better than that it runs on.
fn send(held: io::Result<Pidfd>, pid: u32, signal: Signal) {
    match held {
        Ok(held) => held.signal(signal),
        Err(_) => drop(signals::send(pid, signal)),
    }
}

/// What runs of the session of `leader`, and what descends from that or from one of `roots`: those as well, and not the leader itself.
/// `None` where it cannot be seen.
fn of(leader: u32, roots: &[u32]) -> Option<Vec<Process>> {
    if !ids::proc_is_ours() {
        return None;
    }
    let pids = proc::numbers(".").ok()?;
    let mut all: Vec<(u32, ids::Place)> =
        pids.into_iter().filter_map(|pid| Some((pid, ids::place(pid)?))).collect();
    all.sort_unstable_by_key(|(_, place)| place.parent);
    let first =
        |(pid, place): &&(u32, ids::Place)| *pid == leader || place.session == leader || roots.contains(pid);
    let mut found: Vec<_> = all.iter().filter(first).collect();
    let mut known: HashSet<u32> = found.iter().map(|(pid, _)| *pid).collect();
    let mut at = 0;
    while let Some((pid, _)) = found.get(at) {
        let from = all.partition_point(|(_, place)| place.parent < *pid);
        for child in all.iter().skip(from).take_while(|(_, place)| place.parent == *pid) {
            if known.insert(child.0) {
                found.push(child);
            }
        }
        at += 1;
    }
    let runs = found.into_iter().filter(|(pid, place)| *pid != leader && !place.is_over);
    Some(runs.map(|(pid, place)| Process { pid: *pid, started: place.started }).collect())
}

/// Kills what is left of the session of `leader`, which is over itself, but not waited for, and what descends from its `child`.
pub(super) fn kill(leader: u32, child: Option<u32>) {
    for process in of(leader, child.as_slice()).unwrap_or_default() {
        process.signal(signals::SIGKILL);
    }
    chase(leader, true, clock::monotonic().saturating_add(GRACE));
}

/// Whether any process of the session of `leader` was started just now; `kills` them, until there is none or it is `end`.
fn chase(leader: u32, kills: bool, end: Duration) -> bool {
    let last = || proc::read_to_string("loadavg").ok()?.split_ascii_whitespace().last()?.parse::<u32>().ok();
    let mut found = HashSet::new();
    let mut nothing = 0;
    while ids::proc_is_ours() && nothing < NOTHING && clock::monotonic() < end {
        let Some(last) = last() else { break };
        nothing += 1;
        for pid in (last.saturating_sub(NEWEST)..=last).rev().filter(|pid| *pid != leader) {
            let held = Pidfd::open(pid);
            if held.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH)) {
                continue;
            }
            let Some(place) = ids::place(pid).filter(|at| at.session == leader && !at.is_over) else {
                continue;
            };
            if kills {
                send(held, pid, signals::SIGKILL);
            }
            if found.insert(Process { pid, started: place.started }) {
                nothing = 0;
            }
        }
        if !kills && !found.is_empty() {
            break;
        }
    }
    !found.is_empty()
}

/// From here on what descends from this process and loses its parent is its child: nothing gets away by that.
pub(super) fn adopt() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Ends what is left of the session of this process, which has [adopted](adopt) it, has one thread and blocks all signals: hangs it up, waits for a while,
/// then kills until nothing is left. Takes a few seconds at most. Children that end are waited for and told to `ended`, with
/// their status as of wait(2).
///
/// `child` is for where nothing can be seen: a child that was not waited for, the leader of its group or not.
pub(super) fn clear(child: Option<u32>, mut ended: impl FnMut(libc::pid_t, libc::c_int)) {
    let me = std::process::id();
    let mut child = child;
    let send = |signals: &[Signal], left: Option<&[Process]>, child: Option<u32>| {
        for signal in signals {
            match left {
                Some(left) => left.iter().for_each(|process| process.signal(*signal)),
                // It is still ours, so its number is too. A group of that number is its own.
                None => child.into_iter().for_each(|child| {
                    let _ = signals::send_to_group(child, *signal);
                    let _ = signals::send(child, *signal);
                }),
            }
        }
    };
    let begin = clock::monotonic();
    send(&[signals::SIGHUP, signals::SIGCONT], of(me, &[]).as_deref(), child);
    let mut killed = false;
    loop {
        let alone = reap(&mut |pid, status| {
            child = child.filter(|child| libc::pid_t::try_from(*child) != Ok(pid));
            ended(pid, status);
        });
        let left = of(me, &[]);
        let is_over = alone && left.as_ref().is_none_or(Vec::is_empty);
        let since = clock::monotonic().saturating_sub(begin);
        if killed && since >= GIVE_UP {
            return;
        }
        if since >= GRACE {
            send(&[signals::SIGKILL], left.as_deref(), child);
            killed = true;
        }
        let flees = (killed || is_over) && chase(me, killed, begin.saturating_add(GIVE_UP));
        if is_over && !flees {
            return;
        }
        let look = if killed { LOOK[1] } else { LOOK[0].min(GRACE.saturating_sub(since)) };
        let _ = signals::wait_for(&[signals::SIGCHLD], Some(look));
    }
}

/// Waits for the children that have ended. True when there are no others.
fn reap(ended: &mut impl FnMut(libc::pid_t, libc::c_int)) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: a valid place to write to.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            0 => return false,
            pid if pid > 0 => ended(pid, status),
            _ if super::interrupted(&std::io::Error::last_os_error()) => {}
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn what_descends_from_a_process_is_found_and_a_number_that_another_has_is_not_signalled() {
        let script = "sh -c 'echo $$; exec sleep 1000' & wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let found = of(parent.id(), &[]).unwrap();
        assert_eq!(found.iter().map(|process| process.pid).collect::<Vec<_>>(), [grandchild]);
        let both = of(u32::MAX, &[parent.id()]).unwrap();
        assert!(both.len() == 2 && both.contains(&found[0]), "{both:?}");
        Process { started: found[0].started + 1, ..found[0] }.signal(signals::SIGKILL);
        assert!(parent.try_wait().unwrap().is_none() && of(parent.id(), &[]).unwrap() == found);
        kill(parent.id(), None);
        // It waited for that one only.
        assert!(parent.wait().unwrap().success());
        assert_eq!(of(parent.id(), &[]).unwrap(), []);
    }
}
