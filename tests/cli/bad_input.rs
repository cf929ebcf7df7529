use crate::home::{Home, Recording, ran, write};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn what_is_no_recording_is_one_line_and_a_hint() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let whole = std::fs::read(&path).unwrap();
    let mut newer = whole.clone();
    newer[8] = 9;
    let mut never = whole.clone();
    never[8] = 0;
    let mut wrong_header = whole.clone();
    wrong_header[40] ^= 0xff;
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty.scast", b"", "not a sealcast recording"),
        ("hello.scast", b"hello, I am a text", "not a sealcast recording"),
        ("start.scast", &whole[..10], "inside the prologue"),
        ("header.scast", &whole[..60], "inside the header"),
        ("newer.scast", &newer, "newer sealcast"),
        ("never.scast", &never, "of a format that never was (0;"),
        ("wrong.scast", &wrong_header, "at byte 16"),
    ];
    for (name, bytes, said) in cases {
        write(&home.path(name), bytes);
        for command in [&["show", name][..], &["export", name], &["play", "--plain", name]] {
            let ran = home.run(command).exits(2).complains(said);
            assert!(ran.err.contains(name) && ran.out.is_empty(), "{ran}");
            assert_eq!(ran.err.contains("newer"), name == "newer.scast", "{ran}");
        }
    }
}

#[test]
fn what_has_the_name_of_a_recording_and_was_written_over_is_left_to_verify() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    std::fs::write(home.path("hello.scast"), "hello").unwrap();
    for bytes in [&b""[..], &[0; 4096], b"hello, I am a text"] {
        std::fs::write(&path, bytes).unwrap();
        home.run(&["verify"]).exits(1);
        for command in [&["ls"][..], &["show", "last"], &["export", "last"], &["search", "x"]] {
            let told = home.run(command).exits(2);
            assert!(
                told.err.contains("hint: it has the name of one, and is empty, or was written over"),
                "{told}"
            );
            assert!(!told.err.contains("recordings end in .scast"), "{told}");
        }
    }
    let told = home.run(&["show", "hello.scast"]).exits(2);
    assert!(told.err.contains("hint: recordings end in .scast"), "{told}");
}

#[test]
fn every_cut_and_flip_has_its_verdict_and_ends_in_a_message_and_never_in_a_panic() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let whole = std::fs::read(&path).unwrap();
    let verdict = |what: &str, wanted: &[&str]| {
        let ran = home.run(&["verify", "last", "--json"]).exits(1);
        assert!(ran.err.contains("error: the recording is not intact"), "{what}\n{ran}");
        let told: serde_json::Value = serde_json::from_str(&ran.text()).unwrap();
        assert!(wanted.contains(&told["verdict"].as_str().unwrap()), "{what}\n{ran}");
        for command in [&["export", "last"][..], &["show", "last"]] {
            let ran = home.run(command);
            assert!(matches!(ran.code, Some(0..=2)) && !ran.err.contains("panicked"), "{what}\n{ran}");
        }
    };
    for n in 0..60 {
        let at = n * whole.len() / 60;
        std::fs::write(&path, &whole[..at]).unwrap();
        verdict(&format!("cut at {at} of {}", whole.len()), &["torn"]);
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        std::fs::write(&path, flipped).unwrap();
        // What closes it is not signed: without a good end it is one that was not closed.
        verdict(&format!("flipped at {at} of {}", whole.len()), &["altered", "torn"]);
    }
    std::fs::write(&path, whole).unwrap();
    home.run(&["verify", "last"]).exits(0);
}

