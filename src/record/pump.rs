//! The loop that copies. One thread, one `poll`, no buffer that grows.
//!
//! Each read of the output goes to the operator first, then into a batch for the recorder. While something is not
//! written it reads no more from where that came: a terminal that does not read slows the child, and keys still pass,
//! because every direction has its own buffer. A full queue to the recorder stops the reading too.

use super::batch::Batch;
use super::capture::Stream;
use super::keyboard::Keyboard;
use super::lane::{Buffer, Sink, Written};
use super::queue::{Feed, Word};
use super::session::{Error, OnLoss, Outcome, Piece, Screen, Session, Streams, Watch, is_handed_on};
use crate::cast::Payload;
use crate::sys::poll::{Ready, Set, Slot};
use crate::sys::signals::{self, Arrived, Signals};
use crate::sys::stage::{Ended, Report, Stage};
use crate::sys::tty::{self, Size};
use crate::sys::{clock, fd};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

/// Size of the buffers. A PTY gives about 4 KiB at a time: larger ones gain nothing.
const BUFFER: usize = 16 << 10;
/// Size of the buffers of streams that pass through pipes: as much as a pipe holds.
const STREAM_BUFFER: usize = 64 << 10;
/// A read shorter than this is somebody typing: it is shown without looking for more.
const SHORT: usize = 512;
/// How often one direction is served before all others are looked at.
const TURNS: usize = 16;
/// After the child's end: how long silence is waited for before what holds the output open is left behind.
const SILENCE: Duration = Duration::from_millis(150);
/// After the child's end: how long, in all, output of what it left behind is still taken.
const LINGER: Duration = Duration::from_secs(2);
/// After the child's end: how much of a flood is still taken once [`LINGER`] is over.
const LINGER_BYTES: usize = 1 << 20;
/// How long a child that was hung up may take to end before it is killed.
const HANG_UP: Duration = Duration::from_secs(2);

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The child is being started, or runs.
    Running,
    /// The child was hung up at this time.
    HungUp { since: Duration, killed: bool },
    /// The child ended; its last output is being fetched.
    Ended { how: Ended, since: Duration },
}

/// The loop and everything it holds.
pub(super) struct Pump<'a> {
    signals: &'a Signals,
    stage: Stage,
    program: OsString,
    on_loss: OnLoss,
    /// Gone once the child was hung up.
    screen: Option<Screen>,
    terminal_out: Option<Sink>,
    size: Option<Size>,
    keyboard: Keyboard,
    keys: Buffer,
    output: Output<'a>,
    streams: Streams,
    stream_buffers: [Buffer; 2],
    batch: Batch,
    child: Option<u32>,
    /// Signals that came before the child was there.
    early: Vec<Arrived>,
    phase: Phase,
    last_byte: Duration,
    bytes_since_end: usize,
    hung_up: bool,
    stopped: Option<String>,
    lost_told: bool,
}

/// The output of the terminal on its way: read, perhaps watched, shown, then recorded.
struct Output<'a> {
    buffer: Buffer,
    watch: Option<&'a mut Box<dyn Watch>>,
    /// What a watch made of the bytes, to be recorded once they are shown.
    pieces: Vec<Recorded>,
    ended: bool,
}

enum Recorded {
    Bytes(usize),
    Event(Payload),
}

/// Places in the poll set.
#[derive(Default)]
struct Slots {
    signals: Option<Slot>,
    stage: Option<Slot>,
    bell: Option<Slot>,
    terminal: Option<Slot>,
    leader: Option<Slot>,
    input: Option<Slot>,
    input_sink: Option<Slot>,
    sources: [Option<Slot>; 2],
    sinks: [Option<Slot>; 2],
}

