//! Which signing keys are trusted, and for which hosts: the files a fleet has already.
//!
//! Reads `known_hosts` (`ssh-keyscan` writes it), `allowed_signers` (what `ssh-keygen -Y verify -f` takes) and plain
//! `.pub` lines, mixed as they come. Keys that are not Ed25519 are passed over: they sign no recording. Refuses to
//! guess: a line it cannot read is an error, a restriction it cannot honour makes the line an error, too.

use super::sshsig::{HostKey, is_key_type};
use crate::text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use std::fmt;

/// How a hashed host name begins in `known_hosts`.
const HASHED: &str = "|1|";
/// The longest file that is read, in bytes (about 100,000 hosts).
pub const MAX_FILE: usize = 16 << 20;

/// Keys with the hosts they belong to.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: HostKey,
    /// The hosts that it belongs to; none for a plain public key, which is trusted whatever the host.
    hosts: Option<Hosts>,
    /// Purposes it is limited to.
    namespaces: Option<Vec<String>>,
    revoked: bool,
}

/// The hosts that a key belongs to.
#[derive(Clone, Debug)]
enum Hosts {
    /// Patterns of names, as a line has them.
    Patterns(Vec<String>),
    /// The one of this name, whatever letters are in it.
    Named(String),
}

impl Hosts {
    fn have(&self, host: &str) -> bool {
        match self {
            Self::Patterns(patterns) => matches_list(patterns, host),
            Self::Named(name) => name.eq_ignore_ascii_case(host),
        }
    }

    /// For people.
    fn told(&self) -> Vec<String> {
        let hashed = |name: &String| match name.starts_with(HASHED) {
            true => "a hashed name".to_owned(),
            false => name.clone(),
        };
        match self {
            Self::Patterns(patterns) => patterns.iter().map(hashed).collect(),
            Self::Named(name) => vec![name.clone()],
        }
    }
}

/// What is known about a key that signed for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Listed for this host.
    Trusted,
    /// Listed, but for these hosts.
    OtherHost(Vec<String>),
    /// Listed, but not for this purpose.
    OtherPurpose,
    /// Marked as revoked.
    Revoked,
    /// Not listed.
    Unknown,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for LineError {}

impl KnownKeys {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// The first line that is none of the three forms.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        if text.len() > MAX_FILE {
            return Err(LineError {
                line: 0,
                why: format!("{} bytes, at most {MAX_FILE} are read", text.len()),
            });
        }
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = parse_line(line).map_err(|why| LineError { line: number.saturating_add(1), why })?;
            entries.extend(entry);
        }
        Ok(Self { entries })
    }

    /// Reads a file of public keys (`.pub`), which are those of `host`: whatever stands in its name (blanks, commas, stars), they are
    /// trusted for that name alone. What says itself for which hosts it is, is passed over.
    ///
    /// # Errors
    /// As of [`parse`](Self::parse).
    pub fn of_host(host: &str, text: &str) -> Result<Self, LineError> {
        let mut known = Self::parse(text)?;
        known.entries.retain(|entry| entry.hosts.is_none());
        for entry in &mut known.entries {
            entry.hosts = Some(Hosts::Named(host.to_owned()));
        }
        Ok(known)
    }

    /// Trusts one key, whatever the host.
    pub fn add(&mut self, key: HostKey) {
        self.entries.push(Entry { key, hosts: None, namespaces: None, revoked: false });
    }

    /// Takes over the keys of `other`.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Whether no key is listed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` may sign for `host` and the purpose `namespace`. A revocation anywhere outweighs everything.
    pub fn trust(&self, host: &str, namespace: &str, key: &HostKey) -> Trust {
        let listed: Vec<&Entry> = self.entries.iter().filter(|entry| entry.key == *key).collect();
        if listed.iter().any(|entry| entry.revoked) {
            return Trust::Revoked;
        }
        let mut best = Trust::Unknown;
        for entry in listed {
            let for_host = entry.hosts.as_ref().is_none_or(|hosts| hosts.have(host));
            let for_purpose = entry.namespaces.as_ref().is_none_or(|list| matches_list(list, namespace));
            match (for_host, for_purpose) {
                (true, true) => return Trust::Trusted,
                (true, false) => best = Trust::OtherPurpose,
                (false, _) if best == Trust::OtherPurpose => {}
                (false, _) => {
                    best = Trust::OtherHost(entry.hosts.as_ref().map_or_else(Vec::new, Hosts::told))
                }
            }
        }
        best
    }
}

