//! Recordings that were cut back by whoever has the host's key, and no identity, and signed anew.

use crate::forge;
use crate::home::{Home, Recording};
use crate::second::second_reader_run;
use sealcast::cast::{Anchor, Event, Payload};
use sealcast::container::{Extras, Reader};
use sealcast::crypto::{identity, recipient};
use serde_json::Value;
use std::time::Duration;

/// A home with a recording of two segments, of which the second was cut off.
fn cut(close: bool) -> Home {
    let home = Home::new();
    let (path, _) = home.record_with(&Recording::default(), |writer, start| {
        writer.end_segment(Duration::from_secs(63), Extras::default()).unwrap();
        writer.begin(Anchor { at: 64_000, utc: start + 64_000, boot: 0 }, None).unwrap();
        let later = Payload::Output(b"rm -rf /evidence\r\n".to_vec());
        writer.push(&Event::new(Duration::from_secs(64), later)).unwrap();
    });
    let written = std::fs::read(&path).unwrap();
    let forged = forge::signed_anew(&written, &home.personal().read_signer().unwrap(), 1, close);
    std::fs::write(&path, forged).unwrap();
    home
}

const TOLD: &str = "the certificate announces another first checkpoint than the sealed metadata";

#[test]
fn whoever_opens_a_recording_that_was_signed_anew_is_told() {
    let home = cut(true);
    // Without an identity nothing tells.
    let identity = home.personal().identity();
    let hidden = identity.with_extension("away");
    std::fs::rename(&identity, &hidden).unwrap();
    let unopened = home.run(&["verify", "last"]).exits(0);
    assert!(unopened.text().contains("intact"), "{unopened}");
    std::fs::rename(&hidden, &identity).unwrap();

    for command in ["verify", "show"] {
        let judged = home.run(&[command, "--json", "last"]);
        let json: Value = serde_json::from_str(&judged.text()).unwrap_or_else(|_| panic!("{judged}"));
        let detail = json["detail"].as_str().unwrap();
        assert!(detail.contains("(chunk 2): ") && detail.contains(TOLD), "{judged}");
        assert_eq!(json["verdict"], "altered", "{judged}");
        assert_eq!(judged.code, Some(if command == "verify" { 1 } else { 0 }), "{judged}");
    }
    // What is there is read, and nothing that is not is denied.
    for (words, shown, code) in [
        (&["export", "last"][..], "after a minute", 2),
        (&["play", "--plain", "--idle-limit", "0", "last"], "after a minute", 2),
        (&["search", "after a minute"], "after a minute", 2),
        (&["search", "evidence"], "", 2),
        (&["ls", "--command", "evidence"], "", 2),
    ] {
        let ran = home.run(words).exits(code);
        assert!(ran.text().contains(shown), "{ran}");
        assert!(ran.err.contains(TOLD) || words[0] == "ls", "{ran}");
    }
    let listed: Value = serde_json::from_str(&home.run(&["ls", "--json"]).exits(0).text()).unwrap();
    assert_eq!(listed["complete"], false, "{listed}");
}

#[test]
fn one_that_ends_without_a_close_is_told_too_and_the_second_implementation_finds_both() {
    for close in [true, false] {
        let home = cut(close);
        let judged = home.run(&["verify", "last"]).exits(1);
        assert!(judged.text().contains("altered") && judged.text().contains(TOLD), "{judged}");
        let path = home.store().list().unwrap()[0].path.clone();
        let Some(read) = second_reader_run(&path, &home.personal().identity(), &[]) else { continue };
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(!read.status.success() && said.contains(TOLD), "closed {close}: {said}");
    }
}

#[test]
fn slots_that_shut_out_whom_the_header_names_are_told() {
    let home = Home::new();
    let (path, _) = home.record(&Recording::default());
    let (written, signer) = (std::fs::read(&path).unwrap(), home.personal().read_signer().unwrap());
    let (_, other) = identity::generate();
    let age = recipient::wrap(&[other], &[7; 32]).unwrap();
    let slot =
        |kind: u8, age: &[u8]| [&[kind][..], &u32::try_from(age.len()).unwrap().to_le_bytes(), age].concat();
    let listed =
        Reader::open(std::io::Cursor::new(&written)).unwrap().header().recipients[0].parse().unwrap();
    let period = recipient::wrap(&[listed], identity::generate().0.as_bytes()).unwrap();
    let (key, in_period) =
        ("the header says that it is sealed to age1", "the key of its period opens, and none");
    let mut later = written.clone();
    later[10] = 1;
    for (written, slots, told, what) in [
        (&written, Vec::new(), key, "none"),
        (&written, slot(1, &age), key, "another's"),
        (&written, slot(1, b"garbage"), key, "garbage"),
        (&written, slot(9, b"garbage"), key, "of an unknown kind"),
        (&written, [slot(1, &age), slot(9, &age)].concat(), key, "another's and of an unknown kind"),
        (&written, slot(2, &period), in_period, "of a period alone"),
        (&written, [slot(2, &period), slot(1, &age)].concat(), in_period, "of a period for another's"),
        (&written, [slot(2, &period), slot(9, &age)].concat(), in_period, "of a period for an unknown kind"),
        (&later, slot(1, &age), key, "another's in a later version"),
        (&later, slot(2, &period), in_period, "of a period alone in a later version"),
    ] {
        std::fs::write(&path, forge::signed_anew_with(written, &signer, 1, true, Some(&slots))).unwrap();
        for command in ["verify", "show"] {
            let judged = home.run(&[command, "--json", "last"]);
            let json: Value =
                serde_json::from_str(&judged.text()).unwrap_or_else(|_| panic!("{what}: {judged}"));
            let detail = json["detail"].as_str().unwrap();
            let told = format!("(chunk 1): {told}");
            assert!(json["verdict"] == "altered" && detail.contains(&told), "{what}: {judged}");
        }
        home.run(&["search", "after a minute"]).exits(2);
        // Of whom it does not name nobody need be told.
        let stranger = home.path("stranger.txt");
        std::fs::write(&stranger, &*identity::generate().0).unwrap();
        let ran = home.run(&["verify", "--identity", stranger.to_str().unwrap(), "last"]).exits(2);
        assert!(ran.text().contains("intact") && ran.text().contains("content not checked"), "{what}: {ran}");
    }
    // A later version may seal to them in a way that this one does not know: that is told, of those that it names without being asked.
    let identity = home.personal().identity();
    for slots in [slot(9, &age), [slot(2, &period), slot(9, &age)].concat()] {
        std::fs::write(&path, forge::signed_anew_with(&later, &signer, 1, true, Some(&slots))).unwrap();
        for of in [&["verify", "--identity", identity.to_str().unwrap(), "last"][..], &["verify", "last"]] {
            let ran = home.run(of).exits(2);
            assert!(ran.text().contains("intact") && ran.text().contains("content not checked"), "{ran}");
        }
    }
}
