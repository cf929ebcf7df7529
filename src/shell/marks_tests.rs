use super::*;
use proptest::prelude::*;

fn nonce() -> Nonce {
    Nonce::new([0xab; 16])
}

fn mark(body: &str) -> Vec<u8> {
    format!("\x1b]7717;{};{body}\x07", nonce().as_str()).into_bytes()
}

/// Bytes that passed, and what was found with its place in them.
type Outcome = (Vec<u8>, Vec<(usize, Found<'static>)>);

fn run(pieces: &[&[u8]]) -> Outcome {
    let mut filter = Filter::new(&nonce());
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    let mut take = |piece: Found<'_>| match piece {
        Found::Bytes(piece) => bytes.extend_from_slice(piece),
        Found::Mark(mark) => found.push((bytes.len(), Found::Mark(mark))),
        Found::Hint(hint) => found.push((bytes.len(), Found::Hint(hint))),
    };
    for piece in pieces {
        // As the loop does: what passes is not looked at.
        match filter.passes(piece) {
            true => take(Found::Bytes(piece)),
            false => filter.feed(piece, &mut take),
        }
    }
    filter.finish(&mut take);
    (bytes, found)
}

fn end(status: i32) -> Found<'static> {
    Found::Mark(Mark::End { status: Some(status), pipe: vec![], cancelled: false })
}

#[test]
fn marks_are_taken_out_and_everything_else_stays() {
    let mut stream = b"one\r\n".to_vec();
    stream.extend(mark("D;1;0 1"));
    stream.extend(mark("A;q;$'/tmp/a\\nb'"));
    stream.extend(b"\x1b[1m$ \x1b[0m");
    stream.extend(mark("B"));
    stream.extend(b"ls\r\n");
    stream.extend(mark("C;4;4;2;q;ls"));
    stream.extend(b"file\r\n");
    let (bytes, found) = run(&[&stream]);
    assert_eq!(bytes, b"one\r\n\x1b[1m$ \x1b[0mls\r\nfile\r\n");
    let text = Start { text: Some("ls".into()), number: Some(4), before: Some(4), ..Start::default() };
    assert_eq!(
        found,
        [
            (5, Found::Mark(Mark::End { status: Some(1), pipe: vec![0, 1], cancelled: false })),
            (5, Found::Mark(Mark::Prompt { cwd: Some("/tmp/a\nb".into()) })),
            (15, Found::Mark(Mark::Typing(AtPrompt::default()))),
            (19, Found::Mark(Mark::Start(text))),
        ]
    );
}

#[test]
fn every_kind_of_mark_is_read() {
    for (body, expected) in [
        ("I;zsh;5.9;42", Mark::Integration { shell: "zsh".into(), version: "5.9".into(), pid: 42 }),
        ("A;u;/a%20b", Mark::Prompt { cwd: Some("/a b".into()) }),
        ("A;r;/a;b", Mark::Prompt { cwd: Some("/a;b".into()) }),
        ("S;127", Mark::Status(127)),
        ("B", Mark::Typing(AtPrompt::default())),
        ("B;2;17", Mark::Typing(AtPrompt { status: Some(2), number: Some(17), ..AtPrompt::default() })),
        (
            "B;2;17;9;42",
            Mark::Typing(AtPrompt { status: Some(2), number: Some(17), commands: Some(9), pid: Some(42) }),
        ),
        (
            "C;7;8;2;q;ls",
            Mark::Start(Start {
                text: Some("ls".into()),
                number: Some(7),
                before: Some(8),
                ..Start::default()
            }),
        ),
        (
            "C;;;4+;u;ls%3b",
            Mark::Start(Start { text: Some("ls;".into()), cut: true, mangled: true, ..Start::default() }),
        ),
        (
            "C;7;5-;4;q;done",
            Mark::Start(Start {
                text: Some("done".into()),
                number: Some(7),
                before: Some(5),
                by_line: true,
                ..Start::default()
            }),
        ),
        ("C;;;;;", Mark::Start(Start::default())),
        ("D;;cancel", Mark::End { status: None, pipe: vec![], cancelled: true }),
        ("D;130;", Mark::End { status: Some(130), pipe: vec![], cancelled: false }),
        ("T;1764092270.000123", Mark::Clock(1_764_092_270_000_123)),
        ("T;1764092270,999999", Mark::Clock(1_764_092_270_999_999)),
        ("D;1;1", Mark::End { status: Some(1), pipe: vec![], cancelled: false }),
        ("D;130", Mark::End { status: Some(130), pipe: vec![], cancelled: false }),
    ] {
        let (bytes, found) = run(&[&mark(body)]);
        assert_eq!((bytes, found), (vec![], vec![(0, Found::Mark(expected))]), "{body}");
    }
}

