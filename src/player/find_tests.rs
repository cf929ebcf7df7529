//! What is found, and where it is shown.

use super::*;
use crate::cast::{Command, Event, Exec, Payload};
use crate::replay::{Error, Memory, Outline, Segment};

fn replay(pieces: &[(u64, &str)]) -> Replay<Memory> {
    let events = pieces
        .iter()
        .map(|(ms, text)| Event::new(Duration::from_millis(*ms), Payload::Output(text.as_bytes().to_vec())))
        .collect();
    Replay::new(Memory::new((20, 4), None, events, 10))
}

fn all(replay: &mut Replay<Memory>, text: &str) -> Finder {
    let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Screen, true);
    while !finder.is_done() {
        finder.step(replay, &mut Budget::new(50));
    }
    finder
}

#[test]
fn small_letters_match_capitals_and_not_the_other_way() {
    let pattern = |text| Pattern::new(text).unwrap();
    assert!(pattern("permit").is_in("PermitRootLogin") && !pattern("Permit").is_in("permitrootlogin"));
    assert!(pattern("a.c").is_in("xa.cx") && !pattern("a.c").is_in("abc"));
    assert!(Pattern::new("").is_err());
}

#[test]
fn what_is_coloured_wrapped_or_composed_is_found_where_it_stands() {
    let mut replay = replay(&[
        (0, "\x1b[31mPer\x1b[32mmit and a (long word) unbreakable"),
        (100, "\x1b[4;1H\x1b[4;6Hyes\x1b[4;5Hd"),
    ]);
    replay.seek(Duration::from_millis(100));
    // The screen is 20 columns wide.
    let on_screen = |text: &str| Pattern::new(text).unwrap().on_screen(replay.terminal());
    assert_eq!(on_screen("permit"), [(0, 0, 6)]);
    assert_eq!(on_screen("long word"), [(0, 14, 20), (1, 0, 3)]);
    assert_eq!(on_screen("dyes"), [(3, 4, 8)]);
    assert_eq!(on_screen("31m"), []);
}

#[test]
fn a_hit_is_the_first_moment_it_stood_on_the_screen() {
    let mut replay = replay(&[(0, "$ "), (100, "se"), (200, "cret"), (300, "\r\x1b[K$ "), (900, "gone\r\n")]);
    let mut finder = all(&mut replay, "secret");
    assert_eq!(finder.hits.len(), 1);
    finder.show(&mut replay, 0);
    while finder.is_showing() {
        finder.look(&mut replay, &mut Budget::new(50));
    }
    assert_eq!(
        (replay.time(), replay.terminal().row_text(0).as_str()),
        (Duration::from_millis(200), "$ secret")
    );
    assert_eq!(finder.from(replay.time(), true), None);
    assert_eq!(finder.from(Duration::from_millis(800), false), Some(0));
}

#[test]
fn what_was_replaced_in_the_moment_in_which_it_came_is_no_hit() {
    // As a line editor leaves its search: the prompt is taken out of the line before that is written over.
    let pieces = [(0, "(fix): echo fixed"), (900, "\r\x1b[4P"), (900, "\r$ echo fixed\x1b[K"), (901, "\r\n")];
    let mut replay = replay(&pieces);
    let finder = all(&mut replay, "echo");
    let found: Vec<_> = finder.hits.iter().map(|hit| (hit.first.as_millis(), hit.text.as_str())).collect();
    assert_eq!(found, [(0, "(fix): echo fixed"), (900, "$ echo fixed")]);
}

