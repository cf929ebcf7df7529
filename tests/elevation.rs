//! System mode, for real: temporary users, real sudo, doas, su and sshd, on a host within this host.
//!
//! Needs root; says so and passes where there is none.
#![allow(clippy::unwrap_used)]

mod support;

mod elevation {
    use super::at;
    mod begun;
    mod configured;
}

use serde_json::Value;
use support::host::{self, Host, ROOT_PASSWORD, SEALCAST, STORE, has, text};

/// A text in what `show` tells, by its path.
fn at<'a>(shown: &'a Value, path: &str) -> &'a str {
    shown.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {shown}"))
}

/// `alice` asks for root through an elevator, and gets it recorded.
fn alice_becomes_root(elevator: &str, claim: (&str, &str)) {
    let Some(host) = Host::start() else { return };
    if !has(elevator) {
        return;
    }
    host.configure(&format!("[run]\nelevator = [\"{elevator}\"]\n"));
    let joins = "groupadd -g 61100 admins && usermod -a -G admins alice";
    assert!(host.run("root", &["sh", "-c", joins]).status.success());
    let words = [
        SEALCAST,
        "run",
        "--reason",
        "it's \"due\"; $(id)",
        "--ticket=-OPS-1",
        "--label",
        "env=prod",
        "--",
        "sh",
        "-c",
        "id; exit 7",
    ];
    let ran = host.run("alice", &words);
    assert!(text(&ran).contains("uid=0(root) gid=0(root)"), "{}", text(&ran));
    assert_eq!(ran.status.code(), Some(7), "{}", text(&ran));

    // She can neither see nor read nor add anything.
    for script in
        ["ls /srv/sealcast", "cat /srv/sealcast/*", "cat /etc/sealcast/signing", "touch /srv/sealcast/x"]
    {
        assert!(!host.run("alice", &["sh", "-c", script]).status.success(), "{script}");
    }
    assert_eq!(host.recordings(), 1);
    let shown = host.last();
    assert_eq!((at(&shown, "/verdict"), at(&shown, "/state")), ("intact", "sealed"), "{shown}");
    assert_eq!((at(&shown, "/header/user"), at(&shown, "/header/target")), ("alice", "root"));
    assert_eq!(at(&shown, "/meta/reason"), "it's \"due\"; $(id)");
    assert_eq!((at(&shown, "/meta/ticket"), at(&shown, "/meta/labels/env")), ("-OPS-1", "prod"));
    assert_eq!(at(&shown, &format!("/meta/identity/{}", claim.0)), claim.1);
    assert_eq!(at(&shown, "/meta/identity/caller"), "alice");
    // Who was elevated has root's groups alone: those of the caller say what let her.
    assert_eq!(at(&shown, "/meta/identity/caller-groups"), "alice admins");
    assert_eq!(at(&shown, "/meta/identity/target-groups"), "root");
    assert_eq!(at(&shown, "/meta/in_force/guard"), "guarded");
    assert_eq!(at(&shown, "/meta/in_force/mode"), "system");
    assert_eq!(at(&shown, "/header/policy").len(), 64);
    assert!(host.last_output().contains("uid=0(root)"));

    // The kernel's word for who logged in is there, and comes first.
    if std::path::Path::new("/proc/self/loginuid").exists() {
        let words = [SEALCAST, "run", "--", "true"];
        let ran = host::output(host.command_of("alice", true, &words));
        assert!(ran.status.success(), "{}", text(&ran));
        let shown = host.last();
        assert_eq!(at(&shown, "/meta/identity/login-uid"), "61001");
        assert_eq!(at(&shown, "/meta/identity/login-user"), "alice");
    }
}

#[test]
fn alice_becomes_root_through_sudo_and_is_recorded() {
    alice_becomes_root("sudo", ("sudo-user", "alice"));
}

#[test]
fn without_any_argument_it_is_a_root_shell() {
    let Some(host) = Host::start() else { return };
    let mut terminal = host.terminal("alice", &[SEALCAST, "run"]);
    terminal.wait_for("# ");
    terminal.send("echo uid=$((0+$(id -u))); exit 7\r");
    terminal.wait_for("uid=0");
    assert_eq!(terminal.wait_end().code(), Some(7));
    let told = host.last();
    assert_eq!((at(&told, "/header/user"), at(&told, "/header/target")), ("alice", "root"), "{told}");
}

