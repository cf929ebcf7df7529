//! Conditions on a recording as a whole: who, as whom, where, when, why, what was run and how it ended.
//!
//! Some can be answered from the public header, without a key; the rest from the index. Refuses to look inside.

use super::pattern::{Pattern, Style};
use super::when;
use crate::cast::Command;
use crate::container::{Entry, Header, Opening};
use crate::text;
use jiff::Timestamp;

/// The names of conditions, as they are typed.
pub const NAMES: [&str; 10] =
    ["user", "as", "host", "since", "until", "label", "ticket", "command", "exit", "min-duration"];

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Who logged in.
    User(Glob),
    /// As whom the session ran.
    Target(Glob),
    /// On which host.
    Host(Glob),
    /// Began at or after this moment, milliseconds since 1970-01-01T00:00:00Z.
    Since(i64),
    /// Began before this moment.
    Until(i64),
    /// Has this label, with this value if one is given.
    Label(Glob, Option<Glob>),
    /// Ticket of the work order.
    Ticket(Glob),
    /// A command or an executed program holds this text.
    Command(Box<Pattern>),
    /// The session ended with this exit status, or (`true`) with another.
    Exit(i32, bool),
    /// Lasted at least this many milliseconds.
    MinDuration(u64),
}

/// Whether these together ask for what began at a moment and before it: there is nothing like that.
pub fn ask_for_nothing<'a>(conditions: impl Iterator<Item = &'a Condition>) -> bool {
    let (mut since, mut until) = (i64::MIN, i64::MAX);
    for condition in conditions {
        match condition {
            Condition::Since(at) => since = since.max(*at),
            Condition::Until(at) => until = until.min(*at),
            _ => {}
        }
    }
    since >= until
}

/// What header and index say of a recording, and whether that is all.
#[derive(Clone, Copy, Debug)]
pub struct Indexed<'a> {
    /// The public header.
    pub header: &'a Header,
    /// The sealed facts.
    pub opening: &'a Opening,
    /// The entries that there are.
    pub entries: &'a [Entry],
    /// Commands of what has no entry; see [`crate::search::retold`].
    pub retold: &'a [Command],
    /// Whether there are all; see [`crate::container::Reader::is_complete`].
    pub complete: bool,
    /// Somebody is writing it, as far as its lock tells; see [`crate::store::silence`].
    pub running: bool,
}

impl Indexed<'_> {
    /// Entries from which commands or programs are missing, or the ends of their lines and arguments.
    pub fn lacking(&self) -> usize {
        self.entries.iter().filter(|entry| entry.lacks_commands()).count()
    }

    /// Why what is not found may be there all the same; `None` where the index is whole.
    pub fn lack(&self) -> Option<String> {
        match (self.lacking(), self.complete, self.running) {
            (0, true, _) if self.opening.meta.lacks_arguments() => {
                Some("of what it was told to run it has only the beginning".to_owned())
            }
            (0, true, _) => None,
            (0, false, true) => Some("it is being recorded, and its last part is in no index yet".to_owned()),
            (0, false, false) => Some("it was not closed, and its last part is in no index".to_owned()),
            (lacking, ..) => {
                let of = self.entries.len();
                Some(format!("its index lacks commands or arguments, in {lacking} of {of} segments"))
            }
        }
    }
}

/// A name in which `*` stands for anything and `?` for one character; case does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Reads one.
    pub fn new(text: &str) -> Self {
        Self(text.chars().flat_map(char::to_lowercase).collect())
    }

    /// Whether it stands for this name.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
        text::glob(&self.0, &name)
    }
}

