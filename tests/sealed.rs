//! Sessions of the real binary, sealed and read back: every byte, also after a kill, also in other people's players.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use sealcast::cast::Payload;
use sealcast::container::verify::{Tear, Verdict, verify};
use sealcast::container::{Cursor, Reader};
use sealcast::crypto::identity::Identities;
use sealcast::crypto::known_keys::KnownKeys;
use sealcast::crypto::prompt::Nobody;
use sealcast::store::{Store, personal::Personal, seal};
use sealcast::sys::signals;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::sandbox::{SIZE, Sandbox};
use support::terminal::Terminal;

const SEALCAST: &str = env!("CARGO_BIN_EXE_sealcast");

/// Personal mode of a sandbox, its keys made.
fn personal(sandbox: &Sandbox) -> Personal {
    let made = sandbox.command(SEALCAST).args(["keys", "new"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Personal::at(sandbox.path("home/.local/share/sealcast"))
}

fn run(sandbox: &Sandbox, words: &[&str]) -> Command {
    let mut command = sandbox.command(SEALCAST);
    command.args(["run", "--"]).args(words);
    command
}

fn last(personal: &Personal) -> PathBuf {
    Store::new(personal.recordings()).find("last").unwrap().path
}

/// The output in a recording, as far as it goes.
fn output(personal: &Personal, path: &Path) -> Vec<u8> {
    let identities = Identities::load(&[personal.identity()], Arc::new(Nobody)).unwrap();
    let mut reader = Reader::open(File::open(path).unwrap()).unwrap();
    seal::unlock(&mut reader, &identities).unwrap();
    let mut all = Vec::new();
    if reader.segments() == 0 {
        return all;
    }
    let mut cursor = Cursor::new(&reader, 0).unwrap();
    while let Some(event) = cursor.next(&mut reader).unwrap() {
        if let Payload::Output(bytes) = event.payload {
            all.extend_from_slice(&bytes);
        }
    }
    all
}

fn judge(personal: &Personal, path: &Path) -> Verdict {
    let known = KnownKeys::parse(&std::fs::read_to_string(personal.signing_key_pub()).unwrap()).unwrap();
    verify(File::open(path).unwrap(), |c| seal::certify(&known, c), |_| ()).unwrap().verdict
}

/// The first command of the README, on a machine where nobody ever called it: no keys, no store, a login shell.
#[test]
fn the_first_session_of_a_life_has_vim_and_a_resize_in_it_and_plays_again() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("notes.txt", "one line of text\n");
    let mut command = sandbox.command(SEALCAST);
    command.arg("run").env("SHELL", "/bin/bash").env("TERM", "xterm-256color");
    let mut terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("made your keys in");
    // Not what is echoed while it is typed: only a shell that runs makes one word of it.
    terminal.send("PS1='REA''DY> '\r");
    terminal.wait_for("READY> ");
    terminal.resize(100, 30);
    terminal.line("stty size", "30 100\r\n");
    terminal.wait_for("READY> ");
    let vim = ["/usr/bin/vim", "/usr/bin/vi"].into_iter().find(|path| Path::new(path).exists());
    if let Some(vim) = vim {
        terminal.line(&format!("{vim} -u NONE {}", file.display()), "one line of text");
        terminal.send("oa second line, typed in the editor\x1b");
        terminal.wait_for("second line");
        terminal.resize(90, 28);
        terminal.send(":wq\r");
        terminal.wait_for("READY> ");
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "one line of text\na second line, typed in the editor\n"
        );
    } else {
        support::skipped("there is no vim");
    }
    terminal.line("echo $((6*7)) is the last line", "42 is the last line");
    terminal.send("exit 4\r");
    assert_eq!(terminal.wait_end().code(), Some(4));

    let told = |words: &[&str]| {
        let output = sandbox.command(SEALCAST).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let played = told(&["play", "--plain", "--speed", "10000", "last"]);
    assert!(played.contains("42 is the last line") && played.contains("[exit status 4]"), "{played}");
    if vim.is_some() {
        assert!(played.contains("[full-screen program]"), "{played}");
        assert!(
            told(&["search", "second line, typed in the editor"])
                .contains("second line, typed in the editor")
        );
    }
    let sizes: Vec<String> = told(&["export", "--format", "cast", "last"])
        .lines()
        .filter_map(|line| line.split_once(", \"r\", ").or_else(|| line.split_once(",\"r\",")))
        .map(|(_, size)| size.trim_matches(|c| "\"]".contains(c)).to_owned())
        .collect();
    assert_eq!(sizes.first().map(String::as_str), Some("100x30"), "{sizes:?}");
    assert!(told(&["verify", "last"]).contains("intact"));
}

#[test]
fn fifty_megabytes_of_anything_come_back_byte_for_byte() {
    let sandbox = Sandbox::new();
    let personal = personal(&sandbox);
    // Text, CJK, emoji, every byte value, broken UTF-8, NULs and escape sequences, 50 MB of it.
    let mut unit = "plain text, 日本語のテキスト, 🦀🏳️‍🌈, \x1b[1;31mred\x1b[0m\t".to_owned().into_bytes();
    unit.extend(0..=255u8);
    unit.extend_from_slice(b"\xf0\x9f\xa6 \xc3 \xed\xa0\x80 \xff\xfe \0\0\0\r\n");
    let mut content = Vec::new();
    for n in 0u64.. {
        if content.len() > 50 << 20 {
            break;
        }
        content.extend_from_slice(n.to_string().as_bytes());
        content.extend_from_slice(&unit);
    }
    content.extend_from_slice(b"THE END");
    let file = sandbox.file("content", &content);
    let mut terminal = Terminal::start(&run(&sandbox, &["cat", file.to_str().unwrap()]), SIZE);
    while !terminal.transcript().ends_with(b"THE END") && terminal.read_for(support::DEADLINE) {}
    let ended = terminal.wait_end();
    assert!(ended.success(), "{ended}");
    // What the terminal was given is what the PTY delivered: the kernel has put a CR before each LF.
    let shown = terminal.transcript().to_vec();
    let start = memchr::memmem::find(&shown, b"0plain text").unwrap();
    let shown = &shown[start..];
    assert!(shown.len() > content.len());
    let path = last(&personal);
    let raw = sandbox.command(SEALCAST).args(["export", "--format", "raw"]).arg(&path).output().unwrap();
    assert!(raw.status.success(), "{}", String::from_utf8_lossy(&raw.stderr));
    assert_eq!(raw.stdout.len(), shown.len());
    assert!(raw.stdout == shown, "the export differs from what the terminal was given");
    assert_eq!(judge(&personal, &path), Verdict::Intact);
}

/// Writes a numbered line with the time it was written, every 2 ms at most.
const BUSY: &str =
    r#"use Time::HiRes qw(time sleep); $|=1; while (1) { printf "line %d %.3f\n", ++$n, time; sleep 0.002 }"#;

/// Lines that are written in a second, at most: 2 ms lie between two.
const LINES: usize = 500;

/// What had been shown and was lost.
#[derive(Clone, Copy, Debug)]
struct Lost {
    seconds: f64,
    lines: usize,
}

/// Number and time of the last whole line of `text`.
fn last_line(text: &[u8]) -> Option<(usize, f64)> {
    let text = String::from_utf8_lossy(text);
    let (whole, _) = text.rsplit_once('\n')?;
    let mut words = whole.trim_end().rsplit(' ');
    let time = words.next()?.parse().ok()?;
    Some((words.next()?.parse().ok()?, time))
}

/// Kills recorders in the middle of a busy session. Gives, for each, what had been shown and was lost.
fn kill_recorders(count: usize, at_once: usize) -> Vec<Lost> {
    // What is lost is counted in lines that the program printed: a disk that stands still would not keep it from printing.
    let sandbox = Arc::new(Sandbox::in_memory());
    let personal = Arc::new(personal(&sandbox));
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (sandbox, personal, next) = (Arc::clone(&sandbox), Arc::clone(&personal), Arc::clone(&next));
            std::thread::spawn(move || {
                let mut lost = Vec::new();
                loop {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if n >= count {
                        return lost;
                    }
                    lost.push(kill_one(&sandbox, &personal, n));
                }
            })
        })
        .collect();
    workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
}

