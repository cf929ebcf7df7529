//! Writes the golden recordings of a format version, once: `cargo run --example golden -- fixtures/v1`.
//!
//! They are the promise that later versions read what this one wrote. Refuses to touch a folder that exists: golden
//! recordings are never made anew.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/damage.rs"]
mod damage;
#[path = "../tests/support/forge.rs"]
mod forge;
#[path = "../tests/support/sample.rs"]
mod sample;

use sample::{Fleet, Step, gap, out, record};
use sealcast::cast::{Command, Exec, Header as CastHeader, Payload, Source, Trust};
use sealcast::container::{Reader, SlotKind};
use sealcast::crypto::sshsig::Signer;
use std::io::Cursor as Bytes;
use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1).expect("the folder to write to");
    let folder = Path::new(&folder);
    std::fs::create_dir(folder).expect("a new folder");
    let fleet = Fleet::new("web-3");
    let person = Signer::generate("investigator").unwrap();
    let mut by_ssh = Fleet::new("web-3");
    by_ssh.recipients = vec![person.host_key().to_string().parse().unwrap()];
    by_ssh.host = Signer::from_openssh(&fleet.host.to_openssh().unwrap()).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write(
        "identity.txt",
        format!("# Opens the golden recordings and nothing else.\n{}\n", fleet.identity).as_bytes(),
    );
    write(
        "searcher.txt",
        format!("# Opens the index of one golden recording.\n{}\n", fleet.searcher).as_bytes(),
    );
    write("ssh_identity", person.to_openssh().unwrap().as_bytes());
    write("known_hosts", format!("web-3 {}\n", fleet.host.host_key()).as_bytes());

    let screen = || CastHeader::new(80, 24);
    let (root, index, period) = (SlotKind::Root, SlotKind::Index, SlotKind::Period);
    let mut table = String::from("# name\tidentity\tverdict\twhat is in it\n");
    let mut add = |fleet: &Fleet,
                   name: &str,
                   what: &str,
                   kinds: &[SlotKind],
                   cast,
                   steps: &[Step],
                   tear: Option<usize>| {
        let identity = if fleet.recipients == by_ssh.recipients { "ssh_identity" } else { "identity.txt" };
        let mut recorded = record(fleet, kinds, cast, steps, tear.is_none());
        let cut = recorded.bytes.len() - tear.unwrap_or(0);
        recorded.bytes.truncate(cut);
        let mut reader = Reader::open(Bytes::new(&recorded.bytes)).unwrap();
        reader.unlock(recorded.root).unwrap();
        let cast = sample::cast_of(&mut reader);
        write(&format!("{name}.scast"), &recorded.bytes);
        write(&format!("{name}.cast"), &cast);
        let told = sample::told_of(&reader);
        if !told.is_empty() {
            write(&format!("{name}.commands"), told.as_bytes());
        }
        let verdict = damage::verdict(&sample::judge(&recorded.bytes, &fleet.known()));
        table.push_str(&format!("{name}\t{identity}\t{verdict}\t{what}\n"));
    };
    add(&fleet, "terminal", "a terminal, resized, in three segments", &[root], screen(), &terminal(), None);
    add(&fleet, "pipes", "no terminal: three streams", &[root], CastHeader::new(0, 0), &pipes(), None);
    add(
        &fleet,
        "bytes",
        "bytes that are not UTF-8, characters cut in two",
        &[root],
        screen(),
        &bytes(),
        None,
    );
    add(&fleet, "gaps", "gaps, withheld input, unknown events", &[root], screen(), &gaps(), None);
    add(
        &fleet,
        "index-slot",
        "an index key for those who may search",
        &[root, index],
        screen(),
        &terminal(),
        None,
    );
    add(&fleet, "period-slot", "the key of a longer period", &[period], screen(), &terminal(), None);
    add(&by_ssh, "ssh-recipient", "sealed to an SSH key", &[root], screen(), &terminal(), None);
    add(&fleet, "commands", "commands and programs in the index", &[root], screen(), &commands(), None);
    add(&fleet, "empty", "nothing happened", &[root], screen(), &[], None);
    add(
        &fleet,
        "never-closed",
        "the recorder was killed between two writes",
        &[root],
        screen(),
        &terminal(),
        Some(0),
    );
    add(&fleet, "torn", "the recorder was killed while writing", &[root], screen(), &terminal(), Some(50));
    write("verdicts.tsv", table.as_bytes());
    print!("{table}");
}

fn terminal() -> Vec<Step> {
    let prompt = "\u{1b}]0;root@web-3\u{7}\u{1b}[1;31mroot@web-3\u{1b}[0m:~# ";
    vec![
        out(3, prompt),
        Step::At(800, Payload::Input(b"ls\r".to_vec())),
        out(812, "ls\r\n"),
        out(815, "\u{1b}[01;34mbin\u{1b}[0m  日本語.txt  🦀\r\n"),
        out(816, prompt),
        Step::At(2400, Payload::Resize { cols: 120, rows: 40 }),
        Step::Cut(31_000),
        Step::At(31_000, Payload::Keyframe("\u{1b}c\u{1b}[1;31mroot@web-3\u{1b}[0m:~# ".into())),
        Step::At(31_500, Payload::Marker("before the change".into())),
        out(32_000, "vim /etc/fstab\r\n\u{1b}[?1049h\u{1b}[22;0;0t\u{1b}[1;1H"),
        out(33_250, "\u{1b}[?1049l"),
        Step::Cut(70_000),
        Step::At(70_000, Payload::Keyframe("\u{1b}c".into())),
        out(70_001, "exit\r\n"),
        Step::At(70_042, Payload::Exit(130)),
    ]
}

