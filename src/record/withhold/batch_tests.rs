//! Many lines at once: a paste, shown or not, and what is typed after it.

use super::drawn::Did;
use super::noise_tests::{NOISES, secrets};
use super::tests::{stored, withheld};
use super::*;
use crate::sys::dice::Dice;

/// A terminal that is used for a while, at a clock of its own.
struct Desk {
    withhold: Withhold,
    out: Vec<Typed>,
    now: u64,
    reported: Vec<Reported>,
}

impl Desk {
    fn new() -> Self {
        Self { withhold: Withhold::new(Input::Echoed), out: Vec::new(), now: 1_000, reported: Vec::new() }
    }

    /// So many milliseconds later, with everything done that fell due by then.
    fn after(&mut self, time: u64) {
        self.now += time;
        let to = Duration::from_millis(self.now);
        while let Some(due) = self.withhold.deadline().filter(|due| *due <= to) {
            self.withhold.tick(due, &mut self.out);
        }
        self.reported.extend(std::iter::from_fn(|| self.withhold.take_reported()));
    }

    fn types(&mut self, keys: &str) {
        self.withhold.typed(Duration::from_millis(self.now), keys.as_bytes(), false, &mut self.out);
    }

    fn shows(&mut self, text: &str) {
        self.withhold.shown(Duration::from_millis(self.now), text.as_bytes(), &mut self.out);
    }

    /// A command at a prompt, key by key, each echoed. Whether the line counts as shown when the shell tells of it.
    fn command(&mut self, line: &str) -> bool {
        self.withhold.begin_line();
        self.shows("\x1b[?2004h$ ");
        for key in line.chars() {
            self.after(30);
            self.types(&key.to_string());
            self.after(3);
            self.shows(&key.to_string());
        }
        self.after(30);
        self.types("\r");
        self.after(3);
        self.shows("\r\n\x1b[?2004l\r");
        let was_seen = self.withhold.line_was_seen();
        self.after(20);
        self.shows("some output\r\n");
        was_seen
    }

    /// Everything that was stored by the end.
    fn stored(&mut self) -> String {
        self.after(10_000);
        stored(&self.out)
    }
}

/// What a pager or an editor draws after a paste of which it shows nothing: `lines` new lines of its own.
fn drawn(lines: usize) -> String {
    format!("\x1b[?25l{}\x1b[24;1H:\x1b[K\x1b[?25h", "~\r\n".repeat(lines))
}

#[test]
fn commands_typed_after_a_batch_of_lines_that_nothing_showed_are_stored_however_many_they_were() {
    for (lines, news) in [(5, 0), (12, 2), (20, 40), (64, 20), (64, 0), (4_000, 30)] {
        let mut desk = Desk::new();
        desk.types(&"some line of it\r".repeat(lines));
        desk.shows(&drawn(news));
        desk.after(600);
        assert!(desk.withhold.deadline().is_none(), "{lines} lines are waited for no longer");
        desk.shows("\x1b[?1049l\r\n");
        let mut all = "\r".repeat(lines);
        for n in 0..40 {
            let line = format!("echo innocent line {n}");
            assert!(desk.command(&line), "{line} after {lines} lines, {news} new ones");
            all += &(line + "\r");
        }
        assert_eq!(desk.stored(), all, "{lines} lines, {news} new ones");
        assert_eq!(withheld(&desk.out) as usize, lines);
        // All of it was typed at once: the command at that time is told of, once, and none of those that follow.
        let of_the_paste = Reported { since: Duration::from_secs(1), line: true };
        assert_eq!(desk.reported, [of_the_paste]);
    }
}

