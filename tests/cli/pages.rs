//! The keys of what is printed as JSON, held to the pages of the manual: a key that is printed stands in the page, and the
//! page tells of no other.

use crate::home::{Home, Recording};
use sealcast::cast::{Command, Exec, Gap, Payload, Why};
use sealcast::container::{Extras, GivenUp, LeftOut};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

type Words = BTreeSet<String>;

fn page(command: &str) -> String {
    let name = format!("man/sealcast-{command}.1");
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The words behind a macro: `.Va a , b`, and `.Pq Va a No and Va b`.
fn behind(text: &str, mark: &str) -> Words {
    let is_macro = |word: &str| {
        let mut letters = word.chars();
        word.len() == 2 && letters.next().is_some_and(char::is_uppercase) && letters.all(|c| c.is_lowercase())
    };
    let mut found = Words::new();
    for line in text.lines().filter_map(|line| line.strip_prefix('.')) {
        let mut named = false;
        for word in line.split_whitespace() {
            if is_macro(word) {
                named = word == mark;
            } else if named && word.len() > 1 {
                found.insert(word.to_owned());
            }
        }
    }
    found
}

/// The keys of an object and of those in it. What is in `closed` has keys that somebody chose, or that another page lists.
fn keys(value: &Value, closed: &[&str], found: &mut Words) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| keys(one, closed, found)),
        Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                if !closed.contains(&key.as_str()) {
                    keys(value, closed, found);
                }
            }
        }
        _ => {}
    }
}

fn lines(home: &Home, args: &[&str]) -> Vec<Value> {
    let out = home.run(args).out;
    let text = String::from_utf8(out).unwrap();
    assert!(!text.is_empty(), "{args:?} printed nothing");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether a page tells of the keys that these commands print, and of no others.
fn compare(home: &Home, command: &str, runs: &[&[&str]], closed: &[&str]) {
    let mut printed = Words::new();
    for args in runs {
        lines(home, args).iter().for_each(|line| keys(line, closed, &mut printed));
    }
    assert_eq!(
        behind(&page(command), "Va"),
        printed,
        "left: man/sealcast-{command}.1, right: what {runs:?} print"
    );
}

/// A session with everything in it that an event, a command or a segment can have.
fn everything() -> Recording {
    let gap = Gap { sha256: "00".repeat(32), ..Gap::new(Why::Capped, "stdin", 7, "a part is left out") };
    let mut recording = Recording::default();
    let more = [
        Payload::ErrorOutput(b"no such file\r\n".to_vec()),
        Payload::Input(b"ls\r".to_vec()),
        Payload::Resize { cols: 100, rows: 30 },
        Payload::Marker("here".into()),
        Payload::Keyframe("\u{1b}[2J".into()),
        Payload::Gap(gap),
        Payload::Other { code: "z".into(), data: "later".into() },
    ];
    for payload in more {
        recording.events.insert(recording.events.len() - 1, (61_500, payload));
    }
    recording
}

fn extras() -> Extras {
    let exec =
        Exec { path: "/usr/bin/ls".into(), argv: vec!["ls".into()], cwd: "/".into(), ..Exec::default() };
    let exec = Exec { end: Some(1200), exit: Some(0), ..exec };
    let command = Command {
        text: "ls | cat".into(),
        cwd: Some("/".into()),
        start: 1000,
        end: Some(1300),
        exit: Some(0),
        pipe: vec![0, 0],
        flags: vec!["lost-execs: 2".into()],
        execs: vec![exec.clone()],
        ..Command::default()
    };
    Extras {
        commands: vec![command],
        execs: vec![exec],
        given_up: Some(GivenUp::Flood),
        left_out: LeftOut { commands: 1, programs: 2, shortened: 3 },
        ..Extras::default()
    }
}

#[test]
fn every_key_that_is_printed_as_json_is_in_its_page_and_no_page_tells_of_another() {
    let home = Home::new();
    let (path, _) = home.record_with(&everything(), |writer, _| {
        writer.end_segment(Duration::from_millis(62_500), extras()).unwrap();
    });
    let of_commands = ["labels", "header", "meta", "index_given_up"];
    compare(&home, "ls", &[&["ls", "--json"]], &[&of_commands[..], &["left_out"]].concat());
    let commands = ["commands", "programs_of_no_command"];
    compare(&home, "show", &[&["show", "--json"]], &[&of_commands[..], &commands[..]].concat());
    compare(&home, "verify", &[&["verify", "--json"]], &[]);
    compare(&home, "search", &[&["search", "--json", "minute"], &["search", "--json", "-c", "minute"]], &[]);
    compare(&home, "config", &[&["config", "show", "--json"]], &[]);
    compare(&home, "keys", &[&["keys", "list", "--json"], &["keys", "check", "--json"]], &[]);

    // Two that have no end: one that was not closed, and one with a wrong byte.
    let open = Recording { start: 1_795_400_000_000, close: false, ..Recording::default() };
    home.record(&open);
    let whole = std::fs::read(&path).unwrap();
    let bad = home.path("bad.scast");
    let is_damaged = |at: &usize| {
        let mut bytes = whole.clone();
        bytes[*at] ^= 1;
        std::fs::write(&bad, bytes).unwrap();
        let out = home.run(&["export", "-f", "json", "bad.scast"]).out;
        String::from_utf8_lossy(&out).contains(r#""kind":"damaged""#)
    };
    let found = (0..whole.len()).rev().step_by(64).find(is_damaged);
    assert!(found.is_some(), "no byte damages the content");
    let path = path.to_str().unwrap();
    let json = |of| ["export", "-f", "json", of];
    let runs = [&json(path)[..], &json("last"), &json("bad.scast"), &["export", "-f", "commands", path]];
    compare(&home, "export", &runs, &["header", "meta", "cast"]);
    compare(
        &home,
        "export",
        &[&runs[..], &[&["show", "--commands", "--json", path]]].concat(),
        &["header", "meta", "cast"],
    );

    let page = page("export");
    let (_, kinds) = page.split_once(".It Cm json\n").unwrap();
    let (kinds, _) = kinds.split_once(".It Cm commands\n").unwrap();
    let printed = runs[..3].iter().flat_map(|args| lines(&home, args));
    let printed: Words = printed.map(|line| line["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        behind(kinds, "Cm"),
        printed,
        "left: the kinds in man/sealcast-export.1, right: those printed"
    );
}