#[test]
fn alice_becomes_root_through_doas_and_is_recorded() {
    alice_becomes_root("doas", ("doas-user", "alice"));
}

#[test]
fn su_asks_for_its_password_and_the_session_behind_it_is_recorded() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nelevator = [\"su\", \"root\", \"-c\"]\n");
    let mut terminal =
        host.terminal("alice", &[SEALCAST, "run", "--reason", "it's \\ due", "--", "sh", "-c", "id; tty"]);
    terminal.wait_for("assword");
    terminal.line(ROOT_PASSWORD, "uid=0(root)");
    assert!(terminal.wait_end().success());
    let shown = host.last();
    assert_eq!(at(&shown, "/meta/reason"), "it's \\ due");
    assert!(!host.last_output().contains(ROOT_PASSWORD));
    // And who does not know it gets nothing.
    let mut terminal = host.terminal("bob", &[SEALCAST, "run", "--", "id"]);
    terminal.wait_for("assword");
    terminal.line("wrong", "uthentication failure");
    assert!(!terminal.wait_end().success());
    assert_eq!(host.recordings(), 1);
}

#[test]
fn run0_gets_the_directory_and_every_word_and_names_the_caller() {
    // The real one needs systemd as the first process. This one keeps its promises: the command after `--`, from another
    // directory, with SUDO_USER and SUDO_UID; and it notes what it was given.
    let Some(host) = Host::start() else { return };
    if !has("sudo") {
        return;
    }
    let fake = "#!/bin/sh\nfor word; do printf '<%s>\\n' \"$word\"; done >/home/alice/given\n\
                [ \"$1\" = -- ] && shift\ncd / && exec sudo -n -- \"$@\"\n";
    let script =
        format!("cat >/opt/bin/run0 <<'END'\n{fake}END\nchmod 755 /opt/bin/run0; mkdir -p /srv/work");
    assert!(host.run("root", &["sh", "-c", &script]).status.success());
    host.configure("[run]\nelevator = [\"/opt/bin/run0\", \"--\"]\n");
    let line = "cd /srv/work && exec \"$@\"";
    let words = [
        "--reason",
        "it's \"due\"; $(id)",
        "--ticket=-OPS-1",
        "--label",
        "env=a b",
        "--",
        "sh",
        "-c",
        "id -u; pwd; exit 7",
    ];
    let ran = host.run("alice", &[&["sh", "-c", line, "sh", SEALCAST, "run"][..], &words].concat());
    assert_eq!(
        (ran.stdout.as_slice(), ran.status.code()),
        (&b"0\n/srv/work\n"[..], Some(7)),
        "{}",
        text(&ran)
    );
    let given = text(&host.run("alice", &["cat", "/home/alice/given"]));
    let expected = "<-->\n</opt/bin/sealcast>\n<run>\n<--elevated>\n<--chdir=/srv/work>\n<--reason=it's \"due\"; $(id)>\n\
                    <--ticket=-OPS-1>\n<--label=env=a b>\n<-->\n<sh>\n<-c>\n<id -u; pwd; exit 7>\n";
    assert_eq!(given, expected);
    let shown = host.last();
    assert_eq!((at(&shown, "/header/user"), at(&shown, "/header/target")), ("alice", "root"));
    assert_eq!(at(&shown, "/meta/reason"), "it's \"due\"; $(id)");
    assert_eq!((at(&shown, "/meta/ticket"), at(&shown, "/meta/labels/env")), ("-OPS-1", "a b"));
    assert_eq!(at(&shown, "/meta/cwd"), "/srv/work");
}

#[test]
fn who_may_not_is_refused_by_the_elevator_and_nothing_runs() {
    let Some(host) = Host::start() else { return };
    for elevator in ["sudo", "doas"] {
        if !has(elevator) {
            continue;
        }
        host.configure(&format!("[run]\nelevator = [\"{elevator}\"]\n"));
        // Where bob and root may write, and nobody does but in this host.
        let ran = host.run("bob", &[SEALCAST, "run", "--", "touch", "/home/bob/was-here"]);
        assert!(!ran.status.success(), "{}", text(&ran));
        let found = host.run("root", &["test", "-e", "/home/bob/was-here"]);
        assert_eq!(found.status.code(), Some(1), "it ran: {}", text(&ran));
        assert_eq!(host.recordings(), 0);
    }
    host.configure("[run]\nelevator = [\"no-such-program\"]\n");
    let ran = host.run("alice", &[SEALCAST, "run", "--", "id"]);
    assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
    assert!(text(&ran).contains("`no-such-program` of run.elevator"), "{}", text(&ran));
    // An elevator that elevates nobody is found out, instead of being run for ever.
    host.configure("[run]\nelevator = [\"env\"]\n");
    let ran = host.run("alice", &[SEALCAST, "run", "--", "id"]);
    assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
    assert!(text(&ran).contains("did not make us root"), "{}", text(&ran));
}

