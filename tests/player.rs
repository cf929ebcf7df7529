//! The player from outside: driven by keys in a real terminal, at three sizes; what it writes; and what it leaves behind.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "cli/home.rs"]
mod home;
mod support;

mod player {
    pub mod drawing;
    mod panics;
    mod printed;
    pub mod viewer;
}

use home::{Home, Recording, damage_the_first_border, place_in_index};
use player::drawing::draws_only;
use player::viewer::Viewer;
use sealcast::cast::{Command as Entry, Gap, Payload, Source as Teller, Why};
use sealcast::crypto::identity;
use sealcast::sys::tty::Size;
use std::time::Duration;
use support::terminal::Terminal;

/// An hour of work, with a look into vim at its end, and with everything in it that could act on a viewer's terminal.
fn hour() -> Recording {
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let mut events = vec![
        (100, output("\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x07\x1b[6n\x1b[c\x1bP$qm\x1b\\\x1b[?1000h")),
        (
            200,
            output(
                "\u{202e}desrever\u{202c} \u{200b}hidden \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\\r\n",
            ),
        ),
    ];
    for minute in 1..60u64 {
        events.push((minute * 60_000, output(&format!("\x1b[3{}mminute {minute}\x1b[m\r\n", minute % 8))));
    }
    events.push((3_600_000, output("$ vim sshd_config\r\n\x1b[?1049h\x1b[H\x1b[2JPort 22\r\n\x1b[33mPermit\x1b[32mRootLogin\x1b[m yes")));
    events.push((3_660_000, output("\x1b[?1049l$ exit\r\n")));
    events.push((3_661_000, Payload::Exit(0)));
    let command = |text: &str, start| Entry {
        text: text.into(),
        start,
        end: Some(start + 10),
        exit: Some(0),
        ..Entry::default()
    };
    Recording {
        events,
        commands: vec![command("make all", 60_000), command("vim sshd_config", 3_599_000)],
        ..Recording::default()
    }
}

#[test]
fn an_investigator_finds_marks_and_exports_at_every_size() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let home = Home::new();
        let (path, id) = home.record(&hour());
        let mut viewer = Viewer::start(&home, &["play", &id], size);
        viewer.shows("intact");
        // What only stood inside vim, an hour in, in two colours.
        let found = viewer.types("/permitrootlogin yes\r", "match 1/1");
        assert!(found.contains("PermitRootLogin yes") && found.contains("1:00:00"), "{size:?}\n{found}");
        // The command before it; a mark; and the part up to vim.
        viewer.types("[", "1:00.0 / 1:01:0");
        viewer.types("mhere it began\r", "marked, beside the recording");
        viewer.types("]", "59:59.0 /");
        viewer.types("e part.cast\r", "written to part.cast");
        viewer.types("'", "here it began");
        viewer.terminal.send("qq");
        assert!(viewer.terminal.wait_end().success());
        viewer.is_given_back();
        draws_only(viewer.terminal.transcript());

        let part = std::fs::read_to_string(home.path("part.cast")).unwrap();
        assert!(part.contains("minute 30") && !part.contains("PermitRootLogin"), "{part}");
        let marks = std::fs::read_to_string(format!("{}.marks.json", path.display())).unwrap();
        assert!(marks.contains("here it began") && marks.contains("60000"), "{marks}");
        // The evidence is what it was.
        assert!(home.run(&["verify", &id]).exits(0).text().contains("intact"));
    }
}

#[test]
fn marks_of_two_who_watch_the_same_are_both_kept() {
    let home = Home::new();
    let (path, _) = home.record(&hour());
    let mut viewers = [(); 2].map(|()| {
        let mut viewer = Viewer::start(&home, &["play", "last"], (100, 24));
        viewer.shows("intact");
        viewer
    });
    for (viewer, note) in viewers.iter_mut().zip(["hers", "his"]) {
        viewer.types(&format!("m{note}\r"), "marked, beside the recording");
    }
    let marks = std::fs::read_to_string(format!("{}.marks.json", path.display())).unwrap();
    assert!(marks.contains("hers") && marks.contains("his\""), "{marks}");
    // Whoever saved last knows of both.
    assert!(viewers[1].types("'", "his ").contains("hers"), "{}", viewers[1].screen());
    for viewer in &mut viewers {
        viewer.terminal.send("qqq");
        assert!(viewer.terminal.wait_end().success());
    }
}