#[test]
fn a_batch_of_silent_lines_is_over_at_once_and_each_secret_is_told_of_at_its_own_time() {
    let mut desk = Desk::new();
    let at = Duration::from_millis;
    for _ in 0..3 {
        desk.types("hunter2\r");
        desk.now += 200;
    }
    assert_eq!(desk.withhold.deadline(), Some(at(1_500)));
    // Who comes late decides all of them together.
    desk.withhold.tick(at(5_000), &mut desk.out);
    assert_eq!(desk.withhold.runs.len(), 0);
    assert_eq!((stored(&desk.out).as_str(), withheld(&desk.out)), ("\r\r\r", 3));
    let told: Vec<_> = std::iter::from_fn(|| desk.withhold.take_reported()).map(|told| told.since).collect();
    assert_eq!(told, [at(1_000), at(1_200), at(1_400)]);
}

#[test]
fn a_paste_that_is_drawn_slowly_is_waited_for_as_long_as_it_goes_on() {
    // Behind a line that nothing showed, too.
    for before in ["", "hunter2\r"] {
        let mut desk = Desk::new();
        let lines: Vec<String> = (0..20).map(|n| format!("setting number {n}")).collect();
        desk.types(before);
        desk.types(&lines.iter().map(|line| format!("{line}\r")).collect::<String>());
        if !before.is_empty() {
            desk.shows("\r\n");
        }
        for line in &lines {
            desk.after(400);
            desk.shows(line);
            desk.shows("\r\n");
        }
        let all = format!("{}{}\r", before.trim_start_matches(|c| c != '\r'), lines.join("\r"));
        assert_eq!((desk.stored(), withheld(&desk.out) as usize), (all, before.len().min(1)));
    }
}

/// A shell without a paste of its own: it shows each line once the one before it is done, which takes `each` milliseconds.
fn run_one_by_one(desk: &mut Desk, lines: &[String], each: u64) {
    for line in lines {
        desk.shows(&format!("{line}\r\n"));
        desk.after(each);
        desk.shows("done\r\n$ ");
    }
}

#[test]
fn lines_pasted_behind_one_that_takes_its_time_are_stored_and_nothing_typed_meanwhile_is_lost() {
    for each in [100, 450, 700, 2_000, 4_000] {
        let mut desk = Desk::new();
        let lines: Vec<String> = (0..20).map(|n| format!("sleep 1; echo {n}")).collect();
        let text: String = lines.iter().map(|line| format!("{line}\r")).collect();
        desk.shows("$ ");
        desk.types(&text);
        run_one_by_one(&mut desk, &lines, each);
        assert_eq!((desk.stored(), withheld(&desk.out)), (text, 0), "{each} ms");
    }
    // Something that shows nothing takes the rest: that is waited for a while, and what is shown meanwhile is stored behind it.
    for (silent, apart) in [(1, 600), (12, 600), (60, 600)] {
        let mut desk = Desk::new();
        desk.shows("$ ");
        desk.types(&format!("less /etc/services\r{}", "some line\r".repeat(silent)));
        desk.shows("less /etc/services\r\n\x1b[2J\x1b[1;1H");
        desk.after(apart);
        desk.types("hunter2\r");
        desk.after(apart);
        desk.shows("\r\n");
        let mut all = format!("less /etc/services\r{}\r", "\r".repeat(silent));
        for n in 0..8 {
            let line = format!("echo innocent line {n}");
            assert!(desk.command(&line), "{line} after {silent} lines");
            all += &(line + "\r");
        }
        desk.after(5_000);
        assert!(desk.withhold.deadline().is_none());
        assert_eq!((desk.stored(), withheld(&desk.out) as usize), (all, silent + 1));
    }
}

#[test]
fn a_secret_that_is_pasted_behind_a_command_is_withheld_however_late_it_is_asked_for() {
    for (ask, done) in
        [("Password: ", "\r\nWelcome, hunter2!\r\n"), ("\r\n$ ", "\r\nhunter2 hunter2\r\n> hunter2 is\r\n")]
    {
        for late in [10, 600, 3_000, 6_000] {
            let mut desk = Desk::new();
            desk.shows("$ ");
            desk.types("ssh far\rhunter2\r");
            desk.shows("ssh far\r\n");
            desk.after(late);
            desk.shows(ask);
            desk.after(200);
            desk.shows(done);
            assert_eq!(
                (desk.stored().as_str(), withheld(&desk.out)),
                ("ssh far\r\r", 1),
                "{ask:?} {late} ms"
            );
        }
    }
}

