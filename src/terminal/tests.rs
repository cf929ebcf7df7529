//! What was measured against xterm, one row each; bounds; and the seams.

use super::*;
use proptest::prelude::*;

/// The screen of a 10x4 terminal after `input`, rows joined by `|`.
fn shown(input: &str) -> String {
    screen(10, 4, input)
}

fn screen(cols: u16, rows: u16, input: &str) -> String {
    let mut terminal = Terminal::new(cols, rows);
    terminal.feed(input.as_bytes());
    let lines: Vec<String> = (0..rows).map(|row| terminal.row_text(row)).collect();
    lines.join("|").trim_end_matches('|').to_string()
}

#[test]
fn sequences_do_what_they_do_in_xterm() {
    for (what, input, want) in [
        ("text wraps at the margin", "abcdefghijkl", "abcdefghij|kl"),
        ("a wrap is pending until the next character", "abcdefghij\x1b[1DX", "abcdefghXj"),
        ("a tab leaves a pending wrap alone", "abcdefghij\tK", "abcdefghij|K"),
        ("no autowrap overwrites the last column", "\x1b[?7labcdefghijkl", "abcdefghil"),
        ("cursor up stops at the top margin", "\x1b[2;3r\x1b[3;1H\x1b[9AX", "|X"),
        ("cursor up from above the margin goes to the top", "\x1b[2;3r\x1b[1;1H\x1b[9AX", "X"),
        ("cursor down stops at the bottom margin", "\x1b[2;3r\x1b[2;1H\x1b[9BX", "||X"),
        ("cursor down from below the margin goes to the end", "\x1b[1;2r\x1b[3;1H\x1b[9BX", "|||X"),
        ("ED 1 erases to the cursor inclusive", "abc\r\ndef\x1b[2;2H\x1b[1J", "|  f"),
        ("ED 0 erases from the cursor", "abc\r\ndef\x1b[1;2H\x1b[J", "a"),
        ("DCH pulls the rest of the line", "abcdef\x1b[2G\x1b[2P", "adef"),
        ("ICH pushes it", "abcdef\x1b[2G\x1b[2@", "a  bcdef"),
        ("ECH erases without moving", "abcdef\x1b[2G\x1b[2XZ", "aZ def"),
        (
            "DECALN fills the screen and goes home",
            "\x1b[2;3r\x1b#8X",
            "XEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE",
        ),
        ("origin mode counts from the top margin", "\x1b[2;3r\x1b[?6h\x1b[1;1HX\x1b[9;1HY", "|X|Y"),
        ("origin mode goes home when it is set", "ab\x1b[?6hX", "Xb"),
        ("a line feed at the bottom margin scrolls the region", "\x1b[2;3ra\r\n1\r\n2\r\n3", "a|2|3"),
        ("a line feed below the region does not scroll", "\x1b[1;2r\x1b[4;1Hx\ny", "|||xy"),
        ("reverse index at the top margin scrolls down", "a\r\nb\x1b[1;1H\x1bMX", "X|a|b"),
        ("IL and DL stay in the region", "1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2;1H\x1b[L", "1||2|4"),
        ("DL pulls the region up", "1\r\n2\r\n3\r\n4\x1b[1;3r\x1b[1;1H\x1b[M", "2|3||4"),
        (
            "1049 clears, and gives the main screen and its cursor back",
            "main\x1b[?1049hALT\x1b[?1049lX",
            "mainX",
        ),
        ("1047 leaves nothing behind on the alternate screen", "\x1b[?1047hA\x1b[?1047l\x1b[?1047h", ""),
        ("47 keeps what stood there", "\x1b[?47hA\x1b[?47l\x1b[?47h", "A"),
        ("the cursor is one for both screens", "ab\x1b[?47hC", "  C"),
        ("1048 saves and restores the cursor", "ab\x1b[?1048hcd\x1b[?1048lX", "abXd"),
        ("DECRC without DECSC goes home", "abc\x1b8X", "Xbc"),
        (
            "DECSC keeps charset and pending wrap",
            "\x1b(0abcdefghij\x1b7\x1b(B\x1b[1;1H\x1b8q",
            "▒␉␌␍␊°±␤␋┘|─",
        ),
        ("line drawing", "\x1b(0lqk\x1b(B.", "┌─┐."),
        ("shift out and in", "\x1b)0q\x0eq\x0fq", "q─q"),
        ("a single shift is for one character", "\x1b*0\x1bNqq", "─q"),
        ("REP repeats the last character", "ab\x1b[3b", "abbbb"),
        ("REP is no more than the screen", "a\x1b[65535b\x1b[HX", "Xaaaaaaaaa|aaaaaaaaaa|aaaaaaaaaa|a"),
        ("DECSLRM wraps at the right margin", "\x1b[?69h\x1b[3;5sabcdef", "abcde|  f"),
        (
            "left and right margins scroll their part",
            "\x1b[?69h12345\r\n67890\x1b[2;4s\x1b[1;1H\x1b[S",
            "17895|6   0",
        ),
        ("CSI s without margins mode saves the cursor", "ab\x1b[scd\x1b[uX", "abXd"),
        ("DECFRA fills a rectangle", "\x1b[42;2;2;3;4$x", "| ***| ***"),
        ("DECERA erases one", "abcd\r\nefgh\x1b[1;2;2;3$z", "a  d|e  h"),
        ("DECCRA copies one", "abcd\r\nefgh\x1b[1;1;2;2;1;2;4;1$v", "abcd|efgab|   ef"),
        ("DECIC and DECDC shift columns", "abc\r\ndef\x1b[1;2H\x1b['}", "a bc|d ef"),
        ("tabs stop, go back and can be cleared", "\x1b[3g\x1b[5G\x1bH\r\tX\x1b[ZY", "    Y"),
        ("insert mode pushes", "abc\x1b[4h\rX", "Xabc"),
        ("new line mode returns", "\x1b[20hab\ncd", "ab|cd"),
        ("DECSTR keeps text and cursor but not modes", "\x1b[4h\x1b[2;3rab\x1b[!p\rX", "Xb"),
        ("half of a wide character is no character", "日本\x1b[2GX", " X本"),
        ("a wide character does not fit in the last column", "abcdefghi日", "abcdefghi|日"),
        ("deleting half of a wide character leaves a blank", "a日b\x1b[2G\x1b[P", "a b"),
        ("combining marks join their letter", "e\u{301}x", "e\u{301}x"),
        ("EL at a pending wrap erases nothing", "abcdefghij\x1b[K", "abcdefghij"),
        ("invalid bytes show as a replacement", "a\u{fffd}b", "a\u{fffd}b"),
        ("unknown sequences are passed over", "a\x1b[?1;2;3z\x1b[>4;2m\x1bP1$r\x1b\\\x1b_x\x1b\\b", "ab"),
    ] {
        assert_eq!(shown(input), want, "{what}: {input:?}");
    }
}

