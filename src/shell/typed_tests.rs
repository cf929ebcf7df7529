//! What is taken for typed, and what for the prompt or for what else stands in the line.

use super::*;
use crate::terminal::Terminal;

#[path = "inside_tests.rs"]
mod inside;

/// Twice: readline has drawn the prompt anew.
const DRAWN: Mark = Mark::Typing(AtPrompt { number: None, commands: Some(1), pid: Some(10), status: None });

/// A shell before a terminal, at a prompt of its own.
struct Seat {
    tracker: Tracker,
    terminal: Terminal,
    time: u64,
    status: i32,
}

impl Seat {
    fn new(shell: &str) -> Self {
        let mut seat =
            Self { tracker: Tracker::new(Some(10)), terminal: Terminal::new(80, 24), time: 0, status: 0 };
        seat.marks(Mark::Integration { shell: shell.into(), version: "1".into(), pid: 10 });
        seat
    }

    fn marks(&mut self, mark: Mark) -> &mut Self {
        self.tracker.mark(self.time, mark, &mut self.terminal);
        self
    }

    fn shows(&mut self, text: &str) -> &mut Self {
        self.tracker.output(self.time, text.as_bytes(), &mut self.terminal);
        self
    }

    /// A prompt of which nobody tells where it ends.
    fn prompt(&mut self, prompt: &str) -> &mut Self {
        self.time += 1_000;
        self.marks(Mark::End { status: Some(self.status), pipe: vec![], cancelled: false });
        self.marks(Mark::Prompt { cwd: None }).shows(prompt)
    }

    /// One of which the shell does.
    fn whole_prompt(&mut self, prompt: &str) -> &mut Self {
        self.prompt(prompt).marks(Mark::Typing(AtPrompt { pid: Some(10), ..AtPrompt::default() }))
    }

    /// The first key is pressed, this is drawn, and Enter ends it.
    fn types(&mut self, drawn: &str) -> &mut Self {
        self.time += 1_000;
        self.tracker.begins(&mut self.terminal);
        self.shows(drawn);
        self.tracker.entered(self.time);
        self.shows("\r\n")
    }

    /// Several lines in one paste, and Enter. `again`: with the prompt, as drawn at Enter.
    fn pastes(&mut self, lines: &[&str], again: bool, enters_first: bool) -> &mut Self {
        self.time += 1_000;
        self.marks(DRAWN);
        (1..lines.len()).for_each(|_| self.tracker.entered(self.time));
        if enters_first {
            self.tracker.entered(self.time);
        }
        self.shows(
            &lines.iter().map(|line| format!("\x1b[7m{line}\x1b[27m")).collect::<Vec<_>>().join("\r\n\r"),
        );
        if !enters_first {
            self.tracker.entered(self.time);
        }
        (1..lines.len()).for_each(|_| _ = self.shows("\x1b[A"));
        if again {
            self.shows("\r# ").marks(DRAWN);
        } else {
            self.shows("\r\x1b[2C");
        }
        self.shows(&format!("{}\r\n", lines.join("\r\n\r")))
    }

    fn starts(&mut self, text: &str) -> &mut Self {
        self.marks(Mark::Start(Start { text: Some(text.into()), ..Start::default() }))
    }

    /// Of a line that the history did not take the shell tells what it has last.
    fn starts_unlisted(&mut self, last: &str) -> &mut Self {
        let text = Some(last.into());
        self.marks(Mark::Start(Start { text, number: Some(4), before: Some(5), ..Start::default() }))
    }

    /// Text, trust and the words of the flags.
    fn entries(&mut self) -> Vec<(String, Trust, Vec<String>)> {
        let mut commands = self.tracker.finish(self.time, Some(0)).commands;
        commands.sort_by_key(|command| command.start);
        let word = |flag: &String| flag.split(':').next().unwrap_or_default().to_owned();
        let entry = |c: Command| (c.text, c.trust, c.flags.iter().map(word).collect());
        commands.into_iter().map(entry).collect()
    }
}

fn inferred(text: &str, flags: &[&str]) -> (String, Trust, Vec<String>) {
    (text.into(), Trust::Inferred, flags.iter().map(|flag| (*flag).to_owned()).collect())
}

