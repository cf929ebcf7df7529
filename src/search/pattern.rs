//! A pattern that is looked for in lines: compiled, bounded, and with what filters can say about it.

use super::literals::{self, Need};
use regex::Regex;
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 4096;
/// Most memory of a compiled pattern, in bytes.
const COMPILED: usize = 2 << 20;
/// Deepest nesting of a regular expression.
const NESTING: u32 = 100;

/// How a pattern is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// A regular expression; else literal text.
    pub regex: bool,
    /// Whole words only.
    pub word: bool,
    /// Case never counts. Otherwise it counts when the pattern has a capital letter, or no letters of its own at all (as
    /// `\p{Lu}` has none).
    pub ignore_case: bool,
}

/// What is wrong with a pattern or a query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The pattern or query.
    pub text: String,
    /// Bytes of it that are wrong.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What to write instead, if there is something to say.
    pub hint: Option<String>,
}

impl QueryError {
    pub(super) fn new(text: &str, at: Range<usize>, what: impl Into<String>) -> Self {
        Self { text: text.to_owned(), at, what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The part of the text around the place, and how many columns into it the place begins and how many it is wide.
    /// Control characters are replaced by blanks.
    pub fn place(&self) -> (String, usize, usize) {
        const AROUND: usize = 32;
        let before = self.text.get(..self.at.start).unwrap_or_default();
        let skipped = before.chars().count().saturating_sub(AROUND);
        let shown = |text: &str, most: usize| -> String {
            text.chars()
                .take(most)
                .map(|c| if c.is_control() || crate::text::is_deceptive(c) { ' ' } else { c })
                .collect()
        };
        let before: String = shown(&before.chars().skip(skipped).collect::<String>(), AROUND);
        let wrong = shown(self.text.get(self.at.clone()).unwrap_or_default(), AROUND);
        let after = shown(self.text.get(self.at.end..).unwrap_or_default(), AROUND);
        let cells = |text: &str| unicode_width::UnicodeWidthStr::width(text);
        let (from, width) = (cells(&before), cells(&wrong).max(1));
        (format!("{before}{wrong}{after}"), from, width)
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for QueryError {}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    need: Need,
    /// Finds what is in every index entry that holds a match; `None` when nothing is known of that. Made when it is asked for.
    stored: OnceLock<Option<regex::bytes::Regex>>,
    /// Asks for the beginning or the end of a line.
    anchored: bool,
    /// Something in it matches a line feed: in many lines, each is looked at alone, or a match would run through all of them.
    crosses: bool,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is empty, too long, spans lines, is no regular expression, matches everything, or would take too much memory.
    pub fn new(pattern: &str, style: Style) -> Result<Self, QueryError> {
        let wrong = |at: Range<usize>, what: String| QueryError::new(pattern, at, what);
        let whole = 0..pattern.len();
        if pattern.is_empty() {
            return Err(wrong(whole, "the pattern is empty".to_owned()).hint("name something to look for"));
        }
        if pattern.len() > MAX_PATTERN {
            let what = format!(
                "the pattern is {} bytes long; at most {MAX_PATTERN} are searched for",
                pattern.len()
            );
            return Err(wrong(0..0, what));
        }
        if let Some(at) = pattern.find(['\n', '\r']) {
            let what = "a pattern is looked for within lines and cannot hold a line break".to_owned();
            return Err(wrong(at..at + 1, what));
        }
        let (inner, case_counts) = if style.regex {
            let mut parser = ast::parse::ParserBuilder::new().nest_limit(NESTING).build();
            let parsed = parser.parse_with_comments(pattern).map_err(|error| {
                let span = error.span();
                wrong(span.start.offset..span.end.offset, format!("no regular expression: {}", error.kind()))
            })?;
            // A comment goes on to the end of its line: ours must not be in it.
            let last = parsed.comments.last();
            let end = if last.is_some_and(|last| last.span.end.offset == pattern.len()) { "\n" } else { "" };
            (format!("(?:{pattern}{end})"), case_counts(&parsed.ast))
        } else {
            (regex::escape(pattern), pattern.chars().any(char::is_uppercase))
        };
        let inner = if style.word { format!(r"\b{{start-half}}(?:{inner})\b{{end-half}}") } else { inner };
        let insensitive = style.ignore_case || !case_counts;
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(insensitive)
            .nest_limit(NESTING + 8)
            .build()
            .parse(&inner)
            .map_err(|error| match &error {
                // What the pattern is wrapped in stands before it.
                regex_syntax::Error::Translate(error) => {
                    let before = inner.find(pattern).unwrap_or(0);
                    let of = |offset: usize| offset.saturating_sub(before).min(pattern.len());
                    wrong(
                        of(error.span().start.offset)..of(error.span().end.offset),
                        error.kind().to_string(),
                    )
                }
                _ => wrong(whole.clone(), "no regular expression".to_owned()),
            })?;
        let regex = regex::RegexBuilder::new(&inner)
            .case_insensitive(insensitive)
            .size_limit(COMPILED)
            .dfa_size_limit(COMPILED)
            .nest_limit(NESTING + 8)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    wrong(whole.clone(), "the regular expression would take too much memory".to_owned())
                        .hint("repeat less: {1000} inside another repetition multiplies")
                }
                error => wrong(whole.clone(), format!("no regular expression: {error}")),
            })?;
        if regex.is_match("") {
            return Err(wrong(whole, "the pattern matches an empty line, so every line".to_owned())
                .hint("`+` asks for at least one where `*` is content with none"));
        }
        let need = literals::need(&hir);
        let looks = hir.properties().look_set();
        let anchored = looks.contains_anchor();
        let crosses = crosses(&hir);
        Ok(Self { regex, need, stored: OnceLock::new(), anchored, crosses })
    }

