//! What the commands make of damage that they are told of: each says so, and where.

use crate::forge::{CHECK, CLOSES, DATA, FINAL, INDEX, SEG, TABLE};
use crate::sample::{self, Fleet, Step};
use crate::{OPEN_END, damage, forged_end, mend_at, with_its_end};
use sealcast::cast::{Header as CastHeader, Payload};
use sealcast::container::SlotKind;
use sealcast::shell::marks::{Mark, Start};
use sealcast::shell::said::Said;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A store with one recording in it.
pub(super) struct Desk {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Desk {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("identity"), &*fleet.identity).unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        Self { path: dir.path().join("store/recording.scast"), dir }
    }

    /// What a command says of these bytes.
    pub(super) fn said(&self, bytes: &[u8], words: &[&str]) -> (i32, String) {
        std::fs::write(&self.path, bytes).unwrap();
        let done: Output = Command::new(env!("CARGO_BIN_EXE_sealcast"))
            .args(words)
            .args(["--identity", "identity"])
            .env_clear()
            .env("HOME", self.dir.path())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let said = [&done.stdout[..], &done.stderr].map(String::from_utf8_lossy).concat();
        (done.status.code().unwrap(), said)
    }
}

/// The first chunk of this type in a segment.
pub(super) fn of_segment(bytes: &[u8], number: usize, kind: u8) -> (usize, usize) {
    let places = damage::places(bytes);
    let begun = places.iter().skip(1).filter(|(start, _)| bytes[start + 2] == SEG).nth(number).unwrap().0;
    *places.iter().find(|(start, _)| *start >= begun && bytes[start + 2] == kind).unwrap()
}

/// The same in the second one.
fn of_second(bytes: &[u8], kind: u8) -> (usize, usize) {
    of_segment(bytes, 1, kind)
}

fn retyped(bytes: &[u8], start: usize, kind: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[start + 2] = kind;
    mend_at(&mut changed, start);
    changed
}

#[test]
fn no_command_passes_over_a_hole_in_silence() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let closed = damage::small(&fleet, "whole", true).bytes;
    let torn = damage::small(&fleet, "open", false).bytes;
    let holes = |bytes: &[u8]| {
        let (data, _) = of_second(bytes, DATA);
        let (seg, _) = of_second(bytes, SEG);
        let mut long = bytes.to_vec();
        long[data + 6] = 0x0f;
        let (_, end) = of_second(bytes, CHECK);
        let inside = damage::places(bytes).into_iter().filter(|(start, _)| (seg..end).contains(start));
        let passed_over = inside
            .filter(|(start, _)| matches!(bytes[start + 2], SEG | DATA))
            .fold(bytes.to_vec(), |changed, (start, _)| retyped(&changed, start, bytes[start + 2] | 0x80));
        [
            ("a length past the end", long),
            ("a piece of a table", retyped(bytes, data, TABLE)),
            ("a segment that is passed over", passed_over),
            ("a segment that does not begin", retyped(bytes, seg, DATA)),
        ]
    };
    for (name, bytes) in [("closed", &closed), ("torn", &torn)] {
        let path = "store/recording.scast";
        let searched = ["search", "--store", "store", "--in", "screen", "nowhere in it"];
        let (code, said) = desk.said(bytes, &searched);
        let whole = code == 1 && !said.contains("could not");
        let cut = code == 2 && said.contains("it was not closed: what came after");
        assert!(if name == "torn" { cut } else { whole }, "{name}: {code} {said}");
        for (hole, bytes) in holes(bytes) {
            for words in [
                &["export", "-f", "raw", path][..],
                &["export", "-f", "cast", path],
                &["export", "--hits", "nowhere in it", path],
                &["play", "--plain", "--speed", "10000", path],
                &searched,
            ] {
                let (code, said) = desk.said(&bytes, words);
                let told = said.contains("error: ") && said.contains("at byte ");
                assert!(code == 2 && told, "{name}, {hole}, {words:?}: {code} {said}");
            }
        }
    }
}

