//! What becomes of typed lines where the output was not read, or the screen is not known.

use super::super::indexer_queue::Unheard;
use super::*;
use crate::exec::Trace;
use crate::policy::Redactions;
use crate::shell::commands::Tracker;
use crate::shell::marks::{Mark, Start};

const ONE: &str = "unread: 1 line was typed while the screen was not known";
const TWO: &str = "unread: 2 lines were typed while the screen was not known";

/// A session of a shell with this process id, and its segments.
struct Session {
    indexer: ScreenIndexer,
    ms: u64,
}

impl Session {
    fn new() -> Self {
        let (trace, _) = Trace::of_test();
        let heard =
            Heard { tracker: Tracker::new(Some(10)), trace, redact: Redactions::default(), strict: false };
        let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
        Indexer::begin(&mut indexer, Duration::ZERO);
        // However busy the machine is, nothing is late.
        (indexer.patience, indexer.most_patience) = (crate::sys::DEADLINE, crate::sys::DEADLINE);
        Self { indexer, ms: 0 }
    }

    fn says(&mut self, payload: Payload) -> &mut Self {
        self.indexer.event(Event::new(Duration::from_millis(self.ms), payload));
        self
    }

    fn shows(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.says(Payload::Output(bytes.into()))
    }

    fn types(&mut self, line: &str) -> &mut Self {
        self.ms += 1_000;
        self.shows(line).says(Said::Entered.payload()).shows("\r\n")
    }

    fn marks(&mut self, mark: Mark) -> &mut Self {
        self.says(Said::Mark(mark).payload())
    }

    fn prompt(&mut self, status: i32) -> &mut Self {
        self.ms += 1_000;
        self.marks(Mark::End { status: Some(status), pipe: vec![], cancelled: false });
        self.marks(Mark::Prompt { cwd: None }).shows("$ ")
    }

    fn integrated(&mut self, shell: &str) -> &mut Self {
        self.marks(Mark::Integration { shell: shell.into(), version: String::new(), pid: 10 })
    }

    fn starts(&mut self, text: &str) -> &mut Self {
        self.ms += 1;
        self.marks(Mark::Start(Start { text: Some(text.into()), ..Start::default() }))
    }

    /// Until what has ended has settled.
    fn waits(&mut self) -> &mut Self {
        self.ms += 10_000;
        self.shows(" ")
    }

    /// More than the emulator draws, whatever the time: from the next segment on the screen is not known.
    fn overruns(&mut self) -> &mut Self {
        self.shows(b"\x1b[2J".repeat(30_000)).border();
        self
    }

    fn border(&mut self) -> Told {
        let Extras { commands, running, given_up, left_out, .. } = self.indexer.end_segment();
        assert_eq!(left_out, LeftOut::default());
        let all = commands.into_iter().chain(running);
        let all = all.map(|command| (command.text, command.exit, command.flags.join("; ")));
        (all.collect(), given_up.map(GivenUp::word))
    }

    fn end(&mut self) -> Told {
        self.ms += 1_000;
        self.says(Payload::Exit(0)).border()
    }
}

