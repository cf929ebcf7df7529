//! Disks that take what is written and have no room for it.

use crate::support::host::{Host, SEALCAST, STORE, has, text};
use crate::support::sandbox::Sandbox;
use crate::support::{is_root, skipped, there, until};
use crate::{gaps, said, small};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

/// The system says once that it could not keep what it took, has dropped it, and says nothing more: what is asked again finds
/// nothing to do.
#[test]
fn what_a_thin_disk_took_and_could_not_keep_is_written_again_once_it_has_grown() {
    let Some(host) = Host::start() else { return };
    if !has("mkfs.ext4") {
        return;
    }
    let sh = |script: &str| host.run("root", &["sh", "-c", script]);
    // What it says it has is more than what there is below it. Written page by page: of a longer piece that it has half a place for, a
    // loop device says that it was written.
    let made = sh(
        "mkdir /opt/thin /srv/sealcast && mount -t tmpfs -o size=7m none /opt/thin && truncate -s 64M /opt/thin/disk \
        && mkfs.ext4 -q -O ^has_journal /opt/thin/disk && disk=$(losetup -f --show /opt/thin/disk) \
        && { echo 4 >/sys/block/${disk##*/}/queue/max_sectors_kb && mount $disk /srv/sealcast; it=$?; losetup -d $disk; [ $it = 0 ]; } \
        && chmod 700 /srv/sealcast",
    );
    if !made.status.success() {
        skipped(&format!("no disk can be had here: {}", text(&made)));
        return;
    }
    host.configure("[record]\non-failure = \"warn\"\n");
    let script = "while [ ! -e /opt/enough ]; do head -c 300000 /dev/urandom | base64 -w 1000; done; echo FILL''ED; read x; echo LAST";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
    terminal.wait_for("THIS SESSION IS NOT BEING RECORDED");
    assert!(sh("touch /opt/enough && mount -o remount,size=60m /opt/thin").status.success());
    terminal.wait_for("FILLED");
    // It may have been told before that.
    until("it to be recorded again", || {
        terminal.read_for(Duration::from_millis(10));
        String::from_utf8_lossy(terminal.transcript()).contains("recording again").then_some(())
    });
    terminal.line("", "LAST");
    assert!(terminal.wait_end().success(), "{}", said(&terminal));
    // As it is on the disk, and not in memory alone.
    let again = sh(&format!("umount {STORE} && mount -o loop /opt/thin/disk {STORE}"));
    assert!(again.status.success(), "{}", text(&again));
    let told = host.last();
    assert_eq!((&told["verdict"], &told["state"]), (&"intact".into(), &"sealed".into()), "{told}");
    assert!(host.last_output().contains("LAST"));
    let gaps = gaps(&host);
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["why"] == "write-failed"), "{gaps:?}");
}

#[test]
fn a_store_that_nearly_ran_full_has_all_of_the_session_and_nobody_says_that_it_failed() {
    let Some(host) = small() else { return };
    // Room for what is held, and half a megabyte.
    let filled = host.run("root", &["sh", "-c", "head -c 2300K /dev/zero >/srv/sealcast/ballast"]);
    assert!(filled.status.success(), "{}", text(&filled));
    host.configure("[record]\non-failure = \"warn\"\nflush = \"100ms\"\n");
    let script = "while read x && [ \"$x\" = more ]; do head -c 30000 /dev/urandom | base64 -w 1000; echo PI''ECE; done; echo LA''ST";
    let mut terminal = host.terminal("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
    let length = || {
        let counted = host.run("root", &["sh", "-c", "cat /srv/sealcast/*.scast | wc -c"]);
        // None, before there is a recording.
        text(&counted).trim().parse::<u64>().unwrap_or_default()
    };
    let warning = "space for the recording is running out";
    until("the warning", || {
        // What was shown is written, and so looked after, before there is more: it can be told long before nothing goes any more.
        let before = length();
        terminal.line("more", "PIECE");
        until("a piece to be written", || (length() > before + 20_000).then_some(()));
        String::from_utf8_lossy(terminal.transcript()).contains(warning).then_some(())
    });
    terminal.line("end", "LAST");
    assert!(terminal.wait_end().success());
    let shown = said(&terminal);
    assert!(
        shown.contains("all that the session showed is recorded") && !shown.contains("failed"),
        "{shown}"
    );
    assert_eq!((&host.last()["verdict"], gaps(&host)), (&"intact".into(), Vec::new()));
    assert!(host.last_output().contains("LAST"));
}

#[test]
fn programs_for_whose_index_a_store_has_no_room_are_counted_and_the_recording_is_whole() {
    let Some(host) = small() else { return };
    let filled = host.run("root", &["sh", "-c", "head -c 3296K /dev/zero >/srv/sealcast/ballast"]);
    assert!(filled.status.success(), "{}", text(&filled));
    // Nine hundred kilobytes that do not compress, of arguments alone; then output, until it is full.
    let script = "i=0; while [ $i -lt 300 ]; do /bin/true $(head -c 3000 /dev/urandom | base64 -w 0); i=$((i+1)); done; \
        head -c 1000000 /dev/urandom | base64";
    for on_failure in ["stop", "warn"] {
        host.configure(&format!("[record]\non-failure = \"{on_failure}\"\n"));
        host.run("root", &[SEALCAST, "run", "--", "sh", "-c", script]);
        let told = host.last();
        assert_eq!((&told["verdict"], &told["state"]), (&"intact".into(), &"sealed".into()), "{told}");
        assert!(!gaps(&host).is_empty(), "{told}");
        assert!(
            host.run(
                "root",
                &["sh", "-c", "chattr -a /srv/sealcast/*.scast 2>/dev/null; rm /srv/sealcast/*.scast"]
            )
            .status
            .success()
        );
    }
}

#[test]
fn a_limit_on_the_length_of_files_that_cannot_be_lifted_is_told_and_kills_no_recorder() {
    if !is_root() || !there(&["prlimit", "setpriv"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["sh", "-c", "head -c 600000 /dev/urandom; exec sleep 1000"]);
    let mut command = sandbox.command("prlimit");
    command.args(["--fsize=200000", "setpriv", "--bounding-set=-sys_resource"]);
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    let errors = std::fs::File::create(sandbox.path("errors")).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
    let status = until("the end", || child.try_wait().unwrap());
    let told = std::fs::read_to_string(sandbox.path("errors")).unwrap();
    // There is no room for the end of the recording: the session has ended for it.
    assert!(status.signal() == Some(1) && told.contains("File too large"), "{status}: {told}");
}
