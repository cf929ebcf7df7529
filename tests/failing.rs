//! What happens when a recording cannot be written, on a host within this host: full, read-only and missing stores, no
//! recipients, no home, and a recorder that is killed.
//!
//! Needs root; says so and passes where there is none.
#![allow(clippy::unwrap_used)]

mod support;

mod failing {
    mod deleted;
    mod disks;
    mod killed;
}

use sealcast::sys::fd::set_nonblocking;
use sealcast::sys::signals;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;
use support::host::{Host, SEALCAST, STORE, has, text};
use support::terminal::Terminal;
use support::{is_of_the_machine, lives, until};

/// 12 MB of text that does not compress to nothing, slowly enough that several flushes happen.
const FLOOD: &str = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do head -c 750000 /dev/urandom | base64; sleep 0.3; done; echo REACHED-THE-END";

/// A host whose store has 4 MiB.
fn small() -> Option<Host> {
    let host = Host::start()?;
    let mounted = host.run(
        "root",
        &["sh", "-c", "mkdir -m 700 /srv/sealcast && mount -t tmpfs -o size=4m,mode=700 none /srv/sealcast"],
    );
    assert!(mounted.status.success(), "{}", text(&mounted));
    Some(host)
}

/// What the terminal showed, without the flood.
fn said(terminal: &support::terminal::Terminal) -> String {
    let all = String::from_utf8_lossy(terminal.transcript()).replace('\r', "");
    all.lines().filter(|line| line.len() < 70 || line.contains(' ')).map(|line| format!("{line}\n")).collect()
}

/// The gaps of the last recording, as they were recorded, but those [of the machine](is_of_the_machine).
fn gaps(host: &Host) -> Vec<Value> {
    let last = host.last_id();
    let exported =
        host.run("root", &[SEALCAST, "export", "-f", "json", "-i", "/etc/sealcast/identity", &last]);
    let lines = text(&exported);
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_the_machine = |event: &Value| event["why"].as_str().is_some_and(is_of_the_machine);
    events.filter(|event| event.to_string().contains("\"gap\"") && !of_the_machine(event)).collect()
}

#[test]
fn limits_of_who_starts_it_hold_for_the_session_and_not_for_the_recording() {
    let Some(host) = Host::start() else { return };
    // Soft ones: to lift the others takes a privilege that root may lack, as in a container.
    let session =
        "ulimit -f; ulimit -t; ulimit -s; head -c 1500000 /dev/urandom | base64; ulimit -n; echo END";
    let line = format!(
        "ulimit -S -f 300; ulimit -S -t 777; ulimit -S -s 4096; ulimit -S -n 64; exec {SEALCAST} run -- sh -c '{session}'"
    );
    let run = host.run("root", &["sh", "-c", &line]);
    let said = text(&run);
    assert!(
        run.status.success() && said.starts_with("300\n777\n4096\n") && said.trim_end().ends_with("64\nEND"),
        "{said}"
    );
    let told = host.last();
    assert_eq!((&told["verdict"], &told["state"]), (&"intact".into(), &"sealed".into()), "{told}");
    assert!(told["output_bytes"].as_u64().unwrap_or(0) > 2_000_000, "{told}");
}

#[test]
fn what_is_handed_on_by_who_starts_it_is_not_handed_on_to_the_recording() {
    let Some(host) = Host::start() else { return };
    // Timers that are years late, a mask that takes all rights, another kernel, and hardly a stack for any thread.
    let line = format!(
        "echo 1000000000000000000 >/proc/self/timerslack_ns; umask 0777; export RUST_MIN_STACK=1; \
         exec setarch --uname-2.6 {SEALCAST} run -- sh -c 'umask; uname -r; cat /proc/self/timerslack_ns; echo LATE; exec cat'"
    );
    // Not through sudo, which may sleep for years itself then.
    let mut terminal = host.terminal("root", &["sh", "-c", &line]);
    terminal.wait_for("LATE");
    // Nothing happens any more, and what was shown is written all the same.
    let written =
        until("what was shown", || Some(host.last_output()).filter(|output| output.contains("LATE")));
    assert!(
        written.contains("0777") && written.contains("\n2.6."),
        "the session is as it was asked for: {written}"
    );
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let told = host.last();
    assert_eq!(told["meta"]["kernel"], format!("Linux {}", kernel.trim()), "{told}");
    let modes = host.run("root", &["stat", "-c", "%a", STORE]);
    assert_eq!(text(&modes), "700\n");
    let modes = host.run("root", &["find", STORE, "-name", "*.scast", "-not", "-perm", "600"]);
    assert_eq!(text(&modes), "");
    terminal.send("\u{4}");
    assert!(terminal.wait_end().success());
}

