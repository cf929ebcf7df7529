//! The programs that watch processes from inside the kernel: at fork, exec and exit, and one that follows paths for that at exec.
//!
//! They follow every process below one that was named, whatever it does: change its user, its root, its namespaces. Each
//! event carries a number that counts up without gaps, so that what was lost, or taken away by somebody, is seen.
//!
//! An event is [`HEADER`] bytes (see [`super::record`]), then, for an exec, names from the inside out, each ended by a
//! zero byte: those of the program's path, an empty one, those of the working directory; then the arguments as the new
//! image holds them. Directory names are followed through mount points to the root of all, so a path tells where a file
//! really lies, outside of any chroot.

use super::assembler::{Assembler, Cond, Helper, Label, Reg, Reg::*, Size::*};
use super::btf::BtfError;
use super::fields::Fields;
use crate::sys::bpf::{Insn, Map, RingBuffer};
use std::io::{Read, Seek};

/// Bytes before the names.
pub(super) const HEADER: i32 = 56;
/// Most bytes of names; a power of two.
const NAMES: i32 = 8 << 10;
/// Longest name of a directory entry, with the zero byte.
const NAME: i32 = 256;
/// Most directories in one path: so many turns of a walk in one run of the program that walks…
const TURNS: usize = 4;
/// …and so many runs. The kernel lets 32 follow one another, and two paths are walked.
const RUNS: i32 = 12;
/// Most bytes of arguments; a power of two.
pub(super) const ARGUMENTS: i32 = 16 << 10;
/// Room for an event while it is made, and behind it for what is kept meanwhile.
pub(super) const SCRATCH: i32 = MEANWHILE as i32 + 8 * 8;
/// Where in that room the latter begins.
const MEANWHILE: i16 = (HEADER + NAMES + ARGUMENTS) as i16;

/// What an event tells of.
pub(super) const FORKED: i32 = 1;
/// See [`FORKED`].
pub(super) const EXECUTED: i32 = 2;
/// See [`FORKED`].
pub(super) const ENDED: i32 = 3;

/// Bit in the flags: the program's file has no name any more.
pub(super) const DELETED: i32 = 1;
/// Bit in the flags: the program's path is longer than what is told.
pub(super) const PATH_CUT: i32 = 2;
/// Bit in the flags: the working directory's path is longer than what is told.
pub(super) const CWD_CUT: i32 = 4;
/// Bit in the flags: the program's path does not begin at the root of all of its process.
pub(super) const PATH_ASTRAY: i32 = 8;
/// Bit in the flags: the same of the working directory's path.
pub(super) const CWD_ASTRAY: i32 = 16;

// Places in the header.
const SEQUENCE: i16 = 0;
const TIME: i16 = 8;
const KIND: i16 = 16;
const PID: i16 = 20;
const PPID: i16 = 24;
const UID: i16 = 28;
const EUID: i16 = 32;
const STATUS: i16 = 36;
const ARGUMENTS_ALL: i16 = 40;
const ARGUMENTS_KEPT: i16 = 44;
const NAMES_KEPT: i16 = 48;
const FLAGS: i16 = 52;

// Places on the stack, below an event that is made there.
const EVENT: i16 = -64;
const KEY: i16 = -72;

// Places among what is kept meanwhile.
const WORD: i16 = 0;
const MOUNT: i16 = 8;
const MM: i16 = 16;
const ROOT: i16 = 24;
const OUTER: i16 = 32;
const ENTRY: i16 = 40;
const LEFT: i16 = 48;
const CUT: i16 = 52;
const ASTRAY: i16 = 56;

/// The maps that the programs share.
pub(super) struct Maps<'a> {
    /// Process id to anything: the processes that are followed.
    pub(super) followed: &'a Map,
    /// One value: events made so far, events that did not fit (64 bits each).
    pub(super) counts: &'a Map,
    /// Where an event is made, for each processor.
    pub(super) scratch: &'a Map,
    /// Where events go.
    pub(super) events: &'a RingBuffer,
    /// One value: the program that walks, for the one at exec to go on with, and for itself.
    pub(super) walk: &'a Map,
}