#[test]
fn marks_that_cannot_be_read_keep_nobody_from_watching() {
    let home = Home::new();
    let (path, _) = home.record(&hour());
    let marks = format!("{}.marks.json", path.display());
    let made = std::process::Command::new("mkfifo").arg(&marks).status().unwrap();
    assert!(made.success());
    for what in ["a pipe", "a directory", "no marks"] {
        let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
        viewer.shows("the marks beside it are not shown");
        // What is there is not written over.
        viewer.types("mmine\r", "not kept");
        viewer.terminal.send("qq");
        assert!(viewer.terminal.wait_end().success());
        if what == "a pipe" {
            std::fs::remove_file(&marks).unwrap();
            std::fs::create_dir(&marks).unwrap();
        } else if what == "a directory" {
            std::fs::remove_dir(&marks).unwrap();
            home::write(std::path::Path::new(&marks), b"[{");
        }
    }
    assert_eq!(std::fs::read(&marks).unwrap(), b"[{");
}

/// Goes to the end, and waits until the player is there: on its way, it exports up to where it is.
fn to_the_end(viewer: &mut Viewer) {
    let screen = viewer.shows(" / ");
    let length = screen.split(" / ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    viewer.types("G", &format!(" {length}.0 / "));
}

#[test]
fn what_is_missing_in_an_exported_part_is_said() {
    let home = Home::new();
    let output = |n: u64| (n * 1000, Payload::Output(format!("{n:0>20000}\r\n").into_bytes()));
    let events = (0..300).map(output).collect();
    let (path, _) = home.record(&Recording { events, ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
    viewer.shows("intact");
    viewer.types("G", "4:59.0 / ");
    viewer.types("e whole.txt\r", "0:00.0 to 4:59 written to whole.txt");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());

    let recorded = std::fs::read(&path).unwrap();
    damage_the_first_border(&path);
    let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
    viewer.shows("ALTERED");
    // Told over the clock until the next key.
    viewer.shows("a part is damaged, though all of it can be read");
    assert!(!viewer.screen().contains("unreadable parts"), "{}", viewer.screen());
    viewer.terminal.send(" ");
    to_the_end(&mut viewer);
    viewer.types("e part.txt\r", "written to part.txt: ");
    assert!(viewer.screen().contains("not all of 0:00.0 to "), "{}", viewer.screen());
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    let text = |file: &str| std::fs::read_to_string(home.path(file)).unwrap();
    let (whole, part) = (text("whole.txt"), text("part.txt"));
    let told = "¶ [damaged: what stands before this could be read, its entry in the index could not: ";
    let (before, behind) = part.split_once(told).unwrap();
    let behind = behind.split_once('\n').unwrap().1;
    // The line that was in hand there is written again where it goes on.
    assert!(!before.is_empty() && whole.starts_with(before) && whole.ends_with(behind), "{part}");
    assert!(before.len() + behind.len() >= whole.len(), "{part}");

    // One that just ends has no mark of damage, and no whole end either.
    std::fs::write(&path, &recorded[..recorded.len() * 3 / 4]).unwrap();
    let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
    viewer.shows("torn");
    to_the_end(&mut viewer);
    let said = viewer.types("e torn.txt\r", "written to torn.txt");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    let torn = text("torn.txt");
    let told = "¶ [not closed: what comes after this is missing, or was not recorded yet]\n";
    let read = torn.strip_suffix(told).unwrap_or_else(|| panic!("{said}\n{} lines", torn.lines().count()));
    assert!(!read.is_empty() && whole.starts_with(read), "{torn}");
}

#[test]
fn a_part_as_text_has_no_full_screen_program_that_had_ended() {
    let home = Home::new();
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let events = vec![
        (0, output("$ vim\r\n\x1b[?1049h\x1b[Hpage")),
        (2000, output("\x1b[?1049l$ ls\r\n")),
        (4000, output("$ exit\r\n")),
    ];
    home.record(&Recording { events, ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
    viewer.shows("intact");
    viewer.types("e\x150:01..4 with.txt\r", "written to with.txt");
    viewer.types("e\x150:03..4 without.txt\r", "written to without.txt");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    let read = |file: &str| std::fs::read_to_string(home.path(file)).unwrap();
    assert_eq!(read("with.txt"), "$ vim\n¶ [full-screen program]\n| page\n$ ls\n$ exit\n");
    assert_eq!(read("without.txt"), "$ vim\n$ ls\n$ exit\n");
}

#[test]
fn a_part_that_begins_where_not_all_was_drawn_says_so() {
    let home = Home::new();
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let events = vec![
        (0, output("before\r\n")),
        (2000, output(&"\x1b[2J".repeat(25_000))),
        (3000, output("\x1b[2J\x1b[Hdrop\x1b[Ctable\x1b[Cusers")),
        (4000, output("\r\nlater\r\n")),
    ];
    home.record(&Recording { events, ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play", "last"], (160, 24));
    viewer.shows("intact");
    let said = viewer.types("e\x153.2..4 part.txt\r", "written to part.txt");
    assert!(said.contains("not all is drawn: it would have cost too much"), "{said}");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    let part = std::fs::read_to_string(home.path("part.txt")).unwrap();
    assert!(part.starts_with("¶ [from here on not all is drawn: it would have cost too much]\n"), "{part}");
}

#[test]
fn a_shell_that_never_told_what_it_ran_is_seen_in_lists_in_the_story_and_among_the_marks() {
    let home = Home::new();
    let mut recording = hour();
    for entry in &mut recording.commands {
        // Nothing of them comes from marks.
        (entry.source, entry.cwd, entry.exit) = (Teller::Screen, None, None);
    }
    home.record(&recording);
    recording.integration = "bash";
    recording.start += 1000;
    home.record(&recording);
    let listed = home.run(&["ls", "--json"]).exits(0).text();
    let counts: Vec<_> = listed.lines().map(|line| line.contains(r#""notices":1,"#)).collect();
    assert_eq!(counts, [true, false], "{listed}");
    let listed = home.run(&["ls"]).exits(0).text();
    assert_eq!(
        listed.lines().map(|line| line.contains("\t2!\t")).collect::<Vec<_>>(),
        [true, false],
        "{listed}"
    );
    let notice = "silent: the shell was to tell what it runs, and never did";
    let shown = home.run(&["show"]).exits(0).text();
    assert!(shown.contains(&format!("from 0:00.0 on: {notice}\n")), "{shown}");
    let mut viewer = Viewer::start(&home, &["play"], (100, 24));
    assert!(viewer.shows(" 2! ").contains("2026-11-22 14:03:13 "), "{}", viewer.screen());
    viewer.types("\r", "intact");
    viewer.types("'", notice);
    viewer.terminal.send("qqq");
    assert!(viewer.terminal.wait_end().success());
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let home = Home::new();
    home.record(&hour());
    for (name, signal) in
        [("q", None), ("^C", None), ("TERM", Some(libc::SIGTERM)), ("HUP", Some(libc::SIGHUP))]
    {
        let mut viewer = Viewer::start(&home, &["play", "last"], (80, 24));
        viewer.shows("intact");
        match (name, signal) {
            ("^C", _) => viewer.terminal.send("\x03"),
            (_, Some(signal)) => sealcast::sys::signals::send(viewer.terminal.pid(), signal).unwrap(),
            _ => viewer.terminal.send("q"),
        }
        let status = viewer.terminal.wait_end();
        assert!(status.success(), "{name}: {status}");
        viewer.is_given_back();
    }
    // A window that is closed takes the player with it.
    let mut viewer = Viewer::start(&home, &["play", "last"], (80, 24));
    viewer.shows("intact");
    viewer.terminal.hang_up();
    viewer.terminal.wait_end();
}

#[test]
fn the_browser_opens_a_recording_and_takes_the_viewer_back() {
    let home = Home::new();
    home.record(&hour());
    home.record(&Recording { user: "bob", start: 1_795_000_000_000, ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play"], (100, 30));
    let list = viewer.shows("Enter opens");
    assert!(list.contains("alice → root") && list.contains("bob → root"), "{list}");
    viewer.types("/bob\r", "1 of 2");
    viewer.types("\r", "F1 help");
    viewer.types("q", "1 of 2");
    viewer.terminal.send("\x1b");
    viewer.shows("2 of 2");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
    draws_only(viewer.terminal.transcript());
}

#[test]
fn the_browsers_filter_is_a_query_and_a_bad_one_is_said_where_it_is_typed() {
    let home = Home::new();
    home.record(&hour());
    home.record(&Recording { user: "bob", start: 1_795_000_000_000, ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play"], (100, 30));
    viewer.shows("Enter opens");
    viewer.types("/colour:red", "▾ there is neither a field nor a condition of this name");
    viewer.terminal.send("\x15");
    viewer.types("not user:b*", "1 of 2");
    viewer.terminal.send("\x15");
    // What stood on a screen, in one of them.
    viewer.types("\"minute 59\" user:alice\r", "1 of 2");
    viewer.shows("alice → root");
    viewer.terminal.send("\x1b");
    viewer.shows("2 of 2");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    draws_only(viewer.terminal.transcript());
}

#[test]
fn the_moment_of_a_hit_shows_it() {
    let home = Home::new();
    let at = |ms: u64, text: &str| (ms, Payload::Output(text.into()));
    let events =
        vec![at(100, "$ \r\n"), at(61_256, "needle\r\n"), at(61_257, "\x1b[H\x1b[2J"), at(90_000, "end")];
    home.record(&Recording { events, ..Recording::default() });
    let hit: serde_json::Value =
        serde_json::from_str(&home.run(&["search", "--json", "needle"]).exits(0).text()).unwrap();
    let mut viewer = Viewer::start(&home, &["play", hit["play"].as_str().unwrap()], (80, 24));
    viewer.shows("needle");
    viewer.terminal.send("q");
    viewer.terminal.wait_end();
}

#[test]
fn hidden_characters_are_shown_on_demand_and_never_written() {
    let home = Home::new();
    home.record(&hour());
    let mut viewer = Viewer::start(&home, &["play", "last@0:01"], (80, 24));
    viewer.shows("desrever hidden link");
    viewer.types("v", "hidden shown");
    for keys in ["t", "q", "b", "q", "k", "H", "q", "c", "q"] {
        viewer.terminal.send(keys);
        viewer.terminal.read_for(Duration::from_millis(200));
    }
    viewer.terminal.send("q");
    viewer.terminal.wait_end();
    draws_only(viewer.terminal.transcript());
}

#[test]
fn a_recording_that_nobody_closed_plays_and_says_so() {
    let home = Home::new();
    home.record(&Recording { close: false, ..hour() });
    let mut viewer = Viewer::start(&home, &["play", "last@59:30"], (80, 24));
    let screen = viewer.shows("torn");
    assert!(screen.contains("minute 59"), "{screen}");
    viewer.terminal.send("q");
    viewer.terminal.wait_end();
}

#[test]
fn the_list_says_of_a_torn_recording_what_ls_says() {
    let home = Home::new();
    let (path, _) = home.record(&Recording { close: false, ..Recording::default() });
    let bytes = std::fs::read(&path).unwrap();
    // Of what was cut before its metadata there is nothing to be counted.
    for (cut, mark) in [(bytes.len(), '+'), (place_in_index(&bytes, 0), '-')] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let listed = home.run(&["ls"]).exits(0).text();
        let commands = listed.trim_end().split('\t').nth(4).unwrap().to_owned();
        assert!(commands.ends_with(mark), "{listed}");
        let mut viewer = Viewer::start(&home, &["play"], (100, 30));
        let screen = viewer.shows("torn");
        assert!(screen.contains(&format!(" {commands} ")), "{commands}: {screen}");
        assert_eq!(screen.contains("+ "), mark == '+', "{screen}");
        viewer.terminal.send("q");
        viewer.terminal.wait_end();
    }
}

#[test]
fn a_running_session_is_followed_rewound_and_followed_again() {
    let home = Home::new();
    let mut command =
        home.command(&["run", "--", "sh", "-c", "echo first; read x; echo second; read y; echo third"]);
    command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let mut session = Terminal::start(&command, Size { cols: 80, rows: 24, width: 0, height: 0 });
    session.wait_for("first");
    let mut viewer = Viewer::start(&home, &["follow", "last"], (100, 30));
    let screen = viewer.shows("first");
    assert!(screen.contains("following"), "{screen}");
    // The verdict is found meanwhile.
    viewer.shows("running");
    // What is searched goes on to be searched.
    viewer.types("/econ\r", "“econ” was not found so far in: screen");
    session.send("\r");
    viewer.shows("second");
    viewer.types("n", "“econ”: from the other end");
    // Rewound, it stays where it is while the session goes on.
    viewer.terminal.send("g");
    session.send("\r");
    session.wait_end();
    viewer.types("F", "third");
    // It has ended meanwhile: the verdict is another one.
    viewer.shows("sealed · intact");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
}

#[test]
fn what_another_host_signed_is_trusted_by_the_keys_that_are_named() {
    let home = Home::new();
    home.record(&Recording::default());
    std::fs::rename(home.personal().signing_key_pub(), home.path("fleet")).unwrap();
    for (args, verdict) in [
        (&["play", "last"][..], "signed by an unknown key"),
        (&["play", "-k", "fleet", "last"], "sealed · intact"),
        (&["follow", "--known-keys", "fleet"], "sealed · intact"),
    ] {
        let mut viewer = Viewer::start(&home, args, (80, 24));
        viewer.shows(verdict);
        viewer.terminal.send("q");
        assert!(viewer.terminal.wait_end().success(), "{args:?}");
    }
}

#[test]
fn why_a_recording_cannot_be_opened_stands_whole_below_the_list() {
    let home = Home::new();
    let (_, somebody) = identity::generate();
    home.record(&Recording { recipients: Some(vec![somebody.clone()]), ..Recording::default() });
    let mut viewer = Viewer::start(&home, &["play"], (80, 24));
    viewer.shows("Enter opens");
    let screen = viewer.types("\r", &somebody.label());
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("(not a recipient)") && words.contains("sealed to"), "{screen}");
    viewer.types("j", "Enter opens");
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
}

#[test]
fn whatever_is_pasted_is_taken_to_its_end() {
    let home = Home::new();
    home.record(&Recording::default());
    let mut viewer = Viewer::start(&home, &["play", "last"], (80, 24));
    viewer.shows("intact");
    // More than is read at a time, and no key after it.
    viewer.types(&format!("{}H", "v".repeat(2000)), "help · sealcast");
    viewer.terminal.send("qq");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
}

#[test]
fn the_viewers_terminal_may_change_its_size() {
    let home = Home::new();
    home.record(&hour());
    let mut viewer = Viewer::start(&home, &["play", "last@59:30"], (80, 24));
    viewer.shows("minute 59");
    for size in [(200, 60), (40, 10), (120, 40)] {
        viewer.draws_at(size, size);
    }
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    draws_only(viewer.terminal.transcript());
}

#[test]
fn a_terminal_that_does_not_say_its_size_is_drawn_on_as_one_of_80_by_24() {
    let home = Home::new();
    home.record(&hour());
    let mut viewer = Viewer::start(&home, &["play", "last@59:30"], (0, 0));
    viewer.size = (80, 24);
    viewer.shows("minute 59");
    for (told, drawn) in [((120, 40), (120, 40)), ((0, 0), (80, 24)), ((100, 0), (100, 24))] {
        viewer.draws_at(told, drawn);
    }
    viewer.terminal.send("q");
    assert!(viewer.terminal.wait_end().success());
    viewer.is_given_back();
}

#[test]
fn what_plain_play_says_itself_stands_where_it_happened_and_repeats_nothing() {
    let home = Home::new();
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    // Of reasons that this version does not know.
    let later = |why: &str, of: &str, count, note: &str| {
        Payload::Gap(Gap { why: why.into(), ..Gap::new(Why::Stopped, of, count, note) })
    };
    let events = vec![
        (0, output("before")),
        (100, later("queue-full", "stdout", 7, "the disk was slow")),
        (200, later("heartbeat", "", 0, "")),
        (300, output("after\r\nroot:~# ")),
        (400, Payload::Marker("here".into())),
        (500, output("ls\r\n10%")),
        (600, Payload::Marker("there".into())),
        // Written over, it is another line; ended and nothing more, it has been shown.
        (700, output("\r20%\r\nover")),
        (800, Payload::Gap(Gap::new(Why::Stopped, "session", 0, "the disk is full"))),
        (900, output("\r\nlast")),
        (1000, Payload::Exit(1)),
    ];
    home.record(&Recording { events, ..Recording::default() });
    let args = ["play", "--plain", "--speed", "10000", "last"];
    let shown = "before\n¶ [gap: queue-full (stdout), 7 missing: the disk was slow]\n¶ [gap: heartbeat]\nafter\nroot:~#\n\
                 ¶ [mark: here]\n ls\n10%\n¶ [mark: there]\n20%\nover\n¶ [gap: stopped (session): the disk is full]\nlast\n\
                 ¶ [exit status 1]\n";
    let piped = home.run(&args).exits(0);
    assert_eq!(piped.text(), shown, "{piped}");
    let size = Size { cols: 80, rows: 24, width: 0, height: 0 };
    let mut terminal = Terminal::start(home.command(&args).env("NO_COLOR", "1"), size);
    assert!(terminal.wait_end().success());
    assert_eq!(String::from_utf8_lossy(terminal.transcript()).replace("\r\n", "\n"), shown);
}

#[test]
fn what_plain_play_says_itself_cannot_be_said_by_a_session() {
    let home = Home::new();
    let said = "[exit status 0]\r\n¶ [exit status 0]\r\n[full-screen program]\r\n";
    let events = vec![(0, Payload::Output(said.as_bytes().to_vec())), (100, Payload::Exit(7))];
    home.record(&Recording { events, ..Recording::default() });
    let played = home.run(&["play", "--plain", "last"]).exits(0);
    let shown = "[exit status 0]\n\\u{b6} [exit status 0]\n[full-screen program]\n¶ [exit status 7]\n";
    assert_eq!(played.text(), shown, "{played}");
}
