//! A program that was hung up has two seconds to end as it likes.

use crate::support::sandbox::Sandbox;
use crate::support::tried::{Missed, tried};
use crate::support::until;
use sealcast::sys::signals;
use std::time::{Duration, Instant};

/// After which it is killed.
const HANG_UP: Duration = Duration::from_secs(2);

/// Hangs up a shell that catches that so; the file `told` is to be there by then. Done with it: what is to come. It ends with 42 by
/// itself, unless it is killed first.
fn ends_by_itself(on_hang_up: &str, done: impl Fn(u32)) {
    tried(0, || {
        let sandbox = Sandbox::new();
        let script =
            format!("trap '{on_hang_up}' HUP; trap 'exit 42' TERM; echo READY; while :; do sleep 0.02; done");
        let mut terminal = sandbox.run(&["sh", "-c", &script]);
        terminal.wait_for("READY");
        let begin = Instant::now();
        terminal.hang_up();
        until("the hang-up", || sandbox.path("told").exists().then_some(()));
        done(terminal.pid());
        terminal.wait_end();
        let exit = sandbox.recorded_exit();
        let late = begin.elapsed().saturating_sub(HANG_UP);
        if exit == Some(42) { Ok(()) } else { Err(Missed { why: format!("it ended with {exit:?}"), late }) }
    });
}

#[test]
fn a_program_that_was_hung_up_is_still_told_of_signals() {
    ends_by_itself("echo >told", |wrapper| signals::send(wrapper, signals::SIGTERM).unwrap());
}

#[test]
fn a_program_that_was_hung_up_does_not_rest() {
    ends_by_itself("echo >told; kill -STOP $$; exit 42", |_| ());
}
