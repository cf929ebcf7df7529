//! Stacks that forget: work with secrets is done in frames of its own, and what they leave behind is overwritten.
//!
//! A key that is wiped when it is dropped is wiped in one place. Where it was moved from, and what a digest, a cipher or a
//! signature kept of it on the way, stays on the stack until something else happens to run over it; measured, that was
//! never for the first keys of a session. So keys live in allocations, and whatever computes with them does it inside
//! [`apart`]. So is what was shown read: checked and drawn in pieces on the stack, the last of it would stay there as long as
//! nothing more is drawn. What `work` gives back must not hold a secret inline: it is handed up into the caller's frame.

use std::hint::black_box;
use std::mem::MaybeUninit;

/// Bytes of stack that are overwritten after a digest under a key: readers take millions of such steps. Tests tell, here as
/// below, when the work reaches deeper than this; without optimisation it was seen to use 5 KiB.
pub const DIGEST: usize = FRAME;
/// Bytes of stack that are overwritten after a chunk was sealed (seen: 20 KiB), or a checkpoint signed (5 KiB).
pub const CIPHER: usize = 2 * FRAME;
/// Bytes of stack that are overwritten after what was shown has been read (seen: 27 KiB, without what the shell and the kernel tell).
pub const READING: usize = 3 * FRAME;
/// Bytes of stack that are overwritten after what goes through other people's formats: a key sealed to recipients of any
/// kind, a signing key made, read from its file or used. The deepest, a post-quantum recipient, was seen to use 128 KiB, and
/// the ordinary ones 45 KiB.
pub const DEEP: usize = 16 * FRAME;
/// Bytes of stack of a recorder's thread, where nothing less is known to do. Said for each: what is not said the standard library
/// takes from `RUST_MIN_STACK`, a variable of whoever starts the recorder.
pub const THREAD: usize = 2 << 20;
/// What one call of [`wipe`] overwrites.
const FRAME: usize = 16 << 10;

/// Does `work` below a frame of its own, and overwrites `depth` bytes of the stack it ran on, also when it panics; fewer where
/// the stack ends before (`ulimit -s`).
#[inline(never)]
pub fn apart<T>(depth: usize, work: impl FnOnce() -> T) -> T {
    let _wiped = Wiped(depth);
    below(work)
}

/// Not to be merged into its caller, whose frame is not overwritten.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

struct Wiped(usize);

impl Drop for Wiped {
    fn drop(&mut self) {
        // The smaller depths fit into the smallest stack that a program can be started with.
        let depth = if self.0 >= DEEP { self.0.min(room()) } else { self.0 };
        wipe(depth);
        if self.0 >= DEEP {
            give_back(depth);
        }
    }
}

/// How many bytes of this stack may be overwritten below the caller's frame: up to the limit, where it is the main thread's;
/// the others are large enough. Work cannot have left anything behind that.
#[inline(never)]
fn room() -> usize {
    // For our own frames, and what `wipe` uses beside those it counts.
    const MARGIN: usize = FRAME + (8 << 10);
    // SAFETY: these take nothing and cannot fail.
    let is_main = unsafe { libc::gettid() == libc::getpid() };
    // The name that the program was started by stands in the last page of that stack (`execve` in the kernel).
    // SAFETY: takes a number and gives a number.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place to write to.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) } == 0;
    let (Ok(name), Ok(limit)) = (usize::try_from(name), usize::try_from(limit.rlim_cur)) else {
        return usize::MAX;
    };
    let here = 0_u8;
    let here = black_box(&raw const here) as usize;
    if !(is_main && told && name > here) {
        return usize::MAX;
    }
    let used = name.next_multiple_of(super::memory::page_size()).saturating_sub(here);
    // Nobody is further from its beginning than the limit: a process that a thread has forked is on that thread's stack.
    if used > limit { usize::MAX } else { (limit - used).saturating_sub(MARGIN) }
}

/// Overwrites at least `depth` bytes below the caller's frame with zeros.
#[inline(never)]
fn wipe(depth: usize) {
    let mut frame = [const { MaybeUninit::<u8>::uninit() }; FRAME];
    // SAFETY: the whole of an array of ours, whose elements may hold anything. Not removed by the optimiser although nobody
    // reads the array.
    unsafe { libc::explicit_bzero(frame.as_mut_ptr().cast(), FRAME) };
    if depth > FRAME {
        wipe(depth - FRAME);
    }
    // The frame is in use until here: the call above cannot take its place.
    black_box(&mut frame);
}

/// Hands what [`wipe`] has just overwritten back to the kernel: a recorder's stack will not be that deep again. Where memory
/// is locked the kernel refuses, and it stays.
#[inline(never)]
fn give_back(depth: usize) {
    let page = super::memory::page_size();
    let here = 0_u8;
    // A page for our own frame and for those of what we call.
    let end = (black_box(&raw const here) as usize / page).saturating_sub(1) * page;
    // And as much at the other end: we are not exactly where `wipe` was called from.
    let begin = (end + 3 * page).saturating_sub(depth).next_multiple_of(page);
    if begin < end {
        // SAFETY: all of it lies below our frame and above the end of the last frame of `wipe`, which was called from where
        // we were: it belongs to the stack of this thread, and nothing there is in use. What comes back is zeros.
        unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_DONTNEED) };
    }
}

/// How deep `work` reaches into the stack, in bytes, up to a MiB; what it overwrites at its end counts.
#[cfg(test)]
pub(crate) fn reached(work: impl FnOnce()) -> usize {
    traced(work).0
}

