//! The witnesses of a session beside its screen: the shell, which tells by marks what it runs, and the kernel, which tells
//! what was executed.
//!
//! Both are optional where the host does not have them: what could not be had is said in the recording's sealed facts. The
//! marks are taken out before anything is shown or stored, and stored as events of their own.

use super::session::{Piece, Session, Watch};
use super::start_dir::{self, StartDir};
use super::take::Error;
use crate::container::Meta;
use crate::container::fit::missing;
use crate::exec;
use crate::policy::{OnFailure, Redactions};
use crate::shell::commands::Tracker;
use crate::shell::integration::{self, Kind};
use crate::shell::marks::{Filter, Found, Hint, Mark, Nonce};
use crate::shell::notices::UNWATCHED;
use crate::shell::said::Said;
use crate::sys::clock;
use crate::sys::stage::Program;
use std::path::Path;
use std::time::Duration;

/// Hints that are stored at most: anyone can print them, and each costs more than its bytes.
const MAX_HINTS: u32 = 10_000;

/// Which witnesses are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The shell's marks.
    pub integration: bool,
    /// The kernel's trace.
    pub trace: exec::Mode,
    /// Nothing may start where that does not see every program.
    pub strict: bool,
    /// Whether anything starts where there is nothing left for a witness that the host has.
    pub on_failure: OnFailure,
    /// Secrets in arguments, left out of what the trace tells.
    pub redact: Redactions,
}

/// The witnesses, ready to be called. Keep it until the session is over: it holds the shell's start-up files.
pub struct Witnesses {
    wanted: Wanted,
    /// Only a shell that was enlisted is given it.
    nonce: Nonce,
    told: String,
    /// The shell was given the integration.
    marks: bool,
    /// The command of a session that is not a shell's.
    is_command: bool,
    dir: Option<StartDir>,
}

impl Witnesses {
    /// Makes `program` tell what it runs, where it is a shell that can: its arguments and environment are changed, and its
    /// start-up files are written into a new directory in `place`, for whom it runs as to read. Directories that killed recorders
    /// left there go. `given`: it was asked for by name, and is not somebody's shell. `random` is fresh randomness:
    /// the nonce, and the directory's name.
    pub fn enlist(
        wanted: Wanted,
        program: &mut Program,
        given: bool,
        place: &Path,
        random: [u8; 32],
    ) -> Self {
        let (nonce, name) = random.split_at(16);
        let nonce = Nonce::new(nonce.try_into().unwrap_or_default());
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = Path::new(&program.path);
        let kind = if program.args.is_empty() { Kind::of(path) } else { Kind::Unmarked };
        let mut witnesses = Self {
            wanted,
            nonce,
            told: String::new(),
            marks: false,
            // A shell by itself is one to be typed in, also where it was asked for.
            is_command: !program.args.is_empty() || given && kind == Kind::Unmarked,
            dir: None,
        };
        witnesses.told = match kind {
            _ if !witnesses.wanted.integration => "off".into(),
            Kind::Unmarked if witnesses.is_command => "none: the session is a command".into(),
            Kind::Unmarked => "none: commands are inferred from the screen".into(),
            kind => match witnesses.integrate(program, place, &name) {
                Ok(()) => {
                    witnesses.marks = true;
                    kind.as_str().into()
                }
                Err(error) => format!("none: {error}"),
            },
        };
        witnesses
    }

    fn integrate(&mut self, program: &mut Program, place: &Path, name: &str) -> Result<(), String> {
        let login = program.arg0.as_ref().is_some_and(|arg0| arg0.as_encoded_bytes().starts_with(b"-"));
        let mut env = program.env.clone().unwrap_or_else(|| std::env::vars_os().collect());
        let look = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let path = Path::new(&program.path);
        if let Some(why) = integration::hindrance(Kind::of(path), look) {
            return Err(why.to_owned());
        }
        let identity = program.identity.as_ref().map(|identity| identity.uid);
        let reader = identity.filter(|uid| *uid != crate::sys::ids::effective_uid());
        start_dir::clear(place);
        let dir = StartDir::create(place, name, reader.is_some())?;
        let plan = integration::prepare(path, login, look, dir.path(), &self.nonce);
        self.dir = Some(dir);
        plan.write(reader).map_err(|error| crate::text::chain(&error))?;
        env.retain(|(name, _)| !plan.env_set.iter().any(|(set, _)| set == name));
        env.extend(plan.env_set);
        let mut argv = plan.argv.into_iter();
        program.arg0 = argv.next().or(program.arg0.take());
        program.args = argv.collect();
        program.env = Some(env);
        Ok(())
    }