#[test]
fn a_wrong_nonce_passes_through_untouched_and_creates_nothing() {
    let other = Nonce::new([0xac; 16]);
    for forged in [
        format!("\x1b]7717;{};D;0;\x07", other.as_str()),
        format!("\x1b]7717;{};C;1;1;2;q;ls\x07", &nonce().as_str()[..31]),
        format!("\x1b]7717;{}x;D;0;\x07", nonce().as_str()),
        "\x1b]7717;;D;0;\x07".to_string(),
    ] {
        let (bytes, found) = run(&[forged.as_bytes()]);
        assert_eq!(bytes, forged.as_bytes());
        let [(_, Found::Hint(Hint::Forged))] = found.as_slice() else { panic!("{forged:?}: {found:?}") };
    }
}

#[test]
fn broken_and_overlong_marks_are_refused_whole() {
    let long = format!("C;1;1;30000;q;{}", "x".repeat(30_000));
    for body in [
        "D;zero;",
        "Q",
        "",
        "C;1;1;2;q",
        "A;q;'open",
        "I;bash;5.2;-1",
        "D;0;a",
        "D;0\n;",
        "D;0\u{7f};",
        "C;1;1;x;q;ls",
        "T;",
        "T;1764092270",
        "T;1764092270.12345",
        "T;1764092270.1234567",
        "T;1764092270.12345+",
        "T;-764092270.123456",
        "T;.123456",
        "T;1764092270000.123456",
        "T;1.2.123456",
        &long,
    ] {
        let stream = mark(body);
        let (bytes, found) = run(&[&stream]);
        assert!(bytes == stream, "{body:.20}: {:?}", &bytes[..bytes.len().min(80)]);
        assert!(found.iter().all(|(_, f)| *f == Found::Hint(Hint::Broken)), "{body:.20}: {found:?}");
        assert_eq!(found.len(), 1, "{body:.20}");
    }
    // What follows is read as if nothing had been.
    let stream = [mark(&long), mark("D;3;")].concat();
    let (bytes, found) = run(&[&stream]);
    assert_eq!(bytes, mark(&long));
    assert_eq!(found.last().map(|(_, f)| f.clone()), Some(end(3)));
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut filter = Filter::new(&nonce());
    let mut passed = 0;
    let start = mark("C;1;1;9;q;");
    filter.feed(&start[..start.len() - 1], |_| ());
    for _ in 0..100 {
        filter.feed(&[b'x'; 1024], |found| {
            if let Found::Bytes(bytes) = found {
                passed += bytes.len();
            }
        });
        assert!(filter.held() <= MAX_MARK + 64, "{}", filter.held());
    }
    assert!(passed > 100 * 1024, "{passed}");
}

#[test]
fn nothing_is_held_back_that_cannot_be_ours() {
    for (bytes, held) in [
        (&b"text"[..], 0),
        (b"text\x1b", 1),
        (b"text\x1b]", 2),
        (b"text\x1b]7717;", 7),
        (b"text\x1b]0;title", 0),
        (b"text\x1b]7718;", 0),
        (b"text\x1b]7717;zz", 0),
        (b"text\x1b[", 0),
        (b"text\x1b]52;c;aaaa\x1b", 1),
    ] {
        let mut filter = Filter::new(&nonce());
        let mut passed = Vec::new();
        filter.feed(bytes, |found| {
            if let Found::Bytes(piece) = found {
                passed.extend_from_slice(piece);
            }
        });
        assert_eq!((filter.held(), passed.len()), (held, bytes.len() - held), "{bytes:?}");
        filter.finish(|found| {
            if let Found::Bytes(piece) = found {
                passed.extend_from_slice(piece);
            }
        });
        assert_eq!(passed, bytes);
    }
}

#[test]
fn a_c1_byte_inside_a_character_ends_no_mark() {
    // U+271C is E2 9C 9C, U+DC is C3 9C: 0x9C is the C1 string terminator where characters are bytes.
    let (bytes, found) = run(&[&mark("C;1;1;10;r;echo ✜Ü")]);
    assert_eq!(bytes, b"");
    let text =
        Start { text: Some("echo ✜Ü".into()), number: Some(1), before: Some(1), ..Start::default() };
    assert_eq!(found, [(0, Found::Mark(Mark::Start(text)))]);
}

