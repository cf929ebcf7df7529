use crate::forge::{self, Forge};
use crate::home::{Home, Recording, damage_the_first_border, held};
use crate::reading::json;
use sealcast::cast::{Command, Exec, Payload, Trust};
use sealcast::container::Reader;
use sealcast::crypto::{identity, recipient};
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use sealcast::store::Name;
use sealcast::terminal::Terminal;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn a_hit_says_who_where_and_when_and_opens_in_the_player() {
    let home = Home::new();
    let (_, id) = home.record(&Recording::default());
    let found = home.run(&["search", "after a minute"]).exits(0);
    assert_eq!(
        found.text(),
        format!("{id}  2026-11-22 14:04:13Z +1:01  web-3 alice → root  screen   after a minute\n"),
        "{found}"
    );
    assert!(found.err.starts_with("1 hit in 1 of 1 recording ("), "{found}");
    let hits = json(&home.run(&["search", "--json", "ls"]).exits(0).text());
    let fields: Vec<&str> = hits.iter().map(|hit| hit["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["screen", "command"]);
    assert_eq!((&hits[0]["text"], &hits[0]["time_ms"]), (&"root@web-3:~# ls".into(), &100.into()));
    assert_eq!((&hits[1]["exit"], &hits[1]["stood_ms"]), (&0.into(), &300.into()));
    assert_eq!(hits[0]["play"], format!("{id}@0:00.1"));
}

#[test]
fn a_wrong_query_is_answered_with_what_holds_for_queries() {
    let home = Home::new();
    for query in ["(a", "a)", "since:foo x", "user:", "\"a", "/(/"] {
        let told = home.run(&["search", "-q", query]).exits(2);
        assert!(told.err.contains("hint: what is meant as text goes into quotes in a query"), "{told}");
        assert!(told.err.contains("without -q") && !told.err.contains("without -e"), "{told}");
    }
    let told = home.run(&["search", "-e", "("]).exits(2);
    assert!(told.err.contains("hint: without -e a pattern is literal text"), "{told}");
}

#[test]
fn the_exit_status_is_that_of_grep_and_what_cannot_be_read_is_named() {
    let home = Home::new();
    home.record(&Recording::default());
    home.run(&["search", "nothing like this"]).exits(1);
    home.run(&["search", "--since", "2030-01-01", "minute"]).exits(1);
    let (bad, id) = home.record(&Recording { start: 1_795_000_000_000, ..Recording::default() });
    std::fs::write(&bad, b"hello").unwrap();
    let found = home.run(&["search", "minute"]).exits(2);
    assert_eq!(found.text().lines().count(), 1, "{found}");
    assert!(found.err.contains(&format!("error: {id} could not be searched")), "{found}");
    assert!(found.err.contains("1 could not be searched"), "{found}");
    // Why, to the last cause.
    let pipe = bad.with_file_name("pipe.scast");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let found = home.run(&["search", "minute"]).exits(2);
    let why = format!("could not be searched: cannot open {}: it is not a regular file", pipe.display());
    assert!(found.err.contains(&why), "{found}");
}

#[test]
fn what_to_do_is_said_with_what_could_not_be_searched_and_once() {
    let home = Home::new();
    let (_, somebody) = identity::generate();
    for start in [1_795_000_000_000, 1_795_100_000_000] {
        home.record(&Recording { start, recipients: Some(vec![somebody.clone()]), ..Recording::default() });
    }
    let (bad, _) = home.record(&Recording { start: 1_795_200_000_000, ..Recording::default() });
    std::fs::write(&bad, b"hello").unwrap();
    let (damaged, _) = home.record(&Recording { start: 1_795_300_000_000, ..Recording::default() });
    damage_the_first_border(&damaged);
    let found = home.run(&["search", "minute"]).exits(2);
    assert_eq!(found.err.matches("error: ").count(), 4, "{found}");
    // What is sealed to others is no damage.
    let counts = " · 2 could not be searched whole · 2 could not be opened · ";
    assert!(found.err.contains(counts), "{found}");
    for hint in
        ["name the identity file", "it has the name of one, and is empty", "`sealcast verify` says how much"]
    {
        assert_eq!(found.err.matches(&format!("hint: {hint}")).count(), 1, "{hint}: {found}");
    }
}

#[test]
fn why_index_keys_cannot_be_kept_is_said_to_the_last_cause() {
    let home = Home::new();
    home.record(&Recording::default());
    std::fs::write(home.personal().root().join("cache"), b"no directory").unwrap();
    let found = home.run(&["search", "minute"]).exits(0);
    assert!(found.err.contains("not kept for the next search: cannot use the keys: cannot "), "{found}");
}

#[test]
fn texts_fields_and_conditions_narrow_the_search() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    home.record(&Recording {
        start: 1_795_400_000_000,
        user: "bob",
        reason: "look around",
        ..Recording::default()
    });
    let lines = |args: &[&str]| home.run(&[&["search"], args].concat()).text().lines().count();
    assert_eq!(lines(&["minute"]), 2);
    assert_eq!(lines(&["minute", "--user", "b*"]), 1);
    assert_eq!(lines(&["minute", "--in", "command,meta"]), 0);
    assert_eq!(lines(&["rotate", "--in", "meta"]), 1);
    assert_eq!(lines(&["-w", "minut"]), 0);
    assert_eq!(lines(&["Minute"]), 0);
    assert_eq!(lines(&["-i", "Minute"]), 2);
    assert_eq!(lines(&["-e", "m.n[u-z]te$"]), 2);
    assert_eq!(lines(&["-q", "minute not rotate"]), 1);
    // Two texts in one line are one hit.
    assert_eq!(lines(&["-q", "minute after"]), 2);
    // Every text that is there is told, whichever branch made the recording match.
    assert_eq!(lines(&["-q", "minute user:alice label:none or meta:around"]), 2);
    assert_eq!(
        lines(&["minute", "--exit", "3", "--command", "ls", "--min-duration", "1m", "--ticket", "OPS-*"]),
        2
    );
    assert_eq!(lines(&["minute", "--exit", "!3"]), 0);
    assert_eq!(lines(&["minute", "--limit", "1"]), 1);
    let files = home.run(&["search", "-l", "rotate"]).exits(0);
    assert_eq!(files.text().trim_end(), path.to_str().unwrap());
    // Each was left at its first hit: there is no number of them to tell.
    assert!(files.err.starts_with("1 of 2 recordings ("), "{files}");
    let counted = home.run(&["search", "-c", "-e", "[a-z]+"]).exits(0);
    assert_eq!(counted.text().lines().count(), 2, "{counted}");
    let listed = home.run(&["ls", "--exit", "3", "--ticket", "ops-4411", "--user", "bob"]).exits(0);
    assert_eq!(listed.text().lines().count(), 1, "{listed}");
}

#[test]
fn each_line_of_a_command_and_of_an_argument_is_looked_in() {
    let home = Home::new();
    let text = "cat > /etc/x << END\nPermitRootLogin yes\nlast line\nEND";
    let argv = vec!["echo".into(), "one\ntwo middle".into()];
    let execs = vec![Exec { path: "/bin/echo".into(), argv, ..Exec::default() }];
    let command = Command { text: text.into(), start: 1000, end: Some(1300), execs, ..Command::default() };
    home.record(&Recording { commands: vec![command], ..Recording::default() });
    for (pattern, found) in [
        ("^PermitRootLogin", 0),
        ("yes$", 0),
        ("^last line$", 0),
        ("^cat", 0),
        ("^two middle$", 0),
        ("one$", 0),
        ("^middle", 1),
        ("^yes", 1),
    ] {
        home.run(&["search", "--in", "command,exec", "-e", pattern]).exits(found);
    }
}

#[test]
fn a_command_that_anybody_could_have_written_is_told_as_such() {
    let home = Home::new();
    let command = |text: &str, trust| Command {
        text: text.into(),
        trust,
        start: 1000,
        end: Some(1300),
        ..Command::default()
    };
    let commands = vec![
        command("rm forged", Trust::Untrusted),
        command("rm read", Trust::Inferred),
        command("rm told", Trust::Told),
    ];
    home.record(&Recording { commands, ..Recording::default() });
    let found = home.run(&["search", "--in", "command", "rm"]).exits(0);
    for line in ["rm forged  [untrusted]\n", "rm read  [inferred]\n", "rm told\n"] {
        assert!(found.text().contains(line), "{line:?} in {found}");
    }
    let hits = json(&home.run(&["search", "--json", "--in", "command", "rm"]).exits(0).text());
    let trust: Vec<&Value> = hits.iter().map(|hit| &hit["trust"]).collect();
    assert_eq!(trust, ["untrusted", "inferred", "told"]);
}

#[test]
fn nothing_is_denied_of_an_index_that_has_letters_by_their_numbers() {
    let home = Home::new();
    let personal = home.personal();
    personal.ensure("me@web-3", None).unwrap();
    let root = [5; 32];
    let age = recipient::wrap(&personal.read_recipients().unwrap(), &root).unwrap();
    let slot = [&[1][..], &u32::try_from(age.len()).unwrap().to_le_bytes(), &age].concat();
    std::fs::create_dir_all(home.store().dir()).unwrap();
    for shred in ["shred", r"\u0073\u0068\u0072\u0065\u0064"] {
        let mut forge = Forge::begin(root, &personal.read_signer().unwrap(), "web-3", &slot);
        let command = format!(r#""text":["{shred} -u /x"],"start":[1],"took":[2],"programs":[1]"#);
        let program = format!(
            r#""files":["/usr/bin"],"file":[-1],"args":["{shred} -u /x"],"start":[0],"took":[1],"pid":[77],"parent":[-2]"#
        );
        let counted = format!(r#""segment":0,"offset":{},"utc":5,"step":1000"#, forge.bytes.len());
        let clocks = br#"[0,"t","{\"at\":0,\"utc\":5}"]"#;
        forge.data(forge::SEG, &zstd::bulk::compress(&[&clocks[..], b"\n"].concat(), 3).unwrap());
        let entry = format!(r#"{{{counted},"commands":{{{command}}},"programs":{{{program}}}}}"#);
        forge.index(&forge::packed(entry.as_bytes(), &[]));
        forge.check(forge::CLOSES | forge::FINAL);
        forge.finish();
        let name = Name::of(Reader::open(std::io::Cursor::new(&forge.bytes)).unwrap().header()).unwrap();
        std::fs::write(home.store().dir().join(name.file_name()), &forge.bytes).unwrap();
        let shown = home.run(&["show", "--commands", "last"]).exits(0);
        assert!(shown.text().contains("shred -u /x"), "{shown}");
        for field in ["command", "exec"] {
            let found = home.run(&["search", "--in", field, "shred"]).exits(0);
            assert!(found.text().contains("shred -u /x"), "{found}");
        }
        let listed = home.run(&["ls", "--command", "shred"]).exits(0);
        assert!(listed.text().contains(&name.short()), "{listed}");
        home.run(&["search", "--in", "exec", "shrad"]).exits(1);
    }
}

#[test]
fn a_limit_above_the_usual_number_of_hits_is_one_too() {
    let home = Home::new();
    let text: String = (0..10_400).map(|n| format!("needle {n}\r\n")).collect();
    let events = vec![(100, Payload::Output(text.into_bytes()))];
    home.record(&Recording { events, ..Recording::default() });
    let lines = |args: &[&str]| {
        let ran = home.run(&[&["search", "needle", "--in", "screen"], args].concat()).exits(0);
        (ran.text().lines().count(), ran.err.contains("not shown"), ran.err.contains("stopped at the limit"))
    };
    assert_eq!(lines(&[]), (10_000, true, false));
    assert_eq!(lines(&["--limit", "10300"]), (10_300, false, true));
    assert_eq!(lines(&["--limit", "20000"]), (10_400, false, false));
    assert_eq!(lines(&["--limit", "3"]), (3, false, true));
}

#[test]
fn what_was_done_then_is_found_whenever_its_recording_began() {
    let home = Home::new();
    // 2026-11-22 14:03:12 to 14:04:14.5.
    home.record(&Recording::default());
    for (words, times, found) in [
        (["minute", "--in", "screen"], &["--from", "2026-11-22 14:04", "--to", "2026-11-22 14:05"][..], 0),
        (["minute", "--in", "screen"], &["--since", "2026-11-22 14:04"], 1),
        (["minute", "--in", "screen"], &["--to", "2026-11-22 14:04:13"], 1),
        (["minute", "--in", "screen"], &["--from", "2026-11-22 14:04:14.6"], 1),
        (["a  b", "--in", "screen"], &["--to", "2026-11-22 14:03:14"], 0),
        (["ls", "--in", "command"], &["--from", "2026-11-22 14:03:14"], 1),
        (["user:alice", "-q", "-l"], &["--from", "2026-11-22 14:04"], 0),
        (["user:alice", "-q", "-l"], &["--from", "2026-11-22 14:05"], 1),
    ] {
        home.run(&[&["search"], &words[..], times].concat()).exits(found);
    }
    home.run(&["search", "x", "--from", "soon"]).exits(2).complains("--from `soon`: not a time");
    let turned = ["search", "x", "--from", "2026-11-23", "--to", "2026-11-22"];
    home.run(&turned).exits(2).complains("nothing lies between --from and --to");
    // Whether one that was not closed still went on then is not known.
    let home = Home::new();
    home.record(&Recording { close: false, ..Recording::default() });
    for time in ["2026-11-22 14:04", "2027-01-01"] {
        home.run(&["search", "-q", "user:alice", "--from", time]).exits(2);
    }
    home.run(&["search", "minute", "--in", "screen", "--from", "2026-11-22 14:04", "-l"]).exits(0);
    home.run(&["search", "minute", "--to", "2026-11-22 14:03:12"]).exits(1);
}

#[test]
fn where_a_text_was_found_is_told_in_bytes() {
    let home = Home::new();
    let events = vec![(100, Payload::Output("déjà vu, naïve".into())), (2000, Payload::Exit(0))];
    home.record(&Recording { events, ..Recording::default() });
    let hit = json(&home.run(&["search", "--json", "naïve"]).exits(0).text()).remove(0);
    let at = |name: &str| usize::try_from(hit[name].as_u64().unwrap()).unwrap();
    assert_eq!((at("from"), at("to")), (11, 17));
    assert_eq!(&hit["text"].as_str().unwrap().as_bytes()[at("from")..at("to")], "naïve".as_bytes());
}

#[test]
fn a_time_with_a_fraction_is_not_midnight_and_one_with_a_zone_is_refused() {
    let home = Home::new();
    // 2026-11-22 14:03:12.
    home.record(&Recording::default());
    for (flag, time, found) in [
        ("--until", "2026-11-22 14:03:12.5", 0),
        ("--until", "2026-11-22 14:03:11,999", 1),
        ("--until", "2026-11-22 15", 0),
        ("--until", "2026-11-22T140313", 0),
        ("--until", "2026-11-22 16:03:13+02:00", 0),
        ("--since", "2026-11-22 14:03:12.5", 1),
        ("--since", "2026-11-22 14:03:11.5", 0),
    ] {
        home.run(&["search", "minute", flag, time]).exits(found);
    }
    for time in ["2026-11-22 14:03:13[Europe/Berlin]", "2026-11-22T14:03:13+01:00[Europe/Berlin]"] {
        home.run(&["search", "minute", "--until", time]).exits(2).complains("not a time");
        home.run(&["ls", "--until", time]).exits(2).complains("not a time");
    }
}

#[test]
fn a_recording_that_matches_without_a_hit_is_one_for_every_form_and_for_the_limit() {
    let home = Home::new();
    let recording = |user, start| Recording { user, start, ..Recording::default() };
    let (first, _) = home.record(&recording("alice", 1_795_300_000_000));
    for start in [1_795_400_000_000, 1_795_500_000_000] {
        home.record(&recording("bob", start));
    }
    let found = |args: &[&str]| home.run(&[&["search"], args].concat()).exits(0);
    let lines = |args: &[&str]| found(args).text().lines().count();
    for conditions in [&["-q", "host:*"][..], &["-q", "not nothingthere"]] {
        let with = |more: &[&str]| lines(&[conditions, more].concat());
        assert_eq!([with(&[]), with(&["--limit", "1"]), with(&["--limit", "2"])], [3, 1, 2]);
        assert_eq!([with(&["--json"]), with(&["--json", "--limit", "2"])], [3, 2]);
    }
    let told = json(&found(&["-q", "host:*", "--json"]).text());
    assert_eq!((&told[0]["path"], &told[0]["user"]), (&first.to_str().into(), &"alice".into()));
    let files = json(&found(&["minute", "-l", "--json"]).text());
    assert_eq!(files, told);
    let counted = json(&found(&["minute", "-c", "--json"]).text());
    let of = |told: &Value| (told["id"].clone(), told["path"].clone());
    assert_eq!(counted.iter().map(of).collect::<Vec<_>>(), told.iter().map(of).collect::<Vec<_>>());
    assert!(counted.iter().all(|told| told["hits"] == 1 && told["id"].is_string()), "{counted:?}");
    // Each has one hit on the screen, and two for this.
    assert_eq!(lines(&["-e", "minute|bad", "--in", "screen", "--limit", "2"]), 2);
    assert_eq!(lines(&["-e", "minute|bad", "--in", "screen", "-l", "--limit", "2"]), 2);
    assert_eq!(lines(&["minute", "-l", "--limit", "2", "--json"]), 2);
    home.run(&["search", "minute", "--limit", "0"]).exits(2).complains("0");
    home.run(&["search", "minute", "--count", "--limit", "5"]).exits(2).complains("cannot be used with");
}

#[test]
fn of_a_recording_that_was_not_closed_nothing_is_denied() {
    let home = Home::new();
    let mut recording = Recording { close: false, ..Recording::default() };
    let start = Start { text: Some("uptime -p".into()), ..Start::default() };
    let end = Mark::End { status: Some(4), pipe: Vec::new(), cancelled: false };
    recording.events.insert(1, (1000, Said::Mark(Mark::Start(start)).payload()));
    recording.events.insert(2, (1100, Said::Mark(end).payload()));
    let (path, id) = home.record(&recording);
    let torn = "it was not closed, and its last part is in no index";
    let unsure = |args: &[&str], why: &str| {
        let ran = home.run(args).exits(2);
        assert!(ran.out.is_empty() && ran.err.contains(why) && ran.err.contains(&id), "{ran}");
    };
    let index: [&[&str]; 8] = [
        &["search", "nothing", "--in", "command,exec"],
        &["search", "-q", "not command:ls"],
        &["search", "minute", "--command", "ls"],
        &["search", "minute", "--min-duration", "1m"],
        &["search", "nothing", "-l", "--in", "command"],
        &["search", "-q", "command:ls or min-duration:1s"],
        &["ls", "--command", "ls"],
        &["ls", "--min-duration", "1m"],
    ];
    index.iter().for_each(|args| unsure(args, torn));
    unsure(&["search", "nothing"], torn);
    unsure(&["ls", "--exit", "3"], torn);
    // What the shell told is found; the programs that ran remain unknown.
    let found = home.run(&["search", "uptime", "--in", "command"]).exits(2);
    assert!(found.text().contains("command  uptime -p  [4]"), "{found}");
    assert!(found.err.contains(&format!("{id} could only in part be searched: {torn}")), "{found}");
    assert_eq!(home.run(&["search", "-l", "uptime", "--in", "command"]).exits(0).text().lines().count(), 1);
    let found = home.run(&["search", "minute", "--in", "screen", "--command", "uptime"]).exits(2);
    assert!(found.text().contains("after a minute"), "{found}");
    assert!(home.run(&["search", "-q", "not command:uptime"]).exits(1).out.is_empty());
    assert_eq!(home.run(&["ls", "--command", "uptime"]).exits(0).text().lines().count(), 1);
    let listed = home.run(&["ls"]).exits(0);
    assert!(listed.text().contains("\t0+\t"), "{listed}");
    // Anything may have been shown or typed after its end.
    let gone = "it was not closed: what came after 1:02.5 is not there";
    for args in [
        &["search", "nothing", "--in", "screen"][..],
        &["search", "nothing", "--in", "input"],
        &["search", "-q", "screen:nothing"],
        &["search", "-q", "not screen:nothing"],
        &["search", "-l", "-q", "not screen:nothing"],
        &["search", "-c", "nothing", "--in", "screen,input"],
    ] {
        unsure(args, gone);
    }
    unsure(&["search", "nothing"], "in no index; what came after 1:02.5 is not there");
    unsure(&["search", "nothing", "--in", "meta"], "it was not closed");
    let found = home.run(&["search", "minute", "--in", "screen"]).exits(2);
    assert!(found.text().lines().count() == 1 && found.err.contains("could only in part"), "{found}");
    assert!(found.err.contains(gone), "{found}");
    // What does not hang on it is told as ever.
    home.run(&["search", "minute", "--in", "screen", "--user", "bob"]).exits(1);
    assert!(home.run(&["search", "-q", "not screen:minute"]).exits(1).out.is_empty());
    assert!(home.run(&["ls", "--ticket", "none"]).exits(0).out.is_empty());
    assert_eq!(home.run(&["search", "-l", "minute"]).exits(0).text().lines().count(), 1);
    for args in [&["show", "--commands", "last"][..], &["export", "-f", "commands", "last"]] {
        let listed = home.run(args).exits(0);
        assert!(listed.err.contains("it was not closed: commands of its last part"), "{listed}");
        // The shell told of this one, and that stands among the events.
        assert!(listed.text().lines().count() == 1 && listed.text().contains("uptime -p"), "{listed}");
    }
    let told = json(&home.run(&["show", "--commands", "--json", "last"]).exits(0).text());
    assert_eq!((&told[0]["end"], &told[0]["exit"]), (&1100.into(), &4.into()));

    let _held = held(&path);
    index.iter().for_each(|args| unsure(args, "it is being recorded, and its last part is in no index yet"));
    // What is on the screen so far is looked at, and it has not ended.
    for args in [&["nothing"][..], &["nothing", "--in", "screen"], &["nothing", "--in", "input"]] {
        home.run(&[&["search"], args].concat()).exits(1);
    }
    home.run(&["search", "minute"]).exits(0);
    home.run(&["search", "-l", "-q", "not screen:nothing"]).exits(0);
    home.run(&["ls", "--exit", "3"]).exits(0);
    let listed = home.run(&["show", "--commands", "last"]).exits(0);
    assert!(listed.err.contains("it is being recorded: commands of its last part"), "{listed}");
}

#[test]
fn of_a_recording_whose_end_was_cut_off_nothing_is_denied() {
    let home = Home::new();
    let output = |n: u64| (n * 100, Payload::Output(format!("line {n} of many\r\n").into_bytes()));
    let mut events: Vec<_> = (0..100).map(output).collect();
    events.push((20_000, Payload::Output(b"the needle\r\n".to_vec())));
    let (path, id) = home.record(&Recording { events, ..Recording::default() });
    let bytes = std::fs::read(&path).unwrap();
    home.run(&["search", "needle", "--in", "screen"]).exits(0);
    let mut known = [false; 2];
    for cut in 1..bytes.len() / 64 {
        std::fs::write(&path, &bytes[..bytes.len() - cut * 64]).unwrap();
        let whole = Reader::open(std::fs::File::open(&path).unwrap()).map(|reader| reader.is_complete());
        let ran = home.run(&["search", "--no-cache", "needle", "--in", "screen"]);
        let none = home.run(&["search", "--no-cache", "-l", "-q", "not screen:needle"]);
        let found = ran.text().contains("the needle");
        known[usize::from(found)] = true;
        if whole.is_ok_and(|whole| whole) {
            // Its end is known by its signature, and only that is gone by which it is found.
            assert!(found && ran.code == Some(0), "{ran}");
            continue;
        }
        assert!(ran.code == Some(2) && ran.err.contains(&id), "{ran}");
        assert!(none.out.is_empty() && none.code == Some(if found { 1 } else { 2 }), "{none}");
    }
    assert_eq!(known, [true; 2]);
}

#[test]
fn the_cache_changes_no_answer_and_is_not_kept_when_it_is_not_wanted() {
    let home = Home::new();
    home.record(&Recording::default());
    let cache = home.path(".local/share/sealcast/cache/index-keys");
    let first = home.run(&["search", "--no-cache", "minute"]).exits(0).text();
    assert!(!cache.exists());
    for _ in 0..2 {
        assert_eq!(home.run(&["search", "minute"]).exits(0).text(), first);
        assert!(cache.exists());
    }
    std::fs::write(&cache, b"no cache at all").unwrap();
    assert_eq!(home.run(&["search", "minute"]).exits(0).text(), first);
}

#[test]
fn hostile_queries_end_with_a_clear_error() {
    let home = Home::new();
    home.record(&Recording::default());
    for (args, what) in [
        (&["search", ""][..], "the pattern is empty"),
        (&["search", "-e", "foo(bar"], "no regular expression"),
        (&["search", "-e", "(((a{100}){100}){100}){100}"], "too much memory"),
        (&["search", "-e", "x*"], "matches an empty line"),
        (&["search", "-q", "foo and"], "the query ends where"),
        (&["search", "-q", "colour:red"], "neither a field nor a condition"),
        (&["search", "x", "--since", "soon"], "not a time"),
        (&["search", "x", "--exit", "bad"], "an exit status is a number"),
        // Linux takes no longer argument; the library refuses a megabyte as well (a test beside it).
        (&["search", &"x".repeat(131_000)], "at most 4096 are searched for"),
    ] {
        home.run(args).exits(2).complains(what);
    }
    // What takes others for ever ends, on lines that were made for it.
    let line = format!("{}\r\n", "a".repeat(30_000));
    let events = vec![(0, Payload::Output(line.into_bytes())), (2000, Payload::Exit(0))];
    home.record(&Recording { start: 1_795_000_000_000, events, ..Recording::default() });
    for catastrophe in ["(a+)+(a|aa)+(a*)*b", "(x+x+)+y", "(.*)*[^a]{40}(a?){100}z", "(a|a?)+$b"] {
        home.run(&["search", "-e", catastrophe]).exits(1);
    }
    let place = home.run(&["search", "-e", "foo(bar"]);
    assert!(place.err.contains("in: foo(bar\nat:    ^\n"), "{place}");
    let mut command = home.command(&["search"]);
    command.arg(OsStr::from_bytes(b"abc\xff"));
    crate::home::ran(&mut command, &["search", "abc\\xff"]).exits(2).complains("no UTF-8");
}

#[test]
fn parts_of_a_session_without_a_terminal_begin_new_lines_as_the_whole_does() {
    let home = Home::new();
    let line = |n: u64| (n * 1000, Payload::Output(format!("line {n}\n").into_bytes()));
    let mut events: Vec<_> = (0..9).map(line).collect();
    events.push((9000, Payload::Exit(0)));
    home.record(&Recording { events, cols: 0, ..Recording::default() });
    let drawn = |args: &[&str]| {
        let cast = home.run(&[&["export", "last"], args].concat()).exits(0).text();
        let mut terminal = Terminal::new(80, 24);
        json(&cast).iter().filter(|line| line[1] == "o").for_each(|line| {
            let text = line[2].as_str().unwrap();
            assert!(!text.contains("\x1b[20h"), "{cast}");
            terminal.feed(text.as_bytes());
        });
        terminal.text()
    };
    let whole: Vec<String> = (0..9).map(|n| format!("line {n}")).collect();
    assert_eq!(drawn(&[]).trim_end(), whole.join("\n"));
    assert_eq!(drawn(&["--hits", "line 4", "--around", "2"]).trim_end(), whole[..7].join("\n"));
}

#[test]
fn the_parts_around_hits_are_exported_and_play_by_themselves() {
    let home = Home::new();
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let mut events = vec![(0, output("$ vim\r\n\x1b[?1049h\x1b[2J\x1b[Hfirst page"))];
    events
        .extend((1..60).map(|n| (n * 10_000, output(&format!("\x1b[Hpage {n}\x1b[K\x1b[3;1Hwhat stands")))));
    events.push((600_000, output("\x1b[?1049l$ the needle\r\n")));
    events.push((620_000, output("$ after\r\n")));
    events.push((630_000, Payload::Exit(0)));
    home.record(&Recording { events: events.clone(), ..Recording::default() });
    let export = |args: &[&str]| home.run(&[&["export", "last", "--hits"], args].concat());
    let cast = export(&["page 7"]).exits(0);
    let lines = json(&cast.text());
    assert!(cast.err.contains("1 hit in 1 part"), "{cast}");
    assert_eq!(lines[0]["version"], 3, "{cast}");
    assert_eq!((&lines[1][1], &lines[1][2]), (&"m".into(), &"1:10 screen: page 7".into()), "{cast}");
    // The screen as it stood five seconds before, then what was written.
    let mut terminal = Terminal::new(80, 24);
    let mut screens = Vec::new();
    for line in lines.iter().filter(|line| line[1] == "o") {
        terminal.feed(line[2].as_str().unwrap().as_bytes());
        screens.push(terminal.text());
    }
    let begins = |screen: &str, page: &str| screen.starts_with(&format!("{page}\n\nwhat stands\n"));
    assert!(begins(&screens[0], "page 6") && begins(&screens[screens.len() - 1], "page 7"), "{cast}");
    assert!(!cast.text().contains("page 8") && !cast.text().contains("needle"), "{cast}");
    let two = export(&["page 7|needle", "-e", "--around", "1"]).exits(0);
    let marks: Vec<String> = json(&two.text())
        .iter()
        .filter(|line| line[1] == "m")
        .map(|line| line[2].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(marks, ["1:10 screen: page 7", "10:00 screen: $ the needle"], "{two}");
    let text = export(&["needle", "--format", "text"]).exits(0).text();
    let program = "\n¶ [full-screen program]\n| page 59\n";
    assert!(text.contains("$ the needle") && text.matches("full-screen").count() == 1, "{text}");
    assert!(text.contains(program), "{text}");
    // It has ended before.
    let text = export(&["after", "--format", "text"]).exits(0).text();
    assert!(text.ends_with("\n$ vim\n$ the needle\n$ after\n"), "{text}");
    assert!(!text.contains("full-screen") && !text.contains("page 59"), "{text}");
    export(&["nothing like it"]).exits(1);
    export(&["foo(bar", "-e"]).exits(2).complains("no regular expression");
    export(&["needle", "--format", "commands"]).exits(2).complains("--hits takes parts of what was shown");

    // Of one that was not closed what is found is written all the same, and then what is not known is said.
    let start = Recording::default().start + 1000;
    let (_, torn) = home.record(&Recording { events, start, close: false, ..Recording::default() });
    let why =
        format!("{torn} could only in part be searched: it was not closed, and its last part is in no index");
    let ran = export(&["page 7"]).exits(2);
    assert!(ran.err.contains(&why), "{ran}");
    let marks = json(&ran.text()).into_iter().filter(|line| line[1] == "m").collect::<Vec<_>>();
    assert!(marks.len() == 1 && marks[0][2] == "1:10 screen: page 7", "{ran}");
    let ran = export(&["page 7", "--format", "text", "-o", "part.txt"]).exits(2);
    let kept = std::fs::read_to_string(home.path("part.txt")).unwrap();
    assert!(
        kept.contains("page 7") && ran.err.contains("wrote part.txt") && ran.err.contains(&why),
        "{kept}\n{ran}"
    );
    let ran = export(&["nothing like it"]).exits(2);
    let why = format!("{torn} could only in part be searched, and nothing was found: it was not closed");
    assert!(ran.err.contains(&why), "{ran}");
    // So it is where many are searched.
    let ran = home.run(&["search", "nothing like it"]).exits(2);
    let why = format!("error: {torn} could only in part be searched: it was not closed");
    assert!(ran.err.contains(&why) && ran.err.contains("1 could not be searched whole"), "{ran}");
}

#[test]
fn a_part_that_begins_with_a_screen_of_which_not_all_was_drawn_says_so() {
    let home = Home::new();
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    let events = vec![
        (0, output("needle one\r\n")),
        (20_000, output(&"\x1b[2J".repeat(25_000))),
        (30_000, output("\x1b[2J\x1b[Hdrop\x1b[Ctable\x1b[Cusers")),
        (40_000, output("\x1bcneedle two\r\n")),
    ];
    home.record(&Recording { events, ..Recording::default() });
    let note = "from here on not all is drawn: it would have cost too much";
    let export = |format: &str| {
        home.run(&["export", "last", "--hits", "needle", "--around", "5", "--format", format]).exits(2)
    };
    let text = export("text");
    let at = text.text().find(&format!("[{note}]\n"));
    assert!(at > text.text().find("needle one") && at < text.text().find("needle two"), "{text}");
    assert!(text.err.contains("not all is drawn: it would have cost too much"), "{text}");
    // What draws the part begins with the wrong screen.
    for format in ["cast", "json"] {
        let told = export(format);
        let at = told.text().find(note);
        assert!(at > told.text().find("needle one") && at < told.text().find("needle two"), "{told}");
    }
}

/// Every other command that reads takes an identity with `-i`.
#[test]
fn a_search_for_the_name_of_an_identity_says_what_i_is() {
    const TOLD: &str = "note: -i is ignore case here; --identity FILE opens with a key";
    let home = Home::new();
    home.record(&Recording::default());
    std::fs::write(home.path("other.txt"), b"no matter what").unwrap();
    let ran = home.run(&["search", "-i", "other.txt"]).exits(1);
    assert!(ran.err.contains(TOLD) && ran.out.is_empty(), "{ran}");
    let ran = home.run(&["search", "after", "-i", "other.txt"]).exits(2).complains("unexpected argument");
    assert!(ran.err.contains(TOLD.trim_start_matches("note: ")), "{ran}");
    for words in [&["search", "-i", "another.txt"][..], &["search", "other.txt"], &["search", "-i", "AFTER"]]
    {
        let ran = home.run(words);
        assert!(!ran.err.contains("--identity"), "{ran}");
    }
    // A text that is found was no mistake.
    std::fs::write(home.path("minute"), b"no matter what").unwrap();
    let ran = home.run(&["search", "-i", "minute"]).exits(0);
    assert!(!ran.err.contains("--identity"), "{ran}");
}

#[test]
fn a_time_between_which_nothing_lies_is_refused_and_one_to_come_is_said_to_be_that() {
    let home = Home::new();
    home.record(&Recording::default());
    let nothing = "the first is not before the second";
    for (since, until) in [("15:00", "14:00"), ("14:00", "14:00"), ("2026-11-23", "2026-11-22 23:59")] {
        let flags = ["--since", since, "--until", until];
        for command in [&["ls"][..], &["search", "minute"]] {
            let ran = home.run(&[command, &flags].concat()).exits(2).complains(nothing);
            assert!(ran.err.contains("--since and --until"), "{ran}");
        }
        for query in
            ["minute since:\"S\" until:\"U\"", "(until:\"U\" and minute and since:\"S\") or user:bob"]
        {
            let query = query.replace('S', since).replace('U', until);
            let ran = home.run(&["search", "-q", &query]).exits(2).complains(nothing);
            assert!(ran.err.contains("`since:` and `until:`"), "{ran}");
        }
    }
    // Either of them is no interval.
    home.run(&["search", "-q", "minute (since:2026-11-20 or until:2026-11-19)"]).exits(0);
    home.run(&["search", "minute", "--since", "2026-11-22", "--until", "2026-11-23"]).exits(0);
    for (args, code) in [
        (&["ls", "--since", "2999-01-01"][..], 0),
        (&["search", "minute", "--since", "2999-01-01"], 1),
        (&["search", "minute", "--from", "2999-01-01"], 1),
    ] {
        let ran = home.run(args).exits(code);
        let told = format!("note: {} `2999-01-01` is still to come", args[args.len() - 2]);
        assert!(ran.err.contains(&told), "{ran}");
    }
}