/// The programs, written.
pub(super) struct Programs {
    /// At `sched_process_fork`.
    pub(super) fork: Vec<Insn>,
    /// At `sched_process_exec`.
    pub(super) exec: Vec<Insn>,
    /// What that one goes on with.
    pub(super) walk: Vec<Insn>,
    /// At `sched_process_exit`.
    pub(super) exit: Vec<Insn>,
}

/// The programs for the kernel whose types are given (see [`Fields::find`]).
pub(super) fn write(types: impl Read + Seek, maps: &Maps) -> Result<Programs, BtfError> {
    let fields = Fields::find(types)?;
    let new = || Writer { asm: Assembler::default(), fields: &fields, maps, meanwhile: (R10, KEY - 8) };
    let (mut fork, mut exec, mut walk, mut exit) = (new(), new(), new(), new());
    fork.fork();
    exec.exec();
    walk.walk();
    exit.exit();
    let finished =
        |writer: Writer| writer.asm.finish().ok_or(BtfError::Malformed("a program does not hold together"));
    Ok(Programs {
        fork: finished(fork)?,
        exec: finished(exec)?,
        walk: finished(walk)?,
        exit: finished(exit)?,
    })
}

struct Writer<'a> {
    asm: Assembler,
    fields: &'a Fields,
    maps: &'a Maps<'a>,
    /// Where words are kept meanwhile: one on the stack, or all in the room where an event is made.
    meanwhile: (Reg, i16),
}

