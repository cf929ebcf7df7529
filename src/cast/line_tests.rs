use super::super::{Anchor, Gap};
use super::*;
use proptest::prelude::*;

fn lines(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::default();
    for event in events {
        encoder.encode(event, &mut out);
    }
    out
}

fn read(text: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    text.split(|b| *b == b'\n').filter_map(|l| decoder.decode(l).unwrap()).collect()
}

fn output_of(events: &[Event]) -> Vec<u8> {
    let mut all = Vec::new();
    for event in events {
        if let Payload::Output(bytes) = &event.payload {
            all.extend_from_slice(bytes);
        }
    }
    all
}

proptest! {
    #[test]
    fn strings_are_written_as_serde_json_writes_them(pieces in proptest::collection::vec("[ -~]{0,30}|[\\x00-\\x7f]{0,3}|\\PC{0,9}", 0..9)) {
        let text = pieces.concat();
        let mut out = Vec::new();
        push_string(&text, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_line_as_it_is_written_is_read_as_serde_json_reads_it(
        interval in "[0-9]{1,10}|0?[0-9]{1,2}\\.[0-9]{1,4}|[-+.e0-9]{0,4}",
        pieces in proptest::collection::vec("[ -~]{0,9}|\\\\[nrt\"\\\\bfu/]|\\\\u00[0-9a-fA-F]{2}|\\PC{0,3}|[\\x00-\\x1f]", 0..6),
    ) {
        let line = format!("[{interval},\"o\",\"{}\"]", pieces.concat());
        let any = serde_json::from_str::<(f64, String, String)>(&line);
        if let Some((micros, Payload::Output(bytes))) = as_written(line.as_bytes()) {
            let (seconds, _, text) = any.unwrap();
            prop_assert_eq!((Duration::from_micros(micros), bytes), (Duration::from_micros((seconds * 1e6).round() as u64), text.into_bytes()));
        }
    }

    #[test]
    fn what_is_written_is_read_without_a_detour(ms in 0u64..100_000_000, text in "[ -~]{0,40}|\\PC{0,20}|[\\x00-\\x07\\x0e-\\x1f\\t\\r\\n\\x7f]{0,5}") {
        let mut out = Vec::new();
        Encoder::default().encode(&Event::new(Duration::from_millis(ms), Payload::Output(text.clone().into_bytes())), &mut out);
        if !text.is_empty() {
            prop_assert_eq!(as_written(out.trim_ascii_end()), Some((ms * 1000, Payload::Output(text.into_bytes()))));
        }
    }
}

#[test]
fn every_byte_that_json_escapes_is_escaped_wherever_it_stands() {
    for byte in 0..0x80u8 {
        for at in 0..17 {
            let mut text = vec![b'a'; 17];
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            let mut out = Vec::new();
            push_string(&text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}

#[test]
fn every_kind_of_event_survives_the_round() {
    let events: Vec<Event> = [
        Payload::Output(b"hi\x1b[0m\0\x7f".to_vec()),
        Payload::ErrorOutput("ño".into()),
        Payload::Input(b"\r".to_vec()),
        Payload::Resize { cols: 0, rows: 65535 },
        Payload::Marker(String::new()),
        Payload::Keyframe("\x1bc".into()),
        Payload::Anchor(Anchor { at: 5, utc: -1, boot: 9 }),
        Payload::Withheld(12),
        Payload::Gap(Gap {
            why: "capped".into(),
            of: "stdin".into(),
            count: 3,
            note: String::new(),
            sha256: String::new(),
        }),
        Payload::Other { code: "z".into(), data: "?".into() },
        Payload::Exit(-1),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, payload)| Event::new(Duration::from_millis(n as u64 * 7), payload))
    .collect();
    assert_eq!(read(&lines(&events)), events);
}

#[test]
fn the_wire_form_is_what_the_format_says() {
    let text = lines(&[
        Event::new(Duration::from_millis(1500), Payload::Output(b"a\"\x1b".to_vec())),
        Event::new(Duration::from_millis(1512), Payload::Output(b"\xff".to_vec())),
        Event::new(Duration::from_millis(1512), Payload::Exit(3)),
    ]);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "[1.5,\"o\",\"a\\\"\\u001b\"]\n[0.012,\"b\",\"o:/w==\"]\n[0,\"x\",\"3\"]\n"
    );
}

#[test]
fn what_is_too_long_for_a_line_is_several_of_the_same_time() {
    let marks = "é€🦀".repeat(MAX_BYTES / 4);
    for bytes in [vec![0x1b; MAX_BYTES * 2 + 1], marks.into_bytes(), vec![0xbf; MAX_BYTES + 1]] {
        let (first, last) = (Payload::Output(bytes.clone()), Payload::Output(b"!".to_vec()));
        let time = Duration::from_millis(1500);
        let text = lines(&[Event::new(time, first), Event::new(time * 2, last)]);
        let events = read(&text);
        let longest = text.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
        assert!(events.len() > 2 && longest < MAX_LINE, "{} lines, {longest} bytes", events.len());
        assert_eq!(output_of(&events), [&bytes[..], b"!"].concat());
        assert!(events[..events.len() - 1].iter().all(|event| event.time == time));
        assert_eq!(events.last().unwrap().time, time * 2);
        // No character of a text is cut in two: there are no lines of bytes.
        assert!(bytes[0] == 0xbf || !text.windows(4).any(|four| four == b",\"b\""));
    }
}

#[test]
fn rounding_never_drifts() {
    let events: Vec<Event> =
        (1..5000u64).map(|n| Event::new(Duration::from_micros(n * 333), Payload::Withheld(1))).collect();
    for (before, after) in events.iter().zip(read(&lines(&events))) {
        let drift = before.time.abs_diff(after.time);
        assert!(drift <= Duration::from_micros(500), "{:?} became {:?}", before.time, after.time);
    }
}

#[test]
fn hostile_lines_are_errors_and_leave_the_clock_alone() {
    let mut decoder = Decoder::at(Duration::from_secs(9));
    let bad: [&[u8]; 12] = [
        b"[",
        b"[1]",
        b"[1,\"o\"]",
        b"[-1,\"o\",\"\"]",
        b"[1e99,\"o\",\"\"]",
        b"[1,\"r\",\"80\"]",
        b"[1,\"r\",\"70000x1\"]",
        b"[1,\"b\",\"o:!\"]",
        b"[1,\"b\",\"q:\"]",
        b"[1,\"x\",\"\"]",
        b"[1,2,3]",
        b"\xff\xfe",
    ];
    for line in bad {
        assert!(decoder.decode(line).is_err(), "{:?}", String::from_utf8_lossy(line));
    }
    assert_eq!(decoder.now(), Duration::from_secs(9));
    for line in [&b""[..], b"# comment", b"{\"version\":3}"] {
        assert!(decoder.decode(line).unwrap().is_none());
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let events: Vec<Event> = chunks.iter().map(|c| Event::new(Duration::ZERO, Payload::Output(c.clone()))).collect();
        prop_assert_eq!(output_of(&read(&lines(&events))), chunks.concat());
    }

    #[test]
    fn mixed_text_and_bytes_come_back(parts in proptest::collection::vec((any::<bool>(), "\\PC{0,60}", any::<u8>()), 0..20)) {
        let mut bytes = Vec::new();
        for (raw, text, byte) in parts {
            if raw { bytes.push(byte) } else { bytes.extend_from_slice(text.as_bytes()) }
        }
        let events = [Event::new(Duration::ZERO, Payload::Output(bytes.clone()))];
        prop_assert_eq!(output_of(&read(&lines(&events))), bytes);
    }

    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Decoder::default().decode(&line);
    }
}

#[test]
fn clocks_and_gaps_are_objects_and_not_lists_of_their_values() {
    let mut decoder = Decoder::default();
    for (code, object, list) in [
        ("t", r#" {"at":1,"utc":2,"boot":3}"#, "[1,2,3]"),
        ("g", r#"{"why":"capped","of":"o","count":1}"#, r#"["capped","o",1,"",""]"#),
    ] {
        let line = |data: &str| serde_json::to_vec(&(0, code, data)).unwrap();
        assert!(decoder.decode(&line(object)).unwrap().is_some(), "{code}");
        let error = decoder.decode(&line(list)).unwrap_err();
        assert!(matches!(error, LineError::Data { .. }), "{code}: {error}");
    }
}
