//! What is told of the gaps of a recording: how much is missing in them, and why.

use crate::home::{Home, Recording, held};
use sealcast::cast::{Gap, Payload, Why};

fn gap(why: &str, of: &str, count: u64, note: &str) -> Payload {
    Payload::Gap(Gap { why: why.into(), ..Gap::new(Why::Stopped, of, count, note) })
}

fn output(text: &str) -> Payload {
    Payload::Output(text.as_bytes().to_vec())
}

/// The lines that `show` tells of a recording with these events.
fn shown(events: Vec<(u64, Payload)>) -> Vec<String> {
    let home = Home::new();
    home.record(&Recording { events, ..Recording::default() });
    home.run(&["show"]).exits(0).text().lines().map(str::to_owned).collect()
}

#[test]
fn show_says_how_much_is_missing_in_gaps_as_far_as_anybody_knows() {
    let undelivered = || gap("undelivered", "stdout", 2656, "no space left");
    let suspended = || gap("suspended", "session", 0, "for 18 s");
    let lost = || gap("queue-full", "output", 7, "the disk was slow");
    let device = || gap("device", "stdin", 0, "the program reads it by itself");
    let left = || gap("left", "stdout", 3, "what the program left running has it open still");
    for (gaps, held) in [
        (vec![undelivered()], "1 gap, nothing missing"),
        (vec![undelivered(), suspended()], "2 gaps, nothing missing"),
        (vec![undelivered(), lost()], "2 gaps, 7 missing"),
        (vec![device()], "1 gap, unknown how much is missing"),
        (vec![gap("heartbeat", "", 0, "")], "1 gap, unknown how much is missing"),
        (vec![lost(), device()], "2 gaps, 7 or more missing"),
        (vec![left()], "1 gap, 3 or more missing"),
    ] {
        let lines = shown((10..).zip(gaps).chain([(20, output("after"))]).collect());
        assert!(
            lines.iter().any(|line| line.starts_with("held") && line.ends_with(held)),
            "{held}: {lines:#?}"
        );
    }
}

#[test]
fn the_digest_of_a_stream_of_which_only_the_beginning_is_stored_is_told_wherever_its_gap_is() {
    let home = Home::new();
    let digest = "0123456789abcdef".repeat(4);
    let note = "only the first 5 bytes of it are stored";
    let capped = Gap { sha256: digest.clone(), ..Gap::new(Why::Capped, "stdout", 7, note) };
    let events = vec![(0, output("hello")), (1_500, Payload::Gap(capped)), (2_000, Payload::Exit(0))];
    home.record(&Recording { events, ..Recording::default() });
    let said = format!("capped (stdout), 7 missing: {note}; SHA-256 of all of it: {digest}");
    for args in [&["show"][..], &["play", "--plain", "--speed", "1000"], &["export", "-f", "text", "last"]] {
        let ran = home.run(args).exits(0);
        assert!(ran.text().contains(&said), "{args:?}: {ran}");
    }
    let told: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "--json"]).exits(0).text()).unwrap();
    assert_eq!(told["gaps"], 1, "{told}");
    let one = serde_json::json!({
        "at_ms": 1500, "why": "capped", "of": "stdout", "count": 7, "note": note, "sha256": digest
    });
    assert_eq!(told["gap_list"], serde_json::json!([one]), "{told}");
}

#[test]
fn show_tells_each_gap_and_none_hides_those_of_another_reason() {
    let mut events: Vec<_> = (0..500).map(|at| (at, gap("suspended", "session", 0, "for 18 s"))).collect();
    events.push((1_000, gap("undelivered", "stdout", 2656, "no space left")));
    // What no version writes yet is of one kind, whatever it calls itself.
    events.extend((0..400).map(|at| (2_000 + at, gap(&format!("reason-{at}"), "", at, "\x1b[2J"))));
    events.push((3_000, gap("write-failed", "session", 9, "the disk is full")));
    let lines = shown(events);
    let of_time = |line: &&str| line.starts_with("from ") || line.starts_with("until ");
    let told: Vec<&str> = lines.iter().map(String::as_str).filter(of_time).collect();
    assert_eq!(told.len(), 12, "{lines:#?}");
    assert_eq!(
        told[4..7],
        [
            "until 0:00.0: suspended (session): for 18 s",
            "from 0:01.0 on: undelivered (stdout), 2656 not delivered: no space left",
            "from 0:02.0 on: gap: reason-0: \\x1b[2J",
        ]
    );
    assert!(told[7].contains("gap: reason-1, 1 missing: "), "{told:#?}");
    assert_eq!(told[11], "until 0:03.0: write-failed: the disk is full");
    for more in ["and 495 more of `suspended`", "and 395 more of `gap`"] {
        assert!(lines.iter().any(|line| line == more), "{more}: {lines:#?}");
    }
}

