//! `sealcast run` from outside: what the shell told and the kernel saw is in the recording, and nothing of it is on the
//! terminal.
#![allow(clippy::unwrap_used)]

mod support;

mod witnessed {
    mod history;
    mod starter;
}

use serde_json::Value;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use support::dice::Dice;
use support::is_root;
use support::sandbox::{SIZE, Sandbox};
use support::terminal::Terminal;

fn sealcast(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_sealcast"));
    command.args(args);
    command
}

/// Types a line at a prompt. Nobody does within the millisecond in which that comes.
#[track_caller]
fn enter(terminal: &mut Terminal, prompt: &str, line: &str) {
    terminal.wait_for(prompt);
    terminal.read_through(std::time::Duration::from_millis(100));
    terminal.send(format!("{line}\r"));
}

/// The commands of the last recording.
fn commands(sandbox: &Sandbox) -> Vec<Value> {
    let output = sealcast(sandbox, &["show", "--commands", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The texts of the commands of the last recording.
fn texts(sandbox: &Sandbox) -> Vec<Value> {
    commands(sandbox).iter().map(|command| command["text"].clone()).collect()
}

fn traced(sandbox: &Sandbox) -> bool {
    let output = sealcast(sandbox, &["show"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let traced = text.contains("exec-trace=ebpf");
    if !traced {
        let why = text.lines().find(|line| line.contains("exec-trace")).unwrap_or("no word of a trace");
        support::skipped(why);
    }
    traced
}

/// How many notices a recording has, those [of the machine](support::is_of_the_machine) among them.
fn told_of(story: &Value) -> Option<u64> {
    u64::try_from(story["notices"].as_array()?.len()).ok()
}

fn argvs(command: &Value) -> Vec<String> {
    let execs = command["execs"].as_array().cloned().unwrap_or_default();
    let argv = |exec: &Value| {
        exec["argv"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    execs.iter().map(|exec| argv(exec).join(" ")).collect()
}

#[test]
fn the_commands_of_a_recorded_shell_are_in_its_index() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.bashrc", "PS1='@@ '\nalias ll='ls -d'\n");
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
    for line in ["ll /", "echo aWQgLWcK | base64 -d | sh", "cd /usr", "(exit 4)", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let shown = terminal.transcript();
    assert!(memchr::memmem::find(shown, b"7717").is_none(), "{}", shown.escape_ascii());

    let commands = commands(&sandbox);
    let told: Vec<(&str, i64)> =
        commands.iter().map(|c| (c["text"].as_str().unwrap(), c["exit"].as_i64().unwrap())).collect();
    assert_eq!(
        told,
        [("ll /", 0), ("echo aWQgLWcK | base64 -d | sh", 0), ("cd /usr", 0), ("(exit 4)", 4), ("exit 3", 3)],
        "{}",
        shown.escape_ascii()
    );
    assert!(commands.iter().all(|c| c["source"] == "shell" && c["trust"] == "told"));
    assert_eq!(commands[3]["cwd"], "/usr");
    if traced(&sandbox) {
        let told = sealcast(&sandbox, &["show", "--json", "last"]).output().unwrap().stdout;
        assert_eq!(argvs(&commands[0]), ["ls -d /"], "{}", String::from_utf8_lossy(&told));
        let piped = "piped: sh read its commands from a pipe; it ran 1 program: id";
        assert_eq!(commands[1]["flags"], serde_json::json!([piped]));
    }
    let text = sealcast(&sandbox, &["export", "--format", "raw", "last"]).output().unwrap().stdout;
    assert!(!text.is_empty() && memchr::memmem::find(&text, b"7717").is_none(), "{}", text.escape_ascii());
}

#[test]
fn a_recorded_command_is_one_entry_with_its_programs() {
    let sandbox = Sandbox::new();
    let output =
        sealcast(&sandbox, &["run", "--", "sh", "-c", "/bin/true one; /bin/false; exit 5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let commands = commands(&sandbox);
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0]["text"], "sh -c /bin/true one; /bin/false; exit 5");
    assert_eq!((commands[0]["source"].as_str(), commands[0]["exit"].as_i64()), (Some("argv"), Some(5)));
    if traced(&sandbox) {
        assert_eq!(argvs(&commands[0])[1..], ["/bin/true one", "/bin/false"]);
    }
}

#[test]
fn what_a_session_was_told_to_run_is_kept_whole_and_where_it_cannot_be_nothing_is_denied() {
    let sandbox = Sandbox::new();
    // One line of nearly all that Linux takes.
    let long = format!(": '{}'; echo EVILWORD", "x".repeat(120_000));
    let run = |words: &[&str]| {
        let output = sealcast(&sandbox, &[&["run", "--", "sh", "-c"], words].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let asked = |words: &[&str]| {
        let output = sealcast(&sandbox, words).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    run(&[&long]);
    assert_eq!(commands(&sandbox)[0]["text"], format!("sh -c {long}"));
    assert!(commands(&sandbox)[0]["flags"].is_null());
    // Its first program has the first 16 KiB of it, which leaves doubt whether there is more to be found.
    let (code, said) = asked(&["search", "--in", "command", "EVILWORD"]);
    assert!(matches!(code, 0 | 2) && said.contains("EVILWORD"), "{code} {said}");
    assert_eq!(asked(&["ls", "--command", "EVILWORD"]).1.lines().count(), 1);
    let recordings = sandbox.path("home/.local/share/sealcast/recordings");
    std::fs::remove_dir_all(recordings).unwrap();

    let (some, more) = ("y".repeat(100_000), format!("{}EVILWORD", "z".repeat(100_000)));
    run(&[":", &some, &more]);
    let told = commands(&sandbox);
    let flags = told[0]["flags"].as_array().unwrap();
    let flag = flags[0].as_str().unwrap();
    assert!(flags.len() == 1 && flag.starts_with("cut: only the beginning of the line is kept"), "{flags:?}");
    assert!(told[0]["text"].as_str().unwrap().ends_with(" more bytes"));
    for words in [&["search", "EVILWORD"][..], &["search", "--in", "command", "EVILWORD"]] {
        let (code, said) = asked(words);
        assert!(code == 2 && said.contains("lacks commands or arguments"), "{words:?}: {code} {said}");
    }
    assert_eq!(asked(&["search", "--in", "meta", "EVILWORD"]).0, 2);
    assert_eq!(asked(&["ls", "--command", "EVILWORD"]).0, 2);
    assert_eq!(asked(&["ls", "--command", "yyyy"]).0, 0);
}

/// Random bytes come faster than any emulator can follow them. That must not be a way to blind the other witnesses.
#[test]
fn a_flood_that_the_screen_cannot_follow_does_not_silence_the_shell_or_the_kernel() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.bashrc", "PS1='@@ '\n");
    let mut noise = Dice(1).bytes(8 << 20);
    // Nothing that looks like a prompt.
    noise.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = b'A');
    sandbox.file("home/noise", noise);
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
    for line in ["/bin/true before", "cat ~/noise; printf '\\033c'", "/bin/true after", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let commands = commands(&sandbox);
    let told: Vec<&str> = commands.iter().map(|c| c["text"].as_str().unwrap()).collect();
    assert_eq!(told, ["/bin/true before", "cat ~/noise; printf '\\033c'", "/bin/true after", "exit 3"]);
    if traced(&sandbox) {
        let all = sealcast(&sandbox, &["show", "--json", "last"]).output().unwrap().stdout;
        let all = String::from_utf8_lossy(&all);
        assert_eq!(argvs(&commands[0]), ["/bin/true before"], "{all}");
        assert_eq!(argvs(&commands[2]), ["/bin/true after"], "{all}");
    }
    let verdict = sealcast(&sandbox, &["verify", "last"]).output().unwrap();
    assert!(verdict.status.success(), "{verdict:?}");
}

/// What a shell inside is given nobody tells: it is read off the screen, as long as that is known.
#[test]
fn no_search_says_no_to_what_was_typed_behind_a_flood() {
    let text = "a line of a flood that nobody can read\r\n".repeat(200_000).into_bytes();
    for (flood, noise) in [(text, false), ((0..8u32 << 20).map(|n| (n % 7) as u8).collect(), true)] {
        let sandbox = Sandbox::new();
        sandbox.file("home/.bashrc", "PS1='@@ '\n");
        sandbox.file("home/flood", flood);
        let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
        let lines =
            [("@@ ", "cat ~/flood"), ("@@ ", "PS1=in'$ ' sh"), ("in$ ", "echo INNER"), ("in$ ", "exit")];
        for (prompt, line) in lines.into_iter().chain([("@@ ", "exit 3")]) {
            // Which no line that is echoed holds.
            terminal.wait_for(prompt);
            terminal.send(format!("{line}\r"));
        }
        assert_eq!(terminal.wait_end().code(), Some(3));
        let commands = commands(&sandbox);
        let of = |source: &str| {
            let of = commands.iter().filter(|command| command["source"] == source);
            of.map(|command| command["text"].as_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of("shell"), ["cat ~/flood", "PS1=in'$ ' sh", "exit 3"]);
        // An index that is late leaves output out as well.
        let read = of("screen") == ["echo INNER", "exit"];
        let flags = || commands.iter().flat_map(|command| command["flags"].as_array().into_iter().flatten());
        // In one flag, or in two where a segment ends between the lines.
        let unread = flags().filter_map(|flag| flag.as_str()?.strip_prefix("unread: "));
        let unread: u64 = unread.map(|lines| lines.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert!(unread == 0 || unread == 2, "{commands:?}");
        let unread = unread == 2;
        assert!(read != unread && !(noise && read), "{commands:?}");
        for words in [&["--in", "command"][..], &["--command"]] {
            let found = sealcast(&sandbox, &["search"]).args(words).arg("INNER").output().unwrap();
            assert_eq!(found.status.code(), Some(if read { 0 } else { 2 }), "{words:?}: {found:?}");
        }
        let shown = sealcast(&sandbox, &["show"]).output().unwrap().stdout;
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.contains("on: unread: "), unread, "{shown}");
    }
}

#[test]
fn a_command_has_no_marks_that_its_output_could_forge() {
    let sandbox = Sandbox::new();
    let mark = |nonce: &str, body: &str| format!("\x1b]7717;{nonce};{body}\x07");
    let zeros = "0".repeat(32);
    let forged = [mark(&zeros, "C;1;1;8;r;rm -rf /"), mark(&zeros, "D;0;0"), "READY".into()].concat();
    let evil = sandbox.file("home/evil", &forged).to_string_lossy().into_owned();
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "cat", &evil]), SIZE);
    terminal.wait_for("READY");
    assert!(terminal.wait_end().success());
    let texts = texts(&sandbox);
    assert_eq!(texts, [format!("cat {evil}")], "{}", terminal.transcript().escape_ascii());
    let raw = sealcast(&sandbox, &["export", "-f", "raw", "last"]).output().unwrap().stdout;
    assert!(memchr::memmem::find(&raw, forged.as_bytes()).is_some(), "{}", raw.escape_ascii());
}

/// Escape characters take six times their room in the index: what 8 MB of arguments come to is more than a reader takes.
#[test]
fn programs_with_more_arguments_than_fit_are_all_there_or_counted() {
    let sandbox = Sandbox::new();
    // In pieces that the kernel can hold while nobody fetches them.
    let script = "a=$(head -c 8000 /dev/zero | tr '\\0' '\\033'); i=0
        while [ $i -lt 600 ]; do /bin/true $i $a; i=$((i+1)); [ $((i % 40)) = 0 ] && sleep 0.1; done; true";
    let output = sealcast(&sandbox, &["run", "--", "sh", "-c", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    if !traced(&sandbox) {
        return;
    }
    let say = |args: &[&str]| {
        let output = sealcast(&sandbox, args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let story: Value = serde_json::from_str(&say(&["show", "--json"])).unwrap();
    let commands = story["commands"].as_array().unwrap();
    let kept: Vec<String> = commands.iter().flat_map(argvs).collect();
    let left = |name: &str| story["left_out"][name].as_u64().unwrap_or(0);
    // Of a host that did not fetch them for long: then the kernel had no room, and that is told.
    let flags = commands.iter().flat_map(|c| c["flags"].as_array().cloned().unwrap_or_default());
    let lost: Vec<String> =
        flags.map(|f| f.as_str().unwrap().to_owned()).filter(|f| f.starts_with("lost-execs: ")).collect();
    // (That its trace stood still, or that it had no room, is told without a number.)
    let count = |flag: &String| flag.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(618);
    let lost_events: u64 = lost.iter().map(count).sum();
    // The shell, head, tr, those of the loop, and a pause after every forty.
    let told = kept.len() as u64 + left("programs");
    assert!(told <= 618 && told + lost_events >= 618, "{told} of 618, {lost:?}, {}", story["left_out"]);
    assert!(left("shortened") > 0 && left("commands") == 0, "{}", story["left_out"]);
    assert!(
        kept.iter().any(|argv| argv.starts_with("/bin/true 0 ") && argv.ends_with(" more bytes")),
        "{kept:?}"
    );
    let listed = say(&["ls", "--json"]);
    let listed: Value = serde_json::from_str(listed.lines().next_back().unwrap()).unwrap();
    assert_eq!(listed["left_out"], story["left_out"]);
    let notices = support::notices(&story);
    assert_eq!(notices.len(), 1 + lost.len(), "{notices:?}");
    assert_eq!(listed["notices"].as_u64(), told_of(&story), "{listed} {notices:?}");
    let left_out = notices.iter().filter(|notice| notice.starts_with("left-out: "));
    assert_eq!(left_out.count(), 1, "{notices:?}");
    assert!(say(&["show"]).contains("programs are shortened"));
    say(&["verify", "last"]);
}

#[test]
fn start_up_files_are_gone_when_the_session_is_over() {
    // Also when the shell dies of a signal, and we of the same.
    for (last, signal) in [("exit", None), ("kill -9 $$", Some(9))] {
        let sandbox = Sandbox::new();
        sandbox.file("home/.bashrc", "PS1='@@ '\n");
        // Of a recorder that was killed.
        let namespace = sealcast::sys::ids::pid_namespace().unwrap();
        let place = Path::new(if is_root() && Path::new("/run").is_dir() { "/run" } else { "/tmp" });
        let random = format!("{:032x}", std::process::id());
        let left = place.join(format!("sealcast-{namespace}-{}-7-{random}", u32::MAX));
        std::fs::DirBuilder::new().mode(0o700).create(&left).unwrap();
        let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
        terminal.wait_for("@@ ");
        assert!(!left.exists());
        terminal.send("tr '\\0' '\\n' </proc/$$/cmdline | grep start.bash; echo END\r");
        terminal.wait_for("\n");
        let path = terminal.wait_for("/start.bash");
        let dir = path.rsplit(['\n', '\r']).next().unwrap().to_owned();
        terminal.wait_for("@@ ");
        assert!(std::path::Path::new(&dir).is_dir(), "{dir}");
        terminal.send(format!("{last}\r"));
        assert_eq!(terminal.wait_end().signal(), signal);
        assert!(!std::path::Path::new(&dir).exists(), "{last}: {dir}");
    }
}

#[test]
fn a_shell_that_was_silenced_is_seen_by_whoever_lists_or_shows_the_recording() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.bashrc", "PS1='@@ '\n");
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
    let steps =
        [("@@ ", "unset PROMPT_COMMAND PS0; PS1='o''ff> '"), ("off> ", "/bin/uname -s"), ("off> ", "exit 3")];
    for (prompt, line) in steps {
        enter(&mut terminal, prompt, line);
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    if !traced(&sandbox) {
        return;
    }
    let said = |args: &[&str]| String::from_utf8(sealcast(&sandbox, args).output().unwrap().stdout).unwrap();
    let shown = said(&["show"]);
    let notice = "on: marks-ended: the shell goes on, but no longer tells what it runs\n";
    let (before, after) = shown.split_once(notice).unwrap_or_else(|| panic!("{shown}"));
    assert!(before.contains("told by") && after.contains("/bin/uname -s  [inferred]"), "{shown}");
    let listed = said(&["ls"]);
    assert!(listed.contains("3!"), "{listed}");
    let listed: Value = serde_json::from_str(said(&["ls", "--json"]).lines().next().unwrap()).unwrap();
    let story: Value = serde_json::from_str(&said(&["show", "--json"])).unwrap();
    assert_eq!(support::notices(&story).len(), 1, "{story:#}");
    assert_eq!(
        (listed["commands"].as_u64(), listed["notices"].as_u64()),
        (Some(3), told_of(&story)),
        "{listed} {story:#}"
    );
    assert_eq!(argvs(&commands(&sandbox)[1]), ["/bin/uname -s"]);
}

#[test]
fn programs_that_no_command_explains_are_told_and_listed() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.bashrc", "PS1='@@ '\nPROMPT_COMMAND='/bin/true of-the-prompt'\n");
    let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "bash"]), SIZE);
    for line in ["bind -x '\"\\C-g\": /bin/echo of-a-key'", "exit 3"] {
        enter(&mut terminal, "@@ ", line);
        if line != "exit 3" {
            terminal.wait_for("@@ ");
            terminal.send("\x07");
            terminal.wait_for("of-a-key\r\n");
        }
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    if !traced(&sandbox) {
        return;
    }
    let output =
        |args: &[&str]| String::from_utf8(sealcast(&sandbox, args).output().unwrap().stdout).unwrap();
    let shown = output(&["show"]);
    let told = shown.lines().find(|line| line.contains("of no command")).unwrap_or_default();
    assert!(told.contains("true") && told.contains("echo"), "{shown}");
    let json: Value = serde_json::from_str(&output(&["show", "--json"])).unwrap();
    let exported = output(&["export", "-f", "commands", "last"]);
    let exported = exported.lines().map(|line| serde_json::from_str(line).unwrap());
    for all in [json["programs_of_no_command"].as_array().unwrap().clone(), exported.collect::<Vec<Value>>()]
    {
        for text in ["/bin/true of-the-prompt", "/bin/echo of-a-key"] {
            let found = all.iter().find(|entry| entry["text"] == text);
            let found = found.unwrap_or_else(|| panic!("no `{text}`: {all:?}"));
            assert_eq!((&found["source"], &found["trust"]), (&"exec".into(), &"witnessed".into()));
        }
    }
}

/// What anybody can print neither ends the entry of the session's command nor takes its programs.
#[test]
fn marks_that_a_command_prints_change_nothing_of_its_entry() {
    for printed in
        ["\\033]133;C;cmdline_url=ls\\007", "\\033]133;D;0\\007", "\\033]633;E;ls\\007\\033]633;C\\007"]
    {
        let sandbox = Sandbox::new();
        let script = format!("printf '{printed}'; sleep 0.2; id; exit 3");
        let mut terminal = Terminal::start(&sealcast(&sandbox, &["run", "--", "sh", "-c", &script]), SIZE);
        assert_eq!(terminal.wait_end().code(), Some(3));
        let commands = commands(&sandbox);
        let mine = commands.iter().find(|command| command["source"] == "argv").unwrap();
        assert_eq!((&mine["exit"], mine["flags"].is_null()), (&3.into(), true), "{commands:?}");
        if traced(&sandbox) {
            assert!(argvs(mine).contains(&"id".to_owned()), "{commands:?}");
        }
        for other in commands.iter().filter(|command| command["source"] != "argv") {
            assert_eq!((&other["source"], &other["trust"]), (&"hint".into(), &"untrusted".into()));
            assert!(other["execs"].is_null() && other["exit"] != 3, "{other}");
        }
    }
}

#[test]
fn a_posix_shell_that_marks_its_prompts_is_not_called_silent() {
    let sandbox = Sandbox::new();
    sandbox.file("home/.shrc", "PS1='@@ '\n");
    let mut command = sealcast(&sandbox, &["run", "--", "dash"]);
    // An exported prompt is left alone.
    command.env("ENV", sandbox.path("home/.shrc")).env_remove("PS1");
    let mut terminal = Terminal::start(&command, SIZE);
    for line in ["true", "exit 3"] {
        terminal.wait_for("@@ ");
        terminal.send(format!("{line}\r"));
    }
    assert_eq!(terminal.wait_end().code(), Some(3));
    let shown = String::from_utf8(sealcast(&sandbox, &["show"]).output().unwrap().stdout).unwrap();
    assert!(shown.contains("shell-integration=posix") && !shown.contains("silent:"), "{shown}");
}