#[test]
fn attributes_reach_the_cells() {
    let mut terminal = Terminal::new(20, 2);
    terminal.feed(
        "\x1b[1;3;4:3;5;7;8;9;31;48;2;1;2;3;58;5;9mA\x1b[m\x1b]8;id=x;http://e.org/?a;b\x1b\\L\x1b]8;;\x07日"
            .as_bytes(),
    );
    let style = terminal.cell(0, 0).unwrap().style;
    assert_eq!(
        style,
        Style {
            fg: Color::Indexed(1),
            bg: Color::Rgb(1, 2, 3),
            underline_color: Color::Indexed(9),
            underline: Underline::Curly,
            bold: true,
            dim: false,
            italic: true,
            blink: true,
            inverse: true,
            hidden: true,
            strike: true,
            linked: false,
        }
    );
    assert!(terminal.cell(0, 1).unwrap().style.linked);
    assert_eq!(terminal.link(0, 1).as_deref(), Some("http://e.org/?a;b"));
    let widths: Vec<u8> = terminal.cells(0).take(5).map(|cell| cell.width).collect();
    assert_eq!(widths, [1, 1, 2, 0, 1]);
    assert!(terminal.cell(2, 0).is_none() && terminal.cell(0, 20).is_none());
}

#[test]
fn what_a_program_says_is_told_and_never_answered() {
    let mut terminal = Terminal::new(20, 2);
    terminal.feed(b"\x07\x1b]0;a title\x07\x1b]52;c;aGk=\x1b\\\x1b]52;c;?\x07\x1b[c\x1b[6n\x1b]11;?\x07\x1b]9;ping\x07\x1bP+q544e\x1b\\");
    let (events, missed) = terminal.take_events();
    assert_eq!(missed, 0);
    let want = [
        Event::Bell,
        Event::Title("a title".into()),
        Event::Clipboard { selection: "c".into(), data: "aGk=".into() },
        Event::Query("clipboard c".into()),
        Event::Query("DA1".into()),
        Event::Query("DSR 6".into()),
        Event::Query("colour 11".into()),
        Event::Notification("ping".into()),
        Event::Query("DCS +q544e".into()),
    ];
    assert_eq!(events, want);
    assert_eq!(terminal.title(), "a title");
    assert_eq!(terminal.take_events().0, []);
}

