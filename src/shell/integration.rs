//! Starting a shell so that it tells, by marks, what it is given to do: without touching anybody's files.
//!
//! Each shell has one door for a file of ours: `--rcfile` and, for login shells, `ENV` in posix mode (bash), `ZDOTDIR`
//! (zsh), `-C` (fish), `ENV` (dash, busybox, ksh, mksh). Ours lets the user's own start-up files run first, unchanged and
//! in their order, and then adds its hooks beside theirs. What each line is good for stands in the files themselves, in
//! `src/shell/integration/`.
//!
//! Their files are read with a `!` before the `.`: where one leaves `set -e` on, a last command of it that was allowed to fail
//! would else end the shell, as the `.` failed. Unlike `||` or a condition, it leaves `set -e` in force inside the file.
//!
//! Refuses restricted shells (they may not write to the terminal themselves) and shells it does not know: they are
//! started as they are, and their commands are inferred from the screen. The files hold the session's nonce, so they
//! are written for the shell's user alone; whoever can read them can forge marks, and root always can.

use super::marks::Nonce;
use crate::sys;
use crate::text::sh_quoted;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Which door is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish, 3.1 or later.
    Fish,
    /// A POSIX shell that reads `ENV`: dash, busybox ash, ksh93, mksh, or whatever is called `sh`.
    Posix,
    /// None: commands are inferred from the screen.
    Unmarked,
}

impl Kind {
    /// As the header of a recording names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Posix => "posix",
            Self::Unmarked => "none",
        }
    }

    /// The kind of the shell at `path`, by its name.
    pub fn of(path: &Path) -> Self {
        match path.file_name().map(OsStr::as_bytes).unwrap_or_default() {
            b"bash" => Self::Bash,
            b"zsh" => Self::Zsh,
            b"fish" => Self::Fish,
            b"sh" | b"dash" | b"ash" | b"ksh" | b"ksh93" | b"mksh" | b"lksh" | b"pdksh" | b"oksh" => {
                Self::Posix
            }
            _ => Self::Unmarked,
        }
    }
}

/// How to start a shell: nothing is done until the caller does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The arguments, `argv[0]` first (a login shell's begins with `-`). The program is the shell's path.
    pub argv: Vec<OsString>,
    /// Variables to set in the shell's environment.
    pub env_set: Vec<(OsString, OsString)>,
    /// Files to write before the shell starts, with their content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

impl Plan {
    /// Writes the files, readable by the caller alone; where the shell will run as somebody else, the user `reader`, by them as well.
    /// They are not theirs: what is can be filled, and it may lie where the whole host has little room. Nothing that is already
    /// there is overwritten.
    ///
    /// # Errors
    /// When a file exists, or cannot be created, written or given to its reader.
    pub fn write(&self, reader: Option<u32>) -> sys::Result<()> {
        for (path, content) in &self.files {
            let write = || -> std::io::Result<()> {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(content)?;
                reader.map_or(Ok(()), |uid| sys::file::let_read(&file, uid))
            };
            write().map_err(|error| sys::Error::at("write", path, error))?;
        }
        Ok(())
    }
}

/// Why a shell of this kind would not read a file of ours, or not be what was asked for if it did. `env` gives the variables that
/// it would see without us.
pub fn hindrance(kind: Kind, env: impl Fn(&str) -> Option<OsString>) -> Option<&'static str> {
    // It reads no rcfile then, and a login shell would lose that mode by our way in.
    let posix = kind == Kind::Bash && env("POSIXLY_CORRECT").is_some();
    posix.then_some("POSIXLY_CORRECT asks bash for its posix mode")
}

