//! What is looked for: texts and conditions, combined with `and`, `or` and `not`.
//!
//! ```text
//! query  = any            any = all { "or" all }            all = one { [ "and" ] one }            one = "not" one | "(" any ")" | leaf
//! leaf   = [ field ":" ] text | condition ":" value         text, value = WORD | "…" | /REGEX/
//! ```
//!
//! A text is true of a recording that holds it; hits are told of the texts that are not under a `not`. Refuses to guess: what
//! it does not understand is an error that points at the place.

use super::condition::{Condition, Indexed, NAMES, ask_for_nothing};
use super::pattern::{Pattern, QueryError, Style};
use super::when::{NOT_BEFORE, OF_TODAY};
use crate::container::{Header, Wanted};
use jiff::Timestamp;
use memchr::memmem;
use std::ops::Range;
use std::sync::Arc;

/// What stands in the index where a line or arguments are cut: the word of a flag, and what
/// [`crate::container::fit::more_bytes`] writes.
const CUT: [&str; 2] = ["\"cut:", " more bytes\""];
/// Longest query, in bytes.
const MAX_QUERY: usize = 16 << 10;
/// Most texts and conditions.
const MAX_LEAVES: usize = 256;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Where a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// What stood on the screen.
    Screen,
    /// Commands, as the shell or the screen told them.
    Command,
    /// Programs that were executed.
    Exec,
    /// What was typed.
    Input,
    /// Who, where and why: header and sealed facts.
    Meta,
}

impl Field {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Screen, Self::Command, Self::Exec, Self::Input, Self::Meta];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Command => "command",
            Self::Exec => "exec",
            Self::Input => "input",
            Self::Meta => "meta",
        }
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields(u8);

impl Fields {
    /// Everywhere.
    pub const EVERYWHERE: Self = Self(0x1f);

    /// These.
    pub fn of(fields: &[Field]) -> Self {
        Self(fields.iter().fold(0, |set, field| set | 1 << *field as u8))
    }

    /// Reads names with commas between them.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        for name in text.split(',').map(str::trim) {
            let field = Field::ALL.into_iter().find(|field| field.name() == name);
            let names = Field::ALL.map(Field::name).join(", ");
            fields.push(field.ok_or_else(|| {
                format!("there is no field `{}`; there are {names}", crate::text::escaped(name))
            })?);
        }
        Ok(Self::of(&fields))
    }

    /// Whether a field is among them.
    pub fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }
}

/// A text that is looked for.
#[derive(Clone, Debug)]
pub struct Term {
    /// The text.
    pub pattern: Pattern,
    /// Where.
    pub fields: Fields,
    /// Hits are told of it: it is not under a `not`.
    pub told: bool,
}

#[derive(Clone, Debug)]
enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Term(usize),
    Is(Condition),
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    expr: Expr,
    terms: Vec<Term>,
}

