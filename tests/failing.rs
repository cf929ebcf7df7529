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
    mod refused;
    mod starved;
    mod still;
}

use serde_json::Value;
use support::host::{Host, SEALCAST, STORE, has, text};
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
    let session = "ulimit -c; ulimit -f; ulimit -t; ulimit -s; head -c 1500000 /dev/urandom | base64; ulimit -n; echo END";
    let line = format!(
        "ulimit -S -c $(ulimit -H -c); ulimit -c; ulimit -S -f 300; ulimit -S -t 777; ulimit -S -s 4096; ulimit -S -n 64; exec {SEALCAST} run -- sh -c '{session}'"
    );
    let run = host.run("root", &["sh", "-c", &line]);
    let said = text(&run);
    // That of core dumps, which is none for the recorder, before and in the session; then the others.
    let (core, said) = said.split_once('\n').unwrap_or_default();
    let (inside, said) = said.split_once('\n').unwrap_or_default();
    assert_eq!(core, inside);
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
    assert!(shown.contains(&format!("{lost} bytes of the session are not recorded")), "{lost}: {shown}");
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
