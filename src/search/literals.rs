//! What a text must hold for a pattern to match: the question that filters can answer.
//!
//! Works on the pattern's structure, folded as filters are. Refuses to be exact where that would grow: what it cannot say
//! in a few strings it leaves open, and the segment is looked into. What it says is always true (a test compares it with the
//! matching itself).

use crate::container::filter::{Filter, fold, trigrams};
use crate::container::ids;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Most strings followed side by side.
const STRINGS: usize = 16;
/// Longest string followed, in characters.
const LENGTH: usize = 256;
/// Shortest piece that is worth looking for, in bytes.
const PIECE: usize = 3;
/// Most memory of a search for pieces, in bytes.
const STORED: usize = 1 << 20;
/// Most characters of a class that are looked at.
const CLASS: usize = 400;

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing that could be named.
    Anything,
    /// These trigrams and pieces of hexadecimal digits (their hashes), all of them; and this piece of the text, see
    /// [`Need::pieces`].
    Text(Vec<u64>, Vec<u64>, String),
    /// All of these.
    All(Vec<Need>),
    /// At least one of these.
    OneOf(Vec<Need>),
}

impl Need {
    /// Whether a segment with this filter may hold it.
    pub(super) fn may_be_in(&self, filter: &Filter<'_>) -> bool {
        match self {
            Self::Anything => true,
            Self::Text(hashes, digits, _) => {
                hashes.iter().all(|hash| filter.may_hold(*hash))
                    && digits.iter().all(|hash| filter.may_hold_piece(*hash))
            }
            Self::All(needs) => needs.iter().all(|need| need.may_be_in(filter)),
            Self::OneOf(needs) => needs.iter().any(|need| need.may_be_in(filter)),
        }
    }

    fn of_text(text: &str) -> Self {
        let mut hashes: Vec<u64> = trigrams(text).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let piece = text.split(|c| !is_kept(c)).max_by_key(|piece| piece.len()).unwrap_or_default();
        if hashes.is_empty() {
            return Self::Anything;
        }
        Self::Text(hashes, ids::pieces(text).collect(), piece.to_owned())
    }

    /// Pieces, folded, of which every match holds at least one. They are of characters that stand in the text of an index
    /// entry as they are: neither those that JSON escapes, nor those at which arguments and paths are taken apart. `None`
    /// when there are no such.
    fn pieces(&self) -> Option<Vec<&str>> {
        match self {
            Self::Anything => None,
            Self::Text(.., piece) => (piece.len() >= PIECE).then(|| vec![piece.as_str()]),
            Self::All(needs) => {
                let shortest = |pieces: &Vec<&str>| pieces.iter().map(|piece| piece.len()).min();
                needs.iter().filter_map(Self::pieces).max_by_key(shortest)
            }
            Self::OneOf(needs) => {
                let pieces: Option<Vec<Vec<&str>>> = needs.iter().map(Self::pieces).collect();
                pieces.map(|pieces| pieces.concat())
            }
        }
    }

    /// A search for one of [`Need::pieces`], whatever its case. `None` when there are none, or too many.
    pub(super) fn stored(&self) -> Option<regex::bytes::Regex> {
        let pieces = self.pieces()?;
        let any_case = |c: char| match c {
            // A dotless i counts as an i to filters, but not to a search without case.
            'i' => "[i\u{131}]".to_owned(),
            c => regex::escape(c.encode_utf8(&mut [0; 4])),
        };
        let pieces: Vec<String> = pieces.iter().map(|piece| piece.chars().map(any_case).collect()).collect();
        let search = regex::bytes::RegexBuilder::new(&pieces.join("|"))
            .case_insensitive(true)
            .size_limit(STORED)
            .dfa_size_limit(STORED)
            .build();
        // Without it, everything is read.
        search.ok()
    }

    fn all(needs: Vec<Self>) -> Self {
        let mut needs: Vec<Self> = needs.into_iter().filter(|need| *need != Self::Anything).collect();
        match needs.len() {
            0 => Self::Anything,
            1 => needs.swap_remove(0),
            _ => Self::All(needs),
        }
    }

