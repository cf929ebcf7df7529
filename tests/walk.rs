//! An investigator's walk, in tmux, at three sizes: a string that only stood inside a vim session an hour in is found, the
//! command before it is stepped to and marked, and the part between is exported. Every screen on the way is kept in
//! `fixtures/player/walk-COLSxROWS.txt`.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "cli/home.rs"]
mod home;
mod support;

use home::{Home, Recording};
use sealcast::cast::line::Decoder;
use sealcast::cast::{Command as Entry, Payload};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// When vim was started: an hour in.
const VIM: u64 = 3_600_000;

/// An hour of listings, then a real session of vim (`fixtures/screens/vim-edit.cast.zst`), as it was recorded.
fn hour() -> Recording {
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let mut events = vec![(100, output("root@web-3:~# "))];
    for minute in 1..60u64 {
        events.push((minute * 60_000, output("systemctl status nginx\r\n")));
        let line = format!("\x1b[32m●\x1b[m nginx.service: active for {minute} min\r\nroot@web-3:~# ");
        events.push((minute * 60_000 + 200, output(&line)));
    }
    events.push((VIM - 5_000, output("cp config config.old\r\nroot@web-3:~# ")));
    events.push((VIM - 10, output("vim config\r\n")));
    let packed =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/screens/vim-edit.cast.zst"));
    let text = zstd::bulk::decompress(&packed.unwrap(), 4 << 20).unwrap();
    let mut decoder = Decoder::default();
    let mut last = VIM;
    for event in text.split(|byte| *byte == b'\n').filter_map(|line| decoder.decode(line).unwrap()) {
        last = VIM + u64::try_from(event.time.as_millis()).unwrap();
        events.push((last, event.payload));
    }
    events.push((last + 1_000, output("root@web-3:~# exit\r\n")));
    events.push((last + 1_100, Payload::Exit(0)));
    let command = |text: &str, start, end| Entry {
        text: text.into(),
        start,
        end: Some(end),
        exit: Some(0),
        ..Entry::default()
    };
    let mut commands: Vec<Entry> = (1..60)
        .map(|minute| command("systemctl status nginx", minute * 60_000, minute * 60_000 + 200))
        .collect();
    commands.push(command("cp config config.old", VIM - 5_000, VIM - 4_990));
    commands.push(command("vim config", VIM - 10, last));
    Recording { events, commands, ..Recording::default() }
}

