use super::*;
use crate::shell::marks::{AtPrompt, Hint, Start, UNLISTED};
use crate::shell::screen::Line;

#[path = "programs_tests.rs"]
mod programs;
#[path = "silence_tests.rs"]
mod silence;
#[path = "through_tests.rs"]
mod through;
#[path = "typed_tests.rs"]
mod typed;

/// A screen of one line, enough for a shell without an editor.
#[derive(Default)]
struct OneLine(String);

impl Screen for OneLine {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.0.clear(),
                b'\r' => {}
                other => self.0.push(char::from(*other)),
            }
        }
    }

    fn line(&mut self) -> Option<Line> {
        Some(Line { text: self.0.trim_end().into(), before: self.0.clone(), fills: false })
    }
}

/// A session driven by hand; every step takes a second.
struct Hand {
    tracker: Tracker,
    screen: OneLine,
    time: u64,
}

impl Hand {
    fn new() -> Self {
        Self { tracker: Tracker::new(Some(10)), screen: OneLine::default(), time: 0 }
    }

    fn prompt(&mut self, status: i32) -> &mut Self {
        self.time += 1_000;
        let (time, screen) = (self.time, &mut self.screen);
        self.tracker.mark(time, Mark::End { status: Some(status), pipe: vec![], cancelled: false }, screen);
        self.tracker.mark(time, Mark::Prompt { cwd: Some("/srv".into()) }, screen);
        self.shows("# ")
    }

    fn shows(&mut self, text: &str) -> &mut Self {
        self.tracker.output(self.time, text.as_bytes(), &mut self.screen);
        self
    }

    /// Typed and echoed, Enter included.
    fn types(&mut self, line: &str) -> &mut Self {
        self.time += 1_000;
        self.tracker.input(self.time, &line.as_bytes()[..1.min(line.len())], &mut self.screen);
        self.shows(line);
        self.tracker.input(self.time, b"\r", &mut self.screen);
        self.shows("\r\n")
    }

    fn starts(&mut self, start: Start) -> &mut Self {
        self.tracker.mark(self.time, Mark::Start(start), &mut self.screen);
        self
    }

    fn told(&mut self, text: &str) -> &mut Self {
        self.starts(Start { text: Some(text.into()), ..Start::default() })
    }

    fn integrated(&mut self, shell: &str) -> &mut Self {
        let mark = Mark::Integration { shell: shell.into(), version: "1".into(), pid: 10 };
        self.tracker.mark(self.time, mark, &mut self.screen);
        self
    }

    fn hints(&mut self, hint: Hint) -> &mut Self {
        self.time += 1_000;
        self.tracker.hint(self.time, hint);
        self
    }

    fn done(&mut self) -> Vec<Command> {
        self.tracker.finish(self.time, Some(0)).commands
    }
}

fn exec(time: u64, pid: u32, ppid: u32, argv: &[&str]) -> Exec {
    let argv: Vec<String> = argv.iter().map(|a| (*a).to_string()).collect();
    Exec { time, pid, ppid, path: format!("/bin/{}", argv[0]), argv, ..Exec::default() }
}

/// The prompt, its mark sent at `micros`.
fn ends(hand: &mut Hand, micros: u64) {
    hand.tracker.clock(micros);
    let end = Mark::End { status: Some(0), pipe: vec![], cancelled: false };
    hand.tracker.mark(hand.time, end, &mut hand.screen);
}

fn argvs(execs: &[Exec]) -> Vec<&str> {
    execs.iter().map(|exec| exec.argv[0].as_str()).collect()
}

#[test]
fn hints_make_untrusted_entries_where_the_shell_says_nothing() {
    let commands = Hand::new()
        .hints(Hint::Cwd("/tmp".into()))
        .hints(Hint::Text("make".into()))
        .hints(Hint::Start(None))
        .hints(Hint::End(Some(2)))
        .hints(Hint::Start(Some("ls".into())))
        .hints(Hint::End(None))
        .done();
    let seen: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.exit, c.source, c.trust)).collect();
    let by = (Source::Hint, Trust::Untrusted);
    assert_eq!(seen, [("make", Some(2), by.0, by.1), ("ls", None, by.0, by.1)]);
    assert_eq!(commands[0].cwd.as_deref(), Some("/tmp"));
}