#[test]
fn a_required_reason_is_asked_for_on_the_terminal() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nrequire-reason = true\n");
    let mut terminal = host.terminal("alice", &[SEALCAST, "run", "--", "id"]);
    terminal.wait_for("Reason for this session:");
    terminal.line("disk is full", "uid=0(root)");
    assert!(terminal.wait_end().success());
    assert_eq!(at(&host.last(), "/meta/reason"), "disk is full");
    // No answer, no session.
    let mut terminal = host.terminal("alice", &[SEALCAST, "run", "--", "id"]);
    terminal.wait_for("Reason for this session:");
    terminal.line("  ", "a reason is required");
    assert_eq!(terminal.wait_end().code(), Some(125));
    // Nobody to ask, no session; a given one is enough.
    let ran = host.run("alice", &[SEALCAST, "run", "--", "id"]);
    assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
    assert!(text(&ran).contains("--reason TEXT") && !text(&ran).contains("uid="), "{}", text(&ran));
    assert!(host.run("alice", &[SEALCAST, "run", "--reason", "x", "--", "id"]).status.success());
    // One of which nothing is seen is none: zero-width, the empty cell of braille, a filler, blanks of other widths.
    for unseen in ["\u{200b}", "\u{2800}", " \u{3164}\u{feff}", "\u{a0}\u{3000}", "\u{7}"] {
        let ran = host.run("alice", &[SEALCAST, "run", "--reason", unseen, "--", "id"]);
        assert_eq!(ran.status.code(), Some(125), "{unseen:?}: {}", text(&ran));
    }
    assert_eq!(host.recordings(), 2);
}

#[test]
fn what_is_pasted_behind_the_reason_is_no_input_of_the_session() {
    let Some(host) = Host::start() else { return };
    host.configure("[run]\nrequire-reason = true\n");
    let words = [SEALCAST, "run", "--", "sh", "-c", "echo REA''DY; read line; echo \"got <$line>\""];
    let mut terminal = host.terminal("alice", &words);
    terminal.wait_for("Reason for this session:");
    terminal.send("disk is full\rtouch /srv/pasted\rtouch /srv/pas");
    terminal.wait_for("READY");
    terminal.line("typed", "got <typed>");
    assert!(terminal.wait_end().success());
    assert_eq!(at(&host.last(), "/meta/reason"), "disk is full");
    // One that is cut is no answer, and the rest of it is not typed either.
    let mut terminal = host.terminal("alice", &words);
    terminal.wait_for("Reason for this session:");
    terminal.line(&"x".repeat(2000), "longer than 1024 bytes");
    assert_eq!(terminal.wait_end().code(), Some(125));
    assert_eq!(host.recordings(), 1);
}

