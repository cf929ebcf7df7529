//! Secrets that are given as arguments, kept out of the recorded command line.
//!
//! An entry is written as the argument looks, with `*` at its end for the secret, and may begin with the program it
//! belongs to, and with what that is told to do:
//!
//! ```text
//! --password=*      the rest of any argument that begins so
//! --password *      the argument after it
//! mysql -p*         only after an argument `mysql` or `…/mysql`
//! docker login -p * only after such a `docker`, and an argument `login` behind that
//! *_PASSWORD=*      a further star stands for anything
//! ://*@             what stands before the `@` of an address, behind the name of a user; a token in place of that name
//! ```
//!
//! Upper and lower case are the same, but in short options (`-p`, `-P`) and names of programs. The password of `curl`
//! and of the clients of MySQL, and what `useradd` and `usermod` are given, is also found behind short options that are written
//! together with it (`mysql -vp…`), where these are known to take no value: what is left out is gone for good.
//!
//! An argument with white space in it may be a command line of its own (`sh -c '…'`): its words are looked at too, and
//! when one of them holds a secret everything from there to the end of the argument is left out, since only a shell knows
//! where the secret ends.

use super::names::{matches, shortest_match};
use std::fmt;

/// What stands in place of a secret.
const INSTEAD: &str = "[redacted]";

/// Which arguments hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactions(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The program, and what it is told to do; nothing for any program.
    command: Vec<String>,
    /// With its wildcards, without the last star; in lower case where case makes no difference.
    before: String,
    place: Place,
    any_case: bool,
    written: String,
}

/// Where the secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind what the entry says.
    Rest,
    /// The argument after it.
    Next,
    /// In an address.
    Address,
}

/// Short options that take no value, which may stand before that of an entry.
const FLAGS: &[(&str, &str)] = &[
    ("curl", "#0123469BGIJLMNORSafgijklnpqsv"),
    ("mysql", MYSQL),
    ("mysqldump", MYSQL),
    ("mysqladmin", MYSQL),
    ("mariadb", MYSQL),
    ("mariadb-dump", MYSQL),
    ("useradd", "DFMNUhlmor"),
    ("usermod", "LUahmor"),
];
const MYSQL: &str = "ABCEHNXfnqstv";
/// Programs whose options are looked for among arguments alone, not in a command line within one: behind `useradd -m a && mkdir -p /b`
/// they would take what another program is given.
const ALONE: &[&str] = &["useradd", "usermod"];
/// Programs whose headers, the entries that end in `:`, are looked for among arguments alone as well, and not in an address: behind
/// `curl -s http://h | grep cookie:x && rm -r /srv` they would take the same.
const HEADERS: &[&str] = &["curl", "wget"];
/// How options begin that are named after a secret and have none: what follows them is no value.
const WITHOUT: &[&str] =
    &["--no-", "--disable-", "--disabled-", "--skip-", "--without-", "--delete-", "--ask-", "--prompt-"];

/// How tokens of GitHub and GitLab begin.
const TOKENS: &[&str] = &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"];
/// A token is not shorter than this, in bytes.
const TOKEN: usize = 20;

/// How the entry for addresses is written.
const ADDRESS: &str = "://*@";

