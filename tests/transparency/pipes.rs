//! Without a terminal: pipes, byte-clean and separate.

use crate::support::dice::Dice;
use crate::support::sandbox::Sandbox;
use crate::support::{DEADLINE, is_of_the_machine, there, until};
use sealcast::cast::Payload;
use sealcast::sys::pipe;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A shell line in a session without a terminal; `$W` is the wrapper. What hangs is ended, and is then no success.
pub(super) fn shell(sandbox: &Sandbox, line: &str) -> Command {
    let mut command = sandbox.command("setsid");
    let script = line.replace("$W", &sandbox.wrapper_line());
    command.args(["--wait", "timeout", "--kill-after=1", "300", "bash", "-c", &script]).stdin(Stdio::null());
    command
}

pub(super) fn output(sandbox: &Sandbox, line: &str) -> Output {
    let output = shell(sandbox, line).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    output
}

#[test]
fn output_and_errors_stay_apart_and_as_they_are() {
    let sandbox = Sandbox::new();
    let got = output(&sandbox, r"$W sh -c 'printf \\000out\\377\\n; printf err\\r\\n >&2'");
    assert_eq!((got.stdout.as_slice(), got.stderr.as_slice()), (&b"\0out\xff\n"[..], &b"err\r\n"[..]));
    assert_eq!(sandbox.recorded_output(), b"\0out\xff\n");
    assert_eq!(sandbox.recorded_errors(), b"err\r\n");
}

#[test]
fn megabytes_of_anything_pass_through_both_ways() {
    let sandbox = Sandbox::new();
    let bytes = Dice(7).bytes(5 << 20);
    let file = sandbox.file("noise", &bytes);
    let got = output(&sandbox, &format!("cat {} | $W cat | cat", file.display()));
    assert!(got.stdout == bytes, "{} of {} bytes", got.stdout.len(), bytes.len());
    assert!(sandbox.recorded_output() == bytes && sandbox.recorded_input() == bytes);
    let got = output(&sandbox, &format!("$W cat < {} | cat", file.display()));
    assert!(got.stdout == bytes);
    let got = output(&sandbox, &format!("$W cat {} > {}", file.display(), sandbox.path("copy").display()));
    assert!(got.stdout.is_empty() && std::fs::read(sandbox.path("copy")).unwrap() == bytes);
}

/// The gaps of the last recording, but those [of the machine](is_of_the_machine): why, of what, and how much.
pub(super) fn gaps(sandbox: &Sandbox) -> Vec<(String, String, u64)> {
    let told = |payload| match payload {
        Payload::Gap(gap) if !is_of_the_machine(&gap.why) => Some((gap.why, gap.of, gap.count)),
        _ => None,
    };
    sandbox.events().into_iter().filter_map(|event| told(event.payload)).collect()
}

#[test]
fn input_from_a_device_is_not_recorded_and_the_recording_says_so() {
    let sandbox = Sandbox::new();
    assert_eq!(output(&sandbox, "$W head -c 3 < /dev/zero").stdout, b"\0\0\0");
    assert_eq!(gaps(&sandbox), [("device".to_owned(), "stdin".to_owned(), 0)]);
    output(&sandbox, "$W cat < /dev/null");
    assert_eq!(gaps(&sandbox), []);
}

#[test]
fn input_that_cannot_be_read_is_told_and_no_success() {
    let sandbox = Sandbox::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    // A peer that goes without having read what it was sent resets the connection.
    socket.write_all(b"unread").unwrap();
    until("the peer to have it", || (peer.peek(&mut [0; 6]).unwrap() == 6).then_some(()));
    drop(peer);
    let mut command = sandbox.command("setsid");
    let wrapped = sandbox.wrapped(&["cat"]);
    command.arg("--wait").arg(wrapped.get_program()).args(wrapped.get_args());
    let got = command.stdin(std::os::fd::OwnedFd::from(socket)).output().unwrap();
    let told = String::from_utf8(got.stderr).unwrap();
    assert!(told.contains("cannot read standard input: Connection reset by peer"), "{told}");
    assert_eq!((got.status.code(), sandbox.recorded_exit()), (Some(125), Some(0)), "{told}");
    assert_eq!(gaps(&sandbox), [("unreadable".to_owned(), "stdin".to_owned(), 0)]);
}

