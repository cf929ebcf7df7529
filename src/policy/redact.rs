//! Secrets that are given as arguments, kept out of the recorded command line.
//!
//! An entry is written as the argument looks, with `*` at its end for the secret, and may begin with the program it
//! belongs to:
//!
//! ```text
//! --password=*      the rest of any argument that begins so
//! --password *      the argument after it
//! mysql -p*         only after an argument `mysql` or `…/mysql`
//! *_PASSWORD=*      a further star stands for anything
//! ```
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
    program: Option<String>,
    /// With its wildcards, without the last star.
    before: String,
    /// The secret is the argument after it.
    next: bool,
    written: String,
}

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
        for argument in arguments {
            let before = named.clone();
            self.name(&mut named, argument);
            let shown = if std::mem::take(&mut next_is_secret) {
                INSTEAD.to_owned()
            } else {
                match self.look(argument, &before) {
                    Look::Plain => match self.inside(argument, before) {
                        Some(shown) => shown,
                        None => {
                            told.push(argument.clone());
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
            told.push(shown);
        }
        (told, count)
    }

    /// An argument that is itself a command line: what is left of it, when there is a secret in it.
    fn inside(&self, argument: &str, mut named: Vec<bool>) -> Option<String> {
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
            match self.look(bare, &named) {
                Look::Plain => {}
                Look::Next => next_is_secret = true,
                Look::From(offset) => return Some(format!("{}{INSTEAD}", argument.get(..start + offset)?)),
            }
            self.name(&mut named, bare);
        }
        None
    }

    /// For each entry, whether its program has been named: at first where it has none.
    fn named(&self) -> Vec<bool> {
        self.0.iter().map(|entry| entry.program.is_none()).collect()
    }

    /// Notes the programs that this word names.
    fn name(&self, named: &mut [bool], word: &str) {
        let word = word.rsplit('/').next().unwrap_or(word);
        for (entry, named) in self.0.iter().zip(named) {
            *named = *named || entry.program.as_ref().is_some_and(|program| matches(program, word));
        }
    }

    fn look(&self, argument: &str, named: &[bool]) -> Look {
        let mut found = Look::Plain;
        for (entry, _) in self.0.iter().zip(named).filter(|(_, named)| **named) {
            if entry.next {
                if matches(&entry.before, argument) {
                    found = Look::Next;
                }
                continue;
            }
            // The shortest beginning that fits leaves the longest secret. One that leaves nothing holds none.
            if let Some(at) = shortest_match(&entry.before, argument).filter(|at| *at < argument.len()) {
                return Look::From(at);
            }
        }
        found
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

fn entry_of(written: &str) -> Result<Entry, String> {
    let words: Vec<&str> = written.split_whitespace().collect();
    let (program, words) = match words.as_slice() {
        [program, rest @ ..] if !rest.is_empty() && !program.starts_with('-') && rest != ["*"] => {
            (Some(*program), rest)
        }
        all => (None, all),
    };
    let (before, next) = match words {
        [option, "*"] => (*option, true),
        [pattern] => match pattern.strip_suffix('*') {
            Some("") => return Err("it would leave out everything".to_owned()),
            Some(before) => (before, false),
            None => return Err("it needs a `*` where the secret stands".to_owned()),
        },
        _ => return Err("it is not of the form `[PROGRAM] OPTION*` or `[PROGRAM] OPTION *`".to_owned()),
    };
    Ok(Entry {
        program: program.map(str::to_owned),
        before: before.to_owned(),
        next,
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