#[test]
fn hints_are_not_heard_where_the_shell_speaks() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("cat x").told("cat x");
    hand.hints(Hint::Start(Some("rm".into()))).hints(Hint::End(Some(9))).hints(Hint::Cwd("/evil".into()));
    let commands = hand.prompt(0).done();
    let seen: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.exit, c.cwd.as_deref())).collect();
    assert_eq!(seen, [("cat x", Some(0), Some("/srv"))]);
}

#[test]
fn a_line_that_did_not_enter_the_history_is_taken_from_the_screen() {
    let stale = Start { text: Some("ls".into()), number: Some(4), before: Some(5), ..Start::default() };
    let commands = Hand::new().integrated("bash").prompt(0).types(" rm x").starts(stale).prompt(0).done();
    assert_eq!((commands[0].text.as_str(), commands[0].trust), (" rm x", Trust::Inferred));
    assert!(commands[0].flags[0].starts_with("unlisted: "));
}

#[test]
fn a_line_that_is_neither_in_the_history_nor_on_the_screen_has_no_text() {
    let stale =
        || Start { text: Some("printf x".into()), number: Some(4), before: Some(5), ..Start::default() };
    let mut hand = Hand::new();
    // A full-screen program was killed: there is no line.
    hand.integrated("bash").prompt(0).tracker.entered(1);
    hand.tracker.output(1_001, b" rm -f x\r\n", &mut ());
    let commands = hand.starts(stale()).prompt(1).done();
    let [rm] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((rm.text.as_str(), rm.source, rm.trust), ("", Source::Screen, Trust::Inferred));
    assert_eq!((rm.flags.as_slice(), rm.exit), (&[UNLISTED.to_owned()][..], Some(1)));
    // The same line again: a history that is told to leave out what is there has it all the same.
    let commands =
        Hand::new().integrated("bash").prompt(0).types("printf x").starts(stale()).prompt(0).done();
    assert_eq!((commands[0].text.as_str(), commands[0].trust), ("printf x", Trust::Told));
}

#[test]
fn a_command_behind_which_more_was_read_at_once_has_no_status_of_others() {
    let start = || Start { text: Some("false".into()), number: Some(7), before: Some(7), ..Start::default() };
    let end = Mark::End { status: Some(0), pipe: vec![1, 0], cancelled: false };
    let told = AtPrompt { status: Some(0), ..AtPrompt::default() };
    for starts in [1, 2, 3] {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types("false");
        (0..starts).for_each(|_| _ = hand.starts(start()));
        hand.tracker.mark(hand.time, end.clone(), &mut hand.screen);
        hand.tracker.mark(hand.time, Mark::Typing(told), &mut hand.screen);
        let commands = hand.done();
        let seen: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.exit, c.pipe.len(), c.end)).collect();
        let (exit, parts) = if starts == 1 { (Some(0), 2) } else { (None, 0) };
        assert_eq!(seen, [("false", exit, parts, Some(2_000))]);
        let flags: Vec<_> = commands[0].flags.iter().map(|flag| flag.split(':').next().unwrap()).collect();
        assert_eq!(flags, if starts == 1 { vec![] } else { vec!["read-on"] });
    }
    // Nor where the session is over with one of them.
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("false").starts(start()).starts(start());
    assert_eq!(hand.done()[0].exit, None);
}

