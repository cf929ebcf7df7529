//! The reader and the second implementation, written from the document of the format, side by side: what one refuses, the other
//! does not read. Where the second one cannot run, nothing is compared.

use crate::forge::{self, CHECK, CLOSES, DATA, FINAL, Forge, SEG};
use crate::sample::{self, Fleet};
use crate::second::{second_commands_of_many, second_reader_of_many};
use crate::{OPEN_END, changes, damage, read, recordings};
use sealcast::cast::{Command, Exec, Payload, Source, Trust};
use sealcast::container::verify::{Origin, Verdict, verify};
use sealcast::container::{self, Entry, GivenUp, LeftOut, Reader, frame};
use sealcast::search;
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use std::io::Cursor as Bytes;

#[test]
fn no_change_of_a_frame_makes_the_second_implementation_give_less_in_silence() {
    let fleet = Fleet::new("web-3");
    let mut wrong = Vec::new();
    for (name, recorded) in recordings(&fleet) {
        let all = changes(&recorded.bytes);
        let mut files: Vec<&[u8]> = all.iter().map(|change| change.bytes.as_slice()).collect();
        files.push(&recorded.bytes);
        let Some(mut told) = second_reader_of_many(&files, &recorded.root) else { return };
        let (good, whole) = told.pop().unwrap();
        assert!(good && whole.contains(OPEN_END) == (name == "torn"), "{name}: {whole}");
        for (change, (good, text)) in all.iter().zip(told) {
            let what = format!("{name}, {}", change.what);
            if good && text != whole && !text.contains(OPEN_END) {
                wrong.push(format!("{what}: {} of {} lines", text.lines().count(), whole.lines().count()));
            }
            if !good && !text.starts_with("error: ") {
                wrong.push(format!("{what}: {text}"));
            }
            // By its end, a recording is opened without a look at what its other checkpoints say.
            let (_, fault, complete) = read(&change.bytes, recorded.root, false);
            if good != fault.is_none() && (good || !complete) {
                let (theirs, ours) =
                    (text.lines().last().unwrap_or_default(), fault.unwrap_or("all well".into()));
                wrong.push(format!("{what}: {theirs}, and not {ours}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// What the second implementation says of a segment that does not hold what was sealed of it.
const FEWER: &str = "is not what its index entry says";

/// What a recording must not be, whoever signed it, and what the second implementation says of it.
fn refused(fleet: &Fleet) -> Vec<(Vec<u8>, &'static str)> {
    let begin = || Forge::begin([5; 32], &fleet.host, &fleet.name, &[]);
    let zstd = |text: &str| zstd::bulk::compress(text.as_bytes(), 3).unwrap();
    let closed = |text: &str, entry: &str| {
        let mut forge = begin();
        let entry = entry.replace("HERE", &forge.bytes.len().to_string());
        forge.data(SEG, &zstd(text));
        forge.index(&forge::packed(entry.as_bytes(), &[]));
        forge.check(CLOSES | FINAL);
        forge.finish();
        forge.bytes
    };
    let header = |from: &str, to: &str| {
        let mut forge = begin();
        forge.segment(0, "whole", CLOSES | FINAL);
        forge.finish();
        let mut chunks = damage::split(&forge.bytes);
        let text = std::str::from_utf8(&chunks[0][frame::FRAME_LEN..]).unwrap().replacen(from, to, 1);
        chunks[0] = forge::chunk(chunks[0][2], 0, 0, text.as_bytes());
        damage::join(&chunks)
    };
    let clocks = "[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";
    let line = "[1,\"o\",\"whole\"]\n";
    let typed = "[1,\"i\",\"ls\"]\n[0,\"b\",\"e:/w==\"]\n[0,\"b\",\"i:/w==\"]\n";
    let comment = ["#".repeat((1 << 20) - 1), "\n".to_owned()].concat();
    let entry = r#"{"offset":HERE,"end":1000,"raw":5}"#;
    vec![
        (closed(&[clocks, line].concat(), entry), "ok"),
        // An empty line and a comment are no events.
        (closed(&["\n# so\n", clocks, line].concat(), entry), "ok"),
        (closed(&[clocks, line, typed].concat(), r#"{"offset":HERE,"end":2000,"raw":6,"input":3}"#), "ok"),
        (closed(&[clocks, line].concat(), r#"{"offset":HERE,"end":1000,"raw":6}"#), FEWER),
        (closed(&[clocks, line].concat(), r#"{"offset":HERE,"end":1001,"raw":5}"#), FEWER),
        (closed(&[clocks, line].concat(), r#"{"offset":HERE,"end":1000,"raw":5,"input":1}"#), FEWER),
        (closed(&[clocks, line].concat(), r#"{"offset":16,"end":1000,"raw":5}"#), FEWER),
        (closed(&[line, clocks].concat(), "{}"), "without its clocks"),
        (closed(&[clocks, line.trim_end()].concat(), "{}"), "in the middle of its text"),
        (closed(clocks, &format!("{{}}{}", " ".repeat(16 << 20))), "more than 16777216 bytes"),
        (closed(&[clocks, "#", &"#".repeat(8 << 20)].concat(), "{}"), "a line of more than 8388608 bytes"),
        (
            closed(&[clocks, "#", &"#".repeat(8 << 20), "\n"].concat(), "{}"),
            "a line of more than 8388608 bytes",
        ),
        (closed(&[clocks, &comment.repeat(257)].concat(), "{}"), "a segment of more than 268435456 bytes"),
        (closed(clocks, "{"), "the index entry is malformed"),
        (header("{", r#"{"host":"web-3","#), "appears twice"),
        (header("{", r#"{"other":1,"other":2,"#), "is not what was sealed"),
        (header("chacha20poly1305", "none"), "a cipher or compression"),
        (header("\"zstd\"", "\"xz\""), "a cipher or compression"),
    ]
}

#[test]
fn both_implementations_refuse_what_the_format_refuses() {
    let fleet = Fleet::new("web-3");
    let cases = refused(&fleet);
    for (bytes, expected) in &cases {
        let (_, fault, _) = read(bytes, [5; 32], false);
        assert_eq!(fault.is_none(), *expected == "ok", "{expected}: {fault:?}");
    }
    let files: Vec<&[u8]> = cases.iter().map(|(bytes, _)| bytes.as_slice()).collect();
    let Some(told) = second_reader_of_many(&files, &[5; 32]) else { return };
    for ((_, expected), (good, said)) in cases.iter().zip(told) {
        let told = if good {
            said.contains("whole")
        } else {
            said.starts_with("error: ") && said.contains(expected)
        };
        assert!(good == (*expected == "ok") && told, "{expected}: {said}");
    }
}

#[test]
fn both_implementations_say_the_same_of_a_recording_that_ends_in_zeros() {
    let fleet = Fleet::new("web-3");
    let torn = damage::small(&fleet, "open", false);
    let holed = |n: usize| [torn.bytes[..torn.bytes.len() - n].to_vec(), vec![0; n]].concat();
    // Over the end of the last chunk but one, and as a part of what is in it may be zeros of its own.
    let cases: Vec<Vec<u8>> = (1..130).map(holed).collect();
    let files: Vec<&[u8]> = cases.iter().map(Vec::as_slice).collect();
    let Some(told) = second_reader_of_many(&files, &torn.root) else { return };
    for (n, (bytes, (good, said))) in (1..).zip(cases.iter().zip(told)) {
        let (_, fault, complete) = read(bytes, torn.root, false);
        assert_eq!(good, fault.is_none(), "{n} zeros: {said}, {fault:?}");
        assert!(!complete && (n < 4 || good && said.contains(OPEN_END)), "{n} zeros: {said}");
    }
}

#[test]
fn both_implementations_say_the_same_of_what_stands_behind_the_beginning_of_a_chunk() {
    let fleet = Fleet::new("web-3");
    let torn = damage::small(&fleet, "open", false);
    let begun =
        frame::bound(frame::Kind::Seg, 0, 1 << 20, u32::try_from(damage::split(&torn.bytes).len()).unwrap());
    let whole = forge::chunk(DATA, 0, 7, b"x");
    let mut wrong = whole.clone();
    wrong[frame::BOUND_LEN] ^= 1;
    let with = |wrongs: usize, wholes: usize| {
        [&torn.bytes[..], &begun, &[9; 4], &wrong.repeat(wrongs), &whole.repeat(wholes)].concat()
    };
    let (none, whole, many) = ("", "but others stand behind it", "but more than 64 frames stand behind it");
    let cases = [
        (with(0, 0), none),
        (with(64, 0), none),
        (with(65, 0), many),
        (with(3, 1), whole),
        (with(63, 1), whole),
        (with(64, 1), many),
    ];
    let files: Vec<&[u8]> = cases.iter().map(|(bytes, _)| bytes.as_slice()).collect();
    let told = second_reader_of_many(&files, &torn.root);
    for (number, (bytes, expected)) in cases.iter().enumerate() {
        let verdict = verify(Bytes::new(bytes), |_| Origin::Trusted(String::new()), |_| ()).unwrap().verdict;
        let (_, fault, _) = read(bytes, torn.root, false);
        let (altered, said) = match &verdict {
            Verdict::Altered { what, .. } => (true, what.as_str()),
            _ => (false, ""),
        };
        assert!(altered != expected.is_empty() && said.contains(expected), "{number}: {verdict:?}");
        assert_eq!(fault.is_some(), altered, "{number}: {fault:?}");
        assert!(fault.unwrap_or_default().contains(expected), "{number}: {expected}");
        let Some((good, text)) = told.as_ref().map(|told| &told[number]) else { continue };
        assert_eq!(*good, !altered, "{number}: {text}");
    }
}

#[test]
fn both_implementations_say_the_same_of_a_recording_that_is_cut_anywhere_in_its_last_bytes() {
    let fleet = Fleet::new("web-3");
    for (name, recorded) in recordings(&fleet) {
        let bytes = &recorded.bytes;
        let check = damage::split(bytes).iter().rposition(|chunk| chunk[2] == CHECK).unwrap();
        let signed = damage::places(bytes)[check + 1].1;
        // More than table, trailer and final checkpoint take, of which the table has a row for each segment.
        let cuts: Vec<usize> = (signed.min(bytes.len() - 200) - 200..=bytes.len()).collect();
        let files: Vec<&[u8]> = cuts.iter().map(|length| &bytes[..*length]).collect();
        let Some(told) = second_reader_of_many(&files, &recorded.root) else { return };
        for (length, (good, text)) in cuts.into_iter().zip(told) {
            let mut reader = Reader::open(Bytes::new(&bytes[..length])).unwrap();
            reader.unlock(recorded.root).unwrap();
            let ours = String::from_utf8(sample::cast_of(&mut reader)).unwrap();
            assert!(good, "{name}, {length}: {text}");
            assert_eq!(text, ours, "{name}, {length} of {} bytes", bytes.len());
            let whole = name != "torn" && length >= signed;
            assert_eq!(!ours.contains(OPEN_END), whole, "{name}, {length}: signed to {signed}\n{ours}");
        }
    }
}

/// A recording that was not closed, of segments with these entries.
fn with_entries(fleet: &Fleet, entries: &[Entry]) -> Forge {
    let mut forge = Forge::begin([5; 32], &fleet.host, &fleet.name, &[]);
    for (number, entry) in (0..).zip(entries) {
        let mut entry = Entry { segment: number, offset: forge.bytes.len() as u64, ..entry.clone() };
        entry.tally.utc = 5;
        forge.data(SEG, &zstd::bulk::compress(CLOCKS.as_bytes(), 3).unwrap());
        forge.index(&forge::packed(&serde_json::to_vec(&entry).unwrap(), &[]));
        forge.check(CLOSES);
    }
    forge
}

const CLOCKS: &str = "[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";

/// What is in no index has the end of what is in one.
#[test]
fn a_command_is_not_said_to_run_when_the_shell_told_of_its_end_in_the_part_that_has_no_entry() {
    let fleet = Fleet::new("web-3");
    let of_shell = |text: &str, start| Command {
        text: text.into(),
        start,
        source: Source::Shell,
        trust: Trust::Told,
        ..Command::default()
    };
    let first = Entry { running: vec![of_shell("tail -f x", 1)], ..Entry::default() };
    let end = Mark::End { status: Some(130), pipe: Vec::new(), cancelled: false };
    let start = |text: &str| Mark::Start(Start { text: Some(text.into()), ..Start::default() });
    for (marks, expected) in [
        (vec![end.clone(), start("vi"), end.clone()], (Some(2000), Some(130))),
        (vec![start("vi"), end], (None, None)),
    ] {
        let mut forge = with_entries(&fleet, std::slice::from_ref(&first));
        let mut text = CLOCKS.to_owned();
        for mark in marks {
            let Some(Payload::Other { code, data }) = Said::Mark(mark).kept() else { panic!() };
            text += &format!("{}\n", serde_json::json!([2, code, data]));
        }
        forge.data(SEG, &zstd::bulk::compress(text.as_bytes(), 3).unwrap());
        forge.check(0);
        let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
        reader.unlock([5; 32]).unwrap();
        let vi = search::retold(&mut reader);
        assert_eq!((vi.len(), vi[0].text.as_str()), (1, "vi"));
        let [tail] = reader.entries()[0].running.as_slice() else { panic!("{:?}", reader.entries()) };
        assert_eq!((tail.end, tail.exit), expected);
    }
}

#[test]
fn both_implementations_list_the_same_commands_that_had_not_ended() {
    let exec = |pid: u32, argument: &str| Exec {
        time: u64::from(pid) + 10,
        pid,
        path: "/bin/cp".into(),
        argv: vec!["cp".into(), argument.into()],
        ..Exec::default()
    };
    let command = |text: &str, execs: &[Exec]| Command {
        text: text.into(),
        start: 5,
        execs: execs.to_vec(),
        ..Command::default()
    };
    let runs = |running: &[Command]| Entry { running: running.to_vec(), ..Entry::default() };
    let cut = |running: &[Command]| {
        let running_left_out = LeftOut { programs: 1, ..LeftOut::default() };
        Entry { running_left_out, ..runs(running) }
    };
    let none = |given_up| Entry { given_up: Some(given_up), ..Entry::default() };
    let (long, short, other) = (exec(7, "/etc/shadow"), exec(7, "… 12 more bytes"), exec(9, "x"));
    let evil = |execs: &[Exec]| command("evil", execs);
    let first = || runs(&[evil(&[long.clone(), exec(8, "y")]), command("vi", &[])]);
    let ended = |entry: Entry| Entry { commands: vec![Command { end: Some(9), ..evil(&[]) }], ..entry };
    let fleet = Fleet::new("web-3");
    let cases: Vec<(&str, Vec<Entry>, usize, usize)> = vec![
        ("whole", vec![first()], 2, 2),
        ("no more", vec![first(), runs(&[])], 0, 0),
        ("late", vec![first(), none(GivenUp::Late)], 2, 2),
        ("failed, twice", vec![first(), none(GivenUp::Failed), none(GivenUp::Failed)], 2, 2),
        ("a flood", vec![first(), none(GivenUp::Flood)], 0, 0),
        ("late, and one has ended", vec![first(), ended(none(GivenUp::Late))], 2, 0),
        (
            "late, and one has ended and is said to run",
            vec![first(), ended(Entry { given_up: Some(GivenUp::Late), ..runs(&[evil(&[])]) })],
            2,
            0,
        ),
        ("left out", vec![first(), cut(&[])], 2, 2),
        ("left out, and one has ended", vec![first(), ended(cut(&[]))], 2, 0),
        ("fewer programs", vec![first(), cut(&[evil(std::slice::from_ref(&short))])], 2, 2),
        (
            "shorter and more",
            vec![first(), cut(&[evil(&[short.clone(), exec(8, "y"), other.clone()])])],
            2,
            3,
        ),
        ("others", vec![first(), cut(&[evil(std::slice::from_ref(&other))])], 2, 3),
        ("left out, then whole", vec![first(), cut(&[]), runs(&[evil(&[short])])], 1, 1),
        ("left out, then late", vec![first(), cut(&[command("x", &[other])]), none(GivenUp::Late)], 3, 3),
    ];
    let files: Vec<_> = cases.iter().map(|(_, entries, ..)| with_entries(&fleet, entries).bytes).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let theirs = second_commands_of_many(&files, &[5; 32]);
    for (number, (what, _, commands, programs)) in cases.into_iter().enumerate() {
        let mut reader = Reader::open(Bytes::new(files[number])).unwrap();
        reader.unlock([5; 32]).unwrap();
        let listed = container::commands(reader.entries());
        let all = listed.iter().map(|command| command.execs.len()).sum::<usize>();
        assert_eq!((listed.len(), all), (commands, programs), "{what}: {listed:?}");
        let Some((good, text)) = theirs.as_ref().map(|theirs| &theirs[number]) else { continue };
        let mut ours: Vec<_> = listed.iter().map(|command| serde_json::to_value(command).unwrap()).collect();
        let mut theirs: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        ours.sort_by_key(ToString::to_string);
        theirs.sort_by_key(ToString::to_string);
        assert!(*good && ours == theirs, "{what}: {ours:?}\n{text}");
    }
}
