//! What becomes of lines when the shell's marks stop to come, or part of them; and what marks of others may not do.

use super::*;
use crate::shell::commands::unstarted::UNSTARTED;
use crate::shell::marks::AtPrompt;
use crate::terminal::Terminal;

impl Hand {
    /// What has settled long after.
    fn later(&mut self) -> Vec<Command> {
        self.time += 1_000;
        self.tracker.drain(self.time).commands
    }

    fn runs(&mut self, pid: u32, name: &str) -> &mut Self {
        self.tracker.forked(self.time * 1_000 + 500, pid, 10);
        self.tracker.executed(exec(self.time, pid, 10, &[name]));
        self
    }

    /// As a recorder has it: nothing is known of the keys but that a line was ended.
    fn enters(&mut self, line: &str) -> &mut Self {
        self.time += 1_000;
        self.shows(line);
        self.tracker.entered(self.time);
        self.shows("\r\n")
    }

    fn typing(&mut self, status: i32) -> &mut Self {
        self.time += 1_000;
        let mark = Mark::Typing(AtPrompt { status: Some(status), ..AtPrompt::default() });
        self.tracker.mark(self.time, mark, &mut self.screen);
        self.shows("# ")
    }
}

impl Hand {
    /// A prompt comes up of which nothing but its end is told: by a shell that has run so many commands, and one.
    fn drawn_by(&mut self, pid: u32, status: i32, commands: u64) -> &mut Self {
        self.time += 1_000;
        self.screen = OneLine::default();
        self.shows("# ");
        let at_prompt =
            AtPrompt { status: Some(status), number: None, commands: Some(commands), pid: Some(pid) };
        self.tracker.mark(self.time, Mark::Typing(at_prompt), &mut self.screen);
        self
    }

    fn drawn(&mut self, status: i32, commands: u64) -> &mut Self {
        self.drawn_by(10, status, commands)
    }

    /// Text and Enter come at once: at Enter nothing of it stood there yet.
    fn sends(&mut self, line: &str) -> &mut Self {
        self.time += 1_000;
        self.tracker.entered(self.time);
        self.shows(line).shows("\r\n")
    }
}

fn told(commands: &[Command]) -> Vec<(&str, Option<i32>, Vec<&str>)> {
    let word = |flag: &str| flag.find(':').unwrap();
    commands
        .iter()
        .map(|c| (c.text.as_str(), c.exit, c.flags.iter().map(|f| &f[..word(f)]).collect()))
        .collect()
}

#[test]
fn lines_of_which_a_shell_tells_no_start_are_entries_and_after_two_that_ran_it_is_said_to_be_silent() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).enters("ls").told("ls").prompt(0).enters("export PS0=").prompt(0);
    let mut commands = hand.later();
    hand.enters("rm x").prompt(0);
    commands.extend(hand.later());
    hand.enters("false").prompt(1);
    commands.extend(hand.later());
    let (unstarted, ended) = ("unstarted", "marks-ended");
    assert_eq!(
        told(&commands),
        [
            ("ls", Some(0), vec![]),
            ("export PS0=", Some(0), vec![unstarted]),
            ("rm x", Some(0), vec![unstarted, ended]),
            ("false", Some(1), vec![])
        ]
    );
    assert!(commands.iter().skip(1).all(|c| c.trust == Trust::Inferred && c.end.is_some()));
    // It tells of one again.
    hand.enters("ls -l").told("ls -l").prompt(0).enters("id").prompt(0);
    assert_eq!(told(&hand.done()), [("ls -l", Some(0), vec![]), ("id", Some(0), vec![unstarted])]);
}

#[test]
fn a_shell_that_never_told_of_a_start_is_said_to_be_silent_at_once() {
    let commands = Hand::new().integrated("bash").prompt(0).enters("ls").runs(20, "ls").prompt(0).done();
    assert_eq!(told(&commands), [("ls", Some(0), vec!["unstarted", "marks-ended"])]);
    assert_eq!(commands[0].execs.len(), 1);
}