#[test]
fn every_hit_of_one_moment_is_gone_to() {
    let lines = "tok one\r\ntok two\r\ntok three\r\ntok one\r\n";
    let mut replay = replay(&[(0, "$ tok\r\n"), (100, lines), (900, "tok last\r\n")]);
    let mut finder = all(&mut replay, "tok");
    let count = finder.hits.len();
    assert!(finder.hits.iter().filter(|hit| hit.first == Duration::from_millis(100)).count() >= 3);
    replay.seek(Duration::ZERO);
    finder.show(&mut replay, 0);
    let mut went = |finder: &mut Finder, forward| {
        let mut gone = Vec::new();
        loop {
            while finder.is_showing() {
                finder.look(&mut replay, &mut Budget::new(50));
            }
            let Some(next) = finder.from(replay.time(), forward) else { break gone };
            gone.push(next);
            finder.show(&mut replay, next);
        }
    };
    assert_eq!(went(&mut finder, true), (1..count).collect::<Vec<_>>());
    assert_eq!(went(&mut finder, false), (0..count - 1).rev().collect::<Vec<_>>());
    // From elsewhere the time counts.
    assert_eq!(finder.from(Duration::from_millis(50), true), Some(1));
    assert_eq!(finder.from(Duration::from_millis(500), false), Some(count - 2));
}

#[test]
fn a_hit_is_looked_for_in_its_own_line_and_not_in_one_that_says_the_same() {
    for first in ["$ cat it now", "# rm it"] {
        let pieces = [(0, first), (100, "\r\n$ "), (900, "cat"), (1000, " "), (1100, "it"), (1300, "\r\n")];
        let mut replay = replay(&pieces);
        let mut finder = all(&mut replay, "it");
        let mut times = Vec::new();
        for hit in 0..2 {
            finder.show(&mut replay, hit);
            while finder.is_showing() {
                finder.look(&mut replay, &mut Budget::new(50));
            }
            times.push(replay.time().as_millis());
        }
        assert_eq!(times, [0, 1100], "{first}");
    }
}

#[test]
fn a_hit_that_no_screen_shows_is_told_as_such() {
    let lines: String = (1..=40).map(|n| format!("line {n}.\r\n")).collect();
    let mut replay = replay(&[(0, "$ "), (100, &lines), (900, "over")]);
    for (text, arrival) in [("line 12.", Arrival::PassedBy), ("line 39.", Arrival::Stands(1, 0, 8))] {
        let mut finder = all(&mut replay, text);
        finder.show(&mut replay, 0);
        while finder.is_showing() {
            finder.look(&mut replay, &mut Budget::new(50));
        }
        assert_eq!((finder.take_arrival(), finder.take_arrival()), (Some(arrival), None), "{text}");
    }
}

#[test]
fn a_hit_in_a_line_longer_than_the_screen_is_shown_where_it_came() {
    let line = format!("HEAD {:0100} NEEDLE ", 0);
    for text in ["HEAD", "NEEDLE"] {
        let mut replay =
            replay(&[(0, "$ cat\r\n"), (200, &line), (6000, "x"), (6050, "\r\n$ "), (9000, "exit")]);
        let mut finder = all(&mut replay, text);
        assert_eq!(finder.hits.len(), 1);
        finder.show(&mut replay, 0);
        while finder.is_showing() {
            finder.look(&mut replay, &mut Budget::new(50));
        }
        assert_eq!(replay.time().as_millis(), 200, "{text}");
    }
}

#[test]
fn what_stands_in_a_line_of_any_length_once_is_one_hit() {
    let long: String = (10_000..25_000).map(|n| format!("w{n}")).collect();
    let mut replay = replay(&[(0, &long), (100, "\r\n$ ")]);
    for word in (10_000..24_999).step_by(599) {
        assert_eq!(all(&mut replay, &format!("w{word}w")).hits.len(), 1, "{word}");
    }
}

#[test]
fn full_screen_programs_are_searched() {
    let mut replay =
        replay(&[(0, "$ vim\r\n"), (100, "\x1b[?1049h\x1b[Hneedle here"), (500, "\x1b[?1049l"), (600, "$ ")]);
    let finder = all(&mut replay, "needle");
    assert_eq!(
        (finder.hits.len(), finder.hits[0].page, finder.hits[0].first),
        (1, true, Duration::from_millis(100))
    );
}

