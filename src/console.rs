//! The only writer to standard output and standard error.
//!
//! Everything said through [`Console::line`], [`Console::note`] and [`Table`] has its control and deceptive characters
//! made visible, so text that came out of a recording cannot act on the terminal that shows it. Bytes as they are go
//! out by [`Console::raw`] alone. For a terminal there are colour, lines and tables folded to its width (by us: in column 0
//! stands only what is ours), and progress; for a pipe plain lines with tabs. Refuses to panic or complain when whoever was reading has gone: that is [`WriteError::Closed`].

mod fold;
mod table;

pub use table::{Column, Table};

use crate::sys::{self, fd, tty};
use crate::text::{Escaped, is_deceptive, shorten};
use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is drawn at most.
const REDRAW: Duration = Duration::from_millis(100);
/// Columns of a terminal that does not tell.
const DEFAULT_WIDTH: usize = 80;

/// Why something could not be said.
#[derive(Debug)]
pub enum WriteError {
    /// The reader has gone (a closed pipe): no fault of anyone's.
    Closed,
    /// Writing failed.
    Io(io::Error),
}

impl Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("whoever was reading the output has gone"),
            Self::Io(_) => f.write_str("cannot write to standard output"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Io(source) => Some(source),
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Io(error) }
    }
}

/// Result of saying something.
pub type Result<T> = std::result::Result<T, WriteError>;

/// Whether anybody still reads: for whoever has more to answer for than what is printed.
///
/// # Errors
/// Writing failed.
pub fn is_read(said: Result<()>) -> Result<bool> {
    match said {
        Ok(()) => Ok(true),
        Err(WriteError::Closed) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How a piece of text is set off, on a terminal with colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// Headings.
    Bold,
    /// Less important.
    Dim,
    /// Something is wrong.
    Red,
    /// All is well.
    Green,
    /// Look here.
    Yellow,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
        }
    }
}

/// What the two streams can do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// Standard output is a terminal.
    pub out_terminal: bool,
    /// Standard error is a terminal.
    pub err_terminal: bool,
    /// Colour may be used where there is a terminal.
    pub colour: bool,
    /// The terminals know no control sequences: nothing is drawn over.
    pub dumb: bool,
    /// Columns of the terminal; 0 for a usual number.
    pub width: usize,
}

/// Standard output and standard error.
pub struct Console {
    abilities: Abilities,
    streams: Mutex<Streams>,
}

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// A line of progress stands on the terminal and must go before anything else is said.
    progress: bool,
}

impl Console {
    /// The process's own streams. Colour is used on terminals when `colour` is given (`NO_COLOR` is not set), and neither it nor any
    /// other control sequence on those that are `dumb`.
    pub fn of_process(colour: bool, dumb: bool) -> Self {
        // Asked of the kernel and of nobody else: where there is no terminal, crossterm runs the first `tput` in `$PATH`.
        let columns = |size: sys::Result<tty::Size>| size.ok().map(|size| size.cols).filter(|cols| *cols > 0);
        let width = columns(tty::size(io::stdout())).or_else(|| columns(tty::size(io::stderr())));
        let width = width.map_or(0, usize::from);
        let abilities = Abilities {
            out_terminal: io::stdout().is_terminal(),
            err_terminal: io::stderr().is_terminal(),
            colour: colour && !dumb,
            dumb,
            width,
        };
        // To the runtime of Rust a closed standard output is one that takes everything.
        let useless = sys::start::was_closed(1) || !fd::allows(io::stdout(), fd::Access::Write);
        let out: Box<dyn Write + Send> = if useless { Box::new(Useless) } else { Box::new(io::stdout()) };
        // One buffer for all of the output: a table of ten thousand lines must not be ten thousand writes.
        let out = io::BufWriter::with_capacity(64 << 10, out);
        Self::new(abilities, Box::new(out), Box::new(io::stderr()))
    }

    /// Streams of one's own.
    pub fn new(abilities: Abilities, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { abilities, streams: Mutex::new(Streams { out, err, progress: false }) }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.abilities.out_terminal
    }

    /// Whether what stands on standard output can be drawn over.
    pub fn redraws(&self) -> bool {
        self.abilities.out_terminal && !self.abilities.dumb
    }

    /// Columns of the terminal.
    pub fn width(&self) -> usize {
        if self.abilities.width == 0 { DEFAULT_WIDTH } else { self.abilities.width }
    }

