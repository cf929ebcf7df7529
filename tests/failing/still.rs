//! Disks that stand still for a while: what a session does meanwhile, and what is recorded of it.

use crate::support::host::{Host, SEALCAST, STORE, has, text};
use crate::support::terminal::Terminal;
use crate::support::{children, lives, skipped, until};
use crate::{gaps, said};
use sealcast::sys::fd::set_nonblocking;
use sealcast::sys::signals;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A store on a disk of its own, which stands still until this is dropped, and no longer than somebody waits for it: a process
/// of its own lets it go when its standard input ends, which it does with us, however we end.
struct Frozen(Child);

impl Frozen {
    fn store(host: &Host) -> Self {
        let line = format!(
            "fsfreeze --freeze {STORE} && echo frozen && {{ read -r -t 600; fsfreeze --unfreeze {STORE}; }}"
        );
        let mut command = host.command("root", &["setsid", "bash", "-c", &line]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        // It goes on after that line, and its standard output has no end.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "frozen\n");
        Self(child)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A host whose store is on a disk of its own; `None`, said so, where that cannot be had.
fn with_a_disk() -> Option<Host> {
    let host = Host::start()?;
    if !has("mkfs.ext4") || !has("fsfreeze") {
        return None;
    }
    let disk = "truncate -s 64M /opt/disk && mkfs.ext4 -q /opt/disk && mkdir /srv/sealcast \
        && mount -o loop /opt/disk /srv/sealcast && chmod 700 /srv/sealcast";
    let made = host.run("root", &["sh", "-c", disk]);
    if !made.status.success() {
        skipped(&format!("no disk can be had here: {}", text(&made)));
        return None;
    }
    host.configure("[record]\nflush = \"100ms\"\nstream-limit = \"64MiB\"\n");
    Some(host)
}

#[test]
fn what_a_program_wrote_last_is_recorded_though_the_recorder_was_late_and_its_reader_is_gone() {
    let Some(host) = with_a_disk() else { return };
    if !has("python3") {
        return;
    }
    // Writes until nothing goes any more for two seconds, and says how much that was.
    let program = r#"
import os, time
os.write(1, b'begun\n')
while not os.path.exists('/opt/go'): time.sleep(0.05)
os.set_blocking(1, False)
count, last, line = 6, time.monotonic(), b'a line of the program that ends\n' * 32
while time.monotonic() < last + 2:
    try: count += os.write(1, line); last = time.monotonic()
    except BlockingIOError: time.sleep(0.02)
open('/opt/count', 'w').write(str(count))
"#;
    std::fs::write(host.etc("program.py"), program).unwrap();
    let words = ["setsid", "--wait", SEALCAST, "run", "--", "python3", "/etc/program.py"];
    let mut command = host.command("root", &words);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = running.stdout.take().unwrap();
    let mut begun = [0; 6];
    reader.read_exact(&mut begun).unwrap();
    // A pipe of this test alone, whose reader takes all there is and does not wait for more.
    set_nonblocking(&reader, true).unwrap();
    let frozen = Frozen::store(&host);
    assert!(host.run("root", &["touch", "/opt/go"]).status.success());
    let written = || String::from_utf8(host.run("root", &["cat", "/opt/count"]).stdout).unwrap();
    let mut bytes = vec![0; 64 << 10];
    until("the end of the program", || {
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
        (!written().is_empty()).then_some(())
    });
    drop(reader);
    // However soon that is seen: it waits for the recorder, and then reads the rest.
    drop(frozen);
    assert!(until("the end", || running.try_wait().unwrap()).code().is_some());
    let output = host.last_output();
    // What the export says of it comes after it.
    let recorded = output.split("note: ").next().unwrap().len();
    assert_eq!(recorded.to_string(), written());
    assert_eq!(host.last()["verdict"], "intact");
    assert_eq!(gaps(&host), [Value::Null; 0]);
}

/// Waits until a program that writes to a file, which is larger than `begun` then, gets no further; false when it got to its end.
fn stands_still(host: &Host, file: &str, begun: usize, end: &str) -> bool {
    let reached = || host.run("root", &["test", "-e", end]).status.success();
    let (mut before, mut same) = (0, 0);
    until("the program to stand still, or to end", || {
        // Nothing where there is none yet.
        let now = text(&host.run("root", &["stat", "-c", "%s", file])).trim().parse().unwrap_or(0);
        same = if now == before && now > begun { same + 1 } else { 0 };
        before = now;
        (same == 20 || reached()).then_some(())
    });
    !reached()
}

#[test]
fn on_a_disk_that_stands_still_the_program_waits_and_nothing_is_dropped() {
    let Some(host) = with_a_disk() else { return };
    let line = format!(
        "exec {SEALCAST} run -- sh -c 'echo begun; until [ -e /opt/go ]; do sleep 0.05; done; seq 1 400000; \
        echo >/opt/reached' >/opt/out"
    );
    let mut command = host.command("root", &["setsid", "--wait", "sh", "-c", &line]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = command.spawn().unwrap();
    let size = || host.run("root", &["stat", "-c", "%s", "/opt/out"]).stdout;
    until("the beginning", || (size() == b"6\n").then_some(()));
    let frozen = Frozen::store(&host);
    assert!(host.run("root", &["touch", "/opt/go"]).status.success());
    // It gets as far as the queue has room, and no further.
    assert!(
        stands_still(&host, "/opt/out", 6, "/opt/reached"),
        "it ended although nothing could be recorded"
    );
    drop(frozen);
    assert!(until("the end", || running.try_wait().unwrap()).success());
    let out = String::from_utf8(host.run("root", &["cat", "/opt/out"]).stdout).unwrap();
    assert!(out.ends_with("\n399999\n400000\n"), "{} bytes", out.len());
    assert!(host.last_output().starts_with(&out), "something is missing");
    assert_eq!(host.last()["verdict"], "intact");
    assert_eq!(gaps(&host), [Value::Null; 0]);
}

/// What it is fed can be what it runs: `sh` reads its commands there.
#[test]
fn on_a_disk_that_stands_still_a_program_is_given_no_more_to_read_than_can_be_recorded() {
    let Some(host) = with_a_disk() else { return };
    let line = format!(
        "seq 1 4000000 | exec {SEALCAST} run -- sh -c 'echo begun; until [ -e /opt/go ]; do sleep 0.05; done; \
        cat >/opt/read; echo >/opt/reached'"
    );
    let mut command = host.command("root", &["setsid", "--wait", "sh", "-c", &line]);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut begun = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    let frozen = Frozen::store(&host);
    assert!(host.run("root", &["touch", "/opt/go"]).status.success());
    assert!(
        stands_still(&host, "/opt/read", 0, "/opt/reached"),
        "it was fed to its end although nothing could be recorded"
    );
    drop(frozen);
    assert!(until("the end", || running.try_wait().unwrap()).success());
    assert_eq!(host.run("root", &["stat", "-c", "%s", "/opt/read"]).stdout, b"30888896\n");
    assert_eq!(host.last()["verdict"], "intact");
    assert_eq!(gaps(&host), [Value::Null; 0]);
}

#[test]
fn on_a_disk_that_stands_still_an_interrupt_passes() {
    let Some(host) = with_a_disk() else { return };
    // However long: where the session would wait, too, it does so a few seconds later.
    host.configure("[record]\nflush = \"100ms\"\non-failure = \"warn\"\n");
    let script =
        "trap 'echo >/opt/caught; exit 4' INT; echo BEGIN; read x; while :; do echo a line of a flood; done";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "bash", "-c", script]);
    terminal.wait_for("BEGIN\r");
    let frozen = Frozen::store(&host);
    terminal.send("\r");
    until("the flood to stand still", || (!terminal.read_for(Duration::from_secs(1))).then_some(()));
    terminal.send_blindly("\x03");
    until("the interrupt", || {
        host.run("root", &["test", "-e", "/opt/caught"]).status.success().then_some(())
    });
    drop(frozen);
    assert_eq!(terminal.wait_end().code(), Some(4));
    assert_eq!(host.last()["verdict"], "intact");
}

#[test]
fn on_a_disk_that_stands_still_a_session_that_is_over_says_what_it_waits_for() {
    let Some(host) = with_a_disk() else { return };
    let waits =
        "sealcast: the session is over: its recording cannot be closed at the moment, and is waited for";
    let program = ["sh", "-c", "echo BEGUN; read x"];
    let words = [&[SEALCAST, "run", "--"][..], &program].concat();
    let mut terminal = host.terminal("root", &words);
    terminal.wait_for("BEGUN");
    let frozen = Frozen::store(&host);
    terminal.send_unseen("\r");
    terminal.wait_for(waits);
    drop(frozen);
    assert!(terminal.wait_end().success());
    assert_eq!(host.last()["verdict"], "intact");
    // Where there is no terminal it is for whoever reads the errors.
    let mut command = host.command("root", &[&["setsid"][..], &words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let frozen = Frozen::store(&host);
    running.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (mut errors, mut said) = (running.stderr.take().unwrap(), Vec::new());
    set_nonblocking(&errors, true).unwrap();
    until("the operator to be told", || {
        let _ = errors.read_to_end(&mut said);
        String::from_utf8_lossy(&said).ends_with(&format!("{waits}\n")).then_some(())
    });
    drop(frozen);
    assert!(until("the end", || running.try_wait().unwrap()).success());
    assert_eq!(host.last()["verdict"], "intact");
}

#[test]
fn a_request_to_end_that_comes_while_the_recording_is_closed_changes_no_exit_code() {
    let Some(host) = with_a_disk() else { return };
    let words = ["setsid", SEALCAST, "run", "--", "sh", "-c", "echo begun; read x; exit 3"];
    let mut command = host.command("root", &words);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut begun = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    let frozen = Frozen::store(&host);
    drop(running.stdin.take());
    // All is copied once the process between us and the program is gone. What is left waits for the disk.
    until("the end of the program", || children(running.id()).is_empty().then_some(()));
    for signal in [signals::SIGTERM, signals::SIGINT, signals::SIGHUP] {
        signals::send(running.id(), signal).unwrap();
    }
    drop(frozen);
    assert_eq!(until("the end", || running.try_wait().unwrap()).code(), Some(3));
    assert_eq!(host.last()["verdict"], "intact");
}

/// Types until the session says that it waits. What is typed passes, as a rule, and a recorder that has written everything takes it
/// before it stands still itself: what nobody takes any more is what counts.
fn wait_for_the_wait(terminal: &mut Terminal, line: &str, waits: &str) {
    let said = |terminal: &Terminal| String::from_utf8_lossy(terminal.transcript()).matches(waits).count();
    let before = said(terminal);
    until("the session to wait", || {
        terminal.send_unseen(line);
        terminal.read_through(Duration::from_secs(1));
        (said(terminal) > before).then_some(())
    });
    terminal.wait_for(waits);
}

#[test]
fn on_a_disk_that_stands_still_keys_wait_too_the_operator_is_told_and_who_is_to_end_ends() {
    let Some(host) = with_a_disk() else { return };
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", "echo pid-$$-; exec cat"]);
    terminal.wait_for("pid-");
    let program: u32 = terminal.wait_for("-").parse().unwrap();
    terminal.line("one", "one\r\none\r\n");
    let waits = "sealcast: the recording cannot be written at the moment: the session waits for it\r\n";
    let frozen = Frozen::store(&host);
    wait_for_the_wait(&mut terminal, "two\r", waits);
    terminal.send_unseen("three\r");
    terminal.stays_silent(Duration::from_secs(1));
    drop(frozen);
    terminal.wait_for("sealcast: the recording is written again: the session goes on\r\n");
    // Its echo, and what the program makes of it.
    terminal.wait_for("three\r\n");
    terminal.wait_for("three\r\n");
    let frozen = Frozen::store(&host);
    wait_for_the_wait(&mut terminal, "four\r", waits);
    signals::send(terminal.pid(), signals::SIGTERM).unwrap();
    until("the end of the program", || (!lives(program)).then_some(()));
    drop(frozen);
    terminal.wait_end();
    let output = host.last_output();
    assert!(["one", "two", "three"].iter().all(|line| output.contains(line)), "{output}");
    assert!(!output.contains(waits.trim_end()), "that is nothing of the session's: {output}");
    assert_eq!(host.last()["verdict"], "intact");
    assert_eq!(gaps(&host), [Value::Null; 0]);
}

#[test]
fn on_a_disk_that_stands_still_a_session_that_is_to_go_on_does_and_the_operator_is_told() {
    let Some(host) = with_a_disk() else { return };
    host.configure("[record]\nflush = \"100ms\"\non-failure = \"warn\"\n");
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", "echo BEGUN; exec cat"]);
    terminal.wait_for("BEGUN");
    let told = "sealcast: the recording cannot be written at the moment: the session goes on until too much waits for it\r\n";
    let frozen = Frozen::store(&host);
    wait_for_the_wait(&mut terminal, "one\r", told);
    terminal.line("two", "two\r\ntwo\r\n");
    drop(frozen);
    terminal.wait_for("sealcast: the recording is written again: the session goes on\r\n");
    terminal.send("\x04");
    assert!(terminal.wait_end().success());
    assert_eq!(
        String::from_utf8_lossy(terminal.transcript()).matches(told).count(),
        1,
        "{}",
        said(&terminal)
    );
    assert_eq!(host.last()["verdict"], "intact");
    assert_eq!(gaps(&host), [Value::Null; 0]);
}
