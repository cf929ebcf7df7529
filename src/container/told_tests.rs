use super::*;
use proptest::prelude::*;

fn again(commands: &[Command], execs: &[Exec]) -> Option<(Vec<Command>, Vec<Exec>)> {
    let (columns, programs) = pack(commands, execs);
    let json = serde_json::to_string(&(columns, programs)).unwrap();
    let (columns, programs) = serde_json::from_str(&json).unwrap();
    spread(columns, programs)
}

fn exec(pid: u32, ppid: u32, path: &str, argv: &[&str]) -> Exec {
    let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
    Exec { time: 70, pid, ppid, path: path.into(), argv, cwd: "/etc".into(), ..Exec::default() }
}

#[test]
fn a_command_at_a_prompt_takes_a_line_of_json() {
    let ls = Exec { end: Some(75), exit: Some(0), ..exec(900, 800, "/usr/bin/ls", &["ls", "-l"]) };
    let cat = Exec { end: Some(78), exit: Some(1), ..exec(901, 900, "/usr/bin/cat", &["cat", "a b"]) };
    let command = Command {
        text: "ls -l | cat 'a b'".into(),
        cwd: Some("/etc".into()),
        start: 68,
        end: Some(80),
        exit: Some(0),
        source: Source::Shell,
        trust: Trust::Told,
        execs: vec![ls, cat],
        ..Command::default()
    };
    let (columns, programs) = pack(std::slice::from_ref(&command), &[]);
    assert_eq!(
        serde_json::to_string(&columns).unwrap(),
        r#"{"text":["ls -l | cat 'a b'"],"start":[68],"took":[12],"programs":[2],"cwd":[[0,"/etc"]]}"#
    );
    assert_eq!(
        serde_json::to_string(&programs).unwrap(),
        r#"{"files":["/usr/bin"],"file":[-1,-1],"args":["ls -l",["cat","a b"]],"start":[2,0],"took":[5,8],"pid":[900,1],"parent":[-801,0],"exit":[[1,1]]}"#
    );
    assert_eq!(again(std::slice::from_ref(&command), &[]), Some((vec![command], vec![])));
}

#[test]
fn columns_that_do_not_fit_together_are_refused() {
    let commands = r#"{"text":["a"],"start":[1],"took":[2],"programs":[1]}"#;
    let programs =
        r#"{"files":["/bin"],"file":[-1],"args":["a"],"start":[0],"took":[1],"pid":[5],"parent":[-2]}"#;
    let read = |commands: &str, programs: &str| {
        spread(serde_json::from_str(commands).ok()?, serde_json::from_str(programs).ok()?)
    };
    assert_eq!(read(commands, programs).unwrap().0[0].execs[0].path, "/bin/a");
    for (what, with) in [
        (r#""start":[1]"#, r#""start":[]"#),
        (r#""took":[2]"#, r#""took":[2,3]"#),
        (r#""programs":[1]"#, r#""programs":[2]"#),
        (r#""programs":[1]"#, r#""programs":[1],"exit":[[1,3]]"#),
        (r#""programs":[1]"#, r#""programs":[1],"cwd":[[0,"a"],[0,"b"]]"#),
    ] {
        assert_eq!(read(&commands.replace(what, with), programs), None, "{with}");
    }
    for (what, with) in [
        (r#""file":[-1]"#, r#""file":[-2]"#),
        (r#""file":[-1]"#, r#""file":[1]"#),
        (r#""file":[-1]"#, r#""file":[-9223372036854775808]"#),
        (r#""args":["a"]"#, r#""args":[[]]"#),
        (r#""pid":[5]"#, r#""pid":[-5]"#),
        (r#""parent":[-2]"#, r#""parent":[0]"#),
        (r#""parent":[-2]"#, r#""parent":[9000]"#),
        (r#""parent":[-2]"#, r#""parent":[-2],"user":[[7,0,0]]"#),
        (r#""start":[0]"#, r#""start":[]"#),
    ] {
        assert_eq!(read(commands, &programs.replace(what, with)), None, "{with}");
    }
}

/// A directory of a megabyte and a thousand programs that are in it: small as JSON, large when it is spread out.
#[test]
fn what_would_take_too_much_memory_is_refused() {
    let execs: Vec<Exec> =
        (0..1000).map(|pid| Exec { cwd: "d".repeat(1 << 20), ..exec(pid, 1, "/a", &["a"]) }).collect();
    let (columns, programs) = pack(&[], &execs[..20]);
    assert!(spread(columns, programs).is_some());
    let (columns, programs) = pack(&[], &execs);
    assert!(serde_json::to_string(&programs).unwrap().len() < 2 << 20);
    assert_eq!(spread(columns, programs), None);
}

fn any_exec() -> impl Strategy<Value = Exec> {
    let path = prop_oneof![Just(String::new()), Just("/".into()), "(/[ab]{0,2}){1,3}/?"];
    let argv = prop::collection::vec("[ab /]{0,3}", 0..4);
    let small = 0..6_u32;
    (any::<u64>(), small.clone(), small, prop_oneof![Just((0, 0)), any::<(u32, u32)>()], path, argv)
        .prop_flat_map(|(time, pid, ppid, (uid, euid), path, argv)| {
            let end = prop::option::of(any::<u64>());
            let exit = prop::option::of(-1..3_i32);
            ("[ab/]{0,2}", end, exit).prop_map(move |(cwd, end, exit)| Exec {
                time,
                pid,
                ppid,
                uid,
                euid,
                path: path.clone(),
                argv: argv.clone(),
                cwd,
                end,
                exit,
            })
        })
}

fn any_command() -> impl Strategy<Value = Command> {
    let sources = prop_oneof![Just(Source::Shell), Just(Source::Screen), Just(Source::Argv)];
    let trusts = prop_oneof![Just(Trust::Told), Just(Trust::Inferred)];
    let lists = (prop::collection::vec(any::<i32>(), 0..3), prop::collection::vec(".{0,4}", 0..2));
    let times = (any::<u64>(), prop::option::of(any::<u64>()), prop::option::of(any::<i32>()));
    let execs = prop::collection::vec(any_exec(), 0..5);
    (".{0,8}", prop::option::of("[ab]{0,1}"), times, lists, (sources, trusts), execs).prop_map(
        |(text, cwd, (start, end, exit), (pipe, flags), (source, trust), execs)| Command {
            text,
            cwd,
            start,
            end,
            exit,
            pipe,
            source,
            trust,
            flags,
            execs,
        },
    )
}

proptest! {
    #[test]
    fn what_was_packed_comes_back(
        commands in prop::collection::vec(any_command(), 0..5),
        execs in prop::collection::vec(any_exec(), 0..5),
    ) {
        prop_assert_eq!(again(&commands, &execs), Some((commands, execs)));
    }
}
