//! What is pasted at once: a line too long for one run, fields with a Tab between, lines that are indented. All that is shown of it is to be
//! stored, whatever piece of output it comes in, and nothing of a secret of the same shape.

use super::noise_tests::{NOISES, Noise, secrets};
use super::tests::{stored, withheld};
use super::*;
use crate::sys::dice::Dice;

/// Words by chance, all different, of at least `length` bytes.
fn words(dice: &mut Dice, length: usize, letters: &str) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut text = String::new();
    while text.len() < length {
        let word = 3 + dice.below(7);
        text.extend((0..word).map(|_| dice.of(&letters)));
        text.push(' ');
    }
    text + "end"
}

/// Shows `output` in pieces of `piece` bytes after `typed` was pasted at a prompt, and gives what is stored.
fn pasted(typed: &str, output: &str, piece: usize) -> Vec<Typed> {
    let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
    let at = Duration::from_millis;
    withhold.shown(at(0), b"\x1b[?2004h$ ", &mut out);
    withhold.typed(at(500), typed.as_bytes(), false, &mut out);
    for (piece, n) in output.as_bytes().chunks(piece).zip(0..) {
        withhold.shown(at(502 + n / 8), piece, &mut out);
    }
    withhold.tick(at(60_000), &mut out);
    withhold.finish(at(60_000), &mut out);
    out
}

const PIECES: [usize; 5] = [1, 7, 300, 4096, 1 << 20];

#[test]
fn a_line_longer_than_a_run_is_stored_whole_in_whatever_pieces_its_echo_comes() {
    let mut dice = Dice(7);
    for letters in ["abcdefghijklmnopqrstuvwxyz0123456789", "äöüß漢字é🙂ab"] {
        for length in [1_000, 1_030, 1_640, 2_100, 12_000] {
            let line = words(&mut dice, length, letters);
            // As the terminal shows it, and bash a paste; and two of them.
            let lines = [
                (format!("{line}\r"), format!("{line}\r\n$ ")),
                (format!("\x1b[200~{line}\x1b[201~\r"), format!("\x1b[7m{line}\x1b[27m\r\n\x1b[?2004l\r")),
                (format!("{line}\r{line}\r"), format!("{line}\r\n{line}\r\n")),
            ];
            for (typed, output) in lines {
                for piece in PIECES {
                    let out = pasted(&typed, &output, piece);
                    let (stored, lost) = (stored(&out), withheld(&out));
                    assert!(
                        stored == typed && lost == 0,
                        "{length} in {piece}: {} of {}, {lost}",
                        stored.len(),
                        typed.len()
                    );
                }
            }
        }
    }
}

#[test]
fn a_secret_longer_than_a_run_is_withheld_whatever_is_drawn_beside_it() {
    let mut dice = Dice(8);
    for (noise, draw) in NOISES {
        for length in [1_030, 2_100] {
            let secret = words(&mut dice, length, "abcdefghijklmnopqrstuvwxyz0123456789");
            // Much of its beginning too, or all of it somewhere else.
            let drawn = ["\r\nWord: ".to_owned(), secret[..700].to_owned(), format!("\x1b[5;1H{secret}")];
            for begin in drawn {
                for piece in PIECES {
                    let noise_drawn: String = (0..40).map(|n| draw(&mut dice, n)).collect();
                    let out = pasted(&format!("{secret}\r"), &format!("{begin}{noise_drawn}"), piece);
                    let stored = stored(&out);
                    assert_eq!((stored.as_str(), withheld(&out) > 0), ("\r", true), "{noise}, {piece}");
                }
            }
        }
    }
}

/// What the terminal shows of what it reads.
fn echo(typed: &str) -> String {
    typed.replace('\n', "\r\n")
}

#[test]
fn what_a_tab_divides_is_stored_where_the_terminal_shows_it() {
    let makefile = "all:\n\tgcc -o main main.c\n\t\trm -f core\n\n\tdate\n";
    let table = "name\tvalue\tother\nalpha\tb\tgamma\n1\t\t2\t3\n";
    let long = (0..60).map(|n| format!("field{n}")).collect::<Vec<_>>().join("\t") + "\n";
    for typed in ["alpha\tbeta\n", "\tindented line\n", makefile, table, &long] {
        for piece in PIECES {
            let out = pasted(typed, &(echo(typed) + "$ "), piece);
            assert_eq!((stored(&out).as_str(), withheld(&out)), (typed, 0), "in pieces of {piece}");
        }
    }
}

#[test]
fn what_a_tab_divides_is_stored_where_a_line_editor_shows_blanks() {
    let expanded = |line: &str| {
        line.chars().fold(String::new(), |shown, c| match c {
            '\t' => format!("{shown:width$}", width = (shown.len() / 8 + 1) * 8),
            c => shown + &c.to_string(),
        })
    };
    let typed = "\x1b[200~cat >hosts\n127.0.0.1\tlocalhost\n10.0.0.5\tdb1.example.com\tdb1\na\t\tb\n\tindented\n\x1b[201~\n";
    let lines = || typed.trim_start_matches("\x1b[200~").lines().map(expanded);
    // bash 5.2 and zsh 5.9.
    let bash: String = lines().map(|line| format!("\x1b[7m{line}\x1b[27m\r\n\r")).collect();
    let zsh: String = lines().map(|line| format!("\x1b[7m{line}\x1b[27m\x1b[K\r\r\n")).collect();
    for shown in [bash, zsh] {
        for piece in PIECES {
            let out = pasted(typed, &shown, piece);
            assert_eq!((stored(&out).as_str(), withheld(&out)), (typed, 0), "{shown:?} {piece}");
        }
    }
}