    /// Says one line on standard output.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn line(&self, text: impl Display) -> Result<()> {
        self.styled(Style::Plain, text)
    }

    /// Says one line on standard output that is to be copied as it is: a key, a path. Nothing that was recorded may be in it, since
    /// it is left to the terminal where it is too long.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn whole(&self, text: impl Display) -> Result<()> {
        self.write(|out| writeln!(out, "{}", safe(&text)))
    }

    /// Says one line on standard output, set off.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn styled(&self, style: Style, text: impl Display) -> Result<()> {
        let line = self.laid_out(self.abilities.out_terminal, &[(style, &safe(&text))]);
        self.write(|out| writeln!(out, "{line}"))
    }

    /// Says one line on standard error: what is no result. Never fails: there is nowhere to say so.
    pub fn note(&self, text: impl Display) {
        self.note_after("", Style::Plain, &text);
    }

    /// [`Console::note`] that begins with a word of warning, such as `error` or `hint`, and a colon.
    pub fn remark(&self, word: &str, style: Style, text: impl Display) {
        self.note_after(word, style, &text);
    }

    fn note_after(&self, word: &str, style: Style, text: &dyn Display) {
        let word = if word.is_empty() { String::new() } else { format!("{word}: ") };
        let line = self.laid_out(self.abilities.err_terminal, &[(style, &word), (Style::Plain, &safe(text))]);
        let mut streams = self.streams();
        // What was printed before must appear before; a closed pipe is told of by the next line of output.
        let _ = streams.out.flush();
        let _ = streams.clear_progress();
        let _ = writeln!(streams.err, "{line}");
        let _ = streams.err.flush();
    }

    /// A line: folded on a terminal, as it is in a pipe.
    fn laid_out(&self, terminal: bool, parts: &[(Style, &str)]) -> String {
        match terminal {
            true => fold::fold(parts, 0, self.width(), self.abilities.colour),
            false => parts.iter().map(|(_, text)| *text).collect(),
        }
    }

    /// One line of JSON on standard output. Deceptive characters (C1 controls, bidirectional controls, …) are written
    /// as `\uXXXX`, which means the same and does nothing to a terminal.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<()> {
        self.write(|out| {
            // As it is made: a recording's list of commands can be as long as whoever was recorded liked.
            serde_json::to_writer(Safe(&mut *out), value)?;
            out.write_all(b"\n")
        })
    }

    /// Prints a table: folded to the width of a terminal, with a heading; in a pipe one line a row, cells separated by
    /// tabs, nothing shortened and no heading.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn table(&self, table: &Table) -> Result<()> {
        let text = if self.abilities.out_terminal {
            table.folded(self.width(), self.abilities.colour)
        } else {
            table.plain()
        };
        self.write(|out| out.write_all(text.as_bytes()))
    }

    /// Writes on standard output. What a terminal shows is there at once.
    fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let mut streams = self.streams();
        streams.clear_progress()?;
        write(&mut streams.out)?;
        if self.abilities.out_terminal {
            streams.out.flush()?;
        }
        Ok(())
    }

    /// Standard output for bytes as they are: the caller vouches for them.
    pub fn raw(&self) -> Raw<'_> {
        Raw(self)
    }

    /// Hands on everything that is still in the buffer.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn flush(&self) -> Result<()> {
        Ok(self.streams().out.flush()?)
    }

    /// Progress of something long, on standard error when that is a terminal. `total` is in any unit; 0 when unknown.
    pub fn progress(&self, label: &str, total: u64) -> Progress<'_> {
        Progress { console: self, label: safe(&label), total, reached: Mutex::new((0, None)) }
    }

    /// Whether it can be seen: whoever must first find out what the total is need not.
    pub fn shows_progress(&self) -> bool {
        self.abilities.err_terminal && !self.abilities.dumb
    }
}

impl Streams {
    fn clear_progress(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.progress) {
            self.err.write_all(b"\r\x1b[K")?;
            self.err.flush()?;
        }
        Ok(())
    }
}

/// Control and deceptive characters made visible.
fn safe(text: &dyn Display) -> String {
    let text = text.to_string();
    Escaped(text.as_bytes()).to_string()
}

fn paint(style: Style, text: &str, colour: bool) -> String {
    if !colour || style == Style::Plain || text.is_empty() {
        return text.to_owned();
    }
    format!("{}{text}\x1b[0m", style.code())
}