/// As `PS1='$PWD\n'` has it, or an empty one.
#[test]
fn of_a_line_at_a_prompt_that_ends_before_it_all_was_typed() {
    for prompt in ["/srv\r\n", ""] {
        let mut seat = Seat::new("sh");
        for line in ["ls > /dev/null", "echo a # b", "   "] {
            seat.whole_prompt(prompt).types(line);
        }
        // A line that goes on has a prompt of its own.
        seat.whole_prompt(prompt).types("cat <<E").shows("> ").types("x > y").shows("> ").types("E");
        let expected = ["ls > /dev/null", "echo a # b", "cat <<E\nx > y\nE"].map(|text| inferred(text, &[]));
        assert_eq!(seat.whole_prompt(prompt).entries(), expected, "{prompt:?}");
    }
}

#[test]
fn what_stands_on_the_right_is_no_part_of_a_line_that_is_taken_from_the_screen() {
    let mut seat = Seat::new("bash");
    let prompt = "\x1b[s\x1b[60Cright\x1b[u# ";
    seat.whole_prompt(prompt).types(" rm x").starts_unlisted("ls");
    // A history that leaves out what it has: the number is as of one that took nothing.
    seat.whole_prompt(prompt).types("ls -l").starts_unlisted("ls -l");
    let told = ("ls -l".to_owned(), Trust::Told, vec![]);
    assert_eq!(seat.whole_prompt(prompt).entries(), [inferred(" rm x", &["unlisted"]), told]);
}

/// Prompts of themes that are much used: one that goes on behind its sign, one that has none.
#[test]
fn where_the_prompt_ends_of_which_the_shell_does_not_tell_it_is_known_from_the_first_key() {
    for prompt in ["\u{279c}  ~ ", " root@host  ~ \u{e0b0} ", "%  # "] {
        let mut seat = Seat::new("zsh");
        for rubbed_out in ["ls\x08 \x08\x08 \x08", "   ", ""] {
            seat.prompt(prompt).types(rubbed_out);
        }
        for line in ["cat a > b", "echo \"$ 5\"", "id # x"] {
            seat.prompt(prompt).types(line).starts(line);
        }
        // What starts is not told any more.
        seat.prompt(prompt).types("rm x > y");
        let mut expected =
            ["cat a > b", "echo \"$ 5\"", "id # x"].map(|t| (t.to_owned(), Trust::Told, vec![])).to_vec();
        expected.push(inferred("rm x > y", &["unstarted"]));
        assert_eq!(seat.prompt(prompt).entries(), expected, "{prompt:?}");
    }
}

#[test]
fn a_prompt_that_begins_as_the_one_before_is_another_where_its_sign_goes_on() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("> ").types("python3").starts("python3");
    for line in ["print(1)", "exit()"] {
        seat.shows(">>> ").types(line);
    }
    let python = ("python3".to_owned(), Trust::Told, vec![]);
    assert_eq!(
        seat.whole_prompt("> ").entries(),
        [python, inferred("print(1)", &[]), inferred("exit()", &[])]
    );
}

/// What becomes of keys is known half a second later: the next line may have begun by then.
#[test]
fn keys_that_were_not_shown_are_told_of_the_line_that_they_ended() {
    for begins_before in [false, true] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").types("stty -echo").starts("stty -echo").whole_prompt("# ");
        seat.types("");
        let at = seat.time;
        seat.time += 10;
        seat.tracker.clock(seat.time * 1_000);
        seat.starts("[withheld]").whole_prompt("# ");
        if begins_before {
            seat.types("ls").starts("ls");
        }
        seat.tracker.hidden(at, true);
        seat.tracker.withheld();
        if !begins_before {
            seat.types("ls").starts("ls");
        }
        let flagged = |flags: &[&str], text: &str| {
            (text.to_owned(), Trust::Told, flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
        };
        let expected = [flagged(&[], "stty -echo"), flagged(&["echo-off"], "[withheld]"), flagged(&[], "ls")];
        assert_eq!(seat.whole_prompt("# ").entries(), expected);
    }
}

/// What programs write uses up the Enters of lines that were pasted at once.
#[test]
fn a_line_that_was_pasted_with_others_and_is_in_no_history_is_taken_from_where_it_was_drawn() {
    let cases: [(&[&str], &str); 3] = [
        (&["# ", " rm x", "\r", "\n"], " rm x"),
        (&["\x1b[s\x1b[60Cright\x1b[u# ", " rm", " x\r\n\x1b[?2004l\r"], " rm x"),
        // Which of them it was, nobody knows.
        (&["# ", " rm x\r\n", "a job is done\r\n"], ""),
    ];
    for (shows, text) in cases {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ");
        seat.tracker.entered(seat.time);
        seat.tracker.entered(seat.time);
        seat.shows("seq 9\r\n").starts("seq 9").shows("1\r\n2\r\n3\r\n").whole_prompt(shows[0]);
        shows[1..].iter().for_each(|piece| _ = seat.shows(piece));
        seat.starts_unlisted("seq 9").whole_prompt("# ").types("ls").starts("ls");
        let told = |text: &str| (text.to_owned(), Trust::Told, vec![]);
        let expected = [told("seq 9"), inferred(text, &["unlisted"]), told("ls")];
        assert_eq!(seat.whole_prompt("# ").entries(), expected, "{shows:?}");
    }
}