#[test]
fn turns_that_who_starts_it_gives_up_are_given_up_for_the_session_and_not_for_the_recording() {
    let Some(host) = Host::start() else { return };
    if !["chrt", "taskset", "ionice", "nice"].into_iter().all(has) {
        return;
    }
    let run = |line: &str| text(&host.run("root", &["sh", "-c", line]));
    // A container may forbid to take them back.
    let may = host.run("root", &["chrt", "-i", "0", "chrt", "-o", "0", "true"]).status.success();
    if !may {
        support::skipped("turns that were given up cannot be taken back here");
        return;
    }
    let all = run("taskset -c 0-1023 awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status");
    let one = all.trim().split([',', '-']).next().unwrap();
    let session = "chrt -p $$; taskset -cp $$; ionice -p $$; nice; echo ALL''OFIT; exec cat";
    let line = format!(
        "exec nice -n 19 chrt -i 0 taskset -c {one} ionice -c 3 {SEALCAST} run -- sh -c \"{}\"",
        session.replace('$', "\\$")
    );
    let mut terminal = host.terminal("root", &["sh", "-c", &line]);
    terminal.wait_for("ALLOFIT");
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    let kept = ["SCHED_IDLE", &format!("affinity list: {one}\r"), "\nidle\r", "\n19\r"];
    assert!(kept.into_iter().all(|kept| shown.contains(kept)), "the session is as it was asked for: {shown}");
    let recorder = terminal.pid();
    let threads = std::fs::read_dir(format!("/proc/{recorder}/task")).unwrap();
    // Nice value, class and processors: fields 19 and 41 of proc_pid_stat(5), of which two are before the bracket. `None` of one that is
    // over meanwhile.
    let turns = |place: &str| {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{place}/{file}")).ok();
        let (stat, status) = (of("stat")?, of("status")?);
        let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some([fields[16], fields[38], allowed.trim()].map(str::to_owned))
    };
    let as_usual = ["0", "0", all.trim()].map(str::to_owned);
    let mut seen = 0;
    for thread in threads.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        let Some(told) = turns(&format!("{recorder}/task/{thread}")) else { continue };
        let disks = run(&format!("ionice -p {thread}"));
        assert_eq!(told, as_usual, "{thread}");
        assert!(disks.starts_with("none"), "{thread} {disks}");
        seen += 1;
    }
    // What ends the session when the recorder is killed has them as well, from when the program runs on.
    let stage =
        std::fs::read_to_string(format!("/proc/{recorder}/task/{recorder}/children")).unwrap_or_default();
    for stage in stage.split_whitespace() {
        support::until("the stage to have its turns", || (turns(stage)? == as_usual).then_some(()));
        seen += 1;
    }
    assert!(seen > 1, "{seen} threads and processes");
    terminal.send("\u{4}");
    assert!(terminal.wait_end().success());
}

#[test]
fn where_there_is_no_room_for_the_recorder_no_recording_has_begun() {
    let Some(host) = Host::start() else { return };
    // Of a user of their own, in personal mode: the limit counts all processes of a user.
    let made = host.run("root", &["sh", "-c", "rm /etc/sealcast/config.toml; useradd -m -u 61777 nina"]);
    assert!(made.status.success(), "{}", text(&made));
    let nina = |limit: &str, words: &[&str]| {
        let become_nina = [
            "env",
            "HOME=/home/nina",
            "setpriv",
            "--reuid=61777",
            "--regid=61777",
            "--clear-groups",
            "prlimit",
        ];
        host.run("root", &[&become_nina[..], &[limit, "--", SEALCAST][..], words].concat())
    };
    assert!(nina("--nproc=100", &["run", "--", "true"]).status.success());
    let said: Vec<String> = (1..8)
        .map(|most| text(&nina(&format!("--nproc={most}"), &["run", "--", "echo", "it ran"])))
        .collect();
    assert!(said.iter().any(|said| said.contains("start the recorder thread")), "{said:?}");
    let listed = text(&nina("--nproc=100", &["ls", "--json"]));
    let states: Vec<Value> = listed
        .lines()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["state"].clone()))
        .collect();
    assert!(!states.is_empty() && states.iter().all(|state| state == "sealed"), "{listed} {said:?}");
}