#[test]
fn nothing_in_the_callers_environment_changes_anything() {
    let Some(host) = Host::start() else { return };
    let plant = "mkdir -p ~/bin ~/x && printf '#!/bin/sh\\necho FAKE\\n' >~/bin/sudo && cp ~/bin/sudo ~/bin/id \
                 && chmod +x ~/bin/* && echo 'echo FAKE' >~/x/env";
    assert!(host.run("alice", &["sh", "-c", plant]).status.success());
    for elevator in ["sudo", "doas"] {
        if !has(elevator) {
            continue;
        }
        host.configure(&format!("[run]\nelevator = [\"{elevator}\"]\n"));
        let before = host.recordings();
        // The doas rule keeps the whole environment: what reaches us then is all hers.
        let mut command =
            host.command("alice", &[SEALCAST, "run", "-D", "/", "--", "sh", "-c", "id -u; env"]);
        for (name, value) in [
            ("PATH", "/home/alice/bin:/usr/bin:/bin"),
            ("HOME", "/home/alice/x"),
            ("XDG_DATA_HOME", "/home/alice/x"),
            ("XDG_CONFIG_HOME", "/home/alice/x"),
            ("SHELL", "/home/alice/bin/sudo"),
            ("SUDO_USER", "root"),
            ("SUDO_UID", "0"),
            ("ENV", "/home/alice/x/env"),
            ("BASH_ENV", "/home/alice/x/env"),
            ("LD_PRELOAD", "/home/alice/x/evil.so"),
            ("SEALCAST_STORE", "/home/alice/x"),
            ("SEALCAST_CONFIG", "/home/alice/x"),
            ("TERM", "../../x"),
        ] {
            command.env(name, value);
        }
        let ran = host::output(command);
        let told = String::from_utf8(ran.stdout.clone()).unwrap();
        assert!(ran.status.success() && told.starts_with("0\n"), "{}", text(&ran));
        assert!(!told.contains("alice") && !told.contains("FAKE") && !told.contains("../"), "{told}");
        assert!(told.contains("HOME=/root\n") && told.contains("USER=root\n"), "{told}");
        assert_eq!(host.recordings(), before + 1);
        assert_eq!(
            host.run("alice", &["find", "/home/alice/x", "-type", "f"]).stdout,
            b"/home/alice/x/env\n"
        );
    }
}

#[test]
fn a_rule_for_ones_own_sessions_gives_nobody_elses() {
    let Some(host) = Host::start() else { return };
    let ran = host.run(
        "carol",
        &[SEALCAST, "run", "--self", "--", "sh", "-c", "id -un; id -Gn; grep CapEff /proc/self/status"],
    );
    assert_eq!(text(&ran), "carol\ncarol\nCapEff:\t0000000000000000\n");
    let shown = host.last();
    assert_eq!((at(&shown, "/header/user"), at(&shown, "/header/target")), ("carol", "carol"));
    let recorded = host.recordings();
    // Straight to the elevator with anything else: refused by it or by us, never root.
    for words in [
        &["sudo", "-n", SEALCAST, "run", "--", "id"][..],
        &["sudo", "-n", SEALCAST, "run", "--elevated", "--", "id"],
        &["sudo", "-n", SEALCAST, "run", "--elevated", "--self", "-u", "root", "--", "id"],
        &["sudo", "-n", SEALCAST, "run", "--elevated", "--self", "--group=root", "--", "id"],
        &["sudo", "-n", SEALCAST, "keys", "list"],
    ] {
        let ran = host.run("carol", words);
        assert!(!ran.status.success() && !text(&ran).contains("uid="), "{words:?}: {}", text(&ran));
    }
    assert_eq!(host.recordings(), recorded);
    let mut forged =
        host.command("carol", &["sudo", "-n", SEALCAST, "run", "--elevated", "--self", "--", "id", "-un"]);
    forged.env("SUDO_UID", "0").env("SUDO_USER", "root").env("DOAS_USER", "root");
    assert_eq!(text(&host::output(forged)), "carol\n");
}

#[test]
fn where_the_elevator_does_not_say_who_called_nobody_gets_a_session_of_their_own() {
    let Some(host) = Host::start() else { return };
    let copied =
        host.run("root", &["sh", "-c", "cp /usr/bin/sudo /opt/bin/sudo.ws && chmod 4755 /opt/bin/sudo.ws"]);
    assert!(copied.status.success(), "{}", text(&copied));
    // A name that we do not know; and the rule of sudo where doas is the elevator.
    for elevator in ["/opt/bin/sudo.ws", "doas"] {
        host.configure(&format!("[run]\nelevator = [\"{elevator}\"]\n"));
        for words in [
            &[SEALCAST, "run", "--self", "--", "id"][..],
            &["sudo", "-n", SEALCAST, "run", "--elevated", "--self", "--", "id"],
            &["/opt/bin/sudo.ws", "-n", SEALCAST, "run", "--elevated", "--self", "--", "id"],
        ] {
            let ran = host.run("carol", words);
            assert!(!ran.status.success() && !text(&ran).contains("uid="), "{elevator}: {}", text(&ran));
        }
        let ran = host.run("root", &["su", "dave", "-c", "id"]);
        assert!(!ran.status.success() && !text(&ran).contains("uid="), "{elevator}: {}", text(&ran));
    }
    // Nor by a login uid, which whoever has none may choose.
    let script = "echo 61001 >/proc/self/loginuid; exec \"$@\"";
    let words = ["sh", "-c", script, "sh", "sudo", "-n", SEALCAST, "run", "--elevated", "--self", "--", "id"];
    let ran = host.run("carol", &words);
    assert!(!ran.status.success() && text(&ran).contains("it cannot be told who called"), "{}", text(&ran));
    assert!(!text(&ran).contains("uid="), "{}", text(&ran));
    // What the configuration names would say it: what is wrong is the other one.
    let hint = text(&ran);
    assert!(hint.contains("and no other around it") && !hint.contains("must be sudo"), "{hint}");
    assert_eq!(host.recordings(), 0);
}