impl<'a> Pump<'a> {
    /// Takes what the session has prepared. A session runs once.
    pub(super) fn new(session: &'a mut Session, feed: Feed) -> Result<Self, Error> {
        let start = clock::monotonic();
        let Some(stage) = session.stage.take() else {
            let again = io::Error::other("it was run already");
            return Err(crate::sys::Error::new("run the session", "", again).into());
        };
        let screen = session.screen.take();
        let terminal_out = match &screen {
            Some(screen) => {
                let fd = screen.terminal.as_fd().try_clone_to_owned();
                Some(Sink::ours(fd.map_err(|e| crate::sys::Error::new("duplicate the terminal", "", e))?))
            }
            None => None,
        };
        Ok(Self {
            signals: &session.signals,
            stage,
            program: session.spec.program.path.clone(),
            on_loss: session.spec.on_loss,
            keyboard: Keyboard::new(screen.as_ref().map(|s| (&s.terminal, s.whole, s.keyboard))),
            terminal_out,
            size: session.size,
            keys: Buffer::new(4 << 10),
            output: Output {
                buffer: Buffer::new(BUFFER),
                watch: session.watch.as_mut(),
                pieces: Vec::new(),
                ended: screen.is_none(),
            },
            screen,
            streams: std::mem::take(&mut session.streams),
            stream_buffers: [Buffer::new(STREAM_BUFFER), Buffer::new(STREAM_BUFFER)],
            batch: Batch::new(feed, start, session.spec.input, session.spec.keep),
            child: None,
            early: Vec::new(),
            phase: Phase::Running,
            last_byte: start,
            bytes_since_end: 0,
            hung_up: false,
            stopped: None,
            lost_told: false,
        })
    }

    /// Starts the child and copies until it is over.
    pub(super) fn run(mut self) -> Result<Outcome, Error> {
        // The terminal first: started in the background, this is where we are stopped like any other program.
        if let Some(screen) = &self.screen {
            self.keyboard.begin(&screen.terminal)?;
        }
        self.stage.go()?;
        let ended = self.copy()?;
        self.last_output();
        self.keyboard.leave();
        if let Some(input) = &mut self.streams.input {
            let batch = &mut self.batch;
            input.settle(&mut |bytes| batch.input(bytes));
        }
        self.batch.finish(ended.status());
        let (stalls, stalled) = self.batch.stalls();
        Ok(Outcome { ended, hung_up: self.hung_up, stopped: self.stopped.take(), stalls, stalled })
    }

    fn copy(&mut self) -> Result<Ended, Error> {
        let mut set = Set::default();
        loop {
            self.batch.tick();
            if let Some(ended) = self.time_is_over() {
                return Ok(ended);
            }
            let slots = self.fill(&mut set);
            set.wait(self.timeout())?;
            let ready = |slot: Option<Slot>| slot.map_or(Ready::default(), |slot| set.ready(slot));
            if ready(slots.signals).read {
                while let Some(arrived) = self.signals.next() {
                    self.signal(arrived)?;
                }
            }
            if ready(slots.bell).read {
                self.words();
            }
            if ready(slots.stage).read {
                self.reports()?;
            }
            // Keys before output: in a flood ^C must not stand in the line.
            let (terminal, leader) = (ready(slots.terminal), ready(slots.leader));
            self.copy_keys(terminal);
            self.copy_output(terminal, leader);
            self.copy_streams(
                ready(slots.input),
                ready(slots.input_sink),
                slots.sources.map(ready),
                slots.sinks.map(ready),
            );
            if let Some(screen) = &self.screen
                && matches!(self.phase, Phase::Running)
            {
                self.keyboard.watch(&screen.terminal, &screen.leader)?;
            }
        }
    }

