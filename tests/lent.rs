//! What a caller lends us, its standard streams, is used with the caller's rights and no others.
//!
//! carol may record herself and nothing else, without a password. Whatever she redirects to and from a recorder that runs
//! as root must give her nothing that she could not have without it. Needs root; says so and passes where there is none.
#![allow(clippy::unwrap_used)]

mod support;

use sealcast::sys::pipe;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use support::host::{Host, SEALCAST, has, text};
use support::is_of_the_machine;

/// Runs a line of carol's shell, in which `$W` is the recorder for herself.
fn carol(host: &Host, line: &str) -> Output {
    host.run("carol", &["bash", "-c", &line.replace("$W", &format!("{SEALCAST} run --self --"))])
}

/// `why of` of every gap in the last recording, but those [of the machine](is_of_the_machine).
fn gaps(host: &Host) -> Vec<String> {
    let exported = host
        .run("root", &[SEALCAST, "export", "-f", "json", "-i", "/etc/sealcast/identity", &host.last_id()]);
    let lines = text(&exported);
    let values = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let gap = |value: serde_json::Value| {
        format!("{} {}", value["why"].as_str().unwrap(), value["of"].as_str().unwrap())
    };
    let of_the_machine = |value: &serde_json::Value| value["why"].as_str().is_some_and(is_of_the_machine);
    values.filter(|value| value["kind"] == "gap" && !of_the_machine(value)).map(gap).collect()
}

/// Something that root has open on the host until it is dropped; its standard output can be read.
struct Held(Child);

