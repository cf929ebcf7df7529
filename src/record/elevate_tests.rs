use super::*;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn policy(more: &str) -> Policy {
    let text = format!("[recipients]\ndefault = [\"{RECIPIENT}\"]\n{more}");
    Policy::parse(Path::new("/etc/x.toml"), &text).unwrap()
}

fn personal() -> Policy {
    Policy::personal("/s".into(), "/k".into(), Vec::new(), "/keys".into())
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn wish() -> Wish {
    Wish {
        user: Some("root".into()),
        login: true,
        reason: Some("it's \"due\"; $(rm -rf /) \\ end".into()),
        ticket: Some("-OPS-1".into()),
        labels: BTreeMap::from([("env".into(), "prod=1".into())]),
        what: What::Command(vec!["sh".into(), "-c".into(), "echo 'a  b'".into()]),
        ..Wish::default()
    }
}

fn through(elevator: &str, wish: &Wish) -> Elevation {
    let policy = policy(&format!("[run]\nelevator = {elevator}\n"));
    let variables = variables(&[("TERM", "xterm"), ("BASH_ENV", "/tmp/x"), ("LANG", "C"), ("SECRET", "s")]);
    elevation(wish, &policy, 1000, Path::new("/usr/bin/sealcast"), &variables).unwrap().unwrap()
}

fn texts(words: &[OsString]) -> Vec<&str> {
    words.iter().map(|word| word.to_str().unwrap()).collect()
}

const AGAIN: &[&str] = &[
    "/usr/bin/sealcast",
    "run",
    "--elevated",
    "--user=root",
    "--reason=it's \"due\"; $(rm -rf /) \\ end",
    "--ticket=-OPS-1",
    "--label=env=prod=1",
    "--login",
    "--",
    "sh",
    "-c",
    "echo 'a  b'",
];

#[test]
fn what_was_wished_travels_as_arguments_of_the_elevator() {
    let elevation = through("[\"/bin/sh\", \"--\"]", &wish());
    assert_eq!(elevation.program, Path::new("/bin/sh"));
    assert_eq!(texts(&elevation.arguments)[0], "--");
    assert_eq!(texts(&elevation.arguments)[1..], *AGAIN);
    assert_eq!(elevation.environment, None);
}

#[test]
fn every_elevator_gets_the_words_in_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let here = format!("--chdir={}", std::env::current_dir().unwrap().display());
    let wish = Wish {
        reason: Some("it's due".into()),
        ticket: Some("OPS-1".into()),
        labels: BTreeMap::from([("env".into(), "prod".into())]),
        what: What::Command(vec!["id".into(), "-u".into()]),
        ..Wish::default()
    };
    let told = ["--reason=it's due", "--ticket=OPS-1", "--label=env=prod", "--", "id", "-u"];
    let us = ["/usr/bin/sealcast", "run", "--elevated"];
    let line =
        "/usr/bin/sealcast run --elevated '--reason=it'\\''s due' --ticket=OPS-1 --label=env=prod -- id -u";
    // Arguments of the policy; whether the environment is ours to clean; what follows the policy's arguments.
    let table: [(&str, &[&str], bool, Vec<&str>); 6] = [
        ("sudo", &["--"], false, [&us[..], &told].concat()),
        ("sudo", &["-n", "--"], false, [&us[..], &told].concat()),
        ("doas", &["--"], false, [&us[..], &told].concat()),
        // It starts in the home directory otherwise.
        ("run0", &["--"], false, [&us[..], &[&here], &told].concat()),
        ("su", &["root"], true, vec!["-c", line]),
        ("su", &["root", "-c"], true, vec![line]),
    ];
    for (name, arguments, cleaned, rest) in table {
        let program = dir.path().join(name);
        std::fs::write(&program, "").unwrap();
        let mut elevator = vec![program.to_str().unwrap()];
        elevator.extend(arguments);
        let elevation = through(&format!("{elevator:?}"), &wish);
        assert_eq!(elevation.program, program);
        assert_eq!(texts(&elevation.arguments), [arguments, &rest].concat(), "{name}");
        assert_eq!(elevation.environment.is_some(), cleaned, "{name}");
    }
}