#[test]
fn a_shell_that_tells_only_the_last_of_several_lines_is_helped_by_the_screen() {
    let entry_of = |lines: &[&str], told: &str, number: u64, by_line: bool| {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types(lines[0]);
        for line in &lines[1..] {
            hand.shows("> ").types(line);
        }
        let (text, number, before) = (Some(told.into()), Some(number), Some(4));
        hand.starts(Start { text, number, before, by_line, ..Start::default() }).prompt(0).done().remove(0)
    };
    let entry = |lines: &[&str], told: &str| entry_of(lines, told, 7, true);
    let lines = ["for i in 1 2", "do touch $i", "rm $i", "done"];
    let each = entry(&lines, "done");
    assert_eq!((each.text.as_str(), each.trust), (lines.join("\n").as_str(), Trust::Inferred));
    assert_eq!(each.flags, ["last-line: the shell told only the last of several lines"]);
    for told in [lines.join("\n"), "for i in 1 2; do touch $i; rm $i; done".into()] {
        let whole = entry(&lines, &told);
        assert_eq!((whole.text, whole.trust, whole.flags), (told, Trust::Told, vec![]));
    }
    // Drawn twice, as pasted lines are: the history took no more than one.
    for (number, by_line) in [(4, true), (4, false)] {
        let pasted = entry_of(&["ls", "rm x", "ls"], "ls", number, by_line);
        assert_eq!((pasted.text.as_str(), pasted.trust), ("ls", Trust::Told));
    }
    // One line after another is a new line, not a continued one.
    let commands = Hand::new()
        .integrated("bash")
        .prompt(0)
        .types("ls")
        .told("ls")
        .prompt(0)
        .types("ls")
        .told("ls")
        .done();
    assert!(commands.iter().all(|c| c.flags.is_empty() && c.trust == Trust::Told), "{commands:?}");
}

#[test]
fn a_line_typed_ahead_to_a_shell_without_starts_is_an_entry_once_the_next_prompt_shows_that_it_was_read() {
    let entries = |commands: Vec<Command>| {
        let entry = |c: Command| (c.text, c.exit, c.flags.len());
        commands.into_iter().map(entry).collect::<Vec<_>>()
    };
    let mut hand = Hand::new();
    hand.integrated("sh").prompt(0).types("sleep 1").types("echo x > y").types("").types("exit 4");
    let commands = hand.prompt(0).prompt(3).prompt(4).types("ls").prompt(0).done();
    assert_eq!(commands[1].flags, [AHEAD]);
    let ran = [("sleep 1", 0, 1), ("echo x > y", 3, 1), ("exit 4", 4, 1), ("ls", 0, 0)];
    assert_eq!(entries(commands), ran.map(|(text, exit, flags)| (text.to_owned(), Some(exit), flags)));
    // A program has read it: the next line is typed at the prompt, or given up there, or there is none.
    for ends in ["ls", "^C", ""] {
        let mut hand = Hand::new();
        hand.integrated("sh").prompt(0).types("cat").types("hello").types("$ there").prompt(0);
        match ends {
            "ls" => hand.types("ls").prompt(0),
            "^C" => hand.prompt(130),
            _ => &mut hand,
        };
        let commands = entries(hand.done());
        let texts: Vec<&str> = commands.iter().map(|c| c.0.as_str()).collect();
        assert_eq!(texts, if ends == "ls" { vec!["cat", "ls"] } else { vec!["cat"] }, "{ends}");
    }
}

#[test]
fn what_the_shell_says_and_the_screen_does_not_show_is_flagged() {
    let commands = Hand::new().integrated("bash").prompt(0).types("rm -rf x").told("ls").prompt(0).done();
    assert_eq!(commands[0].flags, ["shown: the screen had `rm -rf x`"]);
    let cut = Start { text: Some("ls".into()), cut: true, mangled: true, ..Start::default() };
    let commands = Hand::new().integrated("bash").prompt(0).types("ls").starts(cut).prompt(0).done();
    assert_eq!(commands[0].flags.len(), 2, "{:?}", commands[0].flags);
}

#[test]
fn typed_input_that_the_screen_did_not_show_is_flagged() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("passwd").told("passwd");
    hand.tracker.withheld();
    hand.tracker.withheld();
    let commands = hand.prompt(0).done();
    assert_eq!(commands[0].flags, ["echo-off: input was typed that the screen did not show"]);
}

