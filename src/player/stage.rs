//! The viewer's terminal: taken, drawn on, and given back whatever happens.
//!
//! Given back after `q`, after a signal, after a panic (by `Drop`) and when the terminal is closed. Nothing but the player's
//! own drawing is written to it: what a panic has to say waits until the terminal is as it was.

use super::app::{App, Effect, Mark, Message, Scene};
use super::browser::Browser;
use super::view;
use crate::replay::Source;
use crate::sys::poll::{Ready, Set};
use crate::sys::tty::Size;
use crossterm::event::{self, Event, KeyEventKind};
use crossterm::{execute, terminal as tty};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// Time between two frames while something moves.
const FRAME: Duration = Duration::from_millis(33);
/// How much of it is spent on what takes long.
const WORK: Duration = Duration::from_millis(25);
/// How often a signal or a word from outside is looked for while nothing moves.
const REST: Duration = Duration::from_millis(100);
/// Keys that are taken in before the next frame.
const AT_ONCE: usize = 256;
/// Messages of others that are: of a large store a search finds thousands in a moment.
const HEARD: usize = 4096;
/// How long crossterm is let look for a key that is there: given no time at all it does not look.
const LOOK: Duration = Duration::from_micros(100);

/// Why the player could not go on.
#[derive(Debug)]
pub struct StageError(io::Error);

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot use the terminal")
    }
}

impl std::error::Error for StageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<io::Error> for StageError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// What the player cannot do itself.
pub trait Host<S> {
    /// Opens the recording in a row of the browser, and begins to find its verdict, which the recording [awaits](App::awaits)
    /// under a number that no other has.
    ///
    /// # Errors
    /// One line for people.
    fn open(&mut self, row: usize) -> Result<App<S>, String>;

    /// Begins to search the recordings of the browser, as [`Effect::Narrow`] says, and ends an earlier search; answers come as
    /// [`Message::Matches`] and [`Message::Searched`].
    fn narrow(&mut self, asked: u64, filter: &str, inside: bool);

    /// Keeps what the viewer changed of the marks beside the recording that is watched. Gives those that are there now: others
    /// may set some as well.
    ///
    /// # Errors
    /// One line for people.
    fn save_marks(&mut self, marks: &[Mark]) -> Result<Vec<Mark>, String>;

    /// Begins to find the verdict on the recording that is watched anew; gives its number, as no other has. It comes as
    /// [`Message::Integrity`]. Without a number, an earlier verdict stands.
    fn judge(&mut self) -> Option<u64>;

    /// Begins to export a range of the recording that is watched; gives one line that says so. How it ended comes as a
    /// message.
    ///
    /// # Errors
    /// One line for people.
    fn export(&mut self, from: Duration, to: Duration, file: Option<&str>) -> Result<String, String>;
}

/// Where keys come from: looked at before crossterm reads, to which a terminal that was closed is one where nobody types.
///
/// It reads with `poll` (`use-dev-tty`), not with its other source, an edge-triggered `epoll` of which each call takes 1,024
/// bytes: what was left of a paste, or came together with a change of the size, stood still until the next key.
enum Input {
    Stdin(io::Stdin),
    /// Standard input is something else.
    Tty(File),
}

impl Input {
    fn new() -> io::Result<Self> {
        let stdin = io::stdin();
        if stdin.is_terminal() { Ok(Self::Stdin(stdin)) } else { Ok(Self::Tty(File::open("/dev/tty")?)) }
    }

    /// Waits until a key was pressed, or for this long.
    fn wait(&self, time: Duration) -> io::Result<Ready> {
        let mut set = Set::default();
        let slot = match self {
            Self::Stdin(stdin) => set.add(stdin, true, false),
            Self::Tty(tty) => set.add(tty, true, false),
        };
        set.wait(Some(time)).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(set.ready(slot))
    }
}

/// Whether a stage is taken, and what the last panic meanwhile said.
static PANICS: Panics = Panics { staged: AtomicBool::new(false), said: Mutex::new(None) };

struct Panics {
    staged: AtomicBool,
    said: Mutex<Option<String>>,
}

