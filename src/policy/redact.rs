//! Secrets that are given as arguments, kept out of the recorded command line.
//!
//! An entry is written as the argument looks, with `*` at its end for the secret, and may begin with the program it
//! belongs to, and with what that is told to do:
//!
//! ```text
//! --password=*      the rest of any argument that begins so
//! --password *      the argument after it
//! mysql -p*         only as an argument of `mysql` or `…/mysql`
//! docker login -p * only as one of `docker` behind an argument `login`
//! *_PASSWORD=*      a further star stands for anything
//! curl -H Cookie:*  the value of a header, behind `-H` of that program or `--header` of any, also written together with it
//! ://*@             what stands before the `@` of an address, behind the name of a user; and a token that stands for that name
//! ```
//!
//! Upper and lower case are the same, but in short options (`-p`, `-P`) and names of programs. The password of `curl`
//! and of the clients of MySQL is also found behind short options that are written together with it (`mysql -vp…`), where these
//! are known to take no value: what is left out is gone for good.
//!
//! A program is the first word, and any argument of one that is known to run others (`sudo`, `docker`, `sh`): nowhere else does its
//! name make secrets of what follows.
//!
//! An argument with white space in it may be a command line of its own (`sh -c '…'`): its words are looked at too. A secret in
//! it goes to the end of its word and the quotes that word is in, and to the end of the argument where nothing closes them.

use super::names::{matches, shortest_match};
use super::script::Script;
use std::fmt;

/// What stands in place of a secret.
const INSTEAD: &str = "[redacted]";

/// Which arguments hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactions(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The program and what it is told to do; nothing for any program.
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
    /// In a header with that name.
    Header,
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
];
const MYSQL: &str = "ABCEHNXfnqstv";
/// How options begin that are named after a secret and have none: what follows them is no value.
const WITHOUT: &[&str] =
    &["--no-", "--disable-", "--disabled-", "--skip-", "--without-", "--delete-", "--ask-", "--prompt-"];

/// How an option of any program begins that has a header in itself.
const HEADER: &str = "--header=";
/// Programs that run the one which their arguments name.
const RUNNERS: &str = "sudo doas su runuser run0 pkexec setpriv gosu su-exec sealcast env nice ionice chrt taskset nohup \
    setsid timeout time stdbuf unbuffer script xargs parallel watch flock strace ltrace prlimit chroot unshare nsenter ip \
    systemd-run systemd-inhibit ssh sshpass docker podman nerdctl docker-compose kubectl oc lxc machinectl exec command \
    builtin eval busybox sh bash dash ash zsh ksh fish perl python python3 ruby";
/// Words of a shell behind which a command begins.
const KEYWORDS: &[&str] = &["!", "if", "then", "elif", "else", "do", "while", "until"];
/// Arguments behind which one begins (`find`).
const EXEC: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];
/// How tokens of GitHub and GitLab begin: what stands for the name of a user is that name otherwise.
const TOKENS: &[&str] = &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"];

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
        let mut before = "";
        let mut told = Vec::with_capacity(arguments.len());
        let mut line = Line::new(&self.0);
        for argument in arguments {
            let option = std::mem::replace(&mut before, argument);
            let is_secret = std::mem::take(&mut next_is_secret) && !argument.is_empty();
            let cut = |at: usize| (format!("{}{INSTEAD}", argument.get(..at).unwrap_or_default()), 1);
            let found = if is_secret {
                Some(cut(0))
            } else if let Some(at) = header(argument, option, &line).filter(|at| *at < argument.len()) {
                Some(cut(at))
            } else {
                let is_script = is_short_option(option) && option.ends_with('c');
                let has_words = is_script || argument.contains(char::is_whitespace);
                let begun = || if is_script { Line::new(&self.0) } else { line.clone() };
                let inside = || has_words.then(|| inside(argument, begun())).flatten();
                match look(argument, &line) {
                    Look::Plain => inside(),
                    Look::Next => {
                        next_is_secret = true;
                        None
                    }
                    // Its words tell where the secret ends, where it is known to be made of them.
                    Look::From(at) => {
                        let begins = argument.get(..at).unwrap_or_default();
                        let is_script = is_script || begins.contains(char::is_whitespace);
                        Some(is_script.then(inside).flatten().unwrap_or_else(|| cut(at)))
                    }
                }
            };
            line.word(argument);
            let (shown, secrets) = found.unwrap_or_else(|| (argument.clone(), 0));
            let bare = without_userinfo(&self.0, &shown);
            count += if secrets == 0 { u32::from(bare != shown) } else { secrets };
            told.push(bare);
        }
        (told, count)
    }

    /// The entries as they were written.
    pub fn entries(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.written.as_str()).collect()
    }
}