/// Tables and lists that are drawn with tabs.
fn tabbed(dice: &mut Dice, n: u64) -> String {
    let (a, b) = (dice.below(10), dice.below(1000));
    ["4", "\t7", "4\t7", "\r\nroot\t4711\r\n", "\t", "4\t7\t1\t1"]
        .get(dice.below(12))
        .map_or(format!("{a}\t{b}\tfield {n}\r\n"), |text| format!("{text}{a}%"))
}

#[test]
fn secrets_with_a_tab_before_or_within_them_are_withheld_whatever_is_drawn_beside_them() {
    let mut dice = Dice(9);
    let mut lines = 0;
    let noises = NOISES.iter().copied().chain([("a table", tabbed as Noise)]);
    for (noise, draw) in noises {
        for secret in secrets(&mut dice) {
            if dice.below(3) > 0 {
                continue;
            }
            // The name is shown, and perhaps the Tab behind it.
            for (typed, shown) in [
                (format!("alice\t{secret}\r"), "alice"),
                (format!("alice\t{secret}\r"), "alice\t"),
                (format!("alice\t{secret}\r"), "alice\x1b[5;8H"),
                (format!("alice\t{secret}\r"), "alice\x07"),
                (format!("{secret}\t{secret}\r"), "\x07"),
                (format!("alice\t{secret}\r"), "alice "),
                (format!("alice\t{secret}\r"), "alice    "),
                (format!("{secret}\t{secret}\r"), "      "),
                (format!("{secret}\t{secret}\r"), ""),
                (format!("\t{secret}\r"), "\t"),
                (format!("{secret}\t\t{secret}\t{secret}\r"), "\t"),
            ] {
                let noise_drawn: String = (0..6).map(|n| draw(&mut dice, 40 + n)).collect();
                let piece = PIECES[dice.below(5)];
                let out = pasted(&typed, &format!("{shown}{noise_drawn}\r\n"), piece);
                let stored = stored(&out).replace(['\t', '\r'], "");
                lines += 1;
                assert!(
                    matches!(stored.as_str(), "" | "alice") && withheld(&out) > 0,
                    "{typed:?} beside {noise}, {shown:?}, {piece}: {stored:?}"
                );
            }
        }
    }
    assert!(lines > 1000, "{lines}");
}

/// A shell without a paste of its own, that shows each line behind a prompt when it reads it.
fn read_by_a_shell(lines: &[&str], prompt: &str) -> String {
    lines.join(&format!("\r\n\x1b[?2004l\r\x1b[?2004h{prompt}")) + "\r\n\x1b[?2004l\r$ "
}

#[test]
fn lines_are_stored_however_far_they_are_indented_behind_the_prompt_of_a_shell() {
    for prompt in ["> ", ">", "for>  ", "$ "] {
        for indent in (0..10).chain([40]) {
            let blanks = " ".repeat(indent);
            let (echo, date, end) =
                (format!("{blanks}echo item $i"), format!("{blanks}date"), format!("{blanks}}}"));
            let lines = ["f() {", &echo, "{", &date, "}", &end, "true"];
            let typed = lines.join("\n") + "\n";
            for piece in PIECES {
                let out = pasted(&typed, &read_by_a_shell(&lines, prompt), piece);
                assert_eq!((stored(&out), withheld(&out)), (typed.clone(), 0), "{prompt:?} {indent} {piece}");
            }
        }
    }
}

#[test]
fn secrets_that_begin_with_blanks_are_withheld_whatever_stands_behind_the_sign_of_a_prompt() {
    let mut dice = Dice(10);
    let labels = ["> ", "$    ", "100%  ", "PIN# ", "Word>", "$ hunter", "> \r\n", "> a", ">  }x", "#   1"];
    for (noise, draw) in NOISES {
        for label in labels {
            for secret in secrets(&mut dice) {
                if dice.below(4) > 0 {
                    continue;
                }
                let blanks = " ".repeat(dice.below(5));
                let noise_drawn: String = (0..4).map(|n| draw(&mut dice, 40 + n) + label).collect();
                let piece = PIECES[dice.below(5)];
                let shown = format!("cat\r\n{label}{noise_drawn}\r\n{label}\r\n");
                let out = pasted(&format!("cat\r{blanks}{secret}\r{blanks}{secret}\r"), &shown, piece);
                let stored = stored(&out);
                assert_eq!(stored, "cat\r\r\r", "{secret:?} behind {label:?} beside {noise}, {piece}");
            }
        }
    }
}
