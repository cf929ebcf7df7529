//! What is asked of the system before a session begins: the answers may come over the network.

use crate::home::Home;

#[test]
fn groups_of_ours_the_callers_and_the_targets_that_are_the_same_are_looked_up_once() {
    if !crate::kept::can_trace() {
        return;
    }
    let home = Home::new();
    // Its keys are made first.
    home.run(&["run", "--", "true"]).exits(0);
    crate::kept::under_strace(&home, &["-e", "trace=open,openat"], &["run", "--", "true"]).exits(0);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    let asked: Vec<&str> = trace.lines().filter(|line| line.contains("\"/etc/group\"")).collect();
    let ours = sealcast::sys::ids::current().unwrap();
    let groups = std::collections::BTreeSet::from_iter([ours.groups, ours.gid.to_vec()].concat());
    // Each by its number, and once all those of a login.
    assert!(asked.len() <= groups.len() + 1, "{groups:?}: {asked:#?}");
}
