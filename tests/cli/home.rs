//! A home of its own for every test, the binary run in it, and recordings made with the library.

use sealcast::cast::{Anchor, Command, Event, Header as CastHeader, Payload};
use sealcast::container::frame::{FRAME_LEN, Frame, Kind, PROLOGUE_LEN};
use sealcast::container::{Extras, Header, Meta, SessionKeys, Setup, Writer, cert};
use sealcast::crypto::recipient::Recipient;
use sealcast::store::personal::Personal;
use sealcast::store::{RecordingFile, Store, seal};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

pub(crate) struct Home {
    home: tempfile::TempDir,
}

/// What a run of the binary came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    what: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = String::from_utf8_lossy(&self.out);
        write!(f, "$ {}\n--- exit {:?}\n--- stdout\n{out}--- stderr\n{}", self.what, self.code, self.err)
    }
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap_or_else(|_| panic!("not UTF-8\n{self}"))
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Asserts that standard error is one `error:` line with this in it, and at least one hint.
    #[track_caller]
    pub(crate) fn complains(self, of: &str) -> Self {
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(of), "expected one error with {of:?}\n{self}");
        assert!(self.err.lines().any(|line| line.starts_with("hint: ")), "no hint\n{self}");
        assert!(self.err.lines().all(|line| line.contains(": ")), "a stray line\n{self}");
        self
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn personal(&self) -> Personal {
        Personal::at(self.path(".local/share/sealcast"))
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.personal().recordings())
    }

    pub(crate) fn command(&self, args: &[&str]) -> Process {
        let mut command = Process::new(env!("CARGO_BIN_EXE_sealcast"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC");
        command.current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args), args)
    }

    /// Makes a recording with personal keys; gives its path and its short id.
    pub(crate) fn record(&self, recording: &Recording) -> (PathBuf, String) {
        self.record_with(recording, |_, _| {})
    }

    /// [`Home::record`], to which `more` adds what it likes; it is given the start.
    pub(crate) fn record_with(
        &self,
        recording: &Recording,
        more: impl FnOnce(&mut Writer<RecordingFile>, i64),
    ) -> (PathBuf, String) {
        let personal = self.personal();
        personal.ensure("me@web-3", None).unwrap();
        let recipients = match &recording.recipients {
            Some(recipients) => recipients.clone(),
            None => personal.read_recipients().unwrap(),
        };
        let keys = SessionKeys::generate().unwrap();
        let file = self.store().create(recording.start, keys.session()).unwrap();
        let path = file.path().to_owned();
        recording.write(file, keys, &recipients, &personal, more);
        never_locked(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        let id = name.split('-').nth(1).unwrap()[..8].to_owned();
        (path, id)
    }
}

/// Puts a copy in the place of a file whose lock this process gave back: a program that another test starts at this moment
/// holds it until it is executed, so that the recording would seem to be written still.
pub(crate) fn never_locked(path: &Path) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    std::fs::rename(&copy, path).unwrap();
}

/// Flips a bit at the end of the first segment, which so is read, and nothing behind it. Not in the middle of the file: keys are of many
/// lengths, so that something else stands there each time.
pub(crate) fn damage_the_first_border(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = place_in_index(&bytes, 1);
    bytes[at + FRAME_LEN] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Where an entry of the index begins, behind so many others. The first one is the metadata.
pub(crate) fn place_in_index(bytes: &[u8], mut others: u32) -> usize {
    let mut at = PROLOGUE_LEN;
    loop {
        let frame = Frame::parse(bytes[at..at + FRAME_LEN].try_into().unwrap(), 0).unwrap();
        if frame.kind == Some(Kind::Index) {
            match others.checked_sub(1) {
                Some(left) => others = left,
                None => return at,
            }
        }
        at += usize::try_from(frame.total()).unwrap();
    }
}

/// Holds a recording as its recorder does, until it is dropped.
pub(crate) fn held(path: &Path) -> std::fs::File {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    assert!(sealcast::sys::lock::try_exclusive(&file).unwrap());
    file
}

#[track_caller]
pub(crate) fn ran(command: &mut Process, args: &[&str]) -> Ran {
    let out = command.output().unwrap();
    Ran {
        code: out.status.code(),
        out: out.stdout,
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
        what: format!("sealcast {}", args.join(" ")),
    }
}

/// A session to be written.
pub(crate) struct Recording {
    pub(crate) start: i64,
    /// Milliseconds by which the clocks in it are ahead of that.
    pub(crate) clock_apart: i64,
    pub(crate) user: &'static str,
    pub(crate) host: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) cols: u16,
    /// Columns and rows that the header of the cast inside has, where they are others.
    pub(crate) cast: Option<(u16, u16)>,
    pub(crate) events: Vec<(u64, Payload)>,
    pub(crate) commands: Vec<Command>,
    pub(crate) recipients: Option<Vec<Recipient>>,
    pub(crate) close: bool,
    /// What the recording says of who drew it.
    pub(crate) drawing: u32,
    /// What the recording says of how its commands were to be told.
    pub(crate) integration: &'static str,
}