#[test]
fn sizes_are_clamped() {
    assert_eq!(Terminal::new(0, 0).size(), (2, 1));
    assert_eq!(Terminal::new(65535, 65535).size(), (1000, 1000));
    let mut terminal = Terminal::new(80, 24);
    for (cols, rows) in [(1, 1), (65535, 65535), (2, 1), (3, 1000)] {
        terminal.resize(cols, rows);
        terminal.feed("日本語\r\n\x1b[9999;9999Habc\x1b[65535b".as_bytes());
        assert_eq!(terminal.fault(), None);
    }
}

#[test]
fn a_size_that_is_not_known_changes_nothing() {
    let mut terminal = Terminal::new(20, 3);
    terminal.feed(b"a line that is longer than the screen\r\n$ ");
    let before = terminal.snapshot();
    for (cols, rows) in [(0, 0), (0, 24), (80, 0)] {
        terminal.resize(cols, rows);
        assert_eq!((terminal.size(), terminal.snapshot()), ((20, 3), before.clone()), "{cols}x{rows}");
    }
}

#[test]
fn work_is_counted_the_same_in_every_cut_and_a_forged_keyframe_is_given_up() {
    let bytes = "text\r\n\x1b[31mmore\x1b[2J\x1b[5;5H\x1b[K\x1b[L日本語".repeat(50);
    let (mut whole, mut bytewise) = (Terminal::new(80, 24), Terminal::new(80, 24));
    whole.feed(bytes.as_bytes());
    bytes.as_bytes().iter().for_each(|byte| bytewise.feed(&[*byte]));
    assert_eq!(whole.spent(), bytewise.spent());
    // 50 times a whole screen, and what was printed.
    assert!(whole.spent() > 50 * 80 * 24, "{}", whole.spent());

    // The dearest screen that is honest, and one that is not: the same beginning, then bombs.
    let mut full = Terminal::new(1000, 1000);
    full.feed(b"\x1b#8\x1b[?47h\x1b#8");
    let keyframe = full.snapshot().unwrap();
    assert!(Terminal::restored(&keyframe).is_some_and(|terminal| terminal.text() == full.text()));
    let forged = Terminal::new(1000, 1000).snapshot().unwrap() + &"\x1b[2J\x1b#8".repeat(100);
    assert!(Terminal::restored(&forged).is_none());
    assert!(Terminal::restored(&(keyframe + &" ".repeat(MAX_KEYFRAME))).is_none());
}

#[test]
fn an_endless_control_string_is_cut_and_ends_where_it_ends() {
    let mut terminal = Terminal::new(20, 2);
    terminal.feed(b"\x1b]2;");
    for _ in 0..200 {
        terminal.feed(&[b'x'; 10_000]);
    }
    terminal.feed(b"\x07after");
    assert_eq!(terminal.row_text(0), "after");
    assert_eq!(terminal.title().len(), perform::MAX_TOLD);
    // A byte that the parser ignores between ESC and `]` opens no way around.
    terminal.feed(b"\r\x1b\xc3\x7f]2;y\x1b\\again");
    assert_eq!((terminal.row_text(0).as_str(), terminal.title()), ("again", "y"));
}

#[test]
fn links_on_the_screen_are_bounded_and_have_room_again_when_they_are_gone() {
    let mut terminal = Terminal::new(1000, 100);
    let link = |n: u32| format!("\x1b]8;;http://e.org/{n}/{}\x1b\\l", "x".repeat(1900));
    let many: String = (0..15_000).map(link).collect();
    terminal.feed(many.as_bytes());
    assert!(terminal.overrun());
    let standing = terminal.screen.standing_links();
    assert!(standing > perform::MAX_LINKS / 2 && standing <= perform::MAX_LINKS, "{standing}");
    assert!(terminal.link(0, 0).is_some() && terminal.link(14, 990).is_none());
    // Gone with the text; after some more have come, that is noticed.
    terminal.feed(b"\x1b]8;;\x1b\\\x1b[2J\x1b[H");
    terminal.feed(many.get(..6 << 20).unwrap_or_default().as_bytes());
    assert!(terminal.link(2, 900).is_some());
}