#[test]
fn a_line_that_cannot_be_parsed_silences_nobody() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0);
    for _ in 0..4 {
        hand.types("fi").prompt(2);
    }
    let commands = hand.done();
    assert!(commands.len() == 4 && commands.iter().all(|c| c.flags == [UNSTARTED]), "{commands:?}");
    // Given up, and nothing at all: no entry.
    let mut hand = Hand::new();
    hand.integrated("bash")
        .prompt(0)
        .types("for i in 1")
        .prompt(130)
        .types(" # x")
        .prompt(0)
        .types("")
        .prompt(0);
    assert_eq!(hand.done(), []);
    // A line editor shows something on the right.
    let mut hand = Hand::new();
    let mut terminal = crate::terminal::Terminal::new(40, 8);
    hand.integrated("zsh").prompt(0);
    for (typed, prompt) in [("", 0), ("fi", 1)] {
        hand.time += 1_000;
        terminal.feed_guarded(format!("\r% {typed}\x1b[35Gright\r\x1b[{}C", typed.len() + 2).as_bytes());
        hand.tracker.entered(hand.time);
        hand.tracker.output(hand.time, b"\r\n", &mut terminal);
        hand.prompt(prompt);
    }
    assert_eq!(told(&hand.done()), [("fi", Some(1), vec!["unstarted"])]);
}

#[test]
fn a_program_makes_an_entry_of_a_line_though_it_is_told_before_or_after_the_prompt() {
    for early in [true, false] {
        let mut hand = Hand::new();
        hand.integrated("bash").prompt(0).types("ls").told("ls").prompt(0).types("./x; seq 1").runs(20, "x");
        if early {
            hand.time += 500;
            assert_eq!(hand.tracker.drain(hand.time).commands.len(), 1);
        }
        hand.prompt(130);
        let settled = hand.tracker.finish(hand.time, None);
        let x = settled.commands.last().unwrap();
        assert_eq!((x.text.as_str(), argvs(&x.execs)), ("./x; seq 1", vec!["x"]), "{early}");
        assert_eq!(settled.execs, []);
    }
}

/// Enter alone, at a prompt that has no sign; a hook before ours runs a program.
#[test]
fn what_may_be_nothing_but_the_prompt_is_no_entry_and_its_programs_belong_to_nobody() {
    let mut hand = Hand::new();
    hand.integrated("zsh").prompt(0);
    hand.screen = OneLine::default();
    hand.enters("host /srv ").runs(20, "git").prompt(0);
    let settled = hand.tracker.finish(hand.time, None);
    assert_eq!((settled.commands.len(), argvs(&settled.execs)), (0, vec!["git"]));
}

#[test]
fn a_line_typed_ahead_and_interrupted_is_an_entry_where_a_program_ran_for_it() {
    for ran in [true, false] {
        let mut hand = Hand::new();
        hand.integrated("sh").prompt(0).types("sleep 1").types("./x").prompt(0);
        hand.time += 5;
        if ran {
            hand.runs(20, "x");
        }
        let commands = hand.prompt(130).done();
        let ahead = ("./x", Some(130), vec!["ahead"]);
        let sleep = ("sleep 1", Some(0), vec!["typed-on"]);
        assert_eq!(told(&commands), if ran { vec![sleep, ahead] } else { vec![sleep] });
        assert_eq!(commands.last().unwrap().execs.len(), usize::from(ran));
    }
}

#[test]
fn the_prompt_tells_the_end_of_a_command_where_the_hook_that_did_is_gone() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).types("unset PROMPT_COMMAND").told("unset PROMPT_COMMAND").typing(0);
    hand.types("(exit 3)").told("(exit 3)").typing(3);
    // The number that the hook kept is an old one.
    let (text, number) = (Some("old".to_owned()), Some(7));
    let at_prompt = AtPrompt { number: Some(8), ..AtPrompt::default() };
    hand.tracker.mark(hand.time, Mark::Typing(at_prompt), &mut hand.screen);
    hand.types(" rm y").starts(Start { text, number, before: Some(5), ..Start::default() }).typing(0);
    let commands = hand.done();
    assert_eq!(
        told(&commands),
        [
            ("unset PROMPT_COMMAND", Some(0), vec![]),
            ("(exit 3)", Some(3), vec![]),
            (" rm y", Some(0), vec!["unlisted"])
        ]
    );
    assert_eq!((commands[0].end, commands[1].start), (Some(3_000), 4_000));
    assert_eq!(
        (commands[0].cwd.as_deref(), commands[1].cwd.as_deref()),
        (Some("/srv"), None),
        "nobody tells it"
    );
}

