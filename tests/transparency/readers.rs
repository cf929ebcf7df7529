//! Pipes whose other end is slow, stands still, or is shared with somebody.

use super::pipes::{gaps, output};
use crate::support::sandbox::Sandbox;
use crate::support::{children, descendants, is_of_the_machine, lives, there, until};
use sealcast::cast::Payload;
use sealcast::cast::line::Decoder;
use sealcast::sys::{fd, pipe, signals};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A command in a session without a terminal: the wrapper's own process, so that it can be signalled.
fn alone(sandbox: &Sandbox, command: &Command) -> Command {
    let mut alone = sandbox.command("setsid");
    alone.arg(command.get_program()).args(command.get_args());
    alone.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    alone
}

/// Asks a wrapper to end until it has ended: what comes while the end of the child is on its way is for the child.
fn end(mut wrapper: Child) -> ExitStatus {
    until("the wrapper's end", || {
        let _ = signals::send(wrapper.id(), signals::SIGTERM);
        wrapper.try_wait().unwrap()
    })
}

#[test]
fn the_end_of_standard_output_is_told_while_the_child_goes_on() {
    let sandbox = Sandbox::new();
    // The child waits for the reader to have seen the end.
    let line = "$W sh -c 'echo first; exec >&-; until [ -e told ]; do sleep 0.05; done; echo last >&2' | { cat; echo >told; }";
    let got = output(&sandbox, line);
    assert_eq!((got.stdout.as_slice(), got.stderr.as_slice()), (&b"first\n"[..], &b"last\n"[..]));
    assert_eq!(sandbox.recorded_errors(), b"last\n");
}

#[test]
fn a_session_that_must_end_does_not_wait_for_a_reader_that_stands_still() {
    let sandbox = Sandbox::new();
    let wrapped = sandbox.wrapped_with(&["--fail-after", "1000"], &["yes"]);
    let line: Vec<_> = [wrapped.get_program()].into_iter().chain(wrapped.get_args()).collect();
    let line = line.iter().map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ");
    // The reader reads nothing before the session is over.
    let got = output(
        &sandbox,
        &format!("{{ {line}; echo >over; }} | {{ until [ -e over ]; do sleep 0.05; done; cat; }}"),
    );
    let recorded = sandbox.recorded_output();
    assert!(!got.stdout.is_empty() && got.stdout.len().is_multiple_of(2), "{}", got.stdout.len());
    assert!(
        recorded.starts_with(&got.stdout),
        "{} bytes were handed on, {} recorded",
        got.stdout.len(),
        recorded.len()
    );
    assert!(sandbox.recorded_exit().is_some());
}

#[test]
fn what_was_handed_on_is_recorded_when_the_rest_is_given_up() {
    let sandbox = Sandbox::new();
    // One byte first, so that what follows does not fill our pipe evenly.
    let script = "printf x; until [ -e go ]; do sleep 0.02; done; head -c 100000 /dev/zero; exit 3";
    let (reader, writer) = pipe::open().unwrap();
    let mut command = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", script]));
    let wrapper = command.stdout(writer).spawn().unwrap();
    drop(command);
    until("the first byte", || (pipe::unread(&reader).unwrap() == 1).then_some(()));
    let below = descendants(wrapper.id());
    sandbox.file("go", "");
    until("the program's end", || (!lives(below[1])).then_some(()));
    // Nobody reads, and whoever asks for the end gets it.
    end(wrapper);
    let mut got = Vec::new();
    std::fs::File::from(reader).read_to_end(&mut got).unwrap();
    let recorded = sandbox.recorded_output();
    assert!(got.len() > 4096 && recorded.starts_with(&got), "{} {}", got.len(), recorded.len());
    assert_eq!(sandbox.recorded_exit(), Some(3));
}

#[test]
fn what_a_child_had_written_when_its_reader_left_is_recorded() {
    let sandbox = Sandbox::new();
    // As much as two pipes hold, and a page more: whatever of it is held between them, some is in that of the child.
    const ALL: usize = (128 + 4) << 10;
    let script =
        format!("head -c {ALL} /dev/zero; echo >written; until [ -e go ]; do sleep 0.02; done; exit 3");
    let (reader, writer) = pipe::open().unwrap();
    let mut command = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", &script]));
    let mut wrapper = command.stdout(writer).spawn().unwrap();
    drop(command);
    until("all to be written", || sandbox.path("written").exists().then_some(()));
    until("the reader's pipe to be full", || (pipe::unread(&reader).unwrap() == 64 << 10).then_some(()));
    drop(reader);
    sandbox.file("go", "");
    assert_eq!(until("the end", || wrapper.try_wait().unwrap()).code(), Some(3));
    assert_eq!(sandbox.recorded_output().len(), ALL);
}