impl Panics {
    /// From now on a panic says nothing on the stage, be it caught, on another thread, or the end.
    fn keep_quiet(&'static self) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if self.staged.load(Ordering::Relaxed) {
                    *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
                } else {
                    before(panic);
                }
            }));
        });
        self.staged.store(true, Ordering::Relaxed);
    }

    /// What the last panic said; from now on panics speak for themselves.
    fn heard(&self) -> Option<String> {
        self.staged.store(false, Ordering::Relaxed);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The viewer's terminal, in raw mode and on its alternate screen, until this is dropped.
pub struct Stage<W: Write> {
    terminal: Terminal<CrosstermBackend<W>>,
    input: Input,
}

impl<W: Write> Stage<W> {
    /// Takes the terminal behind `out`.
    ///
    /// # Errors
    /// It is not a terminal, or it cannot be used.
    pub fn new(out: W) -> Result<Self, StageError> {
        let input = Input::new()?;
        tty::enable_raw_mode()?;
        PANICS.keep_quiet();
        // Each frame gives it its size: left to itself it would draw nothing on a terminal that does not say it.
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::ZERO) };
        // From here on `Drop` gives it back.
        let mut stage = match Terminal::with_options(CrosstermBackend::new(out), options) {
            Ok(terminal) => Self { terminal, input },
            Err(error) => {
                PANICS.heard();
                tty::disable_raw_mode()?;
                return Err(error.into());
            }
        };
        // Not `Terminal::clear`: that asks the terminal where its cursor is, and not every terminal answers.
        execute!(
            stage.terminal.backend_mut(),
            tty::EnterAlternateScreen,
            tty::Clear(tty::ClearType::All),
            event::EnableMouseCapture
        )?;
        Ok(stage)
    }
}

impl<W: Write> Drop for Stage<W> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = execute!(
            self.terminal.backend_mut(),
            event::DisableMouseCapture,
            tty::LeaveAlternateScreen,
            crossterm::cursor::Show
        );
        let _ = tty::disable_raw_mode();
        if let Some(said) = PANICS.heard().filter(|_| std::thread::panicking()) {
            let said = crate::text::escaped(&said);
            let _ = writeln!(
                self.terminal.backend_mut(),
                "error: the player failed: {said}\nhint: the recording is not concerned; please report this"
            );
            let _ = Write::flush(self.terminal.backend_mut());
        }
    }
}

/// Plays until the viewer leaves. `inbox` brings what others found out (integrity); `stopped` tells
/// that a signal asks for the end.
///
/// # Errors
/// The terminal cannot be used any more.
pub fn run<S: Source, W: Write>(
    stage: &mut Stage<W>,
    mut scene: Scene<S>,
    host: &mut dyn Host<S>,
    inbox: &Receiver<Message>,
    stopped: &dyn Fn() -> bool,
) -> Result<(), StageError> {
    let mut waiting: Option<Box<Browser>> = None;
    let mut before = Instant::now();
    let mut more = false;
    loop {
        draw(&mut stage.terminal, &mut scene)?;
        let busy = matches!(&scene, Scene::Watching(app) if app.is_busy());
        let mut messages = Vec::new();
        let spent = before.elapsed();
        let wait = match () {
            () if more => Duration::ZERO,
            () if busy => FRAME.saturating_sub(spent),
            () => REST,
        };
        if stage.input.wait(wait)?.gone || stopped() {
            return Ok(());
        }
        // What has piled up is taken at once: one frame for all of it.
        while messages.len() < AT_ONCE && event::poll(LOOK)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => messages.push(Message::Key(key)),
                Event::Mouse(mouse) => messages.push(Message::Mouse(mouse)),
                // The next frame asks for the size.
                _ => {}
            }
        }
        // The rest may have been read already, and be nothing to wait for.
        more = messages.len() == AT_ONCE;
        more |= take_some(inbox, &mut messages);
        let now = Instant::now();
        messages.push(Message::Tick(now.duration_since(before)));
        before = now;
        for message in messages {
            if !take_in(message, &mut scene, &mut waiting, host) {
                return Ok(());
            }
        }
        // What takes long goes on until the next frame is due, or somebody wants something.
        if let Scene::Watching(app) = &mut scene {
            while app.is_working()
                && !more
                && before.elapsed() < WORK
                && !stage.input.wait(Duration::ZERO)?.read
            {
                app.update(Message::Work);
            }
        }
    }
}

/// Takes messages of others, as many as may be; gives whether there may be more.
fn take_some(inbox: &Receiver<Message>, messages: &mut Vec<Message>) -> bool {
    let before = messages.len();
    messages.extend(inbox.try_iter().take(HEARD));
    messages.len() - before == HEARD
}

