//! UTF-8 in pieces, text that is safe to show on a terminal or to hand to a shell, and text with wildcards.
//!
//! Refuses to replace anything: bytes that are not UTF-8 are handed on as bytes, and control characters are made
//! visible, never interpreted.

pub mod clock;

use std::borrow::Cow;
use std::fmt;

/// Shows untrusted text: control, bidirectional and zero-width characters and invalid bytes appear as escapes such as
/// `\x1b`, `\u{202e}`, so nothing that came out of a recording can act on the terminal that shows it.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

/// [`Escaped`] for a string.
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text.as_bytes())
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = ' ';
        for piece in self.0.utf8_chunks() {
            for c in piece.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if is_deceptive_behind(before, c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    c => write!(f, "{c}")?,
                }
                before = c;
            }
            for byte in piece.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character changes how its neighbours are shown, or is not shown at all: C1 controls, line and paragraph
/// separators, interlinear annotations, and what Unicode calls `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt:
/// bidirectional controls, zero-width characters, fillers, variation selectors, tags, the byte-order mark), but for the two
/// variation selectors of [`is_deceptive_behind`].
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// [`is_deceptive`] of a character that stands behind another: U+FE0E and U+FE0F choose between text and emoji behind a symbol
/// (`\u{26a0}\u{fe0f}`), and are nothing but hidden behind anything else.
pub fn is_deceptive_behind(before: char, c: char) -> bool {
    let selects = !before.is_ascii() && !before.is_alphanumeric() && !before.is_whitespace();
    is_deceptive(c) || (matches!(c, '\u{fe0e}' | '\u{fe0f}') && !selects)
}

/// Whether anything of a text is seen when it is shown: a character that is no blank (the empty cell of braille is one), no control
/// and not hidden.
pub fn is_seen(text: &str) -> bool {
    let unseen = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{2800}' | '\u{fe0e}' | '\u{fe0f}')
            || is_deceptive(c)
    };
    !text.chars().all(unseen)
}

/// Columns that a text takes, characters that are joined into one as one.
pub fn cells(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// At most `width` columns of a text, the last of them `…` where something was left out.
pub fn shorten(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    // Not character by character: joined, they take less than each for itself, or more.
    let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    let fit = ends.partition_point(|end| text.get(..*end).is_some_and(|text| cells(text) < width));
    let end = fit.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Bytes as text: what is not UTF-8 appears as `\xNN`, everything else is left as it is (also control characters: whoever
/// shows the text makes them visible).
pub fn lossless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        text.push_str(piece.valid());
        for byte in piece.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A name among others: in quotes where it could be taken for more than one, for a count, or for what is said beside it.
pub fn listed(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_.+:/@%[".contains(c);
    match !name.is_empty() && name.chars().all(plain) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("{name:?}")),
    }
}

/// How many bytes at the end of `bytes` are the beginning of a UTF-8 sequence that more bytes could complete (0 to 3).
pub fn incomplete_tail(bytes: &[u8]) -> usize {
    // What comes before the last three bytes does not tell.
    let bytes = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or(bytes);
    match bytes.utf8_chunks().last() {
        // An invalid run that ends the slice and needs more bytes is reported by `from_utf8` as having no error length.
        Some(piece) if !piece.invalid().is_empty() => match std::str::from_utf8(piece.invalid()) {
            Err(error) if error.error_len().is_none() => piece.invalid().len(),
            _ => 0,
        },
        _ => 0,
    }
}

/// An error and its causes in one line. A cause that stands at the end of what was said before is left out: some libraries repeat their
/// source in their own text.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = cause.source();
    }
    text
}