impl Redactions {
    /// Reads the entries.
    ///
    /// # Errors
    /// The number of the first entry that is none, counted from 0, and why.
    pub fn parse(entries: &[impl AsRef<str>]) -> Result<Self, (usize, String)> {
        let parsed =
            entries.iter().enumerate().map(|(n, entry)| entry_of(entry.as_ref()).map_err(|why| (n, why)));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The arguments without their secrets, and how many secrets were left out.
    pub fn apply(&self, arguments: &[String]) -> (Vec<String>, u32) {
        let mut count = 0;
        let mut next_is_secret = false;
        let mut told = Vec::with_capacity(arguments.len());
        let mut named = self.named();
        let mut last = "";
        for argument in arguments {
            let last = std::mem::replace(&mut last, argument);
            let before = named.clone();
            self.name(&mut named, argument);
            let shown = if std::mem::take(&mut next_is_secret) {
                INSTEAD.to_owned()
            } else {
                match self.look(argument, Some(last), &before) {
                    Look::Plain => match self.inside(argument, before) {
                        Some(shown) => shown,
                        None => {
                            let shown = self.without_userinfo(argument.clone());
                            count += u32::from(shown != *argument);
                            told.push(shown);
                            continue;
                        }
                    },
                    Look::Next => {
                        next_is_secret = true;
                        told.push(argument.clone());
                        continue;
                    }
                    Look::From(at) => format!("{}{INSTEAD}", argument.get(..at).unwrap_or_default()),
                }
            };
            count += 1;
            told.push(self.without_userinfo(shown));
        }
        (told, count)
    }

    /// An argument that is itself a command line: what is left of it, when there is a secret in it.
    fn inside(&self, argument: &str, mut named: Vec<usize>) -> Option<String> {
        let mut from = 0;
        let mut next_is_secret = false;
        if !argument.contains(char::is_whitespace) {
            return None;
        }
        for word in argument.split_whitespace() {
            let at = from + argument.get(from..)?.find(word)?;
            from = at + word.len();
            let bare = word.trim_start_matches(['\'', '"', '(', '{', ';', '`', '$']);
            let start = at + (word.len() - bare.len());
            if next_is_secret {
                return Some(format!("{}{INSTEAD}", argument.get(..at)?));
            }
            match self.look(bare, None, &named) {
                Look::Plain => {}
                Look::Next => next_is_secret = true,
                Look::From(offset) => return Some(format!("{}{INSTEAD}", argument.get(..start + offset)?)),
            }
            self.name(&mut named, bare);
        }
        None
    }

    /// For each entry, how many words of its command have been named.
    fn named(&self) -> Vec<usize> {
        vec![0; self.0.len()]
    }

    /// Notes the programs, and what they are told to do, that this word names.
    fn name(&self, named: &mut [usize], word: &str) {
        let word = word.rsplit('/').next().unwrap_or(word);
        for (entry, named) in self.0.iter().zip(named) {
            *named += usize::from(entry.command.get(*named).is_some_and(|wanted| matches(wanted, word)));
        }
    }

    /// `last`: the argument before it; `None` where it is a word of a command line in an argument.
    fn look(&self, argument: &str, last: Option<&str>, named: &[usize]) -> Look {
        let (mut is_next, mut from) = (false, None::<usize>);
        // Of the same length.
        let lower = argument.to_ascii_lowercase();
        let holds = |(entry, named): &(&Entry, &usize)| {
            **named == entry.command.len() && !(last.is_none() && entry.is_for_arguments_alone())
        };
        for (entry, _) in self.0.iter().zip(named).filter(holds) {
            let text = if entry.any_case { &lower } else { argument };
            match entry.place {
                Place::Next if entry.is_whole(text) => {}
                Place::Next => {
                    is_next |=
                        matches(&entry.before, text) || entry.in_cluster(argument) == Some(argument.len());
                }
                // The shortest beginning that fits leaves the longest secret. One that leaves nothing holds none.
                Place::Rest => {
                    let end = shortest_match(&entry.before, text).or_else(|| entry.in_cluster(argument));
                    if let Some(at) =
                        end.filter(|at| *at < argument.len() && entry.may_end(argument, *at, last))
                    {
                        from = Some(from.map_or(at, |before| before.min(at)));
                    }
                }
                Place::Address => {}
            }
        }
        match from {
            Some(at) => Look::From(at),
            None if is_next => Look::Next,
            None => Look::Plain,
        }
    }

    /// A text without what stands before the `@` of the addresses in it, behind the name of a user, or as a token in its place.
    fn without_userinfo(&self, text: String) -> String {
        if !self.0.iter().any(|entry| entry.place == Place::Address) || !text.contains("://") {
            return text;
        }
        let mut pieces = text.split("://");
        let mut told = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            told.push_str("://");
            let end = piece.find(|c: char| c.is_whitespace() || "/?#'\"".contains(c)).unwrap_or(piece.len());
            let (host, rest) = piece.split_at(end);
            let Some((before, host)) = host.rsplit_once('@') else {
                told.push_str(piece);
                continue;
            };
            let (user, colon, word) = match before.split_once(':') {
                Some((user, word)) => (user, ":", word),
                None => (before, "", ""),
            };
            let is_token = user.len() >= TOKEN && TOKENS.iter().any(|begin| user.starts_with(begin));
            let user = if is_token { INSTEAD } else { user };
            let word = if word.is_empty() { "" } else { INSTEAD };
            told.push_str(&format!("{user}{colon}{word}@{host}{rest}"));
        }
        told
    }

    /// The entries as they were written.
    pub fn entries(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.written.as_str()).collect()
    }
}

impl fmt::Display for Redactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(", "))
    }
}

enum Look {
    Plain,
    /// The next argument is a secret.
    Next,
    /// It is one from this byte on.
    From(usize),
}

impl Entry {
    /// For a short option of a program: where it ends in an argument that has others before it, which take no value.
    fn in_cluster(&self, argument: &str) -> Option<usize> {
        let program = self.command.first()?;
        let (_, flags) = FLAGS.iter().find(|(name, _)| name == program)?;
        let mut option = self.before.strip_prefix('-')?.chars();
        let (Some(letter), None) = (option.next().filter(char::is_ascii_alphabetic), option.next()) else {
            return None;
        };
        let letters = argument.strip_prefix('-')?;
        let at = letters.find(letter)?;
        letters.get(..at)?.chars().all(|c| flags.contains(c)).then_some(at + 2)
    }

    fn is_for_arguments_alone(&self) -> bool {
        self.is_header() || self.command.first().is_some_and(|program| ALONE.contains(&program.as_str()))
    }

    fn is_header(&self) -> bool {
        let program = self.command.first();
        self.before.ends_with(':') && program.is_some_and(|program| HEADERS.contains(&program.as_str()))
    }

