//! Lines that are typed and pasted into shells and programs inside.

use super::*;

/// A shell inside, which draws each line of a paste behind its prompt once it reads it, with this below.
fn pasted_inside(lines: &[(&str, &str, &str)], apart: bool) -> Seat {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("$ ").types("sudo -s").starts("sudo -s").shows("root@h:~# ");
    lines.iter().for_each(|_| seat.tracker.entered(seat.time));
    for (line, output, prompt) in lines {
        let drawn = [*line, "\r\n", *output, *prompt];
        match apart {
            true => drawn.iter().for_each(|text| _ = seat.shows(text)),
            false => _ = seat.shows(&drawn.concat()),
        }
        seat.time += 10;
    }
    seat
}

#[test]
fn of_lines_that_are_pasted_into_a_shell_inside_all_are_read_whatever_they_print() {
    const P: &str = "root@h:~# ";
    let silent =
        [("A=1", "", P), ("cd /etc", "", "root@h:/etc# "), ("B=2", "", "root@h:/etc# "), ("C=3", "", P)];
    let print = [
        ("id -u", "0\r\n", P),
        ("echo", "\r\n", P),
        ("ls", "a\r\nb\r\n", P),
        ("ls x", "a\r\nb\r\n", P),
        ("pwd", "/\r\n", P),
    ];
    for lines in [&silent[..], &print[..]] {
        for apart in [false, true] {
            let mut seat = pasted_inside(lines, apart);
            seat.types("date");
            let texts: Vec<String> = seat.entries().into_iter().map(|(text, ..)| text).collect();
            let expected =
                ["sudo -s"].into_iter().chain(lines.iter().map(|(line, ..)| *line)).chain(["date"]);
            assert_eq!(texts, expected.collect::<Vec<_>>(), "{apart}");
        }
    }
}

#[test]
fn lines_pasted_into_a_shell_inside_that_are_not_told_apart_are_counted_and_none_is_made_of_output() {
    const P: &str = "root@h:~# ";
    let first = |n: &str| inferred("tee f", &[n]);
    // Of a terminal that shows them itself the next prompt stands before output.
    let shown = "b\r\nc\r\n1\r\n2\r\nroot@h:~# b\r\nroot@h:~# c\r\n";
    // A program has them, and shows what looks like a prompt.
    let read = "b\r\nc\r\nb\r\nc\r\n";
    for below in [shown, read] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("$ ").types("sudo -s").starts("sudo -s").shows(P);
        (0..3).for_each(|_| seat.tracker.entered(seat.time));
        seat.shows(&format!("tee f\r\n{below}{P}")).types("date").shows("root@h:~# x\r\n");
        let entries = seat.entries();
        assert_eq!(entries[1..], [first("typed-on"), inferred("date", &[])], "{below:?}");
    }
}

#[test]
fn what_of_a_paste_is_only_counted_is_told_with_the_line_that_had_it_and_with_none_that_comes_later() {
    const P: &str = "root@h:~# ";
    for at_once in [true, false] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("$ ").types("sudo -s").starts("sudo -s").shows(P);
        (0..6).for_each(|_| seat.tracker.entered(seat.time));
        seat.shows(&format!("cd /tmp\r\n{P}cat >f <<E\r\n> one\r\n> two\r\n> E\r\n{P}ls\r\nf\r\n{P}"));
        seat.time += 1_000;
        // With its Enter, or key by key.
        if at_once {
            seat.tracker.entered(seat.time);
            seat.shows("systemctl stop prod\r\n");
        } else {
            seat.types("systemctl stop prod");
        }
        let entries = seat.shows(P).entries();
        let flags: Vec<_> =
            entries.iter().map(|(text, _, flags)| (text.lines().next().unwrap(), flags.len())).collect();
        let counted = flags.iter().filter(|(_, flags)| *flags > 0).map(|(text, _)| *text).collect::<Vec<_>>();
        assert!(
            counted.iter().all(|text| text.starts_with("cat") || text.starts_with("ls")),
            "{at_once}: {entries:?}"
        );
        assert!(!counted.is_empty(), "{at_once}: {entries:?}");
        assert_eq!(flags.last(), Some(&("systemctl stop prod", 0)), "{at_once}: {entries:?}");
    }
}

