//! The trace by the kernel's process announcements, where its programs cannot be loaded.
//!
//! An announcement carries process ids only; the rest is read from `/proc` a moment later. A process that is gone by then
//! is told without its arguments: about one in a hundred on an idle host, many more on a busy one.

use super::Refusal;
use super::record::{self, Event, exit_status, session_micros, session_time};
use crate::cast::Exec;
use crate::container::fit::more_bytes;
use crate::sys::netlink::ProcEvents;
use crate::sys::{proc, signals};
use crate::text::lossless;
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;
/// Where the data begins in `struct proc_event`: after the kind, the processor and the time.
const DATA: usize = 16;
/// `PROC_USER_INIT_INO` of the kernel.
const FIRST_USER_NAMESPACE: u32 = 0xEFFF_FFFD;
/// Processes that are followed at once. More are not followed, and counted.
const MAX_FOLLOWED: usize = 65_536;
/// Most bytes of arguments that are kept.
const MAX_ARGUMENTS: u64 = 16 << 10;
/// Most bytes behind them that are counted: the kernel takes 6 MiB, but who has the privilege can call all their memory arguments.
const MAX_COUNTED: u64 = 8 << 20;

pub(super) struct ConnectorTrace {
    events: ProcEvents,
    followed: HashSet<u32>,
    root: u32,
    zero: Duration,
    buffer: Vec<u8>,
}

impl ConnectorTrace {
    pub(super) fn start(root: u32, zero: Duration) -> Result<Self, Refusal> {
        // Elsewhere the kernel takes the wish to listen, and says nothing.
        super::in_first_namespace("user", FIRST_USER_NAMESPACE)?;
        super::in_first_namespace("pid", super::kernel::FIRST_PID_NAMESPACE)?;
        let events = ProcEvents::open()?;
        Ok(Self { events, followed: HashSet::from([root]), root, zero, buffer: vec![0; 4096] })
    }

    /// Gives everything that has happened to `each`.
    pub(super) fn read(&mut self, mut each: impl FnMut(Event)) {
        let Self { events, followed, zero, buffer, .. } = self;
        loop {
            match events.next(buffer) {
                Ok(Some(bytes)) => {
                    if let Some(event) = understood(bytes, followed, *zero) {
                        each(event);
                    }
                }
                Ok(None) => return,
                // The kernel does not say how many.
                Err(_) => return each(Event::Lost { count: 1, why: "slow" }),
            }
        }
    }
}

impl ConnectorTrace {
    /// Whether anything runs below the process that is followed, by what was told.
    pub(super) fn has_any(&self) -> bool {
        self.followed.iter().any(|pid| *pid != self.root)
    }

    /// Those that run below it. The kernel may have told of an end what could not be heard.
    pub(super) fn finish(self) -> Vec<u32> {
        self.followed.into_iter().filter(|pid| *pid != self.root && signals::exists(*pid)).collect()
    }
}

impl AsFd for ConnectorTrace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// Reads `struct proc_event`, as far as it concerns processes that are followed.
fn understood(bytes: &[u8], followed: &mut HashSet<u32>, zero: Duration) -> Option<Event> {
    let word =
        |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|w| u32::from_ne_bytes(*w));
    let time = bytes.get(8..).and_then(|rest| rest.first_chunk()).map(|w| u64::from_ne_bytes(*w))?;
    let (time, micros) = (session_time(time, zero), session_micros(time, zero));
    match word(0)? {
        FORK => {
            let (parent, thread, pid) = (word(DATA + 4)?, word(DATA + 8)?, word(DATA + 12)?);
            let ours = thread == pid && followed.contains(&parent);
            if ours && followed.len() >= MAX_FOLLOWED {
                return Some(Event::Lost { count: 1, why: "full" });
            }
            (ours && followed.insert(pid)).then_some(Event::Forked { micros, pid, parent })
        }
        EXEC => {
            let pid = word(DATA + 4)?;
            followed.contains(&pid).then(|| Event::Executed(looked_up(pid, time)))
        }
        EXIT => {
            let (thread, pid) = (word(DATA)?, word(DATA + 4)?);
            let ours = thread == pid && followed.remove(&pid);
            ours.then_some(Event::Ended { time, pid, status: exit_status(word(DATA + 8)?) })
        }
        _ => None,
    }
}