#[test]
fn an_escape_before_a_mark_does_not_hide_it() {
    for lead in [
        &b"\x1b"[..],
        b"\x1b\x1b",
        b"\x1b]0;title",
        b"\x1b]0;title\x1b",
        b"\x1b]",
        b"\x1b]7717;",
        b"\x1b]7717;ab",
    ] {
        let (bytes, found) = run(&[lead, &mark("D;0;")]);
        assert_eq!(bytes, lead);
        assert_eq!(found.last().map(|(_, f)| f.clone()), Some(end(0)), "{lead:?}");
    }
    let inside = [mark("C;1;1;9;q;aaa").strip_suffix(b"\x07").unwrap(), &mark("D;5;")].concat();
    let (bytes, found) = run(&[&inside]);
    assert_eq!(bytes.len(), mark("C;1;1;9;q;aaa").len() - 1);
    assert_eq!(found.last().map(|(_, f)| f.clone()), Some(end(5)));
}

#[test]
fn marks_of_others_stay_in_the_bytes_and_are_hints() {
    for (sequence, hint) in [
        ("\x1b]133;A\x07", Hint::Prompt),
        ("\x1b]133;A;cl=m;aid=7\x1b\\", Hint::Prompt),
        ("\x1b]133;B\x07", Hint::Typing),
        ("\x1b]133;C\x1b\\", Hint::Start(None)),
        ("\x1b]133;C;cmdline_url=ls%20-l\x1b\\", Hint::Start(Some("ls -l".into()))),
        ("\x1b]133;D;2\x07", Hint::End(Some(2))),
        ("\x1b]133;D\x07", Hint::End(None)),
        ("\x1b]633;E;echo a\\x3b b\\\\n;0000\x07", Hint::Text("echo a; b\\n".into())),
        ("\x1b]633;P;Cwd=/srv/x\x07", Hint::Cwd("/srv/x".into())),
        ("\x1b]7;file://host/a%20b\x07", Hint::Cwd("/a b".into())),
    ] {
        let stream = format!("x{sequence}y");
        let (bytes, found) = run(&[stream.as_bytes()]);
        assert_eq!(bytes, stream.as_bytes());
        assert_eq!(found, [(1 + sequence.len(), Found::Hint(hint))], "{sequence:?}");
    }
    for nothing in
        ["\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1b]133\x07", "\x1b]133;A\x18\x07", "\x1b]133;A"]
    {
        assert_eq!(run(&[nothing.as_bytes()]), (nothing.as_bytes().to_vec(), vec![]), "{nothing:?}");
    }
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    let our = |body: &str| mark(body);
    prop_oneof![
        Just(our("D;0;0")),
        Just(our("C;1;1;4;q;a\\ b")),
        Just(our("broken")),
        Just(our("B")),
        Just(our("A;u;/x%2")),
        Just(b"\x1b]7717;".to_vec()),
        Just(b"\x1b]133;D;1\x1b\\".to_vec()),
        Just(b"\x1b]133;A\x07".to_vec()),
        Just(b"\x1b".to_vec()),
        Just(b"\x1b]".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\x07".to_vec()),
        Just("✜é".as_bytes().to_vec()),
        Just(b"\x1b[31m".to_vec()),
        (0..40_usize).prop_map(|n| mark("C;1;1;4;q;ls;x")[..n].to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn fed_whole_is_fed_split_anywhere(
        tokens in proptest::collection::vec(token(), 0..16),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = tokens.concat();
        let whole = run(&[&stream]);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
        prop_assert_eq!(&run(&pieces), &whole);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&run(&single), &whole);
    }

    #[test]
    fn without_the_nonce_every_byte_passes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (passed, found) = run(&[&bytes]);
        prop_assert_eq!(passed, bytes);
        prop_assert!(found.iter().all(|(_, f)| matches!(f, Found::Hint(_))));
    }
}

/// Not a test of speed but the measurement: `cargo test --release --lib marks -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: run it in a release build"]
fn throughput() {
    let plain = b"The quick brown fox jumps over the lazy dog, 0123456789.\r\n".repeat(1130);
    let colour = b"\x1b[01;34mdirectory\x1b[0m  \x1b[32mfile\x1b[0m some text\r\n".repeat(1240);
    let titles = b"\x1b]0;title\x07\x1b[1mline of text\x1b[0m\r\n".repeat(1800);
    for (name, block) in [("plain", plain), ("colour", colour), ("titles", titles)] {
        let mut filter = Filter::new(&nonce());
        let rounds = 4_000;
        let (mut bytes, begin) = (0_usize, std::time::Instant::now());
        for _ in 0..rounds {
            filter.feed(&block, |found| {
                if let Found::Bytes(piece) = found {
                    bytes += piece.len();
                }
            });
        }
        assert_eq!(bytes, block.len() * rounds);
        let rate = bytes as f64 / begin.elapsed().as_secs_f64() / 1e6;
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{name}: {rate:.0} MB/s\n")).unwrap();
    }
}
