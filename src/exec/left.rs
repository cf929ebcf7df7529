//! What a session leaves running, told when its trace is stopped.
//!
//! Refuses to judge: an agent that keeps keys is left running every day, and so is what somebody does not want to be seen doing.

use super::record::Event;
use crate::sys::{proc, signals};
use crate::text::{listed, lossless};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;

/// Most names that are told, the rarest first.
const MOST: usize = 16;
/// Longest name that is told, in characters.
const LONGEST: usize = 64;
/// What a process is called that has ended meanwhile…
const GONE: &str = "one that is gone";
/// …and one of which nothing can be read.
const UNSEEN: &str = "one that cannot be seen";

/// What is said of those that were still running, if any was.
pub(super) fn told(running: &[u32]) -> Option<Event> {
    let count = u64::try_from(running.len()).unwrap_or(u64::MAX);
    (count > 0).then(|| Event::Left { count, names: names(running.iter().map(|pid| name(*pid))) })
}

/// The program that a process runs: the file, which it cannot choose like its name, and else that.
fn name(pid: u32) -> String {
    let file = proc::link(&format!("{pid}/exe")).ok();
    let file = file.and_then(|path| Some(lossless(path.file_name()?.as_bytes())));
    let chosen = || proc::read(&format!("{pid}/comm")).ok().map(|name| lossless(name.trim_ascii_end()));
    file.or_else(chosen).map(|name| told_name(&name)).unwrap_or_else(|| without_name(pid).to_owned())
}

/// What a process is called that has no name for us.
fn without_name(pid: u32) -> &'static str {
    if signals::exists(pid) { UNSEEN } else { GONE }
}

/// A name as it is told, which cannot be taken for several, or for one of ours.
fn told_name(name: &str) -> String {
    listed(&name.chars().take(LONGEST).collect::<String>()).into_owned()
}

fn names(all: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, u64>::new();
    for name in all {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| *count);
    let more = counts.len().saturating_sub(MOST);
    let each =
        |(name, count): &(String, u64)| if *count == 1 { name.clone() } else { format!("{name} ({count})") };
    let mut told: Vec<_> = counts.iter().take(MOST).map(each).collect();
    if more > 0 {
        told.push(format!("and {more} more programs"));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_running_is_named_the_rarest_first_and_not_without_end() {
        assert_eq!(told(&[]), None);
        let of = |all: &[&str]| names(all.iter().map(|name| told_name(name)));
        assert_eq!(of(&["sleep", "id", "sleep"]), "id, sleep (2)");
        assert_eq!(of(&["a, b (7)", "c (deleted)", ""]), r#""", "a, b (7)", "c (deleted)""#);
        assert_eq!(of(&["x\ny"]), r#""x\ny""#);
        let many = (0..40).map(|n| told_name(&format!("{n:02}{}", "x".repeat(500))));
        let told = names(many);
        assert!(told.ends_with(", and 24 more programs") && told.len() < 16 * 70, "{told}");
        // Linux gives no such number; ours is that of a process, named or not.
        assert_eq!((&*name(i32::MAX.unsigned_abs()), without_name(std::process::id())), (GONE, UNSEEN));
        let own = name(std::process::id());
        assert!(!own.is_empty() && std::env::current_exe().unwrap().ends_with(&own), "{own}");
    }
}
