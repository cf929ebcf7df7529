//! What is typed in several places, one after the other, is told apart by them; and secrets that are a small part of what is
//! typed, or come otherwise than letter by letter.

use super::tests::Step::{Show, Type};
use super::tests::{Step, play, stored, withheld};
use super::*;

const NAME: &str = "alice@example.com";

/// Types keys 40 ms apart, the first `shown` of them echoed; a string is a key.
fn typed(keys: &[&str], is_shown: impl Fn(usize) -> bool) -> Vec<Typed> {
    let mut steps: Vec<Step<'_>> = vec![Show(0, "\x1b[5;3HName: \x1b[6;3HWord: \x1b[5;9H")];
    for (n, key) in keys.iter().enumerate() {
        let at = 1_000 + 40 * n as u64;
        steps.push(Type(at, key));
        if is_shown(n) {
            steps.push(Show(at + 5, key));
        }
    }
    play(Input::Echoed, &steps)
}

fn keys(text: &str) -> Vec<&str> {
    text.split("").filter(|key| !key.is_empty()).collect()
}

#[test]
fn a_secret_in_the_next_field_of_a_form_is_withheld_and_the_name_before_it_stored_whatever_key_leads_there() {
    let leading = [
        "\t",
        "\x1b[B",
        "\x1bOB",
        "\x1b[A",
        "\x1b[1;5B",
        "\x1b[6~",
        "\x1b[5~",
        "\x0e",
        "\x10",
        "\x1b",
        "\x1b[Z",
        "\x1b[<0;12;6M",
        "\x1b[M ,&",
        "\x1b[9u",
        "\x1b[27u",
        "\x1b[57420u",
        "\x1b[110;5u",
        "\x1b[27;5;110~",
        "\x1b[40;80;0;1;0;1_",
        "\x1b[9;15;9;1;0;1_",
    ];
    for lead in leading {
        let all = [keys(NAME), vec![lead], keys("4711\r")].concat();
        let out = typed(&all, |n| n < NAME.len());
        let stored = stored(&out);
        let rest = stored.strip_prefix(NAME).map(|rest| rest.strip_prefix(lead).unwrap_or(rest));
        assert_eq!((rest, withheld(&out)), (Some("\r"), 1), "{lead:?} {out:?}");
    }
    // Left and Right stay where they are.
    let all = [keys("hello"), vec!["\x1b[D", "\x1b[C"], keys(" you")].concat();
    assert_eq!(stored(&typed(&all, |n| !(5..7).contains(&n))), "hello\x1b[D\x1b[C you");
}

#[test]
fn what_is_not_shown_at_the_end_is_withheld_with_the_rest_and_so_is_a_code_in_the_middle() {
    let line = "a line of which the rest is shown";
    let seen = |text: &str, hidden: std::ops::Range<usize>| {
        let out = typed(&[keys(text), vec!["\t"]].concat(), |n| n < text.len() && !hidden.contains(&n));
        match stored(&out) {
            all if all == format!("{text}\t") => true,
            none if none.is_empty() => false,
            other => panic!("{other:?} of {text:?}"),
        }
    };
    let end = line.len();
    assert!(seen(line, 0..0) && seen(line, end - 1..end) && seen(line, 11..12));
    assert!(!seen(line, end - 2..end) && !seen(line, 12..16) && seen(line, 12..14));
    // Commands before the text; blanks and what an editor closed.
    assert!(seen("ddia line that is longer than the commands before it", 0..3));
    assert!(
        seen("some words typed  into it", 16..18) && seen(r#"print(first(second("some words")))"#, 30..34)
    );
    // The first of it was typed ahead, and echoed, before the rest was asked for without an echo.
    assert!(!seen("hunter2Kx9", 8..10));
}

#[test]
fn characters_that_come_as_the_text_of_a_key_are_characters() {
    for text in ["\x1b[0;;115:101:99:114:101:116u", "\x1b[115;;115u\x1b[101;;101u\x1b[99;1;99u"] {
        let shown = if text.contains(':') { "secret" } else { "sec" };
        let out = play(Input::Echoed, &[Type(0, text), Type(5, "\r"), Show(10, "\r\n")]);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\r", 1), "{out:?}");
        let out = play(Input::Echoed, &[Type(0, text), Show(5, shown), Type(10, "\r"), Show(15, "\r\n")]);
        assert_eq!((stored(&out), withheld(&out)), (format!("{text}\r"), 0), "{out:?}");
    }
    // More than are looked at.
    let long = format!("\x1b[0;;115{}u", ":115".repeat(40));
    let out = play(Input::Echoed, &[Type(0, &long), Show(5, &"s".repeat(41))]);
    assert_eq!((stored(&out).as_str(), withheld(&out)), ("", 1), "{out:?}");
}

#[test]
fn letters_typed_with_alt_where_nothing_is_shown_are_withheld_and_commands_are_stored() {
    for letters in ["\x1bs\x1be\x1bc", "\x1b[115;3u\x1b[101;3u\x1b[99;3u", "\x1b[27;3;115~\x1b[27;3;101~"] {
        let out = play(Input::Echoed, &[Show(0, "Word: "), Type(1_000, letters), Type(9_000, "\x1b[A")]);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\x1b[A", 1), "{out:?}");
        let line = [Type(0, "ls"), Show(5, "ls"), Type(1_000, letters), Show(1_010, "\x1b[2D")];
        assert_eq!(stored(&play(Input::Echoed, &line)), format!("ls{letters}"));
    }
    for command in ["\x1b.", "\x1bb\x1bb\x1bb"] {
        assert_eq!(stored(&play(Input::Echoed, &[Type(0, command)])), command);
    }
}

#[test]
fn answers_of_the_terminal_are_stored_where_they_are_colours_and_carry_no_text_elsewhere() {
    for answer in
        ["\x1b]lhunter2\x1b\\", "\x1b]Lhunter2\x07", "\x1b]1337;hunter2\x07", "\x1b]2;hunter2\x1b\\"]
    {
        let out = play(Input::Echoed, &[Type(0, answer), Type(9_000, "\x1b[C")]);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\x1b[C", 1), "{out:?}");
    }
    for answer in [
        "\x1b]4;1;rgb:ff/0/0\x1b\\",
        "\x1b]10;rgb:0/0/0\x07",
        "\x1b]19;#fff\x07",
        "\x1b]21;cursor=\x1b\\",
        "\x1b[?62c",
    ] {
        assert_eq!(stored(&play(Input::Echoed, &[Type(0, answer)])), answer);
    }
}

#[test]
fn a_sequence_without_an_end_is_held_in_pieces_and_none_is_stored() {
    for begin in ["\x1b]52;c;", "\x1bP", "\x1b["] {
        let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
        for piece in [begin.to_owned(), "7".repeat(100 << 10), "7".repeat(10)] {
            withhold.typed(Duration::from_millis(1), piece.as_bytes(), false, &mut out);
            assert!(withhold.runs.iter().all(|run| run.bytes.len() <= 2 * LARGEST), "{begin:?}");
        }
        withhold.finish(Duration::from_millis(2), &mut out);
        assert!(stored(&out).is_empty() && withheld(&out) > 0, "{begin:?}: {out:?}");
    }
}