/// Gives a message to whom it concerns, and does what is asked for then; `false` when it is over.
fn take_in<S: Source>(
    message: Message,
    scene: &mut Scene<S>,
    waiting: &mut Option<Box<Browser>>,
    host: &mut dyn Host<S>,
) -> bool {
    if let Message::Matches(..) | Message::Searched(..) = &message {
        // The browser takes them also while it waits behind a recording.
        if let Scene::Browser(browser) = scene {
            browser.hear(&message);
        } else if let Some(browser) = waiting {
            browser.hear(&message);
        }
        return true;
    }
    let effects = match scene {
        Scene::Browser(browser) => match &message {
            Message::Key(key) => browser.key(key).into_iter().collect(),
            Message::Leave => vec![Effect::Quit],
            _ => Vec::new(),
        },
        Scene::Watching(app) => app.update(message),
    };
    effects.into_iter().all(|effect| carry_out(effect, scene, waiting, host))
}

/// Does what was asked; `false` when it is over.
fn carry_out<S: Source>(
    effect: Effect,
    scene: &mut Scene<S>,
    waiting: &mut Option<Box<Browser>>,
    host: &mut dyn Host<S>,
) -> bool {
    let told = match effect {
        Effect::Quit => return false,
        Effect::Close => match waiting.take() {
            Some(browser) => {
                *scene = Scene::Browser(browser);
                return true;
            }
            None => return false,
        },
        Effect::Open(row) => {
            match host.open(row) {
                Ok(app) => {
                    let sought = if let Scene::Browser(browser) = scene { browser.sought() } else { None };
                    if let Scene::Browser(browser) =
                        std::mem::replace(scene, Scene::Watching(Box::new(app.of_browser(sought))))
                    {
                        *waiting = Some(browser);
                    }
                }
                Err(error) => {
                    if let Scene::Browser(browser) = scene {
                        browser.tell(error);
                    }
                }
            }
            return true;
        }
        Effect::Narrow { asked, filter, inside } => {
            host.narrow(asked, &filter, inside);
            return true;
        }
        Effect::Judge => {
            let number = host.judge();
            if let (Scene::Watching(app), Some(number)) = (scene, number) {
                app.awaits(number);
            }
            return true;
        }
        Effect::SaveMarks(marks) => host.save_marks(&marks).map(|marks| {
            if let Scene::Watching(app) = scene {
                app.marks = marks;
            }
            "marked, beside the recording".to_string()
        }),
        Effect::Export { from, to, file } => host.export(from, to, file.as_deref()),
    };
    if let Scene::Watching(app) = scene {
        app.update(Message::Told(told));
    }
    true
}

