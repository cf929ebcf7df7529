//! What the loop waits for, and until when at most.

use super::{HANG_UP, LATE, LINGER, Phase, Pump, SLOW, STILL, Slots, ahead};
use crate::sys::clock;
use crate::sys::poll::Set;
use std::time::Duration;

impl Pump<'_> {
    /// Says what to wait for.
    pub(super) fn fill(&mut self, set: &mut Set) -> Slots {
        set.clear();
        let mut slots = Slots::default();
        let flows = !self.batch.is_stuck();
        if let Some(screen) = &self.screen {
            let keys = self.takes_keys();
            let show = !self.output.buffer.is_empty();
            // A terminal that is not asked anything is not polled: its hang-up would be told again and again.
            if keys || show {
                slots.terminal = Some(set.add(&screen.terminal, keys, show));
            }
            let read = self.output.buffer.is_empty() && !self.output.ended && flows && self.is_known();
            let write = !self.keys.is_empty() && self.is_known() && self.ahead.is_none();
            if read || write {
                slots.leader = Some(set.add(&screen.leader, read, write));
            }
        }
        if let Some(input) = &self.streams.input {
            let wants = input.wants();
            slots.input = (wants.read && flows).then(|| set.add(input.source(), true, false));
            slots.input_sink = input.sink().map(|sink| set.add(sink, false, wants.write && flows));
        }
        for (n, stream) in self.streams.outputs.iter().enumerate() {
            let Some((source, sink)) = stream else { continue };
            let Some(buffer) = self.stream_buffers.get(n) else { continue };
            let (source, sink) = match buffer.is_empty() {
                // Whether the reader is still there is asked once nothing else is waited for.
                true => {
                    // Not while the recorder has no room: what is still in the pipe must be read before it is let go.
                    let watched = flows && sink.has_reader() && matches!(self.phase, Phase::Ended { .. });
                    let sink = watched.then(|| set.add(sink, false, false));
                    // Whose it is may matter to who reads it, too (a socket).
                    ((flows && self.is_known()).then(|| set.add(source, true, false)), sink)
                }
                false => (None, Some(set.add(sink, false, true))),
            };
            (slots.sources[n], slots.sinks[n]) = (source, sink);
        }
        // The kernel looks at one after the other: who finds keys finds the new size that came before them, too.
        slots.calm = Some(set.add(&self.calm, true, false));
        slots
    }

    /// Whether the word of the child's start has come, or none is to come any more: the child can be faster. What it writes waits
    /// until then, for how that is to be shown depends on who has the terminal inside.
    pub(super) fn is_known(&self) -> bool {
        self.child.is_some() || !matches!(self.phase, Phase::Running)
    }

    /// Whether the child is still unknown where it should be known by now: its file may be on a disk that does not answer.
    pub(super) fn is_late(&self) -> bool {
        !self.is_known() && clock::monotonic() >= self.began.saturating_add(LATE)
    }

    /// Keys wait in the terminal until the child is known: of one that they stop before its file is executed nobody would be told, and
    /// nobody would continue it. Where that is late, what is raw is read all the same, as long as there is room: one may be to end it.
    /// And they wait until the child has its place, which would take back a stop.
    pub(super) fn takes_keys(&self) -> bool {
        let Some(screen) = &self.screen else { return false };
        let wanted = match self.is_known() {
            true if self.ahead.is_some() => self.placing == 0 && self.keys.has_room(),
            true => self.placing == 0 && self.keys.is_empty(),
            false => self.is_late() && self.keyboard.is_raw() && self.keys.has_room(),
        };
        matches!(self.phase, Phase::Running)
            && wanted
            && self.batch.takes_input()
            && self.keyboard.reads(&screen.terminal)
    }

    /// The time, if the echo of a key should have been there by now. Before it is given up all that was written by now is
    /// looked at: it may be in there, and it was us who were late. So this is asked before that look. In a flood, where no look
    /// finds nothing, it is enough that as much was read as may have been there.
    pub(super) fn overdue(&mut self) -> Option<Duration> {
        let now =
            self.batch.echo_deadline().and_then(|due| Some(clock::monotonic()).filter(|now| *now >= due));
        if now.is_none() {
            self.overdue = 0;
        }
        now
    }

    /// Whether the terminal stands still: then nothing of what was typed can be seen in time, and it is not waited for. What was
    /// written meanwhile must be no echo of what is typed after that: so it lasts until there is `nothing` more to read.
    pub(super) fn look_for_blindness(&mut self, nothing: bool, takes: bool) {
        if self.blind {
            self.blind = !nothing;
        } else if !takes && self.still_at().is_some_and(|due| clock::monotonic() >= due) {
            self.blind = true;
            self.batch.give_up_all();
        }
    }

    /// When the terminal stands still, if it takes nothing until then.
    pub(super) fn still_at(&self) -> Option<Duration> {
        let shows = !self.output.buffer.is_empty() && !self.blind && self.phase == Phase::Running;
        shows.then(|| self.output.taken.saturating_add(STILL).min(self.output.at.saturating_add(SLOW)))
    }

    /// When the loop must wake although nothing happens. While not everything that gives output is looked at (`looks`), no
    /// echo is overdue, but where none can be seen.
    pub(super) fn due(&self, looks: bool) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Running if self.child.is_none() => {
                Some(self.began.saturating_add(LATE)).filter(|_| !self.is_late())
            }
            // Only a child that runs wants a keyboard, and only where there is one is it looked after.
            Phase::Running => self.child.and(self.screen.as_ref()).and_then(|_| self.keyboard.deadline()),
            Phase::HungUp { since, killed } => {
                Some(since.saturating_add(HANG_UP * if killed { 2 } else { 1 }))
            }
            // It is not time that is waited for, but the terminal, or the recorder.
            Phase::Ended { .. } if self.batch.is_stuck() => None,
            Phase::Ended { .. } if self.is_showing() => self.deserted_until(),
            // Who waits for a reader has only the keyboard to give back by then.
            Phase::Ended { .. } if self.is_waited_for() && !self.keyboard.is_raw() => None,
            // Once it is over it is looked on and on, without a rest, until all is read that was there at the child's end.
            Phase::Ended { since, .. } => {
                let silence = self.last_byte.max(since).saturating_add(self.silence());
                Some(silence.min(since.saturating_add(LINGER)))
            }
        };
        let echo = self.batch.echo_deadline().filter(|_| looks || self.blind);
        let ahead = self.ahead.as_ref().map(ahead::Ahead::due);
        let others = [echo, self.still_at(), phase, self.stop_due, self.look_due(), ahead];
        self.batch.deadline().into_iter().chain(others.into_iter().flatten()).min()
    }
}
