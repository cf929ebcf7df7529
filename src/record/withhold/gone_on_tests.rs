//! Whoever reads the keys has gone on: a secret was read. What is typed next is told apart from what was typed
//! before, whether or not the cursor went there by a new line.

use super::noise_tests::{NOISES, secrets};
use super::tests::Step::{Prompt, Show, Type};
use super::tests::{Step, play, stored, withheld};
use super::*;
use crate::sys::dice::Dice;

const COMMAND: &str = "rm -f /nonesuch\r";

/// Plays `before`, and then [`COMMAND`] from `from` on, key by key in 80 ms, each of them echoed.
fn then_a_command(before: &[Step<'_>], from: u64, command: &str) -> Vec<Typed> {
    let keys: Vec<String> = command.chars().map(String::from).collect();
    let mut steps: Vec<Step<'_>> = before.iter().map(Step::again).collect();
    for (key, at) in keys.iter().zip((from..).step_by(80)) {
        steps.extend([Type(at, key), Show(at + 4, if key == "\r" { "\r\n" } else { key })]);
    }
    play(Input::Echoed, &steps)
}

/// What comes after a secret was read, without a new line: a box is taken away, a prompt stands behind another one.
const PROMPTS: [&str; 4] =
    ["\x1b[24;1H\x1b[K$ ", "\x1b[?1049l\x1b[23;1H\x1b[?25h$ ", "\x1b[H\x1b[2J$ ", "host# "];

#[test]
fn a_command_that_is_typed_right_after_a_secret_is_stored_though_no_new_line_came_between() {
    for prompt in PROMPTS {
        let before = [
            Show(0, "\x1b[10;20H+--+ Word: \x1b[12;30H"),
            Type(400, "Zq7k"),
            Show(410, "****"),
            Type(600, "WvxJ"),
            Type(700, "\r"),
            Show(710, prompt),
        ];
        let out = then_a_command(&before, 860, COMMAND);
        assert_eq!((stored(&out), withheld(&out)), (format!("\r{COMMAND}"), 1), "{prompt:?} {out:?}");
    }
}

#[test]
fn a_command_that_is_typed_right_after_a_secret_in_several_parts_is_stored() {
    for parts in [
        &[(0, "Zq7k\x15"), (100, "Zq7kWvxJ\r")][..],
        &[(0, "Zq7k\t"), (100, "WvxJ\r")],
        &[(0, "Zq7k"), (600, "WvxJ\r")],
        &[(0, "Zq7kWvxJ"), (600, "\r")],
        &[(0, "Zq"), (510, "7k"), (1020, "Wv"), (1530, "xJ"), (2040, "\r")],
        &[(0, "Zq\x1b[D"), (100, "7k\x1b[A"), (200, "WvxJ\x15"), (300, "WvxJ\r")],
    ] {
        let end = 500 + parts.last().unwrap().0;
        for prompt in PROMPTS.iter().chain(&["\r\nGOT\r\n$ "]) {
            let mut before = vec![Show(0, "Word: ")];
            before.extend(parts.iter().map(|(at, text)| Type(400 + at, text)));
            before.push(Show(end, prompt));
            let out = then_a_command(&before, end + 100, COMMAND);
            let stored = stored(&out);
            assert_eq!(stored.trim_start_matches('\r'), COMMAND, "{parts:?} {prompt:?} {out:?}");
            assert_eq!(withheld(&out), 1, "{parts:?} {prompt:?} {out:?}");
        }
    }
}

#[test]
fn secrets_that_are_asked_for_one_after_the_other_are_withheld_whatever_is_drawn_between_them() {
    let mut dice = Dice(11);
    let mut found = Vec::new();
    let again = [
        "\r\x1b[KRepeat the passphrase 0123456789: ",
        "\x1b[10;20H+--+ Again the password of operator: \x1b[12;30H",
        "\x1b[K no match, enter your password or key: ",
        "\x1b[14;3Hroot@host# ",
    ];
    for (noise, draw) in NOISES {
        for prompt in again {
            for secret in secrets(&mut dice) {
                let (first, stars) = (secret.clone() + "\r", dice.below(2) == 0);
                let mut texts: Vec<(u64, bool, String)> = vec![
                    (0, false, "\x1b[12;1HWord: ".into()),
                    (300, true, first),
                    (310, false, prompt.into()),
                ];
                let mut at = 330;
                for key in secret.chars().chain(['\r']) {
                    at += 4 + dice.below(140);
                    texts.push((at, false, draw(&mut dice, at)));
                    at += 4 + dice.below(60);
                    texts.push((at, true, key.into()));
                    if stars {
                        texts.push((at + 2, false, "*".into()));
                    }
                }
                texts.push((at + 10, false, "\r\nok\r\n".into()));
                let out = played(&texts);
                if !stored(&out).replace('\r', "").is_empty() {
                    found.push(format!("{secret:?} beside {noise}, {prompt:?}: {:?}", stored(&out)));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

/// What is stored of a scene: when something was typed (or shown), and what.
fn played(scene: &[(u64, bool, String)]) -> Vec<Typed> {
    let steps: Vec<Step<'_>> = scene
        .iter()
        .map(|(at, typed, text)| if *typed { Type(*at, text) } else { Show(*at, text) })
        .collect();
    play(Input::Echoed, &steps)
}

/// Keeps what was stored beside a command.
fn found_in(found: &mut Vec<String>, secret: &str, sign: &str, out: &[Typed]) {
    if stored(out).replace('\r', "") != "ls" || withheld(out) != 1 {
        found.push(format!("{secret:?} {sign:?}: {out:?}"));
    }
}

#[test]
fn a_secret_is_withheld_though_a_sign_of_a_prompt_is_drawn_between_its_keys() {
    let mut dice = Dice(12);
    let signs = ["\r\n 45% ", "\r\nmake: *** 7 -> ", "\x1b[3;1Hhost# ", "\r\nProgress> \r\n$ ", "\n>"];
    let mut found = Vec::new();
    for sign in signs {
        for secret in secrets(&mut dice) {
            let cut = dice.below(secret.len()).max(1).min(secret.len() - 1);
            let (first, rest) = secret.split_at(cut);
            let rest = format!("{rest}\r");
            for (pause, stars) in [(30, ""), (200, "*"), (200, "")] {
                let out = play(
                    Input::Echoed,
                    &[
                        Show(0, "Word: "),
                        Type(300, first),
                        Show(300 + pause, sign),
                        Type(340 + pause, &rest),
                        Show(345 + pause, stars),
                        Show(350 + pause, "\r\nok, operator 0123456789\r\n$ "),
                        Type(5_000, "ls\r"),
                        Show(5_010, "ls\r\n"),
                    ],
                );
                found_in(&mut found, &secret, sign, &out);
                // All of it before, and Enter behind it; then something that begins like it.
                let log = format!("\r\n 45% {secret}: 14:03\r\n{secret} {secret}\r\n$ ");
                let out = play(
                    Input::Echoed,
                    &[
                        Show(0, "Word: "),
                        Type(300, &secret),
                        Show(300 + pause, sign),
                        Type(340 + pause, "\r"),
                        Show(350 + pause, &log),
                        Type(5_000, "ls\r"),
                        Show(5_010, "ls\r\n"),
                    ],
                );
                found_in(&mut found, &secret, sign, &out);
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn corrections_in_a_line_that_is_withheld_are_withheld_however_long_it_takes() {
    let out = play(
        Input::Echoed,
        &[
            Show(0, "Word: "),
            Type(400, "Zq7k"),
            Type(6_400, "\x7f"),
            Type(7_400, "\x7f\x7f"),
            Type(20_000, "\x1b[D"),
            Type(21_000, "W"),
            Type(30_000, "\r"),
            Show(30_010, "\r\n$ "),
            Type(33_000, "\x1b[C"),
        ],
    );
    assert_eq!((stored(&out).as_str(), withheld(&out)), ("\r\x1b[C", 2), "{out:?}");
    // One before it is ended, and one then: how many keys there were does not show.
    for count in [13, 40] {
        let mut steps = vec![Show(0, "Word: ")];
        steps.extend((1..=count).map(|n| Type(n * 900, "Z")));
        steps.push(Type(100_000, "\r"));
        let out = play(Input::Echoed, &steps);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\r", 2), "{out:?}");
    }
}

#[test]
fn what_is_typed_slowly_is_stored_once_the_line_has_ended_of_which_something_was_withheld() {
    for left in ["\x1b[?1049l$ ", "\r\n# ", "\x1b[?1049l[x:~] ", "\r\x1b[K\x1b[?1049l\u{279c}  ~ "] {
        let out = play(
            Input::Echoed,
            &[
                Show(0, "\x1b[?1049h\x1b[H text\x1b[24;1H:"),
                Type(400, "j"),
                Type(9_000, "q"),
                Show(9_010, left),
                Type(20_000, "l"),
                Show(20_005, "l"),
                Type(20_700, "s"),
                Show(20_705, "s"),
                Type(21_400, "\r"),
                Show(21_405, "\r\n"),
            ],
        );
        assert_eq!(stored(&out), "ls\r", "{out:?}");
    }
    let tab =
        [Type(400, "Zq7k"), Type(600, "\t"), Type(7_000, "NY"), Show(7_005, "NY"), Type(8_000, "\x1b[D")];
    assert_eq!(stored(&play(Input::Echoed, &tab)), "NY\x1b[D");
}

/// A pager is left by `q`, and the next command is typed so much later, its keys so far apart (milliseconds).
fn behind_a_pager(screen: &str, left: &str, told: bool, later: u64, apart: u64) -> Vec<Typed> {
    let mut steps = vec![Type(0, "less x\r"), Show(4, "less x\r\n"), Show(20, screen)];
    steps.extend([Type(1_400, "j"), Show(1_404, "\r\x1b[K text\r\n:"), Type(9_000, "q"), Show(9_005, left)]);
    if told {
        steps.push(Prompt(9_008));
    }
    steps.push(Show(9_010, "[x:~] "));
    for (key, at) in ["l", "s", "\r"].into_iter().zip((9_010 + later..).step_by(apart as usize)) {
        steps.extend([Type(at, key), Show(at + 4, if key == "\r" { "\r\n" } else { key })]);
    }
    play(Input::Echoed, &steps)
}

#[test]
fn a_command_behind_a_pager_is_stored_wherever_it_is_known_that_the_pager_has_ended() {
    let (on, off) = ("\x1b[?1049h\x1b[H text\r\n:", "\r\x1b[K\x1b[?1049l");
    for (screen, left, told) in [(on, off, false), (on, off, true), (" text\r\n:", "\r\x1b[K", true)] {
        // Within what makes one run of keys, too, when the `q` would be one of them.
        for (later, apart) in [(9_000, 80), (9_000, 700), (200, 80), (450, 80)] {
            let out = behind_a_pager(screen, left, told, later, apart);
            assert_eq!(stored(&out), "less x\rls\r", "{left:?} {told} {later} {apart}: {out:?}");
        }
    }
}

#[test]
fn a_command_behind_a_pager_in_which_several_keys_were_pressed_is_stored() {
    let (on, off) = ("\x1b[?1049h\x1b[H text\r\n:", "\r\x1b[K\x1b[?1049l");
    for (screen, left, told) in [(on, off, false), (on, off, true), (" text\r\n:", "\r\x1b[K", true)] {
        for (later, apart) in [(100, 80), (100, 700), (450, 80), (450, 700), (9_000, 80), (9_000, 700)] {
            for turns in ["nn", " ", "\x1b[C"] {
                let mut steps = vec![Type(0, "less x\r"), Show(4, "less x\r\n"), Show(20, screen)];
                for (n, at) in [0, 1, 2].into_iter().zip((1_000..).step_by(300)) {
                    steps.push(Type(at, if n < 2 { turns } else { "q" }));
                    steps.push(Show(at + 4, if n < 2 { "\r\x1b[K text\r\n:" } else { left }));
                }
                if told {
                    steps.push(Prompt(1_608));
                }
                steps.push(Show(1_610, "[x:~] "));
                for (key, at) in ["l", "s", "\r"].into_iter().zip((1_610 + later..).step_by(apart)) {
                    steps.extend([Type(at, key), Show(at + 4, if key == "\r" { "\r\n" } else { key })]);
                }
                let out = play(Input::Echoed, &steps);
                assert_eq!(
                    stored(&out),
                    "less x\rls\r",
                    "{turns:?} {left:?} {told} {later} {apart}: {out:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_typed_ahead_stays_together_when_a_program_leaves_the_screen() {
    for (before, after) in [("l", "s\r"), ("ls", "\r"), ("ls -", "la\r")] {
        let line = format!("{before}{after}");
        let echo = format!("$ {}\r\n", line.trim_end());
        // The terminal shows it, or the shell alone.
        for shown in [before, ""].into_iter().filter(|shown| before.len() > 1 || !shown.is_empty()) {
            let out = play(
                Input::Echoed,
                &[
                    Show(0, "\x1b[?1049h\x1b[H text"),
                    Type(400, before),
                    Show(402, shown),
                    Show(410, "\x1b[?1049l"),
                    Prompt(412),
                    Type(440, after),
                    Show(450, &echo),
                ],
            );
            assert_eq!(stored(&out), line, "{before:?} {after:?} {shown:?}: {out:?}");
        }
    }
}

#[test]
fn a_secret_is_withheld_though_a_program_leaves_the_screen_between_its_keys() {
    let mut dice = Dice(13);
    let mut found = Vec::new();
    for (noise, draw) in NOISES {
        for secret in secrets(&mut dice) {
            let torn = dice.below(secret.len());
            let (mut at, apart) = (300, [60, 300, 900][dice.below(3)]);
            let mut texts = vec![(0, false, "\x1b[?1049h\x1b[H\x1b[2J+--+ Word: ".to_owned())];
            for (key, n) in secret.chars().chain(['\r']).zip(0..) {
                at += 4 + dice.below(apart);
                texts.push((at, true, key.into()));
                at += 4 + dice.below(20);
                texts.push((at, false, draw(&mut dice, at)));
                if n == torn {
                    texts.push((at, false, "\x1b[?1049l\r\nWord: ".into()));
                }
            }
            let out = played(&texts);
            if !stored(&out).replace('\r', "").is_empty() {
                found.push(format!("{secret:?} beside {noise}, torn at {torn}: {:?}", stored(&out)));
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}
