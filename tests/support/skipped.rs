//! What is said of a test that cannot be made here, or was made once more.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

/// Says that a test does not test, and why.
pub fn skipped(why: &str) {
    say(&format!("skipped: {why}"));
}

/// Says something that is to be seen of a test that passes: not by way of what the test harness keeps to itself.
pub fn say(text: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes()).unwrap();
}