#[test]
fn a_fish_whose_starts_and_ends_are_gone_shows_its_lines_at_the_next_prompt() {
    let mut hand = Hand::new();
    let prompt = |hand: &mut Hand| {
        hand.time += 1_000;
        hand.tracker.mark(hand.time, Mark::Prompt { cwd: None }, &mut hand.screen);
        hand.shows("# ");
    };
    hand.integrated("fish");
    prompt(&mut hand);
    for line in ["one", "two"] {
        hand.types(line);
        prompt(&mut hand);
    }
    assert_eq!(told(&hand.done()), [("one", None, vec!["unstarted"]), ("two", None, vec!["unstarted"])]);
    // Of Enter alone it tells neither start nor end, and what stood there is no line of the command that follows.
    let mut hand = Hand::new();
    hand.integrated("fish");
    prompt(&mut hand);
    for _ in 0..2 {
        hand.screen = OneLine("root@host ~#".into());
        hand.enters("");
        prompt(&mut hand);
    }
    hand.enters("true").told("true").prompt(0);
    assert_eq!(told(&hand.done()), [("true", Some(0), vec![])]);
}

/// A prompt without marks is shown, and lines are typed at it.
#[test]
fn a_shell_without_starts_whose_prompt_is_changed_is_read_on_from_the_screen() {
    for traced in [true, false] {
        let mut hand = Hand::new();
        hand.tracker = Tracker::new(traced.then_some(10));
        hand.integrated("sh").prompt(0).enters("PS1='$ '").shows("$ ").enters("./x");
        if traced {
            hand.runs(20, "x");
        }
        hand.time += 1_000;
        let mut commands = hand.tracker.drain(hand.time).commands;
        hand.shows("$ ").enters("false").shows("$ ").enters("exit 6");
        commands.extend(hand.tracker.finish(hand.time, Some(6)).commands);
        commands.sort_by_key(|command| command.start);
        let flags = if traced { vec!["marks-ended"] } else { vec![] };
        let rest = ["./x", "false", "exit 6"].map(|text| (text, None, vec![]));
        assert_eq!(told(&commands), [vec![("PS1='$ '", None, flags)], rest.to_vec()].concat(), "{traced}");
        assert_eq!(commands[1].execs.len(), usize::from(traced));
    }
    // No program could have shown the prompt.
    let mut hand = Hand::new();
    hand.integrated("sh").prompt(0).enters("PS1='$ '").shows("$ ").enters("exit 6");
    assert_eq!(told(&hand.done()), [("PS1='$ '", None, vec!["marks-ended"]), ("exit 6", None, vec![])]);
    // A program did, and the next prompt tells its end.
    let mut hand = Hand::new();
    hand.integrated("sh").prompt(0).enters("mysql").runs(20, "mysql").shows("mysql> ").enters("drop it");
    let commands = hand.prompt(4).done();
    assert_eq!(told(&commands), [("mysql", Some(4), vec![]), ("drop it", None, vec![])]);
}

#[test]
fn lines_pasted_at_once_to_a_shell_without_starts_are_told_of_with_the_first() {
    let mut hand = Hand::new();
    hand.integrated("sh").prompt(0).types("for i in 1; do").types("rm -r $i").types("done").prompt(0);
    let commands = hand.done();
    assert!(commands[0].flags[0].starts_with("typed-on: 2 more lines were typed"), "{commands:?}");
    assert!(commands[0].flags[0].contains("`rm -r $i`"), "{commands:?}");
}

