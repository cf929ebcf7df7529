//! Memory that forgets: a global allocator that wipes what is given back.
//!
//! Measured on a prototype: without it, freed buffers of the terminal emulator held the plaintext of ten earlier
//! segments, and forgetting the keys would have been theatre.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, except that every block is filled with zeros before it is given back, and that the process ends at once
/// where there is no memory left. What the standard library does then is left to a variable of whoever starts us
/// (`RUST_BACKTRACE`): it takes locks and more memory, and two threads that do so wait for each other for ever.
pub struct ZeroOnFree;

/// The block, if there is one. Else the end: nothing is dropped that would give the terminal back.
fn had(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        super::tty::give_back();
        const WHY: &[u8] = b"sealcast: there is no memory left\n";
        // SAFETY: bytes from a valid place; a descriptor that is closed is an error, not a fault.
        unsafe { libc::write(2, WHY.as_ptr().cast(), WHY.len()) };
        std::process::abort();
    }
    block
}

// SAFETY: every call is handed on to `System` with the layout it came with; `dealloc` writes only inside the block,
// which the caller still owns at that moment. `realloc` is the trait's own (allocate, copy, free), so an old block
// is wiped too.
unsafe impl GlobalAlloc for ZeroOnFree {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is the one `System` asks for.
        had(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        had(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is a live block of `layout.size()` bytes, by the caller's promise. `explicit_bzero` is not
        // removed by the optimiser although the memory is freed right after.
        unsafe {
            libc::explicit_bzero(block.cast(), layout.size());
            System.dealloc(block, layout);
        }
    }
}

/// Fills a buffer, spare capacity included, with zeros and empties it. Not removed by the optimiser, and as fast as
/// `memset`: the recorder wipes every byte of a session several times.
pub fn wipe(buffer: &mut Vec<u8>) {
    buffer.clear();
    let spare = buffer.spare_capacity_mut();
    // SAFETY: the range is the vector's own spare capacity; zeros are valid for it, written or not.
    unsafe { libc::explicit_bzero(spare.as_mut_ptr().cast(), spare.len()) };
}

/// Makes all threads share one arena of the C allocator, and large blocks go back to the kernel when they are freed: a
/// recorder's three threads would otherwise keep a heap each. To be called before there is a second thread.
pub fn one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two parameters of the allocator; a value it does not take is refused, not used.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}

/// Hands free memory of the C allocator back to the kernel. Used after the start-up work of a recorder.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions; it touches free memory of the allocator only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the code and the constants of the program and its libraries: what is used from now on comes back from the
/// kernel's cache, the rest is no longer counted as ours. A recorder's start runs through most of the program, a session
/// through little of it, but the kernel maps 15 pages around each that it needs (since Linux 6.18 the whole folio of its cache, which
/// in a file that was copied is larger), and they add up: measured in a flood, 4.5 MiB at the end where nothing is let go on the way,
/// 3.6 where it is at the end of each segment.
///
/// What a debugger has put into the code is lost, as is any lock on it (it is never written to swap).
pub fn release_code() {
    // SAFETY: the callback is called with valid entries, during this call only, and takes what is documented.
    unsafe { libc::dl_iterate_phdr(Some(release_segments), std::ptr::null_mut()) };
}

