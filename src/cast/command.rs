//! A command as the index of a recording keeps it. The *type* lives here; its detection lives in `shell` and `exec`.

use serde::{Deserialize, Serialize};

/// One command of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The command line: as the shell gave it, or as it stood on the screen at Enter.
    pub text: String,
    /// Working directory when it started, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Start, milliseconds since the start of the session.
    pub start: u64,
    /// End, milliseconds since the start of the session; absent while it runs or when the end was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Exit status; 128 + n for signal n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Exit statuses of the parts of a pipeline, where the shell tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipe: Vec<i32>,
    /// Who told us.
    pub source: Source,
    /// How far it can be believed.
    pub trust: Trust,
    /// What an investigator should look at, as stable words with a reason after a colon (`alias: …`, `hidden: …`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Programs that were executed for it, as the kernel saw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execs: Vec<Exec>,
}

/// Flags that say that a witness tells no more, or that something is missing: who looks at nothing else must see them.
const NOTICES: [&str; 8] =
    ["marks-ended", "replaced", SILENT, "lost-execs", "lost-marks", LEFT_OUT, UNREAD, LEFT_RUNNING];
/// The one of them that is of lines that were typed while the screen was not known.
const UNREAD: &str = "unread";
/// The one of them that is of every day, and of the end of the session.
pub const LEFT_RUNNING: &str = "left-running";
/// The word of the flag that something did not come into the index.
pub const LEFT_OUT: &str = "left-out";
/// The word of the flag that a shell told nothing.
pub const SILENT: &str = "silent";

impl Command {
    /// Its flags that are more than a remark on one command: from here on a witness is silent, or entries are missing.
    pub fn notices(&self) -> impl Iterator<Item = &str> {
        let is = |flag: &&str| NOTICES.contains(&word(flag));
        self.flags.iter().map(String::as_str).filter(is)
    }

    /// Whether only a part of its line is kept.
    pub fn is_cut(&self) -> bool {
        self.flags.iter().any(|flag| is_of(flag, "cut"))
    }

    /// The flag of what was typed in this many lines while the screen was not known.
    pub fn unread(lines: u64) -> String {
        let were = if lines == 1 { "line was" } else { "lines were" };
        format!("{UNREAD}: {lines} {were} typed while the screen was not known")
    }

    /// Whether it stands for lines that nobody could read.
    pub fn is_unread(&self) -> bool {
        self.flags.iter().any(|flag| is_unread(flag))
    }

    /// Bytes that it takes with its programs, about: what bounds the index of a segment.
    pub fn size(&self) -> usize {
        let flags: usize = self.flags.iter().map(|flag| flag.len().saturating_add(24)).sum();
        let own = self.text.len().saturating_add(self.cwd.as_ref().map_or(0, String::len));
        let execs = self.execs.iter().map(Exec::size).fold(0, usize::saturating_add);
        own.saturating_add(flags)
            .saturating_add(self.pipe.len().saturating_mul(4))
            .saturating_add(200)
            .saturating_add(execs)
    }
}

/// The stable word that a flag begins with.
pub fn word(flag: &str) -> &str {
    flag.split_once(':').map_or(flag, |(word, _)| word)
}

/// Whether a flag is one of this stable word.
pub fn is_of(flag: &str, word: &str) -> bool {
    flag.strip_prefix(word).is_some_and(|rest| rest.starts_with(':'))
}

/// Whether a flag says so of a command; see [`Command::is_unread`].
pub fn is_unread(flag: &str) -> bool {
    is_of(flag, UNREAD)
}

impl Exec {
    /// Begins a path that does not lead from the root of all that is mounted for the process: as the kernel says it itself.
    pub const UNREACHABLE: &str = "(unreachable)";

    /// Bytes that it takes, about.
    pub fn size(&self) -> usize {
        let argv: usize = self.argv.iter().map(|arg| arg.len().saturating_add(24)).sum();
        160_usize.saturating_add(self.path.len()).saturating_add(self.cwd.len()).saturating_add(argv)
    }
}

/// Who told of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The command given to `sealcast run -- COMMAND`.
    #[default]
    Argv,
    /// The shell integration, by marks that carry the session's nonce.
    Shell,
    /// The rendered line at Enter.
    Screen,
    /// The kernel's exec trace alone.
    Exec,
    /// Marks of others (OSC 133, 633) without our nonce.
    Hint,
}

/// How far an entry can be believed. Nothing is ever proof against a root user who means to deceive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// From the kernel, or from our own argument list.
    #[default]
    Witnessed,
    /// From the shell, with the nonce: program output cannot forge it, the user's shell can.
    Told,
    /// Inferred from what stood on the screen.
    Inferred,
    /// Anyone could have written it.
    Untrusted,
}

impl Trust {
    /// What people are to be told right behind such an entry; nothing where there is no doubt.
    pub fn doubt(self) -> &'static str {
        match self {
            Self::Witnessed | Self::Told => "",
            Self::Inferred => "  [inferred]",
            Self::Untrusted => "  [untrusted]",
        }
    }
}

/// One program executed in the session, as the kernel saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Milliseconds since the start of the session.
    pub time: u64,
    /// Process id.
    pub pid: u32,
    /// Its parent's process id.
    pub ppid: u32,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Resolved path of the program.
    pub path: String,
    /// Arguments, the program's own name first. Bytes that are not UTF-8 are escaped as `\xNN`.
    pub argv: Vec<String>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// End, milliseconds since the start of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Exit status; 128 + n for signal n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_of_a_witness_is_a_notice_and_a_remark_is_none() {
        let flags = [
            "alias: x",
            "marks-ended: y",
            "replaced: z",
            "lost-execs",
            "lost-marks: x",
            "unlisted: marks-ended: no",
        ];
        let command =
            Command { flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..Command::default() };
        assert_eq!(
            command.notices().collect::<Vec<_>>(),
            ["marks-ended: y", "replaced: z", "lost-execs", "lost-marks: x"]
        );
    }
}