impl Condition {
    /// Reads a condition as people write it: one of [`NAMES`] and its value.
    ///
    /// # Errors
    /// What is wrong with the value, in words.
    pub fn parse(name: &str, value: &str, now: Timestamp) -> Result<Self, String> {
        let glob = || Glob::new(value);
        Ok(match name {
            _ if value.is_empty() => return Err("nothing is named".to_owned()),
            "user" => Self::User(glob()),
            "as" => Self::Target(glob()),
            "host" => Self::Host(glob()),
            "since" => Self::Since(when::parse(value, now)?),
            "until" => Self::Until(when::parse(value, now)?),
            "ticket" => Self::Ticket(glob()),
            "label" => match value.split_once('=') {
                Some(("", _)) => return Err("a label is KEY or KEY=VALUE".to_owned()),
                Some((key, value)) => Self::Label(Glob::new(key), Some(Glob::new(value))),
                None => Self::Label(glob(), None),
            },
            "command" => {
                Self::Command(Box::new(Pattern::new(value, Style::default()).map_err(|error| error.what)?))
            }
            "exit" => {
                let (status, other) = match value.strip_prefix('!') {
                    Some(status) => (status, true),
                    None => (value, false),
                };
                let status = status
                    .parse()
                    .map_err(|_| "an exit status is a number, or `!` and a number".to_owned())?;
                Self::Exit(status, other)
            }
            "min-duration" => Self::MinDuration(duration(value)?),
            _ => return Err(format!("there is no condition `{}`", crate::text::escaped(name))),
        })
    }

    /// The answer of the public header; `None` when it does not tell.
    pub fn by_header(&self, header: &Header) -> Option<bool> {
        match self {
            Self::User(glob) => Some(
                glob.matches(&header.user) || (!header.caller.is_empty() && glob.matches(&header.caller)),
            ),
            Self::Target(glob) => Some(glob.matches(&header.target)),
            Self::Host(glob) => Some(glob.matches(&header.host)),
            Self::Since(moment) => Some(header.start >= *moment),
            Self::Until(moment) => Some(header.start < *moment),
            _ => None,
        }
    }

    /// The answer of header and index; `None` where the index lacks what may decide.
    pub fn by_index(&self, known: Indexed<'_>) -> Option<bool> {
        let Indexed { header, opening, entries, retold, complete, running } = known;
        let meta = &opening.meta;
        if let Some(answer) = self.by_header(header) {
            return Some(answer);
        }
        let (found, sure) = match self {
            Self::Label(key, value) => {
                let fits = |v: &String| value.as_ref().is_none_or(|value| value.matches(v));
                (meta.labels.iter().any(|(k, v)| key.matches(k) && fits(v)), true)
            }
            Self::Ticket(glob) => (glob.matches(&meta.ticket), true),
            Self::Command(pattern) => {
                let ran = pattern.is_in(&meta.argv.join(" "))
                    || retold.iter().any(|command| pattern.is_in(&command.text))
                    || entries.iter().any(|entry| {
                        let commands = || entry.commands.iter().chain(&entry.running);
                        commands().any(|command| pattern.is_in(&command.text))
                            || entry
                                .execs
                                .iter()
                                .chain(commands().flat_map(|command| &command.execs))
                                .any(|exec| pattern.is_in(&exec.argv.join(" ")) || pattern.is_in(&exec.path))
                    });
                (ran, complete && known.lacking() == 0 && !meta.lacks_arguments())
            }
            Self::Exit(status, other) => {
                let exit = entries.iter().rev().find_map(|entry| entry.tally.exit);
                // Of one that goes on it is known that it has none.
                (exit.is_some_and(|exit| (exit == *status) != *other), exit.is_some() || complete || running)
            }
            Self::MinDuration(ms) => (entries.last().is_some_and(|entry| entry.tally.end >= *ms), complete),
            _ => (false, true),
        };
        (found || sure).then_some(found)
    }
}