#[test]
fn the_end_of_standard_input_is_handed_on() {
    let sandbox = Sandbox::new();
    assert_eq!(output(&sandbox, "printf abc | $W wc -c").stdout, b"3\n");
    assert_eq!(output(&sandbox, "$W wc -c < /dev/null").stdout, b"0\n");
    assert_eq!(output(&sandbox, ": | $W wc -c").stdout, b"0\n");
}

#[test]
fn a_reader_that_leaves_is_told_to_the_child() {
    let sandbox = Sandbox::new();
    let got = output(&sandbox, "$W yes | head -n 2; echo ${PIPESTATUS[0]}");
    assert_eq!(got.stdout, b"y\ny\n141\n");
}

#[test]
fn a_child_that_stops_reading_is_told_to_the_writer() {
    let sandbox = Sandbox::new();
    let got = output(&sandbox, "yes | $W head -n 1; echo ${PIPESTATUS[0]}");
    assert_eq!(got.stdout, b"y\n141\n");
}

#[test]
fn a_child_that_closes_its_input_and_goes_on_is_told_to_the_writer_too() {
    let sandbox = Sandbox::new();
    // The writer is told while the child still runs, which waits for just that.
    let line =
        "{ yes; echo >told; } | $W sh -c 'exec <&-; until [ -e told ]; do sleep 0.05; done; echo heard'";
    assert_eq!(output(&sandbox, line).stdout, b"heard\n");
}

#[test]
fn a_child_is_not_robbed_of_the_input_it_does_not_read() {
    let sandbox = Sandbox::new();
    let list = sandbox.file("list", "one\ntwo\nthree\n");
    let line = format!("cat {} | while read x; do $W echo got $x; done", list.display());
    assert_eq!(output(&sandbox, &line).stdout, b"got one\ngot two\ngot three\n");
    let line = format!("while read x; do $W echo got $x; done < {}", list.display());
    assert_eq!(output(&sandbox, &line).stdout, b"got one\ngot two\ngot three\n");
    // Byte by byte, as a shell reads.
    let line = format!("cat {} | {{ $W sh -c 'read x; echo first $x'; cat; }}", list.display());
    assert_eq!(output(&sandbox, &line).stdout, b"first one\ntwo\nthree\n");
    // What it was given and left is told apart.
    assert_eq!(sandbox.recorded_input(), b"one\ntwo\nthree\n");
    assert_eq!(gaps(&sandbox), [("unread".into(), "stdin".into(), 0)]);
}

#[test]
fn of_a_file_what_the_child_was_given_is_recorded_and_how_much_of_that_it_left() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("file", Dice(7).bytes(20_000));
    let line = "{ $W dd bs=1 count=1 status=none; cat; } <file";
    assert_eq!(output(&sandbox, line).stdout, std::fs::read(file).unwrap());
    let recorded = sandbox.recorded_input().len();
    assert_eq!(recorded, 4096, "as much as it is given at once");
    let notes = sandbox.events().into_iter().filter_map(|event| match event.payload {
        Payload::Gap(gap) if gap.why == "unread" => Some(gap.note),
        _ => None,
    });
    let notes = notes.collect::<Vec<_>>();
    assert!(notes.len() == 1 && notes[0].contains("had not read the last 4095 bytes"), "{notes:?}");
}

