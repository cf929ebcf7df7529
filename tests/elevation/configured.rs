//! What the configuration of a host says, and what is wrong with it before a session fails for that.

use crate::support::host::{Host, SEALCAST, STORE, has, text};

#[test]
fn a_configuration_that_others_can_write_stops_everything() {
    use std::os::unix::fs::PermissionsExt;
    let Some(host) = Host::start() else { return };
    let config = host.etc("sealcast/config.toml");
    // The file; its directory, though whoever made a file there keeps it from others: who comes first may put one there.
    for (place, open, closed) in [(&*config, 0o646, 0o644), (config.parent().unwrap(), 0o1777, 0o755)] {
        std::fs::set_permissions(place, PermissionsExt::from_mode(open)).unwrap();
        for user in ["alice", "root"] {
            let ran = host.run(user, &[SEALCAST, "run", "--", "id"]);
            let said = text(&ran);
            assert_eq!(ran.status.code(), Some(125), "{}: {said}", place.display());
            assert!(said.contains("can be written by everyone") && !said.contains("uid="), "{said}");
        }
        let checked = host.run("root", &[SEALCAST, "config", "check"]);
        assert_eq!(checked.status.code(), Some(1), "{}: {}", place.display(), text(&checked));
        std::fs::set_permissions(place, PermissionsExt::from_mode(closed)).unwrap();
    }
    host.configure("[recrod]\n");
    let ran = host.run("root", &[SEALCAST, "run", "--", "id"]);
    assert!(text(&ran).contains("did you mean `record`?") && !text(&ran).contains("uid="), "{}", text(&ran));
    assert_eq!(host.recordings(), 0);
}

