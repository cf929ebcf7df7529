//! Many lines at once: a paste, shown or not, and what is typed after it.

use super::tests::{stored, withheld};
use super::*;

/// A terminal that is used for a while, at a clock of its own.
struct Desk {
    withhold: Withhold,
    out: Vec<Typed>,
    now: u64,
    reported: Vec<Reported>,
}

impl Desk {
    fn new() -> Self {
        Self { withhold: Withhold::new(Policy::Echoed), out: Vec::new(), now: 1_000, reported: Vec::new() }
    }

    /// So many milliseconds later, with everything done that fell due by then.
    fn after(&mut self, time: u64) {
        self.now += time;
        let to = Duration::from_millis(self.now);
        while let Some(due) = self.withhold.deadline().filter(|due| *due <= to) {
            self.withhold.tick(due, &mut self.out);
        }
        self.reported.extend(std::iter::from_fn(|| self.withhold.take_reported()));
    }

    fn types(&mut self, keys: &str) {
        self.withhold.typed(Duration::from_millis(self.now), keys.as_bytes(), false, &mut self.out);
    }

    fn shows(&mut self, text: &str) {
        self.withhold.shown(Duration::from_millis(self.now), text.as_bytes(), &mut self.out);
    }

    /// A command at a prompt, key by key, each echoed. Whether the line counts as shown when the shell tells of it.
    fn command(&mut self, line: &str) -> bool {
        self.withhold.begin_line();
        self.shows("\x1b[?2004h$ ");
        for key in line.chars() {
            self.after(30);
            self.types(&key.to_string());
            self.after(3);
            self.shows(&key.to_string());
        }
        self.after(30);
        self.types("\r");
        self.after(3);
        self.shows("\r\n\x1b[?2004l\r");
        let was_seen = self.withhold.line_was_seen();
        self.after(20);
        self.shows("some output\r\n");
        was_seen
    }

    /// Everything that was stored by the end.
    fn stored(&mut self) -> String {
        self.after(10_000);
        stored(&self.out)
    }
}

/// What a pager or an editor draws after a paste of which it shows nothing: `lines` new lines of its own.
fn drawn(lines: usize) -> String {
    format!("\x1b[?25l{}\x1b[24;1H:\x1b[K\x1b[?25h", "~\r\n".repeat(lines))
}

#[test]
fn commands_typed_after_a_batch_of_lines_that_nothing_showed_are_stored_however_many_they_were() {
    for (lines, news) in [(5, 0), (12, 2), (20, 40), (64, 20), (64, 0), (4_000, 30)] {
        let mut desk = Desk::new();
        desk.types(&"some line of it\r".repeat(lines));
        desk.shows(&drawn(news));
        desk.after(600);
        assert!(desk.withhold.deadline().is_none(), "{lines} lines are waited for no longer");
        desk.shows("\x1b[?1049l\r\n");
        let mut all = "\r".repeat(lines);
        for n in 0..40 {
            let line = format!("echo innocent line {n}");
            assert!(desk.command(&line), "{line} after {lines} lines, {news} new ones");
            all += &(line + "\r");
        }
        assert_eq!(desk.stored(), all, "{lines} lines, {news} new ones");
        assert_eq!(withheld(&desk.out) as usize, lines);
        // All of it was typed at once: the command at that time is told of, once, and none of those that follow.
        let of_the_paste = Reported { since: Duration::from_secs(1), line: true };
        assert_eq!(desk.reported, [of_the_paste]);
    }
}

#[test]
fn a_batch_of_silent_lines_is_over_at_once_and_each_secret_is_told_of_at_its_own_time() {
    let mut desk = Desk::new();
    let at = Duration::from_millis;
    for _ in 0..3 {
        desk.types("hunter2\r");
        desk.now += 200;
    }
    assert_eq!(desk.withhold.deadline(), Some(at(1_500)));
    // Who comes late decides all of them together.
    desk.withhold.tick(at(5_000), &mut desk.out);
    assert_eq!(desk.withhold.runs.len(), 0);
    assert_eq!((stored(&desk.out).as_str(), withheld(&desk.out)), ("\r\r\r", 3));
    let told: Vec<_> = std::iter::from_fn(|| desk.withhold.take_reported()).map(|told| told.since).collect();
    assert_eq!(told, [at(1_000), at(1_200), at(1_400)]);
}

#[test]
fn a_paste_that_is_drawn_slowly_is_waited_for_as_long_as_it_goes_on() {
    // Behind a line that nothing showed, too.
    for before in ["", "hunter2\r"] {
        let mut desk = Desk::new();
        let lines: Vec<String> = (0..20).map(|n| format!("setting number {n}")).collect();
        desk.types(before);
        desk.types(&lines.iter().map(|line| format!("{line}\r")).collect::<String>());
        if !before.is_empty() {
            desk.shows("\r\n");
        }
        for line in &lines {
            desk.after(400);
            desk.shows(line);
            desk.shows("\r\n");
        }
        let all = format!("{}{}\r", before.trim_start_matches(|c| c != '\r'), lines.join("\r"));
        assert_eq!((desk.stored(), withheld(&desk.out) as usize), (all, before.len().min(1)));
    }
}

#[test]
fn a_line_that_was_shown_ends_where_it_ends_though_a_key_before_it_still_waits_for_its_echo() {
    let mut desk = Desk::new();
    desk.shows("$ ");
    desk.types("j");
    desk.after(600);
    desk.types("ls\rid\rwho\r");
    desk.shows("ls\r\nid\r\nwho\r\n");
    assert_eq!((desk.stored().as_str(), withheld(&desk.out)), ("ls\rid\rwho\r", 1));
}

#[test]
fn however_much_is_held_back_each_byte_of_output_is_looked_for_in_a_few_runs_only() {
    let most = |typed: &str, shown: &str| {
        let mut withhold = Withhold::new(Policy::Echoed);
        let mut out = Vec::new();
        withhold.typed(Duration::ZERO, typed.as_bytes(), false, &mut out);
        let mut lines = 0;
        for _ in 0..3 {
            withhold.shown(Duration::ZERO, shown.as_bytes(), &mut out);
            assert!(withhold.runs.len() > 500, "{} runs", withhold.runs.len());
            withhold.cursor.follow(b"7\n");
            let Some(Did::Drew(drawn)) = withhold.cursor.did() else { panic!("nothing was drawn") };
            let Some(Did::NextLine(cell)) = withhold.cursor.did() else { panic!("no new line") };
            let looked = (0..100).map(|_| withhold.see(Duration::ZERO, &drawn)).max().unwrap();
            lines = lines.max((0..100).map(|_| withhold.next_line(Duration::ZERO, cell)).max().unwrap());
            assert!(looked <= LEFT, "{looked} runs for a character");
        }
        lines
    };
    // A paste that is not echoed, without a line's end and with many.
    assert_eq!(most(&"abcdefgh".repeat(100 << 10), "1\r\n2\r\n"), 1);
    assert_eq!(most(&"abcdefgh\r".repeat(4_000), &"1\r\n".repeat(900)), LEFT);
}