fn pipes() -> Vec<Step> {
    vec![
        Step::At(1, Payload::Input(b"input without an end".to_vec())),
        out(2, "one\ntwo\r\nthree\r"),
        out(3, "\nfour"),
        Step::At(4, Payload::ErrorOutput(b"warning: \xff\n".to_vec())),
        Step::At(1005, Payload::ErrorOutput("é".as_bytes()[..1].to_vec())),
        Step::At(1006, Payload::ErrorOutput("é".as_bytes()[1..].to_vec())),
        out(1007, "\n"),
        Step::At(1008, Payload::Exit(0)),
    ]
}

fn bytes() -> Vec<Step> {
    let crab = "🦀".as_bytes();
    let mut steps = vec![
        out(0, b"\0\x01\x7f\x1b[0m\"\\\x80\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80 \xe2\x82 end\r\n"),
        out(10, &crab[..1]),
        out(20, &crab[1..3]),
        Step::At(25, Payload::Marker("inside a character".into())),
        out(30, &crab[3..]),
        out(40, "\u{2028}\u{7f}\u{85}\u{feff}"),
        Step::At(50, Payload::Input(b"\xc3".to_vec())),
    ];
    let mut dice = sample::Dice(77);
    for n in 0..40 {
        let length = dice.below(90);
        steps.push(out(60 + n * 37, dice.bytes(length)));
    }
    steps.push(out(4000, &crab[..2]));
    steps
}

fn gaps() -> Vec<Step> {
    vec![
        out(0, "before"),
        Step::At(5, gap("queue-full", "output", 4096)),
        Step::At(6, Payload::Withheld(7)),
        Step::At(7, Payload::Other { code: "z".into(), data: "of a later version".into() }),
        Step::At(8, Payload::Resize { cols: 0, rows: 0 }),
        Step::At(
            900,
            Payload::Gap(sealcast::cast::Gap {
                why: "heartbeat".into(),
                of: String::new(),
                count: 0,
                note: String::new(),
                sha256: String::new(),
            }),
        ),
        out(901, "after"),
        Step::At(902, Payload::Exit(1)),
    ]
}

fn exec(times: (u64, Option<u64>), pids: (u32, u32), path: &str, argv: &[&str]) -> Exec {
    let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
    let (time, end) = times;
    let exit = end.map(|_| 0);
    Exec {
        time,
        pid: pids.0,
        ppid: pids.1,
        path: path.into(),
        argv,
        cwd: "/etc".into(),
        end,
        exit,
        ..Exec::default()
    }
}

/// Every column of the index, and every way in which a value is left out of it.
fn commands() -> Vec<Step> {
    let told = |text: &str, start, end, exit, execs| Command {
        text: text.into(),
        cwd: Some("/etc".into()),
        start,
        end,
        exit,
        source: Source::Shell,
        trust: Trust::Told,
        execs,
        ..Command::default()
    };
    let ls = exec((105, Some(109)), (900, 800), "/usr/bin/ls", &["ls", "-l", "/a b"]);
    let make = exec((2_004, Some(2_900)), (910, 800), "/usr/bin/make", &["make", "-s"]);
    let cc = exec((2_010, Some(2_050)), (911, 910), "/usr/bin/x86_64-linux-gnu-gcc-12", &["gcc", "x.c"]);
    let cc1 = exec((2_012, Some(2_040)), (912, 911), "/usr/lib/gcc/cc1", &["/usr/lib/gcc/cc1", "x.c"]);
    let cp =
        Exec { cwd: "/tmp".into(), ..exec((2_060, None), (913, 910), "/usr/bin/cp", &["cp", "", "日本"]) };
    let sudo = Exec {
        uid: 1000,
        exit: Some(137),
        ..exec((2_003, Some(2_800)), (914, 1), "/usr/bin/sudo", &["sudo", "x"])
    };
    let of_none = exec((1_999, Some(2_001)), (909, 800), "/usr/bin/git", &["git", "status"]);
    let memory = exec((2_070, Some(2_071)), (915, 911), "/memfd:x (deleted)", &[]);
    let pipe = Command { pipe: vec![0, 1], ..told("ls -l '/a b' | x", 100, Some(120), Some(1), vec![ls]) };
    let flags = vec!["script: make ran 2 programs: gcc, cc1".to_owned()];
    let make = Command {
        flags,
        ..told("make -s\n  # 二", 2_000, Some(2_950), Some(0), vec![make, cc, cc1, cp, memory])
    };
    let seen = Command {
        cwd: None,
        source: Source::Screen,
        trust: Trust::Inferred,
        ..told("vi x", 3_000, None, None, vec![])
    };
    let other = Command { cwd: Some("/tmp".into()), ..told("false", 4_000, Some(4_000), Some(1), vec![]) };
    vec![
        out(3, "root@web-3:~# "),
        Step::Told(vec![pipe, make], vec![of_none, sudo]),
        Step::Cut(2_960),
        out(3_000, "bye"),
        Step::Told(vec![seen, other], vec![]),
        Step::At(4_100, Payload::Exit(1)),
    ]
}
