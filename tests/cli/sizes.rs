//! Terminals that do not say their size (a serial line, `expect`, `ssh -tt` in a script), or that are as small as can be: they are
//! terminals. What a program printed is drawn as it was, and no carriage return is added to its newlines.

use crate::home::Home;
use crate::second::second_reader;
use crate::support::terminal::Terminal;
use sealcast::sys::tty::Size;

/// Once the terminal has the size that `$1` is to `stty`, prints something far to the right and newlines that are no more than that:
/// a word stands in one row only where the first half is gone on from.
const STAIRS: &str = r#"echo READY; until [ "$(stty size)" = "$1" ]; do read -t 0.05 x; done
printf '\033[95Gx\r\n'; stty -onlcr; printf 'one\ntwo\r\nhal\n\033[Aves\r\n'; seq 3000; stty onlcr"#;

/// Records [`STAIRS`] on a terminal of one size that becomes another.
fn stairs(from: (u16, u16), to: (u16, u16)) -> Home {
    let home = Home::new();
    let size = format!("{} {}", to.1, to.0);
    let mut command = home.command(&["run", "--", "bash", "-c", STAIRS, "bash", &size]);
    command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
    let mut terminal = Terminal::start(&command, Size { cols: from.0, rows: from.1, width: 0, height: 0 });
    terminal.wait_for("READY");
    if from != to {
        terminal.resize(to.0, to.1);
    }
    terminal.wait_for("3000\n");
    assert!(terminal.wait_end().success());
    home
}

#[test]
fn a_terminal_that_does_not_say_its_size_is_one() {
    let right = |column: usize| format!("\n{}x\none\n   two\nhalves\n1\n 2\n  3\n", " ".repeat(column - 1));
    for (from, to, begins, drawn) in [
        ((0, 0), (0, 0), (80, 24), right(80)),
        ((0, 0), (100, 30), (80, 24), right(95)),
        ((0, 7), (0, 7), (80, 7), right(80)),
        ((100, 30), (0, 0), (100, 30), right(95)),
        // The smallest that is drawn has room for a wide character.
        ((1, 1), (1, 1), (1, 1), "\n x\none\n two\nhal\n ves\n1\n 2\n 3\n".to_owned()),
    ] {
        let (home, what) = (stairs(from, to), format!("{from:?} to {to:?}"));
        let export = home.run(&["export", "last"]).exits(0);
        let header = format!(r#""cols":{},"rows":{},"#, begins.0, begins.1);
        assert!(export.text().lines().next().is_some_and(|line| line.contains(&header)), "{what}: {export}");
        assert!(!export.err.contains("carriage return"), "{what}: {}", export.err);
        let recordings = std::fs::read_dir(home.personal().recordings()).unwrap();
        let mut recordings = recordings.map(|entry| entry.unwrap().path());
        let recording = recordings.find(|path| path.extension().is_some_and(|end| end == "scast")).unwrap();
        let identity = home.path(".local/share/sealcast/keys/identity.txt");
        if let Some(read) = second_reader(&recording, &identity, &[]) {
            assert!(read == export.out, "{what}: {}", String::from_utf8_lossy(&read));
        }
        let older = home.run(&["export", "-f", "cast2", "last"]).exits(0).text();
        let header = format!(r#""width":{},"height":{},"#, begins.0, begins.1);
        assert!(older.lines().next().is_some_and(|line| line.contains(&header)), "{what}: {older}");
        let text = home.run(&["export", "-f", "text", "last"]).exits(0).text();
        assert!(text.contains(&drawn), "{what}: {text}");
        // What its index says was shown is what a reader draws.
        let verified = home.run(&["verify", "--json", "last"]).exits(0).text();
        let verdict: serde_json::Value = serde_json::from_str(&verified).unwrap();
        assert_eq!(verdict["index_differs"], serde_json::json!([]), "{what}: {verified}");
        if begins != (1, 1) {
            home.run(&["search", "halves"]).exits(0);
        }
        // A part of it is of a terminal as well.
        let part = home.run(&["export", "--hits", "2999", "last"]).exits(0);
        assert!(!part.err.contains("carriage return"), "{what}: {}", part.err);
    }
}