#[test]
fn what_is_exported_or_played_whole_goes_on_behind_a_hole_and_says_so_in_its_place() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut steps = damage::small_steps("whole");
    // Before the hole the first half of a character, in it another size; and so much that a keyframe is worth its place.
    steps.insert(5, sample::out(30_100, b"\xe2\x82"));
    steps.insert(7, Step::At(32_100, Payload::Resize { cols: 100, rows: 30 }));
    steps.insert(8, sample::out(32_200, "\x1b[K".repeat(4000)));
    let drawn = sample::drawn(&fleet, &steps).bytes;
    let undrawn = damage::small(&fleet, "whole", true).bytes;
    let path = "store/recording.scast";
    for (name, whole) in [("drawn", drawn), ("undrawn", undrawn)] {
        let mut bytes = whole.clone();
        let (start, end) = of_second(&whole, DATA);
        bytes[usize::midpoint(start, end)] ^= 1;
        let place = format!("damaged: here something could not be read: at byte {start} ");
        for words in [
            &["export", "-f", "cast", path][..],
            &["export", "-f", "cast2", path],
            &["export", "-f", "text", path],
            &["export", "-f", "json", path],
            &["play", "--plain", "--speed", "10000", path],
        ] {
            let (code, said) = desk.said(&bytes, words);
            let what = format!("{name}, {words:?}: {code} {said}");
            let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text}: {what}"));
            assert!(
                code == 2 && said.contains("error: store/recording.scast: not all of it could be read: "),
                "{what}"
            );
            assert!(at("whole 1.0") < at(&place) && at(&place) < at("whole 2.0"), "{what}");
            assert!(at("whole 2.0") < at("whole 3.2"), "{what}");
            // It is known only as it stood on the screen behind the hole.
            let stood = said.find("whole 1.2");
            assert_eq!(stood.is_some(), name == "drawn" && words[2] == "text", "{what}");
            assert!(stood.is_none_or(|stood| stood > at(&place)), "{what}");
            assert_eq!(said.matches("damaged: here").count(), 1, "{what}");
            assert!(!said.contains(OPEN_END) && !said.contains("could not be read\""), "{what}");
            // What stood on the screen is known where its segment begins with it, and the size of the screen.
            let blind = said.matches("damaged: nor is the screen known").count();
            assert_eq!(blind, usize::from(name == "undrawn"), "{what}");
            let emptied = name == "undrawn" && words[2].starts_with("cast");
            assert_eq!(said.contains(r#""o","\u001bc"]"#), emptied, "{what}");
            let of_cast = name == "drawn" && words[2].starts_with("cast");
            assert_eq!(said.contains(r#""r","100x30"]"#), of_cast, "{what}");
        }
        // Nothing in raw output could say so: it ends there.
        let (code, said) = desk.said(&bytes, &["export", "-f", "raw", path]);
        assert!(
            code == 2 && said.contains("whole 1.0") && !said.contains("whole 2.0"),
            "{name}: {code} {said}"
        );
        assert!(said.contains(" only: at byte "), "{name}: {said}");
    }
}

/// What was begun before it and ended inside would take all that comes behind it.
#[test]
fn without_a_terminal_nothing_of_what_stood_before_a_hole_goes_on_behind_it() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut steps = damage::small_steps("whole");
    steps.insert(5, sample::out(30_100, "\x1b]0;tit"));
    let none = CastHeader::new(0, 0);
    let mut bytes = sample::record(&fleet, &[SlotKind::Root], none, &steps, true).bytes;
    let (start, end) = of_second(&bytes, DATA);
    bytes[usize::midpoint(start, end)] ^= 1;
    let path = "store/recording.scast";
    for words in [
        &["export", "-f", "text", path][..],
        &["export", "-f", "cast", path],
        &["play", "--plain", "--speed", "10000", path],
    ] {
        let (code, said) = desk.said(&bytes, words);
        let told = said.contains("damaged: nor is the screen known");
        assert!(code == 2 && told && said.contains("whole 2.0"), "{words:?}: {code} {said}");
        assert_eq!(said.contains(r#""o","\u001bc"]"#), words[2] == "cast", "{words:?}: {said}");
    }
}

#[test]
fn an_exported_part_goes_on_behind_a_hole_and_says_so() {
    const DAMAGED: &str = "damaged: here something could not be read: at byte ";
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let whole = damage::small(&fleet, "whole", true).bytes;
    let mut holed = whole.clone();
    let (start, end) = of_second(&whole, DATA);
    holed[usize::midpoint(start, end)] ^= 1;
    let export = |bytes: &[u8], hit: &str, around: &str, format: &str| {
        let words = ["export", "--hits", hit, "--around", around, "-f", format, "store/recording.scast"];
        desk.said(bytes, &words)
    };
    for format in ["text", "json", "cast", "raw"] {
        let told = format != "raw";
        // Up to the third segment, over the hole in the second one.
        let (code, said) = export(&whole, "whole 0.0", "60", format);
        assert!(code == 0 && said.contains("whole 2.0") && !said.contains(DAMAGED), "{format}: {said}");
        let (code, said) = export(&holed, "whole 0.0", "60", format);
        assert!(code == 2 && said.contains("whole 0.2"), "{format}: {code} {said}");
        assert!(said.contains("`sealcast verify` says how much of it is good"), "{format}: {said}");
        assert_eq!((said.contains(DAMAGED), said.contains("whole 2.0")), (told, told), "{format}: {said}");
        let (code, said) = export(&holed, "whole 0.1", "1", format);
        let in_part = said.contains("could only in part be searched");
        assert!(code == 2 && in_part && !said.contains(DAMAGED), "{format}: {code} {said}");
        assert!(said.contains("`sealcast verify` says how much of it is good"), "{format}: {said}");
    }
    // What is shown behind it begins with the screen, where that is known.
    let mut steps = damage::small_steps("whole");
    steps.insert(6, sample::out(33_000, "\x1b[K".repeat(4000)));
    let whole = sample::drawn(&fleet, &steps).bytes;
    let mut holed = whole.clone();
    let (start, end) = of_second(&holed, DATA);
    holed[usize::midpoint(start, end)] ^= 1;
    for format in ["text", "json", "cast"] {
        let (code, said) = export(&holed, "whole", "1", format);
        let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{format}: {text}: {said}"));
        assert!(
            code == 2 && at("whole 1.0") < at(DAMAGED) && at(DAMAGED) < at("whole 2.0"),
            "{format}: {said}"
        );
        assert!(at("whole 2.0") < at("whole 3.2") && said.matches(DAMAGED).count() == 1, "{format}: {said}");
        // The one that begins inside the hole has none; what was met on its way is no matter of the next one.
        assert_eq!(said.matches("nor the screen").count(), 1, "{format}: {said}");
    }
    // A hit behind the hole that is nearer to it than what is kept around one, and one in the same part as one before it.
    for (hit, around) in [("whole 2.0", "20"), ("whole 2.0", "27"), ("whole", "30")] {
        for format in ["text", "json", "cast", "raw"] {
            let (code, said) = export(&holed, hit, around, format);
            let all = ["whole 2.0", "whole 2.2", "whole 3.0"].map(|text| said.contains(text));
            assert_eq!((code, all), (2, [true, true, hit == "whole"]), "{format}: {said}");
            // What is missing stands before the first of these parts.
            let told = format != "raw" && around != "20";
            assert_eq!(said.matches(DAMAGED).count(), usize::from(told), "{format}: {said}");
        }
    }
    // Where only an entry is damaged, all is there that was shown.
    let mut entry = whole.clone();
    let (start, end) = of_second(&whole, INDEX);
    entry[usize::midpoint(start, end)] ^= 1;
    for format in ["text", "json", "cast", "raw"] {
        let (code, said) = export(&entry, "whole 1.0", "30", format);
        assert!(code == 2 && said.contains("whole 0.2") && said.contains("whole 2.0"), "{format}: {said}");
        let of_entry =
            said.contains("damaged: what stands before this could be read, its entry in the index could not");
        assert_eq!((of_entry, said.contains(DAMAGED)), (format != "raw", false), "{format}: {said}");
        assert!(!said.contains("nor the screen"), "{format}: {said}");
    }
    // Where it was not closed, that is said at the end of a part that reaches so far.
    let torn = damage::small(&fleet, "open", false).bytes;
    for (hit, told) in [("open 3.0", true), ("open 1.0", false)] {
        let (code, said) = export(&torn, hit, "8", "text");
        // There may be more of it in the last part.
        assert!(code == 2 && said.contains(hit), "{hit}: {code} {said}");
        assert_eq!(said.contains(OPEN_END), told, "{hit}: {said}");
    }
}

#[test]
fn of_a_segment_that_has_all_its_entry_counts_nothing_is_said_to_be_missing() {
    const MISSING: &str = "damaged: here something could not be read: ";
    const ALL_THERE: &str =
        "damaged: what stands before this could be read, but something is wrong with it: at byte ";
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let whole = damage::small(&fleet, "whole", true).bytes;
    let path = "store/recording.scast";
    // What closes the second one, as the recorder wrote it.
    let mut check = whole.clone();
    let closes = |(start, _): &(usize, usize)| whole[start + 2] == CHECK && whole[start + 3] & CLOSES != 0;
    let (start, end) = damage::places(&whole).into_iter().skip(1).filter(closes).nth(1).unwrap();
    check[usize::midpoint(start, end)] ^= 1;
    // A piece of it is gone, and the end says where all the others stand now.
    let (start, _) = of_second(&whole, DATA);
    let at = damage::places(&whole).iter().skip(1).position(|place| place.0 == start).unwrap();
    let mut chunks = damage::split(&whole);
    chunks.remove(at);
    let gone = with_its_end(&chunks);
    for (what, bytes, missing, all_there) in
        [("its checkpoint", &check, 0, 1), ("a piece", &gone, 1, 2), ("nothing", &whole, 0, 0)]
    {
        for words in [
            &["export", "-f", "text", path][..],
            &["export", "-f", "cast", path],
            &["export", "-f", "json", path],
            &["export", "-f", "text", "--hits", "whole", "--around", "300", path],
            &["play", "--plain", "--speed", "10000", path],
        ] {
            let (code, said) = desk.said(bytes, words);
            let told = (said.matches(MISSING).count(), said.matches(ALL_THERE).count());
            assert_eq!(
                (code == 0, told),
                (what == "nothing", (missing, all_there)),
                "{what}, {words:?}: {said}"
            );
            for text in ["whole 0.2", "whole 1.0", "whole 2.0", "whole 2.2", "whole 3.2"] {
                assert!(
                    said.contains(text) || missing > 0 && text == "whole 1.0",
                    "{what}, {words:?}: {said}"
                );
            }
            // Not on an empty screen, but behind what is missing.
            let blind = said.matches("nor is the screen known").count();
            assert!(blind <= missing, "{what}, {words:?}: {said}");
        }
        let searched = ["search", "--store", "store", "--in", "screen", "whole 3.2"];
        let (code, said) = desk.said(bytes, &searched);
        let in_part = said.contains("could only in part be searched: at byte ");
        assert!(said.contains("1 hit ") && in_part == (what != "nothing"), "{what}: {code} {said}");
    }
}

/// Where no keyframe tells the screen behind it, all of it is drawn on an empty one.
#[test]
fn behind_a_hole_is_drawn_on_a_terminal_of_the_size_that_it_had_there_and_a_hit_has_its_own_time() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let resize = |ms, cols, rows| Step::At(ms, Payload::Resize { cols, rows });
    let behind = |text: &str| {
        let at = |col: u32, word: &str| format!("\x1b[20;{col}H{word}");
        let mut steps = vec![sample::out(60_000, at(100, text)), sample::out(62_000, at(106, "work\r\n"))];
        steps.extend(
            [(63_000, "$ "), (65_000, "echo late"), (67_000, "comer")]
                .map(|(ms, text)| sample::out(ms, text)),
        );
        steps.push(Step::Cut(69_000));
        steps
    };
    let lost = [31_000, 32_000, 33_000, 34_000].map(|ms| sample::out(ms, "lost in the hole\r\n"));
    for within in [false, true] {
        let size = if within { resize(33_500, 120, 30) } else { resize(5000, 120, 30) };
        let mut steps = vec![sample::out(0, "$ begun\r\n")];
        let (before, hole) = if within { (None, Some(size)) } else { (Some(size), None) };
        steps.extend(before);
        steps.push(Step::Cut(9000));
        steps.extend(lost.clone());
        steps.extend(hole);
        steps.push(Step::Cut(39_000));
        steps.extend(behind("needle"));
        let cast = CastHeader::new(80, 24);
        let mut bytes = sample::record(&fleet, &[SlotKind::Root], cast, &steps, true).bytes;
        let (start, end) = of_second(&bytes, DATA);
        bytes[usize::midpoint(start, end)] ^= 1;
        for (text, time) in [("needlework", "+1:02  "), ("latecomer", "+1:07  ")] {
            let (code, said) = desk.said(&bytes, &["search", "--in", "screen", text, "--store", "store"]);
            let what = format!("{text}, {within}: {code} {said}");
            assert!(code == 2 && said.contains("1 hit ") && said.contains(time), "{what}");
        }
    }
}

#[test]
fn up_to_when_an_altered_recording_is_good_is_said_wherever_it_is_judged() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut bytes = damage::small(&fleet, "whole", true).bytes;
    let (start, end) = of_second(&bytes, DATA);
    bytes[usize::midpoint(start, end)] ^= 1;
    for words in [&["verify"][..], &["show"], &["verify", "--json"], &["show", "--json"]] {
        let (_, said) = desk.said(&bytes, &[words, &["store/recording.scast"]].concat());
        let told = said.contains(", the last event before that at 0:30.0");
        assert!(told && said.contains(&format!("at byte {start} ")), "{words:?}: {said}");
    }
}

#[test]
fn damage_to_one_part_of_the_index_costs_no_other_and_every_command_tells_of_it() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let mut steps = damage::small_steps("whole");
    let start = Mark::Start(Start { text: Some("told-by-the-shell".into()), ..Start::default() });
    let end = Mark::End { status: Some(3), pipe: Vec::new(), cancelled: false };
    let told = [(35_000, start), (36_000, end)];
    let told = told.map(|(ms, mark)| Step::At(ms, Said::Mark(mark).kept().unwrap()));
    steps.splice(7..7, told);
    let mut bytes = sample::drawn(&fleet, &steps).bytes;
    let (start, end) = of_second(&bytes, INDEX);
    bytes[usize::midpoint(start, end)] ^= 1;
    let place = format!("at byte {start} ");
    let path = "store/recording.scast";
    for mended in [false, true] {
        if mended {
            mend_at(&mut bytes, start);
        }
        let said = |words: &[&str]| desk.said(&bytes, words);
        // What is written or played as a whole goes on behind all of that segment, and says so, where it can, in that place.
        for (words, shows) in [
            (&["export", "-f", "commands", path][..], false),
            (&["export", "-f", "cast", path], true),
            (&["export", "-f", "text", path], true),
            (&["export", "-f", "raw", path], true),
            (&["play", "--plain", "--speed", "10000", path], true),
        ] {
            let (code, said) = said(words);
            assert!(
                code == 2 && said.contains("error: ") && said.contains(&place),
                "{words:?}: {code} {said}"
            );
            assert!(!said.contains("not closed"), "{words:?}: {said}");
            let told =
                said.find("damaged: what stands before this could be read, its entry in the index could not");
            assert_eq!(told.is_some(), shows && words[2] != "raw", "{words:?}: {said}");
            let [before, behind] = ["whole 1.2", "whole 2.0"].map(|line| said.find(line));
            assert!(before.is_some() == shows && behind.is_some() == shows, "{words:?}: {said}");
            assert!(told.is_none_or(|told| before < Some(told) && Some(told) < behind), "{words:?}: {said}");
            // The screen goes on: nothing of it stands twice.
            assert!(said.matches("whole 1.2").count() <= 1, "{words:?}: {said}");
            assert!(
                shows || said.contains(r#""text":"told-by-the-shell","start":35000,"end":36000,"exit":3"#)
            );
        }
        // What stands behind it is read by whoever asks for that.
        let behind = ["play", "--plain", "--speed", "10000", &format!("{path}@1:02")];
        let (code, told) = said(&behind);
        assert!(code == 0 && told.contains("whole 2.1") && told.contains("whole 3.2"), "{code} {told}");
        let (code, told) = said(&["export", "--hits", "whole 3.0", "--around", "2", "-f", "text", path]);
        assert!(code == 2 && told.contains("whole 3.0") && told.contains(&place), "{code} {told}");
        assert!(!told.contains(OPEN_END), "{told}");
        // Those behind it all the same; and in it, for it is read where its filter is gone.
        for text in ["whole 0.1", "whole 1.2", "whole 2.2", "whole 3.2"] {
            let (code, told) = said(&["search", "--store", "store", text]);
            assert!(code == 2 && told.contains(text) && told.contains(&place), "{text}: {code} {told}");
        }
        let (_, told) = said(&["search", "--store", "store", "--count", "whole"]);
        assert!(told.contains("12"), "{told}");
        // Neither what it may have had nor its commands is denied.
        for query in [&["nowhere in it"][..], &["--in", "command", "evil-deed"], &["command:evil-deed"]] {
            let (code, told) = said(&[&["search", "--store", "store"], query].concat());
            assert!(code == 2 && told.contains("could not be searched"), "{query:?}: {code} {told}");
            assert!(told.contains(&place), "{query:?}: {told}");
        }
        let (code, told) = said(&["show", "--commands", path]);
        let why = format!("a part of its index cannot be read ({place}");
        assert!(code == 0 && told.contains(&why) && !told.contains("not closed"), "{code} {told}");
        assert!(
            told.contains("only those of which the shell told") && told.contains("told-by-the-shell"),
            "{told}"
        );
        assert!(!told.contains("may be missing, too"), "{told}");
        for words in [
            &["search", "--store", "store", "--in", "command", "told-by"][..],
            &["ls", "--command", "told-by", "--store", "store"],
        ] {
            let (_, told) = said(words);
            assert!(told.contains("root"), "{words:?}: {told}");
        }
        let (code, told) = said(&["show", path]);
        // Where the checksum is right, a signature tells.
        let at = told.contains("altered: at byte ") && (mended || told.contains(&place));
        assert!(code == 0 && at && told.contains("in 4 segments"), "{code} {told}");
        assert!(told.contains("1 without a full index (unreadable 1)"), "{told}");
        let (_, told) = said(&["show", "--json", path]);
        let shown: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(shown["index_given_up"], serde_json::json!({"unreadable": 1}), "{shown}");
        assert!(shown["complete"] == false && shown["verdict"] == "altered", "{shown}");
        let (_, told) = said(&["ls", "--store", "store"]);
        assert!(told.contains("0+!") && told.contains("torn") && told.contains("\t1:34\t"), "{told}");
        let (code, told) = said(&["ls", "--store", "store", "--command", "evil-deed"]);
        assert!(code == 2 && told.contains("its index lacks commands"), "{code} {told}");
        let (code, told) = said(&["verify", path]);
        assert!(code == 1 && told.contains("altered") && told.contains("at byte "), "{code} {told}");
    }
}

#[test]
fn what_stands_behind_a_torn_recording_is_called_what_it_is() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let torn = damage::small(&fleet, "open", false).bytes;
    for more in [&b"X"[..], b"fifteen bytes .", b"more than a frame"] {
        let place = format!("at byte {}: no chunk begins here", torn.len());
        let bytes = [&torn[..], more].concat();
        for words in [&["export", "-f", "raw"][..], &["verify"]] {
            let (code, said) = desk.said(&bytes, &[words, &["store/recording.scast"]].concat());
            assert!(code != 0 && said.contains(&place), "{words:?}: {code} {said}");
        }
    }
}

