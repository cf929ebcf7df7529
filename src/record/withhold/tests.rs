use super::*;
use proptest::prelude::*;

/// A scene in milliseconds: what is typed, what is shown, how the terminal stands.
pub(super) enum Step<'a> {
    Type(u64, &'a str),
    Show(u64, &'a str),
    /// The shell tells that a prompt comes up.
    Prompt(u64),
    /// ECHO off and ICANON on from here (true), or not.
    Secret(bool),
}
use Step::{Prompt, Secret, Show, Type};

impl Step<'_> {
    pub(super) fn again(&self) -> Self {
        match *self {
            Type(at, text) => Type(at, text),
            Show(at, text) => Show(at, text),
            Prompt(at) => Prompt(at),
            Secret(on) => Secret(on),
        }
    }
}

pub(super) fn play(input: Input, steps: &[Step<'_>]) -> Vec<Typed> {
    let (mut withhold, mut out, mut secret, mut now) =
        (Withhold::new(input), Vec::new(), false, Duration::ZERO);
    let advance = |withhold: &mut Withhold, to: u64, out: &mut Vec<Typed>| {
        let to = Duration::from_millis(to);
        while let Some(due) = withhold.deadline().filter(|due| *due <= to) {
            withhold.tick(due, out);
        }
        to
    };
    for step in steps {
        match step {
            Secret(on) => secret = *on,
            Type(at, text) => {
                now = advance(&mut withhold, *at, &mut out);
                withhold.typed(now, text.as_bytes(), secret, &mut out);
            }
            Show(at, text) => {
                now = advance(&mut withhold, *at, &mut out);
                withhold.shown(now, text.as_bytes(), &mut out);
            }
            Prompt(at) => {
                now = advance(&mut withhold, *at, &mut out);
                withhold.begin_line();
            }
        }
    }
    withhold.finish(now, &mut out);
    out
}

/// Keys typed one by one, 80 ms apart, each answered after 20 ms by `echo` of it.
pub(super) fn keys(from: u64, text: &str, echo: impl Fn(char) -> String) -> Vec<(u64, String, String)> {
    text.chars().zip(0..).map(|(c, n): (char, u64)| (from + n * 80, c.to_string(), echo(c))).collect()
}

pub(super) fn play_keys(
    before: &[Step<'_>],
    typed: &[(u64, String, String)],
    after: &[Step<'_>],
) -> Vec<Typed> {
    let mut steps: Vec<Step<'_>> = before.iter().chain(after).map(Step::again).collect();
    let tail = steps.split_off(before.len());
    for (at, key, echo) in typed {
        steps.push(Type(*at, key));
        if !echo.is_empty() {
            steps.push(Show(at + 20, echo));
        }
    }
    steps.extend(tail);
    play(Input::Echoed, &steps)
}

pub(super) fn stored(out: &[Typed]) -> String {
    let bytes = out.iter().flat_map(|typed| match typed {
        Typed::Input(bytes) => bytes.clone(),
        Typed::Withheld(_) => Vec::new(),
    });
    String::from_utf8(bytes.collect()).unwrap()
}

pub(super) fn withheld(out: &[Typed]) -> u32 {
    out.iter().map(|typed| if let Typed::Withheld(n) = typed { *n } else { 0 }).sum()
}

const SECRET: &str = "hunter2!Kx9";

/// What must hold wherever a secret is typed, whole line, at a prompt that does not show it.
fn is_withheld(out: &[Typed]) {
    let text = stored(out);
    assert!(!text.chars().any(|c| SECRET.contains(c)), "stored {text:?} of {SECRET:?}: {out:?}");
    assert_eq!(withheld(out), 1, "{out:?}");
}

#[test]
fn a_getpass_prompt_is_withheld_by_the_flags_alone() {
    let typed = keys(100, &format!("{SECRET}\r"), |c| if c == '\r' { "\r\n".into() } else { String::new() });
    let out = play_keys(&[Show(0, "Password: "), Secret(true)], &typed, &[Secret(false)]);
    assert_eq!(out, [Typed::Withheld(1)]);
}

#[test]
fn a_secret_read_in_raw_mode_without_an_echo_is_withheld() {
    let typed = keys(0, &format!("{SECRET}\r"), |c| if c == '\r' { "\r\n".into() } else { String::new() });
    is_withheld(&play_keys(&[Show(0, "alice@host's password: ")], &typed, &[]));
}

#[test]
fn a_digit_at_the_cursor_that_is_the_first_of_a_line_of_a_log_is_no_echo() {
    // Then the prompt is drawn again, and its cursor is seen no longer.
    for after in ["", "\x1b[?25l\x1b[5;1HCode: *\r\n"] {
        let log = format!("09:12:03 GET /\r\n{after}");
        let out =
            play(Input::Echoed, &[Show(0, "Code:\r\n"), Type(300, "0"), Show(320, &log), Type(2000, "\r")]);
        assert!(!stored(&out).contains('0'), "{out:?}");
    }
}

#[test]
fn stars_are_no_echo() {
    let typed = keys(0, &format!("{SECRET}\r"), |c| if c == '\r' { "\r\n".into() } else { "*".into() });
    is_withheld(&play_keys(&[], &typed, &[]));
}

#[test]
fn what_draws_one_sign_for_every_key_does_not_echo_a_secret_that_is_mostly_that_sign() {
    for (secret, sign) in [("se********", "*"), ("*********e", "*"), ("****s****", "*"), ("b#########", "#")]
    {
        let drawn = |c| if c == '\r' { "\r\n".into() } else { sign.into() };
        let out = play_keys(&[Show(0, "Code: ")], &keys(100, &format!("{secret}\r"), drawn), &[]);
        assert_eq!((stored(&out).trim_end(), withheld(&out)), ("", 1), "{secret}: {out:?}");
        let echoed = keys(100, &format!("{secret}\r"), |c| if c == '\r' { "\r\n".into() } else { c.into() });
        assert_eq!(stored(&play_keys(&[Show(0, "$ ")], &echoed, &[])), format!("{secret}\r"));
    }
}

#[test]
fn a_dialog_that_moves_its_cursor_at_every_key_is_no_echo() {
    let typed = keys(0, &format!("{SECRET}\r"), |_| {
        "\x1b[12;30H\x1b[0;10;7m*\x1b[K\x1b(B\x1b]0;hunter2!Kx9\x07".into()
    });
    is_withheld(&play_keys(&[], &typed, &[]));
}

#[test]
fn a_prompt_written_in_two_pieces_changes_nothing() {
    let typed = keys(50, &format!("{SECRET}\r"), |c| if c == '\r' { "\r\n".into() } else { String::new() });
    is_withheld(&play_keys(&[Show(0, "Pass"), Show(40, "phrase for key: ")], &typed, &[]));
}

#[test]
fn output_between_the_keys_is_no_echo() {
    let log = "Nov 25 14:03:12 host kernel: unrelated text of another job that uses the terminal\r\n";
    let typed = keys(0, "password\r", |c| if c == '\r' { "\r\n".into() } else { log.into() });
    let out = play_keys(&[], &typed, &[]);
    assert_eq!((stored(&out).trim_end(), withheld(&out)), ("", 1), "{out:?}");
}

#[test]
fn a_word_of_the_answer_is_no_echo_of_the_secret() {
    let typed =
        keys(0, "sorry\r", |c| if c == '\r' { "\r\nsorry, try again\r\n".into() } else { String::new() });
    let out = play_keys(&[], &typed, &[]);
    assert_eq!(out, [Typed::Withheld(1), Typed::Input(b"\r".to_vec())]);
}

#[test]
fn two_secrets_pasted_at_once_are_two_lines_withheld() {
    let paste = format!("{SECRET}\rswordfish\r");
    let out = play(Input::Echoed, &[Type(0, &paste), Show(10, "\r\nAgain: "), Show(20, "\r\nok\r\n$ ")]);
    assert_eq!(withheld(&out), 2, "{out:?}");
    assert_eq!(stored(&out), "\r\r");
    let out = play(Input::Echoed, &[Secret(true), Type(0, &paste), Show(10, "\r\nAgain: \r\n")]);
    assert_eq!(out, [Typed::Withheld(1)]);
}

#[test]
fn a_name_that_is_shown_is_stored_and_the_secret_pasted_after_it_is_not() {
    let paste = format!("alice\r{SECRET}\r");
    let out =
        play(Input::Echoed, &[Type(0, &paste), Show(5, "alice\r\nPassword: "), Show(9, "\r\nwelcome\r\n")]);
    assert_eq!(out, [Typed::Input(b"alice\r".to_vec()), Typed::Withheld(1), Typed::Input(b"\r".to_vec()),]);
}

#[test]
fn a_secret_typed_with_pauses_is_withheld_once_and_its_pauses_are_not_told() {
    let mut steps = Vec::new();
    let letters: Vec<String> = SECRET.chars().map(String::from).collect();
    for (letter, n) in letters.iter().zip(0..) {
        steps.push(Type(n * 400, letter));
    }
    steps.push(Type(5000, "\r"));
    steps.push(Show(5010, "\r\n"));
    is_withheld(&play(Input::Echoed, &steps));
}

#[test]
fn a_prompt_that_is_written_again_at_every_key_is_no_echo_however_slowly_one_types() {
    // The last has every letter in it.
    for label in ["Password: ", "Enter the secret of hunter2!Kx9: "] {
        for pause in [520, 600, 690, 800, 2500] {
            let typed: Vec<_> = (1u64..)
                .zip(SECRET.chars())
                .map(|(n, c)| {
                    let stars = "*".repeat(usize::try_from(n).unwrap());
                    (n * pause, c.to_string(), format!("\r\x1b[K{label}{stars}"))
                })
                .collect();
            let end = 12 * pause;
            let out = play_keys(&[], &typed, &[Type(end, "\r"), Show(end + 10, "\r\n")]);
            // A line of this length is told of before it ends, too.
            assert!(stored(&out) == "\r" && withheld(&out) >= 1, "{out:?}");
        }
    }
}

#[test]
fn what_follows_the_beginning_of_a_string_that_never_ends_is_not_stored_unseen() {
    for ends in [vec![Type(10, "\r")], vec![Type(3000, "x")], vec![]] {
        let mut steps = vec![Type(0, "\x1b]hunter2")];
        steps.extend(ends);
        let out = play(Input::Echoed, &steps);
        assert!(!stored(&out).contains("hunter2") && withheld(&out) == 1, "{out:?}");
    }
    let answer = play(Input::Echoed, &[Type(0, "\x1b]11;rgb:0/0/0\x1b\\")]);
    assert_eq!(stored(&answer), "\x1b]11;rgb:0/0/0\x1b\\");
}

#[test]
fn the_clipboard_and_what_only_begins_like_a_key_are_not_stored() {
    for answer in
        ["\x1b]52;c;aHVudGVyMl9LeDlzZWNyZXQ=\x1b\\", "\x1b]52;;aHVudGVyMg==\x07", "\x1b]5522;type=read\x1b\\"]
    {
        let out = play(Input::Echoed, &[Type(0, answer), Type(9_000, "\x1b[A")]);
        assert_eq!((stored(&out).as_str(), withheld(&out)), ("\x1b[A", 1), "{out:?}");
    }
    // Alt and a key, then a code; the second ends with a letter that would end the number of a key.
    for (alt, code) in [("\x1b[", "482915\r"), ("\x1b[", "4829H\r"), ("\x1bO", "4\r"), ("\x1b", "[4829\r")] {
        let mut steps = vec![Type(0, alt)];
        let keys: Vec<String> = code.chars().map(String::from).collect();
        steps.extend(keys.iter().zip(1..).map(|(key, n)| Type(n * 100, key)));
        let out = play(Input::Echoed, &steps);
        assert!(
            !stored(&out).contains(|c: char| c.is_ascii_digit()) && withheld(&out) == 1,
            "{code} {out:?}"
        );
    }
    // A key whose bytes are divided once is one.
    let divided = play(Input::Echoed, &[Type(0, "\x1b["), Type(1, "1;5C")]);
    assert_eq!(stored(&divided), "\x1b[1;5C");
}

#[test]
fn a_secret_that_is_typed_in_numbers_is_withheld_and_a_word_that_is_echoed_is_stored() {
    let numbered = |text: &str| text.chars().map(|c| format!("\x1b[{}u", u32::from(c))).collect::<String>();
    let secret = numbered(SECRET) + "\x1b[13u";
    let out = play(Input::Echoed, &[Type(0, &secret), Type(900, "\x1b[57;1:3u"), Show(910, "\r\n")]);
    assert!(stored(&out).is_empty() && withheld(&out) > 0, "{out:?}");
    let word = numbered("hello");
    let out = play(Input::Echoed, &[Type(0, &word), Show(20, "hello"), Type(900, "\x1b[97;5u")]);
    assert_eq!(stored(&out), word + "\x1b[97;5u");
}

#[test]
fn a_pin_that_is_typed_on_the_numeric_keypad_is_withheld_in_every_mode() {
    for pin in
        [["\x1b[57400u", "\x1b[57402u", "\x1b[57406u"], ["\x1bOq", "\x1bOs", "\x1bOw"], ["1", "3", "7"]]
    {
        let mut steps = vec![Show(0, "PIN: ")];
        steps.extend(pin.iter().zip(1..).map(|(key, n)| Type(n * 200, key)));
        steps.extend([Type(1_000, "\r"), Show(1_010, "\r\nthanks\r\n")]);
        assert_eq!(play(Input::Echoed, &steps), [Typed::Withheld(1), Typed::Input(b"\r".to_vec())]);
        let shown = [Type(0, pin[0]), Show(5, "1"), Type(100, pin[1]), Show(105, "3"), Type(900, "\x1bOA")];
        assert_eq!(stored(&play(Input::Echoed, &shown)), format!("{}{}\x1bOA", pin[0], pin[1]));
    }
}

#[test]
fn corrections_inside_a_withheld_line_are_withheld_too() {
    let out = play(
        Input::Echoed,
        &[Type(0, "hunter3"), Type(900, "\x7f"), Type(1800, "2"), Type(2000, "\r"), Show(2010, "\r\n")],
    );
    assert_eq!(out, [Typed::Withheld(1), Typed::Input(b"\r".to_vec())]);
}

#[test]
fn a_line_typed_after_a_secret_is_not_lost_with_it() {
    let out = play(
        Input::Echoed,
        &[Type(0, "hunter2\r"), Type(10, "ls\r"), Show(20, "\r\n$ "), Show(21, "ls\r\nfile\r\n")],
    );
    assert_eq!((stored(&out).as_str(), withheld(&out)), ("\rls\r", 1));
}

#[test]
fn lines_and_secrets_that_follow_each_other_faster_than_they_are_decided_are_told_apart() {
    let mut steps = Vec::new();
    for n in 0..4 {
        let at = n * 50;
        steps.extend([
            Show(at, "$ "),
            Type(at + 1, "ask\r"),
            Show(at + 2, "ask\r\nPIN: "),
            Type(at + 3, SECRET),
            Type(at + 4, "\r"),
        ]);
        steps.push(Show(at + 5, "\r\nasked hunter\r\n"));
    }
    let out = play(Input::Echoed, &steps);
    assert_eq!((stored(&out).as_str(), withheld(&out)), ("ask\r\rask\r\rask\r\rask\r\r", 4), "{out:?}");
}

#[test]
fn type_ahead_into_a_prompt_that_shows_nothing_is_withheld() {
    // ssh has the terminal raw and the far side has not asked yet.
    let typed = keys(0, &format!("{SECRET}\r"), |_| String::new());
    is_withheld(&play_keys(&[], &typed, &[Show(2000, "Password: \r\nWelcome hunter2!Kx9\r\n")]));
}

#[test]
fn the_first_letters_of_a_secret_in_other_text_make_it_no_echo() {
    // Text that begins like what was typed, again and again, and never comes to its end.
    let typed = keys(0, "passport-5\r", |c| if c == '\r' { "\r\n".into() } else { "password: pass ".into() });
    let out = play_keys(&[], &typed, &[]);
    assert_eq!((stored(&out).trim_end(), withheld(&out)), ("", 1), "{out:?}");
}

#[test]
fn the_lines_of_a_box_are_no_echo() {
    // Typed ahead, over ssh; then the box is drawn, of letters that the terminal shows as lines.
    for on in ["\x1b(0", "\x0e"] {
        let bar = format!("{on}lqqqqqqqqqqqqqk\x1b(B\x0f Word \x1b[10;68H{on}xqmj\x1b(B\x0f");
        let out =
            play(Input::Echoed, &[Type(0, "qqxqmj"), Show(50, &bar), Type(400, "\r"), Show(420, "\r\n")]);
        assert_eq!((stored(&out).trim_end(), withheld(&out)), ("", 1), "{out:?}");
    }
}

#[test]
fn with_the_policy_none_nothing_is_stored_nor_counted() {
    assert_eq!(play(Input::None, &[Type(0, "ls\r"), Show(1, "ls\r\n")]), []);
}

#[test]
fn with_the_policy_all_everything_is_stored_at_once() {
    let out = play(Input::All, &[Secret(true), Type(0, "pw\r")]);
    assert_eq!(out, [Typed::Input(b"pw\r".to_vec())]);
}

#[test]
fn nothing_is_pending_when_nothing_was_typed() {
    let mut withhold = Withhold::new(Input::Echoed);
    let mut out = Vec::new();
    withhold.shown(Duration::ZERO, b"output", &mut out);
    assert_eq!((withhold.deadline(), out.len()), (None, 0));
}

proptest! {
    #[test]
    fn what_is_stored_is_what_was_typed_in_order(
        parts in proptest::collection::vec(("[a-z\r ]{1,8}", any::<bool>(), 0..900u64), 0..20)
    ) {
        let (mut steps, mut now) = (Vec::new(), 0);
        for (text, echoed, pause) in &parts {
            steps.push(Type(now, text));
            if *echoed { steps.push(Show(now + 1, text)); }
            now += pause;
        }
        let typed: String = parts.iter().map(|p| p.0.as_str()).collect();
        let kept = stored(&play(Input::Echoed, &steps));
        // A subsequence.
        let mut rest = typed.chars();
        prop_assert!(kept.chars().all(|c| rest.any(|t| t == c)), "{kept:?} of {typed:?}");
    }

    #[test]
    fn a_line_without_any_output_is_never_stored(line in "[ -~]{1,60}") {
        let steps = [Type(0, line.as_str()), Type(10, "\r"), Show(20, "\r\n")];
        let out = play(Input::Echoed, &steps);
        prop_assert_eq!(stored(&out), "\r");
        prop_assert_eq!(withheld(&out), 1);
    }
}

#[test]
fn keys_that_end_no_line_are_reported_apart_from_lines_and_secrets() {
    let ms = Duration::from_millis;
    let reported = |steps: &[(u64, &str, bool)]| {
        let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
        for (at, typed, secret) in steps {
            withhold.tick(ms(*at), &mut out);
            withhold.typed(ms(*at), typed.as_bytes(), *secret, &mut out);
        }
        withhold.tick(ms(9_000), &mut out);
        withhold.tick(ms(20_000), &mut out);
        assert_eq!(withheld(&out), 1, "{steps:?} {out:?}");
        withhold.take_reported().map(|reported| (reported.since, reported.line))
    };
    assert_eq!(reported(&[(1_000, "j", false)]), Some((ms(1_000), false)));
    assert_eq!(reported(&[(1_000, "jjj", false), (3_000, "k", false)]), Some((ms(1_000), false)));
    assert_eq!(reported(&[(1_000, "hunter2\r", false)]), Some((ms(1_000), true)));
    // Enter comes after a pause; keys of a pager come before a password.
    assert_eq!(reported(&[(1_000, "hunter2", false), (3_000, "\r", false)]), Some((ms(1_000), true)));
    assert_eq!(reported(&[(1_000, "j", false), (3_000, "hunter2\r", false)]), Some((ms(3_000), true)));
    assert_eq!(reported(&[(1_000, "hunter2\r", true)]), Some((ms(1_000), true)));
}