impl Held {
    /// Runs a line of root's shell up to the word `ready`; it must then wait for the end of its standard input.
    fn by(host: &Host, line: &str) -> Self {
        let mut command = host.command("root", &["bash", "-c", line]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut byte = [0];
        // Byte by byte: what follows is for others.
        while !said.ends_with('\n') && child.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 {
            said.push(char::from(byte[0]));
        }
        assert_eq!(said, "ready\n", "{line}");
        Self(child)
    }

    /// A file of the host, as seen from here.
    fn file(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.0.id()).into()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Whatever it waits for instead: a failure must not become a test that never ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_fifo_is_used_only_in_the_direction_it_was_opened_for() {
    let Some(host) = Host::start() else { return };
    let line = "mkfifo -m 622 /srv/in; mkfifo -m 644 /srv/out; exec 7<>/srv/in 8<>/srv/out
        echo for-the-daemon >&7; echo ready; exec cat >/dev/null";
    let daemon = Held::by(&host, line);
    let fifos = ["/srv/in", "/srv/out"]
        .map(|path| File::options().read(true).write(true).open(daemon.file(path)).unwrap());
    // She may write to the first, and not read what others wrote.
    let ran = carol(&host, "$W head -n1 0>/srv/in");
    assert!(!text(&ran).contains("for-the-daemon"), "{}", text(&ran));
    assert!(
        !ran.status.success() && text(&ran).contains("Bad file descriptor"),
        "as without us: {}",
        text(&ran)
    );
    assert_eq!(pipe::unread(&fifos[0]).unwrap(), "for-the-daemon\n".len());
    // She may read the second, and not write to it.
    let ran = carol(&host, "$W echo a command 1</srv/out");
    assert!(
        !ran.status.success() && text(&ran).contains("Bad file descriptor"),
        "as without us: {}",
        text(&ran)
    );
    assert_eq!(pipe::unread(&fifos[1]).unwrap(), 0);
    // What she may do she still can, and it is recorded.
    let mut writer = fifos[1].try_clone().unwrap();
    writer.write_all(b"an answer\n").unwrap();
    let ran = carol(&host, "$W head -n1 0</srv/out 1>/srv/in");
    assert!(ran.status.success(), "{}", text(&ran));
    let mut lines = BufReader::new(&fifos[0]).lines();
    assert_eq!(
        [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()],
        ["for-the-daemon", "an answer"]
    );
    assert!(host.last_output().contains("an answer"));
    assert_eq!(gaps(&host), [""; 0]);
}

/// What a daemon on a unix socket learns of who writes `hello` to it: carol's `cat`, recorded, started by this command of
/// root that becomes carol.
fn told_to_a_socket(host: &Host, become_carol: &[&str]) -> String {
    // Says who sent what, and whose process that is.
    let daemon = r#"
import os, socket, struct
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

if os.path.exists('/srv/socket'): os.unlink('/srv/socket')
listener.bind('/srv/socket'); os.chmod('/srv/socket', 0o666); listener.listen(5)
print('ready', flush=True)
peer, _ = listener.accept()
peer.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
peer.sendall(b'hello')
data, told, _, _ = peer.recvmsg(100, 200)
[(_, kind, value)] = told
assert kind == socket.SCM_CREDENTIALS
pid, uid, gid = struct.unpack('3i', value[:12])
name = open('/proc/%d/comm' % pid).read().strip()
print(data.decode(), uid, gid, os.stat('/proc/%d' % pid).st_uid, name, flush=True)
"#;
    let client = r#"
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.connect('/srv/socket')
os.dup2(s.fileno(), 0); os.dup2(s.fileno(), 1); s.close()
os.execvp(sys.argv[1], sys.argv[1:])
"#;
    std::fs::write(host.etc("daemon.py"), daemon).unwrap();
    std::fs::write(host.etc("client.py"), client).unwrap();
    let mut daemon = Held::by(host, "exec python3 /etc/daemon.py");
    let line = format!("exec python3 /etc/client.py {SEALCAST} run --self -- cat");
    let ran = host.run("root", &[become_carol, &["--", "bash", "-c", &line]].concat());
    assert!(ran.status.success(), "{}", text(&ran));
    let mut said = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    // A session of sshd has such sockets: it is recorded whole.
    assert!(host.last_output().contains("hello"));
    assert_eq!(gaps(host), [""; 0]);
    said
}

#[test]
fn a_socket_of_this_host_is_told_who_really_writes() {
    let Some(host) = Host::start() else { return };
    if !has("python3") {
        return;
    }
    let carol = ["setpriv", "--reuid=carol", "--regid=carol", "--init-groups"];
    let group = text(&host.run("carol", &["id", "-g"]));
    let group = group.trim();
    // The process is the program itself, which is hers, not the recorder.
    assert_eq!(told_to_a_socket(&host, &carol), format!("hello 61003 {group} 61003 cat\n"));
    // Without the capability to name the process of somebody else it is the recorder, and still in her name.
    let bare = ["--inh-caps=-sys_admin", "--bounding-set=-sys_admin"];
    let bare = [carol.as_slice(), &bare].concat();
    assert_eq!(told_to_a_socket(&host, &bare), format!("hello 61003 {group} 0 sealcast\n"));
}

#[test]
fn a_file_that_the_kernel_makes_up_answers_the_program_and_not_us() {
    let Some(host) = Host::start() else { return };
    let daemon = Held::by(&host, "echo ready; exec cat >/dev/null");
    let stat = format!("/proc/{}/stat", daemon.0.id());
    // Where the code of a program begins and ends, and its stack: none of carol's business.
    let bare = carol(&host, &format!("cut -d' ' -f26-28 <{stat}"));
    let of_root = text(&host.run("root", &["cut", "-d ", "-f26-28", &stat]));
    assert!(bare.status.success() && text(&bare) != of_root, "{} {of_root}", text(&bare));
    assert_eq!(text(&carol(&host, &format!("$W cut -d' ' -f26-28 <{stat}"))), text(&bare));
    assert_eq!(gaps(&host), ["device stdin"]);
    // And what only root may ask for is refused.
    let ran = carol(&host, "$W echo -1000 >/proc/$$/oom_score_adj; cat /proc/$$/oom_score_adj");
    assert!(text(&ran).contains("Permission denied") && !text(&ran).contains("-1000"), "{}", text(&ran));
    assert_eq!(gaps(&host), ["device stdout"]);
    // An error is the program's own.
    let ran = carol(&host, "$W cat </sys/class/net/lo/speed");
    assert!(ran.status.code() == Some(1) && text(&ran).contains("Invalid argument"), "{}", text(&ran));
}

#[test]
fn a_socket_that_cannot_be_recorded_is_no_way_around_the_recording() {
    let Some(host) = Host::start() else { return };
    if !has("python3") {
        return;
    }
    // One end of a pair of sockets for these streams; then the exit code, what came out of the other end, and what was written where
    // standard error was.
    let client = r#"
import socket, subprocess, sys
kind = getattr(socket, 'SOCK_' + sys.argv[1])
ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
streams = {name: theirs for name in sys.argv[2].split(',')}
others = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
ran = subprocess.run(sys.argv[3:], **{**others, **streams})
theirs.close()
ours.setblocking(False)
said = (ran.stdout or b'') + (ran.stderr or b'')
try:
    while part := ours.recv(65536): said += part
except (BlockingIOError, ConnectionResetError): pass
print(ran.returncode, said.decode())
"#;
    std::fs::write(host.etc("client.py"), client).unwrap();
    let run = |kind: &str, streams: &str| {
        let line = format!(
            "exec python3 /etc/client.py {kind} {streams} {SEALCAST} run -- sh -c 'touch /srv/it-ran; echo out; echo err >&2'"
        );
        text(&host.run("alice", &["bash", "-c", &line]))
    };
    let ran = || host.run("root", &["rm", "/srv/it-ran"]).status.success();
    for kind in ["SEQPACKET", "DGRAM"] {
        for (streams, named) in [
            ("stdin", "standard input"),
            ("stdout", "standard output"),
            ("stderr", "standard error"),
            ("stdin,stdout,stderr", "standard input"),
        ] {
            let said = run(kind, streams);
            let why = format!("{named} is a socket that cannot be recorded");
            assert!(said.starts_with("125 ") && said.contains(&why), "{kind} {streams}: {said}");
            assert!(said.contains("hint: ") && !ran(), "{kind} {streams}: {said}");
        }
    }
    assert_eq!(host.recordings(), 0);
    // A stream is recorded, and a device is as it was. What is missing has a mark in the list.
    let marks = || {
        let listed = text(&host.run("root", &[SEALCAST, "ls", "-i", "/etc/sealcast/identity"]));
        listed.lines().filter(|line| line.split('\t').nth(4).unwrap().ends_with('!')).count()
    };
    assert!(run("STREAM", "stdin,stdout,stderr").contains("0 out\nerr\n") && ran());
    assert_eq!((gaps(&host), marks()), (vec![], 0));
    let alarms = || {
        let list = [SEALCAST, "ls", "--json", "-i", "/etc/sealcast/identity"];
        text(&host.run("root", &list)).matches("\"alarm\":true").count()
    };
    assert_eq!(alarms(), 0);
    let line = format!(
        "{SEALCAST} run -- sh -c 'head -c1; echo hidden' </dev/zero >/dev/null; {SEALCAST} run -- echo hidden >/dev/full"
    );
    host.run("alice", &["bash", "-c", &line]);
    assert_eq!(gaps(&host), ["device stdout"]);
    assert_eq!(alarms(), marks());
    // Where the host would rather have it run, it does.
    host.configure("[record]\non-failure = \"warn\"\n");
    let said = run("SEQPACKET", "stdout,stderr");
    assert!(said.starts_with("0 out\nerr\n") && ran(), "{said}");
    assert_eq!(gaps(&host), ["device stdout", "device stderr"]);
    assert_eq!(marks(), 3);
}

#[test]
fn a_program_that_gives_rights_loses_them_when_somebody_writes_to_it() {
    let Some(host) = Host::start() else { return };
    let line = "touch /srv/tool; chmod 4777 /srv/tool; echo ready; exec cat >/dev/null";
    let held = Held::by(&host, line);
    let ran = carol(&host, "$W echo mine >>/srv/tool; stat -c %a /srv/tool");
    assert!(ran.status.success() && text(&ran) == "777\n", "{}", text(&ran));
    assert_eq!(std::fs::read_to_string(held.file("/srv/tool")).unwrap(), "mine\n");
    assert!(host.last_output().contains("mine"), "and it is recorded");
    assert_eq!(gaps(&host), [""; 0]);
}

#[test]
fn output_that_finds_no_room_is_told_counted_and_no_success() {
    let Some(host) = Host::start() else { return };
    let line = format!(
        "mkdir /srv/small; mount -t tmpfs -o size=4k none /srv/small
        {SEALCAST} run -- head -c 8000 /dev/zero >/srv/small/file; echo exit $?; stat -c %s /srv/small/file"
    );
    let ran = host.run("root", &["bash", "-c", &line]);
    let told = text(&ran);
    assert!(told.starts_with("exit 125\n4096\n"), "{told}");
    let message = "cannot write standard output: No space left on device (os error 28); 3904 bytes did not arrive there";
    assert!(told.contains(message), "{told}");
    // What the program said is recorded, and how much of it is not where it should be.
    assert_eq!(host.last_output().matches('\0').count(), 8000);
    assert_eq!(gaps(&host), ["undelivered stdout"]);
}