#[test]
fn of_a_recording_without_its_metadata_nothing_is_told_and_nothing_is_denied() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let torn = damage::small(&fleet, "open", false).bytes;
    // The first one of the index.
    let (from, to) = damage::places(&torn).into_iter().skip(1).find(|(at, _)| torn[at + 2] == INDEX).unwrap();
    let path = "store/recording.scast";
    for cut in [from, from + 1, usize::midpoint(from, to), to - 1] {
        let bytes = &torn[..cut];
        for words in [
            &["export", "-f", "raw", path][..],
            &["export", "-f", "json", path],
            &["export", "-f", "commands", path],
            &["play", "--plain", path],
        ] {
            let (code, said) = desk.said(bytes, words);
            let told = said.contains("inside the sealed metadata\nhint: it was cut before");
            assert!(code == 2 && told, "{cut}, {words:?}: {code} {said}");
        }
        let json = |words: &[&str]| {
            let (code, said) = desk.said(bytes, words);
            assert_eq!(code, 0, "{cut}, {words:?}: {said}");
            let line = said.lines().find(|line| line.starts_with('{')).unwrap();
            serde_json::from_str::<serde_json::Value>(line).unwrap()
        };
        let (shown, listed) = (json(&["show", "--json", path]), json(&["ls", "--json", "--store", "store"]));
        for key in ["commands", "notices", "left_out", "programs_of_no_command"] {
            assert!(shown[key].is_null(), "{cut}: {shown}");
            assert!(listed[key].is_null(), "{cut}, {key}: {listed}");
        }
        let (_, table) = desk.said(bytes, &["ls", "--store", "store"]);
        assert!(!table.contains("0+"), "{cut}: {table}");
    }
}