    fn one_of(mut needs: Vec<Self>) -> Self {
        if needs.is_empty() || needs.contains(&Self::Anything) {
            return Self::Anything;
        }
        if needs.len() == 1 { needs.swap_remove(0) } else { Self::OneOf(needs) }
    }
}

/// See [`Need::pieces`].
fn is_kept(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/')
}

/// What is known of a part of a pattern: every match is one of these strings, or else every match has this need.
enum Known {
    Exactly(Vec<String>),
    Needs(Need),
}

/// What every text that the pattern matches holds.
pub(super) fn need(pattern: &Hir) -> Need {
    known(pattern).into_need()
}

impl Known {
    fn into_need(self) -> Need {
        match self {
            Self::Exactly(strings) => Need::one_of(strings.iter().map(|text| Need::of_text(text)).collect()),
            Self::Needs(need) => need,
        }
    }

    fn anything() -> Self {
        Self::Needs(Need::Anything)
    }

    fn text(text: &str) -> Self {
        Self::Exactly(vec![text.chars().map(fold).collect()])
    }
}

fn known(pattern: &Hir) -> Known {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::text(""),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Known::text(text),
            Err(_) => Known::anything(),
        },
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min == 0 => Known::anything(),
        HirKind::Repetition(repetition) => {
            let once = known(&repetition.sub);
            if repetition.max == Some(repetition.min) && repetition.min <= 64 {
                return concat((0..repetition.min).map(|_| known(&repetition.sub)));
            }
            Known::Needs(once.into_need())
        }
        HirKind::Concat(parts) => concat(parts.iter().map(known)),
        HirKind::Alternation(parts) => {
            let mut strings = Vec::new();
            let mut needs = Vec::new();
            for part in parts {
                match known(part) {
                    Known::Exactly(more) => strings.extend(more),
                    Known::Needs(need) => needs.push(need),
                }
            }
            if needs.is_empty() && strings.len() <= STRINGS {
                return Known::Exactly(strings);
            }
            needs.extend(strings.iter().map(|text| Need::of_text(text)));
            Known::Needs(if needs.len() <= 4 * STRINGS { Need::one_of(needs) } else { Need::Anything })
        }
    }
}

fn of_class(class: &Class) -> Known {
    let Class::Unicode(class) = class else { return Known::anything() };
    let size: usize = class.iter().map(|range| range.len()).sum();
    if size == 0 || size > CLASS {
        return Known::anything();
    }
    let mut strings: Vec<String> =
        class.iter().flat_map(|range| range.start()..=range.end()).map(|c| fold(c).to_string()).collect();
    strings.sort_unstable();
    strings.dedup();
    if strings.len() <= STRINGS { Known::Exactly(strings) } else { Known::anything() }
}