#[test]
fn a_shell_that_replaces_itself_keeps_its_line_though_it_tells_of_no_starts() {
    let mut hand = Hand::new();
    hand.integrated("sh");
    hand.tracker.executed(exec(1, 10, 1, &["dash"]));
    hand.prompt(0).types("exec bash");
    hand.tracker.executed(exec(hand.time + 1, 10, 1, &["bash"]));
    let commands = hand.done();
    assert_eq!(told(&commands), [("exec bash", None, vec!["replaced"])]);
}

#[test]
fn marks_of_others_neither_end_nor_rob_the_command_of_a_session() {
    for hints in [
        &[Hint::Start(Some("ls".into()))][..],
        &[Hint::End(Some(9))],
        &[Hint::Start(None), Hint::End(Some(9)), Hint::Cwd("/evil".into())],
    ] {
        let mut tracker = Tracker::new(None);
        tracker.below(5);
        tracker.command("sh -c x".into(), None);
        tracker.forked(1, 6, 5);
        tracker.executed(exec(2, 6, 5, &["sh"]));
        for hint in hints {
            tracker.hint(10, hint.clone());
        }
        tracker.forked(20_000, 7, 6);
        tracker.executed(exec(21, 7, 6, &["id"]));
        let commands = tracker.finish(90, Some(3)).commands;
        let mine = commands.iter().find(|c| c.source == Source::Argv).unwrap();
        assert_eq!(
            (mine.end, mine.exit, argvs(&mine.execs)),
            (Some(90), Some(3), vec!["sh", "id"]),
            "{hints:?}"
        );
        for other in commands.iter().filter(|c| c.source != Source::Argv) {
            assert_eq!((other.trust, other.execs.len(), other.flags.len()), (Trust::Untrusted, 0, 0));
            assert_ne!(other.exit, Some(3));
        }
    }
}

#[test]
fn marks_of_others_however_many_push_out_nothing() {
    let mut tracker = Tracker::new(None);
    tracker.command("cat hostile".into(), None);
    for n in 0..1_000_u32 {
        tracker.hint(10, Hint::Start(Some(n.to_string())));
    }
    let commands = tracker.finish(90, Some(0)).commands;
    let mine = commands.iter().find(|c| c.source == Source::Argv).unwrap();
    assert_eq!((mine.end, commands.len()), (Some(90), 1_001));
}

#[test]
fn marks_of_others_take_nothing_from_a_line_that_stood_on_the_screen() {
    let mut hand = Hand::new();
    hand.shows("$ ").types("cat x");
    hand.hints(Hint::Start(Some("ls".into()))).runs(20, "cat").hints(Hint::End(Some(4)));
    let commands = hand.done();
    let ran: Vec<_> = commands.iter().map(|c| (c.text.as_str(), c.source, c.execs.len())).collect();
    assert_eq!(ran, [("cat x", Source::Screen, 1), ("ls", Source::Hint, 0)]);
}

#[test]
fn a_shell_that_was_to_tell_and_never_did_is_told_of_once_a_line_was_entered() {
    for (typed, marks, silent) in [(true, false, true), (false, false, false), (true, true, false)] {
        let mut hand = Hand::new();
        hand.tracker.expect_marks();
        if marks {
            hand.integrated("sh").prompt(0);
        }
        if typed {
            hand.types("");
        }
        let flags = hand.done().into_iter().flat_map(|command| command.flags).collect::<Vec<_>>();
        assert_eq!(flags, if silent { vec![TOLD_NOTHING] } else { vec![] });
    }
}

