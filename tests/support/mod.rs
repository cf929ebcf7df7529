//! What the integration tests stand on: a terminal of our own to run programs in, and a place where nothing of the
//! host's user leaks in. Waits always have a deadline, and a failure shows the whole transcript.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod dice;
pub mod host;
pub mod sandbox;
pub mod signals;
mod skipped;
pub mod sshd;
pub mod terminal;
pub mod tried;

pub use skipped::skipped;
use std::time::{Duration, Instant};

/// How long anything may take. Long enough for a loaded machine; a test that passes does not wait for it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Gaps that tell what the machine did to the recorder, and nothing of what a test is about: any machine may stand still for
/// some seconds, or have its clock set.
const OF_THE_MACHINE: [&str; 3] = ["paused", "slept", "clock"];

/// Whether a gap, or a notice of one (`paused: …`), is of what the machine did, and not of what a test is about.
pub fn is_of_the_machine(why: &str) -> bool {
    OF_THE_MACHINE.contains(&why.split(':').next().unwrap_or_default())
}

/// The notices of a recording, as `sealcast show --json` tells them, but those [of the machine](is_of_the_machine).
pub fn notices(story: &serde_json::Value) -> Vec<String> {
    let all = story["notices"].as_array().into_iter().flatten();
    let texts = all.map(|notice| notice["text"].as_str().unwrap().to_owned());
    texts.filter(|text| !is_of_the_machine(text)).collect()
}

/// Whether all of these programs are there; a test of one that is not says so and passes.
pub fn there(programs: &[&str]) -> bool {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(std::path::Path::new);
    let missing = programs.iter().find(|program| !places.iter().any(|dir| dir.join(program).exists()));
    if let Some(program) = missing {
        skipped(&format!("{program} is not installed"));
    }
    missing.is_none()
}

/// Whether root runs the tests; a test that only root can make says so and passes.
pub fn is_root() -> bool {
    let root = sealcast::sys::ids::effective_uid() == 0;
    if !root {
        skipped("only root can");
    }
    root
}

/// Waits until `condition` gives something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} for {what}");
        pause(Duration::from_millis(5));
    }
}

/// Lets other processes run. Never a way to wait for something: see [`until`].
pub fn pause(time: Duration) {
    let mut nothing = sealcast::sys::poll::Set::default();
    nothing.wait(Some(time)).unwrap();
}

/// The state letter of a process (`S`, `T`, `Z`…), if it exists.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Whether a process exists and is not a zombie. One of which a thread is still there is none: its parent has not been told.
pub fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let threads = fields.get(17).and_then(|n| n.parse().ok()).unwrap_or(0);
    match fields.first() {
        Some(&"Z") => threads > 1,
        Some(&"X") | None => false,
        Some(_) => true,
    }
}

/// The direct children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// All processes below one, in the order of a walk.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for child in children(pid) {
        found.push(child);
        found.extend(descendants(child));
    }
    found
}

/// Time of processors that the first thread of a process has used, itself and in the kernel; none when it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).ok()?;
    let ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
    // A hundred to the second, everywhere.
    Some(Duration::from_millis(ticks.map(|n| n.parse::<u64>().unwrap() * 10).sum()))
}

/// Peak resident memory of a process, in KiB.
pub fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
