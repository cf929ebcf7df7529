//! Who is late is the recorder, not the program: what was shown in time counts, whenever it is read.

use crate::support::sandbox::Sandbox;
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
