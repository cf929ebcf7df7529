//! Hostile lengths and hostile text: an error in words, at once, and without the memory that was asked for.
//!
//! "At once" is counted, not timed: how much of the file was read, and how much of the processor it took beside the largest file.
//!
//! One test in its own process: it measures the peak of the memory in use (`VmHWM`), which Linux lets a process set back.
#![allow(clippy::unwrap_used)]

#[path = "support/forge.rs"]
mod forge;

use forge::{CLOSES, DATA, FINAL, Forge, SEG, TABLE, TRAILER, packed};
use sealcast::cast::Payload;
use sealcast::container::verify::{Origin, Verdict, verify};
use sealcast::container::{Cursor, Error, Reader, frame, verify_content};
use sealcast::crypto::sshsig::Signer;
use sealcast::search::audit::{Audit, audit};
use sealcast::terminal::{DRAWING, Terminal};
use std::cell::Cell;
use std::io::{Cursor as Bytes, Read, Seek, SeekFrom, Write as _};
use std::time::Duration;

const ROOT: [u8; 32] = [5; 32];
const ANCHOR: &str = "[0,\"t\",\"{\\\"at\\\":0,\\\"utc\\\":5}\"]\n";
/// More than this much more memory is a failure.
const ROOM: u64 = 40 << 20;
/// More than the whole file this often is a failure.
const READINGS: u64 = 8;
/// All of it is read and checked: what it takes of the processor is the measure.
const LARGEST: &str = "120 MiB of index entries";
/// This many times as much is a failure.
const TIMES: u64 = 10;

/// Memory in use now (`VmRSS`) or at most since it was set back (`VmHWM`), bytes.
fn memory(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
}

/// What the processor did for this process, in it and in the kernel, in ticks of a hundredth of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// Sets `VmHWM` back to what is in use now.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(text, 3).unwrap()
}

/// Compresses without holding the text.
fn zstd_of(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    parts.for_each(|part| encoder.write_all(&part).unwrap());
    encoder.finish().unwrap()
}

/// A file, and how much of it was read.
struct Counted<'a>(Bytes<&'a [u8]>, &'a Cell<u64>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

/// Everything that is done with a file: what stopped it, or how many events it has and what they are not.
fn read(bytes: &[u8], count_read: &Cell<u64>) -> Result<String, Error> {
    let file = || Counted(Bytes::new(bytes), count_read);
    let report = verify(file(), |_| Origin::Trusted(String::new()), |_| ())?;
    if let Verdict::Altered { offset, chunk, what } = report.verdict {
        return Err(Error::Format { offset, chunk, what });
    }
    let mut reader = Reader::open(file())?;
    reader.unlock(ROOT)?;
    let mut count = 0;
    let mut cursor = Cursor::new(&reader, 0)?;
    while cursor.next(&mut reader)?.is_some() {
        count += 1;
    }
    verify_content(&mut reader, |_| ())?;
    let Audit { lies, .. } = audit(&mut reader, 100, |_| ())?;
    let lies: String = lies.iter().map(|lie| format!(", {lie}")).collect();
    Ok(format!("{count} events{lies}"))
}

struct Hostile {
    host: Signer,
    cases: Vec<(&'static str, Vec<u8>, String)>,
}

impl Hostile {
    fn begin(&self) -> Forge {
        Forge::begin(ROOT, &self.host, "web-3", &[])
    }

    fn add(&mut self, name: &'static str, bytes: Vec<u8>, expected: &str) {
        self.cases.push((name, bytes, expected.to_owned()));
    }

    /// A recording whose first segment is this packed text.
    fn segment(&mut self, name: &'static str, text: &[u8], expected: &'static str) {
        let mut forge = self.begin();
        forge.data(SEG, text);
        self.add(name, forge.bytes, expected);
    }

    /// A recording whose first segment has this plaintext as its index entry.
    fn entry(&mut self, name: &'static str, plain: &[u8], expected: &'static str) {
        let mut forge = self.begin();
        forge.data(SEG, &zstd(ANCHOR.as_bytes()));
        forge.index(plain);
        self.add(name, forge.bytes, expected);
    }

