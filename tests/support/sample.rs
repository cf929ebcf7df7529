//! Sample recordings, made through the library as a recorder makes them: real age recipients, a real SSH host key.
// Each test binary and example uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

// Who takes in all of `support` as well has it twice.
#[allow(clippy::duplicate_mod)]
#[path = "dice.rs"]
mod dice;

pub use dice::Dice;
use sealcast::cast::{Anchor, Command, Event, Exec, Gap, Header as CastHeader, Payload};
use sealcast::container::verify::{Origin, Report, verify};
use sealcast::container::{
    Certificate, Cursor, Error, Extras, Header, Meta, Reader, SessionKeys, Setup, Slot, SlotKind, Writer,
    cert,
};
use sealcast::crypto::identity::{self, Identities};
use sealcast::crypto::known_keys::{KnownKeys, Trust};
use sealcast::crypto::recipient::{self, Recipient};
use sealcast::crypto::sshsig::{self, Signer};
use sealcast::export::{Exporter, Format};
use sealcast::record::{Indexer as _, ScreenIndexer};
use std::io::{Cursor as Bytes, Read, Seek};
use std::path::Path;
use std::time::Duration;

/// Start of every sample: 2026-01-02T03:04:05Z.
pub const START: i64 = 1_767_323_045_000;

/// The host that records and the people who may read.
pub struct Fleet {
    /// Text of the age identity that opens everything.
    pub identity: String,
    /// Its recipient, and any others.
    pub recipients: Vec<Recipient>,
    /// Text of the age identity of those who may search only.
    pub searcher: String,
    pub search_recipient: Recipient,
    pub host: Signer,
    pub name: String,
}

impl Fleet {
    pub fn new(name: &str) -> Self {
        let (identity, recipient) = identity::generate();
        let (searcher, search_recipient) = identity::generate();
        Self {
            identity: identity.to_string(),
            recipients: vec![recipient],
            searcher: searcher.to_string(),
            search_recipient,
            host: Signer::generate("host").unwrap(),
            name: name.to_owned(),
        }
    }

    /// A line of `known_hosts` for the host.
    pub fn known(&self) -> KnownKeys {
        KnownKeys::parse(&format!("{} {}\n", self.name, self.host.host_key())).unwrap()
    }

    /// The age files of a recording for these keys.
    pub fn slots(&self, keys: &SessionKeys, kinds: &[SlotKind]) -> Vec<Slot> {
        let mut slots = Vec::new();
        for kind in kinds {
            let age = match kind {
                SlotKind::Index => {
                    recipient::wrap(std::slice::from_ref(&self.search_recipient), keys.index().bytes())
                }
                SlotKind::Period => {
                    let (period, to_period) = identity::generate();
                    let root = recipient::wrap(&[to_period], keys.root()).unwrap();
                    slots.push(Slot { kind: SlotKind::Root, age: root });
                    recipient::wrap(&self.recipients, period.as_bytes())
                }
                _ => recipient::wrap(&self.recipients, keys.root()),
            };
            slots.push(Slot { kind: *kind, age: age.unwrap() });
        }
        slots
    }
}

/// Checks a certificate as a reader with these keys does.
pub fn certify(known: &KnownKeys, certificate: &Certificate) -> Origin {
    match sshsig::verify(&certificate.signature, cert::NAMESPACE, certificate.text.as_bytes()) {
        Err(error) => Origin::Bad(error.to_string()),
        Ok(key) => match known.trust(&certificate.statement.host, cert::NAMESPACE, &key) {
            Trust::Trusted => Origin::Trusted(certificate.statement.host.clone()),
            _ => Origin::Unknown(key.fingerprint()),
        },
    }
}

/// Verifies without a decryption key.
pub fn judge(bytes: &[u8], known: &KnownKeys) -> Result<Report, Error> {
    verify(Bytes::new(bytes), |certificate| certify(known, certificate), |_| ())
}

/// What happens in a sample session.
#[derive(Clone, Debug)]
pub enum Step {
    /// At this many milliseconds.
    At(u64, Payload),
    /// Segment ends.
    Cut(u64),
    /// The index of the segment has these commands, and programs of none.
    Told(Vec<Command>, Vec<Exec>),
}

/// The commands in the index of a recording, and the programs of none, as JSON lines.
pub fn told_of(reader: &Reader<impl Read + Seek>) -> String {
    let mut lines = String::new();
    for entry in reader.entries() {
        let commands = entry.commands.iter().map(|command| serde_json::to_string(command).unwrap());
        let execs = entry.execs.iter().map(|exec| serde_json::to_string(exec).unwrap());
        commands.chain(execs).for_each(|line| lines.extend([line.as_str(), "\n"]));
    }
    lines
}

