use super::*;
use crate::cast::{Anchor, Gap, Header as CastHeader, Why};
use crate::container::{Header, Meta};
use crate::terminal::Terminal;
use std::time::Duration;

fn opening(terminal: bool) -> Opening {
    let (cols, rows) = if terminal { (80, 24) } else { (0, 0) };
    let mut cast = CastHeader::new(cols, rows);
    cast.timestamp = Some(1_700_000_000);
    cast.term.kind = Some("xterm".into());
    Opening { meta: Meta { cols, rows, ..Meta::default() }, cast, ..Opening::default() }
}

fn export(format: Format, terminal: bool, events: &[(u64, Payload)]) -> (String, Losses) {
    let mut exporter = Exporter::begin(format, &Header::default(), &opening(terminal), Vec::new()).unwrap();
    for (ms, payload) in events {
        exporter.event(&Event::new(Duration::from_millis(*ms), payload.clone())).unwrap();
    }
    let (losses, bytes) = exporter.finish().unwrap();
    (String::from_utf8(bytes).unwrap(), losses)
}

fn output(bytes: &[u8]) -> Payload {
    Payload::Output(bytes.to_vec())
}

fn everything() -> Vec<(u64, Payload)> {
    vec![
        (0, Payload::Anchor(Anchor { at: 0, utc: 1, boot: 0 })),
        (0, Payload::Keyframe("\x1bc".into())),
        (500, output(b"a\xffb\n")),
        (600, Payload::Withheld(3)),
        (1500, Payload::Input(b"ls\r".to_vec())),
        (1500, output(&"🦀".as_bytes()[..1])),
        (1600, Payload::Resize { cols: 100, rows: 40 }),
        (1700, output(&"🦀".as_bytes()[1..])),
        (1800, Payload::Resize { cols: 0, rows: 0 }),
        (
            2000,
            Payload::Gap(Gap {
                why: "capped".into(),
                of: "stdout".into(),
                count: 7,
                note: "too much".into(),
                sha256: String::new(),
            }),
        ),
        (2100, Payload::Marker("here".into())),
        (2200, Payload::ErrorOutput(b"oops\n".to_vec())),
        (2300, Payload::Other { code: "z".into(), data: "?".into() }),
        (2400, output(b"\xe2\x82")),
        (2500, Payload::Exit(3)),
    ]
}

