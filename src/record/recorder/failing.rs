//! What the recorder does when the recording cannot be written, or must end.
//!
//! For a failed write it ends no session of policy `warn`, and for a full disk none of policy `stop` before it has looked for room
//! that the dead hold. It drops nothing without a count.

use super::{RARELY, Recorder, State};
use crate::cast::{Event, Gap, Payload, Why, millis};
use crate::container;
use crate::policy::OnFailure;
use crate::record::disk::{Disk, is_full};
use crate::record::pauses::seconds;
use crate::record::queue::Word;
use crate::shell::said::Said;
use crate::sys;
use std::time::Duration;

/// What a failure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Space on the disk.
    NoSpace,
    /// Anything else.
    Other,
}

impl<S: Disk> Recorder<'_, S> {
    pub(super) fn check(&mut self, result: Result<(), container::Error>) {
        let Err(error) = result else { return };
        match &error {
            // The same words as where it is seen coming.
            container::Error::Io { source, .. } if is_full(source) => {
                self.fail(format!("the disk is full ({source})"), Failure::NoSpace, true);
            }
            other => self.fail(other.to_string(), Failure::Other, true),
        }
    }

    /// Something failed; `stuck`: bytes may be waiting that could not be written.
    fn fail(&mut self, why: String, failure: Failure, stuck: bool) {
        if stuck && failure == Failure::NoSpace && self.state == State::Writing {
            // Whoever may record themselves may also leave the dead behind that fill a disk. It ends no session without a look.
            if self.policy.on_failure == OnFailure::Stop {
                self.asked = None;
            }
            self.give_back(self.now());
            if self.writer.settle().is_ok() && (self.policy.reserve == 0 || self.hold().is_ok()) {
                return;
            }
        }
        if self.policy.reserve > 0 {
            // From here on the reserve is there to be used. Not to be able to give it back changes nothing.
            let _ = self.writer.sink().release_reserve();
        }
        let still_stuck = stuck && self.writer.settle().is_err();
        match (self.state, self.policy.on_failure) {
            (State::Writing, OnFailure::Stop) => {
                self.intake.say(Word::Stop(why.clone()));
                self.state = if still_stuck { State::Losing } else { State::Ending };
            }
            (State::Writing, OnFailure::Warn) if still_stuck => {
                self.intake.say(Word::Tell(format!("THIS SESSION IS NOT BEING RECORDED: {why}")));
                self.state = State::Losing;
            }
            (State::Writing, OnFailure::Warn) => match failure {
                Failure::NoSpace => {
                    // The reserve is used up now; the next failure is the real one.
                    self.intake.say(Word::Tell(format!("space for the recording is running out: {why}")));
                    self.policy.reserve = 0;
                }
                // Everything is durable after all. Should it happen at every flush, it is not told at every one.
                Failure::Other => {
                    if self.warned.as_ref() != Some(&why) {
                        self.intake.say(Word::Tell(format!("the recording may be lost: {why}")));
                        self.warned = Some(why.clone());
                    }
                }
            },
            (_, _) if still_stuck => self.state = State::Losing,
            _ => {}
        }
        if self.state == State::Losing {
            self.loses = Some(why.clone());
        }
        self.failure.get_or_insert(why);
    }

    /// Renews the reserve behind the new end of the file; that it cannot be had is the first sign of a full disk, and comes
    /// while there is still room for a proper end.
    pub(super) fn watch_space(&mut self) {
        if self.state != State::Writing {
            return;
        }
        if self.policy.reserve > 0
            && let Err(error) = self.hold()
        {
            let (failure, what) = match is_full(&error.source) {
                true => (Failure::NoSpace, "the disk is full".to_owned()),
                false => (Failure::Other, error.to_string()),
            };
            self.fail(format!("{what} ({})", error.source), failure, false);
            return;
        }
        if self.policy.low_space > 0
            && !self.low_space_told
            && self.writer.sink().free_space().is_ok_and(|free| free < self.policy.low_space)
        {
            self.low_space_told = true;
            self.intake.say(Word::Tell("space for recordings is running out on this host".to_owned()));
        }
    }

    /// Holds the reserve, in place of what dead recorders hold if need be.
    fn hold(&mut self) -> Result<bool, sys::Error> {
        let (disk, bytes) = (self.writer.sink(), self.policy.reserve);
        disk.reserve(bytes).or_else(|error| {
            if !is_full(&error.source) {
                return Err(error);
            }
            disk.give_back();
            disk.reserve(bytes)
        })
    }

    /// Gives back what the dead hold. It is looked for rarely: among all recordings.
    fn give_back(&mut self, now: Duration) {
        if self.asked.is_none_or(|asked| now >= asked.saturating_add(RARELY)) {
            self.asked = Some(now);
            self.writer.sink().give_back();
        }
    }

    pub(super) fn try_again(&mut self, now: Duration) {
        if self.writer.settle().is_err() {
            // Who held the room may have died meanwhile.
            self.give_back(now);
            return;
        }
        let was_stopped = self.policy.on_failure == OnFailure::Stop;
        self.state = if was_stopped { State::Ending } else { State::Writing };
        self.record_gap(now);
        let flushed = self.writer.flush(now);
        self.check(flushed);
        if self.state == State::Writing {
            self.intake.say(Word::Tell(format!(
                "recording again; {} bytes of output and input are missing",
                self.lost
            )));
        }
    }

    pub(super) fn count_lost(&mut self, event: &Event) {
        if matches!(event.payload, Payload::Exit(_)) {
            self.exit = Some(event.clone());
            return;
        }
        let bytes = match &event.payload {
            Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => {
                bytes.len() as u64
            }
            // For the index alone: it would not have been recorded.
            payload if Said::of(payload).is_some_and(|said| said.kept().is_none()) => return,
            _ => 1,
        };
        if self.lost_now == 0 {
            self.losing = event.time;
        }
        self.lost = self.lost.saturating_add(bytes);
        self.lost_now = self.lost_now.saturating_add(bytes);
    }

    pub(super) fn record_gap(&mut self, now: Duration) {
        if self.lost_now == 0 {
            return;
        }
        let lost = std::mem::take(&mut self.lost_now);
        // It stands where it ended: what was lost came before.
        let long = millis(now.saturating_sub(self.losing));
        let why = self.loses.as_ref().or(self.failure.as_ref()).map_or("", String::as_str);
        let note = format!("nothing could be stored for {}: {why}", seconds(long));
        self.push_gap(now, Gap::new(Why::WriteFailed, "session", lost, note));
    }

    /// That somebody else was at the file. Nothing is missing for that, and there is one who wanted it to be.
    pub(super) fn record_touched(&mut self, now: Duration) {
        if let Some(how) = self.writer.touched() {
            self.push_gap(now, Gap::new(Why::Touched, "recorder", 0, how));
        }
    }

    /// The session must end, though it is recorded.
    pub(super) fn must_end(&mut self, now: Duration, why: String) {
        self.intake.say(Word::Stop(why.clone()));
        self.state = State::Ending;
        // Where it ends for every failure, the close says so.
        if self.policy.on_failure != OnFailure::Stop {
            self.push_gap(now, Gap::new(Why::Stopped, "session", 0, why.clone()));
        }
        self.failure.get_or_insert(why);
    }
}