/// Plans the start of the shell at `shell`, as a login shell or not. `env` gives the variables the shell would see
/// without us. `dir` is an absolute path of a directory of this session, which only the shell's user can read, and
/// which the caller removes when the session is over.
pub fn prepare(
    shell: &Path,
    login: bool,
    env: impl Fn(&str) -> Option<OsString>,
    dir: &Path,
    nonce: &Nonce,
) -> Plan {
    let kind = Kind::of(shell);
    let name = shell.file_name().unwrap_or(shell.as_os_str());
    let mut argv0 = OsString::from(if login { "-" } else { "" });
    argv0.push(name);
    let mut plan = Plan { argv: vec![argv0], env_set: Vec::new(), files: Vec::new() };
    let filled = |template: &str, place: &str, with: Vec<u8>| {
        let text = template.replace("@NONCE@", nonce.as_str());
        match text.split_once(place) {
            Some((before, after)) => [before.as_bytes(), &with, after.as_bytes()].concat(),
            None => text.into_bytes(),
        }
    };
    match kind {
        Kind::Bash => {
            let file = dir.join("start.bash");
            let mut first = Vec::new();
            if login {
                // In posix mode ENV is the one start-up file of an interactive shell; ours leaves posix mode again.
                plan.argv.push("--posix".into());
                first.extend(restore("ENV", env("ENV")));
                first.extend_from_slice(BASH_LOGIN.as_bytes());
                plan.env_set.push(("ENV".into(), file.clone().into()));
                if env("MAILCHECK").is_none() {
                    // Posix mode looks for mail more seldom.
                    first.extend_from_slice(b"\n  MAILCHECK=60");
                }
                if env("HISTFILE").is_none()
                    && let Some(mut history) = env("HOME")
                {
                    // Posix mode would name another history file.
                    history.push("/.bash_history");
                    plan.env_set.push(("HISTFILE".into(), history));
                    first.extend_from_slice(b"\n  export -n HISTFILE");
                }
                first.extend_from_slice(BASH_LOGIN_FILES.as_bytes());
            } else {
                plan.argv.extend(["--rcfile".into(), file.clone().into()]);
                first.extend_from_slice(b"if [ -r ~/.bashrc ]; then ! . ~/.bashrc; fi");
            }
            plan.files.push((file, filled(include_str!("integration/start.bash"), "@STARTUP@", first)));
        }
        Kind::Zsh => {
            let first = match env("ZDOTDIR") {
                Some(dir) => [b"'builtin' 'export' ZDOTDIR=".to_vec(), sh_quoted(dir.as_bytes())].concat(),
                None => b"'builtin' 'unset' ZDOTDIR".to_vec(),
            };
            plan.env_set.push(("ZDOTDIR".into(), dir.into()));
            plan.files.push((
                dir.join(".zshenv"),
                filled(include_str!("integration/start.zsh"), "@ZDOTDIR@", first),
            ));
        }
        Kind::Fish => {
            let file = dir.join("start.fish");
            let source = [b"source ".to_vec(), sh_quoted(file.as_os_str().as_bytes())].concat();
            plan.argv.extend(["-C".into(), OsString::from_vec(source)]);
            plan.files.push((file, filled(include_str!("integration/start.fish"), "@NOTHING@", Vec::new())));
        }
        Kind::Posix => {
            let file = dir.join("start.sh");
            let template = include_str!("integration/start.sh")
                .replace("@ESC@", "\x1b")
                .replace("@BEL@", "\x07")
                .replace("@SOH@", "\x01")
                .replace("@CR@", "\r")
                .replace("@BUSYBOX@", if is_busybox(shell) { "busybox " } else { "" });
            let own = match env("ENV") {
                Some(value) => [restore("ENV", Some(value.clone())), named_by_env(&value)].concat(),
                None => [restore("ENV", None), KSH_FILES.as_bytes().to_vec()].concat(),
            };
            plan.env_set.push(("ENV".into(), file.clone().into()));
            plan.files.push((file, filled(&template, "@ENV@", own)));
        }
        Kind::Unmarked => {}
    }
    plan
}

/// Whether the name leads to busybox: its `sh` and `ash` are links.
fn is_busybox(shell: &Path) -> bool {
    let resolved = std::fs::canonicalize(shell);
    resolved.is_ok_and(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"busybox")))
}

/// Leaves posix mode, and what it turned on.
const BASH_LOGIN: &str = "\n  set +o posix; shopt -u inherit_errexit 2>/dev/null";
/// The start-up files of a login shell, as bash's manual has them.
const BASH_LOGIN_FILES: &str = "
  if   [ -r /etc/profile    ]; then ! . /etc/profile; fi
  if   [ -r ~/.bash_profile ]; then ! . ~/.bash_profile
  elif [ -r ~/.bash_login   ]; then ! . ~/.bash_login
  elif [ -r ~/.profile      ]; then ! . ~/.profile; fi";

