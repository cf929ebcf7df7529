//! What is left of an export that does not come to its end: what a recording gave that cannot be read on, and nothing else.

use crate::dice::Dice;
use crate::home::{Home, Ran, Recording, ran};
use sealcast::cast::Payload;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

/// A home with a recording that many reads are needed for: digits that are hard to compress.
fn long() -> (Home, PathBuf) {
    let home = Home::new();
    let mut dice = Dice(1);
    let mut digits = || format!("{:08x}{:08x}\r\n", dice.below(1u64 << 31), dice.below(1u64 << 31));
    let events = (0..300).map(|n| {
        let lines: String = (0..200).map(|_| digits()).collect();
        (n * 1000, Payload::Output(lines.into_bytes()))
    });
    let (path, _) = home.record(&Recording { events: events.collect(), ..Recording::default() });
    (home, path)
}

/// Whether what a program asks of the system can be tampered with here.
pub(crate) fn can_trace() -> bool {
    let tried = Process::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let can = tried.is_ok_and(|done| done.status.success());
    if !can {
        crate::skipped("strace is not installed, or not allowed");
    }
    can
}

/// Runs the program under `strace`, which writes into the file `trace` of the home what these words tell it to.
pub(crate) fn under_strace(home: &Home, words: &[&str], args: &[&str]) -> Ran {
    let plain = home.command(args);
    let mut strace = Process::new("strace");
    strace.args(["-f", "-o"]).arg(home.path("trace")).args(words);
    strace.arg(plain.get_program()).args(plain.get_args());
    strace.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ran(strace.current_dir(home.path("")), args)
}

/// Runs the program with what `strace` does to its reads of a recording.
fn traced(home: &Home, recording: &Path, tampered: &[&str], args: &[&str]) -> Ran {
    let of = ["-e", "trace=read", "-P", recording.to_str().unwrap()];
    under_strace(home, &[&of, tampered].concat(), args)
}

/// A read of the recording that is well inside what is exported of it.
fn late_read(home: &Home, recording: &Path) -> usize {
    traced(home, recording, &[], &["export", "last", "-o", "whole.cast"]).exits(0);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    trace.lines().filter(|line| line.contains(" read(")).count() * 3 / 4
}

#[test]
fn what_a_recording_gave_before_the_system_could_not_read_on_is_kept() {
    if !can_trace() {
        return;
    }
    let (home, path) = long();
    let refused = format!("inject=read:error=EIO:when={}+", late_read(&home, &path));
    let args = ["export", "last", "-o", "part.cast"];
    let ran = traced(&home, &path, &["-e", &refused], &args).exits(2);
    assert!(ran.err.contains(" only: cannot read the recording: Input/output error"), "{ran}");
    let whole = std::fs::read_to_string(home.path("whole.cast")).unwrap();
    let part = std::fs::read_to_string(home.path("part.cast")).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    let (kept, end) = part.trim_end().rsplit_once('\n').unwrap();
    assert!(whole.starts_with(kept) && kept.len() > whole.len() / 4, "{} of {}", kept.len(), whole.len());
    assert!(end.contains("damaged: what comes after this could not be read"), "{end}");
}

/// A long recording, where programs can be traced and files can be without a name.
fn traced_without_names() -> Option<(Home, PathBuf)> {
    if !can_trace() {
        return None;
    }
    let (home, path) = long();
    if sealcast::sys::file::create_nameless(&home.path("")).unwrap().is_none() {
        crate::skipped("this file system has no files without a name");
        return None;
    }
    Some((home, path))
}

#[test]
fn where_an_export_is_and_that_it_is_not_all_are_both_told() {
    let Some((home, path)) = traced_without_names() else { return };
    let whole = std::fs::read(&path).unwrap();
    let (first, second) = whole.split_at(whole.len() / 2);
    std::fs::write(home.path("half.scast"), first).unwrap();
    std::fs::write(home.path("bad.scast"), [first, b"something else", second].concat()).unwrap();
    // As if somebody had taken the name meanwhile.
    let taken = ["-e", "trace=linkat", "-e", "inject=linkat:error=EEXIST:when=1"];
    for (rec, format, hits, wrong) in [
        ("bad.scast", "cast", None, "not all of it could be read"),
        ("bad.scast", "cast", Some("0"), "checksum does not match; "),
        ("bad.scast", "commands", None, "that its index has all its commands is not proven"),
        ("half.scast", "cast", None, "exported up to "),
    ] {
        let _ = std::fs::remove_file(home.path("part.1"));
        let mut args = vec!["export", rec, "-f", format, "-o", "part"];
        args.extend(hits.iter().flat_map(|hits| ["--hits", hits]));
        let ran = under_strace(&home, &taken, &args).exits(2);
        for told in [wrong, "what was written is in part.1\n"] {
            assert!(ran.err.contains(told) && home.path("part.1").exists(), "{ran}");
        }
    }
}

#[test]
fn an_export_that_is_killed_leaves_nothing_that_could_be_taken_for_the_whole() {
    let Some((home, path)) = traced_without_names() else { return };
    let killed = format!("inject=read:signal=SIGKILL:when={}", late_read(&home, &path));
    let ran = traced(&home, &path, &["-e", &killed], &["export", "last", "-o", "half.cast"]);
    assert_eq!(ran.code, None, "{ran}");
    let half = std::fs::metadata(home.path("half.cast"));
    assert!(half.is_err(), "{half:?}\n{ran}");
}

#[test]
fn what_could_not_be_written_whole_is_not_kept() {
    let (home, _) = long();
    for (format, name) in [("cast", "part.cast"), ("commands", "part.json")] {
        let words = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" export last -f {format} -o {name}");
        let plain = home.command(&[]);
        let mut limited = Process::new("sh");
        limited.arg("-c").arg(words).arg(plain.get_program()).env("HOME", home.path(""));
        let ran = ran(limited.current_dir(home.path("")), &[format]);
        let ran = ran.exits(2);
        assert!(ran.err.contains("File too large") && !home.path(name).exists(), "{ran}");
        // What is there is nobody's to write over.
        std::fs::write(home.path(name), "mine").unwrap();
        home.run(&["export", "last", "-f", format, "-o", name]).exits(2).complains("File exists");
        assert_eq!(std::fs::read(home.path(name)).unwrap(), b"mine");
    }
}