/// The functions of ours are gone, or what calls them: the mark in the prompt is left.
#[test]
fn of_a_bash_whose_prompt_alone_tells_each_line_is_an_entry() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 1).enters("unset PS0 PROMPT_COMMAND");
    hand.told("unset PS0 PROMPT_COMMAND").drawn(0, 2);
    let mut commands = Vec::new();
    for (n, line, status) in [(3, "echo ho", 0), (4, "false", 1), (5, "ls", 0), (6, "id", 0)] {
        hand.enters(line);
        if line == "ls" {
            hand.runs(20, "ls");
        }
        hand.drawn(status, n);
        commands.extend(hand.later());
        // Enter alone.
        hand.enters("").drawn(status, n);
    }
    hand.enters("exit 0");
    commands.extend(hand.done());
    let (unstarted, ended) = ("unstarted", "marks-ended");
    assert_eq!(
        told(&commands),
        [
            ("unset PS0 PROMPT_COMMAND", Some(0), vec![]),
            ("echo ho", Some(0), vec![unstarted]),
            // That it ran is known of the count alone.
            ("false", Some(1), vec![unstarted, ended]),
            ("ls", Some(0), vec![]),
            ("id", Some(0), vec![]),
            ("exit 0", Some(0), vec![]),
        ]
    );
    assert_eq!(commands.iter().map(|c| c.execs.len()).collect::<Vec<_>>(), [0, 0, 0, 1, 0, 0]);
}

#[test]
fn a_line_that_nobody_could_read_is_known_of_the_count_of_the_prompt() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 1).enters("ls").told("ls").prompt(0).drawn(0, 2);
    for (n, status) in [(3, 0), (4, 1)] {
        hand.time += 1_000;
        hand.tracker.entered(hand.time);
        hand.tracker.output(hand.time, b"\r\n", &mut ());
        hand.runs(20, "x").drawn(status, n);
    }
    let settled = hand.tracker.finish(hand.time, None);
    let (unread, ended) = ("unread", "marks-ended");
    assert_eq!(
        told(&settled.commands),
        [("ls", Some(0), vec![]), ("", Some(0), vec![unread]), ("", Some(1), vec![unread, ended])]
    );
    assert_eq!((settled.commands[2].execs.len(), settled.execs), (1, vec![]));
}

/// Hooks and prompt were put away and back.
#[test]
fn commands_that_ran_while_nothing_was_told_are_known_of_the_count_of_the_prompt() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 1).enters("off").told("off");
    hand.shows("hey ").enters("rm x").shows("hey ").enters("on").prompt(0).drawn(0, 4);
    hand.enters("ls").told("ls").prompt(0).drawn(0, 5);
    assert_eq!(told(&hand.done()), [("off", Some(0), vec!["marks-ended"]), ("ls", Some(0), vec![])]);
}

/// The sign of the prompt stands before the directory (`PROMPT='> %~ '`).
#[test]
fn enter_alone_is_no_line_though_the_prompt_goes_on_behind_its_sign() {
    let mut hand = Hand::new();
    hand.integrated("zsh").prompt(0);
    let at_prompt = |hand: &mut Hand| hand.screen = OneLine("> ~ ".into());
    let alone = |hand: &mut Hand, drawn: &str| {
        hand.time += 1_000;
        hand.tracker.entered_alone(hand.time);
        hand.shows(drawn).shows("\r\n");
    };
    for _ in 0..3 {
        at_prompt(&mut hand);
        alone(&mut hand, "");
        hand.prompt(0);
    }
    // What was not told is an entry as before, and now it is known where its prompt ends.
    for line in ["fi", "rm x"] {
        at_prompt(&mut hand);
        hand.enters(line).prompt(i32::from(line == "fi"));
    }
    // Something put a line there when Enter came.
    at_prompt(&mut hand);
    alone(&mut hand, "ls");
    hand.prompt(0);
    assert_eq!(
        told(&hand.done()),
        [
            ("fi", Some(1), vec!["unstarted"]),
            ("rm x", Some(0), vec!["unstarted", "marks-ended"]),
            ("ls", Some(0), vec!["unstarted"]),
        ]
    );
}

