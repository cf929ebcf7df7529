//! What the system does not let us have: files that whoever runs this may not read, a name that is taken, descriptors.

use crate::home::{Home, Ran, Recording, ran};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command as Process;

fn forbid(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
}

/// Runs the program as the owner of `home`, who is not root: root may read everything.
fn by_owner(home: &Home, args: &[&str]) -> Option<Ran> {
    const NOBODY: u32 = 65_534;
    let mut command = home.command(args);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut chown = Process::new("chown");
        assert!(
            chown.arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(home.path("")).status().unwrap().success()
        );
        command.uid(NOBODY).gid(NOBODY);
        let mut there = Process::new("test");
        there.arg("-x").arg(command.get_program()).uid(NOBODY).gid(NOBODY);
        if !there.status().is_ok_and(|status| status.success()) {
            crate::skipped("the program lies where nobody but root gets to");
            return None;
        }
    }
    Some(ran(&mut command, args))
}

#[test]
fn a_recording_that_may_not_be_read_is_named_and_the_others_are_told_of() {
    let home = Home::new();
    let (kept, _) = home.record(&Recording::default());
    let (path, _) = home.record(&Recording { start: 1_795_000_000_000, ..Recording::default() });
    forbid(&path);
    let name = path.to_str().unwrap();
    for (args, others) in
        [(&["ls"][..], 1), (&["search", "after"], 1), (&["verify"], 1), (&["verify", "--json"], 1)]
    {
        let Some(ran) = by_owner(&home, args) else { return };
        let ran = ran.exits(2);
        assert!(ran.err.contains(name) && ran.err.contains("Permission denied"), "{ran}");
        assert!(!ran.err.contains(kept.to_str().unwrap()), "{ran}");
        let told =
            ran.text().lines().filter(|line| line.contains("alice") || line.contains("intact")).count();
        assert_eq!(told, others, "{ran}");
    }
    for command in [&["show", name][..], &["export", name], &["play", "--plain", name], &["verify", name]] {
        let Some(ran) = by_owner(&home, command) else { return };
        let ran = ran.exits(2).complains("Permission denied");
        assert!(ran.err.contains(name) && ran.err.contains("`ls -ld`") && ran.out.is_empty(), "{ran}");
    }
}

#[test]
fn whoever_shut_their_own_identity_is_not_sent_to_its_owner() {
    let home = Home::new();
    home.record(&Recording::default());
    let path = home.personal().identity();
    forbid(&path);
    let Some(ran) = by_owner(&home, &["ls"]) else { return };
    let ran = ran.exits(0);
    assert!(ran.err.contains("Permission denied"), "{ran}");
    assert!(ran.err.contains(&format!("hint: `chmod 600 {}`", path.display())), "{ran}");
    assert!(!ran.err.contains("owner"), "{ran}");
    let Some(ran) = by_owner(&home, &["export", "last"]) else { return };
    assert!(ran.exits(2).complains("Permission denied").err.contains("`chmod 600 "));
}

#[test]
fn keys_that_cannot_be_looked_for_do_not_pass_for_none() {
    let home = Home::new();
    home.record(&Recording::default());
    let keys = home.personal().keys();
    forbid(&keys);
    let (identity, public) = (home.personal().identity(), home.personal().signing_key_pub());
    let (identity, public) = (identity.to_str().unwrap(), public.to_str().unwrap());
    let warned = |ran: &Ran, of: &str| {
        let mut lines = ran.err.lines().filter(|line| line.starts_with("warning: "));
        lines.any(|line| line.contains(of) && line.contains("Permission denied"))
    };
    // What needs no identity does what it can.
    for (args, code, signer) in
        [(&["ls"][..], 0, false), (&["show", "last"], 0, true), (&["verify", "last"], 1, true)]
    {
        let Some(ran) = by_owner(&home, args) else { return };
        let ran = ran.exits(code);
        assert!(warned(&ran, identity) && warned(&ran, public) == signer, "{ran}");
        assert!(!ran.out.is_empty(), "{ran}");
    }
    for args in [&["play", "--plain", "last"][..], &["export", "last"], &["search", "after"]] {
        let Some(ran) = by_owner(&home, args) else { return };
        let ran = ran.exits(2).complains("Permission denied");
        assert!(ran.err.contains(identity), "{ran}");
    }
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn a_name_that_is_taken_in_the_store_is_never_written_over_and_nothing_is_run() {
    let home = Home::new();
    if !crate::kept::can_trace() {
        return;
    }
    home.run(&["run", "--", "true"]).exits(0);
    let names = || {
        let entries = std::fs::read_dir(home.personal().recordings()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    let before = names();
    let args = ["run", "--", "touch", "it-ran"];
    // Its name comes of a number that nobody can foresee: that it is taken is what the kernel says.
    let taken = ["-e", "trace=link,linkat,openat", "-e", "inject=link,linkat:error=EEXIST"];
    let ran = crate::kept::under_strace(&home, &taken, &args);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    if !trace.contains("(INJECTED)") {
        crate::skipped("this file system has no files without a name");
        return;
    }
    let ran = ran.exits(125).complains("File exists");
    assert!(ran.err.contains("nothing was run") && ran.err.contains(".scast"), "{ran}");
    assert!(!home.path("it-ran").exists() && names() == before, "{ran}");
}

#[test]
fn too_few_descriptors_and_links_without_an_end_have_a_hint() {
    let home = Home::new();
    home.record(&Recording::default());
    let args = ["export", "last"];
    let plain = home.command(&args);
    let mut few = Process::new("sh");
    // The recording and no more: its identity comes after it. Nothing that whoever runs the tests left open is in its place.
    let alone = r#"for n in 3 4 5 6 7 8 9; do eval "exec $n>&-"; done; exec prlimit --nofile=4 -- "$@""#;
    few.args(["-c", alone, "sh"]).arg(plain.get_program()).args(args).env_clear();
    few.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = ran(few.current_dir(home.path("")), &args).exits(2).complains("Too many open files");
    assert!(ran.err.contains("hint: `ulimit -n`") && !ran.err.contains("check the name"), "{ran}");
    for (first, second) in [("a.scast", "b.scast"), ("b.scast", "a.scast")] {
        std::os::unix::fs::symlink(first, home.path(second)).unwrap();
    }
    let ran = home.run(&["show", "./a.scast"]).exits(2).complains("Too many levels of symbolic links");
    assert!(ran.err.contains("`ls -l`"), "{ran}");
}
