//! Makes a large store for measuring: records a dozen real sessions under `sealcast run` (shells, an editor, a pager, a build,
//! logs, full-screen programs), then writes each of them many times with other numbers, names and times.
//!
//! `cargo run --release --example generate_store -- SEALCAST OUT [RECORDINGS] [MEGABYTES]`
//!
//! OUT/home is the home of the investigator, OUT/store the store, OUT/plain the output of the same sessions, compressed with
//! zstd -3, one file each, for comparison. One recording in a thousand shows the word `marigold-canary-7q4z`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../tests/support/dice.rs"]
mod dice;

use dice::Dice;
use sealcast::cast::{Anchor, Command as Ran, Event, Header as CastHeader, Payload};
use sealcast::container::cert::NAMESPACE;
use sealcast::container::{Cursor, Header, Meta, Reader, SessionKeys, Setup, Writer};
use sealcast::crypto::identity::Identities;
use sealcast::crypto::prompt::{Nobody, Prompt};
use sealcast::record::{Indexer as _, ScreenIndexer};
use sealcast::store::personal::Personal;
use sealcast::store::{Store, period, seal};
use sealcast::terminal::DRAWING;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is rare.
const CANARY: &str = "marigold-canary-7q4z";

/// A session that is recorded: its name, how often it stands in the store (of 100), how often it is repeated within a
/// recording, and what is typed, with pauses in milliseconds.
struct Script {
    name: &'static str,
    share: usize,
    repeats: u64,
    keys: &'static [(u64, &'static str)],
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "admin",
        share: 22,
        repeats: 1,
        keys: &[
            (300, "ls -la /etc | head -60\r"),
            (400, "cat /etc/passwd\r"),
            (400, "grep -rn root /etc/pam.d 2>/dev/null | head -40\r"),
            (300, "ps aux | head -40\r"),
            (300, "df -h; free -m; uptime\r"),
            (500, "cd /var/log && ls -l\r"),
            (300, "tail -n 60 dpkg.log\r"),
            (300, "echo typo heer\x7f\x7fre\r"),
            (200, "false\r"),
        ],
    },
    Script {
        name: "vim",
        share: 12,
        repeats: 1,
        keys: &[
            (300, "cp /etc/ssh/sshd_config . || man -k . > sshd_config; vim -u NONE sshd_config\r"),
            (800, "/Permit\r"),
            (400, "nzz"),
            (300, "oPermitRootLogin no\x1b"),
            (400, "\x06\x06\x02"),
            (300, ":%s/yes/no/gc\rynyny"),
            (300, "\x1b:wq\r"),
        ],
    },
    Script {
        name: "less",
        share: 8,
        repeats: 1,
        keys: &[
            (300, "less /etc/services\r"),
            (400, "     "),
            (400, "/http\r"),
            (300, "nnn"),
            (300, "G"),
            (300, "bbb"),
            (200, "q"),
        ],
    },
    Script {
        name: "top",
        share: 6,
        repeats: 1,
        keys: &[(300, "top -d 0.5\r"), (4000, "q"), (300, "top -b -n 2 | head -80\r")],
    },
    Script {
        name: "build",
        share: 14,
        repeats: 3,
        keys: &[
            (
                300,
                "for i in $(seq 300); do printf '#include <stdio.h>\\nint f%d(int a,int unused){unsigned x=a;if(x<a)printf(\"%%s\",x);return 1;}\\n' $i > f$i.c; done\r",
            ),
            (
                1500,
                "for i in $(seq 300); do echo \"[$i/300] CC f$i.o\"; cc -Wall -Wextra -c f$i.c -o f$i.o; done\r",
            ),
            (30000, "ls -l *.o | tail -n 300\r"),
            (800, "nm *.o | head -n 900\r"),
        ],
    },
    Script {
        name: "packages",
        share: 10,
        repeats: 3,
        keys: &[
            (300, "dpkg -l | cat\r"),
            (1500, "find /usr/share/doc -maxdepth 2 | head -n 6000\r"),
            (1500, "cat /var/log/dpkg.log | head -n 12000\r"),
        ],
    },
    Script {
        name: "listing",
        share: 8,
        repeats: 2,
        keys: &[(300, "ls -lR /usr/lib | head -n 40000\r"), (6000, "ls -lR /usr/include | head -n 20000\r")],
    },
    Script {
        name: "log",
        share: 20,
        repeats: 5,
        keys: &[
            (
                300,
                "awk 'BEGIN{srand(7);split(\"accepted connection from|rejected request for /api/v2/orders/|worker finished job|timeout while waiting for|cache miss on key|user alice logged in from|GET /static/app.js HTTP/1.1 200|disk /dev/sda1 at|error: upstream closed\",m,\"|\");for(i=0;i<40000;i++){printf \"Nov 25 15:%02d:%02d web-%d app[%d]: %s %d.%d.%d.%d id=%08x\\n\",i/600%60,i/10%60,i%9,1000+i%777,m[1+int(rand()*9)],rand()*255,rand()*255,rand()*255,rand()*255,rand()*2^31;if(i%1500==0){fflush();system(\"sleep 0.2\")}}}'\r",
            ),
            (9000, ""),
        ],
    },
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sealcast, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: generate_store SEALCAST OUT [RECORDINGS] [MEGABYTES]".into());
    };
    let number = |at: usize, default: u64| rest.get(at).map_or(Ok(default), |text| text.parse());
    let (recordings, megabytes) = (number(0, 2000)?, number(1, 5200)?);
    let out = Path::new(out);
    let home = out.join("home");
    for dir in ["home", "work", "plain", "seeds"] {
        std::fs::create_dir_all(out.join(dir))?;
    }
    let personal = Personal::from_environment(Some(home.as_os_str()), None)?;
    let sealcast = std::fs::canonicalize(sealcast)?;
    let mut seeds = Vec::new();
    for script in SCRIPTS {
        let events = seed(&sealcast, out, &personal, script)?;
        let bytes: u64 = events.0.iter().map(|event| size(&event.payload)).sum();
        println!("{:9} {:8} bytes of output, {} commands", script.name, bytes, events.1.len());
        seeds.push((script, events, bytes));
    }
    let prompt: Arc<dyn Prompt> = Arc::new(Nobody);
    let recipients = personal.read_recipients()?;
    let period = period::make(&personal.keys(), &recipients, &prompt)?;
    let maker = Maker { out, personal: &personal, recipients, period };
    // Large sessions are repeated as often as it takes to come to the size that was asked for.
    let once: u64 =
        seeds.iter().map(|(script, _, bytes)| bytes * script.repeats * script.share as u64).sum::<u64>()
            / 100;
    let scale = ((megabytes << 20) as f64 / (once * recordings).max(1) as f64).max(0.0);
    let next = AtomicU64::new(0);
    let sums: Vec<[AtomicU64; 3]> = SCRIPTS.iter().map(|_| Default::default()).collect();
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= recordings {
                        break;
                    }
                    let mut place = usize::try_from(n * 37 % 100).unwrap();
                    let (script, (events, commands), _) = seeds
                        .iter()
                        .find(|(script, ..)| {
                            let here = place < script.share;
                            place = place.saturating_sub(script.share);
                            here
                        })
                        .unwrap();
                    let repeats =
                        if script.repeats == 1 { 1 } else { (script.repeats as f64 * scale).ceil() as u64 };
                    match maker.make(n, events, commands, repeats) {
                        Ok(made) => {
                            let kind =
                                SCRIPTS.iter().position(|other| other.name == script.name).unwrap_or(0);
                            for (sum, more) in sums[kind].iter().zip(made) {
                                sum.fetch_add(more, Ordering::Relaxed);
                            }
                        }
                        Err(error) => {
                            println!("recording {n}: {error}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut output = 0;
    for (script, sums) in SCRIPTS.iter().zip(&sums) {
        let [written, length, filters] = [0, 1, 2].map(|at| sums[at].load(Ordering::Relaxed));
        output += written;
        let share = 100.0 * filters as f64 / (length - filters).max(1) as f64;
        println!(
            "{:9} {written:11} bytes of output, {length:10} in files, filters {filters:9}: {share:.1} % more",
            script.name
        );
    }
    println!("{recordings} recordings, {output} bytes of output");
    if failed.load(Ordering::Relaxed) > 0 { Err("some were not written".into()) } else { Ok(()) }
}

fn size(payload: &Payload) -> u64 {
    if let Payload::Output(bytes) = payload { bytes.len() as u64 } else { 0 }
}

type Session = (Vec<Event>, Vec<Ran>);

/// Records a session, typing what the script says, and reads it back.
fn seed(sealcast: &Path, out: &Path, personal: &Personal, script: &Script) -> Result<Session> {
    let work = out.join("work").join(script.name);
    std::fs::create_dir_all(&work)?;
    let kept = out.join("seeds").join(format!("{}.scast", script.name));
    if !kept.exists() {
        let inside = format!("stty cols 120 rows 40; exec '{}' run -- bash --norc", sealcast.display());
        let mut child = Command::new("script")
            .args(["-qfc", &inside, "/dev/null"])
            .current_dir(&work)
            .env("HOME", out.join("home"))
            .env("PS1", "root@web-3:\\w# ")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut keys = child.stdin.take().ok_or("no standard input")?;
        std::thread::sleep(Duration::from_millis(1500));
        for (pause, text) in script.keys {
            for key in text.chars() {
                write!(keys, "{key}")?;
                keys.flush()?;
                std::thread::sleep(Duration::from_millis(if text.len() > 200 { 1 } else { 15 }));
            }
            std::thread::sleep(Duration::from_millis(*pause));
        }
        write!(keys, "exit\r")?;
        keys.flush()?;
        child.wait()?;
        let made = Store::new(personal.recordings()).find("last")?;
        std::fs::rename(made.path, &kept)?;
    }
    let identities = Identities::load(&[personal.identity()], Arc::new(Nobody))?;
    let mut reader = Reader::open(std::fs::File::open(&kept)?)?;
    seal::unlock(&mut reader, &identities)?;
    let commands = reader.entries().iter().flat_map(|entry| entry.commands.clone()).collect();
    let mut cursor = Cursor::new(&reader, 0)?;
    let mut events = Vec::new();
    while let Some(event) = cursor.next(&mut reader)? {
        if !matches!(
            event.payload,
            Payload::Anchor(_) | Payload::Keyframe(_) | Payload::Exit(_) | Payload::Gap(_)
        ) {
            events.push(event);
        }
    }
    Ok((events, commands))
}

struct Maker<'a> {
    out: &'a Path,
    personal: &'a Personal,
    recipients: Vec<sealcast::crypto::recipient::Recipient>,
    period: period::Period,
}

impl Maker<'_> {
    fn make(&self, n: u64, events: &[Event], commands: &[Ran], repeats: u64) -> Result<[u64; 3]> {
        let mut dice = Dice(n.wrapping_mul(0x9e37_79b9).wrapping_add(77));
        let users = ["alice", "bob", "carol", "dave", "erin"];
        let host = ["web-1", "web-2", "web-3", "db-1", "db-2", "mail", "build-7"][dice.below(7)];
        // Ninety days up to 2026-11-25, in order.
        let start = 1_787_800_000_000 + i64::try_from(n * 3_880_000 + dice.below(1000)).unwrap();
        let keys = SessionKeys::generate()?;
        let root = *keys.root();
        let slots = seal::slots(&keys, &self.recipients, Some(&self.period))?;
        let store = Store::new(self.out.join("store"));
        let signer = self.personal.read_signer()?;
        let file = store.create(start, keys.session())?;
        let path = file.path().to_owned();
        let header = Header {
            host: host.into(),
            user: users[dice.below(5)].into(),
            target: "root".into(),
            start,
            ..Header::default()
        };
        let shape = events.iter().find_map(|e| {
            if let Payload::Resize { cols, rows } = e.payload { Some((cols, rows)) } else { None }
        });
        let shape = shape.unwrap_or((120, 40));
        let meta = Meta {
            ticket: format!("OPS-{}", n % 400),
            reason: "generated".into(),
            drawing: DRAWING,
            cols: shape.0,
            rows: shape.1,
            ..Meta::default()
        };
        let setup =
            Setup { header, meta, cast: CastHeader::new(shape.0, shape.1), slots, ledger: String::new() };
        let mut writer =
            Writer::create(file, keys, setup, |text| Ok(signer.sign(NAMESPACE, text.as_bytes())?))?;
        writer.sink().publish()?;
        let mut indexer = ScreenIndexer::patient(shape);
        let mut plain = zstd::Encoder::new(
            std::fs::File::create(self.out.join("plain").join(format!("{n:06}.zst")))?,
            3,
        )?;
        let span = events.last().map_or(Duration::ZERO, |event| event.time) + Duration::from_secs(1);
        let is_output = |at: &usize| events.get(*at).is_some_and(|event| size(&event.payload) > 0);
        let middle = (events.len() / 2..events.len()).find(is_output).unwrap_or(0);
        let canary = (n % 1000 == 500).then(|| dice.below(repeats));
        let (mut written, mut now) = (0, Duration::ZERO);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(0);
        let mut waiting: Vec<Ran> = Vec::new();
        for repeat in 0..repeats {
            let shift = span * u32::try_from(repeat)?;
            waiting.extend(commands.iter().cloned().map(|mut ran| {
                ran.start += ms(shift);
                ran.end = ran.end.map(|end| end + ms(shift));
                ran
            }));
            for (at, event) in events.iter().enumerate() {
                let mut event = event.clone();
                event.time += shift;
                now = event.time;
                if let Payload::Output(bytes) = &mut event.payload {
                    vary(bytes, host, &mut dice);
                    if canary == Some(repeat) && at == middle {
                        bytes.extend_from_slice(format!("\r\n{CANARY}\r\n").as_bytes());
                    }
                    plain.write_all(bytes)?;
                    written += bytes.len() as u64;
                }
                if !writer.in_segment() {
                    let utc = start + i64::try_from(ms(now))?;
                    writer.begin(Anchor { at: ms(now), utc, boot: 1 }, indexer.keyframe())?;
                }
                indexer.event(event.clone());
                writer.push(&event)?;
                if writer.segment_due(now) {
                    let mut extras = indexer.end_segment();
                    let (done, later) =
                        waiting.into_iter().partition(|ran| ran.end.is_some_and(|end| end <= ms(now)));
                    (extras.commands, waiting) = (done, later);
                    writer.end_segment(now, extras)?;
                }
            }
        }
        writer.push(&Event::new(now, Payload::Exit(0)))?;
        let mut extras = indexer.end_segment();
        extras.commands = waiting;
        let (closed, _) = writer.finish(now, extras).map_err(|(error, _)| error)?;
        plain.finish()?;
        // As it was stored: a filter that weighs too much is made smaller.
        let mut reader = Reader::open(std::fs::File::open(path)?)?;
        reader.unlock(root)?;
        let filters = reader.entries().iter().map(|entry| entry.filter.len() as u64).sum();
        Ok([written, closed.length, filters])
    }
}

/// Other numbers and another host, of the same length where it matters: digits outside of control sequences change.
fn vary(bytes: &mut Vec<u8>, host: &str, dice: &mut Dice) {
    let mut inside = false;
    let mut random = dice.below(1u64 << 31);
    for byte in bytes.iter_mut() {
        match *byte {
            0x1b => inside = true,
            b'@'..=b'Z' | b'a'..=b'~' if inside => inside = false,
            b'0'..=b'9' if !inside => {
                if random == 0 {
                    random = dice.below(1u64 << 31);
                }
                *byte = b'0' + ((u64::from(*byte - b'0') + random) % 10) as u8;
                random /= 10;
            }
            _ => {}
        }
    }
    if let Some(at) = bytes.windows(6).position(|w| w == b"@web-3") {
        bytes.splice(at + 1..at + 6, host.bytes());
    }
}