#[test]
fn a_stream_that_is_open_the_wrong_way_round_is_the_error_it_is_and_no_way_past_the_recording() {
    let sandbox = Sandbox::new();
    let script = "read line; echo input $? >&2; echo out; echo output $? >&2; echo hidden >&0; cat <&1 >&2";
    // What it says on standard error, and what comes out of its standard input.
    let said = |program: &Command| {
        let (out_of_input, input) = sealcast::sys::pipe::open().unwrap();
        let (output, into_output) = sealcast::sys::pipe::open().unwrap();
        std::fs::File::from(into_output).write_all(b"commands\n").unwrap();
        let mut command = sandbox.command("setsid");
        command.arg("--wait").arg(program.get_program()).args(program.get_args());
        let said = command.stdin(input).stdout(output).stderr(Stdio::piped()).output().unwrap();
        drop(command);
        let hidden = std::io::read_to_string(std::fs::File::from(out_of_input)).unwrap();
        (String::from_utf8(said.stderr).unwrap(), hidden)
    };
    let mut bare = sandbox.command("sh");
    bare.args(["-c", script]);
    let (errors, hidden) = said(&bare);
    assert_eq!(hidden, "hidden\n");
    let wrapped = said(&sandbox.wrapped(&["sh", "-c", script]));
    assert_eq!((wrapped.0 + "commands\n", wrapped.1.as_str()), (errors, ""));
    assert_eq!(gaps(&sandbox), []);
}

#[test]
fn the_exit_status_and_the_signal_pass() {
    let sandbox = Sandbox::new();
    assert_eq!(output(&sandbox, "$W sh -c 'exit 9'; echo $?").stdout, b"9\n");
    assert_eq!(output(&sandbox, "$W sh -c 'kill -TERM $$'; echo $?").stdout, b"143\n");
    assert_eq!(output(&sandbox, "$W no-such-program; echo $?").stdout, b"127\n");
    let status = sandbox.wrapped(&["sh", "-c", "kill -9 $$"]).stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), Some(9));
}

/// Whether whoever reads or writes at these descriptors of a process waits until it can: that is a matter of all who share them.
pub(super) fn wait(process: &str, descriptors: impl IntoIterator<Item = i32>) -> bool {
    let waits = |fd: i32| {
        let facts = std::fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}")).unwrap();
        let flags = facts.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        i32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_NONBLOCK == 0
    };
    descriptors.into_iter().all(waits)
}

#[test]
fn a_pipe_that_others_have_too_is_still_waited_at_by_them() {
    let sandbox = Sandbox::new();
    let [input, output, errors] = [(); 3].map(|()| pipe::open().unwrap());
    let share = |end: &OwnedFd| end.try_clone().unwrap();
    let mut command = sandbox.wrapped(&["sh", "-c", "read x; echo $x; echo $x >&2; read x; exit 3"]);
    command.stdin(share(&input.0)).stdout(share(&output.1)).stderr(share(&errors.1));
    let mut child = command.spawn().unwrap();
    drop(command);
    let shared = [&input.0, &output.1, &errors.1].map(AsRawFd::as_raw_fd);
    let mut to = std::fs::File::from(input.1);
    to.write_all(b"one\n").unwrap();
    for from in [output.0, errors.0] {
        let mut line = String::new();
        BufReader::new(std::fs::File::from(from)).read_line(&mut line).unwrap();
        assert_eq!(line, "one\n");
    }
    // All three are in use by now, and are no more after that.
    assert!(wait("self", shared));
    to.write_all(b"two\n").unwrap();
    assert_eq!(until("the end", || child.try_wait().unwrap()).code(), Some(3));
    assert!(wait("self", shared));
}

#[test]
fn a_closed_standard_stream_is_no_reason_to_hang() {
    let sandbox = Sandbox::new();
    let status = |line: &str| {
        let status = sandbox.path("status");
        output(&sandbox, &format!("{line}; echo $? >{}", status.display()));
        std::fs::read_to_string(status).unwrap()
    };
    // The error that it is without us.
    for line in ["cat <&-", "sh -c 'echo lost' >&-", "sh -c 'echo x >/dev/full' 2>&-", "true <&- >&- 2>&-"] {
        assert_eq!(status(&format!("$W {line}")), status(line), "{line}");
    }
}

