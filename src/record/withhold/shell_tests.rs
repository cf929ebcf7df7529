//! Lines typed in the open into the line editors of shells, faster than these draw them: all of it is to be stored.

use super::noise_tests::played;
use super::tests::Step::{Show, Type};
use super::tests::{play, stored, withheld};
use super::*;
use crate::sys::dice::Dice;

#[test]
fn type_ahead_that_a_line_editor_puts_behind_its_prompt_is_stored() {
    // fish goes back behind the prompt, and draws word by word; zsh draws the first letter twice.
    let fish =
        "\r\x1b[1mhost\x1b[m# \x1b[K\r\x1b[6Cls \r\x1b[9C-la \r\x1b[13C/etc/hostname\r\x1b[26C \r\x1b[26C";
    let zsh = "\r\x1b[m\x1b[JPROMPT> \x1b[K\x1b[?2004hl\x08ls -la /etc/hostname";
    for drawn in [fish, zsh] {
        let out = play(
            Input::Echoed,
            &[
                Type(0, "id\r"),
                Show(1, "id\r\n"),
                Type(2, "ls -la "),
                // Echoed by the terminal, in the middle of a title.
                Show(3, "\x1b]0;id ls -la "),
                Type(3, "/etc/hostname\r"),
                Show(4, "/etc/host\x07uid=0(root) gid=0(root)\r\n"),
                Show(9, drawn),
                Show(12, "\x1b[20Dls -la /etc/hostname \r\x1b[26C\r\n"),
                Show(13, "-rw-r--r-- 1 root root 3 /etc/hostname\r\n"),
            ],
        );
        assert_eq!(stored(&out), "id\rls -la /etc/hostname\r", "{drawn:?}: {out:?}");
    }
}

/// What a shell that suggests the rest of a line writes while `text` is typed into it by somebody who does not wait, and when, in
/// milliseconds: fish, which draws a suggestion when it has found one, in whatever state the line is by then.
fn suggesting(text: &str, dice: &mut Dice) -> Vec<(u64, bool, String)> {
    const PROMPT: &str = "host ~# ";
    let mut moments = vec![(0, false, PROMPT.to_owned())];
    let keys: Vec<char> = text.chars().collect();
    let (mut typed, mut taken, mut now, mut suggested) = (0, 0, 1, String::new());
    let back = |column: usize| format!("\r\x1b[{}C", PROMPT.len() + column);
    while taken < keys.len() {
        let mut write = String::new();
        match dice.below(4) {
            0 | 1 if typed < keys.len() && typed < taken + 3 => {
                moments.push((now, true, keys[typed].to_string()));
                typed += 1;
            }
            2 => {
                let what = [&text[taken..], "st.conf --all", "", "e ", "s of another line"];
                suggested = what[dice.below(5)].to_owned();
                write = format!("{suggested}\x1b[K{}", back(taken));
            }
            _ if taken < typed => {
                let key = keys[taken];
                taken += 1;
                suggested = suggested.strip_prefix(key).unwrap_or_default().to_owned();
                let word = 1 + dice.below(3).min(taken - 1);
                let (steps, end) =
                    ("\x08".repeat(word - 1), if suggested.is_empty() { "\x1b[K" } else { "" });
                write = format!("{steps}{}{suggested}{end}{}", &text[taken - word..taken], back(taken));
            }
            _ => {}
        }
        // It comes in pieces now and then, and keys come between them.
        let cut = write.len().min(dice.below(24));
        for piece in [&write[..cut], &write[cut..]] {
            if !piece.is_empty() {
                moments.push((now, false, piece.to_owned()));
            }
            if (1..keys.len().min(taken + 3)).contains(&typed) && !piece.is_empty() && dice.below(3) == 0 {
                moments.push((now, true, keys[typed].to_string()));
                typed += 1;
            }
            now += dice.below(4);
        }
    }
    moments.push((now, true, "\r".into()));
    moments.push((now + 1, false, format!("\x1b[K{}\r\n\x1b[30m\x1b[m", back(taken))));
    moments
}

#[test]
fn a_line_is_stored_however_its_keys_fall_between_the_suggestions_of_a_shell() {
    let mut dice = Dice(3);
    let mut lost = Vec::new();
    for _ in 0..2000 {
        let text = dice.of(&["ls -la /etc/hostname", "echo one two three", "vi /etc/host.conf", "id", "ls"]);
        let moments = suggesting(text, &mut dice);
        let stored = played(moments.clone());
        if stored != format!("{text}\r") {
            lost.push((stored, moments));
        }
    }
    lost.sort_by_key(|(_, moments)| moments.len());
    assert!(lost.is_empty(), "{} of 2000 lines, the shortest: {:#?}", lost.len(), lost.first());
}