#[test]
fn su_gets_one_line_that_shells_read_back_word_for_word() {
    for (elevator, before) in
        [("[\"su\", \"-c\"]", "-c"), ("[\"su\", \"root\"]", "-c"), ("[\"su\", \"--command\"]", "--command")]
    {
        let elevation = through(elevator, &wish());
        let words = texts(&elevation.arguments);
        assert_eq!(words[words.len() - 2], before);
        let line = words[words.len() - 1];
        for shell in ["sh", "bash", "fish", "zsh", "ksh"] {
            let printed =
                std::process::Command::new(shell).args(["-c", &format!("printf '%s\\n' {line}")]).output();
            let Ok(printed) = printed else {
                crate::sys::skipped(&format!("there is no {shell}"));
                continue;
            };
            let printed = String::from_utf8(printed.stdout).unwrap();
            assert_eq!(printed.lines().collect::<Vec<_>>(), AGAIN, "{shell}: {line}");
        }
        let environment = elevation.environment.unwrap();
        let names: Vec<&str> = environment.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["LANG", "TERM"], "su hands its environment on to a root shell");
    }
}

#[test]
fn words_of_any_bytes_are_quoted() {
    for word in ["", "'", "\\", "\\'", "a b", "*", "=x", "\n", "~", "ñ", "#", "-n"] {
        let line = String::from_utf8(quoted(word.as_bytes())).unwrap();
        let out = std::process::Command::new("sh").args(["-c", &format!("printf '<%s>' {line}")]).output();
        assert_eq!(String::from_utf8(out.unwrap().stdout).unwrap(), format!("<{word}>"), "{line}");
    }
}

#[test]
fn in_system_mode_only_root_records() {
    let policy = policy("[run]\nelevator = [\"/bin/sh\"]\n");
    let none = Variables::new();
    let exe = Path::new("/x");
    let go = |uid, wish: &Wish| elevation(wish, &policy, uid, exe, &none);
    assert_eq!(go(0, &Wish::default()).unwrap(), None);
    assert!(go(1000, &Wish::default()).unwrap().is_some());
    let twice = Wish { elevated: true, ..Wish::default() };
    assert!(matches!(go(1000, &twice), Err(Error::StillNotRoot(_))));
    let long = Wish { reason: Some("x".repeat(5000)), ..Wish::default() };
    assert!(matches!(go(1000, &long), Err(Error::TooLong("the reason", _))));
}

#[test]
fn in_personal_mode_root_is_needed_for_others_only() {
    let policy = personal();
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    let go = |user: Option<&str>| {
        let wish = Wish { user: user.map(str::to_owned), ..Wish::default() };
        elevation(&wish, &policy, nobody.uid, Path::new("/x"), &Variables::new())
    };
    assert_eq!(go(None).unwrap(), None);
    assert_eq!(go(Some("nobody")).unwrap(), None);
    assert!(matches!(go(Some("root")), Ok(Some(_)) | Err(Error::NoElevator(_))));
    assert!(matches!(go(Some("no-such-user")), Err(Error::NoUser(_))));
}

#[test]
fn the_elevator_is_not_looked_for_in_anybodys_path() {
    let policy = policy("[run]\nelevator = [\"no-such-elevator\"]\n");
    let variables = variables(&[("PATH", "/tmp/evil")]);
    let found = elevation(&Wish::default(), &policy, 1, Path::new("/x"), &variables);
    assert!(matches!(found, Err(Error::NoElevator(name)) if name == "no-such-elevator"));
    assert_eq!(find_program("sh").unwrap().file_name().unwrap(), "sh");
    assert_eq!(find_program("../bin/sh"), None);
}

