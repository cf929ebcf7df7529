//! The kernel's virtual machine: maps, programs, and the ring buffer through which programs speak.
//!
//! Interface: bpf(2), `include/uapi/linux/bpf.h`; ring buffer: <https://docs.kernel.org/bpf/ringbuf.html> (Linux 5.8).
//! Everything needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN.

use super::fd::owned;
use super::{Error, Result};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One instruction. Layout: `struct bpf_insn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Destination register in the lower four bits, source in the upper.
    pub regs: u8,
    /// Offset of memory or jump.
    pub off: i16,
    /// Constant.
    pub imm: i32,
}

/// What a map is.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum MapType {
    /// Keys to values.
    Hash = 1,
    /// Numbers from 0 to values.
    Array = 2,
    /// Numbers from 0 to programs, for programs to go on with.
    Programs = 3,
    /// An array with a value of its own for every processor.
    PerCpuArray = 6,
    /// Records from programs to one reader.
    RingBuffer = 27,
}

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP: libc::c_int = 1;
const MAP_UPDATE: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const MAP_FREEZE: libc::c_int = 22;
const RAW_TRACEPOINT: u32 = 17;
/// Licence of our instructions, as the kernel wants to hear it from users of the functions that read its memory.
const LICENSE: &CStr = c"Dual MIT/GPL";

/// How often a program is offered to a verifier that is interrupted.
const LOADS: usize = 5;

/// `union bpf_attr`: every command reads the part it knows; the rest is zero.
#[repr(C, align(8))]
struct Attr([u8; 128]);

impl Attr {
    fn new() -> Self {
        Self([0; 128])
    }

    fn word(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn double(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn pointer<T>(self, at: usize, to: *const T) -> Self {
        self.double(at, to as usize as u64)
    }

    fn name(mut self, at: usize, name: &str) -> Self {
        let length = name.len().min(15);
        self.0[at..at + length].copy_from_slice(&name.as_bytes()[..length]);
        self
    }
}

/// SAFETY of callers: whatever `attr` points to must live, with the lengths that the command takes from it.
unsafe fn bpf(command: libc::c_int, attr: &Attr) -> i64 {
    // SAFETY: the kernel reads at most the given size of `attr`; what it points to is the caller's promise.
    unsafe { libc::syscall(libc::SYS_bpf, command, &raw const attr.0, size_of::<Attr>()) }
}

/// A map.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    key: usize,
    value: usize,
}

impl Map {
    /// Makes a map with keys and values of these sizes in bytes (0 and 0 for a ring buffer, whose `entries` are its size in
    /// bytes: a power of two and a multiple of the page size).
    ///
    /// # Errors
    /// When the kernel has no BPF, does not allow it to us, or does not know the type.
    pub fn new(kind: MapType, name: &str, key: u32, value: u32, entries: u32) -> Result<Self> {
        let attr =
            Attr::new().word(0, kind as u32).word(4, key).word(8, value).word(12, entries).name(28, name);
        // SAFETY: this command follows no pointer, and makes a descriptor (closed on exec, as all of bpf's are).
        let fd = unsafe { owned(bpf(MAP_CREATE, &attr)) };
        let fd = fd.map_err(|e| Error::new("make a kernel map", name, e))?;
        Ok(Self { fd, key: key as usize, value: value as usize })
    }

    /// Its descriptor, for programs to name it.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the map is full or frozen, or the sizes are not the map's.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.len() != self.key || value.len() != self.value {
            return Err(Error::new("set a value in a kernel map", "", io::ErrorKind::InvalidInput.into()));
        }
        let attr = Attr::new().word(0, self.fd.as_raw_fd().cast_unsigned());
        let attr = attr.pointer(8, key.as_ptr()).pointer(16, value.as_ptr());
        // SAFETY: key and value have the sizes that the map was made with.
        if unsafe { bpf(MAP_UPDATE, &attr) } < 0 {
            return Err(Error::last("set a value in a kernel map", ""));
        }
        Ok(())
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When there is none, or the sizes are not the map's. Not for maps with values for each processor.
    pub fn get(&self, key: &[u8], value: &mut [u8]) -> Result<()> {
        if key.len() != self.key || value.len() != self.value {
            return Err(Error::new("read a kernel map", "", io::ErrorKind::InvalidInput.into()));
        }
        let attr = Attr::new().word(0, self.fd.as_raw_fd().cast_unsigned());
        let attr = attr.pointer(8, key.as_ptr()).pointer(16, value.as_mut_ptr());
        // SAFETY: key and value have the sizes that the map was made with, and value may be written to.
        if unsafe { bpf(MAP_LOOKUP, &attr) } < 0 {
            return Err(Error::last("read a kernel map", ""));
        }
        Ok(())
    }

    /// From now on only programs write to it: no process can, whatever its rights. Cannot be undone.
    ///
    /// # Errors
    /// When the kernel is older than 5.2.
    pub fn freeze(&self) -> Result<()> {
        let attr = Attr::new().word(0, self.fd.as_raw_fd().cast_unsigned());
        // SAFETY: this command follows no pointer.
        if unsafe { bpf(MAP_FREEZE, &attr) } < 0 {
            return Err(Error::last("freeze a kernel map", ""));
        }
        Ok(())
    }
}

/// A program for raw tracepoints that the kernel has accepted.
#[derive(Debug)]
pub struct Loaded(OwnedFd);

impl Loaded {
    /// Its descriptor, for a map to name it.
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A program that runs at a raw tracepoint for as long as this lives.
#[derive(Debug)]
pub struct Attached {
    _program: OwnedFd,
    _link: OwnedFd,
}

/// Loads a program and attaches it to a raw tracepoint.
///
/// # Errors
/// As for [`load`], or when the kernel has no such tracepoint.
pub fn attach(tracepoint: &CStr, name: &str, code: &[Insn]) -> Result<Attached> {
    let Loaded(program) = load(name, code)?;
    let attr = Attr::new().pointer(0, tracepoint.as_ptr()).word(8, program.as_raw_fd().cast_unsigned());
    // SAFETY: the name is a string that ends in zero. It makes a descriptor.
    let link = unsafe { owned(bpf(RAW_TRACEPOINT_OPEN, &attr)) };
    let link = link.map_err(|e| Error::new("attach a program to a tracepoint", name, e))?;
    Ok(Attached { _program: program, _link: link })
}

/// Loads a program for raw tracepoints.
///
/// # Errors
/// When the kernel does not allow it, or its verifier refuses the program: then the end of the verifier's words is the
/// subject of the error.
pub fn load(name: &str, code: &[Insn]) -> Result<Loaded> {
    let count = u32::try_from(code.len()).unwrap_or(u32::MAX);
    let attr = |log: Option<&mut [u8]>| {
        let attr = Attr::new().word(0, RAW_TRACEPOINT).word(4, count);
        let attr = attr.pointer(8, code.as_ptr()).pointer(16, LICENSE.as_ptr()).name(48, name);
        match log {
            Some(log) => {
                let size = u32::try_from(log.len()).unwrap_or(u32::MAX);
                attr.word(24, 1).word(28, size).pointer(32, log.as_mut_ptr())
            }
            None => attr,
        }
    };
    let load = |log: Option<&mut [u8]>| {
        let attr = attr(log);
        until_heard(|| {
            // SAFETY: code and licence live, the count is that of the code; a log has the size that is told. It makes a
            // descriptor.
            unsafe { owned(bpf(PROG_LOAD, &attr)) }
        })
    };
    let refused =
        |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EACCES | libc::EINVAL | libc::E2BIG));
    match load(None) {
        Err(error) if refused(&error) => {
            // The verifier said no: ask it why. That its words do not fit is an error of its own, and no news.
            let mut log = vec![0; 1 << 20];
            load(Some(&mut log)).map(Loaded).map_err(|_| {
                let words: Vec<u8> = log.into_iter().take_while(|b| *b != 0).collect();
                let tail = &words[words.len().saturating_sub(600)..];
                let why = String::from_utf8_lossy(tail).replace('\n', " | ");
                Error::new("load a program into the kernel:", why, error)
            })
        }
        other => other.map(Loaded).map_err(|error| Error::new("load a program into the kernel", name, error)),
    }
}

/// Asks again where the verifier was interrupted: it does not go on while something waits for the thread, such as a signal or a
/// freezer. As often as libbpf does.
fn until_heard<T>(mut load: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..LOADS {
        match load() {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            other => return other,
        }
    }
    load()
}

/// A part of a map, mapped into our memory.
struct Mapping {
    place: *mut libc::c_void,
    length: usize,
}

impl Mapping {
    /// `None` when the kernel refuses.
    fn new(map: &Map, length: usize, protection: libc::c_int, offset: usize) -> Option<Self> {
        let (nowhere, fd) = (std::ptr::null_mut(), map.fd.as_raw_fd());
        let offset = libc::off_t::try_from(offset).ok()?;
        // SAFETY: the kernel picks a place that is free, and refuses what lies outside of the map.
        let place = unsafe { libc::mmap(nowhere, length, protection, libc::MAP_SHARED, fd, offset) };
        (place != libc::MAP_FAILED).then_some(Self { place, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; whoever held a reference into it held one to `self`.
        unsafe { libc::munmap(self.place, self.length) };
    }
}

/// The reading end of a ring buffer.
///
/// What is mapped counts as our memory, used or not. So of the data only a window is mapped, which follows what is read.
pub struct RingBuffer {
    map: Map,
    size: usize,
    page: usize,
    consumer: Mapping,
    producer: Mapping,
    /// Where in the data it begins, and the window itself.
    window: Option<(usize, Mapping)>,
}

// SAFETY: the mappings belong to this value alone and are used through atomics or copies; nothing is tied to a thread.
unsafe impl Send for RingBuffer {}

/// Bytes of the window: several times the largest record.
const WINDOW: usize = 128 << 10;
/// Set in a record's length while it is being written.
const BUSY: u32 = 1 << 31;
/// Set when the writer gave the record up.
const DISCARDED: u32 = 1 << 30;
/// Length and page offset before each record.
const RECORD_HEADER: usize = 8;

impl RingBuffer {
    /// A ring buffer of `size` bytes: a power of two and a multiple of the page size, and at least 128 KiB. Records may have
    /// up to half of that.
    ///
    /// # Errors
    /// As for [`Map::new`], or when there is no memory.
    pub fn new(name: &str, size: u32) -> Result<Self> {
        let map = Map::new(MapType::RingBuffer, name, 0, 0, size)?;
        let page = super::memory::page_size();
        let size = size as usize;
        if size < WINDOW {
            let why = io::ErrorKind::InvalidInput.into();
            return Err(Error::new("make so small a kernel ring buffer", name, why));
        }
        // The consumer's page, the producer's, then the data, twice in a row so that no record is cut in two.
        let (write, failed) =
            (libc::PROT_READ | libc::PROT_WRITE, || Error::last("map a kernel ring buffer", name));
        let consumer = Mapping::new(&map, page, write, 0).ok_or_else(failed)?;
        let producer = Mapping::new(&map, page, libc::PROT_READ, page).ok_or_else(failed)?;
        let window = Mapping::new(&map, WINDOW, libc::PROT_READ, 2 * page).ok_or_else(failed)?;
        Ok(Self { map, size, page, consumer, producer, window: Some((0, window)) })
    }

    /// Where `length` bytes from `at` on (below the size) can be read. `None` when they are more than half the window, or it
    /// cannot be moved there.
    fn look(&mut self, at: usize, length: usize) -> Option<*const u8> {
        if length > WINDOW / 2 {
            return None;
        }
        let inside = |begin: usize| begin <= at && at + length <= begin + WINDOW;
        if !self.window.as_ref().is_some_and(|(begin, _)| inside(*begin)) {
            let begin = at / self.page * self.page;
            self.window = None;
            let window = Mapping::new(&self.map, WINDOW, libc::PROT_READ, 2 * self.page + begin);
            self.window = window.map(|window| (begin, window));
        }
        let (begin, window) = self.window.as_ref().filter(|(begin, _)| inside(*begin))?;
        // SAFETY: inside the window, by the check.
        Some(unsafe { window.place.cast::<u8>().cast_const().add(at - begin) })
    }

    /// Its descriptor, for programs to name it.
    pub fn number(&self) -> i32 {
        self.map.number()
    }

    fn positions(&self) -> (&AtomicU64, &AtomicU64) {
        // SAFETY: both pages hold a position of the machine's word size (64 bits on every kernel we run on) at their
        // start, live as long as `self`, and are changed by others through atomic accesses only.
        unsafe { (&*self.consumer.place.cast::<AtomicU64>(), &*self.producer.place.cast::<AtomicU64>()) }
    }

    /// Whether every record was read, the unfinished ones included.
    pub fn is_empty(&self) -> bool {
        let (consumer, producer) = self.positions();
        consumer.load(Ordering::Acquire) == producer.load(Ordering::Acquire)
    }

    /// Gives every finished record to `each`, copied: another process with rights over the map could change it meanwhile.
    /// False when the positions make no sense (somebody meddled with them): everything up to now is then skipped.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        let mut copy = Vec::new();
        loop {
            let (consumer, producer) = self.positions();
            let (begin, end) = (consumer.load(Ordering::Acquire), producer.load(Ordering::Acquire));
            if begin == end {
                return true;
            }
            let filled = usize::try_from(end.wrapping_sub(begin)).unwrap_or(usize::MAX);
            if filled > self.size || !begin.is_multiple_of(8) {
                consumer.store(end, Ordering::Release);
                return false;
            }
            let at = usize::try_from(begin).unwrap_or(0) & (self.size - 1);
            let Some(head) = self.look(at, RECORD_HEADER) else {
                self.positions().0.store(end, Ordering::Release);
                return false;
            };
            // SAFETY: mapped, aligned as `begin` is, and written by the kernel atomically.
            let length = unsafe { &*head.cast::<AtomicU32>() }.load(Ordering::Acquire);
            if length & BUSY != 0 {
                return true;
            }
            let size = (length & !DISCARDED) as usize;
            let record = self.look(at, size + RECORD_HEADER).filter(|_| size + RECORD_HEADER <= filled);
            let Some(record) = record else {
                self.positions().0.store(end, Ordering::Release);
                return false;
            };
            if length & DISCARDED == 0 {
                copy.clear();
                copy.reserve(size);
                // SAFETY: the record is mapped to its end, and `copy` has room for it. Whoever else may write there can make
                // the bytes wrong, not more.
                unsafe {
                    std::ptr::copy_nonoverlapping(record.add(RECORD_HEADER), copy.as_mut_ptr(), size);
                    copy.set_len(size);
                }
                each(&copy);
            }
            let next = (size + RECORD_HEADER).next_multiple_of(8) as u64;
            self.positions().0.store(begin.wrapping_add(next), Ordering::Release);
        }
    }
}

impl AsFd for RingBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_that_is_interrupted_is_asked_again_and_not_for_ever() {
        let asked = |answers: &[i32]| {
            let mut asked = 0;
            let loaded = until_heard(|| {
                let answer = answers.get(asked).copied().unwrap_or(libc::EAGAIN);
                asked += 1;
                if answer == 0 { Ok(7) } else { Err(io::Error::from_raw_os_error(answer)) }
            });
            (loaded.map_err(|error| error.raw_os_error()), asked)
        };
        assert_eq!(asked(&[0]), (Ok(7), 1));
        assert_eq!(asked(&[libc::EAGAIN, libc::EAGAIN, 0]), (Ok(7), 3));
        assert_eq!(asked(&[libc::EAGAIN, libc::EACCES]), (Err(Some(libc::EACCES)), 2));
        assert_eq!(asked(&[]), (Err(Some(libc::EAGAIN)), 5));
    }
}