/// Shorthand for output at `ms`.
pub fn out(ms: u64, bytes: impl AsRef<[u8]>) -> Step {
    Step::At(ms, Payload::Output(bytes.as_ref().to_vec()))
}

/// A recording, and what went into it.
pub struct Recorded {
    pub bytes: Vec<u8>,
    pub root: [u8; 32],
    pub index: [u8; 32],
    /// All events but the anchors.
    pub events: Vec<Event>,
    /// The first line of the cast inside.
    pub cast_header: String,
}

/// Records `steps`, flushing every second as a recorder does; `close` ends the recording properly.
pub fn record(fleet: &Fleet, kinds: &[SlotKind], cast: CastHeader, steps: &[Step], close: bool) -> Recorded {
    recorded(fleet, kinds, cast, steps, close, None)
}

/// [`record`], closed, with the keyframes and filters that a recorder makes.
pub fn drawn(fleet: &Fleet, steps: &[Step]) -> Recorded {
    let cast = CastHeader::new(80, 24);
    recorded(fleet, &[SlotKind::Root], cast, steps, true, Some(ScreenIndexer::unhurried((80, 24))))
}

fn recorded(
    fleet: &Fleet,
    kinds: &[SlotKind],
    cast: CastHeader,
    steps: &[Step],
    close: bool,
    mut indexer: Option<ScreenIndexer>,
) -> Recorded {
    let keys = SessionKeys::generate().unwrap();
    let (root, index) = (*keys.root(), *keys.index().bytes());
    let slots = fleet.slots(&keys, kinds);
    let mut readers: Vec<String> = fleet.recipients.iter().map(Recipient::to_string).collect();
    if kinds.contains(&SlotKind::Index) {
        readers.push(fleet.search_recipient.to_string());
    }
    let header = Header {
        recipients: readers,
        start: START,
        host: fleet.name.clone(),
        machine: "0123456789abcdef0123456789abcdef".into(),
        user: "alice".into(),
        target: "root".into(),
        tool: env!("CARGO_PKG_VERSION").into(),
        ..Header::default()
    };
    let meta = Meta {
        argv: vec!["/bin/bash".into(), "-l".into()],
        cwd: "/root".into(),
        reason: "changing a disk".into(),
        ticket: "OPS-4711".into(),
        cols: cast.term.cols,
        rows: cast.term.rows,
        drawing: indexer.as_ref().map_or(0, |_| sealcast::terminal::DRAWING),
        ..Meta::default()
    };
    let cast_header = serde_json::to_string(&cast).unwrap();
    let setup = Setup { header, meta, cast, slots, ledger: String::new() };
    let sign = |text: &str| fleet.host.sign(cert::NAMESPACE, text.as_bytes()).map_err(Into::into);
    let mut writer = Writer::create(Vec::new(), keys, setup, sign).unwrap();
    let (mut events, mut grid, mut end) = (Vec::new(), 0, 0);
    let mut told = Extras::default();
    for step in steps {
        let ms = match step {
            Step::At(ms, _) | Step::Cut(ms) => ms,
            Step::Told(commands, execs) => {
                (told.commands, told.execs) = (commands.clone(), execs.clone());
                continue;
            }
        };
        // One flush is enough for any number of idle seconds.
        if ms / 1000 > grid {
            writer.flush(Duration::from_millis((grid + 1) * 1000)).unwrap();
            grid = ms / 1000;
        }
        end = *ms;
        match step {
            Step::Told(..) => {}
            Step::Cut(ms) => {
                if let Some(indexer) = &mut indexer {
                    told.filter = indexer.end_segment().filter;
                }
                writer.end_segment(Duration::from_millis(*ms), std::mem::take(&mut told)).unwrap()
            }
            Step::At(ms, payload) => {
                let at = Anchor { at: *ms, utc: START + i64::try_from(*ms).unwrap(), boot: 9_000_000 + ms };
                let begins = !writer.in_segment();
                let keyframe = indexer.as_mut().filter(|_| begins).and_then(|indexer| indexer.keyframe());
                writer.begin(at, keyframe).unwrap();
                let event = Event::new(Duration::from_millis(*ms), payload.clone());
                if let Some(indexer) = &mut indexer {
                    indexer.event(event.clone());
                }
                writer.push(&event).unwrap();
                events.push(event);
            }
        }
    }
    let end = Duration::from_millis(end);
    let bytes = if close {
        writer.finish(end, told).map_err(|(error, _)| error).unwrap().1
    } else {
        writer.flush(end).unwrap();
        writer.sink().clone()
    };
    Recorded { bytes, root, index, events, cast_header }
}