/// Who called, by the word of an elevator: `of_caller` and `elevated` of the wish, our real uid, and the login uid.
fn ask(
    elevator: &str,
    (of_caller, elevated): (bool, bool),
    (real, login): (u32, Option<u32>),
    pairs: &[(&str, &str)],
) -> Result<String, Error> {
    let policy = policy(&format!("[run]\nelevator = [\"{elevator}\"]\n"));
    let wish = Wish { of_caller, elevated, ..Wish::default() };
    caller(&wish, &policy, real, login, &variables(pairs), &mut Users::default()).map(|user| user.name)
}

#[test]
fn who_called_is_told_by_the_policys_own_elevator_alone() {
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    let uid = nobody.uid.to_string();
    let sudo = [("SUDO_UID", uid.as_str()), ("SUDO_USER", "nobody")];
    let doas = [("DOAS_USER", "nobody")];
    for wish in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(ask("sudo", wish, (0, None), &sudo).unwrap(), "nobody");
        assert_eq!(ask("/usr/bin/doas", wish, (0, None), &doas).unwrap(), "nobody");
        assert_eq!(ask("sudo", wish, (0, Some(0)), &sudo).unwrap(), "nobody");
        assert!(matches!(ask("sudo", wish, (0, None), &[sudo[0], doas[0]]), Err(Error::WhoCalled)));
        assert!(ask("sudo", wish, (0, None), &[("SUDO_UID", "zero")]).is_err());
        // Who is not root is whom the kernel says.
        assert_eq!(ask("sudo", wish, (nobody.uid, None), &[("SUDO_UID", "0")]).unwrap(), "nobody");
    }
}

#[test]
fn nobody_gets_a_session_of_their_own_where_the_elevator_does_not_say_who_called() {
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    let uid = nobody.uid.to_string();
    let sudo = ("SUDO_UID", uid.as_str());
    let doas = ("DOAS_USER", "nobody");
    let pkexec = ("PKEXEC_UID", uid.as_str());
    let refused = |asked: Result<String, Error>| matches!(asked, Err(Error::Unnamed(_) | Error::Another(_)));
    for login in [None, Some(0), Some(nobody.uid)] {
        for elevator in ["sudo", "run0", "doas", "su", "/opt/bin/sudo.ws"] {
            // Neither by a login uid, which anybody may choose who has none, nor as root.
            assert!(refused(ask(elevator, (true, true), (0, login), &[])), "{elevator} {login:?}");
        }
        // A variable that another elevator sets says that there was one, and is anybody's to set besides.
        for (elevator, pairs) in [("doas", [sudo]), ("sudo", [doas]), ("su", [sudo]), ("env", [doas])] {
            for elevated in [true, false] {
                let asked = ask(elevator, (true, elevated), (0, login), &pairs);
                assert!(refused(asked), "{elevator} {login:?}");
            }
        }
        assert!(refused(ask("sudo", (true, false), (0, login), &[pkexec])));
    }
    // Root's own call is root's, or of whom root has become it.
    assert_eq!(ask("sudo", (true, false), (0, None), &[]).unwrap(), "root");
    assert_eq!(ask("sudo", (true, false), (0, Some(nobody.uid)), &[]).unwrap(), "nobody");
}

