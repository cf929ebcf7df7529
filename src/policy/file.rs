//! The policy file: TOML, with every key known.
//!
//! All problems are collected, so that one look at the messages is enough to mend a file.

use super::error::Problem;
use super::nearest::nearest;
use super::{Banner, ExecTrace, Input, Names, OnFailure, Policy, Profile, Redactions, units};
use crate::crypto::recipient::{Excess, ParseError, Recipient};
use crate::sys::guard::Capability;
use crate::text::escaped;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest label name, label value, retention label and banner, in bytes.
const MAX_TEXT: usize = 256;

/// Reads a policy; what the file does not say stays as `policy` has it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub(super) fn read(text: &str, policy: Policy) -> Result<Policy, Vec<Problem>> {
    let notes = Notes {
        text,
        problems: RefCell::default(),
        known: RefCell::default(),
        unknown: RefCell::default(),
        nothing: DeTable::new(),
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            notes.add(error.span().unwrap_or(0..0), error.message().replace('\n', ", "), None);
            return Err(notes.problems.into_inner());
        }
    };
    let policy = fill(policy, table.get_ref(), &notes);
    notes.tell_unknown();
    let mut problems = notes.problems.into_inner();
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

fn fill(mut policy: Policy, table: &DeTable<'_>, notes: &Notes<'_>) -> Policy {
    let root = Section::new("", table, notes);
    let section = root.section("store");
    section.path("path", &mut policy.store.path);
    section.size("reserve", &mut policy.store.reserve);
    section.at_least("reserve", super::LEAST_RESERVE, policy.store.reserve);
    section.size("low-space", &mut policy.store.low_space);
    section.text("retention", &mut policy.store.retention);

    let section = root.section("recipients");
    section.recipients("default", &mut policy.recipients.default);
    policy.recipients.period = section.optional_path("period");
    let labels = section.section("label");
    for (written, group) in labels.sections() {
        let mut also = Vec::new();
        group.recipients("also", &mut also);
        match label(written.get_ref()) {
            Some(label) => drop(policy.recipients.by_label.insert(label, also)),
            None => notes.add(
                written.span(),
                format!("`{}` is no label", escaped(written.get_ref())),
                Some("a label is written \"name=value\"".into()),
            ),
        }
    }
    // A host that finds out when somebody becomes root would lock everybody out.
    if let Err(excess) = policy.recipients.check_room() {
        section.too_many("default", &excess);
    }

    let section = root.section("signing");
    section.path("key", &mut policy.signing_key);

    let section = root.section("record");
    section.choice("input", Input::NAMES, &mut policy.input);
    section.duration("flush", Duration::from_millis(100)..=Duration::from_secs(10), &mut policy.flush);
    section.choice("on-failure", OnFailure::NAMES, &mut policy.on_failure);
    let mut limit = 0;
    if section.size("stream-limit", &mut limit) {
        policy.stream_limit = Some(limit);
    }
    section.redactions("redact", &mut policy.redact);

    let section = root.section("run");
    run(&mut policy, &section);

    let section = root.section("index");
    section.flag("shell-integration", &mut policy.shell_integration);
    section.choice("exec-trace", ExecTrace::NAMES, &mut policy.exec_trace);

    let section = root.section("guard");
    section.choice("profile", Profile::NAMES, &mut policy.guard.profile);
    section.capabilities("capabilities", &mut policy.guard.capabilities);
    section.flag("landlock", &mut policy.guard.landlock);
    section.flag("scope", &mut policy.guard.scope);
    let beats = Duration::from_secs(1)..=Duration::from_secs(3600);
    section.duration("heartbeat", beats, &mut policy.guard.heartbeat);
    policy
}

