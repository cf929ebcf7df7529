//! The player as somebody who sits before it has it: keys, and what stands on the screen. Waits for what is to be seen, never for a
//! time, and says what was seen instead.

use crate::home::Home;
use crate::support::DEADLINE;
use crate::support::terminal::Terminal;
use sealcast::sys::tty::Size;
use sealcast::terminal::Terminal as Screen;
use std::time::{Duration, Instant};

/// A player in a terminal of its own.
pub struct Viewer {
    pub terminal: Terminal,
    pub size: (u16, u16),
}

impl Viewer {
    pub fn start(home: &Home, args: &[&str], (cols, rows): (u16, u16)) -> Self {
        let mut command = home.command(args);
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        let size = Size { cols, rows, width: 0, height: 0 };
        Self { terminal: Terminal::start(&command, size), size: (cols, rows) }
    }

    /// What stands on the viewer's terminal.
    pub fn screen(&self) -> String {
        let mut screen = Screen::new(self.size.0, self.size.1);
        screen.feed(self.terminal.transcript());
        screen.text()
    }

    /// Waits until the screen shows something.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < end, "waited for {text:?}; the screen is\n{screen}");
            self.terminal.read_for(Duration::from_millis(50));
        }
    }

    /// Waits until the screen does not show something any more.
    #[track_caller]
    pub fn shows_no_more(&mut self, text: &str) {
        let end = Instant::now() + DEADLINE;
        while self.screen().contains(text) {
            assert!(Instant::now() < end, "{text:?} stays; the screen is\n{}", self.screen());
            self.terminal.read_for(Duration::from_millis(50));
        }
    }

    /// Tells the terminal a size, and waits until the player draws at one.
    #[track_caller]
    pub fn draws_at(&mut self, told: (u16, u16), drawn: (u16, u16)) {
        self.terminal.resize(told.0, told.1);
        self.size = drawn;
        // A key that comes together with it is not left lying.
        self.terminal.send("H");
        self.shows("help · sealcast");
        self.terminal.send("q");
        self.shows_no_more("help · sealcast");
    }

    /// Types, and waits until the screen shows something.
    #[track_caller]
    pub fn types(&mut self, keys: &str, text: &str) -> String {
        self.terminal.send(keys);
        self.shows(text)
    }

    /// The terminal is as it was before.
    #[track_caller]
    pub fn is_given_back(&mut self) {
        let transcript = String::from_utf8_lossy(self.terminal.transcript()).into_owned();
        let (entered, left) = (transcript.find("\x1b[?1049h"), transcript.rfind("\x1b[?1049l"));
        assert!(entered.is_some() && left > entered, "the alternate screen was not left");
        assert!(transcript.rfind("\x1b[?25h") > transcript.rfind("\x1b[?25l"), "the cursor is hidden");
        assert!(transcript.rfind("\x1b[?1000l") > transcript.rfind("\x1b[?1000h"), "the mouse is captured");
        assert!(!self.terminal.is_raw(), "the terminal is raw");
    }
}