#[test]
fn who_asks_for_the_end_need_not_wait_for_what_the_child_left_running() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe::open().unwrap();
    let mut command = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", "sleep 1000 & echo $!; exit 3"]));
    let mut wrapper = command.stdout(writer).spawn().unwrap();
    drop(command);
    let (mut said, mut reader) = (String::new(), BufReader::new(std::fs::File::from(reader)));
    reader.read_line(&mut said).unwrap();
    let sleep: u32 = said.trim().parse().unwrap();
    until("the program's end", || (descendants(wrapper.id()).len() == 1).then_some(()));
    // The reader still waits, and what was left still runs.
    assert!(wrapper.try_wait().unwrap().is_none(), "it does not wait");
    end(wrapper);
    assert_eq!(sandbox.recorded_exit(), Some(3));
    assert!(lives(sleep));
    signals::send(sleep, signals::SIGKILL).unwrap();
    drop(reader);
}

#[test]
fn a_session_that_must_end_does_not_wait_for_a_reader_of_its_messages() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe::open().unwrap();
    let mut full = fd::reopen_to_write(&writer).unwrap();
    while full.write(&[b'.'; 4096]).is_ok() {}
    let wrapped =
        sandbox.wrapped_with(&["--fail-after", "1000"], &["sh", "-c", "seq 1 1000; exec sleep 1000"]);
    let mut wrapper = alone(&sandbox, &wrapped).stderr(writer).spawn().unwrap();
    let status = until("the wrapper's end", || wrapper.try_wait().unwrap());
    assert_eq!(status.signal(), Some(1), "{status}");
    assert_eq!(sandbox.recorded_exit(), Some(129));
    drop(reader);
}

#[test]
fn two_sessions_on_one_standard_input_hold_each_other_in_nothing() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe::open().unwrap();
    let script = "until [ -e go ]; do sleep 0.02; done; read line; echo >$0; exec sleep 1000";
    let wrappers = ["a", "b"].map(|name| {
        let to = sandbox.path(&format!("recording-{name}"));
        let wrapped = sandbox.wrapped_with(&["--to", to.to_str().unwrap()], &["sh", "-c", script, name]);
        alone(&sandbox, &wrapped).stdin(reader.try_clone().unwrap()).spawn().unwrap()
    });
    std::fs::File::from(writer.try_clone().unwrap()).write_all(b"line\n").unwrap();
    // Both have looked at the line before either takes it.
    for wrapper in &wrappers {
        until("the line to be handed on", || {
            let child = *descendants(wrapper.id()).get(1)?;
            let input = std::fs::File::open(format!("/proc/{child}/fd/0")).ok()?;
            (pipe::unread(input).ok()? == 5).then_some(())
        });
    }
    sandbox.file("go", "");
    for name in ["a", "b"] {
        until("the line to be read", || sandbox.path(name).exists().then_some(()));
    }
    // Whichever came second found nothing to take. It still hears.
    for wrapper in wrappers {
        assert_eq!(end(wrapper).signal(), Some(15));
    }
    // Both have recorded what their child read, and it has told that.
    let recorded = ["a", "b"].map(|name| {
        let lines = std::fs::read(sandbox.path(&format!("recording-{name}"))).unwrap();
        let mut decoder = Decoder::default();
        let events = lines.split(|b| *b == b'\n').filter_map(|line| decoder.decode(line).unwrap());
        events
            .filter_map(|event| match event.payload {
                Payload::Input(bytes) => Some(String::from_utf8(bytes).unwrap()),
                Payload::Gap(gap) if !is_of_the_machine(&gap.why) => Some(format!("{} {}", gap.why, gap.of)),
                _ => None,
            })
            .collect::<Vec<_>>()
    });
    let mut recorded = recorded.concat();
    recorded.sort();
    assert_eq!(recorded, ["line\n", "line\n", "shared stdin"]);
    drop(writer);
}

#[test]
fn a_terminal_that_disappears_ends_the_wait_for_a_reader_that_stands_still() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.shell();
    let program = "head -c 100000 /dev/zero; echo >over";
    let reader = "trap \"\" HUP; until [ -e go ]; do sleep 0.05; done";
    terminal.send(format!("{} sh -c '{program}' | sh -c '{reader}'\r", sandbox.wrapper_line()));
    until("the program's last act", || sandbox.path("over").exists().then_some(()));
    let is_wrapper = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sealcast")
    };
    let wrapper = children(terminal.pid()).into_iter().find(is_wrapper).unwrap();
    until("the program's end", || (descendants(wrapper).len() == 1).then_some(()));
    let reader = children(terminal.pid()).into_iter().find(|pid| *pid != wrapper).unwrap();
    until("the reader's pipe to be full", || {
        let pipe = std::fs::File::open(format!("/proc/{reader}/fd/0")).ok()?;
        (pipe::unread(pipe).ok()? == 64 << 10).then_some(())
    });
    terminal.hang_up();
    until("the wrapper's end", || (!lives(wrapper)).then_some(()));
    sandbox.file("go", "");
    // All is recorded, and what of it lay in no pipe of the reader's is told.
    assert_eq!(sandbox.recorded_output().len(), 100_000);
    let told = gaps(&sandbox);
    assert_eq!(told, [("undelivered".into(), "stdout".into(), 100_000 - (64 << 10))]);
    assert!(sandbox.recorded_exit().is_some());
}