#[test]
fn a_line_that_was_shown_ends_where_it_ends_though_a_key_before_it_still_waits_for_its_echo() {
    let mut desk = Desk::new();
    desk.shows("$ ");
    desk.types("j");
    desk.after(600);
    desk.types("ls\rid\rwho\r");
    desk.shows("ls\r\nid\r\nwho\r\n");
    assert_eq!((desk.stored().as_str(), withheld(&desk.out)), ("ls\rid\rwho\r", 1));
}

#[test]
fn however_much_is_held_back_each_byte_of_output_is_looked_for_in_a_few_runs_only() {
    let most = |typed: &str, shown: &str| {
        let mut withhold = Withhold::new(Input::Echoed);
        let mut out = Vec::new();
        withhold.typed(Duration::ZERO, typed.as_bytes(), false, &mut out);
        let mut lines = 0;
        for _ in 0..3 {
            withhold.shown(Duration::ZERO, shown.as_bytes(), &mut out);
            assert!(withhold.runs.len() > 500, "{} runs", withhold.runs.len());
            withhold.cursor.follow(b"7\n");
            let Some(Did::Drew(drawn)) = withhold.cursor.did() else { panic!("nothing was drawn") };
            let Some(Did::NextLine(cell)) = withhold.cursor.did() else { panic!("no new line") };
            let looked = (0..100).map(|_| withhold.see(Duration::ZERO, &drawn)).max().unwrap();
            lines = lines.max((0..100).map(|_| withhold.next_line(Duration::ZERO, cell)).max().unwrap());
            assert!(looked <= LEFT, "{looked} runs for a character");
        }
        lines
    };
    // A paste that is not echoed, without a line's end and with many.
    assert_eq!(most(&"abcdefgh".repeat(100 << 10), "1\r\n2\r\n"), 1);
    assert_eq!(most(&"abcdefgh\r".repeat(4_000), &"1\r\n".repeat(900)), LEFT);
}

/// Lines, and what a program draws when they are pasted at once: recorded from bash 5.2 in 8 rows (readline draws what has no room
/// below in the last row), fish 3.6, vim 9, nano 7.2 and zsh 5.9, each with its cursor where the first line begins.
struct Paste {
    name: &'static str,
    before: &'static str,
    /// What it draws for one line, the next one, and behind the last; between the first two calls comes a new line of its own kind.
    drawn: fn(&[String]) -> Vec<String>,
}

fn each(lines: &[String], draw: impl Fn(usize, &str) -> String) -> Vec<String> {
    lines.iter().enumerate().map(|(n, line)| draw(n, line)).collect()
}

const PASTES: &[Paste] = &[
    Paste {
        name: "bash",
        before: "\x1b[?2004h$ ",
        drawn: |lines| {
            each(lines, |n, line| format!("\x1b[7m{line}\x1b[27m{}", if n < 7 { "\r\n\r" } else { "\r" }))
        },
    },
    Paste {
        name: "fish",
        before: "\x1b[30m\x1b(B\x1b[m\r\x1b[92mroot\x1b(B\x1b[m@vm# \x1b[K\r\x1b[11C",
        drawn: |lines| {
            each(lines, |n, line| {
                let (up, down) = ("\x1b[A".repeat(n + 1), "\r\n".repeat(n + 1));
                format!("{line}\r\n\x1b[K{up}{down}\x1b[11C")
            })
        },
    },
    Paste {
        name: "vim",
        before: "\x1b[24;1H\x1b[1m-- INSERT --\x1b[m\x1b[24;63H\x1b[K\x1b[24;63H0,1\x1b[11CAll\x1b[1;1H\x1b[?25h",
        drawn: |lines| {
            each(lines, |n, line| {
                // It stops in the middle of one, and goes on there.
                let (first, rest) = line.split_at(line.len() / 2);
                let (col, row) = (first.len() + 1, n + 2);
                let pause = format!("\x1b[{};{col}H\x1b[K\x1b[{0};{col}H\x1b[?25h\x1b[?25l", n + 1);
                format!(
                    "\x1b[?25l{first}{pause}{rest}\x1b[{row};1H\x1b[K\x1b[24;63H{row}\x1b[{row};1H\x1b[?25h"
                )
            })
        },
    },
    Paste {
        name: "nano",
        before: "\x1b[22;35H[ New File ]\r\x1b[24d^X Exit\x1b[14G^R Read File\r\x1b[2d\x1b[?12l\x1b[?25h",
        drawn: |lines| {
            let mut drawn = each(lines, |n, line| format!("{line}\r\x1b[{}d", n + 3));
            drawn.insert(0, "\x1b[?25l\x1b[1;71HModified\r\x1b[22d\x1b[K\x1b[1;79H\r\x1b[2d".into());
            drawn.push("\x1b[?12l\x1b[?25h".into());
            drawn
        },
    },
    Paste {
        name: "zsh",
        before: "\r\x1b[m\x1b[J$ \x1b[K\x1b[?2004h",
        drawn: |lines| each(lines, |_, line| format!("\x1b[7m{line}\x1b[27m\x1b[K\r\r\n")),
    },
];