/// What `/proc` still knows of a process.
fn looked_up(pid: u32, time: u64) -> Exec {
    use std::io::Read as _;
    let at = |name: &str| format!("{pid}/{name}");
    let link = |name: &str| {
        let target = proc::link(&at(name)).map(|path| lossless(path.as_os_str().as_bytes()));
        target.unwrap_or_default()
    };
    let (mut argv, mut more) = (Vec::new(), 0);
    if let Ok(mut file) = proc::open(&at("cmdline")) {
        // What cannot be read is left out: the process may be gone.
        let _ = (&mut file).take(MAX_ARGUMENTS).read_to_end(&mut argv);
        more = std::io::copy(&mut file.take(MAX_COUNTED), &mut std::io::sink()).unwrap_or_default();
    }
    let mut argv = record::arguments(&argv);
    if more > 0 {
        argv.push(more_bytes(usize::try_from(more).unwrap_or(usize::MAX)));
    }
    let status = proc::read_to_string(&at("status")).unwrap_or_default();
    let field = |name: &str, index: usize| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().nth(index)).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    Exec {
        time,
        pid,
        ppid: field("PPid:", 0),
        uid: field("Uid:", 0),
        euid: field("Uid:", 1),
        path: link("exe"),
        argv,
        cwd: link("cwd"),
        end: None,
        exit: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(kind: u32, words: &[u32]) -> Vec<u8> {
        let mut out = [kind.to_ne_bytes(), 0_u32.to_ne_bytes()].concat();
        out.extend(3_000_000_u64.to_ne_bytes());
        out.extend(words.iter().flat_map(|w| w.to_ne_bytes()));
        out
    }

    #[test]
    fn arguments_beyond_what_is_kept_are_counted() {
        let long = "y".repeat(100_000);
        // It waits for its input, which is ours.
        let mut child = std::process::Command::new("cat")
            .args(["-", &long, "end"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The child's side of the pipe that tells of the exec is closed before its arguments are there.
        let begin = std::time::Instant::now();
        let exec = loop {
            let exec = looked_up(child.id(), 3);
            if !exec.argv.is_empty() || begin.elapsed() > std::time::Duration::from_secs(60) {
                break exec;
            }
        };
        drop(child.stdin.take());
        child.wait().unwrap();
        let all = "cat".len() + 1 + "-".len() + 1 + long.len() + 1 + "end".len() + 1;
        let kept = usize::try_from(MAX_ARGUMENTS).unwrap();
        assert_eq!(exec.argv[..2], ["cat", "-"]);
        assert_eq!(exec.argv[2].len(), kept - 6);
        assert_eq!(exec.argv[3..], [format!("… {} more bytes", all - kept)]);
    }

    #[test]
    fn only_processes_below_the_first_are_told() {
        let mut followed = HashSet::from([10]);
        let mut told =
            |kind, words: &[u32]| understood(&announcement(kind, words), &mut followed, Duration::ZERO);
        assert_eq!(told(FORK, &[9, 9, 20, 20]), None);
        assert_eq!(told(FORK, &[10, 10, 11, 10]), None, "a thread");
        assert_eq!(told(FORK, &[10, 10, 11, 11]), Some(Event::Forked { micros: 3_000, pid: 11, parent: 10 }));
        assert_eq!(told(EXIT, &[20, 20, 0, 17]), None);
        assert_eq!(told(EXIT, &[11, 11, 0x0300, 17]), Some(Event::Ended { time: 3, pid: 11, status: 3 }));
        assert_eq!(told(EXIT, &[11, 11, 0x0300, 17]), None);
        assert_eq!(told(FORK, &[10]), None);
    }
}
