//! The player breaks, in a process of its own: the terminal is given back first, and then it is said why.

use super::drawing::draws_only;
use super::viewer::Viewer;
use crate::support::terminal::Terminal;
use sealcast::cast::{Event as CastEvent, Payload};
use sealcast::player::{App, Depth, Host, Mark, Scene, Stage, Title};
use sealcast::replay::{Memory, Outline, Segment, Source};
use sealcast::sys::tty::Size;
use std::time::Duration;

/// A recording whose second part breaks the player: first on another thread, then on its own.
struct Breaks(Memory);

impl Source for Breaks {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }

    fn segment(&mut self, number: usize) -> Result<Segment, sealcast::replay::Error> {
        if number > 0 {
            let elsewhere = std::thread::spawn(|| panic!("heard by nobody"));
            assert!(elsewhere.join().is_err());
            panic!("the second part is \x1b[2J broken");
        }
        self.0.segment(number)
    }

    fn refresh(&mut self) -> Result<bool, sealcast::replay::Error> {
        Ok(false)
    }
}

impl Host<Breaks> for () {
    fn narrow(&mut self, _: u64, _: &str, _: bool) {}

    fn open(&mut self, _: usize) -> Result<App<Breaks>, String> {
        Err("there is no other".into())
    }
    fn save_marks(&mut self, marks: &[Mark]) -> Result<Vec<Mark>, String> {
        Ok(marks.to_vec())
    }
    fn judge(&mut self) -> Option<u64> {
        None
    }
    fn export(&mut self, _: Duration, _: Duration, _: Option<&str>) -> Result<String, String> {
        Ok(String::new())
    }
}

#[test]
fn the_terminal_is_given_back_after_a_panic_which_speaks_only_then() {
    const INSIDE: &str = "PLAYER_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        // This is the child, in a terminal of its own.
        let output = |ms, text: &str| {
            CastEvent::new(Duration::from_millis(ms), Payload::Output(text.as_bytes().to_vec()))
        };
        let source = Breaks(Memory::new((80, 24), None, vec![output(0, "shown"), output(900, "never")], 1));
        let app = App::new(source, Title::default(), Depth::True, Vec::new());
        let (_words, inbox) = std::sync::mpsc::channel();
        let mut stage = Stage::new(std::io::stdout()).unwrap();
        let _ = sealcast::player::run(&mut stage, Scene::Watching(Box::new(app)), &mut (), &inbox, &|| false);
        unreachable!("the player went on");
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "player::panics::the_terminal_is_given_back_after_a_panic_which_speaks_only_then"]);
    command.args(["--nocapture", "--test-threads=1"]);
    command.env(INSIDE, "1").env("TERM", "xterm-256color").env("PATH", "/usr/bin:/bin");
    let size = Size { cols: 80, rows: 24, width: 0, height: 0 };
    let mut viewer = Viewer { terminal: Terminal::start(&command, size), size: (80, 24) };
    viewer.terminal.wait_for("error: the player failed: ");
    assert!(!viewer.terminal.wait_end().success());
    viewer.is_given_back();
    let transcript = viewer.terminal.transcript();
    let text = String::from_utf8_lossy(transcript);
    let left = text.rfind("\x1b[?1049l").unwrap();
    assert!(left < text.find("the player failed").unwrap(), "{text:?}");
    assert!(
        text.contains("the second part is \\x1b[2J broken") && !text.contains("heard by nobody"),
        "{text:?}"
    );
    // Up to there nothing but drawing was written: the harness had its say before, on the first screen.
    let entered = text.find("\x1b[?1049h").unwrap();
    draws_only(&text.as_bytes()[entered..left]);
}
