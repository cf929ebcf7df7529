//! What a recording says of itself: a little in public, the rest sealed.

use super::error::Error;
use super::fit::missing;
use super::limits;
use crate::text::beginning;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// As many characters are told of what is wrong with a header.
const TOLD: usize = 200;
/// As many characters of a reason or a ticket stand in a list: no recorder takes one of more bytes.
const LISTED: usize = 4096;

/// The public part. Anyone who holds the file reads it; nothing else is public.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Session id: 16 random bytes in hexadecimal.
    pub session: String,
    /// `chacha20poly1305`.
    pub cipher: String,
    /// `zstd`.
    pub compression: String,
    /// Commitment to the start of the content chain, hexadecimal.
    pub content: String,
    /// Commitment to the start of the index chain, hexadecimal.
    pub index: String,
    /// The recipients that can open the recording, as age or SSH public keys.
    pub recipients: Vec<String>,
    /// Start, milliseconds since 1970-01-01T00:00:00Z.
    pub start: i64,
    /// Host name.
    #[serde(default)]
    pub host: String,
    /// Machine id (`/etc/machine-id`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// Who logged in, by the kernel's word; who called where it has none.
    #[serde(default)]
    pub user: String,
    /// Who called, where that is somebody else than who logged in: whoever has no login uid may choose one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// As whom the session ran.
    #[serde(default)]
    pub target: String,
    /// Retention label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub retention: String,
    /// Version of the tool that wrote it.
    #[serde(default)]
    pub tool: String,
    /// SHA-256 of the configuration in force, hexadecimal; empty in personal mode.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
}

impl Header {
    pub(crate) fn parse(body: &[u8], offset: u64) -> Result<Self, Error> {
        if body.len() > limits::HEADER {
            let what = format!("header of {} bytes; at most {} are allowed", body.len(), limits::HEADER);
            return Err(Error::format(offset, 0, what));
        }
        // A list of the values in their order would be read as well.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Error::format(offset, 0, "the header: it is no JSON object"));
        }
        // What is wrong is told by repeating it.
        let wrong = |error: serde_json::Error| beginning(&error.to_string(), TOLD);
        let header: Self = serde_json::from_slice(body)
            .map_err(|error| Error::format(offset, 0, format!("the header: {}", wrong(error))))?;
        if header.cipher != "chacha20poly1305" || header.compression != "zstd" {
            return Err(Error::format(
                offset,
                0,
                "the header names a cipher or compression this version does not have",
            ));
        }
        Ok(header)
    }

    /// The person, and who called where that is told as another: `alice`, or `bob (called by alice)`.
    pub fn person(&self) -> String {
        match self.caller.as_str() {
            "" => self.user.clone(),
            caller => format!("{} (called by {caller})", self.user),
        }
    }

    /// The 16 bytes of the session id, where the text is well-formed.
    pub fn session_bytes(&self) -> Option<[u8; 16]> {
        crate::crypto::digest::unhex(&self.session)
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How `origin-from` in [`Meta::identity`] begins where [`Meta::origin`] is the kernel's word, and nobody's claim.
pub const ORIGIN_WITNESSED: &str = "socket of";

/// The sealed part: who, what, where and why, for those who hold a key. Everything is optional: a recorder writes what
/// it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// The command and its arguments; empty for a login shell that was not named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Working directory at the start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// Why: free text of the operator.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Ticket of the work order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ticket: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Environment values that policy names; all others are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `$TERM`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub term: String,
    /// Columns at the start; 0 without a terminal, and where it does not say them.
    pub cols: u16,
    /// Rows at the start; 0 without a terminal, and where it does not say them.
    pub rows: u16,
    /// Terminal device, such as `/dev/pts/3`; empty without a terminal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tty: String,
    /// The standard streams, `stdin`, `stdout` and `stderr`, that passed beside the terminal, into or out of a pipe or a file; none without
    /// a terminal, and where it was not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Where the session came from, in the form of `SSH_CONNECTION`: the other side of sshd's own connection where
    /// `origin-from` in [`Meta::identity`] begins with [`ORIGIN_WITNESSED`], else what an environment says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// Names and numbers of the people involved: `login-uid`, `uid`, `sudo-user`, `groups`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub identity: BTreeMap<String, String>,
    /// Ancestors of the recorder, nearest first: `pid name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestry: Vec<String>,
    /// Kernel release.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// Boot id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub boot: String,
    /// Generation of what drew the filters and keyframes; 0 = not told.
    #[serde(skip_serializing_if = "is_zero")]
    pub drawing: u32,
    /// What was in force: input policy, failure policy, guard profile, exec trace, shell integration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub in_force: BTreeMap<String, String>,
}

impl Meta {
    /// The shell that was to tell what it runs, as `shell-integration` in [`Meta::in_force`] names it; `None` where none was: that
    /// says `off` then, or `none`, mostly with a reason behind it, or nothing at all.
    pub fn telling_shell(&self) -> Option<&str> {
        let shell = self.in_force.get("shell-integration")?;
        (shell != "off" && !shell.starts_with("none")).then_some(shell)
    }

    /// Whether of its arguments only the beginning is kept.
    pub fn lacks_arguments(&self) -> bool {
        // Before they said how much is missing, each was cut by itself, and `…` alone stood for those behind 64 KiB.
        let is_cut = |word: &String| word.len() >= 4096 && word.ends_with('…');
        let before =
            || self.argv.iter().map(|word| word.len().saturating_add(1)).fold(0, usize::saturating_add);
        let are_less = self.argv.last().is_some_and(|last| last == "…") && before() > (64 << 10) - 4200;
        missing(&self.argv).is_some() || are_less || self.argv.iter().any(is_cut)
    }

    /// Why, in one line, for a list: ticket and reason, as far as they were given, and of each as much as a recorder takes. The file of a
    /// few kilobytes that has megabytes there must not cost them, and again, for each row.
    pub fn why(&self) -> String {
        let given = [self.ticket.as_str(), self.reason.as_str()].into_iter().filter(|text| !text.is_empty());
        given.map(|text| beginning(text, LISTED)).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_is_in_a_list_what_a_recorder_takes_and_of_more_the_beginning() {
        let why = |ticket: &str, reason: &str| {
            Meta { ticket: ticket.into(), reason: reason.into(), ..Meta::default() }.why()
        };
        let most = "r".repeat(LISTED);
        assert_eq!(why("OPS-1", &most), format!("OPS-1 {most}"));
        assert_eq!(why(&format!("{most}r"), &"é".repeat(LISTED + 1)).chars().count(), 2 * LISTED + 3);
        assert!(why("", &"é".repeat(8 << 20)).len() < 3 * LISTED);
    }

    #[test]
    fn what_is_public_is_an_object_and_not_a_list_of_its_values() {
        let header = Header {
            cipher: "chacha20poly1305".into(),
            compression: "zstd".into(),
            machine: "m".into(),
            caller: "c".into(),
            retention: "r".into(),
            policy: "p".into(),
            ..Header::default()
        };
        let object = serde_json::to_string(&header).unwrap();
        assert_eq!(Header::parse(object.as_bytes(), 16).unwrap(), header);
        assert_eq!(Header::parse(format!(" {object}").as_bytes(), 16).unwrap(), header);
        let list = r#"["","chacha20poly1305","zstd","","",[],0,"","m","","c","","r","","p"]"#;
        assert_eq!(serde_json::from_str::<Header>(list).unwrap(), header, "what would be read");
        assert!(Header::parse(list.as_bytes(), 16).is_err());
    }
}