#[test]
fn the_operator_is_told_once_when_space_runs_out_and_goes_on() {
    let Some(host) = Host::start() else { return };
    let config = host.etc("sealcast/config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let words = "space for recordings is running out on this host";
    for (low, told) in [("\"9000000TiB\"", 1), ("\"1KiB\"", 0)] {
        std::fs::write(&config, good.replace("low-space = 0", &format!("low-space = {low}"))).unwrap();
        let script = "echo READY; read one; head -c 300000 /dev/urandom | base64; read two; echo END";
        let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
        // It is told a second after the start, which may be before the first word of the program.
        terminal.wait_for(if told > 0 { words } else { "READY" });
        terminal.send("\r");
        terminal.send("\r");
        terminal.wait_for("END");
        assert!(terminal.wait_end().success());
        let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
        assert_eq!(shown.matches(words).count(), told, "{low}: {}", said(&terminal));
        assert_eq!(host.last()["verdict"], "intact");
        assert!(!host.last_output().contains(words), "what we say is no output of the session");
    }
}

#[test]
fn what_a_killed_recorder_held_in_reserve_is_there_for_the_next_session() {
    let Some(host) = small() else { return };
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", "echo READY; sleep 1000"]);
    terminal.wait_for("READY");
    let kill = |pid: u32| std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(kill(terminal.pid()).unwrap().success());
    terminal.wait_end();
    let torn = host.last_id();
    // The rest of the store, so that the next one finds no room but this.
    let fill = "dd if=/dev/zero of=/srv/sealcast/fill bs=4k 2>/dev/null; truncate -s -160k /srv/sealcast/fill; sync; df /srv/sealcast";
    let filled = host.run("root", &["sh", "-c", fill]);
    let run = host.run("root", &[SEALCAST, "run", "--", "echo", "recorded"]);
    assert!(run.status.success(), "{} {}", text(&filled), String::from_utf8_lossy(&run.stderr));
    assert_ne!(host.last_id(), torn);
    let verified = host.run("root", &[SEALCAST, "verify", &torn]);
    assert!(text(&verified).contains("torn"), "{}", text(&verified));
}

#[test]
fn on_a_full_store_stop_ends_the_session_and_the_recording_is_whole() {
    let Some(host) = small() else { return };
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", FLOOD]);
    let status = terminal.wait_end();
    let shown = said(&terminal);
    assert!(!status.success(), "{status} {shown}");
    assert!(!shown.contains("REACHED-THE-END"), "the session went on");
    assert!(shown.contains("recording failed: the disk is full"), "{shown}");
    let told = host.last();
    assert_eq!(told["verdict"], "intact", "{told}");
    assert_eq!(told["state"], "sealed", "{told}");
    let gaps = gaps(&host);
    // Either everything that came before the end is there, or how much of it is not.
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert!(gap["note"].as_str().unwrap().contains("the disk is full"), "{gap}");
    let counted = gap["why"] == "write-failed" && gap["count"].as_u64().unwrap() > 0;
    assert!(gap["why"] == "stopped" || counted, "{gap}");
}

#[test]
fn on_a_full_store_warn_goes_on_and_the_gap_is_an_event_with_a_count() {
    let Some(host) = small() else { return };
    host.configure("[record]\non-failure = \"warn\"\n");
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", FLOOD]);
    let status = terminal.wait_end();
    let shown = said(&terminal);
    assert!(status.success() && shown.contains("REACHED-THE-END"), "{status} {shown}");
    assert!(shown.contains("THIS SESSION IS NOT BEING RECORDED"), "{shown}");
    let told = host.last();
    assert_eq!(told["verdict"], "intact", "{told}");
    let gaps = gaps(&host);
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert_eq!(gap["why"], "write-failed", "{gap}");
    // Nothing that was shown is unaccounted for: it is recorded, or counted. Events other than output count one each.
    let [recorded, lost] = [host.last_output().len() as u64, gap["count"].as_u64().unwrap()];
    let passed = terminal.transcript().len() as u64;
    assert!(
        recorded < passed && recorded + lost >= passed - 1000 && recorded + lost <= passed + 1000,
        "{recorded} {lost} {passed}"
    );
}

#[test]
fn on_a_store_that_is_emptied_meanwhile_recording_begins_again() {
    let Some(host) = small() else { return };
    host.configure("[record]\non-failure = \"warn\"\nflush = \"200ms\"\n");
    assert!(host.run("root", &["sh", "-c", "head -c 2M /dev/zero >/srv/sealcast/ballast"]).status.success());
    let script = format!("{FLOOD}; read line; head -c 1000 /dev/urandom | base64; echo AGAIN");
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", &script]);
    terminal.wait_for("THIS SESSION IS NOT BEING RECORDED");
    terminal.wait_for("REACHED-THE-END");
    assert!(host.run("root", &["rm", "/srv/sealcast/ballast"]).status.success());
    terminal.wait_for("recording again");
    terminal.line("", "AGAIN");
    assert!(terminal.wait_end().success());
    assert_eq!(host.last()["verdict"], "intact");
    assert!(host.last_output().contains("AGAIN"));
    assert_eq!(gaps(&host).len(), 1);
}

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
    if !support::host::has("mkfs.ext4") || !support::host::has("fsfreeze") {
        return None;
    }
    let disk = "truncate -s 64M /opt/disk && mkfs.ext4 -q /opt/disk && mkdir /srv/sealcast \
        && mount -o loop /opt/disk /srv/sealcast && chmod 700 /srv/sealcast";
    let made = host.run("root", &["sh", "-c", disk]);
    if !made.status.success() {
        support::skipped(&format!("no disk can be had here: {}", text(&made)));
        return None;
    }
    host.configure("[record]\nflush = \"100ms\"\nstream-limit = \"64MiB\"\n");
    Some(host)
}