/// An argument that is itself a command line: what is left of it, when there are secrets in it, and how many there were.
fn inside(argument: &str, mut line: Line<'_>) -> Option<(String, u32)> {
    line.place = At::Start;
    let mut script = Script::new(argument);
    let (mut told, mut told_to, mut count) = (String::new(), 0, 0);
    let (mut from, mut ended) = (0, 0);
    let mut before = "";
    let (mut next_is_secret, mut closing) = (false, None);
    while let Some(word) = argument.get(from..).and_then(|rest| rest.split_whitespace().next()) {
        let at = from + argument.get(from..)?.find(word)?;
        from = at + word.len();
        script.read_to(at);
        line.inside("", script.ended != ended);
        ended = script.ended;
        let bare = word.trim_start_matches(['\'', '"', '\\', '(', '{', ';', '`', '$']);
        let start = at + (word.len() - bare.len());
        let mut secret = std::mem::take(&mut next_is_secret).then_some(at);
        let option = std::mem::replace(&mut before, bare);
        if secret.is_none()
            && let Some(offset) = header(bare, option, &line)
        {
            // It goes on behind a blank where it is in quotes, and has no value where it ends here.
            next_is_secret = offset == bare.len() && word.contains(['\'', '"']);
            secret = Some(start + offset);
            closing = ["\\\"", "\\'"].into_iter().find(|quote| word.contains(quote));
        }
        if secret.is_none() {
            match look(bare, &line) {
                Look::Plain => {}
                Look::Next => next_is_secret = true,
                Look::From(offset) => secret = Some(start + offset),
            }
        }
        if let Some(secret) = secret.filter(|secret| !is_empty(argument.get(*secret..from))) {
            script.read_to(secret);
            // Quotes for a shell within are words to this one.
            let closed = closing.take().and_then(|quote| argument.get(secret..)?.find(quote));
            let end = closed.map_or_else(|| script.end_of_word(), |length| secret + length);
            if end > secret {
                told.push_str(argument.get(told_to..secret)?);
                told.push_str(INSTEAD);
                (told_to, from) = (end, end);
                count += 1;
            }
        }
        script.read_to(from);
        line.inside(argument.get(at..from)?, script.ended != ended);
        ended = script.ended;
    }
    told.push_str(argument.get(told_to..)?);
    (count > 0).then_some((told, count))
}

/// What an argument, or a word in one, says of secrets.
fn look(argument: &str, line: &Line<'_>) -> Look {
    let (mut is_next, mut from) = (false, None::<usize>);
    // Of the same length.
    let lower = argument.to_ascii_lowercase();
    for entry in line.entries().filter_map(|(entry, holds)| holds.then_some(entry)) {
        let text = if entry.any_case { &lower } else { argument };
        match entry.place {
            Place::Next if entry.is_whole(text) => {}
            Place::Next => {
                is_next |= matches(&entry.before, text) || entry.in_cluster(argument) == Some(argument.len());
            }
            // The shortest beginning that fits leaves the longest secret. One that leaves nothing holds none.
            Place::Rest => {
                let end = shortest_match(&entry.before, text).or_else(|| entry.in_cluster(argument));
                if let Some(at) = end.filter(|at| *at < argument.len()) {
                    from = Some(from.map_or(at, |before| before.min(at)));
                }
            }
            Place::Header | Place::Address => {}
        }
    }
    match from {
        Some(at) => Look::From(at),
        None if is_next => Look::Next,
        None => Look::Plain,
    }
}

/// Where the value of a header begins that holds a secret; it is one behind an option for them, or written together with it.
fn header(argument: &str, option: &str, line: &Line<'_>) -> Option<usize> {
    let long =
        if option == "--header" { Some(0) } else { argument.strip_prefix(HEADER).map(|_| HEADER.len()) };
    line.entries().find_map(|(entry, holds)| {
        if entry.place != Place::Header {
            return None;
        }
        let at = match long {
            Some(at) => at,
            None if !holds => return None,
            None if entry.in_cluster(option) == Some(option.len()) => 0,
            None => entry.in_cluster(argument)?,
        };
        let (name, value) = argument.get(at..)?.split_once(':')?;
        // Of a command line in an argument the quotes are there.
        let name = name.trim_start_matches(['\'', '"', '\\']).to_ascii_lowercase();
        matches(&entry.before, &name).then(|| argument.len() - value.trim_start().len())
    })
}