/// For [`release_code`]: the code of one loaded object.
unsafe extern "C" fn release_segments(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the caller, `dl_iterate_phdr`, gives a valid entry with that many program headers, and its name.
    let (base, headers, name) = unsafe {
        let object = &*object;
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        let name = if object.dlpi_name.is_null() { c"" } else { std::ffi::CStr::from_ptr(object.dlpi_name) };
        (object.dlpi_addr as usize, headers, name.to_bytes())
    };
    // The program has no name here. What has one that is no path is made by the kernel and comes from no file.
    if !(name.is_empty() || name.contains(&b'/')) {
        return 0;
    }
    let page = page_size();
    let place = |header: &Header| base.wrapping_add(header.p_vaddr as usize);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_DYNAMIC) {
        // SAFETY: the loader has mapped this table and read it to its end before.
        if unsafe { changes_code(place(header) as *const usize, header.p_memsz as usize) } {
            return 0;
        }
    }
    let fixed = |header: &&Header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0;
    for header in headers.iter().filter(fixed) {
        let begin = place(header).next_multiple_of(page);
        let end = place(header).wrapping_add(header.p_memsz as usize) / page * page;
        if begin < end {
            // SAFETY: the pages belong to a segment that is mapped from a file and never written to, the loader's own changes
            // included: what they hold is there again at the next access.
            unsafe {
                libc::munlock(begin as *const libc::c_void, end - begin);
                libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_DONTNEED);
            }
        }
    }
    0
}

/// Bytes of a page.
pub(super) fn page_size() -> usize {
    // SAFETY: takes a number only.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Phdr;

/// Whether the loader has written addresses into the code of an object, as its dynamic table says: pairs of a tag and a
/// value (ELF, "Dynamic Section"). Nobody builds such objects for 64 bits; the changes would be lost.
///
/// SAFETY of callers: `table` holds `length` bytes, aligned.
unsafe fn changes_code(table: *const usize, length: usize) -> bool {
    const TEXTREL: usize = 22;
    const FLAGS: usize = 30;
    const FLAG_TEXTREL: usize = 4;
    // SAFETY: the caller's promise.
    let words = unsafe { std::slice::from_raw_parts(table, length / size_of::<usize>()) };
    let pairs = words.as_chunks::<2>().0;
    let mut used = pairs.iter().take_while(|[tag, _]| *tag != 0);
    used.any(|[tag, value]| *tag == TEXTREL || (*tag == FLAGS && value & FLAG_TEXTREL != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_buffer_is_empty_and_holds_nothing() {
        let mut buffer = b"secret".to_vec();
        buffer.reserve(100);
        wipe(&mut buffer);
        assert!(buffer.is_empty());
        // SAFETY: the capacity is at least six, and was just filled with zeros.
        unsafe { buffer.set_len(6) };
        assert_eq!(buffer, [0; 6]);
    }

    #[test]
    fn an_object_whose_code_was_changed_by_the_loader_is_told() {
        let (needed, flags, textrel, end) = ([1_usize, 5], [30, 8], [22, 0], [0, 0]);
        let says = |table: &[[usize; 2]]| {
            let words = table.as_flattened();
            // SAFETY: a whole slice.
            unsafe { changes_code(words.as_ptr(), size_of_val(words)) }
        };
        assert!(!says(&[needed, flags, end, textrel]) && !says(&[]));
        assert!(says(&[needed, textrel, end]) && says(&[[30, 12]]));
    }

    #[test]
    fn code_that_was_let_go_still_runs() {
        let text = "constants are there again, too".repeat(3);
        for _ in 0..3 {
            release_code();
            assert_eq!("constants are there again, too".repeat(3), text);
        }
    }

    #[test]
    fn a_freed_block_no_longer_holds_what_was_in_it() {
        let layout = Layout::from_size_align(4096, 16).unwrap();
        // SAFETY: the layout is not empty; the block is written inside its bounds and freed once. Reading after the
        // free goes through a copy the allocator handed out again.
        unsafe {
            let block = ZeroOnFree.alloc(layout);
            assert!(!block.is_null());
            block.write_bytes(0xAA, 4096);
            ZeroOnFree.dealloc(block, layout);
            let again = System.alloc(layout);
            let bytes = std::slice::from_raw_parts(again, 4096).to_vec();
            System.dealloc(again, layout);
            // The allocator may keep its own links in a free block, never 4 KiB of our pattern.
            assert!(bytes.iter().filter(|b| **b == 0xAA).count() < 64);
        }
    }
}
