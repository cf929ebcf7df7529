//! What watches a session cannot be started, because there is nothing left of what it takes: no memory, no threads. Who chooses that
//! there is nothing left, by a control group of his own, must not choose that nobody watches.

use super::refused::without;
use crate::support::host::{Host, SEALCAST, text};
use crate::support::{skipped, until};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// `bpf`, making a map.
const BPF: &str = if cfg!(target_arch = "x86_64") { "321" } else { "280" };
/// The call by which threads are made.
const CLONE3: &str = "435";
/// The kernel's errors.
const EPERM: u8 = 1;
const EAGAIN: u8 = 11;
const ENOMEM: u8 = 12;

/// A control group that bounds how many processes and threads are in it.
struct Group(PathBuf);

impl Group {
    fn make() -> Option<Self> {
        for root in ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"] {
            let dir = Path::new(root).join(format!("sealcast-test-{}", std::process::id()));
            if fs::create_dir(&dir).is_err() {
                continue;
            }
            let group = Self(dir);
            if group.0.join("pids.max").exists() {
                return Some(group);
            }
        }
        skipped("no control group that counts processes can be made here");
        None
    }

    fn bound(&self, most: &str) {
        fs::write(self.0.join("pids.max"), most).unwrap();
    }

    /// How often it has refused one.
    fn refusals(&self) -> u64 {
        let told = fs::read_to_string(self.0.join("pids.events")).unwrap();
        told.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// The notices of the last recording, and whether a list of recordings has an exclamation mark there.
fn notices(host: &Host) -> (Vec<Value>, Value) {
    let told = host.last();
    let listed = host.run("root", &[SEALCAST, "ls", "--json", "-i", "/etc/sealcast/identity"]);
    let rows = text(&listed);
    let mut rows = rows.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let row = rows.find(|row| row["id"] == told["id"]).unwrap();
    (told["notices"].as_array().unwrap().clone(), row["alarm"].clone())
}

fn is_unwatched(notice: &Value) -> bool {
    notice["text"].as_str().is_some_and(|text| text.starts_with("unwatched: "))
}

#[test]
fn where_there_is_nothing_left_for_what_watches_nothing_is_run_or_it_is_an_alarm() {
    let Some(host) = Host::start() else { return };
    let words = [SEALCAST, "run", "--", "sh", "-c", "echo IT-''RAN"];
    assert!(host.run("root", &words).status.success());
    let usual = host.last()["meta"]["in_force"]["exec-trace"].clone();
    if usual != "ebpf" {
        return skipped("there is no eBPF here");
    }
    let call = |error: u8| format!("{BPF},{error},0,0");
    let (full, refused, thread) = (call(ENOMEM), call(EPERM), format!("{CLONE3},{EAGAIN}"));
    let Some(full) = without(&host, &full, &words) else { return };
    for words in [&full, &without(&host, &thread, &words).unwrap()] {
        let before = host.recordings();
        let ran = host.run("root", words);
        let told = text(&ran);
        assert!(ran.status.code() == Some(125) && !told.contains("IT-RAN"), "{told}");
        assert!(told.contains("what watches executed programs cannot be started"), "{told}");
        assert_eq!(host.recordings(), before, "{told}");
    }
    // What is not to be had here at all is no alarm.
    let ran = host.run("root", &without(&host, &refused, &words).unwrap());
    assert!(ran.status.success() && text(&ran).contains("IT-RAN"), "{}", text(&ran));
    assert_ne!(host.last()["meta"]["in_force"]["exec-trace"], usual);
    let (told, alarm) = notices(&host);
    assert!(!told.iter().any(is_unwatched) && alarm == false, "{told:?} {alarm}");

    host.configure("[record]\non-failure = \"warn\"\n");
    let ran = host.run("root", &full);
    let told = text(&ran);
    assert!(ran.status.success() && told.contains("IT-RAN") && told.contains("warning: "), "{told}");
    let (told, alarm) = notices(&host);
    assert!(told.iter().filter(|notice| is_unwatched(notice)).count() == 1 && alarm == true, "{told:?}");
    let words =
        [SEALCAST, "verify", "last", "-i", "/etc/sealcast/identity", "-k", "/etc/sealcast/signing.pub"];
    let verdict = host.run("root", &words);
    let told = text(&verdict);
    assert!(
        verdict.status.success() && told.contains("but not everything that watches executed programs"),
        "{told}"
    );
    // As a field, too: null where it is not so, and where nobody can know.
    let unwatched = |words: &[&str]| {
        let verdict = host.run("root", words);
        let line: Value = serde_json::from_slice(&verdict.stdout).unwrap_or_default();
        (line["verdict"].clone(), line["unwatched"].as_str().map(str::to_owned))
    };
    let json = [&words[..], &["--json"]].concat();
    let (verdict, why) = unwatched(&json);
    assert!(verdict == "intact" && why.is_some_and(|why| told.contains(&why)), "{told}");
    let closed: Vec<&str> =
        json.iter().copied().filter(|word| !word.contains("identity") && *word != "-i").collect();
    assert_eq!(unwatched(&closed), ("intact".into(), None));
    assert!(host.run("root", &[SEALCAST, "run", "--", "true"]).status.success());
    assert_eq!(unwatched(&json), ("intact".into(), None));
}

#[test]
fn a_group_that_is_full_for_a_moment_takes_no_witness_away() {
    let Some(host) = Host::start() else { return };
    let Some(group) = Group::make() else { return };
    let procs = group.0.join("cgroup.procs");
    let script = format!("echo $$ >{}; exec {SEALCAST} run -- sh -c \"echo IT-''RAN\"", procs.display());
    let force = |host: &Host| {
        let force = &host.last()["meta"]["in_force"];
        (force["exec-trace"].clone(), force["index"].clone())
    };
    assert!(host.run("root", &["sh", "-c", &script]).status.success());
    let usual = force(&host);
    let mut begun = 0;
    for most in ["2", "3", "4", "5", "6"] {
        group.bound(most);
        let before = group.refusals();
        let mut command = host.command("root", &["sh", "-c", &script]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = command.spawn().unwrap();
        until("a refusal or the end", || {
            (run.try_wait().unwrap().is_some() || group.refusals() > before).then_some(())
        });
        group.bound("max");
        let ran = run.wait_with_output().unwrap();
        let told = text(&ran);
        assert_eq!(ran.status.success(), told.contains("IT-RAN"), "{most}: {told}");
        if ran.status.success() {
            begun += 1;
            assert_eq!(force(&host), usual, "{most}: {told}");
        }
    }
    assert!(begun > 0, "no session began");
}
