//! The text of a session as a person would have read it.
//!
//! Lines come in the order in which they went: rows that left the top of the screen (wrapped ones joined), rows that were
//! overwritten after they had *settled*, screens that were cleared, pages of full-screen programs, and at the end what
//! still stood. A row has settled when output comes at least the settling time after it was last written to, whatever moves
//! beside it. This is what "shown on the screen" means everywhere: to filters, search, export and the player.

use super::Terminal;
use super::tape::Tape;
use std::time::Duration;

/// How long a row stands unchanged before it counts as readable, unless another time is asked for.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// Bytes after which lines are handed on.
const PIECE: usize = 16 << 10;

/// How a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It left the top of the screen.
    Scrolled,
    /// It stood on the main screen at the end.
    Final,
    /// Something else was written in its place, or its row was deleted.
    Overwritten,
    /// It was erased with the screen.
    Cleared,
    /// It stood on the alternate screen, during this visit (counted from 1); told once per visit, but to whoever asks for all
    /// ([`super::Shown`] can).
    Page(u32),
}

/// A line of the transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// On the main screen: rows that had left before it, plus its row; lines that came to stand in the same place have the
    /// same number. On the alternate screen: its row.
    pub number: u64,
    /// How it went.
    pub kind: Kind,
    /// When its place was first written, since the start of the session.
    pub first: Duration,
    /// When its text was last written to: since then it stands as it is told.
    pub complete: Duration,
    /// When it went.
    pub last: Duration,
    /// The text, without blanks at its end. It comes from the recording: it may hold characters that deceive.
    pub text: String,
    /// Bytes at its beginning with which the piece before it ended: a very long line is told in pieces, and no word is torn.
    pub overlap: usize,
    /// It is such a piece, and another one follows.
    pub goes_on: bool,
}

/// Reads along and tells lines.
pub struct Transcript {
    terminal: Terminal,
    settle: Duration,
    last: Duration,
    refused: Option<Duration>,
}

impl Transcript {
    /// For a reset terminal of this size; see [`Terminal::new`].
    pub fn new(cols: u16, rows: u16) -> Self {
        Self::over(Terminal::new(cols, rows), Duration::ZERO)
    }

    /// From a keyframe taken at `time`; `None` when it is not one. What it shows counts as standing since then.
    pub fn restored(keyframe: &str, time: Duration) -> Option<Self> {
        Terminal::restored(keyframe).map(|terminal| Self::over(terminal, time))
    }

    fn over(mut terminal: Terminal, time: Duration) -> Self {
        let rows = terminal.screen.rows;
        terminal.screen.tape = Some(Box::new(Tape::new(rows, terminal.screen.on_alt, time, 0)));
        Self { terminal, settle: SETTLE, last: time, refused: None }
    }