#[test]
fn what_a_program_wrote_last_is_recorded_though_the_recorder_was_late_and_its_reader_is_gone() {
    let Some(host) = with_a_disk() else { return };
    if !support::host::has("python3") {
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
    until("the end of the program", || support::children(running.id()).is_empty().then_some(()));
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

#[test]
fn a_stream_beyond_its_limit_is_counted_and_its_digest_recorded() {
    let Some(host) = Host::start() else { return };
    host.configure("[record]\nstream-limit = \"1kB\"\n");
    let ran =
        host.run("root", &[SEALCAST, "run", "--", "sh", "-c", "yes ñ | head -c 5000; printf short >&2"]);
    assert_eq!(
        (ran.stdout.len(), ran.stderr.as_slice()),
        (5000, &b"short"[..]),
        "the streams themselves are whole"
    );
    let digest = sealcast::crypto::digest::hex(&sealcast::crypto::digest::sha256(&[&ran.stdout]));
    let gaps = gaps(&host);
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert_eq!(
        (&gap["why"], &gap["of"], &gap["count"]),
        (&"capped".into(), &"stdout".into(), &4000.into()),
        "{gap}"
    );
    assert_eq!(gap["sha256"], digest, "{gap}");
    // The first 1,000 bytes: 333 lines of three.
    assert_eq!(host.last_output().matches("ñ\n").count(), 333);
}

/// Nothing runs, the exit code is 125, and every one of `words` is in the message.
#[track_caller]
fn refused(host: &Host, words: &[&str]) {
    let ran = host.run("root", &[SEALCAST, "run", "--", "touch", "/srv/it-ran"]);
    let told = text(&ran);
    assert_eq!(ran.status.code(), Some(125), "{told}");
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    assert!(told.starts_with("error: ") && told.contains("\nhint: "), "{told}");
    assert!(!host.run("root", &["test", "-e", "/srv/it-ran"]).status.success(), "it ran");
}

#[test]
fn a_store_that_cannot_be_written_lets_nothing_start() {
    let Some(host) = Host::start() else { return };
    let sh = |script: &str| assert!(host.run("root", &["sh", "-c", script]).status.success(), "{script}");
    sh("touch /srv/sealcast");
    refused(&host, &["/srv/sealcast"]);
    sh("rm /srv/sealcast; mkdir -m 700 /srv/sealcast; chown alice /srv/sealcast");
    refused(&host, &["/srv/sealcast", "belongs to user 61001"]);
    sh("chown root /srv/sealcast; chmod 777 /srv/sealcast");
    refused(&host, &["/srv/sealcast", "can be written by everyone"]);
    sh("chmod 700 /srv/sealcast; mount -t tmpfs -o ro,mode=700 none /srv/sealcast");
    refused(&host, &["Read-only file system"]);
    sh("umount /srv/sealcast; mount -t tmpfs -o size=32k,mode=700 none /srv/sealcast");
    refused(&host, &["no room"]);
    // Nor does it say at a terminal what is not so.
    let banner = "this session is recorded for security";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "true"]);
    assert_eq!(terminal.wait_end().code(), Some(125));
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert!(shown.contains("no room") && !shown.contains(banner), "{shown}");
    assert_eq!(host.recordings(), 0, "a recording that could not begin leaves no file");
    sh("umount /srv/sealcast");
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "echo", "THE-PROGRAM"]);
    terminal.wait_for(banner);
    terminal.wait_for("THE-PROGRAM");
    assert!(terminal.wait_end().success());
}