#[test]
fn segments_whose_filter_denies_it_are_not_read() {
    use crate::container::filter::Builder;
    /// Tells filters, and fails the test when a denied segment is read.
    struct Filtered(Memory, Vec<Vec<u8>>, std::rc::Rc<std::cell::RefCell<Vec<usize>>>);
    impl Source for Filtered {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }
        fn segment(&mut self, number: usize) -> Result<Segment, Error> {
            self.2.borrow_mut().push(number);
            self.0.segment(number)
        }
        fn filter(&self, number: usize) -> &[u8] {
            &self.1[number]
        }
        fn refresh(&mut self) -> Result<bool, Error> {
            Ok(false)
        }
    }
    let texts = ["apples and pears", "oranges", "a needle in hay", "bananas"];
    let (mut events, mut filters, mut terminal) = (Vec::new(), Vec::new(), Terminal::new(40, 5));
    for (n, text) in (0..).zip(texts) {
        let time = Duration::from_secs(n);
        events.push(Event::new(time, Payload::Keyframe(terminal.snapshot().unwrap())));
        let text = format!("\x1b[2J\x1b[H{text}");
        terminal.feed(text.as_bytes());
        events.push(Event::new(time, Payload::Output(text.clone().into_bytes())));
        let mut builder = Builder::default();
        builder.add(&text);
        filters.push(builder.finish(1 << 20));
    }
    let read = std::rc::Rc::default();
    let source = Filtered(Memory::new((40, 5), None, events, 1), filters, std::rc::Rc::clone(&read));
    let mut replay = Replay::new(source);
    let mut finder = Finder::new(Pattern::new("needle").unwrap(), Scope::Screen, true);
    read.borrow_mut().clear();
    while !finder.is_done() {
        finder.step(&mut replay, &mut Budget::new(50));
    }
    assert_eq!(finder.hits.len(), 1);
    assert_eq!(finder.hits[0].first, Duration::from_secs(2));
    assert!(read.borrow().iter().all(|segment| *segment == 2), "{:?}", read.borrow());
}

#[test]
fn typed_input_is_searched_by_the_line() {
    let events = [(0, "su"), (50, "do ls\r"), (90, "x\x1b[A\r")]
        .map(|(ms, text)| Event::new(Duration::from_millis(ms), Payload::Input(text.as_bytes().to_vec())));
    let mut replay = Replay::new(Memory::new((20, 4), None, events.to_vec(), 10));
    let mut finder = Finder::new(Pattern::new("sudo").unwrap(), Scope::Input, true);
    finder.step(&mut replay, &mut Budget::new(50));
    assert_eq!((finder.hits[0].text.as_str(), finder.hits[0].first), ("sudo ls", Duration::ZERO));
    assert!(finder.is_done());
}

#[test]
fn a_line_that_was_typed_across_the_end_of_a_segment_is_found_once() {
    let pieces = [(0, "ls\recho IMPORT"), (50, "ANT"), (90, "FILE\rcat IMP"), (120, "ORTANT")];
    let events = pieces.map(|(ms, text)| {
        let time = Duration::from_millis(ms);
        let typed = Payload::Input(text.as_bytes().to_vec());
        [Event::new(time, typed), Event::new(time, Payload::Output(b".".to_vec()))]
    });
    for segment in [1, 2, 10] {
        let mut replay = Replay::new(Memory::new((20, 4), None, events.as_flattened().to_vec(), segment));
        for (text, lines) in [
            ("IMPORTANTFILE", vec!["echo IMPORTANTFILE"]),
            ("IMPORT", vec!["echo IMPORTANTFILE", "cat IMPORTANT"]),
        ] {
            let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Input, true);
            while !finder.is_done() {
                finder.step(&mut replay, &mut Budget::new(50));
            }
            assert_eq!(finder.hits.iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>(), lines);
        }
    }
}

#[test]
fn typed_input_is_found_as_it_was_corrected() {
    let events = [(0, "cta\x7f\x7fat /etc/sha"), (50, "w\x7fdow\r"), (90, "nothing\x15ls\r")]
        .map(|(ms, text)| Event::new(Duration::from_millis(ms), Payload::Input(text.as_bytes().to_vec())));
    let mut replay = Replay::new(Memory::new((20, 4), None, events.to_vec(), 10));
    for (text, line) in [("cat /etc/shadow", "cat /etc/shadow"), ("nothing", "nothingls")] {
        let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Input, true);
        finder.step(&mut replay, &mut Budget::new(50));
        assert_eq!(finder.hits.iter().map(|hit| hit.text.as_str()).collect::<Vec<_>>(), [line]);
    }
}

