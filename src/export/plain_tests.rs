//! What is read off a terminal's output.

use super::*;
use proptest::prelude::*;

fn lines(output: &[u8]) -> Vec<String> {
    on(80, output)
}

fn on(cols: u16, output: &[u8]) -> Vec<String> {
    let mut plain = Plain::new(cols);
    let mut lines = plain.feed(output);
    lines.extend(plain.finish());
    lines
}

#[test]
fn what_was_wrapped_is_not_written_over_from_the_next_row() {
    let on = |cols, output: &str| on(cols, output.as_bytes());
    // As zsh and fish go to a new line behind output without one: a mark, and blanks to the end of the row.
    let marked = format!("api-token-4711%{}\r \r$ exit\r\n", " ".repeat(79));
    assert_eq!(on(80, &marked), [format!("api-token-4711%{}$ exit", " ".repeat(65))]);
    let hidden = format!("{:<80} \r{:<60}\n", "deleted: audit", "checking disk");
    assert_eq!(on(80, &hidden), [format!("{:<80}checking disk", "deleted: audit")]);
    // As readline wraps.
    assert_eq!(on(10, "$ echo onetwo \rtwo\r\n"), ["$ echo onetwo"]);
    assert_eq!(on(10, "0123456789\rx\r\n"), ["x123456789"]);
    assert_eq!(on(10, "0123456789a\x08\x08\x08b\x1b[2K\x1b[1Gc\r\n"), ["0123456789c"]);
    assert_eq!(on(10, "0123456789\x1b[K\x08\x08b\x1b[1K\r\n"), ["         9"]);
    assert_eq!(on(4, "日本語\rx\r\n"), ["日本x"]);
    assert_eq!(on(5, "日本語\rx\r\n"), ["日本x"]);
    assert_eq!(on(80, "rm important\r\t\tharmless\r\n"), ["rm important    harmless"]);
    // Where a row holds more than its columns: what stands there stays.
    assert_eq!(on(4, "abcd\r\x1b[2@wxyzv\r\n"), ["wxyzcd", "v"]);
    assert_eq!(on(4, "ae\u{301}e\u{301}b\rxyz\r\n"), ["ae\u{301}e\u{301}xyz"]);
    let mut plain = Plain::new(20);
    plain.feed("x".repeat(30).as_bytes());
    plain.resize(40, 5);
    assert_eq!(plain.feed(b"\ry\r\n"), ["x".repeat(30), "y".to_owned()]);
    plain.feed(b"$ ");
    plain.resize(30, 5);
    assert_eq!(plain.feed(b"\r$ ls\r\n"), ["$ ls"]);
}

/// What stood before it was a sign of warning, which it belonged to.
#[test]
fn a_selector_whose_symbol_was_written_over_is_made_visible() {
    assert_eq!(lines("aa\u{26a0}\u{fe0f}\n".as_bytes()), ["aa\u{26a0}\u{fe0f}"]);
    assert_eq!(lines("aa\u{26a0}\u{fe0f}\rxrm\n".as_bytes()), ["xrm\\u{fe0f}"]);
}

#[test]
fn colours_titles_and_the_clipboard_disappear_and_the_text_stays() {
    let output = b"\x1b]0;title\x07\x1b[1;32mroot@web\x1b[0m:\x1b[34m~\x1b[m# ls\r\n\x1b]52;c;QUJD\x1b\\a  b\r\n\x1bP1q~~\x1b\\c\x1b(B\r\n";
    assert_eq!(lines(output), ["root@web:~# ls", "a  b", "c"]);
}

#[test]
fn corrections_within_a_line_end_as_they_stood() {
    assert_eq!(lines(b"lx\x08s -l\r\n"), ["ls -l"]);
    assert_eq!(lines(b" 10%\r 50%\r100%\x1b[K done\n"), ["100% done"]);
    assert_eq!(lines(b"abcdef\x1b[3D\x1b[K\x1b[1Gx\n"), ["xbc"]);
    assert_eq!(lines(b"abc\x1b[2Gx\x1b[1P\n"), ["ax"]);
    assert_eq!(lines(b"a\tb\n"), ["a       b"]);
    assert_eq!(lines("日本\x08\x08x\n".as_bytes()), ["日x"]);
    assert_eq!(lines("日本\rx\n".as_bytes()), ["x 本"]);
}

#[test]
fn a_full_screen_program_is_one_line() {
    assert_eq!(
        lines(b"$ vim\r\n\x1b[?1049h\x1b[2J\x1b[Hlots\r\nof\r\ntext\x1b[?1049l$ exit\r\n"),
        ["$ vim", FULL_SCREEN, "$ exit"]
    );
}

#[test]
fn a_full_screen_program_is_left_however_that_is_written() {
    let after = |sequence: &str| lines(format!("a\r\n\x1b[?1049hdrawn{sequence}b\r\n").as_bytes());
    let long = format!("\x1b[?{}1049l", "0".repeat(100));
    let last = format!("\x1b[?{}47l", "1;".repeat(29));
    for left in ["\x1bc", "\x1b[?47l", "\x1b[?01047l", "\x1b[?01049l", "\x1b[?25;1049l", &long, &last]
        .into_iter()
        .chain(["\x1b[?1049:1l", "\x1b\n[?1049l", "\x1b日[?1049l", "\x1b[?日1049l", "\x1b(\nB\x1b[?1049l"])
    {
        assert_eq!(after(left), ["a", FULL_SCREEN, "b"], "{left:?}");
    }
    let many = format!("\x1b[?{}1049l", "1;".repeat(32));
    for stays in ["\x1b[!p", "\x1b[1049l", "\x1b[?1049$l", "\x1b[?1049?l", "\x1b[?1:1049l", "\x1b#c", &many] {
        assert_eq!(after(stays), ["a", FULL_SCREEN], "{stays:?}");
    }
}