#[test]
fn marks_on_one_cell_are_bounded() {
    let mut terminal = Terminal::new(20, 2);
    terminal.feed(format!("a{}", "\u{301}".repeat(100_000)).as_bytes());
    assert_eq!(terminal.cell(0, 0).unwrap().marks.len(), screen::MAX_MARKS);
}

#[test]
fn a_million_erases_are_refused_and_it_is_said() {
    let mut terminal = Terminal::new(1000, 1000);
    for _ in 0..7 {
        terminal.feed(&b"\x1b[41m\x1b[2J\x1b#8\x1b[42m\x1b[2J".repeat(10));
    }
    assert!(terminal.overrun());
    // Ordinary work goes on, and big work again once it has been earned.
    terminal.feed(&b"x".repeat(20_000));
    terminal.feed(b"\x1b[m\x1b[2J\x1b[Hstill here");
    assert_eq!(terminal.row_text(0), "still here");
}

#[test]
fn no_sequence_makes_a_megabyte_dear() {
    for (what, before, again) in [
        ("erasing the screen in colours", "", "\x1b[41m\x1b[2J\x1b[42m\x1b[2J"),
        ("filling it", "", "\x1b#8\x1b[2J"),
        ("repeating a character", "x", "\x1b[65535b"),
        ("scrolling between margins", "\x1b[?69h\x1b[2;999s\x1b[1000;5H", "\n"),
        ("scrolling a region", "\x1b[2;1000r\x1b[1000;1H", "\n"),
        ("inserting lines", "\x1b[1;1H", "\x1b[L"),
        ("resetting", "", "\x1bc"),
        ("switching screens", "", "\x1b[?47h\x1b[?47l"),
        ("copying rectangles", "", "\x1b[1;1;999;999;1;2;2;1$v"),
        ("inserting columns", "", "\x1b[999'}"),
    ] {
        let mut terminal = Terminal::new(1000, 1000);
        terminal.feed(before.as_bytes());
        // Nothing has been saved up: what is done must be earned. Counted, not timed (`benches/viewer.rs` prints the times).
        terminal.screen.work = work::Work::with_credit(0);
        let bytes = again.repeat((16 << 10) / again.len());
        terminal.feed(bytes.as_bytes());
        // A line feed may cost a row, everything else what a byte earns.
        let most = bytes.len() as u64 * 1100;
        assert!(terminal.spent() < most, "{what}: {} for {} bytes", terminal.spent(), bytes.len());
    }
}

#[test]
fn a_fault_is_caught_and_said() {
    let mut terminal = Terminal::new(20, 2);
    terminal.guarded(|_| panic!("the grid is broken"));
    assert_eq!(terminal.fault(), Some("the grid is broken"));
    terminal.feed_guarded(b"more");
    assert_eq!((terminal.size(), terminal.text().as_str()), ((20, 2), "\n\n"));
    assert_eq!(terminal.snapshot(), None);
}

#[test]
fn a_keyframe_is_taken_only_at_rest() {
    let mut terminal = Terminal::new(20, 2);
    let bytes = "a\x1b[31m\x1b]2;t\x1b\\é\x1bP1$q\x1b\\x".as_bytes();
    let rests: Vec<bool> = bytes
        .iter()
        .map(|byte| {
            terminal.feed(&[*byte]);
            terminal.snapshot().is_some()
        })
        .collect();
    let at_rest: String = rests.iter().map(|rest| if *rest { '.' } else { '-' }).collect();
    assert_eq!(at_rest, ".----.------.-.------..");
}