fn draw<S: Source, B: Backend<Error = io::Error>>(
    terminal: &mut Terminal<B>,
    scene: &mut Scene<S>,
) -> Result<(), StageError> {
    let told = terminal.size()?;
    let size = Size { cols: told.width, rows: told.height, ..Size::default() }.assumed();
    let area = Rect::new(0, 0, size.cols, size.rows);
    if terminal.get_frame().area() != area {
        terminal.resize(area)?;
    }
    terminal.draw(|frame| {
        let area = frame.area();
        let cursor = match scene {
            Scene::Browser(browser) => view::browser(browser, area, frame.buffer_mut()),
            Scene::Watching(app) => view::player(app, area, frame.buffer_mut()),
        };
        if let Some(cursor) = cursor {
            frame.set_cursor_position(cursor);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Event as CastEvent, Payload};
    use crate::player::{Depth, Integrity, Row, Title};
    use crate::replay::{Error, Memory, Outline, Segment};
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    /// A session that is over when it is looked at again.
    struct Ending(Memory, bool);

    impl Source for Ending {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }

        fn segment(&mut self, number: usize) -> Result<Segment, Error> {
            self.0.segment(number)
        }

        fn is_ended(&self) -> bool {
            self.1
        }

        fn refresh(&mut self) -> Result<bool, Error> {
            self.1 = true;
            Ok(false)
        }
    }

    /// Opens a recording for every row, follows what is in the last one, and counts the verdicts that were asked for.
    struct Counting(u64);

    impl Host<Ending> for Counting {
        fn open(&mut self, row: usize) -> Result<App<Ending>, String> {
            let said = CastEvent::new(Duration::ZERO, Payload::Output(format!("number {row}").into_bytes()));
            let source = Ending(Memory::new((80, 24), None, vec![said], 1), false);
            let app = App::new(source, Title::default(), Depth::True, Vec::new());
            let mut app = if row == 2 { app.following() } else { app };
            self.0 += 1;
            app.awaits(self.0);
            Ok(app)
        }

        fn narrow(&mut self, _: u64, _: &str, _: bool) {}

        fn save_marks(&mut self, marks: &[Mark]) -> Result<Vec<Mark>, String> {
            Ok(marks.to_vec())
        }

        fn judge(&mut self) -> Option<u64> {
            self.0 += 1;
            Some(self.0)
        }

        fn export(&mut self, _: Duration, _: Duration, _: Option<&str>) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[test]
    fn however_much_has_come_there_is_a_frame_in_between() {
        let (answers, inbox) = std::sync::mpsc::channel();
        for row in 0..HEARD + 10 {
            answers.send(Message::Matches(1, row)).unwrap();
        }
        let mut messages = vec![Message::Leave];
        assert!(take_some(&inbox, &mut messages) && messages.len() == 1 + HEARD);
        assert!(!take_some(&inbox, &mut messages) && messages.len() == 1 + HEARD + 10);
    }

    #[test]
    fn the_next_hit_in_a_recording_that_was_found_by_a_text_is_one_of_that_text() {
        let row = |n: usize| Row { id: format!("number{n}"), ..Row::default() };
        let browser = Browser::new((0..3).map(row).collect(), "here".into());
        let (mut scene, mut waiting, mut host) = (Scene::Browser(Box::new(browser)), None, Counting(0));
        let mut tell = |message| assert!(take_in(message, &mut scene, &mut waiting, &mut host));
        for code in "/number".chars().map(KeyCode::Char).chain([KeyCode::Enter, KeyCode::Enter]) {
            tell(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
        tell(Message::Key(KeyEvent::new(KeyCode::Char('n'), KeyModifiers::NONE)));
        let Scene::Watching(app) = &mut scene else { panic!("nothing was opened") };
        while app.is_working() {
            app.update(Message::Work);
        }
        let finder = app.finder.as_ref().map(|finder| (finder.pattern.text(), finder.hits.len()));
        assert_eq!(finder, Some(("number", 1)));
    }

    #[test]
    fn a_verdict_is_shown_on_the_recording_it_is_about_and_on_no_other() {
        let row = |n: usize| Row { id: n.to_string(), ..Row::default() };
        let browser = Browser::new((0..3).map(row).collect(), "here".into());
        let (mut scene, mut waiting, mut host) = (Scene::Browser(Box::new(browser)), None, Counting(0));
        let mut tell = |message| {
            assert!(take_in(message, &mut scene, &mut waiting, &mut host));
            let Scene::Watching(app) = &scene else { return String::new() };
            format!("{}: {}", app.replay().terminal().row_text(0), app.integrity.text())
        };
        let key = |code| Message::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let verdict = |number, text: &str| Message::Integrity(number, Integrity::Bad(text.into()));
        assert_eq!(tell(key(KeyCode::Enter)), "number 0: checking…");
        assert_eq!(tell(key(KeyCode::Char('q'))), "");
        tell(key(KeyCode::Down));
        assert_eq!(tell(key(KeyCode::Enter)), "number 1: checking…");
        // Of the first one, before the second one's and behind it.
        assert_eq!(tell(verdict(1, "first")), "number 1: checking…");
        assert_eq!(tell(verdict(2, "second")), "number 1: second");
        assert_eq!(tell(verdict(1, "first")), "number 1: second");
        // Nor does one stay for whoever is opened next, or arrive in the browser.
        assert_eq!(tell(key(KeyCode::Char('q'))), "");
        assert_eq!(tell(verdict(3, "third")), "");
        tell(key(KeyCode::Down));
        assert_eq!(tell(key(KeyCode::Enter)), "number 2: checking…");
        // It has ended meanwhile and is judged anew: how it was found before is told by nobody any more.
        assert_eq!(tell(Message::Tick(Duration::from_secs(1))), "number 2: checking…");
        assert_eq!(tell(verdict(3, "as it was")), "number 2: checking…");
        assert_eq!(tell(verdict(4, "as it is")), "number 2: as it is");
        assert_eq!(tell(verdict(3, "as it was")), "number 2: as it is");
    }
}
