//! The screen by seek is the screen by replay from zero; time passes as it should.

use super::*;
use crate::cast::{Anchor, Command, Event, Payload, millis};
use crate::sys::dice::Dice;
use crate::terminal::NO_TERMINAL;
use crate::terminal::corpus::{Session, sessions, step};
use proptest::prelude::*;

impl<S: Source> Replay<S> {
    fn play(&mut self, elapsed: Duration, idle: Idle) -> Played {
        self.play_within(elapsed, idle, &mut Budget::new(4 << 20))
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn output(at: u64, text: &str) -> Event {
    Event::new(ms(at), Payload::Output(text.as_bytes().to_vec()))
}

/// A session as a recording would hold it: with a keyframe at each segment start, or without.
fn memory(session: &Session, bytes: usize, keyframes: bool) -> Memory {
    let mut terminal = Terminal::new(session.cols, session.rows);
    let mut events = Vec::new();
    let mut held = bytes;
    for event in &session.events {
        if held >= bytes
            && keyframes
            && let Some(text) = terminal.snapshot()
        {
            held = 0;
            events.push(Event::new(event.time, Payload::Keyframe(text)));
        }
        if let Payload::Output(data) = &event.payload {
            held += data.len();
        }
        step(&mut terminal, &event.payload);
        events.push(event.clone());
    }
    Memory::new((session.cols, session.rows), None, events, bytes)
}

/// The screen after all events up to a time, from the very start.
fn from_zero(session: &Session, time: Duration) -> Terminal {
    let mut terminal = Terminal::new(session.cols, session.rows);
    for event in session.events.iter().take_while(|event| event.time <= time) {
        step(&mut terminal, &event.payload);
    }
    terminal
}

#[test]
fn the_screen_by_seek_is_the_screen_by_replay_from_zero() {
    for session in sessions() {
        for keyframes in [true, false] {
            let mut replay = Replay::new(memory(&session, 1500, keyframes));
            let duration = replay.outline().duration();
            // Forwards, backwards, near and far, by a fixed sequence.
            let mut dice = Dice(1);
            for _ in 0..60 {
                let time = duration.mul_f64(f64::from(dice.below(1 << 24)) / f64::from(1 << 24));
                replay.seek(time);
                let want = from_zero(&session, time);
                assert_eq!(replay.terminal().text(), want.text(), "{} at {time:?}", session.name);
                assert_eq!(replay.terminal().snapshot(), want.snapshot(), "{} at {time:?}", session.name);
                assert_eq!(replay.time(), time, "{}", session.name);
            }
        }
    }
}

#[test]
fn stepping_back_undoes_stepping_forward() {
    for session in sessions() {
        let mut replay = Replay::new(memory(&session, 1500, true));
        let mut screens = vec![replay.terminal().text()];
        while replay.step_forward() {
            screens.push(replay.terminal().text());
        }
        assert!(screens.len() > 5, "{}", session.name);
        for (steps, want) in screens.iter().enumerate().rev().skip(1).take(40) {
            assert!(replay.step_back());
            assert_eq!(&replay.terminal().text(), want, "{} after {steps} steps", session.name);
        }
    }
}

#[test]
fn a_long_way_is_gone_in_pieces() {
    let events = (0..5000).map(|n| output(n * 10, &format!("line {n}\r\n"))).collect();
    let mut replay = Replay::new(Memory::new((80, 24), None, events, 4096));
    replay.aim(ms(49_990));
    let mut pieces = 0;
    while let Progress::Underway(at) = replay.approach(&mut Budget::new(2000)) {
        assert!(at < ms(49_990) && replay.underway());
        pieces += 1;
    }
    assert!(pieces > 20 && !replay.underway(), "{pieces}");
    assert_eq!(replay.terminal().row_text(22), "line 4999");
}

#[test]
fn without_keyframes_the_way_is_gone_once() {
    let events =
        (0..20_000).map(|n| output(n * 10, &format!("a rather long line, number {n}\r\n"))).collect();
    let mut replay = Replay::new(Memory::new((80, 24), None, events, 64 << 10));
    replay.seek(ms(199_000));
    // Now there are keyframes of our own near every place.
    replay.aim(ms(100_000));
    let mut work = 1;
    while replay.approach(&mut Budget::new(going::OWN_EVERY as u64 / 4)) != Progress::Arrived {
        work += 1;
    }
    assert!(work <= 9, "{work}");
    assert_eq!(replay.terminal().row_text(22), "a rather long line, number 10000");
}

#[test]
fn only_a_few_segments_are_held() {
    let events = (0..1000).map(|n| output(n, "0123456789")).collect();
    let mut replay = Replay::new(Memory::new((80, 24), None, events, 100));
    for time in [0, 900, 100, 500, 999, 3] {
        replay.seek(ms(time));
        while replay.prefetch() {}
        assert!(replay.held.len() <= HELD);
    }
}

#[test]
fn idle_time_is_kept_cut_or_squeezed_and_the_clock_stays_true() {
    let events =
        || Memory::new((80, 24), None, vec![output(0, "a"), output(60_000, "b"), output(60_500, "c")], 1);
    let mut replay = Replay::new(events());
    assert_eq!(replay.play(ms(1000), Idle::Kept).events, 1);
    assert_eq!(replay.time(), ms(1000));
    assert_eq!(replay.play(ms(58_000), Idle::Kept), Played::default());
    assert_eq!(replay.time(), ms(59_000));

    let mut replay = Replay::new(events());
    replay.play(ms(1500), Idle::Limited(ms(2000)));
    assert_eq!((replay.time(), replay.terminal().row_text(0).as_str()), (ms(1500), "a"));
    let played = replay.play(ms(600), Idle::Limited(ms(2000)));
    assert_eq!((played.skipped, replay.time()), (ms(58_000), ms(60_100)));
    assert_eq!(replay.terminal().row_text(0), "ab");
    assert!(replay.play(ms(1000), Idle::Limited(ms(2000))).ended);

    let mut replay = Replay::new(events());
    replay.play(ms(4000), Idle::Logarithmic);
    assert!(replay.time().abs_diff(ms(8000)) < ms(1), "{:?}", replay.time());
}

#[test]
fn commands_are_stepped_through() {
    let command = |start| Command { start, ..Command::default() };
    let memory = Memory::new((80, 24), None, vec![output(0, "x"), output(60_000, "y")], 1)
        .with_commands(vec![command(5_000), command(20_000), command(40_000)]);
    let mut replay = Replay::new(memory);
    assert_eq!((replay.command_before(), replay.command_after()), (None, Some(ms(5_000))));
    replay.seek(ms(21_000));
    assert_eq!((replay.command_before(), replay.command_after()), (Some(ms(5_000)), Some(ms(40_000))));
    replay.seek(ms(30_000));
    assert_eq!(replay.command_before(), Some(ms(20_000)));
    replay.seek(ms(50_000));
    assert_eq!(replay.command_after(), None);
}

#[test]
fn commands_that_follow_each_other_fast_are_stepped_back_through_one_by_one() {
    let starts = [500, 1_000, 8_000, 11_500, 12_300, 12_300].map(ms);
    let (mut at, mut went) = (ms(13_000), Vec::new());
    while let Some(to) = before(starts.into_iter(), at) {
        went.push(millis(to));
        at = to;
    }
    assert_eq!(went, [11_500, 8_000, 1_000, 500]);
    assert_eq!(before(starts.into_iter(), ms(14_301)), Some(ms(12_300)), "it has been running for a while");
    assert_eq!(before(starts.into_iter(), ms(501)), Some(ms(500)));
}

#[test]
fn a_session_without_a_terminal_breaks_its_lines() {
    let mut replay = Replay::new(Memory::new((0, 0), None, vec![output(0, "one\ntwo\n")], 1));
    replay.seek(ms(0));
    assert_eq!((replay.terminal().row_text(0), replay.terminal().row_text(1)), ("one".into(), "two".into()));
    assert_eq!(replay.terminal().size(), NO_TERMINAL);
}

#[test]
fn a_session_without_a_terminal_breaks_its_lines_after_a_reset_too() {
    let mut replay =
        Replay::new(Memory::new((0, 0), None, vec![output(0, "x\x1bcone\ntwo\n"), output(9, "three")], 1));
    let shown = |replay: &Replay<Memory>| [0, 1, 2].map(|row| replay.terminal().row_text(row));
    replay.play(ms(20), Idle::Kept);
    assert_eq!(shown(&replay), ["one", "two", "three"]);
    replay.seek(ms(0));
    replay.seek(ms(9));
    assert_eq!(shown(&replay), ["one", "two", "three"]);
}

#[test]
fn an_empty_recording_is_an_empty_screen() {
    let mut replay = Replay::new(Memory::new((80, 24), None, Vec::new(), 1));
    replay.seek(ms(5));
    assert!(!replay.step_forward() && !replay.step_back() && replay.play(ms(9), Idle::Kept).ended);
    assert_eq!(replay.time(), Duration::ZERO);
}

#[test]
fn of_segments_with_next_to_nothing_inside_few_are_opened_at_a_time() {
    struct Counted(Memory, usize);
    impl Source for Counted {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }
        fn segment(&mut self, number: usize) -> Result<Segment, Error> {
            self.1 += 1;
            self.0.segment(number)
        }
        fn refresh(&mut self) -> Result<bool, Error> {
            Ok(false)
        }
    }
    let events = (0..3000).map(|n| output(n, "x")).collect();
    let mut replay = Replay::new(Counted(Memory::new((80, 24), None, events, 1), 0));
    replay.aim(ms(2999));
    let mut most = 0;
    while let Progress::Underway(_) = replay.approach(&mut Budget::new(100 * budget::OPENED)) {
        most = most.max(std::mem::take(&mut replay.source().1));
    }
    assert!((50..=101).contains(&most), "{most}");
}

/// A source of which one segment cannot be read.
struct Damaged(Memory);
impl Source for Damaged {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }
    fn segment(&mut self, number: usize) -> Result<Segment, Error> {
        if number == 1 { Err(Error("chunk 9 is not authentic".into())) } else { self.0.segment(number) }
    }
    fn refresh(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

#[test]
fn what_cannot_be_read_is_said_and_passed_over() {
    let events = vec![output(0, "first "), output(1000, "lost "), output(2000, "third")];
    let mut replay = Replay::new(Damaged(Memory::new((80, 24), None, events, 1)));
    assert_eq!(replay.fault(), None);
    replay.seek(ms(2000));
    assert_eq!(replay.fault(), Some(&Error("chunk 9 is not authentic".into())));
    // Nothing of what stood before it goes on behind it.
    assert_eq!(replay.terminal().row_text(0), "third");
    replay.seek(ms(1500));
    assert_eq!(replay.terminal().row_text(0), "first");
}

#[test]
fn behind_what_cannot_be_read_the_screen_is_the_one_that_stood_there_however_it_is_come_to() {
    let mut stood = Terminal::new(80, 24);
    stood.feed(b"$ ");
    let screen = Event::new(ms(2000), Payload::Keyframe(stood.snapshot().unwrap()));
    let events =
        vec![output(0, "\x1b[?1049heditor"), output(1000, "\x1b[?1049l$ "), screen, output(2000, "ls")];
    let all = || Replay::new(Damaged(Memory::new((80, 24), None, events.clone(), 1)));
    let mut played = all();
    played.play_within(ms(5000), Idle::Kept, &mut Budget::endless());
    let mut stepped = all();
    while stepped.step_forward() {}
    let mut sought = all();
    sought.seek(ms(2000));
    for replay in [played, stepped, sought] {
        assert_eq!(replay.terminal().row_text(0), "$ ls");
    }
}

#[test]
fn behind_what_cannot_be_read_an_empty_screen_is_drawn_on_until_a_keyframe_tells_it() {
    let mut stood = Terminal::new(80, 24);
    stood.feed(b"$ ");
    let events = vec![
        output(0, "before\r\n"),
        output(1000, "lost\r\n"),
        output(2000, "blind "),
        output(3000, "still"),
        Event::new(ms(4000), Payload::Keyframe(stood.snapshot().unwrap())),
        output(4000, "ls"),
    ];
    let shown = |to: u64| {
        let all = || Replay::new(Damaged(Memory::new((80, 24), None, events.clone(), 1)));
        let mut played = all();
        played.play_within(ms(to), Idle::Kept, &mut Budget::endless());
        let mut stepped = all();
        while stepped.step_forward() && stepped.time() < ms(to) {}
        let mut sought = all();
        sought.seek(ms(to));
        let mut back = all();
        back.seek(ms(9000));
        back.seek(ms(to));
        [played, stepped, sought, back].map(|replay| replay.terminal().text())
    };
    for (to, text) in [(0, "before"), (2000, "blind"), (3000, "blind still"), (4000, "$ ls")] {
        for (way, shown) in shown(to).iter().enumerate() {
            assert_eq!(shown.trim_end(), text, "{to} {way}");
        }
    }
}

#[test]
fn keyframes_of_another_generation_are_passed_over() {
    struct Other(Memory, bool);
    impl Source for Other {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }
        fn segment(&mut self, number: usize) -> Result<Segment, Error> {
            self.0.segment(number)
        }
        fn draws_alike(&self) -> bool {
            self.1
        }
        fn refresh(&mut self) -> Result<bool, Error> {
            Ok(false)
        }
    }
    let drawn = |text: &str| {
        let mut terminal = Terminal::new(80, 24);
        terminal.feed(text.as_bytes());
        terminal.snapshot().unwrap()
    };
    // Also where a segment begins with one, at the very start, and in the middle of one.
    for at in [0, 1000, 1500] {
        let mut events = vec![output(0, "real "), output(1000, "screen"), output(2000, "!")];
        let before = events.partition_point(|event| event.time < ms(at));
        events.insert(before, Event::new(ms(at), Payload::Keyframe(drawn("of another"))));
        for (alike, shown) in [(true, "of another"), (false, "real screen!")] {
            if alike && at < 1500 {
                // On the way from the start that one changes nothing.
                continue;
            }
            for bytes in [1, 100] {
                let mut replay =
                    Replay::new(Other(Memory::new((80, 24), None, events.clone(), bytes), alike));
                replay.seek(ms(2000));
                replay.seek(ms(0));
                replay.seek(ms(2000));
                let row = replay.terminal().row_text(0);
                assert!(
                    row.starts_with(shown),
                    "{row} is shown for a keyframe at {at} of segments of {bytes}"
                );
            }
        }
    }
}

#[test]
fn a_screen_of_which_not_all_was_drawn_says_so_wherever_one_comes_from() {
    let erased = "\x1b[2J".repeat(25_000);
    let mut events = vec![output(0, "$ "), output(1000, &erased)];
    // Enough for keyframes of its own.
    events.extend((2..12).map(|n| output(n * 1000, &"x".repeat(going::OWN_EVERY / 2))));
    let mut replay = Replay::new(Memory::new((80, 24), None, events, 1 << 20));
    for at in [11_000, 500, 11_000, 9000, 7000, 5000, 500] {
        replay.seek(ms(at));
        assert_eq!(replay.terminal().overrun(), at >= 1000, "at {at}");
    }
}

#[test]
fn a_growing_recording_goes_on() {
    struct Growing(Memory, Vec<Vec<Event>>);
    impl Source for Growing {
        fn outline(&self) -> &Outline {
            self.0.outline()
        }
        fn segment(&mut self, number: usize) -> Result<Segment, Error> {
            self.0.segment(number)
        }
        fn refresh(&mut self) -> Result<bool, Error> {
            Ok(self.1.pop().map(|events| self.0.push(events)).is_some())
        }
    }
    let mut replay = Replay::new(Growing(
        Memory::new((80, 24), None, vec![output(0, "a")], 1),
        vec![vec![output(50, "b")]],
    ));
    assert!(replay.play(ms(1000), Idle::Kept).ended);
    assert_eq!(replay.refresh(), Ok(true));
    assert!(replay.play(ms(1000), Idle::Kept).events == 1);
    assert_eq!(replay.terminal().row_text(0), "ab");
    assert_eq!(replay.refresh(), Ok(false));
}

#[test]
fn the_wall_clock_leads_to_a_time() {
    let mut memory = Memory::new((80, 24), Some(1_000), vec![output(0, "a"), output(10_000, "b")], 1);
    memory.push(vec![
        Event::new(ms(20_000), Payload::Anchor(Anchor { at: 20_000, utc: 90_000, boot: 0 })),
        output(21_000, "c"),
    ]);
    assert_eq!(memory.outline().wall(ms(21_000)), Some(91_000));
    assert_eq!(memory.outline().at_wall(91_000), Some(ms(21_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn playing_in_any_steps_shows_what_a_seek_shows(steps in proptest::collection::vec(0u64..700, 1..30), index in any::<proptest::sample::Index>()) {
        let sessions = sessions();
        let session = index.get(&sessions);
        let mut replay = Replay::new(memory(session, 3000, true));
        for step in steps {
            replay.play(ms(step), Idle::Kept);
        }
        let want = from_zero(session, replay.time());
        prop_assert_eq!(replay.terminal().snapshot(), want.snapshot());
    }
}
