use super::*;
use crate::container::filter::Filter;
use crate::exec::{self, Trace};
use crate::policy::Redactions;
use crate::shell::commands::Tracker;
use crate::shell::marks::{Mark, Start};
use crate::shell::said::Said;
use crate::sys::dice::Dice;
use crate::terminal::{Shown, corpus};
use std::sync::Barrier;

#[path = "indexer_programs_tests.rs"]
mod programs;

fn output(ms: u64, bytes: &[u8]) -> Event {
    Event::new(Duration::from_millis(ms), Payload::Output(bytes.to_vec()))
}

/// A segment as a recorder writes it.
struct Segment {
    keyframe: Option<String>,
    events: Vec<Event>,
    filter: Vec<u8>,
    given_up: Option<GivenUp>,
}

fn index(indexer: &mut ScreenIndexer, segments: Vec<Vec<Event>>) -> Vec<Segment> {
    segments
        .into_iter()
        .map(|events| {
            // However busy the machine is, this test is about what is in the index, not about when.
            indexer.patience = crate::sys::DEADLINE;
            let keyframe = indexer.keyframe();
            events.iter().cloned().for_each(|event| indexer.event(event));
            let Extras { filter, given_up, .. } = indexer.end_segment();
            Segment { keyframe, events, filter, given_up }
        })
        .collect()
}

/// The corpus, one session after the other, slowly enough to be read.
fn long_session(bytes: usize) -> Vec<Vec<Event>> {
    let (mut segments, mut segment, mut held, mut at) = (Vec::new(), Vec::new(), 0, Duration::ZERO);
    for session in corpus::sessions() {
        let start = at + Duration::from_secs(1);
        segment.push(Event::new(at, Payload::Resize { cols: session.cols, rows: session.rows }));
        for event in session.events {
            if let Payload::Output(bytes) = &event.payload {
                held += bytes.len();
            }
            at = start + event.time;
            segment.push(Event::new(at, event.payload));
            if held >= bytes {
                held = 0;
                segments.push(std::mem::take(&mut segment));
            }
        }
    }
    segments.push(segment);
    segments
}

#[test]
fn a_filter_denies_no_line_that_reading_from_the_keyframe_finds() {
    let mut indexer = ScreenIndexer::begin((80, 24).into(), true);
    let segments = index(&mut indexer, long_session(3000));
    assert!(segments.len() > 30, "{} segments", segments.len());
    let mut shown = Shown::new((80, 24));
    let (mut filters, mut keyframes, mut lines) = (0, 0, 0);
    let mut before = None;
    for segment in &segments {
        let filter = Filter::read(&segment.filter);
        if let Some(keyframe) = &segment.keyframe {
            keyframes += 1;
            assert_eq!(
                shown.terminal().snapshot().as_ref(),
                Some(keyframe),
                "the screen after the segment before"
            );
            let new = Shown::restored((80, 24), keyframe, segment.events[0].time).unwrap();
            std::mem::replace(&mut shown, new).finish(&mut |line| {
                lines += 1;
                let denied =
                    before.flatten().is_some_and(|filter: Filter<'_>| !filter.may_hold_text(&line.text));
                assert!(!denied, "{line:?}");
            });
        }
        for event in &segment.events {
            shown.event(event, &mut |line| {
                lines += 1;
                assert!(filter.is_none_or(|filter| filter.may_hold_text(&line.text)), "{line:?}");
            });
        }
        filters += u32::from(filter.is_some());
        before = Some(filter);
    }
    assert!(
        filters > 30 && keyframes > 4 && lines > 2000,
        "{filters} filters, {keyframes} keyframes, {lines} lines"
    );
    let floods = |segment: &Segment| matches!(segment.given_up, None | Some(GivenUp::Flood));
    assert!(segments.iter().all(floods));
}

#[test]
fn a_flood_has_no_filter_but_the_screen_after_it_is_exact() {
    let mut indexer = ScreenIndexer::start((80, 24));
    let flood: Vec<Event> = (0..1000u64)
        .map(|n| output(n, format!("line {n} of a build that nobody can read\r\n").repeat(100).as_bytes()))
        .collect();
    let calm: Vec<Event> = (0..200u64)
        .map(|n| output(60_000 + n * 50, format!("\x1b[3{}mcalm {n}\r\n", n % 8).repeat(50).as_bytes()))
        .collect();
    let whole: Vec<Event> = flood.iter().chain(&calm).cloned().collect();
    let segments = index(&mut indexer, vec![flood, calm, vec![output(90_000, b"end")]]);
    assert_eq!((segments[0].filter.len(), segments[0].given_up), (0, Some(GivenUp::Flood)));
    assert_eq!(segments[1].given_up, None);
    assert!(Filter::read(&segments[1].filter).unwrap().may_hold_text("calm 199"));
    let mut drawn = crate::terminal::Terminal::new(80, 24);
    whole.iter().for_each(|event| corpus::step(&mut drawn, &event.payload));
    assert_eq!(segments[2].keyframe, drawn.snapshot());
}

#[test]
fn a_screen_that_cost_too_much_to_draw_is_in_no_keyframe_until_it_is_reset() {
    let mut indexer = ScreenIndexer::begin((80, 24).into(), true);
    let lines = |ms: u64| output(ms, "a line that is read\r\n".repeat(400).as_bytes());
    let dear = output(0, &b"\x1b[2J".repeat(30_000));
    let parts = vec![
        vec![dear, lines(1)],
        vec![lines(1000)],
        vec![output(2000, b"\x1bc"), lines(2001)],
        vec![lines(3000)],
    ];
    let segments = index(&mut indexer, parts.clone());
    let told: Vec<_> = segments
        .iter()
        .map(|part| (part.keyframe.is_some(), part.filter.is_empty(), part.given_up))
        .collect();
    let late = (false, true, Some(GivenUp::Late));
    assert_eq!(told, [late, late, late, (true, false, None)]);
    let mut drawn = crate::terminal::Terminal::new(80, 24);
    parts[..3].iter().flatten().for_each(|event| corpus::step(&mut drawn, &event.payload));
    assert!(drawn.overrun());
    assert_eq!(segments[3].keyframe, drawn.snapshot());
}

/// Bytes of no meaning, as a compressed file has them.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = Dice(7);
    // A reset among them would make the screen known again.
    std::iter::repeat_with(|| dice.byte()).filter(|byte| *byte != 0x1b).take(length).collect()
}