/// Bytes that look like a terminal stream, and are not.
pub(super) fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![Just(0u32), Just(1), 1..30u32, Just(65535), Just(4_000_000_000)];
    let csi = (
        prop_oneof![Just(""), Just("?"), Just(">")],
        proptest::collection::vec(number, 0..6),
        prop_oneof![Just(""), Just("$"), Just("'"), Just("!"), Just(" ")],
        proptest::char::range('@', '~'),
    )
        .prop_map(|(prefix, numbers, middle, last)| {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            format!("\x1b[{prefix}{}{middle}{last}", numbers.join(";")).into_bytes()
        });
    let mode = (
        proptest::sample::select(
            modes::TABLE.iter().map(|row| row.number).chain([47, 1047, 1048, 1049]).collect::<Vec<_>>(),
        ),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(n, private, on)| {
            format!("\x1b[{}{n}{}", if private { "?" } else { "" }, if on { 'h' } else { 'l' }).into_bytes()
        });
    let escape = proptest::sample::select(vec![
        "\x1b7",
        "\x1b8",
        "\x1bc",
        "\x1bD",
        "\x1bM",
        "\x1bE",
        "\x1bH",
        "\x1b#8",
        "\x1b(0",
        "\x1b)0",
        "\x1b(B",
        "\x0e",
        "\x0f",
        "\x1bN",
        "\x1bO",
        "\x1bn",
        "\x1b6",
        "\x1b9",
        "\x1b]8;id=a;http://x\x1b\\",
        "\x1b]8;;\x07",
        "\x1b]2;title\x07",
        "\x1b[22t",
        "\x1b[23t",
        "\x1b[31;1m",
        "\x1b[48;2;1;2;3m",
        "\x1b[m",
        "\r\n",
        "\t",
        "\x08",
        "\n\n\n",
        "\x18",
        "\x1b]5379;pending\x07",
        "\x1b]5379;wrap;0;1\x07",
        "\x1b]5379;origin;1\x07",
        "\x1bP$qm\x1b\\",
        "\x1b_apc\x1b\\",
        "\x1b]",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let text = proptest::sample::select(vec![
        "hello world ",
        "日本語",
        "e\u{301}",
        "🦀",
        "x",
        "            ",
        "❤\u{fe0f}",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 0..6);
    proptest::collection::vec(prop_oneof![3 => csi, 2 => mode, 3 => escape, 4 => text, 1 => noise], 0..60)
        .prop_map(|pieces| pieces.concat())
}

fn sized(terminal: &mut Terminal, sizes: &[(u16, u16)], bytes: &[u8]) {
    let step = bytes.len() / (sizes.len() + 1) + 1;
    for (index, piece) in bytes.chunks(step).enumerate() {
        terminal.feed(piece);
        if let Some((cols, rows)) = sizes.get(index) {
            terminal.resize(*cols, *rows);
        }
    }
}

#[test]
fn a_byte_that_is_no_text_is_no_control_either() {
    // IND, NEL, HTS and RI in eight bits; terminals of UTF-8 print a sign for each.
    for whole in [
        &b"top\r\nsecret\r\n\x8dx\x84y\x85z\x88"[..],
        b"top\r\nsecret\r\n\xf0\x8dx\x84y\xe2\x82\x85\xffz\x9b",
    ] {
        for size in 1..whole.len() {
            let mut terminal = Terminal::new(12, 4);
            whole.chunks(size).for_each(|piece| terminal.feed(piece));
            let third = terminal.row_text(2);
            assert_eq!(
                (terminal.row_text(1), terminal.row_text(3)),
                ("secret".into(), String::new()),
                "{third}"
            );
            assert!(third.contains("\u{fffd}x\u{fffd}y"), "{third}");
        }
    }
    // As characters they are nothing, and nor are they inside a sequence.
    assert_eq!(shown("one\r\ntwo\u{8d}X\u{85}Y\u{84}Z\u{88}"), "one|twoXYZ");
    let mut terminal = Terminal::new(10, 4);
    terminal.feed(b"abc\x1b[\x852\x8dD-");
    assert_eq!(terminal.row_text(0), "a-c");
}

#[test]
fn no_control_of_eight_bits_swallows_what_stands_after_it() {
    // None begins a sequence or a string: CSI, OSC, DCS, SOS, PM, APC.
    for control in ['\u{9b}', '\u{9d}', '\u{90}', '\u{98}', '\u{9e}', '\u{9f}', '\u{9c}'] {
        assert_eq!(shown(&format!("se{control}0mcret")), "se0mcret", "{control:?}");
    }
    // But U+009C ends every string, however it is cut.
    for string in ["\x1b]0;title", "\x1b]0;tïtle", "\x1bP1$q", "\x1bP:abc", "\x1b_apc", "\x1bXsos", "\x1b^pm"]
    {
        let text = format!("{string}\u{9c}shown\r\n\x1b\\end");
        let mut terminal = Terminal::new(10, 4);
        text.as_bytes().iter().for_each(|byte| terminal.feed(&[*byte]));
        assert_eq!(
            (shown(&text), terminal.text().trim_end()),
            ("shown|end".into(), "shown\nend"),
            "{text:?}"
        );
        assert!(terminal.snapshot().is_some());
    }
}

#[test]
fn a_device_control_string_does_not_end_within_a_character() {
    for string in ["\x1bPq", "\x1bP1;2|", "\x1bP:abc", "\x1bP", "\x1bP$q"] {
        for character in ["“", "Ü", "\u{1f71c}"] {
            assert_eq!(shown(&format!("{string}{character}NEVER\x1b\\end")), "end", "{string:?} {character}");
        }
        let mut terminal = Terminal::new(10, 4);
        terminal.feed(&[string.as_bytes(), b"\x9cNEVER\xe2\x9cNEVER\x1b\\end"].concat());
        assert_eq!(terminal.text().trim_end(), "end", "{string:?}, bytes of no character");
    }
}

#[test]
fn as_many_parameters_count_as_in_xterm() {
    let (few, many) = (format!("{}1049", "1;".repeat(29)), format!("{}1049", "1;".repeat(30)));
    for (parameters, alternate) in [(few, true), (many, false)] {
        let mut terminal = Terminal::new(10, 4);
        terminal.feed(format!("\x1b[?{parameters}h").as_bytes());
        assert_eq!(terminal.is_alternate(), alternate, "{parameters}");
    }
}

#[test]
fn what_keyframes_say_in_private_does_nothing_in_output() {
    let mut kept = Terminal::new(20, 4);
    kept.feed(b"\x1b[2;3r\x1b[2;2Hse");
    let restored = || Terminal::restored(&kept.snapshot().unwrap()).unwrap();
    let after = "cret\x1b[2b\x1b[1;1Hword \x1b[2;2H";
    let mut want = restored();
    want.feed(after.as_bytes());
    assert_eq!(want.row_text(1), " secrettt");
    for key in ["pending", "wrap;0;1", "lead;0;1", "origin;1", "rep;58", "size;5;5"] {
        let mut drawn = restored();
        drawn.feed(format!("\x1b]5379;{key}\x07{after}").as_bytes());
        assert_eq!(drawn.snapshot(), want.snapshot(), "{key}");
    }
}

#[test]
fn a_soft_hyphen_takes_a_column() {
    assert_eq!(screen(5, 2, "soft\u{ad}hy"), "soft\u{ad}|hy");
}

#[test]
fn a_delete_character_is_passed_over() {
    let mut terminal = Terminal::new(20, 6);
    terminal.feed(b"a\x7fb\x1b[b");
    assert_eq!(terminal.text().trim_end(), "abb");
    assert_eq!(Terminal::restored(&terminal.snapshot().unwrap()).unwrap().snapshot(), terminal.snapshot());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn fed_whole_is_fed_in_any_pieces(bytes in hostile(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)) {
        let mut whole = Terminal::new(20, 6);
        whole.feed(&bytes);
        let mut pieces = Terminal::new(20, 6);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut from = 0;
        for to in at.into_iter().chain([bytes.len()]) {
            pieces.feed(&bytes[from..to]);
            from = to;
        }
        prop_assert_eq!(whole.snapshot(), pieces.snapshot());
        prop_assert_eq!(whole.text(), pieces.text());
    }

    #[test]
    fn a_keyframe_and_the_rest_are_the_whole(first in hostile(), rest in hostile(), sizes in proptest::collection::vec((2u16..40, 1u16..12), 0..4)) {
        let mut whole = Terminal::new(20, 6);
        whole.feed(&first);
        // Whatever is open is ended, so that there is a keyframe.
        whole.feed(b"\x18");
        let keyframe = whole.snapshot();
        prop_assert!(keyframe.is_some());
        let keyframe = keyframe.unwrap_or_default();
        let mut restored = Terminal::restored(&keyframe).unwrap();
        prop_assert_eq!(restored.snapshot().unwrap_or_default(), keyframe);
        sized(&mut whole, &sizes, &rest);
        sized(&mut restored, &sizes, &rest);
        whole.feed(b"\x18");
        restored.feed(b"\x18");
        prop_assert_eq!(whole.snapshot(), restored.snapshot());
    }

    #[test]
    fn no_bytes_and_no_size_cause_a_fault(bytes in hostile(), sizes in proptest::collection::vec((0u16..300, 0u16..100), 0..3), noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut terminal = Terminal::new(3, 2);
        sized(&mut terminal, &sizes, &bytes);
        sized(&mut terminal, &[(2, 1), (5, 3)], &bytes);
        terminal.feed(&noise);
        prop_assert_eq!(terminal.fault(), None);
    }
}
