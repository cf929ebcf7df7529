//! Whoever takes the recorder's memory gets the segment in hand and the screen, and nothing older: measured, by reading it.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::io::{Read as _, Seek as _, SeekFrom};
use support::sandbox::{SIZE, Sandbox};
use support::terminal::Terminal;

const SEALCAST: &str = env!("CARGO_BIN_EXE_sealcast");

/// How often `needle` stands in the memory of a process, and how much of that memory could be read.
fn in_memory(pid: u32, needle: &[u8]) -> (usize, usize) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut found, mut read) = (0, 0);
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut bytes).is_ok() {
            read += bytes.len();
            found += memchr::memmem::find_iter(&bytes, needle).count();
        }
    }
    (found, read)
}

/// Prints a thousand numbered lines that begin with `mark`, then `megabytes` of other text, and says `done` where it is.
fn lines(mark: &str, megabytes: usize, done: &str) -> String {
    format!(
        "perl -e 'for (1..1000) {{ print \"{mark} $_ \", rand(), \"\\n\" }} \
         for (1..{megabytes}*16384) {{ printf \"%063d\\n\", rand(1e9) }}'; printf '%s%s\\n' {} {}\n",
        &done[..2],
        &done[2..]
    )
}

#[test]
fn the_recorder_forgets_a_segment_when_it_ends() {
    if !sealcast::sys::ids::effective_uid().eq(&0) {
        println!("skipped: only root may read the memory of a recorder");
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(SEALCAST);
    command.args(["run", "--", "sh"]).env("PS1", "$ ");
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("$ ");
    let recorder = terminal.pid();
    // What is in hand must be found: else the search itself would prove nothing.
    terminal.send("echo JUST-NOW-$((40+2)); : \r");
    terminal.wait_for("JUST-NOW-42");
    let (found, read) = in_memory(recorder, b"JUST-NOW-42");
    assert!(found > 0 && read > 1 << 20, "not even what was just shown is found ({read} bytes were read)");

    terminal.send(lines("OLD-SECRET", 3, "FIRST-DONE").replace('\n', "\r"));
    terminal.wait_for("FIRST-DONE");
    terminal.send(lines("NEWER", 3, "SECOND-DONE").replace('\n', "\r"));
    terminal.wait_for("SECOND-DONE");
    // Several segments have ended since; the threads that read along may need a moment.
    let left = support::until("the old segment to be forgotten", || {
        let (left, _) = in_memory(recorder, b"OLD-SECRET 5");
        (left == 0).then_some(left)
    });
    assert_eq!(left, 0);
    terminal.send("exit\r");
    assert!(terminal.wait_end().success());
}