impl Default for Recording {
    fn default() -> Self {
        let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
        Self {
            start: 1_795_356_192_000,
            clock_apart: 0,
            user: "alice",
            host: "web-3",
            reason: "rotate certs",
            cols: 80,
            cast: None,
            events: vec![
                (100, output("\x1b[32mroot@web-3\x1b[0m:~# ls\r\n")),
                (1200, output("a  b\r\n")),
                (1500, Payload::Withheld(2)),
                (2000, output("bad \u{202e}text \x1b]52;c;QUJD\x07\r\n")),
                (2400, Payload::Output(b"\xff\xfe\r\n".to_vec())),
                (61_000, output("after a minute\r\n")),
                (62_500, Payload::Exit(3)),
            ],
            commands: vec![Command {
                text: "ls".into(),
                start: 1000,
                end: Some(1300),
                exit: Some(0),
                ..Command::default()
            }],
            recipients: None,
            close: true,
            drawing: sealcast::terminal::DRAWING,
            integration: "none",
        }
    }
}

impl Recording {
    fn write(
        &self,
        file: RecordingFile,
        keys: SessionKeys,
        recipients: &[Recipient],
        personal: &Personal,
        more: impl FnOnce(&mut Writer<RecordingFile>, i64),
    ) {
        let signer = personal.read_signer().unwrap();
        let setup = Setup {
            slots: seal::slots(&keys, recipients, None).unwrap(),
            header: Header {
                recipients: recipients.iter().map(ToString::to_string).collect(),
                start: self.start,
                host: self.host.into(),
                user: self.user.into(),
                target: "root".into(),
                tool: "test".into(),
                ..Header::default()
            },
            meta: Meta {
                reason: self.reason.into(),
                ticket: "OPS-4411".into(),
                cols: self.cols,
                rows: if self.cols == 0 { 0 } else { 24 },
                drawing: self.drawing,
                in_force: [("shell-integration".to_owned(), self.integration.to_owned())].into(),
                ..Meta::default()
            },
            cast: {
                let (cols, rows) = self.cast.unwrap_or((self.cols, if self.cols == 0 { 0 } else { 24 }));
                CastHeader::new(cols, rows)
            },
            ledger: String::new(),
        };
        let mut writer =
            Writer::create(file, keys, setup, |text| Ok(signer.sign(cert::NAMESPACE, text.as_bytes())?))
                .unwrap();
        writer.sink().publish().unwrap();
        let mut last = Duration::ZERO;
        for (at, payload) in &self.events {
            last = Duration::from_millis(*at);
            if writer.segment_due(last) {
                writer.end_segment(last, Extras::default()).unwrap();
            }
            let utc = self.start + self.clock_apart + i64::try_from(*at).unwrap();
            writer.begin(Anchor { at: *at, utc, boot: 0 }, None).unwrap();
            writer.push(&Event::new(last, payload.clone())).unwrap();
        }
        more(&mut writer, self.start);
        if self.close {
            let extras = Extras { commands: self.commands.clone(), ..Extras::default() };
            writer.finish(last, extras).map_err(|(error, _)| error).unwrap();
        } else {
            writer.flush(last).unwrap();
        }
    }
}

/// Writes a file into a directory.
pub(crate) fn write(path: &Path, content: &[u8]) {
    std::fs::File::create(path).unwrap().write_all(content).unwrap();
}