/// As in an editor, and as `read -s` has it: an entry behind them had their time, and they were told as lines that were typed on.
#[test]
fn what_an_editor_had_is_no_line_of_the_command_behind_it() {
    const P: &str = "root@h:~# ";
    let (full, over) = ("\x1b[?1049h\x1b[2J~\r\n~", "\x1b[?1049l");
    for (shell, inside) in [("bash", true), ("bash", false), ("sh", false)] {
        for keys in [full, ""] {
            let mut seat = Seat::new(shell);
            let ran = |seat: &mut Seat, line: &str| {
                seat.types(line);
                if !inside && shell == "bash" {
                    seat.starts(line);
                }
            };
            let prompt = |seat: &mut Seat| {
                if inside {
                    seat.shows(P)
                } else {
                    seat.whole_prompt(P)
                };
            };
            if inside {
                seat.whole_prompt("$ ").types("sudo -s").starts("sudo -s");
            }
            prompt(&mut seat);
            ran(&mut seat, "true");
            prompt(&mut seat);
            ran(&mut seat, "edit f");
            seat.shows(keys);
            for _ in 0..3 {
                seat.time += 60_000;
                seat.tracker.entered(seat.time);
                if keys == full {
                    // As in a paste.
                    seat.tracker.entered(seat.time);
                }
                seat.shows(&format!("{keys}\x1b[H"));
            }
            seat.shows(over);
            prompt(&mut seat);
            seat.time += 1_000;
            let typed = seat.time;
            ran(&mut seat, "seq 5");
            let times = typed..=typed + 1_000;
            seat.shows("1\r\n2\r\n3\r\n4\r\n5\r\n");
            prompt(&mut seat);
            ran(&mut seat, "date");
            prompt(&mut seat);
            let mut commands = seat.tracker.finish(seat.time, Some(0)).commands;
            commands.sort_by_key(|command| command.start);
            let last = commands.iter().map(|c| (c.text.as_str(), c.flags.len())).rev().take(2);
            assert_eq!(last.collect::<Vec<_>>(), [("date", 0), ("seq 5", 0)], "{shell} {inside} {keys:?}");
            let start = commands[commands.len() - 2].start;
            assert!(times.contains(&start), "{shell} {inside} {keys:?}: {start} {times:?}");
        }
    }
}

/// What is typed on before it was drawn, as over a distant line, waits for its line all the same.
#[test]
fn a_line_that_is_still_on_its_way_is_waited_for() {
    const P: &str = "root@h:~# ";
    let mut seat = Seat::new("bash");
    seat.whole_prompt("$ ").types("ssh h").starts("ssh h").shows(P).types("true").shows(P);
    seat.tracker.entered(seat.time);
    seat.shows("cd /");
    seat.tracker.entered(seat.time);
    seat.shows(&format!("tmp\r\n{P}vi f\r\n\x1b[?1049h\x1b[2J~"));
    // Its `:q`, and what is typed behind that.
    (0..2).for_each(|_| seat.tracker.entered(seat.time));
    seat.shows(&format!("\x1b[?1049l{P}ls\r\n{P}")).types("date");
    let texts: Vec<String> = seat.entries().into_iter().map(|(text, ..)| text).collect();
    assert_eq!(texts, ["ssh h", "true", "cd /tmp", "vi f", "ls", "date"]);
}