/// Parts that follow each other.
fn concat(parts: impl Iterator<Item = Known>) -> Known {
    let mut needs = Vec::new();
    let mut before = vec![String::new()];
    let mut exact = true;
    for part in parts {
        match part {
            Known::Exactly(strings) => {
                let long = before.iter().chain(&strings).any(|text| text.len() > LENGTH);
                if before.len() * strings.len() <= STRINGS && !long {
                    before = before
                        .iter()
                        .flat_map(|first| strings.iter().map(move |second| format!("{first}{second}")))
                        .collect();
                } else {
                    // What has come together so far is needed; what follows begins anew.
                    needs.push(Known::Exactly(std::mem::replace(&mut before, strings)).into_need());
                    exact = false;
                }
            }
            Known::Needs(need) => {
                needs.push(Known::Exactly(std::mem::replace(&mut before, vec![String::new()])).into_need());
                needs.push(need);
                exact = false;
            }
        }
    }
    if exact {
        return Known::Exactly(before);
    }
    needs.push(Known::Exactly(before).into_need());
    Known::Needs(Need::all(needs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::filter::Builder;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn parse(pattern: &str) -> Option<Hir> {
        regex_syntax::ParserBuilder::new().build().parse(pattern).ok()
    }

    fn denies(pattern: &str, text: &str) -> bool {
        let mut builder = Builder::default();
        builder.add(text);
        let bytes = builder.finish(1 << 20);
        !need(&parse(pattern).unwrap()).may_be_in(&Filter::read(&bytes).unwrap())
    }

    #[test]
    fn what_a_pattern_needs_is_found_in_its_middle_and_in_every_branch() {
        for pattern in [
            "PermitRootLogin",
            "(?i)permitROOTlogin",
            r"\bPermit\w+Login\b",
            "^.*RootLogin +(yes|no)$",
            "(Permit|Forbid)Root",
            "[Pp]ermit[Rr]oot",
            "(?:mit){1}Ro{2}t",
            "x*PermitRoot",
        ] {
            assert!(denies(pattern, "nothing of the kind stands here"), "{pattern}");
            assert!(!denies(pattern, "  PermitRootLogin yes"), "{pattern}");
        }
        for pattern in ["..", "a|b", ".*", r"\d+", "(abc)?", "abc|.", "[^x]{9}"] {
            assert!(!denies(pattern, "nothing of the kind stands here"), "{pattern}");
        }
    }

    #[test]
    fn the_pieces_of_a_pattern_stand_in_a_stored_text_however_it_is_written() {
        for (pattern, pieces) in [
            ("PermitRootLogin yes", Some(vec!["permitrootlogin"])),
            (r"sed -i.* /etc/(passwd|shadow)$", Some(vec!["passwd", "shadow"])),
            (r"\w \d", None),
            (r#"say "x"y"#, Some(vec!["say"])),
            ("abc|.", None),
            ("ünïcode", Some(vec!["code"])),
        ] {
            let need = need(&parse(pattern).unwrap());
            assert_eq!(need.pieces(), pieces, "{pattern}");
        }
        let search = need(&parse("INSIDE").unwrap()).stored().unwrap();
        assert!(search.is_match(b"x inside") && search.is_match("x \u{131}n\u{17f}IDE".as_bytes()));
    }

    #[test]
    fn whatever_counts_as_a_letter_is_found_where_the_letter_is_looked_for() {
        let stored = |c: char| {
            let piece = String::from_iter([c; PIECE]);
            Need::Text(Vec::new(), Vec::new(), piece).stored().unwrap()
        };
        let searches: HashMap<char, _> = ('!'..='~').map(fold).map(|c| (c, stored(c))).collect();
        for c in '\0'..=char::MAX {
            if let Some(search) = searches.get(&fold(c)) {
                assert!(search.is_match(String::from_iter([c; PIECE]).as_bytes()), "{c:?}");
            }
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-cA-C ]{1,4}",
            Just(".".to_owned()),
            Just("[a-b]".to_owned()),
            Just("[^c]".to_owned()),
            Just(r"\b".to_owned()),
            Just("[k\u{212a}]".to_owned()),
            Just("é".to_owned()),
            Just("(?i)bs".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|parts| format!("(?:{})", parts.join("|"))),
                (inner.clone(), 0..4u8)
                    .prop_map(|(part, n)| format!("(?:{part}){}", ["*", "+", "?", "{2}"][usize::from(n)])),
                inner.prop_map(|part| format!("(?i:{part})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn a_filter_never_denies_what_matches(pattern in pattern(), text in "[a-cA-CkKéÉsS\u{17f}\u{212a} ]{0,12}|[a-cA-C]{6,20}") {
            if let Ok(regex) = regex::Regex::new(&pattern)
                && regex.is_match(&text)
            {
                let need = need(&parse(&pattern).unwrap());
                prop_assert!(!denies(&pattern, &text), "{pattern:?} {text:?} {need:?}");
                let stored = serde_json::to_vec(&text.split([' ', '/']).collect::<Vec<_>>()).unwrap();
                let passed = need.stored().is_some_and(|search| !search.is_match(&stored));
                prop_assert!(!passed, "{pattern:?} {text:?} {need:?}");
            }
        }
    }
}
