//! The state of the player, what can happen to it, and what it asks of the outside.

use super::browser::Browser;
use super::find::{Finder, Pattern, Scope};
use super::pages::Pages;
use super::prompt::Prompt;
use super::times;
use crate::cast::Payload;
use crate::replay::{Budget, Idle, Place, Replay, Source};
use crate::text::Escaped;
use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Rect;
use std::time::Duration;

/// Jumps that can be undone.
pub(super) const UNDO: usize = 100;
/// What one message may cost, in the units of [`Budget`]: some milliseconds. What takes longer is done in slices, so that a
/// key is answered whatever a recording holds.
pub(super) const SLICE: u64 = 4 << 20;
/// How often a running session is looked at.
pub(super) const REFRESH: Duration = Duration::from_millis(250);
/// Stretches longer than this are skipped, when idle time is skipped.
pub const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// Something the program said to the terminal.
pub(super) struct Heard {
    /// See [`crate::replay::Said`].
    pub(super) until: (Place, usize),
    pub(super) time: Duration,
    pub(super) text: String,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Message {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// This much of the viewer's time has passed.
    Tick(Duration),
    /// There is time to go on with what takes long (see [`App::is_working`]).
    Work,
    /// The verdict on the file that was asked for under this number: see [`App::awaits`].
    Integrity(u64, Integrity),
    /// Something asked for has been done, or could not be.
    Told(Result<String, String>),
    /// Of what the browser asked for under this number: the recording in this row matches.
    Matches(u64, usize),
    /// What the browser asked for under this number has been searched, as far as it could be.
    Searched(u64, Unsearched),
    /// Somebody wants the player to end: a signal.
    Leave,
}

/// How many recordings could not be searched, of those that were to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsearched {
    /// Not read whole.
    pub in_part: usize,
    /// Not opened by any key.
    pub unopened: usize,
}

/// What the player asks of the outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is over.
    Quit,
    /// Back to the browser.
    Close,
    /// Open the recording in this row of the browser.
    Open(usize),
    /// Search the recordings of the browser; a search that was asked for before is not wanted any more.
    Narrow {
        /// A number for the answers.
        asked: u64,
        /// What for, see [`super::query`]; empty for nothing.
        filter: String,
        /// Also in what was shown and typed.
        inside: bool,
    },
    /// Keep these marks beside the recording.
    SaveMarks(Vec<Mark>),
    /// The recording that was running has been closed, or its recorder is gone: judge it anew.
    Judge,
    /// Export a range to a file; without a name, to one of the exporter's choice.
    Export {
        /// From this time on.
        from: Duration,
        /// Up to this time.
        to: Duration,
        /// File name as typed.
        file: Option<String>,
    },
}

/// A mark of the viewer's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// Milliseconds since the start of the session.
    pub at: u64,
    /// The viewer's note.
    pub note: String,
}

/// How far the recording can be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Integrity {
    /// It is being checked.
    #[default]
    Checking,
    /// Closed and every byte signed.
    Good(String),
    /// Something to know: torn, running, signed by an unknown key.
    Doubtful(String),
    /// Altered.
    Bad(String),
}

impl Integrity {
    /// The words to show.
    pub fn text(&self) -> &str {
        match self {
            Self::Checking => "checking…",
            Self::Good(text) | Self::Doubtful(text) | Self::Bad(text) => text,
        }
    }
}

/// Colours that the viewer's terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Any.
    #[default]
    True,
    /// 256.
    Indexed,
    /// 16.
    Sixteen,
    /// None.
    Mono,
}

/// Who and what, for the header line. Text from a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// `alice → root`.
    pub who: String,
    /// Host.
    pub host: String,
    /// Why: ticket and reason.
    pub why: String,
}

/// What lies over the screen, if anything.
pub(super) enum Over {
    None,
    Help(usize),
    Transcript(Box<Pages>),
    Hits(usize),
    Marks(usize),
    Commands(usize),
    Events,
}

/// Where the parts of the view are, for the mouse and for pages of lists.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) screen: Rect,
    /// The screen has a frame, which tells its size.
    pub(super) framed: bool,
    pub(super) timeline: Rect,
    pub(super) commands: Rect,
    /// First command shown.
    pub(super) first_command: usize,
    pub(super) list: Rect,
    /// First row shown of a list.
    pub(super) first_row: usize,
}