/// What is known of a recording, so far.
#[derive(Clone, Copy, Debug)]
pub enum Facts<'a> {
    /// Its public header.
    Header(&'a Header),
    /// Header and index.
    Index(Indexed<'a>),
}

impl Query {
    /// One text.
    ///
    /// # Errors
    /// [`Pattern::new`]'s.
    pub fn text(pattern: &str, style: Style, fields: Fields) -> Result<Self, QueryError> {
        let term = Term { pattern: Pattern::new(pattern, style)?, fields, told: true };
        Ok(Self { expr: Expr::Term(0), terms: vec![term] })
    }

    /// Conditions alone, all of them.
    pub fn conditions(conditions: impl IntoIterator<Item = Condition>) -> Self {
        Self { expr: Expr::All(conditions.into_iter().map(Expr::Is).collect()), terms: Vec::new() }
    }

    /// Reads a query. `style` and `fields` are those of texts that say nothing else; `now` is what times are counted from.
    ///
    /// # Errors
    /// Where it is not understood, and why.
    pub fn parse(text: &str, style: Style, fields: Fields, now: Timestamp) -> Result<Self, QueryError> {
        if text.len() > MAX_QUERY {
            let what = format!("the query is {} bytes long; at most {MAX_QUERY} are read", text.len());
            return Err(QueryError::new(text, 0..0, what));
        }
        let mut parser = Parser { text, at: 0, style, fields, now, terms: Vec::new(), leaves: 0, depth: 0 };
        let expr = parser.any()?;
        if let Some(token) = parser.peek()? {
            return Err(QueryError::new(text, token.at, "there is nothing that this closes"));
        }
        let mut query = Self { expr, terms: parser.terms };
        mark(&query.expr, true, &mut query.terms);
        Ok(query)
    }

    /// The same, and these conditions as well.
    #[must_use]
    pub fn and(self, conditions: impl IntoIterator<Item = Condition>) -> Self {
        let mut all: Vec<Expr> = conditions.into_iter().map(Expr::Is).collect();
        if all.is_empty() {
            return self;
        }
        all.push(self.expr);
        Self { expr: Expr::All(all), terms: self.terms }
    }

    /// The texts.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether commands and programs must be read from an index entry that is kept as this JSON (see
    /// [`crate::container::Reader::only_if`]): a text or a condition may be about them, or about what was cut off.
    pub fn asks_for(&self) -> Wanted {
        let asks = |term: &&Term| term.fields.has(Field::Command) || term.fields.has(Field::Exec);
        let mut patterns: Vec<Pattern> =
            self.terms.iter().filter(asks).map(|term| term.pattern.clone()).collect();
        commands(&self.expr, &mut patterns);
        let is_cut = |json: &[u8]| CUT.iter().any(|text| memmem::find(json, text.as_bytes()).is_some());
        Arc::new(move |json| {
            patterns.iter().any(|pattern| pattern.may_be_stored_in(json))
                || (!patterns.is_empty() && (is_cut(json) || escapes_letters(json)))
        })
    }

    /// Whether a text or a condition may be about commands.
    pub fn asks_about_commands(&self) -> bool {
        let mut patterns = Vec::new();
        commands(&self.expr, &mut patterns);
        !patterns.is_empty() || self.terms.iter().any(|term| term.fields.has(Field::Command))
    }

    /// Whether a text or a condition may be about what only the index tells.
    pub fn asks_the_index(&self) -> bool {
        let shown = |field| field == Field::Screen || field == Field::Input;
        let beyond =
            |term: &Term| Field::ALL.into_iter().any(|field| !shown(field) && term.fields.has(field));
        self.terms.is_empty() || self.terms.iter().any(beyond) || self.asks_about_commands()
    }

    /// Whether it is true, as far as the facts and the terms that have been decided tell.
    pub fn truth(&self, facts: Facts<'_>, terms: &[Option<bool>]) -> Option<bool> {
        truth(&self.expr, facts, terms)
    }
}

/// Whether what is no control character may stand in this JSON by its number (`\u0073`), as a writer of another make may have it. Then
/// nobody finds a text in it who has not read it. Ours writes so only what is below U+0020. Where a backslash stands in a text before a
/// `u`, it is read without need.
fn escapes_letters(json: &[u8]) -> bool {
    let is_control = |rest: &[u8]| rest.starts_with(b"000") || rest.starts_with(b"001");
    memmem::find_iter(json, b"\\u")
        .any(|at| json.get(at.saturating_add(2)..).is_none_or(|rest| !is_control(rest)))
}

/// The patterns of conditions on commands.
fn commands(expr: &Expr, patterns: &mut Vec<Pattern>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| commands(part, patterns)),
        Expr::Not(part) => commands(part, patterns),
        Expr::Is(Condition::Command(pattern)) => patterns.push(pattern.as_ref().clone()),
        Expr::Is(_) | Expr::Term(_) => {}
    }
}

fn mark(expr: &Expr, told: bool, terms: &mut [Term]) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| mark(part, told, terms)),
        Expr::Not(part) => mark(part, !told, terms),
        Expr::Term(number) => {
            if let Some(term) = terms.get_mut(*number) {
                term.told = told;
            }
        }
        Expr::Is(_) => {}
    }
}