/// A duration as people write it, in milliseconds: `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<u64, String> {
    let wrong = || "not a duration: write `90s`, `5m`, `1h30m`".to_owned();
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000).ok_or_else(wrong);
    }
    let (mut sum, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let unit = after.chars().next().ok_or_else(wrong)?;
        let ms = match unit {
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(ms)).ok_or_else(wrong)?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = &after[unit.len_utf8()..];
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::GivenUp;

    fn condition(name: &str, value: &str) -> Condition {
        Condition::parse(name, value, "2026-11-22T14:03:12Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn globs_match_whole_names_whatever_the_case() {
        for (glob, yes, no) in [
            ("web-*", "web-3", "db-1"),
            ("*", "", "\0never"),
            ("WEB-?", "web-3", "web-33"),
            ("*a*b*c", "xxaxbxbc", "abcd"),
            ("root", "Root", "root2"),
            ("", "", "x"),
        ] {
            assert!(Glob::new(glob).matches(yes), "{glob} {yes}");
            assert!(glob == "*" || !Glob::new(glob).matches(no), "{glob} {no}");
        }
        let evil = Glob::new(&"*a".repeat(500));
        assert!(!evil.matches(&"a".repeat(499)));
    }

    #[test]
    fn the_header_answers_what_is_public_and_the_index_the_rest() {
        let header = Header {
            user: "alice".into(),
            host: "web-3".into(),
            start: 1_795_356_192_000,
            ..Header::default()
        };
        for (name, value, answer) in [
            ("user", "al*", Some(true)),
            ("user", "bob", Some(false)),
            ("since", "yesterday", Some(true)),
            ("until", "2026-11-22", Some(false)),
            ("ticket", "OPS-1", None),
            ("exit", "0", None),
        ] {
            assert_eq!(condition(name, value).by_header(&header), answer, "{name} {value}");
        }
        let mut opening = Opening::default();
        opening.meta.ticket = "OPS-1".into();
        opening.meta.labels.insert("env".into(), "prod".into());
        let mut entry = Entry::default();
        (entry.tally.end, entry.tally.exit) = (61_000, Some(2));
        entry.commands.push(Command { text: "vim /etc/hosts".into(), ..Command::default() });
        for (name, value, answer) in [
            ("ticket", "ops-?", true),
            ("label", "env", true),
            ("label", "env=prod", true),
            ("label", "env=dev", false),
            ("exit", "2", true),
            ("exit", "!0", true),
            ("exit", "!2", false),
            ("min-duration", "1m", true),
            ("min-duration", "1m2s", false),
            ("command", "/etc/hosts", true),
            ("command", "passwd", false),
        ] {
            let entries = std::slice::from_ref(&entry);
            let whole = Indexed {
                header: &header,
                opening: &opening,
                entries,
                retold: &[],
                complete: true,
                running: false,
            };
            assert_eq!(condition(name, value).by_index(whole), Some(answer), "{name} {value}");
            // What is found is found; what is not may be in what has no entry, or in what an entry lacks.
            let torn = Indexed { complete: false, ..whole };
            let open = ["command", "min-duration"].contains(&name) && !answer;
            assert_eq!(
                condition(name, value).by_index(torn),
                (!open).then_some(answer),
                "torn {name} {value}"
            );
            let mut less = entry.clone();
            less.left_out.programs = 1;
            let lacking = Indexed { entries: std::slice::from_ref(&less), ..whole };
            let open = name == "command" && !answer;
            assert_eq!(condition(name, value).by_index(lacking), (!open).then_some(answer), "{name} {value}");
            let unread = Entry { given_up: Some(GivenUp::Unread), ..entry.clone() };
            let unread = Indexed { entries: std::slice::from_ref(&unread), ..whole };
            assert_eq!(condition(name, value).by_index(unread), (!open).then_some(answer), "{name} {value}");
            assert_eq!(
                [whole.lack().is_none(), torn.lack().is_none(), lacking.lack().is_none()],
                [true, false, false]
            );
        }
        let torn = Indexed {
            header: &header,
            opening: &opening,
            entries: &[],
            retold: &[],
            complete: false,
            running: false,
        };
        assert_eq!(condition("exit", "0").by_index(torn), None);
        let retold = [Command { text: "uptime".into(), ..Command::default() }];
        let retold = Indexed { retold: &retold, ..torn };
        assert_eq!(condition("command", "uptime").by_index(retold), Some(true));
        assert_eq!(condition("command", "date").by_index(retold), None);
        assert_eq!(condition("exit", "0").by_index(Indexed { running: true, ..torn }), Some(false));
    }

    #[test]
    fn wrong_values_are_told() {
        let now = Timestamp::UNIX_EPOCH;
        for (name, value) in [
            ("since", "soon"),
            ("exit", "x"),
            ("exit", "!"),
            ("label", "=x"),
            ("min-duration", "5 years"),
            ("min-duration", "99999999999999999999s"),
            ("min-duration", "5"),
            ("user", ""),
            ("nobody", "x"),
        ] {
            let parsed = Condition::parse(name, value, now);
            assert_eq!(parsed.is_err(), value != "5", "{name} {value}");
        }
    }
}