    /// Whether what ends there can be a header: not where it is behind an address, as the port of a host or in what is asked of it, or
    /// behind words of a command line, other than the option in `-H Cookie: x`.
    fn may_end(&self, argument: &str, end: usize, last: Option<&str>) -> bool {
        let (before, behind) = argument.split_at_checked(end).unwrap_or_default();
        let words = before.split_whitespace().count();
        let is_port =
            !before.starts_with('-') && begins_with_port(behind) && !last.is_some_and(asks_for_header);
        !self.is_header()
            || (!before.contains("://") && !is_port && (words < 2 || (words == 2 && before.starts_with('-'))))
    }

    /// Whether no value follows the argument: it has it in itself, or is one that only speaks of secrets.
    fn is_whole(&self, argument: &str) -> bool {
        let only_speaks =
            self.before.contains('*') && WITHOUT.iter().any(|begin| argument.starts_with(begin));
        only_speaks || (argument.contains('=') && !self.before.contains('='))
    }
}

/// Whether it begins as what stands behind the name of a host.
fn begins_with_port(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && (rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// Whether a header is the value of this option: `-H`, also behind others, or `--header` and its kin, also cut short.
fn asks_for_header(option: &str) -> bool {
    option
        .strip_prefix("--")
        .map_or(option.starts_with('-') && option.ends_with('H'), |long| long.contains("head"))
}

fn entry_of(written: &str) -> Result<Entry, String> {
    if written == ADDRESS {
        let (before, written) = (String::new(), written.to_owned());
        return Ok(Entry { command: Vec::new(), before, place: Place::Address, any_case: false, written });
    }
    let words: Vec<&str> = written.split_whitespace().collect();
    let (command, words) = match words.as_slice() {
        [program, told, _, ..] if words.iter().position(|word| word.starts_with('-')) == Some(2) => {
            (vec![*program, *told], words.get(2..).unwrap_or_default())
        }
        [program, rest @ ..] if !rest.is_empty() && !program.starts_with('-') && rest != ["*"] => {
            (vec![*program], rest)
        }
        all => (Vec::new(), all),
    };
    let (before, place) = match words {
        [option, "*"] => (*option, Place::Next),
        [pattern] => match pattern.strip_suffix('*') {
            Some("") => return Err("it would leave out everything".to_owned()),
            Some(before) => (before, Place::Rest),
            None => return Err("it needs a `*` where the secret stands".to_owned()),
        },
        _ => {
            return Err(
                "it is not of the form `[PROGRAM [ARGUMENT]] OPTION*` or the same with `OPTION *`".to_owned()
            );
        }
    };
    let any_case = !before.starts_with('-') || before.starts_with("--");
    Ok(Entry {
        command: command.into_iter().map(str::to_owned).collect(),
        before: if any_case { before.to_ascii_lowercase() } else { before.to_owned() },
        place,
        any_case,
        written: written.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactions() -> Redactions {
        Redactions::parse(&["--password=*", "--password *", "mysql -p*", "curl -u *", "*_PASSWORD=*"])
            .unwrap()
    }

    fn told(line: &[&str]) -> (String, u32) {
        let (told, count) = redactions().apply(&line.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
        (told.join("|"), count)
    }

    #[test]
    fn secrets_are_left_out_and_counted_and_the_rest_stays() {
        for (line, expected, count) in [
            (&["mysql", "-pS3cret", "-u", "root"][..], "mysql|-p[redacted]|-u|root", 1),
            (&["/usr/bin/mysql", "-pS3cret"], "/usr/bin/mysql|-p[redacted]", 1),
            (&["mysql", "-p"], "mysql|-p", 0),
            (&["ssh", "-p22", "host"], "ssh|-p22|host", 0),
            (
                &["x", "--password=a", "--password", "b", "c"],
                "x|--password=[redacted]|--password|[redacted]|c",
                2,
            ),
            (&["curl", "-u", "me:pw", "url"], "curl|-u|[redacted]|url", 1),
            (&["-u", "me:pw"], "-u|me:pw", 0),
            (&["env", "PG_PASSWORD=x", "psql"], "env|PG_PASSWORD=[redacted]|psql", 1),
            (&["sh", "-c", "cd /; mysql -pS3cret db"], "sh|-c|cd /; mysql -p[redacted]", 1),
            (&["sh", "-c", "PG_PASSWORD='a b' psql"], "sh|-c|PG_PASSWORD=[redacted]", 1),
            (&["sh", "-c", "(PG_PASSWORD=x psql)"], "sh|-c|(PG_PASSWORD=[redacted]", 1),
            (&["sh", "-c", "x --password  'b c' d"], "sh|-c|x --password  [redacted]", 1),
            (&["echo", "año --password=ñ"], "echo|año --password=[redacted]", 1),
            (&["a", "--password"], "a|--password", 0),
        ] {
            assert_eq!(told(line), (expected.to_owned(), count), "{line:?}");
        }
    }

    #[test]
    fn an_entry_without_a_star_or_of_stars_alone_is_refused() {
        for (entry, why) in [("--password", "`*`"), ("*", "everything"), ("a b c *", "form"), ("", "form")] {
            let (n, told) = Redactions::parse(&["--ok=*", entry]).unwrap_err();
            assert!(n == 1 && told.contains(why), "{entry}: {told}");
        }
    }
}
