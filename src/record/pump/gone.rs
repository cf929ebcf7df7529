//! What becomes of the session when its terminal is gone, or when it must end.
//!
//! Refuses to decide that it must.

use super::{LOOK, Phase, Pump};
use crate::cast::{Gap, Payload, Why};
use crate::sys::clock;
use crate::sys::signals::{self, Arrived};

impl Pump<'_> {
    /// In the background nobody tells of a terminal that goes: the kernel signals who has the foreground, and keys are not waited for.
    /// Without us the child would be told by what it reads. Who was in the foreground is told by a signal before this is looked at again.
    pub(super) fn look_behind(&mut self) {
        let now = clock::monotonic();
        let Some(screen) = &self.screen else { return };
        if self.phase != Phase::Running || !screen.terminal.controls() || now < self.next_look {
            return;
        }
        self.next_look = now.saturating_add(LOOK);
        let gone = self.has_lost_its_terminal();
        if std::mem::replace(&mut self.behind, gone || !screen.terminal.is_foreground()) && gone {
            let note = "the terminal is gone: what is written there from here on is lost";
            self.batch.event(Payload::Gap(Gap::new(Why::Stopped, "session", 0, note)));
            self.let_terminal_go();
        }
    }

    pub(super) fn has_lost_its_terminal(&self) -> bool {
        self.screen.as_ref().is_some_and(|screen| !screen.terminal.is_alive())
    }

    /// The terminal is gone: that is the end of the session, unless it is to go on without.
    pub(super) fn terminal_gone(&mut self) {
        if self.outlives && self.phase == Phase::Running {
            self.let_terminal_go();
        } else {
            self.hang_up();
        }
    }

    /// The child loses its terminal, as it would without us: whoever reads from it or writes to it is told, and nobody
    /// is signalled. What passes through pipes goes on.
    pub(super) fn let_terminal_go(&mut self) {
        self.record_output();
        self.output.ended = true;
        self.drop_ahead();
        self.keys.forget();
        self.keyboard.leave();
        // Both of our descriptors of the leader go with it: the kernel hangs up the follower.
        self.screen = None;
        self.terminal_out = None;
    }

    /// Nothing of the session may go on: what cannot be recorded any more must not run.
    pub(super) fn end_all(&mut self) {
        if !matches!(self.phase, Phase::Ended { .. }) {
            // First: what is hung up may end, and what it has started would no longer be known to be of the session.
            self.stage.clear();
            self.hang_up();
            self.end_input();
            let note = "the session had to end: what is written there is lost from here on";
            if self.child.is_some() {
                self.drop_outputs(note);
            }
            self.streams.outputs = [None, None];
        }
    }

    /// The session must end: the child loses its terminal, and its life if it clings to it. What passes through pipes goes on until then.
    pub(super) fn hang_up(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        self.hung_up = true;
        self.phase = Phase::HungUp { since: clock::monotonic(), killed: false };
        if self.child.is_none() {
            // A child that is still to come, and in the background as nobody has a foreground here, would hear of it from nobody.
            self.early.push(Arrived { signal: signals::SIGHUP, sender: 0 });
        }
        if let Some(screen) = &self.screen
            && let Some(group) = screen.leader.foreground()
        {
            for signal in [signals::SIGHUP, signals::SIGCONT] {
                // It may be gone, or not ours to signal: the closing of the leader tells it too.
                let _ = signals::send_to_group(group, signal);
            }
        }
        self.to_child(signals::SIGHUP);
        self.to_child(signals::SIGCONT);
        self.let_terminal_go();
    }
}
