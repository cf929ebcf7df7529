//! Lines that a shell keeps out of its history: what is told of them is what was run, or nothing.

use crate::support::sandbox::{SIZE, Sandbox};
use crate::support::terminal::Terminal;
use crate::{commands, enter, sealcast, texts};

/// A bash whose history leaves out what begins with a blank and what is the line before, with the prompt `@@ `.
fn forgetful(sandbox: &Sandbox) -> Terminal {
    sandbox.file("home/.bashrc", "PS1='@@ '\nHISTCONTROL=ignoreboth\n");
    let mut command = sealcast(sandbox, &["run", "--", "bash"]);
    // An exported prompt is left alone.
    Terminal::start(command.env_remove("PS1"), SIZE)
}

/// Nothing in the last recording was changed, and its index says what is in it.
#[track_caller]
fn is_no_lie(sandbox: &Sandbox) {
    let verdict = sealcast(sandbox, &["verify", "last"]).output().unwrap();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));
}

#[test]
fn a_line_that_neither_the_history_nor_the_screen_has_is_not_given_another_ones_text() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.bashrc", "PS1='@@ '\nHISTCONTROL=ignorespace\n");
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
    // As a full-screen program does that is killed.
    for line in ["printf '\\e[?1049h'", " (exit 5)", "printf '\\e[?1049l'", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let commands = commands(&sandbox);
    let told: Vec<(&str, i64)> =
        commands.iter().map(|c| (c["text"].as_str().unwrap(), c["exit"].as_i64().unwrap())).collect();
    let expected = [("printf '\\e[?1049h'", 0), ("", 5), ("printf '\\e[?1049l'", 0), ("exit 3", 3)];
    assert_eq!(told, expected, "{}", terminal.transcript().escape_ascii());
    assert_eq!(
        commands[1]["flags"],
        serde_json::json!(["unlisted: the line was kept out of the shell's history"])
    );
    let shown = sealcast(&sandbox, &["show", "--commands"]).output().unwrap().stdout;
    assert!(String::from_utf8(shown).unwrap().contains("(no text)"));
}

/// The start of the second line is told without a text: the history has left it out.
#[test]
fn a_line_entered_twice_is_no_lie_where_the_history_takes_it_once() {
    let sandbox = Sandbox::new();
    let mut terminal = forgetful(&sandbox);
    for line in ["true again", "true again", " true hidden", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let texts = texts(&sandbox);
    assert_eq!(texts, ["true again", "true again", " true hidden", "exit 3"]);
    is_no_lie(&sandbox);
}

/// Lines that the shell never told of are in the index, or are not, and never as told by it.
#[test]
fn what_is_pasted_and_what_runs_without_our_hooks_is_no_lie() {
    let sandbox = Sandbox::new();
    let mut terminal = forgetful(&sandbox);
    terminal.wait_for("@@ ");
    terminal.send("\x1b[200~# one\rtrue two\rtrue two\r true three\rfi\recho fo''ur\x1b[201~");
    terminal.wait_for("fo''ur");
    terminal.send("\r");
    terminal.wait_for("four\r\n");
    for line in ["unset PS0 PROMPT_COMMAND", "true five", "true six", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let texts = texts(&sandbox);
    assert!(
        ["true two", "echo fo''ur", "true six"].iter().all(|text| texts.contains(&(*text).into())),
        "{texts:?}"
    );
    is_no_lie(&sandbox);
}

/// Of each of them the shell tells the last line of its history, and when the last start is read the command is at its end.
#[test]
fn lines_pasted_at_once_that_the_history_leaves_out_are_no_lie() {
    let sandbox = Sandbox::new();
    let mut terminal = forgetful(&sandbox);
    let pastes = 0..20;
    for n in pastes.clone() {
        terminal.wait_for("@@ ");
        terminal.echoed(format!("\x1b[200~true {n}\r true b\r echo en''d{n}\x1b[201~"), &format!("''d{n}"));
        terminal.send("\r");
        terminal.wait_for(&format!("end{n}\r\n"));
    }
    terminal.wait_for("@@ ");
    terminal.send("exit 3\r");
    assert_eq!(terminal.wait_end().code(), Some(3));
    let texts = texts(&sandbox);
    let expected: Vec<String> = pastes.map(|n| format!("true {n}")).chain(["exit 3".into()]).collect();
    assert_eq!(texts, expected);
    is_no_lie(&sandbox);
}

/// While one of them starts, the next one is typed and not shown yet.
#[test]
fn lines_in_the_open_that_the_history_leaves_out_are_not_called_unseen() {
    let sandbox = Sandbox::new();
    let mut terminal = forgetful(&sandbox);
    let mut expected = Vec::new();
    for n in 0..5 {
        terminal.wait_for("@@ ");
        // The kernel echoes what comes before the line editor has the terminal, and it is shown twice.
        terminal.read_through(std::time::Duration::from_millis(100));
        let lines = ["true of the history", "  true hidden", "  true as well", "  echo th''ird"];
        let lines = lines.map(|line| format!("{line} {n}"));
        terminal.send(lines.each_ref().map(|line| format!("{line}\r")).concat());
        terminal.wait_for(&format!("third {n}\r\n"));
        expected.extend(lines);
    }
    terminal.wait_for("@@ ");
    terminal.send("exit 3\r");
    assert_eq!(terminal.wait_end().code(), Some(3));
    expected.push("exit 3".to_owned());
    let commands = commands(&sandbox);
    let texts: Vec<&str> = commands.iter().map(|command| command["text"].as_str().unwrap()).collect();
    assert_eq!(texts, expected, "{commands:#?}");
}