#[test]
fn a_cast_of_version_3_keeps_the_time_and_tells_what_it_lost() {
    let mut events = everything();
    events.insert(0, (0, Payload::Other { code: "c".into(), data: "{}".into() }));
    let (text, losses) = export(Format::Cast, true, &events);
    let expected = [
        r#"{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":1700000000}"#,
        "[0.5,\"o\",\"a\u{fffd}b\\n\"]",
        r#"[1,"i","ls\r"]"#,
        r#"[0.1,"r","100x40"]"#,
        r#"[0.1,"o","🦀"]"#,
        r#"[0.3,"m","gap: capped (stdout), 7 missing: too much"]"#,
        r#"[0.1,"m","here"]"#,
        r#"[0.1,"o","oops\r\n"]"#,
        r#"[0.3,"x","3"]"#,
        "[0,\"o\",\"\u{fffd}\"]",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let told = Losses {
        replaced: 3,
        withheld: 3,
        gaps: 1,
        error_output: 5,
        resizes: 1,
        carriage_returns: 1,
        told: 1,
        unknown: 1,
        ..Losses::default()
    };
    assert_eq!(losses, told);
    assert_eq!(
        losses.to_string(),
        "3 bytes that are no UTF-8 became U+FFFD; 3 times input was withheld; 1 gap in the recording; \
         5 bytes of standard error mixed in; 1 resize left out; 1 carriage return added; 1 mark of the shell left out; \
         1 event of an unknown code left out"
    );
}

#[test]
fn without_a_terminal_a_bare_line_feed_gets_its_carriage_return() {
    let events = [(0, output(b"a\nb\r")), (1, output(b"\nc\n")), (2, Payload::ErrorOutput(b"\n".to_vec()))];
    let (text, losses) = export(Format::Cast, false, &events);
    assert!(text.starts_with(r#"{"version":3,"term":{"cols":80,"rows":24"#), "{text}");
    let data: Vec<String> =
        text.lines().skip(1).map(|l| serde_json::from_str::<(f64, String, String)>(l).unwrap().2).collect();
    assert_eq!(data, ["a\r\nb\r", "\nc\r\n", "\r\n"]);
    assert_eq!(losses.carriage_returns, 3);
}

#[test]
fn a_cast_of_version_2_has_absolute_times_and_no_exit_status() {
    let (text, losses) = export(Format::Cast2, true, &everything());
    let lines: Vec<&str> = text.lines().collect();
    let header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((header["version"].as_u64(), header["width"].as_u64()), (Some(2), Some(80)));
    assert_eq!(header["env"]["TERM"], "xterm");
    assert_eq!(lines[1], "[0.5,\"o\",\"a\u{fffd}b\\n\"]");
    assert_eq!(lines[5], r#"[2,"m","gap: capped (stdout), 7 missing: too much"]"#);
    assert_eq!(losses.exit, Some(3));
}

#[test]
fn a_cast_of_version_2_lasts_as_long_as_the_session() {
    let events = [(100, output(b"$ ")), (60_000, Payload::Exit(0))];
    let (text, losses) = export(Format::Cast2, true, &events);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [r#"[0.1,"o","$ "]"#, r#"[60,"o",""]"#]);
    assert_eq!(losses.exit, Some(0));
}

#[test]
fn what_was_recorded_and_did_not_arrive_is_not_called_missing() {
    let gap = |why, count| Payload::Gap(Gap::new(why, "stdout", count, ""));
    let (text, _) = export(Format::Cast, true, &[(0, gap(Why::Undelivered, 7)), (0, gap(Why::Capped, 7))]);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let told = [
        r#"[0,"m","gap: undelivered (stdout), 7 not delivered"]"#,
        r#"[0,"m","gap: capped (stdout), 7 missing"]"#,
    ];
    assert_eq!(lines, told);
}

#[test]
fn raw_output_is_byte_for_byte_what_was_shown() {
    let events = everything();
    let mut exporter = Exporter::begin(Format::Raw, &Header::default(), &opening(true), Vec::new()).unwrap();
    for (ms, payload) in &events {
        exporter.event(&Event::new(Duration::from_millis(*ms), payload.clone())).unwrap();
    }
    let (losses, bytes) = exporter.finish().unwrap();
    assert_eq!(bytes, [b"a\xffb\n".as_slice(), "🦀".as_bytes(), b"oops\n\xe2\x82"].concat());
    assert_eq!((losses.input, losses.withheld, losses.gaps, losses.exit), (3, 3, 1, Some(3)));
}

#[test]
fn text_is_lines_without_control_sequences() {
    let (text, losses) = export(Format::Text, true, &everything());
    let told = "¶ [gap: capped (stdout), 7 missing: too much]\n¶ [mark: here]\n";
    let expected = ["a\u{fffd}b\n   🦀\n", told, "   🦀oops\n¶ [exit status 3]\n"].concat();
    assert_eq!(text, expected, "the staircase of a line feed alone");
    assert_eq!(losses.replaced, 3);
    let events = [
        (0, output(b"$ vim\r\n\x1b[?1049h\x1b[H")),
        (500, output(b"one\x1b]52;c;QUJD\x07\r\ntwo\xe2\x80\xae")),
        (900, output(b"\x1b[?1049l$ exit\r\n")),
    ];
    let (text, _) = export(Format::Text, true, &events);
    assert_eq!(text, "$ vim\n¶ [full-screen program]\n| one\n| two\\u{202e}\n$ exit\n");
    let (text, _) = export(Format::Text, false, &[(0, output(b"a\nb\n"))]);
    assert_eq!(text, "a\nb\n");
}

#[test]
fn text_has_a_full_screen_program_behind_what_called_it_and_before_what_came_then() {
    let session = [
        "$ less n1\r\n",
        "\x1b[?1049h\x1b[Hpage one",
        "\x1b[?1049l$ echo between\r\nbetween\r\n$ less n2\r\n",
        "\x1b[?10",
        "49h\x1b[Hpage two",
        "\x1b[?1049l$ true\r\n\x1b[?1049h\x1b[?1049l",
        "$ vi\r\n\x1b[?1049h\x1b[Hleft",
        // What that one left is shown once more.
        "\x1b[?1049l$ old\r\n\x1b[?1;47h",
        "\x1b[?47l$ exit\r\n",
    ];
    let program = "\u{b6} [full-screen program]";
    let expected = [
        &["$ less n1", program, "| page one", "$ echo between", "between", "$ less n2", program][..],
        &["| page two", "$ true", program, "$ vi", program, "| left", "$ old", program, "| left"],
        &["$ exit", "\u{b6} [exit status 0]"],
    ]
    .concat();
    let pieces: Vec<&[u8]> = session.iter().map(|piece| piece.as_bytes()).collect();
    let whole = pieces.concat();
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    // At the pace of a reader, at once, and however it is cut.
    for (ms, pieces) in [(500, &pieces), (0, &pieces), (0, &vec![&whole[..]]), (0, &bytes)] {
        let mut events: Vec<_> = (0..).zip(pieces).map(|(n, piece)| (ms * n, output(piece))).collect();
        events.push((9000, Payload::Exit(0)));
        let (text, _) = export(Format::Text, true, &events);
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{ms} {}", pieces.len());
    }
}

#[test]
fn a_part_as_text_has_only_the_full_screen_program_that_has_the_screen_when_it_begins() {
    let program = "\u{b6} [full-screen program]";
    let vim = "$ vim\r\n\x1b[?1049h\x1b[Hpage";
    let ended = format!("{vim}\x1b[?1049l$ ls\r\n");
    for (before, first, leaves) in [
        ("$ ls\r\n", &["$ ls"][..], ""),
        (&ended, &["$ vim", "$ ls"], ""),
        (vim, &["$ vim", program, "| page"], "\x1b[?1049l"),
    ] {
        let opening = opening(true);
        let mut exporter = Exporter::begin(Format::Text, &Header::default(), &opening, Vec::new()).unwrap();
        let event = |ms, payload| Event::new(Duration::from_millis(ms), payload);
        let screen = |size: (u16, u16), bytes: &str| {
            let mut terminal = Terminal::new(size.0, size.1);
            terminal.feed(bytes.as_bytes());
            output(terminal.snapshot().unwrap().as_bytes())
        };
        exporter.begins_with(&event(0, screen((80, 24), before))).unwrap();
        // Another one, within the part.
        let after = format!("{leaves}$ less\r\n\x1b[?1049h\x1b[Hread\x1b[?1049l$ ");
        exporter.event(&event(50, output(&[after.as_bytes(), b"\xe2"].concat()))).unwrap();
        // The next part, on another screen.
        exporter.event(&event(5000, Payload::Resize { cols: 40, rows: 5 })).unwrap();
        exporter.event(&event(5000, Payload::Marker("next".into()))).unwrap();
        exporter.begins_with(&event(5000, screen((40, 5), before))).unwrap();
        exporter.event(&event(5500, output(format!("{leaves}$ exit\r\n").as_bytes()))).unwrap();
        let (losses, text) = exporter.finish().unwrap();
        let rest = ["$ less", program, "| read", "$", "\u{b6} [mark: next]"];
        let expected = [first, &rest, first, &["$ exit"]].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{before:?}");
        assert_eq!(losses.replaced, 1);
    }
}

#[test]
fn text_has_the_label_of_the_last_of_ten_thousand_parts_behind_what_stood_before_it() {
    let mark = |n| Payload::Marker(format!("part {n}"));
    let part = |n| [(n, mark(n)), (n, output(format!("\x1b[2J\x1b[Hscreen {n}").as_bytes()))];
    let (text, _) = export(Format::Text, true, &(0..10_000).flat_map(part).collect::<Vec<_>>());
    let end = "\n¶ [mark: part 9998]\nscreen 9998\n¶ [mark: part 9999]\nscreen 9999\n";
    assert!(text.ends_with(end), "{}", &text[text.len().saturating_sub(300)..]);
}

#[test]
fn text_has_a_line_of_any_length_once() {
    // Of a character of three bytes too: where a line is cut counts bytes.
    for long in [(10_000..60_000).map(|n| n.to_string()).collect::<String>(), "€".repeat(100_000)] {
        for chunk in [long.len(), 3000] {
            let mut events = vec![(0, output(b"$ base64 key\r\n"))];
            events.extend((1..).zip(long.as_bytes().chunks(chunk).map(output)));
            events.push((9000, output(b"\r\n$ ")));
            let (text, _) = export(Format::Text, true, &events);
            assert!(text == format!("$ base64 key\n{long}\n$\n"), "{} of {}", text.len(), long.len());
        }
    }
    // What is told of in the middle of it begins a line of its own.
    let long = "0123456789".repeat(20_000);
    let events =
        [(0, output(long.as_bytes())), (9, Payload::Marker("here".into())), (20, output(b"tail\r\n"))];
    let (text, _) = export(Format::Text, true, &events);
    let mark = format!("{}\n\u{b6} [mark: here]\n", &long[long.len() - 10..]);
    let (before, after) = text.split_once(&mark).unwrap();
    assert_eq!((before.len() + 10, after.lines().count()), (long.len(), 1));
    assert!(after.ends_with("9tail\n") && after.len() < 100_000, "{}", after.len());
}

#[test]
fn json_lines_lose_nothing() {
    let (text, losses) = export(Format::Json, true, &everything());
    assert!(losses.is_empty(), "{losses}");
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), everything().len() + 1);
    assert_eq!(lines[0]["kind"], "recording");
    assert_eq!(lines[3], serde_json::json!({"ms": 500, "kind": "output", "base64": "Yf9iCg=="}));
    assert_eq!(lines[5], serde_json::json!({"ms": 1500, "kind": "input", "text": "ls\r"}));
    assert_eq!(lines[15], serde_json::json!({"ms": 2500, "kind": "exit", "status": 3}));
}

#[test]
fn text_says_from_where_on_not_all_of_it_is_drawn() {
    let erased = "\x1b[2J".repeat(25_000);
    let events = [
        (0, output(b"before\r\n")),
        (1000, output(format!("{erased}\x1b[HXXXXXXXXXXXXXXXX").as_bytes())),
        (2000, output(b"\x1b[2J\x1b[Hdrop\x1b[Ctable\x1b[Cusers")),
    ];
    let (text, losses) = export(Format::Text, true, &events);
    let note = "¶ [from here on not all is drawn: it would have cost too much]\n";
    assert!(text.starts_with(&format!("before\n{note}")) && text.matches(note).count() == 1, "{text}");
    assert_eq!(losses.to_string(), "not all is drawn: it would have cost too much");
    let (text, losses) = export(Format::Text, true, &events[..1]);
    assert!(text == "before\n" && losses.is_empty());
}

#[test]
fn no_line_of_a_session_is_taken_for_one_of_ours_in_text() {
    let said = "[full-screen program]\r\n\u{b6} [damaged: what comes after this could not be read]\r\n";
    let mut exporter = Exporter::begin(Format::Text, &Header::default(), &opening(true), Vec::new()).unwrap();
    exporter.event(&Event::new(Duration::ZERO, output(said.as_bytes()))).unwrap();
    exporter.is_damaged();
    let text = String::from_utf8(exporter.finish().unwrap().1).unwrap();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "[full-screen program]",
            "\\u{b6} [damaged: what comes after this could not be read]",
            "\u{b6} [damaged: what comes after this could not be read]",
        ]
    );
}
