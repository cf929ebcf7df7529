//! What is typed in the open is stored, however it is shown.

use super::tests::Step::{self, Show, Type};
use super::tests::{keys, play, play_keys, stored, withheld};
use super::*;

#[test]
fn a_command_that_the_shell_echoes_is_stored() {
    let typed = keys(0, "ls -la /etc\r", |c| if c == '\r' { "\r\ntotal 4\r\n".into() } else { c.into() });
    assert_eq!(play_keys(&[], &typed, &[]), [Typed::Input(b"ls -la /etc\r".to_vec())]);
}

#[test]
fn slow_keys_are_stored_though_a_suggestion_stands_behind_them_or_the_word_is_drawn_again() {
    let suggests = [
        Type(0, "l"),
        Show(20, "l\x1b[90ms -la /tmp\x1b[m\x1b[10D"),
        Type(900, "s"),
        Show(920, "s\x1b[90m -la /tmp\x1b[m\x1b[9D"),
        Type(1800, "\r"),
        Show(1810, "\x1b[K\r\n"),
    ];
    assert_eq!(stored(&play(Input::Echoed, &suggests)), "ls\r");
    let colours = [
        Type(0, "l"),
        Show(20, "\x1b[31ml\x1b[m"),
        Type(900, "s"),
        Show(920, "\x08\x1b[32mls\x1b[m"),
        Type(1800, "\r"),
        Show(1810, "\r\n"),
    ];
    assert_eq!(stored(&play(Input::Echoed, &colours)), "ls\r");
}

#[test]
fn a_letter_that_is_put_beside_the_same_letter_is_stored_and_a_key_of_a_secret_is_not() {
    // As readline draws it, and zsh: nothing changes where the cursor stood.
    for drawn in ["\x1b[Cmand\x08\x08\x08\x08", "\x1b[C\x1b[1@m\x08"] {
        let mut steps =
            vec![Type(0, "echo comand"), Show(5, "echo comand"), Type(600, "\x1b[D\x1b[D\x1b[D\x1b[D")];
        steps.extend([Show(605, "\x08\x08\x08\x08"), Type(1700, "m"), Show(1705, drawn)]);
        let slow = [Type(3000, "\x05"), Show(3005, "\x1b[4C"), Type(4500, "\r"), Show(4505, "\r\n")];
        let typed = "echo comand\x1b[D\x1b[D\x1b[D\x1b[Dm\x05\r";
        let out = play(Input::Echoed, &steps.iter().chain(&slow).map(Step::again).collect::<Vec<_>>());
        assert_eq!((stored(&out).as_str(), withheld(&out)), (typed, 0), "{drawn:?}");
        let at_once = [Type(1750, "\r"), Show(1755, "\r\n")];
        let out = play(Input::Echoed, &steps.iter().chain(&at_once).map(Step::again).collect::<Vec<_>>());
        assert_eq!(stored(&out), typed.replace('\x05', ""), "{drawn:?}");
    }
    for (line, key, drawn) in
        [("echo üb", "ü", "\x1b[Cüb\x08\x08"), ("echo 漢b", "漢", "\x1b[2C漢b\x08\x08\x08")]
    {
        let back = "\x08".repeat(if key == "ü" { 2 } else { 3 });
        let steps =
            [Type(0, line), Show(5, line), Type(600, "\x1b[D\x1b[D"), Show(605, &back), Type(1700, key)];
        let rest = [Show(1705, drawn), Type(3000, "\r"), Show(3005, "\r\n")];
        let out = play(Input::Echoed, &steps.iter().chain(&rest).map(Step::again).collect::<Vec<_>>());
        assert_eq!((stored(&out), withheld(&out)), (format!("{line}\x1b[D\x1b[D{key}\r"), 0), "{drawn:?}");
    }
    // A star, or a hint that begins with the key; the cursor goes on by a star, by none, or by two.
    for drawn in
        ["\x1b[Cm\x08\x08*", "*m\x08", "\x1b[Cm\x08\x08", "\x1b[Cm", "\x1b[4Cm\x1b[4D", "x m\x08\x08"]
    {
        let steps =
            [Show(0, "PIN: "), Type(600, "m"), Show(605, drawn), Type(2000, "\r"), Show(2005, "\r\n")];
        assert_eq!(stored(&play(Input::Echoed, &steps)), "\r", "{drawn:?}");
    }
}