    /// With another settling time. Zero keeps everything that stood at the end of any output event: more lines, none
    /// missed.
    pub fn settling(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    #[cfg(test)]
    pub(super) fn terminal_mut(&mut self) -> &mut Terminal {
        &mut self.terminal
    }

    /// The terminal as it stands, for keyframes and for looking at.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Since when something was not drawn for what it would have cost (see [`Terminal::overrun`]), and not told: what stood there
    /// may have been something else.
    pub fn refused(&self) -> Option<Duration> {
        self.refused
    }

    pub(super) fn screen_mut(&mut self) -> &mut super::screen::Screen {
        &mut self.terminal.screen
    }

    /// The terminal alone, from now on without a transcript.
    pub fn into_terminal(mut self) -> Terminal {
        self.terminal.screen.tape = None;
        self.terminal
    }

    /// Events of the terminal; see [`Terminal::take_events`].
    pub fn take_events(&mut self) -> (Vec<super::Event>, u64) {
        self.terminal.take_events()
    }

    /// Takes what the program wrote at `time` (since the start of the session) and tells the lines that went.
    pub fn feed(&mut self, time: Duration, bytes: &[u8], told: &mut impl FnMut(Line)) {
        self.arrive(time);
        for piece in bytes.chunks(PIECE) {
            self.terminal.feed_guarded(piece);
            self.drain(told);
        }
    }

    /// The terminal got a new size at `time`.
    pub fn resize(&mut self, time: Duration, cols: u16, rows: u16, told: &mut impl FnMut(Line)) {
        self.arrive(time);
        self.terminal.resize(cols, rows);
        self.drain(told);
    }

    /// How often the alternate screen has been entered: the number of its visit ([`Kind::Page`]).
    pub fn visits(&self) -> u32 {
        self.terminal.screen.tape.as_ref().map_or(0, |tape| tape.visits())
    }

    /// Rows that have left the top of the main screen.
    pub(super) fn evicted(&self) -> u64 {
        self.terminal.screen.tape.as_ref().map_or(0, |tape| tape.evicted())
    }

    /// What stands now, as lines that have not gone yet; empty ones are left out.
    pub fn standing(&self) -> Vec<Line> {
        let screen = &self.terminal.screen;
        screen.tape.as_ref().map(|tape| tape.standing(&screen.grid, &screen.other)).unwrap_or_default()
    }

    /// Tells what [`Transcript::finish`] would tell now, and goes on.
    pub fn finishing(&self, told: &mut impl FnMut(Line)) {
        let screen = &self.terminal.screen;
        if let Some(tape) = &screen.tape {
            let mut tape = tape.clone();
            tape.finish(&screen.grid, &screen.other);
            tape.out.drain(..).for_each(told);
        }
    }

    /// Tells what still stands at `time`, the end.
    pub fn finish(mut self, time: Duration, told: &mut impl FnMut(Line)) {
        self.last = time;
        let screen = &mut self.terminal.screen;
        if let Some(tape) = &mut screen.tape {
            tape.now = tape.now.max(time);
            tape.finish(&screen.grid, &screen.other);
        }
        self.drain(told);
    }

    fn arrive(&mut self, time: Duration) {
        let screen = &mut self.terminal.screen;
        if let Some(tape) = &mut screen.tape {
            if time.saturating_sub(self.last) >= self.settle {
                tape.settle(&screen.grid);
            } else if let Some(then) = time.checked_sub(self.settle) {
                tape.settle_rows(&screen.grid, then);
            }
            tape.now = tape.now.max(time);
        }
        self.last = self.last.max(time);
    }

    fn drain(&mut self, told: &mut impl FnMut(Line)) {
        if self.terminal.overrun() {
            self.refused.get_or_insert(self.last);
        }
        if let Some(tape) = &mut self.terminal.screen.tape {
            tape.out.drain(..).for_each(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds pieces at milliseconds and gives the lines as `Kind number text`.
    fn told(cols: u16, rows: u16, pieces: &[(u64, &str)]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push(format!("{:?} {} {}", line.kind, line.number, line.text));
        let mut transcript = Transcript::new(cols, rows);
        for (ms, text) in pieces {
            transcript.feed(Duration::from_millis(*ms), text.as_bytes(), &mut sink);
        }
        transcript.finish(Duration::from_secs(60), &mut sink);
        lines
    }

    #[test]
    fn lines_leave_the_top_in_order_and_the_rest_stands_at_the_end() {
        let lines = told(20, 3, &[(0, "one\r\ntwo\r\n\r\nfour\r\n$ ")]);
        assert_eq!(lines, ["Scrolled 0 one", "Scrolled 1 two", "Final 3 four", "Final 4 $"]);
    }

    #[test]
    fn wrapped_rows_are_one_line_with_one_number() {
        let lines = told(5, 2, &[(0, "abcdefghijkl\r\nx\r\ny\r\nz")]);
        assert_eq!(lines, ["Scrolled 0 abcdefghijkl", "Scrolled 3 x", "Final 4 y", "Final 5 z"]);
    }

    #[test]
    fn a_settled_row_that_is_overwritten_is_told_and_one_that_grows_is_not() {
        let lines =
            told(40, 3, &[(0, "$ l"), (200, "s -la"), (400, "\x08\x08\x08\x08\x08\x1b[K"), (700, "pwd")]);
        assert_eq!(lines, ["Overwritten 0 $ ls -la", "Final 0 $ lpwd"]);
    }

    #[test]
    fn what_was_replaced_at_once_could_not_be_read() {
        let lines = told(40, 3, &[(0, "10%"), (10, "\r20%"), (20, "\r30%"), (500, "\rdone")]);
        assert_eq!(lines, ["Overwritten 0 30%", "Final 0 done"]);
    }

    #[test]
    fn what_stands_beside_something_that_moves_could_be_read() {
        // A digit every 50 ms, in the third row; it is never still for long enough.
        let beside = |open: &str, again: &str| {
            let turn = |n: u64| (50 * n, format!("\x1b7\x1b[3;1H{}\x1b8", n % 10));
            let mut pieces = vec![(0, format!("{open}\x1b[Hsecretplan")), (20, "\x1b[2Hat once".into())];
            pieces.push((40, "\x1b[2Hreplaced".into()));
            pieces.extend((1..9).map(turn));
            pieces.push((449, again.to_owned()));
            pieces.extend((9..20).map(turn));
            let pieces: Vec<(u64, &str)> = pieces.iter().map(|(ms, text)| (*ms, text.as_str())).collect();
            told(40, 3, &pieces)
        };
        let last = ["Final 0 otherthing", "Final 1 replaced", "Final 2 9"];
        assert_eq!(beside("", "\x1b[Hotherthing"), [&["Overwritten 0 secretplan"], &last[..]].concat());
        assert_eq!(beside("", "\x1b[H\x1b[Kotherthing"), [&["Overwritten 0 secretplan"], &last[..]].concat());
        let page = beside("\x1b[?1049h", "\x1b[Hotherthing");
        assert_eq!(page[..2], ["Page(1) 0 secretplan", "Page(1) 0 otherthing"]);
        assert_eq!(page.len(), 4, "{page:?}");
    }

    #[test]
    fn a_cleared_screen_is_told_before_it_goes() {
        let lines = told(40, 3, &[(0, "secret\r\n$ clear"), (300, "\x1b[H\x1b[2J$ ")]);
        assert_eq!(lines, ["Cleared 0 secret", "Cleared 1 $ clear", "Final 0 $"]);
    }

    #[test]
    fn a_reset_tells_what_stood_there() {
        assert_eq!(told(40, 3, &[(0, "before\x1bcafter")]), ["Cleared 0 before", "Final 0 after"]);
    }

    #[test]
    fn pages_are_grouped_by_visit_and_told_once_each() {
        let open = "\x1b[?1049h\x1b[Hfile line 1\r\nfile line 2";
        let lines = told(
            40,
            3,
            &[
                (0, "$ vim"),
                (200, open),
                (400, "\x1b[Hfile line 9"),
                (600, "\x1b[Hfile line 1"),
                (800, "\x1b[?1049l"),
                (900, open),
                (1100, "\x1b[?1049l"),
            ],
        );
        assert_eq!(
            lines,
            [
                "Page(1) 0 file line 1",
                "Page(1) 0 file line 9",
                "Page(1) 1 file line 2",
                "Page(2) 0 file line 1",
                "Page(2) 1 file line 2",
                "Final 0 $ vim"
            ]
        );
    }

    #[test]
    fn what_a_full_screen_program_left_is_not_told_of_the_next_one() {
        let lines = told(
            20,
            3,
            &[
                (0, "\x1b[?1049h\x1b[Hold page"),
                (200, "\x1b[?1049l"),
                (400, "\x1b[?1049h"),
                (600, "\x1b[2Hnew page"),
                (800, "\x1b[?1049l"),
                // These two show it once more.
                (900, "\x1b[?47h"),
                (1100, "\x1b[?47l"),
            ],
        );
        let want = ["Page(1) 0 old page", "Page(2) 1 new page", "Page(3) 1 new page"];
        assert_eq!(lines, want);
    }

    #[test]
    fn no_word_is_torn_where_a_long_line_is_cut() {
        let long: String = (10_000..60_000).map(|n| n.to_string()).collect();
        for end in ["\r\n\r\n\r\n", ""] {
            let lines = told(40, 3, &[(0, &long), (1, end)]);
            let stood = |from: usize| lines.iter().any(|line| line.contains(&long[from..from + 1000]));
            assert!(lines.len() > 3 && (0..long.len() - 1000).step_by(700).all(stood), "{end:?}");
            assert!(lines.iter().all(|line| line.len() < 70 << 10));
        }
        // The same of one that a resize pushes out.
        let mut lines: Vec<Line> = Vec::new();
        let mut transcript = Transcript::new(1000, 300);
        transcript.feed(Duration::ZERO, long.as_bytes(), &mut |line| lines.push(line));
        transcript.resize(Duration::from_secs(1), 900, 2, &mut |line| lines.push(line));
        transcript.finish(Duration::from_secs(2), &mut |line| lines.push(line));
        let stood = |from: usize| lines.iter().any(|line| line.text.contains(&long[from..from + 1000]));
        assert!(lines.len() > 3 && (0..long.len() - 1000).step_by(700).all(stood));
        // Less what each has of the one before, they are the line.
        assert_eq!(lines.iter().map(|line| &line.text[line.overlap..]).collect::<String>(), long);
        let ends: Vec<bool> = lines.iter().map(|line| line.goes_on).collect();
        assert!(ends.iter().rev().skip(1).all(|goes_on| *goes_on) && ends.ends_with(&[false]), "{ends:?}");
    }

    #[test]
    fn wrapped_rows_that_do_not_scroll_away_are_told_as_one_line() {
        let page = |more: &[(u64, &str)]| {
            told(8, 4, &[&[(0, "\x1b[?1049h\x1b[Habcdefghijkl\r\nxy")], more].concat())
        };
        // Left, redrawn, one row of it changed, pushed out row by row, deleted, and parted by a line between.
        assert_eq!(page(&[(200, "\x1b[?1049l")]), ["Page(1) 0 abcdefghijkl", "Page(1) 2 xy"]);
        assert_eq!(page(&[(200, "\x1b[HABCDEFGHIJKL")])[..1], ["Page(1) 0 abcdefghijkl"]);
        assert_eq!(
            page(&[(200, "\x1b[2HZ")]),
            ["Page(1) 0 abcdefghijkl", "Page(1) 0 abcdefghZjkl", "Page(1) 2 xy"]
        );
        assert_eq!(
            page(&[(200, "\x1b[4H\n"), (400, "\n")]),
            ["Page(1) 0 abcdefghijkl", "Page(1) 0 xy"],
            "and not once more when the rest of it goes"
        );
        assert_eq!(page(&[(200, "\x1b[2H\x1b[M")])[..1], ["Page(1) 0 abcdefghijkl"]);
        assert_eq!(page(&[(200, "\x1b[2H\x1b[L"), (400, "new")])[..1], ["Page(1) 0 abcdefghijkl"]);
        assert_eq!(page(&[(200, "\x1b[1;1r\x1b[1H\n")])[..1], ["Page(1) 0 abcdefghijkl"]);
        let main = |more: &str| told(8, 4, &[(0, "abcdefghijkl\r\nxy"), (200, more)]);
        assert_eq!(main("\x1b[HABCDEFGHIJKL")[..1], ["Overwritten 0 abcdefghijkl"]);
        assert_eq!(main("\x1b[2H\x1b[J")[..2], ["Cleared 2 xy", "Overwritten 0 abcdefghijkl"]);
        assert_eq!(main("\x1b[2H\x1b[2K")[..1], ["Overwritten 0 abcdefghijkl"]);
        // What is cut by the end of the memory of lines, in windows that overlap.
        let long: String = (10_000..14_000).map(|n| n.to_string()).collect();
        let lines = told(400, 60, &[(0, "\x1b[?1049h\x1b[H"), (1, &long), (200, "\x1b[?1049l")]);
        let stood = |from: usize| lines.iter().any(|line| line.contains(&long[from..from + 300]));
        assert!(lines.len() > 1 && (0..19_700).step_by(100).all(stood));
    }

    #[test]
    fn a_long_line_is_not_joined_anew_for_each_of_its_rows_that_changes() {
        // One that is told whole, and one of which each row is told with what is around it.
        for (cols, rows) in [(2, 1000), (40, 1000)] {
            let mut lines: Vec<String> = Vec::new();
            let mut transcript = Transcript::new(cols, rows);
            let text = |from: usize| {
                let text: String = (from..).take(50_000).map(|n| n.to_string()).collect();
                text[..usize::from(cols) * usize::from(rows)].to_owned()
            };
            let (one, other) = (text(10_000), text(30_000));
            for (second, page) in (0..).zip([&one, &other]) {
                let drawn = format!("\x1b[H{page}");
                transcript
                    .feed(Duration::from_secs(second), drawn.as_bytes(), &mut |line| lines.push(line.text));
            }
            transcript.feed(Duration::from_secs(2), b"\x1b[H", &mut |line| lines.push(line.text));
            let joined = transcript.terminal.screen.tape.as_ref().unwrap().looked.get();
            assert!(joined < 20 * usize::from(rows), "{joined} rows were looked at for {rows}");
            let length = one.len().min(1000);
            let stood = |from: usize| lines.iter().any(|line| line.contains(&one[from..from + length]));
            assert!((0..=one.len() - length).step_by(61).all(stood), "{cols} by {rows}");
        }
    }

    #[test]
    fn what_a_wide_character_pushes_off_the_margin_is_told() {
        let wide = |open: &str, kind: &str| {
            let lines = told(
                12,
                4,
                &[(0, open), (1, "\x1b[Habcdefsecret"), (400, "\x1b[1;12H世"), (800, "\x1b[?1049l")],
            );
            assert!(lines.contains(&format!("{kind} 0 abcdefsecret")), "{lines:?}");
        };
        wide("", "Overwritten");
        wide("\x1b[?1049h", "Page(1)");
        // In the middle of a line that is wrapped.
        let lines = told(12, 4, &[(0, "w001 w002 w003 w004 w005"), (400, "\x1b[1;12H世")]);
        assert_eq!(lines[0], "Overwritten 0 w001 w002 w003 w004 w005");
    }

    /// Feeds pieces a second apart to a screen of 9 by 4, and gives all lines that were told. `look` is asked after each.
    fn told_of(pieces: &[String], mut look: impl FnMut(&Transcript)) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut transcript = Transcript::new(9, 4);
        for (n, piece) in pieces.iter().enumerate() {
            transcript
                .feed(Duration::from_secs(n as u64), piece.as_bytes(), &mut |line| lines.push(line.text));
            look(&transcript);
        }
        transcript.finish(Duration::from_secs(1000), &mut |line| lines.push(line.text));
        lines
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z]{1,20}",
            2 => "[a-z世\u{301}]{1,9}",
            3 => "\r\n|\n|\x1b\\[[1-4];[1-9]H|\x1b\\[H",
            2 => "\x1b\\[[012]?J|\x1b\\[[012]?K|\x08|\x1bM|\x1b\\[\\?1049[hl]",
            1 => "\x1b\\[[1-3]?[PX@b]",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn whatever_line_stood_is_told_as_it_stood(pieces in proptest::collection::vec(piece(), 1..60)) {
            let mut stood: Vec<String> = Vec::new();
            let lines = told_of(&pieces, |transcript| {
                stood.extend(transcript.standing().iter().map(|line| line.text.trim().to_owned()));
            });
            for line in stood {
                prop_assert!(lines.iter().any(|told| told.contains(&line)), "{line:?} of {lines:?} after {pieces:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Where a part of the screen is moved, what is marked as one line need not be one.
        #[test]
        fn whatever_stood_in_a_row_is_told_though_parts_of_the_screen_are_moved(
            pieces in proptest::collection::vec(prop_oneof![
                3 => piece(),
                1 => "\x1b\\[[1-3]?[LMST]|\x1b\\[[12];[34]r|\x1b\\[r",
            ], 1..60)
        ) {
            let mut stood: Vec<String> = Vec::new();
            let lines = told_of(&pieces, |transcript| {
                stood.extend((0..4).map(|row| transcript.terminal().row_text(row).trim().to_owned()));
            });
            for row in stood.into_iter().filter(|row| !row.is_empty()) {
                prop_assert!(lines.iter().any(|told| told.contains(&row)), "{row:?} of {lines:?} after {pieces:?}");
            }
        }
    }

    #[test]
    fn times_say_when_a_line_came_and_when_it_went() {
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push((line.text, line.first.as_millis(), line.last.as_millis()));
        let mut transcript = Transcript::new(20, 2);
        for (ms, text) in [(100, "a\r\n"), (250, "b"), (900, "\r\nc")] {
            transcript.feed(Duration::from_millis(ms), text.as_bytes(), &mut sink);
        }
        transcript.finish(Duration::from_millis(2000), &mut sink);
        assert_eq!(lines, [("a".into(), 100, 900), ("b".into(), 250, 2000), ("c".into(), 900, 2000)]);
    }

    #[test]
    fn rows_pushed_out_by_a_resize_are_told() {
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push(line.text);
        let mut transcript = Transcript::new(20, 4);
        transcript.feed(Duration::ZERO, b"one\r\ntwo\r\nthree\r\nfour", &mut sink);
        transcript.resize(Duration::from_secs(1), 20, 2, &mut sink);
        transcript.finish(Duration::from_secs(2), &mut sink);
        assert_eq!(lines, ["one", "two", "three", "four"]);
    }

    #[test]
    fn what_stands_can_be_asked_without_ending_it() {
        let mut transcript = Transcript::new(6, 3);
        let mut sink = |_| panic!("nothing has gone");
        transcript.feed(Duration::from_secs(1), b"$ wrapped", &mut sink);
        transcript.feed(Duration::from_secs(2), b"\x1b[?1049h\x1b[Hpage", &mut sink);
        let standing: Vec<_> = transcript
            .standing()
            .into_iter()
            .map(|line| (line.text, line.kind, line.first.as_secs()))
            .collect();
        assert_eq!(standing, [("$ wrapped".into(), Kind::Final, 1), ("page".into(), Kind::Page(1), 2)]);
    }

    #[test]
    fn from_a_keyframe_the_standing_text_is_known() {
        let mut terminal = Terminal::new(20, 3);
        terminal.feed(b"standing\r\n$ ");
        let mut lines = Vec::new();
        let mut sink = |line: Line| lines.push(line);
        let at = Duration::from_secs(5);
        let mut transcript = Transcript::restored(&terminal.snapshot().unwrap(), at).unwrap();
        transcript.feed(Duration::from_secs(6), b"\x1b[2J", &mut sink);
        transcript.finish(Duration::from_secs(7), &mut sink);
        assert_eq!((lines[0].text.as_str(), lines[0].first, lines[0].kind), ("standing", at, Kind::Cleared));
    }
}
