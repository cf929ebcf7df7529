//! Exports in the players of others. Those that are not installed are skipped, and said so.

use crate::home::{Home, Recording};
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