    /// In many lines, each ended by `\r\n`: where, from the byte `from` on, the next one may be that it matches in. `None`
    /// when there is none.
    pub fn next_in(&self, lines: &str, from: usize) -> Option<usize> {
        // A match within a line is one here as well, unless it asks where the line begins or ends.
        if self.anchored {
            return Some(from);
        }
        if !self.crosses {
            return self.look(lines, from);
        }
        let mut at = from;
        for line in lines.get(from..)?.split_inclusive('\n') {
            if let Some(found) = self.look(line.trim_end_matches(['\r', '\n']), 0) {
                return Some(at + found);
            }
            at += line.len();
        }
        None
    }

    /// Where, from a byte on, the next match begins.
    fn look(&self, text: &str, from: usize) -> Option<usize> {
        let found = self.regex.find_at(text, from);
        #[cfg(test)]
        tests::WENT_OVER.with(|bytes| {
            bytes.set(bytes.get() + found.map_or(text.len(), |found| found.end()) - from);
        });
        found.map(|found| found.start())
    }

    /// Where it first matches in a line.
    pub fn find(&self, line: &str) -> Option<Range<usize>> {
        self.regex.find(line).map(|found| found.range())
    }

    /// Where it first matches in a text that may have several lines: in the whole of it, or in one of them.
    pub fn find_within(&self, text: &str) -> Option<Range<usize>> {
        self.find(text).or_else(|| {
            let mut at = 0;
            text.split_inclusive('\n').find_map(|line| {
                let begins = at;
                at += line.len();
                let found = self.find(line.trim_end_matches(['\r', '\n']))?;
                Some(begins + found.start..begins + found.end)
            })
        })
    }

    /// Where it first matches in a line, beyond its first `past` bytes or across their end.
    pub fn find_past(&self, line: &str, past: usize) -> Option<Range<usize>> {
        self.regex.find_iter(line).map(|found| found.range()).find(|at| at.end > past)
    }

    /// Whether it matches in a line.
    pub fn is_in(&self, line: &str) -> bool {
        self.regex.is_match(line)
    }

    /// Whether a segment with this filter (see [`crate::container::Entry`]) may have shown it.
    pub fn may_be_in(&self, filter: &[u8]) -> bool {
        use crate::container::filter::Filter;
        Filter::read(filter).is_none_or(|filter| self.need.may_be_in(&filter))
    }

    /// Whether a command or a program may match whose index entry is kept as this JSON.
    pub fn may_be_stored_in(&self, json: &[u8]) -> bool {
        let stored = self.stored.get_or_init(|| self.need.stored());
        stored.as_ref().is_none_or(|search| search.is_match(json))
    }
}