#[test]
fn what_a_child_leaves_running_does_not_hold_a_caller_who_would_not_wait_for_it() {
    let sandbox = Sandbox::new();
    let [file, told] = ["out", "told"].map(|name| sandbox.path(name));
    output(&sandbox, &format!("$W sh -c 'sleep 1000 & echo $!' >{} 2>{}", file.display(), told.display()));
    let sleep: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert!(crate::support::lives(sleep));
    sealcast::sys::signals::send(sleep, 9).unwrap();
    // What it would have written is lost, and nobody is left to wonder.
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("what that writes to standard output and standard error is lost"), "{told}");
    assert_eq!(gaps(&sandbox), [("left".into(), "stdout".into(), 0), ("left".into(), "stderr".into(), 0)]);
}

#[test]
fn what_a_child_leaves_running_is_heard_to_its_end_by_who_waits_for_that() {
    let sandbox = Sandbox::new();
    let program =
        "exec > >(until [ -e go ]; do sleep 0.05; done; cat)\necho important\necho $$ >pid\nexit 7\n";
    sandbox.file("program", program);
    // The reader waits for the child's end, and for longer than silence counts, before it lets the rest be said.
    let line = "$W bash program | { until [ -s pid ]; do sleep 0.05; done; \
        while kill -0 $(cat pid) 2>/dev/null; do sleep 0.05; done; sleep 1.5; echo >go; cat; }; echo ${PIPESTATUS[0]}";
    let got = output(&sandbox, line);
    assert_eq!(String::from_utf8(got.stdout).unwrap(), "important\n7\n");
    assert_eq!(sandbox.recorded_output(), b"important\n");
    assert_eq!((sandbox.recorded_exit(), gaps(&sandbox)), (Some(7), vec![]));
}

#[test]
fn a_reader_that_leaves_ends_the_wait_for_what_a_child_leaves_running() {
    let sandbox = Sandbox::new();
    let got = output(&sandbox, "$W sh -c 'sleep 1000 2>&- & echo $!' | head -n 1");
    let sleep: u32 = String::from_utf8(got.stdout).unwrap().trim().parse().unwrap();
    assert!(crate::support::lives(sleep));
    sealcast::sys::signals::send(sleep, 9).unwrap();
}

#[test]
fn sessions_of_a_conversation_are_not_delayed() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped(&["cat"]);
    let mut command = sandbox.command("setsid");
    command.arg("--wait").arg(wrapped.get_program()).args(wrapped.get_args());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // A batch waits 50 ms for company. One of many is quicker than that, however many it takes on a busy machine.
    const WAITS: Duration = Duration::from_millis(40);
    let (mut quickest, mut n) = (Duration::MAX, 0_u32);
    let end = Instant::now() + DEADLINE;
    while n < 200 || quickest >= WAITS {
        let start = Instant::now();
        to.write_all(&n.to_le_bytes()).unwrap();
        let mut back = [0; 4];
        from.read_exact(&mut back).unwrap();
        assert_eq!(back, n.to_le_bytes());
        (quickest, n) = (quickest.min(start.elapsed()), n + 1);
        assert!(quickest < WAITS || start < end, "the quickest of {n} took {quickest:?}");
    }
    drop(to);
    assert!(until("the end", || child.try_wait().unwrap()).success());
}

#[test]
fn in_a_terminal_a_redirected_stream_is_still_byte_clean() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let copy = sandbox.path("copy");
    terminal.line(
        &format!("{} printf 'a\\nb\\n' > {}; echo done $?", sandbox.wrapper_line(), copy.display()),
        "done 0",
    );
    assert_eq!(std::fs::read(copy).unwrap(), b"a\nb\n");
    terminal.line(&format!("printf 'x\\ny\\n' | {} wc -c | tee /dev/null", sandbox.wrapper_line()), "4\r\n");
}