/// Every event of an unlocked recording but the anchors, and the fault that stopped it, if any.
pub fn events_of<R: Read + Seek>(reader: &mut Reader<R>) -> (Vec<Event>, Option<Error>) {
    let mut all = Vec::new();
    if reader.segments() == 0 {
        return (all, None);
    }
    let mut cursor = match Cursor::new(reader, 0) {
        Ok(cursor) => cursor,
        Err(error) => return (all, Some(error)),
    };
    loop {
        match cursor.next(reader) {
            Ok(Some(event)) if matches!(event.payload, Payload::Anchor(_)) => {}
            Ok(Some(event)) => all.push(event),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// The cast that `sealcast export` gives of an unlocked recording, as far as it can be read.
pub fn cast_of<R: Read + Seek>(reader: &mut Reader<R>) -> Vec<u8> {
    let opening = reader.opening().unwrap().clone();
    let mut exporter = Exporter::begin(Format::Cast, reader.header(), &opening, Vec::new()).unwrap();
    if reader.segments() > 0 {
        let mut cursor = Cursor::new(reader, 0).unwrap();
        while let Ok(Some(event)) = cursor.next(reader) {
            exporter.event(&event).unwrap();
        }
    }
    if !reader.is_complete() {
        exporter.has_no_end();
    }
    exporter.finish().unwrap().1
}

/// The root key of a recording, as a reader with this identity file gets it.
pub fn root_key<R: Read + Seek>(reader: &Reader<R>, identity: &[u8]) -> Option<[u8; 32]> {
    let nobody = std::sync::Arc::new(sealcast::crypto::prompt::Nobody);
    let identities = Identities::from_text(Path::new("identity"), identity, nobody).unwrap();
    let slots = || reader.slots().iter();
    let periods: Vec<_> = slots()
        .filter(|slot| slot.kind == SlotKind::Period)
        .filter_map(|slot| identities.unwrap(&slot.age).ok())
        .collect();
    slots().filter(|slot| slot.kind == SlotKind::Root).find_map(|slot| {
        let direct = identities.unwrap(&slot.age).ok();
        let root = direct.or_else(|| {
            periods.iter().find_map(|period| {
                identity::unwrap_with(std::str::from_utf8(period).unwrap(), &slot.age).ok()
            })
        });
        root?.as_slice().try_into().ok()
    })
}

/// A gap as recorders write it.
pub fn gap(why: &str, of: &str, count: u64) -> Payload {
    Payload::Gap(Gap {
        why: why.into(),
        of: of.into(),
        count,
        note: "said in one sentence".into(),
        sha256: String::new(),
    })
}

/// A session of many kinds of output, in segments of 15 seconds. `lines` is how many times something is printed, `pace` the
/// longest pause between two, in milliseconds.
pub fn busy(seed: u64, lines: usize, pace: u64) -> Vec<Step> {
    let mut dice = Dice(seed);
    let mut steps = vec![Step::At(0, Payload::Resize { cols: 80, rows: 24 })];
    let (mut ms, mut segment) = (0, 0);
    for n in 0..lines {
        ms += dice.below(pace);
        if ms / 15_000 > segment {
            segment = ms / 15_000;
            steps.push(Step::Cut(ms));
        }
        steps.push(match dice.below(12) {
            0 => out(ms, dice.bytes(60)),
            1 => out(ms, format!("\u{1b}[1;3{}m行 {n} 🦀\u{1b}[0m\r\n", dice.below(8))),
            2 => Step::At(ms, Payload::Marker(format!("step {n}"))),
            3 => Step::At(ms, Payload::Resize { cols: 80 + dice.below(60), rows: 30 }),
            4 => Step::At(ms, Payload::Withheld(3)),
            5 => Step::At(ms, Payload::Input(b"ls -l\r".to_vec())),
            _ => {
                let words: Vec<String> =
                    (0..dice.below(14)).map(|_| format!("{:x}", dice.below(65_521))).collect();
                out(ms, format!("{n} {}\r\n", words.join(" ")))
            }
        });
    }
    steps.push(Step::At(ms + 10, Payload::Exit(0)));
    steps
}

/// A session in which a flood begins in the middle of a second, after what a person could follow: 300 KB of lines.
pub fn flooded() -> Vec<Step> {
    let flood: String =
        (0..9000).map(|n| format!("{n} {} of a flood of many lines\r\n", n * 7919 % 10_007)).collect();
    let calm = |ms: u64| out(ms, format!("at {ms} it is calm\r\n"));
    vec![calm(0), calm(700), calm(1400), calm(2100), out(2200, &flood), calm(2300), calm(5000)]
}