/// Its row is no line, and uses up no Enter of those that are to come.
#[test]
fn of_a_prompt_of_two_rows_no_line_was_typed_though_several_were_ended_before_it() {
    for (shell, prompt) in [("bash", "[srv]\r\n# "), ("bash", "took 2s\r\n\r\n[srv] > \r\n"), ("bash", "")] {
        let mut seat = Seat::new(shell);
        let at_prompt = |seat: &mut Seat| {
            seat.prompt("").marks(Mark::Status(0)).shows(prompt);
            seat.marks(Mark::Typing(AtPrompt { pid: Some(10), ..AtPrompt::default() }));
        };
        at_prompt(&mut seat);
        (0..3).for_each(|_| seat.tracker.entered(seat.time));
        seat.shows("seq 9\r\n").starts("seq 9");
        for line in [" rm x > y", " ls y # z"] {
            at_prompt(&mut seat);
            seat.shows(&format!("{line}\r\n")).starts_unlisted("seq 9");
        }
        at_prompt(&mut seat);
        let unlisted = [" rm x > y", " ls y # z"].map(|line| inferred(line, &["unlisted"]));
        assert_eq!(seat.entries()[1..], unlisted, "{shell} {prompt:?}");
    }
}

/// Readline shows them marked, and at Enter once more, with the prompt where that is shorter to write.
#[test]
fn lines_that_were_pasted_together_and_are_in_no_history_are_all_taken_from_the_screen() {
    let lines = [" for i in 1; do", "  id > y", "done"];
    for (again, enters_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").pastes(&lines, again, enters_first);
        seat.starts_unlisted("ls").shows("x\r\ny\r\n");
        seat.whole_prompt("# ").types(" id").starts_unlisted("ls");
        let expected = [inferred(&lines.join("\n"), &["unlisted"]), inferred(" id", &["unlisted"])];
        assert_eq!(seat.whole_prompt("# ").entries(), expected, "{again} {enters_first}");
        assert_eq!(seat.tracker.typing.enters, 0);
    }
}

/// Of each bash tells a start, and nobody where the one before it ends.
#[test]
fn commands_that_were_pasted_together_and_are_in_no_history_are_one_entry_that_says_so() {
    for (number, flags) in [(None, &["read-on"][..]), (Some(4), &["unlisted", "read-on"])] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").pastes(&[" cd /srv", " id"], true, true);
        for _ in 0..2 {
            let text = number.map(|_| "ls".to_owned());
            seat.marks(Mark::Start(Start { text, number, before: Some(5), ..Start::default() }))
                .shows("0\r\n");
        }
        seat.whole_prompt("# ").types("ls").starts("ls");
        let told = ("ls".to_owned(), Trust::Told, vec![]);
        assert_eq!(seat.whole_prompt("# ").entries(), [inferred(" cd /srv\n id", flags), told]);
    }
}

/// Without the first of them on the screen nobody knows which stood there.
#[test]
fn lines_that_were_pasted_together_and_do_not_fit_the_screen_may_be_a_part() {
    for again in [true, false] {
        let lines: Vec<String> = (0..30).map(|n| format!(" id {n}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").pastes(&lines, again, true).starts_unlisted("ls");
        let entries = seat.whole_prompt("# ").entries();
        let [(text, Trust::Inferred, flags)] = entries.as_slice() else { panic!("{entries:?}") };
        assert!(text.starts_with(" id 0") && flags.iter().any(|flag| flag == "cut"), "{again} {entries:?}");
    }
}

#[test]
fn a_prompt_below_a_line_that_was_expanded_first_is_no_paste() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("# ").marks(DRAWN).types(" !!").shows("# ").marks(DRAWN);
    seat.types(" id").starts_unlisted("ls");
    assert_eq!(seat.whole_prompt("# ").entries(), [inferred(" id", &["unlisted"])]);
}