#[test]
fn a_caller_who_was_not_named_is_not_called_root() {
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    for elevator in ["su", "env", "doas"] {
        let login = Some(nobody.uid);
        assert_eq!(ask(elevator, (false, true), (0, login), &[("SUDO_UID", "0")]).unwrap(), "nobody");
        let why = ask(elevator, (false, true), (0, None), &[]).unwrap_err();
        assert!(matches!(why, Error::Another(_)) == (elevator == "doas"), "{why}");
    }
    assert_eq!(ask("sudo", (false, false), (0, None), &[]).unwrap(), "root");
    let named = |elevator: &str, real, pairs: &[(&str, &str)]| {
        nameless(&policy(&format!("[run]\nelevator = [\"{elevator}\"]\n")), real, &variables(pairs))
    };
    assert_eq!(named("sudo", 0, &[("SUDO_UID", "4000000123"), ("SUDO_USER", "root")]), "uid 4000000123");
    assert_eq!(named("sudo", 0, &[("SUDO_UID", "x")]), "unknown");
    assert_eq!(named("sudo", 0, &[("SUDO_UID", "1"), ("DOAS_USER", "root")]), "unknown");
    assert_eq!(named("doas", 0, &[("DOAS_USER", "ghost"), ("SUDO_UID", "0")]), "unknown");
    assert_eq!(named("su", 0, &[("SUDO_UID", "0")]), "unknown");
    assert_eq!(named("sudo", 4_000_000_123, &[("SUDO_UID", "0")]), "uid 4000000123");
}

#[test]
fn the_target_is_root_unless_someone_else_is_wished() {
    let policy = policy("");
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    let target = |wish: Wish| target(&wish, &policy, Some(&nobody), Path::new("/x"), &mut Users::default());
    assert_eq!(target(Wish::default()).unwrap().user.name, "root");
    let own = target(Wish { of_caller: true, ..Wish::default() }).unwrap();
    assert_eq!((own.user.name.as_str(), own.identity.uid), ("nobody", nobody.uid));
    let by_number = target(Wish { user: Some(format!("#{}", nobody.uid)), ..Wish::default() }).unwrap();
    assert_eq!(by_number.user, nobody);
    let daemon = target(Wish { group: Some("daemon".into()), ..Wish::default() }).unwrap();
    assert_eq!((daemon.identity.uid, daemon.group.as_deref()), (0, Some("daemon")));
    assert_eq!(daemon.identity.gid, ids::group_by_name("daemon").unwrap().unwrap().gid);
    assert!(matches!(target(Wish { user: Some("nosuch".into()), ..Wish::default() }), Err(Error::NoUser(_))));
    assert!(matches!(
        target(Wish { group: Some("nosuch".into()), ..Wish::default() }),
        Err(Error::NoGroup(_))
    ));
}

#[test]
fn our_own_program_is_nobodys_shell_inside() {
    let policy = policy("");
    let mut me = ids::user_by_name("nobody").unwrap().unwrap();
    me.shell = "/bin/cat".into();
    let wish = Wish { of_caller: true, ..Wish::default() };
    let inside =
        target(&wish, &policy, Some(&me), &std::fs::canonicalize("/bin/cat").unwrap(), &mut Users::default())
            .unwrap();
    assert!(inside.shell.ends_with("bash") || inside.shell.ends_with("sh"), "{inside:?}");
    let fixed = self::policy("[run]\nshell = \"/bin/dash\"\n");
    assert_eq!(
        target(&wish, &fixed, Some(&me), Path::new("/x"), &mut Users::default()).unwrap().shell,
        Path::new("/bin/dash")
    );
    // The policy names us as the shell, and so would begin us in ourselves: whoever has another gets that.
    let ours = self::policy("[run]\nshell = \"/bin/cat\"\n");
    me.shell = "/bin/dash".into();
    let inside =
        target(&wish, &ours, Some(&me), &std::fs::canonicalize("/bin/cat").unwrap(), &mut Users::default())
            .unwrap();
    assert_eq!(inside.shell, Path::new("/bin/dash"));
}