#[test]
fn programs_are_found_by_their_arguments_and_their_path() {
    let exec = |time, argv: &[&str]| Exec {
        time,
        path: "/usr/bin/true".into(),
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        ..Exec::default()
    };
    let command = Command {
        text: "./it".into(),
        start: 1000,
        execs: vec![exec(1100, &["true", "SECRET ARG"]), exec(1200, &[])],
        ..Command::default()
    };
    let memory = Memory::new((20, 4), None, vec![], 10).with_commands(vec![command]);
    let posing = exec(9500, &["uptime", "-p"]);
    let mut replay = Replay::new(memory.with_execs(vec![exec(9000, &["true", "-x"]), posing]));
    for (text, found) in [
        ("SECRET", vec![(1100, "true SECRET ARG")]),
        // What it calls itself is not told without its file.
        ("uptime", vec![(9500, "uptime -p (/usr/bin/true)")]),
        (
            "bin/true",
            vec![
                (1100, "/usr/bin/true"),
                (1200, "/usr/bin/true"),
                (9000, "/usr/bin/true"),
                (9500, "uptime -p (/usr/bin/true)"),
            ],
        ),
        ("it", vec![(1000, "./it")]),
        ("-x", vec![(9000, "true -x")]),
        ("nothing", vec![]),
    ] {
        let mut finder = Finder::new(Pattern::new(text).unwrap(), Scope::Commands, true);
        while !finder.is_done() {
            finder.step(&mut replay, &mut Budget::new(50));
        }
        let hits = finder.hits.iter().map(|hit| (hit.first.as_millis(), hit.text.as_str()));
        assert_eq!(hits.collect::<Vec<_>>(), found, "{text}");
    }
}

#[test]
fn commands_programs_and_typed_lines_are_hits_each_of_its_own() {
    let exec = |pid| Exec {
        pid,
        time: 1100,
        end: Some(2600),
        argv: vec!["sleep".into(), "1.5".into()],
        ..Exec::default()
    };
    let command =
        |start, text: &str| Command { text: text.into(), start, end: Some(9000), ..Command::default() };
    // One within the other, and a pipeline.
    let mut commands = vec![command(1000, "bash --norc"), command(2000, "bash --norc")];
    commands[0].execs = (1..4).map(exec).collect();
    let memory = || Memory::new((20, 4), None, vec![], 10).with_commands(commands.clone());
    // Two lines that were pasted.
    let typed = Event::new(Duration::from_millis(10), Payload::Input(b"- needle\r- needle\r".to_vec()));
    for (source, scope, text, found) in [
        (memory(), Scope::Commands, "bash", 2),
        (memory(), Scope::Commands, "sleep", 3),
        (Memory::new((20, 4), None, vec![typed], 10), Scope::Input, "needle", 2),
    ] {
        let mut replay = Replay::new(source);
        let mut finder = Finder::new(Pattern::new(text).unwrap(), scope, true);
        while !finder.is_done() {
            finder.step(&mut replay, &mut Budget::new(50));
        }
        assert_eq!(finder.hits.len(), found, "{text}: {:?}", finder.hits);
    }
}