#[test]
fn a_forged_final_checkpoint_makes_nobody_say_that_all_commands_are_there() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let torn = damage::small(&fleet, "open", false).bytes;
    let closed = damage::small(&fleet, "whole", true).bytes;
    let chunks = damage::split(&torn);
    let parts = forged_end(chunks.len(), FINAL);
    let last = damage::split(&closed).iter().rposition(|chunk| chunk[2] == INDEX).unwrap();
    let start = damage::places(&closed)[last + 1].0;
    for (name, bytes) in [
        ("torn", torn.clone()),
        ("a final checkpoint", [&torn[..], &parts[0]].concat()),
        ("a whole end", [&torn[..], &parts.concat()].concat()),
        ("the last entry passed over", retyped(&closed, start, INDEX | 0x80)),
    ] {
        for query in [&["--in", "command", "evil-deed"][..], &["command:evil-deed"], &["exit:3"]] {
            let (code, said) = desk.said(&bytes, &[&["search", "--store", "store"], query].concat());
            assert!(
                code == 2 && said.contains("1 could not be searched"),
                "{name}, {query:?}: {code} {said}"
            );
        }
        let (code, said) = desk.said(&bytes, &["ls", "--store", "store"]);
        assert!(code == 0 && said.contains("0+"), "{name}: {code} {said}");
        let (code, said) = desk.said(&bytes, &["show", "store/recording.scast"]);
        assert!(code == 0 && said.contains("or more of output"), "{name}: {code} {said}");
        let (code, said) = desk.said(&bytes, &["export", "-f", "commands", "store/recording.scast"]);
        let told = match name {
            "torn" => code == 0 && said.contains("are in no index"),
            _ => code == 2 && said.contains("not all commands could be read: at byte "),
        };
        assert!(told, "{name}: {code} {said}");
    }
}