#[test]
fn invalid_and_cut_bytes_are_shown_as_such_and_counted() {
    let mut plain = Plain::default();
    let crab = "🦀".as_bytes();
    assert!(plain.feed(&crab[..2]).is_empty());
    assert_eq!(plain.feed(&[&crab[2..], b"\xff\n\xe2"].concat()), ["🦀\u{fffd}"]);
    assert_eq!(plain.finish().unwrap(), "\u{fffd}");
    assert_eq!(plain.replaced(), 2);
    assert_eq!(lines("a\u{202e}b\u{9b}\n".as_bytes()), ["a\\u{202e}b\\u{9b}"]);
}

#[test]
fn whoever_begins_with_a_screen_has_the_line_in_hand_as_it_stands() {
    // So many columns of it fill a row.
    let full = "x".repeat(20);
    for begun in [
        "",
        "one\r\n",
        "one\r\n$ ",
        "$ 日本e\u{301} on",
        "$ abc\x1b[2D",
        "日本\x1b[D",
        &full,
        &full.repeat(2),
        &format!("one\r\n{full}and on\x1b[A"),
        "\x1b[?1049h\x1b[Hdrawn",
    ] {
        let mut screen = crate::terminal::Terminal::new(20, 5);
        screen.feed(begun.as_bytes());
        let (mut from_start, mut from_screen) = (Plain::default(), Plain::standing(&screen));
        from_start.feed(begun.replace("\x1b[A", "\x1b[7G").as_bytes());
        assert_eq!(from_screen.unfinished(), from_start.unfinished(), "{begun:?}");
        assert_eq!(from_screen.full_screen(), from_start.full_screen(), "{begun:?}");
        for more in [&b"z"[..], b"\x1b[K\n", b"\x1b[?1049lafter\n"] {
            assert_eq!(from_screen.feed(more), from_start.feed(more), "{begun:?}");
            assert_eq!(from_screen.unfinished(), from_start.unfinished(), "{begun:?}");
        }
    }
}

#[test]
fn endless_sequences_and_lines_take_bounded_memory() {
    let mut plain = Plain::default();
    plain.feed(b"\x1b]");
    plain.feed(b"\x1b[");
    for bytes in [[b'1'; 1000], [b';'; 1000], [b'?'; 1000], [b' '; 1000]] {
        assert!(plain.feed(&bytes).is_empty());
    }
    assert!(plain.parameters.numbers.len() < MAX_NUMBERS && plain.parameters.marks.len() <= 2);
    let long = plain.feed(&[b"\x18".as_slice(), &vec![b'x'; MAX_COLUMNS * 3]].concat());
    assert_eq!(long.len(), 2);
    let moved = lines(b"\x1b[99999999999C\x1b[999999999@\x1b[32760Cxx\n");
    assert_eq!(moved, [" ".repeat(79) + "xx"]);
    // Characters without a column, from the start of the line again and again: all are kept, in lines that end.
    let marks = lines("\r\u{301}".repeat(MAX_COMBINING * 3).as_bytes());
    assert_eq!(marks, vec!["\u{301}".repeat(MAX_COMBINING); 3]);
}

proptest! {
    #[test]
    fn nothing_but_printable_text_comes_out_of_anything(
        chunks in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "(\u{1b}\\[[0-9;?]{0,6}[@-~]|\u{1b}[@-_]|[\u{0}-\u{a0}]|日){0,20}".prop_map(String::into_bytes),
            ],
            0..20,
        )
    ) {
        let mut plain = Plain::default();
        let mut all = Vec::new();
        for chunk in &chunks {
            all.extend(plain.feed(chunk));
            all.push(plain.unfinished());
        }
        all.extend(plain.finish());
        for line in all {
            prop_assert!(!line.chars().any(|c| c.is_control() || crate::text::is_deceptive(c)), "{line:?}");
        }
    }

    #[test]
    fn a_full_screen_program_is_where_the_emulator_has_one(
        pieces in proptest::collection::vec(
            prop_oneof![
                "\u{1b}\\[\\??0{0,3}(47|1047|1049|25|65536)?[;:]?(47|1047|1049|4)?[ $?<]{0,2}[hl]".prop_map(String::into_bytes),
                "\u{1b}\\[\\?(1049|;){1,40}[hl]".prop_map(String::into_bytes),
                "(\u{1b}[c\\[\\]PX(#]|[?;:1049hlc\\\\!p日\u{9c}\u{7f}\u{85}\u{0}-\u{1b}]){0,6}".prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..3),
            ],
            0..12,
        )
    ) {
        let bytes = pieces.concat();
        let (mut plain, mut terminal) = (Plain::default(), crate::terminal::Terminal::new(20, 5));
        plain.feed(&bytes);
        terminal.feed(&bytes);
        prop_assert_eq!(plain.full_screen, terminal.is_alternate(), "{:?}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn how_the_output_was_cut_makes_no_difference(
        bytes in "(\u{1b}\\[[0-9;?]{0,6}[@-~]|\u{1b}[@-_]|[\u{0}-\u{a0}]|日){0,40}", cut in 0usize..200
    ) {
        let bytes = bytes.as_bytes();
        let cut = cut.min(bytes.len());
        let mut plain = Plain::default();
        let mut split = plain.feed(&bytes[..cut]);
        split.extend(plain.feed(&bytes[cut..]));
        split.extend(plain.finish());
        prop_assert_eq!(split, lines(bytes));
    }
}
