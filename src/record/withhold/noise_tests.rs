//! Secrets that are typed while something else is drawn, and words typed in the open beside the same: how much is stored of
//! each. Words and digits on purpose: the letters of a word are in every prompt, and digits in every log.

use super::*;
use crate::sys::dice::Dice;

const WORDS: &[&str] = &[
    "content",
    "person",
    "operator",
    "restarts",
    "kernel",
    "shorter",
    "otherssea",
    "password",
    "enter",
    "key",
    "session",
    "started",
    "accepted",
    "connect",
    "renewal",
    "seconds",
    "secret",
    "letmein",
    "monkey",
    "dragon",
    "welcome",
    "admin",
    "root",
    "alice",
    "device",
    "number",
    "address",
    "bound",
    "progress",
    "public",
    "deploy",
    "postfix",
    "usb",
    "item",
    "get",
    "correct horse",
    "phrase for",
    "your name",
    "new user",
    "the pass",
    "word",
    "p",
    "e",
    "*",
    "**",
    "or",
    "at",
    "pass",
];

/// What is drawn beside a prompt. `shown` is what the prompt shows of the keys so far, `n` how many times this was drawn.
pub(super) type Noise = fn(&mut Dice, n: u64) -> String;

fn log_line(dice: &mut Dice, n: u64) -> String {
    let at = format!("{:02}:{:02}:{:02}.{:03}", 9 + n / 3600, n / 60 % 60, n % 60, dice.below(1000));
    format!("{at} GET /item/{} 200 {}", dice.below(10_007), dice.below(99_991))
}

fn system_line(dice: &mut Dice, n: u64) -> String {
    let number = dice.below(10_007);
    let what = [
        format!("systemd[1]: Started Session {number} of user alice."),
        format!("sshd[{number}]: Accepted publickey for deploy from 10.0.0.7"),
        format!("kernel: usb 1-1: new high-speed device number {number}"),
        format!("postfix/smtpd[{number}]: connect from unknown"),
        format!("dhclient: bound to address, renewal in {number} seconds."),
        format!("CRON[{number}]: (root) CMD (test -x /usr/sbin/anacron)"),
    ];
    format!("Nov 26 14:{:02}:{:02} host {}", n / 60 % 60, n % 60, what[usize::try_from(n % 6).unwrap()])
}

/// What else is drawn, by itself, beside the prompt.
pub(super) const NOISES: &[(&str, Noise)] = &[
    ("nothing", |_, _| String::new()),
    ("log", |dice, n| format!("\r\n{}", log_line(dice, n))),
    ("log, lines ended", |dice, n| format!("{}\r\n", log_line(dice, n))),
    ("system log", |dice, n| format!("\r\n{}", system_line(dice, n))),
    ("system log, lines ended", |dice, n| format!("{}\r\n", system_line(dice, n))),
    ("clock", |_, n| format!("\x1b7\x1b[1;60H14:{:02}:{:02}\x1b8", n / 60 % 60, n % 60)),
    ("progress", |_, n| format!("\r{:3}% {:5}/40000", n % 100, n * 137)),
    ("spinner", |_, n| format!("\x08{}", ["|", "/", "-", "\\"][usize::try_from(n % 4).unwrap()])),
    ("other pane", |dice, n| {
        format!("\x1b[?25l\x1b[{};41H{:.38}\x1b[12;7H\x1b[?25h", 1 + n % 23, log_line(dice, n))
    }),
    ("other pane, scrolling", |dice, n| {
        format!("\x1b[14;24r\x1b[24;1H\n{:.78}\x1b[r\x1b[12;7H", system_line(dice, n))
    }),
    ("status line", |dice, n| {
        format!("\x1b[s\x1b[24;1H\x1b[7m[0] 0:bash* {} {}\x1b[m\x1b[u", dice.below(100), n)
    }),
];

/// What a prompt answers to the `n`th key, `key`.
type Answer = fn(n: usize, key: char) -> String;

const LABELS: [&str; 3] =
    ["? Enter your password: ", "Enter passphrase for key: ", "(operator) Password or PIN 0123456789: "];

