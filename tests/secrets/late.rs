//! Who is late is the recorder, not the program: what was shown in time counts, whenever it is read.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::support::{pause, state, until};
use crate::{SECRET, Session, check, tried};
use sealcast::cast::Payload;
use sealcast::sys::signals;
use std::time::{Duration, Instant};

/// Longer than an echo is waited for, and than keys may be apart.
const LATE: Duration = Duration::from_secs(3);

#[test]
fn a_line_that_was_shown_while_the_recorder_stood_still_is_stored() {
    tried(|| {
        // Only once the recorder has handed the line on does the program see it, and it shows it once the recorder stands still.
        let line = "echo open one\r";
        let script = format!(
            "stty raw -echo; printf READY; head -c {} >got; until test -e go; do sleep 0.01; done; \
         tr -d '\\r' <got; printf '\\r\\n'; : >shown; printf END",
            line.len()
        );
        let mut session = Session::start(&["sh", "-c", &script]);
        session.terminal.wait_for("READY");
        let sent = Instant::now();
        session.terminal.send(line);
        let got = session.sandbox.path("got");
        until("the program to read the line", || {
            std::fs::metadata(&got).is_ok_and(|got| got.len() == line.len() as u64).then_some(())
        });
        let recorder = session.terminal.pid();
        signals::send(recorder, signals::SIGSTOP).unwrap();
        until("the recorder to stand still", || (state(recorder) == Some('T')).then_some(()));
        // Until now the recorder waited for the echo. That it is late from now on is what is made here, and says nothing of the host.
        let late = sent.elapsed();
        session.sandbox.file("go", "");
        let shown = session.sandbox.path("shown");
        until("the program to show the line", || shown.exists().then_some(()));
        pause(LATE);
        signals::send(recorder, signals::SIGCONT).unwrap();
        session.terminal.wait_for("open one\r\n");
        session.terminal.wait_for("END");
        session.terminal.wait_end();
        check(&session.sandbox.events(), &[SECRET], &[line], 0, &session.sandbox.everything(), late)
    });
}

#[test]
fn what_is_typed_unseen_beside_a_flood_is_withheld_while_that_goes_on() {
    // No line is read here: that nothing is shown is all that tells. And the terminal is slow: whenever the recorder looks,
    // there is more to read.
    let sandbox = Sandbox::new();
    let mut terminal =
        sandbox.run(&["sh", "-c", "stty raw -echo; printf READY; head -c 3000000 /dev/zero | tr '\\0' ."]);
    terminal.wait_for("READY");
    terminal.send(format!("{SECRET}\r"));
    terminal.read_slowly(512 << 10);
    pause(LATE);
    terminal.read_slowly(1 << 20);
    let read = terminal.transcript().len();
    terminal.wait_end();
    let mut shown = 0;
    let withheld = sandbox.events().into_iter().find_map(|event| match event.payload {
        Payload::Output(bytes) => {
            shown += bytes.len();
            None
        }
        Payload::Withheld(count) => Some((count, shown)),
        _ => None,
    });
    assert!(withheld.is_some_and(|(count, shown)| count == 1 && shown < read), "{withheld:?} {read}");
    assert_eq!(sandbox.recorded_output().len(), terminal.transcript().len());
    assert!(!sandbox.everything().contains(SECRET));
}

/// So many lines were withheld so far; waits for the first.
fn withheld(sandbox: &Sandbox) -> u32 {
    until("the recording to tell that something was typed", || {
        let counts = sandbox.events_so_far().into_iter().filter_map(|event| match event.payload {
            Payload::Withheld(count) => Some(count),
            _ => None,
        });
        Some(counts.sum()).filter(|count| *count > 0)
    })
}

/// Takes a line of this length unseen, in this file.
fn takes_unseen(line: &str) -> String {
    format!("stty raw -echo; printf READY; head -c {} >taken; : >took", line.len())
}

#[test]
fn what_is_typed_at_a_terminal_that_takes_nothing_reaches_the_program_and_is_told_while_that_goes_on() {
    tried(|| {
        let (line, open) = (format!("{SECRET}\r"), "echo open one\r");
        let script = format!(
            "(until test -e flood; do sleep 0.05; done; head -c 300000 /dev/zero | tr '\\0' . ) & {}; wait; \
             stty sane; printf AGAIN; read line; printf END",
            takes_unseen(&line)
        );
        let mut session = Session::start(&["sh", "-c", &script]);
        session.terminal.wait_for("READY");
        session.sandbox.file("flood", "");
        session.terminal.send_blindly(&line);
        let took = session.sandbox.path("took");
        until("the program to take the line", || took.exists().then_some(()));
        assert_eq!(withheld(&session.sandbox), 1);
        // What is typed once it takes something again is looked at as ever.
        session.terminal.wait_for("AGAIN");
        session.terminal.send(open);
        session.terminal.wait_for("open one\r\n");
        session.terminal.wait_for("END");
        session.terminal.wait_end();
        let late = session.terminal.late();
        check(&session.sandbox.events(), &[SECRET], &[open], 1, &session.sandbox.everything(), late)
    });
}

#[test]
fn what_is_typed_beside_a_stream_that_nobody_reads_is_told_while_that_goes_on() {
    let sandbox = Sandbox::new();
    let line = format!("{SECRET}\r");
    let script = format!("head -c 400000 /dev/zero >&2 & {}; wait", takes_unseen(&line));
    sandbox.file("script", script);
    let outer = format!("mkfifo nobody; exec {} sh script 2<>nobody", sandbox.wrapper_line());
    let mut shell = sandbox.command("sh");
    shell.args(["-c", &outer]);
    let mut terminal = Terminal::start(&shell, SIZE);
    terminal.wait_for("READY");
    terminal.send_unseen(&line);
    let took = sandbox.path("took");
    until("the program to take the line", || took.exists().then_some(()));
    assert_eq!(withheld(&sandbox), 1);
    let sizes = sandbox.events_so_far().into_iter().map(|event| match event.payload {
        Payload::ErrorOutput(bytes) => bytes.len(),
        _ => 0,
    });
    assert!(sizes.sum::<usize>() < 400_000, "somebody reads it");
}