#[test]
fn output_and_errors_that_are_one_stay_in_their_order() {
    let sandbox = Sandbox::new();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo o$n; echo e$n >&2; done; for n in 1 2 3 4 5 6 7 8 9; do echo o$n; echo e$n >&2; done";
    let alone = output(&sandbox, &format!("sh -c '{script}' 2>&1"));
    let both = sandbox.path("both");
    for to in [format!(">{} 2>&1; cat {}", both.display(), both.display()), "2>&1 | cat".to_owned()] {
        let got = output(&sandbox, &format!("$W sh -c '{script}' {to}"));
        assert_eq!(String::from_utf8(got.stdout).unwrap(), String::from_utf8(alone.stdout.clone()).unwrap());
        assert_eq!(sandbox.recorded_output(), alone.stdout);
    }
}

#[test]
fn of_what_the_configuration_does_not_have_stored_only_the_count_is() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.wrapped_with(&["--input", "none"], &["cat"]);
    let file = sandbox.file("secret", "root:hunter2\n");
    let got = command.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert_eq!(got.stdout, b"root:hunter2\n");
    assert_eq!(
        (sandbox.recorded_input(), gaps(&sandbox)),
        (vec![], vec![("unwanted".into(), "stdin".into(), 13)])
    );
}

#[test]
fn only_the_beginning_of_a_long_stream_is_kept_when_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.wrapped_with(&["--keep", "1000"], &["head", "-c", "5000", "/dev/zero"]);
    let got = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(got.stdout.len(), 5000);
    assert_eq!(sandbox.recorded_output().len(), 1000);
    let gap = sandbox.events().into_iter().find_map(|event| match event.payload {
        Payload::Gap(gap) if !is_of_the_machine(&gap.why) => Some((gap.why, gap.of, gap.count, gap.sha256)),
        _ => None,
    });
    // Of all 5,000 bytes, so that it can be compared with that of a file.
    let digest = sealcast::crypto::digest::hex(&sealcast::crypto::digest::sha256(&[&[0; 5000]]));
    assert_eq!(gap, Some(("capped".into(), "stdout".into(), 4000, digest)));
    // What is shown on a terminal is no such stream.
    let command = sandbox.wrapped_with(&["--keep", "1000"], &["seq", "1000"]);
    let mut terminal = crate::support::terminal::Terminal::start(&command, crate::support::sandbox::SIZE);
    assert!(terminal.wait_end().success());
    assert_eq!(sandbox.recorded_output(), terminal.transcript());
}

#[test]
fn tar_rsync_and_git_work_through_it() {
    if !there(&["tar", "rsync", "git"]) {
        return;
    }
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("tree")).unwrap();
    for n in 0..50 {
        sandbox.file(&format!("tree/file{n}"), Dice(7).bytes(n * 997));
    }
    output(&sandbox, "mkdir copy; $W tar c tree | $W tar x -C copy; diff -r tree copy/tree");
    // A "remote shell" that is the wrapper on this host.
    let remote = format!("#!/bin/sh\nshift\nexec {} sh -c \"$*\"\n", sandbox.wrapper_line());
    let remote = sandbox.file("remote", remote);
    output(&sandbox, &format!("chmod +x {}", remote.display()));
    let line = format!(
        "rsync -a -e {} tree/ host:{}/synced; diff -r tree synced",
        remote.display(),
        sandbox.path("").display()
    );
    output(&sandbox, &line);
    output(
        &sandbox,
        "git init -q repo && cd repo && git config user.email a@b && git config user.name a && cp -r ../tree . \
        && git add . && git commit -qm one",
    );
    let line = format!(
        "GIT_SSH_COMMAND={} git clone -q ssh://host{}/repo clone && diff -r repo/tree clone/tree",
        remote.display(),
        sandbox.path("").display()
    );
    output(&sandbox, &line);
}