    /// Says what to wait for.
    fn fill(&mut self, set: &mut Set) -> Slots {
        set.clear();
        let mut slots = Slots::default();
        let flows = !self.batch.is_stuck();
        slots.signals = Some(set.add(self.signals, true, false));
        slots.stage = (!matches!(self.phase, Phase::Ended { .. })).then(|| set.add(&self.stage, true, false));
        slots.bell = Some(set.add(self.batch.bell(), true, false));
        if let Some(screen) = &self.screen {
            let keys = self.keys.is_empty() && self.takes_keys();
            let show = !self.output.buffer.is_empty();
            // A terminal that is not asked anything is not polled: its hang-up would be told again and again.
            if keys || show {
                slots.terminal = Some(set.add(&screen.terminal, keys, show));
            }
            let read = self.output.buffer.is_empty() && !self.output.ended && flows;
            let write = !self.keys.is_empty();
            if read || write {
                slots.leader = Some(set.add(&screen.leader, read, write));
            }
        }
        if let Some(input) = &self.streams.input {
            let wants = input.wants();
            slots.input = (wants.read && flows).then(|| set.add(input.source(), true, false));
            slots.input_sink = input.sink().map(|sink| set.add(sink, false, wants.write));
        }
        for (n, stream) in self.streams.outputs.iter().enumerate() {
            let Some((source, sink)) = stream else { continue };
            let Some(buffer) = self.stream_buffers.get(n) else { continue };
            let (source, sink) = match buffer.is_empty() {
                true => (flows.then(|| set.add(source, true, false)), None),
                false => (None, Some(set.add(sink, false, true))),
            };
            (slots.sources[n], slots.sinks[n]) = (source, sink);
        }
        slots
    }

    fn takes_keys(&self) -> bool {
        let Some(screen) = &self.screen else { return false };
        matches!(self.phase, Phase::Running)
            && self.batch.takes_input()
            && self.keyboard.reads(&screen.terminal)
    }

    /// When the loop must wake although nothing happens.
    fn timeout(&self) -> Option<Duration> {
        let now = clock::monotonic();
        let mut due = [self.batch.deadline(), self.keyboard.deadline(), None];
        due[2] = match self.phase {
            Phase::Running => None,
            Phase::HungUp { since, killed } => {
                Some(since.saturating_add(HANG_UP * if killed { 2 } else { 1 }))
            }
            Phase::Ended { since, .. } => Some(
                self.last_byte.max(since).saturating_add(SILENCE).min(since.saturating_add(LINGER).max(now)),
            ),
        };
        due.into_iter().flatten().min().map(|due| due.saturating_sub(now))
    }

    /// Whether there is nothing more to wait for.
    fn time_is_over(&mut self) -> Option<Ended> {
        let now = clock::monotonic();
        match self.phase {
            Phase::Running => None,
            Phase::HungUp { since, killed } => {
                if now < since.saturating_add(HANG_UP * if killed { 2 } else { 1 }) {
                    return None;
                }
                if killed {
                    // Not even SIGKILL ended it: it hangs in the kernel, and nobody can wait for that.
                    return Some(Ended::Killed(signals::SIGKILL));
                }
                self.to_child(signals::SIGKILL);
                self.phase = Phase::HungUp { since, killed: true };
                None
            }
            Phase::Ended { how, since } => {
                let pending =
                    !self.output.buffer.is_empty() || self.stream_buffers.iter().any(|b| !b.is_empty());
                let open = !self.output.ended || self.streams.outputs.iter().any(Option::is_some);
                let silent = now >= self.last_byte.max(since).saturating_add(SILENCE);
                let linger = now >= since.saturating_add(LINGER) && self.bytes_since_end >= LINGER_BYTES;
                let stuck = pending || self.batch.is_stuck();
                (!stuck && (!open || silent || linger)).then_some(how)
            }
        }
    }

