//! The copying itself, one direction after the other.

use super::{BUFFER, HOLDS, Output, Phase, Pump, Recorded, SHORT, STOPS, TERMINAL, TURNS};
use crate::record::capture::Stream;
use crate::record::lane::{Buffer, Written};
use crate::record::session::{Piece, Screen};
use crate::sys::poll::{Ready, Set};
use crate::sys::signals::Signal;
use crate::sys::tty::{Settings, Terminal};
use crate::sys::{clock, fd, pipe};
use std::io;
use std::time::Duration;

impl Pump<'_> {
    /// Whether something was typed ahead in whole lines into a terminal that is about to be ours.
    pub(super) fn has_lines(&self, screen: &Screen) -> bool {
        let mut set = Set::default();
        let typed = set.add(&screen.terminal, true, false);
        self.keyboard.is_ours_in_lines(&screen.terminal)
            && set.wait(Some(Duration::ZERO)).is_ok()
            && set.ready(typed).read
            && !set.ready(typed).gone
    }

    /// Takes what was typed ahead in whole lines, and then the terminal, from lines to keys: that makes a byte like others of an end of
    /// file, which is none to the child then. (One that is typed in between is not helped.)
    pub(super) fn take_lines(&mut self) {
        let Some(screen) = &self.screen else { return };
        while self.keys.has_room() && self.has_lines(screen) {
            match fd::read(&screen.terminal, self.keys.room()) {
                Ok(0) => end_file(&mut self.keys, screen.leader.settings().ok()),
                Ok(count) => {
                    self.keys.filled(count);
                    end_piece(&mut self.keys, screen);
                }
                // Whatever it is, it is told where keys are read.
                Err(_) => break,
            }
            self.fresh = true;
        }
        if !self.keyboard.is_raw() {
            // What cannot be had is told there, too.
            let _ = self.keyboard.begin(&screen.terminal, &screen.leader);
        }
    }

    pub(super) fn copy_keys(&mut self, terminal: Ready) {
        self.drop_flushed();
        let Some(screen) = &self.screen else { return };
        if terminal.read && self.takes_keys() {
            if self.keys.is_empty() {
                self.keys.forget();
            }
            self.keyboard.took();
            match fd::read(&screen.terminal, self.keys.room()) {
                // In raw mode an end is a hang-up; otherwise somebody typed the end of file.
                Ok(0) if self.keyboard.is_raw() || terminal.gone => return self.terminal_gone(),
                Ok(0) => {
                    end_file(&mut self.keys, screen.leader.settings().ok());
                    self.fresh = true;
                }
                Ok(count) => {
                    self.keys.filled(count);
                    if !self.keyboard.is_raw() {
                        end_piece(&mut self.keys, screen);
                    }
                    settle(&screen.terminal);
                    self.fresh = true;
                    if !self.is_known() {
                        self.end_by_key();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if screen.terminal.is_alive() => self.keyboard.lost(),
                Err(_) => return self.terminal_gone(),
            }
        } else if self.keys.is_empty() && terminal.gone && !screen.terminal.is_alive() {
            return self.terminal_gone();
        }
        if !self.is_known() || self.keeps_ahead() {
            return;
        }
        let Some(screen) = &self.screen else { return };
        if !self.keys.is_empty() {
            if std::mem::take(&mut self.fresh) {
                // As they are before the child knows of the keys, who may change them.
                let theirs = screen.leader.settings().ok();
                let (now, secret) = (clock::monotonic(), theirs.is_some_and(|s| s.reads_secret()));
                if let Some((_, signal)) = theirs.and_then(|theirs| last_to_end(&theirs, &self.keys)) {
                    self.key = Some(signal).filter(|_| screen.leader.foreground() == self.child);
                }
                self.typed = Some((now, secret));
                if theirs.and_then(|s| s.stops()).is_some_and(|key| self.keys.whole().contains(&key)) {
                    self.stop_due = Some(now.saturating_add(STOPS));
                }
            }
            match self.keys.write_to(&screen.leader) {
                Written::Waits => {}
                // Where the follower is gone, its end is told by the reading side.
                Written::All | Written::Gone | Written::Failed(_) => self.keys.take_all(),
            }
            self.wipe_keys();
        }
    }

    /// The child is not known yet: what it is to be ended by does not wait for that. As in the kernel, that key takes back what was typed
    /// before it. Everything else is kept for the child.
    fn end_by_key(&mut self) {
        let Some(screen) = &self.screen else { return };
        let Ok(theirs) = screen.leader.settings() else { return };
        let Some((key, signal)) = last_to_end(&theirs, &self.keys) else { return };
        self.key = Some(signal);
        self.keys.forget();
        self.batch.typed(clock::monotonic(), &[key], theirs.reads_secret(), self.blind);
        // Until it has the foreground the stage has it, which no key ends. Where it has, the kernel shows the key, too.
        if screen.leader.foreground() == Some(self.stage.pid()) {
            self.signal_unknown(signal);
        } else {
            // A terminal that is gone is told of elsewhere.
            let _ = fd::write(&screen.leader, &[key]);
        }
    }

    /// Records what was typed. The child has it already, and its echo may have been shown: nobody who types waits for this.
    pub(super) fn note_keys(&mut self) {
        if let Some((at, secret)) = self.typed.take() {
            self.batch.typed(at, self.keys.whole(), secret, self.blind);
            self.wipe_keys();
        }
    }

    /// Wipes what was written and noted.
    fn wipe_keys(&mut self) {
        if self.keys.is_empty() && self.typed.is_none() {
            self.keys.forget();
        }
    }

    pub(super) fn copy_output(&mut self, terminal: Ready, leader: Ready) {
        if !self.output.buffer.is_empty() && terminal.write {
            self.show(false);
        }
        if !leader.read {
            return;
        }
        for _ in 0..TURNS {
            let Some(screen) = &self.screen else { return };
            if !self.output.buffer.is_empty() || self.output.ended || self.batch.is_stuck() {
                return;
            }
            self.output.buffer.forget();
            let mut more = true;
            let mut dry = false;
            while more {
                let room = self.output.buffer.room();
                if room.len() < BUFFER / 4 {
                    break;
                }
                match screen.leader.read(room) {
                    Ok(0) => (more, self.output.ended) = (false, true),
                    Ok(count) => {
                        self.output.buffer.filled(count);
                        more = count >= SHORT;
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => (more, dry) = (false, true),
                    // EIO: nobody has the follower open any more.
                    Err(_) => (more, self.output.ended) = (false, true),
                }
            }
            let count = self.output.buffer.whole().len();
            if count > 0 {
                self.output.at = clock::monotonic();
                self.output.taken = self.output.at;
                self.count(TERMINAL, count);
                self.output.read(count);
                self.output.pass_watch();
                self.before_output();
                self.show(true);
            }
            if dry || count < SHORT {
                return;
            }
        }
    }

    /// So much was read, from a stream or from the terminal.
    fn count(&mut self, from: usize, bytes: usize) {
        self.overdue = self.overdue.saturating_add(bytes);
        if let Phase::Ended { .. } = self.phase {
            self.last_byte = clock::monotonic();
            if let Some(owed) = self.owed.get_mut(from) {
                *owed = owed.saturating_sub(bytes);
            }
        }
    }

    /// Writes to the operator's terminal, for the `first` time what was just read, and records what was written whole.
    fn show(&mut self, first: bool) {
        let Some(sink) = &self.terminal_out else { return };
        let before = self.output.buffer.left();
        let written = self.output.buffer.write(sink);
        if first {
            // Before it is recorded, and not before it is shown: an echo need not wait for the question.
            self.look_at_size();
        }
        match written {
            Written::All => {
                if self.typed.is_some() && self.output.buffer.whole().len() < SHORT {
                    self.output.shown = Some(clock::monotonic());
                    self.lull();
                }
                self.record_output();
            }
            Written::Waits if self.output.buffer.left() < before => self.output.taken = clock::monotonic(),
            Written::Waits => {}
            Written::Gone | Written::Failed(_) => {
                self.record_output();
                self.terminal_gone();
            }
        }
    }

    /// Records what is in the output buffer, shown or (at a hang-up) not, and forgets it.
    pub(super) fn record_output(&mut self) {
        self.note_keys();
        let pieces = std::mem::take(&mut self.output.pieces);
        let mut rest = self.output.buffer.whole();
        let shown = self.output.shown.take().unwrap_or_else(clock::monotonic);
        if pieces.is_empty() && !rest.is_empty() {
            self.batch.shown(self.output.at, shown, Stream::Output, rest);
        }
        for piece in pieces {
            match piece {
                Recorded::Bytes(count) => {
                    let (bytes, after) = rest.split_at(count.min(rest.len()));
                    rest = after;
                    self.batch.shown(self.output.at, shown, Stream::Output, bytes);
                }
                Recorded::Event(payload) => self.batch.event(payload),
            }
        }
        self.output.buffer.forget();
        if let Some(through) = self.output.through.take() {
            self.batch.through(through);
        }
    }

    /// What a watch held back to the end.
    pub(super) fn last_output(&mut self) {
        self.output.finish_watch();
        if let Some(sink) = &self.terminal_out {
            // The terminal has taken all before: this little more either fits or is recorded only.
            let _ = self.output.buffer.write(sink);
        }
        self.record_output();
    }

    pub(super) fn copy_streams(
        &mut self,
        input: Ready,
        input_sink: Ready,
        sources: [Ready; 2],
        sinks: [Ready; 2],
    ) {
        if let Some(lane) = &mut self.streams.input
            && (input.read || input_sink.write || input_sink.gone)
        {
            let batch = &mut self.batch;
            if !lane.turn(input_sink.gone, &mut |bytes| batch.input(bytes)) {
                let failure = lane.take_failure();
                self.end_input();
                if let Some(error) = failure {
                    self.unreadable(&error);
                }
                // The child reads no more: so do we, and whoever writes is told.
                crate::sys::stage::let_go(0);
            }
        }
        for (n, stream) in [Stream::Output, Stream::Error].into_iter().enumerate() {
            self.copy_stream(n, stream, sources[n], sinks[n]);
        }
    }

    fn copy_stream(&mut self, n: usize, stream: Stream, source: Ready, sink: Ready) {
        let (Some((from, _)), Some(buffer)) = (&self.streams.outputs[n], self.stream_buffers.get_mut(n))
        else {
            return;
        };
        if buffer.is_empty() {
            if !source.read {
                // After the child's end this is what is left to wait for; see `fill`. What was written meanwhile is read first.
                if sink.gone && pipe::unread(from).unwrap_or(0) == 0 {
                    self.streams.outputs[n] = None;
                }
                return;
            }
            buffer.forget();
            match fd::read(from, buffer.room()) {
                Ok(count) if count > 0 => {
                    buffer.filled(count);
                    self.count(n, count);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {
                    self.streams.outputs[n] = None;
                    // The child writes no more: whoever reads is told. Standard error stays ours, for what we have to say
                    // ourselves: that a recording fails must not go nowhere.
                    if stream == Stream::Output {
                        crate::sys::stage::let_go(1);
                    }
                }
            }
        }
        self.before_output();
        let (Some((from, to)), Some(buffer)) = (&self.streams.outputs[n], self.stream_buffers.get_mut(n))
        else {
            return;
        };
        let before = buffer.left();
        let written = buffer.write(to);
        if buffer.left() < before && matches!(self.phase, Phase::Ended { .. }) {
            self.handed = clock::monotonic();
        }
        match written {
            Written::All => {
                self.batch.streamed(stream, buffer.whole());
                buffer.forget();
            }
            Written::Waits => {}
            Written::Gone => {
                // Nobody reads: closing our end tells the child, with SIGPIPE, as it would be told without us.
                self.batch.streamed(stream, buffer.whole());
                buffer.forget();
                // What it had written by then is recorded: it could not know.
                if let Some((from, _)) = self.streams.outputs[n].take() {
                    self.drain(n, stream, &from, None);
                }
            }
            Written::Failed(errno) => {
                // The child cannot be told why: closing our end tells it that there is no way on, we tell the rest.
                let lost = buffer.left().saturating_add(pipe::unread(from).unwrap_or(0));
                self.batch.streamed(stream, buffer.whole());
                buffer.forget();
                self.streams.outputs[n] = None;
                self.undelivered(stream, lost, &io::Error::from_raw_os_error(errno));
            }
        }
    }
}

/// Where the keyboard is shared, a piece of a line that somebody handed on with the end of file is handed on so to the child.
/// (That it is one is known by how it ends: the kernel does not tell. A piece as large as the buffer is one that goes on.)
fn end_piece(keys: &mut Buffer, screen: &Screen) {
    // Who has taken the terminal from lines to keys meanwhile has had single keys read, and a child that reads keys takes them all.
    let of_lines = |settings: &Settings| settings.is_canonical();
    let ours = Settings::of(&screen.terminal).ok().filter(of_lines);
    let theirs = screen.leader.settings().ok().filter(of_lines);
    if let (Some(_), Some(theirs), Some(last)) = (ours, theirs, keys.whole().last())
        && !theirs.ends_line(*last)
    {
        end_file(keys, Some(theirs));
    }
}

/// The last of the keys that ends whoever has a terminal with these settings, and by which signal.
fn last_to_end(theirs: &Settings, keys: &Buffer) -> Option<(u8, Signal)> {
    keys.whole().iter().rev().find_map(|key| theirs.ends().find(|(byte, _)| byte == key))
}

/// Puts the end of file behind the keys, as a terminal with these settings knows it.
fn end_file(keys: &mut Buffer, theirs: Option<Settings>) {
    if let (Some(end), [room, ..]) = (theirs.and_then(|s| s.end_of_file()), keys.room()) {
        *room = end;
        keys.filled(1);
    }
}

impl Output<'_> {
    /// So much was read. In a flood the terminal is never found empty, but what it holds has an end.
    fn read(&mut self, count: usize) {
        let (since, bytes) = &mut self.since;
        *bytes = bytes.saturating_add(count);
        if *bytes >= HOLDS && self.watch.is_some() {
            (self.through, *bytes) = (Some(*since), 0);
            *since = clock::monotonic();
        }
    }

    /// Lets a watch look at what was read; its bytes take the place of those.
    fn pass_watch(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        if watch.passes(self.buffer.whole()) {
            return;
        }
        let read = self.buffer.whole().to_vec();
        let (mut bytes, pieces) = (Vec::with_capacity(read.len()), &mut self.pieces);
        watch.output(&read, &mut |piece| keep(piece, &mut bytes, pieces));
        self.buffer.replace(bytes);
    }

    fn finish_watch(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let (mut bytes, pieces) = (Vec::new(), &mut self.pieces);
        watch.finish(&mut |piece| keep(piece, &mut bytes, pieces));
        self.buffer.replace(bytes);
    }
}

/// Lets the kernel finish with what it has brought: asked whether there is more, it waits for its worker, which had no more than woken
/// us. Else a second worker is woken for what we write next, and with it another processor, at half the price of an echo.
fn settle(terminal: &Terminal) {
    let mut set = Set::default();
    set.add(terminal, true, false);
    // Whatever it says is seen where the loop waits.
    let _ = set.wait(Some(Duration::ZERO));
}

fn keep(piece: Piece<'_>, bytes: &mut Vec<u8>, pieces: &mut Vec<Recorded>) {
    match piece {
        Piece::Bytes(more) => {
            bytes.extend_from_slice(more);
            pieces.push(Recorded::Bytes(more.len()));
        }
        Piece::Event(payload) => pieces.push(Recorded::Event(payload)),
    }
}