#[test]
fn a_key_that_shows_nothing_hides_no_echo_of_what_is_typed_while_one_is_still_waited_for() {
    let mut steps = vec![Type(0, "i")];
    for (letter, at) in ["h", "e", "l", "l", "o"].into_iter().zip((600..).step_by(20)) {
        steps.extend([Type(at, letter), Show(at + 5, letter)]);
    }
    assert_eq!(stored(&play(Input::Echoed, &steps)), "hello");
}

#[test]
fn type_ahead_that_the_terminal_echoes_at_once_is_stored() {
    let typed = keys(0, "make install\r", |c| if c == '\r' { "\r\n".into() } else { c.into() });
    let out = play_keys(&[], &typed, &[Show(3000, "$ make install\r\n")]);
    assert_eq!(stored(&out), "make install\r");
}

#[test]
fn type_ahead_that_the_shell_shows_after_other_output_is_stored() {
    // The line editor has the terminal raw; the second line is shown when the first one was run.
    let out = play(
        Input::Echoed,
        &[
            Type(0, "echo one\r"),
            Show(1, "echo one"),
            Type(2, "read -s -p Word: x\r"),
            Show(3, "\r\none\r\n\x1b[?2004hPROMPT> read -s -p Word: x"),
            Show(5, "\r\nWord: "),
            Type(300, "hunter2"),
            Type(600, "\r"),
            Show(601, "\r\n"),
        ],
    );
    assert_eq!(stored(&out), "echo one\rread -s -p Word: x\r\r");
    assert_eq!(withheld(&out), 1);
}

#[test]
fn an_echo_over_a_slow_line_still_counts() {
    let mut steps = Vec::new();
    let letters: Vec<String> = "systemctl restart nginx".chars().map(String::from).collect();
    let mut moments: Vec<(u64, bool, &str)> = Vec::new();
    for (letter, n) in letters.iter().zip(0..) {
        moments.push((n * 90, true, letter));
        moments.push((n * 90 + 250, false, letter));
    }
    moments.push((letters.len() as u64 * 90, true, "\r"));
    moments.sort_by_key(|m| m.0);
    for (at, typed, text) in moments {
        steps.push(if typed { Type(at, text) } else { Show(at, text) });
    }
    assert_eq!(stored(&play(Input::Echoed, &steps)), "systemctl restart nginx\r");
}

#[test]
fn a_line_editor_that_colours_the_word_being_typed_echoes_it() {
    // zsh with syntax highlighting writes the whole word again at every key.
    let word = "systemctl";
    let mut steps = vec![];
    let echoes: Vec<(String, String)> = (1..=word.len())
        .map(|n| {
            (word[n - 1..n].to_string(), format!("{}\x1b[31m{}\x1b[39m", "\x08".repeat(n - 1), &word[..n]))
        })
        .collect();
    for ((key, echo), n) in echoes.iter().zip(0..) {
        steps.push(Type(n * 100, key));
        steps.push(Show(n * 100 + 10, echo));
    }
    assert_eq!(stored(&play(Input::Echoed, &steps)), word);
}

#[test]
fn a_line_that_is_pasted_with_its_end_is_stored_though_it_is_drawn_twice_and_wrapped() {
    // As fish draws it: word by word, then all of it in colour.
    let fish = [
        Show(0, "\rPROMPT> \x1b[K\r\x1b[8C"),
        Type(300, "echo open one\r"),
        Show(310, "echo \r\x1b[13C"),
        Show(
            312,
            "open \r\x1b[18Cone\r\x1b[21C\x1b[13D\x1b[34mecho\x1b[30m open \x1b[36mone\r\x1b[21C\x1b[m\r\n",
        ),
    ];
    assert_eq!(stored(&play(Input::Echoed, &fish)), "echo open one\r");
    // As readline does at the right margin.
    let line = "x".repeat(72) + "abcdefgh and more";
    let drawn = format!("{}{} \r{}\r\n", "x".repeat(72), &line[72..73], &line[73..]);
    let prompt = "\r\n$ 12345";
    assert_eq!(
        stored(&play(Input::Echoed, &[Show(0, prompt), Type(9, &(line.clone() + "\r")), Show(20, &drawn)])),
        line + "\r"
    );
}