#[test]
fn gaps_of_what_has_no_index_entry_yet_are_told_by_show_and_not_denied_by_ls() {
    let home = Home::new();
    let events = vec![
        (0, output("before")),
        (10, gap("device", "stdin", 0, "the program reads it by itself")),
        (20, Payload::Withheld(2)),
        (30, gap("stopped", "session", 0, "for 14 s")),
        (40, output("after")),
    ];
    let (path, _) = home.record(&Recording { events, close: false, ..Recording::default() });
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&home.run(args).exits(0).text()).unwrap()
    };
    let tell = || {
        let ran = home.run(&["show"]).exits(0);
        for part in [
            "input withheld 2 times, 2 gaps or more, unknown how much is missing",
            "from 0:00.0 on: device (stdin): the program reads it by itself",
            "from 0:00.0 on: stopped: for 14 s",
        ] {
            assert!(ran.text().contains(part), "{part}: {ran}");
        }
        let told = json(&["show", "--json"]);
        assert_eq!((&told["gaps"], &told["withheld"]), (&2.into(), &2.into()), "{told}");
        assert_eq!(told["notices"][0]["text"], "stopped: for 14 s", "{told}");
        // So is what was shown, and for how long.
        assert_eq!((&told["output_bytes"], &told["length_ms"]), (&11.into(), &40.into()), "{told}");
        // It reads the index alone.
        let listed = json(&["ls", "--json"]);
        assert_eq!((&listed["complete"], &listed["notices"]), (&false.into(), &0.into()), "{listed}");
        assert!(listed["alarm"].is_null() && listed["withheld"].is_null(), "{listed}");
    };
    tell();
    let _recorder = held(&path);
    tell();
    for (events, withheld) in
        [(vec![(0, output("x")), (20, Payload::Withheld(2))], 2), (vec![(0, output("x"))], 0)]
    {
        let (path, _) = home.record(&Recording { events, ..Recording::default() });
        let path = path.to_str().unwrap().to_owned();
        let listed = crate::reading::json(&home.run(&["ls", "--json"]).exits(0).text());
        let row = listed.iter().find(|row| row["path"] == *path).unwrap();
        assert_eq!(row["withheld"], withheld, "{row}");
    }
}

#[test]
fn the_page_of_ls_names_the_gaps_for_which_the_list_has_an_exclamation_mark() {
    let read = |name: &str| {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    };
    let format = read("doc/FORMAT.md");
    let rows = format.lines().skip_while(|line| *line != "| `why` | |").skip(2);
    let words: Vec<&str> = rows
        .take_while(|line| line.starts_with('|'))
        .flat_map(|row| row.split('|').nth(1).unwrap().split(',').map(|word| word.trim().trim_matches('`')))
        .collect();
    assert!(words.len() > 10, "{words:?}");
    let page = read("man/sealcast-ls.1");
    let told = page.lines().skip_while(|line| *line != ".Po gaps").skip(1);
    let told: Vec<&str> = told
        .map_while(|line| line.strip_prefix(".Ql "))
        .map(|word| word.trim_end_matches(" ,"))
        .chain(["device"])
        .collect();
    assert!(told.len() > 2, "{told:?}");
    let home = Home::new();
    let marked = |start: i64, why: &str| {
        let recording = Recording { events: vec![(10, gap(why, "session", 0, ""))], ..Recording::default() };
        home.record(&Recording { start: recording.start + start, ..recording });
        home.run(&["ls"]).exits(0).text().lines().next().unwrap().contains("\t1!\t")
    };
    for (start, why) in (1000..).step_by(1000).zip(words) {
        assert_eq!(marked(start, why), told.contains(&why), "{why}");
    }
}

#[test]
fn text_says_where_it_happened_what_no_session_can_say_and_repeats_nothing() {
    let home = Home::new();
    let events = vec![
        (0, output("first\r\n\r\nbefore")),
        (5, gap("queue-full", "output", 4096, "the disk\nwas slow ¶")),
        // At the same time; a line goes on behind it.
        (5, output("after\r\n\r\nlast\r\n$ ")),
        (300, gap("heartbeat", "", 0, "")),
        (400, gap("stopped", "session", 0, "")),
        (600, output("\x1b[H\x1b[2J$ vim\r\n")),
        (900, output("\x1b[?1049h\x1b[Hpage")),
        (1200, Payload::Marker("here".into())),
        (1400, output("\x1b[2Hmore")),
        (1600, output("\x1b[?1049l$ ")),
        (1800, Payload::Exit(3)),
    ];
    home.record(&Recording { events, ..Recording::default() });
    let ran = home.run(&["export", "-f", "text", "last"]).exits(0);
    let lines = [
        "first",
        "before",
        "¶ [gap: queue-full (output), 4096 missing: the disk\\nwas slow \\u{b6}]",
        "beforeafter",
        "last",
        "$",
        "¶ [gap: heartbeat]",
        "¶ [gap: stopped (session)]",
        "$ vim",
        "¶ [full-screen program]",
        "| page",
        "¶ [mark: here]",
        "| more",
        "$",
        "¶ [exit status 3]",
    ];
    assert_eq!(ran.text().lines().collect::<Vec<_>>(), lines, "{ran}");
    assert!(ran.err.contains("3 gaps in the recording") && !ran.err.contains("left out"), "{ran}");
    // What would cost too much to look at anew each time is told where it happened all the same.
    let mut events: Vec<_> = (0..3000).map(|at| (at, gap("suspended", "", 0, ""))).collect();
    events.extend([(1, output("early\r\n\r\nnext")), (2999, output(" goes on\r\n\r\nlast"))]);
    // Blank lines are there where they have scrolled away.
    events.push((3000, output(&"\n".repeat(24))));
    events.sort_by_key(|(at, _)| *at);
    home.record(&Recording { events, start: Recording::default().start + 1000, ..Recording::default() });
    let ran = home.run(&["export", "-f", "text", "last"]).exits(0);
    assert_eq!(ran.text().matches("¶ [gap: suspended]\n").count(), 3000);
    assert!(ran.text().contains("]\nearly\nnext\n¶ ["), "{ran}");
    assert!(
        ran.text().contains("]\nnext goes on\n\nlast\n") && ran.text().matches("early").count() == 1,
        "{ran}"
    );
}
