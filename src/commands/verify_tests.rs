use super::*;
use crate::cast::{Anchor, Event, Header as CastHeader};
use crate::console::Console;
use crate::container::{Extras, Meta, SessionKeys, Setup, Writer, cert};
use crate::crypto::identity;
use crate::crypto::prompt::Nobody;
use crate::crypto::sshsig::Signer;
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;

/// A file, and what it takes to judge it.
struct Desk {
    context: Context,
    known: KnownKeys,
    identities: Identities,
    found: Found,
    dir: tempfile::TempDir,
}

impl Desk {
    /// A closed recording of two segments, in a store under its own name.
    fn new() -> Self {
        let (secret, recipient) = identity::generate();
        let signer = Signer::generate("test").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let keys = SessionKeys::generate().unwrap();
        let setup = Setup {
            slots: seal::slots(&keys, &[recipient], None).unwrap(),
            header: Header { host: "web-3".into(), start: 1_795_356_192_000, ..Header::default() },
            meta: Meta { cols: 80, rows: 24, drawing: DRAWING, ..Meta::default() },
            cast: CastHeader::new(80, 24),
            ledger: String::new(),
        };
        let mut file = store.create(setup.header.start, keys.session()).unwrap();
        file.publish().unwrap();
        let path = file.path().to_owned();
        let sign = |text: &str| Ok(signer.sign(cert::NAMESPACE, text.as_bytes())?);
        let mut writer = Writer::create(file, keys, setup, sign).unwrap();
        writer.sink().publish().unwrap();
        let mut now = Duration::ZERO;
        for segment in 0..2_u64 {
            let at = segment * 30_000;
            writer.begin(Anchor { at, utc: 1_795_356_192_000, boot: 0 }, None).unwrap();
            for line in 0..2_u64 {
                now = Duration::from_millis(at + line * 11_000 + 1);
                let shown = Payload::Output(format!("line {segment}.{line}\r\n").into_bytes());
                writer.push(&Event::new(now, shown)).unwrap();
                writer.flush(now).unwrap();
            }
            if segment == 0 {
                writer.end_segment(now, Extras::default()).unwrap();
            }
        }
        writer.finish(now, Extras::default()).map_err(|(error, _)| error).unwrap();
        // Not the file itself: a program that another test starts may still hold its lock for a moment.
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::rename(&copy, &path).unwrap();
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        Self {
            context: Context { console: Arc::new(console), environment: Default::default() },
            known: KnownKeys::parse(&format!("web-3 {}\n", signer.host_key())).unwrap(),
            identities: Identities::from_text(Path::new("mine"), secret.as_bytes(), Arc::new(Nobody))
                .unwrap(),
            found: store.find("last").unwrap(),
            dir,
        }
    }