    /// Starts to watch and to follow, and says in `meta` what there is. Nothing of the child's has run yet.
    ///
    /// # Errors
    /// [`Error::Unwatched`]: it is strict about programs, and not every one would be seen. [`Error::Scarce`]: there is nothing left for
    /// the witness, and that is no matter of a warning.
    pub fn call(&mut self, session: &mut Session, meta: &mut Meta) -> Result<Heard, Error> {
        if session.size().is_some() {
            // Where no shell was given the nonce, no mark is believed; what others print is heard all the same.
            let filter = Filter::new(&self.nonce);
            session.watch(Box::new(MarkWatch { filter, hints: 0, last: None }));
        }
        let root = session.root_pid();
        let (trace, availability) = exec::Trace::start(self.wanted.trace, root, Duration::ZERO);
        if let Some(exec::Scarce { why, errno }) = &availability.scarce {
            self.may_lack(why.clone(), std::io::Error::from_raw_os_error(*errno), meta)?;
        }
        if self.wanted.strict && !availability.is_complete() {
            return Err(Error::Unwatched(availability.statement));
        }
        meta.in_force.insert("shell-integration".into(), self.told.clone());
        meta.in_force.insert("exec-trace".into(), availability.mechanism.word().into());
        meta.in_force.insert("exec-trace-note".into(), availability.statement);
        let mut tracker = Tracker::new(None);
        tracker.below(root);
        if session.size().is_some() {
            tracker.follow_output();
        }
        if self.marks {
            tracker.expect_marks();
        }
        if self.is_command {
            // As the header has it: without its secrets.
            tracker.command(meta.argv.join(" "), Some(meta.cwd.clone()).filter(|cwd| !cwd.is_empty()));
            if let Some(bytes) = missing(&meta.argv) {
                tracker.command_lacks(bytes);
            }
        }
        Ok(Heard { tracker, trace, redact: self.wanted.redact.clone(), strict: self.wanted.strict })
    }

    /// Says in `meta` that nobody makes an index of what they tell, and why.
    ///
    /// # Errors
    /// [`Error::Unwatched`]: it is strict about programs. [`Error::Scarce`]: it is no matter of a warning.
    pub fn unheard(&self, why: std::io::Error, meta: &mut Meta) -> Result<(), Error> {
        let statement = format!("the thread that makes the index cannot be started: {why}");
        if self.wanted.strict {
            return Err(Error::Unwatched(statement));
        }
        self.may_lack(statement.clone(), why, meta)?;
        meta.in_force.insert("exec-trace".into(), "none".into());
        meta.in_force
            .insert("exec-trace-note".into(), format!("executed programs were not watched: {statement}"));
        meta.in_force.insert("index".into(), format!("none: {statement}"));
        Ok(())
    }

    /// Whether the session may start though there is nothing left for a witness: whoever starts it may have chosen that. `meta` says it.
    fn may_lack(&self, why: String, source: std::io::Error, meta: &mut Meta) -> Result<(), Error> {
        if self.wanted.on_failure == OnFailure::Stop {
            return Err(Error::Scarce { why, source });
        }
        meta.in_force.insert(UNWATCHED.into(), why);
        Ok(())
    }
}

/// What the index makes commands of.
pub struct Heard {
    /// Who makes them.
    pub tracker: Tracker,
    /// The kernel's trace; its times are those of the monotonic clock.
    pub trace: exec::Trace,
    /// Secrets in arguments, left out of what the trace tells.
    pub redact: Redactions,
    /// The session ends where programs are no longer seen.
    pub strict: bool,
}

/// Takes the marks out of the output.
struct MarkWatch {
    filter: Filter,
    hints: u32,
    last: Option<Hint>,
}

impl Watch for MarkWatch {
    fn passes(&self, bytes: &[u8]) -> bool {
        self.filter.passes(bytes)
    }