/// A pager takes keys that it does not show; that they were withheld is told seconds later.
#[test]
fn keys_that_end_no_line_are_told_in_another_word_and_of_the_command_that_had_them() {
    let flags = |at: u64, line: bool| {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types("less x").told("less x").prompt(0).types("su").told("su");
        hand.tracker.hidden(at, line);
        hand.tracker.withheld();
        hand.prompt(0).done().into_iter().map(|command| command.flags.join(", ")).collect::<Vec<_>>()
    };
    let (keys, echo_off) = (
        "keys: some were pressed that the screen did not show",
        "echo-off: input was typed that the screen did not show",
    );
    // `less` runs from 2 s to 3 s, `su` from 4 s on.
    assert_eq!(flags(2_500, false), [keys, ""]);
    assert_eq!(flags(2_500, true), [echo_off, ""]);
    assert_eq!(flags(4_500, false), ["", keys]);
    assert_eq!(flags(3_500, false), ["", ""], "nobody had them");
    assert_eq!(flags(3_500, true), ["", echo_off], "what was a line is told of somebody");
}

#[test]
fn answers_to_questions_are_no_commands() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("apt install x").told("apt install x");
    hand.shows("Do you want to continue? [Y/n] ").types("y").shows("Password: ").types("hunter2");
    hand.shows("mysql> ").types("drop table t;");
    let commands = hand.prompt(0).done();
    let texts: Vec<&str> = commands.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(texts, ["apt install x", "drop table t;"]);
}

/// A pager without the alternate screen: the line in which a pattern was typed is drawn over before it is left.
#[test]
fn what_a_pager_draws_after_enter_is_no_command_though_it_looks_like_one() {
    let mut terminal = crate::terminal::Terminal::new(80, 8);
    let mut tracker = Tracker::new(Some(10));
    terminal.feed_guarded(b"# git log\r\n\x1b[7m(END)\x1b[0m\r\x1b[K/secret");
    tracker.entered(1);
    tracker.output(2, b"\r\x1b[Kcommit 1a2b (HEAD -> main, lead)\r\nAuthor: x\r\n:", &mut terminal);
    assert_eq!(tracker.finish(3, None).commands, []);
    // In the alternate screen, and back again.
    let mut tracker = Tracker::new(Some(10));
    terminal.feed_guarded(b"\x1b[?1049h:q");
    tracker.entered(1);
    tracker.output(2, b"\x1b[?1049l\rweb> drop it\r\n", &mut terminal);
    assert_eq!(tracker.finish(3, None).commands, []);
    // A prompt that is drawn shorter once its line is entered.
    let mut tracker = Tracker::new(Some(10));
    terminal.feed_guarded(b"\r\n~/src on main > ls -l");
    tracker.entered(1);
    tracker.output(2, b"\r\x1b[K> ls -l\r\n", &mut terminal);
    assert_eq!(tracker.finish(3, None).commands[0].text, "ls -l");
}

/// At Enter readline draws the prompt again, in one go with the newline.
#[test]
fn a_line_that_was_searched_in_the_history_of_a_shell_inside_is_one() {
    let entered = |shown: &str, drawn: &str| {
        let mut terminal = crate::terminal::Terminal::new(60, 6);
        terminal.feed_guarded(b"x\r\n");
        terminal.feed_guarded(shown.as_bytes());
        let mut tracker = Tracker::new(Some(10));
        tracker.entered(1);
        tracker.output(2, format!("\r\x1b[K{drawn}\r\n").as_bytes(), &mut terminal);
        let commands = tracker.finish(3, None).commands;
        commands.into_iter().map(|command| command.text).collect::<Vec<_>>()
    };
    // The cursor stands where the search matches.
    for search in ["(reverse-i-search)", "(i-search)", "(failed reverse-i-search)", "(failed i-search)"] {
        let shown = format!("{search}`-f': rm -f evidence.log\x1b[12D");
        assert_eq!(entered(&shown, "srv # rm -f evidence.log"), ["rm -f evidence.log"], "{search}");
    }
    let long = format!("rm -f {}", "x".repeat(90));
    let shown = format!("(reverse-i-search)`r': {long}");
    assert_eq!(entered(&shown, &format!("\x1b[A\x1b[K\x1b[A\x1b[K# {long}")), [long]);
    let other: [&str; 0] = [];
    assert_eq!(entered("(reverse-i-search)`-f': rm -f evidence.log", "lead> drop it"), other);
    assert_eq!(entered("(END)`-f': rm -f evidence.log", "# rm -f evidence.log"), other);
    assert_eq!(entered("(reverse-i-search)`': ", "# "), other);
}

