//! The transparent wrapper by itself: runs a command as `sealcast run` does, and records it in the open.
//!
//! `relay [--to FILE] [--input echoed|none|all] [--keep BYTES] [--on-loss stop|warn] [--fail-after BYTES] [--panic-at TEXT] [--] COMMAND [ARG…]`
//!
//! Without `--to` events are counted and dropped. `--fail-after` is a recorder that fails, as on a full disk (after 0
//! bytes: one that is lost without a word), `--panic-at` a loop that panics when TEXT is shown. For tests and
//! measurements; nothing is sealed.

use sealcast::cast::{self, Event, Payload};
use sealcast::policy::{Input, OnFailure};
use sealcast::record::queue::{self, Intake, Nothing, Word};
use sealcast::record::session::{self, Outcome, Piece, Spec, Watch};
use sealcast::sys::signals;
use sealcast::sys::stage::{Ended, Program};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: sealcast::sys::memory::ZeroOnFree = sealcast::sys::memory::ZeroOnFree;

#[derive(Default)]
struct Options {
    spec: Spec,
    to: Option<PathBuf>,
    fail_after: Option<u64>,
    panic_at: Option<String>,
}

/// Panics at a word.
struct Fuse(String);

impl Watch for Fuse {
    fn passes(&self, _: &[u8]) -> bool {
        false
    }

    fn output(&mut self, bytes: &[u8], pass: &mut dyn FnMut(Piece<'_>)) {
        assert!(memchr::memmem::find(bytes, self.0.as_bytes()).is_none(), "the fuse blew");
        pass(Piece::Bytes(bytes));
    }

    fn finish(&mut self, _: &mut dyn FnMut(Piece<'_>)) {}
}

fn main() -> ExitCode {
    match relay() {
        Ok(Ended::Exited(code)) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)),
        Ok(Ended::Killed(signal)) => {
            signals::die_of(signal);
            ExitCode::from(u8::try_from(signal + 128).unwrap_or(1))
        }
        Err(Failure { message, code }) => {
            // Nobody is left to tell that standard error is closed.
            let _ = writeln!(io::stderr(), "relay: {message}");
            ExitCode::from(code)
        }
    }
}

struct Failure {
    message: String,
    code: u8,
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        use std::error::Error as _;
        let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self { message: format!("{error}{cause}"), code: error.exit_code() }
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { message: message.into(), code: 125 }
}

fn relay() -> Result<Ended, Failure> {
    let options = options()?;
    let mut session = session::prepare(options.spec)?;
    if let Some(text) = options.panic_at {
        session.watch(Box::new(Fuse(text)));
    }
    let file = match options.to {
        Some(path) => Some(File::create(&path).map_err(|e| usage(format!("{}: {e}", path.display())))?),
        None => None,
    };
    let (cols, rows) = session.size().unwrap_or_default();
    let (feed, intake) = queue::bounded(4 << 20).map_err(session::Error::from)?;
    let fail_after = options.fail_after;
    let recorder = std::thread::spawn(move || record(&intake, file, (cols, rows), fail_after));
    let outcome: Outcome = session.run(feed, sealcast::sys::clock::monotonic())?;
    // The signals stay ours until the recording is closed.
    let _ = recorder.join();
    Ok(outcome.ended)
}

fn options() -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut words = std::env::args_os().skip(1).peekable();
    while let Some(word) = words.next_if(|word| word.to_string_lossy().starts_with("--")) {
        let name = word.to_string_lossy().into_owned();
        if name == "--" {
            break;
        }
        let value = words.next().ok_or_else(|| usage(format!("{name} needs a value")))?;
        let text = value.to_string_lossy().into_owned();
        let number = || text.parse::<u64>().map_err(|_| usage(format!("{name}: {text} is no number")));
        match (name.as_str(), text.as_str()) {
            ("--to", _) => options.to = Some(value.into()),
            ("--input", "echoed") => options.spec.input = Input::Echoed,
            ("--input", "none") => options.spec.input = Input::None,
            ("--input", "all") => options.spec.input = Input::All,
            ("--on-loss", "stop") => options.spec.on_loss = OnFailure::Stop,
            ("--on-loss", "warn") => options.spec.on_loss = OnFailure::Warn,
            ("--keep", _) => options.spec.keep = Some(number()?),
            ("--panic-at", _) => options.panic_at = Some(text),
            ("--fail-after", _) => options.fail_after = Some(number()?),
            _ => return Err(usage(format!("unknown option {name} {text}"))),
        }
    }
    let path = words.next().ok_or_else(|| usage("no command given"))?;
    options.spec.program = Program { path, args: words.collect(), ..Program::default() };
    Ok(options)
}

/// Stands in for the recorder: one line of JSON for each event, or nothing at all.
fn record(intake: &Intake, mut file: Option<File>, size: (u16, u16), fail_after: Option<u64>) {
    let mut encoder = cast::line::Encoder::default();
    let mut lines = serde_json::to_vec(&cast::Header::new(size.0, size.1)).unwrap_or_default();
    lines.push(b'\n');
    let mut seen = 0u64;
    loop {
        if let Some(file) = &mut file
            && file.write_all(&lines).is_err()
        {
            intake.say(Word::Stop("the recording cannot be written".into()));
        }
        lines.clear();
        match intake.receive(Duration::from_secs(1)) {
            Ok(events) => {
                for event in events {
                    seen += size_of(&event);
                    if file.is_some() {
                        encoder.encode(&event, &mut lines);
                    }
                }
            }
            Err(Nothing::Yet) => {}
            Err(Nothing::Ever) => return,
        }
        if fail_after.is_some_and(|limit| seen > limit) {
            match fail_after {
                // A recorder that is lost without a word.
                Some(0) => return,
                _ => intake.say(Word::Stop("the recording cannot be written: no space left".into())),
            }
        }
    }
}

fn size_of(event: &Event) -> u64 {
    match &event.payload {
        Payload::Output(bytes) | Payload::ErrorOutput(bytes) | Payload::Input(bytes) => bytes.len() as u64,
        _ => 0,
    }
}