/// How the screen is panned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pan {
    /// The cursor stays in view.
    #[default]
    Cursor,
    /// The upper left cell in view.
    At(u16, u16),
    /// The same, for a hit that stands outside of what would be in view, until another moment is shown.
    Hit(Duration, u16, u16),
}

/// A recording being watched.
pub struct App<S> {
    pub(super) replay: Replay<S>,
    pub(super) title: Title,
    pub(super) integrity: Integrity,
    /// Number of the verdict that counts.
    awaited: u64,
    pub(super) depth: Depth,
    pub(super) playing: bool,
    pub(super) speed: f64,
    pub(super) idle: Idle,
    /// Pinned to the end.
    pub(super) follow: bool,
    /// It may still be written.
    pub(super) grows: bool,
    /// It could not be read on; it is not followed any more, but whether somebody writes it is looked at.
    pub(super) stopped: bool,
    /// Time since the running session was last looked at.
    pub(super) since_refresh: Duration,
    pub(super) over: Over,
    pub(super) prompt: Option<Prompt>,
    pub(super) scope: Scope,
    pub(super) finder: Option<Finder>,
    /// A search has been asked for and its first hit not been shown.
    pub(super) wanted: bool,
    pub(super) marks: Vec<Mark>,
    pub(super) undo: Vec<Duration>,
    pub(super) pan: Pan,
    pub(super) reveal: bool,
    pub(super) keystrokes: bool,
    pub(super) pane: bool,
    pub(super) note: Option<(String, bool)>,
    /// What was wrong, and what could not be read, as it was told last.
    unreadable: [Option<String>; 2],
    /// Idle time that was just passed over, and how long that has been shown.
    pub(super) skipped: Option<(Duration, Duration)>,
    /// What the program said to the terminal, in the order in which it was heard last.
    pub(super) heard: Vec<Heard>,
    pub(super) from_browser: bool,
    /// What is searched for where the next hit is asked for and nothing has been.
    pub(super) offered: Option<Pattern>,
    pub(super) places: Places,
    /// What may be done before the next message; each is given [`SLICE`] anew.
    pub(super) budget: Budget,
}

impl<S: Source> App<S> {
    /// Playing from the start. `marks` are the viewer's, kept beside the recording.
    pub fn new(source: S, title: Title, depth: Depth, marks: Vec<Mark>) -> Self {
        let mut replay = Replay::new(source);
        replay.aim(Duration::ZERO);
        let mut budget = Budget::new(SLICE);
        replay.approach(&mut budget);
        replay.take_said();
        Self {
            replay,
            title,
            integrity: Integrity::default(),
            awaited: 0,
            depth,
            playing: true,
            speed: 1.0,
            idle: Idle::Limited(IDLE_LIMIT),
            follow: false,
            grows: false,
            stopped: false,
            since_refresh: Duration::ZERO,
            over: Over::None,
            prompt: None,
            scope: Scope::default(),
            finder: None,
            wanted: false,
            marks,
            undo: Vec::new(),
            pan: Pan::default(),
            reveal: false,
            keystrokes: false,
            pane: true,
            note: None,
            unreadable: [None, None],
            skipped: None,
            heard: Vec::new(),
            from_browser: false,
            offered: None,
            places: Places::default(),
            budget,
        }
    }

    /// At this speed, and with this limit of idle stretches instead of the usual one.
    pub fn paced(mut self, speed: f64, limit: Option<Duration>) -> Self {
        self.speed = speed;
        if let Some(limit) = limit {
            self.idle = Idle::Limited(limit);
        }
        self
    }

    /// Starts at a time, paused.
    pub fn at(mut self, time: Duration) -> Self {
        self.begin_at(time);
        self.playing = false;
        self
    }

    /// Starts at a time as it is typed (see [`super::parse_first`]), paused. Says it where that lies outside.
    ///
    /// # Errors
    /// One line that says what can be typed.
    pub fn at_typed(self, text: &str) -> Result<Self, String> {
        let asked = times::parse_first(text, self.replay.outline())?;
        let mut app = self.at(asked.at);
        app.note = asked.told().map(|told| (told, true));
        Ok(app)
    }