/// A text without what stands before the `@` of the addresses in it, behind the name of a user, or as a token in its place.
fn without_userinfo(entries: &[Entry], text: &str) -> String {
    if !entries.iter().any(|entry| entry.place == Place::Address) || !text.contains("://") {
        return text.to_owned();
    }
    let mut pieces = text.split("://");
    let mut told = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        told.push_str("://");
        let end = piece.find(|c: char| c.is_whitespace() || "/?#'\"".contains(c)).unwrap_or(piece.len());
        let (host, rest) = piece.split_at(end);
        let (before, host) = host.rsplit_once('@').unwrap_or(("", host));
        let (user, word) = before.split_once(':').unwrap_or((before, ""));
        let is_token = TOKENS.iter().any(|begin| user.starts_with(begin));
        let user = if is_token { INSTEAD } else { user };
        match word.is_empty() {
            false => told.push_str(&format!("{user}:{INSTEAD}@{host}{rest}")),
            true if is_token => told.push_str(&format!("{user}@{host}{rest}")),
            true => told.push_str(piece),
        }
    }
    told
}

impl fmt::Display for Redactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(", "))
    }
}

/// Whether it is a short option, or several that are written together.
fn is_short_option(argument: &str) -> bool {
    let letters = argument.strip_prefix('-').unwrap_or_default();
    !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether there is no value: nothing but what ends or closes it.
fn is_empty(value: Option<&str>) -> bool {
    value.unwrap_or_default().trim_matches(['\'', '"', ';', '\\']).is_empty()
}

enum Look {
    Plain,
    /// The next argument is a secret.
    Next,
    /// It is one from this byte on.
    From(usize),
}

/// Which programs have been named in a command line, as far as it was read.
#[derive(Clone)]
struct Line<'a> {
    entries: &'a [Entry],
    /// How many words of the command of each entry.
    named: Vec<usize>,
    place: At,
}

/// What the next word can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// A program.
    Start,
    /// An argument of a program that runs others: one of them, too.
    Runner,
    /// An argument.
    Arguments,
}

impl<'a> Line<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        Self { entries, named: vec![0; entries.len()], place: At::Start }
    }

    /// All entries, and whether each holds here: from the beginning where it is for any program.
    fn entries(&self) -> impl Iterator<Item = (&'a Entry, bool)> {
        self.entries.iter().zip(&self.named).map(|(entry, named)| (entry, *named == entry.command.len()))
    }

    /// Reads on in an argument that is a command line: `ended` says whether a command has, and with it its program.
    fn inside(&mut self, word: &str, ended: bool) {
        if ended {
            *self = Self::new(self.entries);
        }
        // What stands in quotes or is substituted may be commands of its own.
        let begins = word.rfind([';', '&', '|', '(', '`']);
        let word = match begins {
            Some(at) => word.get(at + 1..).unwrap_or_default(),
            None => word,
        };
        if begins.is_some() {
            self.place = At::Start;
        }
        let word = word.trim_matches(['\'', '"', '\\', '{', '$']);
        if !word.is_empty() {
            self.word(word);
        }
    }

    /// Reads a word.
    fn word(&mut self, word: &str) {
        let name = word.rsplit('/').next().unwrap_or(word);
        if EXEC.contains(&word) {
            self.place = At::Start;
            return;
        }
        let may_be_program = self.place != At::Arguments;
        if self.place == At::Start {
            if KEYWORDS.contains(&word) || is_assignment(word) {
                return;
            }
            self.place = if RUNNERS.split_whitespace().any(|runner| runner == name.trim_start_matches('-')) {
                At::Runner
            } else {
                At::Arguments
            };
        }
        for (entry, named) in self.entries.iter().zip(&mut self.named) {
            let is_next = entry.command.get(*named).is_some_and(|wanted| matches(wanted, name));
            *named += usize::from(is_next && (may_be_program || *named > 0));
        }
    }
}