#[test]
fn directories_missing_files_and_fifos_are_refused_at_once() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    std::fs::create_dir(home.path("dir.scast")).unwrap();
    home.run(&["show", "./dir.scast"]).exits(2).complains("it is a directory");
    for args in [&["verify", "."][..], &["play", "."]] {
        let told = home.run(args).exits(2).complains("it is a directory");
        assert!(told.err.contains("hint: to look at the recordings in it: --store ."), "{told}");
    }
    for command in ["check", "show"] {
        let told = home.run(&["config", command, "nofile.toml"]).exits(2);
        let told = told.complains("there is no nofile.toml");
        assert!(told.err.contains("hint: check the name"), "{told}");
        assert!(!told.err.contains("personal mode"), "{told}");
    }
    write(&home.path("bytes"), b"\xff\xfe\x00");
    let no_text = "hint: what is in it is no text";
    for (name, said, hint) in [
        ("dir.scast", "it is a directory", "hint: name a file"),
        ("bytes", "valid UTF-8", no_text),
        ("/dev/null", "not a regular file", "hint: name a file"),
    ] {
        for args in [["config", "check", name], ["config", "show", name]] {
            let told = home.run(&args).exits(2);
            assert!(told.err.contains(said) && told.err.contains(hint), "{told}");
        }
    }
    home.run(&["show", "./nowhere.scast"]).exits(2).complains("No such file");
    let fifo = home.path("fifo.scast");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    home.run(&["verify", "./fifo.scast"]).exits(2).complains("not a regular file");
    let _socket = std::os::unix::net::UnixListener::bind(home.path("socket.scast")).unwrap();
    let told = home.run(&["verify", "./socket.scast"]).exits(2).complains("No such device");
    assert!(told.err.contains("hint: it is a socket"), "{told}");
    home.run(&["ls", "--store", "nowhere"]).exits(2).complains("No such file");
    home.run(&["ls", "--store", "fifo.scast"]).exits(2).complains("not a directory");
}

#[test]
fn a_symbolic_link_in_a_store_is_said_to_be_one_and_its_file_opens() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let file = home.path("itself.scast");
    std::fs::rename(&path, &file).unwrap();
    std::os::unix::fs::symlink(&file, &path).unwrap();
    for command in [&["show", "last"][..], &["export", "last"], &["play", "--plain", "last"], &["verify"]] {
        let told = home.run(command).exits(2).complains("it is a symbolic link, which is not followed");
        assert!(told.err.contains("name the file to which it leads") && told.out.is_empty(), "{told}");
    }
    for command in [&["ls"][..], &["search", "ls"]] {
        let told = home.run(command).exits(2);
        assert!(
            told.err.contains(": it is a symbolic link, which is not followed\nhint: what lies"),
            "{told}"
        );
        assert!(!told.err.contains("levels"), "{told}");
    }
    // One that anybody else keeps elsewhere is theirs.
    std::os::unix::fs::symlink(&file, home.path("mine.scast")).unwrap();
    for name in ["itself.scast", "mine.scast"] {
        home.run(&["show", name]).exits(0);
    }
}

#[test]
fn where_no_file_is_named_as_a_recording_there_is_no_last_one_and_that_is_what_is_said() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let renamed = path.with_file_name("evidence.scast");
    std::fs::rename(&path, &renamed).unwrap();
    let told = home.run(&["show", "last"]).exits(2).complains("is named as a recording");
    assert!(told.err.contains("name the path") && !told.err.contains("the first one"), "{told}");
    home.run(&["show", renamed.to_str().unwrap()]).exits(0);
    std::fs::remove_file(renamed).unwrap();
    home.run(&["show", "last"]).exits(2).complains("there are no recordings");
}

#[test]
fn a_limit_that_keeps_a_recording_from_being_made_is_named() {
    let home = Home::new();
    home.run(&["keys", "new"]).exits(0);
    let limited = |limit: &str| {
        let words = format!("ulimit {limit}; exec \"$0\" run -- true");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &words, env!("CARGO_BIN_EXE_sealcast")]).env_clear();
        command.env("HOME", home.path("")).env("PATH", "/usr/bin:/bin").stdin(std::process::Stdio::null());
        ran(&mut command, &["run under", limit])
    };
    let told = limited("-f 0").exits(125).complains("File too large");
    assert!(told.err.contains("`ulimit -f`"), "{told}");
    let mut failed = 0;
    // Below that the loader itself may fail, where more than the three are open.
    for files in 8..20 {
        let told = limited(&format!("-n {files}"));
        if told.code != Some(0) {
            let told = told.exits(125).complains("Too many open files");
            assert!(
                told.err
                    .lines()
                    .filter(|line| line.starts_with("hint: "))
                    .eq(["hint: `ulimit -n` says how many files may be open at once: raise it"]),
                "{told}"
            );
            failed += 1;
        }
    }
    assert!(failed > 3, "{failed}");
}