    fn output(&mut self, bytes: &[u8], pass: &mut dyn FnMut(Piece<'_>)) {
        let Self { filter, hints, last } = self;
        filter.feed(bytes, |found| tell(found, hints, last, pass));
    }

    fn finish(&mut self, pass: &mut dyn FnMut(Piece<'_>)) {
        let Self { filter, hints, last } = self;
        filter.finish(|found| tell(found, hints, last, pass));
    }
}

fn tell(found: Found<'_>, hints: &mut u32, last: &mut Option<Hint>, pass: &mut dyn FnMut(Piece<'_>)) {
    match found {
        Found::Bytes(bytes) => pass(Piece::Bytes(bytes)),
        Found::Mark(Mark::Clock(shell)) => {
            let (wall, monotonic) = clock::wall_and_monotonic();
            if let Some(at) = sent_at(shell, wall, monotonic) {
                pass(Piece::Event(Said::Clock(at).payload()));
            }
        }
        Found::Mark(mark) => {
            *last = None;
            pass(Piece::Event(Said::Mark(mark).payload()));
        }
        // The same again says nothing new; a program that prints nothing else would fill the recording.
        Found::Hint(hint) if last.as_ref() == Some(&hint) || *hints >= MAX_HINTS => {}
        Found::Hint(hint) => {
            *hints = hints.saturating_add(1);
            *last = Some(hint.clone());
            pass(Piece::Event(Said::Hint(hint).payload()));
        }
    }
}

/// Longest way of a mark from the shell to us that is believed: the terminal was stopped, or the host busy.
const LONGEST_WAY: Duration = Duration::from_secs(60);

/// When a mark was sent that carries this time of the wall clock (microseconds since 1970), by the monotonic clock, in
/// microseconds. `None` when it cannot be: it lies ahead, or too far back, as after the wall clock was set.
fn sent_at(shell: u64, wall: Duration, monotonic: Duration) -> Option<u64> {
    let ago = wall.checked_sub(Duration::from_micros(shell)).filter(|ago| *ago <= LONGEST_WAY)?;
    u64::try_from(monotonic.checked_sub(ago)?.as_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::privileges::Identity;
    use std::ffi::OsString;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    fn enlisted(path: &str, args: &[&str], place: &Path) -> (Witnesses, Program) {
        enlisted_as(None, &[("HOME", "/h")], path, args, place)
    }

    fn enlisted_as(
        arg0: Option<&str>,
        env: &[(&str, &str)],
        path: &str,
        args: &[&str],
        place: &Path,
    ) -> (Witnesses, Program) {
        let mut program = Program {
            path: path.into(),
            arg0: arg0.map(Into::into),
            args: args.iter().map(Into::into).collect(),
            env: Some(env.iter().map(|(name, value)| (name.into(), value.into())).collect()),
            ..Program::default()
        };
        let wanted = Wanted {
            integration: true,
            trace: exec::Mode::Off,
            strict: false,
            on_failure: OnFailure::Stop,
            redact: Redactions::default(),
        };
        (Witnesses::enlist(wanted, &mut program, true, place, [7; 32]), program)
    }

    #[test]
    fn a_shell_is_enlisted_and_its_files_go_with_it() {
        let place = tempfile::tempdir().unwrap();
        let (witnesses, program) = enlisted("/bin/bash", &[], place.path());
        let entries = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
        let [dir] = entries.collect::<Vec<_>>().try_into().unwrap();
        assert!(dir.to_str().unwrap().ends_with(&"07".repeat(16)), "{}", dir.display());
        assert_eq!(program.args, [OsString::from("--rcfile"), dir.join("start.bash").into()]);
        assert!(dir.join("start.bash").is_file());
        assert_eq!(witnesses.told, "bash");
        drop(witnesses);
        assert!(!dir.exists());
    }

    #[test]
    fn a_command_is_left_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (witnesses, program) = enlisted("/bin/bash", &["-c", "id"], place.path());
        assert_eq!((program.args.len(), witnesses.is_command), (2, true));
        // One without arguments is one as well; a shell is not.
        for (path, is) in [("/bin/cat", true), ("/bin/bash", false)] {
            assert_eq!(enlisted(path, &[], place.path()).0.is_command, is, "{path}");
        }
        assert!(program.arg0.is_none() && std::fs::read_dir(place.path()).unwrap().next().is_none());
    }

    #[test]
    fn the_start_up_files_of_somebody_else_are_theirs_alone_to_read_and_not_theirs_to_fill() {
        if !crate::sys::is_root() {
            return;
        }
        if !Path::new("/run").is_dir() {
            crate::sys::skipped("there is no /run");
            return;
        }
        // Of the same primary group as another user of this host.
        let (mine, theirs, group) = (4_242, 4_243, 4_244);
        let place =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir_in("/run").unwrap();
        let identity = Some(Identity { uid: mine, gid: group, groups: vec![group] });
        let mut program = Program { path: "/bin/bash".into(), identity, ..Program::default() };
        let wanted = Wanted {
            integration: true,
            trace: exec::Mode::Off,
            strict: false,
            on_failure: OnFailure::Stop,
            redact: Redactions::default(),
        };
        let witnesses = Witnesses::enlist(wanted, &mut program, false, place.path(), [7; 32]);
        if witnesses.told.contains("not supported") {
            crate::sys::skipped(&witnesses.told);
            return;
        }
        assert_eq!(witnesses.told, "bash");
        let file = Path::new(&program.args[1]);
        let may = |uid: u32, script: &str| {
            let mut sh = std::process::Command::new("sh");
            sh.args(["-c", script, "sh"]).arg(file).uid(uid).gid(group);
            sh.stderr(std::process::Stdio::null()).status().unwrap().success()
        };
        assert!(may(mine, "cat <\"$1\" >/dev/null"));
        assert!(!may(theirs, "cat <\"$1\" >/dev/null"), "another user of the group reads the nonce");
        for change in ["echo x >>\"$1\"", "chmod u+w \"$1\"", "rm -f \"$1\"", "touch \"${1%/*}/x\""] {
            assert!(!may(mine, change), "{change}");
        }
    }

    /// It would read none of ours, or lose that mode by it; and that it told nothing would be held against whoever types.
    #[test]
    fn a_bash_that_was_asked_for_its_posix_mode_is_left_in_it() {
        let place = tempfile::tempdir().unwrap();
        for arg0 in [None, Some("-bash")] {
            let (witnesses, program) =
                enlisted_as(arg0, &[("POSIXLY_CORRECT", "")], "/bin/bash", &[], place.path());
            assert_eq!(witnesses.told, "none: POSIXLY_CORRECT asks bash for its posix mode");
            assert!(!witnesses.marks && program.args.is_empty(), "{:?}", program.args);
            assert_eq!(program.arg0.as_deref(), arg0.map(std::ffi::OsStr::new));
            assert_eq!(program.env.map(|env| env.len()), Some(1));
        }
    }

    #[test]
    fn where_no_file_can_be_written_the_shell_starts_without() {
        let (witnesses, program) = enlisted("/bin/bash", &[], Path::new("/nonexistent"));
        assert!(program.args.is_empty());
        assert!(witnesses.told.starts_with("none: cannot make /nonexistent/"), "{}", witnesses.told);
    }

    #[test]
    fn where_nobody_makes_an_index_it_is_said_and_whoever_must_have_one_does_not_start() {
        let place = tempfile::tempdir().unwrap();
        let (mut witnesses, _program) = enlisted("/bin/cat", &[], place.path());
        let (why, mut meta) = (|| std::io::Error::from_raw_os_error(libc::EAGAIN), Meta::default());
        meta.in_force.insert("exec-trace".into(), "ebpf".into());
        let refused = witnesses.unheard(why(), &mut meta).unwrap_err();
        assert!(matches!(&refused, Error::Scarce { why, .. } if why.starts_with("the thread")), "{refused}");
        assert_eq!(meta.in_force.len(), 1);
        witnesses.wanted.on_failure = OnFailure::Warn;
        witnesses.unheard(why(), &mut meta).unwrap();
        assert_eq!(meta.in_force["exec-trace"], "none");
        for (what, says) in [
            ("exec-trace-note", "were not watched"),
            ("index", "none: the thread"),
            (UNWATCHED, "the thread"),
        ] {
            assert!(meta.in_force[what].contains(says), "{:?}", meta.in_force);
        }
        witnesses.wanted.strict = true;
        let refused = witnesses.unheard(why(), &mut meta).unwrap_err();
        assert!(
            refused.to_string().contains("the thread that makes the index cannot be started"),
            "{refused}"
        );
    }

    #[test]
    fn a_shells_clock_is_believed_within_what_ours_allows() {
        let (wall, monotonic) = (Duration::from_secs(1_800_000_000), Duration::from_secs(70));
        let sent = |micros: u64| sent_at(micros, wall, monotonic);
        let now = 1_800_000_000_000_000;
        assert_eq!(sent(now), Some(70_000_000));
        assert_eq!(sent(now - 1_500), Some(69_998_500));
        assert_eq!(
            (sent(now + 1), sent(now - 61_000_000), sent(0), sent(u64::MAX)),
            (None, None, None, None)
        );
        assert_eq!(sent_at(now - 2_000_000, wall, Duration::from_secs(1)), None);
    }

    #[test]
    fn marks_become_events_and_repeated_hints_are_told_once() {
        let nonce = Nonce::new([9; 16]);
        let mut watch = MarkWatch { filter: Filter::new(&nonce), hints: 0, last: None };
        let mark = format!("a\x1b]7717;{};B\x07b", nonce.as_str());
        let hints = "\x1b]133;A\x07".repeat(3);
        let (mut bytes, mut events) = (Vec::new(), 0);
        let mut pass = |piece: Piece<'_>| match piece {
            Piece::Bytes(piece) => bytes.extend_from_slice(piece),
            Piece::Event(_) => events += 1,
        };
        watch.output(mark.as_bytes(), &mut pass);
        watch.output(hints.as_bytes(), &mut pass);
        watch.finish(&mut pass);
        assert_eq!((bytes, events), (format!("ab{hints}").into_bytes(), 2));
    }
}
