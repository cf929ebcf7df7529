//! Many sessions, one after the other and at the same time, through the real program: nothing of them is left behind.
//!
//! What is compared before and after: processes (known by the home directory that belongs to this test alone), our own
//! descriptors and those of the shell that started the sessions, the settings and the foreground of its terminal,
//! terminals that they use, the kernel's programs (of a host in system mode; needs bpftool), temporary files, and the store, in which every session must be intact.
//!
//! The default is small. The whole of it, a few minutes in a release build:
//! `cargo test --release --test many -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::host::{Host, SEALCAST};
use support::sandbox::{SIZE, Sandbox};
use support::terminal::Terminal;
use support::{descendants, until};

fn entries(dir: impl AsRef<Path>) -> Vec<String> {
    let Ok(listed) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        listed.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

/// What the descriptors of a process are open on, by number.
fn descriptors(pid: u32) -> BTreeMap<String, String> {
    let dir = format!("/proc/{pid}/fd");
    let target =
        |name: &String| Some(std::fs::read_link(format!("{dir}/{name}")).ok()?.display().to_string());
    entries(&dir).iter().filter_map(|name| Some((name.clone(), target(name)?))).collect()
}

/// Processes that have the sandbox's home, whatever became of their parents.
fn processes(sandbox: &Sandbox) -> Vec<String> {
    let home = format!("HOME={}", sandbox.path("home").display());
    let of = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let ours = environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes());
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        ours.then(|| format!("{pid} {}", name.trim()))
    };
    entries("/proc").iter().filter(|name| name.parse::<u32>().is_ok()).filter_map(of).collect()
}

/// All processes that there are.
fn all_processes() -> impl Iterator<Item = u32> {
    entries("/proc").into_iter().filter_map(|name| name.parse().ok())
}

/// Terminals that are held open by processes that are `ours`: others of this machine use terminals too.
fn terminals(is_ours: impl Fn(u32) -> bool) -> Vec<String> {
    let mut all = Vec::new();
    for pid in all_processes().filter(|pid| is_ours(*pid)) {
        let leaders = descriptors(pid).into_iter().filter(|(_, target)| target.ends_with("ptmx"));
        for (number, _) in leaders {
            let facts = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
            let index = facts.lines().find_map(|line| line.strip_prefix("tty-index:"));
            all.extend(index.map(|index| format!("/dev/pts/{} of {pid}", index.trim())));
        }
    }
    all
}

/// The same, of this test and what it started, whatever became of that's parents.
fn our_terminals(sandbox: &Sandbox) -> Vec<String> {
    let this = std::process::id();
    let mut ours = descendants(this);
    ours.push(this);
    ours.extend(processes(sandbox).iter().filter_map(|told| told.split(' ').next()?.parse::<u32>().ok()));
    terminals(|pid| ours.contains(&pid))
}

/// Programs in the kernel that trace, of the whole machine; `None`, said so, where nobody tells.
fn tracing() -> Option<BTreeSet<u64>> {
    if !support::there(&["bpftool"]) {
        return None;
    }
    let listed = Command::new("bpftool").args(["-j", "prog", "list"]).output().unwrap();
    let Ok(Value::Array(all)) = serde_json::from_slice(&listed.stdout) else {
        support::skipped(&format!("bpftool lists no programs: {}", support::host::text(&listed)));
        return None;
    };
    let tracing = all.iter().filter(|program| program["type"] == "raw_tracepoint");
    Some(tracing.filter_map(|program| program["id"].as_u64()).collect())
}

/// Those that are held open by processes that are none of the host's.
fn of_others(host: &Host) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    for pid in all_processes().filter(|pid| !host.has_process(*pid)) {
        for (number, _) in descriptors(pid).into_iter().filter(|(_, target)| target.contains("bpf")) {
            let facts = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
            all.extend(
                facts.lines().filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u64>().ok()),
            );
        }
    }
    all
}