/// Random enough for a moment: what the standard library seeds its hash tables with.
fn random() -> u64 {
    std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0)
}

fn kill_one(sandbox: &Sandbox, personal: &Personal, n: usize) -> Lost {
    // A store of its own, so that the recording is told from those of the other workers.
    let home = sandbox.path(&format!("home-{n}"));
    let data = home.join(".local/share/sealcast");
    std::fs::create_dir_all(&data).unwrap();
    let copied = Command::new("cp").arg("-a").arg(personal.keys()).arg(&data).status().unwrap();
    assert!(copied.success());
    let mine = Personal::at(&data);
    let mut command = run(sandbox, &["perl", "-e", BUSY]);
    command.env("HOME", &home);
    let mut terminal = Terminal::start(&command, SIZE);
    // The first line is whole then.
    terminal.wait_for("line 2 ");
    let moment = Duration::from_millis(random() % 3500);
    let end = Instant::now() + moment;
    while Instant::now() < end {
        terminal.read_for(end.saturating_duration_since(Instant::now()).min(Duration::from_millis(20)));
    }
    signals::send(terminal.pid(), signals::SIGKILL).unwrap();
    // To its end: what was shown last may not have been read yet, and is recorded all the same.
    terminal.wait_end();
    let start = memchr::memmem::find(terminal.transcript(), b"line 1 ").unwrap();
    let shown = &terminal.transcript()[start..];

    let path = last(&mine);
    let verdict = judge(&mine, &path);
    assert!(
        matches!(verdict, Verdict::Torn { how: Tear::Border | Tear::Inside, .. }),
        "killed after {moment:?}: {verdict:?}"
    );
    let kept = output(&mine, &path);
    assert!(
        shown.starts_with(&kept),
        "killed after {moment:?}: the recording is not a prefix of what was shown"
    );
    let first = || last_line(&shown[..memchr::memchr(b'\n', shown).unwrap() + 1]);
    let (kept_to, since) = last_line(&kept).or_else(first).unwrap();
    let (shown_to, until) = last_line(shown).unwrap();
    Lost { seconds: until - since, lines: shown_to - kept_to }
}

