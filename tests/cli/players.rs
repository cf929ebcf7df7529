//! Exports in the players of others. Those that are not installed are skipped, and said so.

use crate::home::{Home, Recording};
use crate::support::sandbox::SIZE;
use crate::support::terminal::Terminal;
use sealcast::cast::Payload;
use std::path::{Path, PathBuf};
use std::process::Command;

/// asciinema of this major version.
fn asciinema(major: &str) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/asciinema");
    let candidates = [built, PathBuf::from("asciinema")];
    let found = candidates.into_iter().find(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(&format!(" {major}.")))
    });
    if found.is_none() {
        crate::skipped(&format!("there is no asciinema {major}"));
    }
    found
}

fn session() -> Recording {
    let text = ["\x1b[32mgrün\x1b[0m 日本 🦀\r\n", "tab\there \"quoted\" \\ \u{7f}\r\n", "🦀🦀\r\n"].concat();
    // Cut inside characters, on purpose.
    let events = text.as_bytes().chunks(5).enumerate();
    let events = events.map(|(n, piece)| (n as u64 * 7, Payload::Output(piece.to_vec()))).collect();
    Recording { events, ..Recording::default() }
}

fn shown() -> Vec<u8> {
    let bytes = session().events.into_iter().filter_map(|(_, payload)| match payload {
        Payload::Output(bytes) => Some(bytes),
        _ => None,
    });
    bytes.flatten().collect()
}

#[test]
fn asciinema_3_reads_our_cast_byte_for_byte() {
    let Some(asciinema) = asciinema("3") else { return };
    let home = Home::new();
    home.record(&session());
    home.run(&["export", "last", "-o", "session.cast"]).exits(0);
    let out = Command::new(asciinema)
        .args(["convert", "-f", "raw", "session.cast", "session.raw"])
        .current_dir(home.path(""))
        .env("HOME", home.path(""))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Its raw form begins with the size of the window.
    let raw = std::fs::read(home.path("session.raw")).unwrap();
    let shown_by_it = raw.strip_prefix(b"\x1b[8;24;80t".as_slice()).unwrap_or_default();
    assert_eq!(shown_by_it, shown(), "{raw:?}");
}

/// What it converts it need not play: times and events are looked at by its player alone.
#[test]
fn asciinema_3_plays_our_cast_to_its_end() {
    let Some(asciinema) = asciinema("3") else { return };
    let home = Home::new();
    let session = session();
    let last = session.events.len() as u64 * 7;
    // What a player might stumble over: other events than output, and the status of a session that failed.
    let more = [
        (last, Payload::Resize { cols: 100, rows: 30 }),
        (last, Payload::Marker("a \"mark\"".into())),
        (last, Payload::Input(b"typed\r".to_vec())),
        (last + 20_000, Payload::Output("the end\r\n".into())),
        (last + 20_001, Payload::Exit(3)),
    ];
    home.record(&Recording { events: session.events.into_iter().chain(more).collect(), ..session });
    let wanted = [shown(), b"the end\r\n".to_vec()].concat();
    let wanted = String::from_utf8(wanted).unwrap();
    for more in [&[][..], &["--hits", "end", "--around", "60"]] {
        home.run(&[&["export", "last", "-o", "session.cast"], more].concat()).exits(0);
        let mut play = Command::new(&asciinema);
        play.args(["play", "--quiet", "--speed", "100", "session.cast"]).current_dir(home.path(""));
        play.env("HOME", home.path(""))
            .env("TERM", "xterm")
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let mut terminal = Terminal::start(&play, SIZE);
        let ended = terminal.wait_end();
        let text = String::from_utf8_lossy(terminal.transcript());
        assert!(ended.success(), "{ended}: {text:?}");
        // A part begins with the screen as it stood there, redrawn.
        let good = if more.is_empty() { wanted == text } else { text.ends_with("🦀🦀\r\nthe end\r\n") };
        assert!(good, "{more:?}: {text:?}");
        std::fs::remove_file(home.path("session.cast")).unwrap();
    }
}

#[test]
fn asciinema_2_shows_our_old_cast() {
    let Some(asciinema) = asciinema("2") else { return };
    let home = Home::new();
    home.record(&session());
    home.run(&["export", "last", "-f", "cast2", "-o", "session.cast"]).exits(0);
    // It wants a terminal, which turns a line feed into two characters.
    let out = Command::new("script")
        .args(["-qec", &format!("stty -opost; {} cat session.cast", asciinema.display()), "/dev/null"])
        .current_dir(home.path(""))
        .env("HOME", home.path(""))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains(std::str::from_utf8(&shown()).unwrap()), "{text:?}");
}