/// How often this text stands in what `work` has left behind in the 256 KiB of stack below its caller.
#[cfg(test)]
pub(crate) fn leaves(text: &[u8], work: impl FnOnce()) -> usize {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; 256 << 10];
    let begin = ((&raw const bytes) as usize).saturating_sub(bytes.len());
    let memory = own_memory();
    below(work);
    memory.read_exact_at(&mut bytes, begin as u64).unwrap();
    memchr::memmem::find_iter(&bytes, text).count()
}

/// Our own memory, as the kernel sees it: nobody may look through a pointer at frames that are gone.
#[cfg(test)]
fn own_memory() -> std::fs::File {
    // It is closed to who is not root while another test tries how a process closes itself.
    let opened = (0..10_000).find_map(|_| {
        std::thread::yield_now();
        std::fs::File::open("/proc/self/mem").ok()
    });
    opened.unwrap()
}

/// How deep `work` reaches, and how many bytes above that it passed over.
#[cfg(test)]
fn traced(work: impl FnOnce()) -> (usize, usize) {
    use std::os::unix::fs::FileExt as _;
    const PAINT: u8 = 0xa5;
    const BLOCK: usize = 512;

    /// Paints this many frames, and gives the address where the last one begins.
    #[inline(never)]
    fn painted(frames: usize) -> usize {
        let mut frame = [PAINT; FRAME];
        let begin = black_box(&mut frame).as_ptr() as usize;
        let lowest = if frames > 1 { painted(frames - 1) } else { begin };
        black_box(&mut frame);
        lowest
    }

    let mut bytes = vec![0; 1 << 20];
    let top = (&raw const bytes) as usize;
    let memory = own_memory();
    let lowest = painted(bytes.len() / FRAME);
    below(work);
    memory.read_exact_at(&mut bytes, lowest as u64).unwrap();
    let is_painted = |block: &[u8]| block.iter().filter(|byte| **byte == PAINT).count() > BLOCK / 2;
    let intact = bytes.chunks(BLOCK).take_while(|block| is_painted(block)).count() * BLOCK;
    assert!(intact > 0, "the stack was used to the end of the paint");
    let reached = top - lowest - intact;
    let above = bytes.get(intact..top - lowest).unwrap_or(&bytes[intact..]);
    (reached, above.iter().filter(|byte| **byte == PAINT).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::os::unix::fs::FileExt as _;

    /// Leaves a word on the stack all over 8 KiB, and says where.
    fn careless(word: u64, place: &Cell<usize>) {
        let mut words = [word; 1 << 10];
        place.set(black_box(&mut words).as_ptr() as usize);
    }

    /// How often the word stands there now.
    fn left(memory: &std::fs::File, bytes: &mut [u8], word: u64, place: usize) -> usize {
        memory.read_exact_at(bytes, place as u64).unwrap();
        bytes.as_chunks().0.iter().filter(|chunk| u64::from_ne_bytes(**chunk) == word).count()
    }

    #[test]
    fn what_work_left_on_the_stack_is_gone_also_when_it_panicked() {
        let memory = own_memory();
        let mut bytes = vec![0; 8 << 10];
        let (word, place) = (black_box(0x5ec2_e7ab_1e5e_c2e7), Cell::new(0));
        below(|| careless(word, &place));
        // Else nothing would be shown.
        assert!(left(&memory, &mut bytes, word, place.get()) > 100);
        apart(CIPHER, || careless(word, &place));
        assert_eq!(left(&memory, &mut bytes, word, place.get()), 0);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            apart(CIPHER, || {
                careless(word, &place);
                // Without the message, whose making would run over it.
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(left(&memory, &mut bytes, word, place.get()), 0);
    }

    #[test]
    fn as_much_is_overwritten_as_was_asked_for() {
        for depth in [DIGEST, CIPHER, DEEP] {
            let (reached, left) = traced(|| apart(depth, || ()));
            assert!((depth..depth + 4096).contains(&reached), "{reached} of {depth}");
            // The lowest block may be painted in half; between two frames there may be some bytes.
            assert!(left < 512, "{left} of {depth} were left");
        }
        let deeper = reached(|| {
            apart(CIPHER, || {
                black_box(&mut [1_u8; CIPHER + (8 << 10)]);
            })
        });
        assert!(deeper > CIPHER + 4096, "{deeper}");
    }

    /// The name of a variable with which this program does nothing but forget, on its main thread, where no test runs.
    const ALONE: &str = "SEALCAST_TEST_FORGETS";

    /// Called before `main`.
    // SAFETY: a place for pointers to functions like this one, which takes nothing and gives nothing.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static FIRST: extern "C" fn() = forget_alone;

    extern "C" fn forget_alone() {
        if std::env::var_os(ALONE).is_none() {
            return;
        }
        let memory = own_memory();
        let mut bytes = vec![0; 8 << 10];
        let (word, place) = (black_box(0x5ec2_e7ab_1e5e_c2e7), Cell::new(0));
        apart(DEEP, || careless(word, &place));
        assert_eq!(left(&memory, &mut bytes, word, place.get()), 0);
        let said = if room() < DEEP { "in part" } else { "whole" };
        std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
        // SAFETY: takes a number, and does not return.
        unsafe { libc::_exit(0) }
    }

    #[test]
    fn on_a_small_stack_as_much_is_overwritten_as_there_can_be() {
        let mut said = Vec::new();
        for limit in ["192", "256", "8192"] {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", "ulimit -S -s $1 && shift && exec \"$@\"", "sh", limit]);
            let output = command.arg(std::env::current_exe().unwrap()).env(ALONE, "").output().unwrap();
            assert!(output.status.success(), "{limit}: {output:?}");
            said.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        assert_eq!(said, ["in part", "in part", "whole"]);
    }
}