/// The flush interval is a second, and no more than that is lost. It is counted in lines: a machine that does something else for
/// a while keeps both the program and the recorder, while a second goes by whatever happens. So lines that were lost stand for
/// at least as many times 2 ms in which the program ran and nothing was flushed.
/// `calm`: the machine does nothing else, so that hardly any takes longer, and none takes twice as long.
fn report(lost: &[Lost], calm: bool) {
    let place = |share: f64| ((lost.len() - 1) as f64 * share) as usize;
    let mut seconds: Vec<f64> = lost.iter().map(|lost| lost.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[place(share)];
    println!(
        "{} recorders killed; seconds of shown output lost: median {:.2}, p99 {:.2}, most {:.2}",
        lost.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let mut lines: Vec<usize> = lost.iter().map(|lost| lost.lines).collect();
    lines.sort_unstable();
    assert!(lines[place(0.5)] < LINES, "the median is more than a flush interval: {lost:?}");
    let (most, all) = if calm { (LINES * 13 / 10, 2 * LINES) } else { (2 * LINES, 5 * LINES) };
    assert!(lines[place(0.9)] < most && lines[place(1.0)] < all, "more than a flush interval: {lost:?}");
}

#[test]
fn a_killed_recorder_leaves_a_file_that_opens_and_lacks_the_last_moment_only() {
    // No more at once than two cores have room for: they would keep each other from flushing.
    report(&kill_recorders(16, 2), false);
}

#[test]
#[ignore = "takes minutes; `cargo test --release --test sealed -- --ignored --nocapture` prints the figures"]
fn two_hundred_killed_recorders() {
    report(&kill_recorders(200, 2), true);
}

#[test]
fn an_export_plays_in_asciinema_3() {
    let version = Command::new("asciinema").arg("--version").output();
    let three = version.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(" 3."));
    if !three {
        support::skipped("asciinema 3 is not installed");
        return;
    }
    let sandbox = Sandbox::new();
    let personal = personal(&sandbox);
    let script = r"printf 'caf\303\251 \377 \033[1mbold\033[0m\n'; echo second; exit 3";
    let mut terminal = Terminal::start(&run(&sandbox, &["sh", "-c", script]), SIZE);
    assert_eq!(terminal.wait_end().code(), Some(3));
    let cast = sandbox.path("session.cast");
    let exported = sandbox
        .command(SEALCAST)
        .args(["export", "--format", "cast", "-o"])
        .arg(&cast)
        .arg(last(&personal))
        .output()
        .unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let path = std::env::var_os("PATH").unwrap();
    let mut play = sandbox.command("asciinema");
    play.env("PATH", path).args(["play", "--speed", "100"]).arg(&cast);
    let mut player = Terminal::start(&play, SIZE);
    player.wait_for("café \u{fffd} \x1b[1mbold");
    player.wait_for("second");
    assert!(player.wait_end().success());
}
