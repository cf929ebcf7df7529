//! Recordings that are deleted or cut while they are written.

use crate::said;
use crate::support::host::{Host, SEALCAST, STORE, text};
use crate::support::until;

#[test]
fn a_recording_that_is_deleted_or_cut_cannot_be_written_and_the_policy_decides() {
    let Some(host) = Host::start() else { return };
    let sh = |script: &str| host.run("root", &["sh", "-c", script]);
    let script = "echo READY; read x; echo END";
    let cases = [("rm \"$F\"", "its file was deleted"), ("truncate -s 100 \"$F\"", "its file was cut")];
    for (how, why) in cases {
        for on_failure in ["stop", "warn"] {
            host.configure(&format!("[record]\nflush = \"100ms\"\non-failure = \"{on_failure}\"\n"));
            let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
            terminal.wait_for("READY");
            // All is written: nothing is due any more.
            until("what was shown", || host.last_output().contains("READY").then_some(()));
            let done = sh(&format!("F=$(echo {STORE}/*.scast); chattr -a \"$F\" 2>/dev/null; {how}"));
            assert!(done.status.success(), "{}", text(&done));
            let failed = format!("cannot go on with the recording: {why}");
            if on_failure == "warn" {
                terminal.wait_for(&format!("THIS SESSION IS NOT BEING RECORDED: {failed}"));
                terminal.send("\r");
                terminal.wait_for("END");
            }
            terminal.wait_for(&format!("recording failed: {failed}"));
            let status = terminal.wait_end();
            assert_eq!(status.success(), on_failure == "warn", "{status} {}", said(&terminal));
            let shown = said(&terminal);
            assert_eq!(shown.contains("the recording is no longer there"), how.starts_with("rm"), "{shown}");
            assert!(on_failure == "warn" || !shown.contains("END"), "{shown}");
            sh(&format!("chattr -a {STORE}/*.scast 2>/dev/null; rm -f {STORE}/*.scast"));
        }
    }
}

/// Nobody looks at the file between that and the close, unless the host stands still for seconds: then the session is told to end, which
/// it does not hear.
#[test]
fn a_recording_that_is_deleted_in_the_last_moment_is_no_success_where_the_policy_is_to_stop() {
    let Some(host) = Host::start() else { return };
    let delete = format!("chattr -a {STORE}/*.scast 2>/dev/null; rm {STORE}/*.scast");
    for (on_failure, last, status) in [("stop", "exit 0", 125), ("stop", "exit 3", 3), ("warn", "exit 0", 0)]
    {
        host.configure(&format!("[record]\nflush = \"10s\"\non-failure = \"{on_failure}\"\n"));
        let script = format!("trap '' HUP; echo secret work; {delete}; {last}");
        let ran = host.run("root", &[SEALCAST, "run", "--", "sh", "-c", &script]);
        let told = text(&ran);
        assert!(told.contains("its file was deleted"), "{told}");
        assert_eq!(ran.status.code(), Some(status), "{on_failure} {last}: {told}");
    }
}