#[test]
fn a_caller_whom_nobody_knows_stands_in_the_recording_as_unknown() {
    let Some(host) = Host::start() else { return };
    for (name, value, told) in [("SUDO_UID", "63999", "uid 63999"), ("SUDO_UID", "x", "unknown")] {
        let mut command = host.command("root", &[SEALCAST, "run", "--", "true"]);
        command.env(name, value).env("SUDO_USER", "root");
        assert!(host::output(command).status.success());
        let shown = host.last();
        // Where this test runs in a session of somebody's, audit knows more than sudo.
        if shown.pointer("/meta/identity/login-user").is_none() {
            assert_eq!(at(&shown, "/header/user"), told);
        }
        assert_eq!(at(&shown, "/meta/identity/caller"), told);
        let why = format!("there is no user `{value}`");
        assert_eq!(at(&shown, "/meta/identity/caller-unknown"), why);
    }
}

#[test]
fn a_login_uid_that_somebody_chose_does_not_hide_who_called() {
    let Some(host) = Host::start() else { return };
    // Whoever has none may choose one.
    let chosen = format!("echo 61002 >/proc/self/loginuid && exec {SEALCAST} run -- true");
    let ran = host.run("alice", &["sh", "-c", &chosen]);
    if !std::path::Path::new("/proc/self/loginuid").exists() || text(&ran).contains("ermission") {
        support::skipped(&format!("no login uid can be chosen here: {}", text(&ran)));
        return;
    }
    assert!(ran.status.success(), "{}", text(&ran));
    let shown = host.last();
    assert_eq!((at(&shown, "/header/user"), at(&shown, "/header/caller")), ("bob", "alice"), "{shown}");
    let list = |user: &str| text(&host.run("root", &[SEALCAST, "ls", "--user", user]));
    for user in ["alice", "bob"] {
        assert!(list(user).contains("bob (called by alice) → root"), "{user}: {}", list(user));
    }
    assert!(!list("carol").contains("bob"), "{}", list("carol"));
    let json = text(&host.run("root", &[SEALCAST, "ls", "--json"]));
    assert!(json.contains("\"caller\":\"alice\""), "{json}");
}

#[test]
fn root_becomes_the_target_completely() {
    let Some(host) = Host::start() else { return };
    let script =
        "id -u; id -g; id -Gn; grep -E '^(Uid|Gid|CapPrm|CapEff|CapInh)' /proc/self/status; pwd; env | sort";
    let ran = host
        .run("alice", &[SEALCAST, "run", "-u", "bob", "-g", "daemon", "-D", "/", "--", "sh", "-c", script]);
    let daemon = sealcast::sys::ids::group_by_name("daemon").unwrap().unwrap().gid;
    let expected = format!(
        "61002\n{daemon}\ndaemon bob\nUid:\t61002\t61002\t61002\t61002\nGid:\t{daemon}\t{daemon}\t{daemon}\t{daemon}\n\
         CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n/\n\
         HOME=/home/bob\nLANG=C.UTF-8\nLOGNAME=bob\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD=/\nSHELL=/bin/bash\nTERM=xterm\nUSER=bob\n"
    );
    assert_eq!(text(&ran), expected);
    // The terminal is theirs, too: programs open it by its name.
    let owner =
        [SEALCAST, "run", "-u", "bob", "--", "sh", "-c", "stat -c %U-%a $(tty); : <$(tty) && echo open"];
    let mut terminal = host.terminal("alice", &owner);
    terminal.wait_for("bob-620\r\nopen");
    assert!(terminal.wait_end().success());
    // Where the user may not go is no place to start.
    let ran = host.run("alice", &[SEALCAST, "run", "-u", "bob", "-D", "/root", "--", "id"]);
    assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
    assert!(text(&ran).contains("cannot enter the directory"), "{}", text(&ran));
    for who in [["-u", "nosuch"], ["-g", "nosuch"]] {
        let ran = host.run("alice", &[SEALCAST, "run", who[0], who[1], "--", "id"]);
        assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
    }
}

