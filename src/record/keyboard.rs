//! Whose the keyboard is.
//!
//! When both standard input and output are the terminal, and we are in the foreground, it is ours: raw mode from the
//! start to the end. In a pipeline (`sealcast run -- dmesg | less`) it is shared with other programs, whose raw mode
//! we must not undo and whose keys we must not take. Then it is taken only for as long as the child wants it: when
//! the child changes its own terminal from plain lines to something else, or (a shell) gives it to a job of its own.
//!
//! Another session in the foreground of the same terminal may have it in raw mode, and will give it back: until then it is that one's. It
//! has claimed it, so that nobody takes its raw mode for what is to be come back to.
//!
//! What is shown: where standard output is the terminal, it is ours like the keyboard: what the PTY made of it passes as it is.
//! Elsewhere others of the pipeline write on the terminal (`sealcast run -- bash -i | tee log`), whose line ends are to be
//! translated as they were found to be, or as the child has changed that at its own terminal. (A line end of ours that the PTY
//! has translated already gets a second carriage return, which shows nothing.)
//!
//! A line that is typed while it is shared is the child's when its standard input is the terminal; where that is something
//! else, only while somebody inside is seen to wait for it (`read x </dev/tty`): another program of the pipeline may be asking.
//! While the terminal shows no keys, it is another program that asks, for a password (`sealcast run -- dmesg | sudo tee f`): what
//! is typed then is not read here, where the terminal inside would show it. (Nor is it where the operator has switched the echo
//! off himself before he began a pipeline: that cannot be told apart.)

use super::session::Screen;
use crate::sys::poll::Set;
use crate::sys::pty::Leader;
use crate::sys::tty::{Claim, RawMode, Settings, Terminal};
use crate::sys::{Error, clock, signals, waits};
use std::time::Duration;

/// How often the child's terminal is looked at while the keyboard is shared.
const LOOK: Duration = Duration::from_millis(50);

/// How long after a stop that did not stop us the keyboard is left alone.
const AFTER_STOP: Duration = Duration::from_millis(500);

/// The operator's keyboard.
pub(super) struct Keyboard {
    raw: Option<RawMode>,
    /// While it is in raw mode. (Below that: it is given back first.)
    claim: Option<Claim>,
    /// It is ours from start to end, unless we are in the background.
    whole: bool,
    /// Standard output is the terminal.
    display: bool,
    /// The child's terminal as it had it first, or as it was last set from outside.
    began: Option<Settings>,
    /// How the terminal was given back last.
    left: Option<Settings>,
    /// Standard input is the terminal, so lines typed in a shared terminal are for the child.
    lines: bool,
    /// A line is there, and somebody inside waits for it.
    asked: bool,
    /// At the last look the child wanted no more than lines.
    plain: bool,
    exists: bool,
    /// The stage, whose group has the child's terminal while that is in the background.
    stage: u32,
    next_look: Duration,
    /// It could not be read: it is not asked before the next look.
    refused: bool,
    /// It was in the hands of others, and we were to be stopped for it; nobody has continued us since.
    stopped: bool,
    /// The child was asked to end, and it was in the hands of others since.
    ending: bool,
}

impl Keyboard {
    /// The keyboard of a terminal, before the child has its own. `stage` is the child's parent to be.
    pub(super) fn new(screen: Option<&Screen>, stage: u32) -> Self {
        let (lines, display) = screen.map_or((false, false), |screen| (screen.keyboard, screen.display));
        Self {
            raw: None,
            claim: None,
            whole: lines && display,
            display,
            began: screen.and_then(|screen| screen.leader.settings().ok()),
            left: None,
            lines,
            asked: false,
            plain: false,
            exists: screen.is_some(),
            stage,
            next_look: Duration::ZERO,
            refused: false,
            stopped: false,
            ending: false,
        }
    }

    /// Takes it, if it is ours.
    pub(super) fn begin(&mut self, terminal: &Terminal, leader: &Leader) -> Result<(), Error> {
        if !self.whole || !terminal.is_foreground() {
            return Ok(());
        }
        self.take(terminal, None)?;
        self.hand_on(leader);
        Ok(())
    }

    /// What was set while it was not ours (`stty` in the shell that we were stopped for) holds inside too, as it would for the child
    /// without us, but where that has set its terminal itself.
    fn hand_on(&mut self, leader: &Leader) {
        let Some(found) = self.raw.as_ref().map(RawMode::found) else { return };
        let Some(left) = self.left.take() else { return };
        if !found.is(&left) && found.is_canonical() {
            let of_child = |began: &Settings| leader.settings().is_ok_and(|theirs| theirs.is(began));
            // As in `watch`, what cannot be had is left.
            if self.began.as_ref().is_some_and(of_child) && found.apply(leader).is_ok() {
                self.began = leader.settings().ok();
            }
        }
    }