#[test]
fn a_recording_that_was_torn_while_it_was_closed_has_its_end_and_no_mark_that_says_otherwise() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let closed = damage::small(&fleet, "whole", true).bytes;
    for cut in [0, 1, 20, 38, 60, 106] {
        let bytes = &closed[..closed.len() - cut];
        let (code, said) = desk.said(bytes, &["export", "-f", "cast", "store/recording.scast"]);
        assert!(code == 0 && said.contains("whole 3.2") && !said.contains(OPEN_END), "{cut}: {code} {said}");
        let told = said.contains("its end is not that of a closed recording");
        assert_eq!(told, cut > 0, "{cut}: {said}");
    }
}

#[test]
fn of_a_recording_that_was_not_closed_no_more_is_said_to_be_missing_than_its_hole_and_its_end() {
    let fleet = Fleet::new("web-3");
    let desk = Desk::new(&fleet);
    let path = "store/recording.scast";
    let mut bytes = damage::small(&fleet, "open", false).bytes;
    let (start, end) = of_second(&bytes, INDEX);
    bytes[usize::midpoint(start, end)] ^= 1;
    mend_at(&mut bytes, start);
    let place = format!("a part of its index cannot be read (at byte {start} ");
    // The last part begins where the index ends.
    let parts = "and it was not closed: commands of that part and of its last one (from 1:04 on) are in no index, and only those";
    let (code, said) = desk.said(&bytes, &["show", "--commands", path]);
    assert!(code == 0 && said.contains(&place) && said.contains(parts), "{code} {said}");
    let (_, said) = desk.said(&bytes, &["show", path]);
    assert!(said.contains(" in 3 segments and one without an end"), "{said}");
    // Where it ends at damage besides, both are told.
    let last = damage::places(&bytes).into_iter().rfind(|(at, _)| bytes[at + 2] == SEG).unwrap().0;
    bytes[last + 40] ^= 1;
    let (code, said) = desk.said(&bytes, &["show", "--commands", path]);
    let on = format!(", and it cannot be read on (at byte {last} ");
    assert!(code == 0 && said.contains(&place) && said.contains(&on), "{code} {said}");
}