/// Whether something in it matches a line feed.
fn crosses(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&'\n'))
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&b'\n'))
        }
        HirKind::Repetition(repetition) => crosses(&repetition.sub),
        HirKind::Capture(capture) => crosses(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(crosses),
    }
}

/// Whether case counts in a regular expression of which nothing else is said: there is a capital letter among its literal
/// characters, or there are none, only classes.
fn case_counts(ast: &Ast) -> bool {
    #[derive(Default)]
    struct Literals {
        any: bool,
        capital: bool,
    }
    impl Literals {
        fn take(&mut self, c: char) {
            self.any = true;
            self.capital |= c.is_uppercase();
        }
    }
    impl ast::Visitor for Literals {
        type Output = bool;
        type Err = std::convert::Infallible;

        fn finish(self) -> Result<bool, Self::Err> {
            Ok(self.capital || !self.any)
        }

        fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
            if let Ast::Literal(literal) = ast {
                self.take(literal.c);
            }
            Ok(())
        }

        fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
            match item {
                ast::ClassSetItem::Literal(literal) => self.take(literal.c),
                ast::ClassSetItem::Range(range) => {
                    self.take(range.start.c);
                    self.take(range.end.c);
                }
                _ => {}
            }
            Ok(())
        }
    }
    match ast::visit(ast, Literals::default()) {
        Ok(counts) => counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// Bytes that were gone over in many lines.
        pub(super) static WENT_OVER: Cell<usize> = const { Cell::new(0) };
    }

    fn pattern(text: &str, regex: bool, word: bool, ignore_case: bool) -> Pattern {
        Pattern::new(text, Style { regex, word, ignore_case }).unwrap()
    }

    #[test]
    fn case_counts_when_there_is_a_capital() {
        assert!(pattern("root", false, false, false).is_in("ROOT"));
        assert!(!pattern("Root", false, false, false).is_in("root"));
        assert!(pattern("Root", false, false, true).is_in("rOOT"));
        assert!(
            pattern(r"\Sroot", true, false, false).is_in("aROOT"),
            "the S of an escape is no capital letter"
        );
        assert!(!pattern("[A-C]root", true, false, false).is_in("aroot"));
        // Where there is no letter that could be a capital, a class says itself which are meant.
        let capitals = pattern(r"\p{Lu}{5}", true, false, false);
        assert!(capitals.is_in("ABCDE") && !capitals.is_in("abcde"));
        assert!(pattern(r"\p{Lu}{5}", true, false, true).is_in("abcde"));
        assert!(pattern(r"[a-c]\d", true, false, false).is_in("B7"));
    }

    #[test]
    fn in_a_text_of_several_lines_each_has_a_beginning_and_an_end() {
        let text = "cat > x << END\nPermitRootLogin yes\r\nlast";
        for (wanted, found) in [
            ("^PermitRoot", Some("PermitRoot")),
            ("yes$", Some("yes")),
            ("^last$", Some("last")),
            ("^cat", Some("cat")),
            ("END$", Some("END")),
            ("^yes", None),
            (r"END\sPermit", Some("END\nPermit")),
            (r"\Alast", Some("last")),
        ] {
            let at = pattern(wanted, true, false, false).find_within(text);
            assert_eq!(at.map(|at| &text[at]), found, "{wanted}");
        }
    }

    #[test]
    fn a_comment_in_a_regex_ends_with_it() {
        for text in ["(?x)needle # c", "(?x) needle#", "(?x)need le # (", "needle", "need[#]le|needle"] {
            for word in [false, true] {
                let found = pattern(text, true, word, false).find("a needle.");
                assert_eq!(found, Some(2..8), "{text} {word}");
            }
        }
        assert!(!pattern("(?x)need le # c", true, true, false).is_in("needles"));
        // No comment: the blank and the hash are looked for.
        assert!(!pattern("needle # c", true, false, false).is_in("a needle."));
    }

    #[test]
    fn literal_text_is_literal_and_words_are_whole() {
        assert!(pattern("a.b*(c", false, false, false).is_in("xa.b*(cx"));
        assert!(!pattern("a.b", false, false, false).is_in("axb"));
        let word = pattern("-rf", false, true, false);
        assert!(word.is_in("rm -rf /") && !word.is_in("rm -rfv /"));
        assert_eq!(pattern("o+", true, true, false).find("foo oo"), Some(4..6));
    }

    #[test]
    fn in_many_lines_none_is_passed_over_that_matches() {
        let lines =
            ["", "one", "  two ones", "end", "the end  ", "END", "a-b", "b", "x one-two", "ünï one", "one"];
        let many: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        for (text, word) in [
            ("one", false),
            ("^one", false),
            ("one$", false),
            ("end$", false),
            (r"\Aone|end\z", false),
            ("one", true),
            ("a-b|(?m:^b)", false),
            (r"[^x]one.*", false),
            (r"\B[no]", false),
            (r"[^x]+", false),
            (r"\W+one", false),
            (r"(?s)two.+", false),
            (r"e[^;]*\Bd", false),
            ("nothing", false),
        ] {
            let pattern = pattern(text, true, word, false);
            let (mut from, mut found) = (0, Vec::new());
            while let Some(at) = pattern.next_in(&many, from).filter(|at| *at < many.len()) {
                let start = many[..at].rfind('\n').map_or(0, |feed| feed + 1);
                let end = at + many[at..].find('\n').unwrap() + 1;
                let line = many[start..end].trim_end();
                if pattern.is_in(line) {
                    found.push(line);
                }
                from = end;
            }
            let matching: Vec<&str> =
                lines.iter().map(|line| line.trim_end()).filter(|line| pattern.is_in(line)).collect();
            assert_eq!(found, matching, "{text}");
        }
    }

    #[test]
    fn of_many_lines_each_byte_is_gone_over_once_whatever_the_pattern_could_run_through() {
        let many = "sudo cat /etc/shadow | wc -l\r\n".repeat(1000);
        for text in
            ["sudo[^;]+", "sudo[^;]*;", r"cat(\D+)", "(?s)sudo.+", r"cat[\s\S]+", "sudo.+", "wc|(?s:x.)"]
        {
            let pattern = pattern(text, true, false, false);
            WENT_OVER.set(0);
            let (mut from, mut lines) = (0, 0);
            while let Some(at) = pattern.next_in(&many, from) {
                from = at + many[at..].find('\n').unwrap() + 1;
                lines += 1;
            }
            assert_eq!(lines, if text.contains("*;") { 0 } else { 1000 }, "{text}");
            assert!(WENT_OVER.get() <= 2 * many.len(), "{text}: {} bytes of {}", WENT_OVER.get(), many.len());
        }
    }

    #[test]
    fn hostile_patterns_end_with_a_clear_error_that_points_at_the_place() {
        let regex = Style { regex: true, ..Style::default() };
        let error = |text: &str, style| Pattern::new(text, style).unwrap_err();
        assert_eq!(error("", Style::default()).what, "the pattern is empty");
        let long = error(&"x".repeat(1 << 20), Style::default());
        assert_eq!(long.what, "the pattern is 1048576 bytes long; at most 4096 are searched for");
        assert!(long.place().0.len() < 100);
        assert_eq!(error("a\nb", Style::default()).at, 1..2);
        let open = error("foo(bar", regex);
        assert_eq!((open.at.clone(), open.place()), (3..4, ("foo(bar".to_owned(), 3, 1)));
        assert_eq!(error("x{2,1}", regex).at, 1..6);
        assert_eq!(error(r"ab\p{Nonsense}", regex).at, 2..14);
        assert!(error("(((((a{100}){100}){100}){100}){100})", regex).what.contains("too much memory"));
        assert!(error(&"(".repeat(2000), regex).what.contains("no regular expression"));
        assert!(error("x*", regex).what.contains("every line"));
        assert!(error("^", regex).what.contains("every line"));
    }

    #[test]
    fn a_regex_that_makes_others_explode_is_quick() {
        let evil = pattern("(a+)+(a|aa)+(a*)*b", true, false, false);
        let found = std::thread::spawn(move || evil.is_in(&"a".repeat(20_000)));
        assert!(crate::sys::eventually(|| found.is_finished()));
        assert!(!found.join().unwrap());
    }
}