/// A recording of each session, every one closed and intact, and nothing else in the store.
fn all_intact(sandbox: &Sandbox, sessions: usize) {
    let store = sandbox.path("home/.local/share/sealcast/recordings");
    let names = entries(&store);
    assert!(names.iter().all(|name| name.ends_with(".scast")), "{names:?}");
    assert_eq!(names.len(), sessions, "recordings in {}", store.display());
    let mut verify = sandbox.command(env!("CARGO_BIN_EXE_sealcast"));
    let verified = verify.args(["verify"]).stdin(Stdio::null()).output().unwrap();
    let told = support::host::text(&verified);
    assert!(verified.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.contains("intact")).count(), sessions, "{told}");
}

/// Sessions in a row in one terminal, ended in every way a session ends. Gives the seconds it took.
fn in_a_row(sandbox: &Sandbox, count: usize) -> f64 {
    let wrapper = sandbox.wrapper_line();
    std::fs::create_dir(sandbox.path("tmp")).unwrap();
    let mut shell = sandbox.command("bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "OUTER> ").env("TMPDIR", sandbox.path("tmp"));
    let mut terminal = Terminal::start(&shell, SIZE);
    terminal.wait_for("OUTER> ");
    // Settings as they are for a program, not for the shell's own line editor; and whose the foreground is.
    let settings = |terminal: &mut Terminal| {
        terminal.line("stty -a; echo pgrp $(($$ == $(ps -o tpgid= -p $$))) END", "-a; echo pgrp");
        terminal.wait_for("END");
        terminal.wait_for("END")
    };
    let before = (settings(&mut terminal), descriptors(terminal.pid()), processes(sandbox).len());
    let script = format!(
        "ends=(true 'sh -c \"exit 3\"' 'sh -c \"kill -9 \\$\\$\"' no-such-program 'seq 1 2000' 'sh -c \"stty raw -echo; exit 0\"' 'sh -c \"kill -1 \\$PPID; exit 4\"')\n\
         for n in $(seq {count}); do eval \"{wrapper} ${{ends[n % ${{#ends[@]}}]}}\" 2>/dev/null; done; echo ALL $((40+2))\n"
    );
    let script = sandbox.file("sessions", script);
    let begin = Instant::now();
    terminal.send(format!(". {}\r", script.display()));
    until_shown(&mut terminal, "ALL 42");
    let took = begin.elapsed().as_secs_f64();
    // What is typed before the shell's prompt is echoed twice.
    terminal.wait_for("ALL 42");
    terminal.wait_for("OUTER> ");
    let after = (settings(&mut terminal), descriptors(terminal.pid()), until_few(sandbox, before.2));
    assert_eq!(before, after);
    assert_eq!(entries(sandbox.path("tmp")), [""; 0], "temporary files");
    terminal.line("exit", "exit");
    terminal.wait_end();
    took
}

/// Waits until no more than `few` processes of the sandbox are left, and gives how many are.
fn until_few(sandbox: &Sandbox, few: usize) -> usize {
    let mut left = Vec::new();
    let end = Instant::now() + support::DEADLINE;
    while Instant::now() < end {
        left = processes(sandbox);
        if left.len() <= few {
            return left.len();
        }
        support::pause(Duration::from_millis(20));
    }
    panic!("left behind: {left:?}");
}

fn until_shown(terminal: &mut Terminal, text: &str) {
    // Of whatever is shown next: there can be many before the last.
    let mut end = Instant::now() + support::DEADLINE;
    let mut looked = 0;
    loop {
        let shown = terminal.transcript();
        if memchr::memmem::find(&shown[looked..], text.as_bytes()).is_some() {
            return;
        }
        looked = shown.len().saturating_sub(text.len());
        assert!(
            Instant::now() < end,
            "waited for {text:?}: {}",
            shown[looked.saturating_sub(2000)..].escape_ascii()
        );
        if terminal.read_for(Duration::from_millis(50)) {
            end = Instant::now() + support::DEADLINE;
        }
    }
}

/// Sessions that are all open at the same time. Gives the largest peak memory of a recorder in KiB.
fn at_once(sandbox: &Sandbox, count: usize) -> u64 {
    let mut open: Vec<Terminal> = (0..count).map(|_| sandbox.run(&["sh"])).collect();
    let mut peak = 0;
    for (n, terminal) in open.iter_mut().enumerate() {
        terminal.send(format!("echo session $((1000+{n}))\r"));
        until_shown(terminal, &format!("session {}", 1000 + n));
        assert!(terminal.is_raw());
        peak = peak.max(support::peak_memory(terminal.pid()));
        assert!(descendants(terminal.pid()).len() >= 2);
    }
    // Its own, and that of what it runs.
    let held = our_terminals(sandbox);
    assert!(held.len() >= 2 * count, "{held:?}");
    // Not in the order in which they were opened, and a third of them by closing the window.
    for (n, mut terminal) in open.into_iter().enumerate().rev() {
        if n % 3 == 0 {
            terminal.hang_up();
            terminal.wait_end();
        } else {
            terminal.send("exit 5\r");
            assert_eq!(terminal.wait_end().code(), Some(5));
            assert!(!terminal.is_raw());
        }
    }
    peak
}

/// The whole comparison.
fn many(row: usize, once: usize) {
    let sandbox = Sandbox::new();
    // The first session makes the keys, and is one more.
    let _ = sandbox.wrapper_line();
    let (ours, used) = (descriptors(std::process::id()), our_terminals(&sandbox));
    let took = in_a_row(&sandbox, row);
    let peak = at_once(&sandbox, once);
    assert_eq!(until_few(&sandbox, 0), 0);
    assert_eq!(descriptors(std::process::id()), ours);
    assert_eq!(our_terminals(&sandbox), used);
    all_intact(&sandbox, 1 + row + once);
    println!(
        "{row} sessions in a row: {took:.1} s; {once} at once: peak memory of a recorder at most {peak} KiB"
    );
}

#[test]
fn many_sessions_leave_nothing_behind() {
    many(42, 10);
    within_a_session();
    of_a_host(5);
}

#[test]
#[ignore = "takes minutes; see the head of this file for the command"]
fn a_thousand_sessions_in_a_row_and_a_hundred_at_once_leave_nothing_behind() {
    many(1000, 100);
    of_a_host(100);
}

/// Suspends, resizes and commands within one session open nothing that stays open.
fn within_a_session() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    terminal.line(&format!("{} bash --norc -i", sandbox.wrapper_line()), "OUTER> ");
    terminal.line("PS1='INNER'; PS1=\"$PS1> \"", "INNER> ");
    let recorder = descendants(terminal.pid())[0];
    let open = || [descriptors(recorder).len(), entries(format!("/proc/{recorder}/task")).len()];
    let mut before = None;
    for n in 0..12u16 {
        terminal.resize(80 + n, 24 + n);
        terminal.line("suspend", "OUTER> ");
        terminal.line("fg", "INNER> ");
        terminal.line("echo $((40+2))", "42\r\n");
        terminal.wait_for("INNER> ");
        // The first round may open what is opened once.
        before.get_or_insert_with(open);
    }
    // It opens files for a moment as well.
    let before = before.unwrap();
    until("what was opened to be closed", || {
        open().into_iter().zip(before).all(|(now, before)| now <= before).then_some(())
    });
    terminal.line("exit", "OUTER> ");
}

/// The same of a host in system mode, with its guard and its kernel trace.
fn of_a_host(count: usize) {
    let Some(host) = Host::start() else { return };
    let run = |script: &str| {
        let ran = host.run("root", &["sh", "-c", script]);
        assert!(ran.status.success(), "{}", support::host::text(&ran));
        String::from_utf8(ran.stdout).unwrap()
    };
    let before = tracing();
    run(&format!("for n in $(seq {count}); do {SEALCAST} run -- sh -c 'exit 0'; done"));
    until("the terminals to be given back", || {
        terminals(|pid| host.has_process(pid)).is_empty().then_some(())
    });
    if let Some(before) = before {
        until("the kernel's programs to be given back", || {
            let left = &tracing()? - &before;
            left.is_subset(&of_others(&host)).then_some(())
        });
    }
    assert_eq!(host.recordings(), count);
    let told = run(&format!("{SEALCAST} verify"));
    assert_eq!(told.lines().filter(|line| line.contains("intact")).count(), count, "{told}");
    let left = run("ls -A /srv/sealcast | grep -v '\\.scast$'; true");
    assert_eq!(left, "", "beside recordings");
}