#[test]
fn without_recipients_a_signing_key_or_a_home_nothing_starts() {
    let Some(host) = Host::start() else { return };
    let config = host.etc("sealcast/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let without = text.lines().filter(|line| !line.starts_with("default")).collect::<Vec<_>>().join("\n");
    std::fs::write(&config, without).unwrap();
    refused(&host, &["names no recipients"]);
    std::fs::write(&config, &text).unwrap();
    std::fs::rename(host.etc("sealcast/signing"), host.etc("sealcast/moved")).unwrap();
    refused(&host, &["/etc/sealcast/signing"]);
    std::fs::write(host.etc("sealcast/signing"), "no key").unwrap();
    refused(&host, &["/etc/sealcast/signing"]);
    std::fs::rename(host.etc("sealcast/moved"), host.etc("sealcast/signing")).unwrap();
    assert_eq!(host.recordings(), 0, "a recording that could not begin leaves no file");
    // Personal mode, in an environment without a home.
    std::fs::remove_file(&config).unwrap();
    let ran = host.run("root", &["env", "-u", "HOME", SEALCAST, "run", "--", "id"]);
    let told = support::host::text(&ran);
    assert_eq!(ran.status.code(), Some(125), "{told}");
    assert!(
        told.contains("neither HOME nor XDG_DATA_HOME") && told.contains("hint: ") && !told.contains("uid="),
        "{told}"
    );
}

/// The default profile is in force as the header says it is.
fn guarded(host: &Host, told: &Value, recorder: u32) {
    let of = |name: &str| std::fs::read_to_string(format!("/proc/{recorder}/{name}")).unwrap();
    let cores = of("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    let in_force = &told["meta"]["in_force"];
    assert_eq!(in_force["guard"], "guarded", "{told}");
    let status = of("status");
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
    assert_eq!(in_force["locked-memory"] == "yes", locked != "0 kB", "{in_force} {locked}");
    // What was written cannot be cut without a step more, where the file system has the attribute.
    let cut = host.run("root", &["sh", "-c", "truncate -s 0 /srv/sealcast/*.scast"]);
    assert_eq!(in_force["append-only"] == "yes", !cut.status.success(), "{in_force} {}", text(&cut));
    let probed = host.run(
        "root",
        &["sh", "-c", "cd /srv && : >probe && chattr +a probe && ! truncate -s 0 probe && chattr -a probe"],
    );
    if probed.status.success() {
        assert_eq!(in_force["append-only"], "yes", "this file system has it");
    } else {
        support::skipped(&format!("this file system cannot append only: {}", text(&probed)));
    }
}

#[test]
fn a_recorder_that_is_killed_takes_the_shell_with_it_and_what_was_sealed_stays_good() {
    let Some(host) = Host::start() else { return };
    host.configure("[record]\nflush = \"100ms\"\n");
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "bash", "--norc"]);
    terminal.wait_for("# ");
    terminal.line("echo shell-$$-", "shell-");
    // The echo of the line itself comes first, then what it printed.
    let pid: u32 = loop {
        let before = terminal.wait_for("-");
        if let Ok(pid) = before.parse() {
            break pid;
        }
    };
    until("the first flush", || host.last_output().contains(&format!("shell-{pid}-")).then_some(()));
    let recorder = terminal.pid();
    assert!(
        std::fs::read_to_string(format!("/proc/{recorder}/comm")).unwrap().contains("sealcast"),
        "not the recorder"
    );
    assert!(lives(pid));
    let told = host.last();
    assert_eq!(told["state"], "running");
    guarded(&host, &told, recorder);
    // SIGKILL, as nothing else ends it at once.
    assert!(
        std::process::Command::new("kill").args(["-9", &recorder.to_string()]).status().unwrap().success()
    );
    until("the end of the shell", || (!lives(pid)).then_some(()));
    // It may still be closing what it had open.
    terminal.wait_end_blindly();
    let told = host.last();
    assert_eq!((&told["verdict"], &told["state"]), (&Value::from("torn"), &Value::from("torn")), "{told}");
    assert!(host.last_output().contains(&format!("shell-{pid}-")));
    // The next one works as if nothing had been.
    assert!(host.run("root", &[SEALCAST, "run", "--", "true"]).status.success());
    assert_eq!(host.last()["verdict"], "intact");
}