/// Prompts that show nothing of what is typed, but their label and stars.
const HIDING: &[(&str, Answer)] = &[
    ("nothing", |_, _| String::new()),
    ("a star", |_, _| "*".into()),
    ("all again", |n, _| format!("\r\x1b[K{}{}", LABELS[0], "*".repeat(n))),
    ("all again, a key", |n, _| format!("\r{}{}\x1b[K", LABELS[1], "*".repeat(n))),
    ("all again, a name", |n, _| format!("\x1b[1G\x1b[2K{}{}", LABELS[2], "*".repeat(n))),
    ("all again, cursor elsewhere", |n, _| format!("\x1b[?25l\x1b[5;1H{}{}\r\n", LABELS[0], "*".repeat(n))),
    ("a meter", |n, _| format!("*\x1b[s  strength: {}\x1b[u", ["weak", "good", "strong"][n.min(8) / 3])),
];

/// How often `what` is drawn beside, in milliseconds; how far apart keys are.
const TIMES: [(u64, u64); 4] = [(200, 140), (130, 250), (90, 650), (333, 520)];

/// Everything that is stored of `text`, typed key by key while `noise` is drawn, and of Enter.
fn typed(text: &str, noise: Noise, answer: Answer, (every, apart): (u64, u64), seed: u64) -> String {
    let mut dice = Dice(seed);
    let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
    let mut now = 0;
    let mut next_noise = dice.below(every);
    let mut drawn = 40 + dice.below(3000);
    // What is drawn up to a moment, and what falls due.
    let mut until = |withhold: &mut Withhold, out: &mut Vec<Typed>, dice: &mut Dice, to: u64| {
        while next_noise <= to {
            drawn += 1;
            let at = Duration::from_millis(next_noise);
            withhold.tick(at, out);
            withhold.shown(at, noise(dice, drawn).as_bytes(), out);
            next_noise += every / 2 + dice.below(every);
        }
        withhold.tick(Duration::from_millis(to), out);
    };
    until(&mut withhold, &mut out, &mut dice, 1000);
    withhold.shown(Duration::from_millis(1000), b"\x1b[12;1HPIN:  ", &mut out);
    now += 1300;
    for (key, n) in text.chars().zip(1..) {
        until(&mut withhold, &mut out, &mut dice, now);
        withhold.typed(Duration::from_millis(now), key.to_string().as_bytes(), false, &mut out);
        let back = now + 2 + dice.below(20);
        until(&mut withhold, &mut out, &mut dice, back);
        withhold.shown(Duration::from_millis(back), answer(n, key).as_bytes(), &mut out);
        now = back + apart / 2 + dice.below(apart);
    }
    until(&mut withhold, &mut out, &mut dice, now);
    withhold.typed(Duration::from_millis(now), b"\r", false, &mut out);
    withhold.shown(Duration::from_millis(now + 5), b"\r\nok\r\n", &mut out);
    until(&mut withhold, &mut out, &mut dice, now + 3000);
    withhold.finish(Duration::from_millis(now + 3000), &mut out);
    let bytes =
        out.into_iter().filter_map(|typed| if let Typed::Input(bytes) = typed { Some(bytes) } else { None });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}

pub(super) fn secrets(dice: &mut Dice) -> Vec<String> {
    let digits = |dice: &mut Dice, n: usize| (0..n).map(|_| char::from(b'0' + dice.below(10))).collect();
    let mut all: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
    all.extend((0..12).map(|n| digits(dice, 4 + n % 5)));
    all.extend((0..6).map(|_| format!("{}{}", dice.of(WORDS), dice.below(100))));
    all
}

/// Types secrets at prompts that hide them, one in `share` of all there are; gives how many, and what was stored of which.
fn leaks(seed: u64, share: u64) -> (u32, Vec<String>) {
    let mut dice = Dice(seed);
    let (mut lines, mut found) = (0, Vec::new());
    for (noise, draw) in NOISES {
        for (prompt, answer) in HIDING {
            for times in TIMES {
                for secret in secrets(&mut dice) {
                    if dice.below(share) > 0 {
                        continue;
                    }
                    let stored = typed(&secret, *draw, *answer, times, dice.below(1 << 30));
                    lines += 1;
                    if !matches!(stored.as_str(), "" | "\r") {
                        found.push(format!(
                            "{secret:?} beside {noise}, answered by {prompt}, {times:?}: {stored:?}"
                        ));
                    }
                }
            }
        }
    }
    (lines, found)
}

