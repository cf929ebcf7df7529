//! Whoever takes the recorder's memory gets the segment in hand, the screen, and the keys of what comes next; nothing
//! older: measured, by reading it.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

mod forgets {
    #[path = "../support/sample.rs"]
    mod sample;

    pub mod memory;
    pub mod secret;
}

use forgets::memory;
use forgets::secret::{self, Known};
use std::path::{Path, PathBuf};
use support::host::{Host, SEALCAST as INSTALLED, STORE};
use support::sandbox::{SIZE, Sandbox};
use support::terminal::Terminal;

const SEALCAST: &str = env!("CARGO_BIN_EXE_sealcast");

/// Prints a thousand numbered lines that begin with `mark`, then `megabytes` of other text, and says `done` where it is.
fn lines(mark: &str, megabytes: usize, done: &str) -> String {
    format!(
        "perl -e 'for (1..1000) {{ print \"{mark} $_ \", rand(), \"\\n\" }} \
         for (1..{megabytes}*16384) {{ printf \"%063d\\n\", rand(1e9) }}'; printf '%s%s\\n' {} {}\n",
        &done[..2],
        &done[2..]
    )
}

#[test]
fn the_recorder_forgets_a_segment_when_it_ends() {
    if !support::is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(SEALCAST);
    command.args(["run", "--", "sh"]).env("PS1", "$ ");
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("$ ");
    let recorder = terminal.pid();
    // What is in hand must be found: else the search itself would prove nothing.
    terminal.send("echo JUST-NOW-$((40+2)); : \r");
    terminal.wait_for("JUST-NOW-42");
    let (found, read) = memory::count(recorder, b"JUST-NOW-42");
    assert!(found > 0 && read > 1 << 20, "not even what was just shown is found ({read} bytes were read)");

    // Every line, and in words that are not the command's: any of them may be the last that somebody looked at.
    terminal.send(lines("OLD-@{[SECRET]}", 3, "FIRST-DONE").replace('\n', "\r"));
    terminal.wait_for("FIRST-DONE");
    terminal.send(lines("NEWER", 3, "SECOND-DONE").replace('\n', "\r"));
    terminal.wait_for("SECOND-DONE");
    // Several segments have ended since; the threads that read along may need a moment.
    let mut before = Vec::new();
    support::until("the old segment to be forgotten", || {
        let places = memory::places(recorder, b"OLD-SECRET");
        if places != before {
            println!("found in {places:?}");
            before.clone_from(&places);
        }
        places.is_empty().then_some(())
    });
    terminal.send("exit\r");
    assert!(terminal.wait_end().success());
}

/// The only recording of a store.
fn recording(store: &Path) -> PathBuf {
    let entries = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "scast")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Has a session shown several segments, and reads the memory of every process of it: no key of what is sealed, and
/// nothing that led to one, is in any of them. The keys of what comes next are in the recorder's.
fn only_the_next_keys_are_found(mut terminal: Terminal, store: &Path, identity: &Path, signing_key: &Path) {
    terminal.wait_for("$ ");
    let recorder = terminal.pid();
    terminal.send(lines("SHOWN", 3, "FIRST-DONE").replace('\n', "\r"));
    terminal.wait_for("FIRST-DONE");
    terminal.send(lines("SHOWN", 2, "SECOND-DONE").replace('\n', "\r"));
    terminal.wait_for("SECOND-DONE");
    let store = PathBuf::from(format!("/proc/{recorder}/root{}", store.display()));
    let file = recording(&store);
    let identity = std::fs::read_to_string(identity).unwrap();
    let known = |least| {
        let known = Known::of(&std::fs::read(&file).unwrap(), &identity)?;
        (known.segments >= least).then_some(known)
    };
    let (known, pieces, later) = support::until("the keys of what comes next to be found", || {
        let known = known(2)?;
        let mut pieces = memory::of(recorder);
        if known.next_found_in(&pieces) < known.next.len() {
            // Something was sealed in between.
            return None;
        }
        pieces.extend(support::descendants(recorder).into_iter().flat_map(memory::of));
        Some((known, pieces, Known::of(&std::fs::read(&file).unwrap(), &identity)?))
    });
    let size: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    println!("{} bytes of memory, {} segments", size, known.segments);
    let mut found = known.past.found_in(&pieces);
    found.extend(secret::identity(&identity).found_in(&pieces));
    found.extend(secret::signing_key(&std::fs::read_to_string(signing_key).unwrap()).found_in(&pieces));
    let written = known.checkpoints.len() - 1;
    let (old, next): (Vec<_>, Vec<_>) = secret::signers_in(&pieces, &later.checkpoints)
        .into_iter()
        .partition(|(number, _)| *number < written);
    found.extend(
        old.into_iter().map(|(number, at)| format!("the signing key of checkpoint {number} in {at}")),
    );
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    // Else the search itself would prove nothing.
    assert!(!next.is_empty(), "not even the next signing key is found");
    terminal.send("exit\r");
    assert!(terminal.wait_end().success());
}

#[test]
fn no_process_of_a_session_holds_a_key_of_what_is_sealed_in_personal_mode() {
    if !support::is_root() {
        return;
    }
    // The keys of whoever records are made in the same process: it must not keep those either.
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(SEALCAST);
    command.args(["run", "--", "sh"]).env("PS1", "$ ");
    let place = sandbox.path("home/.local/share/sealcast");
    only_the_next_keys_are_found(
        Terminal::start(&command, SIZE),
        &place.join("recordings"),
        &place.join("keys/identity.txt"),
        &place.join("keys/signing_key"),
    );
}

#[test]
fn no_process_of_a_session_holds_a_key_of_what_is_sealed_on_a_host() {
    let Some(host) = Host::start() else { return };
    let terminal = host.terminal("root", &[INSTALLED, "run", "--", "sh", "-c", "PS1='$ ' exec sh"]);
    only_the_next_keys_are_found(
        terminal,
        Path::new(STORE),
        &host.etc("sealcast/identity"),
        &host.etc("sealcast/signing"),
    );
}