/// What is pasted behind it starts; the history has taken the comment alone.
#[test]
fn a_comment_is_no_command() {
    let mut seat = Seat::new("bash");
    let starts = |seat: &mut Seat, text: &str| {
        let (text, number) = (Some(text.to_owned()), Some(5));
        seat.marks(Mark::Start(Start { text, number, before: Some(5), ..Start::default() }));
    };
    seat.whole_prompt("$ ").types("# look");
    seat.whole_prompt("$ ").types(" rm x");
    starts(&mut seat, "# look");
    // Without `interactive_comments`.
    seat.whole_prompt("$ ").types("# look");
    starts(&mut seat, "# look");
    let told = ("# look".to_owned(), Trust::Told, vec![]);
    assert_eq!(seat.whole_prompt("$ ").entries(), [inferred(" rm x", &["unlisted"]), told]);
}

/// The history has taken but the last one.
#[test]
fn a_line_of_a_paste_of_which_the_shell_tells_is_no_part_of_the_entry_before() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("# ").pastes(&[" cd /srv", "id"], true, true).starts_unlisted("ls");
    let (text, number) = (Some("id".into()), Some(5));
    seat.marks(Mark::Start(Start { text, number, before: Some(5), ..Start::default() }));
    let told = ("id".to_owned(), Trust::Told, vec![]);
    assert_eq!(seat.whole_prompt("# ").entries(), [inferred(" cd /srv", &["unlisted"]), told]);
    // Of several of them the first cuts off all.
    let mut seat = Seat::new("bash");
    seat.whole_prompt("# ").pastes(&[" echo a", "echo b", "echo c"], true, true).starts_unlisted("ls");
    for (number, text) in [(5, "echo b"), (6, "echo c")] {
        let before = Some(number);
        seat.marks(Mark::Start(Start {
            text: Some(text.into()),
            number: before,
            before,
            ..Start::default()
        }));
    }
    let told = |text: &str| (text.to_owned(), Trust::Told, vec![]);
    let expected = [inferred(" echo a", &["unlisted"]), told("echo b"), told("echo c")];
    assert_eq!(seat.whole_prompt("# ").entries(), expected);
}

/// Of a paste, as bash reads it on: the history takes the same line twice, or leaves the second out.
#[test]
fn the_same_line_again_is_one_of_its_own_where_the_history_has_taken_it() {
    for (number, expected) in [(6, &[&[][..]; 2][..]), (5, &[&["read-on"]])] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").types("true");
        for number in [5, number] {
            let (text, number, before) = (Some("true".into()), Some(number), Some(5));
            seat.marks(Mark::Start(Start { text, number, before, ..Start::default() }));
        }
        let entries = seat.whole_prompt("# ").entries();
        assert_eq!(entries.iter().map(|(_, _, flags)| flags).collect::<Vec<_>>(), expected, "{number}");
        assert!(entries.iter().all(|(text, trust, _)| (text.as_str(), *trust) == ("true", Trust::Told)));
    }
}

/// Whatever `PS2` is.
#[test]
fn lines_that_go_on_are_whole_where_they_are_taken_from_the_screen() {
    for more in ["> ", "", "\u{276f} "] {
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").types(" cat <<E");
        for line in ["} > y", "[[ $a > 5", "# rm z", "E"] {
            seat.shows(more).types(line);
        }
        seat.starts_unlisted("ls");
        let expected = inferred(" cat <<E\n} > y\n[[ $a > 5\n# rm z\nE", &["unlisted"]);
        assert_eq!(seat.whole_prompt("# ").entries(), [expected], "{more:?}");
    }
}

#[test]
fn a_line_whose_beginning_has_left_the_screen_says_so_where_it_is_taken_from_there() {
    for (length, flags) in [(80 * 24, &["cut", "unlisted"][..]), (80 * 23, &["unlisted"])] {
        let mut seat = Seat::new("bash");
        let line = format!(" echo {}", "x".repeat(length));
        seat.whole_prompt("# ").types(&line).starts_unlisted("ls");
        let entries = seat.whole_prompt("# ").entries();
        let [(text, Trust::Inferred, told)] = entries.as_slice() else { panic!("{entries:?}") };
        let mut told: Vec<&str> = told.iter().map(String::as_str).collect();
        told.sort_unstable();
        assert_eq!((told.as_slice(), *text == line), (flags, flags.len() == 1));
        // The shell has all of it.
        let mut seat = Seat::new("bash");
        seat.whole_prompt("# ").types(&line).starts(&line);
        assert_eq!(seat.whole_prompt("# ").entries(), [(line, Trust::Told, vec![])]);
    }
}

