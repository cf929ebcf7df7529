//! The trace by programs in the kernel: loaded, attached, and read.

use super::Refusal;
use super::program::{self, Maps, Programs};
use super::record::{self, Event};
use crate::sys::bpf::{self, Attached, Map, MapType, RingBuffer};
use crate::sys::signals;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// `PROC_PID_INIT_INO` of the kernel.
pub(super) const FIRST_PID_NAMESPACE: u32 = 0xEFFF_FFFC;
/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Processes that are followed at once: twice as many as a kernel has by default. More are not followed, and counted.
const FOLLOWED: u32 = 65_536;
/// Bytes of events that may wait for the thread that does nothing but fetch them: about 2,500 execs. They count as our memory.
/// Measured on two processors with far more to do: a loop of 5,000 programs loses none even with a sixteenth of this; eight
/// loops at once, with a kilobyte of arguments each time, lost some in 2 of 40 runs with this and in 3 of 8 with half of it.
const RING: u32 = 1 << 20;

/// A running trace.
pub(super) struct KernelTrace {
    // In this order: nothing is written any more when the rest goes.
    attached: Vec<Attached>,
    counts: Map,
    followed: Map,
    _scratch: Map,
    /// The kernel empties it when the last descriptor of it is closed.
    _walk: Map,
    ring: RingBuffer,
    /// Processes that must be on the kernel's list, by what was told of them; and whether one was missing at the last look.
    alive: HashMap<u32, bool>,
    root: u32,
    zero: Duration,
    received: u64,
    dropped: u64,
    /// What was received at the last look; and whether that found one missing.
    looked: (u64, bool),
}

impl KernelTrace {
    /// Follows the process `root` and everything below it. After this no process can take one off the list by a system
    /// call; root can by a program of its own in the kernel, and [`KernelTrace::look`] sees that it is gone.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(root: u32, zero: Duration) -> Result<Self, Refusal> {
        // The programs see the numbers of the first pid namespace.
        super::in_first_namespace("pid", FIRST_PID_NAMESPACE)?;
        let types =
            std::fs::File::open(BTF).map_err(|error| Refusal::new(format!("cannot read {BTF}"), &error))?;
        let scratch_size = u32::try_from(program::SCRATCH).unwrap_or(u32::MAX);
        let followed = Map::new(MapType::Hash, "sc_followed", 4, 4, FOLLOWED)?;
        let counts = Map::new(MapType::Array, "sc_counts", 4, 16, 1)?;
        let scratch = Map::new(MapType::PerCpuArray, "sc_scratch", 4, scratch_size, 1)?;
        let ring = RingBuffer::new("sc_events", RING)?;
        let walk = Map::new(MapType::Programs, "sc_walk", 4, 4, 1)?;
        let maps =
            Maps { followed: &followed, counts: &counts, scratch: &scratch, events: &ring, walk: &walk };
        let Programs { fork, exec, walk: walks, exit } = program::write(types, &maps)?;
        followed.set(&root.to_ne_bytes(), &root.to_ne_bytes())?;
        let walks = bpf::load("sc_walk", &walks)?;
        walk.set(&0_u32.to_ne_bytes(), &walks.number().to_ne_bytes())?;
        for map in [&followed, &counts, &scratch, &walk] {
            map.freeze()?;
        }
        let attached = vec![
            bpf::attach(c"sched_process_exit", "sc_exit", &exit)?,
            bpf::attach(c"sched_process_exec", "sc_exec", &exec)?,
            bpf::attach(c"sched_process_fork", "sc_fork", &fork)?,
        ];
        Ok(Self {
            attached,
            counts,
            followed,
            _scratch: scratch,
            _walk: walk,
            ring,
            alive: HashMap::from([(root, false)]),
            root,
            zero,
            received: 0,
            dropped: 0,
            looked: (0, false),
        })
    }

    /// Gives everything that has happened to `each`.
    pub(super) fn read(&mut self, mut each: impl FnMut(Event)) {
        let (zero, received, alive) = (self.zero, &mut self.received, &mut self.alive);
        let sound = self.ring.read(|bytes| {
            *received += 1;
            if let Some(event) = record::read(bytes, zero) {
                match &event {
                    Event::Forked { pid, .. } => drop(alive.insert(*pid, false)),
                    Event::Ended { pid, .. } => drop(alive.remove(pid)),
                    _ => {}
                }
                each(event);
            }
        });
        let (_, dropped) = self.totals();
        if dropped > self.dropped {
            each(Event::Lost { count: dropped - self.dropped, why: "full" });
            self.dropped = dropped;
        }
        if !sound {
            each(Event::Lost { count: 0, why: "taken" });
        }
    }

    /// Whether nothing has happened since it was read.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Compares the kernel's list of followed processes with what was told of them. One that is missing at two looks, and
    /// whose end was not told in between, was taken off the list by somebody: it is told as lost, once.
    ///
    /// Where events were dropped, which is told as well, an end may be among them: then only what still exists counts.
    pub(super) fn look(&mut self, mut each: impl FnMut(Event)) {
        self.read(&mut each);
        let (followed, dropped) = (&self.followed, self.dropped > 0);
        let mut taken = 0;
        self.alive.retain(|pid, missing| {
            let mut value = [0; 4];
            if followed.get(&pid.to_ne_bytes(), &mut value).is_ok() {
                *missing = false;
                return true;
            }
            if !std::mem::replace(missing, true) {
                return true;
            }
            taken += u64::from(!dropped || signals::exists(*pid));
            false
        });
        self.looked = (self.received, self.alive.values().any(|missing| *missing));
        if taken > 0 {
            each(Event::Lost { count: taken, why: "taken" });
        }
    }

    /// Whether a look would find what the last one found, as far as was told since: it asks the kernel for every process.
    pub(super) fn is_quiet(&self) -> bool {
        self.looked == (self.received, false)
    }

    /// Whether anything runs below the process that is followed, by what was told.
    pub(super) fn has_any(&self) -> bool {
        self.alive.keys().any(|pid| *pid != self.root)
    }

    /// Stops the programs, reads the rest, and tells when the numbers do not add up. Gives those that still ran below the process
    /// that was followed, whatever became of them since.
    pub(super) fn finish(mut self, mut each: impl FnMut(Event)) -> Vec<u32> {
        self.attached.clear();
        self.look(&mut each);
        self.look(&mut each);
        let (made, dropped) = self.totals();
        let missing = made.saturating_sub(dropped).saturating_sub(self.received);
        if missing > 0 {
            each(Event::Lost { count: missing, why: "taken" });
        }
        // Where events were dropped, ends may be among them.
        let exists = |pid: &u32| dropped == 0 || signals::exists(*pid);
        self.alive.into_keys().filter(|pid| *pid != self.root).filter(exists).collect()
    }

    /// Events made, and events that did not fit.
    fn totals(&self) -> (u64, u64) {
        let mut value = [0; 16];
        if self.counts.get(&0_u32.to_ne_bytes(), &mut value).is_err() {
            return (self.received, self.dropped);
        }
        let number = |half: &[u8]| half.first_chunk().map_or(0, |n| u64::from_ne_bytes(*n));
        (number(&value[..8]), number(&value[8..]))
    }
}

impl AsFd for KernelTrace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