/// Lines that read the file that a user's ENV names.
fn named_by_env(value: &OsStr) -> Vec<u8> {
    // What it says is expanded, as between double quotes, but for these themselves. What only the shell could read there is taken as
    // it is: a word that does not end would silence all that follows.
    let bytes = value.as_bytes();
    let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
    let is_read_by_the_shell = b"\\`(".iter().any(|byte| count(*byte) > 0) || count(b'{') != count(b'}');
    let mut lines = b"\n  __sealcast_f=".to_vec();
    if is_read_by_the_shell {
        lines.extend(sh_quoted(value.as_bytes()));
    } else {
        lines.push(b'"');
        bytes.iter().for_each(|byte| match byte {
            b'"' => lines.extend_from_slice(b"\\\""),
            other => lines.push(*other),
        });
        lines.push(b'"');
    }
    lines.extend_from_slice(
        b"\n  if [ -r \"$__sealcast_f\" ]; then ! . \"$__sealcast_f\"; fi\n  unset __sealcast_f",
    );
    lines
}

/// What a ksh reads where there is no ENV.
const KSH_FILES: &str = "
  case ${KSH_VERSION-} in
  *MIRBSD* | *LEGACY*) if [ -r ~/.mkshrc ]; then ! . ~/.mkshrc; fi ;;
  *93*) ENV=~/.kshrc; if [ -r ~/.kshrc ]; then ! . ~/.kshrc; fi ;;
  esac";

/// A line that gives a variable back the value it had, exported.
fn restore(name: &str, value: Option<OsString>) -> Vec<u8> {
    match value {
        Some(value) => [format!("export {name}=").into_bytes(), sh_quoted(value.as_bytes())].concat(),
        None => format!("unset {name}").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shell: &str, login: bool, env: &[(&str, &str)]) -> Plan {
        let env: Vec<(String, OsString)> = env.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let look = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        prepare(Path::new(shell), login, look, Path::new("/run/s"), &Nonce::new([1; 16]))
    }

    fn args(plan: &Plan) -> Vec<&str> {
        plan.argv.iter().map(|a| a.to_str().unwrap()).collect()
    }

    #[test]
    fn each_shell_is_started_through_its_own_door() {
        assert_eq!(args(&plan("/bin/bash", false, &[])), ["bash", "--rcfile", "/run/s/start.bash"]);
        assert_eq!(args(&plan("/bin/bash", true, &[])), ["-bash", "--posix"]);
        assert_eq!(args(&plan("/usr/bin/fish", true, &[])), ["-fish", "-C", "source '/run/s/start.fish'"]);
        let zsh = plan("/bin/zsh", true, &[("ZDOTDIR", "/home/o'neil")]);
        assert_eq!((args(&zsh), &zsh.env_set), (vec!["-zsh"], &vec![("ZDOTDIR".into(), "/run/s".into())]));
        assert!(String::from_utf8_lossy(&zsh.files[0].1).contains("ZDOTDIR='/home/o'\\''neil'\n"));
        assert_eq!(plan("/bin/dash", false, &[]).env_set, [("ENV".into(), "/run/s/start.sh".into())]);
    }

    #[test]
    fn an_unknown_or_restricted_shell_is_started_as_it_is() {
        for shell in ["/bin/rbash", "/bin/tcsh", "/usr/bin/nu", "/bin/busybox"] {
            let plan = plan(shell, false, &[("ENV", "/x")]);
            assert_eq!((plan.argv.len(), plan.env_set.len(), plan.files.len()), (1, 0, 0), "{shell}");
        }
    }

    #[test]
    fn no_placeholder_is_left_in_a_file() {
        for shell in ["/bin/bash", "/bin/zsh", "/bin/fish", "/bin/sh"] {
            for login in [true, false] {
                for env in [&[][..], &[("ENV", "/e"), ("ZDOTDIR", "/z"), ("HOME", "/root")]] {
                    let plan = plan(shell, login, env);
                    let (path, content) = &plan.files[0];
                    let text = std::str::from_utf8(content).unwrap();
                    assert!(
                        !text.replace("@a}", "").replace("@Q}", "").replace("[@]", "").contains('@'),
                        "{}: {text}",
                        path.display()
                    );
                    assert!(text.contains(&"01".repeat(16)));
                }
            }
        }
    }

    #[test]
    fn files_are_private_and_nothing_is_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let plan = prepare(Path::new("/bin/bash"), false, |_| None, dir.path(), &Nonce::new([1; 16]));
        plan.write(None).unwrap();
        assert_eq!(std::fs::metadata(&plan.files[0].0).unwrap().permissions().mode() & 0o777, 0o600);
        let error = plan.write(None).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
    }
}