/// Pastes `lines`, of which the first `shown` are drawn, in pieces of `piece` bytes, and goes on as `then` says.
fn pasted(paste: &Paste, lines: &[String], shown: usize, piece: usize, then: impl FnOnce(&mut Desk)) -> Desk {
    let mut desk = Desk::new();
    desk.shows(paste.before);
    desk.after(500);
    let text = lines.iter().map(|line| format!("{line}\r")).collect::<String>();
    desk.types(&format!("\x1b[200~{text}\x1b[201~"));
    let drawn = (paste.drawn)(&lines[..shown]).concat();
    for piece in drawn.as_bytes().chunks(piece) {
        desk.after(1);
        desk.shows(std::str::from_utf8(piece).unwrap());
    }
    then(&mut desk);
    desk
}

#[test]
fn a_paste_that_is_drawn_is_stored_and_so_are_the_commands_after_it() {
    for paste in PASTES {
        for (count, piece) in [(2, 4000), (5, 1), (5, 7), (12, 40), (20, 4000), (20, 64)] {
            let lines: Vec<String> = (0..count).map(|n| format!("echo number {n} = value")).collect();
            let mut desk = pasted(paste, &lines, count, piece, |desk| {
                desk.after(700);
                desk.types("\r");
                desk.shows("\r\n");
                for n in 0..6 {
                    assert!(desk.command(&format!("echo innocent line {n}")), "{}: {n}", paste.name);
                }
            });
            let text = lines.iter().map(|line| format!("{line}\r")).collect::<String>();
            let after: String = (0..6).map(|n| format!("echo innocent line {n}\r")).collect();
            let expected = format!("\x1b[200~{text}\x1b[201~\r{after}");
            assert_eq!(desk.stored(), expected, "{}: {count} lines in pieces of {piece}", paste.name);
            assert_eq!(desk.reported, [], "{}", paste.name);
        }
    }
}

#[test]
fn secrets_that_are_pasted_behind_lines_that_are_shown_are_withheld_whatever_comes_below_them() {
    // Nothing of it stands where the cursor is, letter by letter: that would be an echo.
    let labels = [
        "Password: ",
        "hunt",
        "2retnuh",
        " hunter",
        "  hunter2x",
        "  hunter2 is it",
        "  hun\r\n  ter2",
        "x hunter2",
        "  hu\x1b[9Cnter2",
        "\x1b[1B  hunter2",
    ];
    for paste in PASTES {
        for (shown, label) in [0, 1, 3].into_iter().flat_map(|shown| labels.map(|label| (shown, label))) {
            for (piece, tab) in [(1, ""), (6, ""), (4000, ""), (1, "\t"), (6, "\t"), (4000, "\t")] {
                let mut lines: Vec<String> = (0..shown).map(|n| format!("alice {n}")).collect();
                lines.extend([format!("{tab}hunter2"), format!("{tab}hunter2")]);
                let mut desk = pasted(paste, &lines, shown, piece, |desk| {
                    for begin in ["", "\r\n", "\r\n\r\n"] {
                        desk.after(20);
                        for piece in format!("{begin}{label}").as_bytes().chunks(piece) {
                            desk.shows(std::str::from_utf8(piece).unwrap());
                        }
                    }
                });
                let stored = desk.stored();
                assert!(!stored.contains("hunter2"), "{} {shown} {label:?} {piece}: {stored:?}", paste.name);
                assert!(withheld(&desk.out) >= 2, "{} {shown} {label:?}: {:?}", paste.name, desk.out);
            }
        }
    }
}

