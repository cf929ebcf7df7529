//! A home, an environment and a recording that belong to one test alone.

use super::terminal::Terminal;
use base64::Engine as _;
use sealcast::cast::line::Decoder;
use sealcast::cast::{Event, Payload};
use sealcast::sys::tty::Size;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A directory for one test, removed at its end.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self::within(&[std::env::temp_dir()])
    }

    /// The same in memory, where there is such a place: nothing waits for a disk there.
    pub fn in_memory() -> Self {
        Self::within(&["/dev/shm".into(), std::env::temp_dir()])
    }

    /// In the first of these directories that takes one.
    fn within(folders: &[PathBuf]) -> Self {
        super::signals::reset();
        let named = |folder| tempfile::Builder::new().prefix("sealcast-test-").tempdir_in(folder).ok();
        let dir = folders.iter().find_map(named).expect("a directory for the test");
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it and gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A command with an environment of its own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(self.dir.path())
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("PS1", "PROMPT> ")
            .env("HISTFILE", "");
        command
    }

    /// `sealcast run --` around a command line.
    pub fn wrapped(&self, words: &[&str]) -> Command {
        let mut command = self.sealcast();
        command.arg("--").args(words);
        command
    }

    /// `sealcast run`, its keys made: it says so when it makes them.
    fn sealcast(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_sealcast");
        if !self.path("home/.local").exists() {
            let made =
                self.command(program).args(["run", "--", "true"]).stdin(Stdio::null()).output().unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        let mut command = self.command(program);
        command.arg("run");
        command
    }

    /// `examples/relay.rs`, which records in the open.
    fn relay(&self) -> Command {
        let mut command = self.command(relay());
        command.arg("--to").arg(self.path("recording"));
        command
    }

    /// The wrapper around a command line; with options that only the example has (such as a loop that panics), the example.
    pub fn wrapped_with(&self, options: &[&str], words: &[&str]) -> Command {
        if options.is_empty() {
            return self.wrapped(words);
        }
        let mut command = self.relay();
        command.args(options).arg("--").args(words);
        command
    }

    /// The wrapper's command line, for use inside a shell.
    pub fn wrapper_line(&self) -> String {
        let command = self.wrapped(&[]);
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        words.join(" ")
    }

    /// Runs the wrapper around a command line in a terminal of 80 by 24.
    pub fn run(&self, words: &[&str]) -> Terminal {
        Terminal::start(&self.wrapped(words), SIZE)
    }

    /// A plain shell in a terminal, to run the wrapper from.
    pub fn shell(&self) -> Terminal {
        let mut shell = self.command("bash");
        shell.args(["--norc", "--noprofile"]).env("PS1", "OUTER> ");
        let mut terminal = Terminal::start(&shell, SIZE);
        terminal.wait_for("OUTER> ");
        terminal
    }

    /// The events that were recorded last, once the recording is closed.
    pub fn events(&self) -> Vec<Event> {
        if let Ok(lines) = std::fs::read(self.path("recording")) {
            let mut decoder = Decoder::default();
            return lines.split(|b| *b == b'\n').filter_map(|line| decoder.decode(line).unwrap()).collect();
        }
        events_of(&self.exported())
    }

    /// The events that are in the last recording so far, while it goes on.
    pub fn events_so_far(&self) -> Vec<Event> {
        let mut program = self.command(env!("CARGO_BIN_EXE_sealcast"));
        let output =
            program.args(["export", "last", "--format", "json"]).stdin(Stdio::null()).output().unwrap();
        // It ends without a close.
        events_of(&String::from_utf8(output.stdout).unwrap())
    }

    /// The last recording as lines of JSON.
    fn exported(&self) -> String {
        self.told(&["export", "last", "--format", "json"])
    }

    /// What the program says of the recordings.
    pub fn told(&self, words: &[&str]) -> String {
        let mut program = self.command(env!("CARGO_BIN_EXE_sealcast"));
        let output = program.args(words).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything that the last recording holds, as text: every event, every command, and what its index has of programs.
    pub fn everything(&self) -> String {
        let all = [&["export", "last", "-f", "json"][..], &["export", "last", "-f", "commands"]];
        let told = all.into_iter().chain([&["show", "--json", "last"][..]]).map(|words| self.told(words));
        told.collect::<Vec<_>>().join("\n")
    }

    /// Everything the terminal was given, as recorded.
    pub fn recorded_output(&self) -> Vec<u8> {
        self.bytes(|payload| if let Payload::Output(bytes) = payload { Some(bytes) } else { None })
    }

    /// Everything typed that was recorded.
    pub fn recorded_input(&self) -> Vec<u8> {
        self.bytes(|payload| if let Payload::Input(bytes) = payload { Some(bytes) } else { None })
    }

    /// Everything on standard error, where it was not the terminal.
    pub fn recorded_errors(&self) -> Vec<u8> {
        self.bytes(|payload| if let Payload::ErrorOutput(bytes) = payload { Some(bytes) } else { None })
    }

    fn bytes(&self, of: impl Fn(Payload) -> Option<Vec<u8>>) -> Vec<u8> {
        self.events().into_iter().filter_map(|event| of(event.payload)).flatten().collect()
    }

    /// The exit status that was recorded, if the recording was ended.
    pub fn recorded_exit(&self) -> Option<i32> {
        self.events().into_iter().find_map(|event| match event.payload {
            Payload::Exit(status) => Some(status),
            _ => None,
        })
    }
}

/// An ordinary terminal.
pub const SIZE: Size = Size { cols: 80, rows: 24, width: 0, height: 0 };

/// The events of a recording that was exported as lines of JSON.
pub fn events_of(exported: &str) -> Vec<Event> {
    exported.lines().filter_map(event).collect()
}

/// An event of a line of JSON; `None` for what no test asks for.
fn event(line: &str) -> Option<Event> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let bytes = || match (value["text"].as_str(), value["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, data) => base64::engine::general_purpose::STANDARD.decode(data.unwrap()).unwrap(),
    };
    let number = |name: &str| value[name].as_i64().unwrap();
    let payload = match value["kind"].as_str().unwrap() {
        "output" => Payload::Output(bytes()),
        "error-output" => Payload::ErrorOutput(bytes()),
        "input" => Payload::Input(bytes()),
        "resize" => Payload::Resize {
            cols: u16::try_from(number("cols")).unwrap(),
            rows: u16::try_from(number("rows")).unwrap(),
        },
        "exit" => Payload::Exit(i32::try_from(number("status")).unwrap()),
        "withheld" => Payload::Withheld(u32::try_from(number("count")).unwrap()),
        "gap" => Payload::Gap(serde_json::from_value(value.clone()).unwrap()),
        _ => return None,
    };
    Some(Event::new(Duration::from_millis(u64::try_from(number("ms")).unwrap()), payload))
}

/// `examples/relay.rs`, built.
fn relay() -> &'static Path {
    static RELAY: OnceLock<PathBuf> = OnceLock::new();
    RELAY.get_or_init(|| {
        // target/debug/deps/transparency-… is where we are.
        let here = std::env::current_exe().unwrap();
        let profile = here.parent().unwrap().parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", "relay"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "examples/relay.rs does not build");
        profile.join("examples/relay")
    })
}