#[test]
fn what_is_no_id_is_told_why() {
    let home = Home::new();
    home.record(&Recording::default());
    let hints = |wanted: &str| {
        let told = home.run(&["show", wanted]).exits(2).complains("is neither a file nor the id");
        told.err.lines().filter(|line| line.starts_with("hint: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let usual = "hint: `sealcast ls` shows what there is";
    assert_eq!(hints("0Z0"), ["hint: an id is named by 4 of its characters at least", usual]);
    assert_eq!(hints("last@0:05"), ["hint: `@` and a time are for `sealcast play` only", usual]);
    assert_eq!(hints("zzzzz"), [usual]);
}

#[test]
fn without_a_home_a_recording_can_still_be_verified_by_path() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let args = ["verify", path.to_str().unwrap(), "-k", "signer.pub"];
    std::fs::copy(home.personal().signing_key_pub(), home.path("signer.pub")).unwrap();
    let mut command = home.command(&args);
    command.env_remove("HOME");
    ran(&mut command, &args).exits(0);
    // What is written as a path is one, whether anything is there or not: no home and no store is asked for it.
    for wanted in ["/tmp/nowhere/none.scast", "./none", "none.scast"] {
        let args = ["verify", wanted];
        let mut command = home.command(&args);
        command.env_remove("HOME");
        ran(&mut command, &args).exits(2).complains(&format!("{wanted}: No such file"));
        home.run(&["show", "--store", "nowhere", wanted]).exits(2).complains(&format!("{wanted}: No such"));
    }
    home.run(&["show", "--store", "nowhere", "none"])
        .exits(2)
        .complains("look for the recordings in nowhere");
    let mut command = home.command(&["ls"]);
    command.env_remove("HOME");
    ran(&mut command, &["ls"]).exits(2).complains("neither HOME nor XDG_DATA_HOME");
    // One that is set, and leads nowhere in particular.
    for home_of in ["", "rel"] {
        let mut command = home.command(&["ls"]);
        command.env("HOME", home_of);
        ran(&mut command, &["ls"]).exits(2).complains("XDG_DATA_HOME is set to an absolute path");
    }
    let mut command = home.command(&["keys", "new"]);
    command.env("HOME", "/proc/nowhere");
    ran(&mut command, &["keys", "new"]).exits(2);
}

#[test]
fn wrong_arguments_are_one_line_with_hints() {
    let home = Home::new();
    for (words, help) in [(&[][..], "`sealcast --help` tells"), (&["keys"], "`sealcast keys --help` tells")] {
        let told = home.run(words).exits(2).complains("no command was given");
        assert!(told.err.contains(help), "{told}");
    }
    home.run(&["exprot", "last"]).exits(2).complains("unrecognized subcommand 'exprot'");
    home.run(&["export", "last", "--format", "gif"]).exits(2).complains("invalid value 'gif'");
    home.run(&["export"]).exits(2).complains("required arguments");
    // A number below zero is a number, and no option to be told of.
    for (args, wrong) in [
        (&["play", "last", "--speed", "-1"][..], "not between 0.01 and 10000"),
        (&["play", "last", "--idle-limit", "-1"], "not a time that can pass"),
        (
            &["export", "last", "--hits", "x", "--around", "-1"],
            "not a number of whole seconds, 65535 at most",
        ),
        (
            &["export", "last", "--hits", "x", "--around", "0.5"],
            "not a number of whole seconds, 65535 at most",
        ),
        (&["search", "x", "--limit", "-1"], "not a number from 1 to 18446744073709551615"),
        (&["search", "x", "--limit", "0"], "not a number from 1 to"),
        (&["search", "x", "-C", "-1"], "not a number of lines, 255 at most"),
        (&["search", "x", "-C", "256"], "not a number of lines, 255 at most"),
    ] {
        let ran = home.run(args).exits(2).complains(wrong);
        assert!(!ran.err.contains("-- -1"), "{ran}");
    }
    assert!(home.run(&["--version"]).exits(0).text().starts_with("sealcast "));
    assert!(home.run(&["verify", "--help"]).exits(0).text().contains("Exit status"));
    assert!(home.run(&["completions", "zsh"]).exits(0).text().contains("#compdef sealcast"));
}

#[test]
fn what_cannot_be_run_is_named_with_a_hint() {
    let home = Home::new();
    let run = |options: &[&str], words: &[&str]| home.run(&[&["run"], options, &["--"], words].concat());
    run(&["-D", "/nonexistent"], &["pwd"])
        .exits(125)
        .complains("cannot enter the directory /nonexistent: No such file");
    run(&["--label", "a=1", "--label", "a=2"], &["pwd"]).exits(125).complains("a label is given twice");
    run(&[], &["no-such-program"]).exits(127).complains("cannot run no-such-program: No such file");
    run(&[], &["/etc/passwd"]).exits(126).complains("cannot run /etc/passwd: Permission denied");
    run(&["-u", "no-such-user"], &["pwd"]).exits(125).complains("there is no user `no-such-user`");
    run(&["-g", "no-such-group"], &["pwd"]).exits(125).complains("there is no group `no-such-group`");
}

#[test]
fn a_full_or_read_only_place_for_the_keys_is_said_and_leaves_nothing_half_made() {
    let home = Home::new();
    if std::fs::read_to_string("/proc/self/status").unwrap().contains("CapEff:\t0000000000000000") {
        crate::skipped("mounting needs root");
        return;
    }
    let place = home.path("place");
    std::fs::create_dir(&place).unwrap();
    let mounted = |options: &str| {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&place).status().is_ok_and(|s| s.success())
    };
    struct Unmount<'a>(&'a std::path::Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0).status();
        }
    }
    let keys = || {
        let mut command = home.command(&["keys", "new"]);
        command.env("XDG_DATA_HOME", &place);
        ran(&mut command, &["keys", "new"])
    };
    if !mounted("size=4k,mode=700") {
        crate::skipped("tmpfs cannot be mounted here");
        return;
    }
    {
        let _mount = Unmount(&place);
        let full = keys().exits(2).complains("No space left");
        assert!(full.err.contains("make room"), "{full}");
        // What was made is whole, and with room the rest is made: the same identity, no second one.
        assert!(mounted("remount,size=1m"));
        let made = keys().exits(0);
        let identity = std::fs::read_to_string(place.join("sealcast/keys/identity.txt")).unwrap();
        assert!(identity.contains(made.text().trim()), "{made}");
        let names = std::fs::read_dir(place.join("sealcast/keys")).unwrap();
        let names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!names.iter().any(|name| name.ends_with(".new")), "{names:?}");
    }
    assert!(mounted("ro"));
    let _mount = Unmount(&place);
    keys().exits(2).complains("Read-only file system");
}