impl Writer<'_> {
    /// Reads `size` bytes of the kernel's memory at `base + offset` to what is kept meanwhile.
    fn read(&mut self, to: i16, size: i32, base: Reg, offset: i32) {
        let (room, at) = self.meanwhile;
        self.asm.mov(R3, base);
        self.asm.add_imm(R3, offset);
        self.asm.mov(R1, room);
        self.asm.add_imm(R1, (at + to).into());
        self.asm.mov_imm(R2, size);
        self.asm.call(Helper::ProbeReadKernel);
    }

    /// Reads a pointer at `base + offset` into a register.
    fn follow(&mut self, into: Reg, base: Reg, offset: i32) {
        self.read(WORD, 8, base, offset);
        self.kept(into, WORD);
    }

    /// Reads 32 bits at `base + offset` into a register.
    fn word(&mut self, into: Reg, base: Reg, offset: i32) {
        let (room, at) = self.meanwhile;
        self.read(WORD, 4, base, offset);
        self.asm.load(Word, into, room, at + WORD);
    }

    /// Loads 64 bits that are kept meanwhile.
    fn kept(&mut self, into: Reg, place: i16) {
        let (room, at) = self.meanwhile;
        self.asm.load(Double, into, room, at + place);
    }

    /// Keeps 64 bits meanwhile.
    fn keep(&mut self, place: i16, from: Reg) {
        let (room, at) = self.meanwhile;
        self.asm.store(Double, room, at + place, from);
    }

    /// Calls a function of a map with the key on the stack (and itself as the value).
    fn map(&mut self, helper: Helper, map: i32) {
        self.asm.map(R1, map);
        self.asm.mov(R2, R10);
        self.asm.add_imm(R2, KEY.into());
        if matches!(helper, Helper::MapUpdate) {
            self.asm.mov(R3, R2);
            self.asm.mov_imm(R4, 0);
        }
        self.asm.call(helper);
    }

    /// Sequence number, time and kind, into the header at `base + at`. Clobbers R0 to R5.
    fn begin(&mut self, base: Reg, at: i16, kind: i32, out: Label) {
        self.asm.store_imm(Word, R10, KEY, 0);
        self.map(Helper::MapLookup, self.maps.counts.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.asm.mov_imm(R1, 1);
        self.asm.fetch_add(R0, 0, R1);
        self.asm.store(Double, base, at + SEQUENCE, R1);
        self.asm.call(Helper::KtimeGetNs);
        self.asm.store(Double, base, at + TIME, R0);
        self.asm.store_imm(Word, base, at + KIND, kind);
    }

    /// Sends R3 bytes from R2, and counts what does not fit.
    fn send(&mut self, out: Label) {
        self.asm.map(R1, self.maps.events.number());
        self.asm.mov_imm(R4, 0);
        self.asm.call(Helper::RingbufOutput);
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.count_dropped(out);
    }

    fn count_dropped(&mut self, out: Label) {
        self.asm.store_imm(Word, R10, KEY, 0);
        self.map(Helper::MapLookup, self.maps.counts.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.asm.mov_imm(R1, 1);
        self.asm.fetch_add(R0, 8, R1);
    }

    fn end(&mut self, out: Label) {
        self.asm.place(out);
        self.asm.mov_imm(R0, 0);
        self.asm.exit();
    }

    /// An event on the stack, for what needs no more than the header.
    fn send_short(&mut self, out: Label) {
        self.asm.mov(R2, R10);
        self.asm.add_imm(R2, EVENT.into());
        self.asm.mov_imm(R3, HEADER);
        self.send(out);
    }

    fn clear_short(&mut self) {
        for place in (0..HEADER / 8).filter_map(|n| i16::try_from(n * 8).ok()) {
            self.asm.store_imm(Double, R10, EVENT + place, 0);
        }
    }

    /// `sched_process_fork(parent, child)`.
    fn fork(&mut self) {
        let out = self.asm.label();
        self.asm.load(Double, R6, R1, 0);
        self.asm.load(Double, R7, R1, 8);
        self.word(R8, R7, self.fields.tgid);
        self.word(R9, R7, self.fields.pid);
        // A thread, not a process.
        self.asm.jump_if(Cond::NotEqual, R8, R9, out);
        self.word(R9, R6, self.fields.tgid);
        self.asm.store(Word, R10, KEY, R9);
        self.map(Helper::MapLookup, self.maps.followed.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.clear_short();
        self.begin(R10, EVENT, FORKED, out);
        let follows = self.asm.label();
        self.asm.store(Word, R10, KEY, R8);
        self.map(Helper::MapUpdate, self.maps.followed.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, follows);
        // No room: what it and its children execute will not be seen. This much is counted.
        self.count_dropped(out);
        self.asm.jump(out);
        self.asm.place(follows);
        self.asm.store(Word, R10, EVENT + PID, R8);
        self.asm.store(Word, R10, EVENT + PPID, R9);
        self.send_short(out);
        self.end(out);
    }

    /// `sched_process_exit(task)`: told once for a process, when its last thread goes.
    fn exit(&mut self) {
        let out = self.asm.label();
        let (alone, known) = (self.asm.label(), self.asm.label());
        self.asm.load(Double, R6, R1, 0);
        self.word(R8, R6, self.fields.tgid);
        self.asm.store(Word, R10, KEY, R8);
        self.map(Helper::MapLookup, self.maps.followed.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.follow(R7, R6, self.fields.signal);
        self.word(R1, R7, self.fields.live);
        self.asm.jump_if_imm(Cond::NotEqual, R1, 0, out);
        self.asm.store(Word, R10, KEY, R8);
        self.map(Helper::MapDelete, self.maps.followed.number());
        // SIGNAL_GROUP_EXIT: then the status is the group's.
        self.word(R1, R7, self.fields.signal_flags);
        self.asm.and_imm(R1, 4);
        self.asm.jump_if_imm(Cond::Equal, R1, 0, alone);
        self.word(R9, R7, self.fields.group_exit_code);
        self.asm.jump(known);
        self.asm.place(alone);
        self.word(R9, R6, self.fields.exit_code);
        self.asm.place(known);
        self.clear_short();
        self.begin(R10, EVENT, ENDED, out);
        self.asm.store(Word, R10, EVENT + PID, R8);
        self.asm.store(Word, R10, EVENT + STATUS, R9);
        self.send_short(out);
        self.end(out);
    }

    /// `sched_process_exec(task, old pid, binary)`: the new image is in place, its arguments are in its memory.
    fn exec(&mut self) {
        let out = self.asm.label();
        self.asm.mov(R6, R1);
        self.asm.load(Double, R9, R6, 0);
        self.word(R8, R9, self.fields.tgid);
        self.asm.store(Word, R10, KEY, R8);
        self.map(Helper::MapLookup, self.maps.followed.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.room(out);
        self.begin(R7, 0, EXECUTED, out);
        self.asm.store(Word, R7, PID, R8);
        self.asm.store_imm(Word, R7, STATUS, 0);
        self.asm.load(Double, R9, R6, 0);
        self.follow(R9, R9, self.fields.real_parent);
        self.word(R1, R9, self.fields.tgid);
        self.asm.store(Word, R7, PPID, R1);
        self.asm.load(Double, R9, R6, 0);
        self.follow(R9, R9, self.fields.cred);
        self.word(R1, R9, self.fields.uid);
        self.asm.store(Word, R7, UID, R1);
        self.word(R1, R9, self.fields.euid);
        self.asm.store(Word, R7, EUID, R1);
        self.asm.store_imm(Word, R7, FLAGS, 0);
        self.asm.load(Double, R9, R6, 0);
        self.follow(R9, R9, self.fields.mm);
        self.keep(MM, R9);

        self.follow(R9, R9, self.fields.exe);
        self.follow(R1, R9, self.fields.exe_mount);
        self.keep(MOUNT, R1);
        self.follow(R9, R9, self.fields.exe_dentry);
        let hashed = self.asm.label();
        self.follow(R1, R9, self.fields.hashed);
        self.asm.jump_if_imm(Cond::NotEqual, R1, 0, hashed);
        self.flag(DELETED);
        self.asm.place(hashed);
        self.asm.mov_imm(R8, 0);
        self.set_out(PATH_CUT, PATH_ASTRAY);
        self.go_on();
        // Only reached where that is not there: this one is told as lost then.
        self.count_dropped(out);
        self.end(out);
    }

    /// The room where an event is made, in R7.
    fn room(&mut self, out: Label) {
        self.asm.store_imm(Word, R10, KEY, 0);
        self.map(Helper::MapLookup, self.maps.scratch.number());
        self.asm.jump_if_imm(Cond::Equal, R0, 0, out);
        self.asm.mov(R7, R0);
        self.meanwhile = (R7, MEANWHILE);
    }

    /// A walk is to begin; its flags are these.
    fn set_out(&mut self, cut: i32, astray: i32) {
        for (place, value) in [(LEFT, RUNS), (CUT, cut), (ASTRAY, astray)] {
            self.asm.store_imm(Word, R7, MEANWHILE + place, value);
        }
    }

    /// Goes on with the program that walks, from the entry in R9 and behind R8 bytes of names, for what happened in R6. Where the
    /// kernel does not let it, the next instruction is reached.
    fn go_on(&mut self) {
        self.keep(ENTRY, R9);
        self.asm.store(Word, R7, NAMES_KEPT, R8);
        self.asm.mov(R1, R6);
        self.asm.map(R2, self.maps.walk.number());
        // The number 0, but not for the verifier to see: the kernel would patch the code when the map is filled, on every processor.
        let (room, at) = self.meanwhile;
        self.asm.store_imm(Word, room, at + WORD, 0);
        self.asm.load(Word, R3, room, at + WORD);
        self.asm.call(Helper::TailCall);
    }

    /// The rest of an event: arguments, as many as fit, behind R8 bytes of names.
    fn arguments(&mut self, out: Label) {
        self.asm.store(Word, R7, NAMES_KEPT, R8);
        self.kept(R9, MM);
        self.follow(R6, R9, self.fields.arg_start);
        self.follow(R9, R9, self.fields.arg_end);
        self.asm.sub(R9, R6);
        self.asm.store(Word, R7, ARGUMENTS_ALL, R9);
        let fits = self.asm.label();
        self.asm.mov_imm(R1, ARGUMENTS);
        self.asm.jump_if(Cond::AboveOrEqual, R1, R9, fits);
        self.asm.mov_imm(R9, ARGUMENTS);
        self.asm.place(fits);
        self.asm.jump_if_imm(Cond::Above, R9, ARGUMENTS, out);
        self.asm.store(Word, R7, ARGUMENTS_KEPT, R9);
        self.asm.jump_if_imm(Cond::Above, R8, NAMES, out);
        self.asm.mov(R1, R7);
        self.asm.add_imm(R1, HEADER);
        self.asm.add(R1, R8);
        self.asm.mov(R2, R9);
        self.asm.mov(R3, R6);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.mov(R2, R7);
        self.asm.mov(R3, R8);
        self.asm.add(R3, R9);
        self.asm.add_imm(R3, HEADER);
        self.send(out);
    }

    fn flag(&mut self, bit: i32) {
        self.asm.load(Word, R1, R7, FLAGS);
        self.asm.add_imm(R1, bit);
        self.asm.store(Word, R7, FLAGS, R1);
    }

    /// A flag of the walk, which is kept.
    fn flag_kept(&mut self, place: i16) {
        self.asm.load(Word, R1, R7, FLAGS);
        self.asm.load(Word, R2, R7, MEANWHILE + place);
        self.asm.add(R1, R2);
        self.asm.store(Word, R7, FLAGS, R1);
    }

    /// An empty name.
    fn separate(&mut self) {
        self.asm.mov(R1, R7);
        self.asm.add_imm(R1, HEADER);
        self.asm.add(R1, R8);
        self.asm.store_imm_byte(R1, 0, 0);
        self.asm.add_imm(R8, 1);
    }

    /// Appends the names from an entry (in a mount) up to the root of all: first of the program, then of the working directory. When
    /// there is no room for more, the flag `CUT` is set. Where the end is not the root of the process's own mounts, `ASTRAY` is:
    /// everybody can mount what he likes in namespaces of his own, and take it off with something in it, or mount it nowhere.
    ///
    /// A program of its own, which goes on with itself after some turns: the verifier goes through every turn that is written, and
    /// with all that a path may have that was a third of a recorder's start.
    fn walk(&mut self) {
        let (out, done, full) = (self.asm.label(), self.asm.label(), self.asm.label());
        let (top, nowhere, rest) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.mov(R6, R1);
        self.room(out);
        self.asm.load(Word, R8, R7, NAMES_KEPT);
        self.asm.jump_if_imm(Cond::Above, R8, NAMES, out);
        self.kept(R9, ENTRY);
        for _ in 0..TURNS {
            let (outside, next) = (self.asm.label(), self.asm.label());
            self.asm.jump_if_imm(Cond::Above, R8, NAMES - NAME - 1, full);
            self.kept(R1, MOUNT);
            self.read(ROOT, 8, R1, self.fields.mount_root);
            self.kept(R1, ROOT);
            self.asm.jump_if(Cond::Equal, R9, R1, outside);
            self.follow(R3, R9, self.fields.name);
            self.asm.mov(R1, R7);
            self.asm.add_imm(R1, HEADER);
            self.asm.add(R1, R8);
            self.asm.mov_imm(R2, NAME);
            self.asm.call(Helper::ProbeReadKernelStr);
            // Between 1 (the zero byte) and the longest; errors are negative and so, without a sign, above.
            self.asm.jump_if_imm(Cond::Above, R0, NAME, done);
            self.asm.jump_if_imm(Cond::Equal, R0, 0, done);
            self.asm.add(R8, R0);
            // Changes nothing, but makes the verifier forget the lower bound: then it sees that one turn is like another.
            self.asm.and_imm(R8, NAMES - 1);
            self.follow(R1, R9, self.fields.parent);
            // An entry that is its own parent without being a mount's root hangs nowhere (memfd, a directory that was moved out of
            // what is mounted).
            self.asm.jump_if(Cond::Equal, R1, R9, nowhere);
            self.asm.mov(R9, R1);
            self.asm.jump(next);
            // The root of a mount: go on where it is mounted. A mount that is its own parent is the last.
            self.asm.place(outside);
            self.kept(R1, MOUNT);
            self.asm.add_imm(R1, -self.fields.mount);
            self.keep(ROOT, R1);
            self.read(OUTER, 8, R1, self.fields.mount_parent);
            self.kept(R1, ROOT);
            self.kept(R2, OUTER);
            self.asm.jump_if(Cond::Equal, R1, R2, top);
            self.follow(R9, R1, self.fields.mount_point);
            self.kept(R1, OUTER);
            self.asm.add_imm(R1, self.fields.mount);
            self.keep(MOUNT, R1);
            self.asm.place(next);
        }
        self.asm.load(Word, R1, R7, MEANWHILE + LEFT);
        self.asm.add_imm(R1, -1);
        self.asm.store(Word, R7, MEANWHILE + LEFT, R1);
        self.asm.jump_if_imm(Cond::Equal, R1, 0, full);
        self.go_on();
        self.asm.place(full);
        self.flag_kept(CUT);
        self.asm.jump(done);
        // The root of all, or a mount that was taken off (it is in no namespace), or one of another namespace, which one that is
        // mounted nowhere has of its own.
        self.asm.place(top);
        self.follow(R9, R1, self.fields.mounted_in);
        self.keep(OUTER, R9);
        self.asm.load(Double, R9, R6, 0);
        self.follow(R9, R9, self.fields.namespaces);
        self.follow(R9, R9, self.fields.mount_namespace);
        self.kept(R1, OUTER);
        self.asm.jump_if(Cond::Equal, R1, R9, done);
        self.asm.place(nowhere);
        self.flag_kept(ASTRAY);
        self.asm.place(done);
        self.asm.load(Word, R1, R7, MEANWHILE + CUT);
        self.asm.jump_if_imm(Cond::Equal, R1, CWD_CUT, rest);
        self.separate();
        self.asm.load(Double, R9, R6, 0);
        self.follow(R9, R9, self.fields.fs);
        self.follow(R1, R9, self.fields.pwd_mount);
        self.keep(MOUNT, R1);
        self.follow(R9, R9, self.fields.pwd_dentry);
        self.set_out(CWD_CUT, CWD_ASTRAY);
        self.go_on();
        self.flag_kept(CUT);
        self.asm.place(rest);
        self.arguments(out);
        self.end(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bpf::MapType;

    /// Its verifier takes a microsecond and more for each instruction, and everybody who starts waits for it.
    #[test]
    fn what_the_kernel_has_to_look_through_is_little() {
        let types = std::fs::File::open("/sys/kernel/btf/vmlinux");
        let map = |kind, value| Map::new(kind, "sc_test", 4, value, 1);
        let maps = (|| Some((map(MapType::Array, 16).ok()?, RingBuffer::new("sc_test", 1 << 17).ok()?)))();
        let (Ok(types), Some((map, ring))) = (types, maps) else {
            return crate::sys::skipped("no maps, or no types of the kernel");
        };
        let maps = Maps { followed: &map, counts: &map, scratch: &map, walk: &map, events: &ring };
        let Programs { fork, exec, walk, exit } = write(types, &maps).unwrap();
        let all = [fork, exec, walk, exit].map(|program| program.len());
        assert!(all.iter().sum::<usize>() < 1_000, "{all:?}");
    }
}