fn run(policy: &mut Policy, section: &Section<'_>) {
    if let Some((span, words)) = section.strings("elevator") {
        if words.first().is_none_or(|(_, program)| program.is_empty()) {
            section.notes.add(
                span,
                "`elevator` names no program".into(),
                Some("for example elevator = [\"sudo\", \"--\"]".into()),
            );
        } else {
            policy.elevator = words.into_iter().map(|(_, word)| word).collect();
        }
    }
    section.flag("require-reason", &mut policy.require_reason);
    let mut banner = String::new();
    if section.text("banner", &mut banner) {
        policy.banner = if banner.is_empty() { Banner::Silent } else { Banner::Text(banner) };
    }
    policy.shell = section.optional_path("shell");

    let labels = section.section("labels");
    policy.labels = labels.labels();

    let env = section.section("env");
    env.names("keep", &mut policy.keep);
    env.names("withhold", &mut policy.withhold);
    // What is withheld too much does no harm.
    policy.withhold = std::mem::take(&mut policy.withhold).in_any_case();
}

/// `name=value`, both of them not empty.
fn label(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// Where problems are collected.
struct Notes<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
    /// The keys that there are, each with its section: all of them once the file was read.
    known: RefCell<Vec<(String, &'static str)>>,
    /// Keys that there are not.
    unknown: RefCell<Vec<Unknown>>,
    /// What stands in a section that the file does not have.
    nothing: DeTable<'a>,
}

/// A key that its section does not have.
struct Unknown {
    section: String,
    key: String,
    span: Range<usize>,
}

impl Notes<'_> {
    fn add(&self, span: Range<usize>, what: String, hint: Option<String>) {
        let before = self.text.as_bytes().get(..span.start.min(self.text.len())).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.problems.borrow_mut().push(Problem { line, what, hint });
    }

    /// Tells of every unknown key, and what was probably meant: one of its section, or of another one.
    fn tell_unknown(&self) {
        let known = self.known.borrow();
        for Unknown { section, key, span } in self.unknown.take() {
            let (place, all) = (in_section(&section), known.iter().map(|(_, name)| *name));
            let here: Vec<&str> =
                known.iter().filter(|(of, _)| *of == section).map(|(_, name)| *name).collect();
            let elsewhere = || {
                let meant = nearest(&key, all)?;
                let mut places = known.iter().filter(|(_, name)| *name == meant);
                Some((meant, places.next().map(|(of, _)| in_section(of))?))
            };
            let hint = if let Some(meant) = nearest(&key, here.iter().copied()) {
                format!("did you mean `{meant}`?")
            } else if let Some((meant, its)) = elsewhere() {
                format!("`{meant}` belongs {its}")
            } else {
                format!("known {place}: {}", here.join(", "))
            };
            self.add(span, format!("unknown key `{}` {place}", escaped(&key)), Some(hint));
        }
    }
}

/// A text of the file and where it stands.
type Placed = (Range<usize>, String);

/// A table of the file. Whatever is in it and was never asked for when it is dropped is an unknown key.
struct Section<'a> {
    name: String,
    table: &'a DeTable<'a>,
    notes: &'a Notes<'a>,
    asked: RefCell<Vec<&'static str>>,
    /// Whether any key is good, as in a table of labels.
    open: Cell<bool>,
}

