//! Recordings that are signed as they should be, by whoever could open them, and whose index lies.

use crate::home::{Home, Recording};
use sealcast::cast::{Command, Payload, Source, Trust};
use sealcast::container::Extras;
use sealcast::container::filter::{Builder, SMALL_RAW};
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use sealcast::terminal::DRAWING;
use serde_json::Value;
use std::time::Duration;

/// A recording whose one segment has this filter and these commands; gives what `verify` says of it, with the exit status.
fn verified(recording: &Recording, filter: Vec<u8>, commands: Vec<Command>) -> (Value, String) {
    let home = Home::new();
    home.record_with(recording, |writer, _| {
        let extras = Extras { filter, commands, ..Extras::default() };
        writer.end_segment(Duration::from_secs(63), extras).unwrap();
    });
    let ran = home.run(&["verify", "--json", "last"]);
    let verdict: Value = serde_json::from_str(&ran.text()).unwrap_or_else(|_| panic!("{ran}"));
    let expected = if verdict["verdict"] == "intact" { 0 } else { 1 };
    let text = ran.exits(expected).to_string();
    (verdict, text)
}

fn filter(lines: &[&str]) -> Vec<u8> {
    let mut builder = Builder::default();
    lines.iter().for_each(|line| builder.add(line));
    builder.finish(SMALL_RAW)
}

fn ran(text: &str, source: Source) -> Command {
    Command {
        text: text.into(),
        start: 1000,
        end: Some(1300),
        source,
        trust: Trust::Told,
        ..Command::default()
    }
}

#[test]
fn a_filter_that_denies_what_was_shown_makes_a_recording_altered() {
    let lines =
        ["root@web-3:~# ls", "a  b", "bad \u{202e}text", "bad text", "\u{fffd}\u{fffd}", "after a minute"];
    let (verdict, text) = verified(&Recording::default(), filter(&lines), Vec::new());
    assert_eq!(
        (&verdict["verdict"], &verdict["content_checked"]),
        (&"intact".into(), &true.into()),
        "{text}"
    );
    let without = &lines[..5];
    let (verdict, text) = verified(&Recording::default(), filter(without), Vec::new());
    assert_eq!(verdict["verdict"], "altered", "{text}");
    let told = "the filter of segment 0 denies what it showed: after a minute";
    assert_eq!(verdict["index_lies"], serde_json::json!([told]), "{text}");
    assert_eq!(verdict["detail"], format!("signed, but the content is wrong: {told}"), "{text}");
}

#[test]
fn what_another_version_drew_otherwise_is_told_and_does_not_make_a_recording_altered() {
    let told = "the filter of segment 0 denies what it showed: after a minute";
    for (drawing, maker) in [
        (0, "made by test, which does not say how it draws".to_owned()),
        (DRAWING + 1, format!("made by test, which draws as generation {}; this is {DRAWING}", DRAWING + 1)),
    ] {
        let recording = Recording { drawing, ..Recording::default() };
        let (verdict, text) = verified(&recording, filter(&["a  b"]), Vec::new());
        assert_eq!(verdict["verdict"], "intact", "{text}");
        assert_eq!(verdict["index_lies"], serde_json::json!([]), "{text}");
        let first = verdict["index_differs"][0].as_str().unwrap();
        assert!(first.starts_with("the filter of segment 0 denies what it showed: "), "{text}");
        let detail = verdict["detail"].as_str().unwrap();
        let loud = format!("; but its index does not fit what this version draws: {first}; {maker}");
        assert!(detail.ends_with(&loud), "{detail}");
        assert!(text.contains("note: the index of the recording does not fit"), "{text}");
    }
    // Nobody can hide a text from the search with a filter of another generation.
    for (drawing, found) in [(0, 0), (DRAWING + 1, 0), (DRAWING, 1)] {
        let home = Home::new();
        home.record_with(&Recording { drawing, ..Recording::default() }, |writer, _| {
            let extras = Extras { filter: filter(&["a  b"]), ..Extras::default() };
            writer.end_segment(Duration::from_secs(63), extras).unwrap();
        });
        let ran = home.run(&["search", "--no-cache", "after a minute"]).exits(found);
        assert_eq!(ran.err.contains("1 drawn by another version"), found == 0, "{ran}");
    }
    let (verdict, text) = verified(&Recording::default(), filter(&["a  b"]), Vec::new());
    assert!(verdict["verdict"] == "altered" && verdict["index_lies"][0] != told, "{text}");
}

#[test]
fn a_command_of_which_the_shell_did_not_tell_makes_a_recording_altered() {
    let start = |text: &str| {
        let start = Start { text: Some(text.into()), ..Start::default() };
        (1000, Said::Mark(Mark::Start(start)).payload())
    };
    let mut recording = Recording::default();
    recording.events.insert(1, start("ls"));
    let (verdict, text) = verified(&recording, Vec::new(), vec![ran("ls", Source::Shell)]);
    assert_eq!(verdict["verdict"], "intact", "{text}");
    // What the kernel or the screen told is not among the events.
    let (verdict, text) = verified(&recording, Vec::new(), vec![ran("vi", Source::Screen)]);
    assert_eq!(verdict["verdict"], "intact", "{text}");
    let (verdict, text) = verified(&recording, Vec::new(), vec![ran("uptime", Source::Shell)]);
    assert_eq!(verdict["verdict"], "altered", "{text}");
    let told = "the index has a command that was not run: uptime";
    assert_eq!(verdict["index_lies"], serde_json::json!([told]), "{text}");
    assert!(matches!(recording.events[1].1, Payload::Other { .. }));
}

#[test]
fn what_no_recorder_writes_is_told_beside_the_verdict() {
    let ended = Command { end: Some(0), ..ran("vi", Source::Screen) };
    let (verdict, text) = verified(&Recording::default(), Vec::new(), vec![ended]);
    assert_eq!(verdict["verdict"], "intact", "{text}");
    let told = "in the index a command ends before it began: vi";
    assert_eq!(verdict["doubts"], serde_json::json!([told]), "{text}");
    assert!(verdict["detail"].as_str().unwrap().ends_with(&format!("; but {told}")), "{text}");
    for (apart, is_told) in [(0, false), (599, false), (-599, false), (601, true), (-601, true)] {
        let home = Home::new();
        home.record(&Recording { clock_apart: apart * 1000, ..Recording::default() });
        let ran = home.run(&["verify", "--json", "last"]).exits(0);
        let verdict: Value = serde_json::from_str(&ran.text()).unwrap();
        let told = "its header says that it began at 2026-11-22 ";
        let doubts = verdict["doubts"].as_array().unwrap().iter().filter_map(Value::as_str);
        assert_eq!(doubts.filter(|doubt| doubt.starts_with(told)).count(), usize::from(is_told), "{ran}");
    }
}

/// The recording tells the size of its terminal twice: whoever drew a small one would not see what scrolled out of it.
#[test]
fn what_is_shown_is_found_whatever_size_the_cast_inside_tells() {
    let home = Home::new();
    home.record(&Recording { cast: Some((2, 2)), ..Recording::default() });
    home.run(&["search", "after a minute"]).exits(0);
    home.run(&["verify", "last"]).exits(0);
    let text = home.run(&["export", "-f", "text", "last"]).exits(0).text();
    assert!(text.contains("after a minute"), "{text}");
    let cast = home.run(&["export", "last"]).exits(0).text();
    assert!(cast.lines().next().is_some_and(|header| header.contains(r#""cols":80,"rows":24"#)), "{cast}");
}