#[test]
fn a_line_that_is_typed_ahead_is_stored_though_the_shell_shows_it_wrapped() {
    // As zsh does it, where a letter ends the row, and where a blank does; as readline; as a terminal.
    let (letter, blank) = (format!("echo {}", "x".repeat(73)), format!("echo {} ", "y".repeat(72)));
    for (line, drawn) in [
        (format!("{letter}and more"), format!("e\x08{letter} \r\x1b[Ka\rand more")),
        (format!("{blank}and more"), format!("e\x08{blank} \r\x1b[Ka\rand more")),
        (format!("{letter} and more"), format!("{letter} \r and more")),
        (format!("{letter} and more"), format!("{letter} and more")),
    ] {
        let typed = format!("true\r{line}\r");
        let shown = format!("true\r\n$ {drawn}\r\n");
        let out = play(Input::Echoed, &[Show(0, "12345 $ "), Type(900, &typed), Show(910, &shown)]);
        assert_eq!((stored(&out), withheld(&out)), (typed, 0), "{drawn:?}");
    }
}

#[test]
fn a_line_that_is_written_again_at_every_key_is_stored_however_long() {
    // `top`, and everything that asks with a simple line editor: after a key that is a command.
    let line = "COMMAND=a-program-of-that-name,or-another-one";
    let echoes: Vec<(String, String)> = (1..=line.len())
        .map(|n| (line[n - 1..n].to_string(), format!("\x1b[6;46H\x1b[K{}\x1b[6;{}H", &line[..n], 46 + n)))
        .collect();
    let mut steps = vec![Type(0, "o"), Show(5, "\x1b[1madd filter #1 (ignoring case) as: [!]FLD?VAL ")];
    for ((key, echo), n) in echoes.iter().zip(1..) {
        steps.push(Type(n * 40, key));
        steps.push(Show(n * 40 + 10, echo));
    }
    assert_eq!(stored(&play(Input::Echoed, &steps)), format!("o{line}"));
}

#[test]
fn insert_mode_of_vi_with_a_ruler_is_stored() {
    let typed = keys(0, "hello world", |c| format!("{c}\x1b7\x1b[24;63H5\x1b8"));
    assert_eq!(stored(&play_keys(&[], &typed, &[])), "hello world");
}

#[test]
fn text_typed_while_the_screen_is_still_drawn_is_stored() {
    let screen = format!("\x1b[H{}", "~                                         \r\n".repeat(24));
    let typed = keys(10, "some words", |c| format!("\x1b[?25l{c}\x1b[?25h"));
    let out = play_keys(&[Type(0, "i"), Show(5, &screen)], &typed, &[]);
    assert_eq!(stored(&out), "isome words");
}

#[test]
fn cursor_keys_and_control_keys_alone_are_stored() {
    let out =
        play(Input::Echoed, &[Type(0, "\x1b[A"), Show(5, "\rls"), Type(300, "\x03"), Type(900, "\x1bOB")]);
    assert_eq!(stored(&out), "\x1b[A\x03\x1bOB");
    assert_eq!(withheld(&out), 0);
}

#[test]
fn a_completion_list_after_tab_does_not_hide_what_was_typed_before_it() {
    let out = play(
        Input::Echoed,
        &[
            Type(0, "sys"),
            Show(10, "sys"),
            Type(200, "\t"),
            Show(210, "\r\nsystemctl   systemd-run  systemd-analyze   systemd-cat\r\n$ sys"),
        ],
    );
    assert_eq!(stored(&out), "sys\t");
}

#[test]
fn a_large_paste_that_is_echoed_is_stored_whole_and_in_order() {
    let text: String = (0..4000).map(|n| format!("line {n}\r")).collect();
    let echo = text.replace('\r', "\r\n");
    let out = play(Input::Echoed, &[Type(0, &text), Show(10, &echo)]);
    assert_eq!((withheld(&out), stored(&out)), (0, text));
}

#[test]
fn a_paste_whose_echo_comes_in_pieces_of_any_length_is_stored_whole() {
    let text: String = (0..100).map(|n| format!("line {n}\r")).collect();
    let echo = text.replace('\r', "\r\n");
    for length in [1, 5, 6, 7, 13, 100] {
        let pieces: Vec<String> =
            echo.as_bytes().chunks(length).map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect();
        let mut steps = vec![Type(0, &text)];
        steps.extend(pieces.iter().map(|piece| Show(10, piece)));
        let out = play(Input::Echoed, &steps);
        assert_eq!((withheld(&out), stored(&out)), (0, text.clone()), "{length}");
    }
}