/// node shows `> ` before each line, as bash does before one that goes on: a whole session was one entry, of the time of its first line.
#[test]
fn a_line_inside_goes_on_with_the_one_before_where_nothing_was_printed_between_them() {
    let inside = |steps: &[(&str, &str)]| {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("$ ").types("ssh h").starts("ssh h");
        for (shown, line) in steps {
            seat.shows(shown).types(line);
        }
        seat.entries().into_iter().skip(1).map(|(text, ..)| text).collect::<Vec<_>>()
    };
    let node =
        [("Welcome\r\n> ", "1+1"), ("2\r\n> ", "f()"), ("3\r\n> ", "cat <<E"), ("> ", "x"), ("> ", "E")];
    assert_eq!(inside(&node), ["1+1", "f()", "cat <<E\nx\nE"]);
    let zsh = [
        ("h# ", "node"),
        ("Welcome\r\n> ", ".exit"),
        ("h# ", "for i in a; do cat <<E"),
        ("for heredoc> ", "> x"),
        ("for heredoc> ", "E"),
        ("for> ", "done"),
        ("x\r\nh# ", "date"),
    ];
    let expected = ["node", ".exit", "for i in a; do cat <<E\n> x\nE\ndone", "date"];
    assert_eq!(inside(&zsh), expected);
    let mysql = [("mysql> ", "select"), ("    -> ", "1;"), ("1\r\nmysql> ", "quit")];
    assert_eq!(inside(&mysql), ["select\n1;", "quit"]);
    assert_eq!(inside(&[(">>> ", "x"), (">>> ", "y")]), ["x", "y"]);
    let psql = [
        ("db=# ", "delete from t"),
        ("db-# ", "where a in ("),
        ("db(# ", "1);"),
        ("DELETE 1\r\ndb=# ", "begin;"),
        ("BEGIN\r\ndb=*# ", "select 'x"),
        ("db'*# ", "y';"),
        ("x\r\ndb=*# ", "quit"),
    ];
    let expected = ["delete from t\nwhere a in (\n1);", "begin;", "select 'x\ny';", "quit"];
    assert_eq!(inside(&psql), expected);
    // Not where the shell itself shows that.
    assert_eq!(inside(&[("db-# ", "x"), ("db-# ", "y")]), ["x", "y"]);
}

#[test]
fn what_is_answered_to_who_asks_for_a_key_or_a_word_is_no_command() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("$ ").types("gdb").starts("gdb");
    seat.shows("--Type <RET> for more, q to quit--").types("q");
    seat.shows("Press <Enter> to go on ").types("").shows("<h> ").types("date");
    let texts: Vec<String> = seat.entries().into_iter().map(|(text, ..)| text).collect();
    assert_eq!(texts, ["gdb", "date"]);
    let mut seat = Seat::new("fish");
    seat.prompt("root@h ~# ").types("read -s x").starts("read -s x").shows("read> ").types("●●●●");
    let texts: Vec<String> = seat.entries().into_iter().map(|(text, ..)| text).collect();
    assert_eq!(texts, ["read -s x"]);
}

/// Lines that go on, one after the other, would be one entry without end. None is hidden by those before it.
#[test]
fn lines_that_go_on_without_end_are_several_entries_and_at_the_prompt_the_rest_is_not_kept() {
    let line = "x".repeat(70);
    let lines = std::iter::repeat_n(line.as_str(), 1200).chain([":", "rm f"]);
    let mut inside = Seat::new("bash");
    inside.whole_prompt("$ ").types("ssh h").starts("ssh h").shows("h$ ").types("cat <<E");
    lines.clone().for_each(|line| {
        inside.shows("> ").types(line);
    });
    let entries: Vec<String> = inside.entries().into_iter().skip(1).map(|(text, ..)| text).collect();
    assert_eq!(
        entries.join("\n"),
        ["cat <<E"].into_iter().chain(lines.clone()).collect::<Vec<_>>().join("\n")
    );
    assert!(entries.len() == 2 && entries.iter().all(|text| text.len() <= MOST), "{}", entries.len());
    let mut alone = Seat::new("dash");
    alone.prompt("$ ").types("cat <<E");
    lines.for_each(|line| {
        alone.shows("> ").types(line);
    });
    let entries = alone.entries();
    let [(text, _, flags)] = entries.as_slice() else { panic!("{}", entries.len()) };
    assert!(text.starts_with("cat <<E\nxxx") && (60_000..=MOST).contains(&text.len()), "{}", text.len());
    assert!(text.ends_with(&line) && flags.contains(&"cut".to_owned()), "{flags:?}");
}

/// Bytes of one entry.
const MOST: usize = 64 << 10;