    /// A beginning with one chunk replaced.
    fn first(&mut self, name: &'static str, number: u32, body: &[u8], expected: &'static str) {
        let whole = self.begin().bytes;
        let mut bytes = whole[..frame::PROLOGUE_LEN].to_vec();
        let mut at = frame::PROLOGUE_LEN;
        for seq in 0..3 {
            let length = u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap());
            let end = at + frame::FRAME_LEN + usize::try_from(length).unwrap();
            if seq == number {
                bytes.extend(forge::chunk(whole[at + 2], 0, seq, body));
            } else {
                bytes.extend(&whole[at..end]);
            }
            at = end;
        }
        self.add(name, bytes, expected);
    }
}

#[test]
fn hostile_lengths_are_errors_at_once_and_without_the_memory_they_ask_for() {
    forged_without_a_fault();
    let mut hostile = Hostile { host: Signer::generate("host").unwrap(), cases: Vec::new() };
    of_the_beginning(&mut hostile);
    of_the_end(&mut hostile);
    of_the_table(&mut hostile);
    of_segments(&mut hostile);
    of_the_index(&mut hostile);
    of_what_is_compared(&mut hostile);
    // The measure works: a case that used this much would be found.
    forget_peak();
    let used = memory("VmRSS:");
    drop(std::hint::black_box(vec![1u8; usize::try_from(2 * ROOM).unwrap()]));
    assert!(memory("VmHWM:") - used > ROOM);
    let mut worked = Vec::new();
    for (name, bytes, expected) in &hostile.cases {
        forget_peak();
        let (begun, used, count) = (ticks(), memory("VmRSS:"), Cell::new(0));
        let said = match read(bytes, &count) {
            Ok(events) => events,
            Err(error) => error.to_string(),
        };
        let (took, grew) = (ticks() - begun, memory("VmHWM:").saturating_sub(used));
        let (length, count) = (bytes.len() as u64, count.get());
        println!("{name}: {said} ({took} ticks, {count} of {length} bytes, {} KiB more)", grew >> 10);
        assert!(said.contains(expected), "{name}: {said}, expected {expected}");
        assert!(count < length * READINGS, "{name}: read {count} of {length} bytes");
        assert!(grew < ROOM, "{name}: {} MiB more", grew >> 20);
        worked.push((name, took));
    }
    let (_, largest) = worked.iter().find(|(name, _)| **name == LARGEST).unwrap();
    let wrong: Vec<_> = worked.iter().filter(|(_, took)| *took > TIMES * largest).collect();
    assert!(wrong.is_empty(), "{wrong:?} ticks, and {largest} for {LARGEST}");
    assert!(hostile.cases.len() >= 25);
}