/// Text, status and flags of the commands of a segment, and why it has less of an index than it could have.
type Told = (Vec<(String, Option<i32>, String)>, Option<&'static str>);

fn told(commands: &[(&str, Option<i32>, &str)], given_up: Option<&'static str>) -> Told {
    let of =
        |(text, exit, flags): &(&str, Option<i32>, &str)| ((*text).to_owned(), *exit, (*flags).to_owned());
    (commands.iter().map(of).collect(), given_up)
}

#[test]
fn a_line_that_is_typed_after_a_flood_is_read_off_the_screen() {
    let mut session = Session::new();
    for _ in 0..100 {
        session.shows("a line of a flood that nobody can read\r\n".repeat(1_000));
    }
    session.shows("$ ").types("echo INNER-AFTER >f");
    assert_eq!(session.end(), told(&[("echo INNER-AFTER >f", None, "")], Some("flood")));
}

#[test]
fn lines_that_are_typed_while_the_screen_is_not_known_are_counted_in_each_segment() {
    let mut session = Session::new();
    session.overruns().types("$ echo ONE").types("$ echo TWO");
    assert_eq!(session.border(), told(&[("", None, TWO)], Some("unread")));
    session.types("$ echo THREE");
    assert_eq!(session.border(), told(&[("", None, ONE)], Some("unread")));
    session.shows("nothing is typed");
    assert_eq!(session.border(), told(&[], Some("late")));
    // A full reset: it is known again.
    session.shows("\x1bc$ ").types("echo FOUR");
    assert_eq!(session.end(), told(&[("echo FOUR", None, "")], Some("late")));
}

/// The segment goes on for long, and what was refused was the way out of a full-screen program.
#[test]
fn lines_that_are_typed_behind_what_was_refused_are_counted_in_the_same_segment() {
    let mut session = Session::new();
    session.types("$ cat flood").shows(b"\x1b[?1049h").shows(b"\x1b[2J".repeat(30_000)).shows(b"\x1b[?1049l");
    session.types("$ echo ONE").types("$ echo TWO");
    assert_eq!(session.border(), told(&[("cat flood", None, ""), ("", None, TWO)], Some("unread")));
}

/// The line is typed ahead, and the cursor leaves it behind what is refused.
#[test]
fn a_line_that_was_ended_before_something_was_refused_is_counted_as_well() {
    for in_one in [true, false] {
        let mut session = Session::new();
        session.shows(b"\x1b[?1049h$ echo ONE").says(Said::Entered.payload());
        let (flood, rest) = (b"\x1b[2J".repeat(30_000), b"\x1b[?1049l\r\n");
        if in_one {
            session.shows([&flood[..], rest].concat());
        } else {
            session.shows(flood).shows(rest);
        }
        assert_eq!(session.border(), told(&[("", None, ONE)], Some("unread")), "{in_one}");
    }
}

/// Of which it is not known either whether its line was among what was left out.
#[test]
fn a_line_whose_end_is_left_out_is_counted_and_no_other_is_taken_for_it() {
    let mut session = Session::new();
    session.shows("$ head /dev/urandom").says(Said::Entered.payload());
    for n in 0..200 {
        session.shows(vec![n % 7; 30_000]);
    }
    session.shows("\x1bc$ cat notes\r\n$ ").ms += 1_000;
    assert_eq!(session.end(), told(&[("", None, ONE)], Some("unread")));
}

#[test]
fn what_a_posix_shell_ran_has_its_status_though_its_line_cannot_be_read() {
    let mut session = Session::new();
    session.integrated("dash").prompt(0).overruns();
    session.types("stty").prompt(0).types("false").prompt(1).types("exit");
    let lines = [("", Some(0), ONE), ("", Some(1), ONE), ("", Some(0), ONE)];
    assert_eq!(session.end(), told(&lines, Some("unread")));
}

#[test]
fn what_the_shell_tells_itself_is_not_unread_but_for_what_it_does_not_tell() {
    let mut session = Session::new();
    session.integrated("bash").prompt(0).overruns();
    session.types("ls").starts("ls").prompt(0).waits();
    assert_eq!(session.border(), told(&[("ls", Some(0), "")], Some("late")));
    // What runs has the keys, and may be a shell.
    session.types("bash --norc").starts("bash --norc").types("echo INNER").prompt(0).waits();
    assert_eq!(session.border(), told(&[("bash --norc", Some(0), ""), ("", None, ONE)], Some("unread")));
    // A shell that has stopped to tell.
    session.types("rm x").prompt(0);
    let unstarted = format!(
        "{ONE}; {}",
        "unstarted: the shell told no start of it: nothing ran, or it no longer tells what does"
    );
    assert_eq!(session.end(), told(&[("", Some(0), &unstarted)], Some("unread")));
}
/// Nobody knows any more how many there were but this.
#[test]
fn ends_of_lines_that_did_not_fit_into_the_queue_are_counted() {
    let mut unheard = Unheard::default();
    for said in [Said::Entered, Said::Mark(Mark::Start(Start::default())), Said::Entered] {
        unheard.count(&said.payload());
    }
    assert_eq!(unheard, Unheard { marks: 1, starts: 1, lines: 2 });
}