#[test]
fn as_a_login_shell_it_records_su_and_every_line_for_a_shell() {
    let Some(host) = Host::start() else { return };
    let ran = host.run("root", &["su", "-", "dave", "-c", "id -un; pwd; shopt -q login_shell && echo login"]);
    assert_eq!(text(&ran), "dave\n/home/dave\nlogin\n");
    let shown = host.last();
    assert_eq!((at(&shown, "/header/target"), at(&shown, "/meta/identity/caller")), ("dave", "dave"));
    assert_eq!(at(&shown, "/meta/argv/2"), "id -un; pwd; shopt -q login_shell && echo login");
    let ran = host.run("root", &["su", "dave", "-c", "id -un; exit 9"]);
    assert_eq!((text(&ran).as_str(), ran.status.code()), ("dave\n", Some(9)));
    // Its words would be lost: another command than was meant.
    let ran = host.run("root", &["su", "dave", "-c", "echo $1", "x", "y"]);
    let why = "the line of `-c` has words behind it, and nothing was run";
    assert!(ran.status.code() == Some(125) && text(&ran).contains(why), "{}", text(&ran));

    let mut terminal = host.terminal("root", &["su", "-", "dave"]);
    terminal.wait_for("$ ");
    terminal.line("echo in-$SHELL-$0", "in-/usr/bin/bash--bash");
    // A shell in the shell is the real one, not a recording in the recording.
    terminal.line("$SHELL -c 'echo de\"\"ep-$PPID'", "deep-");
    terminal.send("exit\r");
    assert!(terminal.wait_end().success());
    assert_eq!(host.recordings(), 3);
    assert!(host.last_output().contains("in-/usr/bin/bash--bash"));
}

#[test]
fn root_who_records_for_another_user_without_a_configuration_says_so_where_it_makes_its_keys() {
    let Some(host) = Host::start() else { return };
    // Root's home is not private to the host within this host.
    let made = "mount -t tmpfs none /root && rm /etc/sealcast/config.toml";
    assert!(host.run("root", &["sh", "-c", made]).status.success());
    let note = "another user or group takes root, who records";
    let own = text(&host.run("alice", &[SEALCAST, "run", "--", "id", "-un"]));
    assert!(own.contains("made your keys in /home/alice/") && !own.contains(note), "{own}");
    let first = text(&host.run("alice", &[SEALCAST, "run", "-u", "bob", "--", "id", "-un"]));
    assert!(first.contains("bob\n") && first.contains(note) && first.contains(" in /root/"), "{first}");
    let second = text(&host.run("alice", &[SEALCAST, "run", "-g", "daemon", "--", "id", "-un"]));
    assert_eq!(second, "root\n");
}