#[test]
fn remains_of_a_box_behind_the_cursor_are_not_part_of_the_command() {
    let entered = |drawn: &str| {
        let mut terminal = crate::terminal::Terminal::new(40, 4);
        terminal.feed_guarded(drawn.as_bytes());
        let mut tracker = Tracker::new(Some(10));
        tracker.entered(1);
        tracker.output(2, b"\r\n7\r\n", &mut terminal);
        tracker.finish(3, None).commands.remove(0)
    };
    let cut = entered("                    \u{2502} \u{250c}\u{2500}\u{2500}\r>>> print(7)");
    assert_eq!(cut.text, "print(7)");
    assert_eq!(cut.flags, ["shown: the screen had `>>> print(7) \u{2502} \u{250c}\u{2500}\u{2500}`"]);
    let touching = entered("              \u{2500}\u{2518}\r>>> print(777)");
    assert_eq!((touching.text.as_str(), touching.flags.len()), ("print(777)", 1));
    // Enter in the middle of a line enters all of it.
    let whole = entered(">>> x = 1;  y = 2\x1b[10D");
    assert_eq!((whole.text.as_str(), whole.flags.len()), ("x = 1;  y = 2", 0));
}

#[test]
fn a_line_of_which_the_screen_holds_only_the_end_is_no_other_line() {
    let long = format!(": {}; id", "p".repeat(300));
    for (typed, told, flagged) in [
        (&*long, &*long, false),
        // What the screen was made to hold of it is not the end of it.
        (&*long, "rm -rf /srv; id", true),
        // It has room for more than this: so much was to be seen.
        ("id", "rm -rf /srv; id", true),
    ] {
        let mut terminal = crate::terminal::Terminal::new(20, 4);
        let mut tracker = Tracker::new(Some(10));
        tracker.mark(1, Mark::End { status: Some(0), pipe: vec![], cancelled: false }, &mut terminal);
        tracker.output(1, b"\x1b[H\x1b[2J$ ", &mut terminal);
        tracker.input(2, &typed.as_bytes()[..1], &mut terminal);
        tracker.output(2, typed.as_bytes(), &mut terminal);
        tracker.input(2, b"\r", &mut terminal);
        tracker.output(3, b"\r\n", &mut terminal);
        tracker.mark(4, Mark::Start(Start { text: Some(told.into()), ..Start::default() }), &mut terminal);
        let commands = tracker.finish(9, Some(0)).commands;
        let flags = commands.iter().flat_map(|command| &command.flags);
        assert_eq!(
            flags.filter(|flag| flag.starts_with("shown: ")).count(),
            usize::from(flagged),
            "{commands:?}"
        );
    }
}

#[test]
fn without_keys_the_prompt_is_recognised_by_its_sign() {
    let mut hand = Hand::new();
    for line in ["root@web:~# echo a > b", "no prompt here", "user@web /srv> ls"] {
        hand.time += 1_000;
        hand.shows(line);
        hand.tracker.entered(hand.time);
        hand.shows("\r\n");
    }
    let texts: Vec<String> = hand.done().into_iter().map(|c| c.text).collect();
    assert_eq!(texts, ["echo a > b", "ls"]);
}

#[test]
fn open_entries_and_waiting_events_are_bounded() {
    let mut hand = Hand::new();
    for n in 0..1_000 {
        hand.shows("$ ").types(&format!("command {n}"));
        // Nothing ever ends and nothing is drained.
    }
    assert!(hand.tracker.entries.len() <= MAX_ENTRIES, "{}", hand.tracker.entries.len());
    for n in 0..200_000_u32 {
        hand.tracker.forked(u64::from(n), n, 10);
    }
    assert!(hand.tracker.processes.waiting() <= 65_537, "{}", hand.tracker.processes.waiting());
}