impl<'a> Section<'a> {
    fn new(name: &str, table: &'a DeTable<'a>, notes: &'a Notes<'a>) -> Self {
        Self { name: name.to_owned(), table, notes, asked: RefCell::default(), open: Cell::new(false) }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
            self.notes.known.borrow_mut().push((self.name.clone(), key));
        }
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn inner_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        self.notes.add(value.span(), format!("`{}`: {expected}", escaped(&self.inner_name(key))), None);
    }

    /// A table in here, without anything in it where it is not there.
    fn section(&self, key: &'static str) -> Self {
        let name = self.inner_name(key);
        let Some(value) = self.get(key) else { return Self::new(&name, &self.notes.nothing, self.notes) };
        let table = value.get_ref().as_table().unwrap_or_else(|| {
            self.wrong(key, value, &format!("a table is expected, not {}", article(value.get_ref())));
            &self.notes.nothing
        });
        Self::new(&name, table, self.notes)
    }

    /// Every table in here, whatever its name.
    fn sections(&self) -> Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, Self)> {
        self.open.set(true);
        let mut found = Vec::new();
        for (name, value) in self.table {
            match value.get_ref().as_table() {
                Some(table) => {
                    found.push((name, Self::new(&self.inner_name(name.get_ref()), table, self.notes)));
                }
                None => self.wrong(name.get_ref(), value, "a table with the key `also` is expected"),
            }
        }
        found
    }

    /// Every text in here, by its name.
    fn labels(&self) -> BTreeMap<String, String> {
        self.open.set(true);
        let mut found = BTreeMap::new();
        for (written, value) in self.table {
            let name = written.get_ref();
            match value.get_ref().as_str() {
                // Whoever looks for a label writes NAME=VALUE.
                Some(_) if name.is_empty() || name.contains('=') => {
                    self.wrong(name, value, "the name of a label is not empty, and has no `=`");
                }
                Some(text) if text.len() <= MAX_TEXT && name.len() <= MAX_TEXT => {
                    found.insert(name.clone().into_owned(), text.to_owned());
                }
                _ => self.wrong(name, value, &format!("a text of at most {MAX_TEXT} bytes is expected")),
            }
        }
        found
    }

    fn string(&self, key: &'static str) -> Option<(&'a Spanned<DeValue<'a>>, &'a str)> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(
                key,
                value,
                &format!("a text in quotes is expected, not {}", article(value.get_ref())),
            );
        }
        text.map(|text| (value, text))
    }

    fn text(&self, key: &'static str, place: &mut String) -> bool {
        match self.string(key) {
            Some((_, text)) if text.len() <= MAX_TEXT => {
                text.clone_into(place);
                true
            }
            Some((value, _)) => {
                self.wrong(key, value, &format!("at most {MAX_TEXT} bytes are allowed"));
                false
            }
            None => false,
        }
    }

    fn flag(&self, key: &'static str, place: &mut bool) {
        if let Some(value) = self.get(key) {
            match value.get_ref().as_bool() {
                Some(flag) => *place = flag,
                None => self.wrong(
                    key,
                    value,
                    &format!("true or false is expected, not {}", article(value.get_ref())),
                ),
            }
        }
    }

    fn optional_path(&self, key: &'static str) -> Option<PathBuf> {
        let (value, text) = self.string(key)?;
        let path = PathBuf::from(text);
        if path.is_absolute() {
            return Some(path);
        }
        self.wrong(key, value, "a path from the root (with a `/` at its beginning) is expected");
        None
    }

    fn path(&self, key: &'static str, place: &mut PathBuf) {
        if let Some(path) = self.optional_path(key) {
            *place = path;
        }
    }

    /// True when it was there and is a size.
    fn size(&self, key: &'static str, place: &mut u64) -> bool {
        if let Some(value) = self.get(key) {
            let text = match value.get_ref() {
                DeValue::String(text) => text.as_ref(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
                _ => "?",
            };
            match units::size(text) {
                Ok(size) => {
                    *place = size;
                    return true;
                }
                Err(expected) => self.wrong(key, value, &expected),
            }
        }
        false
    }

    /// Says so where a size that was read is less than may be.
    fn at_least(&self, key: &'static str, least: u64, size: u64) {
        if size < least
            && let Some(value) = self.get(key)
        {
            self.wrong(key, value, &format!("at least {} is expected", units::size_text(least)));
        }
    }

    fn duration(&self, key: &'static str, allowed: RangeInclusive<Duration>, place: &mut Duration) {
        let Some((value, text)) = self.string(key) else { return };
        match units::duration(text) {
            Ok(duration) if allowed.contains(&duration) => *place = duration,
            Ok(_) => {
                let [least, most] = [allowed.start(), allowed.end()].map(|end| units::duration_text(*end));
                self.wrong(key, value, &format!("it must lie between {least} and {most}"));
            }
            Err(expected) => self.wrong(key, value, &expected),
        }
    }

    fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)], place: &mut T) {
        let Some((value, text)) = self.string(key) else { return };
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, choice)) => *place = *choice,
            None => {
                let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                self.wrong(key, value, &format!("one of {} is expected", names.join(", ")));
            }
        }
    }

    fn strings(&self, key: &'static str) -> Option<(Range<usize>, Vec<Placed>)> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(
                key,
                value,
                &format!("a list in brackets is expected, not {}", article(value.get_ref())),
            );
            return None;
        };
        let mut found = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => found.push((item.span(), text.to_owned())),
                None => self.wrong(key, item, "every item must be a text in quotes"),
            }
        }
        Some((value.span(), found))
    }

    fn names(&self, key: &'static str, place: &mut Names) {
        if let Some((_, names)) = self.strings(key) {
            *place = Names::new(names.into_iter().map(|(_, name)| name));
        }
    }

    fn recipients(&self, key: &'static str, place: &mut Vec<Recipient>) {
        let Some((_, lines)) = self.strings(key) else { return };
        let mut found: Vec<Recipient> = Vec::new();
        let are_many = lines.len() > 1;
        for (n, (span, line)) in lines.into_iter().enumerate() {
            // The key itself is not told: it may be a secret one.
            let which = if are_many { format!("key {}: ", n + 1) } else { String::new() };
            match line.parse::<Recipient>() {
                Ok(recipient) if found.contains(&recipient) => {}
                Ok(recipient) => found.push(recipient),
                Err(error) => self.notes.add(
                    span,
                    format!("`{}`: {which}{error}", escaped(&self.inner_name(key))),
                    Some(match error {
                        ParseError::SecretKey => "everybody can read this file: `age-keygen -y` shows the public key of an identity; take the secret one away, and make another if it was seen".into(),
                        _ => "recipients are public keys: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`".into(),
                    }),
                ),
            }
        }
        *place = found;
    }

    fn too_many(&self, key: &'static str, excess: &Excess) {
        let span = self.get(key).map_or(0..0, Spanned::span);
        self.notes.add(
            span,
            format!("`{}`, with the most that labels can add: {excess}", escaped(&self.inner_name(key))),
            Some("name fewer, or shorter ones (`age1…`), here and under `label`".into()),
        );
    }

    fn redactions(&self, key: &'static str, place: &mut Redactions) {
        let Some((_, entries)) = self.strings(key) else { return };
        let texts: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
        match Redactions::parse(&texts) {
            Ok(redactions) => *place = redactions,
            Err((n, why)) => {
                let (span, text) = entries.get(n).cloned().unwrap_or_default();
                self.notes.add(
                    span,
                    format!("`{}`: `{}`: {why}", self.inner_name(key), escaped(&text)),
                    Some("for example \"--password=*\", \"--token *\" or \"mysql -p*\"".into()),
                );
            }
        }
    }

    fn capabilities(&self, key: &'static str, place: &mut Vec<Capability>) {
        let Some((_, names)) = self.strings(key) else { return };
        place.clear();
        for (span, name) in names {
            match Capability::from_name(&name) {
                Some(capability) => place.push(capability),
                None => {
                    let meant = nearest(&name, Capability::names());
                    self.notes.add(
                        span,
                        format!("`{}` is no capability", escaped(&name)),
                        meant.map(|meant| format!("did you mean `{meant}`?")),
                    );
                }
            }
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.open.get() {
            return;
        }
        let asked = self.asked.borrow();
        for name in self.table.keys() {
            let key = name.get_ref().as_ref();
            if asked.contains(&key) {
                continue;
            }
            let (section, key) = (self.name.clone(), key.to_owned());
            self.notes.unknown.borrow_mut().push(Unknown { section, key, span: name.span() });
        }
    }
}

/// Where a key is; a section without a name is the whole file.
fn in_section(name: &str) -> String {
    match name {
        "" => "at the top of the file".to_owned(),
        name => format!("in [{}]", escaped(name)),
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