#[test]
fn a_copy_that_lends_rights_to_whoever_calls_it_does_nothing_at_all() {
    let Some(host) = Host::start() else { return };
    let mut ways = vec![
        "chmod 4755 /opt/bin/lent",
        "chmod 2755 /opt/bin/lent",
        "chown alice /opt/bin/lent && chmod 4755 /opt/bin/lent",
    ];
    if has("setcap") {
        ways.push("setcap cap_dac_override+ep /opt/bin/lent");
    }
    assert!(host.run("root", &[SEALCAST, "run", "--", "echo", "of root"]).status.success());
    assert!(
        host.run("root", &["sh", "-c", "cp /etc/sealcast/identity /home/bob/key; chown bob /home/bob/key"])
            .status
            .success()
    );
    for way in ways {
        let made = format!(
            "rm -f /opt/bin/lent; cp /opt/bin/sealcast /opt/bin/lent && chmod 755 /opt/bin/lent && {way}"
        );
        let made = host.run("root", &["sh", "-c", &made]);
        assert!(made.status.success(), "{}", text(&made));
        for (words, code) in [
            (&["ls", "--store", STORE][..], 2),
            (&["show", "-i", "/home/bob/key"], 2),
            (&["export", "-f", "raw", "-i", "/home/bob/key", "-o", "/etc/mine", "last"], 2),
            (&["keys", "new", "-o", "/etc/mine"], 2),
            (&["verify", "last"], 2),
            (&["config", "check"], 2),
            (&["--version"], 2),
            (&[], 2),
            (&["run", "--", "id"], 125),
        ] {
            let ran = host.run("bob", &[&["/opt/bin/lent"], words].concat());
            let told = text(&ran);
            assert_eq!(ran.status.code(), Some(code), "{way}: {words:?}: {told}");
            let said = match way.starts_with("setcap") {
                true => "error: sealcast was given capabilities by its file",
                false => "error: sealcast runs with other rights than whoever called it",
            };
            assert!(told.starts_with(said), "{way}: {words:?}: {told}");
            assert_eq!(told.lines().count(), 2, "{way}: {words:?}: {told}");
        }
        assert!(!host.run("root", &["ls", "/etc/mine"]).status.success(), "{way}");
        // Whoever has those rights anyway is not given any.
        if way == "chmod 4755 /opt/bin/lent" {
            assert!(host.run("root", &["/opt/bin/lent", "ls"]).status.success());
        }
    }
    // Ids that differ need not come from its file.
    let ran = host.run("root", &["setpriv", "--ruid", "bob", "--", SEALCAST, "--version"]);
    let told = text(&ran);
    assert_eq!(ran.status.code(), Some(2), "{told}");
    assert!(told.contains("set all ids") && !told.contains("by its file"), "{told}");
    // What the caller has, and handed on, is no loan of the file.
    let handed = [
        "setpriv",
        "--reuid",
        "bob",
        "--regid",
        "bob",
        "--init-groups",
        "--inh-caps",
        "+kill",
        "--ambient-caps",
        "+kill",
        "--",
        SEALCAST,
        "--version",
    ];
    let ran = host.run("root", &handed);
    assert!(ran.status.success(), "{}", text(&ran));
}

#[test]
fn a_hardened_session_is_without_its_capabilities_and_cannot_write_into_the_store() {
    use sealcast::sys::guard;
    let Some(host) = Host::start() else { return };
    if guard::landlock_abi().is_none_or(|abi| abi < guard::ABI_SIGNALS) {
        support::skipped(&format!("landlock {:?}", guard::landlock_abi()));
        return;
    }
    let script = "grep CapBnd /proc/self/status; cd /srv; \
                  kill -0 1 2>/dev/null && echo did kill; chattr -a sealcast/*.scast 2>/dev/null && echo did chattr; \
                  sh -c ': >sealcast/new' 2>/dev/null && echo did write; rm -f $(ls sealcast/*.scast | head -n 1) 2>/dev/null && echo did rm; \
                  sh -c ': >/opt/alias/sealcast/new' 2>/dev/null && echo did alias; \
                  mount -t tmpfs none sealcast 2>/dev/null && echo did mount && umount sealcast; \
                  recorder=$(ps -o ppid= -p $PPID | tr -d ' '); sh -c \"exec 3</proc/$recorder/mem\" 2>/dev/null && echo did look; \
                  kill -0 $PPID 2>/dev/null && echo did signal; sh -c \"exec 3</proc/$PPID/mem\" 2>/dev/null && echo did see; \
                  perl -MErrno -e '$p=0; syscall($ARGV[0],0,0,0); exit !!$!{EPERM}' $BPF && echo did bpf; \
                  echo fine >/home/fine && cat /home/fine; su bob -c 'id -un'";
    let script = &script.replace("$BPF", if cfg!(target_arch = "aarch64") { "280" } else { "321" });
    let run = || text(&host.run("alice", &[SEALCAST, "run", "--", "sh", "-c", script]));
    let did =
        |told: &str| told.lines().filter_map(|line| line.strip_prefix("did ")).collect::<Vec<_>>().join(" ");
    // What is above the store is mounted a second time: with it, and without.
    let mounted = "mkdir /opt/alias /srv/above && mount --bind /srv /opt/alias && mount --bind / /srv/above";
    let mounted = host.run("root", &["sh", "-c", mounted]);
    assert!(mounted.status.success(), "{}", text(&mounted));
    // One to be removed: without its own the session would end.
    assert!(host.run("root", &[SEALCAST, "run", "--", "true"]).status.success());
    // Unguarded, root can do all of it, so the test can fail.
    let free = run();
    assert_eq!(did(&free), "kill chattr write rm alias mount look signal see bpf", "{free}");
    assert!(free.ends_with("fine\nbob\n"), "{free}");
    // Column by column, the table of doc/DEPLOY.md.
    for (more, still) in [
        ("", "kill write alias mount signal"),
        ("landlock = true\n", "kill signal"),
        ("scope = true\n", "write alias mount"),
        ("landlock = true\nscope = true\n", ""),
    ] {
        host.run("root", &["rm", "-f", "/srv/sealcast/new"]);
        host.configure(&format!("[guard]\nprofile = \"hardened\"\n{more}"));
        let held = run();
        assert_eq!(did(&held), still, "{more}{held}");
        assert!(held.ends_with("fine\nbob\n"), "{held}");
        // Who is not root has no right to restrict anything: that comes first.
        let other = host.run("alice", &[SEALCAST, "run", "-u", "bob", "--", "id", "-un"]);
        assert_eq!(text(&other), "bob\n", "{more}");
    }
    // A recording inside this one has no place to be, and says why.
    let nested = host.run("alice", &[SEALCAST, "run", "--", SEALCAST, "run", "--", "echo", "it ran"]);
    assert!(
        nested.status.code() == Some(125) && text(&nested).contains("not even root may do this here"),
        "{}",
        text(&nested)
    );
    let held = run();
    let bits = held.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    let bounding = u64::from_str_radix(bits.trim(), 16).unwrap();
    // sys_ptrace, linux_immutable, sys_module, sys_rawio, bpf, perfmon.
    assert_eq!(bounding & (1 << 19 | 1 << 9 | 1 << 16 | 1 << 17 | 1 << 39 | 1 << 38), 0, "{held}");
    let shown = host.last();
    assert_eq!(at(&shown, "/verdict"), "intact");
    assert_eq!(at(&shown, "/meta/in_force/landlock"), STORE);
    assert_eq!(at(&shown, "/meta/in_force/scope"), "yes");
    assert!(at(&shown, "/meta/in_force/without-capabilities").contains("cap_sys_ptrace"));
    assert_eq!(at(&shown, "/meta/in_force/without-system-calls"), "bpf perf_event_open");
}

