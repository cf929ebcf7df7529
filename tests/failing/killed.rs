//! What becomes of what runs when nobody records it any more.

use super::refused::{PIDFD_OPEN, without};
use crate::small;
use crate::support::host::{Host, SEALCAST, has, text};
use crate::support::terminal::Terminal;
use crate::support::{descendants, lives, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// A recorded program, in a terminal or without one.
enum Running {
    In(Box<Terminal>),
    Without(Child, BufReader<std::process::ChildStdout>),
}

impl Running {
    fn start(host: &Host, user: &str, terminal: bool, words: &[&str]) -> Self {
        if terminal {
            return Self::In(Box::new(host.terminal(user, words)));
        }
        // The same process all along, without the terminal of whoever runs the tests.
        let mut command = host.command(user, &[&["setsid"], words].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self::Without(child, output)
    }

    fn pid(&self) -> u32 {
        match self {
            Self::In(terminal) => terminal.pid(),
            Self::Without(child, _) => child.id(),
        }
    }

    /// The numbers that it writes in a line, between `pids` and `end`.
    fn pids(&mut self) -> Vec<u32> {
        let line = match self {
            Self::In(terminal) => {
                terminal.wait_for("pids ");
                terminal.wait_for(" end")
            }
            Self::Without(_, output) => {
                let mut line = String::new();
                output.read_line(&mut line).unwrap();
                line.trim_end().trim_start_matches("pids ").trim_end_matches(" end").to_owned()
            }
        };
        line.split(' ').map(|pid| pid.parse().unwrap_or_else(|_| panic!("{line:?}"))).collect()
    }

    fn wait(&mut self) {
        match self {
            Self::In(terminal) => drop(terminal.wait_end_blindly()),
            Self::Without(child, _) => drop(until("the end", || child.try_wait().unwrap())),
        }
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn gone(pids: &[u32]) {
    for (n, pid) in pids.iter().enumerate() {
        until(&format!("the end of number {n}"), || (!lives(*pid)).then_some(()));
    }
}

/// Programs that no HUP and no TERM ends: a child, a grandchild, and one that its parent did not wait for; then a daemon.
const STUBBORN: &str = "trap '' HUP TERM; \
    sleep 1000 & a=$!; \
    sh -c 'sleep 1000 & echo $! >/opt/b; wait' & c=$!; \
    until [ -s /opt/b ]; do :; done; \
    [ -z \"$ORPHAN\" ] || (sleep 1000 & echo $! >/opt/orphan); \
    setsid -f sh -c 'echo $$ >/opt/daemon; exec sleep 1000' <>/dev/null >&0 2>&0; \
    until [ -s /opt/daemon ]; do :; done; \
    echo pids $$ $a $c $(cat /opt/b) $(cat /opt/orphan 2>/dev/null) $(cat /opt/daemon) end; \
    wait; sleep 1000";

#[test]
fn nothing_goes_on_when_the_recorder_is_killed_but_a_daemon() {
    for terminal in [true, false] {
        let Some(host) = Host::start() else { return };
        let orphan = if terminal { "ORPHAN=1" } else { "ORPHAN=" };
        let script = format!("{orphan}; {STUBBORN}");
        let mut running =
            Running::start(&host, "root", terminal, &[SEALCAST, "run", "--", "bash", "-c", &script]);
        let mut pids = running.pids();
        let daemon = pids.pop().unwrap();
        let stage = crate::support::children(running.pid())[0];
        assert_eq!(pids.len(), if terminal { 5 } else { 4 }, "{pids:?}");
        assert!(pids.iter().chain([&stage, &daemon]).all(|pid| lives(*pid)));
        kill("-9", running.pid());
        gone(&pids);
        gone(&[stage]);
        assert!(lives(daemon), "what made itself a daemon goes on, as after any other end");
        kill("-9", daemon);
        running.wait();
        let told = host.last();
        assert_eq!(
            (&told["verdict"], &told["state"]),
            (&Value::from("torn"), &Value::from("torn")),
            "{told}"
        );
    }
}

#[test]
fn nothing_goes_on_when_the_recorder_is_killed_behind_a_cover_over_proc() {
    let covers = ["none /proc -t tmpfs", "--bind /opt /proc/$(cat /opt/a)"];
    for (terminal, cover) in [true, false].into_iter().zip(covers) {
        let Some(host) = Host::start() else { return };
        // In a session of its own, but no daemon: whoever started it waits for it.
        let script = format!(
            "trap '' HUP TERM; \
            setsid sh -c 'echo $$ >/opt/a; exec sleep 1000' & \
            until [ -s /opt/a ]; do :; done; \
            mount {cover}; \
            sh -c 'sleep 1000 & echo pids $$ $PPID $! $(cat /opt/a) end; wait'; sleep 1000"
        );
        let words = ["unshare", "-m", SEALCAST, "run", "--", "bash", "-c", &script];
        let mut running = Running::start(&host, "root", terminal, &words);
        let pids = running.pids();
        assert!(pids.len() == 4 && pids.iter().all(|pid| lives(*pid)), "{pids:?}");
        kill("-9", running.pid());
        gone(&pids);
        running.wait();
    }
}

#[test]
fn nothing_goes_on_when_the_recorder_is_killed_where_no_process_can_be_held() {
    for terminal in [true, false] {
        let Some(host) = Host::start() else { return };
        let script = "trap '' HUP TERM; sleep 1000 & echo pids $$ $! end; wait; sleep 1000";
        let words = [SEALCAST, "run", "--", "bash", "-c", script];
        let Some(words) = without(&host, PIDFD_OPEN, &words) else { return };
        let mut running = Running::start(&host, "root", terminal, &words);
        let pids = running.pids();
        kill("-9", running.pid());
        gone(&pids);
        running.wait();
    }
}

#[test]
fn what_flees_from_process_to_process_goes_on_no_longer_than_the_recorder() {
    let Some(host) = Host::start() else { return };
    if !has("perl") {
        return;
    }
    // Each of them starts the next one and ends, and has the pipe open; of itself it would go on for longer than is waited for it.
    let flees = "syswrite STDOUT, 1; $end = time + 200; while (time < $end) { fork and exit; setpgrp }";
    let script = format!(
        "trap '' HUP TERM; mkfifo /opt/alive; perl -e '{flees}' >/opt/alive & echo pids $$ end; wait; sleep 1000"
    );
    let mut running = Running::start(&host, "root", true, &[SEALCAST, "run", "--", "bash", "-c", &script]);
    let pids = running.pids();
    let mut heard = host.command("root", &["cat", "/opt/alive"]).stdout(Stdio::piped()).spawn().unwrap();
    heard.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    kill("-9", running.pid());
    until("the end of all that has the pipe", || heard.try_wait().unwrap());
    gone(&pids);
    running.wait();
}

#[test]
fn a_recorder_that_is_stopped_ends_nothing() {
    let Some(host) = Host::start() else { return };
    let script = "echo pids $$ $PPID end; read line; echo got $line";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
    terminal.wait_for("pids ");
    let pids = terminal.wait_for(" end");
    let pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    let recorder = terminal.pid();
    kill("-STOP", recorder);
    until("the stop", || (crate::support::state(recorder) == Some('T')).then_some(()));
    // What would tell the stage of the recorder's death, from others.
    for signal in ["-USR1", "-USR2", "-HUP", "-TERM", "-INT", "-QUIT", "-ALRM"] {
        kill(signal, pids[1]);
    }
    kill("-CONT", recorder);
    terminal.line("a line", "got a line");
    assert!(terminal.wait_end().success());
    assert_eq!(host.last()["verdict"], "intact");
}

#[test]
fn a_caller_who_has_sudo_kill_the_recorder_runs_nothing_unrecorded() {
    for terminal in [true, false] {
        let Some(host) = Host::start() else { return };
        if !has("sudo") {
            return;
        }
        // Landlock and its scope keep the program from the recorder, not the caller from sudo.
        let hardened = sealcast::sys::guard::landlock_abi() >= Some(sealcast::sys::guard::ABI_SIGNALS);
        host.configure(if hardened {
            "[guard]\nprofile = \"hardened\"\nlandlock = true\nscope = true\n"
        } else {
            ""
        });
        let script = "trap '' HUP TERM; sleep 1000 & echo pids $$ $! end; wait; sleep 1000";
        let words = [SEALCAST, "run", "--self", "--", "bash", "-c", script];
        let mut running = Running::start(&host, "carol", terminal, &words);
        let pids = running.pids();
        let sudo = running.pid();
        let named = |pid: u32, name: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
        };
        assert!(named(sudo, "sudo"), "not sudo");
        assert!(descendants(sudo).iter().any(|pid| named(*pid, "sealcast")));
        // As the caller may: sudo has the caller's real user.
        let sent = host.run("carol", &["kill", "-ALRM", &sudo.to_string()]);
        assert!(sent.status.success(), "{}", text(&sent));
        gone(&pids);
        running.wait();
        let told =
            until("the end of the recorder", || Some(host.last()).filter(|told| told["state"] != "running"));
        assert_eq!(
            (&told["verdict"], &told["state"]),
            (&Value::from("torn"), &Value::from("torn")),
            "{told}"
        );
    }
}

#[test]
fn on_a_full_store_stop_ends_all_that_runs_before_it_returns() {
    if !has("bash") {
        return;
    }
    // It writes until nobody takes it, and clings to its life then: below the program, which does not, in a group of its own.
    let flood = "bash -c \"trap '' HUP PIPE; echo pids \\$\\$ end; \
        while head -c 90000 /dev/urandom | base64; do sleep 0.01; done 2>/dev/null; exec sleep 1000\"; true";
    for (terminal, jobs) in [(false, ""), (true, "set -m; ")] {
        let Some(host) = small() else { return };
        let script = format!("{jobs}{flood}");
        let words = [SEALCAST, "run", "--", "bash", "-c", &script];
        let mut running = Running::start(&host, "root", terminal, &words);
        let pids = running.pids();
        let code = match &mut running {
            Running::In(terminal) => terminal.wait_end().code(),
            Running::Without(child, output) => {
                std::io::copy(output, &mut std::io::sink()).unwrap();
                child.wait().unwrap().code()
            }
        };
        assert_ne!(code, Some(0), "{terminal} {jobs}");
        let left: Vec<_> = pids.iter().filter(|pid| lives(**pid)).collect();
        assert!(left.is_empty(), "still runs with a terminal: {terminal}, {jobs}{left:?}");
        let told = host.last();
        assert_eq!((&told["verdict"], &told["state"]), (&"intact".into(), &"sealed".into()), "{told}");
    }
}