/// A server of tmux with one window.
struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    fn start(home: &Home, (cols, rows): (u16, u16)) -> Self {
        let tmux = Self { socket: home.path("tmux") };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let shell = format!(
            "exec env -i PATH={}:/usr/bin:/bin HOME={} TZ=UTC LANG=C.UTF-8 TERM=\"$TERM\" PS1='shell> ' sh",
            Path::new(env!("CARGO_BIN_EXE_sealcast")).parent().unwrap().display(),
            home.path("").display()
        );
        let work = home.path("");
        tmux.run(&["new-session", "-d", "-x", &cols, "-y", &rows, "-c", work.to_str().unwrap(), &shell]);
        tmux.run(&["set", "-g", "status", "off"]);
        // Without a client the window has the size it was given, the line of the status bar included.
        tmux.run(&["resize-window", "-x", &cols, "-y", &rows]);
        tmux
    }

    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(&self.socket).args(args).env("LC_ALL", "C.UTF-8");
        let out = command.env_remove("TMUX").output().unwrap();
        assert!(out.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Types: text as it is, then a key by its name.
    fn types(&self, text: &str, key: &str) {
        if !text.is_empty() {
            self.run(&["send-keys", "-l", "--", text]);
        }
        if !key.is_empty() {
            self.run(&["send-keys", key]);
        }
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows something.
    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let end = Instant::now() + support::DEADLINE;
        loop {
            let now = self.screen();
            if now.contains(text) {
                return now;
            }
            assert!(Instant::now() < end, "waited for {text:?}; the screen is\n{now}");
            support::pause(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        // It may have gone already.
        let _ = command.arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

/// The screens of a walk as they are kept: what was done, and what was shown then.
fn kept(text: &str) -> Vec<(&str, &str)> {
    let section = |text| str::split_once(text, '\n').map(|(what, screen)| (what, screen.trim_end()));
    text.split("=== ").filter_map(section).collect()
}

/// Walks, and gives the screens as they are kept. Each is waited for until it is as it was: what stands on the screen may
/// still be a frame before the one that is meant, or half of it. After the first that stays another one the walk goes on
/// with what is shown, so that all of it can be looked at.
fn walk(size: (u16, u16), wanted: &str) -> String {
    let home = Home::new();
    let (path, id) = home.record(&hour());
    let tmux = Tmux::start(&home, size);
    tmux.shows("shell>");
    let wanted = kept(wanted);
    let (mut screens, mut good) = (Vec::new(), true);
    let mut step = |what: &str, text: &str| {
        let end = Instant::now() + support::DEADLINE;
        // The id is the one thing in the screens that is another in each recording.
        let mut screen = tmux.shows(text).trim_end().replace(&id, "RECORDED");
        while good && !wanted.contains(&(what, screen.as_str())) {
            good = Instant::now() < end;
            support::pause(Duration::from_millis(50));
            screen = tmux.screen().trim_end().replace(&id, "RECORDED");
        }
        screens.push(format!("=== {what}\n{screen}"));
    };

    tmux.types(&format!("sealcast play {id}@0:30"), "Enter");
    step("opened half a minute in", "intact");
    tmux.types("/option42 changed", "Enter");
    step("/option42 changed", "match 1/2");
    tmux.types("[", "");
    step("[ the command before vim", "59:55.0 /");
    tmux.types("mhere it began", "Enter");
    step("m here it began", "marked, beside the recording");
    tmux.types("n", "");
    tmux.shows("⏸ 1:00:01.9 /");
    tmux.types("e", "");
    tmux.shows("export: 59:55.0..");
    tmux.types(" part.cast", "Enter");
    step("e to part.cast", "written to part.cast");
    tmux.types("'", "");
    step("' the marks", "here it began");
    tmux.types("qt", "");
    step("t the transcript", "transcript ·");
    tmux.types("qq", "");
    step("q and back in the shell", "sealcast play");
    // The terminal is as it was: main screen, no mouse, a cursor.
    let left = tmux.run(&["display", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"]);
    assert_eq!(left.trim(), "0 0 1", "{size:?}");
    tmux.types("stty -a | grep -o ' icanon\\| echo '", "Enter");
    // What it prints, and not the line that was typed.
    tmux.shows("\n icanon\n echo\nshell>");

    let part = std::fs::read_to_string(home.path("part.cast")).unwrap();
    assert!(part.contains("vim config") && part.contains("config.old") && part.contains("changed"), "{part}");
    let marks = std::fs::read_to_string(format!("{}.marks.json", path.display())).unwrap();
    assert!(marks.contains("here it began") && marks.contains("3595000"), "{marks}");
    assert!(home.run(&["verify", &id]).exits(0).text().contains("intact"));
    screens.join("\n\n")
}

#[test]
fn an_investigators_walk_is_as_it_was_found_good() {
    if Command::new("tmux").arg("-V").output().is_err() {
        support::skipped("tmux is not installed");
        return;
    }
    let mut differ = String::new();
    for size in [(80, 24), (120, 40), (200, 60)] {
        let name = format!("fixtures/player/walk-{}x{}.txt", size.0, size.1);
        let want =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)).unwrap_or_default();
        let seen = walk(size, &want);
        if seen.trim_end() != want.trim_end() {
            differ.push_str(&format!("##### {name} now looks like this:\n{seen}\n"));
        }
    }
    assert!(differ.is_empty(), "{differ}");
}
