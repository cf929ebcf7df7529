//! What standard output is: closed, a file by another name, a terminal that knows no control sequences.

use crate::home::{Home, Ran, Recording, ran};
use sealcast::cast::Payload;
use std::process::Command as Process;

/// Runs the program by way of `sh`, whose words have it as `$0`.
fn by_shell(home: &Home, words: &str) -> Ran {
    let plain = home.command(&[]);
    let mut shell = Process::new("sh");
    shell.arg("-c").arg(words).arg(plain.get_program()).env_clear();
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ran(shell.current_dir(home.path("")), &[words])
}

#[test]
fn a_standard_output_that_takes_nothing_is_an_error() {
    let home = Home::new();
    home.record(&Recording::default());
    for command in ["export last", "export last -f commands", "ls", "show last", "verify last", "--version"] {
        // Closed, and open in the other direction only.
        for useless in [">&-", "1</dev/null"] {
            let ran = by_shell(&home, &format!("exec \"$0\" {command} {useless}")).exits(2);
            ran.complains("cannot write to standard output: Bad file descriptor");
        }
    }
    // Whoever has nothing to say needs none.
    by_shell(&home, "exec \"$0\" export last -o whole.cast >&-").exits(0);
    assert!(home.path("whole.cast").exists());
    by_shell(&home, "exec \"$0\" run -- true >&-").exits(0);
    // What is no error to others is none here.
    by_shell(&home, "exec \"$0\" ls >/dev/null").exits(0);
}

#[test]
fn an_export_to_a_dash_goes_to_standard_output() {
    let home = Home::new();
    home.record(&Recording::default());
    for format in ["cast", "commands"] {
        let wanted = home.run(&["export", "last", "-f", format]).exits(0);
        let given = home.run(&["export", "last", "-f", format, "-o", "-"]).exits(0);
        assert_eq!((wanted.text(), wanted.err), (given.text(), given.err.clone()), "{format}");
        assert!(!home.path("-").exists(), "{format}");
    }
    home.run(&["export", "last", "-o", "./-"]).exits(0);
    assert!(home.path("-").exists());
}

/// What the program says, run on a terminal of this kind; none where `script` is missing.
fn on_terminal(home: &Home, kind: Option<&str>, words: &str) -> Option<String> {
    let plain = home.command(&[]);
    let program = plain.get_program().to_str().unwrap();
    let mut script = Process::new("script");
    script.args(["-qec", &format!("{program} {words}"), "/dev/null"]).env_clear();
    script.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(kind) = kind {
        script.env("TERM", kind);
    }
    let Ok(out) = script.current_dir(home.path("")).output() else {
        crate::skipped("there is no script");
        return None;
    };
    assert!(out.status.success(), "{words}: {out:?}");
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn a_terminal_that_knows_no_control_sequences_gets_none() {
    let home = Home::new();
    home.record(&Recording::default());
    for words in ["ls", "verify", "search after", "play --plain --speed 10000 last"] {
        for kind in [Some("dumb"), Some(""), None] {
            let Some(said) = on_terminal(&home, kind, words) else { return };
            assert!(!said.contains('\x1b') && said.lines().count() > 0, "{words}, {kind:?}: {said:?}");
        }
        let Some(said) = on_terminal(&home, Some("xterm"), words) else { return };
        assert!(said.contains('\x1b'), "{words}: {said:?}");
    }
    // The text is the same, line by line.
    let Some(dumb) = on_terminal(&home, Some("dumb"), "play --plain --speed 10000 last") else { return };
    let piped = home.run(&["play", "--plain", "--speed", "10000", "last"]).exits(0).text();
    assert_eq!(dumb.replace('\r', ""), piped);
}

/// What comes first is drawn at once; of what comes after it, what the clock likes.
#[test]
fn whoever_waits_for_one_long_recording_sees_how_far_it_is() {
    let home = Home::new();
    let output = |n: u64| (n * 700_000, Payload::Output(format!("line {n}\r\n").into_bytes()));
    home.record(&Recording { events: (0..4).map(output).collect(), ..Recording::default() });
    for (words, drawn) in [
        ("search line", &["searching 0 %"][..]),
        ("export last --hits line -o part.cast", &["searching 0 %", "exporting 0 %"]),
        ("export last -o whole.cast", &["exporting "]),
    ] {
        let Some(said) = on_terminal(&home, Some("xterm"), words) else { return };
        for drawn in drawn {
            assert!(said.contains(&format!("\r{drawn}")), "{words}: {said:?}");
        }
    }
}

/// Runs the program with a standard output whose reader has gone. Not a pipe: what another test starts at this moment holds the
/// end that reads until it is executed.
fn to_nobody(home: &Home, args: &[&str]) -> Ran {
    let (gone, out) = std::os::unix::net::UnixStream::pair().unwrap();
    gone.shutdown(std::net::Shutdown::Both).unwrap();
    let out = std::os::fd::OwnedFd::from(out);
    ran(home.command(args).stdout(out), args)
}

#[test]
fn an_output_that_is_closed_early_makes_no_verdict_better() {
    let home = Home::new();
    let day = 86_400_000;
    let (torn, _) = home.record(&Recording {
        start: Recording::default().start - day,
        close: false,
        ..Recording::default()
    });
    home.record(&Recording::default());
    let torn = torn.to_str().unwrap();
    // More than is kept before it is written: the output is closed before the last one has its verdict.
    for (first, what, code, told) in [
        (&["verify"][..], "last", 0, ""),
        (&["verify"], torn, 1, "600 of 600 recordings are not intact"),
        (&["verify", "--json"], "last", 2, " of 600 recordings were not looked at"),
        (&["verify", "--json", "last~1"], "last", 1, "1 of 601 recordings are not intact, "),
    ] {
        let args = [first, &[what; 600]].concat();
        let ran = to_nobody(&home, &args).exits(code);
        assert!(ran.err.contains(told) && ran.err.is_empty() == told.is_empty(), "{ran}");
    }
    // A reader that goes away is no error to what answers no question.
    for args in [&["export", "last"][..], &["play", "--plain", "last"], &["ls"]] {
        let ran = to_nobody(&home, args).exits(0);
        assert!(!ran.err.contains("error: "), "{ran}");
    }
    // What could not be searched before something was found is told all the same.
    std::fs::write(torn, "hello").unwrap();
    to_nobody(&home, &["search", "minute"]).exits(2).complains("could not be searched");
    std::fs::remove_file(torn).unwrap();
    to_nobody(&home, &["search", "minute"]).exits(0);
}