/// What the line editor of zsh writes at Enter comes in one piece or in two.
#[test]
fn enter_alone_is_no_line_wherever_the_output_behind_it_is_cut() {
    let leaves = b"\x1b[?1l\x1b>\x1b[?2004l\r\r\n";
    for at in 0..=leaves.len() {
        let mut hand = Hand::new();
        hand.integrated("zsh").prompt(0);
        let mut terminal = Terminal::new(80, 24);
        for _ in 0..2 {
            hand.time += 1_000;
            hand.tracker.output(hand.time, b"> ~ \x1b[K\x1b[70Cright\x1b[75D", &mut terminal);
            hand.tracker.entered_alone(hand.time);
            let (first, second) = leaves.split_at(at);
            hand.tracker.output(hand.time, first, &mut terminal);
            hand.tracker.output(hand.time, second, &mut terminal);
            hand.prompt(0);
        }
        assert_eq!(told(&hand.done()), [], "cut at {at}");
    }
}

/// A program that a key is bound to asks something; a list of completions is paged.
#[test]
fn a_line_behind_which_the_prompt_is_drawn_again_is_none() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 1);
    for _ in 0..3 {
        hand.screen = OneLine("pick> ".into());
        hand.enters("answer").runs(20, "git").drawn(0, 1);
    }
    // It takes an Enter, and writes no line.
    hand.screen = OneLine("pick> ".into());
    hand.tracker.entered(hand.time);
    hand.shows("# ");
    let at_prompt = AtPrompt { status: Some(0), number: None, commands: Some(1), pid: Some(10) };
    hand.tracker.mark(hand.time, Mark::Typing(at_prompt), &mut hand.screen);
    hand.enters("").prompt(0).drawn(0, 1);
    hand.enters("ls").told("ls").prompt(0).drawn(0, 2);
    let settled = hand.tracker.finish(hand.time, None);
    assert_eq!(told(&settled.commands), [("ls", Some(0), vec![])]);
    assert_eq!(argvs(&settled.execs), ["git"; 3]);
}

#[test]
fn a_prompt_that_a_child_or_a_command_shows_ends_nothing() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 7);
    // An exported prompt, in a shell inside.
    hand.enters("bash").told("bash").runs(20, "bash").drawn_by(20, 0, 1).enters("cat /x").drawn_by(20, 0, 9);
    hand.prompt(4).drawn(4, 8);
    // `echo "${PS1@P}"; false`
    hand.enters("echo; false").told("echo; false").drawn(4, 7).drawn(4, 8).runs(21, "ls");
    hand.prompt(1).drawn(1, 9);
    let commands = hand.done();
    assert_eq!(
        told(&commands),
        [("bash", Some(4), vec![]), ("cat /x", None, vec![]), ("echo; false", Some(1), vec![])]
    );
    assert_eq!((commands[1].trust, argvs(&commands[2].execs)), (Trust::Inferred, vec!["ls"]));
}

#[test]
fn a_line_of_a_shell_that_tells_of_no_ends_is_one_entry_and_the_missing_end_is_told() {
    let mut hand = Hand::new();
    hand.integrated("bash").prompt(0).drawn(0, 1).enters("off").told("off");
    for line in ["echo ho", "true", "true"] {
        hand.shows("$ ").enters(line).runs(20, line).told(line);
    }
    // What is typed in a program stays what it is.
    hand.shows("sql> ").enters("drop it").screen = OneLine::default();
    let commands = hand.told("ls").prompt(1).done();
    assert_eq!(
        told(&commands),
        [
            ("off", None, vec!["marks-ended"]),
            ("echo ho", None, vec![]),
            ("true", None, vec![]),
            ("true", None, vec![]),
            ("drop it", None, vec![]),
            ("ls", Some(1), vec!["shown"]),
        ]
    );
}

#[test]
fn a_line_that_comes_with_its_enter_is_an_entry_though_no_start_of_it_is_told() {
    let mut hand = Hand::new();
    hand.integrated("zsh").prompt(0).sends("ls").told("ls").prompt(0);
    for line in ["", "echo ho", "", "kill -0 1"] {
        hand.screen = OneLine("host:~# ".into());
        hand.sends(line).prompt(0);
    }
    assert_eq!(
        told(&hand.done()),
        [
            ("ls", Some(0), vec![]),
            ("echo ho", Some(0), vec!["unstarted"]),
            ("kill -0 1", Some(0), vec!["unstarted", "marks-ended"])
        ]
    );
}