#[test]
fn a_store_that_a_link_leads_to_is_not_guarded_in_vain() {
    use sealcast::sys::guard;
    let Some(host) = Host::start() else { return };
    if guard::landlock_abi().is_none_or(|abi| abi < guard::ABI_PATHS) {
        support::skipped(&format!("landlock {:?}", guard::landlock_abi()));
        return;
    }
    let linked = "mkdir -m 700 /opt/real /opt/elsewhere && ln -s /opt/real /srv/sealcast";
    assert!(host.run("root", &["sh", "-c", linked]).status.success());
    host.configure("[guard]\nprofile = \"hardened\"\nlandlock = true\n");
    let redirect = "ln -sfn /opt/elsewhere /srv/sealcast && echo redirected";
    let ran = host.run("alice", &[SEALCAST, "run", "--", "sh", "-c", redirect]);
    let why = "/srv/sealcast is a symbolic link";
    assert!(ran.status.code() == Some(125) && text(&ran).contains(why), "{}", text(&ran));
    assert!(text(&ran).contains("/opt/real"), "{}", text(&ran));
    let checked = host.run("root", &[SEALCAST, "config", "check"]);
    assert!(checked.status.code() == Some(1) && text(&checked).contains(why), "{}", text(&checked));
    // Also before the store is there.
    let gone = "rm /srv/sealcast && mkdir /opt/above && ln -s /opt/above /srv/sealcast";
    assert!(host.run("root", &["sh", "-c", gone]).status.success());
    let config = std::fs::read_to_string(host.etc("sealcast/config.toml")).unwrap();
    std::fs::write(host.etc("sealcast/config.toml"), config.replace(STORE, "/srv/sealcast/not/yet")).unwrap();
    let checked = host.run("root", &[SEALCAST, "config", "check"]);
    assert!(checked.status.code() == Some(1) && text(&checked).contains(why), "{}", text(&checked));
    assert!(text(&checked).contains("/opt/above/not/yet"), "{}", text(&checked));
    // Without landlock a link is as good as the directory.
    host.configure("[guard]\nprofile = \"hardened\"\n");
    let ran = host.run("alice", &[SEALCAST, "run", "--", "echo", "fine"]);
    assert_eq!(text(&ran), "fine\n");
}
