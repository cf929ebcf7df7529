//! What a text must hold for a pattern to match: the question that filters can answer.
//!
//! Works on the pattern's structure, folded as filters are. Refuses to be exact where that would grow: what it cannot say
//! in a few strings it leaves open, and the segment is looked into. What it says is always true (a test compares it with the
//! matching itself).

use crate::container::filter::{Filter, fold, trigrams};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Most strings followed side by side.
const STRINGS: usize = 16;
/// Longest string followed, in characters.
const LENGTH: usize = 256;
/// Most characters of a class that are looked at.
const CLASS: usize = 400;

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing that could be named.
    Anything,
    /// These trigrams (their hashes), all of them.
    Trigrams(Vec<u64>),
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
            Self::Trigrams(hashes) => hashes.iter().all(|hash| filter.may_hold(*hash)),
            Self::All(needs) => needs.iter().all(|need| need.may_be_in(filter)),
            Self::OneOf(needs) => needs.iter().any(|need| need.may_be_in(filter)),
        }
    }

    fn of_text(text: &str) -> Self {
        let mut hashes: Vec<u64> = trigrams(text).collect();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() { Self::Anything } else { Self::Trigrams(hashes) }
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
        fn a_filter_never_denies_what_matches(pattern in pattern(), text in "[a-cA-CkKéÉsS\u{17f}\u{212a} ]{0,12}") {
            if let Ok(regex) = regex::Regex::new(&pattern)
                && regex.is_match(&text)
            {
                prop_assert!(!denies(&pattern, &text), "{pattern:?} {text:?} {:?}", need(&parse(&pattern).unwrap()));
            }
        }
    }
}