    /// Whether it is about to be ours, and is read in whole lines still.
    pub(super) fn is_ours_in_lines(&self, terminal: &Terminal) -> bool {
        let in_lines = || Settings::of(terminal).is_ok_and(|settings| settings.is_canonical());
        self.whole && terminal.is_foreground() && in_lines() && !terminal.is_claimed()
    }

    /// Takes it, for a child whose terminal has these settings.
    fn take(&mut self, terminal: &Terminal, theirs: Option<&Settings>) -> Result<(), Error> {
        if self.raw.is_none() {
            let claim = terminal.claim();
            let found = Settings::of(terminal)?;
            // Plain, it is not in the hands of who has claimed it: such a session may be stopped.
            if claim.is_none() && !found.is_plain() {
                return Ok(());
            }
            self.claim = claim;
            self.raw = Some(RawMode::enter(terminal, found, self.raw_of(found, theirs))?);
        }
        Ok(())
    }

    /// Whether it may be taken: not from the background. (Where SIGTTOU is ignored the kernel lets everybody have it, and nobody is
    /// stopped. That the first process of a pid namespace ignores it was our own wish.)
    fn may_take(terminal: &Terminal) -> bool {
        terminal.is_foreground() || std::process::id() != 1 && signals::is_ignored(signals::SIGTTOU)
    }

    /// Raw mode of a terminal that was found like this, for a child whose terminal has these settings.
    fn raw_of(&self, found: Settings, theirs: Option<&Settings>) -> Settings {
        match (&self.began, theirs) {
            _ if self.display => found.raw(),
            (Some(began), Some(theirs)) => found.raw_input(began, theirs),
            _ => found.raw_input(&found, &found),
        }
    }

    /// Gives it back as it was found.
    pub(super) fn leave(&mut self) {
        self.left = self.raw.take().map(|raw| raw.found()).or(self.left);
        self.claim = None;
    }

    /// Somebody else reads from it now. What they do not read would be told again and again.
    pub(super) fn lost(&mut self) {
        self.refused = true;
        self.next_look = clock::monotonic().saturating_add(LOOK);
    }

    /// We were to be stopped, and nothing stops us (the first process of a pid namespace), but perhaps whoever is beside us: its shell
    /// takes the terminal back in a moment. Raw mode would pass for what the shell is to find there: nobody refuses it to us.
    pub(super) fn later(&mut self) {
        self.refused = true;
        self.next_look = clock::monotonic().saturating_add(AFTER_STOP);
    }

    /// Something was read.
    pub(super) fn took(&mut self) {
        self.asked = false;
    }

    /// Somebody has continued us.
    pub(super) fn continued(&mut self) {
        self.stopped = false;
    }

    /// The child was asked to end, which it can do only while we run: we are not stopped for it any more.
    pub(super) fn is_to_end(&mut self) {
        self.ending = true;
    }

    /// We were continued, perhaps in the foreground, perhaps after someone else changed the settings. As in
    /// [`Keyboard::watch`], what cannot be had is left.
    pub(super) fn resume(&mut self, terminal: &Terminal, leader: &Leader) {
        if terminal.is_foreground() {
            let _ = match &self.raw {
                Some(raw) => raw.renew(terminal),
                None if self.refused => Ok(()),
                None => self.begin(terminal, leader),
            };
        } else {
            // Who has stopped us (SIGSTOP) has left us no time to give it back. A read would stop us, as in `watch`.
            self.leave();
        }
    }

    pub(super) fn is_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// Whether keys are for the child now.
    pub(super) fn reads(&self, terminal: &Terminal) -> bool {
        match self.raw {
            _ if self.refused => false,
            Some(_) => true,
            // Not in the background (it would stop us), and not while another program has it raw, or reads a secret.
            None => {
                (self.lines || self.asked)
                    && terminal.is_foreground()
                    && Settings::of(terminal).is_ok_and(|s| s.is_plain())
            }
        }
    }