#[test]
fn the_environment_of_a_session_is_made_anew() {
    let policy = policy("[run]\nenv = { keep = [\"*\"] }\n");
    let nobody = ids::user_by_name("nobody").unwrap().unwrap();
    let wish = Wish { user: Some("nobody".into()), ..Wish::default() };
    let target = target(&wish, &policy, Some(&nobody), Path::new("/x"), &mut Users::default()).unwrap();
    let hostile = variables(&[
        ("HOME", "/home/evil"),
        ("PATH", "/tmp/evil"),
        ("USER", "evil"),
        ("SHELL", "/tmp/evil"),
        ("LD_PRELOAD", "/tmp/evil.so"),
        ("BASH_ENV", "/tmp/evil"),
        ("PS0", "$(evil)"),
        ("PS1", "$(evil)"),
        ("INPUTRC", "/tmp/evil"),
        ("XDG_CONFIG_HOME", "/tmp/evil"),
        ("XDG_DATA_DIRS", "/tmp/evil"),
        ("BASH_FUNC_ls%%", "() { evil; }"),
        ("FN", "() { evil; }"),
        ("fish_function_path", "/tmp/evil"),
        ("fish_complete_path", "/tmp/evil"),
        ("NODE_PATH", "/tmp/evil"),
        ("DOTNET_STARTUP_HOOKS", "/tmp/evil.dll"),
        ("GUILE_LOAD_PATH", "/tmp/evil"),
        ("JULIA_LOAD_PATH", "/tmp/evil"),
        ("AWKPATH", "/tmp/evil"),
        ("AWKLIBPATH", "/tmp/evil"),
        ("TZ", "/etc/shadow"),
        ("LC_ALL", "../../evil"),
        ("TERM", "../evil"),
        ("LANG", "de_DE.UTF-8"),
        ("EDITOR", "vi"),
    ]);
    let program = program(&wish, &target, &policy, &hostile);
    let environment = program.env.unwrap();
    let shown: Vec<String> =
        environment.iter().map(|(n, v)| format!("{}={}", n.to_str().unwrap(), v.to_str().unwrap())).collect();
    let shell = nobody.shell.display();
    assert_eq!(
        shown,
        [
            "EDITOR=vi".to_owned(),
            format!("HOME={}", nobody.home.display()),
            "LANG=de_DE.UTF-8".into(),
            "LOGNAME=nobody".into(),
            "PATH=/usr/local/bin:/usr/bin:/bin".into(),
            format!("SHELL={shell}"),
            "USER=nobody".into(),
        ]
    );
    assert_eq!(program.identity, Some(target.identity));
}

#[test]
fn shells_lines_and_commands_become_programs() {
    let policy = policy("[run]\nshell = \"/bin/bash\"\n");
    let root = ids::user_by_name("root").unwrap().unwrap();
    let build = |wish: Wish| {
        let target = target(&wish, &policy, Some(&root), Path::new("/x"), &mut Users::default()).unwrap();
        let program = program(&wish, &target, &policy, &Variables::new());
        let mut words = vec![program.path.clone()];
        words.extend(program.args.clone());
        (texts(&words).join("|"), program.arg0, program.dir)
    };
    assert_eq!(build(Wish::default()), ("/bin/bash".into(), None, None));
    let login = Wish { login: true, ..Wish::default() };
    assert_eq!(build(login.clone()), ("/bin/bash".into(), Some("-bash".into()), Some(root.home.clone())));
    let line = Wish { what: What::Line("echo a b".into()), ..Wish::default() };
    assert_eq!(build(line), ("/bin/bash|-c|echo a b".into(), Some("bash".into()), None));
    let command = What::Command(vec!["echo".into(), "a  b".into()]);
    assert_eq!(build(Wish { what: command.clone(), ..Wish::default() }).0, "echo|a  b");
    let both = Wish { what: command, dir: Some("/tmp".into()), ..login };
    assert_eq!(build(both), ("/bin/bash|-c|echo 'a  b'".into(), Some("-bash".into()), Some("/tmp".into())));
}

#[test]
fn in_personal_mode_and_as_oneself_nothing_is_changed() {
    let policy = personal();
    let me = ids::user_by_uid(ids::effective_uid()).unwrap().unwrap();
    let target =
        target(&Wish::default(), &policy, Some(&me), Path::new("/x"), &mut Users::default()).unwrap();
    assert_eq!(target.user, me);
    let program = program(&Wish::default(), &target, &policy, &Variables::new());
    assert_eq!((program.env, program.identity), (None, None));
}
