//! Through ssh, for real: a private sshd on a host within this host, sealcast as a ForceCommand and as a login shell, and
//! what people and their tools do through it.
//!
//! Needs root, sshd and ssh; says so and passes where they are missing.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use support::host::{self, Host, SEALCAST, has, text};
use support::sshd::Sshd;

/// An sshd of the host, on a port of its own.
struct Server(Sshd);

/// What goes into the configuration for a ForceCommand.
const FORCED: &str = "ForceCommand /opt/bin/sealcast run --ssh";

impl Server {
    /// Starts it, with `more` in its configuration. carol and dave have a key, which root has too.
    fn start(host: &Host, more: &str) -> Self {
        let keys = "set -e; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/key; mkdir /etc/ssh/authorized
             for user in carol dave; do cp /etc/ssh/key.pub /etc/ssh/authorized/$user; done";
        let made = host.run("root", &["sh", "-c", keys]);
        assert!(made.status.success(), "{}", text(&made));
        let key = host.etc("sealcast/signing.pub");
        Self(Sshd::start(&key, &host.etc("sshd.log"), |port| {
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/sealcast/signing\n\
                 AuthorizedKeysFile /etc/ssh/authorized/%u\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nUsePAM no\nPidFile none\nSubsystem sftp {SFTP}\n{more}\n"
            );
            std::fs::write(host.etc("ssh/test"), config).unwrap();
            host.command("root", &["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/test"])
        }))
    }

    /// A client: ssh, scp or sftp. The port comes first, then `words`.
    fn client(&self, host: &Host, program: &str, words: &[&str]) -> Command {
        let port = format!("Port={}", self.0.port);
        let mut all = vec![program, "-F", "none", "-i", "/etc/ssh/key", "-o", &port];
        all.extend([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]);
        all.extend(words);
        host.command("root", &all)
    }

    /// Runs a client to its end; it must succeed.
    #[track_caller]
    fn run(&self, host: &Host, program: &str, words: &[&str]) -> Output {
        let ran = host::output(self.client(host, program, words));
        let log = std::fs::read_to_string(host.etc("sshd.log")).unwrap();
        assert!(ran.status.success(), "{program} {words:?}: {}\n{log}", text(&ran));
        ran
    }
}

const SFTP: &str = "/usr/lib/openssh/sftp-server";

fn ready() -> Option<Host> {
    if has("/usr/sbin/sshd") && ["ssh", "scp", "sftp", "ssh-keyscan", SFTP].into_iter().all(has) {
        Host::start()
    } else {
        None
    }
}

#[test]
fn as_a_forced_command_it_records_what_ssh_was_asked_for() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, FORCED);
    let at = |shown: &Value, path: &str| shown.pointer(path).unwrap().as_str().unwrap().to_owned();
    let ran = host::output(server.client(&host, "ssh", &["carol@127.0.0.1", "id -un; echo err >&2; exit 3"]));
    let told = format!("{}\n{}", text(&ran), std::fs::read_to_string(host.etc("sshd.log")).unwrap());
    assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b"carol\n"[..], Some(3)), "{told}");
    assert_eq!(ran.stderr, b"err\n", "{told}");
    let shown = host.last();
    assert_eq!(at(&shown, "/meta/argv/2"), "id -un; echo err >&2; exit 3");
    assert!(at(&shown, "/meta/origin").starts_with("127.0.0.1 "), "{shown}");
    assert!(at(&shown, "/meta/origin").ends_with(&format!("127.0.0.1 {}", server.0.port)), "{shown}");

    // sshd calls the shell by its name alone.
    for user in ["carol@127.0.0.1", "dave@127.0.0.1"] {
        let ran = host::output(server.client(&host, "ssh", &[user, "echo $0; no-such-program"]));
        assert!(ran.stdout == b"bash\n" && ran.stderr.starts_with(b"bash: "), "{}", text(&ran));
    }

    let command = server.client(&host, "ssh", &["-t", "carol@127.0.0.1"]);
    let mut terminal = support::terminal::Terminal::start(&command, support::sandbox::SIZE);
    terminal.wait_for("$ ");
    terminal.line("id -un; pwd", "carol");
    terminal.wait_for("/home/carol");
    terminal.send("exit 5\r");
    assert_eq!(terminal.wait_end().code(), Some(5));
    assert_eq!(host.recordings(), 4);
}

