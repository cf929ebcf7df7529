//! How a session begins: where, with what said, and for what reason.

use super::at;
use crate::support::host::{self, Host, SEALCAST, text};
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

#[test]
fn who_cannot_enter_their_home_directory_gets_a_login_all_the_same() {
    let Some(host) = Host::start() else { return };
    for (spoil, why) in [
        ("mv /home/dave /home/away", "No such file"),
        ("mv /home/away /home/dave; chown root: /home/dave; chmod 700 /home/dave", "Permission denied"),
        ("rm -r /home/dave; touch /home/dave", "Not a directory"),
        ("sed -i 's|:/home/dave:|::|' /etc/passwd", "it has no name"),
    ] {
        let spoiled = host.run("root", &["sh", "-c", spoil]);
        assert!(spoiled.status.success(), "{spoil}: {}", text(&spoiled));
        // As a login shell is called: by su where that was, by sshd and login(1) in /, where they have told of it themselves.
        for (here, says) in [("/srv", true), ("/", false)] {
            let login = format!("cd {here}; exec -a -sealcast /opt/bin/sealcast");
            let mut login = host.command("dave", &["bash", "-c", &login]);
            let mut running =
                login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            running.stdin.take().unwrap().write_all(b"pwd; id -un\n").unwrap();
            let ran = running.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(String::from_utf8_lossy(&ran.stdout), "/\ndave\n", "{spoil}: {told}");
            let warned = |line: &str| line.contains("cannot enter the home directory") && line.contains(why);
            assert_eq!(told.lines().any(warned), says, "{here}: {spoil}: {told}");
            assert_eq!(at(&host.last(), "/meta/cwd"), "/", "{here}: {spoil}");
        }
    }
    // A directory that was asked for is not another one.
    let ran = host.run("dave", &[SEALCAST, "run", "--self", "-i", "-D", "/root/x", "--", "pwd"]);
    assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b""[..], Some(125)), "{}", text(&ran));
}

#[test]
fn what_is_said_before_a_session_may_be_several_lines_and_only_by_the_configuration() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nbanner = \"Recorded:\\n\\n\\tall of it\\u001b[31m\\n\"\n");
    let mut terminal = host.terminal("alice", &[SEALCAST, "run", "--", "echo", "begun"]);
    terminal.wait_for("begun");
    assert!(terminal.wait_end().success());
    let shown = String::from_utf8_lossy(terminal.transcript()).into_owned();
    assert!(shown.contains("Recorded:\r\n\r\n\\tall of it\\x1b[31m\r\nbegun"), "{shown:?}");
    host.configure("");
    let words = [SEALCAST, "run", "--reason", "one\nnobody is recorded", "--", "echo", "begun"];
    let mut terminal = host.terminal("alice", &words);
    terminal.wait_for("reason: one\\nnobody is recorded");
    assert!(terminal.wait_end().success());
}

#[test]
fn a_reason_is_taken_from_a_terminal_that_is_not_one_of_utf_8() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nrequire-reason = true\n");
    let mut terminal = host.terminal("alice", &[SEALCAST, "run", "--", "echo", "begun"]);
    terminal.wait_for("Reason for this session:");
    terminal.send(b" m\xe4\xdf \r");
    terminal.wait_for("begun");
    assert!(terminal.wait_end().success());
    assert_eq!(at(&host.last(), "/meta/reason"), "m\\xe4\\xdf");
    // And so is the answer of a script that was written there.
    let given =
        ["--reason=m\u{fc}de \\".as_bytes(), b"--ticket=\xdf", b"--label=ort=K\xf6ln"].map(OsStr::from_bytes);
    let words = [&[SEALCAST, "run"].map(OsStr::new)[..], &given, &["--", "true"].map(OsStr::new)].concat();
    let ran = host::output(host.command_of("alice", false, &words));
    assert!(ran.status.success(), "{}", text(&ran));
    let shown = host.last();
    assert_eq!((at(&shown, "/meta/reason"), at(&shown, "/meta/ticket")), ("m\u{fc}de \\", "\\xdf"));
    assert_eq!(at(&shown, "/meta/labels/ort"), "K\\xf6ln");
}

#[test]
fn who_has_no_entry_in_the_user_database_records_in_personal_mode() {
    let Some(host) = Host::start() else { return };
    let made = "rm /etc/sealcast/config.toml; mkdir /srv/anybody; chown 12345 /srv/anybody";
    assert!(host.run("root", &["sh", "-c", made]).status.success());
    let anybody = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "env", "HOME=/srv/anybody"];
    let run = |words: &[&str]| host.run("root", &[&anybody[..], &[SEALCAST], words].concat());
    let ran = run(&["run", "-i", "--", "sh", "-c", "id -u; pwd; echo $0"]);
    assert!(ran.status.success(), "{}", text(&ran));
    assert_eq!(ran.stdout, b"12345\n/srv/anybody\nsh\n", "{}", text(&ran));
    let shown = run(&["show", "--json", "last"]);
    let shown = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", text(&shown)));
    assert_eq!((at(&shown, "/header/user"), at(&shown, "/header/target")), ("uid 12345", "uid 12345"));
    // Nobody else is made up.
    let ran = run(&["run", "-u", "12346", "--", "true"]);
    assert!(!ran.status.success() && text(&ran).contains("no user `12346`"), "{}", text(&ran));
}