#[test]
fn a_recording_is_read_whatever_its_path_is_and_nothing_of_that_acts_on_a_terminal() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    // No UTF-8, and what would colour the text.
    let store = home.path("").join(OsStr::from_bytes(b"d\xff\x1b[31m\xc2\x9b"));
    let named = store.join(OsStr::from_bytes(b"r\xff\x1b[31m.scast"));
    std::fs::create_dir(&store).unwrap();
    std::fs::copy(&path, store.join(path.file_name().unwrap())).unwrap();
    std::fs::copy(&path, &named).unwrap();
    let mut later = named.clone().into_os_string();
    later.push("@0:01");
    let (named, store, missing) = (named.as_os_str(), store.as_os_str(), OsStr::from_bytes(b"gone\xff"));
    let export = ["export", "-f", "json"];
    for (args, path, code, more) in [
        (&["show"][..], named, 0, &[][..]),
        (&["show", "--json"], named, 0, &[]),
        (&["verify"], named, 0, &[]),
        (&["verify", "--json"], named, 0, &[]),
        (&["export", "-f", "text"], named, 0, &[]),
        (&export, named, 0, &[]),
        (&["play", "--plain", "--speed", "1000"], named, 0, &[]),
        (&["play", "--plain", "--speed", "1000"], &later, 0, &[]),
        (&["show", "--json", "last", "--store"], store, 0, &[]),
        (&["ls", "--store"], store, 0, &[]),
        (&["ls", "--json", "--store"], store, 0, &[]),
        (&["search", "ls", "--store"], store, 0, &[]),
        (&["search", "--json", "ls", "--store"], store, 0, &[]),
        (&["search", "-l", "ls", "--store"], store, 0, &[]),
        // One that is not called as recordings are lies in it.
        (&["verify", "--store"], store, 1, &[]),
        (&["verify", "--json", "--store"], store, 1, &[]),
        (&["show"], missing, 2, &["cannot open gone\u{fffd}"]),
        (&["verify", "--json"], missing, 2, &["cannot open gone\u{fffd}"]),
    ] {
        let mut command = home.command(args);
        let ran = ran(command.arg(path), args).exits(code);
        let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!ran.text().contains(acts) && !ran.err.contains(acts), "{ran}");
        assert!(more.iter().all(|more| ran.err.contains(more)), "{ran}");
        if args.contains(&"--json") || args == export {
            ran.text()
                .lines()
                .for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap()));
        }
    }
}