/// By the lines of the example that are of own sessions.
#[test]
fn a_login_shell_behind_sudo_reads_its_files_and_has_its_umask_as_without_us() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, "");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/doc/examples/sudoers");
    let example = std::fs::read_to_string(example).unwrap().replace("/usr/bin/", "/opt/bin/");
    let lines: Vec<&str> =
        example.lines().filter(|line| line.contains("SEALCAST_SELF") && !line.starts_with('%')).collect();
    let rules = host.etc("sudoers.d/sealcast");
    let before = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(rules, format!("{before}{}\n", lines.join("\n"))).unwrap();
    host.configure("[run]\nenv = { keep = [\"SSH_CLIENT\", \"SSH_CONNECTION\", \"SSH_TTY\"] }\n");
    let of_dave = "echo 'echo read from $SSH_CLIENT' >/home/dave/.bashrc; chown dave: /home/dave/.bashrc";
    assert!(host.run("root", &["sh", "-c", of_dave]).status.success());
    let ran = server.run(&host, "ssh", &["dave@127.0.0.1", "echo the line"]);
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(shown.starts_with("read from 127.0.0.1 ") && shown.ends_with("\nthe line\n"), "{}", text(&ran));
    let ran = host.run("dave", &["sh", "-c", &format!("umask 002; exec {} -c umask", host::SEALCAST)]);
    assert_eq!(ran.stdout, b"0002\n", "{}", text(&ran));
    assert_eq!(host.recordings(), 2);
}

#[test]
fn standard_streams_can_be_opened_by_their_names_and_not_the_other_way_round() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, FORCED);
    let named =
        "cat /dev/stdin; echo to stdout >/dev/stdout; echo to stderr >>/dev/stderr; cat /proc/self/fd/0";
    // What is taken back from a pipe, or put into it, would not be in the recording.
    let turned = "for name in 1 2; do timeout 9 cat /dev/fd/$name; done 2>/dev/null
        sh -c 'echo nobody typed this >/dev/fd/0'; chmod 666 /dev/fd/0 /dev/fd/1; cat";
    for user in ["carol@127.0.0.1", "dave@127.0.0.1"] {
        let run = |line| {
            let mut client = server.client(&host, "ssh", &["-T", user, line]);
            let mut running =
                client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            running.stdin.take().unwrap().write_all(b"typed\n").unwrap();
            let ran = running.wait_with_output().unwrap();
            [ran.stdout, ran.stderr].map(|shown| String::from_utf8(shown).unwrap())
        };
        assert_eq!(run(named), ["typed\nto stdout\n", "to stderr\n"], "{user}");
        let [shown, told] = run(turned);
        assert_eq!(shown, "typed\n", "{user}: {told}");
        assert!(told.contains("Permission denied") && told.contains("not permitted"), "{user}: {told}");
        assert!(!host.last_output().contains("nobody"), "{user}");
    }
}

#[test]
fn a_forced_command_of_somebody_whose_shell_this_is_too_runs_what_ssh_was_asked_for_and_once() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, &format!("{FORCED} --label way=forced"));
    let mut client = server.client(&host, "ssh", &["-T", "dave@127.0.0.1", "cat; exit 3"]);
    let mut running =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"echo this is no command\n").unwrap();
    let ran = running.wait_with_output().unwrap();
    assert_eq!(
        (text(&ran).as_str(), ran.status.code()),
        ("echo this is no command\n", Some(3)),
        "{}",
        std::fs::read_to_string(host.etc("sshd.log")).unwrap()
    );
    let shown = host.last();
    assert_eq!(shown.pointer("/meta/argv/2").unwrap(), "cat; exit 3", "{shown:#}");
    assert_eq!(shown.pointer("/meta/labels/way").unwrap(), "forced", "{shown:#}");

    let command = server.client(&host, "ssh", &["-t", "dave@127.0.0.1"]);
    let mut terminal = support::terminal::Terminal::start(&command, support::sandbox::SIZE);
    terminal.wait_for("$ ");
    terminal.line("id -un; pwd", "dave");
    terminal.wait_for("/home/dave");
    terminal.send("exit 5\r");
    assert_eq!(terminal.wait_end().code(), Some(5));
    assert_eq!(host.recordings(), 2);
}

#[test]
fn what_ssh_was_asked_for_is_refused_where_nothing_of_ssh_is_left() {
    let Some(host) = ready() else { return };
    // An elevator takes the variables of ssh away: so would it be inside a recording.
    for words in [&[SEALCAST, "run", "--ssh"][..], &[SEALCAST, "-c", &format!("exec {SEALCAST} run --ssh")]] {
        let mut command = host.command("dave", words);
        let mut running =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Nobody may be left to read it.
        let _ = running.stdin.take().unwrap().write_all(b"echo this is no command\n");
        let ran = running.wait_with_output().unwrap();
        assert_eq!(ran.status.code(), Some(125), "{words:?}: {}", text(&ran));
        assert!(
            ran.stdout.is_empty() && text(&ran).contains("SSH_CONNECTION is not set"),
            "{words:?}: {}",
            text(&ran)
        );
    }
}