#[test]
fn a_small_binary_file_is_read_and_a_large_one_is_left_out_at_once() {
    let mut indexer = ScreenIndexer::start((80, 24));
    let small: Vec<Event> = noise(300_000).chunks(3000).map(|bytes| output(5, bytes)).collect();
    let large: Vec<Event> = noise(3_000_000).chunks(30_000).map(|bytes| output(60_000, bytes)).collect();
    let mut drawn = crate::terminal::Terminal::new(80, 24);
    small.iter().for_each(|event| corpus::step(&mut drawn, &event.payload));
    // As long as it takes: not one waits for what nobody reads.
    (indexer.patience, indexer.most_patience) = (crate::sys::DEADLINE, crate::sys::DEADLINE);
    let rest = vec![output(70_000, b"\x1bc"), output(71_000, b"known again")];
    let segments = index(&mut indexer, vec![small, large, rest, vec![output(90_000, b"end")]]);
    let given_up: Vec<_> = segments.iter().map(|segment| segment.given_up).collect();
    assert_eq!(given_up, [None, Some(GivenUp::Late), Some(GivenUp::Late), None]);
    assert_eq!(segments[1].keyframe, drawn.snapshot());
    let keyframes: Vec<_> = segments.iter().map(|segment| segment.keyframe.is_some()).collect();
    assert_eq!(keyframes, [false, true, false, true]);
}

#[test]
fn a_line_of_which_the_beginning_was_left_out_is_in_no_filter() {
    let mut indexer = ScreenIndexer::start((80, 24));
    (indexer.patience, indexer.most_patience) = (crate::sys::DEADLINE, crate::sys::DEADLINE);
    let typed = |ms: u64, text: &str| Event::new(Duration::from_millis(ms), Payload::Input(text.into()));
    let lines = |ms: u64| output(ms, "a line that is read\r\n".repeat(400).as_bytes());
    let mut large: Vec<Event> = noise(6_000_000).chunks(30_000).map(|bytes| output(1000, bytes)).collect();
    large.insert(150, typed(1000, "my passage is a long o"));
    let parts = vec![
        vec![lines(1)],
        large,
        vec![output(70_000, b"\x1bc"), lines(70_001)],
        vec![lines(71_000)],
        vec![typed(72_000, "ne that goes on\r"), lines(72_001)],
        vec![typed(73_000, "whole again\r"), lines(73_001)],
    ];
    let segments = index(&mut indexer, parts);
    let has: Vec<_> = segments.iter().map(|segment| !segment.filter.is_empty()).collect();
    // In the fourth nothing is typed, but nobody can say that of what the line would have been.
    assert_eq!(has, [true, false, false, false, false, true]);
    assert!(Filter::read(&segments[5].filter).unwrap().may_hold_text("whole again"));
}