#[test]
fn what_lies_in_the_pipes_when_a_session_must_end_is_counted() {
    let sandbox = Sandbox::new();
    let script = "head -c 100000 /dev/zero; echo >written; exec sleep 1000";
    let (reader, writer) = pipe::open().unwrap();
    let mut command = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", script]));
    let mut wrapper = command.stdout(writer).spawn().unwrap();
    drop(command);
    until("all to be written", || sandbox.path("written").exists().then_some(()));
    until("the reader's pipe to be full", || (pipe::unread(&reader).unwrap() == 64 << 10).then_some(()));
    // Nobody is there any more who could tell of the program.
    signals::send(descendants(wrapper.id())[0], signals::SIGKILL).unwrap();
    until("the wrapper's end", || wrapper.try_wait().unwrap());
    assert_eq!(sandbox.recorded_output().len(), 100_000);
    let gap = |why: &str, of: &str, count| (why.to_owned(), of.to_owned(), count);
    let undelivered = gap("undelivered", "stdout", 100_000 - (64 << 10));
    let mut told = gaps(&sandbox);
    // The program may live to see it.
    told.retain(|told| *told != gap("left", "stdout", 0));
    assert_eq!(told, [gap("stage", "session", 0), undelivered]);
}

/// Reads one of two lines, says so in the file `one`, and waits for `go` to read the other.
const READS_TWO: &str = "read a; echo >one; until [ -e go ]; do sleep 0.02; done; read b; echo $a $b";

#[test]
fn what_a_child_read_is_recorded_and_not_what_somebody_put_in_its_place() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe::open().unwrap();
    let mut command = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", READS_TWO]));
    command.stdin(reader.try_clone().unwrap()).stdout(Stdio::piped());
    let (mut reader, mut writer) = (std::fs::File::from(reader), std::fs::File::from(writer));
    writer.write_all(b"one\ntwo\n").unwrap();
    let wrapper = command.spawn().unwrap();
    drop(command);
    until("the first line to be read", || sandbox.path("one").exists().then_some(()));
    let mut taken = [0; 8];
    reader.read_exact(&mut taken).unwrap();
    writer.write_all(b"1.1\n2.2\n").unwrap();
    sandbox.file("go", "");
    assert_eq!(wrapper.wait_with_output().unwrap().stdout, b"one two\n");
    assert_eq!(String::from_utf8(sandbox.recorded_input()).unwrap(), "one\ntwo\n");
    assert_eq!(gaps(&sandbox), [("shared".into(), "stdin".into(), 0)]);
}

#[test]
fn what_a_child_is_given_is_not_changed_by_who_has_the_page_on_which_it_stood() {
    if !there(&["python3"]) {
        return;
    }
    let sandbox = Sandbox::new();
    // Puts a page of its own into the pipe, and writes other lines there once the first was read.
    let script = r#"
import ctypes, mmap, os, subprocess, sys, time
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
page = mmap.mmap(-1, 4096)
page[:8] = b'one\ntwo\n'
part = Part(ctypes.addressof(ctypes.c_char.from_buffer(page)), 8)
reader, writer = os.pipe()
assert ctypes.CDLL(None).vmsplice(writer, ctypes.byref(part), 1, 0) == 8
ran = subprocess.Popen(sys.argv[1:], stdin=reader, stdout=subprocess.PIPE)
while not os.path.exists('one'): time.sleep(0.02)
page[:8] = b'1.1\n2.2\n'
open('go', 'w').close()
os.write(1, ran.communicate()[0])
"#;
    sandbox.file("writer.py", script);
    assert_eq!(output(&sandbox, &format!("python3 writer.py $W sh -c '{READS_TWO}'")).stdout, b"one two\n");
    assert_eq!(String::from_utf8(sandbox.recorded_input()).unwrap(), "one\ntwo\n");
    assert_eq!(gaps(&sandbox), [("shared".into(), "stdin".into(), 0)]);
}

#[test]
fn what_a_child_had_before_it_is_recorded_also_where_it_did_not_read_it() {
    let sandbox = Sandbox::new();
    let (reader, writer) = pipe::open().unwrap();
    std::fs::File::from(writer).write_all(b"line\n").unwrap();
    let script = "until [ -e go ]; do sleep 0.02; done; exec true";
    let mut wrapper = alone(&sandbox, &sandbox.wrapped(&["sh", "-c", script]))
        .stdin(reader.try_clone().unwrap())
        .spawn()
        .unwrap();
    until("the line to be handed on", || {
        let child = *descendants(wrapper.id()).get(1)?;
        let input = std::fs::File::open(format!("/proc/{child}/fd/0")).ok()?;
        (pipe::unread(input).ok()? == 5).then_some(())
    });
    sandbox.file("go", "");
    assert!(until("the wrapper's end", || wrapper.try_wait().unwrap()).success());
    // It could look at it without reading, as we do. It is there for who comes next.
    assert_eq!(sandbox.recorded_input(), b"line\n");
    assert_eq!(gaps(&sandbox), [("unread".into(), "stdin".into(), 0)]);
    assert_eq!(std::io::read_to_string(std::fs::File::from(reader)).unwrap(), "line\n");
}