    /// Sets out for a time; the first slice of the way is gone at once.
    fn begin_at(&mut self, time: Duration) {
        self.budget = Budget::new(SLICE);
        self.replay.aim(time);
        self.replay.approach(&mut self.budget);
    }

    /// Follows a running session from its end.
    pub fn following(mut self) -> Self {
        let end = self.replay.outline().duration();
        self.begin_at(end);
        self.follow_on();
        self
    }

    /// Stays at the end, to which it is on its way, while that moves; where nothing more can come, it says so instead.
    pub(super) fn follow_on(&mut self) {
        let ended = self.replay.source_ref().is_ended();
        (self.follow, self.playing) = (!ended, !ended);
        if ended {
            self.tell_end();
        } else {
            (self.grows, self.stopped) = (true, false);
            // Looked at on the next tick.
            self.since_refresh = REFRESH;
        }
    }

    /// The session that was followed is over: whoever watches must not take it for idle.
    pub(super) fn tell_end(&mut self) {
        self.follow = false;
        let status = self.replay.outline().exit.map(|status| format!(": exit status {status}"));
        self.note = Some((format!("the session has ended{}", status.unwrap_or_default()), false));
    }

    /// Says what is wrong, until the next key.
    pub fn warn(&mut self, what: String) {
        self.note = Some((what, true));
    }

    /// From now on the verdict of this number counts and no other: one that comes late may be about another recording, or about
    /// this one as it was before.
    pub fn awaits(&mut self, verdict: u64) {
        self.awaited = verdict;
    }

    /// Takes the verdict of this number, if it is the one that counts.
    pub(super) fn judged(&mut self, number: u64, verdict: Integrity) {
        if number == self.awaited {
            self.integrity = verdict;
        }
    }

    /// It was opened from the browser: leaving goes back there, and the next hit is one of what the list was narrowed to.
    pub fn of_browser(mut self, sought: Option<Pattern>) -> Self {
        self.from_browser = true;
        self.offered = sought;
        self
    }

    /// Whether time is passing or work is waiting: the loop then comes back soon.
    pub fn is_busy(&self) -> bool {
        self.playing || self.is_working()
    }

    /// Whether something waits to be gone on with: a seek, a search, a transcript.
    pub fn is_working(&self) -> bool {
        self.replay.underway()
            || self.finder.as_ref().is_some_and(|finder| !finder.is_done() || finder.is_showing())
            || matches!(&self.over, Over::Transcript(pages) if pages.is_reading())
    }

    /// Tells of a part that could not be read: what is shown then passes over it. Or of one of which nothing is missing.
    pub(super) fn tell_fault(&mut self) {
        let wrong =
            self.replay.wrong().map(|why| format!("a part is damaged, though all of it can be read: {why}"));
        let of_content = self.replay.fault().map(|why| format!("a part cannot be read: {why}"));
        for (fault, told) in [wrong, of_content].into_iter().zip(&mut self.unreadable) {
            if fault.is_some() && fault != *told {
                self.note = fault.clone().map(|why| (why, true));
                *told = fault;
            }
        }
    }

    /// What was typed up to now, the newest at the end, as much as fits into `width` columns.
    pub(super) fn recent_input(&mut self, width: usize) -> String {
        let place = self.replay.place();
        let segment = self.replay.segment(place.segment);
        let mut typed = String::new();
        for event in segment.events.iter().take(place.event).rev() {
            match &event.payload {
                Payload::Input(bytes) => {
                    // Of a large paste the end is enough: a character has at most four bytes.
                    let end = bytes.get(bytes.len().saturating_sub(4 * width)..).unwrap_or_default();
                    typed.insert_str(0, &Escaped(end).to_string());
                }
                Payload::Withheld(count) => typed.insert_str(0, &format!("[{count}× withheld] ")),
                _ => continue,
            }
            if typed.chars().count() >= width {
                break;
            }
        }
        let skip = typed.chars().count().saturating_sub(width.saturating_sub(10));
        typed.chars().skip(skip).collect()
    }

    /// The replay, to look at.
    pub fn replay(&self) -> &Replay<S> {
        &self.replay
    }
}

/// What is on the viewer's terminal.
pub enum Scene<S> {
    /// The store.
    Browser(Box<Browser>),
    /// A recording.
    Watching(Box<App<S>>),
}