#[test]
fn a_line_pasted_across_half_the_world_is_stored_when_its_echo_comes() {
    for late in [90, 280, 450] {
        let out = play(
            Input::Echoed,
            &[
                Show(0, "far# "),
                Type(100, "systemctl restart nginx\r"),
                Show(100 + late, "systemctl restart nginx\r\nfar# "),
                Show(2000, "date"),
            ],
        );
        assert_eq!(stored(&out), "systemctl restart nginx\r", "after {late} ms: {out:?}");
    }
}

#[test]
fn who_is_late_to_look_at_the_echo_loses_nothing_by_that() {
    let at = Duration::from_secs;
    let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
    withhold.typed(at(0), b"ls -la\r", false, &mut out);
    withhold.typed(at(3), b"id\r", false, &mut out);
    withhold.shown(at(6), b"ls -la\r\ntotal 4\r\n", &mut out);
    withhold.shown(at(9), b"$ id\r\nuid=0(root)\r\n$ ", &mut out);
    assert_eq!(out, [Typed::Input(b"ls -la\rid\r".to_vec())]);
    // Where all that came by then was looked at, it is too late.
    let mut out = Vec::new();
    withhold.typed(at(20), b"swordfish\r", false, &mut out);
    withhold.tick(at(21), &mut out);
    withhold.shown(at(21), b"swordfish\r\n", &mut out);
    assert_eq!(out, [Typed::Withheld(1), Typed::Input(b"\r".to_vec())]);
}

#[test]
fn what_is_searched_for_in_the_history_of_bash_is_stored_however_slowly_it_is_typed() {
    // As readline 8.2 draws it, letter by letter, after `echo hello world`.
    let steps = |apart: u64, show: fn(&str) -> &str| {
        let drawn = [
            ("\x12", "\r(reverse-i-search)`': "),
            ("w", "\x08\x08\x08w': echo hello \x1b[7mw\x1b[27morld\x08\x08\x08\x08\x08"),
            ("o", "\x1b[14Do': echo hello \x1b[7mwo\x1b[27mrld\x08\x08\x08\x08\x08"),
            ("r", "\x1b[14Dr': echo hello \x1b[7mwor\x1b[27mld\x08\x08\x08\x08\x08"),
            ("\r", "\r\x1b[17PPROMPT> echo hello world\x08\x08\x08\x08\x08\r\n\x1b[?2004l\rhello world\r\n"),
        ];
        let mut steps = vec![Show(0, "PROMPT> ")];
        for ((key, drawn), n) in drawn.into_iter().zip(1..) {
            steps.extend([Type(n * apart, key), Show(n * apart + 3, show(drawn))]);
        }
        steps.extend([Show(6 * apart, "PROMPT> "), Type(7 * apart, "id"), Show(7 * apart + 3, "id")]);
        play(Input::Echoed, &steps)
    };
    for apart in [40, 300, 700] {
        let out = steps(apart, |drawn| drawn);
        assert_eq!(stored(&out), "\x12wor\rid", "{apart} ms: {out:?}");
        // The line that was found, and nothing of what it was searched for.
        let out = steps(apart, |drawn| {
            drawn.strip_prefix("\x08\x08\x08w").unwrap_or(drawn).trim_start_matches("\x1b[14D")
        });
        assert_eq!(stored(&out).replace('\r', ""), "\x12id", "{apart} ms: {out:?}");
    }
}

#[test]
fn what_is_searched_for_in_the_history_of_zsh_is_stored_and_a_secret_behind_it_is_not() {
    for pause in [150, 700, 3000] {
        let mut at = 0;
        let mut steps = vec![Show(0, "PROMPT> \x1b[K")];
        for (key, shown) in [
            ("\x12", "\r\r\nbck-i-search: _\x1b[K\x1b[A\x08\x08\x08\x08\x08\x08\x08"),
            ("o", "echo tw\x1b[4mo\x1b[24m\x1b[1B\x08\x08o_\x1b[A\x08\x08\x08"),
            ("n", "\x1b[4mo\x1b[4mn\x1b[24m\x1b[24me\x1b[1B\x08n_\x1b[A\x08\x08\x08\x08"),
            ("\x05", "\x1b[24mo\x1b[24mn\x1b[1B\r\x1b[K\x1b[A\x1b[16C"),
            ("x", "x"),
            ("\r", "\r\r\nPIN: "),
            ("o", "\x1b[1Bo\x1b[A"),
            ("\r", "\r\n"),
        ] {
            at += pause;
            steps.extend([Type(at, key), Show(at + 10, shown)]);
        }
        let out = play(Input::Echoed, &steps);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\x12on\x05x\r\r", 1), "{pause}");
    }
}