/// JSON text without a character that could act on a terminal. Those characters stand inside strings only.
pub fn json_safe(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_deceptive(c) || c == '\x7f' {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Where JSON goes through [`json_safe`]. It is written in pieces that are whole characters.
struct Safe<'a>(&'a mut dyn Write);

impl Write for Safe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_ascii() && !bytes.contains(&0x7f) {
            return self.0.write(bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.0.write_all(json_safe(text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A standard output that was closed, or not opened to be written to.
struct Useless;

impl Write for Useless {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::EBADF))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output as a [`Write`].
pub struct Raw<'a>(&'a Console);

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut streams = self.0.streams();
        streams.clear_progress()?;
        streams.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.streams().out.flush()
    }
}

/// A line of progress, gone when dropped.
pub struct Progress<'a> {
    console: &'a Console,
    label: String,
    total: u64,
    /// What is done, and when that was drawn.
    reached: Mutex<(u64, Option<Instant>)>,
}

impl Progress<'_> {
    /// `done` of the total is done.
    pub fn at(&self, done: u64) {
        self.reach(|_| done);
    }

    /// `more` is done, on whichever thread.
    pub fn advance(&self, more: u64) {
        self.reach(|done| done.saturating_add(more));
    }

    fn reach(&self, done: impl FnOnce(u64) -> u64) {
        if !self.console.shows_progress() {
            return;
        }
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.0 = done(reached.0);
        if reached.1.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        reached.1 = Some(Instant::now());
        let done = reached.0;
        let text = match self.total {
            0 => format!("{} {done}", self.label),
            total => format!("{} {} %", self.label, done.min(total).saturating_mul(100) / total),
        };
        let shown = shorten(&text, self.console.width().saturating_sub(1));
        let mut streams = self.console.streams();
        let _ = write!(streams.err, "\r{shown}\x1b[K");
        let _ = streams.err.flush();
        streams.progress = true;
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        let _ = self.console.streams().clear_progress();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Heard {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(super) fn console(abilities: Abilities) -> (Console, Heard, Heard) {
        let (out, err) = (Heard::default(), Heard::default());
        (Console::new(abilities, Box::new(out.clone()), Box::new(err.clone())), out, err)
    }

    pub(super) const TERMINAL: Abilities =
        Abilities { out_terminal: true, err_terminal: true, colour: true, dumb: false, width: 40 };

    #[test]
    fn nothing_that_is_said_can_act_on_the_terminal() {
        let (console, out, err) = console(TERMINAL);
        console.line("a\x1b]52;c;x\x07\u{202e}").unwrap();
        console.note("b\r\nc");
        console.remark("error", Style::Red, "d\x08");
        console.json(&"e\u{9b}\x1b\u{e0001}").unwrap();
        assert_eq!(out.text(), "a\\x1b]52;c;x\\x07\\u{202e}\n\"e\\u009b\\u001b\\udb40\\udc01\"\n");
        assert_eq!(err.text(), "b\\r\\nc\n\x1b[31merror: \x1b[0md\\x08\n");
        assert_eq!(
            serde_json::from_str::<String>(out.text().lines().last().unwrap()).unwrap(),
            "e\u{9b}\x1b\u{e0001}"
        );
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        for (abilities, wanted) in [
            (TERMINAL, "\x1b[32mgood\x1b[0m\n"),
            (Abilities { colour: false, ..TERMINAL }, "good\n"),
            (Abilities { out_terminal: false, ..TERMINAL }, "good\n"),
        ] {
            let (console, out, _) = console(abilities);
            console.styled(Style::Green, "good").unwrap();
            assert_eq!(out.text(), wanted);
        }
    }

    #[test]
    fn progress_is_for_terminals_and_leaves_nothing_behind() {
        let (terminal, out, err) = console(TERMINAL);
        let progress = terminal.progress("verifying", 200);
        progress.at(50);
        progress.at(51);
        terminal.line("found").unwrap();
        drop(progress);
        assert_eq!(err.text(), "\rverifying 25 %\x1b[K\r\x1b[K");
        assert_eq!(out.text(), "found\n");

        let (pipe, _, err) = console(Abilities::default());
        pipe.progress("verifying", 200).at(50);
        assert_eq!(err.text(), "");
    }

    #[test]
    fn a_reader_who_has_gone_is_told_from_a_failure() {
        let console = Console::new(Abilities::default(), Box::new(Gone), Box::new(Gone));
        assert!(matches!(console.line("x"), Err(WriteError::Closed)));
        console.note("nobody hears this, and nothing breaks");
    }
}