/// In single quotes, as one word of a shell: of bash, zsh, fish and POSIX shells alike. fish reads backslashes inside of the quotes,
/// so there are none inside.
pub fn sh_quoted(word: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            b'\\' => quoted.extend(b"'\\\\'"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// Whether `text` is what `pattern` means, letter by letter: `*` is any run of letters, also an empty one, and `?` is one. Takes time
/// proportional to the product of both lengths, at most.
pub fn glob<T: Copy + PartialEq + From<u8>>(pattern: &[T], text: &[T]) -> bool {
    let (any, one) = (T::from(b'*'), T::from(b'?'));
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star, if what follows it does not fit.
    let mut back = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some(c) if *c == any => {
                p += 1;
                back = Some((p, t));
            }
            Some(c) if *c == one || c == letter => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((after, at)) => {
                    (p, t) = (after, at + 1);
                    back = Some((after, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == any)
}

/// A text of at most so many characters, and a sign that there is more where there is.
pub fn beginning(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The byte of two hexadecimal digits.
pub fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// The word for so many: `gap` of one, `gaps` of any other number. For words that take an s.
pub fn plural(count: u64, one: &str) -> String {
    if count == 1 { one.to_owned() } else { format!("{one}s") }
}

/// The number and [`plural`]: `1 segment`, `2 segments`.
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {}", plural(count, one))
}

/// What is said behind the first of several: ` (and 2 more)`; nothing where there are no more.
pub fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shortened_takes_the_room_there_is_and_no_more() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!((cells(family), shorten(&format!("{family}ab"), 4)), (2, format!("{family}ab")));
        assert_eq!(shorten(&format!("{family}abc"), 4), format!("{family}a…"));
        // Two columns, of characters of one and of none.
        let warning = "\u{26a0}\u{fe0f}";
        assert_eq!(shorten(&warning.repeat(3), 4), format!("{warning}\u{26a0}…"));
        assert_eq!(["e\u{301}e\u{301}e\u{301}", "ボブス"].map(|text| shorten(text, 2)), ["e\u{301}…", "…"]);
        assert_eq!([0, 1, 3].map(|width| shorten("abc", width)), ["", "…", "abc"]);
        let long = "a".to_owned() + &"\u{301}".repeat(1 << 20) + "bc";
        assert_eq!(shorten(&long, 2).len(), long.len() - 2 + "…".len());
    }

    #[test]
    fn a_beginning_has_so_many_characters_and_says_that_there_is_more() {
        assert_eq!(["üüü", "üüüü", ""].map(|text| beginning(text, 3)), ["üüü", "üüü…", ""]);
    }

    #[test]
    fn one_is_told_as_one() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "gap")), ["0 gaps", "1 gap", "2 gaps"]);
    }

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Says>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Says {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let says = |what, cause| Says(what, Some(Box::new(cause)));
        assert_eq!(chain(&says("cannot open x", Says("not there", None))), "cannot open x: not there");
        let repeats = says("the key: cannot open x", says("cannot open x", Says("not there", None)));
        assert_eq!(chain(&repeats), "the key: cannot open x: not there");
    }

    #[test]
    fn a_word_in_quotes_has_no_backslash_inside_of_them() {
        for (word, quoted) in
            [("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), (r"a\b", r"'a'\\'b'"), ("$x", "'$x'")]
        {
            assert_eq!(String::from_utf8(sh_quoted(word.as_bytes())).unwrap(), quoted);
        }
    }

    #[test]
    fn a_star_is_any_run_of_letters_and_a_question_mark_is_one() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a*b*c", "axbybzc", true),
            ("a*b*c", "acb", false),
            ("*a?", "aab", true),
            ("**", "x", true),
            ("a*a", "a", false),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(glob(&letters(pattern), &letters(text)), expected, "{pattern} {text}");
        }
        assert!(glob(b"*.example.?rg", b"web.example.org") && !glob(b"*.org", b"web.com"));
    }

    #[test]
    fn control_bidi_and_invalid_bytes_are_made_visible() {
        let shown = Escaped(b"a\x1b]52;c;x\x07\xffb\xe2\x80\xae\n").to_string();
        assert_eq!(shown, "a\\x1b]52;c;x\\x07\\xffb\\u{202e}\\n");
    }

    /// `rm` that is another program than it looks like, and the sign that a warning has everywhere.
    #[test]
    fn what_is_not_shown_at_all_is_made_visible_but_behind_a_symbol_that_it_belongs_to() {
        for c in "\u{34f}\u{115f}\u{17b4}\u{180b}\u{180f}\u{200d}\u{2065}\u{3164}\u{fe00}\u{fe0f}\u{ffa0}\u{fff0}\u{1bca0}\u{1d173}\u{e0001}\u{e0100}\u{e0fff}".chars() {
            assert_eq!(escaped(&format!("rm{c} -r")).to_string(), format!("rm\\u{{{:x}}} -r", u32::from(c)));
        }
        assert_eq!(escaped("\u{26a0}\u{fe0f} \u{fe0f}").to_string(), "\u{26a0}\u{fe0f} \\u{fe0f}");
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_readable() {
        assert_eq!(lossless(b"a\xffb\n\xc3\xa9"), "a\\xffb\n\u{e9}");
    }

    #[test]
    fn plain_text_in_any_script_is_left_alone() {
        assert_eq!(escaped("año 日本語 🦀").to_string(), "año 日本語 🦀");
    }

    #[test]
    fn a_split_character_is_seen_as_an_incomplete_tail() {
        let crab = "x🦀".as_bytes();
        assert_eq!(
            (1..=crab.len()).map(|n| incomplete_tail(&crab[..n])).collect::<Vec<_>>(),
            [0, 1, 2, 3, 0]
        );
        assert_eq!(incomplete_tail(b"\xff"), 0);
        assert_eq!(incomplete_tail(b"\xe2\x28"), 0);
        assert_eq!(incomplete_tail(b""), 0);
    }
}