#[test]
fn text_of_any_kind_is_no_noise() {
    let latin = "Gr\u{fc}\u{df}e\tan\talle\r\n".chars().map(|c| c as u8).collect::<Vec<_>>();
    let colours = b"\x1b[38;5;1mA\x1b[0m\x0e\x0fqqq\x08\x07\x0c\x0b";
    let shift_jis = b"\x93\xfa\x96\x7b\x8c\xea\r\n";
    for text in [&latin[..], colours, shift_jis, b""] {
        assert!(!is_noise(&text.repeat(200)), "{text:?}");
    }
    assert!(is_noise(&noise(4096)));
    assert!(is_noise(&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0".repeat(9)));
}

#[test]
fn a_failure_of_the_emulator_costs_the_index_and_nothing_else() {
    let mut indexer = ScreenIndexer::start((80, 24));
    indexer.shared.hand(Work::Panic);
    for _ in 0..3 {
        let events: Vec<Event> = (0..100u64).map(|n| output(n * 100, &[b'x'; 1000])).collect();
        let segments = index(&mut indexer, vec![events]);
        assert!(segments[0].filter.is_empty() && segments[0].keyframe.is_none());
        assert_eq!(segments[0].given_up, Some(GivenUp::Failed));
    }
}

#[test]
fn a_late_emulator_is_not_waited_for_and_its_keyframe_is_used_if_it_still_comes_in_time() {
    let mut indexer = ScreenIndexer::start((80, 24));
    let barrier = Arc::new(Barrier::new(2));
    indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
    let events: Vec<Event> = (0..100u64).map(|n| output(n * 100, &[b'x'; 1000])).collect();
    events.iter().cloned().for_each(|event| indexer.event(event));
    let late = indexer.end_segment();
    assert_eq!((late.filter.len(), late.given_up), (0, Some(GivenUp::Late)));
    barrier.wait();
    let border = indexer.borders;
    drop(indexer.shared.wait(&mut { crate::sys::DEADLINE }, |state| state.has_answer(border)));
    assert!(indexer.keyframe().is_some());
    let next = index(&mut indexer, vec![events]);
    assert!(!next[0].filter.is_empty(), "the reading and its readers agree again");
}

#[test]
fn what_comes_too_late_at_the_end_is_counted() {
    use crate::exec::{Mode, Trace};
    let mut tracker = crate::shell::commands::Tracker::new(None);
    tracker.command("make".into(), None);
    let (trace, _) = Trace::start(Mode::Off, 0, Duration::ZERO);
    let executed = trace.executed();
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(Heard {
        tracker,
        trace,
        redact: Default::default(),
        strict: false,
    });
    Indexer::begin(&mut indexer, Duration::ZERO);
    let barrier = Arc::new(Barrier::new(2));
    // Twice: when it has come to the first one, it knows of the command; at the second one it stands.
    indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
    indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
    barrier.wait();
    let late = indexer.end_segment();
    assert_eq!(
        (late.given_up, late.left_out),
        (Some(GivenUp::Late), LeftOut::default()),
        "it may still come"
    );
    executed.fetch_add(7, Ordering::Relaxed);
    indexer.event(Event::new(Duration::from_secs(1), Payload::Exit(0)));
    let last = indexer.end_segment();
    assert_eq!(last.given_up, Some(GivenUp::Late));
    assert_eq!(last.left_out, LeftOut { commands: 1, programs: 7, shortened: 0 });
    barrier.wait();
}

/// The marks of the time in which the program was started wait behind the border, wherever.
#[test]
fn a_border_gives_no_program_to_the_command_that_ran_as_far_as_was_heard() {
    let origin = crate::sys::clock::monotonic().saturating_sub(Duration::from_secs(100));
    let micros = |ms: u64| u64::try_from(origin.as_micros()).unwrap() + ms * 1_000;
    let mut tracker = crate::shell::commands::Tracker::new(Some(10));
    tracker.follow_output();
    let (trace, tell) = Trace::of_test();
    let heard = Heard { tracker, trace, redact: Redactions::default(), strict: false };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    Indexer::begin(&mut indexer, origin);
    let start = |text: &str| Said::Mark(Mark::Start(Start { text: Some(text.into()), ..Start::default() }));
    let end = || Said::Mark(Mark::End { status: Some(0), pipe: vec![], cancelled: false });
    let mut told = Vec::new();
    let mut segment = |said: Vec<(u64, Said)>| {
        indexer.patience = crate::sys::DEADLINE;
        for (ms, said) in said {
            indexer.event(Event::new(Duration::from_millis(ms), said.payload()));
        }
        told.extend(indexer.end_segment().commands);
    };
    tell(exec::Event::Forked { micros: micros(3_000), pid: 20, parent: 10 });
    let program =
        Exec { time: micros(3_001) / 1_000, pid: 20, ppid: 10, argv: vec!["true".into()], ..Exec::default() };
    tell(exec::Event::Executed(program));
    segment(vec![
        (1_000, Said::Clock(micros(999))),
        (1_000, start("cat")),
        (1_000, Said::Through(micros(1_500))),
    ]);
    segment(vec![(2_500, Said::Through(micros(2_000)))]);
    segment(vec![
        (3_100, Said::Clock(micros(2_400))),
        (3_100, end()),
        (3_100, Said::Clock(micros(2_900))),
        (3_100, start("true after")),
        (3_900, Said::Clock(micros(3_500))),
        (3_900, end()),
        (4_500, Said::Through(micros(4_500))),
    ]);
    let told: Vec<_> = told.iter().map(|command| (command.text.as_str(), command.execs.len())).collect();
    assert_eq!(told, [("cat", 0), ("true after", 1)]);
}

#[test]
fn a_segment_that_began_without_its_keyframe_has_no_filter() {
    let mut indexer = ScreenIndexer::start((80, 24));
    let events = |from: u64| (0..100).map(|n| output(from + n * 100, &[b'x'; 1000])).collect::<Vec<_>>();
    assert!(!index(&mut indexer, vec![events(0)])[0].filter.is_empty());
    indexer.patience = crate::sys::DEADLINE;
    events(20_000).into_iter().for_each(|event| indexer.event(event));
    assert!(indexer.end_segment().filter.is_empty());
    assert!(!index(&mut indexer, vec![events(40_000)])[0].filter.is_empty());
}

#[test]
fn an_emulator_that_stands_still_makes_nobody_wait_and_knows_the_screen_again_after_a_reset() {
    let mut indexer = ScreenIndexer::start((80, 24));
    let barrier = Arc::new(Barrier::new(2));
    indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
    for n in 0..300 {
        indexer.event(output(n, &[b'x'; 10_000]));
        indexer.event(Event::new(Duration::from_millis(n), Payload::Input(vec![b'y'; 10_000])));
        indexer.event(Event::new(Duration::from_millis(n), Payload::Withheld(1)));
        let forged = Said::Hint(crate::shell::marks::Hint::Text("x".repeat(4000)));
        indexer.event(Event::new(Duration::from_millis(n), forged.payload()));
    }
    assert!(indexer.patience.is_zero(), "{:?}: it is for all of a segment together", indexer.patience);
    let late = indexer.end_segment();
    assert_eq!((late.filter.len(), late.given_up), (0, Some(GivenUp::Late)));
    {
        let state = indexer.shared.lock();
        assert!(state.queue.len() < 20 && state.bytes <= QUEUE, "{} bytes", state.bytes);
        let events = state
            .queue
            .iter()
            .flat_map(|work| if let Work::Events(events, _) = work { events.as_slice() } else { &[] });
        let withheld = events.filter(|event| matches!(event.payload, Payload::Withheld(_))).count();
        assert_eq!(withheld, 300, "everything but output and input");
    }
    barrier.wait();
    let line = |ms: u64, text: &str| output(ms, text.repeat(2000).as_bytes());
    let segments = vec![
        vec![line(1000, "the screen is not known\r\n")],
        vec![
            line(2000, "still not\r\n"),
            output(2001, b"\x1bc"),
            Event::new(Duration::from_millis(2001), Payload::Input(b"\r".into())),
            line(2002, "again, but not from the start\r\n"),
        ],
        vec![line(3000, "all of this\r\n")],
        vec![output(4000, b"end")],
    ];
    let segments = index(&mut indexer, segments);
    let given_up: Vec<_> = segments.iter().map(|segment| segment.given_up).collect();
    assert_eq!(given_up, [Some(GivenUp::Late), Some(GivenUp::Late), None, None]);
    assert!(segments.iter().take(2).all(|segment| segment.filter.is_empty()));
    let keyframes: Vec<_> = segments.iter().map(|segment| segment.keyframe.is_some()).collect();
    assert_eq!(keyframes, [false, false, true, true]);
    assert!(Filter::read(&segments[2].filter).unwrap().may_hold_text("all of this"));
    let mut drawn = crate::terminal::Terminal::new(80, 24);
    segments[1].events.iter().for_each(|event| corpus::step(&mut drawn, &event.payload));
    assert_eq!(segments[2].keyframe, drawn.snapshot());
}

/// What the shell says is no output, and whoever is recorded can make it say as much as he likes.
#[test]
fn a_flood_of_marks_is_counted_and_ends_neither_the_index_nor_the_trace() {
    let (trace, tell) = Trace::of_test();
    let heard = Heard { tracker: Tracker::new(None), trace, redact: Redactions::default(), strict: true };
    let mut indexer = ScreenIndexer::start((80, 24)).hearing(heard);
    indexer.begin(Duration::ZERO);
    let barrier = Arc::new(Barrier::new(2));
    indexer.shared.hand(Work::Hold(Arc::clone(&barrier)));
    let at = Duration::from_millis;
    let start = Start { text: Some("\u{ff}".repeat(12_000)), ..Start::default() };
    let mark = Said::Mark(Mark::Start(start)).payload();
    for n in 0..200 {
        indexer.event(Event::new(at(n), mark.clone()));
        indexer.event(Event::new(at(n), Payload::Withheld(1)));
        let cols = u16::try_from(n + 1).unwrap();
        indexer.event(Event::new(at(n), Payload::Resize { cols, rows: 24 }));
    }
    let mut all = vec![indexer.end_segment()];
    assert_eq!(all[0].given_up, Some(GivenUp::Late));
    let kept = {
        let state = indexer.shared.lock();
        assert!(state.bytes <= QUEUE + 4096, "{} bytes", state.bytes);
        let waits = state.queue.iter().flat_map(|work| match work {
            Work::Events(events, _) => events.as_slice(),
            _ => &[],
        });
        let waits: Vec<_> = waits.map(|event| &event.payload).collect();
        assert!(waits.contains(&&Payload::Resize { cols: 200, rows: 24 }), "the size is known");
        waits.iter().filter(|payload| **payload == &mark).count()
    };
    barrier.wait();
    tell(exec::Event::Executed(Exec { pid: 7, path: "/bin/true".into(), ..Exec::default() }));
    indexer.event(Event::new(at(300), Payload::Exit(0)));
    indexer.patience = crate::sys::DEADLINE;
    all.push(indexer.end_segment());
    assert_eq!(indexer.must_end(), None);
    assert!(all.iter().all(|extras| extras.given_up != Some(GivenUp::Failed)));
    let commands: Vec<_> = all.iter().flat_map(|extras| &extras.commands).collect();
    let of_commands = commands.iter().flat_map(|command| &command.execs);
    let programs = of_commands.chain(all.iter().flat_map(|extras| &extras.execs)).count();
    let notes: Vec<_> =
        commands.iter().flat_map(|c| c.notices()).filter(|note| note.starts_with("lost-marks")).collect();
    let lost = 200 - kept;
    assert!(kept > 0 && lost > 0, "{kept}");
    assert_eq!(
        notes,
        [format!("lost-marks: {lost} messages of the shell came faster than they could be read")]
    );
    let left_out: u64 = all.iter().map(|extras| extras.left_out.commands).sum();
    assert_eq!((left_out, programs), (lost as u64, 1));
}