#[test]
fn what_would_keep_sessions_from_beginning_is_found_beforehand() {
    let Some(host) = Host::start() else { return };
    let good = std::fs::read_to_string(host.etc("sealcast/config.toml")).unwrap();
    let place = |path: &str| good.replace(STORE, path);
    let apart = ["unshare", "--pid", "--fork", "--mount-proc"];
    host.run("root", &["sh", "-c", "mkdir -m 0777 /srv/open; mkdir -m 0700 /srv/open/store; : >/srv/file"]);
    let cases: [(&str, String, &[&str], &str); 6] = [
        ("an open store", place("/srv/open"), &[], "it can be written by everyone"),
        ("a file", place("/srv/file"), &[], "`store.path`: cannot"),
        ("below a file", place("/srv/file/store"), &[], "`store.path`: cannot"),
        (
            "no file system for files",
            place("/proc/x/store"),
            &[],
            "`store.path`: cannot make anything in /proc",
        ),
        (
            "strict",
            format!("{good}[index]\nexec-trace = \"strict\"\n"),
            &apart,
            "not in the first pid namespace",
        ),
        ("no recipients", good.split("[recipients]").next().unwrap().to_owned(), &[], "names no recipients"),
    ];
    for (what, text, around, says) in cases {
        std::fs::write(host.etc("sealcast/config.toml"), text).unwrap();
        let with = |words: &[&str]| host.run("root", &[around, &[SEALCAST], words].concat());
        let checked = with(&["config", "check"]);
        assert_eq!(checked.status.code(), Some(1), "{what}: {}", self::text(&checked));
        assert!(self::text(&checked).contains(says), "{what}: {}", self::text(&checked));
        let ran = with(&["run", "--", "echo", "it ran"]);
        assert_eq!(ran.status.code(), Some(125), "{what}: {}", self::text(&ran));
        assert!(!self::text(&ran).contains("it ran"), "{what}: {}", self::text(&ran));
    }
    // What others can move away is told, and works; and `strict` works where it can.
    let (_, here) = sealcast::exec::Trace::start(Default::default(), std::process::id(), Default::default());
    let strict = if here.is_complete() { "strict" } else { "auto" };
    let told = format!("{}[index]\nexec-trace = \"{strict}\"\n", place("/srv/open/store"));
    std::fs::write(host.etc("sealcast/config.toml"), told).unwrap();
    let checked = host.run("root", &[SEALCAST, "config", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    assert!(text(&checked).contains("others can write to /srv/open, and so move"), "{}", text(&checked));
    let left = host.run("root", &["find", "/srv/open/store", "-mindepth", "1"]);
    assert_eq!(text(&left), "");
    let ran = host.run("root", &[SEALCAST, "run", "--", "echo", "it ran"]);
    assert!(ran.status.success() && text(&ran).contains("it ran"), "{}", text(&ran));
}

#[test]
fn a_label_adds_readers_and_takes_none_away() {
    let Some(host) = Host::start() else { return };
    let made = host.run("root", &["sh", "-c", &format!("{SEALCAST} keys new -o /etc/sealcast/second")]);
    let second = text(&made).split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();
    host.configure(&format!("[recipients.label.\"env=prod\"]\nalso = [\"{second}\"]\n"));
    let output = |identity: &str| {
        let last = host.last_id();
        let words = [SEALCAST, "export", "-f", "raw", "-o", "/home/out", "-i", identity, &last];
        let opened = host.run("root", &words).status.success();
        let read = text(&host.run("root", &["sh", "-c", "cat /home/out 2>/dev/null; rm -f /home/out"]));
        (opened, read)
    };
    // What the host says of itself counts, and whoever says another thing is told.
    let labelled = |own: &str| {
        let more = format!(
            "[recipients.label.\"env=prod\"]\nalso = [\"{second}\"]\n[run]\nlabels = {{ env = \"{own}\" }}\n"
        );
        host.configure(&more);
        text(&host.run("alice", &[SEALCAST, "run", "--label", "env=prod", "--", "echo", "ran"]))
    };
    assert_eq!(labelled("prod"), "ran\n");
    let told = labelled("dev");
    assert!(told.contains("ran\n"), "{told}");
    assert!(told.contains("the label env=prod does not count: this host has env=dev"), "{told}");
    host.configure(&format!("[recipients.label.\"env=prod\"]\nalso = [\"{second}\"]\n"));
    for (label, both) in [("env=prod", true), ("env=test", false)] {
        let ran = host.run("alice", &[SEALCAST, "run", "--label", label, "--", "echo", label]);
        assert!(ran.status.success(), "{}", text(&ran));
        assert_eq!(output("/etc/sealcast/identity"), (true, format!("{label}\n")));
        let read = if both { format!("{label}\n") } else { String::new() };
        assert_eq!(output("/etc/sealcast/second"), (both, read));
    }
}

#[test]
fn the_example_rules_are_ones_that_sudo_and_doas_accept() {
    for (checker, option, name) in [("visudo", "-cf", "sudoers"), ("doas", "-C", "doas.conf")] {
        if has(checker) {
            let file = format!("{}/doc/examples/{name}", env!("CARGO_MANIFEST_DIR"));
            let ran = std::process::Command::new(checker).args([option, &file]).output().unwrap();
            assert!(ran.status.success(), "{}", text(&ran));
        }
    }
}

#[test]
fn a_store_without_room_for_a_recording_is_found_by_the_check_before_a_session_is_refused_for_it() {
    let Some(host) = Host::start() else { return };
    let script = |script: &str| host.run("root", &["sh", "-c", script]);
    // What is held for a moment as well: sessions that run may need it then.
    let is_traced = script("strace -f -o /srv/trace true").status.success();
    let holds = || script("grep -c 'fallocate(' /srv/trace").stdout != b"0\n";
    let of_reserve = |reserve: &str, low: &str| {
        let config = "/etc/sealcast/config.toml";
        let ran = script(&format!(
            "sed -i 's/^reserve.*/reserve = \"{reserve}\"/; s/^low-space.*/low-space = {low}/' {config}"
        ));
        assert!(ran.status.success(), "{}", text(&ran));
        let traced = ["strace", "-f", "-e", "trace=fallocate", "-o", "/srv/trace"];
        let check = [if is_traced { &traced[..] } else { &[] }, &[SEALCAST, "config", "check"]].concat();
        (host.run("root", &check), host.run("root", &[SEALCAST, "run", "--", "true"]))
    };
    let small = format!("mkdir -p {STORE} && mount -t tmpfs -o size=4m,mode=700 none {STORE}");
    assert!(script(&small).status.success());
    let (check, run) = of_reserve("64MiB", "0");
    assert_eq!(run.status.code(), Some(125), "{}", text(&run));
    assert!(text(&run).contains("there is no room for a recording"), "{}", text(&run));
    assert_eq!(check.status.code(), Some(1), "{}", text(&check));
    assert!(text(&check).contains("`store.reserve`: there is no room for a recording"), "{}", text(&check));
    assert!(
        text(&check).contains("4.0 MiB are free") && text(&check).contains("4.2 MiB"),
        "{}",
        text(&check)
    );
    assert!(!is_traced || !holds(), "{}", text(&check));
    // There is room, and not for two.
    let (check, run) = of_reserve("2MiB", "0");
    assert!(check.status.success() && run.status.success(), "{} {}", text(&check), text(&run));
    assert!(text(&check).contains("note: `store.reserve`: not tried"), "{}", text(&check));
    assert!(
        text(&check).contains("4.0 MiB are free") && text(&check).contains("2.5 MiB"),
        "{}",
        text(&check)
    );
    assert!(!is_traced || !holds(), "{}", text(&check));
    let (check, run) = of_reserve("1MiB", "\"3MiB\"");
    assert!(check.status.success() && run.status.success(), "{} {}", text(&check), text(&run));
    assert!(!text(&check).contains("`store.low-space`"), "{}", text(&check));
    assert!(!text(&check).contains("not tried"), "{}", text(&check));
    assert!(!is_traced || holds(), "{}", text(&check));
    let (check, _) = of_reserve("1MiB", "\"8MiB\"");
    assert!(check.status.success() && text(&check).contains("`store.low-space`"), "{}", text(&check));
    // What was held is held no longer, and nothing was left.
    assert_eq!(text(&script(&format!("ls -A {STORE} | grep -vc '[.]scast$'"))).trim(), "0");
}

#[test]
fn a_key_that_is_not_known_here_is_found_by_the_check_and_what_to_do_is_said_by_verify() {
    let Some(host) = Host::start() else { return };
    assert!(host.run("alice", &[SEALCAST, "run", "--", "true"]).status.success());
    let check = || text(&host.run("root", &[SEALCAST, "config", "check"]));
    let verify = |more: &[&str]| host.run("root", &[&[SEALCAST, "verify"], more].concat());
    assert!(!check().contains("`signing.key`") && verify(&[]).status.success(), "{}", text(&verify(&[])));
    let name = sealcast::sys::ids::hostname();
    let known = "cd /etc/sealcast && sed 's/^/other.example.org /' signing.pub >known && sed \"s/^/$(hostname) /\" signing.pub >old";
    assert!(host.run("root", &["sh", "-c", known]).status.success());
    for change in ["rm signing.pub", "ssh-keygen -q -t ed25519 -N '' -f new && mv new.pub signing.pub"] {
        let changed = host.run("root", &["sh", "-c", &format!("cd /etc/sealcast && {change}")]);
        assert!(changed.status.success(), "{}", text(&changed));
        let told = check();
        assert!(told.contains("note: `signing.key`: /etc/sealcast/signing.pub"), "{change}: {told}");
        assert!(told.contains(": good ("), "{change}: {told}");
        for more in [&[][..], &["-k", "/etc/sealcast/known"]] {
            let found = verify(more);
            let hint = format!("hint: -k FILE trusts a key for the host that a recording names, here {name}");
            assert!(found.status.code() == Some(1) && text(&found).contains("foreign"), "{}", text(&found));
            assert!(text(&found).contains(&hint), "{change}: {}", text(&found));
        }
        let found = verify(&["-k", "/etc/sealcast/old"]);
        assert!(found.status.success() && !text(&found).contains("hint"), "{}", text(&found));
    }
}

#[test]
fn what_a_host_recorded_is_its_own_whatever_it_is_called() {
    let Some(host) = Host::start() else { return };
    let called = |name: &str, words: &[&str]| {
        let script = "printf %s \"$0\" >/proc/sys/kernel/hostname && exec \"$@\"";
        host.run("root", &[&["unshare", "--uts", "sh", "-c", script, name, SEALCAST][..], words].concat())
    };
    for name in ["web 3", "web,3", "!web[3"] {
        let ran = called(name, &["run", "--", "true"]);
        if !ran.status.success() {
            crate::support::skipped(&format!("no host can be called {name} here: {}", text(&ran)));
            return;
        }
        let last = host.last_id();
        let found = called(name, &["verify", &last]);
        assert!(found.status.success() && text(&found).contains("intact"), "{name}: {}", text(&found));
        let checked = text(&called(name, &["config", "check"]));
        assert!(!checked.contains("is not its public half"), "{name}: {checked}");
        // Elsewhere, by a line that names it as is said.
        let found = text(&called("other", &["verify", &last]));
        let line = found.split_once("which a line there has as ").unwrap().1.split(')').next().unwrap();
        let known = format!("cd /etc/sealcast && sed 's/^/{line} /' signing.pub >known");
        assert!(host.run("root", &["sh", "-c", &known]).status.success());
        let found = called("other", &["verify", "-k", "/etc/sealcast/known", &last]);
        assert!(found.status.success(), "{name}: {}", text(&found));
    }
}

#[test]
fn where_recording_cannot_begin_it_is_said_that_nothing_was_run() {
    let Some(host) = Host::start() else { return };
    for (more, user) in [
        ("period = \"/etc/sealcast/period\"\n", "root"),
        ("[run]\nelevator = [\"no-such-program\"]\n", "alice"),
        ("[run]\nelevator = [\"env\"]\n", "alice"),
        ("[run]\nrequire-reason = true\n", "alice"),
    ] {
        host.configure(more);
        let ran = host.run(user, &[SEALCAST, "run", "--", "echo", "it ran"]);
        let told = text(&ran);
        assert_eq!(ran.status.code(), Some(125), "{more}: {told}");
        assert!(told.starts_with("error: nothing was run") && told.contains("\nhint: "), "{more}: {told}");
        assert!(!told.contains("it ran") && told.matches("nothing was run").count() == 1, "{more}: {told}");
    }
}

#[test]
fn who_cannot_read_the_configuration_or_makes_a_key_of_their_own_is_told_so() {
    let Some(host) = Host::start() else { return };
    let made = host.run("alice", &[SEALCAST, "keys", "new", "--period"]);
    let told = text(&made);
    assert!(made.status.success() && told.contains("no recording of this host is sealed to it"), "{told}");
    assert!(host.run("root", &["chmod", "600", "/etc/sealcast/config.toml"]).status.success());
    let told = text(&host.run("alice", &[SEALCAST, "run", "--", "id"]));
    assert!(told.contains("nothing was run") && told.contains("hint: everybody who records"), "{told}");
    assert!(host.run("root", &["chmod", "2755", SEALCAST]).status.success());
    let checked = host.run("root", &[SEALCAST, "config", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    assert!(text(&checked).contains("has a set-user-id bit"), "{}", text(&checked));
}

#[test]
fn whoever_has_no_recordings_beside_those_of_the_host_is_not_sent_to_make_one() {
    let Some(host) = Host::start() else { return };
    assert!(host.run("alice", &[SEALCAST, "run", "--", "true"]).status.success());
    let shown = text(&host.run("carol", &[SEALCAST, "show", "last"]));
    assert!(shown.contains("there are no recordings in") && shown.contains("hint: "), "{shown}");
    assert!(!shown.contains("makes the first one") && shown.contains("the store of this host"), "{shown}");
}

#[test]
fn what_a_guard_cannot_do_on_this_host_is_found_by_the_check_before_sessions_are_refused_for_it() {
    let Some(host) = Host::start() else { return };
    let without = |capability: &str, words: &[&str]| {
        let bounded = format!("-{capability}");
        host.run("root", &[&["setpriv", "--bounding-set", &bounded, SEALCAST][..], words].concat())
    };
    // The store is not there yet.
    for (capability, guard) in [
        ("sys_admin", "profile = \"hardened\""),
        ("setpcap", "profile = \"hardened\""),
        ("sys_admin", "profile = \"hardened\"\ncapabilities = []\nscope = true"),
        ("sys_admin", "profile = \"hardened\"\ncapabilities = []\nlandlock = true"),
    ] {
        host.configure(&format!("[guard]\n{guard}\n"));
        let whole = host.run("root", &[SEALCAST, "config", "check"]);
        if !whole.status.success() {
            crate::support::skipped(&format!("{guard}: {}", text(&whole)));
            continue;
        }
        let check = without(capability, &["config", "check"]);
        let told = text(&check);
        assert_eq!(check.status.code(), Some(1), "{capability} {guard}: {told}");
        assert!(told.contains("error: `guard.profile`: cannot restrict a process"), "{told}");
        assert!(
            told.contains("hint: it is \"hardened\", which takes cap_sys_admin and cap_setpcap"),
            "{told}"
        );
        // No other guard is in the way.
        assert!(!told.contains("this session is guarded"), "{told}");
        let ran = without(capability, &["run", "--", "echo", "it ran"]);
        let told = text(&ran);
        assert!(ran.status.code() == Some(125) && !told.contains("it ran"), "{capability} {guard}: {told}");
        assert!(told.contains("`sealcast config check` tells which"), "{told}");
    }
    for (capability, says, stated) in [
        ("ipc_lock", "the recorder's memory can come to swap", "locked-memory"),
        ("linux_immutable", "cannot be append-only", "append-only"),
    ] {
        host.configure("");
        // The limit alone would let it lock its memory.
        let lowered = |words: &[&str]| {
            let line = format!(
                "ulimit -l 64; exec setpriv --bounding-set -{capability} {SEALCAST} {}",
                words.join(" ")
            );
            host.run("root", &["sh", "-c", &line])
        };
        let check = lowered(&["config", "check"]);
        assert!(check.status.success() && text(&check).contains(says), "{capability}: {}", text(&check));
        assert!(text(&check).contains("note: `guard.profile` is \"guarded\", but "), "{}", text(&check));
        assert!(lowered(&["run", "--", "true"]).status.success());
        assert_eq!(host.last()["meta"]["in_force"][stated], "no", "{capability}");
        host.configure("[guard]\nprofile = \"none\"\n");
        assert!(!text(&lowered(&["config", "check"])).contains("`guard.profile`"));
    }
}

#[test]
fn what_to_do_about_what_is_found_is_told_by_the_check_as_by_a_session() {
    let Some(host) = Host::start() else { return };
    let good = std::fs::read_to_string(host.etc("sealcast/config.toml")).unwrap();
    let script = "mkdir /srv/open; chmod 777 /srv/open; ln -s /srv/not-mounted /srv/link; cp /etc/sealcast/signing /srv/open.key; chmod 644 /srv/open.key";
    assert!(host.run("root", &["sh", "-c", script]).status.success());
    let place = |path: &str| good.replace(STORE, path);
    let key = |path: &str| good.replace("/etc/sealcast/signing", path);
    for (config, says, hint) in [
        (key("/srv/open.key"), "`signing.key`: signing key /srv/open.key", "hint: `chmod 600 /srv/open.key`"),
        (
            key("/srv/no.key"),
            "`signing.key`: cannot open /srv/no.key",
            "`ssh-keygen -t ed25519 -N '' -f FILE` makes one",
        ),
        (
            place("/srv/open"),
            "`store.path`: cannot use /srv/open",
            "hint: `chown root` it and `chmod go-w` it",
        ),
        (place("/srv/link"), "`store.path`: cannot follow /srv/link", "may not be mounted"),
        (place("/srv/link/store"), "`store.path`: cannot follow /srv/link", "may not be mounted"),
    ] {
        std::fs::write(host.etc("sealcast/config.toml"), &config).unwrap();
        let check = host.run("root", &[SEALCAST, "config", "check"]);
        let told = text(&check);
        assert!(check.status.code() == Some(1) && told.contains(says) && told.contains(hint), "{told}");
        let ran = host.run("root", &[SEALCAST, "run", "--", "true"]);
        assert_eq!(ran.status.code(), Some(125), "{}", text(&ran));
        // A session has one hint for whatever may be wrong with a key.
        let about_keys = says.starts_with("`signing");
        assert!(about_keys || text(&ran).contains(hint), "{}", text(&ran));
        assert!(!text(&ran).contains("move the old one away"), "{}", text(&ran));
    }
}
