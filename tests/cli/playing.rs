//! What a recording gives back: `export`, and `play --plain`.

use crate::home::{Home, Recording, damage_the_first_border};
use crate::reading::json;
use sealcast::cast::{Anchor, Event, Payload};
use sealcast::container::Extras;
use sealcast::terminal::Terminal;
use serde_json::Value;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn export_writes_every_format_and_says_what_it_lost() {
    let home = Home::new();
    home.record(&Recording::default());
    let cast = home.run(&["export", "last"]).exits(0);
    let lines: Vec<String> = cast.text().lines().map(str::to_owned).collect();
    assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap()["version"], 3);
    assert_eq!(lines.last().unwrap(), "[1.5,\"x\",\"3\"]", "{cast}");
    assert!(
        cast.err.contains("2 bytes that are no UTF-8 became U+FFFD; 2 times input was withheld"),
        "{cast}"
    );
    let raw = home.run(&["export", "last", "--format", "raw"]).exits(0);
    let shown: Vec<u8> = Recording::default()
        .events
        .iter()
        .filter_map(|(_, payload)| match payload {
            sealcast::cast::Payload::Output(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(raw.out, shown, "{raw}");
    let text = home.run(&["export", "last", "--format", "text"]).exits(0).text();
    assert_eq!(
        text,
        "root@web-3:~# ls\na  b\nbad \\u{202e}text\n\u{fffd}\u{fffd}\nafter a minute\n¶ [exit status 3]\n"
    );
    let events = json(&home.run(&["export", "last", "--format", "json"]).exits(0).text());
    assert_eq!((events.len(), &events[0]["kind"]), (9, &"recording".into()));
    let commands = json(&home.run(&["export", "last", "-f", "commands"]).exits(0).text());
    assert_eq!((commands.len(), &commands[0]["text"], &commands[0]["exit"]), (1, &"ls".into(), &0.into()));
    home.run(&["export", "last", "-f", "commands", "-o", "commands.json"]).exits(0);
    assert_eq!(json(&std::fs::read_to_string(home.path("commands.json")).unwrap()), commands);
    let old = home.run(&["export", "last", "-f", "cast2", "-o", "old.cast"]).exits(0);
    assert!(old.out.is_empty() && old.err.contains("exit status 3 left out"), "{old}");
    assert!(std::fs::read_to_string(home.path("old.cast")).unwrap().starts_with("{\"version\":2"));
    home.run(&["export", "last", "-o", "old.cast"]).exits(2).complains("old.cast");
}

#[test]
fn exports_of_a_damaged_recording_keep_what_is_good() {
    let home = Home::new();
    let output = |n: u64| {
        (n * 1000, sealcast::cast::Payload::Output(format!("{n:0>20000}\r\nprompt{n}$ ").into_bytes()))
    };
    let (path, _) =
        home.record(&Recording { events: (0..300).map(output).collect(), ..Recording::default() });
    damage_the_first_border(&path);
    let told = "not all of it could be read";
    let damaged = home.run(&["export", "last", "-f", "text", "-o", "out.txt"]).exits(2).complains(told);
    let kept = std::fs::read_to_string(home.path("out.txt")).unwrap();
    let mark =
        "¶ [damaged: what stands before this could be read, its entry in the index could not: at byte ";
    let (before, behind) = kept.split_once(mark).unwrap_or_else(|| panic!("{damaged}"));
    let lines = before.lines().count();
    assert!(lines > 50 && lines < 300, "{lines} lines\n{damaged}");
    assert!(behind.contains("prompt299$"), "{}", damaged.err);
    // Played, it is the same, to the unfinished line before the damage.
    let played = home.run(&["play", "--plain", "--speed", "10000", "last"]).exits(2).complains(told);
    let (shown, later) = played.text().split_once(mark).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(before.lines().last().unwrap().starts_with("prompt"), "{}", played.err);
    assert_eq!((before, later.contains("prompt299$")), (shown.as_str(), true), "{}", played.err);
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    let home = Home::new();
    let output = |n: u64| (n, sealcast::cast::Payload::Output(vec![b'x'; 10_000]));
    home.record(&Recording { events: (0..200).map(output).collect(), ..Recording::default() });
    let mut child =
        home.command(&["export", "last"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn an_end_that_was_altered_is_told_by_whatever_plays_or_exports() {
    for damage in ["appended", "trailer"] {
        let home = Home::new();
        let (path, _) = home.record(&Recording::default());
        let mut bytes = std::fs::read(&path).unwrap();
        match damage {
            "appended" => bytes.extend_from_slice(b"more"),
            _ => *bytes.last_mut().unwrap() ^= 1,
        }
        std::fs::write(&path, &bytes).unwrap();
        for args in [&["play", "--plain", "--speed", "10000", "last"][..], &["export", "-f", "text", "last"]]
        {
            let ran = home.run(args).exits(0);
            let told = format!("{}{}", ran.text(), ran.err);
            assert!(told.contains("its end is not that of a closed recording"), "{damage}: {ran}");
        }
    }
}

#[test]
fn following_needs_a_terminal_however_it_is_asked_for() {
    let home = Home::new();
    home.record(&Recording::default());
    for args in [&["follow"][..], &["play", "-F", "last"]] {
        let refused = home.run(args).exits(2).complains("following needs a terminal");
        assert!(refused.out.is_empty(), "{refused}");
    }
}

#[test]
fn plain_play_shows_the_text_at_its_pace_and_no_recorded_byte_acts_on_the_terminal() {
    let home = Home::new();
    home.record(&Recording::default());
    let began = std::time::Instant::now();
    let played = home.run(&["play", "--plain", "--speed", "2", "--idle-limit", "0.2"]).exits(0);
    let took = began.elapsed().as_secs_f64();
    assert_eq!(
        played.text(),
        "root@web-3:~# ls\na  b\nbad \\u{202e}text\n\u{fffd}\u{fffd}\n¶ [58.0 without output skipped]\nafter a minute\n¶ [exit status 3]\n"
            .replace("58.0", "0:59.9")
            + "¶ [0:01.3 without output skipped]\n",
        "{played}"
    );
    // Pauses of 0.1, 0.2 five times and 0.2 at double speed. When it is time for what follows a long one: see `Pace`.
    assert!(took >= 0.5, "took {took} s\n{played}");
    let from = home.run(&["play", "--plain", "last@0:50", "--idle-limit", "0"]).exits(0).text();
    let end = "after a minute\n¶ [exit status 3]\n¶ [0:01.5 without output skipped]\n";
    assert!(from.ends_with(end) && !from.contains("ls"), "{from}");
    home.run(&["play", "--plain", "last@noon"]).exits(2).complains("`noon` is no time: 6:39, 90s,");
    home.run(&["play", "--plain", "--speed", "0"]).exits(2).complains("invalid value");
}

#[test]
fn plain_play_adds_up_the_short_pauses_that_it_skips() {
    let home = Home::new();
    let event = |at: u64, text: &str| (at, Payload::Output(format!("{text}\r\n").into_bytes()));
    let mut events: Vec<_> = (0..6).map(|n| event(2000 * n, &n.to_string())).collect();
    events.push((11_000, Payload::Exit(0)));
    home.record(&Recording { events, ..Recording::default() });
    let played = home.run(&["play", "--plain", "--idle-limit", "0"]).exits(0);
    let shown = [
        "0\n1\n2\n\u{b6} [0:06.0 without output skipped]\n3\n4\n5\n",
        "\u{b6} [0:05.0 without output skipped]\n\u{b6} [exit status 0]\n",
    ];
    assert_eq!(played.text(), shown.concat(), "{played}");
    let from = home.run(&["play", "--plain", "last@0:06", "--idle-limit", "0"]).exits(0);
    let shown = "3\n4\n5\n\u{b6} [0:05.0 without output skipped]\n\u{b6} [exit status 0]\n";
    assert_eq!(from.text(), shown, "{from}");
    let rest = home.run(&["play", "--plain", "last@0:08", "--idle-limit", "0"]).exits(0);
    let shown = "4\n5\n\u{b6} [exit status 0]\n\u{b6} [0:03.0 without output skipped]\n";
    assert_eq!(rest.text(), shown, "{rest}");
}

#[test]
fn plain_play_from_within_a_session_goes_on_from_the_screen_as_it_stood() {
    let output = |at, text: &str| (at, Payload::Output(text.as_bytes().to_vec()));
    let parts = [
        vec![output(100, "$ vim\r\n\x1b[?1049h\x1b[HSECRET IN VIM")],
        vec![output(2500, "\x1b[2;1Hmore"), output(3000, "\x1b[?1049l$ ec")],
        vec![output(4500, "ho on\r\n"), output(5000, "$ ")],
    ];
    let home = Home::new();
    let recording = Recording { events: parts[0].clone(), ..Recording::default() };
    home.record_with(&recording, |writer, start| {
        let mut screen = Terminal::new(80, 24);
        for (number, part) in parts.iter().enumerate() {
            // The first one is there already.
            if number > 0 {
                let at = number as u64 * 2000;
                writer.end_segment(Duration::from_millis(at), Extras::default()).unwrap();
                let anchor = Anchor { at, utc: start + i64::try_from(at).unwrap(), boot: 0 };
                writer.begin(anchor, screen.snapshot()).unwrap();
            }
            for (at, payload) in part {
                if let Payload::Output(bytes) = payload {
                    screen.feed(bytes);
                }
                if number > 0 {
                    writer.push(&Event::new(Duration::from_millis(*at), payload.clone())).unwrap();
                }
            }
        }
    });
    for (time, shown) in [
        ("0:00", "$ vim\n¶ [full-screen program]\n$ echo on\n$\n"),
        ("0:01", "¶ [full-screen program]\n$ echo on\n$\n"),
        // Where a segment begins.
        ("0:02", "¶ [full-screen program]\n$ echo on\n$\n"),
        ("0:02.2", "¶ [full-screen program]\n$ echo on\n$\n"),
        ("0:02.8", "¶ [full-screen program]\n$ echo on\n$\n"),
        ("0:03.5", "$ echo on\n$\n"),
        ("0:04", "$ echo on\n$\n"),
        ("0:04.2", "$ echo on\n$\n"),
        ("0:04.8", "$\n"),
    ] {
        let place = format!("last@{time}");
        let played = home.run(&["play", "--plain", "--speed", "10000", &place]).exits(0);
        assert_eq!(played.text(), shown, "{time}: {played}");
    }
}

/// A recorder that lies can seal whatever it likes: what its index and its first screen say hides nothing of what was shown.
#[test]
fn plain_play_shows_what_an_index_or_a_keyframe_would_leave_out() {
    let output = |at, text: &str| (at, Payload::Output(text.as_bytes().to_vec()));
    let play = |home: &Home| home.run(&["play", "--plain", "--speed", "10000", "last"]).exits(0).text();
    let home = Home::new();
    let mut screen = Terminal::new(80, 24);
    screen.feed(b"\x1b[?1049h");
    let forged = Payload::Keyframe(screen.snapshot().unwrap());
    let events = vec![(0, forged), output(100, "$ rm -rf /srv/evidence\r\n")];
    home.record(&Recording { events, ..Recording::default() });
    assert_eq!(play(&home), "$ rm -rf /srv/evidence\n");
    // Another segment that begins at the beginning.
    let home = Home::new();
    let events = vec![output(0, "the beginning\r\n")];
    home.record_with(&Recording { events, ..Recording::default() }, |writer, utc| {
        writer.end_segment(Duration::from_millis(10), Extras::default()).unwrap();
        writer.begin(Anchor { at: 0, utc, boot: 0 }, None).unwrap();
        writer
            .push(&Event::new(Duration::from_millis(20), Payload::Output(b"the end\r\n".to_vec())))
            .unwrap();
    });
    assert_eq!(play(&home), "the beginning\nthe end\n");
}

#[test]
fn a_time_behind_an_at_sign_is_whatever_the_player_takes() {
    let home = Home::new();
    // From 14:03:12 to 14:04:14.5, UTC.
    home.record(&Recording::default());
    let play = |time: &str| {
        let place = format!("last@{time}");
        home.run(&["play", "--plain", "--speed", "10000", &place]).exits(0)
    };
    let whole = play("0:00").text();
    for time in
        ["0:50", "50", "50s", "0.8m", "50%", "14:04:00Z", "@14:04", "2026-11-22 14:04:00", "+50", "-12"]
    {
        let played = play(time);
        assert!(played.text() == "after a minute\n¶ [exit status 3]\n" && played.err.is_empty(), "{played}");
    }
    for (time, outside, shown) in [
        ("99:00", "it ends at 1:02.5, before 1:39:00.0", "¶ [exit status 3]\n"),
        ("14:59Z", "it ends at 14:04:14Z, before 14:59:00Z", "¶ [exit status 3]\n"),
        ("12:00Z", "it began at 14:03:12Z, after 12:00:00Z", &whole),
    ] {
        let played = play(time);
        assert!(played.err.contains(outside) && played.text() == shown, "{played}");
    }
}

#[test]
fn keys_that_plain_text_would_not_be_held_against_are_refused() {
    let home = Home::new();
    home.record(&Recording::default());
    for words in [&["play", "-k", "fleet", "last"][..], &["play", "--plain", "-k", "fleet", "last"]] {
        let told = home.run(words).exits(2).complains("--known-keys <FILE>");
        assert!(told.out.is_empty() && told.err.contains("cannot be used with"), "{told}");
    }
}