#[test]
fn a_word_that_a_shell_indents_anew_at_its_last_letter_is_stored() {
    // fish 3.6, in a block.
    let at = |col: usize| format!("\x1b[A\x1b[A\r\r\n\r\n\x1b[{col}C");
    for (word, old) in [("end", 15), ("else", 15), ("case", 19)] {
        for (apart, again) in [(60, true), (60, false), (400, true)] {
            let mut desk = Desk::new();
            desk.shows(&format!("$ \r\n\r\n\x1b[{old}C"));
            let last = word.len() - 1;
            for (n, key) in word.chars().enumerate() {
                desk.after(apart);
                desk.types(&key.to_string());
                desk.after(2);
                if n < last {
                    desk.shows(&format!("\x1b[91m{key}{}", at(old + n + 1)));
                    continue;
                }
                let new = old - 4;
                desk.shows(&format!(
                    "{}\x1b[91m{word}\x1b[m\x1b[K{}",
                    "\x08".repeat(last + 4),
                    at(new + word.len())
                ));
                if again {
                    let back = "\x08".repeat(word.len());
                    desk.shows(&format!("{back}\x1b[34m{word}{}", at(new + word.len())));
                }
            }
            desk.after(apart);
            desk.types("\r");
            desk.shows("\r\n");
            assert_eq!(desk.stored(), format!("{word}\r"), "{apart} ms, again: {again}: {:?}", desk.out);
        }
    }
    // Not where the last letter is no more than drawn elsewhere in the row, nor with other text behind it.
    for drawn in ["\r1 unit\x1b[8C", "\x08\x08\x08pint\x1b[20G", "\x08\x08\x08pinot\x1b[20G"] {
        let mut desk = Desk::new();
        desk.shows("$ \r\n\r\n\x1b[15C");
        for key in ["p", "i", "n"] {
            desk.after(60);
            desk.types(key);
            desk.shows(key);
        }
        desk.after(60);
        desk.types("7");
        desk.shows(drawn);
        desk.after(60);
        desk.types("\r");
        desk.shows("\r\n");
        assert_eq!(desk.stored(), "\r", "{drawn:?}");
    }
}

#[test]
fn a_secret_that_is_pasted_behind_a_name_that_is_shown_is_withheld_whatever_is_drawn_meanwhile() {
    let mut dice = Dice(5);
    let mut found = Vec::new();
    for (noise, draw) in NOISES {
        for hidden in [
            "\r\n? Enter your password: ",
            "\r\n  password or PIN: \x1b[K",
            "\x1b[13;1H(operator) 4711: ",
            "\r",
        ] {
            for secret in secrets(&mut dice) {
                let mut desk = Desk::new();
                desk.shows("\x1b[12;1HName: ");
                desk.after(300);
                desk.types(&format!("alice b\r{secret}\r{secret}\r"));
                desk.after(2);
                desk.shows("alice b");
                desk.shows(hidden);
                for n in 0..8 {
                    desk.after(dice.below(90));
                    desk.shows(&draw(&mut dice, 40 + n));
                    if n == 4 {
                        desk.shows("\r\nonce more: ");
                    }
                }
                let stored = desk.stored().replace('\r', "");
                if stored != "alice b" {
                    found.push(format!("{secret:?} beside {noise}, {hidden:?}: {stored:?}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}