#[test]
fn where_somebody_came_from_is_the_kernels_word_and_theirs_stands_beside_it() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, "");
    let forge = "SSH_CONNECTION='203.0.113.9 1 192.0.2.1 22'";
    let none = "-u SSH_CONNECTION -u SSH_CLIENT";
    for (environment, claim) in
        [(forge, "203.0.113.9 1 192.0.2.1 22".into()), (none, Value::Null), ("", Value::Null)]
    {
        let line = format!(
            "printf sshd >/proc/$$/comm; exec env {environment} bash -c '{SEALCAST} run --self -- true; :'"
        );
        server.run(&host, "ssh", &["carol@127.0.0.1", &line]);
        let shown = host.last();
        let at = |path: &str| shown.pointer(path).cloned().unwrap_or_default();
        let (origin, from) = (at("/meta/origin"), at("/meta/identity/origin-from"));
        let origin = origin.as_str().unwrap();
        assert!(
            origin.starts_with("127.0.0.1 ") && origin.ends_with(&format!(" 127.0.0.1 {}", server.0.port)),
            "{environment}: {shown:#}"
        );
        assert!(from.as_str().unwrap().starts_with("socket of "), "{environment}: {shown:#}");
        assert_eq!(at("/meta/identity/origin-claimed"), claim, "{environment}: {shown:#}");
        let words = [SEALCAST, "show", "-i", "/etc/sealcast/identity", &host.last_id()];
        let told = text(&host.run("root", &words));
        assert!(told.contains("came from") && told.contains(origin), "{told}");
        assert_eq!(told.contains("says it came from"), !claim.is_null(), "{told}");
    }
}

/// Files there and back, byte for byte, in every way the clients of OpenSSH know; each is a recording of its own.
fn files_come_and_go(host: &Host, server: &Server, user: &str) {
    let made = "mkdir /srv/here; head -c 3000000 /dev/urandom >/srv/here/noise; seq 1 100000 >/srv/here/lines
        printf 'put /srv/here/noise by-sftp\\nget by-sftp /srv/here/by-sftp\\n' >/srv/here/batch";
    assert!(host.run("root", &["sh", "-c", made]).status.success());
    let remote = format!("{user}@127.0.0.1");
    let there = |name: &str| format!("{remote}:{name}");
    // By the protocol of its own, and by that of sftp.
    for (option, name) in [("-O", "by-rcp"), ("-s", "by-scp")] {
        server.run(host, "scp", &[option, "-q", "-r", "/srv/here", &there(name)]);
        server.run(
            host,
            "scp",
            &[option, "-q", &there(&format!("{name}/noise")), &format!("/srv/here/{name}")],
        );
    }
    server.run(host, "sftp", &["-b", "/srv/here/batch", &remote]);
    let same = format!(
        "cd /srv/here && for name in by-rcp by-scp by-sftp; do cmp noise $name || exit 1; done
        for name in by-rcp by-scp; do diff /srv/here/lines /home/{user}/$name/lines || exit 1; done"
    );
    let compared = host.run("root", &["sh", "-c", &same]);
    assert!(compared.status.success(), "{}", text(&compared));
    assert_eq!(host.recordings(), 5);
    let verified = host.run("root", &[SEALCAST, "verify"]);
    assert!(verified.status.success() && !text(&verified).contains("torn"), "{}", text(&verified));
}

#[test]
fn scp_and_sftp_work_through_a_forced_command() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, FORCED);
    files_come_and_go(&host, &server, "carol");
}

#[test]
fn scp_and_sftp_work_through_a_login_shell() {
    let Some(host) = ready() else { return };
    let server = Server::start(&host, "");
    files_come_and_go(&host, &server, "dave");
}

#[test]
fn a_module_that_is_piped_into_an_interpreter_runs_as_it_does_without_us() {
    let Some(host) = ready() else { return };
    if !has("python3") {
        return;
    }
    let server = Server::start(&host, FORCED);
    // As ansible does with pipelining: a line for the shell, the module and its payload on standard input, one line of JSON
    // as the answer, and the exit status.
    let payload = "0123456789abcdef".repeat(20_000);
    let module = format!(
        "import json, os, sys\npayload = '{payload}'\nprint(json.dumps(dict(changed=True, uid=os.getuid(), size=len(payload))))\nsys.exit(4)\n"
    );
    let line = "/bin/sh -c 'echo BECOME-SUCCESS-xyz ; python3'";
    let mut client = server.client(&host, "ssh", &["-T", "carol@127.0.0.1", line]);
    let mut running =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut to = running.stdin.take().unwrap();
    to.write_all(module.as_bytes()).unwrap();
    drop(to);
    let ran = running.wait_with_output().unwrap();
    let answer = "BECOME-SUCCESS-xyz\n{\"changed\": true, \"uid\": 61003, \"size\": 320000}\n";
    assert_eq!(
        (String::from_utf8_lossy(&ran.stdout).as_ref(), ran.status.code()),
        (answer, Some(4)),
        "{}",
        text(&ran)
    );
    assert!(ran.stderr.is_empty(), "{}", text(&ran));
    // What ran is in the recording, not only what it said.
    let words = [SEALCAST, "export", "-f", "json", "-i", "/etc/sealcast/identity", &host.last_id()];
    let events = support::sandbox::events_of(&text(&host.run("root", &words)));
    let input = events.into_iter().filter_map(|event| match event.payload {
        sealcast::cast::Payload::Input(bytes) => Some(bytes),
        _ => None,
    });
    assert!(input.collect::<Vec<_>>().concat() == module.as_bytes());
}
