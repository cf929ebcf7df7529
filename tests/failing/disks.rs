//! Disks that take what is written and have no room for it.

use crate::support::host::{Host, SEALCAST, STORE, has, text};
use crate::support::skipped;
use crate::{gaps, said};

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
    terminal.wait_for("recording again");
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
