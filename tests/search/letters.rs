//! Letters that look alike and are other characters.

use crate::made::{Made, Plan, output};
use sealcast::search::{Field, Fields, Options, Query, Style};

#[test]
fn a_letter_of_two_characters_is_found_as_it_was_shown_and_by_an_expression_of_both() {
    let (one, two) = ("\u{e9}clair \u{d55c}\u{ae00}", "e\u{301}clair \u{1112}\u{1161}\u{11ab}");
    let made = Made::new();
    let found = |shown: &str, pattern: &str, regex: bool| {
        let recording = made.add(Plan::new((80, 24), &[output(0, shown), output(1000, "\r\nend")]));
        let style = Style { regex, ..Style::default() };
        let query = Query::text(pattern, style, Fields::of(&[Field::Screen])).unwrap();
        let answer = made.answers(&[recording], &query, &Options::default()).remove(0);
        assert_eq!(answer.fault, None);
        answer.found.is_some()
    };
    for (shown, other) in [(one, two), (two, one)] {
        assert!(found(shown, shown, false), "{shown:?}");
        // As sealcast-search(1) says, with what to do.
        assert!(!found(shown, other, false), "{shown:?}");
        for both in [r"(\x{e9}|e\x{301})clair", ".{1,2}clair"] {
            assert!(found(shown, both, true), "{shown:?} by {both}");
        }
    }
}