/// `None` for a key of a type that signs no recording.
fn parse_line(line: &str) -> Result<Option<Entry>, String> {
    if line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY") {
        return Err("this is a secret key: the public one (`.pub`, or `ssh-keygen -y -f FILE`) belongs here"
            .to_owned());
    }
    let (mut rest, mut revoked) = (line, false);
    if let Some(marked) = line.strip_prefix('@') {
        let (marker, after) = marked.split_once(char::is_whitespace).ok_or("nothing follows its marker")?;
        match marker {
            "revoked" => revoked = true,
            // An authority certifies host keys, it does not sign recordings.
            "cert-authority" => return Ok(None),
            other => return Err(format!("unknown marker `@{}`", crate::text::escaped(other))),
        }
        rest = after.trim_start();
    }
    let mut fields = Fields(rest);
    let first = fields.next().ok_or("it is empty")?;
    if is_key_type(first) {
        return Ok(key_of(first, rest)?.map(|key| Entry { key, hosts: None, namespaces: None, revoked }));
    }
    let hosts: Vec<String> = first.trim_matches('"').split(',').map(host_pattern).collect();
    let mut namespaces = None;
    loop {
        let after_options = fields.0.trim_start();
        let word = fields.next().ok_or("there is no public key in it")?;
        if is_key_type(word) {
            return Ok(key_of(word, after_options)?.map(|key| Entry {
                key,
                hosts: Some(Hosts::Patterns(hosts)),
                namespaces,
                revoked,
            }));
        }
        for option in split_options(word) {
            match option.split_once('=') {
                Some((name, list)) if name.eq_ignore_ascii_case("namespaces") => {
                    namespaces = Some(list.trim_matches('"').split(',').map(str::to_owned).collect());
                }
                None if option.eq_ignore_ascii_case("cert-authority") => return Ok(None),
                _ => {
                    return Err(format!(
                        "`{}` is neither a key type nor an option we can honour",
                        crate::text::escaped(option)
                    ));
                }
            }
        }
    }
}

fn key_of(kind: &str, text: &str) -> Result<Option<HostKey>, String> {
    if kind != "ssh-ed25519" {
        return Ok(None);
    }
    HostKey::from_openssh(text).map(Some).map_err(|error| error.to_string())
}

