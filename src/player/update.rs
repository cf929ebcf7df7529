//! What a message makes of the state. No clock, no terminal, no file but what the source reads.

use super::app::{App, Effect, Heard, Mark, Message, Over, Pan, REFRESH, SLICE, UNDO};
use super::find::{Finder, Pattern};
use super::keymap::{self, Action};
use super::pages::Pages;
use super::prompt::{Prompt, Purpose, Typed};
use super::times;
use crate::cast::millis;
use crate::replay::{Budget, Idle, Progress, Said, Source, scaled, stepped};
use crossterm::event::{KeyEvent, KeyModifiers};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long it is said that idle time was skipped.
const SAID: Duration = Duration::from_secs(2);
/// Things the program said that are kept.
const HEARD: usize = 500;

impl<S: Source> App<S> {
    /// Takes a message; gives what is asked of the outside.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.budget = Budget::new(SLICE);
        match message {
            Message::Work => self.work(),
            Message::Key(key) => {
                self.note = None;
                self.key(&key, &mut effects);
            }
            Message::Mouse(mouse) => self.mouse(&mouse),
            Message::Tick(elapsed) => self.tick(elapsed, &mut effects),
            Message::Integrity(number, verdict) => self.judged(number, verdict),
            Message::Told(Ok(text)) => self.note = Some((text, false)),
            Message::Told(Err(text)) => self.note = Some((text, true)),
            Message::Leave => effects.push(Effect::Quit),
            // The browser's.
            Message::Matches(..) | Message::Searched(..) => {}
        }
        self.tell_fault();
        effects
    }

    fn tick(&mut self, elapsed: Duration, effects: &mut Vec<Effect>) {
        if !self.replay.underway() {
            self.refresh(elapsed, effects);
        }
        self.work();
        if self.replay.underway() {
            return;
        }
        self.skipped = self
            .skipped
            .take()
            .filter(|(_, since)| *since < SAID)
            .map(|(time, since)| (time, since.saturating_add(elapsed)));
        if !self.playing {
            if !self.is_working() {
                self.replay.prefetch();
            }
            return;
        }
        // What is searched meanwhile does not hold up the playing.
        let mut budget = Budget::new(SLICE);
        let played = self.replay.play_within(scaled(elapsed, self.speed), self.idle, &mut budget);
        self.budget.charge(budget.spent());
        if played.skipped > Duration::ZERO {
            self.skipped = Some((played.skipped, Duration::ZERO));
        }
        if played.ended && !self.follow {
            self.playing = false;
        }
        if played.events == 0 {
            self.replay.prefetch();
        }
        self.hear();
    }

    /// Goes on with what takes long: first with the way to where the viewer wants to be.
    fn work(&mut self) {
        if self.finder.as_ref().is_some_and(Finder::is_showing) {
            if let Some(finder) = &mut self.finder {
                finder.look(&mut self.replay, &mut self.budget);
            }
            self.arrived();
        } else if self.replay.underway() {
            self.approach();
        }
        if self.replay.underway() || self.budget.is_spent() {
            return;
        }
        if let Over::Transcript(pages) = &mut self.over {
            pages.work(&mut self.replay, &mut self.budget);
        }
        if let Some(finder) = &mut self.finder {
            finder.step(&mut self.replay, &mut self.budget);
        }
        self.show_wanted();
    }

    /// Notes what the program said to the terminal.
    fn hear(&mut self) {
        use crate::terminal::Event;
        let (said, missed) = self.replay.take_said();
        // What is played again was heard before.
        let again: BTreeSet<_> = said.iter().map(|said| said.until).collect();
        self.heard.retain(|heard| !again.contains(&heard.until));
        for Said { until, time, event } in said {
            let text = match event {
                Event::Bell => "bell".to_string(),
                Event::Title(title) => format!("title: {title}"),
                Event::Clipboard { selection, data } => format!("clipboard {selection}: {data}"),
                Event::Query(what) => format!("asked: {what}"),
                Event::Link(address) => format!("link: {address}"),
                Event::Notification(text) => format!("notification: {text}"),
                Event::Directory(address) => format!("directory: {address}"),
                Event::Prompt(_) => continue,
                Event::Device(text) => format!("device string: {text}"),
            };
            self.heard.push(Heard { until, time, text });
        }
        if missed > 0 {
            let (until, time) = ((self.replay.place(), usize::MAX), self.replay.time());
            self.heard.push(Heard { until, time, text: format!("and {missed} more") });
        }
        let over = self.heard.len().saturating_sub(HEARD);
        self.heard.drain(..over);
    }

    fn refresh(&mut self, elapsed: Duration, effects: &mut Vec<Effect>) {
        if !self.grows {
            return;
        }
        self.since_refresh += elapsed;
        if self.since_refresh < REFRESH {
            return;
        }
        self.since_refresh = Duration::ZERO;
        if self.stopped {
            // What was judged while it was written is judged again when it is not.
            if !self.replay.source_ref().is_written() {
                self.grows = false;
                effects.push(Effect::Judge);
            }
            return;
        }
        let last = self.replay.outline().spans.len().saturating_sub(1);
        let mut more = self.replay.refresh();
        // Whoever wrote it may have gone, and have written its end before: what came until then is taken in first.
        let abandoned = more == Ok(false) && !self.replay.source_ref().is_written();
        if abandoned {
            more = self.replay.refresh();
        }
        if more == Ok(true) {
            self.finder.iter_mut().for_each(|finder| finder.renew(last));
            if let Over::Transcript(pages) = &mut self.over {
                pages.renew(last);
            }
        }
        match more {
            Ok(true) if self.follow => {
                let end = self.replay.outline().duration();
                self.set_out(end);
            }
            Ok(_) => {}
            Err(error) => {
                (self.follow, self.stopped) = (false, true);
                self.grows = self.replay.source_ref().is_written();
                self.note = Some((error.to_string(), true));
                effects.push(Effect::Judge);
                return;
            }
        }
        if self.grows && self.replay.source_ref().is_ended() {
            // Nothing more will come, and what is there can be judged as a whole.
            self.grows = false;
            self.tell_end();
            effects.push(Effect::Judge);
        } else if self.grows && abandoned {
            self.grows = false;
            self.follow = false;
            self.note = Some(("torn here: its recorder is gone".to_string(), true));
            effects.push(Effect::Judge);
        }
    }

    fn approach(&mut self) {
        if self.replay.approach(&mut self.budget) == Progress::Arrived {
            self.replay.take_said();
        }
    }

    /// Goes to a time; it can be undone.
    pub(super) fn jump(&mut self, time: Duration) {
        self.remember();
        self.follow = false;
        self.set_out(time);
    }

    /// Sets out for a time, and forgets where else it was going.
    fn set_out(&mut self, time: Duration) {
        self.leave_hit();
        self.replay.aim(time);
        self.approach();
    }

    fn leave_hit(&mut self) {
        if let Some(finder) = &mut self.finder {
            finder.leave();
        }
    }

    pub(super) fn remember(&mut self) {
        let here = self.replay.time();
        if self.undo.last() != Some(&here) {
            self.undo.push(here);
        }
        let over = self.undo.len().saturating_sub(UNDO);
        self.undo.drain(..over);
    }

    // Keys.

    fn key(&mut self, key: &KeyEvent, effects: &mut Vec<Effect>) {
        if let Some(mut prompt) = self.prompt.take() {
            match prompt.key(key) {
                Typed::More => self.prompt = Some(prompt),
                Typed::Done => self.typed(&prompt, effects),
                Typed::Cancelled => {}
            }
            return;
        }
        if self.list_key(key, effects) {
            return;
        }
        let Some(action) = keymap::action(key) else { return };
        if action == Action::Quit {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            if !matches!(self.over, Over::None) && !control {
                self.over = Over::None;
            } else {
                effects.push(if self.from_browser && !control { Effect::Close } else { Effect::Quit });
            }
            return;
        }
        self.act(action);
    }

    fn act(&mut self, action: Action) {
        let (now, duration) = (self.replay.time(), self.replay.outline().duration());
        match action {
            Action::Pause => {
                self.playing = !self.playing;
                if self.playing && now >= duration && !self.grows {
                    self.jump(Duration::ZERO);
                }
            }
            Action::Seconds(by) => self.jump(shifted(now, Duration::from_secs(by.unsigned_abs()), by < 0)),
            Action::Tenth(by) => self.jump(shifted(now, duration / 10, by < 0)),
            Action::Part(part) => self.jump(duration.mul_f64(f64::from(part) / 10.0)),
            Action::Start => self.jump(Duration::ZERO),
            Action::End => self.jump(duration),
            Action::Goto => self.ask(Purpose::Goto, ""),
            Action::FrameBack | Action::FrameForward => {
                self.playing = false;
                self.follow = false;
                self.leave_hit();
                let forward = action == Action::FrameForward;
                if forward {
                    self.replay.aim_forward();
                } else {
                    self.replay.aim_back();
                }
                if self.replay.approach(&mut self.budget) == Progress::Arrived {
                    if !self.replay.is_changed() {
                        self.note = Some((if forward { "the end" } else { "the start" }.to_string(), false));
                    }
                    // On the way back everything is said once more, from where that way begins.
                    if forward {
                        self.hear();
                    } else {
                        self.replay.take_said();
                    }
                }
            }
            Action::Slower | Action::Faster => self.speed = stepped(self.speed, action == Action::Faster),
            Action::Normal => self.speed = 1.0,
            Action::CommandBefore | Action::CommandAfter => {
                let to = if action == Action::CommandAfter {
                    self.replay.command_after()
                } else {
                    self.replay.command_before()
                };
                match to {
                    Some(time) => self.jump(time),
                    None => self.note = Some(("no such command".to_string(), false)),
                }
            }
            Action::Idle => {
                self.idle = if matches!(self.idle, Idle::Limited(_)) {
                    Idle::Kept
                } else {
                    Idle::Limited(super::app::IDLE_LIMIT)
                };
            }
            Action::Logarithmic => {
                self.idle = if self.idle == Idle::Logarithmic { Idle::Kept } else { Idle::Logarithmic };
            }
            Action::Find => self.ask(Purpose::Find { forward: true }, ""),
            Action::FindBack => self.ask(Purpose::Find { forward: false }, ""),
            Action::Next | Action::Previous => self.next_hit(action == Action::Next),
            Action::Scope => {
                self.scope = self.scope.next();
                if let Some(finder) = &self.finder {
                    self.finder = Some(Finder::new(finder.pattern.clone(), self.scope, finder.forward));
                }
                self.note = Some((format!("searching in: {}", self.scope.name()), false));
            }
            Action::Hits => {
                let at = self.finder.as_ref().and_then(|finder| finder.nearest(now));
                self.over = Over::Hits(at.unwrap_or(0));
            }
            Action::Commands if self.places.commands.width > 0 || !self.pane => self.pane = !self.pane,
            Action::Commands => {
                let ms = millis(now);
                let at = self.replay.outline().commands.partition_point(|command| command.start <= ms);
                self.over = Over::Commands(at.saturating_sub(1));
            }
            Action::Transcript => {
                let sought = self.finder.as_ref().and_then(|finder| finder.line_at(now));
                let mut pages = Pages::new(&self.replay, sought);
                pages.work(&mut self.replay, &mut self.budget);
                self.over = Over::Transcript(Box::new(pages));
            }
            Action::Keystrokes => self.keystrokes = !self.keystrokes,
            Action::Mark => self.ask(Purpose::Mark, ""),
            Action::Marks => self.over = Over::Marks(0),
            Action::Undo => match self.undo.pop() {
                Some(time) => self.set_out(time),
                None => self.note = Some(("no jump to undo".to_string(), false)),
            },
            Action::PanLeft | Action::PanRight | Action::PanUp | Action::PanDown => self.pan_by(action),
            Action::PanCursor => self.pan = Pan::Cursor,
            Action::Export => {
                let from =
                    self.marks.iter().map(|mark| Duration::from_millis(mark.at)).filter(|at| *at < now).max();
                // To the next tenth: what is in view belongs to it.
                let to = now.saturating_add(Duration::from_millis(99));
                let range = format!("{}..{}", times::tenths(from.unwrap_or_default()), times::tenths(to));
                self.ask(Purpose::Export, &range);
            }
            Action::Follow => {
                self.follow = !self.follow;
                if self.follow {
                    self.remember();
                    self.set_out(duration);
                    self.follow_on();
                }
            }
            Action::Reveal => self.reveal = !self.reveal,
            Action::Events => self.over = Over::Events,
            Action::Help => self.over = Over::Help(0),
            // Handled where the key was read.
            Action::Quit => {}
        }
    }

    fn ask(&mut self, purpose: Purpose, text: &str) {
        self.prompt = Some(Prompt::new(purpose, text));
    }

    fn pan_by(&mut self, action: Action) {
        let (cols, rows) = self.replay.terminal().size();
        let (wide, high) = (self.places.screen.width.max(1), self.places.screen.height.max(1));
        let (x, y) = self.panned();
        let (right, down) = (cols.saturating_sub(wide), rows.saturating_sub(high));
        let (step, jump) = (wide.div_ceil(4), high.div_ceil(4));
        self.pan = match action {
            Action::PanLeft => Pan::At(x.saturating_sub(step), y),
            Action::PanRight => Pan::At((x + step).min(right), y),
            Action::PanUp => Pan::At(x, y.saturating_sub(jump)),
            _ => Pan::At(x, (y + jump).min(down)),
        };
    }

    /// Brings some cells of a row into view, if they are not.
    pub(super) fn pan_to(&mut self, row: u16, from: u16, to: u16) {
        let (wide, high) = (self.places.screen.width.max(1), self.places.screen.height.max(1));
        let (x, y) = self.panned();
        // The beginning of what is wider than the view, and nothing moves that need not.
        let left = x.max(to.saturating_sub(wide)).min(from);
        let top = y.max((row + 1).saturating_sub(high)).min(row);
        if (left, top) != (x, y) {
            self.pan = Pan::Hit(self.replay.time(), left, top);
        }
    }

    /// The upper left cell in view.
    pub(super) fn panned(&self) -> (u16, u16) {
        let (cols, rows) = self.replay.terminal().size();
        let (wide, high) = (self.places.screen.width.max(1), self.places.screen.height.max(1));
        let (right, down) = (cols.saturating_sub(wide), rows.saturating_sub(high));
        let (x, y) = match self.pan {
            Pan::At(x, y) => (x, y),
            Pan::Hit(at, x, y) if at == self.replay.time() => (x, y),
            Pan::Cursor | Pan::Hit(..) => {
                let cursor = self.replay.terminal().cursor();
                // A little beyond the cursor is shown where there is more.
                let x = if cursor.col < wide { 0 } else { (cursor.col + wide / 4).saturating_sub(wide - 1) };
                (x, (cursor.row + 1).saturating_sub(high))
            }
        };
        (x.min(right), y.min(down))
    }

    fn typed(&mut self, prompt: &Prompt, effects: &mut Vec<Effect>) {
        let text = prompt.text.trim();
        let (now, outline) = (self.replay.time(), self.replay.outline());
        match prompt.purpose {
            Purpose::Goto => match times::parse(text, now, outline) {
                Ok(asked) => {
                    self.jump(asked.at);
                    self.note = asked.told().map(|told| (told, true));
                }
                Err(error) => self.note = Some((error, true)),
            },
            Purpose::Find { forward } => {
                let again = self.finder.as_ref().map(|finder| finder.pattern.clone());
                let pattern = match (Pattern::new(&prompt.text), again) {
                    (Ok(pattern), _) => pattern,
                    (Err(_), Some(again)) if prompt.text.is_empty() => again,
                    (Err(error), _) => return self.note = Some((error, true)),
                };
                self.seek_hits(pattern, forward);
            }
            Purpose::Mark => {
                let mark = Mark { at: millis(now), note: text.to_string() };
                let at = self.marks.partition_point(|other| other.at <= mark.at);
                self.marks.insert(at, mark);
                effects.push(Effect::SaveMarks(self.marks.clone()));
            }
            Purpose::Export => match range(text, now, outline) {
                Ok((from, to, file)) => effects.push(Effect::Export { from, to, file }),
                Err(error) => self.note = Some((error, true)),
            },
            Purpose::Filter => {}
        }
    }
}

pub(super) fn shifted(now: Duration, by: Duration, back: bool) -> Duration {
    if back { now.saturating_sub(by) } else { now.saturating_add(by) }
}

/// `FROM..TO [FILE]`.
fn range(
    text: &str,
    now: Duration,
    outline: &crate::replay::Outline,
) -> Result<(Duration, Duration, Option<String>), String> {
    let (from, rest) =
        text.split_once("..").ok_or("a range is FROM..TO and a file name: 0:12..6:39 part.cast")?;
    let (to, file) = match rest.trim().split_once(' ') {
        Some((to, file)) => (to, Some(file.trim().to_string())),
        None => (rest, None),
    };
    let (first, last) = (times::parse(from, now, outline)?, times::parse(to, now, outline)?);
    // One that reaches over the end of the recording ends there; there is nothing of one that begins outside.
    if let Some(told) = first.outside.or(last.outside.filter(|_| last.at.is_zero())) {
        return Err(told);
    }
    let (from, to) = (first.at, last.at);
    if from > to {
        return Err(format!("{} comes after {}", times::tenths(from), times::tenths(to)));
    }
    Ok((from, to, file))
}