    fn signal(&mut self, arrived: Arrived) -> Result<(), Error> {
        match arrived.signal {
            signals::SIGWINCH => self.resize(),
            signals::SIGCONT => self.resume()?,
            signals::SIGTSTP => self.to_child(signals::SIGTSTP),
            signals::SIGHUP if self.screen.as_ref().is_some_and(|s| !s.terminal.is_alive()) => self.hang_up(),
            // The child signals its own group, and we may be in it.
            signal if is_handed_on(signal) && (arrived.sender == 0 || Some(arrived.sender) != self.child) => {
                match self.phase {
                    Phase::Running if self.child.is_none() => self.early.push(arrived),
                    Phase::Running | Phase::HungUp { .. } => {
                        self.to_child(signal);
                        if signal == signals::SIGHUP {
                            // Stopped, it would not hear it.
                            self.to_child(signals::SIGCONT);
                        }
                    }
                    // Whoever asks us to end now need not wait for what the child left behind.
                    Phase::Ended { .. } => self.give_up_output(),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn give_up_output(&mut self) {
        self.output.ended = true;
        self.record_output();
        self.streams.outputs = [None, None];
        for buffer in &mut self.stream_buffers {
            buffer.forget();
        }
    }

    /// To the child: its whole group where it has one of its own, itself where it shares ours.
    fn to_child(&self, signal: signals::Signal) {
        let Some(child) = self.child else { return };
        // That we may not signal it (it changed its user) is nothing we could mend.
        let _ = match &self.screen {
            Some(_) => signals::send_to_group(child, signal),
            None if self.hung_up || self.stopped.is_some() => {
                signals::send_to_group(child, signal).and_then(|()| signals::send(child, signal))
            }
            None => signals::send(child, signal),
        };
    }

    fn resize(&mut self) {
        let Some(screen) = &self.screen else { return };
        let Ok(size) = tty::size(&screen.terminal) else { return };
        if self.size == Some(size) {
            return;
        }
        self.size = Some(size);
        // It fails only for a PTY that is gone, which its end tells by itself.
        let _ = screen.leader.resize(size);
        self.batch.event(Payload::Resize { cols: size.cols, rows: size.rows });
    }

    /// The child was stopped: so are we, until somebody continues us.
    fn suspend(&mut self) -> Result<(), Error> {
        if self.screen.is_none() {
            return Ok(());
        }
        self.keyboard.leave();
        self.batch.flush();
        signals::stop_ourselves();
        self.resume()
    }

    /// We were continued: the terminal again, if it is ours, its size, and the child.
    fn resume(&mut self) -> Result<(), Error> {
        if let Some(screen) = &self.screen {
            if !screen.terminal.is_alive() {
                self.hang_up();
                return Ok(());
            }
            if matches!(self.phase, Phase::Running) {
                self.keyboard.resume(&screen.terminal)?;
            }
        }
        self.resize();
        self.to_child(signals::SIGCONT);
        Ok(())
    }

    /// What the recorder has to say.
    fn words(&mut self) {
        self.batch.bell().silence();
        for word in self.batch.words() {
            match word {
                Word::Tell(text) => self.tell(&text),
                Word::Stop(text) => self.stop(text),
            }
        }
        if self.batch.is_lost() && !self.lost_told {
            self.lost_told = true;
            match self.on_loss {
                _ if self.stopped.is_some() => {}
                OnLoss::Stop => self.stop("the recorder failed: the session ends".into()),
                OnLoss::Warn => self.tell("the recorder failed: this session is not recorded any more"),
            }
        }
        self.batch.retry();
    }

    fn stop(&mut self, text: String) {
        if self.stopped.is_none() {
            self.tell(&text);
            self.stopped = Some(text);
            self.hang_up();
            // That was our doing, not the terminal's.
            self.hung_up = false;
        }
    }

    /// A line for the operator, on the terminal or, where there is none, on standard error.
    fn tell(&self, text: &str) {
        let text = crate::text::escaped(text);
        // In raw mode a newline alone would not return the carriage. What cannot be told cannot be told.
        let _ = match &self.screen {
            Some(screen) => fd::write(&screen.terminal, format!("\r\nsealcast: {text}\r\n").as_bytes()),
            None => fd::write(io::stderr(), format!("sealcast: {text}\n").as_bytes()),
        };
    }

    /// What became of the child.
    fn reports(&mut self) -> Result<(), Error> {
        while let Some(report) = self.stage.report() {
            match report {
                Report::Started(pid) => {
                    self.child = Some(pid);
                    for arrived in std::mem::take(&mut self.early) {
                        self.signal(arrived)?;
                    }
                }
                Report::Refused(step, source) => {
                    return Err(Error::Start { program: self.program.clone(), step, source });
                }
                Report::Stopped(_) if matches!(self.phase, Phase::Running) => self.suspend()?,
                // A child that is to end does not rest first.
                Report::Stopped(_) => self.to_child(signals::SIGCONT),
                Report::Continued => {}
                Report::Ended(how) => {
                    self.ended(how);
                    return Ok(());
                }
                Report::Gone => {
                    // Somebody killed the stage. The child is hung up by that already; make sure.
                    self.hang_up();
                    self.to_child(signals::SIGKILL);
                    self.ended(Ended::Killed(signals::SIGKILL));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn ended(&mut self, how: Ended) {
        let now = clock::monotonic();
        self.phase = Phase::Ended { how, since: now };
        self.last_byte = now;
        self.keys.wipe();
        if let Some(input) = &mut self.streams.input {
            let batch = &mut self.batch;
            input.turn(true, &mut |bytes| batch.input(bytes));
        }
        self.streams.input = None;
    }

    /// The terminal is gone, or the session must end: the child loses its terminal, and its life if it clings to it.
    fn hang_up(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        self.hung_up = true;
        self.phase = Phase::HungUp { since: clock::monotonic(), killed: false };
        if let Some(screen) = &self.screen
            && let Some(group) = screen.leader.foreground()
        {
            for signal in [signals::SIGHUP, signals::SIGCONT] {
                // It may be gone, or not ours to signal: the closing of the leader tells it too.
                let _ = signals::send_to_group(group, signal);
            }
        }
        self.to_child(signals::SIGHUP);
        self.to_child(signals::SIGCONT);
        self.record_output();
        self.output.ended = true;
        self.keys.wipe();
        self.keyboard.leave();
        // Both of our descriptors of the leader go with it: the kernel hangs up the follower.
        self.screen = None;
        self.terminal_out = None;
        self.streams = Streams::default();
    }

    fn copy_keys(&mut self, terminal: Ready) {
        let Some(screen) = &self.screen else { return };
        if self.keys.is_empty() && terminal.read && self.takes_keys() {
            self.keys.forget();
            match fd::read(&screen.terminal, self.keys.room()) {
                // In raw mode an end is a hang-up; otherwise somebody typed the end of file.
                Ok(0) if self.keyboard.is_raw() || terminal.gone => return self.hang_up(),
                Ok(0) => {
                    let end = screen.leader.settings().ok().and_then(|s| s.end_of_file());
                    self.keys.put(end.as_slice());
                }
                Ok(count) => {
                    self.keys.filled(count);
                    let secret = screen.leader.settings().is_ok_and(|s| s.reads_secret());
                    self.batch.typed(self.keys.whole(), secret);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if screen.terminal.is_alive() => self.keyboard.lost(),
                Err(_) => return self.hang_up(),
            }
        } else if self.keys.is_empty() && terminal.gone && !screen.terminal.is_alive() {
            return self.hang_up();
        }
        if !self.keys.is_empty() {
            match self.keys.write_to(&screen.leader) {
                Written::All => self.keys.wipe(),
                Written::Waits => {}
                // The follower is gone: its end is told by the reading side.
                Written::Gone => self.keys.wipe(),
            }
        }
    }

    fn copy_output(&mut self, terminal: Ready, leader: Ready) {
        if !self.output.buffer.is_empty() && terminal.write {
            self.show();
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
                match fd::read(&screen.leader, room) {
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
                self.count(count);
                self.output.pass_watch();
                self.show();
            }
            if dry || count < SHORT {
                return;
            }
        }
    }

    fn count(&mut self, bytes: usize) {
        if let Phase::Ended { .. } = self.phase {
            self.last_byte = clock::monotonic();
            self.bytes_since_end = self.bytes_since_end.saturating_add(bytes);
        }
    }

    /// Writes to the operator's terminal, and records what was written whole.
    fn show(&mut self) {
        let Some(sink) = &self.terminal_out else { return };
        match self.output.buffer.write(sink, true) {
            Written::All => self.record_output(),
            Written::Waits => {}
            Written::Gone => {
                self.record_output();
                self.hang_up();
            }
        }
    }

    /// Records what is in the output buffer, shown or (at a hang-up) not, and forgets it.
    fn record_output(&mut self) {
        let pieces = std::mem::take(&mut self.output.pieces);
        let mut rest = self.output.buffer.whole();
        if pieces.is_empty() && !rest.is_empty() {
            self.batch.shown(Stream::Output, rest);
        }
        for piece in pieces {
            match piece {
                Recorded::Bytes(count) => {
                    let (bytes, after) = rest.split_at(count.min(rest.len()));
                    rest = after;
                    self.batch.shown(Stream::Output, bytes);
                }
                Recorded::Event(payload) => self.batch.event(payload),
            }
        }
        self.output.buffer.forget();
    }

    /// What a watch held back to the end.
    fn last_output(&mut self) {
        self.output.finish_watch();
        if let Some(sink) = &self.terminal_out {
            // The terminal has taken all before: this little more either fits or is recorded only.
            let _ = self.output.buffer.write(sink, true);
        }
        self.record_output();
    }

    fn copy_streams(&mut self, input: Ready, input_sink: Ready, sources: [Ready; 2], sinks: [Ready; 2]) {
        if let Some(lane) = &mut self.streams.input
            && (input.read || input_sink.write || input_sink.gone)
        {
            let batch = &mut self.batch;
            if !lane.turn(input_sink.gone, &mut |bytes| batch.input(bytes)) {
                self.streams.input = None;
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
        let mut room = sink.write || sink.gone;
        if buffer.is_empty() {
            if !source.read {
                return;
            }
            buffer.forget();
            match fd::read(from, buffer.room()) {
                Ok(0) => self.streams.outputs[n] = None,
                Ok(count) => {
                    buffer.filled(count);
                    self.count(count);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.streams.outputs[n] = None,
            }
            room = false;
        }
        let (Some((_, to)), Some(buffer)) = (&self.streams.outputs[n], self.stream_buffers.get_mut(n)) else {
            return;
        };
        match buffer.write(to, room) {
            Written::All => {
                self.batch.shown(stream, buffer.whole());
                buffer.forget();
            }
            Written::Waits => {}
            Written::Gone => {
                // Nobody reads: closing our end tells the child, with SIGPIPE, as it would be told without us.
                self.batch.shown(stream, buffer.whole());
                buffer.forget();
                self.streams.outputs[n] = None;
            }
        }
    }
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        // Also on the way out by an error or a panic: no child is left behind that nobody watches.
        if !matches!(self.phase, Phase::Ended { .. }) {
            self.to_child(signals::SIGHUP);
            self.to_child(signals::SIGCONT);
        }
    }
}

impl Output<'_> {
    /// Lets a watch look at what was read; its bytes take the place of those.
    fn pass_watch(&mut self) {
        let Some(watch) = &mut self.watch else { return };
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

fn keep(piece: Piece<'_>, bytes: &mut Vec<u8>, pieces: &mut Vec<Recorded>) {
    match piece {
        Piece::Bytes(more) => {
            bytes.extend_from_slice(more);
            pieces.push(Recorded::Bytes(more.len()));
        }
        Piece::Event(payload) => pieces.push(Recorded::Event(payload)),
    }
}