    /// The word and the reason, without an identity and with one.
    fn both(&self) -> [(&'static str, String); 2] {
        let none = Identities::load::<&Path>(&[], Arc::new(Nobody)).unwrap();
        [&none, &self.identities].map(|identities| {
            let judged = judge(&self.context, &self.found, &self.known, identities);
            judged.map_or_else(
                |error| ("error", error.to_string()),
                |judged| (judged.word.name(), judged.detail),
            )
        })
    }
}

#[test]
fn a_recording_that_is_cut_anywhere_is_judged_alike_with_an_identity_and_without() {
    let desk = Desk::new();
    let [(word, _), (with, told)] = desk.both();
    assert_eq!((word, with), ("intact", "intact"), "{told}");
    assert!(told.contains("; content checked, 6 events"), "{told}");
    let file = File::options().write(true).open(&desk.found.path).unwrap();
    let whole = file.metadata().unwrap().len();
    let mut ends = [0; 2];
    // Where there is content to be checked, every fifth will do.
    for length in (8..whole).rev().filter(|length| *length < 2200 || length % 5 == 0) {
        file.set_len(length).unwrap();
        let [(without, reason), (with, told)] = desk.both();
        assert_eq!((without, with), ("torn", "torn"), "{length} of {whole}: {reason}\n{told}");
        let checked = told.strip_prefix(&reason);
        let before = checked == Some("; it ends before its content");
        let content = checked.is_some_and(|rest| rest.starts_with("; content checked, "));
        assert!(before || content, "{length} of {whole}: {reason}\n{told}");
        ends[usize::from(content)] += 1;
    }
    assert!(ends[0] > 500 && ends[1] > 100, "{ends:?}");
    drop(desk.dir);
}

#[test]
fn a_recording_that_ends_in_zeros_is_torn_for_whoever_can_open_it_too() {
    let desk = Desk::new();
    let file = File::options().write(true).open(&desk.found.path).unwrap();
    let whole = file.metadata().unwrap().len();
    // Before the header, in it, in the key slots, and in the content.
    for length in [16, 40, 900, whole - 700, whole - 400] {
        file.set_len(length).unwrap();
        file.set_len(length + 4096).unwrap();
        let [(without, reason), (with, told)] = desk.both();
        assert_eq!((without, with), ("torn", "torn"), "{length} of {whole}: {reason}\n{told}");
        let causes =
            "zeros follow: power was lost before the data reached the disk, or somebody put them there";
        assert!(told.contains(causes), "{told}");
    }
}

#[test]
fn no_goes_before_not_known_and_both_are_told_of_how_many() {
    let answer = |of, bad, unchecked, unseen, locked: bool| {
        let locked = locked.then(|| Error::new(Kind::Key, "locked"));
        let count = Count { of, bad, unchecked, unseen, locked, ..Count::default() };
        count.answer().err().map(|error| (error.kind(), error.to_string()))
    };
    assert_eq!(answer(3, 0, 0, 0, false), None);
    for (of, bad, unchecked, unseen, locked, kind, told) in [
        (1, 1, 0, 0, false, Kind::No, "the recording is not intact"),
        (1, 0, 1, 0, true, Kind::Key, "locked"),
        (1, 1, 1, 0, true, Kind::No, "the recording is not intact, and its content could not be checked"),
        (3, 2, 0, 0, false, Kind::No, "2 of 3 recordings are not intact"),
        (3, 0, 2, 0, false, Kind::Input, "2 of 3 recordings could not be checked"),
        (3, 0, 2, 0, true, Kind::Input, "2 of 3 recordings could not be checked"),
        (3, 1, 1, 0, true, Kind::No, "1 of 3 recordings are not intact, 1 could not be checked"),
        (
            3,
            0,
            1,
            2,
            false,
            Kind::Input,
            "2 of 3 recordings were not looked at: nobody reads the output any more",
        ),
        (
            3,
            1,
            0,
            2,
            false,
            Kind::No,
            "1 of 3 recordings are not intact, 2 were not looked at: nobody reads the output any more",
        ),
    ] {
        assert_eq!(answer(of, bad, unchecked, unseen, locked), Some((kind, told.to_owned())));
    }
}

#[test]
fn of_an_altered_recording_is_told_up_to_when_it_is_good_where_an_identity_opens_it() {
    let desk = Desk::new();
    let whole = std::fs::read(&desk.found.path).unwrap();
    let mut times = BTreeSet::new();
    for at in 600..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&desk.found.path, &bytes).unwrap();
        let [(without, reason), (with, told)] = desk.both();
        // Behind the last signature is the index of the end alone: without it a recording is torn.
        if let Some((end, _)) = reason.strip_prefix("ends at byte ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!((without, with), ("torn", "torn"), "{at}: {reason}\n{told}");
            assert!(end.parse::<usize>().unwrap() <= at, "{at}: {reason}");
            continue;
        }
        assert_eq!((without, with), ("altered", "altered"), "{at}: {reason}\n{told}");
        let good = reason.split_once("good up to byte ").and_then(|(_, byte)| byte.parse::<usize>().ok());
        assert!(good.is_none_or(|good| good <= at), "{at}: {reason}");
        let last = told.strip_prefix(&reason).unwrap();
        let time = last.strip_prefix(", the last event before that at ");
        assert_eq!(time.is_some(), !last.is_empty(), "{at}: {told}");
        times.extend(time.map(|time| (good.unwrap(), time.to_owned())));
    }
    // Each place has one time, and a later one none that is earlier.
    let (places, told): (BTreeSet<_>, Vec<_>) = times.iter().cloned().unzip();
    assert_eq!(places.len(), times.len(), "{times:?}");
    assert!(told.is_sorted() && told.first().unwrap() == "0:11.0", "{times:?}");
    assert!(told.last().unwrap() == "0:41.0" && times.len() > 1, "{times:?}");
    // A command says what to do with it.
    let count = Count { of: 1, bad: 1, altered: true, ..Count::default() };
    let error = count.answer().unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.starts_with("leave an altered file as it is: ")));
}