/// Its editor writes a line end where a row is full (busybox), or shows but a part of the line (mksh).
#[test]
fn a_line_before_which_the_prompt_no_longer_stands_is_told_as_a_part() {
    for drawn in ["echo long\r\nname > y", "echo\rname > y\x1b[K"] {
        let mut seat = Seat::new("sh");
        seat.whole_prompt("# ").types("true").whole_prompt("# ").types(drawn);
        let expected = [inferred("true", &[]), inferred("name > y", &["cut"])];
        assert_eq!(seat.whole_prompt("# ").entries(), expected);
    }
}

/// The line that takes the mark from it was pasted with the others (`. bin/activate`), or entered before them. Of lines in no
/// history nothing else tells.
#[test]
fn where_the_end_of_a_prompt_is_no_longer_told_what_was_pasted_is_no_row_of_it() {
    for at_once in [1, 4] {
        let mut seat = Seat::new("bash");
        let enters = |seat: &mut Seat, count| (0..count).for_each(|_| seat.tracker.entered(seat.time));
        seat.whole_prompt("# ");
        enters(&mut seat, at_once);
        seat.shows("unmark\r\n").starts("unmark").prompt("(venv) # ");
        enters(&mut seat, 4 - at_once);
        let lines = [" rm x > y", " ls y", " id"];
        for line in lines {
            seat.shows(&format!("{line}\r\n")).starts_unlisted("unmark").prompt("(venv) # ");
        }
        let texts = seat.entries().into_iter().map(|(text, ..)| text).collect::<Vec<_>>();
        assert_eq!(texts[1..], lines, "{at_once}");
    }
}

#[test]
fn a_shell_inside_is_read_though_its_prompt_ends_in_no_sign() {
    let mut seat = Seat::new("bash");
    let prompt = "\u{279c}  ~ ";
    seat.whole_prompt(prompt).types("bash").starts("bash");
    for line in ["rm x > y", "exit"] {
        seat.shows(prompt).types(line);
    }
    // What a program writes at Enter is no line of it, nor is what is asked behind what is only like it.
    seat.whole_prompt(prompt).types("cat").starts("cat").types("x").shows(&format!("{prompt}x\r\n"));
    seat.shows(&format!("{}'s password: ", prompt.trim_end())).types("yes");
    let told = |text: &str| (text.to_owned(), Trust::Told, vec![]);
    assert_eq!(
        seat.whole_prompt(prompt).entries(),
        [told("bash"), inferred("rm x > y", &[]), inferred("exit", &[]), told("cat")]
    );
}

/// Where history is off nothing is told of a line but that it starts, and without its hook not that it ended.
#[test]
fn of_a_shell_that_tells_of_starts_alone_each_line_is_an_entry_of_its_own() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("# ").types("unset PROMPT_COMMAND").marks(Mark::Start(Start::default()));
    for _ in 0..2 {
        seat.shows("host: ").marks(Mark::Start(Start::default()));
    }
    assert_eq!(seat.whole_prompt("# ").entries().len(), 3);
}

/// As behind `stty -echo`.
#[test]
fn what_a_command_writes_behind_a_prompt_where_enter_was_not_echoed_is_no_line() {
    let mut seat = Seat::new("bash");
    seat.whole_prompt("# ");
    seat.tracker.entered(seat.time);
    seat.starts("echo x").shows("x\r\n");
    let told = |text: &str| (text.to_owned(), Trust::Told, vec![]);
    seat.whole_prompt("# ").types("ls").starts("ls");
    assert_eq!(seat.whole_prompt("# ").entries(), [told("echo x"), told("ls")]);
}

/// A prompt to which the shell adds what took time to find out.
#[test]
fn a_prompt_that_is_drawn_anew_behind_the_first_key_is_known_of_the_line_before() {
    let mut seat = Seat::new("zsh");
    let whole = "\u{279c}  ~ git:(main) ";
    seat.prompt(whole).types("");
    for _ in 0..2 {
        seat.prompt("\u{279c}  ~ ");
        seat.tracker.begins(&mut seat.terminal);
        seat.shows(&format!("\r\x1b[K{whole}"));
        seat.tracker.entered(seat.time);
        seat.shows("\r\n");
    }
    assert_eq!(seat.prompt(whole).entries(), []);
}