fn truth(expr: &Expr, facts: Facts<'_>, terms: &[Option<bool>]) -> Option<bool> {
    // `decides` settles the whole; without it, one that is open leaves it open.
    let fold = |parts: &[Expr], decides: bool| {
        let mut open = false;
        for part in parts {
            match truth(part, facts, terms) {
                Some(answer) if answer == decides => return Some(decides),
                Some(_) => {}
                None => open = true,
            }
        }
        if open { None } else { Some(!decides) }
    };
    match expr {
        Expr::All(parts) => fold(parts, false),
        Expr::Any(parts) => fold(parts, true),
        Expr::Not(part) => truth(part, facts, terms).map(|answer| !answer),
        Expr::Term(number) => terms.get(*number).copied().flatten(),
        Expr::Is(condition) => match facts {
            Facts::Header(header) => condition.by_header(header),
            Facts::Index(known) => condition.by_index(known),
        },
    }
}

#[derive(Clone, Debug)]
struct Token {
    at: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A name before a colon, if there is one, and what follows; where that stands; whether it is a regular expression.
    Leaf {
        name: Option<String>,
        value: String,
        value_at: Range<usize>,
        regex: bool,
    },
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    style: Style,
    fields: Fields,
    now: Timestamp,
    terms: Vec<Term>,
    leaves: usize,
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self, at: Range<usize>, what: impl Into<String>) -> QueryError {
        QueryError::new(self.text, at, what)
    }

    fn any(&mut self) -> Result<Expr, QueryError> {
        let mut parts = vec![self.all()?];
        while self.peek()?.is_some_and(|token| token.kind == Kind::Or) {
            self.next()?;
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Any(parts) })
    }

    fn all(&mut self) -> Result<Expr, QueryError> {
        let start = self.at;
        let mut parts = vec![self.one()?];
        while let Some(token) = self.peek()? {
            match token.kind {
                Kind::And => drop(self.next()?),
                Kind::Or | Kind::Close => break,
                _ => {}
            }
            parts.push(self.one()?);
        }
        let conditions = parts.iter().filter_map(|part| match part {
            Expr::Is(condition) => Some(condition),
            _ => None,
        });
        if ask_for_nothing(conditions) {
            let all = self.text.get(start..self.at).unwrap_or_default();
            let start = self.at - all.trim_start().len();
            return Err(self
                .wrong(start..self.at, format!("nothing lies between `since:` and `until:`: {NOT_BEFORE}"))
                .hint(OF_TODAY));
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::All(parts) })
    }

    fn one(&mut self) -> Result<Expr, QueryError> {
        let end = self.text.len();
        let Some(token) = self.next()? else {
            return Err(self.wrong(end..end, "the query ends where a text or a condition should stand"));
        };
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(token.at, format!("nested deeper than {MAX_DEPTH}")));
        }
        let expr = match token.kind {
            Kind::Not => Expr::Not(Box::new(self.one()?)),
            Kind::Open => {
                let inner = self.any()?;
                match self.next()? {
                    Some(Token { kind: Kind::Close, .. }) => inner,
                    Some(other) => return Err(self.wrong(other.at, "a `)` is missing before this")),
                    None => return Err(self.wrong(token.at, "this is never closed")),
                }
            }
            Kind::Leaf { name, value, value_at, regex } => {
                self.leaf(token.at, name, &value, value_at, regex)?
            }
            Kind::And | Kind::Or | Kind::Close => {
                return Err(self
                    .wrong(token.at, "a text or a condition should stand here")
                    .hint("a word that is meant as text goes into quotes: \"and\""));
            }
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn leaf(
        &mut self,
        at: Range<usize>,
        name: Option<String>,
        value: &str,
        value_at: Range<usize>,
        regex: bool,
    ) -> Result<Expr, QueryError> {
        self.leaves += 1;
        if self.leaves > MAX_LEAVES {
            return Err(self.wrong(at, format!("more than {MAX_LEAVES} texts and conditions")));
        }
        let field =
            name.as_deref().and_then(|name| Field::ALL.into_iter().find(|field| field.name() == name));
        let fields = match (&name, field) {
            (None, _) => self.fields,
            // As the condition of that name: whoever asks which commands there were asks of those in a script too. `--in` has the
            // field alone.
            (Some(_), Some(Field::Command)) => Fields::of(&[Field::Command, Field::Exec]),
            (Some(_), Some(field)) => Fields::of(&[field]),
            (Some(name), None) if NAMES.contains(&name.as_str()) => {
                if regex {
                    return Err(self.wrong(value_at, "a condition takes no regular expression"));
                }
                return Condition::parse(name, value, self.now)
                    .map(Expr::Is)
                    .map_err(|what| self.wrong(value_at, what));
            }
            (Some(name), None) => {
                let fields = Field::ALL.map(Field::name).join(", ");
                return Err(self
                    .wrong(
                        at.start..at.start + name.len(),
                        "there is neither a field nor a condition of this name",
                    )
                    .hint(format!(
                        "fields are {fields}; conditions are {}; text with a colon goes into quotes",
                        NAMES.join(", ")
                    )));
            }
        };
        let style = Style { regex: regex || self.style.regex, ..self.style };
        let pattern = Pattern::new(value, style).map_err(|error| {
            // An escape in quotes shifts the place by a little; the value is still pointed at.
            let start = (value_at.start + error.at.start).min(value_at.end);
            let end = (value_at.start + error.at.end).clamp(start, value_at.end);
            QueryError { text: self.text.to_owned(), at: start..end, ..error }
        })?;
        self.terms.push(Term { pattern, fields, told: true });
        Ok(Expr::Term(self.terms.len() - 1))
    }

    fn peek(&mut self) -> Result<Option<Token>, QueryError> {
        let at = self.at;
        let token = self.next();
        self.at = at;
        token
    }

    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.len() - rest.trim_start().len();
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            self.at = self.text.len();
            return Ok(None);
        };
        if matches!(first, '(' | ')') {
            self.at = start + 1;
            let kind = if first == '(' { Kind::Open } else { Kind::Close };
            return Ok(Some(Token { at: start..self.at, kind }));
        }
        // A name and a colon may stand before the value.
        let name_len =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        let name = (name_len > 0 && rest[name_len..].starts_with(':')).then(|| rest[..name_len].to_owned());
        let value_start = start + name.as_ref().map_or(0, |_| name_len + 1);
        let (value, end, quote) = self.value(value_start)?;
        self.at = end;
        let kind = match (quote, name.is_none().then(|| value.to_ascii_lowercase()).as_deref()) {
            (None, Some("and")) => Kind::And,
            (None, Some("or")) => Kind::Or,
            (None, Some("not")) => Kind::Not,
            _ => {
                let inner = usize::from(quote.is_some());
                Kind::Leaf {
                    name,
                    value,
                    value_at: value_start + inner..end - inner,
                    regex: quote == Some('/'),
                }
            }
        };
        Ok(Some(Token { at: start..end, kind }))
    }

    /// The value that begins at `start`, where it ends, and what it is quoted with.
    fn value(&self, start: usize) -> Result<(String, usize, Option<char>), QueryError> {
        let rest = &self.text[start..];
        let Some(quote @ ('"' | '/')) = rest.chars().next() else {
            let len = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len());
            return Ok((rest[..len].to_owned(), start + len, None));
        };
        // A path is no regular expression: that one ends with its own slash before a blank.
        if quote == '/' && !closes_as_regex(rest) {
            let len = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len());
            return Ok((rest[..len].to_owned(), start + len, None));
        }
        let mut value = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, next)) if next == quote || (next == '\\' && quote == '"') => value.push(next),
                    Some((_, next)) => value.extend(['\\', next]),
                    None => value.push('\\'),
                },
                c if c == quote => return Ok((value, start + at + 1, Some(quote))),
                c => value.push(c),
            }
        }
        Err(self.wrong(start..start + 1, "this quote is never closed"))
    }
}

/// Whether what begins with a slash ends with one before a blank, a bracket or the end: `/a b/`, not `/etc/passwd`.
fn closes_as_regex(text: &str) -> bool {
    let mut escaped = false;
    let mut inner = text.char_indices().skip(1).peekable();
    while let Some((_, c)) = inner.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return inner.peek().is_none_or(|(_, next)| next.is_whitespace() || *next == ')'),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