fn of_the_beginning(hostile: &mut Hostile) {
    let long_header = format!("{{\"session\":\"{}\"}}", "0".repeat(65 << 10));
    hostile.first("a header over its limit", 0, long_header.as_bytes(), "at most 65536 are allowed");
    let brackets = [b"{\"other\":".as_slice(), &[b'['; 60_000]].concat();
    hostile.first("a header of brackets", 0, &brackets, "EOF while parsing a list");
    hostile.first("a header of nothing", 0, b"", "the header:");
    let twice = br#"{"session":"a","session":"b"}"#;
    hostile.first("a header that says a thing twice", 0, twice, "duplicate field");
    let slots: Vec<u8> = (0..65).flat_map(|_| [1, 0, 0, 0, 0]).collect();
    hostile.first("65 key slots", 1, &slots, "more than 64 key slots");
    hostile.first("a slot of 4 GiB", 1, &[1, 255, 255, 255, 255, 0], "longer than its chunk");
    hostile.first("a statement of 4 GiB", 2, &[255; 64], "not a statement and a signature");
    let mut body = (20u32 << 10).to_le_bytes().to_vec();
    body.resize(30 << 10, b'a');
    hostile.first("a statement over its limit", 2, &body, "not a statement and a signature");
    let mut huge = hostile.begin().bytes;
    let at = frame::PROLOGUE_LEN + 4;
    huge[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    hostile.add("a header chunk of 4 GiB", huge, "at most 1048576 are allowed");
}

fn of_the_end(hostile: &mut Hostile) {
    let mut closed = hostile.begin();
    closed.segment(0, "text", CLOSES | FINAL);
    let end = closed.clone();
    let mut with = |name, parts: &[(u8, Vec<u8>)], expected| {
        let mut forge = end.clone();
        for (kind, body) in parts {
            forge.chunk(*kind, 0, body);
        }
        hostile.add(name, forge.bytes, expected);
    };
    let trailer = |offsets: [u64; 2]| {
        let mut body: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        body.extend(b"SC1END");
        (TRAILER, body)
    };
    with("a trailer into nowhere", &[trailer([u64::MAX; 2])], "does not belong here");
    with("a trailer of zeros", &[trailer([0; 2])], "does not belong here");
    with(
        "a table of 20,000 segments",
        &[(TABLE, vec![0xFF; 52 * 20_000])],
        "the segment table does not match",
    );
    let zeros = vec![0; 1 << 20];
    with("a copy of the index, as there was", &[(0x30, zeros)], "unknown");
    // The reader alone, which does not check signatures, must stand them as well.
    for offsets in [[u64::MAX; 2], [0; 2], [u64::MAX, 2], [17, 18]] {
        let mut forge = end.clone();
        forge.chunk(TABLE, 0, &vec![0xFF; 52 * 20_000]);
        let (kind, body) = trailer(offsets);
        forge.chunk(kind, 0, &body);
        let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
        assert!(!reader.is_closed());
        reader.unlock(ROOT).unwrap();
        assert_eq!(reader.segments(), 1);
    }
}

/// Entries that a table puts where none is: the reader walks instead, and takes no memory for what it is told.
fn of_the_table(hostile: &mut Hostile) {
    let mut closed = hostile.begin();
    closed.segment(0, "text", CLOSES | FINAL);
    let check_at = closed.bytes.len() as u64 - 116;
    for (offset, length, entry) in [
        (16, u64::MAX, 400),
        (u64::MAX, u64::MAX, u32::MAX),
        (16, check_at + 100, u32::MAX),
        (16, check_at + 100, 0),
        (16, 116, 0),
        (0, 0, 0),
    ] {
        let mut forge = closed.clone();
        let table_at = forge.bytes.len() as u64;
        let row = [&offset_of(offset)[..], &offset_of(length), &u32::to_le_bytes(entry), &[0; 32]].concat();
        forge.chunk(TABLE, 0, &row);
        forge.chunk(TRAILER, 0, &[&offset_of(check_at)[..], &offset_of(table_at), b"SC1END"].concat());
        let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
        assert!(!reader.is_closed(), "{offset} {length} {entry}");
        reader.unlock(ROOT).unwrap();
        assert_eq!((reader.segments(), reader.entries().len()), (1, 1));
        hostile.add("a table that points elsewhere", forge.bytes, "the segment table does not match");
    }
    // Each row by itself is as it should be; together they are more than the file: its one entry, again and again.
    let row = [&offset_of(16)[..], &offset_of(check_at + 100), &u32::to_le_bytes(closed.entry()), &[0; 32]]
        .concat();
    for (count, fine) in [(1, true), (2, false), (1000, false)] {
        let mut forge = closed.clone();
        let table_at = forge.bytes.len() as u64;
        forge.chunk(TABLE, 0, &row.repeat(count));
        forge.chunk(TRAILER, 0, &[&offset_of(check_at)[..], &offset_of(table_at), b"SC1END"].concat());
        let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
        assert_eq!(reader.is_closed(), fine, "{count} rows");
        reader.unlock(ROOT).unwrap();
        assert_eq!((reader.segments(), reader.entries().len()), (1, 1));
    }
}

fn offset_of(offset: u64) -> [u8; 8] {
    offset.to_le_bytes()
}

fn of_segments(hostile: &mut Hostile) {
    let comments = |n: usize| (0..n).map(|_| [vec![b'#'; (1 << 20) - 1], vec![b'\n']].concat());
    let bomb = zstd_of(std::iter::once(ANCHOR.as_bytes().to_vec()).chain(comments(257)));
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    hostile.segment("a segment of 257 MiB in one chunk", &bomb, "a segment of more than");
    let long =
        zstd_of(std::iter::once(ANCHOR.as_bytes().to_vec()).chain((0..20).map(|_| vec![b'a'; 1 << 20])));
    hostile.segment("a line of 20 MiB", &long, "a line of more than 8388608 bytes");
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(ANCHOR.as_bytes()).unwrap();
    hostile.segment("a window of 128 MiB", &wide.finish().unwrap(), "does not decompress");
    hostile.segment("no zstd at all", &[7; 1000], "does not decompress");
    let after = [zstd(ANCHOR.as_bytes()), vec![9; 50]].concat();
    hostile.segment("bytes after the compressed text", &after, "does not decompress");
    hostile.segment("no clocks", &zstd(b"[0,\"o\",\"a\"]\n"), "a segment without its clocks");
    hostile.segment("no events", &zstd(b"not a cast\n"), "not an asciicast event");
    let deep = [ANCHOR.as_bytes(), &[b'['; 100_000], b"\n"].concat();
    hostile.segment("100,000 brackets", &zstd(&deep), "not an asciicast event");
    let endless = format!("{ANCHOR}[1e300,\"o\",\"a\"]\n");
    hostile.segment("an endless interval", &zstd(endless.as_bytes()), "interval");
    // What is wrong with a line is told without its text.
    let mib8 = "\u{7f}".repeat((8 << 20) - 200);
    for (line, expected) in [
        (format!("[\"{mib8}\",\"o\",\"a\"]"), "a text is no number of seconds"),
        (format!("\"{mib8}\""), "it is no list"),
        (format!("[0,\"t\",\"{{\\\"at\\\":\\\"{mib8}\\\"}}\"]"), "not a clock anchor"),
        (format!("[0,\"g\",\"{{\\\"why\\\":\\\"\\\",\\\"count\\\":\\\"{mib8}\\\"}}\"]"), "not a gap"),
    ] {
        let text = format!("{ANCHOR}{line}\n");
        hostile.segment("8 MiB where a number belongs", &zstd(text.as_bytes()), expected);
    }
    // Many events in a small chunk: all of them come out, and never all at once.
    let many = zstd_of(
        std::iter::once(ANCHOR.as_bytes().to_vec()).chain((0..200).map(|_| b"[0,\"o\",\"\"]\n".repeat(1000))),
    );
    assert!(many.len() < 50_000, "{}", many.len());
    let mut forge = hostile.begin();
    forge.data(SEG, &many);
    hostile.add("200,000 events in one chunk", forge.bytes, "200001 events");
    let mut forge = hostile.begin();
    forge.data(DATA, &zstd(ANCHOR.as_bytes()));
    hostile.add("a segment that does not begin", forge.bytes, "does not belong here");
    let mut forge = hostile.begin();
    forge.data(SEG, &zstd(ANCHOR.as_bytes()));
    forge.data(SEG, &zstd(ANCHOR.as_bytes()));
    hostile.add("a segment that begins twice", forge.bytes, "does not belong here");
}

fn of_the_index(hostile: &mut Hostile) {
    let bomb = zstd_of((0..64).map(|_| vec![b' '; 1 << 20]));
    let plain = [&u32::try_from(bomb.len()).unwrap().to_le_bytes(), bomb.as_slice()].concat();
    hostile.entry("an index entry of 64 MiB", &plain, "the index entry is malformed");
    hostile.entry("an index entry longer than itself", &[255; 64], "the index entry is malformed");
    hostile.entry("an index entry of nothing", b"", "the index entry is malformed");
    hostile.entry(
        "an index entry of brackets",
        &packed(&[b'['; 100_000], &[]),
        "the index entry is malformed",
    );
    for (name, item) in [("resizes", "[0,0,0],"), ("keyframes", "0,"), ("gaps", r#"[0,{"why":""}],"#)] {
        let items = item.repeat((16 << 20) / item.len() - 10);
        let bomb = format!(r#"{{"segment":0,"{name}":[{}]}}"#, items.trim_end_matches(','));
        let plain = packed(bomb.as_bytes(), &[]);
        assert!(plain.len() < 4096, "{}", plain.len());
        hostile.entry("16 MiB of a list in a few hundred bytes", &plain, "the index entry is malformed");
    }
    let long = "d".repeat(1 << 20);
    let many = |text: &str, n: usize| std::iter::repeat_n(text, n).collect::<Vec<_>>().join(",");
    let (args, zeros, ones) = (many("\"a\"", 100_000), many("0", 100_000), many("-1", 100_000));
    let bomb = format!(
        r#"{{"programs":{{"files":["/{long}"],"file":[{zeros}],"args":[{args}],"start":[{zeros}],"took":[{zeros}],"pid":[{zeros}],"parent":[{ones}]}}}}"#
    );
    hostile.entry(
        "100,000 programs of 1 MiB each",
        &packed(bomb.as_bytes(), &[]),
        "the index entry is malformed",
    );
    let programs = |args: &str| {
        format!(
            r#"{{"programs":{{"files":["/x"],"file":[0],"args":[{args}],"start":[0],"took":[0],"pid":[1],"parent":[-1]}}}}"#
        )
    };
    let room = (16 << 20) - 1000;
    let nothing = many("\"\"", room / 3);
    for bomb in [
        programs(&format!("\"{}\"", " ".repeat(room))),
        programs(&format!("[{nothing}]")),
        programs(&nothing),
        format!(
            r#"{{"commands":{{"text":["a"],"start":[0],"took":[0],"programs":[0],"flags":[[0,[{nothing}]]]}}}}"#
        ),
        format!(r#"{{"running":{{"programs":{{"took":[{}]}}}}}}"#, many("0", room / 2)),
        format!(r#"{{"commands":{{"text":[{nothing}]}}}}"#),
    ] {
        let plain = packed(bomb.as_bytes(), &[]);
        assert!(plain.len() < 4096, "{}", plain.len());
        hostile.entry("millions of words in a few kilobytes", &plain, "the index entry is malformed");
    }
    let lie = br#"{"segment":0,"start":0,"end":0,"utc":5,"raw":99,"step":1000,"activity":""}"#;
    hostile.entry("an index entry that lies", &packed(lie, &[]), "does not match its content");
    // Of what is not authenticated little is held. It is looked at twice: from its end, and then, as its entries do not open, from
    // its start.
    let mut forge = hostile.begin();
    for n in 0..120 {
        forge.data(SEG, &zstd(ANCHOR.as_bytes()));
        forge.unsealed_index(&[0; 1 << 20]);
        forge.check(if n == 119 { CLOSES | FINAL } else { CLOSES });
    }
    forge.finish();
    hostile.add(LARGEST, forge.bytes, "the sealed content is not what was written");
    let mut forge = Forge::bare(ROOT, &hostile.host, "web-3", &[]);
    forge.index(&packed(b"{}", &[]));
    hostile.add("metadata of nothing", forge.bytes, "the index entry is malformed");
    let mut forge = Forge::bare(ROOT, &hostile.host, "web-3", &[]);
    let meta =
        format!(r#"{{"meta":{{"argv":[{nothing}]}},"cast":{{"version":3,"term":{{"cols":20,"rows":5}}}}}}"#);
    forge.index(&packed(meta.as_bytes(), &[]));
    hostile.add("metadata of millions of words", forge.bytes, "the index entry is malformed");
}

/// A recording of one segment of these lines, compressed without holding them, and of this tally.
fn compared(hostile: &mut Hostile, lines: impl Iterator<Item = Vec<u8>>, tally: &str, said: &str) {
    let mut forge = Forge::bare(ROOT, &hostile.host, "web-3", &[]);
    let meta = format!(
        r#"{{"meta":{{"drawing":{DRAWING},"cols":20,"rows":5}},"cast":{{"version":3,"term":{{"cols":20,"rows":5}}}}}}"#
    );
    forge.index(&packed(meta.as_bytes(), &[]));
    let at = forge.bytes.len();
    forge.data(SEG, &zstd_of(std::iter::once(ANCHOR.as_bytes().to_vec()).chain(lines)));
    let entry = format!(
        r#"{{"segment":0,"offset":{at},"start":0,"utc":5,"raw":0,"step":1000,"activity":"",{tally}}}"#
    );
    forge.index(&packed(entry.as_bytes(), &[]));
    forge.check(CLOSES | FINAL);
    forge.finish();
    assert!(forge.bytes.len() < 100_000, "{}", forge.bytes.len());
    hostile.add("very many things to compare", forge.bytes, said);
}

/// A segment of a few kilobytes can have very many keyframes, have the shell tell of very many commands, and have very long marks.
fn of_what_is_compared(hostile: &mut Hostile) {
    let label = "x".repeat((8 << 20) - 100);
    let marks = (0..31).map(|_| format!("[0,\"m\",\"{label}\"]\n").into_bytes());
    compared(hostile, marks, r#""end":0,"unlisted":31"#, "32 events");
    let note = "x".repeat(60_000);
    let gap = serde_json::to_string(&format!(r#"{{"why":"slept","note":"{note}"}}"#)).unwrap();
    let gaps = (0..1000).map(|_| format!("[0,\"g\",{gap}]\n").into_bytes());
    let listed = vec![format!(r#"[0,{{"why":"slept","count":0,"note":"{note}"}}]"#); 69].join(",");
    compared(hostile, gaps, &format!(r#""end":0,"gaps":[{listed}],"unlisted":931"#), "1001 events");
    let mut many = |thousands: usize, line: &str, tally: &str, lie: &str| {
        let lines = (0..thousands).map(|_| line.as_bytes().repeat(1000));
        compared(hostile, lines, tally, &format!("{thousands}001 events{lie}"));
    };
    let keyframes = |thousands: usize| {
        let listed = vec!["0"; 1000].join(",");
        format!(r#""end":0,"keyframes":[{listed}],"unlisted":{}"#, (thousands - 1) * 1000)
    };
    let wrong = ", a keyframe of segment 0 is not the screen that stood there";
    many(700, "[0,\"k\",\"\"]\n", &keyframes(700), wrong);
    let screen = serde_json::to_string(&Terminal::new(20, 5).snapshot().unwrap()).unwrap();
    let more = ", segment 0 has more keyframes than a recorder makes";
    many(100, &format!("[0,\"k\",{screen}]\n"), &keyframes(100), more);
    let mark = r#"[0.001,"c","{\"mark\":{\"start\":{\"text\":\"a\"}}}"]"#;
    many(400, &format!("{mark}\n"), r#""end":400000"#, "");
}

/// What is forged without a fault passes: the cases fail for their own fault and for no other.
fn forged_without_a_fault() {
    let mut forge = Forge::begin(ROOT, &Signer::generate("host").unwrap(), "web-3", &[]);
    forge.segment(0, "one", CLOSES);
    forge.segment(1, "two", CLOSES | FINAL);
    forge.finish();
    let report = verify(Bytes::new(&forge.bytes), |_| Origin::Trusted(String::new()), |_| ()).unwrap();
    assert_eq!((report.verdict, report.segments), (Verdict::Intact, 2));
    let mut reader = Reader::open(Bytes::new(&forge.bytes)).unwrap();
    reader.unlock(ROOT).unwrap();
    assert_eq!(verify_content(&mut reader, |_| ()).unwrap(), 4);
    let mut cursor = Cursor::of_segment(&reader, 1).unwrap();
    cursor.next(&mut reader).unwrap();
    let event = cursor.next(&mut reader).unwrap().unwrap();
    assert_eq!((event.time, event.payload), (Duration::from_secs(1), Payload::Output(b"two".to_vec())));
}