#[test]
fn nothing_of_a_word_or_a_code_is_stored_whatever_is_drawn_beside_it_and_however_the_prompt_is_drawn() {
    let (lines, found) = leaks(1, 30);
    assert!(lines > 500 && found.is_empty(), "{} of {lines}:\n{}", found.len(), found.join("\n"));
}

/// All of them, a few times: `cargo test --lib record::withhold -- --ignored`. Takes minutes.
#[test]
#[ignore = "takes minutes"]
fn nothing_of_any_word_or_code_is_stored() {
    for seed in 2..6 {
        let (lines, found) = leaks(seed, 1);
        assert!(found.is_empty(), "{} of {lines}:\n{}", found.len(), found.join("\n"));
    }
}

/// Programs that show what is typed.
const SHOWING: &[(&str, Answer)] = &[
    ("an echo", |_, key| key.to_string()),
    ("an echo in colour", |_, key| format!("\x1b[?25l\x1b[32m{key}\x1b[m\x1b[?25h")),
    ("a suggestion", |_, key| format!("{key}\x1b[90m of the line\x1b[m\x1b[12D")),
];

#[test]
fn words_and_codes_in_the_open_are_stored_beside_what_leaves_the_cursor_alone() {
    let mut dice = Dice(2);
    let (mut lines, mut lost) = (0, Vec::new());
    for (noise, draw) in NOISES.iter().filter(|(name, _)| ["nothing", "clock", "status line"].contains(name))
    {
        for (program, answer) in SHOWING {
            for times in TIMES {
                for text in secrets(&mut dice).into_iter().filter(|text| !text.starts_with('*')) {
                    if dice.below(8) > 0 {
                        continue;
                    }
                    let stored = typed(&text, *draw, *answer, times, dice.below(1 << 30));
                    lines += 1;
                    if stored != format!("{text}\r") {
                        lost.push(format!("{text:?} beside {noise}, {program}, {times:?}: {stored:?}"));
                    }
                }
            }
        }
    }
    assert!(lines > 200 && lost.is_empty(), "{} of {lines}:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn what_comes_letter_by_letter_is_stored_wherever_it_is_drawn_and_what_stands_there_anyway_is_not() {
    let text = "hello world, from far";
    let mut moments: Vec<(u64, bool, String)> =
        vec![(0, true, "o".into()), (250, false, "\x1b[8;1H\x1b[K\x1b[24;60H8,1\x1b[8;1H".into())];
    for (key, n) in text.chars().zip(1..) {
        // A line across an ocean: three keys are on their way before the first comes back.
        moments.push((n * 90, true, key.into()));
        moments.push((n * 90 + 250, false, format!("{key}\x1b7\x1b[24;62H{n}\x1b8")));
    }
    let typed = played(moments);
    assert_eq!(typed, format!("o{text}"));
    // A program whose cursor is one of its own: it draws the line again at each key.
    let own = |label: &str, text: &str, shows: bool| {
        let moments = text.chars().zip(1..).flat_map(|(key, n)| {
            let so_far: String = text.chars().take(if shows { n } else { 0 }).collect();
            let drawn = format!("\x1b[?25l\x1b[3;1H\x1b[K{label}{so_far} \x1b[9;1H");
            let at = 80 * n as u64;
            [(at, true, key.to_string()), (at + 10, false, drawn)]
        });
        let before = (0, false, "\x1b[?25l\x1b[9;1H".to_owned());
        played([before].into_iter().chain(moments).collect())
    };
    assert_eq!(own("Name: ", "some-name", true), "some-name");
    assert_eq!(own("The password of operator: ", "operator", false), "");
}

/// Plays what is typed (true) and shown at these milliseconds, and gives what is stored.
pub(super) fn played(mut moments: Vec<(u64, bool, String)>) -> String {
    let (mut withhold, mut out) = (Withhold::new(Input::Echoed), Vec::new());
    moments.sort_by_key(|moment| moment.0);
    for (at, is_typed, text) in moments {
        let now = Duration::from_millis(at);
        match is_typed {
            true => withhold.typed(now, text.as_bytes(), false, &mut out),
            false => withhold.shown(now, text.as_bytes(), &mut out),
        }
    }
    withhold.tick(Duration::from_secs(100), &mut out);
    let bytes =
        out.into_iter().filter_map(|typed| if let Typed::Input(bytes) = typed { Some(bytes) } else { None });
    String::from_utf8(bytes.flatten().collect()).unwrap()
}