    /// When [`Keyboard::watch`] is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        (self.exists && (self.refused || !(self.whole && self.is_raw()))).then_some(self.next_look)
    }

    /// While it is shared: takes it when the child wants it, gives it back when not. True when others hold the terminal and the child
    /// still wants it: we must stop. Told once: an orphaned group is not stopped by the kernel, and goes on without a keyboard.
    ///
    /// (The kernel would stop us by itself when we take it. But it asks again at once when we are continued, before we could read
    /// which signals came: nobody but SIGKILL would end us.)
    pub(super) fn watch(&mut self, terminal: &Terminal, leader: &Leader, child: Option<u32>) -> bool {
        let now = clock::monotonic();
        if self.deadline().is_none_or(|due| now < due) {
            return false;
        }
        self.next_look = now.saturating_add(LOOK);
        self.refused = false;
        let Ok(theirs) = leader.settings() else { return false };
        let plain = self.is_plain(&theirs, leader, child);
        self.asked = plain && !self.is_raw() && !self.lines && self.is_asked(terminal, leader, child);
        let _ = match (plain, self.is_raw()) {
            (false, false) if Self::may_take(terminal) => self.take(terminal, Some(&theirs)),
            // Seen twice: a shell has plain lines for a moment before its job has the terminal.
            (true, true) if !self.whole && self.plain => {
                self.leave();
                Ok(())
            }
            (true, false) if self.whole => self.begin(terminal, leader),
            _ => self.show_for(terminal, &theirs),
        };
        self.plain = plain;
        if Self::may_take(terminal) {
            (self.stopped, self.ending) = (false, false);
            return false;
        }
        let stops = !plain && !self.ending && std::process::id() != 1;
        stops && !std::mem::replace(&mut self.stopped, true)
    }

    /// Before something of the child's is shown while it is shared: what the child has set at its terminal before it wrote that
    /// is in force by then. `child` is none where it does not run.
    pub(super) fn before_output(&mut self, terminal: &Terminal, leader: &Leader, child: Option<u32>) {
        if self.whole {
            return;
        }
        let Ok(theirs) = leader.settings() else { return };
        // As in `watch`, what cannot be had is left.
        let _ = match self.is_raw() {
            true => self.show_for(terminal, &theirs),
            false if child.is_some() && !self.is_plain(&theirs, leader, child) => {
                self.plain = false;
                if Self::may_take(terminal) {
                    self.take(terminal, Some(&theirs))
                } else {
                    self.next_look = Duration::ZERO;
                    Ok(())
                }
            }
            false => Ok(()),
        };
    }

    /// In raw mode: output as the child wants it, whose terminal has these settings.
    fn show_for(&mut self, terminal: &Terminal, theirs: &Settings) -> Result<(), Error> {
        let Some(found) = self.raw.as_ref().map(RawMode::found) else { return Ok(()) };
        let wanted = self.raw_of(found, Some(theirs));
        match &mut self.raw {
            Some(raw) if !raw.shows_like(&wanted) && terminal.is_foreground() => raw.change(terminal, wanted),
            _ => Ok(()),
        }
    }

    /// Whether the child wants no more than lines.
    fn is_plain(&self, theirs: &Settings, leader: &Leader, child: Option<u32>) -> bool {
        // The child is a shell, and a job of that has its terminal: what is typed, ^C among it, is for that job alone.
        let is_job = |group| Some(group) != child && group != self.stage;
        let job = child.is_some() && leader.foreground().is_some_and(is_job);
        theirs.is_plain() && !job
    }

    /// Whether a line was typed that somebody inside waits for. Who that is, is looked at only then.
    fn is_asked(&self, terminal: &Terminal, leader: &Leader, child: Option<u32>) -> bool {
        let mut set = Set::default();
        let slot = set.add(terminal, true, false);
        let typed = set.wait(Some(Duration::ZERO)).is_ok() && set.ready(slot).read;
        let waits = |child| leader.follower_name().is_some_and(|name| waits::for_terminal(child, &name));
        typed && child.is_some_and(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{pty, tty::Size};

    /// As a shell is between two jobs, for a moment.
    #[test]
    fn a_shared_keyboard_is_given_back_once_no_more_than_lines_were_wanted_twice() {
        let (leader, follower) = pty::open(Size { cols: 80, rows: 24, width: 0, height: 0 }).unwrap();
        let screen = Screen { terminal: Terminal::of(follower), leader, keyboard: true, display: false };
        let mut keyboard = Keyboard::new(Some(&screen), 0);
        keyboard.take(&screen.terminal, None).unwrap();
        // What the two have of their own is one here: it is plain inside.
        keyboard.raw.as_ref().unwrap().found().apply(&screen.terminal).unwrap();
        for raw in [true, false] {
            keyboard.next_look = Duration::ZERO;
            keyboard.watch(&screen.terminal, &screen.leader, None);
            assert_eq!(keyboard.is_raw(), raw);
        }
    }

    #[test]
    fn a_keyboard_that_cannot_be_read_is_not_asked_again_before_the_next_look() {
        let (leader, follower) = pty::open(Size { cols: 80, rows: 24, width: 0, height: 0 }).unwrap();
        let screen = Screen { terminal: Terminal::of(follower), leader, keyboard: true, display: true };
        let (terminal, leader) = (&screen.terminal, &screen.leader);
        let mut keyboard = Keyboard::new(Some(&screen), 0);
        keyboard.take(terminal, None).unwrap();
        assert!(keyboard.reads(terminal) && keyboard.deadline().is_none());
        keyboard.lost();
        // Nothing would wake the loop but this.
        let due = keyboard.deadline().unwrap();
        assert!(!keyboard.reads(terminal));
        keyboard.next_look = Duration::MAX;
        keyboard.watch(terminal, leader, None);
        assert!(!keyboard.reads(terminal) && due > Duration::ZERO);
        keyboard.next_look = Duration::ZERO;
        keyboard.watch(terminal, leader, None);
        assert!(keyboard.reads(terminal) && keyboard.deadline().is_none());
    }
}
