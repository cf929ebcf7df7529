//! What is asked of the system before a session begins: the answers may come over the network.

use crate::home::Home;

/// Every opening of this file by a session and its start; none where that cannot be seen.
fn opened(path: &str) -> Option<Vec<String>> {
    if !crate::kept::can_trace() {
        return None;
    }
    let home = Home::new();
    // Its keys are made first.
    home.run(&["run", "--", "true"]).exits(0);
    crate::kept::under_strace(&home, &["-e", "trace=open,openat"], &["run", "--", "true"]).exits(0);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    let quoted = format!("\"{path}\"");
    Some(trace.lines().filter(|line| line.contains(&quoted)).map(str::to_owned).collect())
}

#[test]
fn groups_of_ours_the_callers_and_the_targets_that_are_the_same_are_looked_up_once() {
    let Some(asked) = opened("/etc/group") else { return };
    let ours = sealcast::sys::ids::current().unwrap();
    let groups = std::collections::BTreeSet::from_iter([ours.groups, ours.gid.to_vec()].concat());
    // Each by its number, and once all those of a login.
    assert!(asked.len() <= groups.len() + 1, "{groups:?}: {asked:#?}");
}

#[test]
fn we_the_caller_and_the_target_who_are_the_same_are_looked_up_once_and_so_is_who_logged_in() {
    let Some(asked) = opened("/etc/passwd") else { return };
    let users = [Some(sealcast::sys::ids::real_uid()), sealcast::sys::ids::login_uid()];
    let users = std::collections::BTreeSet::from_iter(users.into_iter().flatten());
    assert!(asked.len() <= users.len(), "{users:?}: {asked:#?}");
}

/// A crash the moment a program begins leaves a recording that says that it did.
#[test]
fn the_beginning_of_a_recording_and_its_name_are_on_the_disk_before_the_program_is_executed() {
    if !crate::kept::can_trace() {
        return;
    }
    let home = Home::new();
    home.run(&["run", "--", "true"]).exits(0);
    let calls = ["-y", "-e", "trace=write,fsync,fdatasync,execve"];
    crate::kept::under_strace(&home, &calls, &["run", "--", "true"]).exits(0);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    let before: Vec<&str> = trace.lines().take_while(|line| !line.contains("[\"true\"]")).collect();
    let last =
        |call: &str| before.iter().rposition(|line| line.contains(call) && line.contains("/recordings"));
    let order = [last(" write("), last(" fdatasync("), last(" fsync(")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}: {trace}");
    assert!(before.len() < trace.lines().count(), "{trace}");
}