/// Words separated by blanks; blanks inside double quotes belong to the word.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let mut quoted = false;
        let end = text.find(|c: char| {
            quoted ^= c == '"';
            c.is_whitespace() && !quoted
        });
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn split_options(word: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    word.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// A pattern of `known_hosts` without its port: `[web-3]:2222` is `web-3`. A hashed name stays as it is, with its port in it.
fn host_pattern(text: &str) -> String {
    if text.starts_with(HASHED) {
        return text.to_owned();
    }
    let (not, name) = text.strip_prefix('!').map_or(("", text), |name| ("!", name));
    let name = name.strip_prefix('[').and_then(|inner| inner.split_once(']')).map_or(name, |(host, _)| host);
    format!("{not}{}", name.to_ascii_lowercase())
}

/// Whether a hashed name, `|1|SALT|HASH` in base64, is that of the host: HMAC-SHA1 with the salt as the key (OpenSSH's
/// `host_hash`). What is no such thing matches nothing.
fn is_hash_of(pattern: &str, name: &str) -> bool {
    let Some((salt, hash)) = pattern.strip_prefix(HASHED).and_then(|rest| rest.split_once('|')) else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (BASE64.decode(salt), BASE64.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// OpenSSH's pattern lists: one match is enough, one negated match is too much.
fn matches_list(patterns: &[String], name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stands_for = |pattern: &str| text::glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
    let negated = patterns.iter().filter_map(|p| p.strip_prefix('!'));
    if negated.into_iter().any(stands_for) {
        return false;
    }
    let matches = |pattern: &String| match pattern.starts_with(HASHED) {
        true => is_hash_of(pattern, &name),
        false => !pattern.starts_with('!') && stands_for(pattern),
    };
    patterns.iter().any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const PURPOSE: &str = "sealcast-session@v1";

    fn trust(file: &str, host: &str) -> Trust {
        KnownKeys::parse(file).unwrap().trust(host, PURPOSE, &HostKey::from_openssh(A).unwrap())
    }

    #[test]
    fn the_three_kinds_of_file_are_read() {
        assert_eq!(trust(&format!("# fleet\n\nweb-3,10.0.0.3 {A}\n"), "web-3"), Trust::Trusted);
        assert_eq!(trust(&format!("[web-3]:2222 {A} a comment\n"), "WEB-3"), Trust::Trusted);
        assert_eq!(trust(&format!("*.example.org,!db.example.org {A}"), "web.example.org"), Trust::Trusted);
        assert_eq!(trust(&format!("web-3 namespaces=\"file,sealcast-*\" {A}"), "web-3"), Trust::Trusted);
        assert_eq!(trust(&format!("{A} me@here"), "whatever"), Trust::Trusted);
    }

    #[test]
    fn the_key_of_a_host_is_trusted_for_that_host_whatever_it_is_called() {
        let key = HostKey::from_openssh(A).unwrap();
        for name in ["web-3", "web 3", "web,3", "web-*", "!web", "|1|a|b", "[web]:3", "\"", ""] {
            let known = KnownKeys::of_host(name, &format!("{A} root@x\n")).unwrap();
            assert_eq!(known.trust(name, PURPOSE, &key), Trust::Trusted, "{name}");
            let told = Trust::OtherHost(vec![name.to_owned()]);
            for other in ["web-4", "web", "3"] {
                assert_eq!(known.trust(other, PURPOSE, &key), told, "{name}: {other}");
            }
        }
        let other = KnownKeys::of_host("web-3", &format!("web-4 {A}\n@revoked * {A}\n")).unwrap();
        assert_eq!(other.trust("web-3", PURPOSE, &key), Trust::Unknown);
    }

    #[test]
    fn a_key_is_trusted_for_its_own_hosts_only() {
        assert_eq!(trust(&format!("web-4 {A}"), "web-3"), Trust::OtherHost(vec!["web-4".into()]));
        assert_eq!(
            trust(&format!("*.example.org,!db.example.org {A}"), "db.example.org"),
            Trust::OtherHost(vec!["*.example.org".into(), "!db.example.org".into()])
        );
        assert_eq!(trust(&format!("web-3 namespaces=\"git\" {A}"), "web-3"), Trust::OtherPurpose);
        assert_eq!(trust("", "web-3"), Trust::Unknown);
        assert_eq!(
            trust(&format!("|1|c2FsdA==|aGFzaA== {A}"), "web-3"),
            Trust::OtherHost(vec!["a hashed name".into()])
        );
    }

    #[test]
    fn hashed_names_are_those_of_their_hosts() {
        // By `ssh-keygen -H`.
        let line = format!("|1|4DheMRLbjt3A/1CUn/EQLqs71pw=|DMT/+XyhM1cen0vcA8nPg2oFp7Y= {A}");
        assert_eq!(trust(&line, "web-3"), Trust::Trusted);
        assert_eq!(trust(&line, "WEB-3"), Trust::Trusted);
        assert_eq!(trust(&line, "web-4"), Trust::OtherHost(vec!["a hashed name".into()]));
        for broken in ["|1|", "|1||", "|1|c2FsdA==", "|1|c2FsdA==|", "|1|!|!", "|2|c2FsdA==|aGFzaA=="] {
            assert_ne!(trust(&format!("{broken} {A}"), "web-3"), Trust::Trusted, "{broken}");
        }
    }

    #[test]
    fn a_revocation_outweighs_every_other_line() {
        assert_eq!(trust(&format!("web-3 {A}\n@revoked * {A}\n"), "web-3"), Trust::Revoked);
    }

    #[test]
    fn keys_that_sign_no_recording_are_passed_over_and_bad_lines_are_named() {
        assert!(
            KnownKeys::parse(
                "web-3 ssh-rsa AAAA\nweb-3 ecdsa-sha2-nistp256 AAAA\n@cert-authority * ssh-rsa A"
            )
            .unwrap()
            .is_empty()
        );
        for (bad, line) in [
            ("\nweb-3", 2),
            ("web-3 ssh-ed25519 AAAA", 1),
            ("@what web-3 ssh-ed25519 AAAA", 1),
            ("web-3 valid-before=\"2020\" ssh-ed25519 AAAA", 1),
            ("web-3 nonsense", 1),
        ] {
            assert_eq!(KnownKeys::parse(bad).unwrap_err().line, line, "{bad}");
        }
    }

    #[test]
    fn a_secret_key_is_told_to_be_one() {
        for kind in ["OPENSSH PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY"] {
            let told = KnownKeys::parse(&format!("-----BEGIN {kind}-----\nb3Bl\n")).unwrap_err();
            assert!(told.to_string().starts_with("line 1: this is a secret key"), "{told}");
        }
    }

    #[test]
    fn patterns_match_as_in_openssh() {
        for (pattern, name, yes) in [
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("?", "", false),
            ("??", "ab", true),
            ("*.*.*", "a.b", false),
            ("*a*a*a*a*b", &"a".repeat(2000), false),
        ] {
            assert_eq!(matches_list(&[pattern.to_owned()], name), yes, "{pattern} {name}");
        }
    }
}