/// Whether a word sets a variable for the program behind it.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Entry {
    /// For a short option of a program: where it ends in an argument that has others before it, which take no value.
    fn in_cluster(&self, argument: &str) -> Option<usize> {
        let letter = match self.place {
            Place::Header if argument.starts_with("-H") => return Some(2),
            Place::Header => 'H',
            _ => {
                let mut option = self.before.strip_prefix('-')?.chars();
                let letter = option.next().filter(char::is_ascii_alphabetic)?;
                option.next().is_none().then_some(letter)?
            }
        };
        let program = self.command.first()?;
        let (_, flags) = FLAGS.iter().find(|(name, _)| name == program)?;
        let letters = argument.strip_prefix('-')?;
        let at = letters.find(letter)?;
        letters.get(..at)?.chars().all(|c| flags.contains(c)).then_some(at + 2)
    }

    /// Whether no value follows the argument: it has it in itself, or is one that only speaks of secrets.
    fn is_whole(&self, argument: &str) -> bool {
        let only_speaks =
            self.before.contains('*') && WITHOUT.iter().any(|begin| argument.starts_with(begin));
        only_speaks || (argument.contains('=') && !self.before.contains('='))
    }
}

fn entry_of(written: &str) -> Result<Entry, String> {
    if written == ADDRESS {
        let (before, written) = (String::new(), written.to_owned());
        return Ok(Entry { command: Vec::new(), before, place: Place::Address, any_case: false, written });
    }
    let words: Vec<&str> = written.split_whitespace().collect();
    let options = words.iter().position(|word| word.starts_with('-'));
    let (command, words) = match words.as_slice() {
        [_, rest @ ..] if !rest.is_empty() && options != Some(0) && rest != ["*"] => {
            words.split_at(options.unwrap_or(1))
        }
        all => (&[][..], all),
    };
    let (before, place) = match words {
        ["-H", header] if *header != "*" => match header.strip_suffix(":*").filter(|name| !name.is_empty()) {
            Some(name) => (name, Place::Header),
            None => return Err("a header is written `-H NAME:*`".to_owned()),
        },
        [option, "*"] => (*option, Place::Next),
        [pattern] => match pattern.strip_suffix('*') {
            Some("") => return Err("it would leave out everything".to_owned()),
            Some(before) => (before, Place::Rest),
            None => return Err("it needs a `*` where the secret stands".to_owned()),
        },
        _ => return Err("it is not of the form `[PROGRAM] OPTION*` or `[PROGRAM] OPTION *`".to_owned()),
    };
    let any_case = !before.starts_with('-') || before.starts_with("--");
    Ok(Entry {
        command: command.iter().map(|&word| word.to_owned()).collect(),
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
            (&["sh", "-c", "cd /; mysql -pS3cret db"], "sh|-c|cd /; mysql -p[redacted] db", 1),
            (&["sh", "-c", "mysql x | ls -pq || cp -pr x"], "sh|-c|mysql x | ls -pq || cp -pr x", 0),
            (
                &["sh", "-c", "true 2>&1|mysql -pS3Cret|cp -pr x"],
                "sh|-c|true 2>&1|mysql -p[redacted]|cp -pr x",
                1,
            ),
            (&["sh", "-c", "mysql 2>&1 -pS3Cret"], "sh|-c|mysql 2>&1 -p[redacted]", 1),
            (
                &["sh", "-c", "x --password a; x --password b"],
                "sh|-c|x --password [redacted]; x --password [redacted]",
                2,
            ),
            (&["sh", "-c", "PG_PASSWORD='a b' psql"], "sh|-c|PG_PASSWORD=[redacted] psql", 1),
            (&["sh", "-c", "(PG_PASSWORD=x psql)"], "sh|-c|(PG_PASSWORD=[redacted] psql)", 1),
            (&["sh", "-c", "x --password  'b c' d"], "sh|-c|x --password  [redacted] d", 1),
            (&["echo", "año --password=ñ"], "echo|año --password=[redacted]", 1),
            (&["a", "--password"], "a|--password", 0),
        ] {
            assert_eq!(told(line), (expected.to_owned(), count), "{line:?}");
        }
    }

    #[test]
    fn an_entry_without_a_star_or_of_stars_alone_is_refused() {
        let wrong = [
            ("--password", "`*`"),
            ("*", "everything"),
            ("a b c *", "form"),
            ("", "form"),
            ("-H x*", "`-H NAME:*`"),
        ];
        for (entry, why) in wrong {
            let (n, told) = Redactions::parse(&["--ok=*", entry]).unwrap_err();
            assert!(n == 1 && told.contains(why), "{entry}: {told}");
        }
    }
}
