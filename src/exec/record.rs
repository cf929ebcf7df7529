//! Events as the programs in the kernel write them, read back.

use super::program;
use crate::cast::Exec;
use crate::text::lossless;

/// What was seen of a process, with its time since the start of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process was forked.
    Forked {
        /// Microseconds since the start of the session: which command it belongs to can hang on less than a millisecond.
        micros: u64,
        /// The new process.
        pid: u32,
        /// Who forked it.
        parent: u32,
    },
    /// A program was executed. [`Exec::end`] and [`Exec::exit`] are told by [`Event::Ended`].
    Executed(Exec),
    /// A process ended.
    Ended {
        /// Milliseconds since the start of the session.
        time: u64,
        /// Which.
        pid: u32,
        /// Its exit status; 128 + n for signal n.
        status: i32,
    },
    /// Events are missing.
    Lost {
        /// How many.
        count: u64,
        /// Why, as a stable word: `full`, `slow`, `taken`.
        why: &'static str,
    },
    /// The trace was stopped, and some that it followed still ran.
    Left {
        /// How many processes.
        count: u64,
        /// The names of their programs, and of how many of them each is if of more than one.
        names: String,
    },
}

/// Time of an event as the kernel has it (nanoseconds of the monotonic clock), made milliseconds of the session.
pub(super) fn session_time(kernel: u64, zero: std::time::Duration) -> u64 {
    session_micros(kernel, zero) / 1_000
}

/// The same in microseconds.
pub(super) fn session_micros(kernel: u64, zero: std::time::Duration) -> u64 {
    let zero = u64::try_from(zero.as_nanos()).unwrap_or(u64::MAX);
    kernel.saturating_sub(zero) / 1_000
}

/// The status that wait(2) gives, as shells count it.
pub(super) fn exit_status(raw: u32) -> i32 {
    let signal = raw & 0x7f;
    let status = if signal != 0 { 128 + signal } else { (raw >> 8) & 0xff };
    i32::try_from(status).unwrap_or(i32::MAX)
}

/// Arguments as they lie in memory: each ended by a zero byte.
pub(super) fn arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|b| *b == 0).map(lossless).collect()
}

/// Reads an event; `None` when it is not one.
pub(super) fn read(bytes: &[u8], zero: std::time::Duration) -> Option<Event> {
    let word =
        |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|w| u32::from_ne_bytes(*w));
    let time = bytes.get(8..).and_then(|rest| rest.first_chunk()).map(|w| u64::from_ne_bytes(*w))?;
    let (time, micros) = (session_time(time, zero), session_micros(time, zero));
    let (kind, pid, ppid) = (i32::try_from(word(16)?).ok()?, word(20)?, word(24)?);
    match kind {
        program::FORKED => Some(Event::Forked { micros, pid, parent: ppid }),
        program::ENDED => Some(Event::Ended { time, pid, status: exit_status(word(36)?) }),
        program::EXECUTED => {
            let header = usize::try_from(program::HEADER).ok()?;
            let flags = i32::try_from(word(52)?).ok()?;
            let names_end = header.checked_add(usize::try_from(word(48)?).ok()?)?;
            let (all, kept) = (usize::try_from(word(40)?).ok()?, usize::try_from(word(44)?).ok()?);
            let names = bytes.get(header..names_end)?;
            let mut argv = arguments(bytes.get(names_end..names_end.checked_add(kept)?)?);
            if all > kept {
                argv.push(format!("… {} more bytes", all - kept));
            }
            // The separator is the first empty name.
            let mut parts = names.split(|b| *b == 0);
            let path: Vec<&[u8]> = parts.by_ref().take_while(|name| !name.is_empty()).collect();
            let cwd: Vec<&[u8]> = parts.take_while(|name| !name.is_empty()).collect();
            let mut path = joined(&path, flags & program::PATH_CUT != 0);
            if flags & program::DELETED != 0 {
                path.push_str(" (deleted)");
            } else if flags & program::PATH_ASTRAY != 0 {
                path.insert_str(0, Exec::UNREACHABLE);
            }
            let mut cwd = joined(&cwd, flags & program::CWD_CUT != 0);
            if flags & program::CWD_ASTRAY != 0 {
                cwd.insert_str(0, Exec::UNREACHABLE);
            }
            let (uid, euid) = (word(28)?, word(32)?);
            Some(Event::Executed(Exec { time, pid, ppid, uid, euid, path, argv, cwd, end: None, exit: None }))
        }
        _ => None,
    }
}