#[test]
fn what_is_drawn_again_is_the_same_hit_until_another_command_or_program_shows_it() {
    let event = |(ms, text): (u64, &str)| Event::new(Duration::from_millis(ms), Payload::Output(text.into()));
    let command = |start, text: &str| Command { text: text.into(), start, ..Command::default() };
    let mut redrawn = vec![(0, "needle 1\r\nneedle 2\r\n")];
    redrawn.extend((1..9).map(|n| (n * 500, "\x1b[H\x1b[2Jneedle 1\r\nneedle 2\r\n")));
    let cleared = [(0, "needle\r\n"), (300, "needle\r\n"), (600, "\x1b[H\x1b[2J"), (900, "needle")];
    let pages = [
        (0, "\x1b[?1049h\x1b[Hneedle"),
        (700, "\x1b[?1049l"),
        (1000, "\x1b[?1049h\x1b[Hneedle"),
        (2000, "\x1b[?1049l"),
    ];
    let edited = [
        (0, "a needle rests 10%"),
        (700, "\ra needle rests 50%"),
        (1400, "\ra needle rests 99%\r\n"),
        (1500, "a needle"),
    ];
    // What is told is the second, which stood for longer; it is the first that came then.
    let longer = [(0, "a needle is"), (100, " at 1"), (700, "\ra needle is at 2"), (3000, "\r\x1b[K")];
    let scrolled = [(0, "needle\r\nneedle\r\nneedle\r\nneedle\r\nneedle\r\nneedle\r\n")];
    for (pieces, commands, found) in [
        (&redrawn[..], vec![], vec![0, 0]),
        (&cleared, vec![], vec![0]),
        (
            &cleared,
            vec![command(0, "cat f"), command(300, "cat f"), command(900, "cat f")],
            vec![0, 300, 900],
        ),
        (&pages, vec![], vec![0, 1000]),
        (&edited, vec![], vec![0, 1500]),
        (&longer, vec![], vec![0]),
        (&scrolled, vec![], vec![0, 0, 0]),
    ] {
        let events = pieces.iter().copied().map(event).collect();
        let mut replay = Replay::new(Memory::new((20, 4), None, events, 10).with_commands(commands));
        let hits = all(&mut replay, "needle").hits;
        assert_eq!(hits.iter().map(|hit| hit.first.as_millis()).collect::<Vec<_>>(), found, "{hits:#?}");
    }
}

#[test]
fn a_line_that_is_edited_is_gone_to_where_its_first_version_came() {
    let pieces = [
        (0, "$ "),
        (100, "node 1, nee"),
        (200, "dle 1"),
        (900, "\r$ node 1, needle 2"),
        (5000, "\r\x1b[K"),
        (6000, "end"),
    ];
    let mut replay = replay(&pieces);
    let mut finder = all(&mut replay, "needle");
    assert_eq!((finder.hits.len(), finder.hits[0].text.as_str()), (1, "$ node 1, needle 2"));
    finder.show(&mut replay, 0);
    while finder.is_showing() {
        finder.look(&mut replay, &mut Budget::new(50));
    }
    assert_eq!(replay.time().as_millis(), 200);
}

#[test]
fn long_lines_that_differ_only_behind_what_is_shown_of_them_are_hits_each_of_its_own() {
    let lines = ["one", "two"].map(|end| format!("needle {} {end}", "x".repeat(600)));
    let event = Event::new(Duration::ZERO, Payload::Output(lines.join("\r\n").into()));
    let mut replay = Replay::new(Memory::new((200, 20), None, vec![event], 10));
    let hits = all(&mut replay, "needle").hits;
    let ends = hits.iter().map(|hit| hit.text.rsplit(' ').next().unwrap());
    assert_eq!(ends.collect::<Vec<_>>(), ["one", "two"]);
}

/// A session that is still written: so many more events with each look at it.
struct Running {
    all: Vec<Event>,
    known: usize,
    more: usize,
    bytes: usize,
    memory: Memory,
}

impl Running {
    fn new(all: &[Event], more: usize, bytes: usize) -> Self {
        let mut running = Self { all: all.to_vec(), known: 0, more, bytes, memory: Memory::default() };
        assert_eq!(running.refresh(), Ok(true));
        running
    }
}

impl Source for Running {
    fn outline(&self) -> &Outline {
        self.memory.outline()
    }
    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        self.memory.segment(number)
    }
    fn refresh(&mut self) -> Result<bool, Error> {
        let known = self.all.len().min(self.known + self.more);
        let more = known > self.known;
        self.known = known;
        self.memory = Memory::new((20, 4), None, self.all[..known].to_vec(), self.bytes);
        Ok(more)
    }
}

