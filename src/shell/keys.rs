//! What the keys tell of a line without telling which they were: whether Enter was the only one.
//!
//! Where its prompt ends zsh does not say. Of a line for which no key was pressed but Enter it need not be known: what stands there is
//! the prompt. Refuses to say so where a key may be in the line: one that was pressed while the command before it ran counts, and so does what
//! a terminal answers.

use super::marks::Mark;

/// Follows the keys of one session, and the prompts of its shell. Of a key nothing is kept but that there was one.
#[derive(Debug, Default)]
pub struct Keys {
    /// One was pressed that can be in the line, or had its part in it.
    in_line: bool,
    /// One was pressed since the last line was ended or given up.
    since: bool,
    /// None was since the shell began to read the line, and none before that was for it.
    none_yet: bool,
}

impl Keys {
    /// These were pressed. For each line that was ended: whether Enter was the only key.
    pub fn typed(&mut self, bytes: &[u8]) -> Vec<bool> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    lines.push(!self.in_line);
                    self.since = false;
                }
                // ^C gives the line up.
                3 => (self.in_line, self.since) = (true, false),
                _ => (self.in_line, self.since) = (true, true),
            }
        }
        lines
    }

    /// Whether the next key is the first for the line that the shell reads, so that nothing but its prompt stands there. Said once.
    pub fn begin_line(&mut self) -> bool {
        std::mem::take(&mut self.none_yet)
    }

    /// The shell told something: when a command ended, it reads a new line, with what was typed for it meanwhile.
    pub fn told(&mut self, mark: &Mark) {
        if matches!(mark, Mark::End { .. }) {
            self.in_line = self.since;
        }
        // fish tells of no end where nothing ran.
        if matches!(mark, Mark::End { .. } | Mark::Prompt { .. }) {
            self.none_yet = !self.since;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_of_a_line_is_one_that_nothing_was_typed_before() {
        let (end, prompt) =
            (Mark::End { status: None, pipe: Vec::new(), cancelled: false }, Mark::Prompt { cwd: None });
        let mut keys = Keys::default();
        assert!(!keys.begin_line());
        for mark in [&end, &prompt] {
            keys.told(mark);
            assert_eq!([keys.begin_line(), keys.begin_line()], [true, false]);
            keys.typed(b"ls\r");
            // Typed ahead of the prompt, for the line that is read there.
            keys.typed(b"l");
            keys.told(mark);
            assert!(!keys.begin_line());
            keys.typed(b"s\r");
        }
    }

    #[test]
    fn enter_is_alone_where_no_key_can_be_in_the_line() {
        let end = Mark::End { status: None, pipe: Vec::new(), cancelled: false };
        let mut keys = Keys::default();
        assert_eq!(keys.typed(b"\r\r"), [true, true]);
        keys.told(&end);
        assert_eq!(keys.typed(b"ls\r\r"), [false, false]);
        // Only an end begins a line: a widget may have had the Enter.
        keys.told(&Mark::Prompt { cwd: None });
        assert_eq!(keys.typed(b"\r"), [false]);
        keys.told(&end);
        assert_eq!(keys.typed(b"\r"), [true]);
        // Typed while a command ran.
        assert_eq!(keys.typed(b"sleep 1\rl"), [false]);
        keys.told(&end);
        assert_eq!(keys.typed(b"\r"), [false]);
        keys.told(&end);
        assert!(keys.typed(b"given up\x03").is_empty());
        keys.told(&end);
        assert_eq!(keys.typed(b"\r"), [true]);
    }
}
