//! What the trace of executed programs does not see, because somebody else starts it (doc/COMMANDS.md, "What escapes it"): tested to be
//! so, with the real daemons; and what looks like an escape and is none.
//!
//! In every case the session goes on until the job has run, so that it is not missing because it came later. Needs root (a
//! mount namespace with spools of its own: nothing of the host is touched); says what it skips.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use support::host::{Host, SEALCAST, has, text};

/// A daemon of the host, outside the session. Dropped, it is gone.
struct Daemon(Child);

impl Daemon {
    fn start(host: &Host, words: &[&str]) -> Self {
        let mut command = host.command("root", words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A host with spools of its own for at and cron (old ones: cron reads them again when they change, by the second); `None` where there cannot be one.
fn host() -> Option<Host> {
    let host = Host::start()?;
    let made = host.run(
        "root",
        &[
            "/bin/sh",
            "-c",
            "mount -t tmpfs -o mode=755 none /var/spool/cron && cd /var/spool/cron && mkdir atjobs atspool crontabs && echo 00000 >atjobs/.SEQ && chmod 600 atjobs/.SEQ &&
             chmod 1770 atjobs atspool && chown daemon:daemon atjobs atspool atjobs/.SEQ; chmod 1730 crontabs; chgrp -f crontab crontabs; touch -d '1 hour ago' crontabs",
        ],
    );
    assert!(made.status.success(), "{}", text(&made));
    Some(host)
}

/// Shell code that waits until there is a file, doing `poke` now and then, and gives up after about so many seconds.
fn wait_for(file: &str, poke: &str, seconds: u32) -> String {
    let turns = seconds * 20;
    format!(
        "n=0; until [ -s {file} ]; do n=$((n+1)); [ $n -lt {turns} ] || exit 99
         [ $((n%4)) != 0 ] || {poke}; /bin/sleep 0.05; done"
    )
}

/// Runs a script in a recorded session that ends when the job has written `/srv/ran`, or fails. Gives the
/// arguments of every program that the trace saw; `None`, with the reason printed, where there is no trace by the kernel's own programs.
fn programs(host: &Host, script: &str, poke: &str, seconds: u32) -> Option<Vec<String>> {
    let wait = wait_for("/srv/ran", poke, seconds);
    let script = format!("{script}\n{wait}\n/bin/true after the job");
    let done = host.run("root", &[SEALCAST, "run", "--", "sh", "-c", &script]);
    let story = host.last();
    assert!(done.status.success(), "{}\n{story:#}", text(&done));
    let force = &story["meta"]["in_force"];
    if force["exec-trace"] != "ebpf" {
        support::skipped(&force["exec-trace-note"].to_string());
        return None;
    }
    let mut notices = support::notices(&story);
    // A job that has done what is waited for may take a moment more to end.
    notices.retain(|text| !text.starts_with("left-running:"));
    assert_eq!((notices.as_slice(), &story["left_out"]), (&[][..], &serde_json::json!({})), "{story:#}");
    let execs = |command: &Value| command["execs"].as_array().cloned().unwrap_or_default();
    let commands = story["commands"].as_array().unwrap();
    let argv = |exec: &Value| {
        exec["argv"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let programs: Vec<String> = commands.iter().flat_map(execs).map(|exec| argv(&exec)).collect();
    assert!(programs.iter().any(|argv| argv == "/bin/true after the job"), "{programs:#?}");
    Some(programs)
}

/// The job ran (its session waited for it), and is not among the programs; what handed it over is.
#[track_caller]
fn escaped(programs: &[String], asked: &str) {
    assert!(programs.iter().any(|argv| argv == asked), "the trace has no `{asked}`: {programs:#?}");
    let seen: Vec<_> = programs.iter().filter(|argv| argv.starts_with("/bin/true of the job")).collect();
    assert!(
        seen.is_empty(),
        "the trace saw the job, and the documentation says that it does not: {programs:#?}"
    );
}

#[test]
fn a_job_that_was_handed_to_at_is_not_seen_and_the_handing_over_is() {
    // Where Debian has it. Elsewhere the spool would be that of the host.
    if !has("at") || !has("/usr/sbin/atd") || !has("/var/spool/cron/atjobs") {
        return;
    }
    let Some(host) = host() else { return };
    let _atd = Daemon::start(&host, &["/usr/sbin/atd", "-f"]);
    // It looks for jobs when it is told to; once is not enough when it is just about to wait for that.
    let poke = "kill -HUP $(cat /run/atd.pid)";
    let start = wait_for("/run/atd.pid", ":", 10);
    let probe = wait_for("/srv/probe", poke, 10);
    // Some hosts do not let it run anything: then there is nothing to be seen or not.
    let probed = host
        .run("root", &["/bin/sh", "-c", &format!("{start}; echo 'echo ran >/srv/probe' | at now; {probe}")]);
    if !probed.status.success() {
        support::skipped(&format!("atd does not run a job here: {}", text(&probed)));
        return;
    }
    let script = "echo '/bin/true of the job; echo ran >/srv/ran' | at now";
    let Some(programs) = programs(&host, script, poke, 60) else { return };
    escaped(&programs, "at now");
}

/// cron looks at its tables when a minute begins. `cargo test --test escapes -- --ignored`
#[test]
#[ignore = "takes up to two minutes"]
fn a_job_that_was_handed_to_cron_is_not_seen_and_the_handing_over_is() {
    if !has("crontab") || !has("/usr/sbin/cron") || !has("/var/spool/cron/crontabs") {
        return;
    }
    let Some(host) = host() else { return };
    let _cron = Daemon::start(&host, &["/usr/sbin/cron", "-f"]);
    let script = "echo '* * * * * /bin/true of the job; echo ran >/srv/ran' | crontab -";
    let Some(programs) = programs(&host, script, ":", 150) else { return };
    escaped(&programs, "crontab -");
}

/// Ends the manager's wait for somebody who asks, whatever happens here.
struct Wake(PathBuf);

impl Drop for Wake {
    fn drop(&mut self) {
        let _ = UnixStream::connect(&self.0);
    }
}

/// systemd-run asks a service manager, over a unix socket, to execute something. Few machines that run tests have systemd as their
/// first process; so here it is a manager of our own, which does the same: this test, outside the session, executes what it is
/// sent.
#[test]
fn what_a_service_manager_executes_for_the_session_is_not_seen_and_the_asking_is() {
    if !has("python3") {
        return;
    }
    let Some(host) = host() else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("manager");
    let listener = UnixListener::bind(&socket).unwrap();
    let ask = format!(
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('{}'); s.sendall(sys.argv[1].encode() + b'\\n'); \
         sys.exit(s.recv(1) != b'0')",
        socket.display()
    );
    let job = "/bin/true of the job; echo ran >/srv/ran";
    let script = format!("python3 -c \"{ask}\" '{job}'");
    std::thread::scope(|scope| {
        let manager = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            // The session can have ended already: then there is nothing to run, and it says why.
            BufReader::new(&stream).read_line(&mut line).unwrap();
            if line.is_empty() {
                return None;
            }
            let status = host.command("root", &["/bin/sh", "-c", line.trim_end()]).status().unwrap();
            stream.write_all(if status.success() { b"0" } else { b"1" }).unwrap();
            Some(line)
        });
        let wake = Wake(socket.clone());
        let seen = programs(&host, &script, ":", 60);
        drop(wake);
        let asked = manager.join().unwrap();
        let Some(programs) = seen else { return };
        assert_eq!(asked.as_deref().map(str::trim_end), Some(job), "{programs:#?}");
        escaped(&programs, &format!("python3 -c {ask} {job}"));
    });
}

/// A session of its own, forked twice, its parents gone: no escape.
#[test]
fn a_daemon_that_the_session_leaves_behind_is_seen_for_as_long_as_the_session_lasts() {
    let Some(host) = host() else { return };
    let daemon =
        "until [ -e /srv/go ]; do /bin/sleep 0.02; done; /bin/true of the daemon; echo ran >/srv/ran";
    let script =
        format!("setsid sh -c '(sh -c \"{daemon}\" </dev/null >/dev/null 2>&1 &)'; echo go >/srv/go");
    let Some(programs) = programs(&host, &script, ":", 60) else { return };
    assert!(programs.iter().any(|argv| argv == "/bin/true of the daemon"), "{programs:#?}");
}

/// What it does later nobody records: that it was there is told, and is no alarm.
#[test]
fn what_a_session_leaves_running_is_told_with_its_name() {
    let Some(host) = host() else { return };
    let later = "until [ -e /srv/go ]; do /bin/sleep 0.02; done; echo ran >/srv/ran";
    let left = format!("setsid sh -c 'exec >/dev/null 2>&1 </dev/null; echo up >/srv/up; {later}' & ");
    let script = format!("{left}{}; exit 3", wait_for("/srv/up", ":", 60));
    let done = host.run("root", &[SEALCAST, "run", "--", "sh", "-c", &script]);
    let story = host.last();
    // It did go on.
    let ran =
        host.run("root", &["sh", "-c", &format!("echo go >/srv/go; {}", wait_for("/srv/ran", ":", 60))]);
    assert!(done.status.code() == Some(3) && ran.status.success(), "{} {}", text(&done), text(&ran));
    let force = &story["meta"]["in_force"];
    if force["exec-trace"] != "ebpf" && force["exec-trace"] != "connector" {
        support::skipped(&force["exec-trace-note"].to_string());
        return;
    }
    assert!(force["exec-trace-note"].as_str().unwrap().contains("while the session lasted"), "{force}");
    let notices = support::notices(&story);
    // The shell, and most of the time the program by which it waits.
    let told =
        notices.iter().find(|text| text.starts_with("left-running: ")).unwrap_or_else(|| panic!("{story:#}"));
    assert!(told.contains("still running when the session ended: ") && told.contains("sh"), "{told}");
    assert_eq!(story["commands"].as_array().unwrap().len(), 1, "it is no command of its own: {story:#}");
    let output = |words: &[&str]| text(&host.run("root", &[&[SEALCAST], words].concat()));
    let identity = ["-i", "/etc/sealcast/identity"];
    let shown = output(&[&["show"], &identity[..], &["last"]].concat());
    assert!(shown.contains(&format!(" on: {told}\n")), "{shown}");
    let listed = output(&[&["ls"], &identity[..]].concat());
    assert!(!listed.contains("1!"), "{listed}");

    // Nothing is left, nothing is told: also of what ends with the session.
    let done = host.run("root", &[SEALCAST, "run", "--", "sh", "-c", "/bin/true & wait; exit 4"]);
    assert_eq!((done.status.code(), support::notices(&host.last())), (Some(4), vec![]), "{}", host.last());
}