/// A session with everything in it that may be searched.
fn session() -> Vec<Event> {
    use crate::shell::marks::{Mark, Start};
    use crate::shell::said::Said;
    let mut events = Vec::new();
    let mut at = |payload| events.push(Event::new(Duration::from_millis(100 * events.len() as u64), payload));
    let output = |text: &str| Payload::Output(text.as_bytes().to_vec());
    for n in 0..6 {
        at(Payload::Input(b"echo NEE".to_vec()));
        at(output("$ echo NEE"));
        at(Payload::Input(format!("DLE {n}\r").into_bytes()));
        at(output(&format!("DLE {n}\r\n")));
        let mark = Mark::Start(Start { text: Some(format!("echo NEEDLE {n}")), ..Start::default() });
        at(Said::Mark(mark).payload());
        at(output(&format!("a NEEDLE in a line that wraps, {n}\r\n")));
        at(output("\x1b[?1049h\x1b[Hpage with a NEEDLE"));
        at(output("\x1b[2;1HNEEDLE 50%"));
        at(output("\x1b[2;1HNEEDLE 99%"));
        at(output("\x1b[?1049l"));
        at(output("\rNEEDLE 1\rNEEDLE 2\r\x1b[K"));
        if n % 2 == 1 {
            at(output("\x1b[2J\x1b[H"));
        }
    }
    events
}

#[test]
fn what_a_running_session_adds_is_found_as_if_it_had_been_there_from_the_start() {
    let events = session();
    let hits = |finder: &Finder| {
        let hit = |hit: &Hit| (hit.first, hit.stood.complete, hit.text.clone(), hit.line.clone(), hit.page);
        finder.hits.iter().map(hit).collect::<Vec<_>>()
    };
    for scope in [Scope::Screen, Scope::Input, Scope::Commands] {
        let finder = || Finder::new(Pattern::new("NEEDLE").unwrap(), scope, true);
        for bytes in [1, 50, 1 << 20] {
            let mut whole = finder();
            let mut replay = Replay::new(Memory::new((20, 4), None, events.clone(), bytes));
            while !whole.is_done() {
                whole.step(&mut replay, &mut Budget::new(50));
            }
            assert!(whole.hits.len() >= 6, "{scope:?}: {:?}", whole.hits);
            for (more, slice) in [(1, u64::MAX), (1, 1), (2, 200), (7, 1000)] {
                let mut replay = Replay::new(Running::new(&events, more, bytes));
                let mut part = finder();
                loop {
                    part.step(&mut replay, &mut Budget::new(slice));
                    let last = replay.outline().spans.len() - 1;
                    if !replay.refresh().unwrap() {
                        break;
                    }
                    part.renew(last);
                }
                while !part.is_done() {
                    part.step(&mut replay, &mut Budget::new(slice));
                }
                assert_eq!(hits(&part), hits(&whole), "{scope:?} {bytes} {more} {slice}");
            }
        }
    }
}

#[test]
fn a_hit_that_was_shown_and_is_found_again_is_not_stepped_to_again() {
    let event = |ms, text: &str| Event::new(Duration::from_millis(ms), Payload::Output(text.into()));
    let events =
        [event(0, "$ "), event(100, "NEE"), event(200, "DLE"), event(300, "\r\n"), event(400, "x\r\n")];
    let mut replay = Replay::new(Running::new(&events, 4, 1 << 20));
    let mut finder = Finder::new(Pattern::new("NEEDLE").unwrap(), Scope::Screen, true);
    finder.step(&mut replay, &mut Budget::endless());
    finder.show(&mut replay, 0);
    while finder.is_showing() {
        finder.look(&mut replay, &mut Budget::endless());
    }
    let shown = replay.time();
    assert_eq!((shown, finder.from(shown, false)), (Duration::from_millis(200), None));
    assert_eq!(replay.refresh(), Ok(true));
    finder.renew(0);
    finder.step(&mut replay, &mut Budget::endless());
    assert_eq!((finder.hits.len(), finder.from(shown, false)), (1, None));
}