/// A path from its names, which come from the inside out.
fn joined(names: &[&[u8]], cut: bool) -> String {
    let mut path = String::from(if cut { "…" } else { "" });
    for name in names.iter().rev().filter(|name| **name != b"/") {
        path.push('/');
        path.push_str(&lossless(name));
    }
    if path.is_empty() { "/".into() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn event(kind: i32, flags: i32, names: &[u8], argv: &[u8], all: u32) -> Vec<u8> {
        let mut out = 7_u64.to_ne_bytes().to_vec();
        out.extend(5_000_000_000_u64.to_ne_bytes());
        for word in [
            kind.cast_unsigned(),
            10,
            9,
            1000,
            0,
            0x0100,
            all,
            argv.len() as u32,
            names.len() as u32,
            flags.cast_unsigned(),
        ] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(names);
        out.extend(argv);
        out
    }

    #[test]
    fn an_exec_is_read_with_its_paths_from_the_root() {
        let bytes = event(program::EXECUTED, 0, b"ls\0bin\0usr\0\0root\0", b"ls\0-l\0\xff\0", 8);
        let Some(Event::Executed(exec)) = read(&bytes, Duration::from_secs(4)) else { panic!() };
        assert_eq!((exec.time, exec.pid, exec.ppid, exec.uid, exec.euid), (1_000, 10, 9, 1000, 0));
        assert_eq!((exec.path.as_str(), exec.cwd.as_str()), ("/usr/bin/ls", "/root"));
        assert_eq!(exec.argv, ["ls", "-l", "\\xff"]);
    }

    #[test]
    fn what_is_gone_or_cut_is_said_to_be() {
        let bytes =
            event(program::EXECUTED, program::DELETED | program::CWD_CUT, b"memfd:x\0\0deep\0", b"x", 90_000);
        let Some(Event::Executed(exec)) = read(&bytes, Duration::ZERO) else { panic!() };
        assert_eq!((exec.path.as_str(), exec.cwd.as_str()), ("/memfd:x (deleted)", "…/deep"));
        assert_eq!(exec.argv, ["x", "… 89999 more bytes"]);
    }

    #[test]
    fn a_path_that_does_not_begin_at_the_root_is_told_as_one() {
        let read = |flags, names: &[u8]| {
            let Some(Event::Executed(exec)) =
                read(&event(program::EXECUTED, flags, names, b"", 0), Duration::ZERO)
            else {
                panic!()
            };
            (exec.path, exec.cwd)
        };
        let (path, cwd) = read(program::PATH_ASTRAY | program::CWD_ASTRAY, b"ls\0bin\0\0");
        assert_eq!((path.as_str(), cwd.as_str()), ("(unreachable)/bin/ls", "(unreachable)/"));
        let gone = read(program::PATH_ASTRAY | program::DELETED, b"memfd:x\0\0");
        assert_eq!((gone.0.as_str(), gone.1.as_str()), ("/memfd:x (deleted)", "/"));
    }

    #[test]
    fn ends_are_counted_as_shells_count_them() {
        assert_eq!(
            (exit_status(0x0100), exit_status(9), exit_status(0x8b), exit_status(0)),
            (1, 137, 139, 0)
        );
        let bytes = event(program::ENDED, 0, b"", b"", 0);
        assert_eq!(read(&bytes, Duration::ZERO), Some(Event::Ended { time: 5_000, pid: 10, status: 1 }));
    }

    #[test]
    fn an_event_cut_short_is_none() {
        let bytes = event(program::EXECUTED, 0, b"ls\0\0", b"ls\0", 3);
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length], Duration::ZERO), None, "{length}");
        }
    }
}
